//! The operator's own permissions: leaves of other services than hoody, kept as data.
//!
//! Hoody's tree is in the code; these come from a file that the operator applies ([`File`], [`plan()`]) and
//! are stored as [`Rows`]. A leaf is a number that is never given out twice. Its path is only its name: a
//! rename keeps the old one as an alias for ever, and a removed path comes back under its own number or not
//! at all. So nothing that names a leaf somewhere gains another one by accident.

mod catalogue;
mod file;
mod plan;
mod rows;
mod set;

pub use catalogue::{Found, OwnCatalogue, OwnTemplate};
pub use file::{File, FileLeaf, FileTemplate};
pub use plan::{InUse, Mode, Plan, PlanError, Step, Uses, Withheld, apply, plan, retire};
pub use rows::{Alias, Row, Rows, RowsError, State, TemplateRow};
pub use set::{Interner, OwnId, OwnSet};

/// The most own leaves, live and retired. Removed ones do not count.
pub const MAX_OWN: usize = 1024;
/// The most templates of the operator.
pub const MAX_TEMPLATES: usize = 64;
/// The most characters of a description.
pub const MAX_DESCRIPTION: usize = 255;
