//! Credentials that a service was shown, and asks about: the same decision as at the gate, about tokens of the asker's
//! account alone.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hoody_core::activity::Via;
use hoody_core::extras::Label;
use hoody_core::grant::{Accepts, Attempt, Deny, Grant, Rule, decide};
use hoody_core::id::{RealmId, UserId};
use hoody_doors::ask::whole;
use hoody_doors::refusal::Refusal;
use hoody_doors::table::Need;
use hoody_engine::activity::{AtGate, What};
use hoody_engine::error::Error;
use hoody_engine::grants::{Found, NoGrant};

use super::Gate;
use crate::gates::trial::refusal_of;

/// How long one credential may be looked for: others wait beside it.
const READ_LIMIT: Duration = Duration::from_millis(150);
/// An address that no list holds but one that holds all.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A credential, and what it must be good for.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// The door that was asked.
    pub via: Via,
    /// Its text.
    pub text: &'a str,
    /// Where its client is; a token that is bound to addresses needs it.
    pub address: Option<IpAddr>,
    /// The realm that its client asks in.
    pub realm: Option<RealmId>,
    /// Whether one that is bound to realms is good without one, as in the first of them.
    pub in_any_realm: bool,
    /// The permissions that it needs.
    pub need: &'a Need,
    /// Their paths, for the refusal.
    pub scope: &'a str,
    /// The client's method and route, for the request log.
    pub asked: (&'a str, &'a str),
}

impl Presented<'_> {
    /// The realm in which a credential with this grant is judged.
    fn realm_of(&self, grant: &Grant) -> Option<RealmId> {
        self.realm.or_else(|| grant.limits.realms.listed().first().copied().filter(|_| self.in_any_realm))
    }
}

/// What became of it.
#[derive(Debug)]
pub struct Judged {
    /// The credential, where the asker may know of it.
    pub found: Option<(Found, Option<Label>)>,
    /// Why it is not good.
    pub refusal: Option<Refusal>,
}

impl Judged {
    fn nobody(refusal: Refusal) -> Self {
        Self { found: None, refusal: Some(refusal) }
    }
}

impl Gate {
    /// Judges a credential for a service of this account, which asks from `asker`.
    pub async fn judge_presented(&self, account: UserId, asker: IpAddr, presented: Presented<'_>) -> Judged {
        let access = &*self.access;
        let Ok(text) = whole(presented.text) else { return Judged::nobody(Refusal::Denied(Deny::Unknown)) };
        let since = access.grants.read_at();
        // Unknown ones spend the share of their own address, where it is told.
        let from = presented.address.unwrap_or(asker);
        let looking = access.grants.find(text, from, &access.db, &access.keys, &access.clock);
        let found = match tokio::time::timeout(READ_LIMIT, looking).await {
            Err(_) => return Judged::nobody(Refusal::Unavailable),
            Ok(Err(none @ (NoGrant::Busy | NoGrant::Unavailable))) => {
                return Judged::nobody(refusal_of(none));
            }
            Ok(Err(_)) => return Judged::nobody(Refusal::Denied(Deny::Unknown)),
            Ok(Ok(found)) if found.grant.account != account => {
                return Judged::nobody(Refusal::Denied(Deny::Unknown));
            }
            Ok(Ok(found)) => found,
        };
        let refusal = self.refuse(&found.grant, presented).err();
        let label = access.grants.label_of(&found, since, &access.db, &access.clock);
        match tokio::time::timeout(READ_LIMIT, label).await {
            Ok(Ok(label)) => Judged { found: Some((found, label)), refusal },
            Ok(Err(none)) => Judged::nobody(refusal_of(none)),
            Err(_) => Judged::nobody(Refusal::Unavailable),
        }
    }

    fn refuse(&self, grant: &Grant, presented: Presented<'_>) -> Result<(), Refusal> {
        let attempt = Attempt {
            address: presented.address.unwrap_or(NOWHERE),
            realm: presented.realm_of(grant),
            rule: Rule { accepts: Accepts::Token, ..Rule::ANY },
        };
        decide(grant, &attempt, self.access.now()).map_err(Refusal::Denied)?;
        if presented.need.is_met(|leaf| grant.limits.holds(leaf)) {
            Ok(())
        } else {
            Err(Refusal::Permission(presented.scope.into()))
        }
    }

    /// Notes the use of a credential that was judged, and leaves a row in the request log.
    ///
    /// # Errors
    /// 503 when the row must be stored before the answer, and cannot be.
    pub async fn tell(
        &self,
        account: UserId,
        asker: IpAddr,
        presented: Presented<'_>,
        judged: &Judged,
        micros: u64,
    ) -> Result<(), Error> {
        let access = &*self.access;
        let (now, address) = (access.now(), presented.address.unwrap_or(asker));
        let answer = judged.refusal.as_ref().map_or("allowed", Refusal::code);
        let door = presented.via.word();
        metrics::counter!("hoody_gate_answers_total", "door" => door, "answer" => answer).increment(1);
        let found = judged.found.as_ref().map(|(found, _)| found);
        if let Some(found) = found.filter(|_| judged.refusal.is_none()) {
            access.grants.note_use(&access.recorder, found, now, address);
        }
        let Some(queue) = &self.activity.queue else { return Ok(()) };
        let what = What {
            account,
            credential: found.map(|found| found.grant.credential),
            realm: found.map_or(presented.realm, |found| presented.realm_of(&found.grant)),
            address,
            permission: presented.need.first(),
            method: presented.asked.0,
            status: judged.refusal.as_ref().map_or(200, Refusal::status),
            reason: judged.refusal.as_ref().map(Refusal::name),
            path: presented.asked.1,
            agent: None,
            gate: Some(AtGate { via: presented.via, gate: None, host: "" }),
            at: now,
            micros,
        };
        let unavailable = Error::Unavailable("The request log cannot be written; try again");
        if queue.try_record(&what) { Ok(()) } else { queue.record(&what).await.map_err(|_| unavailable) }
    }
}
