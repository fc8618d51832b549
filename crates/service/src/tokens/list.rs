//! The tokens that a caller may see, read a page at a time; and which those are.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use hoody_core::acting::{Act, Target, may_act};
use hoody_core::grant::{Bounds, Grant};
use hoody_core::id::{RealmId, TokenId};
use hoody_core::invalid::Invalid;
use hoody_core::lineage;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::time::Timestamp;
use hoody_core::token_notes::is_tag;

use super::{Token, Tokens, store};
use hoody_engine::db::{Db, Row};
use hoody_engine::error::Error;
use hoody_engine::web::Query;
use hoody_engine::web::caller::AnyCaller;
use hoody_engine::web::list::{self, PAGE, Pages};
use hoody_engine::work;

/// How many tokens a page has at most.
const MOST_TOKENS: usize = 500;
/// About what one token takes besides its lists and its storage, in bytes.
const LEAST_WEIGHT: usize = 128;

/// Where a token stands in the list, and what it weighs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighed {
    pub(super) id: TokenId,
    pub(super) creator: Option<TokenId>,
    pub(super) created_at: Timestamp,
    /// Storage, addresses and realms, in bytes.
    pub(super) weight: usize,
}

/// What decides whether a token is seen.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: TokenId,
    pub(super) creator: Option<TokenId>,
    pub(super) realm_ids: Vec<RealmId>,
    pub(super) limits: Bounds,
}

/// Who looks: a caller, the realm that it asks in, and what descends from it.
#[derive(Debug)]
struct Eye {
    grant: Grant,
    own: Option<TokenId>,
    realm: Option<RealmId>,
    below: HashSet<TokenId>,
}

/// Which tokens are asked for; all without any of it.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    external_id: Option<String>,
    tag: Option<String>,
    state: Option<State>,
}

/// Whether a token can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Active,
    Disabled,
    Expired,
}

impl Filter {
    /// Reads `external_id`, `tag` and `state`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` for what cannot be one of these.
    pub fn read(query: &Query) -> Result<Self, Invalid> {
        let tag = query.given("tag")?;
        if tag.is_some_and(|tag| !is_tag(tag)) {
            let message = "tag must be 1 to 64 letters, digits and . _ : / -";
            return Err(Invalid::rule("INVALID_PARAMETER_VALUE", message));
        }
        let state = match query.choice("state", &["any", "active", "disabled", "expired"])? {
            "active" => Some(State::Active),
            "disabled" => Some(State::Disabled),
            "expired" => Some(State::Expired),
            _ => None,
        };
        Ok(Self {
            external_id: query.given("external_id")?.map(str::to_owned),
            tag: tag.map(str::to_owned),
            state,
        })
    }

    /// The external id that the statement may ask for. What a token is made by is found among all tokens, so that a
    /// calling token reads them all.
    fn narrows(&self, eye: &Eye) -> Option<&str> {
        self.external_id.as_deref().filter(|_| eye.own.is_none())
    }

    fn admits(&self, token: &Token, now: Timestamp) -> bool {
        let state = match (token.is_active(now), token.is_enabled) {
            (false, _) => State::Expired,
            (true, false) => State::Disabled,
            (true, true) => State::Active,
        };
        self.external_id.as_ref().is_none_or(|id| token.notes.external_id.as_ref() == Some(id))
            && self.tag.as_ref().is_none_or(|tag| token.notes.tags.contains(tag))
            && self.state.is_none_or(|wanted| wanted == state)
    }
}

/// A caller's tokens, the latest first. One that is made meanwhile is not among them.
#[derive(Debug)]
pub struct TokenList {
    db: Db,
    own: Arc<OwnCatalogue>,
    eye: Arc<Eye>,
    filter: Arc<Filter>,
    now: Timestamp,
    left: VecDeque<Weighed>,
    is_cut: bool,
}

impl TokenList {
    /// The tokens that `caller` may see, of those that `filter` admits at the instant `now`.
    ///
    /// # Errors
    /// When the database does not answer, or too much is read at once.
    pub async fn of(
        db: &Db,
        own: Arc<OwnCatalogue>,
        caller: &AnyCaller,
        filter: Filter,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let mut eye = Eye::of(caller);
        let rows = store::weigh_tokens(db, caller.account(), filter.narrows(&eye)).await?;
        let size = rows.len() * LEAST_WEIGHT;
        let read = move || {
            let all = rows.iter().map(store::read_weighed).collect::<Result<VecDeque<_>, _>>()?;
            eye.find_below(all.iter().map(|token| (token.id, token.creator)));
            Ok::<_, Error>((all, eye))
        };
        let (left, eye) = work::run(size, read).await??;
        // A delegated caller does not see its ancestors at least.
        let is_cut = eye.own.is_some() && eye.grant.lineage().len() > 1;
        Ok(Self { db: db.clone(), own, eye: Arc::new(eye), filter: Arc::new(filter), now, left, is_cut })
    }

