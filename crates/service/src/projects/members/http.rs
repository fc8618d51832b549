//! The endpoints of sharing (`contract/projects.md`). Who may see a project may see who else does; who
//! may edit it shares it, but neither gives, changes nor takes away more than it has itself.

use std::sync::Arc;

use axum::extract::State;
use hoody_core::id::{MemberId, ProjectId, noun};
use hoody_core::wire::{self, PermissionLevel, ProjectMember};

use super::super::body::{NewMember, parse_new_level};
use super::super::http::{ProjectsRead, begin_on, find_target, find_visible, forbidden, limit_reached};
use super::super::{MAX_MEMBERS, Project, Projects};
use super::store;
use hoody_engine::error::Error;
use hoody_engine::feed::{Change, Mutation};
use hoody_engine::web::caller::{AnyCaller, needs};
use hoody_engine::web::paging::Page;
use hoody_engine::web::path::TwoIds;
use hoody_engine::web::{Answer, Caller, IdPath, JsonBody, Query};

needs! {
    /// Sharing projects.
    MembersInvite { LEAF = "projects.members.invite" }
    /// Changing what others may do in a project.
    MembersChange { LEAF = "projects.members.change_roles" }
    /// Ending a share.
    MembersRemove { LEAF = "projects.members.remove" }
}

const NOT_FOUND: Error =
    Error::NotFound { code: "RESOURCE_NOT_FOUND", message: "Project permission not found" };
const USER_NOT_FOUND: Error = Error::NotFound { code: "USER_NOT_FOUND", message: "User not found" };

/// Who else may reach a project, a page at a time
#[utoipa::path(get, path = "/api/v1/projects/{id}/permissions", operation_id = "list_project_permissions",
    tag = "projects", params(("id" = ProjectId, Path), ("page" = Option<u32>, Query),
    ("limit" = Option<u32>, Query, description = "At most 100; 10 unless told"),
    ("sort_by" = Option<String>, Query, description = "created_at, id, user_id, permission_level, updated_at"),
    ("sort_order" = Option<String>, Query, description = "desc or asc")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::PermissionList>),
    (status = 404, body = wire::ErrorBody)))]
pub async fn list_project_permissions(
    State(projects): State<Arc<Projects>>,
    caller: Caller<ProjectsRead>,
    IdPath(id): IdPath<noun::Project>,
    query: Query,
) -> Result<Answer<wire::PermissionList>, Error> {
    let page = Page::read(&query, &store::SORT_COLUMNS)?;
    find_visible(&projects.db, &caller, id).await?;
    let total = store::count_members(&projects.db, id).await?.unsigned_abs();
    let permissions = store::list_members(&projects.db, id, &page).await?;
    let list = wire::PermissionList { permissions, pagination: page.of_total(total) };
    Ok(Answer::ok("Project permissions retrieved successfully", list))
}

/// Shares a project with another account
#[utoipa::path(post, path = "/api/v1/projects/{id}/permissions", operation_id = "grant_project_permission",
    tag = "projects", params(("id" = ProjectId, Path)), request_body = wire::CreateMember,
    security(("bearer" = [])), responses((status = 201, body = wire::Envelope<ProjectMember>),
    (status = 403, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody),
    (status = 409, body = wire::ErrorBody)))]
pub async fn grant_project_permission(
    State(projects): State<Arc<Projects>>,
    caller: Caller<MembersInvite>,
    IdPath(id): IdPath<noun::Project>,
    JsonBody(body): JsonBody,
) -> Result<Answer<ProjectMember>, Error> {
    let new = NewMember::parse(&body)?;
    let (mut mutation, _) = begin_on(&projects, &caller, id).await?;
    let project = find_target(&mut mutation, &caller, id, PermissionLevel::Edit).await?;
    require_within(&project, new.level)?;
    if new.user_id == project.owner {
        return Err(already_exists("The project belongs to this user"));
    }
    let user = store::find_user(&mut mutation.tx, new.user_id).await?.ok_or(USER_NOT_FOUND)?;
    if store::count_members(&mut mutation.tx, id).await? >= MAX_MEMBERS {
        return Err(limit_reached(format!("A project is shared with at most {MAX_MEMBERS} users")));
    }
    let member = ProjectMember {
        id: projects.clock.new_id(),
        project_id: id,
        user_id: new.user_id,
        permission_level: new.level,
        created_at: mutation.now,
        updated_at: mutation.now,
        user: Some(user),
    };
    if !store::insert_member(&mut mutation.tx, &member).await? {
        return Err(already_exists("The project is already shared with this user"));
    }
    mutation.tell(told("project.permission.granted", &project, &member));
    mutation.commit().await?;
    Ok(Answer::created("Project permission granted successfully", member))
}

