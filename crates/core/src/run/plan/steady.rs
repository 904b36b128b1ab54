//! A canary whose pod loses its readiness again and again, each time for less than its probes need to fail for good. It is not rejected for that, and not
//! promoted before it stayed Ready for the whole duration.
//!
//! Told by the pod's own condition: that it changed, whoever looked when. What time that was is our clock's.

use jiff::Timestamp;
use serde_json::Value;

use super::{Action, Observed, POD_STARTS, Plan, elapsed, inconclusive, is_past_deadline};
use crate::facts::event::Event;
use crate::facts::judgement::{Decision, Judgement, Round};
use crate::facts::why::Verdict;
use crate::manifest::object;

/// On the canary: since when its pod was Ready, in the pod's own words. Empty: it was not for a reason that the primary shares.
pub const READY_CONDITION_ANNOTATION: &str = "coalmine.dev/ready-condition";
/// On the canary: when its pod was seen Ready again.
pub const READY_AGAIN_ANNOTATION: &str = "coalmine.dev/ready-again";

/// What is new about the pod's readiness.
pub(super) fn news(observed: &Observed<'_>, namesake: &Value) -> Option<Action> {
    let condition = observed.ready_condition.clone()?;
    let known = object::annotation(namesake, READY_CONDITION_ANNOTATION);
    let again = known.is_some_and(|known| !known.is_empty());
    (known != Some(&condition)).then_some(Action::MarkCondition { condition, again })
}

/// While the primary's pods are not Ready either, nobody's readiness says anything.
pub(super) fn excuse(namesake: &Value) -> Option<Action> {
    let known = object::annotation(namesake, READY_CONDITION_ANNOTATION)?;
    (!known.is_empty()).then(|| Action::MarkCondition { condition: String::new(), again: false })
}

/// What is to be done instead of a promotion.
pub(super) fn instead(observed: &Observed<'_>, namesake: &Value, now: Timestamp) -> Option<Plan> {
    let promotes = match &observed.judgement {
        Some(Round::Done(Judgement { decision, .. })) => matches!(decision, Decision::Promote | Decision::Inconclusive { clean: true }),
        Some(Round::Waiting(_)) | None => false,
    };
    let is_news = matches!(news(observed, namesake), Some(Action::MarkCondition { again: true, .. }));
    let again = if is_news { now } else { object::annotation(namesake, READY_AGAIN_ANNOTATION)?.parse().ok()? };
    let (duration, stayed) = (observed.policy.duration, elapsed(again, now));
    if !promotes || stayed >= duration {
        return None;
    }
    if is_past_deadline(observed.primary, observed.policy, now) {
        return Some(inconclusive(observed, Verdict::Unsteady { duration, stayed }, false));
    }
    Some(Plan::then(vec![Action::Publish(Event::Unsteady { duration })], duration.saturating_sub(stayed).min(POD_STARTS)))
}
