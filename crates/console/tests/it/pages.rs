//! What holds for every page: its size, its forms, its headers, and that it is whole.

use std::collections::BTreeSet;

use http::{Method, StatusCode, header};
use serde_json::json;

use crate::support::on_both;

on_both! {
    async fn every_page_is_small_and_has_nothing_inline(app: App) {
        let browser = app.signed_in("ada").await;
        let session = app.api_session("ada").await;
        for n in 0..60 {
            let body = json!({ "alias": format!("token {n}"), "permission_template": "dev_team", "ip_whitelist": ["10.0.0.0/8", "203.0.113.7"] });
            app.api(Method::POST, "/api/v1/auth/tokens", Some(&session), body).await;
        }
        let id = app.tokens("ada").await[0]["id"].as_str().unwrap().to_owned();
        let one = |part: &str| format!("/console/tokens/{id}{part}");
        let stranger = app.browser();
        let mut pages = vec![("sign in".to_owned(), stranger.get("/console/sign-in").await)];
        for path in ["/console".to_owned(), "/console/tokens".to_owned(), "/console/tokens/new".to_owned(), "/console/account".to_owned(), "/console/account/password".to_owned(), "/console/account/second-factor".to_owned(), "/console/log".to_owned(), "/console/alerts".to_owned(), "/console/alerts?show=all&page=3".to_owned(), "/console/stop".to_owned(), "/console/stop/all".to_owned(), "/console/events".to_owned(), "/console/permissions".to_owned(), "/console/webhooks".to_owned(), "/console/webhooks/new".to_owned(), "/console/vault".to_owned(), "/console/vault/set".to_owned(), one(""), one("?view=limits"), one("?view=made"), one("?days=365"), one("/change"), one("/delete"), "/console/none".to_owned()] {
            let shown = browser.get(&path).await;
            pages.push((path, shown));
        }
        pages.push(("review".to_owned(), browser.review("new one", &["projects.read"]).await));
        for (path, shown) in pages {
            let text = &shown.text;
            assert!(text.len() < 60_000, "{path}: {} bytes", text.len());
            for inline in [" style=", " onclick=", " onload=", "<style", "javascript:", "http://www.w3.org"] {
                assert!(!text.contains(inline), "{path}: {inline}");
            }
            assert_eq!(text.matches("<h1>").count(), 1, "{path}");
            assert_eq!(text.matches("<script ").count(), 1, "{path}");
            for form in shown.forms() {
                assert!(form.action.starts_with("/console/"), "{path}: {form:?}");
                let needs_mark = !form.action.starts_with("/console/sign-in");
                let has_mark = form.fields.iter().any(|(name, value)| name == "mark" && value.len() > 64);
                assert_eq!(has_mark, needs_mark, "{path}: {form:?}");
            }
            let ids: Vec<_> = text.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
            assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{path}: {ids:?}");
            assert_eq!(shown.headers[header::CACHE_CONTROL], "no-store", "{path}");
        }
    }

    async fn the_style_sheet_and_the_script_are_kept_by_browsers(app: App) {
        let page = app.browser().get("/console/sign-in").await;
        let found: Vec<_> = page.text.split('"').filter(|part| part.starts_with("/console/a/")).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        for path in found {
            let shown = app.browser().get(path).await;
            assert_eq!(shown.status, StatusCode::OK);
            assert_eq!(shown.headers[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
            let packed = app.browser().with("accept-encoding", Some("gzip, br")).get(path).await;
            assert_eq!(packed.headers[header::CONTENT_ENCODING], "gzip");
        }
        let old = app.browser().get("/console/a/0000000000000000/console.css").await;
        assert_eq!(old.status, StatusCode::NOT_FOUND);
        // Pages are never packed: they have secrets beside what was typed.
        let page = app.browser().with("accept-encoding", Some("gzip, br")).get("/console/sign-in").await;
        assert!(!page.headers.contains_key(header::CONTENT_ENCODING));
    }
}
