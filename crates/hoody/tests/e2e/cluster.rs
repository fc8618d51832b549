//! Several nodes on one PostgreSQL, the faults that happen to them, and traffic that keeps a ledger.
//!
//! [`Traffic`] mints tokens, disables them, and checks them on every node all the time. It knows what was
//! acknowledged and when, so that an answer which breaks a promise is noted the moment it comes: a good
//! token refused, or a disabled one let in later than it may be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::{Client, PASSWORD, Place, Server, eventually};

/// After this an acknowledged revocation holds on every node (`README.md`, the promises).
pub(crate) const BOUND: Duration = Duration::from_secs(1);
/// Far more than a node takes to recover.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const TOKENS: &str = "/api/v1/auth/tokens";
const CHECK: &str = "/api/v1/auth/check";

/// A PostgreSQL server of the test's own: it can be stopped, frozen and started again.
#[derive(Debug)]
pub(crate) struct Postgres {
    directory: tempfile::TempDir,
    options: String,
    pub(crate) url: String,
}

impl Postgres {
    /// Installs and starts one; `None` where tests on PostgreSQL do not run at all.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// The same with more options of the server.
    pub(crate) fn start_with(options: &str) -> Option<Self> {
        std::env::var_os("HOODY_TEST_POSTGRES")?;
        let directory = tempfile::tempdir().unwrap();
        let mut server = Self { directory, options: options.to_owned(), url: String::new() };
        server.start_again();
        Some(server)
    }

    /// Where it lives.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn tool(&self, command: &str) -> String {
        let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/postgres");
        let mut tool = std::process::Command::new(tool);
        let ran = tool.arg(command).arg(self.directory()).env("HOODY_PG_OPTIONS", &self.options).output();
        let ran = ran.unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// Starts it on the data that it has.
    pub(crate) fn start_again(&mut self) {
        self.url = self.tool("start");
    }

    fn postmaster(&self) -> Option<Pid> {
        let file = std::fs::read_to_string(self.directory().join("data/postmaster.pid")).ok()?;
        Pid::from_raw(file.lines().next()?.trim().parse().ok()?)
    }

    /// Stops it as a crash does: every process at once.
    pub(crate) async fn crash(&self) {
        self.end(Signal::QUIT).await;
    }

    /// Stops it in order.
    pub(crate) async fn stop(&self) {
        self.end(Signal::INT).await;
    }

    async fn end(&self, signal: Signal) {
        let postmaster = self.postmaster().unwrap();
        kill_process(postmaster, signal).unwrap();
        let is_gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", postmaster.as_raw_pid()));
            // One that nobody waits for stays in the list, as a zombie.
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        eventually("PostgreSQL is gone", PATIENCE, async || is_gone().then_some(())).await;
    }

    /// Kills one process of it: the server takes all others back and starts again by itself, without what was
    /// not on the disk.
    pub(crate) fn lose_memory(&self) {
        let writer = children(self.postmaster().unwrap()).into_iter().find(|child| {
            let title = std::fs::read(format!("/proc/{}/cmdline", child.as_raw_pid())).unwrap_or_default();
            String::from_utf8_lossy(&title).contains("walwriter")
        });
        kill_process(writer.unwrap(), Signal::KILL).unwrap();
    }

    /// Stops every process of it where it is (`Signal::STOP`), or lets them go on (`Signal::CONT`).
    pub(crate) fn signal(&self, signal: Signal) {
        let postmaster = self.postmaster().unwrap();
        // The postmaster first, so that no process is born meanwhile.
        kill_process(postmaster, signal).unwrap();
        for child in children(postmaster) {
            let _ = kill_process(child, signal);
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.postmaster().is_some() {
            self.signal(Signal::CONT);
        }
        self.tool("stop");
    }
}

/// The processes whose parent this is.
fn children(parent: Pid) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let is_child = |process: &std::fs::DirEntry| {
        let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
        // pid (name) state parent …; the name may hold spaces and brackets.
        let rest = &stat[stat.rfind(')')? + 2..];
        let id: i32 = rest.split(' ').nth(1)?.parse().ok()?;
        (Pid::from_raw(id) == Some(parent)).then_some(())
    };
    let children = processes.filter_map(|process| {
        is_child(&process)?;
        Pid::from_raw(process.file_name().to_str()?.parse().ok()?)
    });
    children.collect()
}

