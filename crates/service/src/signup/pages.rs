//! The pages that the links of mails lead to. Opening one does nothing: mail programs and scanners open
//! links by themselves. The button does.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use hoody_core::wire::{PasswordReset, Secret};
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;

use super::SignUp;
use super::links::Link;
use super::proof::{EndTokens, check_password, reset_password, verify};
use hoody_engine::error::Error;
use hoody_engine::limits::{self, Subject};
use hoody_engine::web::caller::Origin;
use hoody_engine::web::pages::{Posted, page, page_with, wrong};

/// What a link carries.
#[derive(Debug, Deserialize)]
pub struct Carried {
    #[serde(default)]
    token: Secret,
}

const VERIFY: &str = "Confirm your e-mail address";
const RESET: &str = "Set a new password";
/// The box that has the account's tokens disabled.
const END_TOKENS: &str = "end_tokens";

/// `GET /verify-email?token=…`
pub async fn ask_verification(Query(link): Query<Carried>) -> Response {
    page(VERIFY, &verification_form(link.token.expose()))
}

/// How a verification went.
enum Verified {
    /// With the password of the sign-up.
    Kept(String),
    /// With a new password.
    Set,
    /// Not at all: it is another password.
    OtherPassword,
}

/// `POST /verify-email`
pub async fn verify_address(State(sign_up): State<Arc<SignUp>>, origin: Origin, form: Posted) -> Response {
    let token = form.text("token");
    let done = |next: Markup| {
        page("Your address is confirmed", &html! { p.done role="status" { "Thank you." } (next) })
    };
    match verify_counted(&sign_up, &origin, &form).await {
        Ok(Verified::Kept(username)) => done(html! {
            p { "You can sign in now, with this address or as " strong { (username) } "." }
        }),
        Ok(Verified::Set) => done(html! { p { "You can sign in now, with the new password." } }),
        Ok(Verified::OtherPassword) => {
            let why =
                "This is not the password of the sign-up that the email belongs to. Set a new one below.";
            page_with(StatusCode::BAD_REQUEST, VERIFY, &html! { (wrong(why)) (verification_form(token)) })
        }
        Err(error) => failed(VERIFY, &error, &verification_form(token)),
    }
}

async fn verify_counted(sign_up: &SignUp, origin: &Origin, form: &Posted) -> Result<Verified, Error> {
    let (token, password, new) = (form.text("token"), form.secret("password"), form.secret("new_password"));
    if new.is_empty() {
        hoody_core::password::check_given(password.expose(), "password")?;
    } else {
        hoody_core::password::check_new(new.expose())?;
    }
    sign_up.limits.count(&limits::VERIFY_EMAIL, Subject::Address(origin.address)).await?;
    if !new.is_empty() {
        let link = (Link::VerifyEmail, token);
        reset_password(sign_up, link, new.expose(), EndTokens::No, origin.address).await?;
        return Ok(Verified::Set);
    }
    // Looked at first: the link stays good for whoever mistyped.
    if check_password(sign_up, token, &password).await?.is_none() {
        return Ok(Verified::OtherPassword);
    }
    let (mutation, user) = verify(sign_up, token, Some(&password), origin.address).await?;
    mutation.commit().await?;
    Ok(Verified::Kept(user.username))
}

/// `GET /reset-password?token=…`
pub async fn ask_password(Query(link): Query<Carried>) -> Response {
    page(RESET, &password_form(link.token.expose()))
}

/// `POST /reset-password`
pub async fn reset(State(sign_up): State<Arc<SignUp>>, origin: Origin, form: Posted) -> Response {
    let token = form.text("token");
    match reset_counted(&sign_up, &origin, &form).await {
        Ok(left) => page(
            "Your password is set",
            &html! {
                p.done role="status" { "Every session of the account was ended." }
                (what_is_left(&left))
                p { "You can sign in with the new password now." }
            },
        ),
        Err(error) => failed(RESET, &error, &password_form(token)),
    }
}

async fn reset_counted(sign_up: &SignUp, origin: &Origin, form: &Posted) -> Result<PasswordReset, Error> {
    let password = form.secret("password");
    hoody_core::password::check_new(password.expose())?;
    sign_up.limits.count(&limits::RESET_PASSWORD, Subject::Address(origin.address)).await?;
    let tokens = EndTokens::from(!form.text(END_TOKENS).is_empty());
    let link = (Link::ResetPassword, form.text("token"));
    reset_password(sign_up, link, password.expose(), tokens, origin.address).await
}

/// What became of the account's tokens.
fn what_is_left(left: &PasswordReset) -> Markup {
    html! {
        @if left.disabled_tokens > 0 {
            p { "API tokens that were disabled: " (left.disabled_tokens) "." }
        }
        @if left.active_tokens > 0 {
            p {
                "API tokens that still work: " strong { (left.active_tokens) } ". If somebody else knew the old \
                 password, look at them with " code { "hoody auth list" } " and disable \
                 those that you do not know."
            }
        }
    }
}

/// The password of the sign-up, or a new one: the link alone puts no password in force, since anybody can
/// sign up with this address.
fn verification_form(token: &str) -> Markup {
    html! {
        form method="post" action="/verify-email" {
            input type="hidden" name="token" value=(token);
            label for="password" { "The password that you chose when you signed up" }
            input #password type="password" name="password" autocomplete="current-password" required
                minlength="8" maxlength="128";
            div.choices { button type="submit" { "Confirm" } }
        }
        p { "You do not know it, or somebody else signed up with your address? Then set a new one." }
        form method="post" action="/verify-email" {
            input type="hidden" name="token" value=(token);
            label for="new-password" { "New password" }
            input #new-password type="password" name="new_password" autocomplete="new-password" required
                minlength="12" maxlength="128" aria-describedby="rule";
            p.hint #rule { "12 to 128 characters of any kind." }
            div.choices { button type="submit" { "Set it and confirm" } }
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
            p {
                label {
                    input type="checkbox" name=(END_TOKENS) value="yes";
                    " Disable the API tokens of the account, too: whoever knew the old password may have made some"
                }
            }
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
