//! By the pods' own pages: the same bounds, without a past.

use coalmine_simulate::pages;
use coalmine_simulate::situation::Situation;
use coalmine_simulate::tables::exceeded;
use coalmine_simulate::tally::tally;

const RUNS: usize = 100;

#[test]
fn every_line_keeps_its_bounds() {
    let broken = |(line, situation): (usize, &Situation)| {
        let [coalmine, ..] = tally(&situation.setup, pages::DEADLINE, 72_000 + line as u64, RUNS);
        exceeded(situation, &coalmine)
    };
    assert_eq!(pages::all().iter().enumerate().filter_map(broken).collect::<Vec<_>>(), []);
}
