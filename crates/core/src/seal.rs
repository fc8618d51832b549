//! Sealed data: what must be read back from the database, and by nobody who only has the database.
//!
//! XChaCha20-Poly1305 under a derived key. The place that a value belongs to is authenticated with it,
//! so that a value moved to another row, column, realm or account does not open (`design.md` 4).
//!
//! ```text
//! key id, 8 bytes · nonce, 24 bytes · ciphertext and tag
//! ```

use std::fmt;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::id::{RealmId, UserId};
use crate::keys::{KeyId, MasterKey};

/// How many random bytes sealing takes.
pub const NONCE_BYTES: usize = 24;
/// How much longer than the plain text a sealed value is.
pub const OVERHEAD: usize = 8 + NONCE_BYTES + 16;

/// The key that seals and opens, of one master key. Cannot be printed.
#[derive(Clone)]
pub struct SealKey {
    id: KeyId,
    cipher: XChaCha20Poly1305,
}

/// Where a sealed value belongs. All of it is authenticated.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The account.
    pub account: UserId,
    /// The realm, if it is of one.
    pub realm: Option<RealmId>,
    /// What names the row within them.
    pub row: &'a [u8],
}

/// The value was sealed under a key that is not here, for another place, or was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open")]
pub struct OpenError;

impl SealKey {
    /// The sealing key of `master` in the database with this id.
    #[must_use]
    pub fn derive(master: &MasterKey, database_id: &[u8]) -> Self {
        let key = master.derive_bytes(database_id, "seal");
        Self { id: master.id(), cipher: XChaCha20Poly1305::new((&*key).into()) }
    }

    /// Seals `plain` for `place` with a random nonce.
    ///
    /// # Panics
    /// Never: the cipher takes any text that fits in memory.
    #[must_use]
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], place: &Place<'_>, plain: &[u8]) -> Vec<u8> {
        let aad = place.aad(self.id);
        let payload = Payload { msg: plain, aad: &aad };
        let nonce = XNonce::from(nonce);
        let sealed = self.cipher.encrypt(&nonce, payload).expect("plain texts are below 256 GB");
        [self.id.bytes().as_slice(), nonce.as_slice(), &sealed].concat()
    }
}

/// The name of the key that a value is sealed under, if it is long enough to have one.
#[must_use]
pub fn key_of(sealed: &[u8]) -> Option<KeyId> {
    sealed.first_chunk().copied().map(KeyId::from_bytes)
}

/// Opens what one of `keys` sealed for `place`.
///
/// # Errors
/// [`OpenError`], without saying which of its causes.
pub fn open(keys: &[SealKey], place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (id, rest) = sealed.split_first_chunk::<8>().ok_or(OpenError)?;
    let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError)?;
    let key = keys.iter().find(|key| key.id.bytes() == id).ok_or(OpenError)?;
    let aad = place.aad(key.id);
    let payload = Payload { msg: text, aad: &aad };
    key.cipher.decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| OpenError)
}

impl Place<'_> {
    /// Every part with its length before it, so that no two places give the same bytes.
    fn aad(&self, key: KeyId) -> Vec<u8> {
        let realm = self.realm.as_ref().map_or(&[][..], |realm| realm.bytes());
        let parts = [
            self.table.as_bytes(),
            self.column.as_bytes(),
            self.account.bytes(),
            realm,
            self.row,
            key.bytes(),
        ];
        let mut aad = Vec::with_capacity(96);
        for part in parts {
            aad.extend((part.len() as u64).to_be_bytes());
            aad.extend(part);
        }
        aad
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SealKey {
        SealKey::derive(&MasterKey::from_bytes([seed; 32]), b"database")
    }

    fn place() -> Place<'static> {
        Place {
            table: "vault",
            column: "value",
            account: UserId::from_bytes([1; 12]),
            realm: None,
            row: b"key",
        }
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_and_nowhere_else() {
        let sealed = key(1).seal([9; NONCE_BYTES], &place(), b"a secret");
        assert_eq!(sealed.len(), 8 + OVERHEAD);
        assert_eq!(*open(&[key(2), key(1)], &place(), &sealed).unwrap(), b"a secret");
        let moved = [
            Place { table: "users", ..place() },
            Place { column: "metadata", ..place() },
            Place { account: UserId::from_bytes([2; 12]), ..place() },
            Place { realm: Some(RealmId::from_bytes([0; 12])), ..place() },
            Place { row: b"other", ..place() },
            Place { table: "vaultv", column: "alue", ..place() },
        ];
        for other in moved {
            assert_eq!(open(&[key(1)], &other, &sealed), Err(OpenError), "{other:?}");
        }
    }

    #[test]
    fn what_was_changed_cut_or_sealed_by_another_key_does_not_open() {
        let sealed = key(1).seal([9; NONCE_BYTES], &place(), b"a secret");
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(open(&[key(1)], &place(), &changed), Err(OpenError), "byte {index}");
            assert_eq!(open(&[key(1)], &place(), &sealed[..index]), Err(OpenError), "cut at {index}");
        }
        assert_eq!(open(&[key(2)], &place(), &sealed), Err(OpenError));
        assert_eq!(format!("{:?}", key(1)).len(), "SealKey()".len() + 16);
    }
}
