//! Permissions: a tree of booleans on the wire, one bit a leaf inside.
//!
//! A [`Catalogue`] says which leaves there are. It is a value: hoody's own tree is
//! [`Catalogue::hoody`], and nothing else in the code knows a leaf by its place. A [`PermissionSet`]
//! is meaningful only together with the catalogue that made it, which is why it is stored as paths
//! ([`Catalogue::to_paths`]), never as bits. What a missing path means is decided once: not granted.

mod hoody;
mod selection;
mod words;

pub mod own;

use std::collections::HashMap;

pub use selection::{AnyPermission, Catalogues, Named, Selected, Selection};
use serde_json::{Map, Value};
pub use words::{Words, words};

use crate::invalid::{Invalid, Violation};
use crate::json::{MAX_VIOLATIONS, pointer};

/// The most leaves that a catalogue may have: one bit each.
pub const MAX_LEAVES: usize = 8 * BYTES;
/// How many bytes a set takes: with what else limits a credential, a cached grant stays small.
const BYTES: usize = 14;
/// The most segments of a leaf's path.
const MAX_SEGMENTS: usize = 8;
/// What lies below this branch is for accounts: a token may carry it, but it never grants it anything.
const ACCOUNTS_ONLY: &str = "admin";

/// What only a request that names it grants: no template has it, and no token has it unasked.
const NAMED_ONLY: [&str; 4] =
    ["resources.create_tokens", "resources.gates", "resources.introspect", "resources.guard"];

/// One thing that can be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Where it is in the tree, dotted: `projects.members.invite`.
    pub path: String,
    /// Whether it lets its holder change something; false for leaves that only read.
    pub writes: bool,
}

/// A leaf of a catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(u8);

/// A set of leaves of one catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PermissionSet([u8; BYTES]);

/// A named set that can be asked for when a token is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// What a request calls it: `read_only`.
    pub name: &'static str,
    /// What it is for, in one sentence.
    pub description: &'static str,
    /// What it grants.
    pub permissions: PermissionSet,
}

/// Which leaves there are, in a fixed order.
#[derive(Debug, Clone)]
pub struct Catalogue {
    leaves: Vec<Leaf>,
    by_path: HashMap<Box<str>, Permission>,
    root: Branch,
    /// The leaves that let a token change something.
    writing: PermissionSet,
    /// The leaves that a token can be granted.
    grantable: PermissionSet,
    templates: Vec<Template>,
}

/// The children of one object of the tree, by name, in the catalogue's order.
type Branch = Vec<(Box<str>, Node)>;

#[derive(Debug, Clone)]
enum Node {
    Leaf(Permission),
    Branch(Branch),
}

/// These leaves make no catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// More than [`MAX_LEAVES`].
    #[error("a catalogue has at most {MAX_LEAVES} leaves")]
    TooMany,
    /// Not one to eight dotted segments, each `^[a-z][a-z0-9_]*$` and at most 64 characters.
    #[error("`{0}` is no path of a permission")]
    BadPath(String),
    /// The same path twice.
    #[error("the permission `{0}` is listed twice")]
    Duplicate(String),
    /// A path that is a leaf and also has something below it.
    #[error("`{0}` is both a permission and a group of permissions")]
    LeafAndBranch(String),
}

impl PermissionSet {
    /// Nothing.
    pub const EMPTY: Self = Self([0; BYTES]);
    /// Every leaf of every catalogue: what a session holds.
    pub const ALL: Self = Self([u8::MAX; BYTES]);

    /// Whether it holds this leaf.
    #[must_use]
    pub const fn has(self, permission: Permission) -> bool {
        self.0[permission.byte()] & permission.bit() != 0
    }

    /// This set and the leaf.
    #[must_use]
    pub const fn with(mut self, permission: Permission) -> Self {
        self.0[permission.byte()] |= permission.bit();
        self
    }

    /// This set but the leaf.
    #[must_use]
    pub const fn without(mut self, permission: Permission) -> Self {
        self.0[permission.byte()] &= !permission.bit();
        self
    }

