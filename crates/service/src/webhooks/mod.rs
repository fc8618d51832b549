//! Webhooks: what happens, sent to other services, signed as the Standard Webhooks specification has it.
//!
//! The projector of events puts an event on its way to each endpoint that wants it in the transaction in
//! which it becomes one: none is lost, none is there twice. `sender` sends, in the order of the events,
//! one node an endpoint at a time; what fails is tried again for a day, while what came later goes on.
//! `egress` keeps it all out of the operator's own network.
//!
//! Promised: each event is sent at least once within its day, under one `webhook-id` however often; first
//! attempts are in the order of the events; nothing of the answer but its status and a short beginning is
//! kept. What could not be sent in its day, since the endpoint was off or no node ran, is not sent after it.

pub mod acts;
pub mod body;
pub mod egress;
pub mod http;
pub mod sender;
pub mod store;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use hoody_core::address::AddressList;
use hoody_core::event::Patterns;
use hoody_core::id::{DeliveryId, EventId, RealmId, UserId, WebhookId};
use hoody_core::seal::Place;
use hoody_core::time::{DAY, Timestamp};
use hoody_core::webhook::WebhookSecret;
use hoody_core::wire;
use hoody_engine::clock::Clock;
use hoody_engine::db::{Db, DbError, Tx};
use hoody_engine::engine::Engine;
use hoody_engine::error::Error;
use hoody_engine::feed::Feed;
use hoody_engine::keys::Keys;
use hoody_engine::tasks::{Need, Tasks};
use hoody_engine::web::{Access, Lends};
use serde_json::json;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use store::SEALED;

use crate::events::{Consumer, Event, Events};
use egress::Egress;

/// How many endpoints an account has.
pub const MAX_WEBHOOKS: i64 = 20;
/// For how long a delivery is tried, in milliseconds.
pub const TRIED_FOR: i64 = DAY;
/// For how long the secret before a rotation still signs, in milliseconds.
pub const OVERLAP: i64 = DAY;
/// For how long deliveries are kept, in milliseconds.
pub const KEPT_FOR: i64 = 7 * DAY;

/// Webhooks: the endpoints, and the sender that delivers events to them.
#[derive(Debug)]
pub struct Webhooks {
    access: Arc<Access>,
    db: Db,
    keys: Arc<Keys>,
    clock: Clock,
    feed: Feed,
    /// The HTTP client that reaches the endpoints.
    pub egress: Egress,
    /// Wakes the sender.
    notifier: watch::Sender<()>,
}

/// An endpoint.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub id: WebhookId,
    pub account: UserId,
    pub url: String,
    pub description: String,
    pub types: Patterns,
    pub realm_ids: Vec<RealmId>,
    pub is_enabled: bool,
    pub disabled_reason: Option<String>,
    /// Sealed.
    pub secret: Vec<u8>,
    /// Sealed, and until when it signs.
    pub previous: Option<(Vec<u8>, Timestamp)>,
    pub failing_since: Option<Timestamp>,
    pub failures: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// An event on its way to an endpoint.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: DeliveryId,
    pub webhook: WebhookId,
    pub event: EventId,
    pub event_type: String,
    pub state: String,
    pub run_at: Timestamp,
    pub give_up_at: Timestamp,
    pub attempts: i64,
    pub last_attempt_at: Option<Timestamp>,
    pub status: Option<i64>,
    pub duration_ms: Option<i64>,
    pub error: Option<String>,
    pub answer: Option<String>,
    pub created_at: Timestamp,
}

impl Webhooks {
    /// Endpoints may be at public addresses, and at those in `allowed`.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(engine: &Engine, events: &Events, allowed: Option<AddressList>) -> anyhow::Result<Arc<Self>> {
        let webhooks = Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            keys: Arc::clone(&engine.keys),
            clock: engine.clock.clone(),
            feed: engine.feed.clone(),
            egress: Egress::new(allowed)?,
            notifier: watch::Sender::new(()),
        });
        let consumer: Arc<dyn Consumer> = Arc::<Self>::clone(&webhooks);
        events.deliver_to(consumer);
        Ok(webhooks)
    }

    /// Starts the sender and the sweep of old deliveries.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        let webhooks = Arc::clone(self);
        tasks.supervise("webhooks", Need::Useful, move || sender::run(Arc::clone(&webhooks)));
        let webhooks = Arc::clone(self);
        tasks.every("webhooks-sweep", sender::SWEEP_INTERVAL, move || sender::sweep(Arc::clone(&webhooks)));
    }

    /// Wakes the sender of this node.
    fn notify_sender(&self) {
        self.notifier.send_replace(());
    }
}

