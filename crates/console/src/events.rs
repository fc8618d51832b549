//! The history of events: what happened in the account, and who did it.

use axum::response::Response;
use hoody_core::event::is_name;
use hoody_core::id::Id;
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::web::Query;
use hoody_service::events::http::latest;
use maud::{Markup, html};

use crate::parts::page::failed;
use crate::parts::time;
use crate::parts::words::things;
use crate::session::{Page, Section, Visitor};
use crate::tokens::path;

const EVENTS: &str = "/console/events";
/// How many events a page has.
const ROWS: i64 = 50;
/// The longest part of an event's content that a row shows, in characters.
const MOST_SHOWN: usize = 300;

/// `GET /console/events?type=&page=`
pub(crate) async fn show(visitor: Box<Visitor>, query: Query) -> Response {
    page(&visitor, &query).await.unwrap_or_else(|error| failed(&error))
}

async fn page(visitor: &Visitor, query: &Query) -> Result<Response, Error> {
    let wanted = query.text("type").ok().flatten().filter(|name| is_name(name));
    let number = query.text("page").ok().flatten().and_then(|page| page.parse::<i64>().ok());
    let number = number.filter(|page| (1..=100_000).contains(page)).unwrap_or(1);
    let place = ((number - 1) * ROWS, ROWS);
    let (found, total) = latest(&visitor.console.events, &visitor.caller, wanted, place).await?;
    let link = |page: i64| match wanted {
        Some(name) => format!("{EVENTS}?type={name}&page={page}"),
        None => format!("{EVENTS}?page={page}"),
    };
    let main = html! {
        h1 { "Events" }
        p.soft { "What happened in your account, the latest first. " a href="/console/webhooks" { "Webhooks" } " send the same to your services." }
        @if let Some(name) = wanted { p { "Only " code { (name) } ". " a href=(EVENTS) { "Show all" } } }
        @if found.is_empty() { div.empty { p { "No events yet." } } } @else {
            table.stack {
                thead { tr { th { "What" } th { "When" } th { "By" } th { "More" } } }
                tbody { @for event in &found { (line(event, visitor)) } }
            }
            nav.pages aria-label="Pages" {
                span.soft.small { (things(total.unsigned_abs(), "event")) }
                @if number > 1 { a.button rel="prev" href=(link(number - 1)) { "Newer" } }
                @if number.saturating_mul(ROWS) < total { a.button rel="next" href=(link(number + 1)) { "Older" } }
            }
        }
    };
    Ok(Page::new(visitor, Section::Events, "Events").around(&main))
}

fn line(event: &wire::Event, visitor: &Visitor) -> Markup {
    let by = match event.actor.as_ref() {
        Some(actor) if actor.kind == "user" => "the account",
        Some(_) => "the server",
        None => "",
    };
    let alias = event.payload.get("alias").and_then(serde_json::Value::as_str);
    let mut more = event.payload.to_string();
    if more.chars().count() > MOST_SHOWN {
        more = more.chars().take(MOST_SHOWN).chain(['…']).collect();
    }
    html! {
        tr {
            td.name {
                a href={ (EVENTS) "?type=" (event.event_type) } { code { (event.event_type) } }
                @if event.resource_type == "auth_token" {
                    span.sub { a href=(path(Id::from_bytes(*event.resource_id.bytes()))) { (alias.unwrap_or("the token")) } }
                } @else if let Some(alias) = alias { span.sub { (alias) } }
            }
            td data-is="When" { (time::ago(event.created_at, visitor.now)) }
            td data-is="By" { span.nowrap { (by) } }
            td { @if more != "{}" { span.mono.small.soft { (more) } } }
        }
    }
}
