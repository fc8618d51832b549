//! Disks that are full and have room again, files left behind and put in the place of others: what a server does on
//! SQLite. A limit on the size of files stands for a full disk; it needs no root.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Client, PASSWORD, PATIENCE, Place, Server, eventually};

const PROJECTS: &str = "/api/v1/projects";

/// From now on no file of the server may grow beyond so many bytes.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(server.pid()), Resource::Fsize, limit).unwrap();
}

async fn readiness(server: &Server) -> (StatusCode, Value) {
    let ready = server.client().get("/readyz").await;
    (ready.status, ready.body)
}

async fn until_ready(server: &Server) {
    eventually("it is ready", PATIENCE, async || (readiness(server).await.0 == StatusCode::OK).then_some(()))
        .await;
}

/// The files of the databases in a data directory.
fn database_files(directory: &Path) -> Vec<String> {
    let files = std::fs::read_dir(directory).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.contains(".db")).collect();
    names.sort();
    names
}

/// A copy of the database as `sqlite3 hoody.db '.backup COPY'` makes it.
fn back_up(place: &Place, copy: &str) {
    let file = place.data_dir().join("hoody.db");
    let line = "import sqlite3, sys\nto = sqlite3.connect(sys.argv[2])\nsqlite3.connect(sys.argv[1]).backup(to)\nto.close()";
    let ran = Command::new("python3").args(["-c", line]).arg(file).arg(place.path(copy)).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
}

async fn is_good(client: &Client) -> StatusCode {
    client.get("/api/v1/auth/check").await.status
}

