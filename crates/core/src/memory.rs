//! What values take in memory, where a cache counts it.

/// What the two counters of an [`Arc`](std::sync::Arc) take beside its value, in bytes.
pub const SHARED: usize = 2 * size_of::<usize>();
