//! `gates`: what a proxy asks before it lets a request through to another service. A gate is a TOML file.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueHint};
use hoody_client::Client;
use hoody_client::wire::{Gate, GateObstacle, GateSummary, GateTest, TestGate};
use hoody_core::secret_text::without_mark;
use serde_json::Value;

use crate::context::Context;
use crate::terminal::cell::{list_or, text_or};
use crate::terminal::failure::Failure;
use crate::terminal::output::{Format, View};
use crate::terminal::prompt::{Kind, secret_from_stdin};

/// The commands of `gates`.
#[derive(Debug, Subcommand)]
pub(crate) enum GatesCommand {
    /// List the gates
    #[command(visible_alias = "ls", after_help = "EXAMPLES:\n  hoody gates list")]
    List,
    /// Print a gate as TOML, as `set` takes it
    #[command(
        visible_alias = "show",
        after_help = "EXAMPLES:
  hoody gates get orders > orders.toml"
    )]
    Get {
        /// The gate's name
        name: String,
    },
    /// Set a gate from a TOML file, whole; print the URL and what to put into nginx
    ///
    /// The file has name, hosts, and a table `route` for each path: path, methods, and one of public, any,
    /// permission, any_of and all_of. A request that no route matches is refused.
    #[command(visible_aliases = ["put", "apply"], after_help = "EXAMPLES:
  hoody gates set orders.toml
  hoody gates set orders.toml --no-snippet")]
    Set {
        /// The file; `-` is standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Do not print what to put into nginx
        #[arg(long)]
        no_snippet: bool,
    },
    /// Delete a gate; proxies that name it let nobody in
    #[command(visible_aliases = ["rm", "remove"], after_help = "EXAMPLES:\n  hoody gates delete orders")]
    Delete {
        /// The gate's name
        name: String,
    },
    /// Say what a gate would answer to a request, and why
    #[command(after_help = "EXAMPLES:
  hoody gates test orders --path /orders/7
  hoody gates test orders --method POST --path /orders --token-stdin < token.txt")]
    Test {
        /// The gate's name
        name: String,
        #[command(flatten)]
        request: RequestArgs,
    },
}

/// The request to try.
#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// Its method
    #[arg(long, default_value = "GET")]
    method: String,
    /// Its host; the gate's first unless given
    #[arg(long)]
    host: Option<String>,
    /// Its path, as clients send it
    #[arg(long)]
    path: String,
    /// Where the client is; here unless given
    #[arg(long, value_name = "IP")]
    address: Option<String>,
    /// Read the token or session that it carries from standard input
    #[arg(long)]
    token_stdin: bool,
}

