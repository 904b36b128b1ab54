//! What is counted of notifications. The label `sink` is one of the names in the administrator's file, of which there are fifty at most.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// What came of a notification, or of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sent,
    /// A try that another follows.
    Retried,
    /// For good.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    sink: String,
    result: &'static str,
}

#[derive(Debug, Clone, Default)]
pub struct Metrics {
    notifications: Family<Labels, Counter>,
    waiting: Gauge,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Sent, Self::Retried, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Retried => "retried",
            Self::Failed => "failed",
        }
    }
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let help = "Notifications of verdicts by sink and result; retried are tries that another follows";
        registry.register("coalmine_notifications", help, metrics.notifications.clone());
        registry.register("coalmine_notifications_waiting", "Notifications that this replica has under way", metrics.waiting.clone());
        metrics
    }

    /// A counter that is there from the beginning shows its first failure.
    pub(super) fn begin(&self, sink: &str) {
        for outcome in Outcome::ALL {
            let labels = Labels { sink: sink.to_owned(), result: outcome.as_str() };
            drop(self.notifications.get_or_create(&labels));
        }
    }

    pub(crate) fn count(&self, sink: &str, outcome: Outcome) {
        self.notifications.get_or_create(&Labels { sink: sink.to_owned(), result: outcome.as_str() }).inc();
    }

    pub(crate) fn waiting(&self, count: usize) {
        self.waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
