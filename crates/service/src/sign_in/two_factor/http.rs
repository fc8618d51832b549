//! The endpoints of the second factor (`contract/two-factor.md`).

use std::sync::Arc;

use axum::extract::State;
use hoody_core::grant::{Credential, Grant};
use hoody_core::invalid::Invalid;
use hoody_core::totp::{self, Code, SECRET_BYTES, TotpSecret};
use hoody_core::wire;
use http::request::Parts;
use zeroize::Zeroizing;

use super::guesses::Guesser;
use super::{ISSUER, Naming, PENDING_LIFETIME, TwoFactor, body, qr, store, verify};
use crate::history::Event;
use crate::mail::{self, Letter};
use crate::sign_in::SignIn;
use crate::sign_in::sessions::{self, client_name};
use crate::users::{self, User};
use hoody_engine::clock::entropy;
use hoody_engine::error::Error;
use hoody_engine::feed::{Change, Mutation};
use hoody_engine::grants::Forget;
use hoody_engine::web::caller::{ASession, AnyCaller, Origin, Visit};
use hoody_engine::web::{Answer, Caller, JsonBody};

const NO_USER: Error = Error::NotFound { code: "USER_NOT_FOUND", message: "User not found" };

/// The second half of signing in: a code, and the token that the login gave
#[utoipa::path(post, path = "/api/v1/users/auth/2fa/verify", operation_id = "verify_two_factor", tag = "two-factor",
    request_body = wire::VerifyTwoFactor, responses((status = 200, body = wire::Envelope<wire::VerifyAnswer>),
    (status = 400, body = wire::ErrorBody), (status = 401, body = wire::ErrorBody), (status = 429, body = wire::ErrorBody)))]
pub async fn verify(
    State(sign_in): State<Arc<SignIn>>,
    origin: Origin,
    visit: Visit,
    parts: Parts,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::VerifyAnswer>, Error> {
    let request = body::Verify::parse(&body)?;
    let bearer = parts.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
    let text = request.temp_token.as_ref().map(wire::Secret::expose).or(bearer);
    let login = verify::read(&sign_in, text.ok_or_else(|| Invalid::missing("temp_token"))?)?;
    visit.note_login(login.account(), origin);
    login.refuse_another_mode(request.is_intent)?;
    let client = request.client.as_deref();
    let answer = verify::finish(&sign_in, &login, request.code, client, origin.address).await?;
    Ok(Answer::ok("Authentication successful", answer).secret())
}

/// Shows a new secret and backup codes; nothing is in force until a code is shown to `verify-setup`
#[utoipa::path(post, path = "/api/v1/users/auth/2fa/setup", operation_id = "set_up_two_factor", tag = "two-factor",
    request_body = wire::SetUpTwoFactor, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::TwoFactorSetup>), (status = 400, body = wire::ErrorBody)))]
pub async fn set_up(
    State(sign_in): State<Arc<SignIn>>,
    caller: Caller<ASession>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::TwoFactorSetup>, Error> {
    let data = begin_set_up(&sign_in, &caller, &body::parse_setup(&body)?).await?;
    Ok(Answer::ok("2FA setup initiated", data).secret())
}

/// Makes a secret and backup codes that wait for the first code.
///
/// # Errors
/// `INCORRECT_PASSWORD`, `TWOFACTOR_ALREADY_ENABLED`, or what the database fails with.
pub async fn begin_set_up(
    sign_in: &SignIn,
    caller: &AnyCaller,
    password: &wire::Secret,
) -> Result<wire::TwoFactorSetup, Error> {
    let user = confirm_password(sign_in, caller, password).await?.ok_or_else(incorrect_password)?;
    let (mut mutation, grant) = users::confirm::begin_checked(&sign_in.users, caller, &user).await?;
    let account = grant.account;
    if store::find(&mut mutation.tx, account).await?.is_some_and(|state| state.enabled.is_some()) {
        return Err(already_enabled().into());
    }
    let bytes: Zeroizing<[u8; SECRET_BYTES]> = Zeroizing::new(entropy());
    let secret = TotpSecret::from_bytes(&*bytes);
    let sealed = sign_in.keys.seal(&super::pending_place(&account), secret.expose());
    let now = mutation.now;
    store::set_pending(&mut mutation.tx, account, sealed, now).await?;
    let backup_codes = make_backup_codes(sign_in, &mut mutation, &grant, true).await?;
    mutation.tell(Change::new("account.otp_setup_started", account, "account", account));
    mutation.commit().await?;
    let uri = secret.uri(ISSUER, &user.username);
    Ok(wire::TwoFactorSetup {
        qr_code: qr::data_uri(&uri)?,
        manual_entry_key: secret.to_base32().as_str().into(),
        otpauth_uri: Some(uri.as_str().into()),
        backup_codes,
    })
}

/// Turns the second factor on by the first code; every session ends, and the answer has a new one
#[utoipa::path(post, path = "/api/v1/users/auth/2fa/verify-setup", operation_id = "enable_two_factor", tag = "two-factor",
    request_body = wire::ConfirmTwoFactor, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::EnabledTwoFactor>), (status = 400, body = wire::ErrorBody)))]
