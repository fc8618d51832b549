//! Who may reach a container: its project's owner and members, on the hosts of its realms. A container that the
//! caller does not see is 404; an act that it may not do is 403.

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

use hoody_core::grant::Grant;
use hoody_core::id::{ContainerId, ProjectId};
use hoody_core::invalid::Invalid;
use hoody_core::wire::PermissionLevel;
use hoody_engine::db::On;
use hoody_engine::error::Error;
use hoody_engine::feed::Mutation;
use hoody_engine::web::caller::AnyCaller;
use hoody_service::projects::http::forbidden;
use hoody_service::projects::{Access, Project, store as projects};

use crate::model::Container;
use crate::state::Containers;
use crate::store;

pub const NOT_FOUND: Error = Error::NotFound { code: "CONTAINER_NOT_FOUND", message: "Container not found" };
const NO_PROJECT: Error = Error::NotFound { code: "PROJECT_NOT_FOUND", message: "Project not found" };

/// The container with its project's access, if the caller sees it here.
pub async fn find_visible(
    on: impl Into<On<'_>>,
    caller: &AnyCaller,
    id: ContainerId,
) -> Result<(Container, Access), Error> {
    let mut on = on.into();
    let container = store::find(on.again(), id).await?.ok_or(NOT_FOUND)?;
    let project = projects::find_project(on, caller.account(), container.project).await?;
    let project = project.ok_or(NOT_FOUND)?;
    if !container.is_in(caller.attempt.realm) {
        return Err(NOT_FOUND);
    }
    Ok((container, project.access))
}

/// Begins a mutation of a container that the caller sees, and may change as much as `level` says. Its owner's account
/// is locked; a container never changes its owner.
pub async fn begin_on(
    state: &Containers,
    caller: &AnyCaller,
    id: ContainerId,
    level: PermissionLevel,
) -> Result<(Mutation, Container), Error> {
    let seen = store::find(&state.db, id).await?;
    let (mut mutation, _) = state.feed.begin_with(caller, seen.map(|seen| seen.owner)).await?;
    let (container, access) = find_visible(&mut mutation.tx, caller, id).await?;
    check(access, level)?;
    Ok((mutation, container))
}

/// The same for a project.
pub async fn begin_on_project(
    state: &Containers,
    caller: &AnyCaller,
    id: ProjectId,
    level: PermissionLevel,
) -> Result<(Mutation, Grant, Project), Error> {
    let seen = projects::find_project(&state.db, caller.account(), id).await?;
    let (mut mutation, grant) = state.feed.begin_with(caller, seen.map(|project| project.owner)).await?;
    let project = projects::find_project(&mut mutation.tx, caller.account(), id).await?;
    let project = project.filter(|project| project.is_in(caller.attempt.realm)).ok_or(NO_PROJECT)?;
    check(project.access, level)?;
    Ok((mutation, grant, project))
}

/// Refuses a member whose level does not include `level`.
pub fn check(access: Access, level: PermissionLevel) -> Result<(), Error> {
    if access.includes(level) {
        return Ok(());
    }
    Err(forbidden(&format!("the container's project is not shared with you to {level} it")))
}

/// The id of a container in a path, and the name after it.
#[derive(Debug)]
pub struct NamedPath(pub ContainerId, pub String);

impl<S: Send + Sync> FromRequestParts<S> for NamedPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let raw = RawPathParams::from_request_parts(parts, state).await;
        let raw = raw.map_err(|_| Invalid::rule("INVALID_ID_FORMAT", "The path is not readable text"))?;
        let mut values = raw.iter().map(|(_, value)| value);
        let id = values.next().and_then(|id| id.parse().ok()).ok_or_else(|| Invalid::id_format("id"))?;
        Ok(Self(id, values.next().unwrap_or_default().to_owned()))
    }
}
