//! Accounts (`contract/users.md`).

use hoody_core::id::UserId;
use hoody_core::wire::{UpdateUser, UserProfile};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// The routes below `/users`: [`Client::users`]. Only one's own account is there; see [`Client::me`] for its id.
///
/// ```no_run
/// # use hoody_client::{Client, id::UserId, wire::UpdateUser};
/// # async fn example(client: Client, me: UserId) -> Result<(), hoody_client::Error> {
/// client.users().update(me, &UpdateUser { alias: Some("Ada".into()), ..UpdateUser::default() }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Users<'a>(&'a Client);

impl Client {
    /// The routes below `/users`.
    #[must_use]
    pub fn users(&self) -> Users<'_> {
        Users(self)
    }
}

impl Users<'_> {
    /// `GET /users/{id}`.
    ///
    /// # Errors
    /// 403 or 404 for another's account.
    pub async fn get(&self, id: UserId) -> Result<UserProfile, Error> {
        Call::get("users").at(id).send(self.0).await
    }

    /// `PUT /users/{id}`. A new password ends every session.
    ///
    /// # Errors
    /// `CURRENT_PASSWORD_REQUIRED`, `CURRENT_PASSWORD_INCORRECT`, `WEAK_PASSWORD` and the others of `contract/users.md`.
    pub async fn update(&self, id: UserId, change: &UpdateUser) -> Result<UserProfile, Error> {
        Call::put("users").at(id).json(change).send(self.0).await
    }
}
