//! Alerts through the binary: from a refused request to a webhook's door, and through a crash.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::support::{Client, PASSWORD, PATIENCE, Place, Server, WHOLE_MACHINE, eventually, on_both};

/// What one alert may take on a machine that is busy with other tests. What it takes is printed.
const LIMIT: Duration = Duration::from_secs(10);

/// For how long a dead node holds its leases, how often another looks, and then some for a busy machine.
const TAKEN_OVER: Duration = Duration::from_secs(9 + 1 + 5);

/// An endpoint: what comes to it, with the instant.
async fn endpoint() -> (String, mpsc::UnboundedReceiver<(Instant, Value)>) {
    let (send, came) = mpsc::unbounded_channel();
    let take = async |State(send): State<mpsc::UnboundedSender<(Instant, Value)>>, body: String| {
        let _ = send.send((Instant::now(), serde_json::from_str(&body).unwrap()));
        StatusCode::NO_CONTENT
    };
    let router = axum::Router::new().fallback(take).with_state(send);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, came)
}

on_both! {
    async fn a_refused_request_is_told_at_a_webhooks_door(place: Place) {
        let flags = ["serve", "--listen", "127.0.0.1:0", "--webhook-allow", "127.0.0.0/8"];
        let server = Server::start(place.hoody(&flags)).await;
        place.run_with(&["admin", "users", "create", "ada", "--password-stdin"], PASSWORD).await.ended(0);
        let ada = server.client().login("ada", PASSWORD).await;
        let (url, mut came) = endpoint().await;
        let hook = json!({ "url": url, "event_types": ["alert.raised"] });
        ada.post("/api/v1/webhooks", hook).await.expect(StatusCode::CREATED);
        let mut took = Vec::new();
        for n in 0..10 {
            let (id, token) = ada.mint(json!({ "alias": format!("agent {n}") })).await;
            token.check().await.expect(StatusCode::NO_CONTENT);
            let path = format!("/api/v1/auth/tokens/{id}");
            if n % 2 == 0 {
                ada.send(Method::DELETE, &path, None).await.expect(StatusCode::OK);
            } else {
                ada.send(Method::PUT, &path, Some(json!({ "is_enabled": false }))).await.expect(StatusCode::OK);
            }
            let asked = Instant::now();
            token.check().await.refused(401, "INVALID_TOKEN");
            let (at, told) = tokio::time::timeout(LIMIT, came.recv()).await.unwrap().unwrap();
            took.push(at - asked);
            let payload = &told["data"]["payload"];
            assert_eq!((&told["type"], &payload["kind"]), (&json!("alert.raised"), &json!("dead_token_used")), "{told}");
            assert_eq!((&payload["subject_id"], &payload["ip_address"]), (&json!(id), &json!("127.0.0.1")), "{told}");
            let reason = if n % 2 == 0 { "revoked" } else { "disabled" };
            assert_eq!(payload["details"]["reason"], reason);
        }
        took.sort_unstable();
        eprintln!("from a refused request to a webhook's door: median {:?}, longest {:?}", took[5], took[9]);
        assert!(!server.said().contains("hdy_"), "{}", server.said());
        server.stop().await;
    }

    async fn a_crash_under_load_repeats_nothing_and_misses_nothing(place: Place) {
        let (mut server, mut ada) = place.serve_ada().await;
        let (id, token) = ada.mint(json!({})).await;
        let path = format!("/api/v1/auth/tokens/{id}");
        ada.send(Method::PUT, &path, Some(json!({ "is_enabled": false }))).await.expect(StatusCode::OK);
        for _ in 0..2 {
            let asking = tokio::spawn({
                let token = token.at(&server.base);
                // Fewer than the 10,000 that the log counts.
                async move {
                    while token.try_get("/api/v1/auth/check").await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
            });
            tokio::time::sleep(Duration::from_millis(700)).await;
            server.kill().await;
            asking.await.unwrap();
            server = place.serve().await;
            ada = server.client().with(ada.credential.as_deref().unwrap());
        }
        token.at(&server.base).check().await.refused(401, "INVALID_TOKEN");
        // What the crash left of the log is all in the alert, once; the lease of the dead runs out first.
        let counted = eventually("every row that is stored is counted", PATIENCE, async || {
            let logged = ada.get("/api/v1/users/auth/activity?limit=1&min_status=401&max_status=401").await;
            let logged = logged.body["metadata"]["total"].as_u64()?;
            let alerts = ada.get("/api/v1/alerts?kind=dead_token_used").await;
            let alerts = alerts.body["data"].as_array()?.clone();
            assert!(alerts.len() <= 1, "{alerts:?}");
            let counted = alerts.first()?["count"].as_u64()?;
            assert!(counted <= logged, "{counted} of {logged}");
            (counted == logged).then_some(counted)
        });
        let counted = counted.await;
        assert!((2..10_000).contains(&counted), "{counted} were refused");
        server.stop().await;
    }
}

/// How many of the things on all pages at `path` there are of each token, which `field` names.
async fn by_token(ada: &Client, path: &str, field: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for page in 1.. {
        let reply = ada.get(&format!("{path}&limit=200&page={page}")).await;
        let rows = reply.expect(StatusCode::OK).body["data"].as_array().unwrap();
        for row in rows {
            // An alert counts, a row is one.
            let n = row["count"].as_u64().unwrap_or(1);
            *counts.entry(row[field].as_str().unwrap().to_owned()).or_default() += n;
        }
        if rows.len() < 200 {
            break;
        }
    }
    counts
}

/// Uses a token on a node again and again, until the node or the task ends.
async fn use_on(node: &Server, token: &Client) -> tokio::task::JoinHandle<()> {
    let token = token.at(&node.base);
    tokio::spawn(async move {
        while let Ok(reply) = token.try_get("/api/v1/auth/check").await {
            assert!([401, 503].contains(&reply.status.as_u16()), "{}", reply.text);
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_node_that_evaluates_is_killed_another_repeats_nothing_and_misses_nothing() {
    let _whole = WHOLE_MACHINE.lock().await;
    let Some(place) = Place::postgres().await else { return };
    let mut cluster = Cluster::start(place, 2).await;
    let ada = cluster.nodes[0].client().with(&cluster.sign_in().await);
    let mut tokens = Vec::new();
    for _ in 0..6 {
        let (id, token) = ada.mint(json!({})).await;
        ada.send(Method::DELETE, &format!("/api/v1/auth/tokens/{id}?wait=all"), None)
            .await
            .expect(StatusCode::OK);
        tokens.push((id, token));
    }
    let mut fresh = tokens.split_off(4);
    let alerts = "/api/v1/alerts?kind=dead_token_used";
    let mut took = Vec::new();
    let mut using = Vec::new();
    // The nodes by when they were started, the dead ones counted.
    let mut numbers = vec![0, 1];
    for round in 0..2 {
        for node in &cluster.nodes {
            for (_, token) in &tokens {
                using.push(use_on(node, token).await);
            }
        }
        let holder = "SELECT CAST((SELECT COUNT(*) FROM nodes AS older WHERE older.started_at < nodes.started_at) \
                      AS BIGINT) FROM nodes JOIN leases ON holder = nodes.id WHERE leases.name = 'alerts'";
        let there = cluster.nodes[1].client().with(ada.credential.as_deref().unwrap());
        let known = eventually("uses are counted while more come", PATIENCE, async || {
            let counted = by_token(&there, alerts, "subject_id").await;
            tokens.iter().all(|(id, _)| counted.contains_key(id)).then_some(counted)
        });
        assert_eq!(known.await.len(), tokens.len());
        let held: Vec<(i64,)> = cluster.place.rows(holder).await;
        let [(holder,)] = held[..] else { panic!("{held:?}") };
        let holder = numbers.iter().position(|number| *number == holder).unwrap();
        numbers.remove(holder);
        let killed = cluster.nodes.remove(holder);
        killed.kill().await;
        let gone = Instant::now();
        let left = &cluster.nodes[0];
        let (id, token) = fresh.pop().unwrap();
        token.at(&left.base).check().await.refused(401, "INVALID_TOKEN");
        let ada = left.client().with(ada.credential.as_deref().unwrap());
        eventually("the other node evaluates", TAKEN_OVER, async || {
            by_token(&ada, alerts, "subject_id").await.contains_key(&id).then_some(())
        })
        .await;
        took.push(gone.elapsed());
        tokens.push((id, token));
        cluster.nodes.push(cluster.node(2 + round).await);
        numbers.push(2 + i64::try_from(round).unwrap());
    }
    using.iter().for_each(tokio::task::JoinHandle::abort);
    let ada = cluster.nodes[0].client().with(ada.credential.as_deref().unwrap());
    // What a killed node had not stored is in neither; all that is stored is counted, once.
    let logged = eventually("every row that is stored is counted", PATIENCE, async || {
        let counted = by_token(&ada, alerts, "subject_id").await;
        let logged =
            by_token(&ada, "/api/v1/users/auth/activity?min_status=401&max_status=401", "token_id").await;
        assert!(counted.iter().all(|(id, n)| logged.get(id) >= Some(n)), "{counted:?} of {logged:?}");
        (counted == logged).then_some(logged)
    })
    .await;
    assert_eq!(logged.len(), tokens.len());
    let list = ada.get(&format!("{alerts}&limit=200")).await;
    assert_eq!(list.body["data"].as_array().unwrap().len(), tokens.len(), "one alert a token: {}", list.text);
    eventually("each alert is told once", PATIENCE, async || {
        let told = ada.get("/api/v1/events?event_type=alert.raised&limit=200").await;
        let told = told.body["data"]["events"].as_array()?;
        let mut told: Vec<_> =
            told.iter().filter_map(|event| event["payload"]["subject_id"].as_str()).collect();
        told.sort_unstable();
        assert!(told.is_sorted_by(|one, next| one < next), "{told:?}");
        told.iter().eq(logged.keys()).then_some(())
    })
    .await;
    eprintln!(
        "the other node took over {took:?} after the death of the evaluator; {} uses",
        logged.values().sum::<u64>()
    );
}
