//! The whole judge on simulated traffic: it comes to the same ends as the mathematics alone, in the same time.

use coalmine_simulate::judged::{can_judge, tally};
use coalmine_simulate::situation::DEADLINE;
use coalmine_simulate::tally::Tally;
use coalmine_simulate::{scenarios, seen};
use rstest::rstest;

const RUNS: usize = 5;

fn of(name: &str) -> Tally {
    let situation =
        seen::all().into_iter().chain(scenarios::all()).find(|situation| situation.name == name).expect("a situation of that name");
    assert!(can_judge(&situation.setup));
    tally(&situation.setup, DEADLINE, 90_000, RUNS)
}

#[rstest]
#[case::an_ordinary_canary("like the primary", 60.0)]
#[case::pods_that_come("from 3 pods to 15", 60.0)]
#[case::pods_that_go("from 15 pods to 3", 60.0)]
#[case::traffic_that_pauses("all traffic pauses for 60 s", 90.0)]
#[case::traffic_that_grows("traffic grows fivefold in between", 60.0)]
#[case::what_both_do_not_find("40 % not found on both", 60.0)]
#[case::scrapes_a_minute_apart("every 60 s, 0.5 %", 120.0)]
#[case::an_incident("one pod of ten failed an hour ago", 60.0)]
fn a_good_canary_is_promoted_in_time(#[case] name: &str, #[case] seconds: f64) {
    let tally = of(name);
    assert_eq!((tally.rejected, tally.promoted), (0, RUNS), "{tally:?}");
    assert!(tally.time_to_promote() <= Some(seconds), "{:?}", tally.time_to_promote());
}

#[rstest]
#[case::a_hang("hangs after 15 s", 40.0)]
#[case::nothing_is_found("every answer not found", 15.0)]
#[case::a_fifth_is_not_found("a fifth not found beside 2 %", 20.0)]
#[case::a_primary_with_many_client_errors("all not found beside 40 %", 30.0)]
#[case::slow("5 % slow beside 0.5 %", 60.0)]
#[case::a_fault_before_the_second_scrape("every 60 s, fails from 50 s on", 240.0)]
fn a_bad_canary_is_rejected_in_time(#[case] name: &str, #[case] seconds: f64) {
    let tally = of(name);
    assert_eq!((tally.rejected, tally.promoted), (RUNS, 0), "{tally:?}");
    assert!(tally.time_to_reject(0.9) <= Some(seconds), "{:?}", tally.time_to_reject(0.9));
}

#[rstest]
#[case::never_answers("never answers")]
#[case::hangs_beside_one_pod("hangs after 15 s, one pod")]
#[case::a_page_that_dies("page dies after 16 s, fails from 22 s on")]
#[case::a_page_that_never_answers("page never answers")]
#[case::at_the_limit("every 60 s, at the limit")]
fn what_is_not_seen_is_not_promoted(#[case] name: &str) {
    let tally = of(name);
    assert_eq!(tally.promoted, 0, "{tally:?}");
}
