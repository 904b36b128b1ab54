//! After the verdict: say it, take the canary away, watch the primary's rollout, clean up, let go.
//! The canary is the mark that the verdict has not been said yet: the Event comes first, then the canary goes.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{AT_ONCE, Action, Observed, OnTrial, Plan, ROLLOUT, delete, evict, live_is_broken};
use crate::{
    api::annotations::Phase,
    manifest::object,
    run::{
        canary,
        events::{Event, Reason},
        history,
    },
    standing::Standing,
};

/// Nothing is left to try, and nobody waits for it any more.
pub(super) fn superseded(held: OnTrial<'_>) -> Plan {
    let message = match held {
        OnTrial::Outdated => "another template became the live one past Coalmine; the held one is dropped: apply it again to try it",
        OnTrial::Unreadable => "the held template can't be read back, and is dropped: apply it again to try it",
        OnTrial::Nothing | OnTrial::Newer(_) | OnTrial::Template(_) => "the held template is gone; apply it again to try it",
    };
    Plan::then(vec![Action::Write { phase: Phase::Superseded, message: Some(message.to_owned()) }], AT_ONCE)
}

pub(super) fn ended(observed: &Observed<'_>, phase: Phase, now: Timestamp) -> Plan {
    let primary = observed.primary;
    let message = observed.standing().message.unwrap_or_else(|| phase.as_str()).to_owned();
    let canary = observed.namesake.filter(|namesake| canary::is_canary_of(namesake, primary) && !object::is_being_deleted(namesake));
    if phase == Phase::Promoted {
        return promoted(observed, canary, &message, now);
    }
    let mut actions = vec![event(phase, &told(primary, phase, &message))];
    actions.extend(canary.map(delete));
    let kept = observed.namesake.filter(|namesake| canary::is_canary_of(namesake, primary) && canary::keeps_its_pods(namesake));
    actions.extend(kept.map(evict));
    actions.extend(history::dated(object::annotations(primary), now).map(Action::Remember));
    if phase.is_kept_out() {
        actions.extend(live_is_broken(observed));
    } else {
        actions.push(Action::Condition { phase, message });
        actions.push(Action::CleanReplicaSets);
    }
    actions.push(Action::Release);
    Plan::end(actions)
}

/// What became of a template, and who had asked for it. What ends a hold otherwise says by itself who did.
fn told(primary: &Value, phase: Phase, message: &str) -> String {
    match Standing::of(primary).requested_by {
        Some(name) if matches!(phase, Phase::Promoted | Phase::Rejected | Phase::Inconclusive) => format!("{message}; asked for by {name}"),
        _ => message.to_owned(),
    }
}

fn event(phase: Phase, message: &str) -> Action {
    let warning = matches!(phase, Phase::Rejected | Phase::Inconclusive | Phase::Bypassed);
    Action::Publish(Event { reason: Reason::of(phase), note: message.to_owned(), warning })
}

fn promoted(observed: &Observed<'_>, canary: Option<&Value>, message: &str, now: Timestamp) -> Plan {
    if let Some(canary) = canary {
        let condition = Action::Condition { phase: Phase::Promoted, message: message.to_owned() };
        return Plan::then(
            vec![event(Phase::Promoted, &told(observed.primary, Phase::Promoted, message)), condition, delete(canary)],
            AT_ONCE,
        );
    }
    match rollout(observed.primary) {
        Rollout::Complete => Plan::end(vec![
            Action::normal(Reason::RolledOut, "the primary runs the promoted template on all replicas"),
            Action::CleanReplicaSets,
            Action::Release,
        ]),
        Rollout::Failed(reason) => Plan {
            actions: vec![
                Action::warning(
                    Reason::RolloutFailed,
                    format!(
                        "the promoted template does not roll out: {reason}; go back with `kubectl rollout undo deploy/{}`",
                        object::name(observed.primary)
                    ),
                ),
                Action::CleanReplicaSets,
                Action::Release,
            ],
            look_again: None,
        },
        // A primary without a deadline of its own is not watched for ever.
        Rollout::Running if since(observed.primary, now) > Duration::from_hours(1) => {
            Plan::end(vec![Action::CleanReplicaSets, Action::Release])
        }
        Rollout::Running => Plan::wait(ROLLOUT),
    }
}

fn since(primary: &Value, now: Timestamp) -> Duration {
    Standing::of(primary).since.map(|began| super::elapsed(began, now)).unwrap_or_default()
}

enum Rollout {
    Running,
    Complete,
    Failed(String),
}

/// As `kubectl rollout status` reads it.
fn rollout(primary: &Value) -> Rollout {
    let number = |pointer: &str| primary.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    if number("/status/observedGeneration") < number("/metadata/generation") {
        return Rollout::Running;
    }
    let conditions = primary.pointer("/status/conditions").and_then(Value::as_array);
    let progressing = conditions.and_then(|list| list.iter().find(|c| c.get("type").and_then(Value::as_str) == Some("Progressing")));
    if let Some(condition) = progressing.filter(|c| c.get("reason").and_then(Value::as_str) == Some("ProgressDeadlineExceeded")) {
        return Rollout::Failed(condition.get("message").and_then(Value::as_str).unwrap_or("its progress deadline is exceeded").to_owned());
    }
    let replicas = object::replicas(primary);
    let updated = number("/status/updatedReplicas");
    if updated >= replicas && number("/status/replicas") <= updated && number("/status/availableReplicas") >= updated {
        Rollout::Complete
    } else {
        Rollout::Running
    }
}
