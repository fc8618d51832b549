//! The picker of permissions: groups that open, a box for each leaf with what it is, and templates that fill
//! the boxes in. The operator's permissions come first; those that nothing on this server checks come last.

use std::collections::BTreeMap;

use hoody_core::permissions::own::{OwnCatalogue, Row, State};
use hoody_core::permissions::{Leaf, Selected, Selection, words};
use hoody_engine::catalogue::{catalogue, catalogues};
use maud::{Markup, html};

use super::words::{count, things};

/// The field of a box; its value is a path, or a group as `orders.**`.
pub(crate) const FIELD: &str = "p";
/// What hands out power: apart from the rest.
const POWER: [&str; 2] = ["resources.vault", "resources.create_tokens"];
/// What a path ends in that holds all of a group, later leaves too.
const GROWING: &str = ".**";

/// Up to how many permissions of the operator's are shown without opening their groups.
const SHORT: usize = 12;

/// A permission that a token holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held<'a> {
    pub(crate) path: &'a str,
    pub(crate) writes: bool,
}

/// What a token holds: hoody's permissions, then the operator's, those of groups that grow as there are now.
pub(crate) fn held<'a>(selection: &Selection, own: &'a OwnCatalogue) -> Vec<Held<'a>> {
    let of_hoody = catalogue().leaves().filter(|(leaf, _)| selection.hoody.has(*leaf));
    let of_hoody = of_hoody.map(|(_, leaf)| Held { path: &leaf.path, writes: leaf.writes });
    let set = own.resolve(&selection.own);
    let of_own = own.leaves().iter().filter(|row| set.has(row.id));
    of_hoody.chain(of_own.map(|row| Held { path: &row.path, writes: row.writes })).collect()
}

/// The values of the boxes that stand for a selection: each leaf, and each group that grows for all in it.
pub(crate) fn boxes(selection: &Selection, own: &OwnCatalogue) -> Vec<String> {
    let of_hoody = Selection::of_hoody(selection.hoody);
    let mut paths: Vec<String> = held(&of_hoody, own).iter().map(|leaf| leaf.path.to_owned()).collect();
    let settled = settled(&selection.own, own);
    paths.extend(settled.ids().iter().map(|id| own.path(*id).to_owned()));
    paths.extend(settled.grows().map(|group| format!("{group}{GROWING}")));
    paths
}

/// What these boxes select in both catalogues; a value that names nothing is left out.
pub(crate) fn picked(values: &[&str], own: &OwnCatalogue) -> Selection {
    let ids = values.iter().filter_map(|path| own.find(path)).map(|found| found.leaf.id);
    let groups = values.iter().filter_map(|value| value.strip_suffix(GROWING));
    let selected = Selected::of(ids).growing(groups);
    Selection { hoody: catalogue().parse_paths(&values.join(",")), own: settled(&selected, own) }
}

/// The same without what the catalogue lacks, and without leaves that a group holds anyway.
pub(crate) fn settled(selected: &Selected, own: &OwnCatalogue) -> Selected {
    let groups: Vec<&str> = selected.grows().filter(|group| own.is_group(group)).collect();
    let is_named = |row: &Row| !groups.iter().any(|group| is_below(&row.path, group));
    let ids = selected.ids().iter().copied().filter(|id| own.leaf(*id).is_some_and(is_named));
    Selected::of(ids).growing(groups.iter().copied())
}

fn is_below(path: &str, group: &str) -> bool {
    path.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'))
}

fn group_of(path: &str) -> &str {
    path.split_once('.').map_or(path, |(group, _)| group)
}

/// One box.
#[derive(Debug)]
struct Pick<'a> {
    path: &'a str,
    /// What it is for; of the operator's, in the operator's words.
    description: &'a str,
    writes: bool,
    is_retired: bool,
    is_ticked: bool,
}

impl<'a> Pick<'a> {
    fn of_hoody(leaf: &'a Leaf, picked: &Selection) -> Self {
        Self {
            path: &leaf.path,
            description: words(&leaf.path).map_or("", |words| words.description),
            writes: leaf.writes,
            is_retired: false,
            is_ticked: catalogue().leaf(&leaf.path).is_some_and(|leaf| picked.hoody.has(leaf)),
        }
    }

