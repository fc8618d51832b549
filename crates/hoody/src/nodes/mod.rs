//! The processes that serve one database: a row for each that is alive, and the leases by which what only
//! one may do is done by one.
//!
//! Nodes know each other from the database alone. A row is written every three seconds, and at once when
//! somebody waits for a position of the feed to be applied everywhere ([`wait`]).

pub(crate) mod lease;
pub(crate) mod store;
pub(crate) mod wait;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hoody_core::id::{Id, NodeId};
use hoody_core::time::{SECOND, Timestamp};

use crate::activity;
use crate::app::App;
use crate::clock::{Clock, entropy};
use crate::db::DbError;

/// How often a node says that it is alive.
const BEAT: Duration = Duration::from_secs(3);
/// How often a database that took no writes is tried again: until it does, the node is not ready.
const PROBE: Duration = Duration::from_millis(500);
/// How long after its last word a node counts as alive, in milliseconds.
pub(crate) const ALIVE_FOR: i64 = 15 * SECOND;
/// How long after its last word a node is still listed, in milliseconds.
const LISTED_FOR: i64 = 3_600 * SECOND;

/// This process among those that serve the database.
#[derive(Debug)]
pub(crate) struct Nodes {
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
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) version: String,
    /// The ids of its master keys, the one that it signs with first.
    pub(crate) key_ids: Vec<String>,
    pub(crate) started_at: Timestamp,
    pub(crate) seen_at: Timestamp,
    pub(crate) applied: i64,
    pub(crate) lag_ms: i64,
}

impl Node {
    /// Whether it counts as alive at `now`.
    pub(crate) fn is_alive(&self, now: Timestamp) -> bool {
        self.seen_at.millis() > now.millis() - ALIVE_FOR
    }
}

impl Nodes {
    /// A process that begins.
    pub(crate) fn new(clock: &Clock) -> Self {
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

    /// Its id: of this process, another after the next start.
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    /// A change was applied here `millis` after it was made.
    pub(crate) fn note_lag(&self, millis: i64) {
        self.slowest.fetch_max(millis.max(0), Ordering::Relaxed);
        let seconds = f64::from(u32::try_from(millis.max(0)).unwrap_or(u32::MAX)) / 1_000.0;
        metrics::histogram!("hoody_revocation_propagation_seconds").record(seconds);
    }

    /// The feed ends at `head` now, in another history.
    pub(crate) fn went_back(&self, head: i64) {
        self.recorded.fetch_min(head, Ordering::SeqCst);
    }

    /// Whether somebody waits for this node to say that it applied `awaited`, and it has.
    pub(crate) fn is_asked(&self, awaited: i64, applied: i64) -> bool {
        let recorded = self.recorded.load(Ordering::SeqCst);
        // Before its first word nobody waits for it.
        recorded >= 0 && awaited > recorded && applied >= awaited
    }
}

/// Says that this node is alive and how far it is, and renews the leases that it holds.
pub(crate) async fn beat(app: &App) -> Result<(), DbError> {
    let nodes = &app.nodes;
    let has_left = nodes.has_left.lock().await;
    if *has_left {
        return Ok(());
    }
    let now = app.now();
    let applied = app.tail.applied();
    let slowest = nodes.slowest.swap(0, Ordering::Relaxed);
    let this = Node {
        id: nodes.id,
        name: nodes.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        key_ids: app.keys.ids(),
        started_at: nodes.started_at,
        seen_at: now,
        applied,
        lag_ms: slowest,
    };
    let mut tx = app.db.begin().await?;
    store::put(&mut tx, &this, app.tail.confirmed_at()).await?;
    store::delete_unseen(&mut tx, Timestamp::from_millis(now.millis() - LISTED_FOR)).await?;
    tx.commit().await?;
    nodes.recorded.store(applied, Ordering::SeqCst);
    // Apart: who does what a lease is for may hold its row for long.
    let mut tx = app.db.begin().await?;
    let held = lease::renew(&mut tx, nodes.id, now).await?;
    tx.commit().await?;
    nodes.leases.replace(held);
    Ok(())
}

/// Says so for as long as the process lives.
pub(crate) async fn run(app: Arc<App>) -> Infallible {
    let mut ticks = tokio::time::interval(PROBE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut is_well, mut beat_at) = (true, None::<tokio::time::Instant>);
    loop {
        ticks.tick().await;
        if !app.activity.db.health().can_write() {
            // Told where it fails.
            let _ = activity::probe(&app).await;
        }
        if app.db.health().can_write() && beat_at.is_some_and(|at| at.elapsed() < BEAT) {
            continue;
        }
        beat_at = Some(tokio::time::Instant::now());
        let result = beat(&app).await;
        if let Err(error) = &result
            && is_well
        {
            tracing::warn!(%error, "this node cannot say that it is alive");
        }
        is_well = result.is_ok();
    }
}

/// Says that this node ends: its leases are free at once.
pub(crate) async fn leave(app: &App) {
    let left = async {
        let mut has_left = app.nodes.has_left.lock().await;
        *has_left = true;
        app.nodes.leases.replace(HashMap::new());
        let mut tx = app.db.begin().await?;
        lease::release(&mut tx, app.nodes.id).await?;
        store::delete(&mut tx, app.nodes.id).await?;
        tx.commit().await
    };
    if let Err(error) = left.await {
        tracing::warn!(%error, "this node could not say that it ends; its leases run out by themselves");
    }
}
