//! Patterns of paths: literal segments, `{name}` for one segment, and a last `**` for all that follows.

use std::borrow::Cow;

use crate::path::{Path, folded};

/// The most segments of a pattern.
const MAX_SEGMENTS: usize = 32;

/// One segment of a pattern. The order is how literal it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// `**`: this and everything below, also nothing. Only the last one.
    Tail,
    /// `{name}`: any one segment.
    Any,
    /// These bytes, decoded; in lower case in a gate that folds.
    Literal(Box<[u8]>),
}

/// A pattern that was read. A trailing slash means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern(Vec<Segment>);

impl Pattern {
    /// Reads `/orders/{id}` or `/files/**`, literals in lower case where the gate `folds`.
    ///
    /// # Errors
    /// The rule that is broken, to be put behind the field's name.
    pub fn parse(text: &str, folds: bool) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else { return Err("must begin with /".to_owned()) };
        let rest = rest.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(rest);
        if rest.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut names: Vec<&str> = Vec::new();
        let mut segments = Vec::new();
        for text in rest.split('/') {
            if segments.last() == Some(&Segment::Tail) {
                return Err("must have ** only as its last segment".to_owned());
            }
            if segments.len() == MAX_SEGMENTS {
                return Err(format!("must have at most {MAX_SEGMENTS} segments"));
            }
            let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
            segments.push(match name {
                Some(name) if !is_name(name) => {
                    return Err(
                        "must name a variable with lower-case letters, digits and underscores".to_owned()
                    );
                }
                Some(name) if names.contains(&name) => return Err(format!("must not name {{{name}}} twice")),
                Some(name) => {
                    names.push(name);
                    Segment::Any
                }
                None if text == "**" => Segment::Tail,
                None => Segment::Literal(literal(text, folds)?),
            });
        }
        Ok(Self(segments))
    }

    /// Its segments.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether it ends in `**`.
    #[must_use]
    pub fn has_tail(&self) -> bool {
        self.0.last() == Some(&Segment::Tail)
    }

    /// How many literal segments it has.
    #[must_use]
    pub fn literals(&self) -> usize {
        self.0.iter().filter(|segment| matches!(segment, Segment::Literal(_))).count()
    }

    /// The pattern of the paths that both match; `None` when there is none.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let mut met = Vec::with_capacity(self.0.len().max(other.0.len()));
        let mut at = 0;
        loop {
            match (self.0.get(at), other.0.get(at)) {
                (Some(Segment::Tail), _) => {
                    met.extend_from_slice(&other.0[at..]);
                    return Some(Self(met));
                }
                (_, Some(Segment::Tail)) => {
                    met.extend_from_slice(&self.0[at..]);
                    return Some(Self(met));
                }
                (None, None) => return Some(Self(met)),
                (None, Some(_)) | (Some(_), None) => return None,
                (Some(Segment::Literal(mine)), Some(Segment::Literal(theirs))) if mine != theirs => {
                    return None;
                }
                (Some(mine), Some(theirs)) => met.push(mine.max(theirs).clone()),
            }
            at += 1;
        }
    }

    /// Whether some path matches both. Allocates nothing.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let mut at = 0;
        loop {
            match (self.0.get(at), other.0.get(at)) {
                (Some(Segment::Tail), _) | (_, Some(Segment::Tail)) | (None, None) => return true,
                (None, Some(_)) | (Some(_), None) => return false,
                (Some(Segment::Literal(mine)), Some(Segment::Literal(theirs))) if mine != theirs => {
                    return false;
                }
                _ => at += 1,
            }
        }
    }

    /// Whether it comes before `other` where both match: at the first segment that differs it is the more
    /// literal. A path that ends is more literal than `**`.
    #[must_use]
    pub fn comes_before(&self, other: &Self) -> bool {
        let rank = |segment: Option<&Segment>| match segment {
            Some(Segment::Tail) => 0,
            Some(Segment::Any) => 1,
            Some(Segment::Literal(_)) | None => 2,
        };
        let longest = self.0.len().max(other.0.len());
        let ranks = |pattern: &Self, at| rank(pattern.0.get(at));
        (0..longest)
            .map(|at| ranks(self, at).cmp(&ranks(other, at)))
            .find(|order| order.is_ne())
            .is_some_and(std::cmp::Ordering::is_gt)
    }

    /// Text that reads as this pattern, with `{x1}`, `{x2}` … for its variables.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (at, segment) in self.0.iter().enumerate() {
            text.push('/');
            match segment {
                Segment::Tail => text.push_str("**"),
                Segment::Any => text.push_str(&format!("{{x{}}}", at + 1)),
                Segment::Literal(bytes) => text.push_str(&crate::answer::encoded(bytes)),
            }
        }
        if text.is_empty() { "/".to_owned() } else { text }
    }
}

