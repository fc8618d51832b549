//! `signup`, `auth signup`, `auth email`, `auth password`: accounts and what mails are for
//! (`contract/cli.md` 6, 7).

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hoody_client::Client;
use hoody_client::wire::{LoginAnswer, ResetPassword, Secret, SignUp, VerifyAnswer, VerifyEmail};
use serde_json::{Value, json};

use super::login;
use super::two_factor;
use crate::context::Context;
use crate::terminal::failure::Failure;
use crate::terminal::output::View;
use crate::terminal::prompt::{self, Kind};

/// What `signup` takes. The password is the client's own flag.
#[derive(Debug, Args)]
pub(crate) struct SignUpArgs {
    /// The address that the mail goes to
    #[arg(long)]
    email: Option<String>,
    /// Of the hosted service; a self-hosted server has none
    #[arg(long)]
    region: Option<String>,
    /// An invitation, where the server asks for one; `-` reads it from standard input
    #[arg(long, value_name = "CODE")]
    invite_code: Option<Secret>,
    /// Read the invitation from a file
    #[arg(long, value_name = "FILE", conflicts_with = "invite_code")]
    invite_code_file: Option<PathBuf>,
    /// What to be called in the record of logins [env: HOODY_CLIENT]
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
}

/// The commands of `auth email`.
#[derive(Debug, Subcommand)]
pub(crate) enum EmailCommand {
    /// Prove an address with the token of a mail and the password of that sign-up, and store the session
    #[command(after_help = "EXAMPLES:
  hoody auth email verify                      # asks for the token, or the link, and the password
  hoody auth email verify --token-file token.txt --password-file password.txt")]
    Verify(VerifyArgs),
    /// Have the verification mail sent again
    #[command(after_help = "EXAMPLES:\n  hoody auth email resend --email you@example.com")]
    Resend {
        /// The address
        #[arg(long)]
        email: String,
    },
}

/// The commands of `auth password`.
#[derive(Debug, Subcommand)]
pub(crate) enum PasswordCommand {
    /// Have a mail sent to set a new password
    #[command(after_help = "EXAMPLES:\n  hoody auth password forgot --email you@example.com")]
    Forgot {
        /// The address of the account
        #[arg(long)]
        email: String,
    },
    /// Set a new password with the token of the mail; every session of the account ends
    #[command(after_help = "EXAMPLES:
  hoody auth password reset                    # asks for both
  hoody auth password reset --token-file token.txt --password-file new.txt")]
    Reset(ResetArgs),
}

/// What `auth password reset` takes.
#[derive(Debug, Args)]
pub(crate) struct ResetArgs {
    #[command(flatten)]
    token: TokenArgs,
    /// Disable every API token of the account, too
    #[arg(long)]
    end_tokens: bool,
}

/// The token of a mail. `--token` is the client's own flag.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Read the token of the mail, or its link, from standard input
    #[arg(long)]
    token_stdin: bool,
    /// Read the token of the mail, or its link, from a file
    #[arg(long, value_name = "FILE", conflicts_with = "token_stdin")]
    token_file: Option<PathBuf>,
}

/// What `auth email verify` takes.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    token: TokenArgs,
    /// What to be called in the record of logins [env: HOODY_CLIENT]
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// What to be answered with: tokens, or an intent for somebody else to go on with
    #[arg(long, value_name = "MODE", value_parser = ["tokens", "intent"])]
    response_mode: Option<String>,
    /// For an intent: the challenge of whoever will have the session
    #[arg(long, value_name = "CHALLENGE", allow_hyphen_values = true)]
    code_challenge: Option<String>,
    /// Print the access token on standard output
    #[arg(long)]
    print_token: bool,
    /// Do not store the session
    #[arg(long)]
    no_save: bool,
}

/// What comes after signing up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing.
    End,
    /// The token of the mail is asked for, where somebody can be asked.
    Verify,
}

