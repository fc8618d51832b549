//! What carries realms: the rows of `project_realms`, `token_realms` and `container_realms`.

use hoody_core::id::{RealmId, UserId};
use hoody_core::wire::RealmUsage;

use hoody_engine::db::{DbError, On, Row, args};
use hoody_engine::work;

const USAGE: &str = "SELECT u.realm_id, CAST(SUM(u.projects) AS BIGINT) AS projects, \
     CAST(SUM(u.tokens) AS BIGINT) AS tokens, CAST(SUM(u.containers) AS BIGINT) AS containers FROM \
     (SELECT p.realm_id, COUNT(*) AS projects, 0 AS tokens, 0 AS containers FROM project_realms p WHERE p.user_id = $1 \
     AND ($2 IS NULL OR p.realm_id = $2) GROUP BY p.realm_id \
     UNION ALL SELECT t.realm_id, 0 AS projects, COUNT(*) AS tokens, 0 AS containers FROM token_realms t WHERE t.user_id = $1 \
     AND ($2 IS NULL OR t.realm_id = $2) GROUP BY t.realm_id \
     UNION ALL SELECT r.realm_id, 0 AS projects, 0 AS tokens, COUNT(*) AS containers FROM containers c \
     JOIN container_realms r ON r.container_id = c.id WHERE c.user_id = $1 \
     AND ($2 IS NULL OR r.realm_id = $2) GROUP BY r.realm_id) u \
     GROUP BY u.realm_id ORDER BY u.realm_id LIMIT $3";

/// The first `limit` realms that anything of the account carries, each once, and what carries it; only
/// `realm` if that is given.
pub async fn list_usage(
    on: impl Into<On<'_>>,
    account: UserId,
    realm: Option<RealmId>,
    limit: i64,
) -> Result<Vec<(RealmId, RealmUsage)>, DbError> {
    let rows = on.into().list(USAGE, args![account, realm, limit]).await?;
    let read = |row: &Row| {
        let usage = RealmUsage {
            projects: row.get::<i64>("projects")?.unsigned_abs(),
            auth_tokens: row.get::<i64>("tokens")?.unsigned_abs(),
            containers: row.get::<i64>("containers")?.unsigned_abs(),
            ..RealmUsage::default()
        };
        Ok((row.get("realm_id")?, usage))
    };
    work::each(rows, read).await
}
