//! The statements on `containers`, `container_realms` and `project_proxies`.
//!
//! A container comes with its realms in one statement, a row for each realm. Who changes one on behalf of a caller
//! holds the owner's account; the server's own writes are conditional on the operation that they end.

pub mod snapshots;

use hoody_core::container::Status;
use hoody_core::id::{ContainerId, ProjectId, RealmId, UserId};
use hoody_core::time::Timestamp;
use hoody_engine::db::{DbError, On, Row, Tx, args};
use hoody_engine::keys::sealed::{KeyColumn, Sealed, Value};
use hoody_engine::web::paging::Page;

use crate::model::{Container, OperationId, Task};

macro_rules! container {
    ($($tail:expr),+) => {
        concat!(
            "SELECT c.id, c.project_id, p.alias AS project_alias, c.user_id, c.server, c.name, c.color, c.comment, \
             c.image, c.ssh_public_key, c.ai, c.hoody_kit, c.dev_kit, c.autostart, c.ramdisk, c.ramdisk_scope, \
             c.environment, c.status, c.status_reason, c.task, c.operation, c.task_since, c.task_snapshot, \
             c.last_used_snapshot, c.proxy_default, x.proxy_default AS project_proxy, c.created_at, c.updated_at, \
             (SELECT COUNT(*) FROM container_snapshots s WHERE s.container_id = c.id AND s.image IS NOT NULL) \
             AS snapshots, r.realm_id FROM containers c JOIN projects p ON p.id = c.project_id \
             LEFT JOIN project_proxies x ON x.project_id = c.project_id \
             LEFT JOIN container_realms r ON r.container_id = c.id ",
            $($tail),+
        )
    };
}
/// The containers `v` of projects that the account `$1` owns or shares; in the realm `$2` and in the project `$3` if
/// those are given; with those about to be removed if `$4`.
macro_rules! visible {
    () => {
        "FROM containers v WHERE v.project_id IN (SELECT o.id FROM projects o WHERE o.user_id = $1 \
         UNION SELECT m.project_id FROM project_members m WHERE m.user_id = $1) \
         AND ($2 IS NULL OR EXISTS (SELECT 1 FROM container_realms i WHERE i.container_id = v.id \
         AND i.realm_id = $2)) AND ($3 IS NULL OR v.project_id = $3) AND ($4 OR v.status <> 'deleting')"
    };
}
macro_rules! page {
    ($column:literal, $order:literal) => {
        container!(
            "WHERE c.id IN (SELECT v.id ",
            visible!(),
            " ORDER BY v.",
            $column,
            " ",
            $order,
            ", v.id ",
            $order,
            " LIMIT $5 OFFSET $6) ORDER BY c.",
            $column,
            " ",
            $order,
            ", c.id ",
            $order,
            ", r.place"
        )
    };
}
const BY_ID: &str = container!("WHERE c.id = $1 ORDER BY r.place");
const DUE: &str =
    container!("WHERE c.server = $1 AND c.task IS NOT NULL ORDER BY c.task_since, c.id, r.place");
const OF_SERVER: &str = container!("WHERE c.server = $1 ORDER BY c.id, r.place");
const COUNT_VISIBLE: &str = concat!("SELECT COUNT(*) AS n ", visible!());
const COUNT_PROJECT: &str = "SELECT COUNT(*) AS n FROM containers WHERE project_id = $1";
const COUNT_SERVER: &str = "SELECT COUNT(*) AS n FROM containers WHERE server = $1";
const NAMED: &str = "SELECT id FROM containers WHERE project_id = $1 AND name = $2 AND id <> $3";
const INSERT: &str = "INSERT INTO containers (id, project_id, user_id, server, name, color, comment, image, \
     ssh_public_key, ai, hoody_kit, dev_kit, autostart, ramdisk, ramdisk_scope, environment, status, task, \
     operation, task_since, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
     $13, $14, $15, $16, 'creating', 'create', $17, $18, $18, $18) ON CONFLICT DO NOTHING RETURNING id";
