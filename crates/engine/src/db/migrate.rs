//! The schema: numbered migrations, each applied once, by one process at a time, and never taken back.
//!
//! A node that runs goes on while a newer one brings the database up to date: a migration only adds what
//! older versions do not read. One that starts on a schema newer than its own refuses: it cannot know what
//! rows mean that it was not written for.

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};

use super::open::{sqlite_migrator, sqlite_options};

/// How long another process's migrations are waited for on SQLite; on PostgreSQL there is no end to it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Applies what is missing, in one transaction that locks the file first: `hoody admin` may start at the same
/// time.
///
/// # Errors
/// When the schema is another version's, in words for the operator; when one fails, and then nothing of it
/// is left.
pub(super) async fn migrate_sqlite(
    migrations: &Migrator,
    options: &SqliteConnectOptions,
) -> anyhow::Result<()> {
    let mut connection = options.clone().busy_timeout(PATIENCE).connect().await?;
    if !is_current(migrations, &mut connection).await? {
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        migrations.run_direct(None, &mut *tx, false).await.map_err(|error| refusal(migrations, error))?;
        tx.commit().await?;
    }
    Ok(connection.close().await?)
}

/// The numbers of the migrations of a SQLite database, in order.
pub fn versions() -> Vec<i64> {
    sqlite_migrator().iter().map(|migration| migration.version).collect()
}

/// For tests: the schema as it was when `version` was the last, in a new SQLite file.
pub async fn migrate_sqlite_to(path: &Path, version: i64) -> anyhow::Result<()> {
    let mut connection = sqlite_options(path).connect().await?;
    sqlite_migrator().run_to(version, &mut connection).await?;
    Ok(connection.close().await?)
}

/// Applies what is missing, under a lock of the server.
///
/// # Errors
/// As [`migrate_sqlite`], but the migrations before the one that failed are done.
pub(super) async fn migrate_postgres(
    migrations: &Migrator,
    connection: &mut PgConnection,
) -> anyhow::Result<()> {
    migrations.run_direct(None, connection, false).await.map_err(|error| refusal(migrations, error))
}

/// Whether there is nothing to do, so that a start need not wait for whoever writes.
async fn is_current(migrations: &Migrator, connection: &mut SqliteConnection) -> anyhow::Result<bool> {
    const IS_THERE: &str = "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
    if sqlx::query_scalar::<_, i64>(IS_THERE).fetch_one(&mut *connection).await? == 0 {
        return Ok(false);
    }
    let applied = connection.list_applied_migrations(&migrations.table_name).await?;
    let mut applied: Vec<_> = applied.iter().map(|one| (one.version, &one.checksum)).collect();
    applied.sort_unstable();
    Ok(applied.into_iter().eq(migrations.iter().map(|one| (one.version, &one.checksum))))
}

/// What the operator can do about it.
fn refusal(migrations: &Migrator, error: MigrateError) -> anyhow::Error {
    let newest = migrations.iter().map(|migration| migration.version).max().unwrap_or_default();
    match error {
        MigrateError::VersionMissing(version) => anyhow!(
            "the database has the schema of a newer version of hoody (migration {version}; this one, {}, knows {newest}): \
             start that version, or restore the backup from before it",
            env!("CARGO_PKG_VERSION")
        ),
        MigrateError::VersionMismatch(version) => anyhow!(
            "the database was made by another build of hoody: its migration {version} is not the one of {}",
            env!("CARGO_PKG_VERSION")
        ),
        error => anyhow::Error::new(error).context("the schema cannot be brought up to date"),
    }
}
