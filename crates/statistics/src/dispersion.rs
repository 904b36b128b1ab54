//! How much more errors cluster than independent requests would: bursts, sticky clients, pods that differ.
//!
//! Measured on the primary's own pods in the hour before the canary. All log evidence is divided by it: without it, false rejections of
//! good canaries under bursts go from below one in a thousand to more than one in ten.

mod history;

pub use history::{Clustering, Measured, Window, measure};

use super::Counts;

/// Both at least one; one is "requests fail independently", and what is assumed without a history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dispersion {
    /// Over single scrapes: for the tests that look at the canary alone.
    pub scrape: f64,
    /// Over windows of five minutes: for the comparison with the primary, where clients that stick to a pod and pods that differ matter.
    pub window: f64,
}

impl Default for Dispersion {
    fn default() -> Self {
        Self { scrape: 1.0, window: 1.0 }
    }
}

impl Dispersion {
    pub(crate) fn sane(self) -> Self {
        // Beyond a million nothing could ever be shown anyway.
        let sane = |dispersion: f64| if dispersion.is_nan() { 1.0 } else { dispersion.clamp(1.0, 1e6) };
        Self { scrape: sane(self.scrape), window: sane(self.window) }
    }
}

/// Pearson's X² over its degrees of freedom, around each window's pooled rate; each window holds one entry per pod of the primary.
///
/// The larger of two averages over the windows: the plain one, and one in which a window weighs as much as it has errors. They agree when
/// errors are frequent. When bursts are rare, most windows hold one burst or none, and the plain one takes a burst's mean size for the
/// mean size of the burst that an error belongs to: half of it. Simulated at 100 requests/s: 7.6 % false promotions by the plain average alone, 1 % with both.
pub fn dispersion<W: AsRef<[Counts]>>(windows: impl IntoIterator<Item = W>) -> f64 {
    let (mut plain, mut weighted) = (Average::default(), Average::default());
    for window in windows {
        let mut total = Counts::default();
        for pod in window.as_ref() {
            total.add(pod.sane());
        }
        if total.errors <= 0.0 {
            continue;
        }
        let (mut squares, mut pods) = (0.0, 0.0);
        for pod in window.as_ref().iter().map(|pod| pod.sane()).filter(|pod| pod.requests > 0.0) {
            let expected = total.errors * pod.requests / total.requests;
            squares += (pod.errors - expected).powi(2) / expected;
            pods += 1.0;
        }
        plain.add(squares, pods - 1.0, 1.0);
        weighted.add(squares, pods - 1.0, total.errors);
    }
    plain.value().max(weighted.value()).max(1.0)
}

#[derive(Clone, Copy, Debug, Default)]
struct Average {
    squares: f64,
    degrees: f64,
}

impl Average {
    fn add(&mut self, squares: f64, degrees: f64, weight: f64) {
        self.squares += weight * squares;
        self.degrees += weight * degrees;
    }

    fn known(&self) -> Option<f64> {
        (self.degrees > 0.0).then(|| self.squares / self.degrees)
    }

    fn value(&self) -> f64 {
        self.known().unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::no_history(vec![], 1.0)]
    #[case::no_errors(vec![vec![(100.0, 0.0), (100.0, 0.0)]], 1.0)]
    #[case::one_pod(vec![vec![(100.0, 7.0)]], 1.0)]
    #[case::even(vec![vec![(100.0, 7.0), (100.0, 7.0)]], 1.0)]
    #[case::all_on_one_pod(vec![vec![(100.0, 8.0), (100.0, 0.0)]], 8.0)]
    #[case::silent_pods_do_not_count(vec![vec![(100.0, 8.0), (0.0, 0.0), (100.0, 0.0)]], 8.0)]
    #[case::broken_counters_do_not_count(vec![vec![(100.0, 8.0), (f64::NAN, 3.0), (100.0, 0.0), (-5.0, f64::INFINITY)]], 8.0)]
    #[case::two_windows(vec![vec![(100.0, 8.0), (100.0, 0.0)], vec![(100.0, 4.0), (100.0, 4.0)]], 4.0)]
    #[case::rare_bursts(vec![vec![(100.0, 12.0), (100.0, 0.0)], vec![(100.0, 4.0), (100.0, 0.0)]], (12.0 * 12.0 + 4.0 * 4.0) / 16.0)]
    #[case::many_calm_windows(vec![vec![(100.0, 1.0), (100.0, 1.0)], vec![(100.0, 3.0), (100.0, 1.0)], vec![(100.0, 1.0), (100.0, 1.0)]], 1.0)]
    fn of_windows(#[case] windows: Vec<Vec<(f64, f64)>>, #[case] expected: f64) {
        let windows: Vec<Vec<Counts>> =
            windows.iter().map(|pods| pods.iter().map(|&(requests, errors)| Counts::new(requests, errors)).collect()).collect();
        assert!((dispersion(&windows) - expected).abs() < 1e-12);
    }

    #[test]
    fn nonsense_is_no_dispersion() {
        let sane = Dispersion { scrape: f64::NAN, window: 0.2 }.sane();
        assert_eq!(sane, Dispersion::default());
    }
}
