//! A gate made ready for deciding: its rows in a tree of segments, which is walked once for a request.

use std::borrow::Cow;

use hoody_core::host::{name_of, realm_of_host};
use hoody_core::id::{GateId, RealmId, UserId};
use hoody_core::permissions::{AnyPermission, Named};

use super::definition::{Accounts, Definition, Log, Needs, RealmRule, Route};
use super::pattern::Segment;
use crate::path::{Fault, Path};

/// The methods that have a number of their own, in every gate.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
const GET: u8 = 0;
const HEAD: u8 = 1;
/// A method that no row names.
const OTHER: u8 = u8::MAX;

/// A gate that decides.
#[derive(Debug)]
pub struct Gate {
    /// Which one.
    pub id: GateId,
    /// The account that it belongs to.
    pub owner: UserId,
    /// Whether it lets sessions in.
    pub sessions: bool,
    /// Whether it signs the identity of every request.
    pub sign: bool,
    /// The host whose OAuth metadata it serves, if it does.
    pub resource: Option<Box<str>>,
    /// Whether preflight requests of browsers pass.
    pub preflight: bool,
    /// Whether the request log keeps paths that no row matches.
    pub logs_paths: bool,
    accounts: Accounts,
    hosts: Box<[Box<str>]>,
    realm: RealmRule,
    folds: bool,
    rows: Box<[Row]>,
    nodes: Box<[Node]>,
    /// Further methods that rows name; the first has the number after the last of [`METHODS`].
    methods: Box<[Box<str>]>,
}

/// The row that decides about a request.
#[derive(Debug)]
pub struct Row {
    /// The pattern, as it was written: what the request log keeps.
    pub path: Box<str>,
    /// What it needs.
    pub need: Need,
    /// The permissions that it names, joined by spaces: the `scope` of a refusal.
    pub scope: Box<str>,
    /// What the request log keeps of the path.
    pub log: Log,
    /// What one request takes of the token's limits.
    pub cost: u32,
    opaque: bool,
}

/// What a row needs of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// No credential at all.
    Public,
    /// Any that the gate lets in.
    Any,
    /// This permission.
    One(AnyPermission),
    /// One of these.
    AnyOf(Box<[AnyPermission]>),
    /// All of these.
    AllOf(Box<[AnyPermission]>),
    /// What no credential has: the row names a permission that was removed.
    Gone,
}

impl Row {
    fn bytes(&self) -> usize {
        let need = match &self.need {
            Need::AnyOf(permissions) | Need::AllOf(permissions) => size_of_val(&**permissions),
            Need::Public | Need::Any | Need::One(_) | Need::Gone => 0,
        };
        size_of::<Self>() + self.path.len() + self.scope.len() + need
    }
}

impl Need {
    /// Whether a credential that `holds` these permissions has what it takes.
    pub fn is_met(&self, holds: impl Fn(AnyPermission) -> bool) -> bool {
        match self {
            Self::Public | Self::Any => true,
            Self::One(permission) => holds(*permission),
            Self::AnyOf(permissions) => permissions.iter().any(|permission| holds(*permission)),
            Self::AllOf(permissions) => permissions.iter().all(|permission| holds(*permission)),
            Self::Gone => false,
        }
    }

    /// The permission that it asks for, the first where there are several.
    #[must_use]
    pub fn first(&self) -> Option<AnyPermission> {
        match self {
            Self::One(permission) => Some(*permission),
            Self::AnyOf(permissions) | Self::AllOf(permissions) => permissions.first().copied(),
            Self::Public | Self::Any | Self::Gone => None,
        }
    }
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted.
    literals: Vec<(Box<[u8]>, u32)>,
    any: Option<u32>,
    /// The rows whose pattern ends here.
    here: Claims,
    /// The rows whose pattern has `**` here.
    tail: Claims,
}

impl Node {
    fn bytes(&self) -> usize {
        let entry = size_of::<(Box<[u8]>, u32)>();
        let literals: usize = self.literals.iter().map(|(literal, _)| entry + literal.len()).sum();
        let claims = self.here.named.len() + self.tail.named.len();
        size_of::<Self>() + literals + claims * size_of::<(u8, u32)>()
    }
}

