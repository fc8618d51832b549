//! Opening a database: its address, its pools with their settings, its schema.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::bail;
use rustix::fs::Access;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::pool::PoolOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqlSafeStr as _};

use super::server::{Server, Session};
use super::{Arg, Db, DbError, Health, On, address, args, migrate, wal};

/// Where the database is. Its text may hold a password, so it cannot be printed.
#[derive(Clone)]
pub enum Location {
    /// A SQLite file, made when it is not there.
    Sqlite(PathBuf),
    /// A PostgreSQL server, and what all pools know of it.
    Postgres(Box<PgConnectOptions>, Arc<Server>),
}

/// A database that was opened and brought to the current schema.
#[derive(Debug)]
pub struct Opened {
    pub db: Db,
    /// Connections of its own for the feed's tail: whatever else waits for the database, a node must
    /// learn what was revoked.
    pub tail: Db,
    /// Made when the schema was first applied: the salt of every derived key.
    pub database_id: Vec<u8>,
}

const READERS: u32 = 4;
const POSTGRES_READERS: u32 = 8;
const POSTGRES_WRITERS: u32 = 12;
/// Of the request log: one that writes, one that tidies up.
const ACTIVITY_WRITERS: u32 = 2;
const ACTIVITY_READERS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a start waits that long.
const CONNECT_TRIES: usize = 5;
/// How long a connection may take to become free of what was given up.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.engine())
    }
}

/// A variable of the process's environment; `None` when it is empty.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Location {
    /// Reads `sqlite:PATH` or `postgres://…`.
    ///
    /// # Errors
    /// A sentence that names what is wrong, without the address, which may hold a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() || path == ":memory:" {
                Err("sqlite: must be followed by the path of a file".to_owned())
            } else if path.contains('?') {
                Err("sqlite: takes no parameters, only the path of a file".to_owned())
            } else {
                Ok(Self::Sqlite(PathBuf::from(path)))
            };
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = address::parse(url, environment)?;
            let options = match options.get_application_name() {
                Some(_) => options,
                None => options.application_name("hoody"),
            };
            // Nothing that a pooler would have to know comes with the connection.
            let options = options.extra_float_digits(None).disable_statement_logging();
            return Ok(Self::Postgres(Box::new(options), Arc::default()));
        }
        Err("it must begin with sqlite: or postgres://".to_owned())
    }

    /// `sqlite` or `postgres`.
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(..) => "postgres",
        }
    }

    /// Whether there is something at that place; a server is asked when it is opened.
    pub fn is_there(&self) -> bool {
        match self {
            Self::Sqlite(path) => path.exists(),
            Self::Postgres(..) => true,
        }
    }

    /// Opens it and applies the schema. `entropy` becomes the database's id when it is new.
    pub async fn open(&self, entropy: [u8; 16]) -> anyhow::Result<Opened> {
        let (db, tail) = match self {
            Self::Sqlite(path) => {
                let options = sqlite_at(path, &sqlite_migrator(), SqliteSynchronous::Full).await?;
                let writer = pool(1).connect_with(options.clone()).await?;
                let options = reading(options);
                let readers = pool(READERS).connect_with(options.clone()).await?;
                let tail = pool(1).connect_with(options).await?;
                let health = Health::new();
                let tail = Db::Sqlite { writer: writer.clone(), readers: tail, health: Arc::clone(&health) };
                (Db::Sqlite { writer, readers, health }, tail)
            }
            Self::Postgres(options, server) => {
                // Also says what is wrong, where a pool would only say that it waited in vain.
                let mut connection = options.connect().await.map_err(reason)?;
                Session::Unlimited.begin(&mut connection).await.map_err(reason)?;
                migrate::migrate_postgres(&postgres_migrator(), &mut connection).await?;
                connection.close().await?;
                let pools = Pools { options, server, session: Session::Durable };
                let writers = pools.connect(POSTGRES_WRITERS, None).await?;
                let db = pools.database(writers.clone(), POSTGRES_READERS).await?;
                (db, pools.database(writers, 1).await?)
            }
        };
        let database_id = database_id(&db, entropy).await?;
        Ok(Opened { db, tail, database_id })
    }

    /// Opens the place of the request log, on connections of its own: on SQLite a file in `directory`; on
    /// PostgreSQL the database itself, which [`Location::open`] brought to the current schema. A commit
    /// waits for the disk only if `is_durable`; otherwise it survives a crash of this process, not a loss
    /// of power.
    pub async fn open_activity(&self, directory: &Path, is_durable: bool) -> anyhow::Result<Db> {
        Ok(match self {
            Self::Sqlite(_) => {
                let synchronous =
                    if is_durable { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
                let path = directory.join("activity.db");
                let options = sqlite_at(&path, &activity_migrator(), synchronous).await?;
                let writer = pool(1).connect_with(options.clone()).await?;
                let readers = pool(READERS).connect_with(reading(options)).await?;
                Db::Sqlite { writer, readers, health: Health::new() }
            }
            Self::Postgres(options, server) => {
                let session = if is_durable { Session::Durable } else { Session::NotDurable };
                let pools = Pools { options, server, session };
                let writers = pools.connect(ACTIVITY_WRITERS, None).await?;
                pools.database(writers, ACTIVITY_READERS).await?
            }
        })
    }
}

