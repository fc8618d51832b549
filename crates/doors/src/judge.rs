//! The question that a door asks, and the one decision about it.
//!
//! [`hoody_core::grant::decide`] judges the credential itself. The gate adds two rules: the accounts that it lets
//! in, and the permission that its row needs. Every door calls [`decide`], so all doors give the same answer.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use hoody_core::explain::{change, explain};
use hoody_core::grant::{Accepts, Attempt, Deny, Grant, Rule, decide as decide_grant};
use hoody_core::id::{GateId, RealmId, UserId};
use hoody_core::permissions::{AnyPermission, Named};
use hoody_core::time::Timestamp;

use crate::identity::Signer;
use crate::refusal::Refusal;
pub use crate::subject::Holder;
use crate::subject::Original;
use crate::table::{Gate, Need, Row};

/// One question.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The credential, or why there is none.
    pub credential: Result<&'a str, Deny>,
    /// Where the client is.
    pub address: IpAddr,
    /// The realm that it is in; `None` on the base.
    pub realm: Option<RealmId>,
    /// Whose credentials come in.
    pub admits: Admits<'a>,
    /// What is needed.
    pub asks: Asks<'a>,
    /// The client's request, where the proxy tells it: for the log and the signature.
    pub original: Option<Original<'a>>,
    /// Whether the identity is to be signed.
    pub sign: bool,
}

/// Whose credentials come in.
#[derive(Debug, Clone, Copy)]
pub enum Admits<'a> {
    /// Those that the gate says.
    Gate(&'a Gate),
    /// Tokens of this account.
    Account(UserId),
}

impl Admits<'_> {
    fn sessions(&self) -> bool {
        matches!(self, Self::Gate(gate) if gate.sessions)
    }

    fn account(&self, account: UserId) -> bool {
        match self {
            Self::Gate(gate) => gate.admits(account),
            Self::Account(own) => *own == account,
        }
    }
}

/// What is needed.
#[derive(Debug, Clone, Copy)]
pub enum Asks<'a> {
    /// What this row says.
    Row(&'a Row),
    /// No row matches: whoever has a credential is told so, everybody else that one is missing.
    NoRoute,
    /// This permission, under this path; any credential without one.
    Permission(Option<AnyPermission>, &'a str),
    /// Nothing: a preflight request that the gate lets pass.
    Nothing,
}

impl<'a> Question<'a> {
    /// Whether it is allowed without looking at any credential.
    #[must_use]
    pub fn is_public(&self) -> bool {
        matches!(self.asks, Asks::Nothing) || matches!(self.asks, Asks::Row(row) if row.need == Need::Public)
    }

    /// The attempt as the grant's decision takes it: any credential in force, here, of a kind that comes in.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        let accepts = if self.admits.sessions() { Accepts::Any } else { Accepts::Token };
        Attempt { address: self.address, realm: self.realm, rule: Rule { accepts, ..Rule::ANY } }
    }

    /// The row that decides, where the gate has one.
    #[must_use]
    pub fn row(&self) -> Option<&'a Row> {
        match self.asks {
            Asks::Row(row) => Some(row),
            _ => None,
        }
    }

    /// What it takes of the token's limits.
    #[must_use]
    pub fn cost(&self) -> u32 {
        self.row().map_or(1, |row| row.cost)
    }
}

/// Decides about a grant at the instant `now`. `holds` says whether the credential has a permission, the
/// operator's ones too. Allocates only for a refusal.
///
/// # Errors
/// The first rule that fails: the grant's, the account, the row.
pub fn decide(
    grant: &Grant,
    holds: impl Fn(AnyPermission) -> bool,
    question: &Question<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    decide_grant(grant, &question.attempt(), now).map_err(Refusal::Denied)?;
    beyond_grant(grant, holds, question)
}

