//! The endpoints of projects (`contract/projects.md`). What the caller does not see is 404; what it sees
//! but may not do is 403.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hoody_core::grant::{Grant, Realms};
use hoody_core::id::{ProjectId, RealmId, noun};
use hoody_core::wire::{self, PermissionLevel};

use super::body::{NewProject, ProjectChange, check_realm_count};
use super::{Access, MAX_PROJECTS, Project, Projects, members, store};
use crate::realms;
use hoody_engine::clock::entropy;
use hoody_engine::db::On;
use hoody_engine::error::Error;
use hoody_engine::feed::{Change, Mutation};
use hoody_engine::web::caller::{AnyCaller, needs};
use hoody_engine::web::paging::Page;
use hoody_engine::web::{Answer, Caller, IdPath, JsonBody, Query, list};

needs! {
    /// Reading projects and their permissions.
    ProjectsRead { LEAF = "projects.read" }
    /// Making projects.
    ProjectsCreate { LEAF = "projects.create" }
    /// Changing projects.
    ProjectsUpdate { LEAF = "projects.update" }
    /// Deleting projects.
    ProjectsDelete { LEAF = "projects.delete" }
}

const NOT_FOUND: Error = Error::NotFound { code: "PROJECT_NOT_FOUND", message: "Project not found" };

/// One's own projects and those shared with one, a page at a time
#[utoipa::path(get, path = "/api/v1/projects", operation_id = "list_projects", tag = "projects",
    params(("page" = Option<u32>, Query),
    ("limit" = Option<u32>, Query, description = "At most 100; 10 unless told"),
    ("sort_by" = Option<String>, Query, description = "created_at, id, alias or updated_at"),
    ("sort_order" = Option<String>, Query, description = "desc or asc"),
    ("realm_id" = Option<RealmId>, Query, description = "Only those in this realm")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::ProjectList>),
    (status = 403, body = wire::ErrorBody)))]
pub async fn list_projects(
    State(projects): State<Arc<Projects>>,
    caller: Caller<ProjectsRead>,
    query: Query,
) -> Result<Response, Error> {
    let page = Page::read(&query, &store::SORT_COLUMNS)?;
    let realm = realms::select(&caller, query.realm("realm_id")?)?;
    // Each of their realms is a row of the database.
    let room = list::room(&projects.lists, caller.account(), page.limit * 4).await?;
    let total = store::count_visible(&projects.db, caller.account(), realm).await?;
    let projects = store::list_projects(&projects.db, caller.account(), realm, &page).await?;
    let rows = projects.len();
    let made = move || {
        let projects = projects.into_iter().map(|project| project.shown(None)).collect();
        let list = wire::ProjectList { projects, pagination: page.of_total(total) };
        Answer::ok("Projects retrieved successfully", list)
    };
    list::page(room, rows, made).await
}

/// Makes a project; on a realm's host it belongs to that realm
#[utoipa::path(post, path = "/api/v1/projects", operation_id = "create_project", tag = "projects",
    request_body = wire::CreateProject, security(("bearer" = [])),
    responses((status = 201, body = wire::Envelope<wire::Project>), (status = 409, body = wire::ErrorBody)))]
pub async fn create_project(
    State(projects): State<Arc<Projects>>,
    caller: Caller<ProjectsCreate>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::Project>, Error> {
    let new = NewProject::parse(&body)?;
    let (mut mutation, grant) = projects.feed.begin(&caller).await?;
    let project = Project {
        id: projects.clock.new_id(),
        owner: grant.account,
        alias: new.alias,
        color: new.color.unwrap_or_else(random_color),
        max_containers: new.max_containers,
        is_default: false,
        realm_ids: with_realm_of_host(new.realm_ids, caller.attempt.realm)?,
        created_at: mutation.now,
        updated_at: mutation.now,
        access: Access::Owner,
    };
    let of_host = caller.attempt.realm.as_slice();
    if is_bound_to_realms(&grant) && project.realm_ids != of_host {
        return Err(forbidden(
            "a token that is bound to realms makes projects in the realm of the host only",
        ));
    }
    if store::count_own(&mut mutation.tx, project.owner).await? >= MAX_PROJECTS {
        return Err(limit_reached(format!("An account has at most {MAX_PROJECTS} projects")));
    }
    if !store::insert_project(&mut mutation.tx, &project).await? {
        return Err(duplicate_alias());
    }
    mutation.tell(told("project.created", &project));
    mutation.commit().await?;
    Ok(Answer::created("Project created successfully", project.shown(None)))
}

/// One project
#[utoipa::path(get, path = "/api/v1/projects/{id}", operation_id = "get_project", tag = "projects",
    params(("id" = ProjectId, Path),
    ("include_permissions" = Option<bool>, Query, description = "With those it is shared with")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::Project>),
    (status = 404, body = wire::ErrorBody)))]
