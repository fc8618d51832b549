//! The page of the device flow in a real browser: headless Chromium, driven over WebDriver, with and
//! without script. `./test` installs it from Debian.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use hoody_core::time::Timestamp;
use hoody_core::totp::{TotpSecret, step_at};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Place, Server, eventually, http, on_both};

/// How long a browser may take to start or to show a page. The machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// What WebDriver calls an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const DRIVER: &str = "chromedriver";

/// A browser of its own, which ends with its test.
pub(crate) struct Browser {
    _driver: Server,
    http: reqwest::Client,
    port: u16,
    session: String,
}

impl Browser {
    /// `None` where there is no browser; a failure in CI.
    pub(crate) async fn start(place: &Place, has_script: bool) -> Option<Self> {
        let is_there = place.command(DRIVER).arg("--version").output().is_ok_and(|ran| ran.status.success());
        if !is_there {
            assert!(std::env::var_os("CI").is_none(), "CI must run the tests in a browser: use ./test");
            eprintln!("skipped: there is no {DRIVER} (./test installs one)");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = place.command(DRIVER);
        command.arg(format!("--port={port}"));
        let driver = Server::spawn(command);
        let http = http().timeout(PATIENCE).build().unwrap();
        let status = format!("http://127.0.0.1:{port}/status");
        eventually("the driver answers", PATIENCE, async || {
            http.get(&status).send().await.ok().filter(|answer| answer.status().is_success())
        })
        .await;
        let mut browser = Self { _driver: driver, http, port, session: String::new() };
        let profile = place.path("browser").display().to_string();
        let script = if has_script { 1 } else { 2 };
        let options = json!({
            "args": [
                "--headless", "--hide-scrollbars", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-dev-shm-usage", "--no-proxy-server", format!("--user-data-dir={profile}"),
            ],
            "prefs": { "profile.managed_default_content_settings.javascript": script },
        });
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = browser.send(Method::POST, "", Some(capabilities)).await;
        browser.session = format!("/{}", made["sessionId"].as_str().unwrap());
        // What was asked for is what there is.
        browser.go("data:text/html,<title>off</title><script>document.title='on'</script>").await;
        let title = browser.send(Method::GET, "/title", None).await;
        assert_eq!(title, if has_script { "on" } else { "off" });
        Some(browser)
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, mut body) = self.try_send(method, path, body).await;
        assert!(status.is_success(), "{path}: {body}");
        body["value"].take()
    }

    async fn try_send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let url = format!("http://127.0.0.1:{}/session{}{path}", self.port, self.session);
        let request = self.http.request(method, &url);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    pub(crate) async fn go(&self, url: &str) {
        self.send(Method::POST, "/url", Some(json!({ "url": url }))).await;
    }

    pub(crate) async fn find(&self, selector: &str) -> String {
        let body = json!({ "using": "css selector", "value": selector });
        let found = self.send(Method::POST, "/element", Some(body)).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    pub(crate) async fn text(&self, selector: &str) -> String {
        let element = self.find(selector).await;
        let text = self.send(Method::GET, &format!("/element/{element}/text"), None).await;
        text.as_str().unwrap().to_owned()
    }

    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        self.send(Method::POST, &format!("/element/{element}/clear"), Some(json!({}))).await;
        let path = format!("/element/{element}/value");
        self.send(Method::POST, &path, Some(json!({ "text": text }))).await;
    }

    /// Clicks, and waits for the page with this heading.
    pub(crate) async fn click(&self, selector: &str, heading: &str) {
        let element = self.find(selector).await;
        self.send(Method::POST, &format!("/element/{element}/click"), Some(json!({}))).await;
        // The click is answered before the page that it leads to is there, whose heading may be the same.
        let of_clicked = format!("/element/{element}/name");
        eventually("the page is another one", PATIENCE, async || {
            let (status, _) = self.try_send(Method::GET, &of_clicked, None).await;
            (!status.is_success()).then_some(())
        })
        .await;
        eventually(heading, PATIENCE, async || {
            (self.heading().await.as_deref() == Some(heading)).then_some(())
        })
        .await;
    }

    /// The heading of the page, if there is one whole.
    pub(crate) async fn heading(&self) -> Option<String> {
        let source = self.send(Method::GET, "/source", None).await;
        let (_, rest) = source.as_str()?.split_once("<h1>")?;
        Some(rest.split_once("</h1>")?.0.to_owned())
    }

    /// What this script returns.
    pub(crate) async fn run(&self, script: &str, arguments: Value) -> Value {
        let body = json!({ "script": script, "args": arguments });
        self.send(Method::POST, "/execute/sync", Some(body)).await
    }

    /// What this script gives to its last argument.
    pub(crate) async fn wait_for(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.send(Method::POST, "/execute/async", Some(body)).await
    }

    /// A command of Chromium's developer tools.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.send(Method::POST, "/goog/cdp/execute", Some(body)).await
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        let presses: Vec<_> = keys
            .chars()
            .flat_map(|key| {
                [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
            })
            .collect();
        let body = json!({ "actions": [{ "type": "key", "id": "keys", "actions": presses }] });
        self.send(Method::POST, "/actions", Some(body)).await;
    }

