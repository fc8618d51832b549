//! Alerts: what looks wrong, what to do, and that somebody did.

use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::id::{Id, noun};
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::web::{IdPath, Query};
use hoody_service::alerts::http::{latest, settle};
use maud::{Markup, html};

use crate::parts::page::failed;
use crate::parts::time;
use crate::parts::words::things;
use crate::session::{Act, Page, Section, Visitor};
use crate::tokens::path;

pub(crate) const ALERTS: &str = "/console/alerts";
/// How many alerts a page has.
const ROWS: i64 = 25;

/// `GET /console/alerts?show=all&page=`
pub(crate) async fn show(visitor: Box<Visitor>, query: Query) -> Response {
    page(&visitor, &query).await.unwrap_or_else(|error| failed(&error))
}

/// Somebody reloaded an act.
pub(crate) async fn go_back(_visitor: Box<Visitor>) -> Response {
    Redirect::to(ALERTS).into_response()
}

async fn page(visitor: &Visitor, query: &Query) -> Result<Response, Error> {
    let shows_all = query.text("show").ok().flatten() == Some("all");
    let state = if shows_all { None } else { Some("open") };
    let number = query.text("page").ok().flatten().and_then(|page| page.parse::<i64>().ok());
    let number = number.filter(|page| (1..=1_000_000).contains(page)).unwrap_or(1);
    let (found, total) =
        latest(&visitor.console.alerts, &visitor.caller, state, ((number - 1) * ROWS, ROWS)).await?;
    let show = if shows_all { "show=all&" } else { "" };
    let main = html! {
        h1 { "Alerts" }
        p.soft { "What looks wrong with your credentials. An alert stays open until somebody says what it was." }
        nav.tabs aria-label="Which alerts" {
            a href=(ALERTS) aria-current=[(!shows_all).then_some("page")] { "Open" }
            a href={ (ALERTS) "?show=all" } aria-current=[shows_all.then_some("page")] { "All" }
        }
        @if found.is_empty() {
            div.empty { p { @if shows_all { "There was no alert yet." } @else { "No open alerts." } } }
        } @else {
            ul.plain.needs { @for alert in &found { (line(visitor, alert)) } }
            nav.pages aria-label="Pages" {
                span.soft.small { (things(total, "alert")) }
                @if number > 1 { a.button rel="prev" href={ (ALERTS) "?" (show) "page=" (number - 1) } { "Newer" } }
                @if number.saturating_mul(ROWS) < i64::try_from(total).unwrap_or(i64::MAX) {
                    a.button rel="next" href={ (ALERTS) "?" (show) "page=" (number + 1) } { "Older" }
                }
            }
        }
    };
    Ok(Page::new(visitor, Section::Alerts, "Alerts").around(&main))
}

fn line(visitor: &Visitor, alert: &wire::Alert) -> Markup {
    let class = match alert.severity.as_str() {
        "critical" => "is bad",
        "warning" => "is warn",
        _ => "is soft",
    };
    let act = format!("{ALERTS}/{}", alert.id);
    html! {
        li {
            div {
                p { span class=(class) { (alert.title) } " " span.soft.small { (time::ago(alert.last_at, visitor.now)) @if alert.count > 1 { ", " (things(alert.count, "time")) } } }
                p { (alert.message) }
                p.soft.small { (alert.explanation) }
            }
            div.row {
                @if let Some(id) = alert.subject_id.filter(|_| alert.subject_type == "token") {
                    a.button href=(path(Id::from_bytes(*id.bytes()))) { "Open the token" }
                }
                @if alert.state == "open" {
                    (visitor.button(&format!("{act}/acknowledge"), "", "Acknowledge"))
                    (visitor.button(&format!("{act}/dismiss"), "", "False alarm"))
                } @else { span.soft { (alert.state) } }
            }
        }
    }
}

/// `POST /console/alerts/{id}/acknowledge`
pub(crate) async fn acknowledge(id: Result<IdPath<noun::Alert>, Error>, act: Act) -> Response {
    end(id, &act, ("acknowledged", "alert.acknowledged")).await
}

/// `POST /console/alerts/{id}/dismiss`
pub(crate) async fn dismiss(id: Result<IdPath<noun::Alert>, Error>, act: Act) -> Response {
    end(id, &act, ("dismissed", "alert.dismissed")).await
}

async fn end(
    id: Result<IdPath<noun::Alert>, Error>,
    act: &Act,
    state: (&'static str, &'static str),
) -> Response {
    let visitor = &act.visitor;
    let settled = async { settle(&visitor.console.alerts, &visitor.caller, id?.0, state).await };
    match settled.await {
        Ok(_) => Redirect::to(ALERTS).into_response(),
        Err(error) => failed(&error),
    }
}
