//! What a statement can fail with. "No row" is an `Option`, a conflict is `ON CONFLICT DO NOTHING`; what
//! is left is a database that cannot answer now, and a fault of ours.

use super::server;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// How PostgreSQL says that it ended a session: by the operator, by a crash, with the database, for having
/// stood still, or for a transaction that was too long.
const ENDED: [&str; 6] = ["57P01", "57P02", "57P04", "57P05", "25P03", "25P04"];

/// A statement that failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The database cannot be reached, is shutting down, or is too busy: try again.
    #[error("the database cannot answer now")]
    Unavailable(#[source] sqlx::Error),
    /// A COMMIT whose result was lost: it may be done.
    #[error("nobody can tell whether the transaction was committed")]
    Unknown(#[source] sqlx::Error),
    /// The file is no database, or not all of it is.
    #[error("the database is damaged")]
    Damaged(#[source] sqlx::Error),
    /// A fault of ours or of the data.
    #[error("the database refused a statement")]
    Fault(#[source] sqlx::Error),
    /// A stored value is not what was written.
    #[error("the stored value of {0} cannot be read")]
    Unreadable(&'static str),
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        let is_passing = match &error {
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(database) => database.code().is_some_and(|code| is_passing(&code)),
            error => server::is_refusal(error),
        };
        if is_damage(&error) {
            return Self::Damaged(error);
        }
        if is_passing { Self::Unavailable(error) } else { Self::Fault(error) }
    }
}

impl DbError {
    /// What a COMMIT failed with. `is_through`: it had been carried out, and was not durable yet.
    pub(super) fn of_commit(error: sqlx::Error, is_through: bool) -> Self {
        if !is_through && is_rolled_back(&error) { Self::from(error) } else { Self::Unknown(error) }
    }

    /// The same error, where it is of the database in the words of this type: "damaged", not "malformed".
    pub(super) fn within(error: anyhow::Error) -> anyhow::Error {
        match error.downcast::<sqlx::Error>() {
            Ok(error) => Self::from(error).into(),
            Err(error) => error,
        }
    }

    /// Whether it tells of the database as a whole, and not of one statement.
    pub(super) fn is_of_database(&self) -> bool {
        match self {
            Self::Unknown(_) | Self::Damaged(_) => true,
            // This process closes it.
            Self::Unavailable(sqlx::Error::PoolClosed) => false,
            // Two transactions that were in each other's way.
            Self::Unavailable(error) => code(error).is_none_or(|code| !["40001", "40P01"].contains(&&*code)),
            Self::Fault(_) | Self::Unreadable(_) => false,
        }
    }
}

fn code(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code)
}

/// Whether a server or SQLite said that it did not commit. A session that is ended, an answer that was lost,
/// and a disk that failed to sync what was written say nothing.
fn is_rolled_back(error: &sqlx::Error) -> bool {
    const FSYNC_FAILED: [&str; 2] = ["1034", "1290"];
    let sqlx::Error::Database(database) = error else { return false };
    match database.try_downcast_ref::<PgDatabaseError>() {
        Some(error) => matches!(error.severity(), PgSeverity::Error),
        None => database.code().is_some_and(|code| !FSYNC_FAILED.contains(&&*code)),
    }
}

/// SQLite: the file is malformed or no database. PostgreSQL: data or an index is corrupted.
fn is_damage(error: &sqlx::Error) -> bool {
    let Some(code) = code(error) else { return false };
    ["XX001", "XX002"].contains(&&*code) || sqlite_code(&code).is_some_and(|code| matches!(code, 11 | 26))
}

/// Whether a connection to SQLite is not used again after this error.
pub(super) fn spoils(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::WorkerCrashed => true,
        // No memory, input or output, a damaged file, a full disk, a file that cannot be opened or is no database.
        _ => code(error)
            .and_then(|code| sqlite_code(&code))
            .is_some_and(|code| matches!(code, 7 | 10 | 11 | 13 | 14 | 26)),
    }
}

/// The first byte of a code of SQLite; `None` for the five characters of PostgreSQL's.
fn sqlite_code(code: &str) -> Option<u32> {
    code.parse::<u32>().ok().filter(|_| code.len() < 5).map(|code| code & 0xff)
}

/// Whether the connection was dead before the statement: it broke, or the server says that it ended it.
pub(super) fn is_of_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(database) => {
            database.code().is_some_and(|code| code.starts_with("08") || ENDED.contains(&&*code))
        }
        _ => false,
    }
}

/// Whether what changed nothing may be done again on another connection: this one was dead or leads to a
/// standby, or the server gave up one of two that were in each other's way.
pub(super) fn may_repeat(error: &sqlx::Error) -> bool {
    let is_conflict = || error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    is_of_connection(error)
        || server::is_refusal(error)
        || is_conflict().is_some_and(|code| ["40001", "40P01"].contains(&&*code))
}

/// PostgreSQL: connection failures, shutdowns, too many connections, deadlocks and failed
/// serialisation, a read-only standby. SQLite: busy, locked, out of memory, read-only, disk full or gone.
fn is_passing(code: &str) -> bool {
    let postgres = code.len() == 5
        && (["08", "53", "57"].iter().any(|class| code.starts_with(class))
            || ["40001", "40P01", "25006", "25P03", "25P04", "55P03"].contains(&code));
    let sqlite = sqlite_code(code).is_some_and(|code| matches!(code, 5 | 6 | 7 | 8 | 10 | 13 | 14 | 15));
    postgres || sqlite
}

#[cfg(test)]
mod tests {
    use super::is_passing;

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        for code in ["57P01", "08006", "53300", "40P01", "25P03", "5", "517", "6", "8", "13", "778"] {
            assert!(is_passing(code), "{code}");
        }
        for code in ["23505", "42P01", "22021", "1", "19", "2067"] {
            assert!(!is_passing(code), "{code}");
        }
    }
}
