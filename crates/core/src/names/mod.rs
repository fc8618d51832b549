//! Names: what usernames, addresses of mail, aliases and colours look like, and which are the same.
//!
//! Two names that [`fold`] alike cannot both exist, so that nobody can pass for somebody else by case,
//! width or spaces. Control characters are refused everywhere: they change what a name looks like, and
//! U+0000 is an error in PostgreSQL. Errors name the field and the rule, never the value.

mod generated;
mod random;

use unicode_normalization::UnicodeNormalization;

pub use generated::username_for;
pub use random::{random_alias, random_alias_suffixed};

use crate::invalid::Invalid;

const MAX_EMAIL: usize = 255;
const MAX_TOKEN_ALIAS: usize = 254;
const MAX_ALIAS: usize = 100;
const MAX_CLIENT_NAME: usize = crate::device::MAX_CLIENT_NAME;
const MAX_VAULT_KEY: usize = 255;

/// Words that only this service may call itself, alone or beside other words.
const RESERVED: [&str; 12] = [
    "admin",
    "administrator",
    "administrators",
    "admins",
    "billing",
    "helpdesk",
    "hoody",
    "moderator",
    "official",
    "security",
    "staff",
    "support",
];

/// The form in which names are compared: one width (NFKC), one case, no invisible characters, no white
/// space at the ends and single spaces inside. Folding twice changes nothing.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = fold_once(text);
    // A few characters fold to ones that fold further, e.g. capital letters inside compatibility signs.
    for _ in 0..4 {
        let again = fold_once(&folded);
        if again == folded {
            break;
        }
        folded = again;
    }
    folded
}

/// The form in which texts of people are kept: composed (NFC), so that `é` typed as two characters is the same
/// text, has the same length, and is found by whoever types it as one.
#[must_use]
pub fn compose(text: &str) -> String {
    text.nfc().collect()
}

fn fold_once(text: &str) -> String {
    let visible = text.nfkc().filter(|c| !is_invisible(*c));
    // Upper case first: ß and SS, σ and ς differ only in lower case.
    let cased: String = visible.flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect();
    cased.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Characters without a shape of their own: soft hyphen, joiners, directions, variation selectors, tags.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// Characters that steer a terminal or turn the text around them.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{200e}' | '\u{200f}')
}

/// Whether `c` steers a terminal, turns the text around it, or has no shape of its own: a text that is shown
/// with it may read as another.
#[must_use]
pub fn changes_display(c: char) -> bool {
    is_control(c)
        || is_invisible(c)
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
}

/// Whether it has `1..=max` characters of which one is visible, and no control characters.
fn is_free_text(text: &str, max: usize) -> bool {
    text.chars().take(max + 1).count() <= max && !text.contains(is_control) && !fold(text).is_empty()
}

/// Checks a username: 3 to 50 of `a-z A-Z 0-9 _ -`.
///
/// # Errors
/// `VALIDATION_ERROR`.
pub fn username(text: &str) -> Result<&str, Invalid> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if plain && (3..=50).contains(&text.len()) {
        return Ok(text);
    }
    Err(Invalid::validation("username must have 3 to 50 letters, digits, underscores or hyphens"))
}

/// Checks an address of mail: at most 255 characters, something on both sides of one `@`, a host name
/// after it, no spaces, quotes or control characters. Whether it exists, only a mail can tell.
///
/// # Errors
/// `VALIDATION_ERROR`.
pub fn email(text: &str) -> Result<&str, Invalid> {
    let invalid = || {
        Invalid::validation(format!(
            "email must be an address like name@example.com of at most {MAX_EMAIL} characters"
        ))
    };
    let (local, domain) = text.split_once('@').ok_or_else(invalid)?;
    let in_local = |c: char| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c);
    let local_is_sane = !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && (1..=64).contains(&local.chars().count())
        && local.chars().all(in_local);
    let domain_is_sane = domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    });
    if text.chars().count() <= MAX_EMAIL && local_is_sane && domain_is_sane {
        Ok(text)
    } else {
        Err(invalid())
    }
}

