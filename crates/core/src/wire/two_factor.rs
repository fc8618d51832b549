//! The second factor (`contract/two-factor.md`).

use serde::{Deserialize, Serialize};

use super::Secret;
use crate::time::Timestamp;

/// Gets a session for a code: the second half of signing in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifyTwoFactor {
    /// Six digits of the app, or a backup code.
    pub code: Secret,
    /// What the login gave; may be sent as Bearer instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp_token: Option<Secret>,
    /// What is signing in, for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub client: Option<String>,
    /// `tokens` or `intent`; left out, it is what the login said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^(tokens|intent)$"))]
    pub response_mode: Option<String>,
}

/// Asks for a new secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetUpTwoFactor {
    /// The account's password.
    #[cfg_attr(feature = "openapi", schema(min_length = 8, max_length = 128))]
    pub password: Secret,
}

/// A new secret, not in force until a code of it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TwoFactorSetup {
    /// A picture for the app to scan: a PNG as a data URI.
    pub qr_code: Secret,
    /// The secret for typing: base32.
    pub manual_entry_key: Secret,
    /// What the picture says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otpauth_uri: Option<Secret>,
    /// Each is good once in place of a code.
    pub backup_codes: Vec<Secret>,
}

/// Turns the second factor on by a code of the new secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConfirmTwoFactor {
    /// Six digits.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9]{6}$"))]
    pub code: Secret,
}

/// The second factor is on, every session before is over, and this is the new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnabledTwoFactor {
    /// Always true.
    pub enabled: bool,
    /// Since when.
    pub enabled_at: Timestamp,
    /// The new session.
    #[serde(flatten)]
    pub session: EndedSessions,
}

/// Every session before is over, and this is the new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EndedSessions {
    /// The pair of tokens.
    #[serde(flatten)]
    pub pair: super::RefreshData,
    /// Always true.
    pub sessions_revoked: bool,
}

/// How the second factor stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TwoFactorStatus {
    /// Whether it is on.
    pub enabled: bool,
    /// Whether a code of it was shown: the same, because it is on from then.
    pub verified: bool,
    /// Since when.
    #[serde(default)]
    pub enabled_at: Option<Timestamp>,
    /// How many backup codes are left.
    pub backup_codes_remaining: u64,
    /// Whether sessions need a code to make and change tokens.
    pub require_for_tokens: bool,
}

/// Turns the second factor off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DisableTwoFactor {
    /// The account's password.
    #[cfg_attr(feature = "openapi", schema(min_length = 8, max_length = 128))]
    pub password: Secret,
    /// Six digits, or a backup code.
    pub code: Secret,
}

/// Replaces the backup codes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegenerateBackupCodes {
    /// The account's password.
    #[cfg_attr(feature = "openapi", schema(min_length = 8, max_length = 128))]
    pub password: Secret,
    /// Six digits; a backup code does not do.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9]{6}$"))]
    pub code: Secret,
}

/// New backup codes; the old ones open nothing any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupCodes {
    /// Shown this once.
    pub backup_codes: Vec<Secret>,
}

/// Whether sessions need a code to make and change tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenGate {
    /// On or off.
    pub enabled: bool,
    /// The account's password: to turn it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 8, max_length = 128))]
    pub password: Option<Secret>,
    /// Six digits, or a backup code: to turn it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 12))]
    pub otp_code: Option<Secret>,
}

/// How the gate stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenGateState {
    /// Whether sessions need a code to make and change tokens.
    pub require_for_tokens: bool,
}
