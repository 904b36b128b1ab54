//! What was added between one sample of a counter and the next. A counter that falls was reset, and counts from zero again; a counter
//! that appears while its pod was already there was born with its first event.

use super::Tally;
use super::groups::Group;

/// What one pod added at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Increment {
    pub(super) at: i64,
    pub(super) tally: Tally,
}

/// All increments of a pod. `born` says that its counters began at zero within the answer; otherwise what they say first is the past.
pub(super) fn of(group: &Group<'_>, born: bool, interval: i64) -> Vec<Increment> {
    let Some(first_seen) = group.first() else { return Vec::new() };
    // Samples of one scrape may carry slightly different times.
    let same_scrape = first_seen.saturating_add(interval / 5 * 2);
    let mut increments = Vec::new();
    for counter in &group.counters {
        let Some(first) = counter.samples.first() else { continue };
        let mut previous = if born || first.at > same_scrape { 0.0 } else { first.value };
        for sample in &counter.samples {
            let added = if sample.value >= previous { sample.value - previous } else { sample.value };
            previous = sample.value;
            if added > 0.0 {
                increments.push(Increment { at: sample.at, tally: Tally::of(counter.weight, added) });
            }
        }
    }
    increments
}
