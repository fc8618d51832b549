//! Mutations and the change feed.
//!
//! A [`Mutation`] is one transaction: the caller's own row is read and judged again inside it, the change
//! is made, and the feed rows that tell of it are its last statements. Commit and forgetting are one task
//! that nothing cancels: a client that hangs up, a time limit, a COMMIT whose outcome nobody learns, all
//! still forget. The feed is what empties other nodes' caches (`tail`) and what the audit log is made of;
//! what is sealed there, old, and read by everybody is trimmed.
//!
//! Nodes of different versions read one feed. A newer one may write types, actors, resources and things to
//! forget that an older one does not know: readers pass over what they cannot read, and a tail that is told to
//! forget something of an unknown kind reads every grant again.

mod hooks;
pub mod outcome;
pub mod store;
pub mod tail;

use hooks::Hooks;
pub use hooks::{Cut, StepHook};

use std::net::IpAddr;
use std::sync::Arc;

use hoody_core::grant::{Credential, Grant, decide};
use hoody_core::id::{Id, RealmId, SessionId, TokenId, UserId};
use hoody_core::keys::KeyId;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::time::Timestamp;
use serde_json::Value;

use crate::clock::Clock;
use crate::db::{Db, DbError, Tx, args};
use crate::error::{Error, denied};
use crate::grants::{AnyCaller, Forget, Grants, store as grant_store};
use crate::keys::{self, Keys};
use crate::tasks;
use tail::Tail;

/// The way to change something, and what this node knows of the changes of all.
#[derive(Debug, Clone)]
pub struct Feed(Arc<State>);

#[derive(Debug)]
struct State {
    db: Db,
    /// The same database, on connections that only the tail uses.
    tail_db: Db,
    clock: Clock,
    keys: Arc<Keys>,
    grants: Arc<Grants>,
    tail: Tail,
    /// Wakes whoever does jobs.
    jobs: tokio::sync::watch::Sender<()>,
    hooks: Hooks,
}

impl Feed {
    /// The feed of `db`; `tail_db` is the same database on connections of the tail's own.
    #[must_use]
    pub fn new(db: Db, tail_db: Db, clock: Clock, keys: Arc<Keys>, grants: Arc<Grants>) -> Self {
        let (tail, jobs, hooks) = (Tail::default(), tokio::sync::watch::Sender::new(()), Hooks::default());
        Self(Arc::new(State { db, tail_db, clock, keys, grants, tail, jobs, hooks }))
    }

    /// Begins a mutation by `caller`, whose grant is read and judged again in the transaction: a cached
    /// grant may let a request read, never write.
    ///
    /// # Errors
    /// The refusal, or what the database fails with.
    pub async fn begin(&self, caller: &AnyCaller) -> Result<(Mutation, Grant), Error> {
        Mutation::begin_with(self, caller, None).await
    }

    /// As [`begin`](Self::begin), and `other`'s mutations wait too. Accounts are locked in the order of
    /// their ids: two that change each other's things never wait for each other.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub async fn begin_with(
        &self,
        caller: &AnyCaller,
        other: Option<UserId>,
    ) -> Result<(Mutation, Grant), Error> {
        Mutation::begin_with(self, caller, other).await
    }

    /// Begins a mutation that no credential answers for.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_as(&self, actor: Actor) -> Result<Mutation, Error> {
        Mutation::begun(self, actor, self.0.db.begin_early().await?).await
    }

    /// Wakes whoever does jobs on this node when there may be something to do.
    #[must_use]
    pub fn jobs(&self) -> tokio::sync::watch::Receiver<()> {
        self.0.jobs.subscribe()
    }
}

/// What happened to one thing: a row of the feed.
#[derive(Debug, Clone)]
pub struct Change {
    /// One of the contract's event types (`contract/events.md`).
    pub event: &'static str,
    pub account: UserId,
    pub resource: (&'static str, [u8; 12]),
    pub realm_ids: Vec<RealmId>,
    /// What readers of the feed are told. Never a secret.
    pub payload: Value,
    pub forget: Option<Forget>,
}

impl Change {
    pub fn new<K>(event: &'static str, account: UserId, kind: &'static str, id: Id<K>) -> Self {
        Self {
            event,
            account,
            resource: (kind, *id.bytes()),
            realm_ids: Vec::new(),
            payload: Value::Object(serde_json::Map::new()),
            forget: None,
        }
    }

