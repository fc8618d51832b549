//! The address of the database leads to a standby for a while, then to the primary again, as after a fail-over
//! that was taken back: no connection is kept to a server that cannot write, and nothing that it says is believed.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::time::sleep;

use super::{follow, postgres};
use crate::cluster::{BOUND, Cluster, PATIENCE, Postgres, Traffic};
use crate::soak::{Forwarder, Way};
use crate::support::{Place, Server, WHOLE_MACHINE, eventually};

/// Stopped with its test.
struct Standby(tempfile::TempDir);

impl Standby {
    async fn ask(&self, sql: &'static str) -> Option<i64> {
        let url = format!("postgres://postgres@localhost/postgres?host={}", self.0.path().display());
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let answer = sqlx::query_scalar(sql).fetch_optional(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        answer
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        postgres(&format!("pg_ctl -D {}/data -m immediate stop || true", self.0.path().display()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a second PostgreSQL: bench/faults"]
async fn an_address_that_led_to_a_standby_for_a_while_costs_answers_and_no_promise() {
    let _whole = WHOLE_MACHINE.lock().await;
    let Some(primary) = Postgres::start() else { return };
    let standby = Standby(tempfile::tempdir().unwrap());
    follow(&primary, standby.0.path());
    let forwarder = Forwarder::start(primary.directory().to_owned(), standby.0.path().to_owned()).await;
    let mut cluster = Cluster::start(Place::on(&primary.url), 1).await;
    let mut command = cluster.serve(1, "127.0.0.1:0");
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", forwarder.port);
    command.env("HOODY_DATABASE_URL", url);
    cluster.nodes.push(Server::start(command).await);
    let traffic = Traffic::start(&cluster).await;
    let ada = cluster.nodes[0].client().with(&cluster.sign_in().await);
    let mut recoveries = Vec::new();
    for round in 0..3 {
        let (id, token) = ada.mint(json!({})).await;
        let there = cluster.nodes[1].client().with(token.credential.as_deref().unwrap());
        there.check().await.expect(StatusCode::NO_CONTENT);
        // It stops where it is: what happens from now on, it does not know.
        standby.ask("SELECT 1::BIGINT FROM pg_wal_replay_pause()").await;
        traffic.phase(&format!("{}: node 1's address leads to the standby", 2 * round + 1));
        forwarder.set(Way::Standby);
        sleep(Duration::from_secs(3)).await;
        traffic.phase(&format!("{}: it leads to the primary again", 2 * round + 2));
        forwarder.set(Way::Primary);
        eventually("no connection is kept to the standby", PATIENCE, async || {
            let kept = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hoody'";
            (standby.ask(kept).await == Some(0)).then_some(())
        })
        .await;
        let path = format!("/api/v1/auth/tokens/{id}?wait=all");
        ada.send(Method::DELETE, &path, None).await.expect(StatusCode::OK);
        there.check().await.refused(401, "INVALID_TOKEN");
        recoveries.push(traffic.all_well().await);
        traffic.goes_on("all take changes", 30).await;
        standby.ask("SELECT 1::BIGINT FROM pg_wal_replay_resume()").await;
    }
    sleep(BOUND).await;
    println!("{}", traffic.settle("an address that leads to a standby and back").await);
    println!("well again after {recoveries:?}");
}

/// Another session holds the row that every change needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: bench/faults"]
async fn writers_that_wait_for_another_session_go_on_when_they_may() {
    let _whole = WHOLE_MACHINE.lock().await;
    let Some(postgres) = Postgres::start() else { return };
    let cluster = Cluster::start(Place::on(&postgres.url), 2).await;
    let traffic = Traffic::start(&cluster).await;
    let mut recoveries = Vec::new();
    for round in 0..2 {
        traffic.phase(&format!("{}: the feed's head is locked for 8 s", 2 * round + 1));
        let mut connection = PgConnection::connect(&postgres.url).await.unwrap();
        let hold = "BEGIN; UPDATE feed_head SET pos = pos WHERE id = 1";
        sqlx::raw_sql(hold).execute(&mut connection).await.unwrap();
        sleep(Duration::from_secs(8)).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        traffic.phase(&format!("{}: it is free again", 2 * round + 2));
        recoveries.push(traffic.all_well().await);
        traffic.goes_on("all take changes", 30).await;
    }
    println!("{}", traffic.settle("a locked feed").await);
    println!("well again after {recoveries:?}");
}
