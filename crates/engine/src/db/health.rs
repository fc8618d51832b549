//! What the last statements told of the database, for `/readyz`: whether it takes writes, and whether its
//! file is whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::DbError;
use super::server::Server;

/// Shared by everything that uses the same connections.
#[derive(Debug, Default)]
pub struct Health {
    refuses_writes: AtomicBool,
    is_damaged: AtomicBool,
    server: Arc<Server>,
}

impl Health {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Of a database on this server of PostgreSQL.
    pub(super) fn of(server: &Arc<Server>) -> Arc<Self> {
        Arc::new(Self { server: Arc::clone(server), ..Self::default() })
    }

    /// What is known of the server.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Whether the last transaction that ended could be committed.
    pub fn can_write(&self) -> bool {
        !self.refuses_writes.load(Ordering::Relaxed)
    }

    /// Whether no statement ever found the database damaged. A restart is what makes it true again.
    pub fn is_whole(&self) -> bool {
        !self.is_damaged.load(Ordering::Relaxed)
    }

    /// A transaction was committed.
    pub(super) fn wrote(&self) {
        if self.refuses_writes.load(Ordering::Relaxed) {
            self.refuses_writes.store(false, Ordering::Relaxed);
            tracing::info!("the database takes writes again");
        }
    }

    /// A transaction failed.
    pub(super) fn note_write(&self, error: &DbError) {
        self.note_read(error);
        if error.is_of_database() && !self.refuses_writes.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the database takes no writes");
        }
    }

    /// A statement failed.
    pub(super) fn note_read(&self, error: &DbError) {
        if let DbError::Unavailable(error) = error {
            self.server.note(error);
        }
        if matches!(error, DbError::Damaged(_)) && !self.is_damaged.swap(true, Ordering::Relaxed) {
            tracing::error!(
                %error,
                "the database file is damaged: stop the server and restore a backup"
            );
        }
    }
}
