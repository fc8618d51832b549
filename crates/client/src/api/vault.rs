//! The vault (`contract/vault.md`).

use hoody_core::id::RealmId;
use hoody_core::wire::{SetVaultKey, VaultCleared, VaultKey, VaultRecord, VaultStats};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// The largest answer that holds a value: one of the whole limit, with all its escapes.
const LARGEST: usize = 320 * 1024 * 1024;

/// The routes below `/vault`: [`Client::vault`].
///
/// ```no_run
/// # use hoody_client::{Client, wire::{Secret, SetVaultKey}};
/// # async fn example(client: Client) -> Result<(), hoody_client::Error> {
/// let value = Secret::new("postgres://…");
/// client.vault().set("db.url", &SetVaultKey { value, ..SetVaultKey::default() }).await?;
/// let record = client.vault().get("db.url").await?;
/// assert_eq!(record.value.expose(), "postgres://…");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Vault<'a> {
    client: &'a Client,
    realm: Option<RealmId>,
}

impl Client {
    /// The routes below `/vault`, in the realm of the client's host or in none.
    #[must_use]
    pub fn vault(&self) -> Vault<'_> {
        Vault { client: self, realm: None }
    }
}

impl Vault<'_> {
    /// The same in this realm.
    #[must_use]
    pub fn in_realm(self, realm: Option<RealmId>) -> Self {
        Self { realm, ..self }
    }

    async fn send<T: serde::de::DeserializeOwned>(self, call: Call) -> Result<T, Error> {
        call.query("realm_id", self.realm).send(self.client).await
    }

    /// `GET /vault/stats`: how full it is.
    ///
    /// # Errors
    /// 403 with a token that lacks `resources.vault` or `vault_access`, here and below.
    pub async fn stats(self) -> Result<VaultStats, Error> {
        self.send(Call::get("vault/stats")).await
    }

    /// `GET /vault/keys`: every key, without its value.
    ///
    /// # Errors
    /// As [`Vault::stats`].
    pub async fn list(self) -> Result<Vec<VaultKey>, Error> {
        self.send(Call::get("vault/keys").up_to(LARGEST)).await
    }

    /// `GET /vault/keys/{key}`: a key with its value.
    ///
    /// # Errors
    /// `VAULT_KEY_NOT_FOUND`.
    pub async fn get(self, key: &str) -> Result<VaultRecord, Error> {
        self.send(Call::get("vault/keys").at(key).up_to(LARGEST)).await
    }

    /// `PUT /vault/keys/{key}`: makes the key or sets it again.
    ///
    /// # Errors
    /// `VAULT_LIMIT_EXCEEDED`; 400 when the key has other characters than letters, digits, `.`, `_` and `-`.
    pub async fn set(self, key: &str, value: &SetVaultKey) -> Result<VaultRecord, Error> {
        self.send(Call::put("vault/keys").at(key).json(value).up_to(LARGEST)).await
    }

    /// `DELETE /vault/keys/{key}`.
    ///
    /// # Errors
    /// `VAULT_KEY_NOT_FOUND`.
    pub async fn delete(self, key: &str) -> Result<(), Error> {
        Call::delete("vault/keys").at(key).query("realm_id", self.realm).done(self.client).await
    }

    /// `DELETE /vault`: deletes every key in the realm.
    ///
    /// # Errors
    /// As [`Vault::stats`].
    pub async fn clear(self) -> Result<VaultCleared, Error> {
        self.send(Call::delete("vault").once()).await
    }
}
