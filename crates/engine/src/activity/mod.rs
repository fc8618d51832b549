//! The request log: one row for every request whose account is known, also the refused ones.
//!
//! ```text
//! request → queue (memory) → writer → small blocks ──┐ hourly, by one node
//!                                                     └→ large blocks, what tokens did, old days dropped
//! ```
//!
//! Rows are packed in blocks (`core::activity::block`): a batch makes one for each account in it, `keeper`
//! puts small ones together. `query` answers from what is said beside the blocks and reads as few as it
//! can; `tail` gives all rows in an order that misses none.

mod blocks;
pub mod fill;
mod keeper;
pub mod query;
mod queue;
mod store;
mod tables;
pub mod tail;
pub mod token_usage;
pub mod turns;
mod writer;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use hoody_core::activity::{self, Place, Record, Series};
use hoody_core::grant::Credential;
use hoody_core::id::{Id, UserId, noun};
use hoody_core::time::{DAY, SECOND, Timestamp};
use hoody_core::wire;
use tokio::sync::Mutex;

pub use keeper::put_days_together;
pub use queue::{AtGate, Queue, What};

use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::grants::Grants;
use crate::nodes::Nodes;
use crate::tasks::{Need, Tasks};
use writer::Writer;

/// The account of those who name one that does not exist when they sign in: logged as every other
/// attempt, so that nobody can tell by the time it takes; shown to no account.
pub const NOBODY: UserId = UserId::from_bytes([0; 12]);

/// The number of a row within its run.
const SEQ_BITS: u32 = 40;

/// How the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivitySettings {
    /// Whether anything is written.
    pub is_on: bool,
    /// Whether a request is answered only once its row is stored.
    pub is_committed: bool,
    /// After how many days a row is dropped.
    pub retention_days: i64,
}

impl Default for ActivitySettings {
    fn default() -> Self {
        Self { is_on: true, is_committed: false, retention_days: 365 }
    }
}

/// The log of this node.
#[derive(Debug, Clone)]
pub struct Activity(Arc<State>);

/// What all that hold the log share.
#[derive(Debug)]
pub struct State {
    pub db: Db,
    /// Where requests leave their rows; `None` when nothing is written.
    pub queue: Option<Queue>,
    pub retention_days: i64,
    clock: Clock,
    /// Knows what the operator's permissions are called.
    grants: Arc<Grants>,
    writer: Mutex<Writer>,
}

impl Deref for Activity {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

/// How often the request log is tidied up.
const TIDY_INTERVAL: Duration = Duration::from_secs(30);
/// How often a database that took no writes is tried again: until it does, the node is not ready.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// One row, as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Which start of which server wrote it.
    pub run: i64,
    /// Its number among that one's.
    pub seq: i64,
    pub account: UserId,
    pub at: Timestamp,
    pub series: Series,
    /// `None` for somebody who was signing in.
    pub credential: Option<Credential>,
    /// Where it took place: the text of a [`Place`].
    pub path: String,
    /// The rule that refused it: [`hoody_core::grant::Deny::name`], or why a login failed.
    pub reason: Option<String>,
    /// The permission that it needed.
    pub permission: Option<String>,
    pub address: String,
    pub agent: Option<String>,
    /// How long it took, in microseconds.
    pub micros: u64,
}

impl Activity {
    /// The log in `db`.
    #[must_use]
    pub fn new(db: Db, clock: Clock, grants: Arc<Grants>, settings: ActivitySettings) -> Self {
        Self(Arc::new(State {
            db,
            queue: settings.is_on.then(|| Queue::new(settings.is_committed)),
            retention_days: settings.retention_days,
            clock,
            grants,
            writer: Mutex::new(Writer::default()),
        }))
    }

