//! What the webhook tells about its answers: how many of each kind, and how long the process took for them.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use coalmine_core::hold::admit::Effect;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EffectLabel {
    effect: &'static str,
}

#[derive(Debug, Clone)]
pub struct Metrics {
    reviews: Family<EffectLabel, Counter>,
    seconds: Family<EffectLabel, Histogram>,
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let reviews = Family::default();
        let seconds = Family::new_with_constructor(seconds_histogram as fn() -> Histogram);
        registry.register("coalmine_admission_reviews", "Reviews of Deployments, by what came of them", reviews.clone());
        registry.register(
            "coalmine_admission_seconds",
            "Time in the process, without the time in which the API server was asked",
            seconds.clone(),
        );
        Self { reviews, seconds }
    }

    pub(super) fn count(&self, effect: Effect) {
        self.reviews.get_or_create(&EffectLabel { effect: effect.as_str() }).inc();
    }

    pub(super) fn observe(&self, effect: Effect, duration: Duration) {
        self.seconds.get_or_create(&EffectLabel { effect: effect.as_str() }).observe(duration.as_secs_f64());
    }
}

fn seconds_histogram() -> Histogram {
    // Close together around the budget of five milliseconds.
    Histogram::new([0.000_25, 0.000_5, 0.001, 0.001_5, 0.002, 0.002_5, 0.003, 0.004, 0.005, 0.007_5, 0.01, 0.025, 0.1])
}
