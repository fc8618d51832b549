//! How tokens are shown to people.

use hoody_client::wire::{AuthToken, CurrentToken};
use serde_json::Value;

use crate::terminal::cell::{list_or, text_or, yes_no};
use crate::terminal::output::View;

/// The tokens with how far each is indented: what a token made comes below it. One whose maker is not
/// listed stands at the left.
pub(super) fn tree(tokens: &[AuthToken]) -> Vec<(usize, &AuthToken)> {
    let is_listed = |id| tokens.iter().any(|token| token.id == id);
    let mut waiting: Vec<_> = tokens
        .iter()
        .filter(|token| !token.created_by_token_id.is_some_and(is_listed))
        .rev()
        .map(|token| (0, token))
        .collect();
    let mut shown = Vec::with_capacity(tokens.len());
    while let Some((depth, token)) = waiting.pop() {
        shown.push((depth, token));
        let children = tokens.iter().rev().filter(|child| child.created_by_token_id == Some(token.id));
        waiting.extend(children.map(|child| (depth + 1, child)));
    }
    shown
}

pub(super) fn row(depth: usize, token: &AuthToken) -> Vec<String> {
    let indent = "  ".repeat(depth.saturating_sub(1)) + if depth > 0 { "└ " } else { "" };
    vec![
        token.id.to_string(),
        indent + &token.alias,
        token.prefix.clone(),
        yes_no(token.is_enabled),
        text_or(token.last_used_at, "never"),
        text_or(token.last_used_ip.as_ref(), "-"),
        text_or(token.expires_at, "never"),
        token.ip_whitelist.join(","),
        realms(token),
        maker(token),
    ]
}

/// What made a token.
fn maker(token: &AuthToken) -> String {
    text_or(token.created_by_token_id, "a session")
}

pub(super) fn current_details(current: &CurrentToken) -> View {
    let View::Details(mut fields) = details(&current.token) else { return View::Details(Vec::new()) };
    let limits = &current.restrictions;
    fields.push(("needs a realm's host", yes_no(limits.requires_realm_scope)));
    fields.push(("realm of this host", text_or(limits.active_realm_id, "-")));
    if let Some(effective) = &limits.effective {
        // Bounded by what it descends from, which may have been narrowed since it was made.
        let none_if_empty = |text: String| if text.is_empty() { "none".to_owned() } else { text };
        fields.extend([
            ("may in fact", paths(&effective.permissions)),
            ("from", none_if_empty(effective.ip_whitelist.join(", "))),
            ("until", text_or(effective.expires_at, "never ends")),
            ("vault in fact", yes_no(effective.vault_access)),
            ("events in fact", yes_no(effective.event_access)),
        ]);
    }
    View::Details(fields)
}

pub(super) fn details(token: &AuthToken) -> View {
    let mut fields = vec![
        ("id", token.id.to_string()),
        ("alias", token.alias.clone()),
        ("enabled", yes_no(token.is_enabled)),
        ("expires", text_or(token.expires_at, "never")),
        ("addresses", token.ip_whitelist.join(", ")),
        ("realms", realms(token)),
        ("base host", yes_no(token.allow_no_realm && token.realm_ids.is_empty())),
        ("permissions", paths(&token.permissions)),
        ("vault", yes_no(token.vault_access)),
        ("events", yes_no(token.event_access)),
        ("made by", maker(token)),
        ("depth", token.delegation_depth.to_string()),
        ("last used", text_or(token.last_used_at, "never")),
        ("last address", text_or(token.last_used_ip.as_ref(), "-")),
        ("created", token.created_at.to_string()),
        ("updated", token.updated_at.to_string()),
    ];
    let notes = [
        ("for", token.external_id.clone()),
        ("meta", token.meta.as_ref().map(|meta| object(Some(meta)))),
        ("tags", (!token.tags.is_empty()).then(|| token.tags.join(", "))),
        ("description", token.description.clone()),
        ("ends in", token.hint.clone()),
    ];
    fields.extend(notes.into_iter().filter_map(|(name, text)| Some((name, text?))));
    if let Some(key) = &token.public_key {
        fields.push(("public key", key.clone()));
    }
    if token.public_storage.is_some() {
        fields.push(("public storage", object(token.public_storage.as_ref())));
    }
    View::Details(fields)
}

pub(super) fn named(token: &AuthToken) -> String {
    format!("{:?} ({})", token.alias, token.id)
}

pub(super) fn realms(token: &AuthToken) -> String {
    list_or(&token.realm_ids, "no list of realms")
}

/// The granted leaves of a tree as dotted paths.
pub(super) fn paths(tree: &Value) -> String {
    let found = leaves(tree);
    if found.is_empty() { "none".to_owned() } else { found.join(" ") }
}

fn leaves(tree: &Value) -> Vec<String> {
    fn walk(tree: &Value, at: &str, found: &mut Vec<String>) {
        match tree {
            Value::Bool(true) => found.push(at.to_owned()),
            Value::Object(below) => {
                for (name, tree) in below {
                    let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                    walk(tree, &path, found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(tree, "", &mut found);
    found
}

/// The leaves that `asked` has and `got` has not. A group as `orders.*` comes back as its leaves.
pub(super) fn without(asked: &Value, got: &Value) -> Vec<String> {
    let got = leaves(got);
    let has = |path: &str| match path.strip_suffix('*') {
        Some(group) => got.iter().any(|leaf| leaf.starts_with(group.trim_end_matches('*'))),
        None => got.iter().any(|leaf| leaf == path),
    };
    leaves(asked).into_iter().filter(|path| !has(path)).collect()
}

pub(super) fn object(object: Option<&serde_json::Map<String, Value>>) -> String {
    object.map_or_else(|| "-".to_owned(), |object| Value::Object(object.clone()).to_string())
}

#[cfg(test)]
mod tests {
    use hoody_client::id::TokenId;
    use serde_json::json;

    use super::*;

    fn token(own: u8, maker: Option<u8>) -> AuthToken {
        let id = |byte: u8| TokenId::from_bytes([byte; 12]).to_string();
        let token = json!({
            "id": id(own), "alias": format!("t{own}"), "prefix": "hdy_", "ip_whitelist": ["*"], "realm_ids": [],
            "allow_no_realm": true, "permissions": {}, "expires_at": null, "is_enabled": true,
            "vault_access": false, "event_access": true, "last_used_at": null, "last_used_ip": null,
            "created_by_token_id": maker.map(id), "delegation_depth": 0,
            "created_at": "2026-03-02T09:15:42.118Z", "updated_at": "2026-03-02T09:15:42.118Z",
        });
        serde_json::from_value(token).unwrap()
    }

    #[test]
    fn what_a_token_made_stands_below_it() {
        let tokens = [
            token(6, Some(2)),
            token(5, Some(9)),
            token(4, None),
            token(3, Some(2)),
            token(2, Some(1)),
            token(1, None),
        ];
        let aliases: Vec<_> = tree(&tokens).iter().map(|(depth, one)| row(*depth, one)[1].clone()).collect();
        assert_eq!(aliases, ["t5", "t4", "t1", "└ t2", "  └ t6", "  └ t3"]);
    }

    #[test]
    fn what_was_asked_for_and_not_given_is_named() {
        let asked = json!({ "projects": { "read": true, "delete": true }, "resources": { "vault": false } });
        assert_eq!(without(&asked, &json!({ "projects": { "read": true } })), ["projects.delete"]);
    }
}
