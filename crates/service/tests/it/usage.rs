//! The use of tokens: written seldom, of allowed requests only, and beside everything else.

use http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Client, HERE, Minted, REALM_A, TestApp, on_both};

/// A token's use is written again when it is older than this, in milliseconds.
const INTERVAL: i64 = 30_000;
const HEAD: &str = "SELECT pos AS n FROM feed_head WHERE id = 1";

/// `last_used_at` and `last_used_ip` as they are written.
async fn written(app: &TestApp, owner: &Client, token: &Minted) -> (Value, Value) {
    app.service.flush_usage().await;
    let shown = owner.get(&format!("/api/v1/auth/tokens/{}", token.id)).await;
    shown.expect(StatusCode::OK);
    (shown.data()["last_used_at"].clone(), shown.data()["last_used_ip"].clone())
}

async fn advance(app: &TestApp, millis: i64) {
    app.service.advance(millis);
    assert!(app.service.poll().await);
}

on_both! {
    async fn a_use_is_written_once_in_thirty_seconds(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        assert_eq!(written(&app, &owner, &token).await, (Value::Null, Value::Null));
        let first = app.service.now();
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        assert_eq!(written(&app, &owner, &token).await, (json!(first), json!(HERE)));
        advance(&app, INTERVAL).await;
        token.client.from("198.51.100.1").check("").await.expect(StatusCode::NO_CONTENT);
        assert_eq!(written(&app, &owner, &token).await, (json!(first), json!(HERE)));
        // A node remembers whole seconds.
        advance(&app, 1_000).await;
        let later = app.service.now();
        token.client.from("198.51.100.2").check("").await.expect(StatusCode::NO_CONTENT);
        assert_eq!(written(&app, &owner, &token).await, (json!(later), json!("198.51.100.2")));
    }

    async fn a_token_in_heavy_use_is_written_once(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let mut uses = JoinSet::new();
        for n in 0..200 {
            let client = token.client.from(&format!("198.51.100.{}", n % 250));
            uses.spawn(async move { client.check("").await.status });
        }
        assert!(uses.join_all().await.iter().all(|status| *status == StatusCode::NO_CONTENT));
        let (at, ip) = written(&app, &owner, &token).await;
        assert_eq!(at, json!(app.service.now()));
        // Whatever comes in the same half minute does not replace it, also where it is not in the cache.
        owner
            .put(&format!("/api/v1/auth/tokens/{}", token.id), json!({ "alias": "forgotten" }))
            .await
            .expect(StatusCode::OK);
        token.client.from("198.51.100.251").check("").await.expect(StatusCode::NO_CONTENT);
        let second = app.another_node().await;
        token.client.at(&second).from("198.51.100.252").check("").await.expect(StatusCode::NO_CONTENT);
        second.flush_usage().await;
        assert_eq!(written(&app, &owner, &token).await, (at, ip));
    }

    async fn only_allowed_requests_count_as_use(app: TestApp) {
        let owner = app.user("ada").await;
        let here = json!({ "permissions": {}, "ip_whitelist": [HERE], "realm_ids": [REALM_A] });
        let token = owner.mint(here).await;
        let inside = token.client.realm(REALM_A);
        inside.from("198.51.100.1").check("").await.refused(403, "IP_NOT_WHITELISTED");
        token.client.check("").await.refused(403, "REALM_SCOPE_REQUIRED");
        inside.check("projects.read").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        inside.get("/api/v1/projects").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        inside.post("/api/v1/auth/tokens", json!({})).await.refused(401, "SESSION_REQUIRED");
        assert_eq!(written(&app, &owner, &token).await.0, Value::Null);
        inside.check("").await.expect(StatusCode::NO_CONTENT);
        let used = written(&app, &owner, &token).await;
        assert_eq!(used, (json!(app.service.now()), json!(HERE)));
        owner
            .put(&format!("/api/v1/auth/tokens/{}", token.id), json!({ "is_enabled": false }))
            .await
            .expect(StatusCode::OK);
        advance(&app, INTERVAL + 1).await;
        inside.check("").await.refused(401, "INVALID_TOKEN");
        assert_eq!(written(&app, &owner, &token).await, used);
    }

    async fn a_use_changes_nothing_else(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let path = format!("/api/v1/auth/tokens/{}", token.id);
        let before = owner.get(&path).await.data().clone();
        let head = app.service.number(HEAD).await;
        advance(&app, 60_000).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        assert_ne!(written(&app, &owner, &token).await.0, Value::Null);
        let mut after = owner.get(&path).await.data().clone();
        after["last_used_at"] = Value::Null;
        after["last_used_ip"] = Value::Null;
        assert_eq!(after, before);
        assert_eq!(app.service.number(HEAD).await, head);
    }

    async fn a_session_leaves_no_trace_of_use_on_tokens(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        owner.get("/api/v1/auth/tokens").await.expect(StatusCode::OK);
        assert_eq!(written(&app, &owner, &token).await.0, Value::Null);
    }

    async fn a_token_deleted_before_its_use_is_written_stays_deleted(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        let path = format!("/api/v1/auth/tokens/{}", token.id);
        owner.delete(&path).await.expect(StatusCode::OK);
        app.service.flush_usage().await;
        owner.get(&path).await.refused(404, "TOKEN_NOT_FOUND");
    }

    async fn threat_32_a_use_that_cannot_be_written_holds_nobody_up(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        app.service.cut_database().await;
        app.service.flush_usage().await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
    }
}
