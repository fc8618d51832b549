//! Nodes: who is there, leases, and changes that are answered when they are in force everywhere.

use std::time::Duration;

use hoody_core::time::Timestamp;
use http::StatusCode;
use serde_json::json;
use sqlx::Connection as _;
use tokio::time::Instant;

use hoody_service::testing::Service;

use crate::support::{Client, PASSWORD, Reply, TestApp, on_both};

const SECOND: i64 = 1_000;
const JOBS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// What an answer says of the nodes.
fn applied(reply: &Reply) -> &str {
    reply.headers["x-hoody-applied"].to_str().unwrap()
}

/// The same without the time.
fn known(reply: &Reply) -> String {
    let parts = applied(reply).split("; ").filter(|part| !part.starts_with("at="));
    parts.collect::<Vec<_>>().join("; ")
}

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
        let third = app.another_node().await;
        third.advance(9 * SECOND);
        assert!(third.holds("work", true).await);
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
            let reply = owner.delete(&path).await;
            reply.expect(StatusCode::OK);
            assert!(applied(&reply).starts_with("nodes=2; confirmed=2; at=2026-03-02T"), "{}", applied(&reply));
            assert!(!applied(&reply).contains("unknown"));
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
        let reply = owner.patch(&path, json!({ "is_enabled": false })).await;
        reply.expect(StatusCode::OK);
        let took = began.elapsed();
        // Its last word was that a primary answers its polls: it refuses by now.
        assert_eq!(known(&reply), "nodes=2; confirmed=1");
        assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&took), "{took:?}");
        // A refusal waits for nobody, nor does who is not let in.
        let began = Instant::now();
        owner.patch(&path, json!({ "is_enabled": 1 })).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        app.anon().delete(&path).await.expect(StatusCode::UNAUTHORIZED);
        app.anon().delete("/api/v1/nowhere?wait=all").await.expect(StatusCode::NOT_FOUND);
        assert!(began.elapsed() < Duration::from_millis(900));
    }

    async fn of_a_silent_node_that_did_not_confirm_its_polls_nothing_is_known(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let path = format!("/api/v1/auth/tokens/{}?wait=all", token.id);
        let changes = std::sync::atomic::AtomicU32::new(0);
        let change = async || {
            let alias = changes.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
            let reply = owner.patch(&path, json!({ "alias": alias })).await;
            reply.expect(StatusCode::OK);
            known(&reply)
        };
        assert_eq!(change().await, "nodes=1; confirmed=1", "nobody else is there");
        // Its polls end, and its heartbeat goes on: by the clock of its row it is not fresh.
        let second = app.another_node().await;
        second.advance(5 * SECOND);
        second.beat().await;
        assert_eq!(change().await, "nodes=2; confirmed=1; unknown=1");
        assert!(second.poll().await);
        second.beat().await;
        owner.patch(&path.replace("?wait=all", ""), json!({ "alias": "once more" })).await.expect(StatusCode::OK);
        assert_eq!(change().await, "nodes=2; confirmed=1");
        // An older version's row says nothing of it.
        app.service.tamper("UPDATE nodes SET confirmed_at = NULL").await;
        assert_eq!(change().await, "nodes=2; confirmed=1; unknown=1");
    }

    /// Who did not hear the first answer asks again.
    async fn what_was_changed_before_is_waited_for_too(app: TestApp) {
        let owner = app.user("ada").await;
        let second = app.another_node().await;
        for is_deleted in [false, true] {
            let token = owner.mint(json!({})).await;
            assert!(second.poll().await);
            second.beat().await;
            let there = token.client.at(&second);
            there.check("projects.read").await.expect(StatusCode::NO_CONTENT);
            let path = format!("/api/v1/auth/tokens/{}", token.id);
            let end = async |path: &str| match is_deleted {
                true => owner.delete(path).await,
                false => owner.patch(path, json!({ "is_enabled": false })).await,
            };
            end(&path).await.expect(StatusCode::OK);
            let again = format!("{path}?wait=all");
            let answered = async {
                end(&again).await.expect(if is_deleted { StatusCode::NOT_FOUND } else { StatusCode::OK });
                there.check("projects.read").await.refused(401, "INVALID_TOKEN");
            };
            let polled = async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                assert!(second.poll().await);
            };
            tokio::join!(answered, polled);
        }
    }

    /// A transaction that has confirmed a lease may be long: the node is heard of meanwhile.
    async fn a_lease_that_is_in_use_does_not_silence_its_node(app: TestApp) {
        if app.url.starts_with("sqlite") {
            return;
        }
        app.service.beat().await;
        assert!(app.service.holds("work", true).await);
        let mut long = sqlx::PgConnection::connect(&app.url).await.unwrap();
        sqlx::raw_sql("BEGIN; UPDATE leases SET held_until = held_until").execute(&mut long).await.unwrap();
        app.service.advance(3 * SECOND);
        let (beat, seen) = tokio::join!(app.service.try_beat(), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            app.service.number("SELECT COUNT(*) AS n FROM nodes WHERE seen_at > started_at").await
        });
        assert_eq!(seen, 1);
        assert!(beat.is_some(), "the lease itself could not be renewed");
    }

    async fn a_lease_that_was_given_up_and_taken_again_is_another_one(app: TestApp) {
        let (first, second) = (&app.service, app.another_node().await);
        let term = async |node: &Service| node.lease_term("work").await;
        let before = term(first).await;
        first.advance(10 * SECOND);
        second.advance(10 * SECOND);
        assert!(term(&second).await > before);
        second.leave().await;
        assert!(term(first).await > before, "somebody else had it in between");
    }

    async fn a_node_that_left_does_not_come_back_with_a_late_heartbeat(app: TestApp) {
        app.service.beat().await;
        assert!(app.service.holds(JOBS[0], true).await);
        app.service.leave().await;
        app.service.beat().await;
        assert!(app.service.nodes().await.is_empty());
        assert!(!app.service.holds(JOBS[0], false).await);
    }

    /// A database that went back: what was applied of its other history does not count.
    async fn a_node_never_says_that_it_applied_what_is_not_there(app: TestApp) {
        let owner = app.user("ada").await;
        owner.mint(json!({})).await;
        assert!(app.service.poll().await);
        app.service.tamper("DELETE FROM feed WHERE pos > 1").await;
        app.service.tamper("UPDATE feed_head SET pos = 1").await;
        app.service.beat().await;
        assert_eq!(app.service.nodes().await, [(true, 1)]);
    }

    async fn what_else_is_waited_for_is_refused_before_anything_is_done(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let path = format!("/api/v1/auth/tokens/{}", token.id);
        for wrong in ["wait=some", "wait=", "x=1&wait=ALL"] {
            owner.delete(&format!("{path}?{wrong}")).await.refused(400, "INVALID_PARAMETER_VALUE");
        }
        token.client.check("projects.read").await.expect(StatusCode::NO_CONTENT);
        owner.get(&format!("{path}?wait=all")).await.expect(StatusCode::OK);
        owner.get(&format!("{path}?await=x")).await.refused(400, "INVALID_PARAMETER_VALUE");
    }
}

