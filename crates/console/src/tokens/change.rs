//! A change of what limits a token. What narrows it asks for nothing; what widens it is a step-up.

use axum::response::{IntoResponse as _, Redirect, Response};
use hoody_core::id::noun;
use hoody_core::invalid::Invalid;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::permissions::{PermissionSet, Selected, Selection};
use hoody_core::token::TokenChange;
use hoody_engine::catalogue::{catalogue, catalogues};
use hoody_engine::error::Error;
use hoody_engine::web::{IdPath, Query};
use hoody_service::activity::usage;
use hoody_service::sign_in::two_factor::Proof;
use hoody_service::tokens::Token;
use hoody_service::tokens::changes::update;
use http::StatusCode;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{find, path};
use crate::parts::form::Field;
use crate::parts::page::failed;
use crate::parts::permissions::{FIELD, picked, picker, settled};
use crate::parts::words::rule;
use crate::session::{Act, Fields, Page, Section, Visitor};

/// For how many days back a token is narrowed to what it used.
const NARROW_DAYS: i64 = 30;

/// What is in the form.
#[derive(Debug)]
struct Draft {
    alias: String,
    permissions: Selection,
    addresses: String,
    /// An instant, or empty for never.
    ends: String,
}

impl Draft {
    fn of_token(token: &Token, own: &OwnCatalogue) -> Self {
        let addresses = &token.limits.addresses;
        let permissions = &token.permissions;
        Self {
            alias: token.alias.clone(),
            permissions: Selection { hoody: permissions.hoody, own: settled(&permissions.own, own) },
            addresses: if addresses.is_any() { String::new() } else { addresses.entries().join("\n") },
            ends: token.limits.expires_at.map(|end| end.to_string()).unwrap_or_default(),
        }
    }

    fn of_form(fields: &Fields, token: &Token, own: &OwnCatalogue) -> Self {
        let paths: Vec<_> = fields.all(FIELD).collect();
        // What the picker does not offer stays as it is.
        let offered = catalogue().grantable(PermissionSet::ALL);
        let rest = catalogue()
            .leaves()
            .filter(|(leaf, _)| token.permissions.hoody.has(*leaf) && !offered.has(*leaf))
            .map(|(leaf, _)| leaf);
        let picked = picked(&paths, own);
        let permissions = Selection { hoody: rest.fold(picked.hoody, PermissionSet::with), own: picked.own };
        Self {
            alias: fields.text("alias").to_owned(),
            permissions,
            addresses: fields.text("from").to_owned(),
            ends: fields.text("ends").to_owned(),
        }
    }

    fn addresses(&self) -> Vec<&str> {
        let entries = self.addresses.split(['\n', ',', ' ']).map(str::trim);
        entries.filter(|entry| !entry.is_empty()).collect()
    }

    /// The body that the API would be sent: what is not changed is not in it.
    fn to_body(&self, before: &Self, own: &OwnCatalogue) -> Value {
        let mut body = json!({});
        if self.alias != before.alias {
            body["alias"] = json!(self.alias);
        }
        if self.permissions != before.permissions {
            body["permissions"] = catalogues(own).to_tree(&self.permissions);
        }
        if self.addresses() != before.addresses() {
            let entries = self.addresses();
            body["ip_whitelist"] = if entries.is_empty() { json!(["*"]) } else { json!(entries) };
        }
        if self.ends != before.ends {
            body["expires_at"] = if self.ends.is_empty() { Value::Null } else { json!(self.ends) };
        }
        body
    }
}

/// Whether a change leaves the token with no more than it had, in every dimension that it names.
fn narrows(before: &Token, change: &TokenChange, own: &OwnCatalogue) -> bool {
    let (selection, before) = (&before.permissions, &before.limits);
    let permissions = change.permissions.as_ref().is_none_or(|after| {
        after.hoody.within(before.permissions)
            && own.resolve(&after.own).within(before.extras.own())
            && after.own.grows().all(|group| selection.own.grows().any(|held| held == group))
    });
    let addresses = change.addresses.as_ref().is_none_or(|after| after.within(&before.addresses));
    let ends = match (change.expires_at, before.expires_at) {
        (None, _) | (Some(_), None) => true,
        (Some(None), Some(_)) => false,
        (Some(Some(after)), Some(before)) => after <= before,
    };
    permissions && addresses && ends
}

