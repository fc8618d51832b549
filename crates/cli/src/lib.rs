//! The client's commands of `hoody`: a thin layer over [`hoody_client`].
//!
//! [`ClientCommand`] is flattened into a command line of clap, [`with_client_flags`] adds the flags that every
//! group takes, and [`run`] runs a command to its exit code. [`terminal`] is what the service's own commands
//! print and ask with too.

mod commands;
mod context;
pub mod terminal;

#[cfg(test)]
mod tests;

pub use commands::{ClientCommand, run};
pub use context::Random;
pub use context::flags::{ClientFlags, Share, with_client_flags};
pub use context::settings::DEFAULT_BASE_URL;
