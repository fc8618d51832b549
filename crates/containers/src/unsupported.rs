//! Routes of the published API that this server answers with `NOT_SUPPORTED`, after the permission.

use std::sync::Arc;

use axum::extract::State;

use hoody_core::id::{ContainerId, noun};
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::web::caller::{AnyCaller, needs};
use hoody_engine::web::envelope::Done;
use hoody_engine::web::{Answer, Caller, IdPath};

use crate::access::find_visible;
use crate::http::{ContainersCreate, ContainersStart, ContainersStop, ContainersUpdate};
use crate::state::Containers;

needs! {
    /// Reading what happened to a container.
    ContainersLogs { LEAF = "containers.actions.logs" }
    /// Virtual machines.
    ContainersKvm { LEAF = "containers.features.kvm" }
    /// Networks.
    ContainersNetwork { LEAF = "containers.features.networking" }
}

async fn refuse(
    state: &Containers,
    caller: &AnyCaller,
    id: ContainerId,
    message: &'static str,
) -> Result<Answer<()>, Error> {
    find_visible(&state.db, caller, id).await?;
    Err(Error::Refused { code: "NOT_SUPPORTED", message })
}

macro_rules! unsupported {
    ($($(#[doc = $doc:literal])* ($($method:ident),+) $path:literal $name:ident $needs:ident $message:literal;)*) => { $(
        $(#[doc = $doc])*
        #[utoipa::path(method($($method),+), path = $path, operation_id = stringify!($name), tag = "containers",
            params(("id" = ContainerId, Path)), security(("bearer" = [])),
            responses((status = 200, body = Done), (status = 400, body = wire::ErrorBody),
            (status = 404, body = wire::ErrorBody)))]
        pub async fn $name(
            State(state): State<Arc<Containers>>,
            caller: Caller<$needs>,
            IdPath(id): IdPath<noun::Container>,
        ) -> Result<Answer<()>, Error> {
            refuse(&state, &caller, id, $message).await
        }
    )* };
}

unsupported! {
    /// Not supported
    (post) "/api/v1/containers/{id}/pause" pause_container ContainersStop
        "Containers cannot be paused on this server: stop it instead";
    /// Not supported
    (post) "/api/v1/containers/{id}/resume" resume_container ContainersStart
        "Containers cannot be paused on this server: start it instead";
    /// Not supported
    (post) "/api/v1/containers/{id}/copy" copy_container ContainersCreate
        "Containers cannot be copied on this server: create another one";
    /// Not supported
    (post) "/api/v1/containers/{id}/sync" sync_container ContainersUpdate
        "Containers cannot be copied on this server, so none can be synced";
    /// Not supported
    (put, patch) "/api/v1/containers/{id}/kvm" set_container_kvm ContainersKvm
        "This server has no virtual machines";
    /// Not supported
    (get) "/api/v1/containers/{id}/network" get_container_network ContainersNetwork
        "The operator chooses the network of all containers";
    /// Not supported
    (put) "/api/v1/containers/{id}/network" set_container_network ContainersNetwork
        "The operator chooses the network of all containers";
    /// Not supported
    (delete) "/api/v1/containers/{id}/network" delete_container_network ContainersNetwork
        "The operator chooses the network of all containers";
    /// Not supported
    (post) "/api/v1/containers/{id}/network/start" start_container_network ContainersNetwork
        "The operator chooses the network of all containers";
    /// Not supported
    (post) "/api/v1/containers/{id}/network/stop" stop_container_network ContainersNetwork
        "The operator chooses the network of all containers";
    /// Not supported
    (get) "/api/v1/containers/{id}/status-logs" list_container_status_logs ContainersLogs
        "There is no log of statuses: list the events of the container instead";
}
