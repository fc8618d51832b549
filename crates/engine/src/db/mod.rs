//! The database: pools, transactions, rows, and the differences between the two engines.
//!
//! Nothing outside this folder knows which engine runs. A statement is one text for both, its arguments
//! an [`args!`] list, its rows read by column name. Reads go through [`Db`] or a [`Tx`], writes through a
//! [`Tx`] alone; a mutation of the service is a [`crate::feed::Mutation`], which wraps one.

mod address;
mod built;
mod error;
mod health;
mod migrate;
mod open;
mod row;
mod server;
mod tx;
mod wal;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Pool, Postgres, SqlSafeStr as _, SqlStr, Sqlite};

use crate::clock::entropy;
pub use built::Built;
pub use error::DbError;
pub use health::Health;
pub use migrate::{migrate_sqlite_to, versions};
pub use open::{Location, Opened, environment};
pub use row::Row;
use server::Server;
use tx::Session;
pub use tx::Tx;
pub use wal::unmark;

/// How many rows one transaction of a sweep removes.
const SWEEP_BATCH: u32 = 1_000;

/// An open database of either engine.
#[derive(Debug, Clone)]
pub enum Db {
    Sqlite {
        writer: Pool<Sqlite>,
        readers: Pool<Sqlite>,
        health: Arc<Health>,
    },
    Postgres {
        writers: Pool<Postgres>,
        readers: Pool<Postgres>,
        /// How many connections `readers` has made.
        made: Arc<AtomicU64>,
        health: Arc<Health>,
    },
}

impl DbError {
    /// Whether the beginning of a transaction, which changed nothing, may be made again.
    pub fn may_repeat(&self) -> bool {
        matches!(self, Self::Unavailable(error) if error::may_repeat(error))
    }
}

/// What a poll of the feed finds.
#[derive(Debug, Clone)]
pub struct Head {
    /// The last position.
    pub pos: i64,
    /// What tells it from the same position of another history: when it was written, and of what. `None`
    /// where nothing was written or it was trimmed.
    pub mark: Option<(i64, Vec<u8>)>,
    /// The highest position that somebody waits for to be applied on every node.
    pub awaited: i64,
    /// The time of a database that has a clock of its own, in milliseconds.
    pub now: Option<i64>,
}

/// Where a statement runs: on the database, or inside a transaction.
#[derive(Debug)]
pub enum On<'a> {
    Db(&'a Db),
    Tx(&'a mut Tx),
}

impl<'a> From<&'a Db> for On<'a> {
    fn from(db: &'a Db) -> Self {
        Self::Db(db)
    }
}

impl<'a> From<&'a mut Tx> for On<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self::Tx(tx)
    }
}

/// One argument of a statement.
#[derive(Debug, Clone)]
pub enum Arg {
    Int(Option<i64>),
    Bool(bool),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// The arguments of a statement, in the order of `$1`, `$2`, …
#[doc(hidden)]
#[macro_export]
macro_rules! __args {
    ($($value:expr),* $(,)?) => { vec![$($crate::db::Arg::from($value)),*] };
}
pub use __args as args;

macro_rules! arguments {
    ($args:expr, $arguments:ty) => {{
        let mut arguments = <$arguments>::default();
        for arg in $args {
            match arg {
                Arg::Int(value) => Arguments::add(&mut arguments, value),
                Arg::Bool(value) => Arguments::add(&mut arguments, value),
                Arg::Text(value) => Arguments::add(&mut arguments, value),
                Arg::Bytes(value) => Arguments::add(&mut arguments, value),
            }
            .map_err(|error| DbError::from(sqlx::Error::Encode(error)))?;
        }
        arguments
    }};
}

macro_rules! bind {
    ($sql:expr, $args:expr, $arguments:ty) => {
        sqlx::query_with($sql, arguments!($args, $arguments))
    };
}
use {arguments, bind};

/// Runs `work`, which changes nothing, on the next connection when it got a dead one, one to a standby, or was
/// cancelled for another's sake: after a restart of the server every connection of the pool is dead, and each
/// would cost a caller an error.
async fn past_dead_connections<T, F>(
    pool: &Pool<Postgres>,
    server: &Server,
    mut work: impl FnMut() -> F,
) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let mut left = pool.size();
    loop {
        match work().await {
            Err(error) if left > 0 && error::may_repeat(&error) => {
                server.note(&error);
                left -= 1;
            }
            done => return done,
        }
    }
}