const UPDATE: &str = "UPDATE containers SET name = $2, color = $3, comment = $4, ssh_public_key = $5, ai = $6, \
     autostart = $7, ramdisk = $8, ramdisk_scope = $9, environment = $10, updated_at = $11 WHERE id = $1 \
     AND NOT EXISTS (SELECT 1 FROM containers o WHERE o.ssh_public_key = $5 AND o.id <> $1)";
const INSERT_REALM: &str = "INSERT INTO container_realms (container_id, realm_id, place) VALUES ($1, $2, $3)";
const DELETE_REALMS: &str = "DELETE FROM container_realms WHERE container_id = $1";
const SET_TASK: &str = "UPDATE containers SET task = $2, operation = $3, task_since = $4, task_snapshot = $5, \
     status = $6, status_reason = NULL, updated_at = $4 WHERE id = $1";
const FINISH: &str = "UPDATE containers SET task = NULL, task_snapshot = NULL, status = $3, status_reason = $4, \
     last_used_snapshot = COALESCE($5, last_used_snapshot), updated_at = $6 \
     WHERE id = $1 AND operation = $2 AND task IS NOT NULL";
/// Only while nothing is to be done, and nothing was asked for since the row was read.
const OBSERVE: &str = "UPDATE containers SET status = $4, status_reason = $5, updated_at = $6 \
     WHERE id = $1 AND operation = $2 AND status = $3 AND task IS NULL";
const DELETE: &str = "DELETE FROM containers WHERE id = $1 AND operation = $2";
const SET_PROXY: &str = "UPDATE containers SET proxy_default = $2, updated_at = $3 WHERE id = $1";
const SET_PROJECT_PROXY: &str = "INSERT INTO project_proxies (project_id, proxy_default, updated_at) \
     VALUES ($1, $2, $3) ON CONFLICT (project_id) DO UPDATE SET proxy_default = excluded.proxy_default, \
     updated_at = excluded.updated_at";
const IS_BANNED: &str = "SELECT is_banned FROM users WHERE id = $1";

/// What a list of containers can be sorted by; the first unless told.
pub const SORT_COLUMNS: [&str; 5] = ["created_at", "id", "name", "status", "updated_at"];

fn page_statement(page: &Page) -> &'static str {
    match (page.sort_by, page.is_ascending) {
        ("id", true) => page!("id", "ASC"),
        ("id", false) => page!("id", "DESC"),
        ("name", true) => page!("name", "ASC"),
        ("name", false) => page!("name", "DESC"),
        ("status", true) => page!("status", "ASC"),
        ("status", false) => page!("status", "DESC"),
        ("updated_at", true) => page!("updated_at", "ASC"),
        ("updated_at", false) => page!("updated_at", "DESC"),
        (_, true) => page!("created_at", "ASC"),
        (_, false) => page!("created_at", "DESC"),
    }
}

/// Which containers an account lists.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    pub account: UserId,
    pub realm: Option<RealmId>,
    pub project: Option<ProjectId>,
    pub with_deleting: bool,
}

/// The container `id`, whoever asks.
pub async fn find(on: impl Into<On<'_>>, id: ContainerId) -> Result<Option<Container>, DbError> {
    Ok(read_all(on.into().list(BY_ID, args![id]).await?).await?.pop())
}

/// One page of what an account lists.
pub async fn list(on: impl Into<On<'_>>, listed: &Listed, page: &Page) -> Result<Vec<Container>, DbError> {
    let Listed { account, realm, project, with_deleting } = *listed;
    let args = args![account, realm, project, with_deleting, page.limit, page.offset()];
    read_all(on.into().list(page_statement(page), args).await?).await
}

/// How many containers an account lists.
pub async fn count(on: impl Into<On<'_>>, listed: &Listed) -> Result<u64, DbError> {
    let Listed { account, realm, project, with_deleting } = *listed;
    let row = on.into().one(COUNT_VISIBLE, args![account, realm, project, with_deleting]).await?;
    Ok(row.get::<i64>("n")?.unsigned_abs())
}

/// The containers of a server for which there is something to do.
pub async fn list_due(on: impl Into<On<'_>>, server: &str) -> Result<Vec<Container>, DbError> {
    read_all(on.into().list(DUE, args![server]).await?).await
}

/// Every container of a server.
pub async fn list_of_server(on: impl Into<On<'_>>, server: &str) -> Result<Vec<Container>, DbError> {
    read_all(on.into().list(OF_SERVER, args![server]).await?).await
}

