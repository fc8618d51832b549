//! A new token: reviewed in sentences, then made, its secret shown once.
//!
//! The review carries the id that the token will have, with a mark of its session and hour. The token is made
//! under that id, so that a form that is sent twice finds what the first one made and makes nothing.

use axum::response::Response;
use hoody_core::id::{TokenId, noun};
use hoody_core::permissions::Selection;
use hoody_core::time::Timestamp;
use hoody_core::token::NewToken;
use hoody_core::wire;
use hoody_engine::catalogue::{catalogue, catalogues};
use hoody_engine::error::Error;
use hoody_engine::web::IdPath;
use hoody_service::sign_in::two_factor::Proof;
use hoody_service::tokens::http::create;
use http::StatusCode;
use maud::{Markup, html};

use super::new::{Draft, REVIEW, form};
use super::{find, path};
use crate::parts::page::{dialog_with, failed};
use crate::parts::permissions::{boxes, held};
use crate::parts::secret::shown_once;
use crate::parts::time;
use crate::parts::words::{Limits, sentences, template_of, warnings};
use crate::session::once::{ID, marked_id, read_id};
use crate::session::{Act, Page, Section, Visitor};

const MAKE: &str = "/console/tokens";

/// `POST /console/tokens/review`
pub(crate) async fn review(act: Act) -> Response {
    let (visitor, mut draft) = (&act.visitor, Draft::of(&act.fields, &act.visitor.own));
    match act.fields.text("do") {
        "preset" => {
            if let Some(permissions) = catalogues(&visitor.own).template(&draft.preset) {
                draft.permissions = permissions;
            }
            return form(visitor, &draft, None);
        }
        "edit" => return form(visitor, &draft, None),
        _ => {}
    }
    match draft.read(&visitor.address().to_string(), visitor.now, &visitor.own) {
        Ok(new) => review_page(visitor, &draft, &new, StatusCode::OK),
        Err(invalid) => form(visitor, &draft, Some(&invalid)),
    }
}

fn review_page(visitor: &Visitor, draft: &Draft, new: &NewToken, status: StatusCode) -> Response {
    let entries = if new.addresses.is_any() { Vec::new() } else { new.addresses.entries() };
    let in_force =
        Selection { hoody: catalogue().grantable(new.permissions.hoody), own: new.permissions.own.clone() };
    let limits = Limits {
        permissions: &in_force,
        own: &visitor.own,
        addresses: &entries,
        expires_at: new.expires_at,
        realms: new.realm_ids.len(),
        vault: new.vault_access,
    };
    let main = html! {
        p.crumb { a href="/console/tokens" { "Tokens" } }
        h1 { "Review " (draft.alias) }
        p { (sentences(&limits, visitor.now)) }
        @for warning in warnings(&limits) { div.note.warn { p { (warning) } } }
        div.row.choices {
            (visitor.form(MAKE, "", html! {
                (draft.keep(&visitor.own))
                input type="hidden" name=(ID) value=(marked_id::<noun::Token>(visitor));
                button.primary type="submit" { "Make it" }
            }))
            (visitor.form(REVIEW, "", html! {
                (draft.keep(&visitor.own))
                button type="submit" name="do" value="edit" { "Go back and change it" }
            }))
        }
        h2 { "In full" }
        details {
            summary { "The same on the command line" }
            pre { (command(visitor, draft, new)) }
        }
        @if !held(&in_force, &visitor.own).is_empty() {
            details {
                summary { "Each permission" }
                ul.plain {
                    @for leaf in held(&in_force, &visitor.own) {
                        li { code { (leaf.path) } @if leaf.writes { " " span.badge { "writes" } } }
                    }
                }
            }
        }
    };
    Page::new(visitor, Section::Tokens, "Review a new token").with(status).around(&main)
}

