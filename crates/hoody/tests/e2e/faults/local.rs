//! One node on SQLite, with traffic: its disk fills up, another process holds its database, the reader of its log
//! goes away, clients take no answers.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::cluster::{Cluster, PATIENCE, Traffic};
use crate::soak::{Disk, Target, fill, lock, shut_windows};
use crate::support::{PASSWORD, Place, Server, WHOLE_MACHINE, binary, eventually};

/// A node in `place` with an account `ada`. A file that may not grow gives it an error and no signal.
async fn alone(place: Place, flags: &[&str]) -> Cluster {
    let mut command = place.command("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", &binary(), "serve", "--listen", "127.0.0.1:0"]);
    let mut server = Server::start({
        command.args(flags);
        command
    })
    .await;
    if let Ok(authority) = std::fs::read_to_string(place.data_dir().join("self-signed.crt")) {
        server.trust(&authority);
    }
    place.run_with(&["admin", "users", "create", "ada", "--password-stdin"], PASSWORD).await.ended(0);
    Cluster { place, nodes: vec![server] }
}

/// Everything is taken again: checks, changes, sign-ins, and rows of the request log.
async fn is_whole(cluster: &Cluster, traffic: &Traffic) -> Duration {
    let recovery = traffic.all_well().await;
    traffic.goes_on("changes are taken again", 30).await;
    let node = &cluster.nodes[0];
    let ada = node.client().login("ada", PASSWORD).await;
    let ready = node.client().get("/readyz").await;
    ready.expect(StatusCode::OK);
    // A request of its own is found in the log.
    let path = format!("/api/v1/projects/{:024x}", std::process::id());
    ada.get(&path).await.expect(StatusCode::NOT_FOUND);
    eventually("the request is in the log", PATIENCE, async || {
        let listed = ada.get("/api/v1/users/auth/activity?limit=100").await;
        listed.text.contains(&path).then_some(())
    })
    .await;
    recovery
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long, fills a disk of its own as root: bench/faults"]
async fn a_full_disk_costs_answers_and_nothing_is_stuck_after_it() {
    let _whole = WHOLE_MACHINE.lock().await;
    let place = Place::sqlite();
    let disk = Disk::mount(&place.data_dir());
    let cluster = alone(place, &[]).await;
    let traffic = Traffic::start(&cluster).await;
    let mut recoveries = Vec::new();
    for round in 0..4 {
        // A quota, then a disk; the second only where there is one.
        let is_quota = round % 2 == 0 || disk.is_none();
        let name = if is_quota { "files may not grow" } else { "the disk is full" };
        traffic.phase(&format!("{}: {name}", 2 * round + 1));
        if is_quota {
            cluster.nodes[0].limit_files(Some(4_096));
            sleep(Duration::from_secs(3)).await;
            cluster.nodes[0].limit_files(None);
        } else {
            fill(&cluster.place, Duration::from_secs(3)).await;
        }
        traffic.phase(&format!("{}: there is room again", 2 * round + 2));
        recoveries.push(is_whole(&cluster, &traffic).await);
    }
    println!("{}", traffic.settle("a full disk").await);
    println!("well again after {recoveries:?}");
    for node in cluster.nodes {
        node.stop().await;
    }
    // Before the place that it is in.
    drop(disk);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: bench/faults"]
async fn a_writer_that_waits_for_another_process_goes_on_when_it_may() {
    let _whole = WHOLE_MACHINE.lock().await;
    let cluster = alone(Place::sqlite(), &[]).await;
    let traffic = Traffic::start(&cluster).await;
    let mut recoveries = Vec::new();
    for (round, file) in ["hoody.db", "activity.db", "hoody.db"].into_iter().enumerate() {
        traffic.phase(&format!("{}: {file} is locked for 8 s", 2 * round + 1));
        lock(&cluster.place, file, Duration::from_secs(8)).await;
        traffic.phase(&format!("{}: it is free again", 2 * round + 2));
        recoveries.push(is_whole(&cluster, &traffic).await);
    }
    println!("{}", traffic.settle("a stuck writer").await);
    println!("well again after {recoveries:?}");
    for node in cluster.nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: bench/faults"]
async fn a_log_that_nobody_reads_costs_nothing_but_the_log() {
    let _whole = WHOLE_MACHINE.lock().await;
    let mut cluster = alone(Place::sqlite(), &["--log", "hoody=debug"]).await;
    let traffic = Traffic::start(&cluster).await;
    traffic.phase("1: the reader of the log is gone");
    cluster.nodes[0].deafen();
    traffic.goes_on("changes are taken without a log", 100).await;
    traffic.phase("2: the database is locked for 8 s, and nothing of it can be logged");
    lock(&cluster.place, "hoody.db", Duration::from_secs(8)).await;
    traffic.phase("3: it is free again");
    let recovery = is_whole(&cluster, &traffic).await;
    let report = traffic.settle("a log that nobody reads").await;
    assert!(!report.contains("connection lost"), "every request has its answer:\n{report}");
    println!("{report}\nwell again after {recovery:?}");
    // In order, with everything written.
    let ada = cluster.nodes[0].client().login("ada", PASSWORD).await;
    let (id, token) = ada.mint(json!({})).await;
    token.check().await.expect(StatusCode::NO_CONTENT);
    for node in cluster.nodes {
        node.stop().await;
    }
    let again = cluster.place.serve().await;
    let used = again.client().with(ada.credential.as_deref().unwrap());
    let used = used.send(Method::GET, &format!("/api/v1/auth/tokens/{id}"), None).await;
    assert!(
        used.body["data"]["last_used_at"].is_string(),
        "what was noted is written at the end: {}",
        used.text
    );
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: bench/faults"]
async fn answers_that_nobody_takes_hold_little_and_hold_nobody_up() {
    let _whole = WHOLE_MACHINE.lock().await;
    let cluster = alone(Place::sqlite(), &["--tls-self-signed"]).await;
    let traffic = Traffic::start(&cluster).await;
    let node = &cluster.nodes[0];
    let authority = Some(cluster.place.data_dir().join("self-signed.crt"));
    let target = Target { port: node.port(), authority };
    let before = node.peak_memory();
    let mut sent = 0;
    for round in 1..=3 {
        traffic.phase(&format!("{round}: ten connections with closed windows"));
        let began = Instant::now();
        sent += shut_windows(&target, 10, Duration::from_secs(8)).await;
        traffic.goes_on("changes are taken meanwhile", 20).await;
        assert!(began.elapsed() >= Duration::from_secs(8));
    }
    let more = (node.peak_memory() - before) / 1_024;
    println!("{}", traffic.settle("closed windows").await);
    println!("{sent} requests for the longest document, none of them read: {more} MB more at the most");
    // A copy for each request would be 240 MB.
    assert!(more < 64, "{more} MB for {sent} requests");
    for node in cluster.nodes {
        node.stop().await;
    }
}
