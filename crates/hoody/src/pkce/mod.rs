//! Signing in at a page for somebody else to have the session (RFC 7636): login → intent → code → session
//! (`contract/authentication.md` 10).
//!
//! An intent and a code are good once, for a minute, for the challenge that the login was given. Whoever
//! shows another challenge or another verifier has taken it from somebody: it is worth nothing afterwards.

pub(crate) mod http;
pub(crate) mod store;

use hoody_core::id::UserId;
use hoody_core::json::Fields;
use hoody_core::one_time::{OneTimeSecret, Purpose};
use hoody_core::pkce::Challenge;
use hoody_core::time::SECOND;
use hoody_core::wire;

use crate::app::App;
use crate::clock::entropy;
use crate::error::Error;
use crate::feed::Mutation;
use crate::users::User;

/// How long an intent and a code are good, in milliseconds.
const LIFETIME: i64 = 60 * SECOND;

/// What an intent or a code stands for.
#[derive(Debug)]
pub(crate) struct SignedIn {
    pub(crate) account: UserId,
    pub(crate) generation: i64,
    pub(crate) challenge: Challenge,
    /// Of a code: where it was sent.
    pub(crate) redirect_uri: Option<String>,
    pub(crate) client: String,
    pub(crate) second_factor: Option<String>,
}

/// Reads `response_mode`; whether it says `intent`.
pub(crate) fn is_intent(fields: &mut Fields<'_>) -> Option<bool> {
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
pub(crate) async fn open_intent(
    app: &App,
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
    let auth_intent_token = issue(app, mutation, Purpose::Intent, &signed_in).await?;
    Ok(wire::Intent { auth_intent_token, user: user.shown() })
}

/// A new secret that stands for `signed_in`.
async fn issue(
    app: &App,
    mutation: &mut Mutation,
    purpose: Purpose,
    signed_in: &SignedIn,
) -> Result<wire::Secret, Error> {
    let secret = OneTimeSecret::from_bytes(entropy());
    let digest = app.keys.one_time_digest(purpose, secret.expose());
    let until = mutation.now.plus(LIFETIME);
    store::insert(&mut mutation.tx, &digest, purpose, signed_in, until).await?;
    Ok(secret.expose().into())
}

/// Takes what `text` stands for, once: whatever is done with it, nobody else gets it.
async fn take(
    app: &App,
    mutation: &mut Mutation,
    purpose: Purpose,
    text: &str,
) -> Result<Option<SignedIn>, Error> {
    for digest in app.keys.one_time_digests(purpose, text) {
        if let Some(taken) = store::take(&mut mutation.tx, &digest, purpose, mutation.now).await? {
            return Ok(Some(taken));
        }
    }
    Ok(None)
}
