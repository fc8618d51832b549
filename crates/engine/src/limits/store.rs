//! The statements on `rate_limits`.

use hoody_core::time::Timestamp;

use super::{Digest, Hits, Limit};
use crate::db::{Db, DbError, On, Row, Tx, args};

/// A window that is over begins anew; so does one that ends further off than any window does: a clock
/// wrote it that was set back since.
const COUNT: &str = "INSERT INTO rate_limits (limit_name, subject, hits, expires_at) VALUES ($1, $2, 1, $3) \
     ON CONFLICT (limit_name, subject) DO UPDATE SET \
     hits = CASE WHEN rate_limits.expires_at <= $4 OR rate_limits.expires_at > $5 \
         THEN 1 ELSE rate_limits.hits + 1 END, \
     expires_at = CASE WHEN rate_limits.expires_at <= $4 OR rate_limits.expires_at > $5 \
         THEN excluded.expires_at ELSE rate_limits.expires_at END \
     RETURNING hits, expires_at";
const FIND: &str = "SELECT hits, expires_at FROM rate_limits \
     WHERE limit_name = $1 AND subject = $2 AND expires_at > $3 AND expires_at <= $4";
const FORGET: &str = "DELETE FROM rate_limits WHERE limit_name = $1 AND subject = $2";
/// The condition stands twice: a counter that began anew while this waited for it stays.
const DELETE_EXPIRED: &str = "DELETE FROM rate_limits WHERE expires_at <= $1 AND (limit_name, subject) IN \
     (SELECT limit_name, subject FROM rate_limits WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";

/// Counts one more in the window that is under way, or the first of a new one.
pub(super) async fn count(
    tx: &mut Tx,
    limit: &Limit,
    subject: &Digest,
    now: Timestamp,
) -> Result<Hits, DbError> {
    let row = args![limit.name, &subject[..], now.plus(limit.window), now, latest_end(limit, now)];
    read(&On::from(tx).one(COUNT, row).await?)
}

/// How the window that is under way stands, if one is.
pub(super) async fn find(
    on: impl Into<On<'_>>,
    limit: &Limit,
    subject: &Digest,
    now: Timestamp,
) -> Result<Option<Hits>, DbError> {
    let row = args![limit.name, &subject[..], now, latest_end(limit, now)];
    on.into().find(FIND, row).await?.map(|row| read(&row)).transpose()
}

/// Begins a counter anew.
pub(super) async fn forget(tx: &mut Tx, limit: &Limit, subject: &Digest) -> Result<(), DbError> {
    tx.execute(FORGET, args![limit.name, &subject[..]]).await.map(drop)
}

/// Removes counters whose window is over.
pub(super) async fn delete_expired(db: &Db, now: Timestamp) -> Result<(), DbError> {
    db.sweep(DELETE_EXPIRED, args![now]).await
}

/// A little later than a window that begins now ends: clocks of nodes differ.
fn latest_end(limit: &Limit, now: Timestamp) -> Timestamp {
    now.plus(limit.window.saturating_mul(2))
}

fn read(row: &Row) -> Result<Hits, DbError> {
    Ok(Hits { count: row.get("hits")?, expires_at: row.get("expires_at")? })
}
