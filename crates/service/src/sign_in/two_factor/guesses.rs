//! Who may still be wrong about a code, and how often.
//!
//! Five wrong codes in 15 minutes lock whoever sent them: each session, and each address where the account
//! signed in within 30 days, has a counter of its own, and everybody else who has the password shares one for
//! the account. So a stranger who has the password never locks the owner out. For one account that is five
//! guesses at six digits in 15 minutes from strangers, and five more from within each network or session of
//! the owner's that somebody got hold of.

use std::net::IpAddr;

use hoody_core::grant::{Credential, Grant};
use hoody_core::id::{SessionId, UserId};
use hoody_core::totp::{Failures, MAX_FAILURES};

use super::{TwoFactor, store};
use crate::sign_in::SignIn;
use hoody_engine::error::Error;
use hoody_engine::feed::Mutation;
use hoody_engine::limits::{BACKUP_CODES, OTP_OF_OWNER, Subject};

/// Who sends a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guesser {
    /// Somebody who has the password, and nothing else.
    Stranger,
    /// Somebody who is signed in.
    Session(SessionId),
    /// Somebody who has the password, at an address from where the account signed in lately.
    Known(IpAddr),
}

impl Guesser {
    /// Who asks with this credential.
    pub(super) fn of(grant: &Grant) -> Self {
        match grant.credential {
            Credential::Session(id) => Self::Session(id),
            Credential::Token(_) => Self::Stranger,
        }
    }

    /// Who signs in to `account` from `address`.
    pub(super) async fn at(sign_in: &SignIn, account: UserId, address: IpAddr) -> Result<Self, Error> {
        let is_known = sign_in.history.is_known(Some(account), address, sign_in.clock.now()).await?;
        Ok(if is_known { Self::Known(address) } else { Self::Stranger })
    }

    /// The counter that it has beside the account's.
    fn subject(self, account: UserId) -> Option<Subject<'static>> {
        match self {
            Self::Stranger => None,
            Self::Session(id) => Some(Subject::Session(id)),
            Self::Known(address) => Some(Subject::AccountAt(account, address)),
        }
    }

    /// How often it was wrong since it was right.
    pub(super) async fn failures(
        self,
        sign_in: &SignIn,
        mutation: &mut Mutation,
        state: &TwoFactor,
    ) -> Result<Failures, Error> {
        let Some(subject) = self.subject(state.account) else { return Ok(state.failures) };
        let counted = sign_in.limits.counted_in(&mut mutation.tx, &OTP_OF_OWNER, subject).await?;
        Ok(counted.map_or_else(Failures::default, |(count, until)| Failures {
            count,
            locked_until: (count >= MAX_FAILURES).then_some(until),
        }))
    }

    /// Counts a wrong code; how it stands then.
    pub(super) async fn failed(
        self,
        sign_in: &SignIn,
        mutation: &mut Mutation,
        state: &TwoFactor,
    ) -> Result<Failures, Error> {
        match self.subject(state.account) {
            None => {
                let failures = state.failures.failed(mutation.now);
                store::set_failures(&mut mutation.tx, state.account, failures).await?;
                Ok(failures)
            }
            Some(subject) => {
                sign_in.limits.failed_in(&mut mutation.tx, &OTP_OF_OWNER, subject).await?;
                self.failures(sign_in, mutation, state).await
            }
        }
    }

    /// Forgets its wrong codes, and nobody else's: it was right.
    pub(super) async fn was_right(
        self,
        sign_in: &SignIn,
        mutation: &mut Mutation,
        state: &TwoFactor,
    ) -> Result<(), Error> {
        match self.subject(state.account) {
            None if state.failures != Failures::default() => {
                store::set_failures(&mut mutation.tx, state.account, Failures::default()).await?;
            }
            None => {}
            Some(subject) => sign_in.limits.forget_in(&mut mutation.tx, &OTP_OF_OWNER, subject).await?,
        }
        Ok(())
    }
}

/// Whether a backup code is looked at although codes are locked. Nobody guesses one of its 49 bits, so the
/// lock, which is there for six digits, leaves this way open.
pub(super) async fn may_try_backup_code(
    sign_in: &SignIn,
    mutation: &mut Mutation,
    account: UserId,
) -> Result<bool, Error> {
    let subject = mutation.address.map_or(Subject::Account(account), |at| Subject::AccountAt(account, at));
    sign_in.limits.is_within(&mut mutation.tx, &BACKUP_CODES, subject).await
}
