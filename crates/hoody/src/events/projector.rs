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

use super::{DELETED, RETENTION, store};
use crate::app::App;
use crate::error::Error;
use crate::feed::Step;
use crate::nodes::lease;
use crate::webhooks;

/// How many rows of the feed become events in one transaction.
const BATCH: i64 = 200;
/// How many events one transaction removes for their age.
const SWEEP_BATCH: i64 = 500;
/// How often old events are removed.
pub(crate) const SWEEP_INTERVAL: Duration = Duration::from_secs(600);
/// The task that one node has.
const LEASE: &str = "events";
/// How often to look whether the task is free, and how long to wait after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Projects for as long as the process lives.
pub(crate) async fn run(app: Arc<App>) -> Infallible {
    let mut moves = app.tail.watch();
    let mut is_well = true;
    loop {
        let result = project_if_held(&app).await;
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
async fn project_if_held(app: &App) -> Result<bool, Error> {
    if lease::hold(app, LEASE).await?.is_none() {
        return Ok(false);
    }
    project_all(app).await?;
    Ok(true)
}

/// Removes what is too old.
pub(crate) async fn sweep(app: Arc<App>) {
    if let Err(error) = sweep_all(&app).await {
        tracing::warn!(?error, "old events could not be removed");
    }
}

/// Brings the history up to what this node's tail has seen.
pub(crate) async fn project_all(app: &App) -> Result<(), Error> {
    while project(app).await? {}
    Ok(())
}

/// Projects one batch; whether there may be more.
async fn project(app: &App) -> Result<bool, Error> {
    let head = store::head(&app.db).await?;
    let store::Notices { events, last, is_all } =
        store::list_feed(&app.db, app.keys.event_ids(), head.place, app.tail.applied(), BATCH).await?;
    let Some((last, last_at)) = last else { return Ok(false) };
    let mut tx = app.db.begin().await?;
    app.pause(Step::Projecting).await?;
    if !store::move_head(&mut tx, head.place, last, last_at).await? {
        // Another node was quicker.
        return Ok(false);
    }
    let events: Vec<_> = events.into_iter().filter(|event| event.event_type != DELETED).collect();
    for event in &events {
        store::insert_event(&mut tx, event).await?;
    }
    let has_webhooks = webhooks::sender::put_on_way(app, &mut tx, &events).await?;
    app.pause(Step::Projected).await?;
    tx.commit().await?;
    if has_webhooks {
        app.webhook_bell.send_replace(());
    }
    metrics::counter!("hoody_events_projected_total").increment(events.len() as u64);
    Ok(!is_all)
}

/// Removes every event that is older than the retention, in bounded steps.
pub(crate) async fn sweep_all(app: &App) -> Result<(), Error> {
    let cutoff = Timestamp::from_millis(app.now().millis() - RETENTION);
    loop {
        let mut tx = app.db.begin().await?;
        let removed = store::sweep(&mut tx, cutoff, SWEEP_BATCH).await?;
        tx.commit().await?;
        if removed == 0 {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}
