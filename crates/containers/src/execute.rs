//! Commands in containers: started, read up to a limit, and ended, also when nobody waits for them any more.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use hoody_core::container::{DEFAULT_TIMEOUT, MAX_COMMAND, MAX_TIMEOUT, Status};
use hoody_core::id::{ContainerId, Id};
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::wire::{Executed, Secret};
use hoody_engine::error::Error;
use hoody_engine::tasks;
use hoody_engine::work::Room;
use serde_json::Value;

use crate::model::Container;
use crate::runtime::{EngineError, Output, Running, Runtime};
use crate::state::{Containers, engine_down};

/// How much of each stream an answer holds.
pub const MAX_OUTPUT: usize = 1024 * 1024;
/// How long a killed command's output may take to end: the script that kills it has five seconds.
const AFTER_KILL: Duration = Duration::from_secs(8);
/// The variable that marks the processes of a command.
const MARK: &str = "HOODY_RUN";

/// A command that was asked for. Its text may hold secrets and cannot be printed.
#[derive(Debug)]
pub struct Command {
    text: Secret,
    timeout: Duration,
    directory: Option<String>,
}

/// A command that runs. Dropped before its end, it is killed.
#[derive(Debug)]
pub struct Session {
    running: Running,
    runtime: Runtime,
    end: EndGuard,
    until: Instant,
    _place: Room<ContainerId>,
}

/// What a command that runs gives next.
#[derive(Debug)]
pub enum Told {
    Piece(Output, Bytes),
    /// With its exit code; `None` when the engine does not know it.
    Ended(Option<i64>),
    /// Its time was over, and it was killed.
    TimedOut,
}

/// Kills what is left of a command when it is dropped.
#[derive(Debug)]
struct EndGuard {
    runtime: Runtime,
    name: String,
    run: String,
    mark: String,
    is_over: bool,
}

impl Command {
    /// Reads the body of an execute. Keys that it does not know are ignored.
    pub fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let text = fields.string("command");
        let timeout = fields.number("timeout").map(|number| {
            let seconds = number.as_u64().filter(|seconds| (1..=MAX_TIMEOUT).contains(seconds));
            seconds.ok_or_else(|| {
                Invalid::validation(format!(
                    "timeout must be a whole number of seconds from 1 to {MAX_TIMEOUT}"
                ))
            })
        });
        let timeout = timeout.and_then(|timeout| fields.absorb(timeout));
        let directory = fields.string("cwd").map(|text| {
            let is_path = text.starts_with('/') && text.len() <= 4_096 && !text.contains('\0');
            if is_path {
                Ok(text.to_owned())
            } else {
                Err(Invalid::validation("cwd must be an absolute path"))
            }
        });
        let directory = directory.and_then(|directory| fields.absorb(directory));
        for later in ["wait", "terminal_id"] {
            let is_asked = fields.value(later).is_some_and(|value| *value != Value::Bool(true));
            if is_asked {
                let message = format!("{later}: only commands that are waited for are supported");
                fields.absorb::<()>(Err(Invalid::rule("NOT_SUPPORTED", message)));
            }
        }
        fields.close_open()?;
        let text = text.ok_or_else(|| Invalid::missing("command"))?;
        if text.is_empty() || text.len() > MAX_COMMAND || text.contains('\0') {
            let message = format!("command must have 1 to {MAX_COMMAND} bytes and no NUL");
            return Err(Invalid::validation(message));
        }
        let timeout = Duration::from_secs(timeout.unwrap_or(DEFAULT_TIMEOUT));
        Ok(Self { text: Secret::new(text), timeout, directory })
    }
}

