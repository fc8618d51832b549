//! Statements whose text depends on numbers: a table for each day, as many rows as there are. Nothing
//! but numbers and the engine's own words is put into them.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

/// A statement made of a constant text.
#[derive(Debug, Clone)]
pub struct Built(String);

impl Built {
    /// `{span}` in `text` becomes this number.
    pub fn of(text: &'static str, span: i64) -> Self {
        Self(text.replace("{span}", &span.to_string()))
    }

    /// `{bytes}` becomes the engine's type of bytes.
    pub fn with_bytes_as(self, bytes: &'static str) -> Self {
        Self(self.0.replace("{bytes}", bytes))
    }

    /// `{rows}` becomes `count` rows of `columns` arguments each, as `VALUES` takes them.
    pub fn with_rows(self, columns: usize, count: usize) -> Self {
        let row = |row: usize| Self::arguments(row * columns + 1, columns);
        let rows: Vec<_> = (0..count).map(row).collect();
        Self(self.0.replace("{rows}", &rows.join(", ")))
    }

    /// `{list}` becomes `count` arguments from number `first` on, in parentheses.
    pub fn with_list(self, first: usize, count: usize) -> Self {
        Self(self.0.replace("{list}", &Self::arguments(first, count)))
    }

    fn arguments(first: usize, count: usize) -> String {
        let mut text = String::from("(");
        for number in first..first + count {
            let comma = if number > first { ", " } else { "" };
            let _ = write!(text, "{comma}${number}");
        }
        text.push(')');
        text
    }

    pub(super) fn into_sql_str(self) -> SqlStr {
        AssertSqlSafe(self.0).into_sql_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_put_in() {
        let built = Built::of("INSERT INTO t_{span} VALUES {rows}", 7).with_rows(2, 2);
        assert_eq!(built.0, "INSERT INTO t_7 VALUES ($1, $2), ($3, $4)");
        assert_eq!(
            Built::of("SELECT 1 WHERE id IN {list}", 0).with_list(3, 2).0,
            "SELECT 1 WHERE id IN ($3, $4)"
        );
    }
}
