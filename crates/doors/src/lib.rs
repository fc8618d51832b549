//! The gate for other people's services, as far as it is pure.
//!
//! A proxy asks whether it may let a request through. What it asks is read here ([`ask`], [`grpc`]), looked up
//! in the operator's table ([`table`]) under the one canonical path ([`path`]), decided by [`judge::decide`], and
//! answered ([`answer`]). Credentials, the catalogue and the request log are the [`judge::Judge`]'s: this crate
//! knows no database, no clock and no sockets.

#![warn(missing_docs)]

pub mod answer;
pub mod ask;
pub mod door;
pub mod grpc;
pub mod identity;
pub mod judge;
pub mod path;
pub mod question;
pub mod refusal;
pub mod subject;
pub mod table;
