//! Who is told of what happens to the feed, and where tests step in.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Feed, Step};
use crate::db::DbError;
use crate::error::Error;

/// What a test puts between the steps of a mutation.
pub type StepHook = Arc<dyn Fn(Step) -> Pin<Box<dyn Future<Output = Cut> + Send>> + Send + Sync>;

/// What a test does to a mutation at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    GoOn,
    /// The database is gone.
    DatabaseGone,
}

/// What is called with the new head once the feed went back, before anything is answered by it.
type OnReset = Box<dyn Fn(i64) + Send + Sync>;
/// What is called at the end of each poll: up to where somebody waits for this node, and the head.
type OnPoll = Box<dyn Fn(i64, i64) + Send + Sync>;
/// What is called for each change that was applied here, with how many milliseconds after it was made.
type OnApplied = Box<dyn Fn(i64) + Send + Sync>;

#[derive(Default)]
pub(super) struct Hooks {
    step: OnceLock<Mutex<StepHook>>,
    resets: Mutex<Vec<OnReset>>,
    polls: Mutex<Vec<OnPoll>>,
    applied: Mutex<Vec<OnApplied>>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooks")
    }
}

impl Hooks {
    pub(super) fn was_reset(&self, head: i64) {
        for told in self.resets.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            told(head);
        }
    }

    pub(super) fn applied(&self, millis: i64) {
        for told in self.applied.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            told(millis);
        }
    }

    pub(super) fn polled(&self, awaited: i64, head: i64) {
        for told in self.polls.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            told(awaited, head);
        }
    }
}

impl Feed {
    /// Calls `told` with the new head whenever the feed went back: the database was restored.
    pub fn on_reset(&self, told: impl Fn(i64) + Send + Sync + 'static) {
        self.0.hooks.resets.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(told));
    }

    /// Calls `told` for each change that is applied here, with how many milliseconds after it was made.
    pub fn on_applied(&self, told: impl Fn(i64) + Send + Sync + 'static) {
        self.0.hooks.applied.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(told));
    }

    /// Calls `told` at the end of each poll with the position that somebody waits for and the head.
    pub fn on_poll(&self, told: impl Fn(i64, i64) + Send + Sync + 'static) {
        self.0.hooks.polls.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(told));
    }

    /// Lets a test step in; otherwise nothing.
    ///
    /// # Errors
    /// The test's.
    pub async fn pause(&self, step: Step) -> Result<(), Error> {
        let Some(hook) = self.0.hooks.step.get() else { return Ok(()) };
        let hook = Arc::clone(&hook.lock().unwrap_or_else(PoisonError::into_inner));
        match hook(step).await {
            Cut::GoOn => Ok(()),
            Cut::DatabaseGone => Err(Error::from(DbError::Unavailable(sqlx::Error::PoolClosed))),
        }
    }

    /// Calls `hook` at every step of every mutation: tests only.
    pub fn at_each_step(&self, hook: StepHook) {
        let slot = self.0.hooks.step.get_or_init(|| Mutex::new(Arc::clone(&hook)));
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = hook;
    }
}
