//! Before the canary of a run can be looked at: it is created, and whatever stands in its place goes first.

use serde_json::Value;

use super::{AT_ONCE, Action, Observed, POD_STARTS, Plan, Reason, delete, evict, inconclusive};
use crate::{api::quantity::format_duration, manifest::object, run::canary};

/// So many times a canary that something changes is made anew.
const MOST_REMADE: u32 = 3;

pub(super) fn create(observed: &Observed<'_>, template: &Value, run: &str, canary_label: &(String, String), first: bool) -> Plan {
    let name = canary::name(object::name(observed.primary));
    let mut actions = Vec::new();
    if first {
        let duration = format_duration(observed.policy.duration);
        let of = observed.standing().requested_by.map(|name| format!(" of {name}")).unwrap_or_default();
        actions.push(Action::normal(Reason::Held, format!("template{of} held; trying it in {name} for {duration}")));
    }
    actions.push(Action::Create(canary::deployment(observed.primary, template.clone(), run, canary_label)));
    actions.push(Action::normal(Reason::Started, format!("created {name} with one replica of the held template")));
    Plan::then(actions, POD_STARTS)
}

/// Why the canary that is there can't be the one of this run.
pub(super) enum InTheWay {
    /// It tries another template.
    Stale,
    Leaving,
    /// Somebody changed its template.
    Changed,
    /// Somebody gave it more pods than its one, or none.
    Scaled,
}

pub(super) fn in_the_way(namesake: &Value, run: &str) -> Option<InTheWay> {
    if object::is_being_deleted(namesake) {
        Some(InTheWay::Leaving)
    } else if canary::run_of(namesake) != Some(run) {
        Some(InTheWay::Stale)
    } else if canary::is_changed_by_hand(namesake) {
        Some(InTheWay::Changed)
    } else {
        (object::replicas(namesake) != 1).then_some(InTheWay::Scaled)
    }
}

/// Makes room for this run's own canary, while there is time.
pub(super) fn clear(observed: &Observed<'_>, namesake: &Value, way: &InTheWay, past: bool) -> Plan {
    let name = object::name(namesake);
    if past {
        let deadline = format_duration(observed.policy.deadline);
        let why = match canary::finalizers(namesake) {
            finalizers if finalizers.is_empty() => String::new(),
            finalizers => format!(", which waits for its finalizer {}", finalizers.join(", ")),
        };
        return inconclusive(observed, &format!("an earlier {name} was not gone within {deadline}{why}"), false);
    }
    match way {
        InTheWay::Leaving => Plan::then(canary::keeps_its_pods(namesake).then(|| evict(namesake)).into_iter().collect(), AT_ONCE),
        InTheWay::Stale => {
            let note = format!("{name} tried a template that was superseded; starting over");
            Plan::then(vec![Action::normal(Reason::Superseded, note), delete(namesake)], AT_ONCE)
        }
        InTheWay::Changed => {
            let by = canary::changed_by(namesake).map(|manager| format!(" by {manager:?}")).unwrap_or_default();
            remake(observed, namesake, &format!("was changed{by}, and no longer runs the held template alone"), &by)
        }
        InTheWay::Scaled => {
            let what = format!("was scaled to {} replicas, and is to be one pod beside the primary's", object::replicas(namesake));
            remake(observed, namesake, &what, "")
        }
    }
}

/// What keeps changing it is not ours to fight for ever.
fn remake(observed: &Observed<'_>, namesake: &Value, what: &str, by: &str) -> Plan {
    let name = object::name(namesake);
    let standing = observed.standing();
    let (run, remade) = (standing.run_name(), standing.remade());
    if remade >= MOST_REMADE {
        let times = remade + 1;
        let message = format!("{name} was changed {times} times, last{by}, so the held template was never tried alone; keep others off it");
        return inconclusive(observed, &message, false);
    }
    let note = format!("{name} {what}; starting over");
    let count = Action::CountRemade(format!("{run} {}", remade + 1));
    Plan::then(vec![Action::warning(Reason::Changed, note), count, delete(namesake)], AT_ONCE)
}
