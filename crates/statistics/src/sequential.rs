//! The sequential test itself: one look after the other goes in, evidence and a verdict come out.
//!
//! Harm needs two things at once: the canary's errors are above the floor, and its part of all errors is above `ratio` times its part of
//! all requests. The second is conditional on the requests, so uneven balancing does not matter and an outage that both share cancels.

use std::time::Duration;

use super::evidence::{ABOVE, BELOW, ln_evidence};
use super::process::{Observation, Process, cap, ln_start};
use super::{Counts, Look, Parameters, Verdict};

/// This number of the primary's errors in one look, at a rate above the limit, makes that look an outage and not a bad moment.
const OUTAGE_ERRORS: f64 = 5.0;

/// Whether the primary itself was failing at a look.
pub(super) fn is_outage(primary: Counts, limit: f64) -> bool {
    primary.errors >= OUTAGE_ERRORS && primary.errors > limit * primary.requests
}

/// Natural logarithms of the evidence so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The canary's rate is above the floor.
    pub ln_floor: f64,
    /// The canary's rate is above `ratio` times the primary's.
    pub ln_ratio: f64,
    /// Both; or, while the primary has had no requests at all, that the canary's rate is above the limit.
    pub ln_harm: f64,
    /// The canary's rate is below the limit.
    pub ln_safe: f64,
    /// The same, from the looks at which the primary itself was healthy.
    pub ln_safe_healthy: f64,
}

/// Whether the analysis must come to an end now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    Ahead,
    Reached,
}

/// Requests and errors of both sides over a choice of looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) canary: Counts,
    pub(super) primary: Counts,
}

impl Totals {
    fn add(&mut self, look: &Look) {
        self.canary.add(look.canary);
        self.primary.add(look.primary);
    }

    fn remove(&mut self, look: &Look) {
        self.canary.remove(look.canary);
        self.primary.remove(look.primary);
    }
}

/// Folds looks. The result depends on nothing but the looks and the parameters.
#[derive(Clone, Debug)]
pub struct SequentialTest {
    parameters: Parameters,
    looks: usize,
    above_floor: Process,
    above_primary: Process,
    above_limit: Process,
    evidence: Evidence,
    /// Evidence may fall again; a bound that was crossed once stays crossed, whether or not anybody looked at that moment.
    harm_shown: bool,
    primary_healthy: bool,
    last_primary: Counts,
    outage: Duration,
    pub(super) all: Totals,
    pub(super) judged: Totals,
    pub(super) healthy: Totals,
}

impl SequentialTest {
    pub fn new(parameters: Parameters) -> Self {
        let parameters = parameters.sane();
        let process = || Process::with_prior(&ABOVE, cap(parameters.alpha));
        Self {
            parameters,
            looks: 0,
            above_floor: process(),
            above_primary: process(),
            above_limit: process(),
            evidence: Evidence::default(),
            harm_shown: false,
            primary_healthy: true,
            last_primary: Counts::default(),
            outage: Duration::ZERO,
            all: Totals::default(),
            judged: Totals::default(),
            healthy: Totals::default(),
        }
    }

    /// The parameters as they are used, after values that make no sense were replaced.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    pub fn push(&mut self, look: &Look) -> Evidence {
        let Look { canary, primary, warm_up, interval } = look.sane();
        let Parameters { limit, ratio, dispersion, .. } = self.parameters;
        let floor = if warm_up { self.parameters.warm_up_floor } else { self.parameters.floor };
        let ln_start = ln_start(self.looks, self.parameters.looks);
        let weighted = ratio * canary.requests;
        let expected_share = if canary.requests > 0.0 { weighted / (weighted + primary.requests) } else { 0.0 };

        self.all.add(&look.sane());
        let failed_above =
            |probability| Observation { hits: canary.errors, trials: canary.requests, probability, dispersion: dispersion.scrape };
        self.above_floor.push_from(ln_start, failed_above(floor));
        let of_all_errors = Observation {
            hits: canary.errors,
            trials: canary.errors + primary.errors,
            probability: expected_share,
            dispersion: dispersion.window,
        };
        self.above_primary.push_from(ln_start, of_all_errors);
        let ln_floor = self.above_floor.ln_evidence();
        let ln_ratio = self.above_primary.ln_evidence();
        let ln_harm = if self.primary_was_seen() {
            ln_floor.min(ln_ratio)
        } else {
            self.above_limit.push_from(ln_start, failed_above(floor.max(limit)));
            self.above_limit.ln_evidence()
        };
        self.looks += 1;
        self.harm_shown |= self.parameters.may_reject && ln_harm >= -self.parameters.alpha.ln();

