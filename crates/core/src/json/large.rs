//! One large text inside a JSON object, read and written without a second copy of it.
//!
//! [`take_text`] cuts the text of one key out of a body, reads the rest strictly, and undoes the text's
//! escapes where it lies: the buffer that held the body holds the text in the end. [`escape_into`] is
//! the way back, for any part of a text.

use std::ops::Range;

use serde_json::{Map, Value};

use super::parse;
use crate::invalid::Invalid;

/// A body whose large text was taken out.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The body, with an empty text in place of the one that was taken.
    pub rest: Value,
    /// Whether the key was there and held a text: the buffer is that text now. Else it is empty.
    pub is_taken: bool,
}

/// Takes the text of the top-level key `key` out of the JSON object in `body`: afterwards `body` is that
/// text, in UTF-8. What is left may have `most_rest` bytes. A body of white space is an empty object.
///
/// # Errors
/// As [`parse`]; and `VALIDATION_ERROR` when there is too much besides the text.
pub fn take_text(body: &mut Vec<u8>, key: &str, most_rest: usize) -> Result<Taken, Invalid> {
    let span = span_of(body, key);
    let taken = span.clone().unwrap_or(0..0);
    if body.len() - taken.len() > most_rest {
        let message = format!("The body has more than {most_rest} bytes besides {key}");
        return Err(Invalid::validation(message));
    }
    // Between its quotes a text ends at the first bare one, so what is JSON without it is JSON with any
    // text that has valid escapes.
    let rest = [&body[..taken.start], &body[taken.end..]].concat();
    let is_empty = rest.trim_ascii().is_empty();
    let rest = if is_empty { Value::Object(Map::new()) } else { parse(&rest)? };
    body.truncate(taken.end);
    body.drain(..taken.start);
    unescape(body).filter(|()| std::str::from_utf8(body).is_ok()).ok_or_else(|| {
        Invalid::validation(format!("The body is not valid JSON: {key} is not a valid string"))
    })?;
    Ok(Taken { rest, is_taken: span.is_some() })
}

