//! What is wrong with a request, as the contract says it: one of its codes with 400, or a list of
//! schema violations with 422 (`design.md` 4, *Statuses*).

use serde::{Deserialize, Serialize};

/// A request that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// One rule of the contract's code table: 400.
    Rule {
        /// The machine code, e.g. `INVALID_ALIAS_FORMAT`.
        code: &'static str,
        /// Names the field and the rule.
        message: String,
    },
    /// Wrong types, unknown keys, values outside an enumeration: 422 with these in `data`.
    Schema(Vec<Violation>),
}

/// One place in a body or query that its schema rejects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Violation {
    /// JSON pointer to the value (RFC 6901), e.g. `/permissions/projects/read`.
    #[serde(rename = "instancePath")]
    pub instance_path: String,
    /// The rule that it breaks.
    pub message: String,
}

impl Invalid {
    /// The rule named by `code` is broken; `message` names field and rule.
    #[must_use]
    pub fn rule(code: &'static str, message: impl Into<String>) -> Self {
        Self::Rule { code, message: message.into() }
    }

    /// A field's value breaks a rule that has no code of its own: 400 `VALIDATION_ERROR`.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Self {
        Self::rule("VALIDATION_ERROR", message)
    }

    /// A required field is absent: 400 `MISSING_REQUIRED_FIELD`.
    #[must_use]
    pub fn missing(field: &str) -> Self {
        Self::rule("MISSING_REQUIRED_FIELD", format!("Missing required field: {field}"))
    }

    /// What `field` holds is no id: 400 `INVALID_ID_FORMAT`.
    #[must_use]
    pub fn id_format(field: &str) -> Self {
        let message = format!("Invalid ID format: {field} must be 24 lowercase hex digits");
        Self::rule("INVALID_ID_FORMAT", message)
    }

    /// One schema violation at `instance_path`.
    #[must_use]
    pub fn schema(instance_path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Schema(vec![Violation { instance_path: instance_path.into(), message: message.into() }])
    }
}