/// What is wrong with the server, without the driver's words before it.
fn reason(error: sqlx::Error) -> anyhow::Error {
    const OWN_AUTHORITY: &str = "the server shows a certificate that is an authority itself (CA:TRUE), as one that signed \
         itself often is: sign the server's certificate with an authority, and name that in sslrootcert";
    match error {
        sqlx::Error::Configuration(cause) => anyhow::anyhow!("{cause}"),
        error if error.to_string().contains("CaUsedAsEndEntity") => {
            anyhow::Error::new(error).context(OWN_AUTHORITY)
        }
        error => error.into(),
    }
}

fn pool<DB: sqlx::Database>(connections: u32) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // Costs a round trip for each statement; a dead connection fails the statement instead.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Makes the pools of a PostgreSQL server.
struct Pools<'a> {
    options: &'a PgConnectOptions,
    server: &'a Arc<Server>,
    session: Session,
}

impl Pools<'_> {
    /// A database that is written by `writers`, with `readers` connections of its own.
    async fn database(&self, writers: sqlx::PgPool, readers: u32) -> sqlx::Result<Db> {
        let made = Arc::new(AtomicU64::new(0));
        let readers = self.connect(readers, Some(Arc::clone(&made))).await?;
        Ok(Db::Postgres { writers, readers, made, health: Health::of(self.server) })
    }

    /// Connects a pool; `made` counts its connections. A request does not wait long for one; a start waits for
    /// a busy server, which answered a moment ago.
    async fn connect(&self, connections: u32, made: Option<Arc<AtomicU64>>) -> sqlx::Result<sqlx::PgPool> {
        let pool = self.pool(connections, made);
        for _ in 1..CONNECT_TRIES {
            match pool.clone().connect_with(self.options.clone()).await {
                Err(sqlx::Error::PoolTimedOut) => {}
                result => return result,
            }
        }
        pool.connect_with(self.options.clone()).await
    }

    fn pool(&self, connections: u32, made: Option<Arc<AtomicU64>>) -> PoolOptions<sqlx::Postgres> {
        let (session, server) = (self.session, Arc::clone(self.server));
        let pool = pool(connections).after_connect(move |connection: &mut sqlx::PgConnection, _| {
            let (server, made) = (Arc::clone(&server), made.clone());
            Box::pin(async move {
                let begun = session.begin(connection).await;
                match &begun {
                    Ok(()) => {
                        server.accepted();
                        if let Some(made) = made {
                            made.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    Err(error) => server.refused(error),
                }
                begun
            })
        });
        let server = Arc::clone(self.server);
        let pool = pool.before_acquire(move |_, is| {
            let is_good = !server.doubts(is.age);
            Box::pin(async move { Ok(is_good) })
        });
        // A connection that was given up in the middle of a statement first finishes it. Behind a network that
        // swallows everything that takes minutes, with its place in the pool taken: it is cut instead.
        let server = Arc::clone(self.server);
        pool.after_release(move |connection: &mut sqlx::PgConnection, is| {
            let is_good = !server.doubts(is.age);
            Box::pin(async move {
                let answer = tokio::time::timeout(RELEASE_LIMIT, connection.ping()).await;
                answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| is_good)
            })
        })
    }
}