/// Checks the alias of a token: 1 to 254 letters, digits, spaces, underscores and hyphens, not only
/// spaces.
///
/// # Errors
/// `INVALID_ALIAS_FORMAT`.
pub fn token_alias(text: &str) -> Result<&str, Invalid> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'_' | b'-'));
    if plain && text.len() <= MAX_TOKEN_ALIAS && !text.trim().is_empty() {
        return Ok(text);
    }
    Err(Invalid::rule(
        "INVALID_ALIAS_FORMAT",
        format!(
            "Invalid alias format: alias must have 1 to {MAX_TOKEN_ALIAS} letters, digits, spaces, underscores or hyphens"
        ),
    ))
}

/// Checks the name of a key in the vault: 1 to 255 letters, digits, dots, underscores and hyphens. Not `.`
/// and `..`: whoever sends them in a path asks for another one, the vault itself.
///
/// # Errors
/// `VALIDATION_ERROR`.
pub fn vault_key(text: &str) -> Result<&str, Invalid> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if plain && (1..=MAX_VAULT_KEY).contains(&text.len()) && !matches!(text, "." | "..") {
        return Ok(text);
    }
    Err(Invalid::validation(format!(
        "key must have 1 to {MAX_VAULT_KEY} letters, digits, dots, underscores or hyphens, and not be `.` or `..`"
    )))
}

/// Checks the alias of a project: 1 to 100 characters, one of them visible, no control characters.
///
/// # Errors
/// `INVALID_ALIAS_FORMAT`.
pub fn project_alias(text: &str) -> Result<&str, Invalid> {
    if is_free_text(text, MAX_ALIAS) {
        return Ok(text);
    }
    Err(Invalid::rule(
        "INVALID_ALIAS_FORMAT",
        format!(
            "Invalid alias format: alias must have 1 to {MAX_ALIAS} characters, none of them a control character"
        ),
    ))
}

/// Checks what a program that asks to be signed in calls itself, for people to read: 1 to 64 characters, one
/// of them visible, none that turns or hides the text around it.
///
/// # Errors
/// `VALIDATION_ERROR`.
pub fn client_name(text: &str) -> Result<&str, Invalid> {
    if is_free_text(text, MAX_CLIENT_NAME) && !text.contains(is_invisible) {
        return Ok(text);
    }
    Err(Invalid::validation(format!(
        "client_name must have 1 to {MAX_CLIENT_NAME} characters, none of them a control character or invisible"
    )))
}

/// Checks the name that an account shows: as a project's alias, and no name of ours. Words count whole
/// and folded: `Ｓupport Team` is reserved, `supportive` is not.
///
/// # Errors
/// `VALIDATION_ERROR`, `RESERVED_IDENTITY`.
pub fn display_alias(text: &str) -> Result<&str, Invalid> {
    if !is_free_text(text, MAX_ALIAS) {
        return Err(Invalid::validation(format!(
            "alias must have 1 to {MAX_ALIAS} characters, none of them a control character"
        )));
    }
    let folded = fold(text);
    if folded.split(|c: char| !c.is_alphanumeric()).any(|word| RESERVED.contains(&word)) {
        return Err(Invalid::rule(
            "RESERVED_IDENTITY",
            "Display alias is reserved: alias must not read as an official name",
        ));
    }
    Ok(text)
}

/// Checks an Ed25519 public key, 64 hex digits, and gives it in lower case.
///
/// # Errors
/// `INVALID_PUBLIC_KEY_FORMAT`.
pub fn public_key(text: &str) -> Result<String, Invalid> {
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Invalid::rule(
        "INVALID_PUBLIC_KEY_FORMAT",
        "Invalid public key format: public_key must be 64 hex digits",
    ))
}

/// Checks a project's colour, 3 or 6 hex digits with or without `#`, and gives it as `#` and upper case.
///
/// # Errors
/// `INVALID_COLOR_FORMAT`.
pub fn color(text: &str) -> Result<String, Invalid> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    if matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(format!("#{}", digits.to_ascii_uppercase()));
    }
    Err(Invalid::rule(
        "INVALID_COLOR_FORMAT",
        "Invalid HEX color format: color must be # and 3 or 6 hex digits",
    ))
}

