//! The list of tokens: found by name and state, fifty a page, with what each may do, from where, its last use
//! and the last 48 hours.

use axum::response::Response;
use hoody_core::id::TokenId;
use hoody_core::time::{HOUR, Timestamp};
use hoody_engine::error::Error;
use hoody_engine::web::Query;
use hoody_service::activity::recent_uses;
use hoody_service::tokens::Token;
use hoody_service::tokens::search::{self, Asked, Page as Found, Place, State, Tally};
use maud::{Markup, html};

use super::{in_force, path};
use crate::parts::bars::Bars;
use crate::parts::page::failed;
use crate::parts::status::{Recent, Status};
use crate::parts::time;
use crate::parts::words::{count, from, may, things};
use crate::session::{Page, Section, Visitor};

const LIST: &str = "/console/tokens";
const NEW: &str = "/console/tokens/new";
/// How many tokens a page has.
const ROWS: usize = 50;
/// How many hours the bars show.
pub(crate) const HOURS: usize = 48;

/// What the address asks for.
#[derive(Debug)]
struct Filter<'a> {
    name: &'a str,
    state: State,
    place: Place,
}

impl<'a> Filter<'a> {
    fn of(query: &'a Query) -> Self {
        let text = |name| query.text(name).ok().flatten().unwrap_or_default();
        let place = match (read_place(text("after")), read_place(text("before"))) {
            (Some((at, id)), _) => Place::After(at, id),
            (None, Some((at, id))) => Place::Before(at, id),
            (None, None) => Place::First,
        };
        Self { name: text("q").trim(), state: State::parse(text("state")), place }
    }

    fn is_narrow(&self) -> bool {
        !self.name.is_empty() || self.state != State::Any
    }

    /// The address of the page that begins there.
    fn link(&self, place: Option<(&str, &Token)>) -> String {
        let mut pairs = Vec::new();
        if !self.name.is_empty() {
            let name: String = self.name.bytes().map(encoded).collect();
            pairs.push(format!("q={name}"));
        }
        if self.state != State::Any {
            pairs.push(format!("state={}", self.state.name()));
        }
        if let Some((way, token)) = place {
            pairs.push(format!("{way}={}-{}", token.created_at.millis(), token.id));
        }
        if pairs.is_empty() { LIST.to_owned() } else { format!("{LIST}?{}", pairs.join("&")) }
    }
}

fn encoded(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

fn read_place(text: &str) -> Option<(Timestamp, TokenId)> {
    let (millis, id) = text.rsplit_once('-')?;
    Some((Timestamp::checked_from_millis(millis.parse().ok()?)?, id.parse().ok()?))
}

/// `GET /console/tokens`
pub(crate) async fn show(visitor: Box<Visitor>, query: Query) -> Response {
    match list(&visitor, &query).await {
        Ok(page) => page,
        Err(error) => failed(&error),
    }
}

async fn list(visitor: &Visitor, query: &Query) -> Result<Response, Error> {
    let (console, now) = (&visitor.console, visitor.now);
    let filter = Filter::of(query);
    let asked = Asked {
        account: visitor.account(),
        name: filter.name,
        state: filter.state,
        place: filter.place,
        limit: ROWS,
    };
    let found = search::page(&console.tokens, &asked, now).await?;
    let tally = search::tally(&console.tokens, visitor.account(), now).await?;
    let ids: Vec<TokenId> = found.tokens.iter().map(|token| token.id).collect();
    let uses = recent_uses(&console.log, &visitor.caller, &ids, i64::try_from(HOURS).unwrap_or(48)).await?;
    let main = html! {
        div.head {
            div {
                h1 { "Tokens" }
                p.soft { (summary(tally)) }
            }
            @if tally.all > 0 { a.button.primary href=(NEW) { "New token" } }
        }
        @if query.text("done").ok().flatten() == Some("deleted") {
            div.note.good role="status" { p { "The token is deleted. Nobody can use it, and this cannot be undone." } }
        }
        @if tally.all == 0 { (nothing(visitor)) } @else {
            (filter_form(&filter))
            @if found.tokens.is_empty() {
                div.empty {
                    p { "No token matches " (said(&filter)) "." }
                    a.button href=(LIST) { "Show all " (count(tally.all)) }
                }
            } @else {
                div #rows {
                    table.stack {
                        caption.hidden { "Tokens, the latest first" }
                        thead { tr {
                            th { "Name" } th { "State" } th { "May" } th { "From" } th { "Last use" } th { "48 hours" }
                            th { "Ends" } th { span.hidden { "Stop or start" } }
                        } }
                        tbody {
                            @for token in &found.tokens {
                                @let bars = Bars::of(uses.get(&token.id).map_or(&[][..], Vec::as_slice), now, HOUR, HOURS);
                                (row(visitor, token, &bars, now))
                            }
                        }
                    }
                    (pages(&filter, &found))
                }
            }
        }
    };
    Ok(Page::new(visitor, Section::Tokens, "Tokens").around(&main))
}

