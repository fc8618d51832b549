//! The endpoints of snapshots (`contract/containers.md`, 4). A snapshot is an image that the engine writes of the
//! container's file system; the container pauses meanwhile. Processes, memory and `/tmp` are not in it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;

use hoody_core::container::Status;
use hoody_core::id::{ContainerId, noun};
use hoody_core::time::DAY;
use hoody_core::wire::{self, PermissionLevel};
use hoody_engine::clock::entropy;
use hoody_engine::error::Error;
use hoody_engine::feed::Actor;
use hoody_engine::tasks;
use hoody_engine::web::caller::needs;
use hoody_engine::web::{Answer, Caller, IdPath, JsonBody};

use crate::access::{NamedPath, begin_on, check, find_visible};
use crate::body::{NewSnapshot, parse_alias};
use crate::http::{ContainersRead, conflict, give};
use crate::model::{Container, Snapshot, Task};
use crate::runtime::{EngineError, Runtime};
use crate::state::{Containers, MAX_SNAPSHOTS, engine_broke_off};
use crate::store::{self, snapshots as rows};

needs! {
    /// Making, restoring, renaming and deleting snapshots.
    SnapshotsWrite { LEAF = "containers.features.snapshots" }
}

/// How long a request waits for an image, or for a container that is restored: requests end after 30 seconds.
const PATIENCE: Duration = Duration::from_secs(25);
const NOT_FOUND: Error = Error::NotFound { code: "SNAPSHOT_NOT_FOUND", message: "Snapshot not found" };

/// The snapshots of a container, the newest first
#[utoipa::path(get, path = "/api/v1/containers/{id}/snapshots", operation_id = "list_snapshots",
    tag = "snapshots", params(("id" = ContainerId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::SnapshotList>),
    (status = 404, body = wire::ErrorBody)))]
pub async fn list_snapshots(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersRead>,
    IdPath(id): IdPath<noun::Container>,
) -> Result<Answer<wire::SnapshotList>, Error> {
    let (container, _) = find_visible(&state.db, &caller, id).await?;
    let snapshots = rows::list(&state.db, id).await?;
    let snapshots: Vec<_> =
        snapshots.iter().filter(|snapshot| snapshot.image.is_some()).map(Snapshot::shown).collect();
    let data = wire::SnapshotList {
        container_id: id,
        project_id: container.project,
        snapshot_count: u64::try_from(snapshots.len()).unwrap_or(u64::MAX),
        max_snapshots: Some(MAX_SNAPSHOTS.unsigned_abs()),
        snapshots,
    };
    Ok(Answer::ok("Snapshots retrieved successfully", data))
}

/// Makes a snapshot
#[utoipa::path(post, path = "/api/v1/containers/{id}/snapshots", operation_id = "create_snapshot",
    tag = "snapshots", params(("id" = ContainerId, Path)), request_body = wire::CreateSnapshot,
    security(("bearer" = [])), responses((status = 201, body = wire::Envelope<wire::CreatedSnapshot>),
    (status = 400, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody),
    (status = 409, body = wire::ErrorBody), (status = 503, body = wire::ErrorBody)))]
