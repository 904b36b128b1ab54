//! What was answered, by how it ended.

use super::Weight;
use crate::statistics::Counts;

/// Requests, and those of them that didn't end well.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    pub requests: f64,
    /// Those that the server failed.
    pub errors: f64,
    /// Those that ended neither well nor with the server's error.
    pub clients: f64,
    /// Good answers that sent whoever asked elsewhere.
    pub redirects: f64,
}

impl Tally {
    pub(super) fn of(weight: Weight, added: f64) -> Self {
        let Weight { requests, errors, clients, redirects } = weight;
        Self { requests: added * requests, errors: added * errors, clients: added * clients, redirects: added * redirects }
    }

    pub fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.clients += other.clients;
        self.redirects += other.redirects;
    }

    /// Requests and errors alone.
    pub fn counts(self) -> Counts {
        Counts::new(self.requests, self.errors)
    }

    /// Counters of requests and errors are scraped together but may be written apart: never more errors than requests.
    pub(super) fn sane(self) -> Self {
        let requests = self.requests.max(0.0);
        let errors = self.errors.clamp(0.0, requests);
        let clients = self.clients.clamp(0.0, requests - errors);
        Self { requests, errors, clients, redirects: self.redirects.clamp(0.0, requests - errors - clients) }
    }
}

/// What one look saw, pod by pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detail {
    pub canary: Tally,
    /// Of each pod of the primary that was scraped in it, which may have answered nothing.
    pub primary: Vec<Tally>,
}

impl Detail {
    /// Of all pods of the primary together.
    pub fn primary_total(&self) -> Tally {
        let mut total = Tally::default();
        self.primary.iter().for_each(|tally| total.add(*tally));
        total
    }
}
