//! Hashing passwords: Argon2id, few at a time, never more waiting than can be served soon. `queue` says who
//! waits, and who is next.
//!
//! A permit is held inside the blocking task, so that a client who hangs up does not free a place that is
//! still computing. An unknown account takes the same road and time as a known one.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use hoody_core::password::prepare;
use zeroize::Zeroizing;

use super::queue::{Asker, Look, Looks, Permit, Queue};
use hoody_engine::clock::entropy;
use hoody_engine::error::Error;
use hoody_engine::work::give_way;

const BUSY: Error = Error::Unavailable("Too many sign-ins at once; try again");

/// A password's hash in the PHC string form. Cannot be printed.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    pub fn from_stored(hash: String) -> Self {
        Self(hash)
    }

    /// The text that is stored.
    pub fn expose(&self) -> &str {
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
pub struct Passwords {
    queue: Arc<Queue>,
    looks: Arc<Looks>,
    /// How many hashes were computed: what a login costs must not tell whether its account exists.
    computed: Arc<AtomicU64>,
    /// What an unknown account's password is held against: the hash of nothing that anyone knows.
    nobody: Arc<PasswordHash>,
    memories: Memories,
}

/// The turn to check one password. Held until its outcome is dealt with: so many turns at once, and no
/// more, can go past a limit that each has looked at before.
#[derive(Debug)]
pub struct Turn {
    passwords: Passwords,
    permit: Permit,
}

/// What a password is to a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another one.
    Wrong,
    /// The one behind it.
    Right,
    /// The one behind it, hashed as it was typed: by a version that did not prepare passwords.
    RightAsTyped,
}

impl Verdict {
    pub fn is_right(self) -> bool {
        self != Self::Wrong
    }
}

