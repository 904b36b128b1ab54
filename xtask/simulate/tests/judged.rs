//! The whole judge on traffic that is written down in other ways, and by the pods' own pages: it comes to the same ends. What must be seen is in
//! `seen`, for the mathematics alone too.

use coalmine_simulate::judged::{Scraping, tally, tally_as};
use coalmine_simulate::setup::Setup;
use coalmine_simulate::situation::DEADLINE;
use coalmine_simulate::steps::{Step, steady};
use coalmine_simulate::{pages, seen};
use rstest::rstest;

const RUNS: usize = 5;

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
