//! Rows of one account, packed: texts, credentials and series once, then a dozen bytes for each row.
//!
//! ```text
//! version · first seq · first at · texts · credentials · series · count · rows
//! row: seq and at as differences to the row before · series · credential · path · address · agent ·
//!      reason · permission · microseconds        (numbers of the lists above; 0 is none where it may be)
//! ```

use std::collections::HashMap;

use super::bytes::{Reader, put, put_signed, put_text};
use super::{Method, Record, Series};
use crate::grant::Credential;
use crate::id::{RealmId, SessionId, TokenId};
use crate::time::Timestamp;

const VERSION: u8 = 1;

/// The stored bytes are no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a block of the request log cannot be read")]
pub struct Unreadable;

/// Packs rows, which come in the order of their numbers.
#[derive(Debug, Default)]
pub struct Builder {
    texts: Texts,
    credentials: Listed<Credential>,
    series: Listed<Series>,
    counts: Vec<u64>,
    rows: Vec<u8>,
    first: Option<(i64, Timestamp)>,
    last: (i64, i64),
    count: u64,
}

/// Things that are written once, and the number of each.
#[derive(Debug)]
struct Listed<T> {
    list: Vec<T>,
    numbers: HashMap<T, u64>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { list: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Copy + Eq + std::hash::Hash> Listed<T> {
    fn number(&mut self, thing: T) -> u64 {
        let next = self.list.len() as u64;
        // Most often there is one, or it is new.
        if next > 0 && self.list[self.list.len() - 1] == thing {
            return next - 1;
        }
        *self.numbers.entry(thing).or_insert_with(|| {
            self.list.push(thing);
            next
        })
    }
}

/// The places of texts in a row, each with the text that it had last.
#[derive(Debug, Default)]
struct Texts {
    list: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u64>,
    last: [Option<u64>; 5],
}

impl Texts {
    fn number(&mut self, place: usize, text: &str) -> u64 {
        if let Some(last) = self.last[place]
            && self.list.get(usize::try_from(last).unwrap_or(usize::MAX)).is_some_and(|same| **same == *text)
        {
            return last;
        }
        let number = match self.numbers.get(text) {
            Some(number) => *number,
            None => {
                let number = self.list.len() as u64;
                self.list.push(text.into());
                self.numbers.insert(text.into(), number);
                number
            }
        };
        self.last[place] = Some(number);
        number
    }

    /// Zero for none, else the number and one.
    fn optional(&mut self, place: usize, text: Option<&str>) -> u64 {
        text.map_or(0, |text| self.number(place, text) + 1)
    }
}

/// A finished block and what is said of it beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The bytes.
    pub body: Vec<u8>,
    /// Its series with the number of rows of each, packed: see [`counts`].
    pub counts: Vec<u8>,
    /// The number of rows.
    pub count: u64,
    /// The first row's number.
    pub first_seq: i64,
    /// The last row's number.
    pub last_seq: i64,
    /// The first row's instant.
    pub first_at: Timestamp,
    /// The last row's instant.
    pub last_at: Timestamp,
}

impl Builder {
    /// How many rows it has.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a row.
    pub fn push(&mut self, record: &Record<'_>) {
        if self.first.is_none() {
            self.first = Some((record.seq, record.at));
            self.last = (record.seq, record.at.millis());
        }
        let series = self.series.number(record.series);
        let place = usize::try_from(series).unwrap_or(usize::MAX);
        if place >= self.counts.len() {
            self.counts.push(0);
        }
        self.counts[place] += 1;
        let credential = record.credential.map_or(0, |credential| self.credentials.number(credential) + 1);
        let path = self.texts.number(0, record.path);
        let address = self.texts.number(1, record.address);
        let agent = self.texts.optional(2, record.agent);
        let reason = self.texts.optional(3, record.reason);
        let permission = self.texts.optional(4, record.permission);
        put_signed(&mut self.rows, record.seq - self.last.0);
        put_signed(&mut self.rows, record.at.millis() - self.last.1);
        for number in [series, credential, path, address, agent, reason, permission, record.micros] {
            put(&mut self.rows, number);
        }
        self.last = (record.seq, record.at.millis());
        self.count += 1;
    }

