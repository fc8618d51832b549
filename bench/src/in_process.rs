//! The parts of a check, without a socket: nanoseconds each, the median of several runs.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use hoody_service::testing::Service;
use hoody_core::secret::TokenText;
use hoody_core::time::Timestamp;
use serde_json::{Value, json};

const TOKENS: usize = 1_000;
/// How many are in use, the fewest first.
const IN_USE: [u64; 2] = [10_000, 1_000_000];
const PEER: &str = "127.0.0.1:40000";

/// Measures and returns rows of a Markdown table.
pub fn run(runtime: &tokio::runtime::Runtime) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let (service, tokens) = runtime.block_on(prepare(directory.path()));
    let mut rows = String::new();
    let mut row = |name: &str, nanos: f64| {
        let _ = writeln!(rows, "| {name} | {nanos:.0} |");
    };
    row(
        "checksum and form of a token",
        median(&tokens, |token| {
            let _ = black_box(TokenText::parse(black_box(token)));
        }),
    );
    row(
        "digest (HMAC-SHA-256 of the token)",
        median(&tokens, |token| {
            black_box(service.digest(black_box(token)));
        }),
    );
    let decide = service.decider(&tokens[0], "projects.read");
    row("`core::grant::decide` alone", median(&tokens[..1], |_| assert!(decide())));
    row(
        "form, digest, lookup, decide, usage: 1,000 tokens in use",
        median(&tokens, |token| {
            assert!(service.decide_hot(black_box(token), "projects.read"));
        }),
    );
    row("the whole request without a socket", whole(runtime, &service, &tokens, check));
    let gate = runtime.block_on(gate(&service, &tokens));
    let question = |token: &str| gate_question(&gate, token);
    row("the whole question of a proxy at a gate of 50 routes", whole(runtime, &service, &tokens, question));
    drop((service, directory));
    let directory = tempfile::tempdir().expect("a directory");
    let service = runtime.block_on(plant(directory.path()));
    let mut in_use: Vec<String> = Vec::new();
    for count in IN_USE {
        let more: Vec<String> = (in_use.len() as u64..count).map(|number| service.planted(number)).collect();
        runtime.block_on(read_all(&service, &more));
        in_use.extend(more);
        let drawn = draw(&in_use);
        row(
            &format!("form, digest, lookup, decide, usage: {count} tokens in use, at random"),
            median(&drawn, |token| {
                assert!(service.decide_hot(black_box(token), "projects.read"));
            }),
        );
    }
    rows
}

/// A service with as many tokens in its database as will be in use.
async fn plant(directory: &std::path::Path) -> Service {
    let url = format!("sqlite:{}", directory.join("hoody.db").display());
    let now = Timestamp::from_millis(1_772_442_942_118);
    let service = Service::open_logging(&url, directory, "", now, None).await;
    service.create_user("bench", None, crate::load::PASSWORD).await;
    let (_, id) = first_token(&service).await;
    service.plant_like(&id, IN_USE[1]).await;
    service.poll().await;
    service
}

/// Has every one of them read from the database.
async fn read_all(service: &Service, tokens: &[String]) {
    const AT_ONCE: usize = 64;
    for some in tokens.chunks(AT_ONCE) {
        let peer = PEER.parse().expect("a peer");
        let asked = some
            .iter()
            .map(|token| service.call(peer, request("GET", "/api/v1/auth/check", Some(token), None)));
        for response in futures_util::future::join_all(asked).await {
            assert_eq!(response.status(), 204);
        }
        // As every node does all the time: what is not fresh answers nothing.
        service.poll().await;
    }
}

/// As many of these as are measured in a run, at random; text and all, so that only what the service does
/// finds cold memory.
fn draw(tokens: &[String]) -> Vec<String> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % tokens.len()
    };
    (0..CALLS).map(|_| tokens[next()].clone()).collect()
}

/// Signs in and makes a token: the session, and the token's id.
pub async fn first_token(service: &Service) -> (String, String) {
    let login = json!({ "username": "bench", "password": crate::load::PASSWORD });
    let session = call(service, "POST", "/api/v1/users/auth/login", None, Some(login)).await;
    let session = session["data"]["token"].as_str().expect("a session").to_owned();
    let made = call(service, "POST", "/api/v1/auth/tokens", Some(&session), Some(json!({}))).await;
    let id = made["data"]["id"].as_str().expect("an id").to_owned();
    (session, id)
}

