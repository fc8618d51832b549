//! Webhooks: what is sent to whom, signed with what; what becomes of it when it does not arrive; and where
//! none goes (threat 35).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, REALM_A, REALM_B, START_MILLIS, TestApp, on_both};

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;

/// What came to an endpoint.
#[derive(Debug, Clone)]
struct Got {
    id: String,
    timestamp: String,
    signatures: Vec<String>,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn alias(&self) -> String {
        self.json()["data"]["payload"]["alias"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether the `whsec_` secret made one of the signatures.
    fn is_signed_with(&self, secret: &str) -> bool {
        use base64::Engine as _;
        let bytes = secret.strip_prefix("whsec_").unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(bytes).unwrap();
        let secret = hoody_core::webhook::WebhookSecret::from_bytes(&bytes);
        let made = secret.sign(&self.id, self.timestamp.parse().unwrap(), self.body.as_bytes());
        self.signatures.contains(&made)
    }
}

/// An endpoint that notes what comes and answers with what it is told.
#[derive(Clone)]
struct Endpoint {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    /// The next answers: a status, and a `location`. 200 when there is none.
    answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
    /// Whoever holds it keeps the endpoint from answering.
    silence: Arc<tokio::sync::Mutex<()>>,
    came: Arc<tokio::sync::Notify>,
}

impl Endpoint {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            answers: Arc::default(),
            silence: Arc::default(),
            came: Arc::default(),
        };
        let router = axum::Router::new().fallback(take).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        endpoint
    }

    fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    fn answer(&self, statuses: &[u16]) {
        *self.answers.lock().unwrap() = statuses.iter().rev().map(|status| (*status, "")).collect();
    }

    fn take(&self) -> Vec<Got> {
        std::mem::take(&mut self.got.lock().unwrap())
    }

    fn aliases(&self) -> Vec<String> {
        self.take().iter().map(Got::alias).collect()
    }
}

