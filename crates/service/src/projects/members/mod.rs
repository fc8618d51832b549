//! Members: the other accounts that a project is shared with, and what each may do with it. On the wire
//! they are the project's permissions.

pub mod http;
pub mod store;
