//! Decisions for others: what an agent, a script or a proxy asks before it goes on.

pub mod hot;
pub mod http;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use hoody_engine::engine::Engine;
use hoody_engine::web::{Access, Lends};

/// Answers whether a credential works and may do something.
#[derive(Debug)]
pub struct Gate {
    access: Arc<Access>,
}

impl Gate {
    pub fn new(engine: &Engine) -> Arc<Self> {
        Arc::new(Self { access: Arc::clone(&engine.access) })
    }
}

impl Lends for Gate {
    fn access(&self) -> &Access {
        &self.access
    }
}

/// The endpoint that checks credentials.
pub fn routes() -> OpenApiRouter<Arc<Gate>> {
    OpenApiRouter::new().routes(routes!(http::check))
}
