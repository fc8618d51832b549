//! Jobs: what a mutation causes outside the database, such as a mail.
//!
//! A job is a row that is written in the mutation's own transaction ([`Jobs::enqueue`]), so that it is done
//! exactly when the change is there, whatever dies when. A node claims it for a while, does it and marks
//! it as done; a node that dies lets its claim run out, and another does it again: a job is done at least
//! once, and whoever does it makes the second time harmless. What fails is tried again, later each time,
//! until it is given up, and stays there to be seen. Payloads are sealed.
//!
//! A noun hands its [`Kind`] over as a value; nothing here knows what a job is about.

pub mod runner;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hoody_core::id::{JobId, UserId};
use hoody_core::seal::{Place, key_of};
use hoody_core::time::Timestamp;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::error::Error;
use crate::feed::{Feed, Mutation};
use crate::keys::Keys;

/// What is done for a job.
pub type Handler = Arc<dyn for<'a> Fn(&'a Job) -> BoxFuture<'a, Result<(), Failure>> + Send + Sync>;

/// A kind of job, as its noun hands it over. Kinds do not wait for each other.
#[derive(Clone)]
pub struct Kind {
    /// As it is stored.
    pub name: &'static str,
    pub handler: Handler,
    /// How often it is tried before it is given up.
    pub attempts: i64,
    /// How many a node does at the same time.
    pub at_once: usize,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The jobs of this database.
#[derive(Debug, Clone)]
pub struct Jobs(Arc<State>);

#[derive(Debug)]
struct State {
    db: Db,
    clock: Clock,
    keys: Arc<Keys>,
    feed: Feed,
}

/// A job that this node has claimed.
#[derive(Debug)]
pub struct Job {
    pub id: JobId,
    pub account: Option<UserId>,
    /// Which attempt this is, from 1.
    pub attempt: i64,
    pub created_at: Timestamp,
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
    /// What was given to [`Jobs::enqueue`].
    pub fn payload(&self) -> &[u8] {
        &self.payload.0
    }
}

/// Why a job is not done. The text is stored and shown to the operator: no secret, nothing of the payload.
#[derive(Debug)]
pub enum Failure {
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

/// How long one attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(45);
/// How long a claim holds, in milliseconds: longer than an attempt, so that nobody else begins one.
const CLAIM: i64 = 60_000;

impl Jobs {
    /// Jobs in `db`; a commit of `feed` wakes the runners.
    #[must_use]
    pub fn new(db: Db, clock: Clock, keys: Arc<Keys>, feed: Feed) -> Self {
        Self(Arc::new(State { db, clock, keys, feed }))
    }

    /// Writes a job of the kind `name` in the mutation's transaction, to be done as soon as it is committed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enqueue(
        &self,
        mutation: &mut Mutation,
        name: &'static str,
        account: Option<UserId>,
        payload: &[u8],
    ) -> Result<JobId, Error> {
        let id: JobId = self.0.clock.new_id();
        let sealed = self.0.keys.seal(&place(account, &id), payload);
        let now = mutation.now;
        let key = key_of(&sealed).ok_or(DbError::Unreadable("payload"))?;
        store::insert_job(&mut mutation.tx, id, name, account, key, sealed, now).await?;
        mutation.ring_at_commit();
        Ok(id)
    }
}

fn place(account: Option<UserId>, id: &JobId) -> Place<'_> {
    let account = account.unwrap_or(UserId::from_bytes([0; 12]));
    Place { table: "jobs", column: "payload", account, realm: None, row: id.bytes() }
}
