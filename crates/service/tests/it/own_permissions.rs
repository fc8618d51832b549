//! The operator's own permissions: applied, granted, checked, renamed, retired, removed.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, Minted, REALM_A, Reply, TestApp, on_both};

const ALLOWED: StatusCode = StatusCode::NO_CONTENT;

fn orders() -> Value {
    json!({ "permissions": {
        "orders.read": { "description": "Read orders" },
        "orders.create": { "description": "Create orders", "writes": true },
    } })
}

async fn apply(app: &TestApp, file: &Value) -> u64 {
    app.service.apply_permissions(file, true, false).await.unwrap()
}

async fn mint(owner: &Client, permissions: Value) -> Minted {
    owner.mint(json!({ "permissions": permissions })).await
}

async fn tree(owner: &Client, token: &Minted) -> Value {
    let reply = owner.get(&format!("/api/v1/auth/tokens/{}", token.id)).await;
    reply.expect(StatusCode::OK).body["data"]["permissions"].clone()
}

/// The places that a 422 names.
fn places(reply: &Reply) -> Vec<&str> {
    reply.refused(422, "VALIDATION_ERROR");
    reply.body["data"].as_array().unwrap().iter().map(|one| one["instancePath"].as_str().unwrap()).collect()
}

on_both! {
    async fn an_own_permission_is_granted_and_checked(app: TestApp) {
        let owner = app.user("ada").await;
        owner.check("orders.read").await.refused(400, "INVALID_PARAMETER_VALUE");
        let refused = owner.post("/api/v1/auth/tokens", json!({ "permissions": { "orders": { "read": true } } }));
        assert_eq!(places(&refused.await), ["/permissions/orders"]);
        assert_eq!(apply(&app, &orders()).await, 1);
        let token = mint(&owner, json!({ "orders": { "read": true } })).await;
        assert_eq!(tree(&owner, &token).await, json!({ "orders": { "read": true } }));
        for _ in 0..2 {
            // Cold the first time, from the cache the second.
            token.client.check("orders.read").await.expect(ALLOWED);
            let refused = token.client.check("orders.create").await;
            refused.refused(403, "INSUFFICIENT_PERMISSIONS");
            assert_eq!(refused.body["message"], "Insufficient permissions: orders.create is required");
        }
        token.client.check("").await.expect(ALLOWED);
        token.client.check("projects.read").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        for path in ["orders", "orders.*", "orders.reads", "orders.rea", "Orders.read", "orders.read."] {
            token.client.check(path).await.refused(400, "INVALID_PARAMETER_VALUE");
        }
        owner.check("orders.create").await.expect(ALLOWED);
        let other = app.user("bob").await;
        other.check("orders.create").await.expect(ALLOWED);
        app.anon().check("orders.read").await.refused(401, "MISSING_TOKEN");
    }

    async fn nobody_holds_one_unasked(app: TestApp) {
        let owner = app.user("ada").await;
        apply(&app, &orders()).await;
        let full = owner.mint(json!({})).await;
        let template = owner.mint(json!({ "permission_template": "full_access" })).await;
        for token in [full, template] {
            token.client.check("orders.read").await.refused(403, "INSUFFICIENT_PERMISSIONS");
            token.client.check("projects.read").await.expect(ALLOWED);
            for leaf in ["resources.gates", "resources.introspect", "resources.guard"] {
                token.client.check(leaf).await.refused(403, "INSUFFICIENT_PERMISSIONS");
            }
        }
    }

    async fn a_change_of_the_catalogue_is_in_force_on_every_node(app: TestApp) {
        let owner = app.user("ada").await;
        apply(&app, &orders()).await;
        app.later(50).await;
        let other = app.another_node().await;
        let growing = mint(&owner, json!({ "orders": { "**": true } })).await;
        let star = mint(&owner, json!({ "orders": { "*": true } })).await;
        let there = |token: &Minted| token.client.at(&other);
        for token in [&growing, &star] {
            there(token).check("orders.read").await.expect(ALLOWED);
            token.client.check("orders.read").await.expect(ALLOWED);
            there(token).check("orders.ship").await.refused(400, "INVALID_PARAMETER_VALUE");
        }
        let mut file = orders();
        file["permissions"]["orders.ship"] = json!({});
        apply(&app, &file).await;
        // Here at once; there with the next poll.
        growing.client.check("orders.ship").await.expect(ALLOWED);
        star.client.check("orders.ship").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        there(&growing).check("orders.ship").await.refused(400, "INVALID_PARAMETER_VALUE");
        assert!(other.poll().await);
        there(&growing).check("orders.ship").await.expect(ALLOWED);
        there(&star).check("orders.ship").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(tree(&owner, &growing).await, json!({ "orders": { "**": true } }));
        assert_eq!(tree(&owner, &star).await, json!({ "orders": { "read": true, "create": true } }));
        // A node that is not fresh asks the database, each time.
        file["permissions"]["orders.bill"] = json!({});
        apply(&app, &file).await;
        other.advance(2_000);
        there(&growing).check("orders.bill").await.expect(ALLOWED);
    }

    async fn only_a_session_grants_what_grows(app: TestApp) {
        let owner = app.user("ada").await;
        apply(&app, &orders()).await;
        let maker = mint(&owner, json!({ "resources": { "create_tokens": true }, "orders": { "**": true } })).await;
        let body = json!({ "permissions": { "orders": { "**": true } } });
        let refused = maker.client.post("/api/v1/auth/tokens", body).await;
        assert_eq!(places(&refused), ["/permissions/orders/**"]);
        let child = mint(&maker.client, json!({ "orders": { "*": true } })).await;
        child.client.check("orders.create").await.expect(ALLOWED);
        let mut file = orders();
        file["permissions"]["orders.ship"] = json!({});
        apply(&app, &file).await;
        maker.client.check("orders.ship").await.expect(ALLOWED);
        child.client.check("orders.ship").await.refused(403, "INSUFFICIENT_PERMISSIONS");
    }

    async fn a_child_gets_no_more_than_its_parent_has(app: TestApp) {
        let owner = app.user("ada").await;
        apply(&app, &orders()).await;
        let parent = mint(&owner, json!({ "resources": { "create_tokens": true }, "orders": { "read": true } })).await;
        let child = mint(&parent.client, json!({ "orders": { "*": true } })).await;
        assert_eq!(tree(&owner, &child).await, json!({ "orders": { "read": true } }));
        child.client.check("orders.create").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        // Also the owner lifts it over its parent by no change.
        let path = format!("/api/v1/auth/tokens/{}", child.id);
        let lifted = owner.put(&path, json!({ "permissions": { "orders": { "*": true } } })).await;
        lifted.refused(400, "VALIDATION_ERROR");
        // What the parent loses, the child loses with it.
        let path = format!("/api/v1/auth/tokens/{}", parent.id);
        owner.put(&path, json!({ "permissions": { "resources": { "create_tokens": true } } })).await.expect(StatusCode::OK);
        child.client.check("orders.read").await.refused(403, "INSUFFICIENT_PERMISSIONS");
    }

    async fn an_old_name_works_for_ever(app: TestApp) {
        let owner = app.user("ada").await;
        apply(&app, &orders()).await;
        let token = mint(&owner, json!({ "orders": { "read": true } })).await;
        apply(&app, &json!({ "permissions": {
            "sales.read": { "renamed_from": "orders.read" }, "orders.create": { "writes": true },
        } })).await;
        for path in ["orders.read", "sales.read"] {
            token.client.check(path).await.expect(ALLOWED);
        }
        assert_eq!(tree(&owner, &token).await, json!({ "sales": { "read": true } }));
        let again = mint(&owner, json!({ "orders": { "read": true } })).await;
        assert_eq!(tree(&owner, &again).await, json!({ "sales": { "read": true } }));
        // The old name is nobody else's.
        let taken = json!({ "permissions": {
            "sales.read": {}, "orders.create": { "writes": true }, "orders.read": { "renamed_from": "orders.create" },
        } });
        let refused = app.service.apply_permissions(&taken, true, false).await.unwrap_err();
        assert!(refused.contains("orders.read"), "{refused}");
    }

    async fn a_retired_permission_is_kept_and_not_given(app: TestApp) {
        let owner = app.user("ada").await;
        apply(&app, &orders()).await;
        let holds = mint(&owner, json!({ "orders": { "read": true } })).await;
        let lacks = mint(&owner, json!({})).await;
        let mut file = orders();
        file["permissions"]["orders.read"]["retired"] = json!(true);
        apply(&app, &file).await;
        holds.client.check("orders.read").await.expect(ALLOWED);
        let asked = json!({ "permissions": { "orders": { "read": true } } });
        assert_eq!(places(&owner.post("/api/v1/auth/tokens", asked.clone()).await), ["/permissions/orders/read"]);
        let path = |token: &Minted| format!("/api/v1/auth/tokens/{}", token.id);
        assert_eq!(places(&owner.put(&path(&lacks), asked.clone()).await), ["/permissions/orders/read"]);
        owner.put(&path(&holds), asked).await.expect(StatusCode::OK);
        holds.client.check("orders.read").await.expect(ALLOWED);
        // A group is what can be granted of it.
        let group = mint(&owner, json!({ "orders": { "*": true } })).await;
        assert_eq!(tree(&owner, &group).await, json!({ "orders": { "create": true } }));
    }

    async fn what_is_held_is_not_removed_by_accident(app: TestApp) {
        let owner = app.user("ada").await;
        apply(&app, &orders()).await;
        let token = mint(&owner, json!({ "orders": { "*": true } })).await;
        token.client.check("orders.read").await.expect(ALLOWED);
        let rest = json!({ "permissions": { "orders.create": { "writes": true } } });
        let refused = app.service.apply_permissions(&rest, true, false).await.unwrap_err();
        assert!(refused.contains("orders.read: 1 token holds it"), "{refused}");
        token.client.check("orders.read").await.expect(ALLOWED);
        app.service.apply_permissions(&rest, true, true).await.unwrap();
        token.client.check("orders.read").await.refused(400, "INVALID_PARAMETER_VALUE");
        assert_eq!(tree(&owner, &token).await, json!({ "orders": { "create": true } }));
        // It comes back under its own number, and the token that lost it does not get it.
        apply(&app, &orders()).await;
        token.client.check("orders.read").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        token.client.check("orders.create").await.expect(ALLOWED);
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM own_permissions").await, 2);
    }

    async fn the_first_segments_of_hoody_are_its_own(app: TestApp) {
        for path in ["projects.ship", "admin.ship", "resources.ship", "containers.x", "financial.x"] {
            let file = json!({ "permissions": { path: {} } });
            let refused = app.service.apply_permissions(&file, false, false).await.unwrap_err();
            assert!(refused.contains("reserved for hoody"), "{path}: {refused}");
        }
    }

    async fn own_permissions_give_no_power_in_hoody(app: TestApp) {
        let owner = app.user("ada").await;
        apply(&app, &orders()).await;
        let one = mint(&owner, json!({ "orders": { "*": true } })).await;
        let two = mint(&owner, json!({ "orders": { "*": true } })).await;
        let path = format!("/api/v1/auth/tokens/{}", two.id);
        let me = &one.client;
        me.get(&path).await.refused(404, "TOKEN_NOT_FOUND");
        me.get(&format!("{path}/usage")).await.refused(404, "TOKEN_NOT_FOUND");
        let list = me.get("/api/v1/auth/tokens").await;
        let ids: Vec<&str> = list.body["data"].as_array().unwrap().iter().map(|t| t["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [one.id.as_str()]);
        assert_eq!(list.body["truncated"], true);
        // What writes in the operator's service writes nothing here.
        for reply in [
            me.put(&path, json!({ "alias": "mine" })).await,
            me.delete(&path).await,
            me.put(&format!("/api/v1/auth/tokens/{}", one.id), json!({ "alias": "mine" })).await,
            me.delete(&format!("/api/v1/auth/tokens/{}", one.id)).await,
            me.post(&format!("{path}/add-realm"), json!({ "realm_id": REALM_A })).await,
        ] {
            reply.refused(403, "INSUFFICIENT_PERMISSIONS");
        }
        me.post("/api/v1/auth/tokens", json!({})).await.refused(401, "SESSION_REQUIRED");
        for route in ["/api/v1/projects", "/api/v1/realms", "/api/v1/events", "/api/v1/vault/keys", "/api/v1/alerts", "/api/v1/users/auth/activity"] {
            me.get(route).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        }
        two.client.check("orders.read").await.expect(ALLOWED);
    }

    async fn the_catalogue_is_told_to_those_who_may_know_it(app: TestApp) {
        let owner = app.user("ada").await;
        apply(&app, &json!({
            "permissions": {
                "orders.read": { "description": "Read orders" }, "orders.create": { "writes": true },
                "orders.old": { "retired": true },
            },
            "templates": { "support": { "description": "Answers customers", "permissions": ["orders.*", "projects.read"] } },
        })).await;
        let list = owner.get("/api/v1/permissions").await.expect(StatusCode::OK).body["data"].clone();
        assert_eq!(list["version"], 1);
        let paths = |list: &Value| -> Vec<String> {
            list["permissions"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(paths(&list)[..4], ["orders.create", "orders.old", "orders.read", "containers.create"].map(str::to_owned));
        assert_eq!(list["permissions"][2], json!({
            "path": "orders.read", "description": "Read orders", "writes": false, "origin": "operator", "state": "live",
            "old_paths": [],
        }));
        assert_eq!(list["permissions"][1]["state"], "retired");
        assert!(list.get("unused").is_none());
        assert_eq!(list["templates"][0], json!({
            "name": "support", "description": "Answers customers", "origin": "operator",
            "permissions": ["projects.read", "orders.create", "orders.read"],
        }));
        let unused = owner.get("/api/v1/permissions?unused=true").await;
        let unused = unused.body["data"]["unused"].as_array().unwrap().clone();
        assert!(unused.iter().any(|one| one["path"] == "financial.wallet.read"));
        let reader = mint(&owner, json!({ "resources": { "read_account": true } })).await;
        assert_eq!(reader.client.get("/api/v1/permissions").await.body["data"], list);
        let token = owner.mint(json!({ "permission_template": "support" })).await;
        let own = token.client.get("/api/v1/permissions").await.body["data"].clone();
        assert_eq!(paths(&own), ["orders.create", "orders.read", "projects.read"].map(str::to_owned));
        assert_eq!(own["templates"], json!([]));
        token.client.check("orders.create").await.expect(ALLOWED);
        token.client.check("orders.old").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        let names = owner.get("/api/v1/auth/tokens/templates").await;
        assert!(names.body["data"].as_array().unwrap().iter().any(|one| one["name"] == "support"));
        owner.get("/api/v1/permissions?unused=maybe").await.refused(400, "INVALID_PARAMETER_VALUE");
    }

    async fn the_request_log_names_it(app: TestApp) {
        let owner = app.user("ada").await;
        apply(&app, &orders()).await;
        let token = mint(&owner, json!({ "orders": { "read": true } })).await;
        token.client.check("orders.read").await.expect(ALLOWED);
        token.client.check("orders.read").await.expect(ALLOWED);
        token.client.check("orders.create").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        assert!(app.service.flush_activity().await);
        let log = owner.get("/api/v1/users/auth/activity").await;
        let rows = log.expect(StatusCode::OK).body["data"].as_array().unwrap().clone();
        let of_token = rows.iter().filter(|row| row["token_id"] == token.id.as_str());
        let seen: Vec<(u64, &str)> = of_token
            .map(|row| (row["status_code"].as_u64().unwrap(), row["permission"].as_str().unwrap()))
            .collect();
        assert_eq!(seen, [(403, "orders.create"), (204, "orders.read"), (204, "orders.read")]);
    }
}
