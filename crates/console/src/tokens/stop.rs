//! Stop, start, delete.
//!
//! Stopping asks nothing: one button undoes it. It is answered when every node refuses the token, or with how
//! many do. Starting widens what is let in, so it is a step-up; deleting has a page that says what goes.

use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::id::{TokenId, noun};
use hoody_core::token::TokenChange;
use hoody_core::wire;
use hoody_engine::catalogue::catalogues;
use hoody_engine::error::Error;
use hoody_engine::nodes::wait::{Applied, until_applied};
use hoody_engine::web::{IdPath, Query};
use hoody_service::activity::usage;
use hoody_service::sign_in::two_factor::Proof;
use hoody_service::tokens::Token;
use hoody_service::tokens::changes::{delete as delete_token, update};
use hoody_service::tokens::search::{self, Asked, Place, State, children};
use maud::{Markup, html};
use serde_json::json;

use super::{find, in_force, path};
use crate::parts::page::{dialog, failed};
use crate::parts::status::{Recent, Status};
use crate::parts::time;
use crate::parts::words::{count, from, may, things};
use crate::session::{Act, Page, Section, Visitor};

/// How many children are named.
const NAMED: i64 = 50;
/// How many tokens a search on the page of stops gives.
const FOUND: usize = 20;

/// Switches a token on or off.
async fn switch(visitor: &Visitor, id: TokenId, is_enabled: bool) -> Result<Token, Error> {
    let change = TokenChange::parse(
        &json!({ "is_enabled": is_enabled }),
        visitor.now,
        catalogues(&visitor.own),
        false,
    )?;
    update(&visitor.console.tokens, &visitor.caller, id, change, (!is_enabled, Proof::SteppedUp)).await
}

/// `POST /console/tokens/{id}/stop`
pub(crate) async fn stop(id: Result<IdPath<noun::Token>, Error>, act: Act) -> Response {
    let visitor = &act.visitor;
    let stopped = async {
        let id = id?.0;
        let (stopped, applied) = until_applied(&visitor.console.nodes, switch(visitor, id, false)).await;
        let token = stopped?;
        let made = children(&visitor.console.tokens, token.account, id, NAMED).await?;
        let used = usage(&visitor.console.log, &visitor.caller, id, 1).await?;
        Ok::<_, Error>(stopped_page(visitor, &token, applied, &made, &used))
    };
    stopped.await.unwrap_or_else(|error| failed(&error))
}

/// On how many nodes it is refused, and since when.
pub(super) fn reach(applied: Applied) -> Markup {
    let Applied { nodes, confirmed, unknown, at } = applied;
    let since = time::clock(at);
    let of = format!("{confirmed} of {nodes} node{}", if nodes == 1 { "" } else { "s" });
    let (confirmed, nodes, unknown) =
        (confirmed.unsigned_abs(), nodes.unsigned_abs(), unknown.unsigned_abs());
    let silent = nodes.saturating_sub(confirmed);
    html! {
        p {
            "Refused on " b { (of) } " since " b { (since) } ". "
            @if silent > unknown {
                (things(silent - unknown, "node")) " did not answer in time and let nothing in that they cannot check. "
            }
            @if unknown > 0 {
                span.warn {
                    "Of " (things(unknown, "node")) " nothing is known: a node that is cut off from the database stops letting \
                     tokens in within a second."
                }
            }
        }
    }
}

fn stopped_page(
    visitor: &Visitor,
    token: &Token,
    applied: Applied,
    made: &[Token],
    used: &wire::TokenUsage,
) -> Response {
    let home = path(token.id);
    let main = html! {
        p.crumb { a href="/console/tokens" { "Tokens" } }
        h1 { (token.alias) " is stopped" }
        (reach(applied))
        @if !made.is_empty() {
            p {
                (things(made.len() as u64, "token")) " that it made "
                @if made.len() == 1 { "is" } @else { "are" } " stopped with it: "
                @for (at, child) in made.iter().enumerate() { @if at > 0 { ", " } a href=(path(child.id)) { (child.alias) } }
                "."
            }
        }
        div.row {
            (visitor.button(&format!("{home}/start"), "", "Undo: start it again"))
            a.button href=(home) { "Open the token" }
            a.button href={ "/console/tokens/new?like=" (token.id) } { "Replace it with a new one" }
            a.button href={ (home) "/delete" } { "Delete it for good" }
        }
        h2 { "Today, in the log" }
        (today(token, used))
    };
    Page::new(visitor, Section::Stop, &format!("{} is stopped", token.alias)).around(&main)
}

fn today(token: &Token, used: &wire::TokenUsage) -> Markup {
    html! {
        @if used.total == 0 { p.soft { "It was not used today." } } @else {
            dl.facts {
                dt { "Requests" }
                dd { (count(used.total)) ", of which " (count(used.errors)) " were refused or failed" }
                dt { "Addresses" }
                dd {
                    @for (at, from) in used.by_address.iter().enumerate() {
                        @if at > 0 { " · " }
                        span.mono { (from.ip_address) } " " (count(from.total))
                        @if !from.ip_address.parse().is_ok_and(|ip| token.limits.addresses.allows(ip)) { span.bad { " not on its list" } }
                    }
                    @if used.other_addresses > 0 { " · others " (count(used.other_addresses)) }
                }
                @if !used.by_permission.is_empty() {
                    dt { "Asked for" }
                    dd {
                        @for (at, asked) in used.by_permission.iter().enumerate() {
                            @if at > 0 { " · " }
                            code { (asked.permission) } " " (count(asked.total))
                        }
                    }
                }
            }
        }
    }
}

