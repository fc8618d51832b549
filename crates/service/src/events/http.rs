//! The endpoints of the history (`contract/events.md`). A session reads all of its account's events, a
//! token needs the permission `resources.events` and the flag `event_access`; to delete some it must hold
//! a permission that writes, too. On a realm's host there are only the events of that realm.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hoody_core::event::{Cursor, MAX_NAME, is_name};
use hoody_core::id::{EventId, ProjectId, RealmId, ResourceId, noun};
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::time::{DAY, Timestamp};
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::feed::Change;
use hoody_engine::keys::Keys;
use hoody_engine::web::caller::{AnyCaller, needs};
use hoody_engine::web::query::{parse_date, parse_realm};
use hoody_engine::web::{Answer, Caller, IdPath, JsonBody, Query, list};
use serde_json::{Value, json};

use super::store::{self, Filter, Part};
use super::{DELETED, Event, Events, RETENTION_DAYS, Scope};
use crate::realms;

needs! {
    /// Reading events.
    EventsRead { LEAF = "resources.events", EVENTS = true }
    /// Deleting events: reading them, and changing anything at all.
    EventsDelete { LEAF = "resources.events", EVENTS = true, WRITES = true }
}

const NOT_FOUND: Error = Error::NotFound { code: "EVENT_NOT_FOUND", message: "Event not found" };
/// How many events one transaction deletes: others write in between.
const DELETE_BATCH: i64 = 2_000;

/// What goes with no cursor: parameters that name a part of the history in another way.
const NOT_WITH_CURSOR: [&str; 10] = [
    "offset",
    "sort_by",
    "sort_order",
    "event_type",
    "resource_type",
    "resource_id",
    "project_id",
    "container_id",
    "start_date",
    "end_date",
];

/// The history: by number with filters, or on from a cursor
#[utoipa::path(get, path = "/api/v1/events", operation_id = "list_events", tag = "events",
    params(("limit" = Option<u32>, Query, description = "At most 500; 100 unless told"),
    ("offset" = Option<u64>, Query, description = "How many to skip"),
    ("sort_by" = Option<String>, Query, description = "created_at or event_type"),
    ("sort_order" = Option<String>, Query, description = "desc or asc"),
    ("event_type" = Option<String>, Query, description = "e.g. auth.token.created"),
    ("resource_type" = Option<String>, Query, description = "e.g. auth_token"),
    ("resource_id" = Option<ResourceId>, Query),
    ("project_id" = Option<ProjectId>, Query),
    ("container_id" = Option<ResourceId>, Query, description = "There are none: an empty list"),
    ("start_date" = Option<String>, Query, description = "ISO 8601"),
    ("end_date" = Option<String>, Query, description = "ISO 8601, included; a day without a time is the whole of it"),
    ("realm_id" = Option<RealmId>, Query, description = "Only those in this realm"),
    ("after" = Option<String>, Query, description = "A cursor: what happened after it, the oldest first"),
    ("bootstrap" = Option<bool>, Query, description = "No events: a cursor to begin with")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::EventList>),
    (status = 400, body = wire::ErrorBody), (status = 403, body = wire::ErrorBody),
    (status = 410, body = wire::ErrorBody)))]
pub async fn list_events(
    State(events): State<Arc<Events>>,
    caller: Caller<EventsRead>,
    query: Query,
) -> Result<Response, Error> {
    let limit = query.number("limit", 1..=500, 100)?;
    let after = query.given("after")?;
    let is_start = query.flag("bootstrap", false)?;
    let scope = scope(&caller, query.realm("realm_id")?)?;
    let room = list::room(&events.lists, caller.account(), limit).await?;
    let (found, pagination) = if after.is_some() || is_start {
        check_cursor_query(&query, after.is_some() && is_start)?;
        list_from_cursor(&events, scope, after, limit).await?
    } else {
        let part = Part {
            limit,
            offset: query.number("offset", 0..=i64::from(u32::MAX), 0)?,
            by_type: query.choice("sort_by", &["created_at", "event_type"])? == "event_type",
            is_ascending: query.choice("sort_order", &["desc", "asc"])? == "asc",
        };
        list_part(&events, scope, &query, part).await?
    };
    let (rows, grant) = (found.len(), caller.grant().clone());
    let made = move || {
        let events = found.iter().map(|event| event.shown(&events.keys, &grant)).collect();
        Answer::ok("Events retrieved successfully", wire::EventList { events, pagination })
    };
    list::page(room, rows, made).await
}

