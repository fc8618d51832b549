//! Tokens (`contract/tokens.md` 3, 4 and 7).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Secret, nullable};
use crate::id::{RealmId, TokenId};
use crate::time::Timestamp;

/// A token as every answer shows it (`contract/tokens.md` 3). `token` is there once: when it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthToken {
    /// The secret itself; only in the answers to create and copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// Its id.
    pub id: TokenId,
    /// Its name, unique in the account.
    pub alias: String,
    /// What its secret starts with: `hdy_`.
    pub prefix: String,
    /// Ed25519 key shown in its public profile: 64 hex digits.
    #[serde(default)]
    pub public_key: Option<String>,
    /// What its public profile holds.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub public_storage: Option<Map<String, Value>>,
    /// Addresses it may be used from, canonical; `*` is any.
    pub ip_whitelist: Vec<String>,
    /// Realms it is bound to; none listed means no list.
    #[serde(default)]
    pub realm_ids: Vec<RealmId>,
    /// Whether it may be used on the base host when it has no list.
    #[serde(default = "yes")]
    pub allow_no_realm: bool,
    /// The leaves it holds, as a tree of `true`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub permissions: Value,
    /// When it ends; `null` is never.
    pub expires_at: Option<Timestamp>,
    /// Whether it can be used at all.
    pub is_enabled: bool,
    /// Whether it may reach the vault, beside the permission.
    #[serde(default)]
    pub vault_access: bool,
    /// Whether it may reach the event stream.
    #[serde(default = "yes")]
    pub event_access: bool,
    /// The token that made it; `null` when a session did.
    #[serde(default)]
    pub created_by_token_id: Option<TokenId>,
    /// How many tokens stand between it and a session.
    #[serde(default)]
    pub delegation_depth: u32,
    /// What the operator's service calls whom the token is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// What the service stored with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub meta: Option<Map<String, Value>>,
    /// Words that it is found by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The last four characters of its secret, to tell tokens apart; absent for one that an older version made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// When it was last used, to about half a minute.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
    /// Where it was last used from.
    #[serde(default)]
    pub last_used_ip: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

fn yes() -> bool {
    true
}

/// All tokens of the account, or those that the caller may see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenListEnvelope {
    /// The HTTP status, again.
    #[serde(rename = "statusCode")]
    pub status_code: u16,
    /// What was done, for people.
    pub message: String,
    /// The tokens, newest first.
    pub data: Vec<AuthToken>,
    /// The caller may not see all of the account's tokens, so some are left out. Absent is no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// What a token is told about itself (`GET /auth/tokens/me`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CurrentToken {
    /// The token, without its secret.
    pub token: AuthToken,
    /// Where it may be used.
    pub restrictions: Restrictions,
}

/// Where the calling token may be used (`contract/tokens.md` 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Restrictions {
    /// It has a list of realms, or may not be used without one.
    pub has_realm_restrictions: bool,
    /// It must be used on a realm host.
    pub requires_realm_scope: bool,
    /// Its list of realms; empty is no list.
    pub allowed_realm_ids: Vec<RealmId>,
    /// As stored.
    pub allow_no_realm: bool,
    /// The realm of this request's host.
    pub active_realm_id: Option<RealmId>,
    /// How deep tokens may make tokens on this server.
    #[serde(default = "one")]
    pub max_delegation_depth: u32,
    /// What it may really do, where tokens that it descends from bound it. Absent for a token that a
    /// session made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveLimits>,
}

/// What a token and all that it descends from allow together; its realms are beside this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EffectiveLimits {
    /// The tree, granted leaves only.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub permissions: Value,
    /// Addresses and networks; empty is none at all.
    pub ip_whitelist: Vec<String>,
    /// When it ends; null is never.
    pub expires_at: Option<Timestamp>,
    /// Whether it may open the vault, with the permission to.
    pub vault_access: bool,
    /// Whether it may read events.
    pub event_access: bool,
}

fn one() -> u32 {
    1
}

/// What anyone signed in may know of a token by its public key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicProfile {
    /// The key that was asked for: 64 lowercase hex digits.
    pub public_key: String,
    /// What the token's owner published.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub public_storage: Option<Map<String, Value>>,
}

/// A named set of permissions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PermissionTemplate {
    /// What `permission_template` takes.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it grants, as a tree of `true`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub permissions: Value,
}

/// When a token ends, in any of the forms of `contract/tokens.md` 6 but `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum ExpiresAt {
    /// That instant.
    At(Timestamp),
    /// Seconds since 1970 below 10^11, else milliseconds.
    Unix(i64),
    /// `today`, `tomorrow`, or any text that the server reads as an instant.
    Text(String),
}