/// `POST /console/tokens/{id}/start`
pub(crate) async fn start(id: Result<IdPath<noun::Token>, Error>, act: Act) -> Response {
    let id = match id {
        Ok(IdPath(id)) => id,
        Err(error) => return failed(&error),
    };
    if let Err(page) = act.prove("Starting a token").await {
        return page;
    }
    match switch(&act.visitor, id, true).await {
        Ok(_) => Redirect::to(&format!("{}?done=started", path(id))).into_response(),
        Err(error) => failed(&error),
    }
}

/// `GET /console/tokens/{id}/delete`
pub(crate) async fn ask_delete(visitor: Box<Visitor>, id: Result<IdPath<noun::Token>, Error>) -> Response {
    let asked = async {
        let token = find(&visitor, id?.0).await?;
        let made = children(&visitor.console.tokens, token.account, token.id, NAMED).await?;
        Ok::<_, Error>(delete_page(&visitor, &token, &made))
    };
    asked.await.unwrap_or_else(|error| failed(&error))
}

fn delete_page(visitor: &Visitor, token: &Token, made: &[Token]) -> Response {
    let home = path(token.id);
    let body = html! {
        p { "Every program that uses it is refused from then on. " b { "This cannot be undone." } " Stopping it can." }
        dl {
            dt { "Last use" }
            dd {
                @match token.last_used_at {
                    Some(at) => { (time::ago(at, visitor.now)) @if let Some(ip) = &token.last_used_ip { " from " span.mono { (ip) } } },
                    None => "never",
                }
            }
            dt { "May" } dd { (may(&in_force(token), &visitor.own)) }
            dt { "From" } dd { (from(token)) }
        }
        @if !made.is_empty() {
            p {
                "The tokens that it made are deleted with it: "
                @for (at, child) in made.iter().enumerate() { @if at > 0 { ", " } (child.alias) }
                "."
            }
        }
        (visitor.form(&format!("{home}/delete"), "", html! {
            div.choices {
                button.danger type="submit" { "Delete " (token.alias) }
                a.button href=(home) { "Keep it" }
            }
        }))
    };
    dialog(&format!("Delete {}?", token.alias), &body)
}

/// `POST /console/tokens/{id}/delete`
pub(crate) async fn delete(id: Result<IdPath<noun::Token>, Error>, act: Act) -> Response {
    let visitor = &act.visitor;
    let deleted = async { delete_token(&visitor.console.tokens, &visitor.caller, id?.0).await };
    match deleted.await {
        Ok(_) => Redirect::to("/console/tokens?done=deleted").into_response(),
        Err(error) => failed(&error),
    }
}

/// `GET /console/stop`: tokens by name, each with the button that stops it.
pub(crate) async fn search(visitor: Box<Visitor>, query: Query) -> Response {
    let name = query.text("q").ok().flatten().unwrap_or_default().trim().to_owned();
    let asked = Asked {
        account: visitor.account(),
        name: &name,
        state: State::Working,
        place: Place::First,
        limit: FOUND,
    };
    let found = match search::page(&visitor.console.tokens, &asked, visitor.now).await {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    let main = html! {
        h1 { "Stop something" }
        p.soft { "A stopped token is refused on every node within a second. You can start it again." }
        form.row method="get" action="/console/stop" role="search" {
            label.hidden for="q" { "Name of the token" }
            input #q type="search" name="q" value=(name) placeholder="Name of the token" maxlength="254" autofocus;
            button type="submit" { "Find" }
        }
        h2 { "Working tokens" @if !name.is_empty() { " named like " (name) } }
        @if found.tokens.is_empty() { p.soft { "None." } } @else {
            table.stack {
                thead { tr { th { "Name" } th { "State" } th { "May" } th { "Last use" } th { span.hidden { "Stop" } } } }
                tbody {
                    @for token in &found.tokens {
                        tr {
                            td.name { a href=(path(token.id)) { (token.alias) } }
                            td.at-end { (Status::of(token, Recent::default(), visitor.now).shown()) }
                            td data-is="May" { (may(&in_force(token), &visitor.own)) }
                            td data-is="Last use" {
                                @match token.last_used_at {
                                    Some(at) => { (time::ago(at, visitor.now)) @if let Some(ip) = &token.last_used_ip { span.sub.mono { (ip) } } },
                                    None => span.soft { "never" },
                                }
                            }
                            td.act { (visitor.button(&format!("{}/stop", path(token.id)), "stop", "Stop")) }
                        }
                    }
                }
            }
            @if found.total > found.tokens.len() as u64 {
                p.small.soft { (count(found.tokens.len() as u64)) " of " (count(found.total)) " are shown. Type a part of the name." }
            }
        }
        h2 { "Everything" }
        p { "Not known which? " a href="/console/stop/all" { "Stop every token" } ". You can start each of them again." }
        h2 { "Sessions" }
        p { "Somebody else signed in? " a href="/console/account" { "See every session of your account and end it" } "." }
    };
    Page::new(&visitor, Section::Stop, "Stop something").around(&main)
}
