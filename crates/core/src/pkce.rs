//! Proof key for code exchange (RFC 7636, S256 alone), and where a code may be sent.
//!
//! Whoever begins makes a random verifier and shows its SHA-256, the challenge. The code that comes of it
//! is worth nothing to anybody who has not the verifier.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::invalid::Invalid;

/// The longest redirect URI, in bytes.
const MAX_URI: usize = 2_048;

/// A code challenge: 43 characters, the base64url of 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Challenge(String);

impl Challenge {
    /// Reads `^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$`: what 32 bytes can look like.
    ///
    /// # Errors
    /// `VALIDATION_ERROR`, naming `code_challenge`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        // The decoder refuses a last character with bits that 32 bytes do not have.
        match URL_SAFE_NO_PAD.decode(text) {
            Ok(bytes) if bytes.len() == 32 => Ok(Self(text.to_owned())),
            _ => Err(Invalid::validation(
                "code_challenge must be the base64url of a SHA-256, without padding: 43 characters (S256)",
            )),
        }
    }

    /// What was read before and stored.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the verifier behind it; in constant time.
    #[must_use]
    pub fn is_met_by(&self, verifier: &Verifier) -> bool {
        verifier.challenge().is_same(self)
    }

    /// Whether the two are one; in constant time.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

/// A code verifier. Cannot be printed.
#[derive(Clone)]
pub struct Verifier(Zeroizing<String>);

impl Verifier {
    /// The verifier of these bytes, which must be random: 43 characters.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
    }

    /// Reads 43 to 128 of `A-Z a-z 0-9 - . _ ~`.
    ///
    /// # Errors
    /// `VALIDATION_ERROR`, naming `code_verifier`, never showing it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let is_plain =
            text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'));
        if is_plain && (43..=128).contains(&text.len()) {
            return Ok(Self(Zeroizing::new(text.to_owned())));
        }
        Err(Invalid::validation(
            "code_verifier must have 43 to 128 letters, digits, hyphens, dots, underscores or tildes",
        ))
    }

    /// Its text: only for sending it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The challenge that it meets.
    #[must_use]
    pub fn challenge(&self) -> Challenge {
        Challenge(URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.as_bytes())))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

/// Where codes may be sent: hosts, with a port where it is not 443.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedirectHosts(Vec<String>);

impl RedirectHosts {
    /// Reads a comma list such as `app.example.com, console.example.com:8443`.
    ///
    /// # Errors
    /// Names the entry that is no host.
    pub fn parse(list: &str) -> Result<Self, String> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let hosts = entries.map(|entry| {
            let lower = entry.to_ascii_lowercase();
            host_and_port(&lower).ok_or_else(|| {
                format!("{entry:?} is no host such as app.example.com or app.example.com:8443")
            })
        });
        Ok(Self(hosts.collect::<Result<_, _>>()?))
    }

    /// Whether a code may be sent there.
    #[must_use]
    pub fn allow(&self, uri: &RedirectUri) -> bool {
        self.0.contains(&uri.host)
    }
}

/// An `https` address that a code is for. Only characters on whose meaning every reader of URLs agrees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectUri {
    text: String,
    /// In lower case; with the port unless it is 443.
    host: String,
}

impl RedirectUri {
    /// Reads an address: `https`, a plain host name, no user, no fragment (RFC 6749, 3.1.2), at most 2048
    /// bytes.
    ///
    /// # Errors
    /// `VALIDATION_ERROR`, naming `redirect_uri`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = || {
            Invalid::validation(
                "redirect_uri must be an https:// address of a host by its name, without user and fragment, of at most 2048 characters",
            )
        };
        let is_plain = |b: u8| b.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&b);
        let rest = text.strip_prefix("https://").filter(|_| text.len() <= MAX_URI).ok_or_else(invalid)?;
        if !rest.bytes().all(is_plain) {
            return Err(invalid());
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let host = host_and_port(&authority.to_ascii_lowercase()).ok_or_else(invalid)?;
        Ok(Self { text: text.to_owned(), host })
    }

    /// As it was given: it is compared as text (RFC 6749, 4.1.3).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A host name in lower case with its port unless that is 443.
