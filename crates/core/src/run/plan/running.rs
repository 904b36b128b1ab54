//! The canary of this run is there: what its pod and its numbers say, and how long to wait for them.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    AT_ONCE, Action, Judgement, Observed, POD_STARTS, Plan, READY_POD_ANNOTATION, Reason, elapsed, inconclusive, is_past_deadline,
    live_is_broken, promotion, ready_since, steady, verdict,
};
use crate::{
    api::{annotations::Phase, quantity::format_duration},
    manifest::object,
    run::{
        pods::{Health, Trouble},
        shared::{self, Shared},
    },
};

/// What is not there yet may come at any moment.
const FOR_WHAT_MAY_COME: Duration = Duration::from_secs(2);
/// At the deadline the judge has the last word, but not for ever.
const LAST_WORD: Duration = Duration::from_secs(30);
/// Files of one directory are applied in the order of their names: a Deployment may come before its Secret.
const FOR_WHAT_IS_MISSING: Duration = Duration::from_secs(30);

pub(super) fn running(observed: &Observed<'_>, namesake: &Value, now: Timestamp) -> Plan {
    let past = is_past_deadline(observed.primary, observed.policy, now);
    let tried_for = observed.standing().since.map(|since| elapsed(since, now)).unwrap_or_default();
    match &observed.health {
        Health::Missing(reason) if tried_for < FOR_WHAT_IS_MISSING && !past => {
            let note = format!("{reason}; waiting {} for it to be there", format_duration(FOR_WHAT_IS_MISSING));
            Plan::then(vec![Action::normal(Reason::ConfigMissing, note)], FOR_WHAT_MAY_COME)
        }
        Health::Missing(reason) => rejected(observed, reason, tried_for),
        Health::Failed { reason, trouble } => in_trouble(observed, namesake, reason, *trouble, now),
        Health::Starting(reason) if past => {
            let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let since = if ready_since(namesake).is_some() { "not Ready any more at the deadline of" } else { "not Ready within" };
            inconclusive(observed, &format!("{since} {}{reason}", format_duration(observed.policy.deadline)), false)
        }
        Health::Starting(reason) if ready_since(namesake).is_some() => {
            let reason = reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let note =
                format!("{} is not Ready any more, through no fault of the template{reason}; waiting for it", object::name(namesake));
            Plan::then(vec![Action::normal(Reason::NotReady, note)], POD_STARTS)
        }
        Health::Starting(Some(reason)) if tried_for >= FOR_WHAT_IS_MISSING => {
            let (name, deadline) = (object::name(namesake), format_duration(observed.policy.deadline));
            let note = format!("{name} is not Ready after {}: {reason}; given up after {deadline}", format_duration(FOR_WHAT_IS_MISSING));
            Plan::then(vec![Action::normal(Reason::NotReady, note)], POD_STARTS)
        }
        Health::Starting(_) => Plan::wait(POD_STARTS),
        Health::Ready { pod } => {
            let judged_so_far = object::annotation(namesake, READY_POD_ANNOTATION).filter(|_| ready_since(namesake).is_some());
            if judged_so_far == Some(pod) {
                let mut plan = judged(observed, namesake, now);
                plan.actions.splice(0..0, steady::news(observed, namesake));
                plan
            } else if past {
                let deadline = format_duration(observed.policy.deadline);
                inconclusive(observed, &format!("Ready only at the deadline of {deadline}, so there was no time to judge it"), false)
            } else {
                first_ready(observed, namesake, pod, judged_so_far.is_some())
            }
        }
    }
}

fn rejected(observed: &Observed<'_>, reason: &str, tried_for: Duration) -> Plan {
    verdict(observed, Phase::Rejected, &format!("{reason} (after {})", format_duration(tried_for)))
}

