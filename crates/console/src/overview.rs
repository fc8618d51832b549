//! The first page: what needs somebody, then what happened.

use axum::response::Response;
use hoody_core::time::HOUR;
use hoody_engine::error::Error;
use hoody_service::activity::recent_uses;
use hoody_service::alerts::http::latest;
use hoody_service::history::store::list_recent_addresses;
use hoody_service::tokens::search::{self, Asked, Place, State};
use maud::{Markup, html};

use crate::alerts::ALERTS;
use crate::parts::bars::Bars;
use crate::parts::page::failed;
use crate::parts::status::{Recent, Status};
use crate::parts::time;
use crate::parts::words::{count, things};
use crate::session::{Page, Section, Visitor};
use crate::tokens::list::HOURS;
use crate::tokens::path;

/// Of how many tokens the bars are: those that were made last.
const TOKENS: usize = 200;

/// `GET /console`
pub(crate) async fn show(visitor: Box<Visitor>) -> Response {
    page(&visitor).await.unwrap_or_else(|error| failed(&error))
}

async fn page(visitor: &Visitor) -> Result<Response, Error> {
    let (console, now) = (&visitor.console, visitor.now);
    let tally = search::tally(&console.tokens, visitor.account(), now).await?;
    let asked = Asked {
        account: visitor.account(),
        name: "",
        state: State::Working,
        place: Place::First,
        limit: TOKENS,
    };
    let working = search::page(&console.tokens, &asked, now).await?;
    let ids: Vec<_> = working.tokens.iter().map(|token| token.id).collect();
    let uses = recent_uses(&console.log, &visitor.caller, &ids, i64::try_from(HOURS).unwrap_or(48)).await?;
    let all: Vec<_> = uses.values().flatten().copied().collect();
    let bars = Bars::of(&all, now, HOUR, HOURS);
    let mut needs: Vec<Markup> = Vec::new();
    let (_, open) = latest(&console.alerts, &visitor.caller, Some("open"), (0, 1)).await?;
    if open > 0 {
        needs.push(html! {
            p { b { (things(open, "open alert")) } " of your account." }
            a.button href=(ALERTS) { "Look" }
        });
    }
    for token in &working.tokens {
        let recent = Bars::of(uses.get(&token.id).map_or(&[][..], Vec::as_slice), now, HOUR, HOURS);
        let recent = Recent { total: recent.total(), refused: recent.refused() };
        if let Status::Refused(percent) = Status::of(token, recent, now) {
            needs.push(html! {
                p { a href=(path(token.id)) { (token.alias) } ": " b { (percent) " % of its requests were refused" } " in the last 48 hours, " (count(recent.refused)) " of " (count(recent.total)) "." }
                a.button href=(path(token.id)) { "See why" }
            });
        }
    }
    needs.truncate(6);
    needs.extend(states(tally));
    let signed_in = list_recent_addresses(&console.db, visitor.account()).await?;
    let main = html! {
        h1 { "Overview" }
        (needs_you(&needs))
        h2 { "The last 48 hours" }
        @if tally.all == 0 {
            p.soft { "Nothing yet. " a href="/console/tokens" { "Make your first token" } "." }
        } @else {
            div.figures {
                div { b { (count(bars.total())) } span { "requests by tokens" } }
                div { b { (count(bars.refused())) } span { "refused or failed" } }
                div { b { (count(tally.used_today)) " of " (count(tally.working)) } span { "working tokens used in 24 hours" } }
            }
            (bars.chart())
            @if working.has_older { p.small.soft { "Of the " (TOKENS) " working tokens that were made last." } }
        }
        h2 { "Sign-ins" }
        ul.plain {
            @for login in &signed_in {
                li { span.mono { (login.ip) } " " span.soft { (time::ago(login.timestamp, now)) } }
            }
        }
        p.small {
            "Not you? " a href="/console/account" { "End that session" } ", then " a href="/console/account/password" { "change your password" } "."
        }
    };
    Ok(Page::new(visitor, Section::Overview, "Overview").around(&main))
}

fn states(tally: search::Tally) -> Vec<Markup> {
    let mut needs = Vec::new();
    let mut need = |n: u64, what: &str, state: &str| {
        if n > 0 {
            let link = format!("/console/tokens?state={state}");
            needs.push(html! { p { b { (things(n, "token")) } " " (what) } a.button href=(link) { "Look" } });
        }
    };
    let one = |n: u64, one: &'static str, many: &'static str| if n == 1 { one } else { many };
    let endless = tally.endless;
    need(
        endless,
        one(endless, "never ends and works from any address.", "never end and work from any address."),
        "any-address",
    );
    need(tally.ending, one(tally.ending, "ends within 30 days.", "end within 30 days."), "ending");
    need(
        tally.unused,
        one(tally.unused, "was not used for 90 days.", "were not used for 90 days."),
        "unused",
    );
    needs
}

fn needs_you(needs: &[Markup]) -> Markup {
    html! {
        @if needs.is_empty() { p.soft { "Nothing needs you." } } @else {
            h2 { "Needs you" }
            ul.plain.needs { @for need in needs { li { (need) } } }
        }
    }
}
