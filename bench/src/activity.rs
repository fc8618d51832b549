//! The request log: questions on many rows, what logging adds to a request, rows a second for a while.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use hoody_service::testing::{Filler, Service};
use hoody_core::activity::{HOUR, Method, Record, Series};
use hoody_core::grant::Credential;
use hoody_core::id::{RealmId, TokenId, UserId};
use hoody_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::plan::Plan;
use crate::contest;
use crate::in_process::call;
use crate::load::cpu_seconds;
use crate::report::Report;

const PASSWORD: &str = "correct horse battery";
const PEER: &str = "203.0.113.7:40000";
/// 2026-03-02T09:15:42.118Z
const NOW: i64 = 1_772_442_942_118;
const DAYS: i64 = 30;
/// How many accounts share the rows that are not the busy one's.
const OTHERS: u8 = 90;
/// A realm that is seldom used.
const REALM: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";

/// What logging costs, and how many rows a second are stored for a while.
pub fn rates(runtime: &Runtime, plan: &Plan, report: &mut Report) {
    report.section("The request log");
    report.text("What it adds to a check, without a socket; SQLite, the writer included; log on and off take turns.\n");
    report.text(&cost());
    report.text(&format!(
        "Checks without a socket, as fast as they go in one process on both cores, for {} s:\n",
        plan.sustained
    ));
    let directory = crate::plan::directory();
    let done = runtime.block_on(sustained("sqlite", directory.path(), plan.sustained));
    report.text(&format!("- SQLite: {done}"));
    if let Some(url) = &plan.postgres {
        let directory = crate::plan::directory();
        let url = contest::new_database(url, "sustained");
        let done = runtime.block_on(sustained(&url, directory.path(), plan.sustained));
        report.text(&format!("- PostgreSQL, its server on the same cores: {done}"));
    }
}

/// Questions on many rows: on SQLite (0) or PostgreSQL (1). The rows are kept for the next time.
pub fn questions(runtime: &Runtime, plan: &Plan, report: &mut Report, which: usize) {
    let rows = plan.rows[which];
    let directory = plan.kept.join(format!("log-{which}-{rows}"));
    let whole = directory.join("whole");
    let name = format!("log{rows}");
    let url = match (which, &plan.postgres) {
        (0, _) => "sqlite".to_owned(),
        (_, Some(url)) => contest::database(url, &name),
        _ => return,
    };
    // What an older server kept is not what it filled.
    let is_whole = whole.exists() && (which == 0 || contest::has_database(plan.postgres.as_deref(), &name));
    if !is_whole {
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a directory");
        if let (1, Some(url)) = (which, &plan.postgres) {
            contest::new_database(url, &name);
        }
    }
    let text = runtime.block_on(ask_many(&url, &directory, (!is_whole).then_some(rows)));
    std::fs::write(whole, "").expect("a file");
    report.section(&format!("{rows} rows of the request log on {}", ["SQLite", "PostgreSQL"][which]));
    report.text(
        "30 days of rows; a tenth of them are of the account that asks. Each question ten times, through the whole \
         service without a socket; the first time with nothing in memory (aim: under 100 ms).\n",
    );
    report.text(&text);
}

