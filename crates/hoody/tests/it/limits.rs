//! Limits: counters that nodes share, what they refuse, and for how long.

use std::net::IpAddr;

use hoody::testing::Service;

use crate::support::on_both;

const HOUR: i64 = 3_600_000;
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
