//! The command line of the one binary: `serve` and `admin` put the service together, all other commands are the
//! client's. The binary is [`run`]. ARCHITECTURE.md draws the house.

mod cli;
mod config;

pub use cli::run;