pub async fn verify_setup(
    State(sign_in): State<Arc<SignIn>>,
    caller: Caller<ASession>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::EnabledTwoFactor>, Error> {
    let code = body::parse_confirm(&body)?;
    let ended = enable(&sign_in, &caller, code).await?;
    let now = ended.mutation.now;
    let session = reopen(&sign_in, ended, &caller).await?;
    let data = wire::EnabledTwoFactor { enabled: true, enabled_at: now, session };
    let message = "2FA successfully enabled. All other sessions have been signed out.";
    Ok(Answer::ok(message, data).secret())
}

/// Turns the second factor on by the first code of the secret that waits for it, and ends every session.
///
/// # Errors
/// `TWOFACTOR_ALREADY_ENABLED`, `TWOFACTOR_NOT_VERIFIED`, or the refusals of a code.
pub async fn enable(sign_in: &SignIn, caller: &AnyCaller, code: Code) -> Result<Ended, Error> {
    let begun = sign_in.feed.begin(caller).await;
    let (mut mutation, grant) = match begun {
        // Let in a moment ago, and now over: another call turned it on and ended this session too.
        Err(Error::Denied(..)) if is_enabled(sign_in, caller).await? => {
            return Err(already_enabled().into());
        }
        begun => begun?,
    };
    let account = grant.account;
    let state = store::find(&mut mutation.tx, account).await?.ok_or_else(not_verified)?;
    if state.enabled.is_some() {
        return Err(already_enabled().into());
    }
    let now = mutation.now;
    let pending = state.pending.as_ref().filter(|(_, at)| now < at.plus(PENDING_LIFETIME));
    let (sealed, _) = pending.ok_or_else(not_verified)?;
    let guesser = Guesser::of(&grant);
    super::refuse_locked(guesser.failures(sign_in, &mut mutation, &state).await?, now)?;
    let secret = super::open_secret(&sign_in.keys, &super::pending_place(&account), sealed)?;
    let step = match code {
        Code::Totp(digits) => totp::verify(&secret, digits, now, None),
        Code::Backup(_) => None,
    };
    let Some(step) = step else {
        return Err(super::count_wrong(sign_in, mutation, &state, guesser, "INVALID_OTP_CODE").await?);
    };
    let sealed = sign_in.keys.seal(&super::secret_place(&account), secret.expose());
    if !store::enable(&mut mutation.tx, account, sealed, step, now).await? {
        return Err(already_enabled().into());
    }
    let told = ("account.otp_enabled", Event::OtpEnabled, Letter::TwoFactorEnabled);
    end_every_session(sign_in, mutation, &grant, told).await
}

async fn is_enabled(sign_in: &SignIn, caller: &AnyCaller) -> Result<bool, Error> {
    let state = store::find(&sign_in.db, caller.account()).await?;
    Ok(state.is_some_and(|state| state.enabled.is_some()))
}

/// How the second factor stands
#[utoipa::path(get, path = "/api/v1/users/auth/2fa/status", operation_id = "get_two_factor_status", tag = "two-factor",
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::TwoFactorStatus>)))]
pub async fn get_status(
    State(sign_in): State<Arc<SignIn>>,
    caller: Caller<ASession>,
) -> Result<Answer<wire::TwoFactorStatus>, Error> {
    let state = store::find(&sign_in.db, caller.account()).await?;
    let enabled_at = state.as_ref().and_then(|state| Some(state.enabled.as_ref()?.at));
    let left = match enabled_at {
        Some(_) => store::count_backup_codes(&sign_in.db, caller.account()).await?,
        None => 0,
    };
    let status = wire::TwoFactorStatus {
        enabled: enabled_at.is_some(),
        verified: enabled_at.is_some(),
        enabled_at,
        backup_codes_remaining: left,
        require_for_tokens: state.is_none_or(|state| enabled_at.is_none() || state.require_for_tokens),
    };
    Ok(Answer::ok("2FA status retrieved", status))
}

