//! The hour before the canary, and what the product measures in it.

use std::time::Duration;

use super::{Counts, Drawn, HISTORY, Pod, Traffic};
use crate::statistics::{Dispersion, Evenness, Sample, dispersion, evenness, measure};

const WINDOW: f64 = 300.0;
/// An incident: one pod, one window.
const INCIDENT_POD: usize = 3;
const INCIDENT_WINDOW: usize = 7;

/// What is known of the primary when the canary begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Past {
    pub errors: Dispersion,
    pub client_errors: Dispersion,
    pub slower_than_low: Dispersion,
    pub slower_than_high: Dispersion,
    pub evenness: Option<Evenness>,
}

impl Traffic<'_> {
    /// Of errors alone, by pods that never fail in between.
    pub fn dispersion(&mut self) -> Dispersion {
        let windows = self.hour();
        let of = |drawn: &[Drawn]| drawn.iter().map(|drawn| drawn.counts()).collect::<Vec<_>>();
        let sum = |window: &Vec<Vec<Drawn>>| {
            let pods = window.first().map_or(0, Vec::len);
            (0..pods).map(|pod| window.iter().fold(Drawn::default(), |sum, scrape| sum.plus(scrape[pod])).counts()).collect::<Vec<_>>()
        };
        let scrapes: Vec<Vec<Counts>> = windows.iter().flatten().map(|scrape| of(scrape)).collect();
        Dispersion { scrape: dispersion(scrapes), window: dispersion(windows.iter().map(sum)) }
    }

    /// Of all readings.
    pub fn past(&mut self) -> Past {
        let windows = self.hour();
        let measured = |reading: fn(&Drawn) -> Counts| {
            let scrape = |scrape: &Vec<Drawn>| scrape.iter().map(reading).collect::<Vec<_>>();
            let history: Vec<Vec<Vec<Counts>>> = windows.iter().map(|window| window.iter().map(scrape).collect()).collect();
            measure(&history).dispersion
        };
        let shape = &self.setup.shape;
        let none = Dispersion::default();
        let client_errors = !shape.client_errors.primary.is_empty() || shape.crawler.is_some();
        let slow = shape.slow.is_some();
        Past {
            errors: measured(|drawn| drawn.counts()),
            client_errors: if client_errors { measured(|drawn| Counts::new(drawn.pod.requests, drawn.pod.client_errors)) } else { none },
            slower_than_low: if slow { measured(|drawn| Counts::new(drawn.timed.requests, drawn.timed.slower_than_low)) } else { none },
            slower_than_high: if slow { measured(|drawn| Counts::new(drawn.timed.requests, drawn.timed.slower_than_high)) } else { none },
            evenness: self.evenness(&windows),
        }
    }

    fn evenness(&self, windows: &[Vec<Vec<Drawn>>]) -> Option<Evenness> {
        let scrape = self.setup.scrape;
        let pods = windows.first().and_then(|window| window.first()).map_or(0, Vec::len);
        let mut counters = vec![vec![Sample { at: Duration::ZERO, value: 0.0 }]; pods];
        let mut at = Duration::ZERO;
        for drawn in windows.iter().flatten() {
            at += scrape;
            for (counter, drawn) in counters.iter_mut().zip(drawn) {
                let before = counter.last().map_or(0.0, |sample| sample.value);
                counter.push(Sample { at, value: before + drawn.pod.requests });
            }
        }
        evenness(crate::statistics::evenness::windows(&counters, Duration::ZERO, at))
    }

    /// By window of five minutes, scrape and pod.
    pub(super) fn hour(&mut self) -> Vec<Vec<Vec<Drawn>>> {
        let scrape = self.setup.scrape.as_secs_f64();
        let mut windows: Vec<Vec<Vec<Drawn>>> = Vec::new();
        let primaries: Vec<usize> = (0..self.pods.len()).filter(|pod| !self.pods[*pod].is_canary).collect();
        let mut start = -HISTORY;
        while start < 0.0 {
            self.move_visitors(start);
            let mut drawn: Vec<Drawn> = primaries.iter().map(|pod| self.draw(*pod, start, start + scrape)).collect();
            if (start + HISTORY) % WINDOW < scrape / 2.0 {
                windows.push(Vec::new());
            }
            if self.setup.shape.incident && windows.len() == INCIDENT_WINDOW {
                fail(&mut drawn);
            }
            if let Some(window) = windows.last_mut() {
                window.push(drawn);
            }
            start += scrape;
        }
        self.pods.iter_mut().for_each(Pod::forget_minute);
        windows
    }
}

fn fail(pods: &mut [Drawn]) {
    if let Some(pod) = pods.get_mut(INCIDENT_POD) {
        pod.pod.errors = pod.pod.requests;
    }
}

impl Pod {
    fn forget_minute(&mut self) {
        self.minute = f64::NEG_INFINITY;
    }
}
