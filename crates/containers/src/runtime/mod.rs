//! The container engine: Docker's API over a unix socket, as Podman and Docker have it. Paths are built from ids and
//! names that hoody makes, never from what a request says, and bodies from types that lack mounts, devices and
//! capabilities.

mod frames;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use hoody_core::wire::Secret;

use frames::Frames;
pub use frames::Output;
pub use wire::EngineError;
use wire::Wire;

/// For what an engine answers from memory.
const QUICK: Duration = Duration::from_secs(5);
/// For what starts, stops or removes processes.
const WORK: Duration = Duration::from_secs(25);
/// For what writes an image.
const WRITE: Duration = Duration::from_secs(60);
/// How long the processes of a container have between the wish that they end and their end.
const STOP_GRACE: u32 = 10;

/// The container engine of this node.
#[derive(Debug, Clone)]
pub struct Runtime {
    wire: Wire,
}

/// What a container may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes.
    pub memory: u64,
    /// Billionths of a processor.
    pub nano_cpus: u64,
    /// Processes and threads.
    pub pids: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { memory: 512 << 20, nano_cpus: 1_000_000_000, pids: 512 }
    }
}

/// A container to be made. There is no way to say more than this.
#[derive(Debug)]
pub struct Spec<'a> {
    /// The image's reference or id.
    pub image: &'a str,
    /// The host name in the container.
    pub hostname: &'a str,
    /// Labels: for finding it again, never for permission.
    pub labels: Vec<(&'static str, String)>,
    pub bounds: &'a Bounds,
}

/// A container as the engine knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The engine's id.
    pub id: String,
    pub name: String,
    /// The engine's word; there are more of them than any version knows.
    pub state: String,
    /// The label `hoody.operation`.
    pub operation: String,
    /// The label `hoody.container`.
    pub container: String,
}

/// An image that a snapshot made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotImage {
    pub id: String,
    /// `localhost/hoody-snap/<container>:<name>`
    pub tag: String,
}

/// Numbers of a running container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Nanoseconds of processor time.
    pub cpu: u64,
    pub memory: u64,
    pub memory_limit: u64,
    pub pids: u64,
}

/// A command that runs: its output as it comes.
#[derive(Debug)]
pub struct Running {
    exec: String,
    body: Incoming,
    frames: Frames,
}

