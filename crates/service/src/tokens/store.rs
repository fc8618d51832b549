//! The statements on `tokens` and `token_realms`.

use hoody_core::id::{RealmId, TokenId, UserId};
use hoody_core::keys::KeyId;
use hoody_core::permissions::Selection;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::secret::Digest;
use hoody_core::time::Timestamp;
use hoody_core::token_notes::Notes;
use serde_json::{Map, Value};

use super::Token;
use super::list::{Seen, Weighed};
use hoody_engine::catalogue::catalogue;
use hoody_engine::db::{DbError, On, Row, Tx, args};
use hoody_engine::grants::store::{parse_realm_ids, read_limits, read_selected};

/// The beginning of a statement whose rows [`read`] reads.
macro_rules! token_columns {
    () => {
        "SELECT t.id, t.user_id, t.alias, t.public_key, t.public_storage, t.ip_whitelist, t.realm_ids, \
         t.allow_no_realm, t.permissions, t.own_permissions, t.vault_access, t.event_access, t.expires_at, \
         t.is_enabled, t.created_by_token_id, t.delegation_depth, t.last_used_at, t.last_used_ip, t.created_at, \
         t.updated_at, t.external_id, t.meta, t.tags, t.description, t.hint FROM tokens t "
    };
}
pub(super) use token_columns;
macro_rules! token {
    ($filter:literal) => {
        concat!(token_columns!(), $filter)
    };
}
const BY_ID: &str = token!("WHERE t.id = $1 AND t.user_id = $2");
macro_rules! between {
    ($filter:literal) => {
        concat!(
            token_columns!(),
            "WHERE t.user_id = $1 ",
            $filter,
            "AND t.created_at <= $2 AND t.created_at >= $4 \
             AND (t.created_at < $2 OR t.id <= $3) AND (t.created_at > $4 OR t.id >= $5) \
             ORDER BY t.created_at DESC, t.id DESC"
        )
    };
}
const BETWEEN: &str = between!("");
const BETWEEN_OF: &str = between!("AND t.external_id = $6 ");
/// How many bytes the texts of a token have.
macro_rules! weight {
    () => {
        "COALESCE(octet_length(t.public_storage), 0) + COALESCE(octet_length(t.external_id), 0) \
         + COALESCE(octet_length(t.meta), 0) + COALESCE(octet_length(t.tags), 0) \
         + COALESCE(octet_length(t.description), 0) + octet_length(t.ip_whitelist) + octet_length(t.realm_ids)"
    };
}
macro_rules! weigh {
    ($filter:literal) => {
        concat!(
            "SELECT t.id, t.created_by_token_id, t.created_at, CAST(",
            weight!(),
            " AS BIGINT) AS weight FROM tokens t WHERE t.user_id = $1 ",
            $filter,
            "ORDER BY t.created_at DESC, t.id DESC"
        )
    };
}
const WEIGH: &str = weigh!("");
const WEIGH_OF: &str = weigh!("AND t.external_id = $2 ");
/// Their addresses decide nothing, and may be long.
const SEEN: &str = "SELECT t.id, t.created_by_token_id, t.realm_ids, t.allow_no_realm, t.permissions, t.own_permissions, \
     t.vault_access, t.event_access, t.expires_at, '*' AS ip_whitelist FROM tokens t WHERE t.user_id = $1";
/// `$1` and what descends from it. UNION and the bound end also a tree that bites its own tail.
macro_rules! subtree {
    ($rest:expr) => {
        concat!(
            "WITH RECURSIVE subtree (id, depth) AS (\
             SELECT r.id, 0 FROM tokens r WHERE r.id = $1 AND r.user_id = $2 \
             UNION SELECT c.id, s.depth + 1 FROM subtree s \
             JOIN tokens c ON c.created_by_token_id = s.id AND c.user_id = $2 WHERE s.depth < 16) ",
            $rest
        )
    };
}
const SUBTREE: &str = subtree!(
    "SELECT t.id, t.alias, t.realm_ids FROM tokens t WHERE t.id IN (SELECT id FROM subtree) \
     ORDER BY t.created_at DESC, t.id DESC"
);
/// In the order in which the use of tokens is written, and tokens move to another master key.
const LOCK_SUBTREE: &str =
    subtree!("SELECT t.id FROM tokens t WHERE t.id IN (SELECT id FROM subtree) ORDER BY t.id FOR UPDATE");
