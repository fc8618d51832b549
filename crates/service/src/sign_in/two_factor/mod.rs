//! The second factor of an account: codes by time and backup codes (`contract/two-factor.md`).
//!
//! Whoever checks a code does it with [`spend`], inside a mutation and under the account's lock, so that
//! a code counts once whatever comes in parallel, and wrong codes of every route count. A wrong
//! code is counted by committing the mutation that was to use it, before anything else is in it. `guesses`
//! says with whose others it counts; the rules of codes, steps and the lock are `hoody_core::totp`.

pub mod body;
pub mod guesses;
pub mod http;
pub mod qr;
pub mod store;
pub mod verify;

use hoody_core::grant::{Credential, Grant};
use hoody_core::id::{DeviceId, UserId};
use hoody_core::invalid::Invalid;
use hoody_core::pkce::Challenge;
use hoody_core::seal::Place;
use hoody_core::session::PartialClaims;
use hoody_core::time::{MINUTE, Timestamp};
use hoody_core::totp::{self, Code, Failures, TotpSecret};
use hoody_core::wire;

use self::guesses::Guesser;
use crate::history::{Event, Source};
use crate::mail::{self, Letter};
use crate::sign_in::{SignIn, sessions};
use crate::users::{self, User};
use hoody_engine::clock::entropy;
use hoody_engine::db::DbError;
use hoody_engine::error::Error;
use hoody_engine::feed::{Actor, Change, Mutation};
use hoody_engine::grants::Forget;
use hoody_engine::keys::Keys;

/// How long a secret that was shown may wait for its first code, in milliseconds.
const PENDING_LIFETIME: i64 = 60 * MINUTE;
/// What an app shows beside the account.
const ISSUER: &str = "hoody";

/// How an account's second factor stands.
#[derive(Debug, Clone)]
pub struct TwoFactor {
    pub account: UserId,
    pub enabled: Option<Enabled>,
    pub require_for_tokens: bool,
    /// Sealed, with the instant it was shown.
    pub pending: Option<(Vec<u8>, Timestamp)>,
    pub failures: Failures,
}

/// A second factor that is on.
#[derive(Debug, Clone)]
pub struct Enabled {
    /// Sealed.
    pub secret: Vec<u8>,
    pub at: Timestamp,
    pub last_step: Option<i64>,
}

/// What a wrong code is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// By its form: `INVALID_OTP_CODE` or `INVALID_BACKUP_CODE`.
    ByForm,
    /// `INVALID_OTP_CODE`, whatever it was.
    Otp,
}

/// What signing in ends in, once the second factor is given.
#[derive(Debug, Clone)]
pub enum EndsIn {
    /// A session of whoever signs in.
    Session,
    /// An intent for whoever has this challenge's verifier.
    Intent(Challenge),
    /// An approval of this request.
    Device(DeviceId),
}

/// What the second factor of a sign-in is noted as, read back.
pub fn method_name(stored: Option<&str>) -> Option<&'static str> {
    ["totp", "backup_code"].into_iter().find(|known| Some(*known) == stored)
}

/// Whether the account has a second factor that must be given.
pub async fn is_on(mutation: &mut Mutation, account: UserId) -> Result<bool, DbError> {
    let state = store::find(&mut mutation.tx, account).await?;
    Ok(state.is_some_and(|state| state.enabled.is_some()))
}

/// The challenge that answers a right password where there is a second factor.
pub fn challenge(sign_in: &SignIn, user: &User, now: Timestamp, ends_in: EndsIn) -> wire::Challenge {
    let mut claims = PartialClaims::new(user.id, user.generation, now, entropy());
    match ends_in {
        EndsIn::Session => {}
        EndsIn::Intent(challenge) => claims.challenge = Some(challenge),
        EndsIn::Device(device) => claims.device = Some(device),
    }
    let temp_token = sign_in.keys.sessions()[0].sign_partial(&claims).expose().into();
    wire::Challenge { requires_2fa: true, temp_token, method: "totp".to_owned() }
}

/// The place of the secret that is in force.
fn secret_place(account: &UserId) -> Place<'_> {
    Place { table: "two_factor", column: "secret", account: *account, realm: None, row: account.bytes() }
}

/// The place of the secret that waits for its first code.
fn pending_place(account: &UserId) -> Place<'_> {
    Place { column: "pending_secret", ..secret_place(account) }
}

