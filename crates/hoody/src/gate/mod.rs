//! Decisions for others: what an agent, a script or a proxy asks before it goes on.

pub(crate) mod hot;
pub(crate) mod http;
