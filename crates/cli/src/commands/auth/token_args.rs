//! The flags of `auth create`, `auth update` and `auth copy`, and the requests they make.

use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use hoody_client::time::{DAY, HOUR, MINUTE, Timestamp};
use hoody_client::wire::{CopyToken, CreateToken, ExpiresAt, IpWhitelist, Secret, UpdateToken};
use hoody_core::secret_text::without_mark;
use serde_json::{Map, Value};

use super::permission_flags::PermissionFlags;
use crate::commands::values::{RealmIds, nullable, realm_ids};

/// What both create and update take.
#[derive(Debug, Args)]
pub(crate) struct TokenFields {
    /// Name: letters, digits, spaces, `_` and `-`
    #[arg(long)]
    alias: Option<String>,
    /// Ed25519 key of the public profile: 64 hex digits, or `null` for none
    #[arg(long, value_name = "HEX")]
    public_key: Option<String>,
    /// The public profile: a JSON object, `@FILE` with one, or `null` for none
    #[arg(long, value_name = "JSON")]
    public_storage: Option<String>,
    /// Addresses and networks it may be used from; repeat it, or separate by commas; `*` is any
    #[arg(long, value_name = "CIDR", allow_hyphen_values = false)]
    ip_whitelist: Vec<String>,
    #[command(flatten)]
    permissions: PermissionFlags,
    /// Realms to bind it to; repeat it, or separate by commas; empty is no list
    #[arg(long, value_name = "IDS", value_parser = realm_ids)]
    realm_ids: Vec<RealmIds>,
    /// It may be used on the base host
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    allow_no_realm: Option<bool>,
    /// It may be used on a realm's host only
    #[arg(long, conflicts_with = "allow_no_realm")]
    no_allow_no_realm: bool,
    /// It may reach the vault, with the permission resources.vault
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    vault_access: Option<bool>,
    /// It may not reach the vault
    #[arg(long, conflicts_with = "vault_access")]
    no_vault_access: bool,
    /// It may reach the event stream
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    event_access: Option<bool>,
    /// It may not reach the event stream
    #[arg(long, conflicts_with = "event_access")]
    no_event_access: bool,
    /// When it ends: an ISO 8601 instant, seconds or milliseconds since 1970, `today`, `tomorrow`, or `never`
    #[arg(long, value_name = "WHEN")]
    expires_at: Option<String>,
    /// In how long it ends: a number and m, h, d or w, e.g. 12h or 30d
    #[arg(long, value_name = "TIME", value_parser = lifetime, conflicts_with = "expires_at")]
    expires_in: Option<i64>,
    /// What your service calls whom it is for, or `null` for none
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// What your service keeps with it: a JSON object, `@FILE` with one, or `null` for none; never public
    #[arg(long, value_name = "JSON")]
    meta: Option<String>,
    /// Words to find it by; repeat it, or separate by commas; empty is none
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// What it is for, or `null` for nothing
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Code of the second factor
    #[arg(long, value_name = "CODE")]
    otp_code: Option<Secret>,
}

/// What `auth create` takes.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    fields: TokenFields,
    /// Named set of permissions: full_access, external_customer, dev_team, finance_team or read_only;
    /// single ones are added to it. None has resources.create_tokens: ask for that by its name
    #[arg(long, value_name = "NAME")]
    permission_template: Option<String>,
    /// Take away whatever could get further credentials, and let it end within a day unless told otherwise
    #[arg(long)]
    deny_reauthorization: bool,
}

/// What `auth update` takes.
#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    fields: TokenFields,
    /// Whether it can be used at all
    #[arg(long, alias = "is-enabled", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    enabled: Option<bool>,
    /// It cannot be used
    #[arg(long, alias = "no-enabled", conflicts_with = "enabled")]
    no_is_enabled: bool,
}

/// What `auth copy` takes.
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// Name of the copy
    #[arg(long)]
    alias: Option<String>,
    /// When the copy ends; as the source unless given
    #[arg(long, value_name = "WHEN")]
    expires_at: Option<String>,
    /// In how long the copy ends: a number and m, h, d or w, e.g. 12h or 30d
    #[arg(long, value_name = "TIME", value_parser = lifetime, conflicts_with = "expires_at")]
    expires_in: Option<i64>,
    /// Code of the second factor
    #[arg(long, value_name = "CODE")]
    otp_code: Option<Secret>,
}