/// Changes what another account may do with a project
#[utoipa::path(method(put, patch), path = "/api/v1/projects/{id}/permissions/{permission_id}",
    operation_id = "update_project_permission", tag = "projects",
    params(("id" = ProjectId, Path), ("permission_id" = MemberId, Path)), request_body = wire::UpdateMember,
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<ProjectMember>),
    (status = 403, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody)))]
pub async fn update_project_permission(
    State(projects): State<Arc<Projects>>,
    caller: Caller<MembersChange>,
    TwoIds(id, permission_id): TwoIds<noun::Project, noun::Member>,
    JsonBody(body): JsonBody,
) -> Result<Answer<ProjectMember>, Error> {
    let level = parse_new_level(&body)?;
    let (mut mutation, _) = begin_on(&projects, &caller, id).await?;
    let (project, mut member) = find_member(&mut mutation, &caller, id, permission_id).await?;
    require_within(&project, level)?;
    if member.permission_level != level {
        member.permission_level = level;
        member.updated_at = mutation.now;
        if !store::update_member(&mut mutation.tx, id, permission_id, level, member.updated_at).await? {
            return Err(NOT_FOUND);
        }
        mutation.tell(told("project.permission.updated", &project, &member));
        mutation.commit().await?;
    }
    Ok(Answer::ok("Project permission updated successfully", member))
}

/// Ends the sharing of a project with another account
#[utoipa::path(delete, path = "/api/v1/projects/{id}/permissions/{permission_id}",
    operation_id = "revoke_project_permission", tag = "projects",
    params(("id" = ProjectId, Path), ("permission_id" = MemberId, Path)), security(("bearer" = [])),
    responses((status = 200, body = hoody_engine::web::envelope::Done), (status = 403, body = wire::ErrorBody),
    (status = 404, body = wire::ErrorBody)))]
pub async fn revoke_project_permission(
    State(projects): State<Arc<Projects>>,
    caller: Caller<MembersRemove>,
    TwoIds(id, permission_id): TwoIds<noun::Project, noun::Member>,
) -> Result<Answer<()>, Error> {
    let (mut mutation, _) = begin_on(&projects, &caller, id).await?;
    let (project, member) = find_member(&mut mutation, &caller, id, permission_id).await?;
    if !store::delete_member(&mut mutation.tx, id, permission_id).await? {
        return Err(NOT_FOUND);
    }
    mutation.tell(told("project.permission.revoked", &project, &member));
    mutation.commit().await?;
    Ok(Answer::ok("Project permission revoked successfully", ()))
}

/// The member that is to be changed, and its project; the caller has at least the member's level.
async fn find_member(
    mutation: &mut Mutation,
    caller: &AnyCaller,
    id: ProjectId,
    permission_id: MemberId,
) -> Result<(Project, ProjectMember), Error> {
    let project = find_target(mutation, caller, id, PermissionLevel::Edit).await?;
    let member = store::find_member(&mut mutation.tx, id, permission_id).await?.ok_or(NOT_FOUND)?;
    require_within(&project, member.permission_level)?;
    Ok((project, member))
}

/// Refuses a level that the caller does not have itself.
fn require_within(project: &Project, level: PermissionLevel) -> Result<(), Error> {
    if project.access.includes(level) {
        return Ok(());
    }
    Err(forbidden(&format!("{level} is more than you have in this project yourself")))
}

fn already_exists(message: &str) -> Error {
    Error::Conflict { code: "RESOURCE_ALREADY_EXISTS", message: message.to_owned() }
}

fn told(event: &'static str, project: &Project, member: &ProjectMember) -> Change {
    let payload = serde_json::json!({
        "project_id": project.id,
        "user_id": member.user_id,
        "permission_level": member.permission_level,
    });
    let change = Change::new(event, project.owner, "project_permission", member.id);
    change.in_realms(&project.realm_ids).with(payload)
}
