//! The nouns of the service, one folder each. [`nouns`] lists them and puts them together.

pub mod account;
pub mod activity;
pub mod alerts;
pub mod audit;
mod document;
pub mod events;
pub mod gate;
pub mod gates;
pub mod history;
pub mod mail;
pub mod meta;
pub mod nouns;
pub mod oauth;
mod parameters;
pub mod permissions;
pub mod probes;
pub mod projects;
pub mod realms;
pub mod rotation;
pub mod sign_in;
pub mod signup;
#[doc(hidden)]
pub mod testing;
pub mod tokens;
pub mod users;
pub mod utilities;
pub mod vault;
pub mod webhooks;
pub mod wing;

pub use nouns::openapi;
