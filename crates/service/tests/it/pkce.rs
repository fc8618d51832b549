//! Signing in at a page for somebody else to have the session: login, intent, code, session (RFC 7636).

use hoody_core::pkce::Verifier;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Client, PASSWORD, Reply, TestApp, on_both};

const LOGIN: &str = "/api/v1/users/auth/login";
const AUTHORIZE: &str = "/api/v1/auth/authorize";
const EXCHANGE: &str = "/api/v1/auth/exchange";
const CANCEL: &str = "/api/v1/auth/intent/cancel";
const CALLBACK: &str = "https://app.example.com/callback?from=hoody";

fn verifier(seed: u8) -> Verifier {
    Verifier::from_bytes([seed; 32])
}

fn challenge(seed: u8) -> String {
    verifier(seed).challenge().as_str().to_owned()
}

async fn intent(app: &TestApp, seed: u8) -> String {
    let body = json!({
        "username": "ada", "password": PASSWORD, "response_mode": "intent",
        "code_challenge": challenge(seed), "client": "web",
    });
    let reply = app.anon().post(LOGIN, body).await;
    reply.expect(StatusCode::OK);
    assert_eq!(reply.body["message"], "Login successful");
    assert!(reply.data().get("token").is_none() && reply.data().get("refreshToken").is_none());
    assert_eq!(reply.data()["user"]["username"], "ada");
    assert_eq!(reply.headers["cache-control"], "no-store");
    reply.data()["auth_intent_token"].as_str().unwrap().to_owned()
}

async fn authorize(client: &Client, seed: u8, uri: &str) -> Reply {
    client.post(AUTHORIZE, json!({ "code_challenge": challenge(seed), "redirect_uri": uri })).await
}

