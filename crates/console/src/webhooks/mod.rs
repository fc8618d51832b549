//! The pages of webhooks: list, new with its secret shown once, one with what was sent to it.

pub(crate) mod form;
pub(crate) mod one;

use axum::response::Response;
use hoody_core::id::WebhookId;
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_service::webhooks::acts;
use maud::{Markup, html};

use crate::parts::page::failed;
use crate::parts::time;
use crate::parts::words::things;
use crate::session::{Page, Section, Visitor};

pub(crate) const WEBHOOKS: &str = "/console/webhooks";

/// Where the page of an endpoint is.
fn path(id: WebhookId) -> String {
    format!("{WEBHOOKS}/{id}")
}

/// What its owner calls an endpoint: its description, else its address.
fn name(webhook: &wire::Webhook) -> &str {
    if webhook.description.is_empty() { &webhook.url } else { &webhook.description }
}

/// One word: whether messages arrive.
fn status(webhook: &wire::Webhook) -> Markup {
    let (class, word) = match webhook {
        wire::Webhook { is_enabled: false, disabled_reason: Some(_), .. } => ("is bad", "switched off"),
        wire::Webhook { is_enabled: false, .. } => ("is soft", "off"),
        wire::Webhook { failing_since: Some(_), .. } => ("is bad", "failing"),
        _ => ("is good", "on"),
    };
    html! { span class=(class) { (word) } }
}

/// Which events it gets, in a few words.
fn events(webhook: &wire::Webhook) -> Markup {
    html! {
        @match webhook.event_types.as_slice() {
            [] => "every event",
            few if few.len() <= 2 => { @for (at, pattern) in few.iter().enumerate() { @if at > 0 { ", " } code { (pattern) } } },
            many => { (things(many.len() as u64, "pattern")) },
        }
    }
}

/// `GET /console/webhooks`
pub(crate) async fn show(visitor: Box<Visitor>) -> Response {
    list(&visitor).await.unwrap_or_else(|error| failed(&error))
}

async fn list(visitor: &Visitor) -> Result<Response, Error> {
    let found = acts::list(&visitor.console.webhooks, &visitor.caller).await?;
    let main = html! {
        div.head {
            div {
                h1 { "Webhooks" }
                p.soft { "hoody sends what happens in your account to your services, signed, within seconds. What fails is tried again for a day." }
            }
            a.button.primary href={ (WEBHOOKS) "/new" } { "New webhook" }
        }
        @if found.is_empty() {
            div.empty {
                p { "You have no webhook. A webhook is the address of a service of yours that wants to hear of events, for instance of each token that is made." }
            }
        } @else {
            table.stack {
                thead { tr { th { "Name" } th { "State" } th { "Gets" } th { "Made" } } }
                tbody {
                    @for webhook in &found {
                        tr {
                            td.name {
                                a href=(path(webhook.id)) { (name(webhook)) }
                                @if !webhook.description.is_empty() { span.sub.mono { (webhook.url) } }
                            }
                            td.at-end { (status(webhook)) }
                            td data-is="Gets" { (events(webhook)) }
                            td data-is="Made" { (time::ago(webhook.created_at, visitor.now)) }
                        }
                    }
                }
            }
        }
    };
    Ok(Page::new(visitor, Section::Webhooks, "Webhooks").around(&main))
}