    /// Whether `other` holds every leaf that this holds.
    #[must_use]
    pub fn within(self, other: Self) -> bool {
        self.intersection(other) == self
    }

    /// What either holds.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|byte| self.0[byte] | other.0[byte]))
    }

    /// What both hold.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(std::array::from_fn(|byte| self.0[byte] & other.0[byte]))
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::EMPTY
    }
}

impl Permission {
    const fn byte(self) -> usize {
        self.0 as usize / 8
    }

    const fn bit(self) -> u8 {
        1 << (self.0 % 8)
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl Catalogue {
    /// A catalogue of these leaves, each a dotted path and whether it writes, in this order; without
    /// templates.
    ///
    /// # Errors
    /// More than [`MAX_LEAVES`] leaves, a path that is malformed, listed twice, or both a leaf and a branch.
    pub fn new(leaves: impl IntoIterator<Item = (String, bool)>) -> Result<Self, CatalogueError> {
        let mut catalogue = Self {
            leaves: Vec::new(),
            by_path: HashMap::new(),
            root: Branch::new(),
            writing: PermissionSet::EMPTY,
            grantable: PermissionSet::EMPTY,
            templates: Vec::new(),
        };
        for (path, writes) in leaves {
            catalogue.push(path, writes)?;
        }
        Ok(catalogue)
    }

    fn push(&mut self, path: String, writes: bool) -> Result<(), CatalogueError> {
        if self.leaves.len() == MAX_LEAVES {
            return Err(CatalogueError::TooMany);
        }
        if !is_path(&path) {
            return Err(CatalogueError::BadPath(path));
        }
        if self.by_path.contains_key(path.as_str()) {
            return Err(CatalogueError::Duplicate(path));
        }
        let index = u8::try_from(self.leaves.len()).map_err(|_| CatalogueError::TooMany)?;
        let permission = Permission(index);
        if !plant(&mut self.root, &path, permission) {
            return Err(CatalogueError::LeafAndBranch(path));
        }
        if path.split('.').next() != Some(ACCOUNTS_ONLY) {
            self.grantable = self.grantable.with(permission);
            // What grants nothing also lets nothing be changed.
            if writes {
                self.writing = self.writing.with(permission);
            }
        }
        self.by_path.insert(path.as_str().into(), permission);
        self.leaves.push(Leaf { path, writes });
        Ok(())
    }

    /// The leaf with this dotted path. One hash, no allocation.
    #[must_use]
    pub fn leaf(&self, path: &str) -> Option<Permission> {
        self.by_path.get(path).copied()
    }

    /// The dotted path of a leaf of this catalogue; empty for a leaf of another one.
    #[must_use]
    pub fn path(&self, permission: Permission) -> &str {
        self.leaves.get(usize::from(permission.0)).map_or("", |leaf| leaf.path.as_str())
    }

    /// All leaves, in order.
    pub fn leaves(&self) -> impl Iterator<Item = (Permission, &Leaf)> {
        (0u8..).map(Permission).zip(&self.leaves)
    }

    /// Reads a tree of booleans that a request has at the JSON pointer `at`. A missing path is false.
    ///
    /// # Errors
    /// [`Invalid::Schema`] with every unknown key, every leaf that is no boolean and every branch that
    /// is no object, at most 20 of them.
    pub fn parse(&self, value: &Value, at: &str) -> Result<PermissionSet, Invalid> {
        let mut reading = Reading { set: PermissionSet::EMPTY, violations: Vec::new() };
        reading.branch(&self.root, value, at);
        if reading.violations.is_empty() { Ok(reading.set) } else { Err(Invalid::Schema(reading.violations)) }
    }

    /// The tree of the granted leaves, `{}` when there are none.
    #[must_use]
    pub fn to_tree(&self, set: PermissionSet) -> Value {
        Value::Object(branch_to_tree(&self.root, set))
    }

    /// The form in which a set is stored: dotted paths in the catalogue's order, joined by commas.
    #[must_use]
    pub fn to_paths(&self, set: PermissionSet) -> String {
        let held = self.leaves().filter(|(permission, _)| set.has(*permission));
        held.map(|(_, leaf)| leaf.path.as_str()).collect::<Vec<_>>().join(",")
    }

    /// Reads the stored form. A path that this catalogue does not have (any more) grants nothing.
    #[must_use]
    pub fn parse_paths(&self, paths: &str) -> PermissionSet {
        paths.split(',').filter_map(|path| self.leaf(path)).collect()
    }

    /// What the template of this name grants.
    #[must_use]
    pub fn template(&self, name: &str) -> Option<PermissionSet> {
        self.templates.iter().find(|template| template.name == name).map(|template| template.permissions)
    }

    /// The templates, in the order in which they are shown.
    #[must_use]
    pub fn templates(&self) -> &[Template] {
        &self.templates
    }

    /// What a token has when its maker names neither permissions nor a template: all that a token can
    /// be granted, but not to make further tokens, and not to guard services.
    #[must_use]
    pub fn full_access(&self) -> PermissionSet {
        let named = NAMED_ONLY.iter().filter_map(|path| self.leaf(path));
        named.fold(self.grantable, PermissionSet::without)
    }

    /// What of this set counts for a token: all but `admin.*`.
    #[must_use]
    pub fn grantable(&self, set: PermissionSet) -> PermissionSet {
        set.intersection(self.grantable)
    }

    /// Every permission that changes something.
    #[must_use]
    pub const fn writing(&self) -> PermissionSet {
        self.writing
    }

    /// Whether a token with this set can change anything.
    #[must_use]
    pub fn is_writing(&self, set: PermissionSet) -> bool {
        !set.intersection(self.writing).is_empty()
    }
}

/// Whether it has the form of a permission's path: one to eight dotted segments, each `^[a-z][a-z0-9_]*$` and at
/// most 64 characters.
#[must_use]
pub fn is_path(path: &str) -> bool {
    path.split('.').count() <= MAX_SEGMENTS
        && path.split('.').all(|segment| {
            segment.len() <= 64
                && segment.starts_with(|first: char| first.is_ascii_lowercase())
                && segment.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        })
}

/// Puts a leaf into the tree; false when a leaf is in its way or it would replace a branch.
fn plant(branch: &mut Branch, path: &str, permission: Permission) -> bool {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let at = branch.iter().position(|(child, _)| &**child == name);
    match (at, rest) {
        (None, None) => branch.push((name.into(), Node::Leaf(permission))),
        (None, Some(rest)) => {
            let mut below = Branch::new();
            plant(&mut below, rest, permission);
            branch.push((name.into(), Node::Branch(below)));
        }
        (Some(at), Some(rest)) => match &mut branch[at].1 {
            Node::Branch(below) => return plant(below, rest, permission),
            Node::Leaf(_) => return false,
        },
        (Some(_), None) => return false,
    }
    true
}

fn branch_to_tree(branch: &Branch, set: PermissionSet) -> Map<String, Value> {
    let mut tree = Map::new();
    for (name, node) in branch {
        match node {
            Node::Leaf(permission) if set.has(*permission) => {
                tree.insert(name.to_string(), Value::Bool(true));
            }
            Node::Leaf(_) => {}
            Node::Branch(below) => {
                let below = branch_to_tree(below, set);
                if !below.is_empty() {
                    tree.insert(name.to_string(), Value::Object(below));
                }
            }
        }
    }
    tree
}

/// A tree while it is read. It descends only where the catalogue does, so its depth is the
/// catalogue's, whatever the request sends.
struct Reading {
    set: PermissionSet,
    violations: Vec<Violation>,
}

impl Reading {
    fn branch(&mut self, branch: &Branch, value: &Value, at: &str) {
        let Value::Object(children) = value else {
            return self.violate(at.to_owned(), "must be an object of permissions");
        };
        for (name, value) in children {
            if self.violations.len() == MAX_VIOLATIONS {
                return;
            }
            let here = || pointer(at, name);
            match (branch.iter().find(|(child, _)| **child == **name).map(|(_, node)| node), value) {
                (None, _) => self.violate(here(), "is no permission"),
                (Some(Node::Branch(below)), value) => self.branch(below, value, &here()),
                (Some(Node::Leaf(permission)), Value::Bool(true)) => self.set = self.set.with(*permission),
                (Some(Node::Leaf(_)), Value::Bool(false)) => {}
                (Some(Node::Leaf(_)), _) => self.violate(here(), "must be a boolean"),
            }
        }
    }

    fn violate(&mut self, instance_path: String, message: &str) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { instance_path, message: message.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn paths(leaves: &[&str]) -> Result<Catalogue, CatalogueError> {
        Catalogue::new(leaves.iter().map(|path| ((*path).to_owned(), true)))
    }

    fn violated(value: &Value) -> Vec<String> {
        match Catalogue::hoody().parse(value, "/permissions") {
            Err(Invalid::Schema(violations)) => violations.into_iter().map(|v| v.instance_path).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_catalogue_refuses_what_is_no_tree() {
        assert_eq!(paths(&["a.b", "a.b"]).unwrap_err(), CatalogueError::Duplicate("a.b".into()));
        assert_eq!(paths(&["a.b", "a"]).unwrap_err(), CatalogueError::LeafAndBranch("a".into()));
        assert_eq!(paths(&["a", "a.b"]).unwrap_err(), CatalogueError::LeafAndBranch("a.b".into()));
        assert_eq!(paths(&["a.b", "a.b.c.d"]).unwrap_err(), CatalogueError::LeafAndBranch("a.b.c.d".into()));
        for bad in ["", ".", "a.", ".a", "A", "a..b", "a b", "a,b", "1a", "_a", "a.b.c.d.e.f.g.h.i", "ä", "*"]
        {
            assert_eq!(paths(&[bad]).unwrap_err(), CatalogueError::BadPath(bad.into()), "{bad}");
        }
    }

    #[test]
    fn a_catalogue_has_at_most_112_leaves() {
        let leaves = |n: usize| (0..n).map(|i| (format!("leaf{i}"), false));
        let full = Catalogue::new(leaves(112)).unwrap();
        let last = full.leaf("leaf111").unwrap();
        assert_eq!(full.path(last), "leaf111");
        assert_eq!(full.leaves().filter(|(p, _)| PermissionSet::EMPTY.with(last).has(*p)).count(), 1);
        assert_eq!(Catalogue::new(leaves(113)).unwrap_err(), CatalogueError::TooMany);
    }

    #[test]
    fn a_tree_is_read_and_written_with_its_granted_leaves_only() {
        let catalogue = Catalogue::hoody();
        let sent = json!({ "containers": { "read": true, "delete": false, "actions": { "exec": true } }, "projects": {} });
        let set = catalogue.parse(&sent, "/permissions").unwrap();
        assert_eq!(catalogue.to_paths(set), "containers.read,containers.actions.exec");
        assert_eq!(
            catalogue.to_tree(set),
            json!({ "containers": { "read": true, "actions": { "exec": true } } })
        );
        assert_eq!(catalogue.to_tree(PermissionSet::EMPTY), json!({}));
        assert_eq!(catalogue.parse(&json!({}), "/permissions"), Ok(PermissionSet::EMPTY));
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_violations_where_they_are() {
        for tree in [json!(null), json!(true), json!([]), json!("full_access"), json!(1)] {
            assert_eq!(violated(&tree), ["/permissions"], "{tree}");
        }
        let tree = json!({
            "containers": true,
            "projects": { "read": "true", "write": true, "members": null },
            "a/b~c": true,
            "resources": { "vault": { "read": true }, "events": 1 },
        });
        let mut seen = violated(&tree);
        seen.sort();
        assert_eq!(
            seen,
            [
                "/permissions/a~1b~0c",
                "/permissions/containers",
                "/permissions/projects/members",
                "/permissions/projects/read",
                "/permissions/projects/write",
                "/permissions/resources/events",
                "/permissions/resources/vault",
            ]
        );
    }

    #[test]
    fn threat_17_a_leaf_is_no_prefix_of_its_neighbours() {
        let catalogue = Catalogue::hoody();
        for (permission, leaf) in catalogue.leaves() {
            let path = leaf.path.as_str();
            assert_eq!(catalogue.leaf(path), Some(permission));
            let shorter = (0..path.len()).map(|end| path[..end].to_owned());
            let longer = ["s", ".", "/", " ", "\0", "%", "*", ".x"].map(|more| format!("{path}{more}"));
            let other =
                [path.to_uppercase(), path.replace('.', "/"), path.replace('.', "%2e"), format!(".{path}")];
            for near in shorter.chain(longer).chain(other) {
                assert_eq!(catalogue.leaf(&near), None, "{near}");
                assert_eq!(catalogue.parse_paths(&near), PermissionSet::EMPTY, "{near}");
            }
            // Held alone, it is held alone.
            let alone = catalogue.parse_paths(path);
            assert!(catalogue.leaves().all(|(other, _)| alone.has(other) == (other == permission)), "{path}");
        }
        for path in [
            "project",
            "projects",
            "projects.",
            "projects.rea",
            "projects.reads",
            "projects.read.",
            "Projects.read",
            " projects.read",
            "projects.*",
            "*",
            "",
        ] {
            assert_eq!(catalogue.leaf(path), None, "{path}");
        }
    }

    #[test]
    fn many_violations_are_cut_at_twenty() {
        let tree: Map<String, Value> = (0..10_000).map(|i| (format!("key{i}"), json!(true))).collect();
        assert_eq!(violated(&Value::Object(tree)).len(), 20);
        let long = violated(&json!({ "x".repeat(1_000_000): true }));
        assert!(long[0].chars().count() < 100, "{long:?}");
    }

    #[test]
    fn stored_paths_survive_a_changed_catalogue() {
        let old = paths(&["a.one", "a.two", "b.three"]).unwrap();
        let new = paths(&["b.three", "c.four", "a.one"]).unwrap();
        let stored = old.to_paths(old.parse_paths("a.one,a.two,b.three"));
        assert_eq!(new.to_paths(new.parse_paths(&stored)), "b.three,a.one");
        assert_eq!(new.parse_paths(""), PermissionSet::EMPTY);
    }

    #[test]
    fn admin_leaves_are_kept_but_grant_nothing() {
        let catalogue = Catalogue::hoody();
        let set = catalogue.parse(&json!({ "admin": { "users": true } }), "/permissions").unwrap();
        assert_eq!(catalogue.to_paths(set), "admin.users");
        assert_eq!(catalogue.grantable(set), PermissionSet::EMPTY);
        assert!(!catalogue.is_writing(set));
        assert!(catalogue.is_writing(PermissionSet::ALL));
    }

    prop_compose! {
        fn set()(bits: [u8; BYTES]) -> PermissionSet {
            let catalogue = Catalogue::hoody();
            let every: PermissionSet = catalogue.leaves().map(|(p, _)| p).collect();
            PermissionSet(bits).intersection(every)
        }
    }

    proptest! {
        #[test]
        fn every_set_survives_the_tree_and_the_stored_form(set in set()) {
            let catalogue = Catalogue::hoody();
            prop_assert_eq!(catalogue.parse(&catalogue.to_tree(set), "/permissions"), Ok(set));
            prop_assert_eq!(catalogue.parse_paths(&catalogue.to_paths(set)), set);
        }

        #[test]
        fn within_is_a_partial_order(a in set(), b in set(), c in set()) {
            prop_assert!(a.within(a));
            prop_assert!(PermissionSet::EMPTY.within(a) && a.within(PermissionSet::ALL));
            prop_assert_eq!(a.within(b) && b.within(a), a == b);
            let (small, middle) = (a.intersection(b), a.intersection(b).union(a.intersection(c)));
            prop_assert!(small.within(middle) && middle.within(a) && small.within(a));
            prop_assert_eq!(a.within(b), Catalogue::hoody().leaves().all(|(p, _)| !a.has(p) || b.has(p)));
        }

        #[test]
        fn any_json_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            crate::properties::permission_tree(&bytes);
        }
    }
}
