//! The request log, as far as it is pure: what a row says, what filters ask of it, how rows are packed
//! ([`block`]), what is counted of a token's use ([`usage`]) and what never gets in ([`redact`]).

pub mod block;
mod bytes;
mod place;
pub mod redact;
pub mod usage;

pub use place::{Place, Via};

use crate::grant::Credential;
use crate::id::RealmId;
use crate::time::{DAY, MINUTE, SECOND, Timestamp};

/// The methods that are told apart, by their number in a packed row; whatever else comes is `OTHER`.
const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "OTHER"];

/// A request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Method(u8);

impl Method {
    /// The method of this name, in capitals.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let known = (0_u8..).zip(METHODS).find(|(_, method)| *method == name);
        Self(known.map_or(7, |(number, _)| number))
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        METHODS[usize::from(self.0 & 7)]
    }
}

/// What filters select by: rows of one account that have it in common are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The method.
    pub method: Method,
    /// The realm that the host named.
    pub realm: Option<RealmId>,
    /// Whether it read the request log itself.
    pub reads_log: bool,
}

/// Which rows are wanted, beside when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    /// The lowest status.
    pub min_status: u16,
    /// The highest status.
    pub max_status: u16,
    /// Only this method.
    pub method: Option<Method>,
    /// Only this realm.
    pub realm: Option<RealmId>,
    /// None that read the request log: pages of the log that their own reading moved on would repeat rows.
    pub skips_log_reads: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self { min_status: 0, max_status: u16::MAX, method: None, realm: None, skips_log_reads: false }
    }
}

impl Filter {
    /// Whether rows of `series` are wanted.
    #[must_use]
    pub fn admits(&self, series: &Series) -> bool {
        (self.min_status..=self.max_status).contains(&series.status)
            && self.method.is_none_or(|method| method == series.method)
            && self.realm.is_none_or(|realm| Some(realm) == series.realm)
            && !(self.skips_log_reads && series.reads_log)
    }
}

/// One request that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number among the rows of the process that wrote it, without gaps.
    pub seq: i64,
    /// When it was answered; in the order of `seq` it never runs backwards.
    pub at: Timestamp,
    /// Status, method and realm.
    pub series: Series,
    /// Who asked; `None` for somebody who was signing in.
    pub credential: Option<Credential>,
    /// Where it took place: the text of a [`Place`].
    pub path: &'a str,
    /// The rule that refused it.
    pub reason: Option<&'a str>,
    /// The permission that it needed.
    pub permission: Option<&'a str>,
    /// Where it came from.
    pub address: &'a str,
    /// What the client calls itself.
    pub agent: Option<&'a str>,
    /// How long it took, in microseconds.
    pub micros: u64,
}

/// Milliseconds of an hour.
pub const HOUR: i64 = 60 * MINUTE;

/// The hour that an instant is in, counted from 1970.
#[must_use]
pub fn hour(at: Timestamp) -> i64 {
    at.millis().div_euclid(HOUR)
}

/// The day that an instant is in, counted from 1970.
#[must_use]
pub fn day(at: Timestamp) -> i64 {
    at.millis().div_euclid(DAY)
}

/// How far back from here about `aim` more things lie, where the last `count` lay within `millis`; at least
/// a second, at most 400 days.
#[must_use]
pub fn reach(count: usize, millis: i64, aim: u32) -> i64 {
    let count = i64::try_from(count).unwrap_or(i64::MAX).max(1);
    // Where nothing lay it is looked farther.
    let far = millis.max(1).saturating_mul(i64::from(aim.max(2))) / count;
    far.clamp(SECOND, 400 * DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_as_far_back_as_there_seems_to_be_enough() {
        assert_eq!(reach(64, 64 * MINUTE, 1_000), 1_000 * MINUTE);
        assert_eq!(reach(1_000, MINUTE, 1_000), MINUTE);
        assert_eq!(reach(64, 0, 1_000), SECOND, "it gets on");
        assert_eq!(reach(0, DAY, 1_000), 400 * DAY, "nothing was found: everything is looked at");
        assert_eq!(reach(usize::MAX, i64::MAX, u32::MAX), SECOND);
    }

    #[test]
    fn methods_have_names_and_the_unknown_is_other() {
        for name in METHODS {
            assert_eq!(Method::of(name).name(), name);
        }
        assert_eq!(Method::of("BREW").name(), "OTHER");
        assert_eq!(Method::of("get").name(), "OTHER");
    }

    #[test]
    fn a_filter_asks_for_everything_that_it_names() {
        let realm = RealmId::from_bytes([1; 12]);
        let series = Series { status: 404, method: Method::of("GET"), realm: Some(realm), reads_log: false };
        let read = Series { reads_log: true, ..series };
        assert!(Filter::default().admits(&read));
        assert!(!Filter { skips_log_reads: true, ..Filter::default() }.admits(&read));
        assert!(Filter { skips_log_reads: true, ..Filter::default() }.admits(&series));
        assert!(Filter::default().admits(&series));
        let errors = Filter { min_status: 400, ..Filter::default() };
        assert!(errors.admits(&series));
        assert!(!errors.admits(&Series { status: 399, ..series }));
        let posts = Filter { method: Some(Method::of("POST")), ..errors };
        assert!(!posts.admits(&series));
        let here = Filter { realm: Some(realm), ..errors };
        assert!(here.admits(&series) && !here.admits(&Series { realm: None, ..series }));
    }
}
