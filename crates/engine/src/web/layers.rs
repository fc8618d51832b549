//! The way in that all requests share, top to bottom: count and name the request, fold the trailing
//! slash, a time limit, a net for panics, then the router. Nothing of any one route lives here.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, Ready, ready};
use hoody_core::activity::redact;
use hoody_core::grant::Deny;
use hoody_core::host::HostError;
use hoody_core::invalid::Invalid;
use http::header::{HOST, USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, StatusCode, Uri, Version};
use tower::ServiceExt as _;

use super::access::Access;
use super::caller::{self, Head, Visit};
use super::connection::{Busy, Connection};
use super::memory::Memory;
use super::metered::Metered;
use crate::activity::{Activity, What};
use crate::clock::entropy;
use crate::error::{Error, Refused};
use crate::feed::outcome;
use crate::nodes::{Nodes, wait};

/// How long a request may take, its body included.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// For a client that asks for more than it reads. Nothing was done for the request.
const UNREAD: Error = Error::Unavailable(
    "Too many answers to this client have not been read yet; read them, then send the request again",
);

/// What a 401 asks for, and what it says of a credential that was given.
const NO_CREDENTIAL: &str = "Bearer realm=\"hoody\"";
const WRONG_CREDENTIAL: &str = "Bearer realm=\"hoody\", error=\"invalid_token\"";

/// Decides what is asked most before the router. What it does not allow, the router judges and answers.
pub trait FastPath: Send + Sync {
    /// The answer to a request that is a question whose answer is yes. Waits for nothing.
    fn answer(&self, head: Head<'_>, method: &Method) -> Option<Response>;
}

/// What answers some requests in place of the router.
pub trait Branch: Send + Sync {
    /// Whether this request is for it.
    fn takes(&self, request: &Request<Body>) -> bool;
    /// Its answer.
    fn answer(&self, request: Request<Body>) -> BoxFuture<'static, Response>;
}

/// The service that connections are given to.
#[derive(Debug, Clone)]
pub struct Edge {
    router: Router,
    shared: Arc<EdgeShared>,
}

/// What an [`Edge`] is made of.
pub struct EdgeParts {
    pub router: Router,
    pub access: Arc<Access>,
    pub activity: Activity,
    pub nodes: Nodes,
    pub fast_path: Box<dyn FastPath>,
    /// Asked one after the other, before the router.
    pub branches: Vec<Box<dyn Branch>>,
}

impl std::fmt::Debug for EdgeParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeParts").field("router", &self.router).finish_non_exhaustive()
    }
}

struct EdgeShared {
    access: Arc<Access>,
    activity: Activity,
    nodes: Nodes,
    fast_path: Box<dyn FastPath>,
    branches: Vec<Box<dyn Branch>>,
    memory: Arc<Memory>,
    /// Names requests: a number that starts anywhere.
    next_id: AtomicU64,
    /// Requests that were answered before the router, all with 2xx.
    hot: metrics::Counter,
}

impl std::fmt::Debug for EdgeShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeShared").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

impl Edge {
    /// What connections are given to.
    #[must_use]
    pub fn new(parts: EdgeParts) -> Self {
        let EdgeParts { router, access, activity, nodes, fast_path, branches } = parts;
        let next_id = AtomicU64::new(u64::from_be_bytes(entropy()));
        let hot = metrics::counter!("hoody_http_requests_total", "status" => "2xx");
        let memory = Arc::default();
        let shared = EdgeShared { access, activity, nodes, fast_path, branches, memory, next_id, hot };
        Self { router, shared: Arc::new(shared) }
    }

    /// Whether this is a trusted proxy, which speaks for many.
    pub fn is_proxy(&self, peer: IpAddr) -> bool {
        self.shared.access.trusted_proxies.contains(peer)
    }

    /// The answer to a question about a credential that is in the cache and may; else the request is for
    /// [`handle`](Self::handle).
    pub fn answer_hot<B>(&self, connection: &Connection, request: &Request<B>) -> Option<Response> {
        let shared = &self.shared;
        let peer = connection.peer;
        // As anywhere on the way: a panic costs one answer. The router's way says what is wrong.
        let head = Head::from_peer(peer.ip(), request);
        let judge = AssertUnwindSafe(|| shared.fast_path.answer(head, request.method()));
        let response = std::panic::catch_unwind(judge).ok().flatten()?;
        shared.hot.increment(1);
        connection.note_known();
        Some(response)
    }