/// The rows of one pattern: those that name methods, and the one that names none.
#[derive(Debug, Default)]
struct Claims {
    named: Vec<(u8, u32)>,
    rest: Option<u32>,
}

impl Claims {
    /// The row of a method: one that names it, for HEAD one that names GET, else one that names none.
    fn of(&self, method: u8) -> Option<u32> {
        let named = |method| self.named.iter().find(|(named, _)| *named == method).map(|(_, row)| *row);
        named(method).or_else(|| if method == HEAD { named(GET) } else { None }).or(self.rest)
    }
}

impl Gate {
    /// Makes a gate of its definition; `find` is the catalogue's. A row that names a permission which the
    /// catalogue lacks lets nobody in.
    #[must_use]
    pub fn new(
        id: GateId,
        owner: UserId,
        definition: &Definition,
        find: impl Fn(&str) -> Option<Named>,
    ) -> Self {
        let mut gate = Self {
            id,
            owner,
            sessions: definition.sessions,
            sign: definition.sign,
            resource: definition.hosts.first().filter(|_| definition.oauth).map(|host| host.as_str().into()),
            preflight: definition.preflight,
            logs_paths: definition.log == Some(Log::Path),
            accounts: definition.accounts.clone(),
            hosts: definition.hosts.iter().map(|host| host.as_str().into()).collect(),
            realm: definition.realm.clone(),
            folds: definition.folds,
            rows: definition.routes.iter().map(|route| row(route, definition.log, &find)).collect(),
            nodes: Box::default(),
            methods: Box::default(),
        };
        let mut methods: Vec<Box<str>> = Vec::new();
        let mut nodes = vec![Node::default()];
        for (index, route) in (0_u32..).zip(&definition.routes) {
            let claims = claims(&mut nodes, route.pattern.segments());
            if route.methods.is_empty() {
                claims.rest = Some(index);
            }
            let numbers = route.methods.iter().filter_map(|method| number(method, &mut methods));
            claims.named.extend(numbers.map(|method| (method, index)));
        }
        for node in &mut nodes {
            node.literals.sort_unstable();
        }
        gate.nodes = nodes.into_boxed_slice();
        gate.methods = methods.into_boxed_slice();
        gate
    }

    /// The row that decides about a request; `None` where no row matches. Allocates nothing, unless something
    /// in the path is encoded or has to be folded.
    ///
    /// # Errors
    /// The rule by which the path is not canonical, where the row has no opaque tail.
    pub fn route(&self, method: &str, path: &Path<'_>) -> Result<Option<&Row>, Fault> {
        let decoded: Cow<'_, [u8]> = path.decoded(self.folds)?;
        let walk = Walk { nodes: &self.nodes, method: self.number(method), is_open: path.fault().is_some() };
        let row = walk.from(0, &decoded).and_then(|row| self.rows.get(row as usize));
        match (path.fault(), row) {
            (Some(fault), None) => Err(fault),
            (Some(fault), Some(row)) if !row.opaque => Err(fault),
            _ => Ok(row),
        }
    }

    fn number(&self, method: &str) -> u8 {
        let known = METHODS.iter().position(|known| *known == method);
        let named = || self.methods.iter().position(|named| **named == *method).map(|at| METHODS.len() + at);
        known.or_else(named).and_then(|at| u8::try_from(at).ok()).unwrap_or(OTHER)
    }

    /// The realm that a request to `host` is in; `None` where the gate does not answer for that host.
    #[must_use]
    pub fn realm_of(&self, host: &str) -> Option<Option<RealmId>> {
        let name = name_of(host).ok()?;
        if let RealmRule::Host(domain) = &self.realm
            && let Ok(Some(realm)) = realm_of_host(host, domain)
        {
            return Some(Some(realm));
        }
        let is_its_own = self.hosts.iter().any(|own| own.eq_ignore_ascii_case(name));
        is_its_own.then_some(match self.realm {
            RealmRule::Fixed(realm) => Some(realm),
            RealmRule::None | RealmRule::Host(_) => None,
        })
    }

