//! The one binary: parse, dispatch, exit code.

use std::process::ExitCode;

/// After a burst glibc's allocator keeps most of the freed memory: 64 MB where 9 MB were in use. This one
/// returns it to the system within seconds. SQLite allocates from it too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    hoody::run()
}
