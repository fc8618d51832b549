//! The statements on `container_snapshots`.

use hoody_core::id::{ContainerId, SnapshotId};
use hoody_core::time::Timestamp;
use hoody_engine::db::{DbError, On, Row, Tx, args};

use crate::model::Snapshot;

macro_rules! snapshot {
    ($tail:literal) => {
        concat!(
            "SELECT id, container_id, name, alias, image, size, created_at, last_used_at, expires_at \
             FROM container_snapshots ",
            $tail
        )
    };
}
/// Those that are still being written come too.
const ALL: &str = snapshot!("WHERE container_id = $1 ORDER BY created_at DESC, id DESC");
const FIND: &str = snapshot!("WHERE container_id = $1 AND name = $2");
const EXPIRED: &str =
    snapshot!("WHERE expires_at IS NOT NULL AND expires_at <= $1 ORDER BY expires_at LIMIT 100");
const UNWRITTEN: &str = snapshot!(
    "WHERE image IS NULL AND created_at < $2 AND container_id IN (SELECT id FROM containers WHERE server = $1)"
);
const NAMES: &str = "SELECT s.container_id, s.name FROM container_snapshots s \
     JOIN containers c ON c.id = s.container_id WHERE c.server = $1";
const INSERT: &str = "INSERT INTO container_snapshots (id, container_id, name, alias, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6)";
const WRITTEN: &str = "UPDATE container_snapshots SET image = $2, size = $3 WHERE id = $1";
const RENAME: &str = "UPDATE container_snapshots SET alias = $2 WHERE id = $1";
const USED: &str = "UPDATE container_snapshots SET last_used_at = $3 WHERE container_id = $1 AND name = $2";
const DELETE: &str = "DELETE FROM container_snapshots WHERE id = $1";

/// The snapshots of a container, the newest first.
pub async fn list(on: impl Into<On<'_>>, container: ContainerId) -> Result<Vec<Snapshot>, DbError> {
    on.into().list(ALL, args![container]).await?.iter().map(read).collect()
}

/// A container's snapshot of this name.
pub async fn find(
    on: impl Into<On<'_>>,
    container: ContainerId,
    name: &str,
) -> Result<Option<Snapshot>, DbError> {
    on.into().find(FIND, args![container, name]).await?.as_ref().map(read).transpose()
}

/// Snapshots whose time is over.
pub async fn list_expired(on: impl Into<On<'_>>, now: Timestamp) -> Result<Vec<Snapshot>, DbError> {
    on.into().list(EXPIRED, args![now]).await?.iter().map(read).collect()
}

/// Snapshots of a server that were asked for before `since` and never written.
pub async fn list_unwritten(
    on: impl Into<On<'_>>,
    server: &str,
    since: Timestamp,
) -> Result<Vec<Snapshot>, DbError> {
    on.into().list(UNWRITTEN, args![server, since]).await?.iter().map(read).collect()
}

/// The references of the images of a server's snapshots.
pub async fn list_references(on: impl Into<On<'_>>, server: &str) -> Result<Vec<String>, DbError> {
    let rows = on.into().list(NAMES, args![server]).await?;
    let reference = |row: &Row| {
        let (container, name): (ContainerId, String) = (row.get("container_id")?, row.get("name")?);
        Ok(format!("{}:{name}", Snapshot::repository(container)))
    };
    rows.iter().map(reference).collect()
}

/// Adds a snapshot whose image is to be written.
pub async fn insert(tx: &mut Tx, snapshot: &Snapshot) -> Result<(), DbError> {
    let row = args![
        snapshot.id,
        snapshot.container,
        &snapshot.name,
        snapshot.alias.clone(),
        snapshot.created_at,
        snapshot.expires_at,
    ];
    tx.execute(INSERT, row).await.map(drop)
}

/// Notes that the image is written; false when the snapshot was deleted meanwhile.
pub async fn written(tx: &mut Tx, snapshot: &Snapshot) -> Result<bool, DbError> {
    Ok(tx.execute(WRITTEN, args![snapshot.id, snapshot.image.clone(), snapshot.size]).await? == 1)
}

pub async fn rename(tx: &mut Tx, snapshot: &Snapshot) -> Result<(), DbError> {
    tx.execute(RENAME, args![snapshot.id, snapshot.alias.clone()]).await.map(drop)
}

/// Notes that a container was restored from a snapshot.
pub async fn used(tx: &mut Tx, container: ContainerId, name: &str, now: Timestamp) -> Result<(), DbError> {
    tx.execute(USED, args![container, name, now]).await.map(drop)
}

/// False when it was gone.
pub async fn delete(tx: &mut Tx, id: SnapshotId) -> Result<bool, DbError> {
    Ok(tx.execute(DELETE, args![id]).await? == 1)
}

fn read(row: &Row) -> Result<Snapshot, DbError> {
    Ok(Snapshot {
        id: row.get("id")?,
        container: row.get("container_id")?,
        name: row.get("name")?,
        alias: row.get("alias")?,
        image: row.get("image")?,
        size: row.get("size")?,
        created_at: row.get("created_at")?,
        last_used_at: row.get("last_used_at")?,
        expires_at: row.get("expires_at")?,
    })
}
