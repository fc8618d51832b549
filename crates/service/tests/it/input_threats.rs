//! Threats that come in through what a request contains: foreign ids, odd names, odd types, odd sizes,
//! and the roads by which a credential is sent.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::openapi::{filled, operations};
use crate::support::{Client, HERE, PASSWORD, REALM_A, REALM_B, Reply, TestApp, on_both};

const TOKENS: &str = "/api/v1/auth/tokens";
const LOGIN: &str = "/api/v1/users/auth/login";
const REFRESH: &str = "/api/v1/users/auth/refresh";
const LOGOUT: &str = "/api/v1/users/auth/logout";
const CHECK: &str = "/api/v1/auth/check";

/// All that an account's owner is shown of it.
async fn everything(user: &Client) -> (String, String) {
    (user.get("/api/v1/users/auth/me").await.text, user.get(TOKENS).await.text)
}

fn status_and_code(reply: &Reply) -> (StatusCode, Value) {
    (reply.status, reply.body["code"].clone())
}

/// Base64 of ASCII, as HTTP Basic sends it.
fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |chunk: &[u8]| {
        let bits =
            chunk.iter().chain([&0, &0]).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        let digits = [18, 12, 6, 0].map(|shift| char::from(ALPHABET[bits >> shift & 63]));
        digits.into_iter().take(chunk.len() + 1).chain(std::iter::repeat('=')).take(4).collect::<String>()
    };
    text.as_bytes().chunks(3).map(encode).collect()
}

/// Open to whoever has no account yet, or lost the way in.
fn is_of_sign_up(path: &str) -> bool {
    const NAMES: [&str; 7] = [
        "signup",
        "config",
        "available-regions",
        "verify-email",
        "resend-verification",
        "forgot-password",
        "reset-password",
    ];
    path.strip_prefix("/api/v1/auth/").is_some_and(|rest| NAMES.contains(&rest))
}

/// Signs ada in and refreshes her session, with `extra` in both bodies: the session is of the account `own`.
async fn signs_in_as(app: &TestApp, extra: &Value, own: &str) {
    let mut body = extra.clone();
    body["username"] = json!("ada");
    body["password"] = json!(PASSWORD);
    let login = app.anon().post(LOGIN, body).await;
    assert_eq!(login.data()["user"]["id"], own);
    let mut body = extra.clone();
    body["refreshToken"] = login.data()["refreshToken"].clone();
    let refreshed = app.anon().post(REFRESH, body).await;
    let session = app.with(refreshed.data()["token"].as_str().unwrap());
    assert_eq!(session.account().await, own);
}

/// What looks like a Bearer credential and is none.
fn misspelt(token: &str) -> [String; 9] {
    [
        format!("bearer{token}"),
        format!("Bearer  {token}"),
        format!("Bearer\t{token}"),
        format!("Token {token}"),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        String::new(),
        format!("Bearer Bearer {token}"),
        format!("Bearer {token}, Bearer {token}"),
    ]
}