    pub fn in_realms(mut self, realms: &[RealmId]) -> Self {
        self.realm_ids = realms.to_vec();
        self
    }

    pub fn with(mut self, payload: Value) -> Self {
        self.payload = payload;
        self
    }

    pub fn forgetting(mut self, forget: Forget) -> Self {
        self.forget = Some(forget);
        self
    }
}

/// Who makes a change.
#[derive(Debug, Clone, Copy)]
pub enum Actor {
    Session(SessionId),
    Token(TokenId),
    /// `hoody admin`, at the machine.
    Operator,
    /// Somebody who is signing in, or whose session ends itself.
    Nobody,
}

/// One transaction that changes something and tells of it.
#[derive(Debug)]
pub struct Mutation {
    pub tx: Tx,
    pub now: Timestamp,
    /// From where it is asked for; `None`: by the operator, or by the service itself.
    pub address: Option<IpAddr>,
    feed: Feed,
    actor: Actor,
    changes: Vec<Change>,
    has_jobs: bool,
    seal: Seal,
}

/// Under which master key a mutation may have sealed and signed.
#[derive(Debug, Clone, Copy)]
struct Seal {
    key: KeyId,
    /// How many keys were retired by then.
    retirements: i64,
}

/// Where a mutation stands: tests cut it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The transaction has begun.
    Began,
    /// The caller was judged again.
    Judged,
    /// The change is made, the feed not written.
    Changed,
    /// The feed is written, nothing is committed.
    Fed,
    /// COMMIT is through, nothing is forgotten.
    Committed,
    /// Of no mutation: sealed values were sealed again under the key in force, and are not put back.
    Resealed,
    /// The feed was read into the history of events: nothing is written.
    Projecting,
    /// The events are written, nothing is committed.
    Projected,
}

/// Orders the mutations of one account, on both engines: whoever holds this row is alone.
const LOCK_ACCOUNT: &str = "UPDATE users SET version = version + 1 WHERE id = $1";

/// How often a mutation is begun.
const BEGIN_TRIES: u32 = 3;

impl Mutation {
    async fn begin_with(
        feed: &Feed,
        caller: &AnyCaller,
        other: Option<UserId>,
    ) -> Result<(Self, Grant), Error> {
        let credential = caller.grant().credential;
        let mut tries = BEGIN_TRIES;
        let (mutation, found) = loop {
            tries -= 1;
            // Nothing is changed yet: what was lost with its connection, or to a deadlock, is begun again.
            match Self::try_begin(feed, caller, other).await? {
                Err(error) if tries > 0 && error.may_repeat() => {}
                begun => break begun?,
            }
        };
        let judged = match &found {
            Some(grant) => decide(grant, &caller.attempt, mutation.now),
            None => Err(hoody_core::grant::Deny::Unknown),
        };
        match (judged, found) {
            (Ok(()), Some(grant)) => {
                feed.pause(Step::Judged).await?;
                Ok((mutation, grant))
            }
            (judged, _) => {
                feed.0.grants.forget(&[match credential {
                    Credential::Token(id) => Forget::Token(id),
                    Credential::Session(id) => Forget::Session(id),
                }]);
                Err(denied(judged.err().unwrap_or(hoody_core::grant::Deny::Unknown)))
            }
        }
    }

    /// The transaction with the accounts locked, and the caller's grant as it is in there. The outer error is a
    /// test's.
    async fn try_begin(
        feed: &Feed,
        caller: &AnyCaller,
        other: Option<UserId>,
    ) -> Result<Result<(Self, Option<Grant>), DbError>, Error> {
        let account = caller.account();
        let credential = caller.grant().credential;
        let actor = match credential {
            Credential::Session(id) => Actor::Session(id),
            Credential::Token(id) => Actor::Token(id),
        };
        let mut mutation = match feed.0.db.begin_early().await {
            Ok(tx) => Self::begun(feed, actor, tx).await?,
            Err(error) => return Ok(Err(error)),
        };
        mutation.address = Some(caller.attempt.address);
        let other = other.unwrap_or(account);
        let judged = async {
            mutation.lock_account(account.min(other)).await?;
            if account != other {
                mutation.lock_account(account.max(other)).await?;
            }
            match (credential, &caller.found.claims) {
                (Credential::Token(id), _) => {
                    let own = feed.0.grants.own_last();
                    grant_store::find_token_by_id(&mut mutation.tx, id, &own).await
                }
                (Credential::Session(_), Some(claims)) => {
                    grant_store::find_session(&mut mutation.tx, claims).await
                }
                (Credential::Session(_), None) => Ok(None),
            }
        };
        let judged = judged.await;
        Ok(judged.map(|found| (mutation, found)))
    }

