//! What is known of a counter after its looks: data for whoever decides and for whoever makes sentences.

use super::super::join::Joined;
use super::super::{Analysis, Budget, ClientErrors, Coverage, LatencyAnalysis, Silence, Strength, Verdict};
use super::Finding;

#[derive(Clone, Debug, PartialEq)]
pub struct CounterResult {
    /// Of this counter alone: see [`super::super::join`].
    pub joined: Joined,
    /// In the order in which they are told: of a rejection those that reject, else those that are in the way of a promotion.
    pub findings: Vec<Finding>,
    pub must_show: bool,
    pub coverage: Coverage,
    pub errors: Analysis,
    pub latency: Option<LatencyAnalysis>,
    pub client_errors: Option<ClientErrors>,
    pub silence: Silence,
    pub budget: Budget,
    /// The canary has no other requests than probes, the primary has.
    pub only_probes: bool,
    /// All errors (or slow requests) that reject lie at the canary's beginning: it may only start cold.
    pub may_be_cold: bool,
}

impl CounterResult {
    pub fn verdict(&self) -> Verdict {
        self.joined.verdict
    }

    /// All that speaks against the canary, by test: the strongest first, by how near each is to what rejects.
    pub fn against(&self) -> Vec<Strength> {
        let others = self.latency.as_ref().and_then(LatencyAnalysis::against).into_iter();
        let others = others.chain(self.client_errors.map(|errors| errors.against)).chain([self.silence.against]);
        let mut all: Vec<Strength> = std::iter::once(self.errors.against()).chain(others).collect();
        all.sort_by(|left, right| right.shown().total_cmp(&left.shown()));
        all
    }

    /// What speaks for it: the weakest of what must be shown.
    pub fn in_favour(&self) -> Strength {
        let errors = self.errors.in_favour();
        match self.latency.as_ref().and_then(|latency| latency.promoting.as_ref()).map(Analysis::in_favour) {
            Some(latency) if latency.ln_evidence < errors.ln_evidence => latency,
            _ => errors,
        }
    }
}
