//! Why a counter rejects, or is not promoted (yet): of everything that is known the parts that matter, in the order in which they are told.

use super::super::join::Said;
use super::super::latency::LatencyAnalysis;
use super::super::{Analysis, ClientErrors, Coverage, Reason, Silence, Verdict};
use super::CounterResult;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Finding {
    /// The canary or the primary isn't scraped (any more).
    NotObserved(Coverage),
    /// Only probes reach the canary; the service has other requests.
    OnlyProbes,
    /// Requests may hang, or clients may not have come to it. Rejected, or held.
    Silent(Silence),
    ClientErrors(ClientErrors),
    Errors(Reason),
    Latency(Reason),
    /// The histogram has no bound at or below the limit.
    LatencyHasNoBucket,
    /// Observed, but not for long enough.
    ObservedTooShort(Coverage),
}

/// For a rejection, what rejects; otherwise what is in the way of a promotion. `result` has no findings yet.
pub(super) fn findings(result: &CounterResult, said: &Said) -> Vec<Finding> {
    match result.joined.verdict {
        Verdict::Promote => Vec::new(),
        Verdict::Reject => rejecting(result),
        Verdict::Continue | Verdict::Inconclusive => in_the_way(result, said),
    }
}

fn rejecting(result: &CounterResult) -> Vec<Finding> {
    let silence = Some(result.silence).filter(|silence| silence.rejected).map(Finding::Silent);
    let clients = result.client_errors.filter(|errors| errors.rejected_at.is_some()).map(Finding::ClientErrors);
    let rejects = |analysis: &Analysis| if analysis.verdict == Verdict::Reject { analysis.reason } else { None };
    let errors = rejects(&result.errors).map(Finding::Errors);
    let latency = result.latency.as_ref().and_then(|latency| latency.rejecting.as_ref()).and_then(rejects).map(Finding::Latency);
    [silence, clients, errors, latency].into_iter().flatten().collect()
}

fn in_the_way(result: &CounterResult, said: &Said) -> Vec<Finding> {
    let coverage = result.coverage;
    let not_observed = matches!(coverage, Coverage::Unseen | Coverage::Never | Coverage::Stale { .. } | Coverage::PrimaryStale { .. });
    let too_short = matches!(coverage, Coverage::OneLook | Coverage::Short { .. });
    let holds = |errors: &ClientErrors| errors.holds;
    let clients = result.client_errors.filter(holds).map(Finding::ClientErrors);
    let errors = (said.errors != Verdict::Promote).then(|| reason(&result.errors, result.must_show).map(Finding::Errors));
    let latency = said.latency.is_some_and(|verdict| verdict != Verdict::Promote);
    let latency = result.latency.as_ref().filter(|_| latency).map(|latency| of_latency(latency, result.must_show));
    [
        not_observed.then_some(Finding::NotObserved(coverage)),
        result.only_probes.then_some(Finding::OnlyProbes),
        is_silent(result).then_some(Finding::Silent(result.silence)),
        clients,
        errors.flatten(),
        latency,
        too_short.then_some(Finding::ObservedTooShort(coverage)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// At the end also a canary without its part of the requests, though nothing is shown.
fn is_silent(result: &CounterResult) -> bool {
    let silence = result.silence;
    silence.holds || (result.joined.verdict == Verdict::Inconclusive && !silence.is_clean())
}

fn of_latency(latency: &LatencyAnalysis, must_show: bool) -> Finding {
    match if must_show { latency.promoting } else { latency.rejecting } {
        Some(analysis) => Finding::Latency(reason(&analysis, must_show).unwrap_or(Reason::LimitCannotBeShown)),
        None => Finding::LatencyHasNoBucket,
    }
}

/// A counter that need not show the limit lacks nothing: it is worse than the primary by what was seen.
fn reason(analysis: &Analysis, must_show: bool) -> Option<Reason> {
    if must_show {
        return analysis.reason;
    }
    Some(Reason::Suspicion { rate: analysis.canary.rate().unwrap_or_default(), tolerated: analysis.tolerated })
}
