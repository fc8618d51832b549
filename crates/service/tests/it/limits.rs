//! Limits: counters that nodes share, what they refuse, and for how long.

use std::net::IpAddr;

use hoody_service::testing::Service;
use http::StatusCode;
use serde_json::json;

use crate::support::{PASSWORD, Reply, TestApp, on_both};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const COUNTERS: &str = "SELECT COUNT(*) AS n FROM rate_limits";
const HITS: &str = "SELECT CAST(SUM(hits) AS BIGINT) AS n FROM rate_limits";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn count(service: &Service, address: &str) -> Option<u64> {
    service.count_sign_up(ip(address)).await.unwrap()
}

on_both! {
    async fn a_limit_lets_so_many_through_and_then_says_when_to_come_back(app: TestApp) {
        for _ in 0..5 {
            assert_eq!(count(&app.service, "192.0.2.1").await, None);
        }
        app.service.advance(HOUR / 2);
        assert_eq!(count(&app.service, "192.0.2.1").await, Some(1_800));
        assert_eq!(count(&app.service, "192.0.2.2").await, None);
        app.service.advance(HOUR / 2 - 1);
        assert_eq!(count(&app.service, "192.0.2.1").await, Some(1));
        app.service.advance(1);
        assert_eq!(count(&app.service, "192.0.2.1").await, None);
    }

    async fn nodes_count_together_and_no_race_goes_over(app: TestApp) {
        let nodes = [app.service.clone(), app.another_node().await];
        let tries = (0..40).map(|n| {
            let node = nodes[n % 2].clone();
            tokio::spawn(async move { count(&node, "192.0.2.1").await.is_none() })
        });
        let mut let_in = 0;
        for one in tries.collect::<Vec<_>>() {
            let_in += u32::from(one.await.unwrap());
        }
        assert_eq!(let_in, 5);
    }

    async fn a_flood_of_what_is_refused_anyway_writes_nothing(app: TestApp) {
        for _ in 0..6 {
            count(&app.service, "192.0.2.1").await;
        }
        let before = app.service.number(HITS).await;
        for _ in 0..50 {
            assert!(count(&app.service, "192.0.2.1").await.is_some());
        }
        assert_eq!((before, app.service.number(HITS).await), (6, 6));
        // Another node learns it from its first.
        let other = app.another_node().await;
        for _ in 0..50 {
            assert!(count(&other, "192.0.2.1").await.is_some());
        }
        assert_eq!(app.service.number(HITS).await, 7);
    }

    async fn who_holds_one_ipv6_address_holds_its_64(app: TestApp) {
        for n in 0..5 {
            assert_eq!(count(&app.service, &format!("2001:db8:0:1::{n}")).await, None);
        }
        assert!(count(&app.service, "2001:db8:0:1:ffff::1").await.is_some());
        assert_eq!(count(&app.service, "2001:db8:0:2::1").await, None);
        // IPv4 inside IPv6 is IPv4.
        assert_eq!(count(&app.service, "192.0.2.1").await, None);
        assert_eq!(count(&app.service, "::ffff:192.0.2.1").await, None);
        assert_eq!(app.service.number(COUNTERS).await, 3);
    }

    async fn counters_name_nobody_and_go_when_their_window_is_over(app: TestApp) {
        for n in 0..3 {
            count(&app.service, &format!("192.0.2.{n}")).await;
        }
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM rate_limits WHERE length(subject) = 32").await, 3);
        let names = app.service.texts("SELECT DISTINCT limit_name AS t FROM rate_limits").await;
        assert_eq!(names, ["sign_up"]);
        app.service.advance(HOUR - 1);
        count(&app.service, "192.0.2.9").await;
        app.service.sweep().await;
        assert_eq!(app.service.number(COUNTERS).await, 4);
        app.service.advance(1);
        app.service.sweep().await;
        assert_eq!(app.service.number(COUNTERS).await, 1);
    }

    async fn however_many_are_over_one_sweep_takes_them_all(app: TestApp) {
        count(&app.service, "192.0.2.1").await;
        let many = "INSERT INTO rate_limits (limit_name, subject, hits, expires_at) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
             SELECT 'old_' || CAST(i AS TEXT), subject, hits, expires_at FROM rate_limits, n";
        assert_eq!(app.service.tamper(many).await, 2_000);
        app.service.advance(HOUR);
        count(&app.service, "192.0.2.9").await;
        app.service.sweep().await;
        assert_eq!(app.service.number(COUNTERS).await, 1);
    }

    async fn a_clock_that_was_set_back_lengthens_no_window_and_opens_none(app: TestApp) {
        for _ in 0..6 {
            count(&app.service, "192.0.2.1").await;
        }
        let at = app.service.now().millis();
        let node = |back: i64| {
            let now = hoody_core::time::Timestamp::from_millis(at - back);
            Service::open(&app.url, app.directory.path(), "", now)
        };
        // A minute: the counter stands, and nobody waits longer than the window.
        assert_eq!(count(&node(60_000).await, "192.0.2.1").await, Some(3_600));
        // A year: what was written then is not believed.
        assert_eq!(count(&node(365 * 24 * HOUR).await, "192.0.2.1").await, None);
    }

    async fn a_database_that_cannot_count_lets_nobody_past(app: TestApp) {
        app.service.cut_database().await;
        let refused = app.service.count_sign_up(ip("192.0.2.1")).await;
        assert!(refused.unwrap_err().contains("Unavailable"));
    }
}

