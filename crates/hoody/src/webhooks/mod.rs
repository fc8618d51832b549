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

pub(crate) mod body;
pub(crate) mod egress;
pub(crate) mod http;
pub(crate) mod sender;
pub(crate) mod store;

use hoody_core::event::Patterns;
use hoody_core::id::{DeliveryId, EventId, RealmId, UserId, WebhookId};
use hoody_core::seal::Place;
use hoody_core::time::{DAY, Timestamp};
use hoody_core::webhook::WebhookSecret;
use hoody_core::wire;
use serde_json::json;

use crate::error::Error;
use crate::events::Event;
use crate::keys::Keys;

/// How many endpoints an account has.
pub(crate) const MAX_WEBHOOKS: i64 = 20;
/// For how long a delivery is tried, in milliseconds.
pub(crate) const TRIED_FOR: i64 = DAY;
/// For how long the secret before a rotation still signs, in milliseconds.
pub(crate) const OVERLAP: i64 = DAY;
/// For how long deliveries are kept, in milliseconds.
pub(crate) const KEPT_FOR: i64 = 7 * DAY;

/// An endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) id: WebhookId,
    pub(crate) account: UserId,
    pub(crate) url: String,
    pub(crate) description: String,
    pub(crate) types: Patterns,
    pub(crate) realm_ids: Vec<RealmId>,
    pub(crate) is_enabled: bool,
    pub(crate) disabled_reason: Option<String>,
    /// Sealed.
    pub(crate) secret: Vec<u8>,
    /// Sealed, and until when it signs.
    pub(crate) previous: Option<(Vec<u8>, Timestamp)>,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) failures: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// An event on its way to an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) id: DeliveryId,
    pub(crate) webhook: WebhookId,
    pub(crate) event: EventId,
    pub(crate) event_type: String,
    pub(crate) state: String,
    pub(crate) run_at: Timestamp,
    pub(crate) give_up_at: Timestamp,
    pub(crate) attempts: i64,
    pub(crate) last_attempt_at: Option<Timestamp>,
    pub(crate) status: Option<i64>,
    pub(crate) duration_ms: Option<i64>,
    pub(crate) error: Option<String>,
    pub(crate) answer: Option<String>,
    pub(crate) created_at: Timestamp,
}

impl Webhook {
    /// Whether it gets this event.
    pub(crate) fn wants(&self, event: &Event) -> bool {
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
    pub(crate) fn next_update(&self, now: Timestamp) -> Timestamp {
        now.max(self.updated_at.plus(1))
    }

    /// Its secrets that sign at `now`, the current one first.
    pub(crate) fn secrets(&self, keys: &Keys, now: Timestamp) -> Result<Vec<WebhookSecret>, Error> {
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
    pub(crate) fn shown(&self, secret: Option<&WebhookSecret>) -> wire::Webhook {
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
    pub(crate) fn shown(&self) -> wire::WebhookDelivery {
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

pub(crate) const SECRET: &str = "secret";
pub(crate) const PREVIOUS: &str = "previous_secret";

/// Where a secret is sealed for: it opens in its own row and column alone.
pub(crate) fn place<'a>(account: UserId, id: &'a WebhookId, column: &'a str) -> Place<'a> {
    Place { table: "webhooks", column, account, realm: None, row: id.bytes() }
}

/// What is sent of an event.
pub(crate) fn message(event: &Event) -> String {
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
