//! Putting a master key in force, and retiring one.

use anyhow::Context as _;
use hoody_core::id::{Id, SessionId, TokenId};
use hoody_core::keys::{KeyId, MasterKey};
use hoody_core::rotation::{KnownKey, Standing, in_force, standing};
use hoody_core::time::Timestamp;
use serde_json::json;

use hoody_engine::clock::entropy;
use hoody_engine::db::{DbError, On, args};
use hoody_engine::error::Error;
use hoody_engine::feed::{Actor, Change, Mutation};
use hoody_engine::grants::Forget;
use hoody_engine::keys::load::{KeySource, enter, explain, read};
use hoody_engine::keys::{NOBODY, file, store};
use hoody_engine::nodes::{self, Node};

use super::Rotation;
use super::bound::{Hanging, KINDS, Kind, Named};
use crate::sign_in::sessions;
use crate::tokens;
use crate::users::first::plain;

/// How many things of an account end in one transaction.
const CHUNK: usize = 200;

/// The key that waits, and whether it was made just now.
///
/// # Errors
/// A sentence for the operator: what to do where this cannot be done for them.
pub async fn add(rotation: &Rotation) -> anyhow::Result<(KeyId, bool)> {
    let known = store::list_known(&rotation.db).await?;
    let waiting = known.iter().find(|key| standing(&known, key.id) == Some(Standing::Waiting));
    if let Some(waiting) = waiting {
        return Ok((waiting.id, false));
    }
    let KeySource::File(path) = &rotation.key_source else {
        anyhow::bail!(
            "HOODY_MASTER_KEY is not this command's to change. Put a second line behind the one that is there \
             (`openssl rand -hex 32` makes one), in the environment of every node, restart them one after the \
             other, and run this again: the second line is the key that will be put in force"
        );
    };
    let key = MasterKey::from_bytes(entropy());
    let id = key.id();
    // Into the file first: a key that the database knows and nobody has would wait for ever.
    file::change(path, |ring| Ok(Some(ring.with(key))))?;
    let ring = read(&rotation.key_source)?.with_context(|| format!("{} is gone", path.display()))?;
    let given: Vec<KeyId> = ring.iter().map(MasterKey::id).collect();
    if let Err(refusal) = enter(&given, &rotation.db, rotation.clock.now()).await? {
        anyhow::bail!(explain(&refusal, &rotation.key_source));
    }
    Ok((id, true))
}

/// What became of a key that was to be put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promotion {
    /// It is in force.
    Done,
    /// These live nodes do not have it.
    WaitsFor(Vec<String>),
    /// It does not wait: it is in force already, or retired.
    DoesNotWait,
}

/// Puts a key that waits in force, if every live node lists it.
pub async fn promote(rotation: &Rotation, id: KeyId) -> anyhow::Result<Promotion> {
    let mut mutation = rotation.feed.begin_as(Actor::Operator).await.map_err(plain)?;
    store::lock(&mut mutation.tx).await?;
    let known = store::list_known(&mut mutation.tx).await?;
    if standing(&known, id) != Some(Standing::Waiting) {
        return Ok(Promotion::DoesNotWait);
    }
    let without =
        live_nodes(rotation).await?.into_iter().filter(|node| !node.key_ids.contains(&id.to_string()));
    let without: Vec<String> = without.map(|node| format!("{} ({})", node.name, node.id)).collect();
    if !without.is_empty() {
        return Ok(Promotion::WaitsFor(without));
    }
    let at = after_the_last(&known, mutation.now);
    store::promote(&mut mutation.tx, id, at).await?;
    mutation.tell(change("keys.promoted", id).with(json!({ "key_id": id.to_string() })));
    mutation.commit().await.map_err(plain)?;
    Ok(Promotion::Done)
}

/// No two keys come into force at one instant.
fn after_the_last(known: &[KnownKey], now: Timestamp) -> Timestamp {
    let last = known.iter().filter_map(|key| key.promoted_at).max();
    last.map_or(now, |last| now.max(last.plus(1)))
}

/// Puts the line of the key in force in front in this machine's file, where there is one.
pub fn put_in_front(source: &KeySource, id: KeyId) -> anyhow::Result<()> {
    let KeySource::File(path) = source else { return Ok(()) };
    file::change(path, |ring| Ok((ring.first().id() != id).then(|| ring.led_by(id))))
}

/// Takes the line of a retired key out of this machine's file, where there is one; whether it was there.
pub fn take_out(source: &KeySource, id: KeyId) -> anyhow::Result<bool> {
    let KeySource::File(path) = source else { return Ok(false) };
    let mut was_there = false;
    file::change(path, |ring| {
        was_there = ring.find(id).is_some();
        Ok(if was_there { ring.without(id) } else { None })
    })?;
    Ok(was_there)
}

/// The nodes that are alive.
pub async fn live_nodes(rotation: &Rotation) -> Result<Vec<Node>, DbError> {
    let now = rotation.clock.now();
    Ok(nodes::store::list(&rotation.db).await?.into_iter().filter(|node| node.is_alive(now)).collect())
}

/// Why a key is not retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The database does not know it.
    Unknown,
    /// It is in force.
    InForce,
    /// It was retired before.
    Already,
    /// These nodes still seal and sign with it.
    SignedBy(Vec<String>),
    /// This hangs on it.
    Hanging(Hanging),
}

