//! The vault: a key-value store for each account and realm (`contract/vault.md`).
//!
//! A value is any text. It is sealed in pieces of a megabyte, each for its account, realm, key, value and
//! place, so that nothing opens anywhere but where it was put; metadata is sealed likewise. On the way in
//! and out a large value is in memory once: as the body that brought it, or as the text that is sent.
//! `value` seals, opens and sends; `body` reads; `list` reads and sends all keys a page at a time.

pub(crate) mod body;
pub(crate) mod http;
pub(crate) mod list;
pub(crate) mod store;
pub(crate) mod value;

use hoody_core::id::{RealmId, UserId, VaultKeyId, VaultValueId};
use hoody_core::time::Timestamp;

use crate::error::Error;
use crate::work::{Room, Rooms};

/// What an account's values and metadata may take in all realms together, in bytes.
pub(crate) const MAX_BYTES: i64 = 50 * MIB;
/// How many keys an account may have in all realms together.
pub(crate) const MAX_KEYS: i64 = 10_000;
/// The largest metadata of one key, in bytes of JSON.
pub(crate) const MAX_METADATA: usize = 256 * 1024;

const MIB: i64 = 1024 * 1024;
/// Bodies and values above this wait for their turn, in bytes.
const LARGE: usize = 1024 * 1024;
/// What large values on their way in or out may take together, in bytes: four of the largest.
const LARGE_TOGETHER: usize = 4 * body::MAX_BODY;

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

/// Bounds what large values take of the memory: in all, and those of one account.
#[derive(Debug)]
pub(crate) struct Gate(Rooms<UserId>);

/// The turn of one large value; it ends when this is dropped.
pub(crate) type Turn = Room<UserId>;

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Rooms::new(LARGE_TOGETHER, body::MAX_BODY))
    }

    /// Waits for the turn of a large value of so many bytes.
    pub(crate) async fn turn(&self, account: UserId, bytes: usize) -> Result<Turn, Error> {
        self.0.take(account, bytes).await
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
    async fn large_values_of_one_account_wait_for_each_other_and_others_for_none() {
        let gate = Gate::new();
        let (ada, grace) = (UserId::from_bytes([1; 12]), UserId::from_bytes([2; 12]));
        let largest = gate.turn(ada, body::MAX_BODY).await.unwrap();
        assert!(gate.turn(ada, LARGE + 1).now_or_never().is_none(), "it waits");
        drop(gate.turn(grace, body::MAX_BODY).await.unwrap());
        drop(largest);
        drop(gate.turn(ada, LARGE + 1).await.unwrap());
    }
}