fn host_and_port(authority: &str) -> Option<String> {
    let (name, port) = match authority.split_once(':') {
        Some((name, port)) => (name, port.parse::<u16>().ok().filter(|_| !port.starts_with('+'))?),
        None => (authority, 443),
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return None;
    }
    Some(if port == 443 { name.to_owned() } else { format!("{name}:{port}") })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_rfc_fits() {
        // RFC 7636, appendix B
        let verifier = Verifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        assert_eq!(verifier.challenge().as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(verifier.challenge().is_met_by(&verifier));
        assert!(!format!("{verifier:?}").contains("dBjf"));
    }

    #[test]
    fn a_challenge_has_the_shape_of_32_bytes() {
        let good = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(Challenge::parse(good).is_ok());
        for last in 0..=127_u8 {
            let text = format!("{}{}", &good[..42], char::from(last));
            let is_listed = b"AEIMQUYcgkosw048".contains(&last);
            assert_eq!(Challenge::parse(&text).is_ok(), is_listed, "{text:?}");
        }
        for bad in [
            "",
            &good[..42],
            &format!("{good}A"),
            &format!("{good}="),
            &good.replace('-', "+"),
            &good.replace('O', "ö"),
        ] {
            assert!(Challenge::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_verifier_has_43_to_128_unreserved_characters() {
        for (text, is) in [
            ("a".repeat(42), false),
            ("a".repeat(43), true),
            ("~".repeat(128), true),
            ("a".repeat(129), false),
            (format!("{} ", "a".repeat(43)), false),
            (format!("{}+", "a".repeat(43)), false),
            (format!("{}é", "a".repeat(43)), false),
        ] {
            assert_eq!(Verifier::parse(&text).is_ok(), is, "{text}");
        }
    }

    #[test]
    fn a_code_is_sent_to_listed_hosts_alone() {
        let hosts = RedirectHosts::parse("App.example.com, console.example.com:8443,").unwrap();
        for (uri, is) in [
            ("https://app.example.com/callback?x=1", true),
            ("https://APP.example.com", true),
            ("https://app.example.com:443/", true),
            ("https://console.example.com:8443/a", true),
            ("https://console.example.com/a", false),
            ("https://app.example.com:444/", false),
            ("https://app.example.com.evil.example/", false),
            ("https://evil.example/app.example.com", false),
            ("https://evil.example?app.example.com", false),
            ("https://127.0.0.1/", false),
        ] {
            assert_eq!(hosts.allow(&RedirectUri::parse(uri).unwrap()), is, "{uri}");
        }
        assert!(!RedirectHosts::default().allow(&RedirectUri::parse("https://app.example.com/").unwrap()));
    }

    #[test]
    fn addresses_that_readers_may_disagree_on_are_refused() {
        for uri in [
            "http://app.example.com/",
            "HTTPS://app.example.com/",
            "https://app.example.com@evil.example/",
            "https://app.example.com:x/",
            "https://app.example.com:/",
            "https://app.example.com:+443/",
            "https://app.example.com\\@evil.example/",
            "https://app.example.com#x",
            "https://app.example.com/a b",
            "https://app.example.com/\t",
            "https://app.example.com/é",
            "https://app..example.com/",
            "https://app.example.com./",
            "https://-app.example.com/",
            "https://[::1]/",
            "https:///callback",
            "https://",
            "https:app.example.com",
            "",
            &format!("https://app.example.com/{}", "a".repeat(2_048)),
        ] {
            assert!(RedirectUri::parse(uri).is_err(), "{uri}");
        }
        for list in
            ["https://app.example.com", "app.example.com/", "*.example.com", "a b", "app.example.com:99999"]
        {
            assert!(RedirectHosts::parse(list).is_err(), "{list}");
        }
    }

    proptest! {
        #[test]
        fn a_verifier_meets_its_own_challenge_and_no_other(bytes: [u8; 32], other: [u8; 32]) {
            let (one, two) = (Verifier::from_bytes(bytes), Verifier::from_bytes(other));
            prop_assert!(Verifier::parse(one.expose()).is_ok());
            prop_assert!(Challenge::parse(one.challenge().as_str()).is_ok());
            prop_assert!(one.challenge().is_met_by(&one));
            prop_assert_eq!(one.challenge().is_met_by(&two), bytes == other);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}") {
            let _ = (Challenge::parse(&text), Verifier::parse(&text), RedirectUri::parse(&text), RedirectHosts::parse(&text));
        }
    }
}
