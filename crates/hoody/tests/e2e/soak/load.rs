//! The load: tokens that are made, changed, ended and checked, and everything else that clients do, at a rate
//! that leaves the machine room.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::ledger::{Known, Standing, Thing};
use super::side::{ACCOUNTS, Answer, CHECK, Fate, Side, TOKENS};
use super::streams;
use crate::cluster::BOUND;

const REFRESH: &str = "/api/v1/users/auth/refresh";
const LOGOUT: &str = "/api/v1/users/auth/logout";
/// How many tokens of an account live at most.
const TOKENS_OF_ACCOUNT: usize = 120;
/// How many of those that may be used from elsewhere only.
const BANISHED_OF_ACCOUNT: usize = 40;
const SESSIONS: usize = 12;
/// How often a session is refreshed at most: the server allows 30 in half an hour.
const REFRESHES: u64 = 8;

/// Numbers that look like chance and are the same in each run.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end.max(1) as u64).unwrap()
    }
}

fn pace(milliseconds: u64) -> Interval {
    let mut pace = interval(Duration::from_millis(milliseconds));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// Starts all of it; it ends with [`Side::is_over`]. A side with `share` 2 has half the load.
pub(super) fn start(side: &Arc<Side>, share: u64) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    for at in 0..side.nodes.len() {
        for turn in 0..2 {
            tasks.push(tokio::spawn(check_tokens(Arc::clone(side), at, turn, 50 * share)));
        }
        tasks.push(tokio::spawn(check_garbage(Arc::clone(side), at, 200 * share)));
        tasks.push(tokio::spawn(read_lists(Arc::clone(side), at, 700 * share)));
        tasks.push(tokio::spawn(streams::follow(Arc::clone(side), at)));
        tasks.push(tokio::spawn(streams::poll(Arc::clone(side), at)));
    }
    for owner in 0..2 {
        let writer = Writer {
            side: Arc::clone(side),
            owner,
            held: Vec::new(),
            banished: VecDeque::new(),
            owed: Vec::new(),
            dice: Dice::new(owner as u64),
        };
        tasks.push(tokio::spawn(writer.write(400 * share)));
    }
    tasks.push(tokio::spawn(change_things(Arc::clone(side), 500 * share)));
    tasks.push(tokio::spawn(use_sessions(Arc::clone(side), 1_500 * share)));
    tasks
}

/// Checks a credential at a node and holds the answer against the ledger; the status.
pub(super) async fn check(side: &Side, at: usize, known: &Known, what: &'static str) -> u16 {
    let (before, began) = (known.state(), Instant::now());
    let answer = side.ask(at, what, Method::GET, CHECK, Some(&known.credential), None).await;
    if let Some(problem) = known.judge(before, at, began, answer.status()) {
        side.break_promise(&problem);
    }
    if let Answer::Heard { status, body, .. } = &answer
        && !matches!(status, 204 | 401 | 403 | 500 | 503)
    {
        side.break_promise(&format!("an answer that a check never has: {status} {body}"));
    }
    answer.status()
}

async fn check_tokens(side: Arc<Side>, at: usize, turn: u64, milliseconds: u64) {
    let (mut pace, mut dice) = (pace(milliseconds), Dice::new(turn + 10 * at as u64));
    while !side.is_over() {
        pace.tick().await;
        // The youngest change most; all of them are often read cold.
        let of = if dice.roll().is_multiple_of(2) { 24 } else { usize::MAX };
        if let Some(known) = side.ledger.pick(dice.roll(), of) {
            check(&side, at, &known, "check").await;
        }
    }
}

async fn check_garbage(side: Arc<Side>, at: usize, milliseconds: u64) {
    let (mut pace, mut dice) = (pace(milliseconds), Dice::new(100 + at as u64));
    while !side.is_over() {
        pace.tick().await;
        let Some(known) = side.ledger.pick(dice.roll(), usize::MAX) else { continue };
        let credential = garbage(&mut dice, &known.credential);
        let answer = side.ask(at, "garbage", Method::GET, CHECK, Some(&credential), None).await;
        if answer.status() == 204 {
            side.break_promise("garbage is let in: a check of a credential that nobody was given");
        }
    }
}

