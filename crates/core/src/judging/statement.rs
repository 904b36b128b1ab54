//! Puts counts before the statistics, and the analyses into one answer. Asks nobody.

use std::time::Duration;

use jiff::Timestamp;

use super::judgement::{Decision, Finding, Judgement, Measure, Waiting};
use super::machine::Round;
use super::pace::UNKNOWN_INTERVAL;
use super::subject::Subject;
use super::verdict::Measured;
use crate::metrics::counting::{Counted, Reading, Window};
use crate::metrics::discovery::{Found, LatencyError};
use crate::statistics::{Analysis, Deadline, Dispersion, Parameters, Reason, TrafficShare, Verdict, analyse, overall, traffic_share};

/// A new process is slow at first: for so long latency does not count in a canary's favour, nor mild slowness against it.
const LATENCY_WARM_UP: Duration = Duration::from_secs(30);
/// Of 100 requests one may be slower than a 99th percentile.
const SLOW_SHARE: f64 = 0.01;

/// What is to be counted for one subject.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) readings: Vec<(Reading, Window)>,
    /// One for each reading.
    measures: Vec<(Measured, Duration)>,
    /// Why latency can't be judged, where that is wanted.
    unknown: Option<LatencyError>,
}

impl Plan {
    pub(super) fn of(subject: &Subject, found: &Found, now: Timestamp) -> Self {
        let mut plan = Self {
            readings: vec![(found.reading.clone(), subject.window(Duration::ZERO, now))],
            measures: vec![(Measured::ErrorRate, Duration::ZERO)],
            unknown: None,
        };
        if let Some(limit) = subject.policy.max_latency_p99 {
            let warm_up = LATENCY_WARM_UP.min(subject.policy.duration / 2);
            match found.slower_than(limit) {
                Ok(reading) => {
                    plan.readings.push((reading, subject.window(warm_up, now)));
                    plan.measures.push((Measured::Slower(limit), warm_up));
                }
                Err(error) => plan.unknown = Some(error),
            }
        }
        plan
    }

    /// Which bound of a histogram was really held against, the counts say.
    fn settle(&mut self, found: &Found, counted: &[Counted]) {
        if let ([_, (Measured::Slower(limit), _)], [_, slow]) = (self.measures.as_mut_slice(), counted) {
            match found.bound(&slow.bound, *limit) {
                Ok(bound) => *limit = bound,
                Err(error) => {
                    self.measures.truncate(1);
                    self.unknown = Some(error);
                }
            }
        }
    }
}

/// What the statistics are told besides the counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) subject: &'a Subject,
    pub(super) found: &'a Found,
    pub(super) dispersion: Dispersion,
    pub(super) interval: Option<Duration>,
    /// When to look again, if there is nothing to say yet.
    pub(super) look_again: Duration,
    pub(super) now: Timestamp,
}

/// The answer of the counts. `counted` belong to the plan's readings, one by one.
pub(super) fn state(known: Known<'_>, mut plan: Plan, counted: &[Counted]) -> Round {
    plan.settle(known.found, counted);
    let said = known.verdict(&plan.measures, counted);
    let Some(error) = plan.unknown else { return said };
    // Errors alone are enough to reject, but not to promote.
    match said {
        Round::Done(Judgement { decision: Decision::Reject, .. }) => said,
        Round::Done(Judgement { decision: decision @ Decision::Inconclusive { clean: false }, mut findings }) => {
            findings.push(Finding::Latency(error));
            Round::Done(Judgement { decision, findings })
        }
        _ => known.nothing(Finding::Latency(error)),
    }
}

