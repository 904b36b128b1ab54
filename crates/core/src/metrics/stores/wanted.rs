//! Which series a store is asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::metrics::counting::{self, Part, PodLabel, Reading};

/// Which series are asked for, and since when.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Names, as alternatives of a regular expression.
    pub metrics: Vec<String>,
    /// Of histograms, these bounds only; empty when no histogram is wanted.
    pub bounds: Vec<String>,
    pub pod_label: PodLabel,
    /// How far back, by any clock: the answer ends when the source says it ends.
    pub since: Duration,
    /// One sample a step; without it every sample, as it was scraped.
    pub step: Option<Duration>,
    /// What the source sums up before it answers, where every series would be too many.
    pub sums: Option<Sums>,
}

/// Series that differ in nothing that anybody looks at are one.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    pub parts: Vec<Part>,
    /// The labels that tell what was scraped apart: of twins one is counted, so they are not summed up.
    pub targets: BTreeSet<String>,
}

impl Wanted {
    /// What these readings need, and what tells of the pods themselves.
    pub fn of<'a>(readings: impl IntoIterator<Item = &'a Reading>, pod_label: PodLabel, since: Duration) -> Self {
        let (mut metrics, mut bounds) = (counting::FACTS.map(str::to_owned).to_vec(), Vec::new());
        for reading in readings {
            metrics.extend(reading.metrics().into_iter().map(counting::escaped));
            bounds.extend(reading.bounds());
        }
        for list in [&mut metrics, &mut bounds] {
            list.sort();
            list.dedup();
        }
        Self { metrics, bounds, pod_label, since, step: None, sums: None }
    }
}
