//! What is answered before the router is answered as the router would.

use std::net::SocketAddr;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;

use crate::support::{HERE, Minted, REALM_A, TestApp, on_both};

const CHECK: &str = "/api/v1/auth/check";

type Headers = Vec<(&'static str, String)>;

fn request(method: &str, target: &str, headers: &Headers) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request.body(Body::empty()).unwrap()
}

/// Sends it both ways; the status, and whether it was hot.
async fn both(app: &TestApp, method: &str, target: &str, headers: &Headers) -> (StatusCode, bool) {
    let peer = SocketAddr::new(HERE.parse().unwrap(), 40_000);
    let is_hot = app.service.is_hot(peer, &request(method, target, headers));
    let mut answers = Vec::new();
    for response in [
        app.service.call(peer, request(method, target, headers)).await,
        app.service.call_router(peer, request(method, target, headers)).await,
    ] {
        let status = response.status();
        answers.push((status, response.into_body().collect().await.unwrap().to_bytes()));
    }
    assert_eq!(answers[0], answers[1], "{method} {target} {headers:?}");
    (answers[0].0, is_hot)
}

fn bearer(token: &Minted) -> Headers {
    vec![("host", "api.localhost".to_owned()), ("authorization", format!("Bearer {}", token.secret))]
}

fn with(headers: &Headers, name: &'static str, value: &str) -> Headers {
    let mut headers: Headers = headers.iter().filter(|(known, _)| *known != name).cloned().collect();
    headers.push((name, value.to_owned()));
    headers
}

on_both! {
    async fn what_is_hot_is_answered_as_the_router_does(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "permissions": { "projects": { "read": true } } })).await;
        let good = bearer(&token);
        let query = format!("{CHECK}?permission=projects.read");
        assert_eq!(both(&app, "GET", CHECK, &good).await, (StatusCode::NO_CONTENT, false), "not known yet");
        for target in [CHECK, query.as_str()] {
            assert_eq!(both(&app, "GET", target, &good).await, (StatusCode::NO_CONTENT, true), "{target}");
        }
        let bare = with(&good, "authorization", &token.secret);
        let realm = with(&good, "host", &format!("{REALM_A}.api.localhost"));
        let session = with(&good, "authorization", &format!("Bearer {}", owner.credential.as_deref().unwrap()));
        let lower = with(&good, "authorization", &format!("bEARER {}", token.secret));
        let absolute = format!("http://api.localhost{query}");
        for (target, headers) in [(query.as_str(), &bare), (&query, &realm), (&query, &session), (&query, &lower), (&absolute, &good)] {
            both(&app, "GET", target, headers).await;
            assert_eq!(both(&app, "GET", target, headers).await, (StatusCode::NO_CONTENT, true), "{headers:?}");
        }
        // What is not plain, or not allowed, is the router's, which says why.
        for (method, target, status) in [
            ("HEAD", CHECK.to_owned(), 204),
            ("POST", CHECK.to_owned(), 405),
            ("GET", format!("{CHECK}/"), 204),
            ("GET", format!("{CHECK}?permission=projects%2Eread"), 204),
            ("GET", format!("{CHECK}?permission=projects.create"), 403),
            ("GET", format!("{CHECK}?permission=nothing.such"), 400),
            ("GET", format!("{CHECK}?permission=projects.read&permission=projects.read"), 400),
            ("GET", format!("{CHECK}?other=1"), 400),
            ("GET", format!("{CHECK}?permissions=projects.read"), 400),
            ("GET", format!("{CHECK}?permission=projects.read&other=1"), 400),
        ] {
            let (found, is_hot) = both(&app, method, &target, &good).await;
            assert_eq!((found.as_u16(), is_hot), (status, false), "{method} {target}");
        }
        let mut twice = good.clone();
        twice.push(("authorization", format!("Bearer {}", token.secret)));
        let mut two_hosts = good.clone();
        two_hosts.push(("host", "api.localhost".to_owned()));
        for (headers, status) in [
            (twice, 401),
            (two_hosts, 400),
            (good.iter().filter(|(name, _)| *name != "host").cloned().collect(), 400),
            (with(&good, "authorization", &format!("bearer{}", token.secret)), 401),
            (with(&good, "authorization", &format!("Bearer {}x", token.secret)), 401),
            (with(&good, "host", &format!("{REALM_A}.elsewhere.test")), 400),
            (with(&good, "host", "a b"), 400),
        ] {
            let (found, is_hot) = both(&app, "GET", &query, &headers).await;
            assert_eq!((found.as_u16(), is_hot), (status, false), "{headers:?}");
        }
    }

    async fn what_was_hot_is_refused_with_the_next_request(app: TestApp) {
        let owner = app.user("ada").await;
        let query = format!("{CHECK}?permission=projects.read");
        for change in [
            json!({ "is_enabled": false }),
            json!({ "permissions": {} }),
            json!({ "ip_whitelist": ["10.0.0.0/8"] }),
            json!({ "realm_ids": [REALM_A] }),
        ] {
            let token = owner.mint(json!({})).await;
            let headers = bearer(&token);
            both(&app, "GET", &query, &headers).await;
            assert_eq!(both(&app, "GET", &query, &headers).await, (StatusCode::NO_CONTENT, true));
            owner.patch(&format!("/api/v1/auth/tokens/{}", token.id), change.clone()).await.expect(StatusCode::OK);
            let (status, is_hot) = both(&app, "GET", &query, &headers).await;
            assert!(!status.is_success() && !is_hot, "{change}: {status}");
        }
    }

    async fn time_and_staleness_count_on_the_hot_way_too(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "expires_at": "2026-03-02T09:20:42.118Z" })).await;
        let headers = bearer(&token);
        both(&app, "GET", CHECK, &headers).await;
        assert_eq!(both(&app, "GET", CHECK, &headers).await, (StatusCode::NO_CONTENT, true));
        // Not fresh: the database is asked.
        app.service.advance(800);
        assert_eq!(both(&app, "GET", CHECK, &headers).await, (StatusCode::NO_CONTENT, false));
        assert!(app.service.poll().await);
        assert_eq!(both(&app, "GET", CHECK, &headers).await, (StatusCode::NO_CONTENT, true));
        app.later(5 * 60_000 - 800).await;
        assert_eq!(both(&app, "GET", CHECK, &headers).await, (StatusCode::UNAUTHORIZED, false));
    }

    async fn a_hot_answer_counts_as_a_use(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let headers = bearer(&token);
        both(&app, "GET", CHECK, &headers).await;
        app.later(60_000).await;
        assert_eq!(both(&app, "GET", CHECK, &headers).await, (StatusCode::NO_CONTENT, true));
        app.service.flush_usage().await;
        let shown = owner.get(&format!("/api/v1/auth/tokens/{}", token.id)).await;
        assert_eq!(shown.data()["last_used_at"], "2026-03-02T09:16:42.118Z");
        assert_eq!(shown.data()["last_used_ip"], HERE);
    }
}
