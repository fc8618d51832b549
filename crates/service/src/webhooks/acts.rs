//! What is done with endpoints, for whoever calls it: the API's handlers and the pages of the console. A session's
//! alone; nothing here asks for one.

use hoody_core::id::{DeliveryId, WebhookId};
use hoody_core::seal::key_of;
use hoody_core::webhook::{SECRET_BYTES, WebhookSecret};
use hoody_core::{invalid::Invalid, wire};
use hoody_engine::clock::entropy;
use hoody_engine::db::DbError;
use hoody_engine::error::Error;
use hoody_engine::feed::{Change, Mutation};
use hoody_engine::web::caller::AnyCaller;
use serde_json::json;

use super::body::Given;
use super::{MAX_WEBHOOKS, OVERLAP, PREVIOUS, SECRET, TRIED_FOR, Webhook, Webhooks, message, place, store};
use crate::events::Event;

const NOT_FOUND: Error = Error::NotFound { code: "WEBHOOK_NOT_FOUND", message: "Webhook not found" };
const NO_DELIVERY: Error = Error::NotFound { code: "DELIVERY_NOT_FOUND", message: "Delivery not found" };

/// The account's endpoints.
///
/// # Errors
/// When the database fails.
pub async fn list(webhooks: &Webhooks, caller: &AnyCaller) -> Result<Vec<wire::Webhook>, Error> {
    let found = store::list_webhooks(&webhooks.db, caller.account()).await?;
    Ok(found.iter().map(|webhook| webhook.shown(None)).collect())
}

/// One endpoint.
///
/// # Errors
/// 404 when the account has none with this id.
pub async fn find(webhooks: &Webhooks, caller: &AnyCaller, id: WebhookId) -> Result<wire::Webhook, Error> {
    let webhook = store::find_webhook(&webhooks.db, caller.account(), id).await?.ok_or(NOT_FOUND)?;
    Ok(webhook.shown(None))
}

/// Makes an endpoint with this id, its secret shown this once; `None` when the account has one with it already.
///
/// # Errors
/// The refusals of `POST /webhooks` for what is well-formed.
pub async fn create(
    webhooks: &Webhooks,
    caller: &AnyCaller,
    given: Given,
    id: WebhookId,
) -> Result<Option<wire::Webhook>, Error> {
    let url = given.url.ok_or_else(|| Invalid::missing("url"))?;
    let (mut mutation, grant) = webhooks.feed.begin(caller).await?;
    if store::find_webhook(&mut mutation.tx, grant.account, id).await?.is_some() {
        return Ok(None);
    }
    if store::count(&mut mutation.tx, grant.account).await? >= MAX_WEBHOOKS {
        let message = format!("An account has at most {MAX_WEBHOOKS} webhooks");
        return Err(Error::Conflict { code: "LIMIT_REACHED", message });
    }
    let secret = WebhookSecret::from_bytes(&entropy::<SECRET_BYTES>());
    let sealed = webhooks.keys.seal(&place(grant.account, &id, SECRET), secret.expose_bytes());
    let webhook = Webhook {
        id,
        account: grant.account,
        url,
        description: given.description.unwrap_or_default(),
        types: given.types.unwrap_or_default(),
        realm_ids: given.realm_ids.unwrap_or_default(),
        is_enabled: true,
        disabled_reason: None,
        secret: sealed,
        previous: None,
        failing_since: None,
        failures: 0,
        created_at: mutation.now,
        updated_at: mutation.now,
    };
    let key = key_of(&webhook.secret).ok_or(DbError::Unreadable("secret"))?;
    store::insert(&mut mutation.tx, &webhook, key).await?;
    mutation.tell(told("webhook.created", &webhook));
    mutation.commit().await?;
    Ok(Some(webhook.shown(Some(&secret))))
}

/// Changes an endpoint; what is left out stays as it is.
///
/// # Errors
/// 404 when the account has none with this id.
pub async fn update(
    webhooks: &Webhooks,
    caller: &AnyCaller,
    id: WebhookId,
    given: Given,
) -> Result<wire::Webhook, Error> {
    let (mut mutation, mut webhook) = begin_on(webhooks, caller, id).await?;
    webhook.url = given.url.unwrap_or(webhook.url);
    webhook.description = given.description.unwrap_or(webhook.description);
    webhook.types = given.types.unwrap_or(webhook.types);
    webhook.realm_ids = given.realm_ids.unwrap_or(webhook.realm_ids);
    if let Some(is_enabled) = given.is_enabled {
        webhook.is_enabled = is_enabled;
        webhook.disabled_reason = None;
    }
    (webhook.failing_since, webhook.failures) = (None, 0);
    webhook.updated_at = webhook.next_update(mutation.now);
    store::update(&mut mutation.tx, &webhook).await?;
    mutation.tell(told("webhook.updated", &webhook));
    mutation.commit().await?;
    webhooks.notify_sender();
    Ok(webhook.shown(None))
}

/// Deletes an endpoint with its deliveries.
///
/// # Errors
/// 404 when the account has none with this id.
pub async fn delete(webhooks: &Webhooks, caller: &AnyCaller, id: WebhookId) -> Result<(), Error> {
    let (mut mutation, webhook) = begin_on(webhooks, caller, id).await?;
    store::delete(&mut mutation.tx, id).await?;
    mutation.tell(told("webhook.deleted", &webhook));
    mutation.commit().await?;
    Ok(())
}

