//! Limits: how often something may happen in a while (`contract/README.md` 9).
//!
//! Counters are in the database, so that all nodes count together: one statement counts and tells, and no
//! race goes over. Their subjects are keyed digests: the database lists neither names nor addresses. A
//! refused subject is remembered in memory until its window ends, so that a flood of what is refused
//! anyway costs neither a write nor a read.
//!
//! Everything here fails closed: a count that cannot be written is 503 with `Retry-After`. No owner is
//! locked out by that, because where failures alone count, what succeeds only reads.

mod store;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hoody_core::address::neighbourhood;
use hoody_core::id::{SessionId, UserId};
use hoody_core::names::fold;
use hoody_core::time::{HOUR, MINUTE, SECOND, Timestamp};
use hoody_core::totp;

use crate::clock::Clock;
use crate::db::{Db, Tx};
use crate::error::Error;
use crate::keys::Keys;
use crate::tasks::Tasks;

/// At most `max` in each `window`, which begins with the first that is counted.
#[derive(Debug)]
pub struct Limit {
    /// What the database calls it: never used twice, never changed.
    pub name: &'static str,
    pub max: i64,
    /// In milliseconds.
    pub window: i64,
}

/// Wrong passwords at login of one address, whoever it names.
pub const LOGIN_BY_ADDRESS: Limit = limit("login_by_address", 1_000, 30 * MINUTE);
/// Wrong passwords for one name, of an account or not, from wherever nobody signed in to it lately. A
/// hundred is what NIST SP 800-63B allows; a script with an old password that asks each minute stays below.
pub const LOGIN_BY_NAME: Limit = limit("login_by_name", 100, 30 * MINUTE);
/// Wrong passwords for one account from one address from where it signed in within 30 days.
pub const LOGIN_FROM_KNOWN: Limit = limit("login_from_known", 100, 30 * MINUTE);
/// Wrong passwords of somebody who is signed in: second factor, change of password.
pub const PASSWORD_AGAIN: Limit = limit("password_again", 100, 30 * MINUTE);
/// Refreshes of one session that turn it.
pub const REFRESH: Limit = limit("refresh", 30, 30 * MINUTE);
/// Sign-ups of one address.
pub const SIGN_UP: Limit = limit("sign_up", 5, HOUR);
/// Tries of a verification token from one address.
pub const VERIFY_EMAIL: Limit = limit("verify_email", 10, HOUR);
/// Tries of a reset token from one address.
pub const RESET_PASSWORD: Limit = limit("reset_password", 10, HOUR);
/// Mails that one address of mail is sent, or one client address asks for: verification and reset.
pub const MAIL_REQUESTS: Limit = limit("mail_requests", 3, HOUR);
/// Tries of a user code from one address. A code has 20^8 values and lives 15 minutes.
pub const DEVICE_CODES: Limit = limit("device_codes", 60, HOUR);
/// Device flows begun from one address.
pub const DEVICE_STARTS: Limit = limit("device_starts", 60, HOUR);
/// Polls from one address with a device code that nobody was given.
pub const DEVICE_POLLS: Limit = limit("device_polls", 600, HOUR);
/// `POST /users/me/retry-setup` of one account.
pub const RETRY_SETUP: Limit = limit("retry_setup", 1, MINUTE);
/// Wrong codes of a second factor from one session, or from one address where the account signed in lately.
/// Those of strangers count in the account itself.
pub const OTP_OF_OWNER: Limit = limit("otp_of_owner", totp::MAX_FAILURES, totp::LOCKOUT);
/// Backup codes of one account from one address while its codes are locked.
pub const BACKUP_CODES: Limit = limit("backup_codes", 100, totp::LOCKOUT);
/// Failures that one account's history keeps.
pub const HISTORY_FAILURES: Limit = limit("history_failures", 200, HOUR);

