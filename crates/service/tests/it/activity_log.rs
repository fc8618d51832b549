//! The request log as a list: pages, filters, limits, who may read it, and how long it is kept.

use hoody_core::activity::{Method, Record, Series};
use hoody_core::time::Timestamp;
use http::StatusCode;
use serde_json::{Value, json};

use crate::activity::{ACTIVITY, rows};
use crate::support::{Client, REALM_A, REALM_B, TestApp, on_both};
use crate::upgrade::execute;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// What tokens did in hours of days that are not put together.
const HOURS: &str = "SELECT CAST(COUNT(*) AS BIGINT) AS n FROM activity_hours";
/// And on days that are.
const TOGETHER: &str = "SELECT CAST(COUNT(*) AS BIGINT) AS n FROM activity_usage_641";
const STATS: &str = "/api/v1/users/auth/activity/stats";

async fn page(app: &TestApp, client: &Client, query: &str) -> (Vec<Value>, Value) {
    assert!(app.service.flush_activity().await);
    let reply = client.get(&format!("{ACTIVITY}?{query}")).await;
    reply.expect(StatusCode::OK);
    (reply.data().as_array().unwrap().clone(), reply.body["metadata"].clone())
}

async fn total(app: &TestApp, client: &Client, query: &str) -> u64 {
    page(app, client, query).await.1["total"].as_u64().unwrap()
}

