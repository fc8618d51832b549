//! What every noun of the service stands on: the database, the clock, the keys, the feed and its mutations, the
//! grants and their cache, nodes and leases, limits, jobs, the request log, and the ground of the web.
//!
//! Nothing here knows a noun. Each part is a handle that is cheap to clone; a noun takes those that it uses.
//! [`engine::Engine`] puts them together, and is seen only where the nouns are put together too.

pub mod activity;
pub mod catalogue;
pub mod clock;
pub mod db;
pub mod engine;
pub mod error;
pub mod feed;
pub mod files;
pub mod grants;
pub mod jobs;
pub mod keys;
pub mod limits;
pub mod nodes;
pub mod own;
pub mod shares;
pub mod tasks;
pub mod telemetry;
pub mod web;
pub mod work;
