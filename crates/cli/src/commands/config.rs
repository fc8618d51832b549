//! `config`: the client's configuration file (`contract/cli.md` 3).

use clap::{Args, Subcommand};
use hoody_client::wire::Secret;
use hoody_client::{Base, id::RealmId, time::Timestamp};
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::context::config_file::{self, ConfigFile};
use crate::context::credentials::{self, TOKEN_ORIGIN};
use crate::context::settings::Settings;
use crate::terminal::failure::Failure;
use crate::terminal::output::{Format, Output, View};
use crate::terminal::prompt::Kind::{Password, Token};
use crate::terminal::{printable, prompt};

/// The commands of `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show where the file is
    #[command(after_help = "EXAMPLES:\n  hoody config path")]
    Path,
    /// Show what the file holds, without its secrets
    #[command(after_help = "EXAMPLES:
  hoody config show
  hoody config show --resolved   # what commands use, and where each value comes from")]
    Show {
        /// Show each value that is in use and where it comes from
        #[arg(long)]
        resolved: bool,
    },
    /// Say whether the file can be read and its values make sense
    #[command(after_help = "EXAMPLES:\n  hoody config validate")]
    Validate,
    /// Take the file away, with all profiles and sessions in it
    #[command(after_help = "EXAMPLES:\n  hoody config reset --yes")]
    Reset,
    /// Store a value; a secret is better asked for, or given by standard input
    #[command(after_help = "EXAMPLES:
  hoody config set baseUrl https://api.example.com
  hoody config set output json --for-profile work
  hoody config set token < token.txt")]
    Set {
        /// The key, e.g. baseUrl
        key: String,
        /// The value; asked for, or read from standard input, when left out
        value: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Print a value as it is, also a secret
    #[command(after_help = "EXAMPLES:\n  hoody config get baseUrl")]
    Get {
        /// The key, e.g. baseUrl
        key: String,
        #[command(flatten)]
        place: Place,
    },
    /// Take a value away
    #[command(after_help = "EXAMPLES:\n  hoody config unset realm")]
    Unset {
        /// The key, e.g. realm
        key: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Where in the file.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// In this profile; without it, in the one in use
    #[arg(long, value_name = "NAME")]
    for_profile: Option<String>,
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Secret,
    Switch,
    Address,
    Realm,
    Format,
    Instant,
    Headers,
}

/// Every key of the contract, and the three of ours at the end.
const KEYS: &[(&str, Kind)] = &[
    ("baseUrl", Kind::Address),
    ("token", Kind::Secret),
    ("refreshToken", Kind::Secret),
    ("expiresAt", Kind::Instant),
    ("refreshExpiresAt", Kind::Instant),
    ("username", Kind::Text),
    ("password", Kind::Secret),
    ("container", Kind::Text),
    ("project", Kind::Text),
    ("realm", Kind::Realm),
    ("proxy", Kind::Text),
    ("output", Kind::Format),
    ("noColor", Kind::Switch),
    ("quiet", Kind::Switch),
    ("headers", Kind::Headers),
    ("transport.keepAlive", Kind::Switch),
    ("kitAuthType", Kind::Text),
    ("kitUser", Kind::Text),
    ("kitToken", Kind::Secret),
    ("kitPassword", Kind::Secret),
    ("kitTokenHeader", Kind::Text),
    ("defaultProfile", Kind::Text),
    ("caFile", Kind::Text),
    (TOKEN_ORIGIN, Kind::Address),
];

/// Runs a command of `config`.
pub(crate) async fn run(context: &Context, command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Path => path(context),
        ConfigCommand::Show { resolved: false } => {
            let shown = Value::Object(masked(context.file.read()?.root()));
            if context.output.format().is_for_people() {
                // The file is JSON: that is what people look for in it.
                return context.output.result(&printable::json(&format!("{shown:#}")));
            }
            context.output.show(&shown, || View::Line(String::new()))
        }
        ConfigCommand::Show { resolved: true } => resolved(context),
        ConfigCommand::Validate => validate(context),
        ConfigCommand::Reset => reset(context).await,
        ConfigCommand::Set { key, value, place } => set(context, &key, value, &place).await,
        ConfigCommand::Get { key, place } => {
            let config = context.file.read()?;
            let found = config.get(place.profile(context), &key);
            let Some((value, _)) = found else { return Err(Failure::failed(format!("{key} is not set"))) };
            context.output.show(value, || View::Line(text(value)))
        }
        ConfigCommand::Unset { key, place } => {
            kind(&key)?;
            let profile = place.profile(context);
            context.file.update(|config| config_file::put(config.section_mut(profile), &key, None)).await?;
            context.output.show(&Value::Null, || View::Done(format!("Unset {key}.")))
        }
    }
}

