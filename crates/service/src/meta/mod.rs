//! What the server publishes about itself: the keys that services behind a gate verify identities with.

pub mod http;

use std::sync::Arc;

use hoody_engine::engine::Engine;
use hoody_engine::keys::Keys;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Publishes keys.
#[derive(Debug)]
pub struct Meta {
    keys: Arc<Keys>,
}

impl Meta {
    pub fn new(engine: &Engine) -> Arc<Self> {
        Arc::new(Self { keys: Arc::clone(&engine.keys) })
    }
}

/// The endpoints that publish keys.
pub fn routes() -> OpenApiRouter<Arc<Meta>> {
    OpenApiRouter::new().routes(routes!(http::get_public_keys)).routes(routes!(http::get_key_set))
}
