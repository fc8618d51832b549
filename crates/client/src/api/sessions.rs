//! Signing in, staying so, and leaving (`contract/authentication.md`).

use hoody_core::wire::{Explain, Explanation, Login, LoginAnswer, Profile, Refresh, RefreshData, Secret};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// # Sessions
///
/// ```no_run
/// # use hoody_client::{Client, wire::{Login, Secret}};
/// # async fn example(client: Client, password: Secret) -> Result<(), hoody_client::Error> {
/// let login = Login { email: Some("you@example.com".into()), password, ..Login::default() };
/// let session = client.login(&login).await?.into_session().expect("an account without a second factor");
/// let client = client.with_credential(&session.token)?;
/// let next = client.refresh(&session.refresh_token).await?;
/// client.with_credential(&next.token)?.logout().await?;
/// # Ok(())
/// # }
/// ```
impl Client {
    /// `POST /users/auth/login`: a new session, or what [`crate::TwoFactor::verify`] makes one of. The client's own credential is not sent.
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS` when account and password do not belong together.
    pub async fn login(&self, login: &Login) -> Result<LoginAnswer, Error> {
        Call::post("users/auth/login").json(login).unsigned().send(self).await
    }

    /// `POST /users/auth/refresh`: the next pair of the session. The client's own credential is not sent.
    ///
    /// # Errors
    /// 401 when the refresh token is unknown, replaced or at its end.
    pub async fn refresh(&self, refresh_token: &Secret) -> Result<RefreshData, Error> {
        let body = Refresh { refresh_token: refresh_token.clone() };
        Call::post("users/auth/refresh").json(&body).unsigned().send(self).await
    }

    /// `POST /users/auth/logout`: ends every session of the account; tokens stay. With a token nothing ends.
    ///
    /// # Errors
    /// 401 when the credential is unknown.
    pub async fn logout(&self) -> Result<(), Error> {
        Call::post("users/auth/logout").done(self).await
    }

    /// `GET /users/auth/me`: the account, and the token if one asks.
    ///
    /// # Errors
    /// 401 when the credential is unknown.
    pub async fn me(&self) -> Result<Profile, Error> {
        Call::get("users/auth/me").send(self).await
    }

    /// `GET /auth/check`: whether the credential works here and now, and holds this permission if one is
    /// named. Any refusal is an error.
    ///
    /// # Errors
    /// 401 and 403, with the code that names the reason; `VALIDATION_ERROR` when there is no such permission.
    pub async fn check(&self, permission: impl Into<Option<&str>>) -> Result<(), Error> {
        Call::get("auth/check").query("permission", permission.into()).done(self).await
    }

    /// `POST /auth/explain`: whether something would be allowed, and everything that stands against it: with a
    /// session about the account's tokens and gates, with a token about itself.
    ///
    /// # Errors
    /// `TOKEN_NOT_FOUND`, `GATE_NOT_FOUND`, 422 when there is no such permission.
    pub async fn explain(&self, asked: &Explain) -> Result<Explanation, Error> {
        Call::post("auth/explain").json(asked).send(self).await
    }
}
