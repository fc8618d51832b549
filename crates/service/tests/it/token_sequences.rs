//! Threats 16 and 38 at the level of HTTP: tokens change one another and make tokens at random, none gains
//! anything, and none is ever more than what it descends from.
//!
//! What a token can do is modelled here from what the contract says, apart from the code that decides:
//! its leaves, the hosts and addresses where it works, its end and its flags, and of a token that a token
//! made what all of its lineage has of that.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, HERE, Minted, REALM_A, REALM_B, Reply, TestApp, on_both};

const TOKENS: &str = "/api/v1/auth/tokens";
const ROUNDS: usize = 8;
const STEPS: usize = 150;
/// Places: the base host and two realms' hosts.
const PLACES: [Option<&str>; 3] = [None, Some(REALM_A), Some(REALM_B)];
const ADDRESSES: [&str; 4] = [HERE, "10.1.2.3", "10.200.0.1", "2001:db8::1"];
const LISTS: [&str; 6] = [
    "*",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "203.0.113.0/24",
    "203.0.113.7,10.1.2.3",
    "10.0.0.0/8,203.0.113.7,2001:db8::/32",
];
/// The entries of the lists, and which of [`ADDRESSES`] each allows.
const ENTRIES: [(&str, [bool; 4]); 7] = [
    ("*", [true; 4]),
    ("10.0.0.0/8", [false, true, true, false]),
    ("10.1.0.0/16", [false, true, false, false]),
    ("203.0.113.0/24", [true, false, false, false]),
    ("203.0.113.7", [true, false, false, false]),
    ("10.1.2.3", [false, true, false, false]),
    ("2001:db8::/32", [false, false, false, true]),
];
const LEAVES: [&str; 4] =
    ["projects.read", "projects.update", "containers.create", "resources.create_tokens"];
const ENDS: [Option<&str>; 3] = [None, Some("2026-03-03T00:00:00.000Z"), Some("2026-03-02T12:00:00.000Z")];

/// Numbers that are the same in every run (splitmix64), and how many of seven tokens may make tokens.
struct Dice(u64, usize);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn realms(&mut self) -> Value {
        self.of(&[&[][..], &[REALM_A], &[REALM_B], &[REALM_A, REALM_B]]).into()
    }

    fn permissions(&mut self) -> Value {
        let mut tree = json!({});
        for leaf in LEAVES {
            let (branch, name) = leaf.split_once('.').unwrap();
            // Few hold what full access does not give: everything else would be hidden from most.
            let odds = if leaf == "resources.create_tokens" { self.1 } else { 5 };
            tree[branch][name] = json!(self.below(7) < odds);
        }
        tree
    }

    fn limits(&mut self) -> Value {
        json!({
            "permissions": self.permissions(), "realm_ids": self.realms(), "allow_no_realm": self.coin(),
            "ip_whitelist": self.of(&LISTS), "expires_at": self.of(&ENDS),
            "vault_access": self.coin(), "event_access": self.coin(),
        })
    }

    /// What is asked of the token `id`.
    fn step(&mut self, id: &str) -> (Method, String, Value) {
        let path = format!("{TOKENS}/{id}");
        let realm = json!({ "realm_id": self.of(&[REALM_A, REALM_B]) });
        match self.below(16) {
            0 => (Method::POST, TOKENS.to_owned(), self.limits()),
            1 => (Method::POST, format!("{path}/copy"), json!({ "expires_at": self.of(&ENDS) })),
            2 | 3 => (Method::POST, format!("{path}/add-realm"), realm),
            4 | 5 => (Method::POST, format!("{path}/remove-realm"), realm),
            6 => (Method::PUT, path, self.limits()),
            7 => (Method::PUT, path, json!({ "permissions": self.permissions() })),
            8 => (Method::PATCH, path, json!({ "realm_ids": self.realms(), "allow_no_realm": self.coin() })),
            9 => (Method::PUT, path, json!({ "ip_whitelist": self.of(&LISTS) })),
            10 => (Method::PUT, path, json!({ "expires_at": self.of(&ENDS) })),
            11 => (Method::PATCH, path, json!({ "vault_access": self.coin(), "event_access": self.coin() })),
            12 => (Method::PUT, path, json!({ "allow_no_realm": true })),
            13 if self.below(4) == 0 => (Method::DELETE, path, json!({})),
            _ => (Method::PATCH, path, json!({ "is_enabled": self.below(4) > 0 })),
        }
    }
}

