//! Signing in on another device (RFC 8628): the code that a person types, and the pace of polling.

use std::fmt;
use std::str::FromStr;

use crate::time::{MINUTE, SECOND};

/// How long a request waits for its person, in milliseconds.
pub const LIFETIME: i64 = 15 * MINUTE;
/// How long a device waits between two polls, in milliseconds.
pub const INTERVAL: i64 = 5 * SECOND;
/// The longest name that a device may give itself, in characters.
pub const MAX_CLIENT_NAME: usize = 64;
/// The longest text that is read as a user code, in characters.
pub const MAX_USER_CODE: usize = 16;
/// How many random bytes a user code is made of.
pub const USER_CODE_RANDOM: usize = 16;

/// Consonants: no two look alike, and no word comes of them (RFC 8628, 6.1).
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;

/// What a person types: eight letters, shown as `XXXX-XXXX`. 20^8 values, 34 bits, for 15 minutes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserCode([u8; LENGTH]);

/// The text is no user code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a user code is eight letters")]
pub struct ParseUserCodeError;

impl UserCode {
    /// The code of these random bytes. `None`, about once in 10^11, when they give too few letters.
    #[must_use]
    pub fn from_random(random: [u8; USER_CODE_RANDOM]) -> Option<Self> {
        // Bytes of 240 and more are left out, so that each of the 20 letters is as likely as the others.
        let mut letters = random.iter().filter(|b| **b < 240).map(|b| ALPHABET[usize::from(b % 20)]);
        let mut code = [0; LENGTH];
        let is_whole = code.iter_mut().all(|place| letters.next().map(|letter| *place = letter).is_some());
        is_whole.then_some(Self(code))
    }

    /// Its letters without the hyphen: what is digested.
    #[must_use]
    pub fn letters(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for UserCode {
    type Err = ParseUserCodeError;

    /// Case, hyphens and spaces are as people type them.
    fn from_str(text: &str) -> Result<Self, ParseUserCodeError> {
        let mut code = [0; LENGTH];
        let mut length = 0;
        for c in text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{2010}'..='\u{2015}')) {
            let letter = u8::try_from(c.to_ascii_uppercase()).map_err(|_| ParseUserCodeError)?;
            let place = code.get_mut(length).ok_or(ParseUserCodeError)?;
            *place = Some(letter).filter(|letter| ALPHABET.contains(letter)).ok_or(ParseUserCodeError)?;
            length += 1;
        }
        if length == LENGTH { Ok(Self(code)) } else { Err(ParseUserCodeError) }
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = self.letters().split_at(LENGTH / 2);
        write!(f, "{first}-{last}")
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code: UserCode = "BCDF-GHJK".parse().unwrap();
        for text in ["bcdf-ghjk", "bcdfghjk", " BcDf GhJk ", "b-c-d-f-g-h-j-k", "BCDF\u{2013}GHJK"] {
            assert_eq!(text.parse(), Ok(code), "{text}");
        }
        for text in
            ["", "BCDF-GHJ", "BCDF-GHJKL", "ACDF-GHJK", "BCDF_GHJK", "BCDF-GHJ0", "ſCDF-GHJK", "ＢCDFGHJK"]
        {
            assert_eq!(text.parse::<UserCode>(), Err(ParseUserCodeError), "{text}");
        }
        assert_eq!(code.to_string(), "BCDF-GHJK");
        assert!(!format!("{code:?}").contains("BCDF"));
    }

    #[test]
    fn no_two_letters_of_a_code_look_alike() {
        assert!(!ALPHABET.iter().any(|letter| b"AEIOUY015".contains(letter)));
    }

    proptest! {
        #[test]
        fn random_bytes_make_a_code_that_is_read_again(random: [u8; USER_CODE_RANDOM]) {
            if let Some(code) = UserCode::from_random(random) {
                prop_assert_eq!(code.to_string().parse(), Ok(code));
                prop_assert_eq!(code.to_string().to_lowercase().parse(), Ok(code));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            if let Ok(code) = text.parse::<UserCode>() {
                prop_assert_eq!(code.to_string().len(), 9);
            }
        }
    }
}
