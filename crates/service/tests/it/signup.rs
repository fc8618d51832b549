//! Signing up, proving an address, and setting a forgotten password: what it does and whom it tells.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Reply, TestApp, on_both};

const SIGN_UP: &str = "/api/v1/auth/signup";
const VERIFY: &str = "/api/v1/auth/verify-email";
const RESEND: &str = "/api/v1/auth/resend-verification";
const FORGOT: &str = "/api/v1/auth/forgot-password";
const RESET: &str = "/api/v1/auth/reset-password";
const LOGIN: &str = "/api/v1/users/auth/login";
const ADA: &str = "ada@example.com";
const OTHER: &str = "another horse entirely";
const HOUR: i64 = 3_600_000;
const ACCOUNTS: &str = "SELECT COUNT(*) AS n FROM users";

fn details(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

/// Somebody new: limits by address are another test's.
fn visitor(app: &TestApp) -> Client {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    app.anon().from(&format!("10.1.{}.{}", n / 250, n % 250))
}

async fn sign_up(app: &TestApp, email: &str, password: &str) -> Reply {
    visitor(app).post(SIGN_UP, details(email, password)).await
}

async fn login(app: &TestApp, email: &str, password: &str) -> Reply {
    app.anon().post(LOGIN, details(email, password)).await
}

async fn verify(app: &TestApp, token: &str, password: &str) -> Reply {
    visitor(app).post(VERIFY, json!({ "token": token, "password": password })).await
}

/// The link alone, as somebody has it who does not know that there was a sign-up.
async fn click(app: &TestApp, token: &str) -> Reply {
    visitor(app).post(VERIFY, json!({ "token": token })).await
}

/// What a link alone, or with another password, comes to: the address is proved, and there is no password.
async fn is_proved_and_void(app: &TestApp, reply: &Reply, passwords: &[&str]) {
    reply.refused(401, "PASSWORD_REQUIRED");
    assert_eq!(reply.data()["email"], ADA);
    assert!(reply.data()["token"].is_null(), "{}", reply.text);
    for password in passwords {
        login(app, ADA, password).await.refused(401, "INVALID_CREDENTIALS");
    }
    let link = reset_token(app, ADA).await;
    reset(app, &link, "a third horse of hers").await.expect(StatusCode::OK);
    let reply = login(app, ADA, "a third horse of hers").await;
    reply.expect(StatusCode::OK);
    assert_eq!(reply.data()["user"]["email_verified"], true);
    app.mails().await;
}

async fn reset(app: &TestApp, token: &str, password: &str) -> Reply {
    visitor(app).post(RESET, json!({ "token": token, "password": password })).await
}

/// The token of the reset mail that is sent now.
async fn reset_token(app: &TestApp, email: &str) -> String {
    visitor(app).post(FORGOT, json!({ "email": email })).await.expect(StatusCode::OK);
    app.mail_to(email).await.token()
}

on_both! {
    async fn a_mail_opens_the_account_that_somebody_made(app: TestApp) {
        let reply = sign_up(&app, ADA, PASSWORD).await;
        reply.expect(StatusCode::OK);
        assert_eq!(*reply.data(), json!({ "email": ADA }));

        // Only who has the password learns that there is an account that waits.
        let refused = login(&app, ADA, PASSWORD).await;
        refused.refused(401, "EMAIL_NOT_VERIFIED");
        assert_eq!((&refused.body["error"], refused.data()), (&json!("EMAIL_NOT_VERIFIED"), &json!({ "email": ADA })));
        login(&app, ADA, OTHER).await.refused(401, "INVALID_CREDENTIALS");

        let mail = app.mail_to(ADA).await;
        assert_eq!(mail.subject, "Confirm your e-mail address");
        assert_eq!(mail.link(), format!("https://auth.example.com/verify-email?token={}", mail.token()));
        assert_eq!(mail.token().len(), 64);

        let opened = verify(&app, &mail.token(), PASSWORD).await;
        opened.expect(StatusCode::OK);
        assert_eq!(opened.headers["cache-control"], "no-store");
        let user = &opened.data()["user"];
        let name = user["username"].as_str().unwrap();
        assert!(name.len() == 8 && name.starts_with("ada-"), "{name}");
        assert_eq!((&user["email_verified"], &user["signup_method"]), (&json!(true), &json!("email")));
        let session = app.with(opened.data()["token"].as_str().unwrap());
        session.get("/api/v1/users/auth/me").await.expect(StatusCode::OK);
        login(&app, ADA, PASSWORD).await.expect(StatusCode::OK);
        // The token was good once.
        verify(&app, &mail.token(), PASSWORD).await.refused(400, "INVALID_MAIL_TOKEN");
        assert_eq!(app.mails().await, []);
    }

    async fn a_verified_address_gets_an_intent_where_one_is_asked_for(app: TestApp) {
        sign_up(&app, ADA, PASSWORD).await.expect(StatusCode::OK);
        let token = app.mail_to(ADA).await.token();
        let body = |challenge: Option<&str>| {
            json!({
                "token": token, "password": PASSWORD, "response_mode": "intent", "code_challenge": challenge
            })
        };
        // What is wrong with the request does not use the token up.
        visitor(&app).post(VERIFY, body(None)).await.refused(400, "MISSING_REQUIRED_FIELD");
        visitor(&app).post(VERIFY, body(Some("short"))).await.refused(400, "VALIDATION_ERROR");
        // RFC 7636, appendix B.
        let reply = visitor(&app).post(VERIFY, body(Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"))).await;
        reply.expect(StatusCode::OK);
        assert!(reply.data()["auth_intent_token"].is_string(), "{}", reply.text);
        assert!(reply.data()["token"].is_null() && reply.data()["refreshToken"].is_null(), "{}", reply.text);
    }

    async fn a_fresh_server_lets_nobody_sign_up(app: TestApp) {
        let closed = app.another_node_for("closed").await;
        let stranger = Client::of(&closed, None);
        stranger.post(SIGN_UP, details(ADA, PASSWORD)).await.refused(403, "SIGNUP_DISABLED");
        let config = stranger.get("/api/v1/auth/config").await;
        assert_eq!((&config.data()["signupEnabled"], &config.data()["inviteRequired"]), (&json!(false), &json!(false)));
        let regions = stranger.get("/api/v1/auth/available-regions").await;
        assert_eq!(*regions.data(), json!({ "regions": [] }));
        assert_eq!(app.service.number(ACCOUNTS).await, 0);
    }

    async fn an_invitation_lets_in_as_many_as_it_says(app: TestApp) {
        let gate = app.another_node_for("invitation").await;
        let join = async |email: &str, code: Option<&str>| {
            let mut body = details(email, PASSWORD);
            if let Some(code) = code {
                body["invite_code"] = json!(code);
            }
            visitor(&app).at(&gate).post(SIGN_UP, body).await
        };
        let config = Client::of(&gate, None).get("/api/v1/auth/config").await;
        assert_eq!((&config.data()["signupEnabled"], &config.data()["inviteRequired"]), (&json!(true), &json!(true)));

        join(ADA, None).await.refused(403, "INVITATION_REQUIRED");
        join(ADA, Some(&"0".repeat(64))).await.refused(403, "INVITATION_REQUIRED");
        let (_, code) = app.service.invite(None, 2).await;
        join(ADA, Some(&code)).await.expect(StatusCode::OK);
        // Whoever has an account uses it up as well: else it would tell who has one.
        join(ADA, Some(&code)).await.expect(StatusCode::OK);
        join("bob@example.com", Some(&code)).await.refused(403, "INVITATION_REQUIRED");

        let (_, bound) = app.service.invite(Some("Carol@Example.com"), 1).await;
        join("mallory@example.com", Some(&bound)).await.refused(403, "INVITATION_REQUIRED");
        join("carol@example.com", Some(&bound)).await.expect(StatusCode::OK);

        let (id, revoked) = app.service.invite(None, 9).await;
        app.service.revoke_invitation(&id).await;
        join("dan@example.com", Some(&revoked)).await.refused(403, "INVITATION_REQUIRED");
        let (_, late) = app.service.invite(None, 9).await;
        gate.advance(7 * 24 * HOUR);
        join("dan@example.com", Some(&late)).await.refused(403, "INVITATION_REQUIRED");
        assert_eq!(app.service.number(ACCOUNTS).await, 2);
    }

    async fn one_use_of_an_invitation_is_one_whoever_is_first(app: TestApp) {
        let gate = app.another_node_for("invitation").await;
        let (_, code) = app.service.invite(None, 1).await;
        let tries = (0..6).map(|n| {
            let body = json!({ "email": format!("u{n}@example.com"), "password": PASSWORD, "invite_code": code });
            let client = visitor(&app).at(&gate);
            tokio::spawn(async move { client.post(SIGN_UP, body).await.status })
        });
        let mut let_in = 0;
        for one in tries.collect::<Vec<_>>() {
            let_in += i64::from(one.await.unwrap() == StatusCode::OK);
        }
        assert_eq!((let_in, app.service.number(ACCOUNTS).await), (1, 1));
    }

    async fn threat_12_nobody_learns_at_sign_up_who_has_an_account(app: TestApp) {
        app.user("ada").await;
        let before = app.service.password_hashes();
        let unknown = sign_up(&app, "new@example.com", OTHER).await;
        let known = sign_up(&app, ADA, OTHER).await;
        assert_eq!(app.service.password_hashes() - before, 2, "one hash each");
        assert_eq!(known.status, unknown.status);
        assert_eq!(known.text, unknown.text.replace("new@example.com", ADA));
        let names = |reply: &Reply| reply.headers.keys().map(ToString::to_string).collect::<BTreeSet<_>>();
        assert_eq!(names(&known), names(&unknown));
        // The owner is told, and nothing else happened: the old password is in force.
        let mut mails = app.mails().await;
        mails.sort_by(|one, other| one.to.cmp(&other.to));
        let told: Vec<_> = mails.iter().map(|mail| (mail.to.as_str(), mail.subject.as_str())).collect();
        assert_eq!(
            told,
            [(ADA, "You have an account already"), ("new@example.com", "Confirm your e-mail address")]
        );
        assert!(!mails[0].text.contains("token="));
        login(&app, ADA, OTHER).await.refused(401, "INVALID_CREDENTIALS");
        login(&app, ADA, PASSWORD).await.expect(StatusCode::OK);
        // Case and width make no other account.
        sign_up(&app, "ADA@example.com", OTHER).await.expect(StatusCode::OK);
        assert_eq!(app.service.number(ACCOUNTS).await, 2);
    }

    async fn threat_12_asking_for_a_mail_does_the_same_work_for_every_address(app: TestApp) {
        app.user("ada").await;
        sign_up(&app, "new@example.com", OTHER).await.expect(StatusCode::OK);
        app.mails().await;
        for path in [FORGOT, RESEND] {
            let mut answers = Vec::new();
            for email in [ADA, "new@example.com", "nobody@example.com"] {
                let before = (app.service.password_hashes(), app.service.number(JOBS).await);
                let reply = visitor(&app).post(path, json!({ "email": email })).await;
                reply.expect(StatusCode::OK);
                assert!(reply.data().is_null());
                answers.push(reply.text);
                let after = (app.service.password_hashes(), app.service.number(JOBS).await);
                assert_eq!(after, (before.0, before.1 + 1), "{path} {email}: one job, and nothing else");
            }
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
            let to: BTreeSet<_> = app.mails().await.into_iter().map(|mail| mail.to).collect();
            let expected: &[&str] = if path == FORGOT { &[ADA, "new@example.com"] } else { &["new@example.com"] };
            assert_eq!(to, expected.iter().map(ToString::to_string).collect());
        }
    }

    async fn a_second_sign_up_before_the_mail_is_opened_takes_the_place_of_the_first(app: TestApp) {
        sign_up(&app, ADA, OTHER).await.expect(StatusCode::OK);
        let first = app.mail_to(ADA).await.token();
        sign_up(&app, ADA, PASSWORD).await.expect(StatusCode::OK);
        let second = app.mail_to(ADA).await.token();
        verify(&app, &first, PASSWORD).await.refused(400, "INVALID_MAIL_TOKEN");
        verify(&app, &second, PASSWORD).await.expect(StatusCode::OK);
        login(&app, ADA, OTHER).await.refused(401, "INVALID_CREDENTIALS");
        login(&app, ADA, PASSWORD).await.expect(StatusCode::OK);
        assert_eq!(app.service.number(ACCOUNTS).await, 1);
    }

    async fn of_many_sign_ups_of_one_address_at_once_comes_one_account(app: TestApp) {
        let nodes = [app.service.clone(), app.another_node().await];
        let tries = (0..5).map(|n| {
            let client = visitor(&app).at(&nodes[n % 2]);
            let body = details(["ada@example.com", "Ada@Example.com"][n % 2], &format!("password number {n}"));
            tokio::spawn(async move { client.post(SIGN_UP, body).await.status })
        });
        for one in tries.collect::<Vec<_>>() {
            assert_eq!(one.await.unwrap(), StatusCode::OK);
        }
        assert_eq!(app.service.number(ACCOUNTS).await, 1);
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM mail_tokens").await, 1);
        // Five mails, of which one proves the address; nobody says with which password.
        let mails = app.mails().await;
        assert_eq!(mails.len(), 5);
        let mut opened = 0;
        for mail in mails {
            opened += u32::from(click(&app, &mail.token()).await.body["code"] == "PASSWORD_REQUIRED");
        }
        assert_eq!(opened, 1);
        let mut right = 0;
        for n in 0..5 {
            right += u32::from(login(&app, ADA, &format!("password number {n}")).await.status == StatusCode::OK);
        }
        assert_eq!(right, 0);
    }

    async fn whoever_repeats_a_sign_up_before_the_mail_is_opened_gets_nothing_of_it(app: TestApp) {
        sign_up(&app, ADA, PASSWORD).await.expect(StatusCode::OK);
        app.mail_to(ADA).await;
        // Somebody else, with his own password; her first link is void.
        sign_up(&app, ADA, OTHER).await.expect(StatusCode::OK);
        let second = app.mail_to(ADA).await.token();
        let clicked = click(&app, &second).await;
        is_proved_and_void(&app, &clicked, &[PASSWORD, OTHER]).await;
        click(&app, &second).await.refused(400, "INVALID_MAIL_TOKEN");
        // From now on he only has a mail sent to her.
        sign_up(&app, ADA, OTHER).await.expect(StatusCode::OK);
        login(&app, ADA, OTHER).await.refused(401, "INVALID_CREDENTIALS");
    }

    async fn the_password_of_another_sign_up_opens_nothing(app: TestApp) {
        sign_up(&app, ADA, PASSWORD).await.expect(StatusCode::OK);
        app.mail_to(ADA).await;
        sign_up(&app, ADA, OTHER).await.expect(StatusCode::OK);
        let second = app.mail_to(ADA).await.token();
        let clicked = verify(&app, &second, PASSWORD).await;
        is_proved_and_void(&app, &clicked, &[PASSWORD, OTHER]).await;
    }

    async fn whoever_signs_up_first_with_an_address_of_somebody_else_gets_nothing_of_it(app: TestApp) {
        sign_up(&app, ADA, OTHER).await.expect(StatusCode::OK);
        let link = app.mail_to(ADA).await.token();
        login(&app, ADA, OTHER).await.refused(401, "EMAIL_NOT_VERIFIED");
        let clicked = click(&app, &link).await;
        is_proved_and_void(&app, &clicked, &[OTHER]).await;
    }

    async fn a_verification_that_is_sent_again_belongs_to_the_last_sign_up(app: TestApp) {
        sign_up(&app, ADA, PASSWORD).await.expect(StatusCode::OK);
        sign_up(&app, ADA, OTHER).await.expect(StatusCode::OK);
        app.mails().await;
        visitor(&app).post(RESEND, json!({ "email": ADA })).await.expect(StatusCode::OK);
        let link = app.mail_to(ADA).await.token();
        let clicked = verify(&app, &link, PASSWORD).await;
        is_proved_and_void(&app, &clicked, &[PASSWORD, OTHER]).await;
    }

    async fn a_reset_voids_what_was_set_before_it_and_a_sign_up_after_it_sets_nothing(app: TestApp) {
        sign_up(&app, ADA, OTHER).await.expect(StatusCode::OK);
        app.mails().await;
        let link = reset_token(&app, ADA).await;
        // Between the two mails, once more.
        sign_up(&app, ADA, OTHER).await.expect(StatusCode::OK);
        let verification = app.mail_to(ADA).await.token();
        reset(&app, &link, PASSWORD).await.expect(StatusCode::OK);
        verify(&app, &verification, OTHER).await.refused(400, "INVALID_MAIL_TOKEN");
        sign_up(&app, ADA, OTHER).await.expect(StatusCode::OK);
        login(&app, ADA, OTHER).await.refused(401, "INVALID_CREDENTIALS");
        login(&app, ADA, PASSWORD).await.expect(StatusCode::OK);
    }

    async fn what_was_made_before_an_address_was_proved_does_not_outlive_the_proof(app: TestApp) {
        for proof in [VERIFY, RESET] {
            let name = if proof == VERIFY { "eve" } else { "eva" };
            let email = format!("{name}@example.com");
            let before = app.user(name).await;
            let token = before.mint(json!({})).await;
            token.client.check("").await.expect(StatusCode::NO_CONTENT);
            app.service.tamper("UPDATE users SET email_verified = FALSE").await;
            let ask = if proof == VERIFY { RESEND } else { FORGOT };
            visitor(&app).post(ask, json!({ "email": email })).await.expect(StatusCode::OK);
            let link = app.mail_to(&email).await.token();
            let reply = if proof == VERIFY { click(&app, &link).await } else { reset(&app, &link, OTHER).await };
            assert_eq!(reply.status.as_u16(), if proof == VERIFY { 401 } else { 200 });
            before.check("").await.refused(401, "INVALID_TOKEN");
            token.client.check("").await.refused(401, "INVALID_TOKEN");
            app.mails().await;
        }
    }

    async fn a_reset_says_what_it_leaves_and_ends_tokens_if_asked(app: TestApp) {
        let ada = app.user("ada").await;
        let tokens = [ada.mint(json!({})).await, ada.mint(json!({})).await];
        let link = reset_token(&app, ADA).await;
        let reply = reset(&app, &link, OTHER).await;
        assert_eq!(*reply.data(), json!({ "active_tokens": 2, "disabled_tokens": 0 }));
        tokens[0].client.check("").await.expect(StatusCode::NO_CONTENT);
        let told = app.mail_to(ADA).await;
        assert!(told.text.contains("still work: 2."), "{}", told.text);

        let other = app.another_node().await;
        tokens[0].client.at(&other).check("").await.expect(StatusCode::NO_CONTENT);
        let link = reset_token(&app, ADA).await;
        let body = json!({ "token": link, "password": PASSWORD, "end_tokens": true });
        let reply = visitor(&app).post(RESET, body).await;
        assert_eq!(*reply.data(), json!({ "active_tokens": 0, "disabled_tokens": 2 }));
        for token in &tokens {
            token.client.check("").await.refused(401, "INVALID_TOKEN");
        }
        assert!(other.poll().await);
        tokens[0].client.at(&other).check("").await.refused(401, "INVALID_TOKEN");
        let told = app.mail_to(ADA).await;
        assert!(!told.text.contains("still work"), "{}", told.text);
        // Not deleted: their owner can enable them again.
        let reply = login(&app, ADA, PASSWORD).await;
        let session = app.with(reply.data()["token"].as_str().unwrap());
        let path = format!("/api/v1/auth/tokens/{}", tokens[0].id);
        session.patch(&path, json!({ "is_enabled": true })).await.expect(StatusCode::OK);
        tokens[0].client.check("").await.expect(StatusCode::NO_CONTENT);
    }

    async fn a_password_is_one_however_its_characters_are_composed(app: TestApp) {
        let (composed, decomposed) = ("Caf\u{e9}-\u{c4}rger-12", "Cafe\u{301}-A\u{308}rger-12");
        app.service.create_user("ada", Some(ADA), composed).await;
        login(&app, ADA, decomposed).await.expect(StatusCode::OK);
        login(&app, ADA, composed).await.expect(StatusCode::OK);
        let link = reset_token(&app, ADA).await;
        reset(&app, &link, decomposed).await.expect(StatusCode::OK);
        login(&app, ADA, composed).await.expect(StatusCode::OK);
        app.mails().await;
        // Set by a version that hashed what was typed: it opens as it is, and afterwards in both forms.
        app.service.set_password_as_typed("ada", decomposed).await;
        login(&app, ADA, composed).await.refused(401, "INVALID_CREDENTIALS");
        login(&app, ADA, decomposed).await.expect(StatusCode::OK);
        login(&app, ADA, composed).await.expect(StatusCode::OK);
        let link = reset_token(&app, ADA).await;
        reset(&app, &link, "twelve\tcharacters").await.refused(400, "VALIDATION_ERROR");
    }

    async fn a_mail_sets_a_new_password_and_ends_every_session(app: TestApp) {
        let ada = app.user("ada").await;
        let token = ada.mint(json!({})).await;
        let (_, refresh) = app.sign_in("ada").await;
        let link = reset_token(&app, ADA).await;
        reset(&app, &link, OTHER).await.expect(StatusCode::OK);

        ada.check("").await.refused(401, "INVALID_TOKEN");
        let refreshed = app.anon().post("/api/v1/users/auth/refresh", json!({ "refreshToken": refresh })).await;
        refreshed.refused(401, "INVALID_TOKEN");
        login(&app, ADA, PASSWORD).await.refused(401, "INVALID_CREDENTIALS");
        let session = login(&app, ADA, OTHER).await;
        session.expect(StatusCode::OK);
        let session = app.with(session.data()["token"].as_str().unwrap());
        let history = session.get("/api/v1/users/me/security-history?include_security=true").await;
        let mut events = history.data().as_array().unwrap().iter();
        let event = events.find(|event| event["event"] == "password_changed").unwrap();
        assert!(event["ip_address"].as_str().unwrap().starts_with("10.1."), "{}", history.text);
        // Tokens are no sessions.
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        assert_eq!(app.mail_to(ADA).await.subject, "Your password was changed");
        reset(&app, &link, PASSWORD).await.refused(400, "INVALID_MAIL_TOKEN");
        login(&app, ADA, OTHER).await.expect(StatusCode::OK);
    }

    async fn a_reset_is_in_force_on_another_node_too(app: TestApp) {
        let ada = app.user("ada").await;
        let other = app.another_node().await;
        ada.at(&other).check("").await.expect(StatusCode::NO_CONTENT);
        let link = reset_token(&app, ADA).await;
        reset(&app, &link, OTHER).await.expect(StatusCode::OK);
        assert!(other.poll().await);
        ada.at(&other).check("").await.refused(401, "INVALID_TOKEN");
    }

    async fn a_reset_proves_the_address_and_leaves_the_second_factor_on(app: TestApp) {
        sign_up(&app, ADA, PASSWORD).await.expect(StatusCode::OK);
        let first = app.mail_to(ADA).await.token();
        let link = reset_token(&app, ADA).await;
        reset(&app, &link, OTHER).await.expect(StatusCode::OK);
        // The verification that waited is void with it.
        verify(&app, &first, PASSWORD).await.refused(400, "INVALID_MAIL_TOKEN");
        let reply = login(&app, ADA, OTHER).await;
        reply.expect(StatusCode::OK);
        assert_eq!(app.mail_to(ADA).await.subject, "Your password was changed");

        let session = app.with(reply.data()["token"].as_str().unwrap());
        crate::two_factor::enable(&app, &session, OTHER).await;
        assert_eq!(app.mail_to(ADA).await.subject, "Two-factor authentication was turned on");
        let link = reset_token(&app, ADA).await;
        reset(&app, &link, PASSWORD).await.expect(StatusCode::OK);
        let reply = login(&app, ADA, PASSWORD).await;
        reply.expect(StatusCode::OK);
        assert_eq!(reply.data()["requires_2fa"], true);
    }

    async fn a_verification_with_a_second_factor_gives_the_challenge(app: TestApp) {
        sign_up(&app, ADA, PASSWORD).await.expect(StatusCode::OK);
        let first = app.mail_to(ADA).await.token();
        let session = verify(&app, &first, PASSWORD).await.data()["token"].as_str().unwrap().to_owned();
        crate::two_factor::enable(&app, &app.with(&session), PASSWORD).await;
        app.service.tamper("UPDATE users SET email_verified = FALSE").await;
        app.mails().await;
        visitor(&app).post(RESEND, json!({ "email": ADA })).await.expect(StatusCode::OK);
        let token = app.mail_to(ADA).await.token();
        let reply = verify(&app, &token, PASSWORD).await;
        reply.expect(StatusCode::OK);
        assert_eq!((&reply.data()["requires_2fa"], &reply.data()["method"]), (&json!(true), &json!("totp")));
        assert!(reply.data()["token"].is_null() && reply.data()["temp_token"].is_string());
    }

    async fn a_token_of_a_mail_is_good_for_its_purpose_its_account_and_its_time(app: TestApp) {
        app.user("ada").await;
        sign_up(&app, "new@example.com", PASSWORD).await.expect(StatusCode::OK);
        let proof = app.mail_to("new@example.com").await.token();
        let link = reset_token(&app, ADA).await;
        reset(&app, &proof, OTHER).await.refused(400, "INVALID_MAIL_TOKEN");
        verify(&app, &link, PASSWORD).await.refused(400, "INVALID_MAIL_TOKEN");
        // The newer takes the place of the older.
        let newer = reset_token(&app, ADA).await;
        reset(&app, &link, OTHER).await.refused(400, "INVALID_MAIL_TOKEN");
        // An hour, and not a moment longer; the other has a day.
        app.service.advance(HOUR - 1);
        let at_last = reset_token(&app, "new@example.com").await;
        app.service.advance(1);
        reset(&app, &newer, OTHER).await.refused(400, "INVALID_MAIL_TOKEN");
        reset(&app, &at_last, OTHER).await.expect(StatusCode::OK);
        login(&app, ADA, OTHER).await.refused(401, "INVALID_CREDENTIALS");
        login(&app, "new@example.com", OTHER).await.expect(StatusCode::OK);

        sign_up(&app, "late@example.com", PASSWORD).await.expect(StatusCode::OK);
        let mails = app.mails().await;
        let late = mails.iter().find(|mail| mail.to == "late@example.com").unwrap().token();
        app.service.advance(24 * HOUR);
        verify(&app, &late, PASSWORD).await.refused(400, "INVALID_MAIL_TOKEN");
    }

    async fn of_many_resets_with_one_token_one_is_done(app: TestApp) {
        app.user("ada").await;
        let link = reset_token(&app, ADA).await;
        let nodes = [app.service.clone(), app.another_node().await];
        let tries = (0..4).map(|n| {
            let client = visitor(&app).at(&nodes[n % 2]);
            let body = json!({ "token": link, "password": format!("password number {n}") });
            tokio::spawn(async move { client.post(RESET, body).await.status.as_u16() })
        });
        let mut statuses = Vec::new();
        for one in tries.collect::<Vec<_>>() {
            statuses.push(one.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400, 400, 400]);
    }

    async fn a_banned_account_gets_no_mail_and_its_tokens_open_nothing(app: TestApp) {
        app.user("ada").await;
        let link = reset_token(&app, ADA).await;
        app.service.ban_elsewhere("ada", true).await;
        reset(&app, &link, OTHER).await.refused(400, "INVALID_MAIL_TOKEN");
        visitor(&app).post(FORGOT, json!({ "email": ADA })).await.expect(StatusCode::OK);
        assert_eq!(app.mails().await, []);
        app.service.ban_elsewhere("ada", false).await;
        reset(&app, &link, OTHER).await.expect(StatusCode::OK);
    }

    async fn threat_22_no_header_changes_a_link(app: TestApp) {
        app.user("ada").await;
        for (name, value) in [
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "http"),
            ("forwarded", "host=evil.example"),
            ("origin", "https://evil.example"),
            ("referer", "https://evil.example/"),
        ] {
            let client = visitor(&app).host("evil.example").header(name, value);
            app.service.advance(HOUR);
            client.post(FORGOT, json!({ "email": ADA })).await.expect(StatusCode::OK);
            let mail = app.mail_to(ADA).await;
            assert!(mail.link().starts_with("https://auth.example.com/reset-password?token="), "{mail:?}");
            assert!(!mail.text.contains("evil"), "{mail:?}");
        }
    }

    async fn what_is_asked_for_too_often_is_refused_by_address_and_by_mailbox(app: TestApp) {
        let here = app.anon();
        for n in 0..5 {
            here.post(SIGN_UP, details(&format!("u{n}@example.com"), PASSWORD)).await.expect(StatusCode::OK);
        }
        let refused = here.post(SIGN_UP, details("u5@example.com", PASSWORD)).await;
        refused.refused(429, "RATE_LIMIT_EXCEEDED");
        assert_eq!(refused.headers["retry-after"], "3600");
        visitor(&app).post(SIGN_UP, details("u5@example.com", PASSWORD)).await.expect(StatusCode::OK);
        for n in 0..3 {
            let path = [FORGOT, RESEND][n % 2];
            here.post(path, json!({ "email": format!("f{n}@example.com") })).await.expect(StatusCode::OK);
            visitor(&app).post(path, json!({ "email": ADA })).await.expect(StatusCode::OK);
        }
        here.post(RESEND, json!({ "email": "f9@example.com" })).await.refused(429, "RATE_LIMIT_EXCEEDED");
        visitor(&app).post(FORGOT, json!({ "email": "ADA@example.com" })).await.refused(429, "RATE_LIMIT_EXCEEDED");
        for _ in 0..10 {
            here.post(VERIFY, json!({ "token": "0".repeat(64) })).await.refused(400, "INVALID_MAIL_TOKEN");
            let body = json!({ "token": "0".repeat(64), "password": PASSWORD });
            here.post(RESET, body).await.refused(400, "INVALID_MAIL_TOKEN");
        }
        here.post(VERIFY, json!({ "token": "0".repeat(64) })).await.refused(429, "RATE_LIMIT_EXCEEDED");
        here.post(RESET, json!({ "token": "0".repeat(64), "password": PASSWORD })).await.refused(429, "RATE_LIMIT_EXCEEDED");
    }

    async fn bad_input_names_the_field_and_does_nothing(app: TestApp) {
        let long = "a".repeat(250);
        let password = |length: usize| "p".repeat(length);
        for (path, body, status, code, names) in [
            (SIGN_UP, json!({}), 400, "MISSING_REQUIRED_FIELD", "email"),
            (SIGN_UP, json!({ "email": ADA }), 400, "MISSING_REQUIRED_FIELD", "password"),
            (SIGN_UP, details("nobody", PASSWORD), 400, "VALIDATION_ERROR", "email"),
            (SIGN_UP, details("a@b\r\nBcc: c@d", PASSWORD), 400, "VALIDATION_ERROR", "email"),
            (SIGN_UP, details(&format!("{long}@example.com"), PASSWORD), 400, "VALIDATION_ERROR", "email"),
            (SIGN_UP, details(ADA, &password(11)), 400, "WEAK_PASSWORD", "Password"),
            (SIGN_UP, details(ADA, &password(129)), 400, "WEAK_PASSWORD", "Password"),
            (SIGN_UP, json!({ "email": ["x"], "password": PASSWORD }), 422, "VALIDATION_ERROR", "/email"),
            (SIGN_UP, json!({ "email": { "$ne": "" }, "password": 1 }), 422, "VALIDATION_ERROR", "/email"),
            (SIGN_UP, json!({ "email": ADA, "password": PASSWORD, "region": "eu" }), 400, "VALIDATION_ERROR", "region"),
            (SIGN_UP, json!({ "email": ADA, "password": PASSWORD, "client": long }), 400, "VALIDATION_ERROR", "client"),
            (SIGN_UP, json!({ "email": ADA, "password": PASSWORD, "invite_code": "" }), 400, "VALIDATION_ERROR", "invite_code"),
            (VERIFY, json!({}), 400, "MISSING_REQUIRED_FIELD", "token"),
            (VERIFY, json!({ "token": "0" }), 400, "VALIDATION_ERROR", "token"),
            (VERIFY, json!({ "token": "é".repeat(64) }), 400, "INVALID_MAIL_TOKEN", "token"),
            (VERIFY, json!({ "token": "A".repeat(64) }), 400, "INVALID_MAIL_TOKEN", "token"),
            (RESET, json!({ "token": "0".repeat(64) }), 400, "MISSING_REQUIRED_FIELD", "password"),
            (RESET, json!({ "token": "0".repeat(64), "password": password(11) }), 400, "WEAK_PASSWORD", "Password"),
            (FORGOT, json!({}), 400, "MISSING_REQUIRED_FIELD", "email"),
            (FORGOT, json!({ "email": 7 }), 422, "VALIDATION_ERROR", "/email"),
            (RESEND, json!({ "email": "@" }), 400, "VALIDATION_ERROR", "email"),
        ] {
            let reply = visitor(&app).post(path, body.clone()).await;
            reply.refused(status, code);
            assert!(reply.body["message"].as_str().unwrap().contains(names), "{path} {body}: {}", reply.text);
        }
        let big = format!("{{\"email\": \"{ADA}\", \"password\": \"{}\"}}", password(10_000)).into_bytes();
        visitor(&app).send(Method::POST, SIGN_UP, big).await.refused(400, "WEAK_PASSWORD");
        assert_eq!(app.service.number(ACCOUNTS).await, 0);
        assert_eq!(app.mails().await, []);
        assert_eq!(app.service.password_hashes(), 0);
    }

    async fn no_account_that_the_service_names_reads_as_an_official_one(app: TestApp) {
        sign_up(&app, "admin@example.com", PASSWORD).await.expect(StatusCode::OK);
        let names = app.service.texts("SELECT username AS t FROM users").await;
        assert!(names.len() == 1 && names[0].starts_with("user-"), "{names:?}");
    }
}

const JOBS: &str = "SELECT COUNT(*) AS n FROM jobs";
