//! What was counted, as pictures: both error rates with the limit, the evidence with its thresholds, and the requests that are needed. Each
//! says in words what it shows, for whoever can't see it. Made of numbers alone.

use std::fmt::Write as _;

use super::chart::{Frame, Scale, round_share, whole_steps};
use crate::{
    api::quantity::{format_count, format_percentage},
    run::evidence::{Counted, Look},
    run::times::elapsed,
    statistics::Parameters,
};

const WIDTH: f64 = 480.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 16.0;
/// For the times and the legend.
const BOTTOM: f64 = 52.0;
const BAR: f64 = 14.0;

/// How high a picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Large,
    /// One of several, in the history.
    Small,
}

impl Size {
    fn height(self) -> f64 {
        match self {
            Self::Large => 260.0,
            Self::Small => 180.0,
        }
    }
}

/// The share of failures between each look and the one before, of both sides. `None` where there are no two looks.
pub(super) fn rates(looks: &[Look], limit: f64, size: Size) -> Option<String> {
    let (canary, primary) = (shares(looks, |look| look.canary)?, shares(looks, |look| look.primary)?);
    let highest = canary.iter().chain(&primary).map(|(_, share)| *share).fold(limit * 1.5, f64::max);
    let frame = frame(looks, size, Scale::Share { most: round_share(highest) });
    let at_last = |points: &[(f64, f64)]| points.last().map_or_else(|| "unknown".to_owned(), |(_, share)| format_percentage(*share));
    let limit_in_words = format_percentage(limit);
    let words = format!(
        "Error rate over time: the canary's is {} at last, the primary's {}, the limit {limit_in_words}",
        at_last(&canary),
        at_last(&primary)
    );
    Some(svg(size.height(), &words, |svg| {
        frame.grid(svg);
        frame.times(svg);
        frame.threshold(svg, "harm", limit, &format!("limit {limit_in_words}"));
        frame.curve(svg, "primary", &primary);
        frame.curve(svg, "canary", &canary);
        Frame::legend(svg, "canary", LEFT, size.height() - 8.0, "canary");
        Frame::legend(svg, "primary", LEFT + 90.0, size.height() - 8.0, "primary");
    }))
}

/// Seconds since the first look, and the share of failures since the look before.
fn shares(looks: &[Look], side: fn(&Look) -> Counted) -> Option<Vec<(f64, f64)>> {
    let first = looks.first().filter(|_| looks.len() > 1)?;
    let mut points = Vec::new();
    let mut before = Counted::default();
    for look in looks {
        let now = side(look);
        let (requests, failures) = (now.requests - before.requests, now.failures - before.failures);
        if requests > 0.0 {
            points.push((elapsed(first.time, look.time).as_secs_f64(), (failures / requests).clamp(0.0, 1.0)));
            before = now;
        }
    }
    Some(points)
}

/// How strongly the counts speak against the canary and for it, after each look.
pub(super) fn evidence(looks: &[Look], size: Size) -> Option<String> {
    let (first, last) = (looks.first()?, looks.last().filter(|_| looks.len() > 1)?);
    let frame = frame(looks, size, Scale::Ratio);
    let parameters = Parameters::default();
    let (rejects, promotes) = (1.0 / parameters.alpha, 1.0 / parameters.beta);
    let words = format!(
        "Evidence over time: {:.1}:1 against the canary at last, which is rejected at {rejects:.0}:1; {:.1}:1 for it, which may be promoted at {promotes:.0}:1",
        last.against, last.in_favour
    );
    let points = |value: fn(&Look) -> f64| -> Vec<(f64, f64)> {
        looks.iter().map(|look| (elapsed(first.time, look.time).as_secs_f64(), value(look).max(f64::MIN_POSITIVE).ln())).collect()
    };
    Some(svg(size.height(), &words, |svg| {
        frame.grid(svg);
        frame.times(svg);
        frame.threshold(svg, "harm", rejects.ln(), &format!("{rejects:.0} : 1 rejects"));
        frame.curve(svg, "harm", &points(|look| look.against));
        frame.curve(svg, "safe", &points(|look| look.in_favour));
        if (rejects - promotes).abs() > 1.0 {
            frame.threshold(svg, "safe", promotes.ln(), &format!("{promotes:.0} : 1 may promote"));
        }
        Frame::legend(svg, "harm", LEFT, size.height() - 8.0, "worse than the primary");
        Frame::legend(svg, "safe", LEFT + 170.0, size.height() - 8.0, "below the limit");
    }))
}

/// How many of the requests are there that would show the limit.
pub(super) fn needed(looks: &[Look]) -> Option<String> {
    let last = looks.last()?;
    let needed = last.needed.filter(|needed| needed.is_finite() && *needed > 0.0)?;
    let share = (last.canary.requests / needed).clamp(0.0, 1.0);
    let words = format!("{} of {} requests that are needed", format_count(last.canary.requests), format_count(needed));
    Some(svg(BAR + 4.0, &words, |svg| {
        let _ = writeln!(svg, r#"<rect class="bar" x="1" y="2" width="{:.1}" height="{BAR}" rx="3"/>"#, WIDTH - 2.0);
        let _ = writeln!(svg, r#"<rect class="bar done" x="1" y="2" width="{:.1}" height="{BAR}" rx="3"/>"#, (WIDTH - 2.0) * share);
    }))
}

fn frame(looks: &[Look], size: Size, scale: Scale) -> Frame {
    let seconds = looks.first().zip(looks.last()).map_or(0.0, |(first, last)| elapsed(first.time, last.time).as_secs_f64());
    Frame { left: LEFT, right: WIDTH - RIGHT, top: TOP, bottom: size.height() - BOTTOM, seconds: whole_steps(seconds), scale }
}

fn svg(height: f64, words: &str, draw: impl FnOnce(&mut String)) -> String {
    let mut svg = String::new();
    let _ = writeln!(svg, r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{words}">"#);
    draw(&mut svg);
    svg.push_str("</svg>");
    svg
}
