//! The operator's permissions: the catalogue that the operator applies from a file, and what the API says of it.
//! The rules are in `hoody_core::permissions::own`; reading the rows and keeping them is `hoody_engine::own`.

pub mod apply;
pub mod http;
pub mod store;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use hoody_engine::clock::Clock;
use hoody_engine::db::Db;
use hoody_engine::engine::Engine;
use hoody_engine::feed::Feed;
use hoody_engine::web::{Access, Lends};

/// Applies and shows the operator's permissions.
#[derive(Debug)]
pub struct Permissions {
    access: Arc<Access>,
    db: Db,
    feed: Feed,
    clock: Clock,
}

impl Permissions {
    pub fn new(engine: &Engine) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            feed: engine.feed.clone(),
            clock: engine.clock.clone(),
        })
    }
}

impl Lends for Permissions {
    fn access(&self) -> &Access {
        &self.access
    }
}

/// The endpoint of permissions.
pub fn routes() -> OpenApiRouter<Arc<Permissions>> {
    OpenApiRouter::new().routes(routes!(http::list_permissions))
}
