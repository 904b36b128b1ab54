//! The primary's own past, for the dispersion of its errors: counts of each pod in windows of equal length. The same rules of counting as
//! for the run itself, without a canary.

use std::collections::{BTreeMap, BTreeSet};

use super::groups::{self, Group};
use super::{Pods, Reading, Role, Series, Tally, increments};
use crate::statistics::Counts;

/// Counts of the primary's pods over the past, by scrape and by window: what the dispersion of errors is measured on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    pub scrapes: Vec<Vec<Counts>>,
    pub windows: Vec<Vec<Counts>>,
}

/// One entry for each window in which something was requested, with one count for each pod of the primary that was seen by then.
/// `window` is in milliseconds; without one, each scrape interval is a window.
pub fn history(series: &[Series], pods: &Pods, reading: &Reading, window: Option<i64>) -> Vec<Vec<Counts>> {
    let mut groups = groups::chosen(series, pods, reading);
    groups.retain(|group| group.role == Role::Primary);
    let Some(interval) = groups::interval(&groups) else { return Vec::new() };
    let window = window.unwrap_or(interval).max(1);
    let first_sample = groups.iter().filter_map(Group::first).min().unwrap_or_default();

    let names: BTreeSet<&str> = groups.iter().map(|group| group.pod.as_str()).collect();
    let positions: BTreeMap<&str, usize> = names.into_iter().zip(0..).collect();
    let mut windows: BTreeMap<i64, Vec<Tally>> = BTreeMap::new();
    for group in &groups {
        let born = group.born_after(first_sample, Some(interval));
        for increment in increments::of(group, born, interval) {
            let counts = windows
                .entry(increment.at.saturating_sub(first_sample) / window)
                .or_insert_with(|| vec![Tally::default(); positions.len()]);
            if let Some(counts) = positions.get(group.pod.as_str()).and_then(|position| counts.get_mut(*position)) {
                counts.add(increment.tally);
            }
        }
    }
    windows.into_values().map(|pods| pods.into_iter().map(|tally| tally.sane().counts()).collect()).collect()
}