/// `GET /console/tokens/{id}/change?narrow=1&ip=`
pub(crate) async fn show(
    visitor: Box<Visitor>,
    id: Result<IdPath<noun::Token>, Error>,
    query: Query,
) -> Response {
    let shown = async {
        let token = find(&visitor, id?.0).await?;
        let mut draft = Draft::of_token(&token, &visitor.own);
        let text = |name| query.text(name).ok().flatten().unwrap_or_default();
        let mut notice = None;
        if text("narrow") == "1" {
            notice = Some(narrow(&visitor, &token, &mut draft).await?);
        }
        if let Some(address) =
            text("ip").parse::<std::net::IpAddr>().ok().filter(|_| !draft.addresses.is_empty())
        {
            draft.addresses = format!("{}\n{address}", draft.addresses);
        }
        Ok::<_, Error>(form(&visitor, &token, &draft, (notice.as_deref(), None)))
    };
    shown.await.unwrap_or_else(|error| failed(&error))
}

/// Leaves in the draft what the token used, as far as the log proves it; what that means.
async fn narrow(visitor: &Visitor, token: &Token, draft: &mut Draft) -> Result<String, Error> {
    let used = usage(&visitor.console.log, &visitor.caller, token.id, NARROW_DAYS).await?;
    let paths: Vec<_> = used.by_permission.iter().map(|used| used.permission.as_str()).collect();
    let asked = picked(&paths, &visitor.own);
    let held = visitor.own.resolve(&draft.permissions.own);
    draft.permissions = Selection {
        hoody: draft.permissions.hoody.intersection(asked.hoody),
        // Without groups that grow: what it used is named.
        own: Selected::of(asked.own.ids().iter().copied().filter(|id| held.has(*id))),
    };
    let entries: Vec<_> = used.by_address.iter().map(|used| used.ip_address.as_str()).collect();
    if draft.addresses.is_empty() && !entries.is_empty() && used.other_addresses == 0 {
        draft.addresses = entries.join("\n");
    }
    Ok(format!(
        "Filled in with what it used in the last {NARROW_DAYS} days: of {} requests, this would have refused none for a \
         permission or an address. Something that it does once a year is not in there.",
        crate::parts::words::count(used.total)
    ))
}

/// `POST /console/tokens/{id}/change`
pub(crate) async fn change(id: Result<IdPath<noun::Token>, Error>, act: Act) -> Response {
    let visitor = &act.visitor;
    let found = async { find(visitor, id?.0).await };
    let token = match found.await {
        Ok(token) => token,
        Err(error) => return failed(&error),
    };
    let draft = Draft::of_form(&act.fields, &token, &visitor.own);
    let body = draft.to_body(&Draft::of_token(&token, &visitor.own), &visitor.own);
    let change = match TokenChange::parse(&body, visitor.now, catalogues(&visitor.own), true) {
        Ok(change) => change,
        Err(invalid) => return form(visitor, &token, &draft, (None, Some(&invalid))),
    };
    let mut is_proven = false;
    if !narrows(&token, &change, &visitor.own) {
        if let Err(page) = act.prove("Giving a token more").await {
            return page;
        }
        is_proven = true;
    }
    let changed = write(visitor, &token, change, is_proven).await;
    match changed {
        // The account wants a code for every change: the step-up gives it.
        Err(error) if error.code() == "OTP_REQUIRED" => match act.prove("Changing a token").await {
            Ok(()) => match TokenChange::parse(&body, visitor.now, catalogues(&visitor.own), true) {
                Ok(change) => done(visitor, &token, &draft, write(visitor, &token, change, true).await),
                Err(invalid) => form(visitor, &token, &draft, (None, Some(&invalid))),
            },
            Err(page) => page,
        },
        changed => done(visitor, &token, &draft, changed),
    }
}

async fn write(visitor: &Visitor, token: &Token, change: TokenChange, is_proven: bool) -> Result<(), Error> {
    let proof = if is_proven { Proof::SteppedUp } else { Proof::Code(None) };
    let tokens = &visitor.console.tokens;
    update(tokens, &visitor.caller, token.id, change, (false, proof)).await.map(|_| ())
}

fn done(visitor: &Visitor, token: &Token, draft: &Draft, changed: Result<(), Error>) -> Response {
    match changed {
        Ok(()) => Redirect::to(&format!("{}?done=changed", path(token.id))).into_response(),
        Err(Error::Invalid(invalid)) => form(visitor, token, draft, (None, Some(&invalid))),
        Err(error) => failed(&error),
    }
}