async fn code(app: &TestApp, seed: u8) -> String {
    let reply = authorize(&app.with(&intent(app, seed).await), seed, CALLBACK).await;
    reply.expect(StatusCode::OK);
    let code = reply.data()["code"].as_str().unwrap().to_owned();
    assert!(code.len() == 64 && code.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{code}");
    code
}

fn exchange_body(code: &str, seed: u8) -> Value {
    json!({ "code": code, "code_verifier": verifier(seed).expose(), "redirect_uri": CALLBACK })
}

async fn exchange(app: &TestApp, code: &str, seed: u8) -> Reply {
    app.anon().post(EXCHANGE, exchange_body(code, seed)).await
}

async fn later(app: &TestApp, millis: i64) {
    app.service.advance(millis);
    app.service.poll().await;
}

on_both! {
    async fn a_login_for_an_intent_ends_in_a_session_of_whoever_has_the_verifier(app: TestApp) {
        app.user("ada").await;
        let sessions = app.service.number("SELECT COUNT(*) AS n FROM sessions").await;
        let code = code(&app, 1).await;
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM sessions").await, sessions);
        let reply = exchange(&app, &code, 1).await;
        reply.expect(StatusCode::OK);
        assert_eq!(reply.body["message"], "Login successful");
        assert_eq!(reply.data()["expires_in"], 86_400);
        assert_eq!(reply.headers["cache-control"], "no-store");
        app.with(reply.data()["token"].as_str().unwrap()).check("").await.expect(StatusCode::NO_CONTENT);
        let clients = app.service.texts("SELECT client AS t FROM sessions ORDER BY created_at, id").await;
        assert!(clients.contains(&"web".to_owned()), "{clients:?}");
        // Nothing is left behind.
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM auth_codes").await, 0);
    }

    async fn intent_and_code_are_good_once_and_for_a_minute(app: TestApp) {
        app.user("ada").await;
        let bearer = app.with(&intent(&app, 1).await);
        let first = authorize(&bearer, 1, CALLBACK).await;
        first.expect(StatusCode::OK);
        authorize(&bearer, 1, CALLBACK).await.refused(401, "INVALID_TOKEN");
        let code_ = first.data()["code"].as_str().unwrap();
        exchange(&app, code_, 1).await.expect(StatusCode::OK);
        exchange(&app, code_, 1).await.refused(400, "INVALID_GRANT");

        let late = app.with(&intent(&app, 1).await);
        later(&app, 59_999).await;
        authorize(&late, 1, CALLBACK).await.expect(StatusCode::OK);
        let late = app.with(&intent(&app, 1).await);
        later(&app, 60_000).await;
        authorize(&late, 1, CALLBACK).await.refused(401, "INVALID_TOKEN");
        let late = code(&app, 1).await;
        later(&app, 60_000).await;
        exchange(&app, &late, 1).await.refused(400, "INVALID_GRANT");
    }

    async fn another_challenge_verifier_or_address_kills_what_it_is_tried_on(app: TestApp) {
        app.user("ada").await;
        let stolen = app.with(&intent(&app, 1).await);
        authorize(&stolen, 2, CALLBACK).await.refused(400, "VALIDATION_ERROR");
        authorize(&stolen, 1, CALLBACK).await.refused(401, "INVALID_TOKEN");

        let stolen = code(&app, 1).await;
        exchange(&app, &stolen, 2).await.refused(400, "INVALID_GRANT");
        exchange(&app, &stolen, 1).await.refused(400, "INVALID_GRANT");

        let elsewhere = code(&app, 1).await;
        let mut body = exchange_body(&elsewhere, 1);
        body["redirect_uri"] = json!("https://app.example.com/callback");
        app.anon().post(EXCHANGE, body).await.refused(400, "INVALID_GRANT");
        exchange(&app, &elsewhere, 1).await.refused(400, "INVALID_GRANT");
        // A form that is wrong by itself costs nothing.
        let whole = code(&app, 1).await;
        let mut body = exchange_body(&whole, 1);
        body["code_verifier"] = json!("short");
        app.anon().post(EXCHANGE, body).await.refused(400, "VALIDATION_ERROR");
        exchange(&app, &whole, 1).await.expect(StatusCode::OK);
    }

    async fn of_many_exchanges_of_one_code_one_gets_a_session(app: TestApp) {
        app.user("ada").await;
        let code = code(&app, 1).await;
        let sessions = app.service.number("SELECT COUNT(*) AS n FROM sessions").await;
        let node = app.another_node().await;
        let mut all = JoinSet::new();
        for n in 0..8 {
            let client = if n % 2 == 0 { app.anon() } else { app.anon().at(&node) };
            let body = exchange_body(&code, 1);
            all.spawn(async move { client.post(EXCHANGE, body).await });
        }
        let replies = all.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == StatusCode::OK);
        assert_eq!((won.len(), lost.len()), (1, 7));
        for reply in lost {
            reply.refused(400, "INVALID_GRANT");
        }
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM sessions").await, sessions + 1);
    }

    async fn of_many_who_show_one_intent_one_gets_a_code(app: TestApp) {
        app.user("ada").await;
        let bearer = app.with(&intent(&app, 1).await);
        let node = app.another_node().await;
        let (here, there) = (bearer.clone(), bearer.at(&node));
        let (one, two, three) = tokio::join!(
            authorize(&here, 1, CALLBACK),
            authorize(&there, 1, CALLBACK),
            authorize(&here, 1, CALLBACK),
        );
        let replies = [one, two, three];
        assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::OK).count(), 1, "{replies:?}");
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM auth_codes").await, 1);
    }

    async fn codes_go_to_hosts_that_the_server_was_given(app: TestApp) {
        app.user("ada").await;
        let bearer = app.with(&intent(&app, 1).await);
        for uri in [
            "https://evil.example/callback",
            "https://app.example.com.evil.example/",
            "https://app.example.com@evil.example/",
            "https://app.example.com:8443/",
            "http://app.example.com/",
            "https://app.example.com/#fragment",
            "javascript:alert(1)",
            "",
        ] {
            let reply = authorize(&bearer, 1, uri).await;
            assert!(reply.body["message"].as_str().unwrap().contains("redirect_uri"), "{uri}: {}", reply.text);
            reply.refused(400, "VALIDATION_ERROR");
        }
        // None of it cost the intent.
        authorize(&bearer, 1, "https://app.example.com/").await.expect(StatusCode::OK);
    }

    async fn what_is_no_intent_opens_nothing_and_an_intent_opens_nothing_else(app: TestApp) {
        let ada = app.user("ada").await;
        let token = ada.mint(json!({})).await;
        let intent_token = intent(&app, 1).await;
        let code_ = code(&app, 1).await;
        for other in [ada.credential.as_deref().unwrap(), &token.secret, &code_, "x", &intent_token[..63]] {
            authorize(&app.with(other), 1, CALLBACK).await.refused(401, "INVALID_TOKEN");
        }
        authorize(&app.anon(), 1, CALLBACK).await.refused(401, "MISSING_TOKEN");
        let twice = app.anon().header("authorization", &format!("Bearer {intent_token}"));
        let twice = twice.header("authorization", "Bearer x");
        authorize(&twice, 1, CALLBACK).await.refused(401, "INVALID_TOKEN");
        for secret in [&intent_token, &code_] {
            app.with(secret).check("").await.refused(401, "INVALID_TOKEN");
            app.with(secret).get("/api/v1/users/auth/me").await.refused(401, "INVALID_TOKEN");
        }
        exchange(&app, &intent_token, 1).await.refused(400, "INVALID_GRANT");
        exchange(&app, &code_, 1).await.expect(StatusCode::OK);
        authorize(&app.with(&intent_token), 1, CALLBACK).await.expect(StatusCode::OK);
    }

    async fn bodies_are_closed_and_each_field_is_named(app: TestApp) {
        app.user("ada").await;
        let bearer = app.with(&intent(&app, 1).await);
        let good = json!({ "code_challenge": challenge(1), "redirect_uri": CALLBACK });
        for (field, value, status, code) in [
            ("code_challenge", Value::Null, 422, "VALIDATION_ERROR"),
            ("code_challenge", json!("short"), 400, "VALIDATION_ERROR"),
            ("code_challenge", json!(format!("{}B", &challenge(1)[..42])), 400, "VALIDATION_ERROR"),
            ("redirect_uri", json!(5), 422, "VALIDATION_ERROR"),
            ("redirect_uri", json!(format!("https://app.example.com/{}", "a".repeat(2_048))), 400, "VALIDATION_ERROR"),
            ("code_challenge_method", json!("plain"), 422, "VALIDATION_ERROR"),
        ] {
            let mut body = good.clone();
            body[field] = value;
            let reply = bearer.post(AUTHORIZE, body).await;
            assert!(reply.refused(status, code).text.contains(field), "{}", reply.text);
        }
        bearer.post(AUTHORIZE, json!({ "code_challenge": challenge(1) })).await.refused(400, "MISSING_REQUIRED_FIELD");
        for body in [json!({}), json!({ "code": "00".repeat(32) })] {
            app.anon().post(EXCHANGE, body).await.refused(400, "MISSING_REQUIRED_FIELD");
        }
        for code in ["", "zz", &"00".repeat(31), &"AA".repeat(32)] {
            let reply = app.anon().post(EXCHANGE, exchange_body(code, 1)).await;
            assert!(reply.refused(400, "VALIDATION_ERROR").text.contains("code must be"), "{}", reply.text);
        }
        let mut body = exchange_body(&"00".repeat(32), 1);
        body["client_id"] = json!("x");
        app.anon().post(EXCHANGE, body).await.refused(422, "VALIDATION_ERROR");
        // The login itself.
        let login = |extra: Value| {
            let mut body = json!({ "username": "ada", "password": PASSWORD });
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            body
        };
        app.anon().post(LOGIN, login(json!({"response_mode": "intent"}))).await.refused(400, "MISSING_REQUIRED_FIELD");
        app.anon().post(LOGIN, login(json!({"response_mode": "cookie"}))).await.refused(422, "VALIDATION_ERROR");
        let plain = app.anon().post(LOGIN, login(json!({"response_mode": "intent", "code_challenge": "plain"}))).await;
        assert!(plain.refused(400, "VALIDATION_ERROR").text.contains("code_challenge"), "{}", plain.text);
        let tokens = app.anon().post(LOGIN, login(json!({"response_mode": "tokens"}))).await;
        assert!(tokens.expect(StatusCode::OK).data()["token"].is_string());
        let wrong = json!({ "username": "ada", "password": "not her password", "response_mode": "intent", "code_challenge": challenge(1) });
        app.anon().post(LOGIN, wrong).await.refused(401, "INVALID_CREDENTIALS");
    }

    async fn what_ends_sessions_ends_what_was_to_become_one(app: TestApp) {
        let ada = app.user("ada").await;
        let (bearer, code_) = (app.with(&intent(&app, 1).await), code(&app, 2).await);
        ada.post("/api/v1/users/auth/logout", json!({})).await.expect(StatusCode::OK);
        authorize(&bearer, 1, CALLBACK).await.refused(401, "INVALID_TOKEN");
        exchange(&app, &code_, 2).await.refused(400, "INVALID_GRANT");
        let (bearer, code_) = (app.with(&intent(&app, 1).await), code(&app, 2).await);
        app.service.ban_elsewhere("ada", true).await;
        app.service.poll().await;
        authorize(&bearer, 1, CALLBACK).await.refused(401, "INVALID_TOKEN");
        exchange(&app, &code_, 2).await.refused(400, "INVALID_GRANT");
        let body = json!({ "username": "ada", "password": PASSWORD, "response_mode": "intent", "code_challenge": challenge(1) });
        app.anon().post(LOGIN, body).await.refused(401, "INVALID_CREDENTIALS");
    }

    async fn an_intent_is_given_up_and_so_is_a_login_without_its_second_factor(app: TestApp) {
        app.user("ada").await;
        let bearer = app.with(&intent(&app, 1).await);
        for _ in 0..2 {
            let reply = bearer.post(CANCEL, json!({})).await;
            reply.expect(StatusCode::NO_CONTENT);
            assert!(reply.text.is_empty());
        }
        authorize(&bearer, 1, CALLBACK).await.refused(401, "INVALID_TOKEN");
        app.anon().post(CANCEL, json!({})).await.refused(401, "MISSING_TOKEN");
        app.with("x").post(CANCEL, json!({})).await.refused(401, "INVALID_TOKEN");
    }

    async fn threat_28_intents_and_codes_are_stored_as_keyed_digests(app: TestApp) {
        app.user("ada").await;
        let (intent_token, code_) = (intent(&app, 1).await, code(&app, 1).await);
        assert_eq!(app.service.texts("SELECT kind AS t FROM auth_codes ORDER BY kind").await, ["code", "intent"]);
        for secret in [&intent_token, &code_] {
            assert!(!crate::threats_secrets::is_stored(&app, secret).await, "it is stored");
        }
        assert!(crate::threats_secrets::is_stored(&app, &challenge(1)).await, "the dump has what was stored");
    }
}
