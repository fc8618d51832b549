//! The rows of the nodes.

use hoody_core::id::NodeId;
use hoody_core::time::Timestamp;

use super::Node;
use super::wait::Standing;
use crate::db::{Db, DbError, On, Row, Tx, args};
use crate::grants::FRESH_FOR;

/// A node that applied more than there is, did so in a history that is gone.
macro_rules! applied {
    ($given:literal) => {
        concat!(
            "(SELECT CASE WHEN pos < ",
            $given,
            " THEN pos ELSE ",
            $given,
            " END FROM feed_head WHERE id = 1)"
        )
    };
}
const PUT: &str = concat!(
    "INSERT INTO nodes (id, name, version, key_ids, started_at, seen_at, applied, lag_ms, confirmed_at) \
     VALUES ($1, $2, $3, $4, $5, $6, ",
    applied!("$7"),
    ", $8, $9) \
     ON CONFLICT (id) DO UPDATE SET key_ids = excluded.key_ids, seen_at = excluded.seen_at, \
     applied = excluded.applied, lag_ms = excluded.lag_ms, confirmed_at = excluded.confirmed_at"
);
const SET_APPLIED: &str = concat!(
    "UPDATE nodes SET applied = ",
    applied!("$2"),
    ", seen_at = $3, confirmed_at = $4 WHERE id = $1 AND applied < $2"
);
const DELETE: &str = "DELETE FROM nodes WHERE id = $1";
const DELETE_UNSEEN: &str = "DELETE FROM nodes WHERE seen_at < $1";
const LIST: &str = "SELECT id, name, version, key_ids, started_at, seen_at, applied, lag_ms FROM nodes \
     ORDER BY started_at, id";
/// A node whose cache was fresh when it was last heard of is fresh no longer than a poll lets it be.
const STANDING: &str = "SELECT COUNT(*) AS nodes, \
     COUNT(CASE WHEN applied >= $2 THEN 1 END) AS confirmed, \
     COUNT(CASE WHEN applied < $2 AND (confirmed_at IS NULL OR confirmed_at < seen_at - $4) THEN 1 END) AS unknown \
     FROM nodes WHERE seen_at > $1 AND id <> $3";
const AWAIT: &str = "UPDATE feed_wait SET pos = $1 WHERE id = 1 AND pos < $1";

/// Makes or renews a node's row. `confirmed_at`: when its last poll was sent, if it ended well.
pub(super) async fn put(tx: &mut Tx, node: &Node, confirmed_at: Option<Timestamp>) -> Result<(), DbError> {
    let key_ids = node.key_ids.join(",");
    let row = args![
        node.id,
        &node.name,
        &node.version,
        key_ids,
        node.started_at,
        node.seen_at,
        node.applied,
        node.lag_ms,
        confirmed_at
    ];
    tx.execute(PUT, row).await.map(|_| ())
}

/// Says that `id` has applied the feed up to `applied`, which a poll found that was sent at `confirmed_at`.
pub(super) async fn set_applied(
    db: &Db,
    id: NodeId,
    applied: i64,
    now: Timestamp,
    confirmed_at: Option<Timestamp>,
) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute(SET_APPLIED, args![id, applied, now, confirmed_at]).await?;
    tx.commit().await
}

pub(super) async fn delete(tx: &mut Tx, id: NodeId) -> Result<(), DbError> {
    tx.execute(DELETE, args![id]).await.map(|_| ())
}

/// Removes the rows of nodes that were last heard of before `limit`.
pub(super) async fn delete_unseen(tx: &mut Tx, limit: Timestamp) -> Result<(), DbError> {
    tx.execute(DELETE_UNSEEN, args![limit]).await.map(|_| ())
}

/// Every node that was heard of within the last hour, the oldest first.
pub async fn list(db: &Db) -> Result<Vec<Node>, DbError> {
    On::from(db).list(LIST, args![]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Node, DbError> {
    let key_ids: String = row.get("key_ids")?;
    Ok(Node {
        id: row.get("id")?,
        name: row.get("name")?,
        version: row.get("version")?,
        key_ids: key_ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        started_at: row.get("started_at")?,
        seen_at: row.get("seen_at")?,
        applied: row.get("applied")?,
        lag_ms: row.get("lag_ms")?,
    })
}

/// What the nodes but `this`, heard of since `alive_since`, have said of the position `pos`.
pub(super) async fn find_standing(
    db: &Db,
    pos: i64,
    alive_since: Timestamp,
    this: NodeId,
) -> Result<Standing, DbError> {
    let row = On::from(db).one(STANDING, args![alive_since, pos, this, FRESH_FOR]).await?;
    Ok(Standing { nodes: row.get("nodes")?, confirmed: row.get("confirmed")?, unknown: row.get("unknown")? })
}

/// Asks every node to say when it has applied `pos`.
pub(super) async fn ask_for(db: &Db, pos: i64) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute(AWAIT, args![pos]).await?;
    tx.commit().await
}
