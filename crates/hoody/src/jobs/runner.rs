//! Doing jobs: one loop for each kind on each node.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use hoody_core::backoff;
use tokio::task::JoinSet;

use super::store::{self, Claimed};
use super::{ATTEMPT_LIMIT, CLAIM, Failure, Job, KINDS, Kind, Payload, place};
use crate::app::App;
use crate::clock::entropy;
use crate::db::DbError;
use crate::tasks::{self, Need};

/// How often a node looks for what others left to it, and for what failed and is due again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often what is long done is removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);
/// The most characters of an error that are kept.
const ERROR_LENGTH: usize = 300;

/// Starts the loops, for as long as the process lives.
pub(crate) fn start(app: &Arc<App>) {
    for kind in KINDS {
        app.supervise(kind.name, Need::Useful, move |app| run(app, kind));
    }
    app.every("jobs-sweep", SWEEP_INTERVAL, sweep);
}

/// Does everything of every kind that is due now, one by one; how many attempts that were. For tests.
pub(crate) async fn run_due(app: &Arc<App>) -> Result<usize, DbError> {
    let mut attempts = 0;
    let mut is_idle = false;
    while !is_idle {
        is_idle = true;
        for kind in KINDS {
            while let Some(claimed) = claim(app, kind).await? {
                attempt(app, kind, claimed).await;
                attempts += 1;
                is_idle = false;
            }
        }
    }
    Ok(attempts)
}

async fn run(app: Arc<App>, kind: &'static Kind) -> Infallible {
    let mut bell = app.bell.listen();
    let mut under_way = JoinSet::new();
    let mut is_reachable = true;
    loop {
        // Marked as heard before looking: what is rung for from here on wakes again.
        bell.borrow_and_update();
        let result = begin_due(&app, kind, &mut under_way).await;
        if let Err(error) = &result
            && is_reachable
        {
            tracing::warn!(%error, job.kind = kind.name, "jobs cannot be read; they wait");
        }
        is_reachable = result.is_ok();
        let is_full = under_way.len() >= kind.at_once;
        tokio::select! {
            Some(_) = under_way.join_next() => {}
            _ = bell.changed(), if !is_full && is_reachable => {}
            () = tokio::time::sleep(POLL_INTERVAL), if !is_full => {}
        }
    }
}

/// Claims and begins what is due until there is no more, or as many as may run at once do.
async fn begin_due(app: &Arc<App>, kind: &'static Kind, under_way: &mut JoinSet<()>) -> Result<(), DbError> {
    while under_way.len() < kind.at_once {
        let Some(claimed) = claim(app, kind).await? else { break };
        let app = Arc::clone(app);
        under_way.spawn(tasks::counted("job", async move { attempt(&app, kind, claimed).await }));
    }
    Ok(())
}

async fn claim(app: &App, kind: &Kind) -> Result<Option<Claimed>, DbError> {
    let now = app.now();
    store::claim(&app.db, kind.name, app.new_id(), now, now.plus(CLAIM)).await
}

/// Does a job that was claimed and writes down what came of it.
async fn attempt(app: &Arc<App>, kind: &Kind, claimed: Claimed) {
    let (claim, number) = (claimed.claim, claimed.attempt);
    let result = match open(app, &claimed) {
        Ok(job) => {
            // `async`: a handler may panic before it gives its future.
            let done = AssertUnwindSafe(async { (kind.handler)(app, &job).await }).catch_unwind();
            match tokio::time::timeout(ATTEMPT_LIMIT, done).await {
                Ok(Ok(done)) => done,
                // Else it would be claimed again and again, and never given up.
                Ok(Err(_panic)) => Err(Failure::Later("it panicked: see the log".to_owned())),
                Err(_) => Err(Failure::Later(format!("not done in {} s", ATTEMPT_LIMIT.as_secs()))),
            }
        }
        Err(failure) => Err(failure),
    };
    let now = app.now();
    let (outcome, written) = match result {
        Ok(()) => ("done", store::finish(&app.db, claim, now).await),
        Err(Failure::Later(why)) if number < kind.attempts => {
            let wait = backoff::wait_after(number, u32::from_be_bytes(entropy()));
            let why = shortened(&why);
            tracing::warn!(job.kind = kind.name, job.id = %claim.job, attempt = number, error = why,
                retry_in_s = wait / 1_000, "a job failed and will be tried again");
            ("retried", store::put_off(&app.db, claim, now.plus(wait), &why).await)
        }
        Err(Failure::Later(why) | Failure::Never(why)) => {
            let why = shortened(&why);
            tracing::error!(job.kind = kind.name, job.id = %claim.job, attempt = number, error = why,
                "a job failed and is given up");
            ("failed", store::give_up(&app.db, claim, now, &why).await)
        }
    };
    metrics::counter!("hoody_jobs_total", "kind" => kind.name, "outcome" => outcome).increment(1);
    if let Err(error) = written {
        // The claim runs out, and the job is done again.
        tracing::warn!(%error, job.id = %claim.job, "what came of a job could not be written");
    }
}

