//! The second factor (`contract/two-factor.md`).

use hoody_core::wire::{
    BackupCodes, ConfirmTwoFactor, DisableTwoFactor, EnabledTwoFactor, EndedSessions, RegenerateBackupCodes,
    Secret, SetUpTwoFactor, TokenGate, TokenGateState, TwoFactorSetup, TwoFactorStatus, VerifyAnswer,
    VerifyTwoFactor,
};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// The routes below `/users/auth/2fa`: [`Client::two_factor`].
///
/// ```no_run
/// # use hoody_client::{Client, wire::{Login, LoginAnswer, Secret, VerifyTwoFactor}};
/// # async fn example(client: Client, login: Login, code: Secret) -> Result<(), hoody_client::Error> {
/// let session = match client.login(&login).await? {
///     LoginAnswer::Challenge(challenge) => {
///         let temp_token = Some(challenge.temp_token);
///         let request = VerifyTwoFactor { code, temp_token, ..VerifyTwoFactor::default() };
///         client.two_factor().verify(&request).await?.into_session()
///     }
///     answer => answer.into_session(),
/// };
/// # let _ = session;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TwoFactor<'a>(&'a Client);

impl Client {
    /// The routes below `/users/auth/2fa`.
    #[must_use]
    pub fn two_factor(&self) -> TwoFactor<'_> {
        TwoFactor(self)
    }
}

impl TwoFactor<'_> {
    /// `POST /users/auth/2fa/verify`: the second half of a login; it ends as the login was meant to. The client's own credential is not sent.
    ///
    /// # Errors
    /// `INVALID_OTP_CODE`, `INVALID_BACKUP_CODE`, `INVALID_TEMP_TOKEN`; `TWOFACTOR_RATE_LIMIT` after five
    /// wrong codes.
    pub async fn verify(&self, request: &VerifyTwoFactor) -> Result<VerifyAnswer, Error> {
        Call::post("users/auth/2fa/verify").json(request).unsigned().send(self.0).await
    }

    /// `POST /users/auth/2fa/setup`: a new secret, in force once [`TwoFactor::verify_setup`] has seen a code.
    ///
    /// # Errors
    /// `INCORRECT_PASSWORD`, `TWOFACTOR_ALREADY_ENABLED`.
    pub async fn setup(&self, password: &Secret) -> Result<TwoFactorSetup, Error> {
        let body = SetUpTwoFactor { password: password.clone() };
        Call::post("users/auth/2fa/setup").json(&body).send(self.0).await
    }

    /// `POST /users/auth/2fa/verify-setup`: turns it on. Every session ends; the answer holds a new one.
    ///
    /// # Errors
    /// `INVALID_OTP_CODE`, `TWOFACTOR_NOT_VERIFIED`, `TWOFACTOR_ALREADY_ENABLED`.
    pub async fn verify_setup(&self, code: &Secret) -> Result<EnabledTwoFactor, Error> {
        let body = ConfirmTwoFactor { code: code.clone() };
        Call::post("users/auth/2fa/verify-setup").json(&body).send(self.0).await
    }

    /// `GET /users/auth/2fa/status`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn status(&self) -> Result<TwoFactorStatus, Error> {
        Call::get("users/auth/2fa/status").send(self.0).await
    }

    /// `DELETE /users/auth/2fa`: turns it off. Every session ends; the answer holds a new one.
    ///
    /// # Errors
    /// `INCORRECT_PASSWORD`, `INVALID_OTP_CODE`, `INVALID_BACKUP_CODE`, `TWOFACTOR_NOT_ENABLED`.
    pub async fn disable(&self, request: &DisableTwoFactor) -> Result<EndedSessions, Error> {
        Call::delete("users/auth/2fa").once().json(request).send(self.0).await
    }

    /// `POST /users/auth/2fa/backup-codes/regenerate`: ten new ones; the old open nothing any more.
    ///
    /// # Errors
    /// `INCORRECT_PASSWORD`, `INVALID_OTP_CODE`, `TWOFACTOR_NOT_ENABLED`.
    pub async fn regenerate(&self, request: &RegenerateBackupCodes) -> Result<BackupCodes, Error> {
        Call::post("users/auth/2fa/backup-codes/regenerate").json(request).send(self.0).await
    }

    /// `PUT /users/auth/2fa/token-gate`: whether sessions need a code to make and change tokens.
    ///
    /// # Errors
    /// `OTP_REQUIRED`, `INCORRECT_PASSWORD`, `INVALID_OTP_CODE`, `TWOFACTOR_NOT_ENABLED`.
    pub async fn gate(&self, request: &TokenGate) -> Result<TokenGateState, Error> {
        Call::put("users/auth/2fa/token-gate").once().json(request).send(self.0).await
    }
}
