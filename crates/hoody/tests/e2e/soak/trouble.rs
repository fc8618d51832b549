//! What goes wrong every ten seconds.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::task::block_in_place;
use tokio::time::sleep;

use super::disk::{fill, lock};
use super::forwarder::Way;
use super::load::{Dice, garbage};
use super::log::Reader;
use super::side::{ACCOUNTS, CHECK, Cluster, Database, Fate, LOGIN, Side};
use super::streams;
use crate::support::PATIENCE;

/// One kind of trouble; the number is a node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    FilesMayNotGrow,
    DiskFull,
    DatabaseLocked,
    RequestLogLocked,
    LogGone(usize),
    LogStalled(usize),
    Stopped(usize),
    Killed(usize),
    KilledWhileLocked,
    Restarted(usize),
    // PostgreSQL and the way to it.
    SessionsEnded,
    ServerRestarted,
    ServerCrashed,
    ServerAway,
    ServerReadOnly,
    ServerStopped,
    ServerLostMemory,
    FeedLocked,
    Standby(&'static [usize]),
    Cut(usize),
    Hole(usize),
    // Clients.
    ShutWindows,
    Idle(usize),
    HalfRequests(usize),
    SlowReaders(usize),
    UnknownTokens(usize),
    SignIns(usize),
    LargeBodies(usize),
    LargeLists(usize),
}

pub(super) const SQLITE: [Trouble; 15] = [
    Trouble::FilesMayNotGrow,
    Trouble::ShutWindows,
    Trouble::DatabaseLocked,
    Trouble::SignIns(0),
    Trouble::LogGone(0),
    Trouble::Idle(0),
    Trouble::DiskFull,
    Trouble::UnknownTokens(0),
    Trouble::Stopped(0),
    Trouble::LargeBodies(0),
    Trouble::LogStalled(0),
    Trouble::SlowReaders(0),
    Trouble::RequestLogLocked,
    Trouble::LargeLists(0),
    Trouble::HalfRequests(0),
];

pub(super) const MORTAL: [Trouble; 4] =
    [Trouble::Killed(0), Trouble::Restarted(0), Trouble::KilledWhileLocked, Trouble::FilesMayNotGrow];

pub(super) const POSTGRES: [Trouble; 21] = [
    Trouble::SessionsEnded,
    Trouble::Standby(&[1]),
    Trouble::Killed(2),
    Trouble::ServerRestarted,
    Trouble::Cut(1),
    Trouble::SignIns(0),
    Trouble::ServerReadOnly,
    Trouble::Hole(0),
    Trouble::Stopped(1),
    Trouble::ServerCrashed,
    Trouble::LogGone(0),
    Trouble::Standby(&[0, 1]),
    Trouble::FeedLocked,
    Trouble::Restarted(2),
    Trouble::UnknownTokens(1),
    Trouble::ServerAway,
    Trouble::LargeBodies(0),
    Trouble::ServerStopped,
    Trouble::Idle(1),
    Trouble::ServerLostMemory,
    Trouble::LargeLists(1),
];

