//! Events (`contract/events.md`): the history, and streams of what happens.

use std::time::Duration;

use hoody_core::id::{EventId, ProjectId, RealmId, ResourceId};
use hoody_core::wire::{
    CleanUpEvents, CleanedEvents, DeleteEvents, DeletedEvents, Event, EventList, EventStats,
};
use serde::Deserialize;

use super::SortOrder;
use crate::call::{Call, Incoming};
use crate::client::Client;
use crate::error::Error;

/// The server says something every 15 seconds, if only that nothing happened.
const SILENCE: Duration = Duration::from_secs(45);
/// The largest piece of a stream, in bytes.
const LARGEST: usize = 16 * 1024 * 1024;

/// The routes below `/events`: [`Client::events`].
///
/// ```no_run
/// # use hoody_client::{Client, StreamQuery, Streamed};
/// # async fn example(client: Client) -> Result<(), hoody_client::Error> {
/// let mut stream = client.events().stream(&StreamQuery::default()).await?;
/// while let Some(Streamed::Event(event)) = stream.next().await? {
///     println!("{} {}", event.created_at, event.event_type);
/// }
/// // On from there, without gap or double.
/// let after = stream.last_id().map(str::to_owned);
/// let stream = client.events().stream(&StreamQuery { after, ..StreamQuery::default() }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Events<'a>(&'a Client);

/// Which part of the history. What is left out is the server's to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// How many, at most 500.
    pub limit: Option<u32>,
    /// How many to skip.
    pub offset: Option<u64>,
    /// `created_at` or `event_type`.
    pub sort_by: Option<String>,
    /// Which end first.
    pub sort_order: Option<SortOrder>,
    /// What happened.
    pub event_type: Option<String>,
    /// What kind of thing it happened to.
    pub resource_type: Option<String>,
    /// The thing.
    pub resource_id: Option<ResourceId>,
    /// The project that it concerns.
    pub project_id: Option<ProjectId>,
    /// The container that it concerns.
    pub container_id: Option<ResourceId>,
    /// The first instant or day, ISO 8601.
    pub start_date: Option<String>,
    /// The last instant or day, ISO 8601.
    pub end_date: Option<String>,
    /// Only those in this realm.
    pub realm_id: Option<RealmId>,
}

/// What a stream is to tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamQuery {
    /// Types, with commas between: `auth.token.*,project.created`. All when left out.
    pub event_type: Option<String>,
    /// Things of this kind alone.
    pub resource_type: Option<String>,
    /// Only those in this realm.
    pub realm_id: Option<RealmId>,
    /// A cursor: on from there; else from now on.
    pub after: Option<String>,
}

/// What a stream tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Streamed {
    /// Something happened.
    Event(Box<Event>),
    /// The server ends the stream.
    End {
        /// Why, e.g. `INVALID_TOKEN`, `EVENTS_STREAM_LAGGED` or `UNAVAILABLE`.
        code: String,
        /// The same in a sentence.
        message: String,
    },
}

/// A stream of events that is open.
#[derive(Debug)]
pub struct EventStream {
    incoming: Incoming,
    text: Vec<u8>,
    last_id: Option<String>,
}

#[derive(Deserialize)]
struct End {
    code: String,
    message: String,
}

impl Client {
    /// The routes below `/events`.
    #[must_use]
    pub fn events(&self) -> Events<'_> {
        Events(self)
    }
}

