//! Many runs of one situation, counted.

use std::time::Duration;

use crate::outcome::Outcome;
use crate::random::Random;
use crate::rules::{RULES, run};
use crate::setup::Setup;
use crate::statistics::Verdict;

/// What many runs under one rule came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub runs: usize,
    pub rejected: usize,
    pub promoted: usize,
    rejected_at: Vec<f64>,
    promoted_at: Vec<f64>,
    errors: Vec<f64>,
}

impl Tally {
    pub fn of(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let mut tally = Self::default();
        outcomes.into_iter().for_each(|outcome| tally.add(outcome));
        tally
    }

    fn add(&mut self, outcome: Outcome) {
        self.runs += 1;
        match outcome.verdict {
            Verdict::Reject => {
                self.rejected += 1;
                self.rejected_at.push(outcome.at);
                self.errors.push(outcome.errors);
            }
            Verdict::Promote => {
                self.promoted += 1;
                self.promoted_at.push(outcome.at);
            }
            Verdict::Continue | Verdict::Inconclusive => {}
        }
    }

    pub fn rejected_share(&self) -> f64 {
        self.rejected as f64 / self.runs.max(1) as f64
    }

    pub fn promoted_share(&self) -> f64 {
        self.promoted as f64 / self.runs.max(1) as f64
    }

    /// Median seconds to a promotion.
    pub fn time_to_promote(&self) -> Option<f64> {
        quantile(&self.promoted_at, 0.5)
    }

    /// Seconds within which a part of the rejections came.
    pub fn time_to_reject(&self, part: f64) -> Option<f64> {
        quantile(&self.rejected_at, part)
    }

    /// Median number of failed requests until a rejection.
    pub fn errors_to_reject(&self) -> Option<f64> {
        quantile(&self.errors, 0.5)
    }
}

fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    // The first value that at least this part of them does not exceed.
    let index = (0..=last).find(|index| (index + 1) as f64 >= part * sorted.len() as f64)?;
    sorted.get(index).copied()
}

/// Runs a situation under every rule. The experiment's number gives its traffic.
pub fn tally(setup: &Setup, deadline: Duration, experiment: u64, runs: usize) -> [Tally; RULES] {
    let mut tallies: [Tally; RULES] = Default::default();
    for index in 0..runs {
        for (tally, outcome) in tallies.iter_mut().zip(run(setup, deadline, Random::new(experiment, index as u64))) {
            tally.add(outcome);
        }
    }
    tallies
}
