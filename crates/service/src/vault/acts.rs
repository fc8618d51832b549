//! What is done with keys, for whoever calls it: the API's handlers and the pages of the console. Whether the caller
//! may open the vault at all is asked before.

use hoody_core::id::{Id, RealmId};
use hoody_engine::error::Error;
use hoody_engine::feed::{Change, Mutation};
use hoody_engine::web::caller::AnyCaller;
use serde_json::json;
use zeroize::Zeroizing;

use super::body::SetKey;
use super::value::{self, Text, Wanted};
use super::{Entry, Vault, store};

const NOT_FOUND: Error = Error::NotFound { code: "VAULT_KEY_NOT_FOUND", message: "Vault key not found." };

/// A key in the clear.
#[derive(Debug)]
pub struct Opened {
    pub entry: Entry,
    /// JSON of an object.
    pub metadata: Option<Zeroizing<Vec<u8>>>,
    pub text: Text,
}

/// The keys of a realm, or of none, whose names come after this one, by name: at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn names(
    vault: &Vault,
    caller: &AnyCaller,
    realm: Option<RealmId>,
    after: &str,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let account = caller.account();
    let next = store::weigh_entries(&vault.db, account, realm, after, limit).await?;
    let Some((last, _)) = next.last() else { return Ok(Vec::new()) };
    Ok(store::list_entries(&vault.db, account, realm, (after, last), limit).await?)
}

/// How many bytes the account's vault has, in all realms together.
///
/// # Errors
/// When the database fails.
pub async fn used(vault: &Vault, caller: &AnyCaller) -> Result<i64, Error> {
    Ok(store::used(&vault.db, caller.account()).await?)
}

/// One key with its value.
///
/// # Errors
/// 404 when there is none of this name.
pub async fn open(
    vault: &Vault,
    caller: &AnyCaller,
    realm: Option<RealmId>,
    name: &str,
) -> Result<Opened, Error> {
    let wanted = Wanted { account: caller.account(), realm, name };
    let (entry, text) = value::read(vault, &wanted).await?.ok_or(NOT_FOUND)?;
    let metadata = entry.open_metadata(&vault.keys)?;
    Ok(Opened { entry, metadata, text })
}

/// Makes a key or sets it again, and whether it is new; metadata that is left out stays as it is.
///
/// # Errors
/// 413 when the account's vault is full.
pub async fn set(
    vault: &Vault,
    caller: &AnyCaller,
    (realm, name): (Option<RealmId>, String),
    set: SetKey,
) -> Result<(Opened, bool), Error> {
    let (mut mutation, grant) = vault.feed.begin(caller).await?;
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
    Ok((Opened { entry, metadata, text: set.text }, before.is_none()))
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

/// Deletes a key.
///
/// # Errors
/// 404 when there is none of this name.
pub async fn delete(
    vault: &Vault,
    caller: &AnyCaller,
    realm: Option<RealmId>,
    name: &str,
) -> Result<(), Error> {
    let (mut mutation, grant) = vault.feed.begin(caller).await?;
    let found = store::find_entry(&mut mutation.tx, grant.account, realm, name).await?;
    let entry = found.ok_or(NOT_FOUND)?;
    store::delete_entry(&mut mutation.tx, entry.id).await?;
    store::take_room(&mut mutation.tx, entry.account, -entry.size_bytes, -1).await?;
    mutation.tell(change("vault.key.deleted", &entry, entry.id).with(json!({ "key": entry.name })));
    mutation.commit().await?;
    Ok(())
}

fn change<K>(event: &'static str, entry: &Entry, id: Id<K>) -> Change {
    Change::new(event, entry.account, "vault", id).in_realms(entry.realm.as_slice())
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
