//! What the controller does next: from what was observed, and the time, to a list of actions. Pure; the controller only carries it out.
//!
//! All state is on the objects, and every step may be the last before the process dies: whatever was done already is seen on the objects
//! and not done again. The order of actions is the order of safety: a verdict is written before anything is deleted for it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    canary,
    pods::{Health, Known},
    shared::Shared,
    times::{elapsed, ready_since},
};
use crate::api::{
    annotations::Phase,
    label::Label,
    policy::{Mode, OnInconclusive, Policy},
};
use crate::{
    facts::{
        event::{Event, Unreached},
        judgement::Round,
        why::{Despite, Gone, Good, NotTried, Promotion, Verdict, Why},
    },
    manifest::object,
    standing::{Standing, people::Approved},
};

mod action;
mod finish;
mod gated;
mod prepare;
mod refused;
mod running;
mod steady;
#[cfg(test)]
mod tests;

pub use self::{
    action::{Action, Plan, Refused},
    refused::dispensable,
};

/// What the primary says that it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OnTrial<'a> {
    Nothing,
    Template(&'a Value),
    /// Another template became the live one meanwhile, past Coalmine.
    Outdated,
    /// Nobody can read it.
    Unreadable,
    /// A newer Coalmine wrote it, in this version of the state.
    Newer(u32),
}

/// Everything that the next step depends on.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    pub primary: &'a Value,
    pub held: OnTrial<'a>,
    /// The Deployment with the canary's name, whoever made it.
    pub namesake: Option<&'a Value>,
    /// The pods of the run.
    pub health: Health,
    pub policy: &'a Policy,
    /// Since when the canary's pod is Ready, in the words of its condition.
    pub ready_condition: Option<String>,
    /// What the metrics and checks say; only asked for when the canary is Ready.
    pub judgement: Option<Round>,
    /// Why the canary may get no traffic.
    pub unreached: Option<Unreached>,
    /// The primary's pods are in the trouble that the canary's is in.
    pub shared: Option<Shared>,
    /// For how long they have not been.
    pub alone_for: Duration,
    /// What the live template names and can't be started without.
    pub missing_live: Vec<String>,
    /// The user who applied the held template.
    pub applier: &'a str,
    /// Why the namespace wants nothing tried, where it says so.
    pub freeze: Option<String>,
    /// What the API server refused of the plan that was just carried out.
    pub refused: Option<Refused>,
}

impl<'a> Observed<'a> {
    fn standing(&self) -> Standing<'a> {
        Standing::of(self.primary)
    }

    fn canary_name(&self) -> String {
        canary::name(object::name(self.primary))
    }
}

/// What was just written is seen on the objects.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Something of the cluster's own is under way, whose progress wakes us mostly.
const POD_STARTS: Duration = Duration::from_secs(5);
/// A rollout takes its time.
const ROLLOUT: Duration = Duration::from_secs(10);
/// Somebody will say something, or a namespace that nobody watches is no longer frozen.
const GATED: Duration = Duration::from_secs(10);
/// Nothing runs, and what ends that wakes us.
const ASLEEP: Duration = Duration::from_mins(1);
/// A run that is younger than this has not been told of yet.
const JUST_BEGUN: Duration = Duration::from_secs(2);
/// The API server will hardly change its mind sooner.
const AFTER_A_REFUSAL: Duration = Duration::from_secs(5);

/// On the canary: the name of that pod.
pub const READY_POD_ANNOTATION: &str = "coalmine.dev/ready-pod";

/// On the canary: containers that ended until then did so together with the primary's, which nobody holds against the template.
pub const EXCUSED_ANNOTATION: &str = "coalmine.dev/excused-until";

pub use steady::{READY_AGAIN_ANNOTATION, READY_CONDITION_ANNOTATION};

/// What is known of a canary beside its pods.
pub fn known(canary: &Value) -> Known {
    let excused = object::annotation(canary, EXCUSED_ANNOTATION).and_then(|text| text.parse().ok());
    Known { was_ready: ready_since(canary).is_some(), excused }
}

/// By how much the clocks of two replicas may differ.
const AHEAD: Duration = Duration::from_mins(1);