impl Place {
    fn profile<'a>(&'a self, context: &'a Context) -> Option<&'a str> {
        self.for_profile.as_deref().or_else(|| context.profile())
    }
}

fn path(context: &Context) -> Result<(), Failure> {
    let path = context.file.path()?.display().to_string();
    context.output.show(&path, || View::Line(path.clone()))
}

fn resolved(context: &Context) -> Result<(), Failure> {
    let shown = resolved_values(&context.settings);
    context.output.show(&shown, || View::List {
        titles: &["SETTING", "VALUE", "FROM"],
        narrow: 3,
        rows: shown
            .iter()
            .map(|(key, entry)| vec![key.clone(), text(&entry["value"]), text(&entry["source"])])
            .collect(),
        empty: "Nothing.",
    })
}

fn resolved_values(settings: &Settings) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut put = |key: &str, value: Value, source: &dyn std::fmt::Display| {
        shown.insert(key.to_owned(), json!({ "value": value, "source": source.to_string() }));
    };
    put("baseUrl", json!(settings.base_url.value), &settings.base_url.source);
    put("noColor", json!(settings.is_plain.value), &settings.is_plain.source);
    put("output", json!(format!("{:?}", settings.output.value).to_lowercase()), &settings.output.source);
    put("quiet", json!(settings.is_quiet.value), &settings.is_quiet.source);
    if let Some(realm) = &settings.realm {
        put("realm", json!(realm.value), &realm.source);
    }
    if let Some(proxy) = &settings.proxy {
        put("proxy", json!(proxy.value), &proxy.source);
    }
    if let Some(file) = &settings.ca_file {
        put("caFile", json!(file.value), &file.source);
    }
    if let Some(username) = &settings.username {
        put("username", json!(username.value), &username.source);
    }
    if let Some(token) = &settings.token {
        put("token", json!("(hidden)"), &token.source);
    }
    if let Some(password) = &settings.password {
        put("password", json!("(hidden)"), &password.source);
    }
    shown
}

fn validate(context: &Context) -> Result<(), Failure> {
    let config = context.file.read()?;
    let mut wrong = problems(config.root(), "");
    if let Some(profiles) = config.root().get("profiles") {
        match profiles.as_object() {
            Some(profiles) => {
                for (name, section) in profiles {
                    match section.as_object() {
                        Some(section) => wrong.extend(problems(section, &format!("profiles.{name}."))),
                        None => wrong.push(format!("profiles.{name} is not an object")),
                    }
                }
            }
            None => wrong.push("profiles is not an object".to_owned()),
        }
    }
    if let Some(name) = config.default_profile().filter(|name| config.section(Some(name)).is_none()) {
        wrong.push(format!("defaultProfile names {name:?}, which is not there"));
    }
    if !wrong.is_empty() {
        let path = context.file.path()?.display();
        return Err(Failure::failed(format!("{path}:\n  {}", wrong.join("\n  "))));
    }
    context.output.show(&json!({ "valid": true }), || View::Line("The configuration is valid.".to_owned()))
}

