//! What bad input gets: the contract's status and code, a message that names field and rule, and nothing
//! changed. Never a 500.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::openapi::{filled, operations};
use crate::support::{Client, PASSWORD, REALM_A, Reply, on_both};

const TOKENS: &str = "/api/v1/auth/tokens";
const LOGIN: &str = "/api/v1/users/auth/login";
const REFRESH: &str = "/api/v1/users/auth/refresh";
const LOGOUT: &str = "/api/v1/users/auth/logout";
const PROFILE: &str = "/api/v1/auth/tokens/me/public-profile";
const NOBODY: &str = "000000000000000000000000";

/// Fails the test unless a refusal has all four keys of its envelope, as JSON.
#[track_caller]
fn assert_envelope(reply: &Reply, what: &str) {
    assert_eq!(reply.body["statusCode"], reply.status.as_u16(), "{what}: {}", reply.text);
    for key in ["error", "message", "code"] {
        assert!(
            reply.body[key].as_str().is_some_and(|text| !text.is_empty()),
            "{what} has no {key}: {}",
            reply.text
        );
    }
    assert_eq!(reply.headers["content-type"], "application/json", "{what}");
    assert!(reply.headers.contains_key("x-request-id"), "{what}");
    assert!(reply.text.len() < 8_192, "{what} is answered at length");
}

/// `size` bytes that begin a JSON string and never end it, in pieces, with nothing said of their length.
fn pieces(size: usize) -> Body {
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    let count = size / piece.len() + 1;
    let first = Bytes::from_static(b"{\"alias\": \"");
    let pieces = std::iter::once(first).chain(std::iter::repeat_n(piece, count));
    Body::from_stream(futures_util::stream::iter(pieces.map(Ok::<_, Infallible>)))
}

async fn send(client: &Client, method: &Method, path: &str, body: &str) -> Reply {
    client.send(method.clone(), path, body.as_bytes().to_vec()).await
}

