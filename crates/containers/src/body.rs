//! What requests about containers contain (`contract/containers.md`). Unknown keys are ignored.

use hoody_core::container::{self, Images, MAX_COMMENT, MAX_ENVIRONMENT, MAX_VARIABLES};
use hoody_core::id::RealmId;
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::names;
use hoody_core::token::parse_realm_ids;
use hoody_core::wire::Secret;
use serde_json::{Map, Value};

use crate::model::{Container, Environment};

/// The most characters of an SSH key.
const MAX_SSH_KEY: usize = 8_192;
/// The most characters of a snapshot's alias.
const MAX_ALIAS: usize = 100;
/// The most days until a snapshot is deleted.
const MAX_EXPIRY: u64 = 3_650;

/// A container to be made.
#[derive(Debug)]
pub struct NewContainer {
    pub server_id: String,
    /// `None` for a random one.
    pub name: Option<String>,
    /// The image's name, one of those that the operator named.
    pub image: String,
    pub ai: Option<bool>,
    pub hoody_kit: Option<bool>,
    pub dev_kit: Option<bool>,
    /// Everything that can be changed later, too.
    pub change: ContainerChange,
}

/// A change of a container; `None` leaves a field as it is.
#[derive(Debug, Default)]
pub struct ContainerChange {
    pub name: Option<String>,
    pub color: Option<String>,
    pub comment: Option<Option<String>>,
    pub ai: Option<bool>,
    pub autostart: Option<bool>,
    pub ramdisk: Option<bool>,
    pub ramdisk_scope: Option<String>,
    pub environment: Option<Environment>,
    pub ssh_public_key: Option<Option<String>>,
    pub realm_ids: Option<Vec<RealmId>>,
}

/// A snapshot to be made.
#[derive(Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    pub alias: Option<String>,
    /// In days.
    pub expiry: Option<i64>,
}

impl NewContainer {
    /// Reads the body of `POST /projects/{id}/containers`.
    pub fn parse(body: &Value, images: &Images) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let server_id = fields.string("server_id").map(str::to_owned);
        let image = fields.nullable_string("container_image").map(|name| {
            images.find(name).map(|(name, _)| name.to_owned()).ok_or_else(|| {
                let known = images.names();
                Invalid::validation(format!("container_image: unknown image; this server has {known}"))
            })
        });
        let image = image.and_then(|image| fields.absorb(image));
        let (hoody_kit, dev_kit) = (fields.boolean("hoody_kit"), fields.boolean("dev_kit"));
        for feature in ["kvm", "dev_kvm"] {
            if fields.boolean(feature) == Some(true) {
                let message = format!("{feature}: this server has no virtual machines");
                fields.absorb::<()>(Err(Invalid::rule("NOT_SUPPORTED", message)));
            }
        }
        for ignored in ["cache", "cache_image", "bypass_prespawn", "prespawn"] {
            fields.boolean(ignored);
        }
        let name = match fields.string("name") {
            None | Some("rand") => None,
            Some(name) => fields.absorb(container::name(name, 3)).map(str::to_owned),
        };
        let change = ContainerChange::read(&mut fields);
        fields.close_open()?;
        let default = || images.find(None).map(|(name, _)| name.to_owned()).unwrap_or_default();
        Ok(Self {
            server_id: server_id.ok_or_else(|| Invalid::missing("server_id"))?,
            name,
            image: image.unwrap_or_else(default),
            ai: change.ai,
            hoody_kit,
            dev_kit,
            change,
        })
    }
}