/// Makes an account.
pub(crate) async fn sign_up(context: &Context, args: &SignUpArgs, then: Then) -> Result<(), Failure> {
    context.keep_password_for_the_command();
    let client = context.anonymous()?;
    let email = match &args.email {
        Some(email) => email.clone(),
        None if context.is_interactive => prompt::text("E-mail").await?,
        None => return Err(Failure::no_terminal("an address", "--email")),
    };
    let request = SignUp {
        email,
        password: context.password("a password", "Password (12 characters or more)").await?,
        region: args.region.clone(),
        invite_code: invitation(args).await?,
        client: Some(args.client.clone().unwrap_or_else(|| context.settings.client.clone())),
    };
    let done = client.sign_up(&request).await?;
    let message = format!("A mail is on its way to {}.", done.email);
    if then == Then::Verify && context.is_interactive {
        context.output.note(&message);
        let token = of_link(prompt::secret("Token of the mail, or its link").await?);
        let SignUp { password, client: name, .. } = request;
        let request = VerifyEmail { token, password: Some(password), client: name, ..VerifyEmail::default() };
        return sign_in(context, &client, &request, true, false).await;
    }
    context.output.note("`hoody auth email verify` goes on with the token in it, and the same password.");
    context.output.show(&done, || View::Done(message))
}

/// Runs a command of `auth email`.
pub(crate) async fn email(context: &Context, command: EmailCommand) -> Result<(), Failure> {
    context.keep_password_for_the_command();
    let client = context.anonymous()?;
    match command {
        EmailCommand::Verify(args) => {
            let name = args.client.clone().unwrap_or_else(|| context.settings.client.clone());
            let request = VerifyEmail {
                token: token(context, &args.token).await?,
                password: Some(
                    context.password("the password of the sign-up", "Password of the sign-up").await?,
                ),
                client: Some(name),
                response_mode: args.response_mode.clone(),
                code_challenge: args.code_challenge.clone(),
            };
            sign_in(context, &client, &request, !args.no_save, args.print_token).await
        }
        EmailCommand::Resend { email } => {
            client.resend_verification(&email).await?;
            say(context, &format!("If {email} waits for verification, a mail is on its way."))
        }
    }
}

/// Runs a command of `auth password`.
pub(crate) async fn password(context: &Context, command: PasswordCommand) -> Result<(), Failure> {
    context.keep_password_for_the_command();
    let client = context.anonymous()?;
    match command {
        PasswordCommand::Forgot { email } => {
            client.forgot_password(&email).await?;
            say(context, &format!("If {email} has an account, a mail is on its way."))
        }
        PasswordCommand::Reset(args) => {
            let token = token(context, &args.token).await?;
            let password = context.password("a new password", "New password (12 characters or more)").await?;
            let request = ResetPassword { token, password, end_tokens: args.end_tokens.then_some(true) };
            let left = client.reset_password(&request).await?;
            if left.active_tokens > 0 {
                context.output.note(&format!(
                    "API tokens of the account that still work: {}. `hoody auth list` shows them, `hoody \
                     auth update NAME --no-enabled` disables one.",
                    left.active_tokens
                ));
            }
            let tokens = match left.disabled_tokens {
                0 => String::new(),
                n => format!(" API tokens that were disabled: {n}."),
            };
            let message = format!("The password is set; every session of the account is ended.{tokens}");
            context.output.show(&left, || View::Done(message))
        }
    }
}

/// What a login that was refused ends with: where the address is not proved, who is at a terminal may have
/// the mail sent again.
pub(crate) async fn offer_resend(context: &Context, client: &Client, error: hoody_client::Error) -> Failure {
    let told = error.api().filter(|_| error.has_code("EMAIL_NOT_VERIFIED"));
    let email = told.and_then(|told| told.data.as_ref()?.get("email")?.as_str()).map(str::to_owned);
    let failure = Failure::from(error);
    let Some(email) = email else { return failure };
    if context.is_interactive && prompt::confirm("Send the mail again?").await.is_ok() {
        return match client.resend_verification(&email).await {
            Ok(()) => {
                failure.hint("`hoody auth email verify`, with the token of the mail that is on its way")
            }
            Err(error) => error.into(),
        };
    }
    failure.hint(format!("`hoody auth email resend --email {email}` sends the mail again"))
}

