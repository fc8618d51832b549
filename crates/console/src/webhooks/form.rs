//! The form of an endpoint, new or to be changed, and the page that shows its secret once.

use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::id::noun;
use hoody_core::invalid::Invalid;
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::web::IdPath;
use hoody_service::webhooks::acts;
use hoody_service::webhooks::body::Given;
use http::StatusCode;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{WEBHOOKS, name, path};
use crate::parts::form::Field;
use crate::parts::page::{dialog_with, failed};
use crate::parts::secret::shown_once;
use crate::parts::words::rule;
use crate::session::once::{ID, marked_id, read_id};
use crate::session::{Act, Fields, Page, Section, Visitor};

/// What is in the form.
#[derive(Debug, Default)]
struct Draft {
    url: String,
    description: String,
    /// One pattern a line; empty for all.
    types: String,
}

impl Draft {
    fn of(fields: &Fields) -> Self {
        let text = |name| fields.text(name).to_owned();
        Self { url: text("url"), description: text("description"), types: text("types") }
    }

    fn of_webhook(webhook: &wire::Webhook) -> Self {
        Self {
            url: webhook.url.clone(),
            description: webhook.description.clone(),
            types: webhook.event_types.join("\n"),
        }
    }

    /// The body that the API would be sent.
    fn to_body(&self) -> Value {
        let types = self.types.split(['\n', ',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
        json!({ "url": self.url, "description": self.description, "event_types": types.collect::<Vec<_>>() })
    }
}

/// Which form it is.
#[derive(Clone, Copy)]
enum Of<'a> {
    New,
    Existing(&'a wire::Webhook),
}

/// `GET /console/webhooks/new`
pub(crate) async fn new(visitor: Box<Visitor>) -> Response {
    page(&visitor, Of::New, &Draft::default(), None)
}

/// `POST /console/webhooks`
pub(crate) async fn make(act: Act) -> Response {
    let (visitor, draft) = (&act.visitor, Draft::of(&act.fields));
    let webhooks = &visitor.console.webhooks;
    let given = match Given::parse(&draft.to_body(), &webhooks.egress, false) {
        Ok(given) => given,
        Err(invalid) => return page(visitor, Of::New, &draft, Some(&invalid)),
    };
    let Some(id) = read_id(visitor, act.fields.text(ID)) else {
        // Too old, or of another session: it is shown again, and nothing was made.
        return page(visitor, Of::New, &draft, None);
    };
    if let Err(page) = act.prove("Making a webhook").await {
        return page;
    }
    match acts::create(webhooks, &visitor.caller, given, id).await {
        Ok(Some(webhook)) => once(visitor, &webhook),
        Ok(None) => {
            let body = html! {
                p { "This form was sent before. Its webhook was made then, and its secret was shown once." }
                p { "If you did not copy the secret, give the webhook a new one." }
                div.choices { a.button href=(path(id)) { "Open the webhook" } }
            };
            dialog_with(StatusCode::OK, "Already made", &body)
        }
        Err(Error::Invalid(invalid)) => page(visitor, Of::New, &draft, Some(&invalid)),
        Err(error) => failed(&error),
    }
}

/// `GET /console/webhooks/{id}/change`
pub(crate) async fn show_change(visitor: Box<Visitor>, id: Result<IdPath<noun::Webhook>, Error>) -> Response {
    let shown = async {
        let webhook = acts::find(&visitor.console.webhooks, &visitor.caller, id?.0).await?;
        Ok::<_, Error>(page(&visitor, Of::Existing(&webhook), &Draft::of_webhook(&webhook), None))
    };
    shown.await.unwrap_or_else(|error| failed(&error))
}

/// `POST /console/webhooks/{id}/change`
pub(crate) async fn change(id: Result<IdPath<noun::Webhook>, Error>, act: Act) -> Response {
    let (visitor, draft) = (&act.visitor, Draft::of(&act.fields));
    let webhooks = &visitor.console.webhooks;
    let found = async { acts::find(webhooks, &visitor.caller, id?.0).await };
    let webhook = match found.await {
        Ok(webhook) => webhook,
        Err(error) => return failed(&error),
    };
    let given = match Given::parse(&draft.to_body(), &webhooks.egress, true) {
        Ok(given) => given,
        Err(invalid) => return page(visitor, Of::Existing(&webhook), &draft, Some(&invalid)),
    };
    if let Err(page) = act.prove("Changing where events are sent").await {
        return page;
    }
    match acts::update(webhooks, &visitor.caller, webhook.id, given).await {
        Ok(_) => Redirect::to(&path(webhook.id)).into_response(),
        Err(Error::Invalid(invalid)) => page(visitor, Of::Existing(&webhook), &draft, Some(&invalid)),
        Err(error) => failed(&error),
    }
}

/// The page with the secret of an endpoint that was made, or that has a new one.
pub(super) fn once(visitor: &Visitor, webhook: &wire::Webhook) -> Response {
    let secret = webhook.secret.clone().unwrap_or_default();
    let main = html! {
        p.crumb { a href=(WEBHOOKS) { "Webhooks" } }
        h1 { "Copy the secret of " (name(webhook)) " now" }
        p.soft { "hoody shows it this once. If you lose it, give the webhook a new one." }
        (shown_once(name(webhook), &secret))
        h2 { "Check each message with it" }
        p {
            "Every request carries " code { "webhook-id" } ", " code { "webhook-timestamp" } " and " code { "webhook-signature" }
            ", as the Standard Webhooks specification has them: libraries for it are there in every common language."
        }
        @if let Some(until) = webhook.previous_secret_until {
            p { "Until " (crate::parts::time::minute(until)) " messages are signed with the old secret, too." }
        }
        div.choices { a.button.primary href=(path(webhook.id)) data-leave { "I saved it" } }
        p.hint { "Leaving this page hides the secret for good." }
    };
    Page::new(visitor, Section::Webhooks, "Secret, shown once").around(&main)
}

/// The field that a broken rule is about.
fn field_of(invalid: &Invalid) -> &'static str {
    let about =
        |text: &str| ["url", "description", "event_types"].into_iter().find(|name| text.starts_with(name));
    let found = match invalid {
        Invalid::Rule { message, .. } => about(message),
        Invalid::Schema(violations) => {
            violations.first().and_then(|found| about(found.instance_path.trim_start_matches('/')))
        }
    };
    found.unwrap_or_default()
}

fn page(visitor: &Visitor, of: Of<'_>, draft: &Draft, invalid: Option<&Invalid>) -> Response {
    let wrong = invalid.map(rule);
    let place = invalid.map(field_of);
    let at = |name: &str| wrong.as_deref().filter(|_| place == Some(name));
    let (title, action, back) = match of {
        Of::New => ("New webhook".to_owned(), WEBHOOKS.to_owned(), WEBHOOKS.to_owned()),
        Of::Existing(webhook) => {
            let home = path(webhook.id);
            (format!("Change {}", name(webhook)), format!("{home}/change"), home)
        }
    };
    let main = html! {
        p.crumb { a href=(back) { @match of { Of::New => "Webhooks", Of::Existing(webhook) => (name(webhook)) } } }
        h1 { (title) }
        @if let (Some(wrong), Some("")) = (&wrong, place) { p.wrong role="alert" { (wrong) } }
        @if invalid.is_some() && place != Some("") { p.wrong role="alert" { "Something below needs a change. Nothing was changed." } }
        (visitor.form(&action, "", html! {
            @if let Of::New = of { input type="hidden" name=(ID) value=(marked_id::<noun::Webhook>(visitor)); }
            (fields(draft, (at("url"), at("description"), at("event_types"))))
            div.choices {
                button.primary type="submit" { @match of { Of::New => "Make it", Of::Existing(_) => "Change it" } }
                a.button href=(back) { "Cancel" }
            }
        }))
    };
    let status = if invalid.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Page::new(visitor, Section::Webhooks, &title).with(status).around(&main)
}

fn fields(draft: &Draft, (url, description, types): (Option<&str>, Option<&str>, Option<&str>)) -> Markup {
    let url = Field {
        name: "url",
        label: "Address",
        hint: "Where your service listens: https://service.example.com/hoody. It must be reachable from this server.",
        wrong: url,
    };
    let description = Field {
        name: "description",
        label: "What it is for",
        hint: "Up to 200 characters. You see it in lists.",
        wrong: description,
    };
    let types = Field {
        name: "types",
        label: "Which events",
        hint: "One type or family a line, such as auth.token.created or auth.token.*. Empty for every event.",
        wrong: types,
    };
    html! {
        (url.around(&html! {
            input #url name="url" type="url" value=(draft.url) maxlength="2048" required autocomplete="off" spellcheck="false"
                aria-describedby=[url.described_by()] aria-invalid=[url.wrong.map(|_| "true")];
        }))
        (description.around(&html! {
            input #description name="description" value=(draft.description) maxlength="200" autocomplete="off"
                aria-describedby=[description.described_by()] aria-invalid=[description.wrong.map(|_| "true")];
        }))
        (types.around(&html! {
            textarea #types name="types" rows="3" spellcheck="false" autocomplete="off"
                aria-describedby=[types.described_by()] aria-invalid=[types.wrong.map(|_| "true")] { (draft.types) }
        }))
    }
}
