//! A service with its console on a database of its own, and browsers that look at it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::body::Body;
use hoody_console::{Console, Plain};
use hoody_core::time::Timestamp;
use hoody_service::testing::{Service, new_postgres};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

/// When every test begins: 2026-03-02T09:15:42.118Z
const START_MILLIS: i64 = 1_772_442_942_118;
pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const MINUTE: i64 = 60_000;
/// Where links point to, and the origin of every page of ours.
pub(crate) const ORIGIN: &str = "https://auth.example.com";
pub(crate) const HOST: &str = "auth.example.com";
pub(crate) const HERE: &str = "203.0.113.7";

/// Makes of `async fn name(app: App) { … }` a test on each engine.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($app:ident: App) $body:block)*) => { $(
        $(#[$meta])*
        mod $name {
            use super::*;
            async fn run($app: $crate::support::App) $body

            #[tokio::test]
            async fn sqlite() {
                run($crate::support::App::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(app) = $crate::support::App::postgres().await {
                    run(app).await;
                }
            }
        }
    )* };
}
pub(crate) use on_both;

pub(crate) struct App {
    pub(crate) service: Service,
    directory: tempfile::TempDir,
    url: String,
}

impl App {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("hoody.db").display());
        Self::open(directory, url).await
    }

    /// `None` where there is no server; a failure in CI.
    pub(crate) async fn postgres() -> Option<Self> {
        let Some(url) = new_postgres("c").await else {
            eprintln!("skipped: HOODY_TEST_POSTGRES names no server (./test starts one)");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("master.key"), "5a".repeat(32)).unwrap();
        Some(Self::open(directory, url).await)
    }

    async fn open(directory: tempfile::TempDir, url: String) -> Self {
        let now = Timestamp::from_millis(START_MILLIS);
        let service = Service::open(&url, directory.path(), "", now).await;
        Self { service: with_console(service), directory, url }
    }

    /// Another node on the same database.
    pub(crate) async fn another_node(&self) -> Service {
        let service = Service::open(&self.url, self.directory.path(), "", self.service.now()).await;
        with_console(service)
    }

    /// Lets time pass, and the node read the feed as it does all the time.
    pub(crate) async fn later(&self, millis: i64) {
        self.service.advance(millis);
        assert!(self.service.poll().await, "the feed can be read");
    }

    pub(crate) async fn account(&self, name: &str) {
        self.service.create_user(name, Some(&format!("{name}@example.com")), PASSWORD).await;
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::of(&self.service)
    }

    /// A browser whose owner has signed in, with an account of that name.
    pub(crate) async fn signed_in(&self, name: &str) -> Browser {
        self.account(name).await;
        let browser = self.browser();
        browser.sign_in(name).await;
        browser
    }

    /// Calls the API with a credential, or without one.
    pub(crate) async fn api(
        &self,
        method: Method,
        path: &str,
        credential: Option<&str>,
        body: Value,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "api.localhost");
        if let Some(credential) = credential {
            request = request.header(header::AUTHORIZATION, format!("Bearer {credential}"));
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.service.call(peer(HERE), request.body(body).unwrap()).await;
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// A session of the API.
    pub(crate) async fn api_session(&self, name: &str) -> String {
        let body = json!({ "username": name, "password": PASSWORD });
        let (status, reply) = self.api(Method::POST, "/api/v1/users/auth/login", None, body).await;
        assert_eq!(status, StatusCode::OK, "{reply}");
        reply["data"]["token"].as_str().unwrap().to_owned()
    }

    /// The account's tokens, as the API lists them.
    pub(crate) async fn tokens(&self, name: &str) -> Vec<Value> {
        let session = self.api_session(name).await;
        let (_, reply) = self.api(Method::GET, "/api/v1/auth/tokens", Some(&session), Value::Null).await;
        reply["data"].as_array().unwrap().clone()
    }
}

fn with_console(service: Service) -> Service {
    service.with_wing(|nouns| hoody_console::routes(Console::new(nouns, Plain::Refused)))
}

fn peer(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), 40_000)
}

/// A browser: it keeps cookies, says where its forms come from, and runs no script.
#[derive(Clone)]
pub(crate) struct Browser {
    service: Service,
    pub(crate) cookies: RefCell<BTreeMap<String, String>>,
    headers: Vec<(&'static str, String)>,
    address: String,
}

/// What a browser is shown.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// A form of a page.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Browser {
    pub(crate) fn of(service: &Service) -> Self {
        let headers = vec![
            ("host", HOST.to_owned()),
            ("sec-fetch-site", "same-origin".to_owned()),
            ("origin", ORIGIN.to_owned()),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0 Safari/537.36".to_owned()),
        ];
        Self { service: service.clone(), cookies: RefCell::default(), headers, address: HERE.to_owned() }
    }

    /// The same browser, with its cookies, at another node.
    pub(crate) fn at(&self, service: &Service) -> Self {
        Self { service: service.clone(), ..self.clone() }
    }

    /// The same with this header instead of the one that it sends, or without it.
    pub(crate) fn with(&self, name: &'static str, value: Option<&str>) -> Self {
        let mut other = self.clone();
        other.headers.retain(|(known, _)| *known != name);
        other.headers.extend(value.map(|value| (name, value.to_owned())));
        other
    }

    pub(crate) async fn get(&self, path: &str) -> Shown {
        self.send(Method::GET, path, None).await
    }

