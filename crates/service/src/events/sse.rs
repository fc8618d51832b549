//! `GET /events/stream`: Server-Sent Events (WHATWG HTML, 9.2), with `Last-Event-ID`.
//!
//! ```text
//! retry: 1000                      the first lines; an id alone moves the place to resume from
//! id: <cursor>
//!
//! id: <cursor>
//! data: {"id":…,"event_type":…}    an event, as in the history
//!
//! event: end
//! data: {"code":…,"message":…,"resume_after":<cursor>}
//! ```

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hoody_core::event::Patterns;
use hoody_core::id::RealmId;
use hoody_core::invalid::Invalid;
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::web::caller::{Head, credential};
use hoody_engine::web::{Caller, Query};
use http::request::Parts;
use http::{HeaderValue, header};
use serde_json::json;

use super::Events;
use super::http::{name, scope};
use super::stream::{self, End, Holder, Stream, Told, Wanted};

/// What happens, as it happens; with `Last-Event-ID`, on from there
#[utoipa::path(get, path = "/api/v1/events/stream", operation_id = "stream_events", tag = "events",
    params(("event_type" = Option<String>, Query, description = "Types, e.g. auth.token.*,project.created"),
    ("resource_type" = Option<String>, Query, description = "e.g. auth_token"),
    ("realm_id" = Option<RealmId>, Query, description = "Only those in this realm"),
    ("after" = Option<String>, Query, description = "As Last-Event-ID, which wins"),
    ("Last-Event-ID" = Option<String>, Header, description = "A cursor: on from there")),
    security(("bearer" = [])), responses((status = 200, content_type = "text/event-stream", body = wire::Event),
    (status = 400, body = wire::ErrorBody), (status = 403, body = wire::ErrorBody),
    (status = 410, body = wire::ErrorBody), (status = 429, body = wire::ErrorBody)))]
pub async fn stream_events(
    State(events): State<Arc<Events>>,
    caller: Caller<super::http::EventsRead>,
    query: Query,
    parts: Parts,
) -> Result<Response, Error> {
    let scope = scope(&caller, query.realm("realm_id")?)?;
    let types = query.given("event_type")?.unwrap_or_default().split(',').filter(|text| !text.is_empty());
    let types = Patterns::parse(types)
        .map_err(|why| Invalid::rule("INVALID_PARAMETER_VALUE", format!("event_type: {why}")))?;
    let resource_type = name(query.given("resource_type")?, "resource_type")?;
    let last = parts.headers.get("last-event-id").map(HeaderValue::to_str).transpose();
    let last = last.map_err(|_| Invalid::rule("EVENTS_CURSOR_INVALID", "Last-Event-ID is no cursor"))?;
    let last = last.filter(|text| !text.is_empty()).or(query.given("after")?);
    let after = stream::start(&events, scope, last).await?;
    let holder =
        Holder { credential: credential(Head::of(&parts)?)?.to_owned().into(), attempt: caller.attempt };
    let stream = Stream::open(&events, holder, Wanted { scope, types, resource_type, after }).await?;
    Ok(answer(stream))
}

fn answer(stream: Stream) -> Response {
    let first = format!("retry: 1000\nid: {}\n\n", stream.cursor());
    let frames = futures_util::stream::unfold((stream, Some(first)), async |(mut stream, first)| {
        let frame = match first {
            Some(first) => first,
            None => {
                let told = stream.next().await?;
                frame(&stream, &told)
            }
        };
        Some((Ok::<_, std::convert::Infallible>(frame), (stream, None)))
    });
    let mut response = Body::from_stream(frames).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would keep what is told until it has more of it.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn frame(stream: &Stream, told: &Told) -> String {
    match told {
        Told::Event(event) => {
            let id = event.cursor.as_ref().map(|cursor| format!("id: {cursor}\n")).unwrap_or_default();
            format!("{id}data: {}\n\n", serde_json::to_string(event).unwrap_or_default())
        }
        Told::Alive => format!(": nothing new\nid: {}\n\n", stream.cursor()),
        Told::End(End { code, message, .. }) => {
            let data = json!({ "code": code, "message": message, "resume_after": stream.cursor() });
            format!("event: end\ndata: {data}\n\n")
        }
    }
}