/// What a token can do, read from what the account is shown of it.
#[derive(Debug, Clone, PartialEq)]
struct Reach {
    leaves: BTreeSet<&'static str>,
    places: [bool; 3],
    addresses: [bool; 4],
    end: Option<String>,
    flags: [bool; 2],
}

impl Reach {
    fn of(token: &Value) -> Self {
        let holds = |leaf: &str| {
            token.pointer(&format!("/permissions/{}", leaf.replace('.', "/"))) == Some(&json!(true))
        };
        let realms = token["realm_ids"].as_array().unwrap();
        let entries: Vec<_> =
            token["ip_whitelist"].as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
        let allowed = |place: usize| {
            entries.iter().any(|entry| ENTRIES.iter().any(|(known, allow)| known == entry && allow[place]))
        };
        Self {
            leaves: LEAVES.into_iter().filter(|leaf| holds(leaf)).collect(),
            places: PLACES.map(|place| match place {
                None => realms.is_empty() && token["allow_no_realm"] == true,
                Some(realm) => realms.is_empty() || realms.contains(&json!(realm)),
            }),
            addresses: [0, 1, 2, 3].map(allowed),
            end: token["expires_at"].as_str().map(str::to_owned),
            flags: ["vault_access", "event_access"].map(|flag| token[flag] == true),
        }
    }

    /// What it can do of all that `tokens` say of it and of what it descends from; `None` where that is off.
    fn effective(token: &Value, tokens: &[Value]) -> Option<Self> {
        let mut reach = Self::of(token);
        let mut next = token;
        loop {
            if next["is_enabled"] != true {
                return None;
            }
            let creator = &next["created_by_token_id"];
            if creator.is_null() {
                return Some(reach);
            }
            next = tokens.iter().find(|token| token["id"] == *creator).unwrap();
            reach = reach.meet(&Self::of(next));
        }
    }

    fn meet(&self, other: &Self) -> Self {
        let both = |index: usize| self.addresses[index] && other.addresses[index];
        Self {
            leaves: self.leaves.intersection(&other.leaves).copied().collect(),
            places: [0, 1, 2].map(|index| self.places[index] && other.places[index]),
            addresses: [0, 1, 2, 3].map(both),
            end: self.end.iter().chain(&other.end).min().cloned(),
            flags: [0, 1].map(|index| self.flags[index] && other.flags[index]),
        }
    }

    /// What an attempt gets at the instant `now`.
    fn may(&self, place: usize, from: usize, leaf: &str, now: &str) -> bool {
        let ended = self.end.as_deref().is_some_and(|end| end <= now);
        !ended && self.places[place] && self.addresses[from] && self.leaves.contains(leaf)
    }

    fn within(&self, other: &Self) -> bool {
        let ends_in_time = match (&self.end, &other.end) {
            (_, None) => true,
            // Instants are written in one form, so they compare as text.
            (Some(mine), Some(theirs)) => mine <= theirs,
            (None, Some(_)) => false,
        };
        ends_in_time
            && self.leaves.is_subset(&other.leaves)
            && self.places.iter().zip(other.places).all(|(mine, theirs)| *mine <= theirs)
            && self.addresses.iter().zip(other.addresses).all(|(mine, theirs)| *mine <= theirs)
            && self.flags.iter().zip(other.flags).all(|(mine, theirs)| *mine <= theirs)
    }
}

async fn shown(user: &Client) -> Vec<Value> {
    user.get(TOKENS).await.data().as_array().unwrap().clone()
}

/// The client at one of [`PLACES`] and [`ADDRESSES`].
fn at(client: &Client, place: Option<&str>, address: &str) -> Client {
    let client = client.from(address);
    place.map_or(client.clone(), |realm| client.realm(realm))
}

