//! After the verdict: say it, take the canary away, watch the primary's rollout, clean up, let go.
//! The canary is the mark that the verdict has not been said yet: the Event comes first, then the canary goes.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{AT_ONCE, Action, Observed, OnTrial, Plan, ROLLOUT, delete, evict, live_is_broken};
use crate::{
    api::annotations::Phase,
    facts::{
        event::Event,
        why::{Gone, Why},
    },
    manifest::{
        object,
        workload::{self, Rollout},
    },
    run::{canary, history},
    standing::Standing,
};

/// A primary without a deadline of its own is watched for no longer.
const LONGEST_ROLLOUT: Duration = Duration::from_hours(1);

/// Nothing is left to try, and nobody waits for it any more.
pub(super) fn superseded(gone: Gone) -> Plan {
    Plan::then(vec![Action::Write { phase: Phase::Superseded, why: Some(Why::Superseded(gone)) }], AT_ONCE)
}

/// Why, by what is held.
pub(super) fn gone(held: OnTrial<'_>) -> Gone {
    match held {
        OnTrial::Outdated => Gone::AnotherIsLive,
        OnTrial::Unreadable => Gone::Unreadable,
        OnTrial::Nothing | OnTrial::Newer(_) | OnTrial::Template(_) => Gone::Missing,
    }
}

pub(super) fn ended(observed: &Observed<'_>, phase: Phase, now: Timestamp) -> Plan {
    let primary = observed.primary;
    let message = observed.standing().message.unwrap_or_else(|| phase.as_str()).to_owned();
    let canary = observed.namesake.filter(|namesake| canary::is_canary_of(namesake, primary) && !object::is_being_deleted(namesake));
    if phase == Phase::Promoted {
        return promoted(observed, canary, &message, now);
    }
    let mut actions = vec![ended_event(observed, phase, &message)];
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

fn ended_event(observed: &Observed<'_>, phase: Phase, message: &str) -> Action {
    let requested_by = observed.standing().requested_by.map(str::to_owned);
    Action::Publish(Event::Ended { phase, message: message.to_owned(), requested_by })
}

fn promoted(observed: &Observed<'_>, canary: Option<&Value>, message: &str, now: Timestamp) -> Plan {
    if let Some(canary) = canary {
        let condition = Action::Condition { phase: Phase::Promoted, message: message.to_owned() };
        return Plan::then(vec![ended_event(observed, Phase::Promoted, message), condition, delete(canary)], AT_ONCE);
    }
    match workload::rollout(observed.primary) {
        Rollout::Complete => Plan::end(vec![Action::Publish(Event::RolledOut), Action::CleanReplicaSets, Action::Release]),
        Rollout::Failed(words) => {
            let event = Event::RolloutFailed { name: object::name(observed.primary).to_owned(), words };
            Plan::end(vec![Action::Publish(event), Action::CleanReplicaSets, Action::Release])
        }
        Rollout::Running if since(observed.primary, now) > LONGEST_ROLLOUT => Plan::end(vec![Action::CleanReplicaSets, Action::Release]),
        Rollout::Running => Plan::wait(ROLLOUT),
    }
}

fn since(primary: &Value, now: Timestamp) -> Duration {
    Standing::of(primary).since.map(|began| super::elapsed(began, now)).unwrap_or_default()
}
