//! Rates that change over time, and how errors clump together.

/// How errors clump together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clustering {
    Independent,
    /// A beta-distributed rate per pod and scrape, with this correlation within one.
    BetaBinomial {
        correlation: f64,
    },
    /// Errors come in bursts of geometric size on one pod.
    Bursts {
        mean: f64,
    },
}

/// From a moment on (seconds since the canary is Ready), an error rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub from: f64,
    pub rate: f64,
}

/// Always the same rate.
pub fn steady(rate: f64) -> Vec<Step> {
    vec![Step { from: f64::NEG_INFINITY, rate }]
}

/// A rate, and another from `from` until `until`.
pub fn episode(rate: f64, from: f64, until: f64, during: f64) -> Vec<Step> {
    vec![Step { from: f64::NEG_INFINITY, rate }, Step { from, rate: during }, Step { from: until, rate }]
}