/// What is wrong with the known keys of a section; others are not ours to judge.
fn problems(section: &Map<String, Value>, at: &str) -> Vec<String> {
    let wrong = |(key, kind): &(&str, Kind)| {
        let value = config_file::within(section, key)?;
        let problem = match (kind, value) {
            (Kind::Switch, Value::Bool(_)) => None,
            (Kind::Switch, _) => Some("is not true or false".to_owned()),
            (Kind::Headers, Value::Object(headers)) if headers.values().all(Value::is_string) => None,
            (Kind::Headers, _) => Some("is not an object of texts".to_owned()),
            (kind, Value::String(text)) => parse(*kind, text).err(),
            _ => Some("is not text".to_owned()),
        };
        problem.map(|problem| format!("{at}{key} {problem}"))
    };
    KEYS.iter().filter_map(wrong).collect()
}

async fn reset(context: &Context) -> Result<(), Failure> {
    let path = context.file.path()?.display();
    context.insist(&format!("Take {path} away, with all profiles and sessions?")).await?;
    context.file.lock().await?.remove()?;
    context.output.show(&Value::Null, || View::Done("The configuration is gone.".to_owned()))
}

async fn set(context: &Context, key: &str, value: Option<String>, place: &Place) -> Result<(), Failure> {
    let kind = kind(key)?;
    let given = match value {
        Some(text) => Secret::from(text),
        None if context.is_interactive && kind == Kind::Secret => prompt::secret(key).await?,
        None if context.is_interactive => Secret::from(prompt::text(key).await?),
        // The first line as it is; what has no blanks of its own loses those around it.
        None => prompt::secret_from_stdin(if key == "password" { Password } else { Token }).await?,
    };
    let value = parse(kind, given.expose()).map_err(|problem| Failure::failed(format!("{key} {problem}")))?;
    let profile = place.profile(context);
    if key == "token" {
        credentials::check_form(&given, "the value")?;
    }
    // A token is bound to the server that is in use when it is stored.
    let origin =
        (key == "token").then(|| context.anonymous().map(|client| client.origin().clone())).transpose()?;
    context
        .file
        .update(|config| {
            let section =
                if key == "defaultProfile" { config.section_mut(None) } else { config.section_mut(profile) };
            config_file::put(section, key, Some(value));
            if let Some(origin) = &origin {
                config_file::put(section, TOKEN_ORIGIN, Some(json!(origin.as_str())));
            }
        })
        .await?;
    context.output.show(&Value::Null, || View::Done(format!("Set {key}.")))
}

fn kind(key: &str) -> Result<Kind, Failure> {
    let known = KEYS.iter().find(|(name, _)| *name == key).map(|(_, kind)| *kind);
    let names: Vec<&str> = KEYS.iter().map(|(name, _)| *name).collect();
    known.ok_or_else(|| {
        Failure::failed(format!("there is no key {key:?}")).hint(format!("the keys are {}", names.join(", ")))
    })
}

/// The value that a text is, or what is wrong with it, after the key's name. Never quotes the text.
fn parse(kind: Kind, text: &str) -> Result<Value, String> {
    let is_fine = match kind {
        Kind::Text | Kind::Secret => !text.is_empty(),
        Kind::Switch => {
            return text.parse::<bool>().map(Value::Bool).map_err(|_| "must be true or false".to_owned());
        }
        Kind::Headers => {
            let headers = serde_json::from_str::<Map<String, Value>>(text).ok();
            let headers = headers.filter(|headers| headers.values().all(Value::is_string));
            return headers.map(Value::Object).ok_or_else(|| "must be a JSON object of texts".to_owned());
        }
        Kind::Address => {
            return Base::parse(text).map(|_| json!(text)).map_err(|error| format!("is {error}"));
        }
        Kind::Realm => text.parse::<RealmId>().is_ok(),
        Kind::Format => text.parse::<Format>().is_ok(),
        Kind::Instant => Timestamp::parse(text).is_ok(),
    };
    let rule = match kind {
        Kind::Realm => "must be 24 lowercase hex digits".to_owned(),
        Kind::Format => format!("must be one of {}", Format::NAMES.join(", ")),
        Kind::Instant => "must be an ISO 8601 instant".to_owned(),
        _ => "must not be empty".to_owned(),
    };
    if is_fine { Ok(json!(text)) } else { Err(rule) }
}

