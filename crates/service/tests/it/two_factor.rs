//! The second factor: turning it on and off, signing in with it, its lock, its gate.

use hoody_core::totp::{TotpSecret, step_at};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, REALM_A, Reply, TestApp, on_both};

const LOGIN: &str = "/api/v1/users/auth/login";
const TWO_FACTOR: &str = "/api/v1/users/auth/2fa";
const VERIFY: &str = "/api/v1/users/auth/2fa/verify";
const SETUP: &str = "/api/v1/users/auth/2fa/setup";
const VERIFY_SETUP: &str = "/api/v1/users/auth/2fa/verify-setup";
const STATUS: &str = "/api/v1/users/auth/2fa/status";
const REGENERATE: &str = "/api/v1/users/auth/2fa/backup-codes/regenerate";
const GATE: &str = "/api/v1/users/auth/2fa/token-gate";
const TOKENS: &str = "/api/v1/auth/tokens";
const MINUTE: i64 = 60_000;

/// An account whose second factor is on: its session, its app, its backup codes.
pub(crate) struct Protected {
    pub(crate) session: Client,
    pub(crate) secret: TotpSecret,
    pub(crate) backup_codes: Vec<String>,
}

fn base32(text: &str) -> Vec<u8> {
    let (mut bits, mut length, mut bytes) = (0_u32, 0, Vec::new());
    for c in text.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == c).unwrap();
        bits = bits << 5 | value as u32;
        length += 5;
        if length >= 8 {
            length -= 8;
            bytes.push((bits >> length) as u8);
            bits &= (1 << length) - 1;
        }
    }
    bytes
}

/// The app's code now, or some steps from now.
pub(crate) fn code_at(app: &TestApp, secret: &TotpSecret, off: i64) -> String {
    String::from_utf8(secret.code(step_at(app.service.now()) + off).to_vec()).unwrap()
}

