//! Projects: something to guard. A project belongs to one account, may be shared with others, and carries
//! realms. Nothing of it is cached: every request reads project and membership from the database, so a
//! change of either is in force with the next one.
//!
//! `body` reads requests, `http` has the endpoints of projects, `members` those of sharing.

pub(crate) mod body;
pub(crate) mod http;
pub(crate) mod members;
pub(crate) mod store;

use hoody_core::id::{ProjectId, RealmId, UserId};
use hoody_core::time::Timestamp;
use hoody_core::wire::{self, PermissionLevel};

/// How many projects an account may own.
pub(crate) const MAX_PROJECTS: i64 = 10_000;
/// With how many accounts a project may be shared.
pub(crate) const MAX_MEMBERS: i64 = 1_000;

/// A project as one account finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Project {
    pub(crate) id: ProjectId,
    pub(crate) owner: UserId,
    pub(crate) alias: String,
    pub(crate) color: String,
    /// Never negative; `None` is no limit.
    pub(crate) max_containers: Option<i64>,
    pub(crate) is_default: bool,
    /// In the order in which they were given, each once.
    pub(crate) realm_ids: Vec<RealmId>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// What the account that looks may do with it.
    pub(crate) access: Access,
}

/// What an account may do with a project that it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everything.
    Owner,
    /// What was granted, and what lies below it: read < edit < delete.
    Member(PermissionLevel),
}

impl Access {
    /// Whether it includes `level`. Nobody gives, changes or takes away more than that.
    pub(crate) fn includes(self, level: PermissionLevel) -> bool {
        match self {
            Self::Owner => true,
            Self::Member(own) => level <= own,
        }
    }
}

impl Project {
    /// Whether a request on this realm's host reaches it; on the base host every one does.
    pub(crate) fn is_in(&self, realm: Option<RealmId>) -> bool {
        realm.is_none_or(|realm| self.realm_ids.contains(&realm))
    }

    /// The project on the wire; with `permissions` when they were asked for.
    pub(crate) fn shown(self, permissions: Option<Vec<wire::ProjectMember>>) -> wire::Project {
        wire::Project {
            id: self.id,
            user_id: self.owner,
            alias: self.alias,
            color: self.color,
            max_containers: self.max_containers.map(i64::unsigned_abs),
            is_default: self.is_default,
            realm_ids: self.realm_ids,
            created_at: self.created_at,
            updated_at: self.updated_at,
            permissions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_includes_those_below_it_and_the_owner_has_all() {
        for (index, own) in PermissionLevel::ALL.into_iter().enumerate() {
            for (other, level) in PermissionLevel::ALL.into_iter().enumerate() {
                assert_eq!(Access::Member(own).includes(level), other <= index, "{own} {level}");
                assert!(Access::Owner.includes(level));
            }
        }
    }
}
