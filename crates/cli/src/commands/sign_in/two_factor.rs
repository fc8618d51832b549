//! `auth 2fa`: the second factor of one's own account (`contract/cli.md` 7).

use clap::{Args, Subcommand};
use hoody_client::wire::{
    BackupCodes, DisableTwoFactor, RefreshData, RegenerateBackupCodes, Secret, TokenGate, TwoFactorSetup,
    TwoFactorStatus, VerifyAnswer, VerifyTwoFactor,
};
use hoody_client::{Client, Error};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::json;

use super::login;
use crate::context::Context;
use crate::terminal::cell::{text_or, yes_no};
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output::View;
use crate::terminal::printable;
use crate::terminal::prompt;

/// How often `hoody login` asks for a code.
const TRIES: u32 = 3;

/// The commands of `auth 2fa`.
#[derive(Debug, Subcommand)]
pub(crate) enum TwoFactorCommand {
    /// Get a new secret for an app, and backup codes; `verify-setup` turns it on
    #[command(after_help = "EXAMPLES:
  hoody auth 2fa setup
  hoody auth 2fa setup --password-file password.txt -o json")]
    Setup,
    /// Turn the second factor on with the app's first code; every other session ends
    #[command(after_help = "EXAMPLES:\n  hoody auth 2fa verify-setup --code 123456")]
    VerifySetup(CodeArgs),
    /// Finish signing in with a code and the token that `auth login` gave
    #[command(after_help = "EXAMPLES:
  hoody auth 2fa verify --temp-token eyJ... --code 123456
  hoody auth 2fa verify --temp-token eyJ... --code ABCDE-FGHJK   # a backup code")]
    Verify(VerifyArgs),
    /// Show whether it is on, and how many backup codes are left
    #[command(after_help = "EXAMPLES:\n  hoody auth 2fa status")]
    Status,
    /// Say whether sessions need a code to make and change tokens
    #[command(after_help = "EXAMPLES:
  hoody auth 2fa gate --enabled
  hoody auth 2fa gate --no-enabled --otp-code 123456")]
    Gate(GateArgs),
    /// Replace the backup codes
    #[command(after_help = "EXAMPLES:\n  hoody auth 2fa regenerate --code 123456")]
    Regenerate(CodeArgs),
    /// Turn the second factor off; every other session ends
    #[command(after_help = "EXAMPLES:\n  hoody auth 2fa disable --code 123456")]
    Disable(CodeArgs),
}

/// A code.
#[derive(Debug, Args)]
pub(crate) struct CodeArgs {
    /// Code of the app; `-` reads it from standard input
    #[arg(long, value_name = "CODE")]
    code: Option<Secret>,
}

/// What `auth 2fa verify` takes.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// What `auth login` gave; `-` reads it from standard input
    #[arg(long, value_name = "TOKEN")]
    temp_token: Option<Secret>,
    /// Code of the app, or a backup code; `-` reads it from standard input
    #[arg(long, value_name = "CODE")]
    code: Option<Secret>,
    /// What to be called in the record of logins [env: HOODY_CLIENT]
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// tokens or intent: what the login was to give, and nothing else
    #[arg(long, value_name = "MODE")]
    response_mode: Option<String>,
    /// Print the access token on standard output
    #[arg(long)]
    print_token: bool,
    /// Do not store the session
    #[arg(long)]
    no_save: bool,
}

/// What `auth 2fa gate` takes.
#[derive(Debug, Args)]
pub(crate) struct GateArgs {
    /// Sessions need a code to make and change tokens
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", required_unless_present = "no_enabled")]
    enabled: Option<bool>,
    /// They do not
    #[arg(long, conflicts_with = "enabled")]
    no_enabled: bool,
    /// Code of the app, or a backup code, to turn it off; `-` reads it from standard input
    #[arg(long, value_name = "CODE")]
    otp_code: Option<Secret>,
}

/// Runs a command of `auth 2fa`.
pub(crate) async fn run(context: &Context, command: TwoFactorCommand) -> Result<(), Failure> {
    context.keep_password_for_the_command();
    match command {
        TwoFactorCommand::Setup => setup(context).await,
        TwoFactorCommand::VerifySetup(args) => verify_setup(context, &args).await,
        TwoFactorCommand::Verify(args) => verify(context, &args).await,
        TwoFactorCommand::Status => status(context).await,
        TwoFactorCommand::Gate(args) => gate(context, &args).await,
        TwoFactorCommand::Regenerate(args) => regenerate(context, &args).await,
        TwoFactorCommand::Disable(args) => disable(context, &args).await,
    }
}