/// How many containers a project has, and how many a server has.
pub async fn count_each(tx: &mut Tx, project: ProjectId, server: &str) -> Result<(i64, i64), DbError> {
    let of_project = On::from(&mut *tx).one(COUNT_PROJECT, args![project]).await?.get("n")?;
    Ok((of_project, On::from(tx).one(COUNT_SERVER, args![server]).await?.get("n")?))
}

/// Whether the project has another container of this name.
pub async fn is_name_taken(tx: &mut Tx, container: &Container) -> Result<bool, DbError> {
    let found = On::from(tx).find(NAMED, args![container.project, &container.name, container.id]).await?;
    Ok(found.is_some())
}

/// Whether the account is banned; one that is gone counts as banned.
pub async fn is_banned(on: impl Into<On<'_>>, account: UserId) -> Result<bool, DbError> {
    on.into().find(IS_BANNED, args![account]).await?.map_or(Ok(true), |row| row.get("is_banned"))
}

/// Adds a container that is to be made; false when its SSH key is another's.
pub async fn insert(tx: &mut Tx, container: &Container) -> Result<bool, DbError> {
    let row = args![
        container.id,
        container.project,
        container.owner,
        &container.server,
        &container.name,
        &container.color,
        container.comment.clone(),
        &container.image,
        container.ssh_public_key.clone(),
        container.ai,
        container.hoody_kit,
        container.dev_kit,
        container.autostart,
        container.ramdisk,
        &container.ramdisk_scope,
        container.environment.clone(),
        container.operation,
        container.created_at,
    ];
    if On::from(&mut *tx).find(INSERT, row).await?.is_none() {
        return Ok(false);
    }
    insert_realms(tx, container).await?;
    Ok(true)
}

/// Writes everything about a container that people can change; false when its SSH key is another's.
pub async fn update(tx: &mut Tx, before: &Container, container: &Container) -> Result<bool, DbError> {
    let row = args![
        container.id,
        &container.name,
        &container.color,
        container.comment.clone(),
        container.ssh_public_key.clone(),
        container.ai,
        container.autostart,
        container.ramdisk,
        &container.ramdisk_scope,
        container.environment.clone(),
        container.updated_at,
    ];
    if tx.execute(UPDATE, row).await? == 0 {
        return Ok(false);
    }
    if container.realm_ids != before.realm_ids {
        tx.execute(DELETE_REALMS, args![container.id]).await?;
        insert_realms(tx, container).await?;
    }
    Ok(true)
}

async fn insert_realms(tx: &mut Tx, container: &Container) -> Result<(), DbError> {
    for (place, realm) in (0_i64..).zip(&container.realm_ids) {
        tx.execute(INSERT_REALM, args![container.id, *realm, place]).await?;
    }
    Ok(())
}

/// Gives the server something to do: the container's `task`, `operation`, `task_since`, `task_snapshot` and `status`.
pub async fn set_task(tx: &mut Tx, container: &Container) -> Result<(), DbError> {
    let row = args![
        container.id,
        container.task.map(|task| task.as_str().to_owned()),
        container.operation,
        container.task_since,
        container.task_snapshot.clone(),
        container.status.as_str(),
    ];
    tx.execute(SET_TASK, row).await.map(drop)
}

/// Notes the result of a task; false when another operation has replaced it.
pub async fn finish(tx: &mut Tx, container: &Container, now: Timestamp) -> Result<bool, DbError> {
    let row = args![
        container.id,
        container.operation,
        container.status.as_str(),
        container.status_reason.clone(),
        container.last_used_snapshot.clone(),
        now,
    ];
    Ok(tx.execute(FINISH, row).await? == 1)
}