/// Retires the key `id` unless something needs it. From here on no node opens or verifies with it, and
/// what began before and sealed under it is not committed.
pub async fn retire(rotation: &Rotation, id: KeyId) -> anyhow::Result<Result<(), Kept>> {
    let mut mutation = rotation.feed.begin_as(Actor::Operator).await.map_err(plain)?;
    store::lock(&mut mutation.tx).await?;
    let known = store::list_known(&mut mutation.tx).await?;
    match standing(&known, id) {
        None => return Ok(Err(Kept::Unknown)),
        Some(Standing::Retired) => return Ok(Err(Kept::Already)),
        Some(Standing::InForce) => return Ok(Err(Kept::InForce)),
        Some(Standing::Waiting | Standing::Older) => {}
    }
    let signing =
        live_nodes(rotation).await?.into_iter().filter(|node| node.key_ids.first() == Some(&id.to_string()));
    let signing: Vec<String> = signing.map(|node| format!("{} ({})", node.name, node.id)).collect();
    if !signing.is_empty() {
        return Ok(Err(Kept::SignedBy(signing)));
    }
    let now = mutation.now;
    let hanging = Hanging::count(&mut On::from(&mut mutation.tx), &rotation.sealed, id, now).await?;
    if !hanging.is_nothing() {
        return Ok(Err(Kept::Hanging(hanging)));
    }
    store::retire(&mut mutation.tx, id, now).await?;
    let payload =
        json!({ "key_id": id.to_string(), "in_force": in_force(&known).map(|key| key.to_string()) });
    mutation.tell(change("keys.retired", id).with(payload));
    mutation.commit().await.map_err(plain)?;
    Ok(Ok(()))
}

fn change(event: &'static str, id: KeyId) -> Change {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(id.bytes());
    Change::new(event, NOBODY, "master_key", Id::<()>::from_bytes(bytes))
}

/// All that hangs on `id` and cannot be moved, by name.
pub async fn list_named(rotation: &Rotation, id: KeyId) -> Result<Vec<Named>, DbError> {
    let mut named = Vec::new();
    for (kind, ..) in KINDS {
        named.extend(kind.list(&rotation.db, id, rotation.clock.now()).await?);
    }
    Ok(named)
}

/// Ends what is named, as its owner would: what has moved to another key meanwhile stays.
pub async fn end(rotation: &Rotation, id: KeyId, named: &[Named]) -> anyhow::Result<()> {
    let mut by_account: std::collections::BTreeMap<_, Vec<&Named>> = std::collections::BTreeMap::new();
    for one in named {
        by_account.entry(one.account).or_default().push(one);
    }
    for (account, named) in by_account {
        for chunk in named.chunks(CHUNK) {
            let mut mutation = rotation.feed.begin_as(Actor::Operator).await.map_err(plain)?;
            mutation.lock_account(account).await?;
            for one in chunk {
                end_one(&mut mutation, id, one).await.map_err(plain)?;
            }
            mutation.commit().await.map_err(plain)?;
        }
    }
    Ok(())
}

/// Holds the row, too: a token that is used now moves before this or not at all.
const TOKEN_IS_UNDER: &str =
    "UPDATE tokens SET key_id = key_id WHERE id = $1 AND user_id = $2 AND key_id = $3";
const SESSION_IS_UNDER: &str =
    "SELECT 1 AS one FROM sessions WHERE id = $1 AND (key_id = $2 OR previous_key_id = $2)";
const DELETE_LINKS: &str = "DELETE FROM mail_tokens WHERE user_id = $1 AND key_id = $2";
const REVOKE_INVITATION: &str =
    "UPDATE invitations SET revoked_at = $2 WHERE id = $1 AND key_id = $3 AND revoked_at IS NULL";
const DELETE_CODES: &str = "DELETE FROM backup_codes WHERE user_id = $1 AND key_id = $2";

async fn end_one(mutation: &mut Mutation, key: KeyId, one: &Named) -> Result<(), Error> {
    let (account, now) = (one.account, mutation.now);
    let key = key.to_string();
    match one.kind {
        Kind::Token => {
            let id = TokenId::from_bytes(one.id);
            let is_under = mutation.tx.execute(TOKEN_IS_UNDER, args![id, account, key]).await? == 1;
            let own = mutation.own_catalogue();
            let token = tokens::store::find_token(&mut mutation.tx, account, id, &own).await?;
            if let Some(token) = token.filter(|_| is_under) {
                // With what it made, which could not be used without it.
                tokens::delegation::delete_subtree(mutation, &token).await?;
            }
        }
        Kind::Session => {
            let id = SessionId::from_bytes(one.id);
            let is_under = On::from(&mut mutation.tx).find(SESSION_IS_UNDER, args![id, key]).await?.is_some();
            if is_under && sessions::store::end_session(&mut mutation.tx, id, now).await? {
                let change = Change::new("session.ended", account, "session", id);
                mutation.tell(change.forgetting(Forget::Session(id)));
            }
        }
        Kind::MailLink => {
            mutation.tx.execute(DELETE_LINKS, args![account, key]).await?;
        }
        Kind::Invitation => {
            let id = Id::<()>::from_bytes(one.id);
            if mutation.tx.execute(REVOKE_INVITATION, args![id, now, key]).await? == 1 {
                mutation.tell(Change::new("invitation.revoked", NOBODY, "invitation", id));
            }
        }
        Kind::BackupCodes => {
            let removed = mutation.tx.execute(DELETE_CODES, args![account, key]).await?;
            if removed > 0 {
                let change = Change::new("account.backup_codes_removed", account, "account", account);
                mutation.tell(change.with(json!({ "removed": removed })));
            }
        }
    }
    Ok(())
}
