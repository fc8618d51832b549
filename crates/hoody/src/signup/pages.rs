//! The pages that the links of mails lead to. Opening one does nothing: mail programs and scanners open
//! links by themselves. The button does.

use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;

use super::{Link, open_link, reset_password};
use crate::error::Error;
use crate::http::Shared;
use crate::http::caller::Origin;
use crate::http::pages::{Posted, page, page_with, wrong};
use crate::limits::{self, Subject};
use crate::users::User;

/// What a link carries.
#[derive(Debug, Deserialize)]
pub(crate) struct Carried {
    #[serde(default)]
    token: hoody_core::wire::Secret,
}

const VERIFY: &str = "Confirm your e-mail address";
const RESET: &str = "Set a new password";

/// `GET /verify-email?token=…`
pub(crate) async fn ask_verification(Query(link): Query<Carried>) -> Response {
    page(VERIFY, &verification_form(link.token.expose()))
}

/// `POST /verify-email`
pub(crate) async fn verify(State(app): State<Shared>, origin: Origin, form: Posted) -> Response {
    match verify_counted(&app, &origin, form.text("token")).await {
        Ok(user) => page(
            "Your address is confirmed",
            &html! {
                p.done role="status" { "Thank you." }
                p { "You can sign in now, with this address or as " strong { (user.username) } "." }
            },
        ),
        Err(error) => failed(VERIFY, &error, &html! {}),
    }
}

async fn verify_counted(app: &Shared, origin: &Origin, token: &str) -> Result<User, Error> {
    limits::count(app, &limits::VERIFY_EMAIL, Subject::Address(origin.address)).await?;
    let (mutation, user) = open_link(app, Link::VerifyEmail, token, origin.address).await?;
    mutation.commit().await.map(|()| user)
}

/// `GET /reset-password?token=…`
pub(crate) async fn ask_password(Query(link): Query<Carried>) -> Response {
    page(RESET, &password_form(link.token.expose()))
}

/// `POST /reset-password`
pub(crate) async fn reset(State(app): State<Shared>, origin: Origin, form: Posted) -> Response {
    let token = form.text("token");
    match reset_counted(&app, &origin, token, form.secret("password").expose()).await {
        Ok(()) => page(
            "Your password is set",
            &html! {
                p.done role="status" { "Every session of the account was ended." }
                p { "You can sign in with the new password now." }
            },
        ),
        Err(error) => failed(RESET, &error, &password_form(token)),
    }
}

async fn reset_counted(app: &Shared, origin: &Origin, token: &str, password: &str) -> Result<(), Error> {
    hoody_core::password::check_new(password)?;
    limits::count(app, &limits::RESET_PASSWORD, Subject::Address(origin.address)).await?;
    reset_password(app, token, password, origin.address).await
}

fn verification_form(token: &str) -> Markup {
    html! {
        p { "Is this your address? Then one click opens the account." }
        form method="post" action="/verify-email" {
            input type="hidden" name="token" value=(token);
            div.choices { button type="submit" { "Yes, it is mine" } }
        }
    }
}

fn password_form(token: &str) -> Markup {
    html! {
        form method="post" action="/reset-password" {
            input type="hidden" name="token" value=(token);
            label for="password" { "New password" }
            input #password type="password" name="password" autocomplete="new-password" required
                minlength="12" maxlength="128" aria-describedby="rule";
            p.hint #rule { "12 to 128 characters of any kind. Every session of the account ends." }
            div.choices { button type="submit" { "Set the password" } }
        }
    }
}

/// What went wrong, and the form again where it may still work.
fn failed(title: &str, error: &Error, form: &Markup) -> Response {
    let (status, why, is_worth_more) = match error {
        Error::Invalid(hoody_core::invalid::Invalid::Rule { code: "INVALID_MAIL_TOKEN", .. }) => (
            StatusCode::BAD_REQUEST,
            "This link was used, has expired, or a newer mail took its place. Ask for another one."
                .to_owned(),
            false,
        ),
        Error::Invalid(hoody_core::invalid::Invalid::Rule { message, .. }) => {
            (StatusCode::BAD_REQUEST, format!("{message}."), true)
        }
        Error::RateLimited { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, "Too many tries. Come back in an hour.".to_owned(), true)
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, "That did not work. Try again in a moment.".to_owned(), true),
    };
    let body = html! {
        (wrong(&why))
        @if is_worth_more { (form) }
    };
    page_with(status, title, &body)
}
