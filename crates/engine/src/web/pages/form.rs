//! What the forms of our pages send.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::FromRequest;
use axum::response::Response;
use hoody_core::wire::Secret;
use http::{HeaderMap, Request, StatusCode, header};
use maud::html;

use super::page_with;
use crate::web::access::Lends;
use crate::web::body;

/// The fields of a form of our own page. Whoever reads one has its request's origin checked: a form that
/// another site sent, or a body that is none, is answered with a page that says so.
#[derive(Debug)]
pub struct Posted(HashMap<String, Secret>);

impl Posted {
    /// The text of a field without space around it; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |value| value.expose().trim())
    }

    /// A field as it was typed.
    pub fn secret(&self, name: &str) -> Secret {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

impl<S: Lends> FromRequest<Arc<S>> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request<axum::body::Body>, state: &Arc<S>) -> Result<Self, Response> {
        if !is_ours(request.headers(), &state.access().public_url) {
            return Err(refuse(StatusCode::FORBIDDEN, "This form was sent from another site."));
        }
        let fields = body::read_form(request).await;
        let fields = fields.map_err(|_| refuse(StatusCode::BAD_REQUEST, "This form cannot be read."))?;
        Ok(Self(fields.into_iter().collect()))
    }
}

fn refuse(status: StatusCode, why: &str) -> Response {
    let body = html! { p { (why) " Nothing was done: go back to the page where you began." } };
    page_with(status, "That did not work", &body)
}

/// Whether a form may come from a page of ours. Browsers say it in `Sec-Fetch-Site`; those that do not, in
/// `Origin`, which is `null` where a page sends no referrer, as ours. What says nothing at all is left to
/// what the form holds: the ticket in it and the cookie beside it, which no other site has.
fn is_ours(headers: &HeaderMap, public_url: &str) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    match headers.get(header::ORIGIN).map(http::HeaderValue::as_bytes) {
        None | Some(b"null") => true,
        Some(origin) => origin.eq_ignore_ascii_case(public_url.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, http::HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn a_form_of_another_site_is_not_ours() {
        let ours = "https://auth.example.com";
        for (name, value, is) in [
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "none", false),
            ("origin", "https://auth.example.com", true),
            ("origin", "null", true),
            ("origin", "http://auth.example.com", false),
            ("origin", "https://auth.example.com.evil.example", false),
            ("origin", "https://evil.example", false),
        ] {
            assert_eq!(is_ours(&with(name, value), ours), is, "{name}: {value}");
        }
        let mut both = with("sec-fetch-site", "cross-site");
        both.insert(header::ORIGIN, http::HeaderValue::from_static("https://auth.example.com"));
        assert!(!is_ours(&both, ours));
        assert!(is_ours(&HeaderMap::new(), ours));
    }
}
