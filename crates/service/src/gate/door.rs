//! `/gate/auth`: what nginx, HAProxy, Traefik, Caddy and Envoy ask before they let a request through.
//!
//! It is no route of the API: it takes any method, reads no Host header, and answers exactly 200, or 400 and above.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hoody_core::activity::Via;
use hoody_doors::answer::refused;
use hoody_doors::ask::Asked;
use hoody_doors::refusal::Refusal;
use hoody_engine::error::Error;
use hoody_engine::web::caller::Head;
use hoody_engine::web::layers::Branch;
use http::{HeaderMap, Request};

use super::Gate;
use super::judge::Judging;

/// Where proxies ask.
pub(super) const PATH: &str = "/gate/auth";
/// What is below here is no route of the API.
const BELOW: &str = "/gate/";

/// Answers proxies in place of the router.
#[derive(Debug)]
pub struct Door(Arc<Gate>);

impl Door {
    /// The door of these gates.
    #[must_use]
    pub fn new(gate: &Arc<Gate>) -> Self {
        Self(Arc::clone(gate))
    }
}

impl Branch for Door {
    fn takes(&self, request: &Request<Body>) -> bool {
        request.uri().path().starts_with(BELOW)
    }

    fn answer(&self, request: Request<Body>) -> BoxFuture<'static, Response> {
        let gate = Arc::clone(&self.0);
        async move {
            if request.uri().path() != PATH {
                let message = "There is no such route; proxies ask /gate/auth";
                return Error::NotFound { code: "RESOURCE_NOT_FOUND", message }.into_response();
            }
            match Head::of_request(&request) {
                Ok(head) => gate.answer(head.peer, head.headers, head.uri.query()).await,
                Err(error) => error.into_response(),
            }
        }
        .boxed()
    }
}

impl Gate {
    /// The answer to a proxy.
    async fn answer(&self, peer: IpAddr, headers: &HeaderMap, query: Option<&str>) -> Response {
        let began = self.access.clock.boot_micros();
        let unavailable = || {
            let has_body = Asked::of_query(query).map_or(true, |asked| asked.body);
            refused(&Refusal::Unavailable, &self.realm, None, has_body)
        };
        let Ok(own) = self.access.own_catalogue().await else { return unavailable().map(Body::from) };
        let judging = Judging::new(self, Via::Gate, own, began);
        let response = hoody_doors::door::answer(&judging, self.server(), peer, headers, query).await;
        if let Some(answer) = judging.answer() {
            metrics::counter!("hoody_gate_answers_total", "door" => "gate", "answer" => answer).increment(1);
        }
        let response = if self.log(judging).await { response } else { unavailable() };
        response.map(Body::from)
    }

    /// Leaves the row of a question in the request log; false where it must be there before the answer, and is not.
    pub(super) async fn log(&self, judging: Judging<'_>) -> bool {
        let (Some(queue), Some(row)) = (&self.activity.queue, judging.into_row()) else { return true };
        queue.record(&row.what()).await.is_ok()
    }
}