impl Events<'_> {
    /// `GET /events`: a part of the history.
    ///
    /// # Errors
    /// 403 with a token that lacks `resources.events` or `event_access`, here and below.
    pub async fn list(&self, query: &EventQuery) -> Result<EventList, Error> {
        Call::get("events")
            .query("limit", query.limit)
            .query("offset", query.offset)
            .query("sort_by", query.sort_by.as_ref())
            .query("sort_order", query.sort_order)
            .query("event_type", query.event_type.as_ref())
            .query("resource_type", query.resource_type.as_ref())
            .query("resource_id", query.resource_id)
            .query("project_id", query.project_id)
            .query("container_id", query.container_id)
            .query("start_date", query.start_date.as_ref())
            .query("end_date", query.end_date.as_ref())
            .query("realm_id", query.realm_id)
            .send(self.0)
            .await
    }

    /// `GET /events?after=`: what happened after the cursor, the oldest first; without one a cursor to
    /// begin with and no event.
    ///
    /// # Errors
    /// `EVENTS_CURSOR_INVALID`, `EVENTS_CURSOR_EXPIRED`, `EVENTS_HISTORY_RESET`.
    pub async fn after(&self, cursor: Option<&str>, limit: Option<u32>) -> Result<EventList, Error> {
        let call = Call::get("events").query("limit", limit);
        let call = match cursor {
            Some(cursor) => call.query("after", Some(cursor)),
            None => call.query("bootstrap", Some(true)),
        };
        call.send(self.0).await
    }

    /// `GET /events/stats`: how many events there are, by type and by kind of resource.
    ///
    /// # Errors
    /// As [`Events::list`].
    pub async fn stats(
        &self,
        from: Option<&str>,
        to: Option<&str>,
        realm: Option<RealmId>,
    ) -> Result<EventStats, Error> {
        Call::get("events/stats")
            .query("start_date", from)
            .query("end_date", to)
            .query("realm_id", realm)
            .send(self.0)
            .await
    }

    /// `GET /events/{id}`.
    ///
    /// # Errors
    /// `EVENT_NOT_FOUND`.
    pub async fn get(&self, id: EventId) -> Result<Event, Error> {
        Call::get("events").at(id).send(self.0).await
    }

    /// `DELETE /events/{id}`.
    ///
    /// # Errors
    /// `EVENT_NOT_FOUND`; 403 with a token that may only read, here and below.
    pub async fn delete(&self, id: EventId) -> Result<DeletedEvents, Error> {
        Call::delete("events").at(id).send(self.0).await
    }

    /// `DELETE /events`: deletes what is chosen, or everything.
    ///
    /// # Errors
    /// As [`Events::delete`].
    pub async fn delete_chosen(&self, chosen: &DeleteEvents) -> Result<DeletedEvents, Error> {
        Call::delete("events").once().json(chosen).send(self.0).await
    }

    /// `POST /events/cleanup`: deletes what is older than so many days, 1 to 365.
    ///
    /// # Errors
    /// As [`Events::delete`].
    pub async fn clean_up(&self, retention_days: u32) -> Result<CleanedEvents, Error> {
        Call::post("events/cleanup").json(&CleanUpEvents { retention_days }).send(self.0).await
    }

    /// `GET /events/stream`: what happens, as it happens.
    ///
    /// # Errors
    /// As [`Events::after`]; `RATE_LIMIT_EXCEEDED` when the account has too many streams.
    pub async fn stream(&self, query: &StreamQuery) -> Result<EventStream, Error> {
        let call = Call::get("events/stream")
            .query("event_type", query.event_type.as_ref())
            .query("resource_type", query.resource_type.as_ref())
            .query("realm_id", query.realm_id)
            .query("after", query.after.as_ref());
        let incoming = call.open(self.0).await?;
        Ok(EventStream { incoming, text: Vec::new(), last_id: query.after.clone() })
    }
}

impl EventStream {
    /// What is told next; `None` when the connection was closed without a word.
    ///
    /// # Errors
    /// When the connection is lost, or silent for 45 seconds.
    pub async fn next(&mut self) -> Result<Option<Streamed>, Error> {
        loop {
            while let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                if let Some(told) = self.read(&block)? {
                    return Ok(Some(told));
                }
            }
            match self.incoming.next(SILENCE, LARGEST - self.text.len().min(LARGEST)).await? {
                Some(bytes) => self.text.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }

    /// The place up to which everything was told: what goes on from here takes it as `after`.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    fn read(&mut self, block: &[u8]) -> Result<Option<Streamed>, Error> {
        let block = String::from_utf8_lossy(block);
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        if let Some(id) = field("id: ") {
            self.last_id = Some(id.to_owned());
        }
        let Some(data) = field("data: ") else { return Ok(None) };
        let told = match field("event: ") {
            Some("end") => {
                serde_json::from_str::<End>(data).map(|End { code, message }| Streamed::End { code, message })
            }
            _ => serde_json::from_str(data).map(Streamed::Event),
        };
        told.map(Some).map_err(|error| self.incoming.unreadable(&error))
    }
}
