//! Signing in on another device (RFC 8628): the API's side.

use hoody_core::pkce::Verifier;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Client, PASSWORD, Reply, TestApp, on_both};
use crate::two_factor::{code_at, next_step, protect, wrong_code};

const CODE: &str = "/api/v1/auth/device/code";
const VERIFY_CODE: &str = "/api/v1/auth/device/verify_code";
const AUTHORIZE: &str = "/api/v1/auth/device/authorize";
const LOGIN: &str = "/api/v1/auth/device/login";
const DENY: &str = "/api/v1/auth/device/deny";
const POLL: &str = "/api/v1/auth/device/token";
const SECOND_FACTOR: &str = "/api/v1/users/auth/2fa/verify";
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;

/// What a device was given.
pub(crate) struct Codes {
    pub(crate) device: String,
    pub(crate) user: String,
}

/// What a page was given.
struct Page {
    ticket: String,
    cookie: String,
}

pub(crate) async fn start(app: &TestApp) -> Codes {
    let reply = app.anon().post(CODE, json!({ "client_name": "Ada's laptop", "client": "cli" })).await;
    codes(reply.expect(StatusCode::OK))
}

fn codes(reply: &Reply) -> Codes {
    let text = |field: &str| reply.data()[field].as_str().unwrap().to_owned();
    Codes { device: text("device_code"), user: text("user_code") }
}

/// The first cookie's value.
pub(crate) fn cookie_of(headers: &HeaderMap) -> String {
    let cookie = headers["set-cookie"].to_str().unwrap();
    let value = cookie.strip_prefix("__Host-device_verify=").unwrap();
    value.split(';').next().unwrap().to_owned()
}

async fn look_up(app: &TestApp, user_code: &str) -> Page {
    let reply = app.anon().post(VERIFY_CODE, json!({ "user_code": user_code })).await;
    reply.expect(StatusCode::OK);
    let ticket = reply.data()["device_verify_ticket"].as_str().unwrap().to_owned();
    Page { ticket, cookie: cookie_of(&reply.headers) }
}

pub(crate) fn with_cookie(app: &TestApp, cookie: &str) -> Client {
    app.anon().from("198.51.100.9").header("cookie", &format!("theme=dark; __Host-device_verify={cookie}"))
}

async fn login(app: &TestApp, page: &Page, password: &str) -> Reply {
    let body = json!({ "ticket": page.ticket, "username": "ada", "password": password });
    with_cookie(app, &page.cookie).post(LOGIN, body).await
}

pub(crate) async fn poll(app: &TestApp, device_code: &str) -> Reply {
    app.anon().post(POLL, json!({ "device_code": device_code })).await
}

#[track_caller]
pub(crate) fn polled(reply: &Reply, word: &str) {
    assert_eq!((reply.status.as_u16(), reply.data()["error"].as_str()), (400, Some(word)), "{}", reply.text);
    assert_eq!(reply.body["code"], word.to_uppercase(), "{}", reply.text);
    assert_eq!(reply.body["statusCode"], 400);
}

async fn later(app: &TestApp, millis: i64) {
    app.service.advance(millis);
    app.service.poll().await;
}

/// A request that `ada` approved.
async fn approved(app: &TestApp) -> Codes {
    let codes = start(app).await;
    let page = look_up(app, &codes.user).await;
    login(app, &page, PASSWORD).await.expect(StatusCode::OK);
    codes
}