/// Events, and which of all they are.
type Listed = (Vec<Event>, wire::EventPagination);

async fn list_part(events: &Events, scope: Scope, query: &Query, part: Part) -> Result<Listed, Error> {
    let (from, to) = query.dates()?;
    let filter = Filter {
        event_type: name(query.given("event_type")?, "event_type")?,
        resource_type: name(query.given("resource_type")?, "resource_type")?,
        resource_id: query.id("resource_id")?,
        project_id: query.id("project_id")?,
        from,
        to,
        last: None,
    };
    // Nothing here happens to containers.
    if query.id::<noun::Resource>("container_id")?.is_some() {
        return Ok(part_of(Vec::new(), 0, part));
    }
    let total = store::count_events(&events.db, scope, &filter).await?;
    let found = store::list_events(&events.db, scope, &filter, part).await?;
    Ok(part_of(found, total, part))
}

/// A page of the caller's history, of this type or of any, the latest first, and how many there are in all.
///
/// # Errors
/// When the database fails.
pub async fn latest(
    events: &Events,
    caller: &AnyCaller,
    event_type: Option<&str>,
    (offset, limit): (i64, i64),
) -> Result<(Vec<wire::Event>, i64), Error> {
    let scope = scope(caller, None)?;
    let filter = Filter { event_type: event_type.map(str::to_owned), ..Filter::default() };
    let part = Part { limit, offset, by_type: false, is_ascending: false };
    let total = store::count_events(&events.db, scope, &filter).await?;
    let found = store::list_events(&events.db, scope, &filter, part).await?;
    Ok((found.iter().map(|event| event.shown(&events.keys, caller.grant())).collect(), total))
}

fn part_of(events: Vec<Event>, total: i64, part: Part) -> Listed {
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let pagination = wire::EventPagination {
        total,
        limit: part.limit,
        offset: part.offset,
        has_more: part.offset.saturating_add(count) < total && count > 0,
        next_cursor: None,
        latest_cursor: None,
    };
    (events, pagination)
}

fn check_cursor_query(query: &Query, is_both: bool) -> Result<(), Error> {
    if is_both {
        return Err(conflict("after and bootstrap do not go together".to_owned()));
    }
    for other in NOT_WITH_CURSOR {
        if query.given(other)?.is_some() {
            return Err(conflict(format!("{other} does not go with a cursor")));
        }
    }
    Ok(())
}

fn conflict(message: String) -> Error {
    Invalid::rule("EVENTS_QUERY_CONFLICT", message).into()
}

async fn list_from_cursor(
    events: &Events,
    scope: Scope,
    after: Option<&str>,
    limit: i64,
) -> Result<Listed, Error> {
    let head = store::head(&events.db).await?;
    let latest = events.keys.cursor(scope.account, Cursor::new(head.place, head.at));
    let mut next = latest.clone();
    let mut found = Vec::new();
    let mut has_more = false;
    if let Some(after) = after {
        let after = parse_cursor(&events.keys, scope, after)?;
        found = store::list_after(&events.db, scope, after.place, head.place, limit + 1).await?;
        // After the list: what was removed before it was read is known by now.
        check_cursor(events, scope, after).await?;
        has_more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        if has_more {
            found.pop();
            next = found.last().map_or(next, |event| event.cursor(&events.keys));
        } else if after.place > head.place {
            // From a stream, which is ahead of the history by a moment.
            next = events.keys.cursor(scope.account, after);
        }
    }
    let pagination = wire::EventPagination {
        total: -1,
        limit,
        offset: 0,
        has_more,
        next_cursor: Some(next),
        latest_cursor: Some(latest),
    };
    Ok((found, pagination))
}

