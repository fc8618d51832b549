//! The permissions that a request selects and a token stores, from hoody's tree and the operator's catalogue.
//!
//! Hoody's leaves are stored as paths and the operator's as numbers, so that renaming one of the operator's
//! is one row. `*` is expanded when it is stored, so it never includes leaves that are added later. `**` is the
//! one form that grows, and only a session may ask for it.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::own::{Found, OwnCatalogue, OwnId, OwnSet, State};
use super::{Catalogue, Permission, PermissionSet, is_path};
use crate::invalid::{Invalid, Violation};
use crate::json::{MAX_VIOLATIONS, pointer};

/// All live leaves of a group, at any depth, as there are now.
const STAR: &str = "*";
/// All leaves of a group, as there are and will be.
const GROWING: &str = "**";

/// A leaf of hoody's or of the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnyPermission {
    /// One of hoody's.
    Hoody(Permission),
    /// One of the operator's.
    Own(OwnId),
}

impl From<Permission> for AnyPermission {
    fn from(leaf: Permission) -> Self {
        Self::Hoody(leaf)
    }
}

impl From<OwnId> for AnyPermission {
    fn from(leaf: OwnId) -> Self {
        Self::Own(leaf)
    }
}

/// The leaf that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The leaf.
    pub permission: AnyPermission,
    /// Whether the path is an old name.
    pub is_deprecated: bool,
    /// Whether it cannot be granted any more.
    pub is_retired: bool,
}

/// The operator's leaves of one token, as they are stored: numbers, and groups that grow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selected {
    /// Sorted, without duplicates.
    ids: Vec<OwnId>,
    grows: Vec<Box<str>>,
}

/// All permissions of a token, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Of hoody's leaves.
    pub hoody: PermissionSet,
    /// Of the operator's.
    pub own: Selected,
}

/// Both catalogues. Two pointers; made where it is needed.
#[derive(Debug, Clone, Copy)]
pub struct Catalogues<'a> {
    /// Hoody's tree.
    pub hoody: &'a Catalogue,
    /// The operator's leaves.
    pub own: &'a OwnCatalogue,
}

impl Selected {
    /// These leaves.
    #[must_use]
    pub fn of(ids: impl IntoIterator<Item = OwnId>) -> Self {
        let mut selected = Self { ids: ids.into_iter().collect(), grows: Vec::new() };
        selected.settle();
        selected
    }

    /// These leaves, and all of these groups with what is added to them later.
    #[must_use]
    pub fn growing<'a>(mut self, groups: impl IntoIterator<Item = &'a str>) -> Self {
        self.grows.extend(groups.into_iter().filter(|group| is_path(group)).map(Into::into));
        self.settle();
        self
    }

    fn settle(&mut self) {
        self.ids.sort_unstable();
        self.ids.dedup();
        self.grows.sort_unstable();
        self.grows.dedup();
    }

    /// The leaves that it names, in order.
    #[must_use]
    pub fn ids(&self) -> &[OwnId] {
        &self.ids
    }

    /// The groups whose later leaves it holds too.
    pub fn grows(&self) -> impl ExactSizeIterator<Item = &str> {
        self.grows.iter().map(AsRef::as_ref)
    }

    /// Whether it names nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.grows.is_empty()
    }

    /// Takes a leaf out.
    pub fn remove(&mut self, id: OwnId) {
        self.ids.retain(|held| *held != id);
    }

    /// The stored form: `3,17,orders.**`; empty when it names nothing.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let mut stored = String::new();
        let mut comma = "";
        for id in &self.ids {
            let _ = write!(stored, "{comma}{id}");
            comma = ",";
        }
        for group in &self.grows {
            let _ = write!(stored, "{comma}{group}.{GROWING}");
            comma = ",";
        }
        stored
    }

    /// Reads the stored form. What is neither a number nor a growing group grants nothing.
    #[must_use]
    pub fn parse_stored(stored: &str) -> Self {
        let mut selected = Self::default();
        for entry in stored.split(',') {
            match entry.strip_suffix(GROWING).and_then(|group| group.strip_suffix('.')) {
                Some(group) if is_path(group) => selected.grows.push(group.into()),
                Some(_) => {}
                None => selected.ids.extend(entry.parse().ok().and_then(OwnId::new)),
            }
        }
        selected.settle();
        selected
    }
}

impl Selection {
    /// Of hoody's leaves alone.
    #[must_use]
    pub fn of_hoody(hoody: PermissionSet) -> Self {
        Self { hoody, own: Selected::default() }
    }
}

