//! The first minute of a canary by the pods' own pages, as the product's `early` judges it: how soon it rejects, and how seldom wrongly.

use std::io::{self, Write};
use std::time::Duration;

use crate::early::{Early, INTERVAL, PRIMARY_PODS, Round};
use crate::outcome::Outcome;
use crate::random::Random;
use crate::setup::Setup;
use crate::situation::{Broken, Situation, Wrong, percent};
use crate::statistics::{Budget, Counts, Parameters, Verdict};
use crate::steps::{Clustering, Step, episode, steady};
use crate::tally::Tally;
use crate::traffic::Traffic;

/// What pages may add to the chance of a false rejection.
pub const FALSE_REJECTS: f64 = 0.001;
/// A tenth of the chance needs more runs to be seen.
const MORE_RUNS: usize = 10;

/// The scrape interval of the primary's past, in which the dispersion is measured.
const HISTORY_SCRAPE: Duration = Duration::from_secs(15);

/// Ten primary pods of which some are read, and a canary.
fn setup(requests_per_second: f64, primary: Vec<Step>, canary: Vec<Step>, clustering: Clustering) -> Setup {
    let read = PRIMARY_PODS as f64 + 1.0;
    let setup = Setup::new(requests_per_second / 11.0 * read, INTERVAL, 0.0, 0.0);
    Setup { primary_pods: PRIMARY_PODS, primary, canary, clustering, ..setup }
}

/// One run. Nothing ever comes of it but a rejection.
pub fn run(setup: &Setup, random: [Random; 2]) -> Outcome {
    let [past, present] = random;
    let history = Setup { scrape: HISTORY_SCRAPE, ..setup.clone() };
    let dispersion = Traffic::new(&history, past).dispersion();
    let parameters = Parameters { dispersion, alpha: Budget::new(setup.parameters.alpha, 1, false).pages, ..setup.parameters };
    let mut traffic = Traffic::new(setup, present);
    traffic.start();
    let mut early = Early::default();
    let (mut canary, mut primary) = (Counts::default(), Counts::default());
    loop {
        // The primary's pods together: what each of them has is not looked at.
        let at = Duration::from_secs_f64(traffic.now().max(0.0));
        early.add(Round { at, canary, primary: [("primary".to_owned(), primary)].into() });
        let verdict = early.rejection(parameters, Duration::ZERO, at);
        if verdict.is_some() || early.is_over() {
            let verdict = verdict.map_or(Verdict::Inconclusive, |analysis| analysis.verdict);
            return Outcome { verdict, at: traffic.now(), errors: canary.errors };
        }
        let look = traffic.next_look(true);
        canary.add(look.canary);
        primary.add(look.primary);
    }
}

/// Many runs of one situation.
pub fn tally(setup: &Setup, experiment: u64, runs: usize) -> Tally {
    let streams = |run: usize| [0, 1].map(|stream| Random::new(experiment, (2 * run + stream) as u64));
    Tally::of((0..runs).map(|index| run(setup, streams(index))))
}

/// What a minute of pages must get right.
pub fn situations() -> Vec<Situation> {
    let clusterings = [
        ("independent", Clustering::Independent),
        ("beta-binomial", Clustering::BetaBinomial { correlation: 0.003 }),
        ("bursts of 8", Clustering::Bursts { mean: 8.0 }),
    ];
    let mut situations = Vec::new();
    for (name, clustering) in clusterings {
        for requests in [120.0, 1000.0, 10_000.0] {
            for (primary, canary) in [(0.001, 0.001), (0.005, 0.005), (0.02, 0.02), (0.001, 0.02), (0.001, 0.1), (0.001, 1.0)] {
                let wrong = if primary < canary { Wrong::Nothing } else { Wrong::Reject };
                let name = format!("{name:<13} {requests:>6} {:>6} {:>6}", percent(primary), percent(canary));
                situations.push(Situation { name, setup: setup(requests, steady(primary), steady(canary), clustering), wrong });
            }
        }
    }
    let outage = |rate: f64| episode(0.001, 10.4, 30.4, rate);
    let until = |seconds: f64, rate: f64| vec![Step { from: f64::NEG_INFINITY, rate }, Step { from: seconds, rate: 0.001 }];
    let independent = |primary: Vec<Step>, canary: Vec<Step>| setup(1000.0, primary, canary, Clustering::Independent);
    let alike = |steps: Vec<Step>| independent(steps.clone(), steps);
    situations.extend(
        [
            ("both at 50 % for 20 s", alike(outage(0.5)), Wrong::Reject),
            ("both at 100 % for 20 s", alike(outage(1.0)), Wrong::Reject),
            ("the fix: 0.1 % beside 3 %", independent(steady(0.03), steady(0.001)), Wrong::Reject),
            ("the canary at 100 % for its first 3 s", independent(steady(0.001), until(3.0, 1.0)), Wrong::Nothing),
            ("the canary at 100 % for its first 10 s", independent(steady(0.001), until(10.0, 1.0)), Wrong::Nothing),
        ]
        .map(|(name, setup, wrong)| Situation { name: name.to_owned(), setup, wrong }),
    );
    situations
}

/// Simulates and prints; what is beyond its bound comes back.
pub fn print(runs: usize, out: &mut impl Write) -> io::Result<Vec<Broken>> {
    let runs = runs * MORE_RUNS;
    writeln!(out, "The first minute by the pods' own pages ({runs} runs a line; rejected % @ median s to reject, median errors served)")?;
    writeln!(out, "{:<38}  Coalmine", "errors          req/s primary canary")?;
    let mut broken = Vec::new();
    for (line, situation) in situations().iter().enumerate() {
        let tally = tally(&situation.setup, 100_000 + line as u64, runs);
        let details =
            tally.time_to_reject(0.5).zip(tally.errors_to_reject()).map(|(seconds, errors)| format!(" @{seconds:.0} e{errors:.0}"));
        let found = exceeded(situation, &tally);
        let mark = if found.is_some() { "  <- beyond its bound" } else { "" };
        writeln!(out, "{:<38}  {:.2}{}{mark}", situation.name, tally.rejected_share() * 100.0, details.unwrap_or_default())?;
        out.flush()?;
        broken.extend(found);
    }
    writeln!(out)?;
    Ok(broken)
}

fn exceeded(Situation { name, wrong, .. }: &Situation, tally: &Tally) -> Option<Broken> {
    // Two accidents among few runs show nothing.
    let allowed = (FALSE_REJECTS * tally.runs as f64).max(2.0);
    (wrong.to_reject() && tally.rejected as f64 > allowed)
        .then(|| Broken(format!("pages: {name}: {} of {} falsely rejected", tally.rejected, tally.runs)))
}
