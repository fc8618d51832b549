//! The second half of signing in: a code, and what the login that was right so far ends in.

use std::net::IpAddr;

use hoody_core::id::{DeviceId, UserId};
use hoody_core::invalid::Invalid;
use hoody_core::one_time::Purpose;
use hoody_core::session::{self, PartialClaims};
use hoody_core::totp::Code;
use hoody_core::wire;

use super::guesses::Guesser;
use super::{Naming, store};
use crate::sign_in::sessions::{self, client_name};
use crate::sign_in::{SignIn, device, pkce};
use crate::users::{self, User};
use hoody_engine::error::Error;
use hoody_engine::feed::{Actor, Mutation};

/// A login whose second factor is missing: what its temporary token says.
#[derive(Debug)]
pub struct HalfLogin {
    pub(super) claims: PartialClaims,
    /// The token's digests, by which it is known when it is given up.
    digests: Vec<[u8; 32]>,
}

impl HalfLogin {
    /// Whose it is.
    pub fn account(&self) -> UserId {
        self.claims.sub
    }

    /// Whether it ends in a session of whoever signs in, and in nothing for somebody else.
    pub fn is_for_session(&self) -> bool {
        self.claims.challenge.is_none() && self.claims.device.is_none()
    }

    /// The request of a device that it would approve.
    pub fn device(&self) -> Option<DeviceId> {
        self.claims.device
    }

    /// A login that began for somebody else does not end as one's own, and the other way round.
    pub(super) fn refuse_another_mode(&self, is_intent: Option<bool>) -> Result<(), Invalid> {
        let is_begun_so = self.claims.challenge.is_some();
        match is_intent {
            Some(wanted) if wanted != is_begun_so => Err(Invalid::validation(
                "response_mode must be the one of the login: it decides, with code_challenge, what this gives",
            )),
            _ => Ok(()),
        }
    }
}

/// Reads a temporary token.
///
/// # Errors
/// `INVALID_TEMP_TOKEN` when it is none of ours or its time is over.
pub fn read(sign_in: &SignIn, text: &str) -> Result<HalfLogin, Invalid> {
    let claims = session::verify_partial(text, &sign_in.keys.sessions()).map_err(|_| bad_temp_token())?;
    if claims.exp <= sign_in.clock.now().seconds() {
        return Err(bad_temp_token());
    }
    Ok(HalfLogin { claims, digests: sign_in.keys.one_time_digests(Purpose::CancelledLogin, text) })
}

/// A login that was proven by both factors: the account with its lock held, in a mutation in which only the
/// code was used up.
#[derive(Debug)]
pub struct Proven {
    pub mutation: Mutation,
    pub user: User,
    /// `totp` or `backup_code`.
    pub method: &'static str,
}

/// Uses the code up and proves the login. `address` is where the person is.
///
/// # Errors
/// `INVALID_TEMP_TOKEN` when the account changed since the password was given; the refusals of
/// [`spend`](super::spend).
pub async fn prove(
    sign_in: &SignIn,
    login: &HalfLogin,
    code: Code,
    address: IpAddr,
) -> Result<Proven, Error> {
    let claims = &login.claims;
    let guesser = Guesser::at(sign_in, claims.sub, address).await?;
    let mut mutation = sign_in.feed.begin_as(Actor::Nobody).await?;
    mutation.address = Some(address);
    mutation.lock_account(claims.sub).await?;
    let user = users::store::find_user(&mut mutation.tx, claims.sub).await?;
    let user = user.filter(|user| !user.is_banned && user.generation == claims.generation);
    let state = store::find(&mut mutation.tx, claims.sub).await?.filter(|state| state.enabled.is_some());
    let (Some(user), Some(state)) = (user, state) else { return Err(bad_temp_token().into()) };
    if pkce::store::is_cancelled(&mut mutation.tx, &login.digests).await? {
        return Err(bad_temp_token().into());
    }
    if let Some(device) = claims.device {
        let now = mutation.now;
        // Before the code is used up for nothing.
        if !device::store::is_pending(&mut mutation.tx, device, now).await? {
            return Err(device::binding_gone().into());
        }
    }
    let mutation = super::spend(sign_in, mutation, &state, Some(code), (Naming::ByForm, guesser)).await?;
    let method = if matches!(code, Code::Backup(_)) { "backup_code" } else { "totp" };
    Ok(Proven { mutation, user, method })
}

/// Uses the code up, and gives what the login ends in. `client` is what calls itself so, `address` where it
/// is.
pub async fn finish(
    sign_in: &SignIn,
    login: &HalfLogin,
    code: Code,
    client: Option<&str>,
    address: IpAddr,
) -> Result<wire::VerifyAnswer, Error> {
    let claims = &login.claims;
    let Proven { mut mutation, user, method } = prove(sign_in, login, code, address).await?;
    let method = Some(method);
    let client = client_name(client);
    let answer = match (claims.device, &claims.challenge) {
        (Some(id), _) => {
            if !device::approve(sign_in, &mut mutation, id, &user, method, address).await? {
                return Err(device::binding_gone().into());
            }
            wire::VerifyAnswer::Approved(device::status("approved"))
        }
        (None, Some(challenge)) => {
            let intent = pkce::open_intent(sign_in, &mut mutation, user, challenge, client, method).await?;
            wire::VerifyAnswer::Intent(Box::new(intent))
        }
        (None, None) => {
            let session = sessions::open(sign_in, &mut mutation, user, client, address, method).await?;
            wire::VerifyAnswer::Session(Box::new(session))
        }
    };
    mutation.commit().await?;
    Ok(answer)
}

fn bad_temp_token() -> Invalid {
    Invalid::rule("INVALID_TEMP_TOKEN", "Temporary token expired or invalid")
}
