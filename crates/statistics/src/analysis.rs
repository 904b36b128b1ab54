//! One metric's whole analysis: all looks since the canary began go in, the verdict and the numbers that explain it come out.
//!
//! Nothing is kept between calls: a controller that starts anew, or replays an old run, gets the same answer from the same samples.

use std::time::Duration;

use super::bounds::{lower_bound, requests_needed, upper_bound};
use super::sequential::{Deadline, Evidence, SequentialTest, Totals};
use super::silence::HOLDS;
use super::{Blocks, Counts, Look, Parameters, Strength, Verdict};

/// The looks whose counts an [`Analysis`] shows: those that its verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    Everything,
    AfterWarmUp,
    /// Without the time in which the primary itself was failing.
    PrimaryHealthy,
}

/// Why a canary was rejected, or why it is not promoted (yet).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// Rejected: its rate is above the floor and above the tolerated multiple of the primary's.
    WorseThanPrimary,
    /// Rejected: its rate is above the limit, and the primary has no requests to compare with.
    AboveLimit,
    /// It has not served for as long as it must; time of an outage is not counted.
    ServingTooShort { served: Duration, needed: Duration },
    /// The canary itself got none.
    NoRequests,
    /// The number of requests that shows a rate below the limit, with these errors and no more of them.
    TooFewRequests { needed: f64, seen: f64 },
    /// No amount of traffic shows this limit with these errors.
    LimitCannotBeShown,
    /// The primary's own rate is at or above the limit, and the canary is no better.
    LimitNotAbovePrimary { primary_rate: f64 },
    /// The primary fails by itself at present; waiting for it to recover.
    PrimaryFailing { primary_rate: f64 },
    /// Worse than the primary by what was seen, but not by enough to reject.
    Suspicion { rate: f64, tolerated: f64 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Analysis {
    pub verdict: Verdict,
    /// None when it is promoted.
    pub reason: Option<Reason>,
    pub basis: Basis,
    pub canary: Counts,
    pub primary: Counts,
    /// The canary's rate is at least this, and at most that, at every look at once.
    pub lower: f64,
    pub upper: f64,
    pub limit: f64,
    /// The rate above which the canary is worse than the primary.
    pub tolerated: f64,
    pub evidence: Evidence,
    /// As many independent requests would tell as much: errors that cluster tell less.
    pub effective_requests: f64,
    /// Looks that went into the test, after joining those of a quiet service.
    pub looks: usize,
    /// For how long the primary itself was failing.
    pub outage: Duration,
    /// See [`Analysis::speaks_against`].
    suspicious: bool,
    pub(super) alpha: f64,
    pub(super) beta: f64,
    pub(super) min_requests: f64,
    pub(super) dispersion: f64,
}

impl Analysis {
    /// What speaks against the canary, beside what rejects it.
    pub fn against(&self) -> Strength {
        Strength::at_level(self.evidence.ln_harm, self.alpha)
    }

    /// What speaks for it, beside what promotes it.
    pub fn in_favour(&self) -> Strength {
        let Evidence { ln_safe, ln_safe_healthy, .. } = self.evidence;
        let ln_evidence = if self.basis == Basis::PrimaryHealthy { ln_safe_healthy } else { ln_safe };
        Strength::at_level(ln_evidence, self.beta)
    }

    /// How many requests would show that it keeps the limit, with as many errors as there are. `None`: no number would.
    pub fn requests_needed(&self) -> Option<f64> {
        requests_needed(self.limit, self.canary.errors, self.beta, self.dispersion).map(|needed| needed.max(self.min_requests))
    }

    /// Whether it is worse than the primary by what was seen, whatever the evidence.
    pub fn is_above_harm_line(&self) -> bool {
        self.canary.errors > self.canary.requests * self.tolerated
    }

    /// The x of "evidence x:1". At a billion it stops: nobody reads further.
    pub fn evidence_ratio(&self) -> f64 {
        self.evidence.ln_harm.exp().min(1e9)
    }

    /// Whether anything that was seen speaks against the canary. For `on-inconclusive: promote`, which forgives missing traffic only.
    pub fn speaks_against(&self) -> bool {
        self.suspicious
    }
}

/// `served` is how long the canary has taken traffic after its warm-up, by the caller's clock.
pub fn analyse(looks: &[Look], parameters: Parameters, served: Duration, deadline: Deadline) -> Analysis {
    let mut trial = Trial::new(parameters);
    for look in looks {
        trial.push(look);
    }
    trial.analysis(served, deadline)
}

/// The same, fed look by look: for who must know the verdict after each of them.
#[derive(Clone, Debug)]
pub struct Trial {
    test: SequentialTest,
    blocks: Blocks,
    /// The last block, if the primary was healthy in it.
    before: Option<Look>,
}

impl Trial {
    pub fn new(parameters: Parameters) -> Self {
        let test = SequentialTest::new(parameters);
        let blocks = Blocks::new(test.parameters().limit);
        Self { test, blocks, before: None }
    }

    pub fn push(&mut self, look: &Look) {
        let Some(block) = self.blocks.push(look) else { return };
        self.test.push(&block);
        let before = self.before.take();
        if self.test.failing_primary().is_none() {
            self.before = Some(block).filter(|block| !block.warm_up);
            return;
        }
        // A block ends with the canary's scrape, so the canary may show an outage that both share a block earlier. Its errors then are no
        // reason to wait until they are forgotten among later requests; as evidence of harm they count. At most one block of an outage.
        let limit = self.test.parameters().limit;
        let fails = |block: &Look| block.canary.errors > limit * block.canary.requests;
        if let Some(before) = before.filter(|before| fails(before) && fails(&block)) {
            self.test.count_to_outage(&before);
        }
    }

    pub fn verdict(&self, served: Duration, deadline: Deadline) -> Verdict {
        match self.with_open_block() {
            Some(test) => self.verdict_of_open(&test, served, deadline),
            None => self.test.verdict(served, deadline),
        }
    }

    /// Whether it is held against a canary, short of a rejection: worse than the primary by what was seen, or by some evidence.
    pub(crate) fn holds(&self) -> bool {
        let open = self.with_open_block();
        let test = open.as_ref().unwrap_or(&self.test);
        test.is_above_harm_line(test.judged) || test.evidence().ln_harm >= HOLDS.ln()
    }

    /// Whether there is some evidence of that.
    pub(crate) fn has_evidence(&self) -> bool {
        let open = self.with_open_block();
        open.as_ref().unwrap_or(&self.test).evidence().ln_harm >= HOLDS.ln()
    }

    /// The time that a promotion leaves out, if it rests on the looks outside an outage.
    pub(crate) fn outage_left_out(&self, served: Duration, deadline: Deadline) -> Duration {
        let open = self.with_open_block();
        let test = open.as_ref().unwrap_or(&self.test);
        let leaves_out = self.verdict(served, deadline) == Verdict::Promote && !test.is_proven(served, deadline);
        if leaves_out { test.outage() } else { Duration::ZERO }
    }

    pub fn evidence(&self) -> Evidence {
        self.with_open_block().map_or(self.test.evidence(), |test| test.evidence())
    }

    pub fn analysis(&self, served: Duration, deadline: Deadline) -> Analysis {
        let open = self.with_open_block();
        describe(open.as_ref().unwrap_or(&self.test), self.verdict(served, deadline), served, deadline)
    }

    fn with_open_block(&self) -> Option<SequentialTest> {
        let open = self.blocks.open()?;
        let mut test = self.test.clone();
        test.push(open);
        Some(test)
    }

    /// An open block's errors must be seen before anything is promoted; but it may reject only when it is full, or nothing will follow.
    fn verdict_of_open(&self, with_open_block: &SequentialTest, served: Duration, deadline: Deadline) -> Verdict {
        if self.test.verdict(served, deadline) == Verdict::Reject {
            return Verdict::Reject;
        }
        match with_open_block.verdict(served, deadline) {
            Verdict::Reject if deadline == Deadline::Ahead => Verdict::Continue,
            verdict => verdict,
        }
    }
}

/// The verdict of several metrics: one that rejects is enough, all must promote. Nothing asked, nothing said.
pub fn overall(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let weight = |verdict: &Verdict| match verdict {
        Verdict::Promote => 0,
        Verdict::Inconclusive => 1,
        Verdict::Continue => 2,
        Verdict::Reject => 3,
    };
    verdicts.into_iter().max_by_key(weight).unwrap_or(Verdict::Continue)
}

fn describe(test: &SequentialTest, verdict: Verdict, served: Duration, deadline: Deadline) -> Analysis {
    let parameters = test.parameters();
    let had_outage = !test.outage().is_zero() && test.healthy.canary.requests > 0.0;
    let basis = match verdict {
        Verdict::Reject => Basis::Everything,
        Verdict::Promote if test.is_proven(served, deadline) => Basis::AfterWarmUp,
        Verdict::Promote => Basis::PrimaryHealthy,
        Verdict::Continue | Verdict::Inconclusive if had_outage => Basis::PrimaryHealthy,
        Verdict::Continue | Verdict::Inconclusive => Basis::AfterWarmUp,
    };
    let totals = match basis {
        Basis::Everything => test.all,
        Basis::AfterWarmUp => test.judged,
        Basis::PrimaryHealthy => test.healthy,
    };
    let reason = match verdict {
        Verdict::Promote => None,
        Verdict::Reject if test.primary_was_seen() => Some(Reason::WorseThanPrimary),
        Verdict::Reject => Some(Reason::AboveLimit),
        Verdict::Continue | Verdict::Inconclusive => Some(reason_to_wait(test, totals, basis, served)),
    };
    let dispersion = parameters.dispersion.scrape;
    let is_above_limit = totals.canary.rate().is_some_and(|rate| rate > parameters.limit);
    Analysis {
        verdict,
        reason,
        basis,
        canary: totals.canary,
        primary: totals.primary,
        lower: lower_bound(totals.canary, parameters.alpha, dispersion),
        upper: upper_bound(totals.canary, parameters.beta, dispersion),
        limit: parameters.limit,
        tolerated: test.harm_line(totals),
        evidence: test.evidence(),
        effective_requests: totals.canary.requests / dispersion,
        looks: test.looks(),
        outage: test.outage(),
        suspicious: test.all.canary.errors > 0.0 && (test.evidence().ln_harm >= 0.0 || test.is_above_harm_line(totals) || is_above_limit),
        alpha: parameters.alpha,
        beta: parameters.beta,
        min_requests: parameters.min_requests,
        dispersion,
    }
}

fn reason_to_wait(test: &SequentialTest, totals: Totals, basis: Basis, served: Duration) -> Reason {
    let parameters = test.parameters();
    let Some(rate) = totals.canary.rate() else {
        return if served < parameters.bake { Reason::ServingTooShort { served, needed: parameters.bake } } else { Reason::NoRequests };
    };
    if served < parameters.bake {
        return Reason::ServingTooShort { served, needed: parameters.bake };
    }
    if basis == Basis::PrimaryHealthy
        && let Some(primary_rate) = test.failing_primary().and_then(Counts::rate)
    {
        return Reason::PrimaryFailing { primary_rate };
    }
    let primary_rate = totals.primary.rate().unwrap_or_default();
    if primary_rate >= parameters.limit && rate >= parameters.limit {
        return Reason::LimitNotAbovePrimary { primary_rate };
    }
    let ln_safe = if basis == Basis::PrimaryHealthy { test.evidence().ln_safe_healthy } else { test.evidence().ln_safe };
    let is_safe = ln_safe >= test.ln_safe_needed();
    if test.is_above_harm_line(totals) && (is_safe || test.evidence().ln_harm >= 0.0) {
        return Reason::Suspicion { rate, tolerated: test.harm_line(totals) };
    }
    let Some(needed) = requests_needed(parameters.limit, totals.canary.errors, parameters.beta, parameters.dispersion.scrape) else {
        return Reason::LimitCannotBeShown;
    };
    let needed = needed.max(parameters.min_requests);
    if totals.canary.requests < needed {
        return Reason::TooFewRequests { needed, seen: totals.canary.requests };
    }
    Reason::ServingTooShort { served: served.saturating_sub(test.outage()), needed: parameters.bake }
}

#[cfg(test)]
mod tests;