/// Fills the database at `url` with `rows` rows if it is told to, and times questions of the busy account.
/// Rows of a Markdown table.
async fn ask_many(url: &str, directory: &Path, rows: Option<u64>) -> String {
    let service = open(url, directory, Some(false)).await;
    service.try_create_user("busy", None, PASSWORD).await;
    let session = sign_in(&service).await;
    let me = ask(&service, &session, "/api/v1/users/auth/me").await;
    let busy: UserId = me["data"]["id"].as_str().expect("an id").parse().expect("an id");
    let mut text = String::new();
    let token = if let Some(rows) = rows {
        let token = made_token(&service, &session).await.0;
        let began = Instant::now();
        let bytes = fill(&service, busy, &token, rows).await;
        // What tokens did is put together day by day, as it is after midnight.
        service.tidy_activity().await;
        if url != "sqlite" {
            // A month was put together in one go, and the server is stopped before its autovacuum comes.
            let done = std::process::Command::new("psql").args(["-q", url, "-c", "VACUUM ANALYZE"]).status();
            assert!(done.is_ok_and(|status| status.success()), "VACUUM");
        }
        let said = format!(
            "Filled in {:.0} s; {:.1} bytes a row in blocks.\n",
            began.elapsed().as_secs_f64(),
            bytes as f64 / rows as f64
        );
        std::fs::write(directory.join("filled"), format!("{token}\n{said}")).expect("a file");
        token
    } else {
        String::new()
    };
    let filled = std::fs::read_to_string(directory.join("filled")).expect("a file");
    let (kept, said) = filled.split_once('\n').expect("two lines");
    let token = if token.is_empty() { kept } else { &token };
    let _ = writeln!(text, "{said}\n| question | first, ms | median of 9, ms | total |\n|---|---|---|---|");
    let mut slowest = 0.0_f64;
    let mut service = service;
    let mut forgotten = Vec::new();
    for (name, path) in paths(token) {
        service.close().await;
        forgotten = forget(url);
        service = open(url, directory, Some(false)).await;
        // Who asks is known, and the connections are there: what is cold is the log.
        ask(&service, &session, "/api/v1/users/auth/me").await;
        drop_page_cache();
        let (first, median, total) = time(&service, &session, &path).await;
        slowest = slowest.max(first);
        let _ = writeln!(text, "| {name} | {first:.1} | {median:.1} | {total} |");
    }
    let _ = writeln!(text, "\nThe slowest answer of all: **{slowest:.1} ms**.");
    let _ = writeln!(text, "Before each question {}.", forgotten.join(", "));
    service.close().await;
    text
}

/// Takes out of memory what is there of the database at `url`; what was done.
fn forget(url: &str) -> Vec<&'static str> {
    let mut done = vec!["the service was opened anew"];
    if url != "sqlite" {
        done.push(if restart(url).is_some() {
            "PostgreSQL was started anew (after the filling it was vacuumed, as it is by itself within minutes)"
        } else {
            "PostgreSQL kept its buffers (it could not be restarted)"
        });
    }
    done.push(if drop_page_cache() {
        "and the kernel dropped what it had of the disk"
    } else {
        "and the kernel kept what it had of the disk (only root may have it dropped)"
    });
    done
}

