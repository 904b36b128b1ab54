//! Whether two series of one pod are one counter that was scraped twice (statistics, section 8).
//!
//! A counter only grows. So the samples of both, put in order of time, never fall from one target to the other, whatever the labels are that
//! tell the targets apart. Two counters that merely move together differ by some constant, and half of the changes fall.

use super::evenness::Sample;

/// Fewer samples of either, or changes from one to the other, tell nothing.
const FEWEST: usize = 4;
/// Clocks and pages that are read late: this part of the changes may fall.
const MAY_FALL: f64 = 0.02;

/// `left` and `right` in order of time. Judged in the time that they share.
pub fn same_counter(left: &[Sample], right: &[Sample]) -> bool {
    if left.len() < FEWEST || right.len() < FEWEST {
        return false;
    }
    let begin = left[0].at.max(right[0].at);
    let end = left[left.len() - 1].at.min(right[right.len() - 1].at);
    let mut both: Vec<(Sample, bool)> =
        left.iter().map(|sample| (*sample, false)).chain(right.iter().map(|sample| (*sample, true))).collect();
    both.retain(|(sample, _)| (begin..=end).contains(&sample.at));
    both.sort_by(|(left, _), (right, _)| left.at.cmp(&right.at).then(left.value.total_cmp(&right.value)));
    let changes = || both.windows(2).filter(|pair| pair[0].1 != pair[1].1);
    let falls = changes().filter(|pair| pair[1].0.value < pair[0].0.value).count();
    changes().count() >= FEWEST && falls as f64 <= MAY_FALL * changes().count() as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn series(first: u64, offset: f64) -> Vec<Sample> {
        (0..20).map(|index| first + 5 * index).map(|at| Sample { at: Duration::from_secs(at), value: 10.0 * at as f64 + offset }).collect()
    }

    #[test]
    fn one_counter_at_two_targets() {
        assert!(same_counter(&series(0, 0.0), &series(2, 0.0)));
        assert!(same_counter(&series(0, 0.0), &series(0, 0.0)), "scraped at the same moments");
    }

    #[test]
    fn two_counters_that_move_together() {
        assert!(!same_counter(&series(0, 0.0), &series(2, 300.0)));
        assert!(!same_counter(&series(0, 0.0), &series(200, 0.0)), "never at the same time");
        assert!(!same_counter(&series(0, 0.0), &series(2, 0.0)[..3]));
    }
}
