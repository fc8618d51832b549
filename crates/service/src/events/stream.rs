//! One stream of events: from a place in the history on to what happens now, for as long as its
//! credential may read events.
//!
//! The credential is judged before each thing that is told, and four times a second where nothing is:
//! with the same grants, the same freshness and the same decision as a request. A node that cannot know
//! whether the credential still holds tells nothing, and ends the stream after a while.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hoody_core::event::{Cursor, Patterns, Place};
use hoody_core::grant::{Attempt, Grant, decide};
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::grants::NoGrant;
use hoody_engine::web::caller::denied;
use tokio::time::{Interval, MissedTickBehavior};
use zeroize::Zeroizing;

use super::activity::{self, LOGGED};
use super::live::{Heard, Listener, Lost};
use super::{DELETED, Event, Events, Scope, http, store};

/// How often the credential of a silent stream is judged.
const TICK: Duration = Duration::from_millis(250);
/// After how many ticks without anything else a sign of life is told.
const ALIVE_TICKS: u32 = 60;
/// For how many ticks a stream waits for a node that cannot judge its credential.
const UNKNOWN_TICKS: u32 = 12;
/// How many events of the history are read at a time.
const BATCH: i64 = 200;

/// What a stream is to tell.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub scope: Scope,
    pub types: Patterns,
    pub resource_type: Option<String>,
    /// On from here; else from now on.
    pub after: Option<Cursor>,
}

/// Who listens: what is judged again and again.
#[derive(Debug)]
pub struct Holder {
    pub credential: Zeroizing<String>,
    pub attempt: Attempt,
}

/// What a stream tells.
#[derive(Debug)]
pub enum Told {
    Event(Box<wire::Event>),
    /// Nothing happened for a while.
    Alive,
    /// It ends here.
    End(End),
}

/// Why a stream ended.
#[derive(Debug)]
pub struct End {
    pub code: &'static str,
    pub message: String,
    /// The node stops; nothing is wrong with the stream.
    pub is_stop: bool,
}

/// One stream of events.
#[derive(Debug)]
pub struct Stream {
    events: Arc<Events>,
    holder: Holder,
    wanted: Wanted,
    listener: Listener,
    /// Everything up to here was told or is not wanted.
    at: Cursor,
    /// Up to where the history is read before what the listener hears is told.
    history_until: Place,
    history: VecDeque<Event>,
    ticks: Interval,
    silent_ticks: u32,
    unknown_ticks: u32,
    is_over: bool,
}

/// What a judgement gave.
enum Verdict {
    May(Grant),
    MayNot(Error),
    Unknown,
}

