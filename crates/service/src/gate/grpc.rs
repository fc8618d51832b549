//! Envoy's ext_authz over gRPC: the same questions and decisions as `/gate/auth`, on a listener of its own.

use std::sync::Arc;
use std::time::Duration;

use hoody_core::activity::Via;
pub use hoody_doors::grpc::MAX_STREAMS;
use hoody_doors::grpc::{self, Frames, unavailable};
use http::{Request, Response};
use http_body::Body;

use super::Gate;
use super::judge::Judging;

/// How long a call may take, its message included.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// What is asked of the server itself is answered whatever the database does.
const HEALTH: &str = "/grpc.health.v1.Health/";

impl Gate {
    /// Answers one call. The listener lets in only peers that may ask.
    pub async fn call<B>(self: Arc<Self>, request: Request<B>) -> Response<Frames>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let answer = tokio::time::timeout(TIME_LIMIT, self.answer_call(request)).await;
        answer.unwrap_or_else(|_| unavailable())
    }

    async fn answer_call<B>(&self, request: Request<B>) -> Response<Frames>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let access = &*self.access;
        let began = access.clock.boot_micros();
        let own = match access.own_catalogue().await {
            Ok(own) => own,
            Err(_) if request.uri().path().starts_with(HEALTH) => access.grants.own_last(),
            Err(_) => return unavailable(),
        };
        let judging = Judging::new(self, Via::ExtAuthz, own, began);
        let server = grpc::Server {
            issuer: &access.public_url,
            realm: &self.realm,
            is_serving: access.grants.is_fresh(access.clock.boot_millis()),
        };
        let response = grpc::answer(&judging, server, request).await;
        let answer = judging.answer();
        if let Some(answer) = answer {
            metrics::counter!("hoody_gate_answers_total", "door" => "ext_authz", "answer" => answer)
                .increment(1);
        }
        if self.log(judging).await { response } else { unavailable() }
    }
}
