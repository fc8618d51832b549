//! `auth`: sessions and tokens (`contract/cli.md` 7).

mod explain;
mod permission_flags;
mod token_args;
mod token_view;

use std::convert::Infallible;
use std::str::FromStr;

use clap::{Args, Subcommand};
use hoody_client::id::{RealmId, TokenId};
use hoody_client::time::Timestamp;
use hoody_client::wire::{AuthToken, PermissionInfo, PermissionState, RealmChange, Secret, UpdateProfile};
use hoody_client::{Client, TokenQuery};
use serde_json::{Value, json};

use self::explain::ExplainArgs;
use self::permission_flags::nearest_of;
use self::token_args::{CopyArgs, CreateArgs, UpdateArgs, storage};
use self::token_view::{current_details, details, named, object, paths, realms, row, tree, without};
use super::activity::{self, UsageArgs};
use super::sign_in::login::{self, LoginArgs, RefreshArgs};
use super::sign_in::signup::{self, EmailCommand, PasswordCommand, SignUpArgs};
use super::sign_in::two_factor::{self, TwoFactorCommand};
use super::users;
use super::values::nullable;
use crate::context::Context;
use crate::context::credentials;
use crate::terminal::cell::yes_no;
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output::View;

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
    /// Say whether something would be allowed, what stands against it, and what would have to change
    #[command(after_help = "EXAMPLES:
  hoody auth explain orders.read --of ci-runner
  hoody auth explain projects.create --token-stdin --address 203.0.113.7 < token.txt
  hoody auth explain --gate orders --method POST --path /orders --of ci-runner")]
    Explain(Box<ExplainArgs>),
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
        /// Only those with this external id
        #[arg(long, value_name = "ID")]
        external_id: Option<String>,
        /// Only those with this tag
        #[arg(long, value_name = "TAG")]
        tag: Option<String>,
        /// Only those in this state
        #[arg(long, value_name = "STATE", value_parser = ["active", "disabled", "expired"])]
        state: Option<String>,
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
    /// The permissions of the server, in words
    #[command(after_help = "EXAMPLES:\n  hoody auth permissions\n  hoody auth permissions --unused -o json")]
    Permissions {
        /// Also those of hoody's own that guard no route of the server
        #[arg(long)]
        unused: bool,
    },
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
        AuthCommand::Explain(args) => explain::run(context, *args).await,
        AuthCommand::Create(args) => create(context, &args).await,
        AuthCommand::List { tree, external_id, tag, state } => {
            list(context, tree, &TokenQuery { external_id, tag, state }).await
        }
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
            let request = args.request(now(context, args.lifetime()).await?)?;
            let id = id.resolve(context).await?;
            let updated =
                context.call(async |client: &Client| client.tokens().update(id, &request).await).await;
            let token = match updated {
                Ok(token) => token,
                Err(failure) => return Err(explain_own(context, failure, args.own_permissions()).await),
            };
            context.output.show(&token, || View::Done(format!("Updated token {}.", named(&token))))
        }
        AuthCommand::Copy { id, args } => {
            let request = args.request(now(context, args.lifetime()).await?);
            let id = id.resolve(context).await?;
            context.output.expect_to_show()?;
            let token =
                context.call(async |client: &Client| client.tokens().copy(id, &request).await).await?;
            show_new(context, &token).await
        }
        AuthCommand::Delete { id } => {
            let id = id.resolve(context).await?;
            delete(context, id).await
        }
        AuthCommand::Realms(TokenRealmsCommand::Add(args)) => add_realm(context, args).await,
        AuthCommand::Realms(TokenRealmsCommand::Remove(args)) => remove_realm(context, args).await,
        AuthCommand::Profile(command) => profile(context, command).await,
        AuthCommand::Permissions { unused } => permissions(context, unused).await,
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

/// The time by the server's clock, where an end is given by how long until it: this machine's may be wrong.
async fn now(context: &Context, lifetime: Option<i64>) -> Result<Timestamp, Failure> {
    if lifetime.is_some() { context.server_time().await } else { Ok(credentials::now()) }
}

