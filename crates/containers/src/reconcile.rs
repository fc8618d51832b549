//! Compares rows with the engine: rows that say what is not so, containers and images that no row knows, snapshots
//! whose time is over. Labels tell which containers are this database's; they decide nothing about permission.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hoody_core::container::Status;
use hoody_core::id::ContainerId;
use hoody_core::time::SECOND;
use hoody_engine::db::DbError;
use hoody_engine::error::Error;
use hoody_engine::feed::Actor;

use crate::model::{Container, Snapshot, Task, engine_name};
use crate::runtime::{EngineError, Runtime, Seen};
use crate::state::Containers;
use crate::store;
use crate::worker::{event_of, old_name};

/// How long the image of a snapshot may take, in milliseconds.
const WRITTEN_WITHIN: i64 = 120 * SECOND;

/// Why a pass broke off.
#[derive(Debug)]
pub enum Broken {
    Engine(EngineError),
    Service(Error),
}

impl From<EngineError> for Broken {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Service(error)
    }
}

impl From<DbError> for Broken {
    fn from(error: DbError) -> Self {
        Self::Service(error.into())
    }
}

/// One pass, if this node works for the server.
pub async fn run(state: Arc<Containers>, runtime: Runtime, lease: &'static str) {
    if !matches!(state.nodes.hold(lease).await, Ok(Some(_))) {
        return;
    }
    match pass(&state, &runtime).await {
        Ok(()) => state.note_engine(true),
        Err(Broken::Engine(error)) => {
            state.note_engine(!matches!(error, EngineError::Down(_) | EngineError::Slow));
            tracing::debug!(%error, "containers could not be compared with the engine");
        }
        Err(Broken::Service(error)) => error.log(),
    }
}

/// Compares everything once.
pub async fn pass(state: &Arc<Containers>, runtime: &Runtime) -> Result<(), Broken> {
    // The engine first: a row is there before its container.
    let label = format!("hoody.instance={}", state.instance());
    let seen = runtime.list(&label).await?;
    let rows = store::list_of_server(&state.db, state.settings.server.name()).await?;
    let rows: HashMap<ContainerId, Container> = rows.into_iter().map(|row| (row.id, row)).collect();
    let by_name: HashMap<&str, &Seen> = seen.iter().map(|seen| (seen.name.as_str(), seen)).collect();
    for container in rows.values() {
        let shown = by_name.get(engine_name(container.id).as_str()).map(|seen| seen.state.as_str());
        compare(state, runtime, container, shown).await?;
    }
    for seen in &seen {
        remove_if_unknown(state, runtime, seen, &rows, &by_name).await?;
    }
    expire(state).await?;
    remove_images(state, runtime).await
}

/// Corrects a row for which nothing is to be done.
async fn compare(
    state: &Arc<Containers>,
    runtime: &Runtime,
    container: &Container,
    shown: Option<&str>,
) -> Result<(), Broken> {
    let agrees = |shown: Option<&str>| match shown.map(Status::of_engine) {
        None => false,
        Some(status) => status.is_none_or(|status| status == container.status),
    };
    let is_settled = matches!(container.status, Status::Running | Status::Stopped);
    if container.task.is_some() || !is_settled || agrees(shown) {
        return Ok(());
    }
    // The list is older than the row: what was done in between is no difference.
    let found = runtime.inspect(&container.engine_name()).await?;
    let shown = found.as_ref().map(|found| found.state.as_str());
    if agrees(shown) {
        return Ok(());
    }
    let (status, reason) = match shown.map(Status::of_engine) {
        None => (Status::Failed, Some("CONTAINER_VANISHED")),
        Some(Some(status)) => (status, None),
        Some(None) => return Ok(()),
    };
    let mut mutation = state.feed.begin_as(Actor::Nobody).await?;
    mutation.lock_account(container.owner).await?;
    let now = mutation.now;
    if !store::observe(&mut mutation.tx, container, status, reason, now).await? {
        return Ok(());
    }
    let ended_by_itself = container.status == Status::Running && status == Status::Stopped;
    let container = Container { status, ..container.clone() };
    mutation.tell(container.told(event_of(status)));
    if ended_by_itself && container.autostart {
        let task = Container {
            task: Some(Task::Start),
            operation: state.clock.new_id(),
            task_since: now,
            task_snapshot: None,
            ..container
        };
        store::set_task(&mut mutation.tx, &task).await?;
    }
    mutation.commit().await?;
    state.wake_worker();
    state.tell_done();
    Ok(())
}

/// Removes a container of ours that no row stands for.
async fn remove_if_unknown(
    state: &Containers,
    runtime: &Runtime,
    seen: &Seen,
    rows: &HashMap<ContainerId, Container>,
    by_name: &HashMap<&str, &Seen>,
) -> Result<(), Broken> {
    let Ok(id) = seen.container.parse::<ContainerId>() else { return Ok(()) };
    let Some(container) = rows.get(&id) else {
        // Of another server on the same engine: not ours to remove.
        if store::find(&state.db, id).await?.is_none() && is_name_of(&seen.name, id) {
            tracing::warn!(container.id = %id, "a container that no row knows is removed");
            runtime.remove(&seen.name).await?;
        }
        return Ok(());
    };
    // A restore that broke off leaves the one before under another name.
    if seen.name == old_name(id) && container.task.is_none() {
        match by_name.contains_key(engine_name(id).as_str()) {
            true => runtime.remove(&seen.name).await?,
            false => runtime.rename(&seen.name, &engine_name(id)).await?,
        }
    }
    Ok(())
}

fn is_name_of(name: &str, id: ContainerId) -> bool {
    name == engine_name(id) || name == old_name(id)
}

/// Deletes snapshots whose time is over, and those whose image never came.
async fn expire(state: &Arc<Containers>) -> Result<(), Broken> {
    let now = state.clock.now();
    let mut over = store::snapshots::list_expired(&state.db, now).await?;
    let server = state.settings.server.name();
    let since = now.plus(-WRITTEN_WITHIN);
    over.extend(store::snapshots::list_unwritten(&state.db, server, since).await?);
    for snapshot in over {
        let Some(container) = store::find(&state.db, snapshot.container).await? else { continue };
        // One that a container is about to be restored from stays until that is done.
        if container.task_snapshot.as_deref() == Some(snapshot.name.as_str()) {
            continue;
        }
        let mut mutation = state.feed.begin_as(Actor::Nobody).await?;
        mutation.lock_account(container.owner).await?;
        if store::snapshots::delete(&mut mutation.tx, snapshot.id).await? {
            mutation.tell(container.told("container.snapshot.deleted"));
            mutation.commit().await?;
        }
    }
    Ok(())
}

/// Removes images of snapshots that no row knows.
async fn remove_images(state: &Containers, runtime: &Runtime) -> Result<(), Broken> {
    let label = format!("hoody.instance={}", state.instance());
    let images = runtime.images(&label).await?;
    let known = store::snapshots::list_references(&state.db, state.settings.server.name()).await?;
    let known: HashSet<&str> = known.iter().map(String::as_str).collect();
    for image in images {
        let Some(id) = Snapshot::container_of(&image.tag) else { continue };
        let found = store::find(&state.db, id).await?;
        let is_of_other_server = found.is_some_and(|found| found.server != state.settings.server.name());
        if known.contains(image.tag.as_str()) || is_of_other_server {
            continue;
        }
        // One that a restored container runs on stays until that is gone.
        if let Err(error) = runtime.remove_image(&image.tag).await {
            tracing::debug!(%error, image = image.tag, "an image of no snapshot stays for now");
        }
    }
    Ok(())
}
