//! A database, its nodes, its accounts, and the way to ask them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::disk::Disk;
use super::forwarder::Forwarder;
use super::ledger::Ledger;
use super::node::{LIMIT, Node, Start};
use crate::cluster::Postgres;
use crate::faults;
use crate::support::{PASSWORD, Place, eventually};

pub(super) const TOKENS: &str = "/api/v1/auth/tokens";
pub(super) const CHECK: &str = "/api/v1/auth/check";
pub(super) const LOGIN: &str = "/api/v1/users/auth/login";
/// Accounts of a side: the first two have tokens and all else, the third signs in, the last signs in and out.
pub(super) const ACCOUNTS: [&str; 4] = ["soak-a", "soak-b", "soak-c", "soak-d"];

/// What lies behind the nodes.
pub(super) enum Database {
    /// With a disk of its own, where that could be.
    Sqlite(Option<Disk>),
    Postgres(Box<Cluster>),
}

/// A primary, a standby that follows it, and forwarders of the nodes.
pub(super) struct Cluster {
    pub(super) primary: tokio::sync::Mutex<Postgres>,
    pub(super) url: String,
    pub(super) standby: Standby,
    pub(super) forwarders: Vec<Forwarder>,
}

/// Stopped with its test.
pub(super) struct Standby(pub(super) tempfile::TempDir);

impl Drop for Standby {
    fn drop(&mut self) {
        faults::postgres(&format!("pg_ctl -D {}/data -m immediate stop || true", self.0.path().display()));
    }
}

/// How often something was asked in a fault, and how it ended.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Count {
    pub(super) done: u64,
    pub(super) refused: u64,
    /// 503.
    pub(super) busy: u64,
    /// 500 and the like.
    pub(super) failed: u64,
    pub(super) lost: u64,
    pub(super) slowest: Duration,
}

/// An answer, or none.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Heard { status: u16, body: Value, has_retry_after: bool },
    NoConnection,
    Lost,
}

/// What a client may conclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    /// Surely nothing was done.
    Nothing,
    Unknown,
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Heard { status, .. } => *status,
            _ => 0,
        }
    }

    pub(super) fn text(&self, pointer: &str) -> Option<String> {
        match self {
            Self::Heard { body, .. } => body.pointer(pointer).and_then(Value::as_str).map(str::to_owned),
            _ => None,
        }
    }

    pub(super) fn code(&self) -> String {
        self.text("/code").unwrap_or_default()
    }

    /// A 503 without `Retry-After` says nothing of what was done; one with it says: nothing.
    pub(super) fn fate(&self) -> Fate {
        match self {
            Self::Heard { status: 200..=299, .. } => Fate::Done,
            Self::Heard { status: 400..=499, .. } | Self::NoConnection => Fate::Nothing,
            Self::Heard { status: 503, has_retry_after: true, .. } if self.code() != "OUTCOME_UNKNOWN" => {
                Fate::Nothing
            }
            _ => Fate::Unknown,
        }
    }
}

/// A database with its nodes and the load on them.
pub(super) struct Side {
    pub(super) name: &'static str,
    pub(super) nodes: Vec<Node>,
    /// Sessions of the accounts.
    pub(super) owners: Vec<String>,
    pub(super) ledger: Ledger,
    pub(super) database: Database,
    pub(super) seen: Mutex<BTreeMap<(String, &'static str), Count>>,
    pub(super) fault: Mutex<String>,
    pub(super) is_over: AtomicBool,
    /// How often something is asked once more at the end.
    pub(super) patience: AtomicI64,
    /// Numbers that are given once.
    next: AtomicU64,
    /// After `database`, whose disk lies in it.
    pub(super) place: Place,
}

impl Side {
    fn new(name: &'static str, place: Place, database: Database, nodes: Vec<Node>) -> Self {
        Self {
            name,
            nodes,
            owners: Vec::new(),
            ledger: Ledger::default(),
            database,
            seen: Mutex::default(),
            fault: Mutex::new("before".to_owned()),
            is_over: AtomicBool::new(false),
            patience: AtomicI64::new(200),
            next: AtomicU64::new(1),
            place,
        }
    }

    /// One node on SQLite, with HTTPS, on a disk of its own.
    pub(super) async fn sqlite() -> Self {
        let place = Place::sqlite();
        let disk = Disk::mount(&place.data_dir());
        let start = Start {
            name: "sqlite",
            arguments: &["--log", "hoody=debug"],
            environment: Vec::new(),
            is_tls: true,
            is_mortal: false,
        };
        let node = Node::start(&place, start).await;
        Self::new("sqlite", place, Database::Sqlite(disk), vec![node]).with_accounts().await
    }

    /// One node on SQLite that is killed all the time.
    pub(super) async fn mortal() -> Self {
        let place = Place::sqlite();
        let start = Start {
            name: "sqlite, killed",
            arguments: &[],
            environment: Vec::new(),
            is_tls: false,
            is_mortal: true,
        };
        let node = Node::start(&place, start).await;
        Self::new("sqlite, killed", place, Database::Sqlite(None), vec![node]).with_accounts().await
    }

