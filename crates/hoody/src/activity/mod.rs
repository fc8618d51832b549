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
pub(crate) mod fill;
pub(crate) mod http;
mod keeper;
pub(crate) mod query;
mod queue;
mod store;
mod tables;
pub(crate) mod tail;
mod token_usage;
pub(crate) mod turns;
mod writer;

use hoody_core::activity::{self, Record, Series};
use hoody_core::grant::Credential;
use hoody_core::id::{Id, UserId, noun};
use hoody_core::time::{DAY, SECOND, Timestamp};
use hoody_core::wire;
use tokio::sync::Mutex;

pub(crate) use keeper::{put_days_together, tidy};
pub(crate) use queue::{Queue, What};
pub(crate) use writer::run;

use crate::app::App;
use crate::db::{Db, DbError};
use writer::Writer;

/// The account of those who name one that does not exist when they sign in: logged as every other
/// attempt, so that nobody can tell by the time it takes; shown to no account.
pub(crate) const NOBODY: UserId = UserId::from_bytes([0; 12]);

/// The number of a row within its run.
const SEQ_BITS: u32 = 40;

/// How the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ActivitySettings {
    /// Whether anything is written.
    pub(crate) is_on: bool,
    /// Whether a request is answered only once its row is stored.
    pub(crate) is_committed: bool,
    /// After how many days a row is dropped.
    pub(crate) retention_days: i64,
}

impl Default for ActivitySettings {
    fn default() -> Self {
        Self { is_on: true, is_committed: false, retention_days: 365 }
    }
}

/// The log of this node.
#[derive(Debug)]
pub(crate) struct Activity {
    pub(crate) db: Db,
    /// Where requests leave their rows; `None` when nothing is written.
    pub(crate) queue: Option<Queue>,
    pub(crate) retention_days: i64,
    writer: Mutex<Writer>,
}

/// One row, as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logged {
    /// Which start of which server wrote it.
    pub(crate) run: i64,
    /// Its number among that one's.
    pub(crate) seq: i64,
    pub(crate) account: UserId,
    pub(crate) at: Timestamp,
    pub(crate) series: Series,
    /// `None` for somebody who was signing in.
    pub(crate) credential: Option<Credential>,
    pub(crate) path: String,
    /// The rule that refused it: [`hoody_core::grant::Deny::name`], or why a login failed.
    pub(crate) reason: Option<String>,
    /// The permission that it needed.
    pub(crate) permission: Option<String>,
    pub(crate) address: String,
    pub(crate) agent: Option<String>,
    /// How long it took, in microseconds.
    pub(crate) micros: u64,
}

impl Activity {
    pub(crate) fn new(db: Db, settings: ActivitySettings) -> Self {
        Self {
            db,
            queue: settings.is_on.then(|| Queue::new(settings.is_committed)),
            retention_days: settings.retention_days,
            writer: Mutex::new(Writer::default()),
        }
    }

    /// Whether a request that may change something is refused before it begins: its row could not be stored.
    pub(crate) fn refuses(&self, method: &::http::Method) -> bool {
        !method.is_safe() && self.queue.as_ref().is_some_and(|queue| queue.is_committed && queue.is_stuck())
    }

    /// Rows before this instant are not shown; whole days of them are dropped.
    fn cutoff(&self, now: Timestamp) -> Timestamp {
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
    pub(crate) fn id(&self) -> Id<noun::LogRow> {
        let seconds = u32::try_from(self.at.millis() / SECOND).unwrap_or(u32::MAX);
        Id::from_parts(seconds, place(self.run, self.seq).to_be_bytes())
    }

    /// As its account sees it.
    pub(crate) fn shown(self) -> wire::ActivityRow {
        let (token_id, session_id) = match self.credential {
            Some(Credential::Token(id)) => (Some(id), None),
            Some(Credential::Session(id)) => (None, Some(id)),
            None => (None, None),
        };
        wire::ActivityRow {
            id: self.id(),
            user_id: self.account,
            realm_id: self.series.realm,
            method: self.series.method.name().to_owned(),
            path: self.path,
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

/// Writes where rows are stored, though nothing changes: whether it can be written.
pub(crate) async fn probe(app: &App) -> Result<(), DbError> {
    store::touch(&app.activity.db).await
}

/// Stores everything that waits; whether it could.
pub(crate) async fn flush(app: &App) -> bool {
    let flushed = writer::flush(app).await;
    if let Err(error) = &flushed {
        tracing::error!(%error, "what waits for the request log could not be written");
    }
    flushed.is_ok()
}
