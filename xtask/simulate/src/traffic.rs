//! Simulated traffic: pods behind one Service, their errors, and what a scraper sees of them.
//!
//! A Service spreads Poisson arrivals evenly, so each pod's good and failed requests are Poisson counts of their own, exactly; over an interval
//! only the integral of the error rate matters. So an interval between two scrapes is drawn at once, whatever happens inside it.

mod draw;
mod past;
mod scraped;

use std::time::Duration;

use crate::random::Random;
use crate::setup::Setup;
use crate::statistics::{CounterLook, Counts, Look, PodCounts, Scrapes, Timed, TimedLook};
pub(crate) use draw::Drawn;
use draw::Visitor;
pub use past::Past;
pub(crate) use scraped::Scrape;

/// Before the canary is Ready.
const HISTORY: f64 = 3600.0;

#[derive(Clone, Debug)]
struct Pod {
    weight: f64,
    /// Its own error rate, as a multiple of the version's.
    multiple: f64,
    is_canary: bool,
    /// Where a sticky client finds it.
    index: f64,
    /// Offset of its scrapes, and the time of its last one.
    phase: f64,
    scraped: f64,
    /// When it comes and goes.
    born: f64,
    gone: f64,
    /// Its load of this minute, as a multiple, and which minute that is.
    minute: f64,
    minutes_load: f64,
}

/// What one round of scrapes brings.
#[derive(Clone, Debug)]
pub struct Round {
    /// The canary's requests, whether or not anybody saw them.
    pub canary: Counts,
    /// What was scraped; nothing in a round in which the canary's page did not answer.
    pub look: Option<(CounterLook, TimedLook)>,
}

/// One run.
#[derive(Debug)]
pub struct Traffic<'a> {
    setup: &'a Setup,
    random: Random,
    pods: Vec<Pod>,
    now: f64,
    /// The client of whom half of the errors are, and the crawler.
    sticky: Visitor,
    crawler: Visitor,
    /// Seen of the primary since the canary's last scrape.
    pending: Vec<Option<Drawn>>,
    last_end: f64,
    primary_last: Option<f64>,
    canary_failed: Option<f64>,
}

impl<'a> Traffic<'a> {
    pub fn new(setup: &'a Setup, random: Random) -> Self {
        let mut traffic = Self {
            setup,
            random,
            pods: Vec::new(),
            now: 0.0,
            sticky: Visitor::new(setup.sticky),
            crawler: Visitor::new(setup.shape.crawler.map(|crawler| crawler.stays)),
            pending: Vec::new(),
            last_end: 0.0,
            primary_last: None,
            canary_failed: None,
        };
        for index in 0..=setup.primary_pods {
            let is_canary = index == setup.primary_pods;
            let multiple = if setup.pod_spread > 0.0 {
                let shape = setup.pod_spread.powi(-2);
                traffic.random.gamma(shape) / shape
            } else {
                1.0
            };
            let weight = if is_canary { setup.canary_weight } else { 1.0 };
            traffic.pods.push(Pod::new(index, weight, multiple, is_canary));
        }
        traffic
    }

    /// The canary is Ready, and nobody tells the primary's pods apart.
    pub fn start(&mut self) {
        if self.setup.pods_are_alike() {
            let weight = self.setup.primary_pods as f64;
            self.pods.retain(|pod| pod.is_canary);
            self.pods.push(Pod::new(0, weight, 1.0, false));
        }
        self.start_by_pod();
    }

    /// The canary is Ready: its counters begin at zero, the primary's at their last scrape.
    pub fn start_by_pod(&mut self) {
        let scrape = self.setup.scrape.as_secs_f64();
        self.scale();
        if self.setup.canary_last {
            // What the situation has in store comes at any moment between two scrapes of the canary.
            self.now = -self.random.uniform() * scrape;
        }
        for pod in &mut self.pods {
            let is_last = self.setup.aligned || (self.setup.canary_last && pod.is_canary);
            pod.phase = if is_last { scrape } else { self.random.uniform() * scrape };
            pod.scraped = self.now + if pod.is_canary { 0.0 } else { pod.phase - scrape };
        }
        self.last_end = self.now;
        self.pending = vec![None; self.pods.len()];
    }

    /// Pods that come or go while the canary runs.
    fn scale(&mut self) {
        let Some(scaling) = self.setup.shape.scaling else { return };
        let before = self.setup.primary_pods;
        for pod in self.pods.iter_mut().filter(|pod| !pod.is_canary).skip(scaling.pods) {
            pod.gone = scaling.at;
        }
        for index in before..scaling.pods {
            self.pods.push(Pod { born: scaling.at, ..Pod::new(index + 1, 1.0, 1.0, false) });
        }
    }

