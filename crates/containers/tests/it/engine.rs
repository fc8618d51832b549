//! A container engine that keeps its containers in memory, notes each call, and fails as a test tells it to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 500 with Podman's words; nothing is done.
    Refused,
    /// It is done, and the connection breaks before the answer.
    Cut,
    /// Something that is no JSON.
    Rubbish,
    /// No answer, ever.
    Never,
    /// The answer comes after so many milliseconds.
    Slow(u64),
}

/// A container of this engine.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) body: Value,
}

#[derive(Debug, Default)]
struct Inside {
    containers: BTreeMap<String, Held>,
    /// References of images that are there, with what they were made from.
    images: BTreeMap<String, String>,
    /// Method and path of each call, and its body.
    calls: Vec<(String, Value)>,
    /// What the next calls whose line begins so do instead.
    faults: Vec<(String, Fault, usize)>,
    execs: BTreeMap<String, (Vec<String>, Vec<String>)>,
    next: u32,
    /// Whether it says that it does not enforce limits.
    is_boundless: bool,
    /// Commands that never end, until they are killed.
    is_killed: bool,
}

/// The engine, and its socket.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) socket: PathBuf,
    inside: Arc<Mutex<Inside>>,
    called: Arc<Notify>,
    server: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

#[derive(Clone)]
struct Shared {
    inside: Arc<Mutex<Inside>>,
    called: Arc<Notify>,
}

fn lock(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    inside.lock().unwrap()
}

