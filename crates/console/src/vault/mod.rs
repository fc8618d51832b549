//! The pages of the vault: names, one value at a time after a step-up, a value set, a key deleted. Keys of realms are
//! for the API.

pub(crate) mod set;

use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::names;
use hoody_engine::error::Error;
use hoody_engine::web::Query;
use hoody_engine::web::path::TextPath;
use hoody_service::vault::acts::{self, Opened};
use hoody_service::vault::{Entry, MAX_BYTES};
use maud::{Markup, html};

use crate::parts::page::{dialog, failed};
use crate::parts::time;
use crate::session::{Act, Page, Section, Visitor};

pub(crate) const VAULT: &str = "/console/vault";
/// How many keys a page has.
const ROWS: i64 = 50;
/// The longest value that a page shows, in bytes.
const MOST_SHOWN: usize = 32 * 1024;

/// The name of a key in a path.
type Key = Result<TextPath, Error>;

/// The name, if it is one that a key can have: nothing else is looked for or written into an address.
fn name_of(key: Key) -> Result<String, Error> {
    let TextPath(name) = key?;
    names::vault_key(&name)?;
    Ok(name)
}

/// `1.2 KB`, as people count: 1,000 bytes to a kilobyte.
fn size(bytes: i64) -> String {
    let bytes = bytes.max(0);
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{}.{} KB", bytes / 1_000, bytes % 1_000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// `GET /console/vault?after=`
pub(crate) async fn show(visitor: Box<Visitor>, query: Query) -> Response {
    list(&visitor, &query).await.unwrap_or_else(|error| failed(&error))
}

async fn list(visitor: &Visitor, query: &Query) -> Result<Response, Error> {
    let vault = &visitor.console.vault;
    let after = query.text("after").ok().flatten().unwrap_or_default();
    // One more tells whether there is another page.
    let mut found = acts::names(vault, &visitor.caller, None, after, ROWS + 1).await?;
    let rows = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let has_more = found.len() > rows;
    found.truncate(rows);
    let used = acts::used(vault, &visitor.caller).await?;
    let main = html! {
        div.head {
            div {
                h1 { "Vault" }
                p.soft {
                    "Values that your programs read with a token that may. They are stored encrypted. "
                    (size(used)) " of " (size(MAX_BYTES)) " are in use."
                }
            }
            a.button.primary href={ (VAULT) "/set" } { "Set a value" }
        }
        (told(query.text("done").ok().flatten().unwrap_or_default()))
        @if found.is_empty() && after.is_empty() {
            div.empty {
                p { "There is nothing in it. A program reads a value with " code { "hoody vault get NAME" } " or " code { "GET /api/v1/vault/keys/NAME" } "." }
            }
        } @else {
            table.stack {
                thead { tr { th { "Name" } th.num { "Size" } th { "Set" } th { span.hidden { "Acts" } } } }
                tbody { @for entry in &found { (row(visitor, entry)) } }
            }
            nav.pages aria-label="Pages" {
                @if !after.is_empty() { a.button href=(VAULT) { "First" } }
                @if has_more && let Some(last) = found.last() { a.button rel="next" href={ (VAULT) "?after=" (last.name) } { "Next" } }
            }
        }
        p.small.soft { "Keys in realms are not listed here: " code { "hoody vault list --realm-id ID" } "." }
    };
    Ok(Page::new(visitor, Section::Vault, "Vault").around(&main))
}

fn told(done: &str) -> Markup {
    html! {
        @match done {
            "set" => div.note.good role="status" { p { "The value is set. Programs get it from their next request on." } },
            "deleted" => div.note.good role="status" { p { "The key is deleted." } },
            _ => {},
        }
    }
}

fn row(visitor: &Visitor, entry: &Entry) -> Markup {
    let home = format!("{VAULT}/keys/{}", entry.name);
    html! {
        tr {
            td.name.mono { (entry.name) }
            td.num data-is="Size" { (size(entry.size_bytes)) }
            td data-is="Set" { (time::ago(entry.updated_at, visitor.now)) }
            td {
                div.row {
                    (visitor.button(&format!("{home}/show"), "", "Show"))
                    a.button href={ (VAULT) "/set?key=" (entry.name) } { "Replace" }
                    a.button href={ (home) "/delete" } { "Delete" }
                }
            }
        }
    }
}

/// Somebody reloaded an act.
pub(crate) async fn go_back(_visitor: Box<Visitor>) -> Response {
    Redirect::to(VAULT).into_response()
}

/// `POST /console/vault/keys/{key}/show`
pub(crate) async fn reveal(key: Key, act: Act) -> Response {
    let name = match name_of(key) {
        Ok(name) => name,
        Err(error) => return failed(&error),
    };
    if let Err(page) = act.prove("Showing a value").await {
        return page;
    }
    let visitor = &act.visitor;
    match acts::open(&visitor.console.vault, &visitor.caller, None, &name).await {
        Ok(opened) => value_page(visitor, &opened),
        Err(error) => failed(&error),
    }
}

fn value_page(visitor: &Visitor, opened: &Opened) -> Response {
    let Opened { entry, metadata, text } = opened;
    let shown = Some(text.bytes.as_slice()).filter(|bytes| bytes.len() <= MOST_SHOWN);
    let shown = shown.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let metadata = metadata.as_ref().filter(|json| json.len() <= MOST_SHOWN);
    let metadata = metadata.and_then(|json| std::str::from_utf8(json).ok());
    let main = html! {
        p.crumb { a href=(VAULT) { "Vault" } }
        h1 { (entry.name) }
        p.soft { (size(entry.value_bytes)) ", set " (time::ago(entry.updated_at, visitor.now)) ". This page is not kept: reload and Back do not show the value again." }
        @match shown {
            Some(value) => {
                div.field {
                    label for="shown" { "Value" }
                    textarea #shown rows=(value.lines().count().clamp(2, 20)) readonly spellcheck="false" autocomplete="off" {
                        // The first line break of a text area is not part of it.
                        "\n" (value)
                    }
                }
                div.row { button.primary type="button" data-copy="shown" hidden { "Copy" } }
                p.hint role="status" data-copied {}
            },
            None => {
                p { "It is too long to show here. In a terminal:" }
                pre { "hoody vault get " (entry.name) " > FILE" }
            },
        }
        @if let Some(json) = metadata { h2 { "Metadata" } pre { (json) } }
        div.choices { a.button href=(VAULT) { "Close" } }
    };
    Page::new(visitor, Section::Vault, &entry.name).around(&main)
}

