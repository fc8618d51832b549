//! Where requests leave their rows: one buffer in memory, taken as a whole by the one that writes.
//!
//! The buffer is bounded. A request that finds it full waits for room: the log slows requests down, and a
//! counter says so. Who waits in vain for [`ROOM_LIMIT`], or leaves, finds some more room; when that is
//! full too, the row is given up, counted and told. While rows cannot be stored at all, on a full disk for
//! instance, nobody waits. With `--activity-durability=committed` a request whose row is not stored in time is
//! answered 503.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hoody_core::activity::redact::{MAX_AGENT, MAX_PATH};
use hoody_core::activity::{Method, Series, Via};
use hoody_core::grant::Credential;
use hoody_core::id::{GateId, RealmId, UserId};
use hoody_core::permissions::AnyPermission;
use hoody_core::time::Timestamp;
use tokio::sync::{Notify, watch};

/// The routes that read the log.
const OWN_PATH: &str = "/api/v1/users/auth/activity";
/// How many rows wait at most.
pub(super) const CAPACITY: usize = 8_192;
/// How many with those of clients that left, and of requests that waited in vain.
const LAST_ROOM: usize = 2 * CAPACITY;
/// The writer is woken when so many wait; otherwise it comes by itself.
const HIGH: usize = CAPACITY / 2;
/// How long a request waits for room, or for its row to be stored.
const ROOM_LIMIT: Duration = Duration::from_secs(5);

/// What a request leaves. Texts are as they came: they are cleaned by the writer.
#[derive(Debug, Clone, Copy)]
pub struct What<'a> {
    pub account: UserId,
    pub credential: Option<Credential>,
    pub realm: Option<RealmId>,
    pub address: IpAddr,
    pub permission: Option<AnyPermission>,
    pub method: &'a str,
    pub status: u16,
    pub reason: Option<&'static str>,
    pub path: &'a str,
    pub agent: Option<&'a [u8]>,
    /// The gate that was asked, for a request to another service; its `path` is then that request's.
    pub gate: Option<AtGate<'a>>,
    pub at: Timestamp,
    pub micros: u64,
}

/// At which gate a proxy asked, and about which host.
#[derive(Debug, Clone, Copy)]
pub struct AtGate<'a> {
    pub via: Via,
    pub gate: Option<GateId>,
    pub host: &'a str,
}

/// A row that waits; its texts are in the buffer beside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) account: UserId,
    pub(super) credential: Option<Credential>,
    pub(super) series: Series,
    pub(super) address: IpAddr,
    pub(super) permission: Option<AnyPermission>,
    pub(super) reason: Option<&'static str>,
    pub(super) at: Timestamp,
    pub(super) micros: u64,
    /// How many bytes of the texts are its path, and then its agent.
    pub(super) path: usize,
    pub(super) agent: Option<usize>,
    /// The gate, and how many bytes after the agent are its host.
    pub(super) gate: Option<(Via, Option<GateId>, usize)>,
}

/// Rows with their texts, one after the other.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) entries: Vec<Entry>,
    pub(super) texts: Vec<u8>,
}

#[derive(Debug, Default)]
struct Pending {
    buffer: Buffer,
    /// How many were ever left here, given up or not.
    left: u64,
    /// How many were given up and not told to the writer.
    lost: u64,
}

/// What the writer takes.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) buffer: Buffer,
    /// Everything up to here is taken.
    pub(super) upto: u64,
    pub(super) lost: u64,
}

/// The buffer and those who wait at it.
#[derive(Debug)]
pub struct Queue {
    pending: Mutex<Pending>,
    wake: Notify,
    /// Everything up to here is stored or given up.
    stored: watch::Sender<u64>,
    /// Whether the last try to store rows failed.
    is_stuck: AtomicBool,
    pub(super) is_committed: bool,
}

/// A request that waits for room; if it stops waiting, its row is left all the same.
struct Waiting<'a> {
    queue: &'a Queue,
    what: &'a What<'a>,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.queue.record_now(self.what);
        }
    }
}

/// The row could not be stored in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotLogged;