/// The section with its secrets hidden, also in its profiles.
fn masked(section: &Map<String, Value>) -> Map<String, Value> {
    let is_secret = |key: &str| KEYS.iter().any(|(name, kind)| *name == key && *kind == Kind::Secret);
    let mask = |(key, value): (&String, &Value)| {
        let value = match value {
            _ if is_secret(key) => json!("(hidden)"),
            Value::Object(headers) if key == "headers" => {
                Value::Object(headers.keys().map(|name| (name.clone(), json!("(hidden)"))).collect())
            }
            Value::Object(below) => Value::Object(masked(below)),
            other => other.clone(),
        };
        (key.clone(), value)
    };
    section.iter().map(mask).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Where the file is, away with it, and other values in it, also when it cannot be used as it is; every other
/// command fails as `broken`.
pub(crate) async fn repair(
    file: &ConfigFile,
    broken: Failure,
    command: &ConfigCommand,
    output: &Output,
    is_confirmed: bool,
) -> Result<(), Failure> {
    match command {
        ConfigCommand::Path => output.result(&file.path()?.display().to_string()),
        ConfigCommand::Unset { key, place } => {
            kind(key)?;
            change(file, key, place, None).await?;
            output.result(&format!("Unset {key}."))
        }
        // A token is bound to the server in use, and which one that is cannot be told.
        ConfigCommand::Set { key, value: Some(text), place } if key != "token" => {
            let value =
                parse(kind(key)?, text).map_err(|problem| Failure::failed(format!("{key} {problem}")))?;
            change(file, key, place, Some(value)).await?;
            output.result(&format!("Set {key}."))
        }
        ConfigCommand::Reset if is_confirmed => {
            file.lock().await?.remove()?;
            output.result("The configuration is gone.")
        }
        _ => Err(broken),
    }
}

async fn change(file: &ConfigFile, key: &str, place: &Place, value: Option<Value>) -> Result<(), Failure> {
    file.update(|config| {
        let default = config.default_profile().filter(|_| key != "defaultProfile").map(str::to_owned);
        let profile = place.for_profile.clone().or(default);
        config_file::put(config.section_mut(profile.as_deref()), key, value);
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::config_file::Config;

    #[test]
    fn secrets_are_hidden_wherever_they_are() {
        let config = Config::parse(
            r#"{"token":"canary","password":"canary","headers":{"x":"canary"},"realm":"r",
                "profiles":{"work":{"refreshToken":"canary","quiet":true}}}"#,
        )
        .unwrap();
        let shown = Value::Object(masked(config.root()));
        assert!(!shown.to_string().contains("canary"), "{shown}");
        assert_eq!(shown["profiles"]["work"]["quiet"], true);
    }

    #[test]
    fn values_are_of_their_keys_kind_and_refusals_do_not_quote() {
        assert_eq!(parse(Kind::Switch, "true"), Ok(json!(true)));
        assert_eq!(parse(Kind::Address, "https://api.example.com"), Ok(json!("https://api.example.com")));
        for (kind, wrong) in [
            (Kind::Switch, "canary"),
            (Kind::Address, "canary"),
            (Kind::Realm, "canary"),
            (Kind::Format, "canary"),
            (Kind::Instant, "canary"),
            (Kind::Headers, "canary"),
            (Kind::Secret, ""),
        ] {
            let problem = parse(kind, wrong).unwrap_err();
            assert!(!problem.contains("canary"), "{problem}");
        }
    }

    #[test]
    fn problems_name_the_key() {
        let config = Config::parse(r#"{"quiet":"yes","baseUrl":"x","later":1,"output":"json"}"#).unwrap();
        let found = problems(config.root(), "profiles.work.");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|problem| problem.starts_with("profiles.work.")));
    }
}
