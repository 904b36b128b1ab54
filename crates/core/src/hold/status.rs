//! The truthful status: while a template is held or kept out, the Deployment controller's own status write is changed on its way, so
//! that every tool that waits (`kubectl rollout status`, Helm, Flux, Argo CD) waits for the verdict.
//!
//! A pure function of the annotations and the stored status. What is stored stays as it is when nothing changed, so that the Deployment
//! controller's next write is a no-op and nothing loops. Annotations that come with a status never count: they would be a way around
//! the hold.

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::{
    admit::{
        PatchOperation,
        controller::{after_a_verdict, may_write_state},
    },
    held::Record,
};
use crate::api::annotations::{self as key, Phase};
use crate::manifest::conditions::{find, is_of};
use crate::standing::Standing;
use crate::{manifest::object, message::condition};

/// The condition for `kubectl describe` and `kubectl wait`.
pub const CANARY_CONDITION: &str = "Canary";

/// The Deployment controller's condition that every tool which waits looks at, and the reasons that it gets while a template is held.
const PROGRESSING: &str = "Progressing";
const ON_TRIAL: &str = "CanaryRunning";
const AWAITS_APPROVAL: &str = "CanaryAwaitsApproval";
/// The one reason that every such tool takes for the end.
const FAILED: &str = "ProgressDeadlineExceeded";

/// Decides one UPDATE of `deployments/status`: the changed object, or `None` to leave it as it is. `by_controller`: this is where it writes
/// a phase that a policy does not let it write to the Deployment, by the rules that hold there.
pub fn admit_status(old: &Value, new: &Value, by_controller: bool) -> Option<Value> {
    let mut changed = new.clone();
    let written = by_controller && may_write_state(old, new);
    restore_annotations(old, &mut changed, written);
    if written && let Some(annotations) = object::metadata_map_mut(&mut changed, "annotations") {
        after_a_verdict(old, annotations);
    }
    match told_phase(old) {
        Some(phase) => drop(report_the_hold(old, phase, &mut changed)),
        None => drop(forget_what_was_told(old, &mut changed)),
    }
    (changed != *new).then_some(changed)
}

/// The JSON patch that makes `changed` out of `sent`.
pub fn patch<'a>(sent: &Value, changed: &'a Value) -> Vec<PatchOperation<'a>> {
    ["/metadata/annotations", "/status"]
        .into_iter()
        .filter_map(|path| changed.pointer(path).map(|after| (path, after)))
        .filter(|(path, after)| sent.pointer(path) != Some(after))
        .map(|(path, after)| PatchOperation { op: "add", path, value: Some(after) })
        .collect()
}

fn restore_annotations(old: &Value, changed: &mut Value, but_for_state: bool) {
    let ours = |name: &str| key::is_ours(name) && !(but_for_state && name.starts_with(key::STATE_PREFIX));
    let (before, now) = (object::annotations(old), object::annotations(changed));
    let is_ours = |(name, _): &(&String, &Value)| ours(name);
    if !before.iter().filter(is_ours).eq(now.iter().filter(is_ours))
        && let Some(annotations) = object::metadata_map_mut(changed, "annotations")
    {
        object::keep(annotations, before, ours);
    }
}

/// The phase that the status must tell of: that of a held template. One that nobody can read, or that another template has overtaken, is
/// nothing that anybody waits for.
fn told_phase(old: &Value) -> Option<Phase> {
    Standing::of(old).phase.filter(|phase| phase.holds() && Record::of(old).holds())
}

fn report_the_hold(old: &Value, phase: Phase, changed: &mut Value) -> Option<()> {
    let standing = Standing::of(old);
    let (message, since) = (standing.message, standing.since_text());
    let status = changed.get_mut("status")?.as_object_mut()?;
    status.insert("updatedReplicas".to_owned(), 0.into());
    // Without replicas all counts are as if the rollout was over; who waits looks at this one first.
    let generation = old.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
    if object::replicas(old) == 0 && phase.is_trying() && generation > 0 {
        status.insert("observedGeneration".to_owned(), (generation - 1).into());
    }
    let conditions = status.entry("conditions").or_insert_with(|| json!([])).as_array_mut()?;
    // Admission has no clock: until the controller has written a time, the Deployment controller's own serves.
    let fallback = conditions
        .iter()
        .find(|c| is_of(PROGRESSING, c))
        .and_then(|c| c.get("lastUpdateTime"))
        .and_then(Value::as_str)
        .unwrap_or_else(|| object::metadata_text(old, "creationTimestamp"))
        .to_owned();
    let (state, reason) = match phase {
        _ if phase.is_kept_out() => ("False", FAILED),
        Phase::AwaitingApproval => ("True", AWAITS_APPROVAL),
        _ => ("True", ON_TRIAL),
    };
    for wish in [Wish { kind: PROGRESSING, status: state, reason, message: condition(phase, message) }, canary_wish(phase, message)] {
        let stored = find(old, wish.kind).cloned();
        let incoming = conditions.iter().position(|c| is_of(wish.kind, c));
        let incoming_value = incoming.map(|index| conditions.remove(index));
        let index = incoming.unwrap_or(conditions.len());
        conditions.insert(index, wish.condition(stored.as_ref(), incoming_value.as_ref(), since, &fallback));
    }
    Some(())
}

