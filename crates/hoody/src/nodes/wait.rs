//! `?wait=all`: a change is answered when it is in force on every node.
//!
//! Every node that is alive is asked to say when it has applied the change. That takes one poll of the
//! feed, about 50 ms. A node that does not say so within a second is cut off from the database, and has by
//! then refused for 200 ms to answer from what it knew: the change is in force there too.

use std::cell::Cell;
use std::time::Duration;

use axum::response::Response;
use hoody_core::invalid::Invalid;
use hoody_core::time::Timestamp;
use http::{Method, StatusCode, Uri};
use tokio::time::Instant;

use super::{ALIVE_FOR, store};
use crate::app::App;
use crate::error::Error;
use crate::http::caller::Visit;
use crate::tasks;

/// After this every node has applied a change, or refuses.
const LIMIT: Duration = Duration::from_secs(1);
/// How often the others' positions are read.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

tokio::task_local! {
    /// The last position that this request committed at.
    static COMMITTED: Cell<i64>;
}

/// A request committed at `pos`: remembered if it waits.
pub(crate) fn note(pos: i64) {
    let _ = COMMITTED.try_with(|committed| committed.set(pos));
}

/// Whether a request that may change something asks to wait.
///
/// # Errors
/// 400 when it asks for something else than `all`.
pub(crate) fn is_asked(method: &Method, uri: &Uri) -> Result<bool, Error> {
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
pub(crate) async fn everywhere(
    app: &App,
    visit: &Visit,
    request: impl Future<Output = Response>,
) -> Response {
    let answered = async {
        let answer = request.await;
        (answer, COMMITTED.with(Cell::get))
    };
    let (answer, pos) = COMMITTED.scope(Cell::new(0), answered).await;
    let is_as_asked = answer.status().is_success() || answer.status() == StatusCode::NOT_FOUND;
    if pos > 0 || is_as_asked && visit.who().is_some() {
        let began = Instant::now();
        if tokio::time::timeout(LIMIT, applied(app, pos)).await.is_err() {
            tracing::warn!(pos, "some node did not say in time that it applied a change; it refuses by now");
        }
        metrics::histogram!("hoody_wait_all_seconds").record(began.elapsed().as_secs_f64());
    }
    answer
}

/// Waits for `pos`; where that is 0, for everything up to now.
async fn applied(app: &App, mut pos: i64) {
    while pos == 0 {
        match app.db.head().await {
            Ok(head) if head.pos == 0 => return,
            Ok(head) => pos = head.pos,
            Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
        }
    }
    if is_applied(app, pos).await {
        return;
    }
    if let Err(error) = store::ask_for(&app.db, pos).await {
        tracing::warn!(%error, "the other nodes could not be asked how far they are");
    }
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        if is_applied(app, pos).await {
            return;
        }
    }
}

async fn is_applied(app: &App, pos: i64) -> bool {
    let alive_since = Timestamp::from_millis(app.now().millis() - ALIVE_FOR);
    let behind = store::count_behind(&app.db, pos, alive_since, app.nodes.id()).await;
    behind.is_ok_and(|behind| behind == 0)
}

/// Says at once what this node has applied, if somebody waits for that.
pub(crate) fn answer(app: &std::sync::Arc<App>, awaited: i64, applied: i64) {
    if !app.nodes.is_asked(awaited, applied) {
        return;
    }
    app.nodes.recorded.store(applied, std::sync::atomic::Ordering::SeqCst);
    let app = std::sync::Arc::clone(app);
    // Beside the poll: the next one must not wait for this.
    tasks::once("applied", async move {
        if let Err(error) = store::set_applied(&app.db, app.nodes.id, applied, app.now()).await {
            tracing::warn!(%error, "this node could not say how far it is");
        }
    });
}
