//! Envoy's question about a request, without Envoy.

use std::sync::Arc;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full};

use super::Service;

/// A request as Envoy tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub address: &'a str,
    /// What `Authorization` holds.
    pub authorization: &'a str,
}

impl Service {
    /// Asks `ext_authz` about a request; `extensions` are those of the route. The answer's message, and its status of
    /// gRPC.
    ///
    /// # Panics
    /// When the answer is none of gRPC.
    pub async fn ext_authz(&self, told: &Told<'_>, extensions: &[(&str, &str)]) -> (Vec<u8>, String) {
        let message = message(told, extensions);
        let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
        let body = Full::new(Bytes::from([&[0][..], &length, &message].concat()));
        let request = ::http::Request::post("/envoy.service.auth.v3.Authorization/Check")
            .header("content-type", "application/grpc")
            .body(body)
            .expect("a request");
        let response = Arc::clone(&self.nouns.gate).call(request).await;
        let collected = response.into_body().collect().await.expect("a body");
        let status = collected.trailers().and_then(|trailers| trailers.get("grpc-status"));
        let status = status.and_then(|status| status.to_str().ok()).unwrap_or_default().to_owned();
        (collected.to_bytes().get(5..).unwrap_or_default().to_vec(), status)
    }
}

/// A `CheckRequest`.
fn message(told: &Told<'_>, extensions: &[(&str, &str)]) -> Vec<u8> {
    let pair = |key: &str, value: &str| [field(1, key.as_bytes()), field(2, value.as_bytes())].concat();
    let mut http = Vec::new();
    for (number, text) in [(2, told.method), (4, told.path), (5, told.host)] {
        http.extend(field(number, text.as_bytes()));
    }
    if !told.authorization.is_empty() {
        http.extend(field(3, &pair("authorization", told.authorization)));
    }
    let mut attributes = field(1, &field(1, &field(1, &field(2, told.address.as_bytes()))));
    attributes.extend(field(4, &field(2, &http)));
    for (key, value) in extensions {
        attributes.extend(field(10, &pair(key, value)));
    }
    field(1, &attributes)
}

/// A field of text or a message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        message.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
        length >>= 7;
    }
    message.push(u8::try_from(length).expect("seven bits"));
    message.extend_from_slice(bytes);
    message
}