impl Trouble {
    pub(super) fn name(self) -> String {
        match self {
            Self::FilesMayNotGrow => "files may not grow, 3 s (quota)".to_owned(),
            Self::DiskFull => "disk full, 3 s".to_owned(),
            Self::DatabaseLocked => "database locked by another process, 6 s".to_owned(),
            Self::RequestLogLocked => "request log locked by another process, 6 s".to_owned(),
            Self::LogGone(node) => format!("the reader of node {node}'s log is gone, 5 s"),
            Self::LogStalled(node) => format!("the pipe of node {node}'s log is full, 5 s"),
            Self::Stopped(node) => format!("node {node} stands still (SIGSTOP), 3 s"),
            Self::Killed(node) => format!("node {node} is killed (SIGKILL) and started"),
            Self::KilledWhileLocked => "killed while the database is locked".to_owned(),
            Self::Restarted(node) => format!("node {node} is stopped (SIGTERM) and started"),
            Self::SessionsEnded => "all sessions of the database ended".to_owned(),
            Self::ServerRestarted => "PostgreSQL restarted".to_owned(),
            Self::ServerCrashed => "PostgreSQL crashes and is started".to_owned(),
            Self::ServerAway => "PostgreSQL down for 2 s".to_owned(),
            Self::ServerReadOnly => "PostgreSQL read-only, 3 s".to_owned(),
            Self::ServerStopped => "PostgreSQL stands still (SIGSTOP), 3 s".to_owned(),
            Self::ServerLostMemory => "PostgreSQL loses its memory".to_owned(),
            Self::FeedLocked => "the feed's head locked by another session, 4 s".to_owned(),
            Self::Standby(nodes) => format!("the address leads to the standby, nodes {nodes:?}, 3 s"),
            Self::Cut(node) => format!("node {node} is cut from the database, 3 s"),
            Self::Hole(node) => format!("what node {node} sends to the database is swallowed, 5 s"),
            Self::ShutWindows => "800 requests with closed HTTP/2 windows, 5 s".to_owned(),
            Self::Idle(node) => format!("400 idle connections to node {node}, 5 s"),
            Self::HalfRequests(node) => format!("60 clients of node {node} send half a request, 5 s"),
            Self::SlowReaders(node) => format!("40 clients of node {node} read a byte a second, 5 s"),
            Self::UnknownTokens(node) => format!("2,000 checks of unknown tokens at node {node}"),
            Self::SignIns(node) => format!("48 clients sign in wrongly at node {node}, 3 s"),
            Self::LargeBodies(node) => format!("40 bodies of 2 MiB at node {node}, no credential"),
            Self::LargeLists(node) => format!("8 lists of 10 MB of the vault at node {node}"),
        }
    }

    /// Whether it can happen to this side at all.
    pub(super) fn is_possible(self, side: &Side) -> bool {
        self != Self::DiskFull || matches!(&side.database, Database::Sqlite(Some(_)))
    }

    /// Lets it happen, and takes it back. What came of it, if there is something to say.
    pub(super) async fn happen(self, side: &Arc<Side>) {
        match self {
            Self::FilesMayNotGrow => {
                side.nodes[0].limit_files(Some(4_096));
                sleep(Duration::from_secs(3)).await;
                side.nodes[0].limit_files(None);
            }
            Self::DiskFull => {
                tokio::join!(fill(&side.place, Duration::from_secs(3)), write_much(side));
            }
            Self::DatabaseLocked => lock(&side.place, "hoody.db", Duration::from_secs(6)).await,
            Self::RequestLogLocked => lock(&side.place, "activity.db", Duration::from_secs(6)).await,
            Self::LogGone(node) => log(side, node, Reader::Gone).await,
            Self::LogStalled(node) => {
                tokio::join!(log(side, node, Reader::Stalls), ask_often(side, node, 600));
            }
            Self::Stopped(node) => {
                side.nodes[node].signal(Signal::STOP);
                sleep(Duration::from_secs(3)).await;
                side.nodes[node].signal(Signal::CONT);
            }
            Self::Killed(node) => kill(side, node).await,
            Self::KilledWhileLocked => {
                let killed = async {
                    sleep(Duration::from_secs(1)).await;
                    kill(side, 0).await;
                };
                tokio::join!(lock(&side.place, "hoody.db", Duration::from_secs(4)), killed);
            }
            Self::Restarted(node) => {
                side.nodes[node].signal(Signal::TERM);
                let code = side.nodes[node].ended(PATIENCE).await;
                if code != Some(0) {
                    side.break_promise(&format!("a stop that is not in order: SIGTERM ends with {code:?}"));
                }
                start(side, node).await;
            }
            Self::ShutWindows => {
                streams::shut_windows(&side.nodes[0].target, 8, Duration::from_secs(5)).await;
            }
            Self::Idle(node) => {
                streams::hold(&side.nodes[node].target, 400, "", Duration::from_secs(5)).await;
            }
            Self::HalfRequests(node) => {
                let half = "POST /api/v1/users/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{";
                streams::hold(&side.nodes[node].target, 60, half, Duration::from_secs(5)).await;
            }
            Self::SlowReaders(node) => {
                let eight = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(8);
                streams::hold(&side.nodes[node].target, 40, &eight, Duration::from_secs(5)).await;
            }
            Self::UnknownTokens(node) => ask_often(side, node, 2_000).await,
            Self::SignIns(node) => sign_in_wrongly(side, node).await,
            Self::LargeBodies(node) => send_large(side, node).await,
            Self::LargeLists(node) => read_large(side, node).await,
            _ => {
                let Database::Postgres(cluster) = &side.database else { return };
                self.happen_to(cluster, side).await;
            }
        }
    }

