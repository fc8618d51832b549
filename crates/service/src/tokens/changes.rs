//! The endpoints of tokens that change and delete them.
//!
//! The target is read inside the transaction, judged before and after the change by
//! `hoody_core::acting`, and written with its feed row; every cache forgets it with the commit.

use std::sync::Arc;

use axum::extract::State;
use hoody_core::acting::{Act, Refusal, Target, may_act};
use hoody_core::grant::{Deny, Grant};
use hoody_core::id::{RealmId, TokenId, UserId, noun};
use hoody_core::invalid::Invalid;
use hoody_core::token::{RealmChange, TokenChange};
use hoody_core::wire;

use super::delegation::{self, Placed, is_visible, keep_below};
use super::http::{NOT_FOUND, check_room, duplicate_alias};
use super::{Token, Tokens, put_realm, store};
use crate::sign_in::two_factor::{self, Proof};
use hoody_engine::catalogue::{catalogue, catalogues};
use hoody_engine::db::DbError;
use hoody_engine::error::Error;
use hoody_engine::feed::{Change, Mutation};
use hoody_engine::grants::Forget;
use hoody_engine::web::caller::{AnyCaller, Valid, denied};
use hoody_engine::web::{Answer, Caller, IdPath, JsonBody};

/// Changes a token; what is left out stays as it is
#[utoipa::path(method(put, patch), path = "/api/v1/auth/tokens/{id}", operation_id = "update_token", tag = "tokens",
    params(("id" = TokenId, Path)), request_body = wire::UpdateToken, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::AuthToken>), (status = 404, body = wire::ErrorBody)))]
pub async fn update_token(
    State(tokens): State<Arc<Tokens>>,
    caller: Caller<Valid>,
    IdPath(id): IdPath<noun::Token>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::AuthToken>, Error> {
    let own = tokens.access.own_catalogue().await?;
    let may_grow = caller.token().is_none();
    let change = TokenChange::parse(&body, tokens.clock.now(), catalogues(&own), may_grow)?;
    let only_disables = change.is_enabled == Some(false) && names_only_is_enabled(&body);
    let code = change.otp_code.clone();
    let token = update(&tokens, &caller, id, change, (only_disables, Proof::Code(code.as_deref()))).await?;
    Ok(Answer::ok("Auth token updated successfully", token.shown(&own, None)))
}

/// Changes a token. `only_disables`: nothing else is asked for, so that no proof is needed.
///
/// # Errors
/// The refusals of `PATCH /auth/tokens/{id}` for what is well-formed.
pub async fn update(
    tokens: &Tokens,
    caller: &AnyCaller,
    id: TokenId,
    change: TokenChange,
    (only_disables, proof): (bool, Proof<'_>),
) -> Result<Token, Error> {
    let own = tokens.access.own_catalogue().await?;
    let (mut mutation, grant) = tokens.feed.begin(caller).await?;
    if !only_disables {
        // To stop a token takes no code, as to delete it takes none.
        mutation = two_factor::pass(&tokens.sign_in, mutation, &grant, proof).await?;
    }
    let found = find_target(&mut mutation, caller, &grant, id).await?;
    let before = &found.token;
    if let Some(asked) = &change.permissions {
        catalogues(&own).check_grantable(&asked.own, &before.permissions.own, "/permissions")?;
    }
    if change.public_key.is_some() || change.public_storage.is_some() {
        may_publish(&grant)?;
    }
    let mut token = before.clone();
    let enables = change.is_enabled == Some(true);
    put(change, &mut token);
    if let Some(realm) = caller.attempt.realm {
        // A change on a realm's host never takes the token out of that realm.
        put_realm(&mut token.realm_ids, realm)?;
    }
    token.settle(&own);
    let act = if only_disables { Act::Disable } else { Act::Change { after: &token.limits, enables } };
    judge(&grant, found.target(), act)?;
    keep_below(&found, &token)?;
    keep_last_realm(caller, before, &token)?;
    if token.alias != before.alias
        && store::is_alias_taken(&mut mutation.tx, token.account, &token.alias, id).await?
    {
        return Err(duplicate_alias(&token.alias));
    }
    write(mutation, before, token).await
}

/// Disables every token of the caller's account; how many that were. Takes no code, as to stop one takes none.
///
/// # Errors
/// 403 for a token; the refusal of a caller that is no longer let in, or what the database fails with.
pub async fn stop_all(tokens: &Tokens, caller: &AnyCaller) -> Result<u64, Error> {
    let (mut mutation, grant) = tokens.feed.begin(caller).await?;
    if caller.token().is_some() {
        return Err(denied(Deny::SessionRequired));
    }
    let stopped = disable_all(&mut mutation, grant.account).await?;
    mutation.commit().await?;
    Ok(stopped)
}

/// Disables every token of the account, whoever made it, and tells of each; how many that were.
pub async fn disable_all(mutation: &mut Mutation, account: UserId) -> Result<u64, DbError> {
    let now = mutation.now;
    let disabled = store::disable_all(&mut mutation.tx, account, now).await?;
    for row in &disabled {
        let token = store::read_named(row)?;
        let change = Change::new("auth.token.disabled", account, "auth_token", token.id);
        let payload = serde_json::json!({ "alias": token.alias });
        mutation.tell(change.in_realms(&token.realm_ids).with(payload).forgetting(Forget::Token(token.id)));
    }
    Ok(disabled.len() as u64)
}

fn names_only_is_enabled(body: &serde_json::Value) -> bool {
    body.as_object().is_some_and(|body| body.keys().all(|key| key == "is_enabled" || key == "otp_code"))
}

/// Puts what was asked for into the token.
fn put(change: TokenChange, token: &mut Token) {
    fn set<T>(field: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *field = value;
        }
    }
    set(&mut token.alias, change.alias);
    set(&mut token.public_key, change.public_key);
    set(&mut token.public_storage, change.public_storage);
    set(&mut token.limits.addresses, change.addresses);
    set(&mut token.permissions, change.permissions);
    set(&mut token.realm_ids, change.realm_ids);
    set(&mut token.allow_no_realm, change.allow_no_realm);
    set(&mut token.limits.vault_access, change.vault_access);
    set(&mut token.limits.event_access, change.event_access);
    set(&mut token.limits.expires_at, change.expires_at);
    set(&mut token.is_enabled, change.is_enabled);
    token.notes.put(change.notes);
}

/// Adds a realm to a token's list
#[utoipa::path(post, path = "/api/v1/auth/tokens/{id}/add-realm", operation_id = "add_token_realm", tag = "tokens",
    params(("id" = TokenId, Path)), request_body = wire::RealmChange, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::AuthToken>), (status = 404, body = wire::ErrorBody)))]
