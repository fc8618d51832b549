//! `vault` (`contract/cli.md` 8). The value of `get` is the result, so that it can be piped on as it is.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueHint};
use hoody_client::Client;
use hoody_client::id::RealmId;
use hoody_client::wire::{Secret, SetVaultKey, VaultKey};
use hoody_core::names;
use hoody_core::secret_text::without_mark;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::terminal::cell::text_or;
use crate::terminal::failure::Failure;
use crate::terminal::output::{Format, View};

/// The commands of `vault`.
#[derive(Debug, Subcommand)]
pub(crate) enum VaultCommand {
    /// List the keys, without their values
    #[command(
        visible_alias = "ls",
        after_help = "EXAMPLES:
  hoody vault list
  hoody vault list --realm-id 507f1f77bcf86cd799439012"
    )]
    List {
        #[command(flatten)]
        realm: RealmArg,
    },
    /// Print the value of a key
    #[command(
        visible_alias = "show",
        after_help = "EXAMPLES:
  hoody vault get db.password
  hoody vault get tls.key -o raw > tls.key   # exactly the value, no line end added
  hoody vault get db.password -o json"
    )]
    Get {
        #[command(flatten)]
        key: KeyArg,
        #[command(flatten)]
        realm: RealmArg,
    },
    /// Set a key: the value from a flag, a file, or standard input
    #[command(
        visible_alias = "put",
        after_help = "EXAMPLES:
  hoody vault set db.password < password.txt
  hoody vault set tls.key --value-file tls.key
  hoody vault set region --value eu-west-1 --metadata '{\"owner\": \"ops\"}'"
    )]
    Set {
        #[command(flatten)]
        key: KeyArg,
        #[command(flatten)]
        value: ValueArgs,
        #[command(flatten)]
        realm: RealmArg,
    },
    /// Delete a key
    #[command(visible_aliases = ["rm", "remove"], after_help = "EXAMPLES:\n  hoody vault delete db.password")]
    Delete {
        #[command(flatten)]
        key: KeyArg,
        #[command(flatten)]
        realm: RealmArg,
    },
    /// Delete every key
    #[command(after_help = "EXAMPLES:
  hoody vault clear
  hoody vault clear --realm-id 507f1f77bcf86cd799439012 --yes")]
    Clear {
        #[command(flatten)]
        realm: RealmArg,
    },
    /// Show how full the vault is
    #[command(after_help = "EXAMPLES:\n  hoody vault stats")]
    Stats {
        #[command(flatten)]
        realm: RealmArg,
    },
}

/// Which realm.
#[derive(Debug, Args)]
pub(crate) struct RealmArg {
    /// The realm; unless given that of --realm, or none
    #[arg(long = "realm-id", value_name = "ID")]
    id: Option<RealmId>,
}

/// Which key.
#[derive(Debug, Args)]
pub(crate) struct KeyArg {
    /// Letters, digits, dots, underscores and hyphens
    #[arg(id = "key", value_name = "KEY", value_parser = key)]
    name: String,
}

/// What a key is set to.
#[derive(Debug, Args)]
pub(crate) struct ValueArgs {
    /// The value; others can see it in the list of processes. `-` reads standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "value_file")]
    value: Option<Secret>,
    /// Read the value from a file; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    value_file: Option<PathBuf>,
    /// A JSON object that is no secret, `@FILE`, or `null`; left out, it stays as it is
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
}

/// The rule is the server's. Here it also keeps `..` out of a path.
fn key(text: &str) -> Result<String, String> {
    match names::vault_key(text) {
        Ok(name) => Ok(name.to_owned()),
        Err(_) => Err("1 to 255 letters, digits, dots, underscores and hyphens; not `.` or `..`".to_owned()),
    }
}

/// Runs a command of `vault`.
pub(crate) async fn run(context: &Context, command: VaultCommand) -> Result<(), Failure> {
    match command {
        VaultCommand::List { realm } => list(context, realm.id).await,
        VaultCommand::Get { key, realm } => get(context, &key.name, realm.id).await,
        VaultCommand::Set { key, value, realm } => set(context, &key.name, value, realm.id).await,
        VaultCommand::Delete { key: KeyArg { name }, realm } => {
            context.confirm(&format!("Delete {name} from the vault?")).await?;
            context
                .call(async |client: &Client| client.vault().in_realm(realm.id).delete(&name).await)
                .await?;
            context.output.show(&Value::Null, || View::Done(format!("Deleted {name}.")))
        }
        VaultCommand::Clear { realm } => clear(context, realm.id).await,
        VaultCommand::Stats { realm } => stats(context, realm.id).await,
    }
}

