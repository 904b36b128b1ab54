//! One rejected and one promoted run, drawn: the evidence after each scrape, and the lines that it must cross.
//!
//! Plain SVG by hand, readable on a light and on a dark page. The same code and the same seed give the same picture.

use std::fmt::Write;
use std::time::Duration;

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
/// The axis goes from one in a hundred to ten thousand; what is beyond is drawn at its edge.
const LEAST: f64 = -2.0;
const MOST: f64 = 4.0;

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
    // Whole ticks, and at least half a minute.
    let seconds = (last.max(30.0) / 15.0).ceil() * 15.0;
    let (left, right, bottom) = (x + LEFT, x + PANEL - RIGHT, HEIGHT - BOTTOM);
    let across = |time: f64| left + (right - left) * time / seconds;
    let up = |ln: f64| bottom - (bottom - TOP) * ((ln / std::f64::consts::LN_10).clamp(LEAST, MOST) - LEAST) / (MOST - LEAST);
    let ending = match story.verdict {
        Verdict::Reject => "rejected",
        Verdict::Promote => "promoted",
        Verdict::Continue | Verdict::Inconclusive => "inconclusive",
    };
    let _ = writeln!(svg, r#"<text class="title" x="{left}" y="26">{title}</text>"#);
    let _ = writeln!(svg, r#"<text x="{left}" y="44">{ending} after {last:.0} s; {REQUESTS_PER_SECOND:.0} requests/s over 11 pods</text>"#);
    let mut power = LEAST;
    while power <= MOST {
        let y = up(power * std::f64::consts::LN_10);
        let label = if power < 0.0 { format!("1 : {:.0}", 10_f64.powf(-power)) } else { format!("{:.0} : 1", 10_f64.powf(power)) };
        let _ = writeln!(svg, r#"<line class="grid" x1="{left}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/>"#);
        let _ = writeln!(svg, r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{label}</text>"#, left - 8.0, y + 4.0);
        power += 1.0;
    }
    let mut tick = 0.0;
    while tick <= seconds {
        let _ = writeln!(svg, r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{tick:.0} s</text>"#, across(tick), bottom + 18.0);
        tick += 15.0;
    }
    let needed = Parameters::default();
    let bake = needed.bake.as_secs_f64();
    if last >= bake {
        let x = across(bake);
        let _ = writeln!(svg, r#"<line class="grid threshold" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{bottom}"/>"#);
        let _ = writeln!(svg, r#"<text x="{:.1}" y="{:.1}" text-anchor="end">canary.duration</text>"#, x - 6.0, bottom - 6.0);
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
        let y = up(needed.ln());
        let _ = writeln!(svg, r#"<line class="threshold {class}" x1="{left}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/>"#);
        let _ = writeln!(svg, r#"<text class="{class}" x="{:.1}" y="{:.1}">{needed:.0} : 1 {effect}</text>"#, left + 6.0, y - 5.0);
        let path: Vec<String> = story.points.iter().map(|point| format!("{:.1},{:.1}", across(point.seconds), up(value(point)))).collect();
        let _ = writeln!(svg, r#"<polyline class="line {class}" points="{}"/>"#, path.join(" "));
        for point in &story.points {
            let _ =
                writeln!(svg, r#"<circle class="dot {class}" cx="{:.1}" cy="{:.1}" r="2.5"/>"#, across(point.seconds), up(value(point)));
        }
        let _ = writeln!(svg, r#"<text class="{class}" x="{legend:.1}" y="{:.1}">● {name}</text>"#, HEIGHT - 14.0);
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
