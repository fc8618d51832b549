//! The stage of the tests: a service with the wing of containers, and the engine of [`engine`](crate::engine).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hoody_containers::runtime::{Bounds, Runtime};
use hoody_containers::{Containers, Settings, reconcile, worker};
use hoody_core::container::{Images, ServerNames};
use hoody_core::time::Timestamp;
use hoody_service::testing::Service;
use hoody_service::wing::{Maker, Wing, Wings};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::support::{Client, START_MILLIS, TestApp};

/// The lease that a node works under.
pub(crate) const LEASE: &str = "containers/local";

/// A service with containers.
pub(crate) struct Stage {
    pub(crate) app: TestApp,
    pub(crate) engine: Engine,
    pub(crate) containers: Arc<Containers>,
    worker: Option<JoinHandle<()>>,
    /// Ada, signed in.
    pub(crate) ada: Client,
    /// A project of hers.
    pub(crate) project: String,
}

/// Makes of `async fn name(stage: Stage) { … }` a test on each database.
macro_rules! on_both_stages {
    ($($(#[$meta:meta])* async fn $name:ident($stage:ident: Stage) $body:block)*) => { $(
        $(#[$meta])*
        mod $name {
            use super::*;
            async fn run($stage: $crate::stage::Stage) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let app = $crate::support::TestApp::sqlite().await;
                run($crate::stage::Stage::of(app, true).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(app) = $crate::support::TestApp::postgres().await {
                    run($crate::stage::Stage::of(app, true).await).await;
                }
            }
        }
    )* };
}
pub(crate) use on_both_stages;

impl Stage {
    /// The service of `app` again, with containers.
    pub(crate) async fn of(app: TestApp, has_engine: bool) -> Self {
        let engine = Engine::start().await;
        app.service.close().await;
        let settings = Settings {
            socket: has_engine.then(|| engine.socket.clone()),
            server: ServerNames::parse("local,server-123").unwrap(),
            images: Images::parse("busybox=localhost/busybox,ghost=localhost/ghost").unwrap(),
            domain: "containers.localhost".to_owned(),
            is_open: false,
            bounds: Bounds::default(),
        };
        let made = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&made);
        let maker: Maker = Arc::new(move |engine| {
            let containers = Containers::new(engine, settings.clone());
            *slot.lock().unwrap() = Some(Arc::clone(&containers));
            let wing: Arc<dyn Wing> = containers;
            Ok(wing)
        });
        let now = Timestamp::from_millis(START_MILLIS);
        let service = Service::open_winged(&app.url, app.directory.path(), now, Wings(vec![maker])).await;
        let app = TestApp { service, ..app };
        let containers = made.lock().unwrap().take().unwrap();
        let ada = app.user("ada").await;
        let project = ada.post("/api/v1/projects", json!({ "alias": "agents" })).await;
        let project = project.data()["id"].as_str().unwrap().to_owned();
        let mut stage = Self { app, engine, containers, worker: None, ada, project };
        if has_engine {
            stage.start_worker();
        }
        stage
    }

    /// The engine as the service has it.
    pub(crate) fn runtime(&self) -> Runtime {
        self.containers.runtime.clone().unwrap()
    }

    pub(crate) fn start_worker(&mut self) {
        let (containers, runtime) = (Arc::clone(&self.containers), self.runtime());
        self.worker =
            Some(tokio::spawn(async move { match worker::run(containers, runtime, LEASE).await {} }));
    }

    /// Ends the worker where it stands, as a kill of the process would.
    pub(crate) fn kill_worker(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.abort();
        }
    }

    /// Compares rows and engine once.
    pub(crate) async fn reconcile(&self) {
        reconcile::run(Arc::clone(&self.containers), self.runtime(), LEASE).await;
    }

    /// Asks for a container; its id.
    pub(crate) async fn create(&self, body: Value) -> String {
        let made = self.ask(body).await;
        made.expect(StatusCode::CREATED);
        assert_eq!(made.data()["status"], "creating");
        made.data()["id"].as_str().unwrap().to_owned()
    }

    /// The answer to a request for a container.
    pub(crate) async fn ask(&self, mut body: Value) -> crate::support::Reply {
        if body.get("server_id").is_none() {
            body["server_id"] = json!("local");
        }
        self.ada.post(&format!("/api/v1/projects/{}/containers", self.project), body).await
    }

    /// A container that runs; its id.
    pub(crate) async fn running(&self, name: &str) -> String {
        let id = self.create(json!({ "name": name })).await;
        self.until(&id, "running").await;
        id
    }

    /// The container as Ada sees it.
    pub(crate) async fn show(&self, id: &str) -> Value {
        self.ada.get(&format!("/api/v1/containers/{id}")).await.data().clone()
    }

    /// Waits until the container has this status.
    pub(crate) async fn until(&self, id: &str, status: &str) {
        let mut last = Value::Null;
        for _ in 0..200 {
            last = self.show(id).await;
            if last["status"] == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{last}");
    }

    /// Somebody on the host of a container's terminal.
    pub(crate) fn at_terminal(&self, client: &Client, id: &str) -> Client {
        client.host(&format!("{}-{id}-terminal-1.local.containers.localhost", self.project))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill_worker();
    }
}
