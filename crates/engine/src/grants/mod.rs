//! From a credential to its grant.
//!
//! ```text
//! text → checksum → digest → cache ── hit ──────────────────────────────→ grant
//!                              └ miss → made here? → gate → database → cache → grant
//! ```
//!
//! A grant in the cache may let a request read; every mutation reads it again inside its transaction.
//! The cache answers only while this node is *fresh*: while it knows that no change older than
//! [`FRESH_FOR`] is missing from what it applied. After that each request asks the database, or is
//! refused. `cache` holds and forgets (`slots`: when, `ring`: what leaves), `cold` reads, `gate` bounds the reads, `usage` notes who came.

mod cache;
mod caller;
mod cold;
mod gate;
mod label;
mod ring;
pub mod session_row;
mod slots;
pub mod store;
pub mod usage;

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hoody_core::grant::{Credential, Grant};
use hoody_core::id::{GateId, SessionId, TokenId, UserId};
use hoody_core::permissions::own::{Interner, OwnCatalogue};
use hoody_core::secret::{Digest, TokenText};
use hoody_core::session::{self, Kind};
use hoody_core::time::Timestamp;

use cache::Cache;
pub use cache::{Cached, Found};
pub use caller::AnyCaller;
use cold::{Flights, Rekeys};
use gate::Gate;
use usage::{Recorder, Usage};

use crate::clock::Clock;
use crate::db::Db;
use crate::keys::Keys;
use crate::own::OwnPermissions;

/// For how long after the start of a poll its result lets the cache answer, in milliseconds.
pub const FRESH_FOR: i64 = 800;
/// How long a request of a node that is not fresh may wait for the database.
const STALE_READ_LIMIT: Duration = Duration::from_millis(150);
/// How long a cold read may take otherwise.
const COLD_READ_LIMIT: Duration = Duration::from_secs(3);
/// Every grant this node knows, and the way to those that it does not.
#[derive(Debug)]
pub struct Grants {
    cache: Cache,
    flights: Flights,
    gate: Gate,
    rekeys: Rekeys,
    own: OwnPermissions,
    /// Shares what many tokens hold of the operator's permissions.
    own_sets: Mutex<Interner>,
    /// Boot-time milliseconds until which the cache may answer.
    fresh_until: AtomicI64,
}

/// What a change makes every node forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forget {
    /// Everything of an account.
    Account(UserId),
    /// Every grant that has the token in its lineage.
    Token(TokenId),
    /// One session.
    Session(SessionId),
    /// The operator's catalogue, and every grant that follows it.
    Catalogue,
    /// A gate for another service. No grant depends on it.
    Gate(GateId),
}

/// When something was read that depends on what can be forgotten: to be noted before the read begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadAt(cache::Epoch);

/// Why there is no grant for a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoGrant {
    /// Nobody knows it, or it has not the form of a credential.
    Unknown,
    /// A token of this account that was deleted.
    Revoked(UserId, TokenId),
    /// A session token whose time is over.
    Expired,
    /// Too many unknown credentials are being looked up.
    Busy,
    /// The database does not answer.
    Unavailable,
}

impl NoGrant {
    /// Whether a read has shown that nobody has a grant by it.
    fn is_of_nobody(self) -> bool {
        matches!(self, Self::Unknown | Self::Revoked(..))
    }
}

/// A credential that is to be looked up: how the database can be asked for it.
#[derive(Debug, Clone)]
enum Wanted {
    Token(Vec<(hoody_core::keys::KeyId, Digest)>),
    Session(Arc<session::Claims>),
}

impl Wanted {
    fn found(&self, (grant, last_used): (Grant, Option<Timestamp>), digest: Digest) -> Found {
        let claims = match self {
            Self::Token(_) => None,
            Self::Session(claims) => Some(Arc::clone(claims)),
        };
        Found { grant, claims, digest, last_used }
    }
}

impl Grants {
    /// With a cache of at most so many bytes.
    pub fn new(capacity: usize) -> Self {
        Self {
            cache: Cache::new(capacity),
            flights: Flights::default(),
            gate: Gate::default(),
            rekeys: Rekeys::default(),
            own: OwnPermissions::default(),
            own_sets: Mutex::default(),
            fresh_until: AtomicI64::new(i64::MIN),
        }
    }

