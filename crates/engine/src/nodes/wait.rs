//! `?wait=all`: a change is answered when it is in force on every node, or when that is all that can be known.
//!
//! Every node that is alive is asked to say when it has applied the change. That takes one poll of the
//! feed, about 50 ms. A node that does not say so in time has by then refused for 100 ms to answer from what it
//! knew, if its last word was that a primary answers its polls: the change is in force there too. Of any other
//! node nothing is known. `X-Hoody-Applied` says how many there are of each.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::Response;
use hoody_core::invalid::Invalid;
use hoody_core::time::Timestamp;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use tokio::time::Instant;

use super::{ALIVE_FOR, Nodes, store};
use crate::error::Error;
use crate::feed::outcome;
use crate::tasks;

/// After this every node whose polls a primary answered has applied a change, or refuses. The answer is there
/// within a second.
const LIMIT: Duration = Duration::from_millis(900);
/// How often the others' positions are read.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// `nodes=3; confirmed=2; at=…`, and `unknown=…` where that is not 0.
const APPLIED: HeaderName = HeaderName::from_static("x-hoody-applied");

/// What is known of a change on the other nodes that are alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) nodes: i64,
    /// So many said that they applied it.
    pub(super) confirmed: i64,
    /// Of so many it is not known that they refuse when they are silent.
    pub(super) unknown: i64,
}

/// Whether a request that may change something asks to wait.
///
/// # Errors
/// 400 when it asks for something else than `all`.
pub fn is_asked(method: &Method, uri: &Uri) -> Result<bool, Error> {
    let Some(query) = uri.query().filter(|query| query.contains("wait=") && *method != Method::GET) else {
        return Ok(false);
    };
    let given = query.split('&').find_map(|pair| pair.strip_prefix("wait="));
    match given {
        None => Ok(false),
        Some("all") => Ok(true),
        Some(_) => Err(Invalid::rule("INVALID_PARAMETER_VALUE", "wait must be all").into()),
    }
}

/// Runs `request` and, when it changed something, waits until that is in force on every node. When somebody
/// was let in and all was already as it should be, waits for what made it so: who did not hear the first
/// answer asks again.
///
/// `is_known` tells, once `request` is answered, whether it came with a credential that was recognised.
pub async fn everywhere(
    nodes: &Nodes,
    is_known: impl FnOnce() -> bool,
    request: impl Future<Output = Response>,
) -> Response {
    let (mut answer, pos) = outcome::committed(request).await;
    let is_as_asked = answer.status().is_success() || answer.status() == StatusCode::NOT_FOUND;
    if pos > 0 || is_as_asked && is_known() {
        let told = reached(nodes, pos).await.to_string();
        if let Ok(told) = HeaderValue::from_str(&told) {
            answer.headers_mut().insert(APPLIED, told);
        }
    }
    answer
}

/// Runs `work`, and waits until what it changed is in force on every node, or what is known of that after
/// `LIMIT`. When it changed nothing, waits for what was changed before.
pub async fn until_applied<T>(nodes: &Nodes, work: impl Future<Output = T>) -> (T, Applied) {
    let (done, pos) = outcome::committed(work).await;
    (done, reached(nodes, pos).await)
}

/// How far the position `pos` got.
async fn reached(nodes: &Nodes, pos: i64) -> Applied {
    let began = Instant::now();
    let seen = Mutex::new(None);
    let is_everywhere = tokio::time::timeout(LIMIT, applied(nodes, pos, &seen)).await.is_ok();
    metrics::histogram!("hoody_wait_all_seconds").record(began.elapsed().as_secs_f64());
    let applied = Applied::of(*lock(&seen), is_everywhere, nodes.0.clock.now());
    if !is_everywhere {
        let told = applied.to_string();
        tracing::warn!(pos, told, "some node did not say in time that it applied a change");
    }
    applied
}

