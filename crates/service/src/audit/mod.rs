//! The audit log: every change that the feed tells of, in one chain of hashes that nobody can alter
//! unseen.
//!
//! One node (a lease) seals what is new in the feed twice a second: it copies the rows into `audit`, links
//! each to all before it, and signs where the chain now ends. The feed can then be trimmed of what is old;
//! the log stays. `verify` walks the chain, `export` hands it out. The rules are `hoody_core::audit`.

pub mod kept;
pub mod seal;
pub mod store;
pub mod trim;
pub mod verify;
pub mod vouch;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hoody_engine::clock::Clock;
use hoody_engine::db::{Db, DbError};
use hoody_engine::engine::Engine;
use hoody_engine::keys::Keys;
use hoody_engine::nodes::Nodes;
use hoody_engine::tasks::{Need, Tasks};
use vouch::{Stop, Vouched};

/// By which one node seals.
const LEASE: &str = "audit";
/// How often it looks for something to seal. A second is promised.
const INTERVAL: Duration = Duration::from_millis(500);
/// After how many looks the feed is trimmed: about every minute.
const TRIM_EVERY: u32 = 120;

/// Seals, trims and verifies the audit log.
#[derive(Debug)]
pub struct Audit {
    db: Db,
    keys: Arc<Keys>,
    clock: Clock,
    nodes: Nodes,
    /// The last checkpoint is kept here, outside the database.
    data_dir: PathBuf,
    vouched: Vouched,
}

impl Audit {
    pub fn new(engine: &Engine) -> Arc<Self> {
        Arc::new(Self {
            db: engine.db.clone(),
            keys: Arc::clone(&engine.keys),
            clock: engine.clock.clone(),
            nodes: engine.nodes.clone(),
            data_dir: engine.data_dir.clone(),
            vouched: Vouched::default(),
        })
    }

    /// Seals and trims beside the requests.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        let audit = Arc::clone(self);
        tasks.supervise("audit", Need::Useful, move || run(Arc::clone(&audit)));
    }

    /// Why this node does not sign the log; `None` when it does.
    pub fn refusal(&self) -> Option<String> {
        self.vouched.refusal()
    }
}

/// Seals and trims for as long as the process lives.
async fn run(audit: Arc<Audit>) -> Infallible {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut is_well = true;
    let mut looks: u32 = 0;
    loop {
        ticks.tick().await;
        looks = looks.wrapping_add(1);
        let result = look(&audit, looks.is_multiple_of(TRIM_EVERY)).await;
        if let Err(error) = &result
            && is_well
        {
            tracing::error!(%error, "the audit log is not sealed; once more soon");
        }
        is_well = result.is_ok();
    }
}

/// Seals what is new, if the log is still the one that was signed.
pub async fn look(audit: &Audit, trims: bool) -> Result<(), DbError> {
    match seal::seal(audit).await {
        Ok(_) => {
            if audit.vouched.set_refusal(None) {
                tracing::info!("the audit log is sealed again");
            }
        }
        Err(Stop::Refused(why)) => {
            if audit.vouched.set_refusal(Some(&why)) {
                tracing::error!("{why}");
            }
            return Ok(());
        }
        Err(Stop::Db(error)) => return Err(error),
    }
    if trims {
        trim::trim(audit).await?;
    }
    Ok(())
}

/// Seals what is new before the process ends, so that nothing waits for the next start.
pub async fn seal_last(audit: &Audit) {
    if let Err(error) = look(audit, false).await {
        tracing::warn!(%error, "the last changes are not sealed; the next start does it");
    }
}
