//! What the links of mails open: an address is proved first, and only then a password counts.
//!
//! Anybody can sign up with anybody's address, before its owner does or after. So a link alone never puts in
//! force a password that was set before: its owner gives the password of that very sign-up again, or sets a
//! new one. Otherwise all that was set before is void.

use std::net::IpAddr;

use hoody_core::id::UserId;
use hoody_core::invalid::Invalid;
use hoody_core::wire::{PasswordReset, Secret};

use super::SignUp;
use super::links::{self, Link};
use crate::history::Event;
use crate::mail::{self, Letter};
use crate::sign_in::sessions;
use crate::tokens;
use crate::users::password::{PasswordHash, Passwords};
use crate::users::queue::Asker;
use crate::users::{User, first, store};
use hoody_engine::db::DbError;
use hoody_engine::error::Error;
use hoody_engine::feed::{Actor, Change, Mutation};
use hoody_engine::grants::Forget;

/// Whether a new password disables the account's tokens as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndTokens {
    No,
    Yes,
}

impl From<bool> for EndTokens {
    fn from(is_wanted: bool) -> Self {
        if is_wanted { Self::Yes } else { Self::No }
    }
}

/// A link that was used up just now.
struct Opened {
    mutation: Mutation,
    /// Its address is proved.
    user: User,
    /// Whether it was before.
    was_proved: bool,
}

/// Proves an address with the link of a mail and the password of the sign-up that it belongs to: the account,
/// locked, in the mutation in which to sign in.
///
/// # Errors
/// [`Error::PasswordRequired`] without that password: the address is proved all the same, and every password
/// set before is void. `INVALID_MAIL_TOKEN`.
pub(super) async fn verify(
    sign_up: &SignUp,
    token: &str,
    password: Option<&Secret>,
    address: IpAddr,
) -> Result<(Mutation, User), Error> {
    let checked = match password {
        Some(password) => check_password(sign_up, token, password).await?,
        None => None,
    };
    let Opened { mut mutation, user, was_proved } = open(sign_up, Link::VerifyEmail, token, address).await?;
    if checked.is_some_and(|hash| hash.expose() == user.password_hash.expose()) {
        return Ok((mutation, user));
    }
    // One that was proved before has the password that its owner set.
    if !was_proved {
        let unusable = Passwords::unusable()?;
        set_password(sign_up, &mut mutation, &user, &unusable, EndTokens::Yes, "verification").await?;
    }
    mutation.commit().await?;
    Err(Error::PasswordRequired { email: user.email })
}

/// The hash of the password in force, if `password` is the one. The link stays as it is.
///
/// # Errors
/// `INVALID_MAIL_TOKEN`; [`Error::Unavailable`] when too many are checked.
pub(super) async fn check_password(
    sign_up: &SignUp,
    token: &str,
    password: &Secret,
) -> Result<Option<PasswordHash>, Error> {
    // Before anything is hashed: a guess costs nothing.
    let account = links::find(sign_up, Link::VerifyEmail, token).await?.ok_or_else(bad_token)?;
    let turn = sign_up.users.passwords.turn(Asker::Known(account)).await?;
    let Some(user) = store::find_user(&sign_up.db, account).await? else { return Err(bad_token()) };
    let (verdict, _) = turn.verify(password.expose(), Some(user.password_hash.clone())).await?;
    Ok(verdict.is_right().then_some(user.password_hash))
}

/// Sets a new password with the token of a mail and ends every session; the second factor stays. Tokens go
/// on unless they are to end, or the address was not proved before: then they are nobody's.
///
/// # Errors
/// `INVALID_MAIL_TOKEN`.
pub(super) async fn reset_password(
    sign_up: &SignUp,
    (link, token): (Link, &str),
    password: &str,
    tokens: EndTokens,
    address: IpAddr,
) -> Result<PasswordReset, Error> {
    // Before anything is hashed: a guess costs nothing.
    let account = links::find(sign_up, link, token).await?.ok_or_else(bad_token)?;
    let hash = sign_up.users.passwords.hash(password, Asker::Known(account)).await?;
    let Opened { mut mutation, user, was_proved } = open(sign_up, link, token, address).await?;
    let tokens = if was_proved { tokens } else { EndTokens::Yes };
    let left = set_password(sign_up, &mut mutation, &user, &hash, tokens, "mail").await?;
    if was_proved || link == Link::ResetPassword {
        let letter = Letter::PasswordChanged { active_tokens: left.active_tokens };
        mail::notify(&sign_up.mail, &mut mutation, &user, letter).await?;
    }
    mutation.commit().await?;
    first::forget_file(&sign_up.users, user.id).await;
    Ok(left)
}

/// Puts a password in force, ends every session and voids every link; what it leaves.
async fn set_password(
    sign_up: &SignUp,
    mutation: &mut Mutation,
    user: &User,
    hash: &PasswordHash,
    tokens: EndTokens,
    by: &'static str,
) -> Result<PasswordReset, DbError> {
    let now = mutation.now;
    store::set_password(&mut mutation.tx, user.id, hash, now).await?;
    sessions::store::end_sessions(&mut mutation.tx, user.id, now).await?;
    links::void_all(&mut mutation.tx, user.id).await?;
    let disabled_tokens = match tokens {
        EndTokens::Yes => tokens::changes::disable_all(mutation, user.id).await?,
        EndTokens::No => 0,
    };
    let active_tokens = tokens::store::count_working(&mut mutation.tx, user.id, now).await?;
    sign_up.history.record(mutation, user.id, Event::PasswordChanged, None).await?;
    let change = Change::new("account.updated", user.id, "account", user.id);
    let change = change.with(serde_json::json!({ "password": true, "by": by }));
    mutation.tell(change.forgetting(Forget::Account(user.id)));
    Ok(PasswordReset { active_tokens, disabled_tokens })
}

/// Uses a link up: the account, locked, in the mutation to go on in.
///
/// # Errors
/// `INVALID_MAIL_TOKEN` for all that is not the token of a link in force of an account in good standing.
async fn open(sign_up: &SignUp, link: Link, token: &str, address: IpAddr) -> Result<Opened, Error> {
    let account: UserId = links::find(sign_up, link, token).await?.ok_or_else(bad_token)?;
    let mut mutation = sign_up.feed.begin_as(Actor::Nobody).await?;
    mutation.address = Some(address);
    mutation.lock_account(account).await?;
    let user = store::find_user(&mut mutation.tx, account).await?;
    let mut user = user.filter(|user| !user.is_banned).ok_or_else(bad_token)?;
    if !links::take(&sign_up.keys, &mut mutation, account, link, token).await? {
        return Err(bad_token());
    }
    let was_proved = user.email_verified;
    if !was_proved {
        // Who has the mail has the address.
        let now = mutation.now;
        store::mark_verified(&mut mutation.tx, account, now).await?;
        mutation.tell(Change::new("account.email_verified", account, "account", account));
        user.email_verified = true;
    }
    Ok(Opened { mutation, user, was_proved })
}

fn bad_token() -> Error {
    Invalid::rule("INVALID_MAIL_TOKEN", "The token is unknown, used, replaced by a newer one or expired")
        .into()
}