/// `auth regions`.
pub(crate) async fn regions(context: &Context) -> Result<(), Failure> {
    let regions = context.anonymous()?.available_regions().await?;
    let rows = regions.regions.iter();
    let rows = rows.map(|region| vec![region.region.clone(), region.country.clone(), region.city.clone()]);
    let rows = rows.collect();
    context.output.show(&regions, || View::List {
        titles: &["REGION", "COUNTRY", "CITY"],
        narrow: 3,
        rows,
        empty: "This server has no regions.",
    })
}

/// Signs in with the token of a mail.
async fn sign_in(
    context: &Context,
    client: &Client,
    request: &VerifyEmail,
    is_kept: bool,
    is_token_wanted: bool,
) -> Result<(), Failure> {
    // The token is used up by the answer.
    if is_kept && request.response_mode.as_deref() != Some("intent") {
        context.expect_to_store()?;
    }
    if is_token_wanted || request.response_mode.is_some() {
        context.output.expect_to_show()?;
    }
    let answer = client.verify_email(request).await.map_err(|error| {
        let is_void = error.has_code("PASSWORD_REQUIRED");
        let failure = Failure::from(error);
        if is_void {
            failure.hint("`hoody auth password forgot --email …`, then `hoody auth password reset`")
        } else {
            failure
        }
    })?;
    let session = match answer {
        LoginAnswer::Session(session) => *session,
        LoginAnswer::Challenge(challenge) if context.is_interactive => {
            let name = request.client.as_deref().unwrap_or_default();
            match two_factor::answer_challenge(context, client, &challenge.temp_token, name).await? {
                VerifyAnswer::Session(session) => *session,
                VerifyAnswer::Intent(intent) => return login::show_intent(context, &intent),
                VerifyAnswer::Approved(_) => {
                    return Err(Failure::failed("the server approved a device instead of signing in"));
                }
            }
        }
        LoginAnswer::Intent(intent) => return login::show_intent(context, &intent),
        LoginAnswer::Challenge(challenge) => return Err(two_factor::follow_up(&challenge.temp_token)),
    };
    let name = session.user.email.clone().unwrap_or_else(|| session.user.username.clone());
    login::finish(context, client, &name, &session, is_kept, is_token_wanted).await
}

async fn invitation(args: &SignUpArgs) -> Result<Option<Secret>, Failure> {
    match (&args.invite_code, &args.invite_code_file) {
        (Some(code), _) => prompt::given(code).await.map(Some),
        (None, Some(path)) => prompt::secret_from_file(Kind::Token, path).await.map(Some),
        (None, None) => Ok(None),
    }
}

/// The token as given, or asked for. Never a credential from the environment or the configuration.
async fn token(context: &Context, args: &TokenArgs) -> Result<Secret, Failure> {
    let given = if args.token_stdin {
        prompt::secret_from_stdin(Kind::Token).await?
    } else if let Some(path) = &args.token_file {
        prompt::secret_from_file(Kind::Token, path).await?
    } else {
        match &context.flags.token {
            Some(token) => prompt::given(token).await?,
            None if context.is_interactive => prompt::secret("Token of the mail, or its link").await?,
            None => {
                return Err(Failure::no_terminal("the token of the mail", "--token-stdin or --token-file"));
            }
        }
    };
    Ok(of_link(given))
}

/// The token in a link, or what it is by itself.
fn of_link(given: Secret) -> Secret {
    match given.expose().trim().rsplit_once("token=") {
        Some((_, token)) => token.into(),
        None => given,
    }
}

fn say(context: &Context, message: &str) -> Result<(), Failure> {
    let data: Value = json!({ "message": message });
    context.output.show(&data, || View::Done(message.to_owned()))
}