/// One clock for the database: what a node's own clock says does not matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_clock_is_a_minute_off_judges_as_the_others_do() {
    let Some(app) = TestApp::postgres().await else { return };
    let node = async |skew| Service::open_skewed(&app.url, app.directory.path(), skew).await;
    let nodes = [node(0).await, node(60 * SECOND).await, node(-60 * SECOND).await];
    nodes[0].create_user("ada", None, PASSWORD).await;
    for there in &nodes {
        let apart = there.now().millis() - nodes[0].now().millis();
        assert!(apart.abs() < SECOND, "{apart} ms apart");
        there.beat().await;
    }
    let alive = nodes[0].nodes().await.iter().filter(|(is_alive, _)| *is_alive).count();
    assert_eq!(alive, 3, "each knows that the others are alive");
    let login = json!({ "username": "ada", "password": PASSWORD });
    for here in &nodes {
        let reply = Client::of(here, None).post("/api/v1/users/auth/login", login.clone()).await;
        reply.expect(StatusCode::OK);
        let text = |field: &str| reply.body["data"][field].as_str().unwrap().to_owned();
        let ends = Timestamp::from_millis(here.now().millis() + 2 * SECOND).to_string();
        let owner = Client::of(here, Some(&text("token")));
        let short = owner.mint(json!({ "expires_at": ends })).await;
        for there in &nodes {
            // A session and a token that were made this instant are good, and the session is turned.
            Client::of(there, Some(&text("token")))
                .get("/api/v1/auth/check")
                .await
                .expect(StatusCode::NO_CONTENT);
            short.client.at(there).get("/api/v1/auth/check").await.expect(StatusCode::NO_CONTENT);
        }
        // At its end it ends everywhere: the first refusal and the last are one instant.
        let ended = async |there: &Service| {
            let client = short.client.at(there);
            while client.get("/api/v1/auth/check").await.status == StatusCode::NO_CONTENT {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Instant::now()
        };
        let (first, second, third) = tokio::join!(ended(&nodes[0]), ended(&nodes[1]), ended(&nodes[2]));
        let apart = first.max(second).max(third) - first.min(second).min(third);
        assert!(apart < Duration::from_millis(800), "{apart:?}");
        let refresh = json!({ "refreshToken": text("refreshToken") });
        for there in &nodes {
            let reply = Client::of(there, None).post("/api/v1/users/auth/refresh", refresh.clone()).await;
            reply.expect(StatusCode::OK);
        }
    }
}
