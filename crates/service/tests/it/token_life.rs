//! A token's life: shown, changed, copied, used, expired, deleted; and how many an account may have.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, HERE, REALM_A, on_both};

const TOKENS: &str = "/api/v1/auth/tokens";
const HOUR: i64 = 3_600_000;
const KEY: &str = "a1b2c3d4e5f6789012345678901234567890abcdefabcdefabcdefabcdef1234";

/// 999 more tokens like the one called `seed`.
const BULK_SQLITE: &str = "INSERT INTO tokens (id, user_id, digest, key_id, alias, ip_whitelist, realm_ids, \
     allow_no_realm, permissions, vault_access, event_access, expires_at, is_enabled, delegation_depth, \
     created_at, updated_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
     SELECT unhex(printf('%024x', i)), user_id, unhex(printf('%064x', i)), key_id, 'bulk-' || i, ip_whitelist, \
     realm_ids, allow_no_realm, permissions, vault_access, event_access, expires_at, is_enabled, \
     delegation_depth, created_at, updated_at FROM tokens CROSS JOIN n WHERE alias = 'seed'";
const BULK_POSTGRES: &str = "INSERT INTO tokens (id, user_id, digest, key_id, alias, ip_whitelist, realm_ids, \
     allow_no_realm, permissions, vault_access, event_access, expires_at, is_enabled, delegation_depth, \
     created_at, updated_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
     SELECT decode(lpad(to_hex(i), 24, '0'), 'hex'), user_id, decode(lpad(to_hex(i), 64, '0'), 'hex'), key_id, \
     'bulk-' || i, ip_whitelist, realm_ids, allow_no_realm, permissions, vault_access, event_access, \
     expires_at, is_enabled, delegation_depth, created_at, updated_at FROM tokens CROSS JOIN n \
     WHERE alias = 'seed'";

fn path(id: &str) -> String {
    format!("{TOKENS}/{id}")
}

/// The id of the token with this alias.
async fn id_of(user: &Client, alias: &str) -> String {
    let list = user.get(TOKENS).await;
    let tokens = list.data().as_array().unwrap();
    let found = tokens.iter().find(|token| token["alias"] == alias).unwrap();
    found["id"].as_str().unwrap().to_owned()
}

