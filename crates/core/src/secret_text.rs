//! Secrets as people and tools hand them over: in a file, on standard input, in an environment variable.
//!
//! Every reader uses these functions, so that both ends take the same bytes for the same secret. A secret is
//! the first line. A byte order mark before it and the line's end are not part of it: editors, `echo` and
//! Kubernetes add them. Blanks are part of a password and never of a token.

/// `text` without a byte order mark.
#[must_use]
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The password in `text`: its first line, blanks included. Empty where there is none.
#[must_use]
pub fn password(text: &str) -> &str {
    let text = without_mark(text);
    text.split('\n').next().unwrap_or(text).trim_end_matches('\r')
}

/// The token, code or other secret without blanks in `text`: its first line, trimmed. Empty where there is
/// none.
#[must_use]
pub fn token(text: &str) -> &str {
    password(text).trim()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn line_ends_and_a_byte_order_mark_are_no_part_of_a_secret() {
        for written in [
            "correct horse",
            "correct horse\n",
            "correct horse\r\n",
            "correct horse\r",
            "\u{feff}correct horse",
            "\u{feff}correct horse\r\n",
            "correct horse\nlogin: ada\n",
            "correct horse\n\n",
        ] {
            assert_eq!(password(written), "correct horse", "{written:?}");
            assert_eq!(token(written), "correct horse", "{written:?}");
        }
    }

    #[test]
    fn blanks_are_part_of_a_password_and_not_of_a_token() {
        assert_eq!(password(" two words \t\r\n"), " two words \t");
        assert_eq!(token(" hdy_x \t\r\n"), "hdy_x");
        assert_eq!(token("\u{feff} hdy_x"), "hdy_x");
    }

    #[test]
    fn what_begins_with_an_empty_line_holds_no_secret() {
        for empty in ["", "\n", "\r\n", "\u{feff}", "\u{feff}\r\n", "\nsecret"] {
            assert_eq!((password(empty), token(empty)), ("", ""), "{empty:?}");
        }
    }

    proptest! {
        #[test]
        fn how_the_line_ends_changes_nothing(line in "[^\\r\\n\u{feff}]{0,20}", end in "(\\r?\\n|\\r)?", mark in "\u{feff}?") {
            let written = format!("{mark}{line}{end}");
            prop_assert_eq!(password(&written), &line);
            prop_assert_eq!(token(&written), line.trim());
        }

        #[test]
        fn reading_twice_changes_nothing(text in "[^\u{feff}]{0,20}") {
            prop_assert_eq!(password(password(&text)), password(&text));
        }
    }
}
