//! What the database knows of a credential: a session with its account, a token with all that it
//! descends from.

use hoody_core::address::AddressList;
use hoody_core::extras::{Extras, Label};
use hoody_core::grant::{Bounds, Credential, Grant, Realms};
use hoody_core::id::{RealmId, TokenId, UserId};
use hoody_core::lineage::{Lineage, Link};
use hoody_core::permissions::Selected;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::secret::Digest;
use hoody_core::session::{Claims, REUSE_GRACE, Standing};
use hoody_core::time::{SECOND, Timestamp};

use super::cold::Rekey;
use super::session_row;
use super::usage::{Note, USAGE_INTERVAL};
use crate::db::{Db, DbError, On, Row, args};

/// A token and what it descends from, itself first: one statement whatever the depth. The join on the
/// account keeps a lineage in one account; the bound ends a chain that bites its own tail.
macro_rules! lineage {
    ($filter:literal) => {
        concat!(
            "WITH RECURSIVE lineage (id, creator, account, height) AS (\
             SELECT t.id, t.created_by_token_id, t.user_id, 0 FROM tokens t WHERE ",
            $filter,
            " UNION ALL SELECT p.id, p.created_by_token_id, p.user_id, l.height + 1 FROM lineage l \
             JOIN tokens p ON p.id = l.creator AND p.user_id = l.account WHERE l.height < 17) \
             SELECT t.id, t.user_id, t.created_by_token_id, t.is_enabled, t.expires_at, t.ip_whitelist, \
             t.realm_ids, t.allow_no_realm, t.permissions, t.own_permissions, t.vault_access, t.event_access, t.last_used_at, \
             u.is_banned FROM lineage l JOIN tokens t ON t.id = l.id JOIN users u ON u.id = t.user_id \
             ORDER BY l.height"
        )
    };
}
const LINEAGE_BY_DIGEST: &str = lineage!("t.digest = $1");
const LINEAGE_BY_ID: &str = lineage!("t.id = $1");
const REKEY: &str = "UPDATE tokens SET digest = $1, key_id = $2 WHERE digest = $3 \
     AND EXISTS (SELECT 1 FROM master_keys WHERE id = $2 AND retired_at IS NULL)";
const LABEL: &str = "SELECT alias, external_id, meta FROM tokens WHERE id = $1";
const DELETED: &str = "SELECT user_id, id FROM deleted_tokens WHERE digest = $1";
const USE: &str = "UPDATE tokens SET last_used_at = $2, last_used_ip = $3 \
     WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2 - $4)";

/// The grant of the token with this digest, and when its use was last written.
pub async fn find_token(
    on: impl Into<On<'_>>,
    digest: &Digest,
    own: &OwnCatalogue,
) -> Result<Option<(Grant, Option<Timestamp>)>, DbError> {
    let rows = on.into().list(LINEAGE_BY_DIGEST, args![&digest.bytes()[..]]).await?;
    let Some(grant) = token_grant(&rows, own)? else { return Ok(None) };
    Ok(Some((grant, rows[0].get("last_used_at")?)))
}

/// Whose the deleted token with this digest was, and which.
pub(super) async fn find_deleted(
    on: impl Into<On<'_>>,
    digest: &Digest,
) -> Result<Option<(UserId, TokenId)>, DbError> {
    let row = on.into().find(DELETED, args![&digest.bytes()[..]]).await?;
    row.map(|row| Ok((row.get("user_id")?, row.get("id")?))).transpose()
}

/// The label of the token with this id, where it has any text; `None` where there is no such token.
pub(super) async fn find_label(on: impl Into<On<'_>>, id: TokenId) -> Result<Option<Option<Label>>, DbError> {
    let row = on.into().find(LABEL, args![id]).await?;
    row.map(|row| {
        let (alias, external_id): (String, Option<String>) = (row.get("alias")?, row.get("external_id")?);
        let meta: Option<String> = row.get("meta")?;
        Ok(Label::of(&alias, external_id.as_deref(), meta.as_deref()))
    })
    .transpose()
}

