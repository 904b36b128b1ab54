//! What a person says about a template on trial, in a request on its Deployment: approved, promoted or rejected by hand. Looks at what the hold
//! made of the request, and adds the record of who said it. Refuses what would mean something else than it says: another template, nothing
//! on trial, one's own template where somebody else must agree.

use serde_json::{Map, Value, json};

use super::{Admission, Effect, Outcome, Request, changeable};
use crate::{
    api::{
        annotations::{self as key, Phase},
        gates::{Approval, approved_run},
        policy::Policy,
    },
    hold::held::Held,
    manifest::{
        object::{self, is_opted_in, metadata_map_mut, text},
        template,
    },
    message::{self, denied},
    run::gates,
    standing::{
        Standing,
        people::{Approved, Order, Verb},
    },
};

/// `decided`: what becomes of the request otherwise.
pub(super) fn admit(request: &Request<'_>, old: &Value, mut decided: Admission) -> Admission {
    let before = object::annotations(old);
    let after = match &decided.outcome {
        Outcome::Denied(_) => return decided,
        Outcome::Changed(changed) => object::annotations(changed).clone(),
        Outcome::Unchanged => object::annotations(request.new).clone(),
    };
    let said: Vec<&str> = [key::APPROVE, key::PROMOTE, key::REJECT].into_iter().filter(|name| is_said_now(before, &after, name)).collect();
    let on_trial = OnTrial::of(before, &after);
    if let Some(on_trial) = &on_trial {
        if is_weaker(before, &after) {
            return Admission::denied(denied::approval_weakened());
        }
        if said.is_empty() {
            decided.warnings.extend(OnTrial::unheard(request, old, &after).map(message::said_before));
            return decided;
        }
        let mut records = Vec::new();
        for name in said {
            match on_trial.record(name, &after, request) {
                Ok(record) => records.push(record),
                Err(words) => return Admission::denied(words),
            }
        }
        return recorded(request, decided, &after, records);
    }
    if !is_opted_in(&after) || said.is_empty() {
        return decided;
    }
    if !template::same(object::template(old), object::template(request.new)) {
        decided.warnings.extend(said.iter().map(|name| message::said_too_early(name)));
        return decided;
    }
    Admission::denied(denied::nothing_on_trial(said[0], object::phase(&after).map(Phase::as_str)))
}

fn is_said_now(before: &Map<String, Value>, after: &Map<String, Value>, name: &str) -> bool {
    text(after, name).is_some_and(|value| text(before, name) != Some(value))
}

/// Nobody lets a template in by asking for less while it waits.
fn is_weaker(before: &Map<String, Value>, after: &Map<String, Value>) -> bool {
    let asked = |annotations| Policy::of(annotations).ok().and_then(|policy| policy.gates.approval);
    is_opted_in(after) && asked(after) < asked(before)
}

/// The same template before and after the request.
struct OnTrial {
    run: String,
    phase: Phase,
    applier: String,
    asked: Option<Approval>,
}

impl OnTrial {
    fn of(before: &Map<String, Value>, after: &Map<String, Value>) -> Option<Self> {
        let (was, is) = (Standing::read(before), Standing::read(after));
        let run = is.run.filter(|run| was.run == Some(run) && was.is_trying())?;
        let phase = is.phase.filter(|phase| phase.is_trying())?;
        let held = Held::decode(is.held?).ok()?;
        let asked = Policy::of(after).ok().and_then(|policy| policy.gates.approval);
        Some(Self { run: run.to_owned(), phase, applier: held.user, asked })
    }

    /// What a person says in the very words that stand there from an earlier trial: nothing changes, and nobody hears it.
    fn unheard(request: &Request<'_>, old: &Value, after: &Map<String, Value>) -> Option<&'static str> {
        let standing = Standing::read(after);
        let is_heard = |name: &str| if name == key::APPROVE { standing.approved().is_some() } else { standing.order().is_some() };
        let changes_nothing =
            ["/metadata/annotations", "/metadata/labels", "/spec"].iter().all(|part| old.pointer(part) == request.new.pointer(part));
        let by_hand = request.field_manager == "kubectl-annotate" && changes_nothing;
        [key::REJECT, key::PROMOTE, key::APPROVE].into_iter().find(|name| by_hand && after.contains_key(*name) && !is_heard(name))
    }

    fn record(&self, name: &str, after: &Map<String, Value>, request: &Request<'_>) -> Result<(Effect, &'static str, String), String> {
        let value = text(after, name).unwrap_or_default();
        let refused_to_approve =
            self.asked.is_some_and(|asked| !gates::may_approve(&Standing::read(after), asked, &self.applier, request.username));
        if name == key::APPROVE {
            let (run, reason) = approved_run(value);
            if self.asked.is_none() {
                return Err(denied::no_approval_asked());
            }
            if run != self.run {
                return Err(denied::another_on_trial(run, &self.run));
            }
            if refused_to_approve {
                return Err(denied::own_template(request.username));
            }
            return Ok((Effect::Approved, key::APPROVED, json!(Approved::new(run, request.username, reason)).to_string()));
        }
        let (effect, verb) =
            if name == key::PROMOTE { (Effect::PromotedByHand, Verb::Promote) } else { (Effect::RejectedByHand, Verb::Reject) };
        if verb == Verb::Promote && self.phase == Phase::Held {
            return Err(denied::not_begun());
        }
        if verb == Verb::Promote && refused_to_approve {
            return Err(denied::own_template(request.username));
        }
        let order = Order { verb, said: Approved::new(&self.run, request.username, value) };
        Ok((effect, key::ORDER, json!(order).to_string()))
    }
}

fn recorded(
    request: &Request<'_>,
    mut decided: Admission,
    after: &Map<String, Value>,
    records: Vec<(Effect, &'static str, String)>,
) -> Admission {
    let (mut effect, mut said) = (decided.effect, Vec::new());
    for (what, name, record) in records {
        effect = what;
        said.push((name, record));
        decided.warnings.push(match what {
            Effect::Approved => message::approved(object::phase(after) == Some(Phase::AwaitingApproval)),
            Effect::PromotedByHand => message::ordered("promoted"),
            _ => message::ordered("rejected"),
        });
    }
    Admission { effect, ..with(request, decided, &said) }
}

/// The same answer, with these annotations besides.
fn with(request: &Request<'_>, mut decided: Admission, more: &[(&'static str, String)]) -> Admission {
    let mut changed = match decided.outcome {
        Outcome::Changed(changed) => changed,
        _ => changeable(request.new),
    };
    if let Some(annotations) = metadata_map_mut(&mut changed, "annotations") {
        annotations.extend(more.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.clone()))));
    }
    decided.outcome = Outcome::Changed(changed);
    decided
}
