//! Whether terminals answer without a credential: a default of the project, and one of each container before it.

use std::sync::Arc;

use axum::extract::State;

use hoody_core::id::{ContainerId, ProjectId, noun};
use hoody_core::wire::{self, PermissionLevel};
use hoody_engine::error::Error;
use hoody_engine::feed::Change;
use hoody_engine::web::caller::needs;
use hoody_engine::web::{Answer, Caller, IdPath, JsonBody};
use serde_json::json;

use crate::access::{begin_on, begin_on_project};
use crate::body::parse_proxy;
use crate::state::Containers;
use crate::store;

needs! {
    /// Opening terminals to everyone who has their URLs.
    ProxyWrite { LEAF = "resources.proxy_aliases" }
}

/// Opens or closes the terminals of a project's containers
#[utoipa::path(method(put, patch), path = "/api/v1/projects/{id}/proxy/permissions/default",
    operation_id = "set_project_proxy_default", tag = "containers", params(("id" = ProjectId, Path)),
    request_body = wire::ProxyDefault, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::ProxyDefault>),
    (status = 403, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody)))]
pub async fn set_project_proxy_default(
    State(state): State<Arc<Containers>>,
    caller: Caller<ProxyWrite>,
    IdPath(id): IdPath<noun::Project>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::ProxyDefault>, Error> {
    let is_open = parse_proxy(&body)?;
    let (mut mutation, _, project) = begin_on_project(&state, &caller, id, PermissionLevel::Edit).await?;
    store::set_project_proxy(&mut mutation.tx, id, is_open, mutation.now).await?;
    let change = Change::new("project.updated", project.owner, "project", id).in_realms(&project.realm_ids);
    let access = store::proxy_word(is_open).to_owned();
    mutation.tell(change.with(json!({ "alias": project.alias, "proxy_default": access })));
    mutation.commit().await?;
    Ok(Answer::ok("Proxy permissions updated successfully", wire::ProxyDefault { access }))
}

/// Opens or closes a container's terminals
#[utoipa::path(method(put, patch), path = "/api/v1/containers/{id}/proxy/permissions/default",
    operation_id = "set_container_proxy_default", tag = "containers", params(("id" = ContainerId, Path)),
    request_body = wire::ProxyDefault, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::ProxyDefault>),
    (status = 403, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody)))]
pub async fn set_container_proxy_default(
    State(state): State<Arc<Containers>>,
    caller: Caller<ProxyWrite>,
    IdPath(id): IdPath<noun::Container>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::ProxyDefault>, Error> {
    let is_open = parse_proxy(&body)?;
    let (mut mutation, container) = begin_on(&state, &caller, id, PermissionLevel::Edit).await?;
    store::set_proxy(&mut mutation.tx, id, is_open, mutation.now).await?;
    mutation.tell(container.told("container.updated"));
    mutation.commit().await?;
    let access = store::proxy_word(is_open).to_owned();
    Ok(Answer::ok("Proxy permissions updated successfully", wire::ProxyDefault { access }))
}