    /// The grant of the credential `text`, from the cache while this node is fresh, else from `db`.
    pub async fn find(
        self: &Arc<Self>,
        text: &str,
        address: IpAddr,
        db: &Db,
        keys: &Keys,
        clock: &Clock,
    ) -> Result<Found, NoGrant> {
        let token = TokenText::parse(text);
        if token.is_err() && (text.starts_with(hoody_core::secret::PREFIX) || !session::looks_like_jwt(text))
        {
            return Err(NoGrant::Unknown);
        }
        let digest = keys.cache_digest(text);
        let is_fresh = self.is_fresh(clock.boot_millis());
        if is_fresh {
            if let Some(hit) = self.cache.get(&digest) {
                return Ok(hit);
            }
            if let Some(none) = self.cache.find_unknown(&digest) {
                return Err(none);
            }
        }
        let wanted = match token {
            Ok(token) => {
                let digests = keys.stored_digests(token);
                if digests.is_empty() {
                    return Err(NoGrant::Unknown);
                }
                Wanted::Token(digests)
            }
            Err(_) => Wanted::Session(Arc::new(read_session(text, keys, clock)?)),
        };
        metrics::counter!("hoody_grants_cold_reads_total").increment(1);
        if is_fresh {
            let result = self.flights.join(self, digest, wanted.clone(), address, db).await;
            // Judged when it is decided: the read may have taken longer than this node stayed fresh.
            if result.is_err() || self.is_fresh(clock.boot_millis()) {
                return result;
            }
        }
        self.find_stale(digest, &wanted, address, db).await
    }

    /// Waiting for a place counts: a node that is not fresh answers or refuses soon.
    async fn find_stale(
        &self,
        digest: Digest,
        wanted: &Wanted,
        address: IpAddr,
        db: &Db,
    ) -> Result<Found, NoGrant> {
        let is_known = self.cache.was_known(&digest);
        let entering = self.gate.enter(address, self.gate.door(address, is_known), is_known);
        let place = tokio::time::timeout(STALE_READ_LIMIT, entering).await;
        let place = place.map_err(|_| NoGrant::Unavailable)??;
        let result = self.read_stale(db, wanted, digest).await;
        place.leave(result.as_ref().is_err_and(|none| none.is_of_nobody()));
        result
    }

    /// The grant with what it shares with others in one room.
    fn shared(&self, mut found: Found) -> Found {
        let extras = std::mem::take(&mut found.grant.limits.extras);
        let mut sets = self.own_sets.lock().unwrap_or_else(PoisonError::into_inner);
        found.grant.limits.extras = extras.interned(&mut sets);
        found
    }

    /// Reads for one request alone: what is read now may be out of date before the next poll.
    async fn read_stale(&self, db: &Db, wanted: &Wanted, digest: Digest) -> Result<Found, NoGrant> {
        let found = tokio::time::timeout(STALE_READ_LIMIT, cold::read(self, db, wanted, false)).await;
        let found = found.map_err(|_| NoGrant::Unavailable)?.map_err(|_| NoGrant::Unavailable)?;
        found.map(|found| wanted.found(found, digest))
    }

    /// What `judge` makes of the grant of the credential `text` if it is in the cache and the cache may
    /// answer at `boot_millis`; else `None`. Waits for nothing and allocates nothing.
    pub fn judge_cached<T>(
        &self,
        text: &str,
        keys: &Keys,
        boot_millis: i64,
        judge: impl FnOnce(&Cached) -> T,
    ) -> Option<T> {
        self.cache.with(&self.key_of(text, keys, boot_millis)?, judge)
    }

    /// Under what the credential `text` would be in the cache, if the cache may answer.
    fn key_of(&self, text: &str, keys: &Keys, boot_millis: i64) -> Option<Digest> {
        if !self.is_fresh(boot_millis) {
            return None;
        }
        // A token's digest is only worth making when its checksum fits; a session's signature was checked
        // when its grant came into the cache.
        if text.starts_with(hoody_core::secret::PREFIX) && TokenText::parse(text).is_err() {
            return None;
        }
        Some(keys.cache_digest(text))
    }

    /// The operator's catalogue: what this node knows while it is fresh, else what `db` has.
    ///
    /// # Errors
    /// [`NoGrant::Unavailable`] when the database does not answer in time.
    pub async fn own_catalogue(&self, db: &Db, clock: &Clock) -> Result<Arc<OwnCatalogue>, NoGrant> {
        loop {
            let is_fresh = self.is_fresh(clock.boot_millis());
            if is_fresh && let Some(known) = self.own.at(self.cache.catalogue_epoch()) {
                return Ok(known);
            }
            let limit = if is_fresh { COLD_READ_LIMIT } else { STALE_READ_LIMIT };
            let read = self.own.read(db, || self.cache.catalogue_epoch(), is_fresh);
            let read = tokio::time::timeout(limit, read).await.map_err(|_| NoGrant::Unavailable)?;
            let read = read.map_err(|error| {
                tracing::warn!(%error, "the operator's permissions could not be read");
                NoGrant::Unavailable
            })?;
            // The read may have taken longer than this node stayed fresh.
            if !is_fresh || self.is_fresh(clock.boot_millis()) {
                return Ok(read);
            }
        }
    }