/// What a cursor says.
///
/// # Errors
/// 400 `EVENTS_CURSOR_INVALID` when it is none of this server's for the account.
fn parse_cursor(keys: &Keys, scope: Scope, text: &str) -> Result<Cursor, Error> {
    keys.read_cursor(scope.account, text).ok_or_else(|| {
        let why = "The cursor is none that this server gave to this account";
        Invalid::rule("EVENTS_CURSOR_INVALID", why).into()
    })
}

/// What a cursor says, if one can go on from there.
///
/// # Errors
/// Those of `parse_cursor` and `check_cursor`.
pub async fn read_cursor(events: &Events, scope: Scope, text: &str) -> Result<Cursor, Error> {
    let cursor = parse_cursor(&events.keys, scope, text)?;
    check_cursor(events, scope, cursor).await.map(|()| cursor)
}

/// Whether everything after a cursor is still there. Who reads on from it asks this after the read.
///
/// # Errors
/// 410 `EVENTS_CURSOR_EXPIRED` when what came after it was removed for its age, 410
/// `EVENTS_HISTORY_RESET` when the account deleted it, or the database is another than the cursor's.
pub async fn check_cursor(events: &Events, scope: Scope, cursor: Cursor) -> Result<(), Error> {
    let place = cursor.place;
    let head = store::head(&events.db).await?;
    let reset = store::find_reset(&events.db, scope.account).await?;
    let is_other_history = place.pos > events.db.head().await?.pos
        || cursor.at != 0
            && store::feed_at(&events.db, place).await?.is_some_and(|at| Cursor::new(place, at) != cursor);
    let gone = if is_other_history || place < reset {
        ("EVENTS_HISTORY_RESET", "The history that the cursor points into was deleted", reset)
    } else if place < head.swept {
        ("EVENTS_CURSOR_EXPIRED", "What came after the cursor is no longer kept", head.swept)
    } else {
        return Ok(());
    };
    let (code, message, boundary) = gone;
    let boundary = boundary.max(head.swept);
    Err(Error::CursorGone {
        code,
        message,
        data: json!({
            "boundary_cursor": events.keys.cursor(scope.account, Cursor { place: boundary, at: 0 }),
            "latest_cursor": events.keys.cursor(scope.account, Cursor::new(head.place, head.at)),
            "retention_days": RETENTION_DAYS,
        }),
    })
}

/// How many events there are, by type and by kind of resource
#[utoipa::path(get, path = "/api/v1/events/stats", operation_id = "get_event_stats", tag = "events",
    params(("start_date" = Option<String>, Query, description = "ISO 8601"),
    ("end_date" = Option<String>, Query, description = "ISO 8601, included; a day without a time is the whole of it"),
    ("realm_id" = Option<RealmId>, Query, description = "Only those in this realm")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::EventStats>),
    (status = 400, body = wire::ErrorBody), (status = 403, body = wire::ErrorBody)))]
pub async fn get_event_stats(
    State(events): State<Arc<Events>>,
    caller: Caller<EventsRead>,
    query: Query,
) -> Result<Answer<wire::EventStats>, Error> {
    let scope = scope(&caller, query.realm("realm_id")?)?;
    let (from, to) = query.dates()?;
    let mut stats = wire::EventStats::default();
    for count in store::count_by_type(&events.db, scope, from, to).await? {
        let n = count.n.unsigned_abs();
        stats.total_events += n;
        *stats.by_resource.entry(count.resource_type).or_default() += n;
        stats.by_type.insert(count.event_type, n);
        stats.oldest_event = Some(stats.oldest_event.map_or(count.oldest, |at| at.min(count.oldest)));
        stats.newest_event = stats.newest_event.max(Some(count.newest));
    }
    Ok(Answer::ok("Event statistics retrieved successfully", stats))
}

/// One event
#[utoipa::path(get, path = "/api/v1/events/{id}", operation_id = "get_event", tag = "events",
    params(("id" = EventId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::Event>), (status = 403, body = wire::ErrorBody),
    (status = 404, body = wire::ErrorBody)))]
