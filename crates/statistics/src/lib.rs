//! The mathematics of the verdict: is the canary worse than the primary, is it shown to be good enough, and was it seen at all?
//!
//! Sequential tests over counts. They may be looked at after every scrape without spending their error bounds: a canary that is no worse is
//! rejected with probability at most `alpha` over all looks and all tests, and one at a limit is promoted with probability at most `beta`.
//! Each rests on an e-process, Ville's inequality and the confidence sequence that inverts it (see `process`). The package needs the standard
//! library alone (`ln`, `ln_1p`, `exp`), holds no clock and writes no sentence: what a user reads is made by others from enums and numbers.
//! `cargo xtask simulate` runs this very code.
//!
//! # How a judge uses it
//!
//! Once a run, from the past hour of the primary: [`evenness()`] of [`evenness::windows`], [`measure`] for the [`Dispersion`] of each reading,
//! [`probes::are_counted`], [`roles()`] of the counters, [`buckets`] of a histogram. While counting: [`HighWater`], [`late_birth`], [`same_counter`].
//!
//! At each scrape, for each counter that is judged: [`judge`] with the [`RunParameters`] that all share, the [`Counter`] with its looks and what
//! is known of it, and [`Now`]. What comes back, a [`CounterResult`], has the verdict, why as [`Finding`]s in the order in which they are told,
//! the numbers of every test, and what speaks against and for the canary beside what is needed, as [`Strength`]. Then [`join::of_counters`] over
//! the results' `joined`, with [`Joined::unusable`] for a counter that can't be read as one. The pods' own pages are judged by [`analyse`] with
//! [`Budget::pages`] as `alpha`.
//!
//! ```text
//! past hour ──▶ evenness, dispersion, roles ──┐
//! looks ──▶ probes ──┬─▶ errors (sequential) ─┤
//!                    ├─▶ latency              ├──▶ join::of_tests ──▶ CounterResult ──▶ join::of_counters
//!                    ├─▶ client errors        │
//!                    ├─▶ silence              │
//! scrapes ───────────┴─▶ coverage ────────────┘
//! ```

use std::time::Duration;

mod analysis;
mod blocks;
mod bounds;
mod budget;
mod client_errors;
mod counter;
mod coverage;
mod dispersion;
pub mod evenness;
mod evidence;
mod fixed_windows;
mod forecast;
pub mod join;
pub mod latency;
pub mod probes;
mod process;
mod ratio;
mod resets;
mod roles;
mod sequential;
mod silence;
mod strength;
mod twins;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod golden2;
#[cfg(test)]
mod properties;

pub use analysis::{Analysis, Basis, Reason, Trial, analyse, overall};
pub use blocks::Blocks;
pub use bounds::{TrafficShare, lower_bound, requests_needed, traffic_share, upper_bound};
pub use budget::{Budget, MOST_COUNTERS};
pub use client_errors::{
    ClientCounts, ClientErrorTest, ClientErrors, ClientEvidence, ClientLook, ClientParameters, RATIO as CLIENT_ERROR_RATIO, client_errors,
};
pub use counter::{
    Counter, CounterLook, CounterParameters, CounterResult, CounterTest, Finding, Latency, Now, PodCounts, RunParameters, TimedLook, judge,
    observed,
};
pub use coverage::{Coverage, Scrapes, coverage, overdue, tail};
pub use dispersion::{Clustering, Dispersion, Measured, Window, dispersion, measure};
pub use evenness::{Evenness, Sample, evenness, typical};
pub use fixed_windows::FixedWindows;
pub use forecast::Forecast;
pub use join::Joined;
pub use latency::{Buckets, LatencyAnalysis, LatencyLook, LatencyParameters, LatencyTrial, Timed, buckets};
pub use ratio::ratio;
pub use resets::{HighWater, Step, is_counter, late_birth};
pub use roles::{Role, must_show, roles};
pub use sequential::{Deadline, Evidence, SequentialTest};
pub use silence::{NEARLY_NO_TRAFFIC, SILENT_BELOW, Silence, SilenceLook, SilenceParameters, SilenceTest, SilentStretch, silence};
pub use strength::Strength;
pub use twins::same_counter;

/// Requests and how many of them failed (or were slow: latency is judged by the same code).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub requests: f64,
    pub errors: f64,
}

/// Above this a count is a broken counter, and sums of it would lose whole requests.
const MOST_REQUESTS: f64 = 1e12;

