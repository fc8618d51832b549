//! Events: what happened to the things of an account, as its owner may query, delete and follow it.
//!
//! ```text
//! feed ──tail──┬─ projector (one node) → events, event_places → history: GET /events …
//!              └─ live (every node)    → listeners → SSE, Socket.IO
//! ```
//!
//! The feed is what happened, and nobody deletes from it; `events` is a projection of it, with the feed's
//! own positions, so that a projector that repeats itself writes nothing twice. A stream begins in the
//! history and goes on with what the tail brings: both name places by the same cursors.

pub(crate) mod activity;
pub(crate) mod http;
pub(crate) mod live;
pub(crate) mod projector;
pub(crate) mod socket;
pub(crate) mod sse;
pub(crate) mod store;
pub(crate) mod stream;

use hoody_core::event::{Cursor, Place};
use hoody_core::grant::Grant;
use hoody_core::id::{EventId, ProjectId, RealmId, ResourceId, UserId};
use hoody_core::time::{DAY, Timestamp};
use hoody_core::wire;
use serde_json::Value;

use crate::keys::Keys;

/// For how long events are kept, in days.
pub(crate) const RETENTION_DAYS: i64 = 90;
/// The same in milliseconds.
pub(crate) const RETENTION: i64 = RETENTION_DAYS * DAY;

/// What the feed tells and the history does not: that events were deleted.
pub(crate) const DELETED: &str = "events.deleted";

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) place: Place,
    pub(crate) id: EventId,
    pub(crate) at: Timestamp,
    pub(crate) event_type: String,
    pub(crate) account: UserId,
    pub(crate) actor_kind: String,
    pub(crate) actor_id: Option<ResourceId>,
    pub(crate) resource_type: String,
    pub(crate) resource_id: ResourceId,
    pub(crate) project_id: Option<ProjectId>,
    pub(crate) realm_ids: Vec<RealmId>,
    pub(crate) payload: Value,
    /// Told live and not kept.
    pub(crate) is_ephemeral: bool,
}

/// Whose events, and in which realm: all of an account's, or those of one realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) account: UserId,
    pub(crate) realm: Option<RealmId>,
}

impl Scope {
    /// Whether the event is in it.
    pub(crate) fn has(&self, event: &Event) -> bool {
        event.account == self.account && self.realm.is_none_or(|realm| event.realm_ids.contains(&realm))
    }
}

impl Event {
    /// The place after it, as text for its account.
    pub(crate) fn cursor(&self, keys: &Keys) -> String {
        keys.cursor(self.account, Cursor::new(self.place, self.at))
    }

    /// Who did it.
    pub(crate) fn actor(&self) -> wire::EventActor {
        let kind = if matches!(self.actor_kind.as_str(), "session" | "token") { "user" } else { "system" };
        wire::EventActor { kind: kind.to_owned(), id: self.actor_id, via: self.actor_kind.clone() }
    }

    /// As the holder of `grant` sees it: of the realms, those that the credential is valid in.
    pub(crate) fn shown(&self, keys: &Keys, grant: &Grant) -> wire::Event {
        let realms = &grant.limits.realms;
        let may_know = |realm: &&RealmId| !realms.is_listed() || realms.listed().contains(*realm);
        wire::Event {
            id: self.id,
            event_type: self.event_type.clone(),
            resource_type: self.resource_type.clone(),
            resource_id: self.resource_id,
            user_id: self.account,
            payload: self.payload.clone(),
            realm_ids: self.realm_ids.iter().filter(may_know).copied().collect(),
            created_at: self.at,
            actor: Some(self.actor()),
            project_id: self.project_id,
            cursor: (!self.is_ephemeral).then(|| self.cursor(keys)),
            ephemeral: self.is_ephemeral,
        }
    }
}