pub async fn get_event(
    State(events): State<Arc<Events>>,
    caller: Caller<EventsRead>,
    IdPath(id): IdPath<noun::Event>,
) -> Result<Answer<wire::Event>, Error> {
    let event = store::find_event(&events.db, caller.account(), id).await?;
    let event = event.filter(|event| scope_of_host(&caller).has(event)).ok_or(NOT_FOUND)?;
    Ok(Answer::ok("Event retrieved successfully", event.shown(&events.keys, caller.grant())))
}

/// Deletes one event; on a realm's host one that belongs to another realm too is left
#[utoipa::path(delete, path = "/api/v1/events/{id}", operation_id = "delete_event", tag = "events",
    params(("id" = EventId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::DeletedEvents>),
    (status = 403, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody)))]
pub async fn delete_event(
    State(events): State<Arc<Events>>,
    caller: Caller<EventsDelete>,
    IdPath(id): IdPath<noun::Event>,
) -> Result<Answer<wire::DeletedEvents>, Error> {
    let (mut mutation, grant) = events.feed.begin(&caller).await?;
    let event = store::find_event(&mut mutation.tx, grant.account, id).await?;
    let event = event.filter(|event| scope_of_host(&caller).has(event)).ok_or(NOT_FOUND)?;
    let mut deleted = wire::DeletedEvents::default();
    if caller.attempt.realm.is_some() && event.realm_ids.len() > 1 {
        deleted.skipped_count = 1;
    } else if store::delete_event(&mut mutation.tx, grant.account, id).await? {
        deleted.deleted_count = 1;
        mutation.tell(told_deleted(&caller, 1));
        mutation.commit().await?;
    }
    Ok(Answer::ok("Event deleted successfully", deleted))
}

/// Deletes the events that the body chooses; all of them when it chooses none
#[utoipa::path(delete, path = "/api/v1/events", operation_id = "delete_events", tag = "events",
    request_body = wire::DeleteEvents, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::DeletedEvents>),
    (status = 400, body = wire::ErrorBody), (status = 403, body = wire::ErrorBody),
    (status = 422, body = wire::ErrorBody)))]
pub async fn delete_events(
    State(events): State<Arc<Events>>,
    caller: Caller<EventsDelete>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::DeletedEvents>, Error> {
    let (filter, realm) = parse_delete(&body)?;
    let scope = scope(&caller, realm)?;
    let deleted = delete_all(&events, &caller, scope, filter).await?;
    Ok(Answer::ok("Events deleted successfully", deleted))
}

/// Deletes what is older than so many days
#[utoipa::path(post, path = "/api/v1/events/cleanup", operation_id = "clean_up_events", tag = "events",
    request_body = wire::CleanUpEvents, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::CleanedEvents>),
    (status = 400, body = wire::ErrorBody), (status = 403, body = wire::ErrorBody),
    (status = 422, body = wire::ErrorBody)))]
