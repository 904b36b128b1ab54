//! The promised bounds, on fewer runs than `cargo xtask simulate` makes: pooled, so that few runs a line still say something.

use coalmine_simulate::scenarios;
use coalmine_simulate::situation::{DEADLINE, FALSE_PROMOTIONS, FALSE_REJECTS, Situation};
use coalmine_simulate::tables::{exceeded, identical, worse};
use coalmine_simulate::tally::{Tally, tally};
use rstest::rstest;

const RUNS: usize = 30;

fn simulate(situation: &Situation, experiment: usize, runs: usize) -> Tally {
    let [coalmine, ..] = tally(&situation.setup, DEADLINE, experiment as u64, runs);
    coalmine
}

#[rstest]
#[case::identical(identical(), 10_000)]
#[case::worse(worse(), 20_000)]
#[case::scenarios(scenarios::all(), 30_000)]
fn good_canaries_are_hardly_ever_rejected_and_bad_ones_hardly_ever_promoted(#[case] situations: Vec<Situation>, #[case] experiment: usize) {
    let (mut rejected, mut rejectable, mut promoted, mut promotable) = (0, 0, 0, 0);
    for (line, situation) in situations.iter().enumerate() {
        let tally = simulate(situation, experiment + line, RUNS);
        if situation.wrong.to_reject() {
            rejected += tally.rejected;
            rejectable += tally.runs;
        }
        if situation.wrong.to_promote() {
            promoted += tally.promoted;
            promotable += tally.runs;
        }
    }
    assert!(promotable >= 5 * RUNS);
    assert!(rejected as f64 <= FALSE_REJECTS * rejectable as f64, "{rejected} of {rejectable} good canaries rejected");
    assert!(promoted as f64 <= FALSE_PROMOTIONS * promotable as f64, "{promoted} of {promotable} bad canaries promoted");
}

/// A rule that promotes nothing keeps that bound as well.
#[test]
fn good_canaries_with_traffic_are_promoted_soon_after_their_duration() {
    let situations = identical();
    let busy = situations.iter().filter(|situation| situation.name.starts_with("independent     1000") && !situation.wrong.to_promote());
    let mut seen = 0;
    for situation in busy {
        let tally = simulate(situation, 40_000, RUNS);
        assert_eq!(tally.promoted, RUNS, "{}", situation.name);
        assert!(tally.time_to_promote() <= Some(120.0), "{}: {tally:?}", situation.name);
        seen += 1;
    }
    assert_eq!(seen, 3);
}

/// The check itself: turned around, the same traffic breaks the bounds.
#[test]
fn a_broken_bound_is_noticed() {
    let mut good = identical().remove(12);
    let tally = simulate(&good, 50_000, RUNS);
    assert_eq!(exceeded(&good, &tally), None);
    good.wrong = coalmine_simulate::situation::Wrong::Promote;
    assert!(exceeded(&good, &tally).is_some_and(|broken| broken.0.contains("30 of 30 falsely promoted")));
}
