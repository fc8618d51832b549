//! Typed client of a hoody server, on the server's own wire types.
//!
//! A [`Client`] speaks to one base address with one credential. It asks again by itself where that is
//! safe: surely nothing was done, or doing it twice is doing it once. [`Error::is_outcome_unknown`] tells
//! when a change may have been made all the same. It follows no redirect, and never logs or prints a secret.
//! TLS is done by the program's default rustls provider, or else by ring, which becomes the default.
//! Everything it sends and gets is in [`wire`]; the calls are grouped as the routes are:
//! [`Client::tokens`], [`Client::projects`], [`Client::users`], [`Client::realms`], [`Client::vault`],
//! [`Client::two_factor`], [`Client::device`], [`Client::activity`], [`Client::events`],
//! [`Client::webhooks`], [`Client::alerts`], [`Client::containers`], and the sessions on the client itself.
//!
//! ```no_run
//! use hoody_client::{Client, wire::{CreateToken, Login, Secret}};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let anonymous = Client::builder("http://127.0.0.1:8080").build()?;
//! let login = Login { username: Some("ada".into()), password: Secret::new("…"), ..Login::default() };
//! let session = anonymous.login(&login).await?.into_session().expect("an account without a second factor");
//!
//! let client = anonymous.with_credential(&session.token)?;
//! let made = client.tokens().create(&CreateToken { alias: Some("ci".into()), ..CreateToken::default() }).await?;
//! let secret = made.token.expect("a new token shows its secret once");
//! client.with_credential(&secret)?.check("projects.read").await?;
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod api;
mod base;
mod call;
mod client;
mod error;
mod resolve;
mod retry;

pub use api::{
    Activity, ActivityList, ActivityQuery, AlertList, AlertQuery, Alerts, CommandOutput, CommandStream,
    ContainerQuery, Containers, Device, EventQuery, EventStream, Events, Gates, HistoryQuery, MemberQuery,
    Members, Poll, ProjectQuery, Projects, Realms, SecurityHistory, Snapshots, SortOrder, StreamQuery,
    Streamed, TokenList, TokenQuery, Tokens, TwoFactor, Users, Vault, Webhooks,
};
pub use base::{Base, BaseError, Origin};
pub use client::{Client, ClientBuilder};
pub use error::{ApiError, BuildError, Error};
/// What goes over the wire.
pub use hoody_core::wire;
/// Identifiers of everything that has one.
pub use hoody_core::{id, time};