impl Known<'_> {
    /// There is nothing to judge by; the checks may still speak against the canary.
    fn nothing(self, finding: Finding) -> Round {
        nothing(self.subject, finding, self.now)
    }

    fn verdict(self, measures: &[(Measured, Duration)], counted: &[Counted]) -> Round {
        let is_past = self.subject.is_past_deadline(self.now);
        let deadline = if is_past { Deadline::Reached } else { Deadline::Ahead };
        let is_scraped = counted.first().is_some_and(|counted| counted.first_scrape.is_some());
        if !is_scraped && is_past {
            return Round::Done(Judgement { decision: Decision::Inconclusive { clean: true }, findings: vec![Finding::NotScraped] });
        }
        let analyses: Vec<(Measure, Duration)> = measures
            .iter()
            .zip(counted)
            .map(|((measured, warm_up), counted)| self.measure(*measured, *warm_up, measures.len(), counted, deadline))
            .collect();
        let verdict = overall(analyses.iter().map(|(measure, _)| measure.analysis.verdict));
        let those = |wanted: fn(Verdict) -> bool| {
            let measures = analyses.iter().map(|(measure, _)| measure).filter(|measure| wanted(measure.analysis.verdict));
            measures.cloned().map(Finding::Measure).collect()
        };
        let decision = match verdict {
            Verdict::Reject => Decision::Reject,
            Verdict::Promote => Decision::Promote,
            Verdict::Inconclusive => {
                Decision::Inconclusive { clean: !analyses.iter().any(|(measure, _)| measure.analysis.speaks_against()) }
            }
            Verdict::Continue => {
                let is_over = self.subject.served(self.now) >= self.subject.policy.duration;
                let findings = if is_over { self.missing(&analyses, counted, Verdict::Continue) } else { Vec::new() };
                return Round::Waiting(Waiting { look_again: self.look_again, findings, is_blind: false });
            }
        };
        let findings = match decision {
            Decision::Reject => those(|verdict| verdict == Verdict::Reject),
            Decision::Promote => those(|_| true),
            Decision::Inconclusive { .. } => self.missing(&analyses, counted, Verdict::Inconclusive),
        };
        Round::Done(Judgement { decision, findings })
    }

    fn measure(self, measured: Measured, warm_up: Duration, of: usize, counted: &Counted, deadline: Deadline) -> (Measure, Duration) {
        let policy = &self.subject.policy;
        let limit = if measured == Measured::ErrorRate { policy.max_error_rate } else { SLOW_SHARE };
        let bake = policy.duration.saturating_sub(warm_up);
        let parameters = Parameters { bake, dispersion: self.dispersion, ..Parameters::default() }
            .with_limit(limit)
            .with_looks(policy.deadline, self.interval.unwrap_or(UNKNOWN_INTERVAL))
            .shared_by(of);
        let served = self.subject.served(self.now);
        let after_warm_up = served.saturating_sub(warm_up);
        let analysis = analyse(&counted.looks, parameters, after_warm_up, deadline);
        (Measure { measured, analysis, served, outlook: None }, after_warm_up)
    }

    /// What those with this verdict lack, when it may be there, and why there may be so little traffic.
    fn missing(self, analyses: &[(Measure, Duration)], counted: &[Counted], verdict: Verdict) -> Vec<Finding> {
        let remaining = self.subject.remaining(self.now);
        let waiting = analyses.iter().filter(|(measure, _)| measure.analysis.verdict == verdict);
        let said = waiting.map(|(measure, after_warm_up)| {
            let outlook = has_too_few(&measure.analysis).then(|| measure.analysis.forecast(*after_warm_up, remaining)).flatten();
            Finding::Measure(Measure { outlook: outlook.map(|forecast| (forecast, remaining)), ..measure.clone() })
        });
        said.chain(starved(counted).map(Finding::Starved)).collect()
    }
}

/// There is nothing to judge by, and at the deadline there will be nothing.
pub(super) fn nothing(subject: &Subject, finding: Finding, now: Timestamp) -> Round {
    let findings = vec![finding];
    if subject.is_past_deadline(now) {
        return Round::Done(Judgement { decision: Decision::Inconclusive { clean: true }, findings });
    }
    Round::Waiting(Waiting { look_again: super::machine::ASK_AGAIN, findings, is_blind: true })
}

/// A rejection, if the pages alone are enough for it.
pub(super) fn by_pages(subject: &Subject, dispersion: Dispersion, early: &super::early::Early, now: Timestamp) -> Option<Judgement> {
    let policy = &subject.policy;
    let measures = if policy.max_latency_p99.is_some() { 2 } else { 1 };
    let parameters = Parameters { dispersion, ..Parameters::default() }.with_limit(policy.max_error_rate).shared_by(measures);
    let served = subject.served(now);
    let analysis = early.rejection(parameters, served)?;
    let measure = Measure { measured: Measured::ErrorRate, analysis, served, outlook: None };
    Some(Judgement { decision: Decision::Reject, findings: vec![Finding::Page(measure)] })
}

fn has_too_few(analysis: &Analysis) -> bool {
    matches!(analysis.reason, Some(Reason::TooFewRequests { .. }))
}

fn starved(counted: &[Counted]) -> Option<TrafficShare> {
    let counted = counted.first()?;
    let alpha = Parameters::default().alpha;
    let share = traffic_share(counted.canary.requests, counted.primary.requests, 1, counted.primary_pods, alpha)?;
    share.much_less.then_some(share)
}
