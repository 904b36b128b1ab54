//! The counters of one run: which readings each needs, what its past says, and its counts as the statistics want them.

use std::time::Duration;

use super::subject::Subject;
use crate::api::policy::{ClientErrors, Policy};
use crate::metrics::counting::{Bound, Counted, History, Lacking, Reading, Tally};
use crate::metrics::discovery::{Found, LatencyError};
use crate::metrics::{moved, probes};
use crate::statistics::evenness::Evenness;
use crate::statistics::{self, Buckets, Counts, Dispersion, Measured, PodCounts, Scrapes, Timed};

/// Moments are told as times since long before anything was counted.
const BEFORE: i64 = 86_400_000;

/// One counter, and what its past says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counter {
    /// Without what is known to be no traffic.
    pub(super) found: Found,
    /// As the user knows it.
    pub(super) name: String,
    /// The readings to ask for: the errors first, then what is slower than the bounds below and above a limit.
    readings: Vec<Reading>,
    low: Option<usize>,
    high: Option<usize>,
    /// Why latency can't be judged, where that is wanted.
    latency: Option<LatencyError>,
    pub(super) past: Past,
    /// It must show the limit by its own test.
    pub(super) must_show: bool,
    /// It had hardly any requests, beside others that had.
    pub(super) is_idle: bool,
    /// The same with requests that may be traffic: which of the two it is, the past tells.
    with_more: Option<Box<Self>>,
}

/// What the primary's past hour says of a counter.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Past {
    pub(super) evenness: Option<Evenness>,
    pub(super) errors: Dispersion,
    clients: Dispersion,
    pub(super) redirects: Dispersion,
    low: Dispersion,
    high: Dispersion,
    /// Ten minutes were left out of the measure of the errors.
    pub(super) had_incident: bool,
    requests: f64,
    /// How long each look at a pod was, and how many requests it saw.
    looks: Vec<(Duration, f64)>,
}

impl Counter {
    pub(super) fn new(chosen: &Found, subject: &Subject) -> Self {
        let moved = chosen.port.and_then(|port| moved::port(&subject.pod_spec, &subject.held_pod_spec, port));
        let chosen = &moved.map_or_else(|| chosen.clone(), |other| chosen.also_at_port(other));
        let (name, limit) = (chosen.description(), subject.policy.max_latency_p99);
        let Policy { ignore_paths, .. } = &subject.policy;
        let both = [&subject.pod_spec, &subject.held_pod_spec];
        let [found, more] = [probes::without(chosen, &both, ignore_paths), probes::without_certain(chosen, ignore_paths)];
        let with_more = (found.reading != more.reading).then(|| Box::new(Self::of(more, name.clone(), limit)));
        Self { with_more, ..Self::of(found, name, limit) }
    }

    pub(super) fn idle(found: &Found, subject: &Subject) -> Self {
        Self { must_show: false, is_idle: true, with_more: None, ..Self::new(found, subject) }
    }

    fn of(found: Found, name: String, limit: Option<Duration>) -> Self {
        let (mut readings, mut low, mut high, mut latency) = (vec![found.reading.clone()], None, None, None);
        if let Some(limit) = limit {
            let mut ask = |reading: Reading| {
                readings.push(reading);
                readings.len() - 1
            };
            match found.slower_than(limit) {
                Ok(reading) => low = Some(ask(reading)),
                Err(error) => latency = Some(error),
            }
            high = found.slower_for_certain(limit).map(ask);
        }
        Self { found, name, readings, low, high, latency, past: Past::default(), must_show: true, is_idle: false, with_more: None }
    }

    pub(super) fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// What is asked of the past, once a run: with what may be traffic.
    pub(super) fn readings_of_the_past(&self) -> impl Iterator<Item = &Reading> {
        self.readings.iter().chain(self.with_more.iter().flat_map(|more| &more.readings))
    }

    /// `histories` belong to these.
    pub(super) fn remember_first(&mut self, histories: &[History], subject: &Subject, is_young: bool) {
        let (own, others) = histories.split_at(self.readings.len().min(histories.len()));
        if let (Some(mut more), Some(known), Some(all)) = (self.with_more.take(), own.first(), others.first()) {
            let seconds: f64 = all.looks().map(|(lasts, _)| lasts.as_secs_f64()).sum();
            let rates = probes::rates(&more.found, &subject.pod_spec, Some(all.interval), false);
            if probes::are_traffic((all.requests() - known.requests()) / seconds.max(1.0), &rates) {
                more.remember(others, is_young);
                *self = *more;
                return;
            }
        }
        self.remember(own, is_young);
    }

