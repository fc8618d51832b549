//! The questions that are asked most, answered before the router: about a good credential that is in the cache.
//!
//! The rules are the router's, by the same functions. Whatever is not plain, not known here or not allowed is
//! left to the router, which reads it again and says what is wrong. So this can be slower to answer, never
//! different.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use futures_util::FutureExt as _;
use hoody_core::grant::{Attempt, Credential, Rule, decide};
use hoody_core::permissions::AnyPermission;
use http::header::{HOST, USER_AGENT};
use http::{Method, StatusCode, Version};

use hoody_engine::activity::{Queue, What};
use hoody_engine::catalogue::catalogue;
use hoody_engine::web::Access;
use hoody_engine::web::caller::{Head, Origin, credential, origin};
use hoody_engine::web::layers::FastPath;

use super::judge::Judging;
use super::{Gate, door};

/// The path of [`super::http::check`].
const PATH: &str = "/api/v1/auth/check";

/// Answers checks and proxies before the router.
#[derive(Debug)]
pub struct Hot {
    gate: Arc<Gate>,
    has_api: bool,
    has_gate: bool,
}

impl Hot {
    /// Answers checks where the API is served, and proxies where the gate is.
    #[must_use]
    pub fn new(gate: &Arc<Gate>, has_api: bool, has_gate: bool) -> Self {
        Self { gate: Arc::clone(gate), has_api, has_gate }
    }
}

impl FastPath for Hot {
    /// Waits for nothing but the few instructions that leave a row in the request log. A check allocates nothing.
    fn answer(&self, head: Head<'_>, method: &Method) -> Option<Response> {
        let gate = &*self.gate;
        let path = head.uri.path();
        let (is_check, is_gate) = (self.has_api && path == PATH, self.has_gate && path == door::PATH);
        // Who reads the log at debug wants a line for each request, which the router's way writes.
        if !(is_check || is_gate)
            || tracing::enabled!(tracing::Level::DEBUG)
            || gate.activity.queue.as_ref().is_some_and(Queue::makes_wait)
        {
            return None;
        }
        if is_gate { gate.answer_hot(head) } else { gate.check_hot(head, method) }
    }
}

/// The leaf that `path` names, if this node knows: hoody's first, which takes no look at the operator's.
fn find(access: &Access, began: i64, path: &str) -> Option<AnyPermission> {
    if let Some(leaf) = catalogue().leaf(path) {
        return Some(leaf.into());
    }
    access.grants.ask_own(began / 1_000, |own| own.find(path).map(|found| found.leaf.id.into()))?
}

impl Gate {
    /// 204 where the request is a check of a credential that is in the cache and may do what it asks.
    fn check_hot(&self, head: Head<'_>, method: &Method) -> Option<Response> {
        if *method != Method::GET {
            return None;
        }
        let access = &*self.access;
        let began = access.clock.boot_micros();
        let permission = match head.uri.query() {
            None => None,
            // A leaf's path has nothing that needs decoding: what is encoded is not found, and not refused here.
            Some(query) => Some(find(access, began, query.strip_prefix("permission=")?)?),
        };
        let Origin { address, realm } = origin(head, access).ok()?;
        let text = credential(head).ok()?;
        let rule = Rule { permission, ..Rule::ANY };
        let attempt = Attempt { address, realm, rule };
        let now = access.now();
        let judged = access.grants.judge_cached(text, &access.keys, began / 1_000, |cached| {
            decide(&cached.grant, &attempt, now).ok()?;
            if let Credential::Token(id) = cached.grant.credential {
                access.recorder.note(&cached.usage, id, now, address);
            }
            Some((cached.grant.account, cached.grant.credential))
        });
        let (account, credential) = judged??;
        if let Some(queue) = &self.activity.queue {
            let is_left = queue.try_record(&What {
                account,
                credential: Some(credential),
                realm,
                address,
                permission,
                method: "GET",
                status: StatusCode::NO_CONTENT.as_u16(),
                reason: None,
                path: PATH,
                agent: head.headers.get(USER_AGENT).map(http::HeaderValue::as_bytes),
                gate: None,
                at: now,
                micros: (access.clock.boot_micros() - began).unsigned_abs(),
            });
            if !is_left {
                return None;
            }
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Some(response)
    }

    /// 200 where a proxy asks about a request that comes in by what this node knows.
    fn answer_hot(&self, head: Head<'_>) -> Option<Response> {
        if head.version == Version::HTTP_11 && !head.headers.contains_key(HOST) {
            return None;
        }
        let judging = Judging::hot(self, self.access.clock.boot_micros());
        let answer =
            hoody_doors::door::answer(&judging, self.server(), head.peer, head.headers, head.uri.query());
        // Nothing is waited for, so the answer is there at once, or there is none.
        let response = answer.now_or_never()?;
        if judging.has_missed() || response.status() != StatusCode::OK {
            return None;
        }
        self.allowed.increment(1);
        Some(response.map(|_| Body::empty()))
    }
}
