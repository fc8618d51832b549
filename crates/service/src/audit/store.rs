//! The statements on `audit` and `audit_checkpoints`, and those that read and trim the feed for them.

use hoody_core::audit::{Checkpoint, Entry, Link};
use hoody_core::keys::KeyId;
use hoody_core::time::Timestamp;

use hoody_engine::db::{Arg, DbError, On, Row, Tx, args};
use hoody_engine::keys::store::key_id;
use hoody_engine::work;

const LAST: &str = "SELECT n, pos, seq, link FROM audit ORDER BY n DESC LIMIT 1";
const IS_MORE: &str = "SELECT 1 AS one FROM feed WHERE (pos, seq) > ($1, $2) LIMIT 1";
const UNSEALED: &str = "SELECT pos, seq, at, event_type, account_id, actor_kind, actor_id, resource_type, \
     resource_id, realm_ids, payload FROM feed WHERE (pos, seq) > ($1, $2) ORDER BY pos, seq LIMIT 500";
const INSERT: &str = "INSERT INTO audit (n, pos, seq, at, event_type, account_id, actor_kind, actor_id, \
     resource_type, resource_id, realm_ids, payload, link) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
macro_rules! checkpoint {
    ($tail:literal) => {
        concat!("SELECT n, pos, at, link, key_id, mac FROM audit_checkpoints ", $tail)
    };
}
const LAST_CHECKPOINT: &str = checkpoint!("ORDER BY n DESC LIMIT 1");
const CHECKPOINTS: &str = checkpoint!("WHERE n > $1 AND n <= $2 ORDER BY n LIMIT 1000");
const PUT_CHECKPOINT: &str = "INSERT INTO audit_checkpoints (n, pos, at, link, key_id, mac) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (n) DO UPDATE SET key_id = excluded.key_id, \
     at = excluded.at, mac = excluded.mac";
const DELETE_CHECKPOINT: &str = "DELETE FROM audit_checkpoints WHERE n = $1";
macro_rules! entries {
    ($filter:literal) => {
        concat!(
            "SELECT n, pos, seq, at, event_type, account_id, actor_kind, actor_id, resource_type, \
             resource_id, realm_ids, payload, link FROM audit WHERE ",
            $filter
        )
    };
}
const AFTER: &str = entries!("n > $1 AND n <= $2 ORDER BY n LIMIT 2000");
const BETWEEN: &str = entries!("n > $1 AND at >= $2 AND at < $3 ORDER BY n LIMIT 2000");
/// A row of the feed that is not what was sealed of it.
const DIFFERS: &str = "SELECT a.n, a.pos, a.seq FROM feed f JOIN audit a ON a.pos = f.pos AND a.seq = f.seq \
     WHERE f.at <> a.at OR f.event_type <> a.event_type OR f.account_id <> a.account_id \
     OR f.actor_kind <> a.actor_kind OR f.actor_id IS DISTINCT FROM a.actor_id \
     OR f.resource_type <> a.resource_type OR f.resource_id <> a.resource_id \
     OR f.realm_ids <> a.realm_ids OR f.payload <> a.payload ORDER BY a.n LIMIT 10";
/// A sealed row that the feed has lost.
const REMOVED: &str = "SELECT a.n, a.pos, a.seq FROM audit a LEFT JOIN feed f ON f.pos = a.pos AND f.seq = a.seq \
     WHERE a.at >= $1 AND a.n <= $2 AND f.pos IS NULL ORDER BY a.n LIMIT 10";
/// A row of the feed that stands where all is sealed, and is not.
const PUT_IN: &str = "SELECT f.pos FROM feed f LEFT JOIN audit a ON a.pos = f.pos AND a.seq = f.seq \
     WHERE (f.pos, f.seq) <= ($1, $2) AND a.n IS NULL ORDER BY f.pos, f.seq LIMIT 10";
const LINK: &str = "SELECT link FROM audit WHERE n = $1";
const COUNT_UNSEALED: &str = "SELECT COUNT(DISTINCT pos) AS n FROM feed WHERE pos > $1 AND pos <= $2";
const COUNT_SIGNED: &str = "SELECT COUNT(*) AS n FROM (SELECT key_id FROM audit_checkpoints \
     ORDER BY n DESC LIMIT 1) AS last WHERE key_id = $1";
