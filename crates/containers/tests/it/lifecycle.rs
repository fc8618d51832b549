//! Containers from their making to their end, and bad input.

use http::{Method, StatusCode};
use serde_json::json;

use crate::stage::{Stage, on_both_stages};
use crate::support::{REALM_A, REALM_B, TestApp};

const NOBODYS: &str = "000000000000000000000000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_engine_lists_are_empty_and_nothing_runs() {
    let stage = Stage::of(TestApp::sqlite().await, false).await;
    for path in ["/api/v1/containers/", &format!("/api/v1/projects/{}/containers", stage.project)] {
        let listed = stage.ada.get(path).await;
        listed.expect(StatusCode::OK);
        assert_eq!(listed.data()["containers"], json!([]), "{path}");
        assert_eq!(
            (listed.data()["pagination"]["total"].as_u64(), listed.data()["pagination"]["limit"].as_u64()),
            (Some(0), Some(50))
        );
    }
    let refused = stage.ask(json!({ "name": "web" })).await;
    refused.refused(503, "RUNTIME_UNAVAILABLE");
    assert!(refused.body["message"].as_str().unwrap().contains("--container-engine"));
    assert!(!refused.headers.contains_key("retry-after"), "asking again does not help");
    stage.ask(json!({ "name": "a b" })).await.refused(400, "INVALID_CONTAINER_NAME");
    let path = format!("/api/v1/projects/{NOBODYS}/containers");
    stage.ada.post(&path, json!({ "server_id": "local" })).await.refused(404, "PROJECT_NOT_FOUND");
    assert_eq!(stage.engine.count(), 0, "nothing looked for an engine");
}

