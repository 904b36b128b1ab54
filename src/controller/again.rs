//! How soon what failed is begun again: a step, and a watch.
//!
//! A watch not as late as kube does it, half a minute and more: while it waits after one watch's error it polls none of them, so that what the
//! others asked for meanwhile runs out of time unread, which is the next error. Three watches kept a leader from all work for minutes after
//! an API server had come back.

use std::time::Duration;

use kube::runtime::utils::Backoff;

/// A step that failed: soon, but not at once; doubled each time up to the longest.
pub(super) const FIRST_RETRY: Duration = Duration::from_millis(500);
pub(super) const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// A watch that failed.
const FIRST: Duration = Duration::from_millis(250);
/// Far less than an answer may take.
const LONGEST: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Again(Duration);

impl Default for Again {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Iterator for Again {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        Some(pause)
    }
}

impl Backoff for Again {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::ANSWER_WITHIN;

    #[test]
    fn no_answer_runs_out_of_time_meanwhile() {
        let mut again = Again::default();
        let pauses: Vec<Duration> = again.by_ref().take(6).collect();
        assert_eq!(pauses.iter().map(Duration::as_millis).collect::<Vec<_>>(), [250, 500, 1_000, 2_000, 2_000, 2_000]);
        assert!(LONGEST * 4 < ANSWER_WITHIN);
        again.reset();
        assert_eq!(again.next(), Some(FIRST));
    }
}