/// All of them.
const ALL: [&Limit; 16] = [
    &LOGIN_BY_ADDRESS,
    &LOGIN_BY_NAME,
    &LOGIN_FROM_KNOWN,
    &PASSWORD_AGAIN,
    &REFRESH,
    &SIGN_UP,
    &VERIFY_EMAIL,
    &RESET_PASSWORD,
    &MAIL_REQUESTS,
    &DEVICE_CODES,
    &DEVICE_STARTS,
    &DEVICE_POLLS,
    &RETRY_SETUP,
    &OTP_OF_OWNER,
    &BACKUP_CODES,
    &HISTORY_FAILURES,
];

const fn limit(name: &'static str, max: i64, window: i64) -> Limit {
    Limit { name, max, window }
}

/// The metric of refusals.
const REFUSALS: &str = "hoody_rate_limited_total";

/// Who or what is counted.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A client's address; of IPv6 its /64.
    Address(IpAddr),
    /// A name or an address of mail as somebody gave it, of an account or not: what folds alike counts
    /// together.
    Name(&'a str),
    Account(UserId),
    /// A name, as somebody gave it, from one address.
    NameAt(&'a str, IpAddr),
    /// An account from one address.
    AccountAt(UserId, IpAddr),
    Session(SessionId),
}

impl Subject<'_> {
    /// What counters know it by.
    fn digest(self, keys: &Keys) -> Digest {
        let message = match self {
            Self::Address(address) => tagged(b'a', address_text(address).as_bytes()),
            Self::Name(name) => tagged(b'n', fold(name).as_bytes()),
            Self::NameAt(name, address) => {
                tagged(b'p', [address_text(address), fold(name)].join(" ").as_bytes())
            }
            Self::Account(id) => tagged(b'u', id.bytes()),
            Self::AccountAt(id, address) => {
                tagged(b'k', &[&id.bytes()[..], address_text(address).as_bytes()].concat())
            }
            Self::Session(id) => tagged(b's', id.bytes()),
        };
        keys.limit_subject(&message)
    }
}

fn tagged(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], value].concat()
}

fn address_text(address: IpAddr) -> String {
    neighbourhood(address).to_string()
}

type Digest = [u8; 32];

/// How a counter stands.
#[derive(Debug, Clone, Copy)]
struct Hits {
    count: i64,
    expires_at: Timestamp,
}

/// Counts, on all nodes together.
#[derive(Debug, Clone)]
pub struct Limits(Arc<State>);

#[derive(Debug)]
struct State {
    db: Db,
    clock: Clock,
    keys: Arc<Keys>,
    over_limit: OverLimit,
}

impl Limits {
    /// Counters in `db`.
    #[must_use]
    pub fn new(db: Db, clock: Clock, keys: Arc<Keys>) -> Self {
        Self(Arc::new(State { db, clock, keys, over_limit: OverLimit::default() }))
    }

    /// Counts one, in a transaction of its own.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when that is more than the limit allows; what the database fails with.
    pub async fn count(&self, limit: &'static Limit, subject: Subject<'_>) -> Result<(), Error> {
        let (digest, now) = (subject.digest(&self.0.keys), self.0.clock.now());
        self.0.over_limit.check(limit, &digest, now)?;
        let hits = self.write(limit, &digest, now).await?;
        self.judge(limit, digest, hits, limit.max, now)
    }

    /// Counts one in a transaction that does more: it counts if that commits.
    ///
    /// # Errors
    /// As [`count`](Self::count); the transaction must be dropped then.
    pub async fn count_in(
        &self,
        tx: &mut Tx,
        limit: &'static Limit,
        subject: Subject<'_>,
    ) -> Result<(), Error> {
        let (digest, now) = (subject.digest(&self.0.keys), self.0.clock.now());
        self.0.over_limit.check(limit, &digest, now)?;
        let hits = store::count(tx, limit, &digest, now).await?;
        self.judge(limit, digest, hits, limit.max, now)
    }

