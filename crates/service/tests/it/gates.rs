//! Gates over the API: set, given back, found fault with, kept apart, and in force with the next question.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, REALM_A, REALM_B, TestApp, on_both};

const GATES: &str = "/api/v1/gates";

/// The operator's permissions of these tests.
pub(crate) async fn with_orders(app: &TestApp) {
    let file = json!({ "permissions": {
        "orders.read": { "description": "Read orders" },
        "orders.create": { "description": "Create orders", "writes": true },
        "orders.old": { "description": "What was" },
    } });
    app.service.apply_permissions(&file, false, false).await.unwrap();
}

pub(crate) fn orders() -> Value {
    json!({
        "hosts": ["orders.example.com"],
        "route": [
            { "path": "/healthz", "public": true },
            { "path": "/orders/{id}", "methods": ["GET"], "permission": "orders.read" },
            { "path": "/orders", "methods": ["POST"], "permission": "orders.create" },
            { "path": "/me", "any": true },
        ],
    })
}

/// Sets the gate of this name; its id.
pub(crate) async fn set(client: &Client, name: &str, gate: Value) -> String {
    let reply = client.put(&format!("{GATES}/{name}"), gate).await;
    assert!(reply.status.is_success(), "{}", reply.text);
    reply.data()["id"].as_str().unwrap().to_owned()
}

async fn try_at(client: &Client, name: &str, body: Value) -> Value {
    let reply = client.post(&format!("{GATES}/{name}/test"), body).await;
    reply.expect(StatusCode::OK);
    assert_eq!(reply.headers["cache-control"], "no-store");
    reply.data().clone()
}

