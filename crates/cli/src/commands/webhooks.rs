//! `webhooks`: endpoints that get events, and what became of them.

use std::str::FromStr;

use clap::{Args, Subcommand};
use hoody_client::Client;
use hoody_client::id::{DeliveryId, RealmId, WebhookId};
use hoody_client::wire::{CreateWebhook, UpdateWebhook, Webhook, WebhookDelivery};

use crate::context::Context;
use crate::terminal::cell::{list_or, text_or, yes_no};
use crate::terminal::failure::Failure;
use crate::terminal::output::View;

/// The commands of `webhooks`.
#[derive(Debug, Subcommand)]
pub(crate) enum WebhooksCommand {
    /// List the endpoints
    #[command(visible_alias = "ls", after_help = "EXAMPLES:\n  hoody webhooks list")]
    List,
    /// Show an endpoint
    #[command(visible_aliases = ["show", "describe"], after_help = "EXAMPLES:
  hoody webhooks get 65a1b2c3d4e5f60718293a4b")]
    Get {
        /// The endpoint's id
        id: WebhookId,
    },
    /// Make an endpoint; its secret is shown this once
    #[command(visible_aliases = ["new", "add"], after_help = "EXAMPLES:
  hoody webhooks create --url https://example.com/hooks
  hoody webhooks create --url https://example.com/hooks --event-type 'auth.token.*' --description audit")]
    Create {
        /// Where it is
        #[arg(long)]
        url: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Change an endpoint; what is not given stays
    #[command(
        visible_alias = "edit",
        after_help = "EXAMPLES:
  hoody webhooks update 65a1b2c3d4e5f60718293a4b --enabled true
  hoody webhooks update 65a1b2c3d4e5f60718293a4b --event-type all --realm-id all"
    )]
    Update {
        /// The endpoint's id
        id: WebhookId,
        /// Where it is
        #[arg(long)]
        url: Option<String>,
        /// Whether anything is sent to it
        #[arg(long, value_name = "BOOL")]
        enabled: Option<bool>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete an endpoint
    #[command(visible_aliases = ["rm", "remove"], after_help = "EXAMPLES:
  hoody webhooks delete 65a1b2c3d4e5f60718293a4b")]
    Delete {
        /// The endpoint's id
        id: WebhookId,
    },
    /// Give an endpoint a new secret; the one before signs for a day, too
    #[command(after_help = "EXAMPLES:\n  hoody webhooks rotate-secret 65a1b2c3d4e5f60718293a4b")]
    RotateSecret {
        /// The endpoint's id
        id: WebhookId,
    },
    /// Send an endpoint a test message
    #[command(after_help = "EXAMPLES:\n  hoody webhooks test 65a1b2c3d4e5f60718293a4b")]
    Test {
        /// The endpoint's id
        id: WebhookId,
    },
    /// List what was sent to an endpoint, the latest first
    #[command(after_help = "EXAMPLES:
  hoody webhooks deliveries 65a1b2c3d4e5f60718293a4b --state failed")]
    Deliveries {
        /// The endpoint's id
        id: WebhookId,
        /// Only those in this state
        #[arg(long, value_parser = ["waiting", "delivered", "failed"])]
        state: Option<String>,
        /// How many, at most 500
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Which so many, from 1
        #[arg(long, value_name = "N")]
        page: Option<u32>,
    },
    /// Send a delivery again
    #[command(after_help = "EXAMPLES:
  hoody webhooks replay 65a1b2c3d4e5f60718293a4b 65a1b2c3d4e5f60718293a4c")]
    Replay {
        /// The endpoint's id
        id: WebhookId,
        /// The delivery's id
        delivery: DeliveryId,
    },
}

/// What an endpoint is to get.
#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// Which events it gets: types, or families like `auth.token.*`; repeat or use commas; `all` for every one
    #[arg(long = "event-type", value_name = "TYPES", value_delimiter = ',')]
    event_types: Vec<Named<String>>,
    /// Of which realms; repeat or use commas; `all` for every one, and what is in none
    #[arg(long = "realm-id", value_name = "IDS", value_delimiter = ',')]
    realm_ids: Vec<Named<RealmId>>,
}