    fn shown(&self) -> Markup {
        html! {
            label.pick {
                input type="checkbox" name=(FIELD) value=(self.path) checked[self.is_ticked] data-writes[self.writes];
                span {
                    @if !self.description.is_empty() { (self.description) " " }
                    code.soft { (self.path) }
                    @if self.writes { " " span.badge { "writes" } }
                    @if self.is_retired { " " span.badge { "retired" } }
                }
            }
        }
    }
}

/// Groups by name, each with its boxes.
type Groups<'a> = Vec<(&'a str, Vec<Pick<'a>>)>;

/// The operator's permissions: those that can be granted, and those that are picked.
fn of_operator<'a>(picked: &Selection, own: &'a OwnCatalogue) -> Groups<'a> {
    let set = own.resolve(&picked.own);
    let mut groups: BTreeMap<&str, Vec<Pick<'_>>> = BTreeMap::new();
    for row in own.leaves().iter().filter(|row| row.state == State::Live || set.has(row.id)) {
        groups.entry(group_of(&row.path)).or_default().push(Pick {
            path: &row.path,
            description: &row.description,
            writes: row.writes,
            is_retired: row.state == State::Retired,
            is_ticked: set.has(row.id),
        });
    }
    groups.into_iter().collect()
}

/// Hoody's permissions that a route asks for, those that hand out power, and those that only other services
/// ask for. What never grants a token anything is in none of them.
fn of_hoody(picked: &Selection) -> (Groups<'static>, Vec<Pick<'static>>, Vec<Pick<'static>>) {
    let mut used: Groups<'_> = Vec::new();
    let (mut power, mut elsewhere) = (Vec::new(), Vec::new());
    for (_, leaf) in catalogue().leaves() {
        let (group, pick) = (group_of(&leaf.path), Pick::of_hoody(leaf, picked));
        if group == "admin" {
            continue;
        }
        if POWER.contains(&pick.path) {
            power.push(pick);
        } else if !words(&leaf.path).is_some_and(|words| words.is_used) {
            elsewhere.push(pick);
        } else if let Some((_, picks)) = used.iter_mut().find(|(name, _)| *name == group) {
            picks.push(pick);
        } else {
            used.push((group, vec![pick]));
        }
    }
    (used, power, elsewhere)
}

/// The picker with the boxes of `picked` ticked.
pub(crate) fn picker(picked: &Selection, own: &OwnCatalogue) -> Markup {
    let (used, power, elsewhere) = of_hoody(picked);
    let of_operator = of_operator(picked, own);
    let is_short = of_operator.iter().map(|(_, picks)| picks.len()).sum::<usize>() <= SHORT;
    let none = html! {};
    html! {
        @for (name, picks) in &of_operator {
            (group(name, &growing(name, picks, picked), picks, is_short))
        }
        @for (name, picks) in &used { (group(name, &none, picks, false)) }
        (group("Hands out power", &none, &power, false))
        (group("Checked by other services only", &html! {
            p.small.soft { "hoody itself asks for none of these. A service can ask whether a token has one." }
        }, &elsewhere, false))
    }
}

