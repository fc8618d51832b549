//! The page where somebody types a user code, sees who asks, and signs in or refuses.
//!
//! Forms alone: it works without script. Each step is a page that answers the form before; between them
//! the ticket travels in the form and the cookie beside it, and the second factor's temporary token, which
//! opens nothing by itself. No session is ever made here.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use hoody_core::device::MAX_USER_CODE;
use hoody_core::time::Timestamp;
use hoody_core::wire;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use maud::{Markup, html};

use super::{LookedUp, PAGE, Request, SignedIn, cookie};
use crate::sign_in::SignIn;
use crate::sign_in::sessions::login::Credentials;
use crate::sign_in::two_factor::{body::any_code, verify};
use hoody_engine::error::Error;
use hoody_engine::web::Query;
use hoody_engine::web::caller::{Origin, Visit};
use hoody_engine::web::pages::{Posted, page, page_with, wrong};

const CODE_STEP: &str = "/device/code";
const SIGN_IN_STEP: &str = "/device/sign-in";
const SECOND_STEP: &str = "/device/second-factor";
const REFUSE_STEP: &str = "/device/refuse";

/// The routes of the page.
pub fn routes() -> Router<Arc<SignIn>> {
    Router::new()
        .route(PAGE, get(show_code_form))
        .route(CODE_STEP, post(enter_code).get(begin_again))
        .route(SIGN_IN_STEP, post(sign_in).get(begin_again))
        .route(SECOND_STEP, post(give_second_factor).get(begin_again))
        .route(REFUSE_STEP, post(refuse).get(begin_again))
}

async fn show_code_form(_origin: Origin, query: Query) -> Response {
    // What is in the link is only filled in: nothing happens before a person sends the form.
    let given = query.text("user_code").ok().flatten().unwrap_or_default();
    let given: String = given.chars().take(MAX_USER_CODE).collect();
    let problem = match query.text("error").ok().flatten() {
        Some("provider_unavailable") => {
            Some(Problem::of(StatusCode::OK, "This server has no such way of signing in. Use a password."))
        }
        _ => None,
    };
    code_form(&given, problem)
}

/// Somebody reloaded a step, or came to one by its address.
async fn begin_again() -> Response {
    code_form("", None)
}

async fn enter_code(State(sign_in): State<Arc<SignIn>>, origin: Origin, form: Posted) -> Response {
    let given = form.text("user_code");
    match super::look_up(&sign_in, given, origin.address).await {
        Ok(LookedUp::Approved) => approved(),
        Ok(LookedUp::Pending(request, ticket)) => {
            let now = sign_in.clock.now();
            let mut response = sign_in_form(&request, ticket.ticket.expose(), now, "", None);
            cookie::set(&sign_in, &mut response, &ticket.cookie, request.expires_in(now));
            response
        }
        Err(error) => code_form(given, Some(Problem::from(error))),
    }
}

async fn sign_in(
    State(sign_in): State<Arc<SignIn>>,
    origin: Origin,
    visit: Visit,
    headers: HeaderMap,
    form: Posted,
) -> Response {
    let ticket = form.text("ticket");
    let request = match super::find_waiting(&sign_in, ticket, cookie::read(&sign_in, &headers)).await {
        Ok(request) => request,
        Err(error) => return over(error),
    };
    let name = form.text("name");
    let (username, email) = if name.contains('@') { (None, Some(name)) } else { (Some(name), None) };
    let signed_in = match Credentials::read(username, email, Some(form.secret("password"))) {
        Ok(credentials) => super::sign_in(&sign_in, &request, &credentials, (&visit, origin)).await,
        // Too short or too long to be anybody's: the same to the person at the page.
        Err(_) => Err(Error::BadCredentials),
    };
    match signed_in {
        Ok(SignedIn::Approved) => done(&sign_in, approved()),
        Ok(SignedIn::Challenge(challenge)) => {
            code_of_second_factor(&request, ticket, &challenge.temp_token, sign_in.clock.now(), None)
        }
        Err(error @ Error::Gone { .. }) => over(error),
        Err(error) => sign_in_form(&request, ticket, sign_in.clock.now(), name, Some(Problem::from(error))),
    }
}

