//! The frame around every page of somebody who is signed in, and the forms in it: each is posted, each carries
//! the mark of its session and its address.

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};

use super::Visitor;
use super::form::{MARK, mark};
use crate::HOME;
use crate::parts::page::answer;

/// The sections, as the side names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Tokens,
    Log,
    Alerts,
    Events,
    Webhooks,
    Vault,
    Permissions,
    Account,
    Stop,
}

const SECTIONS: [(Section, &str, &str); 9] = [
    (Section::Overview, "Overview", HOME),
    (Section::Tokens, "Tokens", "/console/tokens"),
    (Section::Log, "Log", "/console/log"),
    (Section::Alerts, "Alerts", "/console/alerts"),
    (Section::Events, "Events", "/console/events"),
    (Section::Webhooks, "Webhooks", "/console/webhooks"),
    (Section::Vault, "Vault", "/console/vault"),
    (Section::Permissions, "Permissions", "/console/permissions"),
    (Section::Account, "Account", "/console/account"),
];

/// A page in the frame.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub(crate) visitor: &'a Visitor,
    pub(crate) section: Section,
    pub(crate) title: &'a str,
    pub(crate) status: StatusCode,
}

impl<'a> Page<'a> {
    pub(crate) fn new(visitor: &'a Visitor, section: Section, title: &'a str) -> Self {
        Self { visitor, section, title, status: StatusCode::OK }
    }

    pub(crate) fn with(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The page around `main`.
    pub(crate) fn around(self, main: &Markup) -> Response {
        let Self { visitor, section, title, status } = self;
        let title = format!("{title} · {}", visitor.username);
        let host = visitor.console.access.public_url.split_once("://").map_or("", |(_, host)| host);
        let links = sections(section);
        let now = SECTIONS.iter().find(|(known, ..)| *known == section).map_or("Menu", |(_, name, _)| name);
        let ends = visitor.ends_at.to_string();
        let body = html! {
            body.frame data-ends=(ends) {
                a.skip href="#main" { "Skip to content" }
                header.top {
                    a.brand href=(HOME) { "hoody" }
                    span.host { (host) }
                    span.who { (visitor.username) }
                    a.button.stop href="/console/stop" aria-current=[(section == Section::Stop).then_some("page")] {
                        "Stop something"
                    }
                }
                nav.side aria-label="Sections" { (links) }
                details.menu { summary { (now) } nav aria-label="Sections" { (links) } }
                main #main { (main) }
            }
        };
        answer(status, &title, &body)
    }
}

fn sections(current: Section) -> Markup {
    html! {
        ul.plain {
            @for (section, name, path) in SECTIONS {
                li.apart[matches!(section, Section::Events | Section::Account)] {
                    a href=(path) aria-current=[(section == current).then_some("page")] { (name) }
                }
            }
        }
    }
}

impl Visitor {
    /// A form that is posted to `action`, with its mark.
    #[expect(clippy::needless_pass_by_value, reason = "markup is made where it is passed")]
    pub(crate) fn form(&self, action: &str, class: &str, inner: Markup) -> Markup {
        let class = (!class.is_empty()).then_some(class);
        html! {
            form method="post" action=(action) class=[class] {
                input type="hidden" name=(MARK)
                    value=(mark(&self.console.keys, self.session, action, self.now));
                (inner)
            }
        }
    }

    /// A form that is one button.
    pub(crate) fn button(&self, action: &str, class: &str, label: &str) -> Markup {
        self.form(
            action,
            "",
            html! { button type="submit" class=[(!class.is_empty()).then_some(class)] { (label) } },
        )
    }
}
