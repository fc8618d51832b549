//! Everything that `bench/run` measures, in the order of the report.

use std::path::{Path, PathBuf};
use std::time::Instant;

use hoody::testing::Service;
use hoody_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::contest::{self, Server, hoody, make_tokens, pinned};
use crate::report::{Report, median};

const TOKENS: usize = 1_000;
const CONNECTIONS: usize = 64;
/// How many make tokens at once, each on an account of its own.
const CLIENTS: usize = 16;
const CHECK: &str = "GET /api/v1/auth/check?permission=projects.read";

/// How long and how much.
pub struct Plan {
    pub rounds: usize,
    pub seconds: f64,
    /// How many tokens are in the database when that is what is measured.
    pub scales: Vec<usize>,
    pub peers: Option<PathBuf>,
    /// A server for the rate of issuing; `postgres://…` without parameters that matter.
    pub postgres: Option<String>,
}

fn load(target: &str, credentials: &[String], seconds: f64) -> Value {
    json!({ "target": target, "credentials": credentials, "connections": CONNECTIONS, "seconds": seconds })
}

/// A server and what it is asked.
struct Contestant {
    name: String,
    server: Server,
    load: Value,
}

/// Measures everything and writes `RESULTS.md`.
pub fn run(runtime: &Runtime, plan: &Plan) {
    let mut report = Report::new(plan.rounds, plan.seconds);
    hot_path(runtime, plan, &mut report);
    in_process(runtime, &mut report);
    under_change(runtime, plan, &mut report);
    scale(runtime, plan, &mut report);
    issuing(runtime, plan, &mut report);
    peers(runtime, plan, &mut report);
    report.write();
}

/// Rounds that take turns; those that somebody else disturbed are dropped and made again, for a while.
fn rounds(plan: &Plan, contestants: &[Contestant]) -> Vec<Vec<Value>> {
    let mut kept: Vec<Vec<Value>> = contestants.iter().map(|_| Vec::new()).collect();
    for contestant in contestants {
        contestant.server.measure(&contestant.load);
    }
    let mut dropped = 0;
    while kept[0].len() < plan.rounds {
        let round: Vec<Value> =
            contestants.iter().map(|contestant| contestant.server.measure(&contestant.load)).collect();
        for (contestant, result) in contestants.iter().zip(&round) {
            assert_eq!(result["refused"], 0, "{}: {result}", contestant.name);
            eprintln!("{}: {:.0} a CPU second", contestant.name, result["per_cpu_second"].as_f64().unwrap_or(0.0));
        }
        if dropped < 2 * plan.rounds && round.iter().any(|result| result["disturbed"] == true) {
            dropped += 1;
            eprintln!("the machine was busy with something else: dropped");
            continue;
        }
        for (kept, result) in kept.iter_mut().zip(round) {
            kept.push(result);
        }
    }
    kept
}

fn bare() -> Server {
    let own = std::env::current_exe().expect("this program");
    Server::start(pinned(&own).args(["bare", "127.0.0.1:0"])).expect("the bare server")
}

fn hot_path(runtime: &Runtime, plan: &Plan, report: &mut Report) {
    let (quiet, logged) = (directory(), directory());
    let off = hoody(quiet.path(), &["--activity", "off"]).expect("hoody starts");
    report.fact("idle, just started, log off", format!("{:.1} MB resident", off.resident()));
    let on = hoody(logged.path(), &[]).expect("hoody starts");
    let tokens_off = runtime.block_on(make_tokens(&off.base, TOKENS, &json!({})));
    let tokens_on = runtime.block_on(make_tokens(&on.base, TOKENS, &json!({})));
    let contestants = [
        Contestant { name: "bare 204 of hyper".into(), server: bare(), load: load("GET /", &tokens_off, plan.seconds) },
        Contestant { name: "hoody, request log off".into(), server: off, load: load(CHECK, &tokens_off, plan.seconds) },
        Contestant { name: "hoody, request log on".into(), server: on, load: load(CHECK, &tokens_on, plan.seconds) },
    ];
    let results = rounds(plan, &contestants);
    report.throughput(
        "The hot path",
        &format!("{CONNECTIONS} connections, {TOKENS} distinct tokens, `{CHECK}`, all layers."),
        contestants.iter().map(|contestant| contestant.name.as_str()).zip(&results),
    );
    // The same servers at a fixed rate: half of what hoody can.
    let limit = median(results[1].iter().map(|round| {
        round["requests"].as_f64().unwrap_or(0.0) / round["seconds"].as_f64().unwrap_or(1.0)
    }));
    let rate = (limit / 2.0).round();
    let fixed: Vec<Contestant> = contestants
        .into_iter()
        .map(|mut contestant| {
            contestant.load["rate"] = rate.into();
            contestant
        })
        .collect();
    let results = rounds(plan, &fixed);
    report.latency(
        &format!("Latency at {rate:.0} requests a second, half of what hoody can"),
        fixed.iter().map(|contestant| contestant.name.as_str()).zip(&results),
    );
}

