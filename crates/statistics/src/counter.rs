//! One counter of a run, whole: its looks go in, one verdict with its reasons and numbers comes out.
//!
//! All tests of this package are put together here, so that whoever judges has only to bring what was counted. No sentence is made here.

mod beginning;
mod clients;
mod findings;
mod lanes;
mod result;
mod test;

use std::time::Duration;

use super::evenness::Evenness;
use super::latency::{Buckets, Timed};
use super::{Budget, Coverage, Deadline, Dispersion, Parameters, Scrapes};

pub use findings::Finding;
pub use result::CounterResult;
pub use test::CounterTest;

/// What all counters of a run share: set by the user and by what was discovered, never by what the canary shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunParameters {
    /// Chance that a canary that is no worse is ever rejected, by anything.
    pub alpha: f64,
    /// Chance that a canary at a limit is ever promoted.
    pub beta: f64,
    /// The error rate below which the canary must be shown to be.
    pub limit: f64,
    pub min_requests: f64,
    /// How long the canary must be observed; contains the warm-up.
    pub duration: Duration,
    pub warm_up: Duration,
    /// From the canary's start to the deadline.
    pub longest: Duration,
    /// How many counters are judged.
    pub counters: usize,
    /// How many others are looked at that were idle.
    pub idle: usize,
    /// Whether there is a limit for latency.
    pub has_latency: bool,
}

impl Default for RunParameters {
    fn default() -> Self {
        let Parameters { alpha, beta, limit, min_requests, bake, .. } = Parameters::default();
        Self {
            alpha,
            beta,
            limit,
            min_requests,
            duration: bake,
            warm_up: Duration::ZERO,
            longest: Duration::from_mins(10),
            counters: 1,
            idle: 0,
            has_latency: false,
        }
    }
}

impl RunParameters {
    /// Of one of the counters that are judged.
    pub fn budget(&self) -> Budget {
        Budget::beside_idle(self.alpha, self.counters, self.idle, self.has_latency)
    }

    /// Of one of the idle ones.
    pub fn budget_of_idle(&self) -> Budget {
        Budget::of_idle(self.alpha, self.idle, self.has_latency)
    }
}

/// What is known of one counter before the canary's first look.
#[derive(Clone, Debug, PartialEq)]
pub struct CounterParameters {
    /// It must show the limit by its own test; else it only rejects and holds: see [`super::roles()`].
    pub must_show: bool,
    /// The primary had hardly any requests in it before: nothing but failures is looked for, and it is in nobody's way.
    pub is_idle: bool,
    /// From one scrape to the next.
    pub interval: Duration,
    pub evenness: Option<Evenness>,
    pub dispersion: Dispersion,
    /// The dispersion of client errors. None where the reading can't tell them from others, or the user wants them let be: no such test.
    pub client_errors: Option<Dispersion>,
    pub latency: Option<Latency>,
    /// Rates per second, one for each probe and scraper whose requests are in this counter: see [`super::probes`].
    pub probes: Vec<f64>,
    /// The same of the canary's pod: another template may be probed otherwise.
    pub canary_probes: Vec<f64>,
}

impl CounterParameters {
    /// With nothing known of the past hour.
    pub fn new(interval: Duration) -> Self {
        Self {
            must_show: true,
            is_idle: false,
            interval,
            evenness: None,
            dispersion: Dispersion::default(),
            client_errors: Some(Dispersion::default()),
            latency: None,
            probes: Vec::new(),
            canary_probes: Vec::new(),
        }
    }
}

/// A histogram, the limit's two bounds in it, and the dispersions of what is slower than each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    pub buckets: Buckets,
    pub dispersion_of_low: Dispersion,
    pub dispersion_of_high: Dispersion,
}

/// Increments of one pod in one look, probes and all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PodCounts {
    pub requests: f64,
    /// The server's own.
    pub errors: f64,
    /// Neither good nor the server's own.
    pub client_errors: f64,
}

impl PodCounts {
    /// The same shares of fewer requests.
    fn of_so_many(self, requests: f64) -> Self {
        let part = if self.requests > 0.0 { requests / self.requests } else { 0.0 };
        Self { requests, errors: self.errors * part, client_errors: self.client_errors * part }
    }
}

/// What one scrape of the canary closes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CounterLook<T = PodCounts> {
    /// When, by the source's clock, since any moment that all looks share.
    pub end: Duration,
    /// Since the look before ended, or the first one opened.
    pub interval: Duration,
    pub canary: T,
    /// By pod of the primary, each always at the same place; nothing for a pod that was not scraped in the look.
    pub primary: Vec<Option<T>>,
}

/// The same of a histogram.
pub type TimedLook = CounterLook<Timed>;

/// What changes from one call to the next without a look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Now {
    /// How long the canary has been Ready by the caller's clock.
    pub served: Duration,
    pub deadline: Deadline,
    pub scrapes: Scrapes,
}

/// One counter with all its looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Counter {
    pub parameters: CounterParameters,
    pub looks: Vec<CounterLook>,
    /// Of its histogram.
    pub timed: Vec<TimedLook>,
}

/// Nothing is kept between calls: the same looks give the same answer, whoever asks and how often.
pub fn judge(run: &RunParameters, counter: &Counter, now: &Now) -> CounterResult {
    let mut test = CounterTest::new(run, counter.parameters.clone());
    for look in &counter.looks {
        test.push(look);
    }
    for look in &counter.timed {
        test.push_timed(look);
    }
    test.result(now)
}

/// What was observed, without a counter: for a pod that has none (a worker).
pub fn observed(run: &RunParameters, ends: &[Duration], now: &Now) -> Coverage {
    super::coverage(&now.scrapes, ends, run.duration, Duration::ZERO)
}

#[cfg(test)]
mod tests;