/// How the file is opened, once the log beside it is known to be its own and its schema is current.
async fn sqlite_at(
    path: &Path,
    migrations: &Migrator,
    synchronous: SqliteSynchronous,
) -> anyhow::Result<SqliteConnectOptions> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let may_write = |path: &Path| rustix::fs::access(path, Access::WRITE_OK).is_ok();
    if path.exists() && !(may_write(directory) && may_write(path)) {
        if wal::has_log(path) {
            bail!(
                "{} cannot be written, and part of the database is still in {}: copy both to a place that can",
                path.display(),
                wal::beside(path, "-wal").display()
            );
        }
        // On a read-only medium, to be read alone: SQLite would want to make files beside it.
        let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
        return Ok(options.disable_statement_logging());
    }
    wal::refuse_foreign(path).await?;
    let options = sqlite_options(path).synchronous(synchronous);
    migrate::migrate_sqlite(migrations, &options).await.map_err(DbError::within)?;
    Ok(options)
}

/// For connections that read. Every commit empties their caches, and the system caches the file for all of them:
/// 512 KiB each, a quarter of what SQLite would take, hold the upper pages of its trees.
fn reading(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.read_only(true).pragma("cache_size", "-512")
}

pub(super) fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // What was acknowledged survives a loss of power.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // `hoody admin` is a second writer.
        .busy_timeout(Duration::from_secs(3))
        .disable_statement_logging()
}

async fn database_id(db: &Db, entropy: [u8; 16]) -> Result<Vec<u8>, DbError> {
    const INSERT: &str =
        "INSERT INTO meta (name, value) VALUES ('database_id', $1) ON CONFLICT (name) DO NOTHING";
    const FIND: &str = "SELECT value FROM meta WHERE name = 'database_id'";
    if let Some(row) = On::from(db).find(FIND, args![]).await? {
        return row.get("value");
    }
    let mut tx = db.begin().await?;
    tx.execute(INSERT, vec![Arg::from(&entropy[..])]).await?;
    let id = On::from(&mut tx).one(FIND, args![]).await?.get("value")?;
    tx.commit().await?;
    Ok(id)
}

pub(super) fn sqlite_migrator() -> Migrator {
    migrator([
        (1, "start", include_str!("../../migrations/sqlite/0001_start.sql")),
        (2, "vault", include_str!("../../migrations/sqlite/0002_vault.sql")),
        (3, "two_factor", include_str!("../../migrations/sqlite/0003_two_factor.sql")),
        (4, "nodes", include_str!("../../migrations/sqlite/0004_nodes.sql")),
        (5, "mail", include_str!("../../migrations/sqlite/0005_mail.sql")),
        (6, "sign_in", include_str!("../../migrations/sqlite/0006_sign_in.sql")),
        (7, "limits", include_str!("../../migrations/sqlite/0007_limits.sql")),
        (8, "delegation", include_str!("../../migrations/sqlite/0008_delegation.sql")),
        (9, "keys", include_str!("../../migrations/sqlite/0009_keys.sql")),
        (11, "events", include_str!("../../migrations/sqlite/0011_events.sql")),
        (12, "audit", include_str!("../../migrations/sqlite/0012_audit.sql")),
        (13, "webhooks", include_str!("../../migrations/sqlite/0013_webhooks.sql")),
        (14, "alerts", include_str!("../../migrations/sqlite/0014_alerts.sql")),
        (16, "confirmed polls", include_str!("../../migrations/sqlite/0016_confirmed_polls.sql")),
        (17, "own permissions", include_str!("../../migrations/sqlite/0017_own_permissions.sql")),
        (18, "gates", include_str!("../../migrations/sqlite/0018_gates.sql")),
        (19, "external ids", include_str!("../../migrations/sqlite/0019_external_ids.sql")),
        (20, "containers", include_str!("../../migrations/sqlite/0020_containers.sql")),
        (22, "console", include_str!("../../migrations/sqlite/0022_console.sql")),
    ])
}

