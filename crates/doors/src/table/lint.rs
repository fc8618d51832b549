//! Warnings about rows that are valid but probably a mistake.

use std::fmt;

use hoody_core::permissions::Named;

use super::conflicts::takes;
use super::definition::{Definition, Needs, Route};
use super::pattern::Segment;

/// A remark about a row. It refuses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// Which row, from 0.
    pub row: usize,
    /// What is to be said.
    pub remark: Remark,
}

/// What may be wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remark {
    /// Everything that it matches is matched by rows that come before it.
    NeverReached,
    /// Without it another row would decide, in the same way.
    Redundant {
        /// The other row.
        like: usize,
    },
    /// It lets everybody in to everything that no other row names.
    PublicRest,
    /// It names a permission by an old name.
    OldName(String),
    /// It names a permission that cannot be granted any more.
    Retired(String),
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {}: ", self.row)?;
        match &self.remark {
            Remark::NeverReached => {
                f.write_str("more literal rows match all its requests, so it never decides")
            }
            Remark::Redundant { like } => {
                write!(f, "route {like} decides the same without it; only the request log tells them apart")
            }
            Remark::PublicRest => f.write_str("every path that no other row names is public"),
            Remark::OldName(path) => write!(f, "{path} is an old name; use the permission's name of today"),
            Remark::Retired(path) => write!(f, "{path} is retired: no new token can be granted it"),
        }
    }
}

/// What is to be said about the rows; `find` is the catalogue's.
#[must_use]
pub fn lint(definition: &Definition, find: impl Fn(&str) -> Option<Named>) -> Vec<Lint> {
    let routes = &definition.routes;
    let mut lints = Vec::new();
    for (row, route) in routes.iter().enumerate() {
        let mut remarks = Vec::new();
        if is_shadowed(routes, row) {
            remarks.push(Remark::NeverReached);
        } else if let Some(like) = redundant(routes, row) {
            remarks.push(Remark::Redundant { like });
        }
        if route.needs == Needs::Public && route.pattern.segments() == [Segment::Tail] {
            remarks.push(Remark::PublicRest);
        }
        for path in route.needs.paths() {
            match find(path) {
                Some(named) if named.is_retired => remarks.push(Remark::Retired(path.clone())),
                Some(named) if named.is_deprecated => remarks.push(Remark::OldName(path.clone())),
                _ => {}
            }
        }
        lints.extend(remarks.into_iter().map(|remark| Lint { row, remark }));
    }
    lints
}

/// Whether `other` takes every request of its pattern that `route` would take there.
fn covers(other: &Route, route: &Route) -> bool {
    if route.methods.is_empty() {
        return other.methods.is_empty();
    }
    // HEAD comes with GET, for both.
    route.methods.iter().all(|method| takes(other, method))
}

/// `/a/**` is what `/a` and `/a/{x}/**` match together, so it never decides where rows have both.
fn is_shadowed(routes: &[Route], row: usize) -> bool {
    let route = &routes[row];
    let Some((Segment::Tail, before)) = route.pattern.segments().split_last() else { return false };
    let others = || routes.iter().enumerate().filter(|(at, _)| *at != row).map(|(_, other)| other);
    let has = |end: &[Segment]| {
        others().any(|other| {
            let segments = other.pattern.segments();
            covers(other, route) && segments.strip_prefix(before).is_some_and(|rest| rest == end)
        })
    };
    has(&[]) && has(&[Segment::Any, Segment::Tail])
}

/// The row that would decide in place of this one, where it is one for all its requests and says the same.
fn redundant(routes: &[Route], row: usize) -> Option<usize> {
    let route = &routes[row];
    let meets = |other: &Route| route.pattern.meet(&other.pattern);
    let is_near = |other: &Route| route.pattern.overlaps(&other.pattern);
    let others = || routes.iter().enumerate().filter(move |(at, other)| *at != row && is_near(other));
    // Rows that match some of its requests and not all: which one would decide depends on the path.
    let is_wider = |other: &Route| meets(other).is_some_and(|met| met == route.pattern);
    let is_narrower = |other: &Route| meets(other).is_some_and(|met| met == other.pattern);
    let crosses = |other: &Route| !is_wider(other) && !is_narrower(other);
    if others().any(|(_, other)| crosses(other)) {
        return None;
    }
    let wider = others().filter(|(_, other)| is_wider(other));
    let mut next: Option<(usize, &Route)> = None;
    for (at, other) in wider {
        if !covers(other, route) {
            return None;
        }
        if next.is_none_or(|(_, best)| other.pattern.comes_before(&best.pattern)) {
            next = Some((at, other));
        }
    }
    let (at, other) = next?;
    let same = other.needs == route.needs
        && other.cost == route.cost
        && other.log == route.log
        && other.opaque == route.opaque;
    same.then_some(at)
}
