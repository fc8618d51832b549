//! Memory that requests and answers take while they wait for their client: counted for each connection,
//! each neighbourhood of addresses and in all, so that nobody can take more than a share.
//!
//! A request begins only while its connection and its neighbourhood have room; until then it waits, which
//! slows down a client that asks faster than it reads. An answer beyond the hard limits is dropped for a
//! short refusal. Whoever holds little is never refused because others hold much.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hoody_core::address::neighbourhood;
use tokio::sync::Notify;

use super::connection::Connection;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// Beyond these no further request begins: for a connection, a neighbourhood, in all.
const SOFT: Limits = Limits { connection: MIB, neighbourhood: 16 * MIB, all: 128 * MIB, little: 256 * KIB };
/// Beyond these nothing more is held. The largest answer, a value of the vault, counts in the vault.
const HARD: Limits =
    Limits { connection: 16 * MIB, neighbourhood: 64 * MIB, all: 256 * MIB, little: 512 * KIB };
/// How long a request waits for room.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a request counts for until the size of its answer is known, beside its head.
const REQUEST: usize = 8 * KIB;

#[derive(Debug, Clone, Copy)]
struct Limits {
    connection: usize,
    neighbourhood: usize,
    all: usize,
    /// What a neighbourhood may hold however much all others hold.
    little: usize,
}

/// What is held in all, and by whom.
#[derive(Debug, Default)]
pub(super) struct Memory {
    all: AtomicUsize,
    holders: Mutex<HashMap<IpAddr, Weak<Holder>>>,
    /// Requests that wait for room, and what wakes them.
    waiting: AtomicUsize,
    freed: Notify,
}

/// What the clients of one neighbourhood hold.
#[derive(Debug)]
struct Holder {
    memory: Arc<Memory>,
    address: IpAddr,
    held: AtomicUsize,
}

/// Who holds: a connection, and the neighbourhood of its client.
#[derive(Debug, Clone)]
pub struct ClientMemory {
    connection: Arc<Connection>,
    holder: Arc<Holder>,
}

/// Bytes that are held; given back when dropped.
#[derive(Debug)]
pub struct Held {
    client: ClientMemory,
    bytes: usize,
}

impl Memory {
    /// The share of a client at `address`, on `connection`.
    pub(super) fn of(self: &Arc<Self>, connection: &Arc<Connection>, address: IpAddr) -> ClientMemory {
        let address = neighbourhood(address);
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let known = holders.get(&address).and_then(Weak::upgrade);
        let holder = known.unwrap_or_else(|| {
            let holder = Arc::new(Holder { memory: Arc::clone(self), address, held: AtomicUsize::new(0) });
            holders.insert(address, Arc::downgrade(&holder));
            holder
        });
        ClientMemory { connection: Arc::clone(connection), holder }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let mut holders = self.memory.holders.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have begun anew meanwhile.
        if holders.get(&self.address).is_some_and(|holder| holder.strong_count() == 0) {
            holders.remove(&self.address);
        }
    }
}

impl ClientMemory {
    /// Waits until a request with a head of so many bytes may begin; `None` when there was no room in time.
    pub(super) async fn begin(&self, head: usize) -> Option<Held> {
        let bytes = REQUEST + head;
        if let Some(held) = self.hold_within(bytes, SOFT) {
            return Some(held);
        }
        metrics::counter!("hoody_requests_held_back_total").increment(1);
        let memory = &self.holder.memory;
        let _waiting = Waiting::new(memory);
        let room = async {
            loop {
                let freed = memory.freed.notified();
                if let Some(held) = self.hold_within(bytes, SOFT) {
                    return held;
                }
                freed.await;
            }
        };
        tokio::time::timeout(PATIENCE, room).await.ok()
    }

    /// Holds so many bytes more, if there is room.
    pub fn hold(&self, bytes: usize) -> Option<Held> {
        self.hold_within(bytes, HARD)
    }

    /// Holds what cannot be given up.
    pub(super) fn hold_anyway(&self, bytes: usize) -> Held {
        self.add(bytes);
        Held { client: self.clone(), bytes }
    }

