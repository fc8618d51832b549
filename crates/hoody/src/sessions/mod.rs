//! Sessions of people: signing in, refreshing, signing out.
//!
//! A session is a row with a sequence number; the pair of tokens that is in force is a function of that
//! row. Refreshing raises the number with one conditional UPDATE; whoever loses that race within a
//! minute gets the same pair again, and a number from further back ends the session.

pub(crate) mod http;
pub(crate) mod store;

use std::sync::Arc;
use std::time::Duration;

use hoody_core::session::{ACCESS_LIFETIME, Kind, REFRESH_LIFETIME, Rotation};
use hoody_core::time::SECOND;
use hoody_core::wire;

use crate::app::App;
use crate::keys::Keys;

/// How often sessions that are over are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);

/// The pair of tokens that is in force for a session in this state.
pub(crate) fn sign_pair(keys: &Keys, rotation: &Rotation) -> wire::RefreshData {
    let key = &keys.sessions()[0];
    let access = rotation.claims(Kind::Access);
    let refresh = rotation.claims(Kind::Refresh);
    let at = |seconds: i64| hoody_core::time::Timestamp::from_millis(seconds * SECOND);
    wire::RefreshData {
        token: key.sign(&access).expose().into(),
        refresh_token: key.sign(&refresh).expose().into(),
        expires_at: Some(at(access.exp)),
        expires_in: Some(ACCESS_LIFETIME.unsigned_abs() / SECOND.unsigned_abs()),
        refresh_expires_at: Some(at(refresh.exp)),
        refresh_expires_in: Some(REFRESH_LIFETIME.unsigned_abs() / SECOND.unsigned_abs()),
    }
}

/// Removes sessions that nobody can use any more, now and then.
pub(crate) async fn sweep(app: Arc<App>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        ticks.tick().await;
        if let Err(error) = store::delete_ended(&app.db, app.now()).await {
            tracing::warn!(%error, "sessions that are over could not be removed");
        }
    }
}
