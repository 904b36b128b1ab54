//! What the judge says: what is to be done next, what a round came to, and what somebody may want to hear of.

use std::time::Duration;

use super::question::{Failure, Question};
pub(super) use crate::facts::judgement::Round;
use crate::facts::judgement::{Judgement, Reading, Waiting};
use crate::run::evidence::Look;

/// While the source is silent or has nothing.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Ask(Question),
    Wait(Waiting),
    Done(Judgement),
}

impl Step {
    /// What a round came to; `None` while something is to be asked.
    pub fn round(self) -> Option<Round> {
        match self {
            Self::Ask(_) => None,
            Self::Wait(waiting) => Some(Round::Waiting(waiting)),
            Self::Done(judgement) => Some(Round::Done(judgement)),
        }
    }
}

/// What somebody may want to hear of.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The series were chosen.
    Reading(Reading),
    /// The errors are taken as independent.
    NoHistory(Failure),
    /// The counts of this moment.
    Looked(Look),
}