on_both! {
    async fn pages_hold_every_row_once_the_latest_first(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        // In many blocks, of two nodes that overlap in time, put together here and there.
        let second = app.another_node().await;
        for batch in 0..12 {
            for number in 0..7 {
                let client = if number % 3 == 0 { token.client.at(&second) } else { token.client.clone() };
                client.get(&format!("/api/v1/projects/{batch:012x}{number:012x}")).await;
                app.later(700_000 / 7).await;
                second.advance(700_000 / 7);
                assert!(second.poll().await);
            }
            assert!(app.service.flush_activity().await && second.flush_activity().await);
            if batch % 5 == 4 {
                app.service.tidy_activity().await;
            }
        }
        let whole = |row: &Value| (row["created_at"].clone(), row["path"].clone());
        let (all, metadata) = page(&app, &owner, "limit=200&min_status=404&max_status=404").await;
        assert_eq!((all.len(), &metadata["total"], &metadata["pages"]), (84, &json!(84), &json!(1)));
        let mut paths: Vec<_> = all.iter().map(|row| row["path"].as_str().unwrap().to_owned()).collect();
        assert!(all.is_sorted_by(|a, b| a["created_at"].as_str() >= b["created_at"].as_str()));
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), 84);
        for limit in [1, 5, 13, 50] {
            let mut pages = Vec::new();
            for number in 1..=84_usize.div_ceil(limit) {
                let query = format!("page={number}&limit={limit}&min_status=404&max_status=404");
                pages.extend(page(&app, &owner, &query).await.0.iter().map(whole));
            }
            assert_eq!(pages, all.iter().map(whole).collect::<Vec<_>>(), "pages of {limit}");
        }
        let (beyond, metadata) = page(&app, &owner, "page=100&limit=50&min_status=404&max_status=404").await;
        assert_eq!((beyond.len(), &metadata["page"], &metadata["pages"]), (0, &json!(100), &json!(2)));
    }

    async fn filters_select_by_status_method_realm_and_time(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "permissions": { "projects": { "read": true } } })).await;
        app.later(1_000).await;
        let began = app.service.now();
        for (client, times) in [(token.client.clone(), 3), (token.client.realm(REALM_A), 2)] {
            for _ in 0..times {
                client.get("/api/v1/projects").await.expect(StatusCode::OK);
                client.post("/api/v1/projects", json!({})).await.expect(StatusCode::FORBIDDEN);
                client.get("/api/v1/projects/000000000000000000000000").await.expect(StatusCode::NOT_FOUND);
                app.later(HOUR / 2).await;
            }
        }
        let ended = app.service.now().plus(-HOUR / 2);
        let range = format!("start_date={began}&end_date={ended}");
        for (query, expected) in [
            ("method=POST", 5),
            ("method=DELETE", 0),
            ("errors_only=true&method=GET", 5),
            ("errors_only=true", 10),
            ("errors_only=1&max_status=403", 5),
            ("min_status=404&max_status=404", 5),
            ("min_status=200&max_status=299&method=GET", 5),
            ("min_status=500", 0),
            (&format!("realm_id={REALM_A}"), 6),
            (&format!("realm_id={REALM_A}&errors_only=true"), 4),
            (&format!("realm_id={REALM_B}"), 0),
            ("errors_only=true&max_status=399", 0),
            ("start_date=2026-03-02&end_date=2026-03-02", 15),
        ] {
            let query = if query.contains("start_date") { query.to_owned() } else { format!("{query}&{range}") };
            let (rows, metadata) = page(&app, &owner, &query).await;
            let of_token = rows.iter().filter(|row| row["token_id"] == json!(token.id)).count();
            if !query.starts_with("start_date") {
                assert_eq!(metadata["total"], json!(expected), "{query}");
            }
            assert_eq!(of_token, expected, "{query}");
        }
        // Both ends of a range are in it, to the millisecond.
        let instant = began.plus(HOUR / 2);
        let exact = format!("start_date={instant}&end_date={instant}&limit=200");
        assert_eq!(page(&app, &owner, &exact).await.0.len(), 3);
        let none = format!("start_date={}&end_date={}", instant.plus(1), instant.plus(2));
        assert_eq!(total(&app, &owner, &none).await, 0);
        // On a realm's host the log is that realm's.
        let (here, _) = page(&app, &owner.realm(REALM_A), "errors_only=true").await;
        assert_eq!(here.len(), 4);
        let other = format!("{ACTIVITY}?realm_id={REALM_B}");
        owner.realm(REALM_A).get(&other).await.refused(403, "REALM_NOT_ALLOWED");
    }

    async fn wrong_parameters_are_refused_by_name(app: TestApp) {
        let owner = app.user("ada").await;
        for (query, code, word) in [
            ("page=0", "INVALID_PARAMETER_VALUE", "page"),
            ("page=x", "INVALID_PARAMETER_VALUE", "page"),
            ("page=201&limit=50", "INVALID_PARAMETER_VALUE", "page"),
            ("page=4294967295&limit=200", "INVALID_PARAMETER_VALUE", "page"),
            ("limit=0", "INVALID_PARAMETER_VALUE", "limit"),
            ("limit=201", "INVALID_PARAMETER_VALUE", "limit"),
            ("limit=-1", "INVALID_PARAMETER_VALUE", "limit"),
            ("min_status=99", "INVALID_PARAMETER_VALUE", "min_status"),
            ("max_status=600", "INVALID_PARAMETER_VALUE", "max_status"),
            ("min_status=500&max_status=400", "INVALID_PARAMETER_VALUE", "min_status"),
            ("errors_only=maybe", "INVALID_PARAMETER_VALUE", "errors_only"),
            ("method=BREW", "INVALID_PARAMETER_VALUE", "method"),
            ("method=get", "INVALID_PARAMETER_VALUE", "method"),
            ("start_date=yesterday", "INVALID_PARAMETER_VALUE", "start_date"),
            ("end_date=2026-13-01", "INVALID_PARAMETER_VALUE", "end_date"),
            ("start_date=2026-03-02&end_date=2026-03-01", "INVALID_DATE_RANGE", "start_date"),
            ("realm_id=x", "INVALID_REALM_ID_FORMAT", "realm_id"),
            ("limit=1&limit=2", "INVALID_PARAMETER_VALUE", "limit"),
        ] {
            let reply = owner.get(&format!("{ACTIVITY}?{query}")).await;
            reply.refused(400, code);
            assert!(reply.body["message"].as_str().unwrap().contains(word), "{query}: {}", reply.text);
        }
        let last = owner.get(&format!("{ACTIVITY}?page=200&limit=50")).await;
        last.expect(StatusCode::OK);
        let token = owner.mint(json!({})).await;
        let usage = format!("/api/v1/auth/tokens/{}/usage", token.id);
        owner.get(&format!("{usage}?days=0")).await.refused(400, "INVALID_PARAMETER_VALUE");
        owner.get(&format!("{usage}?days=366")).await.refused(400, "INVALID_PARAMETER_VALUE");
        owner.get("/api/v1/auth/tokens/x/usage").await.refused(400, "INVALID_ID_FORMAT");
    }

    async fn days_are_dropped_whole_and_the_oldest_record_follows(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let began = app.service.now();
        for day in 0..4 {
            token.client.check("").await.expect(StatusCode::NO_CONTENT);
            assert!(app.service.flush_activity().await, "day {day}");
            app.later(DAY).await;
        }
        let tables = "SELECT CAST(COUNT(*) AS BIGINT) AS n FROM activity_tables WHERE kind = 'bodies'";
        assert_eq!(app.service.activity_number(tables).await, 4);
        app.service.tidy_activity().await;
        app.later(363 * DAY).await;
        app.service.tidy_activity().await;
        // Of 367 days, the first two are too old.
        assert_eq!(app.service.activity_number(tables).await, 2);
        let owner = app.login("ada").await;
        let stats = owner.get(STATS).await;
        stats.expect(StatusCode::OK);
        assert_eq!(stats.data()["oldest_record"], json!(began.plus(2 * DAY)));
        assert_eq!((&stats.data()["retention_days"], &stats.data()["total_records"]), (&json!(365), &json!(2)));
        assert_eq!(rows(&app, &owner, "start_date=2000-01-01&method=GET").await.len(), 2);
        let usage = owner.get(&format!("/api/v1/auth/tokens/{}/usage?days=365", token.id)).await;
        assert_eq!(usage.data()["first_seen"], json!(began.plus(2 * DAY)));
        app.later(70 * DAY).await;
        app.service.tidy_activity().await;
        let all = "SELECT CAST(COUNT(*) AS BIGINT) AS n FROM activity_tables";
        assert_eq!(app.service.activity_number(all).await, 3, "of the last day alone");
    }

    async fn the_stats_say_how_much_there_is(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let began = app.service.now();
        for _ in 0..5 {
            token.client.realm(REALM_A).check("").await.expect(StatusCode::NO_CONTENT);
            app.later(HOUR).await;
        }
        assert!(app.service.flush_activity().await);
        let stats = owner.get(STATS).await;
        stats.expect(StatusCode::OK);
        // Signing in, making the token, and five checks.
        assert_eq!(stats.body["message"], "Activity stats retrieved successfully");
        assert_eq!(stats.data()["total_records"], 7);
        assert_eq!(stats.data()["newest_record"], json!(began.plus(4 * HOUR)));
        assert!(stats.data()["total_size_bytes"].as_u64().unwrap() > 100);
        let here = owner.realm(REALM_A).get(STATS).await;
        assert_eq!((&here.data()["total_records"], &here.data()["oldest_record"]), (&json!(5), &json!(began)));
        assert_eq!(here.data()["newest_record"], json!(began.plus(4 * HOUR)));
    }

    async fn a_token_needs_the_leaf_and_learns_no_credential_that_it_may_not_see(app: TestApp) {
        let owner = app.user("ada").await;
        let plain = owner.mint(json!({ "permissions": { "projects": { "read": true } } })).await;
        plain.client.get(ACTIVITY).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        plain.client.get(STATS).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        let leaf = json!({ "resources": { "read_account": true } });
        let reader = owner.mint(json!({ "permissions": leaf })).await;
        let wide = owner.mint(json!({})).await;
        wide.client.check("").await.expect(StatusCode::NO_CONTENT);
        owner.get(&format!("/api/v1/auth/tokens/{}", wide.id)).await.expect(StatusCode::OK);
        reader.client.check("").await.expect(StatusCode::NO_CONTENT);
        let (seen, _) = page(&app, &reader.client, "limit=200").await;
        let text = json!(seen).to_string();
        assert!(!text.contains(&wide.id) && text.contains("/api/v1/auth/tokens/[hidden]"), "{text}");
        assert!(seen.iter().all(|row| row["session_id"].is_null()));
        assert!(seen.iter().any(|row| row["token_id"] == json!(reader.id)));
        let (all, _) = page(&app, &owner, "limit=200").await;
        assert!(json!(all).to_string().contains(&wide.id));
        // Its own use it may see, a wider token's it must not know of.
        let usage = |id: &str| format!("/api/v1/auth/tokens/{id}/usage");
        reader.client.get(&usage(&reader.id)).await.expect(StatusCode::OK);
        reader.client.get(&usage(&wide.id)).await.refused(404, "TOKEN_NOT_FOUND");
        // One that is bound to a realm sees that realm's rows.
        let bound = owner.mint(json!({ "permissions": leaf, "realm_ids": [REALM_A] })).await;
        wide.client.realm(REALM_A).check("").await.expect(StatusCode::NO_CONTENT);
        let (here, _) = page(&app, &bound.client.realm(REALM_A), "").await;
        assert!(!here.is_empty() && here.iter().all(|row| row["realm_id"] == json!(REALM_A)), "{here:?}");
    }

    async fn the_use_of_a_token_is_told_by_hour_status_permission_and_address(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "permissions": { "projects": { "read": true } } })).await;
        let path = format!("/api/v1/auth/tokens/{}/usage", token.id);
        assert_eq!(owner.get(&path).await.data()["first_seen"], Value::Null);
        let began = app.service.now();
        for hour in 0..3 {
            for number in 0..=hour {
                let client = token.client.from(&format!("198.51.100.{number}"));
                client.check("projects.read").await.expect(StatusCode::NO_CONTENT);
                client.check("projects.create").await.expect(StatusCode::FORBIDDEN);
            }
            assert!(app.service.flush_activity().await);
            app.later(HOUR).await;
        }
        let expected = owner.get(&path).await.data().clone();
        let start = |hour: i64| began.millis() / HOUR * HOUR + hour * HOUR;
        let at = |millis: i64| json!(Timestamp::from_millis(millis));
        assert_eq!(expected, json!({
            "token_id": token.id, "first_seen": began, "last_seen": began.plus(2 * HOUR), "days": 30,
            "total": 12, "errors": 6, "by_status": { "204": 6, "403": 6 },
            "by_permission": [{ "permission": "projects.create", "total": 6 }, { "permission": "projects.read", "total": 6 }],
            "by_address": [
                { "ip_address": "198.51.100.0", "total": 6 }, { "ip_address": "198.51.100.1", "total": 4 },
                { "ip_address": "198.51.100.2", "total": 2 }],
            "other_addresses": 0,
            "by_hour": [
                { "start": at(start(0)), "total": 2, "errors": 1 }, { "start": at(start(1)), "total": 4, "errors": 2 },
                { "start": at(start(2)), "total": 6, "errors": 3 }],
            "by_day": [{ "start": "2026-03-02T00:00:00.000Z", "total": 12, "errors": 6 }],
        }));
        // The same once the hours are put together and counted.
        app.service.tidy_activity().await;
        let span = "SELECT CAST(COUNT(*) AS BIGINT) AS n FROM activity_tables WHERE kind = 'usage'";
        assert_eq!(app.service.activity_number(span).await, 1);
        assert_eq!(app.service.activity_number(HOURS).await, 3);
        assert_eq!(owner.get(&path).await.data(), &expected);
        // The same once the day is put together, whoever asks meanwhile.
        app.later(DAY).await;
        let owner = app.login("ada").await;
        let asking = async {
            for _ in 0..20 {
                assert_eq!(owner.get(&path).await.data(), &expected);
            }
        };
        tokio::join!(asking, app.service.tidy_activity());
        assert_eq!((app.service.activity_number(HOURS).await, app.service.activity_number(TOGETHER).await), (0, 1));
        assert_eq!(owner.get(&path).await.data(), &expected);
    }

    async fn what_is_counted_after_its_day_was_put_together_is_told_too(app: TestApp) {
        let owner = app.user("ada").await;
        let second = app.another_node().await;
        let tokens = [owner.mint(json!({})).await, owner.mint(json!({})).await, owner.mint(json!({})).await];
        assert!(second.poll().await);
        for hour in 0..3 {
            for (n, token) in tokens.iter().enumerate() {
                for _ in 0..=n {
                    token.client.check("").await.expect(StatusCode::NO_CONTENT);
                }
                // Which this node does not store yet.
                token.client.at(&second).check("").await.expect(StatusCode::NO_CONTENT);
            }
            assert!(app.service.flush_activity().await, "hour {hour}");
            app.later(HOUR).await;
            second.advance(HOUR);
            assert!(second.poll().await);
        }
        app.service.tidy_activity().await;
        assert_eq!(app.service.activity_number(HOURS).await, 9);
        app.later(DAY).await;
        second.advance(DAY);
        assert!(second.poll().await);
        let owner = app.login("ada").await;
        let totals = async |expected: [u64; 3], when: &str| {
            for (token, expected) in tokens.iter().zip(expected) {
                let usage = owner.get(&format!("/api/v1/auth/tokens/{}/usage", token.id)).await;
                let by_hour: Vec<_> = usage.data()["by_hour"].as_array().unwrap().iter().map(|hour| &hour["total"]).collect();
                assert_eq!(usage.data()["total"], expected, "{when}");
                assert_eq!(by_hour, [expected / 3, expected / 3, expected / 3], "{when}");
                assert_eq!(usage.data()["by_day"].as_array().unwrap().len(), 1, "{when}");
            }
        };
        totals([3, 6, 9], "hour by hour").await;
        // So few at a time that a token's hours do not fit, and that they are cut between two tokens.
        for limit in [2, 4] {
            app.service.put_days_together(limit).await;
            totals([3, 6, 9], "put together").await;
        }
        assert_eq!((app.service.activity_number(HOURS).await, app.service.activity_number(TOGETHER).await), (0, 3));
        assert!(second.flush_activity().await);
        totals([6, 9, 12], "some in blocks").await;
        app.service.tidy_activity().await;
        totals([6, 9, 12], "all put together").await;
        assert_eq!((app.service.activity_number(HOURS).await, app.service.activity_number(TOGETHER).await), (0, 6));
        // As a version before this one left it: by the hour, where now the days are.
        let log = crate::upgrade::log_of(&app);
        for token in &tokens {
            token.client.check("").await.expect(StatusCode::NO_CONTENT);
        }
        assert!(app.service.flush_activity().await);
        app.later(HOUR).await;
        app.service.tidy_activity().await;
        assert_eq!(app.service.activity_number(HOURS).await, 3);
        execute(&log, "INSERT INTO activity_usage_641 SELECT token, hour, id, body FROM activity_hours".to_owned()).await;
        execute(&log, "DELETE FROM activity_hours".to_owned()).await;
        let owner = app.login("ada").await;
        for (token, expected) in tokens.iter().zip([7, 10, 13]) {
            let usage = owner.get(&format!("/api/v1/auth/tokens/{}/usage", token.id)).await;
            assert_eq!(usage.data()["total"], expected, "by an older version");
        }
    }

    async fn seldom_rows_are_found_however_many_blocks_are_between(app: TestApp) {
        let owner = app.user("ada").await;
        let account = owner.account().await.parse().unwrap();
        let token = owner.mint(json!({})).await;
        let mut expected = Vec::new();
        for n in 0_u64..90 {
            let path = format!("/api/v1/projects/{n:024x}");
            if n % 7 == 3 {
                token.client.get(&path).await.expect(StatusCode::NOT_FOUND);
                expected.push(path);
            } else {
                token.client.check("").await.expect(StatusCode::NO_CONTENT);
            }
            assert!(app.service.flush_activity().await);
            // Many in one instant, then few in weeks, in two tables.
            let pause = if n < 30 { 0 } else if n < 60 { 61_000 } else { 30 * HOUR };
            app.later(pause).await;
        }
        expected.reverse();
        let mut sizes = vec![(1_000, 1, 1, 1)];
        for first in [1, 2, 5, 40] {
            sizes.extend([(first, 2, 1_000, 1), (first, 7, 3, 2), (first, 4, 20, 5), (first, 1_000, 1_000, 1)]);
        }
        for sizes in sizes {
            let (paths, total) = app.service.find_activity(account, 404, 10_000, sizes).await;
            assert_eq!((paths, total), (expected.clone(), 13), "{sizes:?}");
        }
    }

    async fn rows_are_counted_while_their_blocks_are_put_together(app: TestApp) {
        let owner = app.user("ada").await;
        let account = owner.account().await.parse().unwrap();
        let token = owner.mint(json!({})).await;
        let get = async |path: &str| {
            token.client.get(path).await.expect(StatusCode::NOT_FOUND);
            assert!(app.service.flush_activity().await);
        };
        for round in 1_u64..6 {
            for n in 1..60 {
                get(&format!("/api/v1/projects/{round:012x}{n:012x}")).await;
            }
            app.later(2 * HOUR).await;
            let last = format!("/api/v1/projects/{round:012x}{:012x}", 60);
            get(&last).await;
            // One block at a time: they are put together while some are listed and some are not. Read is only
            // the last one, which stays.
            let asking = app.service.find_activity(account, 404, 1, (1, 1, 1, 1));
            let (found, ()) = tokio::join!(asking, app.service.tidy_activity());
            assert_eq!(found, (vec![last], 60 * round), "round {round}");
        }
    }
}

