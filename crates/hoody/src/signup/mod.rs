//! Making an account by oneself, proving an address, and setting a forgotten password
//! (`contract/authentication.md` 6, 7).
//!
//! Nobody learns here whether an address has an account. Sign-up hashes the password and makes as many
//! statements whatever it finds; what asks for a mail only writes a job, of any address, and the job looks
//! whose that is. What a mail carries is in `links`.

mod body;
pub(crate) mod http;
pub(crate) mod invitations;
mod links;
pub(crate) mod pages;
mod proof;

use std::sync::Arc;

use futures_util::FutureExt as _;
use hoody_core::id::UserId;
use hoody_core::names::username_for;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use self::links::Link;
use crate::app::App;
use crate::clock::entropy;
use crate::error::Error;
use crate::feed::{Actor, Change, Mutation};
use crate::jobs::{self, Failure, Job, Kind};
use crate::mail::{self, Letter};
use crate::users::password::PasswordHash;
use crate::users::{NewUser, User, store};

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Anybody with an address.
    Open,
    /// Whoever has an invitation.
    Invitation,
    /// Nobody: the operator does.
    Closed,
}

impl Mode {
    /// Reads `open`, `invitation` or `closed`.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "open" => Ok(Self::Open),
            "invitation" => Ok(Self::Invitation),
            "closed" => Ok(Self::Closed),
            _ => Err("must be open, invitation or closed".to_owned()),
        }
    }
}

/// How many generated names are tried.
const NAMES: usize = 8;

/// Makes an account for `email`, or does what is to be done where there is one: one that nobody has proved
/// to be theirs gets the new password, the owner of another is told. The caller is told nothing of it.
///
/// Whoever signs up last sets the password, and opens nothing with it: it is in force once the mail's link
/// was opened together with it (`proof`).
///
/// # Errors
/// When the invitation is used up meanwhile, or the database fails.
async fn register(
    app: &Arc<App>,
    email: &str,
    password: PasswordHash,
    invitation: Option<&invitations::Invitation>,
) -> Result<(), Error> {
    let mut mutation = Mutation::begin_as(app, Actor::Nobody).await?;
    if let Some(invitation) = invitation
        && !invitations::use_up(&mut mutation, invitation.id).await?
    {
        // Whatever comes of it: otherwise it would tell which address has an account.
        return Err(invitations::refusal());
    }
    let user = match store::find_by_email(&mut mutation.tx, email).await? {
        Some(user) => user,
        None => match insert(app, &mut mutation, email, &password).await? {
            Inserted::New(user) => {
                mutation.tell(Change::new("user.created", user.id, "user", user.id));
                send_link(app, &mut mutation, &user, Link::VerifyEmail).await?;
                return mutation.commit().await;
            }
            // Somebody was first, just now.
            Inserted::Taken(user) => user,
        },
    };
    mutation.lock_account(user.id).await?;
    let user = store::find_user(&mut mutation.tx, user.id).await?.ok_or_else(|| gone("account"))?;
    let now = mutation.now;
    mutation.tell(Change::new("account.signup_repeated", user.id, "account", user.id));
    if user.email_verified {
        mail::notify(app, &mut mutation, &user, Letter::AlreadyRegistered).await?;
    } else if !user.is_banned {
        store::set_password(&mut mutation.tx, user.id, &password, now).await?;
        send_link(app, &mut mutation, &user, Link::VerifyEmail).await?;
    }
    mutation.commit().await
}

enum Inserted {
    New(User),
    Taken(User),
}

/// Adds the account under the first generated name that is free.
async fn insert(
    app: &App,
    mutation: &mut Mutation,
    email: &str,
    password: &PasswordHash,
) -> Result<Inserted, Error> {
    for _ in 0..NAMES {
        let user = NewUser {
            username: username_for(email, entropy()),
            email: Some(email.to_owned()),
            password_hash: password.clone(),
            is_self_made: true,
        };
        let (id, now): (UserId, _) = (app.new_id(), mutation.now);
        if store::insert_user(&mut mutation.tx, id, &user, now).await? {
            let user = store::find_user(&mut mutation.tx, id).await?;
            return user.map(Inserted::New).ok_or_else(|| gone("account"));
        }
        if let Some(user) = store::find_by_email(&mut mutation.tx, email).await? {
            return Ok(Inserted::Taken(user));
        }
    }
    Err(Error::Unavailable("No username is free for this address; try again"))
}

fn gone(what: &str) -> Error {
    Error::internal(anyhow::anyhow!("the {what} is gone in its own transaction"))
}

/// Has a mail with a new link sent to the account.
async fn send_link(app: &App, mutation: &mut Mutation, user: &User, link: Link) -> Result<(), Error> {
    let (token, expires_at) = links::replace(app, mutation, user.id, link).await?;
    let letter = match link {
        Link::VerifyEmail => Letter::VerifyEmail { token, expires_at },
        Link::ResetPassword => Letter::ResetPassword { token, expires_at },
    };
    mail::send(app, mutation, user, letter).await
}

/// What somebody asked a mail for. Written for any address.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    link: Link,
    email: String,
}

/// The job that looks whose address it is and has the mail sent.
pub(crate) const KIND: Kind = Kind {
    name: "mail-request",
    handler: |app, job| answer_request(app, job).boxed(),
    attempts: 13,
    at_once: 2,
};

/// Has a link sent to `email` if it is the address of an account that the link is for.
async fn request_link(app: &Arc<App>, email: &str, link: Link) -> Result<(), Error> {
    let request = Request { link, email: email.to_owned() };
    let payload = Zeroizing::new(serde_json::to_vec(&request).map_err(Error::internal)?);
    let mut mutation = Mutation::begin_as(app, Actor::Nobody).await?;
    jobs::enqueue(app, &mut mutation, KIND.name, None, &payload).await?;
    mutation.commit().await
}

async fn answer_request(app: &Arc<App>, job: &Job) -> Result<(), Failure> {
    let unreadable = |_| Failure::Never("the request cannot be read".to_owned());
    let request: Request = serde_json::from_slice(job.payload()).map_err(unreadable)?;
    let Some(user) = store::find_by_email(&app.db, &request.email).await? else { return Ok(()) };
    let mut mutation = Mutation::begin_as(app, Actor::Nobody).await?;
    mutation.lock_account(user.id).await?;
    let Some(user) = store::find_user(&mut mutation.tx, user.id).await? else { return Ok(()) };
    let is_for = match request.link {
        Link::VerifyEmail => !user.email_verified,
        Link::ResetPassword => true,
    };
    if user.is_banned || !is_for {
        return Ok(());
    }
    send_link(app, &mut mutation, &user, request.link).await?;
    mutation.tell(Change::new(request.link.event(), user.id, "account", user.id));
    Ok(mutation.commit().await?)
}
