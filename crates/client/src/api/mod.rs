//! The routes, one file a noun.

mod activity;
mod alerts;
mod containers;
mod events;
mod gates;
mod projects;
mod realms;
mod sessions;
mod sign_in;
mod signup;
mod tokens;
mod two_factor;
mod users;
mod utilities;
mod vault;
mod webhooks;

pub use activity::{Activity, ActivityList, ActivityQuery};
pub use alerts::{AlertList, AlertQuery, Alerts};
pub use containers::{CommandOutput, CommandStream, ContainerQuery, Containers, Snapshots};
pub use events::{EventQuery, EventStream, Events, StreamQuery, Streamed};
pub use gates::Gates;
pub use projects::{MemberQuery, Members, ProjectQuery, Projects, SortOrder};
pub use realms::Realms;
pub use sign_in::{Device, Poll};
pub use tokens::{TokenList, TokenQuery, Tokens};
pub use two_factor::TwoFactor;
pub use users::{HistoryQuery, SecurityHistory, Users};
pub use vault::Vault;
pub use webhooks::Webhooks;