pub async fn create_snapshot(
    State(state): State<Arc<Containers>>,
    caller: Caller<SnapshotsWrite>,
    IdPath(id): IdPath<noun::Container>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::CreatedSnapshot>, Error> {
    let new = NewSnapshot::parse(&body)?;
    let (_, access) = find_visible(&state.db, &caller, id).await?;
    check(access, PermissionLevel::Edit)?;
    let runtime = state.runtime().await?.clone();
    let (mut mutation, container) = begin_on(&state, &caller, id, PermissionLevel::Edit).await?;
    let is_there = matches!(container.status, Status::Running | Status::Stopped);
    if container.task.is_some() || !is_there {
        return Err(conflict(&container, "snapshot"));
    }
    if container.snapshots >= MAX_SNAPSHOTS {
        let message = format!("A container has at most {MAX_SNAPSHOTS} snapshots: delete one first");
        return Err(Error::Conflict { code: "LIMIT_REACHED", message });
    }
    let now = mutation.now;
    let [one, two, three] = entropy::<3>();
    let stamp: String = now.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    let snapshot = Snapshot {
        id: state.clock.new_id(),
        container: id,
        name: format!("snap-{stamp}-{one:02x}{two:02x}{three:02x}"),
        alias: new.alias,
        image: None,
        size: None,
        created_at: now,
        last_used_at: None,
        expires_at: new.expiry.map(|days| now.plus(days * DAY)),
    };
    rows::insert(&mut mutation.tx, &snapshot).await?;
    mutation.commit().await?;
    // It goes on when the caller hangs up: an image without its row would be removed.
    let project_id = container.project;
    let writing = tasks::once("container-snapshot", take(Arc::clone(&state), runtime, container, snapshot));
    let Ok(written) = tokio::time::timeout(PATIENCE, writing).await else {
        return Err(Error::OutcomeUnknown(
            "The snapshot is not written yet: list the container's snapshots to see whether it was made",
        ));
    };
    let snapshot = written.map_err(Error::internal)??.shown();
    let data = wire::CreatedSnapshot { container_id: id, project_id, snapshot };
    Ok(Answer::created("Snapshot created successfully", data))
}

/// Has the engine write the image and notes it; what fails leaves no row.
async fn take(
    state: Arc<Containers>,
    runtime: Runtime,
    container: Container,
    mut snapshot: Snapshot,
) -> Result<Snapshot, Error> {
    let repository = Snapshot::repository(container.id);
    let label = format!("hoody.snapshot={}", snapshot.name);
    let written = runtime.commit(&container.engine_name(), (&repository, &snapshot.name), &label).await;
    // Before the transaction: no writer waits for an engine.
    let size = match &written {
        Ok(image) => runtime.image(image).await.ok().flatten().map(|(_, size)| size),
        Err(_) => None,
    };
    let mut mutation = state.feed.begin_as(Actor::Nobody).await?;
    mutation.lock_account(container.owner).await?;
    let image = match written {
        Ok(image) => image,
        Err(error) => {
            tracing::warn!(container.id = %container.id, %error, "a snapshot could not be written");
            rows::delete(&mut mutation.tx, snapshot.id).await?;
            mutation.commit().await?;
            return Err(match error {
                EngineError::NotFound(_) | EngineError::Refused { .. } => Error::Conflict {
                    code: "OPERATION_STATE_CONFLICT",
                    message: "The container engine refused the snapshot: the container may be gone"
                        .to_owned(),
                },
                _ => engine_broke_off(),
            });
        }
    };
    snapshot.size = size.and_then(|size| i64::try_from(size).ok());
    snapshot.image = Some(image);
    if !rows::written(&mut mutation.tx, &snapshot).await? {
        return Err(NOT_FOUND);
    }
    mutation.tell(container.told("container.snapshot.created"));
    mutation.commit().await?;
    Ok(snapshot)
}

/// Restores a container from a snapshot: what was written since is lost
#[utoipa::path(method(put, patch), path = "/api/v1/containers/{id}/snapshots/{name}",
    operation_id = "restore_snapshot", tag = "snapshots", params(("id" = ContainerId, Path),
    ("name" = String, Path, description = "The generated name")), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::RestoredSnapshot>),
    (status = 404, body = wire::ErrorBody), (status = 409, body = wire::ErrorBody),
    (status = 503, body = wire::ErrorBody)))]
