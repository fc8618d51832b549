//! The vault: a key-value store for each account and realm (`contract/vault.md`).
//!
//! A value is any text. It is sealed in pieces of a megabyte, each for its account, realm, key, value and
//! place, so that nothing opens anywhere but where it was put; metadata is sealed likewise. On the way in
//! and out a large value is in memory once: as the body that brought it, or as the text that is sent.
//! `value` seals, opens and sends; `body` reads.

pub(crate) mod body;
pub(crate) mod http;
pub(crate) mod store;
pub(crate) mod value;

use std::sync::Arc;
use std::time::Duration;

use hoody_core::id::{RealmId, UserId, VaultKeyId, VaultValueId};
use hoody_core::time::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

/// What an account's values and metadata may take in all realms together, in bytes.
pub(crate) const MAX_BYTES: i64 = 50 * MIB;
/// How many keys an account may have in all realms together.
pub(crate) const MAX_KEYS: i64 = 10_000;
/// The largest metadata of one key, in bytes of JSON.
pub(crate) const MAX_METADATA: usize = 256 * 1024;

const MIB: i64 = 1024 * 1024;
/// Bodies and values above this wait for their turn, in bytes.
const LARGE: usize = 1024 * 1024;
/// How many large values are on their way in or out at a time.
const LARGE_AT_ONCE: usize = 4;
/// How long a large value waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// A key as it is stored, without its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: VaultKeyId,
    pub(crate) account: UserId,
    pub(crate) realm: Option<RealmId>,
    pub(crate) name: String,
    /// Of the value that is there: another with each time the key is set.
    pub(crate) value: VaultValueId,
    /// In how many pieces the value is; at least one.
    pub(crate) pieces: u32,
    /// The value alone.
    pub(crate) value_bytes: i64,
    /// Value and metadata.
    pub(crate) size_bytes: i64,
    /// Sealed JSON.
    pub(crate) metadata: Option<Vec<u8>>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// Bounds what large values take of the memory, whoever sends or fetches them.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

/// The turn of one large value; it ends when this is dropped.
pub(crate) type Turn = OwnedSemaphorePermit;

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_AT_ONCE)))
    }

    /// Waits for the turn of a large value.
    pub(crate) async fn turn(&self) -> Result<Turn, Error> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await;
        turn.ok()
            .and_then(Result::ok)
            .ok_or(Error::Unavailable("Too many large values are on their way; try again"))
    }
}

/// Bytes in MiB, with six decimals.
fn mebibytes(bytes: i64) -> f64 {
    round(as_float(bytes) / as_float(MIB), 1e6)
}

/// What part of the limit `bytes` are, in percent with two decimals.
fn percentage(bytes: i64) -> f64 {
    round(as_float(bytes) * 100.0 / as_float(MAX_BYTES), 1e2)
}

fn round(number: f64, scale: f64) -> f64 {
    (number * scale).round() / scale
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
fn as_float(bytes: i64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn sizes_are_shown_as_in_the_contract() {
        assert!((mebibytes(10_240) - 0.009_766).abs() < 1e-12);
        assert!((percentage(10_240) - 0.02).abs() < 1e-12);
        assert!((mebibytes(MAX_BYTES) - 50.0).abs() < 1e-12);
        assert!((percentage(MAX_BYTES) - 100.0).abs() < 1e-12);
    }

    #[tokio::test]
    async fn large_values_wait_for_their_turn() {
        let gate = Gate::new();
        let mut turns = Vec::new();
        for _ in 0..LARGE_AT_ONCE {
            turns.push(gate.turn().await.unwrap());
        }
        assert!(gate.turn().now_or_never().is_none(), "it waits");
        turns.pop();
        drop(gate.turn().await.unwrap());
    }
}
