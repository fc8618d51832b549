//! Signing in on another device (RFC 8628, `contract/authentication.md` 12).
//!
//! A device asks and polls; a person types its user code on a page of ours, sees who asks, and signs in
//! there or refuses. The page has a ticket in its form and a cookie beside it, and needs both; no session
//! is ever given to it. The device gets its session once, while the account stands as it did when it
//! approved. API and page are two faces of the functions here.

mod body;
mod cookie;
pub mod http;
pub mod page;
pub mod store;

use std::net::IpAddr;

use hoody_core::device::{INTERVAL, LIFETIME, UserCode};
use hoody_core::id::{DeviceId, UserId};
use hoody_core::invalid::Invalid;
use hoody_core::one_time::{self, OneTimeSecret, Purpose};
use hoody_core::pkce::{Challenge, Verifier};
use hoody_core::time::{SECOND, Timestamp};
use hoody_core::wire;

use crate::history::{Event, Source};
use crate::sign_in::SignIn;
use crate::sign_in::sessions::login::{Credentials, OnBan};
use crate::sign_in::sessions::{self, client_name};
use crate::sign_in::two_factor::{self, EndsIn, method_name};
use crate::users::{self, User};
use hoody_engine::clock::entropy;
use hoody_engine::error::{Error, PollError};
use hoody_engine::feed::{Actor, Change, Mutation};
use hoody_engine::limits;
use hoody_engine::web::caller::{Origin, Visit};

/// Where the page is, below the public address.
pub const PAGE: &str = "/device";

/// Where a request of a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Pending,
    Approved,
    Denied,
    /// Its session was given out.
    Used,
}

/// Who approved a request, and how the account stood then.
#[derive(Debug, Clone)]
pub struct Approval {
    account: UserId,
    generation: i64,
    second_factor: Option<String>,
}

/// A request of a device.
#[derive(Debug, Clone)]
pub struct Request {
    pub id: DeviceId,
    pub status: Status,
    /// As it calls itself: for people, and nothing to rely on.
    pub client_name: Option<String>,
    client: String,
    /// The address that asked.
    pub ip: String,
    challenge: Option<Challenge>,
    cookie_digest: Option<Vec<u8>>,
    approval: Option<Approval>,
    polled_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// What a device says of itself.
#[derive(Debug)]
struct Start {
    client_name: Option<String>,
    client: &'static str,
    challenge: Option<Challenge>,
}

/// What a page goes on with.
#[derive(Debug)]
pub struct Ticket {
    pub ticket: OneTimeSecret,
    pub cookie: OneTimeSecret,
}

/// What a user code leads to.
#[derive(Debug)]
pub enum LookedUp {
    Pending(Box<Request>, Ticket),
    Approved,
}

/// What signing in for a request gives.
#[derive(Debug)]
pub enum SignedIn {
    Approved,
    Challenge(wire::Challenge),
}

impl Request {
    fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }

    /// For how many seconds it still waits.
    pub fn expires_in(&self, now: Timestamp) -> u64 {
        u64::try_from((self.expires_at.millis() - now.millis()) / SECOND).unwrap_or_default()
    }
}

pub fn status(word: &str) -> wire::DeviceStatus {
    wire::DeviceStatus { status: word.to_owned() }
}

/// The request that a second factor was to approve is no longer pending.
pub fn binding_gone() -> Invalid {
    Invalid::rule("DEVICE_BINDING_GONE", "This device sign-in is no longer pending")
}

const GONE: Error = Error::Gone { code: "DEVICE_CODE_GONE", message: "This code is no longer valid" };

/// Notes a request of a device at `address`; its codes.
async fn begin(sign_in: &SignIn, start: &Start, address: IpAddr) -> Result<wire::DeviceCode, Error> {
    sign_in.limits.count(&limits::DEVICE_STARTS, limits::Subject::Address(address)).await?;
    let mut mutation = sign_in.feed.begin_as(Actor::Nobody).await?;
    let now = mutation.now;
    let device_code = OneTimeSecret::from_bytes(entropy());
    let device_digest = sign_in.keys.one_time_digest(Purpose::DeviceCode, device_code.expose());
    // Another request may have the same user code: then another is made.
    let user_code = loop {
        let Some(user_code) = UserCode::from_random(entropy()) else { continue };
        let new = store::New {
            id: sign_in.clock.new_id(),
            device_digest,
            user_digest: sign_in.keys.one_time_digest(Purpose::UserCode, user_code.letters()),
            start,
            ip: address.to_string(),
            now,
        };
        if store::insert(&mut mutation.tx, new).await? {
            break user_code;
        }
    };
    mutation.commit().await?;
    let page = format!("{}{PAGE}", sign_in.access.public_url);
    Ok(wire::DeviceCode {
        device_code: device_code.expose().into(),
        user_code: user_code.to_string(),
        verification_uri_complete: format!("{page}?user_code={user_code}"),
        verification_uri: page,
        interval: Some(INTERVAL.unsigned_abs() / SECOND.unsigned_abs()),
        expires_in: Some(LIFETIME.unsigned_abs() / SECOND.unsigned_abs()),
    })
}

