//! Projects and who else may reach them (`contract/projects.md`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Pagination, nullable};
use crate::id::{MemberId, ProjectId, RealmId, UserId};
use crate::time::Timestamp;

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its owner.
    pub user_id: UserId,
    /// Its name, unique in the account.
    pub alias: String,
    /// `#` and three or six upper-case hex digits.
    pub color: String,
    /// How many containers it may hold; `null` is no limit.
    #[serde(default)]
    pub max_containers: Option<u64>,
    /// Whether it is the account's first project, which cannot be deleted.
    #[serde(default)]
    pub is_default: bool,
    /// Realms it belongs to.
    #[serde(default)]
    pub realm_ids: Vec<RealmId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who else may reach it; only with `include_permissions=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<ProjectMember>>,
}

/// What another account may do with a project; each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum PermissionLevel {
    /// See it.
    Read,
    /// Change it and its members.
    Edit,
    /// Delete it.
    Delete,
}

impl PermissionLevel {
    /// All levels, lowest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Edit, Self::Delete];

    /// Its word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Edit => "edit",
            Self::Delete => "delete",
        }
    }
}

/// The text is none of `read`, `edit`, `delete`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a permission level is read, edit or delete")]
pub struct ParseLevelError;

impl std::str::FromStr for PermissionLevel {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, ParseLevelError> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or(ParseLevelError)
    }
}

impl std::fmt::Display for PermissionLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Another account's access to a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectMember {
    /// The access's own id.
    pub id: MemberId,
    /// The project.
    pub project_id: ProjectId,
    /// The account.
    pub user_id: UserId,
    /// What it may do.
    pub permission_level: PermissionLevel,
    /// When it was given.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<MemberUser>,
}

/// As much of an account as those who share a project with it may know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberUser {
    /// Its id.
    pub id: UserId,
    /// The name to sign in with.
    pub username: String,
    /// The name to show.
    pub alias: String,
}

/// A page of projects: the caller's own and those shared with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectList {
    /// The projects of this page.
    pub projects: Vec<Project>,
    /// Where the page stands.
    pub pagination: Pagination,
}

/// A page of those who may reach a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PermissionList {
    /// The members of this page.
    pub permissions: Vec<ProjectMember>,
    /// Where the page stands.
    pub pagination: Pagination,
}

/// What went with a deleted project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedProject {
    /// How many of each.
    pub deleted: DeletedCounts,
    /// Which; only with `include_deleted_items=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_items: Option<DeletedItems>,
}

/// How many things went with a deleted project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedCounts {
    /// Its containers.
    pub containers: u64,
    /// Its members' permissions.
    pub permissions: u64,
    /// Its proxy aliases.
    pub aliases: u64,
}

/// Which things went with a deleted project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedItems {
    /// Its containers.
    pub containers: Vec<DeletedContainer>,
}

/// A container that went with its project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedContainer {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What runs in a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectStats {
    /// One object a container.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub stats: Vec<Value>,
    /// All of them together.
    pub summary: ProjectSummary,
}

/// All of a project's containers together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectSummary {
    /// The project.
    pub project_id: ProjectId,
    /// Its name.
    pub project_name: String,
    /// How many containers it has.
    pub container_count: u64,
    /// How long gathering this took, in milliseconds.
    pub total_processing_time: f64,
}

/// Asks for a new project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateProject {
    /// Its name, unique in the account.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 100))]
    pub alias: String,
    /// Three or six hex digits, with or without `#`; chosen at random when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^#?([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$"))]
    pub color: Option<String>,
    /// How many containers it may hold; `null` is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub max_containers: Option<Option<u64>>,
    /// Realms it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm_ids: Option<Vec<RealmId>>,
}

/// Changes a project. What is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateProject {
    /// Its new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 100))]
    pub alias: Option<String>,
    /// Three or six hex digits, with or without `#`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^#?([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$"))]
    pub color: Option<String>,
    /// How many containers it may hold; `null` is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub max_containers: Option<Option<u64>>,
    /// The whole list of realms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm_ids: Option<Vec<RealmId>>,
}

/// Gives another account access to a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateMember {
    /// The account.
    pub user_id: UserId,
    /// What it may do.
    pub permission_level: PermissionLevel,
}

/// Changes what another account may do with a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateMember {
    /// What it may do from now on.
    pub permission_level: PermissionLevel,
}
