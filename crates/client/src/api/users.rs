//! Accounts (`contract/users.md`).

use hoody_core::id::UserId;
use hoody_core::wire::{PageMetadata, SecurityEvent, UpdateUser, UserProfile};

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

/// Which part of the security history. What is left out is the server's to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// From 1.
    pub page: Option<u32>,
    /// How many a page holds, at most 100.
    pub limit: Option<u32>,
    /// Also wrong passwords and codes.
    pub include_failed: Option<bool>,
    /// Also what was done to password and second factor.
    pub include_security: Option<bool>,
}

/// A page of the security history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityHistory {
    /// The latest first.
    pub events: Vec<SecurityEvent>,
    /// Which page it is, where the server says so.
    pub metadata: Option<PageMetadata>,
}

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
        // The password in force may be proved by the one that this replaces.
        Call::put("users").once().at(id).json(change).send(self.0).await
    }

    /// `GET /users/me/security-history`.
    ///
    /// # Errors
    /// 403 for a token without `resources.read_account`.
    pub async fn security_history(&self, query: &HistoryQuery) -> Result<SecurityHistory, Error> {
        let call = Call::get("users/me/security-history")
            .query("page", query.page)
            .query("limit", query.limit)
            .query("include_failed", query.include_failed)
            .query("include_security", query.include_security);
        let answer = call.answer(self.0).await?;
        Ok(SecurityHistory { events: answer.data, metadata: answer.metadata })
    }
}