/// Its pod fails. Where the primary's pods fail at the same time, nobody knows whose fault that is.
fn in_trouble(observed: &Observed<'_>, namesake: &Value, reason: &str, trouble: Trouble, now: Timestamp) -> Plan {
    let past = is_past_deadline(observed.primary, observed.policy, now);
    let tried_for = observed.standing().since.map(|since| elapsed(since, now)).unwrap_or_default();
    let serves = !shared::never_served(observed.primary);
    match observed.shared.filter(|_| serves) {
        Some(Shared { troubled, of }) => {
            let both = format!("{reason}; {troubled} of {of} pods of the primary's are in the same trouble, so the template is not blamed");
            if past {
                return inconclusive(
                    observed,
                    &format!("{both}; still so at the deadline of {}", format_duration(observed.policy.deadline)),
                    false,
                );
            }
            let mut actions = vec![Action::warning(Reason::SharedTrouble, format!("{both}; waiting for it to be over"))];
            match trouble {
                Trouble::Ended { at: Some(at), .. } => actions.push(Action::Excuse(at)),
                Trouble::Unready => actions.extend(steady::excuse(namesake)),
                Trouble::Ended { .. } | Trouble::Own => {}
            }
            Plan::then(actions, FOR_WHAT_MAY_COME)
        }
        None if serves && !past && observed.alone_for < shared::grace(trouble, object::template(namesake)) => Plan::wait(AT_ONCE),
        None => rejected(observed, reason, tried_for),
    }
}

/// Nothing is known of this pod yet: its time begins now, also when another was judged before it.
fn first_ready(observed: &Observed<'_>, namesake: &Value, pod: &str, is_another: bool) -> Plan {
    let state = if is_another { "Ready again, with another pod" } else { "Ready" };
    let note = format!("{} is {state}; judging its traffic for {}", object::name(namesake), format_duration(observed.policy.duration));
    let mut actions = vec![Action::MarkReady { pod: pod.to_owned() }];
    actions.extend(observed.ready_condition.clone().map(|condition| Action::MarkCondition { condition, again: false }));
    actions.push(Action::normal(Reason::Analyzing, note));
    if let Some(unreached) = &observed.unreached {
        actions.push(Action::warning(Reason::Unreached, unreached.clone()));
    }
    actions.extend(live_is_broken(observed));
    Plan::then(actions, AT_ONCE)
}

fn judged(observed: &Observed<'_>, namesake: &Value, now: Timestamp) -> Plan {
    if observed.standing().paused_since.is_some() {
        return while_paused(observed);
    }
    let past = is_past_deadline(observed.primary, observed.policy, now);
    if let Some(plan) = of_a_primary_that_never_served(observed, namesake, now) {
        return plan;
    }
    if let Some(plan) = steady::instead(observed, namesake, now) {
        return plan;
    }
    let overdue = is_past_deadline(observed.primary, observed.policy, now - LAST_WORD);
    match &observed.judgement {
        Some(Judgement::Reject(message)) => verdict(observed, Phase::Rejected, message),
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
            FOR_WHAT_MAY_COME,
        ),
        Some(Judgement::Continue { note, .. }) if overdue => {
            let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
            inconclusive(observed, &format!("undecided at the deadline{note}"), false)
        }
        None if overdue => inconclusive(observed, "nothing was said about it until the deadline", false),
        Some(Judgement::Continue { look_again, note }) => {
            let actions = note.iter().map(|note| Action::normal(Reason::Waiting, note.clone())).collect();
            Plan { actions, look_again: Some(*look_again) }
        }
        None => Plan::wait(AT_ONCE),
    }
}

/// Only what fails grossly ends a trial that stands still: the judge is told to look at nothing else.
fn while_paused(observed: &Observed<'_>) -> Plan {
    match &observed.judgement {
        Some(Judgement::Reject(message)) => verdict(observed, Phase::Rejected, message),
        _ => Plan::wait(FOR_WHAT_MAY_COME),
    }
}

/// Nothing is there to be protected, and nothing to be compared with: a canary that stays Ready is better than what there is. Unless its own
/// numbers speak against it.
fn of_a_primary_that_never_served(observed: &Observed<'_>, namesake: &Value, now: Timestamp) -> Option<Plan> {
    if !shared::never_served(observed.primary) || matches!(observed.judgement, Some(Judgement::Reject(_))) {
        return None;
    }
    let duration = observed.policy.duration;
    let ready_for = ready_since(namesake).map(|since| elapsed(since, now)).unwrap_or_default();
    if ready_for >= duration {
        let (name, duration) = (object::name(namesake), format_duration(duration));
        return Some(promotion(observed, &format!("no pod of the primary's was ever available, and {name} stayed Ready for {duration}")));
    }
    (!is_past_deadline(observed.primary, observed.policy, now)).then(|| Plan::wait(duration.saturating_sub(ready_for).min(POD_STARTS)))
}
