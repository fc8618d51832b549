//! Has the engine do what rows ask for. A row's task is the queue: it is written in the transaction of the request,
//! stays until it is done, and each step can be repeated, so that hoody and the engine may be killed at any instant.
//! One node at a time works for a server, under a lease.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

use hoody_core::container::Status;
use hoody_core::id::ContainerId;
use hoody_core::time::SECOND;
use hoody_engine::error::Error;
use hoody_engine::feed::Actor;
use hoody_engine::tasks;

use crate::execute;
use crate::model::{Container, Snapshot, Task};
use crate::runtime::{EngineError, Runtime, Spec};
use crate::state::Containers;
use crate::store;

/// How often the worker looks for what other nodes asked for, and for what failed.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How many containers are worked on at the same time.
const AT_ONCE: usize = 8;
/// For how long a task is tried, in milliseconds; a removal is tried for ever.
const TRIED_FOR: i64 = 120 * SECOND;
/// How often an engine that refuses is asked again.
const MAX_REFUSALS: u32 = 4;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The result of one try.
enum Tried {
    Became(Status),
    /// The row is to go.
    Gone,
    Failed(&'static str),
    /// It did not work, and the container is as it was.
    Kept(Status, &'static str),
    /// It may work later.
    Later(EngineError),
}

/// Tries of a task that failed.
struct Pause {
    tries: u32,
    until: Instant,
}

type Working = FuturesUnordered<BoxFuture<'static, (ContainerId, Option<EngineError>)>>;

/// Works for as long as the process lives.
pub async fn run(state: Arc<Containers>, runtime: Runtime, lease: &'static str) -> Infallible {
    let mut heard = state.hear_work();
    let mut working = Working::new();
    let mut busy = HashSet::new();
    let mut pauses: HashMap<ContainerId, Pause> = HashMap::new();
    let mut term = None;
    loop {
        tokio::select! {
            _ = heard.changed() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            Some((id, failed)) = working.next(), if !working.is_empty() => {
                busy.remove(&id);
                note(&mut pauses, id, failed.as_ref());
            }
        }
        let Ok(Some(held)) = state.nodes.hold(lease).await else { continue };
        if term.replace(held.term()) != Some(held.term()) {
            let (state, runtime) = (Arc::clone(&state), runtime.clone());
            drop(tasks::once("container-orphans", async move { end_orphans(&state, &runtime).await }));
        }
        let due = match store::list_due(&state.db, state.settings.server.name()).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "what is to be done for containers cannot be read");
                continue;
            }
        };
        for container in due {
            let is_paused = pauses.get(&container.id).is_some_and(|pause| Instant::now() < pause.until);
            if busy.len() >= AT_ONCE || is_paused || !busy.insert(container.id) {
                continue;
            }
            let tries = pauses.get(&container.id).map_or(0, |pause| pause.tries);
            let (state, runtime) = (Arc::clone(&state), runtime.clone());
            working.push(Box::pin(async move {
                let id = container.id;
                (id, work(&state, &runtime, container, tries).await)
            }));
        }
    }
}

/// Ends the commands that a process before this one has left in the server's containers.
async fn end_orphans(state: &Containers, runtime: &Runtime) {
    let rows = match store::list_of_server(&state.db, state.settings.server.name()).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::warn!(%error, "commands of a process before this one go on");
            return;
        }
    };
    for container in rows.into_iter().filter(|container| container.status == Status::Running) {
        execute::end_orphans(state, runtime, &container.engine_name()).await;
    }
}

fn note(pauses: &mut HashMap<ContainerId, Pause>, id: ContainerId, failed: Option<&EngineError>) {
    let Some(_) = failed else {
        pauses.remove(&id);
        return;
    };
    let tries = pauses.get(&id).map_or(0, |pause| pause.tries) + 1;
    let pause = Duration::from_millis(250 << tries.min(5)).min(LONGEST_PAUSE);
    pauses.insert(id, Pause { tries, until: Instant::now() + pause });
}

/// Tries the task of a container once and writes its result; why it is to be tried again.
pub async fn work(
    state: &Arc<Containers>,
    runtime: &Runtime,
    container: Container,
    tries: u32,
) -> Option<EngineError> {
    let task = container.task?;
    let tried = match attempt(state, runtime, &container, task).await {
        Tried::Later(error) => {
            state.note_engine(!matches!(error, EngineError::Down(_) | EngineError::Slow));
            let is_refused = matches!(error, EngineError::Refused { .. } | EngineError::NotFound(_));
            let age = state.clock.now().millis() - container.task_since.millis();
            let is_over = age > TRIED_FOR || is_refused && tries + 1 >= MAX_REFUSALS;
            tracing::warn!(container.id = %container.id, task = task.as_str(), tries = tries + 1, %error,
                "the container engine did not do a task");
            if !is_over || task == Task::Delete {
                return Some(error);
            }
            if task == Task::Create {
                // Whatever there is of it: the row says that it failed.
                let _ = runtime.remove(&container.engine_name()).await;
            }
            Tried::Failed(if is_refused { "ENGINE_REFUSED" } else { "ENGINE_UNAVAILABLE" })
        }
        tried => {
            state.note_engine(true);
            tried
        }
    };
    if let Err(error) = write(state, container, tried).await {
        error.log();
        return Some(EngineError::Slow);
    }
    state.tell_done();
    None
}

