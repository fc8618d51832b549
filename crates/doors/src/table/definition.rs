//! A gate as it is written: TOML or JSON, read with every fault named by its field.

use std::collections::HashSet;

use hoody_core::host::{Domain, name_of};
use hoody_core::id::{RealmId, UserId};
use hoody_core::invalid::{Invalid, Violation};
use hoody_core::json::{Fields, MAX_VIOLATIONS};
use hoody_core::permissions::Named;
use serde_json::Value;

use super::conflicts::conflicts;
use super::pattern::Pattern;
use super::{MAX_ACCOUNTS, MAX_COST, MAX_HOSTS, MAX_LISTED, MAX_METHODS, MAX_ROUTES};

/// A gate as somebody wrote it. Its parts are well-formed, and its rows do not contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// What its owner calls it: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// The hosts that it answers for, in lower case and without a port.
    pub hosts: Vec<String>,
    /// Which realm a request is in.
    pub realm: RealmRule,
    /// What the proxy takes off the path behind the gate. For explanations only, never for matching.
    pub strip: String,
    /// Whether a preflight request of a browser passes without a credential.
    pub preflight: bool,
    /// Whether the service behind it takes paths that differ in case for the same.
    pub folds: bool,
    /// What the request log keeps of a path, where the row does not say.
    pub log: Option<Log>,
    /// Whose tokens it lets in.
    pub accounts: Accounts,
    /// Whether it lets sessions in.
    pub sessions: bool,
    /// Whether it signs the identity of every request.
    pub sign: bool,
    /// Whether it serves OAuth metadata for its first host.
    pub oauth: bool,
    /// The rows.
    pub routes: Vec<Route>,
}

/// Which realm a request is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RealmRule {
    /// In none: the base.
    None,
    /// In this one.
    Fixed(RealmId),
    /// In the one that `{realm}.<domain>` names; in none on the other hosts.
    Host(Domain),
}

/// Whose tokens a gate lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accounts {
    /// Its owner's.
    Own,
    /// Its owner's, and those of these accounts. Sorted.
    Listed(Vec<UserId>),
    /// Those of every account of the server.
    Any,
}

/// What the request log keeps of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// The pattern of the row.
    Route,
    /// The path, redacted.
    Path,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The methods; empty for all.
    pub methods: Vec<String>,
    /// The pattern as it was written.
    pub path: String,
    /// The pattern.
    pub pattern: Pattern,
    /// What it needs.
    pub needs: Needs,
    /// Whether the end that `**` matches may have `%2F`, `;` and `//`.
    pub opaque: bool,
    /// What the request log keeps, where the row says it.
    pub log: Option<Log>,
    /// What one request takes of the token's limits.
    pub cost: u32,
}

/// What a row needs of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// No credential at all.
    Public,
    /// Any that the gate lets in.
    Any,
    /// This permission.
    Permission(String),
    /// One of these.
    AnyOf(Vec<String>),
    /// All of these.
    AllOf(Vec<String>),
}

impl Needs {
    /// The paths of permissions that it names.
    #[must_use]
    pub fn paths(&self) -> &[String] {
        match self {
            Self::Public | Self::Any => &[],
            Self::Permission(path) => std::slice::from_ref(path),
            Self::AnyOf(paths) | Self::AllOf(paths) => paths,
        }
    }
}

impl Definition {
    /// Reads a gate whose TOML or JSON is this value.
    ///
    /// # Errors
    /// [`Invalid::Schema`] with every unknown key, wrong type and broken rule, at most 20 of them, also for two
    /// rows of which a path matches both and neither is the more literal.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(value)?;
        let name = fields.string("name").map(str::to_owned);
        match &name {
            None if value.get("name").is_none() => fields.violate("/name", "is required"),
            Some(name) if !is_gate_name(name) => fields.violate(
                "/name",
                "must have 1 to 64 lower-case letters, digits, hyphens and underscores, beginning with a letter or digit",
            ),
            _ => {}
        }
        let folds = choice(&mut fields, "case", &[("exact", false), ("fold", true)]).unwrap_or(false);
        let preflight =
            choice(&mut fields, "preflight", &[("check", false), ("pass", true)]).unwrap_or(false);
        let log = log(&mut fields);
        let hosts = hosts(&mut fields);
        let realm = realm(&mut fields);
        let strip = fields.string("strip").unwrap_or_default().to_owned();
        if !strip.is_empty() && Pattern::parse(&strip, false).is_err() {
            fields.violate("/strip", "must be the beginning of a path, e.g. /api");
        }
        let accounts = accounts(&mut fields);
        let sessions = fields.boolean("sessions").unwrap_or(false);
        let sign = fields.boolean("sign").unwrap_or(false);
        let oauth = fields.boolean("oauth").unwrap_or(false);
        let routes = routes(&mut fields, folds);
        fields.close()?;
        let name = name.unwrap_or_default();
        let definition = Self {
            name,
            hosts,
            realm,
            strip,
            preflight,
            folds,
            log,
            accounts,
            sessions,
            sign,
            oauth,
            routes,
        };
        let violations = conflicts(&definition.routes);
        if violations.is_empty() { Ok(definition) } else { Err(Invalid::Schema(violations)) }
    }

    /// Checks that every permission of the rows exists; `find` is a catalogue's. A retired one and an old name
    /// pass ([`super::lint()`] tells of them).
    ///
    /// # Errors
    /// [`Invalid::Schema`] at each row that names an unknown permission.
    pub fn check(&self, find: impl Fn(&str) -> Option<Named>) -> Result<(), Invalid> {
        let mut violations = Vec::new();
        for (index, route) in self.routes.iter().enumerate() {
            let unknown = route.needs.paths().iter().find(|path| find(path).is_none());
            if unknown.is_some() && violations.len() < MAX_VIOLATIONS {
                let field = match route.needs {
                    Needs::AnyOf(_) => "any_of",
                    Needs::AllOf(_) => "all_of",
                    _ => "permission",
                };
                let instance_path = format!("/route/{index}/{field}");
                let message = "unknown permission; add it to the catalogue first".to_owned();
                violations.push(Violation { instance_path, message });
            }
        }
        if violations.is_empty() { Ok(()) } else { Err(Invalid::Schema(violations)) }
    }
}