fn open(app: &App, claimed: &Claimed) -> Result<Job, Failure> {
    let id = claimed.claim.job;
    let payload = app.keys.open(&place(claimed.account, &id), &claimed.payload);
    let payload = payload.map_err(|_| Failure::Never("its payload does not open".to_owned()))?;
    Ok(Job {
        id,
        account: claimed.account,
        attempt: claimed.attempt,
        created_at: claimed.created_at,
        payload: Payload(payload),
    })
}

fn shortened(text: &str) -> String {
    let text = text.replace(char::is_control, " ");
    if text.chars().count() <= ERROR_LENGTH { text } else { text.chars().take(ERROR_LENGTH).collect() }
}

async fn sweep(app: Arc<App>) {
    if let Err(error) = store::sweep(&app.db, app.now()).await {
        tracing::warn!(%error, "jobs that are over could not be removed");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt as _;
    use hoody_core::id::JobId;
    use hoody_core::time::{DAY, SECOND, Timestamp};

    use super::*;
    use crate::db::{On, args};
    use crate::feed::{Actor, Mutation};
    use crate::jobs::enqueue;

    /// A kind whose payload says what happens; each attempt is noted.
    pub(in crate::jobs) const KIND: Kind = Kind {
        name: "test",
        handler: |_, job| {
            async move {
                let text = String::from_utf8_lossy(job.payload()).into_owned();
                ATTEMPTS.lock().unwrap().push((job.id, job.attempt));
                match text.as_str() {
                    "later" => Err(Failure::Later("not now".to_owned())),
                    "never" => Err(Failure::Never("x".repeat(1_000))),
                    "once later" if job.attempt == 1 => Err(Failure::Later("not\nnow".to_owned())),
                    _ => Ok(()),
                }
            }
            .boxed()
        },
        attempts: 3,
        at_once: 2,
    };
    static ATTEMPTS: Mutex<Vec<(JobId, i64)>> = Mutex::new(Vec::new());

    fn attempts(id: JobId) -> Vec<i64> {
        ATTEMPTS.lock().unwrap().iter().filter(|(of, _)| *of == id).map(|(_, number)| *number).collect()
    }

    async fn app() -> (tempfile::TempDir, Arc<App>) {
        let directory = tempfile::tempdir().unwrap();
        let app = App::for_test(directory.path(), Timestamp::from_millis(1_772_442_942_118)).await;
        (directory, app)
    }

    async fn given(app: &Arc<App>, payload: &str) -> JobId {
        let mut mutation = Mutation::begin_as(app, Actor::Nobody).await.unwrap();
        let id = enqueue(app, &mut mutation, "test", None, payload.as_bytes()).await.unwrap();
        mutation.commit().await.unwrap();
        id
    }

    async fn state(app: &App, id: JobId) -> (String, Option<String>) {
        let jobs = store::list_jobs(&app.db, "test").await.unwrap();
        let job = jobs.into_iter().find(|job| job.id == id).unwrap();
        (job.state, job.last_error)
    }

    #[tokio::test]
    async fn a_job_is_done_once_and_its_payload_is_gone() {
        let (_directory, app) = app().await;
        let id = given(&app, "canary-payload").await;
        let sealed: Vec<u8> =
            On::from(&app.db).one("SELECT payload FROM jobs", args![]).await.unwrap().get("payload").unwrap();
        assert!(!sealed.windows(6).any(|bytes| bytes == b"canary"), "payloads are sealed");
        assert_eq!(run_due(&app).await.unwrap(), 1);
        assert_eq!(run_due(&app).await.unwrap(), 0);
        assert_eq!(attempts(id), [1]);
        assert_eq!(state(&app, id).await, ("done".to_owned(), None));
        let left: Vec<u8> =
            On::from(&app.db).one("SELECT payload FROM jobs", args![]).await.unwrap().get("payload").unwrap();
        assert!(left.is_empty());
    }

    #[tokio::test]
    async fn a_mutation_that_is_not_committed_leaves_no_job() {
        let (_directory, app) = app().await;
        let mut mutation = Mutation::begin_as(&app, Actor::Nobody).await.unwrap();
        enqueue(&app, &mut mutation, "test", None, b"x").await.unwrap();
        drop(mutation);
        assert_eq!(run_due(&app).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_fails_waits_longer_each_time_and_is_given_up_after_the_last_attempt() {
        let (_directory, app) = app().await;
        let id = given(&app, "later").await;
        assert_eq!(run_due(&app).await.unwrap(), 1);
        assert_eq!(state(&app, id).await, ("waiting".to_owned(), Some("not now".to_owned())));
        app.clock.advance(3 * SECOND);
        assert_eq!(run_due(&app).await.unwrap(), 0, "not before its time");
        app.clock.advance(3 * SECOND);
        assert_eq!(run_due(&app).await.unwrap(), 1);
        app.clock.advance(7 * SECOND);
        assert_eq!(run_due(&app).await.unwrap(), 0);
        app.clock.advance(5 * SECOND);
        assert_eq!(run_due(&app).await.unwrap(), 1);
        assert_eq!(attempts(id), [1, 2, 3]);
        assert_eq!(state(&app, id).await.0, "failed");
        app.clock.advance(DAY);
        assert_eq!(run_due(&app).await.unwrap(), 0, "given up");
        assert!(store::retry(&app.db, "test", id, app.now()).await.unwrap());
        assert_eq!(run_due(&app).await.unwrap(), 1, "until the operator says so");
    }

    #[tokio::test]
    async fn what_never_works_is_given_up_at_once_and_its_error_is_short() {
        let (_directory, app) = app().await;
        let id = given(&app, "never").await;
        assert_eq!(run_due(&app).await.unwrap(), 1);
        let (state, error) = state(&app, id).await;
        assert_eq!((state.as_str(), error.unwrap().len()), ("failed", 300));
        assert_eq!(store::retry_failed(&app.db, "test", app.now()).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_claim_holds_against_others_until_it_runs_out() {
        let (_directory, app) = app().await;
        given(&app, "x").await;
        let dead = claim(&app, &KIND).await.unwrap().expect("it is due");
        assert!(claim(&app, &KIND).await.unwrap().is_none(), "claimed");
        assert!(!store::retry(&app.db, "test", dead.claim.job, app.now()).await.unwrap(), "under way");
        app.clock.advance(CLAIM - 1);
        assert!(claim(&app, &KIND).await.unwrap().is_none());
        app.clock.advance(1);
        let next = claim(&app, &KIND).await.unwrap().expect("the claim ran out");
        assert_eq!((next.claim.job, next.attempt), (dead.claim.job, 2));
        // The dead one comes back: what it says does not count any more.
        store::finish(&app.db, dead.claim, app.now()).await.unwrap();
        assert_eq!(state(&app, dead.claim.job).await.0, "waiting");
        store::finish(&app.db, next.claim, app.now()).await.unwrap();
        assert_eq!(state(&app, dead.claim.job).await.0, "done");
    }

    #[tokio::test]
    async fn a_payload_moved_to_another_job_does_not_open() {
        let (_directory, app) = app().await;
        let (one, other) = (given(&app, "one").await, given(&app, "other").await);
        let mut tx = app.db.begin().await.unwrap();
        let sql = "UPDATE jobs SET payload = (SELECT payload FROM jobs WHERE id = $2) WHERE id = $1";
        tx.execute(sql, args![one, other]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(run_due(&app).await.unwrap(), 2);
        assert_eq!(state(&app, one).await.0, "failed");
        assert_eq!(attempts(one), [0_i64; 0]);
    }

    #[tokio::test]
    async fn what_is_over_is_swept_in_its_time() {
        let (_directory, app) = app().await;
        let (done, failed) = (given(&app, "x").await, given(&app, "never").await);
        run_due(&app).await.unwrap();
        let left = async || {
            store::sweep(&app.db, app.now()).await.unwrap();
            let jobs = store::list_jobs(&app.db, "test").await.unwrap();
            let mut ids: Vec<_> = jobs.into_iter().map(|job| job.id).collect();
            ids.sort_unstable_by_key(|id| *id.bytes());
            ids
        };
        app.clock.advance(7 * DAY);
        assert_eq!(left().await.len(), 2);
        app.clock.advance(1);
        assert_eq!(left().await, [failed]);
        assert_ne!(done, failed);
        app.clock.advance(23 * DAY);
        assert_eq!(left().await, []);
    }

    /// The loops themselves: woken by a commit, at once.
    #[tokio::test]
    async fn a_commit_wakes_the_loop() {
        let (_directory, app) = app().await;
        start(&app);
        let id = given(&app, "once later").await;
        let noted = async {
            while attempts(id).is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), noted).await.expect("it was begun");
    }
}
