//! How many cold reads may run, and who waits.
//!
//! Credentials that nobody knows must not take the database from those that are good. An address that
//! brought an unknown credential in the last seconds goes through a narrow door: 8 reads at a time, 64
//! waiting, a share of them for each address; beyond that it is told to come back. Everybody else, and
//! every credential that was good before, goes through a wide one. Of its places, too, an address has a share
//! for credentials that were never seen.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hoody_core::address::neighbourhood;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::NoGrant;
use crate::shares::{Share as Kept, Shares};

const WIDE: usize = 64;
const WIDE_WAITING: usize = 8_192;
const NARROW: usize = 8;
const NARROW_WAITING: usize = 64;
/// How many of the wide door's places one address may take with credentials that were never seen.
const WIDE_SHARE: usize = 1_024;
/// How many of the narrow door's places one address may take.
const SHARE: usize = 24;
/// How many addresses are remembered.
const SUSPECTS: usize = 4_096;
/// After how many good reads in a row an address is trusted again.
const PARDON: u64 = 64;

/// Which way a read goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Door {
    Wide,
    Narrow,
}

#[derive(Debug)]
pub(super) struct Gate {
    wide: Arc<Way>,
    narrow: Arc<Way>,
    /// Who goes through the wide door with what was never seen.
    unseen: Shares<IpAddr>,
    suspects: Arc<Mutex<HashMap<IpAddr, Suspect>>>,
    entered: AtomicU64,
}

#[derive(Debug)]
struct Way {
    permits: Arc<Semaphore>,
    /// Those inside and those waiting.
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Suspect {
    good_in_a_row: u64,
    here: usize,
    last: u64,
}

/// A place at a door; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
    _unseen: Option<Kept<IpAddr>>,
    address: IpAddr,
    is_narrow: bool,
    suspects: Arc<Mutex<HashMap<IpAddr, Suspect>>>,
    turn: u64,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            wide: Arc::new(Way::new(WIDE, WIDE_WAITING)),
            narrow: Arc::new(Way::new(NARROW, NARROW_WAITING)),
            unseen: Shares::new(WIDE + WIDE_WAITING, WIDE_SHARE),
            suspects: Arc::default(),
            entered: AtomicU64::new(0),
        }
    }
}

impl Way {
    fn new(inside: usize, waiting: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(inside)), places: Arc::new(Semaphore::new(inside + waiting)) }
    }
}

impl Gate {
    /// The door for a credential from `address`. `is_known`: it was good before.
    pub(super) fn door(&self, address: IpAddr, is_known: bool) -> Door {
        let is_suspect = !is_known && lock(&self.suspects).contains_key(&neighbourhood(address));
        if is_suspect { Door::Narrow } else { Door::Wide }
    }

    /// Waits for a place. An address that was forgiven meanwhile may pass the narrow door all the same.
    /// `is_known`: the credential was good before.
    pub(super) async fn enter(&self, address: IpAddr, door: Door, is_known: bool) -> Result<Place, NoGrant> {
        let address = neighbourhood(address);
        let turn = self.entered.fetch_add(1, Ordering::Relaxed);
        let is_narrow = door == Door::Narrow;
        let share = if is_narrow { Some(Share::take(&self.suspects, address)?) } else { None };
        let unseen = if is_narrow || is_known {
            None
        } else {
            Some(self.unseen.take(address).map_err(|_| NoGrant::Busy)?)
        };
        let way = if is_narrow { &self.narrow } else { &self.wide };
        let place = Arc::clone(&way.places).try_acquire_owned().map_err(|_| NoGrant::Busy)?;
        let permit = Arc::clone(&way.permits).acquire_owned().await.map_err(|_| NoGrant::Unavailable)?;
        if let Some(share) = share {
            share.keep();
        }
        let suspects = Arc::clone(&self.suspects);
        Ok(Place { _permit: permit, _place: place, _unseen: unseen, address, is_narrow, suspects, turn })
    }
}

/// A suspect's share, given back when the wait is abandoned.
struct Share<'a> {
    suspects: &'a Arc<Mutex<HashMap<IpAddr, Suspect>>>,
    address: IpAddr,
    is_kept: bool,
}

impl<'a> Share<'a> {
    fn take(suspects: &'a Arc<Mutex<HashMap<IpAddr, Suspect>>>, address: IpAddr) -> Result<Self, NoGrant> {
        if let Some(suspect) = lock(suspects).get_mut(&address) {
            if suspect.here >= SHARE {
                return Err(NoGrant::Busy);
            }
            suspect.here += 1;
        }
        Ok(Self { suspects, address, is_kept: false })
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            give_back(self.suspects, self.address);
        }
    }
}

