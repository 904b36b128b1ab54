//! The truthful status: while a template is held or kept out, the Deployment controller's own status write is changed on its way, so
//! that every tool that waits (`kubectl rollout status`, Helm, Flux, Argo CD) waits for the verdict.
//!
//! A pure function of the annotations and the stored status. What is stored stays as it is when nothing changed, so that the Deployment
//! controller's next write is a no-op and nothing loops. Annotations that come with a status never count: they would be a way around
//! the hold.

use serde_json::{Value, json};

use super::{admit::PatchOperation, message::condition, object};
use crate::api::annotations::{self as key, Phase};

/// The condition for `kubectl describe` and `kubectl wait`.
pub const CANARY_CONDITION: &str = "Canary";

/// Decides one UPDATE of `deployments/status`: the changed object, or `None` to leave it as it is.
pub fn admit_status(old: &Value, new: &Value) -> Option<Value> {
    let mut changed = new.clone();
    restore_annotations(old, &mut changed);
    tell_the_truth(old, &mut changed);
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

fn restore_annotations(old: &Value, changed: &mut Value) {
    let ours = |name: &str| name.starts_with(key::USER_PREFIX);
    let (before, now) = (object::annotations(old), object::annotations(changed));
    let of = |map: &serde_json::Map<String, Value>| -> Vec<(String, Value)> {
        map.iter().filter(|(name, _)| ours(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let stored = of(before);
    if stored != of(now)
        && let Some(annotations) = object::metadata_map_mut(changed, "annotations")
    {
        annotations.retain(|name, _| !ours(name));
        annotations.extend(stored);
    }
}

fn tell_the_truth(old: &Value, changed: &mut Value) -> Option<()> {
    let annotations = object::annotations(old);
    let phase = object::phase(annotations).filter(|phase| phase.holds())?;
    if !annotations.contains_key(key::HELD) {
        return None;
    }
    let message = object::text(annotations, key::MESSAGE);
    let since = object::text(annotations, key::SINCE);
    let status = changed.get_mut("status")?.as_object_mut()?;
    status.insert("updatedReplicas".to_owned(), 0.into());
    let conditions = status.entry("conditions").or_insert_with(|| json!([])).as_array_mut()?;
    // Admission has no clock: until the controller has written a time, the Deployment controller's own serves.
    let fallback = conditions
        .iter()
        .find(|c| c.get("type").and_then(Value::as_str) == Some("Progressing"))
        .and_then(|c| c.get("lastUpdateTime"))
        .and_then(Value::as_str)
        .unwrap_or_else(|| object::metadata_text(old, "creationTimestamp"))
        .to_owned();
    let (state, reason) = if phase.is_kept_out() { ("False", "ProgressDeadlineExceeded") } else { ("True", "CanaryRunning") };
    for wish in [Wish { kind: "Progressing", status: state, reason, message: condition(phase, message) }, canary_wish(phase, message)] {
        let stored = condition_of(old, wish.kind).cloned();
        let incoming = conditions.iter().position(|c| c.get("type").and_then(Value::as_str) == Some(wish.kind));
        let incoming_value = incoming.map(|index| conditions.remove(index));
        let index = incoming.unwrap_or(conditions.len());
        conditions.insert(index, wish.condition(stored.as_ref(), incoming_value.as_ref(), since, &fallback));
    }
    Some(())
}

/// Whether the status of a Deployment whose template is kept out is one of before: nobody writes it until something happens.
pub fn is_left_behind(deployment: &Value) -> bool {
    let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    object::phase(object::annotations(deployment)).is_some_and(Phase::is_kept_out)
        && number("/status/observedGeneration") < number("/metadata/generation")
}

/// The condition `Canary` of a phase, for the controller to write when no template is held any more.
pub fn canary_condition(old: &Value, phase: Phase, message: &str, now: &str) -> Value {
    canary_wish(phase, Some(message)).condition(condition_of(old, CANARY_CONDITION), None, Some(now), now)
}

fn canary_wish(phase: Phase, message: Option<&str>) -> Wish {
    let status = match phase {
        Phase::Promoted | Phase::RolledBack => "True",
        Phase::Held | Phase::Running => "Unknown",
        _ => "False",
    };
    Wish { kind: CANARY_CONDITION, status, reason: phase.as_str(), message: condition(phase, message) }
}

fn condition_of<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(phase: &str, message: Option<&str>) -> Value {
        let mut object = json!({
            "metadata": {"name": "app", "creationTimestamp": "2026-01-01T00:00:00Z",
                         "annotations": {"canary.state/held": "x", "canary.state/phase": phase}},
            "status": {"replicas": 2, "updatedReplicas": 2, "conditions": [
                {"type": "Available", "status": "True"},
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "m",
                 "lastUpdateTime": "2026-02-02T00:00:00Z", "lastTransitionTime": "2026-02-02T00:00:00Z"}]},
        });
        if let Some(message) = message {
            object["metadata"]["annotations"]["canary.state/message"] = json!(message);
            object["metadata"]["annotations"]["canary.state/since"] = json!("2026-03-03T00:00:00Z");
        }
        object
    }

    #[test]
    fn a_held_template_is_in_progress() {
        let object = deployment("Running", None);
        let changed = admit_status(&object, &object).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&changed["status"]).unwrap(), @r#"
{
  "conditions": [
    {
      "status": "True",
      "type": "Available"
    },
    {
      "lastTransitionTime": "2026-02-02T00:00:00Z",
      "lastUpdateTime": "2026-02-02T00:00:00Z",
      "message": "the new template is held; its canary is running",
      "reason": "CanaryRunning",
      "status": "True",
      "type": "Progressing"
    },
    {
      "lastTransitionTime": "2026-02-02T00:00:00Z",
      "lastUpdateTime": "2026-02-02T00:00:00Z",
      "message": "the new template is held; its canary is running",
      "reason": "Running",
      "status": "Unknown",
      "type": "Canary"
    }
  ],
  "replicas": 2,
  "updatedReplicas": 0
}
"#);
    }

    #[test]
    fn a_rejected_template_has_failed() {
        let object = deployment("Rejected", Some("error rate 100%"));
        let changed = admit_status(&object, &object).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&changed["status"]).unwrap(), @r#"
{
  "conditions": [
    {
      "status": "True",
      "type": "Available"
    },
    {
      "lastTransitionTime": "2026-03-03T00:00:00Z",
      "lastUpdateTime": "2026-03-03T00:00:00Z",
      "message": "error rate 100%",
      "reason": "ProgressDeadlineExceeded",
      "status": "False",
      "type": "Progressing"
    },
    {
      "lastTransitionTime": "2026-03-03T00:00:00Z",
      "lastUpdateTime": "2026-03-03T00:00:00Z",
      "message": "error rate 100%",
      "reason": "Rejected",
      "status": "False",
      "type": "Canary"
    }
  ],
  "replicas": 2,
  "updatedReplicas": 0
}
"#);
    }

    #[test]
    fn nothing_loops() {
        for phase in ["Held", "Running", "Rejected", "Inconclusive"] {
            let object = deployment(phase, Some("m"));
            let stored = admit_status(&object, &object).unwrap();
            // The Deployment controller computes its own Progressing again and again.
            let mut write = stored.clone();
            write["status"]["conditions"][1] = object["status"]["conditions"][1].clone();
            write["status"]["conditions"][1]["lastUpdateTime"] = json!("2026-09-09T00:00:00Z");
            write["status"]["updatedReplicas"] = json!(2);
            assert_eq!(admit_status(&stored, &write).unwrap(), stored);
            assert_eq!(admit_status(&stored, &stored), None);
        }
    }

    #[test]
    fn annotations_of_a_status_never_count() {
        let stored = deployment("Promoted", None);
        let mut forged = stored.clone();
        forged["metadata"]["annotations"]["canary.state/phase"] = json!("Held");
        forged["metadata"]["annotations"]["canary.enabled"] = json!("false");
        forged["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("2");
        let changed = admit_status(&stored, &forged).unwrap();
        let mut expected = stored.clone();
        expected["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("2");
        assert_eq!(changed, expected);
        assert_eq!(patch(&forged, &changed).len(), 1);
    }

    #[test]
    fn without_a_held_template_nothing_changes() {
        let mut object = deployment("Running", None);
        object["metadata"]["annotations"].as_object_mut().unwrap().remove("canary.state/held");
        assert_eq!(admit_status(&object, &object), None);
        let object = deployment("Promoted", None);
        assert_eq!(admit_status(&object, &object), None);
        assert_eq!(admit_status(&json!({}), &json!(1)), None);
    }

    #[test]
    fn what_nobody_writes_any_more_is_left_behind() {
        let seen = |phase: &str, observed: i64| {
            let mut object = deployment(phase, None);
            object["metadata"]["generation"] = json!(3);
            object["status"]["observedGeneration"] = json!(observed);
            is_left_behind(&object)
        };
        assert!(seen("Rejected", 2) && seen("Inconclusive", 2));
        assert!(!seen("Rejected", 3), "it is up to date");
        assert!(!seen("Running", 2), "the next step writes to it anyway");
    }
}