const DELETE_SUBTREE: &str = subtree!("DELETE FROM tokens WHERE id IN (SELECT id FROM subtree)");
/// So that it is known whose they were when somebody still sends one.
const KEEP_DIGESTS: &str = subtree!(
    "INSERT INTO deleted_tokens (digest, id, user_id, alias, realm_ids, deleted_at) \
     SELECT t.digest, t.id, t.user_id, t.alias, t.realm_ids, $3 FROM tokens t \
     WHERE t.id IN (SELECT id FROM subtree) ON CONFLICT DO NOTHING"
);
const BY_PUBLIC_KEY: &str = "SELECT t.public_key, t.public_storage FROM tokens t \
     JOIN users u ON u.id = t.user_id WHERE t.public_key = $1 AND t.is_enabled \
     AND (t.expires_at IS NULL OR t.expires_at > $3) AND NOT u.is_banned \
     ORDER BY CASE WHEN t.user_id = $2 THEN 0 ELSE 1 END, t.created_at, t.id LIMIT 1";
const COUNT_WORKING: &str = "SELECT COUNT(*) AS n FROM tokens WHERE user_id = $1 AND is_enabled \
     AND (expires_at IS NULL OR expires_at > $2)";
/// In the order in which their use is written.
const LOCK_ALL: &str = "SELECT id FROM tokens WHERE user_id = $1 AND is_enabled ORDER BY id FOR UPDATE";
const DISABLE_ALL: &str = "UPDATE tokens SET is_enabled = FALSE, updated_at = $2 \
     WHERE user_id = $1 AND is_enabled RETURNING id, alias, realm_ids";
const HELD: &str = concat!(
    "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(",
    weight!(),
    "), 0) AS BIGINT) AS bytes, COUNT(CASE WHEN t.created_by_token_id IS NOT DISTINCT FROM $2 \
     AND (t.expires_at IS NULL OR t.expires_at > $3) THEN 1 END) AS active FROM tokens t WHERE t.user_id = $1"
);
const ALIAS_TAKEN: &str = "SELECT 1 AS one FROM tokens WHERE user_id = $1 AND alias = $2 AND id <> $3";
const WAS_MADE: &str = "SELECT 1 AS one FROM tokens WHERE id = $1 \
     UNION ALL SELECT 1 AS one FROM deleted_tokens WHERE id = $1";
const INSERT: &str = "INSERT INTO tokens (id, user_id, digest, key_id, alias, public_key, public_storage, \
     ip_whitelist, realm_ids, allow_no_realm, permissions, vault_access, event_access, expires_at, is_enabled, \
     created_by_token_id, delegation_depth, created_at, updated_at, own_permissions, external_id, meta, tags, \
     description, hint) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, \
     $21, $22, $23, $24, $25) \
     ON CONFLICT DO NOTHING RETURNING id";
const UPDATE: &str = "UPDATE tokens SET alias = $2, public_key = $3, public_storage = $4, ip_whitelist = $5, \
     realm_ids = $6, allow_no_realm = $7, permissions = $8, vault_access = $9, event_access = $10, \
     expires_at = $11, is_enabled = $12, updated_at = $13, own_permissions = $15, \
     external_id = $16, meta = $17, tags = $18, description = $19 WHERE id = $1 AND user_id = $14";
const DELETE_REALMS: &str = "DELETE FROM token_realms WHERE token_id = $1";
const INSERT_REALM: &str = "INSERT INTO token_realms (token_id, realm_id, user_id) VALUES ($1, $2, $3)";

/// The token `id` of this account.
pub async fn find_token(
    on: impl Into<On<'_>>,
    account: UserId,
    id: TokenId,
    own: &OwnCatalogue,
) -> Result<Option<Token>, DbError> {
    on.into().find(BY_ID, args![id, account]).await?.map(|row| read(&row, own)).transpose()
}

/// Every token of the account, or those of this external id, with what it weighs, the latest first: for
/// [`read_weighed`].
pub(super) async fn weigh_tokens(
    on: impl Into<On<'_>>,
    account: UserId,
    external_id: Option<&str>,
) -> Result<Vec<Row>, DbError> {
    match external_id {
        None => on.into().list(WEIGH, args![account]).await,
        Some(id) => on.into().list(WEIGH_OF, args![account, id]).await,
    }
}

pub(super) fn read_weighed(row: &Row) -> Result<Weighed, DbError> {
    Ok(Weighed {
        id: row.get("id")?,
        creator: row.get("created_by_token_id")?,
        created_at: row.get("created_at")?,
        weight: usize::try_from(row.get::<i64>("weight")?).unwrap_or(0),
    })
}

