//! The pages of one side: which pods are read, and where their pages are. Every place is tried once on one pod, and what is found is kept for
//! all of them: pods of one template are alike.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::draw;
use super::{Read, Target};
use crate::judging::scope::Pod;
use crate::metrics::counting::twins::ONE_START;
use crate::metrics::counting::{FACTS, Labels, PROCESS_START};
use crate::metrics::pages::{Page, Place};

/// A pod has no more pages that matter.
const MOST_PLACES: usize = 3;
/// The maximum number of places that are named when nothing was found.
const MOST_NAMED: usize = 4;
/// After this number of rounds without a page, it is looked for less often.
const SEARCHES: usize = 10;
/// Two pages that are read a moment apart may differ by as much and be of one registry.
const SAME: f64 = 0.02;
const SAME_COUNT: f64 = 20.0;

#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    drawn: Vec<Pod>,
    places: Vec<Place>,
    searches: usize,
    /// What came of each place that was tried in vain.
    missed: BTreeMap<Place, String>,
    is_silent: bool,
}

impl Side {
    pub(super) fn draw(&mut self, pods: impl Iterator<Item = Pod>, most: usize) {
        self.drawn = draw::draw(&self.drawn, pods, most);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.drawn.is_empty()
    }

    pub(super) fn is_searching(&self) -> bool {
        !self.drawn.is_empty() && self.places.is_empty() && self.searches < SEARCHES
    }

    pub(super) fn is_older(&self, pod: &str, than: Timestamp) -> bool {
        self.drawn.iter().find(|known| known.name == pod).and_then(|known| known.created).is_some_and(|created| created <= than)
    }

    pub(super) fn targets(&self, is_canary: bool) -> impl Iterator<Item = Target> {
        // While it is searched, one pod, and another at each search.
        let one = self.searches.checked_rem(self.drawn.len()).and_then(|one| self.drawn.get(one));
        let pods: Vec<&Pod> = if self.places.is_empty() { one.into_iter().collect() } else { self.drawn.iter().collect() };
        pods.into_iter().flat_map(move |pod| {
            let places = if self.places.is_empty() { &pod.places } else { &self.places };
            let address = pod.address.clone().unwrap_or_default();
            places.iter().map(move |place| Target { address: address.clone(), place: place.clone(), pod: pod.name.clone(), is_canary })
        })
    }

    /// What counts of it.
    pub(super) fn took(&mut self, results: Vec<(Target, Read)>) -> Vec<(Target, Read)> {
        if !self.places.is_empty() {
            return results;
        }
        if !self.drawn.is_empty() {
            self.searches += 1;
        }
        self.places = found(&results);
        for (target, read) in &results {
            let words = match read {
                Read::Page(_) => continue,
                Read::Silent => "no answer".to_owned(),
                Read::Refused(words) => words.clone(),
            };
            self.is_silent |= matches!(read, Read::Silent);
            self.missed.insert(target.place.clone(), words);
        }
        results.into_iter().filter(|(target, _)| self.places.contains(&target.place)).collect()
    }

    /// Where its pages were looked for, what came of it, and what would help; and whether somebody may be there who doesn't answer.
    pub(super) fn tried(&self, is_alone: bool) -> (String, bool) {
        if self.missed.is_empty() {
            let words = match self.drawn.first() {
                None => "none of them is Ready".to_owned(),
                Some(_) => "their containers declare no port, or the template says prometheus.io/scrape: \"false\"; the annotation prometheus.io/port names one".to_owned(),
            };
            return (words, self.drawn.is_empty() && !is_alone);
        }
        let mut named: Vec<String> = self.missed.iter().take(MOST_NAMED).map(|(place, words)| format!("{place} ({words})")).collect();
        let more = self.missed.len().saturating_sub(MOST_NAMED);
        named.extend((more > 0).then(|| format!("{more} more")));
        let help = if self.is_silent {
            "does a NetworkPolicy keep Coalmine out? Else name port and path by the annotations prometheus.io/port and prometheus.io/path"
        } else {
            "name port and path by the annotations prometheus.io/port and prometheus.io/path on the template, or give Coalmine a Prometheus"
        };
        (format!("tried {}; {help}", named.join(", ")), self.is_silent)
    }
}

/// The places that have pages: with counters of requests, if any has them, and of one registry that is served twice the first.
fn found(results: &[(Target, Read)]) -> Vec<Place> {
    let mut by_port: BTreeMap<u16, (usize, &Place, &Page)> = BTreeMap::new();
    for (order, (target, read)) in results.iter().enumerate() {
        let Read::Page(page) = read else { continue };
        let known = by_port.get(&target.place.port);
        if known.is_none_or(|(_, _, known)| !has_counters(known) && has_counters(page)) {
            by_port.insert(target.place.port, (order, &target.place, page));
        }
    }
    let mut pages: Vec<(usize, &Place, &Page)> = by_port.into_values().collect();
    pages.sort_by_key(|(order, _, _)| *order);
    let any_has = pages.iter().any(|(_, _, page)| has_counters(page));
    let mut kept: Vec<(&Place, &Page)> = Vec::new();
    for (_, place, page) in pages {
        if (!any_has || has_counters(page)) && !kept.iter().any(|(_, other)| are_one(page, other)) && kept.len() < MOST_PLACES {
            kept.push((place, page));
        }
    }
    kept.into_iter().map(|(place, _)| place.clone()).collect()
}

fn counters(page: &Page) -> impl Iterator<Item = (&Labels, &f64)> {
    page.series.iter().filter(|(labels, _)| labels.get("__name__").is_some_and(|name| !FACTS.contains(&name.as_str())))
}

fn has_counters(page: &Page) -> bool {
    counters(page).next().is_some()
}

/// One registry of one process, served at two ports. Where that isn't told the judge has more to go by.
fn are_one(page: &Page, other: &Page) -> bool {
    let start = |page: &Page| {
        page.series.iter().find(|(labels, _)| labels.get("__name__").is_some_and(|name| name == PROCESS_START)).map(|(_, at)| *at)
    };
    let is_one_process = start(page).zip(start(other)).is_some_and(|(one, other)| (one - other).abs() < ONE_START);
    let alike = |one: f64, other: f64| (one - other).abs() <= SAME_COUNT + SAME * one.max(other);
    is_one_process
        && has_counters(page)
        && counters(page).count() == counters(other).count()
        && counters(page).zip(counters(other)).all(|((labels, value), (others, other))| labels == others && alike(*value, *other))
}