impl Engine {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let inside = Arc::new(Mutex::new(Inside::default()));
        lock(&inside).images.insert("localhost/busybox".to_owned(), String::new());
        let called = Arc::<Notify>::default();
        let server = serve(&socket, Shared { inside: Arc::clone(&inside), called: Arc::clone(&called) });
        Self { socket, inside, called, server, _directory: directory }
    }

    /// Takes the engine away; its containers stay.
    pub(crate) fn go_down(&self) {
        self.server.abort();
        let _ = std::fs::remove_file(&self.socket);
    }

    pub(crate) fn come_back(&mut self) {
        let shared = Shared { inside: Arc::clone(&self.inside), called: Arc::clone(&self.called) };
        self.server = serve(&self.socket, shared);
    }

    /// The next `times` calls whose line, e.g. `POST /containers/create`, begins so fail.
    pub(crate) fn fail(&self, call: &str, fault: Fault, times: usize) {
        lock(&self.inside).faults.push((call.to_owned(), fault, times));
    }

    pub(crate) fn heal(&self) {
        lock(&self.inside).faults.clear();
    }

    /// Name and state of each container.
    pub(crate) fn containers(&self) -> Vec<(String, String)> {
        let inside = lock(&self.inside);
        inside.containers.iter().map(|(name, held)| (name.clone(), held.state.clone())).collect()
    }

    pub(crate) fn container(&self, name: &str) -> Option<Held> {
        lock(&self.inside).containers.get(name).cloned()
    }

    /// From now on it enforces no limits, as a rootless engine without delegated cgroups.
    pub(crate) fn lose_limits(&self) {
        lock(&self.inside).is_boundless = true;
    }

    /// Removes a container behind hoody's back.
    pub(crate) fn lose(&self, name: &str) {
        assert!(lock(&self.inside).containers.remove(name).is_some(), "{name}");
    }

    /// Removes an image behind hoody's back.
    pub(crate) fn lose_image(&self, name: &str) {
        assert!(lock(&self.inside).images.remove(name).is_some(), "{name}");
    }

    /// Puts a container there that hoody did not make.
    pub(crate) fn put(&self, name: &str, labels: &Value) {
        let held =
            Held { id: format!("{name}id"), state: "running".to_owned(), body: json!({ "Labels": labels }) };
        lock(&self.inside).containers.insert(name.to_owned(), held);
    }

    pub(crate) fn set_state(&self, name: &str, state: &str) {
        lock(&self.inside).containers.get_mut(name).unwrap().state = state.to_owned();
    }

    /// The images of snapshots.
    pub(crate) fn snapshots(&self) -> Vec<String> {
        let inside = lock(&self.inside);
        inside.images.keys().filter(|name| name.contains("hoody-snap")).cloned().collect()
    }

    /// How many calls there were whose line begins so.
    pub(crate) fn count_of(&self, call: &str) -> usize {
        lock(&self.inside).calls.iter().filter(|(line, _)| line.starts_with(call)).count()
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.inside).calls.len()
    }

    /// Returns when there were so many calls in all.
    pub(crate) async fn until_called(&self, count: usize) {
        let reached = async {
            loop {
                let called = self.called.notified();
                if self.count() >= count {
                    return;
                }
                called.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached).await.expect("the engine was called");
    }

    /// Returns when there were so many calls whose line begins so.
    pub(crate) async fn until_asked(&self, call: &str, count: usize) {
        let reached = async {
            loop {
                let called = self.called.notified();
                if self.count_of(call) >= count {
                    return;
                }
                called.await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(20), reached).await;
        reached.unwrap_or_else(|_| panic!("the engine was not asked to {call}"));
    }

    /// Whether a command was killed.
    pub(crate) fn has_killed(&self) -> bool {
        lock(&self.inside).is_killed
    }
}

fn serve(socket: &Path, shared: Shared) -> JoinHandle<()> {
    let listener = UnixListener::bind(socket).unwrap();
    let router = Router::new().fallback(answer).with_state(shared);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

async fn answer(State(shared): State<Shared>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches("/v1.41").to_owned();
    let line = format!("{} {path}", parts.method);
    let body = body.collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let fault = {
        let mut inside = lock(&shared.inside);
        inside.calls.push((line.clone(), body.clone()));
        let at = inside.faults.iter().position(|(call, _, times)| line.starts_with(call) && *times > 0);
        at.map(|at| {
            inside.faults[at].2 -= 1;
            inside.faults[at].1
        })
    };
    shared.called.notify_waiters();
    match fault {
        Some(Fault::Refused) => {
            return refused(StatusCode::INTERNAL_SERVER_ERROR, "something is wrong with me");
        }
        Some(Fault::Rubbish) => return Response::new(Body::from("<html>hello</html>")),
        Some(Fault::Never) => std::future::pending::<()>().await,
        Some(Fault::Slow(millis)) => tokio::time::sleep(Duration::from_millis(millis)).await,
        _ => {}
    }
    let response = act(&shared, &parts.method, &path, &parts.uri, body).await;
    if fault == Some(Fault::Cut) {
        // The body breaks off: the connection is closed before its end.
        let broken = futures_util::stream::iter([
            Ok(Bytes::from_static(b"{\"Id\":")),
            Err(std::io::Error::other("cut")),
        ]);
        return Response::new(Body::from_stream(broken));
    }
    response
}

fn refused(status: StatusCode, message: &str) -> Response {
    json_answer(status, &json!({ "cause": message, "message": message, "response": status.as_u16() }))
}

fn json_answer(status: StatusCode, body: &Value) -> Response {
    Response::builder().status(status).body(Body::from(body.to_string())).unwrap()
}

fn empty(status: StatusCode) -> Response {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

fn query(uri: &Uri, name: &str) -> String {
    let pairs: axum::extract::Query<Vec<(String, String)>> = axum::extract::Query::try_from_uri(uri).unwrap();
    pairs.0.into_iter().find(|(key, _)| key == name).map(|(_, value)| value).unwrap_or_default()
}

async fn act(shared: &Shared, method: &Method, path: &str, uri: &Uri, body: Value) -> Response {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["_ping"]) => empty(StatusCode::OK),
        ("GET", ["info"]) => {
            let has_limits = !lock(&shared.inside).is_boundless;
            json_answer(StatusCode::OK, &json!({ "MemoryLimit": has_limits, "PidsLimit": has_limits }))
        }
        ("POST", ["exec", id, "start"]) => run(shared, id).await,
        ("GET", ["exec", id, "json"]) => {
            let inside = lock(&shared.inside);
            let code = inside.execs.get(*id).map_or(0, |(words, _)| {
                words
                    .last()
                    .and_then(|word| word.strip_prefix("exit "))
                    .map_or(0, |code| code.parse().unwrap())
            });
            json_answer(StatusCode::OK, &json!({ "Running": false, "ExitCode": code }))
        }
        (_, ["containers", ..]) => containers(&mut lock(&shared.inside), method, &parts, uri, body),
        _ => images(&mut lock(&shared.inside), method, path, uri),
    }
}

fn containers(inside: &mut Inside, method: &Method, parts: &[&str], uri: &Uri, body: Value) -> Response {
    let missing = || refused(StatusCode::NOT_FOUND, "no such container");
    inside.next += 1;
    let number = inside.next;
    match (method.as_str(), parts) {
        ("POST", ["containers", "create"]) => {
            let name = query(uri, "name");
            let image = body["Image"].as_str().unwrap_or_default();
            if inside.containers.contains_key(&name) {
                return refused(StatusCode::INTERNAL_SERVER_ERROR, "that name is already in use");
            }
            let is_known = inside.images.iter().any(|(tag, id)| tag == image || id == image);
            if !is_known {
                return refused(StatusCode::NOT_FOUND, "no such image");
            }
            let id = format!("c{number}");
            inside.containers.insert(name, Held { id: id.clone(), state: "created".to_owned(), body });
            json_answer(StatusCode::CREATED, &json!({ "Id": id }))
        }
        ("GET", ["containers", "json"]) => {
            let wanted: Value = serde_json::from_str(&query(uri, "filters")).unwrap();
            let wanted = wanted["label"][0].as_str().unwrap().to_owned();
            let (key, value) = wanted.split_once('=').unwrap();
            let listed = inside.containers.iter().filter(|(_, held)| held.body["Labels"][key] == value);
            let listed: Vec<Value> = listed
                .map(|(name, held)| {
                    json!({ "Id": held.id, "Names": [format!("/{name}")], "State": held.state,
                        "Labels": held.body["Labels"] })
                })
                .collect();
            json_answer(StatusCode::OK, &json!(listed))
        }
        ("GET", ["containers", name, "json"]) => match inside.containers.get(*name) {
            None => missing(),
            Some(held) => json_answer(
                StatusCode::OK,
                &json!({ "Id": held.id, "Name": format!("/{name}"), "State": { "Status": held.state },
                    "Config": { "Labels": held.body["Labels"] } }),
            ),
        },
        ("GET", ["containers", name, "stats"]) if inside.containers.contains_key(*name) => json_answer(
            StatusCode::OK,
            &json!({ "cpu_stats": { "cpu_usage": { "total_usage": 7_000 } }, "pids_stats": { "current": 2 },
                "memory_stats": { "usage": 1_048_576, "limit": 536_870_912 } }),
        ),
        ("POST", ["containers", name, "exec"]) => exec(inside, name, &body, number),
        ("POST", ["containers", name, "rename"]) => {
            let new_name = query(uri, "name");
            match inside.containers.remove(*name) {
                None => missing(),
                Some(held) => {
                    inside.containers.insert(new_name, held);
                    empty(StatusCode::NO_CONTENT)
                }
            }
        }
        ("POST", ["containers", name, act]) => {
            let state = if matches!(*act, "start" | "restart") { "running" } else { "exited" };
            match inside.containers.get_mut(*name) {
                None => missing(),
                Some(held) if held.state == state => empty(StatusCode::NOT_MODIFIED),
                Some(held) => {
                    held.state = state.to_owned();
                    empty(StatusCode::NO_CONTENT)
                }
            }
        }
        ("DELETE", ["containers", name]) => match inside.containers.remove(*name) {
            None => missing(),
            Some(_) => empty(StatusCode::NO_CONTENT),
        },
        _ => refused(StatusCode::NOT_FOUND, "no such route"),
    }
}

/// Notes a command that is to run.
fn exec(inside: &mut Inside, name: &str, body: &Value, number: u32) -> Response {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    match inside.containers.get(name) {
        Some(held) if held.state == "running" => {
            let id = format!("e{number}");
            inside.execs.insert(id.clone(), (texts(&body["Cmd"]), texts(&body["Env"])));
            json_answer(StatusCode::CREATED, &json!({ "Id": id }))
        }
        Some(_) => refused(StatusCode::INTERNAL_SERVER_ERROR, "container state improper"),
        None => refused(StatusCode::NOT_FOUND, "no such container"),
    }
}

fn images(inside: &mut Inside, method: &Method, path: &str, uri: &Uri) -> Response {
    match (method.as_str(), path) {
        ("POST", "/commit") => {
            inside.next += 1;
            let id = format!("sha256:{:064x}", inside.next);
            if !inside.containers.contains_key(&query(uri, "container")) {
                return refused(StatusCode::NOT_FOUND, "no such container");
            }
            let tag = format!("{}:{}", query(uri, "repo"), query(uri, "tag"));
            inside.images.insert(tag, id.clone());
            json_answer(StatusCode::CREATED, &json!({ "Id": id }))
        }
        ("GET", "/images/json") => {
            let listed: Vec<Value> = inside
                .images
                .iter()
                .map(|(tag, id)| json!({ "Id": format!("{id}x"), "RepoTags": [tag] }))
                .collect();
            json_answer(StatusCode::OK, &json!(listed))
        }
        ("GET", _) => {
            let name = path.trim_start_matches("/images/").trim_end_matches("/json");
            let found = inside.images.iter().find(|(tag, id)| tag.as_str() == name || id.as_str() == name);
            match found {
                None => refused(StatusCode::NOT_FOUND, "no such image"),
                Some((_, id)) => {
                    json_answer(StatusCode::OK, &json!({ "Id": format!("{id}x"), "Size": 2_100_000 }))
                }
            }
        }
        ("DELETE", _) => match inside.images.remove(path.trim_start_matches("/images/")) {
            None => refused(StatusCode::NOT_FOUND, "no such image"),
            Some(_) => json_answer(StatusCode::OK, &json!([])),
        },
        _ => refused(StatusCode::NOT_FOUND, "no such route"),
    }
}

fn frame(stream: u8, text: &[u8]) -> Bytes {
    let mut bytes = vec![stream, 0, 0, 0];
    bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    bytes.extend(text);
    bytes.into()
}

/// The output of a command: `echo TEXT`, `env`, `exit N`, `flood N` (bytes), `hang`, or one that kills others.
async fn run(shared: &Shared, id: &str) -> Response {
    let (words, environment) = lock(&shared.inside).execs.get(id).cloned().unwrap();
    let script = words.last().cloned().unwrap_or_default();
    if script.contains("kill -KILL") {
        lock(&shared.inside).is_killed = true;
        shared.called.notify_waiters();
        return Response::new(Body::empty());
    }
    if script == "hang" {
        let (inside, called) = (Arc::clone(&shared.inside), Arc::clone(&shared.called));
        let beginning = futures_util::stream::iter([Ok::<_, std::io::Error>(frame(1, b"begun"))]);
        let end = futures_util::stream::once(async move {
            loop {
                let heard = called.notified();
                if lock(&inside).is_killed {
                    return Ok(Bytes::new());
                }
                heard.await;
            }
        });
        let both = futures_util::StreamExt::chain(beginning, end);
        return Response::new(Body::from_stream(both));
    }
    let output = match script.split_once(' ') {
        Some(("echo", text)) => vec![frame(1, text.as_bytes()), frame(2, b"noise")],
        Some(("flood", count)) => vec![frame(1, &vec![b'x'; count.parse().unwrap()])],
        _ if script == "env" => vec![frame(1, environment.join("\n").as_bytes())],
        _ => Vec::new(),
    };
    Response::new(Body::from(output.concat()))
}
