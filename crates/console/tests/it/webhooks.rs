//! Webhooks: list, new, secret shown once, one, what was sent, change, delete.

use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{App, MINUTE, PASSWORD, Shown, on_both};

const URL: &str = "https://hooks.example.com/a-path";

/// The account's webhooks, as the API lists them.
async fn listed(app: &App) -> Vec<Value> {
    let session = app.api_session("ada").await;
    let (_, reply) = app.api(Method::GET, "/api/v1/webhooks", Some(&session), Value::Null).await;
    reply["data"].as_array().unwrap().clone()
}

fn secret(shown: &Shown) -> &str {
    let (_, rest) = shown.text.split_once("value=\"whsec_").unwrap_or_else(|| panic!("{}", shown.text));
    rest.split('"').next().unwrap()
}

on_both! {
    async fn a_webhook_is_made_once_tested_switched_changed_and_deleted(app: App) {
        let browser = app.signed_in("ada").await;
        browser.get("/console/webhooks").await.says("You have no webhook.");
        let form = browser.get("/console/webhooks/new").await.form("/console/webhooks");
        let filled = [("url", URL), ("description", "builds <b>"), ("types", "auth.token.*\r\nproject.created")];
        let made = browser.submit_only(&form, &filled).await;
        made.is(StatusCode::OK, "Copy the secret of builds &lt;b&gt; now");
        assert_eq!(made.headers[header::CACHE_CONTROL], "no-store");
        let first = secret(&made).to_owned();
        browser.submit(&form, &filled).await.is(StatusCode::OK, "Already made");
        let webhooks = listed(&app).await;
        assert_eq!(webhooks.len(), 1);
        assert_eq!(webhooks[0]["event_types"], json!(["auth.token.*", "project.created"]));
        let home = format!("/console/webhooks/{}", webhooks[0]["id"].as_str().unwrap());
        browser.get("/console/webhooks").await.says("builds <b>").says(URL).says("auth.token.*, project.created");

        let page = browser.get(&home).await;
        page.is(StatusCode::OK, "builds &lt;b&gt;");
        assert!(!page.text.contains(&first));
        let sent = browser.submit(&page.form(&format!("{home}/test")), &[]).await;
        sent.says("webhook.test").says("waiting");
        let off = browser.submit(&page.form(&format!("{home}/off")), &[]).await;
        off.says("It is off. Nothing is sent");
        assert_eq!(listed(&app).await[0]["is_enabled"], json!(false));
        // On again it sends, so that it is proven; off never is.
        app.later(11 * MINUTE).await;
        let on = format!("{home}/on");
        let asked = browser.submit(&off.form(&on), &[]).await;
        asked.is(StatusCode::OK, "Confirm that it is you");
        assert_eq!(listed(&app).await[0]["is_enabled"], json!(false));
        browser.submit(&asked.form(&on), &[("proof_password", PASSWORD)]).await.is(StatusCode::OK, "builds &lt;b&gt;");
        assert_eq!(listed(&app).await[0]["is_enabled"], json!(true));

        let change = format!("{home}/change");
        let form = browser.get(&change).await.form(&change);
        for (field, wrong, words) in [("url", "ftp://hooks.example.com", "url"), ("types", "no type!", "event_types")] {
            let shown = browser.submit(&form, &[(field, wrong)]).await;
            shown.is(StatusCode::UNPROCESSABLE_ENTITY, "Change builds &lt;b&gt;");
            shown.says(words).says("Nothing was changed.");
            assert!(shown.text.contains(wrong), "what was typed is kept: {}", shown.text);
        }
        browser.submit(&form, &[("types", ""), ("description", "")]).await.says("every event");
        assert_eq!(listed(&app).await[0]["event_types"], json!([]));

        let ask = browser.get(&format!("{home}/secret")).await;
        let shown = browser.submit(&ask.form(&format!("{home}/secret")), &[]).await;
        assert_ne!(secret(&shown), first);
        shown.says("messages are signed with the old secret, too");
        let ask = browser.get(&format!("{home}/delete")).await;
        browser.submit(&ask.form(&format!("{home}/delete")), &[]).await.says("You have no webhook.");
        browser.get(&home).await.is(StatusCode::NOT_FOUND, "There is no such thing here");
        assert!(listed(&app).await.is_empty());
    }

    async fn nobody_reaches_the_webhooks_of_others(app: App) {
        let ada = app.signed_in("ada").await;
        let form = ada.get("/console/webhooks/new").await.form("/console/webhooks");
        ada.submit(&form, &[("url", URL)]).await.says("Copy the secret of");
        let id = listed(&app).await[0]["id"].as_str().unwrap().to_owned();
        let bob = app.signed_in("bob").await;
        for part in ["", "/change", "/secret", "/delete"] {
            let shown = bob.get(&format!("/console/webhooks/{id}{part}")).await;
            shown.is(StatusCode::NOT_FOUND, "There is no such thing here");
        }
        let replay = format!("deliveries/{id}/replay");
        for act in ["test", "on", "off", "change", "secret", "delete", &replay] {
            let path = format!("/console/webhooks/{id}/{act}");
            let resent = bob.post(&path, &[("url", URL)]).await;
            resent.is(StatusCode::FORBIDDEN, "This form is too old");
            let shown = bob.submit(&resent.form(&path), &[]).await;
            assert_eq!(shown.status, StatusCode::NOT_FOUND, "{act}: {}", shown.text);
        }
        assert_eq!(listed(&app).await[0]["is_enabled"], json!(true));
        assert!(!bob.get("/console/webhooks").await.text.contains("hooks.example.com"));
    }
}
