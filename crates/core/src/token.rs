//! What a request about tokens contains (`contract/tokens.md` 3 and 4): read once, here, into types
//! that no later code checks again.
//!
//! All of these objects are closed: an unknown key is refused, because a mistyped restriction would
//! otherwise be a token without it. Nothing here knows the caller; what a caller may ask for is decided
//! where the caller is known.

use std::fmt;

use serde_json::{Map, Value};

use crate::address::AddressList;
use crate::expiry::parse_expires_at;
use crate::id::RealmId;
use crate::invalid::{Invalid, Violation};
use crate::json::{Fields, MAX_VIOLATIONS, quoted};
use crate::names;
use crate::permissions::{Catalogue, Catalogues, PermissionSet, Selected, Selection};
use crate::time::{DAY, Timestamp};
use crate::token_notes::NotesChange;

/// The most realms of a token.
pub const MAX_REALMS: usize = 500;
/// The most bytes of a public storage, written as JSON.
pub const MAX_STORAGE: usize = 65_536;
/// The most characters of a one-time code: six digits, or a backup code with its hyphen.
const MAX_OTP: usize = 12;
/// The JSON pointer of a token's permissions.
const PERMISSIONS: &str = "/permissions";
/// What a token that `deny_reauthorization` was asked for can never have.
const REAUTHORIZING: [&str; 2] = ["resources.create_tokens", "resources.vault"];

/// A token to be made: the body of `POST /auth/tokens`.
#[derive(Clone, PartialEq)]
pub struct NewToken {
    /// Its name; `None` for one that the server invents.
    pub alias: Option<String>,
    /// Its Ed25519 public key, in lower case.
    pub public_key: Option<String>,
    /// What it publishes about itself.
    pub public_storage: Option<Map<String, Value>>,
    /// From where it may be used.
    pub addresses: AddressList,
    /// What it may do.
    pub permissions: Selection,
    /// Whether the request had neither permissions nor a template, so that it got full access.
    pub is_defaulted: bool,
    /// The realms that it is limited to, in the order given, each once; empty for no list.
    pub realm_ids: Vec<RealmId>,
    /// Whether it may be used without a realm, where it has no list.
    pub allow_no_realm: bool,
    /// Whether it may open the vault, with the permission to.
    pub vault_access: bool,
    /// Whether it may read events.
    pub event_access: bool,
    /// When it ends; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// What is kept with it.
    pub notes: NotesChange,
    /// The second factor that was sent along.
    pub otp_code: Option<String>,
}

/// A change of a token: the body of `PUT` or `PATCH /auth/tokens/{id}`. `None` leaves a field as it is;
/// where null clears a field, `Some(None)` does.
#[derive(Clone, PartialEq)]
pub struct TokenChange {
    /// Its new name.
    pub alias: Option<String>,
    /// Its new public key, in lower case, or none.
    pub public_key: Option<Option<String>>,
    /// Its new public storage, or none.
    pub public_storage: Option<Option<Map<String, Value>>>,
    /// From where it may be used.
    pub addresses: Option<AddressList>,
    /// What it may do, replacing all it could.
    pub permissions: Option<Selection>,
    /// The realms that it is limited to, replacing the list.
    pub realm_ids: Option<Vec<RealmId>>,
    /// Whether it may be used without a realm, where it has no list.
    pub allow_no_realm: Option<bool>,
    /// Whether it may open the vault.
    pub vault_access: Option<bool>,
    /// Whether it may read events.
    pub event_access: Option<bool>,
    /// When it ends, or never.
    pub expires_at: Option<Option<Timestamp>>,
    /// Whether it works at all.
    pub is_enabled: Option<bool>,
    /// What is kept with it.
    pub notes: NotesChange,
    /// The second factor that was sent along.
    pub otp_code: Option<String>,
}

/// What of a copy differs from its source: the body of `POST /auth/tokens/{id}/copy`.
#[derive(Clone, PartialEq)]
pub struct TokenCopy {
    /// Its name; `None` for `<source> copy`.
    pub alias: Option<String>,
    /// When it ends: `None` as its source, `Some(None)` never.
    pub expires_at: Option<Option<Timestamp>>,
    /// The second factor that was sent along.
    pub otp_code: Option<String>,
}

/// A realm to be added or removed: the body of `POST /auth/tokens/{id}/add-realm` and `remove-realm`.
#[derive(Clone, PartialEq)]
pub struct RealmChange {
    /// The realm.
    pub realm_id: RealmId,
    /// The second factor that was sent along.
    pub otp_code: Option<String>,
}

