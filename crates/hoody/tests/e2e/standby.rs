//! An address that leads to a standby for a moment, as that of a cluster does in a fail-over.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

use crate::cluster::{Cluster, PATIENCE, Postgres};
use crate::faults::{follow, postgres};
use crate::support::{Place, Server, eventually};

/// Where a node believes its database to be.
struct Address {
    port: u16,
    leads_to: Arc<Mutex<PathBuf>>,
    cut: watch::Sender<()>,
}

impl Address {
    async fn to(first: &std::path::Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let leads_to = Arc::new(Mutex::new(first.to_owned()));
        let cut = watch::Sender::new(());
        let (to, cuts) = (Arc::clone(&leads_to), cut.clone());
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let socket = to.lock().unwrap().join(".s.PGSQL.5432");
                let mut cut = cuts.subscribe();
                tokio::spawn(async move {
                    let Ok(mut to) = UnixStream::connect(socket).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { port, leads_to, cut }
    }

    /// New connections go there; those that are there stay, unless they are cut.
    fn lead_to(&self, place: &std::path::Path, cuts: bool) {
        place.clone_into(&mut self.leads_to.lock().unwrap());
        if cuts {
            self.cut.send_replace(());
        }
    }
}

fn ask(server: &std::path::Path, sql: &str) -> String {
    postgres(&format!("psql -h {} -U postgres -Atc \"{sql}\"", server.display())).trim().to_owned()
}

async fn ready(server: &Server, status: StatusCode) {
    eventually("/readyz says so", PATIENCE, async || {
        let ready = server.client().try_get("/readyz").await.ok()?;
        (ready.status == status).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_keeps_no_connection_to_a_standby_and_proves_nothing_by_one() {
    let Some(primary) = Postgres::start() else { return };
    let second = tempfile::tempdir().unwrap();
    follow(&primary, second.path());
    let address = Address::to(primary.directory()).await;
    let mut cluster = Cluster::start(Place::on(&primary.url), 1).await;
    let mut led = cluster.serve(1, "127.0.0.1:0");
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", address.port);
    led.env("HOODY_DATABASE_URL", url);
    cluster.nodes.push(Server::start(led).await);
    let (straight, led) = (&cluster.nodes[0], &cluster.nodes[1]);
    let ada = straight.client().with(&cluster.sign_in().await);
    let (id, token) = ada.mint(json!({ "alias": "old" })).await;
    let there = led.client().with(token.credential.as_deref().unwrap());
    there.check().await.expect(StatusCode::NO_CONTENT);

    address.lead_to(second.path(), true);
    ready(led, StatusCode::SERVICE_UNAVAILABLE).await;
    led.says("the server is a standby").await;
    there.check().await.expect(StatusCode::SERVICE_UNAVAILABLE);
    // Those that were made meanwhile are not cut.
    address.lead_to(primary.directory(), false);
    ready(led, StatusCode::OK).await;
    eventually("nobody is on the standby", PATIENCE, async || {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hoody'";
        (ask(second.path(), count) == "0").then_some(())
    })
    .await;

    ask(second.path(), "SELECT pg_wal_replay_pause()");
    there.check().await.expect(StatusCode::NO_CONTENT);
    let path = format!("/api/v1/auth/tokens/{id}?wait=all");
    let gone = ada.send(Method::DELETE, &path, None).await;
    gone.expect(StatusCode::OK);
    let applied = gone.headers["x-hoody-applied"].to_str().unwrap();
    assert!(applied.starts_with("nodes=2; confirmed=2; at=") && !applied.contains("unknown"), "{applied}");
    there.check().await.refused(401, "INVALID_TOKEN");
    let here = led.client().with(ada.credential.as_deref().unwrap());
    for _ in 0..20 {
        here.mint(json!({})).await;
    }
    // A start on a standby says why it is none.
    address.lead_to(second.path(), false);
    let mut refused = cluster.serve(2, "127.0.0.1:0");
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", address.port);
    refused.env("HOODY_DATABASE_URL", url);
    let refused = crate::support::finish(refused, "").await;
    refused.ended(1).saying(&["the server is a standby: the address must lead to the primary"]);
    drop(cluster);
    postgres(&format!("pg_ctl -D {}/data -m immediate stop", second.path().display()));
}
