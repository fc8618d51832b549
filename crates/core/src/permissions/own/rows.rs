//! The catalogue of own leaves as it is stored, and what must hold between its rows.

use std::collections::{HashMap, HashSet};

use super::super::{Catalogue, is_path};
use super::{MAX_OWN, MAX_TEMPLATES, OwnId};
use crate::permissions::Selected;
use crate::time::Timestamp;

/// Whether a leaf can be granted and checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It can be granted and is checked.
    Live,
    /// It cannot be granted any more. Who holds it holds it, and it is checked.
    Retired,
    /// It is gone. Only its path and number stay, so that nothing else gets them.
    Removed,
}

/// One leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number, for ever.
    pub id: OwnId,
    /// Its name today, dotted.
    pub path: String,
    /// Whether it lets its holder change something in the operator's service. It never counts as writing
    /// for hoody's own API.
    pub writes: bool,
    /// What it is for, in words for people.
    pub description: String,
    /// Whether it can be granted and checked.
    pub state: State,
    /// When it was added, or came back.
    pub since: Timestamp,
}

/// A name that a leaf had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The old path.
    pub path: String,
    /// The leaf that it names.
    pub id: OwnId,
}

/// One template of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateRow {
    /// What a request calls it.
    pub name: String,
    /// What it is for, in words for people.
    pub description: String,
    /// The paths of hoody's own leaves that it grants, joined by commas.
    pub hoody: String,
    /// The own leaves that it grants.
    pub own: Selected,
}

/// All of it. The version grows by one with each change that is applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    /// Which state of the catalogue this is; 0 before the first.
    pub version: u64,
    /// The leaves, removed ones too, in any order.
    pub leaves: Vec<Row>,
    /// The old names.
    pub aliases: Vec<Alias>,
    /// The templates.
    pub templates: Vec<TemplateRow>,
}

/// Rows that are no catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    /// The path is malformed.
    #[error(
        "permission {0}: a path has 1 to 8 segments joined by dots, each of lower-case letters, digits and \
         underscores, beginning with a letter"
    )]
    BadPath(String),
    /// The first segment belongs to hoody's own tree.
    #[error("permission {path}: the first segment {segment} is reserved for hoody; choose another one")]
    Reserved {
        /// The path.
        path: String,
        /// Its first segment.
        segment: String,
    },
    /// Two leaves with one number.
    #[error("two permissions have the number {0}")]
    SameId(OwnId),
    /// Two leaves, or a leaf and an old name of another one, have the same path.
    #[error("permission {0}: another permission has this path, or had it before")]
    Taken(String),
    /// A path that is a leaf and also has leaves below it.
    #[error("permission {0}: it is both a permission and a group of permissions")]
    LeafAndBranch(String),
    /// Too many leaves.
    #[error("there are {0} permissions, live and retired; the limit is {MAX_OWN}")]
    TooMany(usize),
    /// Too many templates.
    #[error("there are {0} templates; the limit is {MAX_TEMPLATES}")]
    TooManyTemplates(usize),
    /// Two templates of one name.
    #[error("template {0}: another template has this name")]
    TemplateTaken(String),
    /// An old name of a leaf that does not exist.
    #[error("the old name {0} belongs to no permission")]
    StrayAlias(String),
}

impl Rows {
    /// The leaf with this number, removed or not.
    #[must_use]
    pub fn leaf(&self, id: OwnId) -> Option<&Row> {
        self.leaves.iter().find(|row| row.id == id)
    }

    /// The leaf that has this path today, removed or not.
    pub(super) fn by_path(&self, path: &str) -> Option<&Row> {
        self.leaves.iter().find(|row| row.path == path)
    }

    /// The leaf that had this path before.
    pub(super) fn by_alias(&self, path: &str) -> Option<&Row> {
        let alias = self.aliases.iter().find(|alias| alias.path == path)?;
        self.leaf(alias.id)
    }

    /// Checks what must hold between the rows, and against hoody's own tree.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, hoody: &Catalogue) -> Result<(), RowsError> {
        let kept = self.leaves.iter().filter(|row| row.state != State::Removed).count();
        if kept > MAX_OWN {
            return Err(RowsError::TooMany(kept));
        }
        if self.templates.len() > MAX_TEMPLATES {
            return Err(RowsError::TooManyTemplates(self.templates.len()));
        }
        let mut numbers = HashSet::new();
        for row in &self.leaves {
            if !numbers.insert(row.id) {
                return Err(RowsError::SameId(row.id));
            }
        }
        if let Some(stray) = self.aliases.iter().find(|alias| !numbers.contains(&alias.id)) {
            return Err(RowsError::StrayAlias(stray.path.clone()));
        }
        self.check_paths(hoody)?;
        let mut names = HashSet::new();
        for template in &self.templates {
            if !names.insert(template.name.as_str()) || hoody.template(&template.name).is_some() {
                return Err(RowsError::TemplateTaken(template.name.clone()));
            }
        }
        Ok(())
    }

    fn check_paths(&self, hoody: &Catalogue) -> Result<(), RowsError> {
        let reserved = reserved(hoody);
        let mut owners: HashMap<&str, OwnId> = HashMap::new();
        let names = self.leaves.iter().map(|row| (row.path.as_str(), row.id));
        for (path, id) in names.chain(self.aliases.iter().map(|alias| (alias.path.as_str(), alias.id))) {
            if !is_path(path) {
                return Err(RowsError::BadPath(path.to_owned()));
            }
            let segment = first_segment(path);
            if reserved.contains(segment) {
                return Err(RowsError::Reserved { path: path.to_owned(), segment: segment.to_owned() });
            }
            if owners.insert(path, id).is_some() {
                return Err(RowsError::Taken(path.to_owned()));
            }
        }
        // A removed path that is in the way of a new one is nobody's loss: it does not come back while it is.
        let gone = |path: &str| self.by_path(path).is_some_and(|row| row.state == State::Removed);
        let named: Vec<&str> = owners.keys().copied().filter(|path| !gone(path)).collect();
        let leaves: HashSet<&str> = named.iter().copied().collect();
        for path in named {
            if let Some(group) = groups(path).find(|group| leaves.contains(group)) {
                return Err(RowsError::LeafAndBranch(group.to_owned()));
            }
        }
        Ok(())
    }
}

/// The first segments that hoody's own tree has: no path of the operator's begins with one.
pub(in crate::permissions) fn reserved(hoody: &Catalogue) -> HashSet<&str> {
    hoody.leaves().map(|(_, leaf)| first_segment(&leaf.path)).collect()
}

pub(in crate::permissions) fn first_segment(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// The groups that a path lies in: `a` and `a.b` of `a.b.c`.
pub(super) fn groups(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('.').map(|(at, _)| &path[..at])
}
