//! The steps of a plan, and what they do to the rows.

use super::super::{Alias, OwnId, Row, Rows, State, TemplateRow};
use super::{Mode, Plan, PlanError};
use crate::time::Timestamp;

/// One change of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A leaf gets another path. The old one stays as an alias.
    Rename {
        /// The leaf.
        id: OwnId,
        /// Its path until now.
        from: String,
        /// Its path from now on.
        to: String,
    },
    /// A new leaf.
    Add {
        /// The number that it gets.
        id: OwnId,
        /// Its path.
        path: String,
        /// Whether it lets its holder change something.
        writes: bool,
        /// What it is for.
        description: String,
    },
    /// A removed leaf comes back under its own number.
    Restore {
        /// The leaf.
        id: OwnId,
        /// Its path.
        path: String,
        /// Whether it lets its holder change something.
        writes: bool,
        /// What it is for.
        description: String,
    },
    /// What is said of a leaf changes.
    Describe {
        /// The leaf.
        id: OwnId,
        /// Its path.
        path: String,
        /// Whether it lets its holder change something.
        writes: bool,
        /// What it is for.
        description: String,
    },
    /// A leaf cannot be granted any more.
    Retire {
        /// The leaf.
        id: OwnId,
        /// Its path.
        path: String,
    },
    /// A retired leaf can be granted again.
    Revive {
        /// The leaf.
        id: OwnId,
        /// Its path.
        path: String,
    },
    /// A leaf goes. Its number and path stay taken.
    Remove {
        /// The leaf.
        id: OwnId,
        /// Its path.
        path: String,
    },
    /// A new template.
    AddTemplate(TemplateRow),
    /// A template grants or says something else. Tokens that were made from it keep what they hold.
    ChangeTemplate(TemplateRow),
    /// A template goes.
    RemoveTemplate {
        /// Its name.
        name: String,
    },
}

impl Step {
    /// The narrowest mode that does it.
    #[must_use]
    pub const fn needs(&self) -> Mode {
        match self {
            Self::Add { .. } | Self::Restore { .. } | Self::AddTemplate(_) => Mode::Add,
            Self::Describe { .. } | Self::ChangeTemplate(_) => Mode::Apply,
            Self::Rename { .. }
            | Self::Retire { .. }
            | Self::Revive { .. }
            | Self::Remove { .. }
            | Self::RemoveTemplate { .. } => Mode::Prune,
        }
    }

    pub(super) const fn order(&self) -> u8 {
        match self {
            Self::Remove { .. } => 0,
            Self::Rename { .. } => 1,
            Self::Add { .. } | Self::Restore { .. } => 2,
            _ => 3,
        }
    }
}

/// The rows after a plan, one version further unless it changes nothing.
///
/// # Errors
/// [`PlanError::Outdated`] when the plan was made on another version, or names a leaf that is not there.
pub fn apply(rows: &Rows, plan: &Plan, now: Timestamp) -> Result<Rows, PlanError> {
    if plan.base != rows.version {
        return Err(PlanError::Outdated);
    }
    let mut next = rows.clone();
    for step in &plan.steps {
        take(&mut next, step, now)?;
    }
    if !plan.is_empty() {
        next.version += 1;
    }
    Ok(next)
}

fn take(rows: &mut Rows, step: &Step, now: Timestamp) -> Result<(), PlanError> {
    match step {
        Step::Add { id, path, writes, description } => rows.leaves.push(Row {
            id: *id,
            path: path.clone(),
            writes: *writes,
            description: description.clone(),
            state: State::Live,
            since: now,
        }),
        Step::Restore { id, writes, description, .. } => {
            let row = row(rows, *id)?;
            (row.state, row.since) = (State::Live, now);
            (row.writes, row.description) = (*writes, description.clone());
        }
        Step::Describe { id, writes, description, .. } => {
            let row = row(rows, *id)?;
            (row.writes, row.description) = (*writes, description.clone());
        }
        Step::Rename { id, from, to } => {
            row(rows, *id)?.path.clone_from(to);
            rows.aliases.retain(|alias| alias.path != *to);
            rows.aliases.push(Alias { path: from.clone(), id: *id });
        }
        Step::Retire { id, .. } => row(rows, *id)?.state = State::Retired,
        Step::Revive { id, .. } => row(rows, *id)?.state = State::Live,
        Step::Remove { id, .. } => {
            row(rows, *id)?.state = State::Removed;
            for template in &mut rows.templates {
                template.own.remove(*id);
            }
        }
        Step::AddTemplate(template) => rows.templates.push(template.clone()),
        Step::ChangeTemplate(template) => {
            let stored = rows.templates.iter_mut().find(|stored| stored.name == template.name);
            *stored.ok_or(PlanError::Outdated)? = template.clone();
        }
        Step::RemoveTemplate { name } => rows.templates.retain(|stored| stored.name != *name),
    }
    Ok(())
}

fn row(rows: &mut Rows, id: OwnId) -> Result<&mut Row, PlanError> {
    rows.leaves.iter_mut().find(|row| row.id == id).ok_or(PlanError::Outdated)
}
