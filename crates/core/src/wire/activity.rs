//! The request log (`contract/activity.md`), and what a token did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::PageMetadata;
use crate::id::{GateId, LogRowId, RealmId, SessionId, TokenId, UserId};
use crate::time::Timestamp;

/// One request of the account. Fields after `user_agent` up to `created_at` are this server's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActivityRow {
    /// Its id.
    pub id: LogRowId,
    /// The account.
    pub user_id: UserId,
    /// The realm that the host named.
    #[serde(default)]
    pub realm_id: Option<RealmId>,
    /// The method; `OTHER` for one that is no route's. At a gate it is that of the client's request.
    pub method: String,
    /// The path, without the query; `[redacted]` stands for a part that looks like a credential. At a gate it is the
    /// route's pattern, or the client's path if the gate logs paths; empty if no route matched.
    pub path: String,
    /// The status of the answer; 499 when the client left before it.
    pub status_code: u16,
    /// Where it came from.
    pub ip_address: String,
    /// What the client calls itself.
    #[serde(default)]
    pub user_agent: Option<String>,
    /// The token that asked.
    #[serde(default)]
    pub token_id: Option<TokenId>,
    /// The session that asked.
    #[serde(default)]
    pub session_id: Option<SessionId>,
    /// The rule that refused it, e.g. `expired`, `address`, `permission`; `credentials` for a failed login.
    #[serde(default)]
    pub deny_reason: Option<String>,
    /// The permission that it needed.
    #[serde(default)]
    pub permission: Option<String>,
    /// `gate`, `ext_authz`, `verify` or `introspect` if it was asked about a request to another service; absent for a
    /// request to this API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The gate that decided; absent if the proxy's URL named the permission itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate_id: Option<GateId>,
    /// The host of the client's request, if a proxy asked about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// How long it took, in microseconds.
    #[serde(default)]
    pub duration_us: u64,
    /// When it was answered.
    pub created_at: Timestamp,
}

/// A page of the request log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActivityPage {
    /// The HTTP status, again.
    #[serde(rename = "statusCode")]
    pub status_code: u16,
    /// What was done, for people.
    pub message: String,
    /// The rows, the latest first.
    pub data: Vec<ActivityRow>,
    /// Where the page stands.
    pub metadata: PageMetadata,
}

/// How much there is in the request log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActivityStats {
    /// What the rows take, packed as they are stored.
    pub total_size_bytes: u64,
    /// How many rows there are.
    pub total_records: u64,
    /// The instant of the oldest.
    pub oldest_record: Option<Timestamp>,
    /// The instant of the newest.
    pub newest_record: Option<Timestamp>,
    /// After how many days a row is dropped.
    pub retention_days: u64,
}

/// What a token did. Numbers are of the last `days` days, but when it was seen is of the whole log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenUsage {
    /// The token.
    pub token_id: TokenId,
    /// The first request in the log.
    pub first_seen: Option<Timestamp>,
    /// The last request in the log, allowed or refused.
    pub last_seen: Option<Timestamp>,
    /// How many days the numbers are of; today is one.
    pub days: u32,
    /// All requests.
    pub total: u64,
    /// Those that were answered with 400 or more.
    pub errors: u64,
    /// Requests by HTTP status.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests by the permission that they needed, the most first. What is not here it did not use.
    pub by_permission: Vec<PermissionUses>,
    /// Requests by address, the most first, at most 20 of them.
    pub by_address: Vec<AddressUses>,
    /// Requests from other addresses. Of each hour, 32 addresses are told apart.
    pub other_addresses: u64,
    /// The last 48 hours in which it was used.
    pub by_hour: Vec<UsesInTime>,
    /// The days on which it was used.
    pub by_day: Vec<UsesInTime>,
}

/// How often a permission was needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PermissionUses {
    /// The permission's path.
    pub permission: String,
    /// How often, whether it was held or not.
    pub total: u64,
}

/// How often an address came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AddressUses {
    /// The address.
    pub ip_address: String,
    /// How often.
    pub total: u64,
}

/// Requests in an hour or on a day (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsesInTime {
    /// When it begins.
    pub start: Timestamp,
    /// All requests.
    pub total: u64,
    /// Those that were answered with 400 or more.
    pub errors: u64,
}