/// The tokens of the account, or those of this external id, from `first` to `last`, the latest first: for
/// [`read`].
pub(super) async fn list_between(
    on: impl Into<On<'_>>,
    account: UserId,
    (first, last): (Weighed, Weighed),
    external_id: Option<&str>,
) -> Result<Vec<Row>, DbError> {
    let (begin, end) = ((first.created_at, first.id), (last.created_at, last.id));
    match external_id {
        None => on.into().list(BETWEEN, args![account, begin.0, begin.1, end.0, end.1]).await,
        Some(id) => on.into().list(BETWEEN_OF, args![account, begin.0, begin.1, end.0, end.1, id]).await,
    }
}

/// Every token of the account with what decides whether it is seen: for [`read_seen`].
pub(super) async fn list_seen(on: impl Into<On<'_>>, account: UserId) -> Result<Vec<Row>, DbError> {
    on.into().list(SEEN, args![account]).await
}

pub(super) fn read_seen(row: &Row, own: &OwnCatalogue) -> Result<Seen, DbError> {
    Ok(Seen {
        id: row.get("id")?,
        creator: row.get("created_by_token_id")?,
        realm_ids: row.parse("realm_ids", parse_realm_ids)?,
        limits: read_limits(row, own)?,
    })
}

/// The public profile behind a key: of the caller's account if there is one, else of the oldest token
/// that is in force.
pub async fn find_profile(
    on: impl Into<On<'_>>,
    public_key: &str,
    caller: UserId,
    now: Timestamp,
) -> Result<Option<Option<Map<String, Value>>>, DbError> {
    let row = on.into().find(BY_PUBLIC_KEY, args![public_key, caller, now]).await?;
    row.map(|row| read_storage(&row)).transpose()
}

/// What an account has in tokens.
#[derive(Debug)]
pub struct Held {
    /// How many, expired ones too.
    pub count: i64,
    /// How many bytes their lists and storages have.
    pub bytes: i64,
    /// How many of one maker have not expired.
    pub active: i64,
}

/// What the account has in tokens; as active are counted those that `creator` made, or nobody's.
pub async fn measure(
    on: impl Into<On<'_>>,
    account: UserId,
    creator: Option<TokenId>,
    now: Timestamp,
) -> Result<Held, DbError> {
    let row = on.into().one(HELD, args![account, creator, now]).await?;
    Ok(Held { count: row.get("n")?, bytes: row.get("bytes")?, active: row.get("active")? })
}

/// Whether another token than `but` has this alias. Holds until COMMIT for whoever locked the account.
pub async fn is_alias_taken(
    on: impl Into<On<'_>>,
    account: UserId,
    alias: &str,
    but: TokenId,
) -> Result<bool, DbError> {
    Ok(on.into().find(ALIAS_TAKEN, args![account, alias, but]).await?.is_some())
}

/// Whether there is or was a token with this id, of whatever account.
pub(super) async fn was_made(on: impl Into<On<'_>>, id: TokenId) -> Result<bool, DbError> {
    Ok(on.into().find(WAS_MADE, args![id]).await?.is_some())
}

/// Adds a token; false when its alias is taken.
pub async fn insert_token(tx: &mut Tx, token: &Token, digest: &Digest, key: KeyId) -> Result<bool, DbError> {
    let row = args![
        token.id,
        token.account,
        &digest.bytes()[..],
        key.to_string(),
        &token.alias,
        token.public_key.clone(),
        storage_text(token),
        token.limits.addresses.to_stored(),
        realms_text(&token.realm_ids),
        token.allow_no_realm,
        catalogue().to_paths(token.permissions.hoody),
        token.limits.vault_access,
        token.limits.event_access,
        token.limits.expires_at,
        token.is_enabled,
        token.created_by_token_id,
        token.delegation_depth,
        token.created_at,
        token.updated_at,
        token.permissions.own.to_stored(),
        token.notes.external_id.clone(),
        token.notes.meta_text(),
        token.notes.tags_text(),
        token.notes.description.clone(),
        token.hint.clone(),
    ];
    if On::from(&mut *tx).find(INSERT, row).await?.is_none() {
        return Ok(false);
    }
    insert_realms(tx, token).await?;
    Ok(true)
}

/// Writes everything about a token that can change.
pub async fn update_token(tx: &mut Tx, token: &Token) -> Result<(), DbError> {
    let row = args![
        token.id,
        &token.alias,
        token.public_key.clone(),
        storage_text(token),
        token.limits.addresses.to_stored(),
        realms_text(&token.realm_ids),
        token.allow_no_realm,
        catalogue().to_paths(token.permissions.hoody),
        token.limits.vault_access,
        token.limits.event_access,
        token.limits.expires_at,
        token.is_enabled,
        token.updated_at,
        token.account,
        token.permissions.own.to_stored(),
        token.notes.external_id.clone(),
        token.notes.meta_text(),
        token.notes.tags_text(),
        token.notes.description.clone(),
    ];
    tx.execute(UPDATE, row).await?;
    tx.execute(DELETE_REALMS, args![token.id]).await?;
    insert_realms(tx, token).await
}