async fn give_second_factor(
    State(sign_in): State<Arc<SignIn>>,
    origin: Origin,
    visit: Visit,
    headers: HeaderMap,
    form: Posted,
) -> Response {
    let ticket = form.text("ticket");
    let request = match super::find_waiting(&sign_in, ticket, cookie::read(&sign_in, &headers)).await {
        Ok(request) => request,
        Err(error) => return over(error),
    };
    let temp_token = form.secret("temp_token");
    let login = verify::read(&sign_in, temp_token.expose());
    let Some(login) = login.ok().filter(|login| login.device() == Some(request.id)) else {
        let problem = Problem::of(StatusCode::BAD_REQUEST, "That took too long. Sign in again.");
        return sign_in_form(&request, ticket, sign_in.clock.now(), "", Some(problem));
    };
    visit.note_login(login.account(), origin);
    let finished = match any_code(form.text("code")) {
        Ok(code) => verify::finish(&sign_in, &login, code, None, origin.address).await.map(drop),
        Err(invalid) => Err(invalid.into()),
    };
    match finished {
        Ok(()) => done(&sign_in, approved()),
        Err(error) if is_over(&error) => over(error),
        Err(error) => {
            let problem = Some(Problem::from(error));
            code_of_second_factor(&request, ticket, &temp_token, sign_in.clock.now(), problem)
        }
    }
}

async fn refuse(
    State(sign_in): State<Arc<SignIn>>,
    _origin: Origin,
    headers: HeaderMap,
    form: Posted,
) -> Response {
    let found = super::find_waiting(&sign_in, form.text("ticket"), cookie::read(&sign_in, &headers)).await;
    let denied = match found {
        Ok(request) => super::deny(&sign_in, &request).await,
        Err(error) => Err(error),
    };
    match denied {
        Ok(()) => {
            let body = html! {
                p { "Nobody was signed in, and the device was told." }
                p { "If you did not start this: somebody wanted you to sign them in as yourself. Do not use \
                     links or codes that others send you." }
                p.faint { "You can close this page." }
            };
            done(&sign_in, page("Refused", &body))
        }
        Err(error) => over(error),
    }
}

/// The page at the end of the way: the cookie has no use any more.
fn done(sign_in: &SignIn, mut response: Response) -> Response {
    cookie::clear(sign_in, &mut response);
    response
}

fn approved() -> Response {
    let body = html! {
        p.done role="status" { "Your device is signed in." }
        p { "You can return to your device. It continues in a few seconds." }
        p.faint { "You can close this page." }
    };
    page("Approved", &body)
}

/// The request is not waiting any more, or not for this page.
fn over(error: Error) -> Response {
    code_form("", Some(Problem::from(error)))
}

fn is_over(error: &Error) -> bool {
    matches!(error, Error::Gone { .. }) || error.code() == "DEVICE_BINDING_GONE"
}

/// What went wrong, as a person is told it.
struct Problem {
    status: StatusCode,
    why: &'static str,
    /// In how many seconds to try again.
    wait: Option<u64>,
}

impl Problem {
    fn of(status: StatusCode, why: &'static str) -> Self {
        Self { status, why, wait: None }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        error.log();
        let why = match error.code() {
            "RESOURCE_NOT_FOUND" => {
                "No sign-in request found for this code. It may have expired. Compare it with the one on your device."
            }
            "DEVICE_CODE_GONE" | "DEVICE_BINDING_GONE" => {
                "This code is no longer valid. Start again on your device to get another."
            }
            "DEVICE_COOKIE_MISSING" => {
                "This page has lost its cookie. Allow cookies for this address, and begin again."
            }
            "INVALID_CREDENTIALS" => "Wrong username or password.",
            "EMAIL_NOT_VERIFIED" => {
                "Confirm your email address first: open the link in the email that was sent to it."
            }
            "ACCOUNT_BANNED" => "This account is banned.",
            "INVALID_OTP_CODE" | "INVALID_BACKUP_CODE" => {
                "The code is wrong or was used. Wait for the next one and try again."
            }
            "INVALID_TEMP_TOKEN" => "That took too long. Begin again with the code on your device.",
            "TWOFACTOR_RATE_LIMIT" | "RATE_LIMIT_EXCEEDED" => "Too many tries. Try again later.",
            "VALIDATION_ERROR" | "MISSING_REQUIRED_FIELD" => "Six digits, or one of your backup codes.",
            _ => "That did not work. Try again in a moment.",
        };
        Self { status: error.status(), why, wait: error.retry_after() }
    }
}

