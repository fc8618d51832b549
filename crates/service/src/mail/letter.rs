//! What mails say: plain text in ASCII, short, and without anything that a stranger chose.

use hoody_core::time::Timestamp;
use hoody_core::wire::Secret;
use serde::{Deserialize, Serialize};

/// What a mail is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Letter {
    /// Somebody signed up with this address: is it theirs?
    VerifyEmail {
        token: Secret,
        expires_at: Timestamp,
    },
    /// Somebody forgot the password of the account.
    ResetPassword {
        token: Secret,
        expires_at: Timestamp,
    },
    /// Somebody signed up with the address of an account.
    AlreadyRegistered,
    PasswordChanged {
        /// How many API tokens of the account still work.
        #[serde(default)]
        active_tokens: u64,
    },
    TwoFactorEnabled,
    TwoFactorDisabled,
    /// Something looks wrong: what, in lines, and how much more.
    Alerts {
        lines: Vec<String>,
        more: usize,
    },
}

impl Letter {
    /// What the link in it carries.
    pub(super) fn token(&self) -> Option<&Secret> {
        match self {
            Self::VerifyEmail { token, .. } | Self::ResetPassword { token, .. } => Some(token),
            _ => None,
        }
    }

    /// When it is of no use any more.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::VerifyEmail { expires_at, .. } | Self::ResetPassword { expires_at, .. } => {
                Some(*expires_at)
            }
            _ => None,
        }
    }

    /// Subject and text, for the account `username` of the server at `base`.
    pub(super) fn render(&self, base: &str, username: &str) -> (&'static str, String) {
        let link = |page: &str, token: &Secret| format!("{base}/{page}?token={}", token.expose());
        match self {
            Self::VerifyEmail { token, .. } => (
                "Confirm your e-mail address",
                format!(
                    "Somebody, probably you, signed up at\n{base} with this address.\n\n\
                     To confirm that it is yours, open this link within 24 hours:\n\n{}\n\n\
                     Your username is {username}.\n\n\
                     The page asks for the password of this sign-up, or for a new one. If you did\n\
                     not sign up, do nothing: without the link the account stays shut.\n",
                    link("verify-email", token)
                ),
            ),
            Self::ResetPassword { token, .. } => (
                "Set a new password",
                format!(
                    "Somebody, probably you, asked to set a new password for the account\n\
                     {username} at {base}.\n\n\
                     To choose one, open this link within an hour:\n\n{}\n\n\
                     It ends every session of the account, and its API tokens if you choose so.\n\
                     If that was not you, do nothing: your password stays as it is.\n",
                    link("reset-password", token)
                ),
            ),
            Self::AlreadyRegistered => (
                "You have an account already",
                format!(
                    "Somebody, probably you, tried to sign up at\n{base} with this address.\n\n\
                     It has an account already: {username}. Sign in with it, or ask for a new\n\
                     password if you forgot yours. If that was not you, do nothing: nothing was\n\
                     changed.\n"
                ),
            ),
            Self::PasswordChanged { active_tokens } => (
                "Your password was changed",
                changed(base, username, "The password") + &remaining(*active_tokens),
            ),
            Self::TwoFactorEnabled => (
                "Two-factor authentication was turned on",
                changed(base, username, "Two-factor authentication"),
            ),
            Self::TwoFactorDisabled => (
                "Two-factor authentication was turned off",
                changed(base, username, "Two-factor authentication"),
            ),
            Self::Alerts { lines, more } => ("Alerts on your account", alerts(base, username, lines, *more)),
        }
    }
}

fn changed(base: &str, username: &str, what: &str) -> String {
    format!(
        "{what} of your account {username} at\n{base} was changed just now, and every\n\
         other session of it was ended.\n\n\
         If that was not you, set a new password at once and tell whoever runs\n\
         the server.\n"
    )
}

/// A new password ends sessions and no tokens: whoever knew the old one may have made some.
fn remaining(active_tokens: u64) -> String {
    match active_tokens {
        0 => String::new(),
        n => format!(
            "\nAPI tokens of the account that still work: {n}. `hoody auth list` shows them,\n\
             `hoody auth update NAME --no-enabled` disables one.\n"
        ),
    }
}

fn alerts(base: &str, username: &str, lines: &[String], more: usize) -> String {
    let listed: String = lines.iter().map(|line| format!("- {line}\n")).collect();
    let more = if more > 0 { format!("- and {more} more\n") } else { String::new() };
    format!(
        "On your account {username} at\n{base} happened:\n\n{listed}{more}\n\
         `hoody alerts list` says more, and `hoody alerts settings` what is told.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://auth.example.com";

    fn all() -> [Letter; 7] {
        let (token, expires_at) = (Secret::from("ab".repeat(32)), Timestamp::from_millis(0));
        [
            Letter::VerifyEmail { token: token.clone(), expires_at },
            Letter::ResetPassword { token, expires_at },
            Letter::AlreadyRegistered,
            Letter::PasswordChanged { active_tokens: 12 },
            Letter::TwoFactorEnabled,
            Letter::TwoFactorDisabled,
            Letter::Alerts {
                lines: vec![
                    "Many failed logins\n    account 65a1b2c3d4e5f60718293a4b\n    from 2001:db8::1".into(),
                ],
                more: 2,
            },
        ]
    }

    #[test]
    fn letters_are_short_plain_and_name_the_account_and_the_server() {
        for letter in all() {
            let (subject, text) = letter.render(BASE, "ada-3fa9");
            assert!(text.is_ascii() && text.contains("ada-3fa9") && text.contains(BASE), "{text}");
            assert!(text.len() < 700 && text.ends_with(".\n"), "{text}");
            assert!(text.lines().all(|line| line.contains("token=") || line.len() <= 78), "{text}");
            assert!(subject.is_ascii() && subject.len() < 60);
        }
    }

    #[test]
    fn a_link_stands_alone_in_its_line_and_begins_with_the_public_address() {
        for (letter, page) in all().iter().zip(["verify-email", "reset-password"]) {
            let (_, text) = letter.render(BASE, "ada");
            let link = format!("{BASE}/{page}?token={}", "ab".repeat(32));
            assert_eq!(text.lines().filter(|line| line.contains("token=")).collect::<Vec<_>>(), [link]);
        }
    }

    #[test]
    fn a_changed_password_tells_of_tokens_that_still_work() {
        let text = |active_tokens| Letter::PasswordChanged { active_tokens }.render(BASE, "ada").1;
        assert!(text(2).contains("still work: 2."), "{}", text(2));
        assert!(!text(0).contains("token"), "{}", text(0));
        // As an older version wrote it.
        let read: Letter = serde_json::from_str(r#"{"kind":"password-changed"}"#).unwrap();
        assert_eq!(read.render(BASE, "ada").1, text(0));
    }

    #[test]
    fn a_letter_keeps_its_form_in_the_job_and_prints_no_token() {
        for letter in all() {
            let json = serde_json::to_string(&letter).unwrap();
            let read: Letter = serde_json::from_str(&json).unwrap();
            assert_eq!(read.render(BASE, "a"), letter.render(BASE, "a"));
            assert!(!format!("{letter:?}").contains("abab"));
        }
    }
}
