//! What keeps a canary from being promoted beside its failures: redirects, not one good answer, a process that ends unseen, a registry that several
//! pods share. None of these rejects.

use std::time::Duration;

use super::counters::{Counter, Seen};
use super::subject::Subject;
use crate::api::policy;
use crate::metrics::counting::{Anew, Counted, Shared, Tally};
use crate::statistics::{
    ClientCounts, ClientErrors, ClientLook, ClientParameters, CounterResult, Parameters, client_errors, tail, typical,
};

/// A share of redirects up to this is no harm, whatever the primary's is.
const FEW: f64 = 0.05;

/// What is strange about a canary's counter; nothing is promoted on it.
#[derive(Debug, Default)]
pub(super) struct Strange {
    pub(super) redirects: Option<ClientErrors>,
    /// All of its answers were client errors, and the primary's weren't: too few, perhaps, for a test, and nothing that speaks for it.
    pub(super) clients: Option<ClientErrors>,
    pub(super) anew: Option<Anew>,
    /// What is counted isn't the canary's alone: that rejects nobody either.
    pub(super) shared: Option<Shared>,
}

impl Strange {
    pub(super) fn of(counter: &Counter, seen: &Seen<'_>, result: &CounterResult, subject: &Subject, interval: Duration) -> Self {
        let (policy, counted, alpha) = (&subject.policy, seen.counted, result.budget.client_errors);
        let compares = policy.client_errors == policy::ClientErrors::Compare && counter.found.reading.tells_client_errors();
        let parameters = ClientParameters {
            alpha,
            limit: policy.max_error_rate,
            planned: Parameters::default().with_looks(policy.deadline, interval).looks,
            dispersion: counter.past.redirects,
            evenness: counter.past.evenness,
        };
        Self {
            clients: result.client_errors.filter(|_| is_all(counted, |tally| tally.clients)),
            redirects: compares.then(|| redirects(counted, parameters)).flatten(),
            anew: counted.anew.filter(|anew| is_too_young(anew, counted, policy.duration)),
            shared: counted.shared.clone(),
        }
    }

    pub(super) fn holds(&self) -> bool {
        self.redirects.is_some() || self.clients.is_some() || self.anew.is_some() || self.shared.is_some()
    }
}

/// Answers that send whoever asked elsewhere, where the canary gives far more of them than the primary: one that sends everybody to where they
/// came from answers nobody.
fn redirects(counted: &Counted, parameters: ClientParameters) -> Option<ClientErrors> {
    let all = counted.details.iter().fold((0.0, 0.0), |all, one| (all.0 + one.canary.requests, all.1 + one.canary.redirects));
    // Most services have none, and the test is not for nothing.
    if all.1 <= all.0 * FEW {
        return None;
    }
    let of = |requests: f64, redirects: f64| ClientCounts { requests, client_errors: redirects };
    let looks: Vec<ClientLook> = counted
        .details
        .iter()
        .zip(&counted.looks)
        .map(|(detail, look)| {
            let primary = detail.primary_total();
            let requests: Vec<f64> = detail.primary.iter().map(|pod| pod.requests).collect();
            ClientLook {
                canary: of(detail.canary.requests, detail.canary.redirects),
                primary: of(primary.requests, primary.redirects),
                ordinary: typical(&requests),
                warm_up: look.warm_up,
            }
        })
        .collect();
    Some(client_errors(&looks, parameters)).filter(|result| result.holds || is_all(counted, |tally| tally.redirects))
}

/// Whether the canary gave no other answer, and the primary did.
fn is_all(counted: &Counted, of: fn(Tally) -> f64) -> bool {
    let (mut canary, mut primary) = (Tally::default(), Tally::default());
    for detail in &counted.details {
        canary.add(detail.canary);
        primary.add(detail.primary_total());
    }
    canary.requests > 0.0 && of(canary) >= canary.requests && of(primary) < primary.requests
}

/// A process that began anew is another one: what it did before it ended says nothing for it. It must last for as long as a canary must.
fn is_too_young(anew: &Anew, counted: &Counted, duration: Duration) -> bool {
    let Some(last) = counted.last_scrape else { return true };
    let interval = counted.scrape_interval.and_then(|interval| u64::try_from(interval).ok()).map(Duration::from_millis);
    let lasted = Duration::from_millis(u64::try_from(last.saturating_sub(anew.last)).unwrap_or_default());
    lasted.saturating_add(tail(duration, interval.unwrap_or_default())) < duration
}
