//! What was acknowledged, and what each answer says about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::BOUND;

/// How a credential stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    Ended,
    Deleted,
}

/// What is known of a credential.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) standing: Standing,
    /// When it was acknowledged, and by which node.
    pub(super) since: Instant,
    pub(super) by: usize,
    /// Something was asked for and not acknowledged: it may be so or not.
    pub(super) is_pending: bool,
    version: u64,
}

/// A token, or the access token of a session.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) credential: String,
    pub(super) owner: usize,
    state: Mutex<State>,
}

impl Known {
    pub(super) fn new(id: String, credential: String, owner: usize, by: usize) -> Arc<Self> {
        let since = Instant::now();
        let state = State { standing: Standing::Good, since, by, is_pending: false, version: 0 };
        Arc::new(Self { id, credential, owner, state: Mutex::new(state) })
    }

    pub(super) fn state(&self) -> State {
        *self.state.lock().unwrap()
    }

    /// Something is asked for now.
    pub(super) fn ask(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_pending = true;
        state.version += 1;
    }

    /// What was asked for was surely not done.
    pub(super) fn undo(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_pending = false;
        state.version += 1;
    }

    /// It was acknowledged that it stands so.
    pub(super) fn settle(&self, standing: Standing, by: usize) {
        let mut state = self.state.lock().unwrap();
        let version = state.version + 1;
        *state = State { standing, since: Instant::now(), by, is_pending: false, version };
    }

    /// What is wrong with this status of a check that node `at` was sent at `began`, when the credential stood
    /// as in `before`.
    pub(super) fn judge(&self, before: State, at: usize, began: Instant, status: u16) -> Option<String> {
        let now = self.state();
        let bound = if before.by == at { Duration::ZERO } else { BOUND };
        if before.is_pending || before.version != now.version || began < before.since + bound {
            return None;
        }
        let after = began - before.since;
        match (before.standing, status) {
            (Standing::Ended | Standing::Deleted, 204) => Some(format!(
                "revoked and let in: node {at} lets {} in {after:?} after node {} acknowledged its end",
                self.id, before.by
            )),
            (Standing::Good, 401 | 403) => Some(format!(
                "good and refused: node {at} answers {status} for {} {after:?} after node {} acknowledged it",
                self.id, before.by
            )),
            _ => None,
        }
    }
}

/// Something with a text that changes: a project's name, a key's value in the vault.
#[derive(Debug, Clone, Default)]
pub(super) struct Thing {
    /// What was acknowledged last; `None` when it was deleted.
    pub(super) text: Option<String>,
    /// What was asked for since and not answered: any of it may be so.
    pub(super) asked: Vec<Option<String>>,
}

impl Thing {
    /// Whether it may look so.
    pub(super) fn may_be(&self, text: Option<&str>) -> bool {
        self.text.as_deref() == text || self.asked.iter().any(|asked| asked.as_deref() == text)
    }
}

/// What clients asked for, by its outcome.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Outcomes {
    pub(super) done: u64,
    pub(super) refused: u64,
    /// `OUTCOME_UNKNOWN`, as the server says.
    pub(super) unknown: u64,
    /// No answer, or one that says nothing.
    pub(super) lost: u64,
}

/// All of it, for one database.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) tokens: Mutex<Vec<Arc<Known>>>,
    pub(super) sessions: Mutex<Vec<Arc<Known>>>,
    /// By id.
    pub(super) projects: Mutex<BTreeMap<String, Thing>>,
    /// By key.
    pub(super) vault: Mutex<BTreeMap<String, Thing>>,
    /// Names of what was asked for and surely not made, as the answers say.
    pub(super) never_made: Mutex<BTreeSet<String>>,
    /// Names of what may have been made.
    pub(super) perhaps_made: Mutex<BTreeSet<String>>,
    pub(super) outcomes: Mutex<BTreeMap<&'static str, Outcomes>>,
    broken: Mutex<Broken>,
}

/// The kind of what was broken: how often, and the first few.
pub(super) type Broken = BTreeMap<String, (u64, Vec<String>)>;

impl Ledger {
    /// A promise was broken. What stands before the colon is its kind.
    pub(super) fn break_promise(&self, fault: &str, what: &str) {
        let kind = what.split(':').next().unwrap_or(what).to_owned();
        let mut broken = self.broken.lock().unwrap();
        let (times, first) = broken.entry(kind).or_default();
        *times += 1;
        if first.len() < 8 {
            eprintln!("BROKEN ({fault}): {what}");
            first.push(format!("{what} ({fault})"));
        }
    }

    pub(super) fn broken(&self) -> Broken {
        self.broken.lock().unwrap().clone()
    }

    pub(super) fn outcome(&self, what: &'static str, count: impl FnOnce(&mut Outcomes)) {
        count(self.outcomes.lock().unwrap().entry(what).or_default());
    }

    /// One of the youngest `of` credentials, or of all.
    pub(super) fn pick(&self, turn: u64, of: usize) -> Option<Arc<Known>> {
        let tokens = self.tokens.lock().unwrap();
        let some = &tokens[tokens.len().saturating_sub(of)..];
        let index = usize::try_from(turn % some.len().max(1) as u64).unwrap();
        some.get(index).map(Arc::clone)
    }
}
