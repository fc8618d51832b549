//! The statements on `projects` and `project_realms`.
//!
//! A project comes with its realms in one statement, a row for each realm, so that no reader sees the
//! one without the other. Writers hold the owner's account.

use hoody_core::id::{ContainerId, ProjectId, RealmId, UserId};
use hoody_core::wire::DeletedContainer;

use super::{Access, Project};
use hoody_engine::db::{DbError, On, Row, Tx, args};
use hoody_engine::web::paging::Page;

/// `$1` is the account that looks.
macro_rules! project {
    ($($tail:expr),+) => {
        concat!(
            "SELECT p.id, p.user_id, p.alias, p.color, p.max_containers, p.is_default, p.created_at, \
             p.updated_at, m.permission_level, r.realm_id FROM projects p \
             LEFT JOIN project_members m ON m.project_id = p.id AND m.user_id = $1 \
             LEFT JOIN project_realms r ON r.project_id = p.id ",
            $($tail),+
        )
    };
}
/// The projects `v` that the account `$1` owns or shares, in the realm `$2` if that is given.
macro_rules! visible {
    () => {
        "FROM projects v WHERE v.id IN (SELECT o.id FROM projects o WHERE o.user_id = $1 \
         UNION SELECT s.project_id FROM project_members s WHERE s.user_id = $1) \
         AND ($2 IS NULL OR EXISTS (SELECT 1 FROM project_realms c WHERE c.project_id = v.id \
         AND c.realm_id = $2))"
    };
}
macro_rules! page {
    ($column:literal, $order:literal) => {
        project!(
            "WHERE p.id IN (SELECT v.id ",
            visible!(),
            " ORDER BY v.",
            $column,
            " ",
            $order,
            ", v.id ",
            $order,
            " LIMIT $3 OFFSET $4) ORDER BY p.",
            $column,
            " ",
            $order,
            ", p.id ",
            $order,
            ", r.place"
        )
    };
}
const BY_ID: &str =
    project!("WHERE p.id = $2 AND (p.user_id = $1 OR m.user_id IS NOT NULL) ORDER BY r.place");
const COUNT_VISIBLE: &str = concat!("SELECT COUNT(*) AS n ", visible!());
const COUNT_OWN: &str = "SELECT COUNT(*) AS n FROM projects WHERE user_id = $1";
const INSERT: &str = "INSERT INTO projects (id, user_id, alias, color, max_containers, is_default, \
     created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id";
const UPDATE: &str = "UPDATE projects SET alias = $3, color = $4, max_containers = $5, updated_at = $6 \
     WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM projects o WHERE o.user_id = $2 AND o.alias = $3 \
     AND o.id <> $1)";
const DELETE: &str = "DELETE FROM projects WHERE id = $1";
const DELETE_REALMS: &str = "DELETE FROM project_realms WHERE project_id = $1";
const INSERT_REALM: &str =
    "INSERT INTO project_realms (project_id, realm_id, user_id, place) VALUES ($1, $2, $3, $4)";

/// The wing of containers has this table; a project takes its containers with it.
const CONTAINERS: &str = "SELECT id, name FROM containers WHERE project_id = $1 ORDER BY created_at, id";

/// What a list of projects can be sorted by; the first unless told.
pub const SORT_COLUMNS: [&str; 4] = ["created_at", "id", "alias", "updated_at"];

fn page_statement(page: &Page) -> &'static str {
    match (page.sort_by, page.is_ascending) {
        ("id", true) => page!("id", "ASC"),
        ("id", false) => page!("id", "DESC"),
        ("alias", true) => page!("alias", "ASC"),
        ("alias", false) => page!("alias", "DESC"),
        ("updated_at", true) => page!("updated_at", "ASC"),
        ("updated_at", false) => page!("updated_at", "DESC"),
        (_, true) => page!("created_at", "ASC"),
        (_, false) => page!("created_at", "DESC"),
    }
}

/// The project `id`, if it belongs to `account` or is shared with it.
pub async fn find_project(
    on: impl Into<On<'_>>,
    account: UserId,
    id: ProjectId,
) -> Result<Option<Project>, DbError> {
    let rows = on.into().list(BY_ID, args![account, id]).await?;
    Ok(read_all(rows, account).await?.pop())
}

