//! Threat 16 and 38: a tree of tokens that grows and changes at random, by sessions and by tokens of any
//! depth, and at every moment no token can do what one of its ancestors cannot.

use std::net::IpAddr;

use proptest::prelude::*;

use super::{Lineage, Link, MAX_DEPTH, clamp, raised};
use crate::acting::tests::limits;
use crate::acting::{Act, Target, may_act};
use crate::grant::{Accepts, Attempt, Bounds, Grant, Rule, decide};
use crate::id::{RealmId, TokenId, UserId};
use crate::permissions::{Catalogue, Permission};
use crate::time::Timestamp;

const ACCOUNT: UserId = UserId::from_bytes([9; 12]);
const DEEPEST: usize = 4;

/// A step by `by` (a session when `None`) on the token `on`; both are taken modulo the number of tokens.
#[derive(Debug, Clone)]
struct Step {
    by: Option<usize>,
    on: usize,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Create(Bounds),
    Copy,
    Change(Bounds),
    Switch(bool),
    Delete,
    TimePasses,
    /// Somebody writes to the database itself.
    Tamper(Bounds),
    /// The same, and bends the tree.
    Bend(Option<usize>),
}

#[derive(Debug, Clone)]
struct Node {
    link: Link,
    is_deleted: bool,
}

#[derive(Debug, Default)]
struct Tree {
    nodes: Vec<Node>,
    now: i64,
}

/// The leaf that lets a token make tokens: one of the four that [`limits`] draws from.
fn create_tokens() -> Permission {
    Catalogue::hoody().leaves().map(|(leaf, _)| leaf).next().unwrap()
}

fn id(index: usize) -> TokenId {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&(index as u64).to_be_bytes());
    TokenId::from_bytes(bytes)
}

impl Tree {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn parent(&self, index: usize) -> Option<usize> {
        let creator = self.nodes[index].link.creator?;
        self.nodes.iter().position(|node| node.link.id == creator && !node.is_deleted)
    }

    /// As the statement that reads it: itself and its ancestors, at most as many as there can be.
    fn chain(&self, index: usize) -> Vec<usize> {
        let rest = std::iter::successors(Some(index), |at| self.parent(*at));
        rest.take(MAX_DEPTH as usize + 2).collect()
    }

    fn lineage(&self, index: usize) -> Lineage {
        Lineage::new(self.chain(index).iter().map(|at| self.nodes[*at].link.clone())).unwrap()
    }

    fn grant(&self, index: usize) -> Grant {
        self.lineage(index).grant(ACCOUNT, false)
    }

    fn judge(&self, by: Option<usize>, on: usize, act: Act<'_>) -> bool {
        let Some(by) = by else { return true };
        let ids = self.lineage(on).ids();
        let target = Target { id: id(on), lineage: &ids, limits: &self.nodes[on].link.limits };
        may_act(&self.grant(by), true, target, act).is_ok()
    }

    fn add(&mut self, by: Option<usize>, limits: Bounds) {
        let link = Link { id: id(self.nodes.len()), creator: by.map(id), is_enabled: true, limits };
        self.nodes.push(Node { link, is_deleted: false });
    }

    /// Makes a token as `by` asks for it.
    fn mint(&mut self, by: Option<usize>, asked: Bounds) {
        let Some(parent) = by else { return self.add(None, asked) };
        let grant = self.grant(parent);
        if !grant.limits.permissions.has(create_tokens()) || grant.lineage().len() > DEEPEST {
            return;
        }
        if let Ok(limits) = clamp(&asked, &grant.limits) {
            assert!(limits.within(&grant.limits) && limits.within(&asked));
            self.add(by, limits);
        }
    }

    fn change(&mut self, by: Option<usize>, on: usize, after: Bounds) {
        let before = self.nodes[on].link.limits.clone();
        if !self.judge(by, on, Act::Change { after: &after, enables: false }) {
            return;
        }
        if self.lineage(on).above().is_some_and(|above| raised(&before, &after, &above).is_some()) {
            return;
        }
        self.nodes[on].link.limits = after;
    }

    fn switch(&mut self, by: Option<usize>, on: usize, is_enabled: bool) {
        let after = self.nodes[on].link.limits.clone();
        let act = if is_enabled { Act::Change { after: &after, enables: true } } else { Act::Disable };
        if self.judge(by, on, act) {
            self.nodes[on].link.is_enabled = is_enabled;
        }
    }

    fn delete(&mut self, by: Option<usize>, on: usize) {
        if self.judge(by, on, Act::Delete) {
            let below: Vec<_> = (0..self.nodes.len()).filter(|at| self.chain(*at).contains(&on)).collect();
            for at in below {
                self.nodes[at].is_deleted = true;
            }
        }
    }

