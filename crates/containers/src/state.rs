//! What the endpoints, the worker and the terminals of containers share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::watch;
use tokio::time::Instant;

use hoody_core::container::{Images, ServerNames};
use hoody_core::id::ContainerId;
use hoody_engine::clock::Clock;
use hoody_engine::db::Db;
use hoody_engine::engine::Engine;
use hoody_engine::error::Error;
use hoody_engine::feed::Feed;
use hoody_engine::keys::Keys;
use hoody_engine::nodes::Nodes;
use hoody_engine::web::list::ListRooms;
use hoody_engine::web::{Access, Lends};
use hoody_engine::work::Rooms;

use crate::model::{Container, OperationId};
use crate::runtime::{Bounds, EngineError, Runtime};
use crate::store;

/// How many containers one server has at most.
pub const MAX_OF_SERVER: i64 = 500;
/// How many snapshots a container has at most.
pub const MAX_SNAPSHOTS: i64 = 50;
/// How many commands run at the same time on this node, and how many of them in one container.
const MAX_COMMANDS: usize = 16;
const MAX_COMMANDS_OF_ONE: usize = 4;
/// How long a request waits for the server to do something.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How often a request that waits looks whether another node has written something.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// After how many seconds a client is to come back when the engine is down.
const RETRY_AFTER: u64 = 5;

/// The settings of containers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The socket of the container engine; none runs no containers.
    pub socket: Option<PathBuf>,
    /// This node's name and further ids.
    pub server: ServerNames,
    pub images: Images,
    /// The domain below which servers and their containers have host names.
    pub domain: String,
    /// Whether terminals answer without a credential where nothing else is said.
    pub is_open: bool,
    pub bounds: Bounds,
}

/// Containers: their rows, the engine that runs them, and their terminals.
#[derive(Debug)]
pub struct Containers {
    pub access: Arc<Access>,
    pub db: Db,
    pub keys: Arc<Keys>,
    pub clock: Clock,
    pub feed: Feed,
    pub nodes: Nodes,
    pub lists: ListRooms,
    pub settings: Settings,
    pub runtime: Option<Runtime>,
    /// Marks the commands that this process starts.
    pub process: String,
    /// The commands that run: a KiB each.
    pub commands: Rooms<ContainerId>,
    /// Whether the engine answered the last time.
    is_up: AtomicBool,
    /// Whether the engine has said that it enforces limits.
    has_limits: AtomicBool,
    /// Wakes the worker.
    work: watch::Sender<()>,
    /// Wakes requests that wait for the worker.
    done: watch::Sender<()>,
}

impl Containers {
    /// Containers on the database of `engine`.
    #[must_use]
    pub fn new(engine: &Engine, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            keys: Arc::clone(&engine.keys),
            clock: engine.clock.clone(),
            feed: engine.feed.clone(),
            nodes: engine.nodes.clone(),
            lists: engine.lists.clone(),
            runtime: settings.socket.clone().map(Runtime::new),
            settings,
            process: engine.clock.new_id::<()>().to_string(),
            commands: Rooms::new(MAX_COMMANDS * 1024, MAX_COMMANDS_OF_ONE * 1024),
            is_up: AtomicBool::new(true),
            has_limits: AtomicBool::new(false),
            work: watch::Sender::new(()),
            done: watch::Sender::new(()),
        })
    }

    /// The label's value that tells this database's containers from those of others.
    #[must_use]
    pub fn instance(&self) -> String {
        self.keys.database_id().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The engine, if there is one and it answers.
    ///
    /// # Errors
    /// 503 `RUNTIME_UNAVAILABLE`.
    pub async fn runtime(&self) -> Result<&Runtime, Error> {
        let Some(runtime) = &self.runtime else {
            return Err(unavailable(
                "No container engine: start hoody with --container-engine unix:///run/podman/podman.sock",
                None,
            ));
        };
        // The worker looks all the time: only after a bad answer is it asked here.
        if !self.is_up.load(Ordering::Relaxed) {
            match runtime.ping().await {
                Ok(()) => self.note_engine(true),
                Err(error) => {
                    tracing::debug!(%error, "the container engine is down");
                    return Err(engine_down());
                }
            }
        }
        Ok(runtime)
    }

    /// Notes whether the engine answered.
    pub fn note_engine(&self, is_up: bool) {
        if self.is_up.swap(is_up, Ordering::Relaxed) != is_up {
            match is_up {
                true => tracing::info!("the container engine answers again"),
                false => tracing::warn!("the container engine does not answer"),
            }
        }
    }

    /// Whether the engine answered the last time; true without one.
    pub fn is_engine_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// Whether the engine enforces limits: no container is made by one that does not. A yes is not asked for again.
    ///
    /// # Errors
    /// When the engine does not say.
    pub async fn has_limits(&self, runtime: &Runtime) -> Result<bool, EngineError> {
        if !self.has_limits.load(Ordering::Relaxed) {
            self.has_limits.store(runtime.has_limits().await?, Ordering::Relaxed);
        }
        Ok(self.has_limits.load(Ordering::Relaxed))
    }

    /// Says that there is something for the worker of this node.
    pub fn wake_worker(&self) {
        self.work.send_replace(());
    }

    /// Hears [`wake_worker`](Self::wake_worker).
    pub fn hear_work(&self) -> watch::Receiver<()> {
        self.work.subscribe()
    }

    /// Says that the worker has written something.
    pub fn tell_done(&self) {
        self.done.send_replace(());
    }

    /// Waits until the operation is over, at most `patience`; the container then, `None` when it is gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wait_for(
        &self,
        id: ContainerId,
        operation: OperationId,
        patience: Duration,
    ) -> Result<Option<Container>, Error> {
        let until = Instant::now() + patience;
        let mut done = self.done.subscribe();
        loop {
            let found = store::find(&self.db, id).await?;
            let is_over =
                found.as_ref().is_none_or(|found| found.task.is_none() || found.operation != operation);
            if is_over || Instant::now() >= until {
                return Ok(found);
            }
            let _ = tokio::time::timeout(LOOK_INTERVAL, done.changed()).await;
        }
    }
}

impl Lends for Containers {
    fn access(&self) -> &Access {
        &self.access
    }
}

/// 503 for an engine that is set and does not answer.
#[must_use]
pub fn engine_down() -> Error {
    unavailable("The container engine does not answer; try again", Some(RETRY_AFTER))
}

/// 503 for an engine that went away while something was done, which is undone.
#[must_use]
pub fn engine_broke_off() -> Error {
    unavailable("The container engine does not answer, and nothing was changed", None)
}

fn unavailable(message: &str, retry_after: Option<u64>) -> Error {
    Error::Other {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: "RUNTIME_UNAVAILABLE",
        message: message.to_owned(),
        retry_after,
    }
}
