//! The faults that take long, or root: a node cut from its database, a fail-over to a synchronous standby,
//! an older database put in the place of the one in use. `bench/faults` runs them and writes what it saw.

mod local;
mod replica;

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio::net::{TcpListener, UnixStream};
use tokio::time::Instant;

use crate::cluster::{BOUND, Cluster, PATIENCE, Postgres, Traffic};
use crate::support::{Place, Server, WHOLE_MACHINE, eventually};

/// Runs a command of the system to its end.
pub(crate) fn system(line: &str) -> String {
    let ran = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// A command of PostgreSQL, as the user that its server runs as.
pub(crate) fn postgres(line: &str) -> String {
    system(&format!(
        "bin=$(find /usr/lib/postgresql -maxdepth 3 -name initdb | sort -V | tail -n 1 | xargs dirname); cd /; \
         if [ \"$(id -u)\" = 0 ]; then runuser -u postgres -- \"$bin\"/{line}; else \"$bin\"/{line}; fi"
    ))
}

/// A network of its own with two links to this machine: one to the database, one to clients.
struct Network(String);

const DATABASE: &str = "10.211.1";
const CLIENTS: &str = "10.211.2";

impl Network {
    fn new() -> Self {
        let network = Self(format!("hoody{}", std::process::id()));
        let name = &network.0;
        system(&format!("ip netns add {name}; ip netns exec {name} ip link set lo up"));
        for (link, addresses) in [("hdb", DATABASE), ("hcl", CLIENTS)] {
            system(&format!(
                "ip link add {link}0 type veth peer name {link}1 netns {name}
                 ip addr add {addresses}.1/24 dev {link}0; ip link set {link}0 up
                 ip netns exec {name} ip addr add {addresses}.2/24 dev {link}1
                 ip netns exec {name} ip link set {link}1 up"
            ));
        }
        network
    }

    /// The same command inside of it.
    fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.0]).arg(command.get_program()).args(command.get_args());
        inside.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        inside.current_dir(command.get_current_dir().unwrap());
        inside.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
        inside
    }

    fn set_database(&self, state: &str) {
        // Our end goes down: what the node sends is swallowed, and nobody tells it.
        system(&format!("ip link set hdb0 {state}"));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
        for link in ["hdb0", "hcl0"] {
            let _ = Command::new("ip").args(["link", "delete", link]).output();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root, for network namespaces: bench/faults"]
async fn a_node_cut_from_the_database_with_its_clients_left() {
    let _whole = WHOLE_MACHINE.lock().await;
    let network = Network::new();
    let Some(server) = Postgres::start_with(&format!("-c listen_addresses={DATABASE}.1")) else { return };
    system(&format!(
        "echo 'host all all {DATABASE}.0/24 trust' >> {}/data/pg_hba.conf",
        server.directory().display()
    ));
    postgres(&format!("pg_ctl -D {}/data reload", server.directory().display()));
    let mut cluster = Cluster::start(Place::on(&server.url), 1).await;
    let mut command = cluster.serve(1, &format!("{CLIENTS}.2:0"));
    command.env("HOODY_DATABASE_URL", format!("postgres://postgres@{DATABASE}.1/postgres"));
    cluster.nodes.push(Server::start(network.inside(&command)).await);
    let traffic = Traffic::start(&cluster).await;
    let (mut recoveries, mut others) = (Vec::new(), Vec::new());
    for (round, seconds) in [2, 10, 25].into_iter().enumerate() {
        traffic.phase(&format!("{}: node 1 is cut off for {seconds} s", 2 * round + 1));
        network.set_database("down");
        let cut = Instant::now();
        eventually("it says that it is not ready", PATIENCE, async || {
            let ready = cluster.nodes[1].client().try_get("/readyz").await.ok()?;
            (ready.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
        })
        .await;
        assert!(cut.elapsed() < BOUND + Duration::from_millis(500), "{:?}", cut.elapsed());
        if seconds > 20 {
            // What the node that was cut off has locked is not waited for for long.
            others.push(traffic.goes_on("the other node takes changes", 10).await);
        }
        tokio::time::sleep_until(cut + Duration::from_secs(seconds)).await;
        traffic.phase(&format!("{}: node 1 is connected again", 2 * round + 2));
        network.set_database("up");
        recoveries.push(traffic.all_well().await);
        traffic.goes_on("all take changes", 30).await;
    }
    println!("{}", traffic.settle("a node is cut from the database").await);
    println!(
        "well again after {recoveries:?}; the other node took 10 changes within {others:?} of the longest cut"
    );
}

/// Where the nodes believe the database to be: connections go to whichever server is the primary.
async fn forward() -> (u16, Arc<Mutex<std::path::PathBuf>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let primary = Arc::new(Mutex::new(std::path::PathBuf::new()));
    let to = Arc::clone(&primary);
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let socket = to.lock().unwrap().join(".s.PGSQL.5432");
            tokio::spawn(async move {
                let Ok(mut to) = UnixStream::connect(socket).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    (port, primary)
}

/// A standby of `primary` that follows it, and has to be waited for by nobody.
pub(crate) fn follow(primary: &Postgres, directory: &Path) {
    let (from, to) = (primary.directory().display(), directory.display());
    system(&format!("[ \"$(id -u)\" != 0 ] || chown postgres {to}; chmod 755 {to}"));
    postgres(&format!("pg_basebackup -h {from} -U postgres -D {to}/data -R -X stream -c fast"));
    postgres(&format!(
        "pg_ctl -D {to}/data -w -l {to}/log start -o \"-k {to} -c listen_addresses='' -c max_connections=400\""
    ));
}

/// A standby of `primary` that has every commit before it is acknowledged.
fn standby(primary: &Postgres, directory: &Path) {
    follow(primary, directory);
    let from = primary.directory().display();
    let set = "ALTER SYSTEM SET synchronous_standby_names = '*'";
    postgres(&format!("psql -h {from} -U postgres -qc \"{set}\" -c 'SELECT pg_reload_conf()'"));
    for _ in 0..300 {
        let state = "SELECT sync_state FROM pg_stat_replication";
        if postgres(&format!("psql -h {from} -U postgres -Atc '{state}'")).trim() == "sync" {
            return;
        }
        system("sleep 0.1");
    }
    panic!("the standby does not follow");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a second PostgreSQL: bench/faults"]
async fn a_fail_over_to_a_synchronous_standby_loses_nothing() {
    let _whole = WHOLE_MACHINE.lock().await;
    let Some(primary) = Postgres::start() else { return };
    let second = tempfile::tempdir().unwrap();
    standby(&primary, second.path());
    let (port, current) = forward().await;
    primary.directory().clone_into(&mut current.lock().unwrap());
    let place = Place::on(&format!("postgres://postgres@127.0.0.1:{port}/postgres"));
    let cluster = Cluster::start(place, 2).await;
    let traffic = Traffic::start(&cluster).await;
    traffic.phase("1: the primary is gone");
    let began = Instant::now();
    primary.crash().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    traffic.phase("2: the standby is the primary");
    postgres(&format!("pg_ctl -D {}/data -w promote", second.path().display()));
    let set = "ALTER SYSTEM SET synchronous_standby_names = ''";
    let to = second.path().display();
    postgres(&format!("psql -h {to} -U postgres -qc \"{set}\" -c 'SELECT pg_reload_conf()'"));
    second.path().clone_into(&mut current.lock().unwrap());
    let promoted = began.elapsed();
    let recovery = traffic.all_well().await;
    traffic.goes_on("changes are taken again", 60).await;
    println!("{}", traffic.settle("fail-over to a synchronous standby").await);
    println!("promoted {promoted:?} after the crash, all nodes well again {recovery:?} after that");
    drop(cluster);
    postgres(&format!("pg_ctl -D {to}/data -m immediate stop"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: bench/faults"]
async fn an_older_database_in_the_place_of_the_one_in_use_is_noticed() {
    let _whole = WHOLE_MACHINE.lock().await;
    let Some(mut server) = Postgres::start() else { return };
    let cluster = Cluster::start(Place::on(&server.url), 2).await;
    let ada = cluster.nodes[0].client().with(&cluster.sign_in().await);
    let (old_id, old) = ada.mint(json!({ "alias": "old" })).await;
    let data = server.directory().join("data").display().to_string();
    // Cold copy: stopped in order, copied, started.
    server.stop().await;
    system(&format!("cp -a {data} {data}.backup"));
    server.start_again();
    let well = async |client: &crate::support::Client| {
        eventually("the node is ready", PATIENCE, async || {
            let ready = client.try_get("/readyz").await.ok()?;
            (ready.status == StatusCode::OK).then_some(())
        })
        .await;
    };
    for node in &cluster.nodes {
        well(&node.client()).await;
    }
    // After the copy was made: one is new, one is ended, a hundred more changes.
    let (_, new) = ada.mint(json!({ "alias": "new" })).await;
    for _ in 0..100 {
        let (id, _) = ada.mint(json!({})).await;
        ada.send(reqwest::Method::DELETE, &format!("/api/v1/auth/tokens/{id}"), None)
            .await
            .expect(StatusCode::OK);
    }
    let path = format!("/api/v1/auth/tokens/{old_id}");
    ada.send(reqwest::Method::DELETE, &path, None).await.expect(StatusCode::OK);
    for node in &cluster.nodes {
        node.client().with(new.credential.as_deref().unwrap()).check().await.expect(StatusCode::NO_CONTENT);
        eventually("the old one is refused", PATIENCE, async || {
            let reply = node.client().with(old.credential.as_deref().unwrap()).check().await;
            (reply.status == StatusCode::UNAUTHORIZED).then_some(())
        })
        .await;
    }
    server.crash().await;
    system(&format!("rm -r {data}; mv {data}.backup {data}; rm -f {data}/postmaster.pid"));
    server.start_again();
    let began = Instant::now();
    for (number, node) in cluster.nodes.iter().enumerate() {
        well(&node.client()).await;
        let answer =
            |client: &crate::support::Client| node.client().with(client.credential.as_deref().unwrap());
        // What the restored database says is what holds, in the caches too.
        answer(&new).check().await.refused(401, "INVALID_TOKEN");
        answer(&old).check().await.expect(StatusCode::NO_CONTENT);
        node.says("the feed went back").await;
        println!("node {number} answers as the restored database says after {:?}", began.elapsed());
    }
    // At once, although every connection to the database from before is dead.
    let (_, next) = ada.mint(json!({})).await;
    for node in &cluster.nodes {
        node.client().with(next.credential.as_deref().unwrap()).check().await.expect(StatusCode::NO_CONTENT);
    }
}
