//! The statements on `sessions`. The one that reads a session is `hoody_engine::grants::session_row`.

use hoody_core::id::{SessionId, UserId};
use hoody_core::keys::KeyId;
use hoody_core::session::{REFRESH_LIFETIME, Rotation};
use hoody_core::time::{DAY, Timestamp};

use hoody_engine::db::{Db, DbError, On, Tx, args};

const INSERT: &str = "INSERT INTO sessions (id, user_id, generation, seq, rotated_at, created_at, expires_at, \
     client, ip, key_id) VALUES ($1, $2, $3, 0, $4, $4, $5, $6, $7, $8)";
const ROTATE: &str = "UPDATE sessions SET seq = seq + 1, rotated_at = $3, expires_at = $4, previous_key_id = key_id, key_id = $5 \
     WHERE id = $1 AND seq = $2 AND ended_at IS NULL AND expires_at > $3 RETURNING seq";
const END: &str = "UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
const END_OF: &str = "UPDATE sessions SET ended_at = $3 WHERE id = $2 AND user_id = $1 AND ended_at IS NULL";
const END_ALL: &str = "UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL";
const CLIENT: &str = "SELECT client FROM sessions WHERE id = $1";
const DELETE_ENDED: &str = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 \
     ORDER BY expires_at LIMIT $2)";
const COUNT_ACTIVE_TOKENS: &str =
    "SELECT COUNT(*) AS n FROM tokens WHERE user_id = $1 AND (expires_at IS NULL OR expires_at > $2)";
/// Ended sessions stay for as long as they tell from where an account signed in.
const KEPT: i64 = 30 * DAY;

/// Adds a session whose first pair is signed with `key`.
pub async fn insert_session(
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

/// What the client of a session calls itself.
pub async fn find_client(on: impl Into<On<'_>>, id: SessionId) -> Result<Option<String>, DbError> {
    on.into().find(CLIENT, args![id]).await?.map(|row| row.get("client")).transpose()
}

/// Raises the sequence from `seq`, for a pair that is signed with `key`; the new one, or `None` when somebody else did, or the session is over.
pub async fn rotate(
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
pub async fn end_session(tx: &mut Tx, id: SessionId, now: Timestamp) -> Result<bool, DbError> {
    Ok(tx.execute(END, args![id, now]).await? == 1)
}

/// Ends one session of `account`; false when it was over, or is another's.
pub async fn end_session_of(
    tx: &mut Tx,
    account: UserId,
    id: SessionId,
    now: Timestamp,
) -> Result<bool, DbError> {
    Ok(tx.execute(END_OF, args![account, id, now]).await? == 1)
}

/// Marks every session of the account as over.
pub async fn end_sessions(tx: &mut Tx, account: UserId, now: Timestamp) -> Result<(), DbError> {
    tx.execute(END_ALL, args![account, now]).await?;
    Ok(())
}

/// How many tokens of the account have not expired.
pub(super) async fn count_active_tokens(
    tx: &mut Tx,
    account: UserId,
    now: Timestamp,
) -> Result<u64, DbError> {
    Ok(On::from(tx).one(COUNT_ACTIVE_TOKENS, args![account, now]).await?.get::<i64>("n")?.unsigned_abs())
}

/// Removes sessions that ended long ago.
pub async fn delete_ended(db: &Db, now: Timestamp) -> Result<(), DbError> {
    db.sweep(DELETE_ENDED, args![now.plus(-KEPT)]).await
}
