//! Accounts (`contract/users.md`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{CurrentToken, Secret, nullable};
use crate::id::UserId;
use crate::time::Timestamp;

/// An account, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The name to sign in with.
    pub username: String,
    /// The address to sign in with.
    #[serde(default)]
    pub email: Option<String>,
    /// The name to show.
    pub alias: String,
    /// Ed25519 key: 64 hex digits.
    #[serde(default)]
    pub public_key: Option<String>,
    /// Whatever the account keeps with itself.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub metadata: Option<Map<String, Value>>,
    /// Whether the account is shut out.
    pub is_banned: bool,
    /// Whether the address is known to be the owner's.
    #[serde(default)]
    pub email_verified: bool,
    /// Where its picture is.
    #[serde(default)]
    pub avatar_url: Option<String>,
    /// How it came to be: `email`, `github`, `google`, or `null`: made by the operator.
    #[serde(default)]
    pub signup_method: Option<String>,
    /// Of the hosted service; always `false` here.
    #[serde(default)]
    pub free_tier_unlocked: bool,
    /// Of the hosted service; always `null` here.
    #[serde(default)]
    pub free_tier_unlocked_at: Option<Timestamp>,
    /// Of the hosted service; always `null` here.
    #[serde(default)]
    pub free_tier_unlock_source: Option<String>,
    /// Milestones and when they were first reached.
    #[serde(default)]
    pub onboarding: BTreeMap<String, Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// An account, as a token without `resources.read_account` sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReducedUser {
    /// Its id.
    pub id: UserId,
    /// The name to sign in with.
    pub username: String,
    /// The name to show.
    pub alias: String,
    /// Ed25519 key: 64 hex digits.
    #[serde(default)]
    pub public_key: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Either view of an account (`GET /users/{id}`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum UserProfile {
    /// All of it.
    Full(Box<User>),
    /// What a token without `resources.read_account` gets.
    Reduced(ReducedUser),
}

/// The caller's account (`GET /users/auth/me`), and the token that asks, if one does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    /// The account.
    #[serde(flatten)]
    pub user: User,
    /// The calling token; absent for a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_token: Option<CurrentToken>,
}

/// The caller's account, as a token without `resources.read_account` sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReducedMe {
    /// The account.
    #[serde(flatten)]
    pub user: ReducedUser,
    /// The calling token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_token: Option<CurrentToken>,
}

/// Either view of the caller's account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum Profile {
    /// All of it.
    Full(Box<Me>),
    /// What a token without `resources.read_account` gets.
    Reduced(Box<ReducedMe>),
}

/// Changes an account. What is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateUser {
    /// The name to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 100))]
    pub alias: Option<String>,
    /// Ed25519 key; `null` clears it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[0-9a-fA-F]{64}$"))]
    pub public_key: Option<Option<String>>,
    /// Whatever the account keeps with itself; `null` clears it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub metadata: Option<Option<Map<String, Value>>>,
    /// A new password; needs `current_password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 12, max_length = 128))]
    pub password: Option<Secret>,
    /// The password that is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 8, max_length = 128))]
    pub current_password: Option<Secret>,
}