    /// Answers one request of a connection: what is hot at once, all else by the router.
    pub fn call<B>(
        &self,
        connection: &Arc<Connection>,
        request: Request<B>,
    ) -> Either<Ready<Response>, BoxFuture<'static, Response>>
    where
        B: axum::body::HttpBody<Data = axum::body::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        match self.answer_hot(connection, &request) {
            Some(response) => Either::Left(ready(response)),
            // In a box: the router's future is large, and would be moved about with the hot one.
            None => {
                let connection = Arc::clone(connection);
                Either::Right(self.clone().handle(connection, request.map(Body::new)).boxed())
            }
        }
    }

    /// Answers one request of a connection by the router, when its client has room for it. Whatever panics on the
    /// way costs this answer alone.
    pub async fn handle(self, connection: Arc<Connection>, request: Request<Body>) -> Response {
        let answer = AssertUnwindSafe(self.answer(connection, request)).catch_unwind().await;
        // Nothing is logged here: that may be what panicked.
        answer.unwrap_or_else(|_panic| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }

    async fn answer(self, connection: Arc<Connection>, mut request: Request<Body>) -> Response {
        let shared = self.shared;
        let busy = Busy::new(&connection);
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        let peer = connection.peer;
        let address = caller::address(Head::from_peer(peer.ip(), &request), &shared.access);
        let client = shared.memory.of(&connection, address.unwrap_or(peer.ip()));
        let visit = Visit::of(peer, client.clone());
        let begun = client.begin(size_of_head(&request)).await;
        let is_safe = request.method().is_safe();
        let mut seen = Seen::of(&shared, &request, &visit, id);
        fold_trailing_slash(request.uri_mut());
        request.extensions_mut().insert(visit.clone());
        let mut response = match wait::is_asked(request.method(), request.uri()) {
            _ if begun.is_none() => UNREAD.into_response(),
            _ if lacks_host(&request) => Error::from(Invalid::from(HostError::Missing)).into_response(),
            _ if shared.activity.refuses(request.method()) => Error::Unavailable(
                "The request log cannot be written, and nothing is changed unlogged; try again",
            )
            .into_response(),
            Ok(false) => match shared.branches.iter().find(|branch| branch.takes(&request)) {
                Some(branch) => branch.answer(request).await,
                None => answer(self.router, request).await,
            },
            Ok(true) => {
                let is_known = || visit.who().is_some();
                wait::everywhere(&shared.nodes, is_known, answer(self.router, request)).await
            }
            Err(error) => error.into_response(),
        };
        if visit.has_credential() && !is_refused(&response) {
            connection.note_known();
        }
        // The answer's own size takes the place of what was reckoned for the request.
        drop(begun);
        let held = match Metered::hold(&response, &client) {
            None if is_safe => {
                response = UNREAD.into_response();
                None
            }
            held => held,
        };
        if let Some(id) = hex(id) {
            response.headers_mut().insert("x-request-id", id);
        }
        challenge(&mut response);
        count(&response);
        let response = seen.end(response).await;
        response.map(|body| Body::new(Metered::new(body, client, held, busy)))
    }
}

/// The router's answer, whatever happens on the way.
async fn answer(router: Router, request: Request<Body>) -> Response {
    let method = request.method().clone();
    let answer = AssertUnwindSafe(router.oneshot(request)).catch_unwind();
    let answer = async {
        match answer.await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_panic) => Error::internal(anyhow::anyhow!("a handler panicked")).into_response(),
        }
    };
    let answer = tokio::time::timeout(TIME_LIMIT, outcome::told(answer)).await;
    answer.unwrap_or_else(|_| outcome::too_late(&method).into_response())
}

/// What a request's head takes in memory, about.
fn size_of_head<B>(request: &Request<B>) -> usize {
    let headers = request.headers().iter();
    let headers: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
    headers + request.uri().path().len() + request.uri().query().map_or(0, str::len)
}

/// Whether the credential did not open what it was shown for.
fn is_refused(response: &Response) -> bool {
    response.extensions().get::<Deny>().is_some()
}

/// Whether a request breaks RFC 9112, 3.2, whatever it asks for.
fn lacks_host<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11 && !request.headers().contains_key(HOST)
}

/// Every 401 says how to authenticate (RFC 9110, 15.5.2), and whether a credential was wrong or missing
/// (RFC 6750, 3.1).
fn challenge(response: &mut Response) {
    if response.status() != StatusCode::UNAUTHORIZED {
        return;
    }
    let is_wrong = matches!(
        response.extensions().get(),
        Some(Deny::Unknown | Deny::Revoked | Deny::Disabled | Deny::Expired)
    );
    let value = if is_wrong { WRONG_CREDENTIAL } else { NO_CREDENTIAL };
    // A gate has said it in its own words.
    response.headers_mut().entry(WWW_AUTHENTICATE).or_insert(HeaderValue::from_static(value));
}

fn hex(id: u64) -> Option<HeaderValue> {
    let mut text = [0; 16];
    for (place, digit) in text.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[usize::try_from(id >> (4 * place) & 15).ok()?];
    }
    HeaderValue::from_bytes(&text).ok()
}

