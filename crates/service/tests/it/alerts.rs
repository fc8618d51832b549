//! Alerts: what is told of what, how often, to whom; and that who takes over repeats and misses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hoody_core::activity::{Method, Record, Series};
use hoody_core::grant::Credential;
use hoody_core::id::Id;
use hoody_service::testing::{Cut, Step};
use http::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::support::{Client, HERE, Minted, PASSWORD, REALM_A, REALM_B, TestApp, on_both, until_one_waits};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const THERE: &str = "198.51.100.9";

/// The account's alerts of a kind, the latest first.
async fn alerts(owner: &Client, kind: &str) -> Vec<Value> {
    let reply = owner.get(&format!("/api/v1/alerts?kind={kind}")).await;
    reply.expect(StatusCode::OK).data().as_array().unwrap().clone()
}

async fn the_one(owner: &Client, kind: &str) -> Value {
    let mut found = alerts(owner, kind).await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

async fn set(owner: &Client, kind: &str, wish: Value) {
    owner.put(&format!("/api/v1/alerts/settings/{kind}"), wish).await.expect(StatusCode::OK);
}

async fn uses(token: &Minted, address: &str) {
    token.client.from(address).check("").await.expect(StatusCode::NO_CONTENT);
}

async fn fail_login(app: &TestApp, address: &str) {
    let body = json!({ "username": "ada", "password": "not her password" });
    let reply = app.anon().from(address).post("/api/v1/users/auth/login", body).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{}", reply.text);
}

/// How many mutations this node commits from now on.
fn count_commits(app: &TestApp) -> Arc<AtomicUsize> {
    let commits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&commits);
    app.service.at_each_step(move |step| {
        counted.fetch_add(usize::from(step == Step::Committed), Ordering::SeqCst);
        async { Cut::GoOn }
    });
    commits
}

const RAISED: &str = "SELECT COUNT(*) AS n FROM feed WHERE event_type = 'alert.raised'";
const DISABLED: &str = "SELECT COUNT(*) AS n FROM feed WHERE event_type = 'auth.token.disabled'";

