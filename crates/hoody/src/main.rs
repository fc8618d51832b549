//! The one binary: parse, dispatch, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    hoody::run()
}
