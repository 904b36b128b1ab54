//! What is simulated: how many pods, how much traffic, what goes wrong with it and when, and how it is scraped.

use std::time::Duration;

use crate::shape::Shape;
use crate::statistics::Parameters;
use crate::steps::{Clustering, Step, steady};

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
    /// What is unlike an ordinary service.
    pub shape: Shape,
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
            shape: Shape::default(),
        }
    }

    /// Requests per second at a pod of this weight.
    pub(crate) fn load(&self, weight: f64) -> f64 {
        self.requests_per_second * weight / (self.primary_pods as f64 + self.canary_weight)
    }

    /// Whether the primary's pods need not be told apart where nothing depends on each of them.
    pub(crate) fn pods_are_alike(&self) -> bool {
        self.clustering == Clustering::Independent && self.pod_spread <= 0.0 && self.sticky.is_none() && self.missing <= 0.0 && self.aligned
    }
}
