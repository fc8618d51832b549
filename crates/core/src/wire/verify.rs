//! What services ask about the credentials that they were shown.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Secret;
use crate::id::{RealmId, TokenId, UserId};
use crate::time::Timestamp;

/// Credentials to verify: 1 to 1,000.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verify {
    /// The credentials, each with what it is needed for.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 1000))]
    pub credentials: Vec<VerifyItem>,
    /// Note no use and log nothing; no unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry: Option<bool>,
}

/// One credential to verify.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifyItem {
    /// What the answer names it by, at most 255 characters.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 255))]
    pub reference: Option<String>,
    /// The token as the client sent it, without a scheme.
    pub credential: Secret,
    /// The permission that is needed; at most one of this, `any_of` and `all_of`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// Permissions of which one is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any_of: Option<Vec<String>>,
    /// Permissions that are all needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_of: Option<Vec<String>>,
    /// Where the client is. Without it a token that is bound to addresses is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The realm that is asked in; none unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm_id: Option<RealmId>,
    /// The client's method, for the request log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 16))]
    pub method: Option<String>,
    /// The pattern of the route that was asked, for the request log; never a path with secrets in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 255))]
    pub route: Option<String>,
}

/// What became of one credential.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verified {
    /// What the question named it by.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Whether it may.
    pub allowed: bool,
    /// Why not: `NOT_FOUND` for one that is unknown, deleted or another account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The refusal, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The token. This and the rest are absent with `NOT_FOUND` and `UNAVAILABLE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    /// Its account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<UserId>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// What your service calls whom it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// What your service stored with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub meta: Option<Map<String, Value>>,
    /// The permissions that it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<String>>,
    /// The realms that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm_ids: Option<Vec<RealmId>>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}
