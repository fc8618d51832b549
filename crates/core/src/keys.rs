//! Keys: what is derived from a master key, and under which name.
//!
//! A master key is 32 bytes that never leave the process. Each use has a key of its own:
//! HKDF-SHA-256 with the database's id as salt and `hoody/1/<purpose>` as info (RFC 5869), so that
//! nothing made for one database or one purpose is valid in another. Digests and sessions carry the
//! [`KeyId`] of their master key, so that keys can be changed while old ones still verify.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Names a master key without telling anything about it: 8 bytes, 16 lowercase hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 8]);

/// The 32 bytes that everything else is derived from. Cannot be printed.
#[derive(Clone)]
pub struct MasterKey {
    bytes: Zeroizing<[u8; 32]>,
    id: KeyId,
}

/// The master keys that are in force: the first signs, all verify.
#[derive(Debug, Clone)]
pub struct Keyring {
    keys: Vec<MasterKey>,
}

/// What a key file or variable breaks. Never carries key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseKeyringError {
    /// A line is neither empty nor 64 hex digits.
    #[error("line {line} is not a key: one key a line, each 64 hex digits")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// Nothing in it.
    #[error("there is no key in it: one key a line, each 64 hex digits")]
    Empty,
    /// The same key twice.
    #[error("line {line} repeats a key")]
    Repeated {
        /// Counted from 1.
        line: usize,
    },
}

impl MasterKey {
    /// The master key with these bytes, which must be random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let mut id = [0; 8];
        expand(&Hkdf::new(None, &*bytes), "key-id", &mut id);
        Self { bytes, id: KeyId(id) }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key for `purpose` in the database with this id.
    #[must_use]
    pub fn derive(&self, database_id: &[u8], purpose: &str) -> MacKey {
        MacKey::from_bytes(&self.derive_bytes(database_id, purpose))
    }

    /// The 32 bytes for `purpose` in the database with this id, for a cipher.
    pub(crate) fn derive_bytes(&self, database_id: &[u8], purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        expand(&Hkdf::new(Some(database_id), &*self.bytes), purpose, &mut *key);
        key
    }

    /// The line of a key file that holds this key. Only for writing that file.
    #[must_use]
    pub fn expose_line(&self) -> Zeroizing<String> {
        let mut line = Zeroizing::new(String::with_capacity(65));
        for byte in self.bytes.iter() {
            line.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
            line.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
        }
        line.push('\n');
        line
    }
}

/// The seed of the Ed25519 key that signs for other services, in the database with this id.
#[must_use]
pub fn signing_seed(key: &MasterKey, database_id: &[u8]) -> Zeroizing<[u8; 32]> {
    key.derive_bytes(database_id, "signing")
}

fn expand(hkdf: &Hkdf<Sha256>, purpose: &str, out: &mut [u8]) {
    hkdf.expand_multi_info(&[b"hoody/1/", purpose.as_bytes()], out)
        .expect("HKDF-SHA-256 gives up to 8160 bytes");
}

impl Keyring {
    /// A ring of one key.
    #[must_use]
    pub fn of(key: MasterKey) -> Self {
        Self { keys: vec![key] }
    }

    /// Reads a key file's content: one key a line of 64 hex digits, or exactly 32 raw bytes.
    ///
    /// # Errors
    /// Names the first line that is no key; never shows it.
    pub fn parse(content: &[u8]) -> Result<Self, ParseKeyringError> {
        if let Ok(raw) = <[u8; 32]>::try_from(content) {
            return Ok(Self::of(MasterKey::from_bytes(raw)));
        }
        // Some editors put a byte order mark before the text.
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let mut keys: Vec<MasterKey> = Vec::new();
        for (index, line) in content.split(|&byte| byte == b'\n').enumerate() {
            let line_number = index + 1;
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let key = parse_line(line).ok_or(ParseKeyringError::Line { line: line_number })?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(ParseKeyringError::Repeated { line: line_number });
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(ParseKeyringError::Empty) } else { Ok(Self { keys }) }
    }

    /// The key that signs and digests.
    #[must_use]
    pub fn first(&self) -> &MasterKey {
        &self.keys[0]
    }

    /// The key with this id.
    #[must_use]
    pub fn find(&self, id: KeyId) -> Option<&MasterKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// The ring with `key` behind the others; the same when it is there.
    #[must_use]
    pub fn with(mut self, key: MasterKey) -> Self {
        if self.find(key.id).is_none() {
            self.keys.push(key);
        }
        self
    }

    /// The ring with the key `id` before the others; the same when it is not there.
    #[must_use]
    pub fn led_by(mut self, id: KeyId) -> Self {
        self.keys.sort_by_key(|key| key.id != id);
        self
    }

    /// The ring without the key `id`; `None` when nothing would be left.
    #[must_use]
    pub fn without(mut self, id: KeyId) -> Option<Self> {
        self.keys.retain(|key| key.id != id);
        if self.keys.is_empty() { None } else { Some(self) }
    }

    /// The content of a key file with these keys. Only for writing that file.
    #[must_use]
    pub fn expose_lines(&self) -> Zeroizing<String> {
        let mut lines = Zeroizing::new(String::with_capacity(65 * self.keys.len()));
        for key in &self.keys {
            lines.push_str(&key.expose_line());
        }
        lines
    }

    /// All keys, the first first.
    pub fn iter(&self) -> impl Iterator<Item = &MasterKey> {
        self.keys.iter()
    }
}

fn parse_line(line: &[u8]) -> Option<MasterKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    if line.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(line.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(MasterKey::from_bytes(*bytes))
}

