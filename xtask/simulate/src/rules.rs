//! The verdict, and what other tools would have done with the same canary.
//!
//! Flagger: a check a minute, at least 99 % success, the fifth failed check ends it at the next tick, ten passed checks promote. Argo Rollouts: a measurement a
//! minute, ten of them, failed as soon as more than `failureLimit` fail. Threshold: one look after a minute. All three look at the canary alone.

use std::time::Duration;

use crate::coalmine::Coalmine;
use crate::outcome::Outcome;
use crate::random::Random;
use crate::setup::Setup;
use crate::statistics::{Counts, Verdict};

pub const RULES: usize = 5;
pub const NAMES: [&str; RULES] = ["Coalmine", "Flagger", "Argo 0", "Argo 2", "threshold"];

/// Nothing decides later than this.
const LONGEST: f64 = 900.0;
const MINUTE: f64 = 60.0;
const CHECKS: usize = 10;

/// One run under every rule. The other tools look at the first counter.
pub fn run(setup: &Setup, deadline: Duration, random: Random) -> [Outcome; RULES] {
    let mut coalmine = Coalmine::new(setup, deadline, random);
    let mut minutes = vec![Counts::default()];
    while coalmine.now() < LONGEST - 0.5 {
        coalmine.next_round();
        if coalmine.now() >= MINUTE * minutes.len() as f64 - 0.5 {
            minutes.push(coalmine.canary());
        }
    }
    let limit = setup.parameters.limit;
    let undecided = Outcome { verdict: Verdict::Inconclusive, at: LONGEST, errors: coalmine.canary().errors };
    [
        coalmine.outcome().unwrap_or(undecided),
        flagger(&minutes, limit).unwrap_or(undecided),
        argo(&minutes, limit, 0).unwrap_or(undecided),
        argo(&minutes, limit, 2).unwrap_or(undecided),
        threshold(&minutes, limit).unwrap_or(undecided),
    ]
}

/// What a minute's check says of it.
#[derive(Clone, Copy, PartialEq)]
enum Check {
    Passed,
    Failed,
    NoData,
}

/// `minutes` holds running sums, from zero on.
fn check(minutes: &[Counts], minute: usize, limit: f64) -> Option<Check> {
    let (before, after) = (minutes.get(minute.checked_sub(1)?)?, minutes.get(minute)?);
    let (requests, errors) = (after.requests - before.requests, after.errors - before.errors);
    Some(match requests > 0.0 {
        false => Check::NoData,
        true if errors / requests <= limit => Check::Passed,
        true => Check::Failed,
    })
}

fn outcome(minutes: &[Counts], minute: usize, verdict: Verdict) -> Outcome {
    Outcome { verdict, at: MINUTE * minute as f64, errors: minutes.get(minute).map_or(0.0, |counts| counts.errors) }
}

fn flagger(minutes: &[Counts], limit: f64) -> Option<Outcome> {
    let (mut failed, mut passed) = (0, 0);
    for minute in 1.. {
        if failed >= 5 {
            return Some(outcome(minutes, minute, Verdict::Reject));
        }
        match check(minutes, minute, limit)? {
            Check::Passed => passed += 1,
            Check::Failed | Check::NoData => failed += 1,
        }
        if passed >= CHECKS {
            return Some(outcome(minutes, minute, Verdict::Promote));
        }
    }
    None
}

fn argo(minutes: &[Counts], limit: f64, failure_limit: usize) -> Option<Outcome> {
    let mut failed = 0;
    for minute in 1..=CHECKS {
        // Zero of zero is not a number, and "not a number <= limit" is false: a failed measurement.
        if check(minutes, minute, limit)? != Check::Passed {
            failed += 1;
        }
        if failed > failure_limit {
            return Some(outcome(minutes, minute, Verdict::Reject));
        }
    }
    Some(outcome(minutes, CHECKS, Verdict::Promote))
}

fn threshold(minutes: &[Counts], limit: f64) -> Option<Outcome> {
    let verdict = if check(minutes, 1, limit)? == Check::Failed { Verdict::Reject } else { Verdict::Promote };
    Some(outcome(minutes, 1, verdict))
}
