//! Who asks: the extractor that every route with a credential begins with.
//!
//! `Caller<R>` reads host, address and credential, gets the grant, and decides it under the rule `R`, so
//! that what a route needs stands in its handler's signature and cannot be forgotten. It runs before
//! path and body are read: whoever may not come in learns nothing of what is inside.

use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use hoody_core::address::client_address;
use hoody_core::grant::{Accepts, Attempt, Credential, Deny, Grant, Rule, decide};
use hoody_core::host::{HostError, host_of_request, realm_of_host};
use hoody_core::id::{RealmId, SessionId, UserId};
use hoody_core::invalid::Invalid;
use hoody_core::permissions::AnyPermission;
use hoody_core::secret::of_authorization;
use hoody_core::session;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{Extensions, HeaderMap, Uri, Version};

use super::access::{Access, Lends};
use super::memory::ClientMemory;
use crate::catalogue::catalogue;
use crate::error::Error;
pub use crate::error::denied;
pub use crate::grants::AnyCaller;
use crate::grants::NoGrant;

/// A request on its way: the peer of its connection, and who it turned out to come from.
#[derive(Debug, Clone)]
pub struct Visit(Arc<VisitState>);

#[derive(Debug)]
struct VisitState {
    peer: SocketAddr,
    memory: ClientMemory,
    who: OnceLock<Who>,
}

/// Whom a request is logged for.
#[derive(Debug, Clone, Copy)]
pub struct Who {
    pub account: UserId,
    /// `None` for somebody who is signing in.
    pub credential: Option<Credential>,
    pub origin: Origin,
    /// The permission that it needs.
    pub permission: Option<AnyPermission>,
}

impl Visit {
    pub fn of(peer: SocketAddr, memory: ClientMemory) -> Self {
        Self(Arc::new(VisitState { peer, memory, who: OnceLock::new() }))
    }

    /// What its client may hold.
    pub fn memory(&self) -> &ClientMemory {
        &self.0.memory
    }

    /// Whether a credential was recognised, be it let in or not.
    pub fn has_credential(&self) -> bool {
        self.who().is_some_and(|who| who.credential.is_some())
    }

    /// Notes whose request it is; what was noted first stays.
    pub fn note(&self, who: Who) {
        let _ = self.0.who.set(who);
    }

    /// Notes somebody who is signing in to this account.
    pub fn note_login(&self, account: UserId, origin: Origin) {
        self.note(Who { account, credential: None, origin, permission: None });
    }

    /// Whose request it is, if that is known.
    pub fn who(&self) -> Option<&Who> {
        self.0.who.get()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        visit(&parts.extensions).cloned()
    }
}

pub fn visit(extensions: &Extensions) -> Result<&Visit, Error> {
    extensions.get().ok_or_else(|| Error::internal(anyhow::anyhow!("a request without a peer")))
}

/// What a request's head says of who sent it, from where, to whom.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    pub peer: IpAddr,
    pub version: Version,
    pub headers: &'a HeaderMap,
    pub uri: &'a Uri,
}

impl<'a> Head<'a> {
    pub fn of(parts: &'a Parts) -> Result<Self, Error> {
        let peer = visit(&parts.extensions)?.0.peer.ip();
        Ok(Self { peer, version: parts.version, headers: &parts.headers, uri: &parts.uri })
    }

    /// The head of a request that is not taken apart.
    pub fn of_request<B>(request: &'a http::Request<B>) -> Result<Self, Error> {
        Ok(Self::from_peer(visit(request.extensions())?.0.peer.ip(), request))
    }

    /// The head of a request that came from `peer`.
    pub fn from_peer<B>(peer: IpAddr, request: &'a http::Request<B>) -> Self {
        Self { peer, version: request.version(), headers: request.headers(), uri: request.uri() }
    }
}

/// Where a request comes from and which realm its host names.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    pub address: IpAddr,
    pub realm: Option<RealmId>,
}

/// A credential that was let in under the rule `R`.
#[derive(Debug)]
pub struct Caller<R> {
    pub any: AnyCaller,
    rule: PhantomData<fn() -> R>,
}

