//! The documents say each thing once, and say all of it.

use std::collections::HashSet;
use std::path::PathBuf;

use hoody_core::permissions::Catalogue;

fn document(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", name].iter().collect();
    std::fs::read_to_string(path).unwrap()
}

/// What is between the first two backticks of a row.
fn name(row: &str) -> &str {
    row.split('`').nth(1).unwrap_or_default()
}

#[test]
fn the_table_of_permissions_has_each_leaf_once() {
    let page = document("docs/permissions.md");
    let catalogue = Catalogue::hoody();
    for (_, leaf) in catalogue.leaves() {
        let rows = page.lines().filter(|line| line.starts_with("| `") && name(line) == leaf.path.as_str());
        assert_eq!(rows.count(), 1, "{}", leaf.path);
    }
}

#[test]
fn no_page_has_a_row_twice() {
    for file in ["README.md", "docs/errors.md", "docs/permissions.md"] {
        let page = document(file);
        let mut rows = HashSet::new();
        for line in page.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
            // An error's row is its status, code and what it is about.
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let is_named = !file.ends_with("errors.md") && !cells[1].is_empty();
            let key = if is_named { cells[1].to_owned() } else { cells[1..].join("|") };
            assert!(rows.insert(key), "{file}: {line}");
        }
    }
}
