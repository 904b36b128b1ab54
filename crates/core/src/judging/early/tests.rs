//! What pages can and can't do to a canary.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// The pages after each second in which the canary and each of some pods of the primary served so many requests, with so many errors.
fn read(pods: usize, seconds: impl IntoIterator<Item = (Counts, Counts)>) -> Early {
    let mut early = Early::default();
    // What was served before counts for nothing.
    let mut round = Round { canary: Counts::new(7.0, 7.0), ..Round::default() };
    round.primary.extend((0..pods).map(|pod| (format!("app-{pod}"), Counts::new(1e6, 1e3))));
    early.add(round.clone());
    for (canary, primary) in seconds {
        round.canary.add(canary);
        round.primary.values_mut().for_each(|counts| counts.add(primary));
        round.at += INTERVAL;
        early.add(round.clone());
    }
    early
}

fn steady(seconds: usize, canary: Counts, primary: Counts) -> Early {
    read(PRIMARY_PODS, std::iter::repeat_n((canary, primary), seconds))
}

fn parameters() -> Parameters {
    Parameters { alpha: 0.001, ..Parameters::default() }
}

fn rejects(early: &Early) -> bool {
    early.rejection(parameters(), Duration::ZERO, Duration::from_secs(5)).is_some()
}

const CLEAN: Counts = Counts::new(90.0, 0.0);
const BROKEN: Counts = Counts::new(90.0, 90.0);
const NOTHING: Counts = Counts::new(0.0, 0.0);

#[rstest]
#[case::all_fail(5, BROKEN, CLEAN, true)]
#[case::too_soon(4, BROKEN, CLEAN, false)]
#[case::a_tenth_fails(5, Counts::new(90.0, 9.0), CLEAN, true)]
#[case::both_fail(30, BROKEN, BROKEN, false)]
#[case::none_fails(60, CLEAN, CLEAN, false)]
#[case::within_what_is_tolerated(60, Counts::new(1000.0, 1.0), Counts::new(1000.0, 1.0), false)]
#[case::no_traffic(30, NOTHING, CLEAN, false)]
fn verdicts(#[case] seconds: usize, #[case] canary: Counts, #[case] primary: Counts, #[case] expected: bool) {
    assert_eq!(rejects(&steady(seconds, canary, primary)), expected);
}

#[test]
fn a_canary_that_stumbles_once_is_left_to_the_source() {
    let seconds = |broken: usize| (0..10).map(move |second| (if second < broken { BROKEN } else { CLEAN }, CLEAN));
    assert!(!rejects(&read(PRIMARY_PODS, seconds(3))));
    assert!(rejects(&read(PRIMARY_PODS, seconds(10))));
}

#[test]
fn seconds_without_requests_say_nothing() {
    let lumps = |seconds: usize| (0..seconds).map(|second| (if second % 2 == 0 { BROKEN } else { NOTHING }, CLEAN));
    assert!(!rejects(&read(PRIMARY_PODS, lumps(8))), "four with requests");
    assert!(rejects(&read(PRIMARY_PODS, lumps(10))));
}

#[test]
fn the_numbers_are_those_of_the_pages() {
    let analysis = steady(6, BROKEN, CLEAN).rejection(parameters(), Duration::ZERO, Duration::from_secs(6)).unwrap();
    assert_eq!((analysis.canary, analysis.primary), (Counts::new(540.0, 540.0), Counts::new(2700.0, 0.0)));
    assert!(analysis.evidence.ln_harm >= 1000.0_f64.ln(), "ten times the evidence that the source needs: {:?}", analysis.evidence);
}

#[rstest]
#[case::at_first(0, CLEAN, CLEAN, false)]
#[case::busy(59, CLEAN, CLEAN, false)]
#[case::long_enough(60, CLEAN, CLEAN, true)]
#[case::a_quiet_primary(2, CLEAN, Counts::new(9.0, 0.0), true)]
#[case::a_canary_without_traffic_so_far(9, NOTHING, CLEAN, false)]
#[case::a_quiet_canary(10, Counts::new(9.0, 0.0), CLEAN, true)]
fn when_it_ends(#[case] seconds: usize, #[case] canary: Counts, #[case] primary: Counts, #[case] expected: bool) {
    assert_eq!(steady(seconds, canary, primary).is_over(), expected);
}

#[test]
fn pods_come_go_and_begin_again() {
    let round = |at: u64, canary: f64, primary: &[(&str, f64)]| Round {
        at: Duration::from_secs(at),
        canary: Counts::new(canary, 0.0),
        primary: primary.iter().map(|(pod, requests)| ((*pod).to_owned(), Counts::new(*requests, 0.0))).collect(),
    };
    let mut early = Early::default();
    early.add(round(1, 10.0, &[("a", 1000.0), ("b", 500.0)]));
    early.add(round(3, 4.0, &[("a", 1100.0), ("c", 9000.0)]));
    let look = early.looks.first().copied().unwrap();
    assert_eq!((look.canary.requests, look.primary.requests), (4.0, 100.0), "a new pod's past is not this second's");
    assert_eq!(look.interval, Duration::from_secs(2), "a round was missed in between");
}

proptest! {
    /// Whatever traffic there is: a canary that is exactly as good as the primary in every second is never rejected.
    #[test]
    fn an_equal_is_never_rejected(seconds in prop::collection::vec((0_u32..2000, 0_u32..2000), 0..60)) {
        let counts = |(good, bad): (u32, u32)| Counts::new(f64::from(good + bad), f64::from(bad));
        prop_assert!(!rejects(&read(PRIMARY_PODS, seconds.into_iter().map(|second| (counts(second), counts(second))))));
    }
}
