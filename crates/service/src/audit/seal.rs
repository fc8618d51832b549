//! Sealing what is new in the feed.

use hoody_core::audit::{Checkpoint, Link};
use hoody_core::time::SECOND;

use super::vouch::{Known, Stop};
use super::{Audit, LEASE, store};
use hoody_engine::db::{DbError, On, Tx};
use hoody_engine::nodes::lease::Lease;

/// The last checkpoint of each span of this length is kept, in milliseconds.
const KEPT_EVERY: i64 = 3_600 * SECOND;
/// How many rows are sealed in one transaction.
const BATCH: usize = 500;

/// Seals everything that the feed has, if this node is the one that seals; how many rows. Where there is
/// nothing new, the chain's end is signed again when another master key has come into force.
///
/// # Errors
/// When the database fails, or the log is not the one that was signed: then nothing is.
pub async fn seal(audit: &Audit) -> Result<u64, Stop> {
    let mut known = audit.vouched.known.lock().await;
    known.read(audit).await?;
    let last = store::find_last_checkpoint(&audit.db).await?;
    known.follow(audit, On::from(&audit.db), last).await?;
    let sealed = seal_new(audit, &mut known, last).await;
    // Also what others signed, and what was signed before something failed.
    known.keep(audit).await;
    sealed
}

async fn seal_new(audit: &Audit, known: &mut Known, last: Option<store::Signed>) -> Result<u64, Stop> {
    let place = store::find_end(&audit.db).await?.map_or((0, -1), |end| end.place);
    // Also by the position that is signed: the last row's may be another one now.
    let signed = known.signed.map_or(0, |signed| signed.checkpoint.pos);
    let is_new =
        store::is_more(&audit.db, place).await? || store::is_more(&audit.db, (signed, i64::MAX)).await?;
    if !is_new && last.is_none_or(|last| last.key == audit.keys.in_force()) {
        return Ok(0);
    }
    let Some(lease) = audit.nodes.hold(LEASE).await? else { return Ok(0) };
    let mut total = 0;
    loop {
        let sealed = seal_batch(audit, known, lease).await?;
        total += sealed;
        if sealed < BATCH as u64 {
            break;
        }
    }
    metrics::counter!("hoody_audit_sealed_total").increment(total);
    Ok(total)
}

async fn seal_batch(audit: &Audit, known: &mut Known, lease: Lease) -> Result<u64, Stop> {
    let mut tx = audit.db.begin().await?;
    // Nobody else seals before this transaction ends.
    if !lease.confirm(&mut tx).await? {
        return Ok(0);
    }
    // Somebody may have, until just now.
    let last = store::find_last_checkpoint(&mut tx).await?;
    known.follow(audit, On::from(&mut tx), last).await?;
    let end = known.end(audit, &mut tx).await?;
    let (n, place) = end.map_or((0, (0, -1)), |end| (end.n, end.place));
    let mut link = end.map_or_else(|| Link::first(audit.keys.database_id()), |end| end.link);
    let entries = store::list_unsealed(&mut tx, place, n + 1).await?;
    for entry in &entries {
        link = link.next(entry);
        store::insert(&mut tx, entry, link).await?;
    }
    let last = entries.last().map_or((n, place.0), |last| (last.n, last.place.0));
    let mut signed = None;
    if last.0 > 0 {
        let checkpoint = Checkpoint { n: last.0, pos: last.1, at: audit.clock.now(), link };
        signed = Some(sign(audit, &mut tx, checkpoint).await?);
    }
    tx.commit().await?;
    // After a COMMIT whose outcome is unknown, the next look finds out.
    known.signed = signed;
    Ok(entries.len() as u64)
}

/// Signs where the chain ends. The checkpoint before goes, unless it is the last of its hour.
async fn sign(audit: &Audit, tx: &mut Tx, checkpoint: Checkpoint) -> Result<store::Signed, DbError> {
    let key = audit.keys.checkpoint_key();
    let span = |checkpoint: &Checkpoint| checkpoint.at.millis().div_euclid(KEPT_EVERY);
    if let Some(before) = store::find_last_checkpoint(&mut *tx).await?
        && before.checkpoint.n < checkpoint.n
        && span(&before.checkpoint) == span(&checkpoint)
    {
        store::delete_checkpoint(tx, before.checkpoint.n).await?;
    }
    let mac = key.sign(&checkpoint);
    let signed = store::Signed { checkpoint, key: key.id(), mac };
    store::put_checkpoint(tx, &signed).await?;
    Ok(signed)
}
