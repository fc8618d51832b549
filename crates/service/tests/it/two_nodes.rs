//! What one node changes, another obeys: every way to take something away, seen from a second node.

use http::StatusCode;
use serde_json::json;

use crate::cache::{Act, Case, Hold, reset, stage, with_depths};
use crate::support::{Client, PASSWORD, Reply, TestApp, on_both};

async fn good(client: &Client) -> Reply {
    client.check("projects.read").await
}

async fn two_accounts(app: &TestApp) {
    app.service.create_user("ada", None, PASSWORD).await;
    app.service.create_user("keeper", None, PASSWORD).await;
}

/// Time passes on the second node as on the first.
fn follow(second: &hoody_service::testing::Service, case: &Case) {
    if matches!(case.act, Act::Expire) {
        second.advance(5);
    }
}

on_both! {
    async fn threat_09_a_revocation_counts_in_its_own_millisecond_on_another_node(app: TestApp) {
        // The clocks stand still: all of this is one instant.
        let second = app.another_node().await;
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let (old, _) = app.sign_in("ada").await;
        let (old, there) = (app.with(&old).at(&second), token.client.at(&second));
        for client in [&old, &there] {
            good(client).await.expect(StatusCode::NO_CONTENT);
        }
        owner.delete(&format!("/api/v1/auth/tokens/{}", token.id)).await.expect(StatusCode::OK);
        owner.post("/api/v1/users/auth/logout", json!({})).await.expect(StatusCode::OK);
        let new = app.login("ada").await.at(&second);
        assert!(second.poll().await);
        good(&there).await.refused(401, "INVALID_TOKEN");
        good(&old).await.refused(401, "INVALID_TOKEN");
        good(&new).await.expect(StatusCode::NO_CONTENT);
    }

    /// What made it so is not known there yet, but the answer confirms it.
    async fn a_revocation_that_is_repeated_on_another_node_is_in_force_there_at_once(app: TestApp) {
        let second = app.another_node().await;
        let owner = app.user("ada").await;
        let (deleted, disabled) = (owner.mint(json!({})).await, owner.mint(json!({})).await);
        assert!(second.poll().await);
        for token in [&deleted, &disabled] {
            good(&token.client.at(&second)).await.expect(StatusCode::NO_CONTENT);
        }
        let path = |id: &str| format!("/api/v1/auth/tokens/{id}");
        let there = owner.at(&second);
        owner.delete(&path(&deleted.id)).await.expect(StatusCode::OK);
        there.delete(&path(&deleted.id)).await.refused(404, "TOKEN_NOT_FOUND");
        owner.patch(&path(&disabled.id), json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        there.patch(&path(&disabled.id), json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        for token in [&deleted, &disabled] {
            good(&token.client.at(&second)).await.refused(401, "INVALID_TOKEN");
        }
    }

    /// Threats 11 and 38 too: each field of a token takes effect, and what hangs on an ancestor follows.
    async fn threat_10_a_grant_that_is_hot_on_another_node_is_gone_with_its_next_poll(app: TestApp) {
        two_accounts(&app).await;
        let second = app.another_node().await;
        for (case, depth) in with_depths() {
            let (client, stage) = stage(&app, &case, depth).await;
            assert!(second.poll().await);
            let there = client.at(&second);
            for _ in 0..2 {
                good(&there).await.expect(StatusCode::NO_CONTENT);
            }
            assert!(second.cached() >= 1, "{case:?}");
            stage.make(&case.act).await;
            follow(&second, &case);
            assert!(second.poll().await);
            for _ in 0..2 {
                case.is_in_force(&good(&there).await);
            }
            reset(&app).await;
        }
    }

    async fn threat_10_a_read_held_on_another_node_does_not_fill_its_cache(app: TestApp) {
        two_accounts(&app).await;
        let second = app.another_node().await;
        for (case, depth) in with_depths() {
            let (client, stage) = stage(&app, &case, depth).await;
            assert!(second.poll().await);
            let there = client.at(&second);
            let hold = Hold::of(&second, 1);
            let held = tokio::spawn({
                let there = there.clone();
                async move { good(&there).await }
            });
            hold.reached(1).await;
            stage.make(&case.act).await;
            follow(&second, &case);
            assert!(second.poll().await);
            case.is_in_force(&good(&there).await);
            hold.release(1);
            // It read what was there before the change, and is decided after it.
            case.is_in_force(&held.await.unwrap());
            for _ in 0..2 {
                case.is_in_force(&good(&there).await);
            }
            reset(&app).await;
        }
    }

    async fn threat_11_what_is_taken_and_given_back_is_obeyed_by_another_node(app: TestApp) {
        let second = app.another_node().await;
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let there = token.client.at(&second);
        let path = format!("/api/v1/auth/tokens/{}", token.id);
        for (narrow, widen) in [
            (json!({ "is_enabled": false }), json!({ "is_enabled": true })),
            (json!({ "ip_whitelist": "10.0.0.1" }), json!({ "ip_whitelist": "*" })),
            (json!({ "permissions": {} }), json!({ "permissions": { "projects": { "read": true } } })),
            (json!({ "allow_no_realm": false }), json!({ "allow_no_realm": true })),
        ] {
            assert!(second.poll().await);
            good(&there).await.expect(StatusCode::NO_CONTENT);
            owner.patch(&path, narrow.clone()).await.expect(StatusCode::OK);
            assert!(second.poll().await);
            assert!(!good(&there).await.status.is_success(), "{narrow}");
            owner.patch(&path, widen.clone()).await.expect(StatusCode::OK);
            assert!(second.poll().await);
            good(&there).await.expect(StatusCode::NO_CONTENT);
        }
    }
}
