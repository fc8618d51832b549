//! The statements on `jobs`.

use hoody_core::id::{Id, JobId, UserId};
use hoody_core::keys::KeyId;
use hoody_core::time::{DAY, Timestamp};

use crate::db::{Db, DbError, On, Row, Tx, args};
use crate::keys::NOBODY;
use crate::keys::sealed::{KeyColumn, Sealed, Value};

const INSERT: &str = "INSERT INTO jobs (id, kind, account_id, key_id, payload, state, run_at, attempts, created_at) \
     VALUES ($1, $2, $3, $4, $5, 'waiting', $6, 0, $6)";
const DUE: &str = "SELECT id FROM jobs WHERE kind = $1 AND state = 'waiting' AND run_at <= $2 \
     AND (claimed_until IS NULL OR claimed_until <= $2) LIMIT 1";
/// Whoever was a moment later finds the row changed, and its condition broken: one of two gets it.
const CLAIM: &str = "UPDATE jobs SET claimed_by = $1, claimed_until = $2, attempts = attempts + 1 \
     WHERE state = 'waiting' AND run_at <= $3 AND (claimed_until IS NULL OR claimed_until <= $3) AND id = \
     (SELECT id FROM jobs WHERE kind = $4 AND state = 'waiting' AND run_at <= $3 \
     AND (claimed_until IS NULL OR claimed_until <= $3) ORDER BY run_at, id LIMIT 1) \
     RETURNING id, account_id, payload, attempts, created_at";
const DONE: &str = "UPDATE jobs SET state = 'done', payload = $3, done_at = $4, claimed_by = NULL, \
     claimed_until = NULL, last_error = NULL WHERE id = $1 AND claimed_by = $2 AND state = 'waiting'";
const LATER: &str = "UPDATE jobs SET run_at = $3, last_error = $4, claimed_by = NULL, claimed_until = NULL \
     WHERE id = $1 AND claimed_by = $2 AND state = 'waiting'";
const FAILED: &str = "UPDATE jobs SET state = 'failed', done_at = $3, last_error = $4, claimed_by = NULL, \
     claimed_until = NULL WHERE id = $1 AND claimed_by = $2 AND state = 'waiting'";
const LIST: &str = "SELECT id, kind, account_id, state, run_at, attempts, last_error, created_at, done_at \
     FROM jobs WHERE kind = $1 ORDER BY created_at DESC, id DESC LIMIT 1000";
const RETRY: &str = "UPDATE jobs SET state = 'waiting', run_at = $3, attempts = 0, done_at = NULL \
     WHERE id = $1 AND kind = $2 AND state <> 'done' AND claimed_until IS NULL";
const RETRY_FAILED: &str = "UPDATE jobs SET state = 'waiting', run_at = $2, attempts = 0, done_at = NULL \
     WHERE kind = $1 AND state = 'failed'";
const SWEEP: &str = "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE (state = 'done' AND done_at < $1) \
     OR (state = 'failed' AND done_at < $2) LIMIT $3)";
/// How long what is done can be looked at, and what was given up.
const DONE_KEPT: i64 = 7 * DAY;
const FAILED_KEPT: i64 = 30 * DAY;

/// One attempt: which job, and the claim that holds it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) job: JobId,
    pub(super) by: Id<()>,
}

/// A job as it was claimed.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) claim: Claim,
    pub(super) account: Option<UserId>,
    /// Sealed.
    pub(super) payload: Vec<u8>,
    pub(super) attempt: i64,
    pub(super) created_at: Timestamp,
}

/// A job as the operator sees it: never its payload.
#[derive(Debug)]
pub struct Listed {
    pub id: JobId,
    pub account: Option<UserId>,
    pub state: String,
    pub run_at: Timestamp,
    pub attempts: i64,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
    pub done_at: Option<Timestamp>,
}

pub(super) async fn insert_job(
    tx: &mut Tx,
    id: JobId,
    kind: &'static str,
    account: Option<UserId>,
    key: KeyId,
    sealed: Vec<u8>,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(INSERT, args![id, kind, account, key.to_string(), sealed, now]).await?;
    Ok(())
}