pub async fn add_token_realm(
    State(tokens): State<Arc<Tokens>>,
    caller: Caller<Valid>,
    IdPath(id): IdPath<noun::Token>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::AuthToken>, Error> {
    let token = change_realms(&tokens, &caller, id, &body, put_realm);
    Ok(Answer::ok("Realm added to auth token successfully", token.await?))
}

/// Takes a realm out of a token's list; the last one leaves the flags as they are
#[utoipa::path(post, path = "/api/v1/auth/tokens/{id}/remove-realm", operation_id = "remove_token_realm", tag = "tokens",
    params(("id" = TokenId, Path)), request_body = wire::RealmChange, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::AuthToken>), (status = 404, body = wire::ErrorBody)))]
pub async fn remove_token_realm(
    State(tokens): State<Arc<Tokens>>,
    caller: Caller<Valid>,
    IdPath(id): IdPath<noun::Token>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::AuthToken>, Error> {
    let token = change_realms(&tokens, &caller, id, &body, |realm_ids, realm| {
        realm_ids.retain(|id| *id != realm);
        Ok(())
    });
    Ok(Answer::ok("Realm removed from auth token successfully", token.await?))
}

/// Adds or removes the realm that the body names, and writes the token if that changed it.
async fn change_realms(
    tokens: &Tokens,
    caller: &AnyCaller,
    id: TokenId,
    body: &serde_json::Value,
    edit: impl FnOnce(&mut Vec<RealmId>, RealmId) -> Result<(), Invalid>,
) -> Result<wire::AuthToken, Error> {
    let change = RealmChange::parse(body)?;
    let own = tokens.access.own_catalogue().await?;
    let (mutation, grant) = tokens.feed.begin(caller).await?;
    let mut mutation =
        two_factor::gate(&tokens.sign_in, mutation, &grant, change.otp_code.as_deref()).await?;
    let found = find_target(&mut mutation, caller, &grant, id).await?;
    let before = &found.token;
    let mut token = before.clone();
    edit(&mut token.realm_ids, change.realm_id)?;
    token.settle(&own);
    judge(&grant, found.target(), Act::Change { after: &token.limits, enables: false })?;
    keep_below(&found, &token)?;
    keep_last_realm(caller, before, &token)?;
    Ok(write(mutation, before, token).await?.shown(&own, None))
}

/// Deletes a token for good, and every token that descends from it
#[utoipa::path(delete, path = "/api/v1/auth/tokens/{id}", operation_id = "delete_token", tag = "tokens",
    params(("id" = TokenId, Path)), security(("bearer" = [])),
    responses((status = 200, body = hoody_engine::web::envelope::Done), (status = 404, body = wire::ErrorBody)))]
pub async fn delete_token(
    State(tokens): State<Arc<Tokens>>,
    caller: Caller<Valid>,
    IdPath(id): IdPath<noun::Token>,
) -> Result<Answer<()>, Error> {
    delete(&tokens, &caller, id).await?;
    Ok(Answer::ok("Auth token deleted successfully", ()))
}

/// Deletes a token and all that descends from it; the token as it was.
///
/// # Errors
/// The refusals of `DELETE /auth/tokens/{id}`.
pub async fn delete(tokens: &Tokens, caller: &AnyCaller, id: TokenId) -> Result<Token, Error> {
    let (mut mutation, grant) = tokens.feed.begin(caller).await?;
    let found = find_target(&mut mutation, caller, &grant, id).await?;
    judge(&grant, found.target(), Act::Delete)?;
    if !delegation::delete_subtree(&mut mutation, &found.token).await? {
        return Err(NOT_FOUND);
    }
    mutation.commit().await?;
    Ok(found.token)
}

