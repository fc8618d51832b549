//! The built binary from the outside: started, asked, killed, as its operator and its clients do.

#![expect(clippy::unwrap_used, reason = "the helpers of tests, too, end at the first surprise")]
#![expect(clippy::print_stderr, reason = "what was measured, and why a test did not run")]

mod support;

mod activity;
mod admin;
mod agents;
mod alerts;
mod audit;
mod browser;
mod caution;
mod cli;
mod cluster;
mod console;
mod crash;
mod disk;
mod events;
mod faults;
mod gates;
mod keys;
mod limits;
mod logs;
mod mail;
mod nodes;
mod permissions;
mod seeds;
mod serve;
mod soak;
mod standby;
mod terminal;
mod tls;