/// Addresses, in either form of `contract/tokens.md` 4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum IpWhitelist {
    /// One address or network each.
    List(Vec<String>),
    /// Separated by commas, or `*`.
    Text(String),
}

/// Asks for a new token. Every field may be left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateToken {
    /// Letters, digits, spaces, `_` and `-`; made up when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 254, pattern = "^[a-zA-Z0-9 _-]*$"))]
    pub alias: Option<String>,
    /// Ed25519 key: 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[0-9a-fA-F]{64}$"))]
    pub public_key: Option<Option<String>>,
    /// At most 64 KiB as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub public_storage: Option<Option<Map<String, Value>>>,
    /// Addresses it may be used from; any when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_whitelist: Option<IpWhitelist>,
    /// A named set of permissions; wins over `permissions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_template: Option<String>,
    /// A tree of booleans; what is left out is not granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub permissions: Option<Value>,
    /// Realms to bind it to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 500))]
    pub realm_ids: Option<Vec<RealmId>>,
    /// Whether it may be used on the base host; yes when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_no_realm: Option<bool>,
    /// Whether it may reach the vault; no when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault_access: Option<bool>,
    /// Whether it may reach the event stream; yes when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_access: Option<bool>,
    /// Takes away what could be used to get further credentials, and bounds its life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny_reauthorization: Option<bool>,
    /// When it ends; never when left out or `null`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<ExpiresAt>))]
    pub expires_at: Option<Option<ExpiresAt>>,
    /// What your service calls whom the token is for: at most 255 characters, not unique. `null` is none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 255))]
    pub external_id: Option<Option<String>>,
    /// What your service stores with it: at most 4,096 bytes as JSON, never public. `null` is none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub meta: Option<Option<Map<String, Value>>>,
    /// Words to find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 8))]
    pub tags: Option<Vec<String>>,
    /// What it is for, for people. `null` is none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 500))]
    pub description: Option<Option<String>>,
    /// A code of the second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 12))]
    pub otp_code: Option<Secret>,
}

/// Changes a token. What is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateToken {
    /// Its new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 254, pattern = "^[a-zA-Z0-9 _-]*$"))]
    pub alias: Option<String>,
    /// Ed25519 key; `null` clears it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[0-9a-fA-F]{64}$"))]
    pub public_key: Option<Option<String>>,
    /// What its public profile holds; `null` clears it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub public_storage: Option<Option<Map<String, Value>>>,
    /// Addresses it may be used from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_whitelist: Option<IpWhitelist>,
    /// The whole tree; what is left out of it is taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub permissions: Option<Value>,
    /// The whole list of realms.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 500))]
    pub realm_ids: Option<Vec<RealmId>>,
    /// Whether it may be used on the base host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_no_realm: Option<bool>,
    /// Whether it may reach the vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault_access: Option<bool>,
    /// Whether it may reach the event stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_access: Option<bool>,
    /// When it ends; `null` is never.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<ExpiresAt>))]
    pub expires_at: Option<Option<ExpiresAt>>,
    /// Whether it can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
    /// What your service calls whom the token is for: at most 255 characters, not unique. `null` is none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 255))]
    pub external_id: Option<Option<String>>,
    /// What your service stores with it: at most 4,096 bytes as JSON, never public. `null` is none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub meta: Option<Option<Map<String, Value>>>,
    /// Words to find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 8))]
    pub tags: Option<Vec<String>>,
    /// What it is for, for people. `null` is none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 500))]
    pub description: Option<Option<String>>,
    /// A code of the second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 12))]
    pub otp_code: Option<Secret>,
}

/// Asks for a new token with another's limits and a secret of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CopyToken {
    /// Its name; `<source> copy` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 254, pattern = "^[a-zA-Z0-9 _-]*$"))]
    pub alias: Option<String>,
    /// When it ends; as the source when left out, never when `null`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<ExpiresAt>))]
    pub expires_at: Option<Option<ExpiresAt>>,
    /// A code of the second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 12))]
    pub otp_code: Option<Secret>,
}

/// Adds a realm to a token's list or takes it away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RealmChange {
    /// The realm.
    pub realm_id: RealmId,
    /// A code of the second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 12))]
    pub otp_code: Option<Secret>,
}

/// Changes the calling token's public profile. At least one of the two must be there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateProfile {
    /// Ed25519 key; `null` clears it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[0-9a-fA-F]{64}$"))]
    pub public_key: Option<Option<String>>,
    /// What the profile holds; `null` clears it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub public_storage: Option<Option<Map<String, Value>>>,
}
