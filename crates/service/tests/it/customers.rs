//! Tokens for one's customers: what is kept with them, and what services ask about them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use crate::gates::with_orders;
use crate::support::{Client, Minted, REALM_A, REALM_B, TestApp, on_both};

const TOKENS: &str = "/api/v1/auth/tokens";
const VERIFY: &str = "/api/v1/auth/verify";

/// A token of this client's account that may ask about others.
async fn asker(owner: &Client) -> Minted {
    owner.mint(json!({ "alias": "orders", "permissions": { "resources": { "introspect": true } } })).await
}

async fn verified(client: &Client, items: Value) -> Vec<Value> {
    let reply = client.post(VERIFY, json!({ "credentials": items })).await;
    reply.expect(StatusCode::OK);
    assert_eq!(reply.headers["cache-control"], "no-store");
    assert!(!reply.text.contains("hdy_"), "{}", reply.text);
    reply.data().as_array().unwrap().clone()
}

/// Tokens of every kind: the text, and the code of the refusal for `orders.read` in no realm.
async fn kinds(app: &TestApp, owner: &Client) -> Vec<(String, Option<&'static str>)> {
    let read = json!({ "orders": { "read": true } });
    let mint = async |mut body: Value| {
        body["permissions"] = read.clone();
        owner.mint(body).await
    };
    let good = mint(json!({ "alias": "good", "external_id": "cust_7", "meta": { "plan": "pro" } })).await;
    let bound = mint(json!({ "realm_ids": [REALM_A] })).await;
    let here = mint(json!({ "ip_whitelist": ["203.0.113.0/24"] })).await;
    let elsewhere = mint(json!({ "ip_whitelist": ["198.51.100.0/24"] })).await;
    let (off, deleted) = (mint(json!({})).await, mint(json!({})).await);
    owner.patch(&format!("{TOKENS}/{}", off.id), json!({ "is_enabled": false })).await.expect(StatusCode::OK);
    owner.delete(&format!("{TOKENS}/{}", deleted.id)).await.expect(StatusCode::OK);
    let less = owner.mint(json!({ "permissions": { "orders": { "create": true } } })).await;
    let foreign = app.user("mallory").await.mint(json!({ "permissions": read })).await;
    let session = owner.credential.clone().unwrap();
    vec![
        (good.secret, None),
        (bound.secret, Some("REALM_SCOPE_REQUIRED")),
        (here.secret, None),
        (elsewhere.secret, Some("IP_NOT_WHITELISTED")),
        (off.secret, Some("INVALID_TOKEN")),
        (less.secret, Some("INSUFFICIENT_PERMISSIONS")),
        (session, Some("INSUFFICIENT_PERMISSIONS")),
        (deleted.secret, Some("NOT_FOUND")),
        (foreign.secret, Some("NOT_FOUND")),
        (app.service.unknown_token(), Some("NOT_FOUND")),
        ("hdy_x".to_owned(), Some("NOT_FOUND")),
        (String::new(), Some("NOT_FOUND")),
        ("a b".to_owned(), Some("NOT_FOUND")),
    ]
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// Posts a form.
async fn form(client: &Client, path: &str, authorization: Option<&str>, body: &str) -> crate::support::Reply {
    let client = client.header("content-type", "application/x-www-form-urlencoded");
    let client = match authorization {
        Some(text) => client.header("authorization", text),
        None => client,
    };
    client.send(http::Method::POST, path, body.as_bytes().to_vec()).await
}

on_both! {
    async fn what_is_kept_with_a_token_is_shown_changed_and_copied(app: TestApp) {
        let owner = app.user("ada").await;
        let body = json!({ "alias": "cust", "external_id": "cust_7", "meta": { "plan": "pro", "seats": 3 },
            "tags": ["eu", "pro"], "description": "The key of customer 7" });
        let made = owner.post(TOKENS, body.clone()).await;
        made.expect(StatusCode::CREATED);
        let (id, secret) = (made.data()["id"].as_str().unwrap(), made.data()["token"].as_str().unwrap());
        assert_eq!(made.data()["hint"], secret[secret.len() - 4..]);
        let path = format!("{TOKENS}/{id}");
        let shown = owner.get(&path).await;
        for name in ["external_id", "meta", "tags", "description"] {
            assert_eq!(shown.data()[name], body[name], "{name}");
        }
        let copy = owner.post(&format!("{path}/copy"), json!({})).await;
        assert_eq!((&copy.data()["external_id"], &copy.data()["meta"]), (&body["external_id"], &body["meta"]));
        assert_ne!(copy.data()["hint"], shown.data()["hint"]);
        let changed = owner.patch(&path, json!({ "meta": null, "tags": ["us"], "description": "" })).await;
        changed.expect(StatusCode::OK);
        let shown = owner.get(&path).await;
        assert_eq!((&shown.data()["external_id"], &shown.data()["tags"]), (&json!("cust_7"), &json!(["us"])));
        assert!(shown.data().get("meta").is_none() && shown.data().get("description").is_none());
        // A token knows what is kept with it; without anything an answer is as it was.
        let itself = app.with(secret).get(&format!("{TOKENS}/me")).await;
        assert_eq!(itself.data()["token"]["external_id"], "cust_7");
        let plain = owner.post(TOKENS, json!({ "alias": "plain" })).await;
        for name in ["external_id", "meta", "tags", "description"] {
            assert!(plain.data().get(name).is_none(), "{name}");
        }
        for (body, place) in [
            (json!({ "external_id": "x".repeat(256) }), "/external_id"),
            (json!({ "meta": { "x": "y".repeat(5_000) } }), "/meta"),
            (json!({ "meta": "x" }), "/meta"),
            (json!({ "tags": ["a b"] }), "/tags"),
            (json!({ "description": 1 }), "/description"),
        ] {
            for reply in [owner.post(TOKENS, body.clone()).await, owner.patch(&path, body).await] {
                reply.refused(422, "VALIDATION_ERROR");
                assert_eq!(reply.body["data"][0]["instancePath"], place);
            }
        }
    }

    async fn tokens_are_found_by_external_id_tag_and_state(app: TestApp) {
        let owner = app.user("ada").await;
        for (alias, external_id, tag) in [("a", "cust_1", "eu"), ("b", "cust_2", "eu"), ("c", "cust_1", "us")] {
            owner.mint(json!({ "alias": alias, "external_id": external_id, "tags": [tag, "all"] })).await;
        }
        let off = owner.mint(json!({ "alias": "off", "external_id": "cust_1" })).await;
        owner.patch(&format!("{TOKENS}/{}", off.id), json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        let end = app.service.now().millis() + 60_000;
        owner.mint(json!({ "alias": "old", "external_id": "cust_1", "expires_at": end })).await;
        app.service.advance(61_000);
        let minter = owner
            .mint(json!({ "alias": "minter", "permissions": { "resources": { "create_tokens": true } } }))
            .await;
        minter.client.mint(json!({ "alias": "child", "external_id": "cust_1", "permissions": {} })).await;
        let found = async |client: &Client, query: &str| {
            let reply = client.get(&format!("{TOKENS}?{query}")).await;
            reply.expect(StatusCode::OK);
            let tokens = reply.data().as_array().unwrap().clone();
            let mut aliases: Vec<_> = tokens.iter().map(|token| token["alias"].as_str().unwrap()).collect();
            aliases.sort_unstable();
            aliases.join(" ")
        };
        for (query, wanted) in [
            ("", "a b c child minter off old"),
            ("external_id=cust_1", "a c child off old"),
            ("external_id=cust_1&state=active", "a c child"),
            ("external_id=cust_1&state=expired", "old"),
            ("state=disabled", "off"),
            ("tag=eu", "a b"),
            ("tag=all&external_id=cust_1", "a c"),
            ("external_id=cust_9", ""),
            ("external_id=", "a b c child minter off old"),
        ] {
            assert_eq!(found(&owner, query).await, wanted, "{query}");
        }
        assert_eq!(found(&minter.client, "external_id=cust_1").await, "child");
        for query in ["state=x", "tag=a%20b", "tags=eu", "state=active&state=active"] {
            let refused = owner.get(&format!("{TOKENS}?{query}")).await;
            refused.refused(400, "INVALID_PARAMETER_VALUE");
        }
    }

    async fn credentials_are_verified_as_the_gate_judges_them(app: TestApp) {
        let owner = app.user("ada").await;
        with_orders(&app).await;
        let asker = app.with(&asker(&owner).await.secret);
        let kinds = kinds(&app, &owner).await;
        let items: Vec<_> = kinds
            .iter()
            .enumerate()
            .map(|(index, (text, _))| {
                json!({ "ref": index.to_string(), "credential": text, "permission": "orders.read",
                    "address": "203.0.113.9", "method": "GET", "route": "/orders/{id}" })
            })
            .collect();
        let told = verified(&asker, json!(items)).await;
        assert_eq!(told.len(), kinds.len());
        for (index, (told, (_, code))) in told.iter().zip(&kinds).enumerate() {
            assert_eq!(
                (&told["ref"], &told["allowed"], told.get("code").and_then(Value::as_str)),
                (&json!(index.to_string()), &json!(code.is_none()), *code),
                "{told}"
            );
            assert_eq!(told.get("token_id").is_some(), !matches!(*code, Some("NOT_FOUND")) && index != 6, "{told}");
        }
        let good = &told[0];
        assert_eq!(
            (&good["alias"], &good["external_id"], &good["meta"], &good["permissions"]),
            (&json!("good"), &json!("cust_7"), &json!({ "plan": "pro" }), &json!(["orders.read"]))
        );
        // Foreign, unknown and malformed are the same but for their name.
        let without_name = |told: &Value| {
            let mut told = told.clone();
            told.as_object_mut().unwrap().remove("ref");
            told
        };
        assert!(told[8..].iter().all(|one| without_name(one) == without_name(&told[7])));
        // The log tells of each with the client's address, route and permission, and of no credential.
        assert!(app.service.flush_activity().await);
        let rows = owner.get("/api/v1/users/auth/activity?limit=200").await;
        let rows: Vec<_> =
            rows.data().as_array().unwrap().iter().filter(|row| row["via"] == "verify").cloned().collect();
        assert_eq!(rows.len(), kinds.len());
        assert!(rows.iter().all(|row| row["path"] == "/orders/{id}" && row["ip_address"] == "203.0.113.9"));
        app.service.flush_usage().await;
        let shown = owner.get(&format!("{TOKENS}/{}", good["token_id"].as_str().unwrap())).await;
        assert_eq!(shown.data()["last_used_ip"], "203.0.113.9");
    }

    async fn a_question_is_dry_names_realms_and_lists_of_permissions(app: TestApp) {
        let owner = app.user("ada").await;
        with_orders(&app).await;
        let asker = app.with(&asker(&owner).await.secret);
        let token = owner
            .mint(json!({ "permissions": { "orders": { "read": true } }, "realm_ids": [REALM_A],
                "ip_whitelist": ["203.0.113.0/24"] }))
            .await;
        let base = json!({ "credential": token.secret, "realm_id": REALM_A, "address": "203.0.113.9" });
        let with = |more: Value| {
            let mut item = base.clone();
            item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            item
        };
        let items = [
            (with(json!({})), None),
            (with(json!({ "any_of": ["orders.create", "orders.read"] })), None),
            (with(json!({ "all_of": ["orders.create", "orders.read"] })), Some("INSUFFICIENT_PERMISSIONS")),
            (with(json!({ "realm_id": REALM_B })), Some("REALM_NOT_ALLOWED")),
            (with(json!({ "address": "198.51.100.1" })), Some("IP_NOT_WHITELISTED")),
            // Without an address, a token that is bound to some is not good.
            (json!({ "credential": token.secret, "realm_id": REALM_A }), Some("IP_NOT_WHITELISTED")),
        ];
        let asked: Vec<_> = items.iter().map(|(item, _)| item.clone()).collect();
        let told = asker.post(VERIFY, json!({ "credentials": asked, "dry": true })).await;
        for (told, (item, code)) in told.data().as_array().unwrap().iter().zip(&items) {
            assert_eq!(told.get("code").and_then(Value::as_str), *code, "{item}");
        }
        assert!(app.service.flush_activity().await);
        let rows = owner.get("/api/v1/users/auth/activity?limit=200").await;
        assert!(rows.data().as_array().unwrap().iter().all(|row| row["via"] != "verify"));
        // A revocation is in force with the next question.
        owner.delete(&format!("{TOKENS}/{}", token.id)).await.expect(StatusCode::OK);
        assert_eq!(verified(&asker, json!([base])).await[0]["code"], "NOT_FOUND");
    }

    async fn bad_questions_are_told_with_their_place_and_only_askers_ask(app: TestApp) {
        let owner = app.user("ada").await;
        let plain = owner.mint(json!({})).await;
        let one = json!({ "credential": plain.secret });
        app.with(&plain.secret)
            .post(VERIFY, json!({ "credentials": [one] }))
            .await
            .refused(403, "INSUFFICIENT_PERMISSIONS");
        for (body, place) in [
            (json!({}), "/credentials"),
            (json!({ "credentials": [] }), "/credentials"),
            (json!({ "credentials": vec![&one; 1_001] }), "/credentials"),
            (json!({ "credentials": [{}] }), "/credentials/0/credential"),
            (json!({ "credentials": [one, { "credential": 1 }] }), "/credentials/1/credential"),
            (json!({ "credentials": [{ "credential": "x", "permission": "no.such" }] }), "/credentials/0/permission"),
            (json!({ "credentials": [{ "credential": "x", "any_of": ["projects.read", "x"] }] }), "/credentials/0/any_of/1"),
            (json!({ "credentials": [{ "credential": "x", "all_of": [] }] }), "/credentials/0/all_of"),
            (json!({ "credentials": [{ "credential": "x", "permission": "projects.read", "all_of": ["projects.read"] }] }), "/credentials/0/all_of"),
            (json!({ "credentials": [{ "credential": "x", "address": "x" }] }), "/credentials/0/address"),
            (json!({ "credentials": [{ "credential": "x", "realm_id": "x" }] }), "/credentials/0/realm_id"),
            (json!({ "credentials": [{ "credential": "x", "route": "x" }] }), "/credentials/0/route"),
            (json!({ "credentials": [{ "credential": "x", "cost": 1 }] }), "/credentials/0/cost"),
            (json!({ "credentials": [one], "x": 1 }), "/x"),
        ] {
            let reply = owner.post(VERIFY, body).await;
            reply.refused(422, "VALIDATION_ERROR");
            assert_eq!(reply.body["data"][0]["instancePath"], place, "{}", reply.text);
            assert!(!reply.text.contains(&plain.secret));
        }
        let many = owner.post(VERIFY, json!({ "credentials": vec![&one; 1_000] })).await;
        assert_eq!(many.data().as_array().unwrap().len(), 1_000);
    }

    async fn introspection_answers_as_rfc_7662_says(app: TestApp) {
        let owner = app.user("ada").await;
        with_orders(&app).await;
        let asking = asker(&owner).await;
        let anyone = app.anon();
        let header = basic(&asking.id, &asking.secret);
        let ask = async |body: String| form(&anyone, "/oauth/introspect", Some(&header), &body).await;
        for (text, code) in kinds(&app, &owner).await {
            let body = format!("token={text}&permission=orders.read&address=203.0.113.9").replace(' ', "+");
            let told = ask(body).await;
            told.expect(StatusCode::OK);
            // A token that is bound to realms is in force where its realm is not asked about.
            let is_active = code.is_none() || code == Some("REALM_SCOPE_REQUIRED");
            if is_active {
                let now = app.service.now().millis() / 1_000;
                assert_eq!(
                    (&told.body["active"], &told.body["scope"], &told.body["token_type"]),
                    (&json!(true), &json!("orders.read"), &json!("Bearer"))
                );
                assert_eq!(told.body["exp"].as_i64(), Some(now + 60));
                assert_eq!(told.body["jti"], told.body["client_id"]);
                assert_eq!(told.body.get("hoody_restricted").is_some(), code.is_some());
            } else {
                assert_eq!(told.body, json!({ "active": false }), "{code:?}");
            }
            assert!(told.headers.get("www-authenticate").is_none());
            assert_eq!(told.headers["cache-control"], "no-store");
        }
        // Every way to say who asks; and the ways that are none.
        let body = format!("token={}", asking.secret);
        let post = format!("{body}&client_id={}&client_secret={}", asking.id, asking.secret);
        let encoded = basic(&asking.id, &asking.secret.replace('_', "%5F"));
        let bearer = format!("Bearer {}", asking.secret);
        for (authorization, body) in
            [(Some(header.as_str()), &body), (Some(&encoded), &body), (Some(&bearer), &body), (None, &post)]
        {
            let told = form(&anyone, "/oauth/introspect", authorization, body).await;
            assert_eq!((told.status, &told.body["active"]), (StatusCode::OK, &json!(true)), "{}", told.text);
        }
        let plain = owner.mint(json!({})).await;
        let wrong = basic("65a1b2c3d4e5f60718293a4b", &asking.secret);
        let unknown = basic(&asking.id, &app.service.unknown_token());
        let lesser = basic(&plain.id, &plain.secret);
        for (authorization, body, status, code) in [
            (None, body.as_str(), 401, "invalid_client"),
            (Some("Basic !"), &body, 401, "invalid_client"),
            (Some(&wrong), &body, 401, "invalid_client"),
            (Some(&unknown), &body, 401, "invalid_client"),
            (Some(&lesser), &body, 403, "insufficient_scope"),
            (Some(&header), &post, 400, "invalid_request"),
            (Some(&header), "", 400, "invalid_request"),
            (Some(&header), "token=a&token=b", 400, "invalid_request"),
            (Some(&header), "token=a&address=x", 400, "invalid_request"),
            (Some(&header), "token=a&realm=x", 400, "invalid_request"),
            (Some(&header), "token=a&permission=no.such", 400, "invalid_request"),
        ] {
            let told = form(&anyone, "/oauth/introspect", authorization, body).await;
            assert_eq!((told.status.as_u16(), &told.body["error"]), (status, &json!(code)), "{body}");
            assert_eq!(told.headers.contains_key("www-authenticate"), status == 401);
            assert!(!told.text.contains("hdy_"));
        }
        // A token in a URL is not read; JSON is no form.
        let query = form(&anyone, &format!("/oauth/introspect?token={}", plain.secret), Some(&header), "").await;
        assert_eq!(query.status, StatusCode::BAD_REQUEST);
        let json = anyone.header("authorization", &header);
        let json = json.post("/oauth/introspect", json!({ "token": "x" })).await;
        assert_eq!(json.status, StatusCode::BAD_REQUEST);
    }

    async fn revocation_ends_what_the_caller_may_end(app: TestApp) {
        let owner = app.user("ada").await;
        let anyone = app.anon();
        let (itself, other) = (owner.mint(json!({ "permissions": {} })).await, owner.mint(json!({})).await);
        let foreign = app.user("bob").await.mint(json!({})).await;
        let header = basic(&itself.id, &itself.secret);
        let revoke = async |header: &str, body: &str| form(&anyone, "/oauth/revoke", Some(header), body).await;
        // What is unknown, another account's, or not to be seen is not in force for the caller.
        let unknown = app.service.unknown_token();
        for text in [unknown.as_str(), "x", &foreign.secret] {
            assert_eq!(revoke(&header, &format!("token={text}")).await.status, StatusCode::OK);
        }
        app.with(&foreign.secret).get(&format!("{TOKENS}/me")).await.expect(StatusCode::OK);
        let refused = revoke(&header, &format!("token={}", other.secret)).await;
        assert_eq!((refused.status, &refused.body["error"]), (StatusCode::FORBIDDEN, &json!("insufficient_scope")));
        let session = format!("token={}", owner.credential.as_deref().unwrap());
        assert_eq!(revoke(&header, &session).await.body["error"], "unsupported_token_type");
        assert_eq!(revoke(&header, "").await.status, StatusCode::BAD_REQUEST);
        // A token ends itself, whatever else it may do; a session ends all of its account's.
        assert_eq!(revoke(&header, &format!("token={}&token_type_hint=access_token", itself.secret)).await.status, StatusCode::OK);
        app.with(&itself.secret).get(&format!("{TOKENS}/me")).await.refused(401, "INVALID_TOKEN");
        assert_eq!(revoke(&header, "token=x").await.status, StatusCode::UNAUTHORIZED);
        let bearer = format!("Bearer {}", owner.credential.as_deref().unwrap());
        assert_eq!(revoke(&bearer, &format!("token={}", other.secret)).await.status, StatusCode::OK);
        owner.get(&format!("{TOKENS}/{}", other.id)).await.refused(404, "TOKEN_NOT_FOUND");
    }

    async fn the_metadata_names_what_there_is(app: TestApp) {
        let told = app.anon().get("/.well-known/oauth-authorization-server").await;
        told.expect(StatusCode::OK);
        assert_eq!(told.body["issuer"], "https://auth.example.com");
        assert_eq!(told.body["introspection_endpoint"], "https://auth.example.com/oauth/introspect");
        assert_eq!(told.body["revocation_endpoint"], "https://auth.example.com/oauth/revoke");
    }
}
