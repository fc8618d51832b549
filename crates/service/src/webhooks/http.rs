//! The endpoints of webhooks: a session's alone, since they carry what happens out of the house.

use std::sync::Arc;

use axum::extract::State;
use hoody_core::id::{DeliveryId, WebhookId, noun};
use hoody_core::seal::key_of;
use hoody_core::webhook::{SECRET_BYTES, WebhookSecret};
use hoody_core::{invalid::Invalid, wire};
use hoody_engine::clock::entropy;
use hoody_engine::db::DbError;
use hoody_engine::error::Error;
use hoody_engine::feed::{Change, Mutation};
use hoody_engine::web::body::NoBody;
use hoody_engine::web::caller::{ASession, AnyCaller};
use hoody_engine::web::path::TwoIds;
use hoody_engine::web::{Answer, Caller, IdPath, JsonBody, Query};
use serde_json::json;

use super::body::Given;
use super::{MAX_WEBHOOKS, OVERLAP, PREVIOUS, SECRET, TRIED_FOR, Webhook, Webhooks, message, place, store};
use crate::events::Event;

const NOT_FOUND: Error = Error::NotFound { code: "WEBHOOK_NOT_FOUND", message: "Webhook not found" };
const NO_DELIVERY: Error = Error::NotFound { code: "DELIVERY_NOT_FOUND", message: "Delivery not found" };

/// The account's endpoints
#[utoipa::path(get, path = "/api/v1/webhooks", operation_id = "list_webhooks", tag = "webhooks",
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<Vec<wire::Webhook>>),
    (status = 403, body = wire::ErrorBody)))]
pub async fn list_webhooks(
    State(webhooks): State<Arc<Webhooks>>,
    caller: Caller<ASession>,
) -> Result<Answer<Vec<wire::Webhook>>, Error> {
    let found = store::list_webhooks(&webhooks.db, caller.account()).await?;
    let shown = found.iter().map(|webhook| webhook.shown(None)).collect();
    Ok(Answer::ok("Webhooks retrieved successfully", shown))
}

/// Makes an endpoint; its secret is shown this once
#[utoipa::path(post, path = "/api/v1/webhooks", operation_id = "create_webhook", tag = "webhooks",
    request_body = wire::CreateWebhook, security(("bearer" = [])),
    responses((status = 201, body = wire::Envelope<wire::Webhook>), (status = 400, body = wire::ErrorBody),
    (status = 403, body = wire::ErrorBody), (status = 409, body = wire::ErrorBody)))]
pub async fn create_webhook(
    State(webhooks): State<Arc<Webhooks>>,
    caller: Caller<ASession>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::Webhook>, Error> {
    let given = Given::parse(&body, &webhooks.egress, false)?;
    let url = given.url.ok_or_else(|| Invalid::missing("url"))?;
    let (mut mutation, grant) = webhooks.feed.begin(&caller).await?;
    if store::count(&mut mutation.tx, grant.account).await? >= MAX_WEBHOOKS {
        let message = format!("An account has at most {MAX_WEBHOOKS} webhooks");
        return Err(Error::Conflict { code: "LIMIT_REACHED", message });
    }
    let id: WebhookId = webhooks.clock.new_id();
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
    Ok(Answer::created("Webhook created successfully", webhook.shown(Some(&secret))).secret())
}

/// One endpoint
#[utoipa::path(get, path = "/api/v1/webhooks/{id}", operation_id = "get_webhook", tag = "webhooks",
    params(("id" = WebhookId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::Webhook>), (status = 404, body = wire::ErrorBody)))]
pub async fn get_webhook(
    State(webhooks): State<Arc<Webhooks>>,
    caller: Caller<ASession>,
    IdPath(id): IdPath<noun::Webhook>,
) -> Result<Answer<wire::Webhook>, Error> {
    let webhook = store::find_webhook(&webhooks.db, caller.account(), id).await?.ok_or(NOT_FOUND)?;
    Ok(Answer::ok("Webhook retrieved successfully", webhook.shown(None)))
}

/// Changes an endpoint; what is left out stays as it is
#[utoipa::path(method(put, patch), path = "/api/v1/webhooks/{id}", operation_id = "update_webhook",
    tag = "webhooks", params(("id" = WebhookId, Path)), request_body = wire::UpdateWebhook,
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::Webhook>),
    (status = 400, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody)))]
pub async fn update_webhook(
    State(webhooks): State<Arc<Webhooks>>,
    caller: Caller<ASession>,
    IdPath(id): IdPath<noun::Webhook>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::Webhook>, Error> {
    let given = Given::parse(&body, &webhooks.egress, true)?;
    let (mut mutation, mut webhook) = begin_on(&webhooks, &caller, id).await?;
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
    Ok(Answer::ok("Webhook updated successfully", webhook.shown(None)))
}

/// Deletes an endpoint with its deliveries
#[utoipa::path(delete, path = "/api/v1/webhooks/{id}", operation_id = "delete_webhook", tag = "webhooks",
    params(("id" = WebhookId, Path)), security(("bearer" = [])),
    responses((status = 200, body = hoody_engine::web::envelope::Done), (status = 404, body = wire::ErrorBody)))]
