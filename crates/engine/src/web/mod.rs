//! The ground of the web: connections, the way in, who asks, and the shapes of requests and answers. No route.

pub mod access;
pub mod body;
pub mod caller;
pub mod calls;
pub mod connection;
pub mod envelope;
mod handshakes;
mod http2;
pub mod layers;
pub mod list;
pub mod memory;
mod metered;
pub mod pages;
pub mod paging;
pub mod path;
mod places;
pub mod query;
pub mod server;
mod stall;
pub mod tls;

pub use access::{Access, Lends};
pub use body::JsonBody;
pub use caller::Caller;
pub use envelope::Answer;
pub use path::IdPath;
pub use query::Query;