/// Nodes of one database.
pub(crate) struct Cluster {
    pub(crate) place: Place,
    pub(crate) nodes: Vec<Server>,
}

impl Cluster {
    /// So many nodes on the database of `place`, with an account `ada`.
    pub(crate) async fn start(place: Place, nodes: usize) -> Self {
        place.init_keys().await;
        let mut cluster = Self { place, nodes: Vec::new() };
        for number in 0..nodes {
            cluster.nodes.push(cluster.node(number).await);
        }
        let create = ["admin", "users", "create", "ada", "--password-stdin"];
        cluster.place.run_with(&create, PASSWORD).await.ended(0);
        cluster
    }

    /// Starts the node of this number, on a port of its own.
    pub(crate) async fn node(&self, number: usize) -> Server {
        Server::start(self.serve(number, "127.0.0.1:0")).await
    }

    /// What starts the node of this number: a data directory of its own, the master key of all.
    pub(crate) fn serve(&self, number: usize, listen: &str) -> std::process::Command {
        let (own, key) = (self.place.path(&format!("node-{number}")), self.key());
        let (own, key) = (own.to_str().unwrap(), key.to_str().unwrap());
        let flags = ["serve", "--listen", listen, "--data-dir", own, "--master-key-file", key];
        let mut command = self.place.hoody(&flags);
        command.env("HOODY_ADMIN_USERNAME", "root").env("HOODY_ADMIN_PASSWORD", PASSWORD);
        command
    }

    fn key(&self) -> PathBuf {
        self.place.data_dir().join("master.key")
    }

    /// A session of `ada`: good on every node.
    pub(crate) async fn sign_in(&self) -> String {
        self.nodes[0].client().login("ada", PASSWORD).await.credential.unwrap()
    }
}

/// A token and what is known of it.
#[derive(Debug)]
struct Known {
    id: String,
    secret: String,
    /// Somebody asked for its end, and may not have heard the answer.
    is_asked: AtomicBool,
    /// When its end was acknowledged, and on which node.
    ended: OnceLock<(Instant, usize)>,
}

