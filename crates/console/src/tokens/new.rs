//! The form of a new token, and what it asks for. Nothing is made by opening its address, whatever is filled
//! in there.

use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::id::TokenId;
use hoody_core::invalid::Invalid;
use hoody_core::names::copy_alias;
use hoody_core::permissions::Selection;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::time::{DAY, HOUR, Timestamp};
use hoody_core::token::NewToken;
use hoody_engine::catalogue::catalogues;
use hoody_engine::web::Query;
use hoody_service::tokens::Token;
use http::StatusCode;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{find, in_force};
use crate::parts::form::Field;
use crate::parts::page::failed;
use crate::parts::permissions::{FIELD, boxes, held, picked, picker, settled, templates};
use crate::parts::{time, words};
use crate::session::{Fields, Page, Section, Visitor};

pub(crate) const REVIEW: &str = "/console/tokens/review";

/// When a token may end, by what the form calls it, from now on in milliseconds.
const ENDS: [(&str, &str, i64); 5] = [
    ("1h", "1 hour", HOUR),
    ("1d", "1 day", DAY),
    ("7d", "7 days", 7 * DAY),
    ("30d", "30 days", 30 * DAY),
    ("90d", "90 days", 90 * DAY),
];
const DEFAULT_END: &str = "30d";

/// What is in the form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) alias: String,
    pub(crate) preset: String,
    pub(crate) permissions: Selection,
    /// Whether the visitor's own address is on the list.
    pub(crate) is_here: bool,
    /// One entry a line.
    pub(crate) addresses: String,
    pub(crate) ends: String,
    /// A day, where `ends` says so.
    pub(crate) date: String,
    /// One realm a line.
    pub(crate) realms: String,
    pub(crate) vault: bool,
    pub(crate) events: bool,
}

impl Draft {
    /// What a form sent.
    pub(crate) fn of(fields: &Fields, own: &OwnCatalogue) -> Self {
        let paths: Vec<_> = fields.all(FIELD).collect();
        Self {
            alias: fields.text("alias").to_owned(),
            preset: fields.text("preset").to_owned(),
            permissions: picked(&paths, own),
            is_here: fields.has("here"),
            addresses: fields.text("from").to_owned(),
            ends: Some(fields.text("ends")).filter(|ends| !ends.is_empty()).unwrap_or(DEFAULT_END).to_owned(),
            date: fields.text("date").to_owned(),
            realms: fields.text("realms").to_owned(),
            vault: fields.has("vault"),
            events: fields.has("events"),
        }
    }

    /// What an address fills in: `alias`, `permission` (a template or paths with commas), `ip`, `ends`.
    fn of_query(query: &Query, own: &OwnCatalogue) -> Self {
        let text = |name| query.text(name).ok().flatten().unwrap_or_default().trim().to_owned();
        let permission = text("permission");
        let template = catalogues(own).template(&permission);
        let ends = Some(text("ends")).filter(|ends| !ends.is_empty());
        Self {
            alias: text("alias").chars().take(254).collect(),
            preset: if template.is_some() { permission.clone() } else { String::new() },
            permissions: template.unwrap_or_else(|| picked(&permission.split(',').collect::<Vec<_>>(), own)),
            is_here: !text("here").is_empty(),
            addresses: text("ip").replace(',', "\n"),
            ends: ends.unwrap_or_else(|| DEFAULT_END.to_owned()),
            // Counts only with the permission, so that a box less has to be known of.
            events: true,
            ..Self::default()
        }
    }

    /// What another token is limited to, for the usual time.
    fn like(token: &Token, own: &OwnCatalogue) -> Self {
        let addresses = &token.limits.addresses;
        let realms: Vec<_> = token.realm_ids.iter().map(ToString::to_string).collect();
        Self {
            alias: copy_alias(&token.alias, 1),
            permissions: Selection { own: settled(&token.permissions.own, own), ..in_force(token) },
            addresses: if addresses.is_any() { String::new() } else { addresses.entries().join("\n") },
            ends: DEFAULT_END.to_owned(),
            realms: realms.join("\n"),
            vault: token.limits.vault_access,
            events: token.limits.event_access,
            ..Self::default()
        }
    }