pub async fn get_project(
    State(projects): State<Arc<Projects>>,
    caller: Caller<ProjectsRead>,
    IdPath(id): IdPath<noun::Project>,
    query: Query,
) -> Result<Answer<wire::Project>, Error> {
    let with_permissions = query.flag("include_permissions", false)?;
    let project = find_visible(&projects.db, &caller, id).await?;
    let permissions =
        if with_permissions { Some(members::store::list_all(&projects.db, id).await?) } else { None };
    Ok(Answer::ok("Project retrieved successfully", project.shown(permissions)))
}

/// Changes a project; what is left out stays as it is
#[utoipa::path(method(put, patch), path = "/api/v1/projects/{id}", operation_id = "update_project",
    tag = "projects", params(("id" = ProjectId, Path)), request_body = wire::UpdateProject,
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::Project>),
    (status = 403, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody),
    (status = 409, body = wire::ErrorBody)))]
pub async fn update_project(
    State(projects): State<Arc<Projects>>,
    caller: Caller<ProjectsUpdate>,
    IdPath(id): IdPath<noun::Project>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::Project>, Error> {
    let change = ProjectChange::parse(&body)?;
    let (mut mutation, grant) = begin_on(&projects, &caller, id).await?;
    let before = find_target(&mut mutation, &caller, id, PermissionLevel::Edit).await?;
    let mut project = before.clone();
    change.put_into(&mut project);
    project.realm_ids = with_realm_of_host(project.realm_ids, caller.attempt.realm)?;
    judge(&grant, &before, &project)?;
    if project != before {
        project.updated_at = mutation.now;
        if !store::update_project(&mut mutation.tx, &before, &project).await? {
            return Err(duplicate_alias());
        }
        mutation.tell(told("project.updated", &project));
        mutation.commit().await?;
    }
    Ok(Answer::ok("Project updated successfully", project.shown(None)))
}

/// Whether the caller may make of `before` what `after` is; that it may change it at all is known.
fn judge(grant: &Grant, before: &Project, after: &Project) -> Result<(), Error> {
    let is_bound = is_bound_to_realms(grant);
    let changes_quota = before.max_containers != after.max_containers;
    if changes_quota && (is_bound || before.access != Access::Owner) {
        return Err(forbidden(
            "max_containers is changed by the project's owner, not with a token that is bound to realms",
        ));
    }
    let sorted = |project: &Project| {
        let mut realm_ids = project.realm_ids.clone();
        realm_ids.sort_unstable();
        realm_ids
    };
    if is_bound && sorted(before) != sorted(after) {
        return Err(forbidden("realm_ids cannot be changed with a token that is bound to realms"));
    }
    Ok(())
}

/// Deletes a project with everything in it
#[utoipa::path(delete, path = "/api/v1/projects/{id}", operation_id = "delete_project", tag = "projects",
    params(("id" = ProjectId, Path),
    ("include_deleted_items" = Option<bool>, Query, description = "With a list of what went with it")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::DeletedProject>),
    (status = 403, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody)))]
pub async fn delete_project(
    State(projects): State<Arc<Projects>>,
    caller: Caller<ProjectsDelete>,
    IdPath(id): IdPath<noun::Project>,
    query: Query,
) -> Result<Answer<wire::DeletedProject>, Error> {
    let with_items = query.flag("include_deleted_items", false)?;
    let (mut mutation, _) = begin_on(&projects, &caller, id).await?;
    let project = find_target(&mut mutation, &caller, id, PermissionLevel::Delete).await?;
    if project.is_default {
        return Err(forbidden("the default project cannot be deleted"));
    }
    let permissions = members::store::count_members(&mut mutation.tx, id).await?.unsigned_abs();
    let containers = store::list_containers(&mut mutation.tx, id).await?;
    if !store::delete_project(&mut mutation.tx, id).await? {
        return Err(NOT_FOUND);
    }
    mutation.tell(told("project.deleted", &project));
    mutation.commit().await?;
    let count = u64::try_from(containers.len()).unwrap_or(u64::MAX);
    let deleted = wire::DeletedCounts { permissions, containers: count, ..wire::DeletedCounts::default() };
    let deleted_items = with_items.then_some(wire::DeletedItems { containers });
    let data = wire::DeletedProject { deleted, deleted_items };
    Ok(Answer::ok("Project deleted successfully", data))
}