/// Runs one command of `gates`.
pub(crate) async fn run(context: &Context, command: GatesCommand) -> Result<(), Failure> {
    match command {
        GatesCommand::List => list(context).await,
        GatesCommand::Get { name } => get(context, &name).await,
        GatesCommand::Set { file, no_snippet } => set(context, &file, !no_snippet).await,
        GatesCommand::Delete { name } => {
            let what = format!("Delete gate {name}? Proxies that name it will let nobody in.");
            context.confirm(&what).await?;
            context.call(async |client: &Client| client.gates().delete(&name).await).await?;
            context.output.show(&Value::Null, || View::Done(format!("Deleted gate {name}.")))
        }
        GatesCommand::Test { name, request } => test(context, &name, request).await,
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let gates = context.call(async |client: &Client| client.gates().list().await).await?;
    let row = |gate: &GateSummary| {
        vec![
            gate.name.clone(),
            list_or(&gate.hosts, "none"),
            gate.routes.to_string(),
            gate.realm.clone(),
            gate.id.to_string(),
            gate.url.clone(),
            gate.updated_at.to_string(),
        ]
    };
    context.output.show(&gates, || View::List {
        titles: &["NAME", "HOSTS", "ROUTES", "REALM", "ID", "URL", "CHANGED"],
        narrow: 5,
        rows: gates.iter().map(row).collect(),
        empty: "No gates. `hoody gates set` makes one.",
    })
}

async fn get(context: &Context, name: &str) -> Result<(), Failure> {
    let gate = context.call(async |client: &Client| client.gates().get(name).await).await?;
    warn(context, &gate);
    match context.output.format() {
        Format::Table | Format::Wide | Format::Raw => {
            let text = toml::to_string(&gate.definition).context("the gate cannot be written as TOML")?;
            context.output.result(text.trim_end())
        }
        _ => context.output.show(&gate, || View::Line(String::new())),
    }
}

async fn set(context: &Context, file: &Path, has_snippet: bool) -> Result<(), Failure> {
    let definition = read(file).await?;
    let name = definition.get("name").and_then(Value::as_str);
    let Some(name) = name.map(str::to_owned) else {
        return Err(Failure::failed(
            "name: is missing in the file; give the gate one, e.g. name = \"orders\"",
        ));
    };
    let gate = context.call(async |client: &Client| client.gates().set(&name, &definition).await).await?;
    warn(context, &gate);
    let is_for_people = matches!(context.output.format(), Format::Table | Format::Wide);
    if !is_for_people {
        return context.output.show(&gate, || View::Line(String::new()));
    }
    let done = format!("Set gate {name}. The proxy asks {}", gate.url);
    if !has_snippet {
        return context.output.show(&gate, || View::Done(done));
    }
    // Standard output is what can be put into a file.
    context.output.note(&done);
    context
        .output
        .note("For nginx, into the server that clients reach (the recipes for others are in deploy/):");
    context.output.result(&snippet(&gate.url))
}

/// A file of TOML as JSON.
async fn read(file: &Path) -> Result<Value, Failure> {
    let shown = file.display().to_string();
    let text = if file == Path::new("-") {
        let read = tokio::task::spawn_blocking(|| {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
        });
        read.await.context("standard input")?.context("cannot read standard input as text")?
    } else {
        tokio::fs::read_to_string(file).await.with_context(|| format!("cannot read {shown}"))?
    };
    let parsed: Result<Value, toml::de::Error> = toml::from_str(without_mark(&text));
    parsed.map_err(|error| {
        let line =
            error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        Failure::failed(format!("{shown} is not TOML: line {line}: {}", error.message()))
    })
}

fn warn(context: &Context, gate: &Gate) {
    for warning in &gate.warnings {
        context.output.warn(warning);
    }
}

async fn test(context: &Context, name: &str, args: RequestArgs) -> Result<(), Failure> {
    let credential = if args.token_stdin { Some(secret_from_stdin(Kind::Token).await?) } else { None };
    let RequestArgs { method, host, path, address, .. } = args;
    let request = TestGate { method, host, path, credential, address };
    let told = context.call(async |client: &Client| client.gates().test(name, &request).await).await?;
    context.output.show(&told, || View::Details(details(&told)))
}

fn details(told: &GateTest) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("answer", answer(told.status, told.code.as_deref(), told.allowed)),
        ("route", text_or(told.route.as_ref(), "none")),
        ("needs", text_or(told.needs.as_ref(), "-")),
        ("realm", text_or(told.realm_id, "none")),
    ];
    if told.allowed {
        rows.push(("account", text_or(told.user_id, "nobody")));
        rows.push(("token", text_or(told.token_id, "none")));
        rows.push(("permissions", text_or(told.permissions.as_ref(), "none")));
    }
    rows.extend(obstacles(&told.obstacles));
    rows
}

/// The status of a decision, with the code of its refusal.
pub(crate) fn answer(status: u16, code: Option<&str>, allowed: bool) -> String {
    match (code, allowed) {
        (_, true) => format!("{status} allowed"),
        (Some(code), false) => format!("{status} {code}"),
        (None, false) => status.to_string(),
    }
}

/// What stands in the way, and what to change.
pub(crate) fn obstacles(all: &[GateObstacle]) -> impl Iterator<Item = (&'static str, String)> {
    all.iter().flat_map(|one| [("why", one.message.clone()), ("fix", one.change.clone())])
}

/// The part of an nginx server that asks the gate. The whole recipe, with the headers that must be removed, is in
/// `deploy/nginx`.
fn snippet(url: &str) -> String {
    format!(
        r#"location / {{
    auth_request /__gate;
    auth_request_set $g_user  $upstream_http_x_hoody_user_id;
    auth_request_set $g_token $upstream_http_x_hoody_token_id;
    auth_request_set $g_alias $upstream_http_x_hoody_token_alias;
    auth_request_set $g_ext   $upstream_http_x_hoody_external_id;
    auth_request_set $g_realm $upstream_http_x_hoody_realm;
    auth_request_set $g_perms $upstream_http_x_hoody_permissions;
    proxy_set_header X-Hoody-User-Id     $g_user;
    proxy_set_header X-Hoody-Token-Id    $g_token;
    proxy_set_header X-Hoody-Token-Alias $g_alias;
    proxy_set_header X-Hoody-External-Id $g_ext;
    proxy_set_header X-Hoody-Realm       $g_realm;
    proxy_set_header X-Hoody-Permissions $g_perms;
    proxy_pass http://127.0.0.1:9000;   # your service; no URI part
}}
location = /__gate {{
    internal;
    proxy_pass {url}&body=none;
    proxy_pass_request_body off;
    proxy_pass_request_headers off;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Content-Length "";
    proxy_set_header Host $proxy_host;
    proxy_set_header Authorization $http_authorization;
    proxy_set_header X-Forwarded-Method $request_method;
    proxy_set_header X-Forwarded-Uri $request_uri;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_connect_timeout 1s; proxy_read_timeout 2s;
}}"#
    )
}
