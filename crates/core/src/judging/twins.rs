//! Which of a run's counters may be one that is served at two ports, and which of those is left out. Counters that the user named are all judged.

use serde_json::Value;

use super::counters::Counter;
use crate::metrics::counting::{Pods, Series, twins};
use crate::metrics::probes;

/// Those that differ in nothing but the port.
pub(super) fn pairs(counters: &[Counter]) -> impl Iterator<Item = (usize, usize)> {
    let may_be_one = |one: &Counter, other: &Counter| {
        let (one, other) = (&one.found, &other.found);
        one.preset.is_some() && one.preset == other.preset && one.reading.metrics() == other.reading.metrics() && one.port != other.port
    };
    (0..counters.len())
        .flat_map(move |first| (first + 1..counters.len()).map(move |second| (first, second)))
        .filter(move |(first, second)| may_be_one(&counters[*first], &counters[*second]))
}

/// The positions of those that are left out, the last first.
pub(super) fn superfluous(counters: &[Counter], series: &[Series], pods: &Pods, pod_spec: &Value) -> Vec<usize> {
    let mut left_out: Vec<usize> = Vec::new();
    for (first, second) in pairs(counters) {
        if left_out.contains(&first) || left_out.contains(&second) {
            continue;
        }
        let found = [first, second].map(|index| &counters[index].found);
        let [Some(one), Some(other)] = found.map(|found| found.port) else { continue };
        let is_one_container = probes::are_of_one_container(pod_spec, [one, other]);
        let which = twins::superfluous(series, pods, found.map(|found| &found.reading), is_one_container);
        left_out.extend(which.map(|which| [first, second][which]));
    }
    left_out.sort_unstable_by(|one, other| other.cmp(one));
    left_out
}
