//! Why a file is not applied.

use super::super::RowsError;
use crate::id::TokenId;

/// A file that cannot be applied as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// What would result is no catalogue.
    #[error("{0}")]
    Rows(RowsError),
    /// The path was another leaf's.
    #[error(
        "permission {path}: this path is an old name of {now}, and tokens may still use it; choose another path"
    )]
    TakenByOldName {
        /// The path of the file.
        path: String,
        /// What the leaf that had it is called now.
        now: String,
    },
    /// A rename to a path that another leaf has.
    #[error(
        "permission {path}: it exists already, so {from} cannot be renamed to it; remove renamed_from, or choose \
         another path"
    )]
    RenameTaken {
        /// The new path.
        path: String,
        /// The leaf that should get it.
        from: String,
    },
    /// Two entries of the file mean the same leaf.
    #[error("permission {0}: another entry of the file means the same permission under another name")]
    ListedTwice(String),
    /// No leaf has this path.
    #[error("permission {0}: unknown permission")]
    Unknown(String),
    /// A template names a leaf that does not exist or cannot be granted.
    #[error("template {template}: {path} is no permission that can be granted")]
    TemplateNames {
        /// The template.
        template: String,
        /// What it names.
        path: String,
    },
    /// The catalogue changed after the plan was made.
    #[error("the permissions have changed since this plan was made; make the plan again")]
    Outdated,
    /// Each number is given out once, and all are given out.
    #[error("no number is left for another permission: 65535 have been added in all")]
    OutOfNumbers,
}

impl PlanError {
    /// The machine code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TakenByOldName { .. } | Self::RenameTaken { .. } | Self::Rows(RowsError::Taken(_)) => {
                "PERMISSION_TAKEN"
            }
            Self::Outdated => "PERMISSIONS_CHANGED",
            _ => "VALIDATION_ERROR",
        }
    }

    /// Whether it is a conflict with what is stored (409), rather than a fault of the file (400).
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code() != "VALIDATION_ERROR"
    }
}

/// Who holds a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uses {
    /// How many tokens.
    pub count: u64,
    /// Some of them, at most [`Uses::MAX_EXAMPLES`].
    pub examples: Vec<TokenId>,
}

impl Uses {
    /// The most examples that are shown.
    pub const MAX_EXAMPLES: usize = 20;
}

/// A leaf that would be removed is held: 409 `PERMISSION_IN_USE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "permission {path}: {} token{} it; retire it instead, or remove it from all of them with --force",
    uses.count,
    if uses.count == 1 { " holds" } else { "s hold" }
)]
pub struct InUse {
    /// The leaf.
    pub path: String,
    /// Who holds it.
    pub uses: Uses,
}

impl InUse {
    /// The machine code.
    pub const CODE: &'static str = "PERMISSION_IN_USE";
}