/// A change of what a token publishes: the body of `PUT` or `PATCH /auth/tokens/me/public-profile`.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileChange {
    /// Its new public key, in lower case, or none.
    pub public_key: Option<Option<String>>,
    /// Its new public storage, or none.
    pub public_storage: Option<Option<Map<String, Value>>>,
}

impl NewToken {
    /// Reads the body, with what it leaves out filled in. `may_grow` says whether groups of the operator's may be
    /// granted with what is added to them later: a session asks.
    ///
    /// With `deny_reauthorization` the token gets neither `resources.create_tokens` nor
    /// `resources.vault`, no vault access, and ends in 24 hours unless the body says when.
    ///
    /// # Errors
    /// All schema violations of the body, else the first broken rule: a code of
    /// `contract/tokens.md` 5, or `VALIDATION_ERROR` where `deny_reauthorization` contradicts the rest.
    pub fn parse(
        body: &Value,
        now: Timestamp,
        catalogues: Catalogues<'_>,
        may_grow: bool,
    ) -> Result<Self, Invalid> {
        let catalogue = catalogues.hoody;
        let mut fields = Fields::of_body(body)?;
        let deny_reauthorization = fields.boolean("deny_reauthorization").unwrap_or(false);
        let template = template(&mut fields, catalogues);
        let permissions = permissions(&mut fields, catalogues, may_grow);
        if let Some(asked) = &permissions {
            fields.absorb(catalogues.check_grantable(&asked.own, &Selected::default(), PERMISSIONS));
        }
        let vault_access = fields.boolean("vault_access").unwrap_or(false);
        if deny_reauthorization {
            let contradiction = turns_on(permissions.as_ref(), vault_access, catalogue);
            fields.absorb(contradiction.map_or(Ok(()), Err));
        }
        let mut token = Self {
            alias: alias(&mut fields),
            public_key: public_key(&mut fields).flatten(),
            public_storage: public_storage(&mut fields).flatten(),
            addresses: addresses(&mut fields).unwrap_or_else(AddressList::any),
            is_defaulted: template.is_none() && permissions.is_none(),
            permissions: template
                .or(permissions)
                .unwrap_or_else(|| Selection::of_hoody(catalogue.full_access())),
            realm_ids: realm_ids(&mut fields).unwrap_or_default(),
            allow_no_realm: fields.boolean("allow_no_realm").unwrap_or(true),
            vault_access,
            event_access: fields.boolean("event_access").unwrap_or(true),
            expires_at: expires_at(&mut fields, now).flatten(),
            notes: NotesChange::read(&mut fields),
            otp_code: otp_code(&mut fields),
        };
        fields.close()?;
        if deny_reauthorization {
            token.permissions.hoody =
                reauthorizing(catalogue).fold(token.permissions.hoody, |set, (_, leaf)| set.without(leaf));
            token.expires_at.get_or_insert(now.plus(DAY));
        }
        Ok(token)
    }
}

impl TokenChange {
    /// Reads the body. It may be empty, and then changes nothing. Retired leaves are read too, since a token keeps
    /// those that it has: [`Catalogues::check_grantable`].
    ///
    /// # Errors
    /// All schema violations of the body, else the first broken rule.
    pub fn parse(
        body: &Value,
        now: Timestamp,
        catalogues: Catalogues<'_>,
        may_grow: bool,
    ) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let change = Self {
            alias: alias(&mut fields),
            public_key: public_key(&mut fields),
            public_storage: public_storage(&mut fields),
            addresses: addresses(&mut fields),
            permissions: permissions(&mut fields, catalogues, may_grow),
            realm_ids: realm_ids(&mut fields),
            allow_no_realm: fields.boolean("allow_no_realm"),
            vault_access: fields.boolean("vault_access"),
            event_access: fields.boolean("event_access"),
            expires_at: expires_at(&mut fields, now),
            is_enabled: fields.boolean("is_enabled"),
            notes: NotesChange::read(&mut fields),
            otp_code: otp_code(&mut fields),
        };
        fields.close()?;
        Ok(change)
    }
}

