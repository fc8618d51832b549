//! The signed identity: a compact JWS (RFC 7515) over who was let in to what, good for 30 seconds.
//!
//! It is the one form that a client cannot forge where a proxy lets through headers that a service takes for
//! ours. It names method, host and the digest of the path, so that it is worth nothing at another request.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hoody_core::id::{RealmId, TokenId, UserId};
use hoody_core::time::Timestamp;
use http::HeaderValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::subject::{Holder, Original};

/// How long it is good, in seconds.
pub const LIFETIME: i64 = 30;
/// How far clocks may differ, in seconds.
const SKEW: i64 = 5;
/// The longest text that is looked at.
const MAX_TEXT: usize = 16_384;
const TYPE: &str = "hoody-identity+jwt";

/// Signs with Ed25519.
pub trait Signer: Sync {
    /// The id of the key, as the published key set has it.
    fn key_id(&self) -> &str;
    /// The signature of a message (RFC 8032).
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// The request that an identity is for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The public URL of hoody.
    pub issuer: &'a str,
    /// The request's method.
    pub method: &'a str,
    /// The request's host, as the client sent it.
    pub host: &'a str,
    /// The request's path without the query, as the client sent it.
    pub path: &'a str,
    /// The present.
    pub now: Timestamp,
}

/// Whom a verified identity names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The account.
    pub account: UserId,
    /// The token; `None` for a session.
    pub token: Option<TokenId>,
    /// The token's alias.
    pub alias: String,
    /// What the operator's service calls whom the token is for.
    pub external_id: String,
    /// The realm; `None` on the base.
    pub realm: Option<RealmId>,
    /// The permissions, joined by spaces.
    pub permissions: String,
}

/// Why an identity is not believed. A service needs no more than that; the reason is for its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    /// Not a compact JWS of this type and algorithm.
    #[error("not a signed identity of hoody")]
    Form,
    /// The signature is not of the key that it names, or nobody knows that key.
    #[error("the signature is wrong, or its key is unknown")]
    Signature,
    /// Not yet, or no longer.
    #[error("outside its 30 seconds")]
    Time,
    /// Issued by another server, or for another request.
    #[error("for another request")]
    Request,
}

/// The digest of a path in an identity: SHA-256 in base64url.
#[must_use]
pub fn path_digest(path: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(path.as_bytes()))
}

/// Signs who was let in to `original` in `realm`. `issuer` is the public URL of hoody.
pub fn sign(
    signer: &dyn Signer,
    issuer: &str,
    holder: Option<&Holder>,
    realm: Option<RealmId>,
    original: Option<Original<'_>>,
    now: Timestamp,
) -> HeaderValue {
    let header = json!({ "alg": "EdDSA", "typ": TYPE, "kid": signer.key_id() });
    let issued = now.seconds();
    let mut claims = json!({ "iss": issuer, "iat": issued, "exp": issued + LIFETIME });
    if let Some(Original { method, target, host }) = original {
        claims["method"] = method.into();
        claims["host"] = host_name(host).into();
        claims["path_sha256"] = path_digest(without_query(target)).into();
    }
    if let Some(holder) = holder {
        claims["sub"] = holder.account.to_string().into();
        claims["jti"] = holder.token.map(|token| token.to_string()).into();
        claims["alias"] = (*holder.alias).into();
        claims["external_id"] = (*holder.external_id).into();
        claims["realm"] = realm.map(|realm| realm.to_string()).into();
        claims["scope"] = holder.permissions.to_str().unwrap_or_default().into();
    }
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(&header), encode(&claims));
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(message.as_bytes()));
    HeaderValue::try_from(format!("{message}.{signature}")).unwrap_or(HeaderValue::from_static(""))
}

/// Verifies an identity for a request; `Ok(None)` is nobody: a public row. `is_signed` says whether the key of
/// this id made the signature of the message; it answers false for a key that it does not know.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(
    text: &str,
    is_signed: impl FnOnce(&str, &[u8], &[u8; 64]) -> bool,
    expected: &Expected<'_>,
) -> Result<Option<Verified>, NotVerified> {
    let form = NotVerified::Form;
    if text.len() > MAX_TEXT {
        return Err(form);
    }
    let (message, signature) = text.rsplit_once('.').ok_or(form)?;
    let (header, claims) = message.split_once('.').ok_or(form)?;
    let header = object(header)?;
    // The algorithm is ours, not the text's: a header says nothing that is not exactly this.
    let plain = header.as_object().is_some_and(|header| header.len() == 3);
    if !plain || header["alg"] != "EdDSA" || header["typ"] != TYPE {
        return Err(form);
    }
    let key_id = header["kid"].as_str().ok_or(form)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| form)?;
    let signature: [u8; 64] = signature.try_into().map_err(|_| form)?;
    if !is_signed(key_id, message.as_bytes(), &signature) {
        return Err(NotVerified::Signature);
    }
    let claims = object(claims)?;
    let (issued, ends) = (claims["iat"].as_i64().ok_or(form)?, claims["exp"].as_i64().ok_or(form)?);
    let now = expected.now.seconds();
    if ends <= now || issued > now + SKEW || ends - issued > LIFETIME {
        return Err(NotVerified::Time);
    }
    let same = |claim: &str, value: &str| claims[claim].as_str() == Some(value);
    let is_this = same("iss", expected.issuer)
        && same("method", expected.method)
        && same("host", &host_name(expected.host))
        && same("path_sha256", &path_digest(without_query(expected.path)));
    if !is_this {
        return Err(NotVerified::Request);
    }
    let Some(account) = claims["sub"].as_str() else { return Ok(None) };
    let owned = |claim: &str| claims[claim].as_str().unwrap_or_default().to_owned();
    Ok(Some(Verified {
        account: account.parse().map_err(|_| form)?,
        token: claims["jti"].as_str().map(str::parse).transpose().map_err(|_| form)?,
        alias: owned("alias"),
        external_id: owned("external_id"),
        realm: claims["realm"].as_str().map(str::parse).transpose().map_err(|_| form)?,
        permissions: owned("scope"),
    }))
}

