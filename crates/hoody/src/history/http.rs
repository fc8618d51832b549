//! The endpoint of the security history (`contract/users.md`).

use axum::extract::State;
use hoody_core::wire;

use super::store;
use crate::error::Error;
use crate::http::caller::AccountRead;
use crate::http::{Answer, Caller, Query, Shared};

/// What happened to the caller's account, the latest first; kept 180 days
#[utoipa::path(get, path = "/api/v1/users/me/security-history", operation_id = "get_security_history", tag = "users",
    params(("page" = Option<u32>, Query, description = "From 1 to 10000"),
    ("limit" = Option<u32>, Query, description = "At most 100; 50 unless told"),
    ("include_failed" = Option<bool>, Query, description = "Also what failed: wrong passwords and codes"),
    ("include_security" = Option<bool>, Query, description = "Also what was done to password and second factor")),
    security(("bearer" = [])), responses((status = 200, body = wire::SecurityHistoryEnvelope),
    (status = 403, body = wire::ErrorBody)))]
pub(crate) async fn get_security_history(
    State(app): State<Shared>,
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
    let total = store::count(&app.db, wanted).await?;
    let events = store::list(&app.db, wanted, limit, (page - 1) * limit).await?;
    let metadata = wire::PageMetadata::of(total, page, limit);
    Ok(Answer::ok("Login history retrieved successfully", events).metadata(metadata))
}
