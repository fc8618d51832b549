//! Which requests may be here at all: by the host that they ask, the scheme of the public address, and, for
//! what changes something, the page that sent them.
//!
//! A cookie is sent to every port of a host and to every name below it, whatever `SameSite` says, and a
//! rebound name makes another site's page ours. So the host must be one of ours before anything is read, and
//! a form must come from a page of this very origin.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::host;
use hoody_engine::web::caller::{Head, origin};
use http::{HeaderMap, StatusCode, header};
use maud::html;

use crate::parts::page::dialog_with;
use crate::{Console, HOME, Plain};

/// Lets a request in whose host is ours, and keeps every other one out with a page that says why.
pub(crate) async fn admit(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let head = match Head::of_request(&request) {
        Ok(head) => head,
        Err(error) => return error.into_response(),
    };
    match origin(head, &console.access) {
        // Sessions of people are of no realm: the console is in one place.
        Ok(origin) if origin.realm.is_some() => {
            return Redirect::to(&format!("{}{HOME}", console.access.public_url)).into_response();
        }
        Ok(_) => {}
        Err(error) => {
            let why = html! { p { (error.in_short().2) "." } };
            return dialog_with(StatusCode::BAD_REQUEST, "This request cannot be read", &why);
        }
    }
    let given = asked_host(head.headers, head.uri).unwrap_or_default().to_owned();
    let name = host::name_of(&given).unwrap_or_default();
    if !is_loopback(name) {
        if !name.eq_ignore_ascii_case(public_name(&console.access.public_url)) {
            return elsewhere(&console);
        }
        if console.access.public_url.starts_with("http://") && console.plain == Plain::Refused {
            return needs_tls();
        }
    }
    next.run(request).await
}

/// Host and port that a request asks.
fn asked_host<'a>(headers: &'a HeaderMap, uri: &'a http::Uri) -> Option<&'a str> {
    let authority = uri.authority().map(http::uri::Authority::as_str);
    authority.or_else(|| headers.get(header::HOST)?.to_str().ok())
}

fn public_name(public_url: &str) -> &str {
    let (_, rest) = public_url.split_once("://").unwrap_or(("", public_url));
    host::name_of(rest).unwrap_or_default()
}

/// Whether this name reaches the machine that asks and no other (RFC 6761, 6.3).
fn is_loopback(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn elsewhere(console: &Console) -> Response {
    let home = format!("{}{HOME}", console.access.public_url);
    let why = html! {
        p { "This server answers for another address. Its console is at:" }
        p { a href=(home) { (home) } }
        p.soft.small {
            "If you run this server and the address is wrong, start it with " code { "--public-url" }
            " set to the address that browsers use."
        }
    };
    dialog_with(StatusCode::MISDIRECTED_REQUEST, "The console is not here", &why)
}

fn needs_tls() -> Response {
    let why = html! {
        p {
            "Over plain HTTP, everyone between you and this server can read your password and your session. \
             So the console takes no password here."
        }
        p { "If you run this server, choose one:" }
        ul {
            li { code { "hoody serve --tls-self-signed" } " for a first try." }
            li { code { "--tls-cert" } " and " code { "--tls-key" } " with your certificate." }
            li { "A proxy with TLS in front of it, and " code { "--public-url https://…" } "." }
        }
        p.soft.small { "On the machine itself, " code { "http://localhost" } " works without TLS." }
    };
    dialog_with(StatusCode::FORBIDDEN, "The console needs HTTPS", &why)
}

/// Whether a form comes from a page of this very origin. Browsers say so in `Sec-Fetch-Site` where the
/// connection is safe; elsewhere only `Origin` tells, and one that is `null` or missing tells nothing. The page
/// that refuses it, if it does not.
pub(crate) fn refusal_of_foreign(console: &Console, head: Head<'_>) -> Option<Response> {
    let Head { headers, uri, .. } = head;
    let public_url = console.access.public_url.as_str();
    let is_ours = match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => {
            let given = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
            let asked = asked_host(headers, uri).unwrap_or_default();
            given.is_some_and(|given| is_origin_of(given, public_url, asked))
        }
    };
    if is_ours {
        return None;
    }
    let given = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or("none");
    tracing::warn!(
        expected = public_url,
        given,
        "a form of the console was refused: it came from another origin. If that is the address that browsers \
         use, set --public-url to it"
    );
    let why = html! {
        p { "This form came from another page than the console. Nothing was changed." }
        p { a.button href=(HOME) { "Go to the console" } }
        p.soft.small {
            "If you run this server behind a proxy, set " code { "--public-url" }
            " to the address that browsers use. This server expects " code { (public_url) } "."
        }
    };
    Some(dialog_with(StatusCode::FORBIDDEN, "Sent from another site", &why))
}

/// Whether `given` is the public address, or this machine by a name that is its own.
fn is_origin_of(given: &str, public_url: &str, asked: &str) -> bool {
    if given.eq_ignore_ascii_case(public_url) {
        return true;
    }
    let Some((scheme, host)) = given.split_once("://") else { return false };
    matches!(scheme, "http" | "https")
        && host.eq_ignore_ascii_case(asked)
        && host::name_of(asked).is_ok_and(is_loopback)
}

/// A page of the console that there is not.
pub(crate) async fn no_page() -> Response {
    let why = html! {
        p { "The link may be old, or the address mistyped." }
        p { a.button href=(HOME) { "Go to the overview" } }
    };
    dialog_with(StatusCode::NOT_FOUND, "There is no such page", &why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_by_its_names() {
        for name in ["localhost", "api.localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "[::1]", "::1"] {
            assert!(is_loopback(name), "{name}");
        }
        for name in ["", "localhost.evil.example", "10.0.0.1", "evil-localhost", "[::2]", "0.0.0.0"] {
            assert!(!is_loopback(name), "{name}");
        }
    }

    #[test]
    fn an_origin_is_ours_whole_or_not_at_all() {
        let public = "https://auth.example.com";
        for (given, asked, is) in [
            ("https://auth.example.com", "auth.example.com", true),
            ("http://auth.example.com", "auth.example.com", false),
            ("https://auth.example.com:8443", "auth.example.com:8443", false),
            ("https://auth.example.com.evil.example", "auth.example.com", false),
            ("null", "auth.example.com", false),
            ("http://localhost:8080", "localhost:8080", true),
            ("http://localhost:9999", "localhost:8080", false),
            ("http://127.0.0.1:8080", "localhost:8080", false),
            ("ftp://localhost:8080", "localhost:8080", false),
        ] {
            assert_eq!(is_origin_of(given, public, asked), is, "{given} for {asked}");
        }
        assert_eq!(public_name("http://api.localhost:8080"), "api.localhost");
    }
}
