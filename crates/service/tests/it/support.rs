//! The harness: a service on a database of its own, and clients that call it.
//!
//! `on_both!` makes two tests of one: `NAME::sqlite` and `NAME::postgres`. The second runs where
//! `HOODY_TEST_POSTGRES` names a server (`./test` starts one); in CI its absence is a failure.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use hoody_core::time::Timestamp;
use hoody_service::testing::{Service, new_postgres};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sqlx::Connection as _;

/// When every test begins: 2026-03-02T09:15:42.118Z
pub(crate) const START_MILLIS: i64 = 1_772_442_942_118;
/// The password of every account that a test makes.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// Where clients are unless a test says otherwise.
pub(crate) const HERE: &str = "203.0.113.7";
/// Three realms.
pub(crate) const REALM_A: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const REALM_B: &str = "bbbbbbbbbbbbbbbbbbbbbbbb";

/// Makes of `async fn name(app: TestApp) { … }` a test on each engine.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($app:ident: TestApp) $body:block)*) => { $(
        $(#[$meta])*
        mod $name {
            use super::*;
            async fn run($app: $crate::support::TestApp) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run($crate::support::TestApp::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(app) = $crate::support::TestApp::postgres().await {
                    run(app).await;
                }
            }
        }
    )* };
}
pub(crate) use on_both;

/// A service on a database of its own, whose clock stands until it is moved.
pub(crate) struct TestApp {
    pub(crate) service: Service,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) url: String,
}

impl TestApp {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("hoody.db").display());
        Self::open(directory, url).await
    }

    /// `None` where there is no server; a failure in CI.
    pub(crate) async fn postgres() -> Option<Self> {
        let Some(url) = new_postgres("t").await else {
            eprintln!("skipped: HOODY_TEST_POSTGRES names no server (./test starts one)");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        // A key is made unasked only for an embedded database.
        std::fs::write(directory.path().join("master.key"), "5a".repeat(32)).unwrap();
        Some(Self::open(directory, url).await)
    }

    async fn open(directory: tempfile::TempDir, url: String) -> Self {
        let now = Timestamp::from_millis(START_MILLIS);
        let service = Service::open(&url, directory.path(), "", now).await;
        Self { service, directory, url }
    }

    /// Lets time pass, and the node read the feed as it does all the time: it is fresh afterwards.
    pub(crate) async fn later(&self, millis: i64) {
        self.service.advance(millis);
        assert!(self.service.poll().await, "the feed can be read");
    }

    /// Another node on the same database, its clock at the same instant.
    pub(crate) async fn another_node(&self) -> Service {
        self.another_node_behind("").await
    }

    /// Another node that trusts these proxies.
    pub(crate) async fn another_node_behind(&self, trusted_proxies: &str) -> Service {
        Service::open(&self.url, self.directory.path(), trusted_proxies, self.service.now()).await
    }

    /// Another node, where `open`, `invitation` or `closed` says who may sign up.
    pub(crate) async fn another_node_for(&self, sign_up: &str) -> Service {
        Service::open_for(&self.url, self.directory.path(), "", self.service.now(), sign_up).await
    }

    /// Somebody without a credential.
    pub(crate) fn anon(&self) -> Client {
        Client::of(&self.service, None)
    }

    /// Somebody with this credential.
    pub(crate) fn with(&self, credential: &str) -> Client {
        Client::of(&self.service, Some(credential))
    }

    /// A new account, signed in.
    pub(crate) async fn user(&self, username: &str) -> Client {
        let email = format!("{username}@example.com");
        self.service.create_user(username, Some(&email), PASSWORD).await;
        self.login(username).await
    }

    /// Has every job done that is due, and takes the mails that came of it, in no order.
    pub(crate) async fn mails(&self) -> Vec<Mail> {
        self.service.run_jobs().await;
        take_mails(self.directory.path())
    }

    /// The one mail that comes now, which is to this address.
    pub(crate) async fn mail_to(&self, address: &str) -> Mail {
        let mut mails = self.mails().await;
        assert_eq!(mails.len(), 1, "{mails:?}");
        let mail = mails.remove(0);
        assert_eq!(mail.to, address, "{mail:?}");
        mail
    }

    /// A new session of an account: its access token and its refresh token.
    pub(crate) async fn sign_in(&self, username: &str) -> (String, String) {
        let body = json!({ "username": username, "password": PASSWORD });
        let reply = self.anon().post("/api/v1/users/auth/login", body).await;
        reply.expect(StatusCode::OK);
        let text = |field: &str| reply.body["data"][field].as_str().unwrap().to_owned();
        (text("token"), text("refreshToken"))
    }

    /// A new session of an account.
    pub(crate) async fn login(&self, username: &str) -> Client {
        let body = json!({ "username": username, "password": PASSWORD });
        let reply = self.anon().post("/api/v1/users/auth/login", body).await;
        reply.expect(StatusCode::OK);
        self.with(reply.body["data"]["token"].as_str().unwrap())
    }
}

