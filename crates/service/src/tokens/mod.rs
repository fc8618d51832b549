//! Tokens: the long-lived credentials of scripts, CI and agents. What one looks like is in
//! `hoody_core::secret`, what it may do in `hoody_core::grant`, what it may do to others in
//! `hoody_core::acting`, and what a request about one must contain in `hoody_core::token`.

pub mod changes;
pub mod delegation;
pub mod http;
pub mod list;
pub mod profiles;
pub mod search;
pub mod store;

use std::sync::Arc;

use hoody_core::grant::{Bounds, Realms};
use hoody_core::id::{RealmId, TokenId, UserId};
use hoody_core::invalid::Invalid;
use hoody_core::permissions::Selection;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::secret::TokenSecret;
use hoody_core::time::Timestamp;
use hoody_core::token::MAX_REALMS;
use hoody_core::token_notes::Notes;
use hoody_core::wire;
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::sign_in::SignIn;
use hoody_engine::catalogue::{catalogue, catalogues};
use hoody_engine::clock::Clock;
use hoody_engine::db::Db;
use hoody_engine::engine::Engine;
use hoody_engine::feed::Feed;
use hoody_engine::grants::store::own_extras;
use hoody_engine::keys::Keys;
use hoody_engine::web::list::ListRooms;
use hoody_engine::web::{Access, Lends};

/// How many tokens that have not expired an account's sessions may have made, and each token.
pub const MAX_ACTIVE: i64 = 1_000;
/// How many tokens an account may have, expired ones too: all of them are in one list. Tokens that make
/// tokens stop at nine tenths of this and of [`MAX_HELD`], so that they never shut the account out.
pub const MAX_TOKENS: i64 = 10_000;
/// How many bytes the storages, addresses and realms of an account's tokens may have together.
pub const MAX_HELD: i64 = 8 * 1024 * 1024;

/// Creates, changes and shows tokens.
#[derive(Debug)]
pub struct Tokens {
    access: Arc<Access>,
    db: Db,
    keys: Arc<Keys>,
    clock: Clock,
    feed: Feed,
    lists: ListRooms,
    sign_in: Arc<SignIn>,
    /// How many levels of tokens may be below one that a session created.
    max_delegation_depth: u32,
}

impl Tokens {
    pub fn new(engine: &Engine, sign_in: &Arc<SignIn>, max_delegation_depth: u32) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            keys: Arc::clone(&engine.keys),
            clock: engine.clock.clone(),
            feed: engine.feed.clone(),
            lists: engine.lists.clone(),
            sign_in: Arc::clone(sign_in),
            max_delegation_depth,
        })
    }
}

impl Lends for Tokens {
    fn access(&self) -> &Access {
        &self.access
    }
}

/// The endpoints of tokens.
pub fn routes() -> OpenApiRouter<Arc<Tokens>> {
    OpenApiRouter::new()
        .routes(routes!(http::list_tokens, http::create_token))
        .routes(routes!(http::get_current_token))
        .routes(routes!(profiles::update_public_profile))
        .routes(routes!(profiles::get_public_profile))
        .routes(routes!(http::list_token_templates))
        .routes(routes!(http::get_token, changes::update_token, changes::delete_token))
        .routes(routes!(http::copy_token))
        .routes(routes!(changes::add_token_realm))
        .routes(routes!(changes::remove_token_realm))
}

/// A token as it is stored; its secret is not.
#[derive(Debug, Clone)]
pub struct Token {
    pub id: TokenId,
    pub account: UserId,
    pub alias: String,
    pub public_key: Option<String>,
    pub public_storage: Option<Map<String, Value>>,
    /// In the order in which they were given.
    pub realm_ids: Vec<RealmId>,
    pub allow_no_realm: bool,
    /// With leaves that grant nothing to a token, which its limits do not have.
    pub permissions: Selection,
    /// Its own; what it may really do is also bounded by what it descends from.
    pub limits: Bounds,
    pub is_enabled: bool,
    pub notes: Notes,
    /// The last four characters of its secret.
    pub hint: Option<String>,
    pub created_by_token_id: Option<TokenId>,
    pub delegation_depth: i64,
    pub last_used_at: Option<Timestamp>,
    pub last_used_ip: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
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
    pub fn settle(&mut self, own: &OwnCatalogue) {
        self.limits.realms = Realms::of(&self.realm_ids, self.allow_no_realm);
        self.limits.permissions = catalogue().grantable(self.permissions.hoody);
        self.limits.extras = own_extras(&self.permissions.own, own);
    }

    /// Whether it counts against the account's limit: disabled ones do, expired ones do not.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.limits.expires_at.is_none_or(|end| end > now)
    }

    /// How many bytes its storage, notes, addresses and realms have, roughly.
    pub fn size(&self) -> usize {
        let storage =
            self.public_storage.clone().map_or(0, |storage| Value::Object(storage).to_string().len());
        storage + self.notes.size() + self.limits.addresses.to_stored().len() + self.realm_ids.len() * 25
    }

    /// The token as its account sees it; `secret` only right after it was made.
    pub fn shown(self, own: &OwnCatalogue, secret: Option<&TokenSecret>) -> wire::AuthToken {
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
            permissions: catalogues(own).to_tree(&self.permissions),
            expires_at: self.limits.expires_at,
            is_enabled: self.is_enabled,
            vault_access: self.limits.vault_access,
            event_access: self.limits.event_access,
            created_by_token_id: self.created_by_token_id,
            delegation_depth: u32::try_from(self.delegation_depth).unwrap_or(u32::MAX),
            external_id: self.notes.external_id,
            meta: self.notes.meta,
            tags: self.notes.tags,
            description: self.notes.description,
            hint: self.hint,
            last_used_at: self.last_used_at,
            last_used_ip: self.last_used_ip,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}
