//! The password and the second factor. A change of either ends every session of the account, this one too.

use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_service::account::http::change_password;
use hoody_service::sign_in::two_factor::body::any_code;
use hoody_service::sign_in::two_factor::http::{begin_set_up, enable, turn_off as switch_off};
use hoody_service::sign_in::two_factor::{self, qr};
use http::StatusCode;
use maud::{Markup, html};

use super::ACCOUNT;
use crate::parts::page::{dialog_with, failed};
use crate::parts::words::problem;
use crate::session::{Act, Page, Section, Visitor};

const PASSWORD: &str = "/console/account/password";
const SECOND: &str = "/console/account/second-factor";
const ON: &str = "/console/account/second-factor/on";
const OFF: &str = "/console/account/second-factor/off";

/// `GET /console/account/password`
pub(crate) async fn ask(visitor: Box<Visitor>) -> Response {
    password_page(&visitor, None)
}

/// `POST /console/account/password`
pub(crate) async fn change(act: Act) -> Response {
    let visitor = &act.visitor;
    let (new, current) = (act.fields.secret("new_password"), act.fields.secret("password"));
    match change_password(&visitor.console.accounts, &visitor.caller, &new, &current).await {
        Ok(()) => signed_out(visitor, "password"),
        Err(error) => password_page(visitor, Some(&error)),
    }
}

/// Every session is over: its owner signs in again, with what is new.
fn signed_out(visitor: &Visitor, done: &str) -> Response {
    visitor.forget();
    Redirect::to(&format!("/console/sign-in?done={done}")).into_response()
}

fn password_page(visitor: &Visitor, error: Option<&Error>) -> Response {
    let body = html! {
        p { "Every session of your account ends, this one too. Tokens keep working." }
        (wrong(error))
        (visitor.form(PASSWORD, "", html! {
            (password_field(visitor, "Current password"))
            div.field {
                label for="new_password" { "New password" }
                input #new_password name="new_password" type="password" required minlength="12" maxlength="128"
                    autocomplete="new-password" aria-describedby="new-hint";
                p.hint #new-hint { "12 to 128 characters of any kind." }
            }
            div.choices { button type="submit" { "Change it" } a.button href=(ACCOUNT) { "Cancel" } }
        }))
    };
    dialog_with(error.map_or(StatusCode::OK, Error::status), "Change your password", &body)
}

fn wrong(error: Option<&Error>) -> Markup {
    html! { @if let Some(error) = error { p.wrong role="alert" { (problem(error)) } } }
}

fn password_field(visitor: &Visitor, label: &str) -> Markup {
    html! {
        // For what keeps passwords: it tells which account this is.
        input type="text" name="proof_name" value=(visitor.username) autocomplete="username" hidden;
        div.field {
            label for="password" { (label) }
            input #password name="password" type="password" required maxlength="128"
                autocomplete="current-password" autofocus;
        }
    }
}

fn code_field() -> Markup {
    html! {
        div.field {
            label for="code" { "Code of your authenticator app" }
            input.code #code name="code" required maxlength="32" autocomplete="one-time-code" inputmode="text"
                spellcheck="false" aria-describedby="code-hint";
            p.hint #code-hint { "Six digits." }
        }
    }
}

/// `GET /console/account/second-factor`
pub(crate) async fn second_factor(visitor: Box<Visitor>) -> Response {
    match two_factor::is_on_for(&visitor.console.sign_in, visitor.account()).await {
        Ok(true) => off_page(&visitor, None),
        Ok(false) => begin_page(&visitor, None),
        Err(error) => failed(&error.into()),
    }
}

fn begin_page(visitor: &Visitor, error: Option<&Error>) -> Response {
    let body = html! {
        p { "Signing in then takes a code of an app on your phone, too. Whoever learns your password gets no further." }
        (wrong(error))
        (visitor.form(SECOND, "", html! {
            (password_field(visitor, "Your password"))
            div.choices { button type="submit" { "Begin" } a.button href=(ACCOUNT) { "Cancel" } }
        }))
    };
    dialog_with(error.map_or(StatusCode::OK, Error::status), "Turn on the second factor", &body)
}

