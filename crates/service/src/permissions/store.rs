//! Which tokens hold the operator's permissions.

use hoody_core::id::{TokenId, UserId};
use hoody_core::permissions::Selected;
use hoody_core::time::Timestamp;

use hoody_engine::db::{DbError, On, Row, Tx, args};
use hoody_engine::grants::store::read_selected;

const HOLDERS: &str = "SELECT id, user_id, own_permissions FROM tokens \
     WHERE own_permissions <> '' AND id > $1 ORDER BY id LIMIT $2";
const TAKE: &str =
    "UPDATE tokens SET own_permissions = $2, updated_at = $3 WHERE id = $1 AND own_permissions = $4";

/// How many tokens are read at a time.
pub(super) const PAGE: i64 = 1_000;

/// A token and what it holds of the operator's permissions.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) id: TokenId,
    pub(super) account: UserId,
    pub(super) selected: Selected,
}

/// The tokens after `last` that hold any, at most [`PAGE`] of them, by id.
pub(super) async fn list_holders(on: impl Into<On<'_>>, last: TokenId) -> Result<Vec<Holder>, DbError> {
    let rows = on.into().list(HOLDERS, args![last, PAGE]).await?;
    let read = |row: &Row| {
        Ok(Holder { id: row.get("id")?, account: row.get("user_id")?, selected: read_selected(row)? })
    };
    rows.iter().map(read).collect()
}

/// Gives a token `after` in place of what it holds; false when it holds something else by now.
pub(super) async fn replace(
    tx: &mut Tx,
    holder: &Holder,
    after: &Selected,
    now: Timestamp,
) -> Result<bool, DbError> {
    let row = args![holder.id, after.to_stored(), now, holder.selected.to_stored()];
    Ok(tx.execute(TAKE, row).await? == 1)
}
