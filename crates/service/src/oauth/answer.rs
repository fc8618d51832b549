//! OAuth's form of answers: no envelope, nothing that a cache may keep, and refusals that name a code of RFC 6749, 5.2.

use axum::response::{IntoResponse as _, Response};
use hoody_engine::error::Error;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

/// Why OAuth's endpoints refuse.
#[derive(Debug)]
pub(super) enum Refused {
    /// 400: the request is not what the endpoint takes.
    Request(String),
    /// 400: what was sent is no token of the kind that can be revoked.
    TokenType,
    /// 401: nobody asks whom we know. Only then is there a challenge: clients take it for their own failure.
    Client,
    /// 403: the caller may not ask this.
    Scope(&'static str),
    /// Whatever else, in the words of the API.
    Other(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Refused {
    /// A field that was sent twice.
    pub(super) fn twice(name: &str) -> Self {
        Self::Request(format!("{name} must be sent once"))
    }

    pub(super) fn answer(self, realm: &str) -> Response {
        let (status, code, description) = match self {
            Self::Request(description) => (StatusCode::BAD_REQUEST, "invalid_request", description),
            Self::TokenType => (
                StatusCode::BAD_REQUEST,
                "unsupported_token_type",
                "Sessions are ended by POST /api/v1/users/auth/logout".to_owned(),
            ),
            Self::Client => (
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "Authenticate with the id and the text of a token".to_owned(),
            ),
            Self::Scope(description) => (StatusCode::FORBIDDEN, "insufficient_scope", description.to_owned()),
            Self::Other(error) => return other(error),
        };
        let mut response = no_store(status, &json!({ "error": code, "error_description": description }));
        if status == StatusCode::UNAUTHORIZED
            && let Ok(challenge) = HeaderValue::try_from(format!("Basic realm=\"{realm}\""))
        {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

fn other(error: Error) -> Response {
    let status = error.status();
    let (code, description) = match status {
        StatusCode::SERVICE_UNAVAILABLE => ("temporarily_unavailable", "Try again"),
        status if status.is_client_error() => ("invalid_request", "The request cannot be read"),
        _ => ("server_error", "The server failed"),
    };
    // The API's answer has the headers that go with it, and logs what went wrong.
    let told = error.into_response();
    let mut response = no_store(status, &json!({ "error": code, "error_description": description }));
    if let Some(seconds) = told.headers().get(header::RETRY_AFTER) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.clone());
    }
    response
}

/// An answer that no cache keeps.
pub(super) fn no_store(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