fn in_process(runtime: &Runtime, report: &mut Report) {
    report.section("In process, one thread");
    report.text(&format!("| | ns |\n|---|---|\n{}", crate::in_process::run(runtime)));
}

/// Checks while somebody else signs in, makes and deletes tokens and lists.
fn under_change(runtime: &Runtime, plan: &Plan, report: &mut Report) {
    let directory = directory();
    let server = hoody(directory.path(), &["--activity", "off"]).expect("hoody starts");
    let tokens = runtime.block_on(make_tokens(&server.base, TOKENS, &json!({})));
    let many: Vec<String> = (0..1_000).map(|n| format!("10.{}.{}.0/24", n / 250, n % 250)).chain(["127.0.0.1".to_owned()]).skip(1).collect();
    let listed = runtime.block_on(make_tokens(&server.base, 100, &json!({ "ip_whitelist": many })));
    let mut results = Vec::new();
    let quiet = load(CHECK, &tokens, plan.seconds);
    server.measure(&quiet);
    for _ in 0..plan.rounds {
        let alone = server.measure(&quiet);
        let with_list = server.measure(&load(CHECK, &listed, plan.seconds));
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let changing = runtime.spawn(change(server.base.clone(), std::sync::Arc::clone(&stop)));
        let changed = server.measure(&quiet);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let changes = runtime.block_on(changing).expect("the changes");
        results.push((alone, with_list, changed, changes));
    }
    let at = |key: &str, which: &dyn Fn(&(Value, Value, Value, u64)) -> &Value| {
        median(results.iter().map(|round| which(round)[key].as_f64().unwrap_or(0.0)))
    };
    let changes = results.iter().map(|(.., changes)| changes).sum::<u64>() as f64 / results.len() as f64 / plan.seconds;
    report.section("With long lists, and under change");
    report.text(&format!(
        "| | requests per second of server CPU | p99 µs |\n|---|---|---|\n\
         | {TOKENS} tokens, nothing else happens | {:.0} | {:.0} |\n\
         | 100 tokens of 1,000 address ranges each | {:.0} | {:.0} |\n\
         | while another client makes {changes:.0} changes a second (its cost included) | {:.0} | {:.0} |\n",
        at("per_cpu_second", &|r| &r.0), at("p99_us", &|r| &r.0),
        at("per_cpu_second", &|r| &r.1), at("p99_us", &|r| &r.1),
        at("per_cpu_second", &|r| &r.2), at("p99_us", &|r| &r.2),
    ));
}

/// Makes a token, uses it, deletes it, lists; until it is told to stop. How many changes that were.
async fn change(base: String, stop: std::sync::Arc<std::sync::atomic::AtomicBool>) -> u64 {
    let client = reqwest::Client::new();
    let session = contest::sign_in(&base).await;
    let tokens = format!("{base}/api/v1/auth/tokens");
    let mut changes = 0;
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        let made = client.post(&tokens).bearer_auth(&session).json(&json!({})).send().await.expect("a token");
        let made: Value = made.json().await.expect("json");
        let id = made["data"]["id"].as_str().expect("an id").to_owned();
        client.delete(format!("{tokens}/{id}")).bearer_auth(&session).send().await.expect("it is deleted");
        changes += 2;
    }
    changes
}

/// The same check with more and more tokens in the database, chosen by Zipf's law.
fn scale(runtime: &Runtime, plan: &Plan, report: &mut Report) {
    report.section("With many tokens in the database");
    report.text(
        "SQLite; the choice among all of them is Zipf's (exponent 1). The first round begins with an empty cache.\n\n\
         | tokens | start to ready | first round, per CPU second | after | p99 µs | memory |\n|---|---|---|---|---|---|",
    );
    for &count in &plan.scales {
        let directory = directory();
        let tokens = runtime.block_on(plant(directory.path(), count));
        let began = Instant::now();
        let server = hoody(directory.path(), &["--activity", "off"]).expect("hoody starts");
        let ready = began.elapsed();
        let mut load = load(CHECK, &tokens, plan.seconds);
        load["is_skewed"] = true.into();
        let first = server.measure(&load);
        for _ in 0..3 {
            server.measure(&load);
        }
        let after = server.measure(&load);
        report.text(&format!(
            "| {count} | {:.0} ms | {:.0} | {:.0} | {:.0} | {:.0} MB |",
            ready.as_secs_f64() * 1e3,
            first["per_cpu_second"].as_f64().unwrap_or(0.0),
            after["per_cpu_second"].as_f64().unwrap_or(0.0),
            after["p99_us"].as_f64().unwrap_or(0.0),
            server.resident(),
        ));
    }
    report.text("");
}

async fn plant(directory: &Path, count: usize) -> Vec<String> {
    let url = format!("sqlite:{}", directory.join("hoody.db").display());
    let service = Service::open(&url, directory, "", Timestamp::from_millis(1_772_442_942_118)).await;
    service.create_user("bench", None, contest::PASSWORD).await;
    let (session, id) = crate::in_process::first_token(&service).await;
    drop(session);
    service.plant_like(&id, count).await
}

