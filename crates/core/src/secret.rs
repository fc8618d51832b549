//! The text of a token, and the digest it is found by.
//!
//! ```text
//! hdy_ dddddddddddddddddddddddddddddddddddddddddddddddddddddddddd cccccc
//!      58 base62 characters of 43 bytes: 35 random, 8 of an HMAC  6 base62 characters of CRC-32
//!      over them, so that a token this server never made is       (IEEE) over the 62 before them:
//!      refused without a lookup                                   public, for secret scanners
//! ```
//!
//! At rest there is only an HMAC-SHA-256 of the text under a derived key (`design.md` 4).

use std::fmt;

use zeroize::Zeroizing;

use crate::keys::{MacKey, MasterKey};

/// What every token begins with.
pub const PREFIX: &str = "hdy_";
/// What stands before a credential in `Authorization`.
const SCHEME: &str = "Bearer ";
/// The length of a token's text.
pub const LENGTH: usize = 68;
/// How many random bytes a token is made from.
pub const RANDOM_BYTES: usize = 35;

const TAG_PURPOSE: &str = "token-tag";
const TAG_BYTES: usize = 8;
const BODY_BYTES: usize = RANDOM_BYTES + TAG_BYTES;
const BODY_CHARS: usize = 58;
const CHECKED: usize = PREFIX.len() + BODY_CHARS;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A token's text, whole: shown once, never stored, never printed.
pub struct TokenSecret(Zeroizing<String>);

/// A text that has a token's form and checksum; whether it names a token is not known yet.
#[derive(Clone, Copy)]
pub struct TokenText<'a>(&'a str);

/// What a credential is found by: the keyed digest of its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// The two keys that tokens of one master key are made and found with.
#[derive(Debug, Clone)]
pub struct TokenKeys {
    tag: MacKey,
    digest: MacKey,
}

/// What tells that a token was made with a master key, and nothing more: it finds none and makes no digest.
/// Tokens outlive the master key that they were made under, and this does too.
#[derive(Clone)]
pub struct TagKey(MacKey);

/// The text has not the form of a token. Says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token")]
pub struct ParseSecretError;

impl TokenKeys {
    /// The token keys of `master` in the database with this id.
    #[must_use]
    pub fn derive(master: &MasterKey, database_id: &[u8]) -> Self {
        Self {
            tag: master.derive(database_id, TAG_PURPOSE),
            digest: master.derive(database_id, "token-digest"),
        }
    }

    /// The digest of any credential's text, for a cache that holds sessions beside tokens.
    #[must_use]
    pub fn digest_of(&self, text: &str) -> Digest {
        Digest(self.digest.mac(text.as_bytes()))
    }
}

impl TagKey {
    /// The bytes of the tag key of `master` in the database with this id: to be sealed.
    #[must_use]
    pub fn derive_bytes(master: &MasterKey, database_id: &[u8]) -> Zeroizing<[u8; 32]> {
        master.derive_bytes(database_id, TAG_PURPOSE)
    }

    /// The tag key with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(MacKey::from_bytes(bytes))
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(..)")
    }
}

impl TokenSecret {
    /// Makes a token of 35 random bytes.
    #[must_use]
    pub fn mint(random: [u8; RANDOM_BYTES], keys: &TokenKeys) -> Self {
        let mut body = Zeroizing::new([0; BODY_BYTES]);
        body[..RANDOM_BYTES].copy_from_slice(&random);
        body[RANDOM_BYTES..].copy_from_slice(&keys.tag.mac(&random)[..TAG_BYTES]);
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        text.push_str(PREFIX);
        text.extend(encode_body(&body).map(char::from));
        let checksum = encode_checksum(crc32fast::hash(text.as_bytes()));
        text.extend(checksum.map(char::from));
        Self(text)
    }

    /// The secret itself: for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its last four characters, by which people tell tokens apart: of the checksum, so that nothing of what is
    /// random is told.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.0[LENGTH - 4..]
    }

    /// The digest that it is stored and found by.
    #[must_use]
    pub fn digest(&self, keys: &TokenKeys) -> Digest {
        TokenText(&self.0).digest(keys)
    }
}

