//! The endpoints of the vault (`contract/vault.md`). A session reaches all of its account's; a token
//! needs the permission `resources.vault` and the flag `vault_access`, in the realms that it has.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use hoody_core::id::{RealmId, UserId};
use hoody_core::{names, wire};
use http::request::Parts;
use http::{Request, StatusCode};
use serde_json::json;

use super::acts::{self, Opened};
use super::body::SetKey;
use super::list::KeyList;
use super::value;
use super::{MAX_BYTES, Vault, mebibytes, percentage, store};
use crate::realms;
use hoody_engine::error::Error;
use hoody_engine::feed::Change;
use hoody_engine::web::caller::needs;
use hoody_engine::web::path::TextPath;
use hoody_engine::web::{Answer, Caller, Query, list};

needs! {
    /// The vault, in all ways.
    VaultOpen { LEAF = "resources.vault", VAULT = true }
}

/// The name of the key in the path.
#[derive(Debug)]
pub struct KeyPath(String);

impl FromRequestParts<Arc<Vault>> for KeyPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, vault: &Arc<Vault>) -> Result<Self, Error> {
        let TextPath(name) = TextPath::from_request_parts(parts, vault).await?;
        names::vault_key(&name)?;
        Ok(Self(name))
    }
}

/// How full the vault is: this realm, and the limit of all together
#[utoipa::path(get, path = "/api/v1/vault/stats", operation_id = "get_vault_stats", tag = "vault",
    params(("realm_id" = Option<RealmId>, Query, description = "The realm; unless told the host's, or none")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::VaultStats>),
    (status = 403, body = wire::ErrorBody)))]
pub async fn get_vault_stats(
    State(vault): State<Arc<Vault>>,
    caller: Caller<VaultOpen>,
    query: Query,
) -> Result<Answer<wire::VaultStats>, Error> {
    let realm = realms::select(&caller, query.realm("realm_id")?)?;
    let (keys, bytes) = store::total(&vault.db, caller.account(), realm).await?;
    let used = store::used(&vault.db, caller.account()).await?;
    let stats = wire::VaultStats {
        total_keys: keys.unsigned_abs(),
        total_size_bytes: bytes.unsigned_abs(),
        total_size_mb: mebibytes(bytes),
        limit_mb: mebibytes(MAX_BYTES),
        used_percentage: percentage(used),
        remaining_mb: mebibytes((MAX_BYTES - used).max(0)),
    };
    Ok(Answer::ok("Vault statistics retrieved successfully", stats))
}

/// Every key in the realm, without its value; a long list is sent as it is read
#[utoipa::path(get, path = "/api/v1/vault/keys", operation_id = "list_vault_keys", tag = "vault",
    params(("realm_id" = Option<RealmId>, Query, description = "The realm; unless told the host's, or none")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<Vec<wire::VaultKey>>),
    (status = 403, body = wire::ErrorBody)))]
pub async fn list_vault_keys(
    State(vault): State<Arc<Vault>>,
    caller: Caller<VaultOpen>,
    query: Query,
) -> Result<Response, Error> {
    let realm = realms::select(&caller, query.realm("realm_id")?)?;
    let account = caller.account();
    let keys = KeyList::new(&vault, account, realm);
    let room = list::begin(&vault.lists, account).await?;
    list::answer(room, "Vault keys retrieved successfully", keys).await
}

/// One key with its value
#[utoipa::path(get, path = "/api/v1/vault/keys/{key}", operation_id = "get_vault_key", tag = "vault",
    params(("key" = String, Path),
    ("realm_id" = Option<RealmId>, Query, description = "The realm; unless told the host's, or none")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::VaultRecord>),
    (status = 403, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody)))]
