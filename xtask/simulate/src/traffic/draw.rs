//! The requests of one pod between two scrapes.

use std::time::Duration;

use super::{Counts, PodCounts, Timed, Traffic};
use crate::steps::{Clustering, Step};

/// What a pod counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drawn {
    pub(crate) pod: PodCounts,
    pub(crate) timed: Timed,
}

impl Drawn {
    pub(super) fn counts(self) -> Counts {
        Counts::new(self.pod.requests, self.pod.errors)
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            pod: PodCounts {
                requests: self.pod.requests + other.pod.requests,
                errors: self.pod.errors + other.pod.errors,
                client_errors: self.pod.client_errors + other.pod.client_errors,
            },
            timed: Timed {
                requests: self.timed.requests + other.timed.requests,
                slower_than_low: self.timed.slower_than_low + other.timed.slower_than_low,
                slower_than_high: self.timed.slower_than_high + other.timed.slower_than_high,
            },
        }
    }
}

/// A client that stays at one pod for some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    stays: Option<Duration>,
    pod: f64,
    period: f64,
}

impl Visitor {
    pub(super) fn new(stays: Option<Duration>) -> Self {
        Self { stays, pod: 0.0, period: f64::NEG_INFINITY }
    }

    fn is_at(&self, index: f64) -> bool {
        self.stays.is_some() && self.pod.to_bits() == index.to_bits()
    }
}

impl Traffic<'_> {
    pub(super) fn move_visitors(&mut self, now: f64) {
        // Before the canary exists a client can only be at a primary pod.
        let pods = self.setup.primary_pods as f64 + if now < 0.0 { 0.0 } else { 1.0 };
        for visitor in [&mut self.sticky, &mut self.crawler] {
            let Some(stays) = visitor.stays else { continue };
            let current = (now / stays.as_secs_f64()).floor();
            if current > visitor.period {
                visitor.period = current;
                visitor.pod = self.random.pick(pods);
            }
        }
    }

    pub(super) fn draw(&mut self, index: usize, from: f64, until: f64) -> Drawn {
        let load = self.load(index, from, until);
        let pod = &self.pods[index];
        let (is_canary, multiple, place) = (pod.is_canary, pod.multiple, pod.index);
        let steps = if is_canary { &self.setup.canary } else { &self.setup.primary };
        let shape = &self.setup.shape;
        let requests = load.requests();
        let mut failed = load.of(multiple, steps).min(requests);
        let client_errors = load.of(1.0, shape.client_errors.of(is_canary));
        let good = requests - failed;
        if self.sticky.stays.is_some() {
            let everywhere = self.setup.requests_per_second * load.seconds_of(multiple, steps);
            failed = failed / 2.0 + if self.sticky.is_at(place) { everywhere / 2.0 } else { 0.0 };
        }
        let crawled =
            shape.crawler.filter(|_| self.crawler.is_at(place)).map_or(0.0, |crawler| crawler.requests_per_second * load.seconds());
        let slow = shape.slow.as_ref().map(|slow| {
            let high = load.of(1.0, slow.than_high.of(is_canary));
            (slow.clustering, high, (load.of(1.0, slow.than_low.of(is_canary)) - high).max(0.0))
        });
        let (good, errors) = self.clustered(self.setup.clustering, good, failed);
        let mut counted = PodCounts { requests: self.random.poisson(good) + errors, errors, client_errors: 0.0 };
        if client_errors + crawled > 0.0 {
            let missing = self.random.poisson(client_errors).min(counted.requests - counted.errors);
            let crawled = self.random.poisson(crawled);
            counted.client_errors = missing + crawled;
            counted.requests += crawled;
        }
        let timed = slow.map_or_else(Timed::default, |(clustering, high, between)| {
            let (_, high) = self.clustered(clustering, requests, high);
            let (_, between) = self.clustered(clustering, requests, between);
            let requests = counted.requests.max(high + between);
            Timed { requests, slower_than_low: high + between, slower_than_high: high }
        });
        Drawn { pod: counted, timed }
    }

    /// Good and failed requests: the mean of the good ones, and how many failed.
    fn clustered(&mut self, clustering: Clustering, good: f64, failed: f64) -> (f64, f64) {
        match clustering {
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
        }
    }

    fn load(&mut self, index: usize, from: f64, until: f64) -> Load {
        let shape = &self.setup.shape;
        let per_second = self.setup.load(self.pods[index].weight);
        let mut parts = vec![(from, until, per_second)];
        let mut multiply = |steps: &[Step]| {
            if !steps.is_empty() {
                parts = parts.iter().flat_map(|part| split(*part, steps)).collect();
            }
        };
        multiply(&shape.load);
        if self.pods[index].is_canary {
            multiply(&shape.canary_load);
        }
        if let Some(scaling) = shape.scaling {
            let weight = self.setup.canary_weight;
            let rate = (self.setup.primary_pods as f64 + weight) / (scaling.pods as f64 + weight);
            multiply(&[Step { from: f64::NEG_INFINITY, rate: 1.0 }, Step { from: scaling.at, rate }]);
        }
        if shape.uneven > 0.0 {
            let minute = (until / 60.0).floor();
            if self.pods[index].minute < minute {
                let gamma = shape.uneven.powi(-2);
                self.pods[index].minute = minute;
                self.pods[index].minutes_load = self.random.gamma(gamma) / gamma;
            }
            let multiple = self.pods[index].minutes_load;
            for part in &mut parts {
                part.2 *= multiple;
            }
        }
        Load(parts)
    }
}

/// Parts of an interval, each with its requests per second.
struct Load(Vec<(f64, f64, f64)>);

impl Load {
    fn requests(&self) -> f64 {
        self.0.iter().map(|(from, until, per_second)| per_second * (until - from)).sum()
    }

    /// Requests of which the steps, times a multiple, are the share.
    fn of(&self, multiple: f64, steps: &[Step]) -> f64 {
        let failing = |from: f64, until: f64| (integral(steps, from, until) * multiple).min(until - from);
        self.0.iter().map(|&(from, until, per_second)| per_second * failing(from, until)).sum()
    }

    fn seconds_of(&self, multiple: f64, steps: &[Step]) -> f64 {
        self.0.iter().map(|&(from, until, _)| (integral(steps, from, until) * multiple).min(until - from)).sum()
    }

    fn seconds(&self) -> f64 {
        self.0.iter().map(|(from, until, _)| until - from).sum()
    }
}

fn split((from, until, per_second): (f64, f64, f64), steps: &[Step]) -> Vec<(f64, f64, f64)> {
    let ends = steps.iter().skip(1).map(|step| step.from).chain([f64::INFINITY]);
    let part = |(step, end): (&Step, f64)| (from.max(step.from), until.min(end), per_second * step.rate);
    steps.iter().zip(ends).map(part).filter(|(from, until, _)| until > from).collect()
}

/// The error rate's integral: seconds of failing.
fn integral(steps: &[Step], from: f64, until: f64) -> f64 {
    let ends = steps.iter().skip(1).map(|step| step.from).chain([f64::INFINITY]);
    steps.iter().zip(ends).map(|(step, end)| (until.min(end) - from.max(step.from)).max(0.0) * step.rate).sum()
}
