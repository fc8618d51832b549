//! The database: pools, transactions, rows, and the differences between the two engines.
//!
//! Nothing outside this folder knows which engine runs. A statement is one text for both, its arguments
//! an [`args!`] list, its rows read by column name. Reads go through [`Db`] or a [`Tx`], writes through a
//! [`Tx`] alone; a mutation of the service is a [`crate::feed::Mutation`], which wraps one.

mod built;
mod error;
mod migrate;
mod open;
mod row;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Pool, Postgres, SqlSafeStr as _, SqlStr, Sqlite, Transaction};

pub(crate) use built::Built;
pub(crate) use error::DbError;
pub(crate) use migrate::{migrate_sqlite_to, versions};
pub(crate) use open::Location;
pub(crate) use row::Row;

/// How many rows one transaction of a sweep removes.
const SWEEP_BATCH: u32 = 1_000;

/// An open database of either engine.
#[derive(Debug, Clone)]
pub(crate) enum Db {
    Sqlite {
        writer: Pool<Sqlite>,
        readers: Pool<Sqlite>,
    },
    Postgres {
        writers: Pool<Postgres>,
        readers: Pool<Postgres>,
        /// How many connections `readers` has made.
        made: Arc<AtomicU64>,
    },
}

/// One transaction. Dropped without [`Tx::commit`], it changes nothing.
#[derive(Debug)]
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// What a poll of the feed finds.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The last position.
    pub(crate) pos: i64,
    /// What tells it from the same position of another history: when it was written, and of what. `None`
    /// where nothing was written or it was trimmed.
    pub(crate) mark: Option<(i64, Vec<u8>)>,
    /// The highest position that somebody waits for to be applied on every node.
    pub(crate) awaited: i64,
    /// The time of a database that has a clock of its own, in milliseconds.
    pub(crate) now: Option<i64>,
}

/// Where a statement runs: on the database, or inside a transaction.
#[derive(Debug)]
pub(crate) enum On<'a> {
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
pub(crate) enum Arg {
    Int(Option<i64>),
    Bool(bool),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// The arguments of a statement, in the order of `$1`, `$2`, …
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::db::Arg::from($value)),*] };
}
pub(crate) use args;

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

/// Runs `work`, which changes nothing, on the next connection when it got a dead one: after a restart of
/// the server every connection of the pool is, and each would cost a caller an error.
async fn past_dead_connections<T, F>(
    pool: &Pool<Postgres>,
    mut work: impl FnMut() -> F,
) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let mut left = pool.size();
    loop {
        match work().await {
            Err(error) if left > 0 && error::is_of_connection(&error) => left -= 1,
            done => return done,
        }
    }
}

/// Runs a query wherever `on` is.
async fn fetch(on: On<'_>, sql: SqlStr, args: Vec<Arg>) -> Result<Vec<Row>, DbError> {
    macro_rules! rows {
        ($arguments:ty, $executor:expr, $row:expr) => {
            bind!(sql, args, $arguments).fetch_all($executor).await?.into_iter().map($row).collect()
        };
    }
    Ok(match on {
        On::Db(Db::Sqlite { readers, .. }) => rows!(SqliteArguments, readers, Row::Sqlite),
        On::Db(Db::Postgres { readers, .. }) => {
            let arguments = arguments!(args, PgArguments);
            let read = || sqlx::query_with(sql.clone(), arguments.clone()).fetch_all(readers);
            past_dead_connections(readers, read).await?.into_iter().map(Row::Postgres).collect()
        }
        On::Tx(Tx::Sqlite(tx)) => rows!(SqliteArguments, &mut **tx, Row::Sqlite),
        On::Tx(Tx::Postgres(tx)) => rows!(PgArguments, &mut **tx, Row::Postgres),
    })
}

impl On<'_> {
    /// The same place, for one statement more.
    pub(crate) fn again(&mut self) -> On<'_> {
        match self {
            Self::Db(db) => On::Db(db),
            Self::Tx(tx) => On::Tx(tx),
        }
    }

    /// The row that `sql` gives, if any.
    pub(crate) async fn find(self, sql: &'static str, args: Vec<Arg>) -> Result<Option<Row>, DbError> {
        Ok(fetch(self, sql.into_sql_str(), args).await?.into_iter().next())
    }

    /// All rows that `sql` gives.
    pub(crate) async fn list(self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Row>, DbError> {
        fetch(self, sql.into_sql_str(), args).await
    }

    /// All rows that a built statement gives.
    pub(crate) async fn list_built(self, sql: Built, args: Vec<Arg>) -> Result<Vec<Row>, DbError> {
        fetch(self, sql.into_sql_str(), args).await
    }

    /// The one row that `sql` must give.
    pub(crate) async fn one(self, sql: &'static str, args: Vec<Arg>) -> Result<Row, DbError> {
        self.find(sql, args).await?.ok_or_else(|| DbError::from(sqlx::Error::RowNotFound))
    }
}

