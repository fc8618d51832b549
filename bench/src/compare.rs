//! What `bench/run` measures, in the order of the report. A part is known by its name and can run alone.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::contest::{self, Server, hoody, make_tokens, pinned, write_lines};
use crate::plan::{CHECK, CONNECTIONS, Plan, directory, load};
use crate::report::{Report, median};
use crate::scale;

const TOKENS: usize = 1_000;
/// How many make tokens at once, each on an account of its own.
const CLIENTS: usize = 16;

/// Measures one part and writes it down.
pub fn run(runtime: &Runtime, plan: &Plan, part: &str) {
    let mut report = Report::new();
    let began = Instant::now();
    match part.split_once('-') {
        None if part == "hot" => hot_path(runtime, plan, &mut report),
        None if part == "process" => in_process(runtime, &mut report),
        None if part == "change" => under_change(runtime, plan, &mut report),
        None if part == "issuing" => issuing(runtime, plan, &mut report),
        None if part == "alert" => crate::alert::run(runtime, &mut report),
        None if part == "peers" => peers(runtime, plan, &mut report),
        None if part == "log" => crate::activity::rates(runtime, plan, &mut report),
        Some(("log", "sqlite")) => crate::activity::questions(runtime, plan, &mut report, 0),
        Some(("log", "postgres")) => crate::activity::questions(runtime, plan, &mut report, 1),
        Some(("scale", tokens)) => {
            scale::run(runtime, plan, &mut report, tokens.parse().expect("a number of tokens"));
        }
        _ => panic!("there is no part {part}"),
    }
    const ORDER: [&str; 10] = [
        "hot",
        "process",
        "change",
        "scale",
        "issuing",
        "peers",
        "log",
        "log-sqlite",
        "log-postgres",
        "alert",
    ];
    let place = ORDER.iter().position(|name| *name == part).unwrap_or(3);
    let digits = part.split_once('-').and_then(|(_, tokens)| tokens.parse::<u64>().ok()).unwrap_or(0);
    eprintln!("{part}: {:.0} s", began.elapsed().as_secs_f64());
    report.write(&format!("{place}-{digits:09}-{part}.md"));
}

/// A server and what it is asked.
struct Contestant {
    name: String,
    server: Server,
    load: Value,
}

/// Rounds that take turns; those that somebody else disturbed are dropped and made again, for a while. What
/// was kept of each, and how many were dropped.
fn rounds(plan: &Plan, contestants: &[Contestant]) -> (Vec<Vec<Value>>, usize) {
    let mut kept: Vec<Vec<Value>> = contestants.iter().map(|_| Vec::new()).collect();
    for contestant in contestants {
        let mut warm = contestant.load.clone();
        warm["seconds"] = plan.seconds.min(2.0).into();
        contestant.server.measure(&warm);
    }
    let (mut dropped, mut disturbed) = (0, 0);
    while kept[0].len() < plan.rounds {
        let round: Vec<Value> =
            contestants.iter().map(|contestant| contestant.server.measure(&contestant.load)).collect();
        for (contestant, result) in contestants.iter().zip(&round) {
            assert_eq!(result["refused"], 0, "{}: {result}", contestant.name);
            let number = |key: &str| result[key].as_f64().unwrap_or(0.0);
            eprintln!(
                "{}: {:.0} a CPU second, p99 {:.0} µs; others took {:.2} cores",
                contestant.name,
                number("per_cpu_second"),
                number("p99_us"),
                number("others")
            );
        }
        if round.iter().any(|result| result["is_disturbed"] == true) {
            if dropped < 2 * plan.rounds {
                dropped += 1;
                eprintln!("the machine was busy with something else: dropped");
                continue;
            }
            disturbed += 1;
        }
        for (kept, result) in kept.iter_mut().zip(round) {
            kept.push(result);
        }
    }
    if disturbed > 0 {
        eprintln!("WARNING: {disturbed} rounds were kept although the machine was busy");
    }
    (kept, disturbed)
}

/// What is to be said of rounds that were kept although the machine was busy.
fn warn(report: &mut Report, disturbed: usize, plan: &Plan) {
    if disturbed > 0 {
        report.text(&format!(
            "**{disturbed} of {} rounds were disturbed and kept: the machine was never quiet.**\n",
            plan.rounds
        ));
    }
}

fn bare() -> Server {
    let own = std::env::current_exe().expect("this program");
    Server::start(pinned(&own).args(["bare", "127.0.0.1:0"])).expect("the bare server")
}

fn per_second(results: &[Value]) -> f64 {
    median(
        results.iter().map(|round| {
            round["requests"].as_f64().unwrap_or(0.0) / round["seconds"].as_f64().unwrap_or(1.0)
        }),
    )
}

