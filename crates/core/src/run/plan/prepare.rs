//! Before the canary of a run can be looked at: it is created, and whatever stands in its place goes first.

use serde_json::Value;

use super::{AT_ONCE, Action, Observed, POD_STARTS, Plan, delete, evict, inconclusive};
use crate::{
    api::label::Label,
    facts::{
        event::{Changed, Event},
        why::Verdict,
    },
    manifest::{object, workload},
    run::canary,
};

/// The maximum number of times that a canary is made again because something changes it.
const MOST_REMADE: u32 = 3;

pub(super) fn create(observed: &Observed<'_>, template: &Value, run: &str, canary_label: &Label, first: bool) -> Plan {
    let mut actions = Vec::new();
    if first {
        let requested_by = observed.standing().requested_by.map(str::to_owned);
        let (canary, duration) = (observed.canary_name(), observed.policy.duration);
        actions.push(Action::Publish(Event::Held { requested_by, canary, duration }));
    }
    actions.push(Action::Create(canary::deployment(observed.primary, template.clone(), run, canary_label)));
    actions.push(Action::Publish(Event::Started { canary: observed.canary_name() }));
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
    } else if workload::has_had_another_template(namesake) {
        Some(InTheWay::Changed)
    } else {
        (object::replicas(namesake) != 1).then_some(InTheWay::Scaled)
    }
}

/// Makes room for this run's own canary, while there is time.
pub(super) fn clear(observed: &Observed<'_>, namesake: &Value, way: &InTheWay, past: bool) -> Plan {
    if past {
        let finalizers = canary::finalizers(namesake).into_iter().map(str::to_owned).collect();
        let (canary, deadline) = (object::name(namesake).to_owned(), observed.policy.deadline);
        return inconclusive(observed, Verdict::NotGoneWithin { canary, deadline, finalizers }, false);
    }
    match way {
        InTheWay::Leaving => Plan::then(canary::keeps_its_pods(namesake).then(|| evict(namesake)).into_iter().collect(), AT_ONCE),
        InTheWay::Stale => {
            let event = Event::CanarySuperseded { canary: object::name(namesake).to_owned() };
            Plan::then(vec![Action::Publish(event), delete(namesake)], AT_ONCE)
        }
        InTheWay::Changed => remake(observed, namesake, Changed::Template { by: canary::changed_by(namesake).map(str::to_owned) }),
        InTheWay::Scaled => remake(observed, namesake, Changed::Replicas(object::replicas(namesake))),
    }
}

/// What keeps changing it is not ours to fight for ever.
fn remake(observed: &Observed<'_>, namesake: &Value, how: Changed) -> Plan {
    let canary = object::name(namesake).to_owned();
    let standing = observed.standing();
    let (run, remade) = (standing.run_name(), standing.remade());
    if remade >= MOST_REMADE {
        let by = if let Changed::Template { by } = how { by } else { None };
        return inconclusive(observed, Verdict::ChangedTooOften { canary, times: remade + 1, by }, false);
    }
    let count = Action::CountRemade(format!("{run} {}", remade + 1));
    Plan::then(vec![Action::Publish(Event::Changed { canary, how }), count, delete(namesake)], AT_ONCE)
}
