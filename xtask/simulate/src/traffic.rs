//! Simulated traffic: pods behind one Service, their errors, and what a scraper sees of them.
//!
//! A Service spreads Poisson arrivals evenly, so each pod's good and failed requests are Poisson counts of their own, exactly; over an interval
//! only the integral of the error rate matters. So an interval between two scrapes is drawn at once, whatever happens inside it.

use std::time::Duration;

use crate::random::Random;
use crate::statistics::{Counts, Dispersion, Look, Parameters, dispersion};

/// How errors clump together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clustering {
    Independent,
    /// A beta-distributed rate per pod and scrape, with this correlation within one.
    BetaBinomial {
        correlation: f64,
    },
    /// Errors come in bursts of geometric size on one pod.
    Bursts {
        mean: f64,
    },
}

/// From a moment on (seconds since the canary is Ready), an error rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub from: f64,
    pub rate: f64,
}

/// Always the same rate.
pub fn steady(rate: f64) -> Vec<Step> {
    vec![Step { from: f64::NEG_INFINITY, rate }]
}

/// A rate, and another from `from` until `until`.
pub fn episode(rate: f64, from: f64, until: f64, during: f64) -> Vec<Step> {
    vec![Step { from: f64::NEG_INFINITY, rate }, Step { from, rate: during }, Step { from: until, rate }]
}

/// One situation, in which many runs are made.
#[derive(Clone, Debug)]
pub struct Setup {
    pub requests_per_second: f64,
    pub scrape: Duration,
    pub primary_pods: usize,
    /// The canary's weight in balancing; a primary pod has 1.
    pub canary_weight: f64,
    pub primary: Vec<Step>,
    pub canary: Vec<Step>,
    pub clustering: Clustering,
    /// Coefficient of variation of the pods' own error rates.
    pub pod_spread: f64,
    /// Half of all errors come from one client, which stays at one pod for so long.
    pub sticky: Option<Duration>,
    /// Chance that a scrape fails.
    pub missing: f64,
    /// Whether all pods are scraped at the same moment; else each has a random phase of its own.
    pub aligned: bool,
    /// Whether the looks are taken right after the canary's scrapes, so that what is known of the primary is older.
    pub canary_last: bool,
    pub warm_up: Duration,
    pub parameters: Parameters,
}

impl Setup {
    /// Ten primary pods and a canary, scraped together; the product's defaults for everything else.
    pub fn new(requests_per_second: f64, scrape: Duration, primary: f64, canary: f64) -> Self {
        Self {
            requests_per_second,
            scrape,
            primary_pods: 10,
            canary_weight: 1.0,
            primary: steady(primary),
            canary: steady(canary),
            clustering: Clustering::Independent,
            pod_spread: 0.0,
            sticky: None,
            missing: 0.0,
            aligned: true,
            canary_last: false,
            warm_up: Duration::ZERO,
            parameters: Parameters::default(),
        }
    }

    /// Requests per second at a pod of this weight.
    fn load(&self, weight: f64) -> f64 {
        self.requests_per_second * weight / (self.primary_pods as f64 + self.canary_weight)
    }

    /// Whether the primary's pods need not be told apart while the canary runs.
    fn pods_are_alike(&self) -> bool {
        self.clustering == Clustering::Independent && self.pod_spread <= 0.0 && self.sticky.is_none() && self.missing <= 0.0 && self.aligned
    }
}

#[derive(Clone, Debug)]
struct Pod {
    weight: f64,
    /// Its own error rate, as a multiple of the version's.
    multiple: f64,
    is_canary: bool,
    /// Where the sticky client finds it.
    index: f64,
    /// Offset of its scrapes, and the time of its last one.
    phase: f64,
    scraped: f64,
}

/// One run.
#[derive(Debug)]
pub struct Traffic<'a> {
    setup: &'a Setup,
    random: Random,
    pods: Vec<Pod>,
    now: f64,
    /// Where the sticky client is, and since when.
    sticky_pod: f64,
    sticky_period: f64,
}

const HISTORY: f64 = 3600.0;
const WINDOW: f64 = 300.0;

impl<'a> Traffic<'a> {
    pub fn new(setup: &'a Setup, random: Random) -> Self {
        let mut traffic = Self { setup, random, pods: Vec::new(), now: 0.0, sticky_pod: 0.0, sticky_period: f64::NEG_INFINITY };
        for index in 0..=setup.primary_pods {
            let is_canary = index == setup.primary_pods;
            let multiple = if setup.pod_spread > 0.0 {
                let shape = setup.pod_spread.powi(-2);
                traffic.random.gamma(shape) / shape
            } else {
                1.0
            };
            let weight = if is_canary { setup.canary_weight } else { 1.0 };
            traffic.pods.push(Pod { weight, multiple, is_canary, index: index as f64, phase: 0.0, scraped: 0.0 });
        }
        traffic
    }

