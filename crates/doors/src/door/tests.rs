use super::*;
use std::sync::{Arc, Mutex};

use crate::answer::{CODE, IDENTITY, PERMISSIONS, SIGNED, USER_ID, permissions};
use crate::identity::Signer;
use crate::judge::{Holder, Passed, decide, explain_gate};
use crate::table::Definition;
use futures_util::FutureExt;
use hoody_core::address::AddressList;
use hoody_core::extras::Extras;
use hoody_core::grant::{Bounds, Credential, Deny, Grant, Realms};
use hoody_core::id::{GateId, SessionId, TokenId, UserId};
use hoody_core::permissions::own::{OwnId, OwnSet};
use hoody_core::permissions::{AnyPermission, Named, PermissionSet};
use hoody_core::time::Timestamp;
use serde_json::json;

pub(crate) const GATE: &str = "65a1b2c3d4e5f60718293a4b";
pub(crate) const OWNER: UserId = UserId::from_bytes([1; 12]);

/// A server with one gate and a few credentials.
pub(crate) struct Fake {
    gate: Arc<Gate>,
    pub(crate) key: Option<Key>,
    pub(crate) is_down: bool,
    /// What was told to the log.
    pub(crate) passed: Mutex<Vec<Option<&'static str>>>,
}

pub(crate) struct Key;

impl Signer for Key {
    fn key_id(&self) -> &str {
        "k1"
    }
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        [u8::try_from(message.len() % 251).unwrap(); 64]
    }
}

fn find(path: &str) -> Option<Named> {
    let number = match path {
        "orders.read" => 1,
        "orders.create" => 2,
        _ => return None,
    };
    let permission = AnyPermission::Own(OwnId::new(number)?);
    Some(Named { permission, is_deprecated: false, is_retired: false })
}

impl Fake {
    pub(crate) fn new() -> Self {
        let value = json!({
            "name": "orders", "hosts": ["orders.example.com"], "oauth": true, "preflight": "pass",
            "route": [
                {"path": "/healthz", "public": true},
                {"path": "/orders/{id}", "methods": ["GET"], "permission": "orders.read"},
                {"path": "/orders", "methods": ["POST"], "permission": "orders.create"},
                {"path": "/me", "any": true},
            ],
        });
        let definition = Definition::parse(&value).unwrap();
        let gate = Arc::new(Gate::new(GATE.parse().unwrap(), OWNER, &definition, find));
        Self { gate, key: None, is_down: false, passed: Mutex::default() }
    }

    /// What a credential of these tests stands for.
    fn grant(text: &str) -> Option<(Grant, OwnSet)> {
        let own: OwnSet = [OwnId::new(1)?].into_iter().collect();
        let mut grant = Grant {
            account: OWNER,
            credential: Credential::Token(TokenId::from_bytes([2; 12])),
            is_enabled: true,
            is_banned: false,
            limits: Bounds {
                permissions: PermissionSet::EMPTY,
                realms: Realms::EVERYWHERE,
                addresses: AddressList::any(),
                expires_at: None,
                vault_access: false,
                event_access: false,
                extras: Extras::NONE,
            },
        };
        match text {
            "good" => {}
            "foreign" => grant.account = UserId::from_bytes([9; 12]),
            "session" => grant.credential = Credential::Session(SessionId::from_bytes([3; 12])),
            "disabled" => grant.is_enabled = false,
            "expired" => grant.limits.expires_at = Some(Timestamp::MIN),
            "elsewhere" => grant.limits.addresses = AddressList::parse_entries(["10.0.0.0/8"]).ok()?,
            _ => return None,
        }
        Some((grant, own))
    }
}

impl Judge for Fake {
    async fn gate(&self, id: GateId) -> Result<Option<Arc<Gate>>, Refusal> {
        Ok((id == self.gate.id).then(|| Arc::clone(&self.gate)))
    }

    fn find(&self, path: &str) -> Option<Named> {
        find(path)
    }

