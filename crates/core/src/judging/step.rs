//! What the judge says: what is to be done next, what a round came to, and what somebody may want to hear of.

use std::time::Duration;

use super::judgement::{Judgement, Waiting};
use super::question::{Failure, Question};
use crate::api::origin::Origin;
use crate::metrics::discovery::{Chosen, NotFound};
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

/// What a round comes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Round {
    Waiting(Waiting),
    Done(Judgement),
}

/// What somebody may want to hear of.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The series were chosen.
    Reading {
        chosen: Chosen,
        origin: Origin,
        /// What those who would be preferred lack.
        instead_of: Vec<NotFound>,
    },
    /// The errors are taken as independent.
    NoHistory(Failure),
    /// The counts of this moment.
    Looked(Look),
}
