//! `activity.logged`: the requests that this node logs, told live to those who ask for it by name, and kept
//! in the request log alone. While nobody asks, nothing is listened to.

use std::sync::Arc;

use hoody_core::event::Place;
use hoody_core::grant::Credential;
use hoody_core::id::Id;
use tokio::sync::broadcast::error::RecvError;

use super::Event;
use crate::activity::Logged;
use crate::app::App;

/// The type of these events.
pub(crate) const LOGGED: &str = "activity.logged";

/// Tells for as long as the process lives.
pub(crate) async fn run(app: Arc<App>) {
    let mut asking = app.live.watch_activity();
    loop {
        if asking.wait_for(|count| *count > 0).await.is_err() {
            return;
        }
        let mut rows = app.activity.listen();
        loop {
            tokio::select! {
                batch = rows.recv() => match batch {
                    Ok(batch) => batch.iter().for_each(|row| app.live.tell(event(row))),
                    // Live and no more: what was missed is in the request log.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                quiet = asking.wait_for(|count| *count == 0) => match quiet {
                    Ok(_) => break,
                    Err(_) => return,
                },
            }
        }
    }
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