/// The phase, the node, what was asked, what came; how often.
type Seen = BTreeMap<(String, usize, &'static str, String), u64>;

/// Where clients send what they send; nodes come and go behind an address.
#[derive(Debug, Default)]
struct Ledger {
    tokens: Mutex<Vec<Arc<Known>>>,
    /// What clients saw: the phase, the node, what was asked, what came; how often.
    seen: Mutex<Seen>,
    phase: Mutex<String>,
    broken: Mutex<Vec<String>>,
    acknowledged: AtomicUsize,
}

/// Clients that mint, disable and check tokens on all nodes until they are told to stop.
pub(crate) struct Traffic {
    ledger: Arc<Ledger>,
    nodes: Arc<Mutex<Vec<Client>>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Ledger {
    fn note(&self, node: usize, what: &'static str, outcome: &Result<StatusCode, String>) {
        let phase = self.phase.lock().unwrap().clone();
        let outcome = match outcome {
            Ok(status) => status.as_u16().to_string(),
            Err(why) => why.clone(),
        };
        *self.seen.lock().unwrap().entry((phase, node, what, outcome)).or_default() += 1;
    }

    fn pick(&self, turn: usize) -> Option<Arc<Known>> {
        let tokens = self.tokens.lock().unwrap();
        // The youngest ones: those are the ones that change.
        let young = &tokens[tokens.len().saturating_sub(24)..];
        young.get(turn % young.len().max(1)).map(Arc::clone)
    }

    fn judge(&self, known: &Known, node: usize, began: Instant, was_asked: bool, status: StatusCode) {
        let late = known.ended.get().filter(|(ended, by)| {
            let bound = if *by == node { Duration::ZERO } else { BOUND };
            began >= *ended + bound
        });
        let is_let_in = status == StatusCode::NO_CONTENT;
        let problem = match late {
            Some((ended, by)) if is_let_in => format!(
                "node {node} let {} in {:?} after node {by} acknowledged its end",
                known.id,
                began - *ended
            ),
            None if status == StatusCode::UNAUTHORIZED
                && !was_asked
                && !known.is_asked.load(Ordering::SeqCst) =>
            {
                format!("node {node} refused the good token {}", known.id)
            }
            _ => return,
        };
        self.broken.lock().unwrap().push(problem);
    }
}

async fn send(
    client: &Client,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<(StatusCode, Value), String> {
    match client.try_send(method, path, body).await {
        Ok(reply) => Ok((reply.status, reply.body)),
        Err(error) if error.is_timeout() => Err("no answer in time".to_owned()),
        Err(error) if error.is_connect() => Err("no connection".to_owned()),
        Err(_) => Err("connection lost".to_owned()),
    }
}

async fn check(ledger: Arc<Ledger>, nodes: Arc<Mutex<Vec<Client>>>, node: usize, stop: Arc<AtomicBool>) {
    for turn in node.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let client = nodes.lock().unwrap()[node].clone();
        let Some(known) = ledger.pick(turn) else {
            tokio::task::yield_now().await;
            continue;
        };
        let (began, was_asked) = (Instant::now(), known.is_asked.load(Ordering::SeqCst));
        let answer =
            send(&client.with(&known.secret), Method::GET, CHECK, None).await.map(|(status, _)| status);
        if let Ok(status) = answer {
            ledger.judge(&known, node, began, was_asked, status);
        } else {
            // Nobody asks a node that is gone as fast as one that answers.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        ledger.note(node, "check", &answer);
    }
}

async fn change(
    ledger: Arc<Ledger>,
    nodes: Arc<Mutex<Vec<Client>>>,
    session: String,
    mut turn: usize,
    stop: Arc<AtomicBool>,
) {
    let mut held: Vec<Arc<Known>> = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        turn += 1;
        let (node, client) = {
            let nodes = nodes.lock().unwrap();
            (turn % nodes.len(), nodes[turn % nodes.len()].with(&session))
        };
        if held.len() < 4 {
            let answer = send(&client, Method::POST, TOKENS, Some(json!({}))).await;
            ledger.note(node, "mint", &answer.clone().map(|(status, _)| status));
            if let Ok((StatusCode::CREATED, body)) = answer {
                let text = |at: &str| body["data"][at].as_str().unwrap().to_owned();
                let known = Arc::new(Known {
                    id: text("id"),
                    secret: text("token"),
                    is_asked: AtomicBool::new(false),
                    ended: OnceLock::new(),
                });
                held.push(Arc::clone(&known));
                ledger.tokens.lock().unwrap().push(known);
                ledger.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        } else {
            let known = Arc::clone(&held[0]);
            known.is_asked.store(true, Ordering::SeqCst);
            let body = Some(json!({ "is_enabled": false }));
            let answer = send(&client, Method::PATCH, &format!("{TOKENS}/{}", known.id), body).await;
            ledger.note(node, "disable", &answer.clone().map(|(status, _)| status));
            // Unanswered ones are asked again, elsewhere.
            if matches!(answer, Ok((StatusCode::OK, _))) {
                let _ = known.ended.set((Instant::now(), node));
                held.remove(0);
                ledger.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Traffic {
    /// Begins: two clients that change things, two on each node that check.
    pub(crate) async fn start(cluster: &Cluster) -> Self {
        let session = cluster.sign_in().await;
        let ledger = Arc::<Ledger>::default();
        "0: before".clone_into(&mut ledger.phase.lock().unwrap());
        let clients: Vec<_> =
            cluster.nodes.iter().map(|node| node.impatient(Duration::from_secs(5))).collect();
        let count = clients.len();
        let nodes = Arc::new(Mutex::new(clients));
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for turn in 0..2 {
            let (ledger, nodes, stop) = (Arc::clone(&ledger), Arc::clone(&nodes), Arc::clone(&stop));
            tasks.push(tokio::spawn(change(ledger, nodes, session.clone(), turn, stop)));
        }
        for node in 0..count * 2 {
            let (ledger, nodes, stop) = (Arc::clone(&ledger), Arc::clone(&nodes), Arc::clone(&stop));
            tasks.push(tokio::spawn(check(ledger, nodes, node % count, stop)));
        }
        let traffic = Self { ledger, nodes, stop, tasks };
        traffic.goes_on("the first changes", 30).await;
        traffic
    }

    /// From now on what is seen counts for this phase.
    pub(crate) fn phase(&self, name: &str) {
        name.clone_into(&mut self.ledger.phase.lock().unwrap());
    }

    /// The node of this number is reached at `server` from now on.
    pub(crate) fn moved(&self, number: usize, server: &Server) {
        self.nodes.lock().unwrap()[number] = server.impatient(Duration::from_secs(5));
    }

    /// Waits until so many more changes are acknowledged; how long that took.
    pub(crate) async fn goes_on(&self, what: &str, more: usize) -> Duration {
        let began = Instant::now();
        let wanted = self.ledger.acknowledged.load(Ordering::SeqCst) + more;
        eventually(what, PATIENCE, async || {
            let is_over = self.tasks.iter().any(JoinHandle::is_finished);
            assert!(!is_over, "traffic ended by itself");
            (self.ledger.acknowledged.load(Ordering::SeqCst) >= wanted).then_some(())
        })
        .await;
        began.elapsed()
    }

    /// Waits until every node lets a good token in; how long that took.
    pub(crate) async fn all_well(&self) -> Duration {
        let began = Instant::now();
        let count = self.nodes.lock().unwrap().len();
        for node in 0..count {
            eventually("the node lets good tokens in", PATIENCE, async || {
                let client = self.nodes.lock().unwrap()[node].clone();
                let tokens = self.ledger.tokens.lock().unwrap().clone();
                let good = tokens.iter().rev().find(|known| !known.is_asked.load(Ordering::SeqCst))?;
                let answer = send(&client.with(&good.secret), Method::GET, CHECK, None).await;
                matches!(answer, Ok((StatusCode::NO_CONTENT, _))).then_some(())
            })
            .await;
        }
        began.elapsed()
    }

    /// Ends, holds every node against the ledger, and tells what was seen. Fails the test when a promise
    /// was broken.
    pub(crate) async fn settle(self, name: &str) -> String {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.ledger.phase.lock().unwrap().replace_range(.., "9: after");
        // Nothing changes any more: after the bound every node knows everything.
        tokio::time::sleep(BOUND).await;
        let tokens = self.ledger.tokens.lock().unwrap().clone();
        let nodes = self.nodes.lock().unwrap().clone();
        for (number, node) in nodes.iter().enumerate() {
            for known in &tokens {
                let answer = send(&node.with(&known.secret), Method::GET, CHECK, None).await;
                let is_right = matches!(
                    (&answer, known.ended.get(), known.is_asked.load(Ordering::SeqCst)),
                    (Ok((StatusCode::UNAUTHORIZED, _)), Some(_), _)
                        | (Ok((StatusCode::NO_CONTENT, _)), None, _)
                        | (Ok((StatusCode::UNAUTHORIZED, _)), None, true)
                );
                if !is_right {
                    let problem = format!("at the end node {number} answers {answer:?} for {known:?}");
                    self.ledger.broken.lock().unwrap().push(problem);
                }
            }
        }
        let broken = self.ledger.broken.lock().unwrap().clone();
        let ended = tokens.iter().filter(|known| known.ended.get().is_some()).count();
        let mut report = format!(
            "{name}: {} tokens made and {ended} disabled, all acknowledged and all as they should be\n",
            tokens.len()
        );
        let mut last = String::new();
        for ((phase, node, what, outcome), count) in self.ledger.seen.lock().unwrap().iter() {
            if *phase != last {
                report.push_str(&format!("  {phase}:\n"));
                last.clone_from(phase);
            }
            report.push_str(&format!("    node {node} {what}: {outcome} x {count}\n"));
        }
        assert!(
            broken.is_empty(),
            "{} promises broken, the first: {:#?}\n{report}",
            broken.len(),
            &broken[..broken.len().min(5)]
        );
        report
    }
}
