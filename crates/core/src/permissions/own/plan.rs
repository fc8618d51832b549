//! From a file to a change: what would be done ([`plan`]), and doing it ([`apply`]).

mod error;
mod steps;

pub use error::{InUse, PlanError, Uses};
pub use steps::{Step, apply};

use std::collections::HashSet;

use super::rows::groups;
use super::{File, FileLeaf, FileTemplate, OwnId, Row, Rows, RowsError, State, TemplateRow};
use crate::permissions::{Catalogue, PermissionSet, Selected};
use crate::time::Timestamp;

/// How much of a file is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Leaves and templates are added: what `serve --permissions` does.
    Add,
    /// Descriptions and templates are changed too.
    Apply,
    /// The catalogue becomes what the file says: what the file renames, retires or leaves out is renamed,
    /// retired or removed.
    Prune,
}

/// What a file changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The version that it was made on. On another one it is made again.
    pub base: u64,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// What the file says and this mode leaves undone.
    pub withheld: Vec<Withheld>,
    /// Entries of the file that use an old name, and the name of today.
    pub deprecated: Vec<(String, String)>,
}

/// A step that needs a wider mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// What is not done.
    pub step: Step,
    /// The mode that does it.
    pub needs: Mode,
}

impl Plan {
    fn on(rows: &Rows) -> Self {
        Self { base: rows.version, steps: Vec::new(), withheld: Vec::new(), deprecated: Vec::new() }
    }

    fn push(&mut self, step: Step, mode: Mode) {
        let needs = step.needs();
        if needs <= mode { self.steps.push(step) } else { self.withheld.push(Withheld { step, needs }) }
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The leaves that it removes, with their paths.
    pub fn removed(&self) -> impl Iterator<Item = (OwnId, &str)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Remove { id, path } => Some((*id, path.as_str())),
            _ => None,
        })
    }

    /// Refuses to remove what tokens hold, unless `force` says that they lose it. `uses` has an entry for
    /// each leaf of [`Plan::removed`] that is held.
    ///
    /// # Errors
    /// The first removed leaf that is held.
    pub fn refuse_in_use(&self, uses: &[(OwnId, Uses)], force: bool) -> Result<(), InUse> {
        let held = self.removed().find_map(|(id, path)| {
            let (_, uses) = uses.iter().find(|(used, uses)| *used == id && uses.count > 0)?;
            Some(InUse { path: path.to_owned(), uses: uses.clone() })
        });
        if force { Ok(()) } else { held.map_or(Ok(()), Err) }
    }
}

/// What a file changes in `rows`.
///
/// # Errors
/// A path that belongs to another leaf, rows that would be no catalogue, or a template that names what does
/// not exist.
pub fn plan(
    rows: &Rows,
    file: &File,
    hoody: &Catalogue,
    mode: Mode,
    now: Timestamp,
) -> Result<Plan, PlanError> {
    let mut plan = Plan::on(rows);
    let mut mentioned = HashSet::new();
    let mut last = rows.leaves.iter().map(|row| row.id.number()).max().unwrap_or(0);
    for leaf in &file.leaves {
        let id = match known(rows, leaf, &mut plan)? {
            Some(row) => {
                revise(row, leaf, &mut plan, mode);
                row.id
            }
            None => {
                last = last.checked_add(1).ok_or(PlanError::OutOfNumbers)?;
                let id = OwnId::new(last).ok_or(PlanError::OutOfNumbers)?;
                let FileLeaf { path, writes, description, .. } = leaf.clone();
                plan.push(Step::Add { id, path, writes, description }, mode);
                if leaf.retired {
                    plan.push(Step::Retire { id, path: leaf.path.clone() }, mode);
                }
                id
            }
        };
        if !mentioned.insert(id) {
            return Err(PlanError::ListedTwice(leaf.path.clone()));
        }
    }
    let gone = rows.leaves.iter().filter(|row| row.state != State::Removed && !mentioned.contains(&row.id));
    for row in gone {
        plan.push(Step::Remove { id: row.id, path: row.path.clone() }, mode);
    }
    // Renames make room for names that are added: a step never meets a name that a later one frees.
    plan.steps.sort_by_key(Step::order);
    plan_templates(rows, file, hoody, mode, now, &mut plan)?;
    apply(rows, &plan, now)?.check(hoody)?;
    Ok(plan)
}

/// The change that stops leaves from being granted.
///
/// # Errors
/// [`PlanError::Unknown`] for a path that names no leaf.
pub fn retire(rows: &Rows, paths: &[&str]) -> Result<Plan, PlanError> {
    let mut plan = Plan::on(rows);
    for path in paths {
        let row = rows.by_path(path).or_else(|| rows.by_alias(path));
        let row = row.filter(|row| row.state != State::Removed);
        let row = row.ok_or_else(|| PlanError::Unknown((*path).to_owned()))?;
        if row.state == State::Live {
            plan.push(Step::Retire { id: row.id, path: row.path.clone() }, Mode::Prune);
        }
    }
    Ok(plan)
}

