//! Strict JSON: one meaning or none.
//!
//! [`parse`] refuses what two readers could read differently (a key twice) and what costs more than it
//! says (depth). [`Fields`] reads an object key by key and reports all its schema violations at once,
//! each with its JSON pointer. Nothing here echoes a value, and keys only cut to 64 characters.

mod large;

use std::cell::Cell;
use std::fmt;

pub use large::{Taken, escape_into, take_text};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::invalid::{Invalid, Violation};

/// How deep arrays and objects may be nested.
pub const MAX_DEPTH: usize = 64;
/// How many values one body may have: each costs many times its text, and a body of 2 MiB has room for a
/// million of them.
pub const MAX_VALUES: usize = 100_000;
/// The most violations that are reported for one body.
pub const MAX_VIOLATIONS: usize = 20;
/// The most characters of bad input that an error repeats.
const MAX_ECHO: usize = 64;

/// Reads a whole body as one JSON value.
///
/// # Errors
/// 400 `VALIDATION_ERROR` when the bytes are not JSON, have anything after the value, name a key twice
/// in one object, nest deeper than 64 or have more than [`MAX_VALUES`] values.
pub fn parse(bytes: &[u8]) -> Result<Value, Invalid> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let left = Cell::new(MAX_VALUES);
    let value = Strict { depth: 0, left: &left }.deserialize(&mut deserializer);
    value
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| Invalid::validation(format!("The body is not valid JSON: {error}")))
}

/// Input as an error shows it: in double quotes, control characters escaped, cut to 64 characters.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_ECHO).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// The JSON pointer to `key` below `parent` (RFC 6901); the key is cut to 64 characters.
#[must_use]
pub fn pointer(parent: &str, key: &str) -> String {
    let mut pointer = format!("{parent}/");
    for c in key.chars().take(MAX_ECHO) {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            _ => pointer.push(c),
        }
    }
    pointer
}

/// Builds a value at this depth, watching depth and keys.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    /// How many more values there may be.
    left: &'a Cell<usize>,
}

impl Strict<'_> {
    fn below<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1, left: self.left })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1);
        let left = left.ok_or_else(|| de::Error::custom(format_args!("more than {MAX_VALUES} values")))?;
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(below)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut values = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            if values.contains_key(&key) {
                return Err(de::Error::custom(format_args!("duplicate key {}", quoted(&key))));
            }
            let value = object.next_value_seed(below)?;
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

/// An object that is read key by key.
///
/// Each reader marks its key as known and gives `None` both for an absent key and for a value of the
/// wrong type; the latter is remembered, and [`close`](Self::close) reports it.
#[derive(Debug)]
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    at: String,
    known: Vec<&'static str>,
    violations: Vec<Violation>,
    /// The first broken rule with a code of its own.
    rule: Option<Invalid>,
}

impl<'a> Fields<'a> {
    /// The fields of a whole body.
    ///
    /// # Errors
    /// [`Invalid::Schema`] at the root when it is no object.
    pub fn of_body(body: &'a Value) -> Result<Self, Invalid> {
        Self::at(body, "")
    }

    /// The fields of the object that stands at `pointer` in the body.
    ///
    /// # Errors
    /// [`Invalid::Schema`] at `pointer` when it is no object.
    pub fn at(value: &'a Value, pointer: &str) -> Result<Self, Invalid> {
        let Value::Object(object) = value else {
            return Err(Invalid::schema(pointer, "must be an object"));
        };
        Ok(Self { object, at: pointer.to_owned(), known: Vec::new(), violations: Vec::new(), rule: None })
    }