const LOGIN: &str = "/api/v1/users/auth/login";
const REFRESH: &str = "/api/v1/users/auth/refresh";
const STRANGER: &str = "198.51.100.66";

async fn try_login(app: &TestApp, from: &str, name: &str, password: &str) -> Reply {
    app.anon().from(from).post(LOGIN, json!({"username": name, "password": password})).await
}

/// As if so many had failed already: hashing a thousand passwords takes half a minute.
async fn as_if_failed(app: &TestApp, sql: &'static str) {
    assert_eq!(app.service.tamper(sql).await, 1);
}

fn retry_after(reply: &Reply) -> u64 {
    reply.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

on_both! {
    async fn wrong_passwords_count_by_address_and_right_ones_do_not(app: TestApp) {
        app.service.create_user("ada", None, PASSWORD).await;
        try_login(&app, STRANGER, "nobody-1", "wrong wrong wrong").await.refused(401, "INVALID_CREDENTIALS");
        as_if_failed(&app, "UPDATE rate_limits SET hits = 998 WHERE limit_name = 'login_by_address'").await;
        try_login(&app, STRANGER, "nobody-2", "wrong wrong wrong").await.refused(401, "INVALID_CREDENTIALS");
        // The 1000th try is let in; had it failed, it would have been the last.
        try_login(&app, STRANGER, "ada", PASSWORD).await.expect(StatusCode::OK);
        try_login(&app, STRANGER, "nobody-3", "wrong wrong wrong").await.refused(401, "INVALID_CREDENTIALS");
        let hashes = app.service.password_hashes();
        app.service.advance(MINUTE);
        let refused = try_login(&app, STRANGER, "nobody-4", "wrong wrong wrong").await;
        refused.refused(429, "RATE_LIMIT_EXCEEDED");
        assert_eq!(retry_after(&refused), 29 * 60);
        assert_eq!(app.service.password_hashes(), hashes, "no password is looked at");
        // Another address is not concerned, and the account signed in from this one.
        try_login(&app, "192.0.2.1", "nobody-5", "wrong wrong wrong").await.refused(401, "INVALID_CREDENTIALS");
        try_login(&app, STRANGER, "ada", PASSWORD).await.expect(StatusCode::OK);
        app.service.advance(29 * MINUTE);
        try_login(&app, STRANGER, "nobody-6", "wrong wrong wrong").await.refused(401, "INVALID_CREDENTIALS");
    }

    async fn threat_12_13_a_name_is_counted_as_it_folds_whether_it_is_somebodys_or_not(app: TestApp) {
        app.service.create_user("Bob", Some("bob@example.com"), PASSWORD).await;
        // The first writing of each is the account's own; none of the others is another account.
        for [exact, case, spaces, wide, joined] in [
            ["Bob", "bOB", " bob ", "ＢＯＢ", "b\u{ad}ob"],
            ["Eve", "eVE", " eve ", "ＥＶＥ", "e\u{ad}ve"],
        ] {
            let mut bodies = Vec::new();
            for name in [case, spaces, wide, joined, exact] {
                let reply = try_login(&app, STRANGER, name, "wrong wrong wrong").await;
                bodies.push(reply.refused(401, "INVALID_CREDENTIALS").text.clone());
            }
            bodies.dedup();
            assert_eq!(bodies.len(), 1, "{bodies:?}");
            assert_eq!(
                app.service.number("SELECT MIN(hits) AS n FROM rate_limits WHERE limit_name = 'login_by_name'").await, 5);
            as_if_failed(&app, "UPDATE rate_limits SET hits = 99 WHERE limit_name = 'login_by_name' AND hits = 5").await;
            try_login(&app, STRANGER, spaces, "wrong wrong wrong").await.refused(401, "INVALID_CREDENTIALS");
            let refused = try_login(&app, "192.0.2.77", exact, "wrong wrong wrong").await;
            assert_eq!(retry_after(&refused), 1_800);
            refused.refused(429, "RATE_LIMIT_EXCEEDED");
            // Not by the right password either: nobody knows that address.
            try_login(&app, "192.0.2.78", exact, PASSWORD).await.refused(429, "RATE_LIMIT_EXCEEDED");
        }
        // One identity too.
        for name in ["bob", "BOB", "Bob ", "ＢＯＢ"] {
            assert!(app.service.try_create_user(name, None, PASSWORD).await.is_none(), "{name}");
        }
        // The address of mail has a counter of its own, or it would tell that both are one account.
        let by_mail = json!({"email": "bob@example.com", "password": "wrong wrong wrong"});
        app.anon().from(STRANGER).post(LOGIN, by_mail).await.refused(401, "INVALID_CREDENTIALS");
    }

    async fn a_strangers_failures_never_lock_the_owner_out(app: TestApp) {
        app.service.create_user("ada", None, PASSWORD).await;
        let home = "2001:db8:7:1::5";
        try_login(&app, home, "ada", PASSWORD).await.expect(StatusCode::OK);
        try_login(&app, STRANGER, "ada", "wrong wrong wrong").await.refused(401, "INVALID_CREDENTIALS");
        as_if_failed(&app, "UPDATE rate_limits SET hits = 100 WHERE limit_name = 'login_by_name'").await;
        for _ in 0..3 {
            try_login(&app, STRANGER, "ada", PASSWORD).await.refused(429, "RATE_LIMIT_EXCEEDED");
        }
        // At home, anywhere in its /64, the owner may even be wrong a few times.
        try_login(&app, "2001:db8:7:1:ffff::1", "ada", "wrong wrong wrong").await.refused(401, "INVALID_CREDENTIALS");
        try_login(&app, "2001:db8:7:1:ffff::2", "ada", PASSWORD).await.expect(StatusCode::OK);
        // Also when somebody at home has used the address's thousand up on other names.
        let spent = "UPDATE rate_limits SET hits = 1000 WHERE limit_name = 'login_by_address'";
        assert_eq!(app.service.tamper(spent).await, 2);
        try_login(&app, home, "eve", PASSWORD).await.refused(429, "RATE_LIMIT_EXCEEDED");
        try_login(&app, home, "ada", PASSWORD).await.expect(StatusCode::OK);
        // But not for ever: what is tried there is counted, and home is known for 30 days.
        as_if_failed(&app, "UPDATE rate_limits SET hits = 100 WHERE limit_name = 'login_from_known'").await;
        try_login(&app, home, "ada", PASSWORD).await.refused(429, "RATE_LIMIT_EXCEEDED");
        app.service.advance(30 * 24 * HOUR + 1);
        try_login(&app, STRANGER, "ada", "wrong wrong wrong").await.refused(401, "INVALID_CREDENTIALS");
        as_if_failed(&app, "UPDATE rate_limits SET hits = 100 WHERE limit_name = 'login_by_name'").await;
        try_login(&app, home, "ada", PASSWORD).await.refused(429, "RATE_LIMIT_EXCEEDED");
    }

    async fn a_flood_of_sign_ins_leaves_the_owner_a_place_and_costs_little(app: TestApp) {
        app.service.create_user("ada", None, PASSWORD).await;
        let home = "192.0.2.1";
        try_login(&app, home, "ada", PASSWORD).await.expect(StatusCode::OK);
        let before = app.service.password_hashes();
        let flood: Vec<_> = (0..200).map(|n| {
            let from = app.anon().from(&format!("198.51.100.{}", n % 20));
            let body = json!({"username": format!("nobody-{n}"), "password": "wrong wrong wrong"});
            tokio::spawn(async move { from.post(LOGIN, body).await })
        }).collect();
        while app.service.password_hashes() == before {
            tokio::task::yield_now().await;
        }
        try_login(&app, home, "ada", PASSWORD).await.expect(StatusCode::OK);
        let mut refused = 0;
        for one in flood {
            let reply = one.await.unwrap();
            if reply.status == StatusCode::SERVICE_UNAVAILABLE {
                assert!(retry_after(&reply) >= 1);
                refused += 1;
            } else {
                reply.refused(401, "INVALID_CREDENTIALS");
            }
        }
        let hashes = app.service.password_hashes() - before;
        assert!(refused > 100 && hashes < 100, "{refused} refused, {hashes} hashes");
    }

    async fn failures_in_parallel_on_two_nodes_go_over_by_less_than_one_for_each_turn(app: TestApp) {
        let other = app.another_node().await;
        try_login(&app, STRANGER, "ada", "wrong wrong wrong").await.refused(401, "INVALID_CREDENTIALS");
        as_if_failed(&app, "UPDATE rate_limits SET hits = 95 WHERE limit_name = 'login_by_name'").await;
        let client = app.anon().from(STRANGER);
        let tries = (0..24).map(|n| {
            let client = if n % 2 == 0 { client.clone() } else { client.at(&other) };
            let body = json!({"username": "ada", "password": "wrong wrong wrong"});
            tokio::spawn(async move { client.post(LOGIN, body).await.status })
        });
        let mut looked_at = 0;
        for one in tries.collect::<Vec<_>>() {
            looked_at += i64::from(one.await.unwrap() == StatusCode::UNAUTHORIZED);
        }
        let turns = 2 * (std::thread::available_parallelism().unwrap().get() / 2).max(1) as i64;
        assert!((5..5 + turns).contains(&looked_at), "{looked_at}");
    }

    async fn a_flood_of_refused_logins_neither_writes_nor_hashes(app: TestApp) {
        try_login(&app, STRANGER, "ada", "wrong wrong wrong").await;
        as_if_failed(&app, "UPDATE rate_limits SET hits = 100 WHERE limit_name = 'login_by_name'").await;
        try_login(&app, STRANGER, "ada", PASSWORD).await.refused(429, "RATE_LIMIT_EXCEEDED");
        let hashes = app.service.password_hashes();
        // From memory: the database is not even asked.
        app.service.cut_database().await;
        for _ in 0..20 {
            try_login(&app, STRANGER, "ADA", PASSWORD).await.refused(429, "RATE_LIMIT_EXCEEDED");
        }
        assert_eq!(app.service.password_hashes(), hashes);
        let unknown = try_login(&app, "192.0.2.1", "ada", PASSWORD).await;
        unknown.refused(503, "UNAVAILABLE");
    }

    async fn refreshes_count_for_each_session_and_only_those_that_turn_it(app: TestApp) {
        app.user("ada").await;
        let (_, mut refresh) = app.sign_in("ada").await;
        let (_, other) = app.sign_in("ada").await;
        for _ in 0..30 {
            let body = json!({"refreshToken": refresh});
            let turned = app.anon().post(REFRESH, body.clone()).await;
            turned.expect(StatusCode::OK);
            // A retry gets the same pair and is not counted.
            let again = app.anon().post(REFRESH, body).await;
            assert_eq!(again.data(), turned.data());
            refresh = turned.data()["refreshToken"].as_str().unwrap().to_owned();
        }
        for _ in 0..2 {
            let refused = app.anon().post(REFRESH, json!({"refreshToken": refresh})).await;
            refused.refused(429, "RATE_LIMIT_EXCEEDED");
            assert_eq!(retry_after(&refused), 1_800);
        }
        assert_eq!(
            app.service.number("SELECT hits AS n FROM rate_limits WHERE limit_name = 'refresh'").await, 30,
            "a refused refresh changes nothing");
        app.anon().post(REFRESH, json!({"refreshToken": other})).await.expect(StatusCode::OK);
        app.service.advance(30 * MINUTE);
        app.anon().post(REFRESH, json!({"refreshToken": refresh})).await.expect(StatusCode::OK);
    }

    async fn a_password_asked_once_more_counts_on_every_route_together(app: TestApp) {
        let ada = app.user("ada").await;
        let id = ada.account().await;
        let wrong = json!({"password": "wrong wrong wrong"});
        ada.post("/api/v1/users/auth/2fa/setup", wrong.clone()).await.refused(400, "INCORRECT_PASSWORD");
        let change = json!({"password": "another horse battery", "current_password": "wrong wrong wrong"});
        let path = format!("/api/v1/users/{id}");
        ada.put(&path, change).await.refused(400, "CURRENT_PASSWORD_INCORRECT");
        assert_eq!(
            app.service.number("SELECT hits AS n FROM rate_limits WHERE limit_name = 'password_again'").await, 2);
        as_if_failed(&app, "UPDATE rate_limits SET hits = 100 WHERE limit_name = 'password_again'").await;
        let right = json!({"password": "another horse battery", "current_password": PASSWORD});
        ada.put(&path, right).await.refused(429, "RATE_LIMIT_EXCEEDED");
        ada.post("/api/v1/users/auth/2fa/setup", wrong).await.refused(429, "RATE_LIMIT_EXCEEDED");
        // It is about a session that somebody found open: signing in is another thing.
        app.login("ada").await;
    }
}
