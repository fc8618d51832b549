//! What stands behind the request log: blocks that are put together, the order for those who read all of
//! it, and what happens when it cannot be written.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use hoody_core::time::Timestamp;
use hoody_service::testing::Service;
use http::StatusCode;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;

use crate::activity::rows;
use crate::support::{TestApp, on_both, until_one_waits};
use crate::upgrade::{execute, log_of};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const SMALL: &str = "SELECT CAST(COUNT(*) AS BIGINT) AS n FROM activity_blocks_641 WHERE state = 0";
const BLOCKS: &str = "SELECT CAST(COUNT(*) AS BIGINT) AS n FROM activity_blocks_641";

/// Which numbers of each run were read.
fn numbers(rows: &[(i64, i64, String, String)]) -> BTreeMap<i64, Vec<i64>> {
    let mut runs: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    rows.iter().for_each(|(run, seq, ..)| runs.entry(*run).or_default().push(*seq));
    runs
}

on_both! {
    async fn small_blocks_are_put_together_and_nothing_changes_for_who_reads(app: TestApp) {
        let (ada, bob) = (app.user("ada").await, app.user("bob").await);
        for number in 0..40 {
            for client in [&ada, &bob] {
                client.get(&format!("/api/v1/projects/{number:024x}")).await;
            }
            assert!(app.service.flush_activity().await);
        }
        let before = rows(&app, &ada, "limit=200").await;
        let (all, _) = app.service.activity_after("{}", 10_000).await;
        assert!(app.service.activity_number(SMALL).await >= 80);
        // The hour is not over, and there are not many.
        app.service.tidy_activity().await;
        assert!(app.service.activity_number(SMALL).await >= 80);
        app.later(2 * HOUR).await;
        app.service.tidy_activity().await;
        assert_eq!(app.service.activity_number(BLOCKS).await, 2, "one block an account");
        let ada_again = app.login("ada").await;
        let after = rows(&app, &ada_again, "limit=200").await;
        // What came since is the listing before and the login.
        assert_eq!(after[after.len() - before.len()..], before[..]);
        let (again, _) = app.service.activity_after("{}", 10_000).await;
        assert_eq!(again[..all.len()], all[..]);
    }

    async fn the_tail_gives_every_row_once_though_nodes_write_out_of_order(app: TestApp) {
        let owner = app.user("ada").await;
        let second = app.another_node().await;
        let mut place = "{}".to_owned();
        let mut read = Vec::new();
        for round in 0..30 {
            for number in 0..round % 5 {
                owner.get(&format!("/api/v1/projects/{round:012x}{number:012x}")).await;
                owner.at(&second).get(&format!("/api/v1/projects/{number:012x}{round:012x}")).await;
            }
            // One node is often behind the other.
            if round % 3 == 0 {
                assert!(second.flush_activity().await);
            }
            assert!(app.service.flush_activity().await);
            if round == 17 {
                app.later(2 * HOUR).await;
                second.advance(2 * HOUR);
                assert!(second.poll().await);
                app.service.tidy_activity().await;
            }
            let (rows, next) = app.service.activity_after(&place, 3).await;
            read.extend(rows);
            place = next;
        }
        assert!(second.flush_activity().await && app.service.flush_activity().await);
        loop {
            let (rows, next) = second.activity_after(&place, 3).await;
            if next == place {
                break;
            }
            read.extend(rows);
            place = next;
        }
        let (all, end) = app.service.activity_after("{}", 100_000).await;
        assert_eq!((place, read.len()), (end.clone(), all.len()));
        assert_eq!(app.service.activity_end().await, end);
        assert_eq!(numbers(&read).len(), 2);
        for (run, numbers) in numbers(&read) {
            let expected: Vec<_> = (1..=i64::try_from(numbers.len()).unwrap()).collect();
            assert_eq!(numbers, expected, "the numbers of run {run} have no gap, and each came once, in order");
        }
    }

    async fn who_wants_the_latest_hears_rows_once_they_are_stored_and_does_not_fall_behind(app: TestApp) {
        let owner = app.user("ada").await;
        assert!(app.service.flush_activity().await);
        let end = app.service.activity_end().await;
        owner.check("").await.expect(StatusCode::NO_CONTENT);
        assert_eq!(app.service.latest_activity(&end, 10).await, (Vec::new(), end.clone()));
        assert!(app.service.flush_activity().await);
        assert_eq!(app.service.latest_activity(&end, 10).await.0, ["/api/v1/auth/check"]);
        let project = |n: u64| format!("/api/v1/projects/{n:024x}");
        for n in 0..9 {
            owner.get(&project(n)).await.expect(StatusCode::NOT_FOUND);
        }
        assert!(app.service.flush_activity().await);
        let (paths, next) = app.service.latest_activity(&end, 2).await;
        assert_eq!((paths, next), (vec![project(7), project(8)], app.service.activity_end().await));
    }

    async fn rows_of_a_new_day_that_come_while_the_tail_looks_are_read(app: TestApp) {
        if app.url.starts_with("sqlite:") {
            // Only PostgreSQL lets a reader wait between two of its statements.
            return;
        }
        let token = app.user("ada").await.mint(json!({})).await;
        assert!(app.service.flush_activity().await);
        let (_, place) = app.service.activity_after("{}", 100).await;
        app.later(DAY).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        assert!(app.service.flush_activity().await);
        // As if the writer were not that far, and did it while the tail waits.
        execute(&app.url, "DELETE FROM activity_tables WHERE kind = 'bodies' AND span = 20515".to_owned()).await;
        execute(&app.url, "UPDATE activity_runs SET written = written - 1".to_owned()).await;
        assert_eq!(app.service.activity_after(&place, 100).await, (Vec::new(), place.clone()));
        let mut writer = PgConnection::connect(&app.url).await.unwrap();
        let hold = "BEGIN; LOCK TABLE activity_runs IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(hold).execute(&mut writer).await.unwrap();
        let tail = async { app.service.activity_after(&place, 100).await };
        let write = async {
            until_one_waits(&app.url).await;
            let write = "INSERT INTO activity_tables (kind, span) VALUES ('bodies', 20515); \
                UPDATE activity_runs SET written = written + 1; COMMIT";
            sqlx::raw_sql(write).execute(&mut writer).await.unwrap();
        };
        let ((rows, next), ()) = tokio::join!(tail, write);
        let paths: Vec<_> = rows.iter().map(|row| row.3.as_str()).collect();
        assert_eq!((paths, next), (vec!["/api/v1/auth/check"], app.service.activity_end().await));
    }

    async fn rows_that_are_dropped_for_age_while_the_tail_looks_are_passed_over(app: TestApp) {
        if app.url.starts_with("sqlite:") {
            return;
        }
        let token = app.user("ada").await.mint(json!({})).await;
        assert!(app.service.flush_activity().await);
        app.later(DAY).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        assert!(app.service.flush_activity().await);
        let mut keeper = PgConnection::connect(&app.url).await.unwrap();
        let hold = "BEGIN; LOCK TABLE activity_tables IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(hold).execute(&mut keeper).await.unwrap();
        let tail = async { app.service.activity_after("{}", 100).await };
        let drop = async {
            until_one_waits(&app.url).await;
            let drop = "DELETE FROM activity_tables WHERE kind = 'bodies' AND span = 20514; \
                DROP TABLE activity_bodies_20514; COMMIT";
            sqlx::raw_sql(drop).execute(&mut keeper).await.unwrap();
        };
        let ((rows, next), ()) = tokio::join!(tail, drop);
        let paths: Vec<_> = rows.iter().map(|row| row.3.as_str()).collect();
        assert_eq!((paths, next), (vec!["/api/v1/auth/check"], app.service.activity_end().await));
    }

    async fn rows_from_before_the_instant_at_which_a_run_was_first_stored_are_read(app: TestApp) {
        let token = app.user("ada").await.mint(json!({})).await;
        assert!(app.service.flush_activity().await);
        let (_, place) = app.service.activity_after("{}", 100).await;
        // The last second of the days that share a table.
        let last = Timestamp::from_millis(642 * 32 * DAY - 1_000);
        app.later(last.millis() - app.service.now().millis()).await;
        let second = app.another_node().await;
        let client = token.client.at(&second);
        client.check("").await.expect(StatusCode::NO_CONTENT);
        second.advance(2_000);
        assert!(second.poll().await);
        client.get("/api/v1/projects").await.expect(StatusCode::OK);
        assert!(second.flush_activity().await);
        let (rows, _) = second.activity_after(&place, 100).await;
        assert_eq!(numbers(&rows), BTreeMap::from([(2, vec![1, 2])]), "{rows:?}");
    }

    async fn a_run_that_gets_the_number_of_one_that_is_lost_is_read_from_its_beginning(app: TestApp) {
        let owner = app.user("ada").await;
        for _ in 0..5 {
            owner.check("").await.expect(StatusCode::NO_CONTENT);
        }
        assert!(app.service.flush_activity().await);
        let (lost, place) = app.service.activity_after("{}", 100).await;
        // Power is lost before the log was on the disk, or somebody deletes its file.
        for table in ["runs", "blocks_641", "bodies_20514"] {
            execute(&log_of(&app), format!("DELETE FROM activity_{table}")).await;
        }
        app.later(1_000).await;
        let second = app.another_node().await;
        for _ in 0..3 {
            owner.at(&second).check("").await.expect(StatusCode::NO_CONTENT);
        }
        assert!(second.flush_activity().await);
        let (rows, next) = second.activity_after(&place, 100).await;
        assert_eq!(numbers(&rows), BTreeMap::from([(1, vec![1, 2, 3])]), "the same number, other rows");
        assert_eq!((numbers(&lost)[&1].len() > 3, second.activity_end().await), (true, next.clone()));
        assert_eq!(second.activity_after(&next, 100).await, (Vec::new(), next.clone()));
        // A place that an older version kept is one in whatever run has the number.
        let (rows, after) = second.activity_after(r#"{"1":2}"#, 100).await;
        assert_eq!((numbers(&rows), after), (BTreeMap::from([(1, vec![3])]), next));
    }

    /// Threat 40: when the log cannot be written, requests slow down and none is left out in silence.
    async fn threat_40_a_writer_that_stands_slows_requests_and_loses_none(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "permissions": {} })).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        assert!(app.service.flush_activity().await);
        let before = app.service.activity_after("{}", 100_000).await.0.len();
        // Nobody writes: the memory fills, and then requests wait.
        let mut asked = JoinSet::new();
        for _ in 0..9_000 {
            let client = token.client.clone();
            asked.spawn(async move { client.check("projects.read").await.status });
        }
        let mut answered = 0;
        while app.service.waiting_activity() < 8_192 {
            assert_eq!(asked.join_next().await.unwrap().unwrap(), StatusCode::FORBIDDEN);
            answered += 1;
        }
        while answered < 8_192 {
            asked.join_next().await.unwrap().unwrap();
            answered += 1;
        }
        let waits = tokio::time::timeout(Duration::from_millis(300), asked.join_next()).await;
        assert!(waits.is_err(), "a request was answered though there was no room for its row");
        let mut refused = 0;
        while refused < 9_000 - 8_192 {
            assert!(app.service.flush_activity().await);
            while let Ok(Some(status)) = tokio::time::timeout(Duration::from_millis(50), asked.join_next()).await {
                assert_eq!(status.unwrap(), StatusCode::FORBIDDEN);
                refused += 1;
            }
        }
        assert!(app.service.flush_activity().await);
        let (all, _) = app.service.activity_after("{}", 100_000).await;
        assert_eq!(all.len() - before, 9_000, "every refusal is there, none is sampled");
        let count = "SELECT CAST(SUM(n) AS BIGINT) AS n FROM activity_blocks_641";
        assert_eq!(app.service.activity_number(count).await as usize, all.len());
    }

    async fn committed_means_that_the_row_is_stored_before_the_answer(app: TestApp) {
        let owner = app.user("ada").await;
        let node = committed_node(&app).await;
        node.start();
        let mut asked = JoinSet::new();
        for number in 0..200 {
            let client = owner.at(&node);
            asked.spawn(async move { client.get(&format!("/api/v1/projects/{number:024x}")).await.status });
        }
        assert_eq!(asked.join_all().await.len(), 200);
        let (rows, _) = app.service.activity_after("{}", 10_000).await;
        assert_eq!(rows.iter().filter(|row| row.3.starts_with("/api/v1/projects/")).count(), 200);
    }

    async fn what_cannot_be_logged_is_not_answered_when_it_must_be_committed(app: TestApp) {
        let owner = app.user("ada").await;
        let node = committed_node(&app).await;
        owner.at(&node).get("/livez").await.expect(StatusCode::OK);
        node.cut_activity().await;
        node.start();
        let began = tokio::time::Instant::now();
        let reply = owner.at(&node).get("/api/v1/auth/check").await;
        reply.refused(503, "UNAVAILABLE");
        assert!(reply.headers.contains_key("retry-after") && began.elapsed() < Duration::from_secs(20));
        // Who is nobody's business is answered as always.
        app.anon().at(&node).get("/api/v1/auth/check").await.refused(401, "MISSING_TOKEN");
    }

    async fn while_it_cannot_be_written_nobody_waits_and_committed_changes_nothing(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "permissions": {} })).await;
        let (batched, committed) = (app.another_node().await, committed_node(&app).await);
        for node in [&batched, &committed] {
            node.cut_activity().await;
            node.start();
        }
        // It fills its memory, and more: a request that waited would take five seconds.
        let began = tokio::time::Instant::now();
        let there = token.client.at(&batched);
        for _ in 0..3 {
            let asked = (0..8_192).map(|_| there.check("projects.read"));
            let asked: Vec<_> = asked.collect::<FuturesUnordered<_>>().collect().await;
            assert!(asked.iter().all(|reply| reply.status == StatusCode::FORBIDDEN));
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
        owner.at(&batched).post("/api/v1/projects", json!({ "alias": "batched" })).await.expect(StatusCode::CREATED);
        // The first learns that the log is stuck; what comes then is not begun.
        owner.at(&committed).get("/api/v1/projects").await.refused(503, "UNAVAILABLE");
        let refused = owner.at(&committed).post("/api/v1/projects", json!({ "alias": "committed" })).await;
        refused.refused(503, "UNAVAILABLE");
        assert!(refused.headers.contains_key("retry-after"));
        let made = "SELECT COUNT(*) AS n FROM projects WHERE alias IN ('batched', 'committed')";
        assert_eq!(app.service.number(made).await, 1);
        app.anon().at(&committed).get("/livez").await.expect(StatusCode::OK);
    }

    async fn a_log_that_is_away_for_a_while_is_written_when_it_is_back(app: TestApp) {
        let owner = app.user("ada").await;
        let node = app.another_node().await;
        node.cut_activity().await;
        for _ in 0..5 {
            owner.at(&node).check("").await.expect(StatusCode::NO_CONTENT);
        }
        assert!(!node.flush_activity().await);
        assert!(!node.flush_activity().await, "it is still there, to be tried again");
        owner.check("").await.expect(StatusCode::NO_CONTENT);
        assert_eq!(rows(&app, &owner, "").await.len(), 2);
    }

    /// Threat 40: what finds no room at all is counted where the log is.
    async fn threat_40_rows_that_are_given_up_are_counted(app: TestApp) {
        const LOST: &str = "SELECT CAST(SUM(lost) AS BIGINT) AS n FROM activity_runs";
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "permissions": {} })).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        assert!(app.service.flush_activity().await);
        assert_eq!(app.service.activity_number(LOST).await, 0);
        let before = app.service.activity_after("{}", 100_000).await.0.len();
        for _ in 0..8_192 {
            token.client.check("projects.read").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        }
        // These wait for room, until their clients leave: then there is as much again, and seven are too many.
        let asked = (0..8_192 + 7).map(|_| token.client.check("projects.read"));
        let mut asked: FuturesUnordered<_> = asked.collect();
        for _ in 0..8 {
            assert!(asked.next().now_or_never().is_none(), "there was no room for its row");
        }
        drop(asked);
        assert_eq!(app.service.waiting_activity(), 2 * 8_192);
        assert!(app.service.flush_activity().await);
        let (all, _) = app.service.activity_after("{}", 100_000).await;
        assert_eq!((all.len() - before, app.service.activity_number(LOST).await), (2 * 8_192, 7));
    }

    async fn the_instants_of_a_run_never_go_back_whoever_waited(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "permissions": {} })).await;
        for _ in 0..8_192 {
            token.client.check("").await;
            if app.service.waiting_activity() == 8_192 {
                break;
            }
        }
        let path = format!("/api/v1/projects/{:024x}", 1);
        let mut late = Box::pin(token.client.get(&path));
        assert!(late.as_mut().now_or_never().is_none(), "there is no room for its row");
        app.later(60_000).await;
        assert!(app.service.flush_activity().await);
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        late.await;
        assert!(app.service.flush_activity().await);
        let newest = rows(&app, &owner, "limit=2").await;
        let at = json!(app.service.now());
        assert_eq!((&newest[0]["path"], &newest[0]["created_at"]), (&json!(path), &at), "{newest:?}");
        assert_eq!(newest[1]["created_at"], at);
    }

    async fn rows_whose_commit_was_not_heard_of_are_not_stored_twice(app: TestApp) {
        let owner = app.user("ada").await;
        let node = app.another_node().await;
        let check = async || owner.at(&node).check("").await.expect(StatusCode::NO_CONTENT).status;
        check().await;
        assert!(node.flush_activity().await);
        check().await;
        check().await;
        // As if these two had been stored, and the connection had broken before the answer.
        execute(&log_of(&app), "UPDATE activity_runs SET written = 3".to_owned()).await;
        assert!(node.flush_activity().await, "it finds out that they are there");
        check().await;
        assert!(node.flush_activity().await);
        let (rows, _) = node.activity_after("{}", 100).await;
        assert_eq!(numbers(&rows).into_values().collect::<Vec<_>>(), [[1, 4]]);
    }

    /// Threat 32: heavy use is few writes, and a check does not wait for a database that stands.
    async fn threat_32_a_check_is_answered_while_the_log_stands(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        app.service.cut_activity().await;
        let mut asked = JoinSet::new();
        for _ in 0..2_000 {
            let client = token.client.clone();
            asked.spawn(async move { client.check("").await.status });
        }
        let answers = tokio::time::timeout(Duration::from_secs(10), asked.join_all()).await.unwrap();
        assert!(answers.iter().all(|status| *status == StatusCode::NO_CONTENT));
        assert!(!app.service.flush_activity().await);
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
    }
}

async fn committed_node(app: &TestApp) -> Service {
    Service::open_logging(&app.url, app.directory.path(), "", app.service.now(), Some(true)).await
}