impl CreateArgs {
    /// Whether nothing says what the token may do.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.permission_template.is_none() && self.fields.permissions.tree().is_none()
    }

    /// Whether permissions were given that a template makes the server ignore.
    pub(crate) fn template_wins(&self) -> bool {
        self.permission_template.is_some() && self.fields.permissions.tree().is_some()
    }

    /// The operator's permissions that were named.
    pub(crate) fn own_permissions(&self) -> &[String] {
        self.fields.permissions.own()
    }

    /// How long the token lives, where that is how its end is given.
    pub(crate) fn lifetime(&self) -> Option<i64> {
        self.fields.expires_in
    }

    /// The request, made at `now`.
    pub(crate) fn request(&self, now: Timestamp) -> anyhow::Result<CreateToken> {
        let fields = &self.fields;
        let template = self.permission_template.as_deref();
        // On the wire a template wins over single permissions: with both, the tree is put together here.
        let together = template.and_then(|name| fields.permissions.tree_over(name));
        Ok(CreateToken {
            alias: fields.alias.clone(),
            public_key: fields.public_key.as_deref().map(nullable),
            public_storage: storage(fields.public_storage.as_deref())?,
            ip_whitelist: addresses(&fields.ip_whitelist),
            permission_template: self.permission_template.clone().filter(|_| together.is_none()),
            permissions: together.or_else(|| fields.permissions.tree()),
            realm_ids: RealmIds::joined(&fields.realm_ids),
            allow_no_realm: toggle(fields.allow_no_realm, fields.no_allow_no_realm),
            vault_access: toggle(fields.vault_access, fields.no_vault_access),
            event_access: toggle(fields.event_access, fields.no_event_access),
            deny_reauthorization: self.deny_reauthorization.then_some(true),
            expires_at: end(fields.expires_at.as_deref(), fields.expires_in, now),
            external_id: fields.external_id.as_deref().map(nullable),
            meta: object("--meta", fields.meta.as_deref())?,
            tags: tags(&fields.tag),
            description: fields.description.as_deref().map(nullable),
            otp_code: fields.otp_code.clone(),
        })
    }
}

impl UpdateArgs {
    /// The operator's permissions that were named.
    pub(crate) fn own_permissions(&self) -> &[String] {
        self.fields.permissions.own()
    }

    /// How long the token lives, where that is how its end is given.
    pub(crate) fn lifetime(&self) -> Option<i64> {
        self.fields.expires_in
    }

    /// The request, made at `now`.
    pub(crate) fn request(&self, now: Timestamp) -> anyhow::Result<UpdateToken> {
        let fields = &self.fields;
        Ok(UpdateToken {
            alias: fields.alias.clone(),
            public_key: fields.public_key.as_deref().map(nullable),
            public_storage: storage(fields.public_storage.as_deref())?,
            ip_whitelist: addresses(&fields.ip_whitelist),
            permissions: fields.permissions.tree(),
            realm_ids: RealmIds::joined(&fields.realm_ids),
            allow_no_realm: toggle(fields.allow_no_realm, fields.no_allow_no_realm),
            vault_access: toggle(fields.vault_access, fields.no_vault_access),
            event_access: toggle(fields.event_access, fields.no_event_access),
            expires_at: end(fields.expires_at.as_deref(), fields.expires_in, now),
            is_enabled: toggle(self.enabled, self.no_is_enabled),
            external_id: fields.external_id.as_deref().map(nullable),
            meta: object("--meta", fields.meta.as_deref())?,
            tags: tags(&fields.tag),
            description: fields.description.as_deref().map(nullable),
            otp_code: fields.otp_code.clone(),
        })
    }
}

impl CopyArgs {
    /// How long the copy lives, where that is how its end is given.
    pub(crate) fn lifetime(&self) -> Option<i64> {
        self.expires_in
    }

    /// The request, made at `now`.
    pub(crate) fn request(&self, now: Timestamp) -> CopyToken {
        CopyToken {
            alias: self.alias.clone(),
            expires_at: end(self.expires_at.as_deref(), self.expires_in, now),
            otp_code: self.otp_code.clone(),
        }
    }
}

