//! The endpoints of containers themselves (`contract/containers.md`, 2).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::request::Parts;
use http::{Method, header};

use hoody_core::container::{self, Operation, Status};
use hoody_core::id::{ContainerId, ProjectId, RealmId, noun};
use hoody_core::wire::{self, PermissionLevel};
use hoody_engine::clock::entropy;
use hoody_engine::db::Tx;
use hoody_engine::error::Error;
use hoody_engine::web::caller::{AnyCaller, needs};
use hoody_engine::web::envelope::Done;
use hoody_engine::web::paging::Page;
use hoody_engine::web::{Answer, Caller, IdPath, JsonBody, Query, list};
use hoody_service::projects::http::{forbidden, is_bound_to_realms, random_color, with_realm_of_host};
use hoody_service::{projects, realms};

use crate::access::{begin_on, begin_on_project, check, find_visible};
use crate::body::{ContainerChange, NewContainer, check_size};
use crate::model::{Container, Environment, Task};
use crate::state::{Containers, MAX_OF_SERVER, PATIENCE};
use crate::store;

needs! {
    /// Making containers.
    ContainersCreate { LEAF = "containers.create" }
    /// Reading containers.
    ContainersRead { LEAF = "containers.read" }
    /// Changing containers.
    ContainersUpdate { LEAF = "containers.update" }
    /// Deleting containers.
    ContainersDelete { LEAF = "containers.delete" }
    /// Starting containers.
    ContainersStart { LEAF = "containers.actions.start" }
    /// Stopping containers.
    ContainersStop { LEAF = "containers.actions.stop" }
    /// Restarting containers.
    ContainersRestart { LEAF = "containers.actions.restart" }
}

/// Makes a container in a project; it is `creating` until the engine runs it
#[utoipa::path(post, path = "/api/v1/projects/{id}/containers", operation_id = "create_container",
    tag = "containers", params(("id" = ProjectId, Path)), request_body = wire::CreateContainer,
    security(("bearer" = [])), responses((status = 201, body = wire::Envelope<wire::Container>),
    (status = 400, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody),
    (status = 409, body = wire::ErrorBody), (status = 503, body = wire::ErrorBody)))]
