//! Own leaves made ready to be looked up.

use std::collections::{HashMap, HashSet};

use super::super::{Catalogue, PermissionSet, Selected};
use super::rows::groups;
use super::{OwnId, OwnSet, Row, Rows, RowsError, State};
use crate::time::Timestamp;

/// The operator's leaves and templates at one version. A value: a node makes a new one when the version
/// moves.
#[derive(Debug, Clone, Default)]
pub struct OwnCatalogue {
    version: u64,
    /// Live and retired leaves, by number.
    leaves: Vec<Row>,
    /// Paths and old paths.
    names: HashMap<Box<str>, Name>,
    /// The groups that a path or an old path lies in.
    groups: HashSet<Box<str>>,
    templates: Vec<OwnTemplate>,
}

#[derive(Debug, Clone, Copy)]
struct Name {
    id: OwnId,
    is_alias: bool,
}

/// A named set that can be asked for when a token is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTemplate {
    /// What a request calls it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it grants of hoody's own leaves.
    pub hoody: PermissionSet,
    /// What it grants of the operator's.
    pub own: Selected,
}

/// What a path names.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The leaf, live or retired.
    pub leaf: &'a Row,
    /// Whether the path is an old name. It works for ever, and whoever uses it is told `deprecated`.
    pub is_deprecated: bool,
}

impl OwnCatalogue {
    /// The catalogue of these rows.
    ///
    /// # Errors
    /// The first rule that the rows break.
    pub fn new(rows: Rows, hoody: &Catalogue) -> Result<Self, RowsError> {
        rows.check(hoody)?;
        let mut leaves: Vec<Row> =
            rows.leaves.into_iter().filter(|row| row.state != State::Removed).collect();
        leaves.sort_unstable_by_key(|row| row.id);
        let current = leaves.iter().map(|row| (row.path.as_str(), Name { id: row.id, is_alias: false }));
        let kept = |id| leaves.binary_search_by_key(&id, |row| row.id).is_ok();
        let old = rows.aliases.iter().filter(|alias| kept(alias.id));
        let old = old.map(|alias| (alias.path.as_str(), Name { id: alias.id, is_alias: true }));
        let names: HashMap<Box<str>, Name> =
            current.chain(old).map(|(path, name)| (path.into(), name)).collect();
        let groups = names.keys().flat_map(|path| groups(path)).map(Into::into).collect();
        let templates = rows.templates.into_iter().map(|row| OwnTemplate {
            hoody: hoody.grantable(hoody.parse_paths(&row.hoody)),
            name: row.name,
            description: row.description,
            own: row.own,
        });
        let templates = templates.collect();
        Ok(Self { version: rows.version, leaves, names, groups, templates })
    }

    /// Which state of the catalogue this is.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The leaf that a path or an old path names. One hash, no allocation.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Found<'_>> {
        let name = self.names.get(path)?;
        Some(Found { leaf: self.leaf(name.id)?, is_deprecated: name.is_alias })
    }

    /// The live or retired leaf with this number.
    #[must_use]
    pub fn leaf(&self, id: OwnId) -> Option<&Row> {
        let at = self.leaves.binary_search_by_key(&id, |row| row.id).ok()?;
        self.leaves.get(at)
    }

    /// The path of a leaf today; empty for a leaf that this version lacks.
    #[must_use]
    pub fn path(&self, id: OwnId) -> &str {
        self.leaf(id).map_or("", |row| row.path.as_str())
    }

    /// The paths that a leaf had before, in order.
    #[must_use]
    pub fn old_paths(&self, id: OwnId) -> Vec<&str> {
        let old = self.names.iter().filter(|(_, name)| name.is_alias && name.id == id);
        let mut old: Vec<&str> = old.map(|(path, _)| &**path).collect();
        old.sort_unstable();
        old
    }

    /// The live and retired leaves, by number.
    #[must_use]
    pub fn leaves(&self) -> &[Row] {
        &self.leaves
    }

    /// Whether a path is a group: something lies below it, under a path or an old path.
    #[must_use]
    pub fn is_group(&self, path: &str) -> bool {
        self.groups.contains(path)
    }

    /// The live leaves below a group, at any depth.
    pub fn live_below<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Row> {
        self.below(group).filter(|row| row.state == State::Live)
    }

    fn below<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Row> {
        self.leaves
            .iter()
            .filter(move |row| row.path.strip_prefix(group).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The templates, in the order in which they are stored.
    #[must_use]
    pub fn templates(&self) -> &[OwnTemplate] {
        &self.templates
    }

    /// The template of this name.
    #[must_use]
    pub fn template(&self, name: &str) -> Option<&OwnTemplate> {
        self.templates.iter().find(|template| template.name == name)
    }

    /// What a stored selection holds at this version: its leaves, and what lies below the groups that grow.
    /// A leaf that this version lacks is left out.
    #[must_use]
    pub fn resolve(&self, selected: &Selected) -> OwnSet {
        let named = selected.ids().iter().copied().filter(|id| self.leaf(*id).is_some());
        let grown = selected.grows().flat_map(|group| self.below(group)).map(|row| row.id);
        named.chain(grown).collect()
    }

    /// The live leaves that were added after `since` beside what `held` has: in a group in which it holds
    /// something. A token made with `orders.*` does not gain them; this is what its owner is told.
    #[must_use]
    pub fn newer_than(&self, held: &OwnSet, since: Timestamp) -> Vec<OwnId> {
        let group = |id: OwnId| self.path(id).rsplit_once('.').map(|(group, _)| group);
        let groups: HashSet<&str> = held.ids().iter().filter_map(|id| group(*id)).collect();
        let newer = self.leaves.iter().filter(|row| {
            row.state == State::Live
                && row.since > since
                && !held.has(row.id)
                && groups
                    .iter()
                    .any(|group| row.path.strip_prefix(group).is_some_and(|rest| rest.starts_with('.')))
        });
        newer.map(|row| row.id).collect()
    }
}
