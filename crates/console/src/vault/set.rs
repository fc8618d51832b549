//! A value of the vault set, for the first time or again. It is never written back into a page.

use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::invalid::Invalid;
use hoody_core::names;
use hoody_engine::error::Error;
use hoody_engine::web::Query;
use hoody_service::vault::acts;
use hoody_service::vault::body::SetKey;
use http::StatusCode;
use maud::{Markup, html};
use zeroize::Zeroizing;

use super::VAULT;
use crate::parts::form::Field;
use crate::parts::page::failed;
use crate::parts::words::{problem, rule};
use crate::session::{Act, Page, Section, Visitor};

/// What is wrong, and with which field.
type Wrong<'a> = Option<(&'a str, String)>;

/// `GET /console/vault/set?key=`
pub(crate) async fn show(visitor: Box<Visitor>, query: Query) -> Response {
    form(&visitor, query.text("key").ok().flatten().unwrap_or_default(), &None)
}

/// `POST /console/vault/set`
pub(crate) async fn set(act: Act) -> Response {
    let (visitor, name) = (&act.visitor, act.fields.text("key"));
    if let Err(invalid) = names::vault_key(name) {
        return form(visitor, name, &Some(("key", said(&invalid))));
    }
    if !act.fields.has("value") {
        let missing = "Give the value again: it is never written back into a page.".to_owned();
        return form(visitor, name, &Some(("value", missing)));
    }
    // Browsers send every line break of a text area as two characters.
    let value = Zeroizing::new(act.fields.secret("value").expose().replace("\r\n", "\n"));
    let given = match SetKey::of_text(&value) {
        Ok(given) => given,
        Err(error) => return form(visitor, name, &Some(("value", problem(&error)))),
    };
    match acts::set(&visitor.console.vault, &visitor.caller, (None, name.to_owned()), given).await {
        Ok(_) => Redirect::to(&format!("{VAULT}?done=set")).into_response(),
        Err(Error::Invalid(invalid)) => form(visitor, name, &Some(("", rule(&invalid)))),
        Err(error @ Error::Refused { .. }) => form(visitor, name, &Some(("", problem(&error)))),
        Err(error) => failed(&error),
    }
}

fn said(invalid: &Invalid) -> String {
    rule(invalid).replace('`', "")
}

fn form(visitor: &Visitor, name: &str, wrong: &Wrong<'_>) -> Response {
    let at =
        |field: &str| wrong.as_ref().filter(|(place, _)| *place == field).map(|(_, words)| words.as_str());
    let key = Field {
        name: "key",
        label: "Name",
        hint: "Letters, digits, dots, underscores and hyphens, such as db.password. A key of this name gets the new value.",
        wrong: at("key"),
    };
    let value = Field {
        name: "value",
        label: "Value",
        hint: "Up to a megabyte of text. Line breaks are stored as one character.",
        wrong: at("value"),
    };
    let main = html! {
        p.crumb { a href=(VAULT) { "Vault" } }
        h1 { "Set a value" }
        @if let Some(wrong) = at("") { p.wrong role="alert" { (wrong) } }
        @if wrong.is_some() && at("").is_none() { p.wrong role="alert" { "Something below needs a change. Nothing was stored." } }
        (visitor.form(&format!("{VAULT}/set"), "", fields(name, &key, &value)))
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Page::new(visitor, Section::Vault, "Set a value").with(status).around(&main)
}

fn fields(name: &str, key: &Field<'_>, value: &Field<'_>) -> Markup {
    html! {
        (key.around(&html! {
            input.mono #key name="key" value=(name) maxlength="255" required autocomplete="off" spellcheck="false"
                aria-describedby=[key.described_by()] aria-invalid=[key.wrong.map(|_| "true")];
        }))
        (value.around(&html! {
            textarea #value name="value" rows="4" required autocomplete="off" spellcheck="false"
                aria-describedby=[value.described_by()] aria-invalid=[value.wrong.map(|_| "true")] {}
        }))
        div.choices { button.primary type="submit" { "Set it" } a.button href=(VAULT) { "Cancel" } }
    }
}
