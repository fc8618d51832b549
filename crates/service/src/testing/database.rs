//! The database behind the service's back.

use std::sync::atomic::{AtomicU32, Ordering};

use hoody_engine::db::{On, args};
use sqlx::{Connection as _, PgConnection};

use super::Service;

impl Service {
    /// Runs a statement that changes something behind everybody's back: no feed row, nothing forgotten.
    ///
    /// # Panics
    /// When it fails.
    pub async fn tamper(&self, sql: &'static str) -> u64 {
        let mut tx = self.engine().db.begin().await.expect("a transaction");
        let changed = tx.execute(sql, args![]).await.expect("a statement");
        tx.commit().await.expect("a commit");
        changed
    }

    /// Runs these statements in one transaction; why that failed, if it did.
    ///
    /// # Errors
    /// What a statement or COMMIT failed with.
    pub async fn try_tamper(&self, statements: &[&'static str]) -> Result<(), String> {
        let work = async {
            let mut tx = self.engine().db.begin().await?;
            for sql in statements {
                tx.execute(sql, args![]).await?;
            }
            tx.commit().await
        };
        work.await.map_err(|error| format!("{error:?}"))
    }

    /// The number in the column `n` of the one row that `sql` gives.
    ///
    /// # Panics
    /// When it fails.
    pub async fn number(&self, sql: &'static str) -> i64 {
        On::from(&self.engine().db).one(sql, args![]).await.expect("a row").get("n").expect("a number")
    }

    /// The text in the column `t` of each row that `sql` gives.
    ///
    /// # Panics
    /// When it fails.
    pub async fn texts(&self, sql: &'static str) -> Vec<String> {
        let rows = On::from(&self.engine().db).list(sql, args![]).await.expect("rows");
        rows.iter().map(|row| row.get("t").expect("a text")).collect()
    }

    /// Closes every connection to the database: it cannot be reached any more.
    pub async fn cut_database(&self) {
        self.nouns.close().await;
    }
}

/// The URL of an empty database of its own, named after `kind`, on the server of `HOODY_TEST_POSTGRES`; `None` where
/// there is no server.
///
/// # Panics
/// In CI, where there must be one; when the server does not make it.
pub async fn new_postgres(kind: &str) -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let Ok(server) = std::env::var("HOODY_TEST_POSTGRES") else {
        assert!(std::env::var_os("CI").is_none(), "CI must run the tests on PostgreSQL: use ./test");
        return None;
    };
    let name = format!("{kind}{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&server).await.expect("a server of PostgreSQL");
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&mut admin).await.expect("an empty database");
    admin.close().await.expect("an orderly end");
    Some(server.replacen("/postgres?", &format!("/{name}?"), 1))
}
