//! What a PostgreSQL server must be, and what its settings may not change.

use http::StatusCode;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _};

use hoody_service::testing::Service;

use crate::support::TestApp;

/// Runs a statement beside the service, in which `{db}` is its database.
async fn run(app: &TestApp, sql: &str) {
    let (place, _) = app.url.split_once('?').unwrap();
    let name = place.rsplit('/').next().unwrap();
    let mut beside = sqlx::PgConnection::connect(&app.url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.replace("{db}", name))).execute(&mut beside).await.unwrap();
    beside.close().await.unwrap();
}

/// The address of another database of the same server.
fn beside(app: &TestApp, name: &str) -> String {
    let (place, query) = app.url.split_once('?').unwrap();
    format!("{}/{name}?{query}", place.rsplit_once('/').unwrap().0)
}

async fn refusal(app: &TestApp, url: &str) -> String {
    Service::refusal_to_open(url, app.directory.path(), app.service.now()).await.expect("it is refused")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_do_is_refused_in_words() {
    let Some(app) = TestApp::postgres().await else { return };
    for (encoding, name) in [("LATIN1", "latin"), ("SQL_ASCII", "ascii")] {
        let name = format!("{name}_{}", std::process::id());
        run(&app, &format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"))
            .await;
        let url = beside(&app, &name);
        let why = refusal(&app, &url).await;
        assert!(why.contains(encoding) && why.contains("UTF8"), "{why}");
    }
    run(&app, "ALTER DATABASE {db} SET session_replication_role = replica").await;
    let why = refusal(&app, &app.url).await;
    assert!(why.contains("session_replication_role"), "{why}");
    run(&app, "ALTER DATABASE {db} RESET session_replication_role").await;
    run(&app, "ALTER DATABASE {db} SET default_transaction_read_only = on").await;
    let why = refusal(&app, &app.url).await;
    assert!(why.contains("read-only"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_code_relies_on_is_set_whatever_the_database_says() {
    let Some(app) = TestApp::postgres().await else { return };
    const RELIED_ON: [(&str, &str, &str); 10] = [
        ("idle_session_timeout", "1s", "0"),
        ("statement_timeout", "2s", "10s"),
        ("lock_timeout", "1ms", "5s"),
        ("idle_in_transaction_session_timeout", "1ms", "3s"),
        ("default_transaction_isolation", "serializable", "read committed"),
        ("default_transaction_deferrable", "on", "off"),
        ("standard_conforming_strings", "off", "on"),
        ("client_encoding", "LATIN1", "UTF8"),
        ("TimeZone", "Asia/Tokyo", "UTC"),
        ("synchronous_commit", "off", "on"),
    ];
    for (name, odd, _) in RELIED_ON {
        run(&app, &format!("ALTER DATABASE {{db}} SET {name} = '{odd}'")).await;
    }
    let second = app.another_node().await;
    let seen = second
        .texts(
            "SELECT name || '=' || current_setting(name) AS t FROM pg_settings WHERE name IN ('idle_session_timeout', \
             'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', \
             'default_transaction_isolation', 'default_transaction_deferrable', 'standard_conforming_strings', \
             'client_encoding', 'TimeZone', 'synchronous_commit')",
        )
        .await;
    for (name, _, relied_on) in RELIED_ON {
        assert!(seen.contains(&format!("{name}={relied_on}")), "{name}: {seen:?}");
    }
    // What an operator set apart from that is kept: waiting for a standby, too.
    run(&app, "ALTER DATABASE {db} SET synchronous_commit = remote_apply").await;
    let third = app.another_node().await;
    let seen = third.texts("SELECT current_setting('synchronous_commit') AS t").await;
    assert_eq!(seen, ["remote_apply"]);
}

/// A connection that says that it is no primary is closed, with all that were made before, and the read is done
/// on another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_turns_read_only_answers_nothing_more() {
    const TURN: &str =
        "SELECT COUNT(set_config('default_transaction_read_only', 'on', false)) AS n FROM (SELECT 1) one";
    let Some(app) = TestApp::postgres().await else { return };
    let owner = app.user("ada").await;
    let token = owner.mint(json!({})).await;
    for _ in 0..3 {
        app.service.number(TURN).await;
        for _ in 0..10 {
            let seen = app.service.texts("SELECT current_setting('transaction_read_only') AS t").await;
            assert_eq!(seen, ["off"]);
        }
        // One that writes fails at most once.
        app.service.tamper("SET default_transaction_read_only = on").await;
        let mut failed = 0;
        for _ in 0..10 {
            let path = format!("/api/v1/auth/tokens/{}", token.id);
            let changed = owner.patch(&path, json!({ "alias": "changed" })).await;
            failed += usize::from(changed.status != StatusCode::OK);
        }
        assert!(failed <= 1, "{failed} changes failed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_ended_costs_nobody_an_error() {
    let Some(app) = TestApp::postgres().await else { return };
    let owner = app.user("ada").await;
    for _ in 0..3 {
        run(
            &app,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
             WHERE application_name = 'hoody' AND datname = '{db}'",
        )
        .await;
        owner.mint(json!({})).await;
        owner.get("/api/v1/auth/tokens").await.expect(StatusCode::OK);
    }
}
