//! `auth`: sessions and tokens (`contract/cli.md` 7).

use std::convert::Infallible;
use std::str::FromStr;

use clap::{Args, Subcommand};
use hoody_client::Client;
use hoody_client::id::{RealmId, TokenId};
use hoody_client::time::Timestamp;
use hoody_client::wire::{AuthToken, CurrentToken, RealmChange, Secret, UpdateProfile};
use serde_json::{Value, json};

use super::activity::{self, UsageArgs};
use super::context::Context;
use super::failure::Failure;
use super::login::{self, LoginArgs, RefreshArgs};
use super::output::View;
use super::signup::{self, EmailCommand, PasswordCommand, SignUpArgs};
use super::token_args::{CopyArgs, CreateArgs, UpdateArgs, nullable, storage};
use super::two_factor::{self, TwoFactorCommand};
use super::users;
use crate::clock::Clock;

/// The commands of `auth`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Sign in and store the session
    #[command(after_help = "EXAMPLES:
  hoody auth login --username ada
  hoody auth login --email you@example.com --password-file password.txt
  echo \"$PASSWORD\" | hoody auth login --username ada --password-stdin")]
    Login(LoginArgs),
    /// End every session of the account and forget the stored one; tokens go on working
    #[command(after_help = "EXAMPLES:\n  hoody auth logout")]
    Logout,
    /// Get the next pair of the stored session; commands do so by themselves when it has ended
    #[command(after_help = "EXAMPLES:
  hoody auth refresh
  hoody auth refresh --print-token")]
    Refresh(RefreshArgs),
    /// Make an account; a mail opens it
    #[command(after_help = "EXAMPLES:
  hoody auth signup --email you@example.com
  hoody auth signup --email you@example.com --password-file password.txt --invite-code-file code.txt")]
    Signup(SignUpArgs),
    /// List where accounts can be
    #[command(after_help = "EXAMPLES:\n  hoody auth regions")]
    Regions,
    /// Prove an address of mail
    #[command(subcommand, after_help = "EXAMPLES:\n  hoody auth email verify")]
    Email(EmailCommand),
    /// Set a forgotten password
    #[command(
        subcommand,
        after_help = "EXAMPLES:
  hoody auth password forgot --email you@example.com
  hoody auth password reset"
    )]
    Password(PasswordCommand),
    /// Say whether the credential works here and now, and may do something
    #[command(after_help = "EXAMPLES:
  hoody auth check
  hoody auth check projects.read && echo allowed")]
    Check {
        /// A permission, e.g. projects.read
        permission: Option<String>,
    },
    /// Make a token; it is shown this once
    #[command(visible_aliases = ["new", "add"], after_help = "EXAMPLES:
  hoody auth create --alias ci-runner --permission projects.read --expires-at 2027-04-12T00:00:00Z
  hoody auth create --alias web --ip-whitelist 203.0.113.10,198.51.100.0/24 --permission-template dev_team
  TOKEN=$(hoody auth create --alias agent --permission 'projects.*' --expires-in 12h)")]
    Create(Box<CreateArgs>),
    /// List the tokens, without their secrets
    #[command(
        visible_alias = "ls",
        after_help = "EXAMPLES:
  hoody auth list
  hoody auth list -o wide
  hoody auth list --tree
  hoody auth list -o json"
    )]
    List {
        /// Show what a token made below it
        #[arg(long)]
        tree: bool,
    },
    /// Draw what a token did: when, from where, with which permissions
    #[command(after_help = "EXAMPLES:
  hoody auth usage 65a1b2c3d4e5f60718293a4b
  hoody auth usage 65a1b2c3d4e5f60718293a4b --days 365 -o json")]
    Usage(UsageArgs),
    /// Show a token, without its secret
    #[command(visible_aliases = ["show", "describe"], after_help = "EXAMPLES:
  hoody auth get 65a1b2c3d4e5f60718293a4b")]
    Get {
        /// The token's id, or its alias
        id: TokenName,
    },
    /// Show the token in use and where it may be used
    #[command(after_help = "EXAMPLES:
  HOODY_TOKEN=hdy_... hoody auth get-current")]
    GetCurrent,
    /// Change a token; what is not given stays
    #[command(
        visible_alias = "edit",
        after_help = "EXAMPLES:
  hoody auth update 65a1b2c3d4e5f60718293a4b --enabled false
  hoody auth update 65a1b2c3d4e5f60718293a4b --ip-whitelist 203.0.113.0/24 --expires-at never
  hoody auth update 65a1b2c3d4e5f60718293a4b --permission projects.read   # replaces the whole tree"
    )]
    Update {
        /// The token's id, or its alias
        id: TokenName,
        #[command(flatten)]
        args: Box<UpdateArgs>,
    },
    /// Make a token with another's limits; it is shown this once
    #[command(after_help = "EXAMPLES:
  hoody auth copy 65a1b2c3d4e5f60718293a4b --alias ci-runner-2")]
    Copy {
        /// The id of the token to copy, or its alias
        id: TokenName,
        #[command(flatten)]
        args: CopyArgs,
    },
    /// Delete a token: it is refused from the next request on
    #[command(visible_aliases = ["rm", "remove"], after_help = "EXAMPLES:
  hoody auth delete 65a1b2c3d4e5f60718293a4b
  hoody auth delete ci-runner")]
    Delete {
        /// The token's id, or its alias
        id: TokenName,
    },
    /// Bind a token to realms
    #[command(
        subcommand,
        visible_alias = "realm",
        after_help = "EXAMPLES:
  hoody auth realms add 65a1b2c3d4e5f60718293a4b --realm-id 507f1f77bcf86cd799439012"
    )]
    Realms(TokenRealmsCommand),
    /// One's own account, and the public profiles of tokens
    #[command(subcommand, after_help = "EXAMPLES:\n  hoody auth profile current")]
    Profile(ProfileCommand),
    /// The named sets of permissions
    #[command(visible_alias = "template", after_help = "EXAMPLES:\n  hoody auth templates list")]
    Templates {
        #[command(subcommand)]
        command: Option<TemplatesCommand>,
    },
    /// The second factor of one's own account
    #[command(
        subcommand,
        name = "2fa",
        visible_alias = "tfa",
        after_help = "EXAMPLES:
  hoody auth 2fa setup
  hoody auth 2fa verify-setup --code 123456"
    )]
    TwoFactor(TwoFactorCommand),
}

