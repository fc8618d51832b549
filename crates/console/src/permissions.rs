//! The catalogue of permissions: the operator's first, then hoody's, and the templates.

use axum::response::Response;
use hoody_core::permissions::own::{Row, State};
use hoody_core::permissions::words;
use hoody_engine::catalogue::{catalogue, catalogues};
use maud::{Markup, html};

use crate::parts::permissions::held;
use crate::parts::words::things;
use crate::session::{Page, Section, Visitor};

/// `GET /console/permissions`
pub(crate) async fn show(visitor: Box<Visitor>) -> Response {
    let own = &visitor.own;
    let mut rows: Vec<&Row> = own.leaves().iter().collect();
    rows.sort_by(|one, other| one.path.cmp(&other.path));
    let main = html! {
        h1 { "Permissions" }
        p.soft { "What a token can be given. A token has no permission that it was not given by name, by group or by template." }
        h2 { "Of the services of this server's operator" }
        @if rows.is_empty() {
            p {
                "None yet. Whoever runs this server adds those of their services from a file: "
                code { "hoody admin permissions apply FILE" } "."
            }
        } @else { (table(&html! { @for row in &rows { (of_operator(&visitor, row)) } })) }
        h2 { "Of hoody itself" }
        (table(&html! { @for (_, leaf) in catalogue().leaves() {
            @if let Some(words) = words(&leaf.path).filter(|words| words.is_used) {
                (line(&leaf.path, words.description, leaf.writes, &html! {}))
            }
        } }))
        (unused())
        h2 { "Templates" }
        (templates(&visitor))
    };
    Page::new(&visitor, Section::Permissions, "Permissions").around(&main)
}

fn table(rows: &Markup) -> Markup {
    html! {
        table.stack {
            thead { tr { th { "Permission" } th { "What it is for" } } }
            tbody { (rows) }
        }
    }
}

fn line(path: &str, description: &str, writes: bool, more: &Markup) -> Markup {
    html! {
        tr {
            td.name { code { (path) } (more) }
            td { (description) @if writes { " " span.badge { "writes" } } }
        }
    }
}

fn of_operator(visitor: &Visitor, row: &Row) -> Markup {
    let old = visitor.own.old_paths(row.id);
    let more = html! {
        @if row.state == State::Retired { " " span.badge { "retired" } }
        @for path in &old { span.sub { "once " code { (path) } } }
    };
    line(&row.path, &row.description, row.writes, &more)
}

/// Hoody's permissions that only other services ask for.
fn unused() -> Markup {
    let rows = catalogue().leaves().filter_map(|(_, leaf)| {
        let words = words(&leaf.path).filter(|words| !words.is_used)?;
        (!leaf.path.starts_with("admin.")).then_some((leaf, words))
    });
    let rows: Vec<_> = rows.collect();
    html! {
        details {
            summary { (things(rows.len() as u64, "permission")) " that hoody itself asks for nowhere" }
            p.small.soft { "A service can ask whether a token has one." }
            (table(&html! { @for (leaf, words) in &rows { (line(&leaf.path, words.description, leaf.writes, &html! {})) } }))
        }
    }
}

fn templates(visitor: &Visitor) -> Markup {
    let own = &visitor.own;
    let both = catalogues(own);
    let of_own = own.templates().iter().map(|one| (one.name.as_str(), one.description.as_str()));
    let of_hoody = catalogue().templates().iter().map(|one| (one.name, one.description));
    html! {
        table.stack {
            thead { tr { th { "Template" } th { "What it is for" } th.num { "Permissions" } } }
            tbody {
                @for (name, description) in of_own.chain(of_hoody) {
                    @let count = both.template(name).map_or(0, |selection| held(&selection, own).len());
                    tr {
                        td.name { a href={ "/console/tokens/new?permission=" (name) } { (name) } }
                        td { (description) }
                        td.num data-is="Permissions" { (count) }
                    }
                }
            }
        }
    }
}
