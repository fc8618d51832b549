//! Signing in, refreshing and signing out (`contract/authentication.md` 1, 3, 5; `design.md` 4).

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use hoody_core::grant::{Credential, Deny};
use hoody_core::id::SessionId;
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::pkce::Challenge;
use hoody_core::session::{self, Claims, Kind, Rotation, Standing};
use hoody_core::time::Timestamp;
use hoody_core::wire;
use http::request::Parts;
use serde_json::Value;

use super::login::{Credentials, OnBan};
use super::{client_name, open, sign_pair, store};
use crate::history::{Event, Source};
use crate::sign_in::two_factor::{self, EndsIn};
use crate::sign_in::{SignIn, pkce};
use crate::users;
use hoody_engine::error::Error;
use hoody_engine::feed::{Actor, Change};
use hoody_engine::grants::Forget;
use hoody_engine::grants::session_row::{Session, find_session};
use hoody_engine::keys::Keys;
use hoody_engine::limits::{REFRESH, Subject};
use hoody_engine::web::caller::{AnyCaller, Origin, ValidOrBanned, Visit, Who, denied};
use hoody_engine::web::{Answer, Caller, JsonBody};

/// Signs in with a name or an e-mail address and a password
#[utoipa::path(post, path = "/api/v1/users/auth/login", operation_id = "login", tag = "sessions",
    request_body = wire::Login, responses((status = 200, body = wire::Envelope<wire::LoginAnswer>),
    (status = 401, body = wire::ErrorBody)))]
pub async fn login(
    State(sign_in): State<Arc<SignIn>>,
    origin: Origin,
    visit: Visit,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::LoginAnswer>, Error> {
    let attempt = LoginAttempt::parse(&body)?;
    // Not held while this waits for its turn to hash.
    drop(body);
    let source = Source { address: Some(origin.address), client: Some(attempt.client) };
    let (mut mutation, user) =
        attempt.credentials.prove(&sign_in, source, (&visit, origin), OnBan::SayNothing).await?;
    if two_factor::is_on(&mut mutation, user.id).await? {
        // Nothing was changed: there is no session until the second factor is given.
        let challenge = two_factor::challenge(&sign_in, &user, mutation.now, attempt.ends_in());
        return Ok(Answer::ok("Two-factor authentication required", wire::LoginAnswer::Challenge(challenge))
            .secret());
    }
    if let Some(challenge) = attempt.challenge {
        let intent =
            pkce::open_intent(&sign_in, &mut mutation, user, &challenge, attempt.client, None).await?;
        mutation.commit().await?;
        return Ok(Answer::ok("Login successful", wire::LoginAnswer::Intent(Box::new(intent))).secret());
    }
    let session = open(&sign_in, &mut mutation, user, attempt.client, origin.address, None).await?;
    mutation.commit().await?;
    Ok(Answer::ok("Login successful", wire::LoginAnswer::Session(Box::new(session))).secret())
}

#[derive(Debug)]
struct LoginAttempt {
    credentials: Credentials,
    client: &'static str,
    /// Of an intent.
    challenge: Option<Challenge>,
}

impl LoginAttempt {
    /// Unknown keys are ignored; nothing here depends on whether the account exists.
    fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let (username, email) = (fields.string("username"), fields.string("email"));
        let given = fields.string("password").map(wire::Secret::from);
        let client = client_name(fields.string("client"));
        let is_intent = pkce::is_intent(&mut fields);
        let challenge = fields.string("code_challenge");
        fields.close_open()?;
        let challenge = match (is_intent, challenge) {
            (Some(true), None) => return Err(Invalid::missing("code_challenge")),
            (Some(true), Some(challenge)) => Some(Challenge::parse(challenge)?),
            _ => None,
        };
        Ok(Self { credentials: Credentials::read(username, email, given)?, client, challenge })
    }

    /// What the second factor, if there is one, will give.
    fn ends_in(&self) -> EndsIn {
        self.challenge.clone().map_or(EndsIn::Session, EndsIn::Intent)
    }
}

/// Gets the next pair of tokens for a refresh token
#[utoipa::path(post, path = "/api/v1/users/auth/refresh", operation_id = "refresh", tag = "sessions",
    request_body = wire::Refresh, responses((status = 200, body = wire::Envelope<wire::RefreshData>),
    (status = 401, body = wire::ErrorBody)))]
