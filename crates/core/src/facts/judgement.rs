//! A judgement: what was decided and what was found, with the numbers. The sentences are made from it last, in `message::findings`.

use std::time::Duration;

use super::checked::Outcome;
use crate::api::origin::Origin;
use crate::metrics::counting::{Fall, Lacking, Shared};
use crate::metrics::discovery::{Chosen, LatencyError, NotFound};
use crate::statistics::{Analysis, ClientErrors, Coverage, Forecast, Silence, TrafficShare};

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

/// What a round of questions comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Round {
    Waiting(Waiting),
    Done(Judgement),
}

impl Round {
    /// There is nothing to judge by, in the words of whoever was asked.
    pub fn blind(words: String, look_again: Duration) -> Self {
        Self::Waiting(Waiting { look_again, findings: vec![Finding::NoAnswer(words)], is_blind: true })
    }
}

/// What is known of the primary before the canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    Hour,
    /// Where the source keeps nothing, it is looked at from the hold on.
    SinceTheHold,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// Of one counter, where there are several.
    Of(String, Box<Self>),
    Measure(Measure),
    /// The same, counted on the pods' own pages.
    Page(Measure),
    Unobserved(Unobserved),
    /// The pages come over TLS, and nobody knows from whom.
    Unverified,
    /// Only probes reach the canary.
    OnlyProbes,
    /// The canary finishes fewer requests than it should.
    Silent {
        silence: Silence,
        rejects: bool,
        served: Duration,
    },
    ClientErrors {
        errors: ClientErrors,
        /// As most of the canary's are spelled.
        code: Option<String>,
        rejects: bool,
        served: Duration,
    },
    /// The canary's series can't be read as the primary's are.
    Lacking(Lacking),
    /// What is read falls again and again.
    NoCounter(Fall),
    /// What is read is everybody's.
    SharedRegistry(Shared),
    /// The canary sends whoever asks elsewhere.
    Redirects {
        redirects: ClientErrors,
        /// As most of them are spelled.
        code: Option<String>,
    },
    /// The canary's process ended and began anew in its container: how often, when last in milliseconds of the source's clock, and how long it must last.
    BeganAnew {
        times: usize,
        last: i64,
        duration: Duration,
    },
    /// The primary's errors came in bursts: they tell less than as many independent requests would.
    Bursts {
        requests: f64,
        effective: f64,
        measured: Past,
    },
    /// Ten minutes were left out of that measure.
    Incident(Past),
    /// All that rejects lies at the canary's beginning.
    MayBeCold {
        suggested: Duration,
    },
    /// The canary gets much less than its share of the requests.
    Starved(TrafficShare),
    NotFound(NotFound),
    Latency(LatencyError),
    /// A worker: its pod stayed Ready for the whole duration.
    StayedReady(Duration),
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

/// Not looked at for long enough, or not any more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unobserved {
    pub coverage: Coverage,
    /// When a pod that isn't scraped any more was scraped last, in milliseconds of the source's clock, and how long that was after Ready.
    pub last: Option<(i64, Duration)>,
    pub duration: Duration,
    /// The source that looks.
    pub origin: Origin,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    ErrorRate,
    /// Requests slower than this are counted as errors are.
    Slower(Duration),
}

/// The series that were chosen to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub chosen: Chosen,
    pub origin: Origin,
    /// What those who would be preferred lack.
    pub instead_of: Vec<NotFound>,
}
