//! The places that connections take: so many in all, and of these a share for each address, so that one
//! client cannot keep all others out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The part of all places that one address may have: an eighth.
const SHARE: usize = 8;
/// What one address may have however few places there are.
const LEAST_SHARE: usize = 16;

/// How many places each address has.
type Taken = Mutex<HashMap<IpAddr, usize>>;

/// All places.
#[derive(Debug, Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    share: usize,
    taken: Arc<Taken>,
}

/// A place that a connection may have; given back when dropped.
#[derive(Debug)]
pub(super) struct Free(OwnedSemaphorePermit);

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    /// Where it counts; `None` for addresses without a limit.
    counted: Option<(IpAddr, Arc<Taken>)>,
}

impl Places {
    pub(super) fn new(places: usize) -> Self {
        let share = (places / SHARE).max(LEAST_SHARE);
        Self { free: Arc::new(Semaphore::new(places)), share, taken: Arc::default() }
    }

    /// Waits for a free place.
    pub(super) async fn free(&self) -> Option<Free> {
        Arc::clone(&self.free).acquire_owned().await.ok().map(Free)
    }

    /// Gives `free` to a connection of `address`; `None` when that address has its share. An exempt one
    /// (a trusted proxy, which speaks for many) has no limit.
    pub(super) fn take(&self, free: Free, address: IpAddr, is_exempt: bool) -> Option<Place> {
        if is_exempt {
            return Some(Place { _permit: free.0, counted: None });
        }
        let network = network(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(network).or_default();
        if *count >= self.share {
            return None;
        }
        *count += 1;
        Some(Place { _permit: free.0, counted: Some((network, Arc::clone(&self.taken))) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((network, taken)) = &self.counted else { return };
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(network) {
            *count -= 1;
            if *count == 0 {
                taken.remove(network);
            }
        }
    }
}

/// Who counts as one: an IPv4 address, or an IPv6 network of 64 bits, which one client has to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn free(places: &Places) -> Free {
        places.free().now_or_never().unwrap().unwrap()
    }

    fn take(places: &Places, address: &str) -> Option<Place> {
        places.take(free(places), address.parse().unwrap(), false)
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_again() {
        let places = Places::new(256);
        let mut held: Vec<_> = (0..32).map(|_| take(&places, "192.0.2.1").unwrap()).collect();
        assert!(take(&places, "192.0.2.1").is_none());
        assert!(take(&places, "::ffff:192.0.2.1").is_none());
        assert!(take(&places, "192.0.2.2").is_some());
        assert!(places.take(free(&places), "192.0.2.1".parse().unwrap(), true).is_some());
        held.pop();
        held.push(take(&places, "192.0.2.1").unwrap());
        assert!(take(&places, "192.0.2.1").is_none());
        drop(held);
        assert!(places.taken.lock().unwrap().is_empty());
        assert_eq!(places.free.available_permits(), 256);
    }

    #[test]
    fn a_network_of_64_bits_is_one_client() {
        let places = Places::new(128);
        let held: Vec<_> = (0..16).map(|n| take(&places, &format!("2001:db8::{n:x}")).unwrap()).collect();
        assert!(take(&places, "2001:db8::ffff:1").is_none());
        assert!(take(&places, "2001:db8:0:1::1").is_some());
        drop(held);
    }

    #[test]
    fn when_all_are_taken_the_next_waits() {
        let places = Places::new(16);
        let held: Vec<_> = (0..16).map(|_| take(&places, "192.0.2.1").unwrap()).collect();
        assert!(places.free().now_or_never().is_none());
        drop(held);
        assert!(places.free().now_or_never().is_some());
    }
}
