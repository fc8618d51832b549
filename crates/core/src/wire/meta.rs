//! What the server publishes about itself: the keys that it signs with.

use serde::{Deserialize, Serialize};

/// The keys that others verify signatures of this server with (`contract/meta.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicKeys {
    /// The keys, the one that signs now first. During a rotation of the master key there are several.
    pub keys: Vec<PublicKey>,
    /// The id of the one that signs now.
    pub active_kid: String,
    /// What they sign: `gate-identity`.
    pub usage: Vec<String>,
    /// How.
    pub signing_format: SigningFormat,
}

/// A key to verify with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicKey {
    /// Its id.
    pub kid: String,
    /// `ed25519`.
    pub algorithm: String,
    /// 64 lowercase hex digits.
    pub public_key_hex: String,
    /// The same in Base64.
    pub public_key_b64: String,
    /// The same in base64url without padding.
    pub public_key_b64url: String,
}

/// What is signed, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SigningFormat {
    /// The header `X-Hoody-Identity` of a gate's answer.
    pub gate_identity: String,
    /// For how many seconds it is valid.
    pub gate_identity_seconds: u64,
}

/// The same keys as a JSON Web Key Set (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeySet {
    /// The keys.
    pub keys: Vec<JsonWebKey>,
}

/// An Ed25519 key (RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JsonWebKey {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    pub crv: String,
    /// The key in base64url without padding.
    pub x: String,
    /// Its id.
    pub kid: String,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: String,
    /// `EdDSA`.
    pub alg: String,
}
