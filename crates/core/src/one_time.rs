//! Secrets that are used once and live for a while: intents, authorization codes, device codes, tickets,
//! what mails carry, invitations.
//!
//! 32 random bytes as 64 lowercase hex digits. What is stored is a keyed digest that names what the secret
//! is for, so that none is good in another's place and a stolen database opens nothing.

use std::fmt;

use zeroize::Zeroizing;

use crate::keys::{MacKey, MasterKey};

/// How many characters a secret has.
pub const LENGTH: usize = 64;

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `auth_intent_token`: a password, and a second factor, were given.
    Intent,
    /// `code`: to be exchanged for a session (RFC 6749, 4.1.2).
    AuthorizationCode,
    /// `device_code`: what a device polls with (RFC 8628).
    DeviceCode,
    /// `user_code`: what a person types for it.
    UserCode,
    /// `device_verify_ticket`: what the page that asked for a user code goes on with.
    DeviceTicket,
    /// The cookie beside the ticket.
    DeviceCookie,
    /// A login's temporary token that was given up.
    CancelledLogin,
    /// What a verification mail carries.
    VerifyEmail,
    /// What a mail to set a new password carries.
    ResetPassword,
    /// What opens sign-up to whoever has it.
    Invitation,
    /// The cookie of a session in the console.
    ConsoleCookie,
    /// What a form of the console carries: proof that a page of ours made it for this session.
    ConsoleForm,
    /// The id of a token that a reviewed form of the console is to make.
    ConsoleToken,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::AuthorizationCode => "code",
            Self::DeviceCode => "device",
            Self::UserCode => "user-code",
            Self::DeviceTicket => "ticket",
            Self::DeviceCookie => "cookie",
            Self::CancelledLogin => "cancelled",
            Self::VerifyEmail => "verify-email",
            Self::ResetPassword => "reset-password",
            Self::Invitation => "invitation",
            Self::ConsoleCookie => "console-cookie",
            Self::ConsoleForm => "console-form",
            Self::ConsoleToken => "console-token",
        }
    }
}

/// A secret as it is given out. Cannot be printed.
pub struct OneTimeSecret(Zeroizing<String>);

impl OneTimeSecret {
    /// The secret of these bytes, which must be random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        for byte in bytes.iter() {
            text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
            text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
        }
        Self(text)
    }

    /// Its text: for the one it is given to.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OneTimeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeSecret(..)")
    }
}

/// Whether a text has the form of such a secret: 64 lowercase hex digits.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The key that such secrets are digested with, of one master key. Cannot be printed.
#[derive(Debug, Clone)]
pub struct OneTimeKey(MacKey);

impl OneTimeKey {
    /// The key of `master` in the database with this id.
    #[must_use]
    pub fn derive(master: &MasterKey, database_id: &[u8]) -> Self {
        Self(master.derive(database_id, "one-time"))
    }

    /// What a secret for `purpose` is stored and found by.
    #[must_use]
    pub fn digest(&self, purpose: Purpose, text: &str) -> [u8; 32] {
        let mut message = Zeroizing::new(Vec::with_capacity(16 + text.len()));
        message.extend_from_slice(purpose.label().as_bytes());
        message.push(0);
        message.extend_from_slice(text.as_bytes());
        self.0.mac(&message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_64_hex_digits_and_cannot_be_printed() {
        let secret = OneTimeSecret::from_bytes([0xa5; 32]);
        assert_eq!(secret.expose(), "a5".repeat(32));
        assert!(is_well_formed(secret.expose()));
        assert!(!format!("{secret:?}").contains("a5"));
        for bad in ["", "a5", &"A5".repeat(32), &"g5".repeat(32), &"a5".repeat(33)] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }

    #[test]
    fn a_digest_is_of_its_purpose_and_its_key() {
        let key = |seed| OneTimeKey::derive(&MasterKey::from_bytes([seed; 32]), b"database");
        let all = [
            Purpose::Intent,
            Purpose::AuthorizationCode,
            Purpose::DeviceCode,
            Purpose::UserCode,
            Purpose::DeviceTicket,
            Purpose::DeviceCookie,
            Purpose::CancelledLogin,
            Purpose::VerifyEmail,
            Purpose::ResetPassword,
            Purpose::Invitation,
            Purpose::ConsoleCookie,
            Purpose::ConsoleForm,
            Purpose::ConsoleToken,
        ];
        let mut digests: Vec<_> = all.iter().map(|purpose| key(1).digest(*purpose, "x")).collect();
        digests.push(key(2).digest(Purpose::Intent, "x"));
        digests.push(key(1).digest(Purpose::Intent, "y"));
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest));
        }
    }
}