    /// The tokens of the next page: how many of `left`, and their bytes.
    fn plan(&self) -> (usize, usize) {
        let (mut count, mut bytes) = (0, 0);
        for token in self.left.iter().take(MOST_TOKENS) {
            let more = token.weight + LEAST_WEIGHT;
            if count > 0 && bytes + more > PAGE {
                break;
            }
            (count, bytes) = (count + 1, bytes + more);
        }
        (count, bytes)
    }
}

impl Pages for TokenList {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let (count, bytes) = self.plan();
        let (Some(first), Some(last)) =
            (self.left.front().copied(), self.left.get(count.saturating_sub(1)).copied())
        else {
            return Ok(None);
        };
        self.left.drain(..count);
        let account = self.eye.grant.account;
        let external_id = self.filter.narrows(&self.eye);
        let rows = store::list_between(&self.db, account, (first, last), external_id).await?;
        let (eye, own) = (Arc::clone(&self.eye), Arc::clone(&self.own));
        let (filter, now) = (Arc::clone(&self.filter), self.now);
        let (page, is_cut) = work::run(bytes, move || write(&eye, &rows, &own, (&filter, now))).await??;
        self.is_cut |= is_cut;
        Ok(Some(page))
    }

    fn is_truncated(&self) -> bool {
        self.is_cut
    }
}

/// The tokens of these rows that are seen, as JSON with commas between, and whether others were left out.
fn write(
    eye: &Eye,
    rows: &[Row],
    own: &OwnCatalogue,
    (filter, now): (&Filter, Timestamp),
) -> Result<(Vec<u8>, bool), Error> {
    let (mut out, mut is_cut) = (Vec::new(), false);
    for row in rows {
        let token = store::read(row, own)?;
        // Who asks on a realm's host asks for that realm; only what is hidden beyond that is left out.
        if !filter.admits(&token, now) || !eye.is_in_realm(token.id, &token.realm_ids) {
            continue;
        }
        if !eye.may_see(token.id, &token.limits) {
            is_cut = true;
            continue;
        }
        if !out.is_empty() {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, &token.shown(own, None)).map_err(Error::internal)?;
    }
    Ok((out, is_cut))
}

impl Eye {
    fn of(caller: &AnyCaller) -> Self {
        Self {
            grant: caller.grant().clone(),
            own: caller.token(),
            realm: caller.attempt.realm,
            below: HashSet::new(),
        }
    }

    /// Finds what descends from a calling token among its account's tokens, each with its creator.
    fn find_below(&mut self, tokens: impl Iterator<Item = (TokenId, Option<TokenId>)>) {
        let Some(own) = self.own else { return };
        let creators: HashMap<_, _> = tokens.collect();
        let descends = |id: &TokenId| {
            let above = std::iter::successors(Some(*id), |id| creators.get(id).copied().flatten());
            above.take(lineage::MAX_DEPTH as usize + 1).any(|id| id == own)
        };
        self.below = creators.keys().copied().filter(descends).collect();
    }

    /// A token that asks finds itself in every realm where it works.
    fn is_in_realm(&self, id: TokenId, realm_ids: &[RealmId]) -> bool {
        self.realm.is_none_or(|realm| realm_ids.contains(&realm)) || self.own == Some(id)
    }

    fn may_see(&self, id: TokenId, limits: &Bounds) -> bool {
        let lineage = self.own.filter(|_| self.below.contains(&id));
        let target = Target { id, lineage: lineage.as_slice(), limits };
        may_act(&self.grant, true, target, Act::See).is_ok()
    }
}

/// The ids of the tokens that a calling token may see, its own included; `None`: a session sees all. Whoever
/// asks must not hold room for a list of its own meanwhile: it might be all that the account has.
///
/// # Errors
/// When the database does not answer, or too much is read at once.
pub async fn visible_ids(tokens: &Tokens, caller: &AnyCaller) -> Result<Option<HashSet<TokenId>>, Error> {
    let mut eye = Eye::of(caller);
    let Some(own) = eye.own else { return Ok(None) };
    let room = list::begin(&tokens.lists, caller.account()).await?;
    let catalogue = tokens.access.own_catalogue().await?;
    let rows = store::list_seen(&tokens.db, caller.account()).await?;
    let judge = move || {
        let tokens =
            rows.iter().map(|row| store::read_seen(row, &catalogue)).collect::<Result<Vec<_>, _>>()?;
        eye.find_below(tokens.iter().map(|token| (token.id, token.creator)));
        let seen = tokens.iter().filter(|token| {
            eye.is_in_realm(token.id, &token.realm_ids) && eye.may_see(token.id, &token.limits)
        });
        Ok::<_, Error>(seen.map(|token| token.id).chain([own]).collect())
    };
    // Their realms may be long.
    let ids = work::run(work::SMALL + 1, judge).await?;
    drop(room);
    ids.map(Some)
}
