//! Containers behind hoody's permissions: rows, jobs and terminals here, an existing engine that runs them.
//!
//! Rows are what people see, the engine is what runs. [`wing`] plugs into the service: its endpoints, its terminals'
//! hosts, its loops and its sealed column.

pub mod access;
pub mod body;
pub mod environment;
pub mod execute;
pub mod http;
pub mod model;
pub mod proxy;
pub mod reconcile;
pub mod runtime;
pub mod snapshots;
pub mod state;
pub mod stats;
pub mod store;
pub mod terminal;
pub mod unsupported;
pub mod worker;

use std::sync::Arc;
use std::time::Duration;

use hoody_engine::keys::sealed::Sealed;
use hoody_engine::tasks::{Need, Tasks};
use hoody_engine::web::layers::Branch;
use hoody_service::wing::{Maker, Wing};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use state::{Containers, Settings};

/// How often rows and engine are compared.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(10);

/// Makes the wing of containers.
#[must_use]
pub fn wing(settings: Settings) -> Maker {
    Arc::new(move |engine| {
        let wing: Arc<dyn Wing> = Containers::new(engine, settings.clone());
        Ok(wing)
    })
}

/// The endpoints of containers, for the document.
#[must_use]
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<Arc<Containers>> {
    OpenApiRouter::new()
        .routes(routes!(http::create_container, http::list_project_containers))
        .routes(routes!(http::list_containers))
        .routes(routes!(http::get_container, http::update_container, http::delete_container))
        .routes(routes!(http::start_container, http::start_container_by_get))
        .routes(routes!(http::stop_container))
        .routes(routes!(http::force_stop_container))
        .routes(routes!(http::restart_container))
        .routes(routes!(terminal::execute_in_container))
        .routes(routes!(stats::get_container_stats))
        .routes(routes!(environment::get_container_env, environment::set_container_env))
        .routes(routes!(environment::set_container_variable, environment::delete_container_variable))
        .routes(routes!(snapshots::list_snapshots, snapshots::create_snapshot))
        .routes(routes!(snapshots::restore_snapshot, snapshots::delete_snapshot))
        .routes(routes!(snapshots::rename_snapshot))
        .routes(routes!(proxy::set_project_proxy_default))
        .routes(routes!(proxy::set_container_proxy_default))
        .routes(routes!(unsupported::pause_container))
        .routes(routes!(unsupported::resume_container))
        .routes(routes!(unsupported::copy_container))
        .routes(routes!(unsupported::sync_container))
        .routes(routes!(unsupported::set_container_kvm))
        .routes(routes!(
            unsupported::get_container_network,
            unsupported::set_container_network,
            unsupported::delete_container_network
        ))
        .routes(routes!(unsupported::start_container_network))
        .routes(routes!(unsupported::stop_container_network))
        .routes(routes!(unsupported::list_container_status_logs))
}

impl Wing for Containers {
    fn routes(self: Arc<Self>) -> OpenApiRouter {
        routes().with_state(self)
    }

    fn branches(self: Arc<Self>) -> Vec<Box<dyn Branch>> {
        vec![Box::new(terminal::Terminals::new(&self))]
    }

    fn start(self: Arc<Self>, tasks: &Tasks) {
        // Without an engine nothing runs beside the requests.
        let Some(runtime) = self.runtime.clone() else { return };
        // One of the few names of this process's life.
        let lease: &'static str =
            Box::leak(format!("containers/{}", self.settings.server.name()).into_boxed_str());
        let (state, working) = (Arc::clone(&self), runtime.clone());
        tasks.supervise("containers", Need::Useful, move || {
            worker::run(Arc::clone(&state), working.clone(), lease)
        });
        tasks.every("containers-reconcile", RECONCILE_INTERVAL, move || {
            reconcile::run(Arc::clone(&self), runtime.clone(), lease)
        });
    }

    fn sealed(&self) -> Vec<&'static Sealed> {
        store::SEALED.iter().collect()
    }
}
