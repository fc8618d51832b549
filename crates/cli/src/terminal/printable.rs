//! Text of others, made fit for a screen: the one place that says what a terminal may get.
//!
//! A terminal obeys control characters, and characters that turn the text around them or have no shape of
//! their own make it read as something else. They are shown by their number. In JSON and YAML the escapes are
//! those of the format, so that programs read the same value.

use std::borrow::Cow;
use std::fmt::Write as _;

use hoody_core::names::changes_display;

/// `text` on one line: line ends and tabs are escaped too.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escape(text, changes_display, by_number)
}

/// `text` as it is laid out: line ends and tabs stay.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escape(text, is_escaped_in_lines, by_number)
}

/// Whether [`lines`] changes `text`.
pub(crate) fn is_changed(text: &str) -> bool {
    text.contains(is_escaped_in_lines)
}

/// The same value in JSON. All that is escaped stands inside its texts; the line ends are those between them.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    escape(
        text,
        |c| changes_display(c) && c != '\n',
        |c, out| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        },
    )
}

/// The value as YAML. A text that needs an escape is put between double quotes, where YAML has them.
pub(crate) fn yaml(mut value: serde_norway::Value) -> Result<String, serde_norway::Error> {
    let text = serde_norway::to_string(&value)?;
    // The writer has escaped some itself, and what it has broken into lines is not visible in them.
    let mut found = Vec::new();
    let marker = marker_for(&text);
    mark(&mut value, &marker, &mut found);
    if found.is_empty() {
        return Ok(text);
    }
    let mut text = serde_norway::to_string(&value)?;
    for (number, original) in found.iter().enumerate() {
        text = text.replace(&format!("{marker}{number}x"), &quoted_yaml(original));
    }
    Ok(text)
}

/// Replaces each text that needs an escape with a marker and its number.
fn mark(value: &mut serde_norway::Value, marker: &str, found: &mut Vec<String>) {
    use serde_norway::Value;
    match value {
        Value::String(text) if text.contains(is_escaped_in_lines) => {
            let number = found.len();
            found.push(std::mem::replace(text, format!("{marker}{number}x")));
        }
        Value::Sequence(things) => things.iter_mut().for_each(|thing| mark(thing, marker, found)),
        Value::Mapping(fields) => {
            let marked = std::mem::take(fields).into_iter().map(|(mut key, mut value)| {
                mark(&mut key, marker, found);
                mark(&mut value, marker, found);
                (key, value)
            });
            *fields = marked.collect();
        }
        Value::Tagged(tagged) => mark(&mut tagged.value, marker, found),
        _ => {}
    }
}

/// A word that is nowhere in `text`.
fn marker_for(text: &str) -> String {
    let mut marker = "escaped".to_owned();
    while text.contains(&marker) {
        marker.push('z');
    }
    marker
}

fn quoted_yaml(text: &str) -> String {
    let quoted = text.chars().fold(String::from("\""), |mut quoted, c| {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if changes_display(c) => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(c));
            }
            c => quoted.push(c),
        }
        quoted
    });
    quoted + "\""
}

fn is_escaped_in_lines(c: char) -> bool {
    changes_display(c) && !matches!(c, '\n' | '\t')
}

fn by_number(c: char, out: &mut String) {
    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool, put: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) { put(c, &mut out) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const BAD: &str = "\u{0}\u{7}\t\n\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{9d}\u{ad}\u{61c}\u{180e}\u{200b}\u{200d}\u{200e}\u{200f}\
        \u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{206f}\u{feff}\u{fff9}\u{e0001}\u{e007f}";

    #[test]
    fn what_steers_a_terminal_or_hides_is_shown_by_its_number() {
        assert_eq!(line("a\u{1b}[2J\u{9b}\u{7f}b\n\u{202e}"), r"a\u{1b}[2J\u{9b}\u{7f}b\u{a}\u{202e}");
        assert_eq!(lines("a\tb\r\n\u{feff}"), "a\tb\\u{d}\n\\u{feff}");
        for harmless in ["", "Ада 愛 é e\u{301} ½ 🎉", "שלום", "a b\u{a0}c"] {
            assert!(matches!(line(harmless), Cow::Borrowed(text) if text == harmless));
        }
        for c in BAD.chars() {
            assert!(!line(&format!("x{c}")).contains(c), "{c:?}");
        }
    }

    #[test]
    fn json_and_yaml_carry_the_same_value() {
        let value = json!({ "a": BAD, BAD: [BAD, "plain", 1, null], "escaped0x": "escaped" });
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        for text in [json(&pretty).into_owned(), json(&value.to_string()).into_owned()] {
            assert!(!text.contains(|c| changes_display(c) && c != '\n'), "{text}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
        let text = yaml(serde_norway::to_value(&value).unwrap()).unwrap();
        assert!(!text.contains(|c| changes_display(c) && c != '\n'), "{text}");
        assert_eq!(serde_norway::from_str::<Value>(&text).unwrap(), value);
    }

    proptest! {
        #[test]
        fn nothing_that_changes_the_display_is_left(text in any::<String>()) {
            prop_assert!(!line(&text).contains(changes_display));
            prop_assert!(!lines(&text).contains(is_escaped_in_lines));
            let value = Value::String(text.clone());
            prop_assert_eq!(serde_json::from_str::<Value>(&json(&value.to_string())).unwrap(), value.clone());
            let yaml = yaml(serde_norway::to_value(&value).unwrap()).unwrap();
            prop_assert!(!yaml.contains(is_escaped_in_lines));
            prop_assert_eq!(serde_norway::from_str::<Value>(&yaml).unwrap(), value);
        }
    }
}