/// Deletes a token for whoever shows its text (RFC 7009): as [`delete_token`], and a token also deletes itself,
/// whatever else it may do.
///
/// # Errors
/// `TOKEN_NOT_FOUND`, and 403 where the caller may not.
pub async fn revoke_token(tokens: &Tokens, caller: &AnyCaller, id: TokenId) -> Result<(), Error> {
    if caller.token() != Some(id) {
        return delete(tokens, caller, id).await.map(drop);
    }
    let (mut mutation, grant) = tokens.feed.begin(caller).await?;
    let own = mutation.own_catalogue();
    let found = delegation::find(&mut mutation.tx, grant.account, id, &own).await?.ok_or(NOT_FOUND)?;
    if !delegation::delete_subtree(&mut mutation, &found.token).await? {
        return Err(NOT_FOUND);
    }
    mutation.commit().await
}

/// The token that is to be changed, as it is now. A caller that can change nothing learns nothing either.
async fn find_target(
    mutation: &mut Mutation,
    caller: &AnyCaller,
    grant: &Grant,
    id: TokenId,
) -> Result<Placed, Error> {
    if !writes(grant) {
        return Err(forbidden("Insufficient permissions: this token may only read"));
    }
    let own = mutation.own_catalogue();
    let found = delegation::find(&mut mutation.tx, grant.account, id, &own).await?;
    if found.is_none() {
        // Another node may have deleted it a moment ago: the answer confirms that, so it holds here too.
        mutation.forget_now(Forget::Token(id));
    }
    found.filter(|found| is_visible(caller, found.target(), &found.token)).ok_or(NOT_FOUND)
}

pub(super) fn writes(grant: &Grant) -> bool {
    catalogue().is_writing(grant.limits.permissions)
}

pub(super) fn judge(grant: &Grant, target: Target<'_>, act: Act<'_>) -> Result<(), Error> {
    may_act(grant, writes(grant), target, act).map_err(|refusal| match refusal {
        Refusal::Hidden => NOT_FOUND,
        Refusal::Forbidden => {
            forbidden("Insufficient permissions: a token cannot give what it does not have itself")
        }
    })
}

/// Without its last realm a token works in more places than before: only a session may do that, by
/// whatever route.
fn keep_last_realm(caller: &AnyCaller, before: &Token, after: &Token) -> Result<(), Error> {
    let loses_last = after.realm_ids.is_empty() && !before.realm_ids.is_empty();
    if loses_last && caller.token().is_some() {
        return Err(forbidden("Insufficient permissions: only a session may take a token's last realm away"));
    }
    Ok(())
}

/// A token needs the same permission for a public profile by whatever route; a session holds all.
fn may_publish(grant: &Grant) -> Result<(), Error> {
    match catalogue().leaf("resources.auth_token_public_profile") {
        Some(leaf) if !grant.limits.permissions.has(leaf) => Err(denied(Deny::Permission(leaf.into()))),
        _ => Ok(()),
    }
}

pub(super) fn forbidden(message: &str) -> Error {
    Error::Forbidden { code: "INSUFFICIENT_PERMISSIONS", message: message.to_owned() }
}

/// Writes the token as it is to be, with its feed row; no row when nothing changed.
pub async fn write(mut mutation: Mutation, before: &Token, mut token: Token) -> Result<Token, Error> {
    let is_unchanged = token.alias == before.alias
        && token.public_key == before.public_key
        && token.public_storage == before.public_storage
        && token.realm_ids == before.realm_ids
        && token.allow_no_realm == before.allow_no_realm
        && token.permissions == before.permissions
        && token.limits == before.limits
        && token.notes == before.notes
        && token.is_enabled == before.is_enabled;
    if is_unchanged {
        // Another node may have made it so a moment ago: the answer confirms that, so it holds here too.
        mutation.forget_now(Forget::Token(token.id));
        // No feed row; a code of the second factor was used up all the same.
        mutation.commit().await?;
        return Ok(token);
    }
    token.updated_at = mutation.now;
    store::update_token(&mut mutation.tx, &token).await?;
    // What makes a token smaller or shuts it off is never refused for that.
    let is_active_again = token.is_active(mutation.now) && !before.is_active(mutation.now);
    if is_active_again || token.size() > before.size() {
        check_room(&mut mutation, &token).await?;
    }
    let event = match (before.is_enabled, token.is_enabled) {
        (true, false) => "auth.token.disabled",
        (false, true) => "auth.token.enabled",
        _ => "auth.token.updated",
    };
    let change = Change::new(event, token.account, "auth_token", token.id);
    let payload = serde_json::json!({ "alias": token.alias });
    mutation.tell(change.in_realms(&token.realm_ids).with(payload).forgetting(Forget::Token(token.id)));
    mutation.commit().await?;
    Ok(token)
}
