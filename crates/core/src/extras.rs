//! The parts of a grant that most grants lack, behind one pointer: lineage, own leaves, and label.
//!
//! Most cached grants have none of it and pay nothing. A grant of a token with own leaves and a label takes
//! one allocation for all of it and one for the label's text; its own leaves are shared with every token
//! that holds the same ones ([`crate::permissions::own::Interner`]).

use std::sync::{Arc, LazyLock};

use crate::id::TokenId;
use crate::memory::SHARED;
use crate::permissions::own::{Interner, OwnId, OwnSet};

/// What a grant has beside what every grant has. One pointer, and none of it takes no room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extras(Option<Arc<Held>>);

#[derive(Debug, PartialEq, Eq, Default)]
struct Held {
    /// The root first and the token itself last; `None` where it descends from none.
    line: Option<Box<Box<[TokenId]>>>,
    own: OwnSet,
    label: Option<Label>,
    /// Whether a change of the operator's catalogue may change what it holds.
    follows: bool,
}

/// What a service learns of a token beside its ids: texts that people chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    alias: u16,
    external_id: Option<u16>,
    /// The alias, the external id, and the rest is `meta`; one allocation.
    text: Box<str>,
}

/// A session's: all own leaves. One for the whole process.
static SESSION: LazyLock<Arc<Held>> =
    LazyLock::new(|| Arc::new(Held { own: OwnSet::ALL, ..Held::default() }));

impl Extras {
    /// Nothing beside what every grant has.
    pub const NONE: Self = Self(None);

    /// Of a token with this lineage (the root first and itself last), own leaves and label.
    #[must_use]
    pub fn of(lineage: Box<[TokenId]>, own: OwnSet, label: Option<Label>) -> Self {
        let line = (lineage.len() > 1).then(|| Box::new(lineage));
        Self::held(Held { line, own, label, follows: false })
    }

    fn held(held: Held) -> Self {
        let is_plain = held.line.is_none() && held.own.is_empty() && held.label.is_none() && !held.follows;
        Self((!is_plain).then(|| Arc::new(held)))
    }

    /// Of a token that holds these own leaves. `follows` says whether a change of the catalogue may change
    /// that: it names a leaf that can be removed, or a group that grows.
    #[must_use]
    pub fn of_own(own: OwnSet, follows: bool) -> Self {
        Self::held(Held { own, follows, ..Held::default() })
    }

    /// The own leaves that both hold; no lineage and no label.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let own = self.own().intersection(other.own());
        Self::of_own(own, self.follows_catalogue() || other.follows_catalogue())
    }

    /// The same own leaves and label, of a token with this lineage: the root first and itself last.
    #[must_use]
    pub fn in_line(&self, lineage: Box<[TokenId]>) -> Self {
        if lineage.len() <= 1 && self.line().is_empty() {
            return self.clone();
        }
        Self::held(Held {
            line: (lineage.len() > 1).then(|| Box::new(lineage)),
            own: self.own().clone(),
            label: self.label().cloned(),
            follows: self.follows_catalogue(),
        })
    }

    /// The same with one own leaf more.
    #[must_use]
    pub fn with(&self, leaf: OwnId) -> Self {
        Self::held(Held {
            line: self.0.as_ref().and_then(|held| held.line.clone()),
            own: self.own().union(&[leaf].into_iter().collect()),
            label: self.label().cloned(),
            follows: self.follows_catalogue(),
        })
    }

    /// The same, with its own leaves in the room of an equal set that `sets` knows.
    #[must_use]
    pub fn interned(self, sets: &mut Interner) -> Self {
        if self.own().ids().is_empty() {
            return self;
        }
        Self::held(Held {
            line: self.0.as_ref().and_then(|held| held.line.clone()),
            own: sets.intern(self.own().clone()),
            label: self.label().cloned(),
            follows: self.follows_catalogue(),
        })
    }

    /// The same with this label.
    #[must_use]
    pub fn labelled(&self, label: Label) -> Self {
        Self::held(Held {
            line: self.0.as_ref().and_then(|held| held.line.clone()),
            own: self.own().clone(),
            label: Some(label),
            follows: self.follows_catalogue(),
        })
    }

    /// Whether a change of the operator's catalogue may change what it holds.
    #[must_use]
    pub fn follows_catalogue(&self) -> bool {
        self.0.as_ref().is_some_and(|held| held.follows)
    }

    /// Of a session, which holds every own leaf.
    #[must_use]
    pub fn of_session() -> Self {
        Self(Some(Arc::clone(&SESSION)))
    }

    /// The tokens it descends from, the root first and itself last; empty where it descends from none.
    #[must_use]
    pub fn line(&self) -> &[TokenId] {
        self.0.as_ref().and_then(|held| held.line.as_deref()).map_or(&[], |line| line)
    }

    /// Whether it holds this own leaf. Allocates nothing.
    #[must_use]
    pub fn has(&self, leaf: OwnId) -> bool {
        self.0.as_ref().is_some_and(|held| held.own.has(leaf))
    }

    /// The own leaves that it holds.
    #[must_use]
    pub fn own(&self) -> &OwnSet {
        self.0.as_ref().map_or(&OwnSet::EMPTY, |held| &held.own)
    }

    /// What a service learns of the token.
    #[must_use]
    pub fn label(&self) -> Option<&Label> {
        self.0.as_ref().and_then(|held| held.label.as_ref())
    }

    /// How many bytes it has beside its pointer. The own leaves are shared and not counted.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let Some(held) = self.0.as_ref().filter(|held| !Arc::ptr_eq(held, &SESSION)) else { return 0 };
        let line = held.line.as_deref().map_or(0, |line| size_of::<Box<[TokenId]>>() + size_of_val(&**line));
        SHARED + size_of::<Held>() + line + held.label.as_ref().map_or(0, |label| label.text.len())
    }
}