/// The token where it works as a rule, and sometimes anywhere.
fn somewhere(dice: &mut Dice, token: &Minted, shown: &[Value]) -> Client {
    let reach = shown.iter().find(|one| one["id"] == token.id);
    let reach = reach.and_then(|one| Reach::effective(one, shown));
    let (mut place, mut from) = (dice.below(PLACES.len()), dice.below(ADDRESSES.len()));
    if let Some(reach) = reach.filter(|_| dice.below(4) > 0) {
        place = reach.places.iter().position(|works| *works).unwrap_or(place);
        from = reach.addresses.iter().position(|works| *works).unwrap_or(from);
    }
    at(&token.client, PLACES[place], ADDRESSES[from])
}

/// What the requests of every token really get is what the model says of it.
async fn assert_enforced(app: &TestApp, tokens: &[Minted], shown: &[Value]) {
    let now = app.service.now().to_string();
    for token in tokens {
        let found = shown.iter().find(|one| one["id"] == token.id);
        let reach = found.and_then(|one| Reach::effective(one, shown));
        for (place, host) in PLACES.into_iter().enumerate() {
            for (from, address) in ADDRESSES.into_iter().enumerate() {
                for leaf in LEAVES {
                    let reply = at(&token.client, host, address).check(leaf).await;
                    let may = reach.as_ref().is_some_and(|reach| reach.may(place, from, leaf, &now));
                    assert_eq!(
                        reply.status == StatusCode::NO_CONTENT,
                        may,
                        "{leaf} at {host:?} from {address}: {found:?}"
                    );
                }
            }
        }
    }
}

/// The token that this answer made.
fn made(app: &TestApp, reply: &Reply) -> Minted {
    let text = |name: &str| reply.data()[name].as_str().unwrap().to_owned();
    let secret = text("token");
    Minted { id: text("id"), client: app.with(&secret), secret }
}

