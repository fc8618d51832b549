//! The audit log.

use super::Service;
use crate::audit::store::{Signed, find_last_checkpoint};
use crate::audit::{look, seal, trim, verify};

/// A checkpoint that was handed out.
#[derive(Debug, Clone, Copy)]
pub struct HandedOut(Signed);

impl Service {
    /// Seals what is new in the feed; how many rows.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn seal(&self) -> u64 {
        seal::seal(&self.nouns.audit).await.expect("a sealing")
    }

    /// Looks for something to seal, as every node does twice a second; why nothing is sealed, if that is so.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn try_seal(&self) -> Option<String> {
        look(&self.nouns.audit, false).await.expect("a look");
        self.nouns.audit.refusal()
    }

    /// Trims the feed; how many rows it took out.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn trim_feed(&self) -> u64 {
        trim::trim(&self.nouns.audit).await.expect("a trimming")
    }

    /// The last checkpoint.
    ///
    /// # Panics
    /// When nothing is sealed.
    pub async fn checkpoint(&self) -> HandedOut {
        HandedOut(find_last_checkpoint(&self.engine().db).await.expect("a read").expect("a checkpoint"))
    }

    /// How many rows the audit log has, and what is wrong with it: the row and a sentence each.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn verify_audit(&self, handed_out: Option<HandedOut>) -> (i64, Vec<String>) {
        let report =
            verify::verify(&self.nouns.audit, handed_out.as_ref().map(|handed_out| &handed_out.0)).await;
        let report = report.expect("a report");
        let problem = |problem: &verify::Problem| format!("{}: {}", problem.row, problem.what);
        (report.rows, report.problems.iter().map(problem).collect())
    }
}