/// A transaction beside the service, on PostgreSQL: others wait for what it holds until it ends.
pub(crate) struct Beside {
    connection: sqlx::PgConnection,
    url: String,
}

impl Beside {
    /// `None` on SQLite, where nobody else writes while somebody does, and no reader waits.
    pub(crate) async fn begin(app: &TestApp) -> Option<Self> {
        if app.url.starts_with("sqlite") {
            return None;
        }
        let connection = sqlx::PgConnection::connect(&app.url).await.unwrap();
        let mut beside = Self { connection, url: app.url.clone() };
        beside.run("BEGIN").await.unwrap();
        Some(beside)
    }

    pub(crate) async fn run(&mut self, sql: &str) -> sqlx::Result<()> {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql).execute(&mut self.connection).await.map(drop)
    }

    /// Returns when somebody in the database waits for a lock.
    pub(crate) async fn is_waited_for(&self) {
        until_one_waits(&self.url).await;
    }

    pub(crate) async fn commit(mut self) {
        self.run("COMMIT").await.unwrap();
    }
}

/// Returns when somebody waits for a lock of this PostgreSQL database.
pub(crate) async fn until_one_waits(url: &str) {
    const WAITING: &str = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    let waits = async {
        while sqlx::query_scalar::<_, i64>(WAITING).fetch_one(&mut connection).await.unwrap() == 0 {}
    };
    tokio::time::timeout(std::time::Duration::from_secs(4), waits).await.expect("nobody waits");
}

/// A mail, as it was put into a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl Mail {
    pub(crate) fn read(source: &str) -> Self {
        let (head, text) = source.split_once("\r\n\r\n").expect("a head and a text");
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {head}")).trim().to_owned()
        };
        Self { to: field("To:"), subject: field("Subject:"), text: text.replace("\r\n", "\n") }
    }

    /// The link in it.
    #[track_caller]
    pub(crate) fn link(&self) -> &str {
        self.text.lines().find(|line| line.contains("?token=")).unwrap_or_else(|| panic!("{self:?}"))
    }

    /// What its link carries.
    #[track_caller]
    pub(crate) fn token(&self) -> String {
        self.link().split_once("?token=").unwrap().1.to_owned()
    }
}

/// The mails in a data directory, which are gone afterwards.
pub(crate) fn take_mails(directory: &std::path::Path) -> Vec<Mail> {
    let Ok(entries) = std::fs::read_dir(directory.join("mail")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mails = paths.map(|path| {
        let source = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        Mail::read(&source)
    });
    mails.collect()
}

/// Calls the service with one credential, from one address, to one host.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    service: Service,
    pub(crate) credential: Option<String>,
    address: IpAddr,
    headers: Vec<(String, String)>,
}

/// A token and a client that uses it.
#[derive(Debug, Clone)]
pub(crate) struct Minted {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) client: Client,
}

impl Client {
    pub(crate) fn of(service: &Service, credential: Option<&str>) -> Self {
        Self {
            service: service.clone(),
            credential: credential.map(str::to_owned),
            address: HERE.parse().unwrap(),
            headers: vec![("host".to_owned(), "api.localhost".to_owned())],
        }
    }

