//! Events through the binary: the published client of Socket.IO, and `hoody events tail` through a
//! restart.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Client, PASSWORD, Server, finish, on_both};

const REALM: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";
const PATIENCE: Duration = Duration::from_secs(30);

/// Something that prints a line of JSON for each thing that it hears.
struct Listener {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Listener {
    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines }
    }

    /// The real socket.io-client; `None` where it is not installed, which in CI is a failure.
    fn socket(server: &Server, auth: &Value, settings: &[(&str, &str)]) -> Option<Self> {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "e2e", "node"].iter().collect();
        if !folder.join("node_modules").exists() {
            assert!(std::env::var_os("CI").is_none(), "CI must run the tests with Node: use ./test");
            eprintln!("skipped: npm ci in {} (./test does it)", folder.display());
            return None;
        }
        let mut command = Command::new("node");
        command.arg(folder.join("socket.mjs")).env("BASE", &server.base).env("AUTH", auth.to_string());
        command.envs(settings.iter().copied());
        Some(Self::spawn(command))
    }

    /// Writes a line to its standard input.
    fn hears(&mut self, line: &str) {
        let mut input = self.child.stdin.as_ref().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn line(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("it says something");
        serde_json::from_str(&line).unwrap()
    }

    /// The next line that is not about the transport.
    fn next(&self) -> Value {
        loop {
            let line = self.line();
            if line.get("upgrade").is_none() {
                return line;
            }
        }
    }
}

async fn make(client: &Client, alias: &str) {
    let body = json!({ "alias": alias, "realm_ids": [REALM] });
    client.send(Method::POST, "/api/v1/projects", Some(body)).await.expect(StatusCode::CREATED);
}

fn secret(client: &Client) -> String {
    client.credential.clone().unwrap()
}

