//! Usernames for those who sign up with an address of mail alone.

use super::display_alias;

/// How much of the address is taken: a hyphen and four digits follow, and a username has at most 50.
const MAX_LOCAL: usize = 45;

/// A username for an address: what is before its `@` in letters, digits, `_` and `-`, and four hex digits
/// of `random`, e.g. `ada-lovelace-3fa9`. `user-3fa9` where nothing is left, or where it would read as an
/// official name.
#[must_use]
pub fn username_for(email: &str, random: [u8; 2]) -> String {
    let local = email.split('@').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let words: String = local.chars().map(plain).collect();
    let mut words = words.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    words.truncate(MAX_LOCAL);
    let words = words.trim_end_matches('-').to_ascii_lowercase();
    let words = if words.is_empty() || display_alias(&words).is_err() { "user" } else { &words };
    format!("{words}-{:02x}{:02x}", random[0], random[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::username;

    #[test]
    fn a_username_is_the_local_part_and_four_hex_digits() {
        for (email, expected) in [
            ("ada@example.com", "ada-3fa9"),
            ("Ada.Lovelace+ci@example.com", "ada-lovelace-ci-3fa9"),
            ("_x_@example.com", "_x_-3fa9"),
            ("..--..@example.com", "user-3fa9"),
            ("日本@example.com", "user-3fa9"),
            ("admin@example.com", "user-3fa9"),
            ("hoody.support@example.com", "user-3fa9"),
            ("supportive@example.com", "supportive-3fa9"),
            ("", "user-3fa9"),
        ] {
            assert_eq!(username_for(email, [0x3f, 0xa9]), expected, "{email}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_address_the_username_keeps_its_rule(email: String, random: [u8; 2]) {
            let made = username_for(&email, random);
            assert_eq!(username(&made), Ok(made.as_str()));
        }
    }
}