pub async fn clean_up_events(
    State(events): State<Arc<Events>>,
    caller: Caller<EventsDelete>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::CleanedEvents>, Error> {
    let retention_days = parse_clean_up(&body)?;
    let cutoff_date = Timestamp::from_millis(events.clock.now().millis() - i64::from(retention_days) * DAY);
    let filter = Filter { to: Some(cutoff_date.plus(-1)), ..Filter::default() };
    let deleted = delete_all(&events, &caller, scope_of_host(&caller), filter).await?;
    let cleaned = wire::CleanedEvents { deleted_count: deleted.deleted_count, retention_days, cutoff_date };
    Ok(Answer::ok("Event cleanup completed successfully", cleaned))
}

/// Deletes everything that `filter` finds and that is in the history now, a bounded number at a time; each
/// of these transactions judges the caller again.
async fn delete_all(
    events: &Events,
    caller: &AnyCaller,
    scope: Scope,
    mut filter: Filter,
) -> Result<wire::DeletedEvents, Error> {
    let head = store::head(&events.db).await?;
    filter.last = Some(head.place.pos);
    let is_whole = scope.realm.is_none()
        && filter.event_type.is_none()
        && filter.resource_type.is_none()
        && filter.resource_id.is_none();
    let reset = match filter.to {
        _ if !is_whole => None,
        Some(to) => store::last_before(&events.db, scope, to).await?,
        None => Some(head.place),
    };
    let mut deleted = wire::DeletedEvents::default();
    loop {
        let (mut mutation, _) = events.feed.begin(caller).await?;
        let only = caller.attempt.realm;
        let count = store::delete_events(&mut mutation.tx, scope, &filter, DELETE_BATCH, only).await?;
        // Fewer than asked for are not the end: some of those that it chose may have been swept meanwhile.
        if count == 0 {
            break;
        }
        // With the first step: who reads on from before must not miss that some of it is gone.
        if let Some(reset) = reset {
            store::put_reset(&mut mutation.tx, scope.account, reset).await?;
        }
        mutation.tell(told_deleted(caller, count));
        mutation.commit().await?;
        deleted.deleted_count += count;
    }
    if caller.attempt.realm.is_some() {
        deleted.skipped_count = store::count_events(&events.db, scope, &filter).await?.unsigned_abs();
    }
    Ok(deleted)
}

fn told_deleted(caller: &AnyCaller, count: u64) -> Change {
    let change = Change::new(DELETED, caller.account(), "account", caller.account());
    change.in_realms(caller.attempt.realm.as_slice()).with(json!({ "deleted_count": count }))
}

pub(super) fn scope(caller: &AnyCaller, asked: Option<RealmId>) -> Result<Scope, Error> {
    Ok(Scope { account: caller.account(), realm: realms::select(caller, asked)? })
}

fn scope_of_host(caller: &AnyCaller) -> Scope {
    Scope { account: caller.account(), realm: caller.attempt.realm }
}

fn parse_delete(body: &Value) -> Result<(Filter, Option<RealmId>), Invalid> {
    let mut fields = Fields::of_body(body)?;
    let event_type = fields.string("event_type").map(|text| name(Some(text), "event_type"));
    let event_type = event_type.and_then(|read| fields.absorb(read)).flatten();
    let resource_type = fields.string("resource_type").map(|text| name(Some(text), "resource_type"));
    let resource_type = resource_type.and_then(|read| fields.absorb(read)).flatten();
    let resource_id = fields.string("resource_id");
    let resource_id = resource_id.map(|text| text.parse().map_err(|_| Invalid::id_format("resource_id")));
    let resource_id = resource_id.and_then(|read| fields.absorb(read));
    let before = fields.string("before_date").map(|text| parse_date(text, "before_date"));
    let before = before.and_then(|read| fields.absorb(read));
    let realm = fields.string("realm_id").map(|text| parse_realm(text, "realm_id"));
    let realm = realm.and_then(|read| fields.absorb(read));
    // A filter that was mistyped must not mean that there is none.
    fields.close()?;
    let to = before.map(|before: Timestamp| before.plus(-1));
    Ok((Filter { event_type, resource_type, resource_id, to, ..Filter::default() }, realm))
}

fn parse_clean_up(body: &Value) -> Result<u32, Invalid> {
    let mut fields = Fields::of_body(body)?;
    let is_there = fields.value("retention_days").is_some();
    let days = fields.number("retention_days").map(|number| {
        let days = number.as_u64().and_then(|days| u32::try_from(days).ok());
        days.filter(|days| (1..=365).contains(days))
            .ok_or_else(|| Invalid::validation("retention_days must be a whole number from 1 to 365"))
    });
    let days = days.and_then(|read| fields.absorb(read));
    fields.close()?;
    match days {
        Some(days) => Ok(days),
        None if is_there => Err(Invalid::schema("/retention_days", "must be a number")),
        None => Err(Invalid::missing("retention_days")),
    }
}

pub(super) fn name(text: Option<&str>, field: &str) -> Result<Option<String>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    if is_name(text) {
        return Ok(Some(text.to_owned()));
    }
    let rule =
        format!("{field} must be at most {MAX_NAME} lowercase letters, digits and '_' in words with dots");
    Err(Invalid::rule("INVALID_PARAMETER_VALUE", rule))
}
