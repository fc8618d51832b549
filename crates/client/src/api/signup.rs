//! Making an account, proving an address, setting a forgotten password (`contract/authentication.md` 6, 7).

use hoody_core::wire::{
    AuthConfig, LoginAnswer, MailRequest, PasswordReset, Regions, ResetPassword, SignUp, SignedUp,
    VerifyEmail,
};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// # Accounts
///
/// None of these sends the client's own credential.
///
/// ```no_run
/// # use hoody_client::{Client, wire::{Secret, SignUp, VerifyEmail}};
/// # async fn example(client: Client, password: Secret, token: Secret) -> Result<(), hoody_client::Error> {
/// let email = "you@example.com".into();
/// client.sign_up(&SignUp { email, password: password.clone(), ..SignUp::default() }).await?;
/// // The mail has the token.
/// let request = VerifyEmail { token, password: Some(password), ..VerifyEmail::default() };
/// let session = client.verify_email(&request).await?;
/// # Ok(())
/// # }
/// ```
impl Client {
    /// `POST /auth/signup`: makes an account that a mail opens. The answer is the same where there is one.
    ///
    /// # Errors
    /// `SIGNUP_DISABLED`, `INVITATION_REQUIRED`, `WEAK_PASSWORD`.
    pub async fn sign_up(&self, request: &SignUp) -> Result<SignedUp, Error> {
        Call::post("auth/signup").json(request).unsigned().send(self).await
    }

    /// `POST /auth/verify-email`: a session, or what [`crate::TwoFactor::verify`] makes one of.
    ///
    /// # Errors
    /// `INVALID_MAIL_TOKEN` when the token is unknown, used, replaced or at its end; `PASSWORD_REQUIRED`
    /// without the password of that sign-up: the address is verified then, and a new password has to be set
    /// ([`forgot_password`](Self::forgot_password), [`reset_password`](Self::reset_password)).
    pub async fn verify_email(&self, request: &VerifyEmail) -> Result<LoginAnswer, Error> {
        Call::post("auth/verify-email").json(request).unsigned().send(self).await
    }

    /// `POST /auth/resend-verification`: another verification mail, if the address waits for one.
    ///
    /// # Errors
    /// When it is asked for too often.
    pub async fn resend_verification(&self, email: &str) -> Result<(), Error> {
        let body = MailRequest { email: email.to_owned() };
        Call::post("auth/resend-verification").json(&body).unsigned().done(self).await
    }

    /// `POST /auth/forgot-password`: a mail to set a new password, if the address has an account.
    ///
    /// # Errors
    /// When it is asked for too often.
    pub async fn forgot_password(&self, email: &str) -> Result<(), Error> {
        let body = MailRequest { email: email.to_owned() };
        Call::post("auth/forgot-password").json(&body).unsigned().done(self).await
    }

    /// `POST /auth/reset-password`: sets a new password and ends every session of the account; says how many
    /// API tokens still work.
    ///
    /// # Errors
    /// `INVALID_MAIL_TOKEN`, `WEAK_PASSWORD`.
    pub async fn reset_password(&self, request: &ResetPassword) -> Result<PasswordReset, Error> {
        Call::post("auth/reset-password").json(request).unsigned().send(self).await
    }

    /// `GET /auth/config`: what a sign-in page needs to know.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn auth_config(&self) -> Result<AuthConfig, Error> {
        Call::get("auth/config").unsigned().send(self).await
    }

    /// `GET /auth/available-regions`: where accounts can be.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn available_regions(&self) -> Result<Regions, Error> {
        Call::get("auth/available-regions").unsigned().send(self).await
    }
}