/// A page with what went wrong, if anything did, above its form.
fn form_page(title: &str, intro: &Markup, form: &Markup, problem: Option<Problem>) -> Response {
    let body = html! {
        (intro)
        @if let Some(problem) = &problem { (wrong(problem.why)) }
        (form)
    };
    let status = problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let mut response = page_with(status, title, &body);
    if let Some(seconds) = problem.and_then(|problem| problem.wait) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn code_form(given: &str, problem: Option<Problem>) -> Response {
    let intro = html! { p { "Enter the code that your device shows." } };
    let form = html! {
        form method="post" action=(CODE_STEP) {
            label for="user_code" { "Code" }
            input.code #user_code name="user_code" value=(given) required maxlength=(MAX_USER_CODE)
                autocomplete="off" autocapitalize="characters" spellcheck="false" autofocus
                placeholder="XXXX-XXXX" aria-describedby="user_code_hint";
            p.hint #user_code_hint { "Eight letters. Case and hyphen do not matter." }
            div.choices { button type="submit" { "Continue" } }
        }
        p.faint.last { "You type a code only for a device of your own that you are signing in right now. Nobody \
                  else has a reason to send you one." }
    };
    form_page("Sign in on a device", &intro, &form, problem)
}

/// Who asks, as far as it can be told.
fn who_asks(request: &Request, now: Timestamp) -> Markup {
    let minutes = (now.millis() - request.created_at.millis()).max(0) / 60_000;
    let ago = match minutes {
        0 => "less than a minute ago".to_owned(),
        1 => "a minute ago".to_owned(),
        minutes => format!("{minutes} minutes ago"),
    };
    let at = request.created_at.to_string();
    let clock = at.get(11..16).unwrap_or_default();
    html! {
        dl {
            dt { "Device" } dd { (request.client_name.as_deref().unwrap_or("without a name")) }
            dt { "Address" } dd { (request.ip) }
            dt { "Asked" } dd { time datetime=(at) { (ago) ", " (clock) " UTC" } }
        }
        p.note {
            strong { "Is this you? " }
            "The device names itself; the address is where it asked from. Go on only if you started this \
             yourself, just now. Whoever is approved is signed in as you."
        }
    }
}

fn choices(go_on: &str) -> Markup {
    html! {
        div.choices {
            button type="submit" { (go_on) }
            button.second type="submit" formaction=(REFUSE_STEP) formnovalidate { "Refuse" }
        }
    }
}

fn sign_in_form(
    request: &Request,
    ticket: &str,
    now: Timestamp,
    name: &str,
    problem: Option<Problem>,
) -> Response {
    let intro = html! {
        p { "A device asks to be signed in to your account." }
        (who_asks(request, now))
    };
    let form = html! {
        form method="post" action=(SIGN_IN_STEP) {
            input type="hidden" name="ticket" value=(ticket);
            label for="name" { "Username or email address" }
            input #name name="name" value=(name) required maxlength="255" autocomplete="username"
                autocapitalize="none" spellcheck="false" autofocus[name.is_empty()];
            label for="password" { "Password" }
            input #password name="password" type="password" required maxlength="128"
                autocomplete="current-password" autofocus[!name.is_empty()];
            (choices("Sign in and approve"))
        }
    };
    form_page("Approve a sign-in", &intro, &form, problem)
}

fn code_of_second_factor(
    request: &Request,
    ticket: &str,
    temp_token: &wire::Secret,
    now: Timestamp,
    problem: Option<Problem>,
) -> Response {
    let intro = html! {
        p { "Your password is right. Enter a code to go on." }
        (who_asks(request, now))
    };
    let form = html! {
        form method="post" action=(SECOND_STEP) {
            input type="hidden" name="ticket" value=(ticket);
            input type="hidden" name="temp_token" value=(temp_token.expose());
            label for="code" { "Code of your authenticator app" }
            input.code #code name="code" required maxlength="32" autocomplete="one-time-code"
                inputmode="text" spellcheck="false" autofocus aria-describedby="code_hint";
            p.hint #code_hint { "Six digits, or one of your backup codes." }
            (choices("Approve"))
        }
    };
    form_page("Second factor", &intro, &form, problem)
}
