//! Public profiles: a key and what a token says about itself. No proof of anything until tokens are
//! bound to keys (`design.md` 4).

use std::sync::Arc;

use axum::extract::State;
use hoody_core::acting::Act;
use hoody_core::grant::Accepts;
use hoody_core::names;
use hoody_core::token::ProfileChange;
use hoody_core::wire;

use super::changes::{judge, write};
use super::http::NOT_FOUND;
use super::{Tokens, delegation, store};
use hoody_engine::error::Error;
use hoody_engine::web::caller::{Valid, needs};
use hoody_engine::web::path::TextPath;
use hoody_engine::web::{Answer, Caller, JsonBody};

needs! {
    /// A token that changes its public profile.
    OwnProfile { ACCEPTS = Accepts::Token, LEAF = "resources.auth_token_public_profile" }
}

/// Changes the calling token's own public profile
#[utoipa::path(method(put, patch), path = "/api/v1/auth/tokens/me/public-profile",
    operation_id = "update_public_profile", tag = "tokens", request_body = wire::UpdateProfile,
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::AuthToken>)))]
pub async fn update_public_profile(
    State(tokens): State<Arc<Tokens>>,
    caller: Caller<OwnProfile>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::AuthToken>, Error> {
    let change = ProfileChange::parse(&body)?;
    let own = tokens.access.own_catalogue().await?;
    let (mut mutation, grant) = tokens.feed.begin(&caller).await?;
    let id = caller.token().ok_or(NOT_FOUND)?;
    let found = delegation::find(&mut mutation.tx, grant.account, id, &own).await?.ok_or(NOT_FOUND)?;
    let mut token = found.token.clone();
    if let Some(public_key) = change.public_key {
        token.public_key = public_key;
    }
    if let Some(public_storage) = change.public_storage {
        token.public_storage = public_storage;
    }
    judge(&grant, found.target(), Act::Change { after: &token.limits, enables: false })?;
    let token = write(mutation, &found.token, token).await?;
    Ok(Answer::ok("Public profile updated successfully", token.shown(&own, None)))
}

/// The public profile behind a key
#[utoipa::path(get, path = "/api/v1/auth/tokens/public-profiles/{public_key}",
    operation_id = "get_public_profile", tag = "tokens",
    params(("public_key" = String, Path, description = "Ed25519 public key, 64 hex digits")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::PublicProfile>)))]
pub async fn get_public_profile(
    State(tokens): State<Arc<Tokens>>,
    caller: Caller<Valid>,
    TextPath(key): TextPath,
) -> Result<Answer<wire::PublicProfile>, Error> {
    let public_key = names::public_key(&key)?;
    let found = store::find_profile(&tokens.db, &public_key, caller.account(), tokens.clock.now()).await?;
    let public_storage = found.ok_or(NOT_FOUND)?;
    let profile = wire::PublicProfile { public_key, public_storage };
    Ok(Answer::ok("Public profile retrieved successfully", profile))
}