    async fn judge(&self, question: &Question<'_>) -> Result<Holder, Refusal> {
        if self.is_down {
            return Err(Refusal::Unavailable);
        }
        let text = question.credential.map_err(Refusal::Denied)?;
        let (grant, own) = Self::grant(text).ok_or(Refusal::Denied(Deny::Unknown))?;
        let holds = |permission| matches!(permission, AnyPermission::Own(id) if own.has(id));
        let decided = decide(&grant, holds, question, self.now());
        // The explanation begins with the decision.
        let explained = explain_gate(&grant, holds, question, self.now());
        assert_eq!(explained.first().map(|obstacle| &obstacle.refusal), decided.as_ref().err());
        decided?;
        Ok(Holder {
            account: grant.account,
            token: Some(TokenId::from_bytes([2; 12])),
            alias: "ci runner".into(),
            external_id: "".into(),
            permissions: permissions(["orders.read"]),
        })
    }

    fn passed(&self, _: Passed<'_>, refusal: Option<&Refusal>) {
        self.passed.lock().unwrap().push(refusal.map(Refusal::name));
    }

    fn signer(&self) -> Option<&dyn Signer> {
        self.key.as_ref().map(|key| key as &dyn Signer)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_796_000_000_000)
    }
}

fn headers(method: &str, target: &str, credential: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-forwarded-method", method),
        ("x-forwarded-uri", target),
        ("x-forwarded-host", "orders.example.com"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "203.0.113.9"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    if let Some(credential) = credential {
        headers.insert("authorization", format!("Bearer {credential}").parse().unwrap());
    }
    headers
}

fn ask(judge: &Fake, headers: &HeaderMap, query: &str) -> Response<Bytes> {
    let trusted = TrustedProxies::parse("127.0.0.1").unwrap();
    let server = Server { issuer: "https://auth.example.com", realm: "auth.example.com", trusted: &trusted };
    let peer = "127.0.0.1".parse().unwrap();
    answer(judge, server, peer, headers, Some(query)).now_or_never().unwrap()
}

#[test]
fn a_listener_can_move_its_answers_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let (judge, headers) = (Fake::new(), HeaderMap::new());
    let trusted = TrustedProxies::default();
    let server = Server { issuer: "", realm: "", trusted: &trusted };
    let answering = answer(&judge, server, "127.0.0.1".parse().unwrap(), &headers, None);
    is_send(&answering);
    assert_eq!(answering.now_or_never().unwrap().status(), 400);
}

fn asked(method: &str, target: &str, credential: Option<&str>) -> Response<Bytes> {
    ask(&Fake::new(), &headers(method, target, credential), &format!("gate={GATE}"))
}

#[test]
fn every_question_of_the_table_has_its_answer() {
    for (method, target, credential, status, code) in [
        ("GET", "/orders/7", Some("good"), 200, ""),
        ("HEAD", "/orders/7?x=%zz", Some("good"), 200, ""),
        ("GET", "/me/", Some("good"), 200, ""),
        ("GET", "/healthz", None, 200, ""),
        ("GET", "/healthz", Some("garbage"), 200, ""),
        ("POST", "/orders", Some("good"), 403, "INSUFFICIENT_PERMISSIONS"),
        ("GET", "/none", Some("good"), 403, "NO_ROUTE"),
        ("DELETE", "/orders/7", Some("good"), 403, "NO_ROUTE"),
        ("GET", "/none", None, 401, "MISSING_TOKEN"),
        ("GET", "/none", Some("garbage"), 401, "INVALID_TOKEN"),
        ("GET", "/none", Some("foreign"), 403, "GATE_ACCOUNT"),
        ("GET", "/orders/7", Some("foreign"), 403, "GATE_ACCOUNT"),
        ("GET", "/orders/7", Some("session"), 403, "INSUFFICIENT_PERMISSIONS"),
        ("GET", "/orders/7", Some("disabled"), 401, "INVALID_TOKEN"),
        ("GET", "/orders/7", Some("expired"), 401, "TOKEN_EXPIRED"),
        ("GET", "/orders/7", Some("elsewhere"), 403, "IP_NOT_WHITELISTED"),
        ("GET", "/orders//7", Some("good"), 400, "PATH_NOT_CANONICAL"),
        ("GET", "/orders//7", None, 400, "PATH_NOT_CANONICAL"),
        ("TRACE", "/healthz", None, 403, "NO_ROUTE"),
    ] {
        let response = asked(method, target, credential);
        let case = format!("{method} {target} {credential:?}");
        assert_eq!(response.status(), status, "{case}");
        let said = response.headers().get(CODE).map_or("", |code| code.to_str().unwrap());
        assert_eq!(said, code, "{case}");
        let identities = IDENTITY.iter().filter(|name| response.headers().contains_key(*name)).count();
        assert_eq!(identities, if status == 200 { 6 } else { 0 }, "{case}");
        assert_eq!(
            response.headers().contains_key("www-authenticate"),
            { status == 401 || code == "INSUFFICIENT_PERMISSIONS" },
            "{case}"
        );
    }
}