fn object(part: &str) -> Result<Value, NotVerified> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| NotVerified::Form)?;
    // Strict: a key twice could be read as one claim here and as another there.
    hoody_core::json::parse(&bytes).map_err(|_| NotVerified::Form)
}

fn host_name(host: &str) -> Cow<'_, str> {
    let name = hoody_core::host::name_of(host).unwrap_or(host);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}

fn without_query(target: &str) -> &str {
    target.split('?').next().unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::permissions;

    /// A signature that only this key makes; not Ed25519, which is whoever's the key is.
    struct Key(u8);

    impl Key {
        fn of(&self, message: &[u8]) -> [u8; 64] {
            let digest = Sha256::digest([&[self.0], message].concat());
            std::array::from_fn(|at| digest[at % 32])
        }
    }

    impl Signer for Key {
        fn key_id(&self) -> &str {
            "k1"
        }
        fn sign(&self, message: &[u8]) -> [u8; 64] {
            self.of(message)
        }
    }

    const ISSUER: &str = "https://auth.example.com";

    fn holder() -> Holder {
        Holder {
            account: UserId::from_bytes([1; 12]),
            token: Some(TokenId::from_bytes([2; 12])),
            alias: "ci runner".into(),
            external_id: "cust_7".into(),
            permissions: permissions(["orders.read"]),
        }
    }

    fn original() -> Original<'static> {
        Original { method: "GET", target: "/orders/7?secret=1", host: "Orders.example.com:443" }
    }

    fn expected() -> Expected<'static> {
        Expected {
            issuer: ISSUER,
            method: "GET",
            host: "orders.example.com",
            path: "/orders/7",
            now: Timestamp::from_millis(1_796_000_000_000),
        }
    }

    fn signed(holder: Option<&Holder>) -> String {
        let realm = Some(RealmId::from_bytes([3; 12]));
        let value = sign(&Key(1), ISSUER, holder, realm, Some(original()), expected().now);
        value.to_str().unwrap().to_owned()
    }

    fn verified(text: &str, expected: &Expected<'_>) -> Result<Option<Verified>, NotVerified> {
        verify(text, |id, message, signature| id == "k1" && Key(1).of(message) == *signature, expected)
    }

    #[test]
    fn what_was_signed_is_verified_and_nothing_of_the_query_is_in_it() {
        let text = signed(Some(&holder()));
        let named = verified(&text, &expected()).unwrap().unwrap();
        assert_eq!((&*named.alias, &*named.permissions), ("ci runner", "orders.read"));
        assert_eq!(named.token, holder().token);
        assert_eq!(named.realm, Some(RealmId::from_bytes([3; 12])));
        let claims = object(text.split('.').nth(1).unwrap()).unwrap().to_string();
        assert!(!claims.contains("secret") && !claims.contains("/orders"), "{claims}");
        assert_eq!(verified(&signed(None), &expected()), Ok(None));
    }

    #[test]
    fn it_is_worth_nothing_at_another_request_or_time() {
        let text = signed(Some(&holder()));
        let late = Timestamp::from_millis(expected().now.millis() + 30_000);
        let early = Timestamp::from_millis(expected().now.millis() - 6_000);
        for (changed, fault) in [
            (Expected { method: "POST", ..expected() }, NotVerified::Request),
            (Expected { host: "other.example.com", ..expected() }, NotVerified::Request),
            (Expected { path: "/orders/8", ..expected() }, NotVerified::Request),
            (Expected { issuer: "https://evil.example", ..expected() }, NotVerified::Request),
            (Expected { now: late, ..expected() }, NotVerified::Time),
            (Expected { now: early, ..expected() }, NotVerified::Time),
        ] {
            assert_eq!(verified(&text, &changed), Err(fault), "{changed:?}");
        }
        let just = Timestamp::from_millis(expected().now.millis() + 29_999);
        assert!(verified(&text, &Expected { now: just, ..expected() }).is_ok());
    }

    #[test]
    fn threat_6_no_other_header_or_signature_is_taken() {
        let text = signed(Some(&holder()));
        let (message, signature) = text.rsplit_once('.').unwrap();
        let claims = message.split_once('.').unwrap().1;
        let other = Key(2).of(message.as_bytes());
        let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode(other));
        assert_eq!(verified(&forged, &expected()), Err(NotVerified::Signature));
        for header in [
            json!({"alg": "none", "typ": TYPE, "kid": "k1"}),
            json!({"alg": "HS256", "typ": TYPE, "kid": "k1"}),
            json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1"}),
            json!({"alg": "EdDSA", "typ": TYPE}),
            json!({"alg": "EdDSA", "typ": TYPE, "kid": "k1", "jwk": {}}),
            json!({"alg": "EdDSA", "typ": TYPE, "kid": 1}),
            json!([]),
        ] {
            let message = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header.to_string()));
            let signed = format!("{message}.{}", URL_SAFE_NO_PAD.encode(Key(1).of(message.as_bytes())));
            assert_eq!(verified(&signed, &expected()), Err(NotVerified::Form), "{header}");
        }
        let twice = URL_SAFE_NO_PAD.encode(r#"{"iss":"a","iss":"b"}"#);
        for text in ["", ".", "..", "a.b", &format!("{message}."), &format!(" {text}"), &twice, signature] {
            assert!(verified(text, &expected()).is_err(), "{text}");
        }
    }
}
