//! The endpoints of a container's environment (`contract/containers.md`, 5). It goes with each command, not into the
//! container: a change holds from the next command on, and no image has it.

use std::sync::Arc;

use axum::extract::State;

use hoody_core::container;
use hoody_core::id::{ContainerId, noun};
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::web::{Answer, Caller, IdPath, JsonBody};

use crate::access::{NamedPath, find_visible};
use crate::body::{parse_environment, parse_variable};
use crate::http::{ContainersRead, ContainersUpdate, write_environment};
use crate::model::Environment;
use crate::state::Containers;

/// A container's environment
#[utoipa::path(get, path = "/api/v1/containers/{id}/env", operation_id = "get_container_env",
    tag = "containers", params(("id" = ContainerId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::ContainerEnvironment>),
    (status = 404, body = wire::ErrorBody)))]
pub async fn get_container_env(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersRead>,
    IdPath(id): IdPath<noun::Container>,
) -> Result<Answer<wire::ContainerEnvironment>, Error> {
    let (container, _) = find_visible(&state.db, &caller, id).await?;
    let environment_vars = container.open_environment(&state.keys)?;
    let data = wire::ContainerEnvironment { environment_vars, synced: None };
    Ok(Answer::ok("Environment variables retrieved successfully", data))
}

/// Sets variables; those that are not named keep their values
#[utoipa::path(method(put, patch), path = "/api/v1/containers/{id}/env", operation_id = "set_container_env",
    tag = "containers", params(("id" = ContainerId, Path)), request_body = wire::SetEnvironment,
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::ContainerEnvironment>),
    (status = 400, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody)))]
pub async fn set_container_env(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersUpdate>,
    IdPath(id): IdPath<noun::Container>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::ContainerEnvironment>, Error> {
    let given = parse_environment(&body)?;
    let written = write_environment(&state, &caller, id, |known| known.extend(given)).await?;
    Ok(changed(written))
}

/// Sets one variable
#[utoipa::path(method(put, patch), path = "/api/v1/containers/{id}/env/{key}",
    operation_id = "set_container_variable", tag = "containers", params(("id" = ContainerId, Path),
    ("key" = String, Path)), request_body = wire::SetVariable, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::ContainerEnvironment>),
    (status = 400, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody)))]
pub async fn set_container_variable(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersUpdate>,
    NamedPath(id, key): NamedPath,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::ContainerEnvironment>, Error> {
    container::variable(&key)?;
    let value = parse_variable(&key, &body)?;
    let written = write_environment(&state, &caller, id, |known| drop(known.insert(key, value))).await?;
    Ok(changed(written))
}

/// Removes one variable; one that is not set counts as removed
#[utoipa::path(delete, path = "/api/v1/containers/{id}/env/{key}", operation_id = "delete_container_variable",
    tag = "containers", params(("id" = ContainerId, Path), ("key" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::ContainerEnvironment>),
    (status = 404, body = wire::ErrorBody)))]
pub async fn delete_container_variable(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersUpdate>,
    NamedPath(id, key): NamedPath,
) -> Result<Answer<wire::ContainerEnvironment>, Error> {
    let written = write_environment(&state, &caller, id, |known| drop(known.remove(&key))).await?;
    Ok(changed(written))
}

fn changed(environment_vars: Environment) -> Answer<wire::ContainerEnvironment> {
    let data = wire::ContainerEnvironment { environment_vars, synced: Some(true) };
    Answer::ok("Environment variables updated successfully", data)
}