impl<'a> Catalogues<'a> {
    /// The leaf that a dotted path names: hoody's, or one of the operator's under its path or an old one.
    /// At most two hashes, no allocation.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Named> {
        if let Some(leaf) = self.hoody.leaf(path) {
            let permission = AnyPermission::Hoody(leaf);
            return Some(Named { permission, is_deprecated: false, is_retired: false });
        }
        let Found { leaf, is_deprecated } = self.own.find(path)?;
        let permission = AnyPermission::Own(leaf.id);
        Some(Named { permission, is_deprecated, is_retired: leaf.state == State::Retired })
    }

    /// The path of a leaf; empty for a leaf of other catalogues.
    #[must_use]
    pub fn path(&self, permission: AnyPermission) -> &'a str {
        match permission {
            AnyPermission::Hoody(leaf) => self.hoody.path(leaf),
            AnyPermission::Own(id) => self.own.path(id),
        }
    }

    /// The paths that a credential holds: hoody's in the order of the tree, then the operator's. A session's
    /// own set names no leaf; it has all that are live or retired.
    pub fn paths(&self, hoody: PermissionSet, own: &OwnSet) -> impl Iterator<Item = &'a str> {
        let Self { hoody: tree, own: catalogue } = *self;
        let of_hoody = tree.leaves().filter(move |(leaf, _)| hoody.has(*leaf));
        let of_own = catalogue.leaves().iter().filter(|row| own.has(row.id));
        of_hoody.map(|(_, leaf)| leaf.path.as_str()).chain(of_own.map(|row| row.path.as_str()))
    }

    /// Reads a tree of booleans that a request has at the JSON pointer `at`. A missing path is false. In a
    /// group of the operator's, `"*": true` means all its live leaves, and `"**": true` the later ones too,
    /// where `may_grow` allows it (a session asks). Retired leaves are read too: see
    /// [`check_grantable`](Self::check_grantable).
    ///
    /// # Errors
    /// [`Invalid::Schema`] with every unknown key, leaf that is no boolean and branch that is no object, at most
    /// 20 of them.
    pub fn parse(&self, value: &Value, at: &str, may_grow: bool) -> Result<Selection, Invalid> {
        let mut reading =
            Reading { own: self.own, may_grow, selected: Selected::default(), violations: Vec::new() };
        let Value::Object(children) = value else {
            return self.hoody.parse(value, at).map(|hoody| Selection { hoody, own: Selected::default() });
        };
        let mut rest = Map::new();
        for (name, value) in children {
            if is_path(name) && (self.own.is_group(name) || self.own.find(name).is_some()) {
                reading.child(name, value, &pointer(at, name));
            } else {
                rest.insert(name.clone(), value.clone());
            }
        }
        let hoody = match self.hoody.parse(&Value::Object(rest), at) {
            Ok(hoody) if reading.violations.is_empty() => hoody,
            Ok(_) => return Err(Invalid::Schema(reading.violations)),
            Err(Invalid::Schema(mut violations)) => {
                let room = MAX_VIOLATIONS.saturating_sub(violations.len());
                violations.extend(reading.violations.into_iter().take(room));
                return Err(Invalid::Schema(violations));
            }
            Err(error) => return Err(error),
        };
        let mut own = reading.selected;
        own.settle();
        Ok(Selection { hoody, own })
    }

    /// Refuses retired leaves that a token is to get and does not have: `held` is what it has already. `at` is the
    /// JSON pointer of the tree that named them.
    ///
    /// # Errors
    /// [`Invalid::Schema`] with every such leaf, at most 20 of them.
    pub fn check_grantable(&self, asked: &Selected, held: &Selected, at: &str) -> Result<(), Invalid> {
        let retired = asked
            .ids()
            .iter()
            .filter_map(|id| self.own.leaf(*id))
            .filter(|row| row.state == State::Retired && held.ids().binary_search(&row.id).is_err());
        let violations: Vec<_> = retired
            .take(MAX_VIOLATIONS)
            .map(|row| Violation {
                instance_path: row.path.split('.').fold(at.to_owned(), |at, segment| pointer(&at, segment)),
                message: "is retired and cannot be granted".to_owned(),
            })
            .collect();
        if violations.is_empty() { Ok(()) } else { Err(Invalid::Schema(violations)) }
    }

    /// What a template of either catalogue grants.
    #[must_use]
    pub fn template(&self, name: &str) -> Option<Selection> {
        if let Some(hoody) = self.hoody.template(name) {
            return Some(Selection { hoody, own: Selected::default() });
        }
        let template = self.own.template(name)?;
        let live = |id: &OwnId| self.own.leaf(*id).is_some_and(|row| row.state == State::Live);
        let own = Selected::of(template.own.ids().iter().copied().filter(live));
        Some(Selection { hoody: template.hoody, own })
    }

    /// The names of all templates, hoody's first.
    pub fn template_names(&self) -> impl Iterator<Item = &'a str> {
        let of_hoody = self.hoody.templates().iter().map(|template| template.name);
        of_hoody.chain(self.own.templates().iter().map(|template| template.name.as_str()))
    }

    /// The tree of what is granted, `{}` when nothing is.
    #[must_use]
    pub fn to_tree(&self, selection: &Selection) -> Value {
        let mut tree = self.hoody.to_tree(selection.hoody);
        for id in selection.own.ids() {
            if let Some(row) = self.own.leaf(*id) {
                put(&mut tree, &row.path);
            }
        }
        for group in selection.own.grows() {
            put(&mut tree, &format!("{group}.{GROWING}"));
        }
        tree
    }

    /// The leaves that a dotted path or a group as `orders.*` means on a command line or in a template.
    ///
    /// # Errors
    /// A sentence that names what is unknown or retired.
    pub fn expand(&self, pattern: &str) -> Result<Vec<AnyPermission>, String> {
        if let Some(group) = pattern.strip_suffix(STAR).and_then(|group| group.strip_suffix('.')) {
            let below: Vec<_> = self.own.live_below(group).map(|row| AnyPermission::Own(row.id)).collect();
            return if below.is_empty() {
                Err(format!("{pattern}: no permission is below {group}"))
            } else {
                Ok(below)
            };
        }
        match self.find(pattern) {
            None => Err(format!("{pattern}: unknown permission")),
            Some(named) if named.is_retired => {
                Err(format!("{pattern}: this permission is retired and cannot be granted"))
            }
            Some(named) => Ok(vec![named.permission]),
        }
    }
}

