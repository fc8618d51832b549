//! The question that a door asks about a credential.

use std::net::IpAddr;

use hoody_core::grant::{Accepts, Attempt, Deny, Rule};
use hoody_core::id::{RealmId, UserId};
use hoody_core::permissions::AnyPermission;

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
    pub(crate) fn sessions(&self) -> bool {
        matches!(self, Self::Gate(gate) if gate.sessions)
    }

    pub(crate) fn account(&self, account: UserId) -> bool {
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
