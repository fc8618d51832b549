//! What a password may be: long, nothing else. No classes of characters: they make passwords worse.
//!
//! Hashing is not here: it takes time and memory on purpose. No error repeats any of the password.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::invalid::Invalid;

/// The fewest characters of a password that is set.
const MIN_NEW: usize = 12;
/// The fewest characters of a password that is compared: some were set under older rules.
const MIN_GIVEN: usize = 8;
/// The most characters of either.
const MAX: usize = 128;
/// The most characters that `MAX` composed ones decompose to: no character has a longer canonical
/// decomposition than four.
const MAX_DECOMPOSED: usize = 4 * MAX;

/// The form in which passwords are hashed, compared and counted (RFC 8265, `OpaqueString`): composed (NFC),
/// every kind of space as U+0020. One keyboard sends `é` as one character, another as two.
#[must_use]
pub fn prepare(text: &str) -> Zeroizing<String> {
    Zeroizing::new(composed(text).collect())
}

/// Checks a password that is to be set.
///
/// # Errors
/// `WEAK_PASSWORD` when it has fewer than 12 or more than 128 characters; `VALIDATION_ERROR` when one of them
/// is a control character, which no prompt, file or variable passes on.
pub fn check_new(text: &str) -> Result<(), Invalid> {
    if text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        let why = "password must not contain control characters, e.g. a tab or a line break";
        return Err(Invalid::validation(why));
    }
    match characters(text) {
        MIN_NEW..=MAX => Ok(()),
        _ => Err(Invalid::rule("WEAK_PASSWORD", format!("Password must have {MIN_NEW} to {MAX} characters"))),
    }
}

/// Checks a password that is to be compared, sent in `field`, so that no absurd text is hashed.
///
/// # Errors
/// `VALIDATION_ERROR` that names the field when it has fewer than 8 or more than 128 characters.
pub fn check_given(text: &str, field: &str) -> Result<(), Invalid> {
    match characters(text) {
        MIN_GIVEN..=MAX => Ok(()),
        _ => Err(Invalid::validation(format!("{field} must have {MIN_GIVEN} to {MAX} characters"))),
    }
}

/// How many characters it has as it is hashed, counted no further than is needed: composing a text buffers
/// its combining characters, so what is too long either way is not composed.
fn characters(text: &str) -> usize {
    if text.chars().take(MAX_DECOMPOSED + 1).count() > MAX_DECOMPOSED {
        return MAX + 1;
    }
    composed(text).take(MAX + 1).count()
}

fn composed(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc()
}

/// The characters of Unicode's category Zs.
fn is_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_has_12_to_128_characters_of_any_kind() {
        for good in ["aaaaaaaaaaaa", "correct horse battery", &"ä".repeat(12), &"語".repeat(128)] {
            assert_eq!(check_new(good), Ok(()), "{good}");
        }
        for bad in ["", "short", &"ä".repeat(11), &"a".repeat(129), &"a".repeat(1_000_000)] {
            assert!(matches!(check_new(bad), Err(Invalid::Rule { code: "WEAK_PASSWORD", .. })));
        }
    }

    #[test]
    fn a_given_password_has_8_to_128_characters_and_the_error_names_its_field() {
        assert_eq!(check_given("12345678", "password"), Ok(()));
        assert_eq!(check_given(&"x".repeat(128), "password"), Ok(()));
        for bad in ["1234567", &"x".repeat(129)] {
            let expected = "current_password must have 8 to 128 characters";
            assert_eq!(check_given(bad, "current_password"), Err(Invalid::validation(expected)));
        }
    }

    #[test]
    fn one_password_has_one_form_however_it_was_typed() {
        for (one, other) in [
            ("Caf\u{e9}-\u{c4}rger-12", "Cafe\u{301}-A\u{308}rger-12"),
            ("\u{1e69}-horse-battery", "s\u{307}\u{323}-horse-battery"),
            (
                "\u{d55c}\u{ad6d}\u{c5b4}-12345678",
                "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165}-12345678",
            ),
            ("two words, twelve", "two\u{a0}words,\u{3000}twelve"),
        ] {
            assert_eq!(prepare(one), prepare(other));
            assert_eq!(prepare(one).as_str(), one);
        }
        // Not by width or case: those are typed on purpose.
        assert_ne!(prepare("Ａ"), prepare("A"));
        assert_ne!(prepare("ﬁ"), prepare("fi"));
        assert_ne!(prepare("a"), prepare("A"));
    }

    #[test]
    fn characters_are_counted_as_they_are_hashed() {
        let (eleven, twelve) = ("e\u{301}".repeat(11), "e\u{301}".repeat(12));
        assert!(check_new(&eleven).is_err());
        assert_eq!(check_new(&twelve), Ok(()));
        assert_eq!(check_new(&"e\u{301}".repeat(128)), Ok(()));
        assert_eq!(check_new(&"\u{3b1}\u{313}\u{300}\u{345}".repeat(128)), Ok(()));
        assert!(check_new(&"e\u{301}".repeat(129)).is_err());
        assert!(check_new(&"\u{301}".repeat(1_000_000)).is_err());
    }

    #[test]
    fn a_new_password_has_no_control_characters_and_an_old_one_may() {
        for bad in [
            "correct horse\n",
            "correct\thorse battery",
            "\rcorrect horse",
            "correct horse\u{7f}",
            "correct\u{2028}horse",
        ] {
            let expected = "password must not contain control characters, e.g. a tab or a line break";
            assert_eq!(check_new(bad), Err(Invalid::validation(expected)), "{bad:?}");
            assert_eq!(check_given(bad, "password"), Ok(()), "{bad:?}");
        }
    }

    #[test]
    fn no_error_repeats_the_password() {
        let secret = "hunter2";
        for error in [check_new(secret).unwrap_err(), check_given(secret, "password").unwrap_err()] {
            assert!(!format!("{error:?}").contains(secret));
        }
    }
}
