//! hoody beside the bare server: requests per second of server CPU, each on the same pinned core, the
//! load from the other one, rounds taking turns.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

const TOKENS: usize = 1_000;
const CONNECTIONS: u32 = 64;
const PASSWORD: &str = "correct horse battery";

/// One round against one server.
struct Round {
    per_cpu_second: f64,
    per_second: f64,
    p99: String,
}

/// A server under measurement; stopped when dropped.
struct Server {
    child: Child,
    base: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures everything and writes `RESULTS.md`.
pub fn run(runtime: &tokio::runtime::Runtime, rounds: usize, seconds: u32) {
    let directory = tempfile::tempdir().expect("a directory");
    let own = std::env::current_exe().expect("this program");
    let bare = start(Command::new("taskset").args(["-c", "0"]).arg(&own).args(["bare", "127.0.0.1:0"]));
    let hoody = start(
        Command::new("taskset")
            .args(["-c", "0"])
            .arg(&own)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(directory.path())
            .env("HOODY_ADMIN_USERNAME", "bench")
            .env("HOODY_ADMIN_PASSWORD", PASSWORD)
            .env("TOKIO_WORKER_THREADS", "1"),
    );
    let tokens = runtime.block_on(make_tokens(&hoody.base));
    let script = directory.path().join("tokens.lua");
    std::fs::write(&script, lua(&tokens)).expect("a script");
    let script = script.display().to_string();
    let path = "/api/v1/auth/check?permission=projects.read";
    // The first round of each warms up.
    let (mut bare_rounds, mut hoody_rounds) = (Vec::new(), Vec::new());
    for index in 0..=rounds {
        let bare_round = measure(&bare, "/", &script, seconds);
        let hoody_round = measure(&hoody, path, &script, seconds);
        eprintln!(
            "round {index}: bare {:.0}, hoody {:.0} requests per CPU second",
            bare_round.per_cpu_second, hoody_round.per_cpu_second
        );
        if index > 0 {
            bare_rounds.push(bare_round);
            hoody_rounds.push(hoody_round);
        }
    }
    drop((bare, hoody));
    let report = report(bare_rounds, hoody_rounds, &super::in_process::run(runtime), seconds);
    std::fs::write("RESULTS.md", &report).expect("RESULTS.md");
    println!("{report}");
}

/// Starts a server and reads where it listens from its first lines.
fn start(command: &mut Command) -> Server {
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the server starts");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
    let base = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("listens on ")?;
        Some(rest.split_whitespace().next().unwrap_or(rest).to_owned())
    });
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Server { child, base: base.expect("the server says where it listens") }
}

async fn make_tokens(base: &str) -> Vec<String> {
    let client = reqwest::Client::new();
    let login = json!({ "username": "bench", "password": PASSWORD });
    let url = format!("{base}/api/v1/users/auth/login");
    let session: Value = client.post(url).json(&login).send().await.expect("login").json().await.expect("json");
    let session = session["data"]["token"].as_str().expect("a session");
    let mut tokens = Vec::new();
    for _ in 0..TOKENS {
        let request = client.post(format!("{base}/api/v1/auth/tokens")).bearer_auth(session).json(&json!({}));
        let made: Value = request.send().await.expect("a token").json().await.expect("json");
        tokens.push(made["data"]["token"].as_str().expect("a token").to_owned());
    }
    tokens
}

/// A wrk script that takes the tokens in turn; the requests are built once.
fn lua(tokens: &[String]) -> String {
    let mut script = String::from("local tokens = {\n");
    for token in tokens {
        let _ = writeln!(script, "  \"{token}\",");
    }
    script.push_str(
        "}\nlocal requests, n = {}, 0\nfunction init(args)\n  for i, token in ipairs(tokens) do\n    \
         requests[i] = wrk.format(\"GET\", nil, { [\"Authorization\"] = \"Bearer \" .. token })\n  end\nend\n\
         function request()\n  n = n % #requests + 1\n  return requests[n]\nend\n",
    );
    script
}

fn measure(server: &Server, path: &str, script: &str, seconds: u32) -> Round {
    let pid = server.child.id();
    let before = cpu_seconds(pid);
    let output = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "--latency"])
        .args(["-s", script, &format!("{}{path}", server.base)])
        .output()
        .expect("wrk runs");
    let cpu = cpu_seconds(pid) - before;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let _ = std::io::stderr().flush();
    assert!(!text.contains("Non-2xx"), "refused requests in a measurement:\n{text}");
    let requests: f64 = find(&text, "requests in").expect("wrk counts requests");
    let per_second: f64 = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse().ok())
        .expect("wrk gives a rate");
    let p99 = text.lines().find_map(|line| line.trim().strip_prefix("99%")).map_or("?", str::trim).to_owned();
    Round { per_cpu_second: requests / cpu, per_second, p99 }
}

fn find(text: &str, word: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains(word))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time of a process, from /proc (ticks of 10 ms).
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("ticks");
    (ticks(11) + ticks(12)) / 100.0
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(bare: Vec<Round>, hoody: Vec<Round>, in_process: &str, seconds: u32) -> String {
    let ratios = hoody.iter().zip(&bare).map(|(hoody, bare)| hoody.per_cpu_second / bare.per_cpu_second);
    let mut text = String::from(
        "# Results\n\nWritten by `bench/run`. Both servers on the same pinned core, one worker thread each, \
         wrk on the other core; rounds take turns. Compare within one run only.\n\n",
    );
    let _ = writeln!(
        text,
        "{} rounds of {seconds} s, {CONNECTIONS} connections, {TOKENS} distinct tokens, \
         `GET /api/v1/auth/check?permission=projects.read` with all layers.\n",
        bare.len()
    );
    let _ = writeln!(text, "| | requests per second of server CPU | requests per second | p99 |\n|---|---|---|---|");
    for (name, rounds) in [("bare 204 of hyper", &bare), ("hoody", &hoody)] {
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {:.0} | {} |",
            median(rounds.iter().map(|round| round.per_cpu_second)),
            median(rounds.iter().map(|round| round.per_second)),
            rounds[rounds.len() / 2].p99
        );
    }
    let _ = writeln!(text, "\nRatio, median of the rounds: **{:.3}**\n", median(ratios));
    let _ = writeln!(text, "| in process, one thread | ns |\n|---|---|\n{in_process}");
    let _ = writeln!(text, "Machine: {}", machine());
    text
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{} cores, {}, Linux {}", cores, model.map_or("unknown", |(_, model)| model), kernel.trim())
}