fn is_gate_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=64).contains(&name.len())
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|byte| plain(byte) || matches!(byte, b'-' | b'_'))
}

/// One of a few words.
fn choice<T: Copy>(fields: &mut Fields<'_>, name: &'static str, words: &[(&str, T)]) -> Option<T> {
    let text = fields.string(name)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        fields.violate(fields.pointer(name), format!("must be {}", words.join(" or ")));
    }
    found
}

fn log(fields: &mut Fields<'_>) -> Option<Log> {
    choice(fields, "log", &[("route", Log::Route), ("path", Log::Path)])
}

/// The texts of an array of at most `limit` entries, each with its pointer.
fn texts<'a>(fields: &mut Fields<'a>, name: &'static str, limit: usize) -> Option<Vec<(String, &'a str)>> {
    let listed = fields.array(name)?;
    let at = fields.pointer(name);
    if listed.len() > limit {
        fields.violate(at.clone(), format!("must have at most {limit} entries"));
    }
    let mut texts = Vec::new();
    for (index, entry) in listed.iter().enumerate().take(limit) {
        let here = format!("{at}/{index}");
        match entry.as_str() {
            Some(text) => texts.push((here, text)),
            None => fields.violate(here, "must be a string"),
        }
    }
    Some(texts)
}

fn hosts(fields: &mut Fields<'_>) -> Vec<String> {
    let listed = texts(fields, "hosts", MAX_HOSTS).unwrap_or_default();
    let at = fields.pointer("hosts");
    let mut hosts: Vec<String> = Vec::new();
    for (at, text) in &listed {
        match name_of(text) {
            Ok(name) if name == *text && !name.is_empty() => hosts.push(name.to_ascii_lowercase()),
            _ => fields.violate(at.clone(), "must be a host name without scheme, port and path"),
        }
    }
    if listed.is_empty() {
        fields.violate(at, "must list the hosts that clients use, e.g. orders.example.com");
    }
    hosts.sort_unstable();
    hosts.dedup();
    // The first host names the resource of OAuth metadata, so its place is kept.
    if let Some(first) = listed.first().map(|(_, text)| text.to_ascii_lowercase())
        && let Some(at) = hosts.iter().position(|host| *host == first)
    {
        hosts[..=at].rotate_right(1);
    }
    hosts
}

fn realm(fields: &mut Fields<'_>) -> RealmRule {
    let Some(text) = fields.string("realm") else { return RealmRule::None };
    if text == "none" {
        return RealmRule::None;
    }
    if let Ok(realm) = text.parse() {
        return RealmRule::Fixed(realm);
    }
    if let Some(domain) = text.strip_prefix("{realm}.").and_then(|domain| Domain::parse(domain).ok()) {
        return RealmRule::Host(domain);
    }
    fields.violate("/realm", "must be \"none\", a realm id, or {realm}. before a host name");
    RealmRule::None
}

fn accounts(fields: &mut Fields<'_>) -> Accounts {
    match fields.value("accounts") {
        None => Accounts::Own,
        Some(Value::String(word)) if word == "any" => Accounts::Any,
        Some(Value::String(word)) if word == "own" => Accounts::Own,
        Some(Value::Array(_)) => {
            let listed = texts(fields, "accounts", MAX_ACCOUNTS).unwrap_or_default();
            if listed.is_empty() {
                fields.violate("/accounts", "must not be empty; leave it out for the gate's own account");
            }
            let mut accounts: Vec<UserId> = Vec::new();
            for (at, text) in listed {
                match text.parse() {
                    Ok(account) => accounts.push(account),
                    Err(_) => fields.violate(at, "must be an account id, 24 lowercase hex digits"),
                }
            }
            accounts.sort_unstable();
            accounts.dedup();
            Accounts::Listed(accounts)
        }
        Some(_) => {
            fields.violate("/accounts", "must be \"own\", \"any\" or a list of account ids");
            Accounts::Own
        }
    }
}

