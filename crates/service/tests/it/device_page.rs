//! Signing in on another device: the page, as a browser without script sees it.

use hoody_service::testing::PUBLIC_URL;
use http::{Method, StatusCode};
use serde_json::json;

use crate::device::{Codes, cookie_of, poll, polled, start};
use crate::support::{Client, PASSWORD, Reply, TestApp, on_both};
use crate::two_factor::{code_at, protect, wrong_code};

const CODE: &str = "/device/code";
const SIGN_IN: &str = "/device/sign-in";
const SECOND: &str = "/device/second-factor";
const REFUSE: &str = "/device/refuse";

/// Sends a form as a page of ours does.
async fn send(client: &Client, path: &str, fields: &[(&str, &str)]) -> Reply {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect()
    };
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let client = client.header("content-type", "application/x-www-form-urlencoded");
    client.send(Method::POST, path, pairs.join("&").into_bytes()).await
}

/// A browser, which says where its forms come from.
fn browser(app: &TestApp) -> Client {
    app.anon().from("198.51.100.9").header("sec-fetch-site", "same-origin").header("origin", "null")
}

/// The value of a hidden field.
fn hidden(reply: &Reply, name: &str) -> String {
    let field = format!("type=\"hidden\" name=\"{name}\" value=\"");
    let (_, rest) = reply.text.split_once(&field).unwrap_or_else(|| panic!("no {name}: {}", reply.text));
    rest.split('"').next().unwrap().to_owned()
}

#[track_caller]
fn is_page(reply: &Reply, status: StatusCode, title: &str) {
    reply.expect(status);
    assert!(reply.text.contains(&format!("<h1>{title}</h1>")), "{title}: {}", reply.text);
    assert!(!reply.text.contains("<script") && !reply.text.contains("javascript:"), "{}", reply.text);
    let header = |name: &str| reply.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(
        (header("x-frame-options"), header("referrer-policy")),
        ("DENY".to_owned(), "no-referrer".to_owned())
    );
    assert_eq!(
        (header("cache-control"), header("x-content-type-options")),
        ("no-store".to_owned(), "nosniff".to_owned())
    );
    let policy = header("content-security-policy");
    let (before, after) = policy.split_once("style-src 'sha256-").unwrap();
    assert_eq!(before, "default-src 'none'; ");
    assert_eq!(&after[44..], "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'");
}

/// The code entered: the page to sign in at, its ticket, and the browser with its cookie.
async fn enter(app: &TestApp, codes: &Codes) -> (Reply, String, Client) {
    let reply = send(&browser(app), CODE, &[("user_code", &codes.user)]).await;
    is_page(&reply, StatusCode::OK, "Approve a sign-in");
    let ticket = hidden(&reply, "ticket");
    let cookie = format!("__Host-device_verify={}", cookie_of(&reply.headers));
    let browser = browser(app).header("cookie", &cookie);
    (reply, ticket, browser)
}

