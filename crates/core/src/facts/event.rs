//! The Events that are written on the primary, as data. Their words are made last, in `message::events`; `run::events` says when one is told again.

mod reason;

use std::time::Duration;

pub use self::reason::Reason;
use crate::{
    api::annotations::Phase,
    facts::{
        judgement::{Finding, Reading},
        why::{Closed, SharedTrouble},
    },
};

/// One Event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Held {
        requested_by: Option<String>,
        canary: String,
        duration: Duration,
    },
    Started {
        canary: String,
    },
    Analyzing {
        canary: String,
        /// Another pod was judged before.
        is_again: bool,
        duration: Duration,
    },
    /// Which series are read.
    Reading(Reading),
    Unreached(Unreached),
    /// The canary of another template is in the way.
    CanarySuperseded {
        canary: String,
    },
    /// What the live template's next pod can't be started without.
    LiveBroken {
        missing: Vec<String>,
    },
    /// In the words in which admission recorded it.
    Merged(String),
    Changed {
        canary: String,
        how: Changed,
    },
    ScaledToZero,
    NotNow(Closed),
    PausedBeforeItBegan,
    Paused,
    Resumed {
        duration: Duration,
    },
    AwaitsApproval {
        name: String,
        run: String,
        message: String,
    },
    Waiting(Vec<Finding>),
    ConfigMissing {
        words: String,
        patience: Duration,
    },
    /// Its pod was Ready before.
    NotReady {
        canary: String,
        words: Option<String>,
    },
    NotReadyYet {
        canary: String,
        after: Duration,
        deadline: Duration,
        words: String,
    },
    /// Its pod was not Ready at times, and must stay so.
    Unsteady {
        duration: Duration,
    },
    SharedTrouble(SharedTrouble),
    MetricsUnavailable(Vec<Finding>),
    Refused {
        what: Refusal,
        /// The API server's.
        words: String,
    },
    NewerState {
        version: u32,
    },
    /// A hold is over.
    Ended {
        phase: Phase,
        message: String,
        requested_by: Option<String>,
    },
    RolledOut,
    RolloutFailed {
        name: String,
        words: String,
    },
    NotificationFailed {
        sink: String,
        phase: Phase,
        why: String,
    },
    /// What the API server is asked for fails again and again, in words.
    Failure(String),
    /// One of Coalmine's own.
    Fault,
}

/// How the canary was changed by somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    Template { by: Option<String> },
    Replicas(i64),
}

/// Why the canary may get no traffic, or the primary none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// No Service selects the primary's pods.
    NoService { primary: String },
    /// One selects the primary's pods and not the canary's.
    NotSelected { service: String },
    /// One sends requests to a port that the held template doesn't open.
    NoPort { service: String, port: String },
    /// One was changed together with the template, and selects none of the primary's pods any more.
    Ahead { service: String },
    /// One sends to the primary's pods by a port that only the held template opens.
    PortAhead { service: String, port: String },
}

/// What the API server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    Create {
        deadline: Duration,
    },
    Promotion {
        deadline: Duration,
    },
    Delete {
        canary: String,
    },
    Write {
        tries_status: bool,
    },
    /// Something that nothing else depends on.
    Aside,
}

impl Event {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Held { .. } => Reason::Held,
            Self::Started { .. } => Reason::Started,
            Self::Analyzing { .. } => Reason::Analyzing,
            Self::Reading(_) => Reason::Metrics,
            Self::Unreached(_) => Reason::Unreached,
            Self::CanarySuperseded { .. } => Reason::Superseded,
            Self::LiveBroken { .. } => Reason::LiveBroken,
            Self::Merged(_) => Reason::Merged,
            Self::Changed { .. } => Reason::Changed,
            Self::ScaledToZero => Reason::ScaledToZero,
            Self::NotNow(_) => Reason::NotNow,
            Self::PausedBeforeItBegan | Self::Paused => Reason::Paused,
            Self::Resumed { .. } => Reason::Resumed,
            Self::AwaitsApproval { .. } => Reason::AwaitsApproval,
            Self::Waiting(_) => Reason::Waiting,
            Self::ConfigMissing { .. } => Reason::ConfigMissing,
            Self::NotReady { .. } | Self::NotReadyYet { .. } => Reason::NotReady,
            Self::Unsteady { .. } => Reason::Unsteady,
            Self::SharedTrouble(_) => Reason::SharedTrouble,
            Self::MetricsUnavailable(_) => Reason::MetricsUnavailable,
            Self::Refused { what: Refusal::Create { .. }, .. } => Reason::CreateRefused,
            Self::Refused { what: Refusal::Promotion { .. }, .. } => Reason::PromotionRefused,
            Self::Refused { what: Refusal::Delete { .. }, .. } => Reason::DeleteRefused,
            Self::Refused { what: Refusal::Write { .. } | Refusal::Aside, .. } => Reason::WriteRefused,
            Self::NewerState { .. } => Reason::NewerState,
            Self::Ended { phase, .. } => Reason::of(*phase),
            Self::RolledOut => Reason::RolledOut,
            Self::RolloutFailed { .. } => Reason::RolloutFailed,
            Self::NotificationFailed { .. } => Reason::NotificationFailed,
            Self::Fault | Self::Failure(_) => Reason::Fault,
        }
    }
}