fn literal(text: &str, folds: bool) -> Result<Box<[u8]>, String> {
    if text.contains(['{', '}']) {
        return Err("must have a variable as a whole segment, e.g. /orders/{id}".to_owned());
    }
    if text.contains('*') {
        return Err("must have ** as a whole segment, the last one; {name} matches one segment".to_owned());
    }
    let target = format!("/{text}");
    let path = Path::read(&target).map_err(|fault| fault.to_string())?;
    if text.contains('?') {
        return Err("must be a path alone, without a query".to_owned());
    }
    if text.is_empty() {
        return Err("must not have an empty segment".to_owned());
    }
    if let Some(fault) = path.fault() {
        return Err(fault.to_string());
    }
    let decoded = Cow::Owned(crate::path::decode(text.as_bytes()));
    let decoded = if folds { folded(decoded) } else { Ok(decoded) };
    decoded.map(|bytes| bytes.into_owned().into_boxed_slice()).map_err(|fault| fault.to_string())
}

fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text, false).unwrap()
    }

    #[test]
    fn patterns_are_read_as_they_are_written() {
        assert_eq!(pattern("/"), Pattern(vec![]));
        assert_eq!(pattern("/orders/"), pattern("/orders"));
        assert_eq!(pattern("/caf%C3%A9"), pattern("/caf%c3%a9"));
        assert_eq!(pattern("/a/{id}/**").segments().len(), 3);
        assert_eq!(Pattern::parse("/Orders", true), Ok(pattern("/orders")));
        for text in ["/", "/orders", "/orders/{x2}/items", "/files/**", "/**", "/caf%C3%A9"] {
            assert_eq!(pattern(text).to_text(), text);
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "", "orders", "//", "/a//b", "/**/a", "/a*", "/*", "/a{b}", "/{}", "/{Id}", "/{a}/{a}", "/a?b",
            "/a#b", "/a;b", "/../a", "/.", "/a%2fb", "/%61", "/a b", "/é", "/{a", "/a}", "/***", "/{a.b}",
        ] {
            assert!(Pattern::parse(text, false).is_err(), "{text}");
        }
        assert!(Pattern::parse(&"/a".repeat(33), false).is_err());
    }

    #[test]
    fn two_patterns_meet_where_both_match() {
        for (a, b, met) in [
            ("/a/{x1}/c", "/a/b/{x3}", Some("/a/b/c")),
            ("/a/**", "/a", Some("/a")),
            ("/a/**", "/{x1}/b/**", Some("/a/b/**")),
            ("/a", "/b", None),
            ("/a/b", "/a", None),
            ("/**", "/", Some("/")),
            ("/{x1}", "/a/**", Some("/a")),
        ] {
            let both = pattern(a).meet(&pattern(b));
            assert_eq!(both.as_ref().map(Pattern::to_text).as_deref(), met, "{a} {b}");
            assert_eq!(both, pattern(b).meet(&pattern(a)));
            assert_eq!(both.is_some(), pattern(a).overlaps(&pattern(b)));
        }
    }

    #[test]
    fn the_more_literal_comes_first() {
        for (first, second) in [
            ("/a", "/{x}"),
            ("/a", "/a/**"),
            ("/{x}", "/**"),
            ("/settings/**", "/{owner}/{repo}"),
            ("/a/b/{x}", "/a/{x}/c"),
        ] {
            assert!(pattern(first).comes_before(&pattern(second)), "{first} {second}");
            assert!(!pattern(second).comes_before(&pattern(first)), "{first} {second}");
        }
        assert!(!pattern("/a/{x}").comes_before(&pattern("/a/{y}")));
    }
}
