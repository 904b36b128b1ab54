//! What the judge asks, and what can be answered. Plain data: an edge carries a question out and knows nothing of why it is asked.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::checks::Progress;
use super::scope::Pod;
use crate::api::checks::{Check, Origin};
use crate::facts::checked::Outcome;
use crate::metrics::counting::{Counted, History, PodLabel, Reading, Scope, Series, Window};
use crate::metrics::pages::Place;
use crate::metrics::stores::{Error, Problem};
use crate::statistics::Counts;

/// What is to be asked next.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// The pods of the canary and of the primary, as the API server has them.
    Pods,
    /// The last sample of each series with one of these names.
    Present {
        origin: Origin,
        scope: Arc<Scope>,
        names: Vec<String>,
    },
    /// What the primary's pods counted before the canary began.
    History {
        origin: Origin,
        scope: Arc<Scope>,
        pod_label: PodLabel,
        readings: Vec<Reading>,
        since: Duration,
        window: Duration,
    },
    /// The newest samples of counters that may be one, as they were scraped.
    Recent {
        origin: Origin,
        scope: Arc<Scope>,
        pod_label: PodLabel,
        readings: Vec<Reading>,
        since: Duration,
    },
    Samples(Samples),
    /// The text of the list of checks in this `ConfigMap` of the primary's namespace.
    CheckList {
        config_map: String,
    },
    Checks(Checks),
    /// Where these pods serve a page that has what the reading reads.
    Places {
        addresses: Vec<String>,
        /// The likeliest first.
        places: Vec<Place>,
        reading: Reading,
    },
    /// What these pods have counted so far, by their own pages.
    Pages {
        addresses: Vec<String>,
        place: Place,
        reading: Reading,
    },
}

/// All readings of the run so far, counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    pub origin: Origin,
    pub scope: Arc<Scope>,
    pub pod_label: PodLabel,
    pub readings: Vec<(Reading, Window)>,
    /// The scrape interval, once it is learned.
    pub interval: Option<Duration>,
    /// What was read under another number is about another pod or other series, and is forgotten.
    pub epoch: u64,
}

/// The user's own checks, and whom they are about.
#[derive(Debug, Clone, PartialEq)]
pub struct Checks {
    pub list: Vec<Check>,
    pub scope: Arc<Scope>,
    pub pod_label: PodLabel,
    /// How long the canary has been Ready.
    pub served: Duration,
    /// What its pod uses is held against it from then on.
    pub settled: Timestamp,
    /// The scrape interval, or a guess at it.
    pub interval: Duration,
    pub progress: Progress,
}

/// The answer to a question of the same name, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Pods {
        canary: Vec<Pod>,
        primary: Vec<Pod>,
    },
    Present(Vec<Series>),
    /// No metrics page of these pods was found.
    NoPage {
        tried: String,
        is_silent: bool,
    },
    /// One for each reading, in their order.
    History(Vec<History>),
    Recent(Vec<Series>),
    /// One for each reading, in their order.
    Samples(Vec<Counted>),
    /// `None` if there is no such text.
    CheckList(Option<String>),
    /// One for each check, in their order.
    Checks(Vec<Result<Outcome, Failure>>),
    /// One for each address.
    Places(Vec<Option<Place>>),
    Pages(Vec<Option<Counts>>),
    Failed(Failure),
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One line.
    pub words: String,
    /// The question was understood and refused: the same question gets the same answer.
    pub is_refusal: bool,
    /// When whoever was asked wants to be asked again.
    pub wait: Option<Duration>,
}

impl Failure {
    pub fn passing(words: impl Into<String>) -> Self {
        Self { words: words.into(), is_refusal: false, wait: None }
    }

    pub fn refusal(words: impl Into<String>) -> Self {
        Self { words: words.into(), is_refusal: true, wait: None }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let wait = match &error.problem {
            Problem::Status { wait, .. } => *wait,
            _ => None,
        };
        Self { words: error.to_string(), is_refusal: error.problem.is_permanent(), wait }
    }
}

/// Which question an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pods,
    Present,
    History,
    Samples,
    CheckList,
    Checks,
    Places,
    Pages,
    Recent,
}

impl Question {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Pods => Kind::Pods,
            Self::Present { .. } => Kind::Present,
            Self::History { .. } => Kind::History,
            Self::Recent { .. } => Kind::Recent,
            Self::Samples(_) => Kind::Samples,
            Self::CheckList { .. } => Kind::CheckList,
            Self::Checks(_) => Kind::Checks,
            Self::Places { .. } => Kind::Places,
            Self::Pages { .. } => Kind::Pages,
        }
    }
}
