//! Requests that are none: the kubelet's probes and the scraper's own (statistics, section 7).
//!
//! Where no label tells them from others they are taken off by their rate. Failed ones stay: a failed probe is a failure.

use std::time::Duration;

/// A service does not count its probes if more than one in this many of its looks had too few requests for them.
const NOT_COUNTED: usize = 10;

/// The probes of one pod, as they come.
#[derive(Clone, Debug)]
pub struct Probes {
    per_second: f64,
    /// One for each probe: how many may come in a look beyond its rate.
    slack: f64,
    carried: f64,
}

impl Probes {
    /// One rate, per second, for each probe and scraper.
    pub fn new(rates: &[f64]) -> Self {
        let rates = || rates.iter().copied().filter(|rate| rate.is_finite() && *rate > 0.0);
        let slack = rates().count() as f64;
        Self { per_second: rates().sum(), slack, carried: slack }
    }

    pub fn are_none(&self) -> bool {
        self.slack <= 0.0
    }

    /// The requests of the next look without probes, never fewer than `failed` ones.
    pub fn take_off(&mut self, interval: Duration, requests: f64, failed: f64) -> f64 {
        if self.are_none() {
            return requests;
        }
        let due = self.per_second * interval.as_secs_f64() + self.carried;
        let left = failed.max(requests - due).max(0.0);
        // What wasn't found yet may still come, but not more of it than one for each probe.
        self.carried = (due - (requests - left)).clamp(0.0, self.slack);
        left
    }
}

/// Whether the primary's counter has its probes in it, by looks at its pods in the past hour: how long each was, and its requests.
pub fn are_counted(looks: impl IntoIterator<Item = (Duration, f64)>, rates: &[f64]) -> bool {
    let Probes { per_second, slack, .. } = Probes::new(rates);
    let (mut all, mut without) = (0, 0);
    for (interval, requests) in looks {
        all += 1;
        without += usize::from(requests < per_second * interval.as_secs_f64() - slack);
    }
    without * NOT_COUNTED <= all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOOK: Duration = Duration::from_secs(5);

    #[test]
    fn a_counter_without_probes_is_recognised() {
        let rates = [1.0, 0.5];
        assert!(are_counted([(LOOK, 8.0); 60], &rates));
        assert!(are_counted([(LOOK, 500.0); 60], &rates));
        assert!(!are_counted([(LOOK, 3.0); 60], &rates));
        assert!(are_counted([], &rates));
    }

    proptest! {
        #[test]
        fn never_more_than_there_were_and_never_fewer_than_failed(
            looks in prop::collection::vec((0.0..100.0_f64, 0.0..=1.0_f64), 0..40), rates in prop::collection::vec(0.0..2.0_f64, 0..4),
        ) {
            let mut probes = Probes::new(&rates);
            let (mut taken, mut count) = (0.0, 0.0);
            for (requests, share) in looks {
                let failed = requests * share;
                let left = probes.take_off(LOOK, requests, failed);
                prop_assert!(left <= requests + 1e-9 && left >= failed - 1e-9);
                taken += requests - left;
                count += 1.0;
            }
            let rate: f64 = rates.iter().sum();
            prop_assert!(taken <= rate * 5.0 * count + rates.len() as f64 + 1e-6, "more was taken off than probes can have come");
        }
    }
}
