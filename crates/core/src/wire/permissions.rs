//! The catalogue of permissions on the wire.

use serde::{Deserialize, Serialize};

/// Which permissions there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PermissionCatalogue {
    /// Grows by one with each change of the operator's permissions.
    pub version: u64,
    /// The operator's permissions, and hoody's own that guard a route of this server.
    pub permissions: Vec<PermissionInfo>,
    /// Hoody's own permissions that guard no route of this server; with `?unused=true` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused: Option<Vec<PermissionInfo>>,
    /// What `permission_template` takes.
    pub templates: Vec<TemplateInfo>,
}

/// One permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PermissionInfo {
    /// Its dotted path.
    pub path: String,
    /// What it is for.
    pub description: String,
    /// Whether it lets its holder change something.
    pub writes: bool,
    /// Who defines it.
    pub origin: PermissionOrigin,
    /// Whether it can be granted.
    pub state: PermissionState,
    /// Paths that it had before. They work for ever.
    pub old_paths: Vec<String>,
}

/// Who defines a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PermissionOrigin {
    /// It is part of hoody.
    Hoody,
    /// The operator of this server.
    Operator,
}

/// Whether a permission can be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PermissionState {
    /// It can be granted.
    Live,
    /// It cannot be granted any more; tokens that hold it keep it.
    Retired,
}

/// One template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TemplateInfo {
    /// What `permission_template` takes.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who defines it.
    pub origin: PermissionOrigin,
    /// The paths that it grants.
    pub permissions: Vec<String>,
}
