//! `GET /permissions`: which permissions there are, in words for people.

use std::sync::Arc;

use axum::extract::State;
use hoody_core::permissions::own::{OwnCatalogue, Row, State as LeafState};
use hoody_core::permissions::{AnyPermission, PermissionSet, Selected, words};
use hoody_core::wire::{
    PermissionCatalogue, PermissionInfo, PermissionOrigin, PermissionState, TemplateInfo,
};

use super::Permissions;
use hoody_engine::catalogue::{catalogue, catalogues};
use hoody_engine::error::Error;
use hoody_engine::web::caller::{AnyCaller, Valid};
use hoody_engine::web::{Answer, Caller, Query};

/// The permission that shows a token more than it holds.
const READ_ACCOUNT: &str = "resources.read_account";

/// Which permissions there are: all to a session and to a token with `resources.read_account`, to other tokens
/// those that they hold
#[utoipa::path(get, path = "/api/v1/permissions", operation_id = "list_permissions", tag = "permissions",
    params(("unused" = Option<bool>, Query, description = "With hoody's own permissions that guard no route here")),
    security(("bearer" = [])), responses((status = 200, body = hoody_core::wire::Envelope<PermissionCatalogue>),
    (status = 401, body = hoody_core::wire::ErrorBody)))]
pub async fn list_permissions(
    State(permissions): State<Arc<Permissions>>,
    caller: Caller<Valid>,
    query: Query,
) -> Result<Answer<PermissionCatalogue>, Error> {
    let with_unused = query.flag("unused", false)?;
    let own = permissions.access.own_catalogue().await?;
    let shown = shown(&own, &caller, with_unused);
    Ok(Answer::ok("Permissions retrieved successfully", shown))
}

fn shown(own: &OwnCatalogue, caller: &AnyCaller, with_unused: bool) -> PermissionCatalogue {
    let bounds = &caller.grant().limits;
    let sees_all = caller.token().is_none()
        || catalogue().leaf(READ_ACCOUNT).is_some_and(|leaf| bounds.permissions.has(leaf));
    let is_seen = |leaf: AnyPermission| sees_all || bounds.holds(leaf);
    let of_own = own.leaves().iter().filter(|row| is_seen(row.id.into())).map(|row| of_operator(own, row));
    let (used, unused): (Vec<_>, Vec<_>) = catalogue()
        .leaves()
        .filter(|(leaf, _)| is_seen((*leaf).into()))
        .map(|(_, leaf)| {
            let words = words(&leaf.path);
            let info = PermissionInfo {
                path: leaf.path.clone(),
                description: words.map(|words| words.description.to_owned()).unwrap_or_default(),
                writes: leaf.writes,
                origin: PermissionOrigin::Hoody,
                state: PermissionState::Live,
                old_paths: Vec::new(),
            };
            (words.is_some_and(|words| words.is_used), info)
        })
        .partition(|(is_used, _)| *is_used);
    let infos = |infos: Vec<(bool, PermissionInfo)>| infos.into_iter().map(|(_, info)| info);
    PermissionCatalogue {
        version: own.version(),
        permissions: of_own.chain(infos(used)).collect(),
        unused: with_unused.then(|| infos(unused).collect()),
        templates: if sees_all { templates(own) } else { Vec::new() },
    }
}

fn of_operator(own: &OwnCatalogue, row: &Row) -> PermissionInfo {
    PermissionInfo {
        path: row.path.clone(),
        description: row.description.clone(),
        writes: row.writes,
        origin: PermissionOrigin::Operator,
        state: match row.state {
            LeafState::Live => PermissionState::Live,
            LeafState::Retired | LeafState::Removed => PermissionState::Retired,
        },
        old_paths: own.old_paths(row.id).into_iter().map(str::to_owned).collect(),
    }
}

fn templates(own: &OwnCatalogue) -> Vec<TemplateInfo> {
    let paths = |hoody: PermissionSet, selected: &Selected| {
        catalogues(own).paths(hoody, &own.resolve(selected)).map(str::to_owned).collect::<Vec<_>>()
    };
    let nothing = Selected::default();
    let of_hoody = catalogue().templates().iter().map(|template| TemplateInfo {
        name: template.name.to_owned(),
        description: template.description.to_owned(),
        origin: PermissionOrigin::Hoody,
        permissions: paths(template.permissions, &nothing),
    });
    let of_own = own.templates().iter().map(|template| TemplateInfo {
        name: template.name.clone(),
        description: template.description.clone(),
        origin: PermissionOrigin::Operator,
        permissions: paths(template.hoody, &template.own),
    });
    of_own.chain(of_hoody).collect()
}
