//! Latency: how many requests were slower than a limit, as far as a histogram tells (statistics, section 6).
//!
//! A histogram counts by its own bounds. The limit lies between two of them, or on one: slower than the lower bound is at least as many as are
//! slower than the limit, slower than the upper one at most as many. So the lower one promotes and the upper one rejects, and no canary
//! that keeps its limit is rejected for a bucket's sake.

use std::time::Duration;

use super::{Analysis, Counts, Deadline, Dispersion, Look, Parameters, Strength, Trial, Verdict};

/// The tail that a p99 leaves.
pub const SLOW: f64 = 0.01;
/// A new process is slow at first: as long, or half of the duration, latency counts as warm-up at least.
const WARM_UP: Duration = Duration::from_secs(30);

/// The two bounds that a limit is held against, in the limit's unit; the same if it is a bound itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Buckets {
    /// The nearest at or below the limit.
    pub promote_by: Option<f64>,
    /// The nearest finite one at or above it.
    pub reject_by: Option<f64>,
}

pub fn buckets(bounds: &[f64], limit: f64) -> Buckets {
    let finite = || bounds.iter().copied().filter(|bound| bound.is_finite());
    Buckets {
        promote_by: finite().filter(|bound| *bound <= limit).max_by(f64::total_cmp),
        reject_by: finite().filter(|bound| *bound >= limit).min_by(f64::total_cmp),
    }
}

/// How long latency counts as warm-up, when the user set `warm_up` for everything.
pub fn warm_up(warm_up: Duration, duration: Duration) -> Duration {
    warm_up.max(WARM_UP.min(duration / 2))
}

/// One side's requests in a look, and how many of them were slower than each of the two bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timed {
    pub requests: f64,
    /// The bound that promotes, and the one that rejects. Where there is no such bound, zero.
    pub slower_than_low: f64,
    pub slower_than_high: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LatencyLook {
    pub canary: Timed,
    pub primary: Timed,
    pub warm_up: bool,
    pub interval: Duration,
}

impl LatencyLook {
    fn look(&self, slow: impl Fn(&Timed) -> f64) -> Look {
        let side = |timed: &Timed| Counts::new(timed.requests, slow(timed));
        Look { canary: side(&self.canary), primary: side(&self.primary), warm_up: self.warm_up, interval: self.interval }
    }
}

/// What differs from the parameters of the errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencyParameters {
    /// `alpha`, `bake` and all else that is as for errors; limit, floor, dispersion and who may reject are set here.
    pub common: Parameters,
    pub buckets: Buckets,
    pub dispersion_of_low: Dispersion,
    pub dispersion_of_high: Dispersion,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencyAnalysis {
    pub verdict: Verdict,
    /// By the lower bound; nothing if there is none: then the limit can't be shown.
    pub promoting: Option<Analysis>,
    /// By the upper one; nothing if there is none: then nothing rejects.
    pub rejecting: Option<Analysis>,
}

impl LatencyAnalysis {
    pub fn against(&self) -> Option<Strength> {
        self.rejecting.as_ref().map(Analysis::against)
    }

    pub fn speaks_against(&self) -> bool {
        self.rejecting.as_ref().is_some_and(Analysis::speaks_against)
    }
}

/// Both readings, fed look by look.
#[derive(Clone, Debug)]
pub struct LatencyTrial {
    promoting: Option<Trial>,
    rejecting: Option<Trial>,
}

impl LatencyTrial {
    pub fn new(parameters: LatencyParameters) -> Self {
        let LatencyParameters { common, buckets, dispersion_of_low, dispersion_of_high } = parameters;
        // The floor is the limit, not a tenth of it: below one slow request in a hundred nothing is too slow.
        let common = Parameters { limit: SLOW, floor: SLOW, ..common };
        let promoting = Parameters { dispersion: dispersion_of_low, may_reject: false, ..common };
        let rejecting = Parameters { dispersion: dispersion_of_high, ..common };
        Self { promoting: buckets.promote_by.map(|_| Trial::new(promoting)), rejecting: buckets.reject_by.map(|_| Trial::new(rejecting)) }
    }

    pub fn push(&mut self, look: &LatencyLook) {
        if let Some(trial) = &mut self.promoting {
            trial.push(&look.look(|timed| timed.slower_than_low));
        }
        if let Some(trial) = &mut self.rejecting {
            trial.push(&look.look(|timed| timed.slower_than_high));
        }
    }

    pub fn verdict(&self, served: Duration, deadline: Deadline) -> Verdict {
        let verdict = |trial: &Option<Trial>| trial.as_ref().map(|trial| trial.verdict(served, deadline));
        of_both(verdict(&self.rejecting), verdict(&self.promoting), deadline)
    }

    pub fn analysis(&self, served: Duration, deadline: Deadline) -> LatencyAnalysis {
        let analysis = |trial: &Option<Trial>| trial.as_ref().map(|trial| trial.analysis(served, deadline));
        let (promoting, rejecting) = (analysis(&self.promoting), analysis(&self.rejecting));
        let verdict = |analysis: Option<Analysis>| analysis.map(|analysis| analysis.verdict);
        LatencyAnalysis { verdict: of_both(verdict(rejecting), verdict(promoting), deadline), promoting, rejecting }
    }

    /// Whether it is held against a canary, short of a rejection.
    pub(crate) fn holds(&self) -> bool {
        self.rejecting.as_ref().is_some_and(Trial::holds)
    }
}

/// The upper bound rejects, the lower one promotes; without a lower one the limit can't be shown.
fn of_both(rejecting: Option<Verdict>, promoting: Option<Verdict>, deadline: Deadline) -> Verdict {
    match (rejecting, promoting) {
        (Some(Verdict::Reject), _) => Verdict::Reject,
        (_, Some(verdict)) => verdict,
        (_, None) if deadline == Deadline::Reached => Verdict::Inconclusive,
        (_, None) => Verdict::Continue,
    }
}
