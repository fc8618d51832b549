//! A caller that was let in: what a mutation judges again.

use hoody_core::grant::{Attempt, Credential, Grant};
use hoody_core::id::{TokenId, UserId};

use super::Found;
use crate::catalogue::catalogue;

/// A credential that was let in, whatever the rule was.
#[derive(Debug)]
pub struct AnyCaller {
    pub found: Found,
    pub attempt: Attempt,
}

impl AnyCaller {
    pub fn grant(&self) -> &Grant {
        &self.found.grant
    }

    pub fn account(&self) -> UserId {
        self.grant().account
    }

    /// The token that asks; `None` for a session.
    pub fn token(&self) -> Option<TokenId> {
        match self.grant().credential {
            Credential::Token(id) => Some(id),
            Credential::Session(_) => None,
        }
    }

    /// Whether it holds a permission; a session holds all.
    pub fn holds(&self, leaf: &str) -> bool {
        catalogue().leaf(leaf).is_some_and(|leaf| self.grant().limits.permissions.has(leaf))
    }
}
