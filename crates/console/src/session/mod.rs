//! Who looks at a page: the session behind the cookie, the forms that it posts, and how it proves once more
//! who it is.
//!
//! The cookie is an opaque random value; the table knows it by a keyed digest. Everything is read from the
//! row with each request: what ends a session (sign-out, a ban, a new password) ends it here with its next
//! request, on every node. Its caller has the claims that an access token of this session would have, so that
//! every mutation finds the session's row again and judges it inside its transaction. No such token is made.

pub(crate) mod cookie;
pub(crate) mod form;
mod frame;
pub(crate) mod once;
mod open;
pub(crate) mod sign_in;
pub(crate) mod step_up;
pub(crate) mod store;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::grant::{Attempt, Bounds, Credential, Grant, Rule, decide};
use hoody_core::id::{SessionId, UserId};
use hoody_core::one_time::Purpose;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::session::Kind;
use hoody_core::time::{HOUR, MINUTE, SECOND, Timestamp};
use hoody_engine::error::Error;
use hoody_engine::grants::AnyCaller;
use hoody_engine::web::caller::{Head, origin, visit};
use http::request::Parts;
use http::{Method, StatusCode};
use maud::html;

use self::cookie::Jar;
use self::form::Posting;
pub(crate) use self::form::{Act, Fields};
pub(crate) use self::frame::{Page, Section};
use self::open::{Opened, open};
use crate::Console;
use crate::parts::page::{dialog_with, failed};

/// How long a session lasts, however busy (NIST SP 800-63B, AAL2), in milliseconds.
pub(crate) const LIFETIME: i64 = 12 * HOUR;
/// How seldom it is noted that somebody is there, in milliseconds.
const SEEN_EVERY: i64 = MINUTE;

/// Somebody who is signed in.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) console: Arc<Console>,
    /// As the functions of the API take it.
    pub(crate) caller: AnyCaller,
    pub(crate) session: SessionId,
    pub(crate) username: String,
    /// The operator's permissions.
    pub(crate) own: Arc<OwnCatalogue>,
    /// The time, once for the request.
    pub(crate) now: Timestamp,
    /// When the session ends, whatever happens.
    pub(crate) ends_at: Timestamp,
    proved_at: Timestamp,
    jar: Jar,
}

impl Visitor {
    pub(crate) fn account(&self) -> UserId {
        self.caller.account()
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.caller.attempt.address
    }

    /// Takes the cookie away.
    pub(crate) fn forget(&self) {
        self.jar.clear(self.console.is_plain());
    }
}

impl Console {
    /// Whether the public address is plain HTTP.
    pub(crate) fn is_plain(&self) -> bool {
        self.access.public_url.starts_with("http://")
    }
}

/// What came of looking for the session of a request.
enum Looked {
    Visitor(Box<Visitor>),
    /// There is none, or it is over.
    Nobody,
}

/// The session of a request, as it stands now.
async fn look(parts: &Parts, console: &Arc<Console>) -> Result<Looked, Error> {
    let Some(cookie) = cookie::read(console.is_plain(), &parts.headers) else { return Ok(Looked::Nobody) };
    let now = console.clock.now();
    let mut found = None;
    for digest in console.keys.one_time_digests(Purpose::ConsoleCookie, cookie) {
        if found.is_none() {
            found = store::find(&console.db, &digest, now).await?;
        }
    }
    let Some(stored) = found else { return Ok(Looked::Nobody) };
    let ends_at = stored.created_at.plus(LIFETIME);
    let is_over = stored.is_ended || ends_at <= now || stored.last_seen_at.plus(store::IDLE) <= now;
    if is_over {
        return Ok(Looked::Nobody);
    }
    let claims = stored.rotation.claims(Kind::Access);
    let expires_at = Timestamp::from_millis(claims.exp.saturating_mul(SECOND)).min(ends_at);
    let session = stored.rotation.session;
    let grant = Grant {
        account: stored.rotation.account,
        credential: Credential::Session(session),
        is_enabled: true,
        is_banned: stored.is_banned,
        limits: Bounds::of_session(expires_at),
    };
    let address = origin(Head::of(parts)?, &console.access)?.address;
    let attempt = Attempt { address, realm: None, rule: Rule::ANY };
    if decide(&grant, &attempt, now).is_err() {
        return Ok(Looked::Nobody);
    }
    // What the script asks for by itself does not keep a session alive.
    if !is_by_script(parts) && stored.last_seen_at.plus(SEEN_EVERY) <= now {
        store::see(&console.db, session, now).await?;
    }
    let digest = console.keys.cache_digest(cookie);
    let own = console.access.own_catalogue().await?;
    Ok(Looked::Visitor(Box::new(Visitor {
        console: Arc::clone(console),
        caller: AnyCaller::of_session(grant, claims, digest, attempt),
        session,
        username: stored.username,
        own,
        now,
        ends_at,
        proved_at: stored.proved_at,
        jar: jar(parts),
    })))
}

fn is_by_script(parts: &Parts) -> bool {
    parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("part=")))
}

fn jar(parts: &Parts) -> Jar {
    parts.extensions.get::<Jar>().cloned().unwrap_or_default()
}

impl FromRequestParts<Arc<Console>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Response> {
        match look(parts, console).await {
            Ok(Looked::Visitor(visitor)) => Ok(*visitor),
            Ok(Looked::Nobody) => Err(lead_to_sign_in(parts)),
            Err(error) => Err(failed(&error)),
        }
    }
}

impl FromRequestParts<Arc<Console>> for Box<Visitor> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Response> {
        Visitor::from_request_parts(parts, console).await.map(Box::new)
    }
}

/// Somebody, or nobody: where a page is for both.
#[derive(Debug)]
pub(crate) struct Maybe(pub(crate) Option<Box<Visitor>>);

impl FromRequestParts<Arc<Console>> for Maybe {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Response> {
        match look(parts, console).await {
            Ok(Looked::Visitor(visitor)) => Ok(Self(Some(visitor))),
            Ok(Looked::Nobody) => Ok(Self(None)),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// A page for somebody whose session is not there.
fn lead_to_sign_in(parts: &Parts) -> Response {
    if is_by_script(parts) {
        // The page that is open keeps what is typed in it, and says that its session is over.
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let path = parts.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let comes_from_elsewhere =
        parts.headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site");
    if parts.method == Method::GET && comes_from_elsewhere {
        // A link in a mail: the browser keeps a strict cookie back. Asked for by this page, it sends it.
        let url = format!("0;url={path}");
        let body = html! { p { "Opening " a href=(path) { "the page" } "." } meta http-equiv="refresh" content=(url); };
        return dialog_with(StatusCode::OK, "One moment", &body);
    }
    Redirect::to(&sign_in::address(path)).into_response()
}

/// Notes whose request it is, so that what it does is in the account's log.
fn note(parts: &Parts, visitor: &Visitor) {
    use hoody_engine::web::caller::{Origin, Who};
    if let Ok(visit) = visit(&parts.extensions) {
        let credential = Some(visitor.caller.grant().credential);
        let origin = Origin { address: visitor.address(), realm: None };
        visit.note(Who { account: visitor.account(), credential, origin, permission: None });
    }
}
