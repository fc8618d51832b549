//! Columns of sealed values: each belongs to a noun, which hands it over as a value.

use hoody_core::id::{RealmId, UserId};
use hoody_core::keys::KeyId;
use hoody_core::seal::Place;

use super::NOBODY;
use crate::db::{Arg, DbError, On, Row, args};

/// A column of sealed values, and how they are moved from one key to another.
#[derive(Debug)]
pub struct Sealed {
    pub table: &'static str,
    pub column: &'static str,
    /// Where the key's name is: in a column of its own, or only in the value's first eight bytes.
    pub key: KeyColumn,
    /// How many values are under the key `$1`: `n`.
    pub count: &'static str,
    /// Some values under the key `$1`, the first `$2` left out, in an order that stays.
    pub list: &'static str,
    /// Reads a row of `list`.
    pub read: fn(&Row) -> Result<Value, DbError>,
    /// Puts a value in place of the one that was read, unless another is there by now: `$1` is the value,
    /// then its key's name if it has a column, then [`Value::which`].
    pub replace: &'static str,
}

/// Where a sealed value's key is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyColumn {
    /// In this column, as text.
    Named(&'static str),
    /// In the value alone.
    InValue,
}

/// A sealed value, where it belongs, and what its row is found by.
#[derive(Debug)]
pub struct Value {
    pub sealed: Vec<u8>,
    pub account: UserId,
    pub realm: Option<RealmId>,
    pub row: Vec<u8>,
    pub which: Vec<Arg>,
}

impl Sealed {
    /// The argument by which a statement finds the values of `key`.
    pub fn key_arg(&self, key: KeyId) -> Arg {
        match self.key {
            KeyColumn::Named(_) => Arg::from(key.to_string()),
            KeyColumn::InValue => Arg::from(&key.bytes()[..]),
        }
    }

    /// The place of one of its values.
    pub fn place<'a>(&self, value: &'a Value) -> Place<'a> {
        let Value { account, realm, row, .. } = value;
        Place { table: self.table, column: self.column, account: *account, realm: *realm, row }
    }

    /// `table.column`
    pub fn name(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }

    /// How many of its values are under `key`.
    pub async fn count(&self, on: impl Into<On<'_>>, key: KeyId) -> Result<i64, DbError> {
        on.into().one(self.count, vec![self.key_arg(key)]).await?.get("n")
    }
}

/// The engine's own: what tells the tokens of a retired master key from garbage.
pub static SEALED: [Sealed; 1] = [Sealed {
    table: "token_tags",
    column: "sealed",
    key: KeyColumn::Named("key_id"),
    count: "SELECT COUNT(*) AS n FROM token_tags WHERE key_id = $1",
    list: "SELECT made_under, sealed FROM token_tags WHERE key_id = $1 ORDER BY made_under \
           LIMIT 100 OFFSET $2",
    read: read_tag,
    replace: "UPDATE token_tags SET sealed = $1, key_id = $2 WHERE made_under = $3 AND sealed = $4",
}];

fn read_tag(row: &Row) -> Result<Value, DbError> {
    let (made_under, sealed): (String, Vec<u8>) = (row.get("made_under")?, row.get("sealed")?);
    let which = args![&made_under, sealed.clone()];
    Ok(Value { sealed, account: NOBODY, realm: None, row: made_under.into_bytes(), which })
}
