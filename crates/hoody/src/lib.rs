//! The service and the command line of hoody. The binary is [`run`]; everything else is here so that
//! tests can reach it. ARCHITECTURE.md draws the house.

mod activity;
mod alerts;
mod app;
mod audit;
mod cli;
mod clock;
mod config;
mod db;
mod device;
mod error;
mod events;
mod feed;
mod files;
mod gate;
mod grants;
mod history;
mod http;
mod jobs;
mod keys;
mod limits;
mod mail;
mod nodes;
mod pkce;
mod projects;
mod realms;
mod sessions;
mod shares;
mod signup;
mod tasks;
mod telemetry;
#[doc(hidden)]
pub mod testing;
mod tokens;
mod two_factor;
mod users;
mod vault;
mod webhooks;
mod work;

pub use cli::run;
pub use http::router::openapi;
