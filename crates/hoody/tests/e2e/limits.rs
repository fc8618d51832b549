//! Five hundred logins at once, through a real server process: what they cost it and those beside them.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Client, HOODY, PASSWORD, Place, Server, WHOLE_MACHINE, on_both};

/// What a server may hold in memory meanwhile, in KiB (issue 3).
const MAX_RSS: u64 = 300 * 1024;

/// How long `n` checks take, one after the other: the median and the 99th percentile.
async fn checks(client: &Client, n: usize) -> (Duration, Duration) {
    let mut times = Vec::with_capacity(n);
    for _ in 0..n {
        let began = Instant::now();
        client.check().await.expect(StatusCode::NO_CONTENT);
        times.push(began.elapsed());
    }
    times.sort();
    (times[n / 2], times[n * 99 / 100])
}

async fn flood(server: &Server, n: usize) -> tokio::task::JoinSet<(&'static str, crate::support::Reply)> {
    let mut logins = tokio::task::JoinSet::new();
    for n in 0..n {
        let client = server.client();
        // Known and unknown accounts alike.
        let username = if n % 2 == 0 { "ada" } else { "nobody" };
        logins.spawn(async move { (username, client.try_login(username, PASSWORD).await) });
    }
    logins
}

on_both! {
    async fn threat_29_five_hundred_logins_at_once_cost_bounded_memory_and_no_check_its_speed(place: Place) {
        let _whole = WHOLE_MACHINE.lock().await;
        let (server, ada) = place.serve_ada().await;
        let (_, token) = ada.mint(json!({})).await;
        let (quiet, quiet_worst) = checks(&token, 300).await;
        let logins = flood(&server, 500).await;
        let (busy, busy_worst) = checks(&token, 300).await;
        let (mut answered, mut told) = (0, 0);
        for (username, reply) in logins.join_all().await {
            if reply.status == StatusCode::SERVICE_UNAVAILABLE {
                assert_eq!(reply.headers["retry-after"], "1");
                reply.refused(503, "UNAVAILABLE");
                told += 1;
                continue;
            }
            answered += 1;
            match username {
                "ada" => drop(reply.expect(StatusCode::OK)),
                _ => drop(reply.refused(401, "INVALID_CREDENTIALS")),
            }
        }
        let peak = server.peak_memory();
        eprintln!(
            "500 logins: {answered} answered, {told} told to come back; peak {peak} KiB; \
             a check {quiet:?} (p99 {quiet_worst:?}) before, {busy:?} (p99 {busy_worst:?}) meanwhile"
        );
        assert!(answered > 0 && told > 0);
        assert!(peak < MAX_RSS, "{peak} KiB");
        // On two cores of which the clients take one; what must not happen is to wait for a hash.
        assert!(busy < Duration::from_millis(50), "{busy:?}");
        server.client().login("ada", PASSWORD).await;
        server.stop().await;
    }

    async fn threat_29_a_password_of_a_megabyte_is_refused_unhashed(place: Place) {
        let (server, ada) = place.serve_ada().await;
        for _ in 0..5 {
            let reply = server.client().try_login("ada", &"x".repeat(1_000_000)).await;
            reply.refused(413, "PAYLOAD_TOO_LARGE");
            assert!(reply.text.len() < 500, "{}", reply.text);
        }
        // As long as the body of a stranger may be.
        let long = "x".repeat(16_000);
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (client, long) = (server.client(), long.clone());
            tries.spawn(async move { client.try_login("ada", &long).await });
        }
        for reply in tries.join_all().await {
            reply.refused(400, "VALIDATION_ERROR");
            assert!(reply.text.len() < 500 && reply.text.contains("128"), "{}", reply.text);
        }
        let failures: Vec<(i64,)> = place.rows("SELECT COUNT(*) FROM rate_limits").await;
        assert_eq!(failures[0].0, 0, "what is no password is no failure");
        assert!(server.peak_memory() < MAX_RSS);
        ada.check().await.expect(StatusCode::NO_CONTENT);
        server.stop().await;
    }
}

#[tokio::test]
async fn with_few_files_there_are_few_connections_and_the_database_keeps_its_own() {
    let place = Place::sqlite();
    let mut command = place.command("sh");
    command.args(["-c", &format!("ulimit -n 64; exec {HOODY} serve --listen 127.0.0.1:0")]);
    let server = Server::start(command).await;
    server.says("raise it (ulimit -n)").await;
    let create = ["admin", "users", "create", "ada", "--email", "ada@example.com", "--password-stdin"];
    place.run_with(&create, PASSWORD).await.ended(0);
    // Far more connections than there are files, on which nothing is said.
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(tokio::net::TcpStream::connect(("127.0.0.1", server.port())).await.unwrap());
    }
    for _ in 0..5 {
        let ada = server.client().login("ada", PASSWORD).await;
        ada.check().await.expect(StatusCode::NO_CONTENT);
        let project = json!({ "alias": format!("p{}", silent.len()) });
        ada.post("/api/v1/projects", project).await.expect(StatusCode::CREATED);
        silent.pop();
    }
    let said = server.said();
    assert!(
        said.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).count() == 1,
        "{said}"
    );
    server.stop().await;
}
