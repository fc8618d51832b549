//! Signing in at a page for somebody else to have the session (RFC 7636): login → intent → code → session
//! (`contract/authentication.md` 10).
//!
//! An intent and a code are good once, for a minute, for the challenge that the login was given. Whoever
//! shows another challenge or another verifier has taken it from somebody: it is worth nothing afterwards.

pub mod http;
pub mod store;

use hoody_core::id::UserId;
use hoody_core::json::Fields;
use hoody_core::one_time::{OneTimeSecret, Purpose};
use hoody_core::pkce::Challenge;
use hoody_core::time::SECOND;
use hoody_core::wire;

use crate::sign_in::SignIn;
use crate::users::User;
use hoody_engine::clock::entropy;
use hoody_engine::error::Error;
use hoody_engine::feed::Mutation;
use hoody_engine::keys::Keys;

/// How long an intent and a code are good, in milliseconds.
const LIFETIME: i64 = 60 * SECOND;

/// What an intent or a code stands for.
#[derive(Debug)]
pub struct SignedIn {
    pub account: UserId,
    pub generation: i64,
    pub challenge: Challenge,
    /// Of a code: where it was sent.
    pub redirect_uri: Option<String>,
    pub client: String,
    pub second_factor: Option<String>,
}

/// Reads `response_mode`; whether it says `intent`.
pub fn is_intent(fields: &mut Fields<'_>) -> Option<bool> {
    match fields.string("response_mode")? {
        "tokens" => Some(false),
        "intent" => Some(true),
        _ => {
            fields.violate("/response_mode", "must be tokens or intent");
            None
        }
    }
}

/// An intent of `user`, whose lock the mutation holds. Good only once the mutation is committed.
pub async fn open_intent(
    sign_in: &SignIn,
    mutation: &mut Mutation,
    user: User,
    challenge: &Challenge,
    client: &str,
    second_factor: Option<&str>,
) -> Result<wire::Intent, Error> {
    let signed_in = SignedIn {
        account: user.id,
        generation: user.generation,
        challenge: challenge.clone(),
        redirect_uri: None,
        client: client.to_owned(),
        second_factor: second_factor.map(str::to_owned),
    };
    let auth_intent_token = issue(&sign_in.keys, mutation, Purpose::Intent, &signed_in).await?;
    Ok(wire::Intent { auth_intent_token, user: user.shown() })
}

/// A new secret that stands for `signed_in`.
async fn issue(
    keys: &Keys,
    mutation: &mut Mutation,
    purpose: Purpose,
    signed_in: &SignedIn,
) -> Result<wire::Secret, Error> {
    let secret = OneTimeSecret::from_bytes(entropy());
    let digest = keys.one_time_digest(purpose, secret.expose());
    let until = mutation.now.plus(LIFETIME);
    store::insert(&mut mutation.tx, &digest, purpose, signed_in, until).await?;
    Ok(secret.expose().into())
}

/// Takes what `text` stands for, once: whatever is done with it, nobody else gets it.
async fn take(
    keys: &Keys,
    mutation: &mut Mutation,
    purpose: Purpose,
    text: &str,
) -> Result<Option<SignedIn>, Error> {
    for digest in keys.one_time_digests(purpose, text) {
        if let Some(taken) = store::take(&mut mutation.tx, &digest, purpose, mutation.now).await? {
            return Ok(Some(taken));
        }
    }
    Ok(None)
}
