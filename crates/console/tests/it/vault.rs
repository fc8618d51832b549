//! The vault: names, one value after a step-up, a value set, a key deleted.

use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{App, MINUTE, PASSWORD, on_both};

const VALUE: &str = "line 1\r\n</textarea><script>alert(1)</script>";

/// A key of ada's, as the API gives it.
async fn read(app: &App, name: &str) -> (StatusCode, Value) {
    let session = app.api_session("ada").await;
    app.api(Method::GET, &format!("/api/v1/vault/keys/{name}"), Some(&session), Value::Null).await
}

on_both! {
    async fn a_value_is_set_shown_after_a_step_up_and_deleted(app: App) {
        let browser = app.signed_in("ada").await;
        browser.get("/console/vault").await.says("There is nothing in it.").says("0 bytes of 52.4 MB");
        let form = browser.get("/console/vault/set").await.form("/console/vault/set");
        let set = browser.submit(&form, &[("key", "db.password"), ("value", VALUE)]).await;
        set.is(StatusCode::OK, "Vault");
        set.says("The value is set.").says("db.password");
        assert!(!set.text.contains("line 1"));
        let stored = VALUE.replace("\r\n", "\n");
        assert_eq!(read(&app, "db.password").await.1["data"]["value"], json!(stored));

        let show = "/console/vault/keys/db.password/show";
        app.later(11 * MINUTE).await;
        let asked = browser.submit(&set.form(show), &[]).await;
        asked.is(StatusCode::OK, "Confirm that it is you");
        assert!(!asked.text.contains("line 1"));
        let shown = browser.submit_only(&asked.form(show), &[("proof_password", PASSWORD)]).await;
        shown.is(StatusCode::OK, "db.password");
        shown.says("line 1");
        assert!(shown.text.contains("&lt;/textarea&gt;&lt;script&gt;") && !shown.text.contains("<script>alert"), "{}", shown.text);
        assert_eq!(shown.headers[header::CACHE_CONTROL], "no-store");
        // Reloading shows no value.
        browser.open(show).await.is(StatusCode::OK, "Vault");

        let again = browser.get("/console/vault/set?key=db.password").await;
        assert!(again.text.contains("value=\"db.password\"") && !again.text.contains("line 1"));
        for (key, value, words) in [
            ("db password", "x", "key must have 1 to"),
            ("..", "x", "key must have 1 to"),
            ("db.password", "", "Give the value again"),
        ] {
            let wrong = browser.submit(&form, &[("key", key), ("value", value)]).await;
            wrong.is(StatusCode::UNPROCESSABLE_ENTITY, "Set a value");
            wrong.says(words).says("Nothing was stored.");
        }
        let long = "x".repeat(1_100_000);
        let wrong = browser.submit(&form, &[("key", "long"), ("value", &long)]).await;
        assert!(wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text.len() < 60_000);
        let page = browser.submit(&form, &[("key", "large"), ("value", &"y".repeat(40_000))]).await;
        let shown = browser.submit(&page.form("/console/vault/keys/large/show"), &[]).await;
        shown.says("It is too long to show here.").says("hoody vault get large > FILE");

        let ask = browser.get("/console/vault/keys/db.password/delete").await;
        ask.is(StatusCode::OK, "Delete db.password?");
        browser.submit(&ask.form("/console/vault/keys/db.password/delete"), &[]).await.says("The key is deleted.");
        assert_eq!(read(&app, "db.password").await.0, StatusCode::NOT_FOUND);
    }

    async fn nobody_reads_the_vault_of_others(app: App) {
        let ada = app.signed_in("ada").await;
        let form = ada.get("/console/vault/set").await.form("/console/vault/set");
        let page = ada.submit(&form, &[("key", "hers"), ("value", "her value")]).await;
        let bob = app.signed_in("bob").await;
        assert!(!bob.get("/console/vault").await.text.contains("hers"));
        for act in ["show", "delete"] {
            let path = format!("/console/vault/keys/hers/{act}");
            // A form of hers has the mark of her session.
            let mark = page.form("/console/vault/keys/hers/show").fields[0].1.clone();
            let resent = bob.post(&path, &[("mark", &mark)]).await;
            resent.is(StatusCode::FORBIDDEN, "This form is too old");
            let shown = bob.submit(&resent.form(&path), &[]).await;
            assert_eq!(shown.status, StatusCode::NOT_FOUND, "{act}: {}", shown.text);
        }
        assert_eq!(read(&app, "hers").await.1["data"]["value"], json!("her value"));
    }

    async fn the_list_goes_on_by_name(app: App) {
        let browser = app.signed_in("ada").await;
        let session = app.api_session("ada").await;
        for n in 0..70 {
            let path = format!("/api/v1/vault/keys/key-{n:02}");
            let body = json!({ "value": "x", "metadata": { "of": "<img src=x>" } });
            let (status, reply) = app.api(Method::PUT, &path, Some(&session), body).await;
            assert_eq!(status, StatusCode::CREATED, "{reply}");
        }
        let page = browser.get("/console/vault").await;
        page.says("key-49");
        assert!(!page.text.contains("key-50"));
        let next = browser.get("/console/vault?after=key-49").await;
        next.says("key-50").says("key-69");
        let shown = browser.submit(&page.form("/console/vault/keys/key-00/show"), &[]).await;
        shown.says("{\"of\":\"<img src=x>\"}");
        assert!(!shown.text.contains("<img"), "{}", shown.text);
    }
}
