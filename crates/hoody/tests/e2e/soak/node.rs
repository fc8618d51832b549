//! A node as a process at an address that it keeps, and what the system says of it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use super::log::Log;
use super::streams::Target;
use crate::support::{Guarded, PATIENCE, Place, binary, eventually, http};

/// What a process holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    /// Resident memory, and what of it is its own, in KiB.
    pub(super) resident: u64,
    pub(super) anonymous: u64,
    /// Open descriptors by kind.
    pub(super) files: BTreeMap<&'static str, usize>,
    pub(super) threads: usize,
    /// Background tasks that live, as the node says.
    pub(super) tasks: Option<u64>,
}

impl Held {
    pub(super) fn descriptors(&self) -> usize {
        self.files.values().sum()
    }

    /// The less of both, of each.
    pub(super) fn lower(&mut self, other: Self) {
        if other.descriptors() < self.descriptors() {
            self.files = other.files;
        }
        self.resident = self.resident.min(other.resident);
        self.anonymous = self.anonymous.min(other.anonymous);
        self.threads = self.threads.min(other.threads);
        self.tasks = self.tasks.min(other.tasks);
    }
}

/// One node.
pub(super) struct Node {
    pub(super) name: &'static str,
    /// `http://127.0.0.1:PORT`
    pub(super) base: String,
    pub(super) target: Target,
    metrics: u16,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    child: Mutex<Guarded>,
    pub(super) log: Log,
    /// Clients of it: HTTP/1.1, and HTTP/2 where it speaks TLS.
    pub(super) clients: Vec<reqwest::Client>,
    /// The same without a limit of time.
    pub(super) patient: reqwest::Client,
    /// It is killed now and then: what it holds is not compared.
    pub(super) is_mortal: bool,
    /// The most memory seen so far in this fault, in KiB.
    pub(super) peak: Mutex<u64>,
}

/// A port that is free now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// How a node is started.
pub(super) struct Start<'a> {
    pub(super) name: &'static str,
    pub(super) arguments: &'a [&'a str],
    pub(super) environment: Vec<(&'static str, String)>,
    pub(super) is_tls: bool,
    pub(super) is_mortal: bool,
}

impl Node {
    /// Starts it in `place` and waits until it is ready.
    pub(super) async fn start(place: &Place, start: Start<'_>) -> Self {
        let (port, metrics) = (free_port(), free_port());
        let mut arguments = vec!["serve".to_owned(), "--listen".to_owned(), format!("127.0.0.1:{port}")];
        arguments.extend(["--metrics-listen".to_owned(), format!("127.0.0.1:{metrics}")]);
        arguments.extend(start.arguments.iter().map(|argument| (*argument).to_owned()));
        if start.is_tls {
            arguments.push("--tls-self-signed".to_owned());
        }
        let scheme = if start.is_tls { "https" } else { "http" };
        let mut node = Self {
            name: start.name,
            base: format!("{scheme}://127.0.0.1:{port}"),
            target: Target {
                port,
                authority: start.is_tls.then(|| place.data_dir().join("self-signed.crt")),
            },
            metrics,
            arguments,
            environment: start.environment,
            child: Mutex::new(Guarded(None)),
            log: Log::new(place.path(&format!("{port}.log"))),
            clients: Vec::new(),
            patient: http().build().unwrap(),
            is_mortal: start.is_mortal,
            peak: Mutex::default(),
        };
        node.spawn(place);
        let trusted = match &node.target.authority {
            Some(file) => {
                Some(eventually("its certificate is made", PATIENCE, async || std::fs::read(file).ok()).await)
            }
            None => None,
        };
        node.clients = vec![client(trusted.as_deref(), false, Some(LIMIT))];
        if start.is_tls {
            node.clients.push(client(trusted.as_deref(), true, Some(LIMIT)));
        }
        node.patient = client(trusted.as_deref(), start.is_tls, None);
        node.is_ready(PATIENCE).await;
        node
    }

    /// Starts the process. Files that may not grow give errors and no signal; the log is a named pipe.
    pub(super) fn spawn(&self, place: &Place) {
        let mut command: Command = place.command("sh");
        command
            .args(["-c", "trap '' XFSZ; exec \"$@\" 2>\"$LOG\"", "sh"])
            .arg(binary())
            .args(&self.arguments);
        command.env("LOG", &self.log.path).envs(self.environment.iter().map(|(name, value)| (*name, value)));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        *self.child.lock().unwrap() = Guarded(Some(child));
    }

    /// Waits until it says that it is ready; whether it did in time.
    pub(super) async fn is_ready(&self, limit: Duration) -> bool {
        let end = tokio::time::Instant::now() + limit;
        while tokio::time::Instant::now() < end {
            let asked = self.clients[0].get(format!("{}/readyz", self.base)).send().await;
            if asked.is_ok_and(|answer| answer.status() == 200) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        false
    }

    fn pid(&self) -> Pid {
        let child = self.child.lock().unwrap();
        Pid::from_raw(child.0.as_ref().unwrap().id().try_into().unwrap()).unwrap()
    }

    pub(super) fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
    }

    /// Its files may not grow beyond so many bytes; `None`: as they like.
    pub(super) fn limit_files(&self, bytes: Option<u64>) {
        prlimit(Some(self.pid()), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    }

    /// Waits for its end: its exit code; `None` by a signal, or when it does not end.
    pub(super) async fn ended(&self, limit: Duration) -> Option<i32> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let status = self.child.lock().unwrap().0.as_mut().unwrap().try_wait().unwrap();
            match status {
                Some(status) => return status.code(),
                None if tokio::time::Instant::now() > end => return None,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Whether the process is there.
    pub(super) fn is_alive(&self) -> bool {
        let mut child = self.child.lock().unwrap();
        child.0.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// What it holds now.
    pub(super) async fn held(&self) -> Held {
        let pid = self.pid().as_raw_pid();
        let mut held = Held { resident: self.resident(), tasks: self.tasks().await, ..Held::default() };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        held.anonymous = field(&status, "RssAnon:");
        held.threads = usize::try_from(field(&status, "Threads:")).unwrap();
        for file in std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let Ok(target) = std::fs::read_link(file.path()) else { continue };
            let target = target.to_string_lossy();
            let kind = [("socket:", "sockets"), ("anon_inode:", "of the kernel"), ("pipe:", "pipes")];
            let kind = kind.into_iter().find(|(start, _)| target.starts_with(start));
            *held.files.entry(kind.map_or("files", |(_, kind)| kind)).or_default() += 1;
        }
        held
    }

    /// Its resident memory in KiB.
    pub(super) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid().as_raw_pid()));
        field(&status.unwrap_or_default(), "VmRSS:")
    }

    async fn tasks(&self) -> Option<u64> {
        let url = format!("http://127.0.0.1:{}/metrics", self.metrics);
        let text = http().timeout(LIMIT).build().unwrap().get(url).send();
        let text = text.await.ok()?.text().await.ok()?;
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("hoody_tasks_alive")).collect();
        let alive = lines.iter().filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        (!lines.is_empty()).then(|| format!("{:.0}", alive.sum::<f64>()).parse().unwrap())
    }
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// How long a client waits for an answer.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

fn client(trusted: Option<&[u8]>, is_http2: bool, limit: Option<Duration>) -> reqwest::Client {
    let mut builder = http().pool_idle_timeout(Duration::from_secs(5));
    if let Some(limit) = limit {
        builder = builder.timeout(limit);
    }
    if let Some(pem) = trusted {
        builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem).unwrap());
    }
    if !is_http2 {
        builder = builder.http1_only();
    }
    builder.build().unwrap()
}
