//! The row of the request log that tells of a proxy's question: the client's method and host, the gate, and of the
//! path what the gate lets be logged.

use std::net::IpAddr;

use hoody_core::activity::Via;
use hoody_core::grant::Credential;
use hoody_core::id::{GateId, RealmId, UserId};
use hoody_core::permissions::AnyPermission;
use hoody_core::time::Timestamp;
use hoody_doors::ask::{Ask, What as AskedFor};
use hoody_doors::judge::Passed;
use hoody_doors::question::{Admits, Asks, Question};
use hoody_doors::refusal::Refusal;
use hoody_doors::subject::Original;
use hoody_doors::table::{Gate, Log};
use hoody_engine::activity::{AtGate, What};

/// What a question is about, as it is logged.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// Who is told of it where no credential says whose it is; `None` where anybody could write into their log.
    pub(super) owner: Option<UserId>,
    gate: Option<GateId>,
    realm: Option<RealmId>,
    address: IpAddr,
    permission: Option<AnyPermission>,
    original: Option<Original<'a>>,
    path: &'a str,
}

/// A row that waits for its answer.
#[derive(Debug)]
pub(super) struct Row {
    account: UserId,
    credential: Option<Credential>,
    realm: Option<RealmId>,
    address: IpAddr,
    permission: Option<AnyPermission>,
    method: String,
    status: u16,
    reason: Option<&'static str>,
    path: String,
    at_gate: (Via, Option<GateId>, String),
    at: Timestamp,
    micros: u64,
}

const NOWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

impl<'a> About<'a> {
    /// About a question that a credential decides.
    pub(super) fn of_question(question: &Question<'a>) -> Self {
        let (gate, owner) = match question.admits {
            Admits::Gate(gate) => (Some(gate), Some(gate.owner)),
            Admits::Account(account) => (None, Some(account)),
        };
        let permission = match question.asks {
            Asks::Row(row) => row.need.first(),
            Asks::Permission(permission, _) => permission,
            Asks::NoRoute | Asks::Nothing => None,
        };
        let path = match (question.asks, question.original) {
            (Asks::Row(row), _) if row.log == Log::Route => &row.path,
            (Asks::Row(_) | Asks::Permission(..), original) => path_of(original),
            (Asks::NoRoute | Asks::Nothing, original) => unmatched(gate, original),
        };
        Self {
            owner: told(owner, gate, question.original),
            gate: gate.map(|gate| gate.id),
            realm: question.realm,
            address: question.address,
            permission,
            original: question.original,
            path,
        }
    }

    /// About one that no credential decided.
    pub(super) fn of_passed(passed: Passed<'a>) -> Self {
        if let Some(question) = passed.question {
            return Self::of_question(question);
        }
        let Passed { ask, gate, .. } = passed;
        let original = ask.and_then(|ask| ask.original);
        let owner = match ask.map(|ask| ask.asked.what) {
            Some(AskedFor::Token { account, .. }) => Some(account),
            _ => gate.map(|gate| gate.owner),
        };
        Self {
            owner: told(owner, gate, original),
            gate: gate.map(|gate| gate.id),
            realm: None,
            address: ask.map_or(NOWHERE, |ask: &Ask<'_>| ask.address),
            permission: None,
            original,
            path: unmatched(gate, original),
        }
    }

    /// The row of this question in the log of `account`.
    pub(super) fn what(
        &self,
        via: Via,
        (account, credential): (UserId, Option<Credential>),
        refusal: Option<&Refusal>,
        (at, micros): (Timestamp, u64),
    ) -> What<'a> {
        What {
            account,
            credential,
            realm: self.realm,
            address: self.address,
            permission: self.permission,
            method: self.original.map_or("GET", |original| original.method),
            status: refusal.map_or(200, Refusal::status),
            reason: refusal.map(Refusal::name),
            path: self.path,
            agent: None,
            gate: Some(AtGate {
                via,
                gate: self.gate,
                host: self.original.map_or("", |original| original.host),
            }),
            at,
            micros,
        }
    }
}

/// Anybody can ask about any account where no gate is named; only a trusted proxy, which tells of the client's
/// request, writes into its log.
fn told(owner: Option<UserId>, gate: Option<&Gate>, original: Option<Original<'_>>) -> Option<UserId> {
    owner.filter(|_| gate.is_some() || original.is_some())
}

fn path_of<'a>(original: Option<Original<'a>>) -> &'a str {
    let target = original.map_or("", |original| original.target);
    target.split(['?', '#']).next().unwrap_or_default()
}

/// What is logged of a path that no row matches: paths carry secrets.
fn unmatched<'a>(gate: Option<&Gate>, original: Option<Original<'a>>) -> &'a str {
    match gate {
        Some(gate) if !gate.logs_paths => "",
        _ => path_of(original),
    }
}

impl Row {
    /// The row, to be left in the log later.
    pub(super) fn of(what: &What<'_>) -> Self {
        let at_gate = what.gate.map_or((Via::Gate, None, ""), |at| (at.via, at.gate, at.host));
        Self {
            account: what.account,
            credential: what.credential,
            realm: what.realm,
            address: what.address,
            permission: what.permission,
            method: what.method.to_owned(),
            status: what.status,
            reason: what.reason,
            path: what.path.to_owned(),
            at_gate: (at_gate.0, at_gate.1, at_gate.2.to_owned()),
            at: what.at,
            micros: what.micros,
        }
    }

    /// As the log takes it.
    pub(super) fn what(&self) -> What<'_> {
        let (via, gate, host) = &self.at_gate;
        What {
            account: self.account,
            credential: self.credential,
            realm: self.realm,
            address: self.address,
            permission: self.permission,
            method: &self.method,
            status: self.status,
            reason: self.reason,
            path: &self.path,
            agent: None,
            gate: Some(AtGate { via: *via, gate: *gate, host }),
            at: self.at,
            micros: self.micros,
        }
    }
}