/// Something that looks like a credential.
pub(super) fn garbage(dice: &mut Dice, like: &str) -> String {
    let mut text = like.as_bytes().to_vec();
    match dice.below(5) {
        0 => {
            // One character is another one.
            let place = 4 + dice.below(text.len() - 4);
            text[place] = if text[place] == b'a' { b'b' } else { b'a' };
        }
        1 => text.truncate(text.len() / 2),
        2 => text = b"eyJhbGciOiJub25lIn0.eyJzdWIiOiIwIn0.".to_vec(),
        3 => text = vec![b'x'; 8_000],
        _ => {
            for place in text.iter_mut().skip(4) {
                *place = b"0123456789abcdefghijklmnopqrstuvwxyz"[dice.below(36)];
            }
        }
    }
    String::from_utf8(text).unwrap()
}

async fn read_lists(side: Arc<Side>, at: usize, milliseconds: u64) {
    const LISTS: [&str; 12] = [
        "/api/v1/auth/tokens",
        "/api/v1/projects?limit=100",
        "/api/v1/events?limit=200",
        "/api/v1/users/auth/activity?limit=50",
        "/api/v1/vault/keys",
        "/api/v1/users/auth/me",
        "/api/v1/events/stats",
        "/api/v1/realms",
        "/api/v1/vault/stats",
        "/openapi.json",
        "/api/v1/projects?limit=10&page=2",
        "/api/v1/events?limit=100&event_type=auth.token.deleted",
    ];
    let mut pace = pace(milliseconds);
    for turn in at.. {
        pace.tick().await;
        if side.is_over() {
            return;
        }
        let owner = &side.owners[turn / LISTS.len() % 2];
        let path = LISTS[turn % LISTS.len()];
        let answer = side.ask(at, "list", Method::GET, path, Some(owner), None).await;
        if matches!(answer.status(), 400..=499) {
            side.break_promise(&format!("a list refused: {path}: {answer:?}"));
        }
    }
}

/// Makes, changes and ends tokens of one account.
struct Writer {
    side: Arc<Side>,
    owner: usize,
    held: Vec<Arc<Known>>,
    /// Banished, the oldest first: deleted one by one, since an account has 1,000 tokens at most.
    banished: VecDeque<Arc<Known>>,
    /// Asked for and not answered: asked again until it is.
    owed: Vec<(Arc<Known>, Change)>,
    dice: Dice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Disable,
    Enable,
    /// It may be used from elsewhere only.
    Banish,
    Delete,
}

impl Change {
    fn standing(self) -> Standing {
        match self {
            Self::Enable => Standing::Good,
            Self::Disable | Self::Banish => Standing::Ended,
            Self::Delete => Standing::Deleted,
        }
    }

    fn request(self) -> (Method, Option<Value>) {
        match self {
            Self::Enable => (Method::PATCH, Some(json!({ "is_enabled": true }))),
            Self::Disable => (Method::PATCH, Some(json!({ "is_enabled": false }))),
            Self::Banish => (Method::PATCH, Some(json!({ "ip_whitelist": ["192.0.2.0/24"] }))),
            Self::Delete => (Method::DELETE, None),
        }
    }
}

impl Writer {
    async fn write(mut self, milliseconds: u64) {
        let mut pace = pace(milliseconds);
        while !self.side.is_over() {
            pace.tick().await;
            let at = self.dice.below(self.side.nodes.len());
            if let Some((known, change)) = self.owed.pop() {
                self.change(at, known, change).await;
                continue;
            }
            if self.banished.len() > BANISHED_OF_ACCOUNT {
                let oldest = self.banished.pop_front().unwrap();
                self.change(at, oldest, Change::Delete).await;
                continue;
            }
            let is_full = self.held.len() >= TOKENS_OF_ACCOUNT;
            match self.dice.below(10) {
                0..5 if !is_full => self.make(at).await,
                _ if self.held.len() < 20 => self.make(at).await,
                5 | 6 => self.change_one(at, Change::Disable).await,
                7 => self.change_one(at, Change::Enable).await,
                8 => self.change_one(at, Change::Banish).await,
                _ => self.change_one(at, Change::Delete).await,
            }
        }
    }

