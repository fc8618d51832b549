//! Answers to a proxy: exactly 200, or 400 and above.
//!
//! A 200 has all six identity headers, empty where there is nothing, so that a client's own header of that
//! name never survives. Proxies take other 2xx and 3xx in ways of their own, so those are never sent.

use std::fmt::Write as _;

use bytes::Bytes;
use hoody_core::id::RealmId;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::path::is_unreserved;
use crate::refusal::{Challenge, Refusal};
use crate::subject::Holder;

/// The account.
pub const USER_ID: HeaderName = HeaderName::from_static("x-hoody-user-id");
/// The token; empty for a session.
pub const TOKEN_ID: HeaderName = HeaderName::from_static("x-hoody-token-id");
/// The token's alias, percent-encoded.
pub const TOKEN_ALIAS: HeaderName = HeaderName::from_static("x-hoody-token-alias");
/// What the operator's service calls whom the token is for, percent-encoded.
pub const EXTERNAL_ID: HeaderName = HeaderName::from_static("x-hoody-external-id");
/// The realm; empty on the base.
pub const REALM: HeaderName = HeaderName::from_static("x-hoody-realm");
/// The permissions that the credential holds, joined by spaces.
pub const PERMISSIONS: HeaderName = HeaderName::from_static("x-hoody-permissions");
/// The six identity headers.
pub const IDENTITY: [HeaderName; 6] = [USER_ID, TOKEN_ID, TOKEN_ALIAS, EXTERNAL_ID, REALM, PERMISSIONS];
/// The signed identity, where it is asked for.
pub const SIGNED: HeaderName = HeaderName::from_static("x-hoody-identity");
/// The machine code of a refusal.
pub const CODE: HeaderName = HeaderName::from_static("x-hoody-code");

/// The most bytes of the text of permissions.
const MAX_PERMISSIONS: usize = 4_096;
const TRUNCATED: &str = "*truncated*";

/// The identity headers of whom the gate let in; all six, empty where there is nothing. `None` is nobody: a
/// public row.
#[must_use]
pub fn identity(holder: Option<&Holder>, realm: Option<RealmId>) -> HeaderMap {
    let empty = || HeaderValue::from_static("");
    let values = match holder {
        None => std::array::from_fn(|_| empty()),
        Some(holder) => [
            id(holder.account.bytes()),
            holder.token.map_or_else(empty, |token| id(token.bytes())),
            visible(&encoded(holder.alias.as_bytes())),
            visible(&encoded(holder.external_id.as_bytes())),
            realm.map_or_else(empty, |realm| id(realm.bytes())),
            holder.permissions.clone(),
        ],
    };
    let mut headers = HeaderMap::with_capacity(16);
    for (name, value) in IDENTITY.into_iter().zip(values) {
        headers.insert(name, value);
    }
    headers
}

/// Text of visible ASCII as a header; anything else becomes an empty header.
fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// An id as a header, without the formatter, which took half of the time of an answer.
fn id(bytes: &[u8; 12]) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |at: usize| {
        let byte = bytes[at / 2];
        DIGITS[usize::from(if at.is_multiple_of(2) { byte >> 4 } else { byte & 0xF })]
    };
    let digits: [u8; 24] = std::array::from_fn(digit);
    HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static(""))
}

