//! What benchmarks plant and time.

use std::net::IpAddr;

use futures_util::FutureExt as _;
use hoody_core::grant::{Attempt, Credential, Grant, Rule, decide};
use hoody_core::id::TokenId;
use hoody_core::secret::{RANDOM_BYTES, TokenKeys, TokenSecret};
use hoody_engine::catalogue::catalogue;
use hoody_engine::db::args;

use super::Service;

impl Service {
    /// Puts `count` tokens like the one of id `like` into the database, past every limit: those that
    /// [`planted`](Self::planted) names.
    ///
    /// # Panics
    /// When there is no such token or the database fails.
    pub async fn plant_like(&self, like: &str, count: u64) {
        const PLANT: &str = "INSERT INTO tokens (id, user_id, digest, key_id, alias, ip_whitelist, realm_ids, \
             allow_no_realm, permissions, vault_access, event_access, is_enabled, delegation_depth, created_at, \
             updated_at) \
             WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < $3) \
             SELECT substr($1, n * 44 + 1, 12), user_id, substr($1, n * 44 + 13, 32), key_id, \
             'planted ' || CAST($2 + n AS TEXT), ip_whitelist, realm_ids, allow_no_realm, permissions, \
             vault_access, event_access, is_enabled, delegation_depth, created_at, updated_at \
             FROM numbers, tokens WHERE tokens.id = $4";
        const AT_ONCE: usize = 20_000;
        let like: TokenId = like.parse().expect("an id");
        let keys = self.engine().keys.minting().1;
        // In the order of the digests: the index grows at its end, and a million rows take seconds.
        let mut digests: Vec<_> =
            (0..count).map(|number| *planted(number, &keys).digest(&keys).bytes()).collect();
        digests.sort_unstable();
        let mut done = 0;
        for chunk in digests.chunks(AT_ONCE) {
            let ids = (done..).map(|number: i64| [[0xee; 4].as_slice(), &number.to_be_bytes()].concat());
            let rows: Vec<u8> =
                ids.zip(chunk).flat_map(|(id, digest)| [&id[..], &digest[..]].concat()).collect();
            let count = i64::try_from(chunk.len()).expect("a few");
            let mut tx = self.engine().db.begin().await.expect("a transaction");
            let planted = tx.execute(PLANT, args![&rows[..], done, count, like]).await.expect("the rows");
            assert_eq!(planted, chunk.len() as u64);
            tx.commit().await.expect("a commit");
            done += count;
        }
    }

    /// The secret of a token that [`plant_like`](Self::plant_like) made.
    #[must_use]
    pub fn planted(&self, number: u64) -> String {
        planted(number, &self.engine().keys.minting().1).expose().to_owned()
    }

    /// The digest that the cache knows a credential by.
    #[must_use]
    pub fn digest(&self, text: &str) -> [u8; 32] {
        *self.engine().keys.cache_digest(text).bytes()
    }

    /// Form, digest, lookup, decision and usage of a credential in the cache; whether it may.
    ///
    /// # Panics
    /// When it is not in the cache.
    #[must_use]
    pub fn decide_hot(&self, text: &str, permission: &str) -> bool {
        let now = self.now();
        let attempt = attempt(permission);
        let engine = self.engine();
        let judged = engine.grants.judge_cached(text, &engine.keys, engine.clock.boot_millis(), |cached| {
            if let Credential::Token(id) = cached.grant.credential {
                engine.access.recorder.note(&cached.usage, id, now, attempt.address);
            }
            decide(&cached.grant, &attempt, now).is_ok()
        });
        judged.expect("what is in the cache is there at once")
    }

    /// The decision alone, on a grant that was looked up before.
    ///
    /// # Panics
    /// When the credential is not in the cache.
    pub fn decider(&self, text: &str, permission: &str) -> impl Fn() -> bool + use<> {
        let grant = self.cached_grant(text);
        let (attempt, now) = (attempt(permission), self.now());
        move || decide(std::hint::black_box(&grant), std::hint::black_box(&attempt), now).is_ok()
    }

    fn cached_grant(&self, text: &str) -> Grant {
        let engine = self.engine();
        let found =
            engine.grants.find(text, LOOPBACK, &engine.db, &engine.keys, &engine.clock).now_or_never();
        found.expect("what is in the cache is there at once").expect("a grant").grant
    }

    /// How often something was so large that another thread did it, in this process.
    #[must_use]
    pub fn large_works(&self) -> u64 {
        hoody_engine::work::large()
    }
}

/// Made of its number alone, so that whoever loads the server need not keep them all.
fn planted(number: u64, keys: &TokenKeys) -> TokenSecret {
    let mut random = [0; RANDOM_BYTES];
    random[..8].copy_from_slice(&number.to_le_bytes());
    TokenSecret::mint(random, keys)
}

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn attempt(permission: &str) -> Attempt {
    let permission = catalogue().leaf(permission).map(Into::into);
    let rule = Rule { permission, ..Rule::ANY };
    Attempt { address: LOOPBACK, realm: None, rule }
}