fn routes(fields: &mut Fields<'_>, folds: bool) -> Vec<Route> {
    let listed = fields.array("route").unwrap_or_default();
    if listed.len() > MAX_ROUTES {
        fields.violate("/route", format!("must have at most {MAX_ROUTES} rows"));
        return Vec::new();
    }
    let mut routes = Vec::with_capacity(listed.len());
    for (index, value) in listed.iter().enumerate() {
        let route = route(value, &format!("/route/{index}"), folds);
        routes.extend(fields.absorb(route));
    }
    let methods: HashSet<&str> = routes.iter().flat_map(|route| &route.methods).map(String::as_str).collect();
    if methods.len() > MAX_METHODS {
        fields.violate("/route", format!("must name at most {MAX_METHODS} different methods"));
    }
    routes
}

fn route(value: &Value, at: &str, folds: bool) -> Result<Route, Invalid> {
    let mut fields = Fields::at(value, at)?;
    let path = fields.string("path");
    if path.is_none() && value.get("path").is_none() {
        fields.violate(fields.pointer("path"), "is required");
    }
    let pattern = match path.map(|path| Pattern::parse(path, folds)) {
        Some(Ok(pattern)) => Some(pattern),
        Some(Err(rule)) => {
            fields.violate(fields.pointer("path"), rule);
            None
        }
        None => None,
    };
    let methods = methods(&mut fields);
    let needs = needs(&mut fields, at);
    let opaque = choice(&mut fields, "tail", &[("canonical", false), ("opaque", true)]).unwrap_or(false);
    if opaque && pattern.as_ref().is_some_and(|pattern| !pattern.has_tail()) {
        fields.violate(fields.pointer("tail"), "needs a path that ends in /**");
    }
    let log = log(&mut fields);
    let cost = fields.number("cost").map(|cost| cost.as_u64().and_then(|cost| u32::try_from(cost).ok()));
    let cost = match cost {
        None => 1,
        Some(Some(cost @ 1..=MAX_COST)) => cost,
        Some(_) => {
            fields.violate(fields.pointer("cost"), format!("must be an integer from 1 to {MAX_COST}"));
            1
        }
    };
    fields.close()?;
    let (Some(path), Some(pattern), Some(needs)) = (path, pattern, needs) else {
        return Err(Invalid::schema(at, "must have a path and what it needs"));
    };
    Ok(Route { methods, path: path.to_owned(), pattern, needs, opaque, log, cost })
}

fn methods(fields: &mut Fields<'_>) -> Vec<String> {
    let Some(listed) = texts(fields, "methods", MAX_LISTED) else { return Vec::new() };
    if listed.is_empty() {
        fields.violate(fields.pointer("methods"), "must not be empty; leave it out for all methods");
    }
    let mut methods: Vec<String> = Vec::new();
    for (at, method) in listed {
        let plain = |byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
        if method.is_empty() || method.len() > 32 || !method.bytes().all(plain) {
            fields.violate(at, "must be a method in upper case, e.g. GET");
        } else if matches!(method, "TRACE" | "CONNECT") {
            fields.violate(at, "TRACE and CONNECT never pass a gate");
        } else if methods.iter().any(|known| known == method) {
            fields.violate(at, "is listed twice");
        } else {
            methods.push(method.to_owned());
        }
    }
    methods
}

fn needs(fields: &mut Fields<'_>, at: &str) -> Option<Needs> {
    let mut found = Vec::new();
    for (name, needs) in [("public", Needs::Public), ("any", Needs::Any)] {
        match fields.boolean(name) {
            Some(true) => found.push(needs),
            Some(false) => fields.violate(fields.pointer(name), "must be true, or be left out"),
            None => {}
        }
    }
    if let Some(path) = fields.string("permission") {
        found.push(Needs::Permission(path.to_owned()));
    }
    for (name, make) in [("any_of", Needs::AnyOf as fn(Vec<String>) -> Needs), ("all_of", Needs::AllOf)] {
        let Some(listed) = texts(fields, name, MAX_LISTED) else { continue };
        if listed.is_empty() {
            fields.violate(fields.pointer(name), "must not be empty");
        }
        found.push(make(listed.into_iter().map(|(_, path)| path.to_owned()).collect()));
    }
    if found.len() > 1 || (found.is_empty() && !has_need(fields)) {
        fields.violate(at, "must have exactly one of public, any, permission, any_of and all_of");
    }
    found.pop()
}

/// Whether a need was written in a wrong type, which is told already.
fn has_need(fields: &mut Fields<'_>) -> bool {
    ["public", "any", "permission", "any_of", "all_of"].into_iter().any(|name| fields.value(name).is_some())
}