    /// The block; `None` when it has no row.
    #[must_use]
    pub fn finish(self) -> Option<Packed> {
        let (first_seq, first_at) = self.first?;
        let mut body = Vec::with_capacity(self.rows.len() + 1024);
        body.push(VERSION);
        put_signed(&mut body, first_seq);
        put_signed(&mut body, first_at.millis());
        put(&mut body, self.texts.list.len() as u64);
        self.texts.list.iter().for_each(|text| put_text(&mut body, text));
        put(&mut body, self.credentials.list.len() as u64);
        for credential in &self.credentials.list {
            let (kind, id) = match credential {
                Credential::Token(id) => (0, id.bytes()),
                Credential::Session(id) => (1, id.bytes()),
            };
            body.push(kind);
            body.extend_from_slice(id);
        }
        put(&mut body, self.series.list.len() as u64);
        self.series.list.iter().for_each(|series| put_series(&mut body, series));
        put(&mut body, self.count);
        body.extend_from_slice(&self.rows);
        let mut counts = Vec::new();
        put(&mut counts, self.counts.len() as u64);
        for (series, count) in self.series.list.iter().zip(&self.counts) {
            put_series(&mut counts, series);
            put(&mut counts, *count);
        }
        Some(Packed {
            body,
            counts,
            count: self.count,
            first_seq,
            last_seq: self.last.0,
            first_at,
            last_at: Timestamp::from_millis(self.last.1),
        })
    }
}

/// In the byte of a series beside its method and whether it has a realm; older versions pass over it.
const READS_LOG: u8 = 1 << 4;

fn put_series(to: &mut Vec<u8>, series: &Series) {
    put(to, u64::from(series.status));
    let mark = if series.reads_log { READS_LOG } else { 0 };
    to.push(mark | series.method.0 << 1 | u8::from(series.realm.is_some()));
    if let Some(realm) = &series.realm {
        to.extend_from_slice(realm.bytes());
    }
}

fn read_series(reader: &mut Reader<'_>) -> Option<Series> {
    let status = u16::try_from(reader.number()?).ok()?;
    let kind = reader.byte()?;
    let realm = if kind & 1 == 1 { Some(RealmId::from_bytes(reader.twelve()?)) } else { None };
    Some(Series { status, method: Method(kind >> 1 & 7), realm, reads_log: kind & READS_LOG != 0 })
}

/// The series of a block with their numbers of rows, as [`Packed::counts`] has them.
///
/// # Errors
/// When the bytes are something else.
pub fn counts(bytes: &[u8]) -> Result<Vec<(Series, u64)>, Unreadable> {
    let mut reader = Reader(bytes);
    let read = |reader: &mut Reader<'_>| {
        let count = reader.count()?;
        (0..count).map(|_| Some((read_series(reader)?, reader.number()?))).collect::<Option<Vec<_>>>()
    };
    read(&mut reader).ok_or(Unreadable)
}

/// A block that is read: its lists, and where its rows begin.
#[derive(Debug)]
pub struct Block<'a> {
    texts: Vec<&'a str>,
    credentials: Vec<Credential>,
    series: Vec<Series>,
    first: (i64, i64),
    count: usize,
    rows: Reader<'a>,
}