impl Db {
    /// Begins a transaction that may write. On SQLite it is the only one until it ends.
    pub(crate) async fn begin(&self) -> Result<Tx, DbError> {
        match self {
            Self::Sqlite { writer, .. } => Ok(Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)),
            Self::Postgres { writers, .. } => {
                Ok(Tx::Postgres(past_dead_connections(writers, || writers.begin()).await?))
            }
        }
    }

    /// As [`begin`](Self::begin), for a transaction that ends with [`Tx::commit_early`].
    pub(crate) async fn begin_early(&self) -> Result<Tx, DbError> {
        const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit TO off";
        match self {
            Self::Sqlite { .. } => self.begin().await,
            Self::Postgres { writers, .. } => {
                let begin = || writers.begin_with(BEGIN);
                Ok(Tx::Postgres(past_dead_connections(writers, begin).await?))
            }
        }
    }

    /// Removes everything that `sql` deletes, a batch in each transaction so that nobody waits for it. The
    /// number after those of `args` is how many rows the statement may delete.
    pub(crate) async fn sweep(&self, sql: &'static str, mut args: Vec<Arg>) -> Result<(), DbError> {
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
    pub(crate) async fn head(&self) -> Result<Head, DbError> {
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
    pub(crate) fn connection(&self) -> u64 {
        match self {
            Self::Sqlite { .. } => 0,
            Self::Postgres { made, .. } => made.load(Ordering::SeqCst),
        }
    }

    /// Closes every connection.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { writers, readers, .. } => {
                readers.close().await;
                writers.close().await;
            }
        }
    }
}

impl Tx {
    /// Runs a statement that changes rows; how many it changed.
    pub(crate) async fn execute(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<u64, DbError> {
        self.execute_text(sql.into_sql_str(), args).await
    }

    /// Runs a built statement that changes rows or tables; how many rows it changed.
    pub(crate) async fn execute_built(&mut self, sql: Built, args: Vec<Arg>) -> Result<u64, DbError> {
        self.execute_text(sql.into_sql_str(), args).await
    }

    /// Locks the rows that `sql`, a `SELECT … ORDER BY … FOR UPDATE`, finds, one after the other. Who writes many
    /// rows of a table locks them first in the order that all others do, so that no two wait for each other.
    /// On SQLite nobody else writes meanwhile: nothing is run.
    pub(crate) async fn lock(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<(), DbError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(_) => fetch(On::Tx(self), sql.into_sql_str(), args).await.map(drop),
        }
    }

    /// The name of the engine's type of bytes, for a table that is made while the service runs.
    pub(crate) fn bytes_type(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "BLOB",
            Self::Postgres(_) => "BYTEA",
        }
    }

    async fn execute_text(&mut self, sql: SqlStr, args: Vec<Arg>) -> Result<u64, DbError> {
        match self {
            Self::Sqlite(tx) => {
                let query = bind!(sql, args, SqliteArguments);
                Ok(query.execute(&mut **tx).await?.rows_affected())
            }
            Self::Postgres(tx) => {
                let query = bind!(sql, args, PgArguments);
                Ok(query.execute(&mut **tx).await?.rows_affected())
            }
        }
    }

    /// As [`commit`](Self::commit), but on PostgreSQL the locks are free, and others see the changes, before the
    /// disk has them: every mutation locks the feed's head, and else all would wait for the disk one after the
    /// other. What waits is a small transaction that follows in the same session: what is durable is a prefix
    /// of the write-ahead log, and a session that is still there saw no crash.
    pub(crate) async fn commit_early(self) -> Result<(), DbError> {
        // It writes a record, so that its own COMMIT has something to wait for. It needs no privilege.
        const COMMIT: &str = "COMMIT AND CHAIN; SELECT pg_logical_emit_message(true, 'hoody', '')";
        match self {
            Self::Sqlite(_) => self.commit().await,
            Self::Postgres(mut tx) => {
                sqlx::raw_sql(COMMIT).execute(&mut *tx).await?;
                Ok(tx.commit().await?)
            }
        }
    }

    /// Makes the transaction's changes durable. After an error its outcome is unknown.
    pub(crate) async fn commit(self) -> Result<(), DbError> {
        match self {
            Self::Sqlite(tx) => Ok(tx.commit().await?),
            Self::Postgres(tx) => Ok(tx.commit().await?),
        }
    }
}
