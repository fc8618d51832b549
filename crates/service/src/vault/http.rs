//! The endpoints of the vault (`contract/vault.md`). A session reaches all of its account's; a token
//! needs the permission `resources.vault` and the flag `vault_access`, in the realms that it has.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use hoody_core::id::{Id, RealmId, UserId};
use hoody_core::{names, wire};
use http::request::Parts;
use http::{Request, StatusCode};
use serde_json::json;
use zeroize::Zeroizing;

use super::body::SetKey;
use super::list::KeyList;
use super::value::{self, Wanted};
use super::{Entry, MAX_BYTES, Vault, mebibytes, percentage, store};
use crate::realms;
use hoody_engine::error::Error;
use hoody_engine::feed::{Change, Mutation};
use hoody_engine::web::caller::needs;
use hoody_engine::web::path::TextPath;
use hoody_engine::web::{Answer, Caller, Query, list};

needs! {
    /// The vault, in all ways.
    VaultOpen { LEAF = "resources.vault", VAULT = true }
}

const NOT_FOUND: Error = Error::NotFound { code: "VAULT_KEY_NOT_FOUND", message: "Vault key not found." };

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
    let wanted = Wanted { account: caller.account(), realm, name: &name };
    let (entry, text) = value::read(&vault, &wanted).await?.ok_or(NOT_FOUND)?;
    let metadata = entry.open_metadata(&vault.keys)?;
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
    let (mut mutation, grant) = vault.feed.begin(&caller).await?;
    let before = store::find_entry(&mut mutation.tx, grant.account, realm, &name).await?;
    let metadata = match (set.metadata, &before) {
        (Some(metadata), _) => metadata.map(Zeroizing::new),
        (None, Some(before)) => before.open_metadata(&vault.keys)?,
        (None, None) => None,
    };
    let json = metadata.as_ref().map(|json| json.as_slice());
    let value_bytes = size(set.text.bytes.len());
    let mut entry = Entry {
        id: before.as_ref().map_or_else(|| vault.clock.new_id(), |before| before.id),
        account: grant.account,
        realm,
        name,
        value: vault.clock.new_id(),
        pieces: set.text.pieces(),
        value_bytes,
        size_bytes: value_bytes + size(json.map_or(0, <[u8]>::len)),
        metadata: None,
        created_at: before.as_ref().map_or(mutation.now, |before| before.created_at),
        updated_at: mutation.now,
    };
    entry.seal_metadata(&vault.keys, json);
    write_entry(&mut mutation, &entry, before.as_ref()).await?;
    value::write(&vault.keys, &mut mutation.tx, &entry, &set.text).await?;
    let told = json!({ "key": entry.name, "size_bytes": entry.size_bytes, "is_new": before.is_none() });
    mutation.tell(change("vault.key.set", &entry, entry.id).with(told));
    mutation.commit().await?;
    let (status, message) = if before.is_none() {
        (StatusCode::CREATED, "Vault key created successfully")
    } else {
        (StatusCode::OK, "Vault key updated successfully")
    };
    Ok(value::answer(status, message, &entry, json, set.text))
}

/// Takes the room and writes the entry's row.
async fn write_entry(mutation: &mut Mutation, entry: &Entry, before: Option<&Entry>) -> Result<(), Error> {
    let (more_bytes, more_keys) = match before {
        Some(before) => (entry.size_bytes - before.size_bytes, 0),
        None => (entry.size_bytes, 1),
    };
    if !store::take_room(&mut mutation.tx, entry.account, more_bytes, more_keys).await? {
        return Err(Error::Refused {
            code: "VAULT_LIMIT_EXCEEDED",
            message: "Vault storage limit exceeded.",
        });
    }
    match before {
        Some(_) => store::update_entry(&mut mutation.tx, entry).await?,
        None => store::insert_entry(&mut mutation.tx, entry).await?,
    }
    Ok(())
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
    let (mut mutation, grant) = vault.feed.begin(&caller).await?;
    let found = store::find_entry(&mut mutation.tx, grant.account, realm, &name).await?;
    let entry = found.ok_or(NOT_FOUND)?;
    store::delete_entry(&mut mutation.tx, entry.id).await?;
    store::take_room(&mut mutation.tx, entry.account, -entry.size_bytes, -1).await?;
    mutation.tell(change("vault.key.deleted", &entry, entry.id).with(json!({ "key": entry.name })));
    mutation.commit().await?;
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

fn change<K>(event: &'static str, entry: &Entry, id: Id<K>) -> Change {
    Change::new(event, entry.account, "vault", id).in_realms(entry.realm.as_slice())
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
