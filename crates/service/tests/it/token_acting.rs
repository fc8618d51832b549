//! A token acting on tokens (`design.md` 4): it sees, disables and deletes what lies within it, changes
//! what stays within it in every dimension, and makes nothing unless it may (`delegation`).

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, HERE, Minted, REALM_A, REALM_B, on_both};

const TOKENS: &str = "/api/v1/auth/tokens";
const REALM_C: &str = "cccccccccccccccccccccccc";

fn path(id: &str) -> String {
    format!("{TOKENS}/{id}")
}

fn ids(list: &Value) -> BTreeSet<String> {
    let tokens = list.as_array().unwrap().iter();
    tokens.map(|token| token["id"].as_str().unwrap().to_owned()).collect()
}

/// All tokens as the account sees them.
async fn all(user: &Client) -> Value {
    user.get(TOKENS).await.data().clone()
}

/// Everything that a token may try to change tokens, as method, path and body.
fn attempts(id: &str) -> Vec<(http::Method, String, Value)> {
    vec![
        (http::Method::PUT, path(id), json!({ "alias": "taken over" })),
        (http::Method::PATCH, path(id), json!({ "is_enabled": false })),
        (http::Method::PATCH, path(id), json!({ "is_enabled": true })),
        (http::Method::PUT, path(id), json!({ "ip_whitelist": "*" })),
        (http::Method::POST, format!("{}/add-realm", path(id)), json!({ "realm_id": REALM_A })),
        (http::Method::POST, format!("{}/remove-realm", path(id)), json!({ "realm_id": REALM_A })),
        (http::Method::DELETE, path(id), json!({})),
    ]
}

/// A token that may read and write a little, from two networks in two realms for a day.
async fn middle(user: &Client) -> Minted {
    user.mint(json!({
        "alias": "middle",
        "permissions": { "projects": { "read": true, "update": true }, "containers": { "read": true } },
        "realm_ids": [REALM_A, REALM_B], "ip_whitelist": ["203.0.113.0/24", "10.0.0.0/8"],
        "expires_at": "tomorrow", "event_access": false,
    }))
    .await
}

/// One that lies within [`middle`] in every dimension.
fn inner() -> Value {
    json!({
        "permissions": { "projects": { "read": true } }, "realm_ids": [REALM_A], "ip_whitelist": [HERE],
        "expires_at": "today", "event_access": false,
    })
}

fn inner_but(name: &str, value: Value) -> Value {
    let mut body = inner();
    body[name] = value;
    body
}

