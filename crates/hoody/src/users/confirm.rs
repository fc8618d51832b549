//! The password, asked once more of somebody who is signed in: before it is changed, and on the routes of
//! the second factor.

use std::net::IpAddr;
use std::sync::Arc;

use hoody_core::grant::{Deny, Grant};
use hoody_core::id::UserId;
use hoody_core::wire;

use super::queue::Asker;
use super::{User, store};
use crate::app::App;
use crate::db::On;
use crate::error::Error;
use crate::feed::Mutation;
use crate::history::{self, Event, Source};
use crate::http::caller::AnyCaller;
use crate::limits::{self, PASSWORD_AGAIN, Subject};

/// The account, if this is its password. A wrong one counts, so that who has found an open session cannot
/// try passwords there.
///
/// # Errors
/// [`Error::RateLimited`] after too many wrong ones; [`Error::Unavailable`] when too many are checked.
pub(crate) async fn confirm_password(
    app: &App,
    account: UserId,
    password: &wire::Secret,
    address: IpAddr,
) -> Result<Option<User>, Error> {
    let subject = Subject::Account(account);
    limits::refuse_remembered(app, &PASSWORD_AGAIN, subject)?;
    let turn = app.passwords.turn(Asker::Known(account)).await?;
    let user = store::find_user(&app.db, account).await?;
    let user = user.ok_or(Error::NotFound { code: "USER_NOT_FOUND", message: "User not found" })?;
    limits::check(app, &PASSWORD_AGAIN, subject).await?;
    let (verdict, turn) = turn.verify(password.expose(), Some(user.password_hash.clone())).await?;
    if verdict.is_right() {
        return Ok(Some(user));
    }
    let mut tx = app.db.begin().await?;
    limits::failed_in(app, &mut tx, &PASSWORD_AGAIN, subject).await?;
    let (who, source) = ((Some(account), ""), Source { address: Some(address), client: None });
    history::record_failure(app, &mut tx, who, Event::PasswordFailed, source, app.now()).await?;
    tx.commit().await?;
    drop(turn);
    Ok(None)
}

/// Begins a mutation of an account whose password was checked before. Whatever changes a credential ends
/// every session: a caller who was let in a moment ago, and whose account is not any more what was
/// checked, has lost a race, and is told so.
///
/// # Errors
/// 409 `CREDENTIAL_CHANGED` with nothing written; what [`Mutation::begin`] fails with.
pub(crate) async fn begin_checked(
    app: &Arc<App>,
    caller: &AnyCaller,
    checked: &User,
) -> Result<(Mutation, Grant), Error> {
    let mut begun = match Mutation::begin(app, caller).await {
        Err(Error::Denied(Deny::Unknown | Deny::Disabled, _)) if !is_as(&app.db, checked).await? => {
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

pub(crate) fn credential_changed() -> Error {
    let message = "The account's credentials were changed meanwhile; nothing was written".to_owned();
    Error::Conflict { code: "CREDENTIAL_CHANGED", message }
}