    async fn make(&mut self, at: usize) {
        let alias = format!("soak {}", self.side.number());
        let mut body = json!({ "alias": alias });
        match self.dice.below(4) {
            0 => body["ip_whitelist"] = json!(["127.0.0.0/8", "10.0.0.0/8"]),
            1 => body["permissions"] = json!({ "projects": { "read": true } }),
            _ => {}
        }
        let owner = Some(&*self.side.owners[self.owner]);
        let answer = self.side.ask(at, "token: make", Method::POST, TOKENS, owner, Some(body)).await;
        note(&self.side, "token: make", &answer, Some(alias));
        let (Some(id), Some(credential)) = (answer.text("/data/id"), answer.text("/data/token")) else {
            return;
        };
        let known = Known::new(id, credential, self.owner, at);
        self.side.ledger.tokens.lock().unwrap().push(Arc::clone(&known));
        self.held.push(known);
    }

    async fn change_one(&mut self, at: usize, change: Change) {
        let wanted = |known: &Known| match change {
            Change::Enable => known.state().standing == Standing::Ended,
            Change::Disable | Change::Banish => known.state().standing == Standing::Good,
            Change::Delete => true,
        };
        let fitting: Vec<_> = self.held.iter().filter(|known| wanted(known)).map(Arc::clone).collect();
        if fitting.is_empty() {
            return;
        }
        let known = Arc::clone(&fitting[self.dice.below(fitting.len())]);
        self.change(at, known, change).await;
    }

    async fn change(&mut self, at: usize, known: Arc<Known>, change: Change) {
        let was_pending = known.state().is_pending;
        known.ask();
        let (method, body) = change.request();
        let owner = Some(&*self.side.owners[self.owner]);
        let path = format!("{TOKENS}/{}", known.id);
        let answer = self.side.ask(at, "token: change", method, &path, owner, body).await;
        let is_gone = answer.status() == 404;
        let is_done = answer.fate() == Fate::Done || (is_gone && change == Change::Delete && was_pending);
        note(&self.side, "token: change", &answer, None);
        if is_gone && !is_done {
            self.side.break_promise(&format!(
                "acknowledged and lost: {change:?} of {} is 404 at node {at}",
                known.id
            ));
            self.held.retain(|held| held.id != known.id);
        } else if is_done {
            // What was banished stays so when it is enabled.
            if change == Change::Banish || change == Change::Delete {
                self.held.retain(|held| held.id != known.id);
            }
            if change == Change::Banish {
                self.banished.push_back(Arc::clone(&known));
            }
            known.settle(change.standing(), at);
            if change != Change::Enable {
                self.try_at_once(at, &known).await;
            }
        } else if answer.fate() == Fate::Nothing && !was_pending {
            known.undo();
        } else {
            self.owed.insert(0, (known, change));
        }
    }

    /// What was just revoked is tried where it was acknowledged, and a second later elsewhere.
    async fn try_at_once(&self, at: usize, known: &Arc<Known>) {
        check(&self.side, at, known, "revoked: here, at once").await;
        for other in (0..self.side.nodes.len()).filter(|other| *other != at) {
            let (side, known) = (Arc::clone(&self.side), Arc::clone(known));
            tokio::spawn(async move {
                tokio::time::sleep(BOUND + Duration::from_millis(5)).await;
                check(&side, other, &known, "revoked: elsewhere, 1 s later").await;
            });
        }
    }
}

/// Counts an outcome; the name of what was to be made goes where it belongs.
fn note(side: &Side, what: &'static str, answer: &Answer, name: Option<String>) {
    let ledger = &side.ledger;
    ledger.outcome(what, |outcomes| match (answer.fate(), answer) {
        (Fate::Done, _) => outcomes.done += 1,
        (Fate::Nothing, _) => outcomes.refused += 1,
        (Fate::Unknown, Answer::Heard { .. }) => outcomes.unknown += 1,
        (Fate::Unknown, _) => outcomes.lost += 1,
    });
    if let (Answer::Heard { status: status @ 400..=499, body, .. }, true) = (answer, answer.status() != 404) {
        side.break_promise(&format!("a change refused: {what} is {status}: {body}"));
    }
    match (answer.fate(), name) {
        (Fate::Nothing, Some(name)) => drop(ledger.never_made.lock().unwrap().insert(name)),
        (Fate::Unknown, Some(name)) => drop(ledger.perhaps_made.lock().unwrap().insert(name)),
        _ => {}
    }
}

