//! The statements on `auth_codes` and `cancelled_logins`.

use hoody_core::one_time::Purpose;
use hoody_core::pkce::Challenge;
use hoody_core::time::Timestamp;

use super::SignedIn;
use hoody_engine::db::{Db, DbError, On, Row, Tx, args};

const INSERT: &str = "INSERT INTO auth_codes (digest, kind, user_id, generation, challenge, redirect_uri, \
     client, second_factor, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
/// Of two that take it at once, one gets the row.
const TAKE: &str = "DELETE FROM auth_codes WHERE digest = $1 AND kind = $2 \
     RETURNING user_id, generation, challenge, redirect_uri, client, second_factor, expires_at";
const CANCEL: &str = "INSERT INTO cancelled_logins (digest, expires_at) VALUES ($1, $2) \
     ON CONFLICT (digest) DO NOTHING";
const FIND_CANCELLED: &str = "SELECT expires_at FROM cancelled_logins WHERE digest = $1";
const DELETE_CODES: &str = "DELETE FROM auth_codes WHERE digest IN (SELECT digest FROM auth_codes \
     WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
const DELETE_CANCELLED: &str = "DELETE FROM cancelled_logins WHERE digest IN (SELECT digest FROM \
     cancelled_logins WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";

const fn kind(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::AuthorizationCode => "code",
        _ => "intent",
    }
}

pub(super) async fn insert(
    tx: &mut Tx,
    digest: &[u8; 32],
    purpose: Purpose,
    signed_in: &SignedIn,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    let row = args![
        &digest[..],
        kind(purpose),
        signed_in.account,
        signed_in.generation,
        signed_in.challenge.as_str(),
        signed_in.redirect_uri.clone(),
        &signed_in.client,
        signed_in.second_factor.clone(),
        expires_at,
    ];
    tx.execute(INSERT, row).await?;
    Ok(())
}

/// Takes it away; what it stood for, unless its time is over.
pub(super) async fn take(
    tx: &mut Tx,
    digest: &[u8; 32],
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<SignedIn>, DbError> {
    let row = On::from(tx).find(TAKE, args![&digest[..], kind(purpose)]).await?;
    match row {
        Some(row) if now < row.get("expires_at")? => read(&row).map(Some),
        _ => Ok(None),
    }
}

/// Remembers that a login's temporary token was given up; that it was before makes no difference.
pub(super) async fn cancel_login(
    tx: &mut Tx,
    digest: &[u8; 32],
    expires_at: Timestamp,
) -> Result<(), DbError> {
    tx.execute(CANCEL, args![&digest[..], expires_at]).await?;
    Ok(())
}

/// Whether a login's temporary token was given up.
pub async fn is_cancelled(tx: &mut Tx, digests: &[[u8; 32]]) -> Result<bool, DbError> {
    for digest in digests {
        if On::from(&mut *tx).find(FIND_CANCELLED, args![&digest[..]]).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes what is over.
pub async fn delete_expired(db: &Db, now: Timestamp) -> Result<(), DbError> {
    db.sweep(DELETE_CODES, args![now]).await?;
    db.sweep(DELETE_CANCELLED, args![now]).await
}

fn read(row: &Row) -> Result<SignedIn, DbError> {
    Ok(SignedIn {
        account: row.get("user_id")?,
        generation: row.get("generation")?,
        challenge: Challenge::from_stored(row.get("challenge")?),
        redirect_uri: row.get("redirect_uri")?,
        client: row.get("client")?,
        second_factor: row.get("second_factor")?,
    })
}
