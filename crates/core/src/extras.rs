//! The parts of a grant that most grants lack, behind one pointer: lineage, own leaves, and label.
//!
//! Most cached grants have none of it and pay nothing. A grant of a token with own leaves and a label takes
//! one allocation for all of it and one for the label's text; its own leaves are shared with every token
//! that holds the same ones ([`crate::permissions::own::Interner`]).

use std::sync::{Arc, LazyLock};

use crate::id::TokenId;
use crate::memory::SHARED;
use crate::permissions::own::{OwnId, OwnSet};

/// What a grant has beside what every grant has. One pointer, and none of it takes no room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extras(Option<Arc<Held>>);

#[derive(Debug, PartialEq, Eq, Default)]
struct Held {
    /// The root first and the token itself last; `None` where it descends from none.
    line: Option<Box<Box<[TokenId]>>>,
    own: OwnSet,
    label: Option<Label>,
}

/// What a service learns of a token beside its ids: texts that people chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    alias: u32,
    external_id: Option<u32>,
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
        let is_plain = line.is_none() && own.is_empty() && label.is_none();
        Self((!is_plain).then(|| Arc::new(Held { line, own, label })))
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
        let alias = u32::try_from(alias.len()).ok()?;
        let external_id = external_id.map(|id| u32::try_from(id.len())).transpose().ok()?;
        Some(Self { alias, external_id, text: text.into_boxed_str() })
    }

    /// What its owner calls the token.
    #[must_use]
    pub fn alias(&self) -> &str {
        self.text.get(..self.alias as usize).unwrap_or_default()
    }

    /// What the operator's service calls whom the token is for.
    #[must_use]
    pub fn external_id(&self) -> Option<&str> {
        let start = self.alias as usize;
        self.text.get(start..start + self.external_id? as usize)
    }

    /// What the service stored with it, a JSON object; never public.
    #[must_use]
    pub fn meta(&self) -> Option<&str> {
        let meta = self.text.get((self.alias + self.external_id.unwrap_or_default()) as usize..)?;
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