impl Label {
    /// The most bytes of its texts together; `meta` alone has at most 4 KiB.
    pub const MAX_TEXT: usize = 8_192;

    /// A label of these texts; `meta` is a JSON object as it is stored. `None` when there is no text at all,
    /// or more than [`Label::MAX_TEXT`].
    #[must_use]
    pub fn of(alias: &str, external_id: Option<&str>, meta: Option<&str>) -> Option<Self> {
        let text = [alias, external_id.unwrap_or_default(), meta.unwrap_or_default()].concat();
        if text.is_empty() || text.len() > Self::MAX_TEXT {
            return None;
        }
        let alias = u16::try_from(alias.len()).ok()?;
        let external_id = external_id.map(|id| u16::try_from(id.len())).transpose().ok()?;
        Some(Self { alias, external_id, text: text.into_boxed_str() })
    }

    /// What its owner calls the token.
    #[must_use]
    pub fn alias(&self) -> &str {
        self.text.get(..usize::from(self.alias)).unwrap_or_default()
    }

    /// What the operator's service calls whom the token is for.
    #[must_use]
    pub fn external_id(&self) -> Option<&str> {
        let start = usize::from(self.alias);
        self.text.get(start..start + usize::from(self.external_id?))
    }

    /// What the service stored with it, a JSON object; never public.
    #[must_use]
    pub fn meta(&self) -> Option<&str> {
        let meta = self.text.get(usize::from(self.alias + self.external_id.unwrap_or_default())..)?;
        (!meta.is_empty()).then_some(meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Grant;

    fn id(byte: u8) -> TokenId {
        TokenId::from_bytes([byte; 12])
    }

    #[test]
    fn extras_are_one_pointer_and_fit_their_budget() {
        assert_eq!(size_of::<Extras>(), size_of::<usize>());
        assert_eq!((Extras::NONE.held_bytes(), Extras::of_session().held_bytes()), (0, 0));
        let own: OwnSet = (1..=8).filter_map(OwnId::new).collect();
        let label = Label::of("ci-runner", None, None);
        let extras = Extras::of(Box::new([id(1)]), own, label);
        // 176 is what a cached grant without extras counts in all (`design.md` 7).
        let beside = 176 - size_of::<Grant>();
        assert!(extras.held_bytes() + beside + size_of::<Grant>() < 260, "{}", extras.held_bytes());
    }

    #[test]
    fn what_is_held_is_told_and_nothing_else() {
        let leaf = OwnId::new(3).unwrap();
        let own: OwnSet = [leaf].into_iter().collect();
        let extras = Extras::of(Box::new([id(1), id(2)]), own, None);
        assert_eq!(extras.line(), [id(1), id(2)]);
        assert!(extras.has(leaf) && !extras.has(OwnId::new(4).unwrap()));
        assert!(Extras::of_session().has(leaf) && !Extras::NONE.has(leaf));
        assert_eq!(Extras::of(Box::new([id(1)]), OwnSet::EMPTY, None), Extras::NONE);
        assert!(Extras::NONE.own().is_empty() && Extras::NONE.line().is_empty());
    }

    #[test]
    fn what_two_allow_is_what_both_hold() {
        let leaf = |number| OwnId::new(number).unwrap();
        let own = |numbers: &[u16]| numbers.iter().copied().filter_map(OwnId::new).collect::<OwnSet>();
        let (one, two) = (Extras::of_own(own(&[1, 2]), true), Extras::of_own(own(&[2, 3]), true));
        assert_eq!(one.meet(&two), Extras::of_own(own(&[2]), true));
        assert_eq!(one.meet(&Extras::of_session()), one);
        assert!(one.meet(&Extras::NONE).own().is_empty());
        // What holds nothing yet, in a group that grows, is read again when the catalogue changes.
        assert!(Extras::of_own(OwnSet::EMPTY, true).follows_catalogue());
        assert!(!Extras::of_session().follows_catalogue());
        let below = one.in_line(Box::new([id(1), id(2)]));
        assert_eq!(
            (below.line(), below.own(), below.follows_catalogue()),
            (&[id(1), id(2)][..], one.own(), true)
        );
        assert!(below.with(leaf(9)).has(leaf(9)) && below.with(leaf(9)).line().len() == 2);
        assert_eq!(Extras::NONE.in_line(Box::new([id(1)])), Extras::NONE);
    }

    #[test]
    fn a_label_gives_back_its_texts() {
        let label = Label::of("ci", Some("cust_7"), Some("{\"plan\":\"pro\"}")).unwrap();
        assert_eq!((label.alias(), label.external_id()), ("ci", Some("cust_7")));
        assert_eq!(label.meta(), Some("{\"plan\":\"pro\"}"));
        let alone = Label::of("ä", None, None).unwrap();
        assert_eq!((alone.alias(), alone.external_id(), alone.meta()), ("ä", None, None));
        assert_eq!(Label::of("", None, None), None);
        assert_eq!(Label::of(&"a".repeat(9_000), None, None), None);
    }
}