fn hot_path(runtime: &Runtime, plan: &Plan, report: &mut Report) {
    let (quiet, logged) = (directory(), directory());
    let off = hoody(quiet.path(), &["--activity", "off"]).expect("hoody starts");
    let on = hoody(logged.path(), &[]).expect("hoody starts");
    std::thread::sleep(Duration::from_secs(3));
    let idle = [off.resident(), on.resident(), on.anonymous()];
    let tokens_off = write_lines(runtime.block_on(make_tokens(&off.base, TOKENS, &json!({}))));
    let tokens_on = write_lines(runtime.block_on(make_tokens(&on.base, TOKENS, &json!({}))));
    let mut contestants = vec![
        Contestant {
            name: "bare 204 of hyper".into(),
            server: bare(),
            load: load("GET /", &tokens_off, plan.seconds),
        },
        Contestant {
            name: "hoody, request log off".into(),
            server: off,
            load: load(CHECK, &tokens_off, plan.seconds),
        },
        Contestant {
            name: "hoody, request log on".into(),
            server: on,
            load: load(CHECK, &tokens_on, plan.seconds),
        },
    ];
    let kept = plan.against.as_ref().map(|program| {
        ["off", "on"].map(|log| {
            let (other, kept) = other_version(runtime, plan, program, log);
            contestants.push(other);
            kept
        })
    });
    let (results, disturbed) = rounds(plan, &contestants);
    report.throughput(
        "The hot path",
        &format!(
            "{} rounds of {} s, {CONNECTIONS} connections, {TOKENS} distinct tokens, `{CHECK}`, all layers.",
            plan.rounds, plan.seconds
        ),
        contestants.iter().map(|contestant| contestant.name.as_str()).zip(&results),
    );
    warn(report, disturbed, plan);
    let cost = median(results[2].iter().zip(&results[1]).map(|(on, off)| {
        off["per_cpu_second"].as_f64().unwrap_or(0.0) / on["per_cpu_second"].as_f64().unwrap_or(1.0) - 1.0
    }));
    report.text(&format!(
        "\n- The request log adds **{:.1} %** of CPU to a check, its writer included (aim: under 15 %).\n\
         - Idle: {:.1} MB resident with the request log off, **{:.1} MB** with it on (aim: under 25 MB); {:.1} MB of that is \
         memory of its own, the rest pages of the program's file.",
        cost * 100.0,
        idle[0],
        idle[1],
        idle[2]
    ));
    if kept.is_some() {
        report.text(&format!(
            "- This version to the other one, requests per second of server CPU, round by round: {} with the request log off, \
             {} with it on.",
            to_other(&results[1], &results[3]),
            to_other(&results[2], &results[4]),
        ));
    }
    // The same servers at a fixed rate: half of what hoody can.
    let rate = (per_second(&results[1]) / 2.0).round();
    let mut fixed = contestants;
    for contestant in &mut fixed {
        contestant.load["rate"] = rate.into();
    }
    report.turns(
        &format!("Latency at {rate:.0} requests a second, half of what hoody can"),
        "Latency at half the limit",
        fixed.iter().map(|contestant| contestant.name.as_str()),
        &take_turns(&fixed, plan),
    );
}

/// hoody of another version with the request log off or on; what it needs as long as it runs.
fn other_version(
    runtime: &Runtime,
    plan: &Plan,
    program: &Path,
    log: &str,
) -> (Contestant, (tempfile::TempDir, tempfile::TempPath)) {
    let directory = directory();
    let server =
        contest::hoody_of(program, directory.path(), &["--activity", log]).expect("the other one starts");
    let tokens = write_lines(runtime.block_on(make_tokens(&server.base, TOKENS, &json!({}))));
    let load = load(CHECK, &tokens, plan.seconds);
    let name = format!("the other version, request log {log}");
    (Contestant { name, server, load }, (directory, tokens))
}

/// The ratio of two that were measured in the same rounds: the middle one, and the least and the most.
fn to_other(new: &[Value], old: &[Value]) -> String {
    let per_cpu = |round: &Value| round["per_cpu_second"].as_f64().unwrap_or(0.0);
    let ratios: Vec<f64> = new.iter().zip(old).map(|(new, old)| per_cpu(new) / per_cpu(old)).collect();
    let (least, most) =
        ratios.iter().fold((f64::MAX, 0.0_f64), |(a, b), ratio| (a.min(*ratio), b.max(*ratio)));
    format!("**{:.3}** ({least:.3}–{most:.3})", median(ratios.into_iter()))
}

fn take_turns(contestants: &[Contestant], plan: &Plan) -> Value {
    let seconds = plan.rounds as f64 * plan.seconds;
    contest::take_turns(contestants.iter().map(|contestant| (&contestant.server, &contestant.load)), seconds)
}

fn in_process(runtime: &Runtime, report: &mut Report) {
    report.section("In process, one thread");
    report.text(&format!("| | ns |\n|---|---|\n{}", crate::in_process::run(runtime)));
}