/// One page of the projects that `account` owns or shares, in `realm` if that is given.
pub async fn list_projects(
    on: impl Into<On<'_>>,
    account: UserId,
    realm: Option<RealmId>,
    page: &Page,
) -> Result<Vec<Project>, DbError> {
    let rows = on.into().list(page_statement(page), args![account, realm, page.limit, page.offset()]).await?;
    read_all(rows, account).await
}

/// How many projects `account` owns or shares, in `realm` if that is given.
pub async fn count_visible(
    on: impl Into<On<'_>>,
    account: UserId,
    realm: Option<RealmId>,
) -> Result<u64, DbError> {
    Ok(on.into().one(COUNT_VISIBLE, args![account, realm]).await?.get::<i64>("n")?.unsigned_abs())
}

/// How many projects `account` owns.
pub async fn count_own(on: impl Into<On<'_>>, account: UserId) -> Result<i64, DbError> {
    on.into().one(COUNT_OWN, args![account]).await?.get("n")
}

/// Adds a project; false when its owner has one of that alias.
pub async fn insert_project(tx: &mut Tx, project: &Project) -> Result<bool, DbError> {
    let row = args![
        project.id,
        project.owner,
        &project.alias,
        &project.color,
        project.max_containers,
        project.is_default,
        project.created_at,
        project.updated_at,
    ];
    if On::from(&mut *tx).find(INSERT, row).await?.is_none() {
        return Ok(false);
    }
    insert_realms(tx, project).await?;
    Ok(true)
}

/// Writes everything about a project that can change; false when its owner has another of that alias.
pub async fn update_project(tx: &mut Tx, before: &Project, project: &Project) -> Result<bool, DbError> {
    let row = args![
        project.id,
        project.owner,
        &project.alias,
        &project.color,
        project.max_containers,
        project.updated_at,
    ];
    if tx.execute(UPDATE, row).await? == 0 {
        return Ok(false);
    }
    if project.realm_ids != before.realm_ids {
        tx.execute(DELETE_REALMS, args![project.id]).await?;
        insert_realms(tx, project).await?;
    }
    Ok(true)
}

/// Deletes a project with its realms and members; false when it was gone.
pub async fn delete_project(tx: &mut Tx, id: ProjectId) -> Result<bool, DbError> {
    Ok(tx.execute(DELETE, args![id]).await? == 1)
}

/// The containers of a project, as they are told when it is deleted.
pub async fn list_containers(on: impl Into<On<'_>>, id: ProjectId) -> Result<Vec<DeletedContainer>, DbError> {
    let rows = on.into().list(CONTAINERS, args![id]).await?;
    let read = |row: &Row| {
        let container: ContainerId = row.get("id")?;
        Ok(DeletedContainer { id: container.to_string(), name: row.get("name")? })
    };
    rows.iter().map(read).collect()
}

async fn insert_realms(tx: &mut Tx, project: &Project) -> Result<(), DbError> {
    for (place, realm) in (0_i64..).zip(&project.realm_ids) {
        tx.execute(INSERT_REALM, args![project.id, *realm, project.owner, place]).await?;
    }
    Ok(())
}

/// Folds the rows of each project, which follow one another, into one.
/// There is a row for each realm of each project: others have a turn in between.
async fn read_all(rows: Vec<Row>, account: UserId) -> Result<Vec<Project>, DbError> {
    let mut projects: Vec<Project> = Vec::new();
    for (n, row) in rows.into_iter().enumerate() {
        if n % 256 == 255 {
            tokio::task::yield_now().await;
        }
        let id: ProjectId = row.get("id")?;
        if projects.last().is_none_or(|last| last.id != id) {
            projects.push(read(&row, id, account)?);
        }
        let realm: Option<RealmId> = row.get("realm_id")?;
        if let (Some(realm), Some(project)) = (realm, projects.last_mut()) {
            project.realm_ids.push(realm);
        }
    }
    Ok(projects)
}

fn read(row: &Row, id: ProjectId, account: UserId) -> Result<Project, DbError> {
    let owner: UserId = row.get("user_id")?;
    let access = if owner == account {
        Access::Owner
    } else {
        Access::Member(row.parse("permission_level", |word| word.parse().ok())?)
    };
    Ok(Project {
        id,
        owner,
        alias: row.get("alias")?,
        color: row.get("color")?,
        max_containers: row.get("max_containers")?,
        is_default: row.get("is_default")?,
        realm_ids: Vec::new(),
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        access,
    })
}
