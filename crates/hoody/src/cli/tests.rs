//! Whole commands, in process, against a small server that plays its part on loopback.

mod caution;
mod manners;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::output::tests::Captured;
use super::*;

const TOKEN_ID: &str = "65a1b2c3d4e5f60718293a4b";
const REALM: &str = "507f1f77bcf86cd799439012";

/// A server that knows one account, one session after another, and one token.
#[derive(Debug, Default)]
struct Stage {
    /// The number of the access token that is good; each refresh makes the next.
    session: AtomicU32,
    refreshes: AtomicU32,
    logins: AtomicU32,
    /// Answers each refresh with this refusal.
    refuses_refresh: Mutex<Option<(StatusCode, &'static str)>>,
    seen: Mutex<Vec<(String, String)>>,
}

impl Stage {
    /// Not now.
    fn refuse_refresh(&self) -> Response {
        let (status, code) = self.refuses_refresh.lock().unwrap().unwrap();
        let body = json!({"statusCode": 0, "error": "", "message": "not now", "code": code});
        (status, [("retry-after", "1800")], body.to_string()).into_response()
    }

    async fn open() -> (Arc<Self>, String) {
        let stage = Arc::new(Self::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(play).with_state(Arc::clone(&stage));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (stage, address)
    }

    fn seen(&self) -> Vec<(String, String)> {
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

/// One run of a command: how it ended and what it printed.
#[derive(Debug)]
struct Run {
    code: u8,
    out: String,
    err: String,
}

/// A home directory and an environment.
struct Desk {
    home: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Desk {
    fn at(base_url: &str) -> Self {
        Self { home: tempfile::tempdir().unwrap(), variables: vec![("HOODY_BASE_URL", base_url.to_owned())] }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    async fn run(&self, line: &[&str]) -> Run {
        let out = Captured::default();
        let run = self.run_into(line, &|| Box::new(out.clone())).await;
        Run { out: out.text(), ..run }
    }

    /// Runs it with another standard output.
    async fn run_into(&self, line: &[&str], out: &dyn Fn() -> Box<dyn std::io::Write + Send>) -> Run {
        let arguments = ["hoody"].iter().chain(line).chain(&["--non-interactive"]).map(OsString::from);
        let cli = Cli::parse_all(&arguments.collect::<Vec<_>>()).unwrap();
        let home = self.home.path().to_str().unwrap();
        let mut variables: Vec<(&str, &str)> = vec![("HOME", home)];
        variables.extend(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
        let err = Captured::default();
        let printer = |format, is_quiet, _| Output::new(format, is_quiet, out(), Box::new(err.clone()));
        let Command::Client(command) = cli.command else { panic!("{line:?} is the service's") };
        let code = execute(command, cli.flags, &Environment::of(&variables), &printer).await;
        Run { code, out: String::new(), err: err.text() }
    }

    fn config(&self) -> Value {
        let path = self.home.path().join(".hoody/config.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }
}

const LOGIN: [&str; 6] = ["auth", "login", "--email", "you@example.com", "--password", "correct horse"];

#[test]
fn the_command_is_well_formed() {
    command().debug_assert();
}

#[test]
fn every_command_has_a_description_and_an_example() {
    fn walk(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        assert!(command.get_about().is_some(), "{path} has no description");
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        // The groups of the service are described as a whole: their commands have the examples.
        let is_service = SERVER_GROUPS.iter().any(|group| path.starts_with(&format!("hoody {group}")));
        if !is_service || !command.has_subcommands() {
            assert!(examples.starts_with("EXAMPLES:\n  "), "{path} has no example");
        }
        for below in command.get_subcommands() {
            walk(below, &path);
        }
    }
    let command = command();
    assert!(command.get_after_help().is_some());
    command.get_subcommands().for_each(|group| walk(group, "hoody"));
}

#[test]
fn the_examples_in_the_help_can_be_read() {
    fn walk(command: &clap::Command) {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in examples.replace("\\\n", " ").lines().skip(1) {
            let words = words(line);
            let start = words.iter().position(|word| word == "hoody" || word.ends_with("(hoody")).unwrap();
            let is_end = |word: &String| matches!(word.as_str(), "&&" | "|" | ">" | "<" | "#");
            let words = words[start..].iter().take_while(|word| !is_end(word));
            let words: Vec<OsString> = words.map(OsString::from).collect();
            assert!(Cli::parse_all(&words).is_ok(), "{line}: {words:?}");
        }
        command.get_subcommands().for_each(walk);
    }
    walk(&command());
}

/// Splits a line as a shell would, as far as the examples need it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.trim().trim_end_matches(')').chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ' ') => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            (_, c) => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[test]
fn flags_may_stand_before_and_after_the_subcommand() {
    let read = |line: &[&str]| {
        Cli::parse_all(&["hoody"].iter().chain(line).map(OsString::from).collect::<Vec<_>>()).unwrap().flags
    };
    for line in [
        &["-o", "json", "-t", "hdy_x", "auth", "list"][..],
        &["auth", "-o", "json", "list", "-t", "hdy_x"],
        &["auth", "list", "-o", "json", "--token", "hdy_x"],
        &["-o", "yaml", "token", "ls", "-o", "json", "--token=hdy_x"],
    ] {
        let flags = read(line);
        assert_eq!(flags.output, Some(Format::Json), "{line:?}");
        assert_eq!(flags.token.as_ref().map(hoody_client::wire::Secret::expose), Some("hdy_x"), "{line:?}");
    }
    // Here the password is the new one.
    assert!(read(&["users", "update", "me", "--password", "x"]).password.is_none());
    assert!(read(&["-p", "x", "users", "update", "me"]).password.is_some());
}

#[test]
fn the_services_own_groups_have_none_of_the_flags_but_output() {
    let read = |line: &[&str]| {
        let words: Vec<_> = ["hoody"].iter().chain(line).map(OsString::from).collect();
        Cli::parse_all(&words)
    };
    assert!(read(&["serve", "--print-config"]).is_ok());
    assert!(read(&["admin", "users", "list", "-o", "json"]).is_ok());
    for line in [
        &["serve", "--token", "hdy_x"][..],
        &["--token", "hdy_x", "serve"],
        &["serve", "-o", "json"],
        &["admin", "users", "list", "--base-url", "http://x"],
        &["-q", "admin", "users", "list"],
    ] {
        assert!(read(line).is_err(), "{line:?}");
    }
}

#[tokio::test]
async fn the_lines_of_the_seeds_work_one_after_another() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    for line in [
        &LOGIN[..],
        &["projects", "list"],
        &["auth", "login", "--username", "ada", "--password", "correct horse"],
        &[
            "auth",
            "create",
            "--alias",
            "Production Automation Token",
            "--ip-whitelist",
            "203.0.113.10,203.0.113.20",
            "--expires-at",
            "2027-04-12T00:00:00Z",
        ],
        &["auth", "list"],
        &["auth", "update", TOKEN_ID, "--enabled", "false"],
        &["auth", "delete", TOKEN_ID],
    ] {
        let run = desk.run(line).await;
        assert_eq!(run.code, 0, "{line:?}: {run:?}");
    }
    let with_token = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    assert_eq!(with_token.run(&["projects", "list"]).await.code, 0);
    assert_eq!(stage.seen().last().unwrap().1, "Bearer hdy_good");
}

#[tokio::test]
async fn login_stores_the_session_and_logout_forgets_it() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    let run = desk.run(&LOGIN).await;
    assert_eq!((run.code, run.out.as_str()), (0, format!("Signed in to {address} as ada.\n").as_str()));
    let config = desk.config();
    assert_eq!(config["token"], "access-0");
    assert_eq!(config["refreshExpiresAt"], "2999-01-07T00:00:00.000Z");
    assert_eq!(config["username"], "you@example.com");
    assert_eq!(config["tokenOrigin"], address);
    assert_eq!(desk.run(&["logout"]).await.code, 0);
    assert_eq!(desk.config(), json!({"username": "you@example.com", "baseUrl": address}));
    assert_eq!(
        stage.seen().last().unwrap(),
        &("POST /api/v1/users/auth/logout".into(), "Bearer access-0".into())
    );
    let run = desk.run(&["projects", "list"]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("not signed in"), "{run:?}");
}

#[tokio::test]
async fn a_stored_session_is_sent_to_no_other_server() {
    let (_, address) = Stage::open().await;
    let (other, elsewhere) = Stage::open().await;
    let desk = Desk::at(&address);
    desk.run(&LOGIN).await;
    let run = desk.run(&["projects", "list", "--base-url", &elsewhere]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains(&format!("the stored session is for {address}")), "{run:?}");
    assert_eq!(desk.run(&["ip", "get", "--base-url", &elsewhere]).await.code, 0);
    // A realm's host is the same server.
    assert_eq!(desk.run(&["projects", "list", "--realm", REALM]).await.code, 0);
    assert!(other.seen().iter().all(|(_, credential)| credential.is_empty()));
}

#[tokio::test]
async fn an_ended_session_is_refreshed_once_by_two_commands_at_once() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    desk.run(&LOGIN).await;
    let config = ConfigFile::locate(None, Some(desk.home.path().as_os_str()));
    config
        .update(|config| {
            config.section_mut(None).insert("expiresAt".into(), json!("2001-01-01T00:00:00.000Z"));
        })
        .await
        .unwrap();
    let line = ["projects", "list"];
    let (one, two, three) = tokio::join!(desk.run(&line), desk.run(&line), desk.run(&line));
    assert_eq!((one.code, two.code, three.code), (0, 0, 0), "{one:?} {two:?} {three:?}");
    assert_eq!(stage.refreshes.load(Ordering::SeqCst), 1);
    assert_eq!(desk.config()["token"], "access-1");
    assert_eq!(desk.config()["refreshToken"], "refresh-1");
}

#[tokio::test]
async fn a_session_that_the_server_refuses_is_refreshed_and_the_call_made_again() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    desk.run(&LOGIN).await;
    let config = ConfigFile::locate(None, Some(desk.home.path().as_os_str()));
    let set = async |key: &str, value: &str| {
        config
            .update(|config| {
                config.section_mut(None).insert(key.into(), json!(value));
            })
            .await
            .unwrap();
    };
    set("token", "stale").await;
    assert_eq!(desk.run(&["projects", "list"]).await.code, 0);
    assert_eq!(stage.refreshes.load(Ordering::SeqCst), 1);
    // A refresh token that the server does not know either: the session is over, and forgotten.
    set("token", "stale").await;
    set("refreshToken", "stale").await;
    let run = desk.run(&["projects", "list"]).await;
    assert!(run.code == 1 && run.err.contains("the session has ended"), "{run:?}");
    assert!(desk.config().get("token").is_none());
}

#[tokio::test]
async fn a_new_token_is_alone_on_standard_output() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    let run = desk.run(&["auth", "create", "--alias", "ci"]).await;
    assert_eq!((run.code, run.out.as_str()), (0, "hdy_made\n"));
    assert!(run.err.contains("not be shown again") && run.err.contains("full access"), "{}", run.err);
    let run = desk.run(&["auth", "create", "--permission", "projects.read", "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&run.out).unwrap()["token"], "hdy_made");
    assert!(!run.err.contains("full access"), "{}", run.err);
}

#[tokio::test]
async fn taking_the_last_realm_away_says_what_it_widened() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    let run = desk.run(&["auth", "realms", "remove", TOKEN_ID, "--realm-id", REALM]).await;
    assert_eq!(run.code, 0);
    assert!(run.err.contains("widened the token") && run.err.contains("every realm"), "{}", run.err);
}

#[tokio::test]
async fn name_and_password_sign_in_for_one_command() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_bad");
    let file = desk.home.path().join("password");
    std::fs::write(&file, "correct horse\n").unwrap();
    let run = desk.run(&["-u", "ada", "--password-file", file.to_str().unwrap(), "projects", "list"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(stage.logins.load(Ordering::SeqCst), 1);
    assert!(!desk.home.path().join(".hoody/config.json").exists());
    let by_variable =
        Desk::at(&address).with("HOODY_USERNAME", "ada").with("HOODY_PASSWORD", "correct horse");
    assert_eq!(by_variable.run(&["projects", "list"]).await.code, 0);
    assert_eq!(stage.logins.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_question_without_a_terminal_ends_with_6() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address);
    let run = desk.run(&["login", "--username", "ada"]).await;
    assert!(run.code == 6 && run.err.contains("--password-stdin"), "{run:?}");
    let run = desk.run(&["login"]).await;
    assert!(run.code == 6 && run.err.contains("--username"), "{run:?}");
    let run = desk.run(&["config", "reset"]).await;
    assert!(run.code == 6 && run.err.contains("--yes"), "{run:?}");
}

#[tokio::test]
async fn a_profile_is_made_by_login_and_must_be_there_otherwise() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address);
    assert_eq!(desk.run(&["projects", "list", "--profile", "work"]).await.code, 10);
    let run = desk.run(&[&LOGIN[..], &["--profile", "work"]].concat()).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(desk.config()["profiles"]["work"]["token"], "access-0");
    assert_eq!(desk.run(&["projects", "list", "--profile", "work"]).await.code, 0);
    assert_eq!(desk.run(&["projects", "list"]).await.code, 1);
}

#[tokio::test]
async fn a_wrong_password_is_said_and_nothing_is_stored() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address);
    let run = desk.run(&["login", "--username", "ada", "--password", "canary horse"]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("INVALID_CREDENTIALS") && !run.err.contains("canary"), "{run:?}");
    assert!(!desk.home.path().join(".hoody").exists());
}

#[tokio::test]
async fn the_configuration_is_set_shown_and_mended() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address);
    assert_eq!(desk.run(&["config", "set", "output", "json"]).await.code, 0);
    assert_eq!(desk.run(&["config", "set", "token", "hdy_good"]).await.code, 0);
    assert_eq!(desk.run(&["projects", "list"]).await.out.trim_start().chars().next(), Some('{'));
    let run = desk.run(&["config", "show"]).await;
    assert!(!run.out.contains("hdy_good") && run.out.contains("(hidden)"), "{run:?}");
    assert_eq!(desk.run(&["config", "get", "token", "-o", "raw"]).await.out, "hdy_good\n");
    let run = desk.run(&["config", "show", "--resolved", "-o", "table"]).await;
    assert!(run.out.contains("environment HOODY_BASE_URL"), "{run:?}");
    assert_eq!(desk.run(&["config", "set", "output", "xml"]).await.code, 1);
    assert_eq!(desk.run(&["config", "unset", "output"]).await.code, 0);
    assert_eq!(desk.run(&["config", "validate"]).await.code, 0);

