//! One endpoint: whether messages arrive, what was sent to it, and what can be done with it.

use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::id::{DeliveryId, WebhookId, noun};
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::web::path::TwoIds;
use hoody_engine::web::{IdPath, Query};
use hoody_service::webhooks::acts;
use hoody_service::webhooks::body::Given;
use maud::{Markup, html};

use super::form::once;
use super::{WEBHOOKS, events, name, path, status};
use crate::parts::page::{dialog, failed};
use crate::parts::time;
use crate::parts::words::things;
use crate::session::{Act, Page, Section, Visitor};

/// How many deliveries a page has.
const ROWS: i64 = 50;

type Id = Result<IdPath<noun::Webhook>, Error>;

/// `GET /console/webhooks/{id}?page=`
pub(crate) async fn show(visitor: Box<Visitor>, id: Id, query: Query) -> Response {
    let shown = async { page(&visitor, id?.0, &query).await };
    shown.await.unwrap_or_else(|error| failed(&error))
}

/// Somebody reloaded an act.
pub(crate) async fn go_back(_visitor: Box<Visitor>, IdPath(id): IdPath<noun::Webhook>) -> Response {
    Redirect::to(&path(id)).into_response()
}

async fn page(visitor: &Visitor, id: WebhookId, query: &Query) -> Result<Response, Error> {
    let webhooks = &visitor.console.webhooks;
    let webhook = acts::find(webhooks, &visitor.caller, id).await?;
    let number = query.text("page").ok().flatten().and_then(|page| page.parse::<i64>().ok());
    let number = number.filter(|page| (1..=1_000_000).contains(page)).unwrap_or(1);
    let place = (ROWS + 1, (number - 1) * ROWS);
    let mut sent = acts::deliveries(webhooks, &visitor.caller, id, None, place).await?;
    let has_older = sent.len() as u64 > ROWS.unsigned_abs();
    sent.truncate(usize::try_from(ROWS).unwrap_or(usize::MAX));
    let home = path(id);
    let main = html! {
        p.crumb { a href=(WEBHOOKS) { "Webhooks" } }
        div.head {
            div { div.title { h1 { (name(&webhook)) } (status(&webhook)) } p.mono { (webhook.url) } }
            div.row {
                @if webhook.is_enabled {
                    (visitor.button(&format!("{home}/test"), "", "Send a test"))
                    (visitor.button(&format!("{home}/off"), "stop", "Turn off"))
                } @else { (visitor.button(&format!("{home}/on"), "", "Turn on")) }
                a.button href={ (home) "/change" } { "Change" }
                a.button href={ (home) "/secret" } { "New secret" }
                a.button href={ (home) "/delete" } { "Delete" }
            }
        }
        (trouble(&webhook, visitor))
        dl.facts {
            dt { "Gets" } dd { (events(&webhook)) }
            @if !webhook.realm_ids.is_empty() { dt { "In" } dd { (things(webhook.realm_ids.len() as u64, "realm")) " only" } }
            dt { "Made" } dd { (time::minute(webhook.created_at)) }
            @if let Some(until) = webhook.previous_secret_until { dt { "Old secret" } dd { "signs until " (time::minute(until)) } }
        }
        h2 { "What was sent, 7 days" }
        (deliveries(visitor, &home, &sent, webhook.is_enabled))
        nav.pages aria-label="Pages" {
            @if number > 1 { a.button rel="prev" href={ (home) "?page=" (number - 1) } { "Newer" } }
            @if has_older { a.button rel="next" href={ (home) "?page=" (number + 1) } { "Older" } }
        }
    };
    Ok(Page::new(visitor, Section::Webhooks, name(&webhook)).around(&main))
}

/// What is wrong with it, and what to do.
fn trouble(webhook: &wire::Webhook, visitor: &Visitor) -> Markup {
    html! {
        @if let Some(reason) = webhook.disabled_reason.as_deref().filter(|_| !webhook.is_enabled) {
            div.note.bad { p { "hoody switched it off: " (reason) ". Nothing is sent. Repair the service, then turn the webhook on." } }
        } @else if !webhook.is_enabled {
            div.note { p { "It is off. Nothing is sent, and what happens while it is off is never sent." } }
        } @else if let Some(since) = webhook.failing_since {
            div.note.bad { p { "Nothing has arrived since " (time::ago(since, visitor.now)) ". Each message is tried again for a day. The table says what the service answered." } }
        }
    }
}