impl Runtime {
    /// The engine that listens on this socket.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { wire: Wire::new(socket) }
    }

    /// Whether the engine enforces the limits of memory and of processes.
    pub async fn has_limits(&self) -> Result<bool, EngineError> {
        let info = self.wire.json(Method::GET, "/info", None, QUICK).await?;
        Ok(info["MemoryLimit"] == true && info["PidsLimit"] != false)
    }

    /// Whether it answers.
    pub async fn ping(&self) -> Result<(), EngineError> {
        self.wire.call(Method::GET, "/_ping", None, QUICK).await.map(drop)
    }

    /// Makes a container; the engine's id.
    pub async fn create(&self, name: &str, spec: &Spec<'_>) -> Result<String, EngineError> {
        let path = format!("/containers/create?name={name}");
        let made = self.wire.json(Method::POST, &path, Some(&body_of(spec)), WORK).await?;
        text(&made, "Id")
    }

    pub async fn start(&self, name: &str) -> Result<(), EngineError> {
        self.post(&format!("/containers/{name}/start")).await
    }

    pub async fn stop(&self, name: &str) -> Result<(), EngineError> {
        self.post(&format!("/containers/{name}/stop?t={STOP_GRACE}")).await
    }

    pub async fn kill(&self, name: &str) -> Result<(), EngineError> {
        self.post(&format!("/containers/{name}/kill?signal=KILL")).await
    }

    pub async fn rename(&self, name: &str, new_name: &str) -> Result<(), EngineError> {
        self.post(&format!("/containers/{name}/rename?name={new_name}")).await
    }

    async fn post(&self, path: &str) -> Result<(), EngineError> {
        self.wire.call(Method::POST, path, None, WORK).await.map(drop)
    }

    /// Removes a container, whatever state it is in; one that is not there counts as removed.
    pub async fn remove(&self, name: &str) -> Result<(), EngineError> {
        let path = format!("/containers/{name}?force=true&v=true");
        gone(self.wire.call(Method::DELETE, &path, None, WORK).await.map(drop))
    }

    /// The container of this name; `None` when there is none.
    pub async fn inspect(&self, name: &str) -> Result<Option<Seen>, EngineError> {
        let path = format!("/containers/{name}/json");
        let found = match self.wire.json(Method::GET, &path, None, QUICK).await {
            Err(EngineError::NotFound(_)) => return Ok(None),
            found => found?,
        };
        let label = |name: &str| found["Config"]["Labels"][name].as_str().unwrap_or_default().to_owned();
        Ok(Some(Seen {
            id: text(&found, "Id")?,
            name: text(&found, "Name")?.trim_start_matches('/').to_owned(),
            state: text(&found["State"], "Status")?,
            operation: label("hoody.operation"),
            container: label("hoody.container"),
        }))
    }

    /// Every container with this label, running or not.
    pub async fn list(&self, label: &str) -> Result<Vec<Seen>, EngineError> {
        let path = format!("/containers/json?all=true&filters={}", filters(&json!({ "label": [label] })));
        let found = self.wire.json(Method::GET, &path, None, QUICK).await?;
        let each = |one: &Value| {
            let label = |name: &str| one["Labels"][name].as_str().unwrap_or_default().to_owned();
            Ok(Seen {
                id: text(one, "Id")?,
                name: one["Names"][0].as_str().unwrap_or_default().trim_start_matches('/').to_owned(),
                state: text(one, "State")?,
                operation: label("hoody.operation"),
                container: label("hoody.container"),
            })
        };
        list_of(&found)?.iter().map(each).collect()
    }

    /// Writes the container's file system into an image with this tag and label; the image's id.
    pub async fn commit(
        &self,
        name: &str,
        (repository, tag): (&str, &str),
        label: &str,
    ) -> Result<String, EngineError> {
        // Podman reads labels from `changes` alone, and wants a body.
        let path = format!(
            "/commit?container={name}&repo={}&tag={tag}&pause=true&changes={}",
            escaped(repository),
            escaped(&format!("LABEL {label}"))
        );
        let made = self.wire.json(Method::POST, &path, Some(&json!({})), WRITE).await?;
        text(&made, "Id")
    }

    /// An image's id and size; `None` when there is none of this name.
    pub async fn image(&self, name: &str) -> Result<Option<(String, u64)>, EngineError> {
        let path = format!("/images/{}/json", escaped_path(name));
        match self.wire.json(Method::GET, &path, None, QUICK).await {
            Err(EngineError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
            Ok(found) => Ok(Some((text(&found, "Id")?, found["Size"].as_u64().unwrap_or_default()))),
        }
    }

    /// The images that snapshots made, with this label.
    pub async fn images(&self, label: &str) -> Result<Vec<SnapshotImage>, EngineError> {
        let path = format!("/images/json?filters={}", filters(&json!({ "label": [label] })));
        let found = self.wire.json(Method::GET, &path, None, QUICK).await?;
        let mut images = Vec::new();
        for one in list_of(&found)? {
            let id = text(one, "Id")?;
            for tag in one["RepoTags"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                images.push(SnapshotImage { id: id.clone(), tag: tag.to_owned() });
            }
        }
        Ok(images)
    }

    /// Removes the tag of an image; one that is not there counts as removed. Containers made from it go on.
    pub async fn remove_image(&self, name: &str) -> Result<(), EngineError> {
        let path = format!("/images/{}?noprune=false", escaped_path(name));
        gone(self.wire.call(Method::DELETE, &path, None, WORK).await.map(drop))
    }

    pub async fn numbers(&self, name: &str) -> Result<Numbers, EngineError> {
        let path = format!("/containers/{name}/stats?stream=false&one-shot=true");
        let found = self.wire.json(Method::GET, &path, None, QUICK).await?;
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        Ok(Numbers {
            cpu: number(&found["cpu_stats"]["cpu_usage"]["total_usage"]),
            memory: number(&found["memory_stats"]["usage"]),
            memory_limit: number(&found["memory_stats"]["limit"]),
            pids: number(&found["pids_stats"]["current"]),
        })
    }

    /// Starts a command in a container.
    pub async fn exec(
        &self,
        name: &str,
        command: &[&str],
        environment: &[Secret],
        directory: Option<&str>,
    ) -> Result<Running, EngineError> {
        let environment: Vec<&str> = environment.iter().map(Secret::expose).collect();
        let mut body =
            json!({ "AttachStdout": true, "AttachStderr": true, "Cmd": command, "Env": environment });
        if let Some(directory) = directory {
            body["WorkingDir"] = json!(directory);
        }
        let path = format!("/containers/{name}/exec");
        let made = self.wire.json(Method::POST, &path, Some(&body), QUICK).await?;
        let exec = text(&made, "Id")?;
        if !exec.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(EngineError::Unreadable("an exec's id".to_owned()));
        }
        let start = json!({ "Detach": false, "Tty": false });
        let body = self.wire.stream(&format!("/exec/{exec}/start"), &start, WORK).await?;
        Ok(Running { exec, body, frames: Frames::default() })
    }

    /// The exit code of a command whose output has ended; `None` when the engine does not know of its end. An engine
    /// that was killed ends the output while the command goes on.
    pub async fn exit_code(&self, running: &Running) -> Result<Option<i64>, EngineError> {
        let path = format!("/exec/{}/json", running.exec);
        for attempt in 0..20_u64 {
            let found = match self.wire.json(Method::GET, &path, None, QUICK).await {
                Err(EngineError::NotFound(_)) => return Ok(None),
                found => found?,
            };
            if found["Running"] == false {
                return Ok(found["ExitCode"].as_i64());
            }
            tokio::time::sleep(Duration::from_millis(5 * (attempt + 1))).await;
        }
        Ok(None)
    }
}

