//! Alerts: a word to an account when something looks wrong with what is its own.
//!
//! ```text
//! request log ──tail──┐
//! feed ───────────────┼─ evaluator (one node) → alerts ─┬→ alert.raised → events, streams, webhooks
//! tokens, by time ────┘                                 └→ mails
//! ```
//!
//! One node (a lease) reads the log and the feed in their order. What it raises, what it remembers and how
//! far it is are one transaction: whoever takes over repeats nothing and misses nothing. Which kinds there
//! are, and what a row is a sign of, is `hoody_core::alert`. The same thing again is counted up in the alert
//! that tells of it, so that nobody is flooded.

pub mod body;
pub mod evaluator;
pub mod http;
mod mails;
mod raise;
pub mod store;
pub mod watch;

use std::collections::HashMap;
use std::sync::Arc;

use hoody_core::alert::{Kind, Seen};
use hoody_core::id::{AlertId, Id, RealmId, ResourceId, TokenId, UserId, WebhookId};
use hoody_core::time::{DAY, Timestamp};
use hoody_core::wire;
use hoody_engine::activity::Activity;
use hoody_engine::activity::tail::Position;
use hoody_engine::clock::Clock;
use hoody_engine::db::{Db, DbError};
use hoody_engine::engine::Engine;
use hoody_engine::feed::Feed;
use hoody_engine::nodes::Nodes;
use hoody_engine::nodes::lease::Lease;
use hoody_engine::tasks::{Need, Tasks};
use hoody_engine::web::list::ListRooms;
use hoody_engine::web::{Access, Lends};
use serde_json::Value;
use tokio::sync::Mutex;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::mail::Mail;
use crate::tokens::Tokens;

/// By which one node evaluates.
const LEASE: &str = "alerts";
/// For how long alerts are kept, in milliseconds.
const KEPT_FOR: i64 = 90 * DAY;
/// For how long it is known whose a deleted token was, in milliseconds. Leaked tokens were seen in use two
/// years on.
const DELETED_FOR: i64 = 730 * DAY;

/// Alerts, and the evaluator that raises them.
#[derive(Debug)]
pub struct Alerts {
    access: Arc<Access>,
    db: Db,
    clock: Clock,
    feed: Feed,
    nodes: Nodes,
    activity: Activity,
    lists: ListRooms,
    mail: Arc<Mail>,
    tokens: Arc<Tokens>,
    /// Held by the evaluator while it judges.
    memory: Mutex<Memory>,
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// `token`, `account` or `webhook`.
    pub noun: &'static str,
    pub id: ResourceId,
}

/// Something that an account should know.
#[derive(Debug, Clone)]
pub struct Alert {
    pub id: AlertId,
    pub account: UserId,
    pub kind: Kind,
    pub subject: Subject,
    pub name: Option<String>,
    pub realm_ids: Vec<RealmId>,
    pub state: String,
    pub is_muted: bool,
    pub hits: i64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    pub counts_until: Timestamp,
    pub ip: Option<String>,
    pub details: Value,
    pub settled_at: Option<Timestamp>,
}

/// What the node that evaluates has in memory of what is stored: right for as long as nobody else held the
/// lease, and every transaction was committed.
#[derive(Debug, Default)]
pub struct Memory {
    term: Option<i64>,
    seen: HashMap<[u8; 12], Seen>,
}

impl Alerts {
    pub fn new(engine: &Engine, mail: &Arc<Mail>, tokens: &Arc<Tokens>) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            clock: engine.clock.clone(),
            feed: engine.feed.clone(),
            nodes: engine.nodes.clone(),
            activity: engine.activity.clone(),
            lists: engine.lists.clone(),
            mail: Arc::clone(mail),
            tokens: Arc::clone(tokens),
            memory: Mutex::default(),
        })
    }

    /// Sets where evaluation starts, on a database where no node has evaluated yet: after the rows that exist
    /// now. Call it before the server answers requests, so that no later row is missed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(&self) -> Result<(), DbError> {
        if store::find_head(&self.db).await?.is_some() {
            return Ok(());
        }
        let end = Position::at_the_end(&self.activity).await?;
        store::begin(&self.db, &end, self.clock.now()).await
    }

    /// Starts the evaluator.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        let alerts = Arc::clone(self);
        tasks.supervise("alerts", Need::Useful, move || evaluator::run(Arc::clone(&alerts)));
    }
}

impl Lends for Alerts {
    fn access(&self) -> &Access {
        &self.access
    }
}

