//! What people and their clocks want of a trial: nothing is tried now, it stands still, it ends by hand, somebody must agree first.

use std::time::Duration;

use jiff::Timestamp;

use super::{AT_ONCE, Action, GATED, Observed, Plan, delete, elapsed, kept_out, not_tried, promoted};
use crate::{
    api::{annotations::Phase, gates::Approval as Asked},
    facts::{
        event::Event,
        why::{Closed, Good, NotTried, Verdict, Why},
    },
    manifest::object,
    message,
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
        return Some(Plan::then(vec![kept_out(Phase::Rejected, Verdict::ByHand(order.said.clone()))], AT_ONCE));
    }
    if let Some(closed) = gates::closed(&observed.policy.gates, observed.freeze.as_deref(), now) {
        return Some(not_now(observed, phase, closed));
    }
    if let Some(order) = order.filter(|_| phase.is_running()) {
        return Some(promoted(observed, Verdict::ByHand(order.said).into(), None));
    }
    match (observed.policy.gates.paused, standing.paused_since) {
        (true, None) if phase.is_running() => Some(Plan::then(vec![Action::Pause, Action::Publish(Event::Paused)], AT_ONCE)),
        (true, None) => Some(waiting(observed, NotTried::Paused, Event::PausedBeforeItBegan)),
        (true, Some(since)) if elapsed(since, now) >= LONGEST_PAUSE => {
            Some(Plan::then(vec![kept_out(Phase::Inconclusive, Verdict::PausedTooLong(LONGEST_PAUSE))], AT_ONCE))
        }
        (false, Some(_)) if phase.is_running() => Some(resume(observed)),
        _ => awaited_too_long(observed, phase, now),
    }
}

/// A trial that runs ends, and begins anew when it may: what is seen meanwhile is nobody's to act on.
fn not_now(observed: &Observed<'_>, phase: Phase, closed: Closed) -> Plan {
    if phase.is_running() {
        return Plan::then(vec![not_tried(NotTried::Closed(closed))], AT_ONCE);
    }
    waiting(observed, NotTried::Closed(closed.clone()), Event::NotNow(closed))
}

/// Held, and not tried yet.
fn waiting(observed: &Observed<'_>, reason: NotTried, event: Event) -> Plan {
    let primary = observed.primary;
    let mut actions = vec![Action::Publish(event)];
    let own = observed.namesake.filter(|namesake| canary::is_canary_of(namesake, primary) && !object::is_being_deleted(namesake));
    actions.extend(own.map(delete));
    if observed.standing().message != Some(message::why::not_tried(&reason).as_str()) {
        actions.push(not_tried(reason));
    }
    Plan::then(actions, GATED)
}

/// What was seen during the pause isn't what a trial is made of.
fn resume(observed: &Observed<'_>) -> Plan {
    let mut actions = Vec::new();
    if let Health::Ready { pod } = &observed.health {
        actions.push(Action::MarkReady { pod: pod.clone() });
    }
    actions.push(Action::Resume);
    actions.push(Action::Publish(Event::Resumed { duration: observed.policy.duration }));
    Plan::then(actions, AT_ONCE)
}

fn awaited_too_long(observed: &Observed<'_>, phase: Phase, now: Timestamp) -> Option<Plan> {
    let timeout = observed.policy.gates.approval_timeout;
    let waits = phase == Phase::AwaitingApproval && observed.standing().since.is_some_and(|since| elapsed(since, now) >= timeout);
    waits.then(|| Plan::then(vec![kept_out(Phase::Inconclusive, Verdict::NotApprovedWithin(timeout))], AT_ONCE))
}

/// Whether a template that proved itself may go in.
pub(super) enum Approval {
    NotAsked,
    By(Approved),
    Missing(Plan),
}

pub(super) fn approval(observed: &Observed<'_>, good: &Good) -> Approval {
    let standing = observed.standing();
    let Some(asked) = observed.policy.gates.approval else { return Approval::NotAsked };
    if let Some(approved) = gates::approved(&standing, asked, observed.applier) {
        return Approval::By(approved);
    }
    if standing.phase == Some(Phase::AwaitingApproval) {
        return Approval::Missing(asks(observed));
    }
    let by_another_than = match asked {
        Asked::Required => None,
        Asked::Other => Some(observed.applier.to_owned()),
    };
    let why = Why::AwaitsApproval { good: good.clone(), by_another_than };
    Approval::Missing(Plan::then(vec![Action::Write { phase: Phase::AwaitingApproval, why: Some(why) }], AT_ONCE))
}

/// The Event that tells of it: once, whoever leads.
fn asks(observed: &Observed<'_>) -> Plan {
    let standing = observed.standing();
    let event = Event::AwaitsApproval {
        name: object::name(observed.primary).to_owned(),
        run: standing.run_name().to_owned(),
        message: standing.message.unwrap_or_default().to_owned(),
    };
    Plan::then(vec![Action::Publish(event)], GATED)
}
