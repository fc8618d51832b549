//! The statements on `project_members`. Writers hold the account of the project's owner.

use hoody_core::id::{MemberId, ProjectId, UserId};
use hoody_core::time::Timestamp;
use hoody_core::wire::{MemberUser, PermissionLevel, ProjectMember};

use hoody_engine::db::{DbError, On, Row, Tx, args};
use hoody_engine::web::paging::Page;
use hoody_engine::work;

macro_rules! member {
    ($($tail:expr),+) => {
        concat!(
            "SELECT m.id, m.project_id, m.user_id, m.permission_level, m.created_at, m.updated_at, \
             u.username, u.alias FROM project_members m JOIN users u ON u.id = m.user_id \
             WHERE m.project_id = $1 ",
            $($tail),+
        )
    };
}
macro_rules! page {
    ($key:literal, $order:literal) => {
        member!("ORDER BY ", $key, " ", $order, ", m.id ", $order, " LIMIT $2 OFFSET $3")
    };
}
/// Levels sort by what they allow, not by their letters.
macro_rules! by_level {
    ($order:literal) => {
        page!("CASE m.permission_level WHEN 'read' THEN 1 WHEN 'edit' THEN 2 ELSE 3 END", $order)
    };
}
const ALL: &str = member!("ORDER BY m.created_at, m.id");
const BY_ID: &str = member!("AND m.id = $2");
const COUNT: &str = "SELECT COUNT(*) AS n FROM project_members WHERE project_id = $1";
const FIND_USER: &str = "SELECT id, username, alias FROM users WHERE id = $1";
const INSERT: &str = "INSERT INTO project_members (id, project_id, user_id, permission_level, created_at, \
     updated_at) VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING RETURNING id";
const UPDATE: &str =
    "UPDATE project_members SET permission_level = $3, updated_at = $4 WHERE id = $1 AND project_id = $2";
const DELETE: &str = "DELETE FROM project_members WHERE id = $1 AND project_id = $2";

/// What a list of members can be sorted by; the first unless told.
pub const SORT_COLUMNS: [&str; 5] = ["created_at", "id", "user_id", "permission_level", "updated_at"];

fn page_statement(page: &Page) -> &'static str {
    match (page.sort_by, page.is_ascending) {
        ("id", true) => page!("m.id", "ASC"),
        ("id", false) => page!("m.id", "DESC"),
        ("user_id", true) => page!("m.user_id", "ASC"),
        ("user_id", false) => page!("m.user_id", "DESC"),
        ("permission_level", true) => by_level!("ASC"),
        ("permission_level", false) => by_level!("DESC"),
        ("updated_at", true) => page!("m.updated_at", "ASC"),
        ("updated_at", false) => page!("m.updated_at", "DESC"),
        (_, true) => page!("m.created_at", "ASC"),
        (_, false) => page!("m.created_at", "DESC"),
    }
}

/// One page of a project's members.
pub async fn list_members(
    on: impl Into<On<'_>>,
    project: ProjectId,
    page: &Page,
) -> Result<Vec<ProjectMember>, DbError> {
    let rows = on.into().list(page_statement(page), args![project, page.limit, page.offset()]).await?;
    work::each(rows, read).await
}

/// All of a project's members, the oldest first: at most [`MAX_MEMBERS`](crate::projects::MAX_MEMBERS).
pub async fn list_all(on: impl Into<On<'_>>, project: ProjectId) -> Result<Vec<ProjectMember>, DbError> {
    work::each(on.into().list(ALL, args![project]).await?, read).await
}

pub async fn count_members(on: impl Into<On<'_>>, project: ProjectId) -> Result<i64, DbError> {
    on.into().one(COUNT, args![project]).await?.get("n")
}

/// The member `id` of this project.
pub async fn find_member(
    on: impl Into<On<'_>>,
    project: ProjectId,
    id: MemberId,
) -> Result<Option<ProjectMember>, DbError> {
    on.into().find(BY_ID, args![project, id]).await?.map(|row| read(&row)).transpose()
}

/// As much of an account as those who share a project with it may know.
pub async fn find_user(on: impl Into<On<'_>>, id: UserId) -> Result<Option<MemberUser>, DbError> {
    let row = on.into().find(FIND_USER, args![id]).await?;
    row.map(|row| Ok(MemberUser { id, username: row.get("username")?, alias: row.get("alias")? })).transpose()
}

/// Adds a member; false when the account is one already.
pub async fn insert_member(tx: &mut Tx, member: &ProjectMember) -> Result<bool, DbError> {
    let row = args![
        member.id,
        member.project_id,
        member.user_id,
        member.permission_level.as_str(),
        member.created_at,
    ];
    Ok(On::from(tx).find(INSERT, row).await?.is_some())
}

/// Gives a member another level; false when there is no such member.
pub async fn update_member(
    tx: &mut Tx,
    project: ProjectId,
    id: MemberId,
    level: PermissionLevel,
    now: Timestamp,
) -> Result<bool, DbError> {
    Ok(tx.execute(UPDATE, args![id, project, level.as_str(), now]).await? == 1)
}

/// Removes a member; false when it was gone.
pub async fn delete_member(tx: &mut Tx, project: ProjectId, id: MemberId) -> Result<bool, DbError> {
    Ok(tx.execute(DELETE, args![id, project]).await? == 1)
}

fn read(row: &Row) -> Result<ProjectMember, DbError> {
    let user_id: UserId = row.get("user_id")?;
    Ok(ProjectMember {
        id: row.get("id")?,
        project_id: row.get("project_id")?,
        user_id,
        permission_level: row.parse("permission_level", |word| word.parse().ok())?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        user: Some(MemberUser { id: user_id, username: row.get("username")?, alias: row.get("alias")? }),
    })
}
