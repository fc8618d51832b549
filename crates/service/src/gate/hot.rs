//! The question that is asked most, answered before the router: a good credential that is in the cache.
//!
//! The rules are the router's, by the same functions: where a request comes from, which realm its host
//! names, which credential it has, [`decide`]. Whatever is not plain, not known here or not allowed is
//! left to the router, which reads it again and says what is wrong. So this can be slower to answer, never
//! different.

use std::sync::Arc;

use hoody_core::grant::{Attempt, Credential, Rule, decide};
use hoody_core::permissions::AnyPermission;
use http::header::USER_AGENT;
use http::{Method, StatusCode};

use hoody_engine::activity::{Activity, Queue, What};
use hoody_engine::catalogue::catalogue;
use hoody_engine::engine::Engine;
use hoody_engine::web::Access;
use hoody_engine::web::caller::{Head, Origin, credential, origin};
use hoody_engine::web::layers::FastPath;

/// The path of [`super::http::check`].
const PATH: &str = "/api/v1/auth/check";

/// Answers checks before the router.
#[derive(Debug)]
pub struct HotChecks {
    access: Arc<Access>,
    activity: Activity,
}

impl HotChecks {
    pub fn new(engine: &Engine) -> Self {
        Self { access: Arc::clone(&engine.access), activity: engine.activity.clone() }
    }
}

/// The leaf that `path` names, if this node knows: hoody's first, which takes no look at the operator's.
fn find(access: &Access, began: i64, path: &str) -> Option<AnyPermission> {
    if let Some(leaf) = catalogue().leaf(path) {
        return Some(leaf.into());
    }
    access.grants.ask_own(began / 1_000, |own| own.find(path).map(|found| found.leaf.id.into()))?
}

impl FastPath for HotChecks {
    /// Whether the request is a check of a credential that is in the cache and may do what it asks: 204. Anything
    /// else is for the router, also a request that would have to wait for the request log. Waits for nothing but the
    /// few instructions that leave a row there, and allocates nothing.
    fn is_allowed(&self, head: Head<'_>, method: &Method) -> bool {
        // Who reads the log at debug wants a line for each request, which the router's way writes.
        if head.uri.path() != PATH
            || *method != Method::GET
            || tracing::enabled!(tracing::Level::DEBUG)
            || self.activity.queue.as_ref().is_some_and(Queue::makes_wait)
        {
            return false;
        }
        let access = &*self.access;
        let began = access.clock.boot_micros();
        let permission = match head.uri.query() {
            None => None,
            // A leaf's path has nothing that needs decoding: what is encoded is not found, and not refused here.
            Some(query) => match query.strip_prefix("permission=").and_then(|path| find(access, began, path))
            {
                None => return false,
                found => found,
            },
        };
        let Ok(Origin { address, realm }) = origin(head, access) else { return false };
        let Ok(text) = credential(head) else { return false };
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
        let Some(Some((account, credential))) = judged else { return false };
        let Some(queue) = &self.activity.queue else { return true };
        queue.try_record(&What {
            account,
            credential: Some(credential),
            realm,
            address,
            permission,
            method,
            status: StatusCode::NO_CONTENT.as_u16(),
            reason: None,
            path: PATH,
            agent: head.headers.get(USER_AGENT).map(http::HeaderValue::as_bytes),
            at: now,
            micros: (access.clock.boot_micros() - began).unsigned_abs(),
        })
    }
}
