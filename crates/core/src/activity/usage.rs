//! What is counted of a token's use: by status, by permission, by address, and when first and last; and
//! hour by hour how much there was.

use std::collections::BTreeMap;

use super::Record;
use super::block::Unreadable;
use super::bytes::{Reader, put, put_signed, put_text};
use crate::time::Timestamp;

/// How many addresses are told apart in what is stored; the rest is one number.
pub const ADDRESSES_KEPT: usize = 32;

/// The uses of one token in some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// The first and the last instant.
    pub seen: Option<(Timestamp, Timestamp)>,
    /// By HTTP status.
    pub statuses: BTreeMap<u16, u64>,
    /// By the permission that was needed; requests that needed none are not here.
    pub permissions: BTreeMap<String, u64>,
    /// By address.
    pub addresses: BTreeMap<String, u64>,
    /// From addresses that are not told apart.
    pub other_addresses: u64,
}

impl Usage {
    /// Counts one request.
    pub fn add(&mut self, record: &Record<'_>) {
        self.see(record.at, record.at);
        *self.statuses.entry(record.series.status).or_default() += 1;
        count(&mut self.addresses, record.address, 1);
        if let Some(permission) = record.permission {
            count(&mut self.permissions, permission, 1);
        }
    }

    /// Counts what another has counted.
    pub fn merge(&mut self, other: &Self) {
        if let Some((first, last)) = other.seen {
            self.see(first, last);
        }
        for (status, uses) in &other.statuses {
            *self.statuses.entry(*status).or_default() += uses;
        }
        other
            .permissions
            .iter()
            .for_each(|(permission, uses)| count(&mut self.permissions, permission, *uses));
        other.addresses.iter().for_each(|(address, uses)| count(&mut self.addresses, address, *uses));
        self.other_addresses += other.other_addresses;
    }

    fn see(&mut self, first: Timestamp, last: Timestamp) {
        self.seen = Some(match self.seen {
            Some((earliest, latest)) => (earliest.min(first), latest.max(last)),
            None => (first, last),
        });
    }

    /// All uses.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Uses that were answered with 400 or more.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.statuses.range(400..).map(|(_, uses)| uses).sum()
    }

    /// Keeps the `kept` addresses with the most uses apart.
    pub fn keep_addresses(&mut self, kept: usize) {
        if self.addresses.len() <= kept {
            return;
        }
        let mut ranked: Vec<_> = std::mem::take(&mut self.addresses).into_iter().collect();
        ranked.sort_by(|(a, most), (b, least)| least.cmp(most).then_with(|| a.cmp(b)));
        self.other_addresses += ranked.drain(kept..).map(|(_, uses)| uses).sum::<u64>();
        self.addresses = ranked.into_iter().collect();
    }

    /// As it is stored, with the [`ADDRESSES_KEPT`] most used addresses.
    #[must_use]
    pub fn pack(mut self) -> Vec<u8> {
        self.keep_addresses(ADDRESSES_KEPT);
        let mut bytes = Vec::new();
        let (first, last) = self.seen.unwrap_or((Timestamp::MIN, Timestamp::MIN));
        put_signed(&mut bytes, first.millis());
        put_signed(&mut bytes, last.millis());
        put(&mut bytes, self.statuses.len() as u64);
        for (status, uses) in &self.statuses {
            put(&mut bytes, u64::from(*status));
            put(&mut bytes, *uses);
        }
        for named in [&self.permissions, &self.addresses] {
            put(&mut bytes, named.len() as u64);
            for (name, uses) in named {
                put_text(&mut bytes, name);
                put(&mut bytes, *uses);
            }
        }
        put(&mut bytes, self.other_addresses);
        bytes
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        Self::parse(&mut Reader(bytes)).ok_or(Unreadable)
    }

    fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let first = Timestamp::checked_from_millis(reader.signed()?)?;
        let last = Timestamp::checked_from_millis(reader.signed()?)?;
        let statuses = reader.count()?;
        let statuses = (0..statuses).map(|_| Some((u16::try_from(reader.number()?).ok()?, reader.number()?)));
        let statuses = statuses.collect::<Option<_>>()?;
        let named = |reader: &mut Reader<'_>| {
            let count = reader.count()?;
            (0..count).map(|_| Some((reader.text()?.to_owned(), reader.number()?))).collect::<Option<_>>()
        };
        Some(Self {
            seen: Some((first, last)),
            statuses,
            permissions: named(reader)?,
            addresses: named(reader)?,
            other_addresses: reader.number()?,
        })
    }
}

/// The uses of one token in an hour or in several of one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// All of them together.
    pub whole: Usage,
    /// Of each hour: how many, and how many of them were answered with 400 or more.
    pub hours: BTreeMap<i64, (u64, u64)>,
}

impl Uses {
    /// Those of one hour.
    #[must_use]
    pub fn of_hour(hour: i64, whole: Usage) -> Self {
        let hours = BTreeMap::from([(hour, (whole.total(), whole.errors()))]);
        Self { whole, hours }
    }

    /// Counts what another has counted.
    pub fn merge(&mut self, other: &Self) {
        self.whole.merge(&other.whole);
        for (hour, (total, errors)) in &other.hours {
            let of_hour = self.hours.entry(*hour).or_default();
            of_hour.0 += total;
            of_hour.1 += errors;
        }
    }

