//! The endpoints from an intent to a session (`contract/authentication.md` 10).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hoody_core::grant::Deny;
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::one_time::{self, Purpose};
use hoody_core::pkce::{Challenge, RedirectUri, Verifier};
use hoody_core::session;
use hoody_core::time::{SECOND, Timestamp};
use hoody_core::wire;
use http::StatusCode;
use http::request::Parts;
use serde_json::Value;

use super::{SignedIn, issue, store, take};
use crate::sign_in::SignIn;
use crate::sign_in::sessions::{self, client_name};
use crate::sign_in::two_factor::method_name;
use crate::users::{self, User};
use hoody_engine::error::Error;
use hoody_engine::feed::{Actor, Mutation};
use hoody_engine::web::caller::{Head, Origin, credential, denied};
use hoody_engine::web::{Answer, JsonBody};

/// Turns an intent into a code for a page that the server knows; once
#[utoipa::path(post, path = "/api/v1/auth/authorize", operation_id = "authorize", tag = "pkce",
    request_body = wire::Authorize, responses((status = 200, body = wire::Envelope<wire::AuthorizationCode>),
    (status = 400, body = wire::ErrorBody), (status = 401, body = wire::ErrorBody)))]
pub async fn authorize(
    State(sign_in): State<Arc<SignIn>>,
    _origin: Origin,
    parts: Parts,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::AuthorizationCode>, Error> {
    let intent = intent_of(&parts)?;
    let (challenge, redirect_uri) = parse_authorize(&body)?;
    if !sign_in.redirect_hosts.allow(&redirect_uri) {
        return Err(Invalid::validation(
            "redirect_uri must be on a host that the server was given: see `hoody serve --redirect-hosts`",
        )
        .into());
    }
    let mut mutation = sign_in.feed.begin_as(Actor::Nobody).await?;
    let taken = take(&sign_in.keys, &mut mutation, Purpose::Intent, intent)
        .await?
        .ok_or_else(|| denied(Deny::Unknown))?;
    let is_same = taken.challenge.is_same(&challenge);
    if !is_same || in_good_standing(&mut mutation, &taken).await?.is_none() {
        // It is used up by that.
        mutation.commit().await?;
        return Err(if is_same {
            denied(Deny::Unknown)
        } else {
            Invalid::validation("code_challenge must be the one that the login was given").into()
        });
    }
    let signed_in = SignedIn { redirect_uri: Some(redirect_uri.as_str().to_owned()), ..taken };
    let code = issue(&sign_in.keys, &mut mutation, Purpose::AuthorizationCode, &signed_in).await?;
    mutation.commit().await?;
    Ok(Answer::ok("Authorization code issued", wire::AuthorizationCode { code }).secret())
}

/// The intent in `Authorization: Bearer`. Nothing else opens this route, no session either.
fn intent_of(parts: &Parts) -> Result<&str, Error> {
    let text = credential(Head::of(parts)?)?;
    if one_time::is_well_formed(text) { Ok(text) } else { Err(denied(Deny::Unknown)) }
}

fn parse_authorize(body: &Value) -> Result<(Challenge, RedirectUri), Invalid> {
    let mut fields = Fields::of_body(body)?;
    let (challenge, uri) = (fields.string("code_challenge"), fields.string("redirect_uri"));
    fields.close()?;
    let challenge = Challenge::parse(challenge.ok_or_else(|| Invalid::missing("code_challenge"))?)?;
    Ok((challenge, RedirectUri::parse(uri.ok_or_else(|| Invalid::missing("redirect_uri"))?)?))
}

/// The account, locked, if it stands as it did when it signed in.
async fn in_good_standing(mutation: &mut Mutation, signed_in: &SignedIn) -> Result<Option<User>, Error> {
    mutation.lock_account(signed_in.account).await?;
    let user = users::store::find_user(&mut mutation.tx, signed_in.account).await?;
    Ok(user.filter(|user| !user.is_banned && user.generation == signed_in.generation))
}

/// Gets the session that a code is for; once, and only with the verifier
#[utoipa::path(post, path = "/api/v1/auth/exchange", operation_id = "exchange", tag = "pkce",
    request_body = wire::Exchange, responses((status = 200, body = wire::Envelope<wire::LoginData>),
    (status = 400, body = wire::ErrorBody)))]
