//! Measures hoody's hot path and what is around it. `compare` runs everything and writes `RESULTS.md`;
//! `bare` is the server that it is compared with: the same HTTP library, the same settings, an empty 204;
//! `serve` is hoody; `load` is what they are loaded with.

mod activity;
mod compare;
mod contest;
mod in_process;
mod load;
mod report;
mod server;

use std::process::ExitCode;

use serde_json::Value;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if words.first() == Some(&"serve") || words.first() == Some(&"admin") {
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
        ["activity", database, rows] => {
            let rows = rows.parse().expect("a number of rows");
            print!("{}", runtime.block_on(activity::run(database, rows)));
        }
        ["activity-cost"] => print!("{}", activity::cost()),
        ["activity-sustained", database, seconds] => {
            let seconds = seconds.parse().expect("seconds");
            print!("{}", runtime.block_on(activity::sustained(database, seconds)));
        }
        ["in-process"] => print!("{}", in_process::run(&runtime)),
        ["load", file] => println!("{}", load::run(&read_load(file))),
        ["compare", rounds, seconds, scales @ ..] => {
            let plan = compare::Plan {
                rounds: rounds.parse().expect("a number of rounds"),
                seconds: seconds.parse().expect("seconds"),
                scales: scales.iter().map(|count| count.parse().expect("a number of tokens")).collect(),
                peers: std::env::var_os("BENCH_PEERS").map(Into::into),
                postgres: std::env::var("BENCH_POSTGRES").ok(),
            };
            compare::run(&runtime, &plan);
        }
        _ => {
            eprintln!(
                "usage: hoody-bench bare ADDR | in-process | compare ROUNDS SECONDS [TOKENS…] | load FILE | \
                 activity DATABASE ROWS | activity-cost | activity-sustained DATABASE SECONDS | serve …"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn read_load(file: &str) -> load::Load {
    let load: Value = serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("json");
    let text = |key: &str| load[key].as_str().expect("a text").to_owned();
    load::Load {
        address: text("address").parse().expect("an address"),
        target: text("target"),
        credentials: serde_json::from_value(load["credentials"].clone()).expect("credentials"),
        connections: serde_json::from_value(load["connections"].clone()).expect("a number"),
        seconds: load["seconds"].as_f64().expect("seconds"),
        rate: load["rate"].as_f64(),
        is_skewed: load["is_skewed"] == true,
    }
}