pub async fn create_container(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersCreate>,
    IdPath(project): IdPath<noun::Project>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::Container>, Error> {
    projects::http::find_visible(&state.db, &caller, project).await?;
    let is_prespawned = body["prespawn"] == true;
    let new = NewContainer::parse(&body, &state.settings.images)?;
    if is_prespawned {
        return Err(forbidden("prespawn is not available"));
    }
    let hoody_kit = feature(&caller, "containers.features.hoody_kit", new.hoody_kit)?;
    let ai = feature(&caller, "containers.features.ai", new.ai)?;
    state.runtime().await?;
    if !state.settings.server.is(&new.server_id) {
        return Err(Error::NotFound {
            code: "RESOURCE_NOT_FOUND",
            message: "server_id: there is no such server",
        });
    }
    let (mut mutation, grant, project) =
        begin_on_project(&state, &caller, project, PermissionLevel::Edit).await?;
    let mut change = new.change;
    let realm_ids = with_realm_of_host(change.realm_ids.take().unwrap_or_default(), caller.attempt.realm)?;
    if is_bound_to_realms(&grant) && realm_ids != caller.attempt.realm.as_slice() {
        return Err(forbidden(
            "a token that is bound to realms makes containers in the realm of the host only",
        ));
    }
    let environment = change.environment.take().unwrap_or_default();
    let mut container = Container {
        id: state.clock.new_id(),
        project: project.id,
        project_alias: project.alias,
        owner: project.owner,
        server: state.settings.server.name().to_owned(),
        name: new.name.unwrap_or_else(|| container::random_name(entropy())),
        color: random_color(),
        comment: None,
        image: new.image,
        ssh_public_key: None,
        ai,
        hoody_kit,
        dev_kit: new.dev_kit.unwrap_or(hoody_kit),
        autostart: true,
        ramdisk: true,
        ramdisk_scope: "container".to_owned(),
        environment: Vec::new(),
        status: Status::Creating,
        status_reason: None,
        task: Some(Task::Create),
        operation: state.clock.new_id(),
        task_since: mutation.now,
        task_snapshot: None,
        last_used_snapshot: None,
        proxy: None,
        project_proxy: None,
        snapshots: 0,
        realm_ids,
        created_at: mutation.now,
        updated_at: mutation.now,
    };
    change.ai = None;
    change.put_into(&mut container);
    container.seal_environment(&state.keys, &environment)?;
    check_room(&mut mutation.tx, project.max_containers, &container).await?;
    if store::is_name_taken(&mut mutation.tx, &container).await? {
        return Err(name_in_use());
    }
    if !store::insert(&mut mutation.tx, &container).await? {
        return Err(ssh_key_in_use());
    }
    mutation.tell(container.told("container.creating"));
    mutation.commit().await?;
    state.wake_worker();
    Ok(Answer::created("Container created successfully", container.shown(&state.keys, None)?))
}

/// Refuses a container for which its project, which holds at most `most`, or its server has no room.
async fn check_room(tx: &mut Tx, most: Option<i64>, container: &Container) -> Result<(), Error> {
    let (of_project, of_server) = store::count_each(tx, container.project, &container.server).await?;
    if most.is_some_and(|most| of_project >= most) {
        return Err(Error::Refused {
            code: "PROJECT_CONTAINER_LIMIT",
            message: "This project has reached its container limit",
        });
    }
    if of_server >= MAX_OF_SERVER {
        return Err(Error::Refused {
            code: "SERVER_CONTAINER_LIMIT",
            message: "This server has reached its container limit",
        });
    }
    Ok(())
}

/// Whether a container has a feature: as asked for, else where the caller may have it.
fn feature(caller: &AnyCaller, leaf: &str, asked: Option<bool>) -> Result<bool, Error> {
    match (asked, caller.holds(leaf)) {
        (Some(true), false) => Err(forbidden(&format!("{leaf} is required"))),
        (Some(asked), _) => Ok(asked),
        (None, is_held) => Ok(is_held),
    }
}

/// Containers of one's own projects and of those shared with one, a page at a time
#[utoipa::path(get, path = "/api/v1/containers", operation_id = "list_containers", tag = "containers",
    params(("page" = Option<u32>, Query),
    ("limit" = Option<u32>, Query, description = "At most 100; 50 when left out"),
    ("sort_by" = Option<String>, Query, description = "created_at, id, name, status or updated_at"),
    ("sort_order" = Option<String>, Query, description = "desc or asc"),
    ("realm_id" = Option<RealmId>, Query, description = "Only those in this realm"),
    ("include_deleting" = Option<bool>, Query, description = "Also those that are about to be removed"),
    ("include_expired" = Option<bool>, Query, description = "Without effect"),
    ("include_prespawn" = Option<bool>, Query, description = "Without effect"),
    ("include_proxy_domains" = Option<bool>, Query, description = "Without effect"),
    ("include_proxy_permissions" = Option<bool>, Query, description = "Without effect"),
    ("runtime" = Option<String>, Query, description = "Without effect")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::ContainerList>),
    (status = 403, body = wire::ErrorBody)))]
pub async fn list_containers(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersRead>,
    query: Query,
) -> Result<Response, Error> {
    let realm = realms::select(&caller, query.realm("realm_id")?)?;
    list_page(&state, &caller, realm, None, &query).await
}

/// Containers of a project, a page at a time
#[utoipa::path(get, path = "/api/v1/projects/{id}/containers", operation_id = "list_project_containers",
    tag = "containers", params(("id" = ProjectId, Path), ("page" = Option<u32>, Query),
    ("limit" = Option<u32>, Query, description = "At most 100; 50 when left out"),
    ("sort_by" = Option<String>, Query, description = "created_at, id, name, status or updated_at"),
    ("sort_order" = Option<String>, Query, description = "desc or asc"),
    ("include_deleting" = Option<bool>, Query, description = "Also those that are about to be removed"),
    ("include_prespawn" = Option<bool>, Query, description = "Without effect"),
    ("include_proxy_domains" = Option<bool>, Query, description = "Without effect"),
    ("include_proxy_permissions" = Option<bool>, Query, description = "Without effect"),
    ("runtime" = Option<String>, Query, description = "Without effect")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::ContainerList>),
    (status = 404, body = wire::ErrorBody)))]
