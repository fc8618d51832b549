//! The statements on `master_keys` and `token_tags`.

use hoody_core::keys::KeyId;
use hoody_core::rotation::KnownKey;
use hoody_core::time::Timestamp;

use crate::db::{DbError, On, Row, Tx, args};

const KNOWN: &str = "SELECT id, created_at, promoted_at, retired_at FROM master_keys ORDER BY created_at, id";
const LOCK: &str = "UPDATE feed_head SET pos = pos WHERE id = 1";
const ADD: &str = "INSERT INTO master_keys (id, created_at, promoted_at) VALUES ($1, $2, $3) \
     ON CONFLICT (id) DO NOTHING";
const PROMOTE: &str = "UPDATE master_keys SET promoted_at = $2 WHERE id = $1 AND promoted_at IS NULL \
     AND retired_at IS NULL";
const RETIRE: &str = "UPDATE master_keys SET retired_at = $2 WHERE id = $1 AND retired_at IS NULL";
const COUNT_RETIREMENT: &str = "UPDATE feed_head SET retirements = retirements + 1 WHERE id = 1";
const RETIREMENTS: &str = "SELECT retirements FROM feed_head WHERE id = 1";
const IS_RETIRED: &str = "SELECT 1 AS one FROM master_keys WHERE id = $1 AND retired_at IS NOT NULL";
const TAGS: &str = "SELECT made_under, sealed FROM token_tags ORDER BY made_under";
const ADD_TAG: &str = "INSERT INTO token_tags (made_under, key_id, sealed) VALUES ($1, $2, $3) \
     ON CONFLICT (made_under) DO NOTHING";

/// What changes the order of the keys waits here, one after the other, and so does every mutation's end.
pub async fn lock(tx: &mut Tx) -> Result<(), DbError> {
    tx.execute(LOCK, args![]).await.map(drop)
}

/// Every master key that the database ever knew, the oldest first.
pub async fn list_known(on: impl Into<On<'_>>) -> Result<Vec<KnownKey>, DbError> {
    on.into().list(KNOWN, args![]).await?.iter().map(read).collect()
}

/// Enters a key; one without `promoted_at` waits.
pub async fn add(
    tx: &mut Tx,
    id: KeyId,
    now: Timestamp,
    promoted_at: Option<Timestamp>,
) -> Result<(), DbError> {
    tx.execute(ADD, args![id.to_string(), now, promoted_at]).await.map(drop)
}

/// Puts a key that waits in force; false when it does not wait.
pub async fn promote(tx: &mut Tx, id: KeyId, at: Timestamp) -> Result<bool, DbError> {
    Ok(tx.execute(PROMOTE, args![id.to_string(), at]).await? == 1)
}

/// Retires a key, whatever it is.
pub async fn retire(tx: &mut Tx, id: KeyId, at: Timestamp) -> Result<(), DbError> {
    tx.execute(RETIRE, args![id.to_string(), at]).await?;
    tx.execute(COUNT_RETIREMENT, args![]).await.map(drop)
}

/// How often a key was retired.
pub async fn count_retirements(on: impl Into<On<'_>>) -> Result<i64, DbError> {
    on.into().one(RETIREMENTS, args![]).await?.get("retirements")
}

/// Whether the key was retired.
pub async fn is_retired(on: impl Into<On<'_>>, id: KeyId) -> Result<bool, DbError> {
    Ok(on.into().find(IS_RETIRED, args![id.to_string()]).await?.is_some())
}

/// The sealed tag keys, with the master keys that they are of.
pub async fn list_tags(on: impl Into<On<'_>>) -> Result<Vec<(KeyId, Vec<u8>)>, DbError> {
    let rows = on.into().list(TAGS, args![]).await?;
    rows.iter().map(|row| Ok((key_id(row, "made_under")?, row.get("sealed")?))).collect()
}

/// Keeps the tag key of `made_under`, sealed under `key`, unless it is kept.
pub async fn add_tag(tx: &mut Tx, made_under: KeyId, key: KeyId, sealed: Vec<u8>) -> Result<(), DbError> {
    tx.execute(ADD_TAG, args![made_under.to_string(), key.to_string(), sealed]).await.map(drop)
}

/// A column that names a master key.
pub fn key_id(row: &Row, name: &'static str) -> Result<KeyId, DbError> {
    row.parse(name, |text| text.parse().ok())
}

fn read(row: &Row) -> Result<KnownKey, DbError> {
    Ok(KnownKey {
        id: key_id(row, "id")?,
        created_at: row.get("created_at")?,
        promoted_at: row.get("promoted_at")?,
        retired_at: row.get("retired_at")?,
    })
}
