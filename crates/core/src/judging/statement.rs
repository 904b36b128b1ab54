//! Hands the counts to the statistics, and makes one answer of what they say. It asks nobody.

mod without_counts;

use std::time::Duration;

use jiff::Timestamp;

pub(super) use self::without_counts::{by_pages, nothing, worker};
use super::counters::{Counter, Seen};
use super::lasting;
use super::step::Round;
use super::strange::Strange;
use super::subject::Subject;
use crate::api::origin::Origin;
use crate::facts::judgement::{Decision, Finding, Judgement, Measure, Measured, Past, Unobserved, Waiting};
use crate::metrics::counting::{Counted, Lacking};
use crate::metrics::discovery::LatencyError;
use crate::run::evidence::{self, Look};
use crate::statistics::{
    self, Analysis, CounterResult, Coverage, Deadline, Finding as Found, Joined, Now, Parameters, Reason, RunParameters, TrafficShare,
    Verdict, join, traffic_share,
};

/// From such a dispersion on a person is told.
const BURSTS: f64 = 3.0;
/// A canary that finished nothing in its last looks, while an ordinary pod of the primary finished so many, holds by that alone: where clients
/// wait for answers that don't come, the primary has less to do as well, and the test of silence waits for it to go on.
const SILENT_AT_LAST: f64 = 20.0;
/// The longest warm-up that is suggested; it may be half of the duration.
const SUGGESTED_WARM_UP: Duration = Duration::from_mins(2);

/// What the statistics are told besides the counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) subject: &'a Subject,
    pub(super) origin: Origin,
    pub(super) counters: &'a [Counter],
    /// From one scrape to the next, or a guess at it.
    pub(super) interval: Duration,
    /// When to look again, if there is nothing to say yet.
    pub(super) look_again: Duration,
    pub(super) now: Timestamp,
}

/// What one counter says.
struct Said<'a> {
    counter: &'a Counter,
    seen: Seen<'a>,
    result: CounterResult,
    joined: Joined,
    /// Why its latency can't be judged.
    latency: Option<LatencyError>,
    /// The canary finished nothing at last.
    is_silent_at_last: bool,
    strange: Strange,
}

/// The answer of the counts, and the numbers for people. `counted` belong to the readings of all counters in their order.
pub(super) fn state(known: Known<'_>, mut counted: &[Counted]) -> (Round, Option<Look>) {
    let mut all = Vec::new();
    for counter in known.counters {
        let Some((own, others)) = counted.split_at_checked(counter.readings().len()) else { break };
        counted = others;
        all.extend(counter.seen(known.subject, own, known.interval).map(|seen| (counter, seen)));
    }
    // One histogram is enough to judge by, where a counter has none beside it.
    let has_histogram = all.iter().any(|(_, seen)| seen.counter.parameters.latency.is_some());
    let said: Vec<Said<'_>> = all.into_iter().map(|(counter, seen)| known.said(counter, seen, has_histogram)).collect();
    (known.answer(&said), known.look(&said))
}

pub(super) fn run_parameters(subject: &Subject, counters: usize) -> RunParameters {
    let policy = &subject.policy;
    RunParameters {
        limit: policy.max_error_rate,
        duration: policy.duration,
        warm_up: policy.warm_up,
        longest: policy.deadline,
        counters,
        has_latency: policy.max_latency_p99.is_some(),
        ..RunParameters::default()
    }
}

/// The numbers for people.
fn look(analysis: &Analysis, now: Timestamp) -> Look {
    let counted = |counts: statistics::Counts| evidence::Counted { requests: counts.requests, failures: counts.errors };
    Look {
        time: now,
        canary: counted(analysis.canary),
        primary: counted(analysis.primary),
        against: analysis.against().shown(),
        in_favour: analysis.in_favour().shown(),
        needed: analysis.requests_needed(),
    }
}

impl<'a> Known<'a> {
    fn deadline(self) -> Deadline {
        if self.subject.is_past_deadline(self.now) { Deadline::Reached } else { Deadline::Ahead }
    }

    fn served(self) -> Duration {
        self.subject.served(self.now)
    }

