//! What a server tells anyone (`contract/utilities.md`).

use hoody_core::wire::IpInfo;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// # Utilities
///
/// ```no_run
/// # use hoody_client::Client;
/// # async fn example(client: Client) -> Result<(), hoody_client::Error> {
/// let address = client.ip().await?.ip;
/// # Ok(())
/// # }
/// ```
impl Client {
    /// `GET /ip`: what the server sees of the caller. The address is the one that lists are compared with.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ip(&self) -> Result<IpInfo, Error> {
        Call::get("ip").send(self).await
    }
}