on_both! {
    async fn what_is_not_strict_json_is_refused(app: TestApp) {
        let user = app.user("ada").await;
        let this = format!("/api/v1/users/{}", user.account().await);
        let token = user.mint(json!({})).await;
        let that = format!("{TOKENS}/{}", token.id);
        let deep = format!("{{\"public_storage\":{}1{}}}", "{\"a\":".repeat(64), "}".repeat(64));
        let before = user.get(TOKENS).await.text;
        for body in [
            "{",
            "nul",
            "{\"alias\":\"a\"",
            "{'alias':'a'}",
            "{\"alias\":\"a\",}",
            "{} {}",
            "{}x",
            "alias=a",
            "<alias>a</alias>",
            "\u{feff}{}",
            "{\"alias\":\"\t\"}",
            "{\"alias\":\"\\ud800\"}",
            "{\"expires_at\":01}",
            "{\"expires_at\":1e999}",
            "{\"expires_at\":NaN}",
            "// {}",
            "\"",
            // A key twice has two readings, however it is written.
            "{\"alias\":\"a\",\"alias\":\"b\"}",
            "{\"alias\":\"a\",\"\\u0061lias\":\"b\"}",
            "{\"permissions\":{\"projects\":{\"read\":false,\"read\":true}}}",
            "{\"otp_code\":null,\"otp_code\":null}",
            deep.as_str(),
        ] {
            for (method, path) in [
                (Method::POST, TOKENS.to_owned()),
                (Method::PUT, that.clone()),
                (Method::PATCH, that.clone()),
                (Method::POST, format!("{that}/copy")),
                (Method::POST, format!("{that}/add-realm")),
                (Method::POST, format!("{that}/remove-realm")),
                (Method::PUT, this.clone()),
                (Method::POST, LOGIN.to_owned()),
                (Method::POST, REFRESH.to_owned()),
            ] {
                let reply = send(&user, &method, &path, body).await;
                reply.refused(400, "VALIDATION_ERROR");
                assert_envelope(&reply, &format!("{method} {path} {body}"));
            }
            send(&token.client, &Method::PUT, PROFILE, body).await.refused(400, "VALIDATION_ERROR");
        }
        let not_text = user.send(Method::POST, TOKENS, b"{\"alias\":\"\xff\"}".to_vec()).await;
        not_text.refused(400, "VALIDATION_ERROR");
        assert_eq!(user.get(TOKENS).await.text, before, "nothing was made or changed");
    }

    async fn the_deepest_json_that_is_read_has_64_levels(app: TestApp) {
        let user = app.user("ada").await;
        let nested = |levels: usize| {
            format!("{{\"public_storage\":{}1{}}}", "{\"a\":".repeat(levels), "}".repeat(levels))
        };
        send(&user, &Method::POST, TOKENS, &nested(63)).await.expect(StatusCode::CREATED);
        send(&user, &Method::POST, TOKENS, &nested(64)).await.refused(400, "VALIDATION_ERROR");
    }

    async fn a_body_without_a_credential_is_small(app: TestApp) {
        let user = app.user("ada").await;
        let large = format!("{{\"x\": \"{}\"}}", "x".repeat(16 * 1024));
        for (method, path) in operations() {
            if !matches!(method, Method::POST | Method::PUT | Method::PATCH) {
                continue;
            }
            let path = filled(&path, NOBODY);
            let reply = send(&app.anon(), &method, &path, &large).await;
            assert!(matches!(reply.status.as_u16(), 401 | 413), "{method} {path}: {}", reply.text);
            let reply = app.anon().send_body(method.clone(), &path, pieces(20_000)).await;
            assert!(matches!(reply.status.as_u16(), 401 | 413), "{method} {path}: {}", reply.text);
        }
        for path in ["/device/code", "/verify-email", "/reset-password"] {
            let form = format!("x={}", "x".repeat(16 * 1024));
            let form_type = app.anon().header("content-type", "application/x-www-form-urlencoded");
            assert_eq!(send(&form_type, &Method::POST, path, &form).await.status.as_u16(), 400, "{path}");
        }
        // With one, a whole list of addresses is a body.
        let reply = send(&user, &Method::POST, TOKENS, &large).await;
        assert_eq!(reply.status.as_u16(), 422, "{}", reply.text);
    }

    async fn a_body_that_is_too_large_is_refused_before_it_is_read(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        let that = format!("{TOKENS}/{}", token.id);
        let this = format!("/api/v1/users/{}", user.account().await);
        let whole = format!("{{\"alias\":\"{}\"}}", "x".repeat(20_000_000));
        for (method, path) in [
            (Method::POST, TOKENS.to_owned()),
            (Method::PUT, that.clone()),
            (Method::POST, format!("{that}/copy")),
            (Method::POST, format!("{that}/add-realm")),
            (Method::PUT, this),
            (Method::POST, LOGIN.to_owned()),
            (Method::POST, REFRESH.to_owned()),
        ] {
            // In pieces whose sum nobody announced.
            let reply = user.send_body(method.clone(), &path, pieces(20_000_000)).await;
            reply.refused(413, "PAYLOAD_TOO_LARGE");
            assert_envelope(&reply, &path);
            // Announced, and then sent or not.
            let announced = user.header("content-length", "20000000");
            announced.send_body(method, &path, Body::empty()).await.refused(413, "PAYLOAD_TOO_LARGE");
        }
        send(&user, &Method::POST, TOKENS, &whole).await.refused(413, "PAYLOAD_TOO_LARGE");
        // The limit is 2 MiB to the byte; what is not JSON below it is just that.
        let limit = 2 * 1024 * 1024;
        send(&user, &Method::POST, TOKENS, &"x".repeat(limit)).await.refused(400, "VALIDATION_ERROR");
        send(&user, &Method::POST, TOKENS, &"x".repeat(limit + 1)).await.refused(413, "PAYLOAD_TOO_LARGE");
        let spaced = format!("{{{}}}", " ".repeat(limit - 2));
        send(&user, &Method::POST, TOKENS, &spaced).await.expect(StatusCode::CREATED);
        // Who may not come in learns that first.
        app.anon().send_body(Method::POST, TOKENS, pieces(20_000_000)).await.refused(401, "MISSING_TOKEN");
    }

    async fn a_value_of_the_wrong_type_is_named_by_its_place(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        let that = format!("{TOKENS}/{}", token.id);
        let this = format!("/api/v1/users/{}", user.account().await);
        for (path, body, places) in [
            (TOKENS, json!([]), &[""][..]),
            (TOKENS, json!(null), &[""]),
            (TOKENS, json!("x"), &[""]),
            (TOKENS, json!({ "alias": 5 }), &["/alias"]),
            (
                TOKENS,
                json!({ "public_key": false, "public_storage": "x" }),
                &["/public_key", "/public_storage"],
            ),
            (TOKENS, json!({ "ip_whitelist": 5 }), &["/ip_whitelist"]),
            (TOKENS, json!({ "ip_whitelist": ["*", 5, null] }), &["/ip_whitelist/1", "/ip_whitelist/2"]),
            (TOKENS, json!({ "permission_template": "FULL" }), &["/permission_template"]),
            (TOKENS, json!({ "permissions": [] }), &["/permissions"]),
            (
                TOKENS,
                json!({ "permissions": { "projects": { "read": 1 } } }),
                &["/permissions/projects/read"],
            ),
            (TOKENS, json!({ "permissions": { "projects": true } }), &["/permissions/projects"]),
            (TOKENS, json!({ "permissions": { "proj/ects~": {} } }), &["/permissions/proj~1ects~0"]),
            (TOKENS, json!({ "realm_ids": "x" }), &["/realm_ids"]),
            (TOKENS, json!({ "realm_ids": [REALM_A, {}] }), &["/realm_ids/1"]),
            (
                TOKENS,
                json!({ "allow_no_realm": "true", "vault_access": 1, "event_access": null }),
                &["/vault_access", "/allow_no_realm", "/event_access"],
            ),
            (TOKENS, json!({ "expires_at": {} }), &["/expires_at"]),
            (TOKENS, json!({ "deny_reauthorization": "yes" }), &["/deny_reauthorization"]),
            (TOKENS, json!({ "otp_code": 123_456 }), &["/otp_code"]),
            (&that, json!({ "is_enabled": "false" }), &["/is_enabled"]),
            (&that, json!({ "alias": null }), &["/alias"]),
            (&format!("{that}/copy"), json!({ "alias": [] }), &["/alias"]),
            (&format!("{that}/add-realm"), json!({ "realm_id": 5 }), &["/realm_id"]),
            (&this, json!({ "alias": {}, "metadata": 1 }), &["/alias", "/metadata"]),
            (LOGIN, json!({ "username": 5, "password": [] }), &["/username", "/password"]),
            (LOGIN, json!("x"), &[""]),
            (REFRESH, json!({ "refreshToken": { "$ne": "" } }), &["/refreshToken"]),
        ] {
            let is_update = path == that || path == this;
            let method = if is_update { Method::PUT } else { Method::POST };
            let reply = send(&user, &method, path, &body.to_string()).await;
            reply.refused(422, "VALIDATION_ERROR");
            assert_envelope(&reply, path);
            let violations = reply.data().as_array().unwrap();
            let named: Vec<_> =
                violations.iter().map(|violation| violation["instancePath"].as_str().unwrap()).collect();
            assert_eq!(named, places, "{body}");
            assert!(violations.iter().all(|violation| !violation["message"].as_str().unwrap().is_empty()));
            let first = format!("Validation failed: {} ", if places[0].is_empty() { "the body" } else { places[0] });
            assert!(reply.body["message"].as_str().unwrap().starts_with(&first), "{}", reply.text);
        }
    }

    async fn unknown_keys_are_refused_where_a_typo_would_widen_and_ignored_elsewhere(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        let that = format!("{TOKENS}/{}", token.id);
        for (client, method, path, body) in [
            (&user, Method::POST, TOKENS.to_owned(), json!({ "ip_whitlist": "10.0.0.1" })),
            (&user, Method::POST, TOKENS.to_owned(), json!({ "realm_id": REALM_A })),
            (&user, Method::PUT, that.clone(), json!({ "realm_id": REALM_A })),
            (&user, Method::PATCH, that.clone(), json!({ "permission_template": "read_only" })),
            (&user, Method::POST, format!("{that}/copy"), json!({ "realm_id": REALM_A })),
            (&user, Method::POST, format!("{that}/add-realm"), json!({ "realm_id": REALM_A, "x": 1 })),
            (&user, Method::POST, format!("{that}/remove-realm"), json!({ "realm_id": REALM_A, "x": 1 })),
            (&token.client, Method::PUT, PROFILE.to_owned(), json!({ "public_key": null, "x": 1 })),
        ] {
            let reply = send(client, &method, &path, &body.to_string()).await;
            reply.refused(422, "VALIDATION_ERROR");
            assert_eq!(reply.data()[0]["message"], "unknown key", "{path} {body}");
        }
        assert_eq!(user.get(TOKENS).await.data().as_array().unwrap().len(), 1);
        let login = app
            .anon()
            .post(LOGIN, json!({ "username": "ada", "password": PASSWORD, "remember": true }))
            .await;
        login.expect(StatusCode::OK);
        let refresh = json!({ "refreshToken": login.data()["refreshToken"], "device": { "x": 1 } });
        app.anon().post(REFRESH, refresh).await.expect(StatusCode::OK);
        let this = format!("/api/v1/users/{}", user.account().await);
        user.put(&this, json!({ "alias": "Ada", "theme": "dark" })).await.expect(StatusCode::OK);
    }

    async fn an_id_that_is_none_is_refused_on_every_route(app: TestApp) {
        let user = app.user("ada").await;
        let with_ids: Vec<_> = operations().into_iter().filter(|(_, path)| path.contains("id}")).collect();
        assert!(with_ids.len() >= 8, "{with_ids:?}");
        for (method, path) in with_ids {
            for id in [
                "x",
                &NOBODY[1..],
                &format!("{NOBODY}0"),
                "AAAAAAAAAAAAAAAAAAAAAAAA",
                "gggggggggggggggggggggggg",
                "%00",
                "%ff",
                "..",
                "%2e%2e%2f",
                "null",
                "undefined",
                "%7B%22$ne%22:1%7D",
                "1%27%20OR%201=1--",
                "%EF%BC%91",
                &"0".repeat(4_000),
            ] {
                let place = filled(&path, id);
                let reply = send(&user, &method, &place, "{}").await;
                reply.refused(400, "INVALID_ID_FORMAT");
                assert_envelope(&reply, &format!("{method} {place}"));
            }
        }
    }

    async fn put_and_patch_are_one(app: TestApp) {
        // What is set whole has no part to be patched.
        let is_whole = |path: &str| path == "/api/v1/gates/{name}" || path == "/api/v1/containers/{id}/network";
        let operations = operations();
        for (method, path) in operations.iter().filter(|(_, path)| !is_whole(path)) {
            let twin = match *method {
                Method::PUT => Method::PATCH,
                Method::PATCH => Method::PUT,
                _ => continue,
            };
            assert!(operations.contains(&(twin.clone(), path.clone())), "{twin} {path} is missing");
        }
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        for (client, path, body) in [
            (&user, format!("{TOKENS}/{}", token.id), json!({ "alias": "x" })),
            (&user, format!("/api/v1/users/{}", user.account().await), json!({ "alias": "x" })),
            (&token.client, PROFILE.to_owned(), json!({ "public_storage": {} })),
        ] {
            let put = client.put(&path, body.clone()).await;
            put.expect(StatusCode::OK);
            assert_eq!(client.patch(&path, body).await.body, put.body, "{path}");
        }
    }

    async fn bodies_and_content_types_are_taken_as_clients_send_them(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({ "alias": "ci" })).await;
        let copy = format!("{TOKENS}/{}/copy", token.id);
        for content_type in
            ["application/json", "application/x-www-form-urlencoded", "text/plain", "nonsense"]
        {
            let user = user.header("content-type", content_type);
            send(&user, &Method::POST, &copy, "").await.expect(StatusCode::CREATED);
            send(&user, &Method::POST, &copy, " \n").await.expect(StatusCode::CREATED);
            user.get(TOKENS).await.expect(StatusCode::OK);
            send(&user, &Method::GET, TOKENS, "{}").await.expect(StatusCode::OK);
            user.post(TOKENS, json!({})).await.expect(StatusCode::CREATED);
            send(&user, &Method::DELETE, &format!("{TOKENS}/{NOBODY}"), "")
                .await
                .refused(404, "TOKEN_NOT_FOUND");
            let login = app.anon().header("content-type", content_type);
            login
                .post(LOGIN, json!({ "username": "ada", "password": PASSWORD }))
                .await
                .expect(StatusCode::OK);
            token
                .client
                .header("content-type", content_type)
                .send(Method::POST, LOGOUT, Vec::new())
                .await
                .expect(StatusCode::OK);
        }
        // Form data is no JSON, whatever it is called.
        let form = app.anon().header("content-type", "application/x-www-form-urlencoded");
        send(&form, &Method::POST, LOGIN, "username=ada&password=x").await.refused(400, "VALIDATION_ERROR");
        let ended = send(&user, &Method::POST, LOGOUT, "").await;
        assert_eq!(ended.body, json!({ "statusCode": 200, "message": "Logout successful", "data": null }));
    }

    async fn a_trailing_slash_makes_no_difference(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        let (id, account) = (token.id.clone(), user.account().await);
        for (client, path) in [
            (&user, TOKENS.to_owned()),
            (&user, format!("{TOKENS}/{id}")),
            (&user, format!("{TOKENS}/templates")),
            (&token.client, format!("{TOKENS}/me")),
            (&user, "/api/v1/users/auth/me".to_owned()),
            (&user, format!("/api/v1/users/{account}")),
            (&user, "/api/v1/auth/check".to_owned()),
        ] {
            let plain = client.get(&path).await;
            assert!(plain.status.is_success(), "{path}: {}", plain.text);
            let slashed = client.get(&format!("{path}/")).await;
            assert_eq!((slashed.status, slashed.text), (plain.status, plain.text), "{path}");
        }
        user.get("/api/v1/auth/check/?permission=projects.read").await.expect(StatusCode::NO_CONTENT);
        user.post(&format!("{TOKENS}/"), json!({})).await.expect(StatusCode::CREATED);
        user.delete(&format!("{TOKENS}/{id}/")).await.expect(StatusCode::OK);
    }

    async fn the_root_says_what_this_is(app: TestApp) {
        for client in [app.anon(), app.anon().realm(REALM_A), app.with("nonsense")] {
            let reply = client.get("/").await;
            reply.expect(StatusCode::OK);
            assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");
            assert!(reply.text.contains("hoody") && reply.text.contains("/openapi.json"), "{}", reply.text);
        }
        app.anon().post("/", json!({})).await.refused(405, "METHOD_NOT_ALLOWED");
    }

    async fn a_route_that_is_none_and_a_method_that_is_none_are_told_in_the_envelope(app: TestApp) {
        let user = app.user("ada").await;
        for path in [
            "/api",
            "/api/v1",
            "/api/v1/",
            "/api/v2/auth/tokens",
            "/api/v1/auth/token",
            "/API/v1/auth/tokens",
            "/api/v1//auth/tokens",
            "/api/v1/auth/tokens/x/y/z",
            "/api/v1/auth/%74okens/../check",
            "/favicon.ico",
            "/.env",
            "/metrics",
        ] {
            for client in [&user, &app.anon()] {
                let reply = client.get(path).await;
                reply.refused(404, "RESOURCE_NOT_FOUND");
                assert_envelope(&reply, path);
            }
        }
        let operations = operations();
        for path in operations.iter().map(|(_, path)| path) {
            for method in [Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
                if operations.contains(&(method.clone(), path.clone())) {
                    continue;
                }
                let reply = send(&user, &method, &filled(path, NOBODY), "{}").await;
                reply.refused(405, "METHOD_NOT_ALLOWED");
                assert_envelope(&reply, &format!("{method} {path}"));
            }
        }
    }

    async fn no_body_and_no_query_makes_any_route_fail(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        let anyone = [user.clone(), token.client.clone(), app.anon(), app.with("nonsense")];
        let long = "x".repeat(10_000);
        let bodies = [
            "",
            "{",
            "null",
            "[]",
            "0",
            "\"\"",
            "{\"alias\":{}}",
            "{\"alias\":\"\\u0000\"}",
            "{\"user_id\":\"\\u0000\",\"email\":\"\\u0000\",\"username\":\"\\u0000\"}",
            "{\"\\u0000\":1}",
        ];
        let queries = [
            "",
            "?permission=%00",
            "?page=99999999999999999999&limit=-1",
            "?%ff=%ff&&==&",
            "?include_usage=maybe",
            "?sort_by=%27;--&sort_order=x",
            &format!("?realm_id={long}"),
        ];
        for (method, path) in operations() {
            // Signing out for good would end the test early.
            if path == LOGOUT {
                continue;
            }
            for client in &anyone {
                for body in bodies {
                    let place = filled(&path, NOBODY);
                    let reply = send(client, &method, &place, body).await;
                    check_answer(&reply, &format!("{method} {place} {body}"));
                }
                for query in queries {
                    let place = format!("{}{query}", filled(&path, NOBODY));
                    check_answer(&send(client, &method, &place, "{}").await, &place);
                }
            }
        }
    }

    async fn a_login_names_the_rule_that_it_breaks(app: TestApp) {
        app.service.create_user("ada", Some("ada@example.com"), PASSWORD).await;
        for (body, code) in [
            (json!({}), "MISSING_REQUIRED_FIELD"),
            (json!({ "username": "ada" }), "MISSING_REQUIRED_FIELD"),
            (json!({ "password": PASSWORD }), "MISSING_REQUIRED_FIELD"),
            (json!({ "username": "", "password": PASSWORD }), "VALIDATION_ERROR"),
            (json!({ "username": "x".repeat(51), "password": PASSWORD }), "VALIDATION_ERROR"),
            (json!({ "email": "x".repeat(256), "password": PASSWORD }), "VALIDATION_ERROR"),
            (json!({ "username": "ada\u{0}", "password": PASSWORD }), "VALIDATION_ERROR"),
            (json!({ "username": "ada", "password": "short" }), "VALIDATION_ERROR"),
            (json!({ "username": "ada", "password": "x".repeat(10_000) }), "VALIDATION_ERROR"),
            (
                json!({ "username": "ada", "password": PASSWORD, "response_mode": "intent" }),
                "MISSING_REQUIRED_FIELD",
            ),
        ] {
            let reply = app.anon().post(LOGIN, body).await;
            reply.refused(400, code);
            assert_envelope(&reply, LOGIN);
        }
        let missing = app.anon().post(LOGIN, json!({})).await;
        assert_eq!(missing.body["message"], "Username or email, and password are required");
        app.anon().post(REFRESH, json!({})).await.refused(401, "MISSING_TOKEN");
        for text in ["", "x", "a.b.c", &"x".repeat(10_000), "hdy_x"] {
            app.anon().post(REFRESH, json!({ "refreshToken": text })).await.refused(401, "INVALID_TOKEN");
        }
    }
}

/// No fault of ours, and a refusal that says what it is.
#[track_caller]
fn check_answer(reply: &Reply, what: &str) {
    assert!(reply.status.as_u16() < 500, "{what}: {}", reply.text);
    if reply.status.as_u16() >= 400 {
        assert_envelope(reply, what);
    } else if reply.headers.get("content-type").is_some_and(|kind| kind != "text/event-stream") {
        assert_ne!(reply.body, Value::Null, "{what} is answered with no JSON");
    }
}
