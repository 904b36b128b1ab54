//! The tables: which situations are simulated, what each must not exceed, and how a line is printed.

use std::io::{self, Write};
use std::time::Duration;

use crate::first_minute;
use crate::judged;
use crate::pages;
use crate::rules::{NAMES, RULES};
use crate::scenarios;
use crate::seen;
use crate::setup::Setup;
use crate::situation::{Broken, DEADLINE, FALSE_PROMOTIONS, FALSE_REJECTS, Situation, Wrong, percent};
use crate::steps::Clustering;
use crate::tally::{Tally, tally};

const TRAFFIC: [f64; 5] = [1.0, 10.0, 100.0, 1000.0, 10_000.0];
const CLUSTERINGS: [(&str, Clustering); 3] = [
    ("independent", Clustering::Independent),
    ("beta-binomial", Clustering::BetaBinomial { correlation: 0.003 }),
    ("bursts of 8", Clustering::Bursts { mean: 8.0 }),
];
const SCRAPE: Duration = Duration::from_secs(15);

/// Canaries that are as good, or as bad, as the primary.
pub fn identical() -> Vec<Situation> {
    let mut situations = Vec::new();
    for (name, clustering) in CLUSTERINGS {
        for requests in TRAFFIC {
            for rate in [0.0, 0.001, 0.005, 0.01] {
                if rate <= 0.0 && clustering != Clustering::Independent {
                    continue;
                }
                let setup = Setup { clustering, ..Setup::new(requests, SCRAPE, rate, rate) };
                let wrong = if rate < setup.parameters.limit { Wrong::Reject } else { Wrong::Either };
                situations.push(Situation { name: format!("{name:<13} {requests:>6} {:>6}", percent(rate)), setup, wrong });
            }
        }
    }
    situations
}

/// Canaries that are worse than a primary at 0.1 %.
pub fn worse() -> Vec<Situation> {
    let mut situations = Vec::new();
    for (name, clustering) in CLUSTERINGS {
        for requests in TRAFFIC {
            for rate in [0.005, 0.01, 0.02, 0.1, 1.0] {
                if rate > 0.02 && clustering != Clustering::Independent {
                    continue;
                }
                let setup = Setup { clustering, ..Setup::new(requests, SCRAPE, 0.001, rate) };
                let wrong = if rate < setup.parameters.limit { Wrong::Nothing } else { Wrong::Promote };
                situations.push(Situation { name: format!("{name:<13} {requests:>6} {:>6}", percent(rate)), setup, wrong });
            }
        }
    }
    situations
}

/// The scrape interval is what limits the time to a verdict.
pub fn intervals() -> Vec<Situation> {
    let mut situations = Vec::new();
    for seconds in [1, 5, 15, 30] {
        for rate in [0.02, 1.0] {
            let setup = Setup::new(1000.0, Duration::from_secs(seconds), 0.001, rate);
            situations.push(Situation {
                name: format!("every {seconds:>2} s     1000 {:>6}", percent(rate)),
                setup,
                wrong: Wrong::Promote,
            });
        }
    }
    situations
}

/// Which lines are simulated: those whose names have all of these words, in their order.
#[derive(Clone, Debug, Default)]
pub struct Only(pub Vec<String>);

impl Only {
    fn holds(&self, name: &str) -> bool {
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut rest = name.as_str();
        self.0.iter().all(|word| rest.find(word.as_str()).map(|at| rest = &rest[at + word.len()..]).is_some())
    }

    /// The lines with their places: each has a seed of its own.
    fn of<'a>(&self, situations: &'a [Situation]) -> Vec<(usize, &'a Situation)> {
        situations.iter().enumerate().filter(|(_, situation)| self.holds(&situation.name)).collect()
    }
}