impl<'a> Block<'a> {
    /// Reads the lists; the rows are read as they are asked for.
    ///
    /// # Errors
    /// When the bytes are no block.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        Self::parse(Reader(bytes)).ok_or(Unreadable)
    }

    /// How many rows it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    fn parse(mut reader: Reader<'a>) -> Option<Self> {
        if reader.byte()? != VERSION {
            return None;
        }
        let first = (reader.signed()?, reader.signed()?);
        let texts = reader.count()?;
        let texts = (0..texts).map(|_| reader.text()).collect::<Option<_>>()?;
        let credentials = reader.count()?;
        let credentials = (0..credentials).map(|_| {
            let kind = reader.byte()?;
            let id = reader.twelve()?;
            match kind {
                0 => Some(Credential::Token(TokenId::from_bytes(id))),
                1 => Some(Credential::Session(SessionId::from_bytes(id))),
                _ => None,
            }
        });
        let credentials = credentials.collect::<Option<_>>()?;
        let series = reader.count()?;
        let series = (0..series).map(|_| read_series(&mut reader)).collect::<Option<_>>()?;
        let count = reader.count()?;
        Some(Self { texts, credentials, series, first, count, rows: reader })
    }

    /// The rows whose series `wanted` admits, in the order of their numbers. The last is an error when a
    /// row cannot be read.
    pub fn rows(
        &self,
        wanted: impl Fn(&Series) -> bool,
    ) -> impl Iterator<Item = Result<Record<'a>, Unreadable>> {
        let wanted: Vec<bool> = self.series.iter().map(wanted).collect();
        let mut reader = self.rows;
        let (mut seq, mut at) = self.first;
        let mut left = self.count;
        std::iter::from_fn(move || {
            while left > 0 {
                left -= 1;
                match self.row(&mut reader, &mut seq, &mut at, &wanted) {
                    Some(None) => {}
                    Some(Some(row)) => return Some(Ok(row)),
                    None => {
                        left = 0;
                        return Some(Err(Unreadable));
                    }
                }
            }
            None
        })
    }

    /// The outer `None`: it cannot be read; the inner: it is not wanted.
    fn row(
        &self,
        reader: &mut Reader<'a>,
        seq: &mut i64,
        at: &mut i64,
        wanted: &[bool],
    ) -> Option<Option<Record<'a>>> {
        *seq = seq.checked_add(reader.signed()?)?;
        *at = at.checked_add(reader.signed()?)?;
        let mut numbers = [0_u64; 8];
        for number in &mut numbers {
            *number = reader.number()?;
        }
        let [series, credential, path, address, agent, reason, permission, micros] = numbers;
        let series = usize::try_from(series).ok()?;
        if !*wanted.get(series)? {
            return Some(None);
        }
        Some(Some(Record {
            seq: *seq,
            at: Timestamp::from_millis(*at),
            series: *self.series.get(series)?,
            credential: match credential.checked_sub(1) {
                Some(number) => Some(*self.credentials.get(usize::try_from(number).ok()?)?),
                None => None,
            },
            path: self.text(path)?,
            address: self.text(address)?,
            agent: self.optional(agent)?,
            reason: self.optional(reason)?,
            permission: self.optional(permission)?,
            micros,
        }))
    }

    fn text(&self, number: u64) -> Option<&'a str> {
        self.texts.get(usize::try_from(number).ok()?).copied()
    }

    fn optional(&self, number: u64) -> Option<Option<&'a str>> {
        match number.checked_sub(1) {
            Some(number) => Some(Some(self.text(number)?)),
            None => Some(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Given = (u8, u16, u8, Option<u8>, Option<(bool, u8)>, String, Option<String>, u64);

    fn given() -> impl Strategy<Value = Vec<Given>> {
        let credential = proptest::option::of((any::<bool>(), 0_u8..4));
        let agent = proptest::option::of("[a-z]{0,6}");
        let realm = proptest::option::of(0_u8..3);
        let row = (any::<u8>(), 100_u16..600, 0_u8..8, realm, credential, "/[a-c]{0,3}", agent, any::<u64>());
        proptest::collection::vec(row, 1..60)
    }

    fn records(given: &[Given]) -> Vec<Record<'_>> {
        let mut at = 1_772_442_942_118;
        let rows =
            (7_i64..).zip(given).map(|(seq, (step, status, method, realm, credential, path, agent, us))| {
                at += i64::from(*step);
                Record {
                    seq,
                    at: Timestamp::from_millis(at),
                    series: Series {
                        status: *status,
                        method: Method(*method),
                        realm: realm.map(|byte| RealmId::from_bytes([byte; 12])),
                        reads_log: *us % 2 == 1,
                    },
                    credential: credential.map(|(is_token, byte)| {
                        if is_token {
                            Credential::Token(TokenId::from_bytes([byte; 12]))
                        } else {
                            Credential::Session(SessionId::from_bytes([byte; 12]))
                        }
                    }),
                    path,
                    reason: (*status >= 400).then_some("permission"),
                    permission: (*method == 0).then_some("projects.read"),
                    address: "203.0.113.7",
                    agent: agent.as_deref(),
                    micros: *us,
                }
            });
        rows.collect()
    }

    fn packed(records: &[Record<'_>]) -> Packed {
        let mut builder = Builder::default();
        records.iter().for_each(|record| builder.push(record));
        builder.finish().unwrap()
    }

    proptest! {
        #[test]
        fn rows_come_back_as_they_were(given in given()) {
            let records = records(&given);
            let packed = packed(&records);
            let block = Block::read(&packed.body).unwrap();
            let read: Vec<_> = block.rows(|_| true).map(Result::unwrap).collect();
            prop_assert_eq!(&read, &records);
            let total: u64 = counts(&packed.counts).unwrap().iter().map(|(_, count)| count).sum();
            prop_assert_eq!((total, packed.count), (records.len() as u64, records.len() as u64));
            prop_assert_eq!((packed.first_seq, packed.last_seq), (7, 6 + records.len() as i64));
        }

        #[test]
        fn only_wanted_series_are_given_and_the_counts_know_how_many(given in given()) {
            let records = records(&given);
            let packed = packed(&records);
            let wanted = |series: &Series| series.status >= 400;
            let block = Block::read(&packed.body).unwrap();
            let read: Vec<_> = block.rows(wanted).map(Result::unwrap).collect();
            let expected: Vec<_> = records.iter().filter(|r| wanted(&r.series)).copied().collect();
            let counted: u64 = counts(&packed.counts).unwrap().iter()
                .filter(|(series, _)| wanted(series)).map(|(_, count)| count).sum();
            prop_assert_eq!(counted, expected.len() as u64);
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn damaged_bytes_are_refused_and_nothing_panics(given in given(), at: prop::sample::Index, to: u8) {
            let mut packed = packed(&records(&given));
            let place = at.index(packed.body.len());
            packed.body[place] = to;
            if let Ok(block) = Block::read(&packed.body) {
                block.rows(|_| true).for_each(drop);
            }
            packed.body.truncate(place);
            if let Ok(block) = Block::read(&packed.body) {
                prop_assert!(block.rows(|_| true).any(|row| row.is_err()));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(block) = Block::read(&bytes) {
                block.rows(|_| true).for_each(drop);
            }
            let _ = counts(&bytes);
        }
    }

    #[test]
    fn a_row_like_those_before_it_takes_a_dozen_bytes() {
        let one =
            [(9_u8, 204_u16, 0_u8, None, Some((true, 1_u8)), "/api/v1/auth/check".to_owned(), None, 300)];
        let rows: Vec<Given> = one.iter().cycle().take(1_000).cloned().collect();
        let packed = packed(&records(&rows));
        assert!(packed.body.len() < 12_200, "{}", packed.body.len());
    }
}
