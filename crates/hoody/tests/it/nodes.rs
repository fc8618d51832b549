//! Nodes: who is there, leases, and changes that are answered when they are in force everywhere.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use crate::support::on_both;

const SECOND: i64 = 1_000;
const JOBS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

on_both! {
    async fn a_node_is_listed_while_it_is_heard_of(app: TestApp) {
        let second = app.another_node().await;
        app.service.beat().await;
        second.beat().await;
        assert_eq!(app.service.nodes().await.iter().filter(|(is_alive, _)| *is_alive).count(), 2);
        // One of them falls silent.
        app.service.advance(15 * SECOND);
        app.service.beat().await;
        let alive: Vec<_> = app.service.nodes().await.into_iter().map(|(is_alive, _)| is_alive).collect();
        assert_eq!(alive.iter().filter(|is_alive| **is_alive).count(), 1, "{alive:?}");
        app.service.advance(3_600 * SECOND);
        app.service.beat().await;
        assert_eq!(app.service.nodes().await.len(), 1, "what was silent for an hour is not listed");
        app.service.leave().await;
        assert!(app.service.nodes().await.is_empty());
    }

    async fn a_lease_is_held_by_one_node_until_it_ends_or_is_silent(app: TestApp) {
        let (first, second) = (&app.service, app.another_node().await);
        assert!(first.holds("work", true).await);
        assert!(!second.holds("work", true).await);
        assert!(second.holds("other work", true).await, "each has a name of its own");
        // Renewed with the heartbeat.
        for _ in 0..5 {
            first.advance(3 * SECOND);
            second.advance(3 * SECOND);
            first.beat().await;
            assert!(!second.holds("work", false).await);
        }
        first.leave().await;
        assert!(second.holds("work", true).await, "what ends in order frees at once");
        // The other falls silent; it believes that it holds the lease until its own clock says otherwise.
        first.advance(9 * SECOND);
        assert!(first.holds("work", true).await);
        assert!(second.holds("work", false).await, "as a process that was stopped would believe");
        assert!(!second.holds("work", true).await, "and finds out when it writes");
    }

    async fn at_the_same_instant_one_takes_it(app: TestApp) {
        let second = app.another_node().await;
        for name in JOBS {
            let (one, other) = tokio::join!(app.service.holds(name, true), second.holds(name, true));
            assert!(one ^ other, "{name}: {one} {other}");
        }
    }

    async fn a_change_that_waits_for_all_is_in_force_everywhere_when_it_is_answered(app: TestApp) {
        let owner = app.user("ada").await;
        let second = app.another_node().await;
        app.service.beat().await;
        second.start();
        second.beat().await;
        for _ in 0..5 {
            let token = owner.mint(json!({})).await;
            let there = token.client.at(&second);
            there.check("projects.read").await.expect(StatusCode::NO_CONTENT);
            let path = format!("/api/v1/auth/tokens/{}?wait=all", token.id);
            let began = Instant::now();
            owner.delete(&path).await.expect(StatusCode::OK);
            there.check("projects.read").await.refused(401, "INVALID_TOKEN");
            assert!(began.elapsed() < Duration::from_millis(900), "the other node said so: {:?}", began.elapsed());
        }
    }

    async fn a_node_that_says_nothing_is_waited_for_until_it_must_refuse(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let second = app.another_node().await;
        second.beat().await;
        let path = format!("/api/v1/auth/tokens/{}?wait=all", token.id);
        let began = Instant::now();
        owner.patch(&path, json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        let took = began.elapsed();
        assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&took), "{took:?}");
        // What changes nothing waits for nobody.
        let began = Instant::now();
        owner.patch("/api/v1/auth/tokens/000000000000000000000000?wait=all", json!({})).await.refused(404, "TOKEN_NOT_FOUND");
        assert!(began.elapsed() < Duration::from_millis(900));
    }

    async fn what_else_is_waited_for_is_refused_before_anything_is_done(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let path = format!("/api/v1/auth/tokens/{}", token.id);
        for wrong in ["wait=some", "wait=", "x=1&wait=ALL"] {
            owner.delete(&format!("{path}?{wrong}")).await.refused(400, "INVALID_PARAMETER_VALUE");
        }
        token.client.check("projects.read").await.expect(StatusCode::NO_CONTENT);
        owner.get(&format!("{path}?await=x")).await.expect(StatusCode::OK);
    }
}
