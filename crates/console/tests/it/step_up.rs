//! What widens asks for the password again; what narrows never does.

use http::{Method, StatusCode};
use serde_json::json;

use crate::sign_in::{code_at, protect};
use crate::support::{MINUTE, PASSWORD, on_both};

on_both! {
    async fn what_widens_asks_for_the_password_after_ten_minutes(app: App) {
        let browser = app.signed_in("ada").await;
        let (id, _) = browser.make("first", &["projects.read"]).await;
        app.later(11 * MINUTE).await;
        let review = browser.review("second", &["projects.read"]).await;
        let before = browser.cookies.borrow().clone();
        let ask = browser.submit(&review.form("/console/tokens"), &[]).await;
        ask.is(StatusCode::OK, "Confirm that it is you");
        ask.says("Making a token needs your password again.");
        let wrong = browser.submit(&ask.form("/console/tokens"), &[("proof_password", "not her password")]).await;
        wrong.is(StatusCode::UNAUTHORIZED, "Confirm that it is you");
        assert!(!wrong.text.contains("not her password"));
        assert_eq!(app.tokens("ada").await.len(), 1);
        let made = browser.submit(&wrong.form("/console/tokens"), &[("proof_password", PASSWORD)]).await;
        made.is(StatusCode::OK, "Copy the secret of second now");
        // The cookie is another one; the one before is good for ten seconds more.
        let old = app.browser();
        *old.cookies.borrow_mut() = before;
        assert_ne!(*old.cookies.borrow(), *browser.cookies.borrow());
        old.get("/console").await.is(StatusCode::OK, "Overview");
        app.later(11_000).await;
        old.open("/console").await.is(StatusCode::OK, "Sign in");
        // It does not slide: ten minutes after the proof it is asked for again.
        app.later(5 * MINUTE).await;
        browser.make("third", &["projects.read"]).await;
        app.later(6 * MINUTE).await;
        let page = browser.get(&format!("/console/tokens/{id}")).await;
        let stopped = browser.submit(&page.form(&format!("/console/tokens/{id}/stop")), &[]).await;
        stopped.is(StatusCode::OK, "first is stopped");
        let ask = browser.submit(&stopped.form(&format!("/console/tokens/{id}/start")), &[]).await;
        ask.is(StatusCode::OK, "Confirm that it is you");
        let started = browser.submit(&ask.form(&format!("/console/tokens/{id}/start")), &[("proof_password", PASSWORD)]).await;
        started.says("It works again.");
    }

    async fn what_narrows_never_asks(app: App) {
        let browser = app.signed_in("ada").await;
        let (id, _) = browser.make("ci", &["projects.read", "projects.update"]).await;
        app.later(11 * MINUTE).await;
        let path = format!("/console/tokens/{id}/change");
        let form = browser.get(&path).await.form(&path);
        browser.submit(&form, &[("p", "projects.read")]).await.says("The change is in force");
        let form = browser.get(&path).await.form(&path);
        let ask = browser.submit_only(&form, &[("p", "projects.read"), ("p", "projects.delete")]).await;
        ask.is(StatusCode::OK, "Confirm that it is you");
        let done = browser.submit(&ask.form(&path), &[("proof_password", PASSWORD)]).await;
        done.says("The change is in force");
        let permissions = app.tokens("ada").await[0]["permissions"].clone();
        assert_eq!(permissions, json!({ "projects": { "read": true, "delete": true } }));
        app.later(11 * MINUTE).await;
        let ask = browser.get(&format!("/console/tokens/{id}/delete")).await;
        browser.submit(&ask.form(&format!("/console/tokens/{id}/delete")), &[]).await.says("The token is deleted.");
    }

    async fn the_second_factor_is_part_of_the_proof(app: App) {
        app.account("ada").await;
        let (secret, _) = protect(&app, "ada").await;
        app.later(MINUTE).await;
        let browser = app.browser();
        let page = browser.open("/console").await;
        let code = browser.submit(&page.form("/console/sign-in"), &[("name", "ada"), ("password", PASSWORD)]).await;
        let given = code_at(&secret, app.service.now());
        browser.submit(&code.form("/console/sign-in/code"), &[("code", &given)]).await.is(StatusCode::OK, "Overview");
        // Signing in is a proof: the gate of tokens asks for no other code.
        let (id, _) = browser.make("first", &["projects.read"]).await;
        app.later(11 * MINUTE).await;
        let review = browser.review("second", &["projects.read"]).await;
        let ask = browser.submit(&review.form("/console/tokens"), &[]).await;
        let without = browser.submit(&ask.form("/console/tokens"), &[("proof_password", PASSWORD)]).await;
        assert_eq!(without.heading(), "Confirm that it is you");
        let wrong = browser.submit(&ask.form("/console/tokens"), &[("proof_password", PASSWORD), ("proof_code", "000000")]).await;
        wrong.is(StatusCode::UNAUTHORIZED, "Confirm that it is you");
        let given = code_at(&secret, app.service.now());
        let made = browser.submit(&ask.form("/console/tokens"), &[("proof_password", PASSWORD), ("proof_code", &given)]).await;
        made.is(StatusCode::OK, "Copy the secret of second now");
        // Stopping never asks, with the gate on and off.
        app.later(11 * MINUTE).await;
        let page = browser.get(&format!("/console/tokens/{id}")).await;
        browser.submit(&page.form(&format!("/console/tokens/{id}/stop")), &[]).await.is(StatusCode::OK, "first is stopped");
        // What narrows asks here because the account wants a code for every change, as the API does.
        let other = &made.token_id();
        let path = format!("/console/tokens/{other}/change");
        let form = browser.get(&path).await.form(&path);
        let ask = browser.submit_only(&form, &[("alias", "renamed")]).await;
        ask.is(StatusCode::OK, "Confirm that it is you");
        let (status, _) = app.api(Method::GET, "/api/v1/ip", None, serde_json::Value::Null).await;
        assert_eq!(status, StatusCode::OK);
    }
}
