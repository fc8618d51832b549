//! Realms: labels inside one account. Nobody makes or deletes one; it is there for as long as something
//! carries it (`contract/realms.md`). Which host names which realm is `hoody_core::host`, which credential
//! works in which realm `hoody_core::grant`.

pub(crate) mod http;
pub(crate) mod store;

use hoody_core::id::RealmId;

use crate::error::Error;
use crate::http::caller::AnyCaller;

/// The realm that a list is limited to: the host's, or the one that `?realm_id=` asks for. A credential
/// that is bound to realms is on one's host, so it never selects another.
pub(crate) fn select(caller: &AnyCaller, asked: Option<RealmId>) -> Result<Option<RealmId>, Error> {
    match (caller.attempt.realm, asked) {
        (Some(of_host), Some(asked)) if of_host != asked => Err(Error::Forbidden {
            code: "REALM_NOT_ALLOWED",
            message: format!("realm_id asks for realm {asked} on the host of realm {of_host}"),
        }),
        (of_host, asked) => Ok(of_host.or(asked)),
    }
}
