//! A minute of pages: wrong as seldom as promised, and quick. Fewer runs than `cargo xtask simulate` makes, pooled.

use coalmine_simulate::first_minute::{FALSE_REJECTS, situations, tally};
use coalmine_simulate::tally::Tally;

const RUNS: usize = 100;

#[test]
fn good_canaries_are_hardly_ever_rejected() {
    let (mut rejected, mut runs) = (0, 0);
    for (line, situation) in situations().iter().filter(|situation| situation.wrong.to_reject()).enumerate() {
        let tally = tally(&situation.setup, 110_000 + line as u64, RUNS);
        rejected += tally.rejected;
        runs += tally.runs;
    }
    assert!(runs >= 30 * RUNS, "{runs}");
    assert!(rejected as f64 <= FALSE_REJECTS * runs as f64, "{rejected} of {runs} good canaries rejected");
}

fn of(name: &str) -> Tally {
    let situation = situations().into_iter().find(|situation| situation.name.split_whitespace().eq(name.split(' ')));
    tally(&situation.expect("a situation of that name").setup, 120_000, RUNS)
}

#[test]
fn a_stumble_at_the_start_is_hardly_ever_a_reason() {
    let stumble = of("the canary at 100 % for its first 3 s");
    assert!(stumble.rejected <= RUNS / 50, "{} of {RUNS}", stumble.rejected);
}

#[test]
fn what_fails_every_request_is_rejected_after_five_seconds_and_a_tenth_soon_after() {
    let all = of("independent 1000 0.1 % 100 %");
    assert_eq!((all.rejected, all.time_to_reject(0.0), all.time_to_reject(1.0)), (RUNS, Some(5.0), Some(5.0)));
    let tenth = of("independent 1000 0.1 % 10 %");
    assert_eq!(tenth.rejected, RUNS);
    assert!(tenth.time_to_reject(0.98) <= Some(8.0), "{:?}", tenth.time_to_reject(0.98));
}
