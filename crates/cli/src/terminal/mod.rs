//! What people see and are asked: the only folder that prints.

pub mod cell;
pub mod failure;
mod format;
pub mod output;
pub(crate) mod printable;
pub(crate) mod process;
pub mod prompt;
mod stdout;

pub use self::process::usage;
