//! `sdk/conformance.json`: how every client of hoody behaves. The SDKs run the same file; here run the cases that
//! need nothing of what this client leaves to its caller (`needs`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hoody_client::{Base, Client, Error, ProjectQuery};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const FILE: &str = include_str!("../../../../sdk/conformance.json");

#[derive(Deserialize)]
struct File {
    token: String,
    cases: Vec<Case>,
    bases: Vec<Address>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(default)]
    needs: Vec<String>,
    call: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    client: Settings,
    #[serde(default)]
    answers: Vec<Answer>,
    expect: Expected,
}

#[derive(Deserialize, Default)]
struct Settings {
    timeout_ms: Option<u64>,
}

#[derive(Deserialize, Clone, Default)]
struct Answer {
    status: Option<u16>,
    #[serde(default)]
    headers: HashMap<String, String>,
    body: Option<Value>,
    text: Option<String>,
    #[serde(default)]
    drop: bool,
    wait: Option<u64>,
}

#[derive(Deserialize)]
struct Expected {
    #[serde(default)]
    requests: Vec<String>,
    #[serde(default)]
    pauses: Vec<(u128, u128)>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    kind: String,
    status: Option<u16>,
    code: Option<String>,
    retry_after: Option<u64>,
    mentions: Option<String>,
    #[serde(default)]
    outcome_unknown: bool,
}

#[derive(Deserialize)]
struct Address {
    base: String,
    href: Option<String>,
    realm: Option<String>,
}

fn file() -> File {
    serde_json::from_str(FILE).unwrap()
}

/// What came: the line of `expect.requests`, and when.
type Seen = Arc<Mutex<Vec<(String, Instant)>>>;

/// Gives the answers one by one, each on a connection of its own.
async fn scripted(answers: Vec<Answer>, token: String) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let told = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let Some(line) = request(&mut stream, &token).await else { continue };
            let at = {
                let mut all = told.lock().unwrap();
                all.push((line, Instant::now()));
                all.len() - 1
            };
            let answer = answers.get(at).cloned().unwrap_or_default();
            tokio::spawn(async move { give(stream, answer).await });
        }
    });
    (base, seen)
}

/// Reads a request, its body included: `METHOD /path credential`.
async fn request(stream: &mut TcpStream, token: &str) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let size = stream.read(&mut piece).await.ok().filter(|size| *size > 0)?;
        text.extend_from_slice(&piece[..size]);
        let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&text[..end]).into_owned();
        let field = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let length: usize = field("content-length").map_or(0, |value| value.parse().unwrap());
        if text.len() < end + 4 + length {
            continue;
        }
        let bearer = field("authorization").unwrap_or_else(|| "none".to_owned());
        let bearer = bearer.trim_start_matches("Bearer ");
        let credential = if bearer == token { "token" } else { bearer };
        let (line, _version) = head.lines().next()?.rsplit_once(' ')?;
        return Some(format!("{line} {credential}"));
    }
}

async fn give(mut stream: TcpStream, answer: Answer) {
    if let Some(wait) = answer.wait {
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    let Some(status) = answer.status.filter(|_| !answer.drop) else { return };
    let body = answer.text.or(answer.body.map(|body| body.to_string())).unwrap_or_default();
    let headers: String = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
}

fn read<T: DeserializeOwned>(body: &Value) -> T {
    serde_json::from_value(body.clone()).unwrap()
}

/// The call of an operationId.
async fn call(client: &Client, case: &Case) -> Result<(), Error> {
    let id = || case.args[0].parse().unwrap();
    match case.call.as_str() {
        "list_projects" => client.projects().list(&ProjectQuery::default()).await.map(drop),
        "list_realms" => client.realms().list(false).await.map(drop),
        "get_vault_key" => client.vault().get(&case.args[0]).await.map(drop),
        "clear_vault" => client.vault().clear().await.map(drop),
        "create_token" => client.tokens().create(&read(&case.body)).await.map(drop),
        "update_token" => client.tokens().update(id(), &read(&case.body)).await.map(drop),
        "delete_token" => client.tokens().delete(id()).await,
        "create_project" => client.projects().create(&read(&case.body)).await.map(drop),
        "login" => client.login(&read(&case.body)).await.map(drop),
        other => panic!("{}: no call for {other}", case.name),
    }
}

fn check_error(expected: &Failure, error: &Error, name: &str) {
    let kind = match error {
        Error::Api(_) => "api",
        Error::Network { .. } | Error::Broken { .. } => "connection",
        Error::Timeout { .. } => "timeout",
        Error::Redirected { .. } | Error::Decode { .. } | Error::TooLarge { .. } => "unreadable",
        _ => "other",
    };
    assert_eq!(kind, expected.kind, "{name}: {error:?}");
    if let Some(api) = error.api() {
        assert_eq!(Some(api.status.as_u16()), expected.status, "{name}");
        assert_eq!(Some(&api.code), expected.code.as_ref(), "{name}");
        if expected.retry_after.is_some() {
            assert_eq!(api.retry_after.map(|pause| pause.as_secs()), expected.retry_after, "{name}");
        }
    }
    assert_eq!(error.is_outcome_unknown(), expected.outcome_unknown, "{name}: {error:?}");
    let shown = format!("{error:?} {error}");
    assert!(shown.contains(expected.mentions.as_deref().unwrap_or_default()), "{name}: {shown}");
    assert!(!shown.to_lowercase().contains("canary"), "{name}: {shown}");
}

#[tokio::test]
async fn what_all_clients_do_alike() {
    let file = file();
    let mut ran = 0;
    for case in file.cases.iter().filter(|case| case.needs.is_empty()) {
        let (base, seen) = scripted(case.answers.clone(), file.token.clone()).await;
        let mut builder = Client::builder(base).credential(file.token.clone().into());
        if let Some(timeout) = case.client.timeout_ms {
            builder = builder.timeout(Duration::from_millis(timeout));
        }
        let ended = call(&builder.build().unwrap(), case).await;
        let seen = seen.lock().unwrap().clone();
        let lines: Vec<_> = seen.iter().map(|(line, _)| line.as_str()).collect();
        assert_eq!(lines, case.expect.requests, "{}", case.name);
        for (times, (least, most)) in seen.windows(2).zip(&case.expect.pauses) {
            let pause = (times[1].1 - times[0].1).as_millis();
            assert!(pause >= *least && pause <= *most, "{}: {pause} ms", case.name);
        }
        match (&case.expect.error, ended) {
            (Some(expected), Err(error)) => check_error(expected, &error, &case.name),
            (None, ended) => ended.unwrap_or_else(|error| panic!("{}: {error:?}", case.name)),
            (Some(_), Ok(())) => panic!("{}: no error", case.name),
        }
        ran += 1;
    }
    assert!(ran >= 30, "{ran} cases");
}

#[test]
fn base_addresses_are_read_alike() {
    for Address { base, href, realm } in file().bases {
        let found = Base::parse(&base);
        assert_eq!(found.as_ref().ok().map(|base| base.as_str().to_owned()), href, "{base}");
        if let Ok(found) = found {
            let there = found.in_realm("507f1f77bcf86cd799439012".parse().unwrap());
            assert_eq!(there.ok().map(|base| base.as_str().to_owned()), realm, "{base}");
        }
    }
}
