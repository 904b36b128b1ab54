//! What counts say about a rate at any moment: bounds that hold at all looks at once, and how much traffic a limit needs.
//!
//! They invert the evidence of the verdict, so that "the upper bound is below the limit" and "promotion is allowed" are the same
//! statement, and no message can contradict a verdict.

use super::Counts;
use super::evidence::{ABOVE, BELOW, ln_evidence};

/// Halving 1.0 this often leaves nothing of a double's precision.
const BISECTIONS: usize = 100;

/// The smallest rate that is shown not to be exceeded, at error level `beta`.
pub fn upper_bound(counts: Counts, beta: f64, dispersion: f64) -> f64 {
    let Counts { requests, errors } = counts.sane();
    let needed = -beta.ln();
    let shown = |rate: f64| ln_evidence(errors, requests, rate, &BELOW, dispersion) >= needed;
    if requests <= 0.0 || !shown(1.0) {
        return 1.0;
    }
    let (mut low, mut high) = (errors / requests, 1.0);
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if shown(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// The largest rate that is shown to be exceeded, at error level `alpha`.
pub fn lower_bound(counts: Counts, alpha: f64, dispersion: f64) -> f64 {
    let Counts { requests, errors } = counts.sane();
    if errors <= 0.0 {
        return 0.0;
    }
    let needed = -alpha.ln();
    let (mut low, mut high) = (0.0, errors / requests);
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if ln_evidence(errors, requests, middle, &ABOVE, dispersion) >= needed {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// How many requests, with these errors and no more, show a rate below `limit`. None when no number of requests a person would wait for does.
pub fn requests_needed(limit: f64, errors: f64, beta: f64, dispersion: f64) -> Option<f64> {
    const MOST: f64 = 1e12;
    let errors = Counts::new(errors, errors).sane().errors;
    let needed = -beta.ln();
    let shown = |requests: f64| ln_evidence(errors, requests, limit, &BELOW, dispersion) >= needed;
    let (mut low, mut high) = (errors.floor(), errors.ceil().max(1.0));
    while !shown(high) {
        low = high;
        high *= 2.0;
        if high > MOST || high.is_nan() {
            return None;
        }
    }
    while high - low > 1.0 {
        let middle = f64::midpoint(low, high).floor();
        if shown(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

/// The canary's part of all requests, beside the part that even balancing would give it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrafficShare {
    pub actual: f64,
    pub fair: f64,
    /// Shown (not just seen) to be below half of its fair share: connections held to older pods, a Service that misses it, session affinity.
    pub much_less: bool,
}

/// None before any request was seen or without a pod.
pub fn traffic_share(
    canary_requests: f64,
    primary_requests: f64,
    canary_pods: usize,
    primary_pods: usize,
    alpha: f64,
) -> Option<TrafficShare> {
    let canary = Counts::new(canary_requests, 0.0).sane().requests;
    let total = canary + Counts::new(primary_requests, 0.0).sane().requests;
    if total <= 0.0 || canary_pods == 0 {
        return None;
    }
    let fair = canary_pods as f64 / (canary_pods + primary_pods) as f64;
    let much_less = ln_evidence(canary, total, fair / 2.0, &BELOW, 1.0) >= -alpha.ln();
    Some(TrafficShare { actual: canary / total, fair, much_less })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0.01, 0.0, 338.0)]
    #[case(0.001, 0.0, 3395.0)]
    #[case(0.05, 0.0, 67.0)]
    #[case(0.01, 1.0, 700.0)]
    #[case(0.01, 2.0, 954.0)]
    #[case(0.01, 5.0, 1547.0)]
    #[case(0.01, 10.0, 2358.0)]
    fn clean_requests_for_a_limit(#[case] limit: f64, #[case] errors: f64, #[case] expected: f64) {
        assert_eq!(requests_needed(limit, errors, 0.05, 1.0), Some(expected));
    }

    #[test]
    fn no_traffic_shows_an_impossible_limit() {
        assert_eq!(requests_needed(0.0, 0.0, 0.05, 1.0), None);
        assert_eq!(requests_needed(f64::NAN, 0.0, 0.05, 1.0), None);
    }

    #[test]
    fn needed_requests_put_the_upper_bound_below_the_limit_and_one_less_does_not() {
        for (limit, errors, dispersion) in [(0.01, 0.0, 1.0), (0.01, 3.0, 2.5), (0.2, 7.0, 1.0), (1e-4, 1.0, 1.0)] {
            let needed = requests_needed(limit, errors, 0.05, dispersion).unwrap();
            assert!(upper_bound(Counts::new(needed, errors), 0.05, dispersion) <= limit);
            assert!(upper_bound(Counts::new(needed - 1.0, errors), 0.05, dispersion) > limit);
        }
    }

    #[rstest]
    #[case::fair(100.0, 1000.0, Some(false))]
    #[case::nothing_of_much(0.0, 1000.0, Some(true))]
    #[case::little_of_much(10.0, 5000.0, Some(true))]
    #[case::nothing_of_little(0.0, 40.0, Some(false))]
    #[case::silence(0.0, 0.0, None)]
    #[case::broken(f64::NAN, f64::NEG_INFINITY, None)]
    fn share_of_one_canary_beside_ten_pods(#[case] canary: f64, #[case] primary: f64, #[case] much_less: Option<bool>) {
        assert_eq!(traffic_share(canary, primary, 1, 10, 0.01).map(|share| share.much_less), much_less);
    }
}