    fn said(self, counter: &'a Counter, seen: Seen<'a>, has_histogram: bool) -> Said<'a> {
        let deadline = self.deadline();
        let now = Now { served: self.served(), deadline, scrapes: seen.scrapes };
        let parameters = run_parameters(self.subject, self.counters.len());
        let result = statistics::judge(&parameters, &seen.counter, &now);
        let strange = Strange::of(counter, seen.counted, self.subject, parameters.budget().client_errors, self.interval);
        let is_excused = |error: &LatencyError| has_histogram && matches!(error, LatencyError::NoHistogram { .. });
        let latency = seen.latency.clone().filter(|error| !is_excused(error));
        let is_silent_at_last = is_silent_at_last(&seen.counter);
        let mut joined = result.joined;
        if joined.verdict == Verdict::Reject && self.origin == Origin::Pages && !lasts(&seen.counter, &result, self.subject) {
            joined = Joined::unusable(deadline);
        }
        if joined.verdict != Verdict::Reject
            && (latency.is_some() || !seen.lacking.is_empty() || is_silent_at_last || seen.counted.no_counter.is_some())
        {
            // A counter that appears with the first request lacks no more than that.
            let is_traffic = |lacking: &Lacking| matches!(lacking, Lacking::Metric { .. });
            let has_no_requests = seen.counted.canary.requests <= 0.0 && seen.lacking.iter().all(is_traffic);
            let clean = latency.is_none()
                && seen.counted.no_counter.is_none()
                && !is_silent_at_last
                && has_no_requests
                && result.joined.clean
                && deadline == Deadline::Reached;
            joined = Joined { clean, ..Joined::unusable(deadline) };
        }
        let is_held = seen.counted.is_unverified || strange.holds();
        if (joined.verdict != Verdict::Reject && is_held) || strange.shared.is_some() {
            joined = Joined::unusable(deadline);
        }
        Said { counter, seen, result, joined, latency, is_silent_at_last, strange }
    }

    fn answer(self, said: &[Said<'_>]) -> Round {
        let joined = join::of_counters(said.iter().map(|said| said.joined), self.deadline());
        let decision = match joined.verdict {
            Verdict::Reject => Decision::Reject,
            Verdict::Promote => Decision::Promote,
            Verdict::Inconclusive => Decision::Inconclusive { clean: joined.clean },
            Verdict::Continue => {
                let findings = self.findings(said, |said, known| known.while_waiting(said));
                return Round::Waiting(Waiting { look_again: self.look_again, findings, is_blind: false });
            }
        };
        let findings = match decision {
            Decision::Reject => self.findings(said, |said, known| known.rejecting(said)),
            Decision::Promote => self.findings(said, |said, known| known.promoting(said)),
            Decision::Inconclusive { .. } => self.findings(said, |said, known| known.in_the_way(said)),
        };
        Round::Done(Judgement { decision, findings })
    }

    /// The errors of the busiest counter.
    fn look(self, said: &[Said<'_>]) -> Option<Look> {
        let errors = said.iter().map(|said| said.result.errors);
        let analysis = errors.max_by(|one, other| one.canary.requests.total_cmp(&other.canary.requests))?;
        Some(look(&analysis, self.now))
    }

    /// Of all counters; each says its name where there are several.
    fn findings(self, said: &[Said<'_>], of: fn(&Said<'_>, Self) -> Vec<Finding>) -> Vec<Finding> {
        let name = |said: &Said<'_>, finding| match self.counters.len() {
            0 | 1 => finding,
            _ => Finding::Of(said.counter.name.clone(), Box::new(finding)),
        };
        said.iter().flat_map(|said| of(said, self).into_iter().map(|finding| name(said, finding))).collect()
    }

    fn measure(self, measured: Measured, analysis: Analysis) -> Measure {
        Measure { measured, analysis, served: self.served(), outlook: None }
    }

    fn promoting(self, said: &Said<'_>) -> Vec<Finding> {
        let errors = self.measure(Measured::ErrorRate, said.result.errors);
        let latency = said.result.latency.and_then(|latency| latency.promoting);
        let latency = latency.map(|analysis| self.measure(Measured::Slower(self.bound(said, 0)), analysis));
        let measures = std::iter::once(errors).chain(latency).map(Finding::Measure);
        measures.chain(self.clustering(said)).collect()
    }

    fn clustering(self, said: &Said<'_>) -> impl Iterator<Item = Finding> + use<> {
        let past = if self.origin.abilities().past { Past::Hour } else { Past::SinceTheHold };
        let Analysis { canary, effective_requests, .. } = said.result.errors;
        let bursts = said.counter.past.errors.scrape >= BURSTS;
        let bursts = bursts.then_some(Finding::Bursts { requests: canary.requests, effective: effective_requests, measured: past });
        bursts.into_iter().chain(said.counter.past.had_incident.then_some(Finding::Incident(past)))
    }

    fn bound(self, said: &Said<'_>, side: usize) -> Duration {
        said.seen.bounds[side].or(self.subject.policy.max_latency_p99).unwrap_or_default()
    }

    fn rejecting(self, said: &Said<'_>) -> Vec<Finding> {
        if said.joined.verdict != Verdict::Reject {
            return Vec::new();
        }
        let served = self.served();
        let mut findings: Vec<Finding> = said
            .result
            .findings
            .iter()
            .filter_map(|found| match found {
                Found::Silent(silence) => Some(Finding::Silent { silence: *silence, rejects: true, served }),
                Found::ClientErrors(errors) => {
                    Some(Finding::ClientErrors { errors: *errors, code: said.seen.counted.client_error.clone(), rejects: true, served })
                }
                Found::Errors(_) => Some(Finding::Measure(self.measure(Measured::ErrorRate, said.result.errors))),
                Found::Latency(_) => {
                    let analysis = said.result.latency.and_then(|latency| latency.rejecting)?;
                    Some(Finding::Measure(self.measure(Measured::Slower(self.bound(said, 1)), analysis)))
                }
                _ => None,
            })
            .collect();
        if said.result.may_be_cold {
            let suggested = SUGGESTED_WARM_UP.min(self.subject.policy.duration / 2);
            findings.push(Finding::MayBeCold { suggested });
        }
        findings
    }

    /// What can be done something about is told at once, everything else when the duration is over.
    fn while_waiting(self, said: &Said<'_>) -> Vec<Finding> {
        if self.served() >= self.subject.policy.duration {
            return self.in_the_way(said);
        }
        let labels = said.seen.lacking.iter().filter(|lacking| matches!(lacking, Lacking::Label { .. })).cloned().map(Finding::Lacking);
        let unverified = said.seen.counted.is_unverified.then_some(Finding::Unverified);
        let shared = said.strange.shared.clone().map(Finding::SharedRegistry);
        labels.chain(unverified).chain(shared).chain(said.seen.counted.no_counter.clone().map(Finding::NoCounter)).collect()
    }

    /// What is in the way of a promotion, and why there may be so little traffic.
    fn in_the_way(self, said: &Said<'_>) -> Vec<Finding> {
        // What isn't a counter says nothing else.
        if let Some(fall) = &said.seen.counted.no_counter {
            return vec![Finding::NoCounter(fall.clone())];
        }
        if let Some(shared) = &said.strange.shared {
            return vec![Finding::SharedRegistry(shared.clone())];
        }
        // A counter that appears with the first request isn't missed where there are none.
        let is_quiet = said.result.silence.ordinary <= statistics::NEARLY_NO_TRAFFIC;
        let is_missed = |lacking: &&Lacking| !is_quiet || matches!(lacking, Lacking::Label { .. });
        let mut findings: Vec<Finding> = said.seen.lacking.iter().filter(is_missed).cloned().map(Finding::Lacking).collect();
        let is_silent = |found: &Found| matches!(found, Found::Silent(_));
        if said.is_silent_at_last && !said.result.findings.iter().any(is_silent) {
            findings.push(Finding::Silent { silence: said.result.silence, rejects: false, served: self.served() });
        }
        let is_unseen = |found: &Found| matches!(found, Found::NotObserved(_) | Found::Silent(_) | Found::OnlyProbes);
        let is_explained = !findings.is_empty() || said.result.findings.iter().any(is_unseen);
        let is_too_short = |found: &Found| matches!(found, Found::ObservedTooShort(_));
        let is_over = said.result.findings.iter().any(is_too_short) && self.served() >= self.subject.policy.duration;
        for found in &said.result.findings {
            // That no requests were counted says nothing where it is known why.
            if is_explained && matches!(found, Found::Errors(Reason::NoRequests) | Found::Latency(Reason::NoRequests)) {
                continue;
            }
            // The clock's time is over; what was observed isn't.
            if is_over && matches!(found, Found::Errors(Reason::ServingTooShort { .. }) | Found::Latency(Reason::ServingTooShort { .. })) {
                continue;
            }
            findings.extend(self.one_in_the_way(said, found));
        }
        findings.extend(self.of_what_is_strange(said));
        findings.extend(said.seen.counted.is_unverified.then_some(Finding::Unverified));
        findings.extend(said.latency.clone().map(Finding::Latency));
        if !is_explained {
            findings.extend(starved(said.seen.counted).map(Finding::Starved));
        }
        findings
    }

    fn of_what_is_strange(self, said: &Said<'_>) -> impl Iterator<Item = Finding> + use<> {
        let duration = self.subject.policy.duration;
        let anew = said.strange.anew.map(|anew| Finding::BeganAnew { times: anew.times, last: anew.last, duration });
        let code = said.seen.counted.redirect.clone();
        anew.into_iter().chain(said.strange.redirects.map(|redirects| Finding::Redirects { redirects, code }))
    }

    fn one_in_the_way(self, said: &Said<'_>, found: &Found) -> Vec<Finding> {
        let served = self.served();
        let result = &said.result;
        match found {
            Found::NotObserved(coverage) | Found::ObservedTooShort(coverage) => vec![Finding::Unobserved(self.unobserved(said, *coverage))],
            Found::OnlyProbes => vec![Finding::OnlyProbes],
            Found::Silent(silence) => vec![Finding::Silent { silence: *silence, rejects: false, served }],
            Found::ClientErrors(errors) => {
                vec![Finding::ClientErrors { errors: *errors, code: said.seen.counted.client_error.clone(), rejects: false, served }]
            }
            Found::Errors(reason) => {
                let analysis = lacking(result.errors, *reason);
                let mut findings = vec![Finding::Measure(self.waiting(Measured::ErrorRate, analysis, self.subject.policy.warm_up))];
                findings.extend(self.clustering(said).filter(|_| matches!(reason, Reason::TooFewRequests { .. })));
                findings
            }
            Found::Latency(reason) => {
                let latency = result.latency.and_then(|latency| latency.promoting.or(latency.rejecting));
                let warm_up = statistics::latency::warm_up(self.subject.policy.warm_up, self.subject.policy.duration);
                let measured = Measured::Slower(self.bound(said, 0));
                let one = |analysis| self.waiting(measured, lacking(analysis, *reason), warm_up);
                latency.map(one).map(Finding::Measure).into_iter().collect()
            }
            // Its own words come with the reason why there is none.
            Found::LatencyHasNoBucket => Vec::new(),
        }
    }

    fn waiting(self, measured: Measured, analysis: Analysis, warm_up: Duration) -> Measure {
        let remaining = self.subject.remaining(self.now);
        let has_too_few = matches!(analysis.reason, Some(Reason::TooFewRequests { .. }));
        let outlook = has_too_few.then(|| analysis.forecast(self.served().saturating_sub(warm_up), remaining)).flatten();
        Measure { outlook: outlook.map(|forecast| (forecast, remaining)), ..self.measure(measured, analysis) }
    }

    fn unobserved(self, said: &Said<'_>, coverage: Coverage) -> Unobserved {
        let last = match coverage {
            Coverage::Stale { last, .. } | Coverage::PrimaryStale { last, .. } => Some(last),
            _ => None,
        };
        let clock = said.seen.clock;
        let last = last.map(|last| (clock.time(last), clock.since_begun(last)));
        Unobserved { coverage, last, duration: self.subject.policy.duration, origin: self.origin }
    }
}

fn lasts(counter: &statistics::Counter, result: &CounterResult, subject: &Subject) -> bool {
    let is_by_errors = result.findings.iter().any(|found| matches!(found, Found::Errors(_)));
    lasting::has_lasted(&counter.looks, is_by_errors.then_some(subject.policy.max_error_rate))
}

fn is_silent_at_last(counter: &statistics::Counter) -> bool {
    let silent = counter.looks.iter().rev().take_while(|look| look.canary.requests <= 0.0);
    let ordinary = silent.map(|look| {
        let requests: Vec<f64> = look.primary.iter().flatten().map(|pod| pod.requests).collect();
        statistics::typical(&requests)
    });
    ordinary.sum::<f64>() >= SILENT_AT_LAST
}

/// What an analysis says that isn't enough.
fn lacking(analysis: Analysis, reason: Reason) -> Analysis {
    let mut lacking = analysis;
    (lacking.verdict, lacking.reason) = (Verdict::Continue, Some(reason));
    lacking
}

fn starved(counted: &Counted) -> Option<TrafficShare> {
    let alpha = Parameters::default().alpha;
    let share = traffic_share(counted.canary.requests, counted.primary.requests, 1, counted.primary_pods, alpha)?;
    share.much_less.then_some(share)
}
