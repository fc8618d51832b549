//! Webhooks: events sent to other services, signed.

use hoody_core::id::{DeliveryId, WebhookId};
use hoody_core::wire::{CreateWebhook, UpdateWebhook, Webhook, WebhookDelivery};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// The routes below `/webhooks`, for sessions alone: [`Client::webhooks`].
///
/// ```no_run
/// # use hoody_client::{Client, wire::CreateWebhook};
/// # async fn example(client: Client) -> Result<(), hoody_client::Error> {
/// let hook = CreateWebhook { url: "https://example.com/hooks".into(), ..CreateWebhook::default() };
/// let hook = client.webhooks().create(&hook).await?;
/// let secret = hook.secret.expect("a new endpoint shows its secret once");
/// client.webhooks().test(hook.id).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Webhooks<'a>(&'a Client);

impl Client {
    /// The routes below `/webhooks`.
    #[must_use]
    pub fn webhooks(&self) -> Webhooks<'_> {
        Webhooks(self)
    }
}

impl Webhooks<'_> {
    /// `GET /webhooks`: the account's endpoints.
    ///
    /// # Errors
    /// 403 with a token, here and below.
    pub async fn list(&self) -> Result<Vec<Webhook>, Error> {
        Call::get("webhooks").send(self.0).await
    }

    /// `POST /webhooks`: makes an endpoint, with its secret.
    ///
    /// # Errors
    /// 400 for an address that is not allowed, `LIMIT_REACHED`.
    pub async fn create(&self, webhook: &CreateWebhook) -> Result<Webhook, Error> {
        Call::post("webhooks").json(webhook).send(self.0).await
    }

    /// `GET /webhooks/{id}`.
    ///
    /// # Errors
    /// `WEBHOOK_NOT_FOUND`, here and below.
    pub async fn get(&self, id: WebhookId) -> Result<Webhook, Error> {
        Call::get("webhooks").at(id).send(self.0).await
    }

    /// `PUT /webhooks/{id}`: what is left out stays.
    ///
    /// # Errors
    /// As [`Webhooks::create`].
    pub async fn update(&self, id: WebhookId, change: &UpdateWebhook) -> Result<Webhook, Error> {
        Call::put("webhooks").at(id).json(change).send(self.0).await
    }

    /// `DELETE /webhooks/{id}`: with its deliveries.
    ///
    /// # Errors
    /// As [`Webhooks::get`].
    pub async fn delete(&self, id: WebhookId) -> Result<(), Error> {
        Call::delete("webhooks").at(id).done(self.0).await
    }

    /// `POST /webhooks/{id}/rotate-secret`: a new secret; the one before signs for a day, too.
    ///
    /// # Errors
    /// As [`Webhooks::get`].
    pub async fn rotate_secret(&self, id: WebhookId) -> Result<Webhook, Error> {
        Call::post("webhooks").at(id).at("rotate-secret").send(self.0).await
    }

    /// `POST /webhooks/{id}/test`: puts a message of the type `webhook.test` on its way.
    ///
    /// # Errors
    /// As [`Webhooks::get`].
    pub async fn test(&self, id: WebhookId) -> Result<WebhookDelivery, Error> {
        Call::post("webhooks").at(id).at("test").send(self.0).await
    }

    /// `GET /webhooks/{id}/deliveries`: a page of all or of those in a state, the latest first.
    ///
    /// # Errors
    /// As [`Webhooks::get`].
    pub async fn deliveries(
        &self,
        id: WebhookId,
        state: Option<&str>,
        limit: Option<u32>,
        page: Option<u32>,
    ) -> Result<Vec<WebhookDelivery>, Error> {
        let call = Call::get("webhooks").at(id).at("deliveries");
        call.query("state", state).query("limit", limit).query("page", page).send(self.0).await
    }

    /// `POST /webhooks/{id}/deliveries/{delivery_id}/replay`: sends one again.
    ///
    /// # Errors
    /// `DELIVERY_NOT_FOUND`.
    pub async fn replay(&self, id: WebhookId, delivery: DeliveryId) -> Result<WebhookDelivery, Error> {
        Call::post("webhooks").at(id).at("deliveries").at(delivery).at("replay").send(self.0).await
    }
}