/// One of a list, or what stands for the empty one: `all`, and the empty text as with tokens.
#[derive(Debug, Clone)]
enum Named<T> {
    One(T),
    All,
}

impl<T: FromStr> FromStr for Named<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        match text {
            "" | "all" => Ok(Self::All),
            _ => text.parse().map(Self::One),
        }
    }
}

/// The list that a flag gives; `None` when it was not given.
fn listed<T>(flag: &str, given: Vec<Named<T>>) -> Result<Option<Vec<T>>, Failure> {
    let count = given.len();
    let ones = given.into_iter().filter_map(|named| match named {
        Named::One(one) => Some(one),
        Named::All => None,
    });
    let ones: Vec<T> = ones.collect();
    if ones.len() < count && count > 1 {
        return Err(Failure::failed(format!("{flag}: `all` stands alone")));
    }
    Ok((count > 0).then_some(ones))
}

/// Runs one command of `webhooks`.
pub(crate) async fn run(context: &Context, command: WebhooksCommand) -> Result<(), Failure> {
    match command {
        WebhooksCommand::List => list(context).await,
        WebhooksCommand::Get { id } => {
            let webhook = context.call(async |client: &Client| client.webhooks().get(id).await).await?;
            context.output.show(&webhook, || View::Details(details(&webhook)))
        }
        WebhooksCommand::Create { url, fields } => {
            let event_types = listed("--event-type", fields.event_types)?.unwrap_or_default();
            let realm_ids = listed("--realm-id", fields.realm_ids)?.unwrap_or_default();
            let request = CreateWebhook { url, description: fields.description, event_types, realm_ids };
            context.output.expect_to_show()?;
            let webhook =
                context.call(async |client: &Client| client.webhooks().create(&request).await).await?;
            match show_secret(context, &webhook) {
                Err(failure) => Err(take_back(context, webhook.id, failure).await),
                Ok(()) => Ok(()),
            }
        }
        WebhooksCommand::Update { id, url, enabled, fields } => {
            let request = UpdateWebhook {
                url,
                description: fields.description,
                event_types: listed("--event-type", fields.event_types)?,
                realm_ids: listed("--realm-id", fields.realm_ids)?,
                is_enabled: enabled,
            };
            let call = context.call(async |client: &Client| client.webhooks().update(id, &request).await);
            let webhook = call.await?;
            context.output.show(&webhook, || View::Done(format!("Updated webhook {id}.")))
        }
        WebhooksCommand::Delete { id } => {
            context.confirm(&format!("Delete webhook {id} with its deliveries?")).await?;
            context.call(async |client: &Client| client.webhooks().delete(id).await).await?;
            context.output.show(&serde_json::Value::Null, || View::Done(format!("Deleted webhook {id}.")))
        }
        WebhooksCommand::RotateSecret { id } => {
            context.output.expect_to_show()?;
            let call = context.call(async |client: &Client| client.webhooks().rotate_secret(id).await);
            let webhook = call.await?;
            let until = text_or(webhook.previous_secret_until, "then");
            show_secret(context, &webhook).map_err(|failure| {
                failure.lost(
                    &format!("webhook {id} has a new secret, but it could not be shown; the one before signs, too, until {until}"),
                    &format!("`hoody webhooks rotate-secret {id}` gives another"),
                )
            })
        }
        WebhooksCommand::Test { id } => {
            let sent = context.call(async |client: &Client| client.webhooks().test(id).await).await?;
            context.output.show(&sent, || {
                let then = format!("`hoody webhooks deliveries {id}` shows what became of it");
                View::Done(format!("Test message {} is on its way; {then}.", sent.id))
            })
        }
        WebhooksCommand::Deliveries { id, state, limit, page } => {
            let call =
                async |client: &Client| client.webhooks().deliveries(id, state.as_deref(), limit, page).await;
            let deliveries = context.call(call).await?;
            context.output.show(&deliveries, || View::List {
                titles: &[
                    "WHEN", "TYPE", "STATE", "ATTEMPTS", "STATUS", "ID", "EVENT", "MS", "WHY", "ANSWER",
                ],
                narrow: 6,
                rows: deliveries.iter().map(delivery_row).collect(),
                empty: "Nothing was sent.",
            })
        }
        WebhooksCommand::Replay { id, delivery } => {
            let call = context.call(async |client: &Client| client.webhooks().replay(id, delivery).await);
            let sent = call.await?;
            context.output.show(&sent, || View::Done(format!("Delivery {delivery} is on its way again.")))
        }
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let webhooks = context.call(async |client: &Client| client.webhooks().list().await).await?;
    let row = |webhook: &Webhook| {
        let state = match (&webhook.disabled_reason, webhook.is_enabled, webhook.failing_since) {
            (_, true, None) => "on".to_owned(),
            (_, true, Some(since)) => format!("failing since {since}"),
            (Some(why), false, _) => format!("off: {why}"),
            (None, false, _) => "off".to_owned(),
        };
        vec![webhook.id.to_string(), webhook.url.clone(), events(webhook), state, webhook.description.clone()]
    };
    context.output.show(&webhooks, || View::List {
        titles: &["ID", "URL", "EVENTS", "STATE", "DESCRIPTION"],
        narrow: 4,
        rows: webhooks.iter().map(row).collect(),
        empty: "No webhooks. `hoody webhooks create` makes one.",
    })
}

fn events(webhook: &Webhook) -> String {
    list_or(&webhook.event_types, "all")
}

fn details(webhook: &Webhook) -> Vec<(&'static str, String)> {
    vec![
        ("id", webhook.id.to_string()),
        ("url", webhook.url.clone()),
        ("description", webhook.description.clone()),
        ("events", events(webhook)),
        ("realms", list_or(&webhook.realm_ids, "all")),
        ("enabled", yes_no(webhook.is_enabled)),
        ("switched off because", text_or(webhook.disabled_reason.as_ref(), "-")),
        ("failing since", text_or(webhook.failing_since, "-")),
        ("earlier secret until", text_or(webhook.previous_secret_until, "-")),
    ]
}

fn delivery_row(delivery: &WebhookDelivery) -> Vec<String> {
    vec![
        delivery.last_attempt_at.unwrap_or(delivery.created_at).to_string(),
        delivery.event_type.clone(),
        delivery.state.clone(),
        delivery.attempts.to_string(),
        text_or(delivery.status, "-"),
        delivery.id.to_string(),
        delivery.event_id.to_string(),
        text_or(delivery.duration_ms, "-"),
        text_or(delivery.error.as_ref(), "-"),
        text_or(delivery.answer.as_ref(), "-"),
    ]
}

/// Nobody has seen the secret of a new endpoint: away with it.
async fn take_back(context: &Context, id: WebhookId, failure: Failure) -> Failure {
    match context.call(async |client: &Client| client.webhooks().delete(id).await).await {
        Ok(()) => failure
            .lost(&format!("webhook {id} was deleted again, because its secret could not be shown"), ""),
        Err(why) => failure.lost(
            &format!(
                "webhook {id} was made, but its secret could not be shown, nor could it be deleted ({})",
                why.message
            ),
            &format!(
                "`hoody webhooks delete {id}`, or `hoody webhooks rotate-secret {id}` for another secret"
            ),
        ),
    }
}

/// The secret alone is the result, so that it can be piped on; it is not shown again.
fn show_secret(context: &Context, webhook: &Webhook) -> Result<(), Failure> {
    if context.output.format().is_for_people() {
        context
            .output
            .note(&format!("Webhook {}: this is its secret, and it is not shown again.", webhook.id));
    }
    let secret = webhook.secret.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default();
    context.output.show(webhook, || View::Line(secret))
}
