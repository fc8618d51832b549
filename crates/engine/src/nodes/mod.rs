//! The processes that serve one database: a row for each that is alive, and the leases by which what only
//! one may do is done by one.
//!
//! Nodes know each other from the database alone. A row is written every three seconds, and at once when
//! somebody waits for a position of the feed to be applied everywhere ([`wait`]).

pub mod lease;
pub mod store;
pub mod wait;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hoody_core::id::{Id, NodeId};
use hoody_core::time::{SECOND, Timestamp};

use crate::clock::{Clock, entropy};
use crate::db::{Db, DbError};
use crate::feed::Feed;
use crate::keys::Keys;

/// How often a node says that it is alive.
const BEAT: Duration = Duration::from_secs(3);
/// How often a database that took no writes is tried again: until it does, the node is not ready.
const PROBE: Duration = Duration::from_millis(500);
/// How long after its last word a node counts as alive, in milliseconds.
pub const ALIVE_FOR: i64 = 15 * SECOND;
/// How long after its last word a node is still listed, in milliseconds.
const LISTED_FOR: i64 = 3_600 * SECOND;

/// This process among those that serve the database.
#[derive(Debug, Clone)]
pub struct Nodes(Arc<State>);

#[derive(Debug)]
struct State {
    db: Db,
    clock: Clock,
    keys: Arc<Keys>,
    feed: Feed,
    this: This,
}

/// What this process is and said.
#[derive(Debug)]
struct This {
    id: NodeId,
    name: String,
    started_at: Timestamp,
    leases: lease::Leases,
    /// Whether this node said that it ends; held while it writes that it is there or takes a lease.
    has_left: tokio::sync::Mutex<bool>,
    /// What the database says that this node has applied.
    recorded: AtomicI64,
    /// The longest that a change took to be applied here since that was last told, in milliseconds.
    slowest: AtomicI64,
}

/// One process that serves, as the others see it.
#[derive(Debug, Clone)]
pub struct Node {
    pub id: NodeId,
    pub name: String,
    pub version: String,
    /// The ids of its master keys, the one that it signs with first.
    pub key_ids: Vec<String>,
    pub started_at: Timestamp,
    pub seen_at: Timestamp,
    pub applied: i64,
    pub lag_ms: i64,
}

impl Node {
    /// Whether it counts as alive at `now`.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.seen_at.millis() > now.millis() - ALIVE_FOR
    }
}

impl Nodes {
    /// A process that begins.
    #[must_use]
    pub fn new(db: Db, clock: Clock, keys: Arc<Keys>, feed: Feed) -> Self {
        let this = This::new(&clock);
        let nodes = Self(Arc::new(State { db, clock, keys, feed, this }));
        // Weak: the feed would keep itself alive.
        let state = Arc::downgrade(&nodes.0);
        nodes.0.feed.on_applied(note_lag(Weak::clone(&state)));
        let polled = Weak::clone(&state);
        nodes.0.feed.on_poll(move |(awaited, head)| {
            if let Some(state) = polled.upgrade() {
                wait::answer(&Self(state), awaited, head);
            }
        });
        nodes.0.feed.on_reset(move |head| {
            if let Some(state) = state.upgrade() {
                state.this.went_back(head);
            }
        });
        nodes
    }

    /// Its id: of this process, another after the next start.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.0.this.id
    }

    /// Says for as long as the process lives that it is alive.
    pub async fn run(self) -> Infallible {
        let mut ticks = tokio::time::interval(PROBE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut is_well, mut beat_at) = (true, None::<tokio::time::Instant>);
        loop {
            ticks.tick().await;
            if self.0.db.health().can_write() && beat_at.is_some_and(|at| at.elapsed() < BEAT) {
                continue;
            }
            beat_at = Some(tokio::time::Instant::now());
            let result = self.beat().await;
            if let Err(error) = &result
                && is_well
            {
                tracing::warn!(%error, "this node cannot say that it is alive");
            }
            is_well = result.is_ok();
        }
    }

    /// Says that this node is alive and how far it is, and renews the leases that it holds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn beat(&self) -> Result<(), DbError> {
        let State { db, clock, keys, feed, this } = &*self.0;
        let has_left = this.has_left.lock().await;
        if *has_left {
            return Ok(());
        }
        let now = clock.now();
        let applied = feed.applied();
        let slowest = this.slowest.swap(0, Ordering::Relaxed);
        let node = Node {
            id: this.id,
            name: this.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            key_ids: keys.ids(),
            started_at: this.started_at,
            seen_at: now,
            applied,
            lag_ms: slowest,
        };
        let mut tx = db.begin().await?;
        store::put(&mut tx, &node, feed.confirmed_at()).await?;
        store::delete_unseen(&mut tx, Timestamp::from_millis(now.millis() - LISTED_FOR)).await?;
        tx.commit().await?;
        this.recorded.store(applied, Ordering::SeqCst);
        // Apart: who does what a lease is for may hold its row for long.
        let mut tx = db.begin().await?;
        let held = lease::renew(&mut tx, this.id, now).await?;
        tx.commit().await?;
        this.leases.replace(held);
        Ok(())
    }

    /// Says that this node ends: its leases are free at once.
    pub async fn leave(&self) {
        let State { db, this, .. } = &*self.0;
        let left = async {
            let mut has_left = this.has_left.lock().await;
            *has_left = true;
            this.leases.replace(HashMap::new());
            let mut tx = db.begin().await?;
            lease::release(&mut tx, this.id).await?;
            store::delete(&mut tx, this.id).await?;
            tx.commit().await
        };
        if let Err(error) = left.await {
            tracing::warn!(%error, "this node could not say that it ends; its leases run out by themselves");
        }
    }
}

impl This {
    fn new(clock: &Clock) -> Self {
        let now = clock.now();
        let seconds = u32::try_from(now.millis() / SECOND).unwrap_or(u32::MAX);
        Self {
            id: Id::from_parts(seconds, entropy()),
            name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            started_at: now,
            leases: lease::Leases::default(),
            has_left: tokio::sync::Mutex::default(),
            recorded: AtomicI64::new(-1),
            slowest: AtomicI64::new(0),
        }
    }

    /// The feed ends at `head` now, in another history.
    fn went_back(&self, head: i64) {
        self.recorded.fetch_min(head, Ordering::SeqCst);
    }

    /// Whether somebody waits for this node to say that it applied `awaited`, and it has.
    fn is_asked(&self, awaited: i64, applied: i64) -> bool {
        let recorded = self.recorded.load(Ordering::SeqCst);
        // Before its first word nobody waits for it.
        recorded >= 0 && awaited > recorded && applied >= awaited
    }
}

/// Notes how many milliseconds after it was made a change was applied here.
fn note_lag(state: Weak<State>) -> impl Fn(i64) + Send + Sync + 'static {
    move |millis| {
        if let Some(state) = state.upgrade() {
            state.this.slowest.fetch_max(millis.max(0), Ordering::Relaxed);
        }
        let seconds = f64::from(u32::try_from(millis.max(0)).unwrap_or(u32::MAX)) / 1_000.0;
        metrics::histogram!("hoody_revocation_propagation_seconds").record(seconds);
    }
}