/// How many containers a project has
#[utoipa::path(get, path = "/api/v1/projects/{id}/stats", operation_id = "get_project_stats",
    tag = "projects", params(("id" = ProjectId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::ProjectStats>),
    (status = 404, body = wire::ErrorBody)))]
pub async fn get_project_stats(
    State(projects): State<Arc<Projects>>,
    caller: Caller<ProjectsRead>,
    IdPath(id): IdPath<noun::Project>,
) -> Result<Answer<wire::ProjectStats>, Error> {
    let project = find_visible(&projects.db, &caller, id).await?;
    let containers = store::list_containers(&projects.db, id).await?;
    let summary = wire::ProjectSummary {
        project_id: id,
        project_name: project.alias,
        container_count: u64::try_from(containers.len()).unwrap_or(u64::MAX),
        total_processing_time: 0.0,
    };
    let stats = wire::ProjectStats { stats: Vec::new(), summary };
    Ok(Answer::ok("Project statistics retrieved successfully", stats))
}

/// The project, if the caller sees it here: as owner or member, and in the realm of the host.
pub async fn find_visible(
    on: impl Into<On<'_>>,
    caller: &AnyCaller,
    id: ProjectId,
) -> Result<Project, Error> {
    let project = store::find_project(on, caller.account(), id).await?;
    project.filter(|project| project.is_in(caller.attempt.realm)).ok_or(NOT_FOUND)
}

/// Begins a mutation on a project: its owner's account is locked from the start. A project never changes
/// its owner, so what is read before the transaction holds in it.
pub(super) async fn begin_on(
    projects: &Projects,
    caller: &AnyCaller,
    id: ProjectId,
) -> Result<(Mutation, Grant), Error> {
    let seen = store::find_project(&projects.db, caller.account(), id).await?;
    projects.feed.begin_with(caller, seen.map(|project| project.owner)).await
}

/// The project that is to be changed, as it is now and stays until the transaction ends: whoever changes
/// a project or its members holds its owner's account.
pub async fn find_target(
    mutation: &mut Mutation,
    caller: &AnyCaller,
    id: ProjectId,
    needed: PermissionLevel,
) -> Result<Project, Error> {
    let mut project = find_visible(&mut mutation.tx, caller, id).await?;
    if project.access != Access::Owner {
        mutation.lock_account(project.owner).await?;
        // What was read before the lock may have changed while waiting for it.
        project = find_visible(&mut mutation.tx, caller, id).await?;
    }
    if project.access.includes(needed) {
        return Ok(project);
    }
    Err(forbidden(&format!("the project is not shared with you to {needed} it")))
}

/// What is made or changed on a realm's host belongs to that realm.
pub fn with_realm_of_host(
    mut realm_ids: Vec<RealmId>,
    of_host: Option<RealmId>,
) -> Result<Vec<RealmId>, Error> {
    if let Some(realm) = of_host
        && !realm_ids.contains(&realm)
    {
        realm_ids.push(realm);
    }
    check_realm_count(realm_ids.len())?;
    Ok(realm_ids)
}

pub fn is_bound_to_realms(grant: &Grant) -> bool {
    grant.limits.realms != Realms::EVERYWHERE
}

fn told(event: &'static str, project: &Project) -> Change {
    let change = Change::new(event, project.owner, "project", project.id);
    change.in_realms(&project.realm_ids).with(serde_json::json!({ "alias": project.alias }))
}

pub fn random_color() -> String {
    let [red, green, blue] = entropy();
    format!("#{red:02X}{green:02X}{blue:02X}")
}

fn duplicate_alias() -> Error {
    Error::Conflict { code: "DUPLICATE_ALIAS", message: "Project alias already exists".to_owned() }
}

pub(super) fn limit_reached(message: String) -> Error {
    Error::Conflict { code: "LIMIT_REACHED", message }
}

pub fn forbidden(why: &str) -> Error {
    Error::Forbidden { code: "INSUFFICIENT_PERMISSIONS", message: format!("Insufficient permissions: {why}") }
}