on_both! {
    async fn the_published_client_hears_events_by_every_transport(place: Place) {
        let (server, ada) = place.serve_ada().await;
        let (id, token) = ada.mint(json!({})).await;
        for (transports, slash) in
            [("", "yes"), (r#"["websocket"]"#, "yes"), (r#"["polling"]"#, "yes"), (r#"["websocket"]"#, "no")]
        {
            let auth = json!({ "token": secret(&token) });
            let settings = [("TRANSPORTS", transports), ("SLASH", slash)];
            let Some(listener) = Listener::socket(&server, &auth, &settings) else { return };
            let first = listener.line();
            assert!(first["connect"].is_string(), "{transports}: {first}");
            if transports.is_empty() && first["connect"] == "polling" {
                assert_eq!(listener.line(), json!({ "upgrade": "websocket" }));
            }
            let alias = format!("by {transports} {slash}");
            make(&ada, &alias).await;
            let told = listener.next()["message"].clone();
            assert_eq!((&told["type"], &told["event"]), (&json!("event"), &json!("project.created")));
            assert_eq!(told["data"]["payload"]["alias"], alias);
            assert_eq!(told["data"]["resource_type"], "project");
            assert_eq!(told["eventId"], told["data"]["id"]);
            assert_eq!(told["timestamp"], told["data"]["created_at"]);
        }
        // The history has the same path.
        let history = ada.get("/api/v1/events?limit=1").await;
        assert_eq!(history.body["data"]["events"][0]["event_type"], "project.created");

        // It ends with its credential, in time, and says why.
        let auth = json!({ "token": secret(&token) });
        let Some(listener) = Listener::socket(&server, &auth, &[]) else { return };
        assert!(listener.line()["connect"].is_string());
        let path = format!("/api/v1/auth/tokens/{id}");
        let began = Instant::now();
        ada.send(Method::DELETE, &path, None).await.expect(StatusCode::OK);
        let end = listener.next()["message"].clone();
        assert_eq!((&end["type"], &end["code"]), (&json!("end"), &json!("INVALID_TOKEN")), "{end}");
        assert_eq!(listener.next(), json!({ "disconnect": "io server disconnect" }));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        server.stop().await;
    }

    async fn the_published_client_is_refused_with_the_code_of_the_refusal(place: Place) {
        let (server, ada) = place.serve_ada().await;
        let bound = ada.mint(json!({ "realm_ids": [REALM] })).await.1;
        let blind = ada.mint(json!({ "event_access": false })).await.1;
        let elsewhere = ada.mint(json!({ "ip_whitelist": "10.0.0.0/8" })).await.1;
        for (auth, refusal) in [
            (json!({}), "401 MISSING_TOKEN: "),
            (json!({ "token": "" }), "401 MISSING_TOKEN: "),
            (json!({ "token": 7 }), "400 VALIDATION_ERROR: "),
            (json!({ "token": "hdy_no" }), "401 INVALID_TOKEN: "),
            (json!({ "token": secret(&bound) }), "403 REALM_SCOPE_REQUIRED: "),
            (json!({ "token": secret(&blind) }), "403 INSUFFICIENT_PERMISSIONS: "),
            (json!({ "token": secret(&elsewhere) }), "403 IP_NOT_WHITELISTED: "),
            (json!({ "token": secret(&ada), "after": "x" }), "400 EVENTS_CURSOR_INVALID: "),
            (json!({ "token": secret(&ada), "event_type": "A" }), "400 VALIDATION_ERROR: "),
        ] {
            let Some(listener) = Listener::socket(&server, &auth, &[]) else { return };
            let refused = listener.line();
            let message = refused["refused"].as_str().unwrap_or_default();
            assert!(message.starts_with(refusal), "{auth}: {refused}");
            assert!(!message.contains("hdy_"), "{message}");
        }
        // On its realm's host it is let in, and hears that realm alone.
        let host = [("HOST", &*format!("{REALM}.api.localhost")), ("TRANSPORTS", r#"["websocket"]"#)];
        let Some(listener) = Listener::socket(&server, &json!({ "token": secret(&bound) }), &host) else { return };
        assert!(listener.line()["connect"].is_string());
        let elsewhere = json!({ "alias": "elsewhere" });
        ada.send(Method::POST, "/api/v1/projects", Some(elsewhere)).await.expect(StatusCode::CREATED);
        make(&ada, "here").await;
        assert_eq!(listener.next()["message"]["data"]["payload"]["alias"], "here");
        // No credential reaches anybody's log.
        for client in [&ada, &bound, &blind] {
            assert!(!server.said().contains(&secret(client)));
        }
        server.stop().await;
    }

    async fn the_published_client_goes_on_after_a_restart_where_it_asks_to(place: Place) {
        let (server, ada) = place.serve_ada().await;
        make(&ada, "before").await;
        let auth = json!({ "token": secret(&ada), "after": first_cursor(&ada).await, "event_type": "project.*" });
        let Some(listener) = Listener::socket(&server, &auth, &[]) else { return };
        assert!(listener.line()["connect"].is_string());
        assert_eq!(listener.next()["message"]["data"]["payload"]["alias"], "before");
        // The node's stop is no refusal: the client tries again by itself.
        let began = Instant::now();
        server.stop().await;
        assert!(began.elapsed() < Duration::from_secs(5), "streams hold nothing up: {:?}", began.elapsed());
        let gone = listener.next();
        assert!(gone["disconnect"] == "transport close" || gone["disconnect"] == "transport error", "{gone}");
        assert_eq!(listener.next()["active"], true);
    }

    async fn webhooks_are_verified_by_the_reference_library(place: Place) {
        let server = Server::start(
            place.hoody(&["serve", "--listen", "127.0.0.1:0", "--webhook-allow", "127.0.0.0/8"]),
        )
        .await;
        let create = ["admin", "users", "create", "ada", "--password-stdin"];
        place.run_with(&create, PASSWORD).await.ended(0);
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "e2e", "node"].iter().collect();
        if !folder.join("node_modules").exists() {
            assert!(std::env::var_os("CI").is_none(), "CI must run the tests with Node: use ./test");
            eprintln!("skipped: npm ci in {} (./test does it)", folder.display());
            return;
        }
        let mut hook = Command::new("node");
        hook.arg(folder.join("hook.mjs"));
        let mut endpoint = Listener::spawn(hook);
        let url = format!("http://127.0.0.1:{}/hooks", endpoint.line()["port"]);
        let hoody = async |arguments: &[&str], input: &str| {
            let mut command = place.hoody(arguments);
            command.env("HOODY_BASE_URL", &server.base);
            let ran = finish(command, input).await;
            ran.ended(0);
            ran.stdout
        };
        hoody(&["login", "--username", "ada", "--password-stdin"], PASSWORD).await;
        let made = hoody(&["webhooks", "create", "--url", &url, "--event-type", "project.*", "-o", "json"], "").await;
        let made: Value = serde_json::from_str(&made).unwrap();
        let id = made["id"].as_str().unwrap();
        endpoint.hears(made["secret"].as_str().unwrap());
        hoody(&["projects", "create", "--alias", "web"], "").await;
        let got = endpoint.line();
        assert_eq!((&got["type"], &got["verdicts"]), (&json!("project.created"), &json!([true])), "{got}");
        // Both secrets verify what is sent after a rotation.
        let new = hoody(&["webhooks", "rotate-secret", id], "").await;
        endpoint.hears(new.trim());
        hoody(&["webhooks", "test", id], "").await;
        let got = endpoint.line();
        assert_eq!((&got["type"], &got["verdicts"]), (&json!("webhook.test"), &json!([true, true])), "{got}");
        let listed = crate::support::eventually("both are delivered", PATIENCE, async || {
            let listed = hoody(&["webhooks", "deliveries", id, "--state", "delivered", "-o", "json"], "").await;
            let listed: Value = serde_json::from_str(&listed).unwrap();
            (listed.as_array()?.len() == 2).then_some(listed)
        });
        assert_eq!(listed.await[0]["status"], 204);
        assert!(!server.said().contains("whsec_"), "{}", server.said());
        server.stop().await;
    }

    async fn tail_goes_on_through_a_crash_without_gap_or_double(place: Place) {
        let (server, ada) = place.serve_ada().await;
        let (_, token) = ada.mint(json!({})).await;
        let listen = format!("127.0.0.1:{}", server.port());
        let mut tail = place.hoody(&["events", "tail", "--event-type", "project.created", "-o", "json"]);
        tail.args(["--after", &first_cursor(&ada).await]);
        tail.env("HOODY_BASE_URL", &server.base).env("HOODY_TOKEN", secret(&token)).stderr(Stdio::null());
        let tail = Listener::spawn(tail);
        for n in 0..3 {
            make(&ada, &format!("before {n}")).await;
            assert_eq!(tail.line()["payload"]["alias"], format!("before {n}"));
        }
        server.kill().await;
        let again = Server::start(place.hoody(&["serve", "--listen", &listen])).await;
        let ada = again.client().with(&secret(&ada));
        for n in 0..3 {
            make(&ada, &format!("after {n}")).await;
        }
        for n in 0..3 {
            assert_eq!(tail.line()["payload"]["alias"], format!("after {n}"));
        }
        again.stop().await;
    }
}

/// The place after the account's first event.
async fn first_cursor(client: &Client) -> String {
    crate::support::eventually("the first event", PATIENCE, async || {
        let first = client.get("/api/v1/events?sort_order=asc&limit=1").await;
        first.body["data"]["events"][0]["cursor"].as_str().map(str::to_owned)
    })
    .await
}