impl Running {
    /// The next piece of output; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<(Output, Bytes)>, EngineError> {
        loop {
            match self.frames.next() {
                Ok(Some(piece)) => return Ok(Some(piece)),
                Ok(None) => {}
                Err(_) => return Err(EngineError::Unreadable("the output of a command".to_owned())),
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(EngineError::Down(error.to_string())),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.frames.push(bytes);
                    }
                }
            }
        }
    }
}

/// The whole of what an engine is told of a new container.
fn body_of(spec: &Spec<'_>) -> Value {
    let labels: serde_json::Map<_, _> =
        spec.labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let Bounds { memory, nano_cpus, pids } = spec.bounds;
    json!({
        "Image": spec.image,
        "Hostname": spec.hostname,
        "Cmd": ["/bin/sleep", "infinity"],
        "User": "1000:1000",
        "Labels": labels,
        "HostConfig": {
            "Init": true,
            "NetworkMode": "none",
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Memory": memory,
            "MemorySwap": memory,
            "NanoCpus": nano_cpus,
            "PidsLimit": pids,
            // Sent always: the engine's own defaults may be more than it is allowed to set.
            "Ulimits": [
                { "Name": "nofile", "Soft": 4096, "Hard": 4096 },
                { "Name": "nproc", "Soft": 4096, "Hard": 4096 },
            ],
            "LogConfig": { "Type": "none" },
            "Tmpfs": { "/tmp": "rw,size=64m,mode=1777" },
            "RestartPolicy": { "Name": "no" },
        },
    })
}

fn gone(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(EngineError::NotFound(_)) => Ok(()),
        result => result,
    }
}

fn text(value: &Value, name: &'static str) -> Result<String, EngineError> {
    let text = value[name].as_str().filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| EngineError::Unreadable(format!("no {name}")))
}

fn list_of(value: &Value) -> Result<&Vec<Value>, EngineError> {
    value.as_array().ok_or_else(|| EngineError::Unreadable("no list".to_owned()))
}

fn filters(filters: &Value) -> String {
    escaped(&filters.to_string())
}

/// A value for a query: everything but unreserved characters as `%XX` (RFC 3986, 2.1).
fn escaped(text: &str) -> String {
    escape(text, b"")
}

/// A name in a path: an image's keeps its slashes and colons.
fn escaped_path(text: &str) -> String {
    escape(text, b"/:")
}

fn escape(text: &str, kept: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_container_has_limits_and_nothing_of_the_host() {
        let spec = Spec {
            image: "localhost/x",
            hostname: "web",
            labels: vec![("hoody.container", "65a1b2c3d4e5f60718293a4b".to_owned())],
            bounds: &Bounds::default(),
        };
        let body = body_of(&spec);
        let host = &body["HostConfig"];
        assert_eq!(host["NetworkMode"], "none");
        assert_eq!(host["CapDrop"], json!(["ALL"]));
        assert_eq!(host["Memory"], host["MemorySwap"]);
        assert_eq!((host["Memory"].as_u64(), host["PidsLimit"].as_u64()), (Some(536_870_912), Some(512)));
        for absent in
            ["Binds", "Mounts", "Devices", "Privileged", "CapAdd", "PidMode", "IpcMode", "VolumesFrom"]
        {
            assert!(host.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn what_goes_into_a_query_cannot_leave_it() {
        assert_eq!(escaped("LABEL a=b&c d"), "LABEL%20a%3Db%26c%20d");
        assert_eq!(escaped_path("localhost/hoody-snap/a:b?c"), "localhost/hoody-snap/a:b%3Fc");
    }
}
