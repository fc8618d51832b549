//! One token: what it did, what limits it, what it made.

use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::id::noun;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::time::{DAY, HOUR, Timestamp};
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::web::{IdPath, Query};
use hoody_service::activity::usage;
use hoody_service::tokens::Token;
use hoody_service::tokens::search::children;
use maud::{Markup, html};

use super::list::HOURS;
use super::{find, in_force, path};
use crate::parts::bars::Bars;
use crate::parts::page::failed;
use crate::parts::permissions::held;
use crate::parts::status::{Recent, Status};
use crate::parts::time;
use crate::parts::words::{Limits, count, sentences, things, warnings};
use crate::session::{Page, Section, Visitor};

/// How many tokens that it made are listed.
const CHILDREN: i64 = 100;

/// The parts of the page, each with an address of its own.
const VIEWS: [(&str, &str); 3] = [("use", "Use"), ("limits", "Limits"), ("made", "Made by it")];

/// What its sentences say.
pub(super) fn with_limits<T>(token: &Token, own: &OwnCatalogue, look: impl FnOnce(&Limits<'_>) -> T) -> T {
    let entries = if token.limits.addresses.is_any() { Vec::new() } else { token.limits.addresses.entries() };
    look(&Limits {
        permissions: &in_force(token),
        own,
        addresses: &entries,
        expires_at: token.limits.expires_at,
        realms: token.realm_ids.len(),
        vault: token.limits.vault_access,
    })
}

/// Somebody reloaded an act of the token.
pub(crate) async fn go_to(_visitor: Box<Visitor>, IdPath(id): IdPath<noun::Token>) -> Response {
    Redirect::to(&path(id)).into_response()
}

/// `GET /console/tokens/{id}`
pub(crate) async fn show(
    visitor: Box<Visitor>,
    id: Result<IdPath<noun::Token>, Error>,
    query: Query,
) -> Response {
    let shown = async { page(&visitor, &find(&visitor, id?.0).await?, &query).await };
    match shown.await {
        Ok(page) => page,
        Err(error) => failed(&error),
    }
}

async fn page(visitor: &Visitor, token: &Token, query: &Query) -> Result<Response, Error> {
    let (console, now) = (&visitor.console, visitor.now);
    let text = |name| query.text(name).ok().flatten().unwrap_or_default();
    let view = VIEWS.iter().find(|(name, _)| *name == text("view")).map_or("use", |(name, _)| name);
    let days = match text("days") {
        "365" => 365,
        "30" => 30,
        _ => 2,
    };
    let usage = usage(&console.log, &visitor.caller, token.id, days.max(30)).await?;
    let recent = Bars::of(&usage.by_hour, now, HOUR, HOURS);
    let status = Status::of(token, Recent { total: recent.total(), refused: recent.refused() }, now);
    let home = path(token.id);
    let made = if view == "made" {
        children(&console.tokens, token.account, token.id, CHILDREN).await?
    } else {
        Vec::new()
    };
    let main = html! {
        p.crumb { a href="/console/tokens" { "Tokens" } }
        div.head {
            div {
                div.title { h1 { (token.alias) } (status.shown()) }
                p { (with_limits(token, &visitor.own, |limits| sentences(limits, now))) }
            }
            div.row {
                @if token.is_enabled {
                    (visitor.button(&format!("{home}/stop"), "stop", "Stop"))
                } @else {
                    (visitor.button(&format!("{home}/start"), "", "Start"))
                }
                a.button href={ (home) "/change" } { "Change" }
                a.button href={ "/console/tokens/new?like=" (token.id) } { "Make one like it" }
                a.button href={ (home) "/delete" } { "Delete" }
            }
        }
        (told(text("done")))
        @if status.lets_in() { @for warning in with_limits(token, &visitor.own, warnings) { div.note.warn { p { (warning) } } } }
        @if let Status::Refused(percent) = status { (refused(token, &usage, &recent, percent)) }
        nav.tabs aria-label="Parts of this page" {
            @for (name, label) in VIEWS {
                @let address = if name == "use" { home.clone() } else { format!("{home}?view={name}") };
                a href=(address) aria-current=[(name == view).then_some("page")] { (label) }
            }
        }
        @match view {
            "limits" => (limits(token, &visitor.own, now)),
            "made" => (made_by(&made, now)),
            _ => (used((token, &visitor.own), &usage, &recent, days, now)),
        }
    };
    Ok(Page::new(visitor, Section::Tokens, &token.alias).around(&main))
}

/// What was just done, where a form led here.
fn told(done: &str) -> Markup {
    html! {
        @match done {
            "started" => div.note.good role="status" { p { "It works again." } },
            "changed" => div.note.good role="status" { p { "The change is in force on every node within a second." } },
            _ => {},
        }
    }
}

/// Why many of its requests are refused, as far as the log tells.
fn refused(token: &Token, usage: &wire::TokenUsage, recent: &Bars, percent: u64) -> Markup {
    let strangers: Vec<_> = usage
        .by_address
        .iter()
        .filter(|uses| uses.ip_address.parse().is_ok_and(|address| !token.limits.addresses.allows(address)))
        .collect();
    html! {
        div.note.warn {
            p {
                b { (percent) " % of its requests in the last 48 hours were refused" } ", "
                (count(recent.refused())) " of " (count(recent.total())) ". "
                @if let Some(first) = strangers.first() {
                    span.mono { (first.ip_address) } " is not on its list and sent "
                    (things(first.total, "request")) ". If that is your machine, "
                    a href={ (path(token.id)) "/change?ip=" (first.ip_address) } { "allow this address" }
                    ". If not, stop the token."
                } @else {
                    "The tables below show which permissions it asked for and from where."
                }
            }
        }
    }
}

fn used(
    (token, own): (&Token, &OwnCatalogue),
    usage: &wire::TokenUsage,
    recent: &Bars,
    days: i64,
    now: Timestamp,
) -> Markup {
    let home = path(token.id);
    let steps = usize::try_from(days).unwrap_or(30);
    let chart = if days == 2 { None } else { Some(Bars::of(&usage.by_day, now, DAY, steps)) };
    let chart = chart.as_ref().unwrap_or(recent);
    let addresses = usage.by_address.len() as u64 + u64::from(usage.other_addresses > 0);
    html! {
        div.figures {
            div { b { (count(chart.total())) } span { "requests in " (if days == 2 { "48 hours".to_owned() } else { things(days.unsigned_abs(), "day") }) } }
            div { b { (count(chart.refused())) } span { "refused or failed" } }
            div { b { (count(addresses)) } span { "addresses in " (things(u64::from(usage.days), "day")) } }
            div {
                b { @match token.last_used_at { Some(at) => (time::ago(at, now)), None => "never" } }
                span { "last use" }
            }
        }
        nav.small.row.range aria-label="Time" {
            @for (shown, label) in [(2, "48 hours"), (30, "30 days"), (365, "365 days")] {
                a href={ (home) "?days=" (shown) } aria-current=[(shown == days).then_some("true")] { (label) }
            }
        }
        (chart.chart())
        div.two {
            div { (by_permission(token, usage, own)) }
            div { (by_address(token, usage)) }
        }
    }
}

fn by_permission(token: &Token, usage: &wire::TokenUsage, own: &OwnCatalogue) -> Markup {
    let held = held(&in_force(token), own);
    let is_used = |path: &str| usage.by_permission.iter().any(|used| used.permission == path);
    let unused: Vec<_> = held.iter().filter(|leaf| !is_used(leaf.path)).collect();
    let holds = |path: &str| held.iter().any(|leaf| leaf.path == path);
    let days = usage.days;
    html! {
        h2 { "By permission, " (days) " days" }
        @if usage.by_permission.is_empty() { p.soft { "It asked for nothing that needs a permission." } } @else {
            table {
                thead { tr { th { "Permission" } th.num { "Requests" } } }
                tbody {
                    @for used in &usage.by_permission {
                        tr {
                            td {
                                code { (used.permission) }
                                @if !holds(&used.permission) { span.sub.bad { "asked for and refused: it does not have this" } }
                            }
                            td.num { (count(used.total)) }
                        }
                    }
                }
            }
        }
        @if !unused.is_empty() && usage.total > 0 {
            p.small {
                b { (things(unused.len() as u64, "permission")) " not used in " (days) " days." } " "
                a href={ (path(token.id)) "/change?narrow=1" } { "Narrow it to what it used" }
            }
            details.small {
                summary { "Which" }
                ul.plain { @for leaf in &unused { li { code { (leaf.path) } } } }
            }
        }
    }
}

fn by_address(token: &Token, usage: &wire::TokenUsage) -> Markup {
    html! {
        h2 { "By address, " (usage.days) " days" }
        @if usage.by_address.is_empty() { p.soft { "It was not used." } } @else {
            table {
                thead { tr { th { "Address" } th.num { "Requests" } } }
                tbody {
                    @for used in &usage.by_address {
                        @let is_listed = used.ip_address.parse().is_ok_and(|address| token.limits.addresses.allows(address));
                        tr {
                            td {
                                span.mono { (used.ip_address) }
                                @if !is_listed { span.sub.bad { "not on its list" } }
                            }
                            td.num { (count(used.total)) }
                        }
                    }
                    @if usage.other_addresses > 0 {
                        tr { td.soft { "other addresses" } td.num { (count(usage.other_addresses)) } }
                    }
                }
            }
            @if token.limits.addresses.is_any() {
                p.small {
                    "It works from any address. "
                    a href={ (path(token.id)) "/change?narrow=1" } { "Allow only these" }
                }
            }
        }
    }
}

fn limits(token: &Token, own: &OwnCatalogue, now: Timestamp) -> Markup {
    let held = held(&in_force(token), own);
    html! {
        dl.facts {
            dt { "May" }
            dd {
                @if held.is_empty() { span.soft { "nothing" } } @else {
                    ul.plain { @for leaf in &held { li { code { (leaf.path) } @if leaf.writes { " " span.badge { "writes" } } } } }
                }
            }
            dt { "From" }
            dd {
                @if token.limits.addresses.is_any() { span.warn { "any address" } } @else {
                    ul.plain { @for entry in token.limits.addresses.entries() { li.mono { (entry) } } }
                }
            }
            dt { "Until" }
            dd { @match token.limits.expires_at { Some(at) => { (time::minute(at)) ", " (time::relative(at, now)) }, None => span.warn { "never ends" } } }
            dt { "Realms" }
            dd {
                @if token.realm_ids.is_empty() { "no limit" } @else {
                    ul.plain { @for realm in &token.realm_ids { li.mono { (realm) } } }
                }
            }
            dt { "Vault access" } dd { (yes(token.limits.vault_access)) }
            dt { "Event access" } dd { (yes(token.limits.event_access)) }
            dt { "Made" }
            dd {
                (time::minute(token.created_at))
                @if let Some(by) = token.created_by_token_id { " by " a href=(path(by)) { "another token" } }
            }
            dt { "Changed" } dd { (time::minute(token.updated_at)) }
            dt { "Id" } dd { code { (token.id) } }
        }
    }
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn made_by(made: &[Token], now: Timestamp) -> Markup {
    html! {
        @if made.is_empty() {
            p.soft { "It made no tokens. A token needs " code { "resources.create_tokens" } " to make some; stopping it stops them, too." }
        } @else {
            table.stack {
                thead { tr { th { "Name" } th { "State" } th { "Last use" } th { "Ends" } } }
                tbody {
                    @for token in made {
                        tr {
                            td.name { a href=(path(token.id)) { (token.alias) } }
                            td.at-end { (Status::of(token, Recent::default(), now).shown()) }
                            td data-is="Last use" { @match token.last_used_at { Some(at) => (time::ago(at, now)), None => span.soft { "never" } } }
                            td data-is="Ends" { @match token.limits.expires_at { Some(at) => (time::ago(at, now)), None => "never" } }
                        }
                    }
                }
            }
            p.small.soft { "They stop when this token stops. At most " (CHILDREN) " are listed." }
        }
    }
}