fn form(
    visitor: &Visitor,
    token: &Token,
    draft: &Draft,
    (notice, invalid): (Option<&str>, Option<&Invalid>),
) -> Response {
    let home = path(token.id);
    let wrong = invalid.map(rule);
    let code = match invalid {
        Some(Invalid::Rule { code, .. }) => *code,
        _ => "",
    };
    let at = |codes: &[&str]| wrong.as_deref().filter(|_| codes.contains(&code));
    let name = Field {
        name: "alias",
        label: "Name",
        hint: "",
        wrong: at(&["INVALID_ALIAS_FORMAT", "DUPLICATE_ALIAS"]),
    };
    let from = Field {
        name: "from",
        label: "From",
        hint: "One address or network a line. Empty for any address.",
        wrong: at(&["INVALID_IP_FORMAT", "IP_WHITELIST_TOO_LARGE"]),
    };
    let ends = Field {
        name: "ends",
        label: "Until (UTC)",
        hint: "2026-12-31, or with a time: 2026-12-31T18:00:00Z. Empty for never.",
        wrong: at(&["INVALID_EXPIRATION_FORMAT", "EXPIRATION_IN_PAST"]),
    };
    let is_placed = [&name, &from, &ends].iter().any(|field| field.wrong.is_some());
    let main = html! {
        p.crumb { a href=(home) { (token.alias) } }
        h1 { "Change " (token.alias) }
        p.soft { "A change is in force on every node within a second. Programs keep their secret." }
        @if let Some(notice) = notice { div.note.good { p { (notice) } } }
        @if let (Some(wrong), false) = (&wrong, is_placed) { p.wrong role="alert" { (wrong) } }
        @if is_placed { p.wrong role="alert" { "Something below needs a change. Nothing was changed." } }
        (visitor.form(&format!("{home}/change"), "", fields(draft, &visitor.own, (&name, &from, &ends), &home)))
    };
    let status = if invalid.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Page::new(visitor, Section::Tokens, &format!("Change {}", token.alias)).with(status).around(&main)
}

fn fields(
    draft: &Draft,
    own: &OwnCatalogue,
    (name, from, ends): (&Field<'_>, &Field<'_>, &Field<'_>),
    home: &str,
) -> Markup {
    html! {
        (name.around(&html! {
            input #alias name="alias" value=(draft.alias) maxlength="254" required autocomplete="off" spellcheck="false"
                aria-describedby=[name.described_by()] aria-invalid=[name.wrong.map(|_| "true")];
        }))
        fieldset { legend { "May" } (picker(&draft.permissions, own)) }
        (from.around(&html! {
            textarea #from name="from" rows="4" spellcheck="false" autocomplete="off"
                aria-describedby=[from.described_by()] aria-invalid=[from.wrong.map(|_| "true")] { (draft.addresses) }
        }))
        (ends.around(&html! {
            input #ends name="ends" value=(draft.ends) maxlength="40" autocomplete="off" spellcheck="false"
                aria-describedby=[ends.described_by()] aria-invalid=[ends.wrong.map(|_| "true")];
        }))
        div.choices { button.primary type="submit" { "Change it" } a.button href=(home) { "Leave it as it is" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hoody_core::address::AddressList;
    use hoody_core::extras::Extras;
    use hoody_core::grant::{Bounds, Realms};
    use hoody_core::id::{TokenId, UserId};
    use hoody_core::time::Timestamp;

    fn token(paths: &str, addresses: &[&str], expires_at: Option<i64>) -> Token {
        let permissions = Selection::of_hoody(catalogue().parse_paths(paths));
        let limits = Bounds {
            permissions: permissions.hoody,
            realms: Realms::EVERYWHERE,
            addresses: AddressList::parse_entries(addresses.iter().copied()).unwrap(),
            expires_at: expires_at.map(Timestamp::from_millis),
            vault_access: false,
            event_access: false,
            extras: Extras::NONE,
        };
        let now = Timestamp::MIN;
        Token {
            id: TokenId::from_bytes([1; 12]),
            account: UserId::from_bytes([1; 12]),
            alias: "ci".to_owned(),
            public_key: None,
            public_storage: None,
            realm_ids: Vec::new(),
            allow_no_realm: true,
            permissions,
            limits,
            is_enabled: true,
            notes: hoody_core::token_notes::Notes::default(),
            hint: None,
            created_by_token_id: None,
            delegation_depth: 0,
            last_used_at: None,
            last_used_ip: None,
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn only_what_takes_something_away_narrows() {
        let now = Timestamp::from_millis(1_772_442_942_118);
        let before = token("projects.read,projects.update", &["10.0.0.0/8"], Some(1_807_488_000_000));
        for (body, is) in [
            (json!({}), true),
            (json!({ "alias": "other" }), true),
            (json!({ "permissions": { "projects": { "read": true } } }), true),
            (json!({ "permissions": { "projects": { "read": true, "delete": true } } }), false),
            (json!({ "ip_whitelist": ["10.1.0.0/16"] }), true),
            (json!({ "ip_whitelist": ["*"] }), false),
            (json!({ "expires_at": 1_807_000_000_000_i64 }), true),
            (json!({ "expires_at": 1_807_488_000_001_i64 }), false),
            (json!({ "expires_at": null }), false),
        ] {
            let own = OwnCatalogue::default();
            let change = TokenChange::parse(&body, now, catalogues(&own), true).unwrap();
            assert_eq!(narrows(&before, &change, &own), is, "{body}");
        }
    }
}