async fn take(State(endpoint): State<Endpoint>, headers: HeaderMap, body: Bytes) -> axum::response::Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    endpoint.got.lock().unwrap().push(Got {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signatures: header("webhook-signature").split(' ').map(str::to_owned).collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    endpoint.came.notify_one();
    let _spoken = endpoint.silence.lock().await;
    let (status, location) = endpoint.answers.lock().unwrap().pop().unwrap_or((200, ""));
    let answer = http::Response::builder().status(status);
    let answer = if location.is_empty() { answer } else { answer.header("location", location) };
    answer.body(axum::body::Body::from(format!("line one\nline two {}", "x".repeat(9_000)))).unwrap()
}

impl TestApp {
    /// Projects and sends what is due; how many attempts that were.
    async fn deliver(&self) -> usize {
        assert_eq!(self.service.project().await, None);
        self.service.send_webhooks().await
    }
}

/// A new endpoint of the account: its id and secret.
async fn hook(owner: &Client, mut body: Value, endpoint: &Endpoint) -> (String, String) {
    body["url"] = json!(endpoint.url());
    let made = owner.post("/api/v1/webhooks", body).await;
    made.expect(StatusCode::CREATED);
    let text = |field: &str| made.data()[field].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

async fn make(owner: &Client, alias: &str, realms: &[&str]) {
    let made = owner.post("/api/v1/projects", json!({ "alias": alias, "realm_ids": realms })).await;
    made.expect(StatusCode::CREATED);
}

async fn deliveries(owner: &Client, id: &str) -> Vec<Value> {
    let reply = owner.get(&format!("/api/v1/webhooks/{id}/deliveries")).await;
    reply.expect(StatusCode::OK).data().as_array().unwrap().clone()
}

const PROJECTS: &str = "project.created";

on_both! {
    async fn what_happens_is_sent_signed_in_its_order(app: TestApp) {
        app.service.allow_webhooks("127.0.0.0/8");
        let (owner, endpoint) = (app.user("ada").await, Endpoint::open().await);
        make(&owner, "before", &[]).await;
        app.service.project().await;
        let (id, secret) = hook(&owner, json!({ "event_types": [PROJECTS] }), &endpoint).await;
        for n in 0..5 {
            make(&owner, &format!("p{n}"), &[REALM_A]).await;
        }
        make(&app.user("bob").await, "not hers", &[]).await;
        assert_eq!(app.deliver().await, 5);
        let got = endpoint.take();
        assert_eq!(got.iter().map(Got::alias).collect::<Vec<_>>(), ["p0", "p1", "p2", "p3", "p4"]);
        let history = owner.get("/api/v1/events?event_type=project.created&limit=1").await;
        let event = &history.data()["events"][0];
        let last = &got[4];
        assert_eq!(last.id, format!("msg_{}", event["id"].as_str().unwrap()));
        assert_eq!(last.timestamp, (START_MILLIS / 1_000).to_string());
        assert_eq!(last.json()["type"], PROJECTS);
        assert_eq!(last.json()["timestamp"], event["created_at"]);
        for field in ["id", "actor", "project_id", "payload"] {
            assert_eq!(last.json()["data"][field], event[field], "{field}");
        }
        assert_eq!(last.json()["data"]["realm_ids"], json!([REALM_A]));
        assert!(got.iter().all(|got| got.is_signed_with(&secret) && got.signatures.len() == 1));
        assert!(!last.is_signed_with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        assert_eq!(app.deliver().await, 0, "once");
        let delivered = deliveries(&owner, &id).await;
        assert_eq!(delivered.len(), 5);
        assert_eq!(
            (&delivered[0]["state"], &delivered[0]["status"], &delivered[0]["attempts"], &delivered[0]["error"]),
            (&json!("delivered"), &json!(200), &json!(1), &Value::Null)
        );
        let answer = delivered[0]["answer"].as_str().unwrap();
        assert!(answer.starts_with("line one line two x") && answer.chars().count() == 200, "{answer}");
    }

    async fn an_endpoint_gets_what_it_asks_for(app: TestApp) {
        app.service.allow_webhooks("127.0.0.0/8");
        let (owner, endpoint) = (app.user("ada").await, Endpoint::open().await);
        let (id, _) = hook(&owner, json!({ "event_types": ["project.*"], "realm_ids": [REALM_A] }), &endpoint).await;
        make(&owner, "none", &[]).await;
        make(&owner, "b", &[REALM_B]).await;
        make(&owner, "a", &[REALM_A, REALM_B]).await;
        owner.mint(json!({ "realm_ids": [REALM_A] })).await;
        app.deliver().await;
        assert_eq!(endpoint.aliases(), ["a"]);
        let path = format!("/api/v1/webhooks/{id}");
        owner.patch(&path, json!({ "realm_ids": [], "event_types": ["auth.token.created"] })).await.expect(StatusCode::OK);
        owner.mint(json!({ "alias": "ci" })).await;
        app.deliver().await;
        assert_eq!(endpoint.aliases(), ["ci"]);
        owner.patch(&path, json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        owner.mint(json!({ "alias": "unseen" })).await;
        assert_eq!(app.deliver().await, 0);
        owner.delete(&path).await.expect(StatusCode::OK);
        owner.get(&path).await.refused(404, "WEBHOOK_NOT_FOUND");
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM webhook_deliveries").await, 0);
    }

    async fn what_fails_is_tried_again_under_one_id_while_the_rest_goes_on(app: TestApp) {
        app.service.allow_webhooks("127.0.0.0/8");
        let (owner, endpoint) = (app.user("ada").await, Endpoint::open().await);
        let (id, secret) = hook(&owner, json!({ "event_types": [PROJECTS] }), &endpoint).await;
        endpoint.answer(&[500; 8]);
        for alias in ["first", "second", "third"] {
            make(&owner, alias, &[]).await;
        }
        assert_eq!(app.deliver().await, 1, "after a failure the endpoint is left alone");
        let first = endpoint.take().remove(0);
        let waiting = deliveries(&owner, &id).await.into_iter().find(|one| one["status"] == 500).unwrap();
        assert_eq!((&waiting["state"], &waiting["attempts"]), (&json!("waiting"), &json!(1)));
        assert_eq!(waiting["error"], "answered with status 500");
        assert_eq!(app.service.send_webhooks().await, 0, "not before its time");
        for _ in 0..7 {
            app.later(800 * SECOND).await;
            assert_eq!(app.service.send_webhooks().await, 1);
            let again = endpoint.take().remove(0);
            assert_eq!((&again.id, &again.body), (&first.id, &first.body));
            assert!(again.timestamp != first.timestamp && again.is_signed_with(&secret));
        }
        // The first waits for ten minutes now, the endpoint for five: those behind it go on.
        app.later(310 * SECOND).await;
        assert_eq!(app.service.send_webhooks().await, 2);
        assert_eq!(endpoint.aliases(), ["second", "third"]);
        app.later(500 * SECOND).await;
        assert_eq!(app.service.send_webhooks().await, 1);
        assert_eq!(endpoint.aliases(), ["first"]);
        let hooks = owner.get("/api/v1/webhooks").await;
        assert_eq!(hooks.data()[0]["failing_since"], Value::Null, "it arrives again");
        assert!(deliveries(&owner, &id).await.iter().all(|one| one["state"] == "delivered"));
    }

    async fn a_day_without_an_arrival_switches_it_off_and_says_so(app: TestApp) {
        app.service.allow_webhooks("127.0.0.0/8");
        let (owner, endpoint) = (app.user("ada").await, Endpoint::open().await);
        let (id, _) = hook(&owner, json!({ "event_types": [PROJECTS] }), &endpoint).await;
        endpoint.answer(&[500; 200]);
        make(&owner, "lost", &[]).await;
        let mut attempts = app.deliver().await;
        for _ in 0..60 {
            app.later(HOUR / 2).await;
            attempts += app.service.send_webhooks().await;
        }
        assert!((15..60).contains(&attempts), "{attempts} attempts in a day");
        let owner = app.login("ada").await;
        let path = format!("/api/v1/webhooks/{id}");
        let off = owner.get(&path).await;
        assert_eq!(off.data()["is_enabled"], false);
        assert_eq!(off.data()["disabled_reason"], "nothing arrived for a day");
        app.service.project().await;
        let told = owner.get("/api/v1/events?event_type=webhook.disabled").await;
        assert_eq!(told.data()["events"][0]["resource_id"], id.as_str());
        assert!(!told.text.contains("/hooks"), "the address may be a secret of the other service");
        let delivery = deliveries(&owner, &id).await[0].clone();
        assert_eq!(delivery["state"], "failed");
        // Switched on again, it is sent again, as what it was.
        endpoint.answer(&[]);
        let first = endpoint.take()[0].clone();
        owner.patch(&path, json!({ "is_enabled": true })).await.expect(StatusCode::OK);
        let replay = format!("{path}/deliveries/{}/replay", delivery["id"].as_str().unwrap());
        owner.post(&replay, json!({})).await.expect(StatusCode::OK);
        assert_eq!(app.service.send_webhooks().await, 1);
        assert_eq!(endpoint.take()[0].id, first.id);
        owner.post(&format!("{path}/deliveries/{id}/replay"), json!({})).await.refused(404, "DELIVERY_NOT_FOUND");
        // One that says that it is gone is believed at once.
        endpoint.answer(&[410]);
        make(&owner, "gone", &[]).await;
        app.deliver().await;
        assert_eq!(owner.get(&path).await.data()["is_enabled"], false);
    }

    async fn nothing_is_put_on_its_way_to_an_endpoint_that_is_off(app: TestApp) {
        app.service.allow_webhooks("127.0.0.1");
        let (owner, endpoint) = (app.user("ada").await, Endpoint::open().await);
        let (id, _) = hook(&owner, json!({}), &endpoint).await;
        let path = format!("/api/v1/webhooks/{id}");
        owner.post(&format!("{path}/test"), json!({})).await.expect(StatusCode::CREATED);
        owner.patch(&path, json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        let delivery = deliveries(&owner, &id).await[0]["id"].as_str().unwrap().to_owned();
        let again = format!("{path}/deliveries/{delivery}/replay");
        let page = async |query: &str| owner.get(&format!("{path}/deliveries?limit=1&page={query}")).await;
        assert_eq!(page("1").await.data().as_array().unwrap().len(), 1);
        assert_eq!(page("2").await.data(), &json!([]));
        page("0").await.refused(400, "INVALID_PARAMETER_VALUE");
        for path in [format!("{path}/test"), again] {
            owner.post(&path, json!({})).await.refused(409, "WEBHOOK_DISABLED");
        }
        assert_eq!(deliveries(&owner, &id).await.len(), 1);
    }

    /// A body that is none, or says what nobody asks for, changes nothing.
    async fn what_takes_no_body_refuses_one(app: TestApp) {
        app.service.allow_webhooks("127.0.0.1");
        let (owner, endpoint) = (app.user("ada").await, Endpoint::open().await);
        let (id, _) = hook(&owner, json!({}), &endpoint).await;
        let path = format!("/api/v1/webhooks/{id}");
        let before = owner.get(&path).await;
        for action in ["rotate-secret", "test"] {
            let action = format!("{path}/{action}");
            owner.post(&action, json!({ "nope": 1 })).await.refused(422, "VALIDATION_ERROR");
            owner.post(&action, json!([])).await.refused(422, "VALIDATION_ERROR");
            owner.send(Method::POST, &action, b"{".to_vec()).await.refused(400, "VALIDATION_ERROR");
        }
        assert_eq!(owner.get(&path).await.data(), before.data());
    }

    async fn a_rotated_secret_signs_beside_the_new_one_for_a_day(app: TestApp) {
        app.service.allow_webhooks("127.0.0.0/8");
        let (owner, endpoint) = (app.user("ada").await, Endpoint::open().await);
        let (id, old) = hook(&owner, json!({ "event_types": ["webhook.test"] }), &endpoint).await;
        let rotated = owner.post(&format!("/api/v1/webhooks/{id}/rotate-secret"), json!({})).await;
        let new = rotated.expect(StatusCode::OK).data()["secret"].as_str().unwrap().to_owned();
        assert_ne!(old, new);
        assert_eq!(rotated.headers["cache-control"], "no-store");
        owner.post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await.expect(StatusCode::CREATED);
        assert_eq!(app.deliver().await, 1);
        let got = endpoint.take().remove(0);
        assert_eq!(got.json()["type"], "webhook.test");
        assert!(got.is_signed_with(&old) && got.is_signed_with(&new) && got.signatures.len() == 2);
        app.later(24 * HOUR).await;
        let owner = app.login("ada").await;
        owner.post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await.expect(StatusCode::CREATED);
        assert_eq!(app.service.send_webhooks().await, 1);
        let got = endpoint.take().remove(0);
        assert!(!got.is_signed_with(&old) && got.is_signed_with(&new) && got.signatures.len() == 1);
        // Threat 28: neither secret is in the database, nor shown again.
        let rows = app.service.texts("SELECT CAST(url || description AS TEXT) AS t FROM webhooks").await;
        let listed = owner.get("/api/v1/webhooks").await;
        for secret in [&old, &new] {
            assert!(!listed.text.contains(secret.as_str()) && !rows.concat().contains(secret.as_str()));
        }
        let events = owner.get("/api/v1/events?limit=500").await;
        assert!(!events.text.contains("whsec_"));
    }

    async fn two_nodes_send_each_once_and_one_that_died_is_replaced(app: TestApp) {
        let second = app.another_node().await;
        app.service.allow_webhooks("127.0.0.0/8");
        second.allow_webhooks("127.0.0.0/8");
        let (owner, endpoint) = (app.user("ada").await, Endpoint::open().await);
        hook(&owner, json!({ "event_types": [PROJECTS] }), &endpoint).await;
        for n in 0..20 {
            make(&owner, &format!("p{n}"), &[]).await;
        }
        app.service.project().await;
        let (here, there) = tokio::join!(app.service.send_webhooks(), second.send_webhooks());
        assert_eq!(here + there, 20);
        assert_eq!(endpoint.aliases(), (0..20).map(|n| format!("p{n}")).collect::<Vec<_>>());
        // A node that died in the middle: its claim runs out.
        make(&owner, "late", &[]).await;
        app.service.project().await;
        app.service.tamper("UPDATE webhooks SET claimed_until = 1772442942118 + 60000").await;
        assert_eq!(app.service.send_webhooks().await, 0);
        app.later(60 * SECOND).await;
        assert_eq!(app.service.send_webhooks().await, 1);
        assert_eq!(endpoint.aliases(), ["late"]);
    }

    async fn threat_35_an_address_that_is_not_on_the_internet_is_refused_in_every_form(app: TestApp) {
        let owner = app.user("ada").await;
        for url in [
            "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "example.com", "",
            "https:///x", "https:example.com", "https:\\\\example.com", "https://168.63.129.16/",
            "https://user:secret@example.com/", "https://user@example.com/", "https://example.com/#x",
            "https://example.com:22/", "https://example.com:25/", "https://127.0.0.1/", "https://127.1/",
            "https://2130706433/", "https://0x7f000001/", "https://017700000001/", "https://0/",
            "https://169.254.169.254/latest/meta-data", "https://2852039166/", "https://10.0.0.1/",
            "https://100.64.0.1/", "https://192.168.1.1/", "https://172.16.0.1/", "https://224.0.0.1/",
            "https://255.255.255.255/", "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:a9fe:a9fe]/", "https://[64:ff9b::7f00:1]/", "https://[fe80::1]/",
            "https://[fd00::1]/", "https://[::127.0.0.1]/", "https://[2002:7f00:1::]/",
        ] {
            let refused = owner.post("/api/v1/webhooks", json!({ "url": url })).await;
            refused.refused(400, "VALIDATION_ERROR");
            assert!(refused.text.contains("url ") && !refused.text.contains("secret@"), "{url}: {}", refused.text);
        }
        for (body, status, code) in [
            (json!({}), 400, "MISSING_REQUIRED_FIELD"),
            (json!({ "url": 7 }), 422, "VALIDATION_ERROR"),
            (json!({ "url": "https://example.com/", "x": 1 }), 422, "VALIDATION_ERROR"),
            (json!({ "url": "https://example.com/", "event_types": ["A"] }), 400, "VALIDATION_ERROR"),
            (json!({ "url": "https://example.com/", "realm_ids": ["x"] }), 400, "INVALID_REALM_ID_FORMAT"),
            (json!({ "url": format!("https://example.com/{}", "x".repeat(2_048)) }), 400, "VALIDATION_ERROR"),
        ] {
            owner.post("/api/v1/webhooks", body).await.refused(status, code);
        }
        // Not with a token, whatever it holds.
        let token = owner.mint(json!({})).await;
        token.client.get("/api/v1/webhooks").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        for n in 0..20 {
            let made = owner.post("/api/v1/webhooks", json!({ "url": format!("https://example.com/{n}") })).await;
            made.expect(StatusCode::CREATED);
        }
        owner.post("/api/v1/webhooks", json!({ "url": "https://example.com/" })).await.refused(409, "LIMIT_REACHED");
    }

    async fn threat_35_a_name_is_judged_by_what_is_connected_to(app: TestApp) {
        let (owner, endpoint) = (app.user("ada").await, Endpoint::open().await);
        let url = format!("https://rebind.example:{}/", endpoint.address.port());
        let made = owner.post("/api/v1/webhooks", json!({ "url": url, "event_types": [PROJECTS] })).await;
        let id = made.expect(StatusCode::CREATED).data()["id"].as_str().unwrap().to_owned();
        let loopback = endpoint.address;
        let answers: [(&str, Vec<SocketAddr>); 6] = [
            ("loopback", vec![loopback]),
            ("mapped", vec!["[::ffff:127.0.0.1]:0".parse().unwrap()]),
            ("metadata", vec!["169.254.169.254:0".parse().unwrap()]),
            ("private and link-local", vec!["10.0.0.1:0".parse().unwrap(), "[fe80::1]:0".parse().unwrap()]),
            ("nat64", vec!["[64:ff9b::7f00:1]:0".parse().unwrap()]),
            ("nothing", vec![]),
        ];
        for (what, found) in answers {
            let asked = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&asked);
            app.service.look_up_with(move |name| {
                assert_eq!(name, "rebind.example");
                count.fetch_add(1, Ordering::SeqCst);
                found.clone()
            });
            make(&owner, what, &[]).await;
            app.service.project().await;
            app.later(10 * 60 * SECOND).await;
            assert!(app.service.send_webhooks().await >= 1, "{what}");
            assert!(asked.load(Ordering::SeqCst) >= 1, "{what}");
            let failed = deliveries(&owner, &id).await;
            let why = "no address of the host is on the Internet, or allowed by --webhook-allow";
            assert!(failed.iter().any(|one| one["error"] == why), "{what}: {failed:?}");
            assert!(endpoint.take().is_empty(), "{what}");
        }
        // What a name is allowed to lead to beside what it is not: only that is connected to.
        app.service.allow_webhooks("127.0.0.0/8");
        let owner = app.login("ada").await;
        let (_, _) = hook(&owner, json!({ "event_types": ["webhook.test"] }), &endpoint).await;
        let plain = format!("http://mixed.example:{}/", loopback.port());
        let made = owner.post("/api/v1/webhooks", json!({ "url": plain, "event_types": ["webhook.test"] })).await;
        let id = made.expect(StatusCode::CREATED).data()["id"].as_str().unwrap().to_owned();
        app.service.look_up_with(move |_| vec!["10.255.255.1:0".parse().unwrap(), SocketAddr::new(loopback.ip(), 0)]);
        owner.post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await.expect(StatusCode::CREATED);
        app.service.send_webhooks().await;
        assert_eq!(endpoint.take().len(), 1);
        // By http the Internet is not reached, only what is allowed.
        app.service.look_up_with(|_| vec!["192.0.2.1:0".parse().unwrap(), "1.1.1.1:0".parse().unwrap()]);
        owner.post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await.expect(StatusCode::CREATED);
        app.service.send_webhooks().await;
        let refused = deliveries(&owner, &id).await;
        let is_refused = |one: &Value| one["error"].as_str().is_some_and(|why| why.contains("--webhook-allow"));
        assert!(refused.iter().any(is_refused), "{refused:?}");
        assert!(endpoint.take().is_empty());
    }

    async fn threat_35_redirects_are_not_followed(app: TestApp) {
        app.service.allow_webhooks("127.0.0.0/8");
        let (owner, endpoint) = (app.user("ada").await, Endpoint::open().await);
        let inner = Endpoint::open().await;
        let (id, _) = hook(&owner, json!({ "event_types": ["webhook.test"] }), &endpoint).await;
        let to_inner: &'static str = Box::leak(inner.url().into_boxed_str());
        for (status, location) in
            [(302, "http://169.254.169.254/latest/meta-data"), (307, to_inner), (308, to_inner), (301, "//[::1]/")]
        {
            endpoint.answers.lock().unwrap().push((status, location));
            let path = format!("/api/v1/webhooks/{id}");
            owner.patch(&path, json!({ "is_enabled": true })).await.expect(StatusCode::OK);
            let sent = owner.post(&format!("{path}/test"), json!({})).await;
            assert!(app.service.send_webhooks().await >= 1);
            let all = deliveries(&owner, &id).await;
            let one = all.iter().find(|one| one["id"] == sent.data()["id"]).unwrap();
            assert_eq!((&one["status"], &one["state"]), (&json!(status), &json!("waiting")), "{one}");
            app.service.tamper("DELETE FROM webhook_deliveries").await;
        }
        assert_eq!(endpoint.take().len(), 4);
        assert!(inner.take().is_empty());
    }

    async fn an_attempt_under_way_does_not_undo_what_the_owner_changes(app: TestApp) {
        app.service.allow_webhooks("127.0.0.0/8");
        let owner = app.user("ada").await;
        let (old, new) = (Endpoint::open().await, Endpoint::open().await);
        let (id, _) = hook(&owner, json!({ "event_types": [PROJECTS] }), &old).await;
        let path = format!("/api/v1/webhooks/{id}");
        // The old one fails first, so that there is a time since when it fails.
        old.answer(&[503]);
        make(&owner, "first", &[]).await;
        assert_eq!(app.deliver().await, 1);
        old.came.notified().await;
        app.service.tamper("DELETE FROM webhook_deliveries").await;
        for (status, change) in [
            (410, json!({ "url": new.url() })),
            (503, json!({ "url": new.url() })),
            (410, json!({ "is_enabled": true })),
        ] {
            let alias = |what: &str| format!("{what} {status} {}", change["url"].is_null());
            owner.patch(&path, json!({ "url": old.url() })).await.expect(StatusCode::OK);
            old.answers.lock().unwrap().push((status, ""));
            let silence = old.silence.lock().await;
            make(&owner, &alias("held"), &[]).await;
            app.service.project().await;
            let service = app.service.clone();
            let sending = tokio::spawn(async move { service.send_webhooks().await });
            old.came.notified().await;
            owner.patch(&path, change.clone()).await.expect(StatusCode::OK);
            drop(silence);
            assert_eq!(sending.await.unwrap(), 1);
            let shown = owner.get(&path).await;
            assert_eq!(shown.data()["is_enabled"], true, "{change}");
            assert_eq!(shown.data()["failing_since"], Value::Null, "{change}");
            let held = deliveries(&owner, &id).await.remove(0);
            assert_eq!((&held["state"], &held["status"]), (&json!("waiting"), &json!(status)), "{change}");
            // Nor is the new one paused: what comes next goes at once.
            old.take();
            make(&owner, &alias("next"), &[]).await;
            assert_eq!(app.deliver().await, 1, "{change}");
            let came = if change["url"].is_null() { &old } else { &new };
            assert_eq!(came.aliases(), [alias("next")], "{change}");
            app.service.tamper("DELETE FROM webhook_deliveries").await;
        }
    }

    async fn what_waited_past_its_day_is_not_sent(app: TestApp) {
        app.service.allow_webhooks("127.0.0.0/8");
        let (owner, endpoint) = (app.user("ada").await, Endpoint::open().await);
        let (id, _) = hook(&owner, json!({ "event_types": [PROJECTS] }), &endpoint).await;
        let path = format!("/api/v1/webhooks/{id}");
        endpoint.answer(&[500]);
        for alias in ["tried", "never tried"] {
            make(&owner, alias, &[]).await;
        }
        assert_eq!(app.deliver().await, 1);
        owner.patch(&path, json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        app.later(3 * 24 * HOUR).await;
        let owner = app.login("ada").await;
        owner.patch(&path, json!({ "is_enabled": true })).await.expect(StatusCode::OK);
        endpoint.take();
        make(&owner, "new", &[]).await;
        assert_eq!(app.deliver().await, 1);
        assert_eq!(endpoint.aliases(), ["new"]);
        let shown = deliveries(&owner, &id).await;
        assert_eq!(shown.iter().filter(|one| one["state"] == "failed").count(), 2, "{shown:?}");
        for error in ["answered with status 500", "its day was over before it could be sent"] {
            assert!(shown.iter().any(|one| one["error"] == error), "{error}: {shown:?}");
        }
        // By hand it can still be sent, for another day.
        let old = shown.iter().find(|one| one["error"] == "answered with status 500").unwrap();
        let replay = format!("{path}/deliveries/{}/replay", old["id"].as_str().unwrap());
        owner.post(&replay, json!({})).await.expect(StatusCode::OK);
        assert_eq!(app.service.send_webhooks().await, 1);
        assert_eq!(endpoint.aliases(), ["tried"]);
    }

    async fn what_waits_for_an_endpoint_that_is_off_is_swept_when_it_is_old(app: TestApp) {
        app.service.allow_webhooks("127.0.0.0/8");
        let (owner, endpoint) = (app.user("ada").await, Endpoint::open().await);
        let (id, _) = hook(&owner, json!({ "event_types": [PROJECTS] }), &endpoint).await;
        make(&owner, "old", &[]).await;
        app.service.project().await;
        let path = format!("/api/v1/webhooks/{id}");
        owner.patch(&path, json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        app.later(6 * 24 * HOUR).await;
        app.service.sweep_webhooks().await;
        let owner = app.login("ada").await;
        assert_eq!(deliveries(&owner, &id).await.len(), 1);
        // What is to be sent again has another day, however old it is.
        let replay = format!("{path}/deliveries/{}/replay", deliveries(&owner, &id).await[0]["id"].as_str().unwrap());
        app.later(36 * HOUR).await;
        let owner = app.login("ada").await;
        owner.patch(&path, json!({ "is_enabled": true })).await.expect(StatusCode::OK);
        owner.post(&replay, json!({})).await.expect(StatusCode::OK);
        owner.patch(&path, json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        app.service.sweep_webhooks().await;
        assert_eq!(deliveries(&owner, &id).await.len(), 1);
        app.later(25 * HOUR).await;
        app.service.sweep_webhooks().await;
        assert!(deliveries(&app.login("ada").await, &id).await.is_empty());
    }
}
