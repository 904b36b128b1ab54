//! What must be seen, and what must mislead nobody: each line by itself, and the endings that must not change. By the mathematics alone, and by the
//! whole judge, which is told the same by scraped series.

use coalmine_simulate::judged::{self, can_judge};
use coalmine_simulate::seen;
use coalmine_simulate::situation::{DEADLINE, Situation};
use coalmine_simulate::tables::exceeded;
use coalmine_simulate::tally::{Tally, tally};
use rstest::rstest;

const RUNS: usize = 40;
/// Of the whole judge.
const JUDGED: usize = 5;

fn situation(name: &str) -> Situation {
    seen::all().into_iter().find(|situation| situation.name == name).expect("a situation of that name")
}

/// By the mathematics alone.
fn alone(name: &str) -> Tally {
    let [coalmine, ..] = tally(&situation(name).setup, DEADLINE, 70_000, RUNS);
    coalmine
}

/// By both.
fn both(name: &str) -> [Tally; 2] {
    let setup = situation(name).setup;
    assert!(can_judge(&setup));
    [alone(name), judged::tally(&setup, DEADLINE, 90_000, JUDGED)]
}

fn assert_promoted(tally: &Tally, seconds: f64) {
    assert_eq!((tally.rejected, tally.promoted), (0, tally.runs), "{tally:?}");
    assert!(tally.time_to_promote() <= Some(seconds), "{:?}", tally.time_to_promote());
}

#[test]
fn every_line_keeps_its_bounds() {
    let mut lines = 0;
    for (line, situation) in seen::all().iter().enumerate() {
        let [coalmine, ..] = tally(&situation.setup, DEADLINE, 71_000 + line as u64, RUNS);
        assert_eq!(exceeded(situation, &coalmine), None);
        lines += 1;
    }
    assert!(lines >= 40, "{lines}");
}

#[rstest]
#[case::an_ordinary_canary("like the primary", 60.0)]
#[case::pods_that_come("from 3 pods to 15", 60.0)]
#[case::pods_that_go("from 15 pods to 3", 60.0)]
#[case::traffic_that_grows("traffic grows fivefold in between", 60.0)]
#[case::what_both_do_not_find("40 % not found on both", 60.0)]
#[case::scrapes_a_minute_apart("every 60 s, 0.5 %", 120.0)]
#[case::an_incident("one pod of ten failed an hour ago", 60.0)]
fn a_good_canary_is_promoted_in_time(#[case] name: &str, #[case] seconds: f64) {
    for tally in both(name) {
        assert_promoted(&tally, seconds);
    }
}

#[rstest]
#[case::traffic_that_pauses("all traffic pauses for 60 s", 60.0)]
#[case::a_crawler("a crawler, 300 a second, 5 min at each pod", 60.0)]
#[case::slow_at_first("compiles for minutes, warm-up 2 min", 240.0)]
#[case::four_counters("four counters, 0.5 %", 75.0)]
fn the_mathematics_promote_a_good_canary_in_time(#[case] name: &str, #[case] seconds: f64) {
    assert_promoted(&alone(name), seconds);
}

/// What stood still is not taken for served: the judge looks again when it goes on.
#[test]
fn the_whole_judge_promotes_when_traffic_comes_again() {
    let [_, judged] = both("all traffic pauses for 60 s");
    assert_promoted(&judged, 90.0);
}

#[rstest]
#[case::a_hang("hangs after 15 s", 40.0)]
#[case::nothing_is_found("every answer not found", 15.0)]
#[case::a_fifth_is_not_found("a fifth not found beside 2 %", 20.0)]
#[case::a_primary_with_many_client_errors("all not found beside 40 %", 30.0)]
#[case::slow("5 % slow beside 0.5 %", 60.0)]
#[case::a_fault_before_the_second_scrape("every 60 s, fails from 50 s on", 240.0)]
fn a_bad_canary_is_rejected_in_time(#[case] name: &str, #[case] seconds: f64) {
    for tally in both(name) {
        assert_eq!((tally.rejected, tally.promoted), (tally.runs, 0), "{tally:?}");
        assert!(tally.time_to_reject(0.9) <= Some(seconds), "{:?}", tally.time_to_reject(0.9));
    }
}

#[rstest]
#[case::never_answers("never answers")]
#[case::hangs_beside_one_pod("hangs after 15 s, one pod")]
#[case::its_page_dies("page dies after 16 s, fails from 22 s on")]
#[case::its_page_dies_though_it_is_good("page dies after 50 s")]
#[case::its_page_never_answers("page never answers")]
#[case::the_limit_lies_between_two_buckets("limit between two buckets, 10 % beside 5 %")]
fn neither_rejected_nor_promoted(#[case] name: &str) {
    for tally in both(name) {
        assert_eq!((tally.rejected, tally.promoted), (0, 0), "{tally:?}");
    }
}

#[test]
fn what_is_at_the_limit_is_not_promoted() {
    let [_, judged] = both("every 60 s, at the limit");
    assert_eq!(judged.promoted, 0, "{judged:?}");
}
