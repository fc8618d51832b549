//! The password, asked once more of somebody who is signed in: before it is changed, and on the routes of
//! the second factor.

use std::net::IpAddr;

use hoody_core::grant::{Deny, Grant};
use hoody_core::id::UserId;
use hoody_core::wire;

use super::queue::Asker;
use super::{User, Users, store};
use crate::history::{Event, Source};
use hoody_engine::db::On;
use hoody_engine::error::Error;
use hoody_engine::feed::Mutation;
use hoody_engine::limits::{PASSWORD_AGAIN, Subject};
use hoody_engine::web::caller::AnyCaller;

/// The account, if this is its password. A wrong one counts, so that who has found an open session cannot
/// try passwords there.
///
/// # Errors
/// [`Error::RateLimited`] after too many wrong ones; [`Error::Unavailable`] when too many are checked.
pub async fn confirm_password(
    users: &Users,
    account: UserId,
    password: &wire::Secret,
    address: IpAddr,
) -> Result<Option<User>, Error> {
    let subject = Subject::Account(account);
    users.limits.refuse_remembered(&PASSWORD_AGAIN, subject)?;
    let turn = users.passwords.turn(Asker::Known(account)).await?;
    let user = store::find_user(&users.db, account).await?;
    let user = user.ok_or(Error::NotFound { code: "USER_NOT_FOUND", message: "User not found" })?;
    users.limits.check(&PASSWORD_AGAIN, subject).await?;
    let (verdict, turn) = turn.verify(password.expose(), Some(user.password_hash.clone())).await?;
    if verdict.is_right() {
        return Ok(Some(user));
    }
    let mut tx = users.db.begin().await?;
    users.limits.failed_in(&mut tx, &PASSWORD_AGAIN, subject).await?;
    let (who, source) = ((Some(account), ""), Source { address: Some(address), client: None });
    users.history.record_failure(&mut tx, who, Event::PasswordFailed, source, users.clock.now()).await?;
    tx.commit().await?;
    drop(turn);
    Ok(None)
}

/// Begins a mutation of an account whose password was checked before. Whatever changes a credential ends
/// every session: a caller who was let in a moment ago, and whose account is not any more what was
/// checked, has lost a race, and is told so.
///
/// # Errors
/// 409 `CREDENTIAL_CHANGED` with nothing written; what [`hoody_engine::feed::Feed::begin`] fails with.
pub async fn begin_checked(
    users: &Users,
    caller: &AnyCaller,
    checked: &User,
) -> Result<(Mutation, Grant), Error> {
    let mut begun = match users.feed.begin(caller).await {
        Err(Error::Denied(Deny::Unknown | Deny::Disabled, _)) if !is_as(&users.db, checked).await? => {
            return Err(credential_changed());
        }
        begun => begun?,
    };
    if is_as(&mut begun.0.tx, checked).await? { Ok(begun) } else { Err(credential_changed()) }
}

/// Whether the account's credentials are those that were checked.
async fn is_as(on: impl Into<On<'_>>, checked: &User) -> Result<bool, Error> {
    let stored = store::find_user(on, checked.id).await?;
    Ok(stored.is_some_and(|stored| {
        stored.generation == checked.generation
            && stored.password_hash.expose() == checked.password_hash.expose()
    }))
}

pub fn credential_changed() -> Error {
    let message = "The account's credentials were changed meanwhile; nothing was written".to_owned();
    Error::Conflict { code: "CREDENTIAL_CHANGED", message }
}