/// The number of rows that the request log shows.
async fn logged(client: &Client) -> i64 {
    let reply = client.get("/api/v1/users/auth/activity?limit=1").await;
    reply.body["metadata"]["total"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_disk_has_room_again_everything_works_again() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    let (id, leaked) = ada.mint(json!({})).await;
    let (_, kept) = ada.mint(json!({})).await;
    until_ready(&server).await;
    let mut refused = 0;
    for round in 0..3 {
        limit_files(&server, Some(4_096));
        let began = Instant::now();
        for _ in 0..5 {
            let reply = ada.post(PROJECTS, json!({ "alias": format!("full {round}") })).await;
            assert_eq!(
                (reply.status, &reply.body["code"]),
                (StatusCode::SERVICE_UNAVAILABLE, &json!("UNAVAILABLE"))
            );
            assert_eq!(reply.headers["retry-after"], "1", "surely nothing was done");
            refused += 1;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        let (status, body) = readiness(&server).await;
        assert_eq!((status, &body["writes"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false)));
        // What needs no write goes on.
        assert_eq!(is_good(&leaked).await, StatusCode::NO_CONTENT);
        limit_files(&server, None);
        until_ready(&server).await;
        ada.post(PROJECTS, json!({ "alias": format!("room {round}") })).await.expect(StatusCode::CREATED);
    }
    assert_eq!(refused, 15);
    server.client().login("ada", PASSWORD).await;
    ada.send(Method::DELETE, &format!("/api/v1/auth/tokens/{id}"), None).await.expect(StatusCode::OK);
    assert_eq!(is_good(&leaked).await, StatusCode::UNAUTHORIZED);
    // The request log has what was refused, and the audit log is sealed.
    eventually("the rows are stored", PATIENCE, async || (logged(&ada).await > refused).then_some(())).await;
    eventually("all is sealed", PATIENCE, async || {
        let ran = place.run(&["admin", "audit", "verify", "-o", "json"]).await;
        let verified: Value = serde_json::from_str(&ran.stdout).ok()?;
        (verified["unsealed"] == 0).then_some(())
    })
    .await;
    server.stop().await;
    assert_eq!(database_files(&place.data_dir()), ["activity.db", "hoody.db"]);
    let server = place.serve().await;
    assert_eq!(is_good(&kept.at(&server.base)).await, StatusCode::NO_CONTENT);
    assert_eq!(is_good(&leaked.at(&server.base)).await, StatusCode::UNAUTHORIZED);
    let projects = ada.at(&server.base).get(PROJECTS).await;
    let aliases = projects.text.matches("\"room ").count();
    assert_eq!((aliases, projects.text.contains("\"full ")), (3, false), "{}", projects.text);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_logged_while_the_disk_was_full_is_written_at_the_end() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    until_ready(&server).await;
    limit_files(&server, Some(4_096));
    for _ in 0..50 {
        ada.get("/api/v1/auth/check?permission=projects.read").await.expect(StatusCode::NO_CONTENT);
    }
    eventually("the log is stuck", PATIENCE, async || {
        (readiness(&server).await.0 == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    limit_files(&server, None);
    server.stop().await;
    let server = place.serve().await;
    assert!(logged(&ada.at(&server.base)).await >= 50);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stops_in_order_leaves_one_file_for_each_database() {
    let place = Place::sqlite();
    let alone = || assert_eq!(database_files(&place.data_dir()), ["activity.db", "hoody.db"]);
    let (server, ada) = place.serve_ada().await;
    // Beside a server they take nothing from it.
    place.run(&["admin", "users", "list"]).await.ended(0);
    ada.post(PROJECTS, json!({ "alias": "a" })).await.expect(StatusCode::CREATED);
    server.stop().await;
    alone();
    for command in [
        &["admin", "users", "ban", "ada"][..],
        &["admin", "users", "ban", "nobody-of-that-name"],
        &["admin", "audit", "verify"],
        &["admin", "keys", "status"],
        &["admin", "nodes"],
        &["admin", "mail", "list"],
    ] {
        place.run(command).await;
        alone();
    }
}

/// The README's way: a backup while it runs, later the copy in the place of the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_after_a_stop_is_what_was_backed_up() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    let (_, before) = ada.mint(json!({})).await;
    back_up(&place, "copy.db");
    let mut after = before.clone();
    for _ in 0..40 {
        after = ada.mint(json!({})).await.1;
    }
    server.stop().await;
    std::fs::copy(place.path("copy.db"), place.data_dir().join("hoody.db")).unwrap();
    let server = place.serve().await;
    assert_eq!(is_good(&before.at(&server.base)).await, StatusCode::NO_CONTENT);
    assert_eq!(is_good(&after.at(&server.base)).await, StatusCode::UNAUTHORIZED);
    server.client().login("ada", PASSWORD).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_beside_another_database_is_refused_in_words() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    server.stop().await;
    // A backup of before the start that crashes, and two of the same start.
    std::fs::copy(place.data_dir().join("hoody.db"), place.path("earlier.db")).unwrap();
    let server = place.serve().await;
    let ada = ada.at(&server.base);
    let (_, before) = ada.mint(json!({})).await;
    back_up(&place, "copy.db");
    let (_, after) = ada.mint(json!({})).await;
    server.kill().await;
    let file = place.data_dir().join("hoody.db");
    let log = place.data_dir().join("hoody.db-wal");
    let genuine = (std::fs::read(&file).unwrap(), std::fs::read(&log).unwrap());
    assert!(!genuine.1.is_empty());
    for copy in ["earlier.db", "copy.db"] {
        std::fs::copy(place.path(copy), &file).unwrap();
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["admin", "users", "list"]] {
            let refused = place.run(command).await;
            refused.ended(1).saying(&["hoody.db-wal does not belong to", "remove", "hoody.db-shm"]);
        }
        assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(place.path(copy)).unwrap(), "{copy}");
        assert!(std::fs::read(&log).unwrap() == genuine.1, "the log is touched");
    }
    // As it says: the restore.
    for side in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(place.data_dir().join(format!("hoody.db{side}")));
    }
    let server = place.serve().await;
    assert_eq!(is_good(&before.at(&server.base)).await, StatusCode::NO_CONTENT);
    assert_eq!(is_good(&after.at(&server.base)).await, StatusCode::UNAUTHORIZED);
    server.stop().await;
    // The database that the log belongs to takes it, at any time.
    assert_eq!(database_files(&place.data_dir()), ["activity.db", "hoody.db"]);
    std::fs::write(&file, genuine.0).unwrap();
    std::fs::write(&log, genuine.1).unwrap();
    let server = place.serve().await;
    assert_eq!(is_good(&after.at(&server.base)).await, StatusCode::NO_CONTENT);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_database_is_not_served() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    for n in 0..40 {
        ada.post(PROJECTS, json!({ "alias": format!("{n}") })).await.expect(StatusCode::CREATED);
    }
    server.stop().await;
    let file = place.data_dir().join("hoody.db");
    let mut bytes = std::fs::read(&file).unwrap();
    // All but the header and the schema.
    let from = bytes.len() / 2;
    bytes[from..].fill(0x5a);
    std::fs::write(&file, bytes).unwrap();
    place.run(&["serve", "--listen", "127.0.0.1:0"]).await.ended(1).saying(&["damaged"]);
}

/// A data directory that cannot be written: a read-only mount where this is root, else by its permissions.
struct Medium(std::path::PathBuf);

impl Medium {
    /// `None` where nothing can be mounted.
    fn of(data_dir: &Path, at: std::path::PathBuf) -> Option<Self> {
        let script = "mkdir $2 && if [ $(id -u) = 0 ]; then mount -t tmpfs -o size=32m tmpfs $2; fi \
             && cp -r $1/. $2 && if [ $(id -u) = 0 ]; then mount -o remount,ro $2; else chmod -R a-w $2; fi";
        let ran = Command::new("sh").args(["-ec", script, "sh"]).arg(data_dir).arg(&at).output().unwrap();
        if !ran.status.success() {
            eprintln!("skipped: nothing can be mounted: {}", String::from_utf8_lossy(&ran.stderr));
        }
        ran.status.success().then_some(Self(at))
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        let script = "if [ $(id -u) = 0 ]; then umount $1; else chmod -R u+w $1; fi";
        let _ = Command::new("sh").args(["-ec", script, "sh"]).arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_log_on_a_read_only_medium_is_verified() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    ada.post(PROJECTS, json!({ "alias": "a" })).await.expect(StatusCode::CREATED);
    server.stop().await;
    let Some(medium) = Medium::of(&place.data_dir(), place.path("medium")) else { return };
    let verified = place.run(&["admin", "audit", "verify", "--data-dir", "medium"]).await;
    verified.ended(0);
    assert!(verified.stdout.contains("whole           yes"), "{verified:?}");
    place.run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "medium"]).await.ended(1);
    drop(medium);

    // What is still in the log cannot be read there, and nobody is told that it was never made.
    let server = place.serve().await;
    ada.at(&server.base).post(PROJECTS, json!({ "alias": "b" })).await.expect(StatusCode::CREATED);
    server.kill().await;
    let Some(_medium) = Medium::of(&place.data_dir(), place.path("second")) else { return };
    let refused = place.run(&["admin", "audit", "verify", "--data-dir", "second"]).await;
    refused.ended(1).saying(&["hoody.db-wal", "copy both"]);
}
