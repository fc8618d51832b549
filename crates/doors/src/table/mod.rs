//! Gates: what a proxy asks before it lets a request through to another service.
//!
//! A [`Definition`] is what somebody writes and what is stored. A [`Gate`] is made of it for deciding: it
//! finds the row of a request without allocating. Where no row matches, nobody comes in.

mod compile;
mod conflicts;
mod definition;
mod lint;
mod pattern;
mod write;

pub use compile::{Gate, Need, Row};
pub use definition::{Accounts, Definition, Log, Needs, RealmRule, Route};
pub use lint::{Lint, Remark, lint};
pub use pattern::{Pattern, Segment};

/// The most gates of an account.
pub const MAX_GATES: usize = 100;
/// The most rows of a gate.
pub const MAX_ROUTES: usize = 1_000;
/// The most hosts of a gate.
pub const MAX_HOSTS: usize = 64;
/// The most methods of a row, and permissions of a list.
pub const MAX_LISTED: usize = 32;
/// The most different methods of a gate.
pub const MAX_METHODS: usize = 64;
/// The most accounts that a gate names.
pub const MAX_ACCOUNTS: usize = 1_000;
/// The most that one request may cost.
pub const MAX_COST: u32 = 1_000_000;
