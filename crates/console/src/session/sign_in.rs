//! Signing in with a password and a second factor, and signing out.
//!
//! The password's page says the same for every wrong name and password. Between the two pages nothing but the
//! temporary token of the login travels, in the form; it opens nothing by itself. A form that was refused
//! because its session was over goes through both pages and is offered again at the end.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::id::SessionId;
use hoody_core::wire::Secret;
use hoody_engine::error::Error;
use hoody_engine::web::Query;
use hoody_service::history::Source;
use hoody_service::sign_in::sessions::http::end_one;
use hoody_service::sign_in::sessions::login::{Credentials, OnBan};
use hoody_service::sign_in::two_factor::{self, EndsIn, body::any_code, verify};
use http::{HeaderValue, StatusCode, header};
use maud::{Markup, html};

use super::form::{MARK, mark};
use super::{Act, Fields, Maybe, Opened, Posting, open};
use crate::parts::page::{dialog, dialog_with, failed};
use crate::parts::words::problem;

use crate::{Console, HOME};

const SIGN_IN: &str = "/console/sign-in";
const CODE: &str = "/console/sign-in/code";
/// Where a kept form is to be sent, and what its fields' names begin with.
const KEEP_TO: &str = "keep-to";
const KEEP: &str = "keep.";

/// The page that signs in and leads on to `next`.
pub(crate) fn address(next: &str) -> String {
    if next == HOME || !is_local(next) {
        return SIGN_IN.to_owned();
    }
    let mut encoded = String::new();
    for byte in next.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("{SIGN_IN}?next={encoded}")
}

/// Whether a path is one of the console's: never another site's, whatever a browser makes of it.
fn is_local(path: &str) -> bool {
    let is_below = path == HOME || path.strip_prefix(HOME).is_some_and(|rest| rest.starts_with(['/', '?']));
    is_below
        && !path.contains("//")
        && !path.contains('\\')
        && path.bytes().all(|byte| byte.is_ascii_graphic())
}

fn next_of(fields: &Fields) -> &str {
    let next = fields.text("next");
    if is_local(next) { next } else { HOME }
}

/// `GET /console/sign-in`
pub(crate) async fn show(Maybe(visitor): Maybe, query: Query) -> Response {
    let next = query.text("next").ok().flatten().filter(|next| is_local(next)).unwrap_or(HOME);
    if visitor.is_some() {
        return Redirect::to(next).into_response();
    }
    let fields = hidden_next(next);
    let intro = match query.text("done").ok().flatten() {
        Some("out") => html! { p.done role="status" { "You are signed out." } },
        Some("password") => {
            html! { p.done role="status" { "Your password is changed. Sign in with the new one." } }
        }
        Some("second-factor") => {
            html! { p.done role="status" { "The second factor is on. Sign in with it." } }
        }
        Some("second-factor-off") => html! { p.done role="status" { "The second factor is off." } },
        Some("everywhere") => html! { p.done role="status" { "Every session of your account is ended." } },
        _ => html! {},
    };
    password_page(StatusCode::OK, &html! { (intro) }, &fields, "", None)
}

/// Somebody reloaded the second page.
pub(crate) async fn begin_again() -> Response {
    Redirect::to(SIGN_IN).into_response()
}

/// The page for a form whose session is over. Nothing of it was done.
pub(crate) fn again(path: &str, fields: &Fields) -> Response {
    let kept = html! {
        input type="hidden" name=(KEEP_TO) value=(path);
        @for (name, value) in fields.open() { input type="hidden" name={ (KEEP) (name) } value=(value); }
    };
    let intro = html! {
        p { "Your session is over. What you typed is kept, passwords and codes excepted. Nothing was changed yet." }
    };
    password_page(StatusCode::UNAUTHORIZED, &intro, &kept, "", None)
}

fn hidden_next(next: &str) -> Markup {
    html! { @if next != HOME { input type="hidden" name="next" value=(next); } }
}

/// What goes from one page of signing in to the next.
fn carried(fields: &Fields) -> Markup {
    html! {
        (hidden_next(next_of(fields)))
        @for (name, value) in fields.open().filter(|(name, _)| name.starts_with(KEEP) || *name == KEEP_TO) {
            input type="hidden" name=(name) value=(value);
        }
    }
}

/// `POST /console/sign-in`
pub(crate) async fn give_password(State(console): State<Arc<Console>>, posting: Posting) -> Response {
    let name = posting.fields.text("name").to_owned();
    match check_password(&console, &posting).await {
        Ok(Checked::SignedIn(session)) => go_on(&console, session, &posting.fields),
        Ok(Checked::Half(temp_token)) => code_page(&posting.fields, &temp_token, None),
        Err(error) => {
            let carried = carried(&posting.fields);
            refused(&error, password_page(error.status(), &html! {}, &carried, &name, Some(&error)))
        }
    }
}

/// What a right password gives.
enum Checked {
    SignedIn(SessionId),
    /// What the page of the second factor goes on with.
    Half(Secret),
}

async fn check_password(console: &Console, posting: &Posting) -> Result<Checked, Error> {
    let name = posting.fields.text("name");
    let (username, email) = if name.contains('@') { (None, Some(name)) } else { (Some(name), None) };
    // Too short or too long to be anybody's: the same to whoever tries.
    let credentials = Credentials::read(username, email, Some(posting.fields.secret("password")));
    let credentials = credentials.map_err(|_| Error::BadCredentials)?;
    let source = Source { address: Some(posting.origin.address), client: Some("web") };
    let visit = (&posting.visit, posting.origin);
    let (mut mutation, user) = credentials.prove(&console.sign_in, source, visit, OnBan::SayNothing).await?;
    if two_factor::is_on(&mut mutation, user.id).await? {
        let challenge = two_factor::challenge(&console.sign_in, &user, mutation.now, EndsIn::Session);
        return Ok(Checked::Half(challenge.temp_token));
    }
    open(console, mutation, &user, opened(posting, None)).await.map(Checked::SignedIn)
}

