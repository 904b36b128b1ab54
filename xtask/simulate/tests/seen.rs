//! What must be seen, and what must mislead nobody: each line by itself, and the endings that must not change.

use coalmine_simulate::seen;
use coalmine_simulate::situation::DEADLINE;
use coalmine_simulate::tables::exceeded;
use coalmine_simulate::tally::{Tally, tally};
use rstest::rstest;

const RUNS: usize = 40;

fn of(name: &str) -> Tally {
    let situation = seen::all().into_iter().find(|situation| situation.name == name).expect("a situation of that name");
    let [coalmine, ..] = tally(&situation.setup, DEADLINE, 70_000, RUNS);
    coalmine
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
#[case::traffic_that_pauses("all traffic pauses for 60 s", 60.0)]
#[case::what_both_do_not_find("40 % not found on both", 60.0)]
#[case::a_crawler("a crawler, 300 a second, 5 min at each pod", 60.0)]
#[case::scrapes_a_minute_apart("every 60 s, 0.5 %", 120.0)]
#[case::slow_at_first("compiles for minutes, warm-up 2 min", 240.0)]
#[case::four_counters("four counters, 0.5 %", 75.0)]
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
#[case::its_page_dies("page dies after 16 s, fails from 22 s on")]
#[case::its_page_dies_though_it_is_good("page dies after 50 s")]
#[case::its_page_never_answers("page never answers")]
#[case::the_limit_lies_between_two_buckets("limit between two buckets, 10 % beside 5 %")]
fn neither_rejected_nor_promoted(#[case] name: &str) {
    let tally = of(name);
    assert_eq!((tally.rejected, tally.promoted), (0, 0), "{tally:?}");
}
