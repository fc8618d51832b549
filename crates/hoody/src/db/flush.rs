//! Waiting for PostgreSQL's disk, many at a time.
//!
//! A COMMIT that waits for the disk holds its locks meanwhile; since every mutation locks the feed's head,
//! all would wait for the disk one after the other. They commit without waiting, and are answered after a
//! small transaction of its own that began later has waited: what is durable is a prefix of the
//! write-ahead log. One such transaction serves all who came before it.

use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{Pool, Postgres};
use tokio::sync::Mutex;

use super::{DbError, past_dead_connections};

/// Writes a record, so that its COMMIT has something to wait for. It needs no privilege and changes nothing.
const FLUSH: &str = "SELECT pg_logical_emit_message(true, 'hoody', '')";

/// One wait for the disk at a time; the next serves everybody who came meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Flusher {
    begun: AtomicU64,
    /// The last one that ended, and whether it failed.
    ended: Mutex<(u64, bool)>,
}

impl Flusher {
    /// Returns when everything that was committed before the call is durable.
    pub(super) async fn flush(&self, pool: &Pool<Postgres>) -> Result<(), DbError> {
        // One that begins from now on will do.
        let wanted = self.begun.load(Ordering::SeqCst) + 1;
        let mut ended = self.ended.lock().await;
        if ended.0 < wanted {
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let flushed = past_dead_connections(pool, || sqlx::query(FLUSH).execute(pool)).await;
            *ended = (number, flushed.is_err());
            flushed?;
        }
        if ended.1 { Err(DbError::Unavailable(sqlx::Error::PoolTimedOut)) } else { Ok(()) }
    }
}