    /// Refuses who is at the limit, and counts nothing: before something whose failure would be counted with
    /// [`failed_in`](Self::failed_in).
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub async fn check(&self, limit: &'static Limit, subject: Subject<'_>) -> Result<(), Error> {
        let (digest, now) = (subject.digest(&self.0.keys), self.0.clock.now());
        self.0.over_limit.check(limit, &digest, now)?;
        match store::find(&self.0.db, limit, &digest, now).await? {
            Some(hits) => self.judge(limit, digest, hits, limit.max - 1, now),
            None => Ok(()),
        }
    }

    /// Counts a failure, in a transaction of failures; the caller goes on to say what failed.
    ///
    /// # Errors
    /// What the database fails with: who is not counted is not told that a guess was wrong.
    pub async fn failed_in(
        &self,
        tx: &mut Tx,
        limit: &'static Limit,
        subject: Subject<'_>,
    ) -> Result<(), Error> {
        let (digest, now) = (subject.digest(&self.0.keys), self.0.clock.now());
        let hits = store::count(tx, limit, &digest, now).await?;
        if hits.count >= limit.max {
            // This one was let in; the next is not.
            self.0.over_limit.remember(limit, digest, hits.expires_at, now);
        }
        Ok(())
    }

    /// Counts one in a transaction that does more; whether it is within the limit.
    pub async fn is_within(
        &self,
        tx: &mut Tx,
        limit: &'static Limit,
        subject: Subject<'_>,
    ) -> Result<bool, Error> {
        let hits = store::count(tx, limit, &subject.digest(&self.0.keys), self.0.clock.now()).await?;
        Ok(hits.count <= limit.max)
    }

    /// How many were counted in the window that is under way, and when it ends.
    ///
    /// # Errors
    /// What the database fails with.
    pub async fn counted_in(
        &self,
        tx: &mut Tx,
        limit: &'static Limit,
        subject: Subject<'_>,
    ) -> Result<Option<(i64, Timestamp)>, Error> {
        let hits = store::find(tx, limit, &subject.digest(&self.0.keys), self.0.clock.now()).await?;
        Ok(hits.map(|hits| (hits.count, hits.expires_at)))
    }

    /// Forgets what was counted, in a transaction that does more. For limits that nobody remembers as refused.
    ///
    /// # Errors
    /// What the database fails with.
    pub async fn forget_in(
        &self,
        tx: &mut Tx,
        limit: &'static Limit,
        subject: Subject<'_>,
    ) -> Result<(), Error> {
        Ok(store::forget(tx, limit, &subject.digest(&self.0.keys)).await?)
    }

    /// Refuses who is remembered as refused; asks nobody else.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub fn refuse_remembered(&self, limit: &'static Limit, subject: Subject<'_>) -> Result<(), Error> {
        self.0.over_limit.check(limit, &subject.digest(&self.0.keys), self.0.clock.now())
    }

    /// Remembers for [`refuse_remembered`](Self::refuse_remembered) that this subject was refused, whatever limit did it.
    pub fn remember(&self, limit: &'static Limit, subject: Subject<'_>, refusal: &Error) {
        if let Error::RateLimited { seconds } = refusal {
            let now = self.0.clock.now();
            let left = i64::try_from(*seconds).unwrap_or(0).saturating_mul(SECOND);
            self.0.over_limit.remember(limit, subject.digest(&self.0.keys), now.plus(left), now);
        }
    }

    async fn write(&self, limit: &'static Limit, digest: &Digest, now: Timestamp) -> Result<Hits, Error> {
        let mut tx = self.0.db.begin().await?;
        let hits = store::count(&mut tx, limit, digest, now).await?;
        tx.commit().await?;
        Ok(hits)
    }

    fn judge(
        &self,
        limit: &'static Limit,
        digest: Digest,
        hits: Hits,
        max: i64,
        now: Timestamp,
    ) -> Result<(), Error> {
        if hits.count <= max {
            return Ok(());
        }
        self.0.over_limit.remember(limit, digest, hits.expires_at, now);
        metrics::counter!(REFUSALS, "limit" => limit.name).increment(1);
        Err(refusal(limit, hits.expires_at, now))
    }

    /// Has counters whose window is over removed now and then.
    pub fn start(&self, tasks: &Tasks) {
        for limit in ALL {
            // Shown from the start, so that the first refusal is seen as one.
            metrics::counter!(REFUSALS, "limit" => limit.name).absolute(0);
        }
        let limits = self.clone();
        tasks.every("limits-sweep", SWEEP_INTERVAL, move || {
            let limits = limits.clone();
            async move { limits.sweep().await }
        });
    }

    /// Removes every counter whose window is over.
    pub async fn sweep(&self) {
        let now = self.0.clock.now();
        self.0.over_limit.sweep(now);
        if let Err(error) = store::delete_expired(&self.0.db, now).await {
            tracing::warn!(%error, "counters whose window is over could not be removed");
        }
    }
}

