//! Who used which token: noted in memory on the way through, written in batches.
//!
//! A token causes at most one write in 30 seconds, whatever its traffic; only allowed requests count.
//! The hot path compares one number; once in 30 seconds it also puts a note into a channel. A note that
//! finds the channel full is dropped and taken up by the next request.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use hoody_core::id::TokenId;
use hoody_core::time::{SECOND, Timestamp};
use tokio::sync::mpsc;

use super::store;
use crate::db::Db;

/// A token's use is written once in this time, in milliseconds.
pub const USAGE_INTERVAL: i64 = 30 * SECOND;
const NOTES: usize = 65_536;
const BATCH: usize = 500;

/// When a token's use was last noted: in seconds since 1970, rounded up, and one more; 0 is never.
#[derive(Debug)]
pub struct Usage(AtomicU32);

/// One use that is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Note {
    pub token: TokenId,
    pub at: Timestamp,
    pub address: IpAddr,
}

/// Where notes go in.
#[derive(Debug, Clone)]
pub struct Recorder(mpsc::Sender<Note>);

/// Where notes come out.
#[derive(Debug)]
pub struct Notes {
    waiting: mpsc::Receiver<Note>,
    /// Those that could not be written.
    back: Vec<Note>,
}

impl Usage {
    pub fn last(at: Option<Timestamp>) -> Self {
        Self(AtomicU32::new(at.map_or(0, second)))
    }

    /// The same again, for a grant that takes the place of another.
    pub(super) fn again(&self) -> Self {
        Self(AtomicU32::new(self.0.load(Ordering::Relaxed)))
    }
}

fn second(at: Timestamp) -> u32 {
    let second = at.millis().saturating_add(SECOND - 1).div_euclid(SECOND) + 1;
    u32::try_from(second.max(1)).unwrap_or(u32::MAX)
}

impl Recorder {
    pub fn channel() -> (Self, Notes) {
        let (sender, receiver) = mpsc::channel(NOTES);
        (Self(sender), Notes { waiting: receiver, back: Vec::new() })
    }

    /// Notes that `token` was used, if its last note is old enough.
    pub fn note(&self, usage: &Usage, token: TokenId, at: Timestamp, address: IpAddr) {
        let last = usage.0.load(Ordering::Relaxed);
        // Never sooner than the statement has it: what is noted here is written there.
        if last > 0 && at.millis() <= (i64::from(last) - 1) * SECOND + USAGE_INTERVAL {
            return;
        }
        let claim = usage.0.compare_exchange(last, second(at), Ordering::Relaxed, Ordering::Relaxed);
        if claim.is_ok() && self.0.try_send(Note { token, at, address }).is_err() {
            usage.0.store(last, Ordering::Relaxed);
        }
    }
}

impl Notes {
    /// Every note that waits now: the latest of each token, in the order of their ids, so that two nodes
    /// that write the same rows never wait for each other.
    pub fn drain(&mut self) -> Vec<Note> {
        let mut notes = std::mem::take(&mut self.back);
        notes.extend(std::iter::from_fn(|| self.waiting.try_recv().ok()));
        notes.sort_unstable_by_key(|note| (note.token, std::cmp::Reverse(note.at)));
        notes.dedup_by_key(|note| note.token);
        notes
    }

    /// Takes up what could not be written, as much as there is room for: the next drain has it again.
    pub fn put_back(&mut self, mut notes: Vec<Note>) {
        notes.truncate(NOTES);
        self.back = notes;
    }
}

/// Writes notes, `BATCH` to a transaction; those that could not be written.
pub async fn write(db: &Db, notes: &[Note]) -> Vec<Note> {
    let mut unwritten = Vec::new();
    for batch in notes.chunks(BATCH) {
        if let Err(error) = store::update_usage(db, batch).await {
            tracing::debug!(%error, notes = batch.len(), "the use of tokens could not be written");
            unwritten.extend_from_slice(batch);
        }
    }
    unwritten
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_noted_once_in_thirty_seconds() {
        let (recorder, mut notes) = Recorder::channel();
        let usage = Usage::last(None);
        let token = TokenId::from_bytes([1; 12]);
        let address = IpAddr::from([203, 0, 113, 1]);
        let mut written = Vec::new();
        for millis in 0..60_000 {
            recorder.note(&usage, token, Timestamp::from_millis(millis), address);
            written.extend(notes.drain().iter().map(|note| note.at.millis()));
        }
        assert_eq!(written, [0, 30_001]);
    }

    #[test]
    fn what_could_not_be_written_comes_again_and_yields_to_what_is_newer() {
        let (recorder, mut notes) = Recorder::channel();
        let (one, two) = (TokenId::from_bytes([1; 12]), TokenId::from_bytes([2; 12]));
        let address = IpAddr::from([203, 0, 113, 1]);
        let note = |token, at| recorder.note(&Usage::last(None), token, Timestamp::from_millis(at), address);
        note(one, 1);
        note(two, 1);
        let drained = notes.drain();
        notes.put_back(drained);
        note(two, 40_000);
        let again: Vec<_> = notes.drain().iter().map(|note| (note.token, note.at.millis())).collect();
        assert_eq!(again, [(one, 1), (two, 40_000)]);
        assert!(notes.drain().is_empty());
    }
}