/// Writes back what is to be written and drops the page cache, if this process may.
fn drop_page_cache() -> bool {
    let _ = std::process::Command::new("sync").status();
    std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// Restarts a PostgreSQL that `tools/postgres` started.
fn restart(url: &str) -> Option<()> {
    let (_, directory) = url.split_once("?host=")?;
    let data = Path::new(directory).join("data");
    // What it was started with, its program first.
    let began = std::fs::read_to_string(data.join("postmaster.opts")).ok()?;
    let control = Path::new(began.split(' ').next()?).with_file_name("pg_ctl");
    let mut command = std::process::Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(control).arg("-D").arg(&data);
    command.args(["-w", "-m", "fast", "-l"]).arg(Path::new(directory).join("log")).arg("restart");
    let ran = command.output().ok()?;
    ran.status.success().then_some(())
}

fn paths(token: &str) -> Vec<(&'static str, String)> {
    let logs = |query: &str| format!("/api/v1/users/auth/activity?{query}");
    vec![
        ("first page", logs("")),
        ("page 200", logs("page=200")),
        ("200 rows of a page", logs("limit=200")),
        ("errors only (one in a million)", logs("errors_only=true")),
        ("status 403 (one in 500), page 200", logs("min_status=403&max_status=403&page=200")),
        ("method DELETE (one in 5,000)", logs("method=DELETE")),
        ("a realm seldom used (one in 200,000)", logs(&format!("realm_id={REALM}&limit=200"))),
        ("that realm and errors: nothing", logs(&format!("realm_id={REALM}&errors_only=true"))),
        ("nothing at all: status 418", logs("min_status=418&max_status=418")),
        (
            "ten days ago, half an hour, page 20",
            logs("start_date=2026-02-20T10:10:00Z&end_date=2026-02-20T10:40:00Z&page=20"),
        ),
        ("first page of a day three weeks ago", logs("end_date=2026-02-09")),
        ("stats", "/api/v1/users/auth/activity/stats".to_owned()),
        ("use of a token, all days", format!("/api/v1/auth/tokens/{token}/usage?days=365")),
    ]
}

/// Milliseconds of the first answer, of the median of nine more, and what it says of its total.
async fn time(service: &Service, session: &str, path: &str) -> (f64, f64, String) {
    let mut times = Vec::new();
    let mut total = String::new();
    for _ in 0..10 {
        let began = Instant::now();
        let body = ask(service, session, path).await;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        let counted = [&body["metadata"]["total"], &body["data"]["total_records"], &body["data"]["total"]];
        total = counted.into_iter().find(|total| !total.is_null()).map(Value::to_string).unwrap_or_default();
        assert_eq!(body["statusCode"], 200, "{body}");
    }
    let first = times.remove(0);
    times.sort_by(f64::total_cmp);
    (first, times[times.len() / 2], total)
}

/// Stores the rows hour by hour, each hour by one of three writers at a time.
async fn fill(service: &Service, busy: UserId, token: &str, rows: u64) -> usize {
    let token: TokenId = token.parse().expect("an id");
    let hours = DAYS * 24;
    let first = NOW / HOUR - hours;
    let per_hour = rows / hours.unsigned_abs();
    let mut fillers: [Filler; 3] = [service.filler().await, service.filler().await, service.filler().await];
    let texts = Texts::new();
    let (mut bytes, mut made) = (0, 0_u64);
    for hour in 0..hours {
        let start = (first + hour) * HOUR;
        for (which, filler) in fillers.iter_mut().enumerate() {
            let count = per_hour / 10 / 3;
            let mut records = texts.rows(start + which as i64, count, &mut made, Some(token));
            bytes += filler.store(busy, &mut records).await;
        }
        for other in 1..=OTHERS {
            let count = per_hour * 9 / 10 / u64::from(OTHERS);
            let account = UserId::from_bytes([other; 12]);
            let mut records = texts.rows(start, count, &mut 1, None);
            bytes += fillers[usize::from(other) % 3].store(account, &mut records).await;
        }
        if hour % 72 == 71 {
            eprintln!("{} of {hours} hours, {} MB", hour + 1, bytes / 1_000_000);
        }
    }
    bytes
}

/// What rows are made of.
struct Texts {
    paths: Vec<String>,
    addresses: Vec<String>,
    realm: RealmId,
}

impl Texts {
    fn new() -> Self {
        let path = |number: u32| format!("/api/v1/projects/{:024x}", u64::from(number) * 0x9e37_79b9);
        Self {
            paths: (0..200).map(path).collect(),
            addresses: (0..50).map(|number| format!("198.51.100.{number}")).collect(),
            realm: REALM.parse().expect("a realm"),
        }
    }

    /// `count` rows of an hour. `made` counts those of the busy account, so that rare things are rare.
    fn rows(&self, start: i64, count: u64, made: &mut u64, token: Option<TokenId>) -> Vec<Record<'_>> {
        let row = |index: u64| {
            let number = *made;
            *made += 1;
            let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let status = match number {
                number if number % 1_000_000 == 777_777 => 500,
                number if number % 500 == 3 => 403,
                _ => 204,
            };
            let is_rare = number % 200_000 == 7;
            let other = TokenId::from_bytes([u8::try_from(mixed % 20).unwrap_or(0); 12]);
            Record {
                seq: 0,
                at: Timestamp::from_millis(start + i64::try_from(index * 3_599_000 / count).unwrap_or(0)),
                series: Series {
                    status: if is_rare { 200 } else { status },
                    method: Method::of(if number % 5_000 == 9 { "DELETE" } else { "GET" }),
                    realm: is_rare.then_some(self.realm),
                    reads_log: false,
                },
                credential: Some(Credential::Token(token.filter(|_| mixed % 4 == 0).unwrap_or(other))),
                path: &self.paths[usize::try_from(mixed % 200).unwrap_or(0)],
                reason: (status == 403).then_some("permission"),
                permission: Some("projects.read"),
                address: &self.addresses[usize::try_from(mixed % 50).unwrap_or(0)],
                agent: Some("curl/8.5.0"),
                micros: 150 + mixed % 900,
            }
        };
        (0..count).map(row).collect()
    }
}

