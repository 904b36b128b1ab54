//! What was added between one sample of a counter and the next. A process that began anew counts from zero again; a counter that falls a little was
//! read by two scrapers; one that falls again and again without a restart is none.
//!
//! A counter that appears while its pod was already there was born with its first event, unless it says more than can have happened: then it
//! came back, and its past doesn't count.

use std::collections::BTreeMap;
use std::fmt;

use super::groups::{Counter, Group};
use super::reading::UNBOUNDED;
use super::{Labels, Tally};
use crate::statistics::{HighWater, Step, is_counter, late_birth};

/// Starts of one process are told with slightly different fractions of a second.
const SAME_START: f64 = 1.0;

/// What one pod added at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Increment {
    pub(super) at: i64,
    pub(super) tally: Tally,
}

/// A series that is no counter: a registry for each worker process, read in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fall {
    pub metric: String,
    pub pod: String,
    pub falls: usize,
    pub scrapes: usize,
}

impl fmt::Display for Fall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, pod, falls, scrapes } = self;
        write!(
            formatter,
            "{metric} of {pod} falls without a restart ({falls} of {scrapes} scrapes): does each worker process keep its own?"
        )
    }
}

/// What one pod added, and the first of its series that is no counter.
#[derive(Debug, Default)]
pub(super) struct Added {
    pub(super) increments: Vec<Increment>,
    pub(super) fall: Option<Fall>,
}

/// All increments of a pod whose counters are counters; none of another.
pub(super) fn of(group: &Group<'_>, born: bool, interval: i64) -> Vec<Increment> {
    let Added { increments, fall } = added(group, born, interval);
    if fall.is_some() { Vec::new() } else { increments }
}

/// All increments of a pod. `born` says that its counters began at zero within the answer; otherwise what they say first is the past.
pub(super) fn added(group: &Group<'_>, born: bool, interval: i64) -> Added {
    let Some(first_seen) = group.first() else { return Added::default() };
    let mut steps = Steps { starts: starts(group), ..Steps::default() };
    // A histogram's buckets begin anew with the one that holds everything.
    let (whole, parts): (Vec<&Counter<'_>>, Vec<&Counter<'_>>) =
        group.counters.iter().partition(|counter| matches!(counter.series.label("le"), "" | UNBOUNDED));
    for counter in whole.into_iter().chain(parts) {
        steps.walk(counter, &group.pod);
    }
    // Samples of one scrape may carry slightly different times.
    let same_scrape = first_seen.saturating_add(interval / 5 * 2);
    let mut added = Added { increments: steps.increments, fall: steps.fall.or_else(|| in_turn(group)) };
    if born {
        added
            .increments
            .extend(steps.births.iter().map(|birth| Increment { at: birth.at, tally: Tally::of(birth.counter.weight, birth.value) }));
    } else {
        let late: Vec<Birth<'_, '_>> = steps.births.into_iter().filter(|birth| birth.at > same_scrape).collect();
        let others = |at: i64| -> f64 {
            let near = |one: &&Increment| one.at > at.saturating_sub(interval) && one.at <= at;
            added.increments.iter().filter(near).map(|one| one.tally.requests).sum()
        };
        let came_back: Vec<bool> = late.iter().map(|birth| late_birth(birth.value, others(birth.at)) <= 0.0).collect();
        // A bucket is born with the one that holds everything, or not at all.
        let whole_came_back: BTreeMap<Labels, bool> = late
            .iter()
            .zip(&came_back)
            .filter(|(birth, _)| birth.counter.series.label("le") == UNBOUNDED)
            .map(|(birth, back)| (histogram(birth.counter), *back))
            .collect();
        for (birth, came_back) in late.iter().zip(came_back) {
            let is_part = !matches!(birth.counter.series.label("le"), "" | UNBOUNDED);
            let came_back = if is_part { whole_came_back.get(&histogram(birth.counter)).copied().unwrap_or(came_back) } else { came_back };
            if !came_back {
                added.increments.push(Increment { at: birth.at, tally: Tally::of(birth.counter.weight, birth.value) });
            }
        }
    }
    added.increments.retain(|one| one.tally != Tally::default());
    added
}

/// The first sample of a counter.
#[derive(Debug)]
struct Birth<'a, 'b> {
    counter: &'b Counter<'a>,
    at: i64,
    value: f64,
}

/// Counters of one pod, walked one by one.
#[derive(Debug, Default)]
struct Steps<'a, 'b> {
    /// From when on which process was there.
    starts: BTreeMap<i64, f64>,
    /// The same for histograms, by what their whole said.
    anew: BTreeMap<Labels, BTreeMap<i64, f64>>,
    increments: Vec<Increment>,
    births: Vec<Birth<'a, 'b>>,
    fall: Option<Fall>,
}

impl<'a, 'b> Steps<'a, 'b> {
    fn walk(&mut self, counter: &'b Counter<'a>, pod: &str) {
        let Some(first) = counter.samples.first() else { return };
        let le = counter.series.label("le");
        let of_histogram = (!le.is_empty()).then(|| histogram(counter));
        let own = of_histogram.as_ref().filter(|_| le != UNBOUNDED).and_then(|labels| self.anew.get(labels));
        let starts = own.unwrap_or(&self.starts);
        let start = |at: i64| starts.range(..=at).next_back().map(|(_, start)| *start);
        self.births.push(Birth { counter, at: first.at, value: first.value });
        let mut anew = BTreeMap::from([(first.at, 0.0)]);
        let mut water = HighWater::new(first.value, start(first.at));
        let mut breaks = 0;
        for sample in &counter.samples[1..] {
            let step = water.push(sample.value, start(sample.at));
            if matches!(step, Step::Restarted(_) | Step::Break(_)) {
                anew.insert(sample.at, anew.len() as f64);
            }
            breaks += usize::from(matches!(step, Step::Break(_)));
            if step.adds() > 0.0 {
                self.increments.push(Increment { at: sample.at, tally: Tally::of(counter.weight, step.adds()) });
            }
        }
        if le == UNBOUNDED {
            self.anew.extend(of_histogram.map(|labels| (labels, anew)));
        }
        if self.fall.is_none() && !is_counter(breaks, counter.samples.len()) {
            let metric = counter.series.name().to_owned();
            self.fall = Some(Fall { metric, pod: pod.to_owned(), falls: breaks, scrapes: counter.samples.len() });
        }
    }
}

/// Processes that answer in turn tell their own starts.
fn in_turn(group: &Group<'_>) -> Option<Fall> {
    let told: Vec<f64> = group.starts.values().copied().collect();
    let falls = told.windows(2).filter(|pair| pair[0] - pair[1] > SAME_START).count();
    let metric = group.counters.first().map(|counter| counter.series.name().to_owned())?;
    // A clock that is set moves it once.
    (falls > 1).then(|| Fall { metric, pod: group.pod.clone(), falls, scrapes: told.len() })
}

/// What the buckets of one histogram have in common.
fn histogram(counter: &Counter<'_>) -> Labels {
    let mut labels = counter.series.labels.clone();
    labels.remove("le");
    labels
}

/// From when on which process was there, by a number for each. One that began earlier than the one before is another worker that answers in turn, and
/// no process that began anew.
pub(super) fn starts(group: &Group<'_>) -> BTreeMap<i64, f64> {
    let mut known = f64::NEG_INFINITY;
    let told = group.starts.iter().map(|(at, start)| {
        if start - known > SAME_START {
            known = *start;
        }
        (*at, known)
    });
    told.collect()
}
