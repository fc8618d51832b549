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

type Listener<T> = Box<dyn Fn(T) + Send + Sync>;

/// Who is told of something, in the order in which they asked for it.
pub(super) struct Listeners<T>(Mutex<Vec<Listener<T>>>);

impl<T> Default for Listeners<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Copy> Listeners<T> {
    fn add(&self, told: impl Fn(T) + Send + Sync + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(told));
    }

    pub(super) fn tell(&self, what: T) {
        for told in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            told(what);
        }
    }
}

#[derive(Default)]
pub(super) struct Hooks {
    step: OnceLock<Mutex<StepHook>>,
    /// The new head once the feed went back, before anything is answered by it.
    pub(super) resets: Listeners<i64>,
    /// At the end of each poll, up to where somebody waits for this node, and the head.
    pub(super) polls: Listeners<(i64, i64)>,
    /// For each change that was applied here, how many milliseconds after it was made.
    pub(super) applied: Listeners<i64>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooks")
    }
}

impl Feed {
    /// Calls `told` with the new head whenever the feed went back: the database was restored.
    pub fn on_reset(&self, told: impl Fn(i64) + Send + Sync + 'static) {
        self.0.hooks.resets.add(told);
    }

    /// Calls `told` for each change that is applied here, with how many milliseconds after it was made.
    pub fn on_applied(&self, told: impl Fn(i64) + Send + Sync + 'static) {
        self.0.hooks.applied.add(told);
    }

    /// Calls `told` at the end of each poll with the position that somebody waits for and the head.
    pub fn on_poll(&self, told: impl Fn((i64, i64)) + Send + Sync + 'static) {
        self.0.hooks.polls.add(told);
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
