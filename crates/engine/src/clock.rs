//! The one clock. `now` is wall time on one scale for the whole database and never runs backwards in a
//! process; `boot_millis` is what the freshness rule counts in, and no setting of the wall clock moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hoody_core::id::Id;
use hoody_core::time::{SECOND, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// Tells the time: the same to everything that holds it.
#[derive(Debug, Clone)]
pub struct Clock(Arc<State>);

#[derive(Debug)]
struct State {
    source: Source,
    /// What the database's clock is ahead of the time since this machine's start, in milliseconds;
    /// [`UNKNOWN`] where the database has none, or was not asked yet.
    ahead: AtomicI64,
    /// The latest instant that was told.
    latest: AtomicI64,
}

/// No database's clock is followed.
const UNKNOWN: i64 = i64::MIN;

#[derive(Debug)]
enum Source {
    /// The machine's, and what its wall clock is off by: 0 but in tests.
    System { skew: i64 },
    /// Moved by hand: tests only.
    Manual { wall: AtomicI64, boot: AtomicI64 },
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::skewed(0)
    }

    /// The machine's clock, its wall clock off by `skew` milliseconds: tests only.
    #[must_use]
    pub fn skewed(skew: i64) -> Self {
        Self::of(Source::System { skew })
    }

    /// A clock that stands at `start` until it is moved.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::of(Source::Manual { wall: AtomicI64::new(start.millis()), boot: AtomicI64::new(0) })
    }

    fn of(source: Source) -> Self {
        Self(Arc::new(State { source, ahead: AtomicI64::new(UNKNOWN), latest: AtomicI64::new(i64::MIN) }))
    }

    /// The time, in the database's scale; never before an instant that was told.
    pub fn now(&self) -> Timestamp {
        let now = match self.0.ahead.load(Ordering::Relaxed) {
            UNKNOWN => self.wall(),
            // Not by the wall clock, which may be set while this runs.
            ahead => self.boot_millis().saturating_add(ahead),
        };
        let latest = self.0.latest.load(Ordering::Relaxed);
        if now <= latest {
            return Timestamp::from_millis(latest);
        }
        Timestamp::from_millis(self.0.latest.fetch_max(now, Ordering::Relaxed).max(now))
    }

    /// A new id, of this instant.
    #[must_use]
    pub fn new_id<K>(&self) -> Id<K> {
        let seconds = self.now().millis() / SECOND;
        Id::from_parts(u32::try_from(seconds).unwrap_or(u32::MAX), entropy())
    }

    /// Milliseconds since the machine was started, sleep included.
    pub fn boot_millis(&self) -> i64 {
        match &self.0.source {
            Source::System { .. } => millis_of(ClockId::Boottime),
            Source::Manual { boot, .. } => boot.load(Ordering::SeqCst),
        }
    }

    /// The same in microseconds: how long something took.
    pub fn boot_micros(&self) -> i64 {
        match &self.0.source {
            Source::System { .. } => {
                let time = clock_gettime(ClockId::Boottime);
                time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
            }
            Source::Manual { boot, .. } => boot.load(Ordering::SeqCst) * 1_000,
        }
    }

    /// Takes the database's time as measured by a poll that was sent at `asked_at` on the boot-time clock. A
    /// manual clock ignores it.
    ///
    /// It was that time somewhere between the question and now. What is known is changed only as far as it
    /// cannot be true: an answer that lay there while this process was stopped would set the time back.
    pub fn follow(&self, database_now: i64, asked_at: i64) {
        if matches!(self.0.source, Source::System { .. }) {
            let (least, most) = (database_now - self.boot_millis(), database_now - asked_at);
            let ahead = match self.0.ahead.load(Ordering::Relaxed) {
                UNKNOWN => least,
                known => known.min(most).max(least),
            };
            self.0.ahead.store(ahead, Ordering::Relaxed);
        }
    }

    /// Moves a manual clock on by `millis`; the machine's clock is not moved.
    pub fn advance(&self, millis: i64) {
        if let Source::Manual { wall, boot } = &self.0.source {
            wall.fetch_add(millis, Ordering::SeqCst);
            boot.fetch_add(millis, Ordering::SeqCst);
        }
    }

    fn wall(&self) -> i64 {
        match &self.0.source {
            Source::System { skew } => millis_of(ClockId::Realtime) + skew,
            Source::Manual { wall, .. } => wall.load(Ordering::SeqCst),
        }
    }
}

fn millis_of(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

/// Random bytes from the operating system: the one source of randomness.
///
/// # Panics
/// When the operating system has none to give; nothing safe can be done then.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one source of randomness")]
pub fn entropy<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_backwards() {
        let clock = Clock::manual(Timestamp::from_millis(1_000));
        assert_eq!(clock.now().millis(), 1_000);
        clock.advance(-500);
        assert_eq!(clock.now().millis(), 1_000);
        clock.advance(700);
        assert_eq!(clock.now().millis(), 1_200);
    }

    #[test]
    fn the_machines_clock_follows_the_databases() {
        let clock = Clock::system();
        let ahead = clock.now().millis() + 3_600_000;
        clock.follow(ahead, clock.boot_millis());
        assert!(clock.now().millis() >= ahead);
        // What this machine's own clock says does not count then.
        let (right, wrong) = (Clock::system(), Clock::skewed(60_000));
        let database_now = right.now().millis();
        wrong.follow(database_now, wrong.boot_millis());
        right.follow(database_now, right.boot_millis());
        assert!((wrong.now().millis() - right.now().millis()).abs() < 1_000);
    }

    /// The process was stopped for a minute between the answer and its handling.
    #[test]
    fn an_answer_that_is_handled_late_says_little() {
        let clock = Clock::system();
        let database_now = clock.now().millis();
        clock.follow(database_now, clock.boot_millis());
        clock.follow(database_now - 60_000, clock.boot_millis() - 60_000);
        let behind =
            |clock: &Clock| database_now - (clock.boot_millis() + clock.0.ahead.load(Ordering::Relaxed));
        assert!(behind(&clock) < 1_000);
        // But as much as it says is believed: within that minute the database was an hour ahead.
        clock.follow(database_now + 3_600_000, clock.boot_millis() - 60_000);
        assert!((-3_661_000..=-3_599_000).contains(&behind(&clock)), "{}", behind(&clock));
        // What was late when nothing was known is put right by the next.
        let clock = Clock::system();
        clock.follow(database_now - 60_000, clock.boot_millis() - 60_000);
        clock.follow(database_now, clock.boot_millis());
        assert!(behind(&clock).abs() < 1_000);
    }
}
