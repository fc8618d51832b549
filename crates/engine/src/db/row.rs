//! Rows of either engine, read by column name into the types that statements use.

use hoody_core::id::Id;
use hoody_core::time::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};

use super::{Arg, DbError};

/// One row.
#[derive(Debug)]
pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a column can be read as.
pub trait Column: Sized {
    fn read(row: &Row, name: &'static str) -> Result<Self, DbError>;
}

fn read<T>(row: &Row, name: &'static str) -> Result<T, DbError>
where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
{
    Ok(match row {
        Row::Sqlite(row) => row.try_get(name)?,
        Row::Postgres(row) => row.try_get(name)?,
    })
}

macro_rules! plain_columns {
    ($($t:ty),*) => { $(
        impl Column for $t {
            fn read(row: &Row, name: &'static str) -> Result<Self, DbError> {
                read(row, name)
            }
        }
    )* };
}
plain_columns!(i64, bool, String, Vec<u8>, Option<i64>, Option<String>, Option<Vec<u8>>);

impl<K> Column for Id<K> {
    fn read(row: &Row, name: &'static str) -> Result<Self, DbError> {
        Self::try_from(read::<Vec<u8>>(row, name)?.as_slice()).map_err(|_| DbError::Unreadable(name))
    }
}

impl<K> Column for Option<Id<K>> {
    fn read(row: &Row, name: &'static str) -> Result<Self, DbError> {
        let bytes = read::<Option<Vec<u8>>>(row, name)?;
        bytes.map(|bytes| Id::try_from(bytes.as_slice())).transpose().map_err(|_| DbError::Unreadable(name))
    }
}

impl Column for Timestamp {
    fn read(row: &Row, name: &'static str) -> Result<Self, DbError> {
        Ok(Self::from_millis(read(row, name)?))
    }
}

impl Column for Option<Timestamp> {
    fn read(row: &Row, name: &'static str) -> Result<Self, DbError> {
        Ok(read::<Option<i64>>(row, name)?.map(Timestamp::from_millis))
    }
}

impl Row {
    /// The value of the column `name`.
    pub fn get<T: Column>(&self, name: &'static str) -> Result<T, DbError> {
        T::read(self, name)
    }

    /// A column of text that `parse` understands.
    pub fn parse<T>(&self, name: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, DbError> {
        parse(&self.get::<String>(name)?).ok_or(DbError::Unreadable(name))
    }
}

macro_rules! arg_from {
    ($($t:ty => |$value:ident| $arg:expr;)*) => { $(
        impl From<$t> for Arg {
            fn from($value: $t) -> Self {
                $arg
            }
        }
    )* };
}
arg_from! {
    i64 => |value| Self::Int(Some(value));
    Option<i64> => |value| Self::Int(value);
    bool => |value| Self::Bool(value);
    &str => |value| Self::Text(Some(value.to_owned()));
    String => |value| Self::Text(Some(value));
    &String => |value| Self::Text(Some(value.clone()));
    Option<String> => |value| Self::Text(value);
    Option<&str> => |value| Self::Text(value.map(str::to_owned));
    &[u8] => |value| Self::Bytes(Some(value.to_owned()));
    Vec<u8> => |value| Self::Bytes(Some(value));
    Timestamp => |value| Self::Int(Some(value.millis()));
    Option<Timestamp> => |value| Self::Int(value.map(Timestamp::millis));
}

impl<K> From<Id<K>> for Arg {
    fn from(id: Id<K>) -> Self {
        Self::Bytes(Some(id.bytes().to_vec()))
    }
}

impl<K> From<Option<Id<K>>> for Arg {
    fn from(id: Option<Id<K>>) -> Self {
        Self::Bytes(id.map(|id| id.bytes().to_vec()))
    }
}