fn summary(tally: Tally) -> Markup {
    let Tally { all, working, used_today, endless, unused, .. } = tally;
    html! {
        @if all == 0 {
            "A token lets one program in: for what you choose, from where you choose, until when you choose."
        } @else {
            (things(all, "token")) ", " (count(working)) " working, " (count(used_today)) " used in the last 24 hours."
            @if endless > 0 {
                " " a href="/console/tokens?state=any-address" { (count(endless)) " never end" @if endless == 1 { "s" } " and work" @if endless == 1 { "s" } " from any address" } "."
            }
            @if unused > 0 {
                " " a href="/console/tokens?state=unused" { (count(unused)) " unused for 90 days" } "."
            }
        }
    }
}

fn filter_form(filter: &Filter<'_>) -> Markup {
    html! {
        form.row method="get" action=(LIST) role="search" {
            label.hidden for="q" { "Name" }
            input #q type="search" name="q" value=(filter.name) placeholder="Name" maxlength="254";
            label.hidden for="state" { "State" }
            select #state name="state" {
                @for (state, name) in State::ALL {
                    option value=(name) selected[state == filter.state] { (word(state)) }
                }
            }
            button type="submit" { "Filter" }
            @if filter.is_narrow() { a.small href=(LIST) { "Clear" } }
        }
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Any => "Any state",
        State::Working => "Working",
        State::Stopped => "Stopped",
        State::Expired => "Expired",
        State::Ending => "Ends within 30 days",
        State::Unused => "Unused for 90 days",
        State::AnyAddress => "Works from any address",
    }
}

fn said(filter: &Filter<'_>) -> Markup {
    html! {
        @if !filter.name.is_empty() { "the name " b { (filter.name) } }
        @if !filter.name.is_empty() && filter.state != State::Any { " and " }
        @if filter.state != State::Any { "the state " b { (word(filter.state).to_lowercase()) } }
    }
}

fn row(visitor: &Visitor, token: &Token, bars: &Bars, now: Timestamp) -> Markup {
    let recent = Recent { total: bars.total(), refused: bars.refused() };
    let status = Status::of(token, recent, now);
    let home = path(token.id);
    html! {
        tr id={ "t-" (token.id) } {
            td.name {
                @if token.created_by_token_id.is_some() { span.soft aria-hidden="true" { "└ " } }
                a href=(home) { (token.alias) }
                @if token.created_by_token_id.is_some() { span.sub { "made by a token" } }
            }
            td.at-end { (status.shown()) }
            td data-is="May" { (may(&in_force(token), &visitor.own)) }
            td data-is="From" { (from(token)) }
            td data-is="Last use" {
                @match token.last_used_at {
                    Some(at) => { (time::ago(at, now)) @if let Some(ip) = &token.last_used_ip { span.sub.mono { (ip) } } },
                    None => span.soft { "never" },
                }
            }
            td.wide-only { (bars.spark()) }
            td data-is="Ends" {
                @match token.limits.expires_at {
                    Some(at) => (time::ago(at, now)),
                    None => span.warn { "never" },
                }
            }
            td.act {
                @if token.is_enabled {
                    (visitor.button(&format!("{home}/stop"), "stop", "Stop"))
                } @else {
                    (visitor.button(&format!("{home}/start"), "", "Start"))
                }
            }
        }
    }
}

fn pages(filter: &Filter<'_>, found: &Found) -> Markup {
    let (first, last) = (found.tokens.first(), found.tokens.last());
    html! {
        nav.pages aria-label="Pages" {
            span.soft.small { (things(found.total, "token")) @if filter.is_narrow() { " match" @if found.total == 1 { "es" } } }
            @if found.has_newer && let Some(token) = first {
                a.button href=(filter.link(None)) { "First" }
                a.button rel="prev" href=(filter.link(Some(("before", token)))) { "Newer" }
            }
            @if found.has_older && let Some(token) = last {
                a.button rel="next" href=(filter.link(Some(("after", token)))) { "Older" }
            }
        }
    }
}

/// Nobody has made one yet: three ways to begin.
fn nothing(visitor: &Visitor) -> Markup {
    let base = &visitor.console.access.public_url;
    html! {
        ul.plain.needs {
            li {
                p { b { "Try it. " } "Read only, for one day, from " span.mono { (visitor.address()) } "." }
                a.button.primary href="/console/tokens/new?alias=first-token&permission=read_only&here=1&ends=1d" { "Start from this" }
            }
            li {
                p { b { "For CI. " } "Choose what it may do and when it ends." }
                a.button href="/console/tokens/new?alias=ci&ends=30d" { "Choose" }
            }
            li {
                p { b { "In a terminal. " } "Sign in there, then make one." }
                code { "hoody --base-url " (base) " auth create --permission-template read_only" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back() {
        let id = "65a1b2c3d4e5f60718293a4b";
        assert_eq!(
            read_place(&format!("1772442942118-{id}")),
            Some((Timestamp::from_millis(1_772_442_942_118), id.parse().unwrap()))
        );
        for wrong in [
            "",
            "-",
            "x-65a1b2c3d4e5f60718293a4b",
            "1772442942118-short",
            "99999999999999999999-65a1b2c3d4e5f60718293a4b",
        ] {
            assert_eq!(read_place(wrong), None, "{wrong}");
        }
    }
}
