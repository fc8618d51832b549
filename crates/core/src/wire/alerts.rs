//! Alerts: what an account should know, and what it wants to be told.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{PageMetadata, nullable};
use crate::id::{AlertId, ResourceId};
use crate::time::Timestamp;

/// Something that the account should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// `token_new_address`, `refusal_burst`, `dead_token_used`, `login_new_address`,
    /// `two_factor_disabled`, `failed_logins`, `token_expiring`, `token_unused` or `webhook_disabled`.
    /// There may be more at any time.
    pub kind: String,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// `open`, `acknowledged` or `dismissed`.
    pub state: String,
    /// The kind in a few words.
    pub title: String,
    /// What happened, in a sentence.
    pub message: String,
    /// Why it is told, and what to do.
    pub explanation: String,
    /// What it is about: `token`, `account` or `webhook`.
    pub subject_type: String,
    /// Which one; `null` where the caller may not see it.
    #[serde(default)]
    pub subject_id: Option<ResourceId>,
    /// What that was called then.
    #[serde(default)]
    pub subject_name: Option<String>,
    /// How often it happened.
    pub count: u64,
    /// From where, the last time.
    #[serde(default)]
    pub ip_address: Option<String>,
    /// What else there is to say, by kind: `addresses`, `reason`, `expires_at`, `days`, ….
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub details: Value,
    /// Whether the kind was muted when it began: it was told to nobody.
    pub is_muted: bool,
    /// When it began.
    pub first_at: Timestamp,
    /// When it happened last.
    pub last_at: Timestamp,
    /// When it was acknowledged or dismissed.
    #[serde(default)]
    pub settled_at: Option<Timestamp>,
}

/// A page of alerts: the whole answer, since `metadata` stands beside `data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AlertPage {
    /// The HTTP status, again.
    #[serde(rename = "statusCode")]
    pub status_code: u16,
    /// What was done, for people.
    pub message: String,
    /// The latest first.
    pub data: Vec<Alert>,
    /// Which page it is.
    pub metadata: PageMetadata,
}

/// A kind of alerts, and what the account wants of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AlertSetting {
    /// The kind.
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// Why it is told, and what to do.
    pub explanation: String,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// Whether there are alerts of it.
    pub is_enabled: bool,
    /// From when on.
    pub threshold: i64,
    /// What the threshold counts.
    pub threshold_unit: String,
    /// Unless told.
    pub default_threshold: i64,
    /// The least that may be set.
    pub min_threshold: i64,
    /// The most.
    pub max_threshold: i64,
    /// Until when its alerts are kept and told to nobody.
    #[serde(default)]
    pub muted_until: Option<Timestamp>,
    /// Whether a mail tells of it, to an address that is verified.
    pub mail: bool,
    /// Whether webhooks tell of it, those that want `alert.raised`.
    pub webhook: bool,
    /// Of `token_unused`: whether such tokens are disabled. `null` for every other kind.
    #[serde(default)]
    pub disables: Option<bool>,
}

/// What to change of a kind; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateAlertSetting {
    /// Whether there are alerts of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
    /// From when on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<i64>,
    /// Until when it is muted; `null` ends that.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    pub muted_until: Option<Option<String>>,
    /// Whether a mail tells of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<bool>,
    /// Whether webhooks tell of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<bool>,
    /// Of `token_unused`: whether such tokens are disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disables: Option<bool>,
}
