//! `login` and `logout`, also as `auth login` and `auth logout`, and `auth refresh`.

use std::path::PathBuf;

use clap::Args;
use hoody_client::wire::{Intent, Login, LoginAnswer, LoginData, Profile, RefreshData, Secret, VerifyAnswer};
use hoody_client::{Client, Origin};
use serde_json::{Map, Value, json};

use super::{signup, two_factor, web_login};
use crate::context::Context;
use crate::context::credentials::{self, Refreshed, Stored};
use crate::context::settings::Source;
use crate::terminal::failure::Failure;
use crate::terminal::output::View;
use crate::terminal::prompt::{self, Kind};

/// What `login` takes. Name and password are the client's own flags.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Sign in by e-mail address instead of name
    #[arg(long)]
    email: Option<String>,
    /// Sign in with a browser, here or on any machine: a code and an address are shown
    #[arg(long, visible_alias = "oauth", conflicts_with_all = ["email", "token_stdin", "token_file"])]
    web: bool,
    /// Do not open a browser by yourself
    #[arg(long, requires = "web")]
    no_browser: bool,
    /// tokens, or intent: sign in for the holder of a verifier; prints the intent, stores nothing
    #[arg(long, value_name = "MODE", value_parser = ["tokens", "intent"], conflicts_with = "web")]
    response_mode: Option<String>,
    /// The challenge of that verifier (PKCE, S256)
    #[arg(long, value_name = "CHALLENGE", allow_hyphen_values = true, requires = "response_mode")]
    code_challenge: Option<String>,
    /// Store an hdy_ token, read from standard input, instead of signing in
    #[arg(long, conflicts_with = "email")]
    token_stdin: bool,
    /// Store an hdy_ token, read from a file, instead of signing in
    #[arg(long, value_name = "FILE", conflicts_with_all = ["email", "token_stdin"])]
    token_file: Option<PathBuf>,
    /// Print the access token on standard output
    #[arg(long)]
    print_token: bool,
    /// Do not store the session
    #[arg(long)]
    no_save: bool,
    /// What to be called in the record of logins [env: HOODY_CLIENT]
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
}

/// What `auth refresh` takes.
#[derive(Debug, Args)]
pub(crate) struct RefreshArgs {
    /// Refresh token to use instead of the stored one; `-` reads it from standard input
    #[arg(long, value_name = "TOKEN")]
    refresh_token: Option<Secret>,
    /// Print the access token on standard output
    #[arg(long)]
    print_token: bool,
    /// Do not store the session
    #[arg(long)]
    no_save: bool,
}

/// What to do when the second factor is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnChallenge {
    /// Ask for the code, where somebody can be asked.
    Ask,
    /// Say which command goes on.
    Tell,
}

/// How to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// On a page of the server.
    Browser,
    /// Here, with a name and a password.
    Password,
    /// With a token that there is already.
    Token,
}