/// Gives an endpoint a new secret, shown this once; for a day messages are signed with the one before, too.
///
/// # Errors
/// 404 when the account has none with this id.
pub async fn rotate(webhooks: &Webhooks, caller: &AnyCaller, id: WebhookId) -> Result<wire::Webhook, Error> {
    let (mut mutation, mut webhook) = begin_on(webhooks, caller, id).await?;
    let old =
        webhooks.keys.open(&place(webhook.account, &id, SECRET), &webhook.secret).map_err(Error::internal)?;
    let secret = WebhookSecret::from_bytes(&entropy::<SECRET_BYTES>());
    let sealed = webhooks.keys.seal(&place(webhook.account, &id, SECRET), secret.expose_bytes());
    let previous = webhooks.keys.seal(&place(webhook.account, &id, PREVIOUS), &old);
    let key = key_of(&sealed).ok_or(DbError::Unreadable("secret"))?;
    let until = mutation.now.plus(OVERLAP);
    webhook.updated_at = webhook.next_update(mutation.now);
    store::rotate(&mut mutation.tx, &webhook, &sealed, &previous, key, until).await?;
    mutation.tell(told("webhook.secret_rotated", &webhook));
    mutation.commit().await?;
    webhook.previous = Some((previous, until));
    Ok(webhook.shown(Some(&secret)))
}

/// Puts a message of the type `webhook.test` on its way to an endpoint.
///
/// # Errors
/// 404 when the account has none with this id, 409 when it is off.
pub async fn send_test(
    webhooks: &Webhooks,
    caller: &AnyCaller,
    id: WebhookId,
) -> Result<wire::WebhookDelivery, Error> {
    let (mut mutation, webhook) = begin_on(webhooks, caller, id).await?;
    is_on(&webhook)?;
    let event = test_event(webhooks, &mutation, &webhook);
    let delivery: DeliveryId = webhooks.clock.new_id();
    let times = (mutation.now, mutation.now.plus(TRIED_FOR));
    store::put_on_way(&mut mutation.tx, delivery, id, &event, message(&event), times).await?;
    let shown = store::find_delivery(&mut mutation.tx, id, delivery).await?.ok_or(NO_DELIVERY)?.shown();
    mutation.tell(told("webhook.tested", &webhook));
    mutation.commit().await?;
    webhooks.notify_sender();
    Ok(shown)
}

/// What is put on its way to an endpoint that is off would wait there unseen.
fn is_on(webhook: &Webhook) -> Result<(), Error> {
    if webhook.is_enabled {
        return Ok(());
    }
    let message = "The webhook is disabled: enable it first";
    Err(Error::Conflict { code: "WEBHOOK_DISABLED", message: message.to_owned() })
}

fn test_event(webhooks: &Webhooks, mutation: &Mutation, webhook: &Webhook) -> Event {
    Event {
        place: hoody_core::event::Place { pos: webhooks.feed.applied(), seq: 0 },
        id: webhooks.clock.new_id(),
        at: mutation.now,
        event_type: "webhook.test".to_owned(),
        account: webhook.account,
        actor_kind: "session".to_owned(),
        actor_id: None,
        resource_type: "webhook".to_owned(),
        resource_id: hoody_core::id::Id::from_bytes(*webhook.id.bytes()),
        project_id: None,
        realm_ids: Vec::new(),
        payload: json!({ "description": webhook.description }),
        is_ephemeral: false,
    }
}

/// Deliveries to an endpoint in this state or in any, the latest first.
///
/// # Errors
/// 404 when the account has none with this id.
pub async fn deliveries(
    webhooks: &Webhooks,
    caller: &AnyCaller,
    id: WebhookId,
    state: Option<&str>,
    (limit, offset): (i64, i64),
) -> Result<Vec<wire::WebhookDelivery>, Error> {
    store::find_webhook(&webhooks.db, caller.account(), id).await?.ok_or(NOT_FOUND)?;
    let deliveries = store::list_deliveries(&webhooks.db, id, state, (limit, offset)).await?;
    Ok(deliveries.iter().map(super::Delivery::shown).collect())
}

/// Sends a delivery again, under the same `webhook-id`.
///
/// # Errors
/// 404 when there is none such, 409 when the endpoint is off.
pub async fn replay(
    webhooks: &Webhooks,
    caller: &AnyCaller,
    id: WebhookId,
    delivery: DeliveryId,
) -> Result<wire::WebhookDelivery, Error> {
    let (mut mutation, webhook) = begin_on(webhooks, caller, id).await?;
    is_on(&webhook)?;
    let times = (mutation.now, mutation.now.plus(TRIED_FOR));
    if !store::replay(&mut mutation.tx, id, delivery, times).await? {
        return Err(NO_DELIVERY);
    }
    let shown = store::find_delivery(&mut mutation.tx, id, delivery).await?.ok_or(NO_DELIVERY)?.shown();
    mutation.tell(told("webhook.replayed", &webhook));
    mutation.commit().await?;
    webhooks.notify_sender();
    Ok(shown)
}

async fn begin_on(
    webhooks: &Webhooks,
    caller: &AnyCaller,
    id: WebhookId,
) -> Result<(Mutation, Webhook), Error> {
    let (mut mutation, grant) = webhooks.feed.begin(caller).await?;
    let webhook = store::find_webhook(&mut mutation.tx, grant.account, id).await?.ok_or(NOT_FOUND)?;
    Ok((mutation, webhook))
}

/// Never the address: its path may be a secret of the other service.
fn told(event: &'static str, webhook: &Webhook) -> Change {
    let change = Change::new(event, webhook.account, "webhook", webhook.id);
    change.with(json!({ "description": webhook.description, "is_enabled": webhook.is_enabled }))
}