fn open_secret(keys: &Keys, place: &Place<'_>, sealed: &[u8]) -> Result<TotpSecret, Error> {
    keys.open(place, sealed).map(|bytes| TotpSecret::from_bytes(&bytes)).map_err(Error::internal)
}

/// What a session shows before it makes or changes tokens.
#[derive(Debug, Clone, Copy)]
pub enum Proof<'a> {
    /// A code, if one was sent.
    Code(Option<&'a str>),
    /// A page had the password given again, and the second factor where it is on, a moment ago.
    SteppedUp,
}

/// As [`gate`], which a step-up satisfies.
pub async fn pass(
    sign_in: &SignIn,
    mutation: Mutation,
    grant: &Grant,
    proof: Proof<'_>,
) -> Result<Mutation, Error> {
    match proof {
        Proof::Code(code) => gate(sign_in, mutation, grant, code).await,
        Proof::SteppedUp => Ok(mutation),
    }
}

/// What sessions have to give before they make or change tokens: nothing, unless the account asks for a
/// code. A token is not asked. Nothing may be changed in the mutation before.
pub async fn gate(
    sign_in: &SignIn,
    mut mutation: Mutation,
    grant: &Grant,
    otp_code: Option<&str>,
) -> Result<Mutation, Error> {
    if matches!(grant.credential, Credential::Token(_)) {
        return Ok(mutation);
    }
    let state = store::find(&mut mutation.tx, grant.account).await?;
    let Some(state) = state.filter(|state| state.enabled.is_some() && state.require_for_tokens) else {
        return Ok(mutation);
    };
    let code = otp_code.filter(|code| !code.trim().is_empty()).ok_or_else(otp_required)?;
    spend(sign_in, mutation, &state, Code::parse(code), (Naming::Otp, Guesser::of(grant))).await
}

/// Whether the account of a session has a second factor that must be given.
pub async fn is_on_for(sign_in: &SignIn, account: UserId) -> Result<bool, DbError> {
    Ok(store::find(&sign_in.db, account).await?.is_some_and(|state| state.enabled.is_some()))
}

/// Uses up a code of an account's second factor, if it has one, for a session that shows once more who it is.
/// The mutation goes on with nothing but that in it.
///
/// # Errors
/// `OTP_REQUIRED` where a code is missing; the refusals of [`spend`].
pub async fn spend_again(
    sign_in: &SignIn,
    mut mutation: Mutation,
    grant: &Grant,
    code: Option<Code>,
) -> Result<Mutation, Error> {
    let state = store::find(&mut mutation.tx, grant.account).await?;
    let Some(state) = state.filter(|state| state.enabled.is_some()) else { return Ok(mutation) };
    let code = code.ok_or_else(otp_required)?;
    spend(sign_in, mutation, &state, Some(code), (Naming::ByForm, Guesser::of(grant))).await
}

pub fn otp_required() -> Invalid {
    Invalid::rule("OTP_REQUIRED", "2FA verification required for this operation")
}

/// Uses a code up and gives the mutation back to go on in; what it does then and the code's use commit
/// together. A wrong one is counted and committed here. Nothing may be changed in the mutation before.
///
/// # Errors
/// [`Error::CodesLocked`], [`Error::WrongCode`], or what the database fails with.
pub async fn spend(
    sign_in: &SignIn,
    mut mutation: Mutation,
    state: &TwoFactor,
    code: Option<Code>,
    (naming, guesser): (Naming, Guesser),
) -> Result<Mutation, Error> {
    let failures = guesser.failures(sign_in, &mut mutation, state).await?;
    if let Some(seconds) = failures.lockout_seconds(mutation.now) {
        return spend_when_locked(sign_in, mutation, state, code, seconds).await;
    }
    let judged = match (&state.enabled, code) {
        (Some(enabled), Some(Code::Totp(digits))) => {
            let secret = open_secret(&sign_in.keys, &secret_place(&state.account), &enabled.secret)?;
            match totp::verify(&secret, digits, mutation.now, enabled.last_step) {
                Some(step) if store::accept_step(&mut mutation.tx, state.account, step).await? => {
                    Judged::Right
                }
                _ if totp::verify(&secret, digits, mutation.now, None).is_some() => Judged::Again,
                _ => Judged::Wrong,
            }
        }
        (Some(_), Some(Code::Backup(characters))) => {
            let is_right = take_backup_code(sign_in, &mut mutation, state.account, &characters).await?;
            if is_right { Judged::Right } else { Judged::Wrong }
        }
        _ => Judged::Wrong,
    };
    let name = match (naming, code) {
        (Naming::ByForm, Some(Code::Backup(_))) => "INVALID_BACKUP_CODE",
        _ => "INVALID_OTP_CODE",
    };
    match judged {
        Judged::Right => {
            guesser.was_right(sign_in, &mut mutation, state).await?;
            Ok(mutation)
        }
        Judged::Again => Err(Error::WrongCode { code: name, remaining: failures.remaining() }),
        Judged::Wrong => Err(count_wrong(sign_in, mutation, state, guesser, name).await?),
    }
}