/// What a route asks of its caller.
pub trait Needs: 'static {
    /// Which kind of credential.
    const ACCEPTS: Accepts = Accepts::Any;
    /// Which permission, as a path of the catalogue.
    const LEAF: Option<&'static str> = None;
    /// Whether a token must hold a permission that changes something, whichever.
    const WRITES: bool = false;
    /// Whether a token must have been made to open the vault.
    const VAULT: bool = false;
    /// Whether a token must have been made to read events.
    const EVENTS: bool = false;
    /// Whether a banned account may.
    const BANNED: bool = false;
    /// Whether a token bound to realms may on the base host.
    const UNSCOPED: bool = false;
}

/// Defines what routes ask of their callers: a type for each set of rules, which a noun gives to [`Caller`].
#[doc(hidden)]
#[macro_export]
macro_rules! __needs {
    ($($(#[$doc:meta])* $name:ident { $($item:ident = $value:expr),* $(,)? })*) => { $(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}
        impl $crate::web::caller::Needs for $name { $($crate::__needs!(@ $item $value);)* }
    )* };
    (@ ACCEPTS $value:expr) => { const ACCEPTS: hoody_core::grant::Accepts = $value; };
    (@ LEAF $value:expr) => { const LEAF: Option<&'static str> = Some($value); };
    (@ WRITES $value:expr) => { const WRITES: bool = $value; };
    (@ VAULT $value:expr) => { const VAULT: bool = $value; };
    (@ EVENTS $value:expr) => { const EVENTS: bool = $value; };
    (@ BANNED $value:expr) => { const BANNED: bool = $value; };
    (@ UNSCOPED $value:expr) => { const UNSCOPED: bool = $value; };
}
pub use __needs as needs;

needs! {
    /// Any credential that is in force.
    Valid {}
    /// Any credential, of a banned account too.
    ValidOrBanned { BANNED = true }
    /// A session: what concerns the account itself.
    ASession { ACCEPTS = Accepts::Session }
    /// A token that asks about itself, also where it may do nothing else.
    ItselfAToken { ACCEPTS = Accepts::Token, UNSCOPED = true }
    /// Reading the account.
    AccountRead { LEAF = "resources.read_account" }
}

impl<R> std::ops::Deref for Caller<R> {
    type Target = AnyCaller;
    fn deref(&self) -> &AnyCaller {
        &self.any
    }
}

impl<R: Needs, S: Lends> FromRequestParts<Arc<S>> for Caller<R> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<S>) -> Result<Self, Error> {
        Ok(Self { any: admit(parts, state.access(), rule::<R>()?).await?, rule: PhantomData })
    }
}

impl<S: Lends> FromRequestParts<Arc<S>> for Origin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<S>) -> Result<Self, Error> {
        origin(Head::of(parts)?, state.access())
    }
}

/// What `R` asks, as the decision takes it.
pub fn rule<R: Needs>() -> Result<Rule, Error> {
    Ok(Rule {
        accepts: R::ACCEPTS,
        permission: R::LEAF.map(permission).transpose()?,
        any_of: R::WRITES.then(|| catalogue().writing()),
        vault: R::VAULT,
        events: R::EVENTS,
        banned: R::BANNED,
        unscoped: R::UNSCOPED,
    })
}

fn permission(leaf: &'static str) -> Result<AnyPermission, Error> {
    let missing = || Error::internal(anyhow::anyhow!("the catalogue has no leaf {leaf}"));
    catalogue().leaf(leaf).map(AnyPermission::from).ok_or_else(missing)
}

/// Lets the credential of a request in under `rule`, and notes its use.
pub async fn admit(parts: &Parts, access: &Access, rule: Rule) -> Result<AnyCaller, Error> {
    let head = Head::of(parts)?;
    // What is wrong with where it comes from is told first.
    origin(head, access)?;
    let text = credential(head)?;
    judge(parts, text, access, rule).await
}

/// Notes whose request it is, where nobody is let in or kept out.
pub async fn note_who(parts: &Parts, access: &Access) {
    let _ = admit(parts, access, Rule::ANY).await;
}

/// Lets a credential in that came with the request of `parts`, and notes its use.
pub async fn judge(parts: &Parts, text: &str, access: &Access, rule: Rule) -> Result<AnyCaller, Error> {
    judge_at(parts, text, access, rule, origin(Head::of(parts)?, access)?).await
}

