//! Ways in that others left open (`threats.md`): addresses, hosts, forged sessions, mixed-up answers.
//! Each test is named after its row. `threats_secrets` has those about what is kept and told.

use std::net::SocketAddr;

use axum::body::Body;
use hoody_core::keys::{Keyring, MacKey};
use hoody_core::session::{Claims, Kind, SessionKey, verify};
use http::{Request, StatusCode, Version};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Client, HERE, PASSWORD, REALM_A, REALM_B, TestApp, on_both};

const PROXY: &str = "10.0.0.1";
/// Where the tokens of these tests may be used from, and where they may not.
const GOOD: &str = "198.51.100.7";
const BAD: &str = "192.0.2.66";

/// `GET /auth/check` with these headers and this target and no others; the status and code.
async fn raw(app: &TestApp, target: &str, headers: &[(&str, &str)]) -> (u16, String) {
    raw_in(app, Version::HTTP_11, target, headers).await
}

async fn raw_in(app: &TestApp, version: Version, target: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = Request::builder().version(version).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let peer = SocketAddr::new(HERE.parse().unwrap(), 1);
    let response = app.service.call(peer, request.body(Body::empty()).unwrap()).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

/// The key that sessions are signed with, as only the server has it, and the header that goes with it.
struct Signer {
    mac: MacKey,
    sessions: SessionKey,
    header: String,
}

impl Signer {
    async fn of(app: &TestApp) -> Self {
        let file = std::fs::read(app.directory.path().join("master.key")).unwrap();
        let ring = Keyring::parse(&file).unwrap();
        let sql = if app.url.starts_with("sqlite") {
            "SELECT lower(hex(value)) AS t FROM meta WHERE name = 'database_id'"
        } else {
            "SELECT encode(value, 'hex') AS t FROM meta WHERE name = 'database_id'"
        };
        let hex = app.service.texts(sql).await.remove(0);
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let id: Vec<_> = (0..hex.len()).step_by(2).map(digit).collect();
        let key = ring.first();
        Self {
            mac: key.derive(&id, "session"),
            sessions: SessionKey::derive(key, &id),
            header: format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{}"}}"#, key.id()),
        }
    }

    /// A JWT with a good signature over this header and these claims.
    fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
        format!("{signed}.{}", base64url(&self.mac.mac(signed.as_bytes())))
    }

    fn claims(&self, session: &Client) -> Claims {
        let text = session.credential.as_deref().unwrap();
        verify(text, std::slice::from_ref(&self.sessions)).unwrap()
    }
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let number = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..=chunk.len() {
            let digit = number >> (18 - 6 * place) & 63;
            text.push(char::from(ALPHABET[digit as usize]));
        }
    }
    text
}