/// A derived HMAC-SHA-256 key with its state kept, so that a message costs no key set-up.
#[derive(Clone)]
pub struct MacKey(Hmac<Sha256>);

impl MacKey {
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(bytes).expect("HMAC takes keys of any length"))
    }

    /// The authentication code of `message`.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.finalize().into_bytes().into()
    }

    /// Whether `tag` is the code of `message`, or its first bytes; in constant time. An empty tag never is.
    #[must_use]
    pub fn verifies(&self, message: &[u8], tag: &[u8]) -> bool {
        let mut mac = self.0.clone();
        mac.update(message);
        !tag.is_empty() && mac.verify_truncated_left(tag).is_ok()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

impl KeyId {
    /// Its bytes, as sealed values begin with them.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

/// The text is not 16 lowercase hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key's id is 16 lowercase hex digits")]
pub struct ParseKeyIdError;

impl std::str::FromStr for KeyId {
    type Err = ParseKeyIdError;

    fn from_str(text: &str) -> Result<Self, ParseKeyIdError> {
        let mut bytes = [0; 8];
        if text.len() != 16 {
            return Err(ParseKeyIdError);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |digit: u8| match digit {
                b'0'..=b'9' => Ok(digit - b'0'),
                b'a'..=b'f' => Ok(digit - b'a' + 10),
                _ => Err(ParseKeyIdError),
            };
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_databases_and_master_keys_give_different_keys() {
        let key = MasterKey::from_bytes([7; 32]);
        let codes = [
            key.derive(b"db", "token-digest").mac(b"m"),
            key.derive(b"db", "session").mac(b"m"),
            key.derive(b"other", "token-digest").mac(b"m"),
            MasterKey::from_bytes([8; 32]).derive(b"db", "token-digest").mac(b"m"),
        ];
        for (index, code) in codes.iter().enumerate() {
            assert!(!codes[..index].contains(code));
        }
    }

    #[test]
    fn a_file_of_lines_and_one_of_raw_bytes_are_read() {
        let key = MasterKey::from_bytes([0xab; 32]);
        let read = Keyring::parse(key.expose_line().as_bytes()).unwrap();
        assert_eq!(read.first().id(), key.id());
        assert_eq!(Keyring::parse(&[0xab; 32]).unwrap().first().id(), key.id());
        let two = format!("\n{}\n  {}\n", "cd".repeat(32), "AB".repeat(32));
        let ring = Keyring::parse(two.as_bytes()).unwrap();
        assert_eq!(ring.iter().count(), 2);
        assert_eq!(ring.iter().nth(1).unwrap().id(), key.id());
    }

    #[test]
    fn what_is_no_key_is_named_by_its_line_and_never_shown() {
        assert_eq!(Keyring::parse(b"").unwrap_err(), ParseKeyringError::Empty);
        let bad = format!("{}\nzz{}", "ab".repeat(32), "0".repeat(62));
        let error = Keyring::parse(bad.as_bytes()).unwrap_err();
        assert_eq!(error, ParseKeyringError::Line { line: 2 });
        assert!(!error.to_string().contains("zz"));
        let twice = format!("{0}\n{0}", "ab".repeat(32));
        assert_eq!(Keyring::parse(twice.as_bytes()).unwrap_err(), ParseKeyringError::Repeated { line: 2 });
    }

    #[test]
    fn a_ring_grows_turns_and_shrinks() {
        let [one, two, three] = [1, 2, 3].map(|seed| MasterKey::from_bytes([seed; 32]));
        let ids = |ring: &Keyring| ring.iter().map(MasterKey::id).collect::<Vec<_>>();
        let ring = Keyring::of(one.clone()).with(two.clone()).with(three.clone()).with(two.clone());
        assert_eq!(ids(&ring), [one.id(), two.id(), three.id()]);
        let turned = ring.led_by(three.id());
        assert_eq!(ids(&turned), [three.id(), one.id(), two.id()]);
        let read = Keyring::parse(turned.expose_lines().as_bytes()).unwrap();
        assert_eq!(ids(&read), ids(&turned));
        let left = turned.without(three.id()).unwrap();
        assert_eq!(ids(&left.clone().led_by(three.id())), [one.id(), two.id()]);
        assert!(left.without(one.id()).unwrap().without(two.id()).is_none());
    }

    #[test]
    fn an_id_is_read_as_it_is_shown() {
        let id = MasterKey::from_bytes([1; 32]).id();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(KeyId::from_bytes(*id.bytes()), id);
        for bad in ["", "0123", "0123456789ABCDEF", "0123456789abcdeg", "0123456789abcdef0", "ääääääää"]
        {
            assert_eq!(bad.parse::<KeyId>(), Err(ParseKeyIdError), "{bad}");
        }
    }

    #[test]
    fn a_key_cannot_be_printed() {
        let key = MasterKey::from_bytes([0xab; 32]);
        let shown = format!("{key:?} {:?} {:?}", key.derive(b"db", "x"), Keyring::of(key.clone()));
        assert!(!shown.contains("abab"), "{shown}");
    }

    #[test]
    fn an_empty_or_wrong_tag_does_not_verify() {
        let key = MasterKey::from_bytes([1; 32]).derive(b"db", "x");
        let code = key.mac(b"message");
        assert!(key.verifies(b"message", &code));
        assert!(key.verifies(b"message", &code[..8]));
        assert!(!key.verifies(b"message", &[]));
        assert!(!key.verifies(b"messagf", &code));
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_read_or_refused(bytes: Vec<u8>, lines in "([0-9a-fA-F]{0,66}\\n){0,4}") {
            crate::properties::key_file(&bytes);
            crate::properties::key_file(lines.as_bytes());
        }
    }
}
