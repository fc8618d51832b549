//! What a statement can fail with. "No row" is an `Option`, a conflict is `ON CONFLICT DO NOTHING`; what
//! is left is a database that cannot answer now, and a fault of ours.

/// A statement that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DbError {
    /// The database cannot be reached, is shutting down, or is too busy: try again.
    #[error("the database cannot answer now")]
    Unavailable(#[source] sqlx::Error),
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
            _ => false,
        };
        if is_passing { Self::Unavailable(error) } else { Self::Fault(error) }
    }
}

/// Whether the connection was dead before the statement: it broke, or the server says that it ended it.
pub(super) fn is_of_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        // Ended by the operator, by a crash, or for having stood still.
        sqlx::Error::Database(database) => {
            database.code().is_some_and(|code| ["57P01", "57P02", "25P03"].contains(&&*code))
        }
        _ => false,
    }
}

/// PostgreSQL: connection failures, shutdowns, too many connections, deadlocks and failed
/// serialisation, a read-only standby. SQLite: busy, locked, disk full or gone.
fn is_passing(code: &str) -> bool {
    let postgres = code.len() == 5
        && (["08", "53", "57"].iter().any(|class| code.starts_with(class))
            || ["40001", "40P01", "25006", "25P03", "55P03"].contains(&code));
    let sqlite =
        code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14)) && code.len() < 5;
    postgres || sqlite
}

#[cfg(test)]
mod tests {
    use super::is_passing;

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        for code in ["57P01", "08006", "53300", "40P01", "25P03", "5", "517", "6", "13"] {
            assert!(is_passing(code), "{code}");
        }
        for code in ["23505", "42P01", "22021", "1", "19", "2067"] {
            assert!(!is_passing(code), "{code}");
        }
    }
}