on_both! {
    async fn threat_01_only_a_trusted_proxy_says_where_a_caller_is(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "ip_whitelist": [GOOD] })).await;
        let node = app.another_node_behind("10.0.0.0/8").await;
        // Straight from the attacker, whatever it claims.
        let attacker = token.client.at(&node).from(BAD);
        for name in
            ["x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"]
        {
            attacker.header(name, GOOD).check("").await.refused(403, "IP_NOT_WHITELISTED");
            attacker.header(name, &format!("for={GOOD}")).check("").await.refused(403, "IP_NOT_WHITELISTED");
        }
        // Also where no proxy is trusted at all.
        token
            .client
            .from("127.0.0.1")
            .header("x-forwarded-for", GOOD)
            .check("")
            .await
            .refused(403, "IP_NOT_WHITELISTED");
        token.client.from(GOOD).header("x-forwarded-for", BAD).check("").await.expect(StatusCode::NO_CONTENT);

        let proxied = token.client.at(&node).from(PROXY);
        for (lines, is_good) in [
            (&["198.51.100.7"][..], true),
            (&["198.51.100.7, 192.0.2.66"], false),
            (&["192.0.2.66, 198.51.100.7"], true),
            (&["192.0.2.66, 198.51.100.7, 10.9.9.9"], true),
            (&["198.51.100.7", "192.0.2.66"], false),
            (&["192.0.2.66", "198.51.100.7", "10.9.9.9"], true),
            (&["198.51.100.7:4711"], true),
            (&["192.0.2.66, ::ffff:198.51.100.7"], true),
            (&["192.0.2.66, [::ffff:198.51.100.7]:4711"], true),
            (&["10.1.1.1, 10.2.2.2"], false),
            (&[], false),
        ] {
            let client =
                lines.iter().fold(proxied.clone(), |client, line| client.header("x-forwarded-for", line));
            let reply = client.check("").await;
            if is_good {
                reply.expect(StatusCode::NO_CONTENT);
            } else {
                reply.refused(403, "IP_NOT_WHITELISTED");
            }
        }
        for name in ["forwarded", "x-real-ip"] {
            proxied.header(name, GOOD).check("").await.refused(403, "IP_NOT_WHITELISTED");
        }
    }

    async fn threat_02_a_way_here_that_cannot_be_read_is_refused_before_anything_else(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let node = app.another_node_behind("10.0.0.0/8").await;
        let sessions = app.service.number("SELECT COUNT(*) AS n FROM sessions").await;
        let many = [GOOD; 33].join(", ");
        for bad in [
            "",
            " ",
            ",",
            "unknown",
            "198.51.100",
            "198.51.100.7,",
            "0x7f.1",
            "198.51.100.07",
            "fe80::1%eth0",
            "[198.51.100.7",
            "198.51.100.7:99999",
            "_hidden",
            "for=198.51.100.7",
            "\"198.51.100.7\"",
            many.as_str(),
        ] {
            for client in [&token.client, &owner, &app.anon()] {
                let client = client.at(&node).from(PROXY).header("x-forwarded-for", bad);
                client.check("").await.refused(400, "INVALID_FORWARDED_FOR");
                let body = json!({ "username": "ada", "password": PASSWORD });
                client.post("/api/v1/users/auth/login", body).await.refused(400, "INVALID_FORWARDED_FOR");
                client
                    .delete(&format!("/api/v1/auth/tokens/{}", token.id))
                    .await
                    .refused(400, "INVALID_FORWARDED_FOR");
            }
            // Nobody believes it from elsewhere, so nobody reads it.
            token
                .client
                .at(&node)
                .header("x-forwarded-for", bad)
                .check("")
                .await
                .expect(StatusCode::NO_CONTENT);
        }
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM sessions").await, sessions);
    }

    async fn threat_03_an_address_has_one_form(app: TestApp) {
        let owner = app.user("ada").await;
        let four = owner.mint(json!({ "ip_whitelist": ["198.51.100.0/24"] })).await;
        let six = owner.mint(json!({ "ip_whitelist": ["2001:db8::/32", "64:ff9b::/96"] })).await;
        let none = owner.mint(json!({ "ip_whitelist": ["0.0.0.0/0"] })).await;
        let node = app.another_node_behind("10.0.0.0/8").await;
        for (token, address, is_good) in [
            (&four, "198.51.100.255", true),
            (&four, "::ffff:198.51.100.7", true),
            (&four, "::ffff:c633:6407", true),
            (&four, "198.51.101.0", false),
            (&four, "::198.51.100.7", false),
            (&four, "64:ff9b::198.51.100.7", false),
            (&four, "64:ff9b:1::198.51.100.7", false),
            (&four, "2002:c633:6407::", false),
            (&six, "2001:db8::1", true),
            (&six, "2001:DB8:0:0:ffff::1", true),
            (&six, "2001:db9::1", false),
            (&six, "64:ff9b::198.51.100.7", true),
            (&six, "198.51.100.7", false),
            (&six, "::ffff:198.51.100.7", false),
            (&none, "203.0.113.200", true),
            (&none, "2001:db8::1", false),
        ] {
            let straight = token.client.from(address).check("").await;
            let proxied = token.client.at(&node).from("::ffff:10.0.0.1").header("x-forwarded-for", address);
            for reply in [straight, proxied.check("").await] {
                if is_good {
                    reply.expect(StatusCode::NO_CONTENT);
                } else {
                    reply.refused(403, "IP_NOT_WHITELISTED");
                }
            }
        }
    }

    async fn threat_04_a_network_admits_its_addresses_and_no_refusal_tells_the_callers(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "ip_whitelist": ["10.1.2.3/8"] })).await;
        for address in ["10.0.0.0", "10.1.2.3", "10.255.255.255"] {
            token.client.from(address).check("").await.expect(StatusCode::NO_CONTENT);
        }
        for address in ["9.255.255.255", "11.0.0.0", "2001:db8::77"] {
            let reply = token.client.from(address).check("").await;
            reply.refused(403, "IP_NOT_WHITELISTED");
            assert!(!reply.text.contains(address) && !reply.text.contains("10."), "{}", reply.text);
        }
    }

    async fn threat_06_only_our_own_header_over_our_own_claims_is_a_session(app: TestApp) {
        let session = app.user("ada").await;
        let signer = Signer::of(&app).await;
        let claims = serde_json::to_string(&signer.claims(&session)).unwrap();
        let ours = signer.sign(&signer.header, &claims);
        app.with(&ours).check("").await.expect(StatusCode::NO_CONTENT);
        // All of these are signed with the very key; only the text is another.
        let kid = signer.header.split('"').nth(11).unwrap().to_owned();
        for header in [
            r#"{"alg":"none","typ":"JWT"}"#.to_owned(),
            format!(r#"{{"alg":"none","typ":"JWT","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"None","typ":"JWT","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"nOnE","typ":"JWT","kid":"{kid}"}}"#),
            r#"{"alg":"HS256","typ":"JWT"}"#.to_owned(),
            format!(r#"{{"alg":"HS384","typ":"JWT","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"HS512","typ":"JWT","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"RS256","typ":"JWT","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","crit":["exp"]}}"#),
            format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","jwk":{{"kty":"oct","k":"AA"}}}}"#),
            format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","jku":"https://evil.example/jwks"}}"#),
            format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","x5u":"https://evil.example/x"}}"#),
            r#"{"alg":"HS256","typ":"JWT","kid":"../../../dev/null"}"#.to_owned(),
            r#"{"alg":"HS256","typ":"JWT","kid":"' OR '1'='1"}"#.to_owned(),
            format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"HS256","typ":"jwt","kid":"{kid}"}}"#),
            format!(r#"{{"typ":"JWT","alg":"HS256","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"HS256","alg":"none","typ":"JWT","kid":"{kid}"}}"#),
            format!(r#" {{"alg":"HS256","typ":"JWT","kid":"{kid}"}}"#),
            r#"{"alg":"dir","enc":"A256GCM","cty":"JWT"}"#.to_owned(),
        ] {
            let forged = signer.sign(&header, &claims);
            let unsigned = format!("{}.", forged.rsplit_once('.').unwrap().0);
            for forged in [forged, unsigned] {
                app.with(&forged).check("").await.refused(401, "INVALID_TOKEN");
            }
        }
        let (signed, signature) = ours.rsplit_once('.').unwrap();
        for forged in [
            signed.to_owned(),
            format!("{signed}."),
            format!("{signed}.{}", &signature[..42]),
            format!("{signed}.{signature}="),
            format!("{signed}.{signature}."),
            format!("{ours}.x.y"),
            format!("x.{ours}"),
            format!("\t{ours}"),
        ] {
            app.with(&forged).check("").await.refused(401, "INVALID_TOKEN");
        }
    }

    async fn threat_06_a_good_signature_over_other_claims_opens_nothing(app: TestApp) {
        let (session, other) = (app.user("ada").await, app.user("bob").await);
        let signer = Signer::of(&app).await;
        let (ours, theirs) = (signer.claims(&session), signer.claims(&other));
        let changed = |change: &dyn Fn(&mut Claims)| {
            let mut claims = ours.clone();
            change(&mut claims);
            serde_json::to_string(&claims).unwrap()
        };
        let plain = serde_json::to_value(&ours).unwrap();
        let with = |key: &str, value: Value| {
            let mut claims = plain.clone();
            claims[key] = value;
            claims.to_string()
        };
        for claims in [
            changed(&|claims| claims.sub = theirs.sub),
            changed(&|claims| claims.sid = theirs.sid),
            changed(&|claims| claims.generation += 1),
            changed(&|claims| claims.generation -= 1),
            changed(&|claims| claims.seq += 1),
            changed(&|claims| claims.seq -= 2),
            changed(&|claims| claims.kind = Kind::Refresh),
            with("type", json!("partial")),
            with("type", json!("Access")),
            with("exp", json!("4102444800")),
            with("exp", json!(4.1e9)),
            with("exp", Value::Null),
            with("sub", json!([ours.sub])),
            with("admin", json!(true)),
            "{}".to_owned(),
            "null".to_owned(),
            String::new(),
        ] {
            app.with(&signer.sign(&signer.header, &claims)).check("").await.refused(401, "INVALID_TOKEN");
        }
        let past = changed(&|claims| claims.exp = claims.iat);
        app.with(&signer.sign(&signer.header, &past)).check("").await.refused(401, "TOKEN_EXPIRED");
        // Neither does a session's token stand in for a refresh token.
        let access = session.credential.clone().unwrap();
        app.anon()
            .post("/api/v1/users/auth/refresh", json!({ "refreshToken": access }))
            .await
            .refused(401, "INVALID_TOKEN");
        session.check("").await.expect(StatusCode::NO_CONTENT);
    }

    async fn threat_22_only_the_host_says_which_realm_it_is(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "realm_ids": [REALM_A] })).await;
        let bearer = format!("Bearer {}", token.secret);
        let auth = ("authorization", bearer.as_str());
        let (a, b) = (format!("{REALM_A}.api.localhost"), format!("{REALM_B}.api.localhost"));
        let check = "/api/v1/auth/check";
        let ok = (204, String::new());
        let needs = (403, "REALM_SCOPE_REQUIRED".to_owned());
        let other = (403, "REALM_NOT_ALLOWED".to_owned());
        for spoof in ["x-forwarded-host", "x-host", "x-original-host", "x-forwarded-server", "x-hoody-realm"]
        {
            assert_eq!(
                raw(&app, check, &[auth, ("host", "api.localhost"), (spoof, &a)]).await,
                needs,
                "{spoof}"
            );
            assert_eq!(raw(&app, check, &[auth, ("host", &b), (spoof, &a)]).await, other, "{spoof}");
            assert_eq!(raw(&app, check, &[auth, ("host", &a), (spoof, &b)]).await, ok, "{spoof}");
        }
        let forwarded = format!("host={a}");
        assert_eq!(
            raw(&app, check, &[auth, ("host", "api.localhost"), ("forwarded", &forwarded)]).await,
            needs
        );
        // However it is spelt, it is one realm.
        for host in [a.to_uppercase(), format!("{a}."), format!("{a}:8080"), format!("{a}.:8080")] {
            assert_eq!(raw(&app, check, &[auth, ("host", &host)]).await, ok, "{host}");
        }
        // A realm's label before another name is never "no realm".
        for host in [
            format!("{REALM_A}.evil.test"),
            format!("{REALM_A}.api.localhost.evil.test"),
            format!("{REALM_A}.xapi.localhost"),
        ] {
            assert_eq!(
                raw(&app, check, &[auth, ("host", &host)]).await,
                (400, "REALM_HOST_UNKNOWN".to_owned()),
                "{host}"
            );
        }
        assert_eq!(raw(&app, check, &[auth, ("host", &format!("x.{a}"))]).await, needs);
        // Two names for one request are refused; HTTP/2 names it in the target alone, HTTP/1.1 may not.
        let invalid = (400, "VALIDATION_ERROR".to_owned());
        assert_eq!(raw(&app, check, &[auth, ("host", &a), ("host", &a)]).await, invalid);
        assert_eq!(raw(&app, check, &[auth, ("host", &b), ("host", &a)]).await, invalid);
        let absolute = format!("http://{a}{check}");
        assert_eq!(raw_in(&app, Version::HTTP_2, &absolute, &[auth]).await, ok);
        assert_eq!(raw(&app, &absolute, &[auth]).await, invalid);
        assert_eq!(raw(&app, &absolute, &[auth, ("host", &a)]).await, ok);
        assert_eq!(raw(&app, &absolute, &[auth, ("host", &b)]).await, invalid);
        assert_eq!(raw(&app, &absolute, &[auth, ("host", "api.localhost")]).await, invalid);
        assert_eq!(raw(&app, &format!("http://{b}{check}"), &[auth, ("host", &a)]).await, invalid);
        for place in [check, "/api/v1/ip", "/livez", "/openapi.json", "/nothing"] {
            assert_eq!(raw(&app, place, &[auth]).await, invalid, "{place} without Host");
        }
        assert_eq!(raw_in(&app, Version::HTTP_10, check, &[auth]).await, needs, "no host at all is no realm");
        for host in ["", " ", "a b", "[::1", "x@y", "\u{e9}.test"] {
            assert_eq!(raw(&app, check, &[auth, ("host", host)]).await.0 / 100, 4, "{host:?}");
        }
    }

    async fn threat_39_each_of_many_answers_belongs_to_its_own_request(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "realm_ids": [REALM_A], "permissions": {} })).await;
        let mut all = JoinSet::new();
        for n in 0..200_u32 {
            let marker = format!("{n:024x}");
            let (token, owner, anon) = (token.client.clone(), owner.clone(), app.anon());
            let service = app.service.clone();
            all.spawn(async move {
                let (reply, status, shown) = match n % 6 {
                    0 => (token.realm(&marker).check("").await, 403, Some(marker.clone())),
                    1 => (
                        token.realm(REALM_A).check("projects.read").await,
                        403,
                        Some("projects.read".to_owned()),
                    ),
                    2 => (
                        token.realm(REALM_A).check("resources.realms").await,
                        403,
                        Some("resources.realms".to_owned()),
                    ),
                    3 => {
                        let body = json!({ format!("key{marker}"): 1 });
                        (owner.post("/api/v1/auth/tokens", body).await, 422, Some(format!("key{marker}")))
                    }
                    4 => (anon.get("/api/v1/auth/tokens/me").await, 401, None),
                    _ => {
                        let unknown = Client::of(&service, Some(&service.unknown_token()));
                        (unknown.get(&format!("/api/v1/auth/tokens/{marker}")).await, 401, None)
                    }
                };
                (n, reply, status, shown)
            });
        }
        let mut ids = std::collections::HashSet::new();
        for (n, reply, status, shown) in all.join_all().await {
            if n % 6 == 5 && reply.status == StatusCode::SERVICE_UNAVAILABLE {
                continue;
            }
            assert_eq!(reply.status, status, "{}", reply.text);
            if let Some(shown) = &shown {
                assert!(reply.text.contains(shown.as_str()), "{n}: {}", reply.text);
            }
            for other in (0..200_u32).filter(|other| *other != n) {
                let marker = format!("{other:024x}");
                assert!(!reply.text.contains(&marker), "{n} got the answer of {other}: {}", reply.text);
            }
            assert!(ids.insert(reply.headers["x-request-id"].clone()), "{n} shares its id");
        }
    }
}
