//! The statements on `device_requests`.

use hoody_core::device::{INTERVAL, LIFETIME};
use hoody_core::id::DeviceId;
use hoody_core::pkce::Challenge;
use hoody_core::time::{MINUTE, Timestamp};

use super::{Approval, Request, Start, Status};
use hoody_engine::db::{Db, DbError, On, Row, Tx, args};

macro_rules! request {
    ($filter:literal) => {
        concat!(
            "SELECT id, status, client_name, client, ip, challenge, cookie_digest, user_id, generation, \
             second_factor, polled_at, created_at, expires_at FROM device_requests ",
            $filter
        )
    };
}
const BY_DEVICE_CODE: &str = request!("WHERE device_digest = $1");
const BY_USER_CODE: &str = request!("WHERE user_digest = $1");
const BY_TICKET: &str = request!("WHERE ticket_digest = $1");
const INSERT: &str = "INSERT INTO device_requests (id, device_digest, user_digest, client_name, client, ip, \
     challenge, status, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9) \
     ON CONFLICT DO NOTHING RETURNING id";
const SET_TICKET: &str = "UPDATE device_requests SET ticket_digest = $2, cookie_digest = $3 \
     WHERE id = $1 AND status = 'pending' AND expires_at > $4";
const IS_PENDING: &str =
    "SELECT id FROM device_requests WHERE id = $1 AND status = 'pending' AND expires_at > $2";
const APPROVE: &str = "UPDATE device_requests SET status = 'approved', user_id = $2, generation = $3, \
     second_factor = $4 WHERE id = $1 AND status = 'pending' AND expires_at > $5";
const DENY: &str = "UPDATE device_requests SET status = 'denied' \
     WHERE id = $1 AND status = 'pending' AND expires_at > $2";
const REVOKE: &str = "UPDATE device_requests SET status = 'denied' WHERE id = $1 AND status <> 'used'";
const USE_UP: &str = "UPDATE device_requests SET status = 'used' \
     WHERE id = $1 AND status = 'approved' AND expires_at > $2";
const NOTE_POLL: &str = "UPDATE device_requests SET polled_at = $2 \
     WHERE id = $1 AND (polled_at IS NULL OR polled_at <= $3)";
const DELETE_EXPIRED: &str = "DELETE FROM device_requests WHERE id IN (SELECT id FROM device_requests \
     WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
/// For how long a request that is over is told from one that never was.
const KEPT: i64 = 60 * MINUTE;

/// A request to be.
#[derive(Debug)]
pub(super) struct New<'a> {
    pub(super) id: DeviceId,
    pub(super) device_digest: [u8; 32],
    pub(super) user_digest: [u8; 32],
    pub(super) start: &'a Start,
    pub(super) ip: String,
    pub(super) now: Timestamp,
}

/// Adds a request; false when another has its user code.
pub(super) async fn insert(tx: &mut Tx, new: New<'_>) -> Result<bool, DbError> {
    let row = args![
        new.id,
        &new.device_digest[..],
        &new.user_digest[..],
        new.start.client_name.clone(),
        new.start.client,
        new.ip,
        new.start.challenge.as_ref().map(|challenge| challenge.as_str().to_owned()),
        new.now,
        new.now.plus(LIFETIME),
    ];
    Ok(On::from(tx).find(INSERT, row).await?.is_some())
}

pub(super) async fn find_by_device_code(
    on: impl Into<On<'_>>,
    digest: &[u8; 32],
) -> Result<Option<Request>, DbError> {
    on.into().find(BY_DEVICE_CODE, args![&digest[..]]).await?.map(|row| read(&row)).transpose()
}

pub(super) async fn find_by_user_code(
    on: impl Into<On<'_>>,
    digest: &[u8; 32],
) -> Result<Option<Request>, DbError> {
    on.into().find(BY_USER_CODE, args![&digest[..]]).await?.map(|row| read(&row)).transpose()
}

pub(super) async fn find_by_ticket(
    on: impl Into<On<'_>>,
    digest: &[u8; 32],
) -> Result<Option<Request>, DbError> {
    on.into().find(BY_TICKET, args![&digest[..]]).await?.map(|row| read(&row)).transpose()
}

/// Gives a pending request a ticket and a cookie in place of those that it has; false when it is none.
pub(super) async fn set_ticket(
    tx: &mut Tx,
    id: DeviceId,
    ticket: &[u8; 32],
    cookie: &[u8; 32],
    now: Timestamp,
) -> Result<bool, DbError> {
    Ok(tx.execute(SET_TICKET, args![id, &ticket[..], &cookie[..], now]).await? == 1)
}

/// Whether it waits for somebody.
pub async fn is_pending(on: impl Into<On<'_>>, id: DeviceId, now: Timestamp) -> Result<bool, DbError> {
    Ok(on.into().find(IS_PENDING, args![id, now]).await?.is_some())
}

/// False when it is no longer pending.
pub(super) async fn approve(
    tx: &mut Tx,
    id: DeviceId,
    approval: &Approval,
    now: Timestamp,
) -> Result<bool, DbError> {
    let method = approval.second_factor.clone();
    let row = args![id, approval.account, approval.generation, method, now];
    Ok(tx.execute(APPROVE, row).await? == 1)
}

/// False when it is no longer pending.
pub(super) async fn deny(tx: &mut Tx, id: DeviceId, now: Timestamp) -> Result<bool, DbError> {
    Ok(tx.execute(DENY, args![id, now]).await? == 1)
}

/// Ends a request, approved or not.
pub(super) async fn revoke(tx: &mut Tx, id: DeviceId) -> Result<(), DbError> {
    tx.execute(REVOKE, args![id]).await?;
    Ok(())
}

/// Marks an approved request as used; false for whoever comes second.
pub(super) async fn use_up(tx: &mut Tx, id: DeviceId, now: Timestamp) -> Result<bool, DbError> {
    Ok(tx.execute(USE_UP, args![id, now]).await? == 1)
}

/// Notes a poll; false when the last one is not an interval ago.
pub(super) async fn note_poll(tx: &mut Tx, id: DeviceId, now: Timestamp) -> Result<bool, DbError> {
    Ok(tx.execute(NOTE_POLL, args![id, now, now.plus(-INTERVAL)]).await? == 1)
}

/// Removes requests that were over long ago.
pub async fn delete_expired(db: &Db, now: Timestamp) -> Result<(), DbError> {
    db.sweep(DELETE_EXPIRED, args![now.plus(-KEPT)]).await
}

fn read(row: &Row) -> Result<Request, DbError> {
    let status = match row.get::<String>("status")?.as_str() {
        "pending" => Status::Pending,
        "approved" => Status::Approved,
        "denied" => Status::Denied,
        "used" => Status::Used,
        _ => return Err(DbError::Unreadable("status")),
    };
    let second_factor: Option<String> = row.get("second_factor")?;
    let approval = match (row.get("user_id")?, row.get("generation")?) {
        (Some(account), Some(generation)) => Some(Approval { account, generation, second_factor }),
        _ => None,
    };
    Ok(Request {
        id: row.get("id")?,
        status,
        client_name: row.get("client_name")?,
        client: row.get("client")?,
        ip: row.get("ip")?,
        challenge: row.get::<Option<String>>("challenge")?.map(Challenge::from_stored),
        cookie_digest: row.get("cookie_digest")?,
        approval,
        polled_at: row.get("polled_at")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    })
}