/// On how many of the nodes that are alive a change is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// This one and all others that are alive.
    pub nodes: i64,
    /// So many said that they applied it.
    pub confirmed: i64,
    /// Of so many it is not known that they refuse when they are silent.
    pub unknown: i64,
    /// When that was known.
    pub at: Timestamp,
}

impl Applied {
    /// Where nothing could be learned, one node at least is not known.
    fn of(seen: Option<Standing>, is_everywhere: bool, at: Timestamp) -> Self {
        let Standing { nodes, confirmed, unknown } =
            seen.unwrap_or(Standing { nodes: 0, confirmed: 0, unknown: i64::from(!is_everywhere) });
        let unknown = if is_everywhere { 0 } else { unknown };
        Self { nodes: nodes + 1, confirmed: confirmed + 1, unknown, at }
    }
}

impl std::fmt::Display for Applied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "nodes={}; confirmed={}; at={}", self.nodes, self.confirmed, self.at)?;
        if self.unknown == 0 { Ok(()) } else { write!(f, "; unknown={}", self.unknown) }
    }
}

fn lock(seen: &Mutex<Option<Standing>>) -> MutexGuard<'_, Option<Standing>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for `pos`; where that is 0, for everything up to now.
async fn applied(nodes: &Nodes, mut pos: i64, seen: &Mutex<Option<Standing>>) {
    while pos == 0 {
        // Here too: what made it so may be another node's change.
        match nodes.0.feed.poll().await {
            Ok(()) => pos = nodes.0.feed.applied(),
            Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
        }
        if pos == 0 && nodes.0.feed.applied() == 0 && nodes.0.feed.is_reachable() {
            return;
        }
    }
    if is_applied(nodes, pos, seen).await {
        return;
    }
    if let Err(error) = store::ask_for(&nodes.0.db, pos).await {
        tracing::warn!(%error, "the other nodes could not be asked how far they are");
    }
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        if is_applied(nodes, pos, seen).await {
            return;
        }
    }
}

async fn is_applied(nodes: &Nodes, pos: i64, seen: &Mutex<Option<Standing>>) -> bool {
    let alive_since = Timestamp::from_millis(nodes.0.clock.now().millis() - ALIVE_FOR);
    let standing = store::find_standing(&nodes.0.db, pos, alive_since, nodes.id()).await;
    let Ok(standing) = standing else { return false };
    *lock(seen) = Some(standing);
    standing.confirmed == standing.nodes
}

/// Says at once what this node has applied, if somebody waits for that.
pub(super) fn answer(nodes: &Nodes, awaited: i64, applied: i64) {
    let this = &nodes.0.this;
    if !this.is_asked(awaited, applied) {
        return;
    }
    this.recorded.store(applied, std::sync::atomic::Ordering::SeqCst);
    let (nodes, confirmed_at) = (nodes.clone(), nodes.0.feed.confirmed_at());
    // Beside the poll: the next one must not wait for this.
    tasks::once("applied", async move {
        let now = nodes.0.clock.now();
        if let Err(error) = store::set_applied(&nodes.0.db, nodes.id(), applied, now, confirmed_at).await {
            tracing::warn!(%error, "this node could not say how far it is");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_no_more_than_is_known() {
        let at = Timestamp::from_millis(1_772_442_942_118);
        let tell = |seen, is_everywhere| Applied::of(seen, is_everywhere, at).to_string();
        let seen = |nodes, confirmed, unknown| Some(Standing { nodes, confirmed, unknown });
        let at = "at=2026-03-02T09:15:42.118Z";
        assert_eq!(tell(seen(2, 2, 0), true), format!("nodes=3; confirmed=3; {at}"));
        assert_eq!(tell(seen(2, 1, 0), false), format!("nodes=3; confirmed=2; {at}"));
        assert_eq!(tell(seen(2, 1, 1), false), format!("nodes=3; confirmed=2; {at}; unknown=1"));
        assert_eq!(tell(None, true), format!("nodes=1; confirmed=1; {at}"));
        assert_eq!(tell(None, false), format!("nodes=1; confirmed=1; {at}; unknown=1"));
    }
}
