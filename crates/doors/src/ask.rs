//! The question of a proxy, read from the URL that its operator wrote and one family of forwarded headers.
//!
//! The URL alone says what must hold. `X-Original-*`, `X-Real-IP`, `Forwarded` and `Host` are never read, since
//! proxies pass on what clients send there.

use std::net::IpAddr;

use hoody_core::address::{TrustedProxies, client_address};
use hoody_core::grant::Deny;
use hoody_core::id::{GateId, RealmId, UserId};
use hoody_core::json::quoted;
use hoody_core::permissions::Named;
use hoody_core::secret::of_authorization;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::path::Path;
use crate::question::{Admits, Asks, Question};
use crate::refusal::Refusal;
pub use crate::subject::Original;
use crate::table::Gate;

const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What the operator wrote into the proxy's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// What must hold.
    pub what: What<'a>,
    /// Whether a refusal has a body: not with `body=none`.
    pub body: bool,
    /// Whether the identity is signed: with `sign=1`.
    pub sign: bool,
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    /// What the table of this gate says.
    Gate(GateId),
    /// A token of this account, in this realm, and with this permission if one is named.
    Token {
        /// Whose tokens.
        account: UserId,
        /// The path of a permission.
        permission: Option<&'a str>,
        /// The realm; `None` for the base.
        realm: Option<RealmId>,
    },
}

impl<'a> Asked<'a> {
    /// Reads the query of `/gate/auth`: `gate`, or `account` with `permission` and `realm`; `body` and `sign`.
    ///
    /// # Errors
    /// [`Refusal::Parameter`] for a key twice, an unknown key, and a value that is none.
    pub fn of_query(query: Option<&'a str>) -> Result<Self, Refusal> {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let asked = Self::of_pairs(pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))), true);
        asked.map_err(Refusal::Parameter)
    }

    /// Reads `context_extensions` of Envoy: the same keys but `body`.
    ///
    /// # Errors
    /// [`Refusal::Config`] for an unknown key and a value that is none.
    pub fn of_extensions(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, Refusal> {
        Self::of_pairs(pairs, false).map_err(|_| {
            Refusal::Config(
                "context_extensions must have gate, or account with permission and realm, and nothing else but sign",
            )
        })
    }

    fn of_pairs(pairs: impl Iterator<Item = (&'a str, &'a str)>, has_body: bool) -> Result<Self, String> {
        let [mut gate, mut account, mut permission, mut realm, mut body, mut sign] = [None; 6];
        for (key, value) in pairs {
            let slot = match key {
                "gate" => &mut gate,
                "account" => &mut account,
                "permission" => &mut permission,
                "realm" => &mut realm,
                "body" if has_body => &mut body,
                "sign" => &mut sign,
                _ => return Err(format!("{}: unknown parameter", quoted(key))),
            };
            if slot.replace(value).is_some() {
                return Err(format!("{key}: must be there once"));
            }
        }
        let word = |name: &str, value: Option<&str>, word: &str| match value {
            None => Ok(false),
            Some(value) if value == word => Ok(true),
            Some(_) => Err(format!("{name}: must be {word}, or be left out")),
        };
        let body = !word("body", body, "none")?;
        let sign = word("sign", sign, "1")?;
        let what = match (gate, account) {
            (Some(gate), None) if permission.is_none() && realm.is_none() => {
                What::Gate(gate.parse().map_err(|_| "gate: must be a gate id, 24 lowercase hex digits")?)
            }
            (Some(_), _) => return Err("gate: must stand without account, permission and realm".to_owned()),
            (None, None) => return Err("gate or account: one of them is required".to_owned()),
            (None, Some(account)) => What::Token {
                account: account
                    .parse()
                    .map_err(|_| "account: must be an account id, 24 lowercase hex digits")?,
                permission,
                realm: realm
                    .map(str::parse)
                    .transpose()
                    .map_err(|_| "realm: must be a realm id, 24 lowercase hex digits")?,
            },
        };
        Ok(Self { what, body, sign })
    }
}

/// One question as it came in: nothing of it is judged yet.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What the operator wrote.
    pub asked: Asked<'a>,
    /// The client's request, where the proxy tells it.
    pub original: Option<Original<'a>>,
    /// Where the client is.
    pub address: IpAddr,
    /// The credential that it sent, or why there is none.
    pub credential: Result<&'a str, Deny>,
    /// Whether it is a browser's preflight: `Origin` and `Access-Control-Request-Method` are there.
    pub is_preflight: bool,
}

impl<'a> Ask<'a> {
    /// Reads a request to `/gate/auth`.
    ///
    /// # Errors
    /// What is wrong with the URL, the proxy or its headers. A client cannot cause these.
    pub fn of_http(
        peer: IpAddr,
        trusted: &TrustedProxies,
        headers: &'a HeaderMap,
        query: Option<&'a str>,
    ) -> Result<Self, Refusal> {
        let asked = Asked::of_query(query)?;
        let needs_headers = matches!(asked.what, What::Gate(_));
        let is_trusted = trusted.contains(peer);
        if needs_headers && !is_trusted {
            return Err(Refusal::ProxyUntrusted);
        }
        let original = match (needs_headers, is_trusted) {
            (true, _) => Some(original(headers)?),
            // A proxy may tell it for the request log; what is half told is not believed.
            (false, true) if headers.contains_key(METHOD) || headers.contains_key(URI) => {
                Some(original(headers)?)
            }
            (false, _) => None,
        };
        let lines = headers.get_all(FOR).iter().map(HeaderValue::as_bytes);
        let address = client_address(peer, lines, trusted).map_err(|_| Refusal::ForwardedFor)?;
        let credential = credential(headers);
        let is_preflight = original.is_some_and(|original| original.method == "OPTIONS")
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        Ok(Self { asked, original, address, credential, is_preflight })
    }

