//! Hashing passwords: Argon2id, few at a time, never more waiting than can be served soon.
//!
//! A permit is held inside the blocking task, so that a client who hangs up does not free a place that is
//! still computing. An unknown account takes the same road and time as a known one.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
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
    memories: Memories,
    /// How many places there are.
    most: usize,
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
        let memories = self.passwords.memories.clone();
        let work = move || matches(&password, &hash, &memories);
        let (matches, permits) = self.passwords.run(self.permits, work).await?;
        Ok((matches? && is_known, Self { passwords: self.passwords, permits }))
    }
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let permits = (cores / 2).max(1);
        let most = permits + WAITING;
        // Not computed from anything, so that a server starts at once: to hold a password against it costs
        // the same.
        let random: [u8; Params::DEFAULT_OUTPUT_LEN] = entropy();
        let nobody = Output::new(&random).map_err(unreadable).and_then(|output| written(output, entropy()));
        Self {
            permits: Arc::new(Semaphore::new(permits)),
            places: Arc::new(Semaphore::new(most)),
            computed: Arc::default(),
            nobody: Arc::new(nobody.expect("Argon2's default parameters can be written")),
            memories: Memories::default(),
            most,
        }
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many are waiting.
    pub(crate) async fn hash(&self, password: &str) -> Result<PasswordHash, Error> {
        let password = Zeroizing::new(password.as_bytes().to_vec());
        let permits = self.enter().await?;
        let memories = self.memories.clone();
        self.run(permits, move || hash(&password, &memories)).await?.0
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
        let (places, memories, most) = (Arc::clone(&self.places), self.memories.clone(), self.most);
        // When nobody waits for the outcome any more, the permits go back with it, at the end of the work.
        let task = tokio::task::spawn_blocking(move || {
            give_way();
            let done = work();
            if places.available_permits() + 1 >= most {
                memories.free();
            }
            (done, permits)
        });
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

/// Lets requests have the core first: a hash takes tens of milliseconds of one. For good, since only the
/// privileged may take it back; this thread serves no requests.
fn give_way() {
    const NICENESS: i32 = 5;
    thread_local!(static GAVE_WAY: Cell<bool> = const { Cell::new(false) });
    if !GAVE_WAY.replace(true) {
        // On Linux it is of this thread alone. Where it is not allowed, hashes compete as before.
        let _ = rustix::process::nice(NICENESS);
    }
}

/// The memory that hashes are computed in, 19 MiB for each permit: kept from one to the next while others
/// wait, and given back to the system when nobody does.
#[derive(Clone, Default)]
struct Memories(Arc<Mutex<Vec<Vec<Block>>>>);

impl fmt::Debug for Memories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memories(..)")
    }
}

/// In blocks of 1 KiB: glibc's largest threshold (`DEFAULT_MMAP_THRESHOLD_MAX`), and some more.
const RESERVED: usize = 33 * 1024;

impl Memories {
    fn free(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What `argon2` makes of `password` and `salt`.
    fn compute(
        &self,
        argon2: &Argon2<'_>,
        password: &[u8],
        salt: &[u8],
        length: usize,
    ) -> Result<Output, Error> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The allocator takes what is as large as that from the system, and gives it back when it is freed;
        // less would stay with the thread that computed. What is not touched costs nothing.
        let mut memory = kept().pop().unwrap_or_else(|| Vec::with_capacity(RESERVED));
        memory.resize(argon2.params().block_count(), Block::default());
        let mut out = Zeroizing::new(vec![0; length]);
        let done = argon2.hash_password_into_with_memory(password, salt, &mut out, &mut memory);
        kept().push(memory);
        done.map_err(|error| Error::internal(anyhow::anyhow!("{error}")))?;
        Output::new(&out).map_err(unreadable)
    }
}

fn hash(password: &[u8], memories: &Memories) -> Result<PasswordHash, Error> {
    let salt: [u8; 16] = entropy();
    let argon2 = Argon2::default();
    let output = memories.compute(&argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN)?;
    written(output, salt)
}

/// In the form that is stored.
fn written(output: Output, salt: [u8; 16]) -> Result<PasswordHash, Error> {
    let argon2 = Argon2::default();
    let hash = Phc {
        algorithm: Algorithm::default().ident(),
        version: Some(Version::default().into()),
        params: ParamsString::try_from(argon2.params()).map_err(unreadable)?,
        salt: Some(Salt::new(&salt).map_err(unreadable)?),
        hash: Some(output),
    };
    Ok(PasswordHash(hash.to_string()))
}

fn matches(password: &[u8], hash: &PasswordHash, memories: &Memories) -> Result<bool, Error> {
    let hash = Phc::new(&hash.0).map_err(unreadable)?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(unreadable)?;
    let version = hash.version.map(Version::try_from).transpose().map_err(unreadable)?;
    let params = Params::try_from(&hash).map_err(unreadable)?;
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return Err(unreadable("empty")) };
    let argon2 = Argon2::new(algorithm, version.unwrap_or_default(), params);
    let output = memories.compute(&argon2, password, salt, expected.len())?;
    // In constant time: see `Output`.
    Ok(output == *expected)
}

fn unreadable(_: impl fmt::Display) -> Error {
    Error::internal(anyhow::anyhow!("a stored password hash cannot be read"))
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordHasher as _;

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

    #[tokio::test]
    async fn a_hash_of_another_cost_is_read_and_memory_is_kept_while_others_wait() {
        let passwords = Passwords::new();
        let other_waits = passwords.places.clone().acquire_owned().await.unwrap();
        // As the library itself makes it.
        let other =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 2, Some(24)).unwrap());
        let other = other.hash_password_with_salt(b"correct horse battery", b"somesalt0000").unwrap();
        let other = PasswordHash::from_stored(other.to_string());
        for (given, expected) in [("correct horse battery", true), ("correct horse batterz", false)] {
            let turn = passwords.turn().await.unwrap();
            assert_eq!(turn.verify(given, Some(other.clone())).await.unwrap().0, expected);
        }
        let broken = PasswordHash::from_stored("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ".to_owned());
        assert!(passwords.turn().await.unwrap().verify("correct horse battery", Some(broken)).await.is_err());
        assert_eq!(passwords.memories.0.lock().unwrap().len(), 1);
        drop(other_waits);
        assert!(!passwords.turn().await.unwrap().verify("correct horse battery", None).await.unwrap().0);
        assert!(passwords.memories.0.lock().unwrap().is_empty());
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
