//! The service through its real router on a real database, on both engines. One file a noun.

mod support;

mod projects;
mod sessions;
