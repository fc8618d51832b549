//! The key that signs for other services: Ed25519 (RFC 8032), so that they verify with what is published.
//!
//! Its seed is derived from a master key, as everything that hoody signs with. So it needs no storage of its own, every
//! node that holds the master key has it, and it follows the master key: a key that is not in force yet is published
//! already, and one that was in force still is until its master key is retired.

use hoody_core::keys::{MasterKey, signing_seed};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};

/// Signs with Ed25519. Cannot be printed but for its id.
pub struct SigningKey {
    id: String,
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SigningKey {
    pub(super) fn derive(key: &MasterKey, database_id: &[u8]) -> Self {
        let seed = signing_seed(key, database_id);
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).expect("32 bytes are a seed");
        let public: [u8; 32] = pair.public_key().as_ref().try_into().expect("a public key has 32 bytes");
        let digest = Sha256::digest(public);
        let id = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { id, pair, public }
    }

    /// Names the key: the first 16 hex digits of the SHA-256 of its public key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What others verify with.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public
    }

    /// The signature of a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(message);
        signature.as_ref().try_into().expect("a signature has 64 bytes")
    }
}

/// Whether the key with these 32 bytes made the signature of the message.
#[must_use]
pub fn verify(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public_key);
    key.verify(message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_verified_by_the_published_key_alone() {
        let master = |byte| MasterKey::from_bytes([byte; 32]);
        let key = SigningKey::derive(&master(1), b"database");
        let signature = key.sign(b"message");
        assert!(verify(key.public_key(), b"message", &signature));
        assert!(!verify(key.public_key(), b"messagf", &signature));
        for other in
            [SigningKey::derive(&master(2), b"database"), SigningKey::derive(&master(1), b"elsewhere")]
        {
            assert!(!verify(other.public_key(), b"message", &signature));
            assert_ne!(other.id(), key.id());
        }
        assert_eq!(SigningKey::derive(&master(1), b"database").public_key(), key.public_key());
        assert!(!format!("{key:?}").contains("pair"));
    }
}