/// Signs in, or stores a token.
pub(crate) async fn login(context: &Context, args: &LoginArgs, on: OnChallenge) -> Result<(), Failure> {
    let client = context.for_secrets()?;
    if !args.no_save && args.response_mode.as_deref() != Some("intent") {
        context.expect_to_store()?;
    }
    if args.print_token || args.response_mode.is_some() {
        context.output.expect_to_show()?;
    }
    let way = match on {
        OnChallenge::Ask if context.is_interactive && !says_how(context, args) => ask_how(context).await?,
        _ if args.web => Way::Browser,
        _ => Way::Password,
    };
    let token = match way {
        Way::Token => {
            let typed = prompt::secret("Token").await?;
            Some((Kind::Token.read(typed.expose()), "what was entered".to_owned()))
        }
        Way::Browser | Way::Password => given_token(context, args).await?,
    };
    if let Some((token, from)) = token {
        credentials::check_form(&token, &from)?;
        return store_token(context, &client, token, args).await;
    }
    let client_name = args.client.clone().unwrap_or_else(|| context.settings.client.clone());
    if way == Way::Browser {
        let session = web_login::sign_in(context, &client, client_name, !args.no_browser).await?;
        let name = session.user.username.clone();
        return finish(context, &client, &name, &session, !args.no_save, args.print_token).await;
    }
    let (username, email) = identity(context, args).await?;
    let login = Login {
        username,
        email,
        password: context.password("a password", "Password").await?,
        client: Some(client_name),
        response_mode: args.response_mode.clone(),
        code_challenge: args.code_challenge.clone(),
    };
    let answer = match client.login(&login).await {
        Ok(answer) => answer,
        Err(error) => return Err(signup::offer_resend(context, &client, error).await),
    };
    let session = match answer {
        LoginAnswer::Session(session) => *session,
        LoginAnswer::Challenge(challenge) if on == OnChallenge::Ask && context.is_interactive => {
            let name = login.client.as_deref().unwrap_or_default();
            match two_factor::answer_challenge(context, &client, &challenge.temp_token, name).await? {
                VerifyAnswer::Session(session) => *session,
                VerifyAnswer::Intent(intent) => return show_intent(context, &intent),
                VerifyAnswer::Approved(_) => {
                    return Err(Failure::failed("the server approved a device instead of signing in"));
                }
            }
        }
        LoginAnswer::Intent(intent) => return show_intent(context, &intent),
        LoginAnswer::Challenge(challenge) => {
            if !context.output.format().is_for_people() {
                let data = two_factor::challenge_data(&challenge.temp_token);
                context.output.show(&data, || View::Line(String::new()))?;
            }
            return Err(two_factor::follow_up(&challenge.temp_token));
        }
    };
    let name = login.email.or(login.username).unwrap_or_default();
    finish(context, &client, &name, &session, !args.no_save, args.print_token).await
}

/// Stores a new session of whoever is called `name`, if it is to be kept, and tells of it.
pub(crate) async fn finish(
    context: &Context,
    client: &Client,
    name: &str,
    session: &LoginData,
    is_kept: bool,
    is_token_wanted: bool,
) -> Result<(), Failure> {
    if is_kept {
        save(context, client.origin(), name, session).await?;
    }
    let name = &session.user.username;
    let message = format!("Signed in to {} as {name}.", context.settings.base_url.value);
    let shown = report(context, session, &session.token, is_token_wanted, message);
    if !is_kept || is_token_wanted {
        shown.map_err(|failure| {
            failure.lost("a session was begun, but it could not be shown", "`hoody login` begins another")
        })?;
    } else {
        shown?;
    }
    warn_of_stronger_token(context);
    Ok(())
}

/// An intent is somebody else's to go on with: its text on standard output, and nothing is stored.
pub(crate) fn show_intent(context: &Context, intent: &Intent) -> Result<(), Failure> {
    if !context.output.format().is_for_people() {
        return context.output.show(intent, || View::Line(String::new()));
    }
    context.output.note("Good once, for a minute, at POST /api/v1/auth/authorize.");
    context.output.result(intent.auth_intent_token.expose())
}

/// Stores the pair that a session was replaced with.
pub(crate) async fn keep_pair(context: &Context, pair: &RefreshData) -> Result<(), Failure> {
    store_pair(context, context.anonymous()?.origin(), &Stored::of_refresh(pair, credentials::now())).await
}

async fn store_pair(context: &Context, origin: &Origin, pair: &Stored) -> Result<(), Failure> {
    context.file.update(|config| pair.write(config.section_mut(context.profile()), origin)).await
}