    /// `histories` belong to the readings, one by one.
    pub(super) fn remember(&mut self, histories: &[History], is_young: bool) {
        let dispersion = |measured: Measured| if is_young { measured.of_a_young_past() } else { measured.dispersion };
        let of = |at: Option<usize>| at.and_then(|at| histories.get(at)).map(|history| dispersion(history.dispersion(Tally::counts)));
        let Some(all) = histories.first() else { return };
        let errors = all.dispersion(Tally::counts);
        self.past = Past {
            evenness: all.evenness(),
            errors: dispersion(errors),
            clients: dispersion(all.dispersion(|tally| Counts::new(tally.requests, tally.clients))),
            redirects: dispersion(all.dispersion(|tally| Counts::new(tally.requests, tally.redirects))),
            low: of(self.low).unwrap_or_default(),
            high: of(self.high).unwrap_or_default(),
            had_incident: errors.incident.is_some(),
            requests: all.requests(),
            looks: all.looks().collect(),
        };
    }

    /// `counted` belong to the readings, one by one.
    pub(super) fn seen<'a>(&'a self, subject: &Subject, counted: &'a [Counted], interval: Duration) -> Option<Seen<'a>> {
        let errors = counted.first()?;
        let clock = Clock::of(errors);
        let mut parameters = statistics::CounterParameters::new(interval);
        parameters.must_show = self.must_show;
        parameters.is_idle = self.is_idle;
        let [of_primary, of_canary] = self.probes(subject, errors.scrape_interval);
        (parameters.probes, parameters.canary_probes) = (of_primary, of_canary);
        parameters.evenness = self.past.evenness;
        parameters.dispersion = self.past.errors;
        let compares = subject.policy.client_errors == ClientErrors::Compare && self.found.reading.tells_client_errors();
        parameters.client_errors = compares.then_some(self.past.clients);
        let bounds =
            subject.policy.max_latency_p99.map(|limit| (self.timed(counted, self.low, limit), self.timed(counted, self.high, limit)));
        let (low, high) = bounds.unwrap_or_default();
        let latency = match (&self.latency, &low) {
            (Some(error), _) | (None, Some(Err(error))) => Some(error.clone()),
            _ => None,
        };
        let (low, high) = (low.and_then(Result::ok), high.and_then(Result::ok));
        if low.is_some() || high.is_some() {
            let seconds = |timed: &Option<(Duration, &Counted)>| timed.map(|(bound, _)| bound.as_secs_f64());
            parameters.latency = Some(statistics::Latency {
                buckets: Buckets { promote_by: seconds(&low), reject_by: seconds(&high) },
                dispersion_of_low: self.past.low,
                dispersion_of_high: self.past.high,
            });
        }
        let counter = statistics::Counter {
            parameters,
            looks: looks(errors, clock, |tally| PodCounts { requests: tally.requests, errors: tally.errors, client_errors: tally.clients }),
            timed: timed(low.map(|(_, counted)| counted), high.map(|(_, counted)| counted), clock),
        };
        // Without its histogram nobody can tell which of its requests were slow.
        let mut lacking = errors.lacking.clone();
        lacking.extend([low, high].into_iter().flatten().flat_map(|(_, counted)| counted.lacking.iter().cloned()));
        lacking.sort();
        lacking.dedup();
        let bounds = [low, high].map(|side| side.map(|(bound, _)| bound));
        Some(Seen { counter, scrapes: clock.scrapes(errors), clock, lacking, latency, bounds, counted: errors })
    }

    /// Rates of what is no traffic, at the primary's pods and at the canary's, unless the past shows that this counter leaves it out, or nothing
    /// is known of it.
    fn probes(&self, subject: &Subject, scrape_interval: Option<i64>) -> [Vec<f64>; 2] {
        let every = scrape_interval.and_then(|interval| Some(Duration::from_millis(u64::try_from(interval).ok()?)));
        // The pods' own pages are read for a minute, and only where there is much more traffic than that.
        let rates = |pod_spec| probes::rates(&self.found, pod_spec, every, false);
        let of_primary = rates(&subject.pod_spec);
        let are_counted = !self.past.looks.is_empty() && statistics::probes::are_counted(self.past.looks.iter().copied(), &of_primary);
        if are_counted { [of_primary, rates(&subject.held_pod_spec)] } else { Default::default() }
    }

