//! Hashing passwords: Argon2id, few at a time, never more waiting than can be served soon.
//!
//! A permit is held inside the blocking task, so that a client who hangs up does not free a place that is
//! still computing. An unknown account takes the same road and time as a known one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::clock::entropy;
use crate::error::Error;

/// How many may wait for a permit.
const WAITING: usize = 64;
/// How long one may wait.
const WAIT_LIMIT: Duration = Duration::from_secs(2);

/// A password's hash in the PHC string form. Cannot be printed.
#[derive(Clone)]
pub(crate) struct PasswordHash(String);

impl PasswordHash {
    pub(crate) fn from_stored(hash: String) -> Self {
        Self(hash)
    }

    /// The text that is stored.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Makes and checks hashes.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    permits: Arc<Semaphore>,
    places: Arc<Semaphore>,
    /// How many hashes were computed: what a login costs must not tell whether its account exists.
    computed: Arc<AtomicU64>,
    /// What an unknown account's password is held against: the hash of nothing that anyone knows.
    nobody: Arc<PasswordHash>,
}

/// A place in the queue, and leave to compute.
type Permits = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// The turn to check one password. Held until its outcome is dealt with: so many turns at once, and no
/// more, can go past a limit that each has looked at before.
#[derive(Debug)]
pub(crate) struct Turn {
    passwords: Passwords,
    permits: Permits,
}

impl Turn {
    /// Whether `password` is the one behind `hash`; without a hash it takes as long and is false. Gives
    /// the turn back.
    pub(crate) async fn verify(
        self,
        password: &str,
        hash: Option<PasswordHash>,
    ) -> Result<(bool, Self), Error> {
        let password = Zeroizing::new(password.as_bytes().to_vec());
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| PasswordHash::clone(&self.passwords.nobody));
        let (matches, permits) = self.passwords.run(self.permits, move || matches(&password, &hash)).await?;
        Ok((matches? && is_known, Self { passwords: self.passwords, permits }))
    }
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let permits = (cores / 2).max(1);
        let random: [u8; 32] = entropy();
        let nobody = hash(&random).expect("Argon2's default parameters hash any 32 bytes");
        Self {
            permits: Arc::new(Semaphore::new(permits)),
            places: Arc::new(Semaphore::new(permits + WAITING)),
            computed: Arc::default(),
            nobody: Arc::new(nobody),
        }
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many are waiting.
    pub(crate) async fn hash(&self, password: &str) -> Result<PasswordHash, Error> {
        let password = Zeroizing::new(password.as_bytes().to_vec());
        let permits = self.enter().await?;
        self.run(permits, move || hash(&password)).await?.0
    }

    /// Waits for a turn to check a password. What else a check needs is read when it has come, so that
    /// whoever is told to come back costs nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many are waiting.
    pub(crate) async fn turn(&self) -> Result<Turn, Error> {
        Ok(Turn { passwords: self.clone(), permits: self.enter().await? })
    }

    /// How many hashes were computed since the start.
    pub(crate) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(
        &self,
        permits: Permits,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, Permits), Error> {
        self.computed.fetch_add(1, Ordering::Relaxed);
        // When nobody waits for the outcome any more, the permits go back with it, at the end of the work.
        let task = tokio::task::spawn_blocking(move || (work(), permits));
        task.await.map_err(Error::internal)
    }

    async fn enter(&self) -> Result<Permits, Error> {
        const BUSY: Error = Error::Unavailable("Too many sign-ins at once; try again");
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| BUSY)?;
        let permit = tokio::time::timeout(WAIT_LIMIT, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| BUSY)?.map_err(Error::internal)?;
        Ok((place, permit))
    }
}

fn hash(password: &[u8]) -> Result<PasswordHash, Error> {
    let salt: [u8; 16] = entropy();
    let hash = Argon2::default().hash_password_with_salt(password, &salt);
    hash.map(|hash| PasswordHash(hash.to_string()))
        .map_err(|error| Error::internal(anyhow::anyhow!("{error}")))
}

fn matches(password: &[u8], hash: &PasswordHash) -> Result<bool, Error> {
    let hash = Phc::new(&hash.0).map_err(unreadable)?;
    Ok(Argon2::default().verify_password(password, &hash).is_ok())
}

fn unreadable(_: argon2::password_hash::phc::Error) -> Error {
    Error::internal(anyhow::anyhow!("a stored password hash cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_right_password_opens_and_nothing_else_does() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse battery").await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let turn = passwords.turn().await.unwrap();
        let (is_right, turn) = turn.verify("correct horse battery", Some(hash.clone())).await.unwrap();
        assert!(is_right);
        let (is_right, turn) = turn.verify("correct horse batterz", Some(hash)).await.unwrap();
        assert!(!is_right);
        assert!(!turn.verify("correct horse battery", None).await.unwrap().0);
    }

    /// Threat 29: memory is bounded by permits, and who would wait too long is told so before any work.
    #[tokio::test]
    async fn threat_29_more_than_can_be_served_are_told_to_come_back() {
        let passwords = Passwords::new();
        let held = passwords.places.clone().acquire_many_owned(passwords.places.available_permits() as u32);
        let held = held.await.unwrap();
        let refused = passwords.hash("correct horse battery").await;
        assert!(matches!(refused, Err(Error::Unavailable(_))));
        assert!(matches!(passwords.turn().await, Err(Error::Unavailable(_))));
        drop(held);
        assert!(passwords.hash("correct horse battery").await.is_ok());
    }
}
