//! `/livez`: the process answers. `/readyz`: it can also decide and write: the database and the feed are there.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::audit::Audit;
use hoody_engine::activity::Activity;
use hoody_engine::db::Db;
use hoody_engine::engine::Engine;
use hoody_engine::feed::Feed;
use hoody_engine::tasks::Tasks;
use hoody_engine::web::tls::Tls;
use hoody_engine::web::{Access, Lends};

/// What is said while this node does not sign the audit log.
const UNSEALED: &str = "the audit log is not sealed: it is not the one that was signed. The log of the server and \
     `hoody audit verify` say more";

/// Tells whether this node is alive and ready.
#[derive(Debug)]
pub struct Probes {
    access: Arc<Access>,
    tail_db: Db,
    feed: Feed,
    activity: Activity,
    tasks: Tasks,
    /// Its certificate may have expired.
    tls: Option<Arc<Tls>>,
    exposure_warning: Option<&'static str>,
    audit: Arc<Audit>,
}

impl Probes {
    pub fn new(engine: &Engine, audit: &Arc<Audit>) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            tail_db: engine.tail_db.clone(),
            feed: engine.feed.clone(),
            activity: engine.activity.clone(),
            tasks: engine.tasks.clone(),
            tls: engine.tls.clone(),
            exposure_warning: engine.exposure_warning,
            audit: Arc::clone(audit),
        })
    }
}

impl Lends for Probes {
    fn access(&self) -> &Access {
        &self.access
    }
}

/// The endpoints `/livez` and `/readyz`.
pub fn routes() -> OpenApiRouter<Arc<Probes>> {
    OpenApiRouter::new().routes(routes!(livez)).routes(routes!(readyz))
}

/// Is the process alive?
#[utoipa::path(get, path = "/livez", operation_id = "livez", tag = "probes",
    responses((status = 200, description = "The process answers")))]
pub async fn livez() -> Response {
    StatusCode::OK.into_response()
}

/// Can this node decide? 503 without the database, writes, the feed, the keys or a vital background task.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "probes", responses(
    (status = 200, description = "Database and feed are in reach; `warnings` lists what the operator should fix"),
    (status = 503, description = "Not now")))]
pub async fn readyz(State(probes): State<Arc<Probes>>) -> Response {
    let access = &probes.access;
    let is_fresh = access.grants.is_fresh(access.clock.boot_millis());
    // As the feed's tail found it, within a poll's time: anyone may ask here, so nothing is read for it.
    let is_reachable = probes.feed.is_reachable();
    // As the last writes found it; a node that cannot write cannot revoke.
    let can_write = access.db.health().can_write() && probes.activity.db.health().can_write();
    let databases = [&access.db, &probes.tail_db, &probes.activity.db];
    let is_whole = databases.iter().all(|db| db.health().is_whole());
    // Without one of the keys that the others sign with, good credentials look like garbage here.
    let has_keys = access.keys.is_whole();
    let (are_all_up, are_vital_up) = probes.tasks.are_up();
    let is_ready = is_fresh && is_reachable && is_whole && can_write && has_keys && are_vital_up;
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let certificate = probes.tls.as_ref().and_then(|tls| tls.warning(access.now()));
    // Not why: that names a file.
    let audit = probes.audit.refusal().map(|_| UNSEALED.to_owned());
    let warnings = probes.exposure_warning.map(str::to_owned).into_iter();
    let warnings: Vec<_> = warnings.chain(certificate).chain(probes.tasks.warnings()).chain(audit).collect();
    let body = json!({
        "ready": is_ready, "database": is_reachable && is_whole, "writes": can_write, "feed": is_fresh,
        "keys": has_keys, "tasks": are_all_up, "warnings": warnings
    });
    (status, axum::Json(body)).into_response()
}