impl TokenCopy {
    /// Reads the body; null stands for a request without one.
    ///
    /// # Errors
    /// All schema violations of the body, else the first broken rule.
    pub fn parse(body: &Value, now: Timestamp) -> Result<Self, Invalid> {
        if body.is_null() {
            return Ok(Self { alias: None, expires_at: None, otp_code: None });
        }
        let mut fields = Fields::of_body(body)?;
        let copy = Self {
            alias: alias(&mut fields),
            expires_at: expires_at(&mut fields, now),
            otp_code: otp_code(&mut fields),
        };
        fields.close()?;
        Ok(copy)
    }
}

impl RealmChange {
    /// Reads the body.
    ///
    /// # Errors
    /// All schema violations of the body, else `MISSING_REQUIRED_FIELD` or `INVALID_REALM_ID_FORMAT`.
    pub fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let realm_id = match fields.string("realm_id") {
            Some(text) => realm_id(text, "realm_id"),
            // Absent; of the wrong type is a violation by now, which comes first.
            None => Err(Invalid::missing("realm_id")),
        };
        fields.absorb(realm_id.clone());
        let otp_code = otp_code(&mut fields);
        fields.close()?;
        Ok(Self { realm_id: realm_id?, otp_code })
    }
}

impl ProfileChange {
    /// Reads the body.
    ///
    /// # Errors
    /// All schema violations of the body, else the first broken rule; `VALIDATION_ERROR` when it has
    /// neither key.
    pub fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let change =
            Self { public_key: public_key(&mut fields), public_storage: public_storage(&mut fields) };
        fields.close()?;
        if change.public_key.is_none() && change.public_storage.is_none() {
            return Err(Invalid::validation("public_key or public_storage must be given"));
        }
        Ok(change)
    }
}

fn alias(fields: &mut Fields<'_>) -> Option<String> {
    let text = fields.string("alias")?;
    fields.absorb(names::token_alias(text)).map(str::to_owned)
}

fn public_key(fields: &mut Fields<'_>) -> Option<Option<String>> {
    match fields.nullable_string("public_key")? {
        Some(text) => fields.absorb(names::public_key(text)).map(Some),
        None => Some(None),
    }
}

fn public_storage(fields: &mut Fields<'_>) -> Option<Option<Map<String, Value>>> {
    let Some(storage) = fields.nullable_object("public_storage")? else { return Some(None) };
    fields.absorb(fits(storage)).map(|()| Some(storage.clone()))
}

fn fits(storage: &Map<String, Value>) -> Result<(), Invalid> {
    let written = serde_json::to_vec(storage).expect("a JSON object can be written");
    if written.len() <= MAX_STORAGE {
        return Ok(());
    }
    Err(Invalid::rule(
        "PUBLIC_STORAGE_TOO_LARGE",
        format!("Public storage exceeds 64KB limit: public_storage has {} bytes", written.len()),
    ))
}

fn addresses(fields: &mut Fields<'_>) -> Option<AddressList> {
    let value = fields.value("ip_whitelist")?;
    fields.absorb(AddressList::parse_json(value))
}

fn permissions(fields: &mut Fields<'_>, catalogues: Catalogues<'_>, may_grow: bool) -> Option<Selection> {
    let value = fields.value("permissions")?;
    fields.absorb(catalogues.parse(value, PERMISSIONS, may_grow))
}

/// What the named template grants; null is as if it were absent.
fn template(fields: &mut Fields<'_>, catalogues: Catalogues<'_>) -> Option<Selection> {
    let name = fields.nullable_string("permission_template")??;
    let template = catalogues.template(name);
    if template.is_none() {
        let names: Vec<&str> = catalogues.template_names().collect();
        fields.violate("/permission_template", format!("must be one of {} or null", names.join(", ")));
    }
    template
}

fn reauthorizing(catalogue: &Catalogue) -> impl Iterator<Item = (&str, crate::permissions::Permission)> {
    REAUTHORIZING.iter().filter_map(|path| Some((*path, catalogue.leaf(path)?)))
}

/// The contradiction of a request that denies reauthorization and asks for it.
fn turns_on(permissions: Option<&Selection>, vault_access: bool, catalogue: &Catalogue) -> Option<Invalid> {
    let permissions = permissions.map_or(PermissionSet::EMPTY, |asked| asked.hoody);
    let asked = reauthorizing(catalogue).find(|(_, leaf)| permissions.has(*leaf)).map(|(path, _)| path);
    let asked = asked.or(vault_access.then_some("vault_access"))?;
    Some(Invalid::validation(format!("deny_reauthorization cannot be combined with {asked}")))
}