pub async fn list_project_containers(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersRead>,
    IdPath(project): IdPath<noun::Project>,
    query: Query,
) -> Result<Response, Error> {
    projects::http::find_visible(&state.db, &caller, project).await?;
    list_page(&state, &caller, caller.attempt.realm, Some(project), &query).await
}

async fn list_page(
    state: &Containers,
    caller: &AnyCaller,
    realm: Option<RealmId>,
    project: Option<ProjectId>,
    query: &Query,
) -> Result<Response, Error> {
    let page =
        Page { limit: query.number("limit", 1..=100, 50)?, ..Page::read(query, &store::SORT_COLUMNS)? };
    let with_deleting = query.flag("include_deleting", false)?;
    let listed = store::Listed { account: caller.account(), realm, project, with_deleting };
    let room = list::room(&state.lists, caller.account(), page.limit * 4).await?;
    let total = store::count(&state.db, &listed).await?;
    let found = store::list(&state.db, &listed, &page).await?;
    let rows = found.len();
    let shown: Result<Vec<_>, Error> =
        found.into_iter().map(|container| container.shown(&state.keys, None)).collect();
    let list = wire::ContainerList { containers: shown?, pagination: page.of_total(total) };
    list::page(room, rows, move || Answer::ok("Containers retrieved successfully", list)).await
}

/// One container
#[utoipa::path(get, path = "/api/v1/containers/{id}", operation_id = "get_container", tag = "containers",
    params(("id" = ContainerId, Path),
    ("include_proxy_domains" = Option<bool>, Query, description = "Without effect"),
    ("include_proxy_permissions" = Option<bool>, Query, description = "Without effect"),
    ("runtime" = Option<String>, Query, description = "Without effect")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::Container>),
    (status = 404, body = wire::ErrorBody)))]
pub async fn get_container(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersRead>,
    IdPath(id): IdPath<noun::Container>,
) -> Result<Answer<wire::Container>, Error> {
    let (container, _) = find_visible(&state.db, &caller, id).await?;
    let is_known = state.runtime.is_some() && state.is_engine_up();
    let warnings = if is_known { Vec::new() } else { vec!["ENGINE_UNAVAILABLE".to_owned()] };
    Ok(Answer::ok("Container retrieved successfully", container.shown(&state.keys, Some(warnings))?))
}

/// Changes a container; fields that are left out keep their values
#[utoipa::path(method(put, patch), path = "/api/v1/containers/{id}", operation_id = "update_container",
    tag = "containers", params(("id" = ContainerId, Path)), request_body = wire::UpdateContainer,
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::Container>),
    (status = 403, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody),
    (status = 409, body = wire::ErrorBody)))]
pub async fn update_container(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersUpdate>,
    IdPath(id): IdPath<noun::Container>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::Container>, Error> {
    let mut change = ContainerChange::parse(&body)?;
    let (mut mutation, before) = begin_on(&state, &caller, id, PermissionLevel::Edit).await?;
    let mut container = before.clone();
    if change.ai == Some(true) {
        feature(&caller, "containers.features.ai", change.ai)?;
    }
    let environment = change.environment.take();
    change.put_into(&mut container);
    container.realm_ids = with_realm_of_host(container.realm_ids, caller.attempt.realm)?;
    if is_bound_to_realms(caller.grant()) && container.realm_ids != before.realm_ids {
        return Err(forbidden("realm_ids cannot be changed with a token that is bound to realms"));
    }
    if let Some(environment) = environment {
        container.seal_environment(&state.keys, &environment)?;
    }
    if container == before {
        return Ok(Answer::ok("Container updated successfully", container.shown(&state.keys, None)?));
    }
    container.updated_at = mutation.now;
    if container.name != before.name && store::is_name_taken(&mut mutation.tx, &container).await? {
        return Err(name_in_use());
    }
    if !store::update(&mut mutation.tx, &before, &container).await? {
        return Err(ssh_key_in_use());
    }
    let event = if container.name == before.name { "container.updated" } else { "container.renamed" };
    mutation.tell(container.told(event));
    mutation.commit().await?;
    Ok(Answer::ok("Container updated successfully", container.shown(&state.keys, None)?))
}

/// Writes a container's environment.
pub async fn write_environment(
    state: &Containers,
    caller: &AnyCaller,
    id: ContainerId,
    change: impl FnOnce(&mut Environment),
) -> Result<Environment, Error> {
    let (mut mutation, before) = begin_on(state, caller, id, PermissionLevel::Edit).await?;
    let known = before.open_environment(&state.keys)?;
    let mut environment = known.clone();
    change(&mut environment);
    check_size(&environment)?;
    if environment != known {
        let mut container = before.clone();
        container.seal_environment(&state.keys, &environment)?;
        container.updated_at = mutation.now;
        store::update(&mut mutation.tx, &before, &container).await?;
        mutation.tell(container.told("container.env.updated"));
        mutation.commit().await?;
    }
    Ok(environment)
}

/// Deletes a container with its snapshots
#[utoipa::path(delete, path = "/api/v1/containers/{id}", operation_id = "delete_container",
    tag = "containers", params(("id" = ContainerId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Done), (status = 404, body = wire::ErrorBody)))]
