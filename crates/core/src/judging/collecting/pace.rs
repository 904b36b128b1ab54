//! When pages are read: each second while there is much to be learned, then seldom; and slow pages so seldom that reading them costs their pods
//! next to nothing.

use std::time::Duration;

use jiff::Timestamp;

use crate::run::times::elapsed;

const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(5);
/// How long each side is read often.
const WHILE_NEW: Duration = Duration::from_secs(15);
/// At most one part in this many of a pod's time is spent on rendering its page for us.
const PARTS: u32 = 20;
const LONGEST: Duration = Duration::from_mins(1);

/// How long until the next round. `began` is when the first page of each side was read, `takes` what a page takes.
pub(super) fn next(began: [Option<Timestamp>; 2], last: Timestamp, takes: Duration, is_searching: bool, now: Timestamp) -> Duration {
    let is_new = began.into_iter().flatten().any(|began| elapsed(began, last) < WHILE_NEW);
    let interval = if is_new || is_searching { OFTEN } else { SELDOM };
    interval.max(takes * PARTS).min(LONGEST).saturating_sub(elapsed(last, now))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_new_run([Some(0), None], 3, 10, 1000)]
    #[case::without_a_canary_yet([Some(0), None], 15, 10, 5000)]
    #[case::a_new_canary([Some(0), Some(60)], 70, 10, 1000)]
    #[case::both_known([Some(0), Some(60)], 75, 10, 5000)]
    #[case::slow_pages([Some(0), Some(60)], 61, 400, 8000)]
    #[case::very_slow_pages([Some(0), None], 1, 4000, 60_000)]
    fn intervals(#[case] began: [Option<i64>; 2], #[case] last: i64, #[case] takes: u64, #[case] expected: u64) {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let next = |now| next(began.map(|side| side.map(at)), at(last), Duration::from_millis(takes), false, now);
        assert_eq!(next(at(last)), Duration::from_millis(expected));
        assert_eq!(next(at(last + 70)), Duration::ZERO);
    }
}
