//! What OAuth clients and resource servers ask about tokens: introspection (RFC 7662), revocation (RFC 7009) and
//! metadata (RFC 8414). `asker` finds out who asks, `answer` has OAuth's form of answers and refusals.

mod answer;
mod asker;
pub mod http;

use std::sync::Arc;

use axum::routing::{get, post};
use hoody_engine::engine::Engine;
use hoody_engine::web::{Access, Lends};
use utoipa_axum::router::OpenApiRouter;

use crate::gate::Gate;
use crate::tokens::Tokens;

/// Answers in OAuth's terms.
#[derive(Debug)]
pub struct OAuth {
    access: Arc<Access>,
    gate: Arc<Gate>,
    tokens: Arc<Tokens>,
}

impl OAuth {
    pub fn new(engine: &Engine, gate: &Arc<Gate>, tokens: &Arc<Tokens>) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            gate: Arc::clone(gate),
            tokens: Arc::clone(tokens),
        })
    }
}

impl Lends for OAuth {
    fn access(&self) -> &Access {
        &self.access
    }
}

/// The endpoints of OAuth. Its standards describe them, so the document of the API does not.
pub fn routes() -> OpenApiRouter<Arc<OAuth>> {
    OpenApiRouter::new()
        .route("/oauth/introspect", post(http::introspect))
        .route("/oauth/revoke", post(http::revoke))
        .route("/.well-known/oauth-authorization-server", get(http::get_server_metadata))
}