/// A token as somebody names it. An alias that reads like an id is found by its id only.
#[derive(Debug, Clone)]
pub(crate) enum TokenName {
    Id(TokenId),
    Alias(String),
}

impl FromStr for TokenName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Alias(text.to_owned()), Self::Id))
    }
}

impl TokenName {
    /// Its id: an alias is looked for in the list of tokens.
    async fn resolve(&self, context: &Context) -> Result<TokenId, Failure> {
        let alias = match self {
            Self::Id(id) => return Ok(*id),
            Self::Alias(alias) => alias,
        };
        let list = context.call(async |client: &Client| client.tokens().list().await).await?;
        let found = list.tokens.iter().find(|token| token.alias == *alias);
        found.map(|token| token.id).ok_or_else(|| {
            Failure::failed(format!("there is no token {alias:?}"))
                .hint("`hoody auth list` shows the ids and aliases of those that can be seen from here")
        })
    }
}

/// The commands of `auth realms`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenRealmsCommand {
    /// Add a realm to a token's list
    #[command(after_help = "EXAMPLES:
  hoody auth realms add 65a1b2c3d4e5f60718293a4b --realm-id 507f1f77bcf86cd799439012")]
    Add(TokenRealmArgs),
    /// Take a realm off a token's list; without a list it may be used in every realm
    #[command(
        visible_alias = "rm",
        after_help = "EXAMPLES:
  hoody auth realms remove 65a1b2c3d4e5f60718293a4b --realm-id 507f1f77bcf86cd799439012"
    )]
    Remove(TokenRealmArgs),
}

/// Which token, which realm.
#[derive(Debug, Args)]
pub(crate) struct TokenRealmArgs {
    /// The token's id, or its alias
    id: TokenName,
    /// The realm's id
    #[arg(long, value_name = "ID")]
    realm_id: RealmId,
    /// Code of the second factor
    #[arg(long, value_name = "CODE")]
    otp_code: Option<Secret>,
}

/// The commands of `auth profile`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Show one's own account
    #[command(visible_alias = "me", after_help = "EXAMPLES:\n  hoody auth profile current")]
    Current,
    /// Change the public profile of the token in use
    #[command(after_help = "EXAMPLES:
  hoody auth profile update --public-storage '{\"display_name\":\"Acme\"}'
  hoody auth profile update --public-key null")]
    Update {
        /// Ed25519 key: 64 hex digits, or `null` for none
        #[arg(long, value_name = "HEX", required_unless_present = "public_storage")]
        public_key: Option<String>,
        /// A JSON object, `@FILE` with one, or `null` for none
        #[arg(long, value_name = "JSON")]
        public_storage: Option<String>,
    },
    /// Show the public profile behind a key
    #[command(after_help = "EXAMPLES:
  hoody auth profile by-public-key a1b2c3d4e5f6789012345678901234567890abcdefabcdefabcdefabcdef1234")]
    ByPublicKey {
        /// Ed25519 key: 64 hex digits
        public_key: String,
    },
}

