//! The statements on `two_factor` and `backup_codes`.

use hoody_core::id::UserId;
use hoody_core::keys::KeyId;
use hoody_core::time::Timestamp;
use hoody_core::totp::Failures;

use super::{Enabled, TwoFactor};
use hoody_engine::db::{DbError, On, Row, Tx, args};
use hoody_engine::keys::sealed::{KeyColumn, Sealed, Value};

const FIND: &str = "SELECT user_id, secret, enabled_at, last_step, require_for_tokens, pending_secret, \
     pending_at, failures, locked_until FROM two_factor WHERE user_id = $1";
const SET_PENDING: &str = "INSERT INTO two_factor (user_id, require_for_tokens, pending_secret, pending_at, \
     failures) VALUES ($1, TRUE, $2, $3, 0) \
     ON CONFLICT (user_id) DO UPDATE SET pending_secret = $2, pending_at = $3";
const ENABLE: &str = "UPDATE two_factor SET secret = $2, enabled_at = $3, last_step = $4, \
     require_for_tokens = TRUE, pending_secret = NULL, pending_at = NULL, failures = 0, locked_until = NULL \
     WHERE user_id = $1 AND secret IS NULL";
const DISABLE: &str = "UPDATE two_factor SET secret = NULL, enabled_at = NULL, last_step = NULL, \
     pending_secret = NULL, pending_at = NULL WHERE user_id = $1 AND secret IS NOT NULL";
const ACCEPT_STEP: &str = "UPDATE two_factor SET last_step = $2 WHERE user_id = $1 AND secret IS NOT NULL \
     AND (last_step IS NULL OR last_step < $2)";
const SET_FAILURES: &str = "UPDATE two_factor SET failures = $2, locked_until = $3 WHERE user_id = $1";
const SET_GATE: &str =
    "UPDATE two_factor SET require_for_tokens = $2 WHERE user_id = $1 AND secret IS NOT NULL";
const INSERT_CODE: &str = "INSERT INTO backup_codes (user_id, digest, key_id, is_pending) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const TAKE_CODE: &str = "DELETE FROM backup_codes WHERE user_id = $1 AND digest = $2 AND NOT is_pending";
const DELETE_CODES: &str = "DELETE FROM backup_codes WHERE user_id = $1 AND is_pending = $2";
const PROMOTE_CODES: &str = "UPDATE backup_codes SET is_pending = FALSE WHERE user_id = $1";
const COUNT_CODES: &str = "SELECT COUNT(*) AS n FROM backup_codes WHERE user_id = $1 AND NOT is_pending";

/// How the account's second factor stands; `None` when it never had any.
pub async fn find(on: impl Into<On<'_>>, account: UserId) -> Result<Option<TwoFactor>, DbError> {
    on.into().find(FIND, args![account]).await?.map(|row| read(&row)).transpose()
}

/// Keeps a secret that waits for its first code, in place of one that did.
pub(super) async fn set_pending(
    tx: &mut Tx,
    account: UserId,
    sealed: Vec<u8>,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(SET_PENDING, args![account, sealed, now]).await?;
    Ok(())
}

/// Turns it on with a secret of which `step` was used; false when it is on.
pub(super) async fn enable(
    tx: &mut Tx,
    account: UserId,
    sealed: Vec<u8>,
    step: i64,
    now: Timestamp,
) -> Result<bool, DbError> {
    if tx.execute(ENABLE, args![account, sealed, now, step]).await? != 1 {
        return Ok(false);
    }
    tx.execute(DELETE_CODES, args![account, false]).await?;
    tx.execute(PROMOTE_CODES, args![account]).await?;
    Ok(true)
}

/// Turns it off; false when it is off.
pub(super) async fn disable(tx: &mut Tx, account: UserId) -> Result<bool, DbError> {
    if tx.execute(DISABLE, args![account]).await? != 1 {
        return Ok(false);
    }
    tx.execute(DELETE_CODES, args![account, false]).await?;
    tx.execute(DELETE_CODES, args![account, true]).await?;
    Ok(true)
}