on_both! {
    async fn a_device_gets_its_session_once_when_somebody_has_signed_in(app: TestApp) {
        app.user("ada").await;
        let started = app.anon().post(CODE, json!({ "client_name": "Ada's laptop", "client": "cli" })).await;
        started.expect(StatusCode::OK);
        assert_eq!(started.headers["cache-control"], "no-store");
        let codes_ = codes(&started);
        assert_eq!(codes_.device.len(), 64);
        assert!(codes_.user.len() == 9 && codes_.user.as_bytes()[4] == b'-', "{}", codes_.user);
        assert_eq!(started.data()["verification_uri"], "https://auth.example.com/device");
        let complete = format!("https://auth.example.com/device?user_code={}", codes_.user);
        assert_eq!(started.data()["verification_uri_complete"], complete);
        assert_eq!((&started.data()["interval"], &started.data()["expires_in"]), (&json!(5), &json!(900)));

        polled(&poll(&app, &codes_.device).await, "authorization_pending");
        later(&app, 60 * SECOND).await;
        let looked_up = app.anon().post(VERIFY_CODE, json!({ "user_code": codes_.user })).await;
        looked_up.expect(StatusCode::OK);
        let data = looked_up.data();
        assert_eq!((&data["status"], &data["client_name"]), (&json!("pending"), &json!("Ada's laptop")));
        assert_eq!((&data["expires_in"], &data["client_ip"]), (&json!(840), &json!("203.0.113.7")));
        let cookie = looked_up.headers["set-cookie"].to_str().unwrap();
        assert!(cookie.ends_with("; Path=/; Max-Age=840; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
        assert_eq!(looked_up.headers.get_all("set-cookie").iter().count(), 1);

        let page = look_up(&app, &codes_.user).await;
        let sessions = app.service.number("SELECT COUNT(*) AS n FROM sessions").await;
        let reply = login(&app, &page, PASSWORD).await;
        reply.expect(StatusCode::OK);
        assert_eq!(reply.data(), &json!({ "status": "approved" }));
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM sessions").await, sessions);
        let told = "SELECT COUNT(*) AS n FROM feed WHERE event_type = 'session.device_approved'";
        assert_eq!(app.service.number(told).await, 1);
        let again = app.anon().post(VERIFY_CODE, json!({ "user_code": codes_.user })).await;
        assert_eq!(again.expect(StatusCode::OK).data(), &json!({ "status": "approved" }));
        assert!(again.headers.get("set-cookie").is_none());

        let session = poll(&app, &codes_.device).await;
        session.expect(StatusCode::OK);
        assert_eq!(session.body["message"], "Login successful");
        assert_eq!((&session.data()["user"]["username"], &session.data()["client_ip"]), (&json!("ada"), &json!("203.0.113.7")));
        assert_eq!(session.headers["cache-control"], "no-store");
        app.with(session.data()["token"].as_str().unwrap()).check("").await.expect(StatusCode::NO_CONTENT);
        polled(&poll(&app, &codes_.device).await, "expired_token");
        app.anon().post(VERIFY_CODE, json!({ "user_code": codes_.user })).await.refused(410, "DEVICE_CODE_GONE");
        let clients = app.service.texts("SELECT client AS t FROM sessions").await;
        assert!(clients.contains(&"cli".to_owned()), "{clients:?}");
    }

    async fn a_user_code_is_taken_as_people_type_it(app: TestApp) {
        let codes = start(&app).await;
        let plain = codes.user.replace('-', "");
        for typed in [codes.user.to_lowercase(), plain.clone(), format!(" {} ", plain.to_lowercase()), format!("{} {}", &plain[..4], &plain[4..])] {
            app.anon().post(VERIFY_CODE, json!({ "user_code": typed })).await.expect(StatusCode::OK);
        }
        for unknown in ["BBBB-BBBB", "AAAA-AAAA", "x", "1234-5678"] {
            let reply = app.anon().post(VERIFY_CODE, json!({ "user_code": unknown })).await;
            assert_eq!(reply.refused(404, "RESOURCE_NOT_FOUND").body["message"], "Unknown code");
        }
        app.anon().post(VERIFY_CODE, json!({ "user_code": "B".repeat(17) })).await.refused(422, "VALIDATION_ERROR");
        app.anon().post(VERIFY_CODE, json!({ "user_code": 7 })).await.refused(422, "VALIDATION_ERROR");
        app.anon().post(VERIFY_CODE, json!({})).await.refused(400, "MISSING_REQUIRED_FIELD");
        app.anon().post(VERIFY_CODE, json!({ "user_code": " " })).await.refused(400, "MISSING_REQUIRED_FIELD");
    }

    async fn a_device_that_polls_too_fast_is_told_so(app: TestApp) {
        let codes = start(&app).await;
        polled(&poll(&app, &codes.device).await, "authorization_pending");
        polled(&poll(&app, &codes.device).await, "slow_down");
        later(&app, 5 * SECOND - 1).await;
        polled(&poll(&app, &codes.device).await, "slow_down");
        later(&app, 1).await;
        polled(&poll(&app, &codes.device).await, "authorization_pending");
        // Of two at once one is too fast, on whichever nodes.
        later(&app, 5 * SECOND).await;
        let node = app.another_node().await;
        let body = json!({ "device_code": codes.device });
        let (here, there) = (app.anon(), app.anon().at(&node));
        let (one, two) = tokio::join!(here.post(POLL, body.clone()), there.post(POLL, body.clone()));
        let mut words = [one.data()["error"].to_string(), two.data()["error"].to_string()];
        words.sort();
        assert_eq!(words, [r#""authorization_pending""#, r#""slow_down""#]);
    }

    async fn codes_are_over_after_a_quarter_of_an_hour_and_gone_after_an_hour_more(app: TestApp) {
        app.user("ada").await;
        let (pending, approved) = (start(&app).await, approved(&app).await);
        let page = look_up(&app, &pending.user).await;
        later(&app, 15 * MINUTE).await;
        for codes in [&pending, &approved] {
            polled(&poll(&app, &codes.device).await, "expired_token");
            app.anon().post(VERIFY_CODE, json!({ "user_code": codes.user })).await.refused(410, "DEVICE_CODE_GONE");
        }
        login(&app, &page, PASSWORD).await.refused(410, "DEVICE_CODE_GONE");
        app.anon().post(DENY, json!({ "ticket": page.ticket })).await.refused(410, "DEVICE_CODE_GONE");
        app.service.sweep_codes().await;
        app.anon().post(VERIFY_CODE, json!({ "user_code": pending.user })).await.refused(410, "DEVICE_CODE_GONE");
        later(&app, 61 * MINUTE).await;
        app.service.sweep_codes().await;
        app.anon().post(VERIFY_CODE, json!({ "user_code": pending.user })).await.refused(404, "RESOURCE_NOT_FOUND");
        polled(&poll(&app, &pending.device).await, "expired_token");
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM device_requests").await, 0);
    }

    async fn a_refused_request_stays_refused_and_an_approved_one_approved(app: TestApp) {
        app.user("ada").await;
        let codes = start(&app).await;
        let page = look_up(&app, &codes.user).await;
        let reply = app.anon().post(DENY, json!({ "ticket": page.ticket })).await;
        assert_eq!(reply.expect(StatusCode::OK).data(), &json!({ "status": "denied" }));
        polled(&poll(&app, &codes.device).await, "access_denied");
        login(&app, &page, PASSWORD).await.refused(410, "DEVICE_CODE_GONE");
        app.anon().post(DENY, json!({ "ticket": page.ticket })).await.refused(410, "DEVICE_CODE_GONE");
        app.anon().post(VERIFY_CODE, json!({ "user_code": codes.user })).await.refused(410, "DEVICE_CODE_GONE");

        let codes = start(&app).await;
        let page = look_up(&app, &codes.user).await;
        login(&app, &page, PASSWORD).await.expect(StatusCode::OK);
        app.anon().post(DENY, json!({ "ticket": page.ticket })).await.refused(410, "DEVICE_CODE_GONE");
        login(&app, &page, PASSWORD).await.refused(410, "DEVICE_CODE_GONE");
        poll(&app, &codes.device).await.expect(StatusCode::OK);
    }

    async fn ticket_and_cookie_must_both_fit(app: TestApp) {
        app.user("ada").await;
        let (codes, other_codes) = (start(&app).await, start(&app).await);
        let (page, other) = (look_up(&app, &codes.user).await, look_up(&app, &other_codes.user).await);
        let body = json!({ "ticket": page.ticket, "username": "ada", "password": PASSWORD });
        app.anon().post(LOGIN, body.clone()).await.refused(403, "DEVICE_COOKIE_MISSING");
        for cookie in [&other.cookie, &page.ticket, &"00".repeat(32), "", "x"] {
            with_cookie(&app, cookie).post(LOGIN, body.clone()).await.refused(403, "DEVICE_COOKIE_MISSING");
        }
        // Behind https the name without the prefix, which a neighbour could plant, is not read.
        let planted = app.anon().header("cookie", &format!("device_verify={}", page.cookie));
        planted.post(LOGIN, body.clone()).await.refused(403, "DEVICE_COOKIE_MISSING");
        let strange = Page { ticket: "00".repeat(32), cookie: page.cookie.clone() };
        login(&app, &strange, PASSWORD).await.refused(410, "DEVICE_CODE_GONE");
        let wrong = with_cookie(&app, &other.cookie).post(DENY, json!({ "ticket": page.ticket })).await;
        wrong.refused(403, "DEVICE_COOKIE_MISSING");
        // Looked up again, the first page's ticket is worth nothing any more.
        let newer = look_up(&app, &codes.user).await;
        login(&app, &page, PASSWORD).await.refused(410, "DEVICE_CODE_GONE");
        polled(&poll(&app, &codes.device).await, "authorization_pending");
        login(&app, &newer, PASSWORD).await.expect(StatusCode::OK);
        for (field, value, status, code) in [
            ("ticket", json!("x"), 422, "VALIDATION_ERROR"),
            ("ticket", Value::Null, 422, "VALIDATION_ERROR"),
            ("password", json!(5), 422, "VALIDATION_ERROR"),
            ("password", json!("short"), 400, "VALIDATION_ERROR"),
            ("username", json!("a\u{0}"), 400, "VALIDATION_ERROR"),
        ] {
            let mut body = body.clone();
            body[field] = value;
            with_cookie(&app, &newer.cookie).post(LOGIN, body).await.refused(status, code);
        }
        app.anon().post(LOGIN, json!({})).await.refused(400, "MISSING_REQUIRED_FIELD");
        app.anon().post(DENY, json!({})).await.refused(400, "MISSING_REQUIRED_FIELD");
    }

    async fn wrong_passwords_and_banned_accounts_approve_nothing(app: TestApp) {
        app.user("ada").await;
        let codes = start(&app).await;
        let page = look_up(&app, &codes.user).await;
        login(&app, &page, "not her password").await.refused(401, "INVALID_CREDENTIALS");
        let body = json!({ "ticket": page.ticket, "email": "nobody@example.com", "password": PASSWORD });
        with_cookie(&app, &page.cookie).post(LOGIN, body).await.refused(401, "INVALID_CREDENTIALS");
        app.service.ban_elsewhere("ada", true).await;
        app.service.poll().await;
        login(&app, &page, "not her password").await.refused(401, "INVALID_CREDENTIALS");
        login(&app, &page, PASSWORD).await.refused(403, "ACCOUNT_BANNED");
        app.service.ban_elsewhere("ada", false).await;
        app.service.poll().await;
        polled(&poll(&app, &codes.device).await, "authorization_pending");
        let body = json!({ "ticket": page.ticket, "email": "ADA@example.com", "password": PASSWORD });
        with_cookie(&app, &page.cookie).post(LOGIN, body).await.expect(StatusCode::OK);
        // Banned since it approved.
        app.service.ban_elsewhere("ada", true).await;
        app.service.poll().await;
        polled(&poll(&app, &codes.device).await, "expired_token");
    }

    async fn threat_12_each_sign_in_for_a_device_costs_one_hash_whoever_it_names(app: TestApp) {
        app.user("ada").await;
        let page = look_up(&app, &start(&app).await.user).await;
        for name in ["ada", "nobody"] {
            let before = app.service.password_hashes();
            let body = json!({ "ticket": page.ticket, "username": name, "password": "not the password" });
            let reply = with_cookie(&app, &page.cookie).post(LOGIN, body).await;
            assert_eq!(reply.refused(401, "INVALID_CREDENTIALS").body["message"], "Invalid credentials");
            assert_eq!(app.service.password_hashes(), before + 1, "{name}");
        }
    }

    async fn the_second_factor_approves_and_gives_the_page_nothing(app: TestApp) {
        let ada = protect(&app, &app.user("ada").await).await;
        let codes = start(&app).await;
        let page = look_up(&app, &codes.user).await;
        let reply = login(&app, &page, PASSWORD).await;
        reply.expect(StatusCode::OK);
        assert_eq!(reply.data()["requires_2fa"], true);
        assert!(reply.data().get("token").is_none() && reply.data().get("status").is_none());
        let temp = reply.data()["temp_token"].as_str().unwrap();
        polled(&poll(&app, &codes.device).await, "authorization_pending");
        let wrong = json!({ "temp_token": temp, "code": wrong_code(&app, &ada.secret) });
        app.anon().post(SECOND_FACTOR, wrong).await.refused(401, "INVALID_OTP_CODE");
        // The request decides what it ends in, not the request's sender.
        let as_intent = json!({ "temp_token": temp, "code": code_at(&app, &ada.secret, 0), "response_mode": "intent" });
        app.anon().post(SECOND_FACTOR, as_intent).await.refused(400, "VALIDATION_ERROR");
        let body = json!({ "temp_token": temp, "code": code_at(&app, &ada.secret, 0) });
        let verified = app.anon().post(SECOND_FACTOR, body).await;
        assert_eq!(verified.expect(StatusCode::OK).data(), &json!({ "status": "approved" }));
        let session = poll(&app, &codes.device).await;
        app.with(session.expect(StatusCode::OK).data()["token"].as_str().unwrap()).check("").await.expect(StatusCode::NO_CONTENT);
        let noted = "SELECT payload AS t FROM feed WHERE event_type = 'session.created' ORDER BY pos DESC LIMIT 1";
        assert!(app.service.texts(noted).await[0].contains("totp"));
    }

    async fn a_second_factor_for_a_request_that_is_gone_is_not_used_up(app: TestApp) {
        let ada = protect(&app, &app.user("ada").await).await;
        let codes = start(&app).await;
        let page = look_up(&app, &codes.user).await;
        let reply = login(&app, &page, PASSWORD).await;
        let temp = reply.data()["temp_token"].as_str().unwrap();
        app.anon().post(DENY, json!({ "ticket": page.ticket })).await.expect(StatusCode::OK);
        let code = code_at(&app, &ada.secret, 0);
        let body = json!({ "temp_token": temp, "code": code });
        let reply = app.anon().post(SECOND_FACTOR, body).await;
        assert_eq!(reply.refused(400, "DEVICE_BINDING_GONE").body["message"], "This device sign-in is no longer pending");
        // The code is still good, for another request.
        let page = look_up(&app, &start(&app).await.user).await;
        let reply = login(&app, &page, PASSWORD).await;
        let body = json!({ "temp_token": reply.data()["temp_token"], "code": code });
        app.anon().post(SECOND_FACTOR, body).await.expect(StatusCode::OK);
        next_step(&app).await;
        // One whose quarter of an hour ends between password and code.
        let codes = start(&app).await;
        later(&app, 14 * MINUTE).await;
        let page = look_up(&app, &codes.user).await;
        let reply = login(&app, &page, PASSWORD).await;
        later(&app, MINUTE).await;
        let body = json!({ "temp_token": reply.data()["temp_token"], "code": code_at(&app, &ada.secret, 0) });
        app.anon().post(SECOND_FACTOR, body).await.refused(400, "DEVICE_BINDING_GONE");
    }

    async fn a_login_that_was_given_up_takes_no_code(app: TestApp) {
        let ada = protect(&app, &app.user("ada").await).await;
        let page = look_up(&app, &start(&app).await.user).await;
        let reply = login(&app, &page, PASSWORD).await;
        let temp = reply.data()["temp_token"].as_str().unwrap();
        for _ in 0..2 {
            app.with(temp).post("/api/v1/auth/intent/cancel", json!({})).await.expect(StatusCode::NO_CONTENT);
        }
        let body = json!({ "temp_token": temp, "code": code_at(&app, &ada.secret, 0) });
        app.anon().post(SECOND_FACTOR, body).await.refused(400, "INVALID_TEMP_TOKEN");
        let again = login(&app, &page, PASSWORD).await;
        let body = json!({ "temp_token": again.data()["temp_token"], "code": code_at(&app, &ada.secret, 0) });
        app.anon().post(SECOND_FACTOR, body).await.expect(StatusCode::OK);
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM cancelled_logins").await, 1);
        later(&app, 6 * MINUTE).await;
        app.service.sweep_codes().await;
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM cancelled_logins").await, 0);
    }

    async fn an_intent_goes_through_the_second_factor(app: TestApp) {
        let ada = protect(&app, &app.user("ada").await).await;
        let verifier = Verifier::from_bytes([9; 32]);
        let challenge = verifier.challenge();
        let body = json!({
            "username": "ada", "password": PASSWORD, "response_mode": "intent", "code_challenge": challenge.as_str(),
        });
        let begun = app.anon().post("/api/v1/users/auth/login", body).await;
        let temp = begun.expect(StatusCode::OK).data()["temp_token"].as_str().unwrap();
        let code = code_at(&app, &ada.secret, 0);
        let as_tokens = json!({ "temp_token": temp, "code": code, "response_mode": "tokens" });
        app.anon().post(SECOND_FACTOR, as_tokens).await.refused(400, "VALIDATION_ERROR");
        let body = json!({ "temp_token": temp, "code": code, "response_mode": "intent", "client": "web" });
        let verified = app.anon().post(SECOND_FACTOR, body).await;
        verified.expect(StatusCode::OK);
        assert!(verified.data().get("token").is_none());
        assert_eq!(verified.data()["user"]["username"], "ada");
        let intent = app.with(verified.data()["auth_intent_token"].as_str().unwrap());
        let uri = "https://app.example.com/";
        let body = json!({ "code_challenge": challenge.as_str(), "redirect_uri": uri });
        let issued = intent.post("/api/v1/auth/authorize", body).await;
        let body = json!({ "code": issued.expect(StatusCode::OK).data()["code"], "code_verifier": verifier.expose(), "redirect_uri": uri });
        let session = app.anon().post("/api/v1/auth/exchange", body).await;
        app.with(session.expect(StatusCode::OK).data()["token"].as_str().unwrap()).check("").await.expect(StatusCode::NO_CONTENT);
    }

    async fn with_a_challenge_only_its_verifier_gets_the_session(app: TestApp) {
        app.user("ada").await;
        let verifier = Verifier::from_bytes([3; 32]);
        let begin = async || {
            let reply = app.anon().post(CODE, json!({ "code_challenge": verifier.challenge().as_str() })).await;
            codes(reply.expect(StatusCode::OK))
        };
        let ask = async |codes: &Codes, verifier: &str| {
            app.anon().post(POLL, json!({ "device_code": codes.device, "code_verifier": verifier })).await
        };
        let codes_ = begin().await;
        poll(&app, &codes_.device).await.refused(400, "MISSING_REQUIRED_FIELD");
        ask(&codes_, "short").await.refused(400, "VALIDATION_ERROR");
        polled(&ask(&codes_, verifier.expose()).await, "authorization_pending");
        let page = look_up(&app, &codes_.user).await;
        login(&app, &page, PASSWORD).await.expect(StatusCode::OK);
        ask(&codes_, verifier.expose()).await.expect(StatusCode::OK);
        // Another verifier ends the request, approved as it is.
        let codes_ = begin().await;
        let page = look_up(&app, &codes_.user).await;
        login(&app, &page, PASSWORD).await.expect(StatusCode::OK);
        polled(&ask(&codes_, Verifier::from_bytes([4; 32]).expose()).await, "access_denied");
        polled(&ask(&codes_, verifier.expose()).await, "access_denied");
        app.anon().post(CODE, json!({ "code_challenge": "x" })).await.refused(400, "VALIDATION_ERROR");
    }

    async fn what_ends_sessions_voids_an_approval(app: TestApp) {
        let ada = app.user("ada").await;
        let codes = approved(&app).await;
        ada.post("/api/v1/users/auth/logout", json!({})).await.expect(StatusCode::OK);
        polled(&poll(&app, &codes.device).await, "expired_token");
        let ada = app.login("ada").await;
        let codes = approved(&app).await;
        let body = json!({ "password": "another good password", "current_password": PASSWORD });
        ada.put(&format!("/api/v1/users/{}", ada.account().await), body).await.expect(StatusCode::OK);
        polled(&poll(&app, &codes.device).await, "expired_token");
    }

    async fn of_many_polls_of_an_approved_code_one_gets_the_session(app: TestApp) {
        app.user("ada").await;
        let codes = approved(&app).await;
        let sessions = app.service.number("SELECT COUNT(*) AS n FROM sessions").await;
        let node = app.another_node().await;
        let mut all = JoinSet::new();
        for n in 0..8 {
            let client = if n % 2 == 0 { app.anon() } else { app.anon().at(&node) };
            let body = json!({ "device_code": codes.device });
            all.spawn(async move { client.post(POLL, body).await });
        }
        let replies = all.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == StatusCode::OK);
        assert_eq!((won.len(), lost.len()), (1, 7));
        lost.into_iter().for_each(|reply| polled(reply, "expired_token"));
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM sessions").await, sessions + 1);
    }

    async fn of_approval_and_refusal_one_wins_and_the_device_is_told_which(app: TestApp) {
        app.user("ada").await;
        let node = app.another_node().await;
        for _ in 0..4 {
            let codes = start(&app).await;
            let page = look_up(&app, &codes.user).await;
            let there = app.anon().at(&node);
            let refusal = there.post(DENY, json!({ "ticket": page.ticket }));
            let (approval, refusal) = tokio::join!(login(&app, &page, PASSWORD), refusal);
            let polled_ = poll(&app, &codes.device).await;
            match (approval.status, refusal.status) {
                (StatusCode::OK, StatusCode::GONE) => drop(polled_.expect(StatusCode::OK)),
                (StatusCode::GONE, StatusCode::OK) => polled(&polled_, "access_denied"),
                other => panic!("{other:?}: {} {}", approval.text, refusal.text),
            }
        }
    }

    async fn of_approval_and_logout_whichever_order_leaves_no_session_from_before_it(app: TestApp) {
        app.user("ada").await;
        let node = app.another_node().await;
        for _ in 0..4 {
            let ada = app.login("ada").await;
            let codes = start(&app).await;
            let page = look_up(&app, &codes.user).await;
            let there = ada.at(&node);
            let logout = there.post("/api/v1/users/auth/logout", json!({}));
            let (approval, logout) = tokio::join!(login(&app, &page, PASSWORD), logout);
            logout.expect(StatusCode::OK);
            approval.expect(StatusCode::OK);
            app.service.poll().await;
            let generations = "SELECT COUNT(*) AS n FROM device_requests r JOIN users u ON u.id = r.user_id \
                WHERE r.status = 'approved' AND r.generation = u.generation";
            let is_after = app.service.number(generations).await == 1;
            let polled_ = poll(&app, &codes.device).await;
            if is_after {
                polled_.expect(StatusCode::OK);
            } else {
                polled(&polled_, "expired_token");
            }
        }
    }

    async fn another_service_to_sign_in_with_is_not_there(app: TestApp) {
        let page = look_up(&app, &start(&app).await.user).await;
        let path = format!("{AUTHORIZE}?provider=github&ticket={}", page.ticket);
        let reply = with_cookie(&app, &page.cookie).get(&path).await;
        reply.expect(StatusCode::FOUND);
        assert_eq!(reply.headers["location"], "https://auth.example.com/device?error=provider_unavailable");
        // The ticket is as good as before.
        app.user("ada").await;
        with_cookie(&app, &page.cookie).get(&path).await.expect(StatusCode::FOUND);
        app.anon().get(&path).await.refused(403, "DEVICE_COOKIE_MISSING");
        let cookie = with_cookie(&app, &page.cookie);
        cookie.get(&format!("{AUTHORIZE}?provider=github&ticket=x")).await.refused(410, "DEVICE_CODE_GONE");
        cookie.get(&path.replace("github", "evil")).await.refused(400, "INVALID_PARAMETER_VALUE");
        login(&app, &page, PASSWORD).await.expect(StatusCode::OK);
        cookie.get(&path).await.refused(410, "DEVICE_CODE_GONE");
    }

    async fn codes_are_tried_and_asked_for_so_often_from_one_address(app: TestApp) {
        let codes = start(&app).await;
        for n in 0..60 {
            let typed = if n % 2 == 0 { "BBBB-BBBB" } else { codes.user.as_str() };
            let reply = app.anon().post(VERIFY_CODE, json!({ "user_code": typed })).await;
            assert_eq!(reply.status.as_u16(), if n % 2 == 0 { 404 } else { 200 }, "{}", reply.text);
        }
        let over = app.anon().post(VERIFY_CODE, json!({ "user_code": codes.user })).await;
        assert_eq!(over.refused(429, "RATE_LIMIT_EXCEEDED").headers["retry-after"], "3600");
        let form = app.anon().header("content-type", "application/x-www-form-urlencoded");
        let page = form.send(http::Method::POST, "/device/code", b"user_code=BBBB-BBBB".to_vec()).await;
        assert!(page.expect(StatusCode::TOO_MANY_REQUESTS).text.contains("Too many tries"), "{}", page.text);
        assert_eq!(page.headers["retry-after"], "3600");
        // Another address has a count of its own.
        let elsewhere = app.anon().from("198.51.100.9");
        elsewhere.post(VERIFY_CODE, json!({ "user_code": codes.user })).await.expect(StatusCode::OK);
        later(&app, 60 * MINUTE).await;
        app.anon().post(VERIFY_CODE, json!({ "user_code": codes.user })).await.refused(410, "DEVICE_CODE_GONE");

        for _ in 0..60 {
            elsewhere.post(CODE, json!({})).await.expect(StatusCode::OK);
        }
        elsewhere.post(CODE, json!({})).await.refused(429, "RATE_LIMIT_EXCEEDED");
        app.anon().post(CODE, json!({})).await.expect(StatusCode::OK);
    }

    async fn what_a_device_calls_itself_is_short_and_turns_no_text_around(app: TestApp) {
        for (name, status, code) in [
            (json!("a".repeat(65)), 422, "VALIDATION_ERROR"),
            (json!(7), 422, "VALIDATION_ERROR"),
            (json!("laptop\u{202e}"), 400, "VALIDATION_ERROR"),
            (json!("lap\u{200b}top"), 400, "VALIDATION_ERROR"),
            (json!("lap\ntop"), 400, "VALIDATION_ERROR"),
            (json!("\u{0}"), 400, "VALIDATION_ERROR"),
        ] {
            let reply = app.anon().post(CODE, json!({ "client_name": name })).await;
            assert!(reply.refused(status, code).text.contains("client_name"), "{}", reply.text);
        }
        app.anon().post(CODE, json!({ "client": "a".repeat(65) })).await.refused(422, "VALIDATION_ERROR");
        for body in [json!({}), json!({ "client_name": "", "scope": "ignored" }), json!({ "client_name": "ä".repeat(64) })] {
            app.anon().post(CODE, body).await.expect(StatusCode::OK);
        }
        let strange = app.anon().header("x-forwarded-host", "evil.example").host("evil.example");
        let reply = strange.post(CODE, json!({})).await;
        // Threat 22: links come from the setting alone.
        assert_eq!(reply.expect(StatusCode::OK).data()["verification_uri"], "https://auth.example.com/device");
        for body in [json!({}), json!({ "device_code": "x" })] {
            let reply = app.anon().post(POLL, body).await;
            assert!(matches!(reply.status.as_u16(), 400 | 422), "{}", reply.text);
            assert!(reply.data()["error"].is_null());
        }
        polled(&poll(&app, &"00".repeat(32)).await, "expired_token");
    }

    async fn threat_28_codes_tickets_and_cookies_are_stored_as_keyed_digests(app: TestApp) {
        let ada = protect(&app, &app.user("ada").await).await;
        let codes = start(&app).await;
        let page = look_up(&app, &codes.user).await;
        let reply = login(&app, &page, PASSWORD).await;
        let temp = reply.data()["temp_token"].as_str().unwrap();
        app.with(temp).post("/api/v1/auth/intent/cancel", json!({})).await.expect(StatusCode::NO_CONTENT);
        let plain = codes.user.replace('-', "");
        for secret in [codes.device.as_str(), &codes.user, &plain, &page.ticket, &page.cookie, temp] {
            assert!(!crate::threats_secrets::is_stored(&app, secret).await, "it is stored");
        }
        assert!(crate::threats_secrets::is_stored(&app, "Ada's laptop").await, "the dump has what was stored");
        drop(ada);
    }
}
