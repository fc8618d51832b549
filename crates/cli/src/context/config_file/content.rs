//! What the configuration file holds: settings by their keys, at the top and in profiles.

use hoody_core::secret_text::without_mark;
use serde_json::{Map, Value};

/// What the file holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Config(Map<String, Value>);

impl Config {
    /// Reads the file's text.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let text = without_mark(text);
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        // The reader's own message may quote a secret: say where, not what.
        let place = |error: serde_json::Error| {
            anyhow::anyhow!("not JSON at line {}, column {}", error.line(), error.column())
        };
        match serde_json::from_str(text).map_err(place)? {
            Value::Object(root) => Ok(Self(root)),
            _ => anyhow::bail!("not a JSON object"),
        }
    }

    /// The file's text.
    pub(super) fn text(&self) -> anyhow::Result<String> {
        let mut text = serde_json::to_string_pretty(&self.0)?;
        text.push('\n');
        Ok(text)
    }

    /// The whole object.
    pub(crate) fn root(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The profile to use when none is named.
    pub(crate) fn default_profile(&self) -> Option<&str> {
        self.0.get("defaultProfile").and_then(Value::as_str).filter(|name| !name.is_empty())
    }

    /// The settings at the top, or of a profile.
    pub(crate) fn section(&self, profile: Option<&str>) -> Option<&Map<String, Value>> {
        match profile {
            None => Some(&self.0),
            Some(name) => self.0.get("profiles")?.get(name)?.as_object(),
        }
    }

    /// The same to change; a profile that is not there is made.
    pub(crate) fn section_mut(&mut self, profile: Option<&str>) -> &mut Map<String, Value> {
        match profile {
            None => &mut self.0,
            Some(name) => object_in(object_in(&mut self.0, "profiles"), name),
        }
    }

    /// A setting: the profile's, else the one at the top. A dot goes one level down.
    pub(crate) fn get(&self, profile: Option<&str>, key: &str) -> Option<(&Value, bool)> {
        let own = profile.and_then(|name| self.section(Some(name))).and_then(|section| within(section, key));
        own.map(|value| (value, true)).or_else(|| within(&self.0, key).map(|value| (value, false)))
    }
}

/// A value by its key; a dot goes one level down.
pub(crate) fn within<'a>(section: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let value = match key.split_once('.') {
        Some((outer, inner)) => section.get(outer)?.get(inner)?,
        None => section.get(key)?,
    };
    (!value.is_null()).then_some(value)
}

/// Sets a value by its key, or takes it away.
pub(crate) fn put(section: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    let (section, key) = match key.split_once('.') {
        Some((outer, inner)) => (object_in(section, outer), inner),
        None => (section, key),
    };
    match value {
        Some(value) => section.insert(key.to_owned(), value),
        None => section.remove(key),
    };
}

/// The object at `key`; whatever else is there gives way.
fn object_in<'a>(section: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = section.entry(key.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was just made one")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_profile_hides_the_top_and_unknown_keys_stay() {
        let mut config = Config::parse(
            r#"{"baseUrl":"http://a","later":{"x":1},"transport":{"keepAlive":true},
                "profiles":{"work":{"baseUrl":"http://b"}}}"#,
        )
        .unwrap();
        let text =
            |config: &Config, profile, key| config.get(profile, key).map(|(value, own)| (value.clone(), own));
        assert_eq!(text(&config, None, "baseUrl"), Some((json!("http://a"), false)));
        assert_eq!(text(&config, Some("work"), "baseUrl"), Some((json!("http://b"), true)));
        assert_eq!(text(&config, Some("work"), "transport.keepAlive"), Some((json!(true), false)));
        assert!(config.section(Some("none")).is_none());
        put(config.section_mut(Some("new")), "transport.keepAlive", Some(json!(false)));
        assert_eq!(config.root()["profiles"]["new"], json!({"transport": {"keepAlive": false}}));
        assert_eq!(config.root()["later"], json!({"x": 1}));
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let config = Config::parse("\u{feff}{\r\n  \"baseUrl\": \"http://a\"\r\n}\r\n").unwrap();
        assert_eq!(config.root()["baseUrl"], "http://a");
        assert_eq!(Config::parse("\u{feff}").unwrap(), Config::default());
    }

    #[test]
    fn a_broken_file_is_said_without_quoting_it() {
        let error = Config::parse("{\"token\": hdy_canary}").unwrap_err().to_string();
        assert_eq!(error, "not JSON at line 1, column 11");
        assert!(Config::parse("[]").is_err());
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }
}
