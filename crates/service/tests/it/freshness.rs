//! Freshness: how long one node answers from what it knows while another changes it, and what it does
//! when it cannot know.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use hoody_service::testing::Service;
use http::{Method, StatusCode};
use serde_json::json;
use sqlx::Connection as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use crate::support::{Client, HERE, Minted, PASSWORD, Reply, TestApp, on_both};

/// For how long after a poll the cache answers, in milliseconds.
const FRESH_FOR: i64 = 800;
/// How long something in the background may take to happen. It takes 50 ms.
const DEADLINE: Duration = Duration::from_secs(2);

async fn good(client: &Client) -> Reply {
    client.check("projects.read").await
}

async fn disable(owner: &Client, token: &Minted) {
    let path = format!("/api/v1/auth/tokens/{}", token.id);
    owner.patch(&path, json!({ "is_enabled": false })).await.expect(StatusCode::OK);
}

fn unavailable(reply: &Reply) {
    reply.refused(503, "UNAVAILABLE");
    assert_eq!(reply.headers["retry-after"], "1");
}

/// Asks until the answer is this, or fails when it takes too long.
async fn until(client: &Client, status: u16, code: &str) {
    let asking = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        loop {
            ticks.tick().await;
            let reply = good(client).await;
            if reply.status == status && reply.body["code"] == code {
                return;
            }
        }
    };
    assert!(tokio::time::timeout(DEADLINE, asking).await.is_ok(), "no {status} {code} in {DEADLINE:?}");
}

/// A token that is hot on a second node, which has just polled.
async fn hot_on_two(app: &TestApp) -> (Client, Minted, Service, Client) {
    let owner = app.user("ada").await;
    let token = owner.mint(json!({})).await;
    let second = app.another_node().await;
    let there = token.client.at(&second);
    good(&token.client).await.expect(StatusCode::NO_CONTENT);
    good(&there).await.expect(StatusCode::NO_CONTENT);
    (owner, token, second, there)
}

