//! Why a Deployment is in the phase that is about to be written. It is what the phase's message is made from, in `message::why`.

use std::time::Duration;

use crate::{api::annotations::Phase, facts::judgement::Finding, standing::people::Approved};

/// The reason of a phase.
#[derive(Debug, Clone, PartialEq)]
pub enum Why {
    /// Held, and not tried yet.
    NotTried(NotTried),
    /// There is nothing left to try.
    Superseded(Gone),
    KeptOut(Verdict),
    AwaitsApproval {
        good: Good,
        /// The user who can't approve it, where somebody else must.
        by_another_than: Option<String>,
    },
}

/// Why a held template is not tried now.
#[derive(Debug, Clone, PartialEq)]
pub enum NotTried {
    ScaledToZero,
    Paused,
    Closed(Closed),
}

/// What keeps templates from being tried now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The namespace is, for this reason.
    Frozen(String),
    OutsideOfTheWindow {
        opens: Option<String>,
    },
}

/// Why there is nothing left to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    AnotherIsLive,
    /// The user wants no trial any more.
    OptedOut,
    Unreadable,
    Missing,
}

/// What ended a trial.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// What counts, pages and checks say.
    Judged(Vec<Finding>),
    /// A person ended it.
    ByHand(Approved),
    /// The canary's pod fails.
    Pod {
        words: String,
        after: Duration,
    },
    /// No pod of the primary's was ever available, and the canary stayed Ready.
    BetterThanNothing {
        canary: String,
        duration: Duration,
    },
    PausedTooLong(Duration),
    NotApprovedWithin(Duration),
    NotCreatedWithin {
        canary: String,
        deadline: Duration,
    },
    /// Somebody else's Deployment has the canary's name.
    NameTaken {
        canary: String,
    },
    /// An earlier canary didn't go.
    NotGoneWithin {
        canary: String,
        deadline: Duration,
        finalizers: Vec<String>,
    },
    ChangedTooOften {
        canary: String,
        times: u32,
        by: Option<String>,
    },
    NotReadyWithin {
        deadline: Duration,
        was_ready: bool,
        words: Option<String>,
    },
    /// Its pod was not Ready at times, and stayed Ready for less than it must.
    Unsteady {
        duration: Duration,
        stayed: Duration,
    },
    ReadyTooLate {
        deadline: Duration,
    },
    SharedTrouble {
        trouble: SharedTrouble,
        deadline: Duration,
    },
    /// Nobody could say anything.
    NoAnswer(Vec<Finding>),
    Undecided(Vec<Finding>),
    NothingSaid,
    PromotionRefused {
        words: String,
    },
    /// What the API server was asked for failed again and again, in words.
    NotLookedAfter(String),
    /// One of Coalmine's own.
    Fault,
}

/// The primary's pods are in the trouble that the canary's is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedTrouble {
    pub words: String,
    pub troubled: usize,
    pub of: usize,
}

/// Why a template may go in.
#[derive(Debug, Clone, PartialEq)]
pub struct Good {
    pub verdict: Verdict,
    pub despite: Option<Despite>,
}

/// A template goes in though nothing was proven of it, as the user wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Despite {
    /// `canary.on-inconclusive: promote`
    Inconclusive,
    /// `canary.mode: report`, where this would have been the phase.
    Report(Phase),
}

/// Why a template goes in now.
#[derive(Debug, Clone, PartialEq)]
pub struct Promotion {
    pub good: Good,
    pub approved: Option<Approved>,
    /// The Deployment is paused, so that nothing rolls out yet.
    pub is_paused: bool,
}

impl From<Verdict> for Good {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, despite: None }
    }
}
