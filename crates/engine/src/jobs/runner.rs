//! Doing jobs: one loop for each kind on each node.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use hoody_core::backoff;
use tokio::task::JoinSet;

use super::store::{self, Claimed};
use super::{ATTEMPT_LIMIT, CLAIM, Failure, Job, Jobs, Kind, Payload, State, place};
use crate::clock::entropy;
use crate::db::DbError;
use crate::tasks::{self, Need, Tasks};

/// How often a node looks for what others left to it, and for what failed and is due again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often what is long done is removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);
/// The most characters of an error that are kept.
const ERROR_LENGTH: usize = 300;

impl Jobs {
    /// Starts a loop for each of these kinds, for as long as the process lives.
    pub fn start(&self, tasks: &Tasks, kinds: Vec<Kind>) {
        for kind in kinds {
            let (jobs, kind) = (self.clone(), Arc::new(kind));
            tasks.supervise(kind.name, Need::Useful, move || run(Arc::clone(&jobs.0), Arc::clone(&kind)));
        }
        let jobs = self.clone();
        tasks.every("jobs-sweep", SWEEP_INTERVAL, move || sweep(Arc::clone(&jobs.0)));
    }

    /// Does everything of these kinds that is due now, one by one; how many attempts that were. For tests.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_due(&self, kinds: &[Kind]) -> Result<usize, DbError> {
        let mut attempts = 0;
        let mut is_idle = false;
        while !is_idle {
            is_idle = true;
            for kind in kinds {
                while let Some(claimed) = claim(&self.0, kind).await? {
                    attempt(&self.0, kind, claimed).await;
                    attempts += 1;
                    is_idle = false;
                }
            }
        }
        Ok(attempts)
    }
}

