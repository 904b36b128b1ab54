//! A histogram of latencies in microseconds: fixed memory, exact to 1.6 %, so that percentiles of millions of requests cost nothing.

use std::time::Duration;

/// Below this many microseconds every value has a bucket of its own; above, each doubling is cut into `PER_DOUBLING`.
const EXACT: u64 = 128;
const PER_DOUBLING: u64 = 64;
/// More than an hour; no answer is waited for that long.
const MOST: u64 = (1 << 32) - 1;
const BUCKETS: usize = 128 + 25 * 64;

#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, max: 0 }
    }
}

impl Latencies {
    pub(crate) fn record(&mut self, latency: Duration) {
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(MOST).min(MOST);
        self.buckets[bucket(microseconds)] += 1;
        self.count += 1;
        self.max = self.max.max(microseconds);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, others) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += others;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// The latency that `share` of the requests did not exceed, in milliseconds; 0 when there were none.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let mut below = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            below += count;
            if *count > 0 && below as f64 >= share * self.count as f64 {
                return highest(index as u64).min(self.max) as f64 / 1000.0;
            }
        }
        self.max()
    }

    pub(crate) fn max(&self) -> f64 {
        self.max as f64 / 1000.0
    }
}

fn bucket(microseconds: u64) -> usize {
    let index = if microseconds < EXACT {
        microseconds
    } else {
        let shift = u64::from(microseconds.ilog2()) - u64::from(PER_DOUBLING.ilog2());
        EXACT + (shift - 1) * PER_DOUBLING + (microseconds >> shift) - PER_DOUBLING
    };
    usize::try_from(index).unwrap_or(BUCKETS - 1)
}

/// The highest value that falls into a bucket.
fn highest(index: u64) -> u64 {
    if index < EXACT {
        return index;
    }
    let shift = (index - EXACT) / PER_DOUBLING + 1;
    let top = (index - EXACT) % PER_DOUBLING + PER_DOUBLING;
    ((top + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentiles_of_one_to_a_thousand_milliseconds() {
        let mut latencies = Latencies::default();
        (1..=1000).for_each(|milliseconds| latencies.record(Duration::from_millis(milliseconds)));
        for (share, exact) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1000.0)] {
            let measured = latencies.percentile(share);
            assert!((exact..=exact * 1.016).contains(&measured), "{share}: {measured}");
        }
        assert!((latencies.max() - 1000.0).abs() < f64::EPSILON);
    }

    #[test]
    fn nothing_recorded_is_zero() {
        assert!(Latencies::default().percentile(0.99).abs() < f64::EPSILON);
    }

    #[test]
    fn absurd_values_fall_into_the_last_bucket() {
        let mut latencies = Latencies::default();
        latencies.record(Duration::MAX);
        assert_eq!(bucket(MOST), BUCKETS - 1);
        assert!(latencies.percentile(0.5) > 4_000_000.0);
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_value_within_its_precision(microseconds in 0..=MOST) {
            let highest = highest(bucket(microseconds) as u64);
            prop_assert!(microseconds <= highest && highest - microseconds <= microseconds / PER_DOUBLING);
        }

        #[test]
        fn adding_is_recording_all(left in prop::collection::vec(0..MOST, 0..20), right in prop::collection::vec(0..MOST, 0..20)) {
            let record = |values: &[u64]| {
                let mut latencies = Latencies::default();
                for value in values {
                    latencies.record(Duration::from_micros(*value));
                }
                latencies
            };
            let mut sum = record(&left);
            sum.add(&record(&right));
            let all = record(&[left, right].concat());
            prop_assert_eq!((sum.buckets, sum.count, sum.max), (all.buckets, all.count, all.max));
        }
    }
}
