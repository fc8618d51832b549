//! Numbers, refusals and what a token may do, in words.

use hoody_core::invalid::Invalid;
use hoody_core::permissions::Selection;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::time::Timestamp;
use hoody_engine::catalogue::{catalogue, catalogues};
use hoody_engine::error::Error;
use hoody_service::tokens::Token;
use maud::{Markup, html};

use super::permissions::held;
use super::time;

/// `1,204`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 token`, `4 tokens`.
pub(crate) fn things(n: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(n), if n == 1 { "" } else { "s" })
}

/// How many of some permissions write: `none of them writes`, `1 of them writes`, `4 of them write`.
pub(crate) fn writing(n: u64) -> String {
    match n {
        0 => "none of them writes".to_owned(),
        1 => "1 of them writes".to_owned(),
        n => format!("{} of them write", count(n)),
    }
}

/// What went wrong, for whoever looks at the page: what it is and what to do.
pub(crate) fn problem(error: &Error) -> String {
    let wait = || match error.retry_after() {
        Some(seconds) if seconds > 90 => format!("Try again in {} minutes.", seconds.div_ceil(60)),
        Some(seconds) => format!("Try again in {seconds} seconds."),
        None => "Try again later.".to_owned(),
    };
    match error.code() {
        "INVALID_CREDENTIALS" => "Wrong username or password.".to_owned(),
        "CURRENT_PASSWORD_INCORRECT" | "INCORRECT_PASSWORD" => {
            "This is not your current password.".to_owned()
        }
        "EMAIL_NOT_VERIFIED" => {
            "Confirm your email address first: open the link in the email that was sent to it.".to_owned()
        }
        "ACCOUNT_BANNED" => "This account is banned. Ask whoever runs this server.".to_owned(),
        "INVALID_OTP_CODE" | "INVALID_BACKUP_CODE" => {
            "The code is wrong or was used before. Wait for the next one and try again.".to_owned()
        }
        "OTP_REQUIRED" => "A code of your authenticator app is needed.".to_owned(),
        "INVALID_TEMP_TOKEN" => "That took too long. Sign in again.".to_owned(),
        "TWOFACTOR_RATE_LIMIT" | "RATE_LIMIT_EXCEEDED" => format!("Too many tries. {}", wait()),
        "TWOFACTOR_ALREADY_ENABLED" => "The second factor is on already.".to_owned(),
        "TWOFACTOR_NOT_ENABLED" => "The second factor is off already.".to_owned(),
        "TWOFACTOR_NOT_VERIFIED" => "The setup is too old. Begin it again.".to_owned(),
        "TOKEN_NOT_FOUND" => {
            "There is no token with this id in your account. It may have been deleted.".to_owned()
        }
        "INTERNAL_ERROR" => {
            "The server hit an error that is logged there. Nothing more is known here.".to_owned()
        }
        "OUTCOME_UNKNOWN" => {
            "It is not known whether the change was made. Look before you try again.".to_owned()
        }
        "UNAVAILABLE" | "TIMEOUT" => {
            format!("The database does not answer in time, so nothing was changed. {}", wait())
        }
        _ => match error {
            Error::Invalid(invalid) => rule(invalid),
            _ => format!("{}.", error.in_short().2.trim_end_matches('.')),
        },
    }
}

/// The rule that something typed breaks.
pub(crate) fn rule(invalid: &Invalid) -> String {
    match invalid {
        Invalid::Rule { code: "INVALID_ALIAS_FORMAT", .. } => {
            "Use 1 to 254 letters, digits, spaces, hyphens or underscores.".to_owned()
        }
        Invalid::Rule { code: "DUPLICATE_ALIAS", .. } => {
            "Another of your tokens has this name. Choose a different one.".to_owned()
        }
        Invalid::Rule { code: "EXPIRATION_IN_PAST", .. } => "The end must be in the future.".to_owned(),
        Invalid::Rule { message, .. } => format!("{}.", message.trim_end_matches('.')),
        Invalid::Schema(violations) => violations.first().map_or_else(
            || "That is not valid.".to_owned(),
            |violation| format!("{} {}.", violation.instance_path.trim_start_matches('/'), violation.message),
        ),
    }
}

/// The name of the template that grants just this.
pub(crate) fn template_of<'a>(selection: &Selection, own: &'a OwnCatalogue) -> Option<&'a str> {
    let both = catalogues(own);
    both.template_names().find(|name| both.template(name).as_ref() == Some(selection))
}

/// What a token may do, in a few words: the name of a template, its permissions where they are few, else how
/// many.
pub(crate) fn may(selection: &Selection, own: &OwnCatalogue) -> Markup {
    if let Some(name) = template_of(selection, own) {
        return html! { (name.replace('_', " ")) };
    }
    let held = held(selection, own);
    let writing = held.iter().filter(|leaf| leaf.writes).count() as u64;
    match held.as_slice() {
        [] => html! { span.soft { "nothing" } },
        few if few.len() <= 2 => html! {
            @for (at, leaf) in few.iter().enumerate() { @if at > 0 { ", " } code { (leaf.path) } }
        },
        many => html! {
            (things(many.len() as u64, "permission"))
            @if writing > 0 { ", " (count(writing)) " write" } @else { ", none writes" }
        },
    }
}

/// From where it may be used, in a few words.
pub(crate) fn from(token: &Token) -> Markup {
    let entries = token.limits.addresses.entries();
    match entries.as_slice() {
        _ if token.limits.addresses.is_any() => html! { span.warn { "any address" } },
        [only] => html! { span.mono { (only) } },
        [first, rest @ ..] => html! { span.mono { (first) } " and " (count(rest.len() as u64)) " more" },
        [] => html! { "nowhere" },
    }
}