async fn create(context: &Context, args: &CreateArgs) -> Result<(), Failure> {
    let request = args.request(now(context, args.lifetime()).await?)?;
    context.output.expect_to_show()?;
    if args.template_wins() {
        context.output.warn("--permission-template wins: the permissions given beside it do not count");
    }
    let made = context.call(async |client: &Client| client.tokens().create(&request).await).await;
    let token = match made {
        Ok(token) => token,
        Err(failure) => return Err(explain_own(context, failure, args.own_permissions()).await),
    };
    show_new(context, &token).await?;
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
async fn show_new(context: &Context, token: &AuthToken) -> Result<(), Failure> {
    let output = &context.output;
    let shown = if !output.format().is_for_people() {
        output.show(token, || View::Line(String::new()))
    } else if let Some(secret) = &token.token {
        let until = token.expires_at.map_or_else(|| "never ends".to_owned(), |at| format!("ends at {at}"));
        output.note(&format!("Made token {}; it {until}.", named(token)));
        output.result(secret.expose())
    } else {
        Ok(())
    };
    if let Err(failure) = shown {
        return Err(take_back(context, token, failure).await);
    }
    output.note("Keep the token now: it will not be shown again.");
    Ok(())
}

/// Nobody has seen the secret of a new token: away with it.
async fn take_back(context: &Context, token: &AuthToken, failure: Failure) -> Failure {
    let (id, name) = (token.id, named(token));
    match context.call(async |client: &Client| client.tokens().delete(id).await).await {
        Ok(()) => failure.lost(&format!("token {name} was deleted again, because it could not be shown"), ""),
        Err(why) => failure.lost(
            &format!("token {name} was made, but it could not be shown, nor deleted ({})", why.message),
            &format!("`hoody auth delete {id}`: nobody has it"),
        ),
    }
}

async fn list(context: &Context, is_tree: bool, query: &TokenQuery) -> Result<(), Failure> {
    let list = context.call(async |client: &Client| client.tokens().find(query).await).await?;
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

async fn permissions(context: &Context, unused: bool) -> Result<(), Failure> {
    let catalogue = context.call(async |client: &Client| client.tokens().permissions(unused).await).await?;
    context.output.show(&catalogue, || {
        let infos = catalogue.permissions.iter().chain(catalogue.unused.iter().flatten());
        let row = |info: &PermissionInfo| {
            let description = match info.state {
                PermissionState::Live => info.description.clone(),
                PermissionState::Retired => format!("{} (retired)", info.description).trim().to_owned(),
            };
            vec![info.path.clone(), yes_no(info.writes), description]
        };
        View::List {
            titles: &["PERMISSION", "WRITES", "DESCRIPTION"],
            narrow: 2,
            rows: infos.map(row).collect(),
            empty: "No permissions.",
        }
    })
}

/// What to do about a refusal of the operator's permissions: which of them the server does not know, and what they
/// may have been meant to be.
async fn explain_own(context: &Context, failure: Failure, asked: &[String]) -> Failure {
    if asked.is_empty() || failure.exit != Exit::Failed {
        return failure;
    }
    let listed = context.call(async |client: &Client| client.tokens().permissions(true).await).await;
    let Ok(catalogue) = listed else { return failure };
    let infos = catalogue.permissions.iter().chain(catalogue.unused.iter().flatten());
    let known: Vec<&str> = infos
        .flat_map(|info| std::iter::once(&info.path).chain(&info.old_paths))
        .map(String::as_str)
        .collect();
    let is_known = |path: &str| match path.split_once(".*") {
        Some((group, _)) => {
            known.iter().any(|leaf| leaf.strip_prefix(group).is_some_and(|rest| rest.starts_with('.')))
        }
        None => known.contains(&path),
    };
    let Some(unknown) = asked.iter().find(|path| !is_known(path)) else { return failure };
    let near = nearest_of(unknown, known.iter().copied());
    failure.hint(if near.is_empty() {
        format!("the server has no permission {unknown}; `hoody auth permissions` lists them")
    } else {
        format!("the server has no permission {unknown}; did you mean {}?", near.join(" or "))
    })
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
