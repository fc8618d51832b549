//! The statements on `gates`. Whoever changes a gate holds its account.

use hoody_core::id::{GateId, UserId};
use hoody_core::time::Timestamp;
use hoody_engine::db::{DbError, On, Row, Tx, args};

use super::{GateRow, Listed};

const LIST: &str = "SELECT id, name, hosts, realm, routes, created_at, updated_at FROM gates \
     WHERE user_id = $1 ORDER BY name";
const FIND: &str = "SELECT id, user_id, name, realm, definition, created_at, updated_at FROM gates \
     WHERE user_id = $1 AND name = $2";
const BY_ID: &str = "SELECT g.user_id, g.definition, u.is_banned FROM gates g \
     JOIN users u ON u.id = g.user_id WHERE g.id = $1";
const COUNT: &str = "SELECT COUNT(*) AS n FROM gates WHERE user_id = $1";
const INSERT: &str = "INSERT INTO gates (id, user_id, name, hosts, realm, routes, definition, created_at, \
     updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)";
const UPDATE: &str = "UPDATE gates SET hosts = $2, realm = $3, routes = $4, definition = $5, updated_at = $6 \
     WHERE id = $1";
const DELETE: &str = "DELETE FROM gates WHERE id = $1";

/// The gates of an account, by name.
pub(super) async fn list(on: impl Into<On<'_>>, account: UserId) -> Result<Vec<Listed>, DbError> {
    on.into().list(LIST, args![account]).await?.iter().map(read_listed).collect()
}

/// An account's gate of this name.
pub(super) async fn find(
    on: impl Into<On<'_>>,
    account: UserId,
    name: &str,
) -> Result<Option<GateRow>, DbError> {
    on.into().find(FIND, args![account, name]).await?.as_ref().map(read).transpose()
}

/// The owner of a gate, and its definition unless the owner is banned.
pub(super) async fn find_by_id(
    on: impl Into<On<'_>>,
    id: GateId,
) -> Result<Option<(UserId, Option<String>)>, DbError> {
    let row = on.into().find(BY_ID, args![id]).await?;
    let read = |row: Row| {
        let (is_banned, definition): (bool, String) = (row.get("is_banned")?, row.get("definition")?);
        Ok((row.get("user_id")?, (!is_banned).then_some(definition)))
    };
    row.map(read).transpose()
}

/// How many gates an account has.
pub(super) async fn count(tx: &mut Tx, account: UserId) -> Result<i64, DbError> {
    On::from(tx).one(COUNT, args![account]).await?.get("n")
}

/// Stores a new gate.
pub(super) async fn insert(
    tx: &mut Tx,
    (id, account): (GateId, UserId),
    listed: &Listed,
    definition: &str,
) -> Result<(), DbError> {
    let Listed { name, hosts, realm, routes, created_at, .. } = listed;
    tx.execute(INSERT, args![id, account, name, hosts.join(","), realm, *routes, definition, *created_at])
        .await?;
    Ok(())
}

/// Stores another definition of a gate.
pub(super) async fn update(tx: &mut Tx, listed: &Listed, definition: &str) -> Result<(), DbError> {
    let Listed { id, hosts, realm, routes, updated_at, .. } = listed;
    tx.execute(UPDATE, args![*id, hosts.join(","), realm, *routes, definition, *updated_at]).await?;
    Ok(())
}

/// Deletes a gate; false where there is none.
pub(super) async fn delete(tx: &mut Tx, id: GateId) -> Result<bool, DbError> {
    Ok(tx.execute(DELETE, args![id]).await? == 1)
}

fn read_listed(row: &Row) -> Result<Listed, DbError> {
    let hosts: String = row.get("hosts")?;
    let (created_at, updated_at): (Timestamp, Timestamp) = (row.get("created_at")?, row.get("updated_at")?);
    Ok(Listed {
        id: row.get("id")?,
        name: row.get("name")?,
        hosts: hosts.split(',').map(str::to_owned).collect(),
        realm: row.get("realm")?,
        routes: row.get("routes")?,
        created_at,
        updated_at,
    })
}

fn read(row: &Row) -> Result<GateRow, DbError> {
    Ok(GateRow {
        id: row.get("id")?,
        owner: row.get("user_id")?,
        realm: row.get("realm")?,
        definition: row.get("definition")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
