//! What the API server refuses of the controller: for a quota, a policy, or another webhook. It may be allowed before the deadline, so it is told
//! and tried again until then. A phase that can't be written to the Deployment is written by way of its status, so that every run ends.

use jiff::Timestamp;

use super::{AFTER_A_REFUSAL, AT_ONCE, Action, Observed, Phase, Plan, Refused, is_past_deadline, kept_out};
use crate::{
    facts::{
        event::{Event, Refusal},
        why::Verdict,
    },
    words,
};

/// What is told of a refusal that the rest of the plan doesn't depend on; nothing for any other.
pub fn dispensable(refused: &Refused) -> Option<Event> {
    let is_dispensable = matches!(refused.action, Action::Condition { .. } | Action::Remember(_) | Action::CleanReplicaSets);
    is_dispensable.then(|| Event::Refused { what: Refusal::Aside, words: words::cut(&refused.words) })
}

/// What follows, instead of the rest of the plan.
pub(super) fn plan(observed: &Observed<'_>, refused: &Refused, now: Timestamp) -> Plan {
    let (primary, policy) = (observed.primary, observed.policy);
    let words = words::cut(&refused.words);
    let deadline = policy.deadline;
    let (what, aside) = match &refused.action {
        // At the deadline the run ends before it is tried again.
        Action::Create(_) => (Refusal::Create { deadline }, None),
        Action::Promote(_) if is_past_deadline(primary, policy, now) => {
            return Plan::then(vec![kept_out(Phase::Inconclusive, Verdict::PromotionRefused { words })], AT_ONCE);
        }
        Action::Promote(_) => (Refusal::Promotion { deadline }, None),
        Action::Delete { .. } => (Refusal::Delete { canary: observed.canary_name() }, None),
        Action::Write { phase, why } => {
            (Refusal::Write { tries_status: true }, Some(Action::WriteAside { phase: *phase, why: why.clone() }))
        }
        _ => (Refusal::Write { tries_status: false }, None),
    };
    let look_again = if aside.is_some() { AT_ONCE } else { AFTER_A_REFUSAL };
    let event = Action::Publish(Event::Refused { what, words });
    Plan::then(std::iter::once(event).chain(aside).collect(), look_again)
}
