//! The vault: a key-value store for each account and realm (`contract/vault.md`).
//!
//! A value is any text. It is sealed in pieces of a megabyte, each for its account, realm, key, value and
//! place, so that nothing opens anywhere but where it was put; metadata is sealed likewise. On the way in
//! and out a large value is in memory once: as the body that brought it, or as the text that is sent.
//! `value` seals, opens and sends; `body` reads; `list` reads and sends all keys a page at a time.

pub mod acts;
pub mod body;
pub mod http;
pub mod list;
pub mod store;
pub mod value;

use std::sync::Arc;

use hoody_core::id::{RealmId, UserId, VaultKeyId, VaultValueId};
use hoody_core::time::Timestamp;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use value::SEALED;

use hoody_engine::clock::Clock;
use hoody_engine::db::Db;
use hoody_engine::engine::Engine;
use hoody_engine::error::Error;
use hoody_engine::feed::Feed;
use hoody_engine::keys::Keys;
use hoody_engine::web::list::ListRooms;
use hoody_engine::web::{Access, Lends};
use hoody_engine::work::{Room, Rooms};

/// What an account's values and metadata may take in all realms together, in bytes.
pub const MAX_BYTES: i64 = 50 * MIB;
/// How many keys an account may have in all realms together.
pub const MAX_KEYS: i64 = 10_000;
/// The largest metadata of one key, in bytes of JSON.
pub const MAX_METADATA: usize = 256 * 1024;

const MIB: i64 = 1024 * 1024;
/// Bodies and values above this wait for their turn, in bytes.
const LARGE: usize = 1024 * 1024;
/// What large values on their way in or out may take together, in bytes: four of the largest.
const LARGE_TOGETHER: usize = 4 * body::MAX_BODY;

/// Stores and shows the keys of accounts.
#[derive(Debug)]
pub struct Vault {
    access: Arc<Access>,
    db: Db,
    keys: Arc<Keys>,
    clock: Clock,
    feed: Feed,
    lists: ListRooms,
    large: LargeValues,
}

impl Vault {
    pub fn new(engine: &Engine) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            keys: Arc::clone(&engine.keys),
            clock: engine.clock.clone(),
            feed: engine.feed.clone(),
            lists: engine.lists.clone(),
            large: LargeValues::new(),
        })
    }
}

impl Lends for Vault {
    fn access(&self) -> &Access {
        &self.access
    }
}

/// The endpoints of the vault.
pub fn routes() -> OpenApiRouter<Arc<Vault>> {
    OpenApiRouter::new()
        .routes(routes!(http::get_vault_stats))
        .routes(routes!(http::list_vault_keys))
        .routes(routes!(http::get_vault_key, http::set_vault_key, http::delete_vault_key))
        .routes(routes!(http::clear_vault))
}

/// A key as it is stored, without its value.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: VaultKeyId,
    pub account: UserId,
    pub realm: Option<RealmId>,
    pub name: String,
    /// Of the value that is there: another with each time the key is set.
    pub value: VaultValueId,
    /// In how many pieces the value is; at least one.
    pub pieces: u32,
    /// The value alone.
    pub value_bytes: i64,
    /// Value and metadata.
    pub size_bytes: i64,
    /// Sealed JSON.
    pub metadata: Option<Vec<u8>>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Limits the memory that large values use, in total and per account.
#[derive(Debug)]
pub struct LargeValues(Rooms<UserId>);

/// The turn of one large value; it ends when this is dropped.
pub type Turn = Room<UserId>;

impl LargeValues {
    pub(crate) fn new() -> Self {
        Self(Rooms::new(LARGE_TOGETHER, body::MAX_BODY))
    }

    /// Waits for the turn of a large value of so many bytes.
    pub async fn turn(&self, account: UserId, bytes: usize) -> Result<Turn, Error> {
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
        let large = LargeValues::new();
        let (ada, grace) = (UserId::from_bytes([1; 12]), UserId::from_bytes([2; 12]));
        let largest = large.turn(ada, body::MAX_BODY).await.unwrap();
        assert!(large.turn(ada, LARGE + 1).now_or_never().is_none(), "it waits");
        drop(large.turn(grace, body::MAX_BODY).await.unwrap());
        drop(largest);
        drop(large.turn(ada, LARGE + 1).await.unwrap());
    }
}
