//! A secret that is shown this once: a field that selects itself, and a button that copies it.

use hoody_core::wire::Secret;
use maud::{Markup, html};

/// The field with the secret of `name`, `length` characters long.
pub(crate) fn shown_once(name: &str, secret: &Secret) -> Markup {
    let length = secret.expose().len();
    html! {
        div.secret {
            label.hidden for="secret" { "Secret of " (name) }
            input #secret readonly value=(secret.expose()) autocomplete="off" spellcheck="false" data-secret;
            button.primary type="button" data-copy="secret" hidden { "Copy" }
        }
        p.hint role="status" data-copied { "Select it and copy it. It is " (length) " characters long." }
    }
}