/// Runs a query wherever `on` is.
async fn fetch(on: On<'_>, sql: SqlStr, args: Vec<Arg>) -> Result<Vec<Row>, DbError> {
    let (health, rows) = match on {
        On::Tx(tx) => return tx.rows(sql, args).await,
        On::Db(Db::Sqlite { readers, health, .. }) => {
            let mut connection = readers.acquire().await?;
            let rows = bind!(sql, args, SqliteArguments).fetch_all(&mut *connection).await;
            if rows.as_ref().is_err_and(error::spoils) {
                Session::Sqlite(connection).close().await;
            }
            (health, rows.map(|rows| rows.into_iter().map(Row::Sqlite).collect()))
        }
        On::Db(Db::Postgres { readers, health, .. }) => {
            let arguments = arguments!(args, PgArguments);
            let sql = server::proving(sql.as_str());
            let read = || async {
                let rows = sqlx::query_with(sql.clone(), arguments.clone()).fetch_all(readers).await?;
                server::proven(rows)
            };
            let rows = past_dead_connections(readers, health.server(), read).await;
            (health, rows.map(|rows| rows.into_iter().map(Row::Postgres).collect()))
        }
    };
    rows.map_err(|error| {
        let error = DbError::from(error);
        health.note_read(&error);
        error
    })
}

impl On<'_> {
    /// The same place, for one statement more.
    pub fn again(&mut self) -> On<'_> {
        match self {
            Self::Db(db) => On::Db(db),
            Self::Tx(tx) => On::Tx(tx),
        }
    }

    /// The row that `sql` gives, if any.
    pub async fn find(self, sql: &'static str, args: Vec<Arg>) -> Result<Option<Row>, DbError> {
        Ok(fetch(self, sql.into_sql_str(), args).await?.into_iter().next())
    }

    /// All rows that `sql` gives.
    pub async fn list(self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Row>, DbError> {
        fetch(self, sql.into_sql_str(), args).await
    }

    /// All rows that a built statement gives.
    pub async fn list_built(self, sql: Built, args: Vec<Arg>) -> Result<Vec<Row>, DbError> {
        fetch(self, sql.into_sql_str(), args).await
    }

    /// The one row that `sql` must give.
    pub async fn one(self, sql: &'static str, args: Vec<Arg>) -> Result<Row, DbError> {
        self.find(sql, args).await?.ok_or_else(|| DbError::from(sqlx::Error::RowNotFound))
    }
}

