//! Signing in, refreshing and signing out (`contract/authentication.md` 1, 3, 5; `design.md` 4).

use std::net::IpAddr;

use axum::extract::State;
use hoody_core::grant::{Credential, Deny};
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::session::{self, Claims, Kind, Rotation, Standing};
use hoody_core::{password, wire};
use http::request::Parts;
use serde_json::Value;

use super::login::{self, Name};
use super::{client_name, open, sign_pair, store};
use crate::error::Error;
use crate::feed::{Actor, Change, Mutation};
use crate::grants::Forget;
use crate::history::{self, Event, Source};
use crate::http::caller::{Origin, ValidOrBanned, denied};
use crate::http::{Answer, Caller, JsonBody, Shared};
use crate::limits::{self, REFRESH, Subject};
use crate::{two_factor, users};

/// Signs in with a name or an e-mail address and a password
#[utoipa::path(post, path = "/api/v1/users/auth/login", operation_id = "login", tag = "sessions",
    request_body = wire::Login, responses((status = 200, body = wire::Envelope<wire::LoginAnswer>),
    (status = 401, body = wire::ErrorBody)))]
pub(crate) async fn login(
    State(app): State<Shared>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::LoginAnswer>, Error> {
    let attempt = LoginAttempt::parse(&body)?;
    // Not held while this waits for its turn to hash.
    drop(body);
    let source = Source { address: Some(origin.address), client: Some(attempt.client) };
    let user = login::authenticate(&app, &attempt.name, &attempt.password, source, origin.address).await?;

    let mut mutation = Mutation::begin_as(&app, Actor::Nobody).await?;
    mutation.address = Some(origin.address);
    mutation.lock_account(user.id).await?;
    // Read again under the lock: the password may have been changed, the account banned meanwhile.
    let now_stored =
        users::store::find_user(&mut mutation.tx, user.id).await?.ok_or(Error::BadCredentials)?;
    if now_stored.is_banned || now_stored.password_hash.expose() != user.password_hash.expose() {
        return Err(Error::BadCredentials);
    }
    let state = two_factor::store::find(&mut mutation.tx, user.id).await?;
    if state.is_some_and(|state| state.enabled.is_some()) {
        // Nothing was changed: there is no session until the second factor is given.
        let challenge = two_factor::challenge(&app, &now_stored, mutation.now);
        return Ok(Answer::ok("Two-factor authentication required", wire::LoginAnswer::Challenge(challenge))
            .secret());
    }
    let session = open(&app, &mut mutation, now_stored, attempt.client, origin.address, None).await?;
    mutation.commit().await?;
    Ok(Answer::ok("Login successful", wire::LoginAnswer::Session(Box::new(session))).secret())
}

#[derive(Debug)]
struct LoginAttempt {
    name: Name,
    password: wire::Secret,
    client: &'static str,
}

impl LoginAttempt {
    /// Unknown keys are ignored; nothing here depends on whether the account exists.
    fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let username = fields.string("username").map(str::to_owned);
        let email = fields.string("email").map(str::to_owned);
        let given = fields.string("password").map(wire::Secret::from);
        let client = fields.string("client");
        let mode = fields.string("response_mode");
        let client = client_name(client);
        let mode = mode.map(str::to_owned);
        fields.close_open()?;
        if mode.is_some_and(|mode| mode != "tokens") {
            return Err(Invalid::validation("response_mode must be tokens: this server signs in directly"));
        }
        let (Some(password), Some(name)) =
            (given, username.map(Name::Username).or_else(|| email.map(Name::Email)))
        else {
            return Err(Invalid::rule(
                "MISSING_REQUIRED_FIELD",
                "Username or email, and password are required",
            ));
        };
        let (text, field, limit) = match &name {
            Name::Username(text) => (text, "username", 50),
            Name::Email(text) => (text, "email", 255),
        };
        if text.is_empty() || text.chars().count() > limit || text.chars().any(char::is_control) {
            return Err(Invalid::validation(format!("{field} must be 1 to {limit} printable characters")));
        }
        password::check_given(password.expose(), "password")?;
        Ok(Self { name, password, client })
    }
}

/// Gets the next pair of tokens for a refresh token
#[utoipa::path(post, path = "/api/v1/users/auth/refresh", operation_id = "refresh", tag = "sessions",
    request_body = wire::Refresh, responses((status = 200, body = wire::Envelope<wire::RefreshData>),
    (status = 401, body = wire::ErrorBody)))]