impl Session {
    /// Starts a command.
    ///
    /// # Errors
    /// 503 without an engine or a free place, 409 when the container does not run.
    pub async fn begin(
        state: &Arc<Containers>,
        container: &Container,
        command: &Command,
    ) -> Result<Self, Error> {
        let runtime = state.runtime().await?;
        if container.status != Status::Running {
            return Err(not_running(container.status.as_str()));
        }
        let place = state.commands.take(container.id, 1024).await?;
        let mut environment = Vec::new();
        for (name, value) in container.open_environment(&state.keys)? {
            environment.push(Secret::new(format!("{name}={}", value.expose())));
        }
        let run: Id<()> = state.clock.new_id();
        let run = run.to_string();
        let mark = format!("{}.{run}", state.process);
        environment.push(Secret::new(format!("{MARK}={mark}")));
        let name = container.engine_name();
        let mut end = EndGuard { runtime: runtime.clone(), name: name.clone(), run, mark, is_over: false };
        let until = Instant::now() + command.timeout;
        let shell = ["/bin/sh", "-c", command.text.expose()];
        let started = runtime.exec(&name, &shell, &environment, command.directory.as_deref()).await;
        let running = match started {
            Ok(running) => running,
            Err(error) => {
                // What the engine refused does not run; anything else may.
                end.is_over = matches!(error, EngineError::Refused { .. } | EngineError::NotFound(_));
                return Err(refused(runtime, &name, error).await);
            }
        };
        Ok(Self { running, runtime: runtime.clone(), end, until, _place: place })
    }

    /// Names this run.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.end.run
    }

    /// What comes next; after [`Told::Ended`] and [`Told::TimedOut`] nothing does.
    ///
    /// # Errors
    /// 503 when the engine breaks off.
    pub async fn next(&mut self) -> Result<Told, Error> {
        let next = tokio::time::timeout_at(self.until, self.running.next()).await;
        match next {
            Err(_) => {
                self.end.kill(&mut self.running).await;
                Ok(Told::TimedOut)
            }
            Ok(Ok(Some((output, piece)))) => Ok(Told::Piece(output, piece)),
            Ok(Ok(None)) => {
                let code = self.runtime.exit_code(&self.running).await.unwrap_or_default();
                // An engine that was killed ends the output while the command goes on.
                self.end.is_over = code.is_some();
                Ok(Told::Ended(code))
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the output of a command broke off");
                Err(engine_down())
            }
        }
    }

    /// Reads a command to its end.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn collect(mut self, terminal: &str) -> Result<Executed, Error> {
        let (mut out, mut err, mut truncated) = (Vec::new(), Vec::new(), false);
        let (status, exit_code) = loop {
            match self.next().await? {
                Told::Piece(output, piece) => {
                    let kept = if output == Output::Out { &mut out } else { &mut err };
                    let room = MAX_OUTPUT - kept.len();
                    truncated |= piece.len() > room;
                    kept.extend_from_slice(&piece[..piece.len().min(room)]);
                }
                Told::Ended(Some(code)) => break ("completed", Some(code)),
                Told::Ended(None) => break ("unknown", None),
                Told::TimedOut => break ("timeout", None),
            }
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Executed {
            command_id: self.end.run.clone(),
            terminal_id: terminal.to_owned(),
            status: status.to_owned(),
            exit_code,
            stdout: text(out),
            stderr: text(err),
            truncated,
        })
    }
}

/// 409 for a container that does not run.
fn not_running(status: &str) -> Error {
    Error::Conflict {
        code: "OPERATION_STATE_CONFLICT",
        message: format!(
            "The container is {status}; commands run in running containers only: start it first"
        ),
    }
}

/// What an engine's refusal to start a command means: the container's state says more than the status.
async fn refused(runtime: &Runtime, name: &str, error: EngineError) -> Error {
    match error {
        EngineError::Down(_) | EngineError::Slow => engine_down(),
        EngineError::NotFound(_) => not_running("gone"),
        error => match runtime.inspect(name).await {
            Ok(Some(seen)) if Status::of_engine(&seen.state) == Some(Status::Running) => {
                tracing::warn!(%error, "the container engine does not start a command");
                Error::Other {
                    status: StatusCode::UNPROCESSABLE_ENTITY,
                    code: "COMMAND_NOT_STARTED",
                    message:
                        "The container engine does not start the command: the image needs a /bin/sh, and the \
                              container a free process"
                            .to_owned(),
                    retry_after: None,
                }
            }
            Ok(Some(_)) => not_running("not running"),
            Ok(None) => not_running("gone"),
            Err(_) => engine_down(),
        },
    }
}