async fn prepare(directory: &std::path::Path) -> (Service, Vec<String>) {
    let url = format!("sqlite:{}", directory.join("hoody.db").display());
    let now = Timestamp::from_millis(1_772_442_942_118);
    // Nothing writes in the background: a request log would be full soon.
    let service = Service::open_logging(&url, directory, "127.0.0.1", now, None).await;
    service.create_user("ada", None, "correct horse battery").await;
    let login = json!({ "username": "ada", "password": "correct horse battery" });
    let session = call(&service, "POST", "/api/v1/users/auth/login", None, Some(login)).await;
    let session = session["data"]["token"].as_str().expect("a session").to_owned();
    let mut tokens = Vec::new();
    for _ in 0..TOKENS {
        let made = call(&service, "POST", "/api/v1/auth/tokens", Some(&session), Some(json!({}))).await;
        tokens.push(made["data"]["token"].as_str().expect("a token").to_owned());
    }
    service.poll().await;
    for token in &tokens {
        call(&service, "GET", "/api/v1/auth/check", Some(token), None).await;
    }
    (service, tokens)
}

/// Asks the service without a socket; the body of its answer.
pub async fn call(
    service: &Service,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> Value {
    use http_body_util::BodyExt as _;
    let response = service.call(PEER.parse().expect("a peer"), request(method, path, token, body)).await;
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn request(
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> http::Request<axum::body::Body> {
    let mut request = http::Request::builder().method(method).uri(path).header("host", "127.0.0.1:8080");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = body.map_or_else(axum::body::Body::empty, |body| body.to_string().into());
    request.body(body).expect("a request")
}

const CALLS: usize = 200_000;

/// Nanoseconds for each call of `work`, the median of eleven runs of 200,000 calls.
fn median(tokens: &[String], work: impl Fn(&str)) -> f64 {
    let mut runs: Vec<f64> = (0..11)
        .map(|_| {
            let began = Instant::now();
            for token in tokens.iter().cycle().take(CALLS) {
                work(token);
            }
            began.elapsed().as_secs_f64() * 1e9 / CALLS as f64
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

fn check(token: &str) -> http::Request<axum::body::Body> {
    request("GET", "/api/v1/auth/check?permission=projects.read", Some(token), None)
}

/// A gate with 50 routes, and every token asked for once at it: its id.
async fn gate(service: &Service, tokens: &[String]) -> String {
    let login = json!({ "username": "ada", "password": "correct horse battery" });
    let session = call(service, "POST", "/api/v1/users/auth/login", None, Some(login)).await;
    let session = session["data"]["token"].as_str().expect("a session").to_owned();
    let row = |number: u32| {
        json!({ "path": format!("/v1/things{number}/{{id}}/parts/{{part}}"), "methods": ["GET"], "permission": "projects.read" })
    };
    let routes: Vec<Value> = (0..50).map(row).collect();
    let gate = json!({ "hosts": ["app.example.com"], "route": routes });
    let set = call(service, "PUT", "/api/v1/gates/bench", Some(&session), Some(gate)).await;
    let gate = set["data"]["id"].as_str().expect("a gate").to_owned();
    service.poll().await;
    for token in tokens {
        let response = service.call(PEER.parse().expect("a peer"), gate_question(&gate, token)).await;
        assert_eq!(response.status(), 200);
    }
    gate
}

/// What nginx asks about a request with this token.
fn gate_question(gate: &str, token: &str) -> http::Request<axum::body::Body> {
    let mut request = request("GET", &format!("/gate/auth?gate={gate}&body=none"), Some(token), None);
    for (name, value) in [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-uri", "/v1/things37/65a1b2c3d4e5f60718293a4b/parts/7?x=1"),
        ("x-forwarded-host", "app.example.com"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "203.0.113.9"),
    ] {
        request.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    request
}

fn whole(
    runtime: &tokio::runtime::Runtime,
    service: &Service,
    tokens: &[String],
    ask: impl Fn(&str) -> http::Request<axum::body::Body>,
) -> f64 {
    const CALLS: usize = 100_000;
    let peer = PEER.parse().expect("a peer");
    let mut runs: Vec<f64> = (0..7)
        .map(|_| {
            runtime.block_on(async {
                // Built beforehand: the parser is the HTTP library's.
                let requests: Vec<_> = tokens
                    .iter()
                    .cycle()
                    .take(CALLS)
                    .map(|token| ask(token))
                    .collect();
                let began = Instant::now();
                for request in requests {
                    let response = service.call(peer, request).await;
                    assert!(response.status().is_success());
                }
                began.elapsed().as_secs_f64() * 1e9 / CALLS as f64
            })
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}