async fn attempt(state: &Containers, runtime: &Runtime, container: &Container, task: Task) -> Tried {
    let result = match task {
        Task::Create => create(state, runtime, container).await,
        Task::Start => start(runtime, container).await,
        Task::Stop => stop(runtime, container, false).await,
        Task::ForceStop => stop(runtime, container, true).await,
        Task::Restart => match stop(runtime, container, false).await {
            Ok(Tried::Became(_)) => start(runtime, container).await,
            other => other,
        },
        Task::Restore => restore(state, runtime, container).await,
        Task::Delete => remove(state, runtime, container).await,
    };
    result.unwrap_or_else(Tried::Later)
}

/// What the engine is told of a container that is made from `image`.
fn spec<'a>(state: &'a Containers, container: &'a Container, image: &'a str) -> Spec<'a> {
    let hostname = &container.name[..container.name.len().min(63)];
    Spec {
        image,
        hostname,
        labels: vec![
            ("hoody.instance", state.instance()),
            ("hoody.server", container.server.clone()),
            ("hoody.container", container.id.to_string()),
            ("hoody.operation", container.operation.to_string()),
            // An image of a snapshot hands its labels down.
            ("hoody.snapshot", String::new()),
        ],
        bounds: &state.settings.bounds,
    }
}

async fn create(state: &Containers, runtime: &Runtime, container: &Container) -> Result<Tried, EngineError> {
    let Some((_, reference)) = state.settings.images.find(Some(&container.image)) else {
        return Ok(Tried::Failed("IMAGE_NOT_FOUND"));
    };
    make(state, runtime, container, reference).await
}

/// Makes the container under its name, unless this operation has made it before, and starts it.
async fn make(
    state: &Containers,
    runtime: &Runtime,
    container: &Container,
    image: &str,
) -> Result<Tried, EngineError> {
    let name = container.engine_name();
    let operation = container.operation.to_string();
    let is_made = matches!(runtime.inspect(&name).await, Ok(Some(seen)) if seen.operation == operation);
    if !is_made {
        if !state.has_limits(runtime).await? {
            return Ok(Tried::Failed("ENGINE_WITHOUT_LIMITS"));
        }
        // An engine that was killed may keep a name that no list shows; this frees it.
        runtime.remove(&name).await?;
        match runtime.create(&name, &spec(state, container, image)).await {
            Err(EngineError::NotFound(_)) => return Ok(Tried::Failed("IMAGE_NOT_FOUND")),
            made => made?,
        };
    }
    start(runtime, container).await
}

async fn start(runtime: &Runtime, container: &Container) -> Result<Tried, EngineError> {
    let name = container.engine_name();
    match runtime.start(&name).await {
        Err(EngineError::NotFound(_)) => return Ok(Tried::Failed("CONTAINER_VANISHED")),
        // A refusal says little: the state decides.
        Err(error @ EngineError::Refused { .. }) => {
            return match state_of(runtime, &name).await? {
                Some(Status::Running) => Ok(Tried::Became(Status::Running)),
                _ => Err(error),
            };
        }
        started => started?,
    }
    match state_of(runtime, &name).await? {
        Some(Status::Running) => Ok(Tried::Became(Status::Running)),
        Some(_) => Ok(Tried::Failed("CONTAINER_EXITED")),
        None => Err(EngineError::Unreadable("a container that neither runs nor stands".to_owned())),
    }
}