/// What makes the same token in a terminal.
fn command(visitor: &Visitor, draft: &Draft, new: &NewToken) -> String {
    let base = &visitor.console.access.public_url;
    let mut lines = vec![format!("hoody --base-url {base} auth create --alias '{}'", draft.alias)];
    match template_of(&new.permissions, &visitor.own) {
        Some(template) => lines.push(format!("--permission-template {template}")),
        None => {
            let boxes = boxes(&new.permissions, &visitor.own);
            lines.extend(boxes.iter().map(|path| format!("--permission '{path}'")));
        }
    }
    if !new.addresses.is_any() {
        lines.extend(new.addresses.entries().into_iter().map(|entry| format!("--ip-whitelist {entry}")));
    }
    if let Some(end) = new.expires_at {
        lines.push(format!("--expires-at {end}"));
    }
    lines.join(" \\\n  ")
}

/// `POST /console/tokens`
pub(crate) async fn make(act: Act) -> Response {
    let (visitor, draft) = (&act.visitor, Draft::of(&act.fields, &act.visitor.own));
    let new = match draft.read(&visitor.address().to_string(), visitor.now, &visitor.own) {
        Ok(new) => new,
        Err(invalid) => return form(visitor, &draft, Some(&invalid)),
    };
    let Some(id) = read_id(visitor, act.fields.text(ID)) else {
        // Too old, or of another session: it is shown again, and nothing was made.
        return review_page(visitor, &draft, &new, StatusCode::CONFLICT);
    };
    if let Err(page) = act.prove("Making a token").await {
        return page;
    }
    match create(&visitor.console.tokens, &visitor.caller, new, Proof::SteppedUp, id).await {
        Ok(Some(token)) => once(visitor, &token),
        Ok(None) => already(id),
        Err(Error::Invalid(invalid)) => form(visitor, &draft, Some(&invalid)),
        Err(error) => failed(&error),
    }
}

/// The form was sent before: its token is there, and its secret is gone.
fn already(id: TokenId) -> Response {
    let body = html! {
        p { "This form was sent before. Its token was made then, and its secret was shown once." }
        p { "If you did not copy the secret, delete that token and make another." }
        div.choices { a.button href=(path(id)) { "Open the token" } a.button href="/console/tokens/new" { "New token" } }
    };
    dialog_with(StatusCode::OK, "Already made", &body)
}

fn once(visitor: &Visitor, token: &wire::AuthToken) -> Response {
    let secret = token.token.clone().unwrap_or_default();
    let base = &visitor.console.access.public_url;
    let home = path(token.id);
    let main = html! {
        p.crumb { a href="/console/tokens" { "Tokens" } }
        h1 { "Copy the secret of " (token.alias) " now" }
        p.soft { "hoody stores only a digest of it and cannot show it again. If you lose it, make another token." }
        (shown_once(&token.alias, &secret))
        h2 { "Put it away" }
        pre {
            "read -rs HOODY_TOKEN; export HOODY_TOKEN   # paste it: it stays out of your shell's history\n"
            "gh secret set HOODY_TOKEN                  # GitHub Actions"
        }
        h2 { "Try it" }
        pre {
            "curl -s -o /dev/null -w '%{http_code}\\n' " (base) "/api/v1/auth/check \\\n"
            "  -H \"Authorization: Bearer $HOODY_TOKEN\"   # 204"
        }
        p #first-use data-live={ (home) "/first-use?part=1" } aria-live="polite" { (waiting()) }
        div.choices { a.button.primary href=(home) data-leave { "I saved it" } }
        p.hint { "Leaving this page hides the secret for good." }
    };
    Page::new(visitor, Section::Tokens, "Secret, shown once").around(&main)
}

fn waiting() -> Markup {
    html! { span.is.soft { "Waiting for its first use" } }
}

/// `GET /console/tokens/{id}/first-use`: whether it has been used, for the page that shows its secret.
pub(crate) async fn first_use(visitor: Box<Visitor>, IdPath(id): IdPath<noun::Token>) -> Response {
    let token = match find(&visitor, id).await {
        Ok(token) => token,
        Err(error) => return failed(&error),
    };
    let used: Option<Timestamp> = token.last_used_at;
    let main = html! {
        p #first-use {
            @match used {
                Some(at) => {
                    span.is.good { "Used at " (time::clock(at)) }
                    @if let Some(ip) = &token.last_used_ip { " from " span.mono { (ip) } }
                },
                None => (waiting()),
            }
        }
    };
    Page::new(&visitor, Section::Tokens, "First use").around(&main)
}