/// The commands of `auth templates`.
#[derive(Debug, Subcommand)]
pub(crate) enum TemplatesCommand {
    /// List them
    #[command(visible_alias = "ls", after_help = "EXAMPLES:\n  hoody auth templates list -o yaml")]
    List,
}

/// Runs a command of `auth`.
pub(crate) async fn run(context: &Context, command: AuthCommand) -> Result<(), Failure> {
    match command {
        AuthCommand::Login(args) => login::login(context, &args, login::OnChallenge::Tell).await,
        AuthCommand::Logout => login::logout(context).await,
        AuthCommand::Refresh(args) => login::refresh(context, &args).await,
        AuthCommand::Signup(args) => signup::sign_up(context, &args, signup::Then::End).await,
        AuthCommand::Regions => signup::regions(context).await,
        AuthCommand::Email(command) => signup::email(context, command).await,
        AuthCommand::Password(command) => signup::password(context, command).await,
        AuthCommand::Check { permission } => check(context, permission.as_deref()).await,
        AuthCommand::Create(args) => create(context, &args).await,
        AuthCommand::List { tree } => list(context, tree).await,
        AuthCommand::Usage(args) => activity::usage(context, &args).await,
        AuthCommand::Get { id } => {
            let id = id.resolve(context).await?;
            let token = context.call(async |client: &Client| client.tokens().get(id).await).await?;
            context.output.show(&token, || details(&token))
        }
        AuthCommand::GetCurrent => {
            let current = context.call(async |client: &Client| client.tokens().current().await).await?;
            context.output.show(&current, || current_details(&current))
        }
        AuthCommand::Update { id, args } => {
            let request = args.request(now())?;
            let id = id.resolve(context).await?;
            let token =
                context.call(async |client: &Client| client.tokens().update(id, &request).await).await?;
            context.output.show(&token, || View::Done(format!("Updated token {}.", named(&token))))
        }
        AuthCommand::Copy { id, args } => {
            let request = args.request(now());
            let id = id.resolve(context).await?;
            let token =
                context.call(async |client: &Client| client.tokens().copy(id, &request).await).await?;
            show_new(context, &token)
        }
        AuthCommand::Delete { id } => {
            let id = id.resolve(context).await?;
            delete(context, id).await
        }
        AuthCommand::Realms(TokenRealmsCommand::Add(args)) => add_realm(context, args).await,
        AuthCommand::Realms(TokenRealmsCommand::Remove(args)) => remove_realm(context, args).await,
        AuthCommand::Profile(command) => profile(context, command).await,
        AuthCommand::Templates { .. } => templates(context).await,
        AuthCommand::TwoFactor(command) => two_factor::run(context, command).await,
    }
}

async fn check(context: &Context, permission: Option<&str>) -> Result<(), Failure> {
    context.call(async |client: &Client| client.check(permission).await).await?;
    let data = json!({ "allowed": true, "permission": permission });
    context.output.show(&data, || {
        View::Line(
            permission.map_or_else(|| "The credential works.".to_owned(), |path| format!("Allowed: {path}.")),
        )
    })
}

/// The time here: for an end that is given by how long until it.
fn now() -> Timestamp {
    Clock::system().now()
}

async fn create(context: &Context, args: &CreateArgs) -> Result<(), Failure> {
    let request = args.request(now())?;
    if args.template_wins() {
        context.output.warn("--permission-template wins: the permissions given beside it do not count");
    }
    let token = context.call(async |client: &Client| client.tokens().create(&request).await).await?;
    show_new(context, &token)?;
    if args.is_unlimited() {
        context.output.warn(if token.created_by_token_id.is_some() {
            "the token can do all that the one in use can, but make tokens; \
             --permission or --permission-template would limit it"
        } else {
            "the token has full access: everything but making tokens; \
             --permission or --permission-template would limit it"
        });
    }
    let left_out = request.permissions.as_ref().map(|asked| without(asked, &token.permissions));
    if let Some(paths) = left_out.filter(|paths| !paths.is_empty()) {
        context.output.warn(&format!("left out, because the token in use lacks it: {}", paths.join(" ")));
    }
    Ok(())
}

