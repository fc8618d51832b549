//! The row of a session, as a decision needs it.

use hoody_core::id::SessionId;
use hoody_core::session::Rotation;
use hoody_core::time::Timestamp;

use crate::db::{DbError, On, Row, args};

const FIND: &str = "SELECT s.id, s.user_id, s.generation, s.seq, s.rotated_at, s.expires_at, s.ended_at, \
     u.generation AS account_generation, u.is_banned FROM sessions s JOIN users u ON u.id = s.user_id \
     WHERE s.id = $1";

/// A session and how it stands with its account.
#[derive(Debug)]
pub struct Session {
    pub rotation: Rotation,
    pub expires_at: Timestamp,
    pub is_ended: bool,
    pub is_banned: bool,
}

/// The session with this id, be it over or not.
///
/// # Errors
/// When the database fails.
pub async fn find_session(on: impl Into<On<'_>>, id: SessionId) -> Result<Option<Session>, DbError> {
    on.into().find(FIND, args![id]).await?.map(|row| read(&row)).transpose()
}

/// What the tokens of a session turn on, and whether it is over: of a row with the session's columns and
/// `account_generation`.
///
/// # Errors
/// When a column is missing or cannot be read.
pub fn read_rotation(row: &Row) -> Result<(Rotation, bool), DbError> {
    let rotation = Rotation {
        account: row.get("user_id")?,
        session: row.get("id")?,
        generation: row.get("generation")?,
        seq: row.get("seq")?,
        rotated_at: row.get("rotated_at")?,
    };
    let is_ended = row.get::<Option<Timestamp>>("ended_at")?.is_some()
        || row.get::<i64>("account_generation")? != rotation.generation;
    Ok((rotation, is_ended))
}

fn read(row: &Row) -> Result<Session, DbError> {
    let (rotation, is_ended) = read_rotation(row)?;
    Ok(Session { rotation, expires_at: row.get("expires_at")?, is_ended, is_banned: row.get("is_banned")? })
}
