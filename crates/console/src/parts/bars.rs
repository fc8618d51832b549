//! Bars over time: drawn with attributes of SVG alone, since the policy forbids styles in elements, and told
//! in a sentence and a table for whoever does not see them.

use hoody_core::time::{DAY, HOUR, Timestamp};
use hoody_core::wire::UsesInTime;
use maud::{Markup, html};

use super::time;
use super::words::count;

/// A chart of hours or days up to `now`, the oldest first.
#[derive(Debug)]
pub(crate) struct Bars {
    /// Total and refused of each step.
    steps: Vec<(u64, u64)>,
    first: Timestamp,
    step: i64,
}

impl Bars {
    /// The last `steps` hours or days.
    pub(crate) fn of(uses: &[UsesInTime], now: Timestamp, step: i64, steps: usize) -> Self {
        let last = now.millis().div_euclid(step);
        let width = i64::try_from(steps).unwrap_or(1);
        let first = last - width + 1;
        let mut counts = vec![(0, 0); steps];
        for used in uses {
            let at = used.start.millis().div_euclid(step) - first;
            if let Some(slot) = usize::try_from(at).ok().and_then(|at| counts.get_mut(at)) {
                slot.0 += used.total;
                slot.1 += used.errors;
            }
        }
        Self { steps: counts, first: Timestamp::from_millis(first * step), step }
    }

    pub(crate) fn total(&self) -> u64 {
        self.steps.iter().map(|(total, _)| total).sum()
    }

    pub(crate) fn refused(&self) -> u64 {
        self.steps.iter().map(|(_, refused)| refused).sum()
    }

    fn unit(&self) -> &'static str {
        if self.step == HOUR { "hours" } else { "days" }
    }

    /// The sentence that says what is seen.
    pub(crate) fn sentence(&self) -> String {
        let (total, refused) = (self.total(), self.refused());
        let (steps, unit) = (self.steps.len(), self.unit());
        match self.steps.iter().enumerate().max_by_key(|(_, (total, _))| *total) {
            Some((at, (most, _))) if *most > 0 => {
                let at = self.first.plus(i64::try_from(at).unwrap_or(0) * self.step);
                let when = if self.step == HOUR { time::minute(at) } else { time::day(at) };
                format!(
                    "{} in the last {steps} {unit}, {} refused; most ({}) from {when}",
                    requests(total),
                    count(refused),
                    count(*most)
                )
            }
            _ => format!("No requests in the last {steps} {unit}"),
        }
    }

    /// The chart, as wide as there is room, with its axis and a table behind it.
    pub(crate) fn chart(&self) -> Markup {
        const HEIGHT: u64 = 96;
        let most = self.steps.iter().map(|(total, _)| *total).max().unwrap_or(0).max(1);
        let steps = self.steps.len();
        html! {
            svg.bars viewBox={ "0 0 " (steps * 10) " " (HEIGHT) } width="100%" height=(HEIGHT)
                preserveAspectRatio="none" role="img" aria-label=(self.sentence()) {
                (self.rects(most, HEIGHT, 10))
                line x1="0" x2=(steps * 10) y1=(HEIGHT) y2=(HEIGHT) stroke-width="2" {}
            }
            p.axis { span { (time::minute(self.first)) } span { "now" } }
            p.small.soft {
                span.key { "answered" } " " span.key.no { "refused" } " · tallest bar: " (requests(most))
            }
            @if self.total() > 0 {
                details.small {
                    summary { "As a table" }
                    table {
                        thead { tr { th { "From" } th.num { "Requests" } th.num { "Refused" } } }
                        tbody {
                            @for (at, (total, refused)) in self.steps.iter().enumerate().rev().filter(|(_, (total, _))| *total > 0) {
                                tr {
                                    td { (self.label(at)) }
                                    td.num { (count(*total)) }
                                    td.num { (count(*refused)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The chart as a word in a table.
    pub(crate) fn spark(&self) -> Markup {
        const HEIGHT: u64 = 20;
        let most = self.steps.iter().map(|(total, _)| *total).max().unwrap_or(0);
        html! {
            @if most > 0 {
                svg.bars width=(self.steps.len() * 2) height=(HEIGHT) role="img" aria-label=(self.sentence()) {
                    (self.rects(most, HEIGHT, 2))
                }
            } @else { span.soft { "—" } }
        }
    }

    fn label(&self, at: usize) -> String {
        let at = self.first.plus(i64::try_from(at).unwrap_or(0) * self.step);
        if self.step == DAY { time::day(at) } else { time::minute(at) }
    }

    /// A bar for each step that has something, the refused share of it at its foot.
    fn rects(&self, most: u64, height: u64, width: usize) -> Markup {
        // Whatever there is can be seen.
        let scaled = |n: u64| if n == 0 { 0 } else { (n * height / most).max(1) };
        let wide = if width > 4 { width - 2 } else { width - 1 };
        html! {
            @for (at, (total, refused)) in self.steps.iter().enumerate() {
                @if *total > 0 {
                    @let tall = scaled(*total);
                    rect x=(at * width) y=(height - tall) width=(wide) height=(tall) {}
                    @if *refused > 0 {
                        @let low = scaled(*refused).min(tall);
                        rect.no x=(at * width) y=(height - low) width=(wide) height=(low) {}
                    }
                }
            }
        }
    }
}

fn requests(n: u64) -> String {
    if n == 1 { "1 request".to_owned() } else { format!("{} requests", count(n)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_fall_into_their_hours() {
        let now = Timestamp::parse("2026-12-12T09:15:42Z").unwrap();
        let at = |hours: i64| Timestamp::parse("2026-12-12T09:00:00Z").unwrap().plus(-hours * HOUR);
        let used = |hours, total, errors| UsesInTime { start: at(hours), total, errors };
        let bars = Bars::of(&[used(0, 3, 1), used(47, 10, 0), used(48, 99, 9)], now, HOUR, 48);
        assert_eq!((bars.total(), bars.refused(), bars.steps.len()), (13, 1, 48));
        assert_eq!((bars.steps[0], bars.steps[47]), ((10, 0), (3, 1)));
        assert!(
            bars.sentence().starts_with("13 requests in the last 48 hours, 1 refused; most (10)"),
            "{}",
            bars.sentence()
        );
        let drawn = bars.chart().into_string();
        assert!(!drawn.contains("style="), "{drawn}");
        let none = Bars::of(&[], now, DAY, 30);
        assert_eq!(none.sentence(), "No requests in the last 30 days");
    }
}
