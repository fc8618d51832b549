//! One network, and many compiled into sorted ranges.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::{BitAnd, Not, Shl};

use super::canonical_ip;

/// A network, or a single address (the longest prefix), masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Network {
    V4 { base: u32, prefix: u32 },
    V6 { base: u128, prefix: u32 },
}

impl Network {
    /// Reads `address` or `address/prefix`. A network of `::ffff:0:0/96` or below is IPv4.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(parse_prefix(prefix)?)),
            None => (text, None),
        };
        // The standard library reads no leading zeros, no short forms and no zones.
        match address.parse().ok()? {
            IpAddr::V4(address) => Self::v4(address, prefix.unwrap_or(32)),
            IpAddr::V6(address) => match (address.to_ipv4_mapped(), prefix.unwrap_or(128)) {
                (Some(v4), prefix @ 96..=128) => Self::v4(v4, prefix - 96),
                (_, prefix) => Self::v6(address, prefix),
            },
        }
    }

    fn v4(address: Ipv4Addr, prefix: u32) -> Option<Self> {
        (prefix <= 32).then(|| Self::V4 { base: masked(address.to_bits(), 32 - prefix), prefix })
    }

    fn v6(address: Ipv6Addr, prefix: u32) -> Option<Self> {
        (prefix <= 128).then(|| Self::V6 { base: masked(address.to_bits(), 128 - prefix), prefix })
    }
}

/// Decimal digits without sign or leading zero.
fn parse_prefix(text: &str) -> Option<u32> {
    let plain = matches!(text.as_bytes(), [b'0'] | [b'1'..=b'9', ..]) && text.len() <= 3;
    if plain { text.parse().ok() } else { None }
}

/// `bits` without its lowest `host` bits, also when those are all.
fn masked<T>(bits: T, host: u32) -> T
where
    T: Copy + From<u8> + Not<Output = T> + Shl<u32, Output = T> + BitAnd<Output = T>,
{
    let all = !T::from(0);
    let width = 8 * u32::try_from(size_of::<T>()).expect("an integer is a few bytes");
    if host == width { T::from(0) } else { bits & (all << host) }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4 { base, prefix: 32 } => write!(f, "{}", Ipv4Addr::from_bits(base)),
            Self::V4 { base, prefix } => write!(f, "{}/{prefix}", Ipv4Addr::from_bits(base)),
            Self::V6 { base, prefix: 128 } => write!(f, "{}", Ipv6Addr::from_bits(base)),
            Self::V6 { base, prefix } => write!(f, "{}/{prefix}", Ipv6Addr::from_bits(base)),
        }
    }
}

/// Addresses as ranges: sorted, apart from each other (neither overlapping nor adjacent).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ranges {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl Ranges {
    pub(super) fn everything() -> Self {
        Self { v4: [(0, u32::MAX)].into(), v6: [(0, u128::MAX)].into() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether the address, already canonical, is in one of the ranges.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        debug_assert_eq!(address, canonical_ip(address));
        match address {
            IpAddr::V4(address) => find(&self.v4, address.to_bits()).is_some(),
            IpAddr::V6(address) => find(&self.v6, address.to_bits()).is_some(),
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        size_of_val(&*self.v4) + size_of_val(&*self.v6)
    }

    /// Whether these ranges have every address of the network.
    pub(super) fn hold(&self, network: Network) -> bool {
        [network].into_iter().collect::<Self>().within(self)
    }

    /// Whether `other` has every address of these ranges. Because ranges are merged, one of ours must
    /// lie in one of theirs.
    pub(super) fn within(&self, other: &Self) -> bool {
        covered(&self.v4, &other.v4) && covered(&self.v6, &other.v6)
    }
}

impl FromIterator<Network> for Ranges {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                Network::V4 { base, prefix } => v4.push((base, base | !masked(u32::MAX, 32 - prefix))),
                Network::V6 { base, prefix } => v6.push((base, base | !masked(u128::MAX, 128 - prefix))),
            }
        }
        Self { v4: merged(v4, |end| end.checked_add(1)), v6: merged(v6, |end| end.checked_add(1)) }
    }
}

/// The ranges sorted, with those that overlap or touch made one.
fn merged<T: Copy + Ord>(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match merged.last_mut() {
            Some((_, last)) if next(*last).is_none_or(|next| start <= next) => *last = end.max(*last),
            _ => merged.push((start, end)),
        }
    }
    merged.into()
}

/// The range that has this address. Lists are short nearly always: one or two are compared in a row.
fn find<T: Copy + Ord>(ranges: &[(T, T)], address: T) -> Option<(T, T)> {
    if ranges.len() <= 2 {
        return ranges.iter().copied().find(|(start, end)| (*start..=*end).contains(&address));
    }
    let after = ranges.partition_point(|(start, _)| *start <= address);
    let candidate = *ranges.get(after.checked_sub(1)?)?;
    (address <= candidate.1).then_some(candidate)
}

fn covered<T: Copy + Ord>(ours: &[(T, T)], theirs: &[(T, T)]) -> bool {
    ours.iter().all(|(start, end)| find(theirs, *start).is_some_and(|(_, last)| *end <= last))
}