/// What a code is.
enum Judged {
    Right,
    /// Of the owner's app, and used up. Whoever sends it again, a client that retries for one, guesses nothing.
    Again,
    Wrong,
}

/// While codes are locked, a backup code is the only one that is looked at.
async fn spend_when_locked(
    sign_in: &SignIn,
    mut mutation: Mutation,
    state: &TwoFactor,
    code: Option<Code>,
    seconds: u64,
) -> Result<Mutation, Error> {
    let locked = Error::CodesLocked { seconds };
    let (Some(_), Some(Code::Backup(characters))) = (&state.enabled, code) else { return Err(locked) };
    if !guesses::may_try_backup_code(sign_in, &mut mutation, state.account).await? {
        return Err(locked);
    }
    if take_backup_code(sign_in, &mut mutation, state.account, &characters).await? {
        return Ok(mutation);
    }
    record_wrong(sign_in, &mut mutation, state.account).await?;
    mutation.commit().await?;
    Err(locked)
}

/// Uses a backup code up; false when there is none like it.
async fn take_backup_code(
    sign_in: &SignIn,
    mutation: &mut Mutation,
    account: UserId,
    characters: &[u8; totp::BACKUP_LENGTH],
) -> Result<bool, DbError> {
    let mut is_right = false;
    for digest in sign_in.keys.backup_digests(account, characters) {
        is_right |= store::take_backup_code(&mut mutation.tx, account, &digest).await?;
    }
    Ok(is_right)
}

/// No code is checked, right or wrong, while whoever sends it is locked.
fn refuse_locked(failures: Failures, now: Timestamp) -> Result<(), Error> {
    match failures.lockout_seconds(now) {
        Some(seconds) => Err(Error::CodesLocked { seconds }),
        None => Ok(()),
    }
}

/// Commits that a code was wrong; the refusal to answer with.
async fn count_wrong(
    sign_in: &SignIn,
    mut mutation: Mutation,
    state: &TwoFactor,
    guesser: Guesser,
    code: &'static str,
) -> Result<Error, Error> {
    let failures = guesser.failed(sign_in, &mut mutation, state).await?;
    record_wrong(sign_in, &mut mutation, state.account).await?;
    let change = Change::new("account.otp_verify_failed", state.account, "account", state.account);
    mutation.tell(change.with(serde_json::json!({ "attempts_remaining": failures.remaining() })));
    mutation.commit().await?;
    Ok(Error::WrongCode { code, remaining: failures.remaining() })
}

async fn record_wrong(sign_in: &SignIn, mutation: &mut Mutation, account: UserId) -> Result<(), Error> {
    let source = Source { address: mutation.address, client: None };
    let (who, now) = ((Some(account), ""), mutation.now);
    sign_in.history.record_failure(&mut mutation.tx, who, Event::OtpVerifyFailed, source, now).await
}

/// Takes a second factor that its owner lost away, its lock too, and ends every session: the operator's
/// way. False when there is none.
pub async fn reset(sign_in: &SignIn, account: UserId) -> Result<bool, Error> {
    let mut mutation = sign_in.feed.begin_as(Actor::Operator).await?;
    mutation.lock_account(account).await?;
    if !store::disable(&mut mutation.tx, account).await? {
        return Ok(false);
    }
    let now = mutation.now;
    store::set_failures(&mut mutation.tx, account, Failures::default()).await?;
    users::store::raise_generation(&mut mutation.tx, account).await?;
    sessions::store::end_sessions(&mut mutation.tx, account, now).await?;
    sign_in.history.record(&mut mutation, account, Event::OtpReset, None).await?;
    if let Some(user) = users::store::find_user(&mut mutation.tx, account).await? {
        mail::notify(&sign_in.mail, &mut mutation, &user, Letter::TwoFactorDisabled).await?;
    }
    let change = Change::new("account.otp_disabled", account, "account", account);
    mutation.tell(change.forgetting(Forget::Account(account)));
    mutation.commit().await?;
    Ok(true)
}
