//! For tests only: texts that nobody thought of, a few each time, or for so long as `COALMINE_FUZZ_SECONDS` says.

use std::cell::Cell;
use std::time::{Duration, Instant};

use proptest::strategy::{Just, Strategy, Union};
use proptest::test_runner::{Config, TestRunner};

const SHORT: u32 = 128;

/// Tries what the strategy makes. A panic of `attempt` is a finding, and is made as small as it can be.
pub(crate) fn fuzz<S: Strategy>(strategy: S, attempt: impl Fn(S::Value)) {
    let seconds = std::env::var("COALMINE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let until = Instant::now() + Duration::from_secs(seconds);
    let attempts = Cell::new(0_u64);
    loop {
        // Each with a seed of its own; one that has had its tries makes no more.
        let mut runner = TestRunner::new(Config { cases: SHORT, failure_persistence: None, ..Config::default() });
        let found = runner.run(&strategy, |input| {
            attempts.set(attempts.get() + 1);
            attempt(input);
            Ok(())
        });
        found.unwrap_or_else(|finding| panic!("{finding}"));
        if Instant::now() >= until {
            break;
        }
    }
    assert!(attempts.get() >= u64::from(SHORT));
    if seconds > 0 {
        eprintln!("{} texts without a finding", attempts.get());
    }
}

/// Texts of these parts in any order, with anything between them.
pub(crate) fn of_parts(parts: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    let one_of = Union::new(parts.iter().map(|part| Just((*part).to_owned()).boxed()));
    let part = proptest::prop_oneof![12 => one_of, 1 => "\\PC{0,6}", 1 => "[0-9]{1,30}", 1 => "[0-9]{1,3}e[+-]?[0-9]{1,4}"];
    proptest::collection::vec(part, 0..most).prop_map(|parts| parts.concat())
}
