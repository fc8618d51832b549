//! Getting a session, each way: name and password, another device, a new account, a second factor.

pub(crate) mod login;
pub(crate) mod signup;
pub(crate) mod two_factor;
mod web_login;
