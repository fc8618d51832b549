//! A field of a form.

use maud::{Markup, html};

/// A field with its label, its hint and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    pub(crate) label: &'a str,
    pub(crate) hint: &'a str,
    pub(crate) wrong: Option<&'a str>,
}

impl Field<'_> {
    /// The ids of what describes the field, for `aria-describedby`.
    pub(crate) fn described_by(&self) -> Option<String> {
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.name));
        let wrong = self.wrong.map(|_| format!("{}-wrong", self.name));
        let ids: Vec<_> = wrong.into_iter().chain(hint).collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }

    /// The label, what is wrong, and the hint, around `input`.
    pub(crate) fn around(&self, input: &Markup) -> Markup {
        html! {
            div.field {
                label for=(self.name) { (self.label) }
                @if let Some(wrong) = self.wrong { p.wrong id={ (self.name) "-wrong" } { (wrong) } }
                (input)
                @if !self.hint.is_empty() { p.hint id={ (self.name) "-hint" } { (self.hint) } }
            }
        }
    }
}