/// Makes, renames and deletes projects, and sets and deletes keys of the vault, all of the first account.
async fn change_things(side: Arc<Side>, milliseconds: u64) {
    let (mut pace, mut dice) = (pace(milliseconds), Dice::new(7));
    while !side.is_over() {
        pace.tick().await;
        let at = dice.below(side.nodes.len());
        if dice.roll().is_multiple_of(2) {
            change_vault(&side, at, &mut dice).await;
        } else {
            change_projects(&side, at, &mut dice).await;
        }
    }
}

async fn change_vault(side: &Side, at: usize, dice: &mut Dice) {
    let key = format!("key-{}", dice.below(40));
    let is_set = dice.below(4) > 0;
    let text = is_set.then(|| format!("{} {}", side.number(), "v".repeat(dice.below(2_000))));
    let path = format!("/api/v1/vault/keys/{key}");
    let owner = Some(&*side.owners[0]);
    side.ledger.vault.lock().unwrap().entry(key.clone()).or_default().asked.push(text.clone());
    let (method, body) = match &text {
        Some(text) => (Method::PUT, Some(json!({ "value": text, "metadata": { "made": "here" } }))),
        None => (Method::DELETE, None),
    };
    let answer = side.ask(at, "vault", method, &path, owner, body).await;
    note(side, "vault", &answer, None);
    let mut vault = side.ledger.vault.lock().unwrap();
    let thing = vault.get_mut(&key).unwrap();
    settle(thing, text, &answer, answer.status() == 404 && !is_set);
}

/// Writes down what became of the last thing that was asked for.
fn settle(thing: &mut Thing, text: Option<String>, answer: &Answer, is_gone: bool) {
    match answer.fate() {
        Fate::Done => (thing.text, thing.asked) = (text, Vec::new()),
        _ if is_gone => (thing.text, thing.asked) = (None, Vec::new()),
        Fate::Nothing => drop(thing.asked.pop()),
        Fate::Unknown => {}
    }
}

async fn change_projects(side: &Side, at: usize, dice: &mut Dice) {
    const PROJECTS: &str = "/api/v1/projects";
    let owner = Some(&*side.owners[0]);
    let alias = format!("soak {}", side.number());
    let living: Vec<String> = {
        let projects = side.ledger.projects.lock().unwrap();
        projects.iter().filter(|(_, thing)| thing.text.is_some()).map(|(id, _)| id.clone()).collect()
    };
    if living.len() < 10 || (living.len() < 60 && dice.below(3) == 0) {
        let body = Some(json!({ "alias": alias }));
        let answer = side.ask(at, "project: make", Method::POST, PROJECTS, owner, body).await;
        note(side, "project: make", &answer, Some(alias.clone()));
        if let Some(id) = answer.text("/data/id") {
            let thing = Thing { text: Some(alias), asked: Vec::new() };
            side.ledger.projects.lock().unwrap().insert(id, thing);
        }
        return;
    }
    let id = &living[dice.below(living.len())];
    let text = (dice.below(3) > 0).then_some(alias);
    let change = |thing: &mut Thing| thing.asked.push(text.clone());
    change(side.ledger.projects.lock().unwrap().get_mut(id).unwrap());
    let (method, body) = match &text {
        Some(alias) => (Method::PATCH, Some(json!({ "alias": alias }))),
        None => (Method::DELETE, None),
    };
    let answer = side.ask(at, "project: change", method, &format!("{PROJECTS}/{id}"), owner, body).await;
    note(side, "project: change", &answer, None);
    let mut projects = side.ledger.projects.lock().unwrap();
    let thing = projects.get_mut(id).unwrap();
    let is_gone = answer.status() == 404;
    if is_gone && thing.asked.iter().all(Option::is_some) {
        side.break_promise(&format!("acknowledged and lost: project {id} is 404 at node {at}"));
    }
    settle(thing, text, &answer, is_gone);
}

