//! Reads the pods' own pages between two answers of the source, while a canary is new. What is read and what follows is `judging::early`'s;
//! here is only when, and that nothing is read or decided while the source is silent.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use serde_json::Value;

use super::Judge;
use crate::{
    clock,
    sources::{Place, Scope, Scraper},
};
use coalmine_core::{
    judging::{
        early::{self, Early, Round},
        verdict::{Measured, sentence},
    },
    manifest::object,
    metrics::discovery::Found,
    run::plan::{Judgement, elapsed},
    statistics::Parameters,
};

/// A page that can't be read so often in a row won't be.
const MOST_MISSED: u8 = 3;
/// Where the pods say by convention that their page is.
const PATH_ANNOTATION: &str = "/spec/template/metadata/annotations/prometheus.io~1path";
/// A wake-up may come a little early.
const EARLY_BY: Duration = Duration::from_millis(100);

/// What is remembered about the pages of one canary.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    place: Option<Place>,
    /// Addresses of those of the primary's pods that are read, by name.
    primary: BTreeMap<String, String>,
    early: Early,
    last: Option<Timestamp>,
    missed: u8,
    is_over: bool,
}

impl Rounds {
    /// When to read again; `None` if the source does alone.
    pub(super) fn next(&self, now: Timestamp) -> Option<Duration> {
        let last = self.last.filter(|_| !self.is_over)?;
        Some(early::INTERVAL.saturating_sub(elapsed(last, now)))
    }

    fn is_due(&self, now: Timestamp) -> bool {
        !self.is_over && self.last.is_none_or(|last| elapsed(last, now) + EARLY_BY >= early::INTERVAL)
    }

    /// One round. Either all pages are read or none counts: those that are missing might show what the others do.
    async fn read(&mut self, scraper: &Scraper, scope: &Scope, found: &Found, path: Option<&str>, since: Timestamp) {
        if self.place.is_none() {
            self.choose(scraper, scope, found, path).await;
        }
        let now = clock::now();
        self.last = Some(now);
        let round = self.round(scraper, scope, found, elapsed(since, now)).await;
        self.missed = if round.is_some() { 0 } else { self.missed + 1 };
        if let Some(round) = round {
            self.early.add(round);
        }
        self.is_over = self.missed >= MOST_MISSED || self.early.is_over();
    }

    async fn round(&self, scraper: &Scraper, scope: &Scope, found: &Found, at: Duration) -> Option<Round> {
        let place = self.place.as_ref()?;
        let canary = scope.pods.canary.addresses.keys().next()?;
        let addresses = std::iter::once(canary).chain(self.primary.values());
        let pages: Option<Vec<_>> =
            join_all(addresses.map(|address| scraper.read(address, place, &found.reading))).await.into_iter().collect();
        let mut pages = pages?.into_iter();
        Some(Round { at, canary: pages.next()?, primary: self.primary.keys().cloned().zip(pages).collect() })
    }

    /// Of the primary's pods those that answer: after a rollout some are on their way out. Once, so that all rounds are about the same ones.
    async fn choose(&mut self, scraper: &Scraper, scope: &Scope, found: &Found, path: Option<&str>) {
        let Some(port) = found.port else { return };
        let pods = || scope.pods.primary.addresses.iter().take(early::PRIMARY_PODS * 2);
        let places = join_all(pods().map(|(address, _)| scraper.find(address, port, path, &found.reading))).await;
        self.place = places.iter().flatten().next().cloned();
        let there = pods().zip(places).filter(|(_, place)| place.is_some() && *place == self.place);
        self.primary = there.map(|((address, pod), _)| (pod.clone(), address.clone())).take(early::PRIMARY_PODS).collect();
    }
}

impl Judge<'_> {
    /// A rejection, if the pages alone are enough for it.
    pub(super) async fn early(&mut self, scope: &Scope) -> Option<Judgement> {
        let (scraper, found) = (self.context.sources.scraper.as_ref()?, self.memory.found.as_ref()?);
        let rounds = &mut self.memory.rounds;
        if found.port.is_none() || !rounds.is_due(clock::now()) {
            return None;
        }
        let path = self.primary.pointer(PATH_ANNOTATION).and_then(Value::as_str);
        rounds.read(scraper, scope, found, path, self.since).await;
        if rounds.is_over {
            tracing::debug!(
                name = object::name(self.primary),
                looks = rounds.early.looks(),
                missed = rounds.missed,
                "pages are read no more"
            );
        }
        let policy = self.seen.policy();
        let dispersion = self.memory.dispersion.unwrap_or_default();
        let measures = if policy.max_latency_p99.is_some() { 2 } else { 1 };
        let parameters = Parameters { dispersion, ..Parameters::default() }.with_limit(policy.max_error_rate).shared_by(measures);
        let served = elapsed(self.since, clock::now());
        let analysis = self.memory.rounds.early.rejection(parameters, served)?;
        let words = sentence(Measured::ErrorRate, &analysis, served);
        Some(Judgement::Reject(format!("{words}; counted on the pods' own pages")))
    }
}