    /// Finds what the question asks for: the row of `gate`, which is the one that [`Asked::what`] names, or the
    /// permission that the URL names, in the catalogue that `find` looks into.
    ///
    /// # Errors
    /// A path that is not canonical, a host that is not the gate's, an unknown permission, [`Refusal::NoRoute`]
    /// for TRACE and CONNECT.
    pub fn question<'b>(
        &self,
        gate: Option<&'b Gate>,
        find: impl Fn(&str) -> Option<Named>,
    ) -> Result<Question<'b>, Refusal>
    where
        'a: 'b,
    {
        if self.original.is_some_and(|original| matches!(original.method, "TRACE" | "CONNECT")) {
            return Err(Refusal::NoRoute);
        }
        let (admits, realm, asks, sign) = match (self.asked.what, gate) {
            (What::Gate(id), Some(gate)) if gate.id == id => {
                let original = self.original.ok_or(Refusal::ProxyUntrusted)?;
                let path = Path::read(original.target).map_err(Refusal::Path)?;
                let row = gate.route(original.method, &path);
                let realm = gate.realm_of(original.host);
                let row = row.map_err(Refusal::Path)?;
                let realm = realm.ok_or(Refusal::Host)?;
                let asks = match row {
                    _ if gate.preflight && self.is_preflight => Asks::Nothing,
                    Some(row) => Asks::Row(row),
                    None => Asks::NoRoute,
                };
                (Admits::Gate(gate), realm, asks, gate.sign)
            }
            (What::Gate(_), _) => return Err(Refusal::UnknownGate),
            (What::Token { account, permission, realm }, _) => {
                let unknown = || {
                    Refusal::Parameter(
                        "permission: must be the path of a permission, e.g. orders.read".to_owned(),
                    )
                };
                let asks = match permission {
                    None => Asks::Permission(None, ""),
                    Some(path) => Asks::Permission(Some(find(path).ok_or_else(unknown)?.permission), path),
                };
                (Admits::Account(account), realm, asks, false)
            }
        };
        let sign = sign || self.asked.sign;
        Ok(Question {
            credential: self.credential,
            address: self.address,
            realm,
            admits,
            asks,
            original: self.original,
            sign,
        })
    }
}

/// The one family of headers, each exactly once. `X-Forwarded-For` is read where the address is.
fn original(headers: &HeaderMap) -> Result<Original<'_>, Refusal> {
    const RULE: &str = "X-Forwarded-Method, -Uri, -Host, -Proto and -For must each be there exactly once; set them in \
                        the proxy, and remove what clients send";
    let once = |name: &HeaderName| {
        let mut lines = headers.get_all(name).iter();
        match (lines.next().and_then(|line| line.to_str().ok()), lines.next()) {
            (Some(line), None) => Ok(line),
            _ => Err(Refusal::Headers(RULE)),
        }
    };
    once(&FOR)?;
    let proto = once(&PROTO)?;
    // A WebSocket is `ws` to some proxies (Traefik).
    if !matches!(proto, "http" | "https" | "ws" | "wss") {
        return Err(Refusal::Headers("X-Forwarded-Proto must be http, https, ws or wss"));
    }
    let original = Original { method: once(&METHOD)?, target: once(&URI)?, host: once(&HOST)? };
    original.check()?;
    Ok(original)
}

/// The credential of a request: `Bearer <credential>`, or an `hdy_` token as it is.
///
/// # Errors
/// [`Deny::Missing`] when nothing was sent, [`Deny::Unknown`] for what is no credential, or more than one.
pub fn credential(headers: &HeaderMap) -> Result<&str, Deny> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let line = lines.next().ok_or(Deny::Missing)?;
    let text = line.to_str().map_err(|_| Deny::Unknown)?;
    if lines.next().is_some() {
        return Err(Deny::Unknown);
    }
    credential_of(text)
}

/// The credential in one value of `Authorization`.
///
/// # Errors
/// [`Deny::Unknown`] for what is no credential, also for two that a proxy joined with a comma.
pub fn credential_of(text: &str) -> Result<&str, Deny> {
    whole(of_authorization(text).ok_or(Deny::Unknown)?)
}

/// The credential as it stands, without a scheme.
///
/// # Errors
/// As [`credential_of`].
pub fn whole(credential: &str) -> Result<&str, Deny> {
    if credential.is_empty() || credential.contains([',', ' ', '\t']) {
        Err(Deny::Unknown)
    } else {
        Ok(credential)
    }
}

#[cfg(test)]
mod tests;