/// The stored leaf that an entry of the file means; `None` for a new one.
fn known<'a>(rows: &'a Rows, leaf: &FileLeaf, plan: &mut Plan) -> Result<Option<&'a Row>, PlanError> {
    let from = leaf.renamed_from.as_deref().and_then(|old| rows.by_path(old));
    let from = from.filter(|row| row.state != State::Removed);
    let aliased = rows.by_alias(&leaf.path);
    match (rows.by_path(&leaf.path), from, aliased) {
        (Some(row), Some(from), _) => {
            Err(PlanError::RenameTaken { path: row.path.clone(), from: from.path.clone() })
        }
        (Some(row), None, _) => Ok(Some(row)),
        // Back to a name that it had.
        (None, Some(from), Some(aliased)) if from.id == aliased.id => Ok(Some(from)),
        (None, Some(from), None) => Ok(Some(from)),
        (None, _, Some(aliased)) if aliased.state == State::Removed => {
            Err(PlanError::TakenByOldName { path: leaf.path.clone(), now: aliased.path.clone() })
        }
        (None, Some(_), Some(aliased)) => {
            Err(PlanError::TakenByOldName { path: leaf.path.clone(), now: aliased.path.clone() })
        }
        // An old file: it means the leaf that had this name, and is told.
        (None, None, Some(aliased)) => {
            plan.deprecated.push((leaf.path.clone(), aliased.path.clone()));
            Ok(Some(aliased))
        }
        (None, None, None) => Ok(None),
    }
}

/// The steps that make a stored leaf what the file says.
fn revise(row: &Row, leaf: &FileLeaf, plan: &mut Plan, mode: Mode) {
    let id = row.id;
    let is_deprecated = plan.deprecated.last().is_some_and(|(old, _)| *old == leaf.path);
    if row.state == State::Removed {
        let FileLeaf { path, writes, description, .. } = leaf.clone();
        plan.push(Step::Restore { id, path, writes, description }, mode);
    } else {
        if row.path != leaf.path && !is_deprecated {
            plan.push(Step::Rename { id, from: row.path.clone(), to: leaf.path.clone() }, mode);
        }
        if (row.description.as_str(), row.writes) != (leaf.description.as_str(), leaf.writes) {
            let FileLeaf { path, writes, description, .. } = leaf.clone();
            plan.push(Step::Describe { id, path, writes, description }, mode);
        }
    }
    match (row.state, leaf.retired) {
        (State::Live | State::Removed, true) => {
            plan.push(Step::Retire { id, path: leaf.path.clone() }, mode);
        }
        (State::Retired, false) => plan.push(Step::Revive { id, path: leaf.path.clone() }, mode),
        _ => {}
    }
}

fn plan_templates(
    rows: &Rows,
    file: &File,
    hoody: &Catalogue,
    mode: Mode,
    now: Timestamp,
    plan: &mut Plan,
) -> Result<(), PlanError> {
    // A rename that this mode leaves undone still says which leaf the file means.
    let renames = plan.withheld.iter().map(|withheld| &withheld.step);
    let renames = renames.filter(|step| matches!(step, Step::Rename { .. })).cloned();
    let steps = plan.steps.iter().cloned().chain(renames).collect();
    let then = apply(rows, &Plan { steps, ..Plan::on(rows) }, now)?;
    for template in &file.templates {
        let row = template_row(&then, template, hoody)?;
        match rows.templates.iter().find(|stored| stored.name == template.name) {
            None => plan.push(Step::AddTemplate(row), mode),
            Some(stored) if *stored != row => plan.push(Step::ChangeTemplate(row), mode),
            Some(_) => {}
        }
    }
    let listed = |name: &str| file.templates.iter().any(|template| template.name == name);
    for stored in rows.templates.iter().filter(|stored| !listed(&stored.name)) {
        plan.push(Step::RemoveTemplate { name: stored.name.clone() }, mode);
    }
    Ok(())
}

/// A template with its paths and groups expanded: leaves that are added later are not in it.
fn template_row(then: &Rows, template: &FileTemplate, hoody: &Catalogue) -> Result<TemplateRow, PlanError> {
    let mut own = Vec::new();
    let mut of_hoody = PermissionSet::EMPTY;
    for path in &template.permissions {
        let unknown = || PlanError::TemplateNames { template: template.name.clone(), path: path.clone() };
        if let Some(group) = path.strip_suffix(".*") {
            let live = then.leaves.iter().filter(|row| row.state == State::Live);
            let below: Vec<OwnId> =
                live.filter(|row| groups(&row.path).any(|of| of == group)).map(|row| row.id).collect();
            if below.is_empty() {
                return Err(unknown());
            }
            own.extend(below);
            continue;
        }
        match (hoody.leaf(path), then.by_path(path).or_else(|| then.by_alias(path))) {
            (Some(leaf), _) if hoody.grantable(PermissionSet::EMPTY.with(leaf)).has(leaf) => {
                of_hoody = of_hoody.with(leaf);
            }
            (None, Some(row)) if row.state == State::Live => own.push(row.id),
            _ => return Err(unknown()),
        }
    }
    Ok(TemplateRow {
        name: template.name.clone(),
        description: template.description.clone(),
        hoody: hoody.to_paths(of_hoody),
        own: Selected::of(own),
    })
}

impl From<RowsError> for PlanError {
    fn from(error: RowsError) -> Self {
        Self::Rows(error)
    }
}

#[cfg(test)]
mod tests;
