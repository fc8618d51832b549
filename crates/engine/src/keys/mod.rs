//! The keys of a running server: the master keys from a file or the environment, what is derived from
//! them for this database, and how one follows another.
//!
//! `load` reads and makes them and holds them against the database, `sealed` is what a noun says of its sealed
//! columns. The rules of how one key follows another are `hoody_core::rotation`.

pub mod file;
pub mod load;
pub mod sealed;
mod signing;
pub mod store;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use hoody_core::audit::CheckpointKey;
use hoody_core::event::{Cursor, CursorKey, EventIds};
use hoody_core::id::UserId;
use hoody_core::keys::{KeyId, Keyring, MacKey, MasterKey};
use hoody_core::one_time::{OneTimeKey, Purpose};
use hoody_core::rotation::Ring;
use hoody_core::seal::{self, OpenError, Place, SealKey};
use hoody_core::secret::{Digest, TagKey, TokenKeys, TokenText};
use hoody_core::session::SessionKey;
use hoody_core::totp::{BACKUP_LENGTH, BackupKey};

pub use load::{KeySource, check, init, load};
pub use signing::{SigningKey, verify};
use zeroize::Zeroizing;

use crate::clock::entropy;
use crate::db::{Db, DbError};

/// What is derived from the master keys for one database. The key in force seals and signs, all open and
/// verify. Which those are may change while the server runs.
#[derive(Debug)]
pub struct Keys {
    database_id: Vec<u8>,
    event_ids: EventIds,
    /// Of this process alone: what the cache knows credentials by stays when the master keys change.
    cache: TokenKeys,
    held: RwLock<Arc<Held>>,
    /// How often this database's keys were retired, as far as this node knows.
    retirements: AtomicI64,
    /// False when a key is missing that the other nodes seal and sign with.
    is_whole: AtomicBool,
    /// The columns of sealed values of all nouns, once they are put together.
    columns: OnceLock<Vec<(&'static str, &'static str)>>,
}

/// The keys at one moment.
#[derive(Debug)]
struct Held {
    /// The one in force first.
    keys: Vec<OneKey>,
    sessions: Arc<[SessionKey]>,
    seals: Arc<[SealKey]>,
    /// Of master keys that were retired: tokens outlive the key that they were made under.
    tags: Vec<TagKey>,
}

#[derive(Debug, Clone)]
struct OneKey {
    id: KeyId,
    tokens: TokenKeys,
    session: SessionKey,
    seal: SealKey,
    backup: BackupKey,
    limits: MacKey,
    one_time: OneTimeKey,
    checkpoint: CheckpointKey,
    cursors: CursorKey,
    signing: Arc<SigningKey>,
}

impl OneKey {
    fn derive(key: &MasterKey, database_id: &[u8]) -> Self {
        Self {
            id: key.id(),
            tokens: TokenKeys::derive(key, database_id),
            session: SessionKey::derive(key, database_id),
            seal: SealKey::derive(key, database_id),
            backup: BackupKey::derive(key, database_id),
            limits: key.derive(database_id, "limit-subject"),
            one_time: OneTimeKey::derive(key, database_id),
            checkpoint: CheckpointKey::derive(key, database_id),
            cursors: CursorKey::derive(key, database_id),
            signing: Arc::new(SigningKey::derive(key, database_id)),
        }
    }
}

impl Held {
    fn of(keys: Vec<OneKey>, tags: Vec<TagKey>) -> Self {
        let sessions = keys.iter().map(|key| key.session.clone()).collect();
        let seals = keys.iter().map(|key| key.seal.clone()).collect();
        Self { keys, sessions, seals, tags }
    }

    fn first(&self) -> &OneKey {
        &self.keys[0]
    }
}

impl Keys {
    /// The keys of `file` that `ring` holds, in its order.
    fn new(database_id: &[u8], file: &Keyring, ring: &Ring) -> Self {
        let held = ring.held.iter().filter_map(|id| file.find(*id));
        let held = held.map(|key| OneKey::derive(key, database_id)).collect();
        Self {
            database_id: database_id.to_owned(),
            event_ids: EventIds::of_database(database_id),
            cache: TokenKeys::derive(&MasterKey::from_bytes(entropy()), database_id),
            held: RwLock::new(Arc::new(Held::of(held, Vec::new()))),
            retirements: AtomicI64::new(0),
            is_whole: AtomicBool::new(true),
            columns: OnceLock::new(),
        }
    }

    fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From here on the keys `ids`, of `file` or held before, in this order; what was there before.
    pub fn hold(&self, ids: &[KeyId], file: Option<&Keyring>) -> Vec<KeyId> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let find = |id: &KeyId| {
            let before = held.keys.iter().find(|key| key.id == *id).cloned();
            before.or_else(|| file?.find(*id).map(|key| OneKey::derive(key, &self.database_id)))
        };
        let keys: Vec<OneKey> = ids.iter().filter_map(find).collect();
        let before = held.keys.iter().map(|key| key.id).collect();
        if !keys.is_empty() {
            *held = Arc::new(Held::of(keys, held.tags.clone()));
        }
        before
    }

    /// The ids of the keys, the one that seals and signs first.
    pub fn ids(&self) -> Vec<String> {
        self.key_ids().iter().map(ToString::to_string).collect()
    }

    /// The ids of the keys, the one that seals and signs first.
    pub fn key_ids(&self) -> Vec<KeyId> {
        self.held().keys.iter().map(|key| key.id).collect()
    }

    /// The key that seals and signs.
    pub fn in_force(&self) -> KeyId {
        self.held().first().id
    }

    /// The key that new tokens are made with, and its name.
    pub fn minting(&self) -> (KeyId, TokenKeys) {
        let held = self.held();
        (held.first().id, held.first().tokens.clone())
    }

    /// The digest that the cache knows a credential's text by.
    pub fn cache_digest(&self, text: &str) -> Digest {
        self.cache.digest_of(text)
    }

    /// The digests that the database may know a token of ours by, the current key's first; none when no
    /// key of ours made it.
    pub fn stored_digests(&self, text: TokenText<'_>) -> Vec<(KeyId, Digest)> {
        let held = self.held();
        let is_ours = held.keys.iter().any(|key| text.is_made_with(&key.tokens))
            || held.tags.iter().any(|tag| text.is_tagged_by(tag));
        let digests = held.keys.iter().map(|key| (key.id, text.digest(&key.tokens)));
        if is_ours { digests.collect() } else { Vec::new() }
    }

    /// What a new backup code of `account` is known by, under which key.
    pub fn backup_digest(&self, account: UserId, code: &[u8; BACKUP_LENGTH]) -> (KeyId, [u8; 32]) {
        let held = self.held();
        (held.first().id, held.first().backup.digest(account, code))
    }

    /// What the database may know a backup code of `account` by, the current key's first.
    pub fn backup_digests(&self, account: UserId, code: &[u8; BACKUP_LENGTH]) -> Vec<[u8; 32]> {
        self.held().keys.iter().map(|key| key.backup.digest(account, code)).collect()
    }

    /// What a secret that is used once is stored by.
    pub fn one_time_digest(&self, purpose: Purpose, text: &str) -> [u8; 32] {
        self.held().first().one_time.digest(purpose, text)
    }

    /// The same of a secret that may outlive the key in force, and that key's name.
    pub fn named_one_time_digest(&self, purpose: Purpose, text: &str) -> (KeyId, [u8; 32]) {
        let held = self.held();
        (held.first().id, held.first().one_time.digest(purpose, text))
    }

    /// What the database may know such a secret by, the current key's first.
    pub fn one_time_digests(&self, purpose: Purpose, text: &str) -> Vec<[u8; 32]> {
        self.held().keys.iter().map(|key| key.one_time.digest(purpose, text)).collect()
    }

    /// Seals `plain` for `place` under the current key, whose name the value begins with
    /// ([`seal::key_of`]). The column must be one that a noun hands over ([`sealed::Sealed`]).
    pub fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Vec<u8> {
        debug_assert!(
            self.is_listed(place),
            "{}.{} is sealed and no noun hands it over: its values would be lost with the next rotation",
            place.table,
            place.column
        );
        self.held().first().seal.seal(entropy(), place, plain)
    }

    /// Opens what was sealed for `place` under any key of the ring.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let seals = Arc::clone(&self.held().seals);
        seal::open(&seals, place, sealed)
    }

    /// What a counter knows its subject by: under the key in force alone, another begins every counter anew.
    pub fn limit_subject(&self, subject: &[u8]) -> [u8; 32] {
        self.held().first().limits.mac(subject)
    }

    /// A cursor into the history of `account`, as text.
    pub fn cursor(&self, account: UserId, cursor: Cursor) -> String {
        self.held().first().cursors.write(account, cursor)
    }

    /// What a cursor says, if a key that is held wrote it for `account`.
    pub fn read_cursor(&self, account: UserId, text: &str) -> Option<Cursor> {
        self.held().keys.iter().find_map(|key| key.cursors.read(account, text))
    }

    /// What makes the ids of events: of the database, whatever its master keys are.
    pub fn event_ids(&self) -> &EventIds {
        &self.event_ids
    }

    /// The keys that sessions are signed and read with, and the name of the first.
    pub fn sessions(&self) -> Arc<[SessionKey]> {
        Arc::clone(&self.held().sessions)
    }

    /// The key that signs for other services.
    pub fn signing_key(&self) -> Arc<SigningKey> {
        Arc::clone(&self.held().first().signing)
    }

    /// Every key that other services may find a signature by: the one that signs first, then one that will and those
    /// that did.
    pub fn signing_keys(&self) -> Vec<Arc<SigningKey>> {
        self.held().keys.iter().map(|key| Arc::clone(&key.signing)).collect()
    }

    /// The key that signs the audit log.
    pub fn checkpoint_key(&self) -> CheckpointKey {
        self.held().first().checkpoint.clone()
    }

    /// The keys that the audit log may be signed with.
    pub fn checkpoint_keys(&self) -> Vec<CheckpointKey> {
        self.held().keys.iter().map(|key| key.checkpoint.clone()).collect()
    }

    /// The id of the database that all this is derived for.
    pub fn database_id(&self) -> &[u8] {
        &self.database_id
    }

    /// How often this database's keys were retired, as far as this node knows.
    pub fn retirements(&self) -> i64 {
        self.retirements.load(Ordering::SeqCst)
    }

    /// The database says that so many keys were retired.
    pub fn note_retirements(&self, retirements: i64) {
        self.retirements.store(retirements, Ordering::SeqCst);
    }

    /// From here on sealing for a column that is not among these fails in debug builds.
    pub fn know_columns(&self, columns: Vec<(&'static str, &'static str)>) {
        let _ = self.columns.set(columns);
    }

    fn is_listed(&self, place: &Place<'_>) -> bool {
        let Some(columns) = self.columns.get() else { return true };
        columns.contains(&(place.table, place.column))
    }

    /// Notes whether this node has every key that the others seal and sign with.
    pub fn set_whole(&self, is_whole: bool) {
        self.is_whole.store(is_whole, Ordering::SeqCst);
    }

    /// Whether this node has every key that the others seal and sign with.
    pub fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::SeqCst)
    }

    /// Keeps the tag keys of `file`'s keys in the database, and learns those of keys that are gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn learn_tags(&self, db: &Db, file: Option<&Keyring>) -> Result<(), DbError> {
        let ids = self.key_ids();
        let stored = store::list_tags(db).await?;
        let new: Vec<KeyId> =
            ids.iter().copied().filter(|id| stored.iter().all(|(known, _)| known != id)).collect();
        if !new.is_empty() {
            let mut tx = db.begin().await?;
            for key in new.iter().filter_map(|id| file?.find(*id)) {
                let bytes = TagKey::derive_bytes(key, &self.database_id);
                let sealed = self.seal(&tag_place(key.id().to_string().as_bytes()), &*bytes);
                let under = seal::key_of(&sealed).ok_or(DbError::Unreadable("sealed"))?;
                store::add_tag(&mut tx, key.id(), under, sealed).await?;
            }
            tx.commit().await?;
        }
        let mut tags = Vec::new();
        for (made_under, sealed) in stored.iter().filter(|(id, _)| !ids.contains(id)) {
            let opened = self.open(&tag_place(made_under.to_string().as_bytes()), sealed);
            match opened.as_ref().map(|bytes| <&[u8; 32]>::try_from(bytes.as_slice())) {
                Ok(Ok(bytes)) => tags.push(TagKey::from_bytes(bytes)),
                _ => {
                    tracing::error!(key = %made_under, "tokens that were made under a retired key are refused: \
                    what tells them from garbage does not open");
                }
            }
        }
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(Held::of(held.keys.clone(), tags));
        Ok(())
    }
}

/// Where the tag key of the master key with this name is sealed.
fn tag_place(made_under: &[u8]) -> Place<'_> {
    Place { table: "token_tags", column: "sealed", account: NOBODY, realm: None, row: made_under }
}

/// What belongs to the server and to no account.
pub const NOBODY: UserId = UserId::from_bytes([0; 12]);

/// Where the master keys come from when nothing else is said.
pub fn default_file(data_dir: &std::path::Path) -> PathBuf {
    data_dir.join("master.key")
}