/// A database's socket in `directory` that leads to the one in `to`, and from the first connection that says
/// `what` on swallows all that comes on it: it stays open, and nobody answers.
fn swallow_once(directory: &Path, to: String, what: &'static [u8], swallowed: Arc<Notify>) {
    let listener = UnixListener::bind(directory.join(".s.PGSQL.5432")).unwrap();
    let is_done = Arc::new(AtomicBool::new(false));
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = UnixStream::connect(Path::new(&to).join(".s.PGSQL.5432")).await.unwrap();
            let ((mut asked, mut answered), (mut answer, mut ask)) = (near.into_split(), far.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut answer, &mut answered).await });
            let (is_done, swallowed) = (Arc::clone(&is_done), Arc::clone(&swallowed));
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                let mut is_swallowed = false;
                while let Ok(count @ 1..) = asked.read(&mut bytes).await {
                    let says = bytes[..count].windows(what.len()).any(|part| part == what);
                    if says && !is_done.swap(true, Ordering::SeqCst) {
                        is_swallowed = true;
                        swallowed.notify_one();
                    }
                    if !is_swallowed && ask.write_all(&bytes[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}

on_both! {
    /// PostgreSQL shows a change before it is on the disk, and a crash takes it back. Who lost the connection
    /// may have read such a change: it is read again. What was known before the last poll is kept.
    async fn what_was_read_since_the_last_poll_is_read_again_when_the_connection_is_lost(app: TestApp) {
        if app.url.starts_with("sqlite") {
            return;
        }
        let (owner, _, second, kept) = hot_on_two(&app).await;
        let token = owner.mint(json!({})).await;
        disable(&owner, &token).await;
        assert!(second.poll().await);
        let there = token.client.at(&second);
        app.service.tamper("UPDATE tokens SET is_enabled = TRUE").await;
        good(&there).await.expect(StatusCode::NO_CONTENT);
        let path = format!("UPDATE tokens SET is_enabled = FALSE WHERE id = decode('{}', 'hex')", token.id);
        app.service.tamper(path.leak()).await;
        assert_eq!(second.cached(), 2);

        let mut admin = sqlx::PgConnection::connect(&app.url).await.unwrap();
        sqlx::raw_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .execute(&mut admin)
        .await
        .unwrap();
        while !second.poll().await {}
        assert_eq!(second.cached(), 1);
        good(&there).await.refused(401, "INVALID_TOKEN");
        good(&kept).await.expect(StatusCode::NO_CONTENT);
    }

    async fn another_node_refuses_after_its_next_poll(app: TestApp) {
        let (owner, token, second, there) = hot_on_two(&app).await;
        disable(&owner, &token).await;
        good(&token.client).await.refused(401, "INVALID_TOKEN");
        // Its clock stands still and it did not poll: it cannot know.
        good(&there).await.expect(StatusCode::NO_CONTENT);
        assert!(second.poll().await);
        good(&there).await.refused(401, "INVALID_TOKEN");
    }

    async fn a_node_whose_polls_stop_asks_the_database(app: TestApp) {
        let (owner, token, second, there) = hot_on_two(&app).await;
        disable(&owner, &token).await;
        second.advance(FRESH_FOR - 1);
        good(&there).await.expect(StatusCode::NO_CONTENT);
        second.advance(1);
        good(&there).await.refused(401, "INVALID_TOKEN");
        // What it reads then is for that request alone.
        owner
            .patch(&format!("/api/v1/auth/tokens/{}", token.id), json!({ "is_enabled": true }))
            .await
            .expect(StatusCode::OK);
        good(&there).await.expect(StatusCode::NO_CONTENT);
        disable(&owner, &token).await;
        good(&there).await.refused(401, "INVALID_TOKEN");
    }

    async fn only_a_poll_makes_a_node_fresh_again(app: TestApp) {
        let (owner, token, second, there) = hot_on_two(&app).await;
        second.advance(FRESH_FOR);
        assert_eq!(there.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
        // Neither its own reads nor its own changes do.
        good(&there).await.expect(StatusCode::NO_CONTENT);
        owner.at(&second).mint(json!({})).await;
        assert_eq!(there.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
        disable(&owner, &token).await;
        assert!(second.poll().await);
        there.get("/readyz").await.expect(StatusCode::OK);
        good(&there).await.refused(401, "INVALID_TOKEN");
    }

    async fn without_a_database_a_node_answers_while_it_is_fresh_and_then_refuses(app: TestApp) {
        let (owner, _, second, there) = hot_on_two(&app).await;
        let cold = owner.mint(json!({})).await.client.at(&second);
        second.cut_database().await;
        assert!(!second.poll().await);
        good(&there).await.expect(StatusCode::NO_CONTENT);
        unavailable(&good(&cold).await);
        second.advance(FRESH_FOR);
        unavailable(&good(&there).await);
        assert!(!second.poll().await);
        unavailable(&good(&there).await);
        unavailable(&there.get("/api/v1/projects").await);
        assert_eq!(there.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
        there.get("/livez").await.expect(StatusCode::OK);
        // The other node is not concerned.
        good(&there.at(&app.service)).await.expect(StatusCode::NO_CONTENT);
    }

    async fn whoever_asks_whether_it_is_ready_costs_the_database_nothing(app: TestApp) {
        let there = app.anon();
        app.service.cut_database().await;
        // As the last poll found it.
        let ready = there.get("/readyz").await;
        ready.expect(StatusCode::OK);
        assert_eq!(ready.body["database"], true);
        assert!(!app.service.poll().await);
        let ready = there.get("/readyz").await;
        ready.expect(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ready.body, json!({ "ready": false, "database": false, "writes": true, "feed": true, "keys": true, "tasks": true, "warnings": [] }));
    }

    async fn a_read_that_lands_when_the_node_is_stale_is_read_again(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let second = app.another_node().await;
        let reached = Arc::new(tokio::sync::Semaphore::new(0));
        let released = Arc::new(tokio::sync::Semaphore::new(0));
        second.hold_cold_reads({
            let (reached, released) = (reached.clone(), released.clone());
            move || {
                let (reached, released) = (reached.clone(), released.clone());
                async move {
                    reached.add_permits(1);
                    released.acquire().await.unwrap().forget();
                }
            }
        });
        let there = token.client.at(&second);
        let held = tokio::spawn(async move { good(&there).await });
        reached.acquire().await.unwrap().forget();
        disable(&owner, &token).await;
        // No poll tells the second node; but when it decides, it knows that it knows nothing.
        second.advance(FRESH_FOR);
        released.add_permits(1);
        held.await.unwrap().refused(401, "INVALID_TOKEN");
    }

    async fn a_database_that_stalls_makes_a_stale_node_refuse_soon_and_not_wait(app: TestApp) {
        // On SQLite no reader waits for anybody.
        if app.url.starts_with("sqlite") {
            return;
        }
        let (_, _, second, there) = hot_on_two(&app).await;
        second.advance(FRESH_FOR);
        let mut stalled = sqlx::PgConnection::connect(&app.url).await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE")
            .execute(&mut stalled)
            .await
            .unwrap();
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..3_000 {
            let there = there.clone();
            all.spawn(async move { good(&there).await });
        }
        let replies = tokio::time::timeout(Duration::from_secs(3), all.join_all()).await.expect("soon");
        for reply in replies {
            unavailable(&reply);
        }
        stalled.close().await.unwrap();
        good(&there).await.expect(StatusCode::NO_CONTENT);
    }

    async fn a_feed_that_went_back_empties_the_cache(app: TestApp) {
        let (_, _, second, there) = hot_on_two(&app).await;
        assert!(second.poll().await);
        assert_eq!(second.cached(), 1);
        app.service.tamper("UPDATE tokens SET is_enabled = FALSE").await;
        app.service.tamper("UPDATE feed_head SET pos = 0 WHERE id = 1").await;
        good(&there).await.expect(StatusCode::NO_CONTENT);
        assert!(second.poll().await);
        assert_eq!(second.cached(), 0);
        good(&there).await.refused(401, "INVALID_TOKEN");
    }

    async fn a_ban_beside_the_server_is_in_force_after_one_poll(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        for client in [&owner, &token.client] {
            good(client).await.expect(StatusCode::NO_CONTENT);
        }
        app.service.ban_elsewhere("ada", true).await;
        assert!(app.service.poll().await);
        for client in [&owner, &token.client] {
            good(client).await.refused(403, "ACCOUNT_BANNED");
        }
        app.service.ban_elsewhere("ada", false).await;
        assert!(app.service.poll().await);
        for client in [&owner, &token.client] {
            good(client).await.expect(StatusCode::NO_CONTENT);
        }
    }

    async fn the_tail_in_the_background_applies_what_happens_elsewhere(app: TestApp) {
        let (owner, token, second, there) = hot_on_two(&app).await;
        second.start();
        app.service.start();
        disable(&owner, &token).await;
        until(&there, 401, "INVALID_TOKEN").await;
        app.service.ban_elsewhere("ada", true).await;
        until(&owner, 403, "ACCOUNT_BANNED").await;
        until(&owner.at(&second), 403, "ACCOUNT_BANNED").await;
    }

    async fn more_changes_than_are_read_at_once_are_all_applied_by_one_poll(app: TestApp) {
        let (owner, token, second, there) = hot_on_two(&app).await;
        let rows = "WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < 2500) \
             INSERT INTO feed (pos, seq, at, event_type, account_id, actor_kind, resource_type, resource_id, \
             realm_ids, payload, forget_kind, forget_id) \
             SELECT head.pos + more.n, 0, 0, 'test', users.id, 'nobody', 'user', users.id, '', '{}', 'token', \
             users.id \
             FROM more CROSS JOIN users CROSS JOIN feed_head head WHERE users.username = 'ada'";
        assert_eq!(app.service.tamper(rows).await, 2_500);
        app.service.tamper("UPDATE feed_head SET pos = pos + 2500 WHERE id = 1").await;
        disable(&owner, &token).await;
        assert!(second.poll().await);
        good(&there).await.refused(401, "INVALID_TOKEN");
    }

    async fn many_rows_of_one_position_are_all_applied(app: TestApp) {
        let (_, _, second, there) = hot_on_two(&app).await;
        app.service.tamper("UPDATE feed_head SET pos = pos + 1 WHERE id = 1").await;
        let rows = "WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < 1500) \
             INSERT INTO feed (pos, seq, at, event_type, account_id, actor_kind, resource_type, resource_id, \
             realm_ids, payload, forget_kind, forget_id) \
             SELECT head.pos, more.n, 0, 'test', users.id, 'nobody', 'user', users.id, '', '{}', \
             CASE WHEN more.n = 1500 THEN 'account' ELSE 'token' END, users.id \
             FROM more CROSS JOIN users CROSS JOIN feed_head head WHERE users.username = 'ada'";
        assert_eq!(app.service.tamper(rows).await, 1_500);
        app.service.tamper("UPDATE tokens SET is_enabled = FALSE").await;
        assert!(second.poll().await);
        good(&there).await.refused(401, "INVALID_TOKEN");
    }

    async fn threat_09_a_revocation_counts_in_its_own_millisecond(app: TestApp) {
        // The clock stands still: all of this is one instant.
        let owner = app.user("ada").await;
        let (first, second) = (owner.mint(json!({})).await, owner.mint(json!({})).await);
        for token in [&first, &second] {
            good(&token.client).await.expect(StatusCode::NO_CONTENT);
        }
        owner.delete(&format!("/api/v1/auth/tokens/{}", first.id)).await.expect(StatusCode::OK);
        good(&first.client).await.refused(401, "INVALID_TOKEN");
        let now = app.service.now().millis();
        owner
            .put(&format!("/api/v1/auth/tokens/{}", second.id), json!({ "expires_at": now + 1 }))
            .await
            .expect(StatusCode::OK);
        good(&second.client).await.expect(StatusCode::NO_CONTENT);
        app.service.advance(1);
        good(&second.client).await.refused(401, "TOKEN_EXPIRED");

        let (old, refresh_token) = app.sign_in("ada").await;
        let old = app.with(&old);
        good(&old).await.expect(StatusCode::NO_CONTENT);
        owner.post("/api/v1/users/auth/logout", json!({})).await.expect(StatusCode::OK);
        let new = app.login("ada").await;
        good(&old).await.refused(401, "INVALID_TOKEN");
        good(&owner).await.refused(401, "INVALID_TOKEN");
        good(&new).await.expect(StatusCode::NO_CONTENT);
        let replayed = json!({ "refreshToken": refresh_token });
        app.anon().post("/api/v1/users/auth/refresh", replayed).await.refused(401, "INVALID_TOKEN");

        let path = format!("/api/v1/users/{}", new.account().await);
        let body = json!({ "password": "another horse battery", "current_password": PASSWORD });
        new.put(&path, body).await.expect(StatusCode::OK);
        good(&new).await.refused(401, "INVALID_TOKEN");
        app.service.ban_elsewhere("ada", true).await;
        app.service.poll().await;
        let body = json!({ "username": "ada", "password": "another horse battery" });
        app.anon().post("/api/v1/users/auth/login", body).await.refused(401, "INVALID_CREDENTIALS");
    }

    async fn time_never_runs_backwards(app: TestApp) {
        let owner = app.user("ada").await;
        let ends = app.service.now().millis() + 400;
        let token = owner.mint(json!({ "expires_at": ends })).await;
        good(&token.client).await.expect(StatusCode::NO_CONTENT);
        app.service.advance(500);
        good(&token.client).await.refused(401, "TOKEN_EXPIRED");
        let latest = app.service.now();
        app.service.advance(-400);
        assert_eq!(app.service.now(), latest);
        good(&token.client).await.refused(401, "TOKEN_EXPIRED");
        let made = owner.get(&format!("/api/v1/auth/tokens/{}", owner.mint(json!({})).await.id)).await;
        assert_eq!(made.data()["created_at"], json!(latest));
        assert_eq!(owner.from(HERE).get("/api/v1/ip").await.data()["timestamp"], json!(latest));
    }

    async fn a_connection_that_is_swallowed_while_it_feeds_streams_keeps_no_node_from_the_feed(app: TestApp) {
        // On SQLite there is no network.
        if app.url.starts_with("sqlite") {
            return;
        }
        let owner = app.user("ada").await;
        let swallowed = Arc::new(Notify::new());
        let directory = tempfile::tempdir().unwrap();
        let (url, socket) = app.url.split_once("?host=").unwrap();
        swallow_once(directory.path(), socket.to_owned(), b"ORDER BY f.pos, f.seq", Arc::clone(&swallowed));
        let url = format!("{url}?host={}", directory.path().display());
        let second = Service::open(&url, app.directory.path(), "", app.service.now()).await;
        assert!(second.poll().await);
        let listening = owner.at(&second).open(Method::GET, "/api/v1/events/stream", Body::empty()).await;
        assert_eq!(listening.status(), StatusCode::OK);
        owner.mint(json!({})).await;
        let polling = {
            let second = second.clone();
            tokio::spawn(async move { second.poll().await })
        };
        swallowed.notified().await;
        // That connection answers nothing any more. The tail has its own, and streams get another.
        assert!(second.poll().await, "the feed can be read");
        let first = tokio::time::timeout(Duration::from_secs(5), polling).await;
        assert!(!first.expect("it is given up soon").unwrap());
    }
}