/// Checks of tokens with long lists, and checks while somebody else makes and deletes tokens, lists the log and
/// signs in; at a fixed rate, so that what waits is seen.
fn under_change(runtime: &Runtime, plan: &Plan, report: &mut Report) {
    let directory = directory();
    let server = hoody(directory.path(), &[]).expect("hoody starts");
    let tokens = write_lines(runtime.block_on(make_tokens(&server.base, 800, &json!({}))));
    let many: Vec<String> = (0..999)
        .map(|n| format!("10.{}.{}.0/24", n / 250, n % 250))
        .chain(["127.0.0.1".to_owned()])
        .collect();
    let listed =
        write_lines(runtime.block_on(make_tokens(&server.base, 10, &json!({ "ip_whitelist": many }))));
    let full = load(CHECK, &tokens, plan.seconds);
    server.measure(&full);
    let mut results: [Vec<Value>; 2] = Default::default();
    for _ in 0..plan.rounds {
        results[0].push(server.measure(&full));
        results[1].push(server.measure(&load(CHECK, &listed, plan.seconds)));
    }
    let rate = (per_second(&results[0]) / 4.0).round();
    let mut fixed = full;
    fixed["rate"] = rate.into();
    let mut beside = fixed.clone();
    beside["writer"] = runtime.block_on(contest::sign_in(&server.base)).into();
    let per_cpu = |which: usize| {
        median(results[which].iter().map(|round| round["per_cpu_second"].as_f64().unwrap_or(0.0)))
    };
    report.section("With long lists");
    report.text(&format!(
        "SQLite, request log on.\n\n\
         | | requests per second of server CPU |\n|---|---|\n\
         | tokens without lists | {:.0} |\n| tokens of 1,000 address ranges each | {:.0} |",
        per_cpu(0),
        per_cpu(1),
    ));
    let seconds = plan.rounds as f64 * plan.seconds;
    let turns = contest::take_turns([(&server, &fixed), (&server, &beside)].into_iter(), seconds);
    let changes = turns["sides"][1]["changes"].as_f64().unwrap_or(0.0) / seconds;
    report.turns(
        &format!("Beside a writer, at {rate:.0} checks a second"),
        "Beside a writer",
        ["nothing else happens", &format!("beside a writer, {changes:.0} changes a second")].into_iter(),
        &turns,
    );
    report.text(
        "The writer makes a token, deletes it and reads the log, one request after the other, and signs in after every \
         hundredth change; SQLite, request log on, everything on the same server core.",
    );
}

/// Tokens made by many clients at once, each of them durable before it is answered.
fn issuing(runtime: &Runtime, plan: &Plan, report: &mut Report) {
    report.section("Issuing tokens");
    report.text(&format!(
        "{CLIENTS} clients at once, an account each, one node on both cores, every token durable before it is answered.\n"
    ));
    let mut engines = vec![("SQLite", None)];
    if let Some(url) = &plan.postgres {
        engines.push(("PostgreSQL", Some(contest::new_database(url, "issuing"))));
    }
    for (name, url) in engines {
        let directory = directory();
        let own = std::env::current_exe().expect("this program");
        let mut command = std::process::Command::new(&own);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--activity", "off", "--data-dir"])
            .arg(directory.path());
        command.env("HOODY_ADMIN_USERNAME", "bench").env("HOODY_ADMIN_PASSWORD", crate::load::PASSWORD);
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
    std::io::Write::write_all(&mut stdin, crate::load::PASSWORD.as_bytes()).expect("a password");
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
    let tokens = write_lines(runtime.block_on(make_tokens(&server.base, TOKENS, &json!({}))));
    let mut contestants = vec![Contestant {
        name: "hoody, request log on".into(),
        server,
        load: load(CHECK, &tokens, plan.seconds),
    }];
    let mut files = Vec::new();
    if let Some((server, keys)) = contest::better_auth(installed, keys.path(), TOKENS) {
        files.push(write_lines(keys));
        contestants.push(Contestant {
            name: "better-auth 1.7.25, API keys on node with SQLite".into(),
            server,
            load: load("GET /", &files[0], plan.seconds),
        });
    }
    if let Some((server, tokens)) = runtime.block_on(contest::openbao(installed, TOKENS)) {
        files.push(write_lines(tokens));
        let tokens = files.last().expect("the tokens");
        contestants.push(Contestant {
            name: "OpenBao 2.7.2, `lookup-self`, in memory".into(),
            server,
            load: load("GET /v1/auth/token/lookup-self", tokens, plan.seconds),
        });
    }
    let (results, disturbed) = rounds(plan, &contestants);
    report.throughput(
        "Beside its peers",
        "Verifying one of 1,000 keys or tokens over HTTP, each server on the same pinned core. better-auth checks the key in \
         its SQLite database, with its rate limit for each key off (on, it writes with every check) and usage updates \
         deferred; it has no address rules or realms. OpenBao finds the token in its in-memory storage and answers with what \
         it knows of it, without an audit device; hoody answers from its cache, records the use, writes the request log, and \
         decides address, realm and permission.",
        contestants.iter().map(|contestant| contestant.name.as_str()).zip(&results),
    );
    warn(report, disturbed, plan);
}