/// Turns the second factor off; every session ends, and the answer has a new one
#[utoipa::path(delete, path = "/api/v1/users/auth/2fa", operation_id = "disable_two_factor", tag = "two-factor",
    request_body = wire::DisableTwoFactor, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::EndedSessions>), (status = 400, body = wire::ErrorBody)))]
pub async fn disable(
    State(sign_in): State<Arc<SignIn>>,
    caller: Caller<ASession>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::EndedSessions>, Error> {
    let (password, code) = body::parse_disable(&body)?;
    let ended = turn_off(&sign_in, &caller, &password, code).await?;
    let session = reopen(&sign_in, ended, &caller).await?;
    let message = "2FA successfully disabled. All other sessions have been signed out.";
    Ok(Answer::ok(message, session).secret())
}

/// Turns the second factor off and ends every session.
///
/// # Errors
/// `INCORRECT_PASSWORD`, `TWOFACTOR_NOT_ENABLED`, or the refusals of a code.
pub async fn turn_off(
    sign_in: &SignIn,
    caller: &AnyCaller,
    password: &wire::Secret,
    code: Code,
) -> Result<Ended, Error> {
    let user = confirm_password(sign_in, caller, password).await?.ok_or_else(incorrect_password)?;
    let (mutation, grant, state) = begin_enabled(sign_in, caller, Some(&user)).await?;
    let mut mutation =
        super::spend(sign_in, mutation, &state, Some(code), (Naming::ByForm, Guesser::of(&grant))).await?;
    if !store::disable(&mut mutation.tx, grant.account).await? {
        return Err(not_enabled().into());
    }
    let told = ("account.otp_disabled", Event::OtpDisabled, Letter::TwoFactorDisabled);
    end_every_session(sign_in, mutation, &grant, told).await
}

/// Replaces the backup codes
#[utoipa::path(post, path = "/api/v1/users/auth/2fa/backup-codes/regenerate", operation_id = "regenerate_backup_codes",
    tag = "two-factor", request_body = wire::RegenerateBackupCodes, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::BackupCodes>), (status = 400, body = wire::ErrorBody)))]
pub async fn regenerate_backup_codes(
    State(sign_in): State<Arc<SignIn>>,
    caller: Caller<ASession>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::BackupCodes>, Error> {
    let (password, code) = body::parse_regenerate(&body)?;
    let user = confirm_password(&sign_in, &caller, &password).await?.ok_or_else(incorrect_password)?;
    let (mutation, grant, state) = begin_enabled(&sign_in, &caller, Some(&user)).await?;
    let mut mutation =
        super::spend(&sign_in, mutation, &state, Some(code), (Naming::Otp, Guesser::of(&grant))).await?;
    let backup_codes = make_backup_codes(&sign_in, &mut mutation, &grant, false).await?;
    let account = grant.account;
    sign_in.history.record(&mut mutation, account, Event::BackupCodesRegenerated, None).await?;
    mutation.tell(Change::new("account.backup_codes_regenerated", account, "account", account));
    mutation.commit().await?;
    Ok(Answer::ok("Backup codes regenerated", wire::BackupCodes { backup_codes }).secret())
}

/// Says whether sessions need a code to make and change tokens; turning that off takes password and code
#[utoipa::path(method(put, patch), path = "/api/v1/users/auth/2fa/token-gate", operation_id = "update_token_gate",
    tag = "two-factor", request_body = wire::TokenGate, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::TokenGateState>), (status = 400, body = wire::ErrorBody)))]
