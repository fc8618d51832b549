//! Webhooks: events sent to other services, signed.

use serde::{Deserialize, Serialize};

use super::Secret;
use crate::id::{DeliveryId, EventId, RealmId, WebhookId};
use crate::time::Timestamp;

/// An endpoint that events are sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Where it is.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// Which events it gets: types, or families like `auth.token.*`; empty is all.
    #[serde(default)]
    pub event_types: Vec<String>,
    /// Of which realms; empty is all, and what is in none.
    #[serde(default)]
    pub realm_ids: Vec<RealmId>,
    /// Whether anything is sent to it.
    pub is_enabled: bool,
    /// Why the server switched it off, if it did.
    #[serde(default)]
    pub disabled_reason: Option<String>,
    /// Since when nothing arrives, if nothing does.
    #[serde(default)]
    pub failing_since: Option<Timestamp>,
    /// Until when messages carry a signature with the secret before the last rotation, too.
    #[serde(default)]
    pub previous_secret_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// `whsec_…`: shown once, when it is made or rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

/// An endpoint to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateWebhook {
    /// Where it is: `https://…`.
    pub url: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Which events it gets; all unless told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_types: Vec<String>,
    /// Of which realms; all unless told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub realm_ids: Vec<RealmId>,
}

/// What to change of an endpoint; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateWebhook {
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Which events it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_types: Option<Vec<String>>,
    /// Of which realms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm_ids: Option<Vec<RealmId>>,
    /// Whether anything is sent to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
}

/// An event on its way to an endpoint, or there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The endpoint.
    pub webhook_id: WebhookId,
    /// The event; the header `webhook-id` names it.
    pub event_id: EventId,
    /// What happened.
    pub event_type: String,
    /// `waiting`, `delivered` or `failed`.
    pub state: String,
    /// How often it was sent.
    pub attempts: u64,
    /// When it is sent next, if it waits.
    #[serde(default)]
    pub next_attempt_at: Option<Timestamp>,
    /// When it was last sent.
    #[serde(default)]
    pub last_attempt_at: Option<Timestamp>,
    /// The status that was answered then.
    #[serde(default)]
    pub status: Option<u16>,
    /// How long that took.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// Why it was not taken.
    #[serde(default)]
    pub error: Option<String>,
    /// The beginning of what was answered.
    #[serde(default)]
    pub answer: Option<String>,
    /// When it was put on its way.
    pub created_at: Timestamp,
}
