//! The service through its real router on a real database, on both engines. One file a noun.

#![expect(clippy::unwrap_used, reason = "the helpers of tests, too, end at the first surprise")]
#![expect(clippy::print_stderr, reason = "why a test did not run")]

mod support;

mod activity;
mod activity_log;
mod activity_shape;
mod alerts;
mod audit;
mod bad_input;
mod cache;
mod clock;
mod connections;
mod credential_races;
mod customers;
mod delegation;
mod device;
mod device_page;
mod documents;
mod event_streams;
mod events;
mod explain;
mod freshness;
mod gate_auth;
mod gates;
mod history;
mod hot;
mod input_threats;
mod keys;
mod limits;
mod matrix;
mod meta;
mod mutations;
mod name_threats;
mod newer_node;
mod nodes;
mod openapi;
mod own_permissions;
mod pkce;
mod postgres;
mod projects;
mod routes;
mod sessions;
mod shapes;
mod signup;
mod signup_mail;
mod threats;
mod threats_secrets;
mod token_acting;
mod token_life;
mod token_profiles;
mod token_realms;
mod token_sequences;
mod tokens;
mod two_factor;
mod two_nodes;
mod upgrade;
mod usage;
mod users;
mod vault;
mod webhooks;
mod writes;
