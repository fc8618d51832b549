//! Tokens: the long-lived credentials of scripts, CI and agents. What one looks like is in
//! `hoody_core::secret`, what it may do in `hoody_core::grant`, what it may do to others in
//! `hoody_core::acting`, and what a request about one must contain in `hoody_core::token`.

pub(crate) mod changes;
pub(crate) mod delegation;
pub(crate) mod http;
pub(crate) mod list;
pub(crate) mod profiles;
pub(crate) mod store;

use hoody_core::grant::{Bounds, Realms};
use hoody_core::id::{RealmId, TokenId, UserId};
use hoody_core::invalid::Invalid;
use hoody_core::permissions::PermissionSet;
use hoody_core::secret::TokenSecret;
use hoody_core::time::Timestamp;
use hoody_core::token::MAX_REALMS;
use hoody_core::wire;
use serde_json::{Map, Value};

use crate::app::catalogue;

/// How many tokens that have not expired an account's sessions may have made, and each token.
pub(crate) const MAX_ACTIVE: i64 = 1_000;
/// How many tokens an account may have, expired ones too: all of them are in one list. Tokens that make
/// tokens stop at nine tenths of this and of [`MAX_HELD`], so that they never shut the account out.
pub(crate) const MAX_TOKENS: i64 = 10_000;
/// How many bytes the storages, addresses and realms of an account's tokens may have together.
pub(crate) const MAX_HELD: i64 = 8 * 1024 * 1024;

/// A token as it is stored; its secret is not.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) id: TokenId,
    pub(crate) account: UserId,
    pub(crate) alias: String,
    pub(crate) public_key: Option<String>,
    pub(crate) public_storage: Option<Map<String, Value>>,
    /// In the order in which they were given.
    pub(crate) realm_ids: Vec<RealmId>,
    pub(crate) allow_no_realm: bool,
    /// With leaves that grant nothing to a token, which its limits do not have.
    pub(crate) permissions: PermissionSet,
    /// Its own; what it may really do is also bounded by what it descends from.
    pub(crate) limits: Bounds,
    pub(crate) is_enabled: bool,
    pub(crate) created_by_token_id: Option<TokenId>,
    pub(crate) delegation_depth: i64,
    pub(crate) last_used_at: Option<Timestamp>,
    pub(crate) last_used_ip: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// Puts a realm on a token's list.
///
/// # Errors
/// `VALIDATION_ERROR` when the list is full.
pub(super) fn put_realm(realm_ids: &mut Vec<RealmId>, realm: RealmId) -> Result<(), Invalid> {
    if realm_ids.contains(&realm) {
        return Ok(());
    }
    if realm_ids.len() >= MAX_REALMS {
        let message = format!("A token has at most {MAX_REALMS} realms, and {realm} would be one more");
        return Err(Invalid::validation(message));
    }
    realm_ids.push(realm);
    Ok(())
}

impl Token {
    /// Brings the limits in line with the lists and flags that they are made of.
    pub(crate) fn settle(&mut self) {
        self.limits.realms = Realms::of(&self.realm_ids, self.allow_no_realm);
        self.limits.permissions = catalogue().grantable(self.permissions);
    }

    /// Whether it counts against the account's limit: disabled ones do, expired ones do not.
    pub(crate) fn is_active(&self, now: Timestamp) -> bool {
        self.limits.expires_at.is_none_or(|end| end > now)
    }

    /// How many bytes its storage, addresses and realms have, roughly.
    pub(crate) fn size(&self) -> usize {
        let storage =
            self.public_storage.clone().map_or(0, |storage| Value::Object(storage).to_string().len());
        storage + self.limits.addresses.to_stored().len() + self.realm_ids.len() * 25
    }

    /// The token as its account sees it; `secret` only right after it was made.
    pub(crate) fn shown(self, secret: Option<&TokenSecret>) -> wire::AuthToken {
        wire::AuthToken {
            token: secret.map(|secret| secret.expose().into()),
            id: self.id,
            alias: self.alias,
            prefix: hoody_core::secret::PREFIX.to_owned(),
            public_key: self.public_key,
            public_storage: self.public_storage,
            ip_whitelist: self.limits.addresses.entries(),
            realm_ids: self.realm_ids,
            allow_no_realm: self.allow_no_realm,
            permissions: catalogue().to_tree(self.permissions),
            expires_at: self.limits.expires_at,
            is_enabled: self.is_enabled,
            vault_access: self.limits.vault_access,
            event_access: self.limits.event_access,
            created_by_token_id: self.created_by_token_id,
            delegation_depth: u32::try_from(self.delegation_depth).unwrap_or(u32::MAX),
            last_used_at: self.last_used_at,
            last_used_ip: self.last_used_ip,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}
