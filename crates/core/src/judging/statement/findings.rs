//! What a person is told of each counter: why it rejects, why it promotes, what is in the way. Decides nothing.

use std::time::Duration;

use super::{Known, Said};
use crate::facts::judgement::{Finding, Measure, Measured, Past, Unobserved};
use crate::metrics::counting::{Counted, Lacking};
use crate::statistics::{self, Analysis, Coverage, Finding as Found, Parameters, Reason, TrafficShare, Verdict, traffic_share};

/// From such a dispersion on a person is told.
const BURSTS: f64 = 3.0;
/// The longest warm-up that is suggested; it may be half of the duration.
const SUGGESTED_WARM_UP: Duration = Duration::from_mins(2);

impl Known<'_> {
    /// Of all counters; each says its name where there are several.
    pub(super) fn findings(self, said: &[Said<'_>], of: fn(&Said<'_>, Self) -> Vec<Finding>) -> Vec<Finding> {
        let several = said.len();
        let name = |said: &Said<'_>, finding| match several {
            0 | 1 => finding,
            _ => Finding::Of(said.counter.name.clone(), Box::new(finding)),
        };
        said.iter().flat_map(|said| of(said, self).into_iter().map(|finding| name(said, finding))).collect()
    }

    fn measure(self, measured: Measured, analysis: Analysis) -> Measure {
        Measure { measured, analysis, served: self.served(), outlook: None }
    }

    pub(super) fn promoting(self, said: &Said<'_>) -> Vec<Finding> {
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

    pub(super) fn rejecting(self, said: &Said<'_>) -> Vec<Finding> {
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
    pub(super) fn while_waiting(self, said: &Said<'_>) -> Vec<Finding> {
        if self.served() >= self.subject.policy.duration {
            return self.in_the_way(said);
        }
        let labels = said.seen.lacking.iter().filter(|lacking| matches!(lacking, Lacking::Label { .. })).cloned().map(Finding::Lacking);
        let unverified = said.seen.counted.is_unverified.then_some(Finding::Unverified);
        let shared = said.strange.shared.clone().map(Finding::SharedRegistry);
        labels.chain(unverified).chain(shared).chain(said.seen.counted.no_counter.clone().map(Finding::NoCounter)).collect()
    }

    /// What is in the way of a promotion, and why there may be so little traffic.
    pub(super) fn in_the_way(self, said: &Said<'_>) -> Vec<Finding> {
        // What isn't a counter says nothing else.
        if let Some(fall) = &said.seen.counted.no_counter {
            return vec![Finding::NoCounter(fall.clone())];
        }
        if let Some(shared) = &said.strange.shared {
            return vec![Finding::SharedRegistry(shared.clone())];
        }
        // A counter that appears with the first request isn't missed where there are none.
        let is_quiet = said.result.silence.ordinary <= statistics::NEARLY_NO_TRAFFIC;
        let is_missed = |lacking: &&Lacking| !is_quiet || !matches!(lacking, Lacking::Metric { .. });
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
        let (client_error, redirect) = (said.seen.counted.client_error.clone(), said.seen.counted.redirect.clone());
        let served = self.served();
        let is_told = said.result.findings.iter().any(|found| matches!(found, Found::ClientErrors(_)));
        let clients = said.strange.clients.filter(|_| !is_told);
        let clients = clients.map(|errors| Finding::ClientErrors { errors, code: client_error, rejects: false, served });
        let redirects = said.strange.redirects.map(|redirects| Finding::Redirects { redirects, code: redirect });
        anew.into_iter().chain(clients).chain(redirects)
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