pub(crate) async fn refresh(
    State(app): State<Shared>,
    origin: Origin,
    parts: Parts,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::RefreshData>, Error> {
    let mut fields = Fields::of_body(&body)?;
    let text = fields.string("refreshToken");
    fields.close_open()?;
    let text = text.ok_or_else(|| denied(Deny::Missing))?;
    let claims = read_refresh(&app, text)?;
    refuse_another_refresh_token(&app, &parts, text)?;
    let rotation = turn(&app, &claims, origin.address).await?;
    let pair = sign_pair(&app.keys, &rotation);
    Ok(Answer::ok("Token refreshed successfully", pair).secret())
}

fn read_refresh(app: &Shared, text: &str) -> Result<Claims, Error> {
    let claims = session::verify(text, &app.keys.sessions()).map_err(|_| denied(Deny::Unknown))?;
    if claims.kind != Kind::Refresh {
        return Err(denied(Deny::Unknown));
    }
    if claims.exp <= app.now().seconds() {
        return Err(denied(Deny::Expired));
    }
    Ok(claims)
}

/// A client may send the refresh token, or an access token of any age, as Bearer too. Another refresh
/// token there means that it confuses two sessions.
fn refuse_another_refresh_token(app: &Shared, parts: &Parts, text: &str) -> Result<(), Error> {
    let bearer = parts.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(bearer) = bearer.and_then(|value| value.strip_prefix("Bearer ")) else { return Ok(()) };
    let is_other = bearer != text
        && session::verify(bearer, &app.keys.sessions()).is_ok_and(|claims| claims.kind == Kind::Refresh);
    if is_other { Err(denied(Deny::Unknown)) } else { Ok(()) }
}

/// Turns the session on by one, or finds what it was just turned to.
async fn turn(app: &Shared, claims: &Claims, address: IpAddr) -> Result<Rotation, Error> {
    let found = store::find_session(&app.db, claims.sid).await?;
    let current = check(found, claims, app)?;
    let standing = current.rotation.standing(claims.seq, app.now());
    if standing == Standing::JustReplaced {
        return Ok(current.rotation);
    }
    limits::refuse_remembered(app, &REFRESH, Subject::Session(claims.sid))?;
    let mut mutation = Mutation::begin_as(app, Actor::Nobody).await?;
    mutation.address = Some(address);
    mutation.lock_account(claims.sub).await?;
    // Under the lock nobody else turns it: what is read now decides.
    let found = store::find_session(&mut mutation.tx, claims.sid).await?;
    let mut rotation = check(found, claims, app)?.rotation;
    let now = mutation.now;
    match rotation.standing(claims.seq, now) {
        Standing::JustReplaced => Ok(rotation),
        Standing::Current => {
            limits::count_in(app, &mut mutation.tx, &REFRESH, Subject::Session(claims.sid)).await?;
            let seq =
                store::rotate(&mut mutation.tx, claims.sid, claims.seq, now, app.keys.in_force()).await?;
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
            history::record(&mut mutation, claims.sub, Event::SessionReplayed, None).await?;
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

fn check(found: Option<store::Session>, claims: &Claims, app: &Shared) -> Result<store::Session, Error> {
    let found = found.filter(|session| {
        !session.is_ended
            && !session.is_banned
            && session.rotation.account == claims.sub
            && session.rotation.generation == claims.generation
    });
    let session = found.ok_or_else(|| denied(Deny::Unknown))?;
    if session.expires_at <= app.now() {
        return Err(denied(Deny::Expired));
    }
    Ok(session)
}

/// Ends every session of the account; called with a token, it ends nothing
#[utoipa::path(post, path = "/api/v1/users/auth/logout", operation_id = "logout", tag = "sessions",
    security(("bearer" = [])), responses((status = 200, body = crate::http::envelope::Done)))]
pub(crate) async fn logout(
    State(app): State<Shared>,
    caller: Caller<ValidOrBanned>,
) -> Result<Answer<()>, Error> {
    // A token has nothing to sign out of, and one that may only read must not write, the feed neither.
    if let Credential::Session(id) = caller.grant().credential {
        let (mut mutation, grant) = Mutation::begin(&app, &caller).await?;
        let (account, now) = (grant.account, mutation.now);
        users::store::raise_generation(&mut mutation.tx, account).await?;
        store::end_sessions(&mut mutation.tx, account, now).await?;
        history::record(&mut mutation, account, Event::Logout, None).await?;
        let change = Change::new("session.ended", account, "session", id);
        mutation.tell(change.forgetting(Forget::Account(account)));
        mutation.commit().await?;
    }
    Ok(Answer::ok("Logout successful", ()))
}