pub async fn restore_snapshot(
    State(state): State<Arc<Containers>>,
    caller: Caller<SnapshotsWrite>,
    NamedPath(id, name): NamedPath,
) -> Result<Answer<wire::RestoredSnapshot>, Error> {
    let (_, access) = find_visible(&state.db, &caller, id).await?;
    check(access, PermissionLevel::Edit)?;
    state.runtime().await?;
    let (mut mutation, mut container) = begin_on(&state, &caller, id, PermissionLevel::Edit).await?;
    let snapshot = rows::find(&mut mutation.tx, id, &name).await?;
    let snapshot = snapshot.filter(|snapshot| snapshot.image.is_some()).ok_or(NOT_FOUND)?;
    let is_settled = matches!(container.status, Status::Running | Status::Stopped | Status::Failed);
    if container.task.is_some() || !is_settled {
        return Err(conflict(&container, "restore"));
    }
    give(&mut container, &state, Task::Restore, Some(name), mutation.now);
    store::set_task(&mut mutation.tx, &container).await?;
    mutation.commit().await?;
    state.wake_worker();
    let restored = state.wait_for(id, container.operation, PATIENCE).await?.ok_or(NOT_FOUND)?;
    let success =
        restored.task.is_none() && restored.status == Status::Running && restored.status_reason.is_none();
    let message = match (success, restored.task) {
        (true, _) => "The container runs from the snapshot",
        (false, Some(_)) => "The restore goes on",
        (false, None) => "The restore failed; status_reason of the container says why",
    };
    let data = wire::RestoredSnapshot { success, message: message.to_owned(), snapshot: snapshot.shown() };
    Ok(Answer::ok("Snapshot restore processed", data))
}

/// Renames a snapshot for people; its generated name stays
#[utoipa::path(method(put, patch), path = "/api/v1/containers/{id}/snapshots/{name}/alias",
    operation_id = "rename_snapshot", tag = "snapshots", params(("id" = ContainerId, Path),
    ("name" = String, Path, description = "The generated name")), request_body = wire::SnapshotAlias,
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::CreatedSnapshot>),
    (status = 404, body = wire::ErrorBody)))]
pub async fn rename_snapshot(
    State(state): State<Arc<Containers>>,
    caller: Caller<SnapshotsWrite>,
    NamedPath(id, name): NamedPath,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::CreatedSnapshot>, Error> {
    let alias = parse_alias(&body)?;
    let (mut mutation, container) = begin_on(&state, &caller, id, PermissionLevel::Edit).await?;
    let snapshot = rows::find(&mut mutation.tx, id, &name).await?.ok_or(NOT_FOUND)?;
    let snapshot = Snapshot { alias, ..snapshot };
    rows::rename(&mut mutation.tx, &snapshot).await?;
    mutation.tell(container.told("container.snapshot.renamed"));
    mutation.commit().await?;
    let (project_id, snapshot) = (container.project, snapshot.shown());
    let data = wire::CreatedSnapshot { container_id: id, project_id, snapshot };
    Ok(Answer::ok("Snapshot renamed successfully", data))
}

/// Deletes a snapshot
#[utoipa::path(delete, path = "/api/v1/containers/{id}/snapshots/{name}", operation_id = "delete_snapshot",
    tag = "snapshots", params(("id" = ContainerId, Path),
    ("name" = String, Path, description = "The generated name")), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::DeletedSnapshot>),
    (status = 404, body = wire::ErrorBody), (status = 409, body = wire::ErrorBody)))]
pub async fn delete_snapshot(
    State(state): State<Arc<Containers>>,
    caller: Caller<SnapshotsWrite>,
    NamedPath(id, name): NamedPath,
) -> Result<Answer<wire::DeletedSnapshot>, Error> {
    let (mut mutation, container) = begin_on(&state, &caller, id, PermissionLevel::Edit).await?;
    let snapshot = rows::find(&mut mutation.tx, id, &name).await?.ok_or(NOT_FOUND)?;
    if container.task_snapshot.as_deref() == Some(name.as_str()) {
        return Err(conflict(&container, "delete the snapshot"));
    }
    rows::delete(&mut mutation.tx, snapshot.id).await?;
    mutation.tell(container.told("container.snapshot.deleted"));
    mutation.commit().await?;
    // What fails here, the next comparison with the engine removes.
    if let (Some(runtime), true) = (&state.runtime, state.is_engine_up())
        && let Err(error) = runtime.remove_image(&snapshot.reference()).await
    {
        tracing::debug!(%error, "the image of a deleted snapshot stays for now");
    }
    let data = wire::DeletedSnapshot { container_id: id, project_id: container.project, snapshot_name: name };
    Ok(Answer::ok("Snapshot deleted successfully", data))
}
