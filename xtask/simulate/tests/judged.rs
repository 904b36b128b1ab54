//! The whole judge on simulated traffic: it comes to the same ends as the mathematics alone, in the same time.

use coalmine_simulate::judged::{Scraping, can_judge, tally, tally_as};
use coalmine_simulate::setup::Setup;
use coalmine_simulate::situation::DEADLINE;
use coalmine_simulate::steps::{Step, steady};
use coalmine_simulate::tally::Tally;
use coalmine_simulate::{pages, scenarios, seen};
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

const NONE: Scraping = Scraping {
    twins: false,
    two_ports: false,
    gap: None,
    lag: 0.0,
    discovered_at: 0.0,
    restarts_at: None,
    unavailable: None,
    by_address: false,
    relabelled_at: None,
};

/// However the series are written down: a good canary is promoted by then, a bad one never, one that fails everything is rejected by then.
#[rstest]
#[case::at_once(NONE, 61.0, 15.0)]
#[case::twice(Scraping { twins: true, ..NONE }, 61.0, 15.0)]
#[case::at_two_ports(Scraping { two_ports: true, ..NONE }, 61.0, 15.0)]
#[case::with_a_gap(Scraping { gap: Some((20.0, 50.0)), ..NONE }, 95.0, 15.0)]
#[case::with_a_gap_at_once(Scraping { gap: Some((0.0, 30.0)), ..NONE }, 95.0, 45.0)]
#[case::late(Scraping { lag: 20.0, ..NONE }, 85.0, 35.0)]
#[case::discovered_late(Scraping { discovered_at: 30.0, ..NONE }, 95.0, 45.0)]
#[case::discovered_late_and_read_late(Scraping { lag: 15.0, discovered_at: 20.0, ..NONE }, 100.0, 50.0)]
#[case::read_a_minute_late(Scraping { lag: 70.0, ..NONE }, 135.0, 85.0)]
#[case::through_a_restart(Scraping { restarts_at: Some(30.0), ..NONE }, 66.0, 15.0)]
#[case::by_a_source_that_goes_away(Scraping { unavailable: Some((10.0, 55.0)), ..NONE }, 65.0, 60.0)]
#[case::by_a_source_that_comes_late(Scraping { unavailable: Some((0.0, 40.0)), ..NONE }, 65.0, 45.0)]
#[case::by_address(Scraping { by_address: true, ..NONE }, 61.0, 15.0)]
#[case::under_other_labels(Scraping { relabelled_at: Some(30.0), ..NONE }, 105.0, 15.0)]
fn however_it_is_scraped(#[case] scraping: Scraping, #[case] promoted_by: f64, #[case] rejected_by: f64) {
    let base = || seen::all().into_iter().find(|situation| situation.name == "like the primary").expect("an ordinary canary").setup;
    let ends = |setup: &Setup| tally_as(setup, scraping, DEADLINE, 91_000, RUNS);
    let good = ends(&base());
    let bad = ends(&Setup { canary: steady(0.03), ..base() });
    let worst = ends(&Setup { canary: steady(1.0), ..base() });
    let hangs = ends(&seen::all().into_iter().find(|situation| situation.name == "hangs after 15 s").expect("one that hangs").setup);
    let later = ends(&Setup { canary: vec![Step { from: f64::NEG_INFINITY, rate: 0.001 }, Step { from: 30.0, rate: 0.5 }], ..base() });
    println!("{scraping:?}\n good {good:?}\n bad {bad:?}\n worst {worst:?}\n hangs {hangs:?}\n later {later:?}");
    assert_eq!((hangs.promoted, later.promoted), (0, 0), "{hangs:?} {later:?}");
    assert_eq!((good.rejected, good.promoted), (0, RUNS), "{good:?}");
    assert!(good.time_to_promote() <= Some(promoted_by), "{good:?}");
    assert_eq!(bad.promoted, 0, "{bad:?}");
    assert_eq!((worst.rejected, worst.promoted), (RUNS, 0), "{worst:?}");
    assert!(worst.time_to_reject(0.9) <= Some(rejected_by), "{worst:?}");
}

/// By the pods' own pages, read each second, with nothing known of the hour before: many more questions, so fewer runs.
#[rstest]
#[case::alike("alike, independent    1000/s  0.1 %", (0, 2), 61.0)]
#[case::all_fails("worse, independent    1000/s  100 %", (2, 0), 6.0)]
fn by_pages(#[case] name: &str, #[case] expected: (usize, usize), #[case] seconds: f64) {
    let situation = pages::all().into_iter().find(|situation| situation.name == name).expect("a situation of that name");
    let tally = tally(&situation.setup, pages::DEADLINE, 92_000, 2);
    assert_eq!((tally.rejected, tally.promoted), expected, "{tally:?}");
    let end = tally.time_to_promote().or(tally.time_to_reject(0.9));
    assert!(end <= Some(seconds), "{tally:?}");
}