pub async fn delete_webhook(
    State(webhooks): State<Arc<Webhooks>>,
    caller: Caller<ASession>,
    IdPath(id): IdPath<noun::Webhook>,
    _: NoBody,
) -> Result<Answer<()>, Error> {
    let (mut mutation, webhook) = begin_on(&webhooks, &caller, id).await?;
    store::delete(&mut mutation.tx, id).await?;
    mutation.tell(told("webhook.deleted", &webhook));
    mutation.commit().await?;
    Ok(Answer::ok("Webhook deleted successfully", ()))
}

/// Gives an endpoint a new secret; for a day messages are signed with the one before, too
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/rotate-secret", operation_id = "rotate_webhook_secret",
    tag = "webhooks", params(("id" = WebhookId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::Webhook>), (status = 404, body = wire::ErrorBody)))]
pub async fn rotate_webhook_secret(
    State(webhooks): State<Arc<Webhooks>>,
    caller: Caller<ASession>,
    IdPath(id): IdPath<noun::Webhook>,
    _: NoBody,
) -> Result<Answer<wire::Webhook>, Error> {
    let (mut mutation, mut webhook) = begin_on(&webhooks, &caller, id).await?;
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
    Ok(Answer::ok("Webhook secret rotated successfully", webhook.shown(Some(&secret))).secret())
}

/// Sends an endpoint a message of the type `webhook.test`
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/test", operation_id = "test_webhook", tag = "webhooks",
    params(("id" = WebhookId, Path)), security(("bearer" = [])),
    responses((status = 201, body = wire::Envelope<wire::WebhookDelivery>),
    (status = 404, body = wire::ErrorBody), (status = 409, body = wire::ErrorBody)))]
pub async fn test_webhook(
    State(webhooks): State<Arc<Webhooks>>,
    caller: Caller<ASession>,
    IdPath(id): IdPath<noun::Webhook>,
    _: NoBody,
) -> Result<Answer<wire::WebhookDelivery>, Error> {
    let (mut mutation, webhook) = begin_on(&webhooks, &caller, id).await?;
    is_on(&webhook)?;
    let event = test_event(&webhooks, &mutation, &webhook);
    let delivery: DeliveryId = webhooks.clock.new_id();
    let times = (mutation.now, mutation.now.plus(TRIED_FOR));
    store::put_on_way(&mut mutation.tx, delivery, id, &event, message(&event), times).await?;
    let shown = store::find_delivery(&mut mutation.tx, id, delivery).await?.ok_or(NO_DELIVERY)?.shown();
    mutation.tell(told("webhook.tested", &webhook));
    mutation.commit().await?;
    webhooks.notify_sender();
    Ok(Answer::created("Test message put on its way", shown))
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

/// Deliveries to an endpoint, the latest first
#[utoipa::path(get, path = "/api/v1/webhooks/{id}/deliveries", operation_id = "list_webhook_deliveries",
    tag = "webhooks", params(("id" = WebhookId, Path),
    ("state" = Option<String>, Query, description = "waiting, delivered or failed"),
    ("limit" = Option<u32>, Query, description = "At most 500; 50 unless told"),
    ("page" = Option<u32>, Query, description = "From 1; one that is not full is the last")),
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<Vec<wire::WebhookDelivery>>),
    (status = 400, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody)))]
pub async fn list_webhook_deliveries(
    State(webhooks): State<Arc<Webhooks>>,
    caller: Caller<ASession>,
    IdPath(id): IdPath<noun::Webhook>,
    query: Query,
) -> Result<Answer<Vec<wire::WebhookDelivery>>, Error> {
    let state = query.choice("state", &["all", "waiting", "delivered", "failed"])?;
    let limit = query.number("limit", 1..=500, 50)?;
    let page = query.number("page", 1..=1_000_000, 1)?;
    store::find_webhook(&webhooks.db, caller.account(), id).await?.ok_or(NOT_FOUND)?;
    let state = (state != "all").then_some(state);
    let deliveries = store::list_deliveries(&webhooks.db, id, state, (limit, (page - 1) * limit)).await?;
    let shown = deliveries.iter().map(super::Delivery::shown).collect();
    Ok(Answer::ok("Webhook deliveries retrieved successfully", shown))
}

/// Sends a delivery again, under the same `webhook-id`
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/deliveries/{delivery_id}/replay",
    operation_id = "replay_webhook_delivery", tag = "webhooks",
    params(("id" = WebhookId, Path), ("delivery_id" = DeliveryId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::WebhookDelivery>),
    (status = 404, body = wire::ErrorBody), (status = 409, body = wire::ErrorBody)))]
pub async fn replay_webhook_delivery(
    State(webhooks): State<Arc<Webhooks>>,
    caller: Caller<ASession>,
    TwoIds(id, delivery): TwoIds<noun::Webhook, noun::Delivery>,
    _: NoBody,
) -> Result<Answer<wire::WebhookDelivery>, Error> {
    let (mut mutation, webhook) = begin_on(&webhooks, &caller, id).await?;
    is_on(&webhook)?;
    let times = (mutation.now, mutation.now.plus(TRIED_FOR));
    if !store::replay(&mut mutation.tx, id, delivery, times).await? {
        return Err(NO_DELIVERY);
    }
    let shown = store::find_delivery(&mut mutation.tx, id, delivery).await?.ok_or(NO_DELIVERY)?.shown();
    mutation.tell(told("webhook.replayed", &webhook));
    mutation.commit().await?;
    webhooks.notify_sender();
    Ok(Answer::ok("Webhook delivery put on its way again", shown))
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
