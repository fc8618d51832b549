//! The statements on `sessions`.

use hoody_core::id::{SessionId, UserId};
use hoody_core::keys::KeyId;
use hoody_core::session::{REFRESH_LIFETIME, Rotation};
use hoody_core::time::{DAY, Timestamp};

use crate::db::{Db, DbError, On, Row, Tx, args};

const INSERT: &str = "INSERT INTO sessions (id, user_id, generation, seq, rotated_at, created_at, expires_at, \
     client, ip, key_id) VALUES ($1, $2, $3, 0, $4, $4, $5, $6, $7, $8)";
const FIND: &str = "SELECT s.id, s.user_id, s.generation, s.seq, s.rotated_at, s.expires_at, s.ended_at, \
     u.generation AS account_generation, u.is_banned FROM sessions s JOIN users u ON u.id = s.user_id \
     WHERE s.id = $1";
const ROTATE: &str = "UPDATE sessions SET seq = seq + 1, rotated_at = $3, expires_at = $4, previous_key_id = key_id, key_id = $5 \
     WHERE id = $1 AND seq = $2 AND ended_at IS NULL AND expires_at > $3 RETURNING seq";
const END: &str = "UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
const END_ALL: &str = "UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL";
const CLIENT: &str = "SELECT client FROM sessions WHERE id = $1";
const DELETE_ENDED: &str = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 \
     ORDER BY expires_at LIMIT $2)";
/// Ended sessions stay for as long as they tell from where an account signed in.
const KEPT: i64 = 30 * DAY;

/// A session and how it stands with its account.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) rotation: Rotation,
    pub(crate) expires_at: Timestamp,
    pub(crate) is_ended: bool,
    pub(crate) is_banned: bool,
}

/// Adds a session whose first pair is signed with `key`.
pub(crate) async fn insert_session(
    tx: &mut Tx,
    rotation: &Rotation,
    client: &str,
    ip: &str,
    key: KeyId,
) -> Result<(), DbError> {
    let expires_at = rotation.rotated_at.plus(REFRESH_LIFETIME);
    let row = args![
        rotation.session,
        rotation.account,
        rotation.generation,
        rotation.rotated_at,
        expires_at,
        client,
        ip,
        key.to_string(),
    ];
    tx.execute(INSERT, row).await?;
    Ok(())
}

pub(crate) async fn find_session(on: impl Into<On<'_>>, id: SessionId) -> Result<Option<Session>, DbError> {
    on.into().find(FIND, args![id]).await?.map(|row| read(&row)).transpose()
}

/// What the client of a session calls itself.
pub(crate) async fn find_client(on: impl Into<On<'_>>, id: SessionId) -> Result<Option<String>, DbError> {
    on.into().find(CLIENT, args![id]).await?.map(|row| row.get("client")).transpose()
}

/// Raises the sequence from `seq`, for a pair that is signed with `key`; the new one, or `None` when somebody else did, or the session is over.
pub(crate) async fn rotate(
    tx: &mut Tx,
    id: SessionId,
    seq: i64,
    now: Timestamp,
    key: KeyId,
) -> Result<Option<i64>, DbError> {
    let args = args![id, seq, now, now.plus(REFRESH_LIFETIME), key.to_string()];
    let row = On::from(tx).find(ROTATE, args).await?;
    row.map(|row| row.get("seq")).transpose()
}

/// Ends one session; false when it was over.
pub(crate) async fn end_session(tx: &mut Tx, id: SessionId, now: Timestamp) -> Result<bool, DbError> {
    Ok(tx.execute(END, args![id, now]).await? == 1)
}

/// Marks every session of the account as over.
pub(crate) async fn end_sessions(tx: &mut Tx, account: UserId, now: Timestamp) -> Result<(), DbError> {
    tx.execute(END_ALL, args![account, now]).await?;
    Ok(())
}

/// Removes sessions that ended long ago.
pub(crate) async fn delete_ended(db: &Db, now: Timestamp) -> Result<(), DbError> {
    db.sweep(DELETE_ENDED, args![now.plus(-KEPT)]).await
}

fn read(row: &Row) -> Result<Session, DbError> {
    let rotation = Rotation {
        account: row.get("user_id")?,
        session: row.get("id")?,
        generation: row.get("generation")?,
        seq: row.get("seq")?,
        rotated_at: row.get("rotated_at")?,
    };
    let is_ended = row.get::<Option<Timestamp>>("ended_at")?.is_some()
        || row.get::<i64>("account_generation")? != rotation.generation;
    Ok(Session { rotation, expires_at: row.get("expires_at")?, is_ended, is_banned: row.get("is_banned")? })
}
