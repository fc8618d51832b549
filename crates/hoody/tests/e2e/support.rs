//! Places where the binary runs, servers that stop with their test, clients that call them.
//!
//! A [`Place`] is a directory with a data directory, a home and, on PostgreSQL, a database of its own.
//! Nothing here waits for a fixed time: see [`eventually`].

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hoody_service::testing::new_postgres;
use reqwest::{Method, StatusCode};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokio::time::Instant;

/// The binary of this build.
pub(crate) const HOODY: &str = env!("CARGO_BIN_EXE_hoody");

/// The binary under test: that of this build, or the one that `HOODY_TEST_BINARY` names.
pub(crate) fn binary() -> String {
    std::env::var("HOODY_TEST_BINARY").unwrap_or_else(|_| HOODY.to_owned())
}

/// The password of every account that a test makes.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// How long a start, a stop or a command may take. Far more than they need: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const LISTENS: &str = "hoody listens on ";

/// Makes of `async fn name(place: Place) { … }` a test on each engine. The second runs where
/// `HOODY_TEST_POSTGRES` names a server (`./test` starts one); in CI its absence is a failure.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($place:ident: Place) $body:block)*) => { $(
        $(#[$meta])*
        mod $name {
            use super::*;
            async fn run($place: $crate::support::Place) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run($crate::support::Place::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(place) = $crate::support::Place::postgres().await {
                    place.init_keys().await;
                    run(place).await;
                }
            }
        }
    )* };
}
pub(crate) use on_both;

/// Held by tests that measure or fill the machine, so that they do so one after the other.
pub(crate) static WHOLE_MACHINE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Asks `probe` again and again until it answers; fails the test when it does not within `limit`.
pub(crate) async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Where a server and its clients live.
#[derive(Debug)]
pub(crate) struct Place {
    directory: tempfile::TempDir,
    /// On PostgreSQL.
    database_url: Option<String>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Fails the test unless it ended with this code.
    #[track_caller]
    pub(crate) fn ended(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Fails the test unless it says all of these on standard error.
    #[track_caller]
    pub(crate) fn saying(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {self:?}");
        }
        self
    }

