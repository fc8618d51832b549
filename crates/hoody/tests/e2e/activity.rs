//! The request log of the binary: what a crash loses, what an orderly end keeps, what the commands show.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::support::{
    Client, Guarded, PASSWORD, Place, Ran, Server, WHOLE_MACHINE, eventually, finish, on_both,
};

const CLIENTS: usize = 4;
const KILLS: usize = 3;
/// What a crash may lose when rows are stored in batches.
const MAY_BE_LOST: Duration = Duration::from_millis(250);

async fn serve(place: &Place, flags: &[&str]) -> Server {
    Server::start(place.hoody(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat())).await
}

/// Asks for things that are not there until the server is gone: each path with the instant of its answer.
async fn ask(client: Client, number: usize) -> Vec<(String, Instant)> {
    let mut answered = Vec::new();
    for step in 0_u32.. {
        let path = format!("/api/v1/projects/{number:012x}{step:012x}");
        if client.try_get(&path).await.is_err() {
            break;
        }
        answered.push((path, Instant::now()));
    }
    answered
}

/// Every path that is logged with 404 since an instant.
async fn logged(client: &Client, since: &str) -> HashSet<String> {
    let mut paths = HashSet::new();
    for page in 1.. {
        let query = format!("page={page}&limit=200&min_status=404&max_status=404&start_date={since}");
        let reply = client.get(&format!("/api/v1/users/auth/activity?{query}")).await;
        let rows = reply.body["data"].as_array().unwrap();
        paths.extend(rows.iter().map(|row| row["path"].as_str().unwrap().to_owned()));
        if page >= reply.body["metadata"]["pages"].as_u64().unwrap() {
            break;
        }
    }
    paths
}

/// Kills the server in the middle of requests. Nothing that was answered longer than `slack` before the
/// kill may be missing; without, nothing that was answered.
async fn kill_under_load(place: &Place, flags: &[&str], slack: Option<Duration>) {
    let _whole = WHOLE_MACHINE.lock().await;
    let (server, _) = place.serve_ada().await;
    server.stop().await;
    for kill in 0..KILLS {
        let server = serve(place, flags).await;
        let ada = server.client().login("ada", PASSWORD).await;
        let since = ada.get("/api/v1/ip").await.text_at("/data/timestamp").to_owned();
        let tasks: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(ask(ada.clone(), number))).collect();
        // Long enough that most of it must be there.
        tokio::time::sleep(Duration::from_millis(600 + 37 * kill as u64)).await;
        let killed = Instant::now();
        server.kill().await;
        let mut answered = Vec::new();
        for task in tasks {
            answered.extend(task.await.unwrap());
        }
        let server = serve(place, flags).await;
        let after = logged(&server.client().login("ada", PASSWORD).await, &since).await;
        server.stop().await;
        let missing: Vec<_> = answered.iter().filter(|(path, _)| !after.contains(path)).collect();
        let earliest = missing.iter().map(|(_, at)| killed.saturating_duration_since(*at)).max();
        eprintln!(
            "{} answered, {} missing, the earliest {earliest:?} before the kill",
            answered.len(),
            missing.len()
        );
        assert!(answered.len() > 40, "too few requests to say anything");
        match slack {
            Some(slack) => {
                assert!(earliest.is_none_or(|earliest| earliest <= slack), "{earliest:?} are missing");
            }
            None => assert!(missing.is_empty(), "{missing:?}"),
        }
    }
}

async fn hoody(place: &Place, server: &Server, arguments: &[&str]) -> Ran {
    let mut command = place.hoody(arguments);
    command.env("HOODY_BASE_URL", &server.base);
    finish(command, "").await
}

on_both! {
    async fn kill_9_loses_at_most_a_quarter_of_a_second_of_the_log(place: Place) {
        kill_under_load(&place, &[], Some(MAY_BE_LOST)).await;
    }

    async fn kill_9_loses_nothing_that_was_answered_when_committed(place: Place) {
        kill_under_load(&place, &["--activity-durability", "committed"], None).await;
    }

    async fn an_orderly_end_stores_the_last_row(place: Place) {
        let (server, ada) = place.serve_ada().await;
        for step in 0..20 {
            ada.get(&format!("/api/v1/projects/{step:024x}")).await;
        }
        server.stop().await;
        let server = place.serve().await;
        let ada = server.client().login("ada", PASSWORD).await;
        assert_eq!(logged(&ada, "2000-01-01").await.len(), 20);
    }
}