    /// The value of a key, whatever it is.
    pub fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.object.get(name)
    }

    /// The text of a key.
    pub fn string(&mut self, name: &'static str) -> Option<&'a str> {
        self.typed(name, "must be a string", Value::as_str)
    }

    /// The text of a key that may be null: `Some(None)` when null was sent.
    pub fn nullable_string(&mut self, name: &'static str) -> Option<Option<&'a str>> {
        self.typed(name, "must be a string or null", |value| nullable(value, Value::as_str))
    }

    /// The boolean of a key.
    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        self.typed(name, "must be a boolean", Value::as_bool)
    }

    /// The number of a key.
    pub fn number(&mut self, name: &'static str) -> Option<&'a Number> {
        self.typed(name, "must be a number", Value::as_number)
    }

    /// The elements of an array.
    pub fn array(&mut self, name: &'static str) -> Option<&'a [Value]> {
        self.typed(name, "must be an array", |value| value.as_array().map(Vec::as_slice))
    }

    /// The object of a key that may be null: `Some(None)` when null was sent.
    pub fn nullable_object(&mut self, name: &'static str) -> Option<Option<&'a Map<String, Value>>> {
        self.typed(name, "must be an object or null", |value| nullable(value, Value::as_object))
    }

    fn typed<T>(
        &mut self,
        name: &'static str,
        rule: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let read = read(self.value(name)?);
        if read.is_none() {
            self.violate(self.pointer(name), rule);
        }
        read
    }

    /// The JSON pointer to a key of this object.
    #[must_use]
    pub fn pointer(&self, key: &str) -> String {
        pointer(&self.at, key)
    }

    /// Remembers a violation that the caller found.
    pub fn violate(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { instance_path: pointer.into(), message: message.into() });
        }
    }

    /// The value of a check, or `None` and the error remembered: violations with the others, of broken
    /// rules the first, to be reported when there are no violations.
    pub fn absorb<T>(&mut self, result: Result<T, Invalid>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(Invalid::Schema(violations)) => {
                let room = MAX_VIOLATIONS - self.violations.len();
                self.violations.extend(violations.into_iter().take(room));
            }
            Err(rule) => {
                self.rule.get_or_insert(rule);
            }
        }
        None
    }

    /// Ends the reading of a closed object: a key that nothing asked for is a violation.
    ///
    /// # Errors
    /// What was remembered: all violations (at most 20), else the first broken rule.
    pub fn close(mut self) -> Result<(), Invalid> {
        let object = self.object;
        let unknown = object.keys().filter(|key| !self.known.contains(&key.as_str()));
        let unknown: Vec<String> = unknown.take(MAX_VIOLATIONS).map(|key| self.pointer(key)).collect();
        for pointer in unknown {
            self.violate(pointer, "unknown key");
        }
        self.close_open()
    }

    /// Ends the reading of an open object: keys that nothing asked for are ignored.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub fn close_open(self) -> Result<(), Invalid> {
        if !self.violations.is_empty() {
            return Err(Invalid::Schema(self.violations));
        }
        self.rule.map_or(Ok(()), Err)
    }
}

