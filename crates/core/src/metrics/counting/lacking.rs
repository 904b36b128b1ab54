//! What the canary lacks that the primary has: a renamed counter or label must not pass for one without errors.
//!
//! Series that don't say how their requests ended are left out where a pod has no others; here is told what is missing.

use std::collections::BTreeMap;
use std::fmt;

use super::groups::{Counter, Group};
use super::{PodLabel, Reading, Role};

/// Without it nobody can tell how the canary's requests ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lacking {
    /// Its series of this metric have no label that says so.
    Label { metric: String, label: String },
    /// They have it, and what it says there of all that didn't fail is nothing that the primary's say: it may be spelled anew, failures as well.
    Spelling { metric: String, label: String, value: String },
    /// It is scraped, and has no series of this metric. A counter may appear with the first request.
    Metric { metric: String },
}

impl fmt::Display for Lacking {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label { metric, label } => write!(formatter, "{metric} of the canary has no label {label}"),
            Self::Spelling { metric, label, value } => {
                write!(
                    formatter,
                    "{metric} of the canary says {label} \"{value}\", and nothing that the primary's say: is it spelled anew?"
                )
            }
            Self::Metric { metric } => write!(formatter, "the canary has no series {metric}, which the primary has"),
        }
    }
}

/// Takes the counters out of pods that have mute ones only, and tells what the canary lacks.
pub(super) fn leave_out(groups: &mut [Group<'_>], reading: &Reading) -> Vec<Lacking> {
    let mut lacking = Vec::new();
    // In words of the user's own, a label may be there with failures only: then its absence is a success.
    let is_optional = matches!(reading, Reading::Separate { .. })
        && (primary_counters(groups).next().is_none() || primary_counters(groups).any(|counter| counter.is_mute));
    for group in groups.iter_mut() {
        let counts = |counter: &&Counter<'_>| counter.weight.requests > 0.0;
        let is_mute = group.counters.iter().any(|counter| counter.is_mute) && group.counters.iter().filter(counts).all(|one| one.is_mute);
        if !is_mute || is_optional {
            continue;
        }
        if group.role == Role::Canary
            && let Some(metric) = group.counters.iter().find(counts).map(|counter| counter.series.name().to_owned())
        {
            lacking.extend(reading.outcome_labels().first().map(|label| Lacking::Label { metric, label: (*label).to_owned() }));
        }
        group.counters.clear();
    }
    lacking.extend(metrics(groups, reading, lacking.is_empty()));
    lacking.extend(spelling(groups, reading));
    lacking.sort();
    lacking.dedup();
    lacking
}

fn metrics(groups: &[Group<'_>], reading: &Reading, is_understood: bool) -> Option<Lacking> {
    let canary = || groups.iter().filter(|group| group.role == Role::Canary && !group.times.is_empty());
    let has = |name: &str| canary().flat_map(|group| &group.counters).any(|counter| counter.series.name() == name);
    canary().next()?;
    let name = reading.metrics().into_iter().find(|name| {
        let of_primary = || primary_counters(groups).filter(|counter| counter.series.name() == *name);
        let is_there = of_primary().next().is_some();
        // A counter of errors is born with the first, unless the primary's began at nothing.
        let is_born_late =
            matches!(reading, Reading::Separate { errors, requests } if errors.metric() == *name && requests.metric() != *name);
        is_there
            && !has(name)
            && (!is_born_late || of_primary().all(|counter| counter.samples.first().is_some_and(|first| first.value <= 0.0)))
    })?;
    is_understood.then(|| Lacking::Metric { metric: name.to_owned() })
}

/// Of the user's own words nobody knows how else they are spelled.
fn spelling(groups: &[Group<'_>], reading: &Reading) -> Option<Lacking> {
    if !matches!(reading, Reading::Separate { .. }) {
        return None;
    }
    // What tells where a series comes from differs from pod to pod.
    let is_place =
        |label: &str| label == "job" || PodLabel::ALL.into_iter().any(|one| one.name() == label || one.namespace() == Some(label));
    let label = reading.outcome_labels().into_iter().find(|label| !is_place(label))?;
    let values = |role: Role| -> BTreeMap<&str, f64> {
        let of_role = groups.iter().filter(move |group| group.role == role).flat_map(|group| &group.counters);
        let good = of_role.filter(|one| one.weight.requests > 0.0 && one.weight.errors <= 0.0);
        let last = |one: &Counter<'_>| one.samples.last().map_or(0.0, |sample| sample.value);
        good.map(|one| (one.series.label(label), last(one))).filter(|(value, last)| !value.is_empty() && *last > 0.0).collect()
    };
    let (own, known) = (values(Role::Canary), values(Role::Primary));
    if known.is_empty() || own.keys().any(|value| known.contains_key(value)) {
        return None;
    }
    let (value, _) = own.into_iter().max_by(|(_, one), (_, other)| one.total_cmp(other))?;
    let metric = reading.metrics().first().map(|metric| (*metric).to_owned())?;
    Some(Lacking::Spelling { metric, label: label.to_owned(), value: value.to_owned() })
}

fn primary_counters<'a, 'b>(groups: &'b [Group<'a>]) -> impl Iterator<Item = &'b Counter<'a>> {
    groups.iter().filter(|group| group.role == Role::Primary).flat_map(|group| &group.counters)
}