impl Counts {
    pub const fn new(requests: f64, errors: f64) -> Self {
        Self { requests, errors }
    }

    /// Errors per request; none without requests.
    pub fn rate(self) -> Option<f64> {
        (self.requests > 0.0).then(|| self.errors / self.requests)
    }

    pub fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
    }

    /// Of what was added.
    fn remove(&mut self, other: Self) {
        self.requests -= other.requests;
        self.errors -= other.errors;
    }

    /// What the mathematics may work with: not a number, negative or infinite is "nothing was counted", and never more errors than requests
    /// (two counters read a moment apart).
    pub(crate) fn sane(self) -> Self {
        let finite = |count: f64| if count.is_finite() { count.clamp(0.0, MOST_REQUESTS) } else { 0.0 };
        let requests = finite(self.requests);
        Self { requests, errors: finite(self.errors).min(requests) }
    }
}

/// What one scrape adds: increments since the scrape before, the primary's summed over its pods.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Look {
    pub canary: Counts,
    pub primary: Counts,
    /// While a canary warms up only gross failure counts, and nothing counts in its favour.
    pub warm_up: bool,
    /// How long this look covers.
    pub interval: Duration,
}

impl Look {
    pub(crate) fn sane(self) -> Self {
        Self { canary: self.canary.sane(), primary: self.primary.sane(), ..self }
    }
}

/// What is asked of a canary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// Chance that a canary that is no worse than the primary is ever rejected, over all looks.
    pub alpha: f64,
    /// Chance that a canary whose rate is exactly the limit is ever promoted.
    pub beta: f64,
    /// The canary's error rate must be shown to be below this.
    pub limit: f64,
    /// Tolerated multiple of the primary's rate.
    pub ratio: f64,
    /// Below this rate nothing is harm.
    pub floor: f64,
    /// The floor while the canary warms up.
    pub warm_up_floor: f64,
    /// How many looks the longest analysis has; the prior of "the harm begins at this look" is spread over them.
    pub looks: usize,
    /// How long the canary must serve before it may be promoted.
    pub bake: Duration,
    /// No promotion on fewer requests than this.
    pub min_requests: f64,
    /// Measured on the primary before the canary began.
    pub dispersion: Dispersion,
    /// Where another reading of the same thing rejects, this one only promotes.
    pub may_reject: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            alpha: 0.01,
            beta: 0.05,
            limit: 0.01,
            ratio: 1.5,
            floor: 0.001,
            warm_up_floor: 0.25,
            looks: 40,
            bake: Duration::from_mins(1),
            min_requests: 50.0,
            dispersion: Dispersion::default(),
            may_reject: true,
        }
    }
}

impl Parameters {
    /// Another limit, with the floor that belongs to it: a tenth.
    #[must_use]
    pub fn with_limit(self, limit: f64) -> Self {
        Self { limit, floor: limit / 10.0, ..self }
    }

    /// An analysis that ends `longest` after it began, looking once per `interval`.
    #[must_use]
    pub fn with_looks(self, longest: Duration, interval: Duration) -> Self {
        let looks = longest.as_millis() / interval.as_millis().max(1);
        Self { looks: usize::try_from(looks).unwrap_or(usize::MAX).max(1), ..self }
    }

    /// Values that make no sense become the nearest that do, so that no verdict can come from them.
    pub(crate) fn sane(self) -> Self {
        let defaults = Self::default();
        let within = |value: f64, least: f64, most: f64, default: f64| if value.is_nan() { default } else { value.clamp(least, most) };
        let limit = within(self.limit, 0.0, 1.0, defaults.limit);
        Self {
            alpha: within(self.alpha, 1e-12, 0.5, defaults.alpha),
            beta: within(self.beta, 1e-12, 0.5, defaults.beta),
            limit,
            ratio: within(self.ratio, 1.0, 1e6, defaults.ratio),
            floor: within(self.floor, 0.0, 1.0, limit / 10.0),
            warm_up_floor: within(self.warm_up_floor, 0.0, 1.0, defaults.warm_up_floor),
            looks: self.looks.max(1),
            bake: self.bake,
            min_requests: within(self.min_requests, 1.0, MOST_REQUESTS, defaults.min_requests),
            dispersion: self.dispersion.sane(),
            may_reject: self.may_reject,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Neither is shown yet, and there is time left.
    Continue,
    Reject,
    Promote,
    /// The time is over and neither was shown.
    Inconclusive,
}