/// Notes what the engine shows of a container for which there is nothing to do; false when that has changed.
pub async fn observe(
    tx: &mut Tx,
    container: &Container,
    status: Status,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<bool, DbError> {
    let reason = reason.map(str::to_owned);
    let row =
        args![container.id, container.operation, container.status.as_str(), status.as_str(), reason, now];
    Ok(tx.execute(OBSERVE, row).await? == 1)
}

/// Removes a container's row; false when another operation has replaced its removal.
pub async fn delete(tx: &mut Tx, id: ContainerId, operation: OperationId) -> Result<bool, DbError> {
    Ok(tx.execute(DELETE, args![id, operation]).await? == 1)
}

/// Opens or closes a container's terminals.
pub async fn set_proxy(tx: &mut Tx, id: ContainerId, is_open: bool, now: Timestamp) -> Result<(), DbError> {
    tx.execute(SET_PROXY, args![id, proxy_word(is_open), now]).await.map(drop)
}

/// Opens or closes the terminals of a project's containers that say nothing themselves.
pub async fn set_project_proxy(
    tx: &mut Tx,
    project: ProjectId,
    is_open: bool,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(SET_PROJECT_PROXY, args![project, proxy_word(is_open), now]).await.map(drop)
}

/// As it is stored and sent.
#[must_use]
pub fn proxy_word(is_open: bool) -> &'static str {
    if is_open { "allow" } else { "deny" }
}

/// Folds the rows of each container, which follow one another, into one.
async fn read_all(rows: Vec<Row>) -> Result<Vec<Container>, DbError> {
    let mut containers: Vec<Container> = Vec::new();
    for (n, row) in rows.into_iter().enumerate() {
        if n % 256 == 255 {
            tokio::task::yield_now().await;
        }
        let id: ContainerId = row.get("id")?;
        if containers.last().is_none_or(|last| last.id != id) {
            containers.push(read(&row, id)?);
        }
        let realm: Option<RealmId> = row.get("realm_id")?;
        if let (Some(realm), Some(container)) = (realm, containers.last_mut()) {
            container.realm_ids.push(realm);
        }
    }
    Ok(containers)
}

fn read(row: &Row, id: ContainerId) -> Result<Container, DbError> {
    let task: Option<String> = row.get("task")?;
    let task = task.map(|task| task.parse::<Task>()).transpose();
    let is_open = |name: &'static str| {
        let word: Option<String> = row.get(name)?;
        Ok::<_, DbError>(word.map(|word| word == "allow"))
    };
    Ok(Container {
        id,
        project: row.get("project_id")?,
        project_alias: row.get("project_alias")?,
        owner: row.get("user_id")?,
        server: row.get("server")?,
        name: row.get("name")?,
        color: row.get("color")?,
        comment: row.get("comment")?,
        image: row.get("image")?,
        ssh_public_key: row.get("ssh_public_key")?,
        ai: row.get("ai")?,
        hoody_kit: row.get("hoody_kit")?,
        dev_kit: row.get("dev_kit")?,
        autostart: row.get("autostart")?,
        ramdisk: row.get("ramdisk")?,
        ramdisk_scope: row.get("ramdisk_scope")?,
        environment: row.get("environment")?,
        status: row.parse("status", |word| word.parse().ok())?,
        status_reason: row.get("status_reason")?,
        task: task.map_err(|()| DbError::Unreadable("task"))?,
        operation: row.get("operation")?,
        task_since: row.get("task_since")?,
        task_snapshot: row.get("task_snapshot")?,
        last_used_snapshot: row.get("last_used_snapshot")?,
        proxy: is_open("proxy_default")?,
        project_proxy: is_open("project_proxy")?,
        snapshots: row.get("snapshots")?,
        realm_ids: Vec::new(),
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// How sealed environments are moved to another master key.
pub static SEALED: [Sealed; 1] = [Sealed {
    table: "containers",
    column: "environment",
    key: KeyColumn::InValue,
    count: "SELECT COUNT(*) AS n FROM containers WHERE substr(environment, 1, 8) = $1",
    list: "SELECT id, user_id, environment AS sealed FROM containers WHERE substr(environment, 1, 8) = $1 \
           ORDER BY id LIMIT 50 OFFSET $2",
    read: |row| {
        let (id, account): (ContainerId, UserId) = (row.get("id")?, row.get("user_id")?);
        let sealed: Vec<u8> = row.get("sealed")?;
        let which = args![id, sealed.clone()];
        Ok(Value { sealed, account, realm: None, row: id.bytes().to_vec(), which })
    },
    replace: "UPDATE containers SET environment = $1 WHERE id = $2 AND environment = $3",
}];
