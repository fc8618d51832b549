//! Signing in and out, and what ends a session.

use hoody_core::time::Timestamp;
use hoody_core::totp::{TotpSecret, step_at};
use http::{Method, StatusCode, header};
use serde_json::json;

use crate::support::{App, MINUTE, PASSWORD, on_both};

/// Turns the second factor of an account on; its secret and its backup codes.
pub(crate) async fn protect(app: &App, name: &str) -> (TotpSecret, Vec<String>) {
    let session = app.api_session(name).await;
    let body = json!({ "password": PASSWORD });
    let (_, setup) = app.api(Method::POST, "/api/v1/users/auth/2fa/setup", Some(&session), body).await;
    let secret = TotpSecret::from_bytes(&base32(setup["data"]["manual_entry_key"].as_str().unwrap()));
    let body = json!({ "code": code_at(&secret, app.service.now()) });
    let (status, reply) =
        app.api(Method::POST, "/api/v1/users/auth/2fa/verify-setup", Some(&session), body).await;
    assert_eq!(status, StatusCode::OK, "{reply}");
    let codes = setup["data"]["backup_codes"].as_array().unwrap();
    (secret, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

pub(crate) fn code_at(secret: &TotpSecret, now: Timestamp) -> String {
    String::from_utf8(secret.code(step_at(now)).to_vec()).unwrap()
}

pub(crate) fn base32(text: &str) -> Vec<u8> {
    let (mut bits, mut length, mut bytes) = (0_u32, 0, Vec::new());
    for c in text.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == c).unwrap();
        bits = bits << 5 | u32::try_from(value).unwrap();
        length += 5;
        if length >= 8 {
            length -= 8;
            bytes.push(u8::try_from(bits >> length & 0xff).unwrap());
        }
    }
    bytes
}

