//! `activity.logged`: the requests that all nodes log, told live to those who ask for it by name, and kept
//! in the request log alone. This node follows the log itself, wherever a row was written; while nobody
//! asks, nothing is read.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hoody_core::event::Place;
use hoody_core::grant::Credential;
use hoody_core::id::Id;
use hoody_engine::activity::Logged;
use hoody_engine::activity::tail::{self, Position};
use hoody_engine::db::DbError;

use super::{Event, Events};

/// The type of these events.
pub const LOGGED: &str = "activity.logged";

/// How often the log is looked at.
const INTERVAL: Duration = Duration::from_millis(250);
/// How many of the last rows of each run are told at a time. Live and no more: what is passed over is in
/// the request log.
const ROWS: i64 = 20_000;
/// After so many rows the readers get their turn.
const TOGETHER: usize = 64;

/// Tells for as long as the process lives.
pub async fn run(events: Arc<Events>) -> Infallible {
    let mut asking = events.live.watch_activity();
    let mut is_well = true;
    loop {
        // The sender lives in `events`, which this task keeps.
        let _ = asking.wait_for(|count| *count > 0).await;
        let told = tell_new(&events).await;
        if let Err(error) = &told
            && is_well
        {
            tracing::warn!(%error, "the request log cannot be read for the event streams; once more soon");
        }
        is_well = told.is_ok();
        if !matches!(told, Ok(false)) {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// Begins to follow the log, unless that is done already: every row that is stored after this is told.
pub async fn begin(events: &Events) -> Result<(), DbError> {
    let mut at = events.live.activity_at().await;
    if at.is_none() {
        *at = Some(Position::at_the_end(&events.activity).await?);
    }
    Ok(())
}

/// Tells those who ask what is new; whether anybody asks.
pub async fn tell_new(events: &Events) -> Result<bool, DbError> {
    let mut at = events.live.activity_at().await;
    let asking = events.live.activity_askers();
    if asking.is_empty() {
        *at = None;
        return Ok(false);
    }
    // Without a place the first who asks is about to set it.
    let Some(place) = &*at else { return Ok(true) };
    let is_asked = |account: &_| asking.contains(account);
    let (rows, next) = tail::read_latest(&events.activity, place, ROWS, is_asked).await?;
    *at = Some(next);
    for rows in rows.chunks(TOGETHER) {
        rows.iter().for_each(|row| events.live.tell(event(row)));
        tokio::task::yield_now().await;
    }
    Ok(true)
}

fn event(row: &Logged) -> Event {
    let id = row.id();
    let (actor_kind, actor_id) = match row.credential {
        Some(Credential::Token(id)) => ("token", Some(Id::from_bytes(*id.bytes()))),
        Some(Credential::Session(id)) => ("session", Some(Id::from_bytes(*id.bytes()))),
        None => ("nobody", None),
    };
    Event {
        place: Place::default(),
        id: Id::from_bytes(*id.bytes()),
        at: row.at,
        event_type: LOGGED.to_owned(),
        account: row.account,
        actor_kind: actor_kind.to_owned(),
        actor_id,
        resource_type: "activity_log".to_owned(),
        resource_id: Id::from_bytes(*id.bytes()),
        project_id: None,
        realm_ids: row.series.realm.into_iter().collect(),
        payload: serde_json::to_value(row.clone().shown()).unwrap_or_default(),
        is_ephemeral: true,
    }
}