    /// Fails the test unless it prints all of these on standard output.
    #[track_caller]
    pub(crate) fn printing(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.stdout.contains(word), "{word:?} is not in {self:?}");
        }
        self
    }

    /// Everything that it printed.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), database_url: None }
    }

    /// With an empty database; `None` where there is no server; a failure in CI.
    pub(crate) async fn postgres() -> Option<Self> {
        let Some(url) = new_postgres("e").await else {
            eprintln!("skipped: HOODY_TEST_POSTGRES names no server (./test starts one)");
            return None;
        };
        Some(Self { directory: tempfile::tempdir().unwrap(), database_url: Some(url) })
    }

    /// On this database.
    pub(crate) fn on(url: &str) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), database_url: Some(url.to_owned()) }
    }

    /// Runs statements on the place's database, beside the servers.
    pub(crate) async fn execute(&self, sql: &'static str) {
        match &self.database_url {
            Some(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            None => {
                let url = format!("sqlite:{}", self.data_dir().join("hoody.db").display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// A master key is made unasked only for an embedded database.
    pub(crate) async fn init_keys(&self) {
        self.run(&["admin", "keys", "init"]).await.ended(0);
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("hoody-data")
    }

    /// A path in the directory where commands run.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The binary with these arguments, in this place and a clean environment.
    pub(crate) fn hoody(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&binary());
        command.args(arguments);
        command
    }

    /// Any program, in this place and a clean environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path()).env_clear();
        command.env("HOME", self.directory.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        if let Some(url) = &self.database_url {
            command.env("HOODY_DATABASE_URL", url);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the binary to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.hoody(arguments), "").await
    }

    /// Runs the binary to its end, with `input` on its standard input.
    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        finish(self.hoody(arguments), input).await
    }

    /// A server on a port of its own.
    pub(crate) async fn serve(&self) -> Server {
        Server::start(self.hoody(&["serve", "--listen", "127.0.0.1:0"])).await
    }

    /// A server with an account `ada`, who is signed in.
    pub(crate) async fn serve_ada(&self) -> (Server, Client) {
        let server = self.serve().await;
        let create = ["admin", "users", "create", "ada", "--email", "ada@example.com", "--password-stdin"];
        self.run_with(&create, PASSWORD).await.ended(0);
        let ada = server.client().login("ada", PASSWORD).await;
        (server, ada)
    }

    /// What the place's database answers, read beside the server.
    pub(crate) async fn rows<T>(&self, sql: &'static str) -> Vec<T>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>,
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
        T: Send + Unpin,
    {
        match &self.database_url {
            Some(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                let rows = sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                rows
            }
            None => {
                let url = format!("sqlite:{}?mode=ro", self.data_dir().join("hoody.db").display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                let rows = sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                rows
            }
        }
    }
}

/// Runs `command` to its end, with `input` on its standard input.
pub(crate) async fn finish(command: Command, input: &str) -> Ran {
    Running::start(command, input).finish().await
}

/// A command that runs.
pub(crate) struct Running(Guarded);

impl Running {
    /// Starts `command`, with `input` on its standard input.
    pub(crate) fn start(mut command: Command, input: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        // A command that does not read it ends the pipe; that is its right.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Self(Guarded(Some(child)))
    }

    /// Waits for its end.
    pub(crate) async fn finish(mut self) -> Ran {
        let child = &mut self.0.0;
        eventually("the command ends", PATIENCE, async || child.as_mut()?.try_wait().unwrap()).await;
        self.0.0.take().unwrap().wait_with_output().unwrap().into()
    }
}

/// A process that does not outlive its test.
pub(crate) struct Guarded(pub(crate) Option<Child>);

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What HTTP clients are built with. reqwest brings no TLS provider; an error means that one is set.
pub(crate) fn http() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

/// A running server. Killed when dropped.
pub(crate) struct Server {
    child: Guarded,
    said: Arc<Mutex<Vec<String>>>,
    /// `http://127.0.0.1:PORT`
    pub(crate) base: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts `command` and waits until it listens.
    pub(crate) async fn start(command: Command) -> Self {
        let mut server = Self::spawn(command);
        let address = eventually("the server listens", PATIENCE, async || {
            if let Some(address) = server.address() {
                return Some(address);
            }
            let ended = server.child.0.as_mut()?.try_wait().unwrap();
            assert!(ended.is_none(), "the server ended with {ended:?}: {}", server.said());
            None
        });
        server.base = address.await;
        server
    }

    /// Starts `command` and does not wait.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let to = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                to.lock().unwrap().push(line);
                // Nobody asks for it any more: the pipe has no reader from here on.
                if Arc::strong_count(&to) == 1 {
                    break;
                }
            }
        });
        let http = http().timeout(PATIENCE).build().unwrap();
        Self { child: Guarded(Some(child)), said, base: String::new(), http }
    }

    /// After the next line nobody reads its standard error any more.
    pub(crate) fn deafen(&mut self) {
        self.said = Arc::default();
    }

    /// Its files may not grow beyond so many bytes; `None`: as they like.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let id = self.child.0.as_ref().unwrap().id();
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Pid::from_raw(id.try_into().unwrap()), Resource::Fsize, limit).unwrap();
    }

    /// Starts `command`, which listens on `address`, and whose standard error is not for this to read.
    pub(crate) fn unheard(mut command: Command, address: &str) -> Self {
        let child = Guarded(Some(command.stdout(Stdio::null()).spawn().unwrap()));
        let http = http().timeout(PATIENCE).build().unwrap();
        Self { child, said: Arc::default(), base: format!("http://{address}"), http }
    }

    fn address(&self) -> Option<String> {
        let said = self.said.lock().unwrap();
        let line = said.iter().find_map(|line| line.strip_prefix(LISTENS))?;
        line.split(' ').next().map(str::to_owned)
    }

    /// Everything on its standard error so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// Waits until it has said `word`.
    pub(crate) async fn says(&self, word: &str) {
        eventually(word, PATIENCE, async || self.said().contains(word).then_some(())).await;
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.base.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// The process.
    pub(crate) fn pid(&self) -> Pid {
        let id = self.child.0.as_ref().unwrap().id();
        Pid::from_raw(id.try_into().unwrap()).unwrap()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// The most memory that it held at once, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let id = self.child.0.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let child = self.child.0.as_mut().unwrap();
        eventually("the server ends", limit, async || child.try_wait().unwrap()).await
    }

    /// Ends it as an operator does.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        assert!(self.ended(PATIENCE).await.success(), "{}", self.said());
    }

    /// Ends it as a crash does.
    pub(crate) async fn kill(mut self) {
        self.signal(Signal::KILL);
        self.ended(PATIENCE).await;
    }

    /// Somebody without a credential who waits no longer than this for an answer.
    pub(crate) fn impatient(&self, limit: Duration) -> Client {
        Client { limit: Some(limit), ..self.client() }
    }

    /// From now on clients trust these certificates, and no others.
    pub(crate) fn trust(&mut self, pem: &str) {
        let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).unwrap();
        let builder = http().timeout(PATIENCE);
        self.http = builder.tls_certs_only(certificates).build().unwrap();
    }

    /// Somebody without a credential.
    pub(crate) fn client(&self) -> Client {
        Client { http: self.http.clone(), base: self.base.clone(), credential: None, limit: None }
    }
}