    /// The hour before the canary, and what the product measures in it.
    pub fn dispersion(&mut self) -> Dispersion {
        let scrape = self.setup.scrape.as_secs_f64();
        let primaries: Vec<Pod> = self.pods.iter().filter(|pod| !pod.is_canary).cloned().collect();
        let mut scrapes: Vec<Vec<Counts>> = Vec::new();
        let mut windows: Vec<Vec<Counts>> = Vec::new();
        let mut start = -HISTORY;
        while start < 0.0 {
            self.move_sticky_client(start);
            let counts: Vec<Counts> = primaries.iter().map(|pod| self.draw(pod, start, start + scrape)).collect();
            if (start + HISTORY) % WINDOW < scrape / 2.0 {
                windows.push(vec![Counts::default(); counts.len()]);
            }
            if let Some(window) = windows.last_mut() {
                for (sum, pod) in window.iter_mut().zip(&counts) {
                    *sum = Counts::new(sum.requests + pod.requests, sum.errors + pod.errors);
                }
            }
            scrapes.push(counts);
            start += scrape;
        }
        Dispersion { scrape: dispersion(scrapes), window: dispersion(windows) }
    }

    /// The canary is Ready: its counters begin at zero, the primary's at their last scrape.
    pub fn start(&mut self) {
        let scrape = self.setup.scrape.as_secs_f64();
        if self.setup.pods_are_alike() {
            let weight = self.setup.primary_pods as f64;
            self.pods.retain(|pod| pod.is_canary);
            self.pods.push(Pod { weight, multiple: 1.0, is_canary: false, index: 0.0, phase: 0.0, scraped: 0.0 });
        }
        if self.setup.canary_last {
            // What the situation has in store comes at any moment between two scrapes of the canary.
            self.now = -self.random.uniform() * scrape;
        }
        for pod in &mut self.pods {
            let is_last = self.setup.aligned || (self.setup.canary_last && pod.is_canary);
            pod.phase = if is_last { scrape } else { self.random.uniform() * scrape };
            pod.scraped = self.now + if pod.is_canary { 0.0 } else { pod.phase - scrape };
        }
    }

    /// The increments of the next round of scrapes; without the primary's when nobody will look at them.
    pub fn next_look(&mut self, with_primary: bool) -> Look {
        let begin = self.now;
        self.now += self.setup.scrape.as_secs_f64();
        self.move_sticky_client(begin);
        let mut look = Look { interval: self.setup.scrape, warm_up: self.now <= self.setup.warm_up.as_secs_f64(), ..Look::default() };
        for index in 0..self.pods.len() {
            let pod = self.pods[index].clone();
            let is_missed = self.setup.missing > 0.0 && self.random.uniform() < self.setup.missing;
            if is_missed || !(with_primary || pod.is_canary) {
                continue;
            }
            let until = begin + pod.phase;
            let counts = self.draw(&pod, pod.scraped, until);
            self.pods[index].scraped = until;
            let side = if pod.is_canary { &mut look.canary } else { &mut look.primary };
            *side = Counts::new(side.requests + counts.requests, side.errors + counts.errors);
        }
        look
    }

    /// Seconds since the canary is Ready.
    pub fn now(&self) -> f64 {
        self.now
    }

    fn draw(&mut self, pod: &Pod, from: f64, until: f64) -> Counts {
        let steps = if pod.is_canary { &self.setup.canary } else { &self.setup.primary };
        let seconds = until - from;
        let failing = (integral(steps, from, until) * pod.multiple).min(seconds);
        let load = self.setup.load(pod.weight);
        let good = load * (seconds - failing);
        let mut failed = load * failing;
        if self.setup.sticky.is_some() {
            let everywhere = self.setup.requests_per_second * failing;
            failed = failed / 2.0 + if self.sticky_pod.to_bits() == pod.index.to_bits() { everywhere / 2.0 } else { 0.0 };
        }
        let (good, errors) = match self.setup.clustering {
            Clustering::Bursts { mean } => {
                let mut errors = 0.0;
                let mut bursts = self.random.poisson(failed / mean);
                while bursts > 0.0 {
                    errors += self.random.geometric(mean);
                    bursts -= 1.0;
                }
                (good, errors)
            }
            Clustering::BetaBinomial { correlation } if failed > 0.0 && good > 0.0 => {
                let sum = 1.0 / correlation - 1.0;
                let mean = failed / (good + failed);
                let rate = self.random.beta(mean * sum, (1.0 - mean) * sum);
                ((good + failed) * (1.0 - rate), self.random.poisson((good + failed) * rate))
            }
            Clustering::Independent | Clustering::BetaBinomial { .. } => (good, self.random.poisson(failed)),
        };
        Counts::new(self.random.poisson(good) + errors, errors)
    }

    fn move_sticky_client(&mut self, now: f64) {
        let Some(period) = self.setup.sticky else { return };
        let current = (now / period.as_secs_f64()).floor();
        if current > self.sticky_period {
            self.sticky_period = current;
            // Before the canary exists the client can only be at a primary pod.
            let pods = self.setup.primary_pods as f64 + if now < 0.0 { 0.0 } else { 1.0 };
            self.sticky_pod = self.random.pick(pods);
        }
    }
}

/// The error rate's integral: seconds of failing.
fn integral(steps: &[Step], from: f64, until: f64) -> f64 {
    let ends = steps.iter().skip(1).map(|step| step.from).chain([f64::INFINITY]);
    steps.iter().zip(ends).map(|(step, end)| (until.min(end) - from.max(step.from)).max(0.0) * step.rate).sum()
}