on_both_stages! {
    async fn a_container_is_made_used_and_removed(stage: Stage) {
        let made = stage.ask(json!({ "name": "web", "server_id": "server-123", "serverId": "ignored",
            "hoody_kit": true, "environment_vars": { "PORT": "8080" } })).await;
        made.expect(StatusCode::CREATED);
        assert_eq!(made.data()["server_name"], "local", "the seeds build a URL with it");
        assert_eq!((&made.data()["status"], &made.data()["container_image"]), (&json!("creating"), &json!("busybox")));
        let id = made.data()["id"].as_str().unwrap().to_owned();
        stage.until(&id, "running").await;
        let name = format!("hoody-{id}");
        assert_eq!(stage.engine.containers(), [(name.clone(), "running".to_owned())]);
        let body = stage.engine.container(&name).unwrap().body;
        assert_eq!(body["Labels"]["hoody.container"], json!(id));
        assert!(!body.to_string().contains("8080"), "the environment goes with commands, not into the container");

        let path = |act: &str| format!("/api/v1/containers/{id}/{act}");
        for (act, status) in [("stop", "stopped"), ("stop", "stopped"), ("start", "running"), ("start", "running"),
            ("force-stop", "stopped"), ("restart", "running")] {
            let done = stage.ada.post(&path(act), json!({})).await;
            done.expect(StatusCode::OK);
            assert_eq!(done.data()["status"], status, "{act}: {}", done.text);
            assert_eq!((&done.data()["error"], &done.data()["operation"]), (&json!(false), &json!(act)));
            assert_eq!(done.data()["operation_id"].as_str().unwrap().len(), 24);
        }
        // The workflow of the seeds starts without -X POST.
        stage.ada.post(&path("stop"), json!({})).await.expect(StatusCode::OK);
        let started = stage.ada.get(&path("start")).await;
        assert_eq!(started.data()["status"], "running", "{}", started.text);
        for (name, value) in [("cookie", "a=b"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")] {
            stage.ada.header(name, value).get(&path("start")).await.refused(405, "METHOD_NOT_ALLOWED");
        }
        let head = stage.ada.send(Method::HEAD, &path("start"), Vec::new()).await;
        assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED);

        let deleted = stage.ada.delete(&format!("/api/v1/containers/{id}")).await;
        deleted.expect(StatusCode::OK);
        assert!(deleted.data().is_null());
        stage.ada.get(&format!("/api/v1/containers/{id}")).await.refused(404, "CONTAINER_NOT_FOUND");
        assert_eq!(stage.engine.containers(), []);
    }

    async fn each_step_is_an_event(stage: Stage) {
        let id = stage.running("web").await;
        stage.ada.patch(&format!("/api/v1/containers/{id}"), json!({ "name": "website" })).await.expect(StatusCode::OK);
        stage.ada.delete(&format!("/api/v1/containers/{id}")).await.expect(StatusCode::OK);
        assert_eq!(stage.app.service.project().await, None);
        let listed = stage.ada.get(&format!("/api/v1/events?resource_id={id}&sort_order=asc")).await;
        let types: Vec<&str> = listed.data()["events"].as_array().unwrap().iter()
            .map(|event| event["event_type"].as_str().unwrap()).collect();
        assert_eq!(types, ["container.creating", "container.running", "container.renamed", "container.deleting",
            "container.deleted"]);
        assert_eq!(listed.data()["events"][1]["payload"]["container"]["status"], "running");
    }

    async fn what_can_be_changed_is_changed_and_listed(stage: Stage) {
        let id = stage.running("web").await;
        stage.running("data").await;
        let path = format!("/api/v1/containers/{id}");
        let changed = stage.ada.patch(&path, json!({ "name": "a", "color": "ff8800", "comment": "x", "autostart": false,
            "ramdisk_scope": "project", "environment_vars": { "A": "1" }, "realm_ids": [REALM_A] })).await;
        changed.expect(StatusCode::OK);
        assert_eq!((&changed.data()["name"], &changed.data()["color"]), (&json!("a"), &json!("#FF8800")));
        assert_eq!(changed.data()["environment_vars"], json!({ "A": "1" }));
        stage.ada.put(&path, json!({ "name": "data" })).await.refused(409, "CONTAINER_NAME_IN_USE");
        stage.ada.put(&path, json!({ "name": "" })).await.refused(400, "INVALID_CONTAINER_NAME");
        stage.ada.put(&path, json!({ "ramdisk_scope": "host" })).await.refused(422, "VALIDATION_ERROR");
        let names = async |query: &str| {
            let listed = stage.ada.get(&format!("/api/v1/containers{query}")).await;
            listed.expect(StatusCode::OK);
            listed.data()["containers"].as_array().unwrap().iter()
                .map(|container| container["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("?sort_by=name&sort_order=asc").await, ["a", "data"]);
        assert_eq!(names("?limit=1&page=2&sort_by=name&sort_order=asc").await, ["data"]);
        assert_eq!(names(&format!("?realm_id={REALM_A}")).await, ["a"]);
        assert_eq!(names(&format!("?realm_id={REALM_B}")).await, [""; 0]);
        let realms = stage.ada.get("/api/v1/realms?include_usage=true").await;
        assert_eq!(realms.data()["usage"][REALM_A]["containers"], 1, "{}", realms.text);
        stage.ada.realm(REALM_B).get(&path).await.refused(404, "CONTAINER_NOT_FOUND");
        stage.ada.realm(REALM_A).get(&path).await.expect(StatusCode::OK);
        stage.ada.get("/api/v1/containers?name=x").await.refused(400, "INVALID_PARAMETER_VALUE");
    }

    async fn bad_input_gets_the_codes_of_the_contract(stage: Stage) {
        stage.ask(json!({ "name": "web", "server_id": "elsewhere" })).await.refused(404, "RESOURCE_NOT_FOUND");
        stage.ask(json!({ "name": "web", "container_image": "alpine" })).await.refused(400, "VALIDATION_ERROR");
        stage.ask(json!({ "prespawn": true })).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        stage.ask(json!({ "kvm": true })).await.refused(400, "NOT_SUPPORTED");
        let id = stage.running("web").await;
        stage.ask(json!({ "name": "web" })).await.refused(409, "CONTAINER_NAME_IN_USE");
        stage.ask(json!({ "name": "one", "ssh_public_key": "ssh-ed25519 A" })).await.expect(StatusCode::CREATED);
        stage.ask(json!({ "name": "two", "ssh_public_key": "ssh-ed25519 A" })).await.refused(409, "SSH_PUBLIC_KEY_IN_USE");
        for path in [format!("/api/v1/containers/{NOBODYS}"), format!("/api/v1/containers/{NOBODYS}/stats")] {
            stage.ada.get(&path).await.refused(404, "CONTAINER_NOT_FOUND");
        }
        stage.ada.get("/api/v1/containers/x").await.refused(400, "INVALID_ID_FORMAT");
        for act in ["pause", "resume", "copy", "sync"] {
            let refused = stage.ada.post(&format!("/api/v1/containers/{id}/{act}"), json!({})).await;
            refused.refused(400, "NOT_SUPPORTED");
        }
        // An image that the operator named and the engine does not have.
        let ghost = stage.create(json!({ "name": "ghost", "container_image": "ghost" })).await;
        stage.until(&ghost, "failed").await;
        assert_eq!(stage.show(&ghost).await["status_reason"], "IMAGE_NOT_FOUND");
        let path = format!("/api/v1/containers/{ghost}/start");
        stage.ada.post(&path, json!({})).await.refused(409, "OPERATION_STATE_CONFLICT");
        assert!(stage.engine.container(&format!("hoody-{ghost}")).is_none());
    }

    async fn a_project_holds_as_many_as_it_may_and_takes_them_with_it(stage: Stage) {
        let path = format!("/api/v1/projects/{}", stage.project);
        stage.ada.patch(&path, json!({ "max_containers": 1 })).await.expect(StatusCode::OK);
        let id = stage.running("web").await;
        stage.ask(json!({ "name": "two" })).await.refused(400, "PROJECT_CONTAINER_LIMIT");
        let stats = stage.ada.get(&format!("{path}/stats")).await;
        assert_eq!(stats.data()["summary"]["container_count"], 1);
        let deleted = stage.ada.delete(&format!("{path}?include_deleted_items=true")).await;
        deleted.expect(StatusCode::OK);
        assert_eq!(deleted.data()["deleted"]["containers"], 1);
        assert_eq!(deleted.data()["deleted_items"]["containers"], json!([{ "id": id, "name": "web" }]));
        assert_eq!(stage.engine.containers().len(), 1);
        stage.reconcile().await;
        assert_eq!(stage.engine.containers(), []);
    }

    async fn the_environment_is_sealed_and_goes_with_commands(stage: Stage) {
        let id = stage.running("web").await;
        let path = format!("/api/v1/containers/{id}/env");
        let set = stage.ada.put(&path, json!({ "API_KEY": "canary-7", "B": "2" })).await;
        set.expect(StatusCode::OK);
        assert_eq!((&set.data()["synced"], &set.data()["environment_vars"]["B"]), (&json!(true), &json!("2")));
        stage.ada.patch(&format!("{path}/B"), json!({ "value": "3" })).await.expect(StatusCode::OK);
        stage.ada.delete(&format!("{path}/NOT_THERE")).await.expect(StatusCode::OK);
        stage.ada.put(&format!("{path}/LD_PRELOAD"), json!({ "value": "x" })).await.refused(400, "VALIDATION_ERROR");
        stage.ada.put(&format!("{path}/A"), json!({})).await.refused(400, "MISSING_REQUIRED_FIELD");
        let known = stage.ada.get(&path).await;
        assert_eq!(known.data()["environment_vars"], json!({ "API_KEY": "canary-7", "B": "3" }));
        let ran = stage.at_terminal(&stage.ada, &id).post("/execute", json!({ "command": "env" })).await;
        let output = ran.body["stdout"].as_str().unwrap();
        assert!(output.contains("API_KEY=canary-7\nB=3\nHOODY_RUN="), "{output}");
        stage.ada.delete(&format!("{path}/API_KEY")).await.expect(StatusCode::OK);
        assert_eq!(stage.ada.get(&path).await.data()["environment_vars"], json!({ "B": "3" }));
    }

    async fn stats_are_the_engines_numbers(stage: Stage) {
        let id = stage.running("web").await;
        let stats = stage.ada.get(&format!("/api/v1/containers/{id}/stats")).await;
        stats.expect(StatusCode::OK);
        assert_eq!((&stats.data()["processes"], &stats.data()["cpu"]["usage"]), (&json!(2), &json!(7_000)));
        assert_eq!(stats.data()["memory"], json!({ "usage": 1_048_576, "total": 536_870_912, "usage_percent": 0.2 }));
    }
}