    async fn happen_to(self, cluster: &Cluster, side: &Side) {
        let seconds = |seconds| sleep(Duration::from_secs(seconds));
        match self {
            Self::SessionsEnded => {
                let end =
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hoody'";
                side.place.execute(end).await;
            }
            Self::ServerRestarted | Self::ServerAway | Self::ServerCrashed => {
                let mut primary = cluster.primary.lock().await;
                if self == Self::ServerCrashed {
                    primary.crash().await;
                } else {
                    primary.stop().await;
                }
                if self == Self::ServerAway {
                    seconds(2).await;
                }
                block_in_place(|| primary.start_again());
            }
            Self::ServerReadOnly => {
                side.place.execute("ALTER SYSTEM SET default_transaction_read_only = on").await;
                side.place.execute("SELECT pg_reload_conf()").await;
                seconds(3).await;
                side.place.execute("ALTER SYSTEM RESET default_transaction_read_only").await;
                side.place.execute("SELECT pg_reload_conf()").await;
            }
            Self::ServerStopped => {
                let primary = cluster.primary.lock().await;
                primary.signal(Signal::STOP);
                seconds(3).await;
                primary.signal(Signal::CONT);
            }
            Self::ServerLostMemory => cluster.primary.lock().await.lose_memory(),
            Self::FeedLocked => {
                let mut connection = PgConnection::connect(&cluster.url).await.unwrap();
                let hold = "BEGIN; UPDATE feed_head SET pos = pos WHERE id = 1";
                sqlx::raw_sql(hold).execute(&mut connection).await.unwrap();
                seconds(4).await;
                sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Self::Standby(nodes) => {
                // It lags behind.
                let standby = format!(
                    "postgres://postgres@localhost/postgres?host={}",
                    cluster.standby.0.path().display()
                );
                on(&standby, "SELECT pg_wal_replay_pause()").await;
                nodes.iter().for_each(|node| cluster.forwarders[*node].set(Way::Standby));
                seconds(3).await;
                nodes.iter().for_each(|node| cluster.forwarders[*node].set(Way::Primary));
                seconds(2).await;
                on(&standby, "SELECT pg_wal_replay_resume()").await;
            }
            Self::Cut(node) => {
                cluster.forwarders[node].set(Way::Cut);
                seconds(3).await;
                cluster.forwarders[node].set(Way::Primary);
            }
            Self::Hole(node) => {
                cluster.forwarders[node].set(Way::Hole);
                seconds(5).await;
                cluster.forwarders[node].set(Way::Primary);
            }
            _ => unreachable!("{self:?} happens to every side"),
        }
    }
}

async fn on(url: &str, sql: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn log(side: &Arc<Side>, node: usize, reader: Reader) {
    side.nodes[node].log.set(reader);
    // Something to say: whatever has to be said of this is lost, and nothing else.
    ask_often(side, node, 20).await;
    sleep(Duration::from_secs(5)).await;
    side.nodes[node].log.set(Reader::Reads);
}

async fn kill(side: &Side, node: usize) {
    side.nodes[node].signal(Signal::KILL);
    side.nodes[node].ended(PATIENCE).await;
    start(side, node).await;
}

async fn start(side: &Side, node: usize) {
    side.nodes[node].spawn(&side.place);
    if !side.nodes[node].is_ready(PATIENCE).await {
        side.break_promise(&format!("it does not start: node {node} is not ready after {PATIENCE:?}"));
    }
}

/// Values of the vault that need more room than the write-ahead log has already.
async fn write_much(side: &Side) {
    sleep(Duration::from_millis(500)).await;
    let value = "v".repeat(1 << 20);
    for number in 0..12 {
        let path = format!("/api/v1/vault/keys/much-{number}");
        let body = Some(json!({ "value": value }));
        side.ask(0, "large value", Method::PUT, &path, Some(&side.owners[2]), body).await;
    }
}

/// Checks of tokens that nobody was given, a few at once.
async fn ask_often(side: &Arc<Side>, node: usize, times: usize) {
    let Some(like) = side.ledger.pick(0, usize::MAX) else { return };
    let tasks: Vec<_> = (0..16_usize)
        .map(|client| {
            let (side, like) = (Arc::clone(side), Arc::clone(&like));
            tokio::spawn(async move {
                let mut dice = Dice::new(side.number());
                for _ in 0..times / 16 + usize::from(client < times % 16) {
                    let credential = garbage(&mut dice, &like.credential);
                    let answer =
                        side.ask(node, "flood of checks", Method::GET, CHECK, Some(&credential), None).await;
                    if answer.status() == 204 {
                        side.break_promise(
                            "garbage is let in: a check of a credential that nobody was given",
                        );
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Clients of several addresses that give names of nobody and wrong passwords.
async fn sign_in_wrongly(side: &Arc<Side>, node: usize) {
    let end = tokio::time::Instant::now() + Duration::from_secs(3);
    let number = side.number();
    let tasks: Vec<_> = (0..48_u8).map(|client| {
        let side = Arc::clone(side);
        tokio::spawn(async move {
            // Other addresses each time: each is let fail a thousand times.
            let number = number.to_le_bytes();
            let from = [127, 3 + client % 8, number[1], number[0]];
            while tokio::time::Instant::now() < end {
                let body = json!({ "username": format!("nobody-{client}"), "password": "wrong wrong wrong" }).to_string();
                let head = format!("POST {LOGIN} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n");
                let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
                let talk = streams::talk(&side.nodes[node].target, from, request.as_bytes());
                let _ = tokio::time::timeout_at(end + Duration::from_secs(2), talk).await;
            }
        })
    }).collect();
    // The owner signs in meanwhile, from an address that is known.
    while tokio::time::Instant::now() < end {
        side.sign_in(node, "sign-in amid a flood", ACCOUNTS[1]).await;
        sleep(Duration::from_millis(500)).await;
    }
    for task in tasks {
        task.await.unwrap();
    }
}

async fn send_large(side: &Arc<Side>, node: usize) {
    let large = "x".repeat(2 * 1024 * 1024 - 100);
    let tasks: Vec<_> = (0..40_u8)
        .map(|client| {
            let (side, large) = (Arc::clone(side), large.clone());
            tokio::spawn(async move {
                let body = match client % 2 {
                    0 => json!({ "username": large, "password": "x" }),
                    _ => json!({ "refreshToken": large }),
                };
                let path = if client % 2 == 0 { LOGIN } else { "/api/v1/users/auth/refresh" };
                let answer = side.ask(node, "large body", Method::POST, path, None, Some(body)).await;
                if answer.fate() == Fate::Done {
                    side.break_promise("garbage is let in: a large body was accepted as a credential");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Fifty keys of the third account with 200 KB of metadata each, listed by many at once.
pub(super) async fn read_large(side: &Arc<Side>, node: usize) {
    let owner = side.owners[2].clone();
    let keys = "/api/v1/vault/stats";
    let answer = side.ask(node, "list (large)", Method::GET, keys, Some(&owner), None).await;
    let there = match &answer {
        super::side::Answer::Heard { body, .. } => body["data"]["total_keys"].as_u64().unwrap_or(0),
        _ => 0,
    };
    for number in there..50 {
        let metadata: Value = json!({ "note": "m".repeat(200_000) });
        let body = Some(json!({ "value": "x", "metadata": metadata }));
        let path = format!("/api/v1/vault/keys/large-{number}");
        side.ask(node, "list (large): prepare", Method::PUT, &path, Some(&owner), body).await;
    }
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (side, owner) = (Arc::clone(side), owner.clone());
            tokio::spawn(async move {
                side.ask(node, "list (large)", Method::GET, "/api/v1/vault/keys", Some(&owner), None).await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Many of everything at once.
pub(super) async fn crowd(side: &Arc<Side>) {
    let mut tasks = Vec::new();
    for at in 0..side.nodes.len() {
        for turn in 0..64_usize {
            let side = Arc::clone(side);
            tasks.push(tokio::spawn(async move {
                let owner = Some(&*side.owners[turn % 2]);
                for path in [
                    "/api/v1/events?limit=200",
                    "/api/v1/users/auth/activity?limit=50",
                    "/api/v1/auth/tokens",
                ] {
                    side.ask(at, "crowd", Method::GET, path, owner, None).await;
                }
                let key = format!("/api/v1/vault/keys/crowd-{turn}");
                side.ask(at, "crowd", Method::PUT, &key, owner, Some(json!({ "value": "x" }))).await;
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
}