/// The value of `X-Hoody-Permissions`: paths joined by spaces, or `*truncated*` where they take more than 4 KB.
pub fn permissions<'a>(paths: impl IntoIterator<Item = &'a str>) -> HeaderValue {
    let mut text = String::new();
    for path in paths {
        if text.len() + path.len() >= MAX_PERMISSIONS {
            return HeaderValue::from_static(TRUNCATED);
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(path);
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(TRUNCATED))
}

/// Text in which everything but letters, digits and `-._~` is percent-encoded, as UTF-8.
#[must_use]
pub fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if is_unreserved(*byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Lets the request in: 200 without a body, with these identity headers.
#[must_use]
pub fn allowed(identity: HeaderMap, signed: Option<HeaderValue>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.headers_mut() = identity;
    let headers = response.headers_mut();
    headers.extend(signed.map(|signed| (SIGNED, signed)));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Refuses the request. `realm` is the host of the server's public URL; `resource` is the host whose OAuth
/// metadata the gate serves. Without `body` nothing follows the head, so that proxies keep their connection.
#[must_use]
pub fn refused(refusal: &Refusal, realm: &str, resource: Option<&str>, body: bool) -> Response<Bytes> {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = if body { told(refusal, status) } else { Bytes::new() };
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CODE, HeaderValue::from_static(refusal.code()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    if !body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    }
    if let Some(challenge) = refusal.challenge() {
        headers.insert(WWW_AUTHENTICATE, challenge_value(challenge, realm, resource));
    }
    match refusal {
        Refusal::Unavailable => drop(headers.insert(RETRY_AFTER, HeaderValue::from_static("1"))),
        Refusal::Limited { retry_after, fields } => {
            // Rounded up by whoever measured it; never "now", which would be a loop.
            headers.extend(retry_after.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds.max(1)))));
            if let Some((policy, left)) = fields {
                headers.insert(HeaderName::from_static("ratelimit-policy"), visible(policy));
                headers.insert(HeaderName::from_static("ratelimit"), visible(left));
            }
        }
        _ => {}
    }
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The refusal as JSON, as every route of the API says it.
fn told(refusal: &Refusal, status: StatusCode) -> Bytes {
    let body = json!({
        "statusCode": status.as_u16(),
        "error": status.canonical_reason().unwrap_or("Error"),
        "message": refusal.message(),
        "code": refusal.code(),
    });
    Bytes::from(body.to_string())
}

/// `WWW-Authenticate` (RFC 6750, 3; `resource_metadata` is RFC 9728's).
fn challenge_value(challenge: Challenge<'_>, realm: &str, resource: Option<&str>) -> HeaderValue {
    let mut text = format!("Bearer realm=\"{}\"", quotable(realm));
    match challenge {
        Challenge::Missing => {}
        Challenge::InvalidToken => text.push_str(", error=\"invalid_token\""),
        Challenge::InsufficientScope(scope) => {
            text.push_str(", error=\"insufficient_scope\"");
            if !scope.is_empty() {
                let _ = write!(text, ", scope=\"{}\"", quotable(scope));
            }
        }
    }
    if let Some(host) = resource {
        let host = quotable(host);
        let _ = write!(text, ", resource_metadata=\"https://{host}/.well-known/oauth-protected-resource\"");
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
}

/// Without what would end a quoted text.
fn quotable(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Fault;
    use hoody_core::grant::Deny;
    use hoody_core::id::{TokenId, UserId};

    const HOST: &str = "auth.example.com";

    fn holder() -> Holder {
        Holder {
            account: UserId::from_bytes([1; 12]),
            token: Some(TokenId::from_bytes([2; 12])),
            alias: "ci runner ä\r\nX-Evil: 1".into(),
            external_id: "cust_7".into(),
            permissions: permissions(["orders.read", "orders.create"]),
        }
    }

    fn text(headers: &HeaderMap, name: &HeaderName) -> String {
        headers[name].to_str().unwrap().to_owned()
    }

    #[test]
    fn all_six_identity_headers_are_in_every_200() {
        let full = allowed(identity(Some(&holder()), Some(RealmId::from_bytes([3; 12]))), None);
        let nobody = allowed(identity(None, None), None);
        for response in [&full, &nobody] {
            assert_eq!((response.status(), response.body().len()), (StatusCode::OK, 0));
            assert_eq!(response.headers()[CONTENT_LENGTH], "0");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            for name in &IDENTITY {
                assert_eq!(response.headers().get_all(name).iter().count(), 1, "{name}");
            }
        }
        assert!(IDENTITY.iter().all(|name| nobody.headers()[name].is_empty()));
        let headers = full.headers();
        assert_eq!(text(headers, &USER_ID), "010101010101010101010101");
        assert_eq!(text(headers, &TOKEN_ALIAS), "ci%20runner%20%C3%A4%0D%0AX-Evil%3A%201");
        assert_eq!(text(headers, &PERMISSIONS), "orders.read orders.create");
        assert_eq!(text(headers, &REALM), "030303030303030303030303");
        let session = identity(Some(&Holder { token: None, ..holder() }), None);
        assert!(session[TOKEN_ID].is_empty() && session[REALM].is_empty());
    }

    #[test]
    fn many_permissions_are_cut_whole() {
        let path = "a".repeat(100);
        assert_eq!(permissions(std::iter::repeat_n(path.as_str(), 41)), TRUNCATED);
        assert!(permissions(std::iter::repeat_n(path.as_str(), 40)).len() <= MAX_PERMISSIONS);
        assert_eq!(permissions([]), "");
    }

    #[test]
    fn challenges_are_those_of_rfc_6750() {
        let value = |refusal: &Refusal| {
            let response = refused(refusal, HOST, None, false);
            response.headers().get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap().to_owned())
        };
        let bearer = |rest: &str| Some(format!("Bearer realm=\"auth.example.com\"{rest}"));
        assert_eq!(value(&Refusal::Denied(Deny::Missing)), bearer(""));
        for deny in [Deny::Expired, Deny::Unknown, Deny::Disabled, Deny::Revoked] {
            assert_eq!(value(&Refusal::Denied(deny)), bearer(", error=\"invalid_token\""), "{deny:?}");
        }
        let missing = Refusal::Permission("orders.create".into());
        assert_eq!(value(&missing), bearer(", error=\"insufficient_scope\", scope=\"orders.create\""));
        for other in [
            Refusal::Denied(Deny::Address),
            Refusal::Denied(Deny::Banned),
            Refusal::NoRoute,
            Refusal::Host,
            Refusal::ProxyUntrusted,
            Refusal::Account,
            Refusal::Unavailable,
        ] {
            assert_eq!(value(&other), None, "{other:?}");
        }
        let metadata = refused(&Refusal::Denied(Deny::Missing), HOST, Some("orders.example.com"), false);
        assert_eq!(
            metadata.headers()[WWW_AUTHENTICATE],
            "Bearer realm=\"auth.example.com\", \
             resource_metadata=\"https://orders.example.com/.well-known/oauth-protected-resource\""
        );
    }

    #[test]
    fn every_refusal_is_400_or_above_and_says_its_code() {
        for refusal in [
            Refusal::Headers("X-Forwarded-Uri"),
            Refusal::ForwardedFor,
            Refusal::Parameter("gate: …".to_owned()),
            Refusal::Path(Fault::Dot),
            Refusal::ProxyUntrusted,
            Refusal::UnknownGate,
            Refusal::Host,
            Refusal::NoRoute,
            Refusal::Account,
            Refusal::Permission("a".into()),
            Refusal::Denied(Deny::Missing),
            Refusal::Denied(Deny::TokenRequired),
            Refusal::Limited {
                retry_after: Some(0),
                fields: Some(("\"b\";q=1;w=1".into(), "\"b\";r=0;t=1".into())),
            },
            Refusal::Unavailable,
            Refusal::Config("x"),
        ] {
            for has_body in [true, false] {
                let response = refused(&refusal, HOST, None, has_body);
                assert!(response.status().as_u16() >= 400, "{refusal:?}");
                assert_eq!(response.headers()[CODE], refusal.code());
                assert_eq!(response.headers()[CONTENT_LENGTH], response.body().len().to_string());
                assert_eq!(response.body().is_empty(), !has_body);
            }
            let body: serde_json::Value =
                serde_json::from_slice(refused(&refusal, HOST, None, true).body()).unwrap();
            assert_eq!(body["code"], refusal.code());
            assert_eq!(body["statusCode"], refusal.status());
        }
        let limited = refused(&Refusal::Limited { retry_after: Some(0), fields: None }, HOST, None, true);
        assert_eq!(limited.headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn a_challenge_cannot_be_broken_out_of() {
        let refusal = Refusal::Permission("a\", error=\"x\\\r\n".into());
        let response = refused(&refusal, "h\"\n", None, false);
        assert_eq!(
            response.headers()[WWW_AUTHENTICATE],
            "Bearer realm=\"h\", error=\"insufficient_scope\", scope=\"a, error=x\""
        );
    }
}
