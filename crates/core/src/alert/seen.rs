//! The addresses that a token or an account was seen from: few bytes each, so that a million of them stay
//! small.
//!
//! ```text
//! stored   (tag 4 | day 2) × at most 12, in no order
//! tag      SHA-256(id | address)[..4]: of IPv6 the /64; a new address is taken for a known one once in
//!          358 million
//! day      since 1970, when it was last seen: the one that was not seen for longest makes room
//! ```

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use crate::address::neighbourhood;
use crate::time::{DAY, Timestamp};

/// How many addresses are remembered.
pub const MAX_SEEN: usize = 12;
const ENTRY: usize = 6;

/// What is kept of an address.
type Tag = [u8; 4];

/// The addresses that somebody was seen from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen(Vec<(Tag, u16)>);

/// What seeing an address tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It was seen, today too: nothing to be stored.
    Known,
    /// It was seen, on an earlier day: to be stored.
    Again,
    /// It was not seen, and so many others were.
    New {
        /// How many addresses were known before.
        known: i64,
    },
}

/// What is kept of `address` for the token or account with this id: nobody can read addresses from it
/// without trying them.
#[must_use]
pub fn address_tag(id: &[u8; 12], address: IpAddr) -> Tag {
    let mut hash = Sha256::new();
    hash.update(id);
    match neighbourhood(address) {
        IpAddr::V4(v4) => hash.update(v4.octets()),
        IpAddr::V6(v6) => hash.update(v6.octets()),
    }
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    [a, b, c, d]
}

impl Seen {
    /// Reads what was stored; `None` for something else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (entries, []) = bytes.as_chunks::<ENTRY>() else { return None };
        let entry =
            |[a, b, c, d, high, low]: &[u8; ENTRY]| ([*a, *b, *c, *d], u16::from_be_bytes([*high, *low]));
        (entries.len() <= MAX_SEEN).then(|| Self(entries.iter().map(entry).collect()))
    }

    /// As it is stored.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(tag, day)| tag.iter().copied().chain(day.to_be_bytes())).collect()
    }

    /// Notes that it was seen from there at `at`.
    pub fn see(&mut self, tag: Tag, at: Timestamp) -> Sight {
        let day = u16::try_from(at.millis().div_euclid(DAY).max(0)).unwrap_or(u16::MAX);
        if let Some((_, last)) = self.0.iter_mut().find(|(known, _)| *known == tag) {
            if *last >= day {
                return Sight::Known;
            }
            *last = day;
            return Sight::Again;
        }
        let known = i64::try_from(self.0.len()).unwrap_or(i64::MAX);
        if self.0.len() >= MAX_SEEN
            && let Some(oldest) = (0..self.0.len()).min_by_key(|index| self.0[*index].1)
        {
            self.0.swap_remove(oldest);
        }
        self.0.push((tag, day));
        Sight::New { known }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn on(day: i64) -> Timestamp {
        Timestamp::from_millis(day * DAY + 5)
    }

    fn tag(address: &str) -> Tag {
        address_tag(&[7; 12], address.parse().unwrap())
    }

    #[test]
    fn an_address_is_new_once_and_stored_once_a_day() {
        let mut seen = Seen::default();
        assert_eq!(seen.see(tag("203.0.113.7"), on(1)), Sight::New { known: 0 });
        assert_eq!(seen.see(tag("203.0.113.7"), on(1)), Sight::Known);
        assert_eq!(seen.see(tag("::ffff:203.0.113.7"), on(1)), Sight::Known);
        assert_eq!(seen.see(tag("203.0.113.7"), on(2)), Sight::Again);
        assert_eq!(seen.see(tag("203.0.113.7"), on(1)), Sight::Known, "a clock that stepped back");
        assert_eq!(seen.see(tag("203.0.113.8"), on(2)), Sight::New { known: 1 });
        assert_eq!(seen.see(tag("2001:db8::1"), on(2)), Sight::New { known: 2 });
        assert_eq!(seen.see(tag("2001:db8::2"), on(2)), Sight::Known, "the same /64");
        assert_eq!(seen.see(tag("2001:db8:0:1::2"), on(2)), Sight::New { known: 3 });
        assert_ne!(tag("203.0.113.7"), address_tag(&[8; 12], "203.0.113.7".parse().unwrap()));
    }

    #[test]
    fn the_address_that_was_not_seen_for_longest_makes_room() {
        let mut seen = Seen::default();
        for n in 0..MAX_SEEN {
            seen.see(tag(&format!("10.0.0.{n}")), on(i64::try_from(n).unwrap()));
        }
        assert_eq!(seen.see(tag("10.0.0.0"), on(90)), Sight::Again);
        assert_eq!(seen.see(tag("10.0.1.0"), on(91)), Sight::New { known: 12 });
        assert_eq!(seen.see(tag("10.0.0.0"), on(91)), Sight::Again, "the one in use stays");
        assert_eq!(seen.see(tag("10.0.0.1"), on(92)), Sight::New { known: 12 });
        assert_eq!(seen.pack().len(), 72);
    }

    proptest! {
        #[test]
        fn what_is_stored_comes_back(sights in proptest::collection::vec((0_u8..40, 0_i64..60_000), 0..100)) {
            let mut seen = Seen::default();
            for (address, day) in sights {
                seen.see(tag(&format!("10.0.0.{address}")), on(day));
                prop_assert!(seen.pack().len() <= MAX_SEEN * ENTRY);
                prop_assert_eq!(seen.see(tag(&format!("10.0.0.{address}")), on(day)), Sight::Known);
            }
            prop_assert_eq!(Seen::read(&seen.pack()), Some(seen));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Some(seen) = Seen::read(&bytes) {
                prop_assert_eq!(seen.pack(), bytes);
            }
        }
    }
}