async fn stop(runtime: &Runtime, container: &Container, is_forced: bool) -> Result<Tried, EngineError> {
    let name = container.engine_name();
    let stopped = match is_forced {
        true => runtime.kill(&name).await,
        false => runtime.stop(&name).await,
    };
    match stopped {
        Err(EngineError::NotFound(_)) => return Ok(Tried::Failed("CONTAINER_VANISHED")),
        // One that stands already cannot be killed.
        Err(EngineError::Refused { .. }) | Ok(()) => {}
        Err(error) => return Err(error),
    }
    for _ in 0..20 {
        if state_of(runtime, &name).await? == Some(Status::Stopped) {
            return Ok(Tried::Became(Status::Stopped));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(EngineError::Unreadable("a container that does not stop".to_owned()))
}

/// The status that the engine's state stands for; `None` when it says nothing about it.
async fn state_of(runtime: &Runtime, name: &str) -> Result<Option<Status>, EngineError> {
    let seen = runtime.inspect(name).await?;
    let seen = seen.ok_or_else(|| EngineError::NotFound("the container is gone".to_owned()))?;
    Ok(Status::of_engine(&seen.state))
}

/// Makes the container again from a snapshot. The one before stays under another name until that has worked.
async fn restore(state: &Containers, runtime: &Runtime, container: &Container) -> Result<Tried, EngineError> {
    let (name, old) = (container.engine_name(), old_name(container.id));
    let found = match &container.task_snapshot {
        Some(snapshot) => store::snapshots::find(&state.db, container.id, snapshot).await,
        None => Ok(None),
    };
    let snapshot = match found {
        Ok(Some(Snapshot { image: Some(image), .. })) => image,
        Ok(_) => return Ok(Tried::Failed("SNAPSHOT_NOT_FOUND")),
        Err(error) => {
            tracing::warn!(%error, "a snapshot cannot be read");
            return Err(EngineError::Slow);
        }
    };
    let operation = container.operation.to_string();
    if let Some(seen) = runtime.inspect(&name).await?
        && seen.operation != operation
    {
        runtime.remove(&old).await?;
        runtime.rename(&name, &old).await?;
    }
    match make(state, runtime, container, &snapshot).await? {
        Tried::Became(status) => {
            runtime.remove(&old).await?;
            Ok(Tried::Became(status))
        }
        failed => {
            runtime.remove(&name).await?;
            if runtime.inspect(&old).await?.is_some() {
                runtime.rename(&old, &name).await?;
            }
            match (failed, runtime.inspect(&name).await?) {
                (Tried::Failed(reason), Some(seen)) => {
                    Ok(Tried::Kept(Status::of_engine(&seen.state).unwrap_or(Status::Stopped), reason))
                }
                (failed, _) => Ok(failed),
            }
        }
    }
}

/// The name of a container that makes room for what is restored.
#[must_use]
pub fn old_name(id: ContainerId) -> String {
    format!("{}-old", crate::model::engine_name(id))
}

async fn remove(state: &Containers, runtime: &Runtime, container: &Container) -> Result<Tried, EngineError> {
    runtime.remove(&container.engine_name()).await?;
    runtime.remove(&old_name(container.id)).await?;
    let snapshots = store::snapshots::list(&state.db, container.id).await.unwrap_or_default();
    for snapshot in snapshots {
        runtime.remove_image(&snapshot.reference()).await?;
    }
    Ok(Tried::Gone)
}

/// Writes the result of a task, unless another operation has replaced it.
async fn write(state: &Containers, mut container: Container, tried: Tried) -> Result<(), Error> {
    let mut mutation = state.feed.begin_as(Actor::Nobody).await?;
    mutation.lock_account(container.owner).await?;
    let now = mutation.now;
    let is_restored = container.task == Some(Task::Restore);
    let event = match tried {
        Tried::Gone => {
            if store::delete(&mut mutation.tx, container.id, container.operation).await? {
                mutation.tell(container.told("container.deleted"));
            }
            return mutation.commit().await;
        }
        Tried::Became(status) => {
            (container.status, container.status_reason) = (status, None);
            if is_restored {
                container.last_used_snapshot = container.task_snapshot.clone();
            }
            event_of(status)
        }
        Tried::Failed(reason) => {
            (container.status, container.status_reason) = (Status::Failed, Some(reason.to_owned()));
            "container.failed"
        }
        Tried::Kept(status, reason) => {
            (container.status, container.status_reason) = (status, Some(reason.to_owned()));
            "container.operation.failed"
        }
        Tried::Later(_) => return Ok(()),
    };
    if !store::finish(&mut mutation.tx, &container, now).await? {
        return Ok(());
    }
    let is_restored = is_restored && container.status_reason.is_none();
    if let (true, Some(name), Status::Running) = (is_restored, &container.task_snapshot, container.status) {
        store::snapshots::used(&mut mutation.tx, container.id, name, now).await?;
        mutation.tell(container.told("container.snapshot.restored"));
    }
    mutation.tell(container.told(event));
    mutation.commit().await
}

/// The event that tells of a status.
#[must_use]
pub fn event_of(status: Status) -> &'static str {
    match status {
        Status::Creating => "container.creating",
        Status::Running => "container.running",
        Status::Stopped => "container.stopped",
        Status::Failed => "container.failed",
        Status::Deleting => "container.deleting",
    }
}