#[test]
fn who_came_in_is_told_and_nobody_on_public_rows() {
    let response = asked("GET", "/orders/7", Some("good"));
    assert_eq!(response.headers()[USER_ID], OWNER.to_string());
    assert_eq!(response.headers()[PERMISSIONS], "orders.read");
    let public = asked("GET", "/healthz", Some("good"));
    assert!(IDENTITY.iter().all(|name| public.headers()[name].is_empty()));
}

#[test]
fn refusals_have_a_body_unless_the_proxy_wants_none() {
    let judge = Fake::new();
    let query = format!("gate={GATE}&body=none");
    let without = ask(&judge, &headers("GET", "/none", Some("good")), &query);
    assert!(without.body().is_empty() && without.headers()["content-length"] == "0");
    assert!(!asked("GET", "/none", Some("good")).body().is_empty());
    let wrong = ask(&judge, &headers("GET", "/", None), &format!("{query}&x=1"));
    assert_eq!(wrong.status(), 400);
    let unknown = ask(&judge, &headers("GET", "/", None), "gate=000000000000000000000000");
    assert_eq!(unknown.headers()[CODE], "GATE_UNKNOWN");
}

#[test]
fn questions_without_a_table_name_the_account() {
    let judge = Fake::new();
    let of = |credential, query: &str| ask(&judge, &headers("GET", "//x", Some(credential)), query);
    let own = format!("account={OWNER}");
    assert_eq!(of("good", &own).status(), 200);
    assert_eq!(of("good", &format!("{own}&permission=orders.read")).status(), 200);
    let lacking = of("good", &format!("{own}&permission=orders.create"));
    assert!(lacking.headers()["www-authenticate"].to_str().unwrap().ends_with("scope=\"orders.create\""));
    assert_eq!(of("foreign", &own).headers()[CODE], "GATE_ACCOUNT");
    assert_eq!(of("session", &own).headers()[CODE], "INSUFFICIENT_PERMISSIONS");
    assert_eq!(of("good", &format!("{own}&permission=none")).headers()[CODE], "INVALID_PARAMETER_VALUE");
}

#[test]
fn identities_are_signed_on_request() {
    let mut judge = Fake::new();
    let signed = format!("gate={GATE}&sign=1");
    let without_key = ask(&judge, &headers("GET", "/me", Some("good")), &signed);
    assert_eq!(
        (without_key.status().as_u16(), &without_key.headers()[CODE]),
        (500, &"GATE_CONFIG".parse().unwrap())
    );
    judge.key = Some(Key);
    let response = ask(&judge, &headers("GET", "/me", Some("good")), &signed);
    assert_eq!(response.headers()[SIGNED].to_str().unwrap().split('.').count(), 3);
    assert!(!asked("GET", "/me", Some("good")).headers().contains_key(SIGNED));
}

#[test]
fn what_no_credential_decided_is_told_to_the_log() {
    let judge = Fake::new();
    let query = format!("gate={GATE}");
    ask(&judge, &headers("GET", "/healthz", None), &query);
    ask(&judge, &headers("GET", "//", None), &query);
    ask(&judge, &headers("GET", "/me", Some("good")), &query);
    ask(&judge, &HeaderMap::new(), &query);
    assert_eq!(*judge.passed.lock().unwrap(), [None, Some("path_not_canonical"), Some("gate_headers")]);
}