/// A session of the last account.
struct Session {
    known: Arc<Known>,
    refresh: String,
    refreshes: u64,
    /// Since when a refresh is asked for and not answered.
    asked: Option<Instant>,
}

async fn use_sessions(side: Arc<Side>, milliseconds: u64) {
    let (mut pace, mut dice) = (pace(milliseconds), Dice::new(3));
    let mut sessions: Vec<Session> = Vec::new();
    while !side.is_over() {
        pace.tick().await;
        let at = dice.below(side.nodes.len());
        // What waits for an answer comes first: a pair can be had again for a minute.
        if let Some(waiting) = sessions.iter().position(|session| session.asked.is_some()) {
            refresh(&side, at, &mut sessions, waiting).await;
        } else if sessions.len() < SESSIONS && dice.below(3) == 0 {
            let answer = side.sign_in(at, "sign-in", ACCOUNTS[3]).await;
            note(&side, "sign-in", &answer, None);
            sessions.extend(pair(&side, at, &answer, 0));
        } else if !sessions.is_empty() {
            let index = dice.below(sessions.len());
            if dice.below(16) == 0 || sessions[index].refreshes >= REFRESHES {
                log_out(&side, at, &mut sessions).await;
            } else {
                refresh(&side, at, &mut sessions, index).await;
            }
        }
    }
}

fn pair(side: &Side, at: usize, answer: &Answer, refreshes: u64) -> Option<Session> {
    let access = answer.text("/data/token")?;
    let known = Known::new(format!("session {}", side.number()), access, 3, at);
    side.ledger.sessions.lock().unwrap().push(Arc::clone(&known));
    Some(Session { known, refresh: answer.text("/data/refreshToken")?, refreshes, asked: None })
}

async fn refresh(side: &Side, at: usize, sessions: &mut Vec<Session>, index: usize) {
    let session = &mut sessions[index];
    let asked = *session.asked.get_or_insert_with(Instant::now);
    // Later than a minute after it turned, the old number ends the session.
    if asked.elapsed() > Duration::from_secs(45) {
        session.known.ask();
        sessions.swap_remove(index);
        return;
    }
    session.known.ask();
    let body = json!({ "refreshToken": session.refresh });
    let answer = side.ask(at, "refresh", Method::POST, REFRESH, None, Some(body)).await;
    note(side, "refresh", &answer, None);
    match answer.fate() {
        Fate::Done => {
            let next = pair(side, at, &answer, session.refreshes + 1);
            check(side, at, &next.as_ref().unwrap().known, "refreshed: at once").await;
            sessions[index] = next.unwrap();
        }
        Fate::Nothing if matches!(answer.status(), 400..=499) => drop(sessions.swap_remove(index)),
        // Whatever the answer says, the pair is had again by the same refresh token.
        _ => {}
    }
}

/// Signs out with the last session, which ends all sessions of the account, those of the load before too.
async fn log_out(side: &Side, at: usize, sessions: &mut Vec<Session>) {
    let Some(last) = sessions.pop() else { return };
    let living: Vec<Arc<Known>> = {
        let all = side.ledger.sessions.lock().unwrap();
        let is_living = |known: &&Arc<Known>| {
            let state = known.state();
            state.standing == Standing::Good && !state.is_pending
        };
        all.iter().filter(is_living).map(Arc::clone).collect()
    };
    living.iter().for_each(|known| known.ask());
    let credential = Some(&*last.known.credential);
    let answer = side.ask(at, "sign-out", Method::POST, LOGOUT, credential, None).await;
    note(side, "sign-out", &answer, None);
    match answer.fate() {
        Fate::Done => {
            living.iter().for_each(|known| known.settle(Standing::Ended, at));
            sessions.clear();
            for known in living {
                check(side, at, &known, "revoked: here, at once").await;
            }
        }
        Fate::Nothing => {
            living.iter().for_each(|known| known.undo());
            sessions.push(last);
        }
        // They may have ended or not, and nobody can tell: new ones take their place.
        Fate::Unknown => sessions.clear(),
    }
}