    /// The body that the API would be sent. `here` is where the visitor is.
    fn to_body(&self, here: &str, now: Timestamp, own: &OwnCatalogue) -> Value {
        let entries =
            || self.addresses.split(['\n', ',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
        let entries: Vec<&str> = self.is_here.then_some(here).into_iter().chain(entries()).collect();
        let realms: Vec<&str> = self.realms.split_whitespace().collect();
        let mut body = json!({
            "alias": self.alias,
            "permissions": catalogues(own).to_tree(&self.permissions),
            "realm_ids": realms,
            "vault_access": self.vault,
            "event_access": self.events,
            "expires_at": self.expires_at(now),
        });
        if !entries.is_empty() {
            body["ip_whitelist"] = json!(entries);
        }
        body
    }

    fn expires_at(&self, now: Timestamp) -> Value {
        match self.ends.as_str() {
            "never" => Value::Null,
            "date" => json!(self.date),
            ends => match ENDS.iter().find(|(name, ..)| *name == ends) {
                Some((_, _, millis)) => json!(now.plus(*millis).millis()),
                None => json!(ends),
            },
        }
    }

    /// The token that it asks for.
    ///
    /// # Errors
    /// The rule that is broken.
    pub(crate) fn read(&self, here: &str, now: Timestamp, own: &OwnCatalogue) -> Result<NewToken, Invalid> {
        NewToken::parse(&self.to_body(here, now, own), now, catalogues(own), true)
    }

    /// Its fields, hidden.
    pub(crate) fn keep(&self, own: &OwnCatalogue) -> Markup {
        let hidden = |name: &str, value: &str| html! { input type="hidden" name=(name) value=(value); };
        html! {
            (hidden("alias", &self.alias))
            (hidden("preset", &self.preset))
            @for path in &boxes(&self.permissions, own) { (hidden(FIELD, path)) }
            @if self.is_here { (hidden("here", "1")) }
            (hidden("from", &self.addresses))
            (hidden("ends", &self.ends))
            (hidden("date", &self.date))
            (hidden("realms", &self.realms))
            @if self.vault { (hidden("vault", "1")) }
            @if self.events { (hidden("events", "1")) }
        }
    }
}

/// The field that a broken rule is about.
fn field_of(invalid: &Invalid) -> &'static str {
    match invalid {
        Invalid::Rule { code, message } => match *code {
            "INVALID_ALIAS_FORMAT" | "DUPLICATE_ALIAS" => "alias",
            "INVALID_IP_FORMAT" | "IP_WHITELIST_TOO_LARGE" => "from",
            "INVALID_EXPIRATION_FORMAT" | "EXPIRATION_IN_PAST" => "ends",
            "INVALID_REALM_ID_FORMAT" => "realms",
            _ if message.contains("realm") => "realms",
            _ => "",
        },
        Invalid::Schema(violations) => match violations.first().map(|found| found.instance_path.as_str()) {
            Some("/ip_whitelist") => "from",
            Some("/expires_at") => "ends",
            Some("/alias") => "alias",
            _ => "",
        },
    }
}

/// `GET /console/tokens/new?alias=&permission=&ip=&ends=`, or `?like=` with the id of a token
pub(crate) async fn show(visitor: Box<Visitor>, query: Query) -> Response {
    let like = query.text("like").ok().flatten().and_then(|id| id.parse::<TokenId>().ok());
    let draft = match like {
        None => Draft::of_query(&query, &visitor.own),
        Some(id) => match find(&visitor, id).await {
            Ok(token) => Draft::like(&token, &visitor.own),
            Err(error) => return failed(&error),
        },
    };
    form(&visitor, &draft, None)
}

/// Somebody reloaded the review.
pub(crate) async fn begin_again() -> Response {
    Redirect::to("/console/tokens/new").into_response()
}

/// The form with what is in it, and what is wrong.
pub(crate) fn form(visitor: &Visitor, draft: &Draft, invalid: Option<&Invalid>) -> Response {
    let wrong = invalid.map(words::rule);
    let place = invalid.map(field_of);
    let at = |name: &str| wrong.as_deref().filter(|_| place == Some(name));
    let name = Field {
        name: "alias",
        label: "Name",
        hint: "Where it will be used, for instance ci-runner. Letters, digits, spaces, hyphens, underscores.",
        wrong: at("alias"),
    };
    let main = html! {
        p.crumb { a href="/console/tokens" { "Tokens" } }
        h1 { "New token" }
        p.soft { "You see everything in sentences before it is made." }
        @if let (Some(wrong), Some("")) = (&wrong, place) { p.wrong role="alert" { (wrong) } }
        @if invalid.is_some() && place != Some("") { p.wrong role="alert" { "Something below needs a change. Nothing was made." } }
        (visitor.form(REVIEW, "", html! {
            // Enter in a field reviews: the first button of a form is the one that it presses.
            button.hidden type="submit" tabindex="-1" { "Review" }
            (name.around(&html! {
                input #alias name="alias" value=(draft.alias) maxlength="254" required autocomplete="off"
                    spellcheck="false" aria-describedby=[name.described_by()] aria-invalid=[at("alias").map(|_| "true")];
            }))
            fieldset {
                legend { "May" }
                (templates(&draft.preset, &visitor.own))
                p.hint data-total aria-live="polite" { (total(&draft.permissions, &visitor.own)) }
                (picker(&draft.permissions, &visitor.own))
            }
            (addresses(visitor, draft, at("from")))
            (ends(draft, visitor.now, at("ends")))
            (more(draft, at("realms")))
            div.choices { button.primary type="submit" { "Review" } a.button href="/console/tokens" { "Cancel" } }
        }))
    };
    let status = if invalid.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Page::new(visitor, Section::Tokens, "New token").with(status).around(&main)
}

fn total(permissions: &Selection, own: &OwnCatalogue) -> String {
    let held = held(permissions, own);
    let (all, writing) = (held.len() as u64, held.iter().filter(|leaf| leaf.writes).count() as u64);
    match all {
        0 => "No permission yet: the token would prove who it is, and nothing more.".to_owned(),
        _ => format!("{}, {}.", words::things(all, "permission"), words::writing(writing)),
    }
}

fn addresses(visitor: &Visitor, draft: &Draft, wrong: Option<&str>) -> Markup {
    let here = visitor.address();
    let field = Field {
        name: "from",
        label: "Other addresses",
        hint: "One a line: 203.0.113.7, 10.0.0.0/8, 2001:db8::/32. With nothing here and above, it works from any address.",
        wrong,
    };
    html! {
        fieldset {
            legend { "From" }
            label.pick {
                input type="checkbox" name="here" value="1" checked[draft.is_here];
                span { "This address, " span.mono { (here) } }
            }
            (field.around(&html! {
                textarea #from name="from" rows="3" spellcheck="false" autocomplete="off"
                    aria-describedby=[field.described_by()] aria-invalid=[wrong.map(|_| "true")] { (draft.addresses) }
            }))
        }
    }
}

fn ends(draft: &Draft, now: Timestamp, wrong: Option<&str>) -> Markup {
    let tomorrow = now.plus(DAY).to_string();
    html! {
        fieldset aria-describedby=[wrong.map(|_| "ends-wrong")] {
            legend { "Until" }
            @if let Some(wrong) = wrong { p.wrong #ends-wrong { (wrong) } }
            @for (value, label, millis) in ENDS {
                label.pick {
                    input type="radio" name="ends" value=(value) checked[draft.ends == value];
                    span { (label) " " span.soft.small { "until " (time::day(now.plus(millis))) } }
                }
            }
            div.row {
                label.pick {
                    input type="radio" name="ends" value="date" checked[draft.ends == "date"];
                    span { "Until a day" }
                }
                label.hidden for="date" { "Day" }
                input #date type="date" name="date" value=(draft.date) min=(tomorrow.get(..10).unwrap_or_default());
            }
            label.pick {
                input type="radio" name="ends" value="never" checked[draft.ends == "never"];
                span { "Never " span.warn.small { "nobody will be reminded of it" } }
            }
        }
    }
}

fn more(draft: &Draft, wrong: Option<&str>) -> Markup {
    let field = Field {
        name: "realms",
        label: "Only in these realms",
        hint: "Realm ids of 24 hex digits, one a line. Empty for no limit.",
        wrong,
    };
    html! {
        details.group open[wrong.is_some() || !draft.realms.is_empty() || draft.vault] {
            summary { "Realms, vault, events" }
            div {
                (field.around(&html! {
                    textarea #realms name="realms" rows="2" spellcheck="false" aria-describedby=[field.described_by()] { (draft.realms) }
                }))
                label.pick {
                    input type="checkbox" name="vault" value="1" checked[draft.vault];
                    span { "Vault access " span.soft.small { "counts together with " code { "resources.vault" } } }
                }
                label.pick {
                    input type="checkbox" name="events" value="1" checked[draft.events];
                    span { "Event access " span.soft.small { "counts together with " code { "resources.events" } } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hoody_engine::catalogue::catalogue;

    const NOW: i64 = 1_772_442_942_118;

    fn own() -> OwnCatalogue {
        OwnCatalogue::default()
    }

    fn draft() -> Draft {
        Draft { alias: "ci".to_owned(), ends: DEFAULT_END.to_owned(), ..Draft::default() }
    }

    #[test]
    fn an_empty_form_asks_for_no_permission() {
        let now = Timestamp::from_millis(NOW);
        let token = draft().read("203.0.113.7", now, &own()).unwrap();
        assert!(token.permissions == Selection::default() && !token.is_defaulted);
        assert!(token.addresses.is_any() && !token.vault_access && !token.event_access);
        assert_eq!(token.expires_at, Some(now.plus(30 * DAY)));
    }

    #[test]
    fn what_is_typed_is_read_as_the_api_reads_it() {
        let now = Timestamp::from_millis(NOW);
        let mut draft = draft();
        draft.is_here = true;
        draft.addresses = "10.1.2.3/8\r\n2001:db8::/32, 203.0.113.7".to_owned();
        draft.permissions = picked(&["projects.read"], &own());
        draft.ends = "never".to_owned();
        let token = draft.read("203.0.113.7", now, &own()).unwrap();
        assert_eq!(token.addresses.entries(), ["203.0.113.7", "10.0.0.0/8", "2001:db8::/32"]);
        assert_eq!(
            (token.expires_at, catalogue().to_paths(token.permissions.hoody).as_str()),
            (None, "projects.read")
        );
    }

    #[test]
    fn a_broken_rule_is_told_at_its_field() {
        let now = Timestamp::from_millis(NOW);
        let wrong = |change: &dyn Fn(&mut Draft)| {
            let mut draft = draft();
            change(&mut draft);
            field_of(&draft.read("203.0.113.7", now, &own()).unwrap_err())
        };
        assert_eq!(wrong(&|draft| draft.alias = "a/b".to_owned()), "alias");
        assert_eq!(wrong(&|draft| draft.alias.clear()), "alias");
        assert_eq!(wrong(&|draft| draft.addresses = "127.1".to_owned()), "from");
        assert_eq!(wrong(&|draft| draft.realms = "xyz".to_owned()), "realms");
        for ends in ["date", "soon"] {
            assert_eq!(wrong(&|draft| draft.ends = ends.to_owned()), "ends");
        }
        assert_eq!(
            wrong(&|draft| (draft.ends, draft.date) = ("date".to_owned(), "2001-01-01".to_owned())),
            "ends"
        );
    }
}