fn group(name: &str, first: &Markup, picks: &[Pick<'_>], is_open: bool) -> Markup {
    let ticked = picks.iter().filter(|pick| pick.is_ticked);
    let (writing, ticked) = (ticked.clone().filter(|pick| pick.writes).count(), ticked.count());
    html! {
        details.group open[is_open || ticked > 0] {
            summary { (name) " " span.soft.small data-tally { (tally(ticked, picks.len(), writing)) } }
            div { (first) @for pick in picks { (pick.shown()) } }
        }
    }
}

/// The boxes for all of a group and what is added to it: of the group itself, and of those below that are held.
fn growing(name: &str, picks: &[Pick<'_>], picked: &Selection) -> Markup {
    let is_group = picks.iter().any(|pick| pick.path != name);
    let held = |group: &str| picked.own.grows().any(|held| held == group);
    let below = picked.own.grows().filter(|group| is_below(group, name));
    html! {
        @for group in is_group.then_some(name).into_iter().chain(below) {
            label.pick {
                input type="checkbox" name=(FIELD) value={ (group) (GROWING) } checked[held(group)] data-grows;
                span {
                    "All of " (group) ", and whatever is added to it later "
                    code.soft { (group) (GROWING) }
                }
            }
        }
    }
}

fn tally(ticked: usize, of: usize, writing: usize) -> String {
    let writes = if writing > 0 { format!(", {} write", count(writing as u64)) } else { String::new() };
    format!("{ticked} of {of}{writes}")
}

/// The templates to fill the boxes in with: the operator's, then hoody's from the smallest.
pub(crate) fn templates(chosen: &str, own: &OwnCatalogue) -> Markup {
    let both = catalogues(own);
    let of_own = own.templates().iter().map(|template| template.name.as_str());
    let names = of_own.chain(catalogue().templates().iter().rev().map(|one| one.name));
    html! {
        div.row {
            label.hidden for="preset" { "Template" }
            select #preset name="preset" {
                option value="" { "Choose a template" }
                @for name in names {
                    @let held = both.template(name).map(|selection| held(&selection, own)).unwrap_or_default();
                    @let paths: Vec<_> = held.iter().map(|leaf| leaf.path).collect();
                    option value=(name) selected[chosen == name] data-paths=(paths.join(",")) {
                        (name.replace('_', " ")) ": " (things(held.len() as u64, "permission"))
                    }
                }
            }
            button type="submit" name="do" value="preset" { "Fill in" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hoody_core::permissions::own::{OwnId, Rows};
    use hoody_core::time::Timestamp;

    fn row(id: u16, path: &str, state: State) -> Row {
        Row {
            id: OwnId::new(id).unwrap(),
            path: path.to_owned(),
            writes: path.ends_with("create"),
            description: format!("What {path} is for"),
            state,
            since: Timestamp::MIN,
        }
    }

    fn shop() -> OwnCatalogue {
        let leaves = vec![
            row(1, "orders.read", State::Live),
            row(2, "orders.create", State::Live),
            row(3, "orders.pay", State::Retired),
            row(4, "bills.read", State::Live),
        ];
        OwnCatalogue::new(Rows { leaves, ..Rows::default() }, catalogue()).unwrap()
    }

    #[test]
    fn every_leaf_that_a_token_can_use_is_in_the_picker_once() {
        let drawn = picker(&Selection::default(), &shop()).into_string();
        for (_, leaf) in catalogue().leaves() {
            let value = format!("value=\"{}\"", leaf.path);
            let times = drawn.matches(&value).count();
            assert_eq!(times, usize::from(!leaf.path.starts_with("admin.")), "{}", leaf.path);
        }
        assert!(!drawn.contains(" checked"));
    }

    #[test]
    fn the_operators_permissions_come_first_and_unchecked_ones_last() {
        let drawn = picker(&Selection::default(), &shop()).into_string();
        let at = |text: &str| drawn.find(text).unwrap_or_else(|| panic!("{text} is not in {drawn}"));
        assert!(at("What bills.read is for") < at("What orders.create is for"));
        assert!(at("What orders.create is for") < at("value=\"projects.read\""));
        assert!(at("value=\"resources.vault\"") < at("Checked by other services only"));
        assert!(at("Checked by other services only") < at("value=\"financial.wallet.read\""));
        // A retired one is offered only where it is held.
        assert!(!drawn.contains("orders.pay"));
        let drawn = picker(&picked(&["orders.pay"], &shop()), &shop()).into_string();
        assert!(drawn.contains("orders.pay") && drawn.contains("retired"));
    }

    #[test]
    fn the_boxes_of_a_selection_select_it() {
        let own = shop();
        for values in [
            &["projects.read", "orders.read"][..],
            &["orders.**"],
            &["projects.read", "bills.read", "orders.**"],
            &[],
        ] {
            let selection = picked(values, &own);
            assert_eq!(boxes(&selection, &own), values);
        }
        // Leaves of a group that grows are named by it, and what is unknown by nothing.
        let selection = picked(&["orders.read", "orders.**", "ships.**", "ships.sink"], &own);
        assert_eq!(boxes(&selection, &own), ["orders.**"]);
        assert_eq!(held(&selection, &own).len(), 3);
        let drawn = picker(&selection, &own).into_string();
        assert_eq!(drawn.matches(" checked").count(), 4);
    }
}