    /// What `ask` says of the operator's catalogue if this node knows it and may answer at `boot_millis`. Waits for
    /// nothing and allocates nothing.
    pub fn ask_own<T>(&self, boot_millis: i64, ask: impl FnOnce(&OwnCatalogue) -> T) -> Option<T> {
        if !self.is_fresh(boot_millis) {
            return None;
        }
        self.own.with(self.cache.catalogue_epoch(), ask)
    }

    /// The operator's catalogue as it was read last, be it out of date: to write numbers as paths in a log, and
    /// inside a transaction that waits for nothing else.
    pub fn own_last(&self) -> Arc<OwnCatalogue> {
        self.own.last()
    }

    /// Notes that a token was used, in the cache where it is there.
    pub fn note_use(&self, recorder: &Recorder, found: &Found, at: Timestamp, address: IpAddr) {
        let Credential::Token(token) = found.grant.credential else { return };
        let noted = self.cache.with(&found.digest, |cached| recorder.note(&cached.usage, token, at, address));
        if noted.is_none() {
            recorder.note(&Usage::last(found.last_used), token, at, address);
        }
    }

    /// Forgets; when it returns, no request on this node will be answered from what was known before.
    pub fn forget(&self, what: &[Forget]) {
        self.cache.forget(what);
    }

    /// To be noted before something is read that somebody else keeps in memory.
    pub fn read_at(&self) -> ReadAt {
        ReadAt(self.cache.epoch())
    }

    /// Whether nothing of this was forgotten since. It may be answered from only while this node is fresh
    /// ([`Grants::is_fresh`]).
    pub fn holds_since(&self, ReadAt(epoch): ReadAt, what: &[Forget]) -> bool {
        self.cache.holds_since(epoch, what)
    }

    /// When the operator's catalogue was last forgotten, for whoever keeps what was made of one.
    pub fn catalogue_epoch(&self) -> u64 {
        self.cache.catalogue_epoch()
    }

    /// Forgets everything: the database is not the one that was read.
    pub fn forget_all(&self) {
        self.cache.forget_all();
    }

    /// How many grants came that no poll has confirmed: to be noted before one is sent.
    pub fn unconfirmed(&self) -> usize {
        self.cache.unconfirmed()
    }

    /// A poll ended well before which `unconfirmed` was noted.
    pub fn confirm(&self, unconfirmed: usize) {
        self.cache.confirm(unconfirmed);
    }

    /// The database may have lost what was read since the last poll.
    pub fn forget_unconfirmed(&self) {
        self.cache.forget_unconfirmed();
    }

    /// Reads every credential again when it is next used. Those that were good wait for nobody then.
    pub fn read_all_again(&self) {
        self.cache.read_all_again();
    }

    /// Moves tokens that were used, and are known by digests under an older master key, to the current one.
    pub async fn write_rekeys(&self, db: &Db) {
        self.rekeys.write(db).await;
    }

    /// Whether the cache may answer at this boot-time instant.
    pub fn is_fresh(&self, boot_millis: i64) -> bool {
        boot_millis < self.fresh_until.load(Ordering::SeqCst)
    }

    /// Everything up to the head that a poll sent at `polled_at` found is applied.
    pub fn refresh(&self, polled_at: i64) {
        self.fresh_until.fetch_max(polled_at + FRESH_FOR, Ordering::SeqCst);
    }

    /// How many grants are in the cache.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Where tests hold a read between the database and the cache.
    pub fn hold_cold_reads(&self, hook: cold::Hook) {
        self.flights.hold(hook);
    }
}

fn read_session(text: &str, keys: &Keys, clock: &Clock) -> Result<session::Claims, NoGrant> {
    let claims = session::verify(text, &keys.sessions()).map_err(|_| NoGrant::Unknown)?;
    if claims.kind != Kind::Access {
        return Err(NoGrant::Unknown);
    }
    if claims.exp <= clock.now().seconds() {
        return Err(NoGrant::Expired);
    }
    Ok(claims)
}