/// Whether the deadline of this run has passed. One that proved itself has as long as an approval may take.
pub fn is_past_deadline(primary: &Value, policy: &Policy, now: Timestamp) -> bool {
    let standing = Standing::of(primary);
    standing.since.is_some_and(|since| elapsed(since, now) >= limit(&standing, policy))
}

/// When the run that goes on must be over; nothing while its clock stands still.
pub fn deadline(primary: &Value, policy: &Policy) -> Option<Timestamp> {
    let standing = Standing::of(primary);
    let runs = standing.is_running() && standing.paused_since.is_none();
    standing.since.filter(|_| runs)?.checked_add(limit(&standing, policy)).ok()
}

/// How long the present phase may take.
fn limit(standing: &Standing<'_>, policy: &Policy) -> Duration {
    if standing.phase == Some(Phase::AwaitingApproval) { policy.gates.approval_timeout } else { policy.deadline }
}

/// The next step for one primary.
pub fn plan(observed: &Observed<'_>, canary_label: &Label, now: Timestamp) -> Plan {
    if let Some(refused) = &observed.refused {
        return refused::plan(observed, refused, now);
    }
    match (observed.standing().phase, observed.held) {
        (_, OnTrial::Newer(version)) => Plan::then(vec![Action::Publish(Event::NewerState { version })], ASLEEP),
        (None, _) => Plan::end(vec![Action::Release]),
        // Admission would have ended the hold: nobody asked it.
        (Some(phase), _) if phase.holds() && !object::is_opted_in(object::annotations(observed.primary)) => {
            finish::superseded(Gone::OptedOut)
        }
        (Some(phase), OnTrial::Template(template)) if phase.is_trying() => trying(observed, phase, template, canary_label, now),
        (Some(phase), OnTrial::Nothing) if phase.is_kept_out() => finish::ended(observed, phase, now),
        (Some(phase), OnTrial::Outdated | OnTrial::Unreadable | OnTrial::Nothing) if phase.holds() => {
            finish::superseded(finish::gone(observed.held))
        }
        (Some(phase), _) => finish::ended(observed, phase, now),
    }
}

fn trying(observed: &Observed<'_>, phase: Phase, template: &Value, canary_label: &Label, now: Timestamp) -> Plan {
    let primary = observed.primary;
    if let Some(plan) = gated::before_anything(observed, phase, now) {
        return plan;
    }
    // The clock of a paused trial stands still.
    let standing = observed.standing();
    let now = standing.paused_since.filter(|_| phase.is_running()).unwrap_or(now);
    let run = standing.run_name();
    let own = observed.namesake.filter(|namesake| canary::is_canary_of(namesake, primary) && !object::is_being_deleted(namesake));
    // A beginning that is yet to come was written by a clock that was ahead: by it the deadline would never come.
    let Some(since) = standing.since.filter(|since| phase.is_running() && elapsed(now, *since) < AHEAD) else {
        // What was seen of this template before, if anything was, is of another trial.
        let mut actions: Vec<Action> = own.filter(|own| canary::run_of(own) == Some(run)).map(delete).into_iter().collect();
        if object::replicas(primary) == 0 {
            actions.insert(0, Action::Publish(Event::ScaledToZero));
            return Plan::then(actions, ASLEEP);
        }
        // The time of the run is written before anything is created: from here on the deadline counts.
        actions.extend(standing.merged().map(|told| Action::Publish(Event::Merged(told.to_owned()))));
        actions.push(Action::Write { phase: Phase::Running, why: None });
        return Plan::then(actions, AT_ONCE);
    };
    if object::replicas(primary) == 0 {
        // The canary must not be all that is left of a service that somebody turned off.
        return Plan::then(vec![not_tried(NotTried::ScaledToZero)], AT_ONCE);
    }
    let name = observed.canary_name();
    let past = is_past_deadline(primary, observed.policy, now);
    let Some(namesake) = observed.namesake else {
        if past {
            let verdict = Verdict::NotCreatedWithin { canary: name, deadline: observed.policy.deadline };
            return inconclusive(observed, verdict, true);
        }
        let first = phase == Phase::Running && elapsed(since, now) < JUST_BEGUN;
        return prepare::create(observed, template, run, canary_label, first);
    };
    if canary::is_abandoned(namesake, object::name(primary), Some(primary)) && !past {
        return Plan::then(vec![delete(namesake)], AT_ONCE);
    }
    if !canary::is_canary_of(namesake, primary) {
        return end(observed, Phase::Inconclusive, Verdict::NameTaken { canary: name });
    }
    if let Some(way) = prepare::in_the_way(namesake, run) {
        return prepare::clear(observed, namesake, &way, past);
    }
    running::running(observed, namesake, now)
}