pub async fn refresh(
    State(sign_in): State<Arc<SignIn>>,
    origin: Origin,
    visit: Visit,
    parts: Parts,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::RefreshData>, Error> {
    let mut fields = Fields::of_body(&body)?;
    let text = fields.string("refreshToken");
    fields.close_open()?;
    let text = text.ok_or_else(|| denied(Deny::Missing))?;
    let claims = read_refresh(&sign_in, text, &visit, origin)?;
    refuse_another_refresh_token(&sign_in.keys, &parts, text)?;
    let rotation = turn(&sign_in, &claims, origin.address).await?;
    let pair = sign_pair(&sign_in.keys, &rotation);
    Ok(Answer::ok("Token refreshed successfully", pair).secret())
}

fn read_refresh(sign_in: &SignIn, text: &str, visit: &Visit, origin: Origin) -> Result<Claims, Error> {
    let claims = session::verify(text, &sign_in.keys.sessions()).map_err(|_| denied(Deny::Unknown))?;
    if claims.kind != Kind::Refresh {
        return Err(denied(Deny::Unknown));
    }
    let credential = Some(Credential::Session(claims.sid));
    visit.note(Who { account: claims.sub, credential, origin, permission: None });
    if claims.exp <= sign_in.clock.now().seconds() {
        return Err(denied(Deny::Expired));
    }
    Ok(claims)
}

/// A client may send the refresh token, or an access token of any age, as Bearer too. Another refresh
/// token there means that it confuses two sessions.
fn refuse_another_refresh_token(keys: &Keys, parts: &Parts, text: &str) -> Result<(), Error> {
    let bearer = parts.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(bearer) = bearer.and_then(|value| value.strip_prefix("Bearer ")) else { return Ok(()) };
    let is_other = bearer != text
        && session::verify(bearer, &keys.sessions()).is_ok_and(|claims| claims.kind == Kind::Refresh);
    if is_other { Err(denied(Deny::Unknown)) } else { Ok(()) }
}

/// Turns the session on by one, or finds what it was just turned to.
async fn turn(sign_in: &SignIn, claims: &Claims, address: IpAddr) -> Result<Rotation, Error> {
    let found = find_session(&sign_in.db, claims.sid).await?;
    let current = check(found, claims, sign_in.clock.now())?;
    let standing = current.rotation.standing(claims.seq, sign_in.clock.now());
    if standing == Standing::JustReplaced {
        return Ok(current.rotation);
    }
    sign_in.limits.refuse_remembered(&REFRESH, Subject::Session(claims.sid))?;
    let mut mutation = sign_in.feed.begin_as(Actor::Nobody).await?;
    mutation.address = Some(address);
    mutation.lock_account(claims.sub).await?;
    // Under the lock nobody else turns it: what is read now decides.
    let found = find_session(&mut mutation.tx, claims.sid).await?;
    let mut rotation = check(found, claims, sign_in.clock.now())?.rotation;
    let now = mutation.now;
    match rotation.standing(claims.seq, now) {
        Standing::JustReplaced => Ok(rotation),
        Standing::Current => {
            sign_in.limits.count_in(&mut mutation.tx, &REFRESH, Subject::Session(claims.sid)).await?;
            let seq =
                store::rotate(&mut mutation.tx, claims.sid, claims.seq, now, sign_in.keys.in_force()).await?;
            rotation.seq = seq.ok_or_else(|| denied(Deny::Unknown))?;
            rotation.rotated_at = now;
            mutation.tell(
                Change::new("session.refreshed", claims.sub, "session", claims.sid)
                    .forgetting(Forget::Session(claims.sid)),
            );
            mutation.commit().await?;
            Ok(rotation)
        }
        Standing::Replayed => {
            store::end_session(&mut mutation.tx, claims.sid, now).await?;
            sign_in.history.record(&mut mutation, claims.sub, Event::SessionReplayed, None).await?;
            mutation.tell(
                Change::new("session.replayed", claims.sub, "session", claims.sid)
                    .forgetting(Forget::Session(claims.sid)),
            );
            mutation.commit().await?;
            tracing::warn!(session.id = %claims.sid, "an old refresh token was used again; the session is ended");
            Err(denied(Deny::Unknown))
        }
    }
}

fn check(found: Option<Session>, claims: &Claims, now: Timestamp) -> Result<Session, Error> {
    let found = found.filter(|session| {
        !session.is_ended
            && !session.is_banned
            && session.rotation.account == claims.sub
            && session.rotation.generation == claims.generation
    });
    let session = found.ok_or_else(|| denied(Deny::Unknown))?;
    if session.expires_at <= now {
        return Err(denied(Deny::Expired));
    }
    Ok(session)
}

/// Ends every session of the account; called with a token, it ends nothing
#[utoipa::path(post, path = "/api/v1/users/auth/logout", operation_id = "logout", tag = "sessions",
    security(("bearer" = [])), responses((status = 200, body = hoody_engine::web::envelope::Done)))]
pub async fn logout(
    State(sign_in): State<Arc<SignIn>>,
    caller: Caller<ValidOrBanned>,
) -> Result<Answer<()>, Error> {
    // A token has nothing to sign out of, and one that may only read must not write, the feed neither.
    if let Credential::Session(id) = caller.grant().credential {
        end_all(&sign_in, &caller, id).await?;
    }
    Ok(Answer::ok("Logout successful", ()))
}

/// Ends every session of the caller's account and raises its generation. `id` is the caller's own session.
///
/// # Errors
/// The refusal of a caller that is no longer let in, or what the database fails with.
pub async fn end_all(sign_in: &SignIn, caller: &AnyCaller, id: SessionId) -> Result<(), Error> {
    let (mut mutation, grant) = sign_in.feed.begin(caller).await?;
    let (account, now) = (grant.account, mutation.now);
    users::store::raise_generation(&mut mutation.tx, account).await?;
    store::end_sessions(&mut mutation.tx, account, now).await?;
    sign_in.history.record(&mut mutation, account, Event::Logout, None).await?;
    let change = Change::new("session.ended", account, "session", id);
    mutation.tell(change.forgetting(Forget::Account(account)));
    mutation.commit().await
}

/// Ends one session of the caller's account; false when it was over, or is another account's.
///
/// # Errors
/// As [`end_all`].
pub async fn end_one(sign_in: &SignIn, caller: &AnyCaller, id: SessionId) -> Result<bool, Error> {
    let (mut mutation, grant) = sign_in.feed.begin(caller).await?;
    let (account, now) = (grant.account, mutation.now);
    if !store::end_session_of(&mut mutation.tx, account, id, now).await? {
        return Ok(false);
    }
    sign_in.history.record(&mut mutation, account, Event::Logout, None).await?;
    let change = Change::new("session.ended", account, "session", id);
    mutation.tell(change.forgetting(Forget::Session(id)));
    mutation.commit().await?;
    Ok(true)
}