/// What logging adds to a request, in CPU time of the whole process with its writer, log on and off taking
/// turns. Rows of a Markdown table.
fn cost() -> String {
    const REQUESTS: usize = 200_000;
    let mut text = String::from("| | CPU ns a request, median of 5 |\n|---|---|\n");
    let mut times: [Vec<f64>; 2] = Default::default();
    for round in 0..6 {
        for (which, is_committed) in [None, Some(false)].into_iter().enumerate() {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
            let nanos = runtime.block_on(async {
                let directory = tempfile::tempdir().expect("a directory");
                let url = format!("sqlite:{}", directory.path().join("hoody.db").display());
                let service = open(&url, directory.path(), is_committed).await;
                service.create_user("busy", None, PASSWORD).await;
                let session = sign_in(&service).await;
                let (_, secret) = made_token(&service, &session).await;
                service.poll().await;
                service.start();
                let path = "/api/v1/auth/check?permission=projects.read";
                let before = cpu_seconds("self");
                for _ in 0..REQUESTS {
                    let request = request(&secret, path);
                    assert_eq!(service.call(PEER.parse().expect("a peer"), request).await.status(), 204);
                }
                assert!(service.flush_activity().await);
                (cpu_seconds("self") - before) * 1e9 / REQUESTS as f64
            });
            if round > 0 {
                times[which].push(nanos);
            }
        }
    }
    let mut medians = [0.0; 2];
    for ((name, times), median) in ["log off", "log on"].into_iter().zip(&mut times).zip(&mut medians) {
        times.sort_by(f64::total_cmp);
        *median = times[times.len() / 2];
        let _ = writeln!(text, "| {name} | {median:.0} |");
    }
    let _ = writeln!(text, "\nThat is {:.0} ns for a row.\n", medians[1] - medians[0]);
    text
}

/// Requests as fast as they go for some seconds, with their rows: rows a second, and what waits at the end.
async fn sustained(url: &str, directory: &Path, seconds: u64) -> String {
    let service = open(url, directory, Some(false)).await;
    service.create_user("busy", None, PASSWORD).await;
    let session = sign_in(&service).await;
    let mut secrets = Vec::new();
    for _ in 0..100 {
        secrets.push(made_token(&service, &session).await.1);
    }
    service.start();
    let began = Instant::now();
    let tasks = (0..4).map(|task| {
        let (service, secrets) = (service.clone(), secrets.clone());
        tokio::spawn(async move {
            let mut requests = 0_u64;
            for secret in secrets.iter().cycle().skip(task * 25) {
                if requests % 256 == 0 && began.elapsed() >= Duration::from_secs(seconds) {
                    break;
                }
                let request = request(secret, "/api/v1/auth/check?permission=projects.read");
                assert_eq!(service.call(PEER.parse().expect("a peer"), request).await.status(), 204);
                requests += 1;
            }
            requests
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut requests = 0;
    for task in tasks {
        requests += task.await.expect("a task");
    }
    let waiting = service.waiting_activity();
    let took = began.elapsed().as_secs_f64();
    assert!(service.flush_activity().await);
    let flushed = began.elapsed().as_secs_f64();
    let stats = ask(&service, &session, "/api/v1/users/auth/activity/stats").await;
    let (rows, bytes) = (&stats["data"]["total_records"], &stats["data"]["total_size_bytes"]);
    let bytes = bytes.as_f64().unwrap_or_default() / rows.as_f64().unwrap_or(1.0);
    service.close().await;
    format!(
        "{requests} rows in {flushed:.1} s: **{:.0} rows a second**, none lost; {waiting} waited when the requests ended \
         ({took:.1} s); {rows} are stored, {bytes:.1} bytes each\n",
        requests as f64 / flushed
    )
}

async fn open(url: &str, directory: &Path, is_committed: Option<bool>) -> Service {
    let url = if url == "sqlite" {
        format!("sqlite:{}", directory.join("hoody.db").display())
    } else {
        std::fs::write(directory.join("master.key"), "5a".repeat(32)).expect("a key");
        url.to_owned()
    };
    Service::open_logging(&url, directory, "", Timestamp::from_millis(NOW), is_committed).await
}

async fn sign_in(service: &Service) -> String {
    let login = json!({ "username": "busy", "password": PASSWORD });
    let body = call(service, "POST", "/api/v1/users/auth/login", None, Some(login)).await;
    body["data"]["token"].as_str().expect("a session").to_owned()
}

async fn made_token(service: &Service, session: &str) -> (String, String) {
    let made = call(service, "POST", "/api/v1/auth/tokens", Some(session), Some(json!({}))).await;
    let text = |field: &str| made["data"][field].as_str().expect("a token").to_owned();
    (text("id"), text("token"))
}

async fn ask(service: &Service, session: &str, path: &str) -> Value {
    call(service, "GET", path, Some(session), None).await
}

fn request(token: &str, path: &str) -> http::Request<axum::body::Body> {
    let request = http::Request::builder().uri(path).header("host", "127.0.0.1:8080");
    let request = request.header("user-agent", "wrk/4.1").header("authorization", format!("Bearer {token}"));
    request.body(axum::body::Body::empty()).expect("a request")
}
