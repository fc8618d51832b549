//! The projector: what the feed tells becomes the history that users query and delete.
//!
//! Rows are read in the order of the feed after the head of the projection, and inserted in one
//! transaction with the head's move, which is conditional on where it was. Whoever dies leaves what was
//! there before; two that race write it once. Nothing here is quick for the sake of streams: they are fed
//! by the tail (`live`).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hoody_core::time::Timestamp;
use hoody_engine::error::Error;
use hoody_engine::feed::Step;

use super::{DELETED, Events, RETENTION, store};

/// How many rows of the feed become events in one transaction.
const BATCH: i64 = 200;
/// How many events one transaction removes for their age.
const SWEEP_BATCH: i64 = 500;
/// How often old events are removed.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(600);
/// The task that one node has.
const LEASE: &str = "events";
/// How often to look whether the task is free, and how long to wait after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Projects for as long as the process lives.
pub async fn run(events: Arc<Events>) -> Infallible {
    let mut moves = events.feed.watch();
    let mut is_well = true;
    loop {
        let result = project_if_held(&events).await;
        if let Err(error) = &result
            && is_well
        {
            tracing::warn!(?error, "the history of events cannot be written");
        }
        is_well = result.is_ok();
        if result.is_ok_and(|is_held| is_held) {
            let _ = moves.changed().await;
        } else {
            // Another node does it, or the database does not answer.
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Projects if that is this node's task; whether it is. The lease only keeps nodes from doing the same:
/// what is written is right whoever writes it.
async fn project_if_held(events: &Events) -> Result<bool, Error> {
    if events.nodes.hold(LEASE).await?.is_none() {
        return Ok(false);
    }
    project_all(events).await?;
    Ok(true)
}

/// Removes what is too old.
pub async fn sweep(events: Arc<Events>) {
    if let Err(error) = sweep_all(&events).await {
        tracing::warn!(?error, "old events could not be removed");
    }
}

/// Brings the history up to what this node's tail has seen.
pub async fn project_all(events: &Events) -> Result<(), Error> {
    while project(events).await? {}
    Ok(())
}

/// Projects one batch; whether there may be more.
async fn project(events: &Events) -> Result<bool, Error> {
    let head = store::head(&events.db).await?;
    let store::Notices { events: found, last, is_all } =
        store::list_feed(&events.db, events.keys.event_ids(), head.place, events.feed.applied(), BATCH)
            .await?;
    let Some((last, last_at)) = last else { return Ok(false) };
    let mut tx = events.db.begin().await?;
    events.feed.pause(Step::Projecting).await?;
    if !store::move_head(&mut tx, head.place, last, last_at).await? {
        // Another node was quicker.
        return Ok(false);
    }
    let projected: Vec<_> = found.into_iter().filter(|event| event.event_type != DELETED).collect();
    for event in &projected {
        store::insert_event(&mut tx, event).await?;
    }
    let mut written = Vec::new();
    for consumer in events.consumers() {
        if consumer.take(&mut tx, &projected).await? {
            written.push(consumer);
        }
    }
    events.feed.pause(Step::Projected).await?;
    tx.commit().await?;
    written.iter().for_each(|consumer| consumer.committed());
    metrics::counter!("hoody_events_projected_total").increment(projected.len() as u64);
    Ok(!is_all)
}

/// Removes every event that is older than the retention, in bounded steps.
pub async fn sweep_all(events: &Events) -> Result<(), Error> {
    let cutoff = Timestamp::from_millis(events.clock.now().millis() - RETENTION);
    loop {
        let mut tx = events.db.begin().await?;
        let removed = store::sweep(&mut tx, cutoff, SWEEP_BATCH).await?;
        tx.commit().await?;
        if removed == 0 {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}