impl Turn {
    /// What `password` is to `hash`; without a hash it takes as long and is wrong. Gives the turn back.
    ///
    /// A text whose form is not the prepared one is tried as it is too, whoever it is for: it takes two
    /// hashes then.
    pub async fn verify(self, password: &str, hash: Option<PasswordHash>) -> Result<(Verdict, Self), Error> {
        let prepared = prepare(password);
        let typed = (*prepared != password).then(|| Zeroizing::new(password.as_bytes().to_vec()));
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| PasswordHash::clone(&self.passwords.nobody));
        let memories = self.passwords.memories.clone();
        let computed = Arc::clone(&self.passwords.computed);
        let work = move || {
            if matches(prepared.as_bytes(), &hash, &memories)? {
                return Ok(Verdict::Right);
            }
            let Some(typed) = typed else { return Ok(Verdict::Wrong) };
            computed.fetch_add(1, Ordering::Relaxed);
            let is_right = matches(&typed, &hash, &memories)?;
            Ok(if is_right { Verdict::RightAsTyped } else { Verdict::Wrong })
        };
        let (verdict, permit) = self.passwords.run(self.permit, work).await?;
        let verdict: Result<_, Error> = verdict;
        let verdict = if is_known { verdict? } else { Verdict::Wrong };
        Ok((verdict, Self { passwords: self.passwords, permit }))
    }

    /// The hash of a password that was just checked. Gives the turn back.
    pub async fn hash(self, password: &str) -> Result<(PasswordHash, Self), Error> {
        let prepared = prepare(password);
        let memories = self.passwords.memories.clone();
        let work = move || hash(prepared.as_bytes(), &memories);
        let (hash, permit) = self.passwords.run(self.permit, work).await?;
        Ok((hash?, Self { passwords: self.passwords, permit }))
    }
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // Not computed from anything, so that a server starts at once: to hold a password against it costs
        // the same.
        let nobody = Self::unusable();
        Self {
            queue: Arc::new(Queue::new((cores / 2).max(1))),
            looks: Arc::default(),
            computed: Arc::default(),
            nobody: Arc::new(nobody.expect("Argon2's default parameters can be written")),
            memories: Memories::default(),
        }
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many are waiting.
    pub async fn hash(&self, password: &str, asker: Asker) -> Result<PasswordHash, Error> {
        let prepared = prepare(password);
        let permit = self.enter(asker).await?;
        let memories = self.memories.clone();
        self.run(permit, move || hash(prepared.as_bytes(), &memories)).await?.0
    }

    /// The hash of a text as it is, as older versions made it; for tests.
    pub async fn hash_as_typed(&self, password: &str) -> Result<PasswordHash, Error> {
        let typed = Zeroizing::new(password.as_bytes().to_vec());
        let permit = self.enter(Asker::Operator).await?;
        let memories = self.memories.clone();
        self.run(permit, move || hash(&typed, &memories)).await?.0
    }

    /// A hash that no password has: to sign in, a new one has to be set first. Any version reads it, and to
    /// check against it takes as long as against another.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written.
    pub fn unusable() -> Result<PasswordHash, Error> {
        let random: [u8; Params::DEFAULT_OUTPUT_LEN] = entropy();
        written(Output::new(&random).map_err(unreadable)?, entropy())
    }

    /// Waits for leave to look up who signs in from `address`, which says in what line to wait.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many are looked up.
    pub async fn look(&self, address: IpAddr) -> Result<Look, Error> {
        self.looks.enter(address).await.ok_or(BUSY)
    }

    /// Waits for a turn to check a password.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many are waiting.
    pub async fn turn(&self, asker: Asker) -> Result<Turn, Error> {
        Ok(Turn { passwords: self.clone(), permit: self.enter(asker).await? })
    }

    /// How many hashes were computed since the start.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(
        &self,
        permit: Permit,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, Permit), Error> {
        self.computed.fetch_add(1, Ordering::Relaxed);
        let (queue, memories) = (Arc::clone(&self.queue), self.memories.clone());
        // When nobody waits for the outcome any more, the permit goes back with it, at the end of the work.
        let task = tokio::task::spawn_blocking(move || {
            give_way();
            let done = work();
            if queue.is_quiet() {
                memories.free();
            }
            (done, permit)
        });
        task.await.map_err(Error::internal)
    }

    async fn enter(&self, asker: Asker) -> Result<Permit, Error> {
        let permit = self.queue.enter(asker).await;
        permit.ok_or(BUSY)
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
        let hash = passwords.hash("correct horse battery", Asker::Operator).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let turn = passwords.turn(Asker::Operator).await.unwrap();
        let (is_right, turn) = turn.verify("correct horse battery", Some(hash.clone())).await.unwrap();
        assert_eq!(is_right, Verdict::Right);
        let (is_right, turn) = turn.verify("correct horse batterz", Some(hash)).await.unwrap();
        assert_eq!(is_right, Verdict::Wrong);
        assert_eq!(turn.verify("correct horse battery", None).await.unwrap().0, Verdict::Wrong);
    }

    #[tokio::test]
    async fn composed_or_decomposed_it_is_one_password_and_an_old_hash_is_tried_as_typed() {
        let passwords = Passwords::new();
        let (composed, decomposed) = ("Caf\u{e9}-\u{c4}rger-12", "Cafe\u{301}-A\u{308}rger-12");
        let verdict = async |text: &str, hash: &PasswordHash| {
            let turn = passwords.turn(Asker::Operator).await.unwrap();
            turn.verify(text, Some(hash.clone())).await.unwrap().0
        };
        for set in [composed, decomposed] {
            let new = passwords.hash(set, Asker::Operator).await.unwrap();
            assert_eq!(verdict(composed, &new).await, Verdict::Right);
            assert_eq!(verdict(decomposed, &new).await, Verdict::Right);
        }
        let old = passwords.hash_as_typed(decomposed).await.unwrap();
        assert_eq!(verdict(decomposed, &old).await, Verdict::RightAsTyped);
        assert_eq!(verdict(composed, &old).await, Verdict::Wrong);
        // As much work for nobody as for somebody.
        let before = passwords.computed();
        assert_eq!(verdict(&decomposed.replace('C', "K"), &old).await, Verdict::Wrong);
        let known = passwords.computed() - before;
        let turn = passwords.turn(Asker::Operator).await.unwrap();
        assert_eq!(turn.verify(decomposed, None).await.unwrap().0, Verdict::Wrong);
        assert_eq!(passwords.computed() - before - known, known);
    }

    #[tokio::test]
    async fn nothing_opens_an_unusable_hash() {
        let passwords = Passwords::new();
        let turn = passwords.turn(Asker::Operator).await.unwrap();
        let (verdict, _) =
            turn.verify("correct horse battery", Some(Passwords::unusable().unwrap())).await.unwrap();
        assert_eq!(verdict, Verdict::Wrong);
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_read_and_memory_is_kept_while_others_wait() {
        let passwords = Passwords::new();
        // As the library itself makes it.
        let stored =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 2, Some(24)).unwrap());
        let stored = stored.hash_password_with_salt(b"correct horse battery", b"somesalt0000").unwrap();
        let stored = PasswordHash::from_stored(stored.to_string());
        let mut turns = Vec::new();
        for _ in 0..passwords.queue.most() {
            turns.push(passwords.turn(Asker::Operator).await.unwrap());
        }
        let mut other = Box::pin(passwords.turn(Asker::Operator));
        assert!(futures_util::poll!(other.as_mut()).is_pending());
        let mut turn = turns.pop().unwrap();
        for (given, expected) in [("correct horse battery", true), ("correct horse batterz", false)] {
            let (is_right, again) = turn.verify(given, Some(stored.clone())).await.unwrap();
            assert_eq!(is_right.is_right(), expected);
            turn = again;
        }
        let broken = PasswordHash::from_stored("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ".to_owned());
        assert!(turn.verify("correct horse battery", Some(broken)).await.is_err());
        assert_eq!(passwords.memories.0.lock().unwrap().len(), 1);
        turns.clear();
        assert!(!other.await.unwrap().verify("correct horse battery", None).await.unwrap().0.is_right());
        assert!(passwords.memories.0.lock().unwrap().is_empty());
    }

    /// Threat 29: memory is bounded by permits, and who would wait too long is told so before any work.
    #[tokio::test]
    async fn threat_29_more_than_can_be_served_are_told_to_come_back() {
        let passwords = Passwords::new();
        let stranger = Asker::Stranger([192, 0, 2, 1].into());
        let mut held = Vec::new();
        for _ in 0..passwords.queue.most() {
            held.push(passwords.turn(Asker::Operator).await.unwrap());
        }
        let mut waiting = Vec::new();
        let refused = loop {
            let mut one = Box::pin(passwords.turn(stranger));
            match futures_util::poll!(one.as_mut()) {
                std::task::Poll::Pending => waiting.push(one),
                std::task::Poll::Ready(refused) => break refused,
            }
        };
        assert!(matches!(refused, Err(Error::Unavailable(_))));
        assert!(matches!(
            passwords.hash("correct horse battery", stranger).await,
            Err(Error::Unavailable(_))
        ));
        assert!(waiting.len() < 40 && passwords.computed() == 0);
        drop((waiting, held));
        assert!(passwords.hash("correct horse battery", Asker::Operator).await.is_ok());
    }
}
