//! What people and their clocks want of a trial: nothing is tried now, it stands still, it ends by hand, somebody must agree first.

use std::time::Duration;

use jiff::Timestamp;

use super::{AT_ONCE, Action, GATED, Observed, Plan, Reason, delete, elapsed, kept_out, promoted};
use crate::{
    api::{annotations::Phase, gates::Approval as Asked, quantity::format_duration},
    manifest::object,
    run::{canary, gates, pods::Health},
    standing::people::{Approved, Verb},
};

/// A trial doesn't stand still for ever.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// Whatever comes before the trial itself.
pub(super) fn before_anything(observed: &Observed<'_>, phase: Phase, now: Timestamp) -> Option<Plan> {
    let standing = observed.standing();
    let order = standing.order();
    if let Some(order) = order.as_ref().filter(|order| order.verb == Verb::Reject) {
        return Some(Plan::then(vec![kept_out(Phase::Rejected, &order.said.decided())], AT_ONCE));
    }
    if let Some(words) = gates::closed(&observed.policy.gates, observed.freeze.as_deref(), now) {
        return Some(not_now(observed, phase, &words));
    }
    if let Some(order) = order.filter(|_| phase.is_running()) {
        return Some(promoted(observed, &order.said.decided()));
    }
    match (observed.policy.gates.paused, standing.paused_since) {
        (true, None) if phase.is_running() => {
            let note = "paused: the clock stands still, and nothing but a gross failure counts; to go on: canary.paused: \"false\"";
            Some(Plan::then(vec![Action::Pause, Action::normal(Reason::Paused, note)], AT_ONCE))
        }
        (true, None) => Some(waiting(observed, "paused before it began; to go on: canary.paused: \"false\"", Reason::Paused)),
        (true, Some(since)) if elapsed(since, now) >= LONGEST_PAUSE => {
            let reason = format!("paused for {}", format_duration(LONGEST_PAUSE));
            Some(Plan::then(vec![kept_out(Phase::Inconclusive, &reason)], AT_ONCE))
        }
        (false, Some(_)) if phase.is_running() => Some(resume(observed)),
        _ => awaited_too_long(observed, phase, now),
    }
}

/// A trial that runs ends, and begins anew when it may: what is seen meanwhile is nobody's to act on.
fn not_now(observed: &Observed<'_>, phase: Phase, words: &str) -> Plan {
    if phase.is_running() {
        return Plan::then(vec![Action::Write { phase: Phase::Held, message: Some(words.to_owned()) }], AT_ONCE);
    }
    waiting(observed, words, Reason::NotNow)
}

/// Held, and not tried yet.
fn waiting(observed: &Observed<'_>, words: &str, reason: Reason) -> Plan {
    let primary = observed.primary;
    let mut actions = vec![Action::normal(reason, format!("template held; {words}"))];
    let own = observed.namesake.filter(|namesake| canary::is_canary_of(namesake, primary) && !object::is_being_deleted(namesake));
    actions.extend(own.map(delete));
    if observed.standing().message != Some(words) {
        actions.push(Action::Write { phase: Phase::Held, message: Some(words.to_owned()) });
    }
    Plan::then(actions, GATED)
}

/// What was seen during the pause isn't what a trial is made of.
fn resume(observed: &Observed<'_>) -> Plan {
    let duration = format_duration(observed.policy.duration);
    let mut actions = Vec::new();
    if let Health::Ready { pod } = &observed.health {
        actions.push(Action::MarkReady { pod: pod.clone() });
    }
    actions.push(Action::Resume);
    actions.push(Action::normal(Reason::Resumed, format!("resumed; judging its traffic anew for {duration}")));
    Plan::then(actions, AT_ONCE)
}

fn awaited_too_long(observed: &Observed<'_>, phase: Phase, now: Timestamp) -> Option<Plan> {
    let timeout = observed.policy.gates.approval_timeout;
    let waits = phase == Phase::AwaitingApproval && observed.standing().since.is_some_and(|since| elapsed(since, now) >= timeout);
    let reason = || format!("it proved itself, and was not let in within {} (canary.approval-timeout)", format_duration(timeout));
    waits.then(|| Plan::then(vec![kept_out(Phase::Inconclusive, &reason())], AT_ONCE))
}

/// Whether a template that proved itself may go in.
pub(super) enum Approval {
    NotAsked,
    By(Approved),
    Missing(Plan),
}

pub(super) fn approval(observed: &Observed<'_>, message: &str) -> Approval {
    let standing = observed.standing();
    let Some(asked) = observed.policy.gates.approval else { return Approval::NotAsked };
    if let Some(approved) = gates::approved(&standing, asked, observed.applier) {
        return Approval::By(approved);
    }
    if standing.phase == Some(Phase::AwaitingApproval) {
        return Approval::Missing(asks(observed));
    }
    let who = match asked {
        Asked::Required => String::new(),
        Asked::Other => format!(" by somebody else than {}", observed.applier),
    };
    let message = format!("{message}; it waits for approval{who}");
    Approval::Missing(Plan::then(vec![Action::Write { phase: Phase::AwaitingApproval, message: Some(message) }], AT_ONCE))
}

/// The Event that tells of it: once, whoever leads.
fn asks(observed: &Observed<'_>) -> Plan {
    let standing = observed.standing();
    let (message, run, name) = (standing.message.unwrap_or_default(), standing.run_name(), object::name(observed.primary));
    let note = format!("{message}: kubectl annotate deploy/{name} --overwrite canary.approve={run}");
    Plan::then(vec![Action::normal(Reason::AwaitsApproval, note)], GATED)
}
