//! Accounts: who signs in. Made by the operator or on the first start; changed by their owner with a
//! session; banned by the operator. The endpoints are in `account`.

pub mod confirm;
pub mod first;
pub mod password;
pub mod queue;
pub mod store;

use std::path::PathBuf;
use std::sync::Arc;

use hoody_core::id::UserId;
use hoody_core::time::Timestamp;
use hoody_core::wire;
use serde_json::{Map, Value};

use self::password::Passwords;
use crate::history::History;
use hoody_engine::clock::Clock;
use hoody_engine::db::Db;
use hoody_engine::engine::Engine;
use hoody_engine::error::Error;
use hoody_engine::feed::Feed;
use hoody_engine::limits::Limits;

/// All accounts, and the queue in which their passwords are hashed.
#[derive(Debug)]
pub struct Users {
    db: Db,
    clock: Clock,
    feed: Feed,
    limits: Limits,
    history: Arc<History>,
    pub passwords: Passwords,
    /// Where the first password is written.
    data_dir: PathBuf,
}

impl Users {
    pub fn new(engine: &Engine, history: &Arc<History>) -> Arc<Self> {
        Arc::new(Self {
            db: engine.db.clone(),
            clock: engine.clock.clone(),
            feed: engine.feed.clone(),
            limits: engine.limits.clone(),
            history: Arc::clone(history),
            passwords: Passwords::new(),
            data_dir: engine.data_dir.clone(),
        })
    }
}

/// An account as it is stored. The password's hash cannot be printed.
#[derive(Debug, Clone)]
pub struct User {
    pub id: UserId,
    pub username: String,
    pub email: Option<String>,
    pub alias: String,
    pub public_key: Option<String>,
    pub metadata: Option<Map<String, Value>>,
    pub password_hash: password::PasswordHash,
    pub email_verified: bool,
    pub is_banned: bool,
    pub generation: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// How it was made, if by its owner.
    pub signup_method: Option<String>,
}

/// What a new account is made from; every text has passed its rule.
#[derive(Debug)]
pub struct NewUser {
    pub username: String,
    pub email: Option<String>,
    pub password_hash: password::PasswordHash,
    /// Made by somebody who signed up: the address is not proved yet.
    pub is_self_made: bool,
}

impl User {
    /// All of it, as its owner sees it.
    pub fn shown(self) -> wire::User {
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
    pub fn refuse_unverified(&self) -> Result<(), Error> {
        match &self.email {
            Some(email) if !self.email_verified => Err(Error::EmailNotVerified { email: email.clone() }),
            _ => Ok(()),
        }
    }

    /// What a token without `resources.read_account` sees.
    pub fn reduced(self) -> wire::ReducedUser {
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
