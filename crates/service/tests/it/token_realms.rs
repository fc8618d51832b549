//! Realms: where a token may be used (`contract/tokens.md` 8), and what a realm's host shows.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, REALM_A, REALM_B, on_both};

const TOKENS: &str = "/api/v1/auth/tokens";
const ME: &str = "/api/v1/auth/tokens/me";
const REALM_C: &str = "cccccccccccccccccccccccc";

fn path(id: &str) -> String {
    format!("{TOKENS}/{id}")
}

async fn aliases(client: &Client) -> BTreeSet<String> {
    let list = client.get(TOKENS).await;
    list.expect(StatusCode::OK);
    let tokens = list.data().as_array().unwrap().iter();
    tokens.map(|token| token["alias"].as_str().unwrap().to_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

on_both! {
    async fn a_token_works_where_its_realms_say(app: TestApp) {
        let user = app.user("ada").await;
        let (anywhere, any_realm, listed) = (json!([]), json!([]), json!([REALM_A, REALM_B]));
        const OK: Option<&str> = None;
        const SCOPE: Option<&str> = Some("REALM_SCOPE_REQUIRED");
        const WRONG: Option<&str> = Some("REALM_NOT_ALLOWED");
        for (realm_ids, allow_no_realm, base, on_a, on_c) in [
            (anywhere, true, OK, OK, OK),
            (any_realm, false, SCOPE, OK, OK),
            (listed.clone(), true, SCOPE, OK, WRONG),
            (listed, false, SCOPE, OK, WRONG),
        ] {
            let token =
                user.mint(json!({ "realm_ids": realm_ids, "allow_no_realm": allow_no_realm })).await.client;
            for (client, expected) in
                [(token.clone(), base), (token.realm(REALM_A), on_a), (token.realm(REALM_C), on_c)]
            {
                for place in
                    ["/api/v1/auth/check", TOKENS, "/api/v1/users/auth/me", "/api/v1/auth/tokens/templates"]
                {
                    let reply = client.get(place).await;
                    match expected {
                        None => assert!(reply.status.is_success(), "{place}: {}", reply.text),
                        Some(code) => {
                            reply.refused(403, code);
                            let said = reply.body["message"].as_str().unwrap();
                            let text = if code == "REALM_NOT_ALLOWED" {
                                "not valid for realm"
                            } else {
                                "requires a realm-scoped URL"
                            };
                            assert!(said.contains(text), "a client looks for these words: {said}");
                        }
                    }
                }
            }
        }
    }

    async fn a_restricted_token_learns_its_realms_on_the_base_host(app: TestApp) {
        let user = app.user("ada").await;
        for (realm_ids, allow_no_realm) in
            [(json!([REALM_B, REALM_A]), false), (json!([REALM_A]), true), (json!([]), false)]
        {
            let token = user.mint(json!({ "realm_ids": realm_ids, "allow_no_realm": allow_no_realm })).await;
            let restrictions = |active: Value| {
                json!({
                    "has_realm_restrictions": true, "requires_realm_scope": true,
                    "allowed_realm_ids": realm_ids,
                    "allow_no_realm": allow_no_realm, "active_realm_id": active, "max_delegation_depth": 3,
                })
            };
            let me = token.client.get(ME).await;
            me.expect(StatusCode::OK);
            assert_eq!(me.data()["restrictions"], restrictions(Value::Null));
            let me = token.client.realm(REALM_A).get(ME).await;
            me.expect(StatusCode::OK);
            assert_eq!(me.data()["restrictions"], restrictions(json!(REALM_A)));
        }
        let token = user.mint(json!({ "realm_ids": [REALM_A] })).await;
        token.client.realm(REALM_C).get(ME).await.refused(403, "REALM_NOT_ALLOWED");
        // Nothing but that is open there: not even its own profile.
        token
            .client
            .put(&format!("{ME}/public-profile"), json!({ "public_storage": null }))
            .await
            .refused(403, "REALM_SCOPE_REQUIRED");
        user.put(&path(&token.id), json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        token.client.get(ME).await.refused(401, "INVALID_TOKEN");
    }

    async fn a_realms_host_is_known_in_every_spelling(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({ "realm_ids": [REALM_A] })).await.client;
        for host in [
            format!("{REALM_A}.api.localhost"),
            format!("{REALM_A}.api.localhost:8080"),
            format!("{}.API.Localhost.", REALM_A.to_uppercase()),
        ] {
            let me = token.host(&host).get(ME).await;
            assert_eq!(me.data()["restrictions"]["active_realm_id"], REALM_A, "{host}");
        }
        for host in [
            "api.localhost",
            "API.LOCALHOST:80",
            "127.0.0.1:8080",
            "[::1]:8080",
            "default.api.localhost",
            "aaaaaaaaaaaaaaaaaaaaaaa.api.localhost",
            "gggggggggggggggggggggggg.api.localhost",
        ] {
            let me = token.host(host).get(ME).await;
            me.expect(StatusCode::OK);
            assert_eq!(me.data()["restrictions"]["active_realm_id"], Value::Null, "{host}");
            token.host(host).check("").await.refused(403, "REALM_SCOPE_REQUIRED");
        }
    }

    async fn a_realm_below_an_unknown_domain_is_refused_and_names_the_setting(app: TestApp) {
        let user = app.user("ada").await;
        let host = format!("{REALM_A}.api.example.com");
        for client in [user.host(&host), app.anon().host(&host), app.with("nonsense").host(&host)] {
            for place in [TOKENS, "/api/v1/users/auth/me", "/api/v1/auth/check", "/api/v1/ip"] {
                let reply = client.get(place).await;
                reply.refused(400, "REALM_HOST_UNKNOWN");
                assert!(reply.body["message"].as_str().unwrap().contains("--domain"), "{}", reply.text);
            }
        }
        let login = app.anon().host(&host).post("/api/v1/users/auth/login", json!({})).await;
        login.refused(400, "REALM_HOST_UNKNOWN");
    }

    async fn adding_a_realm_twice_is_adding_it_once(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({ "allow_no_realm": false })).await;
        let add = format!("{}/add-realm", path(&token.id));
        for (realm, expected) in [(REALM_B, json!([REALM_B])), (REALM_A, json!([REALM_B, REALM_A]))] {
            app.later(1_000).await;
            let first = user.post(&add, json!({ "realm_id": realm })).await;
            first.expect(StatusCode::OK);
            assert_eq!(first.body["message"], "Realm added to auth token successfully");
            assert_eq!(first.data()["realm_ids"], expected);
            assert_eq!(first.data()["updated_at"], app.service.now().to_string());
            let head = app.service.number("SELECT pos AS n FROM feed_head").await;
            app.later(1_000).await;
            let second = user.post(&add, json!({ "realm_id": realm })).await;
            assert_eq!(
                (second.status, second.data()),
                (StatusCode::OK, first.data()),
                "success without modification"
            );
            assert_eq!(app.service.number("SELECT pos AS n FROM feed_head").await, head);
        }
        token.client.realm(REALM_B).check("").await.expect(StatusCode::NO_CONTENT);
        token.client.realm(REALM_C).check("").await.refused(403, "REALM_NOT_ALLOWED");
    }

    async fn removing_a_realm_twice_is_removing_it_once(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({ "realm_ids": [REALM_A, REALM_B], "allow_no_realm": false })).await;
        let remove = format!("{}/remove-realm", path(&token.id));
        token.client.realm(REALM_B).check("").await.expect(StatusCode::NO_CONTENT);
        let first = user.post(&remove, json!({ "realm_id": REALM_B })).await;
        first.expect(StatusCode::OK);
        assert_eq!(first.body["message"], "Realm removed from auth token successfully");
        assert_eq!(first.data()["realm_ids"], json!([REALM_A]));
        token.client.realm(REALM_B).check("").await.refused(403, "REALM_NOT_ALLOWED");
        app.later(1_000).await;
        let second = user.post(&remove, json!({ "realm_id": REALM_B })).await;
        assert_eq!((second.status, second.data()), (StatusCode::OK, first.data()));
        // The last one leaves the flags as they are: any realm, still not the base host.
        let last = user.post(&remove, json!({ "realm_id": REALM_A })).await;
        assert_eq!((&last.data()["realm_ids"], &last.data()["allow_no_realm"]), (&json!([]), &json!(false)));
        token.client.realm(REALM_C).check("").await.expect(StatusCode::NO_CONTENT);
        token.client.check("").await.refused(403, "REALM_SCOPE_REQUIRED");
    }

    async fn a_realm_that_is_none_is_refused(app: TestApp) {
        let user = app.user("ada").await;
        let realms: Vec<_> = (0..500).map(|n| format!("{n:024x}")).collect();
        let token = user.mint(json!({ "realm_ids": realms })).await;
        for change in ["add-realm", "remove-realm"] {
            let place = format!("{}/{change}", path(&token.id));
            for (body, status, code) in [
                (json!({}), 400, "MISSING_REQUIRED_FIELD"),
                (json!({ "realm_id": "x" }), 400, "INVALID_REALM_ID_FORMAT"),
                (json!({ "realm_id": REALM_A.to_uppercase() }), 400, "INVALID_REALM_ID_FORMAT"),
                (json!({ "realm_id": "*" }), 400, "INVALID_REALM_ID_FORMAT"),
                (json!({ "realm_id": null }), 422, "VALIDATION_ERROR"),
                (json!({ "realm_id": [REALM_A] }), 422, "VALIDATION_ERROR"),
                (json!({ "realm_id": REALM_A, "realm_ids": [] }), 422, "VALIDATION_ERROR"),
            ] {
                user.post(&place, body).await.refused(status, code);
            }
            let unknown = format!("{}/{change}", path(&"0".repeat(24)));
            user.post(&unknown, json!({ "realm_id": REALM_A })).await.refused(404, "TOKEN_NOT_FOUND");
        }
        let one_more =
            user.post(&format!("{}/add-realm", path(&token.id)), json!({ "realm_id": REALM_A })).await;
        one_more.refused(400, "VALIDATION_ERROR");
        assert_eq!(user.get(&path(&token.id)).await.data()["realm_ids"].as_array().unwrap().len(), 500);
    }

    async fn a_realms_host_never_makes_a_list_of_501(app: TestApp) {
        let user = app.user("ada").await;
        let on_a = user.realm(REALM_A);
        let others: Vec<_> = (0..500).map(|n| format!("{n:024x}")).collect();
        let of_499: Vec<_> = others[1..].to_vec();
        on_a.post(TOKENS, json!({ "realm_ids": others })).await.refused(400, "VALIDATION_ERROR");
        let made = on_a.post(TOKENS, json!({ "realm_ids": of_499 })).await;
        made.expect(StatusCode::CREATED);
        let id = made.data()["id"].as_str().unwrap().to_owned();
        let refused = on_a.put(&path(&id), json!({ "realm_ids": others })).await;
        refused.refused(400, "VALIDATION_ERROR");
        assert!(refused.text.contains(REALM_A) && refused.text.contains("500"), "{}", refused.text);
        assert_eq!(user.get(&path(&id)).await.data()["realm_ids"].as_array().unwrap().len(), 500);
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM token_realms").await, 500);
        // Without the host's realm on top it is 500.
        user.put(&path(&id), json!({ "realm_ids": others })).await.expect(StatusCode::OK);
    }

    async fn a_realms_host_shows_what_is_in_the_realm(app: TestApp) {
        let user = app.user("ada").await;
        user.mint(json!({ "alias": "everywhere" })).await;
        let a = user.mint(json!({ "alias": "a", "realm_ids": [REALM_A] })).await;
        let b = user.mint(json!({ "alias": "b", "realm_ids": [REALM_B] })).await;
        user.mint(json!({ "alias": "ab", "realm_ids": [REALM_B, REALM_A] })).await;
        assert_eq!(aliases(&user).await, set(&["everywhere", "a", "b", "ab"]));
        assert_eq!(aliases(&user.realm(REALM_A)).await, set(&["a", "ab"]));
        assert_eq!(aliases(&user.realm(REALM_B)).await, set(&["b", "ab"]));
        assert_eq!(aliases(&user.realm(REALM_C)).await, set(&[]));
        assert_eq!(aliases(&a.client.realm(REALM_A)).await, set(&["a"]));
        let list = user.realm(REALM_A).get(TOKENS).await;
        assert_eq!(list.body.get("truncated"), None, "a session asked for that realm and got all of it");

        let on_a = user.realm(REALM_A);
        on_a.get(&path(&a.id)).await.expect(StatusCode::OK);
        on_a.get(&path(&b.id)).await.refused(404, "TOKEN_NOT_FOUND");
        on_a.put(&path(&b.id), json!({ "alias": "x" })).await.refused(404, "TOKEN_NOT_FOUND");
        on_a.delete(&path(&b.id)).await.refused(404, "TOKEN_NOT_FOUND");
        on_a.post(&format!("{}/copy", path(&b.id)), json!({})).await.refused(404, "TOKEN_NOT_FOUND");
        on_a.post(&format!("{}/add-realm", path(&b.id)), json!({ "realm_id": REALM_A }))
            .await
            .refused(404, "TOKEN_NOT_FOUND");
        on_a.post(&format!("{}/remove-realm", path(&b.id)), json!({ "realm_id": REALM_B }))
            .await
            .refused(404, "TOKEN_NOT_FOUND");
        assert_eq!(aliases(&user).await, set(&["everywhere", "a", "b", "ab"]));
    }

    async fn what_is_made_or_changed_on_a_realms_host_is_in_that_realm(app: TestApp) {
        let user = app.user("ada").await;
        let on_a = user.realm(REALM_A);
        for (given, expected) in [
            (json!({}), json!([REALM_A])),
            (json!({ "realm_ids": [REALM_B] }), json!([REALM_B, REALM_A])),
            (json!({ "realm_ids": [REALM_A, REALM_B] }), json!([REALM_A, REALM_B])),
        ] {
            let made = on_a.post(TOKENS, given).await;
            made.expect(StatusCode::CREATED);
            assert_eq!(made.data()["realm_ids"], expected);
            let id = made.data()["id"].as_str().unwrap().to_owned();
            let changed = on_a.put(&path(&id), json!({ "realm_ids": [REALM_C] })).await;
            assert_eq!(
                changed.data()["realm_ids"],
                json!([REALM_C, REALM_A]),
                "it never leaves the realm of the host"
            );
            let copied = on_a.post(&format!("{}/copy", path(&id)), json!({})).await;
            assert_eq!(copied.data()["realm_ids"], json!([REALM_C, REALM_A]));
        }
    }

    /// Threat 21: an id of another realm or another account is as good as none.
    async fn threat_21_an_id_from_elsewhere_is_not_found(app: TestApp) {
        let (user, stranger) = (app.user("ada").await, app.user("bob").await);
        let admin_of_a =
            user.mint(json!({ "realm_ids": [REALM_A], "vault_access": true })).await.client.realm(REALM_A);
        let of_b = user.mint(json!({ "alias": "b", "realm_ids": [REALM_B] })).await;
        let of_bob = stranger.mint(json!({ "alias": "a", "realm_ids": [REALM_A] })).await;
        let before = (user.get(TOKENS).await.text, stranger.get(TOKENS).await.text);
        for client in [&admin_of_a, &user.realm(REALM_A)] {
            for (id, unknown) in [(&of_b.id, "0".repeat(24)), (&of_bob.id, "0".repeat(24))] {
                for (method, tail, body) in [
                    (http::Method::GET, "", json!({})),
                    (http::Method::PUT, "", json!({ "alias": "x" })),
                    (http::Method::PATCH, "", json!({ "is_enabled": false })),
                    (http::Method::DELETE, "", json!({})),
                    (http::Method::POST, "/add-realm", json!({ "realm_id": REALM_A })),
                    (http::Method::POST, "/remove-realm", json!({ "realm_id": REALM_B })),
                ] {
                    let ask = async |id: &str| {
                        client
                            .send(
                                method.clone(),
                                &format!("{}{tail}", path(id)),
                                body.to_string().into_bytes(),
                            )
                            .await
                    };
                    let reply = ask(id).await;
                    reply.refused(404, "TOKEN_NOT_FOUND");
                    assert_eq!(reply.body, ask(&unknown).await.body, "it reads like an id that never was");
                }
            }
        }
        assert_eq!((user.get(TOKENS).await.text, stranger.get(TOKENS).await.text), before);
        of_b.client.realm(REALM_B).check("").await.expect(StatusCode::NO_CONTENT);
    }
}