/// Collections are published with and without a trailing slash.
fn fold_trailing_slash(uri: &mut Uri) {
    let path = uri.path();
    if path.len() < 2 || !path.ends_with('/') {
        return;
    }
    let folded = path.trim_end_matches('/');
    let folded = if folded.is_empty() { "/" } else { folded };
    let folded = match uri.query() {
        Some(query) => format!("{folded}?{query}"),
        None => folded.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    if let Ok(path_and_query) = folded.parse() {
        parts.path_and_query = Some(path_and_query);
        if let Ok(folded) = Uri::from_parts(parts) {
            *uri = folded;
        }
    }
}

fn count(response: &Response) {
    let class = match response.status().as_u16() {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("hoody_http_requests_total", "status" => class).increment(1);
    if let Some(deny) = response.extensions().get::<Deny>() {
        metrics::counter!("hoody_denials_total", "rule" => deny.name()).increment(1);
    }
}

/// What is told of a request at its end: one line for each at debug, at warn what went wrong with us, and a
/// row of the request log where the account is known. Never a query, a header or a body: secrets travel
/// there.
struct Seen<'a> {
    shared: &'a EdgeShared,
    visit: Visit,
    method: Method,
    /// They share the request's bytes: nothing is copied unless something is told.
    uri: Uri,
    agent: Option<HeaderValue>,
    id: u64,
    began: i64,
    is_over: bool,
}

/// What is logged for a client that left before its answer.
const CLIENT_LEFT: u16 = 499;

impl<'a> Seen<'a> {
    fn of(shared: &'a EdgeShared, request: &Request<Body>, visit: &Visit, id: u64) -> Self {
        Self {
            shared,
            visit: visit.clone(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            agent: request.headers().get(USER_AGENT).cloned(),
            id,
            began: shared.access.clock.boot_micros(),
            is_over: false,
        }
    }

    /// Tells of the request. What the log has no room for waits here: it slows the answer down.
    async fn end(&mut self, response: Response) -> Response {
        let micros = self.shared.access.clock.boot_micros() - self.began;
        // What cannot be told in the log still gets its row and its answer.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| self.log(&response, micros)));
        self.is_over = true;
        let Some(queue) = &self.shared.activity.queue else { return response };
        let Some(what) = self.what(response.status().as_u16(), refused_for(&response), micros) else {
            return response;
        };
        if queue.record(&what).await.is_ok() {
            return response;
        }
        tracing::warn!(request.id = format!("{:016x}", self.id), "a request could not be logged in time");
        outcome::not_logged(&self.method).into_response()
    }

    fn what(&self, status: u16, reason: Option<&'static str>, micros: i64) -> Option<What<'_>> {
        let who = self.visit.who()?;
        Some(What {
            account: who.account,
            credential: who.credential,
            realm: who.origin.realm,
            address: who.origin.address,
            permission: who.permission,
            method: self.method.as_str(),
            status,
            reason,
            path: self.uri.path(),
            agent: self.agent.as_ref().map(HeaderValue::as_bytes),
            gate: None,
            at: self.shared.access.now(),
            micros: micros.unsigned_abs(),
        })
    }

    fn log(&self, response: &Response, micros: i64) {
        let status = response.status().as_u16();
        if status < 500 && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let (method, path) = (&self.method, redact::path(self.uri.path()));
        let (id, duration_ms) = (format!("{:016x}", self.id), micros / 1_000);
        if status >= 500 {
            tracing::warn!(request.id = id, %method, %path, status, duration_ms, "request failed");
        } else {
            let deny = refused_for(response);
            tracing::debug!(request.id = id, %method, %path, status, deny, duration_ms, "request");
        }
    }
}

impl Drop for Seen<'_> {
    /// The client is gone, but what it asked for may be done.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let micros = self.shared.access.clock.boot_micros() - self.began;
        if let (Some(queue), Some(what)) = (&self.shared.activity.queue, self.what(CLIENT_LEFT, None, micros))
        {
            queue.record_now(&what);
        }
    }
}

/// Why the caller was refused, in a word.
fn refused_for(response: &Response) -> Option<&'static str> {
    let denied = response.extensions().get::<Deny>().map(Deny::name);
    denied.or_else(|| response.extensions().get::<Refused>().map(|refused| refused.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_slash_is_folded_and_the_query_kept() {
        for (given, folded) in [
            ("/api/v1/projects/", "/api/v1/projects"),
            ("/api/v1/projects/?page=2&x=/", "/api/v1/projects?page=2&x=/"),
            ("/api/v1/projects", "/api/v1/projects"),
            ("/", "/"),
            ("http://h/api/", "http://h/api"),
        ] {
            let mut uri: Uri = given.parse().unwrap();
            fold_trailing_slash(&mut uri);
            assert_eq!(uri.to_string(), folded);
        }
    }
}
