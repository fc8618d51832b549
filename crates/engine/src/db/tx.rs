//! A transaction, and the connection that it owns.
//!
//! A connection goes back to its pool only after a COMMIT or a ROLLBACK that surely succeeded. After anything
//! else nobody knows what state it is in (SQLite rolls back by itself when the disk is full): it is closed, and
//! the pool makes a new one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Connection as _, Postgres, SqlSafeStr as _, SqlStr, Sqlite};

use super::error::spoils;
use super::health::Health;
use super::{Arg, Built, DbError, Row, arguments, bind};

/// How long a ROLLBACK may take, what runs before it included.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(2);

/// One transaction. Dropped without [`Tx::commit`], it changes nothing.
#[derive(Debug)]
pub struct Tx {
    /// `None` once it is over.
    session: Option<Session>,
    state: State,
    health: Arc<Health>,
}

/// A connection that runs one transaction.
#[derive(Debug)]
pub(super) enum Session {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody knows whether BEGIN was run, or SQLite has rolled back by itself: the connection is closed.
    Unsure,
    Open,
    /// A statement failed: nothing more may be run, on either engine.
    Failed,
}

impl Session {
    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => sqlx::raw_sql(sql).execute(&mut **connection).await.map(drop),
            Self::Postgres(connection) => sqlx::raw_sql(sql).execute(&mut **connection).await.map(drop),
        }
    }

    /// Closes the connection. SQLite rolls back what is open.
    pub(super) async fn close(self) {
        let closed = match self {
            Self::Sqlite(connection) => connection.close().await,
            // Without a farewell: a network that swallows everything would be waited for.
            Self::Postgres(connection) => connection.detach().close_hard().await,
        };
        if let Err(error) = closed {
            tracing::debug!(%error, "a connection was closed after an error");
        }
    }

    /// Rolls back what may be open; the connection goes back to its pool if that succeeds.
    async fn roll_back(mut self) {
        match tokio::time::timeout(ROLLBACK_LIMIT, self.run("ROLLBACK")).await {
            Ok(Ok(())) => {}
            _ => self.close().await,
        }
    }
}

impl Tx {
    /// Begins a transaction with `begin` on a connection of its own.
    pub(super) async fn begin(
        session: Session,
        begin: &'static str,
        health: &Arc<Health>,
    ) -> Result<Self, sqlx::Error> {
        // Whole before the statement is sent: given up in the middle of it, the connection is closed.
        let mut tx = Self { session: Some(session), state: State::Unsure, health: Arc::clone(health) };
        if let Some(session) = &mut tx.session {
            match session.run(begin).await {
                Ok(()) => tx.state = State::Open,
                Err(error) => {
                    tx.close().await;
                    return Err(error);
                }
            }
        }
        Ok(tx)
    }

    /// The connection, while statements may be run on it.
    fn session(&mut self) -> Result<&mut Session, DbError> {
        match (&mut self.session, self.state) {
            (Some(session), State::Open) => Ok(session),
            _ => Err(DbError::Fault(sqlx::Error::Protocol("the transaction has failed before".to_owned()))),
        }
    }

    /// Notes how a statement ended.
    fn note<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, DbError> {
        result.map_err(|error| {
            self.state = if spoils(&error) { State::Unsure } else { State::Failed };
            let error = DbError::from(error);
            self.health.note_write(&error);
            error
        })
    }