fn postgres_migrator() -> Migrator {
    migrator([
        (1, "start", include_str!("../../migrations/postgres/0001_start.sql")),
        (2, "vault", include_str!("../../migrations/postgres/0002_vault.sql")),
        (3, "two_factor", include_str!("../../migrations/postgres/0003_two_factor.sql")),
        (4, "nodes", include_str!("../../migrations/postgres/0004_nodes.sql")),
        (5, "mail", include_str!("../../migrations/postgres/0005_mail.sql")),
        (6, "sign_in", include_str!("../../migrations/postgres/0006_sign_in.sql")),
        (7, "limits", include_str!("../../migrations/postgres/0007_limits.sql")),
        (8, "delegation", include_str!("../../migrations/postgres/0008_delegation.sql")),
        (9, "keys", include_str!("../../migrations/postgres/0009_keys.sql")),
        (10, "activity", include_str!("../../migrations/postgres/0010_activity.sql")),
        (11, "events", include_str!("../../migrations/postgres/0011_events.sql")),
        (12, "audit", include_str!("../../migrations/postgres/0012_audit.sql")),
        (13, "webhooks", include_str!("../../migrations/postgres/0013_webhooks.sql")),
        (14, "alerts", include_str!("../../migrations/postgres/0014_alerts.sql")),
        (15, "activity hours", include_str!("../../migrations/postgres/0015_activity_hours.sql")),
        (16, "confirmed polls", include_str!("../../migrations/postgres/0016_confirmed_polls.sql")),
        (17, "own permissions", include_str!("../../migrations/postgres/0017_own_permissions.sql")),
        (18, "gates", include_str!("../../migrations/postgres/0018_gates.sql")),
        (19, "external ids", include_str!("../../migrations/postgres/0019_external_ids.sql")),
        (20, "containers", include_str!("../../migrations/postgres/0020_containers.sql")),
        (22, "console", include_str!("../../migrations/postgres/0022_console.sql")),
    ])
}

/// What the file of the request log has.
fn activity_migrator() -> Migrator {
    migrator([
        (10, "activity", include_str!("../../migrations/sqlite/0010_activity.sql")),
        (15, "activity hours", include_str!("../../migrations/sqlite/0015_activity_hours.sql")),
    ])
}

fn migrator<const N: usize>(files: [(i64, &'static str, &'static str); N]) -> Migrator {
    let migrations = files.into_iter().map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, AssertSqlSafe(sql).into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Merging lists of lines easily leaves one twice.
    #[test]
    fn each_migration_comes_once_and_in_order() {
        for migrator in [super::sqlite_migrator(), super::postgres_migrator()] {
            let versions: Vec<i64> = migrator.iter().map(|migration| migration.version).collect();
            assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
        }
    }

    /// The schema of PostgreSQL is SQLite's with its own names of types, file by file.
    #[test]
    fn both_engines_have_the_same_schema() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let names = |engine: &str| {
            let files = std::fs::read_dir(folder.join(engine)).unwrap();
            let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names("sqlite"), names("postgres"));
        for name in names("sqlite") {
            let read = |engine: &str| std::fs::read_to_string(folder.join(engine).join(&name)).unwrap();
            let words = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
            let translated =
                read("sqlite").replace(" BLOB", " BYTEA").replace(" TEXT", " TEXT COLLATE \"C\"");
            assert_eq!(words(&read("postgres")), words(&translated), "{name:?}");
        }
    }
}
