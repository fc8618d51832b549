//! The password, the second factor and the log.

use hoody_core::totp::TotpSecret;
use http::{Method, StatusCode};
use serde_json::Value;

use crate::sign_in::{base32, code_at};
use crate::support::{MINUTE, PASSWORD, on_both};

on_both! {
    async fn a_new_password_ends_every_session(app: App) {
        let browser = app.signed_in("ada").await;
        let other = app.browser();
        other.sign_in("ada").await;
        let path = "/console/account/password";
        let form = browser.get(path).await.form(path);
        let wrong = browser.submit(&form, &[("password", "not her password"), ("new_password", "another horse battery")]).await;
        wrong.is(StatusCode::BAD_REQUEST, "Change your password");
        wrong.says("This is not your current password.");
        let short = browser.submit(&form, &[("password", PASSWORD), ("new_password", "short")]).await;
        short.is(StatusCode::BAD_REQUEST, "Change your password");
        assert!(!short.text.contains(PASSWORD) && !short.text.contains("\"short\""), "{}", short.text);
        let done = browser.submit(&form, &[("password", PASSWORD), ("new_password", "another horse battery")]).await;
        done.is(StatusCode::OK, "Sign in");
        done.says("Your password is changed.");
        other.open("/console").await.is(StatusCode::OK, "Sign in");
        let form = done.form("/console/sign-in");
        browser.submit(&form, &[("name", "ada"), ("password", PASSWORD)]).await.is(StatusCode::UNAUTHORIZED, "Sign in");
        browser.submit(&form, &[("name", "ada"), ("password", "another horse battery")]).await.is(StatusCode::OK, "Overview");
    }

    async fn the_second_factor_is_turned_on_and_off(app: App) {
        let browser = app.signed_in("ada").await;
        let path = "/console/account/second-factor";
        browser.get("/console/account").await.says("Turn it on");
        let begin = browser.get(path).await;
        begin.is(StatusCode::OK, "Turn on the second factor");
        browser.submit(&begin.form(path), &[("password", "not her password")]).await.is(StatusCode::BAD_REQUEST, "Turn on the second factor");
        let setup = browser.submit(&begin.form(path), &[("password", PASSWORD)]).await;
        setup.is(StatusCode::OK, "Scan this with your authenticator app");
        assert!(setup.text.contains("aria-label=\"QR code of the key below\"") && !setup.text.contains("data:"));
        let (_, rest) = setup.text.split_once("Or type this key: <code>").unwrap();
        let secret = TotpSecret::from_bytes(&base32(rest.split('<').next().unwrap()));
        let on = setup.form("/console/account/second-factor/on");
        let wrong = browser.submit(&on, &[("code", "000000")]).await;
        wrong.is(StatusCode::UNAUTHORIZED, "Turn on the second factor");
        let code = code_at(&secret, app.service.now());
        let done = browser.submit(&wrong.form(&on.action), &[("code", &code)]).await;
        done.says("The second factor is on. Sign in with it.");
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM sessions WHERE ended_at IS NULL").await, 0);
        app.later(MINUTE).await;
        let half = browser.submit(&done.form("/console/sign-in"), &[("name", "ada"), ("password", PASSWORD)]).await;
        let code = code_at(&secret, app.service.now());
        browser.submit(&half.form("/console/sign-in/code"), &[("code", &code)]).await.is(StatusCode::OK, "Overview");
        app.later(MINUTE).await;
        let off = browser.get(path).await.form("/console/account/second-factor/off");
        let code = code_at(&secret, app.service.now());
        let done = browser.submit(&off, &[("password", PASSWORD), ("code", &code)]).await;
        done.says("The second factor is off.");
        browser.sign_in("ada").await;
    }

    async fn the_log_says_why_and_how_to_fix_it(app: App) {
        let browser = app.signed_in("ada").await;
        let (id, secret) = browser.make("ci", &["projects.read"]).await;
        for path in ["/api/v1/auth/check?permission=projects.read", "/api/v1/auth/check?permission=projects.delete"] {
            app.api(Method::GET, path, Some(&secret), Value::Null).await;
        }
        let form = browser.get(&format!("/console/tokens/{id}/change")).await.form(&format!("/console/tokens/{id}/change"));
        browser.submit(&form, &[("from", "10.0.0.0/8"), ("p", "projects.read")]).await;
        app.api(Method::GET, "/api/v1/auth/check", Some(&secret), Value::Null).await;
        assert!(app.service.flush_activity().await, "the log is written");
        let log = browser.get("/console/log").await;
        log.is(StatusCode::OK, "Log");
        log.says("It does not have projects.delete. Change its permissions").says("Not from this address. Allow it");
        // What was done in the console is there, too; looking at a page is not.
        log.says(&format!("POST /console/tokens/{id}/change"));
        assert!(!log.plain().contains("GET /console"), "{}", log.plain());
        assert!(log.text.contains(&format!("/console/tokens/{id}/change?ip=203.0.113.7")), "{}", log.text);
        let refused = browser.get("/console/log?show=refused").await;
        assert_eq!(refused.text.matches("<td class=\"name\">").count(), 2, "{}", refused.plain());
        let older = browser.get("/console/log?before=000000000000000000000000").await;
        older.says("No requests yet.");
        browser.get("/console/log?before=nonsense&show=nonsense").await.is(StatusCode::OK, "Log");
        // Another account's log is its own.
        let bob = app.signed_in("bob").await;
        assert!(!bob.get("/console/log").await.plain().contains("/auth/check"));
    }
}
