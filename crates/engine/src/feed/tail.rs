//! The feed's tail: how this node learns what others changed, and how it knows that it knows.
//!
//! The head is polled every 50 ms. When everything up to it is applied, the cache may answer until
//! [`FRESH_FOR`](crate::grants::FRESH_FOR) after the instant before that poll was sent; nothing else
//! moves that limit. A standby's answer is an error (`db`), and moves nothing. A head below what was applied
//! means another database: everything is forgotten.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use hoody_core::time::Timestamp;

use super::{Feed, State, store};
use crate::db::{DbError, Head};

/// How often the head is asked for.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long one statement of a poll may take; its connection is given up then.
const STATEMENT_LIMIT: Duration = Duration::from_secs(1);

/// How far this node is.
#[derive(Debug)]
pub(super) struct Tail {
    applied: AtomicI64,
    /// What was applied, for who waits for more.
    moved: tokio::sync::watch::Sender<i64>,
    is_reachable: AtomicBool,
    /// The database's time when the last poll was sent that ended well.
    polled_at: AtomicI64,
    /// What the last poll found; held while one is under way.
    found: tokio::sync::Mutex<Found>,
}

/// What is kept of a poll for the next one.
#[derive(Debug, Default)]
struct Found {
    /// Of what was applied.
    mark: store::Mark,
    /// Which connection was asked.
    connection: u64,
}

impl Tail {
    /// The position up to which everything is applied; -1 before the first poll.
    fn applied(&self) -> i64 {
        self.applied.load(Ordering::SeqCst)
    }

    /// Wakes whoever waits for the next position.
    fn watch(&self) -> tokio::sync::watch::Receiver<i64> {
        self.moved.subscribe()
    }
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            applied: AtomicI64::new(-1),
            moved: tokio::sync::watch::Sender::new(-1),
            is_reachable: AtomicBool::new(true),
            polled_at: AtomicI64::new(0),
            found: Default::default(),
        }
    }
}

impl Tail {
    /// Whether the last poll that ended reached the database.
    fn is_reachable(&self) -> bool {
        self.is_reachable.load(Ordering::Relaxed)
    }

    /// When the last poll was sent, by the database's clock, if a primary answered it and all that it found is
    /// applied.
    fn confirmed_at(&self) -> Option<Timestamp> {
        let polled_at = self.polled_at.load(Ordering::SeqCst);
        (self.is_reachable() && polled_at > 0).then(|| Timestamp::from_millis(polled_at))
    }
}

impl Feed {
    /// The position up to which everything is applied on this node; -1 before the first poll.
    #[must_use]
    pub fn applied(&self) -> i64 {
        self.0.tail.applied()
    }

    /// Wakes whoever waits for the next position.
    #[must_use]
    pub fn watch(&self) -> tokio::sync::watch::Receiver<i64> {
        self.0.tail.watch()
    }

    /// Whether the last poll that ended reached the database.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.0.tail.is_reachable()
    }

    /// When the last poll was sent, by the database's clock, if a primary answered it and all that it found is
    /// applied.
    #[must_use]
    pub fn confirmed_at(&self) -> Option<Timestamp> {
        self.0.tail.confirmed_at()
    }

    /// Asks for the head once and applies everything up to it.
    ///
    /// # Errors
    /// What the database fails with; what is applied stays where it is.
    pub async fn poll(&self) -> Result<(), DbError> {
        let result = catch_up(self).await;
        self.0.tail.is_reachable.store(result.is_ok(), Ordering::Relaxed);
        result
    }
}

/// Polls for as long as the process lives.
pub async fn run(feed: Feed) -> Infallible {
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let was_reachable = feed.is_reachable();
        let result = feed.poll().await;
        match result {
            Err(error) if was_reachable => {
                tracing::warn!(%error, "the feed cannot be read; nothing is answered from the cache once it is stale");
            }
            Ok(()) if !was_reachable => tracing::info!("the feed can be read again"),
            _ => {}
        }
    }
}

async fn catch_up(feed: &Feed) -> Result<(), DbError> {
    let state = &*feed.0;
    let mut found = state.tail.found.lock().await;
    let unconfirmed = state.grants.unconfirmed();
    let polled_at = state.clock.boot_millis();
    let sent_at = state.clock.now().millis();
    let Head { pos: head, mark: head_mark, awaited, now: database_now } =
        in_time(state.tail_db.head()).await?;
    if let Some(database_now) = database_now {
        state.clock.follow(database_now, polled_at);
    }
    // Others' changes are seen before they are durable (`db::Tx::commit_early`). A crash of the server, which takes
    // them back, ends the connection.
    let connection = state.tail_db.connection();
    if connection == found.connection {
        state.grants.confirm(unconfirmed);
    } else {
        state.grants.forget_unconfirmed();
    }
    found.connection = connection;
    let applied = state.tail.applied.load(Ordering::SeqCst);
    // Nothing was read before the first poll, so there is nothing to forget.
    let is_first = applied < 0;
    // Also when the other history has come as far as this node was, or further: a crash or a fail-over that lost
    // commits.
    let is_other =
        !is_first && (head < applied || mark_of(state, applied, head, &head_mark).await? != found.mark);
    if is_other {
        tracing::warn!(head, applied, "the feed went back: the database was restored; forgetting everything");
        state.grants.forget_all();
        state.hooks.resets.tell(head);
    } else if !is_first && head > applied {
        apply(state, applied, head).await?;
    }
    found.mark = head_mark;
    state.tail.applied.store(head, Ordering::SeqCst);
    if is_other || head != applied {
        state.tail.moved.send_replace(head);
    }
    state.grants.refresh(polled_at);
    state.tail.polled_at.store(sent_at, Ordering::SeqCst);
    state.hooks.polls.tell((awaited, head));
    Ok(())
}

/// What stands at `applied` now; `head_mark` is what stands at the head.
async fn mark_of(
    state: &State,
    applied: i64,
    head: i64,
    head_mark: &store::Mark,
) -> Result<store::Mark, DbError> {
    if applied == head { Ok(head_mark.clone()) } else { in_time(store::mark(&state.tail_db, applied)).await }
}

async fn apply(state: &State, applied: i64, head: i64) -> Result<(), DbError> {
    let mut place = (applied, i64::MAX);
    loop {
        let rows = in_time(store::forgets_after(&state.tail_db, place, head)).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        place = last.place;
        let forgets: Vec<_> = rows.iter().filter_map(|row| row.forget).collect();
        state.grants.forget(&forgets);
        if forgets.len() < rows.len() {
            // A newer version's notice may concern anything that is cached.
            state.grants.read_all_again();
        }
        let now = state.clock.now().millis();
        for row in &rows {
            state.hooks.applied.tell(now - row.at.millis());
        }
    }
}

/// A connection that swallows statements must not keep this node from asking on another.
pub async fn in_time<T>(statement: impl Future<Output = Result<T, DbError>>) -> Result<T, DbError> {
    let done = tokio::time::timeout(STATEMENT_LIMIT, statement).await;
    done.unwrap_or(Err(DbError::Unavailable(sqlx::Error::PoolTimedOut)))
}
