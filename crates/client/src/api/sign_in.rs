//! Signing in for somebody else to go on: PKCE and devices (`contract/authentication.md` 10, 12).

use hoody_core::wire::{
    AuthorizationCode, Authorize, DenyDevice, DeviceCode, DeviceLogin, DeviceLoginAnswer, DeviceStatus,
    Exchange, LoginData, PollDevice, PollRefusal, Secret, StartDevice, UserCodeAnswer, VerifyUserCode,
};
use serde::Deserialize as _;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// The routes below `/auth/device`: [`Client::device`].
///
/// ```no_run
/// # use hoody_client::{Client, Poll, wire::{PollDevice, StartDevice}};
/// # async fn example(client: Client) -> Result<(), hoody_client::Error> {
/// let codes = client.device().start(&StartDevice::default()).await?;
/// println!("{} at {}", codes.user_code, codes.verification_uri);
/// let poll = PollDevice { device_code: codes.device_code, code_verifier: None };
/// // Again after the interval, until it is something else:
/// let is_waiting = matches!(client.device().poll(&poll).await?, Poll::Pending);
/// # let _ = is_waiting;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Device<'a>(&'a Client);

/// What a poll gives (RFC 8628, 3.5).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Poll {
    /// Somebody has signed in: the session.
    Session(Box<LoginData>),
    /// Nobody has yet.
    Pending,
    /// The same, and this was too soon: wait longer between polls.
    SlowDown,
    /// Somebody refused.
    Denied,
    /// The code is over, or its session was given out.
    Expired,
}

impl Client {
    /// The routes below `/auth/device`.
    #[must_use]
    pub fn device(&self) -> Device<'_> {
        Device(self)
    }

    /// `POST /auth/authorize`: the code of an intent, which is used up by it.
    ///
    /// # Errors
    /// 401 when the intent is unknown or used, [`Error::Build`] when it cannot be sent; `VALIDATION_ERROR` for another challenge, or an address that
    /// the server does not know.
    pub async fn authorize(&self, intent: &Secret, request: &Authorize) -> Result<AuthorizationCode, Error> {
        Call::post("auth/authorize").json(request).send(&self.with_credential(intent)?).await
    }

    /// `POST /auth/exchange`: the session of a code, which is used up by it. The client's own credential is
    /// not sent.
    ///
    /// # Errors
    /// `INVALID_GRANT` when the code is unknown, used, or somebody else's.
    pub async fn exchange(&self, request: &Exchange) -> Result<LoginData, Error> {
        Call::post("auth/exchange").json(request).unsigned().send(self).await
    }

    /// `POST /auth/intent/cancel`: gives up an intent, or the temporary token of a login.
    ///
    /// # Errors
    /// 401 when it is neither.
    pub async fn cancel_intent(&self, token: &Secret) -> Result<(), Error> {
        Call::post("auth/intent/cancel").done(&self.with_credential(token)?).await
    }
}

impl Device<'_> {
    /// `POST /auth/device/code`: a code to show, and one to poll with.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED` when too many were asked for from here.
    pub async fn start(&self, request: &StartDevice) -> Result<DeviceCode, Error> {
        Call::post("auth/device/code").json(request).unsigned().send(self.0).await
    }

    /// `POST /auth/device/token`: one poll.
    ///
    /// # Errors
    /// What is no answer of RFC 8628, e.g. `MISSING_REQUIRED_FIELD` without the verifier of a challenge.
    pub async fn poll(&self, request: &PollDevice) -> Result<Poll, Error> {
        let polled = Call::post("auth/device/token").json(request).unsigned().send(self.0).await;
        let error = match polled {
            Ok(session) => return Ok(Poll::Session(Box::new(session))),
            Err(error) => error,
        };
        let data = error.api().and_then(|refusal| refusal.data.as_ref());
        let refusal = data.and_then(|data| PollRefusal::deserialize(data).ok());
        match refusal.as_ref().map(|refusal| refusal.error.as_str()) {
            Some("authorization_pending") => Ok(Poll::Pending),
            Some("slow_down") => Ok(Poll::SlowDown),
            Some("access_denied") => Ok(Poll::Denied),
            Some("expired_token") => Ok(Poll::Expired),
            _ => Err(error),
        }
    }

    /// `POST /auth/device/verify_code`: what a user code is for. The cookie that signing in needs is the
    /// caller's to keep: this client keeps none.
    ///
    /// # Errors
    /// 404 when there is none like it, 410 when it is over.
    pub async fn verify_code(&self, user_code: &str) -> Result<UserCodeAnswer, Error> {
        let body = VerifyUserCode { user_code: user_code.to_owned() };
        Call::post("auth/device/verify_code").json(&body).unsigned().send(self.0).await
    }

    /// `POST /auth/device/login`: approves by signing in. The client must send the cookie as a header of its
    /// own ([`crate::ClientBuilder::header`]).
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS`; 403 without the cookie; 410 when nothing waits any more.
    pub async fn login(&self, request: &DeviceLogin) -> Result<DeviceLoginAnswer, Error> {
        Call::post("auth/device/login").json(request).unsigned().send(self.0).await
    }

    /// `POST /auth/device/deny`: refuses.
    ///
    /// # Errors
    /// 410 when nothing waits any more.
    pub async fn deny(&self, ticket: &Secret) -> Result<DeviceStatus, Error> {
        let body = DenyDevice { ticket: ticket.clone() };
        Call::post("auth/device/deny").json(&body).unsigned().send(self.0).await
    }
}