on_both! {
    async fn a_list_has_every_token_newest_first_and_no_secret(app: TestApp) {
        let user = app.user("ada").await;
        let mut secrets = Vec::new();
        for alias in ["first", "second", "third"] {
            secrets.push(user.mint(json!({ "alias": alias })).await.secret);
            app.later(1_000).await;
        }
        app.user("bob").await.mint(json!({ "alias": "of somebody else" })).await;
        let list = user.get(TOKENS).await;
        list.expect(StatusCode::OK);
        assert_eq!(list.body["message"], "Auth tokens retrieved successfully");
        assert_eq!(list.body.get("truncated"), None);
        let aliases: Vec<_> = list.data().as_array().unwrap().iter().map(|token| &token["alias"]).collect();
        assert_eq!(aliases, ["third", "second", "first"]);
        for secret in &secrets {
            assert!(!list.text.contains(&secret[4..]), "a list repeats a secret");
        }
        assert!(list.data().as_array().unwrap().iter().all(|token| token.get("token").is_none()));
    }

    async fn a_token_is_got_by_its_id_and_by_nobody_else(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({ "alias": "ci" })).await;
        let got = user.get(&path(&token.id)).await;
        got.expect(StatusCode::OK);
        assert_eq!(got.body["message"], "Auth token retrieved successfully");
        assert_eq!((&got.data()["alias"], got.data().get("token")), (&json!("ci"), None));
        let unknown = user.get(&path(&"0".repeat(24))).await;
        unknown.refused(404, "TOKEN_NOT_FOUND");
        assert_eq!(unknown.body["message"], "Authentication token not found");
        let stranger = app.user("bob").await.get(&path(&token.id)).await;
        stranger.refused(404, "TOKEN_NOT_FOUND");
        assert_eq!(stranger.body, unknown.body, "a stranger learns nothing");
        user.get(&path("nonsense")).await.refused(400, "INVALID_ID_FORMAT");
    }

    async fn a_token_learns_of_itself_and_a_session_does_not(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({ "alias": "ci", "ip_whitelist": HERE })).await;
        let me = token.client.get("/api/v1/auth/tokens/me").await;
        me.expect(StatusCode::OK);
        assert_eq!(me.body["message"], "Current auth token retrieved successfully");
        assert_eq!(me.data()["token"]["id"], token.id);
        assert_eq!(me.data()["token"].get("token"), None);
        assert_eq!(
            me.data()["restrictions"],
            json!({
                "has_realm_restrictions": false, "requires_realm_scope": false, "allowed_realm_ids": [],
                "allow_no_realm": true, "active_realm_id": null, "max_delegation_depth": 3,
            })
        );
        let session = user.get("/api/v1/auth/tokens/me").await;
        session.refused(403, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(session.body["message"], "This endpoint requires auth token authentication");
        app.anon().get("/api/v1/auth/tokens/me").await.refused(401, "MISSING_TOKEN");
    }

    async fn its_use_is_noted_with_time_and_address(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        app.later(5_000).await;
        let at = app.service.now().to_string();
        token.client.from("198.51.100.1").check("").await.expect(StatusCode::NO_CONTENT);
        // What was refused is no use.
        token
            .client
            .from("198.51.100.2")
            .check("resources.create_tokens")
            .await
            .expect(StatusCode::FORBIDDEN);
        app.service.flush_usage().await;
        let got = user.get(&path(&token.id)).await;
        assert_eq!(
            (&got.data()["last_used_at"], &got.data()["last_used_ip"]),
            (&json!(at), &json!("198.51.100.1"))
        );
        assert_eq!(got.data()["updated_at"], got.data()["created_at"], "being used is no change");
    }

    async fn a_change_sets_what_it_names_and_nothing_else_by_put_and_patch(app: TestApp) {
        let user = app.user("ada").await;
        let token = user
            .mint(json!({
                "alias": "before", "public_key": KEY, "public_storage": { "a": 1 }, "expires_at": "tomorrow",
                "permissions": { "projects": { "read": true } }, "realm_ids": [REALM_A],
            }))
            .await;
        let mut expected = user.get(&path(&token.id)).await.data().clone();
        let changes = [
            json!({ "alias": "after" }),
            json!({ "public_key": null }),
            json!({ "public_storage": { "b": [2] } }),
            json!({ "public_storage": null }),
            json!({ "ip_whitelist": ["10.0.0.0/8"] }),
            json!({ "permissions": { "containers": { "read": true } } }),
            json!({ "permissions": {} }),
            json!({ "realm_ids": [] }),
            json!({ "allow_no_realm": false }),
            json!({ "vault_access": true }),
            json!({ "event_access": false }),
            json!({ "expires_at": null }),
            json!({ "is_enabled": false }),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            app.later(1_000).await;
            let reply = if index % 2 == 0 {
                user.put(&path(&token.id), change.clone()).await
            } else {
                user.patch(&path(&token.id), change.clone()).await
            };
            reply.expect(StatusCode::OK);
            assert_eq!(reply.body["message"], "Auth token updated successfully");
            for (name, value) in change.as_object().unwrap() {
                expected[name] = value.clone();
            }
            expected["updated_at"] = json!(app.service.now().to_string());
            assert_eq!(reply.data(), &expected, "{change}");
            assert_eq!(user.get(&path(&token.id)).await.data(), &expected, "{change}");
        }
    }

    async fn a_change_that_changes_nothing_leaves_no_trace(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({ "alias": "ci", "realm_ids": [REALM_A] })).await;
        let before = user.get(&path(&token.id)).await;
        let head = app.service.number("SELECT pos AS n FROM feed_head").await;
        app.later(1_000).await;
        for body in [json!({}), json!({ "alias": "ci", "is_enabled": true, "realm_ids": [REALM_A] })] {
            let reply = user.put(&path(&token.id), body).await;
            reply.expect(StatusCode::OK);
            assert_eq!(reply.data(), before.data());
        }
        assert_eq!(app.service.number("SELECT pos AS n FROM feed_head").await, head);
    }

    async fn what_cannot_be_changed_is_refused_by_name(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        let before = user.get(&path(&token.id)).await;
        for key in [
            "permission_template",
            "deny_reauthorization",
            "realm_id",
            "id",
            "token",
            "prefix",
            "created_at",
            "user_id",
            "created_by_token_id",
            "delegation_depth",
            "last_used_at",
            "Is_enabled",
        ] {
            let reply = user.patch(&path(&token.id), json!({ key: null, "is_enabled": false })).await;
            reply.refused(422, "VALIDATION_ERROR");
            assert_eq!(reply.data()[0]["instancePath"], format!("/{key}"));
        }
        assert_eq!(user.get(&path(&token.id)).await.data(), before.data());
    }

    async fn a_change_holds_from_the_next_request_on(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        let this = path(&token.id);
        token.client.check("projects.create").await.expect(StatusCode::NO_CONTENT);
        user.put(&this, json!({ "permissions": { "projects": { "read": true } } }))
            .await
            .expect(StatusCode::OK);
        token.client.check("projects.create").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        user.put(&this, json!({ "ip_whitelist": ["10.0.0.1"] })).await.expect(StatusCode::OK);
        token.client.check("").await.refused(403, "IP_NOT_WHITELISTED");
        user.put(&this, json!({ "ip_whitelist": "*", "realm_ids": [REALM_A] })).await.expect(StatusCode::OK);
        token.client.check("").await.refused(403, "REALM_SCOPE_REQUIRED");
        user.put(&this, json!({ "realm_ids": [], "is_enabled": false })).await.expect(StatusCode::OK);
        token.client.check("").await.refused(401, "INVALID_TOKEN");
        user.put(&this, json!({ "is_enabled": true })).await.expect(StatusCode::OK);
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        user.delete(&this).await.expect(StatusCode::OK);
        token.client.check("").await.refused(401, "INVALID_TOKEN");
    }

    async fn a_second_delete_finds_nothing(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({ "realm_ids": [REALM_A] })).await;
        let deleted = user.delete(&path(&token.id)).await;
        deleted.expect(StatusCode::OK);
        assert_eq!(
            deleted.body,
            json!({ "statusCode": 200, "message": "Auth token deleted successfully", "data": null })
        );
        user.delete(&path(&token.id)).await.refused(404, "TOKEN_NOT_FOUND");
        user.get(&path(&token.id)).await.refused(404, "TOKEN_NOT_FOUND");
        assert_eq!(user.get(TOKENS).await.data(), &json!([]));
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM token_realms").await, 0);
    }

    async fn a_copy_is_like_its_source_with_a_secret_of_its_own(app: TestApp) {
        let user = app.user("ada").await;
        let source = user.mint(json!({
            "alias": "ci", "public_key": KEY, "public_storage": { "a": 1 }, "ip_whitelist": [HERE],
            "permissions": { "projects": { "read": true } }, "realm_ids": [REALM_A], "allow_no_realm": false,
            "vault_access": true, "event_access": false, "expires_at": "2027-04-12T00:00:00Z",
        })).await;
        user.put(&path(&source.id), json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        app.later(1_000).await;
        let copy = user.send(http::Method::POST, &format!("{}/copy", path(&source.id)), Vec::new()).await;
        copy.expect(StatusCode::CREATED);
        assert_eq!(copy.body["message"], "Auth token copied successfully");
        let mut expected = user.get(&path(&source.id)).await.data().clone();
        let now = json!(app.service.now().to_string());
        for (name, value) in [
            ("id", copy.data()["id"].clone()),
            ("alias", json!("ci copy")),
            ("token", copy.data()["token"].clone()),
            ("hint", copy.data()["hint"].clone()),
            // A key names one token.
            ("public_key", Value::Null),
            ("public_storage", Value::Null),
            ("is_enabled", json!(true)),
            ("created_at", now.clone()),
            ("updated_at", now),
        ] {
            expected[name] = value;
        }
        assert_eq!(copy.data(), &expected);
        assert_ne!(copy.data()["id"], source.id);
        let secret = copy.data()["token"].as_str().unwrap();
        assert_ne!(secret, source.secret);
        app.with(secret).realm(REALM_A).check("projects.read").await.expect(StatusCode::NO_CONTENT);
        source.client.realm(REALM_A).check("projects.read").await.refused(401, "INVALID_TOKEN");
    }

    async fn copies_are_numbered_and_take_a_name_and_an_end(app: TestApp) {
        let user = app.user("ada").await;
        let source = user.mint(json!({ "alias": "ci", "expires_at": "tomorrow" })).await;
        let copy = format!("{}/copy", path(&source.id));
        for expected in ["ci copy", "ci copy 2", "ci copy 3"] {
            let reply = user.post(&copy, json!({})).await;
            assert_eq!(reply.data()["alias"], expected);
            assert_eq!(reply.data()["expires_at"], "2026-03-03T09:15:42.118Z");
        }
        let named = user.post(&copy, json!({ "alias": "other", "expires_at": null })).await;
        assert_eq!((&named.data()["alias"], &named.data()["expires_at"]), (&json!("other"), &Value::Null));
        user.post(&copy, json!({ "permissions": {} })).await.refused(422, "VALIDATION_ERROR");
        user.post(&format!("{}/copy", path(&"0".repeat(24))), json!({}))
            .await
            .refused(404, "TOKEN_NOT_FOUND");
        // A name that fills the room is cut for the suffix.
        let long = user.mint(json!({ "alias": "x".repeat(254) })).await;
        let reply = user.post(&format!("{}/copy", path(&long.id)), json!({})).await;
        assert_eq!(reply.data()["alias"], format!("{} copy", "x".repeat(249)));
    }

    async fn an_expired_source_is_copied_only_with_a_new_end(app: TestApp) {
        let user = app.user("ada").await;
        let source =
            user.mint(json!({ "alias": "ci", "expires_at": app.service.now().plus(HOUR).millis() })).await;
        app.later(HOUR).await;
        let copy = format!("{}/copy", path(&source.id));
        user.post(&copy, json!({})).await.refused(400, "EXPIRATION_IN_PAST");
        let forever = user.post(&copy, json!({ "expires_at": null })).await;
        forever.expect(StatusCode::CREATED);
        app.with(forever.data()["token"].as_str().unwrap()).check("").await.expect(StatusCode::NO_CONTENT);
    }

    /// Threat 36: what has expired stays, with the reason to be seen, and can be given a new end.
    async fn threat_36_an_expired_token_stays_listed_with_its_reason(app: TestApp) {
        let user = app.user("ada").await;
        let end = app.service.now().plus(HOUR);
        let token = user.mint(json!({ "alias": "ci", "expires_at": end.millis() })).await;
        app.later(HOUR - 1).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        app.later(1).await;
        for _ in 0..3 {
            token.client.check("").await.refused(401, "TOKEN_EXPIRED");
        }
        app.later(20 * HOUR).await;
        let list = user.get(TOKENS).await;
        assert_eq!(list.data()[0]["id"], token.id);
        assert_eq!(
            (&list.data()[0]["expires_at"], &list.data()[0]["is_enabled"]),
            (&json!(end.to_string()), &json!(true))
        );
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM tokens").await, 1);
        let feed = "SELECT event_type AS t FROM feed WHERE resource_type = 'auth_token' ORDER BY pos";
        assert_eq!(
            app.service.texts(feed).await,
            ["auth.token.created"],
            "its making is on record, nothing removed it"
        );
        user.put(&path(&token.id), json!({ "expires_at": null })).await.expect(StatusCode::OK);
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
    }

    /// Threat 37: expired means refused. Nothing makes a new secret by itself.
    async fn threat_37_expiry_never_makes_a_new_secret(app: TestApp) {
        let user = app.user("ada").await;
        let end = app.service.now().plus(HOUR).millis();
        let token = user.mint(json!({ "expires_at": end })).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        let stored = if app.url.starts_with("sqlite") {
            "SELECT hex(digest) AS t FROM tokens"
        } else {
            "SELECT encode(digest, 'hex') AS t FROM tokens"
        };
        let digests = app.service.texts(stored).await;
        app.later(HOUR).await;
        for place in [TOKENS, "/api/v1/auth/tokens/me", "/api/v1/users/auth/me", "/api/v1/auth/check"] {
            let reply = token.client.get(place).await;
            reply.refused(401, "TOKEN_EXPIRED");
            assert!(!reply.text.contains("hdy_") && !format!("{:?}", reply.headers).contains("hdy_"));
        }
        app.service.flush_usage().await;
        assert_eq!(app.service.texts(stored).await, digests, "the one secret is as it was");
        let got = user.get(&path(&token.id)).await;
        assert_eq!(
            got.data()["expires_at"],
            json!(hoody_core::time::Timestamp::from_millis(end).to_string())
        );
    }

    async fn an_account_has_at_most_a_thousand_tokens_that_have_not_expired(app: TestApp) {
        let user = app.user("ada").await;
        let seed = user.mint(json!({ "alias": "seed" })).await;
        let bulk = if app.url.starts_with("sqlite") { BULK_SQLITE } else { BULK_POSTGRES };
        assert_eq!(app.service.tamper(bulk).await, 999);
        let list = user.get(TOKENS).await;
        let ids: BTreeSet<_> =
            list.data().as_array().unwrap().iter().map(|token| token["id"].to_string()).collect();
        assert_eq!(ids.len(), 1000);

        let refused = user.post(TOKENS, json!({})).await;
        refused.refused(409, "AUTH_TOKEN_LIMIT_REACHED");
        assert_eq!(refused.body["error"], "AUTH_TOKEN_LIMIT_REACHED");
        assert!(refused.body["message"].as_str().unwrap().contains("(1000)"), "{}", refused.text);
        user.post(&format!("{}/copy", path(&seed.id)), json!({}))
            .await
            .refused(409, "AUTH_TOKEN_LIMIT_REACHED");
        // Disabled ones count, changing one is no new one, and another account has its own thousand.
        app.service.tamper("UPDATE tokens SET is_enabled = FALSE WHERE alias <> 'seed'").await;
        user.post(TOKENS, json!({})).await.refused(409, "AUTH_TOKEN_LIMIT_REACHED");
        user.put(&path(&seed.id), json!({ "expires_at": "tomorrow" })).await.expect(StatusCode::OK);
        app.user("bob").await.post(TOKENS, json!({})).await.expect(StatusCode::CREATED);

        // Expired ones do not count, until they are given a new end.
        app.service.tamper("UPDATE tokens SET expires_at = 1 WHERE alias = 'bulk-1'").await;
        let expired = path(&id_of(&user, "bulk-1").await);
        user.post(TOKENS, json!({ "alias": "last" })).await.expect(StatusCode::CREATED);
        user.post(TOKENS, json!({})).await.refused(409, "AUTH_TOKEN_LIMIT_REACHED");
        user.put(&expired, json!({ "expires_at": null })).await.refused(409, "AUTH_TOKEN_LIMIT_REACHED");
        user.put(&expired, json!({ "alias": "renamed" })).await.expect(StatusCode::OK);
        let again = user.get(&expired).await;
        assert_eq!(again.data()["expires_at"], "1970-01-01T00:00:00.001Z");
        let last = path(&id_of(&user, "last").await);
        user.delete(&last).await.expect(StatusCode::OK);
        user.put(&expired, json!({ "expires_at": null })).await.expect(StatusCode::OK);
    }
}
