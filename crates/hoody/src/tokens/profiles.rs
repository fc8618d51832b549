//! Public profiles: a key and what a token says about itself. No proof of anything until tokens are
//! bound to keys (`design.md` 4).

use axum::extract::State;
use hoody_core::acting::Act;
use hoody_core::names;
use hoody_core::token::ProfileChange;
use hoody_core::wire;

use super::changes::{judge, write};
use super::http::NOT_FOUND;
use super::{delegation, store};
use crate::error::Error;
use crate::feed::Mutation;
use crate::http::caller::{OwnProfile, Valid};
use crate::http::path::TextPath;
use crate::http::{Answer, Caller, JsonBody, Shared};

/// Changes the calling token's own public profile
#[utoipa::path(method(put, patch), path = "/api/v1/auth/tokens/me/public-profile",
    operation_id = "update_public_profile", tag = "tokens", request_body = wire::UpdateProfile,
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::AuthToken>)))]
pub(crate) async fn update_public_profile(
    State(app): State<Shared>,
    caller: Caller<OwnProfile>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::AuthToken>, Error> {
    let change = ProfileChange::parse(&body)?;
    let (mut mutation, grant) = Mutation::begin(&app, &caller).await?;
    let id = caller.token().ok_or(NOT_FOUND)?;
    let found = delegation::find(&mut mutation.tx, grant.account, id).await?.ok_or(NOT_FOUND)?;
    let mut token = found.token.clone();
    if let Some(public_key) = change.public_key {
        token.public_key = public_key;
    }
    if let Some(public_storage) = change.public_storage {
        token.public_storage = public_storage;
    }
    judge(&grant, found.target(), Act::Change { after: &token.limits, enables: false })?;
    let token = write(mutation, &found.token, token).await?;
    Ok(Answer::ok("Public profile updated successfully", token.shown(None)))
}

/// The public profile behind a key
#[utoipa::path(get, path = "/api/v1/auth/tokens/public-profiles/{public_key}",
    operation_id = "get_public_profile", tag = "tokens",
    params(("public_key" = String, Path, description = "Ed25519 public key, 64 hex digits")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::PublicProfile>)))]
pub(crate) async fn get_public_profile(
    State(app): State<Shared>,
    caller: Caller<Valid>,
    TextPath(key): TextPath,
) -> Result<Answer<wire::PublicProfile>, Error> {
    let public_key = names::public_key(&key)?;
    let found = store::find_profile(&app.db, &public_key, caller.account(), app.now()).await?;
    let public_storage = found.ok_or(NOT_FOUND)?;
    let profile = wire::PublicProfile { public_key, public_storage };
    Ok(Answer::ok("Public profile retrieved successfully", profile))
}