/// Remembers a step; false when it, or one after it, was accepted before.
pub(super) async fn accept_step(tx: &mut Tx, account: UserId, step: i64) -> Result<bool, DbError> {
    Ok(tx.execute(ACCEPT_STEP, args![account, step]).await? == 1)
}

/// Uses a backup code up; false when there is none like it.
pub(super) async fn take_backup_code(
    tx: &mut Tx,
    account: UserId,
    digest: &[u8; 32],
) -> Result<bool, DbError> {
    Ok(tx.execute(TAKE_CODE, args![account, &digest[..]]).await? == 1)
}

pub(super) async fn set_failures(tx: &mut Tx, account: UserId, failures: Failures) -> Result<(), DbError> {
    tx.execute(SET_FAILURES, args![account, failures.count, failures.locked_until]).await?;
    Ok(())
}

/// Turns the token gate on or off; false when there is no second factor.
pub(super) async fn set_gate(tx: &mut Tx, account: UserId, is_on: bool) -> Result<bool, DbError> {
    Ok(tx.execute(SET_GATE, args![account, is_on]).await? == 1)
}

/// Puts these codes, each with the key that it was made under, in place of those that are pending, or of those in force.
pub(super) async fn replace_backup_codes(
    tx: &mut Tx,
    account: UserId,
    digests: &[(KeyId, [u8; 32])],
    is_pending: bool,
) -> Result<(), DbError> {
    tx.execute(DELETE_CODES, args![account, is_pending]).await?;
    for (key, digest) in digests {
        tx.execute(INSERT_CODE, args![account, &digest[..], key.to_string(), is_pending]).await?;
    }
    Ok(())
}

/// How many backup codes are left.
pub(super) async fn count_backup_codes(on: impl Into<On<'_>>, account: UserId) -> Result<u64, DbError> {
    Ok(on.into().one(COUNT_CODES, args![account]).await?.get::<i64>("n")?.unsigned_abs())
}

/// How the sealed secrets are moved to another master key.
pub static SEALED: [Sealed; 2] = [
    Sealed {
        table: "two_factor",
        column: "secret",
        key: KeyColumn::InValue,
        count: "SELECT COUNT(*) AS n FROM two_factor WHERE substr(secret, 1, 8) = $1",
        list: "SELECT user_id, secret AS sealed FROM two_factor WHERE substr(secret, 1, 8) = $1 \
               ORDER BY user_id LIMIT 100 OFFSET $2",
        read: read_sealed,
        replace: "UPDATE two_factor SET secret = $1 WHERE user_id = $2 AND secret = $3",
    },
    Sealed {
        table: "two_factor",
        column: "pending_secret",
        key: KeyColumn::InValue,
        count: "SELECT COUNT(*) AS n FROM two_factor WHERE substr(pending_secret, 1, 8) = $1",
        list: "SELECT user_id, pending_secret AS sealed FROM two_factor \
               WHERE substr(pending_secret, 1, 8) = $1 ORDER BY user_id LIMIT 100 OFFSET $2",
        read: read_sealed,
        replace: "UPDATE two_factor SET pending_secret = $1 WHERE user_id = $2 AND pending_secret = $3",
    },
];

fn read_sealed(row: &Row) -> Result<Value, DbError> {
    let (account, sealed): (UserId, Vec<u8>) = (row.get("user_id")?, row.get("sealed")?);
    let which = args![account, sealed.clone()];
    Ok(Value { sealed, account, realm: None, row: account.bytes().to_vec(), which })
}

fn read(row: &Row) -> Result<TwoFactor, DbError> {
    let enabled = match (row.get::<Option<Vec<u8>>>("secret")?, row.get::<Option<Timestamp>>("enabled_at")?) {
        (Some(secret), Some(at)) => Some(Enabled { secret, at, last_step: row.get("last_step")? }),
        _ => None,
    };
    let pending = row.get::<Option<Vec<u8>>>("pending_secret")?.zip(row.get("pending_at")?);
    Ok(TwoFactor {
        account: row.get("user_id")?,
        enabled,
        require_for_tokens: row.get("require_for_tokens")?,
        pending,
        failures: Failures { count: row.get("failures")?, locked_until: row.get("locked_until")? },
    })
}
