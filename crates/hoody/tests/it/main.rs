//! The service through its real router on a real database, on both engines. One file a noun.

mod support;

mod bad_input;
mod input_threats;
mod openapi;
mod projects;
mod sessions;
mod shapes;
mod token_acting;
mod token_life;
mod token_profiles;
mod token_realms;
mod token_sequences;
mod tokens;
mod users;