    async fn begun(feed: &Feed, actor: Actor, tx: Tx) -> Result<Self, Error> {
        feed.pause(Step::Began).await?;
        let State { clock, keys, .. } = &*feed.0;
        Ok(Self {
            tx,
            now: clock.now(),
            address: None,
            seal: Seal { retirements: keys.retirements(), key: keys.in_force() },
            feed: feed.clone(),
            actor,
            changes: Vec::new(),
            has_jobs: false,
        })
    }

    /// Waits until no other mutation of the account is under way; false when there is no such account.
    pub async fn lock_account(&mut self, account: UserId) -> Result<bool, DbError> {
        let is_there = self.tx.execute(LOCK_ACCOUNT, args![account]).await? == 1;
        // The wait may have been long: what has expired meanwhile has expired.
        self.now = self.feed.0.clock.now();
        Ok(is_there)
    }

    /// Adds a feed row.
    pub fn tell(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// The operator's catalogue as this node read it last: a transaction waits for no other read. It counts for what
    /// groups that grow hold, which gives nobody power here.
    #[must_use]
    pub fn own_catalogue(&self) -> Arc<OwnCatalogue> {
        self.feed.0.grants.own_last()
    }

    /// Forgets on this node alone, at once: for what the database shows to be changed already.
    pub fn forget_now(&self, what: Forget) {
        self.feed.0.grants.forget(&[what]);
    }

    /// Says that a job was written: the runners of this node are woken once it is committed.
    pub fn ring_at_commit(&mut self) {
        self.has_jobs = true;
    }

    /// Writes the feed rows, commits and forgets. Once begun it runs to its end, whoever leaves.
    ///
    /// # Errors
    /// When the outcome is a failure or not known; what the changes concern is forgotten all the same.
    pub async fn commit(self) -> Result<(), Error> {
        let Self { tx, now, feed, actor, changes, has_jobs, seal, .. } = self;
        let task = tasks::once("commit", async move {
            let forget = ForgetAtEnd {
                grants: &feed.0.grants,
                what: changes.iter().filter_map(|c| c.forget).collect(),
            };
            let result = finish(&feed, tx, now, actor, &changes, seal).await;
            drop(forget);
            if has_jobs {
                feed.0.jobs.send_replace(());
            }
            result
        });
        let pos = task.await.map_err(Error::internal)??;
        outcome::note_done();
        outcome::note_committed(pos);
        Ok(())
    }
}

impl Mutation {
    /// Commits as another process would: this one forgets nothing by itself.
    pub async fn commit_elsewhere(self) -> Result<(), Error> {
        finish(&self.feed, self.tx, self.now, self.actor, &self.changes, self.seal).await.map(|_| ())
    }
}

/// Its position in the feed; 0 when it has nothing to tell.
async fn finish(
    feed: &Feed,
    mut tx: Tx,
    now: Timestamp,
    actor: Actor,
    changes: &[Change],
    seal: Seal,
) -> Result<i64, Error> {
    feed.pause(Step::Changed).await?;
    let pos = match changes {
        [] => 0,
        _ => {
            let (pos, retirements) = store::append(&mut tx, now, actor, changes).await?;
            // Rare: a key was retired while this ran. What it sealed under that key would never open.
            if retirements != seal.retirements && keys::store::is_retired(&mut tx, seal.key).await? {
                return Err(Error::Unavailable("The master key was changed meanwhile; try again"));
            }
            pos
        }
    };
    feed.pause(Step::Fed).await?;
    tx.commit_early().await?;
    let cut = feed.pause(Step::Committed).await;
    cut.map_err(|_| DbError::Unknown(sqlx::Error::PoolClosed))?;
    Ok(pos)
}

/// Forgets when dropped, so that a panic on the way forgets too.
struct ForgetAtEnd<'a> {
    grants: &'a Grants,
    what: Vec<Forget>,
}

impl Drop for ForgetAtEnd<'_> {
    fn drop(&mut self) {
        self.grants.forget(&self.what);
    }
}
