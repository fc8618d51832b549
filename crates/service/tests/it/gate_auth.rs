//! `/gate/auth` as a proxy asks it: who comes in, what is told, what is logged; and that no client has a say in the
//! question. What proxies send is in the tables of the deployment recipes; here each row stands as the gate sees it.

use std::net::SocketAddr;

use axum::body::Body;
use hoody_service::testing::{Service, Told as Envoy};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::gates::{orders, set, with_orders};
use crate::support::{Client, HERE, Minted, REALM_A, REALM_B, TestApp, on_both};

/// Where the proxy is, which nodes of these tests trust.
const PROXY: &str = "10.9.9.9";
const PROXIES: &str = "10.9.0.0/16";
const IDENTITY: [&str; 6] = [
    "x-hoody-user-id",
    "x-hoody-token-id",
    "x-hoody-token-alias",
    "x-hoody-external-id",
    "x-hoody-realm",
    "x-hoody-permissions",
];
const ACTIVITY: &str = "/api/v1/users/auth/activity";

/// An answer of the gate.
struct Told {
    status: u16,
    headers: HeaderMap,
    body: Value,
    is_hot: bool,
}

impl Told {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn is(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.header("x-hoody-code")),
            (status, code),
            "{:?} {}",
            self.headers,
            self.body
        );
    }
}

/// A question of the proxy, to be changed.
#[derive(Clone)]
struct Ask {
    peer: &'static str,
    method: &'static str,
    query: String,
    headers: Vec<(&'static str, String)>,
}

/// What a client asks the service for, as the proxy tells it.
fn ask(query: &str, method: &str, target: &str, credential: Option<&str>) -> Ask {
    let mut headers = vec![
        ("host", "gate.internal".to_owned()),
        ("x-forwarded-method", method.to_owned()),
        ("x-forwarded-uri", target.to_owned()),
        ("x-forwarded-host", "orders.example.com".to_owned()),
        ("x-forwarded-proto", "https".to_owned()),
        ("x-forwarded-for", HERE.to_owned()),
    ];
    headers.extend(credential.map(|credential| ("authorization", format!("Bearer {credential}"))));
    Ask { peer: PROXY, method: "GET", query: query.to_owned(), headers }
}

impl Ask {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.and(name, value)
    }

