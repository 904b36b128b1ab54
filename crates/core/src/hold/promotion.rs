//! The patches by which the controller writes to a primary. Each begins with its preconditions: that the template on trial is still the
//! one that was judged, and its phase still the one that was seen. If either changed, the API server refuses the whole patch. A promotion also
//! rests on what was asked and said while it was judged, which may take long: it asks for the very object that was looked at.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::annotations::{self as key, ACTIVE_LABEL, Phase};
use crate::manifest::object;
use crate::run::times;
use crate::standing::Standing;

/// Changes with the spec and the annotations, and with nothing else.
/// Source: `PrepareForUpdate` in <https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/registry/apps/deployment/strategy.go>.
const GENERATION: &str = "/metadata/generation";

/// Promotes `template`, which must be the held one: admission checks that again.
pub fn patch(primary: &Value, template: &Value, message: &str, now: &str) -> Value {
    let mut operations = preconditions(primary);
    // The API server counts changes of the spec and of annotations: a rejection by hand, a pause, another limit, fewer replicas.
    let looked_at = primary.pointer(GENERATION).map(|generation| json!({"op": "test", "path": GENERATION, "value": generation}));
    operations.extend(looked_at);
    operations.push(json!({"op": "replace", "path": "/spec/template", "value": template}));
    operations.push(put(key::MESSAGE, message));
    operations.push(put(key::SINCE, now));
    Value::Array(operations)
}

/// Writes a phase, its message, and the time. A message of another phase doesn't stay.
pub fn state_patch(primary: &Value, phase: Phase, message: Option<&str>, now: &str) -> Value {
    let mut operations = preconditions(primary);
    operations.push(put(key::PHASE, phase.as_str()));
    operations.push(put(key::SINCE, now));
    match message {
        Some(message) => operations.push(put(key::MESSAGE, message)),
        None => operations.extend(take(primary, key::MESSAGE)),
    }
    if !phase.is_running() {
        // What was said of this trial ends with it.
        operations.extend([key::ORDER, key::PAUSED_SINCE].into_iter().filter_map(|name| take(primary, name)));
    }
    if phase == Phase::Superseded {
        // Admission takes away the rest; these must go also where no admission is asked.
        operations.extend([key::HELD, key::MARKER].into_iter().filter_map(|name| take(primary, name)));
    }
    Value::Array(operations)
}

/// Writes one more annotation of Coalmine's, and nothing else: how often the canary of a run was made anew, or the history.
pub fn note_patch(primary: &Value, name: &str, value: &str) -> Value {
    with_note(Value::Array(preconditions(primary)), name, Some(value))
}

/// The same together with another patch.
pub fn with_note(mut patch: Value, name: &str, value: Option<&str>) -> Value {
    if let (Some(operations), Some(value)) = (patch.as_array_mut(), value) {
        operations.push(put(name, value));
    }
    patch
}

/// The trial stands still from now on.
pub fn pause_patch(primary: &Value, now: &str) -> Value {
    note_patch(primary, key::PAUSED_SINCE, now)
}

/// It goes on, later by as long as it was paused.
pub fn resume_patch(primary: &Value, now: Timestamp) -> Value {
    let standing = Standing::of(primary);
    let mut operations = preconditions(primary);
    operations.extend(take(primary, key::PAUSED_SINCE));
    if let (Some(began), Some(paused)) = (standing.since, standing.paused_since) {
        let began = began + times::elapsed(paused, now);
        operations.push(put(key::SINCE, &Timestamp::from_second(began.as_second()).unwrap_or(began).to_string()));
    }
    Value::Array(operations)
}

/// Takes the label away by which the controller finds the Deployment, unless another template is held by now: nobody would try that one.
pub fn release_patch(primary: &Value) -> Value {
    let mut operations = preconditions(primary);
    operations.push(json!({"op": "remove", "path": format!("/metadata/labels/{}", ACTIVE_LABEL.replace('/', "~1"))}));
    Value::Array(operations)
}

fn preconditions(primary: &Value) -> Vec<Value> {
    [key::HELD, key::PHASE, key::RUN]
        .into_iter()
        .filter_map(|name| Some(json!({"op": "test", "path": path(name), "value": object::annotation(primary, name)?})))
        .collect()
}

fn put(name: &str, value: &str) -> Value {
    json!({"op": "add", "path": path(name), "value": value})
}

/// Nothing, where it isn't there: to remove it would be refused.
fn take(primary: &Value, name: &str) -> Option<Value> {
    object::annotation(primary, name).map(|_| json!({"op": "remove", "path": path(name)}))
}

