//! Changing the catalogue: one transaction and one feed row, in force on every node as a revocation is.

use std::collections::BTreeMap;

use anyhow::bail;
use hoody_core::id::{Id, TokenId, UserId};
use hoody_core::permissions::own::{self, File, Mode, OwnId, Plan, PlanError, Rows, Uses};

use super::Permissions;
use super::store::{self, Holder};
use crate::users::first::plain;
use hoody_engine::catalogue::catalogue;
use hoody_engine::feed::{Actor, Change};
use hoody_engine::grants::Forget;
use hoody_engine::keys::NOBODY;
use hoody_engine::own::store::{read_rows, write_rows};

/// How often a change is made again when somebody else changes the catalogue meanwhile.
const TRIES: u32 = 5;
/// How many tokens are changed in one transaction: a revocation waits for no more than that.
const CHUNK: usize = 100;

/// What is to be changed.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// What a file says, as far as the mode goes.
    File(File, Mode),
    /// These permissions are no longer granted.
    Retired(Vec<String>),
}

/// A change that was looked at or made.
#[derive(Debug, Clone)]
pub struct Changed {
    pub plan: Plan,
    /// The catalogue after it.
    pub after: Rows,
    /// The tokens from which removed permissions were taken.
    pub taken: u64,
}

impl Permissions {
    /// The catalogue as it is stored.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rows(&self) -> anyhow::Result<Rows> {
        Ok(read_rows(&self.db).await?)
    }

    /// What would be changed.
    ///
    /// # Errors
    /// A sentence for the operator: a file that cannot be applied, or a permission that tokens hold.
    pub async fn plan(&self, wanted: &Wanted, force: bool) -> anyhow::Result<Changed> {
        let rows = self.rows().await?;
        let changed = self.planned(&rows, wanted)?;
        changed.plan.refuse_in_use(&self.uses(&changed.plan).await?, force)?;
        Ok(changed)
    }

    /// Makes the change. With `force`, what it removes is first taken from the tokens that hold it.
    ///
    /// # Errors
    /// As [`plan`](Self::plan); nothing of the catalogue is changed then.
    pub async fn apply(&self, wanted: &Wanted, force: bool) -> anyhow::Result<Changed> {
        let mut taken = 0;
        for _ in 0..TRIES {
            let rows = self.rows().await?;
            let mut changed = self.planned(&rows, wanted)?;
            if changed.plan.is_empty() {
                return Ok(changed);
            }
            let uses = self.uses(&changed.plan).await?;
            changed.plan.refuse_in_use(&uses, force)?;
            if !uses.is_empty() {
                let removed: Vec<OwnId> = changed.plan.removed().map(|(id, _)| id).collect();
                taken += self.take_from_tokens(&removed).await?;
            }
            let mut mutation = self.feed.begin_as(Actor::Operator).await.map_err(plain)?;
            if !write_rows(&mut mutation.tx, &rows, &changed.after).await? {
                continue;
            }
            let payload = serde_json::json!({
                "version": changed.after.version, "steps": changed.plan.steps.len(),
            });
            // No account's: a change of the server itself.
            let change =
                Change::new("permissions.changed", NOBODY, "permissions", Id::<()>::from_bytes([0; 12]));
            mutation.tell(change.with(payload).forgetting(Forget::Catalogue));
            mutation.commit().await.map_err(plain)?;
            changed.taken = taken;
            return Ok(changed);
        }
        bail!(PlanError::Outdated)
    }

    fn planned(&self, rows: &Rows, wanted: &Wanted) -> Result<Changed, PlanError> {
        let now = self.clock.now();
        let plan = match wanted {
            Wanted::File(file, mode) => own::plan(rows, file, catalogue(), *mode, now)?,
            Wanted::Retired(paths) => {
                own::retire(rows, &paths.iter().map(String::as_str).collect::<Vec<_>>())?
            }
        };
        let after = own::apply(rows, &plan, now)?;
        Ok(Changed { plan, after, taken: 0 })
    }

    /// The tokens that hold what the plan removes. Reads every token that holds any of the operator's permissions.
    async fn uses(&self, plan: &Plan) -> anyhow::Result<Vec<(OwnId, Uses)>> {
        let mut uses: Vec<(OwnId, Uses)> = Vec::new();
        for (id, _) in plan.removed() {
            uses.push((id, Uses { count: 0, examples: Vec::new() }));
        }
        if uses.is_empty() {
            return Ok(uses);
        }
        let mut last = TokenId::from_bytes([0; 12]);
        loop {
            let page = store::list_holders(&self.db, last).await?;
            let Some(end) = page.last().map(|holder| holder.id) else { break };
            last = end;
            for holder in &page {
                for (_, uses) in uses.iter_mut().filter(|(id, _)| holder.selected.ids().contains(id)) {
                    uses.count += 1;
                    if uses.examples.len() < Uses::MAX_EXAMPLES {
                        uses.examples.push(holder.id);
                    }
                }
            }
        }
        uses.retain(|(_, uses)| uses.count > 0);
        Ok(uses)
    }

    /// Takes these permissions from every token; how many had one.
    async fn take_from_tokens(&self, removed: &[OwnId]) -> anyhow::Result<u64> {
        let mut taken = 0;
        let mut last = TokenId::from_bytes([0; 12]);
        loop {
            let page = store::list_holders(&self.db, last).await?;
            let Some(end) = page.last().map(|holder| holder.id) else { return Ok(taken) };
            last = end;
            let mut of_accounts: BTreeMap<UserId, Vec<Holder>> = BTreeMap::new();
            let holds = |holder: &Holder| removed.iter().any(|id| holder.selected.ids().contains(id));
            for holder in page.into_iter().filter(holds) {
                of_accounts.entry(holder.account).or_default().push(holder);
            }
            for (account, holders) in of_accounts {
                for chunk in holders.chunks(CHUNK) {
                    taken += self.take_from(account, chunk, removed).await?;
                }
            }
        }
    }

    async fn take_from(&self, account: UserId, holders: &[Holder], removed: &[OwnId]) -> anyhow::Result<u64> {
        let mut mutation = self.feed.begin_as(Actor::Operator).await.map_err(plain)?;
        // Nobody else changes a token of the account meanwhile.
        mutation.lock_account(account).await?;
        let (now, mut taken) = (mutation.now, 0);
        for holder in holders {
            let mut after = holder.selected.clone();
            removed.iter().for_each(|id| after.remove(*id));
            if store::replace(&mut mutation.tx, holder, &after, now).await? {
                let change = Change::new("auth.token.updated", account, "auth_token", holder.id);
                mutation.tell(change.forgetting(Forget::Token(holder.id)));
                taken += 1;
            }
        }
        mutation.commit().await.map_err(plain)?;
        Ok(taken)
    }
}
