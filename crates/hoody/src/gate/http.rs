//! `GET /auth/check`: does this credential work, here and now, and may it do this?

use axum::extract::State;
use hoody_core::grant::{Accepts, Rule};
use hoody_core::invalid::Invalid;
use http::StatusCode;
use http::request::Parts;

use crate::app::catalogue;
use crate::error::Error;
use crate::http::caller::admit;
use crate::http::{Query, Shared};

/// Whether the credential may do this: 204, or the refusal
#[utoipa::path(get, path = "/api/v1/auth/check", operation_id = "check", tag = "gate",
    params(("permission" = Option<String>, Query, description = "A path of the permission tree, e.g. projects.read")),
    security(("bearer" = [])), responses((status = 204, description = "It may"),
    (status = 401, body = hoody_core::wire::ErrorBody), (status = 403, body = hoody_core::wire::ErrorBody)))]
pub(crate) async fn check(
    State(app): State<Shared>,
    query: Query,
    parts: Parts,
) -> Result<StatusCode, Error> {
    let mut rule = Rule { accepts: Accepts::Any, permission: None, banned: false, unscoped: false };
    let wanted = query.text("permission");
    if let Ok(Some(path)) = &wanted {
        rule.permission = catalogue().leaf(path);
    }
    // Who may not come in learns that first, whatever else is wrong.
    admit(&parts, &app, rule).await?;
    if wanted?.is_some() && rule.permission.is_none() {
        let message = "permission must be a path of the permission tree, e.g. projects.read";
        return Err(Invalid::rule("INVALID_PARAMETER_VALUE", message).into());
    }
    Ok(StatusCode::NO_CONTENT)
}