/// What `Progressing` said of a held template ends with the hold. The Deployment controller goes on from what it finds: a
/// `ProgressDeadlineExceeded` stays until a pod more is there, and an old time makes one, so whoever went back would be told the verdict on
/// what they left. Where it finds none, it begins anew (`FoundNewReplicaSet`).
/// Source: `DeploymentTimedOut` and `getNewReplicaSet` in <https://github.com/kubernetes/kubernetes/tree/v1.37.2/pkg/controller/deployment>.
fn forget_what_was_told(old: &Value, changed: &mut Value) -> Option<()> {
    let stored = find(old, PROGRESSING)?;
    let verdict = || find(old, CANARY_CONDITION).is_some_and(|canary| canary.get("message") == stored.get("message"));
    let is_ours = |condition: &Value| match condition.get("reason").and_then(Value::as_str) {
        Some(ON_TRIAL | AWAITS_APPROVAL) => true,
        Some(FAILED) => verdict(),
        _ => false,
    };
    if is_ours(stored) {
        let follows = |c: &Value| {
            is_of(PROGRESSING, c) && matches!(c.get("reason").and_then(Value::as_str), Some(ON_TRIAL | AWAITS_APPROVAL | FAILED))
        };
        changed.pointer_mut("/status/conditions")?.as_array_mut()?.retain(|condition| !follows(condition));
    }
    Some(())
}

/// Whether the status of a Deployment whose template is kept out is one of before: nobody writes it until something happens.
pub fn is_left_behind(deployment: &Value) -> bool {
    let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    Standing::of(deployment).is_kept_out() && number("/status/observedGeneration") < number("/metadata/generation")
}

/// Whether the controller has something to do and does not hear of it: a template is on trial and the label was taken away while no Coalmine
/// was asked, or what is kept out is nothing any more.
pub fn is_unwatched(deployment: &Value) -> bool {
    let standing = Standing::of(deployment);
    let overtaken = || standing.holds() && !Record::of(deployment).holds();
    object::label(deployment, key::ACTIVE_LABEL).is_none() && (standing.is_trying() || overtaken())
}

/// The condition `Canary` of a phase, for the controller to write when no template is held any more.
pub fn canary_condition(old: &Value, phase: Phase, message: &str, now: &str) -> Value {
    canary_wish(phase, Some(message)).condition(find(old, CANARY_CONDITION), None, Some(now), now)
}

fn canary_wish(phase: Phase, message: Option<&str>) -> Wish {
    let status = match phase {
        Phase::Promoted | Phase::RolledBack => "True",
        phase if phase.is_trying() => "Unknown",
        _ => "False",
    };
    Wish { kind: CANARY_CONDITION, status, reason: phase.as_str(), message: condition(phase, message) }
}

struct Wish {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Wish {
    /// The condition, with the stored times where it says the same as before.
    fn condition(&self, stored: Option<&Value>, incoming: Option<&Value>, since: Option<&str>, fallback: &str) -> Value {
        let part = |condition: Option<&Value>, name: &str| condition.and_then(|c| c.get(name)).and_then(Value::as_str).map(str::to_owned);
        let says = |name: &str, value: &str| part(stored, name).as_deref() == Some(value);
        if says("status", self.status) && says("reason", self.reason) && says("message", &self.message) {
            return stored.cloned().unwrap_or_default();
        }
        let update = since
            .map(str::to_owned)
            .or_else(|| part(incoming, "lastUpdateTime"))
            .or_else(|| part(stored, "lastUpdateTime"))
            .unwrap_or_else(|| fallback.to_owned());
        let transition =
            if says("status", self.status) { part(stored, "lastTransitionTime") } else { None }.unwrap_or_else(|| update.clone());
        json!({
            "type": self.kind, "status": self.status, "reason": self.reason, "message": self.message,
            "lastUpdateTime": update, "lastTransitionTime": transition,
        })
    }
}