    fn live(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|at| !self.nodes[*at].is_deleted).collect()
    }

    fn take(&mut self, step: Step) {
        let live = self.live();
        let pick = |index: usize| live.get(index % live.len().max(1)).copied();
        let by = step.by.and_then(pick);
        // A caller that is itself refused does nothing.
        if step.by.is_some() && by.is_none_or(|by| !self.may(by, &anywhere(&self.nodes[by].link.limits))) {
            return;
        }
        if let What::Create(asked) = step.what {
            return self.mint(by, asked);
        }
        let Some(on) = pick(step.on) else { return };
        match step.what {
            What::Create(_) => {}
            What::Copy => {
                let is_below = by.is_none_or(|by| self.chain(on).contains(&by));
                if is_below && self.judge(by, on, Act::See) {
                    let source = self.grant(on).limits;
                    if !source.realms.is_nowhere() && !source.addresses.is_nothing() {
                        self.mint(by, source);
                    }
                }
            }
            What::Change(after) => self.change(by, on, after),
            What::Switch(is_enabled) => self.switch(by, on, is_enabled),
            What::Delete => self.delete(by, on),
            What::TimePasses => self.now += 1,
            What::Tamper(limits) => self.nodes[on].link.limits = limits,
            What::Bend(parent) => self.nodes[on].link.creator = parent.and_then(pick).map(id),
        }
    }

    fn may(&self, index: usize, attempt: &Attempt) -> bool {
        decide(&self.grant(index), attempt, self.now()).is_ok()
    }

    /// No token may what one of its ancestors may not; flags and ends are compared as they are.
    fn assert_no_child_exceeds(&self, attempts: &[Attempt]) -> Result<(), TestCaseError> {
        for node in self.live() {
            let grant = self.grant(node);
            for ancestor in self.chain(node).into_iter().skip(1) {
                let above = self.grant(ancestor);
                let own = &self.nodes[ancestor].link;
                prop_assert!(grant.limits.within(&above.limits) && grant.limits.within(&own.limits));
                prop_assert!(!grant.is_enabled || above.is_enabled && own.is_enabled);
                for attempt in attempts {
                    let may = decide(&grant, attempt, self.now()).is_ok();
                    prop_assert!(!may || decide(&above, attempt, self.now()).is_ok());
                }
            }
        }
        Ok(())
    }
}

/// An attempt that these limits let through, if any does: without a permission, from one of the places.
fn anywhere(limits: &Bounds) -> Attempt {
    let address = ["10.1.2.3", "192.0.2.1"].map(|text| text.parse::<IpAddr>().unwrap());
    let address = address.into_iter().find(|at| limits.addresses.allows(*at)).unwrap_or(address[0]);
    let rule = Rule { unscoped: true, ..Rule::ANY };
    Attempt { address, realm: limits.realms.listed().first().copied(), rule }
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let leaves: Vec<_> = Catalogue::hoody().leaves().map(|(leaf, _)| leaf).take(5).collect();
    let addresses = ["10.1.2.3", "10.1.9.9", "10.9.9.9", "192.0.2.1", "2001:db8::1"];
    let accepts = [Accepts::Any, Accepts::Minter, Accepts::Token];
    (
        proptest::sample::select(addresses.to_vec()),
        proptest::option::of(0_u8..4),
        proptest::option::of(proptest::sample::select(leaves)),
        proptest::sample::select(accepts.to_vec()),
        any::<(bool, bool)>(),
    )
        .prop_map(|(address, realm, permission, accepts, (vault, unscoped))| Attempt {
            address: address.parse().unwrap(),
            realm: realm.map(|byte| RealmId::from_bytes([byte; 12])),
            rule: Rule { accepts, permission: permission.map(Into::into), vault, unscoped, ..Rule::ANY },
        })
}

fn step(tampers: bool) -> impl Strategy<Value = Step> {
    let honest = prop_oneof![
        6 => limits().prop_map(|mut limits| {
            limits.permissions = limits.permissions.with(create_tokens());
            What::Create(limits)
        }),
        2 => limits().prop_map(What::Create),
        3 => Just(What::Copy),
        6 => limits().prop_map(What::Change),
        3 => any::<bool>().prop_map(What::Switch),
        1 => Just(What::Delete),
        1 => Just(What::TimePasses),
    ];
    let tampered =
        prop_oneof![limits().prop_map(What::Tamper), proptest::option::of(0_usize..64).prop_map(What::Bend),];
    let what = prop_oneof![8 => honest, u32::from(tampers) => tampered];
    (proptest::option::weighted(0.7, 0_usize..64), 0_usize..64, what).prop_map(|(by, on, what)| Step {
        by,
        on,
        what,
    })
}

/// Takes the steps, and looks at the whole tree after each.
fn run(steps: Vec<Step>, attempts: &[Attempt]) -> Result<Tree, TestCaseError> {
    let mut tree = Tree::default();
    for step in steps {
        tree.take(step);
        tree.assert_no_child_exceeds(attempts)?;
    }
    Ok(tree)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn threat_16_no_child_ever_exceeds_an_ancestor(
        steps in proptest::collection::vec(step(false), 1..48),
        attempts in proptest::collection::vec(attempt(), 1..12),
    ) {
        run(steps, &attempts)?;
    }

    /// Also when the rows contradict each other: only who reads them decides.
    #[test]
    fn threat_38_no_child_exceeds_an_ancestor_in_a_database_that_was_written_by_hand(
        steps in proptest::collection::vec(step(true), 1..48),
        attempts in proptest::collection::vec(attempt(), 1..12),
    ) {
        let tree = run(steps, &attempts)?;
        for index in tree.live() {
            let chain = tree.chain(index);
            let is_circle = chain.len() > MAX_DEPTH as usize + 1;
            prop_assert!(!is_circle || !tree.grant(index).is_enabled);
        }
    }
}

/// The dice above prove nothing unless they build trees.
#[test]
fn random_trees_are_deep_and_alive() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut deepest, mut children, mut working) = (0, 0, 0);
    for _ in 0..200 {
        let steps = proptest::collection::vec(step(false), 48).new_tree(&mut runner).unwrap().current();
        let tree = run(steps, &[]).unwrap();
        for index in tree.live() {
            let depth = tree.chain(index).len() - 1;
            deepest = deepest.max(depth);
            children += usize::from(depth > 0);
            working += usize::from(depth > 0 && tree.may(index, &anywhere(&tree.grant(index).limits)));
        }
    }
    assert!(deepest >= 3 && children > 300 && working > 100, "{deepest} {children} {working}");
}