    /// Starts the writer, and what keeps the log in shape on one of `nodes`.
    pub fn start(&self, tasks: &Tasks, nodes: &Nodes) {
        let log = self.clone();
        // Requests wait for it when its memory is full.
        tasks.supervise("activity", Need::Vital, move || writer::run(log.clone()));
        let log = self.clone();
        tasks.every("activity-probe", PROBE_INTERVAL, move || probe(log.clone()));
        let (log, nodes) = (self.clone(), nodes.clone());
        tasks.every("activity-tidy", TIDY_INTERVAL, move || {
            let (log, nodes) = (log.clone(), nodes.clone());
            async move {
                if let Err(error) = log.tidy(&nodes).await {
                    tracing::warn!(%error, "the request log could not be tidied up");
                }
            }
        });
    }

    /// One round of keeping the log in shape, if this node holds the lease.
    ///
    /// # Errors
    /// When the database fails; the next round takes it up.
    pub async fn tidy(&self, nodes: &Nodes) -> Result<(), DbError> {
        keeper::tidy(self, nodes).await
    }

    /// Stores everything that waits; whether it could.
    pub async fn flush(&self) -> bool {
        let flushed = writer::flush(self).await;
        if let Err(error) = &flushed {
            tracing::error!(%error, "what waits for the request log could not be written");
        }
        flushed.is_ok()
    }

    /// Whether a request that may change something is refused before it begins: its row could not be stored.
    pub fn refuses(&self, method: &::http::Method) -> bool {
        !method.is_safe() && self.queue.as_ref().is_some_and(|queue| queue.is_committed && queue.is_stuck())
    }

    /// Rows before this instant are not shown; whole days of them are dropped.
    #[must_use]
    pub fn cutoff(&self, now: Timestamp) -> Timestamp {
        let first_day = activity::day(now) - self.retention_days;
        Timestamp::from_millis(first_day.saturating_mul(DAY))
    }
}

impl Logged {
    fn of(run: i64, account: UserId, record: &Record<'_>) -> Self {
        Self {
            run,
            seq: record.seq,
            account,
            at: record.at,
            series: record.series,
            credential: record.credential,
            path: record.path.to_owned(),
            reason: record.reason.map(str::to_owned),
            permission: record.permission.map(str::to_owned),
            address: record.address.to_owned(),
            agent: record.agent.map(str::to_owned),
            micros: record.micros,
        }
    }

    /// The time in seconds, then where it is: unique as long as the log.
    pub fn id(&self) -> Id<noun::LogRow> {
        let seconds = u32::try_from(self.at.millis() / SECOND).unwrap_or(u32::MAX);
        Id::from_parts(seconds, place(self.run, self.seq).to_be_bytes())
    }

    /// As its account sees it.
    pub fn shown(self) -> wire::ActivityRow {
        let (token_id, session_id) = match self.credential {
            Some(Credential::Token(id)) => (Some(id), None),
            Some(Credential::Session(id)) => (None, Some(id)),
            None => (None, None),
        };
        let (via, gate_id, host, path) = match Place::parse(&self.path) {
            Place::Here(path) => (None, None, None, path),
            Place::Gate { via, gate, host, path } => {
                (Some(via.word().to_owned()), gate, (!host.is_empty()).then(|| host.to_owned()), path)
            }
        };
        wire::ActivityRow {
            id: self.id(),
            user_id: self.account,
            realm_id: self.series.realm,
            method: self.series.method.name().to_owned(),
            path: path.to_owned(),
            via,
            gate_id,
            host,
            status_code: self.series.status,
            ip_address: self.address,
            user_agent: self.agent,
            token_id,
            session_id,
            deny_reason: self.reason,
            permission: self.permission,
            duration_us: self.micros,
            created_at: self.at,
        }
    }
}

/// A run and a number in it as one number, in the order of both.
fn place(run: i64, seq: i64) -> i64 {
    run << SEQ_BITS | seq
}

fn run_of(place: i64) -> i64 {
    place >> SEQ_BITS
}

fn seq_of(place: i64) -> i64 {
    place & ((1 << SEQ_BITS) - 1)
}

/// Writes where rows could not be stored, though nothing changes: the node is ready again once it can.
async fn probe(log: Activity) {
    if !log.db.health().can_write() {
        // Told where it fails.
        let _ = store::touch(&log.db).await;
    }
}
