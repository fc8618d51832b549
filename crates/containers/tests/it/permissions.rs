//! The permission that guards each operation: with it alone a token may, without it alone it may not.

use std::collections::BTreeSet;

use hoody_core::permissions::Catalogue;
use http::Method;
use serde_json::{Value, json};

use crate::stage::on_both_stages;

/// Method, path, permission, body. `{id}` is a container's, `{project}` its project's, `{snapshot}` a snapshot's.
const OPERATIONS: [(&str, &str, &str, &str); 43] = [
    ("GET", "/api/v1/containers", "containers.read", ""),
    ("GET", "/api/v1/projects/{project}/containers", "containers.read", ""),
    ("POST", "/api/v1/projects/{project}/containers", "containers.create", r#"{"server_id": "local"}"#),
    ("GET", "/api/v1/containers/{id}", "containers.read", ""),
    ("PUT", "/api/v1/containers/{id}", "containers.update", r#"{"comment": "x"}"#),
    ("PATCH", "/api/v1/containers/{id}", "containers.update", r#"{"comment": "y"}"#),
    ("POST", "/api/v1/containers/{id}/start", "containers.actions.start", ""),
    ("GET", "/api/v1/containers/{id}/start", "containers.actions.start", ""),
    ("POST", "/api/v1/containers/{id}/stop", "containers.actions.stop", ""),
    ("POST", "/api/v1/containers/{id}/force-stop", "containers.actions.stop", ""),
    ("POST", "/api/v1/containers/{id}/restart", "containers.actions.restart", ""),
    ("POST", "/api/v1/containers/{id}/execute", "containers.actions.exec", r#"{"command": "echo a"}"#),
    ("GET", "/api/v1/containers/{id}/stats", "containers.read", ""),
    ("GET", "/api/v1/containers/{id}/env", "containers.read", ""),
    ("PUT", "/api/v1/containers/{id}/env", "containers.update", r#"{"A": "1"}"#),
    ("PATCH", "/api/v1/containers/{id}/env", "containers.update", r#"{"A": "2"}"#),
    ("PUT", "/api/v1/containers/{id}/env/A", "containers.update", r#"{"value": "3"}"#),
    ("PATCH", "/api/v1/containers/{id}/env/A", "containers.update", r#"{"value": "4"}"#),
    ("DELETE", "/api/v1/containers/{id}/env/A", "containers.update", ""),
    ("GET", "/api/v1/containers/{id}/snapshots", "containers.read", ""),
    ("POST", "/api/v1/containers/{id}/snapshots", "containers.features.snapshots", ""),
    (
        "PUT",
        "/api/v1/containers/{id}/snapshots/{snapshot}/alias",
        "containers.features.snapshots",
        r#"{"alias": "x"}"#,
    ),
    (
        "PATCH",
        "/api/v1/containers/{id}/snapshots/{snapshot}/alias",
        "containers.features.snapshots",
        r#"{"alias": "y"}"#,
    ),
    ("PUT", "/api/v1/containers/{id}/snapshots/{snapshot}", "containers.features.snapshots", ""),
    ("PATCH", "/api/v1/containers/{id}/snapshots/{snapshot}", "containers.features.snapshots", ""),
    ("DELETE", "/api/v1/containers/{id}/snapshots/{snapshot}", "containers.features.snapshots", ""),
    (
        "PUT",
        "/api/v1/projects/{project}/proxy/permissions/default",
        "resources.proxy_aliases",
        r#"{"default": "deny"}"#,
    ),
    (
        "PATCH",
        "/api/v1/projects/{project}/proxy/permissions/default",
        "resources.proxy_aliases",
        r#"{"default": "deny"}"#,
    ),
    (
        "PUT",
        "/api/v1/containers/{id}/proxy/permissions/default",
        "resources.proxy_aliases",
        r#"{"default": "deny"}"#,
    ),
    (
        "PATCH",
        "/api/v1/containers/{id}/proxy/permissions/default",
        "resources.proxy_aliases",
        r#"{"default": "deny"}"#,
    ),
    ("PUT", "/api/v1/containers/{id}/kvm", "containers.features.kvm", ""),
    ("PATCH", "/api/v1/containers/{id}/kvm", "containers.features.kvm", ""),
    ("GET", "/api/v1/containers/{id}/network", "containers.features.networking", ""),
    ("PUT", "/api/v1/containers/{id}/network", "containers.features.networking", r#"{"type": "block"}"#),
    ("DELETE", "/api/v1/containers/{id}/network", "containers.features.networking", ""),
    ("POST", "/api/v1/containers/{id}/network/start", "containers.features.networking", ""),
    ("POST", "/api/v1/containers/{id}/network/stop", "containers.features.networking", ""),
    ("POST", "/api/v1/containers/{id}/pause", "containers.actions.stop", ""),
    ("POST", "/api/v1/containers/{id}/resume", "containers.actions.start", ""),
    ("POST", "/api/v1/containers/{id}/copy", "containers.create", "{}"),
    ("POST", "/api/v1/containers/{id}/sync", "containers.update", ""),
    ("GET", "/api/v1/containers/{id}/status-logs", "containers.actions.logs", ""),
    // Last: nothing is left afterwards.
    ("DELETE", "/api/v1/containers/{id}", "containers.delete", ""),
];
const UNSUPPORTED: [&str; 9] = [
    "/kvm",
    "/network",
    "/network/start",
    "/network/stop",
    "/status-logs",
    "/pause",
    "/resume",
    "/copy",
    "/sync",
];

#[test]
fn the_table_has_every_operation() {
    let document = serde_json::to_value(hoody_containers::openapi()).unwrap();
    let named = |path: &str| {
        path.replace("{project}", "{id}").replace("{snapshot}", "{name}").replace("/env/A", "/env/{key}")
    };
    let table: BTreeSet<String> =
        OPERATIONS.iter().map(|(method, path, ..)| format!("{method} {}", named(path))).collect();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        described.extend(
            methods.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())),
        );
    }
    assert_eq!(table, described);
}

fn tree(wanted: impl Fn(&str) -> bool) -> Value {
    let catalogue = Catalogue::hoody();
    let wanted = catalogue.leaves().filter(|(_, leaf)| wanted(&leaf.path)).map(|(permission, _)| permission);
    catalogue.to_tree(wanted.collect())
}

on_both_stages! {
    async fn each_operation_asks_for_its_permission(stage: Stage) {
        let id = stage.running("web").await;
        let snapshot = stage.ada.post(&format!("/api/v1/containers/{id}/snapshots"), json!({})).await;
        let snapshot = snapshot.data()["snapshot"]["name"].as_str().unwrap().to_owned();
        for (method, path, leaf, body) in OPERATIONS {
            let method: Method = method.parse().unwrap();
            let path = path.replace("{id}", &id).replace("{project}", &stage.project).replace("{snapshot}", &snapshot);
            let body = || body.as_bytes().to_vec();
            stage.app.anon().send(method.clone(), &path, body()).await.refused(401, "MISSING_TOKEN");
            let without = stage.ada.mint(json!({ "permissions": tree(|path| path != leaf) })).await;
            let refused = without.client.send(method.clone(), &path, body()).await;
            refused.refused(403, "INSUFFICIENT_PERMISSIONS");
            assert!(refused.body["message"].as_str().unwrap().contains(leaf), "{method} {path}: {}", refused.text);
            let only = stage.ada.mint(json!({ "permissions": tree(|path| path == leaf) })).await;
            let let_in = only.client.send(method.clone(), &path, body()).await;
            match UNSUPPORTED.iter().any(|end| path.ends_with(end)) {
                true => drop(let_in.refused(400, "NOT_SUPPORTED").clone()),
                false => assert!(let_in.status.is_success(), "{method} {path}: {}", let_in.text),
            }
        }
    }

    async fn an_operators_permission_opens_nothing_here(stage: Stage) {
        let own = json!({ "permissions": { "orders.read": { "description": "Read orders" } } });
        stage.app.service.apply_permissions(&own, true, false).await.unwrap();
        let id = stage.running("web").await;
        let token = stage.ada.mint(json!({ "permissions": { "orders": { "read": true } } })).await;
        token.client.get("/api/v1/containers").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        let path = format!("/api/v1/containers/{id}/execute");
        token.client.post(&path, json!({ "command": "echo a" })).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        let ran = stage.at_terminal(&token.client, &id).post("/execute", json!({ "command": "echo a" })).await;
        ran.refused(403, "INSUFFICIENT_PERMISSIONS");
    }

    async fn a_reader_of_a_project_reads_its_containers_and_no_more(stage: Stage) {
        let id = stage.running("web").await;
        let carol = stage.app.user("carol").await;
        let share = format!("/api/v1/projects/{}/permissions", stage.project);
        let share_with = json!({ "user_id": carol.account().await, "permission_level": "read" });
        let path = format!("/api/v1/containers/{id}");
        carol.get(&path).await.refused(404, "CONTAINER_NOT_FOUND");
        stage.ada.post(&share, share_with).await.expect(http::StatusCode::CREATED);
        carol.get(&path).await.expect(http::StatusCode::OK);
        assert_eq!(carol.get("/api/v1/containers").await.data()["pagination"]["total"], 1);
        for refused in [
            carol.patch(&path, json!({ "name": "mine" })).await,
            carol.delete(&path).await,
            carol.post(&format!("{path}/stop"), json!({})).await,
            carol.post(&format!("{path}/execute"), json!({ "command": "echo a" })).await,
            carol.post(&format!("{path}/snapshots"), json!({})).await,
            carol.post(&format!("/api/v1/projects/{}/containers", stage.project), json!({ "server_id": "local" })).await,
            carol.put(&format!("{path}/env"), json!({ "A": "1" })).await,
            carol.put(&format!("{path}/proxy/permissions/default"), json!({ "default": "allow" })).await,
        ] {
            refused.refused(403, "INSUFFICIENT_PERMISSIONS");
        }
    }

    async fn the_terminal_is_a_feature_that_a_token_needs(stage: Stage) {
        let path = format!("/api/v1/projects/{}/containers", stage.project);
        let token = stage.ada.mint(json!({ "permissions": { "containers": { "create": true } } })).await;
        let asked = json!({ "server_id": "local", "hoody_kit": true });
        token.client.post(&path, asked).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        let made = token.client.post(&path, json!({ "server_id": "local" })).await;
        assert_eq!((&made.data()["hoody_kit"], &made.data()["ai"]), (&json!(false), &json!(false)), "{}", made.text);
    }
}