fn deliveries(visitor: &Visitor, home: &str, sent: &[wire::WebhookDelivery], is_on: bool) -> Markup {
    html! {
        @if sent.is_empty() { p.soft { "Nothing yet." } } @else {
            table.stack {
                thead { tr { th { "Event" } th { "State" } th { "Answer" } th.num { "Tries" } th { "When" } th { span.hidden { "Act" } } } }
                tbody {
                    @for delivery in sent {
                        tr {
                            td.name { code { (delivery.event_type) } }
                            td.at-end { (state(delivery)) }
                            td data-is="Answer" { (answer(delivery)) }
                            td.num data-is="Tries" { (delivery.attempts) }
                            td data-is="When" { (time::ago(delivery.created_at, visitor.now)) }
                            td.act {
                                @if is_on && delivery.state != "waiting" {
                                    (visitor.button(&format!("{home}/deliveries/{}/replay", delivery.id), "", "Send again"))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn state(delivery: &wire::WebhookDelivery) -> Markup {
    let (class, word) = match delivery.state.as_str() {
        "delivered" => ("is good", "arrived"),
        "failed" => ("is bad", "given up"),
        _ if delivery.attempts > 0 => ("is warn", "tried again"),
        _ => ("is soft", "waiting"),
    };
    html! { span class=(class) { (word) } }
}

/// What the service answered: its status, and the beginning of what it said.
fn answer(delivery: &wire::WebhookDelivery) -> Markup {
    html! {
        @if delivery.attempts == 0 { span.soft { "none yet" } }
        @if let Some(status) = delivery.status { (status) }
        @if let Some(took) = delivery.duration_ms { " in " (took) " ms" }
        @if let Some(error) = &delivery.error { span.sub.bad { (error) } }
        @if let Some(answer) = delivery.answer.as_deref().filter(|answer| !answer.is_empty() && delivery.error.is_some()) {
            span.sub.mono { (answer) }
        }
    }
}

/// `POST /console/webhooks/{id}/off`
pub(crate) async fn turn_off(id: Id, act: Act) -> Response {
    switch(id, &act, false).await
}

/// `POST /console/webhooks/{id}/on`
pub(crate) async fn turn_on(id: Id, act: Act) -> Response {
    if let Err(page) = act.prove("Turning a webhook on").await {
        return page;
    }
    switch(id, &act, true).await
}

async fn switch(id: Id, act: &Act, is_enabled: bool) -> Response {
    let visitor = &act.visitor;
    let switched = async {
        let given = Given { is_enabled: Some(is_enabled), ..Given::default() };
        acts::update(&visitor.console.webhooks, &visitor.caller, id?.0, given).await
    };
    lead_back(switched.await)
}

fn lead_back(done: Result<wire::Webhook, Error>) -> Response {
    match done {
        Ok(webhook) => Redirect::to(&path(webhook.id)).into_response(),
        Err(error) => failed(&error),
    }
}

/// `POST /console/webhooks/{id}/test`
pub(crate) async fn test(id: Id, act: Act) -> Response {
    let visitor = &act.visitor;
    let sent = async { acts::send_test(&visitor.console.webhooks, &visitor.caller, id?.0).await };
    sent_back(sent.await)
}

/// `POST /console/webhooks/{id}/deliveries/{delivery_id}/replay`
pub(crate) async fn replay(ids: Result<TwoIds<noun::Webhook, noun::Delivery>, Error>, act: Act) -> Response {
    let visitor = &act.visitor;
    let sent = async {
        let TwoIds(id, delivery): TwoIds<noun::Webhook, noun::Delivery> = ids?;
        let delivery: DeliveryId = delivery;
        acts::replay(&visitor.console.webhooks, &visitor.caller, id, delivery).await
    };
    sent_back(sent.await)
}

fn sent_back(sent: Result<wire::WebhookDelivery, Error>) -> Response {
    match sent {
        Ok(delivery) => Redirect::to(&path(delivery.webhook_id)).into_response(),
        Err(error) => failed(&error),
    }
}

/// `GET /console/webhooks/{id}/secret`
pub(crate) async fn ask_secret(visitor: Box<Visitor>, id: Id) -> Response {
    ask(&visitor, id, |webhook| {
        let body = html! {
            p { "Messages are signed with the new secret from now on, and for a day with the old one, too: your service has that long to change over." }
        };
        (format!("A new secret for {}?", name(webhook)), "secret", body, html! { button type="submit" { "New secret" } })
    })
    .await
}

/// `GET /console/webhooks/{id}/delete`
pub(crate) async fn ask_delete(visitor: Box<Visitor>, id: Id) -> Response {
    ask(&visitor, id, |webhook| {
        let body = html! {
            p { "Its service gets no event from then on, and what was sent to it is no longer listed. " b { "This cannot be undone." } " Turning it off can." }
        };
        (format!("Delete {}?", name(webhook)), "delete", body, html! { button.danger type="submit" { "Delete it" } })
    })
    .await
}

/// The page that asks before an act: its title, where its form goes, what happens, the button.
async fn ask(
    visitor: &Visitor,
    id: Id,
    words: impl FnOnce(&wire::Webhook) -> (String, &'static str, Markup, Markup),
) -> Response {
    let asked = async {
        let webhook = acts::find(&visitor.console.webhooks, &visitor.caller, id?.0).await?;
        let home = path(webhook.id);
        let (title, act, body, button) = words(&webhook);
        let main = html! {
            (body)
            (visitor.form(&format!("{home}/{act}"), "", html! {
                div.choices { (button) a.button href=(home) { "Leave it as it is" } }
            }))
        };
        Ok::<_, Error>(dialog(&title, &main))
    };
    asked.await.unwrap_or_else(|error| failed(&error))
}

/// `POST /console/webhooks/{id}/secret`
pub(crate) async fn new_secret(id: Id, act: Act) -> Response {
    if let Err(page) = act.prove("A new secret").await {
        return page;
    }
    let visitor = &act.visitor;
    let rotated = async { acts::rotate(&visitor.console.webhooks, &visitor.caller, id?.0).await };
    match rotated.await {
        Ok(webhook) => once(visitor, &webhook),
        Err(error) => failed(&error),
    }
}

/// `POST /console/webhooks/{id}/delete`
pub(crate) async fn delete(id: Id, act: Act) -> Response {
    let visitor = &act.visitor;
    let deleted = async { acts::delete(&visitor.console.webhooks, &visitor.caller, id?.0).await };
    match deleted.await {
        Ok(()) => Redirect::to(WEBHOOKS).into_response(),
        Err(error) => failed(&error),
    }
}
