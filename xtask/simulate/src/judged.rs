//! The whole judge on simulated traffic: its questions are answered as Prometheus would from scraped series, and what it decides is the outcome.
//! Discovery, counting, the primary's past, the pace of questions and all rules of statements are the product's own. It asks no checks.

mod scraping;
mod world;

use std::time::Duration;

use coalmine_core::{
    api::policy::Policy,
    judging::{Decision, Judge, Step},
};

pub use self::scraping::Scraping;
use self::world::World;
use crate::outcome::Outcome;
use crate::random::Random;
use crate::setup::Setup;
use crate::statistics::Verdict;
use crate::tally::Tally;

/// A controller that has nothing else to do is no quicker.
const SHORTEST_WAIT: f64 = 0.1;
/// By then every run has ended by its deadline.
const LATE: Duration = Duration::from_mins(2);
/// A limit between the two bounds of the simulated histogram, 100 and 250 ms.
const LATENCY_LIMIT: Duration = Duration::from_millis(200);

/// Whether the series of this situation can be written down: one counter of its own, on one page.
pub fn can_judge(setup: &Setup) -> bool {
    let shape = &setup.shape;
    shape.counters == 1 && !shape.doubled && setup.sticky.is_none()
}

/// Many runs of a situation. The experiment's number gives its traffic.
pub fn tally(setup: &Setup, deadline: Duration, experiment: u64, runs: usize) -> Tally {
    tally_as(setup, Scraping::default(), deadline, experiment, runs)
}

/// The same, written down in another way.
pub fn tally_as(setup: &Setup, scraping: Scraping, deadline: Duration, experiment: u64, runs: usize) -> Tally {
    Tally::of((0..runs).map(|index| run(setup, scraping, deadline, Random::new(experiment, index as u64))))
}

fn run(setup: &Setup, scraping: Scraping, deadline: Duration, random: Random) -> Outcome {
    let policy = Policy {
        duration: setup.parameters.bake,
        max_error_rate: setup.parameters.limit,
        warm_up: setup.warm_up,
        deadline,
        max_latency_p99: setup.shape.slow.as_ref().map(|_| LATENCY_LIMIT),
        ..Policy::default()
    };
    let mut world = World::new(setup, scraping, random);
    let mut judge = Judge::new(world.subject(policy));
    let end = (deadline + LATE).as_secs_f64();
    while world.now() < end {
        match judge.next(world.time()) {
            Step::Ask(question) => judge.take(world.answer(&question), world.time()),
            Step::Wait(waiting) => world.wait(waiting.look_again.as_secs_f64().max(SHORTEST_WAIT)),
            Step::Done(judgement) => {
                let verdict = match judgement.decision {
                    Decision::Reject => Verdict::Reject,
                    Decision::Promote => Verdict::Promote,
                    Decision::Inconclusive { .. } => Verdict::Inconclusive,
                };
                return Outcome { verdict, at: world.now(), errors: world.errors() };
            }
        }
    }
    Outcome { verdict: Verdict::Continue, at: world.now(), errors: world.errors() }
}
