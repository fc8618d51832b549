//! Decisions for others: what an agent, a script or a proxy asks before it goes on.
//!
//! `http` is `GET /auth/check`, for whoever holds a credential, and `explain` says why it answers so. `door` is `/gate/auth`, for proxies: what they ask is
//! read, decided and answered by `hoody_doors`, which asks `judge` about gates and credentials. `grpc` is the same for
//! Envoy over gRPC. `hot` answers checks and proxies before the router where nothing has to be waited for. `row` tells
//! the request log of a question. `verify` answers services about the credentials that they were shown.

pub mod door;
pub mod explain;
pub mod grpc;
pub mod hot;
pub mod http;
mod judge;
pub mod presented;
mod row;
pub mod verify;

use std::sync::Arc;

use hoody_doors::door::Server;
use hoody_engine::activity::Activity;
use hoody_engine::engine::Engine;
use hoody_engine::web::{Access, Lends};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gates::Gates;

/// Answers whether a credential works and may do something.
#[derive(Debug)]
pub struct Gate {
    access: Arc<Access>,
    activity: Activity,
    gates: Arc<Gates>,
    /// The host of the public URL: the realm of challenges.
    realm: String,
    /// Questions of proxies that were allowed before the router.
    allowed: metrics::Counter,
}

impl Gate {
    /// The doors to these gates.
    pub fn new(engine: &Engine, gates: &Arc<Gates>) -> Arc<Self> {
        let url = engine.access.public_url.parse::<::http::Uri>().ok();
        let realm = url.and_then(|url| url.host().map(str::to_owned)).unwrap_or_default();
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            activity: engine.activity.clone(),
            gates: Arc::clone(gates),
            realm,
            allowed: metrics::counter!("hoody_gate_answers_total", "door" => "gate", "answer" => "allowed"),
        })
    }

    /// The host of the public URL, as challenges name it.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    fn server(&self) -> Server<'_> {
        let Access { public_url, trusted_proxies, .. } = &*self.access;
        Server { issuer: public_url, realm: &self.realm, trusted: trusted_proxies }
    }
}

impl Lends for Gate {
    fn access(&self) -> &Access {
        &self.access
    }
}

/// The endpoints that check credentials and explain decisions.
pub fn routes() -> OpenApiRouter<Arc<Gate>> {
    OpenApiRouter::new()
        .routes(routes!(http::check))
        .routes(routes!(explain::explain_decision))
        .routes(routes!(verify::verify_credentials))
}