on_both! {
    async fn rows_are_counted_to_ten_thousand_and_one_and_reached_up_to_the_last_of_them(app: TestApp) {
        let owner = app.user("ada").await;
        let account = owner.account().await.parse().unwrap();
        let first = app.service.now().millis() / HOUR * HOUR - 6 * HOUR;
        let paths: Vec<_> = (0..4_000).map(|number| format!("/row/{number}")).collect();
        // Two nodes at the same time, each with half of the rows; a refusal now and then.
        let mut fillers = [app.service.filler().await, app.service.filler().await];
        for hour in 0..5 {
            for (which, filler) in fillers.iter_mut().enumerate() {
                let rows = paths.iter().enumerate().map(|(number, path)| Record {
                    seq: 0,
                    at: Timestamp::from_millis(first + hour * HOUR + number as i64 * 800 + which as i64 * 400),
                    series: Series {
                        status: if number % 1_000 == 999 { 403 } else { 200 },
                        method: Method::of("GET"),
                        realm: None,
                        reads_log: false,
                    },
                    credential: None,
                    path,
                    reason: None,
                    permission: None,
                    address: "203.0.113.7",
                    agent: None,
                    micros: 7,
                });
                filler.store(account, &mut rows.collect::<Vec<_>>()).await;
            }
        }
        assert_eq!(owner.get(STATS).await.data()["total_records"], json!(40_000));
        let (_, metadata) = page(&app, &owner, "").await;
        assert_eq!((&metadata["total"], &metadata["pages"]), (&json!(10_001), &json!(200)));
        // The rows of both alternate; the n-th from the end is known.
        let last = first + 4 * HOUR + 3_999 * 800 + 400;
        for number in [1_i64, 2, 77, 199, 200] {
            let (rows, _) = page(&app, &owner, &format!("limit=50&page={number}&start_date=2026-03-01&end_date={}", at(last))).await;
            let expected: Vec<_> = ((number - 1) * 50..number * 50).map(|n| instant(first, n)).collect();
            let got: Vec<_> = rows.iter().map(|row| row["created_at"].clone()).collect();
            assert_eq!(got, expected, "page {number}");
        }
        let (refused, metadata) = page(&app, &owner, "errors_only=true&limit=200").await;
        assert_eq!((refused.len(), &metadata["total"]), (40, &json!(40)));
        assert!(refused.is_sorted_by(|a, b| a["created_at"].as_str() >= b["created_at"].as_str()));
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// When the row is, counted from the latest one.
fn instant(first: i64, number: i64) -> Value {
    let (hour, number) = (4 - number / 8_000, number % 8_000);
    json!(at(first + hour * HOUR + (7_999 - number) * 400))
}
