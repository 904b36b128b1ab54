//! When the pods' metrics pages are read, and which pods': between two answers of the source, while a canary is new. What follows from them is
//! decided in `early`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::early::{self, Early, Round};
use super::question::Question;
use crate::metrics::counting::Scope;
use crate::metrics::discovery::Found;
use crate::metrics::pages::{Hints, Place};
use crate::run::times::elapsed;
use crate::statistics::Counts;

/// A page that can't be read so often in a row won't be.
const MOST_MISSED: u8 = 3;
/// A wake-up may come a little early.
const EARLY_BY: Duration = Duration::from_millis(100);

/// What is remembered about the pages of one canary.
#[derive(Debug, Clone, Default)]
pub(super) struct Rounds {
    place: Option<Place>,
    /// Addresses of those of the primary's pods that are read, by name.
    primary: BTreeMap<String, String>,
    pub(super) early: Early,
    last: Option<Timestamp>,
    /// When the pages were asked for that are not there yet.
    under_way: Option<Timestamp>,
    missed: u8,
    is_over: bool,
}

impl Rounds {
    /// When to read again; `None` if the source does alone.
    pub(super) fn next(&self, now: Timestamp) -> Option<Duration> {
        let last = self.last.filter(|_| !self.is_over)?;
        Some(early::INTERVAL.saturating_sub(elapsed(last, now)))
    }

    /// What is to be read now, if anything.
    pub(super) fn question(&mut self, scope: &Scope, found: &Found, hints: &Hints, now: Timestamp) -> Option<Question> {
        let is_due = self.under_way.is_some() || self.last.is_none_or(|last| elapsed(last, now) + EARLY_BY >= early::INTERVAL);
        let port = found.port.filter(|_| !self.is_over && is_due)?;
        let reading = found.reading.clone();
        let Some(place) = self.place.clone() else {
            let addresses = candidates(scope).map(|(address, _)| address.clone()).collect();
            return Some(Question::Places { addresses, places: hints.at(port), reading });
        };
        let Some(canary) = scope.pods.canary.addresses.keys().next() else {
            self.last = Some(now);
            self.miss();
            return None;
        };
        self.under_way.get_or_insert(now);
        let addresses = std::iter::once(canary).chain(self.primary.values()).cloned().collect();
        Some(Question::Pages { addresses, place, reading })
    }

    /// Of the primary's pods those that answer: after a rollout some are on their way out. Once, so that all rounds are about the same ones.
    pub(super) fn places(&mut self, scope: &Scope, places: Vec<Option<Place>>, now: Timestamp) {
        self.place = places.iter().flatten().next().cloned();
        let there = candidates(scope).zip(places).filter(|(_, place)| place.is_some() && *place == self.place);
        self.primary = there.map(|((address, pod), _)| (pod.clone(), address.clone())).take(early::PRIMARY_PODS).collect();
        if self.place.is_none() {
            self.last = Some(now);
            self.miss();
        }
    }

    /// Either all pages are read or none counts: those that are missing might show what the others do.
    pub(super) fn pages(&mut self, pages: Vec<Option<Counts>>, since: Timestamp) {
        self.last = self.under_way.take().or(self.last);
        let at = self.last.map(|last| elapsed(since, last)).unwrap_or_default();
        let mut pages = pages.into_iter().collect::<Option<Vec<_>>>().unwrap_or_default().into_iter();
        let Some(canary) = pages.next() else { return self.miss() };
        self.missed = 0;
        self.early.add(Round { at, canary, primary: self.primary.keys().cloned().zip(pages).collect() });
        self.is_over = self.early.is_over();
    }

    pub(super) fn miss(&mut self) {
        self.last = self.under_way.take().or(self.last);
        self.missed += 1;
        self.is_over |= self.missed >= MOST_MISSED;
    }
}

fn candidates(scope: &Scope) -> impl Iterator<Item = (&String, &String)> {
    scope.pods.primary.addresses.iter().take(early::PRIMARY_PODS * 2)
}
