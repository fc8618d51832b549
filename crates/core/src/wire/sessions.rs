//! Signing in and staying so (`contract/authentication.md` 1 and 3).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Intent, Secret, User};
use crate::id::ProjectId;
use crate::time::Timestamp;

/// Asks for a session. One of `username` and `email` must be there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Login {
    /// Compared exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 3, max_length = 50, pattern = "^[a-zA-Z0-9_-]+$"))]
    pub username: Option<String>,
    /// Compared without regard to case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 255))]
    pub email: Option<String>,
    /// The password.
    #[cfg_attr(feature = "openapi", schema(min_length = 8, max_length = 128))]
    pub password: Secret,
    /// What is signing in, for the record: `web`, `cli`, `sdk`, `agent`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub client: Option<String>,
    /// `tokens`, unless told otherwise, or `intent`: no session, but what [`Intent`] says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^(tokens|intent)$"))]
    pub response_mode: Option<String>,
    /// For an intent: the challenge of whoever will have the session (RFC 7636, S256).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"))]
    pub code_challenge: Option<String>,
}

/// What signing in gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum LoginAnswer {
    /// A session.
    Session(Box<LoginData>),
    /// The password was right, and the account has a second factor.
    Challenge(Challenge),
    /// An intent was asked for.
    Intent(Box<Intent>),
}

impl LoginAnswer {
    /// The session, if it is one.
    #[must_use]
    pub fn into_session(self) -> Option<LoginData> {
        match self {
            Self::Session(session) => Some(*session),
            Self::Challenge(_) | Self::Intent(_) => None,
        }
    }
}

/// The second factor is asked for: send a code with the token to `POST /users/auth/2fa/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Challenge {
    /// Always true.
    pub requires_2fa: bool,
    /// Good for five minutes, and for nothing but this.
    pub temp_token: Secret,
    /// What is asked for: `totp`, or a backup code in its place.
    pub method: String,
}

/// A new session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginData {
    /// The access token: goes into `Authorization: Bearer`.
    pub token: Secret,
    /// Gets the next pair, once.
    #[serde(rename = "refreshToken")]
    pub refresh_token: Secret,
    /// When the access token ends.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// In how many seconds that is.
    #[serde(default)]
    pub expires_in: Option<u64>,
    /// When the refresh token ends.
    #[serde(default)]
    pub refresh_expires_at: Option<Timestamp>,
    /// In how many seconds that is.
    #[serde(default)]
    pub refresh_expires_in: Option<u64>,
    /// Whose session it is.
    pub user: User,
    /// The address that signed in.
    #[serde(default)]
    pub client_ip: Option<String>,
    /// The last five distinct addresses that did, newest first.
    #[serde(default)]
    pub recent_login_ips: Vec<LoginAddress>,
    /// How many live tokens the account has.
    #[serde(default)]
    pub auth_token_count: u64,
    /// Of the hosted service; always `null` here.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub server: Option<Value>,
    /// The project to start in, if the server names one.
    #[serde(default)]
    pub project: Option<LoginProject>,
    /// Of the hosted service; always `null` here.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub container: Option<Value>,
}

impl LoginData {
    /// Its pair of tokens alone.
    #[must_use]
    pub fn into_pair(self) -> RefreshData {
        RefreshData {
            token: self.token,
            refresh_token: self.refresh_token,
            expires_at: self.expires_at,
            expires_in: self.expires_in,
            refresh_expires_at: self.refresh_expires_at,
            refresh_expires_in: self.refresh_expires_in,
        }
    }
}

/// An address that signed in, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginAddress {
    /// The address.
    pub ip: String,
    /// When it last signed in.
    pub timestamp: Timestamp,
}

/// The project that a session starts in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub alias: String,
}

/// Asks for the next pair of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refresh {
    /// The refresh token of the current pair.
    #[serde(rename = "refreshToken")]
    pub refresh_token: Secret,
}

/// The next pair of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefreshData {
    /// The access token: goes into `Authorization: Bearer`.
    pub token: Secret,
    /// Gets the next pair, once.
    #[serde(rename = "refreshToken")]
    pub refresh_token: Secret,
    /// When the access token ends.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// In how many seconds that is.
    #[serde(default)]
    pub expires_in: Option<u64>,
    /// When the refresh token ends.
    #[serde(default)]
    pub refresh_expires_at: Option<Timestamp>,
    /// In how many seconds that is.
    #[serde(default)]
    pub refresh_expires_in: Option<u64>,
}