on_both! {
    async fn a_browser_is_led_to_sign_in_and_back(app: App) {
        app.account("ada").await;
        let browser = app.browser().with("accept", Some("text/html"));
        let root = browser.get("/").await;
        assert_eq!((root.status, root.headers[header::LOCATION].to_str().unwrap()), (StatusCode::SEE_OTHER, "/console"));
        let program = app.browser().with("accept", Some("*/*")).get("/").await;
        assert_eq!(program.status, StatusCode::OK);
        program.says("This is hoody");

        let page = browser.open("/console/tokens?state=working").await;
        page.is(StatusCode::OK, "Sign in");
        let form = page.form("/console/sign-in");
        let wrong = browser.submit(&form, &[("name", "ada"), ("password", "not her password")]).await;
        wrong.is(StatusCode::UNAUTHORIZED, "Sign in");
        wrong.says("Wrong username or password.");
        let nobody = browser.submit(&form, &[("name", "nobody"), ("password", "not her password")]).await;
        assert_eq!(nobody.plain(), wrong.plain());
        assert!(browser.cookies.borrow().is_empty());
        let shown = browser.submit(&form, &[("name", "ada@example.com"), ("password", PASSWORD)]).await;
        shown.is(StatusCode::OK, "Tokens");
        // Who is signed in is led on from the page that signs in.
        browser.open("/console/sign-in").await.is(StatusCode::OK, "Overview");

        let account = browser.open("/console/account").await;
        account.says("this one").says("Chrome on Linux");
        let out = browser.submit(&account.form("/console/sign-out"), &[]).await;
        out.is(StatusCode::OK, "Sign in");
        out.says("You are signed out.");
        assert!(browser.cookies.borrow().is_empty());
    }

    async fn the_cookie_is_opaque_and_strict(app: App) {
        app.account("ada").await;
        let browser = app.browser();
        let page = browser.get("/console/sign-in").await;
        let shown = browser.submit_only(&page.form("/console/sign-in"), &[("name", "ada"), ("password", PASSWORD)]).await;
        assert_eq!(shown.status, StatusCode::SEE_OTHER);
        let cookies: Vec<_> = shown.headers.get_all(header::SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap()).collect();
        assert_eq!(cookies.len(), 1, "{cookies:?}");
        let (pair, attributes) = cookies[0].split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict; Secure");
        let value = pair.strip_prefix("__Host-hoody_console=").unwrap();
        assert_eq!(value.len(), 64);
        // The table does not know it, and no session token was made of it.
        let stored = app.service.number("SELECT COUNT(*) AS n FROM console_sessions").await;
        assert_eq!(stored, 1);
        let (status, _) = app.api(Method::GET, "/api/v1/users/auth/me", Some(value), serde_json::Value::Null).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }

    async fn the_second_factor_is_asked_for(app: App) {
        app.account("ada").await;
        let (secret, backup_codes) = protect(&app, "ada").await;
        app.later(MINUTE).await;
        let browser = app.browser();
        let page = browser.open("/console/tokens").await;
        let code = browser.submit(&page.form("/console/sign-in"), &[("name", "ada"), ("password", PASSWORD)]).await;
        code.is(StatusCode::OK, "Second factor");
        assert!(browser.cookies.borrow().is_empty(), "nobody is signed in by a password alone");
        let form = code.form("/console/sign-in/code");
        let wrong = browser.submit(&form, &[("code", "000000")]).await;
        wrong.is(StatusCode::UNAUTHORIZED, "Second factor");
        let given = code_at(&secret, app.service.now());
        let shown = browser.submit(&wrong.form("/console/sign-in/code"), &[("code", &given)]).await;
        shown.is(StatusCode::OK, "Tokens");
        // A backup code serves once.
        for expected in [StatusCode::OK, StatusCode::BAD_REQUEST] {
            let other = app.browser();
            let page = other.open("/console").await;
            let code = other.submit(&page.form("/console/sign-in"), &[("name", "ada"), ("password", PASSWORD)]).await;
            let shown = other.submit(&code.form("/console/sign-in/code"), &[("code", &backup_codes[0])]).await;
            assert_eq!(shown.status, expected, "{}", shown.text);
        }
    }

    async fn a_session_ends_when_it_stands_idle_and_after_half_a_day(app: App) {
        let browser = app.signed_in("ada").await;
        for _ in 0..3 {
            app.later(59 * MINUTE).await;
            browser.get("/console").await.is(StatusCode::OK, "Overview");
        }
        // What the script fetches by itself does not keep it.
        let id = "65a1b2c3d4e5f60718293a4b";
        for _ in 0..3 {
            app.later(20 * MINUTE).await;
            browser.get(&format!("/console/tokens/{id}/first-use?part=1")).await;
        }
        let over = browser.get(&format!("/console/tokens/{id}/first-use?part=1")).await;
        assert_eq!(over.status, StatusCode::UNAUTHORIZED);
        browser.open("/console").await.is(StatusCode::OK, "Sign in");

        let busy = app.browser();
        busy.sign_in("ada").await;
        for _ in 0..14 {
            app.later(50 * MINUTE).await;
            busy.get("/console").await.is(StatusCode::OK, "Overview");
        }
        app.later(21 * MINUTE).await;
        busy.open("/console").await.is(StatusCode::OK, "Sign in");
    }

    async fn what_ends_a_session_ends_it_on_every_node_at_once(app: App) {
        let browser = app.signed_in("ada").await;
        let other = app.another_node().await;
        browser.at(&other).get("/console").await.is(StatusCode::OK, "Overview");
        let stolen = browser.clone();
        let account = browser.get("/console/account").await;
        browser.submit(&account.form("/console/sign-out"), &[]).await.is(StatusCode::OK, "Sign in");
        for node in [&app.service, &other] {
            stolen.at(node).open("/console").await.is(StatusCode::OK, "Sign in");
        }
        // A ban by another process.
        let banned = app.signed_in("bob").await;
        app.service.ban_elsewhere("bob", true).await;
        banned.at(&other).open("/console").await.is(StatusCode::OK, "Sign in");
        // A new password.
        let eve = app.signed_in("eve").await;
        let session = app.api_session("eve").await;
        let (_, me) = app.api(Method::GET, "/api/v1/users/auth/me", Some(&session), serde_json::Value::Null).await;
        let id = me["data"]["user"]["id"].as_str().or(me["data"]["id"].as_str()).unwrap().to_owned();
        let body = json!({ "password": "another horse battery staple", "current_password": PASSWORD });
        let (status, reply) = app.api(Method::PATCH, &format!("/api/v1/users/{id}"), Some(&session), body).await;
        assert_eq!(status, StatusCode::OK, "{reply}");
        eve.at(&other).open("/console").await.is(StatusCode::OK, "Sign in");
    }

    async fn sessions_are_in_one_list_and_each_can_be_ended(app: App) {
        let browser = app.signed_in("ada").await;
        let other = app.browser();
        other.sign_in("ada").await;
        let api = app.api_session("ada").await;
        let account = browser.get("/console/account").await;
        account.says("3 sessions of this account");
        let ends: Vec<_> = account.forms().into_iter().filter(|form| form.action.ends_with("/end")).collect();
        assert_eq!(ends.len(), 2, "its own session has no button");
        for form in &ends {
            browser.submit(form, &[]).await.says("The session is ended.");
        }
        other.open("/console").await.is(StatusCode::OK, "Sign in");
        app.later(100).await;
        let (status, _) = app.api(Method::GET, "/api/v1/users/auth/me", Some(&api), serde_json::Value::Null).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        browser.get("/console").await.is(StatusCode::OK, "Overview");
        // Ending one twice, or another account's, ends nothing.
        browser.submit(&ends[0], &[]).await.is(StatusCode::NOT_FOUND, "There is no such session");
        let account = browser.get("/console/account").await;
        let everywhere = browser.submit(&account.form("/console/account/sessions/end-all"), &[]).await;
        everywhere.says("Every session of your account is ended.");
        assert!(browser.cookies.borrow().is_empty());
    }

    async fn a_form_survives_a_session_that_is_over(app: App) {
        let browser = app.signed_in("ada").await;
        let page = browser.get("/console/tokens/new").await;
        let form = page.form("/console/tokens/review");
        app.later(61 * MINUTE).await;
        let filled = [("alias", "night <job>"), ("p", "projects.read"), ("from", "10.0.0.0/8")];
        let again = browser.submit(&form, &filled).await;
        again.is(StatusCode::UNAUTHORIZED, "Sign in");
        again.says("What you typed is kept");
        let back = browser.submit(&again.form("/console/sign-in"), &[("name", "ada"), ("password", PASSWORD)]).await;
        back.is(StatusCode::OK, "You are signed in");
        let shown = browser.submit(&back.form("/console/tokens/review"), &[]).await;
        shown.is(StatusCode::UNPROCESSABLE_ENTITY, "New token");
        assert!(shown.text.contains("value=\"night &lt;job&gt;\"") && shown.text.contains("10.0.0.0/8"), "{}", shown.text);
        assert!(app.tokens("ada").await.is_empty());
    }
}