const OLDEST: &str = "SELECT MAX(pos) AS pos FROM (SELECT pos FROM feed ORDER BY pos LIMIT 1000) AS oldest";
const TRIM: &str = "DELETE FROM feed WHERE pos <= $1 AND at < $2";

/// Where the chain ends: number, place, link.
#[derive(Debug, Clone, Copy)]
pub struct End {
    pub n: i64,
    pub place: (i64, i64),
    pub link: Link,
}

/// A checkpoint as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Signed {
    pub checkpoint: Checkpoint,
    pub key: KeyId,
    pub mac: [u8; 32],
}

/// The last row of the log.
pub async fn find_end(on: impl Into<On<'_>>) -> Result<Option<End>, DbError> {
    let row = on.into().find(LAST, args![]).await?;
    row.map(|row| Ok(End { n: row.get("n")?, place: (row.get("pos")?, row.get("seq")?), link: link(&row)? }))
        .transpose()
}

/// Whether the feed has rows after this place.
pub async fn is_more(on: impl Into<On<'_>>, place: (i64, i64)) -> Result<bool, DbError> {
    Ok(on.into().find(IS_MORE, args![place.0, place.1]).await?.is_some())
}

/// The feed's next rows after `place`, five hundred at most, numbered from `n`.
pub(super) async fn list_unsealed(
    on: impl Into<On<'_>>,
    place: (i64, i64),
    n: i64,
) -> Result<Vec<Entry>, DbError> {
    let rows = on.into().list(UNSEALED, args![place.0, place.1]).await?;
    (n..).zip(&rows).map(|(n, row)| read(row, n)).collect()
}

/// Adds a row to the log.
pub(super) async fn insert(tx: &mut Tx, entry: &Entry, link: Link) -> Result<(), DbError> {
    let row = args![
        entry.n,
        entry.place.0,
        entry.place.1,
        entry.at,
        &entry.event,
        &entry.account[..],
        &entry.actor_kind,
        Arg::Bytes(entry.actor.clone()),
        &entry.resource_kind,
        &entry.resource[..],
        &entry.realms,
        &entry.payload,
        &link.bytes()[..],
    ];
    tx.execute(INSERT, row).await.map(drop)
}

/// The last checkpoint.
pub async fn find_last_checkpoint(on: impl Into<On<'_>>) -> Result<Option<Signed>, DbError> {
    on.into().find(LAST_CHECKPOINT, args![]).await?.as_ref().map(read_checkpoint).transpose()
}

/// The checkpoints after row `n` up to row `last`, a thousand at most.
pub(super) async fn list_checkpoints(
    on: impl Into<On<'_>>,
    n: i64,
    last: i64,
) -> Result<Vec<Signed>, DbError> {
    on.into().list(CHECKPOINTS, args![n, last]).await?.iter().map(read_checkpoint).collect()
}

/// Keeps a checkpoint, in place of one of the same row.
pub(super) async fn put_checkpoint(tx: &mut Tx, signed: &Signed) -> Result<(), DbError> {
    let Checkpoint { n, pos, at, link } = signed.checkpoint;
    let row = args![n, pos, at, &link.bytes()[..], signed.key.to_string(), &signed.mac[..]];
    tx.execute(PUT_CHECKPOINT, row).await.map(drop)
}

pub(super) async fn delete_checkpoint(tx: &mut Tx, n: i64) -> Result<(), DbError> {
    tx.execute(DELETE_CHECKPOINT, args![n]).await.map(drop)
}

/// 1 where the last checkpoint is signed with `key`, else 0.
pub async fn count_signed(on: impl Into<On<'_>>, key: KeyId) -> Result<i64, DbError> {
    on.into().one(COUNT_SIGNED, args![key.to_string()]).await?.get("n")
}

/// The next rows of the log after row `n` up to row `last`, with their links; two thousand at most.
pub(super) async fn list_after(
    on: impl Into<On<'_>>,
    n: i64,
    last: i64,
) -> Result<Vec<(Entry, Link)>, DbError> {
    work::each(on.into().list(AFTER, args![n, last]).await?, read_sealed).await
}

