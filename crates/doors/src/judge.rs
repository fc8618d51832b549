//! The one decision about a door's question, and what a door stands on.
//!
//! [`hoody_core::grant::decide`] judges the credential itself. The gate adds two rules: the accounts that it lets
//! in, and the permission that its row needs. Every door calls [`decide`], so all doors give the same answer.

use std::future::Future;
use std::sync::Arc;

use hoody_core::explain::{change, explain};
use hoody_core::grant::{Grant, decide as decide_grant};
use hoody_core::id::GateId;
use hoody_core::permissions::{AnyPermission, Named};
use hoody_core::time::Timestamp;

use crate::ask::Ask;
use crate::identity::Signer;
use crate::question::{Asks, Question};
use crate::refusal::Refusal;
pub use crate::subject::Holder;
use crate::table::Gate;

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

/// What is known of a question that no credential decided. Nothing where not even the proxy's request could be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passed<'a> {
    /// The question as it came in.
    pub ask: Option<&'a Ask<'a>>,
    /// The gate that it names.
    pub gate: Option<&'a Gate>,
    /// The question, where it could be put together.
    pub question: Option<&'a Question<'a>>,
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
    fn passed(&self, about: Passed<'_>, refusal: Option<&Refusal>);

    /// What signs identities; `None` where the server has no signing key.
    fn signer(&self) -> Option<&dyn Signer>;

    /// The present.
    fn now(&self) -> Timestamp;
}