    fn and(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    fn request(&self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(format!("/gate/auth?{}", self.query));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(Body::empty()).unwrap()
    }

    /// Asks both ways: what is answered before the router must be what the router answers.
    async fn of(&self, service: &Service) -> Told {
        let peer = SocketAddr::new(self.peer.parse().unwrap(), 40_000);
        let is_hot = service.is_hot(peer, &self.request());
        let mut told = Vec::new();
        for response in
            [service.call(peer, self.request()).await, service.call_router(peer, self.request()).await]
        {
            let (mut parts, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            // Named for each request the router takes.
            parts.headers.remove("x-request-id");
            assert!(parts.status == 200 || parts.status.as_u16() >= 400, "{}", parts.status);
            assert_eq!(parts.headers["cache-control"], "no-store");
            told.push((parts.status, parts.headers, body));
        }
        let signed = "x-hoody-identity";
        let without = |headers: &HeaderMap| {
            let mut headers = headers.clone();
            headers.remove(signed);
            headers
        };
        assert_eq!(
            (told[0].0, without(&told[0].1), &told[0].2),
            (told[1].0, without(&told[1].1), &told[1].2)
        );
        let (status, headers, body) = told.remove(0);
        let identities = IDENTITY.iter().filter(|name| headers.contains_key(**name)).count();
        assert_eq!(identities, if status == 200 { 6 } else { 0 });
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Told { status: status.as_u16(), headers, body, is_hot }
    }
}

/// A node behind the proxy, an account with a gate, and a token that may read orders.
struct World {
    service: Service,
    owner: Client,
    gate: String,
    token: Minted,
}

async fn world(app: &TestApp) -> World {
    let service = app.another_node_behind(PROXIES).await;
    let owner = app.user("ada").await.at(&service);
    with_orders(app).await;
    service.poll().await;
    let gate = set(&owner, "orders", orders()).await;
    let token =
        owner.mint(json!({ "alias": "ci runner", "permissions": { "orders": { "read": true } } })).await;
    World { service, owner, gate: format!("gate={gate}"), token }
}

impl World {
    async fn asked(&self, method: &str, target: &str, credential: Option<&str>) -> Told {
        ask(&self.gate, method, target, credential).of(&self.service).await
    }

    async fn good(&self) -> Told {
        self.asked("GET", "/orders/7", Some(&self.token.secret)).await
    }

    async fn rows(&self) -> Vec<Value> {
        assert!(self.service.flush_activity().await);
        let reply = self.owner.get(&format!("{ACTIVITY}?limit=200")).await;
        let rows = reply.data().as_array().unwrap().clone();
        rows.into_iter().filter(|row| row["via"] == "gate").collect()
    }
}

/// Each target of the tables of what proxies pass on.
const MANGLED: &[&str] = &[
    "/pub/../admin/x",
    "/pub/%2e%2e/admin/x",
    "/pub/%2E%2E/admin",
    "//admin/x",
    "/pub//x",
    "/pub/..%2fadmin/x",
    "/pub%2fx",
    "/pub/./x",
    "/pub/.",
    "/pub/..",
    "/pub/..;/admin",
    "/pub;x=1/a",
    "/pub%00",
    "/pub%5cx",
    "/pub\\x",
    "/%70ub/x",
    "/pub/%7Ex",
    "/../pub",
    "/pub%",
    "/pub%zz",
    "/pub#f",
    "/pub%252e%252e/x",
    "/pub/%c0%ae",
    "/pub/%ff",
    "http://app/pub",
    "*",
    "",
    "pub",
    "/pub|x",
    "/pub\"",
    "/pub<",
    "/pub{x}",
    "/%2e%2e/pub",
    "/pub/%3b",
    "/pub/%3f",
    "/pub/%23",
    "/pub/%25",
];

/// One credential of each kind that there is, once the catalogue has changed and time has passed.
async fn credentials(world: &World, app: &TestApp) -> Vec<String> {
    let all = json!({ "orders": { "read": true, "past": true, "gone": true }, "projects": { "read": true } });
    let mint = async |mut body: Value| {
        body["permissions"] = all.clone();
        world.owner.mint(body).await
    };
    let (good, disabled, deleted) = (mint(json!({})).await, mint(json!({})).await, mint(json!({})).await);
    let (elsewhere, bound) = (
        mint(json!({ "ip_whitelist": ["198.51.100.0/24"] })).await,
        mint(json!({ "realm_ids": [REALM_A] })).await,
    );
    let short = mint(json!({ "expires_at": world.service.now().millis() + 60_000 })).await;
    let none = world.owner.mint(json!({ "permissions": {} })).await;
    world
        .owner
        .patch(&format!("/api/v1/auth/tokens/{}", disabled.id), json!({ "is_enabled": false }))
        .await
        .expect(StatusCode::OK);
    world.owner.delete(&format!("/api/v1/auth/tokens/{}", deleted.id)).await.expect(StatusCode::OK);
    world.service.advance(61_000);
    let retired = json!({ "permissions": { "orders.read": {}, "orders.create": {}, "orders.past": {}, "orders.gone": { "retired": true } } });
    app.service.advance(61_000);
    app.service.apply_permissions(&retired, true, false).await.unwrap();
    assert!(world.service.poll().await);
    let unknown = app.service.unknown_token();
    let tokens = [good, disabled, deleted, elsewhere, bound, short, none];
    tokens.into_iter().map(|token| token.secret).chain([unknown]).collect()
}

on_both! {
    async fn every_question_has_its_answer(app: TestApp) {
        let world = world(&app).await;
        let other = app.user("bob").await.at(&world.service);
        let foreign = other.mint(json!({ "permissions": { "orders": { "read": true } } })).await;
        let (disabled, deleted) = (world.owner.mint(json!({})).await, world.owner.mint(json!({})).await);
        world
            .owner
            .patch(&format!("/api/v1/auth/tokens/{}", disabled.id), json!({ "is_enabled": false }))
            .await
            .expect(StatusCode::OK);
        world.owner.delete(&format!("/api/v1/auth/tokens/{}", deleted.id)).await.expect(StatusCode::OK);
        let elsewhere = world
            .owner
            .mint(
                json!({ "permissions": { "orders": { "read": true } }, "ip_whitelist": ["198.51.100.0/24"] }),
            )
            .await;
        let bound = world
            .owner
            .mint(json!({ "permissions": { "orders": { "read": true } }, "realm_ids": [REALM_A] }))
            .await;
        let short = world.owner.mint(json!({ "expires_at": world.service.now().millis() + 60_000 })).await;
        let never = app.service.unknown_token();
        world.service.advance(61_000);
        assert!(world.service.poll().await);
        let session = world.owner.credential.clone().unwrap();
        let token = Some(world.token.secret.as_str());
        for (method, target, credential, status, code) in [
            ("GET", "/orders/7", token, 200, ""),
            ("HEAD", "/orders/7", token, 200, ""),
            ("GET", "/orders/7/", token, 200, ""),
            ("GET", "/orders/7?permission=admin.users&x=%zz", token, 200, ""),
            ("GET", "/me", token, 200, ""),
            ("GET", "/healthz", None, 200, ""),
            ("GET", "/healthz", Some("garbage"), 200, ""),
            ("POST", "/orders", token, 403, "INSUFFICIENT_PERMISSIONS"),
            ("DELETE", "/orders/7", token, 403, "NO_ROUTE"),
            ("get", "/orders/7", token, 403, "NO_ROUTE"),
            ("GET", "/ordersx", token, 403, "NO_ROUTE"),
            ("GET", "/orders/7/x", token, 403, "NO_ROUTE"),
            ("GET", "/Orders/7", token, 403, "NO_ROUTE"),
            ("TRACE", "/healthz", token, 403, "NO_ROUTE"),
            ("CONNECT", "/healthz", token, 403, "NO_ROUTE"),
            ("OPTIONS", "/orders/7", None, 401, "MISSING_TOKEN"),
            // Who has no credential does not learn which routes there are.
            ("GET", "/nowhere", None, 401, "MISSING_TOKEN"),
            ("GET", "/orders/7", None, 401, "MISSING_TOKEN"),
            ("GET", "/nowhere", Some("garbage"), 401, "INVALID_TOKEN"),
            ("GET", "/me", Some(&never), 401, "INVALID_TOKEN"),
            ("GET", "/me", Some(&disabled.secret), 401, "INVALID_TOKEN"),
            ("GET", "/me", Some(&deleted.secret), 401, "INVALID_TOKEN"),
            ("GET", "/me", Some(&short.secret), 401, "TOKEN_EXPIRED"),
            ("GET", "/me", Some(&session), 403, "INSUFFICIENT_PERMISSIONS"),
            ("GET", "/orders/7", Some(&foreign.secret), 403, "GATE_ACCOUNT"),
            ("GET", "/nowhere", Some(&foreign.secret), 403, "GATE_ACCOUNT"),
            ("GET", "/orders/7", Some(&elsewhere.secret), 403, "IP_NOT_WHITELISTED"),
            ("GET", "/orders/7", Some(&bound.secret), 403, "REALM_SCOPE_REQUIRED"),
        ] {
            let told = world.asked(method, target, credential).await;
            assert_eq!(
                (told.status, told.header("x-hoody-code")),
                (status, code),
                "{method} {target}: {}",
                told.body
            );
            let is_challenged = status == 401 || code == "INSUFFICIENT_PERMISSIONS";
            assert_eq!(told.headers.contains_key("www-authenticate"), is_challenged, "{method} {target}");
            if status == 200 {
                assert_eq!((told.header("content-length"), &told.body), ("0", &Value::Null));
            } else {
                assert_eq!((&told.body["code"], &told.body["statusCode"]), (&json!(code), &json!(status)));
            }
            assert!(!told.body.to_string().contains("203.0.113"), "no address is repeated");
        }
    }

    async fn challenges_are_those_of_rfc_6750(app: TestApp) {
        let world = world(&app).await;
        let realm = "Bearer realm=\"auth.example.com\"";
        assert_eq!(world.asked("GET", "/me", None).await.header("www-authenticate"), realm);
        let wrong = world.asked("GET", "/me", Some("garbage")).await;
        assert_eq!(wrong.header("www-authenticate"), format!("{realm}, error=\"invalid_token\""));
        let lacking = world.asked("POST", "/orders", Some(&world.token.secret)).await;
        let scope = format!("{realm}, error=\"insufficient_scope\", scope=\"orders.create\"");
        assert_eq!(lacking.header("www-authenticate"), scope);
    }

    async fn the_service_learns_who_came_in(app: TestApp) {
        let world = world(&app).await;
        let account = world.owner.account().await;
        let told = world.good().await;
        assert_eq!(told.header("x-hoody-user-id"), account);
        assert_eq!(told.header("x-hoody-token-id"), world.token.id);
        assert_eq!(told.header("x-hoody-token-alias"), "ci%20runner");
        assert_eq!(told.header("x-hoody-permissions"), "orders.read");
        for empty in ["x-hoody-external-id", "x-hoody-realm"] {
            assert_eq!((told.headers.contains_key(empty), told.header(empty)), (true, ""));
        }
        // Nobody, where nobody is needed, whatever was sent.
        let public = world.asked("GET", "/healthz", Some(&world.token.secret)).await;
        assert!(IDENTITY.iter().all(|name| public.header(name).is_empty()));
        // A new name is told with the next question.
        let path = format!("/api/v1/auth/tokens/{}", world.token.id);
        world.owner.patch(&path, json!({ "alias": "another" })).await.expect(StatusCode::OK);
        assert_eq!(world.good().await.header("x-hoody-token-alias"), "another");
        world.owner.patch(&path, json!({ "permissions": { "orders": { "read": true, "create": true }, "projects": { "read": true } } })).await.expect(StatusCode::OK);
        assert_eq!(
            world.good().await.header("x-hoody-permissions"),
            "orders.create orders.read projects.read"
        );
    }

    async fn what_is_cached_is_answered_before_the_router_until_it_changes(app: TestApp) {
        let world = world(&app).await;
        assert!(!world.good().await.is_hot, "nothing is known yet");
        for target in ["/orders/7", "/orders/8?x=1", "/me"] {
            assert!(world.asked("GET", target, Some(&world.token.secret)).await.is_hot, "{target}");
        }
        assert!(world.asked("GET", "/healthz", None).await.is_hot, "a public row needs no credential");
        assert!(!world.asked("GET", "/nowhere", Some(&world.token.secret)).await.is_hot);
        let hostless = ask(&world.gate, "GET", "/me", Some(&world.token.secret)).without("host");
        let peer = SocketAddr::new(PROXY.parse().unwrap(), 40_000);
        assert!(!world.service.is_hot(peer, &hostless.request()));
        assert_eq!(world.service.call(peer, hostless.request()).await.status(), 400, "HTTP/1.1 has a host");
        // The gate.
        let mut less = orders();
        less["route"] = json!([{ "path": "/me", "any": true }]);
        set(&world.owner, "orders", less).await;
        world.good().await.is(403, "NO_ROUTE");
        set(&world.owner, "orders", orders()).await;
        assert!(world.good().await.status == 200 && world.good().await.is_hot);
        // The catalogue: under its old name a row needs the same leaf.
        let renamed = json!({ "permissions": { "orders.see": { "renamed_from": "orders.read" }, "orders.create": {}, "orders.old": {} } });
        app.service.apply_permissions(&renamed, true, false).await.unwrap();
        assert!(world.service.poll().await);
        assert_eq!(world.good().await.header("x-hoody-permissions"), "orders.see");
        // The token.
        let path = format!("/api/v1/auth/tokens/{}", world.token.id);
        world.owner.patch(&path, json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        world.good().await.is(401, "INVALID_TOKEN");
        world.owner.patch(&path, json!({ "is_enabled": true })).await.expect(StatusCode::OK);
        assert_eq!(world.good().await.status, 200);
        // Time: what is not fresh is read, and refused where it cannot be.
        assert!(world.good().await.is_hot);
        world.service.advance(800);
        let told = world.good().await;
        assert_eq!((told.status, told.is_hot), (200, false));
        assert!(world.service.poll().await);
        // The poll told of the token's own change again.
        assert_eq!(world.good().await.status, 200);
        assert!(world.good().await.is_hot);
        // The whole gate.
        world.owner.delete("/api/v1/gates/orders").await.expect(StatusCode::OK);
        world.good().await.is(403, "GATE_UNKNOWN");
    }

    async fn a_change_on_another_node_is_in_force_once_the_feed_is_read(app: TestApp) {
        let world = world(&app).await;
        assert!(world.good().await.status == 200 && world.good().await.is_hot);
        let there = world.owner.at(&app.service);
        let mut less = orders();
        less["route"] = json!([]);
        set(&there, "orders", less).await;
        assert!(world.service.poll().await);
        world.good().await.is(403, "NO_ROUTE");
        // A gate that is not there is remembered, too, until it is.
        there.delete("/api/v1/gates/orders").await.expect(StatusCode::OK);
        assert!(world.service.poll().await);
        world.good().await.is(403, "GATE_UNKNOWN");
        let made = set(&there, "orders", orders()).await;
        assert!(world.service.poll().await);
        let query = format!("gate={made}");
        let told = ask(&query, "GET", "/orders/7", Some(&world.token.secret)).of(&world.service).await;
        assert_eq!(told.status, 200);
        // A banned owner has no gates.
        app.service.ban_elsewhere("ada", true).await;
        assert!(world.service.poll().await);
        ask(&query, "GET", "/healthz", None).of(&world.service).await.is(403, "GATE_UNKNOWN");
        app.service.ban_elsewhere("ada", false).await;
        assert!(world.service.poll().await);
        assert_eq!(ask(&query, "GET", "/healthz", None).of(&world.service).await.status, 200);
    }

    async fn questions_without_a_table_name_the_account(app: TestApp) {
        let world = world(&app).await;
        let account = world.owner.account().await;
        let other = app.user("bob").await.at(&world.service);
        let foreign = other.mint(json!({ "permissions": { "orders": { "read": true } } })).await;
        let of = async |query: &str, credential: &str| {
            // Also from somebody who is no proxy: the peer's address is the caller's.
            let mut ask = ask(query, "GET", "//not/canonical", Some(credential));
            let behind = ask.of(&world.service).await;
            ask.peer = HERE;
            let alone = ask.of(&world.service).await;
            assert_eq!((behind.status, &behind.body), (alone.status, &alone.body));
            behind
        };
        let own = format!("account={account}");
        let good = of(&format!("permission=orders.read&{own}"), &world.token.secret).await;
        assert_eq!((good.status, good.header("x-hoody-token-id")), (200, world.token.id.as_str()));
        assert_eq!(of(&own, &world.token.secret).await.status, 200);
        of(&format!("permission=orders.create&{own}"), &world.token.secret)
            .await
            .is(403, "INSUFFICIENT_PERMISSIONS");
        of(&format!("permission=orders.read&{own}"), &foreign.secret).await.is(403, "GATE_ACCOUNT");
        of(&own, world.owner.credential.as_deref().unwrap()).await.is(403, "INSUFFICIENT_PERMISSIONS");
        let bound = world.owner.mint(json!({ "realm_ids": [REALM_A] })).await;
        let realm = of(&format!("{own}&realm={REALM_A}"), &bound.secret).await;
        assert_eq!((realm.status, realm.header("x-hoody-realm")), (200, REALM_A));
        of(&format!("{own}&realm={REALM_B}"), &bound.secret).await.is(403, "REALM_NOT_ALLOWED");
        for query in [
            "",
            "permission=orders.read",
            "account=x",
            &format!("{own}&{own}"),
            &format!("{own}&permission=nothing"),
            &format!("{own}&permission=orders.read&permission=orders.read"),
            &format!("{own}&x=1"),
            &format!("{own}&sign=yes"),
            &format!("{own}&{}", world.gate),
            &format!("{own}&body=all"),
        ] {
            of(query, &world.token.secret).await.is(400, "INVALID_PARAMETER_VALUE");
        }
    }

    async fn sessions_and_other_accounts_come_in_where_the_gate_says_so(app: TestApp) {
        let world = world(&app).await;
        let other = app.user("bob").await.at(&world.service);
        let foreign = other.mint(json!({ "permissions": { "orders": { "read": true } } })).await;
        let third = app.user("carol").await.at(&world.service).mint(json!({})).await;
        let mut gate = orders();
        gate["sessions"] = json!(true);
        gate["accounts"] = json!([other.account().await]);
        set(&world.owner, "orders", gate.clone()).await;
        let session = world.asked("GET", "/me", world.owner.credential.as_deref()).await;
        assert_eq!((session.status, session.header("x-hoody-token-id")), (200, ""));
        assert!(session.header("x-hoody-permissions").starts_with("orders."), "{:?}", session.headers);
        assert_eq!(world.asked("GET", "/orders/7", Some(&foreign.secret)).await.status, 200);
        assert!(world.asked("GET", "/orders/7", Some(&foreign.secret)).await.is_hot);
        world.asked("GET", "/me", Some(&third.secret)).await.is(403, "GATE_ACCOUNT");
        gate["accounts"] = json!("any");
        set(&world.owner, "orders", gate).await;
        assert_eq!(world.asked("GET", "/me", Some(&third.secret)).await.status, 200);
    }

    async fn threat_22_no_host_of_a_request_chooses_a_realm(app: TestApp) {
        let world = world(&app).await;
        let bound = world.owner.mint(json!({ "realm_ids": [REALM_A] })).await;
        let mut gate = orders();
        gate["realm"] = json!("{realm}.orders.example.com");
        set(&world.owner, "orders", gate).await;
        let at =
            |host: &str| ask(&world.gate, "GET", "/me", Some(&bound.secret)).with("x-forwarded-host", host);
        let here = at(&format!("{REALM_A}.orders.example.com")).of(&world.service).await;
        assert_eq!((here.status, here.header("x-hoody-realm")), (200, REALM_A));
        at(&format!("{REALM_B}.orders.example.com")).of(&world.service).await.is(403, "REALM_NOT_ALLOWED");
        at("orders.example.com").of(&world.service).await.is(403, "REALM_SCOPE_REQUIRED");
        for host in [
            "evil.example",
            &format!("{REALM_A}.evil.example"),
            &format!("x.{REALM_A}.orders.example.com"),
            &format!("{REALM_A}.api.localhost"),
        ] {
            at(host).of(&world.service).await.is(403, "GATE_HOST");
        }
        for host in
            ["orders.example.com,evil.example", "a b", "", "orders.example.com/x", "user@orders.example.com"]
        {
            at(host).of(&world.service).await.is(400, "GATE_HEADERS");
        }
        // What the connection itself is called says nothing, however odd it is.
        for host in [&format!("{REALM_A}.api.localhost"), &format!("{REALM_A}.elsewhere"), "a,b", "a b"] {
            let told = at("orders.example.com").with("host", host).of(&world.service).await;
            told.is(403, "REALM_SCOPE_REQUIRED");
        }
        let fixed = json!({ "hosts": ["orders.example.com"], "realm": REALM_A, "route": [{ "path": "/me", "any": true }] });
        set(&world.owner, "orders", fixed).await;
        assert_eq!(at("ORDERS.example.com:8443").of(&world.service).await.header("x-hoody-realm"), REALM_A);
    }

    async fn threat_5_only_a_trusted_proxy_tells_of_a_request_and_once(app: TestApp) {
        let world = world(&app).await;
        let good = || ask(&world.gate, "GET", "/orders/7", Some(&world.token.secret));
        assert_eq!(good().of(&world.service).await.status, 200);
        let mut spoofed = good();
        spoofed.peer = "198.51.100.1";
        spoofed.of(&world.service).await.is(403, "GATE_PROXY_UNTRUSTED");
        for name in [
            "x-forwarded-method",
            "x-forwarded-uri",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-for",
        ] {
            good().without(name).of(&world.service).await.is(400, "GATE_HEADERS");
            good().and(name, "GET").of(&world.service).await.is(400, "GATE_HEADERS");
        }
        for (name, value) in
            [("x-forwarded-proto", "gopher"), ("x-forwarded-method", "GET /"), ("x-forwarded-method", "")]
        {
            good().with(name, value).of(&world.service).await.is(400, "GATE_HEADERS");
        }
        // Other families are never read.
        let mut many = good();
        for (name, value) in [
            ("x-original-uri", "/healthz"),
            ("x-original-url", "/healthz"),
            ("x-original-method", "POST"),
            ("x-rewrite-url", "/healthz"),
            ("x-http-method-override", "POST"),
            ("x-real-ip", "198.51.100.7"),
            ("forwarded", "for=198.51.100.7;host=evil"),
            ("x-forwarded-prefix", "/healthz"),
            ("x-hoody-user-id", "evil"),
            ("x_hoody_user_id", "evil"),
            ("x-hoody-permissions", "admin"),
            ("connection", "x-hoody-user-id, authorization, x-forwarded-uri"),
        ] {
            many = many.and(name, value);
        }
        let told = many.of(&world.service).await;
        assert_eq!((told.status, told.header("x-hoody-token-id")), (200, world.token.id.as_str()));
        assert_eq!(told.header("x-hoody-permissions"), "orders.read");
    }

    async fn threats_1_to_4_addresses_are_the_clients_own(app: TestApp) {
        let world = world(&app).await;
        let of = async |list: Value, forwarded: &str| {
            let token = world.owner.mint(json!({ "ip_whitelist": list })).await;
            ask(&world.gate, "GET", "/me", Some(&token.secret))
                .with("x-forwarded-for", forwarded)
                .of(&world.service)
                .await
        };
        assert_eq!(of(json!(["198.51.100.0/24"]), "198.51.100.9").await.status, 200);
        // The right-most that is no proxy, however many stand before it.
        of(json!(["198.51.100.0/24"]), "198.51.100.9, 203.0.113.9").await.is(403, "IP_NOT_WHITELISTED");
        assert_eq!(of(json!(["203.0.113.9"]), "198.51.100.9, 203.0.113.9, 10.9.1.1").await.status, 200);
        assert_eq!(of(json!(["203.0.113.9"]), "::ffff:203.0.113.9").await.status, 200);
        of(json!(["203.0.113.9"]), "64:ff9b::203.0.113.9").await.is(403, "IP_NOT_WHITELISTED");
        of(json!(["2001:db8::/32"]), "203.0.113.9").await.is(403, "IP_NOT_WHITELISTED");
        assert_eq!(of(json!(["2001:db8::/32"]), "[2001:db8::7]:443").await.status, 200);
        for forwarded in ["", "unknown", "0x7f.1", "203.0.113.9, evil", "010.0.0.1", "fe80::1%eth0"] {
            of(json!(["*"]), forwarded).await.is(400, "INVALID_FORWARDED_FOR");
        }
        let many = vec!["10.9.1.1"; 33].join(", ");
        of(json!(["*"]), &many).await.is(400, "INVALID_FORWARDED_FOR");
    }

    async fn threats_5_and_17_one_canonical_path_or_none(app: TestApp) {
        let world = world(&app).await;
        let gate = json!({ "hosts": ["orders.example.com"], "route": [
            { "path": "/admin/**", "permission": "orders.create" },
            { "path": "/pub/**", "any": true },
            { "path": "/", "any": true },
            { "path": "/files/**", "any": true, "tail": "opaque" },
        ] });
        set(&world.owner, "orders", gate).await;
        for target in MANGLED {
            let told = world.asked("GET", target, Some(&world.token.secret)).await;
            let code = told.header("x-hoody-code");
            // An empty value is no header of the family to some clients of HTTP; it never comes in.
            assert!(
                told.status == 400 && matches!(code, "PATH_NOT_CANONICAL" | "GATE_HEADERS"),
                "{target}: {} {code}",
                told.status
            );
            assert!(
                target.len() < 4 || !told.body["message"].as_str().unwrap().contains(target),
                "{target} is repeated"
            );
        }
        for (target, status) in [
            ("/pub/x", 200),
            ("/pub", 200),
            ("/", 200),
            ("/?x#y", 400),
            ("/pub/caf%C3%A9", 200),
            ("/pub/a%20b", 200),
            ("/pubx", 403),
            ("/PUB/x", 403),
            ("/admin", 403),
            ("/admin/x", 403),
            ("/files/a%2Fb;c//d", 200),
            ("/files/a%2Fb/../x", 400),
            ("/files/%2e%2e/x", 400),
            ("/files/a\\b", 400),
        ] {
            assert_eq!(
                world.asked("GET", target, Some(&world.token.secret)).await.status,
                status,
                "{target}"
            );
        }
        let long = format!("/pub/{}", "a".repeat(8_200));
        assert_eq!(world.asked("GET", &long, Some(&world.token.secret)).await.status, 400);
    }

    async fn threat_6_forged_credentials_are_nobodys(app: TestApp) {
        let world = world(&app).await;
        let session = world.owner.credential.clone().unwrap();
        let (head, rest) = session.split_once('.').unwrap();
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
        let secret = &world.token.secret;
        for authorization in [
            format!("Bearer {none}.{}", rest.split_once('.').unwrap().0),
            format!("Bearer {none}.{}.", rest.split_once('.').unwrap().0),
            format!("Bearer {head}.{}.AAAA", rest.split_once('.').unwrap().0),
            format!("Bearer {secret},Bearer {secret}"),
            format!("Bearer {secret} x"),
            format!("Bearer {secret}x"),
            format!("Bearer {}", &secret[..60]),
            "Bearer ".to_owned(),
            "Basic YTpi".to_owned(),
            format!("Token {secret}"),
            "Bearer".to_owned(),
        ] {
            let told = ask(&world.gate, "GET", "/orders/7", None)
                .with("authorization", &authorization)
                .of(&world.service)
                .await;
            told.is(401, "INVALID_TOKEN");
        }
        let twice = ask(&world.gate, "GET", "/orders/7", Some(secret))
            .and("authorization", &format!("Bearer {secret}"));
        twice.of(&world.service).await.is(401, "INVALID_TOKEN");
        for scheme in ["bearer", "BEARER", "Bearer"] {
            let told = ask(&world.gate, "GET", "/orders/7", None)
                .with("authorization", &format!("{scheme} {secret}"));
            assert_eq!(told.of(&world.service).await.status, 200, "{scheme}");
        }
        // A credential is nowhere else than there.
        let cookie = ask(&world.gate, "GET", "/me", None)
            .and("cookie", &format!("token={secret}"))
            .and("x-api-key", secret);
        cookie.of(&world.service).await.is(401, "MISSING_TOKEN");
    }

    async fn threat_41_what_all_below_needs_is_needed_for_lists_too(app: TestApp) {
        let world = world(&app).await;
        let gate = json!({ "hosts": ["orders.example.com"], "route": [
            { "path": "/**", "permission": "orders.create" }, { "path": "/orders/{id}", "any": true },
        ] });
        set(&world.owner, "orders", gate).await;
        for (method, target, status) in [
            ("GET", "/orders", 403),
            ("LIST", "/orders", 403),
            ("SCAN", "/orders/", 403),
            ("GET", "/", 403),
            ("GET", "/orders?list=true", 403),
            ("GET", "/orders/1/2", 403),
            ("GET", "/orders/1", 200),
            ("PROPFIND", "/orders/1", 200),
        ] {
            assert_eq!(
                world.asked(method, target, Some(&world.token.secret)).await.status,
                status,
                "{method} {target}"
            );
        }
    }

    async fn any_method_may_ask_and_nothing_else_is_below_gate(app: TestApp) {
        let world = world(&app).await;
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let mut ask = ask(&world.gate, "GET", "/orders/7", Some(&world.token.secret));
            ask.method = method;
            assert_eq!(ask.of(&world.service).await.status, 200, "{method}");
        }
        for path in ["/gate/", "/gate/x", "/gate/auth/x"] {
            let reply = world.owner.get(path).await;
            reply.refused(404, "RESOURCE_NOT_FOUND");
        }
        let without = ask(&format!("{}&body=none", world.gate), "GET", "/nowhere", Some(&world.token.secret))
            .of(&world.service)
            .await;
        assert_eq!(
            (without.status, without.header("content-length"), &without.body),
            (403, "0", &Value::Null)
        );
        let preflight = ask(&world.gate, "OPTIONS", "/orders/7", None)
            .and("origin", "https://x")
            .and("access-control-request-method", "GET");
        preflight.of(&world.service).await.is(401, "MISSING_TOKEN");
        let mut gate = orders();
        gate["preflight"] = json!("pass");
        set(&world.owner, "orders", gate).await;
        assert_eq!(preflight.of(&world.service).await.status, 200);
        preflight.clone().without("origin").of(&world.service).await.is(401, "MISSING_TOKEN");
        preflight.with("x-forwarded-method", "GET").of(&world.service).await.is(401, "MISSING_TOKEN");
    }

    async fn identities_are_signed_on_request(app: TestApp) {
        let world = world(&app).await;
        assert!(!world.good().await.headers.contains_key("x-hoody-identity"));
        let told = ask(&format!("{}&sign=1", world.gate), "GET", "/orders/7?x=1", Some(&world.token.secret))
            .of(&world.service)
            .await;
        let signed = told.header("x-hoody-identity");
        let keys = world.owner.get("/api/v1/meta/public-key").await.data()["keys"].clone();
        let verified = hoody_service::testing::verify_identity(
            signed,
            &keys,
            "https://auth.example.com",
            ("GET", "orders.example.com", "/orders/7"),
            world.service.now(),
        );
        let verified = verified.expect("a signature of the published key");
        assert_eq!(
            (verified.token.unwrap().to_string(), verified.alias.as_str()),
            (world.token.id.clone(), "ci runner")
        );
        assert_eq!(verified.permissions, "orders.read");
        for (method, host, path) in [
            ("POST", "orders.example.com", "/orders/7"),
            ("GET", "b.example.com", "/orders/7"),
            ("GET", "orders.example.com", "/orders/8"),
        ] {
            assert!(
                hoody_service::testing::verify_identity(
                    signed,
                    &keys,
                    "https://auth.example.com",
                    (method, host, path),
                    world.service.now()
                )
                .is_none()
            );
        }
        let mut gate = orders();
        gate["sign"] = json!(true);
        set(&world.owner, "orders", gate).await;
        assert!(world.good().await.headers.contains_key("x-hoody-identity"));
        assert!(
            world.asked("GET", "/healthz", None).await.headers.contains_key("x-hoody-identity"),
            "that nobody is there is signed, too"
        );
    }

    async fn every_decision_is_in_the_log_and_no_path(app: TestApp) {
        let world = world(&app).await;
        let other = app.user("bob").await.at(&world.service);
        let foreign = other.mint(json!({})).await;
        let gate_id = world.gate.strip_prefix("gate=").unwrap().to_owned();
        for (method, target, credential, row) in [
            (
                "GET",
                "/orders/secret-7?reset=token",
                Some(world.token.secret.as_str()),
                ("/orders/{id}", 200, Value::Null, json!("orders.read")),
            ),
            (
                "POST",
                "/orders",
                Some(&world.token.secret),
                ("/orders", 403, json!("permission"), json!("orders.create")),
            ),
            ("GET", "/reset/secret", Some(&world.token.secret), ("", 403, json!("no_route"), Value::Null)),
            ("GET", "/healthz", None, ("/healthz", 200, Value::Null, Value::Null)),
            ("GET", "/orders/7", None, ("/orders/{id}", 401, json!("missing"), json!("orders.read"))),
            ("GET", "//orders", None, ("", 400, json!("path_not_canonical"), Value::Null)),
            ("GET", "/me", Some(&foreign.secret), ("/me", 403, json!("gate_account"), Value::Null)),
        ] {
            let peer = SocketAddr::new(PROXY.parse().unwrap(), 40_000);
            let before = world.rows().await.len();
            world.service.call(peer, ask(&world.gate, method, target, credential).request()).await;
            let rows = world.rows().await;
            assert_eq!(rows.len(), before + 1, "{method} {target}");
            let told = &rows[0];
            let (path, status, reason, permission) = row;
            assert_eq!(
                (&told["method"], &told["path"], &told["status_code"]),
                (&json!(method), &json!(path), &json!(status)),
                "{told}"
            );
            assert_eq!((&told["deny_reason"], &told["permission"]), (&reason, &permission), "{told}");
            assert_eq!(
                (&told["gate_id"], &told["host"], &told["ip_address"]),
                (&json!(gate_id), &json!("orders.example.com"), &json!(HERE))
            );
            let is_own = credential == Some(world.token.secret.as_str());
            assert_eq!(told["token_id"], if is_own { json!(world.token.id) } else { Value::Null }, "{told}");
            assert!(!told.to_string().contains("secret"), "{told}");
        }
        // Before the router as well.
        assert!(world.good().await.is_hot || world.good().await.is_hot);
        let rows = world.rows().await;
        assert_eq!(
            (&rows[0]["path"], &rows[0]["token_id"], &rows[0]["via"]),
            (&json!("/orders/{id}"), &json!(world.token.id), &json!("gate"))
        );
        // Where the gate says so, the path, without a query and without what looks like a credential.
        let mut gate = orders();
        gate["log"] = json!("path");
        set(&world.owner, "orders", gate).await;
        world.asked("GET", "/orders/7?x=1", Some(&world.token.secret)).await;
        assert_eq!(world.rows().await[0]["path"], "/orders/7");
        world.asked("GET", &format!("/orders/{}", world.token.secret), Some(&world.token.secret)).await;
        assert_eq!(world.rows().await[0]["path"], "/orders/[redacted]");
        world.asked("GET", "/nowhere", Some(&world.token.secret)).await;
        assert_eq!(world.rows().await[0]["path"], "/nowhere");
        // What tokens did is counted with what they did here.
        world.service.flush_usage().await;
        let shown = world.owner.get(&format!("/api/v1/auth/tokens/{}", world.token.id)).await;
        assert!(
            shown.data()["last_used_at"].is_string() && shown.data()["last_used_ip"] == HERE,
            "{}",
            shown.text
        );
        // Nobody writes into the log of an account without being its proxy.
        let before = world.rows().await.len();
        let mut alone = ask(&format!("account={}", world.owner.account().await), "GET", "/", Some("garbage"));
        alone.peer = "198.51.100.1";
        alone.of(&world.service).await.is(401, "INVALID_TOKEN");
        assert_eq!(world.rows().await.len(), before);
    }

    async fn threat_19_every_door_gives_the_same_decision(app: TestApp) {
        let world = world(&app).await;
        let account = world.owner.account().await;
        let retired = json!({ "permissions": { "orders.read": {}, "orders.create": {}, "orders.past": { "renamed_from": "orders.old" },
            "orders.gone": { "description": "Soon retired" } } });
        app.service.apply_permissions(&retired, true, false).await.unwrap();
        assert!(world.service.poll().await);
        let texts = credentials(&world, &app).await;
        let mut allowed = 0;
        // Of the operator, also one that is retired and one under its old name, and of hoody's.
        for permission in [
            "orders.read",
            "orders.create",
            "orders.gone",
            "orders.old",
            "orders.past",
            "projects.read",
            "projects.create",
        ] {
            for realm in [None, Some(REALM_A), Some(REALM_B)] {
                let gate = json!({ "hosts": ["orders.example.com"], "realm": realm.unwrap_or("none"),
                    "route": [{ "path": "/x/{id}", "permission": permission }] });
                let id = set(&world.owner, "same", gate).await;
                for text in &texts {
                    let client = Client::of(&world.service, Some(text));
                    let client = realm.map_or(client.clone(), |realm| client.realm(realm));
                    let check = client.check(permission).await;
                    let code = check.body["code"].as_str().unwrap_or("").to_owned();
                    let status = if check.status == 204 { 200 } else { check.status.as_u16() };
                    allowed += u32::from(status == 200);
                    let case = format!("{permission} {realm:?} {code}");
                    let of_realm = realm.map(|realm| format!("&realm={realm}")).unwrap_or_default();
                    let url = format!("account={account}&permission={permission}{of_realm}");
                    for query in [&url, &format!("gate={id}")] {
                        let told = ask(query, "GET", "/x/7", Some(text)).of(&world.service).await;
                        assert_eq!(
                            (told.status, told.header("x-hoody-code")),
                            (status, code.as_str()),
                            "{case} {query}"
                        );
                    }
                    let authorization = format!("Bearer {text}");
                    let envoy = Envoy {
                        method: "GET",
                        host: "orders.example.com",
                        path: "/x/7",
                        address: HERE,
                        authorization: &authorization,
                    };
                    let mut extensions = vec![("account", account.as_str()), ("permission", permission)];
                    extensions.extend(realm.map(|realm| ("realm", realm)));
                    for extensions in [&extensions[..], &[("gate", id.as_str())]] {
                        let (message, grpc) = world.service.ext_authz(&envoy, extensions).await;
                        let says =
                            |text: &str| message.windows(text.len()).any(|window| window == text.as_bytes());
                        assert_eq!(
                            (grpc.as_str(), says("x-hoody-user-id"), says("x-hoody-code")),
                            ("0", status == 200, status != 200),
                            "{case}"
                        );
                        assert!(code.is_empty() || says(&code), "{case}");
                    }
                    let tried =
                        json!({ "method": "GET", "path": "/x/7", "credential": text, "address": HERE });
                    let tried = world.owner.post("/api/v1/gates/same/test", tried).await;
                    assert_eq!(
                        (&tried.data()["status"], tried.data()["code"].as_str().unwrap_or("")),
                        (&json!(status), code.as_str()),
                        "{case}"
                    );
                }
            }
        }
        // `good` and `bound` where they may, each of the seven names that still stand.
        assert_eq!(allowed, 20);
    }
}
