//! The console through the real router on a real database, on both engines, as a browser without script sees
//! it.

#![expect(clippy::unwrap_used, reason = "the helpers of tests, too, end at the first surprise")]
#![expect(clippy::print_stderr, reason = "why a test did not run")]

mod account;
mod attacks;
mod pages;
mod sign_in;
mod step_up;
mod support;
mod tokens;
mod vault;
mod webhooks;
