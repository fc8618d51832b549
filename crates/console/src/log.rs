//! The request log: what was asked, by what, from where, and why it was refused, with the fix beside it.

use std::collections::HashMap;

use axum::response::Response;
use hoody_core::id::{LogRowId, TokenId};
use hoody_core::time::Timestamp;
use hoody_core::wire::ActivityRow;
use hoody_engine::error::Error;
use hoody_engine::web::Query;
use hoody_service::activity::latest;
use hoody_service::tokens::search::names;
use maud::{Markup, html};

use crate::parts::page::failed;
use crate::parts::time;
use crate::session::{Page, Section, Visitor};
use crate::tokens::path;

const LOG: &str = "/console/log";
/// How many rows a page has.
const ROWS: usize = 50;

/// `GET /console/log?show=refused&before=`
pub(crate) async fn show(visitor: Box<Visitor>, query: Query) -> Response {
    page(&visitor, &query).await.unwrap_or_else(|error| failed(&error))
}

async fn page(visitor: &Visitor, query: &Query) -> Result<Response, Error> {
    let console = &visitor.console;
    let errors_only = query.text("show").ok().flatten() == Some("refused");
    let before: Option<LogRowId> = query.text("before").ok().flatten().and_then(|id| id.parse().ok());
    // One more tells whether there is another page.
    let limit = ROWS as u64 + 1;
    let mut rows = latest(&console.log, &visitor.caller, (errors_only, before), limit).await?;
    let has_older = rows.len() > ROWS;
    rows.truncate(ROWS);
    let mut ids: Vec<TokenId> = rows.iter().filter_map(|row| row.token_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let names = names(&console.tokens, visitor.account(), &ids).await?;
    let link = |before: Option<LogRowId>| {
        let show = if errors_only { "show=refused" } else { "" };
        let before = before.map(|id| format!("before={id}")).unwrap_or_default();
        let pairs: Vec<_> = [show, &before].into_iter().filter(|pair| !pair.is_empty()).collect();
        if pairs.is_empty() { LOG.to_owned() } else { format!("{LOG}?{}", pairs.join("&")) }
    };
    let main = html! {
        h1 { "Log" }
        p.soft { "Every request of your account, the latest first. A request appears about a quarter of a second after its answer." }
        nav.tabs aria-label="Which requests" {
            a href=(LOG) aria-current=[(!errors_only).then_some("page")] { "All" }
            a href={ (LOG) "?show=refused" } aria-current=[errors_only.then_some("page")] { "Refused or failed" }
        }
        @if rows.is_empty() {
            div.empty { p { @if errors_only { "No request was refused or failed." } @else { "No requests yet." } } }
        } @else {
            table.stack {
                caption.hidden { "Requests, the latest first" }
                thead { tr { th { "When (UTC)" } th { "Answer" } th { "Request" } th { "By" } th.num { "Took" } } }
                tbody { @for row in &rows { (line(row, &names, visitor.now)) } }
            }
            nav.pages aria-label="Pages" {
                span.soft.small { (rows.len()) " rows" }
                @if before.is_some() { a.button href=(link(None)) { "Latest" } }
                @if has_older && let Some(last) = rows.last() { a.button rel="next" href=(link(Some(last.id))) { "Older" } }
            }
        }
    };
    Ok(Page::new(visitor, Section::Log, "Log").around(&main))
}

fn line(row: &ActivityRow, names: &HashMap<TokenId, String>, now: Timestamp) -> Markup {
    let is_today = row.created_at.to_string().get(..10) == now.to_string().get(..10);
    let clock = time::clock(row.created_at).replace(" UTC", "");
    html! {
        tr {
            td.name {
                time datetime=(row.created_at) { (clock) }
                @if !is_today { span.sub { (time::day(row.created_at)) } }
            }
            td.at-end { (answer(row)) }
            td {
                span.mono { (row.method) " " @if let Some(host) = &row.host { (host) } (row.path) }
                @if let Some(leaf) = row.permission.as_deref().filter(|_| row.deny_reason.is_none()) { " " span.soft.small { "for " code { (leaf) } } }
                @if let Some(why) = why(row) { span.sub { (why) } }
            }
            td data-is="By" {
                @match (row.token_id, row.session_id) {
                    (Some(id), _) => @match names.get(&id) {
                        Some(name) => a href=(path(id)) { (name) },
                        None => span.soft { "a deleted token" },
                    },
                    (None, Some(_)) => "a session",
                    (None, None) => span.soft { "somebody signing in" },
                }
                span.sub.mono { (row.ip_address) }
            }
            td.num.wide-only { (took(row.duration_us)) }
        }
    }
}

/// The status as a word with a dot.
fn answer(row: &ActivityRow) -> Markup {
    let class = match row.status_code {
        ..400 => "is good",
        400..500 => "is warn",
        _ => "is bad",
    };
    html! { span class=(class) { (row.status_code) } }
}

/// Why it was refused, and what to do about it.
fn why(row: &ActivityRow) -> Option<Markup> {
    let reason = row.deny_reason.as_deref()?;
    let change = |what: &str| {
        row.token_id.map(|id| html! { ". " a href={ (path(id)) "/change" @if reason == "address" { "?ip=" (row.ip_address) } } { (what) } })
    };
    let open = |what: &str| row.token_id.map(|id| html! { ". " a href=(path(id)) { (what) } });
    let fix = |told: &str, link: Option<Markup>| Some(html! { (told) @if let Some(link) = link { (link) } });
    match reason {
        "address" => fix("Not from this address", change("Allow it")),
        "permission" => Some(html! {
            "It does not have " @match &row.permission { Some(leaf) => code { (leaf) }, None => "the permission" }
            @if let Some(link) = change("Change its permissions") { (link) }
        }),
        "expired" => fix("It has ended", change("Give it more time")),
        "disabled" => fix("It is stopped", open("Open it")),
        "revoked" => fix("It was deleted. Whoever still has it should remove it", None),
        "banned" => fix("The account is banned", None),
        "realm" | "realm_required" => fix("Not in this realm", change("Change it")),
        "read_only" => fix("It may only read", change("Change its permissions")),
        "vault_access" => fix("It was made without vault access", None),
        "event_access" => fix("It was made without event access", None),
        "session_required" | "minting_needs_session" => {
            fix("Only somebody who is signed in may do this", None)
        }
        "credentials" => fix("Wrong username or password", None),
        "second_factor" => fix("Wrong code", None),
        "locked" => fix("Codes are locked after too many wrong ones", None),
        "rate_limited" => fix("Too many tries", None),
        "unknown" | "missing" => fix("No credential that is known", None),
        other => fix(other, None),
    }
}

fn took(micros: u64) -> String {
    match micros {
        ..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!("{} ms", micros / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_it_took_is_told_in_few_figures() {
        for (micros, words) in [(7, "7 µs"), (999, "999 µs"), (1_250, "1.2 ms"), (20_900, "20 ms")] {
            assert_eq!(took(micros), words);
        }
    }
}
