//! What a password may be: long, nothing else. No classes of characters: they make passwords worse.
//!
//! Hashing is not here: it takes time and memory on purpose. No error repeats any of the password.

use crate::invalid::Invalid;

/// The fewest characters of a password that is set.
const MIN_NEW: usize = 12;
/// The fewest characters of a password that is compared: some were set under older rules.
const MIN_GIVEN: usize = 8;
/// The most characters of either.
const MAX: usize = 128;

/// Checks a password that is to be set.
///
/// # Errors
/// `WEAK_PASSWORD` when it has fewer than 12 or more than 128 characters.
pub fn check_new(text: &str) -> Result<(), Invalid> {
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

/// How many characters, counted no further than is needed.
fn characters(text: &str) -> usize {
    text.chars().take(MAX + 1).count()
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
    fn no_error_repeats_the_password() {
        let secret = "hunter2";
        for error in [check_new(secret).unwrap_err(), check_given(secret, "password").unwrap_err()] {
            assert!(!format!("{error:?}").contains(secret));
        }
    }
}