/// Tokens made by many clients at once, each of them durable before it is answered.
fn issuing(runtime: &Runtime, plan: &Plan, report: &mut Report) {
    report.section("Issuing tokens");
    report.text(&format!(
        "{CLIENTS} clients at once, an account each, one node on both cores, every token durable before it is answered.\n"
    ));
    let mut engines = vec![("SQLite", None)];
    if let Some(url) = &plan.postgres {
        engines.push(("PostgreSQL", Some(url.clone())));
    }
    for (name, url) in engines {
        let directory = directory();
        let own = std::env::current_exe().expect("this program");
        let mut command = std::process::Command::new(&own);
        command.args(["serve", "--listen", "127.0.0.1:0", "--activity", "off", "--data-dir"]).arg(directory.path());
        command.env("HOODY_ADMIN_USERNAME", "bench").env("HOODY_ADMIN_PASSWORD", contest::PASSWORD);
        if let Some(url) = &url {
            command.env("HOODY_DATABASE_URL", url);
            let init = std::process::Command::new(&own)
                .args(["admin", "keys", "init", "--data-dir"])
                .arg(directory.path())
                .env("HOODY_DATABASE_URL", url)
                .status();
            assert!(init.is_ok_and(|status| status.success()), "the keys are made");
        }
        let server = Server::start(&mut command).expect("hoody starts");
        // An account has at most 1,000 active tokens.
        for index in 0..CLIENTS {
            make_account(&own, directory.path(), url.as_deref(), &format!("client{index}"));
        }
        let per_second = runtime.block_on(issue(&server.base, plan.seconds));
        report.text(&format!("- {name}: **{per_second:.0}** tokens a second\n"));
    }
}

fn make_account(own: &Path, directory: &Path, url: Option<&str>, name: &str) {
    let mut command = std::process::Command::new(own);
    command.args(["admin", "users", "create", name, "--password-stdin", "--data-dir"]).arg(directory);
    if let Some(url) = url {
        command.env("HOODY_DATABASE_URL", url);
    }
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("hoody runs");
    let mut stdin = child.stdin.take().expect("stdin");
    std::io::Write::write_all(&mut stdin, contest::PASSWORD.as_bytes()).expect("a password");
    drop(stdin);
    assert!(child.wait().is_ok_and(|status| status.success()), "the account is made");
}

async fn issue(base: &str, seconds: f64) -> f64 {
    let mut sessions = Vec::new();
    for index in 0..CLIENTS {
        sessions.push(contest::sign_in_as(base, &format!("client{index}")).await);
    }
    let began = Instant::now();
    let tasks: Vec<_> = sessions
        .into_iter()
        .map(|session| {
            let base = base.to_owned();
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                let mut made = 0_u64;
                while began.elapsed().as_secs_f64() < seconds {
                    let request = client.post(format!("{base}/api/v1/auth/tokens")).bearer_auth(&session);
                    let answer = request.json(&json!({})).send().await.expect("an answer");
                    if answer.status().as_u16() != 201 {
                        break;
                    }
                    made += 1;
                }
                made
            })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        made += task.await.expect("a client");
    }
    made as f64 / began.elapsed().as_secs_f64()
}

/// What a user would take instead, in the same run on the same core.
fn peers(runtime: &Runtime, plan: &Plan, report: &mut Report) {
    let Some(installed) = &plan.peers else { return };
    let (home, keys) = (directory(), directory());
    let server = hoody(home.path(), &[]).expect("hoody starts");
    let tokens = runtime.block_on(make_tokens(&server.base, TOKENS, &json!({})));
    let mut contestants =
        vec![Contestant { name: "hoody, request log on".into(), server, load: load(CHECK, &tokens, plan.seconds) }];
    if let Some((server, keys)) = contest::better_auth(installed, keys.path(), TOKENS) {
        contestants.push(Contestant {
            name: "better-auth 1.7.25, API keys on node with SQLite".into(),
            server,
            load: load("GET /", &keys, plan.seconds),
        });
    }
    if let Some((server, tokens)) = runtime.block_on(contest::openbao(installed, TOKENS)) {
        contestants.push(Contestant {
            name: "OpenBao 2.7.2, `lookup-self`, in memory".into(),
            server,
            load: load("GET /v1/auth/token/lookup-self", &tokens, plan.seconds),
        });
    }
    let results = rounds(plan, &contestants);
    report.throughput(
        "Beside its peers",
        "Verifying one of 1,000 keys or tokens over HTTP, each server on the same pinned core. better-auth checks the key in \
         its SQLite database, with its rate limit for each key off (on, it writes with every check) and usage updates \
         deferred; it has no address rules or realms. OpenBao finds the token in its in-memory storage and answers with what \
         it knows of it, without an audit device; hoody answers from its cache, records the use, writes the request log, and \
         decides address, realm and permission.",
        contestants.iter().map(|contestant| contestant.name.as_str()).zip(&results),
    );
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}
