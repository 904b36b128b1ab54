//! A judgement as data: what was decided and what was found, with the numbers. The sentences are made from it last, in `verdict`.

use std::time::Duration;

use super::checks::Outcome;
use super::verdict::Measured;
use crate::metrics::discovery::{LatencyError, NotFound};
use crate::statistics::{Analysis, Forecast, TrafficShare};

/// The end of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    pub decision: Decision,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Reject,
    Promote,
    /// At the deadline. `clean`: nothing speaks against the canary, there was just too little to see.
    Inconclusive {
        clean: bool,
    },
}

/// No end yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    pub look_again: Duration,
    /// What the user should know meanwhile.
    pub findings: Vec<Finding>,
    /// Nothing could be read.
    pub is_blind: bool,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    Measure(Measure),
    /// The same, counted on the pods' own pages.
    Page(Measure),
    /// The canary gets much less than its share of the requests.
    Starved(TrafficShare),
    /// The source has no scrape of the canary's pod.
    NotScraped,
    NotFound(NotFound),
    Latency(LatencyError),
    Check {
        name: String,
        outcome: Outcome,
        served: Duration,
    },
    /// The list of checks can't be read.
    CheckList(String),
    /// A question has no answer, in the words of who was asked.
    NoAnswer(String),
}

/// What one metric says.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    pub measured: Measured,
    pub analysis: Analysis,
    /// How long the canary had been Ready.
    pub served: Duration,
    /// When there may be enough requests, and how long until the deadline.
    pub outlook: Option<(Forecast, Duration)>,
}
