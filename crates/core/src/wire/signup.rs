//! Signing up, and what mails are for (`contract/authentication.md` 6, 7, 11).

use serde::{Deserialize, Serialize};

use super::Secret;

/// Asks for an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignUp {
    /// Where the verification mail goes.
    #[cfg_attr(feature = "openapi", schema(max_length = 255))]
    pub email: String,
    /// The password to sign in with.
    #[cfg_attr(feature = "openapi", schema(min_length = 12, max_length = 128))]
    pub password: Secret,
    /// Of the hosted service; this server has no regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// An invitation, where the server asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
    pub invite_code: Option<Secret>,
    /// What is signing up, for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub client: Option<String>,
}

/// What signing up says, whether or not the address has an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedUp {
    /// The address, as it was given.
    pub email: String,
}

/// Shows the token of a verification mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifyEmail {
    /// From the mail.
    #[cfg_attr(feature = "openapi", schema(min_length = 64, max_length = 64))]
    pub token: Secret,
    /// The password of the sign-up that the mail belongs to. Without it the address is verified, nobody is
    /// signed in, and the passwords set before are void: the owner of the address may not know them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 8, max_length = 128))]
    pub password: Option<Secret>,
    /// What is signing in, for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub client: Option<String>,
    /// As on login: `tokens`, or `intent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^(tokens|intent)$"))]
    pub response_mode: Option<String>,
    /// For an intent: the challenge of whoever will have the session (RFC 7636, S256).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"))]
    pub code_challenge: Option<String>,
}

/// Asks for a mail: another verification, or a link to set a new password.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MailRequest {
    /// Whose.
    #[cfg_attr(feature = "openapi", schema(max_length = 255))]
    pub email: String,
}

/// Sets a new password with the token of a mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResetPassword {
    /// From the mail.
    #[cfg_attr(feature = "openapi", schema(min_length = 64, max_length = 64))]
    pub token: Secret,
    /// The new password.
    #[cfg_attr(feature = "openapi", schema(min_length = 12, max_length = 128))]
    pub password: Secret,
    /// Whether to disable every API token of the account as well: whoever knew the old password may have
    /// made some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_tokens: Option<bool>,
}

/// What a reset left: sessions are ended, and tokens go on unless they were to end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasswordReset {
    /// How many API tokens of the account still work.
    pub active_tokens: u64,
    /// How many were disabled now.
    pub disabled_tokens: u64,
}

/// What a sign-in page needs to know of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuthConfig {
    /// What the server calls itself.
    pub app_name: String,
    /// Its picture; always `null` here.
    pub logo_url: Option<String>,
    /// Its colour; always `null` here.
    pub primary_color: Option<String>,
    /// Signing in through GitHub: not here.
    pub github_enabled: bool,
    /// Signing in through Google: not here.
    pub google_enabled: bool,
    /// Whether anybody, or who is invited, may sign up.
    pub signup_enabled: bool,
    /// Whether an invitation is asked for.
    pub invite_required: bool,
}

/// Where an account can be; a self-hosted server has no regions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Regions {
    /// Always empty here.
    pub regions: Vec<Region>,
}

/// A region of the hosted service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Region {
    /// Its name.
    pub region: String,
    /// The country it is in.
    pub country: String,
    /// The city it is in.
    pub city: String,
    /// Whether there is room.
    pub available: bool,
}
