//! The endpoint of realms (`contract/realms.md`).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hoody_core::wire;

use super::{Realms, store};
use hoody_engine::error::Error;
use hoody_engine::web::caller::needs;
use hoody_engine::web::{Answer, Caller, Query, list};

needs! {
    /// Listing realms.
    RealmsRead { LEAF = "resources.realms" }
}

/// The most realms that are listed.
const MAX_LISTED: usize = 10_000;
/// They take the memory of so many rows of an ordinary page.
const ROOM_AS_ROWS: i64 = 128;

/// The realms that the account's projects and tokens carry; on a realm's host, that one
#[utoipa::path(get, path = "/api/v1/realms", operation_id = "list_realms", tag = "realms",
    params(("include_usage" = Option<bool>, Query, description = "With what carries each")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::RealmList>),
    (status = 403, body = wire::ErrorBody)))]
pub async fn list_realms(
    State(realms): State<Arc<Realms>>,
    caller: Caller<RealmsRead>,
    query: Query,
) -> Result<Response, Error> {
    let with_usage = query.flag("include_usage", false)?;
    // A credential that is bound to realms is on the host of one of them: it learns of no other.
    let realm = caller.attempt.realm;
    let one_more = i64::try_from(MAX_LISTED).unwrap_or(i64::MAX) + 1;
    let room = list::room(&realms.lists, caller.account(), ROOM_AS_ROWS).await?;
    let mut usage = store::list_usage(&realms.db, caller.account(), realm, one_more).await?;
    let is_cut = usage.len() > MAX_LISTED;
    usage.truncate(MAX_LISTED);
    let rows = usage.len();
    let made = move || {
        let list = wire::RealmList {
            realm_ids: usage.iter().map(|(realm, _)| *realm).collect(),
            total: usage.len() as u64,
            usage: with_usage.then(|| usage.into_iter().collect()),
        };
        Answer::ok("Realm IDs retrieved successfully", list).truncated(is_cut)
    };
    list::page(room, rows, made).await
}
