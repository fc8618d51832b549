//! How often clients of one neighbourhood may shake hands (TLS): each handshake costs a signature and a
//! key exchange before anything is known of the client. Those that come faster wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hoody_core::address::neighbourhood;
use tokio::time::Instant;

/// The pace, once the burst is used up: 200 a second, about a fifth of a core.
const EVERY: Duration = Duration::from_millis(5);
const BURST: Duration = Duration::from_secs(2);
/// How many neighbourhoods are remembered, twice over. One that is forgotten begins anew.
const REMEMBERED: usize = 4_096;

/// When the next handshake of each neighbourhood is due: two generations, of which the older is forgotten
/// when the younger is full.
#[derive(Debug, Default)]
pub(super) struct Handshakes(Mutex<[HashMap<IpAddr, Instant>; 2]>);

impl Handshakes {
    /// How long a handshake of `address` has to wait; `None` when that would be longer than `patience`.
    pub(super) fn delay(&self, address: IpAddr, now: Instant, patience: Duration) -> Option<Duration> {
        let address = neighbourhood(address);
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [young, old] = &mut *generations;
        let due = young.get(&address).or_else(|| old.get(&address)).copied().unwrap_or(now).max(now);
        let delay = due.duration_since(now).saturating_sub(BURST);
        if delay > patience {
            return None;
        }
        if young.len() >= REMEMBERED && !young.contains_key(&address) {
            *old = std::mem::take(young);
        }
        young.insert(address, due + EVERY);
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_what_comes_faster_waits() {
        let handshakes = Handshakes::default();
        let now = Instant::now();
        let patience = Duration::from_secs(10);
        let delay = |address: &str, now| handshakes.delay(address.parse().unwrap(), now, patience);
        for n in 0..=400 {
            assert_eq!(delay(&format!("2001:db8::{n:x}"), now), Some(Duration::ZERO));
        }
        assert_eq!(delay("2001:db8::1", now), Some(EVERY));
        assert_eq!(delay("2001:db8:0:1::1", now), Some(Duration::ZERO), "another /64");
        while delay("2001:db8::1", now).is_some() {}
        // Those that were refused do not count.
        assert_eq!(delay("2001:db8::1", now + EVERY), Some(patience));
        assert_eq!(delay("2001:db8::1", now + 3 * patience), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let handshakes = Handshakes::default();
        let now = Instant::now();
        for n in 0..20_000_u32 {
            handshakes.delay(std::net::Ipv4Addr::from_bits(n).into(), now, Duration::ZERO);
        }
        assert!(handshakes.0.lock().unwrap().iter().all(|generation| generation.len() <= REMEMBERED));
    }
}