impl Queue {
    pub(super) fn new(is_committed: bool) -> Self {
        Self {
            pending: Mutex::default(),
            wake: Notify::new(),
            stored: watch::Sender::new(0),
            is_stuck: AtomicBool::new(false),
            is_committed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a row, also when the caller stops waiting; waits for room, and with `committed` until it is
    /// stored.
    ///
    /// # Errors
    /// With `committed`, when it was not stored in time.
    pub async fn record(&self, what: &What<'_>) -> Result<(), NotLogged> {
        let place = match self.push(what, CAPACITY) {
            Some(place) => place,
            None => match tokio::time::timeout(ROOM_LIMIT, self.wait_for_room(what)).await {
                // The row has found the last room, or is counted as lost.
                Ok(None) | Err(_) if self.is_committed => return Err(NotLogged),
                Ok(None) | Err(_) => return Ok(()),
                Ok(Some(place)) => place,
            },
        };
        if !self.is_committed {
            return Ok(());
        }
        self.wake.notify_one();
        let mut stored = self.stored.subscribe();
        let over = stored.wait_for(|upto| *upto >= place || self.is_stuck());
        match tokio::time::timeout(ROOM_LIMIT, over).await {
            Ok(Ok(upto)) if *upto >= place => Ok(()),
            _ => Err(NotLogged),
        }
    }

    /// Whether the last try to store rows failed.
    pub fn is_stuck(&self) -> bool {
        self.is_stuck.load(Ordering::SeqCst)
    }

    /// Rows can be stored, or not.
    pub(super) fn set_stuck(&self, is_stuck: bool) {
        if self.is_stuck.swap(is_stuck, Ordering::SeqCst) != is_stuck {
            // Nobody waits in vain.
            self.stored.send_modify(|_| {});
        }
    }

    /// Leaves a row if there is room and nobody has to wait for it.
    pub fn try_record(&self, what: &What<'_>) -> bool {
        !self.is_committed && self.push(what, CAPACITY).is_some()
    }

    /// Whether every request waits for its row.
    pub fn makes_wait(&self) -> bool {
        self.is_committed
    }

    /// Leaves the row of a request whose client is gone. Nothing can wait for it.
    pub fn record_now(&self, what: &What<'_>) {
        if self.push(what, LAST_ROOM).is_none() {
            self.give_up();
        }
    }

    /// The row's place; `None` when `capacity` rows wait.
    fn push(&self, what: &What<'_>, capacity: usize) -> Option<u64> {
        let mut pending = self.lock();
        if pending.buffer.entries.len() >= capacity {
            return None;
        }
        let path = &what.path.as_bytes()[..what.path.len().min(MAX_PATH)];
        let agent = what.agent.map(|agent| &agent[..agent.len().min(MAX_AGENT)]);
        pending.buffer.texts.extend_from_slice(path);
        pending.buffer.texts.extend_from_slice(agent.unwrap_or_default());
        let host = what.gate.map_or("", |gate| gate.host).as_bytes();
        let host = &host[..host.len().min(MAX_PATH)];
        pending.buffer.texts.extend_from_slice(host);
        pending.buffer.entries.push(Entry {
            account: what.account,
            credential: what.credential,
            series: Series {
                status: what.status,
                method: Method::of(what.method),
                realm: what.realm,
                // One that was refused read nothing.
                reads_log: what.status == 200
                    && what.method == "GET"
                    && what.gate.is_none()
                    && what.path.starts_with(OWN_PATH),
            },
            address: what.address,
            permission: what.permission,
            reason: what.reason,
            at: what.at,
            micros: what.micros,
            path: path.len(),
            agent: agent.map(<[u8]>::len),
            gate: what.gate.map(|gate| (gate.via, gate.gate, host.len())),
        });
        pending.left += 1;
        let (place, is_high) = (pending.left, pending.buffer.entries.len() == HIGH);
        drop(pending);
        if is_high {
            self.wake.notify_one();
        }
        Some(place)
    }

    /// `None` when there is none to be expected.
    async fn wait_for_room(&self, what: &What<'_>) -> Option<u64> {
        metrics::counter!("hoody_activity_waits_total").increment(1);
        let mut waiting = Waiting { queue: self, what, is_over: false };
        let mut stored = self.stored.subscribe();
        loop {
            stored.mark_unchanged();
            if let Some(place) = self.push(what, CAPACITY) {
                waiting.is_over = true;
                return Some(place);
            }
            if self.is_stuck() {
                return None;
            }
            // The writer frees room when it takes, and says so.
            let _ = stored.changed().await;
        }
    }

    fn give_up(&self) {
        metrics::counter!("hoody_activity_lost_total").increment(1);
        self.lock().lost += 1;
    }

    /// Waits until there is reason to write: many rows, a request that waits, or the end of `pause`.
    pub(super) async fn wait(&self, pause: Duration) {
        let _ = tokio::time::timeout(pause, self.wake.notified()).await;
    }

    /// Everything that waits; `spare` is filled next. `None` when there is nothing.
    pub(super) fn take(&self, spare: &mut Buffer) -> Option<Taken> {
        let mut pending = self.lock();
        if pending.buffer.entries.is_empty() && pending.lost == 0 {
            return None;
        }
        let buffer = std::mem::replace(&mut pending.buffer, std::mem::take(spare));
        let taken = Taken { buffer, upto: pending.left, lost: std::mem::take(&mut pending.lost) };
        drop(pending);
        // Room for those who wait.
        self.stored.send_modify(|_| {});
        Some(taken)
    }

    /// Everything up to `upto` is stored.
    pub(super) fn stored(&self, upto: u64) {
        self.stored.send_replace(upto);
    }

    /// How many rows wait.
    pub fn waiting(&self) -> usize {
        self.lock().buffer.entries.len()
    }
}
