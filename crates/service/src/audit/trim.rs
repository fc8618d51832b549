//! Taking out of the feed what is old, sealed, and needed by nobody who reads it.

use std::time::Duration;

use hoody_core::time::DAY;

use super::{Audit, LEASE, store};
use hoody_engine::db::{DbError, On, args};

/// How long the feed keeps what is sealed, in milliseconds.
pub(super) const KEPT: i64 = 7 * DAY;
/// The rest between two steps.
const REST: Duration = Duration::from_millis(20);

/// Who reads the feed, each with the position up to which it has read: `pos`, or NULL where there is
/// nobody. Whoever reads it from a position of their own is a line here.
const READERS: [&str; 3] = [
    // The nodes' tails.
    "SELECT MIN(applied) AS pos FROM nodes",
    // The history of events.
    "SELECT pos FROM event_head WHERE id = 1",
    // The evaluator of alerts.
    "SELECT pos FROM alert_head WHERE id = 1",
];

/// Trims the feed, if this node is the one that seals; how many rows it took out.
pub async fn trim(audit: &Audit) -> Result<u64, DbError> {
    let Some(end) = store::find_end(&audit.db).await? else { return Ok(0) };
    let head = audit.db.head().await?.pos;
    // The head itself stays: nodes know by it that the database is still the one that they read.
    let mut bound = end.place.0.min(head) - 1;
    for reader in READERS {
        let pos: Option<i64> = On::from(&audit.db).one(reader, args![]).await?.get("pos")?;
        bound = bound.min(pos.unwrap_or(i64::MAX) - 1);
    }
    let Some(lease) = audit.nodes.hold(LEASE).await? else { return Ok(0) };
    let before = audit.clock.now().plus(-KEPT);
    let mut total = 0;
    loop {
        let Some(oldest) = store::find_oldest(&audit.db).await? else { return Ok(total) };
        let mut tx = audit.db.begin().await?;
        if !lease.confirm(&mut tx).await? {
            return Ok(total);
        }
        let trimmed = store::trim(&mut tx, oldest.min(bound), before).await?;
        tx.commit().await?;
        total += trimmed;
        if trimmed == 0 {
            return Ok(total);
        }
        tokio::time::sleep(REST).await;
    }
}
