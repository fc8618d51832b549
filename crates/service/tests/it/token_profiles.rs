//! Public profiles: a token's key and what it publishes about itself.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::on_both;

const TOKENS: &str = "/api/v1/auth/tokens";
const OWN: &str = "/api/v1/auth/tokens/me/public-profile";
const KEY: &str = "a1b2c3d4e5f6789012345678901234567890abcdefabcdefabcdefabcdef1234";

fn profile_of(key: &str) -> String {
    format!("{TOKENS}/public-profiles/{key}")
}

on_both! {
    async fn a_token_changes_its_own_profile(app: TestApp) {
        let user = app.user("ada").await;
        let permissions = json!({ "resources": { "auth_token_public_profile": true } });
        let token = user.mint(json!({ "alias": "agent", "permissions": permissions })).await;
        let storage = json!({ "username_hint": "acme-team", "avatar": "https://cdn.example.com/avatar.png" });
        let body = json!({ "public_key": KEY.to_uppercase(), "public_storage": storage });
        let reply = token.client.patch(OWN, body).await;
        reply.expect(StatusCode::OK);
        assert_eq!(reply.body["message"], "Public profile updated successfully");
        assert_eq!((&reply.data()["id"], &reply.data()["public_key"]), (&json!(token.id), &json!(KEY)));
        assert_eq!((&reply.data()["public_storage"], reply.data().get("token")), (&storage, None));
        // One field leaves the other as it is; null clears.
        let reply = token.client.put(OWN, json!({ "public_storage": null })).await;
        assert_eq!(
            (&reply.data()["public_key"], &reply.data()["public_storage"]),
            (&json!(KEY), &Value::Null)
        );
        let reply = token.client.put(OWN, json!({ "public_key": null })).await;
        assert_eq!(reply.data()["public_key"], Value::Null);
        assert_eq!(user.get(&format!("{TOKENS}/{}", token.id)).await.data()["public_key"], Value::Null);
    }

    async fn a_profile_needs_the_permission_and_a_token(app: TestApp) {
        let user = app.user("ada").await;
        let body = json!({ "public_key": KEY });
        let without = user.mint(json!({ "permissions": { "projects": { "update": true } } })).await;
        let refused = without.client.put(OWN, body.clone()).await;
        refused.refused(403, "INSUFFICIENT_PERMISSIONS");
        assert!(refused.text.contains("resources.auth_token_public_profile"), "{}", refused.text);
        user.put(OWN, body.clone()).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        app.anon().put(OWN, body).await.refused(401, "MISSING_TOKEN");
        user.get(&profile_of(KEY)).await.refused(404, "TOKEN_NOT_FOUND");
    }

    async fn a_profile_that_breaks_a_rule_is_refused(app: TestApp) {
        let token = app.user("ada").await.mint(json!({ "public_key": KEY })).await;
        for (body, status, code) in [
            (json!({}), 400, "VALIDATION_ERROR"),
            (json!({ "public_key": "x" }), 400, "INVALID_PUBLIC_KEY_FORMAT"),
            (json!({ "public_storage": { "a": "x".repeat(65_536) } }), 400, "PUBLIC_STORAGE_TOO_LARGE"),
            (json!({ "public_key": 1 }), 422, "VALIDATION_ERROR"),
            (json!({ "public_storage": [] }), 422, "VALIDATION_ERROR"),
            (json!({ "public_key": null, "alias": "mine" }), 422, "VALIDATION_ERROR"),
        ] {
            token.client.put(OWN, body).await.refused(status, code);
        }
        token.client.get(&profile_of(KEY)).await.expect(StatusCode::OK);
    }

    async fn a_profile_is_found_by_its_key(app: TestApp) {
        let storage = json!({ "display_name": "Acme Integrations" });
        app.user("ada").await.mint(json!({ "public_key": KEY, "public_storage": storage })).await;
        let stranger = app.user("bob").await;
        let least = stranger.mint(json!({ "permissions": {} })).await;
        for (client, key) in [(&stranger, KEY.to_owned()), (&least.client, KEY.to_uppercase())] {
            let reply = client.get(&profile_of(&key)).await;
            reply.expect(StatusCode::OK);
            assert_eq!(reply.body["message"], "Public profile retrieved successfully");
            assert_eq!(reply.data(), &json!({ "public_key": KEY, "public_storage": storage }));
        }
        app.anon().get(&profile_of(KEY)).await.refused(401, "MISSING_TOKEN");
        stranger.get(&profile_of(&"0".repeat(64))).await.refused(404, "TOKEN_NOT_FOUND");
        for key in ["x", &"%25".repeat(64), &KEY[1..], &"g".repeat(64)] {
            stranger.get(&profile_of(key)).await.refused(400, "INVALID_PUBLIC_KEY_FORMAT");
        }
    }

    async fn a_key_that_many_claim_is_the_callers_own_then_the_oldest_in_force(app: TestApp) {
        let claim = |name: &str| json!({ "public_key": KEY, "public_storage": { "of": name } });
        let (ada, bob) = (app.user("ada").await, app.user("bob").await);
        let (eve, caller) = (app.user("eve").await, app.user("carol").await);
        let first = ada.mint(claim("ada")).await;
        app.later(1_000).await;
        let second = bob.mint(claim("bob")).await;
        app.later(1_000).await;
        eve.mint(claim("eve")).await;
        let found = async |client: &crate::support::Client| {
            let reply = client.get(&profile_of(KEY)).await;
            reply.data()["public_storage"]["of"].as_str().unwrap_or("nobody").to_owned()
        };
        // Whoever claims a key later takes it from nobody but itself.
        assert_eq!((found(&caller).await, found(&eve).await), ("ada".to_owned(), "eve".to_owned()));
        ada.put(&format!("{TOKENS}/{}", first.id), json!({ "is_enabled": false }))
            .await
            .expect(StatusCode::OK);
        assert_eq!(found(&caller).await, "bob", "a disabled token has no profile");
        assert_eq!(found(&ada).await, "bob", "its own account has none then either");
        let end = app.service.now().plus(1_000).millis();
        bob.put(&format!("{TOKENS}/{}", second.id), json!({ "expires_at": end }))
            .await
            .expect(StatusCode::OK);
        app.later(1_000).await;
        assert_eq!(found(&caller).await, "eve", "an expired one neither");
        app.service.ban_elsewhere("eve", true).await;
        app.service.poll().await;
        assert_eq!(found(&caller).await, "nobody", "nor one of a banned account");
    }

    async fn threat_19_a_public_profile_needs_its_permission_by_whatever_route(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({"permissions": {"projects": {"update": true}}})).await;
        let path = format!("/api/v1/auth/tokens/{}", token.id);
        let storage = json!({"public_storage": {"name": "somebody else"}});
        token.client.put(&path, storage.clone()).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        token.client.put("/api/v1/auth/tokens/me/public-profile", storage.clone()).await
            .refused(403, "INSUFFICIENT_PERMISSIONS");
        user.put(&path, storage).await.expect(StatusCode::OK);
    }
}
