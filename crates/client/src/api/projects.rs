//! Projects and who else may reach them (`contract/projects.md`).

use std::fmt;

use hoody_core::id::{MemberId, ProjectId, RealmId};
use hoody_core::wire::{
    CreateMember, CreateProject, DeletedProject, PermissionList, Project, ProjectList, ProjectMember,
    ProjectStats, UpdateMember, UpdateProject,
};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// The routes below `/projects`: [`Client::projects`].
///
/// ```no_run
/// # use hoody_client::{Client, wire::CreateProject};
/// # async fn example(client: Client) -> Result<(), hoody_client::Error> {
/// let project = client.projects().create(&CreateProject { alias: "web".into(), ..CreateProject::default() }).await?;
/// let members = client.projects().permissions(project.id).list(&Default::default()).await?;
/// client.projects().delete(project.id, false).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Projects<'a>(&'a Client);

/// The routes below `/projects/{id}/permissions`: [`Projects::permissions`].
#[derive(Debug, Clone, Copy)]
pub struct Members<'a> {
    client: &'a Client,
    project: ProjectId,
}

/// Which page of the projects. What is left out is the server's to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectQuery {
    /// From 1.
    pub page: Option<u32>,
    /// How many a page holds, at most 100.
    pub limit: Option<u32>,
    /// `id`, `alias`, `created_at` or `updated_at`.
    pub sort_by: Option<String>,
    /// Which end first.
    pub sort_order: Option<SortOrder>,
    /// Only those in this realm.
    pub realm_id: Option<RealmId>,
}

/// Which page of a project's members. What is left out is the server's to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberQuery {
    /// From 1.
    pub page: Option<u32>,
    /// How many a page holds, at most 100.
    pub limit: Option<u32>,
    /// `id`, `user_id`, `permission_level`, `created_at` or `updated_at`.
    pub sort_by: Option<String>,
    /// Which end first.
    pub sort_order: Option<SortOrder>,
}

/// Which end of a sorted list comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortOrder {
    /// The smallest, the oldest.
    Ascending,
    /// The largest, the newest.
    Descending,
}

impl fmt::Display for SortOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        })
    }
}

impl Client {
    /// The routes below `/projects`.
    #[must_use]
    pub fn projects(&self) -> Projects<'_> {
        Projects(self)
    }
}

impl<'a> Projects<'a> {
    /// `GET /projects/`: a page of one's own projects and those shared with one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, query: &ProjectQuery) -> Result<ProjectList, Error> {
        Call::get("projects")
            .query("page", query.page)
            .query("limit", query.limit)
            .query("sort_by", query.sort_by.as_ref())
            .query("sort_order", query.sort_order)
            .query("realm_id", query.realm_id)
            .send(self.0)
            .await
    }

    /// `POST /projects/`.
    ///
    /// # Errors
    /// `DUPLICATE_ALIAS` and the others of `contract/projects.md`.
    pub async fn create(&self, project: &CreateProject) -> Result<Project, Error> {
        Call::post("projects").json(project).send(self.0).await
    }

    /// `GET /projects/{id}`, with its members when `include_permissions`.
    ///
    /// # Errors
    /// `PROJECT_NOT_FOUND`.
    pub async fn get(&self, id: ProjectId, include_permissions: bool) -> Result<Project, Error> {
        let included = include_permissions.then_some(true);
        Call::get("projects").at(id).query("include_permissions", included).send(self.0).await
    }

    /// `PUT /projects/{id}`.
    ///
    /// # Errors
    /// `PROJECT_NOT_FOUND`, `INSUFFICIENT_PERMISSIONS`, `DUPLICATE_ALIAS`.
    pub async fn update(&self, id: ProjectId, change: &UpdateProject) -> Result<Project, Error> {
        Call::put("projects").at(id).json(change).send(self.0).await
    }

    /// `DELETE /projects/{id}`: with all that is in it, listed when `include_deleted_items`.
    ///
    /// # Errors
    /// `PROJECT_NOT_FOUND`, `INSUFFICIENT_PERMISSIONS`; 403 for the default project.
    pub async fn delete(&self, id: ProjectId, include_deleted_items: bool) -> Result<DeletedProject, Error> {
        let included = include_deleted_items.then_some(true);
        Call::delete("projects").at(id).query("include_deleted_items", included).send(self.0).await
    }

    /// `GET /projects/{id}/stats`.
    ///
    /// # Errors
    /// `PROJECT_NOT_FOUND`.
    pub async fn stats(&self, id: ProjectId) -> Result<ProjectStats, Error> {
        Call::get("projects").at(id).at("stats").send(self.0).await
    }

    /// Who else may reach this project.
    #[must_use]
    pub fn permissions(&self, project: ProjectId) -> Members<'a> {
        Members { client: self.0, project }
    }
}

impl Members<'_> {
    /// `GET /projects/{id}/permissions`.
    ///
    /// # Errors
    /// `PROJECT_NOT_FOUND`.
    pub async fn list(&self, query: &MemberQuery) -> Result<PermissionList, Error> {
        self.route(Call::get("projects"))
            .query("page", query.page)
            .query("limit", query.limit)
            .query("sort_by", query.sort_by.as_ref())
            .query("sort_order", query.sort_order)
            .send(self.client)
            .await
    }

    /// `POST /projects/{id}/permissions`.
    ///
    /// # Errors
    /// `USER_NOT_FOUND`, `RESOURCE_ALREADY_EXISTS`, `INSUFFICIENT_PERMISSIONS`.
    pub async fn create(&self, member: &CreateMember) -> Result<ProjectMember, Error> {
        self.route(Call::post("projects")).json(member).send(self.client).await
    }

    /// `PUT /projects/{id}/permissions/{permission}`.
    ///
    /// # Errors
    /// `RESOURCE_NOT_FOUND`, `INSUFFICIENT_PERMISSIONS`.
    pub async fn update(&self, permission: MemberId, change: &UpdateMember) -> Result<ProjectMember, Error> {
        self.route(Call::put("projects")).at(permission).json(change).send(self.client).await
    }

    /// `DELETE /projects/{id}/permissions/{permission}`.
    ///
    /// # Errors
    /// `RESOURCE_NOT_FOUND`, `INSUFFICIENT_PERMISSIONS`.
    pub async fn delete(&self, permission: MemberId) -> Result<(), Error> {
        self.route(Call::delete("projects")).at(permission).done(self.client).await
    }

    fn route(&self, call: Call) -> Call {
        call.at(self.project).at("permissions")
    }
}