/// Never longer than the window, whatever clock wrote its end.
fn refusal(limit: &Limit, until: Timestamp, now: Timestamp) -> Error {
    let left = until.millis().saturating_sub(now.millis()).clamp(1, limit.window);
    Error::RateLimited { seconds: left.unsigned_abs().div_ceil(SECOND.unsigned_abs()) }
}

/// Who is over a limit, as far as this node knows. Bounded; what does not fit is asked of the database.
#[derive(Debug, Default)]
struct OverLimit {
    until: Mutex<HashMap<(&'static str, Digest), Timestamp>>,
}

/// How many subjects are remembered.
const REMEMBERED: usize = 16_384;

impl OverLimit {
    fn check(&self, limit: &'static Limit, digest: &Digest, now: Timestamp) -> Result<(), Error> {
        let known = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&(limit.name, *digest)) {
            Some(until) if now < *until => {
                metrics::counter!(REFUSALS, "limit" => limit.name).increment(1);
                Err(refusal(limit, *until, now))
            }
            _ => Ok(()),
        }
    }

    fn remember(&self, limit: &'static Limit, digest: Digest, until: Timestamp, now: Timestamp) {
        let mut known = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, until| now < *until);
        }
        if known.len() < REMEMBERED {
            known.insert((limit.name, digest), until);
        }
    }

    /// Forgets whose window is over.
    fn sweep(&self, now: Timestamp) {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, until| now < *until);
    }
}

/// How often counters whose window is over are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_limits_share_a_counter_and_each_lets_something_through() {
        let names: std::collections::HashSet<_> = ALL.iter().map(|limit| limit.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|limit| limit.max >= 1 && limit.window >= MINUTE));
    }

    #[test]
    fn a_refusal_says_how_many_seconds_are_left_and_never_more_than_the_window() {
        let at = Timestamp::from_millis;
        let seconds = |until: i64, now: i64| match refusal(&SIGN_UP, at(until), at(now)) {
            Error::RateLimited { seconds } => seconds,
            other => panic!("{other:?}"),
        };
        assert_eq!(seconds(10_001, 9_000), 2);
        assert_eq!(seconds(10_000, 9_000), 1);
        assert_eq!(seconds(9_000, 9_000), 1);
        assert_eq!(seconds(100 * HOUR, 0), 3_600);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_ends() {
        let (known, at) = (OverLimit::default(), Timestamp::from_millis);
        for n in 0..u32::try_from(REMEMBERED).unwrap() + 10 {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&n.to_be_bytes());
            known.remember(&SIGN_UP, digest, at(1_000), at(0));
        }
        assert_eq!(known.until.lock().unwrap().len(), REMEMBERED);
        assert!(known.check(&SIGN_UP, &[0; 32], at(999)).is_err());
        assert!(known.check(&LOGIN_BY_NAME, &[0; 32], at(999)).is_ok());
        assert!(known.check(&SIGN_UP, &[0; 32], at(1_000)).is_ok());
        known.sweep(at(1_000));
        assert!(known.until.lock().unwrap().is_empty());
    }
}