    /// The rows that a statement gives.
    pub(super) async fn rows(&mut self, sql: SqlStr, args: Vec<Arg>) -> Result<Vec<Row>, DbError> {
        let result = match self.session()? {
            Session::Sqlite(connection) => {
                let rows = bind!(sql, args, SqliteArguments).fetch_all(&mut **connection).await;
                rows.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
            Session::Postgres(connection) => {
                let rows = bind!(sql, args, PgArguments).fetch_all(&mut **connection).await;
                rows.map(|rows| rows.into_iter().map(Row::Postgres).collect())
            }
        };
        self.note(result)
    }

    /// Runs a statement that changes rows; how many it changed.
    pub async fn execute(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<u64, DbError> {
        self.execute_text(sql.into_sql_str(), args).await
    }

    /// Runs a built statement that changes rows or tables; how many rows it changed.
    pub async fn execute_built(&mut self, sql: Built, args: Vec<Arg>) -> Result<u64, DbError> {
        self.execute_text(sql.into_sql_str(), args).await
    }

    async fn execute_text(&mut self, sql: SqlStr, args: Vec<Arg>) -> Result<u64, DbError> {
        let result = match self.session()? {
            Session::Sqlite(connection) => {
                let done = bind!(sql, args, SqliteArguments).execute(&mut **connection).await;
                done.map(|done| done.rows_affected())
            }
            Session::Postgres(connection) => {
                let done = bind!(sql, args, PgArguments).execute(&mut **connection).await;
                done.map(|done| done.rows_affected())
            }
        };
        self.note(result)
    }

    /// Locks the rows that `sql`, a `SELECT … ORDER BY … FOR UPDATE`, finds, one after the other. Who writes many
    /// rows of a table locks them first in the order that all others do, so that no two wait for each other.
    /// On SQLite nobody else writes meanwhile: nothing is run.
    pub async fn lock(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<(), DbError> {
        match self.session {
            Some(Session::Sqlite(_)) => Ok(()),
            _ => self.rows(sql.into_sql_str(), args).await.map(drop),
        }
    }

    /// The name of the engine's type of bytes, for a table that is made while the service runs.
    pub fn bytes_type(&self) -> &'static str {
        match self.session {
            Some(Session::Postgres(_)) => "BYTEA",
            _ => "BLOB",
        }
    }

    /// As [`commit`](Self::commit), but on PostgreSQL the locks are free, and others see the changes, before the
    /// disk has them: every mutation locks the feed's head, and else all would wait for the disk one after the
    /// other. What waits is a small transaction that follows in the same session: what is durable is a prefix
    /// of the write-ahead log, and a session that is still there saw no crash.
    pub async fn commit_early(mut self) -> Result<(), DbError> {
        // It writes a record, so that its own COMMIT has something to wait for. It needs no privilege.
        const COMMIT: &str = "COMMIT AND CHAIN; SELECT pg_logical_emit_message(true, 'hoody', '')";
        let mut is_through = false;
        let done = match self.session()? {
            Session::Sqlite(_) => return self.commit().await,
            Session::Postgres(connection) => {
                let mut done = sqlx::raw_sql(COMMIT).execute_many(&mut **connection);
                loop {
                    match done.next().await {
                        // The first of the two statements is the one that others see.
                        Some(Ok(_)) => is_through = true,
                        Some(Err(error)) => break Err(error),
                        None => break Ok(()),
                    }
                }
            }
        };
        match done {
            Ok(()) => self.end(true).await,
            Err(error) => self.fail(DbError::of_commit(error, is_through)).await,
        }
    }

    /// Makes the transaction's changes durable.
    ///
    /// # Errors
    /// [`DbError::Unknown`] when nobody can tell whether they are; after any other error they surely are not.
    pub async fn commit(self) -> Result<(), DbError> {
        self.end(false).await
    }

    /// COMMIT. `is_through`: others see the changes already.
    async fn end(mut self, is_through: bool) -> Result<(), DbError> {
        let session = self.session()?;
        let done = session.run("COMMIT").await;
        match done {
            Ok(()) => {
                // Back to its pool.
                self.session = None;
                self.health.wrote();
                Ok(())
            }
            Err(error) => self.fail(DbError::of_commit(error, is_through)).await,
        }
    }

    async fn fail(mut self, error: DbError) -> Result<(), DbError> {
        self.health.note_write(&error);
        self.close().await;
        Err(error)
    }

    async fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            // Nobody is there to wait for it: dropped outside its pool, a connection is closed.
            match session {
                Session::Sqlite(connection) => drop(connection.detach()),
                Session::Postgres(connection) => drop(connection.detach()),
            }
            return;
        };
        match self.state {
            State::Unsure => runtime.spawn(session.close()),
            State::Open | State::Failed => runtime.spawn(session.roll_back()),
        };
    }
}
