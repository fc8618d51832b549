//! Ids that a form carries for what it is to make, so that a form that is sent twice makes it once: each with a
//! mark of its session and hour, by which it is known to be one that this server gave out.

use hoody_core::id::Id;
use hoody_core::one_time::Purpose;
use hoody_core::time::HOUR;

use super::Visitor;
use super::form::{hex, same};

/// The field of the id.
pub(crate) const ID: &str = "id";
/// For how many hours a form is good.
const GOOD_HOURS: i64 = 2;

/// A new id with its mark, as the field of a form has it.
pub(crate) fn marked_id<K>(visitor: &Visitor) -> String {
    let id: Id<K> = visitor.console.clock.new_id();
    let hour = visitor.now.millis().div_euclid(HOUR);
    let digest = visitor.console.keys.one_time_digest(Purpose::ConsoleToken, &marked(visitor, id, hour));
    format!("{id}.{hour}.{}", hex(&digest))
}

fn marked<K>(visitor: &Visitor, id: Id<K>, hour: i64) -> String {
    format!("{} {id} {hour}", visitor.session)
}

/// The id of a field, if this session was given it lately.
pub(crate) fn read_id<K>(visitor: &Visitor, given: &str) -> Option<Id<K>> {
    let mut parts = given.splitn(3, '.');
    let (id, hour, digest) = (parts.next()?.parse().ok()?, parts.next()?.parse::<i64>().ok()?, parts.next()?);
    let age = visitor.now.millis().div_euclid(HOUR) - hour;
    let text = marked(visitor, id, hour);
    let expected = visitor.console.keys.one_time_digests(Purpose::ConsoleToken, &text);
    let is_known = expected.iter().fold(false, |is, expected| is | same(&hex(expected), digest));
    (is_known && (0..=GOOD_HOURS).contains(&age)).then_some(id)
}
