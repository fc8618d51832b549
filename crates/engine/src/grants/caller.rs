//! A caller that was let in: what a mutation judges again.

use std::sync::Arc;

use hoody_core::grant::{Attempt, Grant};
use hoody_core::id::{TokenId, UserId};
use hoody_core::secret::Digest;
use hoody_core::session::Claims;

use super::Found;
use crate::catalogue::catalogue;

/// A credential that was let in, whatever the rule was.
#[derive(Debug)]
pub struct AnyCaller {
    pub found: Found,
    pub attempt: Attempt,
}

impl AnyCaller {
    /// A session that came by something else than a session token, e.g. a cookie, and was let in for `attempt`.
    /// Its `claims` are what a token of it would say: a mutation holds them against the session again. `digest`
    /// is what its credential is known by; the cache does not know it.
    pub fn of_session(grant: Grant, claims: Claims, digest: Digest, attempt: Attempt) -> Self {
        Self { found: Found { grant, claims: Some(Arc::new(claims)), digest, last_used: None }, attempt }
    }

    pub fn grant(&self) -> &Grant {
        &self.found.grant
    }

    pub fn account(&self) -> UserId {
        self.grant().account
    }

    /// The token that asks; `None` for a session.
    pub fn token(&self) -> Option<TokenId> {
        self.grant().credential.token()
    }

    /// Whether it holds a permission; a session holds all.
    pub fn holds(&self, leaf: &str) -> bool {
        catalogue().leaf(leaf).is_some_and(|leaf| self.grant().limits.permissions.has(leaf))
    }
}
