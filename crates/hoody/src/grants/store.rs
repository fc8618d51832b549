//! What the database knows of a credential: the row of a token or session with its account.

use hoody_core::address::AddressList;
use hoody_core::grant::{Credential, Grant, Limits, Realms};
use hoody_core::id::{RealmId, TokenId};
use hoody_core::keys::KeyId;
use hoody_core::secret::Digest;
use hoody_core::session::{Claims, REUSE_GRACE, Standing};
use hoody_core::time::{SECOND, Timestamp};

use super::usage::{Note, USAGE_INTERVAL, Usage};
use crate::db::{Db, DbError, On, Row, args};
use crate::sessions;

macro_rules! token_row {
    ($filter:literal) => {
        concat!(
            "SELECT t.id, t.user_id, t.is_enabled, t.expires_at, t.ip_whitelist, t.realm_ids, \
             t.allow_no_realm, t.permissions, t.vault_access, t.event_access, t.last_used_at, u.is_banned \
             FROM tokens t JOIN users u ON u.id = t.user_id WHERE ",
            $filter
        )
    };
}
const TOKEN_BY_DIGEST: &str = token_row!("t.digest = $1");
const TOKEN_BY_ID: &str = token_row!("t.id = $1");
const REKEY: &str = "UPDATE tokens SET digest = $1, key_id = $2 WHERE digest = $3";
const USE: &str = "UPDATE tokens SET last_used_at = $2, last_used_ip = $3 \
     WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2 - $4)";

/// The grant of the token with this digest, and when its use was last written.
pub(crate) async fn find_token(
    on: impl Into<On<'_>>,
    digest: &Digest,
) -> Result<Option<(Grant, Usage)>, DbError> {
    let row = on.into().find(TOKEN_BY_DIGEST, args![&digest.bytes()[..]]).await?;
    row.map(|row| Ok((token_grant(&row)?, Usage::last(row.get("last_used_at")?)))).transpose()
}

/// The grant of the token with this id.
pub(crate) async fn find_token_by_id(on: impl Into<On<'_>>, id: TokenId) -> Result<Option<Grant>, DbError> {
    let row = on.into().find(TOKEN_BY_ID, args![id]).await?;
    row.map(|row| token_grant(&row)).transpose()
}

/// The grant of the session that `claims` speak of, if they still hold: not ended, of the account's
/// generation, of the current pair or the one just replaced.
pub(crate) async fn find_session(on: impl Into<On<'_>>, claims: &Claims) -> Result<Option<Grant>, DbError> {
    let Some(session) = sessions::store::find_session(on, claims.sid).await? else { return Ok(None) };
    let rotation = session.rotation;
    let is_over =
        session.is_ended || claims.generation != rotation.generation || claims.sub != rotation.account;
    // Judged as of the rotation: how long the grace still lasts is the grant's expiry.
    let grace_ends = match rotation.standing(claims.seq, rotation.rotated_at) {
        Standing::Current => None,
        Standing::JustReplaced => Some(rotation.rotated_at.plus(REUSE_GRACE)),
        Standing::Replayed => return Ok(None),
    };
    if is_over {
        return Ok(None);
    }
    let expires_at = Timestamp::from_millis(claims.exp.saturating_mul(SECOND));
    let expires_at = grace_ends.map_or(expires_at, |grace| grace.min(expires_at));
    Ok(Some(Grant {
        account: rotation.account,
        credential: Credential::Session(rotation.session),
        lineage: Box::default(),
        is_enabled: true,
        is_banned: session.is_banned,
        limits: Limits::of_session(expires_at),
    }))
}

fn token_grant(row: &Row) -> Result<Grant, DbError> {
    let id: TokenId = row.get("id")?;
    Ok(Grant {
        account: row.get("user_id")?,
        credential: Credential::Token(id),
        lineage: Box::new([id]),
        is_enabled: row.get("is_enabled")?,
        is_banned: row.get("is_banned")?,
        limits: read_limits(row)?,
    })
}

/// The limits in a row of `tokens`.
pub(crate) fn read_limits(row: &Row) -> Result<Limits, DbError> {
    let realm_ids = row.parse("realm_ids", parse_realm_ids)?;
    let catalogue = crate::app::catalogue();
    let permissions = row.parse("permissions", |paths| Some(catalogue.parse_paths(paths)))?;
    Ok(Limits {
        permissions: catalogue.grantable(permissions),
        realms: Realms::of(&realm_ids, row.get("allow_no_realm")?),
        addresses: row.parse("ip_whitelist", |entries| AddressList::parse_stored(entries).ok())?,
        expires_at: row.get("expires_at")?,
        vault_access: row.get("vault_access")?,
        event_access: row.get("event_access")?,
    })
}

/// The stored form of a token's realms: ids joined by commas.
pub(crate) fn parse_realm_ids(stored: &str) -> Option<Vec<RealmId>> {
    stored.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().ok()).collect()
}

/// Moves a token from the digest `old` to `new`, which is under `key`.
pub(super) async fn update_digest(db: &Db, old: &Digest, new: &Digest, key: KeyId) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute(REKEY, args![&new.bytes()[..], key.to_string(), &old.bytes()[..]]).await?;
    tx.commit().await
}

/// Writes who used which token, unless something newer is written.
pub(super) async fn update_usage(db: &Db, notes: &[Note]) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    for note in notes {
        tx.execute(USE, args![note.token, note.at, note.address.to_string(), USAGE_INTERVAL]).await?;
    }
    tx.commit().await
}
