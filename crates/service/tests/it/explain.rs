//! Explanations over the API: they say what the door says, all that stands in the way, and nothing of others.

use http::StatusCode;
use serde_json::{Value, json};

use crate::gates::{orders, set, with_orders};
use crate::support::{Client, REALM_A, REALM_B, on_both};

const EXPLAIN: &str = "/api/v1/auth/explain";

async fn explained(client: &Client, body: Value) -> Value {
    let reply = client.post(EXPLAIN, body).await;
    reply.expect(StatusCode::OK);
    assert_eq!(reply.headers["cache-control"], "no-store");
    assert!(!reply.text.contains("hdy_"), "{}", reply.text);
    reply.data().clone()
}

fn codes(told: &Value) -> Vec<&str> {
    let obstacles = told["obstacles"].as_array().unwrap();
    obstacles.iter().map(|obstacle| obstacle["code"].as_str().unwrap()).collect()
}

on_both! {
    async fn an_explanation_begins_with_what_the_check_says(app: TestApp) {
        let owner = app.user("ada").await;
        with_orders(&app).await;
        let mint = async |body: Value| owner.mint(body).await;
        let read = json!({ "orders": { "read": true }, "projects": { "read": true } });
        let plain = mint(json!({ "permissions": read })).await;
        let bound = mint(json!({ "permissions": read, "realm_ids": [REALM_A] })).await;
        let elsewhere = mint(json!({ "permissions": read, "ip_whitelist": ["198.51.100.0/24"] })).await;
        let off = mint(json!({ "permissions": read, "ip_whitelist": ["198.51.100.0/24"] })).await;
        owner
            .patch(&format!("/api/v1/auth/tokens/{}", off.id), json!({ "is_enabled": false }))
            .await
            .expect(StatusCode::OK);
        let mut allowed = 0;
        for token in [&plain, &bound, &elsewhere, &off] {
            for permission in ["orders.read", "orders.create", "projects.read", "projects.create"] {
                for realm in [None, Some(REALM_A), Some(REALM_B)] {
                    let client = Client::of(&app.service, Some(&token.secret));
                    let client = realm.map_or(client.clone(), |realm| client.realm(realm));
                    let check = client.check(permission).await;
                    let mut asked = json!({ "token_id": token.id, "permission": permission });
                    if let Some(realm) = realm {
                        asked["realm_id"] = json!(realm);
                    }
                    let told = explained(&owner, asked).await;
                    let by_text = json!({ "credential": token.secret, "permission": permission });
                    if realm.is_none() {
                        assert_eq!(explained(&owner, by_text).await, told);
                    }
                    let case = format!("{permission} {realm:?}: {told}");
                    assert_eq!(told["status"], check.status.as_u16(), "{case}");
                    assert_eq!(told["allowed"], check.status == 204, "{case}");
                    assert_eq!(told["code"], check.body.get("code").cloned().unwrap_or_default(), "{case}");
                    assert_eq!(told["needs"], permission, "{case}");
                    assert_eq!(codes(&told).is_empty(), check.status == 204, "{case}");
                    allowed += u32::from(check.status == 204);
                }
            }
        }
        // Without realms a token works in all of them; bound to one, in that one.
        assert_eq!(allowed, 3 * 2 + 2);
        let told = explained(&owner, json!({ "token_id": off.id, "permission": "orders.create" })).await;
        assert_eq!(codes(&told), ["INVALID_TOKEN", "IP_NOT_WHITELISTED", "INSUFFICIENT_PERMISSIONS"]);
        let changes: Vec<_> =
            told["obstacles"].as_array().unwrap().iter().map(|obstacle| &obstacle["change"]).collect();
        assert!(changes.iter().all(|change| change.as_str().is_some_and(|change| change.ends_with('.'))));
        assert_eq!(*changes[2], json!("Grant the token orders.create."));
        let there = json!({ "token_id": elsewhere.id, "permission": "orders.read", "address": "198.51.100.9" });
        assert_eq!(explained(&owner, there).await["allowed"], true);
        // The caller itself: a session may everything.
        assert_eq!(explained(&owner, json!({ "permission": "orders.create" })).await["allowed"], true);
        // Nothing was noted as a use.
        app.service.flush_usage().await;
        let shown = owner.get(&format!("/api/v1/auth/tokens/{}", off.id)).await;
        assert_eq!(shown.data()["last_used_at"], Value::Null);
    }

    async fn foreign_unknown_and_malformed_are_the_same_bytes(app: TestApp) {
        let owner = app.user("ada").await;
        let other = app.user("bob").await;
        let foreign = other.mint(json!({})).await;
        let deleted = other.mint(json!({})).await;
        other.delete(&format!("/api/v1/auth/tokens/{}", deleted.id)).await.expect(StatusCode::OK);
        let own = owner.mint(json!({ "permissions": { "projects": { "read": true } } })).await;
        let sibling = owner.mint(json!({})).await;
        let token = Client::of(&app.service, Some(&own.secret));
        let unknown = app.service.unknown_token();
        let session = other.credential.clone().unwrap();
        for asking in [&owner, &token] {
            let wanted = explained(asking, json!({ "credential": unknown })).await;
            assert_eq!((&wanted["allowed"], &wanted["code"]), (&json!(false), &json!("INVALID_TOKEN")));
            for text in [&foreign.secret, &deleted.secret, &session, "hdy_x", "x.y.z", "", "a b", "Bearer "] {
                assert_eq!(explained(asking, json!({ "credential": text })).await, wanted, "{}", text.len());
            }
            let wanted = asking.post(EXPLAIN, json!({ "token_id": "0123456789abcdef01234567" })).await;
            wanted.refused(404, "TOKEN_NOT_FOUND");
            for id in [foreign.id.as_str(), &deleted.id, "x", ""] {
                let told = asking.post(EXPLAIN, json!({ "token_id": id })).await;
                assert_eq!((told.status, &told.text), (wanted.status, &wanted.text), "{id}");
            }
        }
        // A token is told of itself alone, not of its account's others.
        let itself = explained(&token, json!({ "credential": own.secret, "permission": "projects.read" })).await;
        assert_eq!((&itself["allowed"], &itself["token_id"]), (&json!(true), &json!(own.id)));
        let told = explained(&token, json!({ "token_id": own.id, "permission": "projects.create" })).await;
        assert_eq!(codes(&told), ["INSUFFICIENT_PERMISSIONS"]);
        token.post(EXPLAIN, json!({ "token_id": sibling.id })).await.refused(404, "TOKEN_NOT_FOUND");
        let told = explained(&token, json!({ "credential": sibling.secret })).await;
        assert_eq!(told["code"], "INVALID_TOKEN");
        // Its owner learns that it was deleted.
        owner.delete(&format!("/api/v1/auth/tokens/{}", sibling.id)).await.expect(StatusCode::OK);
        let told = explained(&owner, json!({ "credential": sibling.secret })).await;
        assert_eq!(told["obstacles"][0]["change"], "Create another token. This one was deleted.");
        // Without a credential in force there is no explanation.
        app.with(&unknown).post(EXPLAIN, json!({})).await.refused(401, "INVALID_TOKEN");
    }

    async fn a_request_at_a_gate_is_explained(app: TestApp) {
        let owner = app.user("ada").await;
        with_orders(&app).await;
        set(&owner, "orders", orders()).await;
        let reader = owner.mint(json!({ "permissions": { "orders": { "read": true } } })).await;
        let at = |method: &str, path: &str| {
            json!({ "gate": "orders", "method": method, "path": path, "token_id": reader.id })
        };
        let told = explained(&owner, at("GET", "/orders/7")).await;
        assert_eq!(
            (&told["allowed"], &told["status"], &told["route"], &told["needs"], &told["token_id"]),
            (&json!(true), &json!(200), &json!("/orders/{id}"), &json!("orders.read"), &json!(reader.id))
        );
        let told = explained(&owner, at("POST", "/orders")).await;
        assert_eq!((codes(&told), &told["status"]), (vec!["INSUFFICIENT_PERMISSIONS"], &json!(403)));
        assert_eq!(told["obstacles"][0]["change"], "Grant the token orders.create.");
        // A session does not come in at this gate.
        let mut own = at("GET", "/me");
        own.as_object_mut().unwrap().remove("token_id");
        assert_eq!(codes(&explained(&owner, own).await), ["INSUFFICIENT_PERMISSIONS"]);
        // Gates are for whoever manages them; another account's is not there.
        let token = Client::of(&app.service, Some(&reader.secret));
        token.post(EXPLAIN, at("GET", "/me")).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        let bob = app.user("bob").await;
        let mut there = at("GET", "/me");
        there.as_object_mut().unwrap().remove("token_id");
        bob.post(EXPLAIN, there).await.refused(404, "GATE_NOT_FOUND");
    }

    async fn bad_questions_name_the_field(app: TestApp) {
        let owner = app.user("ada").await;
        for (body, place) in [
            (json!({ "permission": "orders.raed" }), "/permission"),
            (json!({ "permission": 1 }), "/permission"),
            (json!({ "realm_id": "x" }), "/realm_id"),
            (json!({ "address": "x" }), "/address"),
            (json!({ "token_id": "x", "credential": "y" }), "/credential"),
            (json!({ "method": "GET" }), "/method"),
            (json!({ "gate": "orders", "path": "/" }), "/method"),
            (json!({ "gate": "orders", "method": "GET", "path": "/", "permission": "projects.read" }), "/permission"),
            (json!({ "x": 1 }), "/x"),
        ] {
            let reply = owner.post(EXPLAIN, body).await;
            reply.refused(422, "VALIDATION_ERROR");
            assert_eq!(reply.body["data"][0]["instancePath"], place, "{}", reply.text);
        }
    }
}
