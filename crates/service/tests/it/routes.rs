//! Every operation of the service: what it asks of its caller, and a request that succeeds when the
//! caller may. `matrix` walks all of them, `mutations` those that change something.

use std::sync::atomic::{AtomicU32, Ordering};

use hoody_core::permissions::Catalogue;
use http::Method;
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, REALM_A, REALM_B, Reply, TestApp};

/// What an operation asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    Public,
    /// Nothing of the caller, but a secret of its own in the body; without it, this status and code.
    OwnSecret(u16, &'static str),
    /// The intent of a login as Bearer, and no credential.
    Intent,
    /// A credential that is in force.
    Valid,
    /// The same, of a banned account too.
    ValidOrBanned,
    /// A session, or a token with any leaf that changes something.
    Writer,
    /// A session.
    Session,
    /// A session, and more than that.
    SessionAndMore,
    /// A session, or a token with `resources.create_tokens`; another is told so with 401.
    Minting,
    /// A token, on the base host too when it is bound to realms.
    Itself,
    /// A token with this leaf.
    OwnToken(&'static str),
    /// A session, or a token with this leaf.
    Leaf(&'static str),
    /// A session, or a token with `resources.vault` and the flag `vault_access`.
    Vault,
    /// A session, or a token with `resources.events` and the flag `event_access`.
    Events,
    /// The same, and a leaf that changes something.
    EventsDelete,
}

/// One operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    /// As it is in `openapi.json`.
    pub(crate) path: &'static str,
    pub(crate) needs: Needs,
    /// Whether a caller's own row is judged again in its transaction.
    pub(crate) mutates: bool,
    body: &'static str,
}

const fn reads(method: &'static str, path: &'static str, needs: Needs) -> Operation {
    Operation { method, path, needs, mutates: false, body: "" }
}

const fn asks(method: &'static str, path: &'static str, needs: Needs, body: &'static str) -> Operation {
    Operation { method, path, needs, mutates: false, body }
}

const fn changes(method: &'static str, path: &'static str, needs: Needs, body: &'static str) -> Operation {
    Operation { method, path, needs, mutates: true, body }
}

use Needs::{
    Events, EventsDelete, Intent, Itself, Leaf, Minting, OwnSecret, OwnToken, Public, Session,
    SessionAndMore, Valid, ValidOrBanned, Vault, Writer,
};

const PROFILE: Needs = OwnToken("resources.auth_token_public_profile");
const GATES: Needs = Leaf("resources.gates");
const GATE: &str =
    r#"{"hosts": ["{unique}.example.com"], "realm": "{realm}", "route": [{"path": "/", "any": true}]}"#;
const LEVEL: &str = r#"{"permission_level": "edit"}"#;
const PROOF: &str = r#"{"password": "{password}", "code": "000000"}"#;
const TEMP_TOKEN: Needs = OwnSecret(400, "INVALID_TEMP_TOKEN");
const MAIL_TOKEN: Needs = OwnSecret(400, "INVALID_MAIL_TOKEN");
const NO_COOKIE: Needs = OwnSecret(403, "DEVICE_COOKIE_MISSING");
const AUTHORIZE: &str =
    r#"{"code_challenge": "{challenge}", "redirect_uri": "https://app.example.com/callback"}"#;
const EXCHANGE: &str = r#"{"code": "{hex}", "code_verifier": "{challenge}", "redirect_uri": "https://app.example.com/callback"}"#;
const DEVICE_AUTHORIZE: &str = "/api/v1/auth/device/authorize";
const DEVICE_LOGIN: &str = r#"{"ticket": "{hex}", "username": "ada", "password": "{password}"}"#;
const TICKET: &str = r#"{"ticket": "{hex}"}"#;
const DEVICE_CODE: &str = r#"{"device_code": "{hex}"}"#;
const MEMBER: &str = "/api/v1/projects/{id}/permissions/{permission_id}";

/// One line an operation. Logout is the last: it ends the sessions that the others use.
pub(crate) const OPERATIONS: &[Operation] = &[
    // sessions
    asks("POST", "/api/v1/users/auth/login", Public, r#"{"username": "ada", "password": "{password}"}"#),
    asks("POST", "/api/v1/users/auth/refresh", Public, r#"{"refreshToken": "{refresh}"}"#),
    // signing in for somebody else: `pkce` and `device` have the secrets
    asks("POST", "/api/v1/auth/authorize", Intent, AUTHORIZE),
    asks("POST", "/api/v1/auth/exchange", OwnSecret(400, "INVALID_GRANT"), EXCHANGE),
    asks("POST", "/api/v1/auth/intent/cancel", Intent, ""),
    asks("POST", "/api/v1/auth/device/code", Public, r#"{"client_name": "a test"}"#),
    asks("POST", "/api/v1/auth/device/verify_code", Public, r#"{"user_code": "{user_code}"}"#),
    reads("GET", DEVICE_AUTHORIZE, NO_COOKIE),
    asks("POST", "/api/v1/auth/device/login", NO_COOKIE, DEVICE_LOGIN),
    asks("POST", "/api/v1/auth/device/deny", OwnSecret(410, "DEVICE_CODE_GONE"), TICKET),
    asks("POST", "/api/v1/auth/device/token", OwnSecret(400, "EXPIRED_TOKEN"), DEVICE_CODE),
    // sign-up and mails: `signup` has the tokens that mails carry
    asks(
        "POST",
        "/api/v1/auth/signup",
        Public,
        r#"{"email": "new-{nth}@example.com", "password": "{password}"}"#,
    ),
    asks("POST", "/api/v1/auth/resend-verification", Public, r#"{"email": "some-{nth}@example.com"}"#),
    asks("POST", "/api/v1/auth/forgot-password", Public, r#"{"email": "some-{nth}@example.com"}"#),
    asks("POST", "/api/v1/auth/verify-email", MAIL_TOKEN, r#"{"token": "{mail}"}"#),
    asks(
        "POST",
        "/api/v1/auth/reset-password",
        MAIL_TOKEN,
        r#"{"token": "{mail}", "password": "{password}"}"#,
    ),
    reads("GET", "/api/v1/auth/config", Public),
    reads("GET", "/api/v1/auth/available-regions", Public),
    // two-factor: what needs a code is only looked at here; `two_factor` has codes
    asks("POST", "/api/v1/users/auth/2fa/verify", TEMP_TOKEN, r#"{"temp_token": "x.y.z", "code": "000000"}"#),
    asks("POST", "/api/v1/users/auth/2fa/verify-setup", SessionAndMore, r#"{"code": "000000"}"#),
    asks("DELETE", "/api/v1/users/auth/2fa", SessionAndMore, PROOF),
    asks("POST", "/api/v1/users/auth/2fa/backup-codes/regenerate", SessionAndMore, PROOF),
    asks("PUT", "/api/v1/users/auth/2fa/token-gate", SessionAndMore, r#"{"enabled": true}"#),
    asks("PATCH", "/api/v1/users/auth/2fa/token-gate", SessionAndMore, r#"{"enabled": true}"#),
    reads("GET", "/api/v1/users/auth/2fa/status", Session),
    changes("POST", "/api/v1/users/auth/2fa/setup", Session, r#"{"password": "{password}"}"#),
    // users
    reads("GET", "/api/v1/users/auth/me", ValidOrBanned),
    reads("GET", "/api/v1/users/me", ValidOrBanned),
    reads("GET", "/api/v1/users/{id}", ValidOrBanned),
    reads("GET", "/api/v1/users/me/security-history", Leaf("resources.read_account")),
    changes("PUT", "/api/v1/users/{id}", Session, r#"{"alias": "Ada {unique}"}"#),
    changes("PATCH", "/api/v1/users/{id}", Session, r#"{"alias": "Ada {unique}"}"#),
    // tokens
    reads("GET", "/api/v1/auth/tokens", Valid),
    changes("POST", "/api/v1/auth/tokens", Minting, "{}"),
    reads("GET", "/api/v1/auth/tokens/me", Itself),
    changes(
        "PUT",
        "/api/v1/auth/tokens/me/public-profile",
        PROFILE,
        r#"{"public_storage": {"n": {unique}}}"#,
    ),
    changes(
        "PATCH",
        "/api/v1/auth/tokens/me/public-profile",
        PROFILE,
        r#"{"public_storage": {"n": {unique}}}"#,
    ),
    reads("GET", "/api/v1/auth/tokens/public-profiles/{public_key}", Valid),
    reads("GET", "/api/v1/auth/tokens/templates", Valid),
    reads("GET", "/api/v1/auth/tokens/{id}", Valid),
    changes("PUT", "/api/v1/auth/tokens/{id}", Writer, r#"{"alias": "renamed {unique}"}"#),
    changes("PATCH", "/api/v1/auth/tokens/{id}", Writer, r#"{"is_enabled": false}"#),
    changes("DELETE", "/api/v1/auth/tokens/{id}", Writer, ""),
    changes("POST", "/api/v1/auth/tokens/{id}/copy", Minting, "{}"),
    changes("POST", "/api/v1/auth/tokens/{id}/add-realm", Writer, r#"{"realm_id": "{realm}"}"#),
    changes("POST", "/api/v1/auth/tokens/{id}/remove-realm", Writer, r#"{"realm_id": "{realm}"}"#),
    reads("GET", "/api/v1/auth/tokens/{id}/usage", Valid),
    // projects and realms
    reads("GET", "/api/v1/projects", Leaf("projects.read")),
    changes("POST", "/api/v1/projects", Leaf("projects.create"), r#"{"alias": "made {unique}"}"#),
    reads("GET", "/api/v1/projects/{id}", Leaf("projects.read")),
    changes("PUT", "/api/v1/projects/{id}", Leaf("projects.update"), r#"{"alias": "put {unique}"}"#),
    changes("PATCH", "/api/v1/projects/{id}", Leaf("projects.update"), r#"{"alias": "patched {unique}"}"#),
    changes("DELETE", "/api/v1/projects/{id}", Leaf("projects.delete"), ""),
    reads("GET", "/api/v1/projects/{id}/stats", Leaf("projects.read")),
    reads("GET", "/api/v1/projects/{id}/permissions", Leaf("projects.read")),
    changes(
        "POST",
        "/api/v1/projects/{id}/permissions",
        Leaf("projects.members.invite"),
        r#"{"user_id": "{carol}", "permission_level": "read"}"#,
    ),
    changes("PUT", MEMBER, Leaf("projects.members.change_roles"), LEVEL),
    changes("PATCH", MEMBER, Leaf("projects.members.change_roles"), LEVEL),
    changes("DELETE", MEMBER, Leaf("projects.members.remove"), ""),
    reads("GET", "/api/v1/realms", Leaf("resources.realms")),
    reads("GET", "/api/v1/permissions", Valid),
    // vault
    reads("GET", "/api/v1/vault/stats", Vault),
    reads("GET", "/api/v1/vault/keys", Vault),
    reads("GET", "/api/v1/vault/keys/{key}", Vault),
    changes("PUT", "/api/v1/vault/keys/{key}", Vault, r#"{"value": "{unique}"}"#),
    changes("PATCH", "/api/v1/vault/keys/{key}", Vault, r#"{"value": "{unique}"}"#),
    changes("DELETE", "/api/v1/vault/keys/{key}", Vault, ""),
    changes("DELETE", "/api/v1/vault", Vault, ""),
    // request log
    reads("GET", "/api/v1/users/auth/activity", Leaf("resources.read_account")),
    reads("GET", "/api/v1/users/auth/activity/stats", Leaf("resources.read_account")),
    // events; what is cleaned up is older than anything here
    reads("GET", "/api/v1/events", Events),
    reads("GET", "/api/v1/events/stats", Events),
    reads("GET", "/api/v1/events/stream", Events),
    reads("GET", "/api/v1/events/{id}", Events),
    changes("DELETE", "/api/v1/events/{id}", EventsDelete, ""),
    changes("DELETE", "/api/v1/events", EventsDelete, "{}"),
    asks("POST", "/api/v1/events/cleanup", EventsDelete, r#"{"retention_days": 30}"#),
    // webhooks
    reads("GET", "/api/v1/webhooks", Session),
    changes("POST", "/api/v1/webhooks", Session, r#"{"url": "https://example.com/{unique}"}"#),
    reads("GET", "/api/v1/webhooks/{id}", Session),
    changes("PUT", "/api/v1/webhooks/{id}", Session, r#"{"description": "{unique}"}"#),
    changes("PATCH", "/api/v1/webhooks/{id}", Session, r#"{"is_enabled": false}"#),
    changes("DELETE", "/api/v1/webhooks/{id}", Session, ""),
    changes("POST", "/api/v1/webhooks/{id}/rotate-secret", Session, ""),
    changes("POST", "/api/v1/webhooks/{id}/test", Session, ""),
    reads("GET", "/api/v1/webhooks/{id}/deliveries", Session),
    changes("POST", "/api/v1/webhooks/{id}/deliveries/{delivery_id}/replay", Session, ""),
    // alerts
    reads("GET", "/api/v1/alerts", Leaf("resources.read_account")),
    reads("GET", "/api/v1/alerts/settings", Leaf("resources.read_account")),
    changes("PUT", "/api/v1/alerts/settings/{kind}", Session, r#"{"threshold": 1{unique}}"#),
    changes("PATCH", "/api/v1/alerts/settings/{kind}", Session, r#"{"threshold": 1{unique}}"#),
    reads("GET", "/api/v1/alerts/{id}", Leaf("resources.read_account")),
    changes("POST", "/api/v1/alerts/{id}/acknowledge", Session, ""),
    changes("POST", "/api/v1/alerts/{id}/dismiss", Session, ""),
    // gates
    reads("GET", "/api/v1/gates", GATES),
    reads("GET", "/api/v1/gates/{name}", GATES),
    changes("PUT", "/api/v1/gates/{name}", GATES, GATE),
    changes("DELETE", "/api/v1/gates/{name}", GATES, ""),
    asks("POST", "/api/v1/gates/{name}/test", GATES, r#"{"method": "GET", "path": "/"}"#),
    // decisions for others, utilities, probes
    reads("GET", "/api/v1/auth/check", Valid),
    asks("POST", "/api/v1/auth/explain", Valid, "{}"),
    asks(
        "POST",
        "/api/v1/auth/verify",
        Leaf("resources.introspect"),
        r#"{"credentials": [{"credential": "x"}]}"#,
    ),
    reads("GET", "/api/v1/meta/public-key", Public),
    reads("GET", "/.well-known/jwks.json", Public),
    reads("GET", "/api/v1/ip", Public),
    reads("GET", "/livez", Public),
    reads("GET", "/readyz", Public),
    changes("POST", "/api/v1/users/auth/logout", ValidOrBanned, ""),
];

impl Needs {
    /// Whether anybody may ask.
    pub(crate) fn is_nothing(self) -> bool {
        matches!(self, Public | OwnSecret(..) | Intent)
    }
}

impl Operation {
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The leaf that a token needs, or one that will do where any that changes something does.
    pub(crate) fn leaf(&self) -> &'static str {
        match self.needs {
            Leaf(leaf) | OwnToken(leaf) => leaf,
            Vault => "resources.vault",
            Minting => "resources.create_tokens",
            Events | EventsDelete => "resources.events",
            _ => "projects.update",
        }
    }
}

/// A secret of the right form that nobody was given.
const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The permissions tree with these leaves.
pub(crate) fn tree(wanted: impl Fn(&str) -> bool) -> Value {
    let catalogue = Catalogue::hoody();
    let wanted = catalogue.leaves().filter(|(_, leaf)| wanted(&leaf.path)).map(|(permission, _)| permission);
    catalogue.to_tree(wanted.collect())
}

/// A request that can be sent by anybody.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    /// What is public is limited by address, of client and of mail: each time others.
    is_public: bool,
}

impl Asked {
    pub(crate) async fn by(&self, client: &Client) -> Reply {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if self.is_public {
            let nth = NEXT.fetch_add(1, Ordering::Relaxed);
            let client = client.from(&format!("10.{}.{}.{}", nth >> 16, nth >> 8 & 255, nth & 255));
            let body = String::from_utf8_lossy(&self.body).replace("{nth}", &nth.to_string());
            return client.send(self.method.clone(), &self.path, body.into_bytes()).await;
        }
        client.send(self.method.clone(), &self.path, self.body.clone()).await
    }
}

/// An account `ada` with things that requests can be about, and `carol`, whom projects are shared with.
pub(crate) struct World<'a> {
    pub(crate) app: &'a TestApp,
    /// Ada, signed in.
    pub(crate) owner: Client,
    pub(crate) refresh_token: String,
    ada: String,
    carol: String,
    next: AtomicU32,
}

impl<'a> World<'a> {
    pub(crate) async fn new(app: &'a TestApp) -> Self {
        let owner = app.user("ada").await;
        let carol = app.service.create_user("carol", None, PASSWORD).await;
        let (_, refresh_token) = app.sign_in("ada").await;
        let ada = owner.account().await;
        Self { app, owner, refresh_token, ada, carol, next: AtomicU32::new(0) }
    }

    /// A request for `operation` about things that were made for it alone.
    pub(crate) async fn ask(&self, operation: &Operation) -> Asked {
        let unique = self.next.fetch_add(1, Ordering::Relaxed);
        let path = match operation.path {
            path if path.contains("{public_key}") => {
                let key = format!("{unique:064x}");
                self.owner.mint(json!({ "public_key": key })).await;
                path.replace("{public_key}", &key)
            }
            path if path.starts_with("/api/v1/auth/tokens/{id}") => {
                let realms = if path.ends_with("remove-realm") { vec![REALM_A, REALM_B] } else { vec![] };
                let target = self.owner.mint(json!({ "permissions": {}, "realm_ids": realms })).await;
                path.replace("{id}", &target.id)
            }
            path if path.starts_with("/api/v1/vault") => {
                // Something to read, set again or clear.
                let key = format!("key-{unique}");
                let target = format!("/api/v1/vault/keys/{key}");
                self.owner.put(&target, json!({ "value": "of the owner" })).await;
                path.replace("{key}", &key)
            }
            DEVICE_AUTHORIZE => format!("{DEVICE_AUTHORIZE}?provider=github&ticket={HEX}"),
            path if path.starts_with("/api/v1/events") => {
                // Something to read or delete.
                self.owner.mint(json!({ "permissions": {} })).await;
                assert_eq!(self.app.service.project().await, None);
                let events = self.owner.get("/api/v1/events?limit=1").await;
                path.replace("{id}", events.data()["events"][0]["id"].as_str().unwrap())
            }
            path if path.starts_with("/api/v1/webhooks/{id}") => {
                // An account has few: one for all.
                let listed = self.owner.get("/api/v1/webhooks").await;
                for webhook in listed.data().as_array().into_iter().flatten() {
                    let path = format!("/api/v1/webhooks/{}", webhook["id"].as_str().unwrap());
                    self.owner.delete(&path).await;
                }
                let made = json!({ "url": "https://example.com/", "event_types": ["webhook.test"] });
                let made = self.owner.post("/api/v1/webhooks", made).await;
                let id = made.data()["id"].as_str().unwrap();
                let sent = self.owner.post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await;
                path.replace("{id}", id).replace("{delivery_id}", sent.data()["id"].as_str().unwrap())
            }
            path if path.starts_with("/api/v1/gates/{name}") => {
                // Of the realm that bound tokens have.
                let gate = GATE.replace("{unique}", "target").replace("{realm}", REALM_A);
                self.owner.send(Method::PUT, "/api/v1/gates/target", gate.into_bytes()).await;
                path.replace("{name}", "target")
            }
            path if path.starts_with("/api/v1/alerts/settings/") => path.replace("{kind}", "refusal_burst"),
            path if path.starts_with("/api/v1/alerts/{id}") => {
                // Somebody uses a token that is deleted.
                let token = self.owner.mint(json!({ "permissions": {} })).await;
                self.owner.delete(&format!("/api/v1/auth/tokens/{}", token.id)).await;
                token.client.check("").await;
                self.app.service.evaluate().await;
                let listed = self.owner.get(&format!("/api/v1/alerts?subject_id={}", token.id)).await;
                path.replace("{id}", listed.data()[0]["id"].as_str().unwrap())
            }
            path if path.starts_with("/api/v1/projects/{id}") => self.project_path(path, unique).await,
            path => path.replace("{id}", &self.ada),
        };
        let user_code = if operation.body.contains("{user_code}") {
            let started = self.app.anon().post("/api/v1/auth/device/code", json!({})).await;
            started.data()["user_code"].as_str().unwrap().to_owned()
        } else {
            String::new()
        };
        let body = operation
            .body
            .replace("{user_code}", &user_code)
            .replace("{hex}", HEX)
            .replace("{challenge}", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
            .replace("{unique}", &unique.to_string())
            .replace("{password}", PASSWORD)
            .replace("{refresh}", &self.refresh_token)
            .replace("{mail}", &"0".repeat(64))
            .replace("{realm}", REALM_A)
            .replace("{carol}", &self.carol);
        let is_public = operation.needs.is_nothing();
        Asked { method: operation.method.parse().unwrap(), path, body: body.into_bytes(), is_public }
    }

    async fn project_path(&self, path: &str, unique: u32) -> String {
        let made = self.owner.post("/api/v1/projects", json!({ "alias": format!("target {unique}") })).await;
        let project = made.data()["id"].as_str().unwrap();
        let mut path = path.replace("{id}", project);
        if path.contains("{permission_id}") {
            let shared = json!({ "user_id": self.carol, "permission_level": "read" });
            let shared = self.owner.post(&format!("/api/v1/projects/{project}/permissions"), shared).await;
            path = path.replace("{permission_id}", shared.data()["id"].as_str().unwrap());
        }
        path
    }
}