/// What is told of a token that is deleted or disabled.
pub(super) struct Named {
    pub(super) id: TokenId,
    pub(super) alias: String,
    pub(super) realm_ids: Vec<RealmId>,
}

/// The token and all that descend from it, the latest first: for [`read_named`].
pub(super) async fn list_subtree(
    on: impl Into<On<'_>>,
    account: UserId,
    root: TokenId,
) -> Result<Vec<Row>, DbError> {
    on.into().list(SUBTREE, args![root, account]).await
}

pub(super) fn read_named(row: &Row) -> Result<Named, DbError> {
    Ok(Named {
        id: row.get("id")?,
        alias: row.get("alias")?,
        realm_ids: row.parse("realm_ids", parse_realm_ids)?,
    })
}

/// Deletes a token and all that descend from it; how many that were.
pub async fn delete_subtree(
    tx: &mut Tx,
    account: UserId,
    root: TokenId,
    now: Timestamp,
) -> Result<u64, DbError> {
    tx.lock(LOCK_SUBTREE, args![root, account]).await?;
    tx.execute(KEEP_DIGESTS, args![root, account, now]).await?;
    tx.execute(DELETE_SUBTREE, args![root, account]).await
}

/// How many tokens of the account work: enabled, and not expired.
pub async fn count_working(on: impl Into<On<'_>>, account: UserId, now: Timestamp) -> Result<u64, DbError> {
    let count = on.into().one(COUNT_WORKING, args![account, now]).await?.get::<i64>("n")?;
    Ok(count.unsigned_abs())
}

/// Disables every token of the account; which those were, for [`read_named`].
pub(super) async fn disable_all(tx: &mut Tx, account: UserId, now: Timestamp) -> Result<Vec<Row>, DbError> {
    tx.lock(LOCK_ALL, args![account]).await?;
    On::from(tx).list(DISABLE_ALL, args![account, now]).await
}

async fn insert_realms(tx: &mut Tx, token: &Token) -> Result<(), DbError> {
    for realm in &token.realm_ids {
        tx.execute(INSERT_REALM, args![token.id, *realm, token.account]).await?;
    }
    Ok(())
}

fn realms_text(realm_ids: &[RealmId]) -> String {
    realm_ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn storage_text(token: &Token) -> Option<String> {
    token.public_storage.clone().map(|storage| Value::Object(storage).to_string())
}

fn read_storage(row: &Row) -> Result<Option<Map<String, Value>>, DbError> {
    let text = row.get::<Option<String>>("public_storage")?;
    let storage = text.map(|text| serde_json::from_str(&text)).transpose();
    storage.map_err(|_| DbError::Unreadable("public_storage"))
}

fn read_notes(row: &Row) -> Result<Notes, DbError> {
    let meta = row.get::<Option<String>>("meta")?;
    let meta = meta.map(|text| serde_json::from_str(&text)).transpose();
    let tags = row.get::<Option<String>>("tags")?.unwrap_or_default();
    Ok(Notes {
        external_id: row.get("external_id")?,
        meta: meta.map_err(|_| DbError::Unreadable("meta"))?,
        tags: tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
        description: row.get("description")?,
    })
}

/// The token in a row.
pub(super) fn read(row: &Row, own: &OwnCatalogue) -> Result<Token, DbError> {
    Ok(Token {
        id: row.get("id")?,
        account: row.get("user_id")?,
        alias: row.get("alias")?,
        public_key: row.get("public_key")?,
        public_storage: read_storage(row)?,
        realm_ids: row.parse("realm_ids", parse_realm_ids)?,
        allow_no_realm: row.get("allow_no_realm")?,
        permissions: Selection {
            hoody: row.parse("permissions", |paths| Some(catalogue().parse_paths(paths)))?,
            own: read_selected(row)?,
        },
        limits: read_limits(row, own)?,
        is_enabled: row.get("is_enabled")?,
        notes: read_notes(row)?,
        hint: row.get("hint")?,
        created_by_token_id: row.get("created_by_token_id")?,
        delegation_depth: row.get("delegation_depth")?,
        last_used_at: row.get("last_used_at")?,
        last_used_ip: row.get("last_used_ip")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
