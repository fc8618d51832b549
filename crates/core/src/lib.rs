//! The rules of hoody: what a credential looks like, what it may do, and what a request must contain.
//!
//! Everything here is pure. Time and randomness come in as values; there are no sockets, no files, no
//! clock and no random source, so that every rule can be tested, fuzzed and reused as it stands.
//! What goes over the wire is in [`wire`]; the one decision is [`grant::decide`].

#![warn(missing_docs)]

pub mod acting;
pub mod activity;
pub mod address;
pub mod alert;
pub mod audit;
pub mod backoff;
pub mod causes;
pub mod container;
pub mod device;
pub mod event;
pub mod expiry;
pub mod explain;
pub mod extras;
pub mod grant;
pub mod host;
pub mod id;
pub mod invalid;
pub mod json;
pub mod keys;
pub mod lineage;
pub mod memory;
pub mod names;
pub mod one_time;
pub mod password;
pub mod permissions;
pub mod pkce;
#[doc(hidden)]
pub mod properties;
pub mod refusal;
pub mod rotation;
pub mod seal;
pub mod secret;
pub mod secret_text;
pub mod session;
pub mod time;
pub mod token;
pub mod token_notes;
pub mod totp;
pub mod webhook;
pub mod wire;