/// The grant of the token with this id.
pub async fn find_token_by_id(
    on: impl Into<On<'_>>,
    id: TokenId,
    own: &OwnCatalogue,
) -> Result<Option<Grant>, DbError> {
    token_grant(&on.into().list(LINEAGE_BY_ID, args![id]).await?, own)
}

/// The token with this id and all that it descends from.
pub async fn find_lineage(
    on: impl Into<On<'_>>,
    id: TokenId,
    own: &OwnCatalogue,
) -> Result<Option<Lineage>, DbError> {
    read_lineage(&on.into().list(LINEAGE_BY_ID, args![id]).await?, own)
}

/// The grant of the session that `claims` speak of, if they still hold: not ended, of the account's
/// generation, of the current pair or the one just replaced.
pub async fn find_session(on: impl Into<On<'_>>, claims: &Claims) -> Result<Option<Grant>, DbError> {
    let Some(session) = session_row::find_session(on, claims.sid).await? else { return Ok(None) };
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
        is_enabled: true,
        is_banned: session.is_banned,
        limits: Bounds::of_session(expires_at),
    }))
}

fn token_grant(rows: &[Row], own: &OwnCatalogue) -> Result<Option<Grant>, DbError> {
    let (Some(row), Some(lineage)) = (rows.first(), read_lineage(rows, own)?) else { return Ok(None) };
    Ok(Some(lineage.grant(row.get("user_id")?, row.get("is_banned")?)))
}

fn read_lineage(rows: &[Row], own: &OwnCatalogue) -> Result<Option<Lineage>, DbError> {
    let link = |row: &Row| {
        Ok(Link {
            id: row.get("id")?,
            creator: row.get("created_by_token_id")?,
            is_enabled: row.get("is_enabled")?,
            limits: read_limits(row, own)?,
        })
    };
    Ok(Lineage::new(rows.iter().map(link).collect::<Result<Vec<_>, DbError>>()?))
}

/// The limits in a row of `tokens`. Groups that grow hold what `own` has in them.
pub fn read_limits(row: &Row, own: &OwnCatalogue) -> Result<Bounds, DbError> {
    let realm_ids = row.parse("realm_ids", parse_realm_ids)?;
    let catalogue = crate::catalogue::catalogue();
    let permissions = row.parse("permissions", |paths| Some(catalogue.parse_paths(paths)))?;
    Ok(Bounds {
        permissions: catalogue.grantable(permissions),
        realms: Realms::of(&realm_ids, row.get("allow_no_realm")?),
        addresses: row.parse("ip_whitelist", |entries| AddressList::parse_stored(entries).ok())?,
        expires_at: row.get("expires_at")?,
        vault_access: row.get("vault_access")?,
        event_access: row.get("event_access")?,
        extras: own_extras(&read_selected(row)?, own),
    })
}

/// The operator's leaves in a row of `tokens`.
pub fn read_selected(row: &Row) -> Result<Selected, DbError> {
    row.parse("own_permissions", |stored| Some(Selected::parse_stored(stored)))
}

/// What a token that selects these of the operator's leaves holds.
#[must_use]
pub fn own_extras(selected: &Selected, own: &OwnCatalogue) -> Extras {
    if selected.grows().len() == 0 {
        // No catalogue is asked: nothing names a number that was removed.
        return Extras::of_own(selected.ids().iter().copied().collect(), false);
    }
    Extras::of_own(own.resolve(selected), true)
}

/// The stored form of a token's realms: ids joined by commas.
pub fn parse_realm_ids(stored: &str) -> Option<Vec<RealmId>> {
    stored.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().ok()).collect()
}

/// Moves tokens from their old digests to new ones, each with the key that it is under.
pub(super) async fn update_digests(db: &Db, moves: impl Iterator<Item = &Rekey>) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    for (old, (key, new)) in moves {
        tx.execute(REKEY, args![&new.bytes()[..], key.to_string(), &old.bytes()[..]]).await?;
    }
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
