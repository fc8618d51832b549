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

pub mod activity;
pub mod http;
pub mod live;
pub mod projector;
pub mod socket;
pub mod sse;
pub mod store;
pub mod stream;

use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::BoxFuture;
use hoody_core::event::{Cursor, Place};
use hoody_core::grant::Grant;
use hoody_core::id::{EventId, ProjectId, RealmId, ResourceId, UserId};
use hoody_core::time::{DAY, Timestamp};
use hoody_core::wire;
use hoody_engine::activity::Activity;
use hoody_engine::clock::Clock;
use hoody_engine::db::{Db, DbError, Tx};
use hoody_engine::engine::Engine;
use hoody_engine::feed::Feed;
use hoody_engine::keys::Keys;
use hoody_engine::nodes::Nodes;
use hoody_engine::tasks::{Need, Tasks};
use hoody_engine::web::list::ListRooms;
use hoody_engine::web::{Access, Lends};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use live::Live;

/// For how long events are kept, in days.
pub const RETENTION_DAYS: i64 = 90;
/// The same in milliseconds.
pub const RETENTION: i64 = RETENTION_DAYS * DAY;

/// What the feed tells and the history does not: that events were deleted.
pub const DELETED: &str = "events.deleted";

/// The history of events, and this node's event streams.
#[derive(Debug)]
pub struct Events {
    access: Arc<Access>,
    db: Db,
    keys: Arc<Keys>,
    clock: Clock,
    feed: Feed,
    nodes: Nodes,
    activity: Activity,
    lists: ListRooms,
    live: Arc<Live>,
    consumers: RwLock<Vec<Arc<dyn Consumer>>>,
}

/// A noun above that writes rows for events, in the transaction that puts them into the history.
pub trait Consumer: std::fmt::Debug + Send + Sync {
    /// Writes its rows. Returns whether it wrote any.
    ///
    /// # Errors
    /// When the database fails. The transaction is rolled back, and the events are projected again later.
    fn take<'a>(&'a self, tx: &'a mut Tx, events: &'a [Event]) -> BoxFuture<'a, Result<bool, DbError>>;

    /// Called after the commit, if [`take`](Self::take) wrote rows.
    fn committed(&self);
}

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Event {
    pub place: Place,
    pub id: EventId,
    pub at: Timestamp,
    pub event_type: String,
    pub account: UserId,
    pub actor_kind: String,
    pub actor_id: Option<ResourceId>,
    pub resource_type: String,
    pub resource_id: ResourceId,
    pub project_id: Option<ProjectId>,
    pub realm_ids: Vec<RealmId>,
    pub payload: Value,
    /// Told live and not kept.
    pub is_ephemeral: bool,
}

/// Whose events, and in which realm: all of an account's, or those of one realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    pub account: UserId,
    pub realm: Option<RealmId>,
}

impl Events {
    pub fn new(engine: &Engine) -> Arc<Self> {
        let live = Arc::new(Live::default());
        engine.feed.on_reset({
            let live = Arc::clone(&live);
            move |head| live.reset(head)
        });
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            keys: Arc::clone(&engine.keys),
            clock: engine.clock.clone(),
            feed: engine.feed.clone(),
            nodes: engine.nodes.clone(),
            activity: engine.activity.clone(),
            lists: engine.lists.clone(),
            live,
            consumers: RwLock::default(),
        })
    }

    /// Registers a consumer. Call it before [`start`](Self::start).
    pub fn deliver_to(&self, consumer: Arc<dyn Consumer>) {
        self.consumers.write().unwrap_or_else(PoisonError::into_inner).push(consumer);
    }

    fn consumers(&self) -> Vec<Arc<dyn Consumer>> {
        self.consumers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts the streams, the projector and the sweep of old events.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        let events = Arc::clone(self);
        tasks.supervise("streams", Need::Useful, move || live::run(Arc::clone(&events)));
        let events = Arc::clone(self);
        tasks.supervise("activity-streams", Need::Useful, move || activity::run(Arc::clone(&events)));
        let events = Arc::clone(self);
        tasks.supervise("events", Need::Useful, move || projector::run(Arc::clone(&events)));
        let events = Arc::clone(self);
        tasks.every("events-sweep", projector::SWEEP_INTERVAL, move || projector::sweep(Arc::clone(&events)));
    }

    /// Ends every event stream of this node, before the process stops.
    pub fn stop_streams(&self) {
        self.live.stop();
    }
}

impl Lends for Events {
    fn access(&self) -> &Access {
        &self.access
    }
}

pub fn routes() -> OpenApiRouter<Arc<Events>> {
    OpenApiRouter::new()
        .routes(routes!(http::list_events, http::delete_events))
        .routes(routes!(http::get_event_stats))
        .routes(routes!(sse::stream_events))
        .routes(routes!(http::clean_up_events))
        .routes(routes!(http::get_event, http::delete_event))
}

impl Scope {
    /// Whether the event is in it.
    pub fn has(&self, event: &Event) -> bool {
        event.account == self.account && self.realm.is_none_or(|realm| event.realm_ids.contains(&realm))
    }
}

impl Event {
    /// The place after it, as text for its account.
    pub fn cursor(&self, keys: &Keys) -> String {
        keys.cursor(self.account, Cursor::new(self.place, self.at))
    }

    /// Who did it.
    pub fn actor(&self) -> wire::EventActor {
        let kind = if matches!(self.actor_kind.as_str(), "session" | "token") { "user" } else { "system" };
        wire::EventActor { kind: kind.to_owned(), id: self.actor_id, via: self.actor_kind.clone() }
    }

    /// As the holder of `grant` sees it: of the realms, those that the credential is valid in.
    pub fn shown(&self, keys: &Keys, grant: &Grant) -> wire::Event {
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
