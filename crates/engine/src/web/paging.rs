//! Pages by number: `page`, `limit`, `sort_by`, `sort_order` (`contract/README.md` 8).

use hoody_core::invalid::Invalid;
use hoody_core::wire::Pagination;

use super::Query;

/// One page that was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    pub number: i64,
    pub limit: i64,
    pub sort_by: &'static str,
    pub is_ascending: bool,
}

impl Page {
    /// Reads a page of at most 100, 10 unless told; sorted by the first of `columns` unless told, the
    /// latest first.
    pub fn read(query: &Query, columns: &[&'static str]) -> Result<Self, Invalid> {
        Ok(Self {
            number: query.number("page", 1..=1_000_000, 1)?,
            limit: query.number("limit", 1..=100, 10)?,
            sort_by: query.choice("sort_by", columns)?,
            is_ascending: query.choice("sort_order", &["desc", "asc"])? == "asc",
        })
    }

    /// How many rows lie before it.
    pub fn offset(&self) -> i64 {
        (self.number - 1) * self.limit
    }

    /// What the answer says of it, given how many rows there are.
    pub fn of_total(&self, total: u64) -> Pagination {
        let limit = self.limit.unsigned_abs();
        Pagination {
            total,
            page: u32::try_from(self.number).unwrap_or(u32::MAX),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            total_pages: total.div_ceil(limit),
        }
    }
}
