//! What the controller does next: from what was observed, and the time, to a list of actions. Pure; the controller only carries it out.
//!
//! All state is on the objects, and every step may be the last before the process dies: whatever was done already is seen on the objects
//! and not done again. The order of actions is the order of safety: a verdict is written before anything is deleted for it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    canary,
    events::{Event, Reason},
    pods::Health,
};
use crate::api::{
    annotations::{self as key, Phase},
    policy::{OnInconclusive, Policy},
    quantity::format_duration,
};
use crate::manifest::object;

mod finish;
pub mod refused;
#[cfg(test)]
mod tests;

/// Everything that the next step depends on.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    pub primary: &'a Value,
    /// The live template is not the one that the template on trial was held against.
    pub outdated: bool,
    /// The Deployment with the canary's name, whoever made it.
    pub namesake: Option<&'a Value>,
    /// The pods of the run.
    pub health: Health,
    pub policy: &'a Policy,
    /// What the metrics and checks say; only asked for when the canary is Ready.
    pub judgement: Option<Judgement>,
    /// A Service selects the primary's pods but not the canary's; the words for an Event.
    pub unreached: Option<String>,
}

/// What the metrics and checks say about a Ready canary.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    Reject(String),
    Promote(String),
    /// At the deadline. `clean`: nothing speaks against the canary, there was just too little to see.
    Inconclusive {
        message: String,
        clean: bool,
    },
    /// Nothing yet; look again after that long.
    Continue {
        look_again: Duration,
        /// What the user should know meanwhile.
        note: Option<String>,
    },
    /// The source could not answer.
    Unavailable(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Publish(Event),
    /// The canary, ready to be created.
    Create(Value),
    /// Only the object with this uid.
    Delete {
        uid: String,
    },
    /// This pod of the canary's is Ready for the first time.
    MarkReady {
        pod: String,
    },
    /// Writes phase, message and time on the primary, on condition that the held template is still the same.
    Write {
        phase: Phase,
        message: Option<String>,
    },
    /// Writes the held template to the primary, on the same condition.
    Promote {
        message: String,
    },
    /// The condition `Canary`, once no template is held any more.
    Condition {
        phase: Phase,
        message: String,
    },
    /// Takes `canary.state/*` away from the ReplicaSets, and what no longer has one from the list of proven templates.
    CleanReplicaSets,
    /// Nothing is left to do: the label goes, and with it the watch.
    Release,
}

impl Action {
    fn normal(reason: Reason, note: impl Into<String>) -> Self {
        Self::Publish(Event::normal(reason, note))
    }

