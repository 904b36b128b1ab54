//! One rejected and one promoted run, drawn: the evidence after each scrape, and the lines that it must cross.
//!
//! Plain SVG by hand, readable on a light and on a dark page. The same code and the same seed give the same picture.

use std::fmt::Write;
use std::time::Duration;

use coalmine_core::page::chart::{Frame, Scale, whole_steps};

use crate::random::Random;
use crate::setup::Setup;
use crate::situation::DEADLINE;
use crate::statistics::{Deadline, Parameters, Trial, Verdict};
use crate::traffic::Traffic;

const SCRAPE: Duration = Duration::from_secs(5);
const REQUESTS_PER_SECOND: f64 = 100.0;
const PANEL: f64 = 440.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 56.0;

/// One scrape of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub seconds: f64,
    pub ln_harm: f64,
    pub ln_safe: f64,
}

/// A run with all of its scrapes until the verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    pub points: Vec<Point>,
    pub verdict: Verdict,
}

/// Runs the verdict's code until it decides.
pub fn story(canary: f64, seed: u64) -> Story {
    let setup = Setup::new(REQUESTS_PER_SECOND, SCRAPE, 0.001, canary);
    let mut traffic = Traffic::new(&setup, Random::new(seed, 0));
    let dispersion = traffic.dispersion();
    traffic.start();
    let mut trial = Trial::new(Parameters { dispersion, ..setup.parameters }.with_looks(DEADLINE, SCRAPE));
    let mut points = vec![Point { seconds: 0.0, ln_harm: 0.0, ln_safe: 0.0 }];
    loop {
        trial.push(&traffic.next_look(true));
        let served = Duration::from_secs_f64(traffic.now());
        let deadline = if served >= DEADLINE { Deadline::Reached } else { Deadline::Ahead };
        let verdict = trial.verdict(served, deadline);
        let evidence = trial.evidence();
        points.push(Point { seconds: traffic.now(), ln_harm: evidence.ln_harm, ln_safe: evidence.ln_safe });
        if verdict != Verdict::Continue {
            return Story { points, verdict };
        }
    }
}

/// The whole picture.
pub fn draw() -> String {
    let mut svg = String::new();
    let width = 2.0 * PANEL;
    // Writing to a String cannot fail.
    let _ = write!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" role="img" aria-label="Evidence over time of a rejected and of a promoted canary">
<style>
  text {{ font: 12px system-ui, sans-serif; fill: #24292f; }}
  .page {{ fill: #ffffff; }}
  .title {{ font-weight: 600; font-size: 13px; }}
  .grid {{ stroke: #d0d7de; stroke-width: 1; }}
  .line {{ fill: none; stroke-width: 2; stroke-linejoin: round; }}
  .harm {{ stroke: #d1242f; }} .dot.harm, text.harm {{ fill: #d1242f; stroke: none; }}
  .safe {{ stroke: #1a7f37; }} .dot.safe, text.safe {{ fill: #1a7f37; stroke: none; }}
  .threshold {{ stroke-width: 1.5; stroke-dasharray: 5 4; }}
  @media (prefers-color-scheme: dark) {{
    text {{ fill: #e6edf3; }} .page {{ fill: #0d1117; }} .grid {{ stroke: #30363d; }}
    .harm {{ stroke: #ff7b72; }} .dot.harm, text.harm {{ fill: #ff7b72; stroke: none; }}
    .safe {{ stroke: #56d364; }} .dot.safe, text.safe {{ fill: #56d364; stroke: none; }}
  }}
</style>
<rect class="page" width="{width}" height="{HEIGHT}" rx="6"/>
"#
    );
    panel(&mut svg, 0.0, "A canary that fails 3 % of its requests", &story(0.03, 0));
    panel(&mut svg, PANEL, "A canary like the primary", &story(0.001, 0));
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, x: f64, title: &str, story: &Story) {
    let last = story.points.last().map_or(0.0, |point| point.seconds);
    let (left, right, bottom) = (x + LEFT, x + PANEL - RIGHT, HEIGHT - BOTTOM);
    let frame = Frame { left, right, top: TOP, bottom, seconds: whole_steps(last), scale: Scale::Ratio };
    let ending = match story.verdict {
        Verdict::Reject => "rejected",
        Verdict::Promote => "promoted",
        Verdict::Continue | Verdict::Inconclusive => "inconclusive",
    };
    let _ = writeln!(svg, r#"<text class="title" x="{left}" y="26">{title}</text>"#);
    let _ = writeln!(svg, r#"<text x="{left}" y="44">{ending} after {last:.0} s; {REQUESTS_PER_SECOND:.0} requests/s over 11 pods</text>"#);
    frame.grid(svg);
    frame.times(svg);
    let needed = Parameters::default();
    let bake = needed.bake.as_secs_f64();
    if last >= bake {
        frame.moment(svg, bake, "canary.duration");
    }
    let harm = Curve {
        class: "harm",
        name: "worse than the primary",
        needed: 1.0 / needed.alpha,
        effect: "rejects",
        value: |point| point.ln_harm,
    };
    let safe = Curve {
        class: "safe",
        name: "below the limit of 1 %",
        needed: 1.0 / needed.beta,
        effect: "may promote",
        value: |point| point.ln_safe,
    };
    for (curve, legend) in [(harm, left), (safe, left + 170.0)] {
        let Curve { class, name, needed, effect, value } = curve;
        frame.threshold(svg, class, needed.ln(), &format!("{needed:.0} : 1 {effect}"));
        let points: Vec<(f64, f64)> = story.points.iter().map(|point| (point.seconds, value(point))).collect();
        frame.curve(svg, class, &points);
        Frame::legend(svg, class, legend, HEIGHT - 14.0, name);
    }
}

struct Curve {
    class: &'static str,
    name: &'static str,
    /// The evidence at which it has its effect.
    needed: f64,
    effect: &'static str,
    value: fn(&Point) -> f64,
}