on_both! {
    /// Threat 15: whose account it is says the credential, never the body.
    async fn threat_15_a_body_cannot_act_for_another_account(app: TestApp) {
        let (user, victim) = (app.user("ada").await, app.user("bob").await);
        let (own, foreign) = (user.account().await, victim.account().await);
        let theirs = victim.mint(json!({ "alias": "theirs", "realm_ids": [REALM_B] })).await;
        let mine = user.mint(json!({ "alias": "mine" })).await;
        let before = everything(&victim).await;
        let naming_them = [
            json!({ "user_id": foreign }),
            json!({ "userId": foreign }),
            json!({ "account_id": foreign }),
            json!({ "owner": foreign }),
            json!({ "user": { "id": foreign } }),
            json!({ "id": theirs.id }),
            json!({ "token_id": theirs.id }),
            json!({ "created_by_token_id": theirs.id }),
        ];
        for extra in &naming_them {
            // Where a key is unknown, nothing is made for anybody.
            for (method, path) in [
                (Method::POST, TOKENS.to_owned()),
                (Method::PUT, format!("{TOKENS}/{}", mine.id)),
                (Method::POST, format!("{TOKENS}/{}/copy", mine.id)),
            ] {
                let reply = user.send(method, &path, extra.to_string().into_bytes()).await;
                reply.refused(422, "VALIDATION_ERROR");
            }
            for change in ["add-realm", "remove-realm"] {
                let mut body = extra.clone();
                body["realm_id"] = json!(REALM_B);
                user.post(&format!("{TOKENS}/{}/{change}", mine.id), body)
                    .await
                    .refused(422, "VALIDATION_ERROR");
            }
            // Where it is ignored, it is the caller's own account that is meant.
            let mut body = extra.clone();
            body["alias"] = json!("Mine");
            let changed = user.put(&format!("/api/v1/users/{own}"), body).await;
            assert_eq!((&changed.data()["id"], &changed.data()["alias"]), (&json!(own), &json!("Mine")));
            signs_in_as(&app, extra, &own).await;
        }
        // No one makes themselves more than they are.
        let grand = json!({
            "is_admin": true, "is_banned": false, "email_verified": false, "username": "root",
            "email": "root@example.com",
        });
        let me = user.get("/api/v1/users/auth/me").await;
        user.put(&format!("/api/v1/users/{own}"), grand).await.expect(StatusCode::OK);
        let after = user.get("/api/v1/users/auth/me").await;
        for name in ["username", "email", "is_banned", "email_verified"] {
            assert_eq!(after.data()[name], me.data()[name], "{name}");
        }
        // By the path there is no way either, and signing out ends one's own sessions.
        user.put(&format!("/api/v1/users/{foreign}"), json!({ "id": own }))
            .await
            .refused(403, "CANNOT_MODIFY_OTHER_USER");
        user.post(LOGOUT, json!({ "user_id": foreign })).await.expect(StatusCode::OK);
        assert_eq!(everything(&victim).await, before);
        theirs.client.realm(REALM_B).check("").await.expect(StatusCode::NO_CONTENT);
    }

    /// Threat 18: names are compared in one form, and what is reserved is so in any.
    async fn threat_18_a_name_in_another_case_is_not_another_rule(app: TestApp) {
        let user = app.user("ada").await;
        for name in ["FULL_ACCESS", "Full_Access", "full_access ", " full_access", "full-access", "root", ""]
        {
            user.post(TOKENS, json!({ "permission_template": name })).await.refused(422, "VALIDATION_ERROR");
        }
        for tree in [
            json!({ "Projects": { "read": true } }),
            json!({ "projects": { "READ": true } }),
            json!({ "projects ": {} }),
            json!({ "projects.read": true }),
            json!({ "ｐrojects": { "read": true } }),
            json!({ "projects": { "read\u{200b}": true } }),
        ] {
            user.post(TOKENS, json!({ "permissions": tree })).await.refused(422, "VALIDATION_ERROR");
        }
        let token = user.mint(json!({ "permissions": { "projects": { "read": true } } })).await;
        for path in [
            "PROJECTS.READ",
            "Projects.read",
            "projects.read.",
            ".projects.read",
            "projects..read",
            "projects/read",
            "projects",
            "projects.read%20",
            "%EF%BD%90rojects.read",
        ] {
            token
                .client
                .get(&format!("{CHECK}?permission={path}"))
                .await
                .refused(400, "INVALID_PARAMETER_VALUE");
        }
        let this = format!("/api/v1/users/{}", user.account().await);
        for name in ["ADMIN", "aDmIn", "Hoody", "ＨＯＯＤＹ", " security ", "Sup\u{ad}port"] {
            user.put(&this, json!({ "alias": name })).await.refused(400, "RESERVED_IDENTITY");
        }
        for name in ["ADA", "Ada"] {
            assert_eq!(app.service.try_create_user(name, None, PASSWORD).await, None);
        }
    }

    /// Threat 19: one token, one decision, however it is sent; and what is no road is none on any route.
    async fn threat_19_every_road_of_a_credential_leads_to_the_same_decision(app: TestApp) {
        let user = app.user("ada").await;
        let off = user.mint(json!({})).await;
        user.put(&format!("{TOKENS}/{}", off.id), json!({ "is_enabled": false }))
            .await
            .expect(StatusCode::OK);
        let expired = user.mint(json!({ "expires_at": app.service.now().plus(1_000).millis() })).await;
        app.later(1_000).await;
        let full = user.mint(json!({ "vault_access": true })).await;
        let credentials = [
            full.secret.clone(),
            user.mint(json!({ "permission_template": "read_only" })).await.secret,
            user.mint(json!({ "permissions": {} })).await.secret,
            user.mint(json!({ "realm_ids": [REALM_A] })).await.secret,
            user.mint(json!({ "ip_whitelist": "10.0.0.1" })).await.secret,
            off.secret,
            expired.secret,
            app.service.unknown_token(),
            format!("{}x", full.secret),
            full.secret.to_uppercase(),
            full.secret.replacen("hdy_", "hdy_hdy_", 1),
        ];
        let basics = ["ada:PASSWORD", "ada:TOKEN", "TOKEN:PASSWORD"].map(|form| {
            format!("Basic {}", base64(&form.replace("PASSWORD", PASSWORD).replace("TOKEN", &full.secret)))
        });
        let verify = "/api/v1/users/auth/2fa/verify";
        let (keys, set) = ("/api/v1/meta/public-key", "/.well-known/jwks.json");
        let public = [LOGIN, REFRESH, verify, "/api/v1/ip", "/livez", "/readyz", keys, set];
        // What opens these is in the body, or a cookie.
        let own = |path: &str| path.starts_with("/api/v1/auth/device/") || path == "/api/v1/auth/exchange";
        let public = |path: &str| public.contains(&path) || own(path) || is_of_sign_up(path);
        for (method, path) in operations().into_iter().filter(|(_, path)| !public(path)) {
            let place = filled(&path, "000000000000000000000000");
            let ask =
                async |client: Client, place: &str| client.send(method.clone(), place, b"{}".to_vec()).await;
            for credential in &credentials {
                let bearer = ask(app.with(credential), &place).await;
                let bare = ask(app.anon().header("authorization", credential), &place).await;
                assert_eq!((bare.status, &bare.text), (bearer.status, &bearer.text), "{method} {place}");
            }
            let missing = ask(app.anon(), &place).await;
            missing.refused(401, "MISSING_TOKEN");
            assert_eq!(missing.headers["www-authenticate"], "Bearer realm=\"hoody\"", "{method} {place}");
            for (name, value) in [
                ("cookie", format!("token={0}; hdy={0}; session={0}", full.secret)),
                ("x-api-key", full.secret.clone()),
                ("x-auth-token", full.secret.clone()),
                ("proxy-authorization", format!("Bearer {}", full.secret)),
            ] {
                assert_eq!(
                    ask(app.anon().header(name, &value), &place).await.text,
                    missing.text,
                    "{name} is no road"
                );
            }
            let token = &full.secret;
            let query =
                format!("{place}?token={token}&access_token={token}&api_key={token}&authorization=Bearer%20{token}");
            assert_eq!(ask(app.anon(), &query).await.text, missing.text, "a query is no road");
            for value in basics.iter().cloned().chain(misspelt(token)) {
                let reply = ask(app.anon().header("authorization", &value), &place).await;
                assert_eq!(
                    status_and_code(&reply),
                    (StatusCode::UNAUTHORIZED, json!("INVALID_TOKEN")),
                    "{method} {place} {value:?}"
                );
            }
            let twice = app.with(token).header("authorization", &format!("Bearer {token}"));
            let refused = ask(twice, &place).await;
            let challenge = &refused.refused(401, "INVALID_TOKEN").headers["www-authenticate"];
            assert_eq!(challenge, "Bearer realm=\"hoody\", error=\"invalid_token\"", "{method} {place}");
        }
    }

    /// Threat 20: characters that are wildcards elsewhere are characters, or refused.
    async fn threat_20_a_wildcard_in_a_name_never_widens(app: TestApp) {
        let user = app.user("ada").await;
        for tree in [
            json!({ "*": true }),
            json!({ "*": {} }),
            json!({ "projects": { "*": true } }),
            json!({ "projects.*": true }),
            json!({ "projects": "*" }),
            json!({ "{{user}}": true }),
            json!({ "+": { "/": true } }),
            json!("*"),
        ] {
            user.post(TOKENS, json!({ "permissions": tree })).await.refused(422, "VALIDATION_ERROR");
        }
        for (body, code) in [
            (json!({ "realm_ids": ["*"] }), "INVALID_REALM_ID_FORMAT"),
            (json!({ "realm_ids": [format!("{}*", "a".repeat(23))] }), "INVALID_REALM_ID_FORMAT"),
            (json!({ "ip_whitelist": ["10.0.0.*"] }), "INVALID_IP_FORMAT"),
            (json!({ "ip_whitelist": ["**"] }), "INVALID_IP_FORMAT"),
            (json!({ "alias": "{{user.name}}" }), "INVALID_ALIAS_FORMAT"),
            (json!({ "alias": "a*" }), "INVALID_ALIAS_FORMAT"),
            (json!({ "alias": "+/" }), "INVALID_ALIAS_FORMAT"),
        ] {
            user.post(TOKENS, body).await.refused(400, code);
        }
        let token = user.mint(json!({ "permissions": { "projects": { "read": true } } })).await.client;
        for path in ["*", "projects.*", "*.read", "projects.%2A", "projects.re%3Fd", "projects.%2B", "%7B%7D"]
        {
            token.get(&format!("{CHECK}?permission={path}")).await.refused(400, "INVALID_PARAMETER_VALUE");
        }
        // An account may call itself so; that gives it nothing.
        let this = format!("/api/v1/users/{}", user.account().await);
        for name in ["*", "+ * /", "{{identity.id}}", "%", "${jndi:x}"] {
            let changed = user.put(&this, json!({ "alias": name })).await;
            assert_eq!(changed.data()["alias"], name);
        }
        token.check("projects.update").await.refused(403, "INSUFFICIENT_PERMISSIONS");
    }

    /// Threat 24: `%`, `_` and `\` are themselves wherever something is looked up.
    async fn threat_24_wildcards_of_like_match_themselves(app: TestApp) {
        let user = app.user("ada_b").await;
        app.service.create_user("adaxb", Some("adaxb@example.com"), PASSWORD).await;
        for name in ["%", "_____", "ada%", "adax_", "ada\\_b", "%@example.com", "ada_%"] {
            for key in ["username", "email"] {
                let reply = app.anon().post(LOGIN, json!({ key: name, "password": PASSWORD })).await;
                reply.refused(401, "INVALID_CREDENTIALS");
            }
        }
        app.anon()
            .post(LOGIN, json!({ "email": "adaxb@exampl_.com", "password": PASSWORD }))
            .await
            .refused(401, "INVALID_CREDENTIALS");
        let login = app.anon().post(LOGIN, json!({ "username": "ada_b", "password": PASSWORD })).await;
        assert_eq!(login.data()["user"]["username"], "ada_b");
        // An underscore in an alias stands for itself alone, a case for itself too.
        for alias in ["a_b", "axb", "a-b", "A_B"] {
            user.post(TOKENS, json!({ "alias": alias })).await.expect(StatusCode::CREATED);
            user.post(TOKENS, json!({ "alias": alias })).await.refused(400, "DUPLICATE_ALIAS");
        }
        user.mint(json!({ "public_key": "ab".repeat(32) })).await;
        for key in [
            "_".repeat(64),
            "%25".to_owned(),
            format!("{}%25", "ab".repeat(31)),
            format!("{}__", "ab".repeat(31)),
        ] {
            user.get(&format!("{TOKENS}/public-profiles/{key}"))
                .await
                .refused(400, "INVALID_PUBLIC_KEY_FORMAT");
        }
        user.get(&format!("{TOKENS}/{}", "_".repeat(24))).await.refused(400, "INVALID_ID_FORMAT");
    }

    /// Threat 25: an object, an array or a number in place of a text is refused, and never compared.
    async fn threat_25_no_operator_passes_for_a_value(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        let that = format!("{TOKENS}/{}", token.id);
        let this = format!("/api/v1/users/{}", user.account().await);
        let fields = [
            (Method::POST, LOGIN, "username"),
            (Method::POST, LOGIN, "email"),
            (Method::POST, LOGIN, "password"),
            (Method::POST, LOGIN, "client"),
            (Method::POST, REFRESH, "refreshToken"),
            (Method::POST, TOKENS, "alias"),
            (Method::POST, TOKENS, "public_key"),
            (Method::POST, TOKENS, "permission_template"),
            (Method::POST, TOKENS, "otp_code"),
            (Method::PUT, &that, "alias"),
            (Method::PUT, &this, "alias"),
            (Method::PUT, &this, "password"),
            (Method::PUT, &this, "current_password"),
            (Method::PUT, &this, "public_key"),
            (Method::POST, &format!("{that}/copy"), "alias"),
            (Method::POST, &format!("{that}/add-realm"), "realm_id"),
        ];
        for (method, path, field) in fields {
            for value in [
                json!({ "$ne": "" }),
                json!({ "$gt": "" }),
                json!({ "$regex": ".*" }),
                json!([]),
                json!(["ada"]),
                json!(0),
                json!(1.5),
                json!(true),
            ] {
                let mut body = match path {
                    LOGIN => json!({ "username": "ada", "password": PASSWORD }),
                    path if path == this => {
                        json!({ "password": "a new password", "current_password": PASSWORD })
                    }
                    _ => json!({}),
                };
                body[field] = value;
                let reply = user.send(method.clone(), path, body.to_string().into_bytes()).await;
                reply.refused(422, "VALIDATION_ERROR");
                assert_eq!(reply.data()[0]["instancePath"], format!("/{field}"), "{path} {body}");
            }
        }
        for query in [
            "permission[$ne]=x",
            "permission[]=projects.read",
            "permission=projects.read&permission=projects.create",
        ] {
            let reply = token.client.get(&format!("{CHECK}?{query}")).await;
            reply.refused(400, "INVALID_PARAMETER_VALUE");
        }
    }

    /// Threat 30: what is sent to be expensive is answered soon, and briefly.
    async fn threat_30_deep_wide_and_doubled_json_costs_little(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        let that = format!("{TOKENS}/{}", token.id);
        let wide = |inner: &dyn Fn(usize) -> String, count: usize| {
            (0..count).map(inner).collect::<Vec<_>>().join(",")
        };
        let deep = |open: &str, close: &str, levels: usize| {
            format!("{}0{}", open.repeat(levels), close.repeat(levels))
        };
        let cases = [
            (format!("{{\"public_storage\":{}}}", "[".repeat(1_900_000)), 400, "VALIDATION_ERROR"),
            (format!("{{\"public_storage\":{}}}", deep("{\"a\":", "}", 300_000)), 400, "VALIDATION_ERROR"),
            (format!("{{\"permissions\":{}}}", deep("{\"projects\":", "}", 10_000)), 400, "VALIDATION_ERROR"),
            (format!("{{{}}}", wide(&|_| "\"a\":1".to_owned(), 300_000)), 400, "VALIDATION_ERROR"),
            (format!("{{{},\"k0\":1}}", wide(&|n| format!("\"k{n}\":1"), 90_000)), 400, "VALIDATION_ERROR"),
            (format!("{{{}}}", wide(&|n| format!("\"k{n}\":1"), 90_000)), 422, "VALIDATION_ERROR"),
            (
                format!("{{\"permissions\":{{{}}}}}", wide(&|n| format!("\"k{n}\":{{}}"), 90_000)),
                422,
                "VALIDATION_ERROR",
            ),
            (
                format!("{{\"ip_whitelist\":[{}]}}", wide(&|n| format!("{n}"), 90_000)),
                422,
                "VALIDATION_ERROR",
            ),
            (
                format!("{{\"ip_whitelist\":[{}]}}", wide(&|_| "\"10.0.0.1\"".to_owned(), 90_000)),
                400,
                "IP_WHITELIST_TOO_LARGE",
            ),
            (
                format!("{{\"realm_ids\":[{}]}}", wide(&|n| format!("\"{n:024x}\""), 70_000)),
                400,
                "VALIDATION_ERROR",
            ),
            (
                format!("{{\"public_storage\":{{{}}}}}", wide(&|n| format!("\"k{n}\":1"), 90_000)),
                400,
                "PUBLIC_STORAGE_TOO_LARGE",
            ),
            (format!("{{\"alias\":\"{}\"}}", "a".repeat(1_900_000)), 400, "INVALID_ALIAS_FORMAT"),
            (format!("{{\"expires_at\":\"{}\"}}", "9".repeat(1_900_000)), 400, "INVALID_EXPIRATION_FORMAT"),
            (format!("{{\"expires_at\":{}}}", "9".repeat(1_900_000)), 400, "VALIDATION_ERROR"),
            (format!("{{\"{}\":1}}", "k".repeat(1_900_000)), 422, "VALIDATION_ERROR"),
            // More values than any honest body has.
            (format!("{{\"ip_whitelist\":[{}]}}", wide(&|_| "1".to_owned(), 100_001)), 400, "VALIDATION_ERROR"),
        ];
        for (body, status, code) in cases {
            for (method, path) in [(Method::POST, TOKENS), (Method::PUT, that.as_str())] {
                let asked = user.send(method, path, body.clone().into_bytes());
                // Generous: a shared machine without optimisation does each in well under a second.
                let reply =
                    tokio::time::timeout(Duration::from_secs(10), asked).await.expect("an answer in time");
                assert_eq!(
                    status_and_code(&reply),
                    (StatusCode::from_u16(status).unwrap(), json!(code)),
                    "{}: {}",
                    &body[..40],
                    &reply.text[..reply.text.len().min(300)]
                );
                assert!(reply.text.len() < 8_192, "{} bytes answer {}", reply.text.len(), &body[..40]);
            }
        }
        let query = format!("{CHECK}?permission={}", "a.".repeat(10_000));
        user.get(&query).await.refused(400, "INVALID_PARAMETER_VALUE");
        let query = format!("{CHECK}?{}", "permission=x&".repeat(3_000));
        user.get(&query).await.refused(400, "INVALID_PARAMETER_VALUE");
        // Everyone else was served meanwhile, and nothing was made.
        token.client.from(HERE).check("").await.expect(StatusCode::NO_CONTENT);
        assert_eq!(user.get(TOKENS).await.data().as_array().unwrap().len(), 1);
    }
}