pub async fn delete_container(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersDelete>,
    IdPath(id): IdPath<noun::Container>,
) -> Result<Answer<()>, Error> {
    let (mut mutation, mut container) = begin_on(&state, &caller, id, PermissionLevel::Delete).await?;
    if container.task != Some(Task::Delete) {
        container.status = Status::Deleting;
        give(&mut container, &state, Task::Delete, None, mutation.now);
        store::set_task(&mut mutation.tx, &container).await?;
        mutation.tell(container.told("container.deleting"));
        mutation.commit().await?;
        state.wake_worker();
    }
    // The row goes when the engine has removed it; with the engine down, that is later.
    if state.runtime.is_some() && state.is_engine_up() {
        state.wait_for(id, container.operation, PATIENCE).await?;
    }
    Ok(Answer::ok("Container deleted successfully", ()))
}

/// Gives the server something to do.
pub fn give(
    container: &mut Container,
    state: &Containers,
    task: Task,
    snapshot: Option<String>,
    now: hoody_core::time::Timestamp,
) {
    container.task = Some(task);
    container.operation = state.clock.new_id();
    container.task_since = now;
    container.task_snapshot = snapshot;
}

/// Starts a container
#[utoipa::path(post, path = "/api/v1/containers/{id}/start", operation_id = "start_container",
    tag = "containers", params(("id" = ContainerId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::ContainerOperation>),
    (status = 404, body = wire::ErrorBody), (status = 409, body = wire::ErrorBody),
    (status = 503, body = wire::ErrorBody)))]
pub async fn start_container(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersStart>,
    IdPath(id): IdPath<noun::Container>,
) -> Result<Answer<wire::ContainerOperation>, Error> {
    operate(&state, &caller, id, Operation::Start).await
}

/// Starts a container, for clients that cannot send POST: no browser and no cookie
#[utoipa::path(get, path = "/api/v1/containers/{id}/start", operation_id = "start_container_by_get",
    tag = "containers", params(("id" = ContainerId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::ContainerOperation>),
    (status = 404, body = wire::ErrorBody), (status = 405, body = wire::ErrorBody),
    (status = 409, body = wire::ErrorBody), (status = 503, body = wire::ErrorBody)))]
pub async fn start_container_by_get(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersStart>,
    IdPath(id): IdPath<noun::Container>,
    parts: Parts,
) -> Result<Answer<wire::ContainerOperation>, Error> {
    let site = parts.headers.get("sec-fetch-site");
    let is_browser = parts.headers.contains_key(header::COOKIE) || site.is_some_and(|site| site != "none");
    if parts.method != Method::GET || is_browser {
        return Err(Error::MethodNotAllowed);
    }
    operate(&state, &caller, id, Operation::Start).await
}

/// Stops a container; its processes have ten seconds to end
#[utoipa::path(post, path = "/api/v1/containers/{id}/stop", operation_id = "stop_container",
    tag = "containers", params(("id" = ContainerId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::ContainerOperation>),
    (status = 404, body = wire::ErrorBody), (status = 409, body = wire::ErrorBody),
    (status = 503, body = wire::ErrorBody)))]
