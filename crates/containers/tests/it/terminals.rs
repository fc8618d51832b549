//! Terminals: who may use them, what they give, and how commands end.

use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::stage::on_both_stages;
use crate::support::REALM_A;

const NOBODYS: &str = "000000000000000000000000";

fn echo() -> Value {
    json!({ "command": "echo hello" })
}

on_both_stages! {
    async fn a_command_gives_its_output_and_its_exit_code(stage: Stage) {
        let id = stage.running("web").await;
        let terminal = stage.at_terminal(&stage.ada, &id);
        for path in ["/execute", "/execute/", "/api/v1/terminal/execute?ephemeral=true"] {
            let ran = terminal.post(path, echo()).await;
            ran.expect(StatusCode::OK);
            assert_eq!((&ran.body["stdout"], &ran.body["stderr"]), (&json!("hello"), &json!("noise")), "{path}");
            assert_eq!((&ran.body["status"], &ran.body["exit_code"], &ran.body["terminal_id"]), (&json!("completed"), &json!(0), &json!("1")));
        }
        let ran = terminal.post("/execute", json!({ "command": "exit 7" })).await;
        assert_eq!(ran.body["exit_code"], 7);
        let ran = terminal.post("/execute", json!({ "command": "flood 10000000" })).await;
        assert_eq!((&ran.body["truncated"], ran.body["stdout"].as_str().unwrap().len()), (&json!(true), 1024 * 1024));
        for (body, status, code) in [
            (json!({}), 400, "MISSING_REQUIRED_FIELD"),
            (json!({ "command": "" }), 400, "VALIDATION_ERROR"),
            (json!({ "command": "ls", "timeout": 601 }), 400, "VALIDATION_ERROR"),
            (json!({ "command": "ls", "wait": false }), 400, "NOT_SUPPORTED"),
            (json!([]), 422, "VALIDATION_ERROR"),
        ] {
            terminal.post("/execute", body).await.refused(status, code);
        }
        terminal.get("/execute").await.refused(405, "METHOD_NOT_ALLOWED");
        terminal.post("/api/v1/projects", json!({ "alias": "x" })).await.refused(404, "RESOURCE_NOT_FOUND");
        let browser = stage.ada.host(&format!("{}-{id}-browser-1.local.containers.localhost", stage.project));
        browser.post("/execute", echo()).await.refused(404, "KIT_NOT_INSTALLED");
        let bare = stage.create(json!({ "name": "bare", "hoody_kit": false })).await;
        stage.until(&bare, "running").await;
        stage.at_terminal(&stage.ada, &bare).post("/execute", echo()).await.refused(404, "KIT_NOT_INSTALLED");
        stage.ada.post(&format!("/api/v1/containers/{id}/stop"), json!({})).await.expect(StatusCode::OK);
        terminal.post("/execute", echo()).await.refused(409, "OPERATION_STATE_CONFLICT");
    }

    async fn nothing_below_the_domain_of_containers_reaches_the_api(stage: Stage) {
        for host in ["containers.localhost", "x.containers.localhost", "local.containers.localhost:8080"] {
            stage.app.anon().host(host).get("/api/v1/ip").await.refused(401, "MISSING_TOKEN");
            stage.ada.host(host).get("/api/v1/projects").await.refused(404, "CONTAINER_NOT_FOUND");
        }
        stage.app.anon().host("notcontainers.localhost").get("/api/v1/ip").await.expect(StatusCode::OK);
    }

    async fn a_credential_decides_as_everywhere(stage: Stage) {
        let id = stage.create(json!({ "name": "web", "realm_ids": [REALM_A] })).await;
        stage.until(&id, "running").await;
        let status = async |client: &crate::support::Client| {
            let ran = stage.at_terminal(client, &id).post("/execute", echo()).await;
            (ran.status.as_u16(), ran.body["code"].as_str().unwrap_or_default().to_owned())
        };
        let exec = json!({ "containers": { "actions": { "exec": true } } });
        let may = stage.ada.mint(json!({ "permissions": exec })).await;
        assert_eq!(status(&may.client).await.0, 200);
        let reader = stage.ada.mint(json!({ "permissions": { "containers": { "read": true } } })).await;
        assert_eq!(status(&reader.client).await, (403, "INSUFFICIENT_PERMISSIONS".to_owned()));
        let elsewhere = stage.ada.mint(json!({ "permissions": exec, "ip_whitelist": ["10.0.0.0/8"] })).await;
        assert_eq!(status(&elsewhere.client).await, (403, "IP_NOT_WHITELISTED".to_owned()));
        let bound = stage.ada.mint(json!({ "permissions": exec, "realm_ids": [REALM_A], "allow_no_realm": false })).await;
        assert_eq!(status(&bound.client).await.0, 200, "the container is in its realm");
        let other = stage.ada.mint(json!({ "permissions": exec, "realm_ids": ["bbbbbbbbbbbbbbbbbbbbbbbb"] })).await;
        assert_eq!(status(&other.client).await.0, 403, "and not in this one's");
        let carol = stage.app.user("carol").await;
        assert_eq!(status(&carol).await, (404, "CONTAINER_NOT_FOUND".to_owned()));
        let carols = carol.account().await;
        let share = format!("/api/v1/projects/{}/permissions", stage.project);
        let shared = stage.ada.post(&share, json!({ "user_id": carols, "permission_level": "read" })).await;
        assert_eq!(status(&carol).await, (403, "INSUFFICIENT_PERMISSIONS".to_owned()));
        let member = format!("{share}/{}", shared.data()["id"].as_str().unwrap());
        stage.ada.patch(&member, json!({ "permission_level": "edit" })).await.expect(StatusCode::OK);
        assert_eq!(status(&carol).await.0, 200);
        assert_eq!(status(&stage.app.with("hdy_no")).await, (401, "INVALID_TOKEN".to_owned()));
    }

    async fn without_a_credential_a_terminal_is_closed_until_it_is_opened(stage: Stage) {
        let id = stage.running("web").await;
        let anon = stage.app.anon();
        let terminal = stage.at_terminal(&anon, &id);
        terminal.post("/execute", echo()).await.refused(401, "MISSING_TOKEN");
        stage.at_terminal(&anon, NOBODYS).post("/execute", echo()).await.refused(401, "MISSING_TOKEN");
        let project = format!("/api/v1/projects/{}/proxy/permissions/default", stage.project);
        let container = format!("/api/v1/containers/{id}/proxy/permissions/default");
        stage.ada.patch(&project, json!({ "default": "open" })).await.refused(422, "VALIDATION_ERROR");
        stage.ada.patch(&project, json!({ "default": "allow" })).await.expect(StatusCode::OK);
        assert_eq!(stage.show(&id).await["proxy_permissions_scope"], "project");
        // As `fetch` of the seeds sends it.
        let fetch = terminal.header("content-type", "text/plain;charset=UTF-8");
        assert_eq!(fetch.post("/execute", echo()).await.body["stdout"], "hello");
        for (name, value) in [("origin", "https://evil.test"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")] {
            terminal.header(name, value).post("/execute", echo()).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        }
        stage.at_terminal(&stage.app.with("hdy_no"), &id).post("/execute", echo()).await.refused(401, "INVALID_TOKEN");
        stage.ada.put(&container, json!({ "default": "deny" })).await.expect(StatusCode::OK);
        terminal.post("/execute", echo()).await.refused(401, "MISSING_TOKEN");
        stage.ada.put(&container, json!({ "default": "allow" })).await.expect(StatusCode::OK);
        terminal.post("/execute", echo()).await.expect(StatusCode::OK);
        stage.app.service.ban_elsewhere("ada", true).await;
        terminal.post("/execute", echo()).await.refused(401, "MISSING_TOKEN");
    }

    async fn a_command_whose_time_is_over_is_killed(stage: Stage) {
        let id = stage.running("web").await;
        let ran = stage.at_terminal(&stage.ada, &id).post("/execute", json!({ "command": "hang", "timeout": 1 })).await;
        ran.expect(StatusCode::OK);
        assert_eq!((&ran.body["status"], &ran.body["exit_code"], &ran.body["stdout"]), (&json!("timeout"), &Value::Null, &json!("begun")));
        assert!(stage.engine.has_killed());
    }

    async fn a_command_whose_caller_hangs_up_is_killed(stage: Stage) {
        let id = stage.running("web").await;
        let terminal = stage.at_terminal(&stage.ada, &id);
        let asked = terminal.post("/execute", json!({ "command": "hang", "timeout": 600 }));
        assert!(tokio::time::timeout(Duration::from_secs(1), asked).await.is_err(), "it hangs");
        for _ in 0..200 {
            if stage.engine.has_killed() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the command goes on");
    }

    async fn output_streams_over_the_api(stage: Stage) {
        let id = stage.running("web").await;
        let path = format!("/api/v1/containers/{id}/execute");
        let body = Body::from(json!({ "command": "echo hello" }).to_string());
        let response = stage.ada.open(Method::POST, &path, body).await;
        assert_eq!(response.status(), StatusCode::OK);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(text.to_vec()).unwrap();
        let out = format!("event: stdout\ndata: \"{}\"\n\n", STANDARD.encode("hello"));
        assert!(text.starts_with(&out), "{text}");
        assert!(text.contains("event: stderr\n"), "{text}");
        assert!(text.ends_with("\"exit_code\":0,\"status\":\"completed\"}\n\n"), "{text}");
        stage.app.anon().post(&path, echo()).await.refused(401, "MISSING_TOKEN");
    }

    async fn each_command_is_in_the_request_log_without_its_text(stage: Stage) {
        let id = stage.running("web").await;
        let account = stage.ada.account().await;
        let token = stage.ada.mint(json!({ "permissions": { "containers": { "actions": { "exec": true } } } })).await;
        let secret = json!({ "command": "echo canary-8" });
        stage.at_terminal(&token.client, &id).post("/execute", secret.clone()).await.expect(StatusCode::OK);
        let project = format!("/api/v1/projects/{}/proxy/permissions/default", stage.project);
        stage.ada.patch(&project, json!({ "default": "allow" })).await.expect(StatusCode::OK);
        stage.at_terminal(&stage.app.anon(), &id).post("/execute", secret.clone()).await.expect(StatusCode::OK);
        let path = format!("/api/v1/containers/{id}/execute");
        token.client.post(&path, secret).await.expect(StatusCode::OK);
        assert!(stage.app.service.flush_activity().await);
        let log = stage.ada.get("/api/v1/users/auth/activity").await;
        assert!(!log.text.contains("canary-8"), "{}", log.text);
        let rows: Vec<&Value> = log.data().as_array().unwrap().iter()
            .filter(|row| row["path"].as_str().unwrap().ends_with("/execute")).collect();
        assert_eq!(rows.len(), 3, "{}", log.text);
        for (row, token) in rows.iter().zip([json!(token.id), Value::Null, json!(token.id)]) {
            assert_eq!((&row["method"], &row["status_code"]), (&json!("POST"), &json!(200)));
            assert_eq!((&row["user_id"], &row["token_id"]), (&json!(account), &token), "{row}");
            assert_eq!(row["permission"], "containers.actions.exec");
        }
    }
}
