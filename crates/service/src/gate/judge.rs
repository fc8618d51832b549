//! What `hoody_doors` asks about gates and credentials, for one question of a proxy; and the row of the request log
//! that tells of it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hoody_core::activity::Via;
use hoody_core::grant::Credential;
use hoody_core::id::{GateId, UserId};
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::permissions::{Catalogues, Named};
use hoody_core::time::Timestamp;
use hoody_doors::identity::Signer;
use hoody_doors::judge::{Holder, Judge, Passed, decide};
use hoody_doors::question::{Admits, Question};
use hoody_doors::refusal::Refusal;
use hoody_doors::table;
use hoody_engine::catalogue::catalogue;
use hoody_engine::grants::NoGrant;
use hoody_engine::keys::SigningKey;
use hoody_engine::web::Access;
use hoody_engine::web::caller::ended_session;

use super::Gate;
use super::row::{About, Row};
use crate::gates::holder::holder;
use crate::gates::trial::refusal_of;

/// For how long after a gate was found it may be decided by without another look, in milliseconds.
const RECENT: i64 = 150;

/// Whose credential it is, as far as it is known.
type Who = Option<(UserId, Option<Credential>)>;

/// Judges one question.
#[derive(Debug)]
pub(super) struct Judging<'a> {
    gate: &'a Gate,
    via: Via,
    /// The operator's catalogue; none where nothing may be waited for, and it is asked in place.
    own: Option<Arc<OwnCatalogue>>,
    /// When the question came, in microseconds since the machine's start.
    began: i64,
    /// When the gate was found, in milliseconds since the machine's start.
    gate_at: AtomicI64,
    /// Something would have to be waited for, and nothing may be.
    has_missed: AtomicBool,
    row: Mutex<Option<Row>>,
    /// The code of the refusal, or that it was allowed; once that is known.
    answer: OnceLock<&'static str>,
    signing: OnceLock<Signing>,
}

#[derive(Debug)]
struct Signing(Arc<SigningKey>);

impl Signer for Signing {
    fn key_id(&self) -> &str {
        self.0.id()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message)
    }
}

impl<'a> Judging<'a> {
    /// Judges by what this node knows, and waits for nothing: [`Judging::has_missed`] tells where that did not do.
    pub(super) fn hot(gate: &'a Gate, began: i64) -> Self {
        Self::of(gate, Via::Gate, None, began)
    }

    /// Judges, and reads what this node does not know.
    pub(super) fn new(gate: &'a Gate, via: Via, own: Arc<OwnCatalogue>, began: i64) -> Self {
        Self::of(gate, via, Some(own), began)
    }

    fn of(gate: &'a Gate, via: Via, own: Option<Arc<OwnCatalogue>>, began: i64) -> Self {
        Self {
            gate,
            via,
            own,
            began,
            gate_at: AtomicI64::new(i64::MIN),
            has_missed: AtomicBool::new(false),
            row: Mutex::default(),
            answer: OnceLock::new(),
            signing: OnceLock::new(),
        }
    }

    fn is_hot(&self) -> bool {
        self.own.is_none()
    }

    fn access(&self) -> &Access {
        &self.gate.access
    }

    /// Whether what it said is of no use: it would have had to wait.
    pub(super) fn has_missed(&self) -> bool {
        self.has_missed.load(Ordering::Relaxed)
    }

    /// Says that something would have to be waited for.
    fn miss(&self) -> Refusal {
        self.has_missed.store(true, Ordering::Relaxed);
        Refusal::Unavailable
    }

