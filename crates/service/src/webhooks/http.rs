//! The endpoints of webhooks: a session's alone, since they carry what happens out of the house.

use std::sync::Arc;

use axum::extract::State;
use hoody_core::id::{DeliveryId, WebhookId, noun};
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::web::body::NoBody;
use hoody_engine::web::caller::ASession;
use hoody_engine::web::path::TwoIds;
use hoody_engine::web::{Answer, Caller, IdPath, JsonBody, Query};

use super::body::Given;
use super::{Webhooks, acts};

/// The account's endpoints
#[utoipa::path(get, path = "/api/v1/webhooks", operation_id = "list_webhooks", tag = "webhooks",
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<Vec<wire::Webhook>>),
    (status = 403, body = wire::ErrorBody)))]
pub async fn list_webhooks(
    State(webhooks): State<Arc<Webhooks>>,
    caller: Caller<ASession>,
) -> Result<Answer<Vec<wire::Webhook>>, Error> {
    let shown = acts::list(&webhooks, &caller).await?;
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
    let made = acts::create(&webhooks, &caller, given, webhooks.clock.new_id()).await?;
    let shown = made.ok_or_else(|| Error::internal(anyhow::anyhow!("a new id was there already")))?;
    Ok(Answer::created("Webhook created successfully", shown).secret())
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
    Ok(Answer::ok("Webhook retrieved successfully", acts::find(&webhooks, &caller, id).await?))
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
    let shown = acts::update(&webhooks, &caller, id, given).await?;
    Ok(Answer::ok("Webhook updated successfully", shown))
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
    acts::delete(&webhooks, &caller, id).await?;
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
    let shown = acts::rotate(&webhooks, &caller, id).await?;
    Ok(Answer::ok("Webhook secret rotated successfully", shown).secret())
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
    let shown = acts::send_test(&webhooks, &caller, id).await?;
    Ok(Answer::created("Test message put on its way", shown))
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
    let state = (state != "all").then_some(state);
    let shown = acts::deliveries(&webhooks, &caller, id, state, (limit, (page - 1) * limit)).await?;
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
    let shown = acts::replay(&webhooks, &caller, id, delivery).await?;
    Ok(Answer::ok("Webhook delivery put on its way again", shown))
}
