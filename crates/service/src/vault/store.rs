//! The statements on `vault_keys`, `vault_pieces` and `vault_usage`. Writers hold the account.

use hoody_core::id::{RealmId, UserId, VaultKeyId};
use hoody_core::seal::key_of;

use super::{Entry, MAX_BYTES, MAX_KEYS};
use hoody_engine::db::{DbError, On, Row, Tx, args};
use hoody_engine::work;

macro_rules! entry {
    ($tail:literal) => {
        concat!(
            "SELECT id, user_id, realm_id, name, value_id, pieces, value_bytes, size_bytes, created_at, \
             updated_at, metadata FROM vault_keys WHERE user_id = $1 AND realm_id = $2 ",
            $tail
        )
    };
}
const BY_NAME: &str = entry!("AND name = $3");
const LIST: &str = entry!("AND name > $3 AND name <= $4 ORDER BY name LIMIT $5");
const WEIGH: &str = "SELECT name, size_bytes - value_bytes AS weight FROM vault_keys \
     WHERE user_id = $1 AND realm_id = $2 AND name > $3 ORDER BY name LIMIT $4";
const TOTAL: &str = "SELECT COUNT(*) AS keys, CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) AS bytes \
     FROM vault_keys WHERE user_id = $1 AND realm_id = $2";
const INSERT: &str = "INSERT INTO vault_keys (id, user_id, realm_id, name, value_id, pieces, value_bytes, \
     size_bytes, created_at, updated_at, key_id, metadata) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const UPDATE: &str = "UPDATE vault_keys SET value_id = $2, pieces = $3, value_bytes = $4, size_bytes = $5, \
     updated_at = $6, key_id = $7, metadata = $8 WHERE id = $1";
const DELETE: &str = "DELETE FROM vault_keys WHERE id = $1";
const CLEAR: &str = "DELETE FROM vault_keys WHERE user_id = $1 AND realm_id = $2";
const PIECE: &str = "SELECT sealed FROM vault_pieces WHERE vault_id = $1 AND value_id = $2 AND place = $3";
const INSERT_PIECE: &str =
    "INSERT INTO vault_pieces (vault_id, value_id, place, key_id, sealed) VALUES ($1, $2, $3, $4, $5)";
const DELETE_PIECES: &str = "DELETE FROM vault_pieces WHERE vault_id = $1";
const USED: &str = "SELECT size_bytes FROM vault_usage WHERE user_id = $1";
const OPEN_USAGE: &str =
    "INSERT INTO vault_usage (user_id, size_bytes, total_keys) VALUES ($1, 0, 0) ON CONFLICT DO NOTHING";
// What takes nothing more is never refused.
const TAKE: &str = "UPDATE vault_usage SET size_bytes = size_bytes + $2, total_keys = total_keys + $3 \
     WHERE user_id = $1 AND ($2 <= 0 OR size_bytes + $2 <= $4) AND ($3 <= 0 OR total_keys + $3 <= $5)";

/// The key of this name, if it is there.
pub async fn find_entry(
    on: impl Into<On<'_>>,
    account: UserId,
    realm: Option<RealmId>,
    name: &str,
) -> Result<Option<Entry>, DbError> {
    let row = on.into().find(BY_NAME, args![account, stored(realm), name]).await?;
    row.as_ref().map(read).transpose()
}

/// The keys of an account in one realm or in none whose names come after the first of `between`, up to the
/// second, by name; `limit` at most.
pub async fn list_entries(
    on: impl Into<On<'_>>,
    account: UserId,
    realm: Option<RealmId>,
    (after, last): (&str, &str),
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    let rows = on.into().list(LIST, args![account, stored(realm), after, last, limit]).await?;
    work::each(rows, read).await
}

/// The next names after one, each with how many bytes of metadata the key has.
pub async fn weigh_entries(
    on: impl Into<On<'_>>,
    account: UserId,
    realm: Option<RealmId>,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, i64)>, DbError> {
    let rows = on.into().list(WEIGH, args![account, stored(realm), after, limit]).await?;
    work::each(rows, |row| Ok((row.get("name")?, row.get("weight")?))).await
}

/// How many keys there are in one realm or in none, and their bytes.
pub async fn total(
    on: impl Into<On<'_>>,
    account: UserId,
    realm: Option<RealmId>,
) -> Result<(i64, i64), DbError> {
    let row = on.into().one(TOTAL, args![account, stored(realm)]).await?;
    Ok((row.get("keys")?, row.get("bytes")?))
}

