//! temporary
pub(crate) fn note(text: &str) { use std::io::Write as _; let _ = writeln!(std::io::stderr(), "{text}"); }
pub(crate) fn settings(rows: impl Iterator<Item = (&'static str, String, String)>) { for (n, v, s) in rows { note(&format!("{n} = {v} ({s})")); } }
pub(crate) fn users(users: &[hoody_core::wire::User]) { for u in users { note(&u.username); } }
