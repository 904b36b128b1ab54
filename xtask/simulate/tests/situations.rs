//! Single situations with an ending that must not change.

use std::time::Duration;

use coalmine_simulate::chart;
use coalmine_simulate::scenarios;
use coalmine_simulate::setup::Setup;
use coalmine_simulate::situation::DEADLINE;
use coalmine_simulate::statistics::Verdict;
use coalmine_simulate::tally::{Tally, tally};
use rstest::rstest;

const RUNS: usize = 60;

fn coalmine(setup: &Setup) -> Tally {
    let [coalmine, ..] = tally(setup, DEADLINE, 60_000, RUNS);
    coalmine
}

fn scenario(name: &str) -> Tally {
    let situation = scenarios::all().into_iter().find(|situation| situation.name == name).expect("a scenario of that name");
    coalmine(&situation.setup)
}

#[rstest]
#[case::all_fail(1.0, 10.0)]
#[case::every_twentieth(0.05, 15.0)]
#[case::every_fiftieth(0.02, 30.0)]
fn a_bad_canary_among_a_thousand_requests_per_second_is_rejected_within_seconds(#[case] rate: f64, #[case] seconds: f64) {
    let tally = coalmine(&Setup::new(1000.0, Duration::from_secs(5), 0.001, rate));
    assert_eq!(tally.rejected, RUNS);
    assert!(tally.time_to_reject(0.98) <= Some(seconds), "{:?}", tally.time_to_reject(0.98));
    assert!(tally.time_to_reject(0.0) >= Some(10.0), "one scrape is not enough");
}

#[rstest]
#[case::outage("both at 50 % for 60 s")]
#[case::repair("the fix: 0.1 % beside 3 %")]
#[case::uneven_balancing("14 % of requests, both 0.5 %")]
#[case::warm_up("20 % in its first 10 s, warm-up 30 s")]
#[case::gaps("20 % of scrapes fail")]
fn promoted(#[case] name: &str) {
    let tally = scenario(name);
    assert!(tally.rejected <= 1 && tally.promoted >= RUNS - 3, "{tally:?}");
}

#[rstest]
#[case::fault_after_40_of_60_seconds("5 % after 40 s of 60 s, scraped every 5 s")]
#[case::fault_after_180_of_300_seconds("5 % after 180 s of 300 s")]
#[case::twice_as_slow("slow requests: all twice as slow")]
fn rejected(#[case] name: &str) {
    let tally = scenario(name);
    assert!(tally.promoted <= 1 && tally.rejected >= RUNS - 3, "{tally:?}");
}

#[test]
fn both_failing_is_nobodys_fault_and_never_promoted() {
    let tally = scenario("both at 3 % always");
    assert!(tally.rejected <= 1 && tally.promoted == 0, "{tally:?}");
}

#[test]
fn the_chart_shows_a_rejection_and_a_promotion_and_is_the_one_in_the_documentation() {
    assert_eq!(chart::story(0.03, 0).verdict, Verdict::Reject);
    assert_eq!(chart::story(0.001, 0).verdict, Verdict::Promote);
    assert_eq!(chart::draw(), include_str!("../../../docs/evidence.svg"), "run `cargo xtask chart`");
}
