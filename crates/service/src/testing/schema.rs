//! The schema as earlier versions had it.

use std::path::Path;

use hoody_engine::db;

/// The numbers of the migrations, in order; the request log's is its own.
pub fn schema_versions() -> Vec<i64> {
    db::versions()
}

/// Makes a SQLite file with the schema as it was when migration `version` was the last; 0 for none.
///
/// # Panics
/// When it cannot be made.
pub async fn make_schema(path: &Path, version: i64) {
    db::migrate_sqlite_to(path, version).await.expect("a schema");
}