fn tags(given: &[String]) -> Option<Vec<String>> {
    let words = given.iter().flat_map(|text| text.split(',')).map(str::trim);
    (!given.is_empty()).then(|| words.filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

fn toggle(given: Option<bool>, is_off: bool) -> Option<bool> {
    if is_off { Some(false) } else { given }
}

/// A public profile: a JSON object, one from a file, or `null`.
pub(crate) fn storage(text: Option<&str>) -> anyhow::Result<Option<Option<Map<String, Value>>>> {
    object("--public-storage", text)
}

/// A JSON object, one from a file, or `null`, of this flag.
fn object(flag: &str, text: Option<&str>) -> anyhow::Result<Option<Option<Map<String, Value>>>> {
    let Some(text) = text else { return Ok(None) };
    let text = match text.strip_prefix('@') {
        Some(path) => {
            std::fs::read_to_string(Path::new(path)).with_context(|| format!("{flag}: cannot read {path}"))?
        }
        None => text.to_owned(),
    };
    let text = without_mark(&text);
    if text.trim().is_empty() {
        return Ok(Some(None));
    }
    serde_json::from_str(text).map(Some).with_context(|| format!("{flag}: not a JSON object"))
}

/// The addresses one by one, so that the server can say which one is wrong.
fn addresses(given: &[String]) -> Option<IpWhitelist> {
    let each = given.iter().flat_map(|text| text.split(',')).map(|text| text.trim().to_owned());
    (!given.is_empty()).then(|| IpWhitelist::List(each.collect()))
}

/// A number and a unit, in milliseconds.
fn lifetime(text: &str) -> Result<i64, String> {
    let units = [("m", MINUTE), ("h", HOUR), ("d", DAY), ("w", 7 * DAY)];
    let parts = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
    let number = parts.and_then(|(number, unit)| Some((number.parse::<u32>().ok()?, unit)));
    match number {
        Some((number @ 1.., unit)) => Ok(i64::from(number).saturating_mul(unit)),
        _ => Err("it must be a number and m, h, d or w: 30m, 12h, 30d, 2w".to_owned()),
    }
}

/// When a token ends, from either flag.
fn end(at: Option<&str>, lifetime: Option<i64>, now: Timestamp) -> Option<Option<ExpiresAt>> {
    match lifetime {
        Some(lifetime) => Some(Some(ExpiresAt::Text(now.plus(lifetime).to_string()))),
        None => at.map(expiry),
    }
}

/// Any form of an expiry; whether it is one is for the server to say.
fn expiry(text: &str) -> Option<ExpiresAt> {
    let text = text.trim();
    match text {
        "never" | "null" | "none" => None,
        _ => Some(text.parse().map_or_else(|_| ExpiresAt::Text(text.to_owned()), ExpiresAt::Unix)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Create {
        #[command(flatten)]
        args: CreateArgs,
    }

    #[derive(Debug, Parser)]
    struct Update {
        id: String,
        #[command(flatten)]
        args: UpdateArgs,
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(1_772_442_942_118)
    }

    fn create(arguments: &[&str]) -> Value {
        let parsed = Create::try_parse_from([&["create"], arguments].concat()).unwrap();
        serde_json::to_value(parsed.args.request(now()).unwrap()).unwrap()
    }

    fn update(arguments: &[&str]) -> Value {
        let parsed = Update::try_parse_from([&["update"], arguments].concat()).unwrap();
        assert_eq!(parsed.id, "ID");
        serde_json::to_value(parsed.args.request(now()).unwrap()).unwrap()
    }

    #[test]
    fn the_line_of_the_seeds_makes_their_request() {
        let body = create(&[
            "--alias",
            "Production Automation Token",
            "--ip-whitelist",
            "203.0.113.10,203.0.113.20",
            "--expires-at",
            "2027-04-12T00:00:00Z",
        ]);
        assert_eq!(
            body,
            json!({
                "alias": "Production Automation Token", "ip_whitelist": ["203.0.113.10", "203.0.113.20"],
                "expires_at": "2027-04-12T00:00:00Z"
            })
        );
    }

    #[test]
    fn nothing_given_is_an_empty_request() {
        assert_eq!(create(&[]), json!({}));
        assert_eq!(update(&["ID"]), json!({}));
    }

    #[test]
    fn a_token_is_disabled_in_every_spelling() {
        for spelling in [
            &["--enabled", "false"][..],
            &["--is-enabled", "false"],
            &["--no-is-enabled"],
            &["--enabled=false"],
        ] {
            assert_eq!(update(&[&["ID"], spelling].concat()), json!({"is_enabled": false}), "{spelling:?}");
        }
        assert_eq!(update(&["ID", "--is-enabled"]), json!({"is_enabled": true}));
        assert!(Update::try_parse_from(["update", "ID", "--enabled", "maybe"]).is_err());
    }

    #[test]
    fn every_form_of_expiry_and_null_is_sent() {
        assert_eq!(create(&["--expires-at", "never"]), json!({"expires_at": null}));
        assert_eq!(create(&["--expires-at", "1767225599000"]), json!({"expires_at": 1_767_225_599_000_i64}));
        assert_eq!(create(&["--expires-at", "tomorrow"]), json!({"expires_at": "tomorrow"}));
        assert_eq!(
            update(&["ID", "--public-key", "null", "--public-storage", "null"]),
            json!({"public_key": null, "public_storage": null})
        );
        assert_eq!(
            create(&["--public-storage", r#"{"tier":"gold"}"#]),
            json!({"public_storage": {"tier": "gold"}})
        );
        let wrong = Create::try_parse_from(["create", "--public-storage", "[1]"]).unwrap();
        assert!(wrong.args.request(now()).is_err());
    }

    #[test]
    fn an_end_is_also_given_by_how_long_until_it() {
        for (given, expected) in [
            ("30m", "2026-03-02T09:45:42.118Z"),
            ("12h", "2026-03-02T21:15:42.118Z"),
            ("30d", "2026-04-01T09:15:42.118Z"),
            ("2w", "2026-03-16T09:15:42.118Z"),
        ] {
            assert_eq!(create(&["--expires-in", given]), json!({ "expires_at": expected }));
            assert_eq!(update(&["ID", "--expires-in", given]), json!({ "expires_at": expected }));
        }
        for wrong in ["30", "d", "0d", "-1d", "1.5h", "30 d", "30D", "1y", ""] {
            let given = format!("--expires-in={wrong}");
            let error = Create::try_parse_from(["create", &given]).unwrap_err().to_string();
            assert!(error.contains("30d"), "{wrong}: {error}");
        }
        let both = ["create", "--expires-in", "1d", "--expires-at", "never"];
        assert!(Create::try_parse_from(both).is_err());
    }

    #[test]
    fn realms_are_a_list_or_none() {
        let two = "507f1f77bcf86cd799439012,507f1f77bcf86cd799439013";
        assert_eq!(create(&["--realm-ids", two])["realm_ids"].as_array().unwrap().len(), 2);
        assert_eq!(update(&["ID", "--realm-ids", ""]), json!({"realm_ids": []}));
        assert!(Create::try_parse_from(["create", "--realm-ids", "x"]).is_err());
        assert_eq!(
            create(&["--no-allow-no-realm", "--vault-access"]),
            json!({"allow_no_realm": false, "vault_access": true})
        );
    }

    #[test]
    fn single_permissions_are_added_to_a_template_and_making_tokens_only_by_name() {
        let plain = create(&["--permission-template", "full_access"]);
        assert_eq!(plain, json!({ "permission_template": "full_access" }));
        let body = create(&["--permission-template", "read_only", "--permission", "resources.create_tokens"]);
        assert_eq!(body.get("permission_template"), None, "it would win");
        assert_eq!(body["permissions"]["resources"]["create_tokens"], true);
        assert_eq!(body["permissions"]["projects"], json!({ "read": true }));
        let body = create(&["--permission-template", "full_access", "--permission", "resources.*"]);
        assert_eq!(body["permissions"]["resources"].get("create_tokens"), None);
        let body = create(&["--permission-template", "read_only", "--permissions-projects-read=false"]);
        assert_eq!(body["permissions"].get("projects"), None);
        // One that only the server knows is the server's to judge.
        let body = create(&["--permission-template", "new", "--permission", "projects.read"]);
        assert_eq!(body["permission_template"], "new");
    }

    #[test]
    fn a_token_without_limits_is_noticed() {
        let is_unlimited = |arguments: &[&str]| {
            Create::try_parse_from([&["create"], arguments].concat()).unwrap().args.is_unlimited()
        };
        assert!(is_unlimited(&["--alias", "x"]));
        assert!(!is_unlimited(&["--permission", "projects.read"]));
        assert!(!is_unlimited(&["--permission-template", "read_only"]));
    }
}
