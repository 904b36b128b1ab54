//! Pods that share one registry, as in a Redis: each metrics page says what all of them have counted. Then nothing is known about one pod, and a
//! canary would seem to have had all requests of the primary.

use std::fmt;

use super::Role;
use super::groups::Group;

/// A counter that is this many times what it grew by from one scrape to the next has a past.
const A_PAST: f64 = 20.0;

/// The canary's page began where the primary's were.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    pub metric: String,
    /// What it said at first.
    pub requests: f64,
}

impl fmt::Display for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, requests } = self;
        write!(
            formatter,
            "{metric} of the canary began at {}, where the primary's are: do all pods count in one place, as in a Redis? Each needs a counter of its own",
            crate::api::quantity::format_count(*requests)
        )
    }
}

/// A canary that is new can't have counted what all of the primary's pods had, as far as they were scraped before it and after it.
pub(super) fn registry(groups: &[Group<'_>]) -> Option<Shared> {
    let canary = groups.iter().find(|group| group.role == Role::Canary && group.counters.iter().any(|one| one.weight.requests > 0.0))?;
    let at =
        canary.counters.iter().filter(|one| one.weight.requests > 0.0).filter_map(|one| one.samples.first()).map(|one| one.at).min()?;
    let requests = total(canary, at);
    let (mut alike, mut pods, mut grows) = (0, 0, false);
    for group in groups.iter().filter(|group| group.role == Role::Primary) {
        let before = group.times.range(..at).next_back();
        let after = group.times.range(at.saturating_add(1)..).next();
        let (Some(before), Some(after)) = (before, after) else { continue };
        let (before, after) = (total(group, *before), total(group, *after));
        pods += 1;
        let is_between = before <= requests && requests <= after;
        alike += usize::from(is_between && before >= A_PAST * (after - before));
        grows |= after > before;
    }
    let metric = canary.counters.iter().find(|one| one.weight.requests > 0.0)?.series.name().to_owned();
    (grows && alike == pods).then_some(Shared { metric, requests })
}

/// What the pod had counted by then.
fn total(group: &Group<'_>, at: i64) -> f64 {
    let value = |one: &super::groups::Counter<'_>| {
        let known = one.samples.partition_point(|sample| sample.at <= at);
        known.checked_sub(1).map_or(0.0, |last| one.samples[last].value * one.weight.requests)
    };
    group.counters.iter().filter(|one| one.weight.requests > 0.0).map(value).sum()
}