/// The same of those that happened from `since` on and before `until`.
pub async fn list_between(
    on: impl Into<On<'_>>,
    n: i64,
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<(Entry, Link)>, DbError> {
    work::each(on.into().list(BETWEEN, args![n, since, until]).await?, read_sealed).await
}

/// Rows of the feed, ten at most, that are not what was sealed of them: number and place.
pub(super) async fn list_different(on: impl Into<On<'_>>) -> Result<Vec<(i64, (i64, i64))>, DbError> {
    let rows = on.into().list(DIFFERS, args![]).await?;
    rows.iter().map(|row| Ok((row.get("n")?, (row.get("pos")?, row.get("seq")?)))).collect()
}

/// Rows up to row `last` that happened since `since` and are not in the feed, ten at most: number and place.
pub(super) async fn list_removed(
    on: impl Into<On<'_>>,
    since: Timestamp,
    last: i64,
) -> Result<Vec<(i64, (i64, i64))>, DbError> {
    let rows = on.into().list(REMOVED, args![since, last]).await?;
    rows.iter().map(|row| Ok((row.get("n")?, (row.get("pos")?, row.get("seq")?)))).collect()
}

/// The positions of the feed's rows up to `place` that are not sealed, ten at most.
pub(super) async fn list_put_in(on: impl Into<On<'_>>, place: (i64, i64)) -> Result<Vec<i64>, DbError> {
    let rows = on.into().list(PUT_IN, args![place.0, place.1]).await?;
    rows.iter().map(|row| row.get("pos")).collect()
}

/// The link of row `n`.
pub(super) async fn find_link(on: impl Into<On<'_>>, n: i64) -> Result<Option<Link>, DbError> {
    on.into().find(LINK, args![n]).await?.as_ref().map(link).transpose()
}

/// How many positions after `pos` up to `head` the feed has.
pub(super) async fn count_unsealed(on: impl Into<On<'_>>, pos: i64, head: i64) -> Result<i64, DbError> {
    on.into().one(COUNT_UNSEALED, args![pos, head]).await?.get("n")
}

/// The last of the feed's oldest thousand positions.
pub(super) async fn find_oldest(on: impl Into<On<'_>>) -> Result<Option<i64>, DbError> {
    on.into().one(OLDEST, args![]).await?.get("pos")
}

/// Takes rows up to `pos` that are older than `before` out of the feed; how many.
pub(super) async fn trim(tx: &mut Tx, pos: i64, before: Timestamp) -> Result<u64, DbError> {
    tx.execute(TRIM, args![pos, before]).await
}

fn read(row: &Row, n: i64) -> Result<Entry, DbError> {
    Ok(Entry {
        n,
        place: (row.get("pos")?, row.get("seq")?),
        at: row.get("at")?,
        event: row.get("event_type")?,
        account: row.get("account_id")?,
        actor_kind: row.get("actor_kind")?,
        actor: row.get("actor_id")?,
        resource_kind: row.get("resource_type")?,
        resource: row.get("resource_id")?,
        realms: row.get("realm_ids")?,
        payload: row.get("payload")?,
    })
}

fn read_sealed(row: &Row) -> Result<(Entry, Link), DbError> {
    Ok((read(row, row.get("n")?)?, link(row)?))
}

fn read_checkpoint(row: &Row) -> Result<Signed, DbError> {
    let checkpoint =
        Checkpoint { n: row.get("n")?, pos: row.get("pos")?, at: row.get("at")?, link: link(row)? };
    Ok(Signed { checkpoint, key: key_id(row, "key_id")?, mac: bytes(row, "mac")? })
}

fn link(row: &Row) -> Result<Link, DbError> {
    bytes(row, "link").map(Link::from_bytes)
}

/// What somebody made longer or shorter is as wrong as what was changed: it is read as nothing.
fn bytes(row: &Row, name: &'static str) -> Result<[u8; 32], DbError> {
    Ok(<[u8; 32]>::try_from(row.get::<Vec<u8>>(name)?).unwrap_or([0; 32]))
}