/// What a user code is for, and a new ticket if it waits for somebody. The page that had one before has
/// none any more.
pub async fn look_up(sign_in: &SignIn, text: &str, address: IpAddr) -> Result<LookedUp, Error> {
    const UNKNOWN: Error = Error::NotFound { code: "RESOURCE_NOT_FOUND", message: "Unknown code" };
    sign_in.limits.count(&limits::DEVICE_CODES, limits::Subject::Address(address)).await?;
    let code: UserCode = text.parse().map_err(|_| UNKNOWN)?;
    let mut found = None;
    for digest in sign_in.keys.one_time_digests(Purpose::UserCode, code.letters()) {
        found = found.or(store::find_by_user_code(&sign_in.db, &digest).await?);
    }
    let request = found.ok_or(UNKNOWN)?;
    match request.status {
        _ if request.is_over(sign_in.clock.now()) => Err(GONE),
        Status::Approved => Ok(LookedUp::Approved),
        Status::Denied | Status::Used => Err(GONE),
        Status::Pending => {
            let ticket = Ticket {
                ticket: OneTimeSecret::from_bytes(entropy()),
                cookie: OneTimeSecret::from_bytes(entropy()),
            };
            let ticket_digest = sign_in.keys.one_time_digest(Purpose::DeviceTicket, ticket.ticket.expose());
            let cookie_digest = sign_in.keys.one_time_digest(Purpose::DeviceCookie, ticket.cookie.expose());
            let mut mutation = sign_in.feed.begin_as(Actor::Nobody).await?;
            let now = mutation.now;
            if !store::set_ticket(&mut mutation.tx, request.id, &ticket_digest, &cookie_digest, now).await? {
                return Err(GONE);
            }
            mutation.commit().await?;
            Ok(LookedUp::Pending(Box::new(request), ticket))
        }
    }
}

/// The request that is waiting for the holder of this ticket and this cookie.
///
/// # Errors
/// 410 when nothing waits for the ticket, 403 when the cookie is not the one that came with it.
pub async fn find_waiting(sign_in: &SignIn, ticket: &str, cookie: Option<&str>) -> Result<Request, Error> {
    let cookie = cookie.ok_or_else(no_cookie)?;
    let request = find_by_ticket(sign_in, ticket).await?;
    let stored = request.cookie_digest.as_deref();
    let digests = sign_in.keys.one_time_digests(Purpose::DeviceCookie, cookie);
    if digests.iter().any(|digest| stored == Some(&digest[..])) { Ok(request) } else { Err(no_cookie()) }
}

async fn find_by_ticket(sign_in: &SignIn, ticket: &str) -> Result<Request, Error> {
    if !one_time::is_well_formed(ticket) {
        return Err(GONE);
    }
    for digest in sign_in.keys.one_time_digests(Purpose::DeviceTicket, ticket) {
        if let Some(request) = store::find_by_ticket(&sign_in.db, &digest).await? {
            let is_waiting = request.status == Status::Pending && !request.is_over(sign_in.clock.now());
            return if is_waiting { Ok(request) } else { Err(GONE) };
        }
    }
    Err(GONE)
}

fn no_cookie() -> Error {
    Error::Forbidden {
        code: "DEVICE_COOKIE_MISSING",
        message: "The cookie that came with the ticket is needed: begin again with the code".to_owned(),
    }
}

/// Signs in for a request: it is approved, or the second factor is asked for. Never a session.
pub async fn sign_in(
    sign_in: &SignIn,
    request: &Request,
    credentials: &Credentials,
    (visit, origin): (&Visit, Origin),
) -> Result<SignedIn, Error> {
    let address = origin.address;
    let source = Source { address: Some(address), client: Some("web") };
    let (mut mutation, user) = credentials.prove(sign_in, source, (visit, origin), OnBan::Tell).await?;
    if two_factor::is_on(&mut mutation, user.id).await? {
        let challenge = two_factor::challenge(sign_in, &user, mutation.now, EndsIn::Device(request.id));
        return Ok(SignedIn::Challenge(challenge));
    }
    if !approve(sign_in, &mut mutation, request.id, &user, None, address).await? {
        return Err(GONE);
    }
    mutation.commit().await?;
    Ok(SignedIn::Approved)
}