fn off_page(visitor: &Visitor, error: Option<&Error>) -> Response {
    let body = html! {
        p { "Your password alone signs you in then. Every session of your account ends, this one too." }
        (wrong(error))
        (visitor.form(OFF, "", html! {
            (password_field(visitor, "Your password"))
            (code_field())
            div.choices { button.danger type="submit" { "Turn it off" } a.button href=(ACCOUNT) { "Keep it on" } }
        }))
    };
    dialog_with(error.map_or(StatusCode::OK, Error::status), "Turn off the second factor", &body)
}

/// `POST /console/account/second-factor`: the secret and the backup codes, once.
pub(crate) async fn set_up(act: Act) -> Response {
    let visitor = &act.visitor;
    let begun = begin_set_up(&visitor.console.sign_in, &visitor.caller, &act.fields.secret("password")).await;
    match begun.and_then(|setup| setup_page(visitor, &setup)) {
        Ok(page) => page,
        Err(error) => begin_page(visitor, Some(&error)),
    }
}

fn setup_page(visitor: &Visitor, setup: &wire::TwoFactorSetup) -> Result<Response, Error> {
    let uri = setup.otpauth_uri.as_ref().map_or("", wire::Secret::expose);
    let modules = qr::modules(uri)?;
    let main = html! {
        p.crumb { a href=(ACCOUNT) { "Account" } }
        h1 { "Scan this with your authenticator app" }
        p.soft { "The second factor is on once you enter the first code below. Both are shown this once." }
        div.two {
            div {
                (picture(&modules))
                p.small { "Or type this key: " code { (setup.manual_entry_key.expose()) } }
            }
            div {
                h2 { "Backup codes" }
                p { "Each signs you in once when your phone is lost. Keep them where your phone is not." }
                ul.plain { @for code in &setup.backup_codes { li { code { (code.expose()) } } } }
            }
        }
        (visitor.form(ON, "", html! {
            (code_field())
            div.choices { button.primary type="submit" { "Turn it on" } a.button href=(ACCOUNT) { "Cancel" } }
            p.hint { "Every session of your account ends, this one too." }
        }))
    };
    Ok(Page::new(visitor, Section::Account, "Second factor").around(&main))
}

/// The code as squares: black on white in both schemes, or no app reads it.
fn picture(modules: &[Vec<bool>]) -> Markup {
    const QUIET: usize = 4;
    let side = modules.len() + 2 * QUIET;
    html! {
        svg width="220" height="220" viewBox={ "0 0 " (side) " " (side) } role="img" aria-label="QR code of the key below"
            shape-rendering="crispEdges" {
            rect width=(side) height=(side) fill="#ffffff" {}
            @for (y, line) in modules.iter().enumerate() {
                @for (x, is_dark) in line.iter().enumerate() {
                    @if *is_dark { rect x=(x + QUIET) y=(y + QUIET) width="1" height="1" fill="#000000" {} }
                }
            }
        }
    }
}

/// `POST /console/account/second-factor/on`
pub(crate) async fn turn_on(act: Act) -> Response {
    let visitor = &act.visitor;
    let turned = async {
        let code = any_code(act.fields.text("code"))?;
        enable(&visitor.console.sign_in, &visitor.caller, code).await?.mutation.commit().await
    };
    match turned.await {
        Ok(()) => signed_out(visitor, "second-factor"),
        Err(error) => code_again(visitor, &error),
    }
}

/// The code was wrong: the app has the key, so it is asked for again.
fn code_again(visitor: &Visitor, error: &Error) -> Response {
    let body = html! {
        p { "Your app has the key. Enter the code that it shows now." }
        (wrong(Some(error)))
        (visitor.form(ON, "", html! {
            (code_field())
            div.choices { button type="submit" { "Turn it on" } a.button href=(SECOND) { "Begin again" } }
        }))
    };
    dialog_with(error.status(), "Turn on the second factor", &body)
}

/// `POST /console/account/second-factor/off`
pub(crate) async fn turn_off(act: Act) -> Response {
    let visitor = &act.visitor;
    let turned = async {
        let code = any_code(act.fields.text("code"))?;
        let password = act.fields.secret("password");
        let ended = switch_off(&visitor.console.sign_in, &visitor.caller, &password, code).await?;
        ended.mutation.commit().await
    };
    match turned.await {
        Ok(()) => signed_out(visitor, "second-factor-off"),
        Err(error) => off_page(visitor, Some(&error)),
    }
}