/// Calls one server with one credential.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    pub(crate) credential: Option<String>,
    /// How long it waits for an answer, if not as long as everybody.
    limit: Option<Duration>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Client {
    /// The same with this credential.
    pub(crate) fn with(&self, credential: &str) -> Self {
        Self { credential: Some(credential.to_owned()), ..self.clone() }
    }

    /// The same at another address.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// Sends a request; an error when no whole answer came.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Reply> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(credential) = &self.credential {
            request = request.bearer_auth(credential);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(limit) = self.limit {
            request = request.timeout(limit);
        }
        Reply::read(request.send().await?).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.try_send(method, path, body).await.unwrap()
    }

    pub(crate) async fn try_get(&self, path: &str) -> reqwest::Result<Reply> {
        self.try_send(Method::GET, path, None).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Tries to sign in.
    pub(crate) async fn try_login(&self, username: &str, password: &str) -> Reply {
        self.post("/api/v1/users/auth/login", json!({ "username": username, "password": password })).await
    }

    /// Signs in.
    pub(crate) async fn login(&self, username: &str, password: &str) -> Self {
        let reply = self.try_login(username, password).await;
        reply.expect(StatusCode::OK);
        self.with(reply.text_at("/data/token"))
    }

    /// Makes a token: its id, and a client that uses it.
    pub(crate) async fn mint(&self, body: Value) -> (String, Self) {
        let reply = self.post("/api/v1/auth/tokens", body).await;
        reply.expect(StatusCode::CREATED);
        (reply.text_at("/data/id").to_owned(), self.with(reply.text_at("/data/token")))
    }

    /// The same for a permission, on this host.
    pub(crate) async fn check_on(&self, host: Option<&str>, permission: &str) -> Reply {
        let request = self.http.get(format!("{}/api/v1/auth/check?permission={permission}", self.base));
        let request = request.bearer_auth(self.credential.as_deref().unwrap_or_default());
        let request = host.into_iter().fold(request, |request, host| request.header("host", host));
        Reply::read(request.send().await.unwrap()).await.unwrap()
    }

    /// Whether the credential works: 204 or the refusal.
    pub(crate) async fn check(&self) -> Reply {
        self.get("/api/v1/auth/check").await
    }
}

impl Reply {
    async fn read(response: reqwest::Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Self { status, headers, body, text })
    }

    /// Fails the test unless this is the status.
    #[track_caller]
    pub(crate) fn expect(&self, status: StatusCode) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Fails the test unless it is refused with this status and code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{}", self.text);
        self
    }

    /// The text at this JSON pointer.
    #[track_caller]
    pub(crate) fn text_at(&self, pointer: &str) -> &str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer}: {}", self.text))
    }
}