pub async fn stop_container(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersStop>,
    IdPath(id): IdPath<noun::Container>,
) -> Result<Answer<wire::ContainerOperation>, Error> {
    operate(&state, &caller, id, Operation::Stop).await
}

/// Kills a container's processes
#[utoipa::path(post, path = "/api/v1/containers/{id}/force-stop", operation_id = "force_stop_container",
    tag = "containers", params(("id" = ContainerId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::ContainerOperation>),
    (status = 404, body = wire::ErrorBody), (status = 409, body = wire::ErrorBody),
    (status = 503, body = wire::ErrorBody)))]
pub async fn force_stop_container(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersStop>,
    IdPath(id): IdPath<noun::Container>,
) -> Result<Answer<wire::ContainerOperation>, Error> {
    operate(&state, &caller, id, Operation::ForceStop).await
}

/// Stops and starts a container
#[utoipa::path(post, path = "/api/v1/containers/{id}/restart", operation_id = "restart_container",
    tag = "containers", params(("id" = ContainerId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::ContainerOperation>),
    (status = 404, body = wire::ErrorBody), (status = 409, body = wire::ErrorBody),
    (status = 503, body = wire::ErrorBody)))]
pub async fn restart_container(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersRestart>,
    IdPath(id): IdPath<noun::Container>,
) -> Result<Answer<wire::ContainerOperation>, Error> {
    operate(&state, &caller, id, Operation::Restart).await
}

async fn operate(
    state: &Arc<Containers>,
    caller: &AnyCaller,
    id: ContainerId,
    operation: Operation,
) -> Result<Answer<wire::ContainerOperation>, Error> {
    // Before the transaction: no writer waits for an engine.
    let (_, access) = find_visible(&state.db, caller, id).await?;
    check(access, PermissionLevel::Edit)?;
    state.runtime().await?;
    let (mut mutation, mut container) = begin_on(state, caller, id, PermissionLevel::Edit).await?;
    // What hangs can be killed all the same.
    let is_free = container.task.is_none() || operation == Operation::ForceStop;
    if !operation.is_possible(container.status) || !is_free {
        return Err(conflict(&container, operation.as_str()));
    }
    if container.task.is_none() && operation.goal() == Some(container.status) {
        return Ok(operated(operation, &container, "The container is in this state already"));
    }
    let task = match operation {
        Operation::Start => Task::Start,
        Operation::Stop => Task::Stop,
        Operation::ForceStop => Task::ForceStop,
        Operation::Restart => Task::Restart,
    };
    give(&mut container, state, task, None, mutation.now);
    store::set_task(&mut mutation.tx, &container).await?;
    mutation.commit().await?;
    state.wake_worker();
    let asked = container.operation;
    let container = state.wait_for(id, asked, PATIENCE).await?.unwrap_or(container);
    let message = match (container.task, container.status) {
        (None, Status::Failed) => "The operation failed; status_reason of the container says why",
        (None, _) => "The operation is done",
        (Some(_), _) => "The operation goes on",
    };
    Ok(operated(operation, &Container { operation: asked, ..container }, message))
}

/// 409 for a container in whose state this cannot be done.
pub fn conflict(container: &Container, act: &str) -> Error {
    let message = match container.task {
        Some(task) => format!("The container cannot {act} now: its {} is not finished", task.as_str()),
        None => format!("The container is {}: {act} needs one that is running or stopped", container.status),
    };
    Error::Conflict { code: "OPERATION_STATE_CONFLICT", message }
}

fn operated(operation: Operation, container: &Container, message: &str) -> Answer<wire::ContainerOperation> {
    let data = wire::ContainerOperation {
        error: false,
        operation: operation.as_str().to_owned(),
        container_id: container.id,
        project_id: container.project,
        message: message.to_owned(),
        status: container.status.to_string(),
        operation_id: container.operation.to_string(),
    };
    Answer::ok("Container operation processed", data)
}

fn name_in_use() -> Error {
    let message = "name: the project has another container of this name".to_owned();
    Error::Conflict { code: "CONTAINER_NAME_IN_USE", message }
}

fn ssh_key_in_use() -> Error {
    let message = "ssh_public_key: another container has this key".to_owned();
    Error::Conflict { code: "SSH_PUBLIC_KEY_IN_USE", message }
}
