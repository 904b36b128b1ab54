//! How one run ended.

use crate::statistics::Verdict;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    pub verdict: Verdict,
    /// Seconds from Ready.
    pub at: f64,
    /// Failed requests that the canary had answered by then.
    pub errors: f64,
}
