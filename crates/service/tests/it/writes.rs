//! Transactions that cannot be committed: what is told, and that nothing stays behind that keeps the next ones
//! from it.

use http::StatusCode;
use serde_json::json;

use crate::support::{TestApp, on_both};

const PROJECTS: &str = "/api/v1/projects";
const COUNT: &str = "SELECT COUNT(*) AS n FROM projects WHERE alias LIKE 'late%'";

/// On PostgreSQL: COMMIT of a transaction that made a project does this.
const AT_COMMIT: [&str; 2] = [
    "CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     IF (SELECT value FROM what_to_do) = 'full' THEN \
     RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END IF; \
     PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON projects DEFERRABLE INITIALLY DEFERRED \
     FOR EACH ROW EXECUTE FUNCTION at_commit()",
];

on_both! {
    async fn a_commit_that_fails_leaves_nothing_that_stops_the_next(app: TestApp) {
        let ada = app.user("ada").await;
        let tables = [
            "CREATE TABLE parents (id BIGINT PRIMARY KEY)",
            "CREATE TABLE children (parent BIGINT REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
        ];
        app.service.try_tamper(&tables).await.unwrap();
        for _ in 0..20 {
            // Each connection of the pool, where there are several.
            let failed = app.service.try_tamper(&["INSERT INTO children VALUES (1)"]).await;
            assert!(failed.as_ref().is_err_and(|error| error.starts_with("Fault")), "{failed:?}");
        }
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM children").await, 0);
        ada.post(PROJECTS, json!({ "alias": "next" })).await.expect(StatusCode::CREATED);
    }

    async fn after_a_statement_that_failed_nothing_more_is_done(app: TestApp) {
        let ada = app.user("ada").await;
        let failed = app.service.try_tamper(&["CREATE TABLE once (id BIGINT)", "NO SQL"]).await;
        assert!(failed.is_err());
        app.service.try_tamper(&["CREATE TABLE once (id BIGINT)"]).await.unwrap();
        ada.post(PROJECTS, json!({ "alias": "next" })).await.expect(StatusCode::CREATED);
    }
}

/// SQLite rolls back by itself when the disk is full. `max_page_count` is a disk of that size, of one connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_503_while_it_is_full_and_nothing_afterwards() {
    let app = TestApp::sqlite().await;
    let ada = app.user("ada").await;
    let token = ada.mint(json!({})).await;
    let is_ready = async || app.anon().get("/readyz").await.status == StatusCode::OK;
    app.later(0).await;
    assert!(is_ready().await);
    for round in 0..3 {
        // It is not made smaller than the database is.
        app.service.try_tamper(&["PRAGMA max_page_count = 1"]).await.unwrap();
        let mut made = 0;
        let refused = loop {
            let reply = ada.post(PROJECTS, json!({ "alias": format!("early {round} {made}") })).await;
            if reply.status != StatusCode::CREATED {
                break reply;
            }
            made += 1;
        };
        refused.refused(503, "UNAVAILABLE");
        assert_eq!(refused.headers["retry-after"], "1", "surely nothing was done");
        let ready = app.anon().get("/readyz").await;
        ready.expect(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((&ready.body["writes"], &ready.body["database"]), (&json!(false), &json!(true)));
        // Its connection is another one now: the disk has room.
        ada.post(PROJECTS, json!({ "alias": format!("late {round}") })).await.expect(StatusCode::CREATED);
        assert!(is_ready().await);
    }
    assert_eq!(app.service.number(COUNT).await, 3);
    ada.delete(&format!("/api/v1/auth/tokens/{}", token.id)).await.expect(StatusCode::OK);
    token.client.check("").await.refused(401, "INVALID_TOKEN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_tells_a_commit_that_was_refused_from_one_that_was_lost() {
    let Some(app) = TestApp::postgres().await else { return };
    let ada = app.user("ada").await;
    let setup = ["CREATE TABLE what_to_do (value TEXT)", "INSERT INTO what_to_do VALUES ('full')"];
    app.service.try_tamper(&[setup, AT_COMMIT].concat()).await.unwrap();
    let full = ada.post(PROJECTS, json!({ "alias": "late" })).await;
    full.refused(503, "UNAVAILABLE");
    assert_eq!(full.headers["retry-after"], "1", "the server said that it rolled back");
    assert_eq!(app.anon().get("/readyz").await.body["writes"], false);

    app.service.try_tamper(&["UPDATE what_to_do SET value = 'cut'"]).await.unwrap();
    let cut = ada.post(PROJECTS, json!({ "alias": "late" })).await;
    cut.refused(503, "OUTCOME_UNKNOWN");
    assert!(!cut.headers.contains_key("retry-after"), "{cut:?}");

    app.service.try_tamper(&["DROP TRIGGER at_commit ON projects"]).await.unwrap();
    for n in 0..20 {
        ada.post(PROJECTS, json!({ "alias": format!("late {n}") })).await.expect(StatusCode::CREATED);
    }
    assert_eq!(app.service.number(COUNT).await, 20);
    assert_eq!(app.anon().get("/readyz").await.body["writes"], true);
}

/// A database that is no database any more is told by the first statement that meets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_database_is_not_ready() {
    let app = TestApp::sqlite().await;
    let ada = app.user("ada").await;
    app.later(0).await;
    app.anon().get("/readyz").await.expect(StatusCode::OK);
    let write = async |sql| app.service.try_tamper(&[sql]).await.unwrap();
    // The root of a table is a page that is none.
    write("PRAGMA writable_schema = ON").await;
    write("UPDATE sqlite_master SET rootpage = 999999 WHERE name = 'projects'").await;
    // A change of the schema has every connection read it again.
    write("CREATE TABLE another (id BIGINT)").await;
    let reply = ada.get(PROJECTS).await;
    assert!(reply.status.is_server_error(), "{reply:?}");
    let ready = app.anon().get("/readyz").await;
    ready.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((&ready.body["ready"], &ready.body["database"]), (&json!(false), &json!(false)));
}