/// The secret alone goes to standard output, so that it can be piped on; all about it to the other.
fn show_new(context: &Context, token: &AuthToken) -> Result<(), Failure> {
    let output = &context.output;
    if !output.format().is_for_people() {
        output.show(token, || View::Line(String::new()))?;
    } else if let Some(secret) = &token.token {
        let until = token.expires_at.map_or_else(|| "never ends".to_owned(), |at| format!("ends at {at}"));
        output.note(&format!("Made token {}; it {until}.", named(token)));
        output.result(secret.expose())?;
    }
    output.note("Keep the token now: it will not be shown again.");
    Ok(())
}

async fn list(context: &Context, is_tree: bool) -> Result<(), Failure> {
    let list = context.call(async |client: &Client| client.tokens().list().await).await?;
    let listed =
        || if is_tree { tree(&list.tokens) } else { list.tokens.iter().map(|one| (0, one)).collect() };
    context.output.show(&list.tokens, || View::List {
        titles: &[
            "ID",
            "ALIAS",
            "PREFIX",
            "ENABLED",
            "LAST USED",
            "LAST ADDRESS",
            "EXPIRES",
            "ADDRESSES",
            "REALMS",
            "MADE BY",
        ],
        narrow: 5,
        rows: listed().into_iter().map(|(depth, token)| row(depth, token)).collect(),
        empty: "No tokens. `hoody auth create` makes one.",
    })?;
    if list.is_truncated {
        context.output.warn("some tokens of the account are left out: the token in use may not see them");
    }
    Ok(())
}

/// The tokens with how far each is indented: what a token made comes below it. One whose maker is not
/// listed stands at the left.
fn tree(tokens: &[AuthToken]) -> Vec<(usize, &AuthToken)> {
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

fn row(depth: usize, token: &AuthToken) -> Vec<String> {
    let indent = "  ".repeat(depth.saturating_sub(1)) + if depth > 0 { "└ " } else { "" };
    vec![
        token.id.to_string(),
        indent + &token.alias,
        token.prefix.clone(),
        yes_no(token.is_enabled),
        token.last_used_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
        token.last_used_ip.clone().unwrap_or_else(|| "-".to_owned()),
        token.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
        token.ip_whitelist.join(","),
        realms(token),
        maker(token),
    ]
}

/// What made a token.
fn maker(token: &AuthToken) -> String {
    token.created_by_token_id.map_or_else(|| "a session".to_owned(), |id| id.to_string())
}

async fn delete(context: &Context, id: TokenId) -> Result<(), Failure> {
    context.confirm(&format!("Delete token {id}?")).await?;
    context.call(async |client: &Client| client.tokens().delete(id).await).await?;
    context.output.show(&Value::Null, || View::Done(format!("Deleted token {id}.")))
}

async fn add_realm(context: &Context, args: TokenRealmArgs) -> Result<(), Failure> {
    let id = args.id.resolve(context).await?;
    let change = RealmChange { realm_id: args.realm_id, otp_code: args.otp_code };
    let token = context.call(async |client: &Client| client.tokens().add_realm(id, &change).await).await?;
    context
        .output
        .show(&token, || View::Done(format!("Token {} is bound to {}.", named(&token), realms(&token))))
}

async fn remove_realm(context: &Context, args: TokenRealmArgs) -> Result<(), Failure> {
    let id = args.id.resolve(context).await?;
    let before = context.call(async |client: &Client| client.tokens().get(id).await).await?;
    let empties = before.realm_ids == [args.realm_id];
    let question = if empties {
        format!(
            "Realm {} is the last of token {}: {}. Remove it?",
            args.realm_id,
            named(&before),
            widened(&before)
        )
    } else {
        format!("Remove realm {} from token {}?", args.realm_id, named(&before))
    };
    context.confirm(&question).await?;
    let change = RealmChange { realm_id: args.realm_id, otp_code: args.otp_code };
    let token = context.call(async |client: &Client| client.tokens().remove_realm(id, &change).await).await?;
    context
        .output
        .show(&token, || View::Done(format!("Token {} is bound to {}.", named(&token), realms(&token))))?;
    if token.realm_ids.is_empty() && !before.realm_ids.is_empty() {
        context.output.warn(&format!("this widened the token: {}", widened(&token)));
    }
    Ok(())
}

/// What a token may do once its list of realms is gone.
fn widened(token: &AuthToken) -> &'static str {
    if token.allow_no_realm {
        "without a list it may be used in every realm, and on the base host for all of them"
    } else {
        "without a list it may be used in every realm (still not on the base host)"
    }
}

