//! Cold reads: one for all who miss the same credential at the same time.
//!
//! A flight may be joined only while nothing was forgotten since it took off: whoever asks after a
//! revocation was acknowledged must not get what was read before it. Its place at the gate is the
//! flight's own: however many wait for one credential they take one place, and whoever stops waiting
//! does not make room for more while the read goes on.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use hoody_core::grant::{Credential, Grant};
use hoody_core::id::TokenId;
use hoody_core::keys::KeyId;
use hoody_core::secret::Digest;
use hoody_core::time::Timestamp;

use super::cache::{Epoch, Found};
use super::gate::Door;
use super::store;
use super::{COLD_READ_LIMIT, Grants, NoGrant, Wanted};
use crate::db::{Db, DbError};
use crate::tasks;

type Landing = Shared<BoxFuture<'static, Result<Found, NoGrant>>>;
/// A credential and the door its read goes through: who may use the wide one waits for nobody who may not.
type Route = (Digest, Door);
/// What tests put between a read and the cache.
pub(super) type Hook = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// How often a read is made again when what it concerns is forgotten while it is under way.
const READS: usize = 4;
/// How many tokens may wait to be moved to the current key.
const REKEYS: usize = 65_536;
/// How many of them move in one transaction.
const REKEY_BATCH: usize = 100;

/// The reads that are under way.
#[derive(Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<Route, (Epoch, Landing)>>,
    hook: Mutex<Option<Hook>>,
}

impl std::fmt::Debug for Flights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flights")
    }
}

impl Flights {
    /// The read of `wanted`: one that is under way, or a new one. It goes on when its first caller
    /// leaves.
    pub(super) fn join(
        &self,
        grants: &Arc<Grants>,
        digest: Digest,
        wanted: Wanted,
        address: IpAddr,
        db: &Db,
    ) -> Landing {
        let is_known = grants.cache.was_known(&digest);
        let route = (digest, grants.gate.door(address, is_known));
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = grants.cache.epoch();
        if let Some((began, landing)) = under_way.get(&route)
            && *began == epoch
        {
            return landing.clone();
        }
        let (grants, db) = (Arc::clone(grants), db.clone());
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let flight = tasks::once("cold-read", async move {
            // Also when the read panics: the next one must not join it.
            let _landed = Landed { grants: &grants, route, epoch };
            // Here, not where it is waited for: who asks again must not join a read that hangs.
            let flight = async {
                let place = grants.gate.enter(address, route.1, is_known).await?;
                let result = fly(&grants, digest, &wanted, &db, epoch, hook).await;
                place.leave(result.as_ref().is_err_and(|none| none.is_of_nobody()));
                result
            };
            let result = tokio::time::timeout(COLD_READ_LIMIT, flight).await;
            result.unwrap_or(Err(NoGrant::Unavailable))
        });
        let landing = async move { flight.await.unwrap_or(Err(NoGrant::Unavailable)) }.boxed().shared();
        under_way.insert(route, (epoch, landing.clone()));
        landing
    }

    fn land(&self, route: &Route, epoch: Epoch) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.get(route).is_some_and(|(began, _)| *began == epoch) {
            under_way.remove(route);
        }
    }

    pub(super) fn hold(&self, hook: Hook) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(hook);
    }
}

/// A flight, which is over when this is dropped.
struct Landed<'a> {
    grants: &'a Grants,
    route: Route,
    epoch: Epoch,
}

impl Drop for Landed<'_> {
    fn drop(&mut self) {
        self.grants.flights.land(&self.route, self.epoch);
    }
}

async fn fly(
    grants: &Grants,
    digest: Digest,
    wanted: &Wanted,
    db: &Db,
    mut epoch: Epoch,
    hook: Option<Hook>,
) -> Result<Found, NoGrant> {
    for _ in 0..READS {
        let found = read(grants, db, wanted, true).await.map_err(|error| {
            tracing::warn!(%error, "a credential could not be looked up");
            NoGrant::Unavailable
        })?;
        if let Some(hook) = &hook {
            hook().await;
        }
        let found = match found {
            Ok(found) => found,
            Err(none) => {
                grants.cache.insert_unknown(digest, none, epoch);
                return Err(none);
            }
        };
        let found = grants.shared(wanted.found(found, digest));
        if grants.cache.insert(&found, epoch) {
            return Ok(found);
        }
        // Something that it concerns was forgotten meanwhile: what was read may be what was taken away.
        epoch = grants.cache.epoch();
    }
    Err(NoGrant::Unavailable)
}

/// Asks the database for a grant, and when its use was last written; [`NoGrant::Unknown`] or
/// [`NoGrant::Revoked`] where it has no such credential. `may_join` says whether what others read of the operator's
/// catalogue will do.
pub(super) async fn read(
    grants: &Grants,
    db: &Db,
    wanted: &Wanted,
    may_join: bool,
) -> Result<Result<(Grant, Option<Timestamp>), NoGrant>, DbError> {
    match wanted {
        Wanted::Session(claims) => {
            let found = store::find_session(db, claims).await?;
            Ok(found.map(|grant| (grant, None)).ok_or(NoGrant::Unknown))
        }
        Wanted::Token(digests) => {
            // The current key's once more at the end: another reader may have moved the token to it meanwhile.
            let again = digests.first().filter(|_| digests.len() > 1);
            for (index, (_, digest)) in digests.iter().chain(again).enumerate() {
                let own = grants.own.last();
                if let Some(mut found) = store::find_token(db, digest, &own).await? {
                    if found.0.limits.extras.follows_catalogue() {
                        let own = grants.own.read(db, || grants.cache.catalogue_epoch(), may_join).await?;
                        match store::find_token(db, digest, &own).await? {
                            Some(again) => found = again,
                            None => continue,
                        }
                    }
                    if (1..digests.len()).contains(&index)
                        && let Credential::Token(id) = found.0.credential
                    {
                        grants.rekeys.note(id, (*digest, digests[0]));
                    }
                    return Ok(Ok(found));
                }
            }
            // Made here and not there: only what was deleted comes so far.
            for (_, digest) in digests {
                if let Some((account, token)) = store::find_deleted(db, digest).await? {
                    return Ok(Err(NoGrant::Revoked(account, token)));
                }
            }
            Ok(Err(NoGrant::Unknown))
        }
    }
}

/// A token's digest under an older key, and what it becomes: the current key and the digest under it.
pub(super) type Rekey = (Digest, (KeyId, Digest));

/// Tokens in use whose digests are under an older key: they move to the current one, in batches, so that
/// the older can be retired one day. One that is dropped here is found again.
#[derive(Debug, Default)]
pub(super) struct Rekeys(Mutex<BTreeMap<TokenId, Rekey>>);

impl Rekeys {
    fn note(&self, token: TokenId, rekey: Rekey) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < REKEYS {
            noted.insert(token, rekey);
        }
    }

    /// Writes all that is noted, in the order of the tokens' ids as all who write many do: no two wait for each
    /// other.
    pub(super) async fn write(&self, db: &Db) {
        let noted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let noted: Vec<_> = noted.into_iter().collect();
        for batch in noted.chunks(REKEY_BATCH) {
            if let Err(error) = store::update_digests(db, batch.iter().map(|(_, rekey)| rekey)).await {
                tracing::warn!(%error, "tokens could not be moved to the current key; once more soon");
                for (token, rekey) in batch {
                    self.note(*token, *rekey);
                }
            }
        }
    }
}