on_both! {
    async fn a_token_at_a_new_address_is_told_once_and_counted(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "alias": "ci", "realm_ids": [] })).await;
        uses(&token, HERE).await;
        app.service.evaluate().await;
        assert_eq!(alerts(&owner, "all").await, Vec::<Value>::new(), "the first address is learnt");
        uses(&token, THERE).await;
        uses(&token, HERE).await;
        uses(&token, THERE).await;
        app.service.evaluate().await;
        let alert = the_one(&owner, "token_new_address").await;
        assert_eq!(alert["subject_type"], "token");
        assert_eq!((&alert["subject_id"], &alert["subject_name"]), (&json!(token.id), &json!("ci")));
        assert_eq!((&alert["count"], &alert["ip_address"]), (&json!(1), &json!(THERE)));
        assert_eq!((&alert["state"], &alert["severity"]), (&json!("open"), &json!("warning")));
        assert_eq!(alert["message"], "Token \"ci\" came from an address that is new, last 198.51.100.9");
        uses(&token, "198.51.100.10").await;
        // The /64 is one address.
        uses(&token, "2001:db8::1").await;
        uses(&token, "2001:db8::2").await;
        app.service.evaluate().await;
        let alert = the_one(&owner, "token_new_address").await;
        assert_eq!((&alert["count"], &alert["ip_address"]), (&json!(3), &json!("2001:db8::1")));
        assert_eq!(alert["details"]["addresses"], json!([THERE, "198.51.100.10", "2001:db8::1"]));
        assert_eq!(app.service.number(RAISED).await, 1, "one event");
        // A day later it is another alert.
        app.later(25 * HOUR).await;
        let owner = app.login("ada").await;
        uses(&token, "198.51.100.11").await;
        app.service.evaluate().await;
        assert_eq!(alerts(&owner, "token_new_address").await.len(), 2);
        assert_eq!(app.service.number(RAISED).await, 2);
        app.service.evaluate().await;
        assert_eq!(app.service.number(RAISED).await, 2, "nothing is judged twice");
    }

    async fn a_refused_address_counts_as_seen_and_as_refused(app: TestApp) {
        let owner = app.user("ada").await;
        set(&owner, "refusal_burst", json!({ "threshold": 5 })).await;
        let token = owner.mint(json!({ "ip_whitelist": [HERE] })).await;
        uses(&token, HERE).await;
        let thief = token.client.from(THERE);
        for _ in 0..4 {
            thief.check("").await.refused(403, "IP_NOT_WHITELISTED");
        }
        app.service.evaluate().await;
        let seen = the_one(&owner, "token_new_address").await;
        assert_eq!((&seen["count"], &seen["details"]["reason"]), (&json!(1), &json!("address")));
        assert_eq!(alerts(&owner, "refusal_burst").await, Vec::<Value>::new());
        thief.check("").await.refused(403, "IP_NOT_WHITELISTED");
        app.service.evaluate().await;
        assert_eq!(the_one(&owner, "refusal_burst").await["count"], 5);
        for _ in 0..30 {
            thief.check("").await.refused(403, "IP_NOT_WHITELISTED");
        }
        app.service.evaluate().await;
        let burst = the_one(&owner, "refusal_burst").await;
        assert_eq!((&burst["count"], &burst["ip_address"]), (&json!(35), &json!(THERE)));
        assert_eq!(burst["details"]["reason"], "address");
        assert_eq!(app.service.number(RAISED).await, 2, "however many, one alert each");
    }

    async fn refusals_that_are_slow_are_no_burst(app: TestApp) {
        let owner = app.user("ada").await;
        set(&owner, "refusal_burst", json!({ "threshold": 5 })).await;
        let reader = owner.mint(json!({ "permissions": { "projects": { "read": true } } })).await;
        for _ in 0..12 {
            reader.client.post("/api/v1/projects", json!({ "alias": "x" })).await.refused(403, "INSUFFICIENT_PERMISSIONS");
            app.later(2 * MINUTE).await;
            app.service.evaluate().await;
        }
        assert_eq!(alerts(&owner, "refusal_burst").await, Vec::<Value>::new());
    }

    async fn a_dead_token_that_is_used_is_told_whichever_way_it_died(app: TestApp) {
        let owner = app.user("ada").await;
        let [disabled, expired, deleted] = [
            owner.mint(json!({ "alias": "disabled" })).await,
            owner.mint(json!({ "alias": "expired", "expires_at": app.service.now().millis() + HOUR })).await,
            owner.mint(json!({ "alias": "deleted" })).await,
        ];
        for token in [&disabled, &expired, &deleted] {
            uses(token, HERE).await;
        }
        owner.patch(&format!("/api/v1/auth/tokens/{}", disabled.id), json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        owner.delete(&format!("/api/v1/auth/tokens/{}", deleted.id)).await.expect(StatusCode::OK);
        app.later(2 * HOUR).await;
        app.service.evaluate().await;
        assert_eq!(alerts(&owner, "all").await, Vec::<Value>::new(), "nobody used them");
        for _ in 0..3 {
            disabled.client.from(THERE).check("").await.refused(401, "INVALID_TOKEN");
            expired.client.from(THERE).check("").await.refused(401, "TOKEN_EXPIRED");
            // From the database, then from memory.
            deleted.client.from(THERE).check("").await.refused(401, "INVALID_TOKEN");
        }
        app.with(&app.service.unknown_token()).check("").await.refused(401, "INVALID_TOKEN");
        app.service.evaluate().await;
        let found = alerts(&owner, "dead_token_used").await;
        assert_eq!(found.len(), 3, "{found:?}");
        for (token, reason) in [(&disabled, "disabled"), (&expired, "expired"), (&deleted, "revoked")] {
            let alert = found.iter().find(|alert| alert["subject_id"] == token.id).unwrap();
            assert_eq!((&alert["count"], &alert["details"]["reason"]), (&json!(3), &json!(reason)));
            let name = if reason == "revoked" { "deleted" } else { reason };
            assert_eq!((&alert["subject_name"], &alert["severity"]), (&json!(name), &json!("critical")));
        }
        assert_eq!(alerts(&owner, "all").await.len(), 3, "and that is no burst, nor a new address");
        let log = owner.get("/api/v1/users/auth/activity?errors_only=true&limit=200").await;
        let revoked = log.data().as_array().unwrap().iter().filter(|row| row["deny_reason"] == "revoked").count();
        assert_eq!(revoked, 3, "the request log says so too");
    }

    async fn logins_are_told_when_they_fail_often_or_come_from_elsewhere(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.evaluate().await;
        let body = json!({ "username": "ada", "password": PASSWORD });
        app.anon().from(THERE).post("/api/v1/users/auth/login", body).await.expect(StatusCode::OK);
        app.service.evaluate().await;
        let login = the_one(&owner, "login_new_address").await;
        assert_eq!((&login["subject_type"], &login["ip_address"]), (&json!("account"), &json!(THERE)));
        assert_eq!(login["subject_id"], owner.account().await);
        for _ in 0..9 {
            fail_login(&app, THERE).await;
        }
        // Of a name that nobody has: nobody's.
        let nobody = json!({ "username": "eve", "password": "not her password" });
        app.anon().post("/api/v1/users/auth/login", nobody).await.refused(401, "INVALID_CREDENTIALS");
        app.service.evaluate().await;
        assert_eq!(alerts(&owner, "failed_logins").await, Vec::<Value>::new());
        fail_login(&app, HERE).await;
        fail_login(&app, HERE).await;
        app.service.evaluate().await;
        let failed = the_one(&owner, "failed_logins").await;
        assert_eq!((&failed["count"], &failed["ip_address"]), (&json!(11), &json!(HERE)));
    }

    async fn a_second_factor_that_is_taken_away_is_told(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.tamper("UPDATE users SET email_verified = TRUE").await;
        app.service.evaluate().await;
        assert!(!app.service.reset_two_factor("ada").await, "there is none");
        crate::two_factor::enable(&app, &owner, PASSWORD).await;
        assert!(app.service.reset_two_factor("ada").await);
        app.service.evaluate().await;
        let owner = app.login("ada").await;
        let alert = the_one(&owner, "two_factor_disabled").await;
        assert_eq!(alert["severity"], "critical");
    }

    async fn an_expiry_is_told_at_each_stage(app: TestApp) {
        let owner = app.user("ada").await;
        let start = app.service.now().millis();
        let token = owner.mint(json!({ "alias": "ends", "expires_at": start + 60 * DAY })).await;
        owner.mint(json!({ "alias": "short", "expires_at": start + HOUR })).await;
        owner.mint(json!({ "alias": "for ever" })).await;
        let off = owner.mint(json!({ "alias": "off", "expires_at": start + 60 * DAY })).await;
        owner.patch(&format!("/api/v1/auth/tokens/{}", off.id), json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        let mut told = Vec::new();
        for day in 1..62 {
            app.later(DAY).await;
            app.service.look_for_alerts().await;
            let owner = app.login("ada").await;
            let found = alerts(&owner, "token_expiring").await;
            if found.len() > told.len() {
                assert_eq!(found[0]["subject_id"], token.id);
                told.push((day, found[0]["details"]["days"].as_i64().unwrap()));
            }
        }
        assert_eq!(told, [(30, 30), (53, 7), (59, 1)]);
        let owner = app.login("ada").await;
        let alert = &alerts(&owner, "token_expiring").await[0];
        assert!(alert["message"].as_str().unwrap().starts_with("Token \"ends\" expires within a day: 2026-"), "{alert}");
    }

    async fn threat_42_a_token_that_nobody_uses_is_told_and_may_be_disabled(app: TestApp) {
        let owner = app.user("ada").await;
        let bob = app.user("bob").await;
        set(&bob, "token_unused", json!({ "threshold": 30, "disables": true })).await;
        let (idle, busy) = (owner.mint(json!({ "alias": "idle" })).await, owner.mint(json!({ "alias": "busy" })).await);
        let (his, his_busy) = (bob.mint(json!({ "alias": "his" })).await, bob.mint(json!({ "alias": "his busy" })).await);
        for _ in 0..46 {
            app.later(2 * DAY).await;
            uses(&busy, HERE).await;
            uses(&his_busy, HERE).await;
            app.service.flush_usage().await;
            app.service.look_for_alerts().await;
        }
        let (owner, bob) = (app.login("ada").await, app.login("bob").await);
        let alert = the_one(&owner, "token_unused").await;
        assert_eq!((&alert["subject_id"], &alert["details"]["days"]), (&json!(idle.id), &json!(90)));
        assert_eq!(alert["details"]["disabled"], false);
        uses(&idle, HERE).await;
        let disabled = the_one(&bob, "token_unused").await;
        assert_eq!((&disabled["subject_id"], &disabled["details"]["disabled"]), (&json!(his.id), &json!(true)));
        his.client.check("").await.refused(401, "INVALID_TOKEN");
        uses(&his_busy, HERE).await;
        assert_eq!(app.service.number(DISABLED).await, 1, "as a person does it");
        // Whoever found such a token lying about can still be told of its use.
        app.service.evaluate().await;
        assert_eq!(the_one(&bob, "dead_token_used").await["subject_id"], his.id);
    }

    async fn no_token_is_disabled_once_its_owner_does_not_want_that(app: TestApp) {
        // What the owner sets while the first of two tokens is disabled, and how many are in the end.
        let wishes = [
            (json!({ "disables": true }), 2),
            (json!({ "disables": false }), 1),
            (json!({ "is_enabled": false }), 1),
            (json!({ "threshold": 60 }), 1),
        ];
        for (n, (wish, expected)) in wishes.into_iter().enumerate() {
            let name = format!("ada{n}");
            let owner = app.user(&name).await;
            set(&owner, "token_unused", json!({ "threshold": 30, "disables": true })).await;
            let tokens = [owner.mint(json!({})).await, owner.mint(json!({})).await];
            app.later(31 * DAY).await;
            let owner = app.login(&name).await;
            let (before, is_set) = (app.service.number(DISABLED).await, Arc::new(AtomicBool::new(false)));
            app.service.at_each_step({
                let (service, owner, wish) = (app.service.clone(), owner.clone(), wish.clone());
                move |step| {
                    let (service, owner, wish) = (service.clone(), owner.clone(), wish.clone());
                    let is_set = Arc::clone(&is_set);
                    async move {
                        let is_first = step == Step::Committed && service.number(DISABLED).await > before;
                        if is_first && !is_set.swap(true, Ordering::SeqCst) {
                            owner.patch("/api/v1/alerts/settings/token_unused", wish).await.expect(StatusCode::OK);
                        }
                        Cut::GoOn
                    }
                }
            });
            app.service.look_for_alerts().await;
            app.service.at_each_step(|_| async { Cut::GoOn });
            let mut disabled = 0;
            for token in &tokens {
                let shown = owner.get(&format!("/api/v1/auth/tokens/{}", token.id)).await;
                disabled += usize::from(shown.expect(StatusCode::OK).data()["is_enabled"] == false);
            }
            assert_eq!(disabled, expected, "{wish}");
            assert_eq!(alerts(&owner, "token_unused").await.len(), expected, "{wish}");
        }
    }

    async fn an_endpoint_that_is_switched_off_is_told(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.allow_webhooks("127.0.0.0/8");
        // A port that nobody listens at.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}/");
        let body = json!({ "url": url, "description": "audit", "event_types": ["project.created"] });
        owner.post("/api/v1/webhooks", body).await.expect(StatusCode::CREATED);
        owner.post("/api/v1/projects", json!({ "alias": "web" })).await.expect(StatusCode::CREATED);
        assert_eq!(app.service.project().await, None);
        for _ in 0..60 {
            app.service.send_webhooks().await;
            app.later(30 * MINUTE).await;
        }
        app.service.evaluate().await;
        let owner = app.login("ada").await;
        let alert = the_one(&owner, "webhook_disabled").await;
        assert_eq!((&alert["subject_type"], &alert["subject_name"]), (&json!("webhook"), &json!("audit")));
        assert_eq!(alert["details"]["reason"], "nothing arrived for a day");
    }

    async fn what_is_muted_is_kept_and_told_to_nobody_and_what_is_off_is_not_there(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.tamper("UPDATE users SET email_verified = TRUE").await;
        let until = app.service.now().plus(HOUR).to_string();
        set(&owner, "token_new_address", json!({ "muted_until": until })).await;
        set(&owner, "dead_token_used", json!({ "is_enabled": false })).await;
        let (token, dead) = (owner.mint(json!({})).await, owner.mint(json!({})).await);
        owner.delete(&format!("/api/v1/auth/tokens/{}", dead.id)).await.expect(StatusCode::OK);
        uses(&token, HERE).await;
        uses(&token, THERE).await;
        dead.client.check("").await.refused(401, "INVALID_TOKEN");
        app.service.evaluate().await;
        assert_eq!(the_one(&owner, "all").await["is_muted"], true);
        assert_eq!(app.service.number(RAISED).await, 0);
        assert_eq!(app.mails().await, []);
        app.later(25 * HOUR).await;
        uses(&token, "198.51.100.77").await;
        app.service.evaluate().await;
        let owner = app.login("ada").await;
        assert_eq!(alerts(&owner, "token_new_address").await[0]["is_muted"], false);
        let mail = app.mail_to("ada@example.com").await;
        assert_eq!(mail.subject, "Alerts on your account");
        assert!(mail.text.contains("Token used from a new address") && mail.text.contains(&token.id), "{mail:?}");
        assert!(mail.text.contains("198.51.100.77"), "{mail:?}");
    }

    async fn mails_come_once_for_all_at_a_time_and_not_without_end(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.tamper("UPDATE users SET email_verified = TRUE").await;
        let mut tokens = Vec::new();
        for _ in 0..20 {
            tokens.push(owner.mint(json!({})).await);
        }
        for token in &tokens {
            uses(token, HERE).await;
        }
        for token in &tokens[..7] {
            uses(token, THERE).await;
        }
        app.service.evaluate().await;
        let mail = app.mail_to("ada@example.com").await;
        assert_eq!(mail.text.matches("Token used from a new address").count(), 5, "{mail:?}");
        assert!(mail.text.contains("and 2 more"), "{mail:?}");
        for token in &tokens[7..] {
            uses(token, THERE).await;
            app.service.evaluate().await;
        }
        assert_eq!(app.mails().await.len(), 9, "ten in an hour");
        assert_eq!(alerts(&owner, "token_new_address").await.len(), 20, "all of them are there");
        assert_eq!(app.service.number(RAISED).await, 20);
    }

    async fn settings_are_checked_kept_and_told(app: TestApp) {
        let owner = app.user("ada").await;
        let listed = owner.get("/api/v1/alerts/settings").await;
        let listed = listed.expect(StatusCode::OK).data().as_array().unwrap().clone();
        assert_eq!(listed.len(), 9);
        for setting in &listed {
            assert_eq!((&setting["is_enabled"], &setting["webhook"]), (&json!(true), &json!(true)), "{setting}");
            assert_eq!(setting["threshold"], setting["default_threshold"]);
            assert!(setting["explanation"].as_str().unwrap().len() > 40);
            let disables = if setting["kind"] == "token_unused" { json!(false) } else { Value::Null };
            assert_eq!(setting["disables"], disables, "off by default");
        }
        let path = "/api/v1/alerts/settings/refusal_burst";
        for (body, status, says) in [
            (json!({ "threshold": 0 }), 400, "threshold must be a whole number from 1 to 100000"),
            (json!({ "threshold": 1.5 }), 400, "threshold must be a whole number"),
            (json!({ "threshold": "5" }), 422, "/threshold"),
            (json!({ "muted_until": "soon" }), 400, "muted_until must be an ISO 8601 instant, or null"),
            (json!({ "muted_until": 5 }), 422, "/muted_until"),
            (json!({ "disables": true }), 400, "disables is for token_unused alone"),
            (json!({ "treshold": 5 }), 422, "/treshold"),
            (json!([]), 422, ""),
        ] {
            let reply = owner.put(path, body.clone()).await;
            assert_eq!(reply.status.as_u16(), status, "{body}: {}", reply.text);
            assert!(reply.body["message"].as_str().unwrap().contains(says), "{body}: {}", reply.text);
        }
        owner.put("/api/v1/alerts/settings/nothing", json!({})).await.refused(404, "ALERT_KIND_NOT_FOUND");
        let until = app.service.now().plus(HOUR).to_string();
        let wish = json!({ "threshold": 7, "muted_until": until, "mail": false });
        let set = owner.put(path, wish).await;
        assert_eq!((&set.data()["threshold"], &set.data()["mail"]), (&json!(7), &json!(false)));
        assert_eq!(set.data()["muted_until"], until);
        let set = owner.patch(path, json!({ "muted_until": null, "webhook": false })).await;
        assert_eq!((&set.data()["threshold"], &set.data()["muted_until"]), (&json!(7), &Value::Null));
        let again = owner.patch(path, json!({ "webhook": false })).await;
        assert_eq!(again.data(), set.data());
        let told = "SELECT COUNT(*) AS n FROM feed WHERE event_type = 'alert.settings_updated'";
        assert_eq!(app.service.number(told).await, 2, "what changes nothing is not told");
        let bob = app.user("bob").await;
        let his = bob.get("/api/v1/alerts/settings").await;
        assert!(his.data().as_array().unwrap().iter().all(|setting| setting["threshold"] == setting["default_threshold"]));
    }

    async fn alerts_are_listed_filtered_and_settled(app: TestApp) {
        let owner = app.user("ada").await;
        let mut tokens = Vec::new();
        for n in 0..5 {
            let token = owner.mint(json!({ "alias": format!("t{n}") })).await;
            uses(&token, HERE).await;
            uses(&token, THERE).await;
            app.later(MINUTE).await;
            app.service.evaluate().await;
            tokens.push(token);
        }
        let names = async |query: &str| {
            let reply = owner.get(&format!("/api/v1/alerts?{query}")).await;
            let listed = reply.expect(StatusCode::OK).data().as_array().unwrap().clone();
            listed.iter().map(|alert| alert["subject_name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("").await, ["t4", "t3", "t2", "t1", "t0"]);
        assert_eq!(names("limit=2&page=2").await, ["t2", "t1"]);
        assert_eq!(names(&format!("subject_id={}", tokens[3].id)).await, ["t3"]);
        assert_eq!(names("kind=failed_logins").await, Vec::<String>::new());
        let third = the_one(&owner, &format!("all&subject_id={}", tokens[2].id)).await;
        assert_eq!(names(&format!("start_date={}", third["last_at"].as_str().unwrap())).await, ["t4", "t3", "t2"]);
        assert_eq!(names(&format!("end_date={}", third["last_at"].as_str().unwrap())).await, ["t2", "t1", "t0"]);
        let page = owner.get("/api/v1/alerts?limit=2").await;
        assert_eq!(page.body["metadata"], json!({ "total": 5, "page": 1, "limit": 2, "pages": 3 }));
        let path = format!("/api/v1/alerts/{}", third["id"].as_str().unwrap());
        assert_eq!(owner.get(&path).await.data(), &third);
        for (word, state) in [("acknowledge", "acknowledged"), ("dismiss", "dismissed")] {
            let settled = owner.post(&format!("{path}/{word}"), json!({})).await;
            assert_eq!(settled.expect(StatusCode::OK).data()["state"], state);
            assert_eq!(names(&format!("state={state}")).await, ["t2"]);
            let again = owner.post(&format!("{path}/{word}"), json!({})).await;
            assert_eq!(again.data(), settled.data());
        }
        assert_eq!(names("state=open").await, ["t4", "t3", "t1", "t0"]);
        for query in ["kind=x", "state=x", "limit=0", "limit=201", "page=0", "start_date=x"] {
            owner.get(&format!("/api/v1/alerts?{query}")).await.refused(400, "INVALID_PARAMETER_VALUE");
        }
        owner.get("/api/v1/alerts?subject_id=x").await.refused(400, "INVALID_ID_FORMAT");
        let bob = app.user("bob").await;
        bob.get(&path).await.refused(404, "ALERT_NOT_FOUND");
        bob.post(&format!("{path}/dismiss"), json!({})).await.refused(404, "ALERT_NOT_FOUND");
        assert_eq!(alerts(&bob, "all").await, Vec::<Value>::new());
        // What is dismissed still counts the same thing, and is not told anew.
        uses(&tokens[2], "198.51.100.200").await;
        app.service.evaluate().await;
        let counted = owner.get(&path).await;
        assert_eq!((&counted.data()["count"], &counted.data()["state"]), (&json!(2), &json!("dismissed")));
        assert_eq!(app.service.number(RAISED).await, 5);
    }

    async fn a_token_learns_nothing_of_what_it_may_not_see(app: TestApp) {
        let owner = app.user("ada").await;
        let in_a = owner.mint(json!({ "alias": "in a", "realm_ids": [REALM_A] })).await;
        let big = owner.mint(json!({ "alias": "big" })).await;
        for address in [HERE, THERE] {
            in_a.client.realm(REALM_A).from(address).check("").await.expect(StatusCode::NO_CONTENT);
            uses(&big, address).await;
        }
        app.service.evaluate().await;
        assert_eq!(alerts(&owner, "all").await.len(), 2);
        let leaf = json!({ "resources": { "read_account": true } });
        let reader = owner.mint(json!({ "permissions": leaf })).await;
        let listed = alerts(&reader.client, "all").await;
        assert_eq!(listed.len(), 2);
        for alert in &listed {
            assert_eq!((&alert["subject_id"], &alert["subject_name"]), (&Value::Null, &Value::Null), "{alert}");
            assert!(alert["message"].as_str().unwrap().starts_with("A token came"), "{alert}");
        }
        let bound = owner.mint(json!({ "permissions": leaf, "realm_ids": [REALM_A] })).await;
        let there = bound.client.realm(REALM_A);
        assert_eq!(alerts(&there, "all").await.len(), 1, "of its realm");
        let other = owner.mint(json!({ "permissions": leaf, "realm_ids": [REALM_B] })).await;
        let elsewhere = other.client.realm(REALM_B);
        assert_eq!(alerts(&elsewhere, "all").await, Vec::<Value>::new());
        let id = alerts(&there, "all").await[0]["id"].as_str().unwrap().to_owned();
        elsewhere.get(&format!("/api/v1/alerts/{id}")).await.refused(404, "ALERT_NOT_FOUND");
        there.post(&format!("/api/v1/alerts/{id}/dismiss"), json!({})).await.refused(403, "INSUFFICIENT_PERMISSIONS");
    }

    async fn who_takes_over_repeats_nothing_and_misses_nothing(app: TestApp) {
        let owner = app.user("ada").await;
        let second = app.another_node().await;
        let token = owner.mint(json!({})).await;
        uses(&token, HERE).await;
        assert!(app.service.evaluate().await);
        assert!(!second.evaluate().await, "it is the first one's");
        // What the second serves is judged by the first.
        token.client.at(&second).from(THERE).check("").await.expect(StatusCode::NO_CONTENT);
        assert!(second.flush_activity().await);
        assert!(app.service.evaluate().await);
        assert_eq!(the_one(&owner, "token_new_address").await["count"], 1);
        uses(&token, "198.51.100.20").await;
        assert!(app.service.flush_activity().await);
        // The first dies; its lease runs out.
        second.advance(10_000);
        assert!(second.evaluate().await);
        assert_eq!(the_one(&owner, "token_new_address").await["count"], 2);
        // It comes back, believes in its lease, and does nothing.
        uses(&token, "198.51.100.21").await;
        assert!(!app.service.evaluate().await);
        assert_eq!(the_one(&owner, "token_new_address").await["count"], 2);
        assert!(second.evaluate().await);
        assert_eq!(the_one(&owner, "token_new_address").await["count"], 3);
        // The first again: what it remembers of then is worth nothing.
        app.service.advance(30_000);
        assert!(app.service.evaluate().await);
        uses(&token, "198.51.100.21").await;
        uses(&token, HERE).await;
        assert!(app.service.evaluate().await);
        let alert = the_one(&owner, "token_new_address").await;
        assert_eq!((&alert["count"], alert["details"]["addresses"].as_array().unwrap().len()), (&json!(3), 3));
    }

    async fn a_node_renews_its_leases_while_it_evaluates(app: TestApp) {
        if app.url.starts_with("sqlite:") {
            // There is one writer at a time there.
            return;
        }
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        uses(&token, HERE).await;
        app.service.evaluate().await;
        uses(&token, THERE).await;
        // A batch that takes long, here because it has to wait.
        let mut other = PgConnection::connect(&app.url).await.unwrap();
        let hold = "BEGIN; SELECT id FROM alert_head FOR UPDATE";
        sqlx::raw_sql(hold).execute(&mut other).await.unwrap();
        let beat = async {
            until_one_waits(&app.url).await;
            let beaten = tokio::time::timeout(Duration::from_secs(3), app.service.beat()).await;
            sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
            beaten
        };
        let (is_evaluated, beaten) = tokio::join!(app.service.evaluate(), beat);
        assert!(is_evaluated && beaten.is_ok(), "the heartbeat waits for the evaluator");
        assert_eq!(the_one(&owner, "token_new_address").await["count"], 1);
    }

    async fn a_batch_ends_when_it_takes_long_and_the_next_goes_on_there(app: TestApp) {
        let owner = app.user("ada").await;
        let mut tokens = Vec::new();
        for _ in 0..40 {
            tokens.push(owner.mint(json!({})).await);
        }
        app.service.evaluate().await;
        let second = app.another_node().await;
        // More rows than are judged before others have their turn, of two runs, one among the other.
        for (n, token) in (0..10).flat_map(|_| &tokens).enumerate() {
            let node = if n % 3 == 0 { &second } else { &app.service };
            for address in [HERE, THERE, "198.51.100.10"] {
                token.client.at(node).from(address).check("").await.expect(StatusCode::NO_CONTENT);
            }
            app.service.advance(1);
            second.advance(1);
        }
        assert!(second.flush_activity().await);
        let batches = count_commits(&app);
        let time = async {
            loop {
                app.service.advance(600);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            // Whenever the one waits the other goes on.
            biased;
            is_evaluated = app.service.evaluate() => assert!(is_evaluated),
            () = time => {}
        }
        assert!(batches.load(Ordering::SeqCst) > 2, "{batches:?} batches");
        app.later(0).await;
        let owner = app.login("ada").await;
        let found = alerts(&owner, "token_new_address&limit=200").await;
        assert!(found.iter().all(|alert| alert["count"] == 2), "{found:?}");
        assert_eq!((found.len(), app.service.number(RAISED).await), (40, 40));
    }

    async fn a_database_that_goes_at_a_step_leaves_all_or_nothing(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        uses(&token, HERE).await;
        app.service.evaluate().await;
        for (n, step) in [Step::Began, Step::Changed, Step::Fed, Step::Committed].into_iter().enumerate() {
            uses(&token, &format!("198.51.100.{n}")).await;
            assert!(app.service.flush_activity().await);
            app.service.at_each_step(move |now| async move {
                if now == step { Cut::DatabaseGone } else { Cut::GoOn }
            });
            assert!(app.service.try_evaluate().await.is_some(), "{step:?}");
            app.service.at_each_step(|_| async { Cut::GoOn });
            app.service.evaluate().await;
            let alert = the_one(&owner, "token_new_address").await;
            assert_eq!(alert["count"], i64::try_from(n).unwrap() + 1, "{step:?}");
        }
        assert_eq!(app.service.number(RAISED).await, 1);
    }

    async fn a_batch_ends_when_there_is_much_to_write(app: TestApp) {
        let owner = app.user("ada").await;
        let account = owner.account().await.parse().unwrap();
        app.service.evaluate().await;
        // 2,500 tokens, each seen for the first time: something to remember of each.
        let rows = (0..2_500_u32).map(|n| Record {
            seq: 0,
            at: app.service.now(),
            series: Series { status: 204, method: Method::of("GET"), realm: None, reads_log: false },
            credential: Some(Credential::Token(Id::from_parts(n, [7; 8]))),
            path: "/api/v1/auth/check",
            reason: None,
            permission: None,
            address: HERE,
            agent: None,
            micros: 7,
        });
        app.service.filler().await.store(account, &mut rows.collect::<Vec<_>>()).await;
        let batches = count_commits(&app);
        assert!(app.service.evaluate().await);
        assert_eq!(batches.load(Ordering::SeqCst), 3, "1,000 in each");
    }

    async fn alerts_and_what_is_remembered_end(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        uses(&token, HERE).await;
        uses(&token, THERE).await;
        app.service.evaluate().await;
        let seen = "SELECT COUNT(*) AS n FROM alert_seen";
        assert_eq!(app.service.number(seen).await, 2, "of the token and of the account");
        owner.delete(&format!("/api/v1/auth/tokens/{}", token.id)).await.expect(StatusCode::OK);
        token.client.check("").await.refused(401, "INVALID_TOKEN");
        app.service.evaluate().await;
        assert_eq!(app.service.number(seen).await, 1);
        assert!(app.service.number("SELECT COUNT(*) AS n FROM alert_counters").await > 0);
        app.later(91 * DAY).await;
        app.service.look_for_alerts().await;
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM alerts").await, 0);
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM alert_counters").await, 0);
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM deleted_tokens").await, 1);
        app.later(730 * DAY).await;
        app.service.look_for_alerts().await;
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM deleted_tokens").await, 0);
    }

    async fn threat_40_every_refusal_is_counted_however_many_and_whoever_counts(app: TestApp) {
        let owner = app.user("ada").await;
        let second = app.another_node().await;
        set(&owner, "refusal_burst", json!({ "threshold": 50 })).await;
        let token = owner.mint(json!({ "ip_whitelist": ["10.0.0.0/8"] })).await;
        for round in 0..12 {
            let node = if round % 3 == 0 { &second } else { &app.service };
            for _ in 0..50 {
                token.client.at(node).check("").await.refused(403, "IP_NOT_WHITELISTED");
            }
            assert!(node.flush_activity().await);
            if round == 6 {
                // The one that evaluates dies; the other's clock is past its lease.
                second.advance(10_000);
            }
            let evaluator = if round < 6 { &app.service } else { &second };
            assert!(evaluator.evaluate().await, "{round}");
        }
        let alert = the_one(&owner, "refusal_burst").await;
        assert_eq!((&alert["count"], &alert["subject_id"]), (&json!(600), &json!(token.id)));
        assert_eq!(app.service.number(RAISED).await, 1);
    }

    async fn threat_32_known_addresses_are_written_once_a_day(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        uses(&token, HERE).await;
        app.service.evaluate().await;
        // Whatever is written from now on shows.
        app.service.tamper("UPDATE alert_seen SET addresses = substr(addresses, 1, 0)").await;
        let written = "SELECT COUNT(*) AS n FROM alert_seen WHERE octet_length(addresses) > 0";
        for _ in 0..5 {
            for _ in 0..20 {
                uses(&token, HERE).await;
            }
            app.later(HOUR).await;
            app.service.evaluate().await;
        }
        assert_eq!(app.service.number(written).await, 0);
        app.later(DAY).await;
        uses(&token, HERE).await;
        app.service.evaluate().await;
        assert_eq!(app.service.number(written).await, 1);
    }

    async fn threat_26_no_secret_gets_into_an_alert_or_its_mail(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.tamper("UPDATE users SET email_verified = TRUE").await;
        let token = owner.mint(json!({ "alias": "agent of eve" })).await;
        owner.delete(&format!("/api/v1/auth/tokens/{}", token.id)).await.expect(StatusCode::OK);
        let canary = "canary-in-a-coal-mine-0001";
        let client = token.client.header("user-agent", canary).header("x-canary", canary);
        for path in [format!("/api/v1/auth/check?permission={canary}"), format!("/api/v1/vault/keys/{canary}"),
            format!("/api/v1/auth/tokens/{}", token.secret)] {
            client.get(&path).await.refused(401, "INVALID_TOKEN");
        }
        app.service.evaluate().await;
        assert_eq!(the_one(&owner, "dead_token_used").await["count"], 3);
        let mail = app.mail_to("ada@example.com").await;
        let rows = "SELECT kind || subject_type || subject_name || details || COALESCE(ip, '') AS t FROM alerts";
        let told = "SELECT payload AS t FROM feed WHERE event_type = 'alert.raised'";
        for secret in [canary, token.secret.as_str()] {
            assert!(!mail.text.contains(secret), "{mail:?}");
            for sql in [rows, told] {
                let texts = app.service.texts(sql).await;
                assert!(texts.len() == 1 && !texts[0].contains(secret), "{texts:?}");
            }
        }
        assert!(!mail.text.contains("eve") && mail.text.is_ascii(), "no name that somebody chose: {mail:?}");
    }

    async fn threat_35_an_alert_leaves_the_house_through_the_guarded_door_alone(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.look_up_with(|_| vec!["169.254.169.254:443".parse().unwrap()]);
        let body = json!({ "url": "https://hooks.example.com/", "event_types": ["alert.*"] });
        let made = owner.post("/api/v1/webhooks", body).await;
        made.expect(StatusCode::CREATED);
        let token = owner.mint(json!({})).await;
        let path = format!("/api/v1/auth/tokens/{}", token.id);
        owner.patch(&path, json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        token.client.check("").await.refused(401, "INVALID_TOKEN");
        app.service.evaluate().await;
        assert_eq!(app.service.project().await, None);
        assert_eq!(app.service.send_webhooks().await, 1);
        let path = format!("/api/v1/webhooks/{}/deliveries", made.data()["id"].as_str().unwrap());
        let sent = owner.get(&path).await;
        assert_eq!((&sent.data()[0]["event_type"], &sent.data()[0]["state"]), (&json!("alert.raised"), &json!("waiting")));
        assert_eq!(sent.data()[0]["status"], Value::Null, "nothing was connected to: {}", sent.text);
        // A kind that is kept from webhooks is not even put on its way.
        set(&owner, "refusal_burst", json!({ "webhook": false, "threshold": 1 })).await;
        let refused = owner.mint(json!({ "ip_whitelist": ["10.0.0.0/8"] })).await;
        refused.client.check("").await.refused(403, "IP_NOT_WHITELISTED");
        app.service.evaluate().await;
        assert_eq!(app.service.project().await, None);
        let types: Vec<_> = app.service.texts("SELECT event_type AS t FROM webhook_deliveries ORDER BY pos").await;
        assert_eq!(types, ["alert.raised", "alert.settings_updated"]);
        assert_eq!(app.service.number(RAISED).await, 2, "the event is there all the same");
    }

    async fn what_is_remembered_of_a_million_tokens_takes_less_than_200_mb(app: TestApp) {
        const TOKENS: i64 = 20_000;
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        app.service.plant_like(&token.id, u64::try_from(TOKENS).unwrap()).await;
        // As much as is ever kept of one: twelve addresses.
        let (fill, size) = if app.url.starts_with("sqlite:") {
            ("INSERT INTO alert_seen (id, addresses) SELECT id, randomblob(72) FROM tokens",
             "SELECT SUM(pgsize) AS n FROM dbstat WHERE name IN ('alert_seen', 'sqlite_autoindex_alert_seen_1')")
        } else {
            ("INSERT INTO alert_seen (id, addresses) SELECT id, decode(repeat('5a', 72), 'hex') FROM tokens",
             "SELECT pg_total_relation_size('alert_seen') AS n")
        };
        assert!(app.service.tamper(fill).await >= u64::try_from(TOKENS).unwrap());
        let bytes = app.service.number(size).await / TOKENS;
        eprintln!("{bytes} bytes a token");
        // PostgreSQL keeps up to a fifth more between two rounds of its vacuum.
        assert!(bytes * 6 / 5 < 200, "{bytes} bytes a token");
    }
}