/// Ends every session of the account, and forgets the stored one.
pub(crate) async fn logout(context: &Context) -> Result<(), Failure> {
    let config = context.file.read()?;
    if context.stored(&config)?.is_none() {
        if context.settings.token.is_some() || context.flags.username.is_some() {
            context.call(async |client: &Client| client.logout().await).await?;
            return say(context, "Signed out.");
        }
        return match credentials::origin_of(&config, context.profile()) {
            Some(origin) => Err(Failure::failed(format!("the stored session is for {origin}"))
                .hint(format!("--base-url {origin}"))),
            None => say(context, "Not signed in."),
        };
    }
    let told = stored_call(context).await;
    // Whatever the server says, it is not used from here any more.
    context.file.update(|config| credentials::forget(config.section_mut(context.profile()))).await?;
    match told {
        Ok(true) => say(context, "Signed out."),
        Ok(false) => say(context, "Signed out; the session was over already."),
        Err(failure) => Err(Failure {
            message: format!(
                "the stored session is forgotten, but the server was not told: {}",
                failure.message
            ),
            ..failure
        }),
    }
}

/// The next pair of the stored session, or of the one given.
pub(crate) async fn refresh(context: &Context, args: &RefreshArgs) -> Result<(), Failure> {
    let client = context.for_secrets()?;
    if args.print_token || args.no_save {
        context.output.expect_to_show()?;
    }
    let next = match &args.refresh_token {
        Some(given) => {
            let given = prompt::given(given).await?;
            // The one that is given is used up by the answer.
            if !args.no_save {
                context.expect_to_store()?;
            }
            let next = client.refresh(&given).await?;
            let stored = Stored::of_refresh(&next, credentials::now());
            if !args.no_save {
                store_pair(context, client.origin(), &stored).await?;
            }
            stored
        }
        None => {
            let Some(stored) = context.stored(&context.file.read()?)? else {
                return Err(
                    Failure::failed("there is no stored session for this server").hint("`hoody login`")
                );
            };
            credentials::refresh(&context.file, context.profile(), &client, &stored.token).await?.or_fail()?
        }
    };
    let until = next.expires_at.map_or_else(|| "its end".to_owned(), |at| at.to_string());
    let data = json!({
        "token": &next.token, "refreshToken": &next.refresh_token,
        "expires_at": &next.expires_at, "refresh_expires_at": &next.refresh_expires_at,
    });
    report(context, &data, &next.token, args.print_token, format!("Refreshed: good until {until}."))
}

