//! What was done to other consoles, tried on this one.

use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{Browser, ORIGIN, PASSWORD, Shown, on_both};

/// Every address that a form of the console is sent to.
fn posts(id: &str) -> Vec<String> {
    let mut paths: Vec<String> = [
        "/console/sign-in",
        "/console/sign-in/code",
        "/console/sign-out",
        "/console/tokens",
        "/console/tokens/review",
        "/console/account/sessions/end-all",
        "/console/stop/all",
        "/console/account/password",
        "/console/account/second-factor",
        "/console/account/second-factor/on",
        "/console/account/second-factor/off",
        "/console/webhooks",
        "/console/vault/set",
        "/console/vault/keys/db.password/show",
        "/console/vault/keys/db.password/delete",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend(["stop", "start", "delete", "change"].map(|act| format!("/console/tokens/{id}/{act}")));
    paths.push(format!("/console/account/sessions/{id}/end"));
    paths.extend(["acknowledge", "dismiss"].map(|act| format!("/console/alerts/{id}/{act}")));
    let acts = ["change", "test", "on", "off", "secret", "delete"];
    paths.extend(acts.map(|act| format!("/console/webhooks/{id}/{act}")));
    paths.push(format!("/console/webhooks/{id}/deliveries/{id}/replay"));
    paths
}

/// Every page.
fn gets(id: &str) -> Vec<String> {
    let mut paths: Vec<String> = [
        "/console",
        "/console/tokens",
        "/console/tokens/new",
        "/console/account",
        "/console/account/password",
        "/console/account/second-factor",
        "/console/log",
        "/console/alerts",
        "/console/stop",
        "/console/stop/all",
        "/console/events",
        "/console/permissions",
        "/console/webhooks",
        "/console/webhooks/new",
        "/console/vault",
        "/console/vault/set",
        "/console/vault/keys/db.password/delete",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend(["", "/delete", "/change", "/first-use"].map(|part| format!("/console/tokens/{id}{part}")));
    paths.extend(["", "/delete", "/change", "/secret"].map(|part| format!("/console/webhooks/{id}{part}")));
    paths
}

/// A page or a form that is added is attacked like the rest, or this fails.
#[test]
fn every_route_is_among_those_that_are_attacked() {
    let (posts, gets) = (posts("{id}"), gets("{id}"));
    let source = include_str!("../../src/lib.rs");
    let mut found = 0;
    for route in source.split(".route(").skip(1) {
        let Some((path, handlers)) =
            route.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"'))
        else {
            continue;
        };
        let handlers = handlers.split(".layer(").next().unwrap().split(".merge(").next().unwrap();
        if path == "/" || path.contains("/a/") || path.contains('*') {
            continue;
        }
        let path = path.replace("{delivery_id}", "{id}").replace("{key}", "db.password");
        let is_act = handlers.contains("post(");
        assert_eq!(posts.contains(&path), is_act, "{path}: an act that is missing in posts(), or none");
        let is_page =
            handlers.contains("get(") && !["::go_", "::begin_again"].iter().any(|led| handlers.contains(led));
        assert!(
            !is_page || gets.contains(&path) || path.ends_with("/sign-in"),
            "{path} is missing in gets()"
        );
        found += 1;
    }
    assert!(found >= 40, "{found} routes were read");
}

fn policy(shown: &Shown) -> &str {
    shown.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap()
}

on_both! {
    async fn a_form_of_another_origin_is_refused_everywhere(app: App) {
        let browser = app.signed_in("ada").await;
        let (id, _) = browser.make("ci", &["projects.read"]).await;
        let page = browser.get(&format!("/console/tokens/{id}")).await;
        let stop = page.form(&format!("/console/tokens/{id}/stop"));
        let foreign = |site: Option<&str>, origin: Option<&str>| browser.with("sec-fetch-site", site).with("origin", origin);
        let attackers: Vec<Browser> = vec![
            foreign(Some("cross-site"), Some("https://evil.example")),
            // A neighbour: another port of the host, or another name below it. The cookie is sent, strict or not.
            foreign(Some("same-site"), Some("https://auth.example.com:8443")),
            foreign(Some("same-site"), Some("https://evil.auth.example.com")),
            foreign(Some("none"), None),
            // Over plain HTTP there is no Sec-Fetch-Site, and a foreign page's origin arrives as null, too.
            foreign(None, Some("null")),
            foreign(None, None),
            foreign(None, Some("https://auth.example.com.evil.example")),
            foreign(None, Some("http://auth.example.com")),
            foreign(None, Some("https://auth.example.com:8443")),
        ];
        for attacker in &attackers {
            for path in posts(&id) {
                let shown = attacker.post(&path, &[("mark", &stop.fields[0].1), ("name", "ada"), ("password", PASSWORD)]).await;
                shown.is(StatusCode::FORBIDDEN, "Sent from another site");
                shown.says("--public-url").says(ORIGIN);
            }
            attacker.submit(&stop, &[]).await.is(StatusCode::FORBIDDEN, "Sent from another site");
        }
        assert_eq!(app.tokens("ada").await[0]["is_enabled"], json!(true));
        // A browser that says nothing but the right origin is ours.
        let plain = browser.with("sec-fetch-site", None);
        plain.submit(&stop, &[]).await.is(StatusCode::OK, "ci is stopped");
    }

    async fn nothing_is_done_without_the_mark_of_this_session_and_this_address(app: App) {
        let browser = app.signed_in("ada").await;
        let (id, _) = browser.make("ci", &["projects.read"]).await;
        let page = browser.get(&format!("/console/tokens/{id}")).await;
        let stop = page.form(&format!("/console/tokens/{id}/stop"));
        let mark = stop.fields.iter().find(|(name, _)| name == "mark").unwrap().1.clone();
        let other = app.browser();
        other.sign_in("ada").await;
        let foreign = other.get(&format!("/console/tokens/{id}")).await.form(&stop.action).fields[0].1.clone();
        let (hour, digest) = mark.split_once('.').unwrap();
        let next = (hour.parse::<i64>().unwrap() + 1).to_string();
        for wrong in ["", "x", &foreign, digest, &format!("{next}.{digest}"), &format!("{hour}.{}", "0".repeat(64))] {
            for path in posts(&id).iter().filter(|path| !path.starts_with("/console/sign-in")) {
                let shown = browser.post(path, &[("mark", wrong)]).await;
                shown.is(StatusCode::FORBIDDEN, "This form is too old");
            }
        }
        // One form's mark is no other's.
        let shown = browser.post(&format!("/console/tokens/{id}/delete"), &[("mark", &mark)]).await;
        shown.is(StatusCode::FORBIDDEN, "This form is too old");
        assert_eq!(app.tokens("ada").await[0]["is_enabled"], json!(true));
    }

    async fn nobody_without_a_session_sees_or_does_anything(app: App) {
        let browser = app.signed_in("ada").await;
        let (id, _) = browser.make("ci", &["projects.read"]).await;
        let stranger = app.browser();
        for path in gets(&id) {
            let shown = stranger.get(&path).await;
            assert_eq!(shown.status, StatusCode::SEE_OTHER, "{path}");
            assert!(shown.headers[header::LOCATION].to_str().unwrap().starts_with("/console/sign-in"), "{path}");
            assert!(!shown.text.contains("ci"), "{path}");
        }
        for path in posts(&id).iter().filter(|path| !path.starts_with("/console/sign-in")) {
            stranger.post(path, &[("alias", "x")]).await.is(StatusCode::UNAUTHORIZED, "Sign in");
        }
        // The console does not read Authorization, and the API does not read the cookie.
        let session = app.api_session("ada").await;
        let bearer = format!("Bearer {session}");
        stranger.with("authorization", Some(&bearer)).open("/console").await.is(StatusCode::OK, "Sign in");
        let shown = browser.get("/api/v1/users/auth/me").await;
        assert_eq!(shown.status, StatusCode::UNAUTHORIZED);
    }

    async fn a_get_changes_nothing_and_a_secret_is_in_no_address(app: App) {
        let browser = app.signed_in("ada").await;
        let (id, secret) = browser.make("ci", &["projects.read"]).await;
        let feed = "SELECT pos AS n FROM feed_head";
        let before = app.service.number(feed).await;
        for path in gets(&id) {
            let shown = browser.get(&path).await;
            assert!(!shown.text.contains(&secret), "{path}");
        }
        for path in posts(&id) {
            browser.get(&path).await;
        }
        browser.get(&format!("/console/tokens/{id}/stop?wait=all&mark=x")).await;
        assert_eq!(app.service.number(feed).await, before);
        // The one answer that has it is no redirect, and is kept nowhere.
        let review = browser.review("other", &["projects.read"]).await;
        let made = browser.submit_only(&review.form("/console/tokens"), &[]).await;
        assert!(made.status == StatusCode::OK && !made.headers.contains_key(header::LOCATION));
        assert_eq!(made.headers[header::CACHE_CONTROL], "no-store");
    }

    async fn what_strangers_call_themselves_is_text(app: App) {
        let browser = app.signed_in("ada").await;
        let (id, secret) = browser.make("ci", &["projects.read"]).await;
        let markup = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
        // The browser's name of another session, and what it asks for.
        let other = app.browser().with("user-agent", Some(markup));
        other.sign_in("ada").await;
        let path = "/api/v1/auth/check?permission=projects.read";
        app.api(Method::GET, path, Some(&secret), Value::Null).await;
        let mut pages = gets(&id);
        pages.push(format!("/console/tokens?q={}", crate::support::encode(markup)));
        pages.push(format!("/console/stop?q={}", crate::support::encode(markup)));
        pages.push(format!("/console/tokens/new?alias={}&ip={}", crate::support::encode(markup), crate::support::encode(markup)));
        for address in ["/console/events?type=", "/console/vault?after=", "/console/vault/set?key=", "/console/vault/keys/", "/console/webhooks/", "/console/"] {
            pages.push(format!("{address}{}", crate::support::encode(markup)));
        }
        for path in pages {
            let shown = browser.get(&path).await;
            let text = &shown.text;
            assert!(!text.contains("<script>") && !text.contains("<img") && !text.contains("\"'>"), "{path}: {text}");
            let policy = policy(&shown);
            assert!(policy.contains("script-src 'self';") && policy.contains("trusted-types 'none'") && !policy.contains("unsafe"), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"));
            assert_eq!(shown.headers["x-frame-options"], "DENY");
            assert_eq!(shown.headers["referrer-policy"], "same-origin");
        }
        // What is typed wrong comes back as text, too.
        let form = browser.get("/console/tokens/new").await.form("/console/tokens/review");
        let shown = browser.submit(&form, &[("alias", markup), ("from", markup), ("realms", markup), ("date", markup)]).await;
        assert!(shown.status == StatusCode::UNPROCESSABLE_ENTITY && !shown.text.contains("<img"), "{}", shown.text);
        browser.get("/console/account").await.says(markup);
    }

    async fn only_our_own_pages_are_led_to(app: App) {
        app.account("ada").await;
        for next in ["https://evil.example/", "//evil.example", "/\\evil.example", "/console//evil.example", "/console\\@evil.example", "javascript:alert(1)", "/device", "/console/\r\nx: y"] {
            let browser = app.browser();
            let page = browser.get(&format!("/console/sign-in?next={}", crate::support::encode(next))).await;
            page.is(StatusCode::OK, "Sign in");
            assert!(!page.text.contains("evil"), "{next}: {}", page.text);
            let form = page.form("/console/sign-in");
            let shown = browser.submit_only(&form, &[("name", "ada"), ("password", PASSWORD), ("next", next)]).await;
            assert_eq!(shown.headers[header::LOCATION], "/console", "{next}");
            let kept = browser.submit_only(&form, &[("name", "ada"), ("password", PASSWORD), ("keep-to", next), ("keep.x", "1")]).await;
            assert_eq!(kept.status, StatusCode::SEE_OTHER, "{next}: {}", kept.text);
        }
    }

    async fn a_cookie_that_was_planted_is_nobodys(app: App) {
        app.account("ada").await;
        let browser = app.browser();
        let planted = "a5".repeat(32);
        browser.cookies.borrow_mut().insert("__Host-hoody_console".to_owned(), planted.clone());
        browser.open("/console").await.is(StatusCode::OK, "Sign in");
        browser.sign_in("ada").await;
        assert_ne!(browser.cookies.borrow()["__Host-hoody_console"], planted, "signing in gives a new one");
        // The name without a prefix counts only where there is no TLS.
        let value = browser.cookies.borrow()["__Host-hoody_console"].clone();
        let thief = app.browser();
        thief.cookies.borrow_mut().insert("hoody_console".to_owned(), value);
        thief.open("/console").await.is(StatusCode::OK, "Sign in");
    }

    async fn another_host_is_another_site(app: App) {
        let browser = app.signed_in("ada").await;
        for host in ["evil.example", "auth.example.com.evil.example", "203.0.113.9", "0.0.0.0"] {
            let shown = browser.with("host", Some(host)).get("/console").await;
            shown.is(StatusCode::MISDIRECTED_REQUEST, "The console is not here");
            shown.says(ORIGIN);
        }
        for host in ["localhost:8080", "127.0.0.1", "auth.example.com:443", "AUTH.example.com"] {
            browser.with("host", Some(host)).get("/console").await.is(StatusCode::OK, "Overview");
        }
        let realm = browser.with("host", Some("aaaaaaaaaaaaaaaaaaaaaaaa.api.localhost")).get("/console/tokens").await;
        assert_eq!(realm.headers[header::LOCATION], "https://auth.example.com/console");
        // A link in a mail: the browser keeps the strict cookie back, and asks again from a page of ours.
        let mailed = app.browser().with("sec-fetch-site", Some("cross-site")).get("/console/tokens?state=working").await;
        mailed.is(StatusCode::OK, "One moment");
        assert!(mailed.text.contains("content=\"0;url=/console/tokens?state=working\""), "{}", mailed.text);
    }

    async fn a_wrong_password_counts_as_everywhere_and_a_flood_is_told(app: App) {
        app.account("ada").await;
        let browser = app.browser();
        let form = browser.get("/console/sign-in").await.form("/console/sign-in");
        for _ in 0..100 {
            browser.submit(&form, &[("name", "ada"), ("password", "not her password")]).await.is(StatusCode::UNAUTHORIZED, "Sign in");
        }
        let shown = browser.submit(&form, &[("name", "ada"), ("password", PASSWORD)]).await;
        shown.is(StatusCode::TOO_MANY_REQUESTS, "Sign in");
        shown.says("Too many tries. Try again in 30 minutes.");
        assert!(shown.headers.contains_key(header::RETRY_AFTER));
    }

    async fn forms_that_are_none_get_a_page(app: App) {
        let browser = app.signed_in("ada").await;
        let long = "x".repeat(20_000);
        let stranger = app.browser();
        let shown = stranger.post("/console/sign-in", &[("name", &long), ("password", PASSWORD)]).await;
        assert_eq!(shown.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(!shown.text.contains("{\""), "{}", shown.text);
        for (name, password) in [("", PASSWORD), ("ada", ""), ("ada\u{0}", PASSWORD), ("a@", "short")] {
            stranger.post("/console/sign-in", &[("name", name), ("password", password)]).await.is(StatusCode::UNAUTHORIZED, "Sign in");
        }
        stranger.post("/console/sign-in/code", &[("temp_token", "x"), ("code", "123456")]).await.says("That took too long. Sign in again.");
        let form = browser.get("/console/tokens/new").await.form("/console/tokens/review");
        let shown = browser.submit(&form, &[("alias", &long), ("from", &long), ("do", "")]).await;
        shown.is(StatusCode::UNPROCESSABLE_ENTITY, "New token");
        browser.get("/console/nothing/here").await.is(StatusCode::NOT_FOUND, "There is no such page");
    }

    async fn a_database_that_is_gone_is_told_on_a_page(app: App) {
        let browser = app.signed_in("ada").await;
        app.service.cut_database().await;
        for path in ["/console", "/console/tokens", "/console/account"] {
            let shown = browser.get(path).await;
            shown.is(StatusCode::SERVICE_UNAVAILABLE, "The server cannot answer now");
        }
    }
}
