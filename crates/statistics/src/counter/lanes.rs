//! Takes the probes off the looks of both sides, each pod by itself.

use std::time::Duration;

use super::super::latency::Timed;
use super::super::probes::Probes;
use super::{CounterLook, PodCounts};

/// What a pod counted in a look.
pub(super) trait Counted: Copy + Default {
    fn requests(self) -> f64;
    /// What can't be taken off: a probe that failed is a failure.
    fn failed(self) -> f64;
    #[must_use]
    fn with_requests(self, requests: f64) -> Self;
    /// Never negative, never not a number, and never more failures than requests.
    #[must_use]
    fn sane(self) -> Self;
    #[must_use]
    fn plus(self, other: Self) -> Self;
}

fn finite(count: f64) -> f64 {
    if count.is_finite() { count.max(0.0) } else { 0.0 }
}

impl Counted for PodCounts {
    fn requests(self) -> f64 {
        self.requests
    }

    fn failed(self) -> f64 {
        self.errors + self.client_errors
    }

    fn with_requests(self, requests: f64) -> Self {
        Self { requests, ..self }
    }

    fn sane(self) -> Self {
        let requests = finite(self.requests);
        let errors = finite(self.errors).min(requests);
        Self { requests, errors, client_errors: finite(self.client_errors).min(requests - errors) }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            errors: self.errors + other.errors,
            client_errors: self.client_errors + other.client_errors,
        }
    }
}

impl Counted for Timed {
    fn requests(self) -> f64 {
        self.requests
    }

    fn failed(self) -> f64 {
        self.slower_than_low.max(self.slower_than_high)
    }

    fn with_requests(self, requests: f64) -> Self {
        Self { requests, ..self }
    }

    fn sane(self) -> Self {
        let requests = finite(self.requests);
        let slower = |count: f64| finite(count).min(requests);
        Self { requests, slower_than_low: slower(self.slower_than_low), slower_than_high: slower(self.slower_than_high) }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            slower_than_low: self.slower_than_low + other.slower_than_low,
            slower_than_high: self.slower_than_high + other.slower_than_high,
        }
    }
}

/// One pod: its probes, and how long it wasn't scraped.
#[derive(Clone, Debug)]
struct Lane {
    probes: Probes,
    waited: Duration,
}

impl Lane {
    fn take_off<T: Counted>(&mut self, interval: Duration, counts: Option<T>) -> Option<T> {
        self.waited = self.waited.saturating_add(interval);
        let counts = counts?.sane();
        let waited = std::mem::take(&mut self.waited);
        Some(counts.with_requests(self.probes.take_off(waited, counts.requests(), counts.failed())))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Lanes {
    probes: Probes,
    canary: Lane,
    primary: Vec<Lane>,
}

impl Lanes {
    pub(super) fn new(canary: &[f64], primary: &[f64]) -> Self {
        let canary = Lane { probes: Probes::new(canary), waited: Duration::ZERO };
        Self { canary, probes: Probes::new(primary), primary: Vec::new() }
    }

    /// The canary's pod has.
    pub(super) fn have_probes(&self) -> bool {
        !self.canary.probes.are_none()
    }

    /// Pods of the primary that were ever seen.
    pub(super) fn pods(&self) -> usize {
        self.primary.len()
    }

    /// The same look without probes.
    pub(super) fn take_off<T: Counted>(&mut self, look: &CounterLook<T>) -> CounterLook<T> {
        let canary = self.canary.take_off(look.interval, Some(look.canary)).unwrap_or_default();
        while self.primary.len() < look.primary.len() {
            self.primary.push(Lane { probes: self.probes.clone(), waited: Duration::ZERO });
        }
        let counts = look.primary.iter().copied().chain(std::iter::repeat(None));
        let mut primary: Vec<Option<T>> =
            self.primary.iter_mut().zip(counts).map(|(lane, counts)| lane.take_off(look.interval, counts)).collect();
        primary.truncate(look.primary.len());
        CounterLook { canary, primary, end: look.end, interval: look.interval }
    }
}

pub(super) fn sum<T: Counted>(pods: &[Option<T>]) -> T {
    pods.iter().flatten().fold(T::default(), |sum, pod| sum.plus(*pod))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(canary: f64, primary: &[Option<f64>]) -> CounterLook {
        let counts = |requests| PodCounts { requests, ..PodCounts::default() };
        CounterLook {
            interval: Duration::from_secs(10),
            canary: counts(canary),
            primary: primary.iter().map(|pod| pod.map(counts)).collect(),
            ..CounterLook::default()
        }
    }

    #[test]
    fn a_pod_that_was_not_scraped_is_owed_its_probes_later() {
        let mut lanes = Lanes::new(&[1.0], &[1.0]);
        let first = lanes.take_off(&look(111.0, &[Some(111.0), None]));
        assert_eq!((first.canary.requests, first.primary[0].map(|pod| pod.requests)), (100.0, Some(100.0)));
        let second = lanes.take_off(&look(110.0, &[Some(110.0), Some(221.0)]));
        assert_eq!(second.primary.iter().flatten().map(|pod| pod.requests).collect::<Vec<_>>(), [100.0, 200.0]);
    }

    #[test]
    fn each_side_has_its_own_probes() {
        let taken = Lanes::new(&[2.0], &[0.5]).take_off(&look(121.0, &[Some(106.0)]));
        assert_eq!((taken.canary.requests, taken.primary[0].map(|pod| pod.requests)), (100.0, Some(100.0)));
    }

    #[test]
    fn broken_counts_are_none() {
        let broken = PodCounts { requests: f64::NAN, errors: -3.0, client_errors: f64::INFINITY };
        assert_eq!(broken.sane(), PodCounts::default());
        assert_eq!(PodCounts { requests: 10.0, errors: 8.0, client_errors: 8.0 }.sane().client_errors.to_bits(), 2.0_f64.to_bits());
    }
}
