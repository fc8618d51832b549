//! The statements on `console_sessions`, and those that list an account's sessions.

use hoody_core::id::{SessionId, UserId};
use hoody_core::session::Rotation;
use hoody_core::time::Timestamp;
use hoody_engine::db::{Db, DbError, On, Row, Tx, args};
use hoody_engine::grants::session_row::read_rotation;

/// How long the cookie before the current one is good, in milliseconds.
pub(super) const GRACE: i64 = 10_000;
/// How long a session may stand unused, in milliseconds.
pub(crate) const IDLE: i64 = 60 * 60_000;

const FIND: &str = "SELECT s.id, s.user_id, s.generation, s.seq, s.rotated_at, s.created_at, s.ended_at, \
     u.username, u.is_banned, u.generation AS account_generation, c.last_seen_at, c.proved_at \
     FROM console_sessions c JOIN sessions s ON s.id = c.session_id JOIN users u ON u.id = s.user_id \
     WHERE c.digest = $1 OR (c.prev_digest = $1 AND c.prev_until > $2)";
const INSERT: &str = "INSERT INTO console_sessions (session_id, digest, last_seen_at, proved_at, user_agent) \
     VALUES ($1, $2, $3, $3, $4)";
const SEE: &str = "UPDATE console_sessions SET last_seen_at = $2 WHERE session_id = $1 AND last_seen_at < $2";
const PROVE: &str = "UPDATE console_sessions SET prev_digest = digest, prev_until = $3, digest = $2, \
     proved_at = $4, last_seen_at = $4 WHERE session_id = $1";
/// Those that are in force: of the account's generation, not ended, not expired, and seen lately where a
/// browser has them.
const LIST: &str = "SELECT s.id, s.client, s.ip, s.created_at, s.rotated_at, c.last_seen_at, c.user_agent \
     FROM sessions s JOIN users u ON u.id = s.user_id LEFT JOIN console_sessions c ON c.session_id = s.id \
     WHERE s.user_id = $1 AND s.ended_at IS NULL AND s.generation = u.generation AND s.expires_at > $2 \
     AND (c.session_id IS NULL OR (c.last_seen_at > $3 AND s.created_at > $4)) \
     ORDER BY s.created_at DESC, s.id DESC LIMIT 200";

/// A session in the console as it is stored.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) rotation: Rotation,
    pub(super) username: String,
    pub(super) created_at: Timestamp,
    pub(super) last_seen_at: Timestamp,
    pub(super) proved_at: Timestamp,
    pub(super) is_ended: bool,
    pub(super) is_banned: bool,
}

/// A session of an account, of whatever client.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) id: SessionId,
    pub(crate) client: String,
    pub(crate) ip: String,
    pub(crate) created_at: Timestamp,
    /// When it was refreshed or seen last.
    pub(crate) active_at: Timestamp,
    pub(crate) user_agent: Option<String>,
}

/// The session whose cookie has this digest.
pub(super) async fn find(db: &Db, digest: &[u8; 32], now: Timestamp) -> Result<Option<Stored>, DbError> {
    On::from(db).find(FIND, args![&digest[..], now]).await?.map(|row| read(&row)).transpose()
}

/// Adds what the console knows of a session that was just begun.
pub(super) async fn insert(
    tx: &mut Tx,
    id: SessionId,
    digest: &[u8; 32],
    now: Timestamp,
    user_agent: Option<String>,
) -> Result<(), DbError> {
    tx.execute(INSERT, args![id, &digest[..], now, user_agent]).await.map(|_| ())
}

/// Notes that its owner is there.
pub(super) async fn see(db: &Db, id: SessionId, now: Timestamp) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute(SEE, args![id, now]).await?;
    tx.commit().await
}

/// Gives it another cookie, and notes that its owner proved who that is.
pub(super) async fn prove(
    tx: &mut Tx,
    id: SessionId,
    digest: &[u8; 32],
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(PROVE, args![id, &digest[..], now.plus(GRACE), now]).await.map(|_| ())
}

/// The sessions of the account that are in force, the latest first. `oldest`: before that, those of browsers are
/// over.
pub(crate) async fn list(
    db: &Db,
    account: UserId,
    now: Timestamp,
    oldest: Timestamp,
) -> Result<Vec<Listed>, DbError> {
    let rows = On::from(db).list(LIST, args![account, now, now.plus(-IDLE), oldest]).await?;
    rows.iter().map(read_listed).collect()
}

fn read(row: &Row) -> Result<Stored, DbError> {
    let (rotation, is_ended) = read_rotation(row)?;
    Ok(Stored {
        rotation,
        username: row.get("username")?,
        created_at: row.get("created_at")?,
        last_seen_at: row.get("last_seen_at")?,
        proved_at: row.get("proved_at")?,
        is_ended,
        is_banned: row.get("is_banned")?,
    })
}

fn read_listed(row: &Row) -> Result<Listed, DbError> {
    let rotated_at: Timestamp = row.get("rotated_at")?;
    let seen_at: Option<Timestamp> = row.get("last_seen_at")?;
    Ok(Listed {
        id: row.get("id")?,
        client: row.get("client")?,
        ip: row.get("ip")?,
        created_at: row.get("created_at")?,
        active_at: seen_at.unwrap_or(rotated_at),
        user_agent: row.get("user_agent")?,
    })
}