    /// The code of the refusal, or `allowed`, for metrics; `None` where nothing was asked.
    pub(super) fn answer(&self) -> Option<&'static str> {
        self.answer.get().copied()
    }

    /// The row that tells of the question, where it has an account.
    pub(super) fn into_row(self) -> Option<Row> {
        self.row.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present and how long it took so far, for a row.
    fn times(&self) -> (Timestamp, u64) {
        let access = self.access();
        (access.now(), (access.clock.boot_micros() - self.began).unsigned_abs())
    }

    /// Leaves the row in the log at once, where nobody has to wait for it; false where there is no room.
    fn record(&self, about: &About<'_>, who: (UserId, Option<Credential>)) -> bool {
        let Some(queue) = &self.gate.activity.queue else { return true };
        queue.try_record(&about.what(self.via, who, None, self.times()))
    }

    /// Keeps the row until the answer is made.
    fn keep(&self, about: &About<'_>, who: Who, refusal: Option<&Refusal>) {
        let _ = self.answer.set(refusal.map_or("allowed", Refusal::code));
        // Who names no account, or none of this gate's, is the gate's owner's to know of.
        let who = match refusal {
            Some(Refusal::Account) => None,
            _ => who,
        };
        if let Some(who) = who.or(about.owner.map(|owner| (owner, None))) {
            let row = Row::of(&about.what(self.via, who, refusal, self.times()));
            *self.row.lock().unwrap_or_else(PoisonError::into_inner) = Some(row);
        }
    }

    /// The holder of a credential that is in the cache and comes in.
    fn judge_cached(&self, question: &Question<'_>) -> Option<(Holder, (UserId, Credential))> {
        let access = self.access();
        let text = question.credential.ok()?;
        let now = access.now();
        let epoch = access.grants.catalogue_epoch();
        access.grants.judge_cached(text, &access.keys, self.began / 1_000, |cached| {
            let (grant, limits) = (&cached.grant, &cached.grant.limits);
            decide(grant, |leaf| limits.holds(leaf), question, now).ok()?;
            let label = limits.extras.label();
            let permissions = self.gate.gates.texts.find(epoch, limits)?;
            if let Credential::Token(id) = grant.credential {
                label?;
                access.recorder.note(&cached.usage, id, now, question.address);
            }
            Some((holder(grant, label, permissions), (grant.account, grant.credential)))
        })?
    }

    /// The holder of a credential that comes in, or the refusal; and whose it is.
    async fn judge_found(&self, question: &Question<'_>) -> (Result<Holder, Refusal>, Who) {
        let access = self.access();
        let text = match question.credential {
            Ok(text) => text,
            Err(deny) => return (Err(Refusal::Denied(deny)), None),
        };
        let (since, epoch) = (access.grants.read_at(), access.grants.catalogue_epoch());
        let found = access.grants.find(text, question.address, &access.db, &access.keys, &access.clock).await;
        let found = match found {
            Ok(found) => found,
            Err(none) => return (Err(refusal_of(none)), whose(access, text, none)),
        };
        if !self.has_gate_still(question) {
            return (Err(Refusal::Unavailable), None);
        }
        let grant = &found.grant;
        let who = Some((grant.account, Some(grant.credential)));
        let now = access.now();
        if let Err(refusal) = decide(grant, |leaf| grant.limits.holds(leaf), question, now) {
            return (Err(refusal), who);
        }
        let label = match access.grants.label_of(&found, since, &access.db, &access.clock).await {
            Ok(label) => label,
            Err(none) => return (Err(refusal_of(none)), who),
        };
        let Some(own) = &self.own else { return (Err(self.miss()), None) };
        access.grants.note_use(&access.recorder, &found, now, question.address);
        let permissions = self.gate.gates.texts.make(epoch, &grant.limits, own);
        (Ok(holder(grant, label.as_ref(), permissions)), who)
    }
}

impl Judging<'_> {
    /// Whether the gate is what it was when it was found: looking for the credential may have taken longer than a
    /// node may answer from what it knew before.
    fn has_gate_still(&self, question: &Question<'_>) -> bool {
        let Admits::Gate(gate) = question.admits else { return true };
        let now = self.access().clock.boot_millis();
        let is_recent = now - self.gate_at.load(Ordering::Relaxed) <= RECENT;
        let is_same =
            |known: Option<Arc<table::Gate>>| known.is_some_and(|known| std::ptr::eq(&*known, gate));
        is_recent || self.gate.gates.cached(now, gate.id).is_some_and(is_same)
    }
}

/// Whose a credential was that nobody has a grant by.
fn whose(access: &Access, text: &str, none: NoGrant) -> Who {
    match none {
        NoGrant::Revoked(account, token) => Some((account, Some(Credential::Token(token)))),
        NoGrant::Unknown | NoGrant::Expired => {
            let (account, session) = ended_session(text, access)?;
            Some((account, Some(Credential::Session(session))))
        }
        NoGrant::Busy | NoGrant::Unavailable => None,
    }
}

impl Judge for Judging<'_> {
    async fn gate(&self, id: GateId) -> Result<Option<Arc<table::Gate>>, Refusal> {
        if self.is_hot() {
            return self.gate.gates.cached(self.began / 1_000, id).ok_or_else(|| self.miss());
        }
        // Before it is looked for: what changes meanwhile may not be in it.
        self.gate_at.store(self.access().clock.boot_millis(), Ordering::Relaxed);
        self.gate.gates.find(id).await
    }

    fn find(&self, path: &str) -> Option<Named> {
        if let Some(own) = &self.own {
            return Catalogues { hoody: catalogue(), own }.find(path);
        }
        let found = self
            .access()
            .grants
            .ask_own(self.began / 1_000, |own| Catalogues { hoody: catalogue(), own }.find(path));
        if found.is_none() {
            self.miss();
        }
        found.flatten()
    }

    async fn judge(&self, question: &Question<'_>) -> Result<Holder, Refusal> {
        let about = About::of_question(question);
        if !self.is_hot() {
            let (judged, who) = self.judge_found(question).await;
            self.keep(&about, who, judged.as_ref().err());
            return judged;
        }
        // What is refused is refused again by the way that can say why.
        let Some((holder, (account, credential))) = self.judge_cached(question) else {
            return Err(self.miss());
        };
        if self.record(&about, (account, Some(credential))) { Ok(holder) } else { Err(self.miss()) }
    }

    fn passed(&self, passed: Passed<'_>, refusal: Option<&Refusal>) {
        let about = About::of_passed(passed);
        if !self.is_hot() {
            return self.keep(&about, None, refusal);
        }
        // What is refused is refused again, and told, by the way that can say why.
        if refusal.is_some() || !about.owner.is_none_or(|owner| self.record(&about, (owner, None))) {
            self.miss();
        }
    }

    fn signer(&self) -> Option<&dyn Signer> {
        Some(self.signing.get_or_init(|| Signing(self.access().keys.signing_key())))
    }

    fn now(&self) -> Timestamp {
        self.access().now()
    }
}
