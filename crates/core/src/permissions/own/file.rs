//! The file that the operator applies: its leaves and templates, as TOML or JSON has them.
//!
//! ```toml
//! [permissions]
//! "orders.read"   = { description = "Read orders" }
//! "orders.create" = { description = "Create orders", writes = true }
//! "orders.refund" = { description = "Refund orders", writes = true, renamed_from = "orders.pay_back" }
//! "orders.old"    = { description = "Not granted any more", retired = true }
//!
//! [templates.support]
//! description = "Answers customers"
//! permissions = ["orders.*", "projects.read"]
//! ```

use serde_json::{Map, Value};

use super::super::is_path;
use super::{MAX_DESCRIPTION, MAX_OWN, MAX_TEMPLATES};
use crate::invalid::{Invalid, Violation};
use crate::json::{Fields, MAX_VIOLATIONS, pointer};

/// A file that was read. Its entries are well-formed one by one; [`super::plan()`] judges them together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct File {
    /// The leaves, in the file's order.
    pub leaves: Vec<FileLeaf>,
    /// The templates, in the file's order.
    pub templates: Vec<FileTemplate>,
}

/// One leaf of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLeaf {
    /// Its dotted path.
    pub path: String,
    /// What it is for; empty when the file does not say.
    pub description: String,
    /// Whether it lets its holder change something.
    pub writes: bool,
    /// Whether it cannot be granted any more.
    pub retired: bool,
    /// The path that it has had until now.
    pub renamed_from: Option<String>,
}

/// One template of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTemplate {
    /// What a request calls it.
    pub name: String,
    /// What it is for; empty when the file does not say.
    pub description: String,
    /// Paths of leaves, the operator's or hoody's, and groups of the operator's as `orders.*`.
    pub permissions: Vec<String>,
}

impl File {
    /// Reads a file whose TOML or JSON is this value.
    ///
    /// # Errors
    /// [`Invalid::Schema`] with every unknown key, wrong type and malformed path, at most 20 of them;
    /// [`Invalid::Rule`] when there are too many entries.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(value)?;
        let permissions = section(&mut fields, "permissions");
        let templates = section(&mut fields, "templates");
        if permissions.is_some_and(|entries| entries.len() > MAX_OWN) {
            return Err(Invalid::validation(format!("permissions: must have at most {MAX_OWN} entries")));
        }
        if templates.is_some_and(|entries| entries.len() > MAX_TEMPLATES) {
            return Err(Invalid::validation(format!("templates: must have at most {MAX_TEMPLATES} entries")));
        }
        let mut file = Self::default();
        for (path, entry) in permissions.into_iter().flatten() {
            let leaf = leaf(path, entry, &pointer("/permissions", path));
            file.leaves.extend(fields.absorb(leaf));
        }
        for (name, entry) in templates.into_iter().flatten() {
            let template = template(name, entry, &pointer("/templates", name));
            file.templates.extend(fields.absorb(template));
        }
        fields.close()?;
        Ok(file)
    }
}

fn section<'a>(fields: &mut Fields<'a>, name: &'static str) -> Option<&'a Map<String, Value>> {
    let section = fields.value(name)?;
    if !section.is_object() {
        fields.violate(fields.pointer(name), "must be an object");
    }
    section.as_object()
}

fn leaf(path: &str, entry: &Value, at: &str) -> Result<FileLeaf, Invalid> {
    let mut fields = Fields::at(entry, at)?;
    if !is_path(path) {
        fields.violate(
            at,
            "must have 1 to 8 segments joined by dots, each of lower-case letters, digits and underscores, \
             beginning with a letter",
        );
    }
    let description = description(&mut fields);
    let writes = fields.boolean("writes").unwrap_or(false);
    let retired = fields.boolean("retired").unwrap_or(false);
    let renamed_from = fields.string("renamed_from");
    if renamed_from.is_some_and(|old| old == path || !is_path(old)) {
        fields.violate(fields.pointer("renamed_from"), "must be another path of a permission");
    }
    fields.close()?;
    let renamed_from = renamed_from.map(str::to_owned);
    Ok(FileLeaf { path: path.to_owned(), description, writes, retired, renamed_from })
}