fn opened<'a>(posting: &'a Posting, second_factor: Option<&'static str>) -> Opened<'a> {
    Opened { address: posting.origin.address, headers: &posting.headers, jar: &posting.jar, second_factor }
}

/// `POST /console/sign-in/code`
pub(crate) async fn give_code(State(console): State<Arc<Console>>, posting: Posting) -> Response {
    let temp_token = posting.fields.secret("temp_token");
    match check_code(&console, &posting, &temp_token).await {
        Ok(session) => go_on(&console, session, &posting.fields),
        Err(error) if error.code() == "INVALID_TEMP_TOKEN" => {
            let page = password_page(error.status(), &html! {}, &carried(&posting.fields), "", Some(&error));
            refused(&error, page)
        }
        Err(error) => refused(&error, code_page(&posting.fields, &temp_token, Some(&error))),
    }
}

async fn check_code(console: &Console, posting: &Posting, temp_token: &Secret) -> Result<SessionId, Error> {
    let login = verify::read(&console.sign_in, temp_token.expose())?;
    posting.visit.note_login(login.account(), posting.origin);
    if !login.is_for_session() {
        return Err(hoody_core::invalid::Invalid::rule(
            "INVALID_TEMP_TOKEN",
            "Temporary token expired or invalid",
        )
        .into());
    }
    let code = any_code(posting.fields.text("code"))?;
    let proven = verify::prove(&console.sign_in, &login, code, posting.origin.address).await?;
    let verify::Proven { mutation, user, method } = proven;
    open(console, mutation, &user, opened(posting, Some(method))).await
}

/// Where somebody goes who has signed in: to the page that was asked for, or back to the form that was kept.
fn go_on(console: &Console, session: SessionId, fields: &Fields) -> Response {
    let to = fields.text(KEEP_TO);
    if to.is_empty() || !is_local(to) {
        return Redirect::to(next_of(fields)).into_response();
    }
    let mark = mark(&console.keys, session, to, console.clock.now());
    let body = html! {
        p { "Nothing was sent yet. Continue with what you were doing." }
        form method="post" action=(to) {
            input type="hidden" name=(MARK) value=(mark);
            @for (name, value) in fields.open() {
                @if let Some(name) = name.strip_prefix(KEEP) { input type="hidden" name=(name) value=(value); }
            }
            div.choices { button type="submit" { "Continue" } a.button href=(HOME) { "Leave it" } }
        }
    };
    dialog("You are signed in", &body)
}

/// `POST /console/sign-out`
pub(crate) async fn sign_out(act: Act) -> Response {
    let visitor = &act.visitor;
    match end_one(&visitor.console.sign_in, &visitor.caller, visitor.session).await {
        Ok(_) => {
            visitor.forget();
            Redirect::to(&format!("{SIGN_IN}?done=out")).into_response()
        }
        Err(error) => failed(&error),
    }
}

fn refused(error: &Error, mut response: Response) -> Response {
    error.log();
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn password_page(
    status: StatusCode,
    intro: &Markup,
    hidden: &Markup,
    name: &str,
    error: Option<&Error>,
) -> Response {
    let body = html! {
        (intro)
        @if let Some(error) = error { p.wrong role="alert" { (problem(error)) } }
        form method="post" action=(SIGN_IN) {
            (hidden)
            div.field {
                label for="name" { "Username or email address" }
                input #name name="name" value=(name) required maxlength="255" autocomplete="username"
                    autocapitalize="none" spellcheck="false" autofocus[name.is_empty()];
            }
            div.field {
                label for="password" { "Password" }
                input #password name="password" type="password" required maxlength="128"
                    autocomplete="current-password" autofocus[!name.is_empty()];
            }
            div.choices { button type="submit" { "Sign in" } }
        }
        p.small.soft.last { "Signing in on another device? " a href="/device" { "Enter its code" } "." }
    };
    dialog_with(status, "Sign in", &body)
}

fn code_page(fields: &Fields, temp_token: &Secret, error: Option<&Error>) -> Response {
    let body = html! {
        @if let Some(error) = error { p.wrong role="alert" { (problem(error)) } }
        form method="post" action=(CODE) {
            (carried(fields))
            input type="hidden" name="temp_token" value=(temp_token.expose());
            div.field {
                label for="code" { "Code of your authenticator app" }
                input.code #code name="code" required maxlength="32" autocomplete="one-time-code" inputmode="text"
                    spellcheck="false" autofocus aria-describedby="code-hint";
                p.hint #code-hint { "Six digits, or one of your backup codes." }
            }
            div.choices { button type="submit" { "Continue" } a.button href=(SIGN_IN) { "Start again" } }
        }
    };
    dialog_with(error.map_or(StatusCode::OK, Error::status), "Second factor", &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_console_is_led_on_to() {
        for path in ["/console", "/console/tokens", "/console?x=1", "/console/tokens?q=a&state=any"] {
            assert!(is_local(path), "{path}");
        }
        for path in [
            "",
            "/",
            "//evil.example",
            "/console//evil.example",
            "https://evil.example",
            "/consoled",
            "/console\\evil",
            "/api/v1/ip",
            "/console/\n",
            "javascript:alert(1)",
            " /console",
        ] {
            assert!(!is_local(path), "{path}");
        }
        assert_eq!(address("/console/tokens?q=a b"), SIGN_IN);
        assert_eq!(address("/console/tokens?q=a&b"), "/console/sign-in?next=/console/tokens%3Fq%3Da%26b");
        assert_eq!(address("//evil.example"), SIGN_IN);
    }
}