    /// Three nodes on PostgreSQL: two behind forwarders of their own, which can lead to a standby, and one that
    /// is killed.
    pub(super) async fn postgres() -> Option<Self> {
        let primary = Postgres::start_with("-c wal_keep_size=512MB")?;
        let url = primary.url.clone();
        let second = tempfile::tempdir().unwrap();
        faults::follow(&primary, second.path());
        let place = Place::on(&url);
        place.init_keys().await;
        let (mut forwarders, mut nodes) = (Vec::new(), Vec::new());
        for (number, name) in ["postgres 0", "postgres 1", "postgres 2, killed"].into_iter().enumerate() {
            let (own, key) = (place.path(&format!("node-{number}")), place.data_dir().join("master.key"));
            let mut environment = Vec::new();
            if number < 2 {
                let forwarder =
                    Forwarder::start(primary.directory().to_owned(), second.path().to_owned()).await;
                let url =
                    format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", forwarder.port);
                environment.push(("HOODY_DATABASE_URL", url));
                forwarders.push(forwarder);
            }
            let flags = ["--data-dir", own.to_str().unwrap(), "--master-key-file", key.to_str().unwrap()];
            let start = Start { name, arguments: &flags, environment, is_tls: false, is_mortal: number == 2 };
            nodes.push(Node::start(&place, start).await);
        }
        let standby = Standby(second);
        let cluster = Cluster { primary: primary.into(), url, standby, forwarders };
        let side = Self::new("postgres", place, Database::Postgres(Box::new(cluster)), nodes);
        Some(side.with_accounts().await)
    }

    async fn with_accounts(mut self) -> Self {
        for name in ACCOUNTS {
            let create = ["admin", "users", "create", name, "--password-stdin"];
            self.place.run_with(&create, PASSWORD).await.ended(0);
            let login = self.sign_in(0, "sign-in", name).await;
            self.owners.push(login.text("/data/token").unwrap_or_else(|| panic!("{name}: {login:?}")));
        }
        self
    }

    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    pub(super) fn fault(&self) -> String {
        self.fault.lock().unwrap().clone()
    }

    pub(super) fn break_promise(&self, what: &str) {
        self.ledger.break_promise(&format!("{}, {}", self.name, self.fault()), what);
    }

    pub(super) async fn sign_in(&self, at: usize, what: &'static str, name: &str) -> Answer {
        let body = json!({ "username": name, "password": PASSWORD });
        self.ask(at, what, Method::POST, LOGIN, None, Some(body)).await
    }

    /// Asks a node. What it answered, or did not, is counted under `what`.
    pub(super) async fn ask(
        &self,
        at: usize,
        what: &'static str,
        method: Method,
        path: &str,
        credential: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let node = &self.nodes[at];
        let turn = usize::try_from(self.number()).unwrap() % node.clients.len();
        let mut request = node.clients[turn].request(method.clone(), format!("{}{path}", node.base));
        if let Some(credential) = credential {
            request = request.bearer_auth(credential);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let (fault, began) = (self.fault(), Instant::now());
        let answer = hear(request).await;
        let mut seen = self.seen.lock().unwrap();
        let count = seen.entry((fault, what)).or_default();
        match &answer {
            Answer::Heard { status, .. } => {
                count.slowest = count.slowest.max(began.elapsed());
                match status {
                    200..=299 => count.done += 1,
                    503 => count.busy += 1,
                    500.. => count.failed += 1,
                    _ => count.refused += 1,
                }
            }
            _ => count.lost += 1,
        }
        drop(seen);
        if let Answer::Heard { status: 500 | 502 | 504, body, .. } = &answer {
            self.break_promise(&format!("a 500: {method} {path} at node {at}: {body}"));
        }
        answer
    }

    /// Whether every node lets a good token in, takes a change and a sign-in; waits for it, and says how long.
    pub(super) async fn is_well(&self, limit: Duration) -> Option<Duration> {
        let began = Instant::now();
        for at in 0..self.nodes.len() {
            let well = async {
                loop {
                    if self.is_well_at(at).await {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout_at(began + limit, well).await.ok()?;
        }
        Some(began.elapsed())
    }

    async fn is_well_at(&self, at: usize) -> bool {
        if !self.nodes[at].is_ready(LIMIT).await {
            return false;
        }
        let owner = Some(&*self.owners[0]);
        if self.ask(at, "check (owner)", Method::GET, CHECK, owner, None).await.status() != 204 {
            return false;
        }
        let key = format!("/api/v1/vault/keys/well-{at}");
        let body = Some(json!({ "value": "well" }));
        let change = self.ask(at, "change (owner)", Method::PUT, &key, owner, body).await;
        change.fate() == Fate::Done
            && self.sign_in(at, "sign-in (well)", ACCOUNTS[2]).await.fate() == Fate::Done
    }

    /// Waits until all is well before anything begins.
    pub(super) async fn begins(&self) {
        eventually("all is well at the start", Duration::from_secs(30), async || {
            self.is_well(Duration::from_secs(5)).await
        })
        .await;
    }
}

/// Sends a request and reads the whole answer.
async fn hear(request: reqwest::RequestBuilder) -> Answer {
    let read = async {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let has_retry_after = response.headers().contains_key("retry-after");
        let body = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
        Ok::<_, reqwest::Error>(Answer::Heard { status, body, has_retry_after })
    };
    match read.await {
        Ok(answer) => answer,
        Err(error) if error.is_connect() => Answer::NoConnection,
        Err(_) => Answer::Lost,
    }
}