fn realm_ids(fields: &mut Fields<'_>) -> Option<Vec<RealmId>> {
    let values = fields.array("realm_ids")?;
    fields.absorb(parse_realm_ids(values))
}

/// Reads a `realm_ids` array: ids in the order given, each once.
///
/// # Errors
/// Schema violations for what is no text; `INVALID_REALM_ID_FORMAT`; `VALIDATION_ERROR` for more than
/// [`MAX_REALMS`].
pub fn parse_realm_ids(values: &[Value]) -> Result<Vec<RealmId>, Invalid> {
    let wrong = values.iter().enumerate().filter(|(_, value)| !value.is_string()).take(MAX_VIOLATIONS);
    let wrong: Vec<Violation> = wrong
        .map(|(index, _)| Violation {
            instance_path: format!("/realm_ids/{index}"),
            message: "must be a string".to_owned(),
        })
        .collect();
    if !wrong.is_empty() {
        return Err(Invalid::Schema(wrong));
    }
    if values.len() > MAX_REALMS {
        return Err(Invalid::validation(format!("realm_ids must not have more than {MAX_REALMS} entries")));
    }
    let mut realms = Vec::with_capacity(values.len());
    for (index, text) in values.iter().filter_map(Value::as_str).enumerate() {
        let realm = realm_id(text, &format!("realm_ids entry {index}"))?;
        if !realms.contains(&realm) {
            realms.push(realm);
        }
    }
    Ok(realms)
}

fn realm_id(text: &str, what: &str) -> Result<RealmId, Invalid> {
    text.parse().map_err(|_| {
        let text = quoted(text);
        Invalid::rule(
            "INVALID_REALM_ID_FORMAT",
            format!("Invalid realm ID format: {what} is {text}, must be 24 lowercase hex digits"),
        )
    })
}

fn expires_at(fields: &mut Fields<'_>, now: Timestamp) -> Option<Option<Timestamp>> {
    let value = fields.value("expires_at")?;
    fields.absorb(parse_expires_at(value, now))
}

fn otp_code(fields: &mut Fields<'_>) -> Option<String> {
    let code = fields.string("otp_code")?;
    if code.chars().count() > MAX_OTP {
        fields.violate("/otp_code", format!("must have at most {MAX_OTP} characters"));
        return None;
    }
    Some(code.to_owned())
}

/// A one-time code is a secret while it lives: only whether there is one is shown.
struct Hidden(bool);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "Some(…)" } else { "None" })
    }
}

/// `Debug` with the one-time code hidden and every other field as it is.
macro_rules! debug_without_code {
    ($name:ident: $($field:ident)*) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($field), &self.$field))*
                    .field("otp_code", &Hidden(self.otp_code.is_some()))
                    .finish()
            }
        }
    };
}

debug_without_code!(NewToken: alias public_key public_storage addresses permissions is_defaulted realm_ids
    allow_no_realm vault_access event_access expires_at);
debug_without_code!(TokenChange: alias public_key public_storage addresses permissions realm_ids
    allow_no_realm vault_access event_access expires_at is_enabled);
