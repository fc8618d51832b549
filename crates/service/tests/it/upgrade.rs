//! Upgrading: a database as an earlier version left it, one that a later version has been at, and several
//! nodes that start at once.

use std::collections::BTreeSet;
use std::path::Path;

use hoody_service::testing::{Service, make_schema, schema_versions};
use http::StatusCode;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use crate::support::{Client, PASSWORD, TestApp, on_both};
use crate::two_factor::protect;

/// The names of what a database has: tables, their columns, their indexes.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    columns: BTreeSet<(String, String)>,
    indexes: BTreeSet<(String, String)>,
}

impl Shape {
    async fn of(url: &str) -> Self {
        let columns = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'";
        let indexes = "SELECT tbl_name, name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
        let postgres_columns = "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'";
        let postgres_indexes = "SELECT t.relname::text, i.relname::text FROM pg_index x \
            JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid \
            WHERE t.relnamespace = 'public'::regnamespace \
            AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.oid)";
        let (columns, indexes) = match is_postgres(url) {
            true => (pairs(url, postgres_columns).await, pairs(url, postgres_indexes).await),
            false => (pairs(url, columns).await, pairs(url, indexes).await),
        };
        Self { columns, indexes }
    }

    /// As it was when this migration was the last, without the request log, which makes tables as it goes.
    async fn at(version: i64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reference.db");
        make_schema(&path, version).await;
        Self::of(&format!("sqlite:{}", path.display())).await
    }

