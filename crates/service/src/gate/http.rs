//! `GET /auth/check`: does this credential work, here and now, and may it do this?

use std::sync::Arc;

use axum::extract::FromRequestParts;
use hoody_core::grant::{Deny, Rule};
use hoody_core::invalid::Invalid;
use hoody_core::permissions::AnyPermission;
use http::StatusCode;
use http::request::Parts;

use super::Gate;
use hoody_engine::catalogue::catalogue;
use hoody_engine::error::Error;
use hoody_engine::web::caller::admit;
use hoody_engine::web::{Access, Query};

/// A credential that was let in for what the query asks. An extractor, so that the head of the request
/// is read where it is and not copied: this is the route that is asked most.
#[derive(Debug)]
pub struct Checked;

/// Whether the credential may do this: 204, or the refusal
#[utoipa::path(get, path = "/api/v1/auth/check", operation_id = "check", tag = "gate",
    params(("permission" = Option<String>, Query, description = "A path of the permission tree, e.g. projects.read")),
    security(("bearer" = [])), responses((status = 204, description = "It may"),
    (status = 400, body = hoody_core::wire::ErrorBody), (status = 401, body = hoody_core::wire::ErrorBody),
    (status = 403, body = hoody_core::wire::ErrorBody)))]
pub async fn check(_: Checked) -> StatusCode {
    StatusCode::NO_CONTENT
}

/// The leaf that a path names: hoody's, or the operator's under its path or an old one.
async fn find(access: &Access, path: &str) -> Result<Option<AnyPermission>, Error> {
    if let Some(leaf) = catalogue().leaf(path) {
        return Ok(Some(leaf.into()));
    }
    let own = access.own_catalogue().await?;
    Ok(own.find(path).map(|found| found.leaf.id.into()))
}

/// The refusal for the lack of one of the operator's leaves with its path, which the caller sent.
fn name_own(error: Error, path: Option<&str>) -> Error {
    match error {
        Error::Denied(deny @ Deny::Permission(AnyPermission::Own(_)), _) => {
            Error::Denied(deny, path.map(str::to_owned))
        }
        other => other,
    }
}

impl FromRequestParts<Arc<Gate>> for Checked {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, gate: &Arc<Gate>) -> Result<Self, Error> {
        let query = Query::from_request_parts(parts, gate).await?;
        let mut rule = Rule::ANY;
        let wanted = query.text("permission");
        if let Ok(Some(path)) = &wanted {
            rule.permission = find(&gate.access, path).await?;
        }
        // A caller without a credential learns that first, whatever else is wrong.
        let admitted = admit(parts, &gate.access, rule).await;
        admitted.map_err(|error| name_own(error, wanted.as_ref().ok().and_then(Option::as_deref)))?;
        if wanted?.is_some() && rule.permission.is_none() {
            let message = "permission must be a path of the permission tree, e.g. projects.read";
            return Err(Invalid::rule("INVALID_PARAMETER_VALUE", message).into());
        }
        // A name that is misspelt must not turn the question into one whose answer is yes.
        query.only("permission")?;
        Ok(Self)
    }
}
