//! What is unlike an ordinary service: other readings than errors, traffic that stops or moves, scrapes that fail, a past that misleads.

use std::time::Duration;

use crate::steps::{Clustering, Step};

/// Both versions' rates, or multiples, over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sides {
    pub primary: Vec<Step>,
    pub canary: Vec<Step>,
}

impl Sides {
    pub fn alike(steps: &[Step]) -> Self {
        Self { primary: steps.to_vec(), canary: steps.to_vec() }
    }

    pub(crate) fn of(&self, is_canary: bool) -> &[Step] {
        if is_canary { &self.canary } else { &self.primary }
    }
}

/// A client that stays at one pod for some time, and asks for what isn't there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crawler {
    pub requests_per_second: f64,
    pub stays: Duration,
}

/// Shares of requests that are slower than the histogram's bounds below and above the limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Slow {
    pub than_low: Sides,
    pub than_high: Sides,
    /// Slow requests come together, unlike errors.
    pub clustering: Clustering,
}

/// From a moment on the primary has another number of pods.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    pub at: f64,
    pub pods: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Shares of requests that are answered with a client error.
    pub client_errors: Sides,
    pub crawler: Option<Crawler>,
    pub slow: Option<Slow>,
    /// Multiples of the load: of everything, and of the canary's besides. Empty is always one.
    pub load: Vec<Step>,
    pub canary_load: Vec<Step>,
    /// From here on the canary's page does not answer.
    pub unscraped_from: Option<f64>,
    pub scaling: Option<Scaling>,
    /// Coefficient of variation of each pod's load, drawn anew each minute.
    pub uneven: f64,
    /// One pod of the primary failed everything for five minutes, in the hour before.
    pub incident: bool,
    /// Each a counter of its own, with as much traffic.
    pub counters: usize,
    /// Prometheus has two targets for one page.
    pub doubled: bool,
    /// Nothing is known of the hour before: the pods' own pages tell none of it.
    pub forgets: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            client_errors: Sides::default(),
            crawler: None,
            slow: None,
            load: Vec::new(),
            canary_load: Vec::new(),
            unscraped_from: None,
            scaling: None,
            uneven: 0.0,
            incident: false,
            counters: 1,
            doubled: false,
            forgets: false,
        }
    }
}
