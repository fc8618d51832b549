//! The client against a small server on loopback.

#![expect(clippy::unwrap_used, reason = "the helpers of tests, too, end at the first surprise")]

mod conformance;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hoody_client::id::TokenId;
use hoody_client::wire::{CreateToken, Login, Secret, UpdateToken};
use hoody_client::{Client, Error};
use http::{HeaderMap, Method, StatusCode, Uri};

/// What a request was.
#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
}

type Script = dyn Fn(usize, &Seen) -> Response + Send + Sync;

#[derive(Clone)]
struct Recorder {
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Script>,
}

/// A server that answers the n-th request (from 0) as `script` says and remembers all of them.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn start(script: impl Fn(usize, &Seen) -> Response + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let recorder = Recorder { seen: Arc::default(), script: Arc::new(script) };
        let seen = Arc::clone(&recorder.seen);
        let router = Router::new().fallback(answer).with_state(recorder);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, seen }
    }

    fn client(&self) -> Client {
        Client::builder(format!("http://{}", self.address))
            .credential(Secret::new("hdy_canary"))
            .build()
            .unwrap()
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(
    State(recorder): State<Recorder>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let seen = Seen { method, uri, headers, body: String::from_utf8_lossy(&body).into_owned() };
    let count = {
        let mut all = recorder.seen.lock().unwrap();
        all.push(seen.clone());
        all.len() - 1
    };
    (recorder.script)(count, &seen)
}

const TOKEN: &str = r#"{"id":"65a1b2c3d4e5f60718293a4b","alias":"ci","prefix":"hdy_","public_key":null,
    "public_storage":null,"ip_whitelist":["*"],"realm_ids":[],"allow_no_realm":true,"permissions":{},
    "expires_at":null,"is_enabled":true,"vault_access":false,"event_access":true,"created_by_token_id":null,
    "delegation_depth":0,"last_used_at":null,"last_used_ip":null,"created_at":"2026-03-02T09:15:42.118Z",
    "updated_at":"2026-03-02T09:15:42.118Z"}"#;

