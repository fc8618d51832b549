//! Rows that contradict each other: a path that two rows match and of which neither is the more literal.

use hoody_core::invalid::Violation;
use hoody_core::json::MAX_VIOLATIONS;

use super::definition::Route;
use super::pattern::Pattern;

/// What is wrong between rows, at most 20 violations.
pub(super) fn conflicts(routes: &[Route]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        for (earlier, other) in routes[..index].iter().enumerate() {
            if violations.len() == MAX_VIOLATIONS {
                return violations;
            }
            if let Some(message) = conflict(routes, route, (earlier, other)) {
                violations.push(Violation { instance_path: format!("/route/{index}"), message });
            }
        }
    }
    violations
}

fn conflict(routes: &[Route], route: &Route, (earlier, other): (usize, &Route)) -> Option<String> {
    // Most pairs have nothing in common, and cost nothing.
    if !route.pattern.overlaps(&other.pattern) || !shares_method(route, other) {
        return None;
    }
    let met = route.pattern.meet(&other.pattern)?;
    let shape = |route: &Route| route.pattern == met;
    match (shape(route), shape(other)) {
        (true, true) => return same_place(route, other).then(|| format!("repeats the row /route/{earlier}")),
        (true, false) | (false, true) => {
            // An encoded slash below an opaque tail would be judged by the tail's row.
            let (inner, outer) = if shape(route) { (route, other) } else { (other, route) };
            return (outer.opaque && !is_opaque_below(inner, outer)).then(|| {
                format!(
                    "{} lies below {}, whose tail is opaque; an opaque tail must have no other row below it",
                    inner.path, outer.path
                )
            });
        }
        (false, false) => {}
    }
    if route.opaque || other.opaque {
        return Some(format!(
            "overlaps /route/{earlier}, and one of the two has an opaque tail; change one of the paths"
        ));
    }
    let (first, second) = match route.pattern.comes_before(&other.pattern) {
        true => (route, other),
        false => (other, route),
    };
    // Most literal wins: where the count and the order of segments agree, everybody sees which one that is.
    if first.pattern.literals() > second.pattern.literals() || decides(routes, route, other, &met) {
        return None;
    }
    Some(format!(
        "{} and {} both match {}, and neither is more literal; add a row for {} to decide",
        other.path,
        route.path,
        met.to_text(),
        met.to_text()
    ))
}

/// Whether some request has a method that both rows take.
fn shares_method(a: &Route, b: &Route) -> bool {
    a.methods.is_empty()
        || b.methods.is_empty()
        || a.methods.iter().any(|method| takes(b, method))
        || b.methods.iter().any(|method| takes(a, method))
}

/// Whether a row takes a method: all where it names none, HEAD where it names GET.
pub(super) fn takes(route: &Route, method: &str) -> bool {
    let names = |method: &str| route.methods.iter().any(|named| named == method);
    route.methods.is_empty() || names(method) || (method == "HEAD" && names("GET"))
}

/// Whether two rows of one pattern take the same request with the same claim: both name the method, or
/// neither names any. A row that names a method comes before one that names none.
fn same_place(a: &Route, b: &Route) -> bool {
    match (a.methods.is_empty(), b.methods.is_empty()) {
        (true, true) => true,
        (false, false) => a.methods.iter().any(|method| b.methods.contains(method)),
        _ => false,
    }
}

/// The inner row says the same as the opaque outer one, so it matters to nobody which of them decides.
fn is_opaque_below(inner: &Route, outer: &Route) -> bool {
    inner.opaque && inner.needs == outer.needs
}

/// Whether a row of exactly `met` takes every method that both rows take.
fn decides(routes: &[Route], a: &Route, b: &Route, met: &Pattern) -> bool {
    let there: Vec<&Route> = routes.iter().filter(|route| route.pattern == *met).collect();
    let taken = |method: &str| there.iter().any(|route| takes(route, method));
    if a.methods.is_empty() && b.methods.is_empty() {
        return there.iter().any(|route| route.methods.is_empty());
    }
    let named = a.methods.iter().chain(&b.methods);
    named.filter(|method| takes(a, method) && takes(b, method)).all(|method| taken(method))
}