async fn profile(context: &Context, command: ProfileCommand) -> Result<(), Failure> {
    match command {
        ProfileCommand::Current => users::me(context).await,
        ProfileCommand::Update { public_key, public_storage } => {
            let change = UpdateProfile {
                public_key: public_key.as_deref().map(nullable),
                public_storage: storage(public_storage.as_deref())?,
            };
            let token =
                context.call(async |client: &Client| client.tokens().update_profile(&change).await).await?;
            context
                .output
                .show(&token, || View::Done(format!("Updated the profile of token {}.", named(&token))))
        }
        ProfileCommand::ByPublicKey { public_key } => {
            let profile = context
                .call(async |client: &Client| client.tokens().public_profile(&public_key).await)
                .await?;
            context.output.show(&profile, || {
                View::Details(vec![
                    ("public key", profile.public_key.clone()),
                    ("public storage", object(profile.public_storage.as_ref())),
                ])
            })
        }
    }
}

async fn templates(context: &Context) -> Result<(), Failure> {
    let templates = context.call(async |client: &Client| client.tokens().templates().await).await?;
    context.output.show(&templates, || View::List {
        titles: &["NAME", "DESCRIPTION", "PERMISSIONS"],
        narrow: 2,
        rows: templates
            .iter()
            .map(|each| vec![each.name.clone(), each.description.clone(), paths(&each.permissions)])
            .collect(),
        empty: "No templates.",
    })
}

fn current_details(current: &CurrentToken) -> View {
    let View::Details(mut fields) = details(&current.token) else { return View::Details(Vec::new()) };
    let limits = &current.restrictions;
    fields.push(("needs a realm's host", yes_no(limits.requires_realm_scope)));
    fields.push((
        "realm of this host",
        limits.active_realm_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
    ));
    if let Some(effective) = &limits.effective {
        // Bounded by what it descends from, which may have been narrowed since it was made.
        let none_if_empty = |text: String| if text.is_empty() { "none".to_owned() } else { text };
        fields.extend([
            ("may in fact", paths(&effective.permissions)),
            ("from", none_if_empty(effective.ip_whitelist.join(", "))),
            ("until", effective.expires_at.map_or_else(|| "never ends".to_owned(), |at| at.to_string())),
            ("vault in fact", yes_no(effective.vault_access)),
            ("events in fact", yes_no(effective.event_access)),
        ]);
    }
    View::Details(fields)
}

fn details(token: &AuthToken) -> View {
    let when = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let mut fields = vec![
        ("id", token.id.to_string()),
        ("alias", token.alias.clone()),
        ("enabled", yes_no(token.is_enabled)),
        ("expires", when(token.expires_at)),
        ("addresses", token.ip_whitelist.join(", ")),
        ("realms", realms(token)),
        ("base host", yes_no(token.allow_no_realm && token.realm_ids.is_empty())),
        ("permissions", paths(&token.permissions)),
        ("vault", yes_no(token.vault_access)),
        ("events", yes_no(token.event_access)),
        ("made by", maker(token)),
        ("depth", token.delegation_depth.to_string()),
        ("last used", when(token.last_used_at)),
        ("last address", token.last_used_ip.clone().unwrap_or_else(|| "-".to_owned())),
        ("created", token.created_at.to_string()),
        ("updated", token.updated_at.to_string()),
    ];
    if let Some(key) = &token.public_key {
        fields.push(("public key", key.clone()));
    }
    if token.public_storage.is_some() {
        fields.push(("public storage", object(token.public_storage.as_ref())));
    }
    View::Details(fields)
}

fn named(token: &AuthToken) -> String {
    format!("{:?} ({})", token.alias, token.id)
}

fn realms(token: &AuthToken) -> String {
    if token.realm_ids.is_empty() {
        return "no list of realms".to_owned();
    }
    token.realm_ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The granted leaves of a tree as dotted paths.
fn paths(tree: &Value) -> String {
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

/// The leaves that `asked` has and `got` has not.
fn without(asked: &Value, got: &Value) -> Vec<String> {
    let got = leaves(got);
    leaves(asked).into_iter().filter(|path| !got.contains(path)).collect()
}

fn object(object: Option<&serde_json::Map<String, Value>>) -> String {
    object.map_or_else(|| "-".to_owned(), |object| Value::Object(object.clone()).to_string())
}

/// Yes or no, for people.
pub(crate) fn yes_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
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
