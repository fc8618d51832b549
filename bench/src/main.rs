//! Measures hoody's hot path. `compare` runs everything and writes `RESULTS.md`; `bare` is the server
//! that it is compared with: the same HTTP library, the same settings, an empty 204; `serve` is hoody.

mod compare;
mod in_process;
mod server;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if words.first() == Some(&"serve") {
        // The product itself, built as everything else here: one build serves both sides.
        return hoody::run();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(if words.first() == Some(&"bare") { 1 } else { 2 })
        .enable_all()
        .build()
        .expect("a runtime");
    match words.as_slice() {
        ["bare", address] => runtime.block_on(server::bare(address)),
        ["in-process"] => print!("{}", in_process::run(&runtime)),
        ["compare", rounds, seconds] => {
            let rounds = rounds.parse().expect("a number of rounds");
            let seconds = seconds.parse().expect("seconds");
            compare::run(&runtime, rounds, seconds);
        }
        _ => {
            eprintln!("usage: hoody-bench bare ADDR | in-process | compare ROUNDS SECONDS | serve …");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
