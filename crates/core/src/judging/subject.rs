//! What is judged: one Ready canary of one primary, as the objects say it now.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::api::annotations::Phase;
use crate::api::origin::Origin;
use crate::api::policy::Policy;
use crate::manifest::object;
use crate::metrics::counting::Window;
use crate::metrics::discovery::Choice;
use crate::metrics::pages::Hints;
use crate::run::pods::Health;
use crate::run::times::{elapsed, ready_since};
use crate::standing::Standing;

/// For so long nothing but what is gross counts, and nothing in the canary's favour.
const WHILE_PAUSED: Duration = Duration::from_hours(100);

#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    pub namespace: String,
    /// The primary's name.
    pub primary: String,
    pub run: String,
    /// Of the primary: the version of the object that all this was read from.
    pub version: String,
    /// When the canary's pod was first Ready.
    pub since: Timestamp,
    /// When the run began, which is what the deadline counts from.
    pub began: Option<Timestamp>,
    pub policy: Policy,
    /// What the live template says of the pods' pages.
    pub page: Hints,
    /// Of the live template, for its probes.
    pub pod_spec: Value,
    /// The same of the held one, which may be probed otherwise.
    pub held_pod_spec: Value,
    /// Who can be asked, in order of preference.
    pub sources: Vec<Origin>,
    /// Whether the pods' own pages may be read beside another source.
    pub reads_pages: bool,
    /// How long the source wants to be left alone between two questions.
    pub rest: Duration,
}

impl Subject {
    /// `None` while there is nothing to judge.
    pub fn of(primary: &Value, canary: &Value, health: &Health, policy: &Policy) -> Option<Self> {
        let standing = Standing::of(primary);
        let phase = standing.phase.filter(|phase| phase.is_running())?;
        let is_paused = policy.gates.paused || standing.paused_since.is_some();
        let mut policy = policy.clone();
        if is_paused {
            policy.warm_up = WHILE_PAUSED;
        }
        if !matches!(health, Health::Ready { .. }) {
            return None;
        }
        Some(Self {
            namespace: object::namespace(primary).to_owned(),
            primary: object::name(primary).to_owned(),
            run: standing.run_name().to_owned(),
            version: object::metadata_text(primary, "resourceVersion").to_owned(),
            since: ready_since(canary)?,
            // A trial that stands still, or proved itself already, has another clock than its deadline's.
            began: standing.since.filter(|_| phase == Phase::Running && !is_paused),
            policy,
            page: primary.pointer("/spec/template").map(Hints::of).unwrap_or_default(),
            pod_spec: primary.pointer("/spec/template/spec").cloned().unwrap_or_default(),
            held_pod_spec: canary.pointer("/spec/template/spec").cloned().unwrap_or_default(),
            sources: vec![Origin::Prometheus],
            reads_pages: true,
            rest: Duration::ZERO,
        })
    }

    /// What the user wants to be read.
    pub(super) fn wanted(&self) -> (&Choice, Option<Duration>, &[String]) {
        (&self.policy.metrics, self.policy.max_latency_p99, &self.policy.ignore_paths)
    }

    /// Who is asked for the counters: whom the user names, or else the first that has them.
    pub(super) fn origins(&self) -> Vec<Origin> {
        match self.policy.metrics.origin() {
            Some(origin) => vec![origin],
            None => self.sources.iter().copied().filter(|origin| origin.abilities().discovery).collect(),
        }
    }

    pub(super) fn served(&self, now: Timestamp) -> Duration {
        elapsed(self.since, now)
    }

    /// From when on its process is as it will be.
    pub(super) fn settled(&self) -> Timestamp {
        self.since + self.policy.warm_up.max(self.policy.duration / 2)
    }

    pub(super) fn window(&self, now: Timestamp) -> Window {
        let elapsed = i64::try_from(self.served(now).as_millis()).unwrap_or(i64::MAX);
        Window { elapsed, ready: Some(self.since.as_millisecond()), ..Window::default() }
    }

    /// Until the deadline.
    pub(super) fn remaining(&self, now: Timestamp) -> Duration {
        self.policy.deadline.saturating_sub(elapsed(self.began.unwrap_or(now), now))
    }

    pub(super) fn is_past_deadline(&self, now: Timestamp) -> bool {
        self.began.is_some_and(|began| elapsed(began, now) >= self.policy.deadline)
    }
}
