//! The security history: what is in it, who reads it, how long, and what the limits read of it.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, HERE, PASSWORD, Reply, on_both};
use crate::two_factor::{delete, protect, wrong_code};

const HISTORY: &str = "/api/v1/users/me/security-history";
const LOGIN: &str = "/api/v1/users/auth/login";
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
const NEW_PASSWORD: &str = "another horse entirely";

async fn read(client: &Client, query: &str) -> Vec<Value> {
    let reply = client.get(&format!("{HISTORY}{query}")).await;
    reply.expect(StatusCode::OK);
    reply.data().as_array().unwrap().clone()
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

async fn try_login(client: &Client, password: &str) -> Reply {
    client.post(LOGIN, json!({"username": "ada", "password": password, "client": "cli"})).await
}

on_both! {
    async fn it_is_shaped_as_the_contract_has_it(app: TestApp) {
        let ada = app.user("ada").await;
        let reply = ada.get(HISTORY).await;
        reply.expect(StatusCode::OK);
        assert_eq!(reply.body["message"], "Login history retrieved successfully");
        assert_eq!(reply.body["metadata"], json!({"total": 1, "page": 1, "limit": 50, "pages": 1}));
        let mut event = reply.data()[0].clone();
        let id = event["id"].take();
        assert!(id.as_str().is_some_and(|id| id.len() == 24), "{id}");
        assert_eq!(event, json!({
            "id": null, "event": "login", "outcome": "success", "ip_address": HERE, "country": null,
            "client": "unknown", "created_at": "2026-03-02T09:15:42.118Z",
        }));
        for (query, code) in [
            ("?page=0", "INVALID_PARAMETER_VALUE"),
            ("?page=10001", "INVALID_PARAMETER_VALUE"),
            ("?limit=101", "INVALID_PARAMETER_VALUE"),
            ("?include_failed=perhaps", "INVALID_PARAMETER_VALUE"),
        ] {
            ada.get(&format!("{HISTORY}{query}")).await.refused(400, code);
        }
    }

    async fn sign_ins_failures_and_changes_are_there_for_who_asks_for_them(app: TestApp) {
        let ada = app.user("ada").await;
        app.service.create_user("eve", None, PASSWORD).await;
        app.service.advance(MINUTE);
        try_login(&app.anon().from("198.51.100.66"), "wrong wrong wrong").await.expect(StatusCode::UNAUTHORIZED);
        app.service.advance(MINUTE);
        try_login(&app.anon().from("2001:db8::7"), PASSWORD).await.expect(StatusCode::OK);
        app.service.advance(MINUTE);
        let path = format!("/api/v1/users/{}", ada.account().await);
        let change = json!({"password": NEW_PASSWORD, "current_password": "wrong wrong wrong"});
        ada.put(&path, change).await.refused(400, "CURRENT_PASSWORD_INCORRECT");
        app.service.advance(MINUTE);
        let change = json!({"password": NEW_PASSWORD, "current_password": PASSWORD});
        ada.put(&path, change).await.expect(StatusCode::OK);
        app.service.advance(MINUTE);
        let ada = try_login(&app.anon(), NEW_PASSWORD).await;
        let ada = app.with(ada.data()["token"].as_str().unwrap());
        app.later(MINUTE).await;
        ada.post("/api/v1/users/auth/logout", json!({})).await.expect(StatusCode::OK);
        app.service.advance(MINUTE);
        let ada = try_login(&app.anon(), NEW_PASSWORD).await;
        let ada = app.with(ada.data()["token"].as_str().unwrap());

        let all = read(&ada, "?include_failed=true&include_security=1").await;
        assert_eq!(names(&all), [
            "login", "logout", "login", "password_changed", "password_failed", "login", "login_failed", "login",
        ]);
        let failed = &all[6];
        assert_eq!((failed["outcome"].as_str(), failed["ip_address"].as_str(), failed["client"].as_str()),
            (Some("failed"), Some("198.51.100.66"), Some("cli")));
        assert_eq!(all[5]["ip_address"], "2001:db8::7");
        let plain = ["login", "logout", "login", "login", "login"];
        assert_eq!(names(&read(&ada, "").await), plain);
        assert_eq!(names(&read(&ada, "?include_failed=true").await).len(), plain.len() + 2);
        assert_eq!(names(&read(&ada, "?include_security=true").await).len(), plain.len() + 1);
        // A page at a time.
        let second = ada.get(&format!("{HISTORY}?limit=2&page=2")).await;
        assert_eq!(second.data().as_array().unwrap()[..], read(&ada, "").await[2..4]);
        assert_eq!(second.body["metadata"], json!({"total": 5, "page": 2, "limit": 2, "pages": 3}));
        assert!(read(&ada, "?page=10000").await.is_empty());
        // One's own alone.
        assert_eq!(names(&read(&app.login("eve").await, "?include_failed=true").await), ["login"]);
    }

    async fn the_second_factor_is_in_it_and_the_operators_reset(app: TestApp) {
        let ada = app.user("ada").await;
        app.service.advance(MINUTE);
        let protected = protect(&app, &ada).await;
        let code = wrong_code(&app, &protected.secret);
        let wrong = json!({"password": PASSWORD, "code": code});
        delete(&protected.session, wrong).await.refused(401, "INVALID_OTP_CODE");
        let token = protected.session.mint(json!({"otp_code": protected.backup_codes[0]})).await;
        app.service.advance(MINUTE);
        assert!(app.service.reset_two_factor("ada").await);
        app.later(MINUTE).await;
        // Sessions are ended, tokens are not, and the password alone signs in.
        protected.session.get(HISTORY).await.refused(401, "INVALID_TOKEN");
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        let again = app.login("ada").await;
        let status = again.get("/api/v1/users/auth/2fa/status").await;
        assert_eq!((&status.data()["enabled"], &status.data()["backup_codes_remaining"]), (&json!(false), &json!(0)));
        let all = read(&again, "?include_failed=true&include_security=true").await;
        assert_eq!(names(&all), ["login", "otp_reset", "otp_verify_failed", "otp_enabled", "login"]);
        assert_eq!(all[1]["ip_address"], Value::Null, "the operator, at the machine");
        assert!(!app.service.reset_two_factor("ada").await, "there is none any more");
    }

    async fn a_token_reads_it_with_the_leaf_and_not_without(app: TestApp) {
        let ada = app.user("ada").await;
        let with = ada.mint(json!({"permissions": {"resources": {"read_account": true}}})).await;
        assert_eq!(names(&read(&with.client, "").await), ["login"]);
        let without = ada.mint(json!({"permissions": {"projects": {"read": true}}})).await;
        without.client.get(HISTORY).await.refused(403, "INSUFFICIENT_PERMISSIONS");
    }

    async fn failures_are_bounded_and_of_accounts_that_exist(app: TestApp) {
        const FAILURES: &str = "SELECT COUNT(*) AS n FROM security_history WHERE kind = 'failed'";
        let ada = app.user("ada").await;
        for _ in 0..2 {
            app.anon().post(LOGIN, json!({"username": "nobody", "password": "wrong wrong wrong"})).await
                .refused(401, "INVALID_CREDENTIALS");
        }
        assert_eq!(app.service.number(FAILURES).await, 0);
        try_login(&app.anon(), "wrong wrong wrong").await.refused(401, "INVALID_CREDENTIALS");
        let to_199 = "UPDATE rate_limits SET hits = 199 WHERE limit_name = 'history_failures' AND hits = 1";
        assert_eq!(app.service.tamper(to_199).await, 1);
        for _ in 0..3 {
            try_login(&app.anon(), "wrong wrong wrong").await.refused(401, "INVALID_CREDENTIALS");
        }
        assert_eq!(app.service.number(FAILURES).await, 2, "the 200th is the last of the hour");
        app.service.advance(60 * MINUTE);
        try_login(&app.anon(), "wrong wrong wrong").await.refused(401, "INVALID_CREDENTIALS");
        assert_eq!(app.service.number(FAILURES).await, 3);
        assert_eq!(read(&ada, "?include_failed=true").await.len(), 4);
    }

    async fn it_is_kept_for_180_days(app: TestApp) {
        app.user("ada").await;
        app.service.advance(180 * DAY);
        app.service.sweep().await;
        let ada = app.login("ada").await;
        assert_eq!(read(&ada, "").await.len(), 2);
        app.service.advance(1);
        app.service.sweep().await;
        assert_eq!(read(&ada, "").await.len(), 1);
    }

    async fn a_login_names_the_last_five_addresses_before_it(app: TestApp) {
        app.service.create_user("ada", None, PASSWORD).await;
        let places = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.2", "2001:db8::1", "192.0.2.4", "192.0.2.5"];
        let mut last = Value::Null;
        for place in places {
            app.service.advance(MINUTE);
            let login = try_login(&app.anon().from(place), PASSWORD).await;
            login.expect(StatusCode::OK);
            assert_eq!(login.data()["client_ip"], place);
            assert_eq!(login.data()["auth_token_count"], 0);
            last = login.data()["recent_login_ips"].clone();
        }
        let ips: Vec<_> = last.as_array().unwrap().iter().map(|entry| entry["ip"].as_str().unwrap()).collect();
        assert_eq!(ips, ["192.0.2.4", "2001:db8::1", "192.0.2.2", "192.0.2.3", "192.0.2.1"]);
        assert!(last[0]["timestamp"].is_string());
    }

    async fn what_is_not_committed_is_not_recorded(app: TestApp) {
        let ada = app.user("ada").await;
        app.service.at_each_step(|step| async move {
            if step == hoody_service::testing::Step::Fed { hoody_service::testing::Cut::DatabaseGone } else { hoody_service::testing::Cut::GoOn }
        });
        try_login(&app.anon(), PASSWORD).await.refused(503, "UNAVAILABLE");
        app.service.at_each_step(|_| async { hoody_service::testing::Cut::GoOn });
        assert_eq!(read(&ada, "").await.len(), 1);
    }
}
