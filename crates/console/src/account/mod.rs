//! The account: who it is, and one list of every session, whatever it came by.

pub(crate) mod secrets;

use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::id::noun;
use hoody_engine::error::Error;
use hoody_engine::web::{IdPath, Query};
use hoody_service::sign_in::sessions::http::{end_all as end_all_sessions, end_one};
use hoody_service::sign_in::two_factor;
use hoody_service::users::store::find_user;
use http::StatusCode;
use maud::{Markup, html};

use crate::parts::page::failed;
use crate::parts::time;
use crate::parts::words::things;
use crate::session::store::{Listed, list};
use crate::session::{Act, LIFETIME, Page, Section, Visitor};

/// A browser that does not name itself as others do.
const UNKNOWN: &str = "A browser";
const ACCOUNT: &str = "/console/account";

/// Somebody reloaded an act of the account.
pub(crate) async fn go_back(_visitor: Box<Visitor>) -> Response {
    Redirect::to(ACCOUNT).into_response()
}

/// `GET /console/account`
pub(crate) async fn show(visitor: Box<Visitor>, query: Query) -> Response {
    let done = query.text("done").ok().flatten().unwrap_or_default();
    page(&visitor, done).await.unwrap_or_else(|error| failed(&error))
}

async fn page(visitor: &Visitor, done: &str) -> Result<Response, Error> {
    let (console, now) = (&visitor.console, visitor.now);
    let missing = Error::NotFound { code: "USER_NOT_FOUND", message: "User not found" };
    let user = find_user(&console.db, visitor.account()).await?.ok_or(missing)?;
    let sessions = list(&console.db, visitor.account(), now, now.plus(-LIFETIME)).await?;
    let has_code = two_factor::is_on_for(&console.sign_in, visitor.account()).await?;
    let main = html! {
        div.head {
            div { h1 { (user.username) } p.soft { "Your account." } }
            (visitor.button("/console/sign-out", "", "Sign out"))
        }
        @if done == "ended" { div.note.good role="status" { p { "The session is ended." } } }
        dl.facts {
            dt { "Email" } dd { @match &user.email { Some(email) => (email), None => span.soft { "none" } } }
            dt { "Password" } dd { a href="/console/account/password" { "Change it" } }
            dt { "Second factor" }
            dd {
                @if has_code {
                    span.is.good { "on" } " " a href="/console/account/second-factor" { "Turn it off" }
                } @else {
                    span.is.warn { "off" } " " a href="/console/account/second-factor" { "Turn it on" }
                }
            }
            dt { "Made" } dd { (time::minute(user.created_at)) }
            dt { "Id" } dd { code { (user.id) } }
        }
        (list_of_sessions(visitor, &sessions))
    };
    Ok(Page::new(visitor, Section::Account, "Account").around(&main))
}

fn list_of_sessions(visitor: &Visitor, sessions: &[Listed]) -> Markup {
    let now = visitor.now;
    html! {
        h2 { "Sessions" }
        p.soft { (things(sessions.len() as u64, "session")) " of this account, in browsers, terminals and programs. Tokens are not sessions." }
        table.stack {
            thead { tr { th { "Where" } th { "State" } th { "Address" } th { "Signed in" } th { "Last active" } th { span.hidden { "End" } } } }
            tbody {
                @for session in sessions {
                    @let is_this = session.id == visitor.session;
                    tr {
                        td.name { (place(session)) }
                        td.at-end { @if is_this { span.is.good { "this one" } } @else { span.is.soft { "open" } } }
                        td data-is="Address" { span.mono { (session.ip) } }
                        td data-is="Signed in" { (time::ago(session.created_at, now)) }
                        td data-is="Last active" { (time::ago(session.active_at, now)) }
                        td.act {
                            @if !is_this { (visitor.button(&format!("{ACCOUNT}/sessions/{}/end", session.id), "stop", "End")) }
                        }
                    }
                }
            }
        }
        (visitor.form(&format!("{ACCOUNT}/sessions/end-all"), "", html! {
            div.choices { button.stop type="submit" { "Sign out everywhere" } }
            p.hint { "Ends every session above, this one too. Tokens keep working." }
        }))
    }
}

/// Where a session is, as far as its client tells.
fn place(session: &Listed) -> Markup {
    let named = session.user_agent.as_deref().map(browser);
    html! {
        @match (named, session.client.as_str()) {
            (Some(browser), _) => (browser),
            (None, "cli") => "Command line",
            (None, "sdk") => "Program (SDK)",
            (None, "agent") => "Agent",
            (None, "ssh" | "webssh") => "SSH",
            (None, "web") => "Web client",
            (None, _) => "Unknown client",
        }
        // What is no browser's usual name is shown as it is.
        @if let Some(agent) = session.user_agent.as_deref().filter(|agent| browser(agent) == UNKNOWN) { span.sub { (agent) } }
    }
}

/// The browser and system that a user agent names, in two words.
fn browser(agent: &str) -> String {
    let find = |known: &[(&str, &'static str)]| {
        known.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    let name = find(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = find(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (name, system) {
        (Some(name), Some(system)) => format!("{name} on {system}"),
        (Some(name), None) => name.to_owned(),
        _ => UNKNOWN.to_owned(),
    }
}

/// `POST /console/account/sessions/{id}/end`
pub(crate) async fn end_session(id: Result<IdPath<noun::Session>, Error>, act: Act) -> Response {
    let visitor = &act.visitor;
    let ended = async { end_one(&visitor.console.sign_in, &visitor.caller, id?.0).await };
    match ended.await {
        Ok(true) => Redirect::to(&format!("{ACCOUNT}?done=ended")).into_response(),
        Ok(false) => {
            let main = html! {
                h1 { "There is no such session" }
                p { "It may have ended by itself, or somebody ended it." }
                p { a.button href=(ACCOUNT) { "Show the sessions" } }
            };
            Page::new(visitor, Section::Account, "No such session").with(StatusCode::NOT_FOUND).around(&main)
        }
        Err(error) => failed(&error),
    }
}

/// `POST /console/account/sessions/end-all`
pub(crate) async fn end_all(act: Act) -> Response {
    let visitor = &act.visitor;
    match end_all_sessions(&visitor.console.sign_in, &visitor.caller, visitor.session).await {
        Ok(()) => {
            visitor.forget();
            Redirect::to("/console/sign-in?done=everywhere").into_response()
        }
        Err(error) => failed(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_told_in_two_words() {
        for (agent, words) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/150.0 Safari/537.36 Edg/150.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) AppleWebKit/605 Version/18 Safari/605",
                "Safari on macOS",
            ),
            ("curl/8.5.0", "A browser"),
        ] {
            assert_eq!(browser(agent), words);
        }
    }
}
