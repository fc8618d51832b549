//! The vault: a key-value store of each account and realm (`contract/vault.md`).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Secret, nullable};
use crate::id::RealmId;
use crate::time::Timestamp;

/// A key of the vault, without its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VaultKey {
    /// Its name, unique in the account and realm.
    pub key: String,
    /// The realm that it is in; on the wire the empty string where it is in none.
    #[serde(with = "scope")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub realm_id: Option<RealmId>,
    /// Whatever belongs to it and is no secret.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub metadata: Option<Map<String, Value>>,
    /// What it takes of the limit: value and metadata.
    pub size_bytes: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last set.
    pub updated_at: Timestamp,
}

/// A key of the vault with its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VaultRecord {
    /// Its name, unique in the account and realm.
    pub key: String,
    /// The realm that it is in; on the wire the empty string where it is in none.
    #[serde(with = "scope")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub realm_id: Option<RealmId>,
    /// Whatever belongs to it and is no secret.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub metadata: Option<Map<String, Value>>,
    /// What it takes of the limit: value and metadata.
    pub size_bytes: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last set.
    pub updated_at: Timestamp,
    /// The value, as it was set.
    pub value: Secret,
}

/// What `PUT /vault/keys/{key}` takes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetVaultKey {
    /// Any text.
    pub value: Secret,
    /// Left out, it stays as it is; `null` takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub metadata: Option<Option<Map<String, Value>>>,
}

/// How full the vault is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VaultStats {
    /// How many keys there are in this realm.
    pub total_keys: u64,
    /// What they take.
    pub total_size_bytes: u64,
    /// The same in MiB.
    pub total_size_mb: f64,
    /// What all realms together may take, in MiB.
    pub limit_mb: f64,
    /// How much of that they do.
    pub used_percentage: f64,
    /// What is left for all of them, in MiB.
    pub remaining_mb: f64,
}

/// What `DELETE /vault` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VaultCleared {
    /// How many keys there were.
    pub deleted_count: u64,
}

/// A realm, or the empty string for none.
mod scope {
    use super::{Deserialize, Deserializer, RealmId, Serializer};

    pub(super) fn serialize<S: Serializer>(realm: &Option<RealmId>, to: S) -> Result<S::Ok, S::Error> {
        match realm {
            Some(realm) => to.collect_str(realm),
            None => to.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<RealmId>, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(serde::de::Error::custom)
    }
}
