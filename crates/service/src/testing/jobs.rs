//! Jobs, mails and sweeps, which run when a test says so.

use super::Service;

impl Service {
    /// Does every job that is due at the time of the clock; how many attempts that were.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn run_jobs(&self) -> usize {
        self.engine().jobs.run_due(&self.nouns.jobs()).await.expect("jobs can be read")
    }

    /// Writes what is noted of the use of tokens.
    pub async fn flush_usage(&self) {
        self.engine().flush_usage().await;
    }

    /// Removes counters and history that are over, as happens now and then.
    pub async fn sweep(&self) {
        self.engine().limits.sweep().await;
        self.nouns.history.sweep().await;
    }

    /// Removes sessions and codes that are over, as is done now and then.
    pub async fn sweep_codes(&self) {
        self.nouns.sign_in.sweep().await;
    }
}