pub async fn update_token_gate(
    State(sign_in): State<Arc<SignIn>>,
    caller: Caller<ASession>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::TokenGateState>, Error> {
    let request = body::Gate::parse(&body)?;
    if !is_enabled(&sign_in, &caller).await? {
        return Err(not_enabled().into());
    }
    let (mut mutation, grant) = if request.is_on {
        let (mutation, grant, _) = begin_enabled(&sign_in, &caller, None).await?;
        (mutation, grant)
    } else {
        let (password, code) = request.proof()?;
        let incorrect = Error::Unauthorized { code: "INCORRECT_PASSWORD", message: "Incorrect password" };
        let user = confirm_password(&sign_in, &caller, &password).await?.ok_or(incorrect)?;
        let (mutation, grant, state) = begin_enabled(&sign_in, &caller, Some(&user)).await?;
        let how = (Naming::Otp, Guesser::of(&grant));
        (super::spend(&sign_in, mutation, &state, code, how).await?, grant)
    };
    let account = grant.account;
    if !store::set_gate(&mut mutation.tx, account, request.is_on).await? {
        return Err(not_enabled().into());
    }
    sign_in.history.record(&mut mutation, account, Event::OtpGateChanged, None).await?;
    let change = Change::new("account.otp_gate_changed", account, "account", account);
    mutation.tell(change.with(serde_json::json!({ "require_for_tokens": request.is_on })));
    mutation.commit().await?;
    Ok(Answer::ok("Token gate updated", wire::TokenGateState { require_for_tokens: request.is_on }))
}

/// The account, if this is its password.
async fn confirm_password(
    sign_in: &SignIn,
    caller: &AnyCaller,
    password: &wire::Secret,
) -> Result<Option<User>, Error> {
    users::confirm::confirm_password(&sign_in.users, caller.account(), password, caller.attempt.address).await
}

fn incorrect_password() -> Invalid {
    Invalid::rule("INCORRECT_PASSWORD", "Incorrect password")
}

fn already_enabled() -> Invalid {
    Invalid::rule("TWOFACTOR_ALREADY_ENABLED", "2FA is already enabled")
}

fn not_enabled() -> Invalid {
    Invalid::rule("TWOFACTOR_NOT_ENABLED", "2FA is not enabled")
}

fn not_verified() -> Invalid {
    Invalid::rule("TWOFACTOR_NOT_VERIFIED", "2FA setup incomplete - verification required")
}

/// A mutation of an account whose second factor is on.
async fn begin_enabled(
    sign_in: &SignIn,
    caller: &AnyCaller,
    checked: Option<&User>,
) -> Result<(Mutation, Grant, TwoFactor), Error> {
    let (mut mutation, grant) = match checked {
        Some(checked) => users::confirm::begin_checked(&sign_in.users, caller, checked).await?,
        None => sign_in.feed.begin(caller).await?,
    };
    let state = store::find(&mut mutation.tx, grant.account).await?;
    let state = state.filter(|state| state.enabled.is_some()).ok_or_else(not_enabled)?;
    Ok((mutation, grant, state))
}

/// New backup codes in place of the old, as they are shown.
async fn make_backup_codes(
    sign_in: &SignIn,
    mutation: &mut Mutation,
    grant: &Grant,
    is_pending: bool,
) -> Result<Vec<wire::Secret>, Error> {
    let mut shown = Vec::with_capacity(totp::BACKUP_CODES);
    let mut digests = Vec::with_capacity(totp::BACKUP_CODES);
    while shown.len() < totp::BACKUP_CODES {
        let Some(code) = totp::backup_code(entropy()) else { continue };
        let digest = sign_in.keys.backup_digest(grant.account, &code);
        if !digests.contains(&digest) {
            digests.push(digest);
            shown.push(totp::shown(&code).as_str().into());
        }
    }
    store::replace_backup_codes(&mut mutation.tx, grant.account, &digests, is_pending).await?;
    Ok(shown)
}

/// An account whose sessions were all ended, in a mutation that is not committed.
#[derive(Debug)]
pub struct Ended {
    pub mutation: Mutation,
    user: User,
    /// What the caller's session called itself.
    client: Option<String>,
}

/// Ends every session of the account and tells of it.
async fn end_every_session(
    sign_in: &SignIn,
    mut mutation: Mutation,
    grant: &Grant,
    (name, event, letter): (&'static str, Event, Letter),
) -> Result<Ended, Error> {
    let (account, now) = (grant.account, mutation.now);
    users::store::raise_generation(&mut mutation.tx, account).await?;
    let client = match grant.credential {
        Credential::Session(id) => sessions::store::find_client(&mut mutation.tx, id).await?,
        Credential::Token(_) => None,
    };
    sessions::store::end_sessions(&mut mutation.tx, account, now).await?;
    sign_in.history.record(&mut mutation, account, event, None).await?;
    mutation.tell(Change::new(name, account, "account", account).forgetting(Forget::Account(account)));
    let user = users::store::find_user(&mut mutation.tx, account).await?.ok_or(NO_USER)?;
    mail::notify(&sign_in.mail, &mut mutation, &user, letter).await?;
    Ok(Ended { mutation, user, client })
}

/// Opens a session in place of the caller's, which was ended; commits.
async fn reopen(
    sign_in: &SignIn,
    Ended { mut mutation, user, client }: Ended,
    caller: &AnyCaller,
) -> Result<wire::EndedSessions, Error> {
    let client = client_name(client.as_deref());
    let session =
        sessions::open_in_place(sign_in, &mut mutation, user, client, caller.attempt.address, None).await?;
    mutation.commit().await?;
    Ok(wire::EndedSessions { pair: session.into_pair(), sessions_revoked: true })
}
