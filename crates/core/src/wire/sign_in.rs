//! Signing in for somebody else to go on: PKCE and the device flow (`contract/authentication.md` 10, 12).

use serde::{Deserialize, Serialize};

use super::{LoginData, Secret, User};

/// What a login answers to `response_mode: intent`: proof that it succeeded, to be turned into a code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Intent {
    /// Goes as Bearer to `POST /auth/authorize`: once, within 60 seconds.
    pub auth_intent_token: Secret,
    /// Who signed in.
    pub user: User,
}

/// Asks for the code of an intent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Authorize {
    /// The challenge that the login was given (S256).
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"))]
    pub code_challenge: String,
    /// Where the code will be sent: a host that the server knows.
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https://"))]
    pub redirect_uri: String,
}

/// An authorization code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorizationCode {
    /// 64 hex digits, good once within 60 seconds.
    pub code: Secret,
}

/// Gets a session for a code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Exchange {
    /// The code.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9a-f]{64}$"))]
    pub code: Secret,
    /// What the challenge was made from.
    #[cfg_attr(
        feature = "openapi",
        schema(min_length = 43, max_length = 128, pattern = r"^[A-Za-z0-9_\-.~]+$")
    )]
    pub code_verifier: Secret,
    /// The same as with `/auth/authorize`, character by character.
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https://"))]
    pub redirect_uri: String,
}

/// Asks for a code that somebody can approve on another device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StartDevice {
    /// What the person is told is asking.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub client_name: Option<String>,
    /// What is signing in, for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub client: Option<String>,
    /// With it, only whoever has its verifier gets the session (S256).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"))]
    pub code_challenge: Option<String>,
}

/// A code to show, and one to poll with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceCode {
    /// To poll with: 64 hex digits.
    pub device_code: Secret,
    /// To show: `XXXX-XXXX`.
    pub user_code: String,
    /// Where the person types it.
    pub verification_uri: String,
    /// The same with the code filled in.
    pub verification_uri_complete: String,
    /// How many seconds to wait between two polls.
    #[serde(default)]
    pub interval: Option<u64>,
    /// For how many seconds the codes are good.
    #[serde(default)]
    pub expires_in: Option<u64>,
}

/// Asks what a user code is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifyUserCode {
    /// As it was typed: case and hyphen do not count.
    #[cfg_attr(feature = "openapi", schema(max_length = 16))]
    pub user_code: String,
}

/// What a user code is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum UserCodeAnswer {
    /// It waits for somebody to sign in.
    Pending(PendingDevice),
    /// Somebody did.
    Status(DeviceStatus),
}

/// A request that waits for somebody to sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PendingDevice {
    /// Always `pending`.
    pub status: String,
    /// What asks, as it calls itself.
    #[serde(default)]
    pub client_name: Option<String>,
    /// For how many seconds still.
    pub expires_in: u64,
    /// Goes with the cookie that comes with this answer.
    pub device_verify_ticket: Secret,
    /// The address that asked.
    #[serde(default)]
    pub client_ip: Option<String>,
    /// When it asked.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub requested_at: Option<crate::time::Timestamp>,
}

/// Where a request of a device stands: `approved` or `denied`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceStatus {
    /// `approved` or `denied`.
    pub status: String,
}

/// Approves the request of a device by signing in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceLogin {
    /// What looking the code up gave.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9a-f]{64}$"))]
    pub ticket: Secret,
    /// Compared exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 50))]
    pub username: Option<String>,
    /// Compared without regard to case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 255))]
    pub email: Option<String>,
    /// The password.
    #[cfg_attr(feature = "openapi", schema(min_length = 8, max_length = 128))]
    pub password: Secret,
}

/// What signing in for a device gives: never a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum DeviceLoginAnswer {
    /// The device gets its session.
    Status(DeviceStatus),
    /// The password was right, and the account has a second factor: send a code with the token to
    /// `POST /users/auth/2fa/verify`.
    Challenge(super::Challenge),
}

/// Refuses the request of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DenyDevice {
    /// What looking the code up gave.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9a-f]{64}$"))]
    pub ticket: Secret,
}

/// Asks whether somebody has signed in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PollDevice {
    /// The code to poll with.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9a-f]{64}$"))]
    pub device_code: Secret,
    /// What the challenge was made from, where one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 43, max_length = 128))]
    pub code_verifier: Option<Secret>,
}

/// Why a poll gave no session yet, or never will (RFC 8628, 3.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PollRefusal {
    /// `authorization_pending`, `slow_down`, `access_denied` or `expired_token`.
    pub error: String,
}

/// What the second factor gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum VerifyAnswer {
    /// A session.
    Session(Box<LoginData>),
    /// The login asked for an intent.
    Intent(Box<Intent>),
    /// The login was for a device, which is approved.
    Approved(DeviceStatus),
}

impl VerifyAnswer {
    /// The session, if it is one.
    #[must_use]
    pub fn into_session(self) -> Option<LoginData> {
        match self {
            Self::Session(session) => Some(*session),
            Self::Intent(_) | Self::Approved(_) => None,
        }
    }
}
