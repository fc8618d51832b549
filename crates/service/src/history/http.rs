//! The endpoint of the security history (`contract/users.md`).

use std::sync::Arc;

use axum::extract::State;
use hoody_core::wire;

use super::{History, store};
use hoody_engine::error::Error;
use hoody_engine::web::caller::AccountRead;
use hoody_engine::web::{Answer, Caller, Query};

/// What happened to the caller's account, the latest first; kept 180 days
#[utoipa::path(get, path = "/api/v1/users/me/security-history", operation_id = "get_security_history", tag = "users",
    params(("page" = Option<u32>, Query, description = "From 1 to 10000"),
    ("limit" = Option<u32>, Query, description = "At most 100; 50 unless told"),
    ("include_failed" = Option<bool>, Query, description = "Also what failed: wrong passwords and codes"),
    ("include_security" = Option<bool>, Query, description = "Also what was done to password and second factor")),
    security(("bearer" = [])), responses((status = 200, body = wire::SecurityHistoryEnvelope),
    (status = 403, body = wire::ErrorBody)))]
pub async fn get_security_history(
    State(history): State<Arc<History>>,
    caller: Caller<AccountRead>,
    query: Query,
) -> Result<Answer<Vec<wire::SecurityEvent>>, Error> {
    let page = query.number("page", 1..=10_000, 1)?;
    let limit = query.number("limit", 1..=100, 50)?;
    let wanted = store::Wanted {
        account: caller.account(),
        with_failed: query.flag("include_failed", false)?,
        with_security: query.flag("include_security", false)?,
    };
    let total = store::count(&history.db, wanted).await?;
    let events = store::list(&history.db, wanted, limit, (page - 1) * limit).await?;
    let metadata = wire::PageMetadata::of(total, page, limit);
    Ok(Answer::ok("Login history retrieved successfully", events).metadata(metadata))
}
