//! How often a pod's containers ended, and how soon after it began. Some need a try or two, until a sidecar or a store is there, and init containers
//! that wait for one need several: what the primary's pods needed too is no fault of a template. Reads; what follows is `run::shared`'s to say.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{endings, finished, init_containers, latest_ending, list, status, text};
use crate::run::times::elapsed;

/// Two pods that wait for the same don't wait as long.
const ALIKE: Duration = Duration::from_mins(2);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    /// Of init containers, and not of those that serve.
    of_init: bool,
    times: i64,
    /// From the pod's start to the last ending.
    after: Option<Duration>,
}

impl Tries {
    pub(in crate::run) fn of(pod: &Value) -> Self {
        Self::new(pod, false, list(pod, "containerStatuses").iter(), latest_ending(pod))
    }

    pub(in crate::run) fn of_init(pod: &Value) -> Self {
        let ended = init_containers(pod).flat_map(endings).filter_map(finished).max();
        Self::new(pod, true, init_containers(pod), ended)
    }

    fn new<'a>(pod: &Value, of_init: bool, containers: impl Iterator<Item = &'a Value>, ended: Option<Timestamp>) -> Self {
        let restarts = containers.filter_map(|one| one.get("restartCount").and_then(Value::as_i64));
        let began = text(status(pod), "startTime").parse().ok();
        let after = began.zip(ended).map(|(began, ended)| elapsed(began, ended));
        Self { of_init, times: restarts.max().unwrap_or_default(), after }
    }

    /// Whether a pod that has been in service for long needed as many, at the same age.
    pub(in crate::run) fn are_those_of(self, pod: &Value) -> bool {
        let other = if self.of_init { Self::of_init(pod) } else { Self::of(pod) };
        let is_as_early = self.after.zip(other.after).is_some_and(|(own, others)| others.abs_diff(own) <= ALIKE);
        is_as_early && other.times >= self.times.max(1)
    }
}