impl<'a> TokenText<'a> {
    /// Reads a token's text: prefix, length, alphabet and checksum. Looks nothing up.
    ///
    /// # Errors
    /// When any of them is wrong.
    pub fn parse(text: &'a str) -> Result<Self, ParseSecretError> {
        let bytes = text.as_bytes();
        if bytes.len() != LENGTH || !text.starts_with(PREFIX) {
            return Err(ParseSecretError);
        }
        let (checked, checksum) = bytes.split_at(CHECKED);
        if encode_checksum(crc32fast::hash(checked)) != checksum {
            return Err(ParseSecretError);
        }
        let is_base62 = checked[PREFIX.len()..].iter().all(u8::is_ascii_alphanumeric);
        if is_base62 { Ok(Self(text)) } else { Err(ParseSecretError) }
    }

    /// The digest that a token with this text is found by.
    #[must_use]
    pub fn digest(self, keys: &TokenKeys) -> Digest {
        keys.digest_of(self.0)
    }

    /// Whether it was made with these keys: its tag is the HMAC of its random bytes.
    #[must_use]
    pub fn is_made_with(self, keys: &TokenKeys) -> bool {
        self.is_tagged_with(&keys.tag)
    }

    /// Whether it was made with the master key that this tag key is of.
    #[must_use]
    pub fn is_tagged_by(self, tag: &TagKey) -> bool {
        self.is_tagged_with(&tag.0)
    }

    fn is_tagged_with(self, key: &MacKey) -> bool {
        let Some(body) = decode_body(&self.0.as_bytes()[PREFIX.len()..CHECKED]) else { return false };
        let (random, tag) = body.split_at(RANDOM_BYTES);
        key.verifies(random, tag)
    }
}

impl Digest {
    /// A digest as it was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, as they are stored.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Big-endian number of 43 bytes in base 62, most significant digit first.
fn encode_body(body: &[u8; BODY_BYTES]) -> [u8; BODY_CHARS] {
    let mut number = *body;
    let mut text = [0; BODY_CHARS];
    for digit in text.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder << 8 | u32::from(*byte);
            *byte =
                u8::try_from(value / 62).expect("the remainder is below 62, so the quotient is below 256");
            remainder = value % 62;
        }
        *digit = ALPHABET[remainder as usize];
    }
    zeroize::Zeroize::zeroize(&mut number);
    text
}