/// The alias of a copy: `<source> copy` at the first attempt, then `<source> copy 2` and so on. A long
/// source is cut, so that the alias is one of a token again.
#[must_use]
pub fn copy_alias(source: &str, attempt: u32) -> String {
    let suffix = if attempt <= 1 { " copy".to_owned() } else { format!(" copy {attempt}") };
    let room = MAX_TOKEN_ALIAS - suffix.len();
    let kept = source.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= room).last();
    format!("{}{suffix}", source[..kept.unwrap_or(0)].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code<T: std::fmt::Debug>(result: Result<T, Invalid>) -> &'static str {
        match result {
            Err(Invalid::Rule { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_of_the_vault_is_one_part_of_a_path() {
        let longest = "k".repeat(255);
        for good in ["a", "db.password", "A-Z_0-9", "...", ".env", &longest] {
            assert_eq!(vault_key(good), Ok(good));
        }
        let too_long = "k".repeat(256);
        for bad in ["", ".", "..", "a b", "a/b", "ä", "a\u{0}", "%2e", &too_long] {
            assert_eq!(code(vault_key(bad)), "VALIDATION_ERROR", "{bad}");
        }
    }

    #[test]
    fn names_that_look_alike_fold_alike() {
        for alike in
            ["Bob", "bob ", "\u{a0}BOB", "ｂｏｂ", "ⓑⓞⓑ", "b\u{ad}ob", "b\u{200b}ob\u{feff}", "\u{202e}bob"]
        {
            assert_eq!(fold(alike), "bob", "{alike:?}");
        }
        assert_eq!(fold("  My\t\n Project  "), "my project");
        assert_eq!(fold("STRASSE"), fold("straße"));
        assert_eq!(fold("ΟΔΟΣ"), fold("οδος"));
        assert_eq!(fold("e\u{301}"), fold("É"));
        assert_ne!(fold("bob"), fold("bo b"));
    }

    #[test]
    fn a_text_is_kept_composed_and_otherwise_as_it_is() {
        assert_eq!(compose("Cafe\u{301}"), "Caf\u{e9}");
        assert_eq!(project_alias(&compose(&"e\u{301}".repeat(100))).map(str::len), Ok(200));
        assert_eq!(email(&compose("jo\u{308}rg@example.com")), Ok("j\u{f6}rg@example.com"));
        for same in ["", "Ｗeb ﬁ", "👩\u{200d}💻", "a  B"] {
            assert_eq!(compose(same), same);
        }
    }

    #[test]
    fn usernames_are_plain() {
        for good in ["bob", "Bob_the-2nd", &"a".repeat(50)] {
            assert_eq!(username(good), Ok(good));
        }
        for bad in ["", "ab", &"a".repeat(51), "bob ", "b.ob", "böb", "ｂｏｂ", "bob\n", "bob\0", "a b"] {
            assert_eq!(code(username(bad)), "VALIDATION_ERROR", "{bad:?}");
        }
    }

    #[test]
    fn mail_addresses_are_sane() {
        for good in
            ["a@b", "admin@localhost", "Jo.Doe+tag@mail.example.com", "o'hara@example.com", "jörg@müller.de"]
        {
            assert_eq!(email(good), Ok(good));
        }
        let long = format!("a@{}.com", "b.".repeat(130));
        for bad in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            " a@b",
            "a@b ",
            "a@b\n",
            "a\0@b",
            "a@b..c",
            "a@.b",
            "a@b.",
            "a@-b",
            "a@b-",
            ".a@b",
            "a.@b",
            "a..a@b",
            "\"a\"@b",
            "a,b@c",
            "<a@b>",
            "a@[::1]",
            "a@b/c",
            long.as_str(),
        ] {
            assert_eq!(code(email(bad)), "VALIDATION_ERROR", "{bad:?}");
        }
    }

    #[test]
    fn token_aliases_keep_to_the_contract() {
        for good in ["a", "ci-runner", "GitHub Actions CI", "_", &"x".repeat(254)] {
            assert_eq!(token_alias(good), Ok(good));
        }
        for bad in ["", " ", "a.b", "a\tb", "a\n", "é", "a/b", "%", &"x".repeat(255)] {
            assert_eq!(code(token_alias(bad)), "INVALID_ALIAS_FORMAT", "{bad:?}");
        }
    }

    #[test]
    fn project_aliases_are_free_but_visible_text() {
        for good in ["a", "Zürich 🚀", "O'Neil & Söhne (2)", "👩\u{200d}💻", &"語".repeat(100)] {
            assert_eq!(project_alias(good), Ok(good));
        }
        for bad in [
            "",
            " ",
            "\u{200b}",
            "\u{3164}",
            "a\0",
            "a\nb",
            "a\u{7f}",
            "a\u{85}",
            "evil\u{202e}txt",
            &"語".repeat(101),
        ] {
            assert_eq!(code(project_alias(bad)), "INVALID_ALIAS_FORMAT", "{bad:?}");
        }
    }

    #[test]
    fn nobody_shows_a_name_of_ours() {
        for good in [
            "Bob",
            "Adminton",
            "supportive people",
            "Unhoody",
            "Security-conscious".trim_start_matches("Security-"),
        ] {
            assert_eq!(display_alias(good), Ok(good));
        }
        for bad in [
            "Hoody",
            "hoody support",
            "ADMIN",
            "the.admin",
            "Ｓupport",
            "adm\u{200b}in",
            "billing@x",
            "Official_Bob",
            " Security ",
        ] {
            assert_eq!(code(display_alias(bad)), "RESERVED_IDENTITY", "{bad:?}");
        }
        assert_eq!(code(display_alias("")), "VALIDATION_ERROR");
        assert_eq!(code(display_alias(&"x".repeat(101))), "VALIDATION_ERROR");
    }

    #[test]
    fn keys_and_colours_have_one_form() {
        assert_eq!(public_key(&"aB".repeat(32)), Ok("ab".repeat(32)));
        for bad in ["", &"a".repeat(63), &"a".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(code(public_key(bad)), "INVALID_PUBLIC_KEY_FORMAT", "{bad}");
        }
        assert_eq!(color("#ff8800"), Ok("#FF8800".into()));
        assert_eq!(color("f80"), Ok("#F80".into()));
        for bad in ["", "#", "#ff", "#ffff", "#fffff", "#fffffff", "##fff", "red", "#ggg", "é0", " fff"] {
            assert_eq!(code(color(bad)), "INVALID_COLOR_FORMAT", "{bad}");
        }
    }

    #[test]
    fn copies_are_numbered_and_kept_short() {
        assert_eq!(copy_alias("ci", 1), "ci copy");
        assert_eq!(copy_alias("ci copy", 1), "ci copy copy");
        assert_eq!(copy_alias("ci", 12), "ci copy 12");
        let long = copy_alias(&format!("{} {}", "x".repeat(248), "y".repeat(5)), 1);
        assert_eq!(long, format!("{} copy", "x".repeat(248)));
        assert_eq!(token_alias(&copy_alias(&"x".repeat(254), u32::MAX)).map(str::len), Ok(254));
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,12}") {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
        }

        #[test]
        fn folding_ignores_case_and_outer_space(text in "\\PC{0,12}") {
            prop_assert_eq!(fold(&format!(" {text}\t")), fold(&text));
            prop_assert_eq!(fold(&text.to_uppercase()), fold(&text.to_lowercase().to_uppercase()));
        }

        #[test]
        fn a_copy_has_an_alias_of_a_token(source in "[a-zA-Z0-9_-][a-zA-Z0-9 _-]{0,253}", attempt: u32) {
            prop_assert!(token_alias(&copy_alias(&source, attempt)).is_ok());
        }

        #[test]
        fn any_text_is_a_name_or_refused(text in ".{0,300}") {
            let checks = [username, email, token_alias, project_alias, display_alias];
            for name in checks.iter().filter_map(|check| check(&text).ok()) {
                prop_assert!(!name.is_empty() && !name.contains(char::is_control));
            }
            let _ = (public_key(&text), color(&text), copy_alias(&text, 3));
        }
    }
}