/// Calls logout as the stored session, refreshed first where that is needed; whether there was one left
/// to end.
async fn stored_call(context: &Context) -> Result<bool, Failure> {
    let client = context.for_secrets()?;
    let Some(stored) = context.stored(&context.file.read()?)? else { return Ok(false) };
    match client.with_credential(&stored.token)?.logout().await {
        Ok(()) => Ok(true),
        Err(error) if error.is_unauthorized() && stored.refresh_token.is_some() => {
            match credentials::refresh(&context.file, context.profile(), &client, &stored.token).await? {
                Refreshed::Next(next) | Refreshed::Unsaved(next, _) => {
                    Ok(client.with_credential(&next.token)?.logout().await.map(|()| true)?)
                }
                Refreshed::Over => Ok(false),
            }
        }
        Err(error) if error.is_unauthorized() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The token to store, and where it is from: the flag, standard input or a file. Never the environment.
async fn given_token(context: &Context, args: &LoginArgs) -> Result<Option<(Secret, String)>, Failure> {
    if args.token_stdin {
        return prompt::secret_from_stdin(Kind::Token)
            .await
            .map(|token| Some((token, "standard input".to_owned())));
    }
    if let Some(path) = &args.token_file {
        let token = prompt::secret_from_file(Kind::Token, path).await?;
        return Ok(Some((token, path.display().to_string())));
    }
    match &context.flags.token {
        Some(token) => Ok(Some((prompt::given(token).await?, "--token".to_owned()))),
        None => Ok(None),
    }
}

async fn store_token(
    context: &Context,
    client: &Client,
    token: Secret,
    args: &LoginArgs,
) -> Result<(), Failure> {
    // One of another realm or address than this is still worth storing, but not one that nobody knows.
    let profile = client.with_credential(&token)?.me().await?;
    let name = match &profile {
        Profile::Full(me) => &me.user.username,
        Profile::Reduced(me) => &me.user.username,
    };
    if !args.no_save {
        let stored = Stored::of_token(token.clone());
        let origin = client.origin();
        context
            .file
            .update(|config| {
                let section = config.section_mut(context.profile());
                stored.write(section, origin);
                keep_address(context, section);
            })
            .await?;
    }
    let message = format!("Using a token of {name} at {}.", context.settings.base_url.value);
    report(context, &profile, &token, args.print_token, message)?;
    warn_of_stronger_token(context);
    Ok(())
}

/// Whether the command line or the environment says how to sign in. What an earlier login has stored does
/// not: it may be signed in to otherwise this time.
fn says_how(context: &Context, args: &LoginArgs) -> bool {
    let (flags, settings) = (&context.flags, &context.settings);
    let is_now = |source: &Source| matches!(source, Source::Flag | Source::Environment(_));
    args.web
        || args.email.is_some()
        || args.response_mode.is_some()
        || args.token_stdin
        || args.token_file.is_some()
        || flags.token.is_some()
        || flags.reads_password
        || flags.password_file.is_some()
        || settings.username.as_ref().is_some_and(|name| is_now(&name.source))
        || settings.password.as_ref().is_some_and(|password| is_now(&password.source))
}

/// Asks the person at the terminal how to sign in.
async fn ask_how(context: &Context) -> Result<Way, Failure> {
    let base = &context.settings.base_url.value;
    let ways = [
        ("with a browser, here or on any machine", Way::Browser),
        ("with a name and a password", Way::Password),
        ("with an hdy_ token", Way::Token),
    ];
    prompt::choice(&format!("How do you want to sign in to {base}?"), &ways).await
}

/// Who signs in: a name is sent as a name, an address as an address; asked for when neither is given.
async fn identity(context: &Context, args: &LoginArgs) -> Result<(Option<String>, Option<String>), Failure> {
    if let Some(email) = &args.email {
        return Ok((None, Some(email.clone())));
    }
    let given = context.settings.username.as_ref();
    let given = given.filter(|name| matches!(name.source, Source::Flag | Source::Environment(_)));
    if let Some(name) = given {
        return Ok((Some(name.value.clone()), None));
    }
    if !context.is_interactive {
        return Err(Failure::no_terminal("a name", "--username or --email"));
    }
    let name = prompt::text("Username or e-mail").await?;
    Ok(if name.contains('@') { (None, Some(name)) } else { (Some(name), None) })
}

async fn save(context: &Context, origin: &Origin, name: &str, session: &LoginData) -> Result<(), Failure> {
    let stored = Stored::of_login(session, credentials::now());
    context
        .file
        .update(|config| {
            let section = config.section_mut(context.profile());
            stored.write(section, origin);
            section.insert("username".to_owned(), json!(name));
            keep_address(context, section);
            section.remove("container");
            match &session.project {
                Some(project) => section.insert("project".to_owned(), json!(project.id)),
                None => section.remove("project"),
            };
        })
        .await
}

/// An address given for this login is the one that later commands mean, unless they say otherwise.
fn keep_address(context: &Context, section: &mut Map<String, Value>) {
    let base_url = &context.settings.base_url;
    if matches!(base_url.source, Source::Flag | Source::Environment(_)) {
        section.insert("baseUrl".to_owned(), json!(base_url.value));
    }
}

fn warn_of_stronger_token(context: &Context) {
    if let Some(token) = &context.settings.token
        && let Source::Environment(name) = token.source
    {
        context
            .output
            .warn(&format!("{name} is set and wins over what is stored: unset it to use the session"));
    }
}

/// What people see is the message, or the bare token where they ask for it; programs get the data.
fn report<T: serde::Serialize>(
    context: &Context,
    data: &T,
    token: &Secret,
    is_token_wanted: bool,
    message: String,
) -> Result<(), Failure> {
    if is_token_wanted && context.output.format().is_for_people() {
        context.output.note(&message);
        return context.output.result(token.expose());
    }
    context.output.show(data, || View::Done(message))
}

fn say(context: &Context, message: &str) -> Result<(), Failure> {
    context.output.show(&Value::Null, || View::Done(message.to_owned()))
}