impl ContainerChange {
    /// Reads the body of `PUT` or `PATCH /containers/{id}`. Both may leave out anything.
    pub fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let name = fields.string("name").map(|name| container::name(name, 1).map(str::to_owned));
        let name = name.and_then(|name| fields.absorb(name));
        let change = Self::read(&mut fields);
        fields.close_open()?;
        Ok(Self { name, ..change })
    }

    /// Everything but the name.
    fn read(fields: &mut Fields<'_>) -> Self {
        let color = fields.string("color").map(names::color);
        let color = color.and_then(|color| fields.absorb(color));
        let comment = fields.nullable_string("comment").map(|text| at_most("comment", text, MAX_COMMENT));
        let comment = comment.and_then(|comment| fields.absorb(comment));
        let ssh_public_key =
            fields.nullable_string("ssh_public_key").map(|text| at_most("ssh_public_key", text, MAX_SSH_KEY));
        let ssh_public_key = ssh_public_key.and_then(|key| fields.absorb(key));
        let ramdisk_scope = fields.string("ramdisk_scope").map(|text| match text {
            "container" | "project" => Ok(text.to_owned()),
            _ => Err(Invalid::schema("/ramdisk_scope", "must be container or project")),
        });
        let ramdisk_scope = ramdisk_scope.and_then(|scope| fields.absorb(scope));
        let environment = fields.value("environment_vars").map(|value| match value {
            Value::Object(object) => variables(object, "/environment_vars"),
            _ => Err(Invalid::schema("/environment_vars", "must be an object")),
        });
        let environment = environment.and_then(|environment| fields.absorb(environment));
        let realm_ids = fields.array("realm_ids").map(parse_realm_ids);
        let realm_ids = realm_ids.and_then(|realm_ids| fields.absorb(realm_ids));
        Self {
            name: None,
            color,
            comment,
            ai: fields.boolean("ai"),
            autostart: fields.boolean("autostart"),
            ramdisk: fields.boolean("ramdisk"),
            ramdisk_scope,
            environment,
            ssh_public_key,
            realm_ids,
        }
    }

    /// Puts everything that was asked for into the container, but for its environment, which is sealed.
    pub fn put_into(&mut self, container: &mut Container) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut container.name, self.name.take());
        set(&mut container.color, self.color.take());
        set(&mut container.comment, self.comment.take());
        set(&mut container.ai, self.ai);
        set(&mut container.autostart, self.autostart);
        set(&mut container.ramdisk, self.ramdisk);
        set(&mut container.ramdisk_scope, self.ramdisk_scope.take());
        set(&mut container.ssh_public_key, self.ssh_public_key.take());
        set(&mut container.realm_ids, self.realm_ids.take());
    }
}

impl NewSnapshot {
    /// Reads the body of `POST /containers/{id}/snapshots`.
    pub fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let alias = fields.string("alias").map(alias);
        let alias = alias.and_then(|alias| fields.absorb(alias));
        let expiry = fields.number("expiry").map(|number| {
            let days = number.as_u64().filter(|days| (1..=MAX_EXPIRY).contains(days));
            let days = days.and_then(|days| i64::try_from(days).ok());
            days.ok_or_else(|| {
                Invalid::validation(format!("expiry must be a whole number of days from 1 to {MAX_EXPIRY}"))
            })
        });
        let expiry = expiry.and_then(|expiry| fields.absorb(expiry));
        fields.close_open()?;
        Ok(Self { alias, expiry })
    }
}

/// Reads the body of `PUT` or `PATCH /containers/{id}/snapshots/{name}/alias`.
pub fn parse_alias(body: &Value) -> Result<Option<String>, Invalid> {
    let mut fields = Fields::of_body(body)?;
    let given = fields.nullable_string("alias");
    let checked = given.flatten().map(alias);
    let checked = checked.and_then(|alias| fields.absorb(alias));
    fields.close_open()?;
    if given.is_none() {
        return Err(Invalid::missing("alias"));
    }
    Ok(checked)
}

/// Reads the body of `PUT` or `PATCH /containers/{id}/env`.
pub fn parse_environment(body: &Value) -> Result<Environment, Invalid> {
    match body {
        Value::Object(object) => variables(object, ""),
        _ => Err(Invalid::schema("", "must be an object")),
    }
}

/// Reads the body of `PUT` or `PATCH /containers/{id}/env/{key}`.
pub fn parse_variable(key: &str, body: &Value) -> Result<Secret, Invalid> {
    let mut fields = Fields::of_body(body)?;
    let value = fields.string("value").map(|value| container::value(key, value).map(Secret::new));
    let value = value.and_then(|value| fields.absorb(value));
    fields.close_open()?;
    value.ok_or_else(|| Invalid::missing("value"))
}

/// Reads the body of `PUT` or `PATCH …/proxy/permissions/default`: whether terminals are open.
pub fn parse_proxy(body: &Value) -> Result<bool, Invalid> {
    let mut fields = Fields::of_body(body)?;
    let word = match fields.string("default") {
        None => Err(Invalid::missing("default")),
        Some("allow") => Ok(true),
        Some("deny") => Ok(false),
        Some(_) => Err(Invalid::schema("/default", "must be allow or deny")),
    };
    fields.absorb(word.clone());
    fields.close_open()?;
    word
}

/// Refuses an environment that is too large to start a program with.
pub fn check_size(environment: &Environment) -> Result<(), Invalid> {
    let bytes: usize = environment.iter().map(|(key, value)| key.len() + value.expose().len() + 2).sum();
    if environment.len() > MAX_VARIABLES || bytes > MAX_ENVIRONMENT {
        return Err(Invalid::validation(format!(
            "A container has at most {MAX_VARIABLES} variables and {MAX_ENVIRONMENT} bytes of them"
        )));
    }
    Ok(())
}

fn variables(object: &Map<String, Value>, at: &str) -> Result<Environment, Invalid> {
    let mut environment = Environment::new();
    for (key, value) in object {
        let Value::String(value) = value else {
            return Err(Invalid::schema(hoody_core::json::pointer(at, key), "must be a string"));
        };
        container::variable(key)?;
        container::value(key, value)?;
        environment.insert(key.clone(), Secret::new(value));
    }
    check_size(&environment)?;
    Ok(environment)
}

