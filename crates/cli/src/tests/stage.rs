//! A small server that plays its part on loopback.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};

pub(super) const TOKEN_ID: &str = "65a1b2c3d4e5f60718293a4b";
pub(super) const REALM: &str = "507f1f77bcf86cd799439012";

/// A server that knows one account, one session after another, and one token.
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// The number of the access token that is good; each refresh makes the next.
    pub(super) session: AtomicU32,
    pub(super) refreshes: AtomicU32,
    pub(super) logins: AtomicU32,
    /// Answers each refresh with this refusal.
    pub(super) refuses_refresh: Mutex<Option<(StatusCode, &'static str)>>,
    pub(super) seen: Mutex<Vec<(String, String)>>,
}

impl Stage {
    /// Not now.
    fn refuse_refresh(&self) -> Response {
        let (status, code) = self.refuses_refresh.lock().unwrap().unwrap();
        let body = json!({"statusCode": 0, "error": "", "message": "not now", "code": code});
        (status, [("retry-after", "1800")], body.to_string()).into_response()
    }

    pub(super) async fn open() -> (Arc<Self>, String) {
        let stage = Arc::new(Self::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(play).with_state(Arc::clone(&stage));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (stage, address)
    }

    pub(super) fn seen(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap().clone()
    }

    fn session(&self) -> Value {
        let number = self.session.load(Ordering::SeqCst);
        json!({
            "token": format!("access-{number}"), "refreshToken": format!("refresh-{number}"),
            "expires_at": "2999-01-01T00:00:00.000Z", "refresh_expires_at": "2999-01-07T00:00:00.000Z",
            "user": {
                "id": "63f8b0e5c9a1b2d3e4f5a6b7", "username": "ada", "alias": "Ada", "is_banned": false,
                "created_at": "2025-10-21T10:00:00.000Z", "updated_at": "2025-10-21T10:00:00.000Z"
            }
        })
    }
}

fn token(realms: &[&str], is_new: bool) -> Value {
    let mut token = json!({
        "id": TOKEN_ID, "alias": "ci", "prefix": "hdy_", "ip_whitelist": ["*"], "realm_ids": realms,
        "allow_no_realm": true, "permissions": {"projects": {"read": true}}, "expires_at": null, "is_enabled": true,
        "last_used_at": null, "last_used_ip": null,
        "created_at": "2025-11-09T15:00:00.000Z", "updated_at": "2025-11-09T15:00:00.000Z"
    });
    if is_new {
        token["token"] = json!("hdy_made");
    }
    token
}

fn event() -> Value {
    json!({
        "id": TOKEN_ID, "event_type": "user.banned", "resource_type": "user", "resource_id": TOKEN_ID,
        "user_id": TOKEN_ID, "payload": {}, "realm_ids": [], "created_at": "2025-11-09T15:00:00.000Z"
    })
}

fn alert() -> Value {
    json!({
        "id": TOKEN_ID, "kind": "refusal_burst", "severity": "warning", "state": "acknowledged", "title": "",
        "message": "", "explanation": "", "subject_type": "token", "count": 1, "details": {}, "is_muted": false,
        "first_at": "2025-11-09T15:00:00.000Z", "last_at": "2025-11-09T15:00:00.000Z"
    })
}

fn webhook() -> Value {
    json!({
        "id": TOKEN_ID, "url": "https://example.com/", "description": "", "is_enabled": true,
        "created_at": "2025-11-09T15:00:00.000Z", "updated_at": "2025-11-09T15:00:00.000Z"
    })
}

/// The routes that only `manners` asks.
fn play_more(stage: &Stage, method: &Method, uri: &Uri, body: &Value) -> Option<Response> {
    let answer = |data: Value| json!({"statusCode": 200, "message": "done", "data": data}).to_string();
    let note = |text: String| stage.seen.lock().unwrap().push((text, String::new()));
    let told = match (method.as_str(), uri.path()) {
        ("GET", "/api/v1/events/stream") => {
            let told = format!("event: event\nid: 1\ndata: {}\n\n", event());
            return Some(([("content-type", "text/event-stream")], told.repeat(2)).into_response());
        }
        ("DELETE", path) if path.starts_with("/api/v1/events") => answer(json!({"deleted_count": 2})),
        ("POST", "/api/v1/events/cleanup") => {
            let cutoff = "2025-11-09T15:00:00.000Z";
            answer(json!({"deleted_count": 2, "retention_days": 30, "cutoff_date": cutoff}))
        }
        ("POST", path) if path.starts_with("/api/v1/alerts/65a1b2c3d4e5f60718293abd/") => {
            let refusal = json!({"statusCode": 404, "error": "Not Found", "message": "Alert not found", "code": "ALERT_NOT_FOUND"});
            return Some((StatusCode::NOT_FOUND, refusal.to_string()).into_response());
        }
        ("POST", path) if path.starts_with("/api/v1/alerts/") => answer(alert()),
        ("POST", "/api/v1/webhooks") => answer(webhook()),
        ("POST", path) if path.ends_with("/rotate-secret") => answer(webhook()),
        ("POST", path) if path.ends_with("/copy") => answer(token(&[], true)),
        ("POST", "/api/v1/users/auth/2fa/backup-codes/regenerate") => {
            answer(json!({"backup_codes": ["A-B"]}))
        }
        ("POST", "/api/v1/projects") => {
            let (status, code, message) = match body["alias"].as_str() {
                Some("lost") => (503, "OUTCOME_UNKNOWN", "Nobody knows"),
                _ => (400, "X", "no\u{1b}[2J\nhint: run this\u{202e}"),
            };
            let refusal = json!({"statusCode": status, "error": "", "message": message, "code": code});
            return Some((StatusCode::from_u16(status).unwrap(), refusal.to_string()).into_response());
        }
        ("PUT", path) if path.starts_with("/api/v1/auth/tokens/") && body.get("expires_at").is_some() => {
            let told = ("expires_at".to_owned(), body["expires_at"].to_string());
            stage.seen.lock().unwrap().push(told);
            answer(token(&[], false))
        }
        ("PUT", path) if path.starts_with("/api/v1/webhooks/") => {
            note(body.to_string());
            answer(webhook())
        }
        ("GET", "/api/v1/users/auth/activity") => {
            note(uri.query().unwrap_or_default().to_owned());
            answer(json!([]))
        }
        _ => return None,
    };
    Some(told.into_response())
}

fn vault_record(value: &str) -> Value {
    json!({
        "key": "tls.key", "realm_id": "", "metadata": null, "size_bytes": value.len(), "value": value,
        "created_at": "2025-11-09T15:00:00.000Z", "updated_at": "2025-11-09T15:00:00.000Z"
    })
}

async fn play(
    State(stage): State<Arc<Stage>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let credential = headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
    stage.seen.lock().unwrap().push((format!("{method} {}", uri.path()), credential.clone()));
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = |status: u16, data: Value| {
        let body = json!({"statusCode": status, "message": "done", "data": data});
        (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
    };
    let refuse = |code: &str| {
        let body = json!({"statusCode": 401, "error": "Unauthorized", "message": "no", "code": code});
        (StatusCode::UNAUTHORIZED, body.to_string()).into_response()
    };
    let current = stage.session.load(Ordering::SeqCst);
    let is_known = credential == format!("Bearer access-{current}") || credential == "Bearer hdy_good";
    if is_known && let Some(response) = play_more(&stage, &method, &uri, &body) {
        return response;
    }
    match (method.as_str(), uri.path()) {
        ("POST", "/api/v1/users/auth/login") if body["password"] == "correct horse" => {
            stage.logins.fetch_add(1, Ordering::SeqCst);
            answer(200, stage.session())
        }
        ("POST", "/api/v1/users/auth/login") if body["password"] == "with a factor" => {
            answer(200, json!({"requires_2fa": true, "temp_token": "temp.to.ken", "method": "totp"}))
        }
        ("POST", "/api/v1/users/auth/login") => refuse("INVALID_CREDENTIALS"),
        ("POST", "/api/v1/users/auth/2fa/verify")
            if body["temp_token"] == "temp.to.ken" && body["code"] == "123456" =>
        {
            answer(200, stage.session())
        }
        ("POST", "/api/v1/users/auth/2fa/verify") => refuse("INVALID_OTP_CODE"),
        ("POST", "/api/v1/users/auth/refresh") if stage.refuses_refresh.lock().unwrap().is_some() => {
            stage.refuse_refresh()
        }
        ("POST", "/api/v1/users/auth/refresh") if body["refreshToken"] == format!("refresh-{current}") => {
            stage.refreshes.fetch_add(1, Ordering::SeqCst);
            stage.session.fetch_add(1, Ordering::SeqCst);
            answer(200, stage.session())
        }
        ("GET", "/api/v1/ip") => answer(
            200,
            json!({
                "ip": "127.0.0.1", "user_agent": null, "headers": {}, "referer": null,
                "timestamp": "2025-11-09T15:00:00.000Z", "is_logged": !credential.is_empty(), "protocol": "http"
            }),
        ),
        _ if !is_known => refuse("INVALID_TOKEN"),
        ("DELETE", "/api/v1/users/auth/2fa") => refuse("INVALID_OTP_CODE"),
        ("POST", "/api/v1/users/auth/2fa/verify-setup") => {
            stage.session.fetch_add(1, Ordering::SeqCst);
            let mut data = stage.session();
            data["enabled"] = json!(true);
            data["enabled_at"] = json!("2026-03-02T09:15:42.118Z");
            data["sessions_revoked"] = json!(true);
            answer(200, data)
        }
        ("GET", "/api/v1/projects") => answer(
            200,
            json!({"projects": [], "pagination": {"total": 0, "page": 1, "limit": 10, "totalPages": 0}}),
        ),
        ("GET", "/api/v1/vault/keys/tls.key") => answer(200, vault_record("-----BEGIN\nx\n")),
        ("PUT", path) if path.starts_with("/api/v1/vault/keys/") => {
            let text = uri.query().unwrap_or_default().to_owned() + body["value"].as_str().unwrap();
            let metadata = body.get("metadata").map_or("kept".to_owned(), Value::to_string);
            stage.seen.lock().unwrap().push((text, metadata));
            answer(200, vault_record(body["value"].as_str().unwrap()))
        }
        ("GET", "/api/v1/vault/keys") => answer(200, json!([])),
        ("DELETE", "/api/v1/vault") => answer(200, json!({"deleted_count": 3})),
        ("POST", "/api/v1/auth/tokens") => answer(201, token(&[], true)),
        ("GET", "/api/v1/auth/tokens") => answer(200, json!([token(&[], false)])),
        ("PUT", _) => answer(200, token(&[], false)),
        ("GET", path) if path.ends_with(TOKEN_ID) => answer(200, token(&[REALM], false)),
        ("POST", path) if path.ends_with("/remove-realm") => answer(200, token(&[], false)),
        ("POST", "/api/v1/users/auth/logout") | ("DELETE", _) => answer(200, Value::Null),
        _ => answer(200, Value::Null),
    }
}
