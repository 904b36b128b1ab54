//! What the controller tells: verdicts by phase.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use coalmine_core::api::annotations::Phase;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

#[derive(Debug, Clone, Default)]
pub struct Metrics {
    phases: Family<PhaseLabel, Counter>,
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("coalmine_canary_phases", "Phases that canaries came to", metrics.phases.clone());
        metrics
    }

    pub(super) fn verdict(&self, phase: Phase) {
        self.phases.get_or_create(&PhaseLabel { phase: phase.as_str() }).inc();
    }
}
