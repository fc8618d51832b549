//! The one clock. `now` is wall time on one scale for the whole database and never runs backwards in a
//! process; `boot_millis` is what the freshness rule counts in, and no setting of the wall clock moves it.

use std::sync::atomic::{AtomicI64, Ordering};

use hoody_core::time::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Tells the time. Shared by everything that an [`crate::app::App`] reaches.
#[derive(Debug)]
pub(crate) struct Clock {
    source: Source,
    /// What the database's clock is ahead of this machine's, in milliseconds.
    offset: AtomicI64,
    /// The latest instant that was told.
    latest: AtomicI64,
}

#[derive(Debug)]
enum Source {
    System,
    /// Moved by hand: tests only.
    Manual {
        wall: AtomicI64,
        boot: AtomicI64,
    },
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub(crate) fn system() -> Self {
        Self::of(Source::System)
    }

    /// A clock that stands at `start` until it is moved.
    #[must_use]
    pub(crate) fn manual(start: Timestamp) -> Self {
        Self::of(Source::Manual { wall: AtomicI64::new(start.millis()), boot: AtomicI64::new(0) })
    }

    fn of(source: Source) -> Self {
        Self { source, offset: AtomicI64::new(0), latest: AtomicI64::new(i64::MIN) }
    }

    /// The time, in the database's scale; never before an instant that was told.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.wall().saturating_add(self.offset.load(Ordering::Relaxed));
        let latest = self.latest.load(Ordering::Relaxed);
        if now <= latest {
            return Timestamp::from_millis(latest);
        }
        Timestamp::from_millis(self.latest.fetch_max(now, Ordering::Relaxed).max(now))
    }

    /// Milliseconds since the machine was started, sleep included.
    pub(crate) fn boot_millis(&self) -> i64 {
        match &self.source {
            Source::System => millis_of(ClockId::Boottime),
            Source::Manual { boot, .. } => boot.load(Ordering::SeqCst),
        }
    }

    /// Takes the database's time as measured at a poll. A manual clock ignores it.
    pub(crate) fn follow(&self, database_now: i64) {
        if matches!(self.source, Source::System) {
            self.offset.store(database_now - self.wall(), Ordering::Relaxed);
        }
    }

    /// Moves a manual clock on by `millis`; the machine's clock is not moved.
    pub(crate) fn advance(&self, millis: i64) {
        if let Source::Manual { wall, boot } = &self.source {
            wall.fetch_add(millis, Ordering::SeqCst);
            boot.fetch_add(millis, Ordering::SeqCst);
        }
    }

    fn wall(&self) -> i64 {
        match &self.source {
            Source::System => millis_of(ClockId::Realtime),
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
pub(crate) fn entropy<const N: usize>() -> [u8; N] {
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
        clock.follow(ahead);
        assert!(clock.now().millis() >= ahead);
    }
}