    /// Whether it lets in what acts for this account.
    #[must_use]
    pub fn admits(&self, account: UserId) -> bool {
        account == self.owner
            || match &self.accounts {
                Accounts::Own => false,
                Accounts::Listed(accounts) => accounts.binary_search(&account).is_ok(),
                Accounts::Any => true,
            }
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let accounts = match &self.accounts {
            Accounts::Listed(accounts) => size_of_val(accounts.as_slice()),
            Accounts::Own | Accounts::Any => 0,
        };
        let hosts: usize = self.hosts.iter().map(|host| size_of::<Box<str>>() + host.len()).sum();
        let rows: usize = self.rows.iter().map(Row::bytes).sum();
        let nodes: usize = self.nodes.iter().map(Node::bytes).sum();
        size_of::<Self>() + accounts + hosts + rows + nodes
    }

    /// How many rows it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has no row, and lets nobody in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

fn row(route: &Route, of_gate: Option<Log>, find: impl Fn(&str) -> Option<Named>) -> Row {
    let permission = |path: &String| find(path).map(|named| named.permission);
    let all = |paths: &[String]| paths.iter().map(permission).collect::<Option<Box<[_]>>>();
    let need = match &route.needs {
        Needs::Public => Need::Public,
        Needs::Any => Need::Any,
        Needs::Permission(path) => permission(path).map_or(Need::Gone, Need::One),
        // One that is gone cannot be held; the others still can.
        Needs::AnyOf(paths) => Need::AnyOf(paths.iter().filter_map(permission).collect()),
        Needs::AllOf(paths) => all(paths).map_or(Need::Gone, Need::AllOf),
    };
    Row {
        path: route.path.as_str().into(),
        need,
        scope: route.needs.paths().join(" ").into(),
        log: route.log.or(of_gate).unwrap_or(Log::Route),
        cost: route.cost,
        opaque: route.opaque,
    }
}

/// Where the rows of a pattern are, made when they are the first of it.
fn claims<'a>(nodes: &'a mut Vec<Node>, segments: &[Segment]) -> &'a mut Claims {
    let mut at = 0;
    for segment in segments {
        let new = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
        let node = &mut nodes[at];
        let next = match segment {
            Segment::Tail => return &mut nodes[at].tail,
            Segment::Any => *node.any.get_or_insert(new),
            Segment::Literal(bytes) => match node.literals.iter().find(|(literal, _)| literal == bytes) {
                Some((_, next)) => *next,
                None => {
                    node.literals.push((bytes.clone(), new));
                    new
                }
            },
        };
        if next == new {
            nodes.push(Node::default());
        }
        at = next as usize;
    }
    &mut nodes[at].here
}

/// The number of a method in a gate, given when it is the first time; `None` when there are too many, so
/// that no row claims it ([`super::MAX_METHODS`]).
fn number(method: &str, further: &mut Vec<Box<str>>) -> Option<u8> {
    if let Some(at) = METHODS.iter().position(|known| *known == method) {
        return u8::try_from(at).ok();
    }
    let at = further.iter().position(|known| **known == *method).unwrap_or_else(|| {
        further.push(method.into());
        further.len() - 1
    });
    u8::try_from(METHODS.len() + at).ok().filter(|number| *number != OTHER)
}

/// One search. Each node is visited at most once, so it ends after as many steps as the tree has nodes,
/// whatever the path.
struct Walk<'a> {
    nodes: &'a [Node],
    method: u8,
    /// Whether the path goes on after its last segment here in a way that only an opaque tail takes.
    is_open: bool,
}

impl Walk<'_> {
    fn from(&self, node: u32, rest: &[u8]) -> Option<u32> {
        let node = self.nodes.get(node as usize)?;
        let Some((segment, rest)) = next(rest) else {
            let here = if self.is_open { None } else { node.here.of(self.method) };
            return here.or_else(|| node.tail.of(self.method));
        };
        let literal = node.literals.binary_search_by(|(literal, _)| (**literal).cmp(segment)).ok();
        let literal = literal.and_then(|at| self.from(node.literals[at].1, rest));
        let any = || node.any.and_then(|any| self.from(any, rest));
        literal.or_else(any).or_else(|| node.tail.of(self.method))
    }
}

/// The first segment and what follows; `None` at the end and at a trailing slash.
fn next(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = rest.strip_prefix(b"/").filter(|rest| !rest.is_empty())?;
    let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    Some(rest.split_at(end))
}

#[cfg(test)]
mod tests;