pub async fn exchange(
    State(sign_in): State<Arc<SignIn>>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::LoginData>, Error> {
    let (code, verifier, redirect_uri) = parse_exchange(&body)?;
    let mut mutation = sign_in.feed.begin_as(Actor::Nobody).await?;
    let taken = take(&sign_in.keys, &mut mutation, Purpose::AuthorizationCode, code.expose()).await?;
    let taken = taken.ok_or_else(invalid_grant)?;
    let is_theirs =
        taken.challenge.is_met_by(&verifier) && taken.redirect_uri.as_deref() == Some(redirect_uri.as_str());
    let user = if is_theirs { in_good_standing(&mut mutation, &taken).await? } else { None };
    let Some(user) = user else {
        // Somebody has a code that is not theirs: from now on nobody has it.
        mutation.commit().await?;
        return Err(invalid_grant().into());
    };
    let (client, method) = (client_name(Some(&taken.client)), method_name(taken.second_factor.as_deref()));
    let session = sessions::open(&sign_in, &mut mutation, user, client, origin.address, method).await?;
    mutation.commit().await?;
    Ok(Answer::ok("Login successful", session).secret())
}

fn invalid_grant() -> Invalid {
    Invalid::rule(
        "INVALID_GRANT",
        "The authorization code is unknown, used or expired, or it was made for another verifier or redirect_uri",
    )
}

fn parse_exchange(body: &Value) -> Result<(wire::Secret, Verifier, RedirectUri), Invalid> {
    let mut fields = Fields::of_body(body)?;
    let (code, verifier) = (fields.string("code"), fields.string("code_verifier"));
    let uri = fields.string("redirect_uri");
    fields.close()?;
    let code = code.ok_or_else(|| Invalid::missing("code"))?;
    if !one_time::is_well_formed(code) {
        return Err(Invalid::validation("code must be 64 lowercase hex digits"));
    }
    let verifier = Verifier::parse(verifier.ok_or_else(|| Invalid::missing("code_verifier"))?)?;
    let uri = RedirectUri::parse(uri.ok_or_else(|| Invalid::missing("redirect_uri"))?)?;
    Ok((code.into(), verifier, uri))
}

/// Gives an intent up, or the temporary token of a login; that it is gone already makes no difference
#[utoipa::path(post, path = "/api/v1/auth/intent/cancel", operation_id = "cancel_intent", tag = "pkce",
    responses((status = 204, description = "It opens nothing any more"), (status = 401, body = wire::ErrorBody)))]
pub async fn cancel_intent(
    State(sign_in): State<Arc<SignIn>>,
    _origin: Origin,
    parts: Parts,
) -> Result<Response, Error> {
    let text = credential(Head::of(&parts)?)?;
    if one_time::is_well_formed(text) {
        let mut mutation = sign_in.feed.begin_as(Actor::Nobody).await?;
        take(&sign_in.keys, &mut mutation, Purpose::Intent, text).await?;
        mutation.commit().await?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    // Only what was signed here is remembered: nobody fills the table with anything else.
    let claims =
        session::verify_partial(text, &sign_in.keys.sessions()).map_err(|_| denied(Deny::Unknown))?;
    if sign_in.clock.now().seconds() < claims.exp {
        let digest = sign_in.keys.one_time_digest(Purpose::CancelledLogin, text);
        let until = Timestamp::from_millis(claims.exp.saturating_mul(SECOND));
        let mut mutation = sign_in.feed.begin_as(Actor::Nobody).await?;
        // After a code that is being checked: what it opened stays, and this comes too late.
        mutation.lock_account(claims.sub).await?;
        store::cancel_login(&mut mutation.tx, &digest, until).await?;
        mutation.commit().await?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