    fn warning(reason: Reason, note: impl Into<String>) -> Self {
        Self::Publish(Event::warning(reason, note))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub actions: Vec<Action>,
    /// When to look again if nothing happens before. `None`: only when something happens.
    pub look_again: Option<Duration>,
}

impl Plan {
    pub fn then(actions: Vec<Action>, seconds: u64) -> Self {
        Self { actions, look_again: Some(Duration::from_secs(seconds)) }
    }
}

/// Files of one directory are applied in the order of their names: a Deployment may come before its Secret.
const FOR_WHAT_IS_MISSING: Duration = Duration::from_secs(30);

/// On the canary: when its pod was seen Ready for the first time. Serving time counts from then, also for a controller that starts later. By our
/// clock, not by the pod's condition: a node whose clock is wrong must not make a canary look as if it had served.
pub const READY_ANNOTATION: &str = "coalmine.dev/ready-since";
/// On the canary: the name of that pod.
pub const READY_POD_ANNOTATION: &str = "coalmine.dev/ready-pod";

/// When the canary's pod was first Ready.
pub fn ready_since(canary: &Value) -> Option<Timestamp> {
    object::annotation(canary, READY_ANNOTATION)?.parse().ok()
}

/// When this run began, which is what the deadline counts from.
pub fn began(primary: &Value) -> Option<Timestamp> {
    object::annotation(primary, key::SINCE)?.parse().ok()
}

/// Whether the deadline of this run has passed.
pub fn is_past_deadline(primary: &Value, policy: &Policy, now: Timestamp) -> bool {
    began(primary).is_some_and(|since| elapsed(since, now) >= policy.deadline)
}

/// Never negative, whatever the clocks do.
pub fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

/// The next step for one primary.
pub fn plan(observed: &Observed<'_>, held_template: Option<&Value>, canary_label: &(String, String), now: Timestamp) -> Plan {
    let annotations = object::annotations(observed.primary);
    match object::phase(annotations) {
        Some(phase) if phase.is_trying() => match held_template {
            Some(_) if observed.outdated => finish::outdated(),
            Some(template) => trying(observed, phase, template, canary_label, now),
            None => finish::unreadable(),
        },
        Some(phase) => finish::ended(observed, phase, now),
        None => Plan { actions: vec![Action::Release], look_again: None },
    }
}

fn trying(observed: &Observed<'_>, phase: Phase, template: &Value, canary_label: &(String, String), now: Timestamp) -> Plan {
    let primary = observed.primary;
    let name = canary::name(object::name(primary));
    let run = object::annotation(primary, key::RUN).unwrap_or_default();
    let Some(since) = began(primary).filter(|_| phase == Phase::Running) else {
        // The time of the run is written before anything is created: from here on the deadline counts.
        return Plan::then(vec![Action::Write { phase: Phase::Running, message: None }], 1);
    };
    if object::replicas(primary) == 0 {
        // The canary must not be all that is left of a service that somebody turned off.
        let message = "scaled to zero while the template was on trial, so no traffic to judge it by; scale up, then set canary.retry; template kept out";
        return verdict(Phase::Inconclusive, message);
    }
    let Some(namesake) = observed.namesake else {
        let first = elapsed(since, now) < Duration::from_secs(2);
        let mut actions = Vec::new();
        if first {
            actions.push(Action::normal(
                Reason::Held,
                format!("template held; trying it in {name} for {}", format_duration(observed.policy.duration)),
            ));
        }
        if is_past_deadline(primary, observed.policy, now) {
            return inconclusive(
                observed,
                &format!("{name} could not be created within {}", format_duration(observed.policy.deadline)),
                true,
            );
        }
        actions.push(Action::Create(canary::deployment(primary, template.clone(), run, canary_label)));
        actions.push(Action::normal(Reason::Started, format!("created {name} with one replica of the held template")));
        return Plan::then(actions, 5);
    };
    if !canary::is_canary_of(namesake, primary) {
        let message =
            format!("a Deployment {name} exists that is not Coalmine's; rename or delete it, then set canary.retry; template kept out");
        return verdict(Phase::Inconclusive, &message);
    }
    if canary::run_of(namesake) != Some(run) {
        let note = format!("{name} tried a template that was superseded; starting over");
        return Plan::then(vec![Action::normal(Reason::Superseded, note), delete(namesake)], 1);
    }
    if object::is_being_deleted(namesake) {
        return Plan::then(Vec::new(), 1);
    }
    if canary::is_changed_by_hand(namesake) {
        let note = format!("{name} was changed by somebody, and no longer runs the held template alone; starting over");
        return Plan::then(vec![Action::warning(Reason::Changed, note), delete(namesake)], 1);
    }
    running(observed, namesake, now)
}

fn running(observed: &Observed<'_>, namesake: &Value, now: Timestamp) -> Plan {
    let past = is_past_deadline(observed.primary, observed.policy, now);
    let tried_for = began(observed.primary).map(|since| elapsed(since, now)).unwrap_or_default();
    match &observed.health {
        Health::Missing(reason) if tried_for < FOR_WHAT_IS_MISSING && !past => {
            let note = format!("{reason}; waiting {} for it to be there", format_duration(FOR_WHAT_IS_MISSING));
            Plan::then(vec![Action::normal(Reason::ConfigMissing, note)], 2)
        }
        Health::Failed(reason) | Health::Missing(reason) => {
            let after = format!(" (after {})", format_duration(tried_for));
            verdict(Phase::Rejected, &format!("{reason}{after}; template kept out"))
        }
        Health::Starting(reason) if past => {
            let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let since = if ready_since(namesake).is_some() { "not Ready any more at the deadline of" } else { "not Ready within" };
            inconclusive(observed, &format!("{since} {}{reason}", format_duration(observed.policy.deadline)), false)
        }
        Health::Starting(reason) if ready_since(namesake).is_some() => {
            let reason = reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let note =
                format!("{} is not Ready any more, through no fault of the template{reason}; waiting for it", object::name(namesake));
            Plan::then(vec![Action::normal(Reason::NotReady, note)], 5)
        }
        Health::Starting(_) => Plan::then(Vec::new(), 5),
        Health::Ready { pod } => {
            let judged_so_far = object::annotation(namesake, READY_POD_ANNOTATION).filter(|_| ready_since(namesake).is_some());
            if judged_so_far == Some(pod) { judged(observed, past) } else { first_ready(observed, namesake, pod, judged_so_far.is_some()) }
        }
    }
}

/// Nothing is known of this pod yet: its time begins now, also when another was judged before it.
fn first_ready(observed: &Observed<'_>, namesake: &Value, pod: &str, is_another: bool) -> Plan {
    let state = if is_another { "Ready again, with another pod" } else { "Ready" };
    let note = format!("{} is {state}; judging its traffic for {}", object::name(namesake), format_duration(observed.policy.duration));
    let mut actions = vec![Action::MarkReady { pod: pod.to_owned() }, Action::normal(Reason::Analyzing, note)];
    if let Some(unreached) = &observed.unreached {
        actions.push(Action::warning(Reason::Unreached, unreached.clone()));
    }
    Plan::then(actions, 1)
}

fn judged(observed: &Observed<'_>, past: bool) -> Plan {
    match &observed.judgement {
        Some(Judgement::Reject(message)) => verdict(Phase::Rejected, &format!("{message}; template kept out")),
        Some(Judgement::Promote(message)) => promotion(observed, message),
        Some(Judgement::Inconclusive { message, clean }) => inconclusive(observed, message, *clean),
        Some(Judgement::Unavailable(reason)) if past => {
            inconclusive(observed, &format!("no answer from the metrics until the deadline: {reason}"), false)
        }
        Some(Judgement::Unavailable(reason)) => Plan::then(
            vec![Action::warning(
                Reason::MetricsUnavailable,
                format!("metrics can't be read: {reason}; nothing is promoted or rejected for it"),
            )],
            2,
        ),
        Some(Judgement::Continue { look_again, note }) => {
            let actions = note.iter().map(|note| Action::normal(Reason::Waiting, note.clone())).collect();
            Plan { actions, look_again: Some(*look_again) }
        }
        None => Plan::then(Vec::new(), 1),
    }
}

/// Not while the primary is at fault: a promotion into a paused Deployment starts nothing, and says so.
fn promotion(observed: &Observed<'_>, message: &str) -> Plan {
    let paused = observed.primary.pointer("/spec/paused").and_then(Value::as_bool) == Some(true);
    let paused = if paused { "; the Deployment is paused, so its rollout waits for `kubectl rollout resume`" } else { "" };
    Plan::then(vec![Action::Promote { message: format!("{message}; template promoted{paused}") }], 1)
}

/// Nothing could be shown. `clean`: nothing speaks against it either, so the user's own choice counts.
fn inconclusive(observed: &Observed<'_>, message: &str, clean: bool) -> Plan {
    if clean && observed.policy.on_inconclusive == OnInconclusive::Promote && matches!(observed.health, Health::Ready { .. }) {
        return promotion(observed, &format!("{message}; nothing speaks against it, and canary.on-inconclusive is promote"));
    }
    verdict(Phase::Inconclusive, &format!("{message}; template kept out"))
}

fn verdict(phase: Phase, message: &str) -> Plan {
    Plan::then(vec![Action::Write { phase, message: Some(message.to_owned()) }], 1)
}

fn delete(namesake: &Value) -> Action {
    Action::Delete { uid: object::uid(namesake).to_owned() }
}
