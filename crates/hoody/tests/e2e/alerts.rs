//! Alerts through the binary: from a refused request to a webhook's door, and through a crash.

use std::time::Duration;

use axum::extract::State;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::support::{PASSWORD, PATIENCE, Server, eventually, on_both};

/// What one alert may take on a machine that is busy with other tests. What it takes is printed.
const LIMIT: Duration = Duration::from_secs(10);

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