/// A table beside other tools: title, heading, what a cell says, its style, its lines, and the runs of each.
type Table = (&'static str, &'static str, &'static str, Style, Vec<Situation>, usize);

fn compared(runs: usize) -> [Table; 4] {
    [
        (
            "A canary like the primary",
            "errors          req/s   rate",
            "rejected % / promoted % @ median s to promote",
            Style::Promotions,
            identical(),
            runs,
        ),
        (
            "A canary worse than a primary at 0.1 %, limit 1 %",
            "errors          req/s canary",
            "rejected % / promoted % @ median s to reject, median errors served",
            Style::Rejections,
            worse(),
            runs,
        ),
        (
            "How often is scraped",
            "scrapes         req/s canary",
            "rejected % / promoted % @ median s to reject, median errors served",
            Style::Rejections,
            intervals(),
            runs.div_ceil(10),
        ),
        (
            "Situations, 1000 req/s, every pod scraped at its own moment",
            "",
            "rejected % / promoted % @ median s to promote",
            Style::Promotions,
            scenarios::all(),
            runs.div_ceil(2),
        ),
    ]
}

/// Simulates and prints all lines that are wanted; what is broken comes back.
pub fn print_all(runs: usize, only: &Only, out: &mut impl Write) -> io::Result<Vec<Broken>> {
    let tables = compared(runs);
    let mut broken = Vec::new();
    for (experiment, (title, heading, cells, style, situations, runs)) in tables.into_iter().enumerate() {
        let lines = only.of(&situations);
        if lines.is_empty() {
            continue;
        }
        writeln!(out, "{title} ({runs} runs a line; {cells})")?;
        let width = situations.iter().map(|situation| situation.name.chars().count()).chain([heading.len()]).max().unwrap_or_default();
        write!(out, "{heading:<width$}")?;
        for name in NAMES {
            write!(out, "  {name:<18}")?;
        }
        writeln!(out)?;
        for (line, situation) in lines {
            let tallies = tally(&situation.setup, DEADLINE, (1000 * experiment + line) as u64, runs);
            let found = exceeded(situation, &tallies[0]);
            print_line(&situation.name, width, style, &tallies, found.is_some(), out)?;
            broken.extend(found);
        }
        writeln!(out)?;
    }
    let scraped = "What counts as seen, 1000 req/s, scraped every 5 s";
    let alone = |setup: &Setup, deadline, experiment, runs| {
        let [tally, ..] = tally(setup, deadline, experiment, runs);
        tally
    };
    let (seen, pages) = (seen::all(), pages::all());
    broken.extend(print_rows(scraped, &only.of(&seen), (5000, DEADLINE, alone), runs.div_ceil(2), out)?);
    let by_pages = "By the pods' own pages, read each second";
    broken.extend(print_rows(by_pages, &only.of(&pages), (7000, pages::DEADLINE, alone), runs.div_ceil(5), out)?);
    if only.0.is_empty() {
        broken.extend(first_minute::print(runs, out)?);
    }
    let judged: Vec<Situation> = seen.into_iter().chain(scenarios::all()).filter(|it| judged::can_judge(&it.setup)).collect();
    let title = "By the whole judge: its questions answered from scraped series";
    broken.extend(print_rows(title, &only.of(&judged), (9000, DEADLINE, judged::tally), runs.div_ceil(25), out)?);
    Ok(broken)
}

/// Of these the other tools are asked nothing: what they are told of latency, client errors or silence is the user's.
fn print_rows(
    title: &str,
    situations: &[(usize, &Situation)],
    (experiment, deadline, simulate): (u64, Duration, impl Fn(&Setup, Duration, u64, usize) -> Tally),
    runs: usize,
    out: &mut impl Write,
) -> io::Result<Vec<Broken>> {
    if situations.is_empty() {
        return Ok(Vec::new());
    }
    writeln!(out, "{title} ({runs} runs a line; rejected % @ median s / promoted % @ median s)")?;
    let mut broken = Vec::new();
    for (line, situation) in situations {
        let tally = simulate(&situation.setup, deadline, experiment + *line as u64, runs);
        let at = |seconds: Option<f64>| seconds.map(|seconds| format!(" @{seconds:.0}")).unwrap_or_default();
        let found = exceeded(situation, &tally);
        let mark = if found.is_some() { "  <- beyond its bound" } else { "" };
        let rejected = format!("{}{}", share(tally.rejected_share()), at(tally.time_to_reject(0.5)));
        let promoted = format!("{}{}", share(tally.promoted_share()), at(tally.time_to_promote()));
        writeln!(out, "{:<52}  {rejected} / {promoted}{mark}", situation.name)?;
        out.flush()?;
        broken.extend(found);
    }
    writeln!(out)?;
    Ok(broken)
}

/// Whether Coalmine's own column is beyond a bound. A small number of runs may have two accidents: that shows nothing.
pub fn exceeded(situation: &Situation, tally: &Tally) -> Option<Broken> {
    let allowed = |bound: f64| (bound * tally.runs as f64).max(2.0);
    let name = situation.name.split_whitespace().collect::<Vec<_>>().join(" ");
    if situation.wrong.to_reject() && tally.rejected as f64 > allowed(FALSE_REJECTS) {
        return Some(Broken(format!("{name}: {} of {} falsely rejected", tally.rejected, tally.runs)));
    }
    if situation.wrong.to_promote() && tally.promoted as f64 > allowed(FALSE_PROMOTIONS) {
        return Some(Broken(format!("{name}: {} of {} falsely promoted", tally.promoted, tally.runs)));
    }
    None
}

#[derive(Clone, Copy, Debug)]
enum Style {
    Promotions,
    Rejections,
}

fn print_line(name: &str, width: usize, style: Style, tallies: &[Tally; RULES], is_broken: bool, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{name:<width$}")?;
    for tally in tallies {
        let shares = format!("{}/{}", share(tally.rejected_share()), share(tally.promoted_share()));
        let details = match style {
            Style::Promotions => tally.time_to_promote().map(|seconds| format!(" @{seconds:.0}")),
            Style::Rejections => {
                tally.time_to_reject(0.5).zip(tally.errors_to_reject()).map(|(seconds, errors)| format!(" @{seconds:.0} e{errors:.0}"))
            }
        };
        write!(out, "  {:<18}", shares + &details.unwrap_or_default())?;
    }
    writeln!(out, "{}", if is_broken { "  <- beyond its bound" } else { "" })?;
    out.flush()
}

/// A share in percent, in as few characters as tell it.
fn share(share: f64) -> String {
    let percent = share * 100.0;
    if percent <= 0.0 || percent >= 99.95 { format!("{percent:.0}") } else { format!("{percent:.1}") }
}
