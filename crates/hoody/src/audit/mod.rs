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

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;

/// By which one node seals.
const LEASE: &str = "audit";
/// How often it looks for something to seal. A second is promised.
const INTERVAL: Duration = Duration::from_millis(500);
/// After how many looks the feed is trimmed: about every minute.
const TRIM_EVERY: u32 = 120;

/// After how many looks the last checkpoint is kept in the data directory: about every ten seconds.
const KEEP_EVERY: u32 = 20;

/// Seals and trims for as long as the process lives.
pub(crate) async fn run(app: Arc<App>) -> Infallible {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut is_well, mut is_kept) = (true, true);
    let mut looks: u32 = 0;
    loop {
        ticks.tick().await;
        let mut result = seal::seal(&app).await.map(drop);
        looks = looks.wrapping_add(1);
        if result.is_ok() && looks.is_multiple_of(TRIM_EVERY) {
            result = trim::trim(&app).await.map(drop);
        }
        if let Err(error) = &result
            && is_well
        {
            tracing::error!(%error, "the audit log is not sealed; once more soon");
        }
        is_well = result.is_ok();
        if is_well && looks % KEEP_EVERY == 1 {
            let kept = kept::keep(&app).await;
            if let Err(error) = &kept
                && is_kept
            {
                tracing::error!("{}", crate::error::in_full(&error));
            }
            is_kept = kept.is_ok();
        }
    }
}