impl EndGuard {
    /// Kills the command and waits a while for the end of its output. What is left of it is killed with its container,
    /// also when nobody waits any more: an engine may take long for that.
    async fn kill(&mut self, running: &mut Running) {
        self.is_over = true;
        drop(self.spawn_kill());
        let rest = async { while let Ok(Some(_)) = running.next().await {} };
        if tokio::time::timeout(AFTER_KILL, rest).await.is_err() {
            tracing::warn!(container = self.name, "a command survived its end, and its container is killed");
            let (runtime, name) = (self.runtime.clone(), self.name.clone());
            drop(tasks::once("container-kill", async move { runtime.kill(&name).await }));
        }
    }

    fn spawn_kill(&self) -> tokio::task::JoinHandle<()> {
        let (runtime, name, mark) = (self.runtime.clone(), self.name.clone(), self.mark.clone());
        tasks::once("container-command-end", async move { kill(&runtime, &name, &mark).await })
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        if self.is_over || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        drop(self.spawn_kill());
    }
}

/// Kills every process that carries the mark of this run, its children too. There is no call of the engine for
/// it: another command does it. Where no process is left for that one, the container is killed.
async fn kill(runtime: &Runtime, name: &str, mark: &str) {
    let script = format!(
        "n=0; while [ $n -lt 5 ]; do f=$(grep -l {MARK}={mark} /proc/[0-9]*/environ 2>/dev/null); [ -n \"$f\" ] || exit 0; \
         for e in $f; do p=${{e#/proc/}}; kill -KILL ${{p%/environ}} 2>/dev/null; done; n=$((n+1)); done; exit 9"
    );
    let killing = async {
        let mut running = runtime.exec(name, &["/bin/sh", "-c", &script], &[], None).await?;
        while running.next().await?.is_some() {}
        runtime.exit_code(&running).await
    };
    match tokio::time::timeout(Duration::from_secs(5), killing).await {
        Ok(Ok(Some(0))) => {}
        Ok(Err(EngineError::NotFound(_))) => {}
        _ => {
            tracing::warn!(container = name, "a command could not be ended, and its container is killed");
            if let Err(error) = runtime.kill(name).await {
                tracing::warn!(%error, container = name, "the container could not be killed");
            }
        }
    }
}

/// Kills the commands in a container that another process started, which has ended: nobody reads their output.
pub async fn end_orphans(state: &Containers, runtime: &Runtime, name: &str) {
    let script = format!(
        "for e in $(grep -l {MARK}= /proc/[0-9]*/environ 2>/dev/null); do grep -q {MARK}={} $e && continue; \
         p=${{e#/proc/}}; kill -KILL ${{p%/environ}} 2>/dev/null; done",
        state.process
    );
    let ending = async {
        let mut running = runtime.exec(name, &["/bin/sh", "-c", &script], &[], None).await?;
        while running.next().await?.is_some() {}
        Ok::<_, EngineError>(())
    };
    match tokio::time::timeout(Duration::from_secs(5), ending).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, container = name, "old commands could not be ended"),
        Err(_) => tracing::debug!(container = name, "old commands could not be ended in time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_command_is_read_with_its_limits() {
        let command = Command::parse(&json!({ "command": "ls", "other": 1 })).unwrap();
        assert_eq!(command.timeout, Duration::from_secs(60));
        assert!(!format!("{command:?}").contains("ls"), "its text is not printed");
        let command = Command::parse(&json!({ "command": "ls", "timeout": 600, "cwd": "/tmp" })).unwrap();
        assert_eq!((command.timeout.as_secs(), command.directory.as_deref()), (600, Some("/tmp")));
        for bad in [
            json!({}),
            json!({ "command": "" }),
            json!({ "command": 1 }),
            json!({ "command": "a\u{0}" }),
            json!({ "command": "x".repeat(65_537) }),
            json!({ "command": "ls", "timeout": 0 }),
            json!({ "command": "ls", "timeout": 601 }),
            json!({ "command": "ls", "timeout": 1.5 }),
            json!({ "command": "ls", "cwd": "tmp" }),
            json!({ "command": "ls", "wait": false }),
            json!({ "command": "ls", "terminal_id": "x" }),
            json!([]),
        ] {
            assert!(Command::parse(&bad).is_err(), "{bad}");
        }
    }
}
