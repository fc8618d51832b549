//! Realms: labels inside one account (`contract/realms.md`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::RealmId;

/// The realms that anything of the account carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RealmList {
    /// Each once.
    pub realm_ids: Vec<RealmId>,
    /// How many.
    pub total: u64,
    /// What carries them; only with `include_usage=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<BTreeMap<RealmId, RealmUsage>>,
}

/// How many things carry a realm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RealmUsage {
    /// Projects.
    pub projects: u64,
    /// Containers.
    pub containers: u64,
    /// Servers.
    pub servers: u64,
    /// Tokens.
    pub auth_tokens: u64,
}
