//! Events: what happened to the things of an account (`contract/events.md`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{EventId, ProjectId, RealmId, ResourceId, UserId};
use crate::time::Timestamp;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Its id: the same on every node, in the history and in a stream.
    pub id: EventId,
    /// What happened, e.g. `auth.token.created`.
    pub event_type: String,
    /// What kind of thing it happened to, e.g. `auth_token`.
    pub resource_type: String,
    /// The thing.
    pub resource_id: ResourceId,
    /// The account that it belongs to.
    pub user_id: UserId,
    /// More about it; never a secret.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub payload: Value,
    /// Realms of the thing, as far as the caller may know of them.
    #[serde(default)]
    pub realm_ids: Vec<RealmId>,
    /// When it happened.
    pub created_at: Timestamp,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<EventActor>,
    /// The project that it concerns, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The place after it: what `after` and `Last-Event-ID` take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// True for what is told live and not kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventActor {
    /// `user` for the account's sessions and tokens, `system` for the operator and the server itself.
    pub kind: String,
    /// The session or token, if it was one.
    #[serde(default)]
    pub id: Option<ResourceId>,
    /// `session`, `token`, `operator` or `nobody`.
    #[serde(default)]
    pub via: String,
}

/// A part of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventList {
    /// The events, in the order that was asked for.
    pub events: Vec<Event>,
    /// Where they stand.
    pub pagination: EventPagination,
}

/// Where a part of the history stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventPagination {
    /// How many there are in all; -1 with a cursor.
    pub total: i64,
    /// The most that are given at once.
    pub limit: i64,
    /// How many were skipped; 0 with a cursor.
    pub offset: i64,
    /// Whether there are more.
    pub has_more: bool,
    /// What to send as `after` to go on; only with a cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// The end of the history; only with a cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_cursor: Option<String>,
}

/// How many events there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventStats {
    /// All of them.
    pub total_events: u64,
    /// By what happened.
    pub by_type: BTreeMap<String, u64>,
    /// By what kind of thing it happened to.
    pub by_resource: BTreeMap<String, u64>,
    /// When the oldest happened.
    #[serde(default)]
    pub oldest_event: Option<Timestamp>,
    /// When the newest happened.
    #[serde(default)]
    pub newest_event: Option<Timestamp>,
}

/// Which events to delete; all that is given must hold. Nothing given is every event of the account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeleteEvents {
    /// What happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// What kind of thing it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// The thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<ResourceId>,
    /// Strictly before this instant (ISO 8601).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_date: Option<String>,
    /// In this realm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm_id: Option<RealmId>,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedEvents {
    /// So many events are gone.
    pub deleted_count: u64,
    /// So many were left: on a realm's host, those that belong to another realm too.
    #[serde(default)]
    pub skipped_count: u64,
}

/// How much of the history to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CleanUpEvents {
    /// Days, 1 to 365.
    pub retention_days: u32,
}

/// What a clean-up deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CleanedEvents {
    /// So many events are gone.
    pub deleted_count: u64,
    /// As asked for.
    pub retention_days: u32,
    /// What is older than this was deleted.
    pub cutoff_date: Timestamp,
}
