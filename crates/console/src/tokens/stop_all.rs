//! Everything at once: every token of the account is stopped. It is said first what breaks, in numbers, and the
//! account's name is typed, because nobody means to do this by a slip.

use axum::response::Response;
use hoody_engine::error::Error;
use hoody_engine::nodes::wait::until_applied;
use hoody_service::tokens::changes::stop_all;
use hoody_service::tokens::search::tally;
use http::StatusCode;
use maud::html;

use super::stop::reach;
use crate::parts::page::{dialog_with, failed};
use crate::parts::words::{count, things};
use crate::session::{Act, Page, Section, Visitor};

const ALL: &str = "/console/stop/all";

/// `GET /console/stop/all`
pub(crate) async fn ask(visitor: Box<Visitor>) -> Response {
    ask_page(&visitor, false).await.unwrap_or_else(|error| failed(&error))
}

async fn ask_page(visitor: &Visitor, is_wrong: bool) -> Result<Response, Error> {
    let tally = tally(&visitor.console.tokens, visitor.account(), visitor.now).await?;
    let body = html! {
        p {
            b { (things(tally.working, "working token")) } " will be refused on every node within a second; "
            (count(tally.used_today)) " of them were used in the last 24 hours. You can start each of them again."
        }
        @if is_wrong { p.wrong role="alert" { "This is not the name of your account. Nothing was stopped." } }
        (visitor.form(ALL, "", html! {
            div.field {
                label for="account" { "Type " b { (visitor.username) } " to go on" }
                input #account name="account" required autocomplete="off" autocapitalize="none" spellcheck="false" autofocus;
            }
            div.choices {
                button.danger type="submit" { "Stop every token" }
                a.button href="/console/stop" { "Stop nothing" }
            }
        }))
    };
    let status = if is_wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(dialog_with(status, "Stop every token?", &body))
}

/// `POST /console/stop/all`
pub(crate) async fn stop(act: Act) -> Response {
    let visitor = &act.visitor;
    if act.fields.text("account") != visitor.username {
        return ask_page(visitor, true).await.unwrap_or_else(|error| failed(&error));
    }
    if let Err(page) = act.prove("Stopping every token").await {
        return page;
    }
    let (stopped, applied) =
        until_applied(&visitor.console.nodes, stop_all(&visitor.console.tokens, &visitor.caller)).await;
    let stopped = match stopped {
        Ok(stopped) => stopped,
        Err(error) => return failed(&error),
    };
    let main = html! {
        h1 { (things(stopped, "token")) @if stopped == 1 { " is" } @else { " are" } " stopped" }
        (reach(applied))
        div.row {
            a.button href="/console/tokens?state=stopped" { "Start some of them again" }
            a.button href="/console/log" { "See what they did" }
        }
        h2 { "If somebody has your password" }
        p {
            "Tokens are stopped; sessions are not. " a href="/console/account" { "Sign out everywhere" } ", then "
            a href="/console/account/password" { "change your password" } "."
        }
    };
    Page::new(visitor, Section::Stop, "Every token is stopped").around(&main)
}
