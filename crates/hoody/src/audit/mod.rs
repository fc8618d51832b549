//! The audit log: every change that the feed tells of, in one chain of hashes that nobody can alter
//! unseen.
//!
//! One node (a lease) seals what is new in the feed twice a second: it copies the rows into `audit`, links
//! each to all before it, and signs where the chain now ends. The feed can then be trimmed of what is old;
//! the log stays. `verify` walks the chain, `export` hands it out. The rules are `hoody_core::audit`.

pub(crate) mod kept;
pub(crate) mod seal;
pub(crate) mod store;
pub(crate) mod trim;
pub(crate) mod verify;
pub(crate) mod vouch;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::db::DbError;
use vouch::Stop;

/// By which one node seals.
const LEASE: &str = "audit";
/// How often it looks for something to seal. A second is promised.
const INTERVAL: Duration = Duration::from_millis(500);
/// After how many looks the feed is trimmed: about every minute.
const TRIM_EVERY: u32 = 120;

/// Seals and trims for as long as the process lives.
pub(crate) async fn run(app: Arc<App>) -> Infallible {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut is_well = true;
    let mut looks: u32 = 0;
    loop {
        ticks.tick().await;
        looks = looks.wrapping_add(1);
        let result = look(&app, looks.is_multiple_of(TRIM_EVERY)).await;
        if let Err(error) = &result
            && is_well
        {
            tracing::error!(%error, "the audit log is not sealed; once more soon");
        }
        is_well = result.is_ok();
    }
}

/// Seals what is new, if the log is still the one that was signed.
pub(crate) async fn look(app: &App, trims: bool) -> Result<(), DbError> {
    match seal::seal(app).await {
        Ok(_) => {
            if app.audit.set_refusal(None) {
                tracing::info!("the audit log is sealed again");
            }
        }
        Err(Stop::Refused(why)) => {
            if app.audit.set_refusal(Some(&why)) {
                tracing::error!("{why}");
            }
            return Ok(());
        }
        Err(Stop::Db(error)) => return Err(error),
    }
    if trims {
        trim::trim(app).await?;
    }
    Ok(())
}

/// Seals what is new before the process ends, so that nothing waits for the next start.
pub(crate) async fn seal_last(app: &App) {
    if let Err(error) = look(app, false).await {
        tracing::warn!(%error, "the last changes are not sealed; the next start does it");
    }
}
