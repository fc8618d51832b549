//! Containers through the real router on a real database, with an engine that does what a test says. The real engine
//! is in the tests of the binary.

#![expect(clippy::unwrap_used, reason = "the helpers of tests, too, end at the first surprise")]
#![expect(clippy::print_stderr, reason = "why a test did not run")]

#[expect(dead_code, unused_macros, unused_imports, reason = "the service's own tests use the rest")]
#[path = "../../../service/tests/it/support.rs"]
mod support;

mod document;
mod engine;
mod faults;
mod lifecycle;
mod permissions;
mod snapshots;
mod stage;
mod terminals;
