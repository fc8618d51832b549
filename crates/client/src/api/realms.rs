//! Realms (`contract/realms.md`).

use hoody_core::wire::RealmList;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// The routes below `/realms`: [`Client::realms`].
///
/// ```no_run
/// # use hoody_client::Client;
/// # async fn example(client: Client) -> Result<(), hoody_client::Error> {
/// for realm in client.realms().list(false).await?.realm_ids {
///     tracing::info!(%realm);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Realms<'a>(&'a Client);

impl Client {
    /// The routes below `/realms`.
    #[must_use]
    pub fn realms(&self) -> Realms<'_> {
        Realms(self)
    }
}

impl Realms<'_> {
    /// `GET /realms/`: every realm that anything carries, with what carries it when `include_usage`.
    ///
    /// # Errors
    /// 403 with a token that lacks `resources.realms`.
    pub async fn list(&self, include_usage: bool) -> Result<RealmList, Error> {
        Call::get("realms").query("include_usage", include_usage.then_some(true)).send(self.0).await
    }
}