/// The 43 bytes behind 58 base62 digits; `None` for other characters and for numbers that do not fit.
fn decode_body(text: &[u8]) -> Option<Zeroizing<[u8; BODY_BYTES]>> {
    let mut number = Zeroizing::new([0_u8; BODY_BYTES]);
    for &character in text {
        let mut carry = digit_value(character)?;
        for byte in number.iter_mut().rev() {
            let value = u32::from(*byte) * 62 + carry;
            *byte = (value & 0xff) as u8;
            carry = value >> 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(number)
}

fn digit_value(character: u8) -> Option<u32> {
    match character {
        b'0'..=b'9' => Some(u32::from(character - b'0')),
        b'A'..=b'Z' => Some(u32::from(character - b'A') + 10),
        b'a'..=b'z' => Some(u32::from(character - b'a') + 36),
        _ => None,
    }
}

fn encode_checksum(mut checksum: u32) -> [u8; 6] {
    let mut text = [0; 6];
    for digit in text.iter_mut().rev() {
        *digit = ALPHABET[(checksum % 62) as usize];
        checksum /= 62;
    }
    text
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(..)")
    }
}

impl fmt::Debug for TokenText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(..)")
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// The credential in a value of `Authorization`: `Bearer <credential>`, or an `hdy_` token as it is
/// (`contract/README.md` 5). Schemes are compared without case (RFC 9110, 11.1).
#[must_use]
#[inline]
pub fn of_authorization(value: &str) -> Option<&str> {
    match value.split_at_checked(SCHEME.len()) {
        Some((scheme, credential)) if scheme.eq_ignore_ascii_case(SCHEME) => Some(credential),
        _ => value.starts_with(PREFIX).then_some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(seed: u8) -> TokenKeys {
        TokenKeys::derive(&MasterKey::from_bytes([seed; 32]), b"database")
    }

    #[test]
    fn a_token_is_68_characters_of_base62_after_its_prefix() {
        for random in [[0; RANDOM_BYTES], [0xff; RANDOM_BYTES]] {
            let secret = TokenSecret::mint(random, &keys(1));
            assert_eq!(secret.expose().len(), LENGTH);
            assert!(secret.expose().starts_with("hdy_"));
            assert!(secret.expose()[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }

    #[test]
    fn its_checksum_is_the_public_crc_32_of_all_before_it() {
        let secret = TokenSecret::mint([9; RANDOM_BYTES], &keys(1));
        let (checked, checksum) = secret.expose().split_at(62);
        let mut value = 0_u64;
        for character in checksum.bytes() {
            value = value * 62 + u64::from(digit_value(character).unwrap());
        }
        assert_eq!(value, u64::from(crc32fast::hash(checked.as_bytes())));
    }

    #[test]
    fn a_secret_cannot_be_printed() {
        let secret = TokenSecret::mint([9; RANDOM_BYTES], &keys(1));
        let text = TokenText::parse(secret.expose()).unwrap();
        let shown = format!("{secret:?} {text:?} {:?}", text.digest(&keys(1)));
        assert_eq!(shown, "TokenSecret(..) TokenText(..) Digest(..)");
    }

    #[test]
    fn a_number_too_large_for_43_bytes_is_no_token_of_ours() {
        assert!(decode_body(&[b'z'; BODY_CHARS]).is_none());
    }

    proptest! {
        #[test]
        fn what_is_minted_is_read_and_known_as_ours(random: [u8; 32], more: [u8; 3]) {
            let mut bytes = [0; RANDOM_BYTES];
            bytes[..32].copy_from_slice(&random);
            bytes[32..].copy_from_slice(&more);
            let secret = TokenSecret::mint(bytes, &keys(1));
            let text = TokenText::parse(secret.expose()).unwrap();
            prop_assert!(text.is_made_with(&keys(1)));
            prop_assert!(!text.is_made_with(&keys(2)));
            prop_assert_eq!(text.digest(&keys(1)), secret.digest(&keys(1)));
            prop_assert_ne!(text.digest(&keys(2)), secret.digest(&keys(1)));
            let decoded = decode_body(&secret.expose().as_bytes()[4..62]).unwrap();
            prop_assert_eq!(&decoded[..RANDOM_BYTES], &bytes[..]);
        }

        #[test]
        fn a_changed_character_is_refused(random: [u8; 32], place in 0..LENGTH, to in "[0-9A-Za-z_]") {
            let mut bytes = [0; RANDOM_BYTES];
            bytes[..32].copy_from_slice(&random);
            let secret = TokenSecret::mint(bytes, &keys(1));
            let mut changed = secret.expose().to_owned();
            changed.replace_range(place..=place, &to);
            prop_assert_eq!(TokenText::parse(&changed).is_ok(), changed == secret.expose());
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(hdy_)?.{0,80}") {
            if let Ok(read) = TokenText::parse(&text) {
                let _ = read.is_made_with(&keys(1));
            }
        }

        #[test]
        fn a_well_formed_token_of_nobody_is_not_ours(body in "[0-9A-Za-z]{58}") {
            let text = format!("hdy_{body}");
            let checksum = encode_checksum(crc32fast::hash(text.as_bytes()));
            let text = format!("{text}{}", std::str::from_utf8(&checksum).unwrap());
            prop_assert!(!TokenText::parse(&text).unwrap().is_made_with(&keys(1)));
        }
    }
}
