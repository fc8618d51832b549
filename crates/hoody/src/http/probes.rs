//! `/livez`: the process answers. `/readyz`: it can also decide and write: the database and the feed are there.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::Shared;

/// What is said while this node does not sign the audit log.
const UNSEALED: &str = "the audit log is not sealed: it is not the one that was signed. The log of the server and \
     `hoody audit verify` say more";

/// Is the process alive?
#[utoipa::path(get, path = "/livez", operation_id = "livez", tag = "probes",
    responses((status = 200, description = "The process answers")))]
pub(crate) async fn livez() -> Response {
    StatusCode::OK.into_response()
}

/// Can this node decide? 503 without the database, writes, the feed, the keys or a vital background task.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "probes", responses(
    (status = 200, description = "Database and feed are in reach; `warnings` lists what the operator should fix"),
    (status = 503, description = "Not now")))]
pub(crate) async fn readyz(State(app): State<Shared>) -> Response {
    let is_fresh = app.grants.is_fresh(app.clock.boot_millis());
    // As the feed's tail found it, within a poll's time: anyone may ask here, so nothing is read for it.
    let is_reachable = app.tail.is_reachable();
    // As the last writes found it; a node that cannot write cannot revoke.
    let can_write = app.db.health().can_write() && app.activity.db.health().can_write();
    let is_whole = [&app.db, &app.tail_db, &app.activity.db].iter().all(|db| db.health().is_whole());
    // Without one of the keys that the others sign with, good credentials look like garbage here.
    let has_keys = app.keys.is_whole();
    let (are_all_up, are_vital_up) = app.tasks.are_up();
    let is_ready = is_fresh && is_reachable && is_whole && can_write && has_keys && are_vital_up;
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let certificate = app.tls.as_ref().and_then(|tls| tls.warning(app.now()));
    // Not why: that names a file.
    let audit = app.audit.refusal().map(|_| UNSEALED.to_owned());
    let warnings = app.exposure_warning.map(str::to_owned).into_iter();
    let warnings: Vec<_> = warnings.chain(certificate).chain(app.tasks.warnings()).chain(audit).collect();
    let body = json!({
        "ready": is_ready, "database": is_reachable && is_whole, "writes": can_write, "feed": is_fresh,
        "keys": has_keys, "tasks": are_all_up, "warnings": warnings
    });
    (status, axum::Json(body)).into_response()
}