fn nullable<'a, T>(value: &'a Value, read: impl FnOnce(&'a Value) -> Option<T>) -> Option<Option<T>> {
    if value.is_null() { Some(None) } else { read(value).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn refusal(bytes: &[u8]) -> String {
        match parse(bytes) {
            Err(Invalid::Rule { code: "VALIDATION_ERROR", message }) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "{\"a\":1",
            "[1,]",
            "{'a':1}",
            "nul",
            "01",
            "1 2",
            "{} x",
            "\u{feff}{}",
            "\"\t\"",
            "NaN",
            "1e999",
            "\"\\ud800\"",
            "username=a",
        ] {
            refusal(text.as_bytes());
        }
        refusal(b"\"\xff\"");
    }

    #[test]
    fn a_key_twice_is_refused_by_name() {
        assert!(
            refusal(br#"{"alias":"a","b":{"alias":1},"alias":"c"}"#).contains(r#"duplicate key "alias""#)
        );
        assert!(refusal(br#"[{"b":{"a":1,"\u0061":2}}]"#).contains(r#"duplicate key "a""#));
        assert_eq!(parse(br#"{"a":{"a":1},"b":{"a":1}}"#), Ok(json!({"a":{"a":1},"b":{"a":1}})));
        let long = format!("{{\"{0}\":1,\"{0}\":2}}", "k".repeat(100_000));
        assert!(refusal(long.as_bytes()).len() < 200);
    }

    #[test]
    fn depth_is_bounded_at_64() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(64).as_bytes()).is_ok());
        assert!(refusal(nested(65).as_bytes()).contains("deeper than 64"));
        assert!(refusal(nested(10_000).as_bytes()).contains("deeper than 64"));
        assert!(refusal("{\"a\":".repeat(10_000).as_bytes()).contains("deeper than 64"));
        assert!(refusal("[{\"a\":".repeat(1_000_000).as_bytes()).contains("deeper than 64"));
    }

    #[test]
    fn two_megabytes_of_keys_are_read_in_one_pass() {
        let keys: Vec<String> = (0..90_000).map(|i| format!("\"k{i}\":{i}")).collect();
        let body = format!("{{{}}}", keys.join(","));
        assert_eq!(parse(body.as_bytes()).unwrap().as_object().unwrap().len(), 90_000);
    }

    #[test]
    fn readers_tell_absent_null_and_wrong_apart() {
        let body = json!({ "a": "x", "n": null, "b": true, "i": 3, "o": {}, "l": [1] });
        let mut fields = Fields::of_body(&body).unwrap();
        assert_eq!(fields.string("a"), Some("x"));
        assert_eq!(fields.string("absent"), None);
        assert_eq!(fields.nullable_string("n"), Some(None));
        assert_eq!(fields.nullable_string("a"), Some(Some("x")));
        assert_eq!(fields.nullable_object("n"), Some(None));
        assert_eq!(fields.nullable_object("o"), Some(Some(&Map::new())));
        assert_eq!(fields.boolean("b"), Some(true));
        assert_eq!(fields.number("i"), Some(&Number::from(3)));
        assert_eq!(fields.array("l"), Some(&[json!(1)][..]));
        assert_eq!(fields.close(), Ok(()));
    }

    #[test]
    fn every_wrong_type_is_reported_with_its_place() {
        for wrong in [json!(null), json!(1), json!(["x"]), json!({ "$ne": null }), json!(true)] {
            let body = json!({ "username": wrong });
            let mut fields = Fields::at(&body, "/user").unwrap();
            assert_eq!(fields.string("username"), None);
            assert_eq!(fields.close(), Err(Invalid::schema("/user/username", "must be a string")), "{body}");
        }
        assert_eq!(Fields::of_body(&json!([])).unwrap_err(), Invalid::schema("", "must be an object"));
    }

    #[test]
    fn unknown_keys_are_refused_when_closed_and_ignored_when_open() {
        let body = json!({ "a/b": 1 });
        assert_eq!(Fields::of_body(&body).unwrap().close(), Err(Invalid::schema("/a~1b", "unknown key")));
        assert_eq!(Fields::of_body(&body).unwrap().close_open(), Ok(()));
        let many: Map<String, Value> = (0..100).map(|i| (i.to_string(), Value::Null)).collect();
        match Fields::of_body(&Value::Object(many)).unwrap().close() {
            Err(Invalid::Schema(violations)) => assert_eq!(violations.len(), 20),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn violations_come_before_rules_and_the_first_rule_wins() {
        let body = json!({ "a": 1 });
        let mut fields = Fields::of_body(&body).unwrap();
        assert_eq!(fields.absorb(Ok(7)), Some(7));
        assert_eq!(fields.absorb::<()>(Err(Invalid::validation("first"))), None);
        fields.absorb::<()>(Err(Invalid::validation("second")));
        assert_eq!(fields.close_open(), Err(Invalid::validation("first")));

        let mut fields = Fields::of_body(&body).unwrap();
        fields.absorb::<()>(Err(Invalid::validation("first")));
        fields.absorb::<()>(Err(Invalid::schema("/b", "wrong")));
        assert_eq!(fields.string("a"), None);
        match fields.close() {
            Err(Invalid::Schema(violations)) => assert_eq!(violations.len(), 2),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn echoed_input_is_escaped_and_cut() {
        assert_eq!(quoted("a'\"\n\u{0}"), r#""a'\"\n\0""#);
        assert_eq!(quoted(&"ä".repeat(64)), format!("\"{}\"", "ä".repeat(64)));
        assert_eq!(quoted(&"ä".repeat(65)), format!("\"{}…\"", "ä".repeat(64)));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec((".{0,4}", inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_serde_json_on_what_that_writes(value in any_value()) {
            let text = value.to_string();
            prop_assert_eq!(parse(text.as_bytes()), Ok(serde_json::from_str(&text).unwrap()));
            crate::properties::strict_json(text.as_bytes());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            crate::properties::strict_json(&bytes);
        }

        #[test]
        fn any_text_of_json_characters_is_read_or_refused(text in r#"[\[\]{}",:0-9a-c. \\]{0,60}"#) {
            crate::properties::strict_json(text.as_bytes());
        }
    }
}