fn alias(text: &str) -> Result<String, Invalid> {
    let is_plain = !text.chars().any(names::changes_display);
    if is_plain && (1..=MAX_ALIAS).contains(&text.chars().count()) {
        return Ok(text.to_owned());
    }
    Err(Invalid::validation(format!("alias must have 1 to {MAX_ALIAS} characters and no control characters")))
}

fn at_most(field: &str, text: Option<&str>, most: usize) -> Result<Option<String>, Invalid> {
    match text {
        Some(text) if text.chars().count() > most || text.contains('\0') => {
            Err(Invalid::validation(format!("{field} must have at most {most} characters and no NUL")))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code<T: std::fmt::Debug>(result: Result<T, Invalid>) -> &'static str {
        match result {
            Err(Invalid::Rule { code, .. }) => code,
            Err(Invalid::Schema(_)) => "schema",
            other => panic!("{other:?}"),
        }
    }

    /// The body of the second agent of the seeds, which spreads its configuration into it.
    #[test]
    fn the_bodies_of_the_seeds_are_read() {
        let body = json!({ "name": "ai-workspace", "server_id": "server-123", "hoody_kit": true,
            "serverId": "server-123" });
        let new = NewContainer::parse(&body, &Images::default()).unwrap();
        assert_eq!((new.server_id.as_str(), new.name.as_deref()), ("server-123", Some("ai-workspace")));
        assert_eq!((new.hoody_kit, new.image.as_str()), (Some(true), "debian/13"));
    }

    #[test]
    fn each_broken_rule_has_its_code() {
        let with = |mut body: Value| {
            body["server_id"] = json!("local");
            NewContainer::parse(&body, &Images::default())
        };
        assert_eq!(code(NewContainer::parse(&json!({}), &Images::default())), "MISSING_REQUIRED_FIELD");
        for (body, expected) in [
            (json!({ "name": "ab" }), "INVALID_CONTAINER_NAME"),
            (json!({ "name": "a b c" }), "INVALID_CONTAINER_NAME"),
            (json!({ "color": "red" }), "INVALID_COLOR_FORMAT"),
            (json!({ "container_image": "alpine" }), "VALIDATION_ERROR"),
            (json!({ "kvm": true }), "NOT_SUPPORTED"),
            (json!({ "environment_vars": { "LD_PRELOAD": "x" } }), "VALIDATION_ERROR"),
            (json!({ "environment_vars": { "A": 1 } }), "schema"),
            (json!({ "environment_vars": [] }), "schema"),
            (json!({ "hoody_kit": "yes" }), "schema"),
            (json!({ "comment": "x".repeat(16_001) }), "VALIDATION_ERROR"),
            (json!({ "realm_ids": ["x"] }), "INVALID_REALM_ID_FORMAT"),
        ] {
            assert_eq!(code(with(body.clone())), expected, "{body}");
        }
        assert!(with(json!({ "name": "rand" })).unwrap().name.is_none());
        assert!(with(json!({ "container_image": null })).is_ok());
        assert_eq!(code(ContainerChange::parse(&json!({ "ramdisk_scope": "host" }))), "schema");
    }

    #[test]
    fn snapshots_and_variables_are_read_with_their_limits() {
        let new = NewSnapshot::parse(&json!({ "alias": "task-7", "expiry": 30 })).unwrap();
        assert_eq!(new, NewSnapshot { alias: Some("task-7".to_owned()), expiry: Some(30) });
        for bad in [
            json!({ "expiry": 0 }),
            json!({ "expiry": 3_651 }),
            json!({ "alias": "" }),
            json!({ "alias": "a\nb" }),
        ] {
            assert_eq!(code(NewSnapshot::parse(&bad)), "VALIDATION_ERROR", "{bad}");
        }
        assert_eq!(parse_alias(&json!({ "alias": null })), Ok(None));
        assert_eq!(code(parse_alias(&json!({}))), "MISSING_REQUIRED_FIELD");
        assert_eq!(parse_variable("A", &json!({ "value": "" })).unwrap().expose(), "");
        assert_eq!(code(parse_variable("A", &json!({ "value": "a\nb" }))), "VALIDATION_ERROR");
        let many: Map<String, Value> = (0..201).map(|n| (format!("K{n}"), json!("v"))).collect();
        assert_eq!(code(parse_environment(&Value::Object(many))), "VALIDATION_ERROR");
        assert_eq!(parse_proxy(&json!({ "default": "allow" })), Ok(true));
        assert_eq!(code(parse_proxy(&json!({ "default": "open" }))), "schema");
    }
}
