//! What a server tells anyone (`contract/utilities.md`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Timestamp;

/// What the server sees of the caller (`GET /ip`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IpInfo {
    /// The address that lists of addresses are compared with.
    pub ip: String,
    /// As sent.
    pub user_agent: Option<String>,
    /// As sent, without anything that signs in.
    pub headers: BTreeMap<String, String>,
    /// As sent.
    pub referer: Option<String>,
    /// When the request was read.
    pub timestamp: Timestamp,
    /// Whether it carried a credential that holds.
    pub is_logged: bool,
    /// `http` or `https`.
    pub protocol: String,
    /// Where the address is; `null` without a database of places.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub ip_info: Option<Value>,
}
