//! What a connection to PostgreSQL must be: asked when it is made, and with every read in the same statement.
//!
//! A standby, or a server that was made read-only, may answer for long without what was revoked. The address of
//! a cluster leads to one for a moment in every fail-over, and a connection stays where it led. So no pool takes
//! such a connection, and one that says so later casts doubt on all that were made before: each is closed before
//! it is used again.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _, SqlSafeStr as _, SqlStr};
use tokio::time::Instant;

/// The oldest server that has all that is used here.
const OLDEST: u32 = 15;

/// What the server, its database or the role may have set otherwise, and the code relies on. They are set after
/// the connection is made, not with it: a pooler may drop what comes with it. Others have no effect on what a
/// statement means here; `search_path` is the operator's.
const PINNED: &str = "SET default_transaction_isolation = 'read committed'; \
     SET default_transaction_deferrable = off; SET standard_conforming_strings = on; \
     SET client_encoding = 'UTF8'; SET TimeZone = 'UTC'; \
     SELECT set_config(name, '0', false) FROM pg_settings \
     WHERE name IN ('idle_session_timeout', 'transaction_timeout'); ";
/// No statement and no lock may hold a connection for ever. A transaction never waits for anything but the
/// database; one that does is of a node that stands still or was cut off, and what it has locked is waited
/// for by all others: it is ended soon.
const LIMITED: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '3s'; ";
/// A migration may be long, and another node's is waited for.
const UNLIMITED: &str =
    "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; ";
/// What is acknowledged is durable, whatever the role says.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'; ";
const NOT_DURABLE: &str = "SET synchronous_commit = off; ";
const ASK: &str = "SELECT pg_is_in_recovery() AS is_standby, \
     current_setting('transaction_read_only') = 'on' AS is_read_only, \
     current_setting('session_replication_role') = 'replica' AS is_replica, \
     current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding";

/// How a session is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// For migrations.
    Unlimited,
    /// A COMMIT waits for the disk.
    Durable,
    /// A COMMIT does not: the request log.
    NotDurable,
}

/// Why a server is no database to work on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the server is a standby: the address must lead to the primary")]
    Standby,
    #[error("the server is read-only (default_transaction_read_only is on): it must take writes")]
    ReadOnly,
    #[error("session_replication_role is replica, which turns foreign keys off: set it to origin")]
    Replica,
    #[error("the server is PostgreSQL {0}: {OLDEST} or later is needed")]
    Old(u32),
    #[error(
        "the database's encoding is {0}, which cannot store every name: create it with ENCODING 'UTF8' \
         TEMPLATE template0"
    )]
    Encoding(String),
}

impl Session {
    fn sql(self) -> SqlStr {
        let (limits, commit) = match self {
            Self::Unlimited => (UNLIMITED, DURABLE),
            Self::Durable => (LIMITED, DURABLE),
            Self::NotDurable => (LIMITED, NOT_DURABLE),
        };
        AssertSqlSafe([limits, PINNED, commit, ASK].concat()).into_sql_str()
    }

    /// Sets up a connection, and asks the server what it is.
    ///
    /// # Errors
    /// The [`Refusal`], as the cause, where it is no database to work on.
    pub(super) async fn begin(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let rows = sqlx::raw_sql(self.sql()).fetch_all(connection).await?;
        let row = rows.last().ok_or(sqlx::Error::RowNotFound)?;
        match refusal(row)? {
            Some(refusal) => Err(sqlx::Error::Configuration(refusal.into())),
            None => Ok(()),
        }
    }
}

fn refusal(row: &PgRow) -> Result<Option<Refusal>, sqlx::Error> {
    let version = row.try_get::<String, _>("version")?.parse::<u32>().unwrap_or_default() / 10_000;
    let encoding: String = row.try_get("encoding")?;
    Ok(if version < OLDEST {
        Some(Refusal::Old(version))
    } else if encoding != "UTF8" {
        Some(Refusal::Encoding(encoding))
    } else if row.try_get("is_standby")? {
        Some(Refusal::Standby)
    } else if row.try_get("is_read_only")? {
        Some(Refusal::ReadOnly)
    } else if row.try_get("is_replica")? {
        Some(Refusal::Replica)
    } else {
        None
    })
}

/// `sql`, a question, with what proves in the same statement that a primary answers it: a row at least.
pub(super) fn proving(sql: &str) -> SqlStr {
    AssertSqlSafe(format!(
        "SELECT p.hoody_is_refused, q.* FROM (SELECT pg_is_in_recovery() \
         OR current_setting('transaction_read_only') = 'on' AS hoody_is_refused) p \
         LEFT JOIN (SELECT TRUE AS hoody_is_row, r.* FROM ({sql}) r) q ON TRUE"
    ))
    .into_sql_str()
}

/// The rows of a question that was asked with [`proving`].
///
/// # Errors
/// When no primary answered.
pub(super) fn proven(mut rows: Vec<PgRow>) -> Result<Vec<PgRow>, sqlx::Error> {
    let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    if first.try_get("hoody_is_refused")? {
        return Err(sqlx::Error::Configuration(Refusal::Standby.into()));
    }
    if first.try_get::<Option<bool>, _>("hoody_is_row")?.is_none() {
        rows.clear();
    }
    Ok(rows)
}

/// Whether `error` is how a server that takes no writes answers.
pub(super) fn is_refusal(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Configuration(cause) => cause.is::<Refusal>(),
        sqlx::Error::Database(database) => database.code().is_some_and(|code| code == "25006"),
        _ => false,
    }
}

/// What the pools of one database know together of its server.
#[derive(Default)]
pub struct Server {
    /// Connections made before this are not used again.
    doubted_at: Mutex<Option<Instant>>,
    is_refused: AtomicBool,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

impl Server {
    /// Notes how a statement failed.
    pub(super) fn note(&self, error: &sqlx::Error) {
        if is_refusal(error) {
            *self.doubted_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            self.refused(error);
        }
    }

    /// Whether a connection of this age was made before a server was found to take no writes.
    pub(super) fn doubts(&self, age: Duration) -> bool {
        let doubted_at = *self.doubted_at.lock().unwrap_or_else(PoisonError::into_inner);
        doubted_at.is_some_and(|at| age >= at.elapsed())
    }

    /// A connection was not taken, or is not used again.
    pub(super) fn refused(&self, error: &sqlx::Error) {
        if !self.is_refused.swap(true, Ordering::Relaxed) {
            let why = match error {
                sqlx::Error::Configuration(cause) => cause.to_string(),
                other => other.to_string(),
            };
            tracing::warn!(why, "connections to the database are refused");
        }
    }

    /// A connection was taken.
    pub(super) fn accepted(&self) {
        if self.is_refused.swap(false, Ordering::Relaxed) {
            tracing::info!("connections to the database are taken again");
        }
    }
}
