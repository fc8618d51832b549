//! What runs beside the requests. A task that lives as long as the process is started by [`Tasks::supervise`]: it
//! cannot return, and when it panics that is logged, counted, shown in `/readyz`, and it is started again. What ends
//! by itself is started by [`once`]. Nothing else in the engine, the service and the binary spawns; a test reads the sources.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// How often each task panicked since the start.
const PANICS: &str = "hoody_task_panics_total";
/// 1 while a task runs.
const UP: &str = "hoody_task_up";

/// What a node is without a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the node is not ready while the task is down, and ends when it cannot be kept up.
    Vital,
    /// Still of use: the task is started again for as long as the process lives.
    Useful,
}

/// How a task is started again.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// The first pause. Each further one is twice as long.
    first: Duration,
    /// The longest pause.
    longest: Duration,
    /// A task that ran so long is up again.
    settled: Duration,
    /// A task that ran so long begins with the first pause.
    healthy: Duration,
    /// A vital task that panics so often in a row ends the process.
    most: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(50),
            longest: Duration::from_secs(30),
            settled: Duration::from_secs(2),
            healthy: Duration::from_secs(60),
            most: 8,
        }
    }
}

/// The tasks of this process.
#[derive(Debug, Clone)]
pub struct Tasks {
    tasks: Arc<Mutex<Vec<Arc<Task>>>>,
    /// The vital task that cannot be kept up.
    lost: watch::Sender<Option<&'static str>>,
    pace: Pace,
}

#[derive(Debug)]
struct Task {
    name: &'static str,
    need: Need,
    is_up: AtomicBool,
    /// Panics in a row.
    panics: AtomicU32,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { tasks: Arc::default(), lost: watch::Sender::new(None), pace: Pace::default() }
    }
}

impl Tasks {
    /// Starts a task that lives as long as the process: `start` makes it, at once and after each panic.
    pub fn supervise<F>(&self, name: &'static str, need: Need, start: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Infallible> + Send + 'static,
    {
        let task = Arc::new(Task { name, need, is_up: AtomicBool::new(true), panics: AtomicU32::new(0) });
        metrics::counter!(PANICS, "task" => name).absolute(0);
        metrics::gauge!(UP, "task" => name).set(1.0);
        self.lock().push(Arc::clone(&task));
        // Boxed, so that what keeps it up is compiled once and not for each task.
        let start = Box::new(move || start().boxed());
        tokio::spawn(keep_up(task, self.pace, self.lost.clone(), start));
    }

    /// Does `work` at once and then after each `interval`, for as long as the process lives.
    pub fn every<F>(
        &self,
        name: &'static str,
        interval: Duration,
        work: impl Fn() -> F + Clone + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.supervise(name, Need::Useful, move || {
            let work = work.clone();
            async move {
                let mut ticks = tokio::time::interval(interval);
                // What took long is not made up for.
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    work().await;
                }
            }
        });
    }

    /// Whether every task runs, and whether every vital one does.
    pub fn are_up(&self) -> (bool, bool) {
        let tasks = self.lock();
        let is_up = |task: &&Arc<Task>| task.is_up.load(Ordering::Relaxed);
        let is_vital = |task: &&Arc<Task>| task.need == Need::Vital;
        (tasks.iter().all(|task| is_up(&task)), tasks.iter().filter(is_vital).all(|task| is_up(&task)))
    }

    /// A sentence for each task that panicked of late.
    pub fn warnings(&self) -> Vec<String> {
        let tasks = self.lock();
        let failing = tasks.iter().filter_map(|task| {
            let panics = task.panics.load(Ordering::Relaxed);
            let times = if panics == 1 { "once".to_owned() } else { format!("{panics} times in a row") };
            (panics > 0).then(|| {
                format!(
                    "the background task {} panicked {times} and was started again: see the log",
                    task.name
                )
            })
        });
        failing.collect()
    }

    /// Returns the name of a vital task once it cannot be kept up.
    pub async fn lost(&self) -> &'static str {
        let mut lost = self.lost.subscribe();
        loop {
            if let Some(name) = *lost.borrow_and_update() {
                return name;
            }
            if lost.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Task>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    fn set_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
        metrics::gauge!(UP, "task" => self.name).set(f64::from(u8::from(is_up)));
    }
}