pub async fn get_vault_key(
    State(vault): State<Arc<Vault>>,
    caller: Caller<VaultOpen>,
    KeyPath(name): KeyPath,
    query: Query,
) -> Result<Response, Error> {
    let realm = realms::select(&caller, query.realm("realm_id")?)?;
    let Opened { entry, metadata, text } = acts::open(&vault, &caller, realm, &name).await?;
    let metadata = metadata.as_ref().map(|json| json.as_slice());
    Ok(value::answer(StatusCode::OK, "Vault key retrieved successfully", &entry, metadata, text))
}

/// Makes a key or sets it again; metadata that is left out stays as it is
#[utoipa::path(method(put, patch), path = "/api/v1/vault/keys/{key}", operation_id = "set_vault_key",
    tag = "vault", params(("key" = String, Path),
    ("realm_id" = Option<RealmId>, Query, description = "The realm; unless told the host's, or none")),
    request_body = wire::SetVaultKey, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::VaultRecord>),
    (status = 201, body = wire::Envelope<wire::VaultRecord>), (status = 400, body = wire::ErrorBody),
    (status = 403, body = wire::ErrorBody), (status = 413, body = wire::ErrorBody)))]
pub async fn set_vault_key(
    State(vault): State<Arc<Vault>>,
    caller: Caller<VaultOpen>,
    KeyPath(name): KeyPath,
    query: Query,
    request: Request<Body>,
) -> Result<Response, Error> {
    let realm = realms::select(&caller, query.realm("realm_id")?)?;
    let set = SetKey::read(&vault.large, caller.account(), request).await?;
    let (opened, is_new) = acts::set(&vault, &caller, (realm, name), set).await?;
    let (status, message) = if is_new {
        (StatusCode::CREATED, "Vault key created successfully")
    } else {
        (StatusCode::OK, "Vault key updated successfully")
    };
    let metadata = opened.metadata.as_ref().map(|json| json.as_slice());
    Ok(value::answer(status, message, &opened.entry, metadata, opened.text))
}

/// Deletes a key
#[utoipa::path(delete, path = "/api/v1/vault/keys/{key}", operation_id = "delete_vault_key", tag = "vault",
    params(("key" = String, Path),
    ("realm_id" = Option<RealmId>, Query, description = "The realm; unless told the host's, or none")),
    security(("bearer" = [])), responses((status = 200, body = hoody_engine::web::envelope::Done),
    (status = 403, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody)))]
pub async fn delete_vault_key(
    State(vault): State<Arc<Vault>>,
    caller: Caller<VaultOpen>,
    KeyPath(name): KeyPath,
    query: Query,
) -> Result<Answer<()>, Error> {
    let realm = realms::select(&caller, query.realm("realm_id")?)?;
    acts::delete(&vault, &caller, realm, &name).await?;
    Ok(Answer::ok("Vault key deleted successfully", ()))
}

/// Deletes every key in the realm
#[utoipa::path(delete, path = "/api/v1/vault", operation_id = "clear_vault", tag = "vault",
    params(("realm_id" = Option<RealmId>, Query, description = "The realm; unless told the host's, or none")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::VaultCleared>),
    (status = 403, body = wire::ErrorBody)))]
pub async fn clear_vault(
    State(vault): State<Arc<Vault>>,
    caller: Caller<VaultOpen>,
    query: Query,
) -> Result<Answer<wire::VaultCleared>, Error> {
    let realm = realms::select(&caller, query.realm("realm_id")?)?;
    let (mut mutation, grant) = vault.feed.begin(&caller).await?;
    let account: UserId = grant.account;
    let (keys, bytes) = store::total(&mut mutation.tx, account, realm).await?;
    let deleted_count = keys.unsigned_abs();
    if keys > 0 {
        store::clear(&mut mutation.tx, account, realm).await?;
        store::take_room(&mut mutation.tx, account, -bytes, -keys).await?;
        let cleared = Change::new("vault.cleared", account, "vault", account);
        mutation.tell(cleared.in_realms(realm.as_slice()).with(json!({ "deleted_count": deleted_count })));
        mutation.commit().await?;
    }
    Ok(Answer::ok("Vault cleared successfully", wire::VaultCleared { deleted_count }))
}
