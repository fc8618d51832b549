//! What people and the operator's service keep with a token. It decides nothing, and no public profile shows it.

use serde_json::{Map, Value};

use crate::json::Fields;

/// The most characters of an external id.
pub const MAX_EXTERNAL_ID: usize = 255;
/// The most bytes of `meta`, written as JSON.
pub const MAX_META: usize = 4_096;
/// The most tags of a token.
pub const MAX_TAGS: usize = 8;
/// The most characters of a tag.
pub const MAX_TAG: usize = 64;
/// The most characters of a description.
pub const MAX_DESCRIPTION: usize = 500;

/// What is kept with a token.
#[derive(Clone, PartialEq, Default)]
pub struct Notes {
    /// What the operator's service calls whom the token is for; not unique.
    pub external_id: Option<String>,
    /// What the service stored with it.
    pub meta: Option<Map<String, Value>>,
    /// Words that tokens are found by, each once, in the order given.
    pub tags: Vec<String>,
    /// What the token is for, for people.
    pub description: Option<String>,
}

/// A change of that: `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Clone, PartialEq, Default)]
pub struct NotesChange {
    /// The new external id, or none.
    pub external_id: Option<Option<String>>,
    /// The new `meta`, or none.
    pub meta: Option<Option<Map<String, Value>>>,
    /// All tags.
    pub tags: Option<Vec<String>>,
    /// The new description, or none.
    pub description: Option<Option<String>>,
}

/// Only how much there is: `meta` may hold what is nobody else's.
impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notes").field("tags", &self.tags.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NotesChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotesChange").finish_non_exhaustive()
    }
}

impl NotesChange {
    /// Reads the keys from a body; what is wrong is remembered by `fields`.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            external_id: text(fields, "external_id", MAX_EXTERNAL_ID),
            meta: meta(fields),
            tags: tags(fields),
            description: text(fields, "description", MAX_DESCRIPTION),
        }
    }
}

impl Notes {
    /// Puts a change in.
    pub fn put(&mut self, change: NotesChange) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut self.external_id, change.external_id);
        set(&mut self.meta, change.meta);
        set(&mut self.tags, change.tags);
        set(&mut self.description, change.description);
    }

    /// `meta` as it is stored.
    #[must_use]
    pub fn meta_text(&self) -> Option<String> {
        self.meta.clone().map(|meta| Value::Object(meta).to_string())
    }

    /// The tags as they are stored: joined by commas, `None` without any.
    #[must_use]
    pub fn tags_text(&self) -> Option<String> {
        (!self.tags.is_empty()).then(|| self.tags.join(","))
    }

    /// How many bytes all of it has.
    #[must_use]
    pub fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        text(&self.external_id) + text(&self.meta_text()) + text(&self.tags_text()) + text(&self.description)
    }
}

/// A text without control characters, or null; an empty one is none.
fn text(fields: &mut Fields<'_>, name: &'static str, most: usize) -> Option<Option<String>> {
    let Some(text) = fields.nullable_string(name)? else { return Some(None) };
    if text.chars().count() > most || text.chars().any(char::is_control) {
        fields.violate(
            format!("/{name}"),
            format!("must have at most {most} characters, none of them a control character"),
        );
        return None;
    }
    Some((!text.is_empty()).then(|| text.to_owned()))
}

fn meta(fields: &mut Fields<'_>) -> Option<Option<Map<String, Value>>> {
    let Some(meta) = fields.nullable_object("meta")? else { return Some(None) };
    let written = Value::Object(meta.clone()).to_string();
    // PostgreSQL stores no such character, not even in a text.
    if written.len() > MAX_META || written.contains("\\u0000") {
        fields.violate("/meta", format!("must have at most {MAX_META} bytes as JSON, and no \\u0000"));
        return None;
    }
    Some(Some(meta.clone()))
}

fn tags(fields: &mut Fields<'_>) -> Option<Vec<String>> {
    let values = fields.array("tags")?;
    let mut tags: Vec<String> = Vec::new();
    let mut is_good = values.len() <= MAX_TAGS;
    for value in values {
        match value.as_str().filter(|tag| is_tag(tag)) {
            Some(tag) if tags.iter().any(|known| known == tag) => {}
            Some(tag) => tags.push(tag.to_owned()),
            None => is_good = false,
        }
    }
    if !is_good {
        fields.violate(
            "/tags",
            format!("must have at most {MAX_TAGS} tags of 1 to {MAX_TAG} letters, digits and . _ : / -"),
        );
        return None;
    }
    Some(tags)
}

/// Whether this can be a tag.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    (1..=MAX_TAG).contains(&text.len()) && text.bytes().all(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: &Value) -> Result<NotesChange, Vec<String>> {
        let mut fields = Fields::of_body(body).unwrap();
        let change = NotesChange::read(&mut fields);
        match fields.close() {
            Ok(()) => Ok(change),
            Err(crate::invalid::Invalid::Schema(all)) => {
                Err(all.into_iter().map(|one| one.instance_path).collect())
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_left_out_stays_and_null_clears() {
        let mut notes = Notes::default();
        let first = json!({ "external_id": "cust_7", "meta": { "plan": "pro" }, "tags": ["a", "b", "a"], "description": "x" });
        notes.put(read(&first).unwrap());
        assert_eq!(
            (notes.external_id.as_deref(), notes.tags_text().as_deref()),
            (Some("cust_7"), Some("a,b"))
        );
        assert_eq!(notes.meta_text().as_deref(), Some("{\"plan\":\"pro\"}"));
        assert_eq!(notes.size(), 6 + 14 + 3 + 1);
        notes.put(read(&json!({ "external_id": null, "tags": [], "description": "" })).unwrap());
        assert_eq!((&notes.external_id, &notes.tags_text(), &notes.description), (&None, &None, &None));
        assert!(notes.meta.is_some());
        assert!(!format!("{notes:?}").contains("pro"));
    }

    #[test]
    fn what_is_too_long_or_no_text_is_refused_by_name() {
        let long = "x".repeat(256);
        for (body, place) in [
            (json!({ "external_id": long }), "/external_id"),
            (json!({ "external_id": "a\nb" }), "/external_id"),
            (json!({ "external_id": 7 }), "/external_id"),
            (json!({ "meta": { "x": "y".repeat(4_096) } }), "/meta"),
            (json!({ "meta": { "x": "\u{0}" } }), "/meta"),
            (json!({ "meta": [] }), "/meta"),
            (json!({ "tags": ["a,b"] }), "/tags"),
            (json!({ "tags": [""] }), "/tags"),
            (json!({ "tags": [1] }), "/tags"),
            (json!({ "tags": ["1", "2", "3", "4", "5", "6", "7", "8", "9"] }), "/tags"),
            (json!({ "description": "x".repeat(501) }), "/description"),
        ] {
            assert_eq!(read(&body), Err(vec![place.to_owned()]), "{body}");
        }
        assert!(read(&json!({ "external_id": "ä".repeat(255) })).is_ok());
    }
}
