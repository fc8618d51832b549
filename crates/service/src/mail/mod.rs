//! Mail: written as jobs in the mutation that causes it, sent by SMTP or put into files.
//!
//! A [`Letter`] is what a mail is about; it becomes a text when it is sent, with links that begin with the
//! public URL and with nothing that a request said. Whoever only has the database cannot read it: jobs are
//! sealed. Without `--smtp-url` each mail is a file of 0600, whose path is logged.

mod letter;
mod transport;

use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use hoody_core::id::UserId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use letter::Letter;
pub use transport::{Mailer, Route, SmtpServer, Transport, has_good_port, parse_sender};

use crate::users::User;
use hoody_engine::clock::Clock;
use hoody_engine::engine::Engine;
use hoody_engine::error::Error;
use hoody_engine::feed::Mutation;
use hoody_engine::jobs::{Failure, Job, Jobs, Kind};

/// The name of the job that sends a mail.
pub const JOB: &str = "mail";

/// Writes mails as jobs, and sends them.
#[derive(Debug)]
pub struct Mail {
    clock: Clock,
    jobs: Jobs,
    /// Scheme, host and port: links begin with it.
    public_url: String,
    mailer: Mailer,
}

impl Mail {
    /// Connects to nothing.
    ///
    /// # Errors
    /// When the settings of TLS are of no use.
    pub fn new(engine: &Engine, transport: &Transport) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            clock: engine.clock.clone(),
            jobs: engine.jobs.clone(),
            public_url: engine.access.public_url.clone(),
            mailer: Mailer::new(transport)?,
        }))
    }

    /// The job that sends a mail.
    pub fn job(self: &Arc<Self>) -> Kind {
        let mail = Arc::clone(self);
        Kind {
            name: JOB,
            // Over about four hours.
            attempts: 13,
            at_once: 4,
            handler: Arc::new(move |job| {
                let mail = Arc::clone(&mail);
                async move { deliver(&mail, job).await }.boxed()
            }),
        }
    }

    /// The directory that mails are written to; `None` when they are sent by SMTP.
    pub fn directory(&self) -> Option<&Path> {
        self.mailer.directory()
    }
}

/// A mail as its job keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Outgoing {
    to: String,
    username: String,
    letter: Letter,
}

/// Whether a mail can be sent to an address: stricter than the rule of accounts' addresses, because of
/// what it is made into.
pub fn is_deliverable(address: &str) -> bool {
    address.parse::<lettre::Address>().is_ok()
}

/// Has a mail sent to the account's address once the mutation is committed; nothing for an account
/// without one.
///
/// # Errors
/// When the database fails.
pub async fn send(mail: &Mail, mutation: &mut Mutation, user: &User, letter: Letter) -> Result<(), Error> {
    let Some(to) = user.email.clone() else { return Ok(()) };
    let outgoing = Outgoing { to, username: user.username.clone(), letter };
    enqueue(mail, mutation, user.id, &outgoing).await
}

/// Tells the owner of an account what happened to it, at an address that is known to be the owner's.
///
/// # Errors
/// When the database fails.
pub async fn notify(mail: &Mail, mutation: &mut Mutation, user: &User, letter: Letter) -> Result<(), Error> {
    if user.email_verified { send(mail, mutation, user, letter).await } else { Ok(()) }
}

async fn enqueue(
    mail: &Mail,
    mutation: &mut Mutation,
    account: UserId,
    outgoing: &Outgoing,
) -> Result<(), Error> {
    let payload = Zeroizing::new(serde_json::to_vec(outgoing).map_err(Error::internal)?);
    mail.jobs.enqueue(mutation, JOB, Some(account), &payload).await?;
    Ok(())
}

async fn deliver(mail: &Mail, job: &Job) -> Result<(), Failure> {
    let unreadable =
        |_| Failure::Never("the mail cannot be read: it was written by another version".to_owned());
    let Outgoing { to, username, letter } = serde_json::from_slice(job.payload()).map_err(unreadable)?;
    if letter.expires_at().is_some_and(|at| at <= mail.clock.now()) {
        return Err(Failure::Never("its link has expired".to_owned()));
    }
    let (subject, text) = letter.render(&mail.public_url, &username);
    mail.mailer.send(job, &to, subject, &text).await.map_err(|failure| without(failure, &letter))
}

/// A server may repeat in its answer what it does not like: never the link.
fn without(failure: Failure, letter: &Letter) -> Failure {
    let Some(token) = letter.token() else { return failure };
    let clean = |text: String| {
        if text.contains(token.expose()) {
            "the server's answer repeats the link: not kept".to_owned()
        } else {
            text
        }
    };
    match failure {
        Failure::Later(text) => Failure::Later(clean(text)),
        Failure::Never(text) => Failure::Never(clean(text)),
    }
}

#[cfg(test)]
mod tests {
    use hoody_core::time::Timestamp;

    use super::*;

    #[test]
    fn what_a_server_answers_is_kept_without_the_link() {
        let token: hoody_core::wire::Secret = "c0ffee".into();
        let letter = Letter::VerifyEmail { token, expires_at: Timestamp::from_millis(0) };
        let kept = without(Failure::Never("550 spam: http://x/?token=c0ffee".to_owned()), &letter);
        assert!(matches!(kept, Failure::Never(text) if !text.contains("c0ffee")));
        let kept = without(Failure::Later("421 busy".to_owned()), &letter);
        assert!(matches!(kept, Failure::Later(text) if text == "421 busy"));
    }
}