on_both! {
    async fn somebody_signs_in_without_script_and_the_device_gets_the_session(app: TestApp) {
        app.user("ada").await;
        let codes = start(&app).await;
        let first = browser(&app).get("/device").await;
        is_page(&first, StatusCode::OK, "Sign in on a device");
        let (page, ticket, browser) = enter(&app, &codes).await;
        // Who asks, from where, when, and the warning.
        for shown in ["Ada&#39;s laptop", "Ada's laptop"].iter().take(1).chain(&["203.0.113.7", "less than a minute ago, 09:15 UTC", "Is this you?"]) {
            let plain = page.text.replace("&#39;", "'");
            assert!(plain.contains(&shown.replace("&#39;", "'")), "{shown}: {plain}");
        }
        let fields = [("ticket", ticket.as_str()), ("name", "ada"), ("password", "not her password")];
        let wrong = send(&browser, SIGN_IN, &fields).await;
        is_page(&wrong, StatusCode::UNAUTHORIZED, "Approve a sign-in");
        assert!(wrong.text.contains("role=\"alert\"") && wrong.text.contains("value=\"ada\""), "{}", wrong.text);
        assert!(!wrong.text.contains("not her password"), "{}", wrong.text);
        let fields = [("ticket", ticket.as_str()), ("name", " ADA@example.com "), ("password", PASSWORD)];
        let done = send(&browser, SIGN_IN, &fields).await;
        is_page(&done, StatusCode::OK, "Approved");
        assert!(done.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
        let session = poll(&app, &codes.device).await;
        let token = session.expect(StatusCode::OK).data()["token"].as_str().unwrap();
        for page in [&page, &wrong, &done] {
            assert!(!page.text.contains("eyJ") && !page.text.contains(token), "a token on a page");
        }
        // Sent twice.
        let again = send(&browser, SIGN_IN, &fields).await;
        is_page(&again, StatusCode::GONE, "Sign in on a device");
    }

    async fn the_page_asks_for_the_second_factor(app: TestApp) {
        let ada = protect(&app, &app.user("ada").await).await;
        let codes = start(&app).await;
        let (_, ticket, browser) = enter(&app, &codes).await;
        let fields = [("ticket", ticket.as_str()), ("name", "ada"), ("password", PASSWORD)];
        let second = send(&browser, SIGN_IN, &fields).await;
        is_page(&second, StatusCode::OK, "Second factor");
        assert!(second.text.contains("203.0.113.7") && second.text.contains("autocomplete=\"one-time-code\""));
        polled(&poll(&app, &codes.device).await, "authorization_pending");
        let temp = hidden(&second, "temp_token");
        let wrong = wrong_code(&app, &ada.secret);
        for (code, status) in [(wrong.as_str(), StatusCode::UNAUTHORIZED), ("12", StatusCode::BAD_REQUEST)] {
            let fields = [("ticket", ticket.as_str()), ("temp_token", &temp), ("code", code)];
            let reply = send(&browser, SECOND, &fields).await;
            is_page(&reply, status, "Second factor");
            assert_eq!(hidden(&reply, "temp_token"), temp);
        }
        // Not without the cookie, and not with the token of another login.
        let code = code_at(&app, &ada.secret, 0);
        let fields = [("ticket", ticket.as_str()), ("temp_token", &temp), ("code", &code)];
        is_page(&send(&self::browser(&app), SECOND, &fields).await, StatusCode::FORBIDDEN, "Sign in on a device");
        let login = json!({ "username": "ada", "password": PASSWORD });
        let other = app.anon().post("/api/v1/users/auth/login", login).await;
        let other = other.data()["temp_token"].as_str().unwrap();
        let strange = [("ticket", ticket.as_str()), ("temp_token", other), ("code", &code)];
        is_page(&send(&browser, SECOND, &strange).await, StatusCode::BAD_REQUEST, "Approve a sign-in");
        is_page(&send(&browser, SECOND, &fields).await, StatusCode::OK, "Approved");
        poll(&app, &codes.device).await.expect(StatusCode::OK);
    }

    async fn somebody_refuses(app: TestApp) {
        let codes = start(&app).await;
        let (page, ticket, browser) = enter(&app, &codes).await;
        assert!(page.text.contains("formaction=\"/device/refuse\" formnovalidate"), "{}", page.text);
        let fields = [("ticket", ticket.as_str()), ("name", ""), ("password", "")];
        is_page(&send(&self::browser(&app), REFUSE, &fields).await, StatusCode::FORBIDDEN, "Sign in on a device");
        polled(&poll(&app, &codes.device).await, "authorization_pending");
        is_page(&send(&browser, REFUSE, &fields).await, StatusCode::OK, "Refused");
        polled(&poll(&app, &codes.device).await, "access_denied");
        is_page(&send(&browser, REFUSE, &fields).await, StatusCode::GONE, "Sign in on a device");
    }

    async fn a_link_fills_the_code_in_and_does_nothing(app: TestApp) {
        let codes = start(&app).await;
        let reply = app.anon().get(&format!("/device?user_code={}", codes.user)).await;
        is_page(&reply, StatusCode::OK, "Sign in on a device");
        assert!(reply.text.contains(&format!("value=\"{}\"", codes.user)), "{}", reply.text);
        assert!(reply.headers.get("set-cookie").is_none() && !reply.text.contains("ticket"));
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM device_requests WHERE ticket_digest IS NULL").await, 1);
        let strange = app.anon().get("/device?user_code=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await;
        is_page(&strange, StatusCode::OK, "Sign in on a device");
        assert!(strange.text.contains("&quot;&gt;&lt;script&gt;"), "{}", strange.text);
        is_page(&app.anon().get("/device?user_code=a&user_code=b").await, StatusCode::OK, "Sign in on a device");
        let back = app.anon().get("/device?error=provider_unavailable").await;
        assert!(back.text.contains("no such way of signing in"), "{}", back.text);
        for step in [CODE, SIGN_IN, SECOND, REFUSE] {
            is_page(&app.anon().get(step).await, StatusCode::OK, "Sign in on a device");
        }
    }

    async fn a_name_that_is_markup_is_shown_as_text(app: TestApp) {
        let name = json!({ "client_name": "<img src=x onerror=alert(1)>\"'&amp;" });
        let started = app.anon().post("/api/v1/auth/device/code", name).await;
        let user_code = started.data()["user_code"].as_str().unwrap();
        let reply = send(&browser(&app), CODE, &[("user_code", user_code)]).await;
        is_page(&reply, StatusCode::OK, "Approve a sign-in");
        assert!(!reply.text.contains("<img") && reply.text.contains("&lt;img"), "{}", reply.text);
    }

    async fn wrong_codes_and_forms_of_other_sites_get_a_page(app: TestApp) {
        app.user("ada").await;
        for typed in ["", "BBBB-BBBB", "x", &"B".repeat(5_000)] {
            let reply = send(&browser(&app), CODE, &[("user_code", typed)]).await;
            is_page(&reply, StatusCode::NOT_FOUND, "Sign in on a device");
            assert!(reply.text.contains("No sign-in request found for this code"), "{}", reply.text);
        }
        let codes = start(&app).await;
        let (_, ticket, browser) = enter(&app, &codes).await;
        let cookie = browser.clone();
        let fields = [("ticket", ticket.as_str()), ("name", "ada"), ("password", PASSWORD)];
        for (header, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
        ] {
            let other = cookie.without("sec-fetch-site").header(header, value);
            for step in [CODE, SIGN_IN, SECOND, REFUSE] {
                is_page(&send(&other, step, &fields).await, StatusCode::FORBIDDEN, "That did not work");
            }
        }
        let elsewhere = cookie.without("sec-fetch-site").without("origin");
        for origin in ["https://evil.example", "https://auth.example.com.evil.example", "http://auth.example.com"] {
            let other = elsewhere.header("origin", origin);
            is_page(&send(&other, SIGN_IN, &fields).await, StatusCode::FORBIDDEN, "That did not work");
        }
        polled(&poll(&app, &codes.device).await, "authorization_pending");
        // What is no form at all.
        let json = browser.header("content-type", "application/json");
        let reply = json.send(Method::POST, SIGN_IN, b"{}".to_vec()).await;
        is_page(&reply, StatusCode::BAD_REQUEST, "That did not work");
        // An old browser, which says its origin alone.
        is_page(&send(&elsewhere.header("origin", PUBLIC_URL), SIGN_IN, &fields).await, StatusCode::OK, "Approved");
    }

    async fn a_banned_account_and_a_form_without_fields_get_a_page(app: TestApp) {
        app.user("ada").await;
        let codes = start(&app).await;
        let (_, ticket, browser) = enter(&app, &codes).await;
        app.service.ban_elsewhere("ada", true).await;
        let fields = [("ticket", ticket.as_str()), ("name", "ada"), ("password", PASSWORD)];
        let reply = send(&browser, SIGN_IN, &fields).await;
        is_page(&reply, StatusCode::FORBIDDEN, "Approve a sign-in");
        assert!(reply.text.contains("banned"), "{}", reply.text);
        for step in [SIGN_IN, SECOND, REFUSE] {
            let reply = send(&browser, step, &[]).await;
            is_page(&reply, StatusCode::GONE, "Sign in on a device");
        }
        let reply = send(&browser, SIGN_IN, &[("ticket", &ticket)]).await;
        is_page(&reply, StatusCode::UNAUTHORIZED, "Approve a sign-in");
    }
}
