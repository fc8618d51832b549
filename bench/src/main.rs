//! Measures hoody's hot path and what is around it. `compare` runs everything and writes `RESULTS.md`;
//! `bare` is the server that it is compared with: the same HTTP library, the same settings, an empty 204;
//! `serve` is hoody; `load` is what they are loaded with.

mod activity;
mod alert;
mod compare;
mod contest;
mod in_process;
mod load;
mod plan;
mod report;
mod scale;
mod server;
mod times;
mod turns;

use std::process::ExitCode;

use serde_json::Value;

/// The product's own: `serve` is the product.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // reqwest is built without a TLS provider. It can be set only once: an error means that one is set.
    let _ = rustls::crypto::ring::default_provider().install_default();
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
        ["awake"] => loop {
            std::hint::spin_loop();
        },
        ["in-process"] => print!("{}", in_process::run(&runtime)),
        ["load", file] => println!("{}", load::run(&read_load(&read_json(file)))),
        ["turns", file] => {
            let turns = read_json(file);
            let loads: Vec<_> = turns["sides"].as_array().expect("sides").iter().map(read_load).collect();
            println!("{}", turns::run(&loads, turns["seconds"].as_f64().expect("seconds")));
        }
        ["compare", rounds, seconds, parts @ ..] => {
            let number = |name: &str, otherwise: u64| {
                std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
            };
            let plan = plan::Plan {
                rounds: rounds.parse().expect("a number of rounds"),
                seconds: seconds.parse().expect("seconds"),
                peers: std::env::var_os("BENCH_PEERS").map(Into::into),
                against: std::env::var_os("BENCH_AGAINST").map(Into::into),
                postgres: std::env::var("BENCH_POSTGRES").ok(),
                kept: std::path::absolute("target/kept").expect("a directory"),
                sustained: number("BENCH_SUSTAINED", 60),
                rows: [number("BENCH_ROWS_SQLITE", 10_000_000), number("BENCH_ROWS_POSTGRES", 100_000_000)],
            };
            for part in parts {
                compare::run(&runtime, &plan, part);
            }
        }
        _ => {
            eprintln!(
                "usage: hoody-bench bare ADDR | awake | in-process | load FILE | turns FILE | serve … | compare ROUNDS SECONDS PART…\n\
                 parts: hot process change scale-TOKENS issuing peers log alert log-sqlite log-postgres"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn read_json(file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("json")
}

fn read_load(load: &Value) -> load::Load {
    let text = |key: &str| load[key].as_str().expect("a text").to_owned();
    let credentials = std::fs::read_to_string(text("credentials")).expect("credentials");
    load::Load {
        address: text("address").parse().expect("an address"),
        target: text("target"),
        credentials: credentials.lines().map(str::to_owned).collect(),
        from: serde_json::from_value(load["from"].clone()).unwrap_or(0),
        connections: serde_json::from_value(load["connections"].clone()).expect("a number"),
        seconds: load["seconds"].as_f64().expect("seconds"),
        rate: load["rate"].as_f64(),
        most: load["most"].as_u64(),
        writer: load["writer"].as_str().map(str::to_owned),
    }
}