    /// Opens a page and whatever it leads to.
    pub(crate) async fn open(&self, path: &str) -> Shown {
        self.follow(self.get(path).await).await
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Shown {
        let pairs: Vec<_> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        self.send(Method::POST, path, Some(pairs.join("&"))).await
    }

    /// Sends a form with these fields filled in, and follows where it leads.
    pub(crate) async fn submit(&self, form: &Form, filled: &[(&str, &str)]) -> Shown {
        self.follow(self.submit_only(form, filled).await).await
    }

    pub(crate) async fn submit_only(&self, form: &Form, filled: &[(&str, &str)]) -> Shown {
        let given = |name: &str| filled.iter().any(|(filled, _)| *filled == name);
        let kept = form.fields.iter().filter(|(name, _)| !given(name));
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        let fields: Vec<_> = kept.chain(filled.iter().copied()).collect();
        self.post(&form.action, &fields).await
    }

    async fn follow(&self, mut shown: Shown) -> Shown {
        for _ in 0..5 {
            if !shown.status.is_redirection() {
                return shown;
            }
            let to = shown.headers[header::LOCATION].to_str().unwrap().to_owned();
            shown = self.get(&to).await;
        }
        panic!("it leads nowhere: {shown:?}");
    }

    async fn send(&self, method: Method, path: &str, form: Option<String>) -> Shown {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let cookies: Vec<_> =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if form.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(form.map_or_else(Body::empty, Body::from)).unwrap();
        let response = self.service.call(peer(&self.address), request).await;
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            self.keep(cookie.to_str().unwrap());
        }
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Shown { status: parts.status, headers: parts.headers, text }
    }

    fn keep(&self, cookie: &str) {
        let (pair, attributes) = cookie.split_once(';').unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        if attributes.contains("Max-Age=0") {
            self.cookies.borrow_mut().remove(name);
        } else {
            self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
        }
    }

    pub(crate) async fn sign_in(&self, name: &str) {
        let page = self.get("/console/sign-in").await;
        let shown =
            self.submit(&page.form("/console/sign-in"), &[("name", name), ("password", PASSWORD)]).await;
        shown.is(StatusCode::OK, "Overview");
    }

    /// Makes a token with these permissions; its id and its secret.
    pub(crate) async fn make(&self, alias: &str, permissions: &[&str]) -> (String, String) {
        let review = self.review(alias, permissions).await;
        let made = self.submit(&review.form("/console/tokens"), &[]).await;
        made.is(StatusCode::OK, &format!("Copy the secret of {alias} now"));
        (made.token_id(), made.secret())
    }

    /// The review of a token with these permissions, for a day.
    pub(crate) async fn review(&self, alias: &str, permissions: &[&str]) -> Shown {
        let page = self.get("/console/tokens/new").await;
        let mut filled = vec![("alias", alias), ("ends", "1d"), ("do", "")];
        filled.extend(permissions.iter().map(|path| ("p", *path)));
        let shown = self.submit(&page.form("/console/tokens/review"), &filled).await;
        shown.is(StatusCode::OK, &format!("Review {alias}"));
        shown
    }
}

impl Shown {
    #[track_caller]
    pub(crate) fn is(&self, status: StatusCode, heading: &str) {
        let found = self.heading();
        assert_eq!((self.status, found.as_str()), (status, heading), "{}", self.text);
    }

    pub(crate) fn heading(&self) -> String {
        let rest = self.text.split_once("<h1>").map_or("", |(_, rest)| rest);
        rest.split_once("</h1>").map_or("", |(heading, _)| heading).to_owned()
    }

    #[track_caller]
    pub(crate) fn says(&self, words: &str) -> &Self {
        assert!(self.plain().contains(words), "{words:?} is not in {}", self.plain());
        self
    }

    /// The text without its elements, entities read.
    pub(crate) fn plain(&self) -> String {
        let mut text = String::new();
        let mut is_tag = false;
        for c in self.text.chars() {
            match c {
                '<' => is_tag = true,
                '>' => is_tag = false,
                c if !is_tag => text.push(c),
                _ => {}
            }
        }
        text.replace("&#39;", "'")
            .replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    }

    /// Every form of the page.
    pub(crate) fn forms(&self) -> Vec<Form> {
        let mut forms = Vec::new();
        for part in self.text.split("<form ").skip(1) {
            let inner = part.split("</form>").next().unwrap();
            let (head, body) = inner.split_once('>').unwrap();
            if !head.contains("method=\"post\"") {
                continue;
            }
            let fields = body.split("<input ").skip(1).filter_map(|input| {
                let input = input.split('>').next().unwrap();
                let kind = attribute(input, "type").unwrap_or_default();
                let is_sent = !matches!(kind.as_str(), "checkbox" | "radio") || input.contains(" checked");
                Some((attribute(input, "name")?, attribute(input, "value").unwrap_or_default()))
                    .filter(|_| is_sent)
            });
            forms.push(Form { action: attribute(head, "action").unwrap(), fields: fields.collect() });
        }
        forms
    }

    #[track_caller]
    pub(crate) fn form(&self, action: &str) -> Form {
        let found = self.forms().into_iter().find(|form| form.action == action);
        found.unwrap_or_else(|| panic!("no form to {action}: {}", self.text))
    }

    pub(crate) fn secret(&self) -> String {
        let (_, rest) =
            self.text.split_once("value=\"hdy_").unwrap_or_else(|| panic!("no secret: {}", self.text));
        format!("hdy_{}", rest.split('"').next().unwrap())
    }

    /// The id of the token whose secret is shown.
    pub(crate) fn token_id(&self) -> String {
        let (_, rest) = self.text.split_once("data-live=\"/console/tokens/").unwrap();
        rest[..24].to_owned()
    }
}

fn attribute(element: &str, name: &str) -> Option<String> {
    let (_, rest) = element.split_once(&format!("{name}=\""))?;
    let value = rest.split('"').next()?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}

pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
