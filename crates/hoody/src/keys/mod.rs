//! The keys of a running server: the master keys from a file or the environment, what is derived from
//! them for this database, and the check that they are the database's.

mod load;

use std::path::PathBuf;

use hoody_core::id::UserId;
use hoody_core::keys::{KeyId, Keyring, MacKey};
use hoody_core::seal::{self, OpenError, Place, SealKey};
use hoody_core::secret::{Digest, TokenKeys, TokenText};
use hoody_core::session::SessionKey;
use hoody_core::totp::{BACKUP_LENGTH, BackupKey};

pub(crate) use load::{KeySource, init, load};
use zeroize::Zeroizing;

use crate::clock::entropy;

/// What is derived from the master keys for one database. The first of each signs, all verify.
#[derive(Debug)]
pub(crate) struct Keys {
    tokens: Vec<(KeyId, TokenKeys)>,
    sessions: Vec<SessionKey>,
    seals: Vec<SealKey>,
    backups: Vec<BackupKey>,
    /// Of the first master key alone: a new one begins every counter anew.
    limits: MacKey,
}

impl Keys {
    pub(crate) fn derive(ring: &Keyring, database_id: &[u8]) -> Self {
        Self {
            tokens: ring.iter().map(|key| (key.id(), TokenKeys::derive(key, database_id))).collect(),
            sessions: ring.iter().map(|key| SessionKey::derive(key, database_id)).collect(),
            seals: ring.iter().map(|key| SealKey::derive(key, database_id)).collect(),
            backups: ring.iter().map(|key| BackupKey::derive(key, database_id)).collect(),
            limits: ring.first().derive(database_id, "limit-subject"),
        }
    }

    /// The ids of the keys, the one that signs first.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.tokens.iter().map(|(id, _)| id.to_string()).collect()
    }

    /// The keys that new tokens are made with, and their name.
    pub(crate) fn minting(&self) -> (KeyId, &TokenKeys) {
        let (id, keys) = &self.tokens[0];
        (*id, keys)
    }

    /// The digest that the cache knows a credential's text by.
    pub(crate) fn cache_digest(&self, text: &str) -> Digest {
        self.tokens[0].1.digest_of(text)
    }

    /// The digests that the database may know a token of ours by, the current key's first; none when no
    /// key of ours made it.
    pub(crate) fn stored_digests(&self, text: TokenText<'_>) -> Vec<(KeyId, Digest)> {
        if !self.tokens.iter().any(|(_, keys)| text.is_made_with(keys)) {
            return Vec::new();
        }
        self.tokens.iter().map(|(id, keys)| (*id, text.digest(keys))).collect()
    }

    /// What the database may know a backup code of `account` by, the current key's first.
    pub(crate) fn backup_digests(
        &self,
        account: UserId,
        code: &[u8; BACKUP_LENGTH],
    ) -> impl Iterator<Item = [u8; 32]> {
        self.backups.iter().map(move |key| key.digest(account, code))
    }

    /// Seals `plain` for `place` under the current key.
    pub(crate) fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Vec<u8> {
        self.seals[0].seal(entropy(), place, plain)
    }

    /// Opens what was sealed for `place` under any key of the ring.
    pub(crate) fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        seal::open(&self.seals, place, sealed)
    }

    /// What a counter knows its subject by.
    pub(crate) fn limit_subject(&self, subject: &[u8]) -> [u8; 32] {
        self.limits.mac(subject)
    }

    /// The keys that sessions are signed and read with.
    pub(crate) fn sessions(&self) -> &[SessionKey] {
        &self.sessions
    }
}

/// Where the master keys come from when nothing else is said.
pub(crate) fn default_file(data_dir: &std::path::Path) -> PathBuf {
    data_dir.join("master.key")
}