fn template(name: &str, entry: &Value, at: &str) -> Result<FileTemplate, Invalid> {
    let mut fields = Fields::at(entry, at)?;
    if name.contains('.') || !is_path(name) {
        fields.violate(at, "must be lower-case letters, digits and underscores, beginning with a letter");
    }
    let description = description(&mut fields);
    let listed = fields.array("permissions");
    if listed.is_none() && entry.get("permissions").is_none() {
        fields.violate(fields.pointer("permissions"), "is required");
    }
    let mut permissions = Vec::new();
    let here = fields.pointer("permissions");
    let mut violations = Vec::new();
    for (index, entry) in listed.into_iter().flatten().enumerate() {
        match entry.as_str() {
            Some(path) if is_path(path.strip_suffix(".*").unwrap_or(path)) => {
                permissions.push(path.to_owned());
            }
            _ if violations.len() == MAX_VIOLATIONS => break,
            _ => violations.push(Violation {
                instance_path: format!("{here}/{index}"),
                message: "must be the path of a permission, or a group as orders.*".to_owned(),
            }),
        }
    }
    for violation in violations {
        fields.violate(violation.instance_path, violation.message);
    }
    fields.close()?;
    Ok(FileTemplate { name: name.to_owned(), description, permissions })
}

fn description(fields: &mut Fields<'_>) -> String {
    let text = fields.string("description").unwrap_or_default();
    if text.chars().count() > MAX_DESCRIPTION || text.contains(char::is_control) {
        let rule =
            format!("must have at most {MAX_DESCRIPTION} characters, none of them a control character");
        fields.violate(fields.pointer("description"), rule);
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn places(value: &Value) -> Vec<String> {
        match File::parse(value) {
            Err(Invalid::Schema(violations)) => violations.into_iter().map(|v| v.instance_path).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_file_of_the_first_try_is_read() {
        let file = File::parse(&json!({"permissions": {
            "orders.read": { "description": "Read orders" },
            "orders.create": { "description": "Create orders", "writes": true },
        }}))
        .unwrap();
        let read: Vec<_> = file.leaves.iter().map(|leaf| (leaf.path.as_str(), leaf.writes)).collect();
        assert_eq!(read, [("orders.create", true), ("orders.read", false)]);
        assert_eq!(file.leaves[1].description, "Read orders");
        assert_eq!(File::parse(&json!({})), Ok(File::default()));
    }

    #[test]
    fn each_fault_is_told_where_it_is() {
        for (value, place) in [
            (json!([]), ""),
            (json!({"permission": {}}), "/permission"),
            (json!({"permissions": []}), "/permissions"),
            (json!({"permissions": {"Orders": {}}}), "/permissions/Orders"),
            (json!({"permissions": {"orders.*": {}}}), "/permissions/orders.*"),
            (json!({"permissions": {"orders": true}}), "/permissions/orders"),
            (json!({"permissions": {"orders": {"write": true}}}), "/permissions/orders/write"),
            (json!({"permissions": {"orders": {"writes": 1}}}), "/permissions/orders/writes"),
            (json!({"permissions": {"orders": {"description": "a\nb"}}}), "/permissions/orders/description"),
            (json!({"permissions": {"a.b": {"renamed_from": "a.b"}}}), "/permissions/a.b/renamed_from"),
            (json!({"templates": {"a.b": {"permissions": []}}}), "/templates/a.b"),
            (json!({"templates": {"a": {}}}), "/templates/a/permissions"),
            (json!({"templates": {"a": {"permissions": ["x", "**"]}}}), "/templates/a/permissions/1"),
        ] {
            assert_eq!(places(&value), [place], "{value}");
        }
        let many: Map<String, Value> = (0..=MAX_OWN).map(|n| (format!("leaf{n}"), json!({}))).collect();
        assert!(matches!(File::parse(&json!({"permissions": many})), Err(Invalid::Rule { .. })));
    }
}
