//! Mails: what is kept of them, what happens when they cannot be sent, and the pages that they lead to.

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::{Client, PASSWORD, Reply, TestApp, on_both, take_mails};
use crate::threats_secrets::{dump, sha256};

const FORGOT: &str = "/api/v1/auth/forgot-password";
const LOGIN: &str = "/api/v1/users/auth/login";
const SIGN_UP: &str = "/api/v1/auth/signup";
const ADA: &str = "ada@example.com";
const OTHER: &str = "another horse entirely";
const STATES: &str = "SELECT state AS t FROM jobs WHERE kind = 'mail'";
const MINUTE: i64 = 60_000;

async fn forgot(app: &TestApp) {
    app.anon().post(FORGOT, json!({ "email": ADA })).await.expect(StatusCode::OK);
}

/// Sends a form as a browser does.
async fn submit(client: &Client, path: &str, form: &str) -> Reply {
    let client = client.header("content-type", "application/x-www-form-urlencoded");
    client.send(Method::POST, path, form.as_bytes().to_vec()).await
}

fn ours(app: &TestApp) -> Client {
    app.anon().header("sec-fetch-site", "same-origin")
}

on_both! {
    async fn threat_28_what_a_mail_carries_is_nowhere_in_the_database(app: TestApp) {
        app.user("ada").await;
        forgot(&app).await;
        // Held before it is sent: a job is in the database with the link in it.
        app.service.tamper("UPDATE jobs SET run_at = run_at + 1000 WHERE kind = 'mail'").await;
        std::fs::write(app.directory.path().join("mail"), "in the way").unwrap();
        app.service.run_jobs().await;
        assert_eq!(app.service.texts(STATES).await, ["waiting"]);
        let before = dump(&app).await;
        std::fs::remove_file(app.directory.path().join("mail")).unwrap();
        app.later(MINUTE).await;
        let token = app.mail_to(ADA).await.token();
        for (when, dump) in [("before", before), ("after", dump(&app).await)] {
            let holds = |needle: &[u8]| dump.windows(needle.len()).any(|window| window == needle);
            assert!(holds(b"ada@example.com"), "the dump {when} has what was stored");
            let raw: Vec<u8> = (0..32).map(|n| u8::from_str_radix(&token[2 * n..2 * n + 2], 16).unwrap()).collect();
            assert!(!holds(token.as_bytes()) && !holds(&raw), "the token {when}");
            assert!(!holds(sha256(token.as_bytes()).as_bytes()), "its plain digest {when}");
            assert!(!holds(b"reset-password?token"), "the link {when}");
        }
    }

    async fn a_mail_that_cannot_be_sent_waits_and_nobody_who_asks_is_told(app: TestApp) {
        app.user("ada").await;
        let blocked = app.directory.path().join("mail");
        std::fs::write(&blocked, "in the way").unwrap();
        forgot(&app).await;
        assert_eq!(app.mails().await, []);
        assert_eq!(app.service.texts(STATES).await, ["waiting"]);
        let errors = app.service.texts("SELECT last_error AS t FROM jobs WHERE kind = 'mail'").await;
        assert!(errors[0].contains("mail") && !errors[0].contains("token"), "{errors:?}");
        app.later(3_000).await;
        assert_eq!(app.service.run_jobs().await, 0, "not before its time");
        std::fs::remove_file(&blocked).unwrap();
        app.later(4_000).await;
        assert_eq!(app.mail_to(ADA).await.subject, "Set a new password");
        assert_eq!(app.service.texts(STATES).await, ["done"]);
    }

    async fn a_mail_whose_link_has_expired_is_given_up(app: TestApp) {
        app.user("ada").await;
        std::fs::write(app.directory.path().join("mail"), "in the way").unwrap();
        forgot(&app).await;
        app.service.run_jobs().await;
        std::fs::remove_file(app.directory.path().join("mail")).unwrap();
        app.later(60 * MINUTE).await;
        assert_eq!(app.mails().await, []);
        assert_eq!(app.service.texts(STATES).await, ["failed"]);
        let errors = app.service.texts("SELECT last_error AS t FROM jobs WHERE kind = 'mail'").await;
        assert_eq!(errors, ["its link has expired"]);
    }

    async fn of_two_nodes_one_sends_each_mail(app: TestApp) {
        for n in 0..12 {
            app.service.create_user(&format!("user{n}"), Some(&format!("user{n}@example.com")), PASSWORD).await;
            let client = app.anon().from(&format!("10.2.0.{n}"));
            client.post(FORGOT, json!({ "email": format!("user{n}@example.com") })).await.expect(StatusCode::OK);
        }
        let other = app.another_node().await;
        let (one, two) = (app.service.clone(), other);
        let one = tokio::spawn(async move { one.run_jobs().await });
        let two = tokio::spawn(async move { two.run_jobs().await });
        let attempts = one.await.unwrap() + two.await.unwrap() + app.service.run_jobs().await;
        assert_eq!(attempts, 24, "twelve requests, twelve mails");
        let tried = "SELECT CAST(MAX(attempts) AS BIGINT) AS n FROM jobs";
        assert_eq!(app.service.number(tried).await, 1);
        assert_eq!(take_mails(app.directory.path()).len(), 12);
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM jobs WHERE state = 'done'").await, 24);
    }

    async fn a_node_that_dies_with_a_mail_leaves_it_to_others(app: TestApp) {
        app.user("ada").await;
        forgot(&app).await;
        // As a node leaves it that claimed it and was killed.
        let claim = "UPDATE jobs SET claimed_by = id, claimed_until = run_at + 60000, attempts = 1";
        assert_eq!(app.service.tamper(claim).await, 1);
        assert_eq!(app.service.run_jobs().await, 0);
        app.later(MINUTE - 1).await;
        assert_eq!(app.service.run_jobs().await, 0);
        app.later(1).await;
        assert_eq!(app.mail_to(ADA).await.subject, "Set a new password");
    }

    async fn nothing_is_sent_for_what_was_not_committed(app: TestApp) {
        use hoody_service::testing::{Cut, Step};
        for step in [Step::Began, Step::Changed, Step::Fed] {
            app.service.at_each_step(move |at| async move { if at == step { Cut::DatabaseGone } else { Cut::GoOn } });
            let email = format!("{step:?}@example.com");
            let client = app.anon().from("10.3.0.1");
            client.post(SIGN_UP, json!({ "email": email, "password": PASSWORD })).await.refused(503, "UNAVAILABLE");
            app.service.at_each_step(|_| async { Cut::GoOn });
        }
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM users").await, 0);
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM jobs").await, 0);
        assert_eq!(app.mails().await, []);
    }

    async fn the_owner_is_told_of_changes_to_the_account(app: TestApp) {
        let ada = app.user("ada").await;
        let body = json!({ "password": OTHER, "current_password": PASSWORD });
        ada.put(&format!("/api/v1/users/{}", ada.account().await), body).await.expect(StatusCode::OK);
        let mail = app.mail_to(ADA).await;
        assert_eq!(mail.subject, "Your password was changed");
        assert!(mail.text.contains("ada") && !mail.text.contains(OTHER), "{mail:?}");
        // Nothing for who has no address.
        app.service.create_user("bob", None, PASSWORD).await;
        let bob = app.login("bob").await;
        let body = json!({ "password": OTHER, "current_password": PASSWORD });
        bob.put(&format!("/api/v1/users/{}", bob.account().await), body).await.expect(StatusCode::OK);
        assert_eq!(app.mails().await, []);
    }

    async fn opening_a_link_does_nothing_and_its_button_proves_the_address(app: TestApp) {
        app.anon().post(SIGN_UP, json!({ "email": ADA, "password": PASSWORD })).await.expect(StatusCode::OK);
        let mail = app.mail_to(ADA).await;
        let path = mail.link().strip_prefix("https://auth.example.com").unwrap();
        for _ in 0..3 {
            let page = app.anon().get(path).await;
            page.expect(StatusCode::OK);
            assert!(page.text.contains("method=\"post\"") && page.text.contains(&mail.token()), "{}", page.text);
            assert!(!page.text.contains("<script"), "{}", page.text);
            for (name, value) in [
                ("referrer-policy", "no-referrer"),
                ("cache-control", "no-store"),
                ("x-frame-options", "DENY"),
                ("x-content-type-options", "nosniff"),
            ] {
                assert_eq!(page.headers[name], value);
            }
            let policy = page.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'") && policy.contains("form-action 'self'"), "{policy}");
        }
        let form = format!("token={}&password=correct+horse+battery+staple", mail.token());
        // A form on another site does nothing.
        let foreign = app.anon().header("sec-fetch-site", "cross-site");
        submit(&foreign, "/verify-email", &form).await.expect(StatusCode::FORBIDDEN);
        // Neither does one without a password, or with another: the page asks once more.
        for wrong in ["", "&password=", "&password=another+horse+entirely", "&new_password=short"] {
            let page = submit(&ours(&app), "/verify-email", &format!("token={}{wrong}", mail.token())).await;
            page.expect(StatusCode::BAD_REQUEST);
            assert!(page.text.contains("role=\"alert\"") && page.text.contains(&mail.token()), "{}", page.text);
        }
        let done = submit(&ours(&app), "/verify-email", &form).await;
        done.expect(StatusCode::OK);
        assert!(done.text.contains("Your address is confirmed") && !done.text.contains("eyJ"), "{}", done.text);
        let again = submit(&ours(&app), "/verify-email", &form).await;
        again.expect(StatusCode::BAD_REQUEST);
        assert!(again.text.contains("was used, has expired"), "{}", again.text);
        let login = json!({ "email": ADA, "password": PASSWORD });
        app.anon().post("/api/v1/users/auth/login", login).await.expect(StatusCode::OK);
    }

    async fn the_page_of_a_verification_sets_a_new_password_in_the_place_of_a_strangers(app: TestApp) {
        app.anon().post(SIGN_UP, json!({ "email": ADA, "password": PASSWORD })).await.expect(StatusCode::OK);
        let mail = app.mail_to(ADA).await;
        let form = format!("token={}&new_password=another+horse+entirely", mail.token());
        let done = submit(&ours(&app), "/verify-email", &form).await;
        done.expect(StatusCode::OK);
        assert!(done.text.contains("Your address is confirmed") && !done.text.contains("eyJ"), "{}", done.text);
        let login = async |password: &str| app.anon().post(LOGIN, json!({ "email": ADA, "password": password })).await;
        login(PASSWORD).await.refused(401, "INVALID_CREDENTIALS");
        login(OTHER).await.expect(StatusCode::OK);
        let again = submit(&ours(&app), "/verify-email", &form).await;
        assert!(again.text.contains("was used, has expired"), "{}", again.text);
    }

    async fn the_page_of_a_reset_disables_tokens_if_its_box_is_ticked(app: TestApp) {
        let ada = app.user("ada").await;
        let token = ada.mint(json!({})).await;
        forgot(&app).await;
        let form = format!("token={}&password=another+horse+entirely", app.mail_to(ADA).await.token());
        let done = submit(&ours(&app), "/reset-password", &form).await;
        done.expect(StatusCode::OK);
        assert!(done.text.contains("still work: <strong>1</strong>"), "{}", done.text);
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        app.mails().await;
        forgot(&app).await;
        let token_of_mail = app.mail_to(ADA).await.token();
        let form = format!("token={token_of_mail}&password=another+horse+entirely&end_tokens=yes");
        let done = submit(&ours(&app), "/reset-password", &form).await;
        done.expect(StatusCode::OK);
        assert!(done.text.contains("were disabled: 1.") && !done.text.contains("still work"), "{}", done.text);
        token.client.check("").await.refused(401, "INVALID_TOKEN");
    }

    async fn the_page_of_a_reset_sets_the_password(app: TestApp) {
        let ada = app.user("ada").await;
        forgot(&app).await;
        let mail = app.mail_to(ADA).await;
        let path = mail.link().strip_prefix("https://auth.example.com").unwrap();
        let page = app.anon().get(path).await;
        assert!(page.text.contains("type=\"password\"") && page.text.contains(&mail.token()), "{}", page.text);
        let short = submit(&ours(&app), "/reset-password", &format!("token={}&password=short", mail.token())).await;
        short.expect(StatusCode::BAD_REQUEST);
        assert!(short.text.contains("12 to 128 characters") && short.text.contains(&mail.token()), "{}", short.text);
        let form = format!("token={}&password=another+horse+entirely", mail.token());
        let done = submit(&ours(&app), "/reset-password", &form).await;
        done.expect(StatusCode::OK);
        assert!(done.text.contains("Your password is set") && !done.text.contains(OTHER), "{}", done.text);
        ada.check("").await.refused(401, "INVALID_TOKEN");
        let login = json!({ "email": ADA, "password": OTHER });
        app.anon().post("/api/v1/users/auth/login", login).await.expect(StatusCode::OK);
    }

    async fn what_a_link_carries_is_text_on_its_page(app: TestApp) {
        for page in ["/verify-email", "/reset-password"] {
            let reply = app.anon().get(&format!("{page}?token=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")).await;
            reply.expect(StatusCode::OK);
            assert!(!reply.text.contains("<script"), "{}", reply.text);
            app.anon().get(page).await.expect(StatusCode::OK);
        }
    }
}