/// Six digits that no step near now has.
pub(crate) fn wrong_code(app: &TestApp, secret: &TotpSecret) -> String {
    let near: Vec<String> = (-3..=3).map(|off| code_at(app, secret, off)).collect();
    (0..).map(|n| format!("{n:06}")).find(|code| !near.contains(code)).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

async fn set_up(session: &Client) -> (TotpSecret, Vec<String>) {
    set_up_as(session, PASSWORD).await
}

async fn set_up_as(session: &Client, password: &str) -> (TotpSecret, Vec<String>) {
    let setup = session.post(SETUP, json!({ "password": password })).await;
    setup.expect(StatusCode::OK);
    let secret = TotpSecret::from_bytes(&base32(setup.data()["manual_entry_key"].as_str().unwrap()));
    (secret, texts(&setup.data()["backup_codes"]))
}

/// Turns it on for an account with this password.
pub(crate) async fn enable(app: &TestApp, session: &Client, password: &str) {
    let (secret, _) = set_up_as(session, password).await;
    let enabled = session.post(VERIFY_SETUP, json!({ "code": code_at(app, &secret, 0) })).await;
    enabled.expect(StatusCode::OK);
}

/// Turns it on and moves to a step that is not used up.
pub(crate) async fn protect(app: &TestApp, session: &Client) -> Protected {
    let (secret, backup_codes) = set_up(session).await;
    let enabled = session.post(VERIFY_SETUP, json!({"code": code_at(app, &secret, 0)})).await;
    enabled.expect(StatusCode::OK);
    let session = app.with(enabled.data()["token"].as_str().unwrap());
    next_step(app).await;
    Protected { session, secret, backup_codes }
}

pub(crate) async fn next_step(app: &TestApp) {
    app.service.advance(MINUTE);
    app.service.poll().await;
}

pub(crate) async fn challenge(app: &TestApp, username: &str) -> String {
    let login = app.anon().post(LOGIN, json!({"username": username, "password": PASSWORD})).await;
    login.expect(StatusCode::OK);
    assert_eq!((&login.data()["requires_2fa"], &login.data()["method"]), (&json!(true), &json!("totp")));
    assert!(login.data().get("token").is_none() && login.data().get("user").is_none(), "{}", login.text);
    login.data()["temp_token"].as_str().unwrap().to_owned()
}

pub(crate) async fn verify(app: &TestApp, temp_token: &str, code: &str) -> Reply {
    app.anon().post(VERIFY, json!({"temp_token": temp_token, "code": code})).await
}

pub(crate) async fn delete(client: &Client, body: Value) -> Reply {
    client.send(Method::DELETE, TWO_FACTOR, body.to_string().into_bytes()).await
}

on_both! {
    async fn a_second_factor_is_turned_on_used_and_turned_off(app: TestApp) {
        let first = app.user("ada").await;
        let other = app.login("ada").await;
        let token = first.mint(json!({})).await;
        let status = first.get(STATUS).await;
        assert_eq!(status.data()["enabled"], false);
        assert_eq!(status.data()["enabled_at"], Value::Null);

        let setup = first.post(SETUP, json!({"password": PASSWORD})).await;
        setup.expect(StatusCode::OK);
        assert_eq!(setup.headers["cache-control"], "no-store");
        assert!(setup.data()["qr_code"].as_str().unwrap().starts_with("data:image/png;base64,iVBOR"));
        let codes = texts(&setup.data()["backup_codes"]);
        assert_eq!(codes.len(), 10);
        assert!(codes.iter().all(|code| code.len() == 11 && code.as_bytes()[5] == b'-'), "{codes:?}");
        // Shown is not on: signing in is as before.
        app.login("ada").await;
        assert_eq!(first.get(STATUS).await.data()["enabled"], false);

        let secret = TotpSecret::from_bytes(&base32(setup.data()["manual_entry_key"].as_str().unwrap()));
        let code = code_at(&app, &secret, 0);
        let enabled = first.post(VERIFY_SETUP, json!({"code": code})).await;
        enabled.expect(StatusCode::OK);
        assert_eq!(enabled.data()["enabled"], true);
        assert_eq!(enabled.data()["sessions_revoked"], true);
        assert!(enabled.data()["enabled_at"].is_string() && enabled.data()["refreshToken"].is_string());
        for ended in [&first, &other] {
            ended.get(STATUS).await.refused(401, "INVALID_TOKEN");
        }
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        let session = app.with(enabled.data()["token"].as_str().unwrap());
        let status = session.get(STATUS).await;
        assert_eq!(status.data()["enabled"], true);
        assert_eq!(status.data()["backup_codes_remaining"], 10);
        assert_eq!(status.data()["require_for_tokens"], true);
        session.post(SETUP, json!({"password": PASSWORD})).await.refused(400, "TWOFACTOR_ALREADY_ENABLED");

        // The code that turned it on is used up.
        let temp = challenge(&app, "ada").await;
        verify(&app, &temp, &code).await.refused(401, "INVALID_OTP_CODE");
        next_step(&app).await;
        let signed_in = verify(&app, &temp, &code_at(&app, &secret, 0)).await;
        signed_in.expect(StatusCode::OK);
        assert_eq!(signed_in.body["message"], "Authentication successful");
        assert_eq!(signed_in.data()["user"]["username"], "ada");
        assert_eq!(signed_in.data()["expires_in"], 86_400);
        app.with(signed_in.data()["token"].as_str().unwrap()).check("").await.expect(StatusCode::NO_CONTENT);

        next_step(&app).await;
        let code = code_at(&app, &secret, 0);
        delete(&session, json!({"password": "not the password", "code": code})).await.refused(400, "INCORRECT_PASSWORD");
        let disabled = delete(&session, json!({"password": PASSWORD, "code": code})).await;
        disabled.expect(StatusCode::OK);
        assert_eq!(disabled.data()["sessions_revoked"], true);
        session.get(STATUS).await.refused(401, "INVALID_TOKEN");
        let session = app.with(disabled.data()["token"].as_str().unwrap());
        assert_eq!(session.get(STATUS).await.data()["backup_codes_remaining"], 0);
        delete(&session, json!({"password": PASSWORD, "code": code})).await.refused(400, "TWOFACTOR_NOT_ENABLED");
        app.login("ada").await.check("").await.expect(StatusCode::NO_CONTENT);
    }

    async fn a_temporary_token_opens_nothing_but_its_own_route(app: TestApp) {
        let ada = protect(&app, &app.user("ada").await).await;
        let temp = challenge(&app, "ada").await;
        app.with(&temp).check("").await.refused(401, "INVALID_TOKEN");
        app.with(&temp).get("/api/v1/users/auth/me").await.refused(401, "INVALID_TOKEN");
        app.anon().post("/api/v1/users/auth/refresh", json!({"refreshToken": temp})).await.refused(401, "INVALID_TOKEN");
        // No session is a temporary token.
        let access = ada.session.credential.clone().unwrap();
        let code = code_at(&app, &ada.secret, 0);
        verify(&app, &access, &code).await.refused(400, "INVALID_TEMP_TOKEN");
        verify(&app, "x.y.z", &code).await.refused(400, "INVALID_TEMP_TOKEN");
        app.anon().post(VERIFY, json!({"code": code})).await.refused(400, "MISSING_REQUIRED_FIELD");
        app.anon().post(VERIFY, json!({"temp_token": temp})).await.refused(400, "MISSING_REQUIRED_FIELD");
        app.anon().post(VERIFY, json!({"temp_token": temp, "code": code, "x": 1})).await.refused(422, "VALIDATION_ERROR");
        app.anon().post(VERIFY, json!({"temp_token": temp, "code": "12"})).await.refused(400, "VALIDATION_ERROR");
        // It lives for five minutes; as Bearer it does too.
        app.service.advance(5 * MINUTE - 1_000);
        app.service.poll().await;
        let by_bearer = app.with(&temp).post(VERIFY, json!({"code": code_at(&app, &ada.secret, 0)})).await;
        by_bearer.expect(StatusCode::OK);
        app.service.advance(1_000);
        app.service.poll().await;
        verify(&app, &temp, &code_at(&app, &ada.secret, 1)).await.refused(400, "INVALID_TEMP_TOKEN");
        // One from before logout, or of a banned account, is worth nothing.
        let temp = challenge(&app, "ada").await;
        app.service.ban_elsewhere("ada", true).await;
        app.service.poll().await;
        verify(&app, &temp, &code_at(&app, &ada.secret, 1)).await.refused(400, "INVALID_TEMP_TOKEN");
        app.anon().post(LOGIN, json!({"username": "ada", "password": PASSWORD})).await.refused(401, "INVALID_CREDENTIALS");
        app.service.ban_elsewhere("ada", false).await;
        app.service.poll().await;
        ada.session.post("/api/v1/users/auth/logout", json!({})).await.expect(StatusCode::OK);
        verify(&app, &temp, &code_at(&app, &ada.secret, 1)).await.refused(400, "INVALID_TEMP_TOKEN");
    }

    async fn threat_14_a_code_is_good_once_with_spaces_and_in_parallel(app: TestApp) {
        let ada = protect(&app, &app.user("ada").await).await;
        let code = code_at(&app, &ada.secret, 0);
        let temp = challenge(&app, "ada").await;
        verify(&app, &temp, &code).await.expect(StatusCode::OK);
        for again in [code.clone(), format!(" {} {} ", &code[..3], &code[3..]), code_at(&app, &ada.secret, -1)] {
            verify(&app, &temp, &again).await.refused(401, "INVALID_OTP_CODE");
        }
        // On another route too. Whoever sends a code again guesses nothing.
        let made = ada.session.post(TOKENS, json!({"otp_code": code})).await;
        assert_eq!(made.refused(401, "INVALID_OTP_CODE").data()["attempts_remaining"], 5);
        let wrong = verify(&app, &temp, &wrong_code(&app, &ada.secret)).await;
        assert_eq!(wrong.refused(401, "INVALID_OTP_CODE").data()["attempts_remaining"], 4);
        // At once, and on another node.
        next_step(&app).await;
        let code = code_at(&app, &ada.secret, 0);
        let node = app.another_node().await;
        let body = json!({"temp_token": temp, "code": code});
        let (here, there) = (app.anon(), app.anon().at(&node));
        let sent = (0..12).map(|n| {
            let (client, body) = (if n % 2 == 0 { &here } else { &there }, body.clone());
            async move { client.post(VERIFY, body).await }
        });
        let replies = futures_util::future::join_all(sent).await;
        assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::OK).count(), 1, "{replies:?}");
        for reply in replies.iter().filter(|reply| reply.status != StatusCode::OK) {
            reply.refused(401, "INVALID_OTP_CODE");
        }
    }

    async fn threat_14_five_wrong_codes_lock_every_login_there(app: TestApp) {
        let ada = protect(&app, &app.user("ada").await).await;
        let wrong = wrong_code(&app, &ada.secret);
        let temp = challenge(&app, "ada").await;
        assert_eq!(verify(&app, &temp, &wrong).await.refused(401, "INVALID_OTP_CODE").data()["attempts_remaining"], 4);
        // A wrong backup code counts as well, and a new login begins nothing anew.
        let temp = challenge(&app, "ada").await;
        let reply = verify(&app, &temp, "AAAAA-AAAAA").await;
        assert_eq!(reply.refused(400, "INVALID_BACKUP_CODE").data()["attempts_remaining"], 3);
        for left in [2, 1, 0] {
            let reply = verify(&app, &temp, &wrong).await;
            assert_eq!(reply.refused(401, "INVALID_OTP_CODE").data()["attempts_remaining"], left);
        }

        // Locked: the right code is refused as well, on every node, and says for how long.
        let node = app.another_node().await;
        let code = code_at(&app, &ada.secret, 0);
        let temp = challenge(&app, "ada").await;
        let locked = [
            verify(&app, &temp, &code).await,
            app.anon().at(&node).post(VERIFY, json!({"temp_token": temp, "code": code})).await,
            verify(&app, &temp, "AAAAA-AAAAA").await,
        ];
        for reply in locked {
            reply.refused(429, "TWOFACTOR_RATE_LIMIT");
            assert_eq!(reply.data()["lockout_seconds"], 900);
            assert_eq!(reply.headers["retry-after"], "900");
        }
        // Who is signed in is not concerned, and a backup code, which nobody guesses, opens.
        ada.session.post(TOKENS, json!({"otp_code": code})).await.expect(StatusCode::CREATED);
        verify(&app, &temp, &ada.backup_codes[0]).await.expect(StatusCode::OK);
        app.service.advance(15 * MINUTE - 1);
        app.service.poll().await;
        let temp = challenge(&app, "ada").await;
        let reply = verify(&app, &temp, &code_at(&app, &ada.secret, 0)).await;
        assert_eq!(reply.refused(429, "TWOFACTOR_RATE_LIMIT").data()["lockout_seconds"], 1);
        app.service.advance(1);
        app.service.poll().await;
        assert_eq!(verify(&app, &temp, &wrong_code(&app, &ada.secret)).await.data()["attempts_remaining"], 4);
        verify(&app, &temp, &code_at(&app, &ada.secret, 0)).await.expect(StatusCode::OK);
        // The right one cleared the count.
        assert_eq!(verify(&app, &temp, &wrong_code(&app, &ada.secret)).await.data()["attempts_remaining"], 4);
    }

    async fn threat_14_five_wrong_codes_lock_every_route_of_a_session(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        let ada = protect(&app, &user).await;
        let wrong = wrong_code(&app, &ada.secret);
        let reply = delete(&ada.session, json!({"password": PASSWORD, "code": wrong})).await;
        assert_eq!(reply.refused(401, "INVALID_OTP_CODE").data()["attempts_remaining"], 4);
        for left in [3, 2, 1] {
            let reply = ada.session.post(TOKENS, json!({"otp_code": wrong})).await;
            assert_eq!(reply.refused(401, "INVALID_OTP_CODE").data()["attempts_remaining"], left);
        }
        let reply = ada.session.post(REGENERATE, json!({"password": PASSWORD, "code": wrong})).await;
        assert_eq!(reply.refused(401, "INVALID_OTP_CODE").data()["attempts_remaining"], 0);
        let code = code_at(&app, &ada.secret, 0);
        for reply in [
            delete(&ada.session, json!({"password": PASSWORD, "code": code})).await,
            ada.session.post(TOKENS, json!({"otp_code": code})).await,
            ada.session.post(REGENERATE, json!({"password": PASSWORD, "code": code})).await,
            ada.session.put(GATE, json!({"enabled": false, "password": PASSWORD, "otp_code": code})).await,
        ] {
            assert_eq!(reply.refused(429, "TWOFACTOR_RATE_LIMIT").data()["lockout_seconds"], 900);
        }
        // To stop a token takes no code: neither to disable it nor to delete it.
        let one = format!("{TOKENS}/{}", token.id);
        ada.session.patch(&one, json!({"is_enabled": false})).await.expect(StatusCode::OK);
        token.client.get("/api/v1/auth/tokens/me").await.refused(401, "INVALID_TOKEN");
        ada.session.patch(&one, json!({"is_enabled": true})).await.refused(400, "OTP_REQUIRED");
        ada.session.patch(&one, json!({"is_enabled": false, "alias": "x"})).await.refused(400, "OTP_REQUIRED");
        ada.session.delete(&one).await.expect(StatusCode::OK);
        // Another session of the owner has tries of its own.
        let temp = challenge(&app, "ada").await;
        verify(&app, &temp, &code).await.expect(StatusCode::OK);
    }

    async fn threat_14_a_stranger_who_has_the_password_locks_nobody_out(app: TestApp) {
        let ada = protect(&app, &app.user("ada").await).await;
        let wrong = wrong_code(&app, &ada.secret);
        let stranger = app.anon().from("198.51.100.66");
        let elsewhere = app.anon().from("198.51.100.67");
        let try_from = async |client: &Client, code: &str| {
            let login = client.post(LOGIN, json!({"username": "ada", "password": PASSWORD})).await;
            let temp = login.expect(StatusCode::OK).data()["temp_token"].as_str().unwrap().to_owned();
            client.post(VERIFY, json!({"temp_token": temp, "code": code})).await
        };
        for (client, left) in [(&stranger, 4), (&elsewhere, 3), (&stranger, 2), (&elsewhere, 1), (&stranger, 0)] {
            let reply = try_from(client, &wrong).await;
            assert_eq!(reply.refused(401, "INVALID_OTP_CODE").data()["attempts_remaining"], left);
        }
        // Strangers are locked out together, wherever they are, with the right code too.
        let code = code_at(&app, &ada.secret, 0);
        try_from(&elsewhere, &code).await.refused(429, "TWOFACTOR_RATE_LIMIT");
        try_from(&app.anon().from("2001:db8::1"), &code).await.refused(429, "TWOFACTOR_RATE_LIMIT");
        // The owner is not: signed in, at home, and abroad with a backup code.
        ada.session.post(TOKENS, json!({"otp_code": code})).await.expect(StatusCode::CREATED);
        next_step(&app).await;
        let code = code_at(&app, &ada.secret, 0);
        try_from(&app.anon(), &code).await.expect(StatusCode::OK);
        try_from(&stranger, "AAAAA-AAAAA").await.refused(429, "TWOFACTOR_RATE_LIMIT");
        try_from(&app.anon().from("2001:db8::1"), &ada.backup_codes[0]).await.expect(StatusCode::OK);
        // What the owner did gives strangers no new tries.
        next_step(&app).await;
        try_from(&stranger, &code_at(&app, &ada.secret, 0)).await.refused(429, "TWOFACTOR_RATE_LIMIT");
        // Backup codes have an end, too.
        let spent = "UPDATE rate_limits SET hits = 100 WHERE limit_name = 'backup_codes' AND hits = 1";
        assert_eq!(app.service.tamper(spent).await, 2);
        try_from(&stranger, &ada.backup_codes[1]).await.refused(429, "TWOFACTOR_RATE_LIMIT");
    }

    async fn threat_14_many_guesses_at_once_are_five_guesses(app: TestApp) {
        let ada = protect(&app, &app.user("ada").await).await;
        let temp = challenge(&app, "ada").await;
        let wrong = wrong_code(&app, &ada.secret);
        let node = app.another_node().await;
        let guesses = (0..24).map(|n| {
            let client = if n % 2 == 0 { app.anon() } else { app.anon().at(&node) };
            let body = json!({"temp_token": temp, "code": wrong});
            tokio::spawn(async move { client.post(VERIFY, body).await.status })
        });
        let mut counts = (0, 0);
        for guess in guesses.collect::<Vec<_>>() {
            match guess.await.unwrap() {
                StatusCode::UNAUTHORIZED => counts.0 += 1,
                StatusCode::TOO_MANY_REQUESTS => counts.1 += 1,
                other => panic!("{other}"),
            }
        }
        assert_eq!(counts, (5, 19));
    }

    async fn threat_14_a_backup_code_is_good_once_also_in_a_race(app: TestApp) {
        let ada = protect(&app, &app.user("ada").await).await;
        let temp = challenge(&app, "ada").await;
        // However it is typed.
        let typed = ada.backup_codes[0].to_lowercase().replace('-', " ");
        verify(&app, &temp, &typed).await.expect(StatusCode::OK);
        verify(&app, &temp, &ada.backup_codes[0]).await.refused(400, "INVALID_BACKUP_CODE");
        assert_eq!(ada.session.get(STATUS).await.data()["backup_codes_remaining"], 9);
        let node = app.another_node().await;
        let (here, there) = (app.anon(), app.anon().at(&node));
        let body = json!({"temp_token": temp, "code": ada.backup_codes[1]});
        let gated = json!({"otp_code": ada.backup_codes[1]});
        let (one, two, three) = tokio::join!(
            here.post(VERIFY, body.clone()),
            there.post(VERIFY, body.clone()),
            ada.session.post(TOKENS, gated),
        );
        let won = [&one, &two, &three].iter().filter(|reply| reply.status.is_success()).count();
        assert_eq!(won, 1, "{one:?} {two:?} {three:?}");
        assert_eq!(ada.session.get(STATUS).await.data()["backup_codes_remaining"], 8);
    }

    async fn new_backup_codes_replace_the_old(app: TestApp) {
        let ada = protect(&app, &app.user("ada").await).await;
        let session = &ada.session;
        let body = json!({"password": PASSWORD, "code": ada.backup_codes[0]});
        session.post(REGENERATE, body).await.refused(400, "VALIDATION_ERROR");
        let body = json!({"password": "not the password", "code": code_at(&app, &ada.secret, 0)});
        session.post(REGENERATE, body).await.refused(400, "INCORRECT_PASSWORD");
        let body = json!({"password": PASSWORD, "code": code_at(&app, &ada.secret, 0)});
        let made = session.post(REGENERATE, body).await;
        made.expect(StatusCode::OK);
        let codes = texts(&made.data()["backup_codes"]);
        assert!(codes.len() == 10 && !codes.contains(&ada.backup_codes[0]));
        let temp = challenge(&app, "ada").await;
        verify(&app, &temp, &ada.backup_codes[0]).await.refused(400, "INVALID_BACKUP_CODE");
        verify(&app, &temp, &codes[0]).await.expect(StatusCode::OK);
    }

    async fn sessions_need_a_code_to_make_and_change_tokens(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({"permissions": {"projects": {"create": true}}})).await;
        let ada = protect(&app, &user).await;
        let session = &ada.session;
        let (one, copy) = (format!("{TOKENS}/{}", token.id), format!("{TOKENS}/{}/copy", token.id));
        let (add, remove) = (format!("{one}/add-realm"), format!("{one}/remove-realm"));
        let asked = [
            (Method::POST, TOKENS, json!({})),
            (Method::PUT, &one, json!({"alias": "x"})),
            (Method::PATCH, &one, json!({"alias": "x", "otp_code": " "})),
            (Method::POST, &copy, json!({})),
            (Method::POST, &add, json!({"realm_id": REALM_A})),
            (Method::POST, &remove, json!({"realm_id": REALM_A})),
        ];
        for (method, path, body) in &asked {
            let reply = session.send(method.clone(), path, body.to_string().into_bytes()).await;
            reply.refused(400, "OTP_REQUIRED");
        }
        for (method, path, body) in asked {
            next_step(&app).await;
            let mut body = body;
            body["otp_code"] = json!(wrong_code(&app, &ada.secret));
            let reply = session.send(method.clone(), path, body.to_string().into_bytes()).await;
            reply.refused(401, "INVALID_OTP_CODE");
            body["otp_code"] = json!(code_at(&app, &ada.secret, 0));
            let reply = session.send(method, path, body.to_string().into_bytes()).await;
            assert!(reply.status.is_success(), "{}", reply.text);
        }
        // A change of nothing uses its code up too.
        next_step(&app).await;
        let body = json!({"realm_id": REALM_A, "otp_code": code_at(&app, &ada.secret, 0)});
        session.post(&remove, body.clone()).await.expect(StatusCode::OK);
        session.post(&remove, body).await.refused(401, "INVALID_OTP_CODE");
        // A token is not asked, nor is stopping one.
        token.client.put(&one, json!({"alias": "by itself"})).await.expect(StatusCode::OK);
        session.delete(&one).await.expect(StatusCode::OK);
    }

    async fn turning_the_gate_off_takes_password_and_code(app: TestApp) {
        let user = app.user("ada").await;
        user.put(GATE, json!({"enabled": true})).await.refused(400, "TWOFACTOR_NOT_ENABLED");
        let ada = protect(&app, &user).await;
        let session = &ada.session;
        session.put(GATE, json!({})).await.refused(400, "MISSING_REQUIRED_FIELD");
        session.put(GATE, json!({"enabled": true, "other": 1})).await.refused(422, "VALIDATION_ERROR");
        session.put(GATE, json!({"enabled": false})).await.refused(400, "MISSING_REQUIRED_FIELD");
        session.put(GATE, json!({"enabled": false, "password": PASSWORD})).await.refused(400, "OTP_REQUIRED");
        let code = code_at(&app, &ada.secret, 0);
        let body = json!({"enabled": false, "password": "not the password", "otp_code": code});
        session.put(GATE, body).await.refused(401, "INCORRECT_PASSWORD");
        let body = json!({"enabled": false, "password": PASSWORD, "otp_code": wrong_code(&app, &ada.secret)});
        session.put(GATE, body).await.refused(401, "INVALID_OTP_CODE");
        let body = json!({"enabled": false, "password": PASSWORD, "otp_code": code});
        let off = session.patch(GATE, body).await;
        off.expect(StatusCode::OK);
        assert_eq!(off.data(), &json!({"require_for_tokens": false}));
        session.mint(json!({})).await;
        session.put(GATE, json!({"enabled": true})).await.expect(StatusCode::OK);
        session.post(TOKENS, json!({})).await.refused(400, "OTP_REQUIRED");
    }

    async fn of_two_that_turn_it_on_at_once_one_wins(app: TestApp) {
        let first = app.user("ada").await;
        let second = app.login("ada").await;
        second.check("").await.expect(StatusCode::NO_CONTENT);
        let (secret, _) = set_up(&first).await;
        let body = json!({"code": code_at(&app, &secret, 0)});
        let (one, two, three) = tokio::join!(
            first.post(VERIFY_SETUP, body.clone()),
            second.post(VERIFY_SETUP, body.clone()),
            first.post(VERIFY_SETUP, body.clone()),
        );
        let replies = [one, two, three];
        assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::OK).count(), 1, "{replies:?}");
        for reply in replies.iter().filter(|reply| reply.status != StatusCode::OK) {
            // One that came after the winner had answered finds its session over.
            let code = reply.body["code"].as_str().unwrap();
            assert!(["TWOFACTOR_ALREADY_ENABLED", "INVALID_TOKEN"].contains(&code), "{}", reply.text);
        }
    }

    async fn a_session_that_is_overtaken_is_told_that_it_is_on(app: TestApp) {
        let first = app.user("ada").await;
        let second = app.login("ada").await;
        let (secret, _) = set_up(&first).await;
        let body = json!({"code": code_at(&app, &secret, 0)});
        let node = app.another_node().await;
        // This node has both in its cache and does not hear of what happens at the other.
        second.check("").await.expect(StatusCode::NO_CONTENT);
        first.at(&node).post(VERIFY_SETUP, body.clone()).await.expect(StatusCode::OK);
        second.post(VERIFY_SETUP, body).await.refused(400, "TWOFACTOR_ALREADY_ENABLED");
    }

    async fn a_setup_needs_its_password_its_code_and_an_hour(app: TestApp) {
        let ada = app.user("ada").await;
        ada.post(VERIFY_SETUP, json!({"code": "123456"})).await.refused(400, "TWOFACTOR_NOT_VERIFIED");
        ada.post(SETUP, json!({})).await.refused(400, "MISSING_REQUIRED_FIELD");
        ada.post(SETUP, json!({"password": "short"})).await.refused(400, "VALIDATION_ERROR");
        ada.post(SETUP, json!({"password": "not the password"})).await.refused(400, "INCORRECT_PASSWORD");
        let (secret, codes) = set_up(&ada).await;
        ada.post(VERIFY_SETUP, json!({"code": "12345"})).await.refused(400, "VALIDATION_ERROR");
        ada.post(VERIFY_SETUP, json!({"code": codes[0]})).await.refused(400, "VALIDATION_ERROR");
        let reply = ada.post(VERIFY_SETUP, json!({"code": wrong_code(&app, &secret)})).await;
        assert_eq!(reply.refused(401, "INVALID_OTP_CODE").data()["attempts_remaining"], 4);
        // Another setup begins with another secret, and with what is left of the tries.
        let (newer, _) = set_up(&ada).await;
        let reply = ada.post(VERIFY_SETUP, json!({"code": code_at(&app, &secret, 0)})).await;
        assert_eq!(reply.refused(401, "INVALID_OTP_CODE").data()["attempts_remaining"], 3);
        app.service.advance(60 * MINUTE);
        app.service.poll().await;
        let body = json!({"code": code_at(&app, &newer, 0)});
        ada.post(VERIFY_SETUP, body).await.refused(400, "TWOFACTOR_NOT_VERIFIED");
        // What is the account's own takes a session.
        let token = ada.mint(json!({})).await.client;
        token.get(STATUS).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        token.post(SETUP, json!({"password": PASSWORD})).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        app.anon().get(STATUS).await.refused(401, "MISSING_TOKEN");
    }

    /// Threat 28: what the database holds opens nothing.
    async fn threat_28_neither_secret_nor_backup_codes_are_in_the_database(app: TestApp) {
        let ada = app.user("ada").await;
        let (secret, codes) = set_up(&ada).await;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let stored = async || {
            let hexed = if app.url.starts_with("sqlite") {
                app.service
                    .texts(
                        "SELECT lower(hex(secret)) AS t FROM two_factor WHERE secret IS NOT NULL \
                         UNION ALL SELECT lower(hex(pending_secret)) FROM two_factor WHERE pending_secret IS NOT NULL \
                         UNION ALL SELECT lower(hex(digest)) FROM backup_codes",
                    )
                    .await
            } else {
                app.service
                    .texts(
                        "SELECT encode(secret, 'hex') AS t FROM two_factor WHERE secret IS NOT NULL \
                         UNION ALL SELECT encode(pending_secret, 'hex') FROM two_factor WHERE pending_secret IS NOT NULL \
                         UNION ALL SELECT encode(digest, 'hex') FROM backup_codes",
                    )
                    .await
            };
            let mut all = hexed;
            all.extend(app.service.texts("SELECT payload AS t FROM feed").await);
            all
        };
        let check = |rows: &[String]| {
            assert!(rows.iter().filter(|row| row.len() == 64).count() >= 10, "{rows:?}");
            for row in rows {
                assert!(!row.contains(&hex(secret.expose())) && !row.contains(secret.to_base32().as_str()));
                for code in &codes {
                    let plain = code.replace('-', "");
                    assert!(!row.contains(&plain) && !row.contains(&hex(plain.as_bytes())), "{row}");
                }
            }
        };
        check(&stored().await);
        let body = json!({"code": code_at(&app, &secret, 0)});
        ada.post(VERIFY_SETUP, body).await.expect(StatusCode::OK);
        check(&stored().await);
        // Moved to another account, a sealed secret does not open.
        let bob = app.user("bob").await;
        let bob = protect(&app, &bob).await;
        app.service
            .tamper("UPDATE two_factor SET secret = (SELECT secret FROM two_factor ORDER BY secret LIMIT 1), last_step = NULL")
            .await;
        let temps = [challenge(&app, "ada").await, challenge(&app, "bob").await];
        let replies = [
            verify(&app, &temps[0], &code_at(&app, &secret, 0)).await,
            verify(&app, &temps[1], &code_at(&app, &secret, 0)).await,
            verify(&app, &temps[0], &code_at(&app, &bob.secret, 0)).await,
            verify(&app, &temps[1], &code_at(&app, &bob.secret, 0)).await,
        ];
        let opened = replies.iter().filter(|reply| reply.status == StatusCode::OK).count();
        let faults = replies.iter().filter(|reply| reply.status == StatusCode::INTERNAL_SERVER_ERROR).count();
        assert_eq!((opened, faults), (1, 2), "{replies:?}");
    }

    /// Threat 12: whether there is a second factor is told only after the right password.
    async fn threat_12_a_wrong_password_says_nothing_of_a_second_factor(app: TestApp) {
        protect(&app, &app.user("ada").await).await;
        app.user("bob").await;
        let mut texts = Vec::new();
        for username in ["ada", "bob", "nobody"] {
            let body = json!({"username": username, "password": "not the password"});
            let reply = app.anon().post(LOGIN, body).await;
            reply.refused(401, "INVALID_CREDENTIALS");
            texts.push(reply.text);
        }
        assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    }
}
