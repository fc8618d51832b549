//! What happens now, to those who listen on this node.
//!
//! The feed's tail wakes one task a node, which reads the new rows once and puts them into the queue of
//! every listener of their account. A queue is bounded: who reads too slowly is told that it lost its
//! place, and reads on from the history. With nobody listening nothing is read.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hoody_core::event::Place;
use hoody_core::id::UserId;
use hoody_engine::activity::tail::Position;
use hoody_engine::db::DbError;
use hoody_engine::error::Error;
use hoody_engine::feed::tail::in_time;
use hoody_engine::shares::{Full, Share, Shares};
use tokio::sync::{Notify, watch};

use super::{Event, Events, store};

/// How many events wait for one listener before it has lost its place.
const QUEUE: usize = 256;
/// So many wait before what is told live alone is passed over, so that it costs nobody the place.
const LIVE_QUEUE: usize = 128;
/// How many listeners one account may have on a node; fewer once half of all places are taken.
pub const MAX_OF_ACCOUNT: usize = 100;
/// How many listeners a node has.
const MAX_OF_NODE: usize = 4_096;
/// How many rows of the feed are read at a time.
const BATCH: i64 = 1_000;

/// Everybody who listens on this node.
#[derive(Debug)]
pub struct Live {
    state: Mutex<State>,
    places: Shares<UserId>,
    /// True once the process ends.
    stopping: watch::Sender<bool>,
    /// How many ask for the requests that are logged.
    activity: watch::Sender<usize>,
    /// Up to where the request log was told; `None` while nobody asks.
    activity_at: tokio::sync::Mutex<Option<Position>>,
}

#[derive(Debug, Default)]
struct State {
    /// Everything up to here was put into the queues.
    at: Place,
    queues: HashMap<UserId, Vec<Arc<Queue>>>,
    count: usize,
}

/// What waits for one listener.
#[derive(Debug, Default)]
struct Queue {
    /// Whether what is told live alone is for it.
    hears_activity: bool,
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Arc<Event>>,
    end: Option<Lost>,
}

/// Why a queue ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// More happened than was read in time.
    Lagged,
    /// The database was replaced by another.
    Reset,
}

/// What a listener finds in its queue.
#[derive(Debug)]
pub enum Heard {
    Event(Arc<Event>),
    Lost(Lost),
    Nothing,
}

/// One who listens to an account, until it is dropped.
#[derive(Debug)]
pub struct Listener {
    live: Arc<Live>,
    account: UserId,
    queue: Arc<Queue>,
    stopping: watch::Receiver<bool>,
    hears_activity: bool,
    _place: Share<UserId>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            places: Shares::new(MAX_OF_NODE, MAX_OF_ACCOUNT),
            stopping: watch::Sender::new(false),
            activity: watch::Sender::new(0),
            activity_at: tokio::sync::Mutex::default(),
        }
    }
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every stream: the process ends.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// How many ask for the requests that are logged.
    pub fn watch_activity(&self) -> watch::Receiver<usize> {
        self.activity.subscribe()
    }

    /// Up to where the request log was told. Who moves it on holds the guard meanwhile.
    pub async fn activity_at(&self) -> tokio::sync::MutexGuard<'_, Option<Position>> {
        self.activity_at.lock().await
    }

    /// The accounts whose requests somebody asks for.
    pub fn activity_askers(&self) -> HashSet<UserId> {
        let state = self.lock();
        let asked = state.queues.iter().filter(|(_, queues)| queues.iter().any(|queue| queue.hears_activity));
        asked.map(|(account, _)| *account).collect()
    }

    /// Tells the listeners of its account what is told live alone.
    pub fn tell(&self, event: Event) {
        let state = self.lock();
        if let Some(queues) = state.queues.get(&event.account) {
            let event = Arc::new(event);
            queues.iter().for_each(|queue| queue.push(&event));
        }
    }

    /// Waits until the process ends.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        if stopping.wait_for(|is_stopping| *is_stopping).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Puts what the feed told into the queues.
    fn put(&self, events: Vec<Event>) {
        let mut state = self.lock();
        for event in events {
            // A listener that came meanwhile begins behind it.
            if event.place <= state.at {
                continue;
            }
            state.at = event.place;
            if let Some(queues) = state.queues.get(&event.account) {
                let event = Arc::new(event);
                queues.iter().for_each(|queue| queue.push(&event));
            }
        }
    }

    /// Everything up to `place` was read.
    fn pass(&self, place: Place) {
        let mut state = self.lock();
        state.at = state.at.max(place);
    }

    /// The database was replaced by another, whose feed is at `head`: nobody can read on.
    pub fn reset(&self, head: i64) {
        let mut state = self.lock();
        state.at = after(head);
        for queue in state.queues.values().flatten() {
            queue.end(Lost::Reset);
        }
    }
}

