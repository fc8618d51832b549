//! How long and how much is measured, and what all parts ask for.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The question that is asked most.
pub const CHECK: &str = "GET /api/v1/auth/check?permission=projects.read";
/// How many connections ask at once.
pub const CONNECTIONS: usize = 64;

/// How long and how much.
pub struct Plan {
    pub rounds: usize,
    pub seconds: f64,
    pub peers: Option<PathBuf>,
    /// A program of another version, for the hot path.
    pub against: Option<PathBuf>,
    /// A server for the rate of issuing and the request log; `postgres://…`, databases are made on it.
    pub postgres: Option<String>,
    /// Where databases with many rows are kept, to be used again.
    pub kept: PathBuf,
    /// How long the request log is filled.
    pub sustained: u64,
    /// How many rows of the request log are asked, on SQLite and on PostgreSQL.
    pub rows: [u64; 2],
}

/// `what` with the credentials in a file.
pub fn load(target: &str, credentials: &Path, seconds: f64) -> Value {
    json!({ "target": target, "credentials": credentials, "connections": CONNECTIONS, "seconds": seconds })
}

/// A directory of its own, removed at the end.
pub fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}
