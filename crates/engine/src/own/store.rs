//! The operator's catalogue in the database.

use hoody_core::permissions::Selected;
use hoody_core::permissions::own::{Alias, OwnId, Row as Leaf, Rows, State, TemplateRow};

use crate::db::{DbError, On, Row, Tx, args};

const VERSION: &str = "SELECT version FROM own_catalogue WHERE id = 1";
const LEAVES: &str = "SELECT id, path, writes, description, state, since FROM own_permissions ORDER BY id";
const ALIASES: &str = "SELECT path, permission_id FROM own_permission_aliases";
const TEMPLATES: &str =
    "SELECT name, description, permissions, own_permissions FROM own_templates ORDER BY position";
const RAISE: &str = "UPDATE own_catalogue SET version = $2 WHERE id = 1 AND version = $1";
const PUT_LEAF: &str = "INSERT INTO own_permissions (id, path, writes, description, state, since) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET path = excluded.path, \
     writes = excluded.writes, description = excluded.description, state = excluded.state, \
     since = excluded.since";
const DELETE_ALIAS: &str = "DELETE FROM own_permission_aliases WHERE path = $1";
const INSERT_ALIAS: &str = "INSERT INTO own_permission_aliases (path, permission_id) VALUES ($1, $2)";
const DELETE_TEMPLATES: &str = "DELETE FROM own_templates";
const INSERT_TEMPLATE: &str = "INSERT INTO own_templates (name, position, description, permissions, \
     own_permissions) VALUES ($1, $2, $3, $4, $5)";

/// How often the rows are read when they change meanwhile.
const READS: u32 = 8;

/// Which state of the catalogue the database has.
pub(super) async fn version(on: impl Into<On<'_>>) -> Result<u64, DbError> {
    let row = on.into().one(VERSION, args![]).await?;
    Ok(row.get::<i64>("version")?.unsigned_abs())
}

/// All rows, of one version.
///
/// # Errors
/// When the database fails, or the catalogue changes all the time.
pub async fn read_rows(on: impl Into<On<'_>>) -> Result<Rows, DbError> {
    let mut on = on.into();
    let mut before = version(on.again()).await?;
    for _ in 0..READS {
        let leaves = on.again().list(LEAVES, args![]).await?;
        let aliases = on.again().list(ALIASES, args![]).await?;
        let templates = on.again().list(TEMPLATES, args![]).await?;
        // Each change raises the version, so nothing changed between the two.
        let after = version(on.again()).await?;
        if before == after {
            return Ok(Rows {
                version: after,
                leaves: leaves.iter().map(read_leaf).collect::<Result<_, _>>()?,
                aliases: aliases.iter().map(read_alias).collect::<Result<_, _>>()?,
                templates: templates.iter().map(read_template).collect::<Result<_, _>>()?,
            });
        }
        before = after;
    }
    Err(DbError::Unreadable("own_catalogue"))
}

/// Turns what the database has from `before` into `after`; false when it has another version by now, and then
/// nothing is changed. Whoever calls it holds the catalogue until the end of the transaction.
pub async fn write_rows(tx: &mut Tx, before: &Rows, after: &Rows) -> Result<bool, DbError> {
    if tx.execute(RAISE, args![number(before.version), number(after.version)]).await? == 0 {
        return Ok(false);
    }
    for alias in before.aliases.iter().filter(|alias| !after.aliases.contains(alias)) {
        tx.execute(DELETE_ALIAS, args![&alias.path]).await?;
    }
    for leaf in after.leaves.iter().filter(|leaf| before.leaf(leaf.id) != Some(leaf)) {
        let id = i64::from(leaf.id.number());
        let state = state_text(leaf.state);
        let row = args![id, &leaf.path, leaf.writes, &leaf.description, state, leaf.since];
        tx.execute(PUT_LEAF, row).await?;
    }
    for alias in after.aliases.iter().filter(|alias| !before.aliases.contains(alias)) {
        tx.execute(INSERT_ALIAS, args![&alias.path, i64::from(alias.id.number())]).await?;
    }
    if before.templates != after.templates {
        tx.execute(DELETE_TEMPLATES, args![]).await?;
        for (position, template) in (0_i64..).zip(&after.templates) {
            let TemplateRow { name, description, hoody, own } = template;
            tx.execute(INSERT_TEMPLATE, args![name, position, description, hoody, own.to_stored()]).await?;
        }
    }
    Ok(true)
}

fn number(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

fn read_leaf(row: &Row) -> Result<Leaf, DbError> {
    Ok(Leaf {
        id: read_id(row, "id")?,
        path: row.get("path")?,
        writes: row.get("writes")?,
        description: row.get("description")?,
        state: row.parse("state", |state| match state {
            "live" => Some(State::Live),
            "retired" => Some(State::Retired),
            "removed" => Some(State::Removed),
            _ => None,
        })?,
        since: row.get("since")?,
    })
}

fn read_alias(row: &Row) -> Result<Alias, DbError> {
    Ok(Alias { path: row.get("path")?, id: read_id(row, "permission_id")? })
}

fn read_template(row: &Row) -> Result<TemplateRow, DbError> {
    Ok(TemplateRow {
        name: row.get("name")?,
        description: row.get("description")?,
        hoody: row.get("permissions")?,
        own: row.parse("own_permissions", |stored| Some(Selected::parse_stored(stored)))?,
    })
}

fn read_id(row: &Row, column: &'static str) -> Result<OwnId, DbError> {
    let id = u16::try_from(row.get::<i64>(column)?).ok().and_then(OwnId::new);
    id.ok_or(DbError::Unreadable(column))
}

fn state_text(state: State) -> &'static str {
    match state {
        State::Live => "live",
        State::Retired => "retired",
        State::Removed => "removed",
    }
}