/// Appends `text` as it stands between the quotes of a JSON string. Text may come in pieces, cut anywhere.
pub fn escape_into(out: &mut Vec<u8>, text: &[u8]) {
    let mut text = text;
    while let Some(at) = text.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)) {
        out.extend_from_slice(&text[..at]);
        match text[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
}

/// Where the text of a top-level key lies, between its quotes. Only sure of what is valid JSON.
fn span_of(body: &[u8], key: &str) -> Option<Range<usize>> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => {
                let end = end_of_string(body, at)?;
                if depth == 1
                    && is_key(&body[at..=end], key)
                    && let Some(start) = start_of_text(body, end + 1)
                {
                    return Some(start + 1..end_of_string(body, start)?);
                }
                at = end;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The closing quote of the string that opens at `open`.
fn end_of_string(body: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += body.get(at..)?.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        if body[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// The opening quote of the text that follows a key ending before `at`.
fn start_of_text(body: &[u8], at: usize) -> Option<usize> {
    let next = |at: usize| Some(at + body.get(at..)?.iter().position(|byte| !byte.is_ascii_whitespace())?);
    let colon = next(at).filter(|at| body[*at] == b':')?;
    next(colon + 1).filter(|at| body[*at] == b'"')
}

fn is_key(quoted: &[u8], key: &str) -> bool {
    // Every character may be written with six.
    quoted.len() <= 6 * key.len() + 2
        && serde_json::from_slice::<String>(quoted).is_ok_and(|read| read == key)
}

/// Undoes the escapes of a JSON string's content in place; `None` when one is wrong or a control
/// character stands bare.
fn unescape(text: &mut Vec<u8>) -> Option<()> {
    let (mut from, mut to) = (0, 0);
    loop {
        let run = text[from..].iter().position(|byte| matches!(byte, b'\\' | ..0x20));
        let end = run.map_or(text.len(), |run| from + run);
        if from != to {
            text.copy_within(from..end, to);
        }
        to += end - from;
        if run.is_none() {
            text.truncate(to);
            return Some(());
        }
        let (c, length) = escaped(&text[end..])?;
        let mut utf8 = [0; 4];
        let utf8 = c.encode_utf8(&mut utf8).as_bytes();
        // Never longer than what it was escaped as.
        text[to..to + utf8.len()].copy_from_slice(utf8);
        to += utf8.len();
        from = end + length;
    }
}

/// The character of the escape that `text` begins with, and the escape's length.
fn escaped(text: &[u8]) -> Option<(char, usize)> {
    let simple = match text.get(..2)? {
        [b'\\', byte @ (b'"' | b'\\' | b'/')] => char::from(*byte),
        [b'\\', b'b'] => '\u{8}',
        [b'\\', b'f'] => '\u{c}',
        [b'\\', b'n'] => '\n',
        [b'\\', b'r'] => '\r',
        [b'\\', b't'] => '\t',
        [b'\\', b'u'] => {
            let high = unit(text.get(2..6)?)?;
            if let Some(c) = char::from_u32(high.into()) {
                return Some((c, 6));
            }
            let low =
                text.get(6..12).filter(|text| text.starts_with(b"\\u")).and_then(|text| unit(&text[2..]))?;
            let c = char::decode_utf16([high, low]).next()?.ok()?;
            return Some((c, 12));
        }
        _ => return None,
    };
    Some((simple, 2))
}

fn unit(digits: &[u8]) -> Option<u16> {
    let digits =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn take(body: &str) -> Result<(Value, Option<String>), Invalid> {
        let mut body = body.as_bytes().to_vec();
        let taken = take_text(&mut body, "value", 10_000)?;
        let text = String::from_utf8(body).unwrap();
        assert!(taken.is_taken || text.is_empty());
        Ok((taken.rest, taken.is_taken.then_some(text)))
    }

    #[test]
    fn the_text_is_taken_and_the_rest_read() {
        let body = r#" {"a": {"value": "no"}, "v\u0061lue" : "\u00e4\ud83d\ude00\n\/\"x", "b": ["value"]} "#;
        let rest = json!({"a": {"value": "no"}, "value": "", "b": ["value"]});
        assert_eq!(take(body), Ok((rest, Some("ä😀\n/\"x".to_owned()))));
        assert_eq!(take(r#"{"value":""}"#), Ok((json!({"value": ""}), Some(String::new()))));
        assert_eq!(take(" \n"), Ok((json!({}), None)));
        assert_eq!(take(r#"{"metadata":{}}"#), Ok((json!({"metadata": {}}), None)));
        for other in [json!({"value": 7}), json!({"value": ["x"]}), json!(["value", "x"]), json!("value")] {
            assert_eq!(take(&other.to_string()), Ok((other, None)));
        }
    }

    #[test]
    fn what_is_not_json_stays_so() {
        for body in [
            r#"{"value":"a","value":"b"}"#,
            r#"{"value":1,"v\u0061lue":"b"}"#,
            r#"{"value":"a"#,
            r#"{"value":"a\"}"#,
            r#"{"value":"a"} x"#,
            r#"{"value":"a" "b":1}"#,
            r#"["value":"a"]"#,
            r#"{"value":"\ud800"}"#,
            r#"{"value":"\ud800\u0041"}"#,
            r#"{"value":"\udc00"}"#,
            r#"{"value":"\u+041"}"#,
            r#"{"value":"\x"}"#,
            "{\"value\":\"a\nb\"}",
            r#"{"value":"a"}}"#,
        ] {
            assert!(take(body).is_err(), "{body}");
        }
        let mut bytes = b"{\"value\":\"\xff\"}".to_vec();
        assert!(take_text(&mut bytes, "value", 100).is_err());
    }

    #[test]
    fn depth_and_size_of_the_rest_are_bounded() {
        let deep = format!(r#"{{"value":"x","metadata":{}"#, r#"{"a":"#.repeat(10_000));
        assert!(take(&deep[..9_000]).is_err());
        assert!(matches!(take(&deep), Err(Invalid::Rule { code: "VALIDATION_ERROR", .. })));
        let large = json!({"value": "x".repeat(1_000_000)}).to_string();
        assert_eq!(take(&large).unwrap().1.unwrap().len(), 1_000_000);
        assert!(take(&json!({"other": "x".repeat(20_000)}).to_string()).is_err());
    }

    proptest! {
        #[test]
        fn it_reads_what_the_other_parser_reads(text in ".*", other in ".*", is_first in any::<bool>()) {
            let (text_json, other_json) = (json!(text), json!(other));
            let body = if is_first {
                format!(r#"{{"value":{text_json},"other":{other_json}}}"#)
            } else {
                format!(r#"{{"other":{other_json} , "value" : {text_json}}}"#)
            };
            let (rest, taken) = take(&body).unwrap();
            prop_assert_eq!(taken, Some(text));
            prop_assert_eq!(rest, json!({"value": "", "other": other}));
        }

        #[test]
        fn any_bytes_are_refused_or_read_alike(bytes in "[{}\\[\\]\",:a\\\\u0-9 value]{0,40}") {
            let body = format!(r#"{{"value":{bytes}"#);
            let mut buffer = body.clone().into_bytes();
            let taken = take_text(&mut buffer, "value", 1_000);
            let parsed = parse(body.as_bytes());
            prop_assert_eq!(taken.is_ok(), parsed.is_ok(), "{}", body);
            if let (Ok(taken), Ok(parsed)) = (taken, parsed)
                && taken.is_taken
            {
                prop_assert_eq!(parsed["value"].as_str().unwrap().as_bytes(), &buffer[..]);
            }
        }

        #[test]
        fn what_is_escaped_is_read_back(text in ".*", cut in 0_usize..40) {
            let cut = cut.min(text.len());
            let mut out = b"\"".to_vec();
            escape_into(&mut out, &text.as_bytes()[..cut]);
            escape_into(&mut out, &text.as_bytes()[cut..]);
            out.push(b'"');
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        let all: String = (0..0x80_u8).map(char::from).collect();
        let mut out = b"\"".to_vec();
        escape_into(&mut out, all.as_bytes());
        out.push(b'"');
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), all);
    }
}
