//! What the judge asks next, from what it knows.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Judge, Newcomers, Series};
use crate::api::checks::{self, Check};
use crate::api::origin::Origin;
use crate::api::policy::Policy;
use crate::judging::checks::Progress;
use crate::judging::counters::Counter;
use crate::judging::pace::UNKNOWN_INTERVAL;
use crate::judging::question::{Checks, Question, Samples};
use crate::judging::scope;
use crate::judging::subject::Subject;
use crate::judging::twins;
use crate::metrics::counting::{PodLabel, Reading, Scope};
use crate::metrics::discovery::{self, Choice};
use crate::run::times::elapsed;

/// How far back the primary's own errors are looked at, and in which windows, for the dispersion (statistics, 3.4).
const HISTORY: Duration = Duration::from_hours(1);
const HISTORY_WINDOW: Duration = Duration::from_mins(5);
/// What tells whether two counters are one.
const RECENT: Duration = Duration::from_mins(10);
/// Where the run itself is the past, it is looked at again at each reading of the pages.
const MEASURED_FOR: Duration = Duration::from_millis(900);

impl Judge {
    pub(super) fn scope(&self, now: Timestamp) -> Option<Arc<Scope>> {
        self.scope.as_ref().filter(|(at, _)| elapsed(*at, now) < scope::KEPT).map(|(_, scope)| Arc::clone(scope))
    }

    pub(super) fn about_series(&self, scope: Arc<Scope>, now: Timestamp) -> Question {
        let Subject { policy, .. } = &self.subject;
        match &self.series {
            Series::Unknown { tried } => {
                let names = discovery::wanted(&policy.metrics, policy.max_latency_p99.is_some());
                let origins = self.subject.origins();
                let origin = origins.get(tried.len()).or(origins.first()).copied().unwrap_or_default();
                Question::Present { origin, scope, names }
            }
            Series::Found { origin, counters, are_compared: false, .. } if twins::pairs(counters).next().is_some() => {
                let readings = readings(counters).cloned().collect();
                Question::Recent { origin: *origin, scope, pod_label: pod_label(counters), readings, since: RECENT }
            }
            Series::Found { origin, counters, .. } => {
                let readings = counters.iter().flat_map(Counter::readings_of_the_past).cloned().collect();
                about_history(*origin, scope, pod_label(counters), readings)
            }
            Series::Measured { origin, counters, at, .. } if !origin.abilities().past && elapsed(*at, now) >= MEASURED_FOR => {
                about_history(*origin, scope, pod_label(counters), readings(counters).cloned().collect())
            }
            Series::Measured { origin, newcomers, .. } if self.looks_for(*origin, newcomers, now) => {
                let names = discovery::wanted(&policy.metrics, policy.max_latency_p99.is_some());
                Question::Present { origin: *origin, scope, names }
            }
            Series::Measured { origin, counters, .. } => {
                let origin = *origin;
                let window = self.subject.window(now);
                let readings = readings(counters).map(|reading| (reading.clone(), window)).collect();
                let (interval, epoch) = (self.pace.interval(), self.epoch);
                Question::Samples(Samples { origin, scope, pod_label: pod_label(counters), readings, interval, epoch })
            }
        }
    }

    fn looks_for(&self, origin: Origin, newcomers: &Newcomers, now: Timestamp) -> bool {
        let Policy { metrics, duration, .. } = &self.subject.policy;
        let is_open = metrics.parts().contains(&Choice::Auto) && origin.abilities().discovery;
        is_open && newcomers.are_due(self.subject.served(now), *duration, origin.abilities().past)
    }

    /// The pages, if they are due. Only beside a source that answers: nothing is decided while it is silent.
    pub(super) fn about_pages(&mut self, now: Timestamp) -> Option<Question> {
        let Series::Measured { origin, counters, .. } = &self.series else { return None };
        if *origin == Origin::Pages {
            return None;
        }
        let found = &counters.first()?.found;
        let (_, scope) = self.scope.as_ref().filter(|_| self.subject.reads_pages)?;
        self.rounds.question(scope, found, &self.subject.page, now)
    }

    pub(super) fn about_checks(&self, scope: Arc<Scope>, pod_label: PodLabel, list: Option<&[Check]>, now: Timestamp) -> Question {
        let policy = &self.subject.policy;
        let list = match (list, &policy.checks) {
            (Some(list), _) => list,
            (None, Some(checks::Checks::Inline(list))) => list.as_slice(),
            (None, Some(checks::Checks::ConfigMap(config_map))) => return Question::CheckList { config_map: config_map.clone() },
            (None, None) => &[],
        };
        let served = self.subject.served(now);
        let progress = match served {
            served if served < policy.duration / 2 => Progress::Early,
            served if served < policy.duration => Progress::Late,
            _ => Progress::Over,
        };
        let list = list.iter().filter(|check| self.refusal(check).is_none()).cloned().collect();
        let interval = self.pace.interval().unwrap_or(UNKNOWN_INTERVAL);
        Question::Checks(Checks { list, scope, pod_label, served, settled: self.subject.settled(), interval, progress })
    }

    pub(super) fn look_again(&self, until: Timestamp, now: Timestamp) -> Duration {
        let source = elapsed(now, until);
        self.rounds.next(now).filter(|_| self.subject.reads_pages).map_or(source, |pages| pages.min(source))
    }
}

fn about_history(origin: Origin, scope: Arc<Scope>, pod_label: PodLabel, readings: Vec<Reading>) -> Question {
    Question::History { origin, scope, pod_label, readings, since: HISTORY, window: HISTORY_WINDOW }
}

fn readings(counters: &[Counter]) -> impl Iterator<Item = &Reading> {
    counters.iter().flat_map(Counter::readings)
}

/// One question has one label for pods: that of the counter that is first.
pub(super) fn pod_label(counters: &[Counter]) -> PodLabel {
    counters.first().map_or(PodLabel::Pod, |counter| counter.found.pod_label)
}
