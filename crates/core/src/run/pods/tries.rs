//! How often a pod's containers ended, and how soon after it began. Some need a try or two, until a sidecar or a store is there: what the primary's
//! pods needed too is no fault of a template. Reads; what follows is `run::shared`'s to say.

use std::time::Duration;

use serde_json::Value;

use super::{latest_ending, list, status, text};
use crate::run::times::elapsed;

/// Two pods that wait for the same don't wait as long.
const ALIKE: Duration = Duration::from_mins(2);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    times: i64,
    /// From the pod's start to the last ending.
    after: Option<Duration>,
}

impl Tries {
    pub(in crate::run) fn of(pod: &Value) -> Self {
        let restarts = list(pod, "containerStatuses").iter().filter_map(|one| one.get("restartCount").and_then(Value::as_i64));
        let began = text(status(pod), "startTime").parse().ok();
        let after = began.zip(latest_ending(pod)).map(|(began, ended)| elapsed(began, ended));
        Self { times: restarts.max().unwrap_or_default(), after }
    }

    /// Whether a pod that has been in service for long needed as many, at the same age.
    pub(in crate::run) fn are_those_of(self, other: Self) -> bool {
        let is_as_early = self.after.zip(other.after).is_some_and(|(own, others)| others.abs_diff(own) <= ALIKE);
        is_as_early && other.times >= self.times.max(1)
    }
}