async fn keep_up(
    task: Arc<Task>,
    pace: Pace,
    lost: watch::Sender<Option<&'static str>>,
    start: Box<dyn Fn() -> BoxFuture<'static, Infallible> + Send + Sync>,
) {
    loop {
        // `start` may panic too.
        let run = AssertUnwindSafe(async { start().await }).catch_unwind();
        if settle(&task, pace, run).await {
            task.panics.store(0, Ordering::Relaxed);
        }
        let panics = task.panics.fetch_add(1, Ordering::Relaxed) + 1;
        task.set_up(false);
        metrics::counter!(PANICS, "task" => task.name).increment(1);
        if task.need == Need::Vital && panics >= pace.most {
            tracing::error!(task = task.name, panics, "a background task cannot be kept up: the server ends");
            lost.send_replace(Some(task.name));
            return;
        }
        let pause = pace.first.saturating_mul(1 << (panics - 1).min(16)).min(pace.longest);
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(
            task = task.name,
            panics,
            pause_ms,
            "a background task panicked and is started again"
        );
        tokio::time::sleep(pause).await;
    }
}

/// Waits for the end of a run, and notes meanwhile that the task is up again. Whether it ran so long that it was
/// healthy.
async fn settle<T>(task: &Task, pace: Pace, run: impl Future<Output = T>) -> bool {
    let mut run = std::pin::pin!(run);
    if tokio::time::timeout(pace.settled, run.as_mut()).await.is_ok() {
        return false;
    }
    task.set_up(true);
    let rest = pace.healthy.saturating_sub(pace.settled);
    if tokio::time::timeout(rest, run.as_mut()).await.is_ok() {
        return false;
    }
    // Nothing is left to warn of.
    task.panics.store(0, Ordering::Relaxed);
    run.await;
    true
}

/// Runs what ends by itself: a commit, a connection, a read. It goes on when nobody waits for it any more. A panic
/// is counted under `name`.
pub fn once<T: Send + 'static>(
    name: &'static str,
    work: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    // Boxed, so that a task is compiled for each answer and not for each piece of work.
    tokio::spawn(counted(name, work.boxed()))
}

/// `work`, whose panic is counted under `name`.
pub async fn counted<T>(name: &'static str, work: impl Future<Output = T>) -> T {
    let _guard = CountPanic(name);
    work.await
}

struct CountPanic(&'static str);

impl Drop for CountPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            metrics::counter!(PANICS, "task" => self.0).increment(1);
        }
    }
}

/// Does `work` to its end; false when it panicked.
pub async fn survives<T>(work: impl Future<Output = T>) -> bool {
    AssertUnwindSafe(work).catch_unwind().await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(most: u32, healthy: Duration) -> Tasks {
        let quick = Duration::from_millis(1);
        let pace = Pace { first: quick, longest: quick, settled: quick, healthy, most };
        Tasks { pace, ..Tasks::default() }
    }

    async fn eventually(mut probe: impl FnMut() -> bool) {
        let probed = async {
            while !probe() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), probed).await.expect("it comes about");
    }

    #[tokio::test]
    async fn a_task_that_panics_is_seen_and_started_again() {
        let tasks = tasks(3, Duration::from_millis(200));
        let starts = Arc::new(AtomicU32::new(0));
        let gate = watch::Sender::new(false);
        let (counted, open) = (Arc::clone(&starts), gate.subscribe());
        tasks.supervise("other", Need::Vital, std::future::pending);
        tasks.supervise("shaky", Need::Useful, move || {
            let start = counted.fetch_add(1, Ordering::SeqCst);
            let mut open = open.clone();
            async move {
                if start < 5 {
                    panic!("start {start}");
                }
                let _ = open.wait_for(|is_open| *is_open).await;
                std::future::pending().await
            }
        });
        eventually(|| tasks.are_up() == (false, true)).await;
        eventually(|| tasks.warnings().iter().any(|warning| warning.contains("shaky panicked"))).await;
        eventually(|| starts.load(Ordering::SeqCst) == 6).await;
        eventually(|| tasks.are_up() == (true, true) && tasks.warnings().is_empty()).await;
        assert_eq!(*tasks.lost.borrow(), None, "it is not vital");
    }

    #[tokio::test]
    async fn a_vital_task_that_cannot_be_kept_up_is_lost() {
        let tasks = tasks(3, Duration::from_secs(60));
        let starts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&starts);
        tasks.supervise("heart", Need::Vital, move || {
            counted.fetch_add(1, Ordering::SeqCst);
            if true {
                panic!("also before the future is made");
            }
            std::future::pending()
        });
        let lost = tokio::time::timeout(Duration::from_secs(10), tasks.lost()).await;
        assert_eq!((lost.unwrap(), starts.load(Ordering::SeqCst)), ("heart", 3));
        assert_eq!(tasks.are_up(), (false, false));
    }

    #[tokio::test]
    async fn what_panics_once_ends_nothing_else() {
        assert_eq!(once("test", async { 5 }).await.unwrap(), 5);
        assert!(once("test", async { panic!("alone") }).await.is_err());
        assert!(!survives(async { panic!("alone") }).await);
        assert!(survives(async {}).await);
    }
}
