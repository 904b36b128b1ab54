//! What a user's own check came to, as data with its numbers. The sentences are made from it last, in `message::findings::checked`. It decides nothing.

use serde_json::Value;

use crate::api::checks::Expected;

/// What a check says.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Not decided yet.
    Waiting,
    Passed(Passed),
    Failed(Failed),
    /// The question has no usable answer; never a reason to promote.
    Unknown(Unknown),
}

impl Outcome {
    /// The outcome of a check that only warns: it is told, and keeps nothing from being promoted.
    #[must_use]
    pub fn as_a_warning(self) -> Self {
        match self {
            passed @ Self::Passed(_) => passed,
            other => Self::Passed(Passed::OnlyAWarning(Box::new(other))),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Passed {
    /// The middle value of each series.
    Query(Vec<Amount>),
    Usage(Vec<Beside>),
    Page {
        pointer: String,
        expected: Expected,
    },
    /// The name of the Job that succeeded.
    Job(String),
    /// It did not pass, and only warns.
    OnlyAWarning(Box<Outcome>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Failed {
    Query(Breach),
    Usage {
        beside: Beside,
        /// Of the canary's to the primary's.
        ratio: f64,
        most: f64,
        readings: usize,
    },
    Page {
        pointer: String,
        fault: PageFault,
    },
    Job {
        name: String,
        reason: String,
        /// The end of its log, where it could be read.
        last_words: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Unknown {
    /// The query found nothing, and looked only into this namespace if one is named.
    NoSeries {
        namespace: Option<String>,
    },
    /// The query has a number in too few steps.
    TooFewValues {
        side: Side,
        values: usize,
        steps: usize,
    },
    /// The query has no number in the last steps.
    Ended {
        side: Side,
        steps: usize,
    },
    /// A ratio needs one series on each side.
    SeveralSeries {
        canary: usize,
        primary: usize,
    },
    /// A ratio of negative values says nothing.
    Negative {
        canary: f64,
        primary: f64,
    },
    /// Nothing to compare with.
    PrimaryWasZero,
    /// The query can't be asked under the rules of this cluster.
    Query(String),
    Usage(UsageLacks),
    Page(PageLacks),
    Job(JobLacks),
    /// Nobody answered within this number of seconds, waiting for its turn included.
    Late {
        seconds: u64,
    },
    /// In the words of who was asked.
    Refused(String),
}

/// Whose values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Canary,
    Primary,
}

/// A number of a query, or how many times the primary's it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    Plain(f64),
    TimesThePrimarys(f64),
}

/// Which bound is broken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    Below(f64),
    Above(f64),
}

impl Bound {
    /// The one that a value breaks, if it does.
    pub fn broken(value: f64, min: Option<f64>, max: Option<f64>) -> Option<Self> {
        let below = min.filter(|min| value < *min).map(Self::Below);
        below.or_else(|| max.filter(|max| value > *max).map(Self::Above))
    }
}

/// A value that breaks a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Breach {
    pub amount: Amount,
    /// Which of several series, by some of its labels.
    pub series: Vec<(String, String)>,
    pub bound: Bound,
    /// The number of values that it is the middle of.
    pub values: usize,
    /// The whole run keeps to the bound, and its last third doesn't.
    pub in_the_last_third: bool,
}

/// What the canary's pod uses beside an average pod of the primary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beside {
    pub resource: Resource,
    /// In cores or bytes.
    pub canary: f64,
    pub primary: f64,
    /// What the primary's is taken to be, where it is next to nothing.
    pub taken_as: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Cpu,
    Memory,
}

/// What is wrong with a page. The value on it is not told: the user may have no right to see it.
#[derive(Clone, Debug, PartialEq)]
pub enum PageFault {
    Missing,
    IsNot(Value),
    NoNumber,
    Beyond(Bound),
}

/// Why the cluster's resource metrics decide nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UsageLacks {
    Canary,
    /// All readings are of the warm-up, or of the first half of the duration.
    Late,
    Renewed,
    Primary,
    Readings {
        found: usize,
        needed: usize,
    },
    Resource(Resource),
    /// The two readings in the middle lie on both sides of what is allowed.
    Agreement {
        resource: Resource,
        low: f64,
        high: f64,
        most: f64,
    },
}

/// Why a page could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageLacks {
    Address,
    /// The URL is one that isn't asked, for this reason.
    Url(&'static str),
    Answer(String),
}

/// Why a Job has no end yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobLacks {
    CronJob(String),
    /// The `CronJob` doesn't say that a check may run it.
    Label(String),
    Creation(String),
    /// A Job of this name is there that is another's.
    Place(String),
    /// It is under way.
    End {
        name: String,
        stage: JobStage,
    },
}

/// How far a Job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStage {
    Suspended,
    NoPod,
    PodNotReady,
    TriedAgain { failed: u64 },
    Runs,
}
