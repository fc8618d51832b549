//! Accounts: who signs in. Made by the operator or on the first start; changed by their owner with a
//! session; banned by the operator.

pub(crate) mod confirm;
pub(crate) mod first;
pub(crate) mod http;
pub(crate) mod password;
pub(crate) mod queue;
pub(crate) mod store;

use hoody_core::id::UserId;
use hoody_core::time::Timestamp;
use hoody_core::wire;
use serde_json::{Map, Value};

use crate::error::Error;

/// An account as it is stored. The password's hash cannot be printed.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) username: String,
    pub(crate) email: Option<String>,
    pub(crate) alias: String,
    pub(crate) public_key: Option<String>,
    pub(crate) metadata: Option<Map<String, Value>>,
    pub(crate) password_hash: password::PasswordHash,
    pub(crate) email_verified: bool,
    pub(crate) is_banned: bool,
    pub(crate) generation: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// How it was made, if by its owner.
    pub(crate) signup_method: Option<String>,
}

/// What a new account is made from; every text has passed its rule.
#[derive(Debug)]
pub(crate) struct NewUser {
    pub(crate) username: String,
    pub(crate) email: Option<String>,
    pub(crate) password_hash: password::PasswordHash,
    /// Made by somebody who signed up: the address is not proved yet.
    pub(crate) is_self_made: bool,
}

impl User {
    /// All of it, as its owner sees it.
    pub(crate) fn shown(self) -> wire::User {
        wire::User {
            id: self.id,
            username: self.username,
            email: self.email,
            alias: self.alias,
            public_key: self.public_key,
            metadata: self.metadata,
            is_banned: self.is_banned,
            email_verified: self.email_verified,
            avatar_url: None,
            signup_method: self.signup_method,
            free_tier_unlocked: false,
            free_tier_unlocked_at: None,
            free_tier_unlock_source: None,
            onboarding: std::collections::BTreeMap::new(),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    /// Nobody signs in before the address is proved. To be asked once the password was right, so that
    /// it tells nobody else that there is an account.
    pub(crate) fn refuse_unverified(&self) -> Result<(), Error> {
        match &self.email {
            Some(email) if !self.email_verified => Err(Error::EmailNotVerified { email: email.clone() }),
            _ => Ok(()),
        }
    }

    /// What a token without `resources.read_account` sees.
    pub(crate) fn reduced(self) -> wire::ReducedUser {
        wire::ReducedUser {
            id: self.id,
            username: self.username,
            alias: self.alias,
            public_key: self.public_key,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}
