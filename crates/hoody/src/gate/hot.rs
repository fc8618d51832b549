//! The question that is asked most, answered before the router: a good credential that is in the cache.
//!
//! The rules are the router's, by the same functions: where a request comes from, which realm its host
//! names, which credential it has, [`decide`]. Whatever is not plain, not known here or not allowed is
//! left to the router, which reads it again and says what is wrong. So this can be slower to answer, never
//! different.

use std::net::SocketAddr;

use hoody_core::grant::{Attempt, Credential, Rule, decide};
use http::header::USER_AGENT;
use http::{Method, Request, StatusCode};

use crate::activity::{Queue, What};
use crate::app::{App, catalogue};
use crate::http::caller::{Head, Origin, credential, origin};

/// The path of [`super::http::check`].
const PATH: &str = "/api/v1/auth/check";

/// Whether `request` is a check of a credential that is in the cache and may do what it asks: 204. Anything
/// else is for the router, also what would have to wait for the request log. Waits for nothing but the
/// few instructions that leave a row there, and allocates nothing.
pub(crate) fn is_allowed<B>(app: &App, peer: SocketAddr, request: &Request<B>) -> bool {
    // Who reads the log at debug wants a line for each request, which the router's way writes.
    if request.uri().path() != PATH
        || *request.method() != Method::GET
        || tracing::enabled!(tracing::Level::DEBUG)
        || app.activity.queue.as_ref().is_some_and(Queue::makes_wait)
    {
        return false;
    }
    let began = app.clock.boot_micros();
    let permission = match request.uri().query() {
        None => None,
        // A leaf's path has nothing that needs decoding: what is encoded is not found, and not refused here.
        Some(query) => match query.strip_prefix("permission=").and_then(|path| catalogue().leaf(path)) {
            None => return false,
            found => found,
        },
    };
    let head = Head::from_peer(peer.ip(), request);
    let Ok(Origin { address, realm }) = origin(head, app) else { return false };
    let Ok(text) = credential(head) else { return false };
    let rule = Rule { permission, ..Rule::ANY };
    let attempt = Attempt { address, realm, rule };
    let now = app.now();
    let judged = app.grants.judge_cached(text, &app.keys, began / 1_000, |cached| {
        decide(&cached.grant, &attempt, now).ok()?;
        if let Credential::Token(id) = cached.grant.credential {
            app.recorder.note(&cached.usage, id, now, address);
        }
        Some((cached.grant.account, cached.grant.credential))
    });
    let Some(Some((account, credential))) = judged else { return false };
    let Some(queue) = &app.activity.queue else { return true };
    queue.try_record(&What {
        account,
        credential: Some(credential),
        realm,
        address,
        permission,
        method: request.method(),
        status: StatusCode::NO_CONTENT.as_u16(),
        reason: None,
        path: PATH,
        agent: request.headers().get(USER_AGENT).map(http::HeaderValue::as_bytes),
        at: now,
        micros: (app.clock.boot_micros() - began).unsigned_abs(),
    })
}