on_both! {
    async fn a_token_sees_what_can_do_no_more_than_itself(app: TestApp) {
        let user = app.user("ada").await;
        let caller = middle(&user).await;
        let mut seen = BTreeSet::from([caller.id.clone()]);
        for body in [
            inner(),
            // Wherever it may be used from, and however long it lives.
            inner_but("ip_whitelist", json!("*")),
            inner_but("expires_at", json!(null)),
            inner_but("permissions", json!({})),
            inner_but("allow_no_realm", json!(false)),
            inner_but("realm_ids", json!([REALM_B, REALM_A])),
        ] {
            seen.insert(user.mint(body).await.id);
        }
        let mut hidden = Vec::new();
        for body in [
            inner_but("permissions", json!({ "projects": { "read": true, "create": true } })),
            inner_but("permissions", json!({ "resources": { "create_tokens": true } })),
            inner_but("realm_ids", json!([])),
            inner_but("realm_ids", json!([REALM_A, REALM_C])),
            inner_but("realm_ids", json!([REALM_B])),
            inner_but("vault_access", json!(true)),
            inner_but("event_access", json!(true)),
            json!({}),
        ] {
            hidden.push(user.mint(body).await.id);
        }
        let on_a = caller.client.realm(REALM_A);
        let list = on_a.get(TOKENS).await;
        list.expect(StatusCode::OK);
        assert_eq!(ids(list.data()), seen);
        assert_eq!(list.body["truncated"], true, "something was left out");
        for id in &seen {
            on_a.get(&path(id)).await.expect(StatusCode::OK);
        }
        let unknown = on_a.get(&path(&"0".repeat(24))).await;
        for id in &hidden {
            let reply = on_a.get(&path(id)).await;
            reply.refused(404, "TOKEN_NOT_FOUND");
            assert_eq!(reply.body, unknown.body);
        }
    }

    async fn a_token_that_covers_the_others_sees_them_all(app: TestApp) {
        let user = app.user("ada").await;
        let caller = user.mint(json!({ "vault_access": true })).await;
        let others = [middle(&user).await.id, user.mint(json!({})).await.id, user.mint(inner()).await.id];
        let list = caller.client.get(TOKENS).await;
        assert_eq!(ids(list.data()), others.into_iter().chain([caller.id.clone()]).collect());
        assert_eq!(list.body.get("truncated"), None, "nothing was left out");
        user.mint(json!({ "permissions": { "resources": { "create_tokens": true } } })).await;
        let list = caller.client.get(TOKENS).await;
        assert_eq!((ids(list.data()).len(), &list.body["truncated"]), (4, &json!(true)));
    }

    async fn what_lies_within_can_be_stopped_wherever_it_may_be_used_from(app: TestApp) {
        let user = app.user("ada").await;
        let caller = middle(&user).await.client.realm(REALM_A);
        for body in [inner(), inner_but("ip_whitelist", json!("*")), inner_but("expires_at", json!(null))] {
            let target = user.mint(body.clone()).await;
            let stopped = caller.patch(&path(&target.id), json!({ "is_enabled": false })).await;
            stopped.expect(StatusCode::OK);
            assert_eq!(stopped.data()["is_enabled"], false);
            target.client.realm(REALM_A).check("").await.refused(401, "INVALID_TOKEN");
            let target = user.mint(body).await;
            caller.delete(&path(&target.id)).await.expect(StatusCode::OK);
            target.client.realm(REALM_A).check("").await.refused(401, "INVALID_TOKEN");
        }
    }

    async fn what_lies_within_stays_within_in_every_dimension(app: TestApp) {
        let user = app.user("ada").await;
        let caller = middle(&user).await.client.realm(REALM_A);
        let target = user.mint(inner()).await;
        for within in [
            json!({ "alias": "renamed" }),
            json!({ "permissions": { "containers": { "read": true }, "projects": { "update": true } } }),
            json!({ "realm_ids": [REALM_A, REALM_B] }),
            json!({ "ip_whitelist": ["203.0.113.0/25", "10.1.0.0/16", "10.2.0.0/16"] }),
            json!({ "expires_at": "tomorrow" }),
            json!({ "is_enabled": false }),
            json!({ "is_enabled": true }),
            json!({ "allow_no_realm": false }),
        ] {
            caller.put(&path(&target.id), within.clone()).await.expect(StatusCode::OK);
        }
        let before = all(&user).await;
        for wider in [
            json!({ "permissions": { "projects": { "delete": true } } }),
            json!({ "permissions": { "resources": { "create_tokens": true } } }),
            json!({ "realm_ids": [REALM_C] }),
            json!({ "realm_ids": [REALM_A, REALM_C] }),
            json!({ "ip_whitelist": "*" }),
            json!({ "ip_whitelist": ["203.0.112.0/23"] }),
            json!({ "ip_whitelist": [HERE, "::/0"] }),
            json!({ "expires_at": null }),
            json!({ "expires_at": "2026-03-03T09:15:42.119Z" }),
            json!({ "vault_access": true }),
            json!({ "event_access": true }),
            // One step too far takes all of it down.
            json!({ "alias": "renamed again", "is_enabled": false, "vault_access": true }),
        ] {
            caller.put(&path(&target.id), wider.clone()).await.refused(403, "INSUFFICIENT_PERMISSIONS");
            assert_eq!(all(&user).await, before, "{wider}");
        }
        caller
            .post(&format!("{}/add-realm", path(&target.id)), json!({ "realm_id": REALM_C }))
            .await
            .refused(403, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(all(&user).await, before);
    }

    async fn what_may_be_used_from_elsewhere_can_be_stopped_and_not_changed(app: TestApp) {
        let user = app.user("ada").await;
        let caller = middle(&user).await.client.realm(REALM_A);
        for body in [inner_but("ip_whitelist", json!("*")), inner_but("expires_at", json!(null))] {
            let target = user.mint(body).await;
            caller.patch(&path(&target.id), json!({ "is_enabled": false })).await.expect(StatusCode::OK);
            for change in [
                json!({ "alias": "mine" }),
                json!({ "is_enabled": true }),
                json!({ "is_enabled": false, "alias": "mine" }),
                json!({}),
            ] {
                caller.put(&path(&target.id), change).await.refused(403, "INSUFFICIENT_PERMISSIONS");
            }
            // Narrowed to within the caller, it is the caller's to change.
            let narrow = json!({ "ip_whitelist": [HERE], "expires_at": "today", "is_enabled": true });
            caller.put(&path(&target.id), narrow).await.expect(StatusCode::OK);
        }
    }

    async fn what_lies_outside_is_not_found_and_untouched(app: TestApp) {
        let user = app.user("ada").await;
        let caller = middle(&user).await.client.realm(REALM_A);
        let strangers = app.user("bob").await;
        let mut outside = vec!["0".repeat(24), strangers.mint(inner()).await.id];
        for body in [
            json!({}),
            inner_but("vault_access", json!(true)),
            inner_but("realm_ids", json!([REALM_A, REALM_C])),
            inner_but("realm_ids", json!([REALM_B])),
            inner_but("permissions", json!({ "projects": { "create": true } })),
        ] {
            outside.push(user.mint(body).await.id);
        }
        let before = (all(&user).await, all(&strangers).await);
        for id in &outside {
            for (method, path, body) in attempts(id) {
                let reply = caller.send(method.clone(), &path, body.to_string().into_bytes()).await;
                reply.refused(404, "TOKEN_NOT_FOUND");
            }
        }
        assert_eq!((all(&user).await, all(&strangers).await), before);
    }

    async fn a_token_that_may_only_read_changes_nothing(app: TestApp) {
        let user = app.user("ada").await;
        let target = user.mint(json!({ "permissions": {} })).await;
        for (body, sees) in [
            (json!({ "permission_template": "read_only" }), StatusCode::OK),
            (json!({ "permissions": { "projects": { "read": true } } }), StatusCode::OK),
            // Without a permission of hoody's it sees nothing but itself.
            (json!({ "permissions": {} }), StatusCode::NOT_FOUND),
            (json!({ "permissions": { "admin": { "users": true } } }), StatusCode::NOT_FOUND),
        ] {
            let caller = user.mint(body).await;
            let before = all(&user).await;
            for id in [&target.id, &caller.id, &"0".repeat(24)] {
                for (method, path, body) in attempts(id) {
                    let reply =
                        caller.client.send(method.clone(), &path, body.to_string().into_bytes()).await;
                    reply.refused(403, "INSUFFICIENT_PERMISSIONS");
                }
            }
            assert_eq!(all(&user).await, before);
            caller.client.get(&path(&target.id)).await.expect(sees);
            caller.client.get(&path(&caller.id)).await.expect(StatusCode::OK);
        }
    }

    async fn no_token_sets_its_own_switch_to_on(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        let own = path(&token.id);
        token.client.put(&own, json!({ "is_enabled": true })).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        token
            .client
            .put(&own, json!({ "is_enabled": true, "alias": "me" }))
            .await
            .refused(403, "INSUFFICIENT_PERMISSIONS");
        token.client.put(&own, json!({ "alias": "me" })).await.expect(StatusCode::OK);
        token.client.put(&own, json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        token.client.put(&own, json!({ "is_enabled": true })).await.refused(401, "INVALID_TOKEN");
        // Another that covers it may, and the account.
        let other = user.mint(json!({ "vault_access": true })).await;
        other.client.put(&own, json!({ "is_enabled": true })).await.expect(StatusCode::OK);
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
    }

    async fn a_token_cannot_widen_itself_and_can_narrow_and_end_itself(app: TestApp) {
        let user = app.user("ada").await;
        let token = middle(&user).await;
        let (own, client) = (path(&token.id), token.client.realm(REALM_A));
        let before = all(&user).await;
        for wider in [
            json!({ "permissions": { "projects": { "read": true, "update": true, "delete": true } } }),
            json!({ "realm_ids": [REALM_A, REALM_B, REALM_C] }),
            json!({ "ip_whitelist": "*" }),
            json!({ "expires_at": null }),
            json!({ "vault_access": true }),
            json!({ "event_access": true }),
        ] {
            client.put(&own, wider).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        }
        client
            .post(&format!("{own}/add-realm"), json!({ "realm_id": REALM_C }))
            .await
            .refused(403, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(all(&user).await, before);
        client
            .put(&own, json!({ "ip_whitelist": [HERE], "realm_ids": [REALM_A], "expires_at": "today" }))
            .await
            .expect(StatusCode::OK);
        client
            .put(&own, json!({ "realm_ids": [REALM_A, REALM_B] }))
            .await
            .refused(403, "INSUFFICIENT_PERMISSIONS");
        // No list at all would be wider; on a realm's host it is that realm.
        let emptied = client.put(&own, json!({ "realm_ids": [] })).await;
        assert_eq!(emptied.data()["realm_ids"], json!([REALM_A]));
        client.delete(&own).await.expect(StatusCode::OK);
        client.check("").await.refused(401, "INVALID_TOKEN");
    }

    async fn a_token_without_the_leaf_makes_no_tokens(app: TestApp) {
        let user = app.user("ada").await;
        let source = user.mint(json!({})).await;
        for body in [
            json!({ "vault_access": true }),
            json!({ "permission_template": "full_access" }),
            json!({ "permission_template": "read_only" }),
        ] {
            let token = user.mint(body).await;
            let before = all(&user).await;
            for path in [
                TOKENS.to_owned(),
                format!("{}/copy", path(&source.id)),
                format!("{}/copy", path("nonsense")),
            ] {
                let refused = token.client.post(&path, json!({ "permissions": {} })).await;
                refused.refused(401, "SESSION_REQUIRED");
                assert!(
                    refused.body["message"].as_str().unwrap().contains("user session"),
                    "{}",
                    refused.text
                );
            }
            assert_eq!(all(&user).await, before);
        }
    }

    async fn only_a_session_takes_the_last_realm_away(app: TestApp) {
        let user = app.user("ada").await;
        let caller = user.mint(json!({ "vault_access": true })).await;
        let removal = json!({ "realm_id": REALM_A });
        for allow_no_realm in [true, false] {
            let target =
                user.mint(json!({ "realm_ids": [REALM_A, REALM_B], "allow_no_realm": allow_no_realm })).await;
            let remove = format!("{}/remove-realm", path(&target.id));
            caller.client.post(&remove, json!({ "realm_id": REALM_B })).await.expect(StatusCode::OK);
            caller.client.post(&remove, removal.clone()).await.refused(403, "INSUFFICIENT_PERMISSIONS");
            // By whatever road it would go.
            caller
                .client
                .put(&path(&target.id), json!({ "realm_ids": [] }))
                .await
                .refused(403, "INSUFFICIENT_PERMISSIONS");
            let got = user.get(&path(&target.id)).await;
            assert_eq!(got.data()["realm_ids"], json!([REALM_A]), "nothing is changed");
            let removed = user.post(&remove, removal.clone()).await;
            removed.expect(StatusCode::OK);
            let flags = (&removed.data()["realm_ids"], &removed.data()["allow_no_realm"]);
            assert_eq!(flags, (&json!([]), &json!(allow_no_realm)), "the flags stay as they are");
        }
    }

    async fn a_token_never_touches_the_account(app: TestApp) {
        let user = app.user("ada").await;
        let id = user.account().await;
        let token = user.mint(json!({ "vault_access": true })).await;
        let before = user.get("/api/v1/users/auth/me").await;
        for body in [
            json!({ "alias": "Mine" }),
            json!({ "password": "a".repeat(12), "current_password": "b".repeat(12) }),
        ] {
            token
                .client
                .put(&format!("/api/v1/users/{id}"), body)
                .await
                .refused(403, "INSUFFICIENT_PERMISSIONS");
        }
        assert_eq!(user.get("/api/v1/users/auth/me").await.data(), before.data());
    }
}