pub fn routes() -> OpenApiRouter<Arc<Alerts>> {
    OpenApiRouter::new()
        .routes(routes!(http::list_alerts))
        .routes(routes!(http::list_alert_settings))
        .routes(routes!(http::update_alert_setting))
        .routes(routes!(http::get_alert))
        .routes(routes!(http::acknowledge_alert))
        .routes(routes!(http::dismiss_alert))
}

impl Subject {
    pub fn token(id: TokenId) -> Self {
        Self { noun: "token", id: Id::from_bytes(*id.bytes()) }
    }

    pub fn account(id: UserId) -> Self {
        Self { noun: "account", id: Id::from_bytes(*id.bytes()) }
    }

    pub fn webhook(id: WebhookId) -> Self {
        Self { noun: "webhook", id: Id::from_bytes(*id.bytes()) }
    }

    fn of(noun: &str, id: ResourceId) -> Option<Self> {
        let noun = ["token", "account", "webhook"].into_iter().find(|known| *known == noun)?;
        Some(Self { noun, id })
    }
}

impl Memory {
    /// Forgets everything unless it was learnt under this lease.
    fn under(&mut self, lease: &Lease) {
        if self.term != Some(lease.term()) {
            self.seen.clear();
            self.term = Some(lease.term());
        }
    }

    fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Alert {
    /// As its account sees it; `is_named`: the subject may be named.
    pub fn shown(self, is_named: bool) -> wire::Alert {
        let rule = self.kind.rule();
        let name = self.name.clone().filter(|_| is_named);
        wire::Alert {
            id: self.id,
            kind: rule.name.to_owned(),
            severity: rule.severity.name().to_owned(),
            state: self.state.clone(),
            title: rule.title.to_owned(),
            message: self.message(name.as_deref()),
            explanation: rule.explanation.to_owned(),
            subject_type: self.subject.noun.to_owned(),
            subject_id: is_named.then_some(self.subject.id),
            subject_name: name,
            count: self.hits.unsigned_abs(),
            ip_address: self.ip,
            details: self.details,
            is_muted: self.is_muted,
            first_at: self.first_at,
            last_at: self.last_at,
            settled_at: self.settled_at,
        }
    }

    /// What happened, in a sentence.
    fn message(&self, name: Option<&str>) -> String {
        let subject = match (self.subject.noun, name) {
            ("account", _) => "the account".to_owned(),
            (noun, Some("")) => format!("{noun} {}", self.subject.id),
            (noun, Some(name)) => format!("{noun} {}", hoody_core::json::quoted(name)),
            (noun, None) => format!("a {noun}"),
        };
        let from = self.ip.as_ref().map(|ip| format!(", last from {ip}")).unwrap_or_default();
        let said = |field: &str| self.details[field].as_str().unwrap_or("unknown").to_owned();
        let days = || self.details["days"].as_i64().unwrap_or_default();
        let times = if self.hits == 1 { "once".to_owned() } else { format!("{} times", self.hits) };
        let message = match self.kind {
            Kind::TokenNewAddress => {
                format!("{subject} came from {} new, last {}", addresses(self.hits), at(self))
            }
            Kind::RefusalBurst => format!("{subject} was refused {times}{from}: {}", said("reason")),
            Kind::DeadTokenUsed => format!("{subject} was used {times}{from}; it is {}", said("reason")),
            Kind::LoginNewAddress => {
                format!(
                    "somebody signed in to {subject} from {} new, last {}",
                    addresses(self.hits),
                    at(self)
                )
            }
            Kind::TwoFactorDisabled => format!("{subject} has no second factor any more"),
            Kind::FailedLogins => format!("signing in to {subject} failed {times}{from}"),
            Kind::TokenExpiring if days() == 1 => {
                format!("{subject} expires within a day: {}", said("expires_at"))
            }
            Kind::TokenExpiring => {
                format!("{subject} expires within {} days: {}", days(), said("expires_at"))
            }
            Kind::TokenUnused if self.details["disabled"] == true => {
                format!("{subject} was not used for {} days and is disabled now", days())
            }
            Kind::TokenUnused => format!("{subject} was not used for {} days", days()),
            Kind::WebhookDisabled => format!("{subject} was switched off: {}", said("reason")),
        };
        let mut letters = message.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }
}

fn addresses(count: i64) -> String {
    if count == 1 { "an address that is".to_owned() } else { format!("{count} addresses that are") }
}

fn at(alert: &Alert) -> &str {
    alert.ip.as_deref().unwrap_or("unknown")
}
