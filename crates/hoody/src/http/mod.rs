//! HTTP: the routes, the way in, and the shapes of requests and answers.

pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod connection;
mod document;
pub(crate) mod envelope;
mod handshakes;
mod http2;
pub(crate) mod ip;
pub(crate) mod layers;
pub(crate) mod list;
pub(crate) mod memory;
mod metered;
pub(crate) mod outcome;
pub(crate) mod pages;
pub(crate) mod paging;
mod parameters;
pub(crate) mod path;
mod places;
pub(crate) mod probes;
pub(crate) mod query;
pub(crate) mod router;
pub(crate) mod server;
mod stall;
pub(crate) mod tls;

pub(crate) use body::JsonBody;
pub(crate) use caller::Caller;
pub(crate) use envelope::Answer;
pub(crate) use path::IdPath;
pub(crate) use query::Query;

/// The state that handlers share.
pub(crate) type Shared = std::sync::Arc<crate::app::App>;