/// Puts `true` at a dotted path. A leaf that is in the way of a growing group makes room for it.
fn put(tree: &mut Value, path: &str) {
    let mut node = tree;
    let mut segments = path.split('.').peekable();
    while let Some(segment) = segments.next() {
        let Value::Object(children) = node else { return };
        let leaf = if segments.peek().is_none() { Value::Bool(true) } else { Value::Object(Map::new()) };
        node = children.entry(segment).or_insert(leaf);
    }
}

/// The operator's part of a tree while it is read. It descends only into groups that there are.
struct Reading<'a> {
    own: &'a OwnCatalogue,
    may_grow: bool,
    selected: Selected,
    violations: Vec<Violation>,
}

impl Reading<'_> {
    /// `value` at the dotted `path`, which is a leaf or a group.
    fn child(&mut self, path: &str, value: &Value, at: &str) {
        if self.violations.len() == MAX_VIOLATIONS {
            return;
        }
        match (self.own.find(path), value) {
            (Some(found), Value::Bool(true)) => self.selected.ids.push(found.leaf.id),
            (Some(_), Value::Bool(false)) => {}
            (Some(_), _) => self.violate(at, "must be a boolean"),
            (None, Value::Object(children)) => {
                for (name, value) in children {
                    let here = pointer(at, name);
                    self.member(path, name, value, &here);
                }
            }
            (None, _) => self.violate(at, "must be an object of permissions"),
        }
    }

    fn member(&mut self, group: &str, name: &str, value: &Value, at: &str) {
        let below = || format!("{group}.{name}");
        match (name, value) {
            (STAR | GROWING, Value::Bool(false)) => {}
            (STAR, Value::Bool(true)) => {
                self.selected.ids.extend(self.own.live_below(group).map(|row| row.id));
            }
            (GROWING, Value::Bool(true)) if self.may_grow => self.selected.grows.push(group.into()),
            (GROWING, Value::Bool(true)) => {
                self.violate(at, "grows with the catalogue, so only a session may grant it; use \"*\"");
            }
            (STAR | GROWING, _) => self.violate(at, "must be a boolean"),
            _ if self.own.find(&below()).is_some() || self.own.is_group(&below()) => {
                self.child(&below(), value, at);
            }
            _ => self.violate(at, "is no permission"),
        }
    }

    fn violate(&mut self, instance_path: &str, message: &str) {
        if self.violations.len() < MAX_VIOLATIONS {
            let instance_path = instance_path.to_owned();
            self.violations.push(Violation { instance_path, message: message.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests;
