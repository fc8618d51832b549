//! The statements on `security_history`.

use hoody_core::id::{Id, UserId};
use hoody_core::time::Timestamp;
use hoody_core::wire::{LoginAddress, SecurityEvent};

use super::{Event, Source};
use hoody_engine::db::{Db, DbError, On, Row, Tx, args};
use hoody_engine::work;

/// For an account that is there; otherwise nothing is written.
const INSERT: &str = "INSERT INTO security_history (id, user_id, event, kind, ip, network, client, created_at) \
     SELECT $1, id, $3, $4, $5, $6, $7, $8 FROM users WHERE id = $2";
const SIGNED_IN_FROM: &str = "SELECT COUNT(*) AS n FROM (SELECT 1 FROM security_history \
     WHERE user_id = $1 AND network = $2 AND network IS NOT NULL AND created_at > $3 LIMIT 1) AS some_logins";
/// Of the latest hundred: a script may have signed in a million times, and this runs under the account's lock.
const RECENT: &str = "SELECT ip, MAX(created_at) AS at FROM (SELECT ip, created_at FROM security_history \
     WHERE user_id = $1 AND network IS NOT NULL ORDER BY created_at DESC LIMIT 100) AS latest \
     GROUP BY ip ORDER BY MAX(created_at) DESC LIMIT 5";
const COUNT: &str = "SELECT COUNT(*) AS n FROM security_history WHERE user_id = $1 \
     AND (kind = 'sign_in' OR (kind = 'failed' AND $2) OR (kind = 'security' AND $3))";
const LIST: &str = "SELECT id, event, kind, ip, client, created_at FROM security_history WHERE user_id = $1 \
     AND (kind = 'sign_in' OR (kind = 'failed' AND $2) OR (kind = 'security' AND $3)) \
     ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5";
const DELETE_BEFORE: &str = "DELETE FROM security_history WHERE id IN \
     (SELECT id FROM security_history WHERE created_at < $1 ORDER BY created_at LIMIT $2)";

pub(super) async fn insert(
    tx: &mut Tx,
    id: Id<()>,
    account: UserId,
    event: Event,
    source: Source<'_>,
    network: Option<String>,
    now: Timestamp,
) -> Result<(), DbError> {
    let ip = source.address.map(|address| address.to_string());
    let row = args![id, account, event.name(), event.kind(), ip, network, source.client, now];
    tx.execute(INSERT, row).await?;
    Ok(())
}

/// Whether the account signed in from `network` after `since`.
pub(super) async fn signed_in_from(
    db: &Db,
    account: UserId,
    network: &str,
    since: Timestamp,
) -> Result<bool, DbError> {
    let row = On::from(db).one(SIGNED_IN_FROM, args![account, network, since]).await?;
    Ok(row.get::<i64>("n")? > 0)
}

/// The last five addresses that the account signed in from.
pub async fn list_recent_addresses(
    on: impl Into<On<'_>>,
    account: UserId,
) -> Result<Vec<LoginAddress>, DbError> {
    let rows = on.into().list(RECENT, args![account]).await?;
    rows.iter().map(|row| Ok(LoginAddress { ip: row.get("ip")?, timestamp: row.get("at")? })).collect()
}

/// Which rows a reader asks for: sign-ins always.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) account: UserId,
    pub(super) with_failed: bool,
    pub(super) with_security: bool,
}

/// How many rows are wanted.
pub(super) async fn count(db: &Db, wanted: Wanted) -> Result<u64, DbError> {
    let args = args![wanted.account, wanted.with_failed, wanted.with_security];
    Ok(On::from(db).one(COUNT, args).await?.get::<i64>("n")?.unsigned_abs())
}

/// The rows that are wanted, the latest first.
pub(super) async fn list(
    db: &Db,
    wanted: Wanted,
    limit: i64,
    offset: i64,
) -> Result<Vec<SecurityEvent>, DbError> {
    let args = args![wanted.account, wanted.with_failed, wanted.with_security, limit, offset];
    work::each(On::from(db).list(LIST, args).await?, read).await
}

fn read(row: &Row) -> Result<SecurityEvent, DbError> {
    let outcome = if row.get::<String>("kind")? == "failed" { "failed" } else { "success" };
    Ok(SecurityEvent {
        id: row.get("id")?,
        event: row.get("event")?,
        outcome: outcome.to_owned(),
        ip_address: row.get("ip")?,
        country: None,
        client: row.get("client")?,
        created_at: row.get("created_at")?,
    })
}

/// Removes what is older than `before`.
pub(super) async fn delete_before(db: &Db, before: Timestamp) -> Result<(), DbError> {
    db.sweep(DELETE_BEFORE, args![before]).await
}