impl Lends for Webhooks {
    fn access(&self) -> &Access {
        &self.access
    }
}

impl Consumer for Webhooks {
    fn take<'a>(&'a self, tx: &'a mut Tx, events: &'a [Event]) -> BoxFuture<'a, Result<bool, DbError>> {
        Box::pin(sender::put_on_way(self, tx, events))
    }

    fn committed(&self) {
        self.notify_sender();
    }
}

pub fn routes() -> OpenApiRouter<Arc<Webhooks>> {
    OpenApiRouter::new()
        .routes(routes!(http::list_webhooks, http::create_webhook))
        .routes(routes!(http::get_webhook, http::update_webhook, http::delete_webhook))
        .routes(routes!(http::rotate_webhook_secret))
        .routes(routes!(http::test_webhook))
        .routes(routes!(http::list_webhook_deliveries))
        .routes(routes!(http::replay_webhook_delivery))
}

impl Webhook {
    /// Whether it gets this event.
    pub fn wants(&self, event: &Event) -> bool {
        self.is_enabled
            && self.account == event.account
            && self.types.want(&event.event_type)
            // An account may keep a kind of alerts from its endpoints.
            && !(event.event_type == "alert.raised" && event.payload["delivery"]["webhook"] == false)
            && (self.realm_ids.is_empty()
                || event.realm_ids.iter().any(|realm| self.realm_ids.contains(realm)))
    }

    /// When a change at `now` is said to be: no two are at one instant, so that who sends can tell whether it
    /// is still what it was.
    pub fn next_update(&self, now: Timestamp) -> Timestamp {
        now.max(self.updated_at.plus(1))
    }

    /// Its secrets that sign at `now`, the current one first.
    pub fn secrets(&self, keys: &Keys, now: Timestamp) -> Result<Vec<WebhookSecret>, Error> {
        let open = |column, sealed: &[u8]| {
            let opened =
                keys.open(&place(self.account, &self.id, column), sealed).map_err(Error::internal)?;
            Ok::<_, Error>(WebhookSecret::from_bytes(&opened))
        };
        let mut secrets = vec![open(SECRET, &self.secret)?];
        if let Some((previous, until)) = &self.previous
            && now < *until
        {
            secrets.push(open(PREVIOUS, previous)?);
        }
        Ok(secrets)
    }

    /// As its owner sees it; with the secret when it is new.
    pub fn shown(&self, secret: Option<&WebhookSecret>) -> wire::Webhook {
        wire::Webhook {
            id: self.id,
            url: self.url.clone(),
            description: self.description.clone(),
            event_types: self.types.texts().to_vec(),
            realm_ids: self.realm_ids.clone(),
            is_enabled: self.is_enabled,
            disabled_reason: self.disabled_reason.clone(),
            failing_since: self.failing_since,
            previous_secret_until: self.previous.as_ref().map(|(_, until)| *until),
            created_at: self.created_at,
            updated_at: self.updated_at,
            secret: secret.map(|secret| wire::Secret::new(&**secret.expose())),
        }
    }
}

impl Delivery {
    /// As the endpoint's owner sees it.
    pub fn shown(&self) -> wire::WebhookDelivery {
        wire::WebhookDelivery {
            id: self.id,
            webhook_id: self.webhook,
            event_id: self.event,
            event_type: self.event_type.clone(),
            state: self.state.clone(),
            attempts: self.attempts.unsigned_abs(),
            next_attempt_at: (self.state == "waiting").then_some(self.run_at),
            last_attempt_at: self.last_attempt_at,
            status: self.status.and_then(|status| u16::try_from(status).ok()),
            duration_ms: self.duration_ms.map(i64::unsigned_abs),
            error: self.error.clone(),
            answer: self.answer.clone(),
            created_at: self.created_at,
        }
    }
}

pub const SECRET: &str = "secret";
pub const PREVIOUS: &str = "previous_secret";

/// Where a secret is sealed for: it opens in its own row and column alone.
pub fn place<'a>(account: UserId, id: &'a WebhookId, column: &'a str) -> Place<'a> {
    Place { table: "webhooks", column, account, realm: None, row: id.bytes() }
}

/// What is sent of an event.
pub fn message(event: &Event) -> String {
    let data = json!({
        "id": event.id,
        "event_type": event.event_type,
        "resource_type": event.resource_type,
        "resource_id": event.resource_id,
        "user_id": event.account,
        "realm_ids": event.realm_ids,
        "payload": event.payload,
        "actor": event.actor(),
        "project_id": event.project_id,
        "created_at": event.at,
    });
    json!({ "type": event.event_type, "timestamp": event.at, "data": data }).to_string()
}