/// Approves a request for `user`, whose lock the mutation holds; false when it is no longer pending.
pub async fn approve(
    sign_in: &SignIn,
    mutation: &mut Mutation,
    id: DeviceId,
    user: &User,
    second_factor: Option<&'static str>,
    address: IpAddr,
) -> Result<bool, Error> {
    let now = mutation.now;
    let approval = Approval {
        account: user.id,
        generation: user.generation,
        second_factor: second_factor.map(str::to_owned),
    };
    if !store::approve(&mut mutation.tx, id, &approval, now).await? {
        return Ok(false);
    }
    let payload = serde_json::json!({ "ip_address": address.to_string() });
    mutation.tell(Change::new("session.device_approved", user.id, "device", id).with(payload));
    mutation.address = Some(address);
    sign_in.history.record(mutation, user.id, Event::DeviceApproved, Some("web")).await?;
    Ok(true)
}

/// Refuses a request; an approved one cannot be refused any more.
pub async fn deny(sign_in: &SignIn, request: &Request) -> Result<(), Error> {
    let mut mutation = sign_in.feed.begin_as(Actor::Nobody).await?;
    let now = mutation.now;
    if !store::deny(&mut mutation.tx, request.id, now).await? {
        return Err(GONE);
    }
    mutation.commit().await
}

/// One poll of a device: its session, once, when somebody has approved.
async fn poll(
    sign_in: &SignIn,
    device_code: &str,
    verifier: Option<&Verifier>,
    address: IpAddr,
) -> Result<wire::LoginData, Error> {
    let mut found = None;
    for digest in sign_in.keys.one_time_digests(Purpose::DeviceCode, device_code) {
        found = found.or(store::find_by_device_code(&sign_in.db, &digest).await?);
    }
    let Some(request) = found else {
        sign_in.limits.count(&limits::DEVICE_POLLS, limits::Subject::Address(address)).await?;
        return Err(PollError::ExpiredToken.into());
    };
    match (&request.challenge, verifier) {
        (Some(_), None) => return Err(Invalid::missing("code_verifier").into()),
        (Some(challenge), Some(verifier)) if !challenge.is_met_by(verifier) => {
            // Somebody has a code that is not theirs: from now on nobody has it.
            let mut mutation = sign_in.feed.begin_as(Actor::Nobody).await?;
            store::revoke(&mut mutation.tx, request.id).await?;
            mutation.commit().await?;
            return Err(PollError::AccessDenied.into());
        }
        _ => {}
    }
    let now = sign_in.clock.now();
    match request.status {
        Status::Denied => Err(PollError::AccessDenied.into()),
        _ if request.is_over(now) => Err(PollError::ExpiredToken.into()),
        Status::Used => Err(PollError::ExpiredToken.into()),
        Status::Approved => give_session(sign_in, &request, address).await,
        Status::Pending => {
            // Too soon is told from what was read: a device in a hurry costs no write.
            let is_early = request.polled_at.is_some_and(|at| now < at.plus(INTERVAL));
            if is_early {
                return Err(PollError::SlowDown.into());
            }
            let mut mutation = sign_in.feed.begin_as(Actor::Nobody).await?;
            let now = mutation.now;
            let is_in_time = store::note_poll(&mut mutation.tx, request.id, now).await?;
            mutation.commit().await?;
            Err(if is_in_time { PollError::AuthorizationPending } else { PollError::SlowDown }.into())
        }
    }
}

async fn give_session(
    sign_in: &SignIn,
    request: &Request,
    address: IpAddr,
) -> Result<wire::LoginData, Error> {
    let approval = request.approval.as_ref().ok_or(PollError::ExpiredToken)?;
    let mut mutation = sign_in.feed.begin_as(Actor::Nobody).await?;
    mutation.lock_account(approval.account).await?;
    let user = users::store::find_user(&mut mutation.tx, approval.account).await?;
    // Signed out everywhere, banned or given a new password since: the approval is void.
    let user = user.filter(|user| !user.is_banned && user.generation == approval.generation);
    let user = user.ok_or(PollError::ExpiredToken)?;
    let now = mutation.now;
    if !store::use_up(&mut mutation.tx, request.id, now).await? {
        return Err(PollError::ExpiredToken.into());
    }
    let client = client_name(Some(&request.client));
    let method = method_name(approval.second_factor.as_deref());
    let session = sessions::open(sign_in, &mut mutation, user, client, address, method).await?;
    mutation.commit().await?;
    Ok(session)
}