impl Stream {
    /// A stream for a holder whose credential was let in a moment ago.
    ///
    /// # Errors
    /// When account or node have too many streams, or the database does not answer.
    pub async fn open(events: &Arc<Events>, holder: Holder, wanted: Wanted) -> Result<Self, Error> {
        // Each request is one: only for those who ask for it.
        let hears_activity = wanted.types.name(LOGGED);
        let (listener, now) = Listener::register(events, wanted.scope.account, hears_activity)?;
        if hears_activity {
            activity::begin(events).await?;
        }
        let start = Cursor { place: now, at: 0 };
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            events: Arc::clone(events),
            holder,
            at: wanted.after.unwrap_or(start),
            history_until: now,
            wanted,
            listener,
            history: VecDeque::new(),
            ticks,
            silent_ticks: 0,
            unknown_ticks: 0,
            is_over: false,
        })
    }

    /// The place up to which everything was told, as text.
    pub fn cursor(&self) -> String {
        self.events.keys.cursor(self.wanted.scope.account, self.at)
    }

    /// What is told next; `None` after the end.
    pub async fn next(&mut self) -> Option<Told> {
        if self.is_over {
            return None;
        }
        loop {
            let refilled = self.refill().await;
            if let Err(error @ Error::CursorGone { .. }) = refilled {
                let (_, code, message) = error.in_short();
                return Some(self.end(code, message));
            } else if refilled.is_err() {
                self.unknown_ticks += 1;
            } else {
                match self.judge().await {
                    Verdict::May(grant) => {
                        self.unknown_ticks = 0;
                        if let Some(told) = self.take(&grant) {
                            self.silent_ticks = 0;
                            return Some(told);
                        }
                    }
                    Verdict::MayNot(error) => {
                        let (_, code, message) = error.in_short();
                        return Some(self.end(code, message));
                    }
                    Verdict::Unknown => self.unknown_ticks += 1,
                }
            }
            if self.unknown_ticks > UNKNOWN_TICKS {
                return Some(
                    self.end("UNAVAILABLE", "The credential cannot be checked now; try again".into()),
                );
            }
            if self.silent_ticks >= ALIVE_TICKS {
                self.silent_ticks = 0;
                return Some(Told::Alive);
            }
            if self.wait().await {
                let message = "This node stops; connect to another".to_owned();
                self.is_over = true;
                return Some(Told::End(End { code: "UNAVAILABLE", message, is_stop: true }));
            }
        }
    }

    /// Waits for something to tell or the next tick; whether the process ends.
    async fn wait(&mut self) -> bool {
        let is_known = self.unknown_ticks == 0;
        let has_history = is_known && self.at.place < self.history_until;
        if has_history {
            return false;
        }
        let Self { listener, ticks, silent_ticks, .. } = self;
        let woken = listener.waker();
        tokio::select! {
            () = woken, if is_known => false,
            _ = ticks.tick() => {
                *silent_ticks += 1;
                false
            }
            () = listener.stopped() => true,
        }
    }

    fn end(&mut self, code: &'static str, message: String) -> Told {
        self.is_over = true;
        Told::End(End { code, message, is_stop: false })
    }

    /// Whether what was taken a while ago may still be told.
    pub async fn may_still(&self) -> bool {
        matches!(self.judge().await, Verdict::May(_))
    }

    async fn judge(&self) -> Verdict {
        let access = &self.events.access;
        let address = self.holder.attempt.address;
        let credential = &self.holder.credential;
        let found = access.grants.find(credential, address, &access.db, &access.keys, &access.clock).await;
        let found = match found {
            Ok(found) => found,
            Err(NoGrant::Unknown | NoGrant::Revoked(..)) => {
                return Verdict::MayNot(denied(hoody_core::grant::Deny::Unknown));
            }
            Err(NoGrant::Expired) => return Verdict::MayNot(denied(hoody_core::grant::Deny::Expired)),
            Err(NoGrant::Busy | NoGrant::Unavailable) => return Verdict::Unknown,
        };
        let now = access.now();
        if let Err(deny) = decide(&found.grant, &self.holder.attempt, now) {
            return Verdict::MayNot(denied(deny));
        }
        // Whoever listens uses the token.
        access.grants.note_use(&access.recorder, &found, now, address);
        Verdict::May(found.grant)
    }

    /// Reads on in the history, while that is where the stream is.
    async fn refill(&mut self) -> Result<(), Error> {
        while self.history.is_empty() && self.at.place < self.history_until {
            let (at, until) = (self.at.place, self.history_until);
            let (scope, db) = (self.wanted.scope, &self.events.db);
            let head = store::head(db).await?.place;
            let (events, last) = if at < head {
                let up_to = head.min(until);
                let events = store::list_after(db, scope, at, up_to, BATCH).await?;
                // What was removed since the stream began must not be passed over in silence.
                http::check_cursor(&self.events, scope, self.at).await?;
                (events, up_to)
            } else {
                // The projection is behind the tail by a moment: what is missing is in the feed.
                let notices = store::list_feed(db, self.events.keys.event_ids(), at, until.pos, BATCH);
                let store::Notices { mut events, last, is_all } = notices.await?;
                let last = last.filter(|_| !is_all).map_or(until, |(last, _)| last.min(until));
                events.retain(|event| event.place <= until && scope.has(event));
                (events, last)
            };
            if events.is_empty() {
                self.at = Cursor { place: last, at: 0 };
            }
            self.history.extend(events);
        }
        Ok(())
    }

    /// The next thing that is wanted, if it is there.
    fn take(&mut self, grant: &Grant) -> Option<Told> {
        while let Some(event) = self.history.pop_front() {
            if let Some(told) = self.tell(&event, grant) {
                return Some(told);
            }
        }
        if self.at.place < self.history_until {
            return None;
        }
        loop {
            match self.listener.next() {
                Heard::Event(event) => {
                    if let Some(told) = self.tell(&event, grant) {
                        return Some(told);
                    }
                }
                Heard::Lost(Lost::Lagged) => {
                    let message = "More happened than was read in time: go on from the last event's cursor";
                    return Some(self.end("EVENTS_STREAM_LAGGED", message.to_owned()));
                }
                Heard::Lost(Lost::Reset) => {
                    let message = "The history was replaced: begin anew";
                    return Some(self.end("EVENTS_HISTORY_RESET", message.to_owned()));
                }
                Heard::Nothing => return None,
            }
        }
    }

    fn tell(&mut self, event: &Event, grant: &Grant) -> Option<Told> {
        if !event.is_ephemeral {
            // A cursor from a node that is ahead of this one: what lies before it was told there.
            if event.place <= self.at.place {
                return None;
            }
            self.at = Cursor::new(event.place, event.at);
        }
        let wanted = &self.wanted;
        let is_wanted = wanted.scope.has(event)
            && event.event_type != DELETED
            && wanted.types.want(&event.event_type)
            && wanted.resource_type.as_ref().is_none_or(|kind| *kind == event.resource_type);
        is_wanted.then(|| Told::Event(Box::new(event.shown(&self.events.keys, grant))))
    }
}

/// Where a stream begins: after `text`, a cursor.
pub async fn start(events: &Events, scope: Scope, text: Option<&str>) -> Result<Option<Cursor>, Error> {
    let Some(text) = text else { return Ok(None) };
    http::read_cursor(events, scope, text).await.map(Some)
}