on_both! {
    /// Threat 16: whatever tokens do to one another, each can do no more than one of them could at the start.
    async fn threat_16_tokens_that_change_one_another_gain_nothing(app: TestApp) {
        let mut applied = 0;
        for round in 0..ROUNDS {
            let mut dice = Dice(1_600 + u64::try_from(round).unwrap(), 1);
            let user = app.user(&format!("ada{round}")).await;
            let mut tokens = Vec::new();
            for index in 0..5 {
                let mut limits = dice.limits();
                // One that covers most others and one that lies in the middle: they have to give and to take.
                if index < 2 {
                    let realms = if index == 0 { json!([]) } else { json!([REALM_A, REALM_B]) };
                    let projects = json!({ "read": true, "update": true });
                    let all = json!({ "projects": projects, "containers": { "create": true } });
                    limits = json!({ "permissions": all, "realm_ids": realms, "vault_access": index == 0 });
                }
                tokens.push(user.mint(limits).await);
            }
            let start = shown(&user).await;
            let given: Vec<_> = start.iter().map(Reach::of).collect();
            let mut before = start;
            for _ in 0..STEPS {
                let (caller, target) = (dice.below(tokens.len()), dice.below(tokens.len()));
                let client = somewhere(&mut dice, &tokens[caller], &before);
                let (method, path, body) = dice.step(&tokens[target].id);
                let what = format!("{method} {path} {body} by {}", tokens[caller].id);
                let reply = client.send(method, &path, body.to_string().into_bytes()).await;
                let after = shown(&user).await;
                if reply.status.is_success() {
                    applied += usize::from(after != before);
                    if reply.status == StatusCode::CREATED {
                        tokens.push(made(&app, &reply));
                    }
                } else {
                    assert!(matches!(reply.status.as_u16(), 400..=404), "{what}: {}", reply.text);
                    assert_eq!(after, before, "refused and yet changed: {what}");
                }
                for token in &after {
                    let Some(reach) = Reach::effective(token, &after) else { continue };
                    let lacked = !given.iter().any(|first| reach.within(first));
                    assert!(!lacked, "{what} gave {token}, which no token had of {given:#?}");
                }
                before = after;
            }
            assert_enforced(&app, &tokens, &before).await;
        }
        assert!(applied >= 50, "only {applied} changes were made: the dice prove nothing");
    }
    /// Threat 38: a tree that grows and changes by sessions and by tokens of any depth. After each step
    /// random attempts get, at this node at once and at another after its poll, what the lineage allows.
    async fn threat_38_no_child_is_ever_more_than_what_it_descends_from(app: TestApp) {
        let second = app.another_node().await;
        let (mut deepest, mut allowed, mut refused) = (0, 0, 0);
        for round in 0..3_u64 {
            let mut dice = Dice(3_800 + round, 5);
            let name = format!("ada{round}");
            let mut user = app.user(&name).await;
            let all = json!({ "projects": { "read": true, "update": true }, "containers": { "create": true },
                "resources": { "create_tokens": true } });
            let mut tokens = vec![user.mint(json!({ "permissions": all, "vault_access": true })).await];
            let mut before = shown(&user).await;
            for step in 0..90 {
                if step == 60 {
                    // Past the sooner of the two ends, for whoever has it.
                    app.later(3 * 3_600_000).await;
                    second.advance(3 * 3_600_000);
                    user = app.login(&name).await;
                }
                let target = dice.below(tokens.len());
                let caller = dice.below(tokens.len() + 2);
                let client = match tokens.get(caller) {
                    Some(token) => somewhere(&mut dice, token, &before),
                    None => user.clone(),
                };
                let (method, path, body) = match dice.below(4) {
                    0 if tokens.len() < 24 => (Method::POST, TOKENS.to_owned(), dice.limits()),
                    1 if tokens.len() < 24 => {
                        (Method::POST, format!("{TOKENS}/{}/copy", tokens[target].id), json!({}))
                    }
                    _ => dice.step(&tokens[target].id),
                };
                let what = format!("{method} {path} {body} by {:?}", tokens.get(caller).map(|token| &token.id));
                let reply = client.send(method, &path, body.to_string().into_bytes()).await;
                let after = shown(&user).await;
                if reply.status == StatusCode::CREATED {
                    let child = Reach::of(reply.data());
                    let parent = tokens.get(caller).and_then(|token| {
                        Reach::effective(before.iter().find(|one| one["id"] == token.id)?, &before)
                    });
                    assert!(parent.is_none_or(|parent| child.within(&parent)), "{what}: {}", reply.text);
                    tokens.push(made(&app, &reply));
                }
                if !reply.status.is_success() {
                    assert!(matches!(reply.status.as_u16(), 400..=404), "{what}: {}", reply.text);
                    assert_eq!(after, before, "refused and yet changed: {what}");
                }
                assert!(second.poll().await);
                let now = app.service.now().to_string();
                for _ in 0..12 {
                    let token = &tokens[dice.below(tokens.len())];
                    let (place, from) = (dice.below(PLACES.len()), dice.below(ADDRESSES.len()));
                    let leaf = dice.of(&LEAVES);
                    let found = after.iter().find(|one| one["id"] == token.id);
                    let reach = found.and_then(|one| Reach::effective(one, &after));
                    let may = reach.is_some_and(|reach| reach.may(place, from, leaf, &now));
                    let here = at(&token.client, PLACES[place], ADDRESSES[from]);
                    for (node, client) in [("here", here.clone()), ("there", here.at(&second))] {
                        let reply = client.check(leaf).await;
                        let got = reply.status == StatusCode::NO_CONTENT;
                        assert_eq!(got, may, "{node}, {leaf} after {what}: {found:?} {}", reply.text);
                    }
                    let depth = found.map_or(0, |one| one["delegation_depth"].as_u64().unwrap());
                    deepest = deepest.max(depth);
                    allowed += usize::from(may && depth > 0);
                    refused += usize::from(!may && depth > 0);
                }
                before = after;
            }
            assert_enforced(&app, &tokens, &before).await;
        }
        let dice_prove_something = deepest >= 2 && allowed >= 50 && refused >= 200;
        assert!(dice_prove_something, "depth {deepest}, {allowed} allowed, {refused} refused");
    }
}