    fn add(&self, bytes: usize) {
        self.connection.held.fetch_add(bytes, Ordering::Relaxed);
        self.holder.held.fetch_add(bytes, Ordering::Relaxed);
        self.holder.memory.all.fetch_add(bytes, Ordering::SeqCst);
    }

    fn subtract(&self, bytes: usize) {
        self.connection.held.fetch_sub(bytes, Ordering::Relaxed);
        self.holder.held.fetch_sub(bytes, Ordering::Relaxed);
        self.holder.memory.all.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// Counts first and looks then: of two that come at once, no more than both are too many.
    fn hold_within(&self, bytes: usize, limits: Limits) -> Option<Held> {
        self.add(bytes);
        let connection = self.connection.held.load(Ordering::Relaxed);
        let neighbourhood = self.holder.held.load(Ordering::Relaxed);
        let all = self.holder.memory.all.load(Ordering::SeqCst);
        // The only thing that a connection holds may be as large as its neighbourhood's share.
        let is_within = (connection <= limits.connection || connection == bytes)
            && neighbourhood <= limits.neighbourhood
            && (all <= limits.all || neighbourhood <= limits.little);
        if is_within {
            return Some(Held { client: self.clone(), bytes });
        }
        // Nothing was freed by that: who waits is not woken.
        self.subtract(bytes);
        None
    }
}

/// A request that waits for room.
struct Waiting<'a>(&'a Memory);

impl<'a> Waiting<'a> {
    fn new(memory: &'a Memory) -> Self {
        memory.waiting.fetch_add(1, Ordering::SeqCst);
        Self(memory)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Held {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.client.subtract(self.bytes);
        let memory = &self.client.holder.memory;
        if self.bytes > 0 && memory.waiting.load(Ordering::SeqCst) > 0 {
            memory.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn client(memory: &Arc<Memory>, address: &str) -> ClientMemory {
        let address: IpAddr = address.parse().unwrap();
        memory.of(&Connection::new((address, 1).into()), address)
    }

    #[test]
    fn a_connection_and_a_neighbourhood_have_their_limits() {
        let memory = Arc::<Memory>::default();
        let one = client(&memory, "2001:db8::1");
        let large = one.hold(40 * MIB).expect("the only thing that it holds");
        assert!(one.hold(1).is_none(), "nothing beside it");
        let other = client(&memory, "2001:db8::2");
        let more = other.hold(24 * MIB).expect("up to the limit of the neighbourhood");
        assert!(client(&memory, "2001:db8::3").hold(1).is_none());
        assert!(client(&memory, "2001:db8:0:1::1").hold(MIB).is_some());
        drop((large, more));
        assert!(one.hold(MIB).is_some());
        drop((one, other));
        assert_eq!(memory.all.load(Ordering::SeqCst), 0);
        assert!(memory.holders.lock().unwrap().is_empty());
    }

    #[test]
    fn who_holds_little_is_not_refused_for_what_others_hold() {
        let memory = Arc::<Memory>::default();
        let many: Vec<_> = (0..4)
            .map(|n| client(&memory, &format!("192.0.2.{n}")).hold(64 * MIB).expect("its share"))
            .collect();
        let late = client(&memory, "198.51.100.1");
        assert!(late.hold(MIB).is_none());
        assert!(late.hold(100 * KIB).is_some());
        assert!(late.begin(1_000).now_or_never().flatten().is_some());
        drop(many);
    }

    #[tokio::test]
    async fn a_request_waits_for_room() {
        let memory = Arc::<Memory>::default();
        let one = client(&memory, "192.0.2.1");
        let answers: Vec<_> = (0..4).map(|_| one.hold(MIB).unwrap()).collect();
        let mut waits = Box::pin(one.begin(0));
        assert!(waits.as_mut().now_or_never().is_none(), "nothing is read");
        assert!(client(&memory, "192.0.2.1").begin(0).now_or_never().flatten().is_some());
        drop(answers);
        assert!(waits.await.is_some());
        let _full = one.hold(MIB);
        assert!(Box::pin(one.begin(0)).as_mut().now_or_never().is_none());
        assert_eq!(memory.waiting.load(Ordering::SeqCst), 0, "one that is given up is forgotten");
    }
}