    /// The next round as one look; without the primary's when nobody will look at them.
    pub fn next_look(&mut self, with_primary: bool) -> Look {
        let mut look = Look { interval: self.setup.scrape, ..Look::default() };
        self.next_scrapes(with_primary, |is_canary, _, drawn| {
            let side = if is_canary { &mut look.canary } else { &mut look.primary };
            if let Some(drawn) = drawn {
                side.add(drawn.counts());
            }
        });
        look.warm_up = self.now <= self.setup.warm_up.as_secs_f64();
        look
    }

    /// The next round, pod by pod.
    pub fn next_round(&mut self, with_primary: bool) -> Round {
        let mut canary = Counts::default();
        let mut pending = std::mem::take(&mut self.pending);
        let mut seen: Option<Drawn> = None;
        let unscraped = self.setup.shape.unscraped_from.is_some_and(|from| self.now + self.canary_phase() > from);
        self.next_scrapes(with_primary, |is_canary, index, drawn| {
            if is_canary {
                seen = drawn;
            } else if let Some(drawn) = drawn {
                let pod = pending[index].get_or_insert_default();
                *pod = pod.plus(drawn);
            }
        });
        if let Some(seen) = seen {
            canary = seen.counts();
        }
        let end = self.now - self.setup.scrape.as_secs_f64() + self.canary_phase();
        let Some(seen) = seen.filter(|_| !unscraped) else {
            self.canary_failed = Some(end);
            self.pending = pending;
            return Round { canary, look: None };
        };
        let primary: Vec<Option<Drawn>> = self.pods.iter().zip(pending).filter(|(pod, _)| !pod.is_canary).map(|(_, drawn)| drawn).collect();
        self.pending = vec![None; self.pods.len()];
        let interval = Duration::from_secs_f64((end - self.last_end).max(0.001));
        self.last_end = end;
        let counts = CounterLook {
            end: moment(end),
            interval,
            canary: seen.pod,
            primary: primary.iter().map(|drawn| drawn.map(|drawn| drawn.pod)).collect(),
        };
        let timed = CounterLook {
            end: moment(end),
            interval,
            canary: seen.timed,
            primary: primary.iter().map(|drawn| drawn.map(|drawn| drawn.timed)).collect(),
        };
        Round { canary, look: Some((counts, timed)) }
    }

    fn canary_phase(&self) -> f64 {
        self.pods.iter().find(|pod| pod.is_canary).map_or(0.0, |pod| pod.phase)
    }

    fn next_scrapes(&mut self, with_primary: bool, mut see: impl FnMut(bool, usize, Option<Drawn>)) {
        let begin = self.now;
        self.now += self.setup.scrape.as_secs_f64();
        self.move_visitors(begin);
        for index in 0..self.pods.len() {
            let pod = self.pods[index].clone();
            let is_missed = self.setup.missing > 0.0 && self.random.uniform() < self.setup.missing;
            let until = (begin + pod.phase).min(pod.gone);
            if is_missed || !(with_primary || pod.is_canary) || until <= pod.scraped.max(pod.born) {
                see(pod.is_canary, index, None);
                continue;
            }
            let drawn = self.draw(index, pod.scraped.max(pod.born), until);
            self.pods[index].scraped = until;
            if !pod.is_canary {
                self.primary_last = Some(self.primary_last.map_or(until, |last| last.max(until)));
            }
            see(pod.is_canary, index, Some(drawn));
        }
    }

    /// Seconds since the canary is Ready.
    pub fn now(&self) -> f64 {
        self.now
    }

    /// What the source knows of scrapes.
    pub fn scrapes(&self) -> Scrapes {
        Scrapes {
            begun: moment(0.0),
            interval: Some(self.setup.scrape),
            primary_last: self.primary_last.map(moment),
            canary_failed: self.canary_failed.map(moment),
        }
    }
}

/// By the source's clock, which began with the hour before.
fn moment(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(HISTORY + seconds).unwrap_or_default()
}

impl Pod {
    fn new(index: usize, weight: f64, multiple: f64, is_canary: bool) -> Self {
        Self {
            weight,
            multiple,
            is_canary,
            index: index as f64,
            phase: 0.0,
            scraped: 0.0,
            born: f64::NEG_INFINITY,
            gone: f64::INFINITY,
            minute: f64::NEG_INFINITY,
            minutes_load: 1.0,
        }
    }
}
