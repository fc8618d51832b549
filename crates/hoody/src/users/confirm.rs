//! The password, asked once more of somebody who is signed in: before it is changed, and on the routes of
//! the second factor.

use std::net::IpAddr;

use hoody_core::id::UserId;
use hoody_core::wire;

use super::{User, store};
use crate::app::App;
use crate::error::Error;
use crate::history::{self, Event, Source};
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
    let turn = app.passwords.turn().await?;
    let user = store::find_user(&app.db, account).await?;
    let user = user.ok_or(Error::NotFound { code: "USER_NOT_FOUND", message: "User not found" })?;
    limits::check(app, &PASSWORD_AGAIN, subject).await?;
    let (is_right, turn) = turn.verify(password.expose(), Some(user.password_hash.clone())).await?;
    if is_right {
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
