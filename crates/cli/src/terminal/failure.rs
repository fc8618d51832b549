//! Why a command failed, what to say about it, and with which exit code (`contract/cli.md` 5).

use std::fmt::Write as _;

use hoody_client::{ApiError, BuildError, Error};
use hoody_core::causes::in_full;

use super::printable;

/// The exit codes of the client's commands. `serve` and `admin` have their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command or the server said no.
    Failed = 1,
    /// The account has a second factor: another command goes on from here.
    Challenge = 2,
    /// Credentials could not be saved or cleared.
    NotSaved = 3,
    /// A question would have to be asked, and there is no terminal.
    NoTerminal = 6,
    /// The person at the terminal said no.
    Aborted = 7,
    /// Another command holds the configuration for too long.
    Locked = 8,
    /// The profile does not exist.
    NoProfile = 10,
    /// Ctrl-C at a question.
    Interrupted = 130,
    /// The reader of the results went away: nothing is wrong.
    PipeClosed = 0,
}

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// Ends with `exit` and says `message`.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// The ordinary failure: exit code 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// `what` would have to be asked for; `flag` is how to say it instead.
    pub(crate) fn no_terminal(what: &str, flag: &str) -> Self {
        Self::new(Exit::NoTerminal, format!("{what} is needed, and there is no terminal to ask on"))
            .hint(format!("use {flag}"))
    }

    /// Something was done, and what it gave could not be shown: `what` says so, `hint` what to do.
    pub(crate) fn lost(self, what: &str, hint: &str) -> Self {
        let why = match self.exit {
            Exit::PipeClosed => "the reader of standard output has gone",
            _ => self.message.as_str(),
        };
        let failure = Self::failed(format!("{what}: {why}"));
        if hint.is_empty() { failure } else { failure.hint(hint) }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(in_full(error.as_ref()))
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let hint = matches!(error, BuildError::Base { .. })
            .then_some("--base-url, HOODY_BASE_URL or `hoody config set baseUrl`");
        let failure = Self::from(anyhow::Error::from(error));
        match hint {
            Some(hint) => failure.hint(format!("the address comes from {hint}")),
            None => failure,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let is_unknown = error.is_outcome_unknown();
        let failure = match error {
            Error::Api(refusal) => of_refusal(&refusal),
            Error::Network { .. } => {
                let failure = Self::from(anyhow::Error::from(error));
                failure.hint("is the server running there? `hoody serve` starts one; --base-url or HOODY_BASE_URL names another")
            }
            Error::Build(error) => error.into(),
            other => Self::from(anyhow::Error::from(other)),
        };
        if is_unknown { failure.hint(LOOK_FIRST) } else { failure }
    }
}

/// What to do when a change may have been made.
const LOOK_FIRST: &str =
    "it may have been done: look before you do it again, e.g. with the `list` or `get` of the same group";

fn of_refusal(refusal: &ApiError) -> Failure {
    // One line: what follows in lines of their own is ours.
    let mut message = printable::line(&refusal.message).into_owned();
    if !refusal.code.is_empty() {
        let _ = write!(message, " ({})", printable::line(&refusal.code));
    }
    for violation in refusal.data.as_ref().and_then(|data| data.as_array()).into_iter().flatten() {
        let text = |key| violation.get(key).and_then(|value| value.as_str()).unwrap_or_default();
        let (place, rule) = (printable::line(text("instancePath")), printable::line(text("message")));
        let _ = write!(message, "\n  {place}: {rule}");
    }
    if let Some(left) = refusal.data.as_ref().and_then(|data| data.get("attempts_remaining")) {
        let _ = write!(message, "\n  tries left: {left}");
    }
    if let Some(wait) = refusal.retry_after {
        let _ = write!(message, "\n  try again in {} s", wait.as_secs());
    }
    let failure = Failure::failed(message);
    match advice(refusal) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What to do about the refusals that newcomers meet.
fn advice(refusal: &ApiError) -> Option<&'static str> {
    Some(match refusal.code.as_str() {
        "MISSING_TOKEN" | "INVALID_TOKEN" | "TOKEN_EXPIRED" => {
            "the credential is not accepted: `hoody login` starts a session; HOODY_TOKEN and --token win over a stored one"
        }
        "SESSION_REQUIRED" => {
            "this token may not make tokens: use a session (`hoody login`, and unset HOODY_TOKEN), or a token with resources.create_tokens"
        }
        "OTP_REQUIRED" => {
            "--otp-code takes a code of the second factor; `hoody auth 2fa gate` says when one is needed"
        }
        "TWOFACTOR_NOT_VERIFIED" => {
            "`hoody auth 2fa setup` shows a secret, which waits an hour for its first code"
        }
        "INVALID_TEMP_TOKEN" => "sign in again: `hoody login`",
        "IP_NOT_WHITELISTED" => "`hoody ip get` shows the address that the server sees",
        "REALM_SCOPE_REQUIRED" => "use --realm; `hoody auth get-current` lists the realms of the token",
        "REALM_NOT_ALLOWED" => "`hoody auth get-current` lists the realms of the token",
        "REALM_HOST_UNKNOWN" => "the server must know its own name for realms: `hoody serve --domain`",
        // The code alone does not tell: asked by a session, where only a token is answered.
        "INSUFFICIENT_PERMISSIONS" if refusal.message.contains("requires auth token") => {
            "what is in use is a session, which may do everything: `hoody users me` shows whose; this is for a token, given by HOODY_TOKEN or --token"
        }
        "INSUFFICIENT_PERMISSIONS" => "`hoody auth get-current` lists what the token may do",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_never_a_success() {
        let gone = Failure::new(Exit::PipeClosed, "").lost("token x was made, but not shown", "delete it");
        assert_eq!((gone.exit as u8, gone.hint.as_deref()), (1, Some("delete it")));
        assert_eq!(gone.message, "token x was made, but not shown: the reader of standard output has gone");
    }

    #[test]
    fn a_hint_names_the_flag_when_there_is_no_terminal() {
        let failure = Failure::no_terminal("a password", "--password-stdin");
        assert_eq!(failure.exit as u8, 6);
        assert_eq!(failure.hint.as_deref(), Some("use --password-stdin"));
    }
}