fn not_tried(reason: NotTried) -> Action {
    Action::Write { phase: Phase::Held, why: Some(Why::NotTried(reason)) }
}

/// Where somebody must agree, once they did.
fn promotion(observed: &Observed<'_>, good: Good) -> Plan {
    match gated::approval(observed, &good) {
        gated::Approval::NotAsked => promoted(observed, good, None),
        gated::Approval::By(approved) => promoted(observed, good, Some(approved)),
        gated::Approval::Missing(plan) => plan,
    }
}

/// Not while the primary is at fault: a promotion into a paused Deployment starts nothing, and says so.
fn promoted(observed: &Observed<'_>, good: Good, approved: Option<Approved>) -> Plan {
    Plan::then(vec![Action::Promote(Promotion { good, approved, is_paused: is_paused(observed.primary) })], AT_ONCE)
}

fn is_paused(primary: &Value) -> bool {
    primary.pointer("/spec/paused").and_then(Value::as_bool) == Some(true)
}

/// Nothing could be shown. `clean`: nothing speaks against it either, so the user's own choice counts.
fn inconclusive(observed: &Observed<'_>, verdict: Verdict, clean: bool) -> Plan {
    if clean && observed.policy.on_inconclusive == OnInconclusive::Promote && matches!(observed.health, Health::Ready { .. }) {
        return promotion(observed, Good { verdict, despite: Some(Despite::Inconclusive) });
    }
    end(observed, Phase::Inconclusive, verdict)
}

/// Kept out, but in a Deployment that only wants to be told.
fn end(observed: &Observed<'_>, phase: Phase, verdict: Verdict) -> Plan {
    if observed.policy.mode == Mode::Report {
        return promotion(observed, Good { verdict, despite: Some(Despite::Report(phase)) });
    }
    Plan::then(vec![kept_out(phase, verdict)], AT_ONCE)
}

fn kept_out(phase: Phase, verdict: Verdict) -> Action {
    Action::Write { phase, why: Some(Why::KeptOut(verdict)) }
}

/// The live template names what is not there any more: it runs on, and its next pod does not start.
fn live_is_broken(observed: &Observed<'_>) -> Option<Action> {
    let missing = observed.missing_live.clone();
    (!missing.is_empty()).then_some(Action::Publish(Event::LiveBroken { missing }))
}

fn delete(namesake: &Value) -> Action {
    Action::Delete { uid: object::uid(namesake).to_owned(), with_pods: false }
}

/// Its pods would run, and take traffic, as long as the Deployment is kept by somebody's finalizer.
fn evict(namesake: &Value) -> Action {
    Action::Delete { uid: object::uid(namesake).to_owned(), with_pods: true }
}

/// The end of a run that this program can't go on with, through a fault of its own or for lack of a right, once there is no more time.
pub fn after_a_failure(primary: &Value, held: OnTrial<'_>, policy: &Policy, now: Timestamp, why: Verdict) -> Option<Action> {
    let running = Standing::of(primary).is_running() && !matches!(held, OnTrial::Newer(_));
    // A Deployment that only wants to be told is kept from nothing.
    let lets_in = policy.mode == Mode::Report && matches!(held, OnTrial::Template(_));
    let end = |verdict| {
        if !lets_in {
            return kept_out(Phase::Inconclusive, verdict);
        }
        let good = Good { verdict, despite: Some(Despite::Report(Phase::Inconclusive)) };
        Action::Promote(Promotion { good, approved: None, is_paused: is_paused(primary) })
    };
    (running && is_past_deadline(primary, policy, now)).then(|| end(why))
}
