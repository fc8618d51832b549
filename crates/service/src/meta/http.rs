//! The published keys: as the contract has them (`contract/meta.md`), and as a key set that JWT libraries read.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hoody_core::wire;
use hoody_doors::identity::LIFETIME;
use hoody_engine::web::Answer;
use http::{HeaderValue, header};

use super::Meta;

/// How long others may keep the keys. A new key is published before it signs, so a minute is never too long.
const CACHE: &str = "public, max-age=60";

/// The keys that signatures of this server are verified with
#[utoipa::path(get, path = "/api/v1/meta/public-key", operation_id = "get_public_keys", tag = "meta",
    responses((status = 200, body = wire::Envelope<wire::PublicKeys>)))]
pub async fn get_public_keys(State(meta): State<Arc<Meta>>) -> Response {
    let keys = meta.keys.signing_keys();
    let shown = keys.iter().map(|key| {
        let bytes = key.public_key();
        wire::PublicKey {
            kid: key.id().to_owned(),
            algorithm: "ed25519".to_owned(),
            public_key_hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            public_key_b64: STANDARD.encode(bytes),
            public_key_b64url: URL_SAFE_NO_PAD.encode(bytes),
        }
    });
    let data = wire::PublicKeys {
        keys: shown.collect(),
        active_kid: meta.keys.signing_key().id().to_owned(),
        usage: vec!["gate-identity".to_owned()],
        signing_format: wire::SigningFormat {
            gate_identity: "X-Hoody-Identity: a compact JWS (RFC 7515), EdDSA over header.payload, with typ \
                            hoody-identity+jwt; verify iss, exp, method, host and path_sha256"
                .to_owned(),
            gate_identity_seconds: LIFETIME.unsigned_abs(),
        },
    };
    cached(Answer::ok("Hoody API signing public key", data).into_response())
}

/// The same keys as a JSON Web Key Set
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "get_key_set", tag = "meta",
    responses((status = 200, body = wire::KeySet)))]
pub async fn get_key_set(State(meta): State<Arc<Meta>>) -> Response {
    let keys = meta.keys.signing_keys();
    let shown = keys.iter().map(|key| wire::JsonWebKey {
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        x: URL_SAFE_NO_PAD.encode(key.public_key()),
        kid: key.id().to_owned(),
        usage: "sig".to_owned(),
        alg: "EdDSA".to_owned(),
    });
    cached(axum::Json(wire::KeySet { keys: shown.collect() }).into_response())
}

fn cached(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE));
    response
}