on_both! {
    async fn a_gate_is_set_shown_changed_and_deleted(app: TestApp) {
        let owner = app.user("ada").await;
        with_orders(&app).await;
        let path = format!("{GATES}/orders");
        owner.get(&path).await.refused(404, "GATE_NOT_FOUND");
        let made = owner.put(&path, orders()).await;
        made.expect(StatusCode::CREATED);
        let id = made.data()["id"].as_str().unwrap();
        assert_eq!(made.data()["url"], format!("https://auth.example.com/gate/auth?gate={id}"));
        assert_eq!(made.data()["warnings"], json!([]));
        let shown = owner.get(&path).await;
        let mut wanted = orders();
        wanted["name"] = json!("orders");
        assert_eq!((&shown.data()["definition"], &shown.data()["id"]), (&wanted, &json!(id)));
        // What is shown can be sent.
        owner.put(&path, shown.data()["definition"].clone()).await.expect(StatusCode::OK);
        let listed = owner.get(GATES).await;
        assert_eq!(
            (&listed.data()[0]["name"], &listed.data()[0]["routes"], &listed.data()[0]["realm"]),
            (&json!("orders"), &json!(4), &json!("none"))
        );
        app.later(1_000).await;
        let less = json!({ "hosts": ["orders.example.com", "b.example.com"], "route": [], "realm": REALM_A });
        let changed = owner.put(&path, less).await;
        assert_eq!(
            (&changed.data()["id"], &changed.data()["created_at"]),
            (&json!(id), &made.data()["created_at"])
        );
        assert_ne!(changed.data()["updated_at"], made.data()["updated_at"]);
        let listed = owner.get(GATES).await;
        assert_eq!(listed.data()[0]["hosts"], json!(["orders.example.com", "b.example.com"]));
        assert_eq!((&listed.data()[0]["routes"], &listed.data()[0]["realm"]), (&json!(0), &json!(REALM_A)));
        owner.delete(&path).await.expect(StatusCode::OK);
        owner.delete(&path).await.refused(404, "GATE_NOT_FOUND");
        assert_eq!(owner.get(GATES).await.data(), &json!([]));
    }

    async fn a_definition_with_faults_is_refused_with_each_of_them(app: TestApp) {
        let owner = app.user("ada").await;
        with_orders(&app).await;
        let path = format!("{GATES}/orders");
        let with = |key: &str, value: Value| {
            let mut gate = orders();
            gate[key] = value;
            gate
        };
        let row = |row: Value| with("route", json!([row]));
        for (gate, places) in [
            (json!({}), &["/hosts"][..]),
            (json!([]), &[""]),
            (with("name", json!("other")), &["/name"]),
            (with("name", json!(7)), &["/name"]),
            (with("extra", json!(1)), &["/extra"]),
            (with("hosts", json!(["a b", "https://x", "x:80"])), &["/hosts/0", "/hosts/1", "/hosts/2"]),
            (with("realm", json!("all")), &["/realm"]),
            (with("accounts", json!(["x"])), &["/accounts/0"]),
            (row(json!({ "path": "/a", "permission": "orders.reed" })), &["/route/0/permission"]),
            (row(json!({ "path": "/a", "any_of": ["orders.read", "nothing"] })), &["/route/0/any_of"]),
            (row(json!({ "path": "a", "any": true })), &["/route/0/path"]),
            (row(json!({ "path": "/a" })), &["/route/0"]),
            (row(json!({ "path": "/a", "any": true, "public": true })), &["/route/0"]),
            (row(json!({ "path": "/../a", "any": true })), &["/route/0/path"]),
            (row(json!({ "path": "/a", "any": true, "methods": ["get"] })), &["/route/0/methods/0"]),
            (
                with("route", json!([{ "path": "/a/{x}", "any": true }, { "path": "/a/{y}", "any": true }])),
                &["/route/1"],
            ),
        ] {
            let reply = owner.put(&path, gate.clone()).await;
            reply.refused(422, "VALIDATION_ERROR");
            let told: Vec<_> = reply.body["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["instancePath"].as_str().unwrap())
                .collect();
            assert!(told.iter().any(|place| place.starts_with(places[0])), "{gate}: {told:?}");
            assert!(told.len() >= places.len(), "{gate}: {told:?}");
        }
        for name in ["Orders", "-a", "a%20b", &"a".repeat(65)] {
            owner.put(&format!("{GATES}/{name}"), orders()).await.refused(422, "VALIDATION_ERROR");
        }
        owner
            .put(&path, with("route", json!(vec![json!({ "path": "/a", "any": true }); 1_001])))
            .await
            .refused(422, "VALIDATION_ERROR");
        assert_eq!(owner.get(GATES).await.data(), &json!([]));
    }

    async fn what_may_be_a_mistake_is_warned_of(app: TestApp) {
        let owner = app.user("ada").await;
        with_orders(&app).await;
        let gate = json!({ "hosts": ["a.example.com"], "route": [
            { "path": "/**", "public": true },
            { "path": "/old", "permission": "orders.old" },
        ] });
        set(&owner, "a", gate).await;
        let renamed = json!({ "permissions": {
            "orders.read": {}, "orders.create": {}, "orders.former": { "renamed_from": "orders.old" },
        } });
        app.service.apply_permissions(&renamed, true, false).await.unwrap();
        let shown = owner.get(&format!("{GATES}/a")).await;
        let warnings: Vec<_> = shown.data()["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|w| w.as_str().unwrap().to_owned())
            .collect();
        assert!(warnings.iter().any(|w| w.contains("public")), "{warnings:?}");
        assert!(warnings.iter().any(|w| w.contains("orders.old is an old name")), "{warnings:?}");
        let retired = json!({ "permissions": {
            "orders.read": {}, "orders.create": {}, "orders.former": { "retired": true },
        } });
        app.service.apply_permissions(&retired, true, false).await.unwrap();
        let set = owner
            .put(
                &format!("{GATES}/a"),
                json!({ "hosts": ["a.example.com"], "route": [
            { "path": "/old", "permission": "orders.former" }] }),
            )
            .await;
        set.expect(StatusCode::OK);
        assert!(set.data()["warnings"][0].as_str().unwrap().contains("retired"), "{}", set.text);
    }

    async fn an_account_has_its_own_gates_and_at_most_a_hundred(app: TestApp) {
        let (owner, other) = (app.user("ada").await, app.user("bob").await);
        let gate = || json!({ "hosts": ["a.example.com"], "route": [] });
        for number in 0..100 {
            set(&owner, &format!("g{number}"), gate()).await;
        }
        owner.put(&format!("{GATES}/one-more"), gate()).await.refused(409, "LIMIT_REACHED");
        owner.put(&format!("{GATES}/g7"), gate()).await.expect(StatusCode::OK);
        for path in [format!("{GATES}/g7")] {
            other.get(&path).await.refused(404, "GATE_NOT_FOUND");
            other.delete(&path).await.refused(404, "GATE_NOT_FOUND");
            other
                .post(&format!("{path}/test"), json!({ "method": "GET", "path": "/" }))
                .await
                .refused(404, "GATE_NOT_FOUND");
        }
        // The same name is another gate.
        let theirs = set(&other, "g7", gate()).await;
        assert_ne!(owner.get(&format!("{GATES}/g7")).await.data()["id"], json!(theirs));
    }

    async fn tokens_need_the_leaf_and_stay_in_their_realms(app: TestApp) {
        let owner = app.user("ada").await;
        let gates = json!({ "resources": { "gates": true } });
        let full = owner.mint(json!({})).await;
        full.client.get(GATES).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        let token = owner.mint(json!({ "permissions": gates })).await;
        let gate = |realm: &str| json!({ "hosts": ["a.example.com"], "realm": realm, "route": [] });
        for (name, realm) in
            [("none", "none"), ("a", REALM_A), ("b", REALM_B), ("host", "{realm}.example.com")]
        {
            set(&token.client, name, gate(realm)).await;
        }
        let bound =
            owner.mint(json!({ "permissions": gates, "realm_ids": [REALM_A] })).await.client.realm(REALM_A);
        let listed = bound.get(GATES).await;
        assert_eq!((listed.data().as_array().unwrap().len(), &listed.body["truncated"]), (1, &json!(true)));
        for name in ["none", "b", "host"] {
            bound.get(&format!("{GATES}/{name}")).await.refused(404, "GATE_NOT_FOUND");
            bound.delete(&format!("{GATES}/{name}")).await.refused(404, "GATE_NOT_FOUND");
            bound
                .put(&format!("{GATES}/{name}"), gate(REALM_A))
                .await
                .refused(403, "INSUFFICIENT_PERMISSIONS");
        }
        bound.put(&format!("{GATES}/a"), gate("none")).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        bound.put(&format!("{GATES}/a"), gate(REALM_A)).await.expect(StatusCode::OK);
    }

    async fn a_trial_says_what_would_happen_and_why(app: TestApp) {
        let owner = app.user("ada").await;
        with_orders(&app).await;
        set(&owner, "orders", orders()).await;
        let reader =
            owner.mint(json!({ "alias": "ci", "permissions": { "orders": { "read": true } } })).await;
        let trial = async |method: &str, path: &str, credential: Option<&str>| {
            let mut body = json!({ "method": method, "path": path });
            if let Some(credential) = credential {
                body["credential"] = json!(credential);
            }
            try_at(&owner, "orders", body).await
        };
        let good = trial("GET", "/orders/7?x=1", Some(&reader.secret)).await;
        assert_eq!(
            (&good["allowed"], &good["status"], &good["route"], &good["needs"]),
            (&json!(true), &json!(200), &json!("/orders/{id}"), &json!("orders.read"))
        );
        assert_eq!(
            (&good["token_id"], &good["token_alias"], &good["permissions"]),
            (&json!(reader.id), &json!("ci"), &json!("orders.read"))
        );
        for (method, path, credential, status, code) in [
            ("POST", "/orders", Some(reader.secret.as_str()), 403, "INSUFFICIENT_PERMISSIONS"),
            ("GET", "/nowhere", Some(reader.secret.as_str()), 403, "NO_ROUTE"),
            ("GET", "/nowhere", None, 401, "MISSING_TOKEN"),
            ("GET", "/orders//7", Some(reader.secret.as_str()), 400, "PATH_NOT_CANONICAL"),
            ("GET", "/me", Some("hdy_x"), 401, "INVALID_TOKEN"),
            ("GET", "/me", owner.credential.as_deref(), 403, "INSUFFICIENT_PERMISSIONS"),
            ("TRACE", "/me", Some(reader.secret.as_str()), 403, "NO_ROUTE"),
            ("G T", "/me", None, 400, "GATE_HEADERS"),
        ] {
            let told = trial(method, path, credential).await;
            assert_eq!(
                (&told["allowed"], &told["status"], &told["code"]),
                (&json!(false), &json!(status), &json!(code)),
                "{method} {path}"
            );
            assert_eq!(told["obstacles"][0]["code"], code);
            assert!(
                told["obstacles"][0]["change"].as_str().is_some_and(|change| change.ends_with('.')),
                "{told}"
            );
            assert!(!told.to_string().contains("hdy_"));
        }
        assert_eq!(trial("GET", "/healthz", None).await["allowed"], json!(true));
        // Nothing was noted as a use.
        app.service.flush_usage().await;
        let shown = owner.get(&format!("/api/v1/auth/tokens/{}", reader.id)).await;
        assert_eq!(shown.data()["last_used_at"], Value::Null);
        for (body, place) in [
            (json!({}), "/method"),
            (json!({ "method": "GET", "path": "/", "address": "x" }), "/address"),
            (json!({ "method": "GET", "path": "/", "x": 1 }), "/x"),
        ] {
            let reply = owner.post(&format!("{GATES}/orders/test"), body).await;
            reply.refused(422, "VALIDATION_ERROR");
            assert_eq!(reply.body["data"][0]["instancePath"], place);
        }
    }
}