fn path(annotation: &str) -> String {
    format!("/metadata/annotations/{}", annotation.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_unless_the_held_template_is_the_judged_one() {
        let primary =
            json!({"metadata": {"annotations": {"canary.state/held": "h", "canary.state/phase": "Running", "canary.state/run": "r"}}});
        let patch = patch(&primary, &json!({"spec": {}}), "error rate 0%", "2026-01-01T00:00:00Z");
        insta::assert_snapshot!(serde_json::to_string_pretty(&patch).unwrap(), @r#"
[
  {
    "op": "test",
    "path": "/metadata/annotations/canary.state~1held",
    "value": "h"
  },
  {
    "op": "test",
    "path": "/metadata/annotations/canary.state~1phase",
    "value": "Running"
  },
  {
    "op": "test",
    "path": "/metadata/annotations/canary.state~1run",
    "value": "r"
  },
  {
    "op": "replace",
    "path": "/spec/template",
    "value": {
      "spec": {}
    }
  },
  {
    "op": "add",
    "path": "/metadata/annotations/canary.state~1message",
    "value": "error rate 0%"
  },
  {
    "op": "add",
    "path": "/metadata/annotations/canary.state~1since",
    "value": "2026-01-01T00:00:00Z"
  }
]
"#);
        let parsed: json_patch::Patch = serde_json::from_value(patch).unwrap();
        let mut superseded = json!({"metadata": {"annotations": {"canary.state/held": "c", "canary.state/phase": "Running", "canary.state/run": "r"}}, "spec": {"template": 1}});
        json_patch::patch(&mut superseded, &parsed).unwrap_err();
        assert_eq!(superseded["spec"]["template"], 1);
    }

    #[test]
    fn what_was_said_while_it_was_judged_counts() {
        let mut primary = json!({"metadata": {"generation": 7, "annotations": {"canary.state/phase": "Running"}}, "spec": {"template": 0}});
        let parsed: json_patch::Patch = serde_json::from_value(patch(&primary, &json!(1), "fine", "now")).unwrap();
        json_patch::patch(&mut primary.clone(), &parsed).unwrap();
        primary["metadata"]["generation"] = json!(8);
        json_patch::patch(&mut primary, &parsed).unwrap_err();
        assert_eq!(primary["spec"]["template"], 0);
    }

    #[test]
    fn a_phase_comes_with_its_own_message_or_none() {
        let mut primary =
            json!({"metadata": {"annotations": {"canary.state/held": "h", "canary.state/phase": "Held", "canary.state/run": "r"}}});
        let last = |patch: Value| patch.as_array().unwrap()[3..].to_vec();
        let written = [
            json!({"op": "add", "path": "/metadata/annotations/canary.state~1phase", "value": "Running"}),
            json!({"op": "add", "path": "/metadata/annotations/canary.state~1since", "value": "now"}),
        ];
        assert_eq!(last(state_patch(&primary, Phase::Running, None, "now")), written);
        primary["metadata"]["annotations"]["canary.state/message"] = json!("scaled to zero");
        let without = [&written[..], &[json!({"op": "remove", "path": "/metadata/annotations/canary.state~1message"})]].concat();
        assert_eq!(last(state_patch(&primary, Phase::Running, None, "now")), without);
    }

    #[test]
    fn what_is_superseded_is_held_no_longer() {
        let primary =
            json!({"metadata": {"annotations": {"canary.state/held": "h", "canary.state/phase": "Running", "canary.state/marker": "1"}}});
        let mut patched = primary.clone();
        let patch: json_patch::Patch = serde_json::from_value(state_patch(&primary, Phase::Superseded, Some("gone"), "now")).unwrap();
        json_patch::patch(&mut patched, &patch).unwrap();
        let expected = json!({"canary.state/phase": "Superseded", "canary.state/message": "gone", "canary.state/since": "now"});
        assert_eq!(patched["metadata"]["annotations"], expected);
    }

    #[test]
    fn the_label_stays_where_another_template_came_meanwhile() {
        let primary = json!({"metadata": {"annotations": {"canary.state/phase": "Promoted", "canary.state/run": "r"}}});
        let expected = json!([
            {"op": "test", "path": "/metadata/annotations/canary.state~1phase", "value": "Promoted"},
            {"op": "test", "path": "/metadata/annotations/canary.state~1run", "value": "r"},
            {"op": "remove", "path": "/metadata/labels/coalmine.dev~1active"},
        ]);
        assert_eq!(release_patch(&primary), expected);
    }
}