async fn list(context: &Context, realm: Option<RealmId>) -> Result<(), Failure> {
    let keys = context.call(async |client: &Client| client.vault().in_realm(realm).list().await).await?;
    context.output.show(&keys, || View::List {
        titles: &["KEY", "BYTES", "SET", "MADE", "REALM", "METADATA"],
        narrow: 3,
        rows: keys.iter().map(row).collect(),
        empty: "No keys. `hoody vault set` makes one.",
    })
}

fn row(key: &VaultKey) -> Vec<String> {
    let metadata = key.metadata.clone().map(Value::Object);
    vec![
        key.key.clone(),
        key.size_bytes.to_string(),
        key.updated_at.to_string(),
        key.created_at.to_string(),
        text_or(key.realm_id, "none"),
        text_or(metadata, "none"),
    ]
}

async fn get(context: &Context, key: &str, realm: Option<RealmId>) -> Result<(), Failure> {
    let record = context.call(async |client: &Client| client.vault().in_realm(realm).get(key).await).await?;
    let value = record.value.expose();
    let is_value_alone = matches!(context.output.format(), Format::Raw | Format::Table | Format::Wide);
    if is_value_alone && context.output.escapes(value) {
        context.output.note(
            "The value has characters that a terminal obeys or hides: they are shown by their numbers. \
             Send the output to a file or a pipe for the exact bytes.",
        );
    }
    match context.output.format() {
        Format::Raw => context.output.exact(value),
        // A terminal's next prompt begins on its own line.
        Format::Table | Format::Wide => match value.strip_suffix('\n') {
            Some(line) => context.output.result(line),
            None => context.output.result(value),
        },
        _ => context.output.show(&record, || View::Line(String::new())),
    }
}

async fn set(context: &Context, key: &str, args: ValueArgs, realm: Option<RealmId>) -> Result<(), Failure> {
    let metadata = args.metadata.as_deref().map(metadata).transpose()?;
    let request = SetVaultKey { value: value(args.value, args.value_file.as_deref()).await?, metadata };
    let record =
        context.call(async |client: &Client| client.vault().in_realm(realm).set(key, &request).await).await?;
    // The value is known to whoever set it.
    let shown = VaultKey {
        key: record.key,
        realm_id: record.realm_id,
        metadata: record.metadata,
        size_bytes: record.size_bytes,
        created_at: record.created_at,
        updated_at: record.updated_at,
    };
    context.output.show(&shown, || View::Done(format!("Set {key}: {} bytes.", shown.size_bytes)))
}

/// A JSON object, one from a file, or `null`.
fn metadata(text: &str) -> anyhow::Result<Option<Map<String, Value>>> {
    let text = match text.strip_prefix('@') {
        Some(path) => {
            std::fs::read_to_string(path).with_context(|| format!("--metadata: cannot read {path}"))?
        }
        None => text.to_owned(),
    };
    serde_json::from_str(without_mark(&text)).context("--metadata: not a JSON object")
}

/// The value as given: nothing is added to it or taken from it.
async fn value(given: Option<Secret>, file: Option<&Path>) -> Result<Secret, Failure> {
    match (given, file) {
        (Some(value), _) if value.expose() != "-" => Ok(value),
        (None, Some(path)) if path != Path::new("-") => {
            let text = tokio::fs::read_to_string(path).await;
            Ok(text.with_context(|| format!("--value-file: cannot read {} as text", path.display()))?.into())
        }
        (None, None) if std::io::stdin().is_terminal() => {
            Err(Failure::no_terminal("a value", "--value-file, --value, or standard input"))
        }
        _ => {
            let read = tokio::task::spawn_blocking(|| {
                let mut text = String::new();
                std::io::stdin().lock().read_to_string(&mut text).map(|_| Secret::from(text))
            });
            Ok(read.await.context("standard input")?.context("cannot read standard input as text")?)
        }
    }
}

async fn clear(context: &Context, realm: Option<RealmId>) -> Result<(), Failure> {
    let of_host = context.settings.realm.as_ref().map(|realm| realm.value);
    let place = match realm.or(of_host) {
        Some(realm) => format!("in realm {realm}"),
        None => "that is in no realm".to_owned(),
    };
    context.confirm(&format!("Delete every key of the vault {place}?")).await?;
    let cleared = context.call(async |client: &Client| client.vault().in_realm(realm).clear().await).await?;
    context.output.show(&cleared, || View::Done(format!("Deleted {} keys.", cleared.deleted_count)))
}

async fn stats(context: &Context, realm: Option<RealmId>) -> Result<(), Failure> {
    let stats = context.call(async |client: &Client| client.vault().in_realm(realm).stats().await).await?;
    context.output.show(&stats, || {
        View::Details(vec![
            ("keys", stats.total_keys.to_string()),
            ("bytes", stats.total_size_bytes.to_string()),
            ("used of all realms", format!("{} %", stats.used_percentage)),
            ("left", format!("{} of {} MiB", stats.remaining_mb, stats.limit_mb)),
        ])
    })
}
