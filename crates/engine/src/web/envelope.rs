//! The envelope that every answer comes in (`contract/README.md` 2).

use axum::response::{IntoResponse, Response};
use hoody_core::wire::PageMetadata;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// A successful answer: `{statusCode, message, data}`, all three always, `data: null` where there is
/// nothing to give.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer<T> {
    status_code: u16,
    message: &'static str,
    data: T,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    /// Of a log: which page it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<PageMetadata>,
    /// It carries a credential and must be kept by nobody.
    #[serde(skip)]
    is_secret: bool,
}

impl<T> Answer<T> {
    /// 200 with `data`.
    pub fn ok(message: &'static str, data: T) -> Self {
        Self { status_code: 200, message, data, truncated: false, metadata: None, is_secret: false }
    }

    /// 201 with `data`.
    pub fn created(message: &'static str, data: T) -> Self {
        Self { status_code: 201, ..Self::ok(message, data) }
    }

    /// Says at the top level that a list left something out.
    pub fn truncated(self, truncated: bool) -> Self {
        Self { truncated, ..self }
    }

    /// Says at the top level which page of a log it is.
    pub fn metadata(self, metadata: PageMetadata) -> Self {
        Self { metadata: Some(metadata), ..self }
    }

    /// Forbids every cache to keep it.
    pub fn secret(self) -> Self {
        Self { is_secret: true, ..self }
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status_code).unwrap_or(StatusCode::OK);
        match serde_json::to_vec(&self) {
            Ok(body) => {
                let mut response = (status, body).into_response();
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                if self.is_secret {
                    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                }
                response
            }
            Err(error) => crate::error::Error::internal(error).into_response(),
        }
    }
}

/// An answer with nothing to give: `data` is `null`.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "the schema of `Answer<()>`, which the generator cannot name")]
pub struct Done {
    #[schema(rename = "statusCode")]
    status_code: u16,
    message: String,
    data: Option<serde_json::Value>,
}
