//! A soak: load on both engines, something that goes wrong every ten seconds, and a ledger of what was
//! acknowledged. `bench/soak` runs it and writes `bench/SOAK.md`.
//!
//! A promise is broken when something acknowledged is lost, something revoked is let in (at once on the node that
//! acknowledged it, after a second on the others), a good credential is refused, a change is there whose answer said
//! that nothing was done, an answer is a 500, a node logs a panic, does not take everything again within ten seconds
//! after the trouble ended, or holds more memory, descriptors, threads or tasks 60 s after the load than before.

mod disk;
mod forwarder;
mod ledger;
mod load;
mod log;
mod node;
mod report;
mod side;
mod streams;
mod trouble;
mod verify;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, interval, sleep, sleep_until};

pub(crate) use self::disk::{Disk, fill, lock};
pub(crate) use self::forwarder::{Forwarder, Way};
use self::report::{Compared, Happened};
use self::side::Side;
pub(crate) use self::streams::{Target, shut_windows};
use self::trouble::Trouble;
use crate::support::WHOLE_MACHINE;

/// Something goes wrong as often.
const EVERY: Duration = Duration::from_secs(10);
/// All is well again within this after the trouble ended.
const RECOVERY: Duration = Duration::from_secs(10);

fn setting(name: &str, otherwise: u64) -> Duration {
    Duration::from_secs(std::env::var(name).map_or(otherwise, |text| text.parse().unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "an hour: bench/soak"]
async fn an_hour_of_faults_breaks_no_promise_and_leaves_nothing_behind() {
    let _whole = WHOLE_MACHINE.lock().await;
    let time = setting("HOODY_SOAK_SECONDS", 3_600);
    let rest = setting("HOODY_SOAK_REST", 60);
    let warm = setting("HOODY_SOAK_WARM", (time.as_secs() / 12).clamp(20, 300));
    let (sqlite, mortal) = tokio::join!(Side::sqlite(), Side::mortal());
    let mut sides =
        vec![(Arc::new(sqlite), &trouble::SQLITE[..], 1), (Arc::new(mortal), &trouble::MORTAL[..], 3)];
    match Side::postgres().await {
        Some(side) => sides.push((Arc::new(side), &trouble::POSTGRES[..], 2)),
        None => eprintln!("SQLite alone: HOODY_TEST_POSTGRES names no server"),
    }
    eprintln!("warming up for {warm:?}");
    // Joined, not spawned: the helpers of tests are not made to be sent to other threads.
    let alone = sides.iter().map(|(side, _, share)| run_alone(Arc::clone(side), *share, warm, rest));
    let before = join_all(alone).await.into_iter().flatten();
    eprintln!("trouble for {time:?}");
    let all = sides.iter().map(|(side, troubles, share)| run(Arc::clone(side), troubles, *share, time));
    let happened = join_all(all).await;
    sleep(rest).await;
    let after = join_all(sides.iter().map(|(side, ..)| held(side))).await.into_iter().flatten();
    let pairs = before.zip(after);
    let compared: Vec<_> = pairs
        .map(|((name, is_mortal, before), (_, _, after))| Compared { name, is_mortal, before, after })
        .collect();
    let mut text = format!(
        "{} s of load with something wrong every {} s on each side, after {} s without; measured after {} s of rest.\n\n",
        time.as_secs(),
        EVERY.as_secs(),
        warm.as_secs(),
        rest.as_secs()
    );
    text.push_str(&report::resources(&compared));
    for ((side, ..), happened) in sides.iter().zip(&happened) {
        for problem in compared
            .iter()
            .filter(|node| side.nodes.iter().any(|own| own.name == node.name))
            .flat_map(Compared::problems)
        {
            side.break_promise(&problem);
        }
        let (verified, stopped) = (verify::all(side).await, verify::stop(side).await);
        text.push_str(&format!("\n## {}\n\n{verified}; {stopped}.\n\n", side.name));
        text.push_str(&report::troubles(side, happened));
        text.push_str(&format!("\n{}\n{}", report::asked(side), report::logs(side)));
    }
    let broken: String = sides.iter().map(|(side, ..)| report::broken(side)).collect();
    let verdict = if broken.is_empty() {
        "**No promise was broken.**\n".to_owned()
    } else {
        format!("**Promises were broken:**\n\n{broken}")
    };
    let report = format!("{verdict}\n{text}");
    if let Some(path) = std::env::var_os("HOODY_SOAK_REPORT") {
        std::fs::write(path, &report).unwrap();
    }
    println!("{report}");
    assert!(broken.is_empty(), "promises were broken:\n{broken}");
}

type Held = (&'static str, bool, node::Held);

/// The least that each node holds within some seconds: threads that wait for work end after ten, and whoever asks for
/// metrics is a task himself.
async fn held(side: &Side) -> Vec<Held> {
    let mut least: Vec<Held> = Vec::new();
    for look in 0..14 {
        for (index, node) in side.nodes.iter().enumerate() {
            let held = node.held().await;
            match least.get_mut(index) {
                Some((.., least)) => least.lower(held),
                None => least.push((node.name, node.is_mortal, held)),
            }
        }
        if look < 13 {
            sleep(Duration::from_secs(1)).await;
        }
    }
    least
}

/// The load without trouble, then a rest; what the nodes hold then.
async fn run_alone(side: Arc<Side>, share: u64, time: Duration, rest: Duration) -> Vec<Held> {
    side.begins().await;
    let tasks = load::start(&side, share);
    sleep(time / 2).await;
    // As much at once as there will be: every connection to the database is made, and its caches, which are
    // bounded, are full.
    trouble::crowd(&side).await;
    trouble::read_large(&side, 0).await;
    sleep(time / 2).await;
    end(&side, tasks).await;
    sleep(rest).await;
    held(&side).await
}

async fn end(side: &Side, tasks: Vec<tokio::task::JoinHandle<()>>) {
    side.is_over.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    side.is_over.store(false, Ordering::SeqCst);
}

/// The load with trouble.
async fn run(
    side: Arc<Side>,
    troubles: &'static [Trouble],
    share: u64,
    time: Duration,
) -> Vec<(String, Happened)> {
    let load = load::start(&side, share);
    let watch = tokio::spawn(watch(Arc::clone(&side)));
    let possible = troubles.iter().filter(|trouble| trouble.is_possible(&side));
    let mut happened: Vec<(Trouble, Happened)> =
        possible.map(|trouble| (*trouble, Happened::default())).collect();
    let (began, kinds) = (Instant::now(), happened.len());
    for turn in 0.. {
        let due = began + EVERY * turn;
        if due.max(Instant::now()) + EVERY > began + time {
            break;
        }
        sleep_until(due).await;
        let (trouble, seen) = &mut happened[usize::try_from(turn).unwrap() % kinds];
        let (trouble, name) = (*trouble, trouble.name());
        name.clone_into(&mut side.fault.lock().unwrap());
        side.nodes.iter().for_each(|node| *node.peak.lock().unwrap() = 0);
        trouble.happen(&side).await;
        let recovery = side.is_well(RECOVERY).await;
        if recovery.is_none() {
            side.break_promise(&format!("not well again: {RECOVERY:?} after its end"));
            seen.late += 1;
        }
        seen.times += 1;
        seen.recovery = seen.recovery.max(recovery.unwrap_or(RECOVERY));
        let peaks = side.nodes.iter().filter(|node| !node.is_mortal).map(|node| *node.peak.lock().unwrap());
        seen.peak = seen.peak.max(peaks.max().unwrap_or(0));
        eprintln!(
            "{:>5.0} s  {:<15} {name}: well after {recovery:?}",
            began.elapsed().as_secs_f64(),
            side.name
        );
        "between".clone_into(&mut side.fault.lock().unwrap());
    }
    sleep_until(began + time).await;
    end(&side, load).await;
    watch.abort();
    "after the load".clone_into(&mut side.fault.lock().unwrap());
    let mut rows: Vec<_> =
        happened.into_iter().map(|(trouble, happened)| (trouble.name(), happened)).collect();
    rows.push(("between".to_owned(), Happened::default()));
    rows
}

/// Looks at the memory of the nodes, and whether they live.
async fn watch(side: Arc<Side>) {
    let mut pace = interval(Duration::from_millis(500));
    loop {
        pace.tick().await;
        for node in side.nodes.iter().filter(|node| !node.is_mortal) {
            let mut peak = node.peak.lock().unwrap();
            *peak = (*peak).max(node.resident());
            drop(peak);
            if !node.is_alive() {
                side.break_promise(&format!("a node ended by itself: {}", node.name));
                return;
            }
        }
    }
}
