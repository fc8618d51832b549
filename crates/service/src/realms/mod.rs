//! Realms: labels inside one account. Nobody makes or deletes one; it is there for as long as something
//! carries it (`contract/realms.md`). Which host names which realm is `hoody_core::host`, which credential
//! works in which realm `hoody_core::grant`.

pub mod http;
pub mod store;

use std::sync::Arc;

use hoody_core::id::RealmId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use hoody_engine::db::Db;
use hoody_engine::engine::Engine;
use hoody_engine::error::Error;
use hoody_engine::web::caller::AnyCaller;
use hoody_engine::web::list::ListRooms;
use hoody_engine::web::{Access, Lends};

/// The realms of all accounts, read from what carries them.
#[derive(Debug)]
pub struct Realms {
    access: Arc<Access>,
    db: Db,
    lists: ListRooms,
}

impl Lends for Realms {
    fn access(&self) -> &Access {
        &self.access
    }
}

impl Realms {
    pub fn new(engine: &Engine) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            lists: engine.lists.clone(),
        })
    }
}

/// The endpoint of realms.
pub fn routes() -> OpenApiRouter<Arc<Realms>> {
    OpenApiRouter::new().routes(routes!(http::list_realms))
}

/// The realm that a list is limited to: the host's, or the one that `?realm_id=` asks for. A credential
/// that is bound to realms is on one's host, so it never selects another.
pub fn select(caller: &AnyCaller, asked: Option<RealmId>) -> Result<Option<RealmId>, Error> {
    match (caller.attempt.realm, asked) {
        (Some(of_host), Some(asked)) if of_host != asked => Err(Error::Forbidden {
            code: "REALM_NOT_ALLOWED",
            message: format!("realm_id asks for realm {asked} on the host of realm {of_host}"),
        }),
        (of_host, asked) => Ok(of_host.or(asked)),
    }
}
