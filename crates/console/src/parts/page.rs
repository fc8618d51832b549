//! The document of every page, and the dialog page that has one thing to do. Its headers forbid every other
//! origin, every frame, every cache, and every script but ours.

use axum::response::Response;
use hoody_engine::error::Error;
use hoody_engine::web::pages;
use http::{HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, html};

use crate::HOME;
use crate::assets::ASSETS;
use crate::parts::words::problem;

/// Scripts may make no markup of text: Trusted Types without a policy.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'";

/// A page with one thing to do, for whoever.
pub(crate) fn dialog(title: &str, main: &Markup) -> Response {
    dialog_with(StatusCode::OK, title, main)
}

pub(crate) fn dialog_with(status: StatusCode, title: &str, main: &Markup) -> Response {
    let body = html! {
        body.dialog {
            main {
                p.brand { "hoody" }
                h1 { (title) }
                (main)
            }
        }
    };
    answer(status, title, &body)
}

/// The page of an error that no page of its own tells of.
pub(crate) fn failed(error: &Error) -> Response {
    error.log();
    let status = error.status();
    let title = match status {
        StatusCode::NOT_FOUND => "There is no such thing here",
        StatusCode::SERVICE_UNAVAILABLE => "The server cannot answer now",
        StatusCode::TOO_MANY_REQUESTS => "Too many tries",
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "You may not do this",
        _ if status.is_server_error() => "Something went wrong here",
        _ => "That did not work",
    };
    let body = html! {
        p { (problem(error)) }
        @if status == StatusCode::INTERNAL_SERVER_ERROR {
            p.soft.small { "The header x-request-id of this answer names the entry in the server's log." }
        }
        div.choices { a.button href=(HOME) { "Go to the overview" } }
    };
    let mut response = dialog_with(status, title, &body);
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A whole document around `body`, with the headers of every page.
pub(crate) fn answer(status: StatusCode, title: &str, body: &Markup) -> Response {
    let assets = &*ASSETS;
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " · hoody" }
                link rel="icon" href=(assets.icon.path);
                link rel="stylesheet" href=(assets.style.path) integrity=(assets.style.integrity);
                script src=(assets.script.path) integrity=(assets.script.integrity) defer {}
            }
            (body)
        }
    };
    // Not `no-referrer`: with it, browsers send the origin of our own forms as `null`.
    let mut response = pages::answer(status, document, HeaderValue::from_static(POLICY), "same-origin");
    for (name, value) in [
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
