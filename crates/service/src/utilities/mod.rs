//! `GET /ip`: what the server sees of its caller (`contract/utilities.md`).

use std::sync::Arc;

use axum::extract::State;
use hoody_core::grant::Rule;
use hoody_core::wire::{Envelope, IpInfo};
use http::HeaderMap;
use http::request::Parts;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use hoody_engine::engine::Engine;
use hoody_engine::error::Error;
use hoody_engine::web::caller::{Origin, admit};
use hoody_engine::web::{Access, Answer, Lends};

/// Tells callers what the server sees of them.
#[derive(Debug)]
pub struct Utilities {
    access: Arc<Access>,
}

impl Utilities {
    pub fn new(engine: &Engine) -> Arc<Self> {
        Arc::new(Self { access: Arc::clone(&engine.access) })
    }
}

impl Lends for Utilities {
    fn access(&self) -> &Access {
        &self.access
    }
}

/// The endpoint `/ip`.
pub fn routes() -> OpenApiRouter<Arc<Utilities>> {
    OpenApiRouter::new().routes(routes!(get_ip))
}

/// Headers that are named but not repeated.
const SECRET_HEADERS: [&str; 5] =
    ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-auth-token"];

/// What the server sees of its caller
#[utoipa::path(get, path = "/api/v1/ip", operation_id = "get_ip", tag = "utilities",
    responses((status = 200, body = Envelope<IpInfo>)))]
pub async fn get_ip(
    State(utilities): State<Arc<Utilities>>,
    origin: Origin,
    parts: Parts,
) -> Result<Answer<IpInfo>, Error> {
    let rule = Rule { unscoped: true, ..Rule::ANY };
    let is_logged = admit(&parts, &utilities.access, rule).await.is_ok();
    let data = IpInfo {
        ip: origin.address.to_string(),
        user_agent: text(&parts.headers, "user-agent"),
        headers: shown_headers(&parts.headers),
        referer: text(&parts.headers, "referer"),
        timestamp: utilities.access.now(),
        is_logged,
        protocol: "http".to_owned(),
        ip_info: None,
    };
    Ok(Answer::ok("IP information retrieved successfully", data))
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn shown_headers(headers: &HeaderMap) -> std::collections::BTreeMap<String, String> {
    let shown = headers.iter().map(|(name, value)| {
        let is_secret = SECRET_HEADERS.contains(&name.as_str());
        let value = if is_secret {
            "[redacted]".into()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        (name.as_str().to_owned(), value)
    });
    shown.collect()
}
