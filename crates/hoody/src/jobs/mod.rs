//! Jobs: what a mutation causes outside the database, such as a mail.
//!
//! A job is a row that is written in the mutation's own transaction ([`enqueue`]), so that it is done
//! exactly when the change is there, whatever dies when. A node claims it for a while, does it and marks
//! it as done; a node that dies lets its claim run out, and another does it again: a job is done at least
//! once, and whoever does it makes the second time harmless. What fails is tried again, later each time,
//! until it is given up, and stays there to be seen. Payloads are sealed.
//!
//! A new kind of job is a line in [`KINDS`] and a function.

pub(crate) mod runner;
pub(crate) mod store;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hoody_core::id::{JobId, UserId};
use hoody_core::seal::{Place, key_of};
use hoody_core::time::Timestamp;
use zeroize::Zeroizing;

use crate::app::App;
use crate::db::DbError;
use crate::error::Error;
use crate::feed::Mutation;

/// What is done for a job.
type Handler = for<'a> fn(&'a Arc<App>, &'a Job) -> BoxFuture<'a, Result<(), Failure>>;

/// A kind of job. Kinds do not wait for each other.
#[derive(Debug)]
pub(crate) struct Kind {
    /// As it is stored.
    pub(crate) name: &'static str,
    pub(crate) handler: Handler,
    /// How often it is tried before it is given up.
    pub(crate) attempts: i64,
    /// How many a node does at the same time.
    pub(crate) at_once: usize,
}

/// Every kind that there is.
pub(crate) const KINDS: &[Kind] = &[
    crate::mail::KIND,
    crate::signup::KIND,
    #[cfg(test)]
    runner::tests::KIND,
];

/// A job that this node has claimed.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) account: Option<UserId>,
    /// Which attempt this is, from 1.
    pub(crate) attempt: i64,
    pub(crate) created_at: Timestamp,
    payload: Payload,
}

/// What a job needs to know, in the clear. Cannot be printed.
struct Payload(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Payload(..)")
    }
}

impl Job {
    /// What was given to [`enqueue`].
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload.0
    }
}

/// Why a job is not done. The text is stored and shown to the operator: no secret, nothing of the payload.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It may work later.
    Later(String),
    /// It never will.
    Never(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Error::Internal(source) = &error {
            tracing::error!(error = crate::error::in_full(source), "a job failed");
        }
        Self::Later("the database or the service could not do it; the log says why".to_owned())
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::from(Error::from(error))
    }
}

/// Tells this node's runners that there may be something to do.
#[derive(Debug)]
pub(crate) struct Bell(tokio::sync::watch::Sender<()>);

impl Bell {
    pub(crate) fn new() -> Self {
        Self(tokio::sync::watch::Sender::new(()))
    }

    /// Wakes every runner of this node, now or when it next listens.
    pub(crate) fn ring(&self) {
        self.0.send_replace(());
    }

    fn listen(&self) -> tokio::sync::watch::Receiver<()> {
        self.0.subscribe()
    }
}

/// How long one attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(45);
/// How long a claim holds, in milliseconds: longer than an attempt, so that nobody else begins one.
const CLAIM: i64 = 60_000;

/// Writes a job of the kind `name` in the mutation's transaction, to be done as soon as it is committed.
///
/// # Errors
/// When the database fails.
pub(crate) async fn enqueue(
    app: &App,
    mutation: &mut Mutation,
    name: &'static str,
    account: Option<UserId>,
    payload: &[u8],
) -> Result<JobId, Error> {
    let id: JobId = app.new_id();
    let sealed = app.keys.seal(&place(account, &id), payload);
    let now = mutation.now;
    let key = key_of(&sealed).ok_or(DbError::Unreadable("payload"))?;
    store::insert_job(&mut mutation.tx, id, name, account, key, sealed, now).await?;
    mutation.ring_at_commit();
    Ok(id)
}

fn place(account: Option<UserId>, id: &JobId) -> Place<'_> {
    let account = account.unwrap_or(UserId::from_bytes([0; 12]));
    Place { table: "jobs", column: "payload", account, realm: None, row: id.bytes() }
}
