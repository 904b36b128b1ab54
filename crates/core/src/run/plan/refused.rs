//! What the API server will not have of the controller: a quota's word, a policy's, or another webhook's. It may be allowed before the deadline,
//! so it is told and tried again until then. A phase that can't be written to the Deployment is written by way of its status, so that every
//! run ends.

use jiff::Timestamp;

use super::{AFTER_A_REFUSAL, Action, Observed, Plan, Refused, is_past_deadline, kept_out};
use crate::{
    api::{policy::Policy, quantity::format_duration},
    manifest::object,
    run::{
        canary,
        events::{Event, Reason},
    },
    words,
};

/// What follows, instead of the rest of the plan.
pub(super) fn plan(observed: &Observed<'_>, refused: &Refused, now: Timestamp) -> Plan {
    let (primary, policy) = (observed.primary, observed.policy);
    let said = words::cut(&refused.words);
    let again = |event: Event| Plan::then(vec![Action::Publish(event)], AFTER_A_REFUSAL);
    match &refused.action {
        // At the deadline the run ends before it is tried again.
        Action::Create(_) => again(until_the_deadline(Reason::CreateRefused, "the canary can't be created", &said, policy)),
        Action::Promote { .. } if is_past_deadline(primary, policy, now) => {
            let reason = format!("proved itself, but can't be promoted: {said}");
            Plan::then(vec![kept_out(super::Phase::Inconclusive, &reason)], super::AT_ONCE)
        }
        Action::Promote { .. } => again(until_the_deadline(Reason::PromotionRefused, "the template can't be promoted", &said, policy)),
        Action::Delete { .. } => {
            let name = canary::name(object::name(primary));
            again(Event::warning(Reason::DeleteRefused, format!("{name} can't be deleted: {said}; trying again")))
        }
        Action::Write { phase, message } => {
            let event = Event::warning(Reason::WriteRefused, format!("the Deployment can't be written to: {said}; writing to its status"));
            let aside = Action::WriteAside { phase: *phase, message: message.clone() };
            Plan::then(vec![Action::Publish(event), aside], super::AT_ONCE)
        }
        _ => again(Event::warning(Reason::WriteRefused, format!("the Deployment can't be written to: {said}; trying again"))),
    }
}

fn until_the_deadline(reason: Reason, what: &str, words: &str, policy: &Policy) -> Event {
    Event::warning(reason, format!("{what}: {words}; trying until the deadline ({})", format_duration(policy.deadline)))
}