fn give_back(suspects: &Mutex<HashMap<IpAddr, Suspect>>, address: IpAddr) {
    if let Some(suspect) = lock(suspects).get_mut(&address) {
        suspect.here = suspect.here.saturating_sub(1);
    }
}

impl Place {
    /// The read is over; whether it showed a credential that nobody knows.
    pub(super) fn leave(self, is_unknown: bool) {
        let mut suspects = lock(&self.suspects);
        if is_unknown {
            if suspects.len() >= SUSPECTS && !suspects.contains_key(&self.address) {
                forget_the_oldest(&mut suspects);
            }
            let suspect = suspects.entry(self.address).or_default();
            suspect.good_in_a_row = 0;
            suspect.last = self.turn;
        } else if let Some(suspect) = suspects.get_mut(&self.address) {
            suspect.good_in_a_row += 1;
            if suspect.good_in_a_row >= PARDON && suspect.here <= 1 {
                suspects.remove(&self.address);
            }
        }
    }
}

fn forget_the_oldest(suspects: &mut HashMap<IpAddr, Suspect>) {
    let oldest =
        suspects.iter().filter(|(_, suspect)| suspect.here == 0).min_by_key(|(_, suspect)| suspect.last);
    if let Some(address) = oldest.map(|(address, _)| *address) {
        suspects.remove(&address);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_narrow {
            give_back(&self.suspects, self.address);
        }
    }
}

fn lock(suspects: &Mutex<HashMap<IpAddr, Suspect>>) -> MutexGuard<'_, HashMap<IpAddr, Suspect>> {
    suspects.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    async fn enter(gate: &Gate, address: IpAddr, is_known: bool) -> Result<Place, NoGrant> {
        gate.enter(address, gate.door(address, is_known), is_known).await
    }

    async fn suspect(gate: &Gate, address: IpAddr) {
        enter(gate, address, false).await.unwrap().leave(true);
    }

    #[tokio::test]
    async fn threat_33_a_flood_of_unknown_credentials_takes_only_its_share() {
        let gate = Gate::default();
        suspect(&gate, address(1)).await;
        let mut places = Vec::new();
        for _ in 0..NARROW {
            places.push(enter(&gate, address(1), false).await.unwrap());
        }
        let mut waiting = Vec::new();
        for _ in NARROW..SHARE {
            let mut wait = Box::pin(enter(&gate, address(1), false));
            assert!(futures_util::poll!(wait.as_mut()).is_pending());
            waiting.push(wait);
        }
        assert_eq!(enter(&gate, address(1), false).await.unwrap_err(), NoGrant::Busy);
        // A good address, and a good credential behind the bad address, wait for nobody.
        enter(&gate, address(2), false).await.unwrap().leave(false);
        enter(&gate, address(1), true).await.unwrap().leave(false);
        // Those who give up waiting make room.
        drop(waiting);
        let mut wait = Box::pin(enter(&gate, address(1), false));
        assert!(futures_util::poll!(wait.as_mut()).is_pending());
        drop(places);
        assert!(wait.await.is_ok());
    }

    #[tokio::test]
    async fn threat_33_an_address_fills_no_door_with_what_was_never_seen() {
        let gate = Gate::default();
        let (mut inside, mut waiting) = (Vec::new(), Vec::new());
        let refused = loop {
            let mut wait = Box::pin(enter(&gate, address(1), false));
            match futures_util::poll!(wait.as_mut()) {
                std::task::Poll::Ready(Err(refused)) => break refused,
                std::task::Poll::Ready(Ok(place)) => inside.push(place),
                std::task::Poll::Pending => waiting.push(wait),
            }
        };
        assert_eq!((refused, inside.len() + waiting.len()), (NoGrant::Busy, WIDE_SHARE));
        let mut other = Box::pin(enter(&gate, address(2), false));
        assert!(futures_util::poll!(other.as_mut()).is_pending());
        let mut known = Box::pin(enter(&gate, address(1), true));
        assert!(futures_util::poll!(known.as_mut()).is_pending());
    }

    #[tokio::test]
    async fn an_address_that_behaves_is_trusted_again() {
        let gate = Gate::default();
        suspect(&gate, address(1)).await;
        for _ in 0..PARDON {
            enter(&gate, address(1), false).await.unwrap().leave(false);
        }
        assert!(lock(&gate.suspects).is_empty());
    }

    #[tokio::test]
    async fn the_memory_of_suspects_is_bounded() {
        let gate = Gate::default();
        for n in 0..u32::try_from(SUSPECTS).unwrap() + 10 {
            suspect(&gate, IpAddr::from(n.to_be_bytes())).await;
        }
        assert_eq!(lock(&gate.suspects).len(), SUSPECTS);
    }
}