fn ok(data: &str) -> Response {
    (StatusCode::OK, format!(r#"{{"statusCode":200,"message":"done","data":{data}}}"#)).into_response()
}

fn refused(status: u16, code: &str) -> Response {
    let body = format!(
        r#"{{"statusCode":{status},"error":"x","message":"no: {code}","code":"{code}","data":null}}"#
    );
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

fn refused_until(status: u16, retry_after: &'static str) -> Response {
    ([("retry-after", retry_after)], refused(status, "RATE_LIMIT_EXCEEDED")).into_response()
}

fn id() -> TokenId {
    "65a1b2c3d4e5f60718293a4b".parse().unwrap()
}

#[tokio::test]
async fn a_call_is_signed_and_its_data_read() {
    let server = Server::start(|_, _| ok(&format!("[{TOKEN}]"))).await;
    let list = server.client().tokens().list().await.unwrap();
    assert_eq!(list.tokens[0].id, id());
    assert!(!list.is_truncated);
    let seen = &server.seen()[0];
    assert_eq!(seen.uri.path(), "/api/v1/auth/tokens");
    assert_eq!(seen.headers["authorization"], "Bearer hdy_canary");
    assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("hoody-client/"));
}

#[tokio::test]
async fn a_truncated_list_says_so() {
    let server = Server::start(|_, _| {
        r#"{"statusCode":200,"message":"done","data":[],"truncated":true}"#.into_response()
    })
    .await;
    assert!(server.client().tokens().list().await.unwrap().is_truncated);
}

#[tokio::test]
async fn a_path_keeps_what_it_is_given_in_one_segment() {
    let server = Server::start(|_, _| refused(404, "TOKEN_NOT_FOUND")).await;
    let error = server.client().tokens().public_profile("../../users/auth/me?x=1").await.unwrap_err();
    assert!(error.has_code("TOKEN_NOT_FOUND"));
    let path = server.seen()[0].uri.to_string();
    assert_eq!(path, "/api/v1/auth/tokens/public-profiles/..%2F..%2Fusers%2Fauth%2Fme%3Fx=1");
}

#[tokio::test]
async fn retry_after_is_honoured_and_the_third_refusal_is_final() {
    let server = Server::start(|count, _| match count {
        0 => refused_until(429, "0"),
        1 => refused_until(503, "0"),
        _ => ok(TOKEN),
    })
    .await;
    server.client().tokens().create(&CreateToken::default()).await.unwrap();
    assert_eq!(server.seen().len(), 3);

    let server = Server::start(|_, _| refused_until(429, "0")).await;
    let error = server.client().tokens().get(id()).await.unwrap_err();
    assert_eq!(error.api().unwrap().status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(error.api().unwrap().retry_after, Some(Duration::ZERO));
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_wait_too_long_for_all_tries_is_the_callers() {
    let server = Server::start(|_, _| refused_until(429, "1800")).await;
    let error = server.client().tokens().get(id()).await.unwrap_err();
    assert_eq!(error.api().unwrap().retry_after, Some(Duration::from_secs(1800)));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_creation_is_not_repeated_unasked() {
    let server = Server::start(|_, _| refused(503, "UNAVAILABLE")).await;
    server.client().tokens().create(&CreateToken::default()).await.unwrap_err();
    assert_eq!(server.seen().len(), 1);
    server.client().tokens().update(id(), &UpdateToken::default()).await.unwrap_err();
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn an_unknown_outcome_is_not_asked_again_whatever_the_method() {
    // Also where something on the way adds a header that invites to.
    let server = Server::start(|count, _| match count % 2 {
        0 => refused(503, "OUTCOME_UNKNOWN"),
        _ => ([("retry-after", "0")], refused(503, "OUTCOME_UNKNOWN")).into_response(),
    })
    .await;
    let client = server.client();
    let tokens = client.tokens();
    for _ in 0..2 {
        for error in [
            tokens.create(&CreateToken::default()).await.unwrap_err(),
            tokens.update(id(), &UpdateToken::default()).await.unwrap_err(),
            tokens.delete(id()).await.unwrap_err(),
        ] {
            assert!(error.is_outcome_unknown(), "{error}");
        }
    }
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn what_changes_something_is_asked_again_only_where_nothing_was_done() {
    for (status, retry_after) in
        [(429, None), (500, Some("0")), (502, Some("0")), (503, None), (504, Some("0"))]
    {
        let server = Server::start(move |_, _| {
            let refusal = StatusCode::from_u16(status).unwrap();
            match retry_after {
                Some(wait) => (refusal, [("retry-after", wait)], "<html>").into_response(),
                None => (refusal, "<html>").into_response(),
            }
        })
        .await;
        let error = server.client().tokens().create(&CreateToken::default()).await.unwrap_err();
        assert_eq!(error.to_string().contains("may have been done"), status >= 500, "{error}");
        assert_eq!(server.seen().len(), 1, "{status}");
        // A code in it is good once.
        let change = UpdateToken { otp_code: Some("123456".into()), ..UpdateToken::default() };
        server.client().tokens().update(id(), &change).await.unwrap_err();
        assert_eq!(server.seen().len(), 2, "{status}");
    }
    let server = Server::start(|_, _| refused_until(503, "0")).await;
    server.client().tokens().create(&CreateToken::default()).await.unwrap_err();
    assert_eq!(server.seen().len(), 3);
}

/// A server that reads each request and hangs up; how many there were.
async fn hanging_up() -> (String, Arc<AtomicUsize>) {
    use tokio::io::AsyncReadExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (base, count)
}

#[tokio::test]
async fn a_connection_lost_after_sending_is_tried_again_only_where_that_is_safe() {
    let (base, count) = hanging_up().await;
    let client = Client::builder(base.clone()).build().unwrap();
    let error = client.tokens().create(&CreateToken::default()).await.unwrap_err();
    assert!(matches!(error, Error::Broken { .. }) && error.is_outcome_unknown(), "{error:?}");
    let told =
        format!("the connection to {base} broke before the answer to POST /api/v1/auth/tokens was complete");
    assert_eq!((error.to_string(), count.swap(0, Ordering::SeqCst)), (told, 1));
    let error = client.tokens().get(id()).await.unwrap_err();
    assert!(!error.is_outcome_unknown(), "{error:?}");
    assert_eq!(count.swap(0, Ordering::SeqCst), 3);
    client.tokens().delete(id()).await.unwrap_err();
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_credential_stays() {
    let other = Server::start(|_, _| ok(TOKEN)).await;
    let location = format!("http://{}/api/v1/auth/tokens/x?leak=1", other.address);
    let server = Server::start(move |_, _| {
        (StatusCode::TEMPORARY_REDIRECT, [("location", location.clone())]).into_response()
    })
    .await;
    let error = server.client().tokens().get(id()).await.unwrap_err();
    match error {
        Error::Redirected { location } => assert_eq!(location, format!("http://{}", other.address)),
        other => panic!("{other:?}"),
    }
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn login_and_refresh_do_not_send_the_clients_credential() {
    let server = Server::start(|_, _| refused(401, "INVALID_CREDENTIALS")).await;
    let login =
        Login { username: Some("ada".into()), password: Secret::new("canary-password"), ..Login::default() };
    let error = server.client().login(&login).await.unwrap_err();
    assert!(error.is_unauthorized());
    server.client().refresh(&Secret::new("canary-refresh")).await.unwrap_err();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|request| !request.headers.contains_key("authorization")));
    assert_eq!(seen[0].body, r#"{"username":"ada","password":"canary-password"}"#);
    assert_eq!(seen[1].body, r#"{"refreshToken":"canary-refresh"}"#);
    assert_eq!(seen[1].method, Method::POST);
}

#[tokio::test]
async fn a_realms_host_is_found_on_this_machine() {
    let server = Server::start(|_, _| ok(r#"{"realm_ids":[],"total":0}"#)).await;
    let realm = "507f1f77bcf86cd799439012";
    let base = format!("http://{}", server.address);
    let client = Client::builder(base).realm(realm.parse().unwrap()).build().unwrap();
    assert_eq!(client.origin().as_str(), format!("http://{}", server.address));
    assert_eq!(client.realms().list(true).await.unwrap().total, 0);
    let seen = &server.seen()[0];
    let host = format!("{realm}.api.localhost:{}", server.address.port());
    assert_eq!(seen.headers["host"], host.as_str());
    assert_eq!(seen.uri, "/api/v1/realms?include_usage=true");
}

#[tokio::test]
async fn a_refusal_is_read_whole() {
    let server = Server::start(|_, _| {
        let body = r#"{"statusCode":422,"error":"Unprocessable Entity","message":"Validation failed","code":"VALIDATION_ERROR",
            "data":[{"instancePath":"/alias","message":"must be text"}]}"#;
        (StatusCode::UNPROCESSABLE_ENTITY, body).into_response()
    })
    .await;
    let error = server.client().tokens().create(&CreateToken::default()).await.unwrap_err();
    let refusal = error.api().unwrap();
    assert_eq!((refusal.status.as_u16(), refusal.code.as_str()), (422, "VALIDATION_ERROR"));
    assert_eq!(refusal.data.as_ref().unwrap()[0]["instancePath"], "/alias");
}

#[tokio::test]
async fn a_code_in_the_error_field_and_an_answer_of_a_gateway_are_read() {
    let server = Server::start(|count, _| match count {
        0 => (
            StatusCode::CONFLICT,
            r#"{"statusCode":409,"error":"AUTH_TOKEN_LIMIT_REACHED","message":"full"}"#,
        )
            .into_response(),
        _ => (StatusCode::BAD_GATEWAY, "<html>").into_response(),
    })
    .await;
    assert!(server.client().tokens().list().await.unwrap_err().has_code("AUTH_TOKEN_LIMIT_REACHED"));
    let error = server.client().tokens().list().await.unwrap_err();
    assert_eq!(error.api().unwrap().status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn nothing_printed_holds_a_secret() {
    // A secret where an object should be: the reader's own message would quote it.
    let server = Server::start(|_, _| ok(r#""hdy_canary_in_the_answer""#)).await;
    let client = server.client();
    let error = client.tokens().create(&CreateToken::default()).await.unwrap_err();
    let shown = format!(
        "{client:?} {error} {error:?} {:?}",
        Client::builder("http://x").credential("hdy_canary".into())
    );
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::builder(format!("http://{address}")).build().unwrap();
    let error = client.ip().await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot reach http://{address}"));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::builder(base).timeout(Duration::from_millis(200)).build().unwrap();
    assert!(matches!(client.ip().await, Err(Error::Timeout { .. })));
    drop(listener);
}

#[tokio::test]
async fn check_takes_an_empty_answer() {
    let server = Server::start(|_, _| StatusCode::NO_CONTENT.into_response()).await;
    server.client().check("projects.read").await.unwrap();
    assert_eq!(server.seen()[0].uri, "/api/v1/auth/check?permission=projects.read");
}