fn beyond_grant(
    grant: &Grant,
    holds: impl Fn(AnyPermission) -> bool,
    question: &Question<'_>,
) -> Result<(), Refusal> {
    if !question.admits.account(grant.account) {
        return Err(Refusal::Account);
    }
    match question.asks {
        Asks::Nothing | Asks::Permission(None, _) => Ok(()),
        Asks::NoRoute => Err(Refusal::NoRoute),
        Asks::Row(row) if row.need.is_met(&holds) => Ok(()),
        Asks::Row(row) => Err(Refusal::Permission(row.scope.clone())),
        Asks::Permission(Some(permission), _) if holds(permission) => Ok(()),
        Asks::Permission(Some(_), path) => Err(Refusal::Permission(path.into())),
    }
}

/// One rule that keeps a credential out, and what would have to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The rule.
    pub refusal: Refusal,
    /// What would make it hold, in one sentence for people.
    pub change: String,
}

/// Everything that keeps a credential out, in the order of the decision; empty when it comes in. The first is
/// what [`decide`] says.
pub fn explain_gate(
    grant: &Grant,
    holds: impl Fn(AnyPermission) -> bool,
    question: &Question<'_>,
    now: Timestamp,
) -> Vec<Obstacle> {
    let of_grant = explain(grant, &question.attempt(), now, |_| None);
    let mut obstacles: Vec<Obstacle> = of_grant
        .into_iter()
        .map(|obstacle| Obstacle { refusal: Refusal::Denied(obstacle.deny), change: obstacle.change })
        .collect();
    if let Err(refusal) = beyond_grant(grant, holds, question) {
        let change = remedy(&refusal);
        obstacles.push(Obstacle { refusal, change });
    }
    obstacles
}

/// What would have to change for a refusal to go away, in one sentence for people.
#[must_use]
pub fn remedy(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Denied(deny) => change(deny, None),
        Refusal::Permission(scope) if scope.is_empty() => {
            "Name a permission that exists in the gate's route.".to_owned()
        }
        Refusal::Permission(scope) => format!("Grant the token {scope}."),
        Refusal::Account => {
            "Use a token of the gate's account, or add this account to the gate's accounts.".to_owned()
        }
        Refusal::NoRoute => "Add a route for this method and path to the gate.".to_owned(),
        Refusal::Host => "Add the host to the gate's hosts.".to_owned(),
        Refusal::Path(fault) => format!("Send a canonical path: {fault}."),
        Refusal::ProxyUntrusted => "Add the proxy's address to --trusted-proxies.".to_owned(),
        Refusal::UnknownGate => "Use the id that `hoody gates list` shows.".to_owned(),
        Refusal::Limited { .. } => "Wait, or raise the token's limits.".to_owned(),
        Refusal::Headers(rule) | Refusal::Config(rule) => format!("Fix the proxy's configuration: {rule}."),
        Refusal::Parameter(rule) => format!("Fix the URL in the proxy's configuration: {rule}."),
        Refusal::ForwardedFor => "Let the proxy set X-Forwarded-For to the client's address.".to_owned(),
        Refusal::Unavailable => "Try again.".to_owned(),
    }
}

/// What a door stands on: gates, the catalogue, and the decision about credentials.
pub trait Judge: Sync {
    /// The gate with this id; `None` when there is none, or its account is banned or gone.
    fn gate(&self, id: GateId) -> impl Future<Output = Result<Option<Arc<Gate>>, Refusal>> + Send;

    /// The permission that a path names.
    fn find(&self, path: &str) -> Option<Named>;

    /// Finds the credential's grant, asks [`decide`], then the token's limits; notes and logs the use. It is
    /// called for questions with a credential and without, and not for public ones, which
    /// [`Judge::passed`] is told of.
    fn judge(&self, question: &Question<'_>) -> impl Future<Output = Result<Holder, Refusal>> + Send;

    /// A question was answered without a credential, or refused before one was looked at.
    fn passed(&self, question: Option<&Question<'_>>, refusal: Option<&Refusal>);

    /// What signs identities; `None` where the server has no signing key.
    fn signer(&self) -> Option<&dyn Signer>;

    /// The present.
    fn now(&self) -> Timestamp;
}