#[tokio::test]
async fn the_commands_show_the_log_and_follow_it() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    let (id, token) = ada.mint(serde_json::json!({ "permissions": { "projects": { "read": true } } })).await;
    token.get("/api/v1/projects").await;
    token.get("/api/v1/vault/keys").await.refused(403, "INSUFFICIENT_PERMISSIONS");
    let login = ["login", "--username", "ada", "--password", PASSWORD];
    hoody(&place, &server, &login).await.ended(0);
    let refused = eventually("the rows are stored", Duration::from_secs(10), async || {
        let ran = hoody(&place, &server, &["activity", "logs", "--errors-only", "-o", "json"]).await;
        let rows: Vec<Value> = serde_json::from_str(&ran.ended(0).stdout).unwrap();
        (!rows.is_empty()).then_some(rows)
    })
    .await;
    assert_eq!((&refused[0]["path"], refused.len()), (&"/api/v1/vault/keys".into(), 1));
    let table = hoody(&place, &server, &["activity", "logs", "--method", "get", "--limit", "5"]).await;
    assert!(table.ended(0).stdout.contains("/api/v1/projects"), "{table:?}");
    let stats = hoody(&place, &server, &["activity", "stats", "-o", "json"]).await;
    let stats: Value = serde_json::from_str(&stats.ended(0).stdout).unwrap();
    assert!(stats["total_records"].as_u64().unwrap() >= 4 && stats["retention_days"] == 365, "{stats}");
    let usage = hoody(&place, &server, &["auth", "usage", &id]).await;
    for word in ["first seen", "by hour", "\u{2588}", "projects.read", "resources.vault", "127.0.0.1"] {
        assert!(usage.ended(0).stdout.contains(word), "{word} is not in {usage:?}");
    }
    hoody(&place, &server, &["activity", "logs", "--start-date", "soon"])
        .await
        .ended(1)
        .saying(&["start_date"]);

    let errors = Follower::start(&place, &server, &["--errors-only", "-o", "json"]);
    assert_eq!(errors.next("what was there is shown").await["path"], "/api/v1/vault/keys");
    let soon = errors.next("the question that was refused is shown").await;
    assert_eq!((&soon["path"], &soon["status_code"]), (&"/api/v1/users/auth/activity".into(), &400.into()));
    for path in ["/api/v1/vault/stats", "/api/v1/realms"] {
        token.get(path).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(errors.next("what comes is shown").await["path"], path);
    }
    assert!(errors.rest().is_empty(), "a row was shown twice");
}

/// `hoody activity logs --follow`, a line of JSON for each row.
struct Follower {
    process: Guarded,
    seen: mpsc::Receiver<String>,
}

impl Follower {
    fn start(place: &Place, server: &Server, flags: &[&str]) -> Self {
        let mut command = place.hoody(&[&["activity", "logs", "--follow"], flags].concat());
        let mut follower = command.env("HOODY_BASE_URL", &server.base).spawn().unwrap();
        let lines = BufReader::new(follower.stdout.take().unwrap()).lines();
        let (sender, seen) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process: Guarded(Some(follower)), seen }
    }

    async fn next(&self, what: &str) -> Value {
        let line = eventually(what, Duration::from_secs(20), async || self.seen.try_recv().ok()).await;
        serde_json::from_str(&line).unwrap()
    }

    /// Ends it: what it showed and nobody asked for.
    fn rest(self) -> Vec<String> {
        drop(self.process);
        self.seen.iter().collect()
    }
}

#[tokio::test]
async fn who_reads_the_log_is_seen_by_whoever_follows_it() {
    const LOG: &str = "/api/v1/users/auth/activity";
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    let login = ["login", "--username", "ada", "--password", PASSWORD];
    hoody(&place, &server, &login).await.ended(0);
    let start = ada.get("/api/v1/ip").await.text_at("/data/timestamp").to_owned();
    let follower =
        Follower::start(&place, &server, &["--method", "GET", "--start-date", &start, "-o", "ndjson"]);
    // Marks between which the follower has asked: its own questions would stand there.
    let mark = async |number: u8| {
        let path = format!("/api/v1/projects/{number:024x}");
        ada.get(&path).await;
        loop {
            let row = follower.next("the mark is shown").await;
            if row["path"] == path.as_str() {
                return;
            }
            assert_ne!(row["path"], LOG, "{row}");
        }
    };
    mark(1).await;
    mark(2).await;
    // A stolen session, by any other client and by the command line itself.
    ada.get(LOG).await;
    let row = follower.next("another client's question is shown").await;
    assert_eq!((&row["path"], &row["status_code"]), (&LOG.into(), &200.into()), "{row}");
    hoody(&place, &server, &["activity", "logs", "--limit", "1"]).await.ended(0);
    let row = follower.next("another command's question is shown").await;
    let agent = row["user_agent"].as_str().unwrap();
    assert!(row["path"] == LOG && agent.starts_with("hoody-cli/") && !agent.contains("(follow "), "{row}");
    mark(3).await;
    // And what hides itself is in the log for everybody else.
    let logged = ada.get(&format!("{LOG}?limit=200&before={}", "f".repeat(24))).await;
    let own = |row: &&Value| row["user_agent"].as_str().is_some_and(|agent| agent.contains("(follow "));
    assert!(logged.body["data"].as_array().unwrap().iter().filter(own).count() >= 3, "{}", logged.text);
    let rest = follower.rest();
    assert!(rest.iter().all(|row| !row.contains("(follow ")), "{rest:?}");
}
