//! Work and memory that grow with what was stored or sent: never on the threads that answer, and never more
//! than a share of all.
//!
//! [`run`] does what is larger than [`SMALL`] on another thread, few at a time and behind everything else
//! that the core has to do. [`Rooms`] bounds the memory that large answers and bodies take together, with a
//! share for each account.

use std::cell::Cell;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

use crate::error::Error;
use crate::shares::{Share, Shares};

/// Up to so many bytes are read, checked or written where the request runs: well under a millisecond.
pub const SMALL: usize = 64 * 1024;
/// How long one waits for room, or for a thread.
const PATIENCE: Duration = Duration::from_secs(5);
const BUSY: Error = Error::Unavailable("Too much large data is on its way; try again");

/// How many threads work at a time. The rest of the core answers.
static SLOTS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Arc::new(Semaphore::new((cores / 2).max(1)))
});
/// How often something was large.
static LARGE: AtomicU64 = AtomicU64::new(0);

/// Does `work` on about so many bytes: here when that is little, else on another thread.
///
/// # Errors
/// [`Error::Unavailable`] when none is free for five seconds; nothing was done then.
pub async fn run<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    if bytes <= SMALL {
        return Ok(work());
    }
    LARGE.fetch_add(1, Ordering::Relaxed);
    let slot = tokio::time::timeout(PATIENCE, Arc::clone(&SLOTS).acquire_owned()).await;
    let slot = slot.map_err(|_| BUSY)?.map_err(Error::internal)?;
    let task = tokio::task::spawn_blocking(move || {
        give_way();
        let done = work();
        drop(slot);
        done
    });
    task.await.map_err(Error::internal)
}

/// What `read` makes of each row. Rows may be long, and many: others have a turn in between.
///
/// # Errors
/// What `read` fails with.
pub async fn each<R, T, E>(rows: Vec<R>, mut read: impl FnMut(&R) -> Result<T, E>) -> Result<Vec<T>, E> {
    /// The longest rows, with 500 realms, take some 30 µs each.
    const TURN: usize = 32;
    let mut done = Vec::with_capacity(rows.len());
    for (n, row) in rows.into_iter().enumerate() {
        if n % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        done.push(read(&row)?);
    }
    Ok(done)
}

/// How often [`run`] took another thread, in this process.
pub fn large() -> u64 {
    LARGE.load(Ordering::Relaxed)
}

/// Lets requests have the core first, for as long as this thread lives: only the privileged may take it back,
/// and it serves no requests.
pub fn give_way() {
    const NICENESS: i32 = 5;
    thread_local!(static GAVE_WAY: Cell<bool> = const { Cell::new(false) });
    if !GAVE_WAY.replace(true) {
        // On Linux it is of this thread alone. Where it is not allowed, work competes as before.
        let _ = rustix::process::nice(NICENESS);
    }
}

/// How many may wait for room, and how many of one holder: each that is freed wakes all of them.
const WAITING: usize = 1_024;
const WAITING_OF_ONE: usize = 32;

/// Memory in KiB, shared out to holders.
#[derive(Debug)]
pub struct Rooms<K> {
    shares: Shares<K>,
    waiting: Shares<K>,
    freed: Arc<Notify>,
}

impl<K> Clone for Rooms<K> {
    fn clone(&self) -> Self {
        Self { shares: self.shares.clone(), waiting: self.waiting.clone(), freed: Arc::clone(&self.freed) }
    }
}

/// Some memory that may be taken until this is dropped.
#[derive(Debug)]
pub struct Room<K: Eq + Hash> {
    share: Option<Share<K>>,
    freed: Arc<Notify>,
}

impl<K: Eq + Hash + Clone> Rooms<K> {
    /// So many bytes, of which one holder may have `of_one`.
    pub fn new(most: usize, of_one: usize) -> Self {
        Self {
            shares: Shares::new(kibibytes(most), kibibytes(of_one)),
            waiting: Shares::new(WAITING, WAITING_OF_ONE),
            freed: Arc::default(),
        }
    }

    /// Waits for room for so many bytes.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none for five seconds, or too many wait already.
    pub async fn take(&self, holder: K, bytes: usize) -> Result<Room<K>, Error> {
        let _waits = self.waiting.take(holder.clone()).map_err(|_| BUSY)?;
        let taking = async {
            loop {
                let freed = self.freed.notified();
                if let Ok(share) = self.shares.take_many(holder.clone(), kibibytes(bytes)) {
                    return Room { share: Some(share), freed: Arc::clone(&self.freed) };
                }
                freed.await;
            }
        };
        tokio::time::timeout(PATIENCE, taking).await.map_err(|_| BUSY)
    }
}

impl<K: Eq + Hash> Drop for Room<K> {
    fn drop(&mut self) {
        self.share = None;
        self.freed.notify_waiters();
    }
}

fn kibibytes(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_small_runs_here_and_what_is_large_elsewhere() {
        let here = std::thread::current().id();
        assert_eq!(run(SMALL, || std::thread::current().id()).await.unwrap(), here);
        assert_ne!(run(SMALL + 1, || std::thread::current().id()).await.unwrap(), here);
    }

    #[tokio::test]
    async fn others_have_a_turn_while_rows_are_read() {
        let turns = Cell::new(0);
        let reading = each((0..100).collect(), |row| Ok::<_, ()>((*row, turns.get())));
        let others = async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
                turns.set(turns.get() + 1);
            }
        };
        let (read, ()) = tokio::join!(biased; reading, others);
        let read = read.unwrap();
        assert!((0..100).eq(read.iter().map(|(row, _)| *row)));
        assert_eq!((read[0].1, read[99].1 > 0), (0, true));
    }

    #[tokio::test]
    async fn a_holder_waits_for_its_own_room_and_others_for_none() {
        let rooms = Rooms::new(1 << 20, 64 << 10);
        let first = rooms.take("a", 40 << 10).await.unwrap();
        let mut second = Box::pin(rooms.take("a", 40 << 10));
        assert!((&mut second).now_or_never().is_none(), "it waits");
        drop(rooms.take("b", 40 << 10).await.unwrap());
        assert!((&mut second).now_or_never().is_none(), "it waits for its own");
        drop(first);
        assert!(second.now_or_never().is_some_and(|room| room.is_ok()));
    }
}