    /// As it is stored for the time that begins with the hour `first`: what [`Usage::pack`] gives, then the
    /// hours.
    #[must_use]
    pub fn pack(self, first: i64) -> Vec<u8> {
        let mut bytes = self.whole.pack();
        put(&mut bytes, self.hours.len() as u64);
        for (hour, (total, errors)) in &self.hours {
            put_signed(&mut bytes, hour - first);
            put(&mut bytes, *total);
            put(&mut bytes, *errors);
        }
        bytes
    }

    /// Reads what was stored for the time that begins with the hour `first`. Without hours it is that one.
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn read(bytes: &[u8], first: i64) -> Result<Self, Unreadable> {
        Self::parse(&mut Reader(bytes), first).ok_or(Unreadable)
    }

    fn parse(reader: &mut Reader<'_>, first: i64) -> Option<Self> {
        let whole = Usage::parse(reader)?;
        if reader.0.is_empty() {
            return Some(Self::of_hour(first, whole));
        }
        let hours = reader.count()?;
        let hours = (0..hours).map(|_| {
            let hour = first.checked_add(reader.signed()?)?;
            Some((hour, (reader.number()?, reader.number()?)))
        });
        let hours = hours.collect::<Option<_>>()?;
        Some(Self { whole, hours })
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str, uses: u64) {
    match counts.get_mut(name) {
        Some(counted) => *counted += uses,
        None => {
            counts.insert(name.to_owned(), uses);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::{Method, Series};
    use proptest::prelude::*;

    fn record(at: i64, status: u16, address: &str) -> Record<'_> {
        Record {
            seq: at,
            at: Timestamp::from_millis(at),
            series: Series { status, method: Method::of("GET"), realm: None, reads_log: false },
            credential: None,
            path: "/",
            reason: None,
            permission: (status == 204).then_some("projects.read"),
            address,
            agent: None,
            micros: 1,
        }
    }

    #[test]
    fn uses_are_counted_by_what_they_were() {
        let mut usage = Usage::default();
        for (at, status, address) in [(5, 204, "10.0.0.1"), (3, 403, "10.0.0.2"), (9, 204, "10.0.0.1")] {
            usage.add(&record(at, status, address));
        }
        assert_eq!(usage.seen, Some((Timestamp::from_millis(3), Timestamp::from_millis(9))));
        assert_eq!((usage.total(), usage.errors()), (3, 1));
        assert_eq!(usage.permissions, BTreeMap::from([("projects.read".to_owned(), 2)]));
        usage.keep_addresses(1);
        assert_eq!(usage.addresses, BTreeMap::from([("10.0.0.1".to_owned(), 2)]));
        assert_eq!(usage.other_addresses, 1);
    }

    proptest! {
        #[test]
        fn what_is_stored_comes_back_and_no_use_is_lost(
            uses in proptest::collection::vec((0_i64..1_000, 200_u16..500, 0_u8..80), 1..200)
        ) {
            let (mut whole, mut left, mut right) = (Usage::default(), Usage::default(), Usage::default());
            for (index, (at, status, address)) in uses.iter().enumerate() {
                let address = format!("10.0.0.{address}");
                whole.add(&record(*at, *status, &address));
                let half = if index % 2 == 0 { &mut left } else { &mut right };
                half.add(&record(*at, *status, &address));
            }
            left.merge(&right);
            prop_assert_eq!(&left, &whole);
            let read = Usage::read(&whole.clone().pack()).unwrap();
            prop_assert!(read.addresses.len() <= ADDRESSES_KEPT);
            prop_assert_eq!(read.addresses.values().sum::<u64>() + read.other_addresses, uses.len() as u64);
            prop_assert_eq!((read.total(), read.seen), (whole.total(), whole.seen));
        }

        #[test]
        fn a_day_has_what_its_hours_have(
            uses in proptest::collection::vec((0_i64..24, 0_i64..1_000, 200_u16..500, 0_u8..80), 0..200)
        ) {
            const FIRST: i64 = 492_312;
            let mut hours: BTreeMap<i64, Usage> = BTreeMap::new();
            for (hour, at, status, address) in &uses {
                let at = (FIRST + hour) * 3_600_000 + at;
                let address = format!("10.0.0.{address}");
                hours.entry(FIRST + hour).or_default().add(&record(at, *status, &address));
            }
            let mut day = Uses::default();
            for (hour, usage) in &hours {
                // As it is stored for an hour.
                let read = Uses::read(&usage.clone().pack(), *hour).unwrap();
                prop_assert_eq!(&read.hours, &BTreeMap::from([(*hour, (usage.total(), usage.errors()))]));
                day.merge(&read);
            }
            let read = Uses::read(&day.clone().pack(FIRST), FIRST).unwrap();
            let expected = hours.iter().map(|(hour, usage)| (*hour, (usage.total(), usage.errors())));
            prop_assert_eq!(&read.hours, &expected.collect::<BTreeMap<_, _>>());
            prop_assert_eq!(read.whole.total(), uses.len() as u64);
            prop_assert_eq!(&read.whole.statuses, &day.whole.statuses);
            prop_assert_eq!(&read.whole.permissions, &day.whole.permissions);
            prop_assert_eq!(read.whole.seen, day.whole.seen.or(Some((Timestamp::MIN, Timestamp::MIN))));
            let addresses = read.whole.addresses.values().sum::<u64>() + read.whole.other_addresses;
            prop_assert_eq!(addresses, uses.len() as u64);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, first: i64) {
            let _ = Usage::read(&bytes);
            let _ = Uses::read(&bytes, first);
        }
    }
}
