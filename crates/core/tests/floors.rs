//! Rules of the house that the compiler does not see.
//!
//! It has floors: no two rooms of a crate import each other, and no crate imports one above it. Cargo holds
//! the crates; this reads the imports inside them. A room is a folder, or a lone file, right under a crate's `src`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who imports whom, and in which file.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file without comments, and without its unit tests, which may reach anywhere.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The first names of what stands behind `crate::` at the beginning of `text`: of one path, or of each in braces.
fn first_names(text: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_')
            .collect()
    };
    let Some(inside) = text.strip_prefix('{') else { return vec![name(text)] };
    let (mut depth, mut names, mut from) = (1, Vec::new(), 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || depth == 1 && c == ',' {
            names.push(name(&inside[from..at]));
            from = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn arrows(src: &Path) -> Arrows {
    let mut found = Vec::new();
    files(src, &mut found);
    let mut arrows = Arrows::new();
    for path in found {
        let inside = path.strip_prefix(src).expect("a file of the folder");
        let room = inside.components().next().expect("a name").as_os_str().to_string_lossy();
        let room = room.trim_end_matches(".rs").to_owned();
        let text = code(&std::fs::read_to_string(&path).expect("text"));
        for (at, _) in text.match_indices("crate::") {
            let is_word = text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            for to in first_names(&text[at + "crate::".len()..]) {
                if !is_word && !to.is_empty() && to != room {
                    let arrow = arrows.entry(room.clone()).or_default().entry(to);
                    arrow.or_insert_with(|| inside.display().to_string());
                }
            }
        }
    }
    arrows
}

/// The rooms that can be reached from `room`.
fn reached(arrows: &Arrows, room: &str) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![room.to_owned()]);
    while let Some(room) = open.pop() {
        for to in arrows.get(&room).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(to.clone()) {
                open.push(to.clone());
            }
        }
    }
    seen
}

#[test]
fn no_two_rooms_import_each_other_in_a_circle() {
    let mut crates: Vec<PathBuf> =
        std::fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path()).collect();
    crates.push(root().join("bench"));
    crates.sort();
    let mut circles = Vec::new();
    for path in crates {
        let arrows = arrows(&path.join("src"));
        for (room, to) in &arrows {
            // The crate's root names all rooms, and nothing names it.
            if room == "lib" || room == "main" {
                continue;
            }
            for (other, file) in to {
                if reached(&arrows, other).contains(room) {
                    circles.push(format!("{}: {room} -> {other} ({file})", path.display()));
                }
            }
        }
    }
    assert!(circles.is_empty(), "these imports close a circle:\n{}", circles.join("\n"));
}

#[test]
fn imports_are_read_in_every_form() {
    assert_eq!(first_names("db::Db;"), ["db"]);
    assert_eq!(first_names("{a::{b, c}, d, e_1::*};"), ["a", "d", "e_1"]);
    assert_eq!(first_names("Error;"), [""]);
    assert_eq!(code("use crate::a; // crate::b\n#[cfg(test)]\nuse crate::c;"), "use crate::a; ");
}

/// A bare spawn is a task whose end nobody notices.
#[test]
fn nothing_spawns_but_the_supervisor() {
    /// The end of each of these is awaited or of no matter.
    const ALLOWED: [(&str, &str); 7] = [
        ("cli/src/terminal/prompt.rs", "std::thread::spawn"),
        ("cli/src/commands/sign_in/web_login.rs", ".spawn()"),
        ("engine/src/db/tx.rs", "runtime.spawn(session."),
        ("engine/src/jobs/runner.rs", "under_way.spawn("),
        ("engine/src/telemetry/lines.rs", "std::thread::Builder"),
        ("engine/src/telemetry/lines.rs", ".spawn(move || write_all("),
        ("service/src/webhooks/sender.rs", "under_way.spawn("),
    ];
    const SPAWNS: [&str; 7] =
        ["spawn(", "spawn_local", "spawn;", "spawn,", "spawn}", "thread::Builder", "spawn as"];
    let root = root().join("crates");
    let mut paths = Vec::new();
    for name in ["cli", "engine", "service", "console", "containers", "hoody"] {
        files(&root.join(name).join("src"), &mut paths);
    }
    let mut found = Vec::new();
    for path in paths {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let is_test = name.contains("/testing") || name.ends_with("tests.rs") || name.contains("/tests/");
        if name == "engine/src/tasks.rs" || is_test {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let is_bare = |line: &&str| {
            let is_known = ALLOWED.iter().any(|(file, what)| *file == name && line.contains(what));
            SPAWNS.iter().any(|word| line.contains(word)) && !is_known && !line.trim_start().starts_with("//")
        };
        found.extend(code.lines().filter(is_bare).map(|line| format!("{name}: {}", line.trim())));
    }
    assert_eq!(found, Vec::<String>::new(), "use tasks::once or Tasks::supervise");
}