/// What a token is limited to, as the sentences that the review shows. `permissions` and the rest are as they
/// would be stored.
pub(crate) fn sentences(token: &Limits<'_>, now: Timestamp) -> Markup {
    let held = held(token.permissions, token.own);
    let writing = held.iter().filter(|leaf| leaf.writes).count() as u64;
    let template = template_of(token.permissions, token.own);
    let has = |path: &str| held.iter().any(|leaf| leaf.path == path);
    html! {
        @match (held.as_slice(), template) {
            ([], _) => "It has no permission: it proves who it is, and nothing more. ",
            (many, Some(template)) => {
                "It may do what " b { (template.replace('_', " ")) } " allows: "
                (things(many.len() as u64, "permission")) ", " (self::writing(writing)) ". "
            },
            (few, None) if few.len() <= 6 => {
                "It may use "
                @for (at, leaf) in few.iter().enumerate() {
                    @if at > 0 { @if at + 1 == few.len() { " and " } @else { ", " } }
                    code { (leaf.path) }
                }
                @if writing == 0 { ", which only read" @if few.len() == 1 { "s" } ". " } @else { ", and nothing else. " }
            },
            (many, None) => {
                "It has " b { (things(many.len() as u64, "permission")) } ", " (self::writing(writing)) ". "
            },
        }
        @for group in token.permissions.own.grows() {
            "It also gets whatever is added to " code { (group) } " later. "
        }
        @match token.addresses {
            [] => "It works from any address. ",
            [only] => { "It works only from " span.mono { (only) } ". " },
            [first, rest @ ..] => {
                "It works only from " span.mono { (first) } " and " (things(rest.len() as u64, "other entry").replace("entrys", "entries")) ". "
            },
        }
        @match token.expires_at {
            None => "It never ends. ",
            Some(end) if end <= now => { "It ended on " (time::minute(end)) ". " },
            Some(end) => {
                "It ends on " b { (time::minute(end)) } ", in " (time::span(end.millis() - now.millis())) ". "
            },
        }
        @if token.realms > 0 { "It works only in " (things(token.realms as u64, "realm")) ". " }
        @match (token.vault && has("resources.vault"), has("resources.create_tokens")) {
            (false, false) => "It cannot open the vault or make tokens.",
            (true, false) => "It can open the vault. It cannot make tokens.",
            (false, true) => "It can make tokens that do no more than itself. It cannot open the vault.",
            (true, true) => "It can open the vault and make tokens that do no more than itself.",
        }
    }
}

/// What limits a token, read for its sentences.
#[derive(Debug)]
pub(crate) struct Limits<'a> {
    pub(crate) permissions: &'a Selection,
    pub(crate) own: &'a OwnCatalogue,
    /// Empty for any.
    pub(crate) addresses: &'a [String],
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) realms: usize,
    pub(crate) vault: bool,
}

/// What is worth a second thought.
pub(crate) fn warnings(limits: &Limits<'_>) -> Vec<&'static str> {
    let catalogue = catalogue();
    let hoody = limits.permissions.hoody;
    let writes = held(limits.permissions, limits.own).iter().any(|leaf| leaf.writes);
    let is_full = hoody == catalogue.full_access();
    let makes = catalogue.leaf("resources.create_tokens").is_some_and(|leaf| hoody.has(leaf));
    let mut warnings = Vec::new();
    if is_full {
        warnings.push("It can do everything that your account can. Choose fewer permissions if you can.");
    }
    match (limits.addresses.is_empty(), limits.expires_at.is_none()) {
        (true, true) => warnings.push(
            "It works from any address and never ends. Anyone who finds it can use it until somebody stops it.",
        ),
        (true, false) if writes => {
            warnings.push("It can change things from any address. Anyone who finds it can use it.");
        }
        (false, true) => warnings.push("It never ends. Nobody will be reminded of it."),
        _ => {}
    }
    if makes {
        warnings.push("It can make further tokens. Stopping it stops them, too.");
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use hoody_core::permissions::PermissionSet;

    #[test]
    fn numbers_are_grouped() {
        for (n, text) in [(0, "0"), (999, "999"), (1_204, "1,204"), (1_000_000, "1,000,000")] {
            assert_eq!(count(n), text);
        }
        assert_eq!((things(1, "token"), things(2, "token")), ("1 token".into(), "2 tokens".into()));
    }

    #[test]
    fn few_permissions_are_named_and_many_counted() {
        let own = OwnCatalogue::default();
        let set = |paths| Selection::of_hoody(catalogue().parse_paths(paths));
        let may = |selection: Selection| may(&selection, &own);
        assert_eq!(may(set("")).into_string(), "<span class=\"soft\">nothing</span>");
        assert_eq!(may(set("projects.read")).into_string(), "<code>projects.read</code>");
        let many = may(set("projects.read,projects.update,projects.delete")).into_string();
        assert_eq!(many, "3 permissions, 2 write");
        assert_eq!(may(Selection::of_hoody(catalogue().full_access())).into_string(), "full access");
    }

    #[test]
    fn an_endless_token_from_anywhere_is_warned_of() {
        let own = OwnCatalogue::default();
        let warnings = |permissions: PermissionSet, expires_at| {
            warnings(&Limits {
                permissions: &Selection::of_hoody(permissions),
                own: &own,
                addresses: &[],
                expires_at,
                realms: 0,
                vault: false,
            })
        };
        let set = |paths| catalogue().parse_paths(paths);
        assert!(warnings(set("projects.read"), Some(Timestamp::MAX)).is_empty());
        assert_eq!(warnings(set("projects.read"), None).len(), 1);
        assert_eq!(warnings(catalogue().full_access(), None).len(), 2);
        assert_eq!(warnings(set("projects.update"), Some(Timestamp::MAX)).len(), 1);
    }
}