    std::fs::write(desk.home.path().join(".hoody/config.json"), "{broken").unwrap();
    assert_eq!(desk.run(&["projects", "list"]).await.code, 1);
    assert_eq!(desk.run(&["config", "validate"]).await.code, 1);
    assert_eq!(desk.run(&["config", "path"]).await.code, 0);
    assert_eq!(desk.run(&["config", "reset", "--yes"]).await.code, 0);
    assert!(!desk.home.path().join(".hoody/config.json").exists());
}

#[tokio::test]
async fn a_login_in_json_is_the_data_and_quiet_is_quiet() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address);
    let run = desk.run(&[&LOGIN[..], &["-o", "json", "-q"]].concat()).await;
    assert_eq!(serde_json::from_str::<Value>(&run.out).unwrap()["token"], "access-0");
    assert_eq!(run.err, "");
    let run = desk.run(&[&LOGIN[..], &["--print-token", "--no-save", "-q"]].concat()).await;
    assert_eq!(run.out, "access-0\n");
}

#[tokio::test]
async fn a_value_of_the_vault_goes_in_and_comes_out_as_it_is() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    let file = desk.home.path().join("value");
    std::fs::write(&file, "-----BEGIN\nx\n").unwrap();
    let file = file.to_str().unwrap();
    for (line, sent, metadata) in [
        (&["vault", "set", "tls.key", "--value-file", file][..], "-----BEGIN\nx\n", "kept"),
        (&["v", "set", "tls.key", "--value", "-x"], "-x", "kept"),
        (&["v", "put", "k", "--value", "", "--metadata", r#"{"a":1}"#], "", r#"{"a":1}"#),
        (
            &["v", "set", "k", "--value", "x", "--metadata", "null", "--realm-id", REALM],
            "realm_id=507f1f77bcf86cd799439012x",
            "null",
        ),
    ] {
        let run = desk.run(line).await;
        assert_eq!(run.code, 0, "{line:?}: {run:?}");
        assert_eq!(stage.seen().last().unwrap(), &(sent.to_owned(), metadata.to_owned()), "{line:?}");
        assert!(!run.out.contains("BEGIN") && run.out.starts_with("Set "), "{run:?}");
    }
    let as_json = desk.run(&["vault", "set", "tls.key", "--value-file", file, "-o", "json"]).await;
    assert!(!as_json.out.contains("BEGIN"), "{as_json:?}");
    // Ends its line once for people, and is exact for programs.
    assert_eq!(desk.run(&["vault", "get", "tls.key"]).await.out, "-----BEGIN\nx\n");
    assert_eq!(desk.run(&["vault", "get", "tls.key", "-o", "raw"]).await.out, "-----BEGIN\nx\n");
    let record: Value =
        serde_json::from_str(&desk.run(&["vault", "get", "tls.key", "-o", "json"]).await.out).unwrap();
    assert_eq!(record["value"], "-----BEGIN\nx\n");
    assert_eq!(desk.run(&["vault", "list"]).await.err, "No keys. `hoody vault set` makes one.\n");
    assert_eq!(desk.run(&["vault", "clear"]).await.out, "Deleted 3 keys.\n");
    let not_text = desk.home.path().join("bytes");
    std::fs::write(&not_text, [0xff]).unwrap();
    let run = desk.run(&["vault", "set", "k", "--value-file", not_text.to_str().unwrap()]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("as text"), "{run:?}");
    let read = |line: &[&str]| Cli::parse_all(&line.iter().map(OsString::from).collect::<Vec<_>>());
    for key in ["", ".", "..", "a/b", "a b"] {
        assert!(read(&["hoody", "vault", "delete", key]).is_err(), "{key:?}");
    }
}

#[tokio::test]
async fn a_challenge_names_the_command_that_goes_on_and_stores_nothing() {
    let (_stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    let with_factor = ["auth", "login", "--username", "ada", "--password", "with a factor"];
    let run = desk.run(&with_factor).await;
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
    assert!(run.err.contains("hoody auth 2fa verify --temp-token temp.to.ken --code CODE"), "{run:?}");
    assert!(!desk.home.path().join(".hoody/config.json").exists());
    // `login` cannot ask here, so it says the same; programs get the token.
    let run = desk.run(&["login", "--username", "ada", "--password", "with a factor", "-o", "json"]).await;
    assert_eq!(run.code, 2);
    let challenge: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(challenge["temp_token"], "temp.to.ken");
    // A name and a password alone sign nobody in for one command.
    let run = desk.run(&["projects", "list", "--username", "ada", "--password", "with a factor"]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("second factor"), "{run:?}");

    let run = desk.run(&["auth", "2fa", "verify", "--temp-token", "temp.to.ken", "--code", "000000"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    let run = desk.run(&["auth", "2fa", "verify", "--temp-token", "temp.to.ken", "--code", "123456"]).await;
    assert_eq!((run.code, run.out.contains("as ada")), (0, true), "{run:?}");
    assert_eq!(desk.config()["token"], "access-0");
}

#[tokio::test]
async fn a_wrong_code_is_sent_once_and_the_session_left_alone() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    assert_eq!(desk.run(&LOGIN).await.code, 0);
    let disable = ["auth", "2fa", "disable", "--password", "correct horse", "--code", "000000"];
    let run = desk.run(&disable).await;
    assert_eq!((run.code, run.err.contains("INVALID_OTP_CODE")), (1, true), "{run:?}");
    let asked = |stage: &Stage| stage.seen().iter().filter(|(route, _)| route.starts_with("DELETE")).count();
    assert_eq!((asked(&stage), stage.refreshes.load(Ordering::SeqCst)), (1, 0));
    // The password was for the command, not for signing in.
    assert_eq!(stage.logins.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_session_that_turning_it_on_gives_is_kept() {
    let (_stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    assert_eq!(desk.run(&LOGIN).await.code, 0);
    let run = desk.run(&["auth", "2fa", "verify-setup", "--code", "123 456"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(
        (&desk.config()["token"], &desk.config()["refreshToken"]),
        (&json!("access-1"), &json!("refresh-1"))
    );
    assert_eq!(desk.run(&["projects", "list"]).await.code, 0);
}

#[tokio::test]
async fn a_token_is_named_by_its_alias_too() {
    let (_stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    for line in [
        &["auth", "get", "ci"][..],
        &["auth", "update", "ci", "--enabled", "false"],
        &["auth", "realms", "remove", "ci", "--realm-id", REALM, "--yes"],
        &["auth", "delete", "ci", "--yes"],
        &["auth", "get", TOKEN_ID],
    ] {
        let run = desk.run(line).await;
        assert_eq!(run.code, 0, "{line:?}: {run:?}");
        assert!(run.err.contains(TOKEN_ID) || run.out.contains(TOKEN_ID), "{line:?}: {run:?}");
    }
    for line in [&["auth", "get", "cj"][..], &["auth", "delete", "CI", "--yes"]] {
        let run = desk.run(line).await;
        assert_eq!(run.code, 1, "{line:?}: {run:?}");
        assert!(run.err.contains("there is no token") && run.err.contains("auth list"), "{run:?}");
    }
}

#[tokio::test]
async fn a_template_says_that_it_wins() {
    let (_stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    let both = ["auth", "create", "--permission-template", "read_only", "--permissions-projects-create"];
    let run = desk.run(&both).await;
    assert!(run.code == 0 && run.err.contains("--permission-template wins"), "{run:?}");
    let run = desk.run(&["auth", "create", "--permission-template", "read_only"]).await;
    assert!(run.code == 0 && !run.err.contains("wins"), "{run:?}");
}