/// The same where the host of the request says nothing about realms: `origin` says what it counts for.
pub async fn judge_at(
    parts: &Parts,
    text: &str,
    access: &Access,
    rule: Rule,
    origin: Origin,
) -> Result<AnyCaller, Error> {
    let visit = visit(&parts.extensions)?;
    let Origin { address, realm } = origin;
    let found = access.grants.find(text, address, &access.db, &access.keys, &access.clock).await;
    let found = found.map_err(|none| {
        note_session(visit, text, access, origin, none);
        match none {
            NoGrant::Unknown => denied(Deny::Unknown),
            NoGrant::Revoked(account, token) => {
                let credential = Some(Credential::Token(token));
                visit.note(Who { account, credential, origin, permission: rule.permission });
                denied(Deny::Revoked)
            }
            NoGrant::Expired => denied(Deny::Expired),
            NoGrant::Busy => Error::Unavailable("Too many unknown credentials from here; try again"),
            NoGrant::Unavailable => Error::Unavailable("The credential cannot be checked now; try again"),
        }
    })?;
    let Grant { account, credential, .. } = found.grant;
    visit.note(Who { account, credential: Some(credential), origin, permission: rule.permission });
    let attempt = Attempt { address, realm, rule };
    let now = access.now();
    decide(&found.grant, &attempt, now).map_err(denied)?;
    access.grants.note_use(&access.recorder, &found, now, address);
    Ok(AnyCaller { found, attempt })
}

fn note_session(visit: &Visit, text: &str, access: &Access, origin: Origin, none: NoGrant) {
    if matches!(none, NoGrant::Unknown | NoGrant::Expired)
        && let Some((account, session)) = ended_session(text, access)
    {
        let credential = Some(Credential::Session(session));
        visit.note(Who { account, credential, origin, permission: None });
    }
}

/// A session that is over has no grant, but it says whose it was, and that we signed it.
#[must_use]
pub fn ended_session(text: &str, access: &Access) -> Option<(UserId, SessionId)> {
    if !session::looks_like_jwt(text) {
        return None;
    }
    let claims = session::verify(text, &access.keys.sessions()).ok()?;
    (claims.kind == session::Kind::Access).then_some((claims.sub, claims.sid))
}

/// `Bearer <credential>`, or an `hdy_` token as it is (`contract/README.md` 5).
pub fn credential(head: Head<'_>) -> Result<&str, Error> {
    let mut headers = head.headers.get_all(AUTHORIZATION).iter();
    let Some(header) = headers.next() else { return Err(denied(Deny::Missing)) };
    let text = header.to_str().map_err(|_| denied(Deny::Unknown))?;
    if headers.next().is_some() {
        return Err(denied(Deny::Unknown));
    }
    of_authorization(text).ok_or_else(|| denied(Deny::Unknown))
}

pub fn origin(head: Head<'_>, access: &Access) -> Result<Origin, Error> {
    Ok(Origin { address: address(head, access)?, realm: realm(head, access)? })
}

/// Where a request comes from.
///
/// # Errors
/// When a proxy does not tell it.
pub fn address(head: Head<'_>, access: &Access) -> Result<IpAddr, Error> {
    // Looked for when it is asked for: nobody asks unless the peer is a proxy.
    let lines = || head.headers.get_all("x-forwarded-for").iter().map(http::HeaderValue::as_bytes);
    let forwarded = std::iter::once_with(lines).flatten();
    let address = client_address(head.peer, forwarded, &access.trusted_proxies).map_err(|_| {
        Invalid::rule(
            "INVALID_FORWARDED_FOR",
            "X-Forwarded-For of the proxy does not tell the caller's address, or has more than 32 entries",
        )
    })?;
    Ok(address)
}

/// The realm that `Host` or `:authority` names; `X-Forwarded-Host` is never read.
fn realm(head: Head<'_>, access: &Access) -> Result<Option<RealmId>, Error> {
    let mut lines = head.headers.get_all(HOST).iter().map(http::HeaderValue::as_bytes).peekable();
    if head.version == Version::HTTP_11 && lines.peek().is_none() {
        return Err(Invalid::from(HostError::Missing).into());
    }
    let target = head.uri.authority().map(http::uri::Authority::as_str);
    let Some(host) = host_of_request(lines, target).map_err(Invalid::from)? else { return Ok(None) };
    Ok(realm_of_host(host, &access.domain).map_err(Invalid::from)?)
}