    /// Fails the test when the browser had anything to say: a refused style, a form that may not be sent.
    pub(crate) async fn has_nothing_to_say(&self) {
        let entries = self.send(Method::POST, "/se/log", Some(json!({ "type": "browser" }))).await;
        // A refusal is an answer with its status, which the browser notes; nothing else is expected.
        let is_status = |entry: &&Value| {
            let message = entry["message"].as_str().unwrap_or_default();
            message.contains("the server responded with a status of 4")
        };
        let entries = entries.as_array().unwrap();
        let other: Vec<_> = entries.iter().filter(|entry| !is_status(entry)).collect();
        assert!(other.is_empty(), "{other:?}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser when the session ends, and only then.
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let request = format!("DELETE /session{} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n", self.session);
            let _ = stream.write_all(request.as_bytes());
            let _ = stream.read(&mut [0; 1]);
        }
    }
}

/// `hoody login --web --no-browser`, waiting: the process, its address and its code.
async fn login_web(place: &Place, server: &Server) -> (Server, String, String) {
    let mut command = place.hoody(&["login", "--web", "--no-browser"]);
    command.env("HOODY_BASE_URL", &server.base);
    let process = Server::spawn(command);
    process.says("Waiting for somebody").await;
    let said = process.said();
    let (_, rest) = said.split_once("Sign in at ").unwrap();
    let (address, rest) = rest.split_once(" with the code ").unwrap();
    let code = rest.lines().next().unwrap();
    (process, address.to_owned(), code.to_owned())
}

/// Turns the second factor of `client`'s account on; its backup codes.
pub(crate) async fn protect(client: &Client) -> Vec<String> {
    let setup = client.post("/api/v1/users/auth/2fa/setup", json!({ "password": PASSWORD })).await;
    let key = setup.text_at("/data/manual_entry_key");
    let now = client.get("/api/v1/ip").await;
    let now = Timestamp::parse(now.text_at("/data/timestamp")).unwrap();
    let code = TotpSecret::from_bytes(&base32(key)).code(step_at(now));
    let code = String::from_utf8(code.to_vec()).unwrap();
    let enabled = client.post("/api/v1/users/auth/2fa/verify-setup", json!({ "code": code })).await;
    assert_eq!(enabled.status, 200, "{}", enabled.text);
    let codes = setup.body["data"]["backup_codes"].as_array().unwrap();
    codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

fn base32(text: &str) -> Vec<u8> {
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

async fn check(place: &Place, server: &Server) -> Option<i32> {
    let mut command = place.hoody(&["auth", "check"]);
    command.env("HOODY_BASE_URL", &server.base);
    crate::support::finish(command, "").await.code
}

on_both! {
    async fn somebody_approves_a_login_in_a_browser_without_script(place: Place) {
        let (server, ada) = place.serve_ada().await;
        let backup_codes = protect(&ada).await;
        let Some(browser) = Browser::start(&place, false).await else { return };
        let (mut process, address, code) = login_web(&place, &server).await;
        assert!(address.starts_with("http://api.localhost:") && address.ends_with("/device"), "{address}");
        browser.go(&address).await;
        assert_eq!(browser.text("h1").await, "Sign in on a device");

        browser.fill("#user_code", "BBBB-BBBB").await;
        browser.click("button", "Sign in on a device").await;
        assert!(browser.text("[role=alert]").await.contains("No sign-in request found for this code"));
        browser.fill("#user_code", &code.to_lowercase().replace('-', " ")).await;
        browser.click("button", "Approve a sign-in").await;
        let who = browser.text("dl").await;
        assert!(who.contains("hoody on ") && who.contains("127.0.0.1") && who.contains("UTC"), "{who}");

        browser.fill("#name", "ada").await;
        browser.fill("#password", "not her password").await;
        browser.click("button", "Approve a sign-in").await;
        assert!(browser.text("[role=alert]").await.contains("Wrong username or password"));
        browser.fill("#password", PASSWORD).await;
        browser.click("button", "Second factor").await;
        browser.fill("#code", "AAAAA-AAAAA").await;
        browser.click("button", "Second factor").await;
        browser.fill("#code", &backup_codes[0]).await;
        browser.click("button", "Approved").await;
        browser.has_nothing_to_say().await;

        assert!(process.ended(PATIENCE).await.success(), "{}", process.said());
        assert_eq!(check(&place, &server).await, Some(0));
    }

    async fn somebody_refuses_a_login_in_a_browser(place: Place) {
        let (server, _) = place.serve_ada().await;
        let Some(browser) = Browser::start(&place, true).await else { return };
        let (mut process, address, code) = login_web(&place, &server).await;
        // By the link: it fills the code in, and waits for a person.
        browser.go(&format!("{address}?user_code={code}")).await;
        browser.click("button", "Approve a sign-in").await;
        // Empty as the form is: refusing needs no name.
        browser.click("button.second", "Refused").await;
        browser.has_nothing_to_say().await;
        let ended = process.ended(PATIENCE).await;
        assert_eq!(ended.code(), Some(1), "{}", process.said());
        // What it says last may be read after it has ended.
        eventually("it says why", PATIENCE, async || process.said().contains("the sign-in was refused").then_some(()))
            .await;
        assert_ne!(check(&place, &server).await, Some(0));
    }
}

#[tokio::test]
async fn a_login_on_the_web_is_not_for_those_who_name_themselves() {
    let place = Place::sqlite();
    for arguments in [
        &["login", "--web", "--email", "ada@example.com"][..],
        &["login", "--web", "--token-stdin"],
        &["login", "--no-browser"],
        &["login", "--web", "--response-mode", "intent"],
        &["login", "--code-challenge", "x"],
    ] {
        place.run(arguments).await.ended(1);
    }
}