    /// The same at another node.
    pub(crate) fn at(&self, service: &Service) -> Self {
        Self { service: service.clone(), ..self.clone() }
    }

    /// The same from another address.
    pub(crate) fn from(&self, address: &str) -> Self {
        Self { address: address.parse().unwrap(), ..self.clone() }
    }

    /// The same on another host.
    pub(crate) fn host(&self, host: &str) -> Self {
        let mut client = self.clone();
        client.headers.retain(|(name, _)| name != "host");
        client.headers.push(("host".to_owned(), host.to_owned()));
        client
    }

    /// The same on a realm's host.
    pub(crate) fn realm(&self, realm: &str) -> Self {
        self.host(&format!("{realm}.api.localhost"))
    }

    /// The same with one more header.
    pub(crate) fn header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// The same without this header.
    pub(crate) fn without(&self, name: &str) -> Self {
        let mut client = self.clone();
        client.headers.retain(|(known, _)| known != name);
        client
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, Vec::new()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, Vec::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, body.to_string().into_bytes()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PUT, path, body.to_string().into_bytes()).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PATCH, path, body.to_string().into_bytes()).await
    }

    /// Sends these bytes as they are.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Reply {
        self.send_body(method, path, Body::from(body)).await
    }

    /// Sends a body that may come in pieces.
    pub(crate) async fn send_body(&self, method: Method, path: &str, body: Body) -> Reply {
        let (parts, mut body) = self.open(method, path, body).await.into_parts();
        assert_eq!(
            parts.headers.contains_key("www-authenticate"),
            parts.status == StatusCode::UNAUTHORIZED,
            "every 401 says how to authenticate, and nothing else does"
        );
        // A stream has no end: what it begins with must do.
        let is_stream = parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let bytes = if is_stream {
            body.frame().await.unwrap().unwrap().into_data().unwrap()
        } else {
            body.collect().await.unwrap().to_bytes()
        };
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status: parts.status, headers: parts.headers, body, text }
    }

    /// The answer whose body is not read yet.
    pub(crate) async fn open(&self, method: Method, path: &str, body: Body) -> axum::response::Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(credential) = &self.credential {
            request = request.header("authorization", format!("Bearer {credential}"));
        }
        let peer = SocketAddr::new(self.address, 40_000);
        self.service.call(peer, request.body(body).unwrap()).await
    }

    /// Makes a token; `body` is what the request says.
    pub(crate) async fn mint(&self, body: Value) -> Minted {
        let reply = self.post("/api/v1/auth/tokens", body).await;
        reply.expect(StatusCode::CREATED);
        let secret = reply.body["data"]["token"].as_str().unwrap().to_owned();
        let id = reply.body["data"]["id"].as_str().unwrap().to_owned();
        let client = Self::of(&self.service, Some(&secret));
        Minted { id, secret, client }
    }

    /// Whether the credential works, and may do this: 204 or the refusal.
    pub(crate) async fn check(&self, permission: &str) -> Reply {
        let query = if permission.is_empty() { String::new() } else { format!("?permission={permission}") };
        self.get(&format!("/api/v1/auth/check{query}")).await
    }

    /// The account's id.
    pub(crate) async fn account(&self) -> String {
        let reply = self.get("/api/v1/users/auth/me").await;
        reply.body["data"]["id"].as_str().unwrap().to_owned()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Reply {
    /// Fails the test unless this is the status.
    #[track_caller]
    pub(crate) fn expect(&self, status: StatusCode) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        if !self.body.is_null() && self.body.get("statusCode").is_some() {
            assert_eq!(self.body["statusCode"], status.as_u16(), "{}", self.text);
        }
        self
    }

    /// Fails the test unless it is refused with this status and code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert!(self.body["message"].is_string() && self.body["error"].is_string(), "{}", self.text);
        self
    }

    pub(crate) fn data(&self) -> &Value {
        &self.body["data"]
    }
}