async fn run(jobs: Arc<State>, kind: Arc<Kind>) -> Infallible {
    let mut bell = jobs.feed.jobs();
    let mut under_way = JoinSet::new();
    let mut is_reachable = true;
    loop {
        // Marked as heard before looking: what is rung for from here on wakes again.
        bell.borrow_and_update();
        let result = begin_due(&jobs, &kind, &mut under_way).await;
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
async fn begin_due(jobs: &Arc<State>, kind: &Arc<Kind>, under_way: &mut JoinSet<()>) -> Result<(), DbError> {
    while under_way.len() < kind.at_once {
        let Some(claimed) = claim(jobs, kind).await? else { break };
        let (jobs, kind) = (Arc::clone(jobs), Arc::clone(kind));
        under_way.spawn(tasks::counted("job", async move { attempt(&jobs, &kind, claimed).await }));
    }
    Ok(())
}

async fn claim(jobs: &State, kind: &Kind) -> Result<Option<Claimed>, DbError> {
    let now = jobs.clock.now();
    store::claim(&jobs.db, kind.name, jobs.clock.new_id(), now, now.plus(CLAIM)).await
}

/// Does a job that was claimed and writes down what came of it.
async fn attempt(jobs: &State, kind: &Kind, claimed: Claimed) {
    let (claim, number) = (claimed.claim, claimed.attempt);
    let result = match open(jobs, &claimed) {
        Ok(job) => {
            // `async`: a handler may panic before it gives its future.
            let done = AssertUnwindSafe(async { (kind.handler)(&job).await }).catch_unwind();
            match tokio::time::timeout(ATTEMPT_LIMIT, done).await {
                Ok(Ok(done)) => done,
                // Else it would be claimed again and again, and never given up.
                Ok(Err(_panic)) => Err(Failure::Later("it panicked: see the log".to_owned())),
                Err(_) => Err(Failure::Later(format!("not done in {} s", ATTEMPT_LIMIT.as_secs()))),
            }
        }
        Err(failure) => Err(failure),
    };
    let now = jobs.clock.now();
    let (outcome, written) = match result {
        Ok(()) => ("done", store::finish(&jobs.db, claim, now).await),
        Err(Failure::Later(why)) if number < kind.attempts => {
            let wait = backoff::wait_after(number, u32::from_be_bytes(entropy()));
            let why = shortened(&why);
            tracing::warn!(job.kind = kind.name, job.id = %claim.job, attempt = number, error = why,
                retry_in_s = wait / 1_000, "a job failed and will be tried again");
            ("retried", store::put_off(&jobs.db, claim, now.plus(wait), &why).await)
        }
        Err(Failure::Later(why) | Failure::Never(why)) => {
            let why = shortened(&why);
            tracing::error!(job.kind = kind.name, job.id = %claim.job, attempt = number, error = why,
                "a job failed and is given up");
            ("failed", store::give_up(&jobs.db, claim, now, &why).await)
        }
    };
    metrics::counter!("hoody_jobs_total", "kind" => kind.name, "outcome" => outcome).increment(1);
    if let Err(error) = written {
        // The claim runs out, and the job is done again.
        tracing::warn!(%error, job.id = %claim.job, "what came of a job could not be written");
    }
}

fn open(jobs: &State, claimed: &Claimed) -> Result<Job, Failure> {
    let id = claimed.claim.job;
    let payload = jobs.keys.open(&place(claimed.account, &id), &claimed.payload);
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

async fn sweep(jobs: Arc<State>) {
    if let Err(error) = store::sweep(&jobs.db, jobs.clock.now()).await {
        tracing::warn!(%error, "jobs that are over could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt as _;
    use hoody_core::id::JobId;
    use hoody_core::time::{DAY, SECOND, Timestamp};

    use super::*;
    use crate::db::{On, args};
    use crate::engine::Engine;
    use crate::feed::Actor;

    static ATTEMPTS: Mutex<Vec<(JobId, i64)>> = Mutex::new(Vec::new());

    /// A kind whose payload says what happens; each attempt is noted.
    fn kind() -> Kind {
        let handler: super::super::Handler = Arc::new(|job: &Job| {
            let (id, attempt) = (job.id, job.attempt);
            let text = String::from_utf8_lossy(job.payload()).into_owned();
            async move {
                ATTEMPTS.lock().unwrap().push((id, attempt));
                match text.as_str() {
                    "later" => Err(Failure::Later("not now".to_owned())),
                    "never" => Err(Failure::Never("x".repeat(1_000))),
                    "once later" if attempt == 1 => Err(Failure::Later("not\nnow".to_owned())),
                    _ => Ok(()),
                }
            }
            .boxed()
        });
        Kind { name: "test", handler, attempts: 3, at_once: 2 }
    }

    fn attempts(id: JobId) -> Vec<i64> {
        ATTEMPTS.lock().unwrap().iter().filter(|(of, _)| *of == id).map(|(_, number)| *number).collect()
    }

    async fn engine() -> (tempfile::TempDir, Engine) {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::for_test(directory.path(), Timestamp::from_millis(1_772_442_942_118)).await;
        (directory, engine)
    }

    async fn given(engine: &Engine, payload: &str) -> JobId {
        let mut mutation = engine.feed.begin_as(Actor::Nobody).await.unwrap();
        let id = engine.jobs.enqueue(&mut mutation, "test", None, payload.as_bytes()).await.unwrap();
        mutation.commit().await.unwrap();
        id
    }

    async fn run_due(engine: &Engine) -> Result<usize, DbError> {
        engine.jobs.run_due(&[kind()]).await
    }

    async fn state(engine: &Engine, id: JobId) -> (String, Option<String>) {
        let jobs = store::list_jobs(&engine.db, "test").await.unwrap();
        let job = jobs.into_iter().find(|job| job.id == id).unwrap();
        (job.state, job.last_error)
    }

    #[tokio::test]
    async fn a_job_is_done_once_and_its_payload_is_gone() {
        let (_directory, engine) = engine().await;
        let id = given(&engine, "canary-payload").await;
        let sealed: Vec<u8> = On::from(&engine.db)
            .one("SELECT payload FROM jobs", args![])
            .await
            .unwrap()
            .get("payload")
            .unwrap();
        assert!(!sealed.windows(6).any(|bytes| bytes == b"canary"), "payloads are sealed");
        assert_eq!(run_due(&engine).await.unwrap(), 1);
        assert_eq!(run_due(&engine).await.unwrap(), 0);
        assert_eq!(attempts(id), [1]);
        assert_eq!(state(&engine, id).await, ("done".to_owned(), None));
        let left: Vec<u8> = On::from(&engine.db)
            .one("SELECT payload FROM jobs", args![])
            .await
            .unwrap()
            .get("payload")
            .unwrap();
        assert!(left.is_empty());
    }

    #[tokio::test]
    async fn a_mutation_that_is_not_committed_leaves_no_job() {
        let (_directory, engine) = engine().await;
        let mut mutation = engine.feed.begin_as(Actor::Nobody).await.unwrap();
        engine.jobs.enqueue(&mut mutation, "test", None, b"x").await.unwrap();
        drop(mutation);
        assert_eq!(run_due(&engine).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_fails_waits_longer_each_time_and_is_given_up_after_the_last_attempt() {
        let (_directory, engine) = engine().await;
        let id = given(&engine, "later").await;
        assert_eq!(run_due(&engine).await.unwrap(), 1);
        assert_eq!(state(&engine, id).await, ("waiting".to_owned(), Some("not now".to_owned())));
        engine.clock.advance(3 * SECOND);
        assert_eq!(run_due(&engine).await.unwrap(), 0, "not before its time");
        engine.clock.advance(3 * SECOND);
        assert_eq!(run_due(&engine).await.unwrap(), 1);
        engine.clock.advance(7 * SECOND);
        assert_eq!(run_due(&engine).await.unwrap(), 0);
        engine.clock.advance(5 * SECOND);
        assert_eq!(run_due(&engine).await.unwrap(), 1);
        assert_eq!(attempts(id), [1, 2, 3]);
        assert_eq!(state(&engine, id).await.0, "failed");
        engine.clock.advance(DAY);
        assert_eq!(run_due(&engine).await.unwrap(), 0, "given up");
        assert!(store::retry(&engine.db, "test", id, engine.clock.now()).await.unwrap());
        assert_eq!(run_due(&engine).await.unwrap(), 1, "until the operator says so");
    }

    #[tokio::test]
    async fn what_never_works_is_given_up_at_once_and_its_error_is_short() {
        let (_directory, engine) = engine().await;
        let id = given(&engine, "never").await;
        assert_eq!(run_due(&engine).await.unwrap(), 1);
        let (state, error) = state(&engine, id).await;
        assert_eq!((state.as_str(), error.unwrap().len()), ("failed", 300));
        assert_eq!(store::retry_failed(&engine.db, "test", engine.clock.now()).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_claim_holds_against_others_until_it_runs_out() {
        let (_directory, engine) = engine().await;
        given(&engine, "x").await;
        let dead = claim(&engine.jobs.0, &kind()).await.unwrap().expect("it is due");
        assert!(claim(&engine.jobs.0, &kind()).await.unwrap().is_none(), "claimed");
        assert!(
            !store::retry(&engine.db, "test", dead.claim.job, engine.clock.now()).await.unwrap(),
            "under way"
        );
        engine.clock.advance(CLAIM - 1);
        assert!(claim(&engine.jobs.0, &kind()).await.unwrap().is_none());
        engine.clock.advance(1);
        let next = claim(&engine.jobs.0, &kind()).await.unwrap().expect("the claim ran out");
        assert_eq!((next.claim.job, next.attempt), (dead.claim.job, 2));
        // The dead one comes back: what it says does not count any more.
        store::finish(&engine.db, dead.claim, engine.clock.now()).await.unwrap();
        assert_eq!(state(&engine, dead.claim.job).await.0, "waiting");
        store::finish(&engine.db, next.claim, engine.clock.now()).await.unwrap();
        assert_eq!(state(&engine, dead.claim.job).await.0, "done");
    }

    #[tokio::test]
    async fn a_payload_moved_to_another_job_does_not_open() {
        let (_directory, engine) = engine().await;
        let (one, other) = (given(&engine, "one").await, given(&engine, "other").await);
        let mut tx = engine.db.begin().await.unwrap();
        let sql = "UPDATE jobs SET payload = (SELECT payload FROM jobs WHERE id = $2) WHERE id = $1";
        tx.execute(sql, args![one, other]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(run_due(&engine).await.unwrap(), 2);
        assert_eq!(state(&engine, one).await.0, "failed");
        assert_eq!(attempts(one), [0_i64; 0]);
    }

    #[tokio::test]
    async fn what_is_over_is_swept_in_its_time() {
        let (_directory, engine) = engine().await;
        let (done, failed) = (given(&engine, "x").await, given(&engine, "never").await);
        run_due(&engine).await.unwrap();
        let left = async || {
            store::sweep(&engine.db, engine.clock.now()).await.unwrap();
            let jobs = store::list_jobs(&engine.db, "test").await.unwrap();
            let mut ids: Vec<_> = jobs.into_iter().map(|job| job.id).collect();
            ids.sort_unstable_by_key(|id| *id.bytes());
            ids
        };
        engine.clock.advance(7 * DAY);
        assert_eq!(left().await.len(), 2);
        engine.clock.advance(1);
        assert_eq!(left().await, [failed]);
        assert_ne!(done, failed);
        engine.clock.advance(23 * DAY);
        assert_eq!(left().await, []);
    }

    /// The loops themselves: woken by a commit, at once.
    #[tokio::test]
    async fn a_commit_wakes_the_loop() {
        let (_directory, engine) = engine().await;
        engine.jobs.start(&engine.tasks, vec![kind()]);
        let id = given(&engine, "once later").await;
        let noted = async {
            while attempts(id).is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), noted).await.expect("it was begun");
    }
}