async fn setup(context: &Context) -> Result<(), Failure> {
    let password = context.password("the account's password", "Password").await?;
    context.output.expect_to_show()?;
    let setup = context.call(async |client: &Client| client.two_factor().setup(&password).await).await?;
    let output = &context.output;
    show_setup(context, &setup).map_err(|failure| {
        failure.lost(
            "the key and the backup codes could not be shown; the second factor is as it was",
            "`hoody auth 2fa setup` gives others",
        )
    })?;
    output.note("Keep the backup codes: each is good once in place of a code. They are not shown again.");
    output.note("Not on yet: `hoody auth 2fa verify-setup` asks for the app's first code.");
    Ok(())
}

fn show_setup(context: &Context, setup: &TwoFactorSetup) -> Result<(), Failure> {
    let output = &context.output;
    if !output.format().is_for_people() {
        return output.show(setup, || View::Line(String::new()));
    }
    if let Some(uri) = &setup.otpauth_uri {
        output.note("Scan this with an authenticator app, or type the key into it.");
        output.result(&draw(uri.expose())?)?;
    }
    output.result(&summary(setup))
}

/// The code in half blocks: light on dark, as most terminals are; apps read either.
fn draw(text: &str) -> Result<String, Failure> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(anyhow::Error::from)?;
    Ok(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

fn summary(setup: &TwoFactorSetup) -> String {
    let mut text = format!("Key: {}\nBackup codes:", setup.manual_entry_key.expose());
    for code in &setup.backup_codes {
        text.push_str("\n  ");
        text.push_str(code.expose());
    }
    text
}

async fn verify_setup(context: &Context, args: &CodeArgs) -> Result<(), Failure> {
    let code = digits(&code(args.code.as_ref(), "--code", context).await?);
    context.expect_to_replace().await?;
    let enabled = context.call(async |client: &Client| client.two_factor().verify_setup(&code).await).await?;
    let is_kept = keep(context, &enabled.session.pair).await?;
    context.output.show(&enabled, || View::Done("Two-factor authentication is on.".to_owned()))?;
    say_what_ended(context, is_kept);
    Ok(())
}

async fn disable(context: &Context, args: &CodeArgs) -> Result<(), Failure> {
    context.confirm("Turn two-factor authentication off?").await?;
    let password = context.password("the account's password", "Password").await?;
    let request = DisableTwoFactor { password, code: code(args.code.as_ref(), "--code", context).await? };
    context.expect_to_replace().await?;
    let disabled = context.call(async |client: &Client| client.two_factor().disable(&request).await).await?;
    let is_kept = keep(context, &disabled.pair).await?;
    context.output.show(&disabled, || View::Done("Two-factor authentication is off.".to_owned()))?;
    say_what_ended(context, is_kept);
    Ok(())
}

/// Keeps the new session in place of the stored one that asked for it; whether it did.
async fn keep(context: &Context, pair: &RefreshData) -> Result<bool, Failure> {
    let is_stored = context.uses_stored_session();
    if is_stored {
        login::keep_pair(context, pair).await?;
    }
    Ok(is_stored)
}

fn say_what_ended(context: &Context, is_kept: bool) {
    context.output.note(if is_kept {
        "Every other session of the account has ended."
    } else {
        "Every session of the account has ended: `hoody login` starts one."
    });
}

async fn verify(context: &Context, args: &VerifyArgs) -> Result<(), Failure> {
    let is_dash = |given: &Option<Secret>| given.as_ref().is_some_and(|given| given.expose() == "-");
    if is_dash(&args.temp_token) && is_dash(&args.code) {
        return Err(Failure::failed("standard input holds one secret: the token or the code"));
    }
    let temp_token = match &args.temp_token {
        Some(given) => prompt::given(given).await?,
        None if context.is_interactive => prompt::secret("Token of the login").await?,
        None => return Err(Failure::no_terminal("the token of the login", "--temp-token")),
    };
    let code = code(args.code.as_ref(), "--code", context).await?;
    let client = Some(args.client.clone().unwrap_or_else(|| context.settings.client.clone()));
    let response_mode = args.response_mode.clone();
    let request = VerifyTwoFactor { code, temp_token: Some(temp_token), client, response_mode };
    let anonymous = context.for_secrets()?;
    // The token of the login and the code are used up by the answer.
    if !args.no_save && request.response_mode.as_deref() != Some("intent") {
        context.expect_to_store()?;
    }
    if args.print_token || request.response_mode.is_some() {
        context.output.expect_to_show()?;
    }
    let session = match anonymous.two_factor().verify(&request).await? {
        VerifyAnswer::Session(session) => *session,
        VerifyAnswer::Intent(intent) => return login::show_intent(context, &intent),
        VerifyAnswer::Approved(status) => {
            return context.output.show(&status, || View::Done("The device is approved.".to_owned()));
        }
    };
    let name = session.user.username.clone();
    login::finish(context, &anonymous, &name, &session, !args.no_save, args.print_token).await
}

/// Asks for codes until one is right, three at most; what the login gives.
pub(crate) async fn answer_challenge(
    context: &Context,
    client: &Client,
    temp_token: &Secret,
    name: &str,
) -> Result<VerifyAnswer, Failure> {
    let mut tried = 0;
    loop {
        tried += 1;
        let code = prompt::secret("Code of the app, or a backup code").await?;
        let request = VerifyTwoFactor {
            code,
            temp_token: Some(temp_token.clone()),
            client: Some(name.to_owned()),
            response_mode: None,
        };
        match client.two_factor().verify(&request).await {
            Err(error) if tried < TRIES && is_wrong_code(&error) => {
                context.output.warn(&format!("{}: try again", printable::line(&error.to_string())));
            }
            other => return Ok(other?),
        }
    }
}

fn is_wrong_code(error: &Error) -> bool {
    ["INVALID_OTP_CODE", "INVALID_BACKUP_CODE", "VALIDATION_ERROR", "MISSING_REQUIRED_FIELD"]
        .iter()
        .any(|code| error.has_code(code))
}

/// How to go on where nobody can be asked.
pub(crate) fn follow_up(temp_token: &Secret) -> Failure {
    Failure::new(Exit::Challenge, "the account has a second factor, and its code is missing").hint(format!(
        "within five minutes: hoody auth 2fa verify --temp-token {} --code CODE",
        temp_token.expose()
    ))
}

async fn status(context: &Context) -> Result<(), Failure> {
    let status = context.call(async |client: &Client| client.two_factor().status().await).await?;
    context.output.show(&status, || details(&status))
}

fn details(status: &TwoFactorStatus) -> View {
    View::Details(vec![
        ("on", yes_no(status.enabled)),
        ("since", text_or(status.enabled_at, "-")),
        ("backup codes left", status.backup_codes_remaining.to_string()),
        ("needed for tokens", yes_no(status.enabled && status.require_for_tokens)),
    ])
}

async fn gate(context: &Context, args: &GateArgs) -> Result<(), Failure> {
    let enabled = args.enabled.unwrap_or(false) && !args.no_enabled;
    let mut request = TokenGate { enabled, ..TokenGate::default() };
    if !enabled {
        request.password = Some(context.password("the account's password", "Password").await?);
        request.otp_code = Some(code(args.otp_code.as_ref(), "--otp-code", context).await?);
    }
    let state = context.call(async |client: &Client| client.two_factor().gate(&request).await).await?;
    context.output.show(&state, || {
        View::Done(if state.require_for_tokens {
            "Sessions need a code to make and change tokens.".to_owned()
        } else {
            "Sessions need no code to make and change tokens.".to_owned()
        })
    })
}

async fn regenerate(context: &Context, args: &CodeArgs) -> Result<(), Failure> {
    context.confirm("Replace the backup codes? The old ones open nothing any more.").await?;
    let password = context.password("the account's password", "Password").await?;
    let code = digits(&code(args.code.as_ref(), "--code", context).await?);
    let request = RegenerateBackupCodes { password, code };
    context.output.expect_to_show()?;
    let made = context.call(async |client: &Client| client.two_factor().regenerate(&request).await).await?;
    show_codes(context, &made).map_err(|failure| {
        failure.lost(
            "the backup codes were replaced, but the new ones could not be shown; the old ones open nothing any more",
            "`hoody auth 2fa regenerate` gives others",
        )
    })?;
    context.output.note("Keep the backup codes: they are not shown again.");
    Ok(())
}

fn show_codes(context: &Context, made: &BackupCodes) -> Result<(), Failure> {
    if !context.output.format().is_for_people() {
        return context.output.show(made, || View::Line(String::new()));
    }
    made.backup_codes.iter().try_for_each(|code| context.output.result(code.expose()))
}

/// The code as given, or asked for.
async fn code(given: Option<&Secret>, flag: &str, context: &Context) -> Result<Secret, Failure> {
    match given {
        Some(given) => prompt::given(given).await,
        None if context.is_interactive => prompt::secret("Code of the app").await,
        None => Err(Failure::no_terminal("a code of the second factor", flag)),
    }
}

/// Six digits as apps show them, in two groups, without what is between.
fn digits(code: &Secret) -> Secret {
    code.expose().chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>().into()
}

/// What `auth login` tells programs of a challenge.
pub(crate) fn challenge_data(temp_token: &Secret) -> serde_json::Value {
    json!({ "requires_2fa": true, "temp_token": temp_token, "method": "totp" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_in_half_blocks() {
        let drawn = draw("otpauth://totp/hoody:ada?secret=GEZDGNBVGY3TQOJQ").unwrap();
        let lines: Vec<_> = drawn.lines().collect();
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width), "{drawn}");
        assert!(lines.len() == width.div_ceil(2), "{drawn}");
        assert!(drawn.chars().all(|c| " █▀▄\n".contains(c)), "{drawn}");
        // The margin is light.
        assert!(lines[0].chars().all(|c| c == '█'), "{drawn}");
    }

    #[test]
    fn a_code_is_sent_without_what_apps_put_between_its_digits() {
        assert_eq!(digits(&"123 456".into()).expose(), "123456");
    }
}
