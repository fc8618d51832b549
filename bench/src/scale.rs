//! Many tokens in the database: starting, the first checks of each, and checks as Zipf's law has them.

use std::path::{Path, PathBuf};
use std::time::Instant;

use hoody_service::testing::Service;
use hoody_core::time::Timestamp;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::plan::{CHECK, Plan, load};
use crate::contest::{Server, hoody, write_lines};
use crate::load::Zipf;
use crate::report::{Report, median};

const NOW: i64 = 1_772_442_942_118;
/// How many draws are prepared; a round goes on where the one before ended.
const DRAWS: usize = 2_000_000;
/// How many tokens are read cold, each once.
const COLD: u64 = 200_000;

pub fn run(runtime: &Runtime, plan: &Plan, report: &mut Report, count: u64) {
    report.section(&format!("With {count} tokens in the database"));
    let directory = plan.kept.join(format!("tokens-{count}"));
    let began = Instant::now();
    let service = runtime.block_on(planted(&directory, count));
    eprintln!("{count} tokens are there after {:.1} s", began.elapsed().as_secs_f64());
    // Far apart, so that neighbours in the file are not read together.
    let cold = COLD.min(count);
    let apart = write_lines((0..cold).map(|number| service.planted(number.wrapping_mul(7_919) % count)));
    let drawn = write_lines(Zipf::new(count).take(DRAWS).map(|number| service.planted(number)));
    runtime.block_on(service.close());
    drop(service);

    let start = |is_cold: bool| {
        if is_cold {
            let _ = std::process::Command::new("sync").status();
            // Only root may; then the file comes from the disk.
            let _ = std::fs::write("/proc/sys/vm/drop_caches", "3");
        }
        let began = Instant::now();
        let server = hoody(&directory, &["--activity", "off"]).expect("hoody starts");
        (server, began.elapsed().as_secs_f64() * 1e3)
    };
    let (_, from_disk) = start(true);
    let starts: Vec<f64> = (0..5).map(|_| start(false).1).collect();
    let (server, _) = start(false);
    let idle = server.resident();

    // Each token once: every request reads the database.
    let first = read_cold(&server, &apart, cold / 4, plan.seconds * 6.0);
    let (grants, resident) = (server.metric("hoody_grants_cached"), server.resident());
    let (mut more, mut rest) = (Vec::new(), 0);
    if cold >= 10_000 {
        let mut load = load(CHECK, &apart, plan.seconds * 6.0);
        load["from"] = first["requests"].clone();
        load["most"] = (cold * 3 / 4).into();
        more.push(server.measure(&load));
        rest = 1;
    }
    let grown = server.metric("hoody_grants_cached") - grants;
    let each = (server.resident() - resident) * 1e6 / grown;
    let counted = server.metric("hoody_grants_cached_bytes") / server.metric("hoody_grants_cached");
    let reads = more.first().unwrap_or(&first);
    let number = |result: &Value, key: &str| result[key].as_f64().unwrap_or(0.0);
    report.text(&format!(
        "- Start to ready: **{:.0} ms** (median of 5; {from_disk:.0} ms with nothing of the file in memory).\n\
         - Read from the database, each token once: {:.0} checks a second, {:.0} per second of server CPU, p99 {:.0} µs.",
        median(starts.into_iter()),
        number(reads, "requests") / number(reads, "seconds"),
        number(reads, "per_cpu_second"),
        number(reads, "p99_us"),
    ));
    if rest == 1 {
        report.text(&format!(
            "- Memory: {idle:.1} MB idle; **{each:.0} bytes** more for each of {grown:.0} grants that came into the cache \
             (counted as {counted:.0})."
        ));
    }
    drop(server);

    let (server, _) = start(false);
    let mut zipf = load(CHECK, &drawn, plan.seconds);
    let mut from = 0;
    report.text(
        "\nChosen by Zipf's law (exponent 1), beginning with an empty cache; each round goes on with other draws.\n\n\
         | round | requests per second of server CPU | p50 µs | p99 µs | read from the database | memory MB |\n\
         |---|---|---|---|---|---|",
    );
    let mut bars = Vec::new();
    let mut refused = 0;
    for round in 1..=plan.rounds {
        zipf["from"] = from.into();
        let before = server.metric("hoody_grants_cold_reads_total");
        let result = server.measure(&zipf);
        from += result["requests"].as_u64().unwrap_or(0);
        refused += result["refused"].as_u64().unwrap_or(0);
        let reads = server.metric("hoody_grants_cold_reads_total") - before;
        bars.push((format!("round {round}"), number(&result, "per_cpu_second")));
        report.text(&format!(
            "| {round}{} | {:.0} | {:.0} | {:.0} | {reads:.0} ({:.1} %) | {:.0} |",
            if result["is_disturbed"] == true { " (disturbed)" } else { "" },
            number(&result, "per_cpu_second"),
            number(&result, "p50_us"),
            number(&result, "p99_us"),
            reads / number(&result, "requests") * 100.0,
            server.resident(),
        ));
    }
    let refused = refused
        + first["refused"].as_u64().unwrap_or(0)
        + more.iter().map(|result| result["refused"].as_u64().unwrap_or(0)).sum::<u64>();
    report.text(&format!("\n{refused} of all these requests were not answered with 204."));
    report.plot(&format!("Checks with {count} tokens"), "requests per second of server CPU", &bars);
}

fn read_cold(server: &Server, credentials: &Path, count: u64, seconds: f64) -> Value {
    let mut load = load(CHECK, credentials, seconds);
    load["most"] = count.into();
    server.measure(&load)
}

/// The database with so many tokens, made when it is not there yet.
async fn planted(directory: &PathBuf, count: u64) -> Service {
    let is_whole = directory.join("whole");
    if !is_whole.exists() {
        let _ = std::fs::remove_dir_all(directory);
        std::fs::create_dir_all(directory).expect("a directory");
    }
    let url = format!("sqlite:{}", directory.join("hoody.db").display());
    let service = Service::open(&url, directory, "", Timestamp::from_millis(NOW)).await;
    if !is_whole.exists() {
        service.create_user("bench", None, crate::load::PASSWORD).await;
        let (_, id) = crate::in_process::first_token(&service).await;
        service.plant_like(&id, count).await;
        std::fs::write(is_whole, "").expect("a file");
    }
    service
}