impl Db {
    /// Begins a transaction that may write. On SQLite it is the only one until it ends.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        self.begin_with("BEGIN").await
    }

    /// As [`begin`](Self::begin), for a transaction that ends with [`Tx::commit_early`].
    pub async fn begin_early(&self) -> Result<Tx, DbError> {
        self.begin_with("BEGIN; SET LOCAL synchronous_commit TO off").await
    }

    /// `postgres`: how PostgreSQL begins it.
    async fn begin_with(&self, postgres: &'static str) -> Result<Tx, DbError> {
        let health = self.health();
        let begun = match self {
            Self::Sqlite { writer, .. } => match writer.acquire().await {
                Ok(connection) => Tx::begin(Session::Sqlite(connection), "BEGIN IMMEDIATE", health).await,
                Err(error) => Err(error),
            },
            Self::Postgres { writers, .. } => {
                let begin = || async {
                    Tx::begin(Session::Postgres(writers.acquire().await?), postgres, health).await
                };
                past_dead_connections(writers, health.server(), begin).await
            }
        };
        begun.map_err(|error| {
            let error = DbError::from(error);
            health.note_write(&error);
            error
        })
    }

    /// What the last statements told of it.
    pub fn health(&self) -> &Arc<Health> {
        match self {
            Self::Sqlite { health, .. } | Self::Postgres { health, .. } => health,
        }
    }

    /// Removes everything that `sql` deletes, a batch in each transaction so that nobody waits for it. The
    /// number after those of `args` is how many rows the statement may delete.
    pub async fn sweep(&self, sql: &'static str, mut args: Vec<Arg>) -> Result<(), DbError> {
        args.push(Arg::from(i64::from(SWEEP_BATCH)));
        loop {
            let mut tx = self.begin().await?;
            let removed = tx.execute(sql, args.clone()).await?;
            tx.commit().await?;
            // Fewer than a batch are not the end: another may have removed some of those that were chosen.
            if removed == 0 {
                return Ok(());
            }
        }
    }

    /// The feed's head, the position that somebody waits for everywhere, and, where the database has a
    /// clock of its own that nodes share, its time in milliseconds.
    pub async fn head(&self) -> Result<Head, DbError> {
        let sql = match self {
            Self::Sqlite { .. } => {
                "SELECT h.pos AS pos, w.pos AS awaited, CAST(NULL AS BIGINT) AS now, f.at, f.resource_id \
                 FROM feed_head h JOIN feed_wait w ON w.id = h.id \
                 LEFT JOIN feed f ON f.pos = h.pos AND f.seq = 0 WHERE h.id = 1"
            }
            Self::Postgres { .. } => {
                "SELECT h.pos AS pos, w.pos AS awaited, \
                 CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now, f.at, f.resource_id \
                 FROM feed_head h JOIN feed_wait w ON w.id = h.id \
                 LEFT JOIN feed f ON f.pos = h.pos AND f.seq = 0 WHERE h.id = 1"
            }
        };
        let row = On::from(self).one(sql, args![]).await?;
        let at: Option<i64> = row.get("at")?;
        let resource: Option<Vec<u8>> = row.get("resource_id")?;
        Ok(Head {
            pos: row.get("pos")?,
            mark: at.zip(resource),
            awaited: row.get("awaited")?,
            now: row.get("now")?,
        })
    }

    /// Which connection reads last, where there is one at a time: another number after it was lost.
    pub fn connection(&self) -> u64 {
        match self {
            Self::Sqlite { .. } => 0,
            Self::Postgres { made, .. } => made.load(Ordering::SeqCst),
        }
    }

    /// What a server does with a SQLite file when it starts: looks whether it is whole, and marks it, so that the
    /// log beside it is known to be its own after a crash; where it is.
    ///
    /// # Errors
    /// When the file is damaged or cannot be written.
    pub async fn mark(&self) -> anyhow::Result<Option<PathBuf>> {
        let Self::Sqlite { writer, .. } = self else { return Ok(None) };
        let mut connection = writer.acquire().await?;
        let marked = wal::mark(&mut connection, u32::from_be_bytes(entropy())).await;
        if marked.is_err() {
            Session::Sqlite(connection).close().await;
        }
        marked.map(Some).map_err(DbError::within)
    }

    /// Closes every connection of these databases, those that write last: of a SQLite file, the last to go
    /// takes the write-ahead log into it and removes it, and one that only reads cannot.
    pub async fn close(these: &[&Self]) {
        for db in these {
            match db {
                Self::Sqlite { writer, readers, .. } => {
                    // One that writes is there to be the last, also when the former was closed after an error.
                    let writing = writer.acquire().await;
                    readers.close().await;
                    drop(writing);
                }
                Self::Postgres { readers, .. } => readers.close().await,
            }
        }
        for db in these {
            match db {
                Self::Sqlite { writer, .. } => writer.close().await,
                Self::Postgres { writers, .. } => writers.close().await,
            }
        }
    }
}
