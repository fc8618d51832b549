//! The frames around every answer (`contract/README.md` 2, 3 and 8).

use serde::{Deserialize, Serialize};

/// A successful answer. Its three keys are always there; `data` is `null` where there is nothing to
/// give, which is `Envelope<()>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Envelope<T> {
    /// The HTTP status, again.
    #[serde(rename = "statusCode")]
    pub status_code: u16,
    /// What was done, for people. The contract lists the texts.
    pub message: String,
    /// What was asked for.
    pub data: T,
}

/// A refusal. Clients branch on `code`; `message` is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// The HTTP status, again.
    #[serde(rename = "statusCode")]
    pub status_code: u16,
    /// The HTTP reason phrase, or for some codes the code itself.
    pub error: String,
    /// What is wrong, for people.
    pub message: String,
    /// The machine code, e.g. `INVALID_TOKEN`. Other servers of this contract may leave it out: empty then.
    #[serde(default)]
    pub code: String,
    /// More about it: for a 422 the list of violations.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub data: Option<serde_json::Value>,
}

/// Where a page stands in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pagination {
    /// How many there are in all.
    pub total: u64,
    /// This page, from 1.
    pub page: u32,
    /// How many a page holds at most.
    pub limit: u32,
    /// How many pages there are; 0 when there is nothing.
    #[serde(rename = "totalPages")]
    pub total_pages: u64,
}