        // Depends on the primary alone, so leaving such looks out cannot favour a canary.
        self.primary_healthy = !is_outage(primary, limit);
        self.last_primary = primary;
        if !warm_up {
            self.judged.add(&look.sane());
            if self.primary_healthy {
                self.healthy.add(&look.sane());
            } else {
                self.outage = self.outage.saturating_add(interval);
            }
        }
        let ln_safe = |counts: Counts| ln_evidence(counts.errors, counts.requests, limit, &BELOW, dispersion.scrape);
        self.evidence =
            Evidence { ln_floor, ln_ratio, ln_harm, ln_safe: ln_safe(self.judged.canary), ln_safe_healthy: ln_safe(self.healthy.canary) };
        self.evidence
    }

    /// Counts a look that was pushed, and at which the primary was healthy, to the outage. The evidence of harm keeps it.
    pub(super) fn count_to_outage(&mut self, look: &Look) {
        let Parameters { limit, dispersion, .. } = self.parameters;
        self.healthy.remove(look);
        self.outage = self.outage.saturating_add(look.interval);
        let Counts { requests, errors } = self.healthy.canary;
        self.evidence.ln_safe_healthy = ln_evidence(errors, requests, limit, &BELOW, dispersion.scrape);
    }

    /// `served` is how long the canary has taken traffic after its warm-up, by the caller's clock.
    pub fn verdict(&self, served: Duration, deadline: Deadline) -> Verdict {
        if self.harm_shown {
            return Verdict::Reject;
        }
        if self.is_proven(served, deadline) || self.is_proven_outside_the_outage(served, deadline) {
            return Verdict::Promote;
        }
        match deadline {
            Deadline::Ahead => Verdict::Continue,
            Deadline::Reached => Verdict::Inconclusive,
        }
    }

    pub(super) fn looks(&self) -> usize {
        self.looks
    }

    /// Judged by all looks: this is the way for a canary that mends what is broken in the primary.
    pub(super) fn is_proven(&self, served: Duration, deadline: Deadline) -> bool {
        served >= self.parameters.bake && self.is_safe(self.evidence.ln_safe, self.judged, deadline)
    }

    /// Judged by the looks at which the primary was healthy, when there were others: an outage of something both depend on delays only.
    fn is_proven_outside_the_outage(&self, served: Duration, deadline: Deadline) -> bool {
        self.primary_healthy
            && !self.outage.is_zero()
            && served.saturating_sub(self.outage) >= self.parameters.bake
            && self.is_safe(self.evidence.ln_safe_healthy, self.healthy, deadline)
    }

    fn is_safe(&self, ln_safe: f64, totals: Totals, deadline: Deadline) -> bool {
        totals.canary.requests >= self.parameters.min_requests
            && ln_safe >= self.ln_safe_needed()
            && (!self.is_above_harm_line(totals) || (deadline == Deadline::Reached && self.evidence.ln_harm < 0.0))
    }

    pub(super) fn ln_safe_needed(&self) -> f64 {
        -self.parameters.beta.ln()
    }

    /// The rate above which a canary is worse than the primary. It takes evidence to reject for that, but no more than this to hold back.
    pub(super) fn harm_line(&self, totals: Totals) -> f64 {
        totals.primary.rate().map_or(self.parameters.floor, |rate| self.parameters.floor.max(self.parameters.ratio * rate))
    }

    pub(super) fn is_above_harm_line(&self, totals: Totals) -> bool {
        totals.canary.errors > totals.canary.requests * self.harm_line(totals)
    }

    pub(super) fn primary_was_seen(&self) -> bool {
        self.all.primary.requests > 0.0
    }

    /// The primary's counts at the last look, when it was failing by itself.
    pub(super) fn failing_primary(&self) -> Option<Counts> {
        (!self.primary_healthy).then_some(self.last_primary)
    }

    pub(super) fn outage(&self) -> Duration {
        self.outage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(canary: (f64, f64), primary: (f64, f64)) -> Look {
        Look {
            canary: Counts::new(canary.0, canary.1),
            primary: Counts::new(primary.0, primary.1),
            warm_up: false,
            interval: Duration::from_secs(5),
        }
    }

    #[test]
    fn a_failing_canary_is_rejected_at_the_second_scrape() {
        let mut test = SequentialTest::new(Parameters::default());
        let failing = look((450.0, 450.0), (4550.0, 4.0));
        test.push(&failing);
        assert_eq!(test.verdict(Duration::from_secs(5), Deadline::Ahead), Verdict::Continue);
        test.push(&failing);
        assert_eq!(test.verdict(Duration::from_secs(10), Deadline::Ahead), Verdict::Reject);
    }

    #[test]
    fn a_rejection_stands_when_later_scrapes_are_clean() {
        let mut test = SequentialTest::new(Parameters::default());
        for _ in 0..2 {
            test.push(&look((450.0, 450.0), (4550.0, 4.0)));
        }
        for _ in 0..30 {
            test.push(&look((45_000.0, 0.0), (455_000.0, 400.0)));
        }
        assert!(test.evidence().ln_harm < 0.0);
        assert_eq!(test.verdict(Duration::from_mins(10), Deadline::Ahead), Verdict::Reject);
    }

    #[test]
    fn an_outage_delays_promotion_by_its_own_length() {
        let mut test = SequentialTest::new(Parameters::default());
        let clean = look((450.0, 0.0), (4550.0, 4.0));
        for _ in 0..6 {
            test.push(&clean);
        }
        for _ in 0..4 {
            test.push(&look((450.0, 225.0), (4550.0, 2275.0)));
        }
        for _ in 0..2 {
            test.push(&clean);
        }
        assert_eq!(test.verdict(Duration::from_mins(1), Deadline::Ahead), Verdict::Continue);
        for _ in 0..4 {
            test.push(&clean);
        }
        assert_eq!(test.verdict(Duration::from_secs(80), Deadline::Ahead), Verdict::Promote);
    }

    #[test]
    fn nothing_is_promoted_before_its_time() {
        let mut test = SequentialTest::new(Parameters::default());
        test.push(&look((100_000.0, 0.0), (1_000_000.0, 0.0)));
        assert_eq!(test.verdict(Duration::from_secs(59), Deadline::Ahead), Verdict::Continue);
        assert_eq!(test.verdict(Duration::from_mins(1), Deadline::Ahead), Verdict::Promote);
    }
}