/// The place behind everything that happened at a position.
fn after(pos: i64) -> Place {
    Place { pos, seq: i64::from(u32::MAX) }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: &Arc<Event>) {
        if event.is_ephemeral && !self.hears_activity {
            return;
        }
        let mut waiting = self.lock();
        if waiting.end.is_some() || event.is_ephemeral && waiting.events.len() >= LIVE_QUEUE {
            return;
        }
        if waiting.events.len() < QUEUE {
            waiting.events.push_back(Arc::clone(event));
        } else {
            waiting.end = Some(Lost::Lagged);
        }
        drop(waiting);
        self.wake.notify_one();
    }

    fn end(&self, lost: Lost) {
        let mut waiting = self.lock();
        waiting.events.clear();
        waiting.end = Some(lost);
        drop(waiting);
        self.wake.notify_one();
    }
}

impl Listener {
    /// Listens to `account`. Everything behind the place that comes with it will be heard.
    ///
    /// # Errors
    /// 429 when the account has too many listeners, 503 when the node has.
    pub fn register(events: &Events, account: UserId, hears_activity: bool) -> Result<(Self, Place), Error> {
        let live = Arc::clone(&events.live);
        let place = live.places.take(account).map_err(|full| match full {
            Full::Total => Error::Unavailable("This node has as many event streams as it takes; try another"),
            Full::Share => Error::RateLimited { seconds: 1 },
        })?;
        let mut state = live.lock();
        if state.count == 0 {
            // Nobody listened, so nothing was read.
            state.at = state.at.max(after(events.feed.applied()));
        }
        let queue = Arc::new(Queue { hears_activity, ..Queue::default() });
        state.queues.entry(account).or_default().push(Arc::clone(&queue));
        state.count += 1;
        metrics::gauge!("hoody_event_streams").set(f64::from(u32::try_from(state.count).unwrap_or(u32::MAX)));
        let (at, stopping) = (state.at, live.stopping.subscribe());
        drop(state);
        if hears_activity {
            live.activity.send_modify(|count| *count += 1);
        }
        Ok((Self { live, account, queue, stopping, hears_activity, _place: place }, at))
    }

    /// What is next in the queue.
    pub fn next(&self) -> Heard {
        let mut waiting = self.queue.lock();
        match (waiting.events.pop_front(), waiting.end) {
            (Some(event), _) => Heard::Event(event),
            (None, Some(lost)) => Heard::Lost(lost),
            (None, None) => Heard::Nothing,
        }
    }

    /// Is notified when something was put into the queue.
    pub fn waker(&self) -> impl Future<Output = ()> + use<> {
        let queue = Arc::clone(&self.queue);
        async move { queue.wake.notified().await }
    }

    /// Waits until the process ends.
    pub async fn stopped(&mut self) {
        if self.stopping.wait_for(|is_stopping| *is_stopping).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.hears_activity {
            self.live.activity.send_modify(|count| *count -= 1);
        }
        let mut state = self.live.lock();
        if let Some(queues) = state.queues.get_mut(&self.account) {
            queues.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
            if queues.is_empty() {
                state.queues.remove(&self.account);
            }
        }
        state.count -= 1;
        metrics::gauge!("hoody_event_streams").set(f64::from(u32::try_from(state.count).unwrap_or(u32::MAX)));
    }
}

/// Tells listeners what the tail brings, for as long as the process lives.
pub async fn run(events: Arc<Events>) -> Infallible {
    let mut moves = events.feed.watch();
    loop {
        // The sender lives in the feed, which `events` keeps.
        let _ = moves.changed().await;
        if let Err(error) = tell_all(&events).await {
            // The next move, or the same once more, tells what this one did not.
            tracing::warn!(%error, "the feed cannot be read for the event streams");
            tokio::time::sleep(Duration::from_millis(200)).await;
            moves.mark_changed();
        }
    }
}

/// Tells listeners everything up to what this node's tail has seen.
pub async fn tell_all(events: &Events) -> Result<(), DbError> {
    loop {
        let applied = events.feed.applied();
        let (at, count) = {
            let state = events.live.lock();
            (state.at, state.count)
        };
        if count == 0 {
            return Ok(());
        }
        // Not on the tail's one connection: whether a node is fresh must not hang on what streams are told.
        let reading = store::list_feed(&events.db, events.keys.event_ids(), at, applied, BATCH);
        let notices = in_time(reading).await?;
        events.live.put(notices.events);
        if let Some((last, _)) = notices.last {
            events.live.pass(last);
        }
        if notices.is_all {
            return Ok(());
        }
    }
}
