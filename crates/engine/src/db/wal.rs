//! Whether a write-ahead log belongs to the SQLite file beside it.
//!
//! A crash leaves `-wal` beside the file, with changes that were acknowledged; a stop in order leaves none. SQLite
//! applies whatever log it finds, also to a backup that was put in the place of the file: the restore is undone, or
//! the database is damaged. SQLite has nothing by which to tell the two, so each start of a server writes a random
//! number into the file's header (`PRAGMA user_version`), and into a small file beside it, `hoody.db-mark`, what the
//! header must have while there is a log:
//!
//! - that number, or, until it is taken into the file, the one before;
//! - a schema cookie that is no smaller than at that start, and a change counter above 1.
//!
//! A stop in order removes it with the log.
//!
//! A backup of an earlier start has another number. One of this start was written by `.backup` or `VACUUM INTO`,
//! which begin cookie or counter anew.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use crate::files::write_whole;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How often the two are compared before they are taken to differ: a running server may write the header.
const LOOKS: usize = 3;
const PAUSE: Duration = Duration::from_millis(50);
/// Up to this size, in bytes, a file is checked as a whole at start. That takes a fraction of a second.
const CHECKED: i64 = 64 << 20;

/// Of the file with the mark.
const ENDING: &str = "-mark";
const FILE: &str = "SELECT file FROM pragma_database_list WHERE name = 'main'";

/// What the header of the file says, the log left aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    number: i64,
    cookie: i64,
    changes: i64,
}

/// What the header must say while there is a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// One of these.
    numbers: Vec<i64>,
    /// At least this.
    cookie: i64,
}

impl Header {
    /// `None` for what is no database.
    fn read(path: &Path) -> std::io::Result<Option<Self>> {
        let mut bytes = [0; 100];
        match std::fs::File::open(path)?.read_exact(&mut bytes) {
            Ok(()) => Ok(Self::of(&bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn of(bytes: &[u8; 100]) -> Option<Self> {
        let number = |at: usize| {
            let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
            Some(i64::from(u32::from_be_bytes(bytes)))
        };
        if bytes.get(..MAGIC.len())? != MAGIC {
            return None;
        }
        Some(Self { changes: number(24)?, cookie: number(40)?, number: number(60)? })
    }

    /// Whether a file with this header may be the one that was marked.
    fn fits(&self, mark: &Mark) -> bool {
        mark.numbers.contains(&self.number) && self.cookie >= mark.cookie && self.changes > 1
    }
}

impl Mark {
    /// `None` where no server of a version that marks has run, or it cannot be read.
    fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(beside(path, ENDING)).ok()?).ok()
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let file = beside(path, ENDING);
        let written = write_whole(&file, &serde_json::to_vec(self)?);
        written.with_context(|| format!("{} cannot be written", file.display()))
    }
}

/// The file beside `path` with this ending.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Whether there is a log with something in it.
pub(super) fn has_log(path: &Path) -> bool {
    beside(path, "-wal").metadata().is_ok_and(|file| file.len() > 0)
}

/// Compares the file with its mark, if there is a log beside it. Nothing is changed.
///
/// # Errors
/// When the log is another file's, with what to do.
pub(super) async fn refuse_foreign(path: &Path) -> anyhow::Result<()> {
    if !has_log(path) || !path.exists() {
        return Ok(());
    }
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let Some(mark) = Mark::read(path) else { return Ok(()) };
        let header = Header::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        if header.is_some_and(|header| header.fits(&mark)) {
            return Ok(());
        }
    }
    let (file, log, index) = (path.display(), beside(path, "-wal"), beside(path, "-shm"));
    bail!(
        "{log} does not belong to {file}: the database was replaced, and the write-ahead log of the former one is \
         still beside it. If you restored a backup, remove {log} and {index} and start again. If you did not, put \
         back the database that the log belongs to: the log has its last changes",
        log = log.display(),
        index = index.display(),
    )
}

/// The number that a pragma says, as the header has it.
async fn pragma(connection: &mut SqliteConnection, sql: &'static str) -> Result<i64, sqlx::Error> {
    let value: i32 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(i64::from(value.cast_unsigned()))
}

/// Whether everything in the log could be taken into the file.
async fn take_in(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await?;
    Ok(row.try_get::<i32, _>(0)? == 0)
}

/// What a server does at its start: checks the file and marks it with `number`; where it is. Where somebody else
/// is at work the mark stays as it was.
///
/// # Errors
/// When the file is damaged, or cannot be written.
pub(super) async fn mark(connection: &mut SqliteConnection, number: u32) -> anyhow::Result<PathBuf> {
    check(connection).await?;
    let file: String = sqlx::query_scalar(FILE).fetch_one(&mut *connection).await?;
    let path = PathBuf::from(file);
    let before = pragma(connection, "PRAGMA user_version").await?;
    if !take_in(connection).await? {
        return Ok(path);
    }
    // Above zero, which every file has that was never marked.
    let number = (number & 0x7fff_ffff) | 1;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    if pragma(&mut tx, "PRAGMA user_version").await? != before {
        return Ok(path);
    }
    let cookie = pragma(&mut tx, "PRAGMA schema_version").await?;
    let mut mark = Mark { numbers: vec![before, i64::from(number)], cookie };
    mark.write(&path)?;
    sqlx::query(AssertSqlSafe(format!("PRAGMA user_version = {number}"))).execute(&mut *tx).await?;
    tx.commit().await?;
    if take_in(connection).await? {
        mark.numbers = vec![i64::from(number)];
        mark.write(&path)?;
    }
    Ok(path)
}

/// What a server does at its end, when it has closed the file: a mark without a log is of no use.
pub fn unmark(path: &Path) {
    if !has_log(path) {
        let _ = std::fs::remove_file(beside(path, ENDING));
    }
}

async fn check(connection: &mut SqliteConnection) -> anyhow::Result<()> {
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *connection).await?;
    let size: i64 = sqlx::query_scalar("PRAGMA page_size").fetch_one(&mut *connection).await?;
    if pages.saturating_mul(size) > CHECKED {
        return Ok(());
    }
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await?;
    if found != "ok" {
        bail!("it is damaged ({found}): restore a backup");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(number: i64, cookie: i64, changes: i64) -> Header {
        Header { number, cookie, changes }
    }

    #[test]
    fn a_log_fits_the_file_that_was_marked_and_no_backup() {
        let mark = Mark { numbers: vec![9], cookie: 100 };
        for fitting in [header(9, 100, 7), header(9, 105, 2)] {
            assert!(fitting.fits(&mark), "{fitting:?}");
        }
        for foreign in [
            header(8, 100, 7), // a backup of another start
            header(9, 1, 1),   // `.backup` of this one
            header(9, 2, 2),   // into a file that was there
            header(9, 101, 1), // `VACUUM INTO`
            header(0, 100, 7),
        ] {
            assert!(!foreign.fits(&mark), "{foreign:?}");
        }
        // The last start did not come to take its number into the file.
        let begun = Mark { numbers: vec![4, 9], cookie: 100 };
        assert!(header(4, 100, 5).fits(&begun) && header(9, 100, 5).fits(&begun));
    }

    #[test]
    fn what_is_no_database_has_no_header() {
        assert_eq!(Header::of(&[0x5a; 100]), None);
    }
}