/// How many bytes the account's vault takes in all realms.
pub async fn used(on: impl Into<On<'_>>, account: UserId) -> Result<i64, DbError> {
    let row = on.into().find(USED, args![account]).await?;
    row.map_or(Ok(0), |row| row.get("size_bytes"))
}

/// Counts so many bytes and keys more or less; false when that would be over the limit.
pub async fn take_room(tx: &mut Tx, account: UserId, bytes: i64, keys: i64) -> Result<bool, DbError> {
    tx.execute(OPEN_USAGE, args![account]).await?;
    Ok(tx.execute(TAKE, args![account, bytes, keys, MAX_BYTES, MAX_KEYS]).await? == 1)
}

/// Adds a key; its pieces follow.
pub async fn insert_entry(tx: &mut Tx, entry: &Entry) -> Result<(), DbError> {
    let row = args![
        entry.id,
        entry.account,
        stored(entry.realm),
        &entry.name,
        entry.value,
        i64::from(entry.pieces),
        entry.value_bytes,
        entry.size_bytes,
        entry.created_at,
        entry.updated_at,
        entry.metadata.as_deref().and_then(key_named),
        hoody_engine::db::Arg::Bytes(entry.metadata.clone()),
    ];
    tx.execute(INSERT, row).await.map(drop)
}

/// Writes what changes when a key is set again, without the pieces it had; its new ones follow.
pub async fn update_entry(tx: &mut Tx, entry: &Entry) -> Result<(), DbError> {
    tx.execute(DELETE_PIECES, args![entry.id]).await?;
    let row = args![
        entry.id,
        entry.value,
        i64::from(entry.pieces),
        entry.value_bytes,
        entry.size_bytes,
        entry.updated_at,
        entry.metadata.as_deref().and_then(key_named),
        hoody_engine::db::Arg::Bytes(entry.metadata.clone()),
    ];
    tx.execute(UPDATE, row).await.map(drop)
}

/// Deletes a key with its pieces.
pub async fn delete_entry(tx: &mut Tx, id: VaultKeyId) -> Result<(), DbError> {
    tx.execute(DELETE, args![id]).await.map(drop)
}

/// Deletes every key in one realm or in none.
pub async fn clear(tx: &mut Tx, account: UserId, realm: Option<RealmId>) -> Result<(), DbError> {
    tx.execute(CLEAR, args![account, stored(realm)]).await.map(drop)
}

/// Adds one sealed piece of a key's value.
pub async fn insert_piece(tx: &mut Tx, entry: &Entry, place: u32, sealed: Vec<u8>) -> Result<(), DbError> {
    let row = args![entry.id, entry.value, i64::from(place), key_named(&sealed), sealed];
    tx.execute(INSERT_PIECE, row).await.map(drop)
}

/// One sealed piece of a key's value; `None` when the key was set again or is gone.
pub async fn find_piece(
    on: impl Into<On<'_>>,
    entry: &Entry,
    place: u32,
) -> Result<Option<Vec<u8>>, DbError> {
    let row = on.into().find(PIECE, args![entry.id, entry.value, i64::from(place)]).await?;
    row.map(|row| row.get("sealed")).transpose()
}

/// A realm as the column has it: none is the empty text, so that it is unique like any other.
fn stored(realm: Option<RealmId>) -> Vec<u8> {
    realm.map_or_else(Vec::new, |realm| realm.bytes().to_vec())
}

/// The realm in a row of `vault_keys`.
pub(super) fn read_realm(row: &Row) -> Result<Option<RealmId>, DbError> {
    let realm: Vec<u8> = row.get("realm_id")?;
    match realm.as_slice() {
        [] => Ok(None),
        bytes => RealmId::try_from(bytes).map(Some).map_err(|_| DbError::Unreadable("realm_id")),
    }
}

/// The name of the master key that a value is sealed under.
fn key_named(sealed: &[u8]) -> Option<String> {
    key_of(sealed).map(|key| key.to_string())
}

fn read(row: &Row) -> Result<Entry, DbError> {
    let realm = read_realm(row)?;
    Ok(Entry {
        id: row.get("id")?,
        account: row.get("user_id")?,
        realm,
        name: row.get("name")?,
        value: row.get("value_id")?,
        pieces: u32::try_from(row.get::<i64>("pieces")?).map_err(|_| DbError::Unreadable("pieces"))?,
        value_bytes: row.get("value_bytes")?,
        size_bytes: row.get("size_bytes")?,
        metadata: row.get("metadata")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
