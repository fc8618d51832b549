//! When the load has ended: every node is held against the ledger, then stopped, and what is left is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::ledger::{Known, Standing};
use super::side::{Answer, Database, Side, TOKENS};
use crate::support::PATIENCE;

/// Asks until there is an answer that is no 503; not for ever, when nothing is well again.
async fn sure(side: &Side, at: usize, path: &str, credential: &str) -> Answer {
    loop {
        let answer = side.ask(at, "at the end", Method::GET, path, Some(credential), None).await;
        if !matches!(answer.status(), 0 | 503) || side.patience.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return answer;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// The same within a time that is enough for any ledger.
pub(super) async fn all(side: &Arc<Side>) -> String {
    const LIMIT: Duration = Duration::from_secs(180);
    match timeout(LIMIT, everything(side)).await {
        Ok(said) => said,
        Err(_) => {
            side.break_promise(&format!(
                "not verified: the nodes could not be asked for everything in {LIMIT:?}"
            ));
            "not verified".to_owned()
        }
    }
}

/// Every credential at every node, every thing, every list.
async fn everything(side: &Arc<Side>) -> String {
    let credentials: Vec<Arc<Known>> = {
        let (tokens, sessions) = (side.ledger.tokens.lock().unwrap(), side.ledger.sessions.lock().unwrap());
        tokens.iter().chain(sessions.iter()).map(Arc::clone).collect()
    };
    let mut tasks = Vec::new();
    for worker in 0..4 {
        let (side, credentials) = (Arc::clone(side), credentials.clone());
        tasks.push(tokio::spawn(async move {
            for known in credentials.iter().skip(worker).step_by(4) {
                for at in 0..side.nodes.len() {
                    credential(&side, at, known).await;
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut listed = 0;
    for owner in 0..2 {
        listed += tokens(side, owner).await;
    }
    let things = things(side).await;
    let told = events(side).await;
    let by = |standing| credentials.iter().filter(|known| known.state().standing == standing).count();
    format!(
        "{} credentials acknowledged ({} good, {} revoked, {} deleted or signed out) asked for at {} nodes, {listed} tokens listed, \
         {things} projects and keys read, {told} events looked up",
        credentials.len(),
        by(Standing::Good),
        by(Standing::Ended),
        by(Standing::Deleted),
        side.nodes.len(),
    )
}

async fn credential(side: &Side, at: usize, known: &Known) {
    let state = known.state();
    let answer = sure(side, at, super::side::CHECK, &known.credential).await;
    let problem = match (state.standing, state.is_pending, answer.status()) {
        (Standing::Good, _, 204)
        | (Standing::Ended | Standing::Deleted, _, 401 | 403)
        | (Standing::Good, true, 401 | 403) => {
            return;
        }
        // A change was asked for last that nobody heard the answer of: to enable it again.
        (Standing::Ended, true, 204) => return,
        (Standing::Good, false, _) => "acknowledged and lost",
        _ => "revoked and let in",
    };
    side.break_promise(&format!(
        "{problem}: at the end node {at} answers {answer:?} for {}, {state:?}",
        known.id
    ));
}

/// The tokens of an account that are listed: those that were acknowledged, and none that was surely not made.
async fn tokens(side: &Side, owner: usize) -> usize {
    let answer = sure(side, 0, TOKENS, &side.owners[owner]).await;
    let Answer::Heard { status: 200, body, .. } = &answer else {
        side.break_promise(&format!("no list: tokens at the end: {answer:?}"));
        return 0;
    };
    let rows = body["data"].as_array().cloned().unwrap_or_default();
    let listed: BTreeMap<&str, &str> =
        rows.iter().filter_map(|row| Some((row["id"].as_str()?, row["alias"].as_str()?))).collect();
    let known = side.ledger.tokens.lock().unwrap().clone();
    for token in known.iter().filter(|token| token.owner == owner) {
        let (state, is_listed) = (token.state(), listed.contains_key(&*token.id));
        let is_right = (state.standing == Standing::Deleted) != is_listed || (state.is_pending && !is_listed);
        if !is_right {
            let what = if is_listed { "deleted and there" } else { "acknowledged and lost" };
            side.break_promise(&format!("{what}: token {} in the list at the end, {state:?}", token.id));
        }
    }
    let ids: BTreeSet<&str> = known.iter().map(|token| &*token.id).collect();
    for (id, alias) in &listed {
        if !ids.contains(id) {
            unasked(side, &format!("token {id}"), alias);
        }
    }
    listed.len()
}

/// Something that is there and was not acknowledged.
fn unasked(side: &Side, what: &str, name: &str) {
    if side.ledger.never_made.lock().unwrap().contains(name) {
        side.break_promise(&format!(
            "refused and made: {what}, {name:?}: its answer said that nothing was done"
        ));
    } else if !side.ledger.perhaps_made.lock().unwrap().contains(name) {
        side.break_promise(&format!("nobody asked for it: {what}, {name:?}"));
    }
}

async fn things(side: &Side) -> usize {
    let owner = &side.owners[0];
    let (projects, vault) =
        (side.ledger.projects.lock().unwrap().clone(), side.ledger.vault.lock().unwrap().clone());
    for (at, (key, thing)) in vault.iter().enumerate() {
        let answer = sure(side, at % side.nodes.len(), &format!("/api/v1/vault/keys/{key}"), owner).await;
        let text = answer.text("/data/value");
        if !matches!(answer.status(), 200 | 404) || !thing.may_be(text.as_deref()) {
            let asked = thing.asked.len();
            side.break_promise(&format!(
                "acknowledged and lost: key {key} at the end: {}, {asked} unanswered",
                answer.status()
            ));
        }
    }
    for (at, (id, thing)) in projects.iter().enumerate() {
        let answer = sure(side, at % side.nodes.len(), &format!("/api/v1/projects/{id}"), owner).await;
        let text = answer.text("/data/alias");
        if !matches!(answer.status(), 200 | 404) || !thing.may_be(text.as_deref()) {
            side.break_promise(&format!(
                "acknowledged and lost: project {id} at the end: {text:?}, not {thing:?}"
            ));
        }
    }
    for page in 1..=20 {
        let path = format!("/api/v1/projects?limit=100&page={page}");
        let Answer::Heard { body, .. } = sure(side, 0, &path, owner).await else { continue };
        let rows = body["data"]["projects"].as_array().cloned().unwrap_or_default();
        for row in &rows {
            let (id, alias) =
                (row["id"].as_str().unwrap_or_default(), row["alias"].as_str().unwrap_or_default());
            if !projects.contains_key(id) && row["is_default"] != true {
                unasked(side, &format!("project {id}"), alias);
            }
        }
        if rows.len() < 100 {
            break;
        }
    }
    projects.len() + vault.len()
}

/// Acknowledged tokens have left their event; a hundred of them are looked up.
async fn events(side: &Side) -> usize {
    let known = side.ledger.tokens.lock().unwrap().clone();
    let step = (known.len() / 100).max(1);
    let mut told = 0;
    for token in known.iter().step_by(step) {
        let path = format!("/api/v1/events?event_type=auth.token.created&resource_id={}", token.id);
        let answer = sure(side, told % side.nodes.len(), &path, &side.owners[token.owner]).await;
        let Answer::Heard { body, .. } = &answer else { continue };
        if body["data"]["events"].as_array().is_none_or(Vec::is_empty) {
            side.break_promise(&format!("no event: of the making of {}: {body}", token.id));
        }
        told += 1;
    }
    told
}

/// Stops the nodes in order, and looks at what they leave.
pub(super) async fn stop(side: &Side) -> String {
    for node in &side.nodes {
        for panic in node.log.panics() {
            side.break_promise(&format!("a panic: {} says {panic}", node.name));
        }
        node.signal(Signal::TERM);
        let code = node.ended(PATIENCE).await;
        if code != Some(0) {
            side.break_promise(&format!(
                "a stop that is not in order: SIGTERM ends {} with {code:?}",
                node.name
            ));
        }
    }
    if matches!(side.database, Database::Sqlite(_)) {
        for file in ["hoody.db-wal", "activity.db-wal"] {
            if side.place.data_dir().join(file).metadata().is_ok_and(|file| file.len() > 0) {
                side.break_promise(&format!("files left after a stop: {file}"));
            }
        }
    }
    let verified = side.place.run(&["audit", "verify", "-o", "json"]).await;
    let said: Value = serde_json::from_str(&verified.stdout).unwrap_or(Value::Null);
    if verified.code != Some(0) {
        side.break_promise(&format!("the audit log: {}", verified.text()));
    }
    format!(
        "audit log: {} rows, unsealed {}, whole: {}",
        said["rows"],
        said["unsealed"],
        verified.code == Some(0)
    )
}
