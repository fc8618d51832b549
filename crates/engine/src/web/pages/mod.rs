//! Pages for people: plain HTML that needs no script, no picture and nothing from anywhere else.
//!
//! [`page`] is the frame of all of them. Its headers forbid every script, every other origin, every frame
//! and every cache; the one style sheet is in the page, named by its digest. Texts are escaped by `maud`.
//! A form posts to a route of ours; [`Posted`] reads it and refuses one that another site sent.

mod form;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

pub use form::Posted;

/// The one style sheet: of these pages, which have it in them, and of wings, which serve it.
pub const STYLE: &str = include_str!("page.css");

/// `default-src 'none'` leaves the page its own style and its own forms.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; frame-ancestors 'none'; \
         base-uri 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// A page with this title above `body`.
pub fn page(title: &str, body: &Markup) -> Response {
    page_with(StatusCode::OK, title, body)
}

/// The same with another status.
pub fn page_with(status: StatusCode, title: &str, body: &Markup) -> Response {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " · hoody" }
                style { (PreEscaped(STYLE)) }
            }
            body.dialog {
                main {
                    p.brand { "hoody" }
                    h1 { (title) }
                    (body)
                }
            }
        }
    };
    answer(status, document, HeaderValue::clone(&POLICY), "no-referrer")
}

/// A document with the headers of every page: no frame, no cache, no other origin; and this policy of its content
/// and of what it tells other pages of its address.
pub fn answer(status: StatusCode, document: Markup, policy: HeaderValue, referrer: &'static str) -> Response {
    let mut response = (status, document.into_string()).into_response();
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, referrer),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// What went wrong, above a form; read out as soon as the page is there.
pub fn wrong(message: &str) -> Markup {
    html! { p.wrong role="alert" { (message) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_style_and_allows_nothing_else() {
        let policy = POLICY.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("script"), "{policy}");
        // A `<` would end the element, and the digest would be of another text.
        assert!(!STYLE.contains('<') && !STYLE.contains("url(") && !STYLE.contains("@import"));
    }

    #[test]
    fn what_somebody_calls_itself_is_text_and_no_markup() {
        let shown = wrong("<script>alert(1)</script>\"'&").into_string();
        assert!(!shown.contains("<script"), "{shown}");
    }
}
