//! Projects: something to guard. A project belongs to one account, may be shared with others, and carries
//! realms. Nothing of it is cached: every request reads project and membership from the database, so a
//! change of either is in force with the next one.
//!
//! `body` reads requests, `http` has the endpoints of projects, `members` those of sharing.

pub mod body;
pub mod http;
pub mod members;
pub mod store;

use std::sync::Arc;

use hoody_core::id::{ProjectId, RealmId, UserId};
use hoody_core::time::Timestamp;
use hoody_core::wire::{self, PermissionLevel};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use hoody_engine::clock::Clock;
use hoody_engine::db::Db;
use hoody_engine::engine::Engine;
use hoody_engine::feed::Feed;
use hoody_engine::web::list::ListRooms;
use hoody_engine::web::{self, Lends};

/// How many projects an account may own.
pub const MAX_PROJECTS: i64 = 10_000;
/// With how many accounts a project may be shared.
pub const MAX_MEMBERS: i64 = 1_000;

/// Creates, changes, shares and shows projects.
#[derive(Debug)]
pub struct Projects {
    access: Arc<web::Access>,
    db: Db,
    clock: Clock,
    feed: Feed,
    lists: ListRooms,
}

impl Projects {
    pub fn new(engine: &Engine) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            clock: engine.clock.clone(),
            feed: engine.feed.clone(),
            lists: engine.lists.clone(),
        })
    }
}

impl Lends for Projects {
    fn access(&self) -> &web::Access {
        &self.access
    }
}

/// The endpoints of projects and of sharing them.
pub fn routes() -> OpenApiRouter<Arc<Projects>> {
    OpenApiRouter::new()
        .routes(routes!(http::list_projects, http::create_project))
        .routes(routes!(http::get_project, http::update_project, http::delete_project))
        .routes(routes!(http::get_project_stats))
        .routes(routes!(members::http::list_project_permissions, members::http::grant_project_permission))
        .routes(routes!(members::http::update_project_permission, members::http::revoke_project_permission))
}

/// A project as one account finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    pub id: ProjectId,
    pub owner: UserId,
    pub alias: String,
    pub color: String,
    /// Never negative; `None` is no limit.
    pub max_containers: Option<i64>,
    pub is_default: bool,
    /// In the order in which they were given, each once.
    pub realm_ids: Vec<RealmId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// What the account that looks may do with it.
    pub access: Access,
}

/// What an account may do with a project that it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Owner,
    /// What was granted, and what lies below it: read < edit < delete.
    Member(PermissionLevel),
}

impl Access {
    /// Whether it includes `level`. Nobody gives, changes or takes away more than that.
    pub fn includes(self, level: PermissionLevel) -> bool {
        match self {
            Self::Owner => true,
            Self::Member(own) => level <= own,
        }
    }
}

impl Project {
    /// Whether a request on this realm's host reaches it; on the base host every one does.
    pub fn is_in(&self, realm: Option<RealmId>) -> bool {
        realm.is_none_or(|realm| self.realm_ids.contains(&realm))
    }

    /// The project on the wire; with `permissions` when they were asked for.
    pub fn shown(self, permissions: Option<Vec<wire::ProjectMember>>) -> wire::Project {
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
