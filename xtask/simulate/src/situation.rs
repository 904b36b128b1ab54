//! One line of a table, and what must not happen in it. Knows no table.

use std::time::Duration;

use crate::setup::Setup;

/// The bounds that the verdict promises.
pub const FALSE_REJECTS: f64 = 0.01;
pub const FALSE_PROMOTIONS: f64 = 0.05;

/// When an analysis ends without a verdict.
pub const DEADLINE: Duration = Duration::from_mins(10);

/// What must not happen in a situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The canary is no worse than the primary.
    Reject,
    /// The canary is not below the limit.
    Promote,
    /// Both: no worse than a primary that is not below the limit either.
    Either,
    /// Worse than the primary but within the limit: both are right, as far as bounds go.
    Nothing,
}

impl Wrong {
    pub fn to_reject(self) -> bool {
        matches!(self, Self::Reject | Self::Either)
    }

    pub fn to_promote(self) -> bool {
        matches!(self, Self::Promote | Self::Either)
    }
}

/// One line of a table.
#[derive(Clone, Debug)]
pub struct Situation {
    pub name: String,
    pub setup: Setup,
    pub wrong: Wrong,
}

/// A bound that did not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken(pub String);

pub(crate) fn percent(rate: f64) -> String {
    format!("{} %", rate * 100.0)
}