    fn timed<'a>(
        &self,
        counted: &'a [Counted],
        reading: Option<usize>,
        limit: Duration,
    ) -> Option<Result<(Duration, &'a Counted), LatencyError>> {
        let counted = counted.get(reading?)?;
        // Nothing was counted: no bound is known, and none is missed.
        if counted.bound == Bound::NotAsked {
            return Some(Ok((limit, counted)));
        }
        Some(self.found.bound(&counted.bound, limit).map(|bound| (bound, counted)))
    }
}

/// Which must show the limit by their own test: those with a good part of the requests, and all that somebody asked for by name.
pub(super) fn assign_roles(counters: &mut [Counter], are_named: bool) {
    let busy = || counters.iter().filter(|counter| !counter.is_idle);
    let requests: Vec<f64> = busy().map(|counter| counter.past.requests).collect();
    let must_show = statistics::must_show(&requests);
    if are_named || !must_show.contains(&true) {
        return;
    }
    counters.iter_mut().filter(|counter| !counter.is_idle).zip(must_show).for_each(|(counter, must_show)| counter.must_show = must_show);
}

/// One counter with all that was counted.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) counter: statistics::Counter,
    pub(super) scrapes: Scrapes,
    pub(super) clock: Clock,
    /// What the canary's series lack, so that they can't be read.
    pub(super) lacking: Vec<Lacking>,
    pub(super) latency: Option<LatencyError>,
    /// What was really held against: the bounds that promote and reject.
    pub(super) bounds: [Option<Duration>; 2],
    pub(super) counted: &'a Counted,
}

/// The source's clock, as times since a moment before all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    zero: i64,
    begun: i64,
}

impl Clock {
    fn of(counted: &Counted) -> Self {
        let begun = counted.begun.or(counted.first_scrape).or(counted.last_sample).unwrap_or_default();
        Self { zero: begun.saturating_sub(BEFORE), begun }
    }

    fn at(self, milliseconds: i64) -> Duration {
        Duration::from_millis(u64::try_from(milliseconds.saturating_sub(self.zero)).unwrap_or_default())
    }

    /// Milliseconds of the source's clock.
    pub(super) fn time(self, at: Duration) -> i64 {
        self.zero.saturating_add(i64::try_from(at.as_millis()).unwrap_or(i64::MAX))
    }

    /// How long after the canary was Ready.
    pub(super) fn since_begun(self, at: Duration) -> Duration {
        at.saturating_sub(self.at(self.begun))
    }

    fn scrapes(self, counted: &Counted) -> Scrapes {
        Scrapes {
            begun: self.at(self.begun),
            interval: counted.scrape_interval.and_then(|interval| Some(Duration::from_millis(u64::try_from(interval).ok()?))),
            primary_last: counted.primary_scrape.map(|last| self.at(last)),
            canary_failed: counted.canary_failed.map(|failed| self.at(failed)),
        }
    }
}

fn looks<T>(counted: &Counted, clock: Clock, of: impl Fn(Tally) -> T) -> Vec<statistics::CounterLook<T>> {
    let looks = counted.ends.iter().zip(&counted.looks).zip(&counted.details);
    looks
        .map(|((end, look), detail)| statistics::CounterLook {
            end: clock.at(*end),
            interval: look.interval,
            canary: of(detail.canary),
            primary: detail.primary.iter().map(|pod| Some(of(*pod))).collect(),
        })
        .collect()
}

/// Both bounds' looks as one: they are of one histogram, scraped at once.
fn timed(low: Option<&Counted>, high: Option<&Counted>, clock: Clock) -> Vec<statistics::TimedLook> {
    let by_low = |tally: Tally| Timed { requests: tally.requests, slower_than_low: tally.errors, slower_than_high: 0.0 };
    let by_high = |tally: Tally| Timed { requests: tally.requests, slower_than_low: 0.0, slower_than_high: tally.errors };
    let (Some(low), Some(high)) = (low, high) else {
        return low.map_or_else(|| high.map(|high| looks(high, clock, by_high)).unwrap_or_default(), |low| looks(low, clock, by_low));
    };
    let mut both = looks(low, clock, by_low);
    for (low, high) in both.iter_mut().zip(looks(high, clock, by_high)) {
        low.canary.slower_than_high = high.canary.slower_than_high;
        for (low, high) in low.primary.iter_mut().zip(high.primary) {
            if let (Some(low), Some(high)) = (low, high) {
                low.slower_than_high = high.slower_than_high;
            }
        }
    }
    both
}
