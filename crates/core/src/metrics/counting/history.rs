//! The primary's own past, before the canary: how its errors cluster, how evenly its requests fell on its pods, and how many there were. The
//! same rules of counting as for the run itself, without a canary.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::groups::{self, Group};
use super::{Pods, Reading, Role, Series, Tally, increments};
use crate::statistics::evenness::{self, Evenness};
use crate::statistics::{Counts, Measured, measure};

/// One reading's past.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Windows in order; in each its scrapes in order, in which something was requested; in each one entry for each pod, always in the same order.
    pub windows: Vec<Vec<Vec<Tally>>>,
    /// Requests of each pod that was there before and after a window, in windows made for that question.
    pub shares: Vec<Vec<f64>>,
    /// From one scrape to the next.
    pub interval: Duration,
}

impl History {
    /// `window` is how long one is, in milliseconds.
    pub fn of(series: &[Series], pods: &Pods, reading: &Reading, window: i64) -> Self {
        let mut groups = groups::chosen(series, pods, reading);
        groups.retain(|group| group.role == Role::Primary);
        let Some(interval) = groups::interval(&groups) else { return Self::default() };
        let first_sample = groups.iter().filter_map(Group::first).min().unwrap_or_default();
        let names: BTreeSet<&str> = groups.iter().map(|group| group.pod.as_str()).collect();
        let positions: BTreeMap<&str, usize> = names.into_iter().zip(0..).collect();
        let mut windows: BTreeMap<i64, BTreeMap<i64, Vec<Tally>>> = BTreeMap::new();
        let mut served: Vec<Vec<evenness::Sample>> = Vec::new();
        for group in &groups {
            let Some(position) = positions.get(group.pod.as_str()) else { continue };
            let born = group.born_after(first_sample, Some(interval));
            let mut increments = increments::of(group, born, interval);
            increments.sort_by_key(|increment| increment.at);
            for increment in &increments {
                let since = increment.at.saturating_sub(first_sample);
                let scrapes = windows.entry(since / window.max(1)).or_default();
                let pods = scrapes.entry(since / interval.max(1)).or_insert_with(|| vec![Tally::default(); positions.len()]);
                pods[*position].add(increment.tally);
            }
            served.push(cumulative(group, &increments, first_sample));
        }
        let last = served.iter().filter_map(|samples| samples.last()).map(|sample| sample.at).max().unwrap_or_default();
        let sane = |pods: Vec<Tally>| pods.into_iter().map(Tally::sane).collect();
        Self {
            windows: windows.into_values().map(|scrapes| scrapes.into_values().map(sane).collect()).collect(),
            interval: Duration::from_millis(interval.unsigned_abs()),
            shares: evenness::windows(&served, Duration::ZERO, last),
        }
    }

    /// How one kind of event clusters, told by which counts.
    pub fn dispersion(&self, of: fn(Tally) -> Counts) -> Measured {
        let windows: Vec<Vec<Vec<Counts>>> =
            self.windows.iter().map(|scrapes| scrapes.iter().map(|pods| pods.iter().map(|tally| of(*tally)).collect()).collect()).collect();
        measure(&windows)
    }

    pub fn evenness(&self) -> Option<Evenness> {
        evenness::evenness(&self.shares)
    }

    /// Each look at a pod: how long it was, and how many requests it saw.
    pub fn looks(&self) -> impl Iterator<Item = (Duration, f64)> {
        self.windows.iter().flatten().flatten().map(|tally| (self.interval, tally.requests))
    }

    pub fn requests(&self) -> f64 {
        self.windows.iter().flatten().flatten().map(|tally| tally.requests).sum()
    }
}

/// What a pod had served by each time that it was scraped.
fn cumulative(group: &Group<'_>, increments: &[increments::Increment], first_sample: i64) -> Vec<evenness::Sample> {
    let (mut value, mut increments) = (0.0, increments.iter().peekable());
    let mut samples = Vec::with_capacity(group.times.len());
    for at in &group.times {
        while let Some(increment) = increments.next_if(|increment| increment.at <= *at) {
            value += increment.tally.requests;
        }
        samples.push(evenness::Sample { at: Duration::from_millis(at.saturating_sub(first_sample).unsigned_abs()), value });
    }
    samples
}