    fn has_table(&self, table: &str) -> bool {
        self.columns.iter().any(|(known, _)| known == table)
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres")
}

async fn pairs(url: &str, sql: &'static str) -> BTreeSet<(String, String)> {
    let rows: Vec<(String, String)> = if is_postgres(url) {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
    } else {
        let mut connection = sqlite(url).connect().await.unwrap();
        sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
    };
    rows.into_iter().filter(|(table, _)| !table.starts_with("_sqlx")).collect()
}

fn sqlite(url: &str) -> SqliteConnectOptions {
    let path = Path::new(url.strip_prefix("sqlite:").unwrap());
    SqliteConnectOptions::new().filename(path).foreign_keys(false)
}

/// Runs a statement on a database, beside whoever serves it.
pub(crate) async fn execute(url: &str, sql: String) {
    let text = AssertSqlSafe(sql.clone());
    let done = if is_postgres(url) {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(text).execute(&mut connection).await.map(drop)
    } else {
        let mut connection = sqlite(url).connect().await.unwrap();
        sqlx::raw_sql(text).execute(&mut connection).await.map(drop)
    };
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Takes away whatever came after `version`, rows and all: the database is as that version left it, where
/// the rows that are in it have kept their form. 0 leaves an empty database.
async fn take_back(app: &TestApp, version: i64) {
    let (now, then) = (Shape::of(&app.url).await, Shape::at(version).await);
    let has_log = version >= 10;
    let has_hours = version >= 15;
    let is_left = |table: &str| {
        let is_of_log = has_log && table.starts_with("activity") && (has_hours || table != "activity_hours");
        then.has_table(table) || is_of_log
    };
    for (_, index) in now.indexes.iter().filter(|index| is_left(&index.0) && !then.indexes.contains(index)) {
        if !index.starts_with("activity") {
            execute(&app.url, format!("DROP INDEX {index}")).await;
        }
    }
    let tables: BTreeSet<&String> = now.columns.iter().map(|(table, _)| table).collect();
    for table in tables.into_iter().filter(|table| !is_left(table)) {
        let cascade = if is_postgres(&app.url) { " CASCADE" } else { "" };
        execute(&app.url, format!("DROP TABLE {table}{cascade}")).await;
    }
    for (table, column) in now.columns.iter().filter(|(table, _)| then.has_table(table)) {
        if !then.columns.contains(&(table.clone(), column.clone())) {
            execute(&app.url, format!("ALTER TABLE {table} DROP COLUMN {column}")).await;
        }
    }
    if !then.has_table("audit") {
        // A server that had no audit log kept no checkpoint of one.
        let _ = std::fs::remove_file(app.directory.path().join("audit-checkpoint.json"));
    }
    let steps = match version {
        0 => "DROP TABLE _sqlx_migrations".to_owned(),
        _ => format!("DELETE FROM _sqlx_migrations WHERE version > {version}"),
    };
    execute(&app.url, steps).await;
    if !is_postgres(&app.url) && has_log && !has_hours {
        let log = log_of(app);
        execute(&log, "DROP TABLE activity_hours".to_owned()).await;
        execute(&log, format!("DELETE FROM _sqlx_migrations WHERE version > {version}")).await;
    }
    if !is_postgres(&app.url) && !has_log {
        for name in ["activity.db", "activity.db-wal", "activity.db-shm"] {
            let _ = std::fs::remove_file(app.directory.path().join(name));
        }
    }
}

/// Where the request log is.
pub(crate) fn log_of(app: &TestApp) -> String {
    match is_postgres(&app.url) {
        true => app.url.clone(),
        false => format!("sqlite:{}", app.directory.path().join("activity.db").display()),
    }
}

/// Another process that starts on the database now.
async fn start(app: &TestApp) -> Service {
    Service::open(&app.url, app.directory.path(), "", app.service.now()).await
}

/// As if a migration of a later version had been applied.
const LATER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
    SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";

async fn refusal(app: &TestApp) -> Option<String> {
    Service::refusal_to_open(&app.url, app.directory.path(), app.service.now()).await
}

on_both! {
    async fn a_database_of_every_earlier_version_is_brought_up_to_date_with_what_is_in_it(app: TestApp) {
        let ada = app.user("ada").await;
        protect(&app, &app.user("eve").await).await;
        let (mut access, mut refresh) = app.sign_in("ada").await;
        let token = ada.mint(json!({
            "alias": "ci", "permissions": { "projects": { "read": true } }, "ip_whitelist": ["203.0.113.0/24"],
        })).await;
        ada.post("/api/v1/projects", json!({ "alias": "web" })).await.expect(StatusCode::CREATED);
        ada.put("/api/v1/vault/keys/k", json!({ "value": "kept" })).await.expect(StatusCode::CREATED);
        app.service.flush_usage().await;
        app.service.flush_activity().await;
        let mut rows = app.service.number("SELECT COUNT(*) AS n FROM feed").await;
        let shape = Shape::of(&app.url).await;

        let versions = schema_versions();
        for version in versions.iter().rev().skip(1).copied() {
            take_back(&app, version).await;
            let node = start(&app).await;
            let now = Shape::of(&app.url).await;
            let missing: Vec<_> = shape.columns.difference(&now.columns).chain(shape.indexes.difference(&now.indexes))
                .filter(|(table, _)| !table.starts_with("activity")).collect();
            assert!(missing.is_empty(), "{version}: {missing:?}");

            // Everybody gets in as before.
            let token = token.client.at(&node);
            token.check("projects.read").await.expect(StatusCode::NO_CONTENT);
            token.check("projects.create").await.refused(403, "INSUFFICIENT_PERMISSIONS");
            token.from("192.0.2.1").check("").await.refused(403, "IP_NOT_WHITELISTED");
            let session = Client::of(&node, Some(&access));
            session.check("").await.expect(StatusCode::NO_CONTENT);
            let body = json!({ "refreshToken": refresh });
            let turned = Client::of(&node, None).post("/api/v1/users/auth/refresh", body).await;
            turned.expect(StatusCode::OK);
            access = turned.data()["token"].as_str().unwrap().to_owned();
            refresh = turned.data()["refreshToken"].as_str().unwrap().to_owned();
            let login = async |name: &str| {
                let body = json!({ "username": name, "password": PASSWORD });
                Client::of(&node, None).post("/api/v1/users/auth/login", body).await
            };
            login("ada").await.expect(StatusCode::OK);
            assert_eq!(login("eve").await.data()["requires_2fa"] == true, version >= 3, "{version}");
            let projects = session.get("/api/v1/projects").await;
            assert_eq!(projects.data()["projects"][0]["alias"], "web", "{version} {}", projects.text);
            let kept = session.get("/api/v1/vault/keys/k").await;
            assert_eq!(kept.status == StatusCode::OK, version >= 2, "{version} {}", kept.text);

            // What is new reads what was there, and everything can be written.
            let minted = session.mint(json!({ "alias": format!("after {version}") })).await;
            minted.client.check("projects.read").await.expect(StatusCode::NO_CONTENT);
            while node.project().await.is_some() {}
            let made = session.get("/api/v1/events?event_type=auth.token.created&limit=500").await;
            let made = made.data()["events"].as_array().unwrap().len();
            assert!(made >= 2, "{version}: {made} events");
            while node.seal().await > 0 {}
            let (sealed, problems) = node.verify_audit(None).await;
            assert_eq!(problems, Vec::<String>::new(), "{version}");
            let told = node.number("SELECT COUNT(*) AS n FROM feed").await;
            assert!(sealed == told && told > rows, "{version}: {sealed} {told} {rows}");
            rows = told;
            assert!(node.flush_activity().await, "{version}");
            node.leave().await;
            node.close().await;
            // The next start finds nothing to do.
            start(&app).await.close().await;
        }
    }

    async fn several_nodes_that_start_at_once_bring_it_up_to_date_once(app: TestApp) {
        let versions = schema_versions();
        let last = versions[versions.len() - 1];
        for version in [0, 0, 1, versions[versions.len() - 2], last] {
            take_back(&app, version).await;
            let starting = (0..4).map(|_| {
                let (url, directory, now) = (app.url.clone(), app.directory.path().to_owned(), app.service.now());
                tokio::spawn(async move { Service::open(&url, &directory, "", now).await })
            });
            let mut nodes = Vec::new();
            for node in starting.collect::<Vec<_>>() {
                nodes.push(node.await.unwrap_or_else(|error| panic!("from {version}: {error}")));
            }
            let name = format!("made-at-{version}-{}", nodes[0].number("SELECT COUNT(*) AS n FROM users").await);
            nodes[0].create_user(&name, None, PASSWORD).await;
            for node in &nodes {
                let body = json!({ "username": name, "password": PASSWORD });
                Client::of(node, None).post("/api/v1/users/auth/login", body).await.expect(StatusCode::OK);
                node.close().await;
            }
        }
    }

    async fn a_schema_that_is_newer_or_changed_is_refused_in_words(app: TestApp) {
        assert_eq!(refusal(&app).await, None);
        execute(&app.url, LATER.to_owned()).await;
        let told = refusal(&app).await.unwrap();
        assert!(told.contains("newer version of hoody (migration 9999"), "{told}");
        assert!(told.contains(env!("CARGO_PKG_VERSION")) && told.contains("restore the backup"), "{told}");
        execute(&app.url, "DELETE FROM _sqlx_migrations WHERE version = 9999".to_owned()).await;
        assert_eq!(refusal(&app).await, None);
        execute(&app.url, "UPDATE _sqlx_migrations SET checksum = \
            (SELECT checksum FROM _sqlx_migrations WHERE version = 1) WHERE version = 2".to_owned()).await;
        let told = refusal(&app).await.unwrap();
        assert!(told.contains("another build of hoody: its migration 2"), "{told}");
    }

    async fn a_node_that_runs_goes_on_when_a_newer_one_has_added_to_the_schema(app: TestApp) {
        let ada = app.user("ada").await;
        let token = ada.mint(json!({})).await;
        let (_, refresh) = app.sign_in("ada").await;
        // What a later version may do: a column with a default or none, a table, an index.
        for added in [
            "ALTER TABLE tokens ADD COLUMN of_later TEXT",
            "ALTER TABLE users ADD COLUMN of_later BIGINT NOT NULL DEFAULT 7",
            "ALTER TABLE sessions ADD COLUMN of_later BOOLEAN",
            "ALTER TABLE feed ADD COLUMN of_later TEXT",
            "CREATE TABLE of_later (id BIGINT NOT NULL PRIMARY KEY)",
            "CREATE INDEX of_later_by_alias ON tokens (alias)",
        ] {
            execute(&app.url, added.to_owned()).await;
        }
        execute(&app.url, LATER.to_owned()).await;
        app.later(1_000).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        let node_client = app.login("ada").await;
        let minted = node_client.mint(json!({ "alias": "made by the older" })).await;
        minted.client.check("projects.read").await.expect(StatusCode::NO_CONTENT);
        let body = json!({ "refreshToken": refresh });
        app.anon().post("/api/v1/users/auth/refresh", body).await.expect(StatusCode::OK);
        ada.delete(&format!("/api/v1/auth/tokens/{}", token.id)).await.expect(StatusCode::OK);
        token.client.check("").await.refused(401, "INVALID_TOKEN");
        while app.service.seal().await > 0 {}
        assert_eq!(app.service.verify_audit(None).await.1, Vec::<String>::new());
    }
}