/// Claims the job of this kind that is due longest until `until`; `None` when there is none, or another
/// node was first.
pub(super) async fn claim(
    db: &Db,
    kind: &str,
    by: Id<()>,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<Claimed>, DbError> {
    // Looked for first without keeping anybody from writing: mostly there is nothing.
    if On::from(db).find(DUE, args![kind, now]).await?.is_none() {
        return Ok(None);
    }
    let mut tx = db.begin().await?;
    let row = On::from(&mut tx).find(CLAIM, args![by, until, now, kind]).await?;
    tx.commit().await?;
    row.map(|row| {
        Ok(Claimed {
            claim: Claim { job: row.get("id")?, by },
            account: row.get("account_id")?,
            payload: row.get("payload")?,
            attempt: row.get("attempts")?,
            created_at: row.get("created_at")?,
        })
    })
    .transpose()
}

/// Marks it as done and empties its payload, if the claim still holds.
pub(super) async fn finish(db: &Db, claim: Claim, now: Timestamp) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute(DONE, args![claim.job, claim.by, Vec::<u8>::new(), now]).await?;
    tx.commit().await
}

/// Puts it off until `run_at`, if the claim still holds.
pub(super) async fn put_off(db: &Db, claim: Claim, run_at: Timestamp, why: &str) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute(LATER, args![claim.job, claim.by, run_at, why]).await?;
    tx.commit().await
}

/// Gives it up, if the claim still holds.
pub(super) async fn give_up(db: &Db, claim: Claim, now: Timestamp, why: &str) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute(FAILED, args![claim.job, claim.by, now, why]).await?;
    tx.commit().await
}

/// The latest thousand jobs of a kind, the newest first.
pub async fn list_jobs(db: &Db, kind: &str) -> Result<Vec<Listed>, DbError> {
    On::from(db).list(LIST, args![kind]).await?.iter().map(read_listed).collect()
}

/// Has a job of this kind done at once, however often it failed; false when there is none such that is
/// neither done nor under way.
pub async fn retry(db: &Db, kind: &str, id: JobId, now: Timestamp) -> Result<bool, DbError> {
    let mut tx = db.begin().await?;
    let changed = tx.execute(RETRY, args![id, kind, now]).await?;
    tx.commit().await?;
    Ok(changed == 1)
}

/// Has every job of this kind that was given up done again; how many there are.
pub async fn retry_failed(db: &Db, kind: &str, now: Timestamp) -> Result<u64, DbError> {
    let mut tx = db.begin().await?;
    let changed = tx.execute(RETRY_FAILED, args![kind, now]).await?;
    tx.commit().await?;
    Ok(changed)
}

/// Removes what was done or given up long ago.
pub(super) async fn sweep(db: &Db, now: Timestamp) -> Result<(), DbError> {
    db.sweep(SWEEP, args![now.plus(-DONE_KEPT), now.plus(-FAILED_KEPT)]).await
}

fn read_listed(row: &Row) -> Result<Listed, DbError> {
    Ok(Listed {
        id: row.get("id")?,
        account: row.get("account_id")?,
        state: row.get("state")?,
        run_at: row.get("run_at")?,
        attempts: row.get("attempts")?,
        last_error: row.get("last_error")?,
        created_at: row.get("created_at")?,
        done_at: row.get("done_at")?,
    })
}

/// How the payloads are moved to another master key; one that is done has none.
pub static SEALED: [Sealed; 1] = [Sealed {
    table: "jobs",
    column: "payload",
    key: KeyColumn::Named("key_id"),
    count: "SELECT COUNT(*) AS n FROM jobs WHERE key_id = $1 AND octet_length(payload) > 0",
    list: "SELECT id, account_id, payload AS sealed FROM jobs \
           WHERE key_id = $1 AND octet_length(payload) > 0 ORDER BY id LIMIT 50 OFFSET $2",
    read: |row| {
        let (id, sealed): (JobId, Vec<u8>) = (row.get("id")?, row.get("sealed")?);
        let account: Option<UserId> = row.get("account_id")?;
        let which = args![id, sealed.clone()];
        Ok(Value { sealed, account: account.unwrap_or(NOBODY), realm: None, row: id.bytes().to_vec(), which })
    },
    replace: "UPDATE jobs SET payload = $1, key_id = $2 WHERE id = $3 AND payload = $4",
}];