/// `GET /console/vault/keys/{key}/delete`
pub(crate) async fn ask_delete(visitor: Box<Visitor>, key: Key) -> Response {
    let name = match name_of(key) {
        Ok(name) => name,
        Err(error) => return failed(&error),
    };
    let body = html! {
        p { "Programs that read it get 404 from then on. " b { "This cannot be undone:" } " hoody keeps no copy of the value." }
        (visitor.form(&format!("{VAULT}/keys/{name}/delete"), "", html! {
            div.choices { button.danger type="submit" { "Delete it" } a.button href=(VAULT) { "Leave it as it is" } }
        }))
    };
    dialog(&format!("Delete {name}?"), &body)
}

/// `POST /console/vault/keys/{key}/delete`
pub(crate) async fn delete(key: Key, act: Act) -> Response {
    let visitor = &act.visitor;
    let deleted = async { acts::delete(&visitor.console.vault, &visitor.caller, None, &name_of(key)?).await };
    match deleted.await {
        Ok(()) => Redirect::to(&format!("{VAULT}?done=deleted")).into_response(),
        Err(error) => failed(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_people_count() {
        for (bytes, text) in
            [(0, "0 bytes"), (999, "999 bytes"), (1_250, "1.2 KB"), (52_428_800, "52.4 MB"), (-1, "0 bytes")]
        {
            assert_eq!(size(bytes), text);
        }
    }
}
