//! Making an account by oneself, proving an address, and setting a forgotten password
//! (`contract/authentication.md` 6, 7).
//!
//! Nobody learns here whether an address has an account. Sign-up hashes the password and makes as many
//! statements whatever it finds; what asks for a mail only writes a job, of any address, and the job looks
//! whose that is. What a mail carries is in `links`.

mod body;
pub mod http;
pub mod invitations;
mod links;
pub mod pages;
mod proof;

use std::sync::Arc;

use futures_util::FutureExt as _;
use hoody_core::id::UserId;
use hoody_core::names::username_for;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use self::links::Link;
use crate::history::History;
use crate::mail::{self, Letter, Mail};
use crate::sign_in::SignIn;
use crate::users::password::PasswordHash;
use crate::users::{NewUser, User, Users, store};
use hoody_engine::clock::{Clock, entropy};
use hoody_engine::db::Db;
use hoody_engine::engine::Engine;
use hoody_engine::error::Error;
use hoody_engine::feed::{Actor, Change, Feed, Mutation};
use hoody_engine::jobs::{Failure, Job, Jobs, Kind};
use hoody_engine::keys::Keys;
use hoody_engine::limits::Limits;
use hoody_engine::web::{Access, Lends};

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
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
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "open" => Ok(Self::Open),
            "invitation" => Ok(Self::Invitation),
            "closed" => Ok(Self::Closed),
            _ => Err("must be open, invitation or closed".to_owned()),
        }
    }
}

/// Creates accounts, verifies addresses and resets passwords.
#[derive(Debug)]
pub struct SignUp {
    access: Arc<Access>,
    db: Db,
    keys: Arc<Keys>,
    clock: Clock,
    feed: Feed,
    limits: Limits,
    jobs: Jobs,
    history: Arc<History>,
    users: Arc<Users>,
    mail: Arc<Mail>,
    sign_in: Arc<SignIn>,
    mode: Mode,
}

impl SignUp {
    pub fn new(
        engine: &Engine,
        history: &Arc<History>,
        users: &Arc<Users>,
        mail: &Arc<Mail>,
        sign_in: &Arc<SignIn>,
        mode: Mode,
    ) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            keys: Arc::clone(&engine.keys),
            clock: engine.clock.clone(),
            feed: engine.feed.clone(),
            limits: engine.limits.clone(),
            jobs: engine.jobs.clone(),
            history: Arc::clone(history),
            users: Arc::clone(users),
            mail: Arc::clone(mail),
            sign_in: Arc::clone(sign_in),
            mode,
        })
    }

    /// Who may make an account.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The job that looks up the address and has the mail sent.
    pub fn job(self: &Arc<Self>) -> Kind {
        let sign_up = Arc::clone(self);
        Kind {
            name: JOB,
            attempts: 13,
            at_once: 2,
            handler: Arc::new(move |job| {
                let sign_up = Arc::clone(&sign_up);
                async move { answer_request(&sign_up, job).await }.boxed()
            }),
        }
    }
}

impl Lends for SignUp {
    fn access(&self) -> &Access {
        &self.access
    }
}

/// The endpoints of signing up and of mails.
pub fn routes() -> OpenApiRouter<Arc<SignUp>> {
    OpenApiRouter::new()
        .routes(routes!(http::sign_up))
        .routes(routes!(http::verify_email))
        .routes(routes!(http::resend_verification))
        .routes(routes!(http::forgot_password))
        .routes(routes!(http::reset_password_by_mail))
        .routes(routes!(http::get_auth_config))
        .routes(routes!(http::list_available_regions))
}

/// The pages that the links of mails lead to.
pub fn pages() -> axum::Router<Arc<SignUp>> {
    use axum::routing::get;
    axum::Router::new()
        .route("/verify-email", get(pages::ask_verification).post(pages::verify_address))
        .route("/reset-password", get(pages::ask_password).post(pages::reset))
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
    sign_up: &SignUp,
    email: &str,
    password: PasswordHash,
    invitation: Option<&invitations::Invitation>,
) -> Result<(), Error> {
    let mut mutation = sign_up.feed.begin_as(Actor::Nobody).await?;
    if let Some(invitation) = invitation
        && !invitations::use_up(&mut mutation, invitation.id).await?
    {
        // Whatever comes of it: otherwise it would tell which address has an account.
        return Err(invitations::refusal());
    }
    let user = match store::find_by_email(&mut mutation.tx, email).await? {
        Some(user) => user,
        None => match insert(sign_up, &mut mutation, email, &password).await? {
            Inserted::New(user) => {
                mutation.tell(Change::new("user.created", user.id, "user", user.id));
                send_link(sign_up, &mut mutation, &user, Link::VerifyEmail).await?;
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
        mail::notify(&sign_up.mail, &mut mutation, &user, Letter::AlreadyRegistered).await?;
    } else if !user.is_banned {
        store::set_password(&mut mutation.tx, user.id, &password, now).await?;
        send_link(sign_up, &mut mutation, &user, Link::VerifyEmail).await?;
    }
    mutation.commit().await
}

enum Inserted {
    New(User),
    Taken(User),
}

/// Adds the account under the first generated name that is free.
async fn insert(
    sign_up: &SignUp,
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
        let (id, now): (UserId, _) = (sign_up.clock.new_id(), mutation.now);
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
async fn send_link(sign_up: &SignUp, mutation: &mut Mutation, user: &User, link: Link) -> Result<(), Error> {
    let (token, expires_at) = links::replace(&sign_up.keys, mutation, user.id, link).await?;
    let letter = match link {
        Link::VerifyEmail => Letter::VerifyEmail { token, expires_at },
        Link::ResetPassword => Letter::ResetPassword { token, expires_at },
    };
    mail::send(&sign_up.mail, mutation, user, letter).await
}

/// What somebody asked a mail for. Written for any address.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    link: Link,
    email: String,
}

/// The name of the job that looks up the address and has the mail sent.
const JOB: &str = "mail-request";

/// Has a link sent to `email` if it is the address of an account that the link is for.
async fn request_link(sign_up: &SignUp, email: &str, link: Link) -> Result<(), Error> {
    let request = Request { link, email: email.to_owned() };
    let payload = Zeroizing::new(serde_json::to_vec(&request).map_err(Error::internal)?);
    let mut mutation = sign_up.feed.begin_as(Actor::Nobody).await?;
    sign_up.jobs.enqueue(&mut mutation, JOB, None, &payload).await?;
    mutation.commit().await
}

async fn answer_request(sign_up: &SignUp, job: &Job) -> Result<(), Failure> {
    let unreadable = |_| Failure::Never("the request cannot be read".to_owned());
    let request: Request = serde_json::from_slice(job.payload()).map_err(unreadable)?;
    let Some(user) = store::find_by_email(&sign_up.db, &request.email).await? else { return Ok(()) };
    let mut mutation = sign_up.feed.begin_as(Actor::Nobody).await?;
    mutation.lock_account(user.id).await?;
    let Some(user) = store::find_user(&mut mutation.tx, user.id).await? else { return Ok(()) };
    let is_for = match request.link {
        Link::VerifyEmail => !user.email_verified,
        Link::ResetPassword => true,
    };
    if user.is_banned || !is_for {
        return Ok(());
    }
    send_link(sign_up, &mut mutation, &user, request.link).await?;
    mutation.tell(Change::new(request.link.event(), user.id, "account", user.id));
    Ok(mutation.commit().await?)
}