debug_without_code!(TokenCopy: alias expires_at);
debug_without_code!(RealmChange: realm_id);

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::permissions::own::OwnCatalogue;
    use proptest::prelude::*;
    use serde_json::json;

    /// 2026-03-02T09:15:42.118Z
    const NOW: i64 = 1_772_442_942_118;
    const REALM: &str = "65a1b2c3d4e5f60718293a4b";

    fn both() -> Catalogues<'static> {
        static HOODY: LazyLock<(Catalogue, OwnCatalogue)> =
            LazyLock::new(|| (Catalogue::hoody(), OwnCatalogue::default()));
        Catalogues { hoody: &HOODY.0, own: &HOODY.1 }
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(NOW)
    }

    #[expect(clippy::needless_pass_by_value, reason = "literals are passed")]
    fn create(body: Value) -> Result<NewToken, Invalid> {
        NewToken::parse(&body, now(), both(), true)
    }

    #[expect(clippy::needless_pass_by_value, reason = "literals are passed")]
    fn change(body: Value) -> Result<TokenChange, Invalid> {
        TokenChange::parse(&body, now(), both(), true)
    }

    fn code<T: fmt::Debug>(result: Result<T, Invalid>) -> &'static str {
        match result {
            Err(Invalid::Rule { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    }

    fn places<T: fmt::Debug>(result: Result<T, Invalid>) -> Vec<String> {
        match result {
            Err(Invalid::Schema(violations)) => violations.into_iter().map(|v| v.instance_path).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn paths(token: &NewToken) -> String {
        Catalogue::hoody().to_paths(token.permissions.hoody)
    }

    #[test]
    fn an_empty_body_makes_a_token_with_full_access() {
        let token = create(json!({})).unwrap();
        assert!(token.is_defaulted && token.allow_no_realm && token.event_access && !token.vault_access);
        assert_eq!(token.permissions.hoody, Catalogue::hoody().template("full_access").unwrap());
        assert_eq!((token.addresses, token.realm_ids, token.expires_at), (AddressList::any(), vec![], None));
        assert_eq!(
            (token.alias, token.public_key, token.public_storage, token.otp_code),
            (None, None, None, None)
        );
    }

    #[test]
    fn the_example_of_the_reference_is_read() {
        let token = create(json!({
            "alias": "Production API Key", "public_key": "A1".repeat(32),
            "public_storage": { "display_name": "Production Integrations", "tier": "gold" },
            "ip_whitelist": ["192.168.1.0/24", "10.0.0.1"], "permissions": { "containers": { "read": true } },
            "realm_ids": [REALM, REALM], "allow_no_realm": false, "vault_access": true, "event_access": false,
            "expires_at": "1807488000000", "otp_code": "123456",
        }))
        .unwrap();
        assert_eq!(token.alias.as_deref(), Some("Production API Key"));
        assert_eq!(token.public_key, Some("a1".repeat(32)));
        assert_eq!(token.public_storage.as_ref().map(Map::len), Some(2));
        assert_eq!(token.addresses.entries(), ["192.168.1.0/24", "10.0.0.1"]);
        assert_eq!(paths(&token), "containers.read");
        assert_eq!(token.realm_ids, [REALM.parse().unwrap()]);
        assert!(!token.is_defaulted && !token.allow_no_realm && token.vault_access && !token.event_access);
        assert_eq!(token.expires_at, Some(Timestamp::from_millis(1_807_488_000_000)));
        assert_eq!(token.otp_code.as_deref(), Some("123456"));
        assert!(!format!("{token:?}").contains("123456"));
    }

    #[test]
    fn empty_permissions_grant_nothing_and_a_template_wins() {
        let token = create(json!({ "permissions": {} })).unwrap();
        assert_eq!((token.permissions.hoody, token.is_defaulted), (PermissionSet::EMPTY, false));
        let both =
            json!({ "permissions": { "projects": { "delete": true } }, "permission_template": "read_only" });
        let token = create(both).unwrap();
        assert_eq!(token.permissions.hoody, Catalogue::hoody().template("read_only").unwrap());
        assert!(!token.is_defaulted);
        let token =
            create(json!({ "permission_template": null, "permissions": { "projects": { "read": true } } }));
        assert_eq!(paths(&token.unwrap()), "projects.read");
        assert!(create(json!({ "permission_template": null })).unwrap().is_defaulted);
        let malformed = json!({ "permissions": { "all": true }, "permission_template": "read_only" });
        assert_eq!(places(create(malformed)), ["/permissions/all"]);
        for wrong in [json!("admin"), json!("Read_only"), json!(""), json!(1)] {
            assert_eq!(places(create(json!({ "permission_template": wrong }))), ["/permission_template"]);
        }
    }

    #[test]
    fn unknown_keys_are_refused_everywhere() {
        for key in ["realm_id", "user_id", "is_enabled", "ip_whitlist", "token", "Alias"] {
            assert_eq!(places(create(json!({ key: REALM }))), [format!("/{key}")]);
        }
        for key in ["realm_id", "permission_template", "deny_reauthorization", "id", "user_id"] {
            assert_eq!(places(change(json!({ key: null }))), [format!("/{key}")]);
        }
        assert_eq!(places(TokenCopy::parse(&json!({ "permissions": {} }), now())), ["/permissions"]);
        assert_eq!(places(RealmChange::parse(&json!({ "realm_id": REALM, "x": 1 }))), ["/x"]);
        assert_eq!(places(ProfileChange::parse(&json!({ "public_key": null, "alias": "a" }))), ["/alias"]);
        for body in [json!(null), json!([]), json!("{}"), json!(1)] {
            assert_eq!(places(create(body)), [""]);
        }
    }

    #[test]
    fn all_wrong_types_are_reported_at_once() {
        let body = json!({
            "alias": ["a"], "public_key": 1, "public_storage": [], "ip_whitelist": {}, "permissions": null,
            "realm_ids": REALM, "allow_no_realm": "true", "vault_access": 1, "event_access": null,
            "expires_at": true, "otp_code": 123_456,
        });
        assert_eq!(places(create(body.clone())).len(), 11);
        let mut change_body = body;
        change_body["is_enabled"] = json!("false");
        assert_eq!(places(change(change_body)).len(), 12);
        assert_eq!(
            places(create(json!({ "realm_ids": [REALM, 1, null] }))),
            ["/realm_ids/1", "/realm_ids/2"]
        );
        assert_eq!(places(create(json!({ "otp_code": "1234567890123" }))), ["/otp_code"]);
    }

    #[test]
    fn each_rule_has_its_code() {
        for (body, expected) in [
            (json!({ "alias": "a/b" }), "INVALID_ALIAS_FORMAT"),
            (json!({ "alias": "" }), "INVALID_ALIAS_FORMAT"),
            (json!({ "public_key": "" }), "INVALID_PUBLIC_KEY_FORMAT"),
            (json!({ "ip_whitelist": [] }), "INVALID_IP_FORMAT"),
            (json!({ "ip_whitelist": "10.0.0.1,127.1" }), "INVALID_IP_FORMAT"),
            (json!({ "ip_whitelist": vec!["10.0.0.1"; 1001] }), "IP_WHITELIST_TOO_LARGE"),
            (json!({ "realm_ids": [REALM.to_uppercase()] }), "INVALID_REALM_ID_FORMAT"),
            (json!({ "realm_ids": ["*"] }), "INVALID_REALM_ID_FORMAT"),
            (json!({ "realm_ids": vec![REALM; 501] }), "VALIDATION_ERROR"),
            (json!({ "expires_at": "soon" }), "INVALID_EXPIRATION_FORMAT"),
            (json!({ "expires_at": 1_735_689_599 }), "EXPIRATION_IN_PAST"),
        ] {
            assert_eq!(code(create(body.clone())), expected, "{body}");
            assert_eq!(code(change(body)), expected);
        }
        assert!(create(json!({ "realm_ids": vec![REALM; 500] })).is_ok());
        let both = json!({ "alias": "a/b", "vault_access": 1 });
        assert_eq!(places(create(both)), ["/vault_access"], "violations come before rules");
    }

    #[test]
    fn public_storage_has_at_most_64_kib_as_json() {
        let of_size =
            |bytes: usize| json!({ "public_storage": { "a": "x".repeat(bytes - r#"{"a":""}"#.len()) } });
        assert!(create(of_size(65_536)).is_ok());
        assert_eq!(code(create(of_size(65_537))), "PUBLIC_STORAGE_TOO_LARGE");
        assert_eq!(code(ProfileChange::parse(&of_size(65_537))), "PUBLIC_STORAGE_TOO_LARGE");
        let escaped = json!({ "public_storage": { "a": "\u{1}".repeat(20_000) } });
        assert_eq!(code(change(escaped)), "PUBLIC_STORAGE_TOO_LARGE");
    }

    #[test]
    fn a_token_that_cannot_reauthorize_has_a_bounded_life_and_no_vault() {
        let token = create(json!({ "deny_reauthorization": true })).unwrap();
        assert!(token.is_defaulted && !token.vault_access);
        assert!(!paths(&token).contains("resources.vault") && !paths(&token).contains("create_tokens"));
        assert_eq!(token.expires_at, Some(now().plus(DAY)));
        let token = create(
            json!({ "deny_reauthorization": true, "permission_template": "full_access", "expires_at": null }),
        );
        let token = token.unwrap();
        assert!(!paths(&token).contains("resources.vault"));
        assert_eq!(token.expires_at, Some(now().plus(DAY)));
        let token = create(json!({ "deny_reauthorization": true, "expires_at": 1_807_488_000 })).unwrap();
        assert_eq!(token.expires_at, Some(Timestamp::from_millis(1_807_488_000_000)));

        for (asked, named) in [
            (json!({ "vault_access": true }), "vault_access"),
            (json!({ "permissions": { "resources": { "vault": true } } }), "resources.vault"),
            (json!({ "permissions": { "resources": { "create_tokens": true } } }), "resources.create_tokens"),
        ] {
            let mut body = asked;
            body["deny_reauthorization"] = json!(true);
            let Err(Invalid::Rule { code: "VALIDATION_ERROR", message }) = create(body.clone()) else {
                panic!("{body}")
            };
            assert!(message.ends_with(named), "{message}");
            body["deny_reauthorization"] = json!(false);
            assert!(create(body).is_ok());
        }
        let harmless = json!({ "deny_reauthorization": true, "vault_access": false, "permissions": { "resources": { "vault": false } } });
        assert!(create(harmless).is_ok());
    }

    #[test]
    fn a_change_tells_absent_from_null() {
        let nothing = change(json!({})).unwrap();
        assert_eq!((nothing.public_key, nothing.public_storage, nothing.expires_at), (None, None, None));
        assert!(nothing.permissions.is_none() && nothing.addresses.is_none() && nothing.is_enabled.is_none());
        let cleared =
            change(json!({ "public_key": null, "public_storage": null, "expires_at": null })).unwrap();
        assert_eq!(
            (cleared.public_key, cleared.public_storage, cleared.expires_at),
            (Some(None), Some(None), Some(None))
        );
        let set =
            change(json!({ "permissions": {}, "realm_ids": [], "is_enabled": false, "ip_whitelist": "*" }))
                .unwrap();
        assert_eq!((set.permissions, set.realm_ids), (Some(Selection::default()), Some(vec![])));
        assert_eq!((set.is_enabled, set.addresses), (Some(false), Some(AddressList::any())));
    }

    #[test]
    fn a_copy_may_have_no_body() {
        let plain = TokenCopy { alias: None, expires_at: None, otp_code: None };
        assert_eq!(TokenCopy::parse(&json!(null), now()), Ok(plain.clone()));
        assert_eq!(TokenCopy::parse(&json!({}), now()), Ok(plain));
        let copy =
            TokenCopy::parse(&json!({ "alias": "b", "expires_at": null, "otp_code": "ABCDE-12345" }), now());
        assert_eq!(copy.unwrap().expires_at, Some(None));
        assert_eq!(code(TokenCopy::parse(&json!({ "expires_at": 0 }), now())), "EXPIRATION_IN_PAST");
    }

    #[test]
    fn a_realm_change_names_one_realm() {
        assert_eq!(
            RealmChange::parse(&json!({ "realm_id": REALM })).unwrap().realm_id,
            REALM.parse().unwrap()
        );
        assert_eq!(code(RealmChange::parse(&json!({}))), "MISSING_REQUIRED_FIELD");
        assert_eq!(code(RealmChange::parse(&json!({ "realm_id": "x" }))), "INVALID_REALM_ID_FORMAT");
        assert_eq!(places(RealmChange::parse(&json!({ "realm_id": null }))), ["/realm_id"]);
        assert_eq!(places(RealmChange::parse(&json!({ "realm_id": { "$ne": "" } }))), ["/realm_id"]);
    }

    #[test]
    fn a_profile_change_changes_something() {
        assert_eq!(code(ProfileChange::parse(&json!({}))), "VALIDATION_ERROR");
        let change = ProfileChange::parse(&json!({ "public_storage": null })).unwrap();
        assert_eq!(change, ProfileChange { public_key: None, public_storage: Some(None) });
        assert_eq!(code(ProfileChange::parse(&json!({ "public_key": "x" }))), "INVALID_PUBLIC_KEY_FORMAT");
    }

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            Just(json!(REALM)),
            Just(json!("10.0.0.0/8")),
            Just(json!("full_access")),
            Just(json!("tomorrow")),
        ]
    }

    /// Bodies with the keys that the routes know, and any JSON below them.
    fn body() -> impl Strategy<Value = Value> {
        let key = prop_oneof![
            proptest::sample::select(vec![
                "alias",
                "public_key",
                "public_storage",
                "ip_whitelist",
                "permission_template",
                "permissions",
                "realm_ids",
                "realm_id",
                "allow_no_realm",
                "vault_access",
                "event_access",
                "deny_reauthorization",
                "expires_at",
                "is_enabled",
                "otp_code",
                "resources",
                "vault",
                "containers",
                "read",
            ])
            .prop_map(str::to_owned),
            ".{0,6}",
        ];
        scalar().prop_recursive(4, 48, 8, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((key.clone(), inner), 0..8)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_or_refused(body in body()) {
            crate::properties::token_value(&body);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            crate::properties::token_body(&bytes);
        }
    }
}
