//! The security history of an account (`contract/users.md`).

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::time::Timestamp;

/// One thing that happened to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecurityEvent {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[0-9a-f]{24}$"))]
    pub id: Id<()>,
    /// `login`, `logout`, `login_failed`, `otp_verify_failed`, `password_failed`, `password_changed`,
    /// `otp_enabled`, `otp_disabled`, `otp_reset`, `otp_gate_changed`, `backup_codes_regenerated`,
    /// `device_approved`,
    /// `session_replayed`. There may be more at any time.
    pub event: String,
    /// `success` or `failed`.
    pub outcome: String,
    /// From where; `null`: the operator, at the machine.
    #[serde(default)]
    pub ip_address: Option<String>,
    /// Always `null`: this server does not look addresses up.
    #[serde(default)]
    pub country: Option<String>,
    /// What the client called itself: `web`, `cli`, …; `null` where it did not say.
    #[serde(default)]
    pub client: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// Where a page of a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PageMetadata {
    /// How many there are in all.
    pub total: u64,
    /// This page, from 1.
    pub page: u32,
    /// How many a page holds at most.
    pub limit: u32,
    /// How many pages there are; 0 when there is nothing.
    pub pages: u64,
}

impl PageMetadata {
    /// Of page `page`, when there are `total` in all and a page holds `limit`.
    #[must_use]
    pub fn of(total: u64, page: i64, limit: i64) -> Self {
        Self {
            total,
            page: u32::try_from(page).unwrap_or(u32::MAX),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            pages: total.div_ceil(limit.unsigned_abs().max(1)),
        }
    }
}

/// A page of the history: the whole answer, since `metadata` stands beside `data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecurityHistoryEnvelope {
    /// The HTTP status, again.
    #[serde(rename = "statusCode")]
    pub status_code: u16,
    /// What was done, for people.
    pub message: String,
    /// The latest first.
    pub data: Vec<SecurityEvent>,
    /// Which page it is.
    pub metadata: PageMetadata,
}
